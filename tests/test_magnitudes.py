"""Inputs of every size that floating point has, and numbers at its ends: right to rounding, or refused by name."""

from __future__ import annotations

import warnings
from fractions import Fraction
from itertools import chain

import exact
import numpy as np
import pytest
from conftest import need_package

import fcsym
from fcsym.errors import FcsymError
from fcsym.kernel.native import compiler
from fcsym.schemes import SCHEMES

SINGLE_INPUT = ("states", "weights", "compensation", "collapsed")
WIDTHS = (2, 2, 1)
WEIGHTS = ([[1.0, -0.5], [0.75, 0.25]], [[0.5, -1.25]])


def fractions(values):
    return [fractions(v) for v in values] if np.ndim(values) else Fraction(float(values))


def true_weights(x, target, eta, order):
    """Backpropagation in rational numbers, from the numbers as they are stored."""
    weights = [fractions(w) for w in WEIGHTS]
    return exact.step(WIDTHS, weights, fractions(x), fractions(target), Fraction(float(eta)), order).w


def off(got, true):
    """The largest error of all weights, which are about 1."""
    pairs = [(a, b) for g, t in zip(got, true, strict=True) for a, b in zip(np.ravel(g), chain(*t), strict=True)]
    return max(abs(Fraction(float(a)) - b) for a, b in pairs)


def sizes(dtype, count):
    """Powers of ten from the least normal number to the greatest one."""
    about = np.finfo(dtype)
    ends = int(np.ceil(np.log10(about.smallest_normal))), int(np.log10(about.max))
    return np.unique(np.linspace(*ends, count).astype(int)).tolist()


def trained(kernel, name, target, dtype, exponent, order):
    """The error of what `expand` gives back after a step, in roundings of 1.

    A large input takes a step that changes nothing: the true weights would leave the range.
    """
    with np.errstate(all="ignore"):
        x = (np.array([1.0, -0.5]) * 10.0**exponent).astype(dtype)
    weights = [np.array(w, dtype) for w in WEIGHTS]
    small = exponent < 0
    goal, eta = np.zeros(1, dtype), dtype(0.125 if small else 0.0)
    give = {"jax": lambda a: jax_array(a), "torch": lambda a: torch_array(a)}.get(target, lambda a: a)
    given, at = [give(w) for w in weights], give(x)
    state = kernel.init(given, at)
    assert np.isfinite(np.asarray(kernel.output(state, at))).all()
    state = kernel.step(state, at, give(goal), float(eta))
    got = kernel.expand(state, given, at)
    return off([np.asarray(w) for w in got], true_weights(x, goal, eta, order)) / np.finfo(dtype).eps


def jax_array(a):
    import jax.numpy as jnp

    return jnp.asarray(a)


def torch_array(a):
    import torch

    return torch.as_tensor(a)


def reaches(name, dtype, exponent):
    """`collapsed` holds sums of squares of pre-activations."""
    return name != "collapsed" or exponent < np.log10(np.finfo(dtype).max) / 2 - 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("target", ["numpy", "c"])
def test_inputs_of_every_size_are_right_to_rounding(target, dtype, order):
    if target == "c" and compiler() is None:
        pytest.skip("no C compiler")
    for name in SCHEMES:
        kernel = fcsym.scheme(fcsym.Network.mlp(WIDTHS), name, order).compile(target)
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            for exponent in sizes(dtype, 23):
                if reaches(name, dtype, exponent):
                    assert trained(kernel, name, target, dtype, exponent, order) < 8, (name, exponent)
                else:
                    with pytest.raises(fcsym.ArgumentError, match="are too large; scale them down"):
                        trained(kernel, name, target, dtype, exponent, order)


@pytest.mark.parametrize("target", ["jax", "torch"])
def test_inputs_of_every_size_in_other_libraries(target):
    need_package(target)
    dtype = np.float32 if target == "jax" else np.float64
    for name in SINGLE_INPUT:
        kernel = fcsym.scheme(fcsym.Network.mlp(WIDTHS), name).compile(target)
        for exponent in sizes(dtype, 7):
            if target == "jax" and exponent == 38:  # XLA divides by multiplying with the inverse, which it flushes to 0
                continue
            if reaches(name, dtype, exponent):
                assert trained(kernel, name, target, dtype, exponent, "simultaneous") < 8, (name, exponent)


@pytest.mark.parametrize("name", SINGLE_INPUT)
@pytest.mark.parametrize("bias", [False, True])
def test_files_run_bind_and_batch_take_them_too(name, bias, tmp_path):
    scheme = fcsym.scheme(fcsym.Network.mlp(WIDTHS, bias=bias), name)
    space = {"__name__": "exported"}
    text = scheme.export(tmp_path / "update.py")[0].read_text()
    exec(compile(text, "update.py", "exec"), space)
    file = type("File", (), {part: staticmethod(space[part]) for part in ("init", "step", "output", "expand")})
    weights = [w for matrix in WEIGHTS for w in (np.array(matrix), *([np.full(len(matrix), 0.5)] if bias else []))]
    kernels = [scheme.compile(), *([scheme.compile("c")] if compiler() else [])]
    for x in (np.array([1e-155, 5e-156]), np.array([1e-300, -1e-305]), np.array([0.5, 1.0])):
        results = []
        for kernel in (*kernels, file):
            state = kernel.init(weights, x)
            results.append(kernel.expand(kernel.step(state, x, [0.25], 0.125), weights, x))
        for kernel in kernels:
            state = kernel.init(weights, x)
            bound, batch = kernel.bind(state, x, [0.25], 0.125), kernel.batch([state, state])
            bound.step()
            bound.set(x=x)
            batch.step(x, [0.25], 0.125)
            many = kernel.run(state, x[None], [[0.25]], 0.125)
            results += [kernel.expand(s, weights, x) for s in (bound.state, many)]
            results.append([w[1] for w in kernel.expand(batch.state, weights, x)])
        for got in results:
            for a, b in zip(got, results[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-15)
    for kernel in (*kernels, file):
        state = kernel.init(weights, np.array([1e-155, 5e-156]))
        if not bias:
            for other in ([1e-155, 4e-156], [5e-156, 1e-155], [2e-155, 1e-155]):
                with pytest.raises(ValueError, match="x is not the input that init was given"):
                    kernel.step(state, np.array(other), [0.25], 0.125)
            with pytest.raises(ValueError, match="smallest normal number"):
                kernel.init(weights, np.array([1e-310, 0.0]))
        assert np.isfinite(np.concatenate([np.ravel(a) for a in state])).all()


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_history_tells_small_inputs_apart(target):
    """The squares of their differences vanish; they do not."""
    if target == "c" and compiler() is None:
        pytest.skip("no C compiler")
    if target in ("jax", "torch"):
        need_package(target)
    dtype, tiny = (np.float32, 1e-25) if target == "jax" else (np.float64, 1e-200)
    give = {"jax": lambda a: jax_array(a), "torch": lambda a: torch_array(a)}.get(target, lambda a: a)
    kernel = fcsym.scheme(fcsym.Network.mlp(WIDTHS), "history").compile(target)
    state = kernel.init([give(np.array(w, dtype)) for w in WEIGHTS])
    for x in ([tiny, 2 * tiny], [2 * tiny, 3 * tiny], [tiny, 2 * tiny]):
        state = kernel.step(state, give(np.array(x, dtype)), give(np.ones(1, dtype)), 0.125)
    stored = np.asarray(state.X)
    assert (stored != 0).any(axis=-1).sum() == 2
    assert (np.asarray(state.C) != 0).any(axis=-1).sum() == 2


_ENDS = {
    np.float64: (1e-308, 1e-155, 1e155, 1e300, 1e308),
    np.float32: (1e-38, 1e-20, 1e20, 1e38),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_no_call_warns(dtype, activation):
    """Numbers at the ends of the range give numbers or an error with a name, whatever NumPy is told to do."""
    network = fcsym.Network.mlp(WIDTHS, activation)
    kernels = [fcsym.derive(network).compile()]
    for name, record in fcsym.schemes.every_scheme(network).items():
        scheme = fcsym.Scheme.of(record)
        kernels += [scheme.compile(), *([scheme.compile("c")] if compiler() and name in ("history", "weights") else [])]
    plain, *carried = kernels
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for size in _ENDS[dtype]:
            for eta in (0.125, 1e-300, 1e300):
                for big in (False, True):
                    x = np.array([size, -size], dtype)
                    with np.errstate(all="ignore"):
                        weights = [np.array(w, dtype) * dtype(size if big else 1) for w in WEIGHTS]
                    try:
                        plain.step(weights, x, [1.0], eta)
                    except FcsymError as problem:
                        assert dtype is np.float32 and eta != 0.125, problem
                    for kernel in carried:
                        calls(kernel, weights, x, eta)


def calls(kernel, weights, x, eta):
    """Every way to train, each of which may refuse."""
    try:
        state = kernel.init(weights, x)
        kernel.output(state, x)
    except FcsymError:
        return
    ways = (
        lambda: kernel.expand(kernel.step(state, x, [1.0], eta), weights, x),
        lambda: kernel.step(kernel.step(state, x, [1.0], eta, undefined="nan"), x, [1.0], eta, undefined="nan"),
        lambda: kernel.run(state, [x, x], [[1.0], [1.0]], eta),
        lambda: [(bound := kernel.bind(state, x, [1.0], eta)).step(), bound.step(), bound.state],
        lambda: [(batch := kernel.batch([state, state])).step(x, [1.0], eta), batch.state],
    )
    for way in ways:
        try:
            way()
        except FcsymError as problem:
            assert str(problem).endswith((".", ")")), problem


def test_an_eta_that_does_not_fit_is_refused_by_name(tmp_path):
    scheme = fcsym.scheme(fcsym.Network.mlp(WIDTHS), "states")
    weights, x = [np.array(w, np.float32) for w in WEIGHTS], np.ones(2, np.float32)
    space = {"__name__": "exported"}
    exec(compile(scheme.export(tmp_path / "update.py")[0].read_text(), "update.py", "exec"), space)
    for kernel in (scheme.compile(), *([scheme.compile("c")] if compiler() else [])):
        state = kernel.init(weights, x)
        bound, batch = kernel.bind(state, x, [1.0], 0.125), kernel.batch([state])
        for eta, word in ((1e300, "large"), (1e-300, "small")):
            for call, given in (
                (kernel.step, (state, x, [1.0], eta)), (kernel.run, (state, [x], [[1.0]], eta)),
                (bound.set, (None, None, eta)), (batch.step, (x, [1.0], eta)),
            ):  # fmt: skip
                with pytest.raises(fcsym.ArgumentError, match=f"eta contains 1e.*too {word} for float32"):
                    call(*given)
            with pytest.raises(ValueError, match="eta contains numbers that do not fit float32"):
                space["step"](space["init"](weights, x), x, [1.0], eta)
    with pytest.raises(fcsym.ArgumentError, match="target contains 1e\\+300, which is too large for float32"):
        fcsym.derive(scheme.network).compile().step(weights, x, [1e300], 0.125)
