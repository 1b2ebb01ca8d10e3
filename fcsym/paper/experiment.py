"""The paper's experiment: XOR, the three techniques, and the error between backpropagation and front contribution.

The paper says "the order of error is < 10^-15" and gives neither weights nor step size nor number of steps. Here they
are given, and beside the difference of two floating-point results stands the distance of each from the exact one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
import z3

from fcsym.checking.exact import arithmetic, distance, trajectory
from fcsym.checking.xor import SAMPLES
from fcsym.closed.series import flow
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, FcsymError, shown
from fcsym.files import made_folder, write_files
from fcsym.kernel.scheme import SchemeKernel
from fcsym.language.equation import Order
from fcsym.language.smt import check
from fcsym.language.spelling import exact
from fcsym.networks.network import Network
from fcsym.paper.r_formula import Distance, measure
from fcsym.training import scheme

__all__ = ["ALL_FOUR", "Divergence", "Experiment", "Run", "divergences", "require_matplotlib", "run", "write"]

TECHNIQUES = ("weights", "compensation", "states")  # figure 3: top, middle, bottom
SEVERAL = ("history", "basis")
ORDERS: tuple[Order, ...] = ("simultaneous", "sequential")
ALL_FOUR = "all four in turn"
DIVERGENCE_STEPS = 200
STEP_SIZES = (0.1, 0.5, 1.0, 2.0)
_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Run:
    """One technique on one sample (or on all four), step by step."""

    technique: str
    order: str
    sample: str
    backprop: _Array = field(repr=False)  # outputs before each step
    front: _Array = field(repr=False)
    error_of_backprop: _Array = field(repr=False)  # distance from the exact output
    error_of_front: _Array = field(repr=False)

    @property
    def steps(self) -> int:
        """How many outputs were compared."""
        return len(self.front)

    @property
    def error(self) -> _Array:
        """|output of backpropagation - output of front contribution|, the paper's vertical axis."""
        with np.errstate(invalid="ignore"):  # after a run has diverged
            return np.asarray(np.abs(self.backprop - self.front))

    @property
    def diverged(self) -> bool:
        """Whether an output is not finite."""
        return not bool(np.isfinite(self.front).all() and np.isfinite(self.backprop).all())

    @property
    def diverged_at(self) -> int | None:
        """The number of the step, from 1, before which an output is no longer finite."""
        lost = ~(np.isfinite(self.front) & np.isfinite(self.backprop))
        return int(np.argmax(lost)) + 1 if lost.any() else None

    @property
    def worst(self) -> float:
        """The largest error."""
        return float(np.max(self.error)) if not self.diverged else float("inf")

    def summary(self) -> dict[str, Any]:
        """What the JSON document says of the run."""
        finite = not self.diverged
        return {
            "technique": self.technique, "order": self.order, "sample": self.sample, "steps": self.steps,
            "worst_error": self.worst if finite else None, "diverged": self.diverged, "diverged_at": self.diverged_at,
            "worst_distance_of_front_from_exact": float(np.max(self.error_of_front)) if finite else None,
            "worst_distance_of_backprop_from_exact": float(np.max(self.error_of_backprop)) if finite else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Divergence:
    """How many of many random runs leave the floating-point range at one step size."""

    eta: float
    order: str
    runs: int
    diverged: int
    largest_factor: float  # the median over runs of the largest eigenvalue of a step's map (w, v) -> (w', v')


@dataclass(frozen=True)
class Experiment:
    """Everything that `reproduce` ran: the training runs, how many diverge by step size, and r after n steps.

    A run has one error per step: `backprop`, `front` and `error`, arrays of shape (steps,).
    """

    runs: tuple[Run, ...]
    divergences: tuple[Divergence, ...]
    formulas: tuple[Distance, ...]  # r after n steps: printed, mended, exact
    eta: float
    seed: int
    exact: str

    def worst(self, technique: str) -> float:
        """The worst error of a technique over orders and samples."""
        return max(run.worst for run in self.runs if run.technique == technique)

    def document(self, figure: str | None) -> dict[str, Any]:
        """One JSON document."""
        return {
            "network": "2-2-1", "eta": self.eta, "seed": self.seed, "exact": self.exact,
            "runs": [run.summary() for run in self.runs],
            "divergences": [
                asdict(divergence) for divergence in self.divergences
            ],
            "r_after_n_steps": [asdict(distance) for distance in self.formulas],
            "figure": figure,
        }  # fmt: skip


def run(
    steps: int = 1000, eta: float | str = 0.1, seed: int = 0, progress: Callable[[str], None] = lambda _: None
) -> Experiment:
    """The paper's XOR experiment (section 4, figure 3): front contribution beside backpropagation and exact numbers.

    A 2-2-1 ReLU network is trained from weights that `seed` draws for `steps` steps of size `eta`, in both orders: by
    techniques 1 to 3 on each XOR sample, by `history` and `basis` on all four in turn. The truth is a trajectory in
    balls of 1024 bits or more where python-flint is installed. Errors are differences of outputs, in their own unit.
    Raises ArgumentError for steps that are no whole number from 1 to 1000000, an eta that is not positive, and a seed
    that is no whole number from 0.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 1_000_000:
        raise ArgumentError(f"steps is {shown(steps)}: give a whole number from 1 to 1000000.")
    eta = float(exact(eta, "eta", ArgumentError))
    if not eta > 0:
        raise ArgumentError(f"eta is {eta:g}: give a positive number.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed is {shown(seed)}: give a whole number from 0.")
    network = Network.parse("2-2-1")
    weights = _weights(network, seed)
    runs: list[Run] = []
    for order in ORDERS:
        reference = scheme(network, "backprop", order).compile()
        trained = []
        for technique in (*TECHNIQUES, *SEVERAL):
            progress(f"{technique}, {order}")
            kernel = scheme(network, technique, order).compile()
            single = technique in TECHNIQUES
            front, back = (_train(k, weights, single, steps, eta) for k in (kernel, reference))
            for n, sample in enumerate(_names() if single else [ALL_FOUR]):
                trained.append((technique, sample, back[:, n], front[:, n]))
        needed = {sample: 0 for _, sample, *_ in trained}
        for _, sample, *both in trained:
            needed[sample] = max(needed[sample], *map(_lasting, both))
        truth = _exact(network, order, weights, needed, eta, progress)
        for technique, sample, back, front in trained:
            true = truth[sample]
            distances = _distances(back, true), _distances(front, true)
            runs.append(Run(technique, order, sample, back, front, *distances))
    progress("r after 1, 10, 100 steps")
    lost, formulas = divergences(seed=seed, progress=progress), measure(seed=seed)
    return Experiment(tuple(runs), lost, formulas, eta, seed, arithmetic())


def _weights(network: Network, seed: int) -> list[_Array]:
    """Random weights, each hidden unit active on the sample (1, 1): dead units have no error to look at."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=network.shape(array)) for array in network.parameters]
    weights[0] = np.abs(weights[0])
    return weights


def _names() -> list[str]:
    return [f"({x:g}, {y:g})" for x, y, _ in SAMPLES]


def _train(kernel: SchemeKernel, weights: list[_Array], single: bool, steps: int, eta: float) -> _Array:
    """Outputs (steps, samples) before each step: four runs side by side, or one over all samples."""
    data = np.array(SAMPLES)
    x, target = data[:, :2], data[:, 2:]
    many = [np.broadcast_to(w, (len(data), *w.shape)) for w in weights] if single else weights
    state = kernel.init(many, x if single else None)
    outputs = []
    for n in range(steps):
        at, goal = (x, target) if single else (x[n % 4], target[n % 4])
        outputs.append(np.atleast_1d(kernel.output(state, at)[..., 0]))
        state = kernel.step(state, at, goal, eta, undefined="nan")
    return np.array(outputs)


def _lasting(outputs: _Array) -> int:
    """How many outputs there are up to the last finite one: beyond it, nothing is held against the truth.

    The truth of what diverges is the worse to compute the longer it does: the digits of a number treble in each step.
    """
    return int(np.flatnonzero(np.isfinite(outputs))[-1]) + 1


def _exact(
    network: Network, order: Order, weights: list[_Array], needed: Mapping[str, int], eta: float,
    progress: Callable[[str], None],
) -> dict[str, list[Any]]:  # fmt: skip
    """Exact outputs by sample, and for all samples in turn, as many as are needed of each."""
    result = {}
    turns = {name: [sample] for name, sample in zip(_names(), SAMPLES, strict=True)} | {ALL_FOUR: [*SAMPLES]}
    for name, steps in needed.items():
        progress(f"exact trajectory, {order}, {name}")
        samples = [turns[name][n % len(turns[name])] for n in range(steps)]
        xs, targets = [s[:2] for s in samples], [s[2:] for s in samples]
        path = trajectory(network, order, weights, xs, targets, eta)
        result[name] = [step.output[0] for step, _ in zip(path, range(steps), strict=False)]
    return result


def _distances(outputs: _Array, exact: list[Any]) -> _Array:
    """Of each output from the exact one; infinite where it is not finite."""
    return np.array([distance(y, exact[n]) if np.isfinite(y) else np.inf for n, y in enumerate(outputs)])


def divergences(
    networks: int = 250, steps: int = DIVERGENCE_STEPS, seed: int = 0, progress: Callable[[str], None] = lambda _: None
) -> tuple[Divergence, ...]:
    """How often training leaves the floating-point range, by step size and order, on each sample of random networks."""
    network = Network.parse("2-2-1")
    rng = np.random.default_rng(seed)
    data = np.repeat(np.array(SAMPLES[1:]), networks, axis=0)  # nothing moves on (0, 0)
    x, target = data[:, :2], data[:, 2:]
    weights = [rng.normal(size=(len(data), *network.shape(array))) for array in network.parameters]
    norm = np.sum(x**2, axis=-1)
    rows = []
    for eta in STEP_SIZES:
        for order in ORDERS:
            progress(f"divergence, eta = {eta:g}, {order}")
            kernel = scheme(network, "backprop", order).compile()
            larger = sympy.lambdify(_U, _factor(order), "numpy")
            state, largest = kernel.init(weights), np.ones(len(data))
            for _ in range(steps):
                y = kernel.output(state, x)
                with np.errstate(over="ignore", invalid="ignore"):
                    factor = larger(np.abs(eta * (y - target)[:, 0]) * np.sqrt(norm))
                largest = np.where(np.isfinite(factor), np.maximum(largest, factor), largest)
                state = kernel.step(state, x, target, eta, undefined="nan")
            last = kernel.output(state, x)
            lost = ~np.isfinite(last).all(axis=-1)
            rows.append(Divergence(eta, order, len(data), int(lost.sum()), float(np.median(largest))))
    return tuple(rows)


def _map(order: Order) -> tuple[sympy.Expr, sympy.Expr]:
    """(trace, determinant) of a step's map (w, v) -> (w', v') of an active unit, with u = |x| eta |dE/dy|."""
    step = flow(derive(Network.parse("2-2-1"), order))
    a, h = sympy.symbols("a h", positive=True)
    trace, determinant = (part.subs(h, _U / sympy.sqrt(a)) for part in (step.trace, step.determinant))
    return sympy.expand(trace), sympy.expand(determinant)


_U = sympy.Symbol("u", positive=True)


def _factor(order: Order) -> sympy.Expr:
    """The larger eigenvalue of that map, t/2 + sqrt(t^2/4 - d)."""
    trace, determinant = _map(order)
    return trace / 2 + sympy.sqrt(sympy.factor(trace**2 / 4 - determinant))


def why() -> str:
    """Why sequential runs diverge more often: a step's map of an active unit, read off the derivations."""
    said = [f"{order}: determinant {_map(order)[1]}, larger factor {_factor(order)}" for order in ORDERS]
    return f"A step maps (w, v) of an active unit linearly. With u = |x| eta |dE/dy|: {'; '.join(said)}. {_compared()}"


def _compared() -> str:
    """Which factor is larger, decided by z3 for every u > 0."""
    u = z3.Real("u")
    solver = z3.Solver()
    solver.add(u > 0)
    larger = {}
    for order in ORDERS:
        trace, determinant = (_as_z3(sympy.Poly(part, _U), u) for part in _map(order))
        root = z3.Real(f"root_{order}")
        solver.add(root >= 0, root * root == trace * trace / 4 - determinant)
        larger[order] = trace / 2 + root
    solver.add(larger["sequential"] <= larger["simultaneous"])
    if check(solver) == z3.unsat:
        return "The sequential factor is the larger one for every u > 0 (z3)."
    return "Neither factor is always the larger one."


def _as_z3(polynomial: sympy.Poly, u: Any) -> Any:
    result = z3.RealVal(0)
    for (power,), coefficient in polynomial.terms():
        term = z3.RatVal(int(coefficient.p), int(coefficient.q))
        for _ in range(power):
            term = term * u
        result = result + term
    return result


def summary(experiment: Experiment) -> list[list[str]]:
    """One row per technique: the worst errors of the runs that stayed finite, beside the paper's words."""
    rows = []
    for technique in (*TECHNIQUES, *SEVERAL):
        runs = [one for one in experiment.runs if one.technique == technique]
        finite = [one for one in runs if not one.diverged]
        lost = [f"{one.sample}, {one.order}, at step {one.diverged_at}" for one in runs if one.diverged]
        worst = [max((float(np.max(getattr(one, name))) for one in finite), default=float("nan"))
                 for name in ("error", "error_of_front", "error_of_backprop")]  # fmt: skip
        said = "< 1e-15" if technique in TECHNIQUES else ""
        rows.append([technique, f"{worst[0]:.1e}", said, f"{worst[1]:.1e}", f"{worst[2]:.1e}", "; ".join(lost)])
    return rows


# ---------------------------------------------------------------------------------------------------------- output


def require_matplotlib() -> None:
    """FcsymError when the figure cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise FcsymError(
            "The figure needs matplotlib, which is not installed: pip install 'fcsym[reproduce]', or use --no-figure."
        ) from None


def write(experiment: Experiment, folder: str | Path, figure: bool = True) -> list[Path]:
    """figure3.csv, figure3.json and, if wanted, figure3.png in a folder, which is made."""
    where = made_folder(folder)
    picture = where / "figure3.png"
    document = experiment.document(picture.name if figure else None)
    files: dict[Path, bytes | str] = {
        where / "figure3.csv": _csv(experiment),
        where / "figure3.json": json.dumps(document, indent=1) + "\n",
    }
    if figure:
        files[picture] = _picture(experiment)
    return write_files(files)


def _csv(experiment: Experiment) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["technique", "order", "sample", "iteration", "y_backprop", "y_front", "error"]
    table.writerow([*head, "distance_of_backprop_from_exact", "distance_of_front_from_exact"])
    for one in experiment.runs:
        columns: Sequence[_Array] = (one.backprop, one.front, one.error, one.error_of_backprop, one.error_of_front)
        for n, row in enumerate(zip(*columns, strict=True)):
            table.writerow([one.technique, one.order, one.sample, n, *(repr(float(value)) for value in row)])
    return text.getvalue()


def _picture(experiment: Experiment) -> bytes:
    """Figure 3: three panels, iteration against the error between backpropagation and front contribution."""
    require_matplotlib()
    from matplotlib.figure import Figure

    titles = {
        "weights": "w + p: the last weights are trained",
        "compensation": "p alone: all weights stay fixed",
        "states": "states: no weights below the last layer",
    }
    figure = Figure(figsize=(7.5, 8.5), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    colours = dict(zip(_names(), ("#888888", "#0072b2", "#d55e00", "#009e73"), strict=True))
    for panel, (technique, title) in zip(panels, titles.items(), strict=True):
        for one in (one for one in experiment.runs if one.technique == technique):
            style = "-" if one.order == "simultaneous" else "--"
            label = f"{one.sample}, {one.order}" if technique == "weights" else None
            panel.plot(one.error * 1e16, style, color=colours[one.sample], linewidth=0.9, label=label)
        panel.set_title(title, loc="left", fontsize=10)
        panel.set_ylabel("error / 1e-16", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", linewidth=0.3)
    panels[-1].set_xlabel(f"iteration (eta = {experiment.eta:g}, seed {experiment.seed})", fontsize=9)
    panels[0].legend(ncols=2, fontsize=7, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()
