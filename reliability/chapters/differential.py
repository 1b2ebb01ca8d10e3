"""Random networks against automatic differentiation.

A trial draws a network (depth 1 to 5, widths 1 to 8, every activation, output, loss, update rule, batch, biases or
none, frozen and shared ones), derives one training step in both orders, compiles it and compares every quantity with
automatic differentiation, in autograd and in PyTorch with its optimisers, within 16 eps of the sum of absolute terms:
on random points, on exact ones that sit on kinks, and on ones near kinks. A scheme that exists for the network then
trains beside automatic differentiation for several steps; `collapsed` has a chapter of its own. The crossed order must
disagree. A point is left out, and counted, where rounding decides a gate or a number overflows, and a network whose
training diverges, from a weight of 1e8 on. A figure of the last column is the largest error in units of its bound: a
failure is above 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from reliability.frame import Table, Wrong, trials

SHORT, LONG = 60, 10_000
POINTS, STEPS, TRAINED = 24, 6, 4  # points of every kind in a trial; steps of a scheme, and how many networks
ORDERS = ("simultaneous", "sequential")


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many networks."""
    table = Table(("networks", "numbers compared", "points left out", "largest error"), "what the networks have")
    table.row("all")
    coincide = silent = by_torch = 0
    for outcome in trials(trial, count, seed, only):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            found = outcome.value
            coincide += found["coincide"]
            silent += found["silent"]
            by_torch += found["by torch"]
            gather(table, found)
        table.notes = [
            f"Both orders give the same for {coincide:,} networks; for all others the crossed order disagreed.",
            f"{by_torch:,} of the numbers were compared with PyTorch, all others with autograd in extended precision.",
            f"For {silent:,} networks no step of the scheme could be compared: rounding decided a gate.",
        ]
        yield table


def gather(table: Table, found: dict[str, Any]) -> None:
    """Add what was found of one network to the row of everything that it has."""
    for name in ("all", *found["marks"]):
        table.add(name, "networks")
        table.add(name, "numbers compared", found["compared"])
        table.add(name, "points left out", found["left out"])
        table.most(name, "largest error", found["worst"])
    table.rows = dict(sorted(table.rows.items(), key=lambda item: (item[0] != "all", item[0])))


def trial(seed: int, number: int) -> dict[str, Any]:
    """One network. Wrong where something disagrees."""
    import fcsym
    from fcsym.checking.tally import Tally
    from fcsym.checking.trajectory import check_scheme
    from fcsym.schemes import every_scheme

    rng = np.random.default_rng([seed, number])
    network, marks = drawn(rng)
    found: dict[str, Any] = {
        "marks": marks,
        "compared": 0,
        "left out": 0,
        "worst": 0.0,
        "coincide": 0,
        "silent": 0,
        "by torch": 0,
    }
    points, autodiff, kernels = points_of(network, rng), Autodiff(), {}
    for order in ORDERS:
        derivation = fcsym.derive(network, order)
        kernel = kernels[order] = derivation.compile()
        computed = Tally(derivation, np.dtype(float)).computed(kernel, points)
        compared(_report(derivation, order, computed, autodiff), found, f"{network}, {order}")
        found["by torch"] += _by_torch(derivation, kernel, computed, found)
        coincide = _crossed(derivation, computed, autodiff)
        found["coincide"] += coincide and order == ORDERS[0]
    order = ORDERS[number % 2]
    names = sorted(every_scheme(network, order))
    if names:
        name = names[int(rng.integers(len(names)))]
        marks.append(f"scheme {name}")
        scheme, drawn_from = fcsym.scheme(network, name, order), int(rng.integers(2**31))
        report = check_scheme(scheme, TRAINED, drawn_from, STEPS, None, float, lambda _: None, kernels[order])
        found["silent"] += not report.points
        compared(report, found, f"{name} of {network}, {order}")
    return found


def compared(report: Any, found: dict[str, Any], what: str) -> None:
    """Add what a report says; a row without points says nothing here."""
    found["left out"] += report.left_out
    for row in report.rows:
        if row.points:
            if not row.passed:
                at = f"{row.quantity} ({row.case})"
                raise Wrong(f"{what}: {at} is off by {row.worst:.3g}, which is {row.ratio:.3g} times its bound.")
            found["compared"] += row.points
            found["worst"] = max(found["worst"], row.ratio)


class Autodiff:
    """Autograd's step at the points of a trial in either order: both orders are compared with both."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def __call__(self, network: Any, order: str, *given: Any) -> dict[str, Any]:
        from fcsym.checking.oracle import backpropagation

        if order not in self.known:
            self.known[order] = backpropagation(network, order, *given)
        return self.known[order]


def _report(derivation: Any, against: Any, computed: Any, by: Any) -> Any:
    """What `fcsym.check` says of points that the kernel has run on. `by`: the oracle."""
    from fcsym.checking.report import Report
    from fcsym.checking.tally import Tally

    tally = Tally(derivation, np.dtype(float), by)
    tally.compare_computed(computed, against)
    torch = not isinstance(by, Autodiff)
    rows = tuple(replace(row, case=f"{row.case}, by PyTorch") if torch else row for row in tally.rows(demand_all=False))
    return Report(str(derivation.network), derivation.order, against, POINTS, 0, "float64", rows, tally.left_out, 1)


def _by_torch(derivation: Any, kernel: Any, computed: Any, found: dict[str, Any]) -> int:
    """How many numbers of the same step were compared with PyTorch; none where it is not installed."""
    if find_spec("torch") is None:
        return 0
    from fcsym.checking.tally import Tally
    from reliability.pytorch import step

    if computed.points.memory is not None:  # its optimisers are taken as they are before the first step
        computed = Tally(derivation, np.dtype(float)).computed(kernel, computed.points._replace(memory=None))
    made, least = computed.result, 2.0**10 * np.finfo(float).smallest_normal

    def flushed(*given: Any) -> dict[str, Any]:
        """In PyTorch's own functions 0 stands for what is below the smallest normal number, also as a factor."""
        found = {name: np.asarray(value) for name, value in step(*given).items()}
        tiny = {n: (np.abs(v) < least) & (np.abs(made[n]) < least) for n, v in found.items() if n in made}
        return found | {n: np.where(lost, made[n], found[n]) for n, lost in tiny.items()}

    report = _report(derivation, derivation.order, computed, flushed)
    compared(report, found, f"{derivation.network}, {derivation.order}")
    return int(report.points)


def _crossed(derivation: Any, computed: Any, autodiff: Autodiff) -> bool:
    """Whether both orders give the same on all points; where not, the check against the other one must fail."""
    network, other = derivation.network, ORDERS[derivation.order == ORDERS[0]]
    if not all(row.passed for row in _report(derivation, other, computed, autodiff).rows):
        return False
    one, two = (autodiff.known[order] for order in ORDERS)
    for theta in network.trained:
        a, b = one[theta.primed.name], two[theta.primed.name]
        known = np.isfinite(a) & np.isfinite(b)
        apart = np.abs(a - b)[known] > 1e-12 * (np.abs(a) + np.abs(b))[known]
        if apart.any():
            raise Wrong(f"{network}, {derivation.order}: the crossed order agrees, although the orders differ.")
    return True


# ----------------------------------------------------------------------------------------------------- what is drawn


def points_of(network: Any, rng: np.random.Generator) -> Any:
    """Points of every kind, with so many samples as the network takes, in one batch."""
    from fcsym.checking.points import draws, together

    one = replace(network, batch="", samples=0) if network.batch else network
    found = []
    for _, points in draws(one, rng, POINTS, float(np.finfo(float).eps)):
        count = len(points.x)
        at_rest = [np.full((count, *network.shape(a)), float(value)) for a, value in network.memory.items()]
        carried = points._replace(memory=at_rest if points.memory is None and at_rest else points.memory)
        found.append(carried.in_batches(network.samples or 3) if network.batch else carried)
    return together(found)


def drawn(rng: np.random.Generator) -> tuple[Any, list[str]]:
    """A network that is accepted, and what there is to say of it."""
    import fcsym
    from fcsym.errors import ArgumentError, NetworkError
    from fcsym.networks.losses import LOSSES, unsuited
    from fcsym.networks.rules import RULES

    def one_of(items: Any) -> Any:
        every = list(items)
        return every[int(rng.integers(len(every)))]

    while True:
        depth = int(rng.integers(1, 6))
        widths = [int(n) for n in rng.integers(1, 9, size=depth + 1)]
        hidden = [_activation(rng) for _ in range(depth - 1)]
        output = _activation(rng) if rng.random() < 0.5 else one_of(("identity", "softmax"))
        loss = one_of(LOSSES)
        if unsuited(loss, output if isinstance(output, str) else output.name):
            continue
        bias = [bool(b) for b in rng.integers(0, 2, size=depth)]
        rule = _rule(str(one_of(RULES)), rng)
        batch = one_of((None, None, "mean", "sum"))
        samples = int(rng.integers(1, 5)) if batch and rng.random() < 0.5 else None
        try:
            network = fcsym.Network.mlp(widths, hidden or "relu", bias, output=output, loss=loss)
            network = network.training(rule, batch, samples)
            marks = [f"depth {depth}", f"loss {loss}", f"rule {rule.name}", f"batch {batch or 'none'}"]
            marks += sorted({f"activation {f if isinstance(f, str) else f.name}" for f in hidden})
            marks.append(f"output {output if isinstance(output, str) else output.name}")
            marks.append(f"biases {'all' if all(bias) else 'some' if any(bias) else 'none'}")
            names = [theta.name for theta in network.parameters]
            if rng.random() < 0.15 and len(names) > 1:
                network = network.frozen(one_of(names))
                marks.append("frozen parameters")
            shifts = [theta.name for theta in network.trained if len(theta.axes) == 1]
            if rng.random() < 0.15 and shifts:
                network = network.shared(one_of(shifts))
                marks.append("shared biases")
        except (NetworkError, ArgumentError):  # what is refused by name is no network
            continue
        return network, marks


def _activation(rng: np.random.Generator) -> Any:
    """A built-in one, or random pieces that meet."""
    from fractions import Fraction

    import fcsym
    from fcsym.language.activation import BUILT_IN, SMOOTH

    names = (*BUILT_IN, *(name for name in SMOOTH if name not in BUILT_IN), "pieces")
    name = names[int(rng.integers(len(names)))]
    if name != "pieces":
        return name
    kinks = sorted({Fraction(int(k), 2) for k in rng.integers(-4, 5, size=int(rng.integers(1, 4)))})
    slopes = [Fraction(0)]
    while not any(slopes):  # what is constant is no activation
        slopes = [Fraction(int(s), 4) for s in rng.integers(-6, 7, size=len(kinks) + 1)]
    pieces, value = [], Fraction(int(rng.integers(-2, 3)), 2)
    for n, slope in enumerate(slopes):
        at = kinks[max(n - 1, 0)]
        intercept = value - slope * at
        upper = kinks[n] if n < len(kinks) else None
        pieces.append(fcsym.Piece(upper, slope, intercept))
        value = slope * upper + intercept if upper is not None else value
    return fcsym.piecewise_linear("pieces", pieces)


def _rule(name: str, rng: np.random.Generator) -> Any:
    """An update rule, half of the time with coefficients of its own."""
    import fcsym

    if rng.random() < 0.5:
        return fcsym.rule(name)
    from fcsym.networks.rules import RULES

    ranges = {"beta": (0.05, 0.95), "beta1": (0.05, 0.95), "beta2": (0.5, 0.999), "alpha": (0.5, 0.99)}
    made = {}
    for key in RULES[name].coefficients:
        low, high = ranges.get(key, (0.001, 0.1))
        made[key] = f"{rng.uniform(low, high):.4f}"
    return fcsym.rule(name, **made)
