"""Charts: the cost of the schemes against the width, and the error curves of the XOR experiment."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Literal, Protocol

from fcsym.closed.costs import STORED, cost, length
from fcsym.drawing.chart import Line, Panel, chart
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError, shown
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.networks.symbols import units
from fcsym.schemes import every_scheme

__all__ = ["cost_chart", "error_chart"]

_MOST = 1_000_000
_WIDTHS = tuple(2**n for n in range(11))
_POINTS = 250  # of a curve; more cannot be told apart
_TITLES = {
    "weights": "technique 1 (weights): r = w + p on the last layer",
    "compensation": "technique 2 (compensation): w fixed, P accumulates",
    "states": "technique 3 (states): s and the last layer",
}


class Run(Protocol):
    """One training run of the experiment, beside the exact trajectory."""

    @property
    def technique(self) -> str: ...
    @property
    def order(self) -> str: ...
    @property
    def sample(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def error(self) -> Any: ...


class Experiment(Protocol):
    """What `fcsym.reproduce` returns."""

    @property
    def runs(self) -> Sequence[Run]: ...
    @property
    def eta(self) -> float: ...
    @property
    def seed(self) -> int: ...
    def worst(self, technique: str) -> float: ...


def cost_chart(
    network: Network, what: Literal["operations", "state"] = "operations", order: Order = "simultaneous", *,
    widths: Sequence[int] = _WIDTHS, inputs: int = 1,
) -> Picture:  # fmt: skip
    """What every scheme computes in a step, or stores, against backpropagation, as the hidden layers grow together.

    `what`: "operations" (arithmetic, per step) or "state" (numbers). `widths`: of every hidden layer, 1 to 1024 by
    default; inputs and outputs are the network's. `inputs`: distinct inputs stored, which matters for `history`.
    Raises ArgumentError for a network without a hidden layer, and for values that make no sense.
    """
    if not isinstance(network, Network):
        raise ArgumentError(f"cost_chart got {type(network).__name__}: make a network with Network.parse('2-2-1').")
    if len(network.layers) < 2:
        raise ArgumentError(f"{network} has no hidden layer: there is no width to vary.")
    if network.batch and not network.samples:
        raise ArgumentError(f"{network} does not say how many samples a mini-batch has: give it samples=N.")
    if what not in ("operations", "state"):
        raise ArgumentError(f"what is {shown(what)!r}: choose operations or state.")
    if not isinstance(widths, Sequence) or any(isinstance(w, bool) or not isinstance(w, int) for w in widths):
        raise ArgumentError(f"widths is {shown(widths)}: give a list of whole numbers.")
    if len(set(widths)) < 2 or not all(1 <= w <= _MOST for w in widths):
        raise ArgumentError(f"widths is {shown(widths)}: give at least two different ones from 1 to {_MOST}.")
    if isinstance(inputs, bool) or not isinstance(inputs, int) or not 0 <= inputs <= _MOST:
        raise ArgumentError(f"inputs is {shown(inputs)}: give a whole number from 0.")
    hidden = [length(units(n)) for n in range(1, len(network.layers))]
    numbers = {}
    for name, scheme in every_scheme(network, order).items():
        spent = cost(scheme)
        polynomial = spent.operations if what == "operations" else spent.state
        at = {**spent.widths, STORED: inputs}
        numbers[name] = [int(polynomial.subs(at | dict.fromkeys(hidden, width))) for width in sorted(widths)]
    lines = [
        Line(name, tuple((float(n), a / b) for n, a, b in zip(sorted(widths), own, numbers["backprop"], strict=True)),
             number, dashed=number >= 3)
        for number, (name, own) in enumerate(numbers.items())
    ]  # fmt: skip
    shape = "-".join(map(str, (network.inputs, *["n"] * len(hidden), network.widths[-1])))
    unit = "operations of one step" if what == "operations" else "numbers of state"
    ends = "; ".join(f"{name} {own[0]} to {own[-1]}" for name, own in numbers.items())
    words = f"The {unit} of {shape}, {order} order, for n from {min(widths)} to {max(widths)}: {ends}."
    stored = "" if inputs == 1 else f", {inputs} distinct inputs"
    title = f"{shape}, {order} order{stored}"
    return chart(
        f"{unit[0].upper()}{unit[1:]}: {title}", words, [Panel(title, tuple(lines))],
        "width n of the hidden layers", f"{unit}, in units of those of backprop", log=True, log_up=True, height=260,
    )  # fmt: skip


def error_chart(experiment: Experiment) -> Picture:
    """The paper's figure 3: |output of backpropagation - output of front contribution| for the three techniques.

    Colours are the samples, dashes the sequential order. Where there are more steps than can be drawn, each point is
    the worst of several steps. Errors are in units of 1e-16 of the output.
    Raises ArgumentError for anything that `reproduce` did not return.
    """
    if not hasattr(experiment, "runs") or not experiment.runs:
        raise ArgumentError(f"error_chart got {type(experiment).__name__}: give what fcsym.reproduce returns.")
    samples = list(dict.fromkeys(run.sample for run in experiment.runs if run.technique in _TITLES))
    panels = []
    for technique, title in _TITLES.items():
        runs = [run for run in experiment.runs if run.technique == technique]
        panels.append(Panel(title, tuple(_curve(run, samples.index(run.sample)) for run in runs)))
    steps = max(run.steps for run in experiment.runs)
    every = -(-steps // _POINTS)
    worst = ", ".join(f"{technique} {experiment.worst(technique) * 1e16:.3g}" for technique in _TITLES)
    title = "Backpropagation and front contribution on XOR"
    words = (
        f"{title}, eta = {experiment.eta:g}, {steps} steps: the largest differences, in units of 1e-16, are {worst}."
    )
    grouped = f", each point the worst of {every} steps" if every > 1 else ""
    return chart(title, words, panels, f"step (eta = {experiment.eta:g}, seed {experiment.seed}{grouped})",
                 "|y of backpropagation − y of front contribution| / 1e-16")  # fmt: skip


def _curve(run: Run, colour: int) -> Line:
    every = -(-run.steps // _POINTS)
    points = []
    for start in range(0, run.steps, every):
        worst = max(map(float, run.error[start : start + every]), key=lambda e: (not isfinite(e), e))
        points.append((float(start + 1), worst * 1e16))
    dashed = run.order == "sequential"
    return Line(f"{run.sample}, {run.order}", tuple(points), (2, 0, 1, 3)[colour % 4], dashed)
