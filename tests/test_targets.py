"""One function of every operator of the neutral form, generated and run for each target, at every kink and guard."""

from __future__ import annotations

import math
import threading
from dataclasses import fields
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest
from conftest import need, need_package

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.bound import FUNCTIONS
from fcsym.kernel.native import Call, load
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c_native import native_text
from fcsym.kernel.targets.c_words import SMOOTH
from fcsym.kernel.targets.jax import DIALECT as JAX
from fcsym.kernel.targets.jax import LANGUAGE as JAX_LANGUAGE
from fcsym.kernel.targets.numpy import DIALECT as NUMPY
from fcsym.kernel.targets.numpy import TILES, _straight, helpers
from fcsym.kernel.targets.pure_file import pure_helpers
from fcsym.kernel.targets.straight import columns, python_function, unroll
from fcsym.kernel.targets.tiles import CALLS
from fcsym.kernel.targets.torch import DIALECT as TORCH
from fcsym.kernel.targets.torch import LANGUAGE as TORCH_LANGUAGE
from fcsym.language.expression import Array, Axis, Index
from fcsym.networks.symbols import units

ROWS, COLUMNS = units(1), units(0)
i, j, k, m = Index(ROWS, "i"), Index(COLUMNS, "j"), Index(COLUMNS, "k"), Index(ROWS, "m")
SIZES = {ROWS: 9, COLUMNS: 3}  # nine: sums over rows run along the columns in C

A, B = Array("A", 1, (ROWS, COLUMNS)), Array("B", 2, (ROWS, COLUMNS))
V, U, S = Array("v", None, (COLUMNS,)), Array("u", None, (ROWS,)), Array("c", None, ())


def at(array, *indices):
    return n.Load(array if isinstance(array, str) else array.name, indices)


def c(value):
    return n.Const(Fraction(value))


def signed(*terms):
    return n.Sum(tuple((1 if sign == "+" else -1, term) for sign, term in terms))


u, v = at(U, i), at(V, j)
HALF = Fraction(1, 2)


def chosen(relation, bound=0):
    return n.Select(n.Test(u, relation, Fraction(bound)), n.Product((c(2), u)), signed(("-", u), ("+", c(1))))


GUARD = ((n.Test(u, ">", Fraction(0)), n.Test(u, "!=", HALF)), (n.Test(u, "==", Fraction(-1)),))

EVERY = {
    "load": u,
    "signs": signed(("-", u), ("+", c(HALF)), ("-", n.Product((u, u)))),
    "product": n.Product((c(3), signed(("+", u), ("-", c(1))), u)),
    "power": n.Power(signed(("+", u), ("+", c(2))), 2),
    "cube": n.Power(u, 3),
    "quotient": n.Quotient(n.Product((u, u)), signed(("+", n.Product((at(S), at(S)))), ("+", c(1)))),
    "row_sum": signed(("+", n.Reduce((j,), n.Product((at(A, i, j), v)))), ("+", u)),
    "twice": n.Reduce((j,), n.Product((signed(("+", at(A, i, j)), ("-", v)), at(B, i, j)))),
    "least": n.Product((u, n.Extreme("min", (j,), (n.Product((at(A, i, j), v)),)))),
    "greatest": n.Extreme("max", (j,), (signed(("+", at(A, i, j)), ("-", at(B, i, j))),)),
    "greater": chosen(">"),
    "at_most": chosen("<=", HALF),
    "equal": chosen("==", -1),
    "unequal": chosen("!="),
    "literals": n.Select(n.Test(u, ">", Fraction(0)), c(Fraction(1, 100)), c(1)),
    "nested": n.Select(n.Test(u, ">", Fraction(0)), chosen("==", HALF), n.Undefined()),
    "guarded": n.Guarded(at(U, i), at(U, i), GUARD),
    "guarded_one": n.Guarded(c(1), at(U, i), ((n.Test(u, "!=", Fraction(0)),),)),
    "smooth1": n.Call("tanh", u),
    "smooth2": n.Call("sigmoid", signed(("-", u))),
    "smooth3": n.Product((n.Call("softplus", u), u)),
    "smooth4": n.Call("normal_cdf", u),
    "smooth5": n.Call("normal_pdf", signed(("-", u))),
    **{f"call_{name}": n.Call(name, u) for name in ("exp", "expm1", "erf", "atan", "sin", "cos", "Abs")},
    **{f"call_{name}": n.Call(name, n.Power(u, 2)) for name in ("log1p", "sqrt")},
    "call_log": n.Call("log", signed(("+", n.Power(u, 2)), ("+", c(HALF)))),
}


def module():
    """Each operator as one statement; sums along columns, over squares, and outer products besides."""
    statements = [n.Define(name, (i,), value) for name, value in EVERY.items()]
    statements += [
        n.Define("column_sum", (j,), n.Product((v, n.Reduce((i,), n.Product((at(A, i, j), u)))))),
        n.Define("norm", (), signed(("+", n.Reduce((j,), n.Power(v, 2))), ("+", c(1)))),
        n.Define("low", (), n.Extreme("min", (i,), (u,))),
        n.Define("outer", (i, j), signed(("+", at(A, i, j)), ("-", n.Product((at(S), u, v))))),
        n.Define("matrix", (i, j), n.Product((c(0), at(B, i, j)))),
        n.Define("constant", (i,), c(Fraction(1, 3))),
        n.Define("placed", (i, j), n.Product((at(A, i, j), n.Indicator(i, 3 * j - 1)))),
        n.Define("spread", (i,), n.Reduce((j,), n.Product((c(HALF), n.Indicator(i, 2 * j + 1), v)))),
        n.Define("moved", (j,), n.Reduce((i,), n.Product((n.Indicator(i, 4 * j - 1), u)))),
        n.Define("window", (j,), n.Reduce((m, i), n.Product((at(A, m, j), n.Indicator(i, 3 - m + j), u)))),
        n.Define("both", (j,), n.Reduce((m, i), n.Product((n.Indicator(i, 2 * m), n.Indicator(m, j + 3), u)))),
        n.Define("count", (i,), n.Reduce((m,), n.Indicator(m, i - 4))),
        n.Define(
            "sum_of_sums",
            (i,),
            n.Reduce((j,), n.Product((at(A, i, j), n.Reduce((m,), n.Product((at(B, m, j), at(U, m))))))),
        ),
        n.Mark((i,), ((n.Test(u, "==", Fraction(0)), n.Test(u, "<=", HALF)),)),
    ]
    state = (A, B, V, U, S)
    results = tuple(
        Array(s.name, None, tuple(index.axis for index in s.indices)) for s in statements if isinstance(s, n.Define)
    )
    output = n.Function("output", "Every operator.", (), state, tuple(statements), results, True)
    after = [Array(f"{array.symbol}_new", None, array.axes) for array in state]
    moved = n.Define("u_new", (i,), signed(("+", u), ("-", c(1))))
    step = n.Function("step", "Nothing much.", (), state, (moved,), (A, B, V, after[3], S), False)
    same = n.Function("init", "The same.", (), state, (), state, False)
    functions = (same, step, output, n.Function("expand", "The same.", (), state, (), state, False))
    return n.Module(
        "every operator", "none", "none", "none", functions, state, state, {}, SIZES, False, False, (), "0"
    )  # fmt: skip


NUMBERS = [0, HALF, -1, 1, Fraction(-1, 2), 2, Fraction(1, 4), -3, Fraction(3, 2)]  # every kink, bound and guard of u


def arguments():
    a = np.array([[(3 * p + q) % 5 - 2 for q in range(3)] for p in range(9)]) / 2
    return [a, a[::-1].copy() + 0.25, np.array([0.5, -1.0, 2.0]), np.array([float(x) for x in NUMBERS]), np.array(1.5)]


def exact(node, where, values):
    """The oracle: the neutral form as its documentation says, in exact numbers."""

    def again(part):
        return exact(part, where, values)

    def holds(test):
        left, bound = again(test.left), test.bound
        return {">": left > bound, "<=": left <= bound, "==": left == bound, "!=": left != bound}[test.relation]

    match node:
        case n.Const(value):
            return value
        case n.Indicator(left, right):
            return int(where[left] == sum(times * where[one] for one, times in right.terms) + right.constant)
        case n.Undefined():
            return None
        case n.Load(name, indices):
            return Fraction(float(values[name][tuple(where[index] for index in indices)]))
        case n.Sum(terms):
            return sum(sign * again(term) for sign, term in terms)
        case n.Product(factors):
            result = Fraction(1)
            for factor in factors:
                result *= again(factor)
            return result
        case n.Power(base, exponent):
            return again(base) ** exponent
        case n.Quotient(above, below):
            return again(above) / again(below)
        case n.Reduce(over, body):
            ranges = [range(SIZES[index.axis]) for index in over]
            return sum(exact(body, {**where, **dict(zip(over, p, strict=True))}, values) for p in product(*ranges))
        case n.Extreme(kind, (over,), (body,)):
            every = [exact(body, {**where, over: p}, values) for p in range(SIZES[over.axis])]
            return sorted(every)[0 if kind == "min" else -1]
        case n.Select(test, then, otherwise):
            return again(then if holds(test) else otherwise)
        case n.Guarded(above, below, guard):
            allowed = any(all(holds(test) for test in row) for row in guard)
            return again(above) / again(below) if allowed else Fraction(0)
        case n.Call(name, argument):
            s = mpmath.mpf(float(again(argument)))
            value = {
                "tanh": mpmath.tanh(s), "sigmoid": 1 / (1 + mpmath.exp(-s)), "softplus": mpmath.log(1 + mpmath.exp(s)),
                "normal_cdf": mpmath.ncdf(s), "normal_pdf": mpmath.npdf(s), "Abs": abs(s),
            }.get(name)  # fmt: skip
            return Fraction(str(getattr(mpmath, name)(s) if value is None else value))
    raise AssertionError(node)


def wanted():
    values = dict(zip((a.name for a in (A, B, V, U, S)), arguments(), strict=True))
    result = {}
    with mpmath.workdps(30):
        for s in module()["output"].statements:
            if isinstance(s, n.Define):
                shape = [SIZES[index.axis] for index in s.indices]
                array = np.empty(shape)
                for place in product(*map(range, shape)):
                    number = exact(s.value, dict(zip(s.indices, place, strict=True)), values)
                    array[place] = np.nan if number is None else float(number)
                result[s.name] = array
    result["undefined"] = np.array([x == 0 for x in NUMBERS])
    return result


def compare(got, tolerance=4e-16):
    for name, true in wanted().items():
        assert got[name].shape == true.shape, name
        np.testing.assert_allclose(
            np.asarray(got[name], float), true, rtol=tolerance, atol=tolerance, err_msg=name, equal_nan=True
        )


def names():
    return [*(array.name for array in module()["output"].results), "undefined"]


def run_text(text, dialect, given, **namespace):
    exec(compile(text, "<every>", "exec"), namespace)
    return dict(zip(names(), namespace["output"](*given), strict=True))


def test_every_node_is_in_the_function():
    def kinds(node):
        return {type(node)}.union(*(kinds(part) for part in n.parts(node)))

    found = set().union(*(kinds(s.value) for s in module()["output"].statements if isinstance(s, n.Define)))
    every = {getattr(n, name.strip()) for name in n.Node.split("|")}
    assert found == every - {n.Inverse} and len(every) == 14  # an inverse: test_batches.py
    called = [part for value in EVERY.values() for part in (value, *n.parts(value)) if isinstance(part, n.Call)]
    assert {call.function for call in called} == set(CALLS) == set(n.CALLS) == set(FUNCTIONS) == set(SMOOTH)
    assert set(JAX.smooth) == set(TORCH.smooth) == set(n.CALLS)
    assert {f.name for f in fields(n.Select)} == {"test", "then", "otherwise"}


def test_numpy_arrays():
    text = function_text(module()["output"], NUMPY)
    text = "\n".join([*helpers(text), text])
    with np.errstate(all="raise"):
        compare(run_text(text, NUMPY, arguments(), np=np, math=math))


def test_numpy_tiles():
    text = _straight(module()["output"], module(), "output")
    text = "\n".join([*helpers(text), TILES, text])
    given = arguments()
    with np.errstate(all="raise"):
        compare(run_text(text, NUMPY, given, np=np, math=math, threading=threading))
        many = [np.stack([a, a]) for a in given]
        both = run_text(text, NUMPY, many, np=np, math=math, threading=threading)
    compare({name: array[1] for name, array in both.items()})


def test_python_numbers():
    flat = unroll(module()["output"], SIZES, {})
    given = [column for array in flat.given for column in columns(array.name, n.shape(array.axes, SIZES))]
    shapes = {array.name: n.shape(array.axes, SIZES) for array in flat.results}
    made = [column for name, shape in shapes.items() for column in columns(name, shape)]
    start = len(given)
    text = python_function(flat, "output", given, given, [(m, f"={m}") for m in made][:0])
    text = text.replace("    return undefined", f"    return [{', '.join(made)}], undefined")
    namespace = {"s": [], "nan": math.nan} | FUNCTIONS
    exec(compile(text, "<every>", "exec"), namespace)
    numbers, undefined = namespace["output"]([float(x) for a in arguments() for x in np.ravel(a)])
    assert undefined and start == 67
    result, place = {"undefined": wanted()["undefined"]}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        result[name] = np.reshape(numbers[place : place + size], shape)
        place += size
    compare(result)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c(compiler, monkeypatch):
    monkeypatch.setenv("CC", need(compiler))
    made = module()
    library = load(native_text(made), np.float64)
    count = 5 + len(made["output"].results)
    call = Call(max(count, 10))
    given = arguments()
    results = {a.name: np.full(n.shape(a.axes, SIZES), 7.0) for a in made["output"].results}
    call.set(networks=1)
    for place, array in enumerate([*given, *results.values()]):
        call.place(place, array, 0)
    assert library.function("output")(call.address) == 1  # a unit is marked
    compare(results | {"undefined": wanted()["undefined"]})
    given[3][:] = 3.0
    assert library.function("output")(call.address) == 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_in_lanes(compiler, monkeypatch):
    """The step's text in lanes is that of one network; here with every operator as the step."""
    from fcsym.kernel.targets.c import core_text
    from fcsym.kernel.targets.c_native import lanes_of_text

    monkeypatch.setenv("CC", need(compiler))
    made = module()
    text = lanes_of_text(made) + core_text(made["output"], made, "output_lanes", lanes=True)
    count = 5 + len(made["output"].results)
    pointers = ", ".join(f"(vec *)c->array[{k}]" for k in range(count))
    text += (
        f"int kernel_every(const call_type *c)\n{{\n    mask undefined = (mask){{0}};\n"
        f"    (void)output_lanes({pointers}, &undefined);\n    return undefined[0] ? 1 : 0;\n}}\n"
    )
    library = load(text, np.float64)
    call = Call(max(count, 10))
    shapes = [n.shape(a.axes, SIZES) for a in made["output"].results]

    def aligned(shape):
        size = int(np.prod(shape)) * library.lanes
        memory = np.empty(size + 8)
        start = -memory.ctypes.data % 64 // 8
        return memory[start : start + size].reshape(-1, library.lanes)

    given = [aligned(a.shape) for a in arguments()]
    for array, value in zip(given, arguments(), strict=True):
        array[...] = value.reshape(-1, 1)
    results = [aligned(shape) for shape in shapes]
    for place, array in enumerate([*given, *results]):
        call.place(place, array, 0)
    assert library.function("every")(call.address) == 1
    for lane in (0, library.lanes - 1):
        found = [r[:, lane].reshape(s) for r, s in zip(results, shapes, strict=True)]
        compare(dict(zip(names(), [*found, wanted()["undefined"]], strict=True)))


def test_jax():
    jax = need_package("jax")
    with jax.enable_x64(True):
        text = function_text(module()["output"], JAX)
        text = "\n".join([*pure_helpers(text, JAX_LANGUAGE), text])
        given = [jax.numpy.asarray(a) for a in arguments()]
        compare(run_text(text, JAX, given, jnp=jax.numpy, jax=jax, product=product), 2e-15)
        namespace = {"jnp": jax.numpy, "jax": jax, "product": product}
        exec(text, namespace)
        compare(dict(zip(names(), jax.jit(namespace["output"])(*given), strict=True)), 2e-15)
        place = names().index("guarded_one")
        slope = jax.grad(lambda w: namespace["output"](*given[:3], w, given[4])[place].sum())(given[3])
        np.testing.assert_allclose(slope, [0 if x == 0 else -1 / float(x) ** 2 for x in NUMBERS], rtol=1e-15)


def test_torch():
    torch = need_package("torch")
    text = function_text(module()["output"], TORCH)
    text = "\n".join([*pure_helpers(text, TORCH_LANGUAGE), text])
    given = [torch.as_tensor(a) for a in arguments()]
    found = run_text(text, TORCH, given, torch=torch, product=product)
    compare({name: tensor.numpy() for name, tensor in found.items()}, 2e-15)
    w = given[3].clone().requires_grad_()
    run_text(text, TORCH, [*given[:3], w, given[4]], torch=torch, product=product)["guarded_one"].sum().backward()
    np.testing.assert_allclose(w.grad, [0 if x == 0 else -1 / float(x) ** 2 for x in NUMBERS], rtol=1e-15)


def test_what_is_not_supported_is_refused():
    nowhere = Index(Axis("nowhere"), "q")
    lost = n.Function("f", "", (), (A,), (n.Define("z", (nowhere,), c(1)),), (), False)
    with pytest.raises(CompileError, match="No array at hand has the axis nowhere"):
        function_text(lost, NUMPY)


@pytest.mark.parametrize("value", [c(2), n.Load("A", (i,))])
def test_what_is_the_same_along_an_axis_is_summed_as_often_as_the_axis_is_long(value):
    rows, columns_ = Array("A", None, (ROWS,)), Array("B", None, (COLUMNS,))
    same = n.Define("z", (i, j), value)
    again = n.Define("y", (m, k), n.Sum(((1, n.Load("z", (m, k))),)))
    whole = n.Define("w", (i,), n.Reduce((k,), n.Load("y", (i, k))))
    function = n.Function("f", "", (), (rows, columns_), (same, again, whole), (Array("w", None, (ROWS,)),), False)
    space = {"np": np}
    exec(compile(function_text(function, NUMPY), "<same>", "exec"), space)
    a = np.array([2, 3, 5], np.float32)
    (found,) = space["f"](a, np.ones(4, np.float32))
    np.testing.assert_array_equal(found, 4 * (2 * np.ones(3) if isinstance(value, n.Const) else a))
    assert found.dtype == np.float32


def test_the_oracle_can_tell():
    got = {name: np.array(array) for name, array in wanted().items()}
    for name in got:
        wrong = got | {name: got[name] + 1e-14 if got[name].dtype == float else ~got[name]}
        with pytest.raises(AssertionError):
            compare(wrong)


OPERATIONS = {
    "an element": (v, 0),
    "a number": (c(2), 0),
    "two additions": (signed(("+", v), ("-", c(1)), ("+", u)), 2),
    "two products": (n.Product((u, v, c(3))), 2),
    "a power": (n.Power(v, 2), 1),
    "a quotient of a sum": (n.Quotient(signed(("+", u), ("+", v)), v), 2),
    "a sum of nine products": (n.Reduce((i,), n.Product((at(A, i, j), u))), 9 + 8),
    "a sum over both axes": (n.Reduce((i, j), at(A, i, j)), 26),
    "the greatest of three": (n.Extreme("max", (j,), (v,)), 2),
    "the least of two": (n.Extreme("min", (), (u, v)), 1),
    "the greatest of nine sums": (n.Extreme("max", (i,), (signed(("+", u), ("+", v)),)), 9 + 8),
    "a choice": (chosen(">"), 3),
    "a function of a product": (n.Call("tanh", n.Product((u, v))), 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_counted(name):
    """One for each addition, product, comparison and call, as often as its indices have values; marking is one, too."""
    node, expected = OPERATIONS[name]

    def counted(*statements):
        return n.operations(n.Function("f", "", (), (A, B, V, U, S), statements, (), False), SIZES)

    assert counted(n.Define("r", (), node)) == expected
    assert counted(n.Define("r", (j,), node)) == 3 * expected
    assert (
        counted(n.Define("r", (j, Index(Axis("samples", open=True), "n")), node)) == 3 * expected
    )  # known when it runs
    assert counted(n.Define("r", (i, j), node), n.Define("q", (), node)) == 28 * expected
    assert counted(n.Mark((i,), ((n.Test(u, "==", Fraction(0)),),)), n.Define("r", (), node)) == 9 + expected
