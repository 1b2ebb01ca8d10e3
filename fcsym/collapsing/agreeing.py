"""What a file of `collapsed` is held to before it is written: exact numbers, and backpropagation by autograd."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.checking.oracle import backpropagation
from fcsym.collapsing.c_running import CFiles
from fcsym.kernel.native import compiler
from fcsym.kernel.rows import Row
from fcsym.language.equation import Order
from fcsym.networks.network import Network

__all__ = ["agrees", "c_agrees", "defined"]


def agrees(text: str, network: Network, order: Order) -> str:
    """What is wrong with a file; "" where nothing is. It tests itself, and is held against autodiff over steps."""
    names = defined(text)
    try:
        names["selftest"]()
    except AssertionError as problem:
        return str(problem)
    return _beside_autodiff(names, network, order)


def defined(text: str) -> dict[str, Any]:
    """What a file defines. It is text of this program and of derivations, array names are fcsym's own."""
    module = ModuleType("exported")
    known = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module  # where dataclasses look while they are made
    try:
        exec(compile(text, "<fcsym collapsed>", "exec"), module.__dict__)
    finally:
        sys.modules.pop(module.__name__)
        if known is not None:
            sys.modules[module.__name__] = known
    return module.__dict__


def c_agrees(
    files: Mapping[str, str], in_numpy: str, network: Network, order: Order, stem: str, rows: Sequence[Row]
) -> str:
    """The same for files in C; where there is no compiler, of the file in NumPy, which has the same equations."""
    if compiler() is None:
        return agrees(in_numpy, network, order)
    samples = max([network.samples or _SAMPLES, *(len(np.atleast_2d(row.x[0])) for row in rows)])
    made = CFiles(files, network, stem, samples)
    off = max((_off_row(made, row) for row in rows), default=0.0)
    if not off <= 1e-12:
        return f"it is off by {off:.2g} from exact evaluation"
    return _beside_autodiff(
        {name: getattr(made, name) for name in ("init", "step", "output", "expand")}, network, order
    )


def _off_row(made: CFiles, row: Row) -> float:
    """The largest error on a frozen row."""
    weights = np.split(np.concatenate([np.array(w, float) for w in row.weights]), made.ends)
    state = made.init(weights, row.x[0], "init_apart")
    worst = 0.0
    for target, y in zip(row.target, row.y, strict=False):
        worst = max(worst, _distance(made.output(state).ravel(), np.ravel(y)))
        state = made.step(state, None, target, row.eta)
    pairs = zip(made.expand(state), row.expanded, strict=True)
    last = _distance(made.output(state).ravel(), np.ravel(row.y[-1]))
    return max([worst, last, *(_distance(got.ravel(), np.array(wanted)) for got, wanted in pairs)])


_STEPS, _SAMPLES, _BAR = 10, 3, 1e-9


def _beside_autodiff(names: dict[str, Any], network: Network, order: Order) -> str:
    """The same as `kernel.export` does with other schemes, over more steps."""
    trained = network.training(network.rule, network.batch or "sum", network.samples or None)
    rng, worst, done = np.random.default_rng(0), 0.0, 0
    for size in (1, 16, 256):
        for _ in range(4):
            off = _trained(names, trained, order, 0.1 / (1 + network.inputs) / size, rng)
            if off is not None:
                worst, done = max(worst, off), done + 1
        if done >= 2:
            break
    if done < 2:
        return "random networks could not be trained"
    return "" if worst <= _BAR else f"it is off by {worst:.2g} from backpropagation by autograd on random networks"


def _trained(
    names: dict[str, Any], network: Network, order: Order, eta: float, rng: np.random.Generator
) -> float | None:
    """The largest error on a random network; None where training diverges."""
    weights = [rng.normal(size=network.shape(a)) / np.sqrt((*network.shape(a), 4, 4)[1]) for a in network.parameters]
    count = network.samples or _SAMPLES
    x, goal = rng.normal(size=(count, network.inputs)), rng.normal(size=(count, network.widths[-1]))
    state, truth = names["init"](weights, x), [w[None] for w in weights]
    memory, worst = None, 0.0
    for _ in range(_STEPS):
        true = backpropagation(network, order, truth, x[None], goal[None], np.array([eta]), memory)
        worst = max(worst, _distance(names["output"](state), true["y"][0]))
        try:
            state = names["step"](state, None, goal, eta)
        except ArithmeticError:
            return None
        truth = [true[f"{theta.name}_new"] for theta in network.parameters]
        memory = {a.name: true[f"{a.name}_new"] for a in network.memory}
        if any(not (np.abs(a) < 1e6).all() for a in truth):
            return None
    pairs = zip(names["expand"](state), truth, strict=True)
    return max([worst, *(_distance(got, wanted[0]) for got, wanted in pairs)])


def _distance(got: Any, wanted: npt.NDArray[Any]) -> float:
    """The largest error, relative to the largest number where that is above 1."""
    made = np.asarray(got.detach().cpu() if hasattr(got, "detach") else got, np.longdouble)
    error = float(np.abs(made - wanted).max(initial=0) / max(1.0, float(np.abs(wanted).max(initial=0))))
    return error if error == error else float("inf")
