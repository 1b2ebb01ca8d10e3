"""What a certificate rests on and what is said of it, without Coq.

Each takes a fraction of a second, so that a fault in any part of a certificate is seen by a test that is quick.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from sympy import Symbol
from sympy.parsing.sympy_parser import parse_expr

import fcsym
from fcsym import Conv1d, Dense, Dropout, Flatten, LayerNorm, Linear, Network, certificates
from fcsym.certificates import certificate_of, checking
from fcsym.certificates import file as certificate_file
from fcsym.certificates.adjoints import _stands_for_more
from fcsym.certificates.equations import Equations
from fcsym.certificates.file import Certificate, _short
from fcsym.certificates.functions import slope_function
from fcsym.certificates.grouped import Grouped
from fcsym.certificates.named import _of_one
from fcsym.certificates.opened import Opened
from fcsym.certificates.orders import in_order_of
from fcsym.certificates.pieces import Pieces
from fcsym.certificates.printer import Printer
from fcsym.certificates.statement import Statement
from fcsym.checking.functions import phi_of, slope_of
from fcsym.errors import ArgumentError
from fcsym.language.activation import smooth
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule
from fcsym.language.expression import Add, Apply, Array, Axis, Expr, Index, Mul, Role, Total, add, mul, power, total
from fcsym.language.instance import Instance, exact_field
from fcsym.machine.programs import Ended
from fcsym.networks.symbols import increment_of

TEXT = "Theorem first : 0 = 0.\nProof.\nring. Qed.\nLemma second : 1 = 2.\nProof. ring. Qed.\n"
RESTS = "Axioms:\nClassicalDedekindReals.sig_forall_dec : forall P\nClassical_Prop.classic\n"
FALSE = 'File "./certificate.v", line 5, characters 7-11:\nError: Tactic failure: not a ring equation.\n'
WHY = "it checks Coq's own library of the reals as well, which takes it some 30 s whatever the certificate is"
ENDS = {
    "accepted by both": ((0, RESTS, ""), (0, "", ""), ""),
    "accepted, resting on nothing": ((0, "Closed under the global context\n", ""), (0, "", ""), ""),
    "too slow": ((None, "", ""), None, "it did not finish within 100 s"),
    "an error": ((1, "", FALSE), None, "second: Tactic failure: not a ring equation."),
    "an error above": ((1, "", FALSE.replace("5,", "3,")), None, "first: Tactic failure: not a ring equation."),
    "an error nowhere": ((1, "", " out of memory \n"), None, "out of memory"),
    "an axiom of its own": ((0, f"{RESTS}mine : False\n", ""), None, "it rests on mine"),
    "silent": ((0, "", ""), None, "it did not say what the theorems rest on"),
    "slow on its own": (
        (0, RESTS, ""), (None, "", ""),
        f"coqchk did not finish within the 70 s that were left: {WHY}",
    ),
    "refused on its own": ((0, RESTS, ""), (1, "", " Fatal \n"), "coqchk: Fatal"),
}  # fmt: skip
"""What coqc ends with, what coqchk ends with where it is asked, and why the certificate is not accepted."""


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_what_coq_ends_with_is_what_is_said(end, independent, monkeypatch):
    """Coqc takes 30 s of 100: what is left is for coqchk, which is asked where it is wanted and nothing was wrong."""
    first, second, why = ENDS[end]
    clock, asked = [1000.0], []

    def run(command, seconds, folder):
        assert (folder / "certificate.v").read_text(encoding="utf-8") == TEXT
        asked.append((command[0], seconds))
        clock[0] += 30
        return Ended(*(first if command[0] == "coqc" else second))

    monkeypatch.setattr(checking, "run", run)
    monkeypatch.setattr(checking, "coq", lambda program="coqc": program)
    monkeypatch.setattr(checking, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    made = Certificate(TEXT, 2, 2, ())
    said = checking.checked(made, max_seconds=100, independent=independent)
    both = independent and second is not None
    assert asked == [("coqc", 100), ("coqchk", 70)][: 1 + both]
    assert said.said == (why if both or second is None else "")
    assert (said.accepted, said.independent, said.seconds) == (not said.said, both and not why, 60 if both else 30)
    resting = first[1].startswith("Axioms")
    assert set(said.axioms) - {"mine"} == (checking.AXIOMS & set(RESTS.split()) if resting else set())


@pytest.mark.parametrize("given", [0, -1, 1e6, True, "1", None, float("nan")])
def test_seconds_are_a_number_above_0(given):
    with pytest.raises(checking.ArgumentError, match=r"max_seconds is .*: give a number of seconds above 0"):
        checking.checked(Certificate(TEXT, 2, 2, ()), max_seconds=given)


def test_a_row_without_a_value_is_certified_where_a_unit_has_left_its_piece_and_nowhere_else():
    """Where the row's last condition is about anything but the extremes of a piece, no theorem says it."""
    s = fcsym.scheme(Network.mlp([1, 1, 1]), "collapsed")
    routine = s.routines["step"]
    y = routine.equations[[e.name for e in routine.equations].index("y")]
    (size,) = [e.lhs for e in s.routines["init"].equations if e.name == "c0"]
    rows = [row for row in y.rhs if row.value is None]
    assert len(rows) == 2 and s.certificate().certified == s.certificate().statements
    for row in rows:
        other = replace(row, when=(*row.when[:-1], replace(row.when[-1], subject=size)))
        wrong = replace(y, rhs=Cases(tuple(other if r is row else r for r in y.rhs)))
        parts = {
            part: replace(of, equations=tuple(wrong if e == y else e for e in of.equations))
            for part, of in s.routines.items()
        }
        made = certificate_of(replace(s, routines=parts))
        assert made.statements - made.certified == 2
        for part in ("step", "output"):
            assert f"not certified: {part}: y, {row.name}" in made.text


@pytest.mark.parametrize("slope", ["0", "1/2", "1"])
@pytest.mark.parametrize("phi", ["relu", "leaky_relu"])
def test_that_no_unit_starts_on_the_kink_is_assumed_where_it_would_not_stay_there(phi, slope):
    """It stays where the slope there is 0: then no gradient reaches it, and nothing is assumed of it."""
    text = fcsym.scheme(Network.mlp([1, 1, 1], phi), "collapsed", slope_at_kink=slope).certificate().text
    for said in ("Hypothesis nonzero_at_start : forall j, ", "pose proof (nonzero_at_start j J_); "):
        assert text.count(said) == (slope != "0")


BIASED, ONE = Network.mlp([1, 1, 1], bias=True), {"batch": "mean", "samples": 1}
WINDOW = Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(1, 1)], input=(1, 2))
DEAD = {
    "alone": (BIASED, {}, None),
    "frozen bias": (BIASED.frozen("b1"), {}, None),
    "shared bias": (BIASED.shared("b1"), {}, 1),
    "shared bias, frozen": (BIASED.shared("b1").frozen("b1"), {}, None),
    "shared bias, frozen weights": (BIASED.shared("b1").frozen("W1"), {}, 1),
    "two layers": (Network.mlp([1, 1, 1, 1]), {}, 2),
    "above": (Network.mlp([1, 1, 1, 1]).frozen("W1"), {}, None),
    "above, with a shared bias": (Network.mlp([1, 1, 1, 1], bias=True).shared("b2").frozen("W1", "b1"), {}, 2),
    "one sample of a batch": (Network.mlp([1, 1, 1]), ONE, 1),
    "one window": (WINDOW, {}, 1),
    "one window, in sequence": (WINDOW, {"order": "sequential"}, 1),
    "one position": (Network.sequential((1, 1), [Linear(1, 1), "relu", Flatten(), Linear(1, 1)]), {}, 1),
    "one of layers": (Network([Dense(1), "relu", Dropout(0.5), Dense(1)], input=(1,)), {}, None),
    "one of layers, and one sample": (Network([Dense(1), "relu", Dropout(0.5), Dense(1)], input=(1,)), ONE, 1),
}
"""And the layer whose dead units stay dead at these widths, but not at every one: they have a way round their gate."""


@pytest.mark.parametrize("name", DEAD)
def test_a_dead_unit_stays_dead_at_every_width_where_its_gate_alone_moves_it(name):
    """And p exists for every unit where it does; else these theorems are open for that reason."""
    network, setting, layer = DEAD[name]
    made = certificate_of(fcsym.derive(network, **setting))
    open_ = {
        theorem for theorem, reason in made.admitted if reason.endswith(" decided it with z3; at every width it may")
    }
    of_sample = setting.get("batch")  # whose p is another one
    assert open_ == {theorem for theorem, _ in made.admitted}
    assert open_ == ({f"dv{layer}_case_4_never"} | (set() if of_sample else {"p_is_defined"}) if layer else set())
    for theorem in ("dv1_case_4_never", *open_):
        said = made.text.partition(f"Theorem {theorem} : ")[2]
        assert said.startswith("n_" if theorem in open_ else "forall (i : nat), s1 i <= 0 -> 0 < s1' i -> False.")


def reversed_by_axis(node):
    """The same sums, with those over one axis in the other order."""
    match node:
        case Total(over, body):
            left = list(over[::-1])
            return Total(tuple(left.pop([i.axis for i in left].index(index.axis)) for index in over), body)
        case Mul(factors):
            return mul(*map(reversed_by_axis, factors))
        case Add(terms):
            return add(*map(reversed_by_axis, terms))
    return node


def test_sums_stand_in_the_order_of_the_network_whatever_their_own_is(monkeypatch):
    """Over the axes that a sum has more than once: a proof takes one sum of both sides after the other."""
    found, aligned = [], Grouped.aligned

    def seen(self, e, meaning):
        made = aligned(self, e, meaning)
        if isinstance(e.rhs, Expr) and (other := replace(e, rhs=reversed_by_axis(e.rhs))) != e:
            found.append((made, aligned(self, other, meaning), other))
        return made

    monkeypatch.setattr(Grouped, "aligned", seen)
    fcsym.scheme(Network.mlp([2, 3, 2]), "collapsed", order="sequential").certificate()
    assert {made.name for made, _, _ in found} >= {"S1_new", "S2_new", "S3_new"}
    for made, other, given in found:
        assert made == other != given


@pytest.mark.parametrize("lines", [1, 59, 60, 61, 100, 240])
def test_what_must_be_believed_has_at_most_60_lines_and_is_all_there(lines):
    """As they are where they are so few; else neighbours share one, but for a comment, which begins a line."""
    given = ["(* said *)" if n % 9 == 0 else f"Variable a{n} : R." for n in range(lines)]
    made = _short(given)
    assert len(made) <= 60
    assert list(made) == given if lines <= 60 else len(made) < lines
    assert " ".join(made) == " ".join(given)
    assert all(line.startswith("(*") for line in made if "(*" in line)


SLOPES = {
    "softplus": "sigmoid", "exp": "exp", "sigmoid": None, "tanh": None, "log": None, "sqrt": None, "gelu": None,
    "2*s + exp(s)": None, "log(1 + exp(s))": "sigmoid",
}  # fmt: skip
"""Of functions of the language, and of some of one's own: what the slope is, where it is one of the language."""


@pytest.mark.parametrize("name", SLOPES)
def test_the_function_that_a_slope_is_is_its_slope(name):
    """Where there is one, at some numbers, beside automatic differentiation; a power of s is none."""
    phi = smooth(name) if name.isalpha() else smooth("own", parse_expr(name, {"s": Symbol("s", real=True)}))
    found = slope_function(phi)
    assert (found and found.name) == SLOPES[name]
    if found:
        at = np.array([-1.5, 0.25, 2.0])
        assert np.allclose(phi_of(found, at), slope_of(phi, at), rtol=1e-13)


OF_LAYERS = {
    "all": (Network.mlp([1, 1, 1, 1], bias=True), {"W2", "b2"}),
    "frozen bias": (Network.mlp([1, 1, 1, 1], bias=True).frozen("b2"), {"W2"}),
    "shared bias": (Network.mlp([1, 1, 1], bias=True).shared("b1"), {"W1", "b1"}),
}
"""What of the last hidden layer is trained, where its units are moved by what is below or by what they share."""


@pytest.mark.parametrize("name", OF_LAYERS)
def test_what_a_unit_moves_by_in_p_is_proved_from_what_its_own_layer_trains(name):
    """And from the parameters of no layer below, in sequential order, where the last weights are as they are."""
    network, trained = OF_LAYERS[name]
    text = certificate_of(fcsym.derive(network, "sequential")).text
    script = text.partition("Theorem ds_at_the_step : ")[2].partition("Proof. ")[2].partition("Qed.")[0]
    assert "rewrite eq_kappa, eq_alpha" in script
    assert set(re.findall(r"\b([Wb]\d)'", script)) == trained


NAMED = {
    "two outputs": (Network.mlp([1, 2, 2]), {"rho"}),
    "three layers": (Network.mlp([1, 2, 2, 1], bias=True), {"kappa", "alpha"}),
    "three layers, two outputs": (Network.mlp([1, 2, 2, 2]), {"rho", "kappa", "alpha"}),
    "shared bias": (Network.mlp([1, 3, 2], bias=True).shared("b1"), {"rho", "kappa", "alpha"}),
    "shared bias above": (Network.mlp([1, 2, 3, 1], bias=True).shared("b2"), {"kappa", "alpha"}),
}
"""What P holds constant, by the names that a derivation has for it."""


@pytest.mark.parametrize("name", NAMED)
def test_what_p_holds_constant_is_what_the_derivation_has_proved(name, order):
    """At numbers that are drawn for every array; what follows from others is that."""
    network, wanted = NAMED[name]
    d = fcsym.derive(network, order)
    stated = {e.name: e for e in _of_one(network, order)}

    def leaf(array, position):
        if array.role is Role.NORM:  # of what a layer reads
            return at.right_side(d[array.name], position)
        if array.after and (now := array.unprimed).role is Role.ACTIVATION:
            return leaf(now, position) + leaf(increment_of(now), position)
        return Fraction(random.Random(f"{array.name}{position}").randint(-30, 30), 7)

    at = Instance({}, network.sizes, leaf, exact_field())
    for known in wanted:
        for position in product(*(range(network.sizes[axis]) for axis in d[known].array.axes)):
            assert at.right_side(stated[known], position) == at.right_side(d[known], position), (known, position)


S_AXIS = Axis("s")
K, J, M, N = (Index(S_AXIS, letter) for letter in "kjmn")
P, Q = (Array(name, None, (S_AXIS,)) for name in "PQ")
ORDERS = {
    "other factors first": (total([K, J], mul(P[K], Q[J])), total([M, N], mul(Q[M], P[N])), (J, K)),
    "as they are": (total([K, J], mul(P[K], Q[J])), total([M, N], mul(P[M], Q[N])), (K, J)),
    "one of them twice": (total([K, J], mul(P[K], P[J], Q[J])), total([M, N], mul(P[M], Q[M], P[N])), (J, K)),
    "a square": (total([K, J], mul(power(P[K], 2), Q[J])), total([M, N], mul(Q[M], power(P[N], 2))), (J, K)),
    "in a product": (mul(2, total([K, J], mul(P[K], Q[J]))), total([M, N], mul(Q[M], P[N])), (J, K)),
    "of something else": (total([K, J], mul(P[K], Q[J])), total([M, N], mul(Q[M], Q[N])), (K, J)),
    "with less in it": (total([K, J], mul(P[K], Q[J])), total([M, N], mul(Q[M], P[N], P[N])), (K, J)),
}
"""A sum, another one, and the order that the first has when it has that of the other."""


@pytest.mark.parametrize("name", ORDERS)
def test_a_sum_has_the_order_of_another_one_that_is_the_same(name):
    node, other, wanted = ORDERS[name]
    made = in_order_of(node, other, lambda term: term, lambda ref: (ref.array, ref.indices))
    (whole,) = [f for f in (made.factors if isinstance(made, Mul) else (made,)) if isinstance(f, Total)]
    (given,) = [f for f in (node.factors if isinstance(node, Mul) else (node,)) if isinstance(f, Total)]
    assert whole.over == wanted and whole.body == given.body


# ------------------------------------------------------------------------------------ what is assumed, and looked into

SOFTMAX = Network.mlp([1, 1, 2], output="softmax", loss="cross_entropy")
STEPS = {
    "softmax": (SOFTMAX, {}),
    "a mean": (Network.mlp([1, 1, 1]), {"batch": "mean"}),
    "adam": (Network.mlp([1, 1, 1]), {"rule": "adam"}),
    "normalised": (Network([Linear(2, 2), LayerNorm(2), "relu", Linear(2, 1)], input=(2,)), {}),
}
HELD = {"tau", "N"}
"""What no parameter moves: a greatest value, which is held where it is taken out, and a number of samples."""


@pytest.mark.parametrize("name", STEPS)
def test_what_is_divided_by_is_assumed_not_to_be_0_where_a_change_is_divided_and_nowhere_else(name):
    """A value that is a quotient is that quotient whatever is divided by; and what is held has no derivative."""
    network, setting = STEPS[name]
    text = certificate_of(fcsym.derive(network, **setting)).text
    said = dict(re.findall(r"^Theorem eq_([\w']+) : (.*)$", text, re.MULTILINE))
    assert {array for array, statement in said.items() if "->" in statement and "_when" not in array} == (
        {"dxi2"} if name == "normalised" else set()
    )
    assert any(" / " in statement and "->" not in statement for statement in said.values())
    moving = set(re.findall(r"\b(\w+)_more_dot\b", text))
    assert {"s1", "y"} <= moving and not moving & HELD
    assert not {f"adj_{array}" for array in HELD} & set(re.findall(r"\badj_\w+", text))


def test_what_a_greatest_value_is_taken_out_of_is_open_until_it_is_put_back(monkeypatch):
    """By numbers: what is another one where another number is taken out, and what is not, though it is made of it."""
    made, own = [], certificate_file.Curves
    monkeypatch.setattr(certificate_file, "Curves", lambda *given: made.append(own(*given)) or made[0])
    certificate_of(fcsym.derive(SOFTMAX))

    def values(tau):
        s2, target = np.array([0.5, -1.25]), np.array([0.25, 0.75])
        zeta = s2 - tau
        z = np.exp(zeta).sum()
        error = tau - target @ s2 + np.log(z)
        return {"zeta": zeta, "psi": np.exp(zeta), "Z": z, "y": np.exp(zeta) / z, "E": error}

    one, other = values(0.5), values(2.0)
    same = {name for name in one if np.allclose(one[name], other[name], rtol=1e-13)}
    assert {e.name for e in made[0]._open} == set(one) - same == {"zeta", "psi", "Z"}
    assert {e.name for e in made[0]._closing} == same


def test_a_value_stands_for_more_where_it_is_a_function_or_a_quotient():
    """There reverse mode writes the value: y for psi/Z, and psi for exp(zeta)."""
    p, q = (Array(name, None, (S_AXIS,))[J] for name in "pq")
    for node, wanted in (
        (Apply(smooth("exp"), p), True), (mul(p, power(q, -1)), True), (power(add(p, q), -2), True),
        (total([J], mul(p, power(q, -1))), True), (mul(p, q), False), (power(p, 2), False), (add(p, q), False),
    ):  # fmt: skip
        assert _stands_for_more(node) is wanted, node


SCHEMES = {
    "states": (Network.mlp([2, 2, 1]), "states", {}),
    "states with biases": (Network.mlp([2, 2, 2], bias=True), "states", {}),
    "states of a batch": (Network.mlp([2, 2, 1]), "states", {"batch": "mean", "samples": 2}),
    "compensation": (Network.mlp([2, 2, 1], bias=True), "compensation", {}),
    "weights": (Network.mlp([2, 2, 1]), "weights", {}),
    "collapsed": (Network.mlp([2, 2, 1]), "collapsed", {"batch": "mean", "samples": 2}),
}


@pytest.fixture(scope="module")
def texts():
    """The certificates by name, each made once."""

    @cache
    def made(name):
        network, scheme, own = SCHEMES[name]
        return fcsym.scheme(network, scheme, **own).certificate().text

    return made


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_assumed_of_a_state_is_about_what_is_carried(name, texts):
    """What the network's own data are made of is proved; and is put in without saying more where nothing is divided."""
    carried = texts(name).partition("Section carried.")[2].partition("End carried.")[0]
    variables = {
        one for line in re.findall(r"^Variables (.*)$", carried, re.MULTILINE)
        for names in re.findall(r"\(([\w' ]+) :", line) for one in names.split()
    }  # fmt: skip
    meanings = dict(re.findall(r"^(?:Hypothesis|Theorem) M_([\w']+) : (.*)$", carried, re.MULTILINE))
    for said in re.findall(r"^Hypothesis M_[\w']+ : (.*)$", carried, re.MULTILINE):
        assert variables & set(re.findall(r"[\w']+", said)), said
    kept = re.findall(r"^Theorem kept_.*\nProof\. (.*)$", carried, re.MULTILINE)
    put_in = {array for script in kept for array in re.findall(r"rewrite \?M_([\w']+);", script)}
    assert meanings and kept and not {array for array in put_in if "<> 0" in meanings.get(array, "<> 0")}


@pytest.mark.parametrize("name", SCHEMES)
def test_the_start_says_what_has_not_moved_and_what_is_given(name, texts):
    """A number, of what a step adds up; the weights themselves, of those that are kept."""
    found = re.findall(
        r"^\(\* (nothing has moved|as it is given) \*\)\nDefinition .*:= (.*)\.$", texts(name), re.MULTILINE
    )
    assert found
    for said, value in found:
        assert (said == "nothing has moved") is value.isdigit(), value


@pytest.mark.parametrize("name", ["states", "states with biases"])
def test_an_input_of_length_0_is_thought_of_where_inputs_are_divided_by_their_size(name, texts):
    """With a bias it is no shorter than 1; what has no size is proved without."""
    script = texts(name).partition("Theorem start_a0 : ")[2].partition("\nProof. ")[2].partition(" Qed.")[0]
    assert ("destruct (Req_EM_T c0_0 0)" in script) is (name == "states")
    assert ("assert (C_ : c0_0 <> 0)" in script) is (name != "states")
    other = texts(name).partition("Theorem start_W1 : ")[2].partition(" Qed.")[0]
    assert "c0_0" not in other and "sums" in other


def test_a_value_is_looked_into_where_it_is_asked_about_or_made_of_what_is_not_carried():
    """And what it is made of is not, as long as that is carried."""
    network = Network.mlp([1, 1, 1, 1])
    statement = Statement(network, "simultaneous")
    s1, v1, y = network.hidden[0].s, network.hidden[0].v, network.output
    every = Opened(statement, {}, ())
    for array in (s1, v1, y):
        assert every.arrays((array,)) == [(array, True)]
        assert every.arrays((), (array,)) == []
    without = Opened(statement, {}, (network.parameters[0],))
    assert without.arrays((), (s1,)) == [(s1, True)] and without.arrays((), (v1, y)) == []
    assert without.arrays((y,)) == [(y, True)]
    change = increment_of(s1)  # is what is after the step less what is before it, and neither is made here
    found = every.arrays((change,))
    assert found[0] == (change, False) and {(s1, True), (s1.primed, True)} <= set(found)
    made = [array for array, _ in found]
    after = network.parameters[0].primed
    assert (after, False) in found and made.index(s1.primed) < made.index(after)


def test_a_value_that_no_step_moves_is_looked_into_too():
    """Of frozen weights: it is what it was, and has no value after the step of its own."""
    network = Network([Linear(1, 1), "relu", Dropout(0.5), Linear(1, 1)], input=(1,)).frozen("W1", "b1")
    statement = Statement(network, "simultaneous")
    first, second = [e.array for e in statement.forward if e.array.role is Role.PRE_ACTIVATION]
    assert first not in statement.moving and second in statement.moving
    every = Opened(statement, {}, ())
    assert every.arrays((first,)) == [(first, True)] and every.arrays((first.primed,)) == []
    assert (second.primed, True) in every.arrays((second.primed,))


def test_what_is_divided_by_is_said_of_elements_that_the_change_itself_has():
    """One with the same indices, or with fewer; none that is summed over, and nothing of what is no change."""
    network = Network.mlp([1, 2, 1])
    statement = Statement(network, "simultaneous")
    s1, change = network.hidden[0].s, increment_of(network.hidden[0].s)
    other, several, one = (
        Array(name, None, axes) for name, axes in (("q", s1.axes), ("r", (*s1.axes, S_AXIS)), ("u", ()))
    )
    i = Index(s1.axes[0], "i")
    printer = Printer([s1, change, other, several, one])
    unseen = SimpleNamespace(seen=lambda array: None)

    def said(*divisors, of=change, signs=unseen):
        whole = add(*(power(d, -1) for d in divisors)) if divisors else one[()]
        e = Equation(of[i], whole, Rule.INCREMENT, "")
        return Equations(statement, printer, {}, None, {}, signs)._divided(e)

    within = f"(i < {printer.width(i.axis)})%nat -> "
    assert said(other[i]) == (f"{within}q i <> 0 -> ", "")
    assert said(one[()]) == (f"{within}u <> 0 -> ", "")
    assert said(other[i], one[()]) == (f"{within}q i <> 0 -> u <> 0 -> ", "")
    assert said(several[i, K]) == said() == said(other[i], of=s1) == said(other[i], signs=None) == ("", "")
    seen = SimpleNamespace(seen=lambda array: [])
    assert said(other[i], signs=seen) == (within, "assert (q i <> 0) by (apply (nonzero_q i); assumption); ")
    assert said(one[()], signs=seen) == (within, "assert (u <> 0) by (apply (nonzero_u); assumption); ")


def test_only_a_derivation_or_a_whole_scheme_has_a_certificate_and_coq_is_asked_about_that_one(monkeypatch):
    network, asked = Network.mlp([1, 1, 1]), []
    d = fcsym.derive(network)
    for other in (fcsym.gradient(network), fcsym.gradient(network, "y", "x")):
        with pytest.raises(ArgumentError, match="has no certificate yet: certify a derivation"):
            certificate_of(other)
    monkeypatch.setattr(certificates, "checked", lambda made, **own: asked.append((made.text, own)) or "found")
    assert certificates.certify(d, max_seconds=7, independent=True) == "found"
    assert asked == [(certificate_of(d).text, {"max_seconds": 7, "independent": True})]


def test_a_file_is_written_where_coq_takes_it(tmp_path):
    d, place = fcsym.derive(Network.mlp([1, 1])), tmp_path / "proof1.v"
    assert certificates.writable(d, place) == certificates.writable_place(str(place)) == place and not place.exists()
    assert certificates.save(d, place) == place and place.read_text("utf-8") == certificate_of(d).text
    for name, said in (("proof.txt", "no Coq file"), ("a-b.v", "refused by Coq"), ("1a.v", "refused by Coq")):
        with pytest.raises(ArgumentError, match=said):
            certificates.writable(d, tmp_path / name)


def test_where_its_functions_are_defined_an_equation_is_its_only_row_with_a_value():
    k, p, q = Index(S_AXIS, "k"), *(Array(name, None, (S_AXIS,)) for name in "pq")
    plain = Equation(p[k], q[k], Rule.DEFINITION, "so")
    assert Pieces.defined(plain) is plain
    rows = Cases((Branch("off", (Condition(q[k], "<="),), None), Branch("on", (Condition(q[k], ">"),), mul(2, q[k]))))
    assert Pieces.defined(Equation(p[k], rows, Rule.CASES, "by")) == Equation(p[k], mul(2, q[k]), Rule.CASES, "by")
