"""Compiled steps against peers: each works out the same step, is checked, and then timed, in interleaved rounds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import fcsym
from benchmarks.peers import NAMES, peers_of
from fcsym.kernel.native import compiler

ROUNDS = 15
ETA = 1e-6
FIRST = "(c) 4-8-8-1, to the first step"
WIDE_MANY = "784-128-10 x 256"


def weights_of(network: fcsym.Network, lead: tuple[int, ...] = ()) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(*lead, *network.shape(a))) / np.sqrt(network.shape(a)[-1]) for a in network.parameters]


def seconds(work: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def table(work: str, works: dict[str, Callable[[], object]], divide: float = 1.0) -> list[dict[str, Any]]:
    """The minimum and the median of every work over interleaved rounds, in nanoseconds."""
    calls = {}
    for name, call in works.items():
        call()
        calls[name] = max(1, min(20000, int(2e-3 / max(seconds(call, 3), 1e-8))))
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, call in works.items():
            times[name].append(1e9 * seconds(call, calls[name]) / divide)
    return [row(work, name, own) for name, own in times.items()]


def row(work: str, peer: str, times: list[float]) -> dict[str, Any]:
    """A row of the table, from times in nanoseconds."""
    return {"work": work, "peer": peer, "minimum_ns": min(times), "median_ns": median(times)}


def expected(network: fcsym.Network, weights: list[np.ndarray], x: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """The reference of every peer: the step by autograd, in extended precision."""
    from fcsym.checking.oracle import backpropagation

    lead = np.broadcast_shapes(weights[0].shape[:-2], x.shape[:-1])
    full = [np.broadcast_to(a, lead + a.shape[-2:]) for a in weights]
    xs, targets = np.broadcast_to(x, lead + x.shape[-1:]), np.broadcast_to(target, lead + target.shape[-1:])
    true = backpropagation(network, "simultaneous", full, xs, targets, np.full(lead, ETA))
    return [true[f"{a.name}_new"] for a in network.parameters]


def checked(name: str, got: Any, wanted: list[np.ndarray]) -> None:
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(
            np.asarray(a, float).reshape(b.shape), b.astype(float), rtol=1e-9, atol=1e-9, err_msg=name
        )


@contextmanager
def empty_cache() -> Iterator[None]:
    """Nothing that was compiled before is found."""
    kept = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if kept is not None:
                os.environ["XDG_CACHE_HOME"] = kept


def once(work: Callable[[], object]) -> float:
    """One call, in nanoseconds."""
    start = time.perf_counter()
    work()
    return 1e9 * (time.perf_counter() - start)


def derive_to_native() -> list[dict[str, Any]]:
    """From widths to machine code, in an empty cache; and with the peers, to the first step of many networks."""
    rows = []
    for text in ("2-2-1", "8-16-16-1", "64-64-64-10"):
        took = []
        for _ in range(5):
            with empty_cache():
                took.append(once(lambda: fcsym.scheme(fcsym.Network.parse(text), "backprop").compile("c")))  # noqa: B023
        rows.append(row(f"widths to machine code, {text}", "fcsym", took))
    network = fcsym.Network.parse("4-8-8-1")
    weights, x, target = weights_of(network, (100,)), np.ones(4), np.zeros(1)

    def own() -> None:
        kernel = fcsym.scheme(fcsym.Network.parse("4-8-8-1"), "backprop").compile("c")
        kernel.batch(kernel.init(weights)).step(x, target, ETA)

    with empty_cache():
        rows.append(row(FIRST, "fcsym C", [once(own)]))
    for name, make in peers_of("many"):
        with contextlib.suppress(NotImplementedError):  # written for 2-2-1 only
            took_by_peer = once(lambda: make(network, weights, x, target, ETA)[1]())  # noqa: B023
            rows.append(row(FIRST, name, [took_by_peer]))
    return rows


HAND = """
void run(double *w, const double *xs, const double *ts, double eta, long steps);
void run(double *w, const double *xs, const double *ts, double eta, long steps)
{
    double a = w[0], b = w[1], c = w[2], d = w[3], e = w[4], f = w[5];
    for (long n = 0; n < steps; n++) {
        const double x = xs[2 * n], z = xs[2 * n + 1];
        const double s = a * x + b * z, t = c * x + d * z;
        const double u = s > 0 ? s : 0, v = t > 0 ? t : 0;
        const double h = eta * (e * u + f * v - ts[n]);
        const double p = s > 0 ? h * e : 0, q = t > 0 ? h * f : 0;
        e -= h * u; f -= h * v;
        a -= p * x; b -= p * z; c -= q * x; d -= q * z;
    }
    w[0] = a; w[1] = b; w[2] = c; w[3] = d; w[4] = e; w[5] = f;
}
"""


def hand_written(folder: Path) -> Any:
    (folder / "hand.c").write_text(HAND)
    command = [*(compiler() or []), "-O3", "-march=native", "-ffp-contract=off", "-fPIC", "-shared"]
    subprocess.run([*command, "-o", str(folder / "hand.so"), str(folder / "hand.c")], check=True)
    function = ctypes.CDLL(str(folder / "hand.so")).run
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_double, ctypes.c_long]
    return function


def one_call() -> list[dict[str, Any]]:
    """(a): 2-2-1, one network, one step in a call."""
    network = fcsym.Network.parse("2-2-1")
    weights, x, target = weights_of(network), np.array([0.7, -0.4]), np.array([0.3])
    s = fcsym.scheme(network, "backprop")
    works: dict[str, Callable[[], object]] = {}
    for label, target_name in (("fcsym C, bound", "c"), ("fcsym without a compiler, bound", "numpy")):
        bound = s.compile(target_name).bind(s.compile(target_name).init(weights), x, target, ETA)
        bound.step()
        checked(label, bound.state, expected(network, weights, x, target))
        works[label] = bound.step
    for name, make in peers_of("one call"):
        work, result = make(network, weights, x, target, ETA)
        checked(name, result(), expected(network, weights, x, target))
        works[name] = work
    return table("(a) 2-2-1, one call", works)


def many(text: str, count: int, label: str) -> list[dict[str, Any]]:
    """(b), (c): one step of many networks that share an input."""
    network = fcsym.Network.parse(text)
    rng = np.random.default_rng(1)
    weights, x, target = weights_of(network, (count,)), rng.normal(size=network.inputs), rng.normal(size=1)
    wanted = expected(network, weights, x, target)
    s = fcsym.scheme(network, "backprop")
    kernel, numpy = s.compile("c"), s.compile("numpy")
    state = numpy.init(weights)
    works: dict[str, Callable[[], object]] = {"fcsym NumPy": lambda: numpy.step(state, x, target, ETA)}
    for name, k in (("fcsym C, owned layout", kernel), ("fcsym NumPy, owned layout", numpy)):
        batch = k.batch(state)
        batch.hold(x, target, ETA)
        batch.step()
        checked(name, batch.state, wanted)
        works[name] = batch.step
    size = sum(a[0].size for a in weights)
    source, copy = np.zeros(size * count), np.zeros(size * count)
    works["memcpy of the weights"] = lambda: np.copyto(copy, source)
    for name, make in peers_of("many"):
        try:
            work, result = make(network, weights, x, target, ETA)
        except NotImplementedError:  # written for 2-2-1 only
            continue
        checked(name, result(), wanted)
        works[name] = work
    return table(label, works, count)


def many_steps() -> list[dict[str, Any]]:
    """(d): 2-2-1, a thousand steps in one call."""
    network = fcsym.Network.parse("2-2-1")
    rng = np.random.default_rng(2)
    weights, xs, targets = weights_of(network), rng.normal(size=(1000, 2)), rng.normal(size=(1000, 1))
    kernel = fcsym.scheme(network, "backprop").compile("c")
    state = kernel.init(weights)
    bound = kernel.bind(state, xs[0], targets[0], ETA)
    with tempfile.TemporaryDirectory() as folder:
        hand = hand_written(Path(folder))
        flat = np.concatenate([a.ravel() for a in weights])

        def by_hand() -> None:
            hand(flat.ctypes.data, xs.ctypes.data, targets.ctypes.data, ETA, 1000)

        by_hand()
        bound.run(xs, targets)
        checked("hand-written C", [flat[:4], flat[4:]], list(kernel.run(state, xs, targets, ETA)))
        checked("bound", bound.state, list(kernel.run(state, xs, targets, ETA)))
        works = {
            "fcsym C, bound.run": lambda: bound.run(xs, targets),
            "fcsym C, kernel.run": lambda: kernel.run(state, xs, targets, ETA),
            "hand-written C": by_hand,
        }
        return table("(d) 2-2-1, 1000 steps", works)


def wide() -> list[dict[str, Any]]:
    """784-128-10, one network, one step in a call."""
    network = fcsym.Network.parse("784-128-10")
    rng = np.random.default_rng(3)
    weights, x, target = weights_of(network), rng.normal(size=784), rng.normal(size=10)
    s = fcsym.scheme(network, "backprop")
    kernel, numpy = s.compile("c"), s.compile("numpy")
    bound, state = kernel.bind(kernel.init(weights), x, target, ETA), numpy.init(weights)
    wanted = expected(network, weights, x, target)
    bound.step()
    checked("fcsym C", bound.state, wanted)
    checked("fcsym NumPy", numpy.step(state, x, target, ETA), wanted)
    works: dict[str, Callable[[], object]] = {
        "fcsym C, bound": bound.step,
        "fcsym NumPy": lambda: numpy.step(state, x, target, ETA),
    }
    for name, make in peers_of("wide"):
        work, result = make(network, weights, x, target, ETA)
        checked(name, result(), wanted)
        works[name] = work
    return table("784-128-10, one call", works)


def wide_many(count: int = 256) -> list[dict[str, Any]]:
    """784-128-10 x 256, every network with an input and a target of its own; the first two are checked."""
    network = fcsym.Network.parse("784-128-10")
    rng = np.random.default_rng(5)
    weights, x, target = weights_of(network, (count,)), rng.normal(size=(count, 784)), rng.normal(size=(count, 10))
    wanted = expected(network, [a[:2] for a in weights], x[:2], target[:2])
    s = fcsym.scheme(network, "backprop")
    numpy = s.compile("numpy")
    batch, state = s.compile("c").batch(numpy.init(weights)), numpy.init(weights)
    batch.hold(x, target, ETA)
    batch.step()
    checked("fcsym C", [a[:2] for a in batch.state], wanted)
    works: dict[str, Callable[[], object]] = {
        "fcsym C, owned layout": batch.step,
        "fcsym NumPy": lambda: numpy.step(state, x, target, ETA),
    }
    for name, make in peers_of("wide"):
        work, result = make(network, weights, x, target, ETA)
        checked(name, [a[:2] for a in result()], wanted)
        works[name] = work
    return table(WIDE_MANY, works, count)


def schemes() -> list[dict[str, Any]]:
    """What holding the pre-activations in place of the first weights saves, both in bound C."""
    rows = []
    for text in ("64-8-1", "256-16-1", "1024-256-1"):
        network = fcsym.Network.parse(text)
        weights, x = weights_of(network), np.random.default_rng(4).normal(size=network.inputs)
        works = {}
        for name in ("states", "collapsed", "backprop"):
            kernel = fcsym.scheme(network, name).compile("c")
            bound = kernel.bind(kernel.init(weights, x), x, [0.0], ETA)
            bound.step()
            checked(name, kernel.expand(bound.state, weights, x), expected(network, weights, x, np.zeros(1)))
            bound.set(eta=0.0)  # however many steps are timed, no unit changes sides
            works[name] = bound.step
        rows += table(f"{text}, one input", works)
    return rows


TARGETS = [
    ("(a) 2-2-1, one call", "CasADi jit, buffer", "fcsym C, bound", "at least 2"),
    ("(a) 2-2-1, one call", "fcsym without a compiler, bound", "lambdify, math", "at most 0.75"),
    ("(b) 2-2-1 x 100000", "fcsym C, owned layout", "numba loop", "at most 0.85"),
    ("(b) 2-2-1 x 100000", "fcsym C, owned layout", "memcpy of the weights", "at most 1.15"),
    ("(b) 2-2-1 x 100000", "lambdify, NumPy", "fcsym NumPy, owned layout", "at least 2.5"),
    ("(c) 4-8-8-1 x 10000", "JAX vmap of grad", "fcsym C, owned layout", "at least 4"),
    ("(c) 4-8-8-1 x 10000", "heyoka", "fcsym C, owned layout", "at least 4"),
    (FIRST, "numba loop", "fcsym C", "at least 50"),
    ("(d) 2-2-1, 1000 steps", "fcsym C, bound.run", "hand-written C", "at most 1.1"),
    ("784-128-10, one call", "fcsym C, bound", "NumPy by hand", "at most 1.1"),
    ("784-128-10, one call", "fcsym NumPy", "NumPy by hand", "at most 1.1"),
    ("784-128-10, one call", "fcsym C, bound", "PyTorch eager", "at most 1"),
    (WIDE_MANY, "fcsym C, owned layout", "NumPy by hand", "at most 1.1"),
    (WIDE_MANY, "fcsym NumPy", "NumPy by hand", "at most 1.1"),
    (WIDE_MANY, "fcsym C, owned layout", "PyTorch eager", "at most 1"),
    ("64-8-1, one input", "backprop", "states", "at least 5"),
    ("256-16-1, one input", "backprop", "states", "at least 30"),
    ("64-8-1, one input", "backprop", "collapsed", "at least 5"),
    ("256-16-1, one input", "backprop", "collapsed", "at least 30"),
    ("1024-256-1, one input", "backprop", "collapsed", "at least 30"),
]


def rows() -> list[dict[str, Any]]:
    """Every row, then the ratios that have a target, then the peers that are not here."""
    if compiler() is None:
        return [{"skipped": "compiled steps: no C compiler"}]
    result = derive_to_native() + one_call()
    result += many("2-2-1", 100_000, "(b) 2-2-1 x 100000") + many("4-8-8-1", 10_000, "(c) 4-8-8-1 x 10000")
    result += many_steps() + wide() + wide_many() + schemes()
    best = {(row["work"], row["peer"]): row["minimum_ns"] for row in result}
    for work, a, b, target in TARGETS:
        if (work, a) in best and (work, b) in best:
            result.append({"ratio": f"{work}: {a} / {b}", "value": best[work, a] / best[work, b], "target": target})
    for text in ("8-16-16-1", "64-64-64-10"):
        took = best[f"widths to machine code, {text}", "fcsym"] / 1e9
        result.append({"ratio": f"widths to machine code, {text}: seconds", "value": took, "target": "at most 0.3"})
    found = {peer for kind in ("one call", "many", "wide") for peer, _ in peers_of(kind)}
    return result + [{"skipped": name} for name in NAMES if name not in found]
