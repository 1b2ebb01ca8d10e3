"""Functions of the neutral form, drawn at random: every target computes what the form means, in exact numbers.

The numbers are quarters, small enough for sums and products of them to be floating-point numbers.
"""

from __future__ import annotations

import ctypes
import math
import subprocess
import threading
from fractions import Fraction
from functools import cache
from itertools import product
from random import Random

import numpy as np
import pytest
from conftest import need

from fcsym.kernel import neutral as n
from fcsym.kernel.targets import c_products, c_windows
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c import core_text, parameters_of, room_of, takes_rows
from fcsym.kernel.targets.c_native import lanes_of_text
from fcsym.kernel.targets.c_products import TILE
from fcsym.kernel.targets.c_words import PRELUDE, SMOOTH
from fcsym.kernel.targets.numpy import DIALECT, TILES, _straight, helpers
from fcsym.kernel.targets.straight import columns, python_function, unroll
from fcsym.language.expression import Array, Axis, Index, IndexForm

SIZES = {Axis("I"): 3, Axis("J"): 2, Axis("K"): 1, Axis("L"): 9}
I, J, K, L = SIZES  # noqa: E741
N, ROWS = Axis("N", open=True), 4
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
        return n.Const(Fraction(self.random.choice([-6, -4, -2, -1, 1, 2, 3, 4, 6]), 4))

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
        marks = []
        for _ in range(self.random.choice([1, 1, 1, 2]) if not {*over} <= {i for i in over if i.axis.open} else 0):
            left = self.random.choice([i for i in over if not i.axis.open])
            others = [i for i in (*scope, *over) if i != left and not i.axis.open]
            others = self.random.sample(others, min(len(others), self.random.choice([0, 1, 1, 2])))
            if others and self.random.random() < 0.3:
                left, others = others[0], [left, *others[1:]]
            marks.append(n.Indicator(left, self.form(others)))
        more = self.random.choice([[], [self.load(scope)], [self.load((*scope, *over))], [self.number()]])
        return n.Reduce(over, n.Product((*marks, factor, *more)))

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
            more = self.random.choice(
                [[], [], [self.number()], [self.load(over, over[:1])], [self.load((*scope, *over))]]
            )
            return self.through_a_window(tuple(scope), tuple(over), (*more, *factors))

    def through_a_window(self, scope, over, factors):
        """The sum; half of them over one index more, which an indicator says by others, or which says another."""
        closed = [i for i in scope if not i.axis.open]
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

    def statement(self, k):
        """One kind after another: a quotient that is guarded, a matrix less a product, and whatever there is."""
        axes = self.axes((), (I,), (J,), (K,), (L,), (I, J), (J, I), (L, J), (I, I), (I, J, K))
        scope = self.indices(axes)
        match k % 8:
            case 1 | 7:
                scope, value = self.product()
            case 3:
                scope = self.indices((I, J))
                i, j = scope
                left = self.random.choice([[], [self.load(())], [self.number(), n.Load("p", (i,))]])
                other = self.random.choice([n.Load("q", (j,)), n.Load("A", (i, j)), n.Load("p", (i,))])
                value = n.Product((*left, n.Load("p", (i,)), other))
                value = n.Sum(((1, n.Load("A", (i, j))), (self.random.choice([-1, -1, 1]), value)))
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


def every_part(node):
    return [node, *(inner for part in n.parts(node) for inner in every_part(part))]


@cache
def function_of(seed, of_rows=False, count=40):
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
    np.testing.assert_array_equal(found["undefined"], numbers(seed)["p"] > 0)


SEEDS = range(4)


def in_numpy(text, function):
    """The results of two networks at once."""
    space = {"np": np, "math": math, "threading": threading}
    space |= {name: np.array(rows, float) for name, rows in FIXED.items()}
    exec("\n".join([*helpers(text), TILES, text]), space)
    given = [array.name for array in function.given]
    with np.errstate(all="raise"):
        made = space["output"](*(np.stack([numbers(0)[name], numbers(1)[name]]) for name in given))
    names = [*(a.name for a in function.results), "undefined"]
    ndims = [*(len(a.axes) for a in function.results), 1]
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


@pytest.mark.parametrize("seed", SEEDS)
def test_tiles_are_what_a_function_says(seed):
    function = function_of(seed)
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


def in_c(function, folder, lanes=False):
    """The results of each network; of as many at once as there are lanes, where that is said."""
    module, count = module_of(function), len(parameters_of(function, module_of(function)))
    text = core_text(function, module, "f", lanes=lanes)
    kind, width = ("(vec *)", 2) if lanes else ("", 1)
    room = room_of(function, module, lanes)
    arguments = [f"{kind}a[{k}]" for k in range(count)] + [f"{kind}work"] * bool(room) + ["undefined"] * lanes
    if takes_rows(function):
        arguments.insert(count, str(ROWS))
    blocks_are_indented(text)
    if lanes:
        head = lanes_of_text(module)
    else:
        head = "#include <math.h>\ntypedef double real;\n#define FABS fabs\n#define UNDEFINED 1\n" + PRELUDE + TILE
        head += SMOOTH["Abs"]
    source = head + text + CALLER.replace("MASK", "mask" if lanes else "int").replace("ARGUMENTS", ", ".join(arguments))
    (folder / "f.c").write_text(source)
    flags = ["-O0", "-w", "-DREAL=double", "-DINTEGER=int64_t", "-fPIC", "-shared", "-ffp-contract=off"]
    subprocess.run([need("gcc"), *flags, "f.c", "-o", "f.so"], cwd=folder, check=True)
    run = ctypes.CDLL(str(folder / "f.so")).run
    shapes = {array.name: n.shape(array.axes, LENGTHS) for array in (*function.given, *function.results)}

    def aligned(size):
        memory = np.full(size * width + 8, 7.0)
        return memory[-memory.ctypes.data % 64 // 8 :][: size * width].reshape(size, width)

    for networks in [(0, 1)] if lanes else [(0,), (1,)]:
        arrays = {name: aligned(math.prod(shape)) for name, shape in shapes.items()}
        for lane, network in enumerate(networks):
            for array in function.given:
                arrays[array.name][:, lane] = numbers(network)[array.name].ravel()
        work, undefined = aligned(room.given.at(ROWS) + 4), aligned(1)
        undefined[:] = 0.0
        pointers = (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays.values()))
        status = run(pointers, ctypes.c_void_p(undefined.ctypes.data), ctypes.c_void_p(work.ctypes.data))
        assert np.all(work[-4:] == 7.0)  # nothing is written behind the memory that was asked for
        for lane, network in enumerate(networks):
            found = {a.name: arrays[a.name][:, lane].reshape(shapes[a.name]) for a in function.results}
            marked = (numbers(network)["p"] > 0).any()
            assert bool(undefined[0, lane] != 0 if lanes else status) == marked
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


@pytest.mark.parametrize("how", ["", "lanes", "rows", "tiles", "tiles and rows"])
@pytest.mark.parametrize("seed", SEEDS)
def test_c_is_what_a_function_says(seed, how, tmp_path, monkeypatch):
    """Of one network and of several in lanes; with sums by tiles, however small they are; with rows, so many."""
    for name, least in {"_WORTH": 0, "_WASTE": 10**6}.items() if "tiles" in how else ():
        monkeypatch.setattr(c_windows, name, least)
        monkeypatch.setattr(c_products, name, least, raising=False)
    in_c(function_of(seed, "rows" in how), tmp_path, how == "lanes")
