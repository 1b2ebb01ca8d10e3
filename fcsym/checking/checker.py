"""A kernel against independent autodiff, in the same order, on points that reach every case.

The bar for an error is 16 eps times the sum of the absolute values of all terms that make up the quantity, with the
operands' own sums carried through to first order: what a sum of rounded terms can be off by, and not a typed-in
tolerance. The points are drawn by kind: random ones, exact ones on a small lattice (s = 0 and s' = 0 hold there
without rounding), and ones with v^c near 0. A case that no point reaches fails, unless it is proved that none can; of
networks of layers, the cases of p are compared where points reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt

from fcsym.checking.aimed import aimed, placed
from fcsym.checking.points import (
    EXACT,
    NEAR,
    Points,
    draws,
    lattice,
    on_one_sample,
)
from fcsym.checking.report import Report, Row
from fcsym.checking.tally import Tally, alike
from fcsym.errors import ArgumentError, shown
from fcsym.language.equation import Order

if TYPE_CHECKING:
    from fcsym.checking.subject import Derived, Differentiated, Trained

__all__ = ["Report", "Row", "check", "lattice"]

_Array = npt.NDArray[Any]
_ROUNDS = 20  # how often points are drawn anew for a case that none has reached yet


def check(
    subject: Derived | Trained | Differentiated, trials: int = 1000, seed: int = 0, *, against: Order | None = None,
    dtype: npt.DTypeLike = np.float64, points: Points | None = None, steps: int = 100, target: str = "numpy",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Compile a derivation and compare every quantity of its step with autodiff backpropagation; or train by a scheme.

    `trials`: how many random points, drawn from `seed`; exact ones and ones with v^c near 0 come on top. `against`: the
    order of the oracle, by default the derivation's own; the other one must fail. `points`: compare on these instead.
    `steps`: how long a scheme is trained (see `fcsym.checking.trajectory`); derivations are about one step.
    Derivatives (`fcsym.gradient`) are compared with autodiff's, Jacobians output by output.
    `target`: what a derivation is compiled for, as for `Derivation.compile`; schemes are checked in NumPy.
    Raises ArgumentError when trials or steps is not a positive number, CompileError for what has no kernel.
    """
    if isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= 10_000_000:
        raise ArgumentError(f"trials is {shown(trials)}: give a whole number from 1 to 10000000.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed is {shown(seed)}: give a whole number from 0.")
    if against is not None and against not in get_args(Order):
        raise ArgumentError(f"against is {shown(against)!r}: choose {' or '.join(get_args(Order))}.")
    if not any(dtype is kind or str(dtype) == kind.__name__ for kind in (np.float32, np.float64)) and np.dtype(
        dtype if isinstance(dtype, type | np.dtype) else object
    ) not in (np.float32, np.float64):
        raise ArgumentError(f"dtype is {shown(dtype)!r}: choose float32 or float64.")
    if not hasattr(subject, "network"):
        raise ArgumentError(f"check got {type(subject).__name__}: give a derivation, derivatives or a scheme.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ArgumentError(f"steps is {shown(steps)}: give a whole number from 1.")
    if hasattr(subject, "by"):
        from fcsym.checking.gradients import check_gradient

        if (against, target) not in ((None, "numpy"), ("simultaneous", "numpy")):
            raise ArgumentError("Derivatives are checked in NumPy and have no order: leave against and target out.")
        return check_gradient(cast("Differentiated", subject), trials, seed, dtype, points, progress)
    if hasattr(subject, "parts"):
        from fcsym.checking.trajectory import check_scheme

        if target != "numpy":
            raise ArgumentError(f"target is {shown(target)!r}: a scheme is checked in NumPy, its files on export.")
        return check_scheme(cast("Trained", subject), trials, seed, steps, against, dtype, progress)
    derived = cast("Derived", subject)
    full, kernel = derived.network, derived.compile(target)
    one = on_one_sample(full)
    alone = _OneSample(kernel) if full.batch else kernel
    order: Order = against or derived.order
    tally = Tally(derived, np.dtype(dtype))
    rng, eps = np.random.default_rng(seed), float(np.finfo(dtype).eps)
    drawn = iter([("given", points)]) if points is not None else draws(one, rng, trials, eps)
    for label, batch in drawn:
        progress(label)
        assert batch is not None
        tally.compare(kernel, order, batch)
        if full.batch and points is None and label != NEAR:  # and as many samples as the halves of the lattice allow
            tally.compare(kernel, order, batch.in_batches(full.samples or (2 if label == EXACT else 3)))
    if points is None:
        for attempt in range(_ROUNDS):
            if not tally.missing:
                break
            progress("cases not reached yet")
            if one.built is not None:
                for _, batch in draws(one, rng, trials, eps):
                    tally.compare(kernel, order, batch)
                continue
            for batch in placed(derived, tally, alone, rng):
                tally.compare(kernel, order, batch)
            if attempt and attempt % 3 == 0:
                for batch in aimed(derived, tally.missing, alone, rng, min(trials, 1000)):
                    tally.compare(kernel, order, batch)
                for _, batch in draws(one, rng, trials, eps):
                    tally.compare(kernel, order, batch)
    return Report(
        str(full), derived.order, order, trials, seed, str(np.dtype(dtype)),
        tally.rows(demand_all=points is None), tally.left_out, 1,
    )  # fmt: skip


class _OneSample:
    """A kernel for mini-batches at points of one sample each: every quantity without the axis of samples."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._samples = {a.name: (sum(axis.open for axis in a.axes), len(a.axes)) for a in kernel.results}

    def step(self, weights: Any, x: _Array, target: _Array, eta: _Array, **others: Any) -> Any:
        """The step of `Kernel`, for x (..., n_0) and target (..., n_L)."""
        points = alike(self._kernel.network, Points(weights, x, target, eta))
        made = self._kernel.step(*points[:4], **others)
        alone = []
        for name, value in zip(made._fields, tuple(made), strict=True):
            samples, axes = self._samples.get(name, (0, 0))
            alone.append(value[(..., *(0,) * samples, *(slice(None),) * (axes - samples))])
        return type(made)(*alone)
