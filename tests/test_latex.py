from __future__ import annotations

import os
import re
import stat
import subprocess
from itertools import product

import pytest
from conftest import LONG, need

from fcsym.derivation import derive
from fcsym.errors import ArgumentError, CompileError, MissingTool, NetworkError, SizeError
from fcsym.language.equation import Cases, Rule, Verdict
from fcsym.networks.layers import Conv1d, Flatten, Linear
from fcsym.networks.names import flat_latex
from fcsym.networks.network import Network
from fcsym.render import formula
from fcsym.render.content import content
from fcsym.render.latex import document
from fcsym.training import scheme

DOCUMENTS = {
    "2-2-1": Network.parse("2-2-1"),
    "3-4-4-2": Network.parse("3-4-4-2"),
    "8-16-16-1 with biases": Network.parse("8-16-16-1", bias=True),
    "leaky": Network.parse("3-4-4-2", "leaky_relu", True),
    "deep linear": Network.parse("2-2-2-1", "identity"),
    "no hidden layer": Network.parse("2-1"),
    "two outputs": Network.parse("2-3-2", bias=True),
    "three layers, leaky": Network.parse("2-2-2-2", "leaky_relu"),
    "deep, mixed": Network.mlp([3, 2, 2, 2, 2, 2], ["relu", "identity", "leaky_relu", "relu"], True),
}


FLAT = ("2-2-1", "deep linear", "no hidden layer", "two outputs", "three layers, leaky")
VARIANTS = [(name, "indexed") for name in DOCUMENTS] + [(name, "paper") for name in FLAT]


@pytest.mark.parametrize(("name", "notation"), VARIANTS, ids=" ".join)
def test_pdflatex_has_nothing_to_say(name, notation, order, tmp_path):
    program = need("pdflatex")
    source = derive(DOCUMENTS[name], order).save(tmp_path / "derivation.tex", notation=notation)
    run = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", source.name],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    log = (tmp_path / "derivation.log").read_text(errors="replace")
    assert run.returncode == 0, log[-2000:]
    said = re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*|.*undefined.*", log, re.MULTILINE)
    assert not said
    assert (tmp_path / "derivation.pdf").stat().st_size > 10_000


def said_of(source, folder):
    """What pdflatex complains of; no PDF is made, which is quicker."""
    (folder / "d.tex").write_text(source)
    command = [need("pdflatex"), "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    log = (folder / "d.log").read_text(errors="replace").replace("pdfTeX warning: \\pdfdraftmode", "")
    return re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*|.*undefined.*", log, re.MULTILINE)


def test_no_network_has_a_box_that_is_too_full(derivation, tmp_path):
    assert not said_of(derivation.latex(), tmp_path)
    if derivation.network.widths in ((2, 2, 1), (2, 3, 2, 2)):
        assert not said_of(derivation.latex(notation="paper"), tmp_path)


@pytest.mark.parametrize(("widths", "bias"), [("3-3-1", False), ("2-3-1", False), ("3-2-1", True), ("1-1-1-1", False)])
def test_powers_of_sums_are_broken_too(widths, bias, order, tmp_path):
    """In linear networks P is a square over a sum of many terms."""
    d = derive(Network.parse(widths, "identity", bias=bias), order)
    assert not said_of(d.latex(), tmp_path)
    assert not said_of(d.latex(notation="paper"), tmp_path)


def test_names_of_any_length_fit(tmp_path, order):
    """Each weight, the activation and its pieces have names as long as they may be."""
    names = [letter * 31 + str(n) for n, letter in enumerate("abcdef")]
    pieces = f'{{ upper = 0, slope = 0.123456789, name = "{"r" * 16}" }}, {{ slope = 2, name = "{"t" * 16}" }}'
    phi = "q" * 32
    (tmp_path / "net.toml").write_text(
        f'widths = [2, 2, 1]\nnames = {names}\nactivation = "{phi}"\n'
        f'[[activations]]\nname = "{phi}"\npieces = [{pieces}]\n'
    )
    d = derive(Network.load(tmp_path / "net.toml"), order)
    for notation in ("indexed", "paper"):
        assert not said_of(d.latex(notation=notation), tmp_path)


def test_long_tables_and_odd_names(tmp_path):
    """Six pieces have some forty cases and eight 67, which go over several pages; names have underscores."""
    program = need("pdflatex")
    ends = [
        'upper = -3, slope = 0.125, intercept = 0.375, name = "x_y_z"',
        "upper = -1, slope = 0",
        "upper = 0, slope = 1, intercept = 1",
        "upper = 1, slope = 2, intercept = 1",
        "upper = 2, slope = 0, intercept = 3",
        "upper = 3, slope = -1, intercept = 5",
        "upper = 4, slope = 0.5, intercept = 0.5",
        "slope = 1, intercept = -1.5",
    ]
    ends = ends if LONG else [*ends[:5], "slope = -1, intercept = 5"]
    pieces = ", ".join(f"{{ {end} }}" for end in ends)
    (tmp_path / "net.toml").write_text(
        f'widths = [2, 2, 2]\nactivation = "a_b_c"\nbias = true\n[[activations]]\nname = "a_b_c"\npieces = [{pieces}]\n'
    )
    derive(Network.load(tmp_path / "net.toml"), "sequential").save(tmp_path / "d.tex")
    subprocess.run([program, "-interaction=nonstopmode", "d.tex"], cwd=tmp_path, capture_output=True, check=True)
    log = (tmp_path / "d.log").read_text(errors="replace")
    assert not re.findall(r"^!.*|.*[Ww]arning.*|^(?:Over|Under)full.*", log, re.MULTILINE)


def test_a_warning_would_be_seen(tmp_path):
    """The same reading of the log, on a document that is too wide."""
    program = need("pdflatex")
    text = document(derive(Network.parse("2-2-1"))).replace(
        r"\begin{equation*}", r"\mbox{\hspace{30cm}}\begin{equation*}", 1
    )
    (tmp_path / "wide.tex").write_text(text)
    subprocess.run([program, "-interaction=nonstopmode", "wide.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert re.search(r"^Overfull", (tmp_path / "wide.log").read_text(errors="replace"), re.MULTILINE)


def test_every_equation_has_its_number_reason_and_verdict(derivation):
    text = document(derivation)
    for number, equation in enumerate(derivation, 1):
        assert text.count(rf"\tag{{{number}}}") == 1
        assert derivation.proof.verdict(equation.name).verdict.value.lower() in text
    for item in ("Assumptions", "Verdicts", r"\section{Backpropagation}"):
        assert item in text
    assert "`" not in text


def test_the_slope_at_the_kink_is_printed():
    zero, half = (document(derive(Network.parse("2-2-1"), slope_at_kink=k)) for k in (0, 0.5))
    assert r"\frac{1}{2} & \text{if } s^{(1)}_{i} = 0" not in zero
    assert r"\frac{1}{2} & \text{if } s^{(1)}_{i} = 0" in half


def test_documents_are_deterministic(order):
    a, b = (document(derive(Network.parse("2-3-2"), order)) for _ in range(2))
    assert a == b


def test_bad_places_are_refused(tmp_path):
    d = derive(Network.parse("2-2-1"))
    (tmp_path / "folder.tex").mkdir()
    (tmp_path / "link.tex").symlink_to(tmp_path / "elsewhere.tex")
    os.mkfifo(tmp_path / "pipe.tex")
    for name in ("x.docx", "x", "folder.tex", "link.tex", "pipe.tex", "none/x.tex"):
        with pytest.raises(ArgumentError) as caught:
            d.save(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.tex", "link.tex", "pipe.tex"]


# ------------------------------------------------------------------------------------------------------ options


def test_flat_names_are_those_of_the_paper():
    text = document(derive(Network.parse("2-2-1"), "sequential"), notation="paper")
    for line in (
        r"s_{1} &= w_{1} \, x_{1} + w_{2} \, x_{2}",
        r"w^{\prime}_{5} &= w_{5} - \eta \, \tfrac{\mathrm{d}E}{\mathrm{d}Y} \, v_{1}",
        r"r_{6} &= w^{\prime}_{6} + p_{6}",
    ):
        assert line in text
    assert r"\sum" not in text
    assert "carries the weight's number" in text


def test_flat_equations_are_the_indexed_ones(order):
    """Numbers put in for the names on both sides agree with the kernel."""
    import numpy as np

    d = derive(Network.parse("2-3-2", bias=True), order)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=d.network.shape(theta)) for theta in d.network.parameters]
    x, target, eta = rng.normal(size=2), rng.normal(size=2), 0.1
    after = d.compile().step(weights, x, target, eta, undefined="nan")
    known = {theta.name: w for theta, w in zip(d.network.parameters, weights, strict=True)}
    known |= {"x": x, "yg": target, "eta": np.array(eta)} | after._asdict()
    from fcsym.networks.names import flat_latex

    arrays = {a.name: a for e in d for a in (*e.operands, *([e.array] if e.defines else [])) if a.name in known}
    elements = [(array, place) for array in arrays.values() for place in np.ndindex(known[array.name].shape)]
    numbers = {flat_latex(d.network, array, place): known[array.name][place] for array, place in elements}
    assert len(numbers) == len(elements)  # no two share a name
    checked = 0
    for step in content(d, "paper").steps:
        for written in step.written:
            if not isinstance(written.rhs, Cases) and step.equation.rule is not Rule.SPLIT:
                assert _number(written.rhs, numbers) == pytest.approx(_number(written.lhs, numbers), rel=1e-9)
                checked += 1
    assert checked >= 60


def _number(node, numbers):
    from math import prod

    from fcsym.language.expression import Add, Apply, Mul, Number, Pow

    match node:
        case Number(value):
            return float(value)
        case Add(terms):
            return sum(_number(term, numbers) for term in terms)
        case Mul(factors):
            return prod(_number(factor, numbers) for factor in factors)
        case Pow(base, exponent):
            return _number(base, numbers) ** exponent
        case Apply(phi, argument, derivative):
            s = _number(argument, numbers)
            return float(phi.slope_at(s) if derivative else phi.value_at(s))
    return numbers[node.latex]


def test_flat_names_are_refused_for_large_networks():
    with pytest.raises(SizeError, match="36"):
        derive(Network.parse("3-4-4-2")).latex(notation="paper")


def test_a_reader_s_own_names_are_used(tmp_path):
    (tmp_path / "net.toml").write_text('widths = [1, 1, 1]\nnames = ["inner", "outer"]\n')
    text = derive(Network.load(tmp_path / "net.toml")).latex(notation="paper")
    assert r"s_{1} = \mathrm{inner} \, x_{1}" in text or r"s = \mathrm{inner} \, x" in text
    assert r"$\mathrm{inner} = W^{(1)}$" in text


def test_names_of_readers_look_like_nothing_else(tmp_path):
    """What would be a prime, another letter or a quantity of the derivation, were it one of ours."""
    names = ["H", "h", "a_1_b", "a_b_1", "a_new_1", "qs", "lo", "g_1_x", "W1", "mu", "Sww", "E_"]
    (tmp_path / "net.toml").write_text(f"widths = [2, 4, 1]\nnames = {names}\n")
    d = derive(Network.load(tmp_path / "net.toml"))
    flat = [flat_latex(d.network, a, p) for a in d.network.parameters for p in product(*map(range, d.network.shape(a)))]
    assert flat == [
        "H", "h", r"a_{1,\mathrm{b}}", r"a_{\mathrm{b},1}", r"a_{\mathrm{new},1}", r"\mathrm{qs}", r"\mathrm{lo}",
        r"g_{1,\mathrm{x}}", r"\mathrm{W1}", r"\mu", r"\mathrm{Sww}", r"E_{\_}",
    ]  # fmt: skip
    others = {flat_latex(d.network, e.array, (0,) * len(e.array.axes)) for e in d if e.defines}
    assert not others & set(flat)
    assert not said_of(d.latex(notation="paper"), tmp_path)
    for name in ("p", "P", "r", "v", "s", "x", "dv", "vc", "rho"):
        (tmp_path / "net.toml").write_text(f"widths = [1, 1, 1]\nnames = ['{name}', 'b']\n")
        with pytest.raises(NetworkError, match="already means something"):
            Network.load(tmp_path / "net.toml")


def test_a_summary_has_equations_and_verdicts_only(derivation):
    text = document(derivation, detail="summary")
    assert text.count(r"\tag{") >= len(derivation)
    for item in ("Uses", "Closed forms", r"\section{Verdicts}", "Paper:"):
        assert item not in text
    assert len(text) < len(document(derivation))


def test_one_quantity_comes_with_all_that_it_uses(order):
    d = derive(Network.parse("3-4-2"), order)
    text = d.latex(only="ds")
    names = ["s1", "v1", "y", "delta2", "W2_new", "g1", "delta1", "W1_new", "a0", "ds1"]
    if order == "simultaneous":
        names.remove("W2_new")
    numbers = [list(d.by_name).index(name) + 1 for name in names]
    assert sorted(map(int, re.findall(r"\\tag\{(\d+)\}", text))) == sorted(numbers)
    assert "For $P$ only" not in text
    with pytest.raises(ArgumentError):
        d.latex(only="nothing")


@pytest.mark.parametrize("option", [{"notation": "flat"}, {"detail": "more"}, {"notation": None}, {"detail": 3}])
def test_options_that_do_not_exist_are_refused(option):
    with pytest.raises(ArgumentError, match="choose"):
        derive(Network.parse("2-1")).latex(**option)


# ------------------------------------------------------------------------------------------------ closed forms


def test_closed_forms_are_those_of_the_derivation(order):
    """What is printed has the value that SymPy gives to the closed form."""
    import sympy

    d = derive(Network.parse("2-2-1"), order)
    forms = {(form.equation.lhs.latex, form.case): form for form in content(d).closed}
    assert len(forms) == 2 + 4 + 4 + 4  # W2', W1', and two cases of p and of P for two units
    values = {f"w_{n}": sympy.Rational(n, 7) for n in range(1, 7)}
    values |= {f"{name}_{n}": sympy.Rational(n + 2, 5) for name in ("x", "v", "g") for n in (1, 2)}
    values |= {"y_g": sympy.Rational(1, 3), "eta": sympy.Rational(1, 10)}
    exact = {sympy.Symbol(name, real=True): value for name, value in values.items()}
    latex = {re.sub(r"_(\d)", r"_{\1}", name): float(number) for name, number in values.items()}
    latex |= {r"\eta": 0.1, r"y^{\mathrm{g}}": 1 / 3} | {rf"\varphi'_{{{n}}}": (n + 2) / 5 for n in (1, 2)}
    for unit, weight in ((1, 5), (2, 6)):
        for name in ("p", "P"):
            for case in ("active -> active", "active -> dead"):
                form = forms[f"{name}_{{{weight}}}", case]
                true = d.expr(name, unit, case=case, keep=("v1",)).subs(exact)
                assert _number(form.equation.rhs, latex) == pytest.approx(float(true), rel=1e-12)
                assert form.verdict is Verdict.PROVED


def test_large_networks_have_no_closed_forms():
    assert content(derive(Network.parse("3-4-4-2"))).closed == ()


def test_names_are_about_as_wide_as_they_are_taken_to_be(tmp_path):
    """Those of gradients, moments, norms, positions, matrices over samples: measured by pdflatex."""
    networks = [
        Network.parse("2-2-1"),
        Network.mlp([2, 3, 2], "tanh", bias=True, output="softmax", loss="cross_entropy"),
        Network.parse("2-2-2-1").training("adam", batch="mean"),
        Network.sequential((1, 6), [Conv1d(1, 2, 3), "relu", Flatten(), Linear(8, 1)]),
    ]
    names = {formula.expression(e.lhs): formula.width(e.lhs) for network in networks for e in derive(network)}
    told = "".join(rf"\settowidth{{\w}}{{$\displaystyle {text}$}}\typeout{{W \the\w}}" + "\n" for text in names)
    head = r"\documentclass[11pt]{article}\usepackage{amsmath}\begin{document}\newlength{\w}" + "\n"
    (tmp_path / "d.tex").write_text(head + told + r"\end{document}", encoding="utf-8")
    command = [need("pdflatex"), "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    points = [float(wide) for wide in re.findall(r"^W ([\d.]+)pt", said, re.MULTILINE)]
    letter = 460.9 / formula.LINE  # what a page of this package has
    for (text, taken), true in zip(names.items(), points, strict=True):
        assert 0.5 * taken < true / letter < 1.25 * taken, text


def test_a_formula_that_is_too_wide_is_broken_everywhere_it_can_be():
    d = derive(Network.parse("2-2-1"), "sequential")
    form = next(form for form in content(d).closed if form.case == "active -> active")
    for room in (20, 30, 62):
        lines = formula.value(form.equation.rhs, room).split(r"\\")
        assert len(lines) > 1
    assert len(formula.value(form.equation.rhs, 20).split(r"\\")) > len(
        formula.value(form.equation.rhs, 62).split(r"\\")
    )
    assert formula.equation(form.equation).startswith(r"\begin{aligned}")


# ---------------------------------------------------------------------------------------------------- fragments


_MINIMAL = r"""\documentclass{article}
\usepackage{amsmath}
\begin{document}
BODY
\end{document}
"""


def errors_of(body, folder):
    """What pdflatex complains of, but for widths, in a document that has amsmath and nothing else."""
    said = said_of(_MINIMAL.replace("BODY", body), folder)
    return [line for line in said if not re.match("(Over|Under)full|LaTeX Warning: Label.* may have", line)]


FRAGMENTS = {
    "2-2-1": lambda: derive(Network.parse("2-2-1"), "sequential"),
    "sigmoids": lambda: derive(Network.parse("2-2-2", "sigmoid", True, output="sigmoid")),
    "a batch with Adam": lambda: derive(Network.parse("2-3-2", "tanh"), rule="adam", batch="mean"),
    "leaky": lambda: derive(Network.parse("3-4-4-2", "leaky_relu", True)),
    "states": lambda: scheme(Network.parse("2-3-1"), "states"),
    "collapsed": lambda: scheme(Network.parse("2-3-1"), "collapsed"),
}


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_stands_in_any_document_with_amsmath(name, tmp_path):
    made = FRAGMENTS[name]()
    text = made.latex_fragment()
    (tmp_path / "some.tex").write_text(text)
    assert not errors_of(r"Before. \input{some} After.", tmp_path)
    shown = [e for e in made.invariants] + [e for part in made.lists for e in part]
    assert text.count(r"\begin{equation} \label{fcsym:") == len(shown)
    labels = re.findall(r"\\label\{fcsym:(.*?)\}", text)
    assert len(set(labels)) == len(labels)
    assert [label.split(":")[-1] for label in labels] == [e.name for e in shown]
    for equation in shown:
        if not isinstance(equation.rhs, Cases):  # a long case table goes over several displays
            assert equation.latex() in text


def test_what_a_minimal_document_says_of_a_broken_fragment_is_heard(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        errors_of(r"\[ \nothing \]", tmp_path)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_one_equation_typesets_itself(name, tmp_path):
    """Every equation of every list, each by itself in a file that a display takes in."""
    made = FRAGMENTS[name]()
    every = [*made.invariants, *(e for part in made.lists for e in part)]
    for n, equation in enumerate(every):
        (tmp_path / f"e{n}.tex").write_text(equation.latex() + "\n")
        assert equation._repr_latex_() == rf"$\displaystyle {equation.latex()}$"
    assert not errors_of("\n".join(rf"\[ \input{{e{n}}} \]" for n in range(len(every))), tmp_path)


def test_an_equation_is_the_one_of_the_list(order):
    """The record has no printer; what a derivation gives out is the same equation, and the same object each time."""
    from fcsym.deriving.pipeline import one_step
    from fcsym.language.equation import Equation

    net = Network.parse("2-3-2", "tanh")
    d, record = derive(net, order), one_step(net, order)
    assert d["p"].latex().startswith("p_{kj} = ")
    assert d["p"] is d.by_name["p"] is next(e for e in d if e.name == "p")
    assert d.equations == record.equations and record.equations == d.equations
    assert [hash(e) for e in d] == [hash(e) for e in record]
    assert d["p"] != d["r"] and d["p"] != "p"
    assert not hasattr(Equation, "latex") and not hasattr(record["p"], "latex")
    assert derive(net, order) == d


def test_a_fragment_has_what_leads_to_one_quantity(order):
    d = derive(Network.parse("2-2-1"), order)
    text = d.latex_fragment(only="ds")
    names = re.findall(r"\\label\{fcsym:(.*?)\}", text)
    assert names == [step.equation.name for step in content(d, only="ds").steps] and "p" not in names
    assert r"\documentclass" not in text and r"\tag" not in text and r"\eqn" not in text
    assert r"w_{5}" in d.latex_fragment(notation="paper", only="p")
    s = scheme(Network.parse("2-2-1"), "states", order)
    assert re.findall(r"\\textbf\{(\w+)\}", s.latex_fragment()) == ["init", "step", "output", "expand"]
    step = re.findall(r"\\label\{fcsym:(.*?)\}", s.latex_fragment(only="step"))
    assert step and all(label.startswith("step:") for label in step)
    with pytest.raises(ArgumentError):
        d.latex_fragment(only="nothing")


def test_a_fragment_is_written_by_command(tmp_path, capsys):
    from fcsym.cli import main

    file = tmp_path / "x.tex"
    job = ["derive", "2-2-1", "--trials", "5", "--only", "ds"]
    assert main([*job, "-o", str(file), "--fragment"]) == 0
    assert file.read_text() == derive(Network.parse("2-2-1")).latex_fragment(only="ds")
    assert main([*job[:4], "-o", str(file), "--fragment", "--scheme", "states", "--notation", "paper"]) == 0
    assert file.read_text() == scheme(Network.parse("2-2-1"), "states").latex_fragment(notation="paper")
    capsys.readouterr()
    for wrong, said in (
        (["--fragment"], "name the file with -o"),
        (["--fragment", "-o", str(tmp_path / "y.html")], "is no LaTeX file"),
    ):
        assert main([*job, *wrong]) == 2
        assert said in capsys.readouterr().err
    assert [made.name for made in tmp_path.iterdir()] == ["x.tex"]


# ---------------------------------------------------------------------------------------------------------- PDF


def test_a_pdf_is_written_and_is_the_same_each_time(tmp_path):
    need("pdflatex")
    d = derive(Network.parse("2-2-1"), "sequential")
    first, second = (d.save(tmp_path / f"{name}.pdf", detail="summary").read_bytes() for name in "ab")
    assert first == second
    assert first.startswith(b"%PDF-")
    assert b"Date" not in first
    assert str(tmp_path).encode() not in first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


def test_without_an_engine_one_sentence(tmp_path, monkeypatch):
    d = derive(Network.parse("2-1"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="pdflatex or tectonic") as caught:
        d.save(tmp_path / "x.pdf")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_document_runs_nothing(tmp_path, monkeypatch):
    """LaTeX can start programs and write elsewhere, and is told not to, whatever a document says."""
    need("pdflatex")
    from fcsym.render.pdf import compiled

    place = tmp_path / "written"
    text = r"\documentclass{article}\begin{document}\immediate\write18{touch PLACE}x\end{document}"
    text = text.replace("PLACE", str(place))
    assert compiled(text).startswith(b"%PDF-")
    assert not place.exists()
    wide = text.replace(r"\immediate\write18{touch", r"\newwrite\f\immediate\openout\f=").replace("}x", ".tex x")
    with pytest.raises(CompileError):
        compiled(wide)
    assert not place.with_suffix(".tex").exists()


@pytest.mark.parametrize("name", ["pdflatex", "tectonic"])
def test_either_engine_will_do_and_its_failure_is_told(name, tmp_path, monkeypatch):
    bin_, out = tmp_path / "bin", tmp_path / "out"
    bin_.mkdir()
    out.mkdir()
    engine = bin_ / name
    d = derive(Network.parse("2-1"))
    d.proof  # noqa: B018  # before the path is taken away
    monkeypatch.setenv("PATH", f"{bin_}")
    for script, said in (
        ("echo %PDF- > derivation.pdf", None),
        ("echo '! Emergency stop.' > derivation.log; exit 1", "Emergency stop"),
        ("echo half > derivation.pdf; exit 1", "made no PDF"),
    ):
        engine.write_text(f"#!/bin/sh\n{script}\n")
        engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
        if said is None:
            assert d.save(out / "x.pdf").read_bytes() == b"%PDF-\n"
        else:
            with pytest.raises(CompileError, match=said):
                d.save(out / "y.pdf")
    with pytest.raises(CompileError):
        d.save(out / "x.pdf")
    assert (out / "x.pdf").read_bytes() == b"%PDF-\n"  # what was there before
    assert [made.name for made in out.iterdir()] == ["x.pdf"]
