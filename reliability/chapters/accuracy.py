"""Errors in units in the last place.

A trial takes 70 points of one of nine networks in one of the two orders: ordinary points, and hard ones, with v^c near
0, s' near 0, tiny and huge step sizes, subnormal numbers and random bits; three of the networks are smooth, for which
nothing far out is tried. Every number of a step is compared with the rational that it stands for, or the ball; beside
it stands a running error bound, and a failure is an error above it. Every tenth trial trains each scheme for 20 steps
beside balls of 1024 bits. What is rounded once, and rightly, is off by at most 1/2 ulp; an error is infinite where the
exact number is 0, or beyond the range, and the one computed is not. "Rounded once" is the median that exact arithmetic
would leave, on the same ordinary points, if nothing were rounded but what is stored, once each: every quantity of a
step, or a scheme's state after each step and what is read off it.
`fcsym accuracy NET` gives the same figures of a network of one's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from reliability.frame import Table, Wrong, trials

SHORT, LONG = 20, 1_600
POINTS, STEPS, TRAINED = 70, 20, 10
ORDERS = ("simultaneous", "sequential")
MEDIAN, ONCE, LARGEST = "median", "median, rounded once", "largest"
HARD = ("median, hard points", "largest, hard points")
COLUMNS = ("numbers", MEDIAN, ONCE, LARGEST, *HARD, "largest in units of its bound")


def networks() -> list[Any]:
    """Small ones, one, two and three hidden layers, with and without biases, of several pieces and smooth."""
    from fcsym import Network, Piece, piecewise_linear

    hat = piecewise_linear("hat", [Piece(0, -1), Piece(2, 1), Piece(None, 0, 2)], "1/2")
    return [
        Network.parse("2-2-1"), Network.mlp([3, 4, 2], "leaky_relu", True), Network.parse("2-3-2-1"),
        Network.mlp([2, 3, 2], hat, [True, False]), Network.mlp([2, 2, 2, 2, 1], bias=True),
        Network.mlp([2, 3, 2], "leaky_relu", output="leaky_relu", loss="mse"),
        Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid"), Network.mlp([2, 3, 1], "tanh"),
        Network.mlp([2, 2, 2], "gelu", output="softmax", loss="cross_entropy"),
    ]  # fmt: skip


def trial(seed: int, number: int) -> dict[str, Any]:
    """One network, at one set of points. Wrong where a bound is exceeded."""
    import fcsym

    every = networks()
    network, order = every[number % len(every)], ORDERS[number // len(every) % 2]
    steps = STEPS if number % TRAINED == 0 else 0
    drawn = int(np.random.default_rng([seed, number]).integers(2**31))
    found = fcsym.accuracy(network, order, trials=POINTS, steps=steps, seed=drawn, limit=1e6)
    if not found.passed:
        raise Wrong(f"{network}, {order}: {found.conclusion}")
    bounds = {(row.subject, row.quantity): row.of_bound for row in found.rows}
    errors = {key: tuple(np.asarray(part) for part in parts) for key, parts in found.errors.items()}
    return {
        "errors": errors, "bounds": bounds, "gates": found.gates, "wrong": found.wrong_gates, "left out": found.left_out
    }  # fmt: skip


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many sets of points."""
    table = Table(COLUMNS, "quantity")
    errors: dict[str, tuple[list[Any], ...]] = defaultdict(lambda: ([], [], []))
    bounds: dict[str, float] = {}
    gates = wrong = left_out = points = 0
    for outcome in trials(trial, count, seed, only, seconds=900.0):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
            yield table
            continue
        found = outcome.value
        points, gates, wrong = points + POINTS, gates + found["gates"], wrong + found["wrong"]
        left_out += found["left out"]
        for key, parts in found["errors"].items():
            name = _kind(*key)
            for whole, part in zip(errors[name], parts, strict=True):
                whole.append(part)
            if found["bounds"].get(key) is not None:
                bounds[name] = max(bounds.get(name, 0.0), found["bounds"][key])
        if table.tried % 25 == 0 or table.tried == count or only is not None:
            table.rows = {name: _row(errors[name], bounds.get(name)) for name in sorted(errors)}
        table.notes = [
            f"{points:,} points; {left_out:,} of them left out, where a number overflows.",
            f"{wrong:,} of {gates:,} gates, before and after the step, were decided wrongly by rounding.",
            *_outputs(table.rows),
            (
                "Where exact arithmetic, rounded once, leaves more than the kernel does, two stored numbers are "
                "subtracted, and the kernel computes their difference from what it comes from instead."
            ),
        ]
        yield table
    table.rows = {name: _row(errors[name], bounds.get(name)) for name in sorted(errors)}
    yield table


def _outputs(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """How many medians of outputs are above 1/2, and for how many that comes from what is stored."""
    above = {n: r for n, r in rows.items() if "output" in n and r.get(MEDIAN, 0) > 0.5}
    stored = [name for name, row in above.items() if row.get(ONCE, 0) > 0.5]
    if above:
        most = max(row[MEDIAN] - row.get(ONCE, 0) for row in above.values())
        yield (
            f"The median of {len(above)} of the outputs is above 1/2; for {len(stored)} of them it is where only what "
            "is stored is rounded, too: what is left there comes from weights and states in double precision, whatever "
            f"the order of operations. All that is computed in between adds {most:.2g} ulp at most."
        )


def _kind(subject: str, quantity: str) -> str:
    """What quantities of all layers are alike: W2_new and W1_new are "W'"."""
    if quantity.endswith("by expand"):
        return f"scheme {subject}: weights by expand"
    if subject != "step":
        return f"scheme {subject}: outputs"
    stem = "".join(c for c in quantity.removesuffix("_new") if not c.isdigit())
    after = "'" if quantity.endswith("_new") else ""
    shown = {
        "y": "output y",
        "y_front": "output y, frozen network with p",
        "s_front": "output s, frozen network with p",
    }
    return f"step: {shown.get(stem, stem)}{after}"


def _row(parts: tuple[list[Any], ...], bound: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"numbers": 0}
    ordinary, hard, once = (np.concatenate(part) if part else np.zeros(0) for part in parts)
    for whole, names in ((ordinary, (MEDIAN, LARGEST)), (hard, HARD)):
        if whole.size:
            row["numbers"] += whole.size
            row |= {names[0]: float(np.median(whole)), names[1]: float(whole.max())}
    if once.size:
        row[ONCE] = float(np.median(once))
    if bound is not None:
        row[COLUMNS[-1]] = bound
    return row
