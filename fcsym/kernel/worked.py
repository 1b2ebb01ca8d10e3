"""A scheme's four functions in numbers: `init`, one step, and what `output` and `expand` give after it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from fcsym.deriving.numbers import Numbers
from fcsym.errors import SizeError
from fcsym.kernel.rows import Exact, Values
from fcsym.language.equation import Cases
from fcsym.language.expression import Array
from fcsym.language.instance import Instance
from fcsym.networks.symbols import front_of
from fcsym.values.exact import MAX_SHOWN, exact_field
from fcsym.values.given import Values as Given
from fcsym.values.nested import numbers_in
from fcsym.values.shown import decimal

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["scheme_numbers"]


def scheme_numbers(scheme: SchemeRecord, values: Given, digits: int) -> dict[str, Numbers]:
    """The numbers beside the equations of each function, by its name.

    Raises SizeError for arrays that are too large to be written out.
    """
    machine = _Recorder(scheme, digits)
    machine.samples = values.network.samples
    weights, (x, target) = (
        [list(numbers_in(w)) for w in values.weights],
        ([*numbers_in(v)] for v in (values.x, values.target)),
    )
    state = machine.init(weights, x)
    after = machine.step(state, x, target, values.eta)
    machine.output(after, x)
    machine.expand(after, weights, x)
    return machine.shown


class _Recorder(Exact):
    """The scheme in fractions and balls, with every number of every function that is called."""

    def __init__(self, scheme: SchemeRecord, digits: int) -> None:
        super().__init__(scheme, field=exact_field())
        self.digits = digits
        self.shown: dict[str, Numbers] = {}

    def call(self, part: PartRecord, given: Values, rows: int = 0) -> Values:
        """The results of one of the four functions, whose numbers are kept."""
        self.shown[part.name] = self._numbers(part, self.instance(part, given, rows))
        return super().call(part, given, rows)

    def _numbers(self, part: PartRecord, run: Instance) -> Numbers:
        sizes: Mapping[Any, int] = run.sizes
        text: dict[tuple[str, tuple[int, ...]], str] = {}
        holds: dict[tuple[str, tuple[int, ...]], str] = {}
        read = dict.fromkeys(a for e in part.equations for a in e.operands)
        made = {e.array if e.defines else front_of(e.array.unprimed): e for e in part.equations}
        arrays: dict[Array, None] = dict.fromkeys((*part.given, *read, *made))
        for array in arrays:
            if (size := prod(sizes[axis] for axis in array.axes)) > MAX_SHOWN:
                raise SizeError(
                    f"{array.name} has {size} numbers, and arrays of at most {MAX_SHOWN} are written out: take a "
                    "narrower network, or `fcsym step` for the numbers alone."
                )
            equation = made.get(array)
            for place in product(*(range(sizes[axis]) for axis in array.axes)):
                value = run.element(array, place)
                text[array.name, place] = "" if value is None else decimal(value, self.digits).partition(" ±")[0]
                if equation is not None and isinstance(equation.rhs, Cases):
                    case = run.branch_at(equation, place)
                    holds[array.name, place] = "" if case is None else case.name
        return Numbers({**self.network.sizes, **sizes}, self.digits, text, holds)
