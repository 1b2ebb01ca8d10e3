"""Sums with indicators as windows and places: every pattern in every target, beside PyTorch's own functions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from conftest import few, need, need_package

from fcsym import scheme
from fcsym.deriving.differentiate import reverse
from fcsym.kernel import neutral as n
from fcsym.kernel.lower import lower
from fcsym.kernel.native import Call, load
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.c_native import native_text, work_of
from fcsym.kernel.targets.jax import LANGUAGE as JAX
from fcsym.kernel.targets.numpy import DIALECT, helpers
from fcsym.kernel.targets.pure_file import pure_helpers
from fcsym.kernel.targets.torch import LANGUAGE as TORCH
from fcsym.kernel.windows import reading
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Array, Axis, Index, Role, greatest, indicator, mul, number, power, total
from fcsym.layers import Activation, AvgPool2d, Conv2d, Flatten, Linear
from fcsym.networks.network import Network
from fcsym.networks.symbols import SAMPLES

N = Index(SAMPLES, "n")
E = Array("E", None, (), role=Role.LOSS)

CONVOLUTIONS = [  # places and taps for each direction, stride, padding, dilation, channels in and out, groups
    ((7,), (3,), 2, 1, 1, 2, 3, 1),
    ((1,), (1,), 1, 0, 1, 1, 1, 1),
    ((1,), (3,), 1, 1, 1, 2, 2, 1),  # one place: all but one tap stand outside
    ((9,), (2,), 4, 0, 1, 2, 2, 1),  # a stride larger than the kernel: places that nothing reads
    ((8,), (3,), 1, 2, 2, 4, 6, 2),
    ((6,), (3,), 2, 2, 3, 3, 3, 3),  # depthwise, and no step but one is whole
    ((5, 6), (3, 2), 1, 1, 1, 2, 3, 1),
    ((6, 5), (2, 3), 2, 1, 2, 1, 2, 1),
    ((5, 5), (3, 3), 1, 1, 1, 4, 2, 2),
    ((1, 4), (1, 4), 1, 0, 1, 2, 1, 1),  # a window over all there is
    ((12, 11), (5, 5), 1, 2, 1, 6, 9, 1),  # large enough for products by tiles, with as many steps as places
    ((12, 11), (5, 5), 1, 0, 1, 6, 9, 1),  # and with fewer
]
POOLINGS = [((8,), 2, 2), ((7,), 3, 1), ((7,), 2, 3), ((6, 5), 2, 2), ((5, 4), 3, 1), ((1,), 1, 1)]


def axes_of(kind, count):
    return tuple(Axis(f"{kind}_{k}") for k in range(count))


def steps_of(places, taps, stride, padding, dilation):
    return tuple((p + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for p, k in zip(places, taps, strict=True))


def lengths(sizes, **kinds):
    for kind, values in kinds.items():
        sizes |= dict(zip(axes_of(kind, len(values)), values, strict=True))
    return sizes


def squared(output, goal, indices):
    return Equation(E[()], Fraction(1, 2) * total(indices, power(output[indices] - goal[indices], 2)), Rule.DEFINITION,
                    "", ())  # fmt: skip


def windows_at(t, k, u, stride, padding, dilation):
    return [indicator(c, stride * a + dilation * b - padding) for a, b, c in zip(t, k, u, strict=True)]


def convolution(case, samples=True):
    """Equations of a convolution and of its loss, what is given, and the lengths of its axes."""
    places, taps, stride, padding, dilation, inner, outer, groups = case
    steps = steps_of(places, taps, stride, padding, dilation)
    t, k, u = (tuple(Index(a, f"{x}{j}") for j, a in enumerate(axes_of(x, len(places)))) for x in "tku")
    out, channels, group, member, own = (Axis(x) for x in ("O", "C", "G", "M", "D"))
    o, c, g, m, h = (Index(a, x) for a, x in zip((out, channels, group, member, own), "ocgmh", strict=True))
    each, per = inner // groups, outer // groups
    sizes = lengths({out: outer, channels: inner, group: groups, member: per, own: each}, t=steps, k=taps, u=places)
    lead, n_ = ((SAMPLES,), (N,)) if samples else ((), ())
    weight = Array("W", 1, (out, channels if groups == 1 else own, *axes_of("k", len(taps))), role=Role.PARAMETER)
    bias = Array("b", 1, (out,), role=Role.PARAMETER)
    signal = Array("v", 0, (*lead, channels, *axes_of("u", len(places))), role=Role.PARAMETER)
    goal = Array("yg", None, (*lead, out, *axes_of("t", len(places))), role=Role.TARGET)
    made = Array("s", 1, goal.axes, role=Role.PRE_ACTIVATION)
    marks = windows_at(t, k, u, stride, padding, dilation)
    if groups == 1:
        value = total((c, *k, *u), mul(weight[(o, c, *k)], *marks, signal[(*n_, c, *u)]))
    else:
        marks += [indicator(o, per * g + m), indicator(c, each * g + h)]
        value = total((g, m, h, c, *k, *u), mul(weight[(o, h, *k)], *marks, signal[(*n_, c, *u)]))
    forward = Equation(made[(*n_, o, *t)], value + bias[o], Rule.DEFINITION, "", ())
    return (forward, squared(made, goal, (*n_, o, *t))), (weight, bias, signal), goal, sizes


def pooling(case):
    """A mean over windows, as in `convolution`."""
    places, size, stride = case
    steps = steps_of(places, (size,) * len(places), stride, 0, 1)
    t, k, u = (tuple(Index(a, f"{x}{j}") for j, a in enumerate(axes_of(x, len(places)))) for x in "tku")
    channels = Axis("C")
    c = Index(channels, "c")
    sizes = lengths({channels: 2}, t=steps, k=(size,) * len(places), u=places)
    signal = Array("v", 0, (SAMPLES, channels, *axes_of("u", len(places))), role=Role.PARAMETER)
    goal = Array("yg", None, (SAMPLES, channels, *axes_of("t", len(places))), role=Role.TARGET)
    made = Array("s", 1, goal.axes, role=Role.PRE_ACTIVATION)
    share = number(Fraction(1, size ** len(places)))
    value = total((*k, *u), mul(share, *windows_at(t, k, u, stride, 0, 1), signal[(N, c, *u)]))
    forward = Equation(made[(N, c, *t)], value, Rule.DEFINITION, "", ())
    return (forward, squared(made, goal, (N, c, *t))), (signal,), goal, sizes


def flattened(case):
    """A linear map of all axes of an input, as in `convolution`."""
    places, inner, outer = case[0], *case[5:7]
    u, (out, channels) = [Index(a, f"u{j}") for j, a in enumerate(axes_of("u", len(places)))], (Axis("O"), Axis("C"))
    o, c = Index(out, "o"), Index(channels, "c")
    sizes = lengths({out: outer, channels: inner}, u=places)
    weight = Array("W", 1, (out, channels, *axes_of("u", len(places))), role=Role.PARAMETER)
    signal = Array("v", 0, (SAMPLES, channels, *axes_of("u", len(places))), role=Role.PARAMETER)
    goal = Array("yg", None, (SAMPLES, out), role=Role.TARGET)
    made = Array("s", 1, goal.axes, role=Role.PRE_ACTIVATION)
    forward = Equation(made[N, o], total((c, *u), weight[(o, c, *u)] * signal[(N, c, *u)]), Rule.DEFINITION, "", ())
    return (forward, squared(made, goal, (N, o))), (weight, signal), goal, sizes


COUNT = 3  # samples


def function_of(equations, parameters, goal):
    """The output, and E's gradient by every parameter."""
    adjoints, found = reverse(equations, lambda a: a.role is Role.PRE_ACTIVATION, {})
    gradients = []
    for array in parameters:
        indices, value = found[array]
        name = Array(f"dE_d{array.symbol}", array.layer, array.axes)
        gradients.append(Equation(name[indices], value, Rule.GRADIENT, "", ()))
    made = [e for e in (*equations, *adjoints, *gradients) if e.array != E]
    results = [made[0].array, *(e.array for e in gradients)]
    return lower("output", "Everything.", (*parameters, goal), made, results, False)


def numbers(arrays, sizes, dtype=np.float64):
    rng = np.random.default_rng(3)
    return [(rng.integers(-8, 9, [sizes.get(a, COUNT) for a in array.axes]) / 4).astype(dtype) for array in arrays]


def in_numpy(function, sizes):
    namespace = {"np": np, "math": math}
    text = function_text(function, DIALECT, sizes=sizes)
    exec("\n".join([*helpers(text), text]), namespace)
    return namespace["output"], text


def in_pure(function, sizes, language, **namespace):
    text = function_text(function, language.dialect, sizes=sizes)
    space = {"product": product} | namespace
    exec("\n".join([*pure_helpers(text, language), text]), space)
    return space["output"]


def module_of(function, sizes):
    arrays = function.given
    others = [n.Function(f, "The same.", (), arrays, (), arrays, False) for f in ("init", "step", "expand")]
    functions = (others[0], others[1], function, others[2])
    return n.Module("windows", "none", "none", "none", functions, arrays, arrays, {}, sizes, False, False, (), "0")


def c_text(function, sizes):
    return native_text(module_of(function, sizes))


def in_c(function, sizes, given, dtype=np.float64):
    arrays, module = function.given, module_of(function, sizes)
    library = load(native_text(module), dtype)
    shapes = [[sizes.get(axis, COUNT) for axis in array.axes] for array in function.results]
    results = [np.full(shape, 7.0, dtype) for shape in shapes]
    call = Call(max(2 * len(arrays), len(arrays) + len(results)))
    call.set(networks=1, rows=COUNT)
    work = np.full(work_of(module).at(COUNT) + 32, 7.0, dtype)
    call.point(work=work)
    for place, array in enumerate([*given, *results]):
        call.place(place, array, 0)
    library.function("output")(call.address)
    assert np.all(work[-32:] == 7.0)  # nothing is written behind the memory that was asked for
    return results


def by_torch(case, given):
    """The output and the gradients by PyTorch."""
    torch = need_package("torch")
    functional = torch.nn.functional
    *tensors, goal = (torch.tensor(a, requires_grad=True) for a in given)
    if len(case) == 3:
        places, size, stride = case
        made = getattr(functional, f"avg_pool{len(places)}d")(tensors[0], size, stride)
    else:
        places, _, stride, padding, dilation, _, _, groups = case
        weight, bias, signal = tensors
        run = getattr(functional, f"conv{len(places)}d")
        made = run(signal, weight, bias, stride, padding, dilation, groups)
    (((made - goal) ** 2).sum() / 2).backward()
    return [made.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors)]


def built(case):
    equations, parameters, goal, sizes = pooling(case) if len(case) == 3 else convolution(case)
    function = function_of(equations, parameters, goal)
    return function, sizes, numbers((*parameters, goal), sizes)


def close(found, wanted, bar=1e-12):
    for own, true in zip(found, wanted, strict=True):
        assert np.shape(own) == np.shape(true)
        np.testing.assert_allclose(np.asarray(own, float), true, rtol=bar, atol=bar)


ALL = [*POOLINGS, *CONVOLUTIONS]


@pytest.mark.parametrize("case", ALL, ids=str)
def test_numpy_is_pytorch(case):
    function, sizes, given = built(case)
    call, text = in_numpy(function, sizes)
    wanted = by_torch(case, given)
    close(call(*given), wanted)
    assert "arange" not in text and "einsum(" not in text.replace('einsum("...', "") and "shift" not in text
    many = call(*(np.stack([a, 2 * a]) for a in given))
    close([array[0] for array in many], wanted)
    close(call(*given[:-1], np.stack([given[-1]] * 2))[0], wanted[0])  # a goal of their own for two networks
    assert all(array.dtype == np.float32 for array in call(*(a.astype(np.float32) for a in given)))


def test_all_axes_at_once():
    need("gcc")
    equations, parameters, goal, sizes = flattened(CONVOLUTIONS[-1])
    function = function_of(equations, parameters, goal)
    given = numbers((*parameters, goal), sizes)
    weight, signal, wanted = given
    made = np.einsum("oabc,nabc->no", weight, signal)
    true = [made, np.einsum("no,nabc->oabc", made - wanted, signal), np.einsum("no,oabc->nabc", made - wanted, weight)]
    call, text = in_numpy(function, sizes)
    close(call(*given), true)
    assert text.count("contracted(") == 3
    close(in_c(function, sizes, given), true)
    close(in_c(function, sizes, [a.astype(np.float32) for a in given], np.float32), true, 1e-5)
    assert c_text(function, sizes).count(" tile(") == 4  # itself, and three products


def test_a_large_convolution_is_made_of_tiles():
    for case, placed in zip(CONVOLUTIONS[-2:], (False, True), strict=True):
        function, sizes, _ = built(case)
        text = c_text(function, sizes)
        core = text[text.index("output_core(") :]
        assert core.count(" tile(") == 3 and ("places[" in core) is placed  # the terms of the adjoint
    small = c_text(*built(CONVOLUTIONS[0])[:2])
    assert " tile(" not in small


@pytest.mark.parametrize("case", [*few(ALL[:-2], 4), *CONVOLUTIONS[-2:]], ids=str)
def test_c_is_pytorch(case):
    need("gcc")
    function, sizes, given = built(case)
    close(in_c(function, sizes, given), by_torch(case, given))


@pytest.mark.parametrize("case", few(ALL, 3), ids=str)
def test_jax_is_pytorch_and_differentiates(case):
    jax = need_package("jax")
    function, sizes, given = built(case)
    wanted = by_torch(case, given)
    with jax.enable_x64(True):
        call = in_pure(function, sizes, JAX, jnp=jax.numpy, jax=jax)
        close(jax.jit(call)(*given), wanted)

        def loss(*own):
            return ((call(*own, given[-1])[0] - given[-1]) ** 2).sum() / 2

        count = len(given) - 1
        close(jax.jit(jax.grad(loss, tuple(range(count))))(*given[:-1]), wanted[1:])
        both = jax.vmap(call)(*(np.stack([a, a]) for a in given))
        close([array[1] for array in both], wanted)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_torch_is_itself_and_differentiates(case):
    torch = need_package("torch")
    function, sizes, given = built(case)
    wanted = by_torch(case, given)
    call = in_pure(function, sizes, TORCH, torch=torch)
    own = [torch.tensor(a, requires_grad=True) for a in given]
    made = call(*own)
    close([array.detach() for array in made], wanted)
    slopes = torch.autograd.grad(((made[0] - own[-1]) ** 2).sum() / 2, own[:-1])
    close(slopes, wanted[1:])


# ------------------------------------------------------------------------------------- what is no convolution

T, D, U, K = (Index(Axis(letter.upper()), letter) for letter in "tduk")
M = Index(T.axis, "m")
V, A, F = Array("v", None, (U.axis,)), Array("a", None, (T.axis, T.axis)), Array("f", None, (T.axis, D.axis))
LENGTHS = {T.axis: 5, D.axis: 5, U.axis: 7, K.axis: 3}
SEEN = np.tril(np.ones((5, 5)))


def zeros_where(at, values):
    """values[at], and 0 outside."""
    return values[at] if 0 <= at < len(values) else 0.0


OTHERS = {
    "one position": ((), total(U, indicator(U, 3) * V[U]), lambda v, a, f: v[3]),
    "no position": ((), total(U, indicator(U, -1) * V[U]), lambda v, a, f: 0.0),
    "a shift": ((T,), total(U, indicator(U, T - 1) * V[U]), lambda v, a, f: [zeros_where(t - 1, v) for t in range(5)]),
    "backwards": ((T,), total(U, indicator(U, 4 - T) * V[U]), lambda v, a, f: v[4::-1]),
    "every other one": ((K,), total(U, indicator(U, 2 * K + 1) * V[U]), lambda v, a, f: v[1:6:2]),
    "windows from the end": (
        (T, K), total(U, indicator(U, 6 - T - 2 * K) * V[U]),
        lambda v, a, f: [[zeros_where(6 - t - 2 * k, v) for k in range(3)] for t in range(5)],
    ),
    "three indices": (
        (T,), total((K, D, U), indicator(U, 2 * T + K - D) * V[U]),
        lambda v, a, f: [sum(zeros_where(2 * t + k - d, v) for k in range(3) for d in range(5)) for t in range(5)],
    ),
    "put there": (
        (U,),
        total((T, D), F[T, D] * indicator(U, 2 * T - D + 1)),
        lambda v, a, f: [sum(f[t, d] for t in range(5) for d in range(5) if u == 2 * t - d + 1) for u in range(7)],
    ),
    "of a square": (
        (T,), total((K, U), indicator(U, T + K) * power(V[U], 2)),
        lambda v, a, f: [sum(zeros_where(t + k, v) ** 2 for k in range(3)) for t in range(5)],
    ),
    "a causal mask": ((T, M), total(D, indicator(M, T - D)), lambda v, a, f: SEEN),
    "attention": (
        (T,), total((M, D), A[T, M] * indicator(M, T - D) * 2), lambda v, a, f: (2 * a * SEEN).sum(1),
    ),
    "values attended to": (
        (T, D), total((M, E_AS_D := Index(D.axis, "e")), A[T, M] * indicator(M, T - E_AS_D) * F[M, D]),
        lambda v, a, f: (a * SEEN) @ f,
    ),
    "two of one index": (
        (T,), total((U, K), indicator(U, T + K) * indicator(U, 2 * K) * V[U]),
        lambda v, a, f: [zeros_where(2 * t, v) if t < 3 else 0.0 for t in range(5)],
    ),
    "a diagonal": ((), total((T, M), A[T, M] * indicator(T, M * 1)), lambda v, a, f: np.trace(a)),
    "the greatest of windows": (
        (K,), greatest(D, total(U, indicator(U, K + D) * V[U])), lambda v, a, f: [max(v[k : k + 5]) for k in range(3)],
    ),
}  # fmt: skip


def other(name):
    indices, value, wanted = OTHERS[name]
    made = Array("s", 1, tuple(index.axis for index in indices))
    function = lower(
        "output", name, (V, A, F), [Equation(made[indices], value, Rule.DEFINITION, "", ())], [made], False
    )
    given = numbers((V, A, F), LENGTHS)
    return function, given, [np.asarray(wanted(*given), float)]


@pytest.mark.parametrize("name", OTHERS)
def test_other_patterns(name):
    function, given, wanted = other(name)
    call, _ = in_numpy(function, LENGTHS)
    close(call(*given), wanted)
    many = call(*(np.stack([0 * a, a]) for a in given))
    close([array[1] if array.ndim > wanted[0].ndim else array for array in many], wanted)  # a mask is one for all
    torch = need_package("torch")
    close(in_pure(function, LENGTHS, TORCH, torch=torch)(*map(torch.tensor, given)), wanted)


@pytest.mark.parametrize("name", few(OTHERS, 5))
def test_other_patterns_in_jax(name):
    jax = need_package("jax")
    function, given, wanted = other(name)
    with jax.enable_x64(True):
        call = in_pure(function, LENGTHS, JAX, jnp=jax.numpy, jax=jax)
        close(call(*map(jax.numpy.asarray, given)), wanted)


def test_other_patterns_in_c():
    need("gcc")
    every = [other(name)[0] for name in OTHERS]
    statements = [
        n.Define(f"s{k}", statement.indices, statement.value)
        for k, function in enumerate(every)
        for statement in function.statements
        if isinstance(statement, n.Define)
    ]
    results = [Array("s", k, tuple(i.axis for i in s.indices)) for k, s in enumerate(statements)]
    function = n.Function("output", "All.", (), (V, A, F), tuple(statements), tuple(results), False)
    _, given, _ = other("a shift")
    close(in_c(function, LENGTHS, given), [wanted for name in OTHERS for wanted in other(name)[2]])


def test_the_smallest_way_is_taken():
    """Which plan the analysis makes, by the lengths of axes."""
    (*_, sizes), o = convolution(CONVOLUTIONS[0], samples=False), Index(Axis("O"), "o")
    t, k, u, c = (Index(Axis(a), b) for a, b in (("t_0", "t"), ("k_0", "k"), ("u_0", "u"), ("C", "c")))
    mark = indicator(u, t + k - 1)
    weight, signal = n.Load("W", (o, c, k)), n.Load("v", (c, u))
    forward = reading((c, k, u), [mark], [weight, signal], sizes)
    assert [operand.at for operand in forward.operands] == [(), ((u, t + k - 1),)] and forward.over == (c, k)
    back = reading((o, t, k), [mark], [weight, n.Load("delta", (o, t))], sizes)
    assert [place.index for place in back.places] == [u] and not any(operand.at for operand in back.operands)
    slope = reading((t, u), [mark], [n.Load("delta", (o, t)), signal], sizes)
    assert [operand.at for operand in slope.operands] == [(), ((u, t + k - 1),)]
    slope = reading((t, u), [mark], [n.Load("delta", (o, t)), signal], {**sizes, t.axis: 50})  # more steps than places
    assert [operand.at for operand in slope.operands] == [((t, u - k + 1),), ()]
    mask = reading((k,), [indicator(t, u - k)], [], sizes)
    assert [span.axis for span in mask.spans] == [k.axis]
    kept = reading((), [indicator(u, 2 * t + 3 * k)], [signal], sizes)
    assert kept.masks and not kept.places


def test_windows_that_are_used_twice_are_made_once():
    function, sizes, _ = built(((8,), (3,), 1, 0, 1, 2, 3, 1))
    text = in_numpy(function, sizes)[1]
    assert text.count("windows(v0") == 1 and text.count("read1") == 3


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_a_kernel_takes_images(target):
    if target == "c":
        need("gcc")
    torch = need_package("torch")
    layers = [Conv2d(1, 2, 3, padding=1), Activation("relu"), AvgPool2d(2), Flatten(), Linear(18, 2)]
    kernel = scheme(Network.sequential((1, 6, 7), layers), "backprop", batch="mean").compile(target)
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=kernel.network.shape(a)) for a in kernel.network.parameters]
    x, goal = rng.normal(size=(2, 4, 1, 6, 7)), rng.normal(size=(2, 4, 2))
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(18, 2),
    ).double()  # fmt: skip
    for parameter, start in zip(model.parameters(), weights, strict=True):
        parameter.data = torch.tensor(start.reshape(parameter.shape))
    optimiser = torch.optim.SGD(model.parameters(), 0.25)
    for inputs, wanted in zip(torch.tensor(x), torch.tensor(goal), strict=True):
        optimiser.zero_grad()
        (((model(inputs) - wanted) ** 2).sum() / 8).backward()
        optimiser.step()
    made = kernel.run(kernel.init(weights), x, goal, 0.25)  # two steps
    close(made, [p.detach().numpy().reshape(w.shape) for p, w in zip(model.parameters(), weights, strict=True)])
