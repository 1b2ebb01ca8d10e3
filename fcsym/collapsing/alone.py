"""init, step, output and expand in a file that stands alone: what it has beside columns and equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.collapsing.moving import Run, State, here, moved, passed, started, unit_by_unit
from fcsym.collapsing.table import Table

__all__ = ["Trainer"]

_Values = npt.NDArray[Any]


@dataclass(frozen=True)
class FileRun(Run):
    """The same with the functions of a file."""

    functions: Mapping[str, Callable[..., Any]]
    make: Callable[[_Values], Any]  # an array of NumPy as one of the library
    may: bool  # whether units may stand together

    @property
    def together(self) -> bool:
        """Whether units may stand together at all."""
        return self.may

    def machine(self, widths: Mapping[int, int]) -> Any:
        """The functions, whatever number of columns there is."""
        del widths
        return self.functions

    def call(self, machine: Any, name: str, arrays: list[Any]) -> Sequence[Any]:
        """The results of one of the functions."""
        made: Sequence[Any] = machine[name](*arrays)
        return made

    def there(self, machine: Any, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Arrays of NumPy as those of the library."""
        del machine
        return tuple(self.make(np.asarray(a, self.dtype, order="C")) for a in arrays)

    def diverged(self, steps: int) -> ArithmeticError:
        """What is raised where the state is not finite any more."""
        return ArithmeticError(f"the state is not finite after step {steps}: go back and take a smaller eta")


class Trainer:
    """init, step, output and expand of one network.

    `functions`: the equations of the file, by name. `there`: an array of NumPy as one of the library. `together`:
    whether units may stand together; where none does, rounding takes none off its kink, and nothing is saved.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], table: Table, there: Callable[[_Values], Any],
        together: bool = True,
    ) -> None:  # fmt: skip
        self.functions, self.table, self.there, self.together = functions, table, there, together

    def call(self, name: str, arrays: Sequence[Any]) -> Sequence[Any]:
        """The results of a function of the equations."""
        with np.errstate(all="ignore"):
            made: Sequence[Any] = self.functions[name](*arrays)
        return made

    def init(self, weights: Sequence[Any], x: Any) -> State:
        """Weights and the held inputs => the state; ValueError for arrays that do not fit."""
        table = self.table
        given = [here(w) for w in weights]
        points = here(x)
        if len(given) != len(table.parameters):
            raise ValueError(f"{len(given)} arrays were given, and these are needed: {', '.join(table.parameters)}")
        rows, count = np.atleast_2d(points), table.point[0]
        own = {name: array for name, array in zip(table.parameters, given, strict=True)}
        for name, array, shape in (*((n, own[n], s) for n, s in table.parameters.items()), ("x", rows, None)):
            wanted = (count or max(1, len(rows)), table.point[1]) if shape is None else shape
            if array.shape != wanted or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise ValueError(f"{name} has shape {array.shape}: give finite numbers of shape {wanted}")
        real = np.float32 if all(a.dtype == np.float32 for a in (*given, points)) else np.float64
        kept, rows = tuple(np.array(a, real) for a in given), np.array(rows, real)
        run = FileRun(table, rows, points.ndim == 1, kept, real, self.functions, self.there, self.together)
        begun = run.there(None, [*kept, rows])
        made = self.call("init", begun[:-1] if table.reads_x else begun)
        sides = self.call("forward", begun) if "forward" in self.functions else ()
        return started(State(run, tuple(made)), [here(a) for a in sides])

    def step(self, state: State, x: Any, target: Any, eta: Any) -> State:
        """The state after a step on all held inputs, where x is None or these, or on some of them.

        ValueError for arrays that do not fit; ArithmeticError where the state is not finite after it.
        """
        table, run = self.table, state.run
        places = self._places(run, x)
        flat = run.single or (x is not None and np.ndim(here(x)) == 1)
        wanted, rate = np.asarray(here(target)), np.asarray(here(eta))
        shape = (table.outputs,) if flat else (len(places), table.outputs)
        for name, array, own in (("target", wanted, shape), ("eta", rate, ())):
            if array.shape != own or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
                raise ValueError(f"{name} has shape {array.shape}: give finite numbers of shape {own}")
        whole, use = np.zeros((len(run.x), table.outputs), run.dtype), np.zeros(len(run.x), run.dtype)
        whole[places] = wanted
        use[places] = len(run.x) / len(places) if table.mean else 1
        return moved(state, whole, use, float(rate))

    def output(self, state: State, x: Any = None) -> Any:
        """The output on held inputs; on all where x is None. ValueError for an input that is not held."""
        places = self._places(state.run, x)
        with np.errstate(all="ignore"):
            y = here(passed(state)[0])[places]
        return self.there(y[0] if state.run.single or (x is not None and np.ndim(here(x)) == 1) else y)

    def expand(self, state: State) -> list[Any]:
        """The weights that backpropagation has after the same steps."""
        run, (arrays, _) = state.run, unit_by_unit(state)
        begins = [run.weights[k] for k in self.table.begins]
        return list(self.call("expand", run.there(None, [*arrays, *begins, *([run.x] if begins else [])])))

    @staticmethod
    def _places(run: Run, x: Any) -> _Values:
        """Which of the held inputs these are."""
        if x is None:
            return np.arange(len(run.x))
        rows = np.atleast_2d(here(x).astype(run.dtype))
        if rows.shape == run.x.shape and (rows == run.x).all():
            return np.arange(len(rows))
        found: list[int] = []
        for row in rows:
            same = (run.x == row).all(axis=1) if rows.shape[1:] == run.x.shape[1:] else np.zeros(0, bool)
            equal = [k for k in np.flatnonzero(same).tolist() if k not in found]
            if not equal:
                raise ValueError("x is not what init was given: give held inputs, or init again with others")
            found.append(equal[0])
        return np.array(found)
