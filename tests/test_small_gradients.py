"""Proofs of derivatives by name on the smallest networks: who says what, and that nothing false is said.

Each takes a fraction of a second, so that a fault in any part of such a proof is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from test_small_proofs import HAT, changed

import fcsym
from fcsym import Conv1d, Flatten, LayerNorm, Linear, Network, Residual
from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import smooth
from fcsym.language.equation import Rule, Verdict
from fcsym.language.expression import ONE, ZERO, Array, mul
from fcsym.language.findings import Counterexample
from fcsym.networks.symbols import ERROR
from fcsym.proof import _Examiner
from fcsym.proof.derivatives_of_layers import LayersExaminer
from fcsym.proof.expanded import Expansion
from fcsym.proof.once import Examiner
from fcsym.proof.twice import TwiceExaminer, _bend

mlp = Network.mlp
BESIDE = Network.sequential((1,), [Residual([Linear(1, 1)]), "tanh", Linear(1, 1)])
CONV = Network([Conv1d(1, 1, 2), "relu", Flatten(), Linear(2, 1)], input=(1, 3))
ONCE = {
    "of the error": (mlp([1, 1, 1], "tanh", bias=True), "E", "W1,b2,x"),
    "of two outputs": (mlp([1, 1, 2]), "y", "W1,x,W2"),
    "of pieces": (mlp([1, 1, 1, 1], HAT, output="sigmoid", loss="bce"), "E", "x,W1"),
    "of relus": (mlp([1, 1, 1, 1], bias=True, output=HAT, loss="l1"), "E", "W1,b1"),
    "of a softmax": (mlp([1, 1, 2], output="softmax", loss="cross_entropy"), "E", "W2,W1"),
    "of hinges": (mlp([1, 1, 2], loss="hinge"), "E", "W2,W1"),
    "of layers": (BESIDE, "E", "W1,x"),
    "of an output of layers": (BESIDE, "y", "W1,x"),
    "of a norm": (Network.sequential((2,), [LayerNorm(2), Linear(2, 1)]), "E", "x"),
    "of windows": (CONV, "E", "W1,b1,x"),
}
TWICE = {
    "by W1 and more": (mlp([1, 1, 1], "tanh"), "dE_dW1", "W1,W2,x", None),
    "of pieces": (mlp([1, 1, 1], HAT), "dE_dW1", "W1,W2,x", None),
    "of linear units": (mlp([1, 1, 1], "identity"), "E", "W1", "W1,W2"),
    "with a bias": (mlp([1, 1, 1], "softplus", bias=True), "dE_db1", "b1,x", None),
    "with a loss of functions": (mlp([1, 1, 1], output="sigmoid", loss="bce"), "dE_dW2", "W2,W1", None),
    "along everything": (mlp([1, 1, 1], "tanh"), "E", "W1,x", "W1,W2,x"),
    "along weights of a softmax": (mlp([1, 1, 2], output="softmax", loss="cross_entropy"), "E", "W2", "W1"),
    "along weights of relus": (mlp([1, 1, 1, 1], loss="huber"), "E", "W2", "W1,x"),
    "of layers": (BESIDE, "dE_dW1", "W1,W4", None),
    "of layers, along everything": (BESIDE, "E", "W1,W4", "W1,x,W4"),
    "of windows, along weights": (CONV, "E", "W1", "W1"),
}
LISTS = {name: (*given, None) for name, given in ONCE.items()} | {f"twice: {n}": given for n, given in TWICE.items()}
BY_FRACTIONS = (
    "of two outputs", "of relus", "of hinges", "of windows", "twice: of pieces", "twice: of linear units",
    "twice: along weights of relus",
    "twice: of windows, along weights",
)  # fmt: skip
"""Where no function is smooth."""
POINT = "identical at random points"


@cache
def listed(name):
    network, of, by, along = LISTS[name]
    return fcsym.gradient(network, of, by, along=along)


@pytest.mark.parametrize("name", LISTS)
def test_derivatives_by_name_are_proved_by_both(name):
    """Of layers, second derivatives and those of an output are decided in index notation alone, and that is said."""
    g = listed(name)
    assert g.proof.holds, g.proof
    layers = g.network.built is not None
    for f in g.proof.findings:
        rule = g.by_name[f.equation].rule
        assert f.verdict is (Verdict.DEFINITION if rule is Rule.DEFINITION else Verdict.PROVED)
        second = f.equation.startswith("d2") or f.equation in ("dE_dT", "dgv2")
        divides = name == "of a norm" and f.equation in ("xi1", "dE_dz1")  # a sum of exp is never 0
        assert {c.subject.array.name for c in f.where} == ({"sigma1"} if divides else set())
        assert (f.index, f.expanded) == ("identical", "" if layers and (second or "y" in g.of) else POINT), f
    assert ("random point" in g.proof.method) is any(f.expanded for f in g.proof.findings)
    assert ("in index notation" in g.proof.method) is any(not f.expanded for f in g.proof.findings)


@pytest.mark.parametrize("name", LISTS)
def test_derivatives_that_are_changed_are_not_proved(name):
    """Every fourth equation, others in every list; where second derivatives rest on it, they are not proved, either."""
    g = listed(name)
    for place, equation in list(enumerate(g.equations))[list(LISTS).index(name) % 4 :: 4]:
        wrong = changed(equation)
        proof = replace(g, equations=(*g.equations[:place], wrong, *g.equations[place + 1 :])).proof
        found = {f.equation: f for f in proof.findings}
        one, layers = found[equation.name], g.network.built is not None
        shown = name in BY_FRACTIONS and (not layers or one.expanded != "")
        assert one.verdict is (Verdict.REFUTED if shown else Verdict.UNDECIDED), one
        if shown:
            numbers = one.counterexample
            more = numbers.true if wrong.rhs == mul(2, equation.rhs) else 1
            assert numbers.derived - numbers.true == more != 0 and numbers.quantity.split("[")[0] == equation.name
            for element in (numbers.quantity, *numbers.point):
                array, _, at = element.removesuffix("]").partition("[")
                known = (*(a for e in g.equations for a in (e.array, *e.operands)), g.network.target)
                axes = next(a.axes for a in known if a.name == array)
                shape = [g.network.sizes[axis] for axis in axes]  # of so small a network it is its own instance
                at = [int(n) for n in at.split(", ")] if at else []
                assert all(1 <= n <= size for n, size in zip(at, shape, strict=True)), element
        if equation.rule in (Rule.ADJOINT, Rule.GRADIENT) and not equation.name.startswith("d2"):
            rest = [f for f in proof.findings if f.equation.startswith("d2")]
            assert all(f.index == "" for f in rest) or equation.name == "dE_dT"


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", ["log", "softplus"])
def test_the_slope_of_a_slope_is_its_derivative(name, own):
    """Of log it is -1/s^2 and of softplus the slope of sigmoid, be that a function of the loss or a unit's."""
    at, s = (Array("s", 1, ()), ()), mpmath.mpf("1.7")

    def sigmoid(s):
        return 1 / (1 + mpmath.exp(-s))

    known = {"c_s1": sigmoid(s), "g_s1": mpmath.diff(sigmoid, s), "b_s1": mpmath.mpf(0)}
    world = SimpleNamespace(
        number=lambda v: mpmath.mpf(v.numerator) / v.denominator, units={(at[0], "sigmoid")} if own else (),
        variable=known.__getitem__ if own else None, function=lambda phi, _, s: (sigmoid(s), mpmath.diff(sigmoid, s)),
    )  # fmt: skip
    slope = {"log": lambda s: 1 / s, "softplus": sigmoid}[name]
    assert mpmath.almosteq(_bend(world, smooth(name), at, s), mpmath.diff(slope, s), 1e-9)


@pytest.mark.parametrize("name", ["of the error", "of two outputs", "twice: by W1 and more", "of layers"])
def test_of_what_is_not_there_the_numbers_say_nothing(name):
    """And no more is said than that: a list with such an equation is incomplete."""
    g = listed(name)
    network, asked = g.network, g.asked
    if asked.root != asked.of:
        examiner = TwiceExaminer(network, asked, g.equations)
    elif network.built is not None:
        examiner = LayersExaminer(network, asked.of, g.by, g.equations)
    else:
        examiner = Examiner(network, asked.of, g.by)
    for e in g.equations:
        assert examiner.equation(e).verdict is (Verdict.DEFINITION if e.rule is Rule.DEFINITION else Verdict.PROVED)
        finding = examiner.equation(replace(e, rhs=Array("q", None, e.array.axes)[e.lhs.indices]))
        said = "differs" if name.startswith("twice") else ""  # there it is a number as any other
        assert (finding.verdict, finding.expanded, finding.counterexample) == (Verdict.UNDECIDED, said, None)


SAYS = {True: "identical", False: "differs", None: ""}


@pytest.mark.parametrize("found", [None, Counterexample({}, "y", ONE.value, ZERO.value)], ids=["nothing", "numbers"])
@pytest.mark.parametrize("index", SAYS)
@pytest.mark.parametrize("expanded", SAYS)
def test_a_verdict_is_what_both_have_said(index, expanded, found):
    """Wrong where one sees a difference, with numbers or open; proved at every width, or tried, or not understood."""
    g, d = listed("of the error"), fcsym.derive(mlp([1, 1, 1]))
    deciders = {"_in_indices": lambda _: index, "_at_points": lambda _: expanded, "small": "a small one", "root": ERROR}
    step = {
        "meanings": SimpleNamespace(holds=lambda _: index), "network": d.network,
        "_tried": lambda _: "it was only tried",
        "expansion": SimpleNamespace(
            holds=lambda _: expanded, expands=lambda _: False, sees=lambda _: False, counterexample=lambda _: found
        ),
    }  # fmt: skip
    made = [
        Examiner.equation(SimpleNamespace(**deciders, _counterexample=lambda _: found), g["delta2"]),
        LayersExaminer.equation(
            SimpleNamespace(**deciders, points=SimpleNamespace(counterexample=lambda _: found)), g["delta2"]
        ),
        _Examiner._plain(SimpleNamespace(**step), d["delta2"]),
    ]
    for n, finding in enumerate(made):
        if index is expanded is None:
            assert finding.verdict is Verdict.UNDECIDED and finding.note == "neither decider understands it"
            assert (finding.index, finding.expanded) == ("", "")
            continue
        assert finding.index == SAYS[index] and finding.expanded == SAYS[expanded] + " at random points" * bool(
            expanded
        )
        if index is False or expanded is False:
            shown = found is not None and not (n == 0 and expanded)  # it has looked at random points
            assert finding.verdict is (Verdict.REFUTED if shown else Verdict.UNDECIDED)
            assert finding.counterexample is (found if shown else None) and (
                shown or "sees a difference" in finding.note
            )
        elif index:
            assert finding.verdict is Verdict.PROVED and not finding.note
        else:
            assert finding.verdict is Verdict.SAMPLED and "it was only tried" in finding.note


@pytest.mark.parametrize(
    ("problem", "said"), [(ZeroDivisionError, False), (KeyError, None), (UnsupportedExpression, None)]
)
def test_what_divides_by_0_everywhere_is_wrong_and_what_has_no_value_is_not_known(problem, said):
    def holds(_):
        raise problem("here")

    e = listed("of the error")["delta2"]
    world = SimpleNamespace(holds=holds)
    assert Examiner._at_points(SimpleNamespace(_worlds=[world]), e) is said
    assert Expansion.holds(SimpleNamespace(_worlds_for=lambda _: [world]), e) is said
    assert Expansion.holds(SimpleNamespace(_worlds_for=lambda _: []), e) is True


@pytest.mark.parametrize("of", ["E", "y"])
@pytest.mark.parametrize(
    "network",
    [
        mlp([3, 2, 2, 2], "tanh", bias=True),
        mlp([2, 3, 1], "tanh", bias=True, output="sigmoid", loss="bce"),
        mlp([2, 2, 2, 1], fcsym.leaky_relu(0.5), bias=True),
    ],
    ids=str,
)
def test_a_derivative_by_a_pre_activation_is_that_by_its_bias(network, of):
    """A bias enters through the pre-activation alone; and each equation is in the list once, beside the adjoints."""
    hidden = len(network.widths) - 2
    d = fcsym.gradient(network, of, ",".join(f"s{n},b{n}" for n in range(1, hidden + 1)))
    names = [equation.name for equation in d.equations]
    assert len(set(names)) == len(names)
    assert d.proof.holds
    assert "delta1/" not in d.title
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(network.shape(theta)) for theta in network.parameters]
    x, target = rng.standard_normal(network.widths[0]), rng.random(network.widths[-1])
    found = d.compile().gradient(weights, x, None if of == "y" else target)
    for layer in range(1, hidden + 1):
        by_unit = getattr(found, f"delta{layer}" if of == "E" else f"dy_ds{layer}")
        assert np.any(by_unit)
        np.testing.assert_allclose(by_unit, getattr(found, f"d{of}_db{layer}"), rtol=1e-12, atol=1e-14)
