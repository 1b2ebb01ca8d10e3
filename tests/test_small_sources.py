"""Functions of the neutral form, drawn at random: every target computes what the form means, in exact numbers.

The numbers are quarters, small enough for sums and products of them to be floating-point numbers.
"""

from __future__ import annotations

import ctypes
import math
import re
import subprocess
import threading
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.kernel.targets import c, c_parts, c_products, c_windows
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c import parameters_of, room_of, takes_rows
from fcsym.kernel.targets.c_memory import STACK, Amount, Room
from fcsym.kernel.targets.c_native import lanes_of_text
from fcsym.kernel.targets.c_products import COLUMNS, TILE
from fcsym.kernel.targets.c_sums import ends
from fcsym.kernel.targets.c_test import makefile
from fcsym.kernel.targets.c_test import test_program as program_of
from fcsym.kernel.targets.c_windows import Windows
from fcsym.kernel.targets.c_words import PRELUDE, SMOOTH, remember_text
from fcsym.kernel.targets.jax import JAX
from fcsym.kernel.targets.numpy import DIALECT, TILES, NumpyTarget, _straight, helpers
from fcsym.kernel.targets.straight import columns, python_function, unroll
from fcsym.kernel.targets.torch import TORCH
from fcsym.language.expression import Array, Axis, Index, IndexForm
from fcsym.networks.symbols import SAMPLES

SIZES = {Axis("I"): 3, Axis("J"): 2, Axis("K"): 1, Axis("L"): 9}
I, J, K, L = SIZES  # noqa: E741
N, ROWS = SAMPLES, 4
"""An axis whose length is known only when the program runs, and that length."""
LENGTHS = SIZES | {N: ROWS}
LETTERS = {I: ("i", "m"), J: ("j", "n"), K: ("k",), L: ("l",), N: ("r", "t")}
GIVEN = {
    name: Array(name, None, axes)
    for name, axes in {
        "A": (I, J),
        "B": (J, I),
        "D": (L, I),
        "F": (I, L),
        "T": (I, J, I),
        "U": (L, J, K),
        "Z": (L, I, J),
        "p": (I,),
        "q": (J,),
        "c": (K,),
        "o": (L,),
        "e": (),
    }.items()
}
OPEN = {
    name: Array(name, None, axes)
    for name, axes in {"G": (N, I), "H": (J, N), "V": (N, I, J), "W": (I, N), "g": (N,)}.items()
}  # fmt: skip
FIXED = {"Q": ((Fraction(1, 2), Fraction(-1), Fraction(2)), (Fraction(3), Fraction(0), Fraction(-1, 4)))}
"""A matrix that stands in the source, over J and I."""


class Maker:
    """Draws expressions of elements; `of_rows`: with an axis of open length."""

    def __init__(self, seed, of_rows):
        self.random, self.of_rows = Random(seed), of_rows
        self.given = GIVEN | (OPEN if of_rows else {})
        self.places = {name: array.axes for name, array in self.given.items()}
        self.made = {}

    def axes(self, *ways):
        """Some axes; now and then with that of open length among them."""
        found = self.random.choice(ways)
        if self.of_rows and self.random.random() < 0.1:
            return N, N
        if self.of_rows and self.random.random() < 0.5:
            at = self.random.randint(0, len(found))
            found = (*found[:at], N, *found[at:])[:3]
        return found

    def indices(self, axes, beside=()):
        """An index for each axis, of another name than those beside."""
        taken, found = set(beside), []
        for axis in axes:
            free = [Index(axis, letter) for letter in LETTERS[axis] if Index(axis, letter) not in taken]
            if not free:
                return None
            found.append(self.random.choice(free))
            taken.add(found[-1])
        return tuple(found)

    def load(self, scope, having=(), more=()):
        """An element of an array that these indices name, with those that it must have."""
        places = {**self.places, **dict(more)}
        ways = [
            (name, at)
            for name, axes in places.items()
            for at in product(*([i for i in scope if i.axis == axis] for axis in axes))
            if len(set(at)) == len(at) and set(having) <= set(at)
        ]
        return n.Load(*self.random.choice(ways)) if ways else None

    def number(self):
        return n.Const(Fraction(self.random.choice([-6, -4, -2, -1, 1, 2, 3, 4, 8]), 4))

    def simple(self, scope):
        """What a test compares."""
        one, other = self.load(scope), self.load(scope)
        return self.random.choice([one, n.Sum(((-1, one), (1, other))), n.Product((one, other))])

    def test(self, scope):
        bound = Fraction(self.random.randint(-4, 4), 4)
        return n.Test(self.simple(scope), self.random.choice([">", "<=", "==", "!="]), bound)

    def bound(self, scope):
        """What a sum or an extreme is over, and a first factor with all of it."""
        for _ in range(50):
            over = self.indices(self.axes((I,), (J,), (K,), (L,), (I, J), (J, K), (I, J, K), (I, I)), scope)
            factor = over and self.load((*scope, *over), over, self.made | {"Q": (J, I)})
            if factor:
                return over, factor
        return (Index(I, "z"),), n.Load("p", (Index(I, "z"),))

    def form(self, indices):
        """Whole multiples of these, and a whole number."""
        return sum((self.random.choice([1, 1, 2, -1, -2, 3]) * i for i in indices), IndexForm((), 0)) + (
            self.random.randint(-2, 4)
        )

    def window(self, scope):
        """A sum with one or two indicators, at least one of which an index of the sum is in."""
        over, factor = self.bound(scope)
        factor = self.random.choice([factor, factor, self.load((*scope, *over), over[:1])])
        marks = []
        for _ in range(self.random.choice([1, 1, 1, 2]) if not {*over} <= {i for i in over if i.axis.open} else 0):
            left = self.random.choice([i for i in over if not i.axis.open])
            others = [i for i in (*scope, *over) if i != left and not i.axis.open]
            others = self.random.sample(others, min(len(others), self.random.choice([0, 1, 1, 2])))
            if others and self.random.random() < 0.3:
                left, others = others[0], [left, *others[1:]]
            marks.append(n.Indicator(left, self.form(others)))
        more = self.random.choice([[], [self.load(scope)], [self.load((*scope, *over))], [self.number()]])
        body = n.Product((*marks, factor, *more))
        there = {i for mark in marks for i in mark.indices} | {i for load in n.loads(body) for i in load.indices}
        return n.Reduce(tuple(i for i in over if i in there), body)

    def node(self, depth, scope):
        """An expression; what is a number by itself has been worked out before it is lowered."""
        made = self.any_node(depth, scope)
        return (
            made
            if isinstance(made, n.Const) or any(load.name in self.given for load in n.loads(made))
            else self.load(scope)
        )

    def any_node(self, depth, scope):
        kinds = ["load", "load", "number"] if depth == 0 else [
            "load", "sum", "sum", "product", "product", "power", "quotient", "reduce", "reduce", "products", "extreme",
            "select", "abs", "window", "window", "position",
        ]  # fmt: skip
        again = lambda: self.node(depth - 1, scope)  # noqa: E731
        match self.random.choice(kinds):
            case "load":
                return self.load(scope)
            case "number":
                return self.number()
            case "sum":
                signs = self.random.choice([(1, 1), (1, -1), (-1, 1), (-1, -1), (1, -1, 1), (-1, 1, -1), (-1,)])
                return n.Sum(tuple((sign, again()) for sign in signs))
            case "product":
                return n.Product(tuple(again() for _ in range(self.random.randint(2, 3))))
            case "power":
                return n.Power(self.random.choice([self.load(scope), again()]), self.random.randint(2, 3))
            case "quotient":
                one = self.load(scope)
                return n.Quotient(again(), n.Sum(((1, n.Product((one, one))), (1, n.Const(Fraction(1))))))
            case "reduce":
                over, factor = self.bound(scope)
                if self.random.random() < 0.3:
                    return n.Reduce(over, factor)
                return n.Reduce(over, n.Product((factor, self.node(depth - 1, (*scope, *over)))))
            case "products":
                over, factor = self.bound(scope)
                others = [self.load((*scope, *over), (), self.made) for _ in range(self.random.randint(1, 2))]
                return n.Reduce(over, n.Product(tuple(self.random.sample([factor, *others], len(others) + 1))))
            case "extreme":
                over, factor = self.bound(scope)
                body = self.random.choice([factor, n.Product((factor, self.node(depth - 1, (*scope, *over))))])
                return n.Extreme(self.random.choice(["min", "max"]), over, (body,))
            case "select":
                return n.Select(self.test(scope), again(), self.random.choice([again(), n.Const(Fraction(0))]))
            case "window":
                return self.window(scope)
            case "position":
                closed = [i for i in scope if not i.axis.open]
                left, *others = self.random.sample(closed, min(len(closed), 2)) or [None]
                return n.Product((n.Indicator(left, self.form(others)), again())) if left else again()
            case "abs":
                return n.Call("Abs", n.Product((self.load(scope), again())))

    def matrices(self):
        """A sum of products of two arrays with what they share, and other indices that they have."""
        names = [name for name, axes in self.places.items() if len(axes) > 1]
        while True:
            first, second = self.random.sample(names, 2)
            left = self.indices(self.places[first])
            right = []
            for axis in self.places[second]:
                there = [i for i in left if i.axis == axis and i not in right]
                ways = there if there and self.random.random() < 0.8 else self.indices((axis,), (*left, *right))
                right.append(self.random.choice(ways) if ways else None)
            shared = [i for i in left if i in right]
            over = self.random.sample(shared, self.random.randint(1, len(shared))) if shared else ()
            scope = [i for i in dict.fromkeys((*left, *right)) if i not in over]
            if None in right or not over or not 0 < len(scope) < 4:
                continue
            self.random.shuffle(scope)
            factors = [n.Load(first, left), n.Load(second, tuple(right))]
            self.random.shuffle(factors)
            around = [self.load(over, over[:1]), self.load(scope[:1]), self.load((*scope, *over)), self.number()]
            more = self.random.sample(around, self.random.choice([0, 0, 1, 1, 2]))
            return self.through_a_window(tuple(scope), tuple(over), (*more, *factors))

    def through_a_window(self, scope, over, factors):
        """The sum; half of them over one index more, which an indicator says by others, or which says another."""
        closed = [i for i in scope if not i.axis.open]
        if len(closed) > 1 and self.random.random() < 0.2:
            return scope, n.Reduce(over, n.Product((n.Indicator(closed[0], self.form(closed[1:2])), *factors)))
        free = [i for i in (Index(I, "a"), Index(J, "b"), Index(L, "d")) if i not in scope]
        if not closed or self.random.random() < 0.5:
            return scope, n.Reduce(over, n.Product(factors))
        u, t = self.random.choice(closed), self.random.choice(free)
        taps = [i for i in over if not i.axis.open][: self.random.randint(0, 1)]
        left, right = self.random.choice([(u, t), (t, u)])
        mark = n.Indicator(left, self.form([right, *taps]))
        return tuple(t if i == u else i for i in scope), n.Reduce((*over, u), n.Product((mark, *factors)))

    def product(self):
        """Such a sum, and what may stand around it."""
        scope, value = self.matrices()
        other = n.Reduce(value.over, n.Product(value.body.factors[::-1]))
        around = [
            value, n.Product((self.load(()), value)), n.Sum(((1, self.load(scope)), (-1, value))),
            n.Sum(((1, value), (1, other), (-1, self.node(1, scope)))),
            n.Select(self.test(scope), value, self.number()),
        ]  # fmt: skip
        return scope, self.random.choice(around)

    def along(self, scope):
        """A value of some kind with these axes."""
        return self.random.choice(each_kind(self.load(scope), self.load(scope)))

    def difference(self):
        """A matrix, or what has other axes, less a product of vectors and more."""
        i, j, m = Index(I, "i"), Index(J, "j"), Index(I, "m")
        p, q, e = n.Load("p", (i,)), n.Load("q", (j,)), n.Load("e", ())
        left = self.random.choice([[], [e], [self.number(), p], [e, p], [q], [self.number()]])
        right = self.random.choice([q, q, q, n.Load("A", (i, j)), p, e])
        sign = self.random.choice([-1, -1, 1])
        scope, whole, factors = self.random.choice([
            ((i, j), n.Load("A", (i, j)), (*left, p, right)), ((i, j), n.Load("A", (i, j)), (*left, p, q)),
            ((j, i), n.Load("B", (j, i)), (*left, p, right)), ((i,), p, (p, e)), ((i,), p, (e, p)),
            ((i, j, m), n.Load("T", (i, j, m)), (p, n.Load("B", (j, m)))),
        ])  # fmt: skip
        return scope, n.Sum(((1, whole), (sign, n.Product(factors))))

    def statement(self, k):
        """One kind after another: a quotient that is guarded, a matrix less a product, and whatever there is."""
        axes = self.axes((), (I,), (J,), (K,), (L,), (I, J), (J, I), (L, J), (I, I), (I, J, K))
        scope = self.indices(axes)
        match k % 16:
            case 0:  # a number, first of all
                scope, value = (), n.Reduce((Index(I, "i"),), n.Product((n.Load("p", (Index(I, "i"),)), self.load(()))))
            case 2:  # of which some axes are not in the value
                value = self.along(scope[: self.random.randint(0, len(scope))])
            case 6:  # along columns
                (scope, (i,)) = self.indices((L,)), self.indices((I,))
                rows, columns = n.Load("F", (i, *scope)), n.Load("D", (*scope, i))
                sums = [
                    n.Reduce((i,), n.Product((rows, n.Load("p", (i,))))),
                    n.Reduce((i,), n.Product((columns, rows))),
                    n.Reduce((i,), n.Product((rows, n.Reduce((Index(J, "j"),), n.Load("A", (i, Index(J, "j"))))))),
                    n.Reduce((i,), n.Product((n.Indicator(*scope, 2 * i + 1), rows, n.Load("p", (i,))))),
                    n.Reduce((i, Index(J, "j")), n.Product((rows, n.Load("q", (Index(J, "j"),))))),
                ]
                value = n.Sum(((1, sums[0]), (self.random.choice([1, -1]), self.random.choice(sums))))
            case 1 | 9:
                scope, value = self.product()
            case 3:  # less a product
                scope, value = self.difference()
            case 4:
                scope = self.indices((I, J))
                value, self.fresh = n.Product(tuple(self.load((i,), (i,)) for i in scope)), f"x{k}"
            case 12:
                scope, fresh = self.indices((I, J)), n.Load(self.fresh, ())
                fresh = replace(fresh, indices=scope)
                value = n.Sum(((1, n.Load("A", scope)), (-1, fresh)))
                self.fresh = f"x{k}" if self.random.random() < 0.5 else self.fresh
            case 14:
                scope = self.indices((I, J))
                value = n.Product((n.Load(self.fresh, scope), self.load(scope)))
            case 5:
                guard = ((self.test(scope), self.test(scope)), (self.test(scope),))
                above, below = self.node(1, scope), self.load(scope)
                one = n.Test(below, "!=", Fraction(0))
                value = n.Guarded(above, below, tuple((one, *row) for row in guard))
            case _:
                value = self.node(2, scope)
        if not any(isinstance(part, n.Quotient | n.Guarded) for part in every_part(value)):
            self.made[f"x{k}"] = tuple(i.axis for i in scope)
        return n.Define(f"x{k}", scope, value)


def each_kind(one, other):
    """A value of each kind, of these."""
    test, zero = n.Test(one, ">", Fraction(0)), n.Const(Fraction(0))
    return [
        n.Sum(((-1, one),)), n.Sum(((-1, one), (-1, other))), n.Sum(((1, one), (-1, other))), n.Product((one, other)),
        n.Call("Abs", one), n.Power(one, 2), n.Power(one, 3), n.Select(test, other, zero), n.Select(test, zero, one),
        n.Select(test, other, n.Const(Fraction(3, 4))), n.Select(test, n.Const(Fraction(1)), n.Const(Fraction(2))),
        n.Select(test, n.Const(Fraction(3, 4)), zero), n.Select(test, zero, n.Const(Fraction(1, 4))),
        n.Select(test, other, one), n.Select(test, n.Product((one, other)), n.Sum(((1, one), (-1, other)))),
        n.Guarded(other, one, ((test,),)), n.Quotient(other, n.Sum(((1, n.Const(Fraction(1))), (1, n.Power(one, 2))))),
    ]  # fmt: skip


def every_part(node):
    return [node, *(inner for part in n.parts(node) for inner in every_part(part))]


@cache
def function_of(seed, of_rows=False, count=48):
    """So many statements; some read what others have made, and what nobody reads is a result, and some more."""
    maker = Maker(seed, of_rows)
    statements = [maker.statement(k) for k in range(count)]
    read = {load.name for s in statements for load in n.loads(s)}
    results = tuple(
        Array(s.name, None, tuple(i.axis for i in s.indices))
        for s in statements
        if s.name not in read or maker.random.random() < 0.3
    )
    mark = n.Mark((Index(I, "i"),), ((n.Test(n.Load("p", (Index(I, "i"),)), ">", Fraction(0)),),))
    return n.Function("output", "All of it.", (), tuple(maker.given.values()), (*statements, mark), results, True)


STATE = ("A", "p", "q", "e")


@cache
def step_of(seed, count=24):
    """So many statements that make new values of what is given first; what is read there may be old or new."""
    maker = Maker(seed, False)
    statements = [maker.statement(k) for k in range(count)]
    made = maker.made
    for name in STATE:
        at = maker.random.randint(0, len(statements))
        maker.made = {s.name: made[s.name] for s in statements[:at] if s.name in made}
        made[f"{name}_new"] = GIVEN[name].axes
        scope = maker.indices(GIVEN[name].axes)
        old = maker.random.choice([n.Load(name, scope), maker.load(scope)])
        term = maker.random.choice([maker.load(scope, (), maker.made), maker.node(1, scope)])
        new = n.Define(f"{name}_new", scope, n.Sum(((1, old), (maker.random.choice([1, -1]), term))))
        after = [
            n.Define(s.name, s.indices, reading(s.value, name, f"{name}_new")) if maker.random.random() < 0.2 else s
            for s in statements[at:]
        ]
        statements = [*statements[:at], new, *after]
    given = tuple(sorted(GIVEN.values(), key=lambda array: array.name not in STATE))
    results = tuple(Array(f"{array.name}_new", None, array.axes) for array in given if array.name in STATE)
    return n.Function("step", "In place.", (), given, tuple(statements), results, False)


def reading(node, old, new):
    """The same with another array in the place of one."""
    if isinstance(node, n.Load):
        return replace(node, name=new) if node.name == old else node
    return n.rebuilt(node, lambda part: reading(part, old, new))


def module_of(function):
    others = [n.Function(f, "", (), function.given, (), function.given, False) for f in ("init", "step", "expand")]
    functions = (*others[:2], function, others[2])
    state = function.given
    return n.Module("", "none", "none", "none", functions, state, state, FIXED, SIZES, False, False, (), "0")


@cache
def numbers(seed):
    """Quarters for every array that is given."""
    random = Random(seed)
    made = {}
    for name, array in (GIVEN | OPEN).items():
        shape = n.shape(array.axes, LENGTHS)
        made[name] = np.reshape([random.randint(-5, 5) / 4 for _ in range(math.prod(shape))], shape)
    return made


def exact(node, where, values):
    """The neutral form as its documentation says."""

    def again(part, more=()):
        return exact(part, {**where, **dict(more)}, values)

    def holds(test):
        left, bound = again(test.left), test.bound
        return {">": left > bound, "<=": left <= bound, "==": left == bound, "!=": left != bound}[test.relation]

    def every(over, body):
        return [
            again(body, zip(over, at, strict=True)) for at in product(*(range(LENGTHS[index.axis]) for index in over))
        ]

    match node:
        case n.Const(value):
            return value
        case n.Load(name, indices):
            return values[name][tuple(where[index] for index in indices)]
        case n.Indicator():
            return int(where[node.index] == node.form.constant + sum(c * where[i] for i, c in node.form.terms))
        case n.Sum(terms):
            return sum(sign * again(term) for sign, term in terms)
        case n.Product(factors):
            return math.prod(map(again, factors), start=Fraction(1))
        case n.Power(base, exponent):
            return again(base) ** exponent
        case n.Quotient(above, below):
            return again(above) / again(below)
        case n.Reduce(over, body):
            return sum(every(over, body))
        case n.Extreme(kind, over, (body,)):
            return {"min": min, "max": max}[kind](every(over, body))
        case n.Select(test, then, otherwise):
            return again(then if holds(test) else otherwise)
        case n.Guarded(above, below, guard):
            return again(above) / again(below) if any(all(map(holds, row)) for row in guard) else Fraction(0)
        case n.Call("Abs", argument):
            return abs(again(argument))
    raise AssertionError(node)


@cache
def wanted(statements, seed):
    """Every result by its name."""
    values = {name: np.array(array, object) for name, array in numbers(seed).items()} | {
        name: np.array(rows, object) for name, rows in FIXED.items()
    }
    values = {name: np.vectorize(Fraction, [object])(array) for name, array in values.items()}
    found = {}
    for s in statements:
        if isinstance(s, n.Define):
            shape = [LENGTHS[index.axis] for index in s.indices]
            own = np.empty(shape, object)
            for at in product(*map(range, shape)):
                own[at] = exact(s.value, dict(zip(s.indices, at, strict=True)), values)
            values[s.name] = own
            found[s.name] = own.astype(float)
    return found


def compare(found, function, seed):
    for array in function.results:
        true = wanted(function.statements, seed)[array.name]
        got = np.broadcast_to(np.asarray(found[array.name], float), true.shape)
        np.testing.assert_allclose(got, true, rtol=1e-12, atol=1e-12, err_msg=array.name)
    if function.marks:
        np.testing.assert_array_equal(found["undefined"], numbers(seed)["p"] > 0)


SEEDS = range(4)


def in_numpy(text, function):
    """The results of two networks at once."""
    space = {"np": np, "math": math, "threading": threading}
    space |= {name: np.array(rows, float) for name, rows in FIXED.items()}
    exec("\n".join([*helpers(text), TILES, text]), space)
    given = [array.name for array in function.given]
    with np.errstate(all="raise"):
        both = [np.stack([numbers(0)[name], numbers(1)[name]]) for name in given]
        made = space["output"](*both)
    space |= {name: np.array(rows, np.float32) for name, rows in FIXED.items()}
    with np.errstate(all="ignore"):
        single = space["output"](*(array.astype(np.float32) for array in both))
    assert {array.dtype for array in single} <= {np.dtype(np.float32), np.dtype(bool)}
    names = [*(a.name for a in function.results), *["undefined"] * function.marks]
    ndims = [*(len(a.axes) for a in function.results), *[1] * function.marks]
    for network in (0, 1):
        found = {}
        for name, array, ndim in zip(names, made, ndims, strict=True):
            found[name] = array[network] if array.ndim > ndim else array
        compare(found, function, network)


@pytest.mark.parametrize("of_rows", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_arrays_are_what_a_function_says(seed, of_rows):
    function = function_of(seed, of_rows)
    in_numpy(function_text(function, DIALECT, sizes=SIZES), function)


def of(*defines, results=None):
    """A function of these statements."""
    made = tuple(Array(s.name, None, tuple(i.axis for i in s.indices)) for s in defines)
    given = (*GIVEN.values(), *OPEN.values())
    wanted_ = tuple(a for a in made if results is None or a.name in results)
    return n.Function("output", "Some.", (), given, defines, wanted_, False)


def test_every_difference_of_a_matrix_and_a_product_is_one():
    """Of vectors, of the matrix itself and of numbers, in every order."""
    i, j = Index(I, "i"), Index(J, "j")
    factors = [n.Load("p", (i,)), n.Load("q", (j,)), n.Load("e", ()), n.Load("A", (i, j)), n.Const(Fraction(3, 4))]
    every = [own for count in (2, 3) for own in product(factors, repeat=count)]
    products = [n.Product(own) for own in every if own.count(factors[-1]) < 2]
    whole = n.Load("A", (i, j))
    defines = [n.Define(f"x{k}", (i, j), n.Sum(((1, whole), (-1, one)))) for k, one in enumerate(products)]
    function = of(*defines)
    in_numpy(function_text(function, DIALECT, sizes=SIZES), function)


@pytest.mark.parametrize("order", list(product(("d", "y", "d y"), repeat=3)))
def test_what_is_taken_off_is_there_as_long_as_it_is_read(order):
    """y = A - d takes the place of d, after all else that reads d and before all that reads y."""
    i, j = scope = Index(I, "i"), Index(J, "j")
    whole, d, y = (n.Load(name, scope) for name in "Ady")
    defines = [n.Define("d", scope, n.Product((n.Load("p", (i,)), n.Load("q", (j,)))))]
    for k, names in enumerate(order):
        if k == 1 or (k == 0 and "y" in names):
            defines += [n.Define("y", scope, n.Sum(((1, whole), (-1, d))))] * all(s.name != "y" for s in defines)
        read = [{"d": d, "y": y}[name] for name in names.split()]
        defines.append(n.Define(f"z{k}", scope, n.Product((whole, *read))))
    function = of(*defines, results={"y", "z0", "z1", "z2"})
    in_numpy(function_text(function, DIALECT, sizes=SIZES), function)


def test_terms_are_put_where_every_form_says():
    """At a place that one or two indices move, of which the term has one, the other or both."""
    i, m, place = Index(I, "i"), Index(I, "m"), Index(L, "l")
    terms = [n.Load("p", (i,)), n.Load("p", (m,)), n.Product((n.Load("p", (i,)), n.Load("p", (m,))))]
    steps = [(1, 1), (2, 1), (1, 2), (-1, 1), (3, -1), (0, 2)]
    values = [
        n.Reduce((i, m) if a else (m,), n.Product((n.Indicator(place, a * i + b * m + constant), term)))
        for (a, b), constant, term in product(steps, (-1, 0, 3), terms)
        if a or term == terms[1]
    ]
    function = of(*(n.Define(f"x{k}", (place,), value) for k, value in enumerate(values)))
    in_numpy(function_text(function, DIALECT, sizes=SIZES), function)


@pytest.mark.parametrize("seed", SEEDS)
def test_tiles_are_what_a_function_says(seed):
    function = function_of(seed)
    in_numpy(_straight(function, module_of(function), "output"), function)


def test_tiles_have_every_axis_of_a_result():
    """Also those that nothing in the text has, of a result as of what is read after it."""
    i, j = Index(I, "i"), Index(J, "j")
    loads = [n.Load("e", ()), n.Load("p", (i,)), n.Load("q", (j,)), n.Load("A", (i, j)), n.Load("B", (j, i))]
    pairs = [*((one, one) for one in loads), *pairwise([*loads, loads[1], loads[0], loads[4], loads[2]])]
    values = [value for pair in pairs for value in each_kind(*pair)]
    defines = [n.Define(f"x{k}", (i, j), value) for k, value in enumerate(values)]
    read = [n.Define(f"y{k}", (i, j), n.Sum(((1, n.Load(f"x{k}", (i, j))), (1, loads[3])))) for k in range(len(values))]
    for function in (of(*defines), of(*defines, *read, results={s.name for s in read})):
        function = replace(function, given=tuple(GIVEN.values()))
        in_numpy(_straight(function, module_of(function), "output"), function)


@pytest.mark.parametrize("seed", SEEDS)
def test_single_numbers_are_what_a_function_says(seed):
    """As Python computes them, element by element."""
    function = function_of(seed)
    flat = unroll(function, SIZES, FIXED)
    given = [column for array in flat.given for column in columns(array.name, n.shape(array.axes, SIZES))]
    made = {array.name: columns(array.name, n.shape(array.axes, SIZES)) for array in flat.results}
    results = [column for name in made for column in made[name]]
    text = python_function(flat, "output", given, [*given, *results], [(column, column) for column in results])
    space = {"s": [], "nan": math.nan, "Abs": abs}
    exec(text, space)
    for network in (0, 1):
        place = [float(x) for a in flat.given for x in np.ravel(numbers(network)[a.name])] + [0.0] * len(results)
        undefined = space["output"](place)
        assert undefined is bool((numbers(network)["p"] > 0).any())
        found = dict(zip(results, place[len(given) :], strict=True))
        shaped = {
            a.name: np.reshape([found[column] for column in made[a.name]], n.shape(a.axes, SIZES)) for a in flat.results
        }
        compare(shaped | {"undefined": numbers(network)["p"] > 0}, function, network)


CALLER = """
int run(real **a, MASK *undefined, real *work)
{
    (void)undefined;
    (void)work;
    return f(ARGUMENTS);
}
"""


def compiled(function, module, folder, how, lengths):
    """The function in C: (arrays by name, of as many networks as there are lanes) => the same after it, its marks."""
    lanes, parameters = how == "lanes", parameters_of(function, module)
    text, count = c.core_text(function, module, "f", lanes=lanes, parts=how == "parts"), len(parameters)
    kind, width = ("(vec *)", 2) if lanes else ("", 1)
    room = room_of(function, module, lanes)
    arguments = [f"{kind}a[{k}]" for k in range(count)] + [str(ROWS)] * takes_rows(function)
    arguments += [f"{kind}work"] * bool(room) + ["undefined"] * (lanes and function.marks)
    blocks_are_indented(text)
    head = "#include <math.h>\ntypedef double real;\n#define FABS fabs\n#define UNDEFINED 1\n#define ALONE\n"
    head = lanes_of_text(module) if lanes else head + PRELUDE + TILE + SMOOTH["Abs"]
    caller = CALLER.replace("MASK", "mask" if lanes else "int").replace("ARGUMENTS", ", ".join(arguments))
    (folder / "f.c").write_text(head + text + caller)
    flags = ["-O0", "-w", "-DREAL=double", "-DINTEGER=int64_t", "-fPIC", "-shared", "-ffp-contract=off"]
    subprocess.run([need("gcc"), *flags, "f.c", "-o", "f.so"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "f.so"))
    shapes = {array.name: n.shape(array.axes, lengths) for array in (*function.given, *function.results)}

    def aligned(size):
        memory = np.full(size * width + 8, 7.0)
        return memory[-memory.ctypes.data % 64 // 8 :][: size * width].reshape(size, width)

    def call(*networks):
        arrays = {name: aligned(math.prod(shape)) for name, shape in shapes.items()}
        for lane, given in enumerate(networks):
            for array in function.given:
                arrays[array.name][:, lane] = given[array.name].ravel()
        work, undefined = aligned(room.given.at(ROWS) + 4), aligned(1)
        undefined[:] = 0.0
        pointers = (ctypes.c_void_p * count)(*[array.ctypes.data for array in arrays.values()][:count])
        status = library.run(pointers, ctypes.c_void_p(undefined.ctypes.data), ctypes.c_void_p(work.ctypes.data))
        assert np.all(work[-4:] == 7.0)  # nothing is written behind the memory that was asked for
        return [
            ({name: made[:, lane].reshape(shapes[name]) for name, made in arrays.items()},
             bool(undefined[0, lane] != 0 if lanes else status))
            for lane in range(len(networks))
        ]  # fmt: skip

    return call


def in_c(function, folder, how=""):
    """The results of each network; of as many at once as there are lanes, or in parts, where that is said."""
    call, every = compiled(function, module_of(function), folder, how, LENGTHS), [numbers(0), numbers(1)]
    made = call(*every) if how == "lanes" else [call(one)[0] for one in every]
    for network, (arrays, marked) in enumerate(made):
        found = {a.name: arrays[a.name.removesuffix("_new")] for a in function.results}  # a step is in place
        assert marked == (function.marks and (numbers(network)["p"] > 0).any())
        compare(found | {"undefined": numbers(network)["p"] > 0}, function, network)


def blocks_are_indented(text):
    """By four places each, line by line where a statement begins."""
    depth, before = 0, ";"
    for line in text[text.index("{\n") :].splitlines():
        said = line.strip()
        if said and before[-1] in ";{}":
            assert len(line) - len(line.lstrip()) == 4 * (depth - said.startswith("}")), line
        depth, before = depth + said.count("{") - said.count("}"), said or before
    assert depth == 0


@pytest.mark.parametrize(
    "seed, how",
    [*product(range(2), ["", "parts", "lanes", "rows"]), *product(range(4), ["tiles", "tiles and rows"])],
)
def test_c_is_what_a_function_says(seed, how, tmp_path, monkeypatch):
    """Of one network and of several in lanes; with sums by tiles, however small they are; with rows, so many."""
    for name, least in {"_WORTH": 0, "_WASTE": 10**6}.items() if how in ("lanes", "tiles", "tiles and rows") else ():
        monkeypatch.setattr(c_windows, name, least)
        monkeypatch.setattr(c_products, name, least, raising=False)
    if how == "parts":
        monkeypatch.setattr(c, "PART", 1)
        monkeypatch.setattr(c_parts, "_LINES", 12)
    in_c(function_of(seed, "rows" in how), tmp_path, how)


@pytest.mark.parametrize("seed, how", [*((seed, "") for seed in range(4)), (4, "lanes"), (5, "parts")])
def test_a_step_in_place_is_what_it_says(seed, how, tmp_path, monkeypatch):
    """New values take the place of old ones where nothing reads these any more."""
    monkeypatch.setattr(c, "PART", 1)
    monkeypatch.setattr(c_parts, "_LINES", 12)
    function = step_of(seed)
    assert {*c._plan(function).alias.values(), *(old for old, _ in c._plan(function).copies)} == {*STATE}
    in_c(function, tmp_path, how)


@pytest.mark.parametrize("how", ["", "lanes", "tiles"])
def test_c_reads_where_every_form_says_and_nowhere_else(how, tmp_path, monkeypatch):
    """Forms that end on the last place, before it and behind it, and begin likewise; what lies outside counts as 0."""
    for module in (c_windows, c_products) if how == "tiles" else ():
        monkeypatch.setattr(module, "_WORTH", 0)
    monkeypatch.setattr(c_windows, "_WASTE", 10**6)
    i, m, j, t, u = Index(I, "i"), Index(I, "m"), Index(J, "j"), Index(L, "t"), Index(L, "u")
    around = n.Load("T", (i, j, m)), n.Load("F", (m, u))
    defines = []
    for (a, b), constant in product([(1, 1), (1, -1), (2, 1)], range(-2, 2)):
        value = n.Reduce((i, m, u), n.Product((n.Indicator(u, a * t + b * i + constant), *around)))
        defines.append(n.Define(f"x{len(defines)}", (j, t), value))
    for a, constant in product((1, -1, 2, -2, 3), range(-2, 12)):
        value = n.Reduce((u,), n.Product((n.Indicator(u, a * t + constant), n.Load("o", (u,)))))
        defines.append(n.Define(f"x{len(defines)}", (t,), value))
    for a, constant in product((1, -1, 3, -4), range(-3, 13)):
        factors = n.Indicator(u, a * i + constant), n.Load("p", (i,)), n.Load("o", (u,))
        defines.append(n.Define(f"x{len(defines)}", (), n.Reduce((i, u), n.Product(factors))))
    function = replace(of(*defines), given=tuple(GIVEN.values()))
    in_c(function, tmp_path, how)


def test_groups_of_axes_are_rows_and_columns_in_c(tmp_path, monkeypatch):
    """Of two axes each, of open length, beside other sums, and for pairs of rows."""
    for module in (c_windows, c_products):
        monkeypatch.setattr(module, "_WORTH", 0)
    monkeypatch.setattr(c_windows, "_WASTE", 10**6)
    i, m, j, l, r, t = (Index(axis, letter) for axis, letter in zip((I, I, J, L, N, N), "imjlrt", strict=True))  # noqa: E741
    f, z, v, w = n.Load("F", (m, l)), n.Load("Z", (l, i, j)), n.Load("V", (r, i, j)), n.Load("T", (i, j, m))
    columns_, rows = n.Reduce((l,), n.Product((f, z))), n.Reduce((i, j), n.Product((v, w)))
    beside = n.Reduce((l,), n.Product((n.Load("o", (l,)), n.Load("F", (m, l)))))
    defines = [
        n.Define("x0", (m, i, j), columns_), n.Define("x1", (i, m, j), columns_), n.Define("x2", (r, m), rows),
        n.Define("x3", (m, i, j), n.Sum(((1, beside), (-1, columns_), (1, n.Reduce((l,), z))))),
        n.Define("x4", (m, r), n.Sum(((-1, rows), (1, n.Load("G", (r, m)))))),
        n.Define("y", (r, t), n.Reduce((i,), n.Product((n.Load("G", (r, i)), n.Load("W", (i, t)))))),
        n.Define("x5", (r,), n.Reduce((t,), n.Product((n.Load("y", (r, t)), n.Load("g", (t,)))))),
        n.Define("x6", (t, i), n.Reduce((r,), n.Product((n.Load("y", (t, r)), n.Load("G", (r, i)))))),
    ]  # fmt: skip
    squares = n.Reduce((l,), n.Product((f, n.Power(z, 2))))  # which is no matrix by itself, and so has the columns
    defines += [n.Define("x7", (m, i, j), squares), n.Define("x8", (j, m, i), squares)]
    function = of(*defines, results={f"x{k}" for k in range(9)})
    in_c(function, tmp_path)
    text = c.core_text(function, module_of(function), "f")
    assert text.count(" tile(") >= 5 and "row_product" in text
    in_numpy(function_text(function, DIALECT, sizes=SIZES), function)


def small_step(random):
    """New values of three vectors and two others, in any order, each of one or two that are there."""
    i, m = Index(I, "i"), Index(I, "m")
    old, new = ("a", "b", "c"), ("a_new", "b_new", "c_new")
    order, known, statements = random.sample([*new, "x", "y"], 5), list(old), []
    for name in order:
        terms = [random.choice([n.Load(one, (i,)), n.Load(one, (i,)), n.Reduce((m,), n.Load(one, (m,)))])
                 for one in random.sample(known, random.randint(1, 2))]  # fmt: skip
        statements.append(n.Define(name, (i,), n.Sum(tuple((1, term) for term in (*terms, n.Const(Fraction(1)))))))
        known.append(name)
    arrays = [tuple(Array(name, None, (I,)) for name in names) for names in (old, new)]
    return n.Function("step", "", (), arrays[0], tuple(statements), arrays[1], False)


def test_a_new_value_takes_the_place_of_an_old_one_that_nobody_reads_any_more():
    """Element by element, as C does it; with the copies at the end every new value is in its place."""
    random, aliased = Random(0), 0
    values = {name: np.array([Fraction(k**2 + 10 * at) for k in range(3)], object) for at, name in enumerate("abc")}
    for _ in range(600):
        function = small_step(random)
        plan, true, held = c._plan(function), dict(values), {name: array.copy() for name, array in values.items()}
        for s in function.statements:
            true[s.name] = np.array([exact(s.value, {s.indices[0]: k}, true) for k in range(3)], object)
        for s in plan.statements:
            held.setdefault(plan.alias.get(s.name, s.name), np.empty(3, object))
            there = {**held, **{name: held[place] for name, place in plan.alias.items()}}
            for k in range(3):
                there[plan.alias.get(s.name, s.name)][k] = exact(s.value, {s.indices[0]: k}, there)
        for old, name in plan.copies:
            held[old] = held[name]
        assert {*plan.alias.values(), *(old for old, _ in plan.copies)} == {*"abc"}
        assert all((held[old] == true[f"{old}_new"]).all() for old in "abc"), plan
        assert sorted(s.name for s in plan.statements) == sorted(s.name for s in function.statements)
        aliased += len(plan.alias)
    assert aliased > 600


OPERATIONS = {
    "+": lambda x, y: n.Sum(((1, x), (1, y))),
    "-": lambda x, y: n.Sum(((1, x), (-1, y))),
    "- +": lambda x, y: n.Sum(((-1, x), (1, y))),
    "- -": lambda x, y: n.Sum(((-1, x), (-1, y))),
    "*": lambda x, y: n.Product((x, y)),
    "/": n.Quotient,
}
PLACES = Axis("places")
LEAVES = [np.ldexp(np.random.default_rng(k).uniform(-1, 1, 12), np.arange(-6, 6) * (k - 1) * 5) for k in range(3)]


def rounded(node):
    """In floating-point numbers, one operation after the other."""
    match node:
        case n.Load(name, _):
            return LEAVES["abc".index(name)]
        case n.Sum(((sign, first), (other, second))):
            left, right = rounded(first), rounded(second)
            return (left if sign > 0 else -left) + right * other
        case n.Product((first, second)):
            return rounded(first) * rounded(second)
        case n.Quotient(above, below):
            return rounded(above) / rounded(below)
        case n.Power(base, exponent):
            return math.prod([rounded(base)] * exponent, start=1.0)
    raise AssertionError(node)


@pytest.mark.parametrize("target", ["arrays", "tiles", "numbers", "c", "lanes"])
def test_operations_are_done_as_they_stand(target, tmp_path):
    """In every bit: what is written in brackets is computed first."""
    place = Index(PLACES, "i")
    a, b, c_ = (n.Load(name, (place,)) for name in "abc")
    trees = [
        tree
        for one, other in product(OPERATIONS.values(), repeat=2)
        for tree in (one(other(a, b), c_), one(a, other(b, c_)), n.Product((one(a, b), other(b, c_))))
    ]
    trees += [tree for one in OPERATIONS.values() for tree in (n.Power(one(a, b), 2), one(n.Power(a, 2), b))]
    defines = tuple(n.Define(f"x{k}", (place,), tree) for k, tree in enumerate(trees))
    given = tuple(Array(name, None, (PLACES,)) for name in "abc")
    results = tuple(Array(s.name, None, (PLACES,)) for s in defines)
    function, sizes = n.Function("output", "", (), given, defines, results, False), {PLACES: 12}
    module = replace(module_of(function), sizes=sizes)
    leaves = dict(zip("abc", LEAVES, strict=True))
    if target in ("c", "lanes"):
        call = compiled(function, module, tmp_path, target, sizes)
        ((arrays, _), *_) = call(*[leaves] * (1 + (target == "lanes")))
        found = [arrays[s.name] for s in defines]
    elif target == "numbers":
        flat = unroll(function, sizes, {})
        names, made = ([own for array in arrays for own in columns(array.name, (12,))] for arrays in (given, results))
        space = {"s": []}
        exec(python_function(flat, "f", names, [*names, *made], [(own, own) for own in made]), space)
        place = [float(x) for array in LEAVES for x in array] + [0.0] * len(made)
        space["f"](place)
        found = np.reshape(place[len(names) :], (len(trees), 12))
    else:
        arrays_text = target == "arrays"
        text = function_text(function, DIALECT, sizes=sizes) if arrays_text else _straight(function, module, "output")
        space = {"np": np, "math": math, "threading": threading}
        exec("\n".join([*helpers(text), TILES, text]), space)
        found = space["output"](*LEAVES)
    for own, tree in zip(found, trees, strict=True):
        np.testing.assert_array_equal(own, rounded(tree), err_msg=str(tree))


# ------------------------------------------------------------------------------------------- parts, by definition


def test_a_form_leaves_an_axis_where_one_of_its_values_does():
    sizes = {I: 3, J: 2, L: 9}
    windows = Windows(SimpleNamespace(module=SimpleNamespace(sizes=sizes)))
    i, j, position = Index(I, "i"), Index(J, "j"), Index(L, "l")
    for steps in product((-2, -1, 0, 1, 3), repeat=2):
        for constant in range(-2, 11):
            form = steps[0] * i + steps[1] * j + constant
            values = [form.at({i: a, j: b}) for a, b in product(range(3), range(2))]
            assert windows._leaves(position, form) is any(not 0 <= at < 9 for at in values), form
            assert ends(form, sizes) == (min(values), max(values))
    assert windows._leaves(position, 1 * Index(N, "n")) and ends(1 * Index(N, "n"), sizes) is None


def test_arrays_that_are_too_many_for_a_stack_are_the_caller_s():
    """So many numbers, or any for each pair of rows, or strips; what each row has, stands in given memory anyway."""
    for fixed, per_row, per_pair, strips in product((0, 1, STACK, STACK + 1), (0, 5), (0, 2), (0, 3)):
        room = Room(Amount(fixed, per_row, per_pair), Amount(strips))
        outside = fixed > STACK or per_pair > 0 or strips > 0
        assert room.outside is outside
        assert room.stack == (0 if outside else fixed)
        assert room.given.at(7) == (fixed * outside + per_row * 7 + per_pair * 49)
        assert bool(room) is (room.given.at(7) > 0)


@pytest.mark.parametrize("rows", [1, 3, 8, 9, 16, 17])
@pytest.mark.parametrize("columns_", [1, 5, 16, 17])
def test_tiles_have_memory_for_whole_tiles_and_for_no_more(rows, columns_):
    """The panel has a whole number of columns, and the product of rows as well."""
    r, k, t, s = (Index(Axis(letter), letter) for letter in "rkts")
    sizes = dict(zip((r.axis, k.axis, t.axis, s.axis), (rows, columns_, 7, 2), strict=True))
    value = n.Reduce((t, s), n.Product((n.Load("A", (r, t, s)), n.Load("B", (t, s, k)))))
    function = n.Function("f", "", (), (), (n.Define("R", (r, k), value),), (), False)
    to = SimpleNamespace(module=SimpleNamespace(sizes=sizes), lanes=False)
    to.amount = lambda axes: Amount(math.prod(sizes[axis] for axis in axes))
    windows = Windows(to)
    ((_, made),) = [windows.of(s) or (None, None) for s in function.statements]
    if made is None:
        made = next(windows._ways(value, (r, k)))
    single, panel = (rows, columns_) if made.rows == (r,) else (columns_, rows)
    whole = [-(-single // c_products.ROWS) * c_products.ROWS, -(-panel // COLUMNS) * COLUMNS]
    needs = dict(windows._memory(function.statements[0], made).values())
    assert needs == {"product": Amount(whole[0] * whole[1]), "windows": Amount(7 * 2 * whole[1])}


def test_axes_in_groups_are_rows_and_columns_where_there_are_more_than_two():
    """A product of matrices is none of these."""
    r, k, t, s = (Index(Axis(letter), letter) for letter in "rkts")
    windows = Windows(
        SimpleNamespace(module=SimpleNamespace(sizes=dict.fromkeys((i.axis for i in (r, k, t, s)), 20)), lanes=False)
    )
    for left, right, over, found in (
        ((r, t), (t, k), (t,), False),
        ((r, t), (t, s, k), (t,), True),
        ((r, t, s), (t, s, k), (t, s), True),
    ):
        value = n.Reduce(over, n.Product((n.Load("A", left), n.Load("B", right))))
        indices = tuple(i for i in (r, s, k) if i in (*left, *right) and i not in over)
        grouped = windows.of(n.Define("R", indices, value))
        assert (grouped is not None) is found
        if grouped:
            made = grouped[1]
            assert made.over == over and {*made.rows, *made.columns} == {*indices}
            assert windows.of(n.Define("R", indices, value)) == grouped
    in_lanes = Windows(SimpleNamespace(module=windows.to.module, lanes=True))
    assert (
        in_lanes.of(
            n.Define("R", (r, k), n.Reduce((t, s), n.Product((n.Load("A", (r, t, s)), n.Load("B", (t, s, k))))))
        )
        is None
    )


def test_factors_in_front_of_a_product_have_its_sum_or_its_columns():
    """Or both, or none; what has its rows and its columns is no factor of one."""
    r, k, t = (Index(Axis(letter), letter) for letter in "rkt")
    sizes = dict.fromkeys((r.axis, k.axis, t.axis), 64)
    matrices = n.Load("B", (t, k)), n.Load("A", (r, t))
    products = c_products.Products(SimpleNamespace(module=SimpleNamespace(sizes=sizes), lanes=False))
    for front, found in (((), 1), ((t,), 1), ((k,), 1), ((k, t), 1), ((r,), 0), ((r, k), 0), (None, 1)):
        more = [] if front is None else [n.Load("w", front)]
        value = n.Reduce((t,), n.Product((*more, *matrices)))
        for indices in ((r, k), (k, r)):
            made = products.of(n.Define("R", indices, value))
            assert len(made) == found
            for one in made.values():
                assert (one.rows, one.columns, one.over) in (((r, k, t),) if more else ((r, k, t), (k, r, t)))


def as_defined(text, names):
    """The lines that a preprocessor leaves where these names are defined; what else it is asked, it keeps."""
    kept, stack = [], []
    for line in text.splitlines():
        if line.startswith("#if"):
            asked = re.fullmatch(r"#if (!?)defined\((FCSYM_CBLAS)\)", line)
            stack.append(None if asked is None else (asked[2] in names) is (not asked[1]))
        elif line.startswith("#else"):
            stack[-1] = None if stack[-1] is None else not stack[-1]
        elif line.startswith("#endif"):
            stack.pop()
        elif False not in stack:
            kept.append(line)
    return "\n".join(kept)


@pytest.mark.parametrize("beside", [False, True])
def test_tiles_are_defined_where_they_are_called(beside):
    """By a platform's CBLAS all products of matrices are computed, but for those with more in front."""
    r, k, t = (Index(Axis(letter), letter) for letter in "rkt")
    sizes = dict.fromkeys((r.axis, k.axis, t.axis), 64)
    a, b, weight = n.Load("A", (r, t)), n.Load("B", (t, k)), n.Load("w", (t,))
    defines = [n.Define("R", (r, k), n.Reduce((t,), n.Product((a, b))))]
    if beside:
        defines.append(n.Define("S", (r, k), n.Reduce((t,), n.Product((weight, a, b)))))
    given = (Array("A", None, (r.axis, t.axis)), Array("B", None, (t.axis, k.axis)), Array("w", None, (t.axis,)))
    results = tuple(Array(s.name, None, (r.axis, k.axis)) for s in defines)
    function = n.Function("output", "", (), given, tuple(defines), results, False)
    module = n.Module("", "", "", "", (function,), (), (), {}, sizes, False, False, (), "0")
    for cblas, names in product((False, True), ((), ("FCSYM_CBLAS",))):
        text = as_defined(c.scalar_text(module, cblas=cblas), names)
        assert ("static void tile(" in text) is (text.count(" tile(") > 1) is (beside or not (cblas and names))
        assert (" GEMM(" in text) is bool(cblas and names)


def test_a_stored_input_has_a_row_of_its_own(tmp_path):
    """In C: its row is found, or a free one is taken and its coefficients are 0, or there is none."""
    module = lower_scheme(fcsym.scheme(Network.mlp([3, 2, 1]), "history"))
    text = remember_text(module)
    head = "typedef double real;\n#define FULL 2\n" + PRELUDE
    run = "int run(real *X, real *C, const real *x, int rows) { return remember(X, C, x, rows); }\n"
    (tmp_path / "f.c").write_text(head + text + run)
    subprocess.run([need("gcc"), "-O0", "-w", "-fPIC", "-shared", "f.c", "-o", "f.so"], cwd=tmp_path, check=True)
    call = ctypes.CDLL(str(tmp_path / "f.so")).run
    for x, status, rows in (
        ([1.0, 2.0, 3.0], 0, [[1, 2, 3], [4, 5, 6], [0, 0, 0]]),
        ([4.0, 5.0, 6.0], 0, [[1, 2, 3], [4, 5, 6], [0, 0, 0]]),
        ([1.0, 2.0, 4.0], 0, [[1, 2, 3], [4, 5, 6], [1, 2, 4]]),
        ([0.0, 0.0, 0.0], 0, [[1, 2, 3], [4, 5, 6], [0, 0, 0]]),
    ):
        inputs = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0], [7, 7, 7]], float)
        coefficients = np.full((4, 2), 7.0)
        given = (a.ctypes.data_as(ctypes.c_void_p) for a in (inputs, coefficients, np.array(x)))
        assert call(*given, 3) == status
        assert inputs[:3].tolist() == rows and (inputs[3] == 7).all()
        assert coefficients.tolist() == [[7, 7], [7, 7], [0, 0] if rows[2] == [1, 2, 4] else [7, 7], [7, 7]]
        given = (a.ctypes.data_as(ctypes.c_void_p) for a in (inputs[:2].copy(), coefficients, np.array(x)))
        assert call(*given, 2) == (2 if x == [1.0, 2.0, 4.0] else 0)


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("more", [False, True])
def test_a_makefile_links_mathematics_where_it_is_called(called, more):
    e = n.Load("e", ())
    text = makefile(module_of(of(n.Define("x", (), n.Call("tanh", e) if called else e))), "update", more)
    linked = [line for line in text.splitlines() if line.startswith("\t$(C") and " -c " not in line]
    assert len(linked) == 5
    assert {line.endswith(" -lm") for line in linked} == {more or called}


def test_a_test_program_has_room_for_the_samples_of_its_rows():
    """Of as many samples as the row with the most; where all have the same number, it stands in the program."""
    scheme = fcsym.scheme(Network.mlp([3, 1, 2]), "backprop", batch="mean")
    module, (row, *_) = lower_scheme(scheme), frozen_rows(scheme, draws=3)
    samples = len(row.x[0])
    assert samples > 1
    shorter = replace(row, x=(row.x[0][:1],), target=(row.target[0][:1],), y=row.y[:2])
    alike, mixed, none = (program_of(module, "update", rows) for rows in ([row, row], [shorter, row], []))
    for text in (alike, mixed):
        assert f"x[2][{3 * samples}], target[2][{2 * samples}], y[3][{2 * samples}];" in text
    assert "row->samples" not in alike and f"row->target[n], {samples}, " in alike
    assert "row->target[n], row->samples, " in mixed and "int samples, steps" in mixed
    numbers_of = re.findall(r"\n        (\d+, )?(\d+), 0,\n", mixed)
    assert [(int(found.strip(", ")), int(steps)) for found, steps in numbers_of] == [
        (1, 1),
        (samples, len(row.x)),
    ]
    assert re.findall(r"\n        (\d+, )?(\d+), 0,\n", alike) == [("", str(len(row.x)))] * 2
    one_by_one = fcsym.scheme(Network.mlp([3, 1, 2]), "backprop")
    text = program_of(lower_scheme(one_by_one), "update", frozen_rows(one_by_one, draws=3))
    assert "x[2][3], target[2][2], y[3][2];" in text and "samples" not in text
    assert "rows[]" not in none and "networks of at most" in none


def test_a_file_says_why_it_cannot_begin_or_go_on():
    """Where init itself can be undefined, with a unit on a kink; and a step, and the output after one."""
    module = lower_scheme(fcsym.scheme(Network.mlp([2, 2, 1], "leaky_relu"), "collapsed"))
    space = {"__name__": "update"}
    exec(NumpyTarget().files(module, "update", [])["update.py"], space)
    good, bad = ([np.array([[1.0, 2.0], row]), np.ones((1, 2))] for row in ([-3.0, 1.0], [1.0, -1.0]))
    assert [a.name for a in module.state] == list(space["init"](good, [1.0, 1.0])._fields)
    with pytest.raises(ArithmeticError) as said:
        space["init"](bad, [1.0, 1.0])
    assert module.refused.startswith(str(said.value)) and module.refused[len(str(said.value))] == ":"
    state = space["init"](good, [1.0, 1.0])
    near = space["step"](state, [1.0, 1.0], [0.5], 0.001)
    assert np.isfinite(space["output"](near, [1.0, 1.0])).all()
    far = space["step"](state, [1.0, 1.0], [1000.0], 0.5)
    for call in (lambda **more: space["output"](far, [1.0, 1.0], **more),
                 lambda **more: space["step"](far, [1.0, 1.0], [1.0], 0.5, **more)[0]):  # fmt: skip
        with pytest.raises(ArithmeticError, match=re.escape(module.refusal)):
            call()
        assert np.isnan(call(undefined="nan")).all()


def test_a_number_needs_no_brackets():
    """But for one below 0, where it is multiplied; and one that is given alone is taken out of the list."""
    u, half = n.Load("u", ()), n.Const(Fraction(1, 2))
    for number, text in ((half, "0.5"), (n.Const(Fraction(0)), "0.0"), (n.Const(Fraction(-1, 2)), "(-0.5)")):
        function = n.Function("f", "", (), (), (n.Define("v", (), n.Product((u, number))),), (), False)
        assert f"v = u * {text}\n" in python_function(function, "f", ["u"], ["u"], [])
        written = function_text(replace(function, given=(Array("u", None, ()),)), DIALECT)
        assert f"v = u * {text}\n" in written
        space = {"s": [3.0]}
        exec(python_function(function, "f", ["u"], ["u"], [("v", "u")]), space)
        space["f"]()
        assert space["s"] == [3.0 * float(number.value)]


def test_c_counts_the_numbers_of_an_array_as_far_as_an_int_reaches():
    for lengths in ((2**31 - 1,), (2**31,), (2**16, 2**15), (2**16, 2**14), (2**32,)):
        axes = tuple(Axis(f"n{k}") for k in range(len(lengths)))
        function = n.Function("f", "", (), (Array("A", None, axes),), (), (), False)
        module = SimpleNamespace(functions=[function], sizes=dict(zip(axes, lengths, strict=True)), network="1-1")
        if math.prod(lengths) < 2**31:
            c.refuse_large(module)
        else:
            with pytest.raises(CompileError, match=f"A of 1-1 has {math.prod(lengths)} numbers.*at most {2**31 - 1}:"):
                c.refuse_large(module)


@pytest.mark.parametrize(
    "name, setting, phi, known_by",
    [
        ("backprop", {}, "relu", None),
        ("backprop", {"batch": "mean"}, "relu", None),
        ("states", {}, "relu", "size, norm, key = held"),
        ("states", {"batch": "mean"}, "relu", "key = held[-1]"),
        ("history", {}, "relu", None),
    ],
)
def test_a_file_knows_the_input_that_it_began_with_where_there_is_one(name, setting, phi, known_by):
    module = lower_scheme(fcsym.scheme(Network.mlp([2, 1, 1], phi), name, **setting))
    text = NumpyTarget().files(module, "update", [])["update.py"]
    assert text.count("def _same_input(") == (known_by is not None) == module.single_input
    assert known_by is None or known_by in text


@pytest.mark.parametrize(
    "lengths, kept", [((128, 128), True), ((127, 129), False), ((2**14,), True), ((2**14 - 1,), False), ((), False),
                      ((None, 256), True), ((None, 255), False), ((4, 4, 4), False)],
)  # fmt: skip
def test_memory_is_kept_where_an_array_has_pages_of_its_own(lengths, kept):
    """From 128 KiB on, which are 2 ** 14 numbers; a mini-batch counts as 64 samples."""
    axes = tuple(SAMPLES if length is None else Axis(f"n{k}") for k, length in enumerate(lengths))
    sizes = {axis: length for axis, length in zip(axes, lengths, strict=True) if length is not None}
    function = n.Function("f", "", (), (Array("A", None, axes), Array("e", None, ())), (), (), False)
    assert any("np.empty(" in part for part in helpers("", [function], sizes)) is kept


@pytest.mark.parametrize("target", [TORCH, JAX])
def test_a_pure_file_is_python_and_has_the_shapes_of_one_input(target):
    """Also of a convolution, whose windows are read by a function beside it."""
    network = Network([fcsym.Conv1d(1, 1, 2, padding=1), fcsym.Flatten(), fcsym.Linear(4, 1)], input=(1, 3))
    for given, shape in ((Network.mlp([2, 1, 1]), "-1"), (network, "(1, 3)")):
        module = lower_scheme(fcsym.scheme(given, "backprop"))
        for text in (target.source(module), *target.files(module, "update", []).values()):
            compile(text, "<source>", "exec")
            helped = "def _windows(" in text or "def _added_up(" in text
            assert ("from itertools import product" in text.splitlines()) is helped is (given is network)
        assert re.search(rf"points = \[.*{re.escape(shape)}\)? for values in xs\]|points = .*{re.escape(shape)}", text)
