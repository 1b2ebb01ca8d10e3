"""What is known of a C file of `collapsed` before there are numbers: how much memory it takes, and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod

from fcsym.collapsing.lines import Lines
from fcsym.collapsing.table import Layer, Table
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.arrays import literal
from fcsym.kernel.targets.c import room_of
from fcsym.kernel.targets.c_memory import Amount
from fcsym.language.expression import Array, Axis
from fcsym.networks.symbols import SAMPLES, units

__all__ = ["Tables"]

_LIMITS = ("EPSILON", "LARGEST", "TINY")


@dataclass(frozen=True)
class Tables:
    """Everything that the files are made of, as numbers and tables."""

    module: n.Module
    table: Table
    stem: str
    idle: Mapping[int, int]

    # ---------------------------------------------------------------------------------------------- how much

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """Those of the state, as the equations have them."""
        own = set(self.table.state)
        return tuple(a for a in self.module["init"].results if a.name in own)

    def amount(self, axes: Iterable[Axis], times: int = 1) -> Amount:
        """How many numbers there are along axes, at most."""
        lengths = [None if axis.open else self.module.sizes[axis] for axis in axes]
        parts = [0, 0, 0]
        parts[lengths.count(None)] = times * prod(length for length in lengths if length is not None)
        return Amount(*parts)

    def numbers(self, layer: int, places: Iterable[tuple[int, int]], times: int = 1) -> Amount:
        """How many numbers of a unit some of the arrays have, at most."""
        own = (tuple(a for a in self.arrays[place].axes if a != units(layer)) for place, _ in places)
        return sum((self.amount(axes, times) for axes in own), Amount())

    def most(self, layer: int, times: int = 1) -> Amount:
        """The same of those that are read, with a 1 where that counts."""
        t = self.table.layers[layer]
        return self.numbers(layer, t.numbers.read, times) + Amount(times * t.adds_ones)

    @property
    def upper(self) -> str:
        """What names of macros begin with."""
        return self.stem.upper()

    def text(self, amount: Amount) -> str:
        """It in C, with as many samples as there may be."""
        capacity = f"{self.upper}_CAPACITY"
        terms = (f"{part}{f' * {capacity}' * degree}" for degree, part in enumerate(amount.parts) if part)
        return f"({' + '.join(terms) or '0'})"

    @cached_property
    def offsets(self) -> dict[str, Amount]:
        """Where in the memory of a call everything begins; WORK: how much it is."""
        rooms = [room_of(function, self.module) for function in self.module.functions]
        laying = Amount()
        for n_, t in self.table.layers.items():
            count = self.module.sizes[units(n_)]
            own = self.numbers(n_, t.numbers.read, 2 * count) + self.numbers(n_, t.numbers.following, 2 * count)
            laying = laying.most(own + self.most(n_, count + 2))
        width = self.table.outputs
        sizes = {
            "CORE": reduce(Amount.most, (room.given + room.strips for room in rooms)),
            "PASSED": reduce(Amount.most, (self._all(list(which)) for which in (self.passed, self.started))),
            "SEEN": self.amount((SAMPLES,), 3),
            "GIVEN": self.amount((SAMPLES,), 1 + 2 * width),
            "LAYING": laying,
            "WHOLE": self._all(self.arrays),
        }
        found, at = {}, Amount()
        for name, size in sizes.items():
            found[name] = at
            at += size
        return {**found, "WORK": at}

    def _all(self, arrays: Sequence[Array]) -> Amount:
        return sum((self.amount(a.axes) for a in arrays), Amount())

    @cached_property
    def passed(self) -> tuple[Array, ...]:
        """What `output` gives."""
        return self.module["output"].results

    @cached_property
    def started(self) -> tuple[Array, ...]:
        """The pre-activations at the start that are looked at."""
        return next((f.results for f in self.module.functions if f.name == "forward"), ())

    def _places(self, name: str, arrays: Sequence[Array], first: int) -> str:
        """Where in the memory of a call arrays are, from `first` on."""
        at, found = self.offsets["PASSED"], []
        for array in arrays:
            found.append(self.text(at))
            at += self.amount(array.axes)
        return f"static const ptrdiff_t {name}[] = {{{', '.join(found[first:]) or '0'}}};\n"

    # ------------------------------------------------------------------------------------------------ the tables

    def _code(self, axis: Axis) -> int:
        """The length of an axis: a number, -1 for the samples, -2 - n for the columns of the n-th layer."""
        layers = [units(n_) for n_ in self.table.layers]
        return -1 if axis.open else -2 - layers.index(axis) if axis in layers else self.module.sizes[axis]

    @cached_property
    def tables(self) -> str:
        """The network as C text."""

        def reals(values: Iterable[float]) -> str:
            return "{" + (", ".join(f"(real){literal(value)}" for value in values) or "(real)0.0") + "}"

        none = "    {0, 0, 0, 0, {(real)0.0}},\n"
        axes = [[len(a.axes), *map(self._code, a.axes)] for a in self.arrays]
        rows = []
        for n_, t in self.table.layers.items():
            places = ", ".join(f"{{{place}, {axis}}}" for place, axis in (*t.numbers.read, *t.numbers.following))
            own = _lines(t)
            rows.append(
                f"    {{{self.module.sizes[units(n_)]}, {self.text(self.most(n_))}, {len(t.numbers.read)}, "
                f"{len(t.numbers.read) + len(t.numbers.following)}, {{{places}}}, {self.idle.get(n_, -1)}, "
                f"{_or_none(t.seen)}, {_or_none(t.start)},\n     {len(own.kinks)}, {int(t.adds_ones)}, "
                f"{reals(own.kinks)}, {reals(own.slopes)}, {reals(own.offsets)}}},\n"
            )
        over = [
            f"    {{{seen}, {start}, {self._above_width(seen)}, {len(kinks)}, {reals(kinks)}}},\n"
            for seen, start, kinks in self.table.above
        ]
        return (
            "static const int axes[ARRAYS][AXES + 1] = {\n"
            + "".join(f"    {{{', '.join(map(str, own))}}},\n" for own in axes)
            + "};\n"
            + f"static const layer_type layers[LAYERS] = {{\n{''.join(rows)}}};\n"
            + f"static const above_type above[] = {{\n{''.join(over) or none}}};\n"
            + self._places("passed_at", self.passed, 1)
            + self._places("started_at", self.started, 0)
        )

    def _above_width(self, seen: int) -> int:
        count = len(self.arrays)
        array = self.arrays[seen] if seen < count else self.passed[1 + seen - count]
        return self._code(array.axes[-1])

    @cached_property
    def macros(self) -> str:
        """What the text of `columns.c` is for."""
        layers, kinks = self.table.layers.values(), [own for _, _, own in self.table.above]
        most = max([1, *(len(_lines(t).kinks) for t in layers), *map(len, kinks)])
        counts = {
            "ARRAYS": len(self.arrays),
            "AXES": max([1, *(len(a.axes) for a in self.arrays)]),
            "LAYERS": len(layers),
            "PLACES": max(len(t.numbers.read) + len(t.numbers.following) for t in layers),
            "KINKS": most,
            "LINES": 2 * most + 1,
            "ABOVE": len(kinks),
            "WORTH": 2,
        }
        numbers = "".join(f"#define {name} {count}\n" for name, count in counts.items())
        places = "".join(
            f"#define {name} {self.text(at)}\n" for name, at in self.offsets.items() if name not in ("CORE", "WORK")
        )
        single = ("FLT_EPSILON", "FLT_MAX", "1e-18f"), ("DBL_EPSILON", "DBL_MAX", "1e-150")
        own = ["".join(f"#define {n_} {v}\n" for n_, v in zip(_LIMITS, row, strict=True)) for row in single]
        return (
            f"#include <float.h>\n#include <stddef.h>\n\n#ifdef {self.upper}_SINGLE\n{own[0]}#else\n{own[1]}#endif\n"
            f"#define OK ((int){self.upper}_OK)\n#define UNDEFINED ((int){self.upper}_UNDEFINED)\n"
            f"{numbers}/* where in the memory of a call everything begins */\n{places}"
            f"\ntypedef {self.stem}_state state_type;\n\n"
        )


def _lines(layer: Layer) -> Lines:
    return layer.lines or Lines((), (1.0,), ())


def _or_none(place: int | None) -> int:
    return -1 if place is None else place
