"""Documents of derivations that are not the usual one: nothing is known by its name."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
import sympy
from conftest import few

import fcsym
import fcsym.proof.joint
from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError, SizeError
from fcsym.language.activation import SMOOTH
from fcsym.language.equation import Cases, Equation, Rule, Verdict
from fcsym.language.expression import Apply, Array, Index, total
from fcsym.networks.names import flat_latex
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.render.content import content
from fcsym.render.html import document as html
from fcsym.render.latex import document as latex
from fcsym.schemes import SCHEMES
from fcsym.training import scheme


@dataclass(frozen=True)
class Bare(Derivation):
    """A list of equations that nothing compiles, as of a scheme."""

    @property
    def assumptions(self):
        return ()

    def compile(self, target="numpy"):
        from fcsym.errors import CompileError

        raise CompileError("There is no kernel.")


def bare(equations, widths="2-2-1"):
    net = Network.parse(widths)
    return Bare(net, "simultaneous", tuple(equations))


def odd_equations():
    """Names, axes and left-hand sides that no derivation of a network has."""
    m, i = Index(units(7), "m"), Index(units(1), "i")
    gram, state = Array("G", None, (m.axis, i.axis)), Array("z", None, (m.axis,))
    return (
        Equation(gram[m, i], state[m] * Array("s", 1, (i.axis,))[i], Rule.DEFINITION, "This is new."),
        Equation(state.primed[m], state[m] + total(i, gram[m, i]), Rule.UPDATE, "It moves.", ("G",)),
        Equation(total(i, gram[m, i]), state[m] * 2, Rule.IDENTITY, "So it is.", ("G",), label="law"),
    )


@pytest.mark.parametrize("document", [latex, html])
def test_any_list_of_equations_has_a_document(document):
    d = bare(odd_equations())
    text = document(d)
    for sentence in ("This is new.", "It moves.", "So it is."):
        assert sentence in text
    assert document(d, only="law").count("So it is.") == 1
    assert document(d, detail="summary")


def test_flat_names_need_the_network_s_own_axes():
    with pytest.raises(SizeError, match="indexed"):
        content(bare(odd_equations()), "paper")


@pytest.mark.parametrize("document", [latex, html])
@pytest.mark.parametrize("missing", ["P", "p", "E"])
def test_a_derivation_may_lack_what_others_have(document, missing):
    full = derive(Network.parse("2-2-1"))
    d = replace(full, equations=tuple(e for e in full if e.name != missing))
    text = document(d)
    assert "undecided" in text  # the proof refuses an incomplete list, and the document says so
    assert document(d, notation="paper")


@pytest.mark.parametrize("document", [latex, html])
def test_a_smooth_activation_has_no_pieces_to_print(document):
    full = derive(Network.parse("2-2-1"))
    v1 = full["v1"]
    smooth = replace(v1.rhs.activation, name="tanh", pieces=(), kink_slopes=())
    changed = replace(v1, rhs=Apply(smooth, v1.rhs.argument))
    text = document(bare(changed if e is v1 else e for e in full if not isinstance(e.rhs, Cases)))
    assert "tanh" in text


def test_a_refuted_equation_is_shown_with_its_counterexample():
    full = derive(Network.parse("2-2-1"))
    wrong = replace(full["dy"], rhs=full["dy"].rhs * 2)
    d = replace(full, equations=tuple(wrong if e.name == "dy" else e for e in full))
    assert d.proof.verdict("dy").verdict is Verdict.REFUTED
    assert "should be" in latex(d)
    page = html(d)
    assert '<span class="mark refuted">' in page
    assert "should be" in page


def test_sections_follow_from_the_rules(derivation):
    page = content(derivation)
    assert [step.number for step in page.steps] == list(range(1, len(derivation) + 1))
    titles = [section.title for section in page.sections]
    assert titles[:3] == ["The network", "Backpropagation", "Front contribution"]
    assert len(titles) == len(set(titles))
    for section in page.sections[1:]:
        assert any(step.equation.rule not in (Rule.DEFINITION, Rule.SPLIT) for step in section.steps)


def test_every_reference_leads_somewhere(derivation):
    text = latex(derivation)
    targets = set(re.findall(r"\\target\{(\d+)\}", text)) - {"#1"}
    assert {number for number in re.findall(r"\\eqn\{(\d+)\}", text)} <= targets
    assert len(targets) == len(derivation)


def test_every_citation_is_listed(derivation):
    _, *text = latex(derivation).split("The paper's equations")
    cites = [equation.cite for equation in derivation if equation.cite]
    assert bool(text) is bool(cites)
    assert all(cite in text[0] for cite in cites)


TEXTBOOK = {str(n) for n in range(9, 17)}


def numbers(document):
    """The paper's equation numbers that stand in a document."""
    found = set()
    for cite in content(document).citations:
        found |= set(cite.removeprefix("eq. ").split(", "))
    return found


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("kind", ["2-2-1", "3-2-4-2", "tanh", "leaky_relu", "bias"])
def test_backpropagation_is_cited_only_where_the_paper_treats_it(name, kind):
    """Of ReLU units without biases, on the way to front contribution; `backprop` has nothing to do with the paper."""
    paper = "-" in kind
    network = (
        Network.parse(kind) if paper else Network.parse("2-2-1", "relu" if kind == "bias" else kind, kind == "bias")
    )
    assert bool(numbers(derive(network)) & TEXTBOOK) is paper
    assert "22" in numbers(derive(network))
    try:
        made = scheme(network, name)
    except ArgumentError:
        return
    found = numbers(made)
    assert bool(found & TEXTBOOK) is (paper and name != "backprop")
    if name == "backprop":
        assert not found
        for text in (made.latex(), made.html()):
            assert "eq. " not in re.sub("id=.eq.|#eq", "", text) and "Mishra" not in text


@pytest.mark.parametrize(
    "trained",
    [
        {"output": "softmax", "loss": "cross_entropy"}, {"output": "sigmoid"}, {"loss": "mse"},
        {"rule": "adam"}, {"rule": "momentum"}, {"rule": fcsym.rule("sgd", weight_decay="1/100")},
        {"batch": "mean"}, {"frozen": ("W1",)},
    ],
    ids=str,
)  # fmt: skip
def test_the_paper_is_not_cited_where_training_is_another(trained):
    """The same ReLU network is cited when it is trained as in the paper, in documents, pages and the terminal."""
    of_step = {key: value for key, value in trained.items() if key in ("rule", "batch")}
    of_network = {key: value for key, value in trained.items() if key in ("output", "loss")}
    network = Network.parse("2-2-2", **of_network).frozen(*trained.get("frozen", ()))
    plain, other = derive(Network.parse("2-2-2")), derive(network, **of_step)
    assert numbers(plain) >= TEXTBOOK | {"22", "4", "21"}
    assert not any(e.cite for e in other)
    for text in (latex(other), terminal_of(other)):
        assert "Mishra" not in text and not re.search(r"eq\. \d|claim v", text)
    assert "Mishra" in latex(plain) and "eq. 22" in terminal_of(plain)
    for name in SCHEMES:
        try:
            made = scheme(network, name, **of_step)
        except ArgumentError:
            continue
        assert not any(e.cite for part in made.parts for e in part)
        assert not any(e.cite for e in made.invariants)


def nothing_in(tex, page):
    """Headings, lists and tables without anything in them, and links to what is not there."""
    lines = [line for line in tex.split(r"\begin{document}")[1].splitlines() if line.strip()]
    heads = [re.match(r"\\(sub)?section\*?\{", line) for line in lines]
    found = [
        line
        for line, own, after, end in zip(lines, heads, heads[1:], lines[1:], strict=False)
        if own and (end == r"\end{document}" or (after and (own.group(1) or not after.group(1))))
    ]
    found += [title for _, title in re.findall(r"<h(\d)[^>]*>([^<]*)</h\1>\s*</section>", page)]
    found += re.findall(r"<(ul|ol|table|tbody|p|figure|nav)\b[^>]*>\s*</\1>", page)
    there = set(re.findall(r'id="([^"]+)"', page))
    return found + [link for link in re.findall(r'href="#([^"]+)"', page) if link not in there]


@pytest.mark.parametrize("settings", [{}, {"rule": "momentum"}, {"batch": "mean"}], ids=str)
@pytest.mark.parametrize("widths", ["2-1", "1-2-1"])
def test_no_section_is_empty(widths, settings):
    """Whatever is shown of it: parts of derivations and schemes have less to say than the whole."""
    network = Network.parse(widths)
    documents = [derive(network, **settings)]
    for name in few(SCHEMES, 3):
        with suppress(ArgumentError):
            documents.append(scheme(network, name, **settings))
    for d in documents:
        for only in (None, "y", *(part.function for part in d.lists if part.function in ("init", "expand"))):
            for detail in ("full", "summary"):
                with suppress(ArgumentError):
                    assert not nothing_in(latex(d, detail=detail, only=only), html(d, detail=detail, only=only))


def test_an_empty_section_would_be_found():
    d = derive(Network.parse("2-1"))
    tex, page = latex(d), html(d)
    assert not nothing_in(tex, page)
    assert nothing_in(tex.replace(r"\end{document}", "\\section{Nothing}\n\\end{document}"), page) == [
        r"\section{Nothing}"
    ]
    assert nothing_in(tex.replace(r"\section{Verdicts}", "\\subsection{No}\n\\section{Verdicts}"), page)
    assert nothing_in(tex, page.replace("</main>", "<section><h2>Nothing</h2></section></main>")) == ["Nothing"]
    assert nothing_in(tex, page + '<a href="#nowhere">') == ["nowhere"]


SMOOTH_NETWORKS = {
    "sigmoid": (Network.parse("2-2-1", "sigmoid", True), {}),
    "tanh, softmax, batch": (
        Network.parse("2-2-2", "tanh", output="softmax", loss="cross_entropy"),
        {"batch": "mean"},
    ),
    "softplus, sigmoid output": (Network.parse("2-2-2", "softplus", output="sigmoid"), {}),
}


@pytest.mark.parametrize("name", SMOOTH_NETWORKS)
def test_a_smooth_unit_has_no_kinks_and_no_pieces(name):
    """In no document, page or table, of no scheme, and in no error about one."""
    network, settings = SMOOTH_NETWORKS[name]
    said = []
    made = [derive(network, **settings)]
    for scheme_ in SCHEMES:
        try:
            made.append(scheme(network, scheme_, **settings))
        except ArgumentError as problem:
            said.append(str(problem))
    for one in made:
        said += [latex(one), re.sub("<[^>]*>", " ", html(one)), terminal_of(one), str(one)]
        said += ["\n".join(one.assumptions), one.kernel_source()]
    with pytest.raises(ArgumentError) as problem:
        fcsym.proof.joint.joint(network)
    said.append(str(problem.value))
    words = r"\b(kinks?|piece\w*|gates?|dead|active|wakes?|woke)\b"
    for text in said:
        assert not re.search(words, text, re.IGNORECASE), re.search(f".*{words}.*", text, re.IGNORECASE)
    assert re.search(words, latex(derive(Network.parse("2-2-1"))))  # where there are some, they are found


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("only", [None, "p", "dv"])
def test_a_smooth_function_is_defined_where_it_is_used(name, only):
    """By its formula and that of its derivative, which are true in numbers."""
    d = derive(Network.parse("2-2-1", name))
    page = content(d, only=only)
    (said,) = page.functions
    assert said.text.startswith(f"{name}(s) = ") and f"{name}'(s) = " in said.text
    for text in (latex(d, only=only), html(d, only=only)):
        assert "Here " in text
    assert f"here: {said.text}" in " ".join(terminal_of(d).split())
    value, slope = (
        sympy.lambdify(list("sv"), said.text.split(mark)[1].split(", ")[0]) for mark in ("(s) = ", "'(s) = ")
    )
    for s in (-1.5, 0.25, 2.0):
        h, v = 1e-6, value(s, 0)
        assert slope(s, v) == pytest.approx((value(s + h, 0) - value(s - h, 0)) / (2 * h), rel=1e-6)
    if name == "sigmoid":
        assert said.text == "sigmoid(s) = 1/(1 + exp(-s)), sigmoid'(s) = v*(1 - v), v = sigmoid(s)"


def test_functions_that_are_what_they_are_called_are_not_defined():
    assert content(derive(Network.parse("2-2-1"))).functions == ()
    adam = derive(Network.parse("2-3-2", output="softmax", loss="cross_entropy"), rule="adam")  # exp, log and sqrt
    assert content(adam).functions == ()
    two = content(derive(Network.mlp([2, 2, 2, 1], ["tanh", "silu"]))).functions
    assert [function.name for function in two] == ["tanh", "silu"]
    assert content(derive(Network.parse("2-2-1", "tanh")), only="s1").functions == ()


def terminal_of(d):
    from io import StringIO

    from rich.console import Console

    console = Console(width=140, file=StringIO(), record=True)
    console.print(d)
    return console.export_text()


def test_names_of_a_network_without_a_matrix_are_flat_too():
    layers = [fcsym.layers.Conv1d(1, 1, 2), fcsym.layers.Flatten(), fcsym.layers.Linear(3, 1)]
    network = fcsym.Network.sequential((1, 4), layers)
    assert flat_latex(network, network.output, (0,)) == "y"


def test_closed_forms_are_of_a_derivation_in_full_detail_alone():
    d = derive(Network.parse("1-1-1"))
    full = content(d)
    assert full.full and full.closed and full.kept
    for other in (content(d, detail="summary"), content(scheme(d.network, "states"))):
        assert not other.closed and not other.kept
