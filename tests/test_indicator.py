"""Indicators: convolution, pooling and selections as forward equations, through every reading."""

from __future__ import annotations

import math
import random
import threading
from dataclasses import replace
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
from conftest import few, need, need_package

from fcsym.checking.magnitude import Magnitude
from fcsym.closed.costs import _count
from fcsym.deriving.differentiate import reverse
from fcsym.deriving.increments import _Change, _difference
from fcsym.errors import FcsymError, UnsupportedExpression
from fcsym.kernel import neutral as n
from fcsym.kernel.bound import FUNCTIONS
from fcsym.kernel.lower import lower
from fcsym.kernel.native import Call, load
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c_native import native_text
from fcsym.kernel.targets.jax import DIALECT as JAX
from fcsym.kernel.targets.jax import LANGUAGE as JAX_LANGUAGE
from fcsym.kernel.targets.numpy import DIALECT as NUMPY
from fcsym.kernel.targets.numpy import TILES, _straight, helpers
from fcsym.kernel.targets.pure_file import pure_helpers
from fcsym.kernel.targets.straight import columns, python_function, unroll
from fcsym.kernel.targets.torch import DIALECT as TORCH
from fcsym.kernel.targets.torch import LANGUAGE as TORCH_LANGUAGE
from fcsym.language.activation import smooth
from fcsym.language.algebra import as_expr, equal, expand, free_in, inline, linear_part, rename
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import (
    ONE,
    ZERO,
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Extreme,
    Index,
    IndexForm,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    Written,
    children,
    greatest,
    indicator,
    indices_in,
    mul,
    number,
    power,
    total,
)
from fcsym.language.instance import Instance, exact_field
from fcsym.language.sympy_bridge import from_sympy, length, to_sympy
from fcsym.render.flat import written_out
from fcsym.render.formula import expression, width

OUT, IN, TIME, TAPS, PLACES = (Axis(name) for name in ("channels_out", "channels_in", "steps", "taps", "places"))
o, c, t, k, u = (Index(a, x) for a, x in zip((OUT, IN, TIME, TAPS, PLACES), "octku", strict=True))
t2, u2, w = Index(TIME, "r"), Index(PLACES, "z"), Index(PLACES, "w")

W = Array("W", 1, (OUT, IN, TAPS), role=Role.PARAMETER)
B = Array("b", 1, (OUT,), role=Role.PARAMETER)
V = Array("v", 0, (IN, PLACES), role=Role.PARAMETER)  # so that its gradient is asked for, too
G = Array("yg", None, (OUT, TIME), role=Role.TARGET)
S = Array("s", 1, (OUT, TIME), role=Role.PRE_ACTIVATION)
E = Array("E", None, (), role=Role.LOSS)
TABLE = Array("W", 1, (PLACES, OUT), role=Role.PARAMETER)
POOL_GOAL = Array("yg", None, (IN, TIME), role=Role.TARGET)
POOLED = Array("s", 1, (IN, TIME), role=Role.PRE_ACTIVATION)


def squared(output, goal, indices):
    return Equation(E[()], Fraction(1, 2) * total(indices, power(output[indices] - goal[indices], 2)), Rule.DEFINITION,
                    "", ())  # fmt: skip


def convolution(stride, dilation, padding):
    """s[o,t] = sum_ck W[o,c,k] v[c, stride t + dilation k - padding] + b[o], and E."""
    shifted = indicator(u, stride * t + dilation * k - padding)
    forward = total((c, k, u), W[o, c, k] * shifted * V[c, u]) + B[o]
    return (Equation(S[o, t], forward, Rule.DEFINITION, "", ()), squared(S, G, (o, t)))


def selection(stride, start):
    """s[o,t] = W[stride t + start, o]: rows of a table."""
    forward = total(u, indicator(u, stride * t + start) * TABLE[u, o])
    return (Equation(S[o, t], forward, Rule.DEFINITION, "", ()), squared(S, G, (o, t)))


def pooling(size, stride):
    """s[c,t] = 1/size sum_k v[c, stride t + k]."""
    forward = total((k, u), number(Fraction(1, size)) * indicator(u, stride * t + k) * V[c, u])
    return (Equation(POOLED[c, t], forward, Rule.DEFINITION, "", ()), squared(POOLED, POOL_GOAL, (c, t)))


def with_gradients(equations, parameters):
    """The equations, their adjoints, and what E's gradient is, by reverse mode."""
    adjoints, found = reverse(equations, lambda a: a.role is Role.PRE_ACTIVATION, {})
    gradients = []
    for array in parameters:
        indices, value = found[array]
        gradients.append(Equation(Array(f"dE_d{array.symbol}", array.layer, array.axes)[indices], value, Rule.GRADIENT,
                                  "", ()))  # fmt: skip
    return (*equations, *adjoints, *gradients)


CONVOLUTIONS = [  # places, taps, stride, dilation, padding, channels in and out
    (7, 3, 2, 1, 1, 2, 3),
    (1, 1, 1, 1, 0, 1, 1),
    (1, 3, 1, 1, 1, 2, 2),  # one place: all but one tap stand outside
    (9, 2, 4, 1, 0, 2, 1),  # a stride larger than the kernel: places that nothing reads
    (8, 3, 2, 2, 3, 1, 2),
    (5, 2, 1, 3, 2, 3, 2),
]


def convolved(case):
    places, taps, stride, dilation, padding, inner, outer = case
    steps = (places + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    sizes = {OUT: outer, IN: inner, TIME: steps, TAPS: taps, PLACES: places}
    return convolution(stride, dilation, padding), (W, B, V), sizes, G


def cases():
    for case in CONVOLUTIONS:
        yield f"convolution {case}", *convolved(case)
    for rows, stride, start, steps in ((5, 2, 1, 3), (1, 1, 0, 1), (4, -1, 3, 4), (3, 2, -1, 3)):
        sizes = {PLACES: rows, OUT: 2, TIME: steps}
        yield f"selection {rows} {stride} {start}", selection(stride, start), (TABLE,), sizes, G
    for places, size, stride in ((6, 2, 2), (5, 3, 1), (7, 2, 3), (1, 1, 1)):
        sizes = {IN: 2, PLACES: places, TAPS: size, TIME: (places - size) // stride + 1}
        yield f"pooling {places} {size} {stride}", pooling(size, stride), (V,), sizes, POOL_GOAL


CASES = {name: rest for name, *rest in cases()}


def numbers_of(arrays, sizes):
    rng = np.random.default_rng(7)
    return {a: rng.integers(-8, 9, [sizes[axis] for axis in a.axes]) / 4 for a in arrays}


def wanted(name):
    """E's value and gradients by loops and central differences of a polynomial of degree two in each number."""
    _, parameters, sizes, goal = CASES[name]
    values = numbers_of((*parameters, goal), sizes)
    kind, *rest = name.split(" ", 1)

    def output(values):
        shape = [sizes[a] for a in goal.axes]
        made = np.zeros(shape)
        for a, step in product(*map(range, shape)):
            if kind == "convolution":
                _, taps, stride, dilation, padding, inner, _ = numbers_in(rest[0])
                made[a, step] = values[B][a]
                for channel, tap in product(range(inner), range(taps)):
                    place = stride * step + dilation * tap - padding
                    if 0 <= place < sizes[PLACES]:
                        made[a, step] += values[W][a, channel, tap] * values[V][channel, place]
            elif kind == "selection":
                _, stride, start = map(int, rest[0].split())
                place = stride * step + start
                made[a, step] = values[TABLE][place, a] if 0 <= place < sizes[PLACES] else 0
            else:
                _, size, stride = map(int, rest[0].split())
                made[a, step] = values[V][a, stride * step : stride * step + size].mean()
        return made

    def loss(values):
        return ((output(values) - values[goal]) ** 2).sum() / 2

    gradients = []
    for array in parameters:
        slope = np.zeros_like(values[array])
        for place in np.ndindex(*slope.shape):
            ends = []
            for step in (1.0, -1.0):
                moved = values[array].copy()
                moved[place] += step
                ends.append(loss({**values, array: moved}))
            slope[place] = (ends[0] - ends[1]) / 2
        gradients.append(slope)
    return values, [output(values), *gradients]


def numbers_in(text):
    return tuple(int(part) for part in text.strip("()").split(","))


def function_of(name):
    """The output and the gradients as one function of the neutral form, and a module around it."""
    equations, parameters, sizes, goal = CASES[name]
    every = with_gradients(equations, parameters)
    made = [e for e in every if e.array != E]
    results = [made[0].array, *(e.array for e in made[-len(parameters) :])]
    given = (*parameters, goal)
    output = lower("output", "Everything.", given, made, results, False)
    others = [n.Function(f, "The same.", (), given, (), given, False) for f in ("init", "step", "expand")]
    functions = (others[0], others[1], output, others[2])
    module = n.Module(name, "none", "none", "none", functions, given, given, {}, sizes, False, False, (), "0")
    values, true = wanted(name)
    return output, module, list(values.values()), true


def close(found, true, tolerance=1e-13):
    for own, right in zip(found, true, strict=True):
        np.testing.assert_allclose(np.asarray(own), right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_exact_instances(name):
    equations, parameters, sizes, _ = CASES[name]
    values, true = wanted(name)
    every = with_gradients(equations, parameters)
    leaf = lambda array, at: Fraction(float(values[array][at]))  # noqa: E731
    for plans in (None, {}):
        instance = Instance({e.array: e for e in every}, sizes, leaf, exact_field(), plans=plans)
        shown = [every[0], *every[-len(parameters) :]]
        for equation, right in zip(shown, true, strict=True):
            for place in np.ndindex(*right.shape):
                assert abs(float(instance.element(equation.array, place)) - right[place]) < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_kernels_in_python(name):
    output, module, given, true = function_of(name)
    namespace = {"np": np, "math": math, "threading": threading}
    text = function_text(output, NUMPY, sizes=module.sizes)
    exec("\n".join([*helpers(text), text]), namespace)
    close(namespace["output"](*given), true)
    many = namespace["output"](*(np.stack([a, 2 * a]) for a in given))
    close([array[0] for array in many], true)
    exec("\n".join([TILES, _straight(output, module, "tiled")]), namespace)
    close(namespace["tiled"](*given), true)
    flat = unroll(output, module.sizes, {})
    columns_given = [x for a in flat.given for x in columns(a.name, n.shape(a.axes, module.sizes))]
    made = [x for a in flat.results for x in columns(a.name, n.shape(a.axes, module.sizes))]
    text = python_function(flat, "one", columns_given, columns_given, [])
    own = {"s": []} | FUNCTIONS
    exec(text + f"    return [{', '.join(made)}]\n", own)
    found = own["one"]([float(x) for a in given for x in np.ravel(a)])
    close([np.array(found)], [np.concatenate([np.ravel(a) for a in true])])


@pytest.mark.parametrize("name", CASES)
def test_kernels_in_c(name):
    need("gcc")
    _, module, given, true = function_of(name)
    library = load(native_text(module), np.float64)
    results = [np.full(a.shape, 7.0) for a in true]
    call = Call(10)
    call.set(networks=1)
    for place, array in enumerate([*map(np.ascontiguousarray, given), *results]):
        call.place(place, array, 0)
    library.function("output")(call.address)
    close(results, true)


def test_c_has_no_loop_over_what_an_indicator_fixes():
    _, module, _, _ = function_of(next(iter(CASES)))
    text = native_text(module)
    assert (
        "const int u = 2 * t + k - 1;" in text
        and "if (" not in text[text.index("output_core") : text.index("expand_core")]
    )


@pytest.mark.parametrize("name", few(CASES, 4))
def test_kernels_in_jax(name):
    jax = need_package("jax")
    output, module, given, true = function_of(name)
    with jax.enable_x64(True):
        namespace = {"jnp": jax.numpy, "jax": jax, "product": product}
        text = function_text(output, JAX, sizes=module.sizes)
        exec("\n".join([*pure_helpers(text, JAX_LANGUAGE), text]), namespace)
        close(namespace["output"](*map(jax.numpy.asarray, given)), true)


@pytest.mark.parametrize("name", few(CASES, 7))
def test_kernels_in_torch(name):
    torch = need_package("torch")
    output, module, given, true = function_of(name)
    namespace = {"torch": torch, "product": product}
    text = function_text(output, TORCH, sizes=module.sizes)
    exec("\n".join([*pure_helpers(text, TORCH_LANGUAGE), text]), namespace)
    close(namespace["output"](*map(torch.as_tensor, given)), true)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_a_convolution_is_that_of_pytorch(case):
    torch = need_package("torch")
    output, module, given, _ = function_of(f"convolution {case}")
    _, _, stride, dilation, padding, _, _ = case
    weight, bias, signal, goal = (torch.tensor(a, requires_grad=True) for a in given)
    made = torch.nn.functional.conv1d(signal[None], weight, bias, stride, padding, dilation)[0]
    (((made - goal) ** 2).sum() / 2).backward()
    namespace = {"np": np, "math": math}
    text = function_text(output, NUMPY, sizes=module.sizes)
    exec("\n".join([*helpers(text), text]), namespace)
    close(namespace["output"](*given), [made.detach(), weight.grad, bias.grad, signal.grad])


# ------------------------------------------------------------------------------------------------ the language


def test_a_form_is_arithmetic_on_indices():
    form = 2 * t + k - 1
    assert form == IndexForm(((t, 2), (k, 1)), -1) and form.at({t: 3, k: 1}) == 6
    assert (3 - form).spelt() == "-2t - k + 4" and (form - form).spelt() == "0" and (1 - t).spelt() == "-t + 1"
    assert repr(indicator(u, form)) == "[u = 2t + k - 1]"
    for wrong in (1.5, True, "t"):
        with pytest.raises(TypeError):
            indicator(u, wrong)
        with pytest.raises(TypeError):
            t * wrong


def test_what_is_decided_by_its_form_is_a_number():
    assert indicator(u, u * 1) == ONE and indicator(u, u + 1) == ZERO
    assert indicator(u, 2 * u - t) == Indicator(u, t * 1)
    with pytest.raises(TypeError, match="both sides"):
        indicator(u, 3 * u)
    with pytest.raises(TypeError, match="both sides"):
        Indicator(u, 3 * u - t)
    assert rename(indicator(u, u2 * 1), {u2: u}) == ONE


def meaning(node, binding, sizes):
    def leaf(array, place):
        return Fraction(sum(map(ord, f"{array.name}{place}")) * 7 % 23 - 11, 3)

    return Instance({}, sizes, leaf, exact_field()).value(node, binding)


X, Y = Array("x", None, (PLACES,)), Array("q", None, (TIME,))
SIZES = {PLACES: 5, TIME: 3, TAPS: 2, OUT: 2, IN: 2}
EQUAL = [
    (total(u, indicator(u, 2 * t + k - 1) * X[u]), total(w, X[w] * indicator(w, k + 2 * t - 1))),
    (indicator(u, t * 1), indicator(t, u * 1)),
    (indicator(u, t - k), indicator(t, u + k)),
    (indicator(u, t * 1) * indicator(u, t * 1), indicator(u, t * 1)),
    (total(u, indicator(u, w * 1) * X[u]), X[w]),  # one axis: nothing leaves it
    (total((u, w), indicator(u, w * 1) * X[u] * X[w]), total(u, X[u] ** 2)),
    (total((t, t2), indicator(u, t + t2) * Y[t] * Y[t2]), total((t2, t), indicator(u, t2 + t) * Y[t2] * Y[t])),
]
DIFFERENT = [
    (total(u, indicator(u, 2 * t + k - 1) * X[u]), total(u, indicator(u, 2 * t + k) * X[u])),
    (total(u, indicator(u, 2 * t) * X[u]), total(u, indicator(u, t * 1) * X[u])),
    (total(u, indicator(u, t * 1)), ONE),  # t may lie outside of u's axis
    (total(u, indicator(u, w + 1) * X[u]), X[w]),
    (indicator(u, t + k), indicator(u, t - k)),
    (indicator(u, t * 1), indicator(u, k * 1)),
    (total((t, t2), indicator(t, 2 * t2) * Y[t]), total((t, t2), indicator(t2, 2 * t) * Y[t])),
]


@pytest.mark.parametrize(("left", "right"), EQUAL, ids=str)
def test_equal_up_to_names(left, right):
    assert equal(left, right) and equal(as_expr(expand(left)), right)
    free = (t, k, w, u)
    for at in product(*(range(SIZES[index.axis]) for index in free)):
        binding = dict(zip(free, at, strict=True))
        assert meaning(left, binding, SIZES) == meaning(right, binding, SIZES)


@pytest.mark.parametrize(("left", "right"), DIFFERENT, ids=str)
def test_different_things_stay_different(left, right):
    assert not equal(left, right)
    free, sizes = (t, k, w, u), {**SIZES, TIME: 6}
    bindings = [dict(zip(free, at, strict=True)) for at in product(*(range(sizes[i.axis]) for i in free))]
    assert any(meaning(left, b, sizes) != meaning(right, b, sizes) for b in bindings)


def test_random_products_keep_their_value_and_one_form():
    rng, matrix = random.Random(1), Array("m", None, (TIME, TAPS))
    for _ in range(150):
        letters = [Index(rng.choice((TIME, TAPS)), letter) for letter in "abcd"]
        factors = []
        for _ in range(rng.randint(1, 3)):
            first, *others = rng.sample(letters, rng.randint(2, 3))
            form = sum((rng.choice((1, 1, -1, 2)) * i for i in others[1:]), others[0] + 0)
            factors.append(indicator(first, form + rng.choice((0, 0, 1, -1))))
        pair = [next((i for i in rng.sample(letters, 4) if i.axis == axis), None) for axis in matrix.axes]
        factors += [matrix[tuple(pair)]] if None not in pair else []
        bound = [i for i in letters if rng.random() < 0.5]
        free = [i for i in letters if i not in bound]
        node = total(bound, mul(*factors))
        settled = as_expr(expand(node))
        for at in product(*(range(SIZES[i.axis]) for i in free)):
            where = dict(zip(free, at, strict=True))
            assert meaning(node, where, SIZES) == meaning(settled, where, SIZES), node
        other = {i: Index(i.axis, f"{i.letter}9") for i in bound}
        turned = mul(*(rename(factor, other) for factor in reversed(factors)))
        assert equal(node, total(reversed(list(other.values())), turned)), node


def test_axes_of_length_one_decide():
    one = frozenset({TIME})
    assert equal(total(t, indicator(u, 2 * t + k) * Y[t]), indicator(u, k * 1) * Y[t], ones=one)
    assert equal(indicator(t, 2 * t2) * Y[t], Y[t], ones=one) and equal(indicator(t, t2 + 1), ZERO, ones=one)
    assert not equal(total(t, indicator(u, 2 * t + k) * Y[t]), indicator(u, k * 1) * Y[t])


def test_no_name_is_captured():
    shifted = total(u, indicator(u, t + k) * X[u])
    assert equal(rename(shifted, {t: t2}), total(w, indicator(w, t2 + k) * X[w]))
    crossed = rename(total(u2, indicator(u2, u + 1) * X[u2]), {u: u2})  # the free one gets the bound one's name
    assert equal(crossed, total(w, indicator(w, u2 + 1) * X[w]))
    opened = inline(total(t, Y[t]), {Y: ((t2,), total(t, indicator(t, t2 + 1)))})
    assert meaning(opened, {}, SIZES) == 2
    with pytest.raises(UnsupportedExpression, match="indicator"):
        expand(power(indicator(u, t * 1), -1))


def test_the_linear_part_is_the_gradient():
    """The adjoint of every operand, against the definition of the derivative by the algebra."""
    D = Array("D", 0, (IN, PLACES))
    equations, _, _, _ = CASES[next(iter(CASES))]
    forward, error = equations
    opened = inline(error.rhs, {S: ((o, t), forward.rhs)})
    change = linear_part(opened, V, D)
    (adjoint,), found = reverse(equations, lambda a: a == S, {})
    (a, b), gradient = found[V]
    gradient = inline(inline(gradient, {adjoint.array: (adjoint.lhs.indices, adjoint.rhs)}), {S: ((o, t), forward.rhs)})
    assert equal(change, total((a, b), gradient * D[a, b]))
    assert not equal(change, total((a, b), 2 * gradient * D[a, b]))


def test_the_increment_of_a_shift_is_the_shift_of_the_increment():
    kernel = Array("h", None, (TAPS,))

    def change(ref):
        after, before = ref.array.primed[ref.indices], ref
        return _Change(after, after - before)

    node = total((k, u), kernel[k] * indicator(u, t + k) * X[u])
    moved = inline(node, {a: (i, a.primed[i]) for a, i in ((kernel, (k,)), (X, (u,)))})
    assert equal(_difference(node, change), moved - node)


EXAMPLES = {
    Number: number(Fraction(1, 2)), Ref: Y[t], Indicator: indicator(u, 2 * t), Add: Y[t] + 1, Mul: Y[t] * 2,
    Pow: Y[t] ** 2, Total: total(u, X[u] * Y[t]), Extreme: greatest(u, X[u] * Y[t]),
    Inverse: Inverse(Array("M", None, (PLACES, TIME))[u, t]), Apply: Apply(smooth("tanh"), Y[t]),
    Written: Written("w", 1, "w"),
}  # fmt: skip
"""Every node there is; all but two have t as a free index."""


def test_no_node_falls_through_a_reader():
    assert {kind.__name__ for kind in EXAMPLES} == {kind.__name__ for kind in Expr.__subclasses__()}
    for kind, node in EXAMPLES.items():
        free = set() if kind in (Number, Written) else {t}
        assert free <= free_in(node) and t not in free_in(rename(node, {t: t2})) and free <= set(indices_in(node))
        assert "object at" not in repr(node) and "object at" not in str(children(node))
        assert expression(node) and width(node) > 0
        if kind is not Written:
            to_sympy(Equation(Y[t], node, Rule.DEFINITION, "", ()))
            lower("f", "", (), [Equation(Y[t], node, Rule.DEFINITION, "", ())], [], False)
        if kind not in (Written, Inverse):
            _count(node)

    class Unknown(Expr):
        __slots__ = ()

    for reader in (children, expression, _count, lambda node: to_sympy(Equation(Y[t], node, Rule.DEFINITION, "", ()))):
        with pytest.raises((TypeError, FcsymError)):
            reader(Unknown())


def test_written_out_an_indicator_is_decided():
    def name(array, place):
        return Written(f"{array.name}_{place}", 1, f"{array.name}_{''.join(map(str, place))}")

    item = Equation(Y[t], total(u, indicator(u, 2 * t - 1) * X[u]) + 1, Rule.DEFINITION, "", ())
    assert [repr(line.rhs) for line in written_out(item, SIZES, name)] == ["1", "x_1 + 1", "x_3 + 1"]


def test_a_check_measures_what_an_indicator_selects():
    values = {"x": np.array([1.0, -2, 3, -4, 5])}
    network = SimpleNamespace(sizes=SIZES)
    magnitude = Magnitude.__new__(Magnitude)
    for field, value in {
        "derivation": SimpleNamespace(network=network), "values": values, "known": {"x": np.asarray(0.0)},
        "bar": 1.0,
    }.items():  # fmt: skip
        object.__setattr__(magnitude, field, value)
    size, _ = magnitude._size(total(u, indicator(u, 2 * t - 1) * X[u]), (t,))
    np.testing.assert_array_equal(size, [0, 2, 4])


def test_typeset_as_a_shift():
    forward = convolution(2, 1, 1)[0]
    assert "sum(c, k, u: W1[o, c, k]*[u = 2t + k - 1]*v0[c, u])" in repr(forward.rhs)
    assert expression(forward.rhs) == r"\sum_{c,k} W^{(1)}_{ock} \, v^{(0)}_{c,2t + k - 1} + b^{(1)}_{o}"
    assert expression(indicator(u, 2 * t - 1) * Y[t]) == r"\left[u = 2t - 1\right] \, y_{t}".replace("y_", "q_")


def test_sympy_and_back():
    forward = convolution(2, 1, 1)[0]
    made = to_sympy(forward)
    assert made.rhs.has(sympy.KroneckerDelta) and from_sympy(made) == forward
    sizes = {length(axis): size for axis, size in SIZES.items()}
    picked = made.rhs.subs(sizes).doit()
    names = {made.lhs.indices[0]: 1, made.lhs.indices[1]: 1}
    v, weight = sympy.IndexedBase(sympy.Symbol("v0", real=True)), sympy.IndexedBase(sympy.Symbol("W1", real=True))
    flat = {e.func(sympy.IndexedBase(e.base.label), *e.indices) for e in picked.subs(names).atoms(sympy.Indexed)}
    assert {e for e in flat if e.base == v} == {v[a, b] for a in (0, 1) for b in (1, 2)} and weight[1, 1, 0] in flat
    with pytest.raises(UnsupportedExpression, match="indicator"):
        from_sympy(sympy.KroneckerDelta(sympy.Symbol("i", integer=True), sympy.Symbol("j", integer=True)))


def test_costs_are_those_of_the_loops_that_are_left():
    forward = convolution(2, 1, 1)[0]
    operations, _ = _count(forward.rhs)
    terms = length(IN) * length(TAPS)
    per_output = 2 * terms - 1 + 1  # products, their sum, the bias
    assert sympy.expand(operations - length(OUT) * length(TIME) * per_output) == 0
    assert _count(replace(forward, rhs=indicator(u, t * 1) * X[u]).rhs)[0] == 0
