"""Other people's ways to take the same step. Each maker gives (the timed call, its result as [W1, W2, ...])."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

__all__ = ["NAMES", "peers_of"]

Maker = Callable[..., tuple[Callable[[], object], Callable[[], Any]]]


def symbols(network: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """SymPy: every weight, input, target and eta; and every new weight, with a Piecewise gate."""
    import sympy as sp

    w = [[[sp.Symbol(f"w{n}_{i}_{j}") for j in range(a)] for i in range(b)]
         for n, (a, b) in enumerate(zip(network.widths, network.widths[1:], strict=False))]  # fmt: skip
    x, t, eta = [sp.Symbol(f"x{i}") for i in range(network.inputs)], sp.Symbol("t"), sp.Symbol("eta")
    s = [sum((c * a for c, a in zip(row, x, strict=True)), sp.Integer(0)) for row in w[0]]
    gates = [sp.Piecewise((1, a > 0), (0, True)) for a in s]
    v = [g * a for g, a in zip(gates, s, strict=True)]
    h = eta * (sum(c * a for c, a in zip(w[1][0], v, strict=True)) - t)
    first = [c - h * w[1][0][i] * gates[i] * x[j] for i, row in enumerate(w[0]) for j, c in enumerate(row)]
    last = [c - h * a for c, a in zip(w[1][0], v, strict=True)]
    return [c for layer in w for row in layer for c in row], [*x, t, eta], [*first, *last]


def lambdify_math(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import sympy as sp

    given, rest, made = symbols(network)
    function = sp.lambdify([*given, *rest], made, "math", cse=True)
    numbers = [float(v) for a in weights for v in a.ravel()] + [*map(float, x), float(target[0]), eta]
    return (lambda: function(*numbers)), (lambda: split(network, function(*numbers)))


def split(network: Any, flat: Any) -> list[Any]:
    sizes = np.cumsum([a * b for a, b in zip(network.widths, network.widths[1:], strict=False)])[:-1]
    return np.split(np.asarray(flat), sizes)


def lambdify_numpy(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import sympy as sp

    if network.widths != (2, 2, 1):
        raise NotImplementedError
    given, rest, made = symbols(network)
    function = sp.lambdify([*given, *rest], made, "numpy", cse=True)
    arrays = [np.ascontiguousarray(a.reshape(len(a), -1)[:, k]) for a in weights for k in range(a[0].size)]
    call = lambda: function(*arrays, *x, target[0], eta)  # noqa: E731

    def result() -> list[Any]:
        columns = np.stack(call(), axis=1)
        return [columns[:, :4], columns[:, 4:]]

    return call, result


_KEPT: list[Any] = []  # what a bare pointer needs


def casadi_buffer(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import casadi as ca

    w = [ca.SX.sym(f"W{n}", b, a) for n, (a, b) in enumerate(zip(network.widths, network.widths[1:], strict=False))]
    xs, t, e, v = ca.SX.sym("x", network.inputs), ca.SX.sym("t", 1), ca.SX.sym("e"), None
    v = ca.if_else(w[0] @ xs > 0, w[0] @ xs, 0)
    error = ca.sumsqr(w[1] @ v - t) / 2
    new = [a - e * ca.gradient(error, a) for a in w]
    options = {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3", "-march=native"], "verbose": False}}
    function = ca.Function("f", [*w, xs, t, e], new, options)
    buffer, trigger = function.buffer()
    given = [np.asfortranarray(a) for a in weights] + [np.array(x), np.array(target), np.array([eta])]
    results = [np.zeros_like(a, order="F") for a in given[:2]]
    for k, a in enumerate(given):
        buffer.set_arg(k, memoryview(a.reshape(-1, order="F")))
    for k, a in enumerate(results):
        buffer.set_res(k, memoryview(a.reshape(-1, order="F")))

    def result() -> list[Any]:
        trigger()
        return results

    _KEPT.append((function, buffer, given, results))
    return trigger, result


def numba_loop(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    """A loop over the networks with one line per number, which runs faster than loops over the units."""
    import numba

    shapes = [a.shape[1:] for a in weights]
    lines, below = [], [f"x[{i}]" for i in range(network.inputs)]
    for n, (rows, width) in enumerate(shapes):
        lines += [f"w{n}_{i}_{j} = W{n}[n, {i}, {j}]" for i in range(rows) for j in range(width)]
        for i in range(rows):
            lines.append(f"s{n}_{i} = " + " + ".join(f"w{n}_{i}_{j} * {below[j]}" for j in range(width)))
            lines.append(f"v{n}_{i} = s{n}_{i} if s{n}_{i} > 0 else 0.0")
        below = [f"v{n}_{i}" for i in range(rows)]
    last = len(shapes) - 1
    lines.append(f"d{last}_0 = eta * (s{last}_0 - target[0])")
    for n in range(last, 0, -1):
        for j in range(shapes[n][1]):
            total = " + ".join(f"w{n}_{i}_{j} * d{n}_{i}" for i in range(shapes[n][0]))
            lines.append(f"d{n - 1}_{j} = {total} if s{n - 1}_{j} > 0 else 0.0")
    for n, (rows, width) in enumerate(shapes):
        inputs = [f"v{n - 1}_{j}" if n else f"x[{j}]" for j in range(width)]
        lines += [f"W{n}[n, {i}, {j}] -= d{n}_{i} * {inputs[j]}" for i in range(rows) for j in range(width)]
    given = ", ".join(f"W{n}" for n in range(len(shapes)))
    text = f"def step({given}, x, target, eta):\n    for n in range(W0.shape[0]):\n"
    space: dict[str, Any] = {}
    exec(text + "".join(f"        {line}\n" for line in lines), space)
    step = numba.njit(error_model="numpy")(space["step"])
    kept = [a.copy() for a in weights]
    fresh = [a.copy() for a in weights]

    def result() -> list[Any]:
        step(*fresh, x, target, eta)
        return fresh

    return (lambda: step(*kept, x, target, eta)), result


def heyoka_batch(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import heyoka as hy

    shapes, count = [a.shape[1:] for a in weights], len(weights[0])
    w = [[[hy.make_vars(f"w{n}_{i}_{j}") for j in range(b)] for i in range(a)] for n, (a, b) in enumerate(shapes)]
    flat = [c for layer in w for row in layer for c in row]
    v = [hy.par[k] for k in range(network.inputs)]
    for n, layer in enumerate(w):
        s = [hy.sum([c * a for c, a in zip(row, v, strict=True)]) for row in layer]
        v = s if n + 1 == len(w) else [hy.relu(a) for a in s]
    error = (v[0] - hy.par[network.inputs]) ** 2.0 / 2.0
    gradient = hy.diff_tensors([error], diff_args=flat, diff_order=1).gradient
    step = hy.cfunc([a - hy.par[network.inputs + 1] * g for a, g in zip(flat, gradient, strict=True)], flat)
    columns = np.ascontiguousarray(np.concatenate([a.reshape(count, -1) for a in weights], axis=1).T)
    parameters = np.repeat(np.array([*x, target[0], eta])[:, None], count, axis=1)
    out = np.empty_like(columns)

    def result() -> list[Any]:
        step(columns, outputs=out, pars=parameters)
        return np.split(out.T, np.cumsum([a * b for a, b in shapes])[:-1], axis=1)

    return (lambda: step(columns, outputs=out, pars=parameters)), result


def jax_vmap(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)

    def error(w: Any, x: Any, target: Any) -> Any:
        v = x
        for n, a in enumerate(w):
            v = a @ v
            v = v if n + 1 == len(w) else jax.nn.relu(v)
        return ((v - target) ** 2).sum() / 2

    def step(w: Any, x: Any, target: Any) -> Any:
        return [a - eta * g for a, g in zip(w, jax.grad(error)(w, x, target), strict=True)]

    own = 0 if np.ndim(x) > 1 else None  # an input for each network, or one for all
    function = jax.jit(jax.vmap(step, (0, own, own)) if weights[0].ndim == 3 else step)
    given = [[jax.numpy.asarray(a) for a in weights], jax.numpy.asarray(x), jax.numpy.asarray(target)]
    return (lambda: jax.block_until_ready(function(*given))), (lambda: function(*given))


def numpy_by_hand(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    w1, w2 = weights

    def step() -> list[Any]:
        s = np.matvec(w1, x)
        v = np.where(s > 0, s, 0.0)
        delta = np.matvec(w2, v) - target
        below = np.where(s > 0, np.vecmat(delta, w2), 0.0)
        return [w1 - eta * below[..., None] * x[..., None, :], w2 - eta * delta[..., None] * v[..., None, :]]

    return step, step


def torch_eager(network: Any, weights: Any, x: Any, target: Any, eta: float) -> Any:
    import torch

    torch.set_num_threads(1)
    w = [torch.tensor(a, requires_grad=True) for a in weights]
    inputs, goal = torch.tensor(x), torch.tensor(target)

    def step() -> list[Any]:
        v = torch.relu(w[0] @ inputs[..., None])
        error = ((w[1] @ v - goal[..., None]) ** 2).sum() / 2
        slopes = torch.autograd.grad(error, w)
        with torch.no_grad():
            return [a - eta * g for a, g in zip(w, slopes, strict=True)]

    return step, lambda: [a.numpy() for a in step()]


_ALL: dict[str, tuple[str, str, Maker]] = {
    "CasADi jit, buffer": ("one call", "casadi", casadi_buffer),
    "lambdify, math": ("one call", "sympy", lambdify_math),
    "JAX jit of grad": ("one call", "jax", jax_vmap),
    "numba loop": ("many", "numba", numba_loop),
    "heyoka": ("many", "heyoka", heyoka_batch),
    "lambdify, NumPy": ("many", "sympy", lambdify_numpy),
    "JAX vmap of grad": ("many", "jax", jax_vmap),
    "NumPy by hand": ("wide", "numpy", numpy_by_hand),
    "JAX jit of grad, wide": ("wide", "jax", jax_vmap),
    "PyTorch eager": ("wide", "torch", torch_eager),
}

NAMES = tuple(_ALL)


def peers_of(kind: str) -> Iterator[tuple[str, Maker]]:
    """The peers for one kind of work that are installed."""
    for name, (own, package, make) in _ALL.items():
        if own == kind and find_spec(package) is not None:
            yield name, make
