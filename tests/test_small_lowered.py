"""What stands between equations and the text of a program: each rewriting beside what it rewrites.

Each takes a fraction of a second, so that a fault in how a list is lowered is seen by a test that is quick.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from fcsym.kernel import neutral as n
from fcsym.kernel.changes import change_of
from fcsym.kernel.common import shared
from fcsym.kernel.gates import select_by_gates
from fcsym.kernel.running import Running
from fcsym.language import smooth_functions
from fcsym.language.activation import activation
from fcsym.language.differences import difference
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Axis, Index, power

I, J = (Index(Axis(letter), letter) for letter in "ij")  # noqa: E741
ZERO, ONE = n.Const(Fraction(0)), n.Const(Fraction(1))
COMPUTED = n.Sum | n.Product | n.Power | n.Call


def element(name):
    return n.Load(name, ())


def added(*terms):
    return n.Sum(tuple((1, term) for term in terms))


def times(*factors):
    return n.Product(factors)


def function_of(statements, results, given="abc", axes=()):
    arrays = [Array(name, None, axes) for name in given]
    return n.Function(
        "f", "", (), tuple(arrays), tuple(statements), tuple(Array(r, None, axes) for r in results), False
    )


def values_of(function, lengths=None):
    """What it gives, for a few networks; each element by numpy."""
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(40, *((lengths or {})[axis] for axis in array.axes))) for array in function.given]
    return Running(function, {}, lengths or {}, lambda name, near: near).run(given)


# ----------------------------------------------------------------------------------------------- what occurs again

A, B, C = map(element, "abc")
AGAIN = {
    "nothing": {"r": added(A, times(B, C))},
    "a whole": {"r": times(A, B), "s": times(A, B), "t": added(times(A, B), C)},
    "a beginning": {"r": times(A, B, C), "s": times(A, B, A)},
    "within itself": {"r": times(added(A, B), added(A, B)), "s": n.Power(added(A, B), 2)},
    "within what occurs again": {"r": n.Call("exp", added(A, B)), "s": added(n.Call("exp", added(A, B)), C)},
    "both": {"r": n.Call("exp", added(A, B)), "s": times(n.Call("exp", added(A, B)), added(A, B))},
    "two": {"r": added(times(A, B), times(B, C)), "s": added(times(B, C), times(A, B), A)},
    "one element": {"r": A, "s": A, "t": added(A, B)},
    "in a test": {"r": n.Select(n.Test(times(A, B), ">", Fraction(0)), times(A, B), C), "s": C},
}


def in_pairs(node):
    """A product is multiplied from the left: its beginnings are parts of it."""
    node = n.rebuilt(node, in_pairs)
    if isinstance(node, n.Product) and len(node.factors) > 2:
        return in_pairs(n.Product((n.Product(node.factors[:-1]), node.factors[-1])))
    return node


def computed(node):
    if isinstance(node, COMPUTED):
        yield node
    for part in n.parts(node):
        yield from computed(part)


@pytest.mark.parametrize("name", AGAIN)
def test_what_occurs_again_is_computed_once_and_nothing_else_has_a_name(name):
    """The same numbers, bit by bit; no value twice; every name of what is shared read more than once."""
    before = function_of([n.Define(key, (), value) for key, value in AGAIN[name].items()], AGAIN[name])
    after = shared(before)
    for one, other in zip(values_of(before), values_of(after), strict=True):
        assert (one == other).all()
    own = [s.name for s in after.statements]
    assert len(set(own)) == len(own)
    many = Counter(node for s in after.statements for node in computed(in_pairs(s.value)))
    assert max(many.values(), default=1) == 1
    read = Counter(load.name for s in after.statements for load in n.loads(s))
    extra = [s.name for s in after.statements if s.name not in AGAIN[name]]
    assert all(read[one] > 1 for one in extra) and extra == [f"common{k}" for k in range(1, len(extra) + 1)]
    assert all(not isinstance(s.value, n.Load) or s.value.name not in extra for s in after.statements)
    known = {"a", "b", "c"}
    for s in after.statements:
        assert {load.name for load in n.loads(s)} <= known
        known.add(s.name)


# ------------------------------------------------------------------------------------------------------------ gates


def of(name):
    return n.Load(name, (J,))


GATE = n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, ZERO)
WINDOW = n.Select(n.Test(of("s"), ">", Fraction(1)), ZERO, n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, ZERO))
HALF = n.Select(n.Test(of("s"), ">", Fraction(0)), ONE, n.Const(Fraction(1, 2)))


@pytest.mark.parametrize(("gate", "put"), [(GATE, True), (WINDOW, True), (HALF, False)])
@pytest.mark.parametrize("kept", [False, True])
def test_a_product_with_a_gate_is_a_choice(gate, put, kept):
    """The same numbers; the gate is not read any more, and is there only where it is a result."""
    other = Index(J.axis, "m")
    products = {
        "one": times(of("g"), of("a")),
        "many": times(of("a"), of("g"), of("b")),
        "summed": n.Sum(((1, times(of("g"), of("a"))), (-1, of("b")))),
        "chosen": n.Select(n.Test(of("a"), ">", Fraction(0)), times(of("g"), of("b")), of("b")),
        "alone": times(of("a"), of("b")),
    }
    statements = [n.Define("g", (J,), gate), *(n.Define(name, (J,), value) for name, value in products.items())]
    statements.append(n.Define("renamed", (other,), times(n.Load("g", (other,)), n.Load("a", (other,)))))
    results = [*products, "renamed", *(["g"] if kept else [])]
    before = function_of(statements, results, "sab", (J.axis,))
    after = select_by_gates(before)
    for one, two in zip(*(values_of(f, {J.axis: 6}) for f in (before, after)), strict=True):
        assert (one == two).all()
    read = {load.name for s in after.statements for load in n.loads(s)}
    assert ("g" in read) is not put
    assert ("g" in {s.name for s in after.statements}) is (kept or not put)
    assert len(after.statements) == len(statements) - (put and not kept)
    whole = {s.name: s.value for s in after.statements}
    assert isinstance(whole["one"], n.Select) is put and whole["alone"] == products["alone"]
    if put:
        assert of("a") in n.parts(whole["one"]) + sum(map(n.parts, n.parts(whole["one"])), ())


# ---------------------------------------------------------------------------------------------------------- changes

T = Array("v", 1, (J.axis,))
S, DS, W = Array("s", 1, (J.axis,)), Array("ds", 1, (J.axis,)), Array("w", 1, (J.axis,))
OTHER = Index(J.axis, "m")


def known_as(value, moved):
    return {T: Equation(T[J], value, Rule.DEFINITION, ""), S.primed: Equation(S.primed[J], moved, Rule.DEFINITION, "")}


def test_the_change_of_a_smooth_unit_is_found_in_its_equations():
    """phi(s') - v, where v = phi(s) and s' is s and what it changes by, in any order and by whatever index."""
    tanh = activation("tanh")
    dv = Equation(Array("dv", 1, (J.axis,))[J], Apply(tanh, S.primed[J]) - T[J], Rule.DEFINITION, "")
    places = {"s": n.Load("s1", (J,)), "after": n.Load(S.primed.name, (J,)), "change": n.Load("ds1", (J,))}
    for moved in (S[J] + DS[J], DS[J] + S[J]):
        assert change_of(dv, known_as(Apply(tanh, S[J]), moved)) == (
            difference(smooth_functions.in_calls(tanh)),
            places,
        )
    renamed = Equation(T[OTHER], Apply(tanh, S[OTHER]), Rule.DEFINITION, "")
    assert change_of(dv, known_as(Apply(tanh, S[J]), S[J] + DS[J]) | {T: renamed})[1] == places


@pytest.mark.parametrize(
    ("rhs", "value", "moved"),
    [
        (Apply(activation("relu"), S.primed[J]) - T[J], Apply(activation("relu"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - 2 * T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) + T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[OTHER], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J], 1) - T[J], Apply(activation("tanh"), S[J], 1), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("sigmoid"), S[J]), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J], 1), S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J] + W[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), W[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] * DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), S[J]), S[J] + 2 * DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], Apply(activation("tanh"), 2 * S[J]), 2 * S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]) - T[J], S[J], S[J] + DS[J]),
        (Apply(activation("tanh"), S.primed[J]), Apply(activation("tanh"), S[J]), S[J] + DS[J]),
        (power(S.primed[J], 2) - T[J], Apply(activation("tanh"), S[J]), S[J] + DS[J]),
    ],
)
def test_what_is_no_change_of_a_smooth_unit_is_not_taken_for_one(rhs, value, moved):
    equation = Equation(Array("dv", 1, (J.axis,))[J], rhs, Rule.DEFINITION, "")
    assert change_of(equation, known_as(value, moved)) is None
    assert change_of(equation, {}) is None
