"""`fcsym step`: a training step in numbers, every quantity before and after."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from fcsym.commands.numbers import Cell, as_float, at_place, exactly, exactly_or_rounded, mapped, rows_of, shown_with
from fcsym.commands.options import (
    Commands,
    digits_of,
    network_of,
    network_options,
    refuse_large_step,
    values_of,
    values_option,
)
from fcsym.commands.streams import DONE, put, say, show

if TYPE_CHECKING:
    from fcsym.derivation import Derivation
    from fcsym.values import Values

_EXACT_STEPS = 200
_EXACT_WORK = 5000  # steps times parameters, of about 2 ms each
_TERMS = 20  # for each parameter, of a network without samples or positions
_FEW_STEPS = 20
_AFTER = "_new"


def add(commands: Commands) -> None:
    """The command and its options."""
    parser = commands.add_parser("step", help="a training step in numbers: every quantity before and after")
    network_options(parser, order=False)
    parser.add_argument("--order", default="simultaneous", help="{orders}, or both side by side")
    values_option(parser, "the numbers of the step", required=True)
    parser.add_argument("--steps", type=int, default=1, metavar="N", help="train N steps, show the last (default 1)")
    parser.add_argument("--exact", action="store_true", help="fractions, and decimals with the digits that are certain")
    parser.add_argument("--only", metavar="NAME", help="show this quantity, and what it is after the step")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Numbers:
    """The last of some steps in one kind of number: every quantity by name, and E before the first and after each."""

    values: dict[str, Any]
    errors: list[Any]


@dataclass(frozen=True)
class _Run:
    """Training in one order; exact where that is possible in the time."""

    derivation: Derivation
    exact: _Numbers | None
    double: _Numbers
    single: _Numbers | None  # None where it has diverged

    @property
    def best(self) -> _Numbers:
        """The numbers nearest to the truth."""
        return self.exact or self.double


def run(options: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from fcsym.derivation import derive
    from fcsym.errors import ArgumentError, shown
    from fcsym.language.equation import Order

    orders = get_args(Order)
    if options.order not in (*orders, "both"):
        raise ArgumentError(f"The order {shown(options.order)!r} is not known: choose {', '.join(orders)} or both.")
    if options.steps < 1:
        raise ArgumentError(f"--steps is {options.steps}: give a whole number from 1.")
    digits = digits_of(options)
    network = network_of(options)
    wanted = orders if options.order == "both" else (options.order,)
    derivations = [derive(network, order, options.slope_at_kink) for order in wanted]
    refuse_large_step(options, derivations[0], network)
    values = values_of(options, derivations[0].network)
    assert values is not None  # an option that must be given
    refuse_large_step(options, derivations[0], values.network)  # a batch has as many samples as are given
    names = _names(derivations[0], values, options.only)
    runs = [_trained(d, values, options) for d in derivations]
    if options.json:
        documents = [_document(one, options, names) for one in runs]
        both = {"network": str(network), "order": "both", "steps": options.steps, "runs": documents}
        put(json.dumps(both if options.order == "both" else documents[0]))
        return DONE
    _show(runs, options, names, digits)
    return DONE


# ------------------------------------------------------------------------------------------------------ the numbers


def _trained(d: Derivation, values: Values, options: argparse.Namespace) -> _Run:
    from fcsym.errors import ArgumentError, Diverged

    exact, double = _exact(d, values, options), _floats(d, values, options.steps, "f8")
    try:
        return _Run(d, exact, double, _floats(d, values, options.steps, "f4"))
    except (ArgumentError, Diverged):  # what is too large for it already as it is given, or becomes so
        return _Run(d, exact, double, None)


def _exact(d: Derivation, values: Values, options: argparse.Namespace) -> _Numbers | None:
    """In fractions and balls; None where that would take too long, or digits do not decide a case."""
    from fcsym.errors import SizeError, UnsupportedExpression
    from fcsym.language.work import spaces
    from fcsym.values import trained

    weights = sum(math.prod(d.network.shape(theta)) for theta in d.network.parameters)
    size = max(weights, sum(spaces(d.equations, values.network.sizes)) // _TERMS)
    most = min(_EXACT_STEPS, _EXACT_WORK // size)
    if options.steps > most:
        if options.exact:
            raise SizeError(
                f"{d.network} has {weights} parameters and is trained exactly for at most {most} steps: leave --exact "
                "out, and float64 is used."
            )
        return None
    errors: list[Any] = []
    try:
        for done in trained(d, values, options.steps):
            errors += [done.after["E"]] if errors else [done.before["E"], done.after["E"]]
    except UnsupportedExpression:
        if options.exact:
            raise
        return None
    return _Numbers(_with_after(done.before, done.after["y"], done.after["E"]), errors)


def _floats(d: Derivation, values: Values, steps: int, dtype: Any) -> _Numbers:
    """From the compiled kernel."""
    import numpy as np

    kernel, network = d.compile(), values.network
    weights, x, target, eta, memory = values.floats(dtype)
    errors: list[Any] = []
    for _ in range(steps):
        given = (weights, memory)
        after = kernel.step(weights, x, target, eta, "nan", memory)
        errors.append(after.E)
        weights = [
            getattr(after, f"{theta.name}{_AFTER}") if theta in network.trained else kept
            for theta, kept in zip(network.parameters, weights, strict=True)
        ]
        memory = [getattr(after, f"{array.name}{_AFTER}") for array in network.memory]
        if not all(np.isfinite(array).all() for array in (*weights, *memory)):
            from fcsym.errors import Diverged

            raise Diverged(f"After step {len(errors)} the weights are not finite in {x.dtype}: take a smaller eta.")
    last = kernel.step(weights, x, target, eta, "nan", memory)
    arrays = (*network.parameters, *network.memory)
    known = {array.name: value for array, value in zip(arrays, (*given[0], *given[1]), strict=True)}
    known |= {network.input.name: x, network.target.name: target, "eta": eta}
    known |= {name: after[n] for n, name in enumerate(kernel.outputs)}
    listed = {name: np.asarray(value).tolist() for name, value in known.items()}
    return _Numbers(
        _with_after(listed, np.asarray(last.y).tolist(), float(last.E)), [*map(float, errors), float(last.E)]
    )


def _with_after(before: dict[str, Any], y: Any, error: Any) -> dict[str, Any]:
    return before | {f"y{_AFTER}": y, f"E{_AFTER}": error}


def _names(d: Derivation, values: Values, only: str | None) -> list[str]:
    """What is shown, in the order of the step; ArgumentError for a quantity that there is not."""
    from fcsym.networks.symbols import front_of

    network = values.network
    given = [network.input, network.target, *network.parameters, *network.memory]
    derived = [e.name if e.defines else front_of(e.array.unprimed).name for e in d]
    after = [f"y{_AFTER}", f"E{_AFTER}"]
    every = list(dict.fromkeys([*(array.name for array in given), "eta", *derived, *after]))
    if only is None:
        return every
    wanted = only.strip().replace("'", _AFTER)
    name = wanted if wanted in every else d.resolve(only)
    return [one for one in every if one in (name, f"{name}{_AFTER}")]


def _document(run: _Run, options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """For JSON; what has no value, and what JSON cannot hold, is null."""
    best = run.best
    document = {
        "network": str(run.derivation.network), "order": run.derivation.order, "steps": options.steps,
        "values": {name: mapped(best.values[name], as_float) for name in names if name in best.values},
        "error": as_float(best.errors[-1]), "error_at_start": as_float(best.errors[0]),
        "numbers": "float64" if run.exact is None else "exact",
    }  # fmt: skip
    if options.exact and run.exact is not None:
        found = run.exact.values
        digits = digits_of(options)
        document["exact"] = {name: mapped(found[name], lambda v: exactly_or_rounded(v, digits)) for name in names}
    return document


# ----------------------------------------------------------------------------------------------------- the terminal


def _show(runs: Sequence[_Run], options: argparse.Namespace, names: Sequence[str], digits: int) -> None:
    from fcsym.render import terminal

    head, columns = _columns(runs, options, digits)
    rows = rows_of(runs[0].best.values, names, columns, options.only is not None)
    order = f"{options.order} order{'s' if len(runs) > 1 else ''}"
    title = f"{runs[0].derivation.network}, {order}, step {options.steps}"
    show(terminal.Grid(title, head, rows, right=frozenset(head[1:]), lines=False))
    _show_errors(runs, digits)
    for run in runs:
        if run.single is None:
            say(f"In float32 the {run.derivation.order} order leaves the range of its numbers.")
        if run.exact is None:
            why = "exact ones would take too long, or their digits do not decide a case"
            say(f"The numbers of the {run.derivation.order} order are float64's: {why}.")


def _columns(
    runs: Sequence[_Run], options: argparse.Namespace, digits: int
) -> tuple[tuple[str, ...], list[Cell]]:  # fmt: skip
    """The heads, and what stands below each."""
    from fcsym.values.shown import decimal

    def shown(numbers: _Numbers) -> Cell:
        return shown_with(numbers.values, digits)  # P is in no kernel

    def exact(numbers: _Numbers) -> Cell:
        return lambda name, place: exactly(at_place(numbers.values, name, place))

    def apart(one: _Numbers, other: _Numbers) -> Cell:
        def cell(name: str, place: tuple[int, ...]) -> str:
            a, b = at_place(one.values, name, place), at_place(other.values, name, place)
            return "" if a is None or b is None else decimal(b - a, 3)

        return cell

    if len(runs) > 1:
        head: list[str] = ["quantity"]
        columns = []
        for run in runs:
            head.append(run.derivation.order)
            columns.append(shown(run.best))
            if options.exact and run.exact is not None:
                head.append("exactly")
                columns.append(exact(run.exact))
        return (*head, "difference"), [*columns, apart(runs[0].best, runs[1].best)]
    (run,) = runs
    if options.exact and run.exact is not None:
        return ("quantity", "decimal", "exactly"), [shown(run.exact), exact(run.exact)]
    floats, heads = [shown(run.double)], ["float64"]
    if run.single is not None:
        floats += [shown(run.single), apart(run.double, run.single)]
        heads += ["float32", "float32 - float64"]
    if run.exact is None:
        return ("quantity", *heads), floats
    return ("quantity", "exact, rounded", *heads), [shown(run.exact), *floats]


def _show_errors(runs: Sequence[_Run], digits: int) -> None:
    """E from step to step, or where there are many before the first and after the last."""
    from fcsym.render import terminal
    from fcsym.values.shown import decimal

    errors = [run.best.errors for run in runs]
    steps = len(errors[0]) - 1
    if steps == 1:
        return
    chosen = range(steps + 1) if steps <= _FEW_STEPS else (0, steps)
    head = ("after step", *(f"E, {run.derivation.order}" for run in runs))
    rows = [[str(n), *(decimal(one[n], digits) for one in errors)] for n in chosen]
    show(terminal.Grid("the error", head, rows, right=frozenset(head), lines=False))
