"""The audit of a worked example: every claim held against the derivation, under conventions and then under slips.

A claim holds where the value rounds to all the digits that are printed. Where it does under no convention, slips are
tried one at a time, and one with a convention; what explains all the digits of most claims comes first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import isfinite, prod
from pathlib import Path
from typing import Any

import mpmath

from fcsym.deriving.pipeline import one_step
from fcsym.errors import ArgumentError, FcsymError, shown
from fcsym.language.activation import Activation, activation
from fcsym.language.formulas import NoRealValue
from fcsym.language.smooth_functions import as_formula
from fcsym.values.ball import DIGITS, Ball, smooth_at
from fcsym.values.exact import exact_step
from fcsym.worked import grammar
from fcsym.worked.claims import Claim, Example, Printed, read_example
from fcsym.worked.quantities import Quantities, Reader
from fcsym.worked.readings import LONG, Reading, Snapshot, conventions, exactly, slips, states
from fcsym.worked.statement import is_proved

__all__ = ["AuditedExample", "Row", "audit_example"]

HOLDS, REFUTED, UNDECIDED = "HOLDS", "REFUTED", "UNDECIDED"
_EXACT = 12  # steps that are taken in fractions and balls
_SMALL = 200  # numbers of a network for which that is quick
_POINTS = 12
_FEW = 3  # digits that one of some hundred slips is likely to meet by chance


@dataclass(frozen=True, slots=True)
class Row:
    """What is found of one claim."""

    claim: str
    printed: str
    verdict: str
    convention: str
    value: str
    explanation: str

    def as_dict(self) -> dict[str, str]:
        """The row as JSON has it."""
        return {
            "claim": self.claim, "printed": self.printed, "verdict": self.verdict, "convention": self.convention,
            "value": self.value, "explanation": self.explanation,
        }  # fmt: skip


@dataclass(frozen=True)
class AuditedExample:
    """The rows, and what they say together."""

    title: str
    rows: tuple[Row, ...]
    conclusion: str

    @property
    def holds(self) -> bool:
        """Whether every claim holds under one and the same convention."""
        return all(row.verdict == HOLDS for row in self.rows) and len({_choices(row) for row in self.rows}) <= 1

    @property
    def decided(self) -> bool:
        """Whether every claim holds or is refuted."""
        return all(row.verdict != UNDECIDED for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {"title": self.title, "claims": [row.as_dict() for row in self.rows], "conclusion": self.conclusion}

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = [f"{row.verdict:9} {row.claim}: {row.value}; {row.explanation or row.convention}" for row in self.rows]
        return "\n".join([*lines, self.conclusion])


def _choices(row: Row) -> str:
    return row.convention.partition(";")[0]


def audit_example(
    example: str | Path | Mapping[str, Any] | Example, progress: Callable[[str], None] = lambda _: None
) -> AuditedExample:
    """A worked example (`fcsym.worked.claims`) => for each claim its verdict, convention, value and explanation.

    Raises ArgumentError for what is wrong with the file, for a claim that names nothing, and for a search that would be
    too large.
    """
    given = example if isinstance(example, Example) else read_example(example)
    return _Audit(given, progress).result()


@dataclass(frozen=True, slots=True)
class _Match:
    """A reading and a time under which a claim's numbers come out as printed."""

    reading: Reading
    after: int
    note: str = ""  # what is odd about the time or the digits

    @property
    def cost(self) -> int:
        return self.reading.cost + bool(self.note)

    @property
    def said(self) -> str:
        return ", ".join([*self.reading.said, *([self.note] if self.note else [])])


class _Audit:
    def __init__(self, example: Example, progress: Callable[[str], None]) -> None:
        self.example, self.progress = example, progress
        self.base = Reading(example.network, example.order, example.values)
        equations = one_step(example.network, example.order).equations
        self.names = Quantities(example.network, {e.array.name: e.array for e in equations if e.defines})
        self.readers: list[Reader | None] = []
        self.claims = [self._as_meant(claim) for claim in example.claims]
        for n, claim in enumerate(self.claims, 1):
            self.readers.append(self._reader(claim, f"claim {n}"))
        self.size = sum(prod(example.network.shape(a)) for a in example.network.parameters)
        self._kept: dict[int, dict[int, Snapshot]] = {}
        self.tried = 0
        self._readings: list[Reading] = []  # kept alive, since what is kept is kept by identity

    def _as_meant(self, claim: Claim) -> Claim:
        """W1', with or without "after one step", is W1 after one step, and never that of the step after it."""
        plain = self.names.after_the_step(claim.quantity)
        return replace(claim, quantity=plain, after=max(claim.after or 0, 1)) if plain else claim

    def _reader(self, claim: Claim, where: str) -> Reader | None:
        if claim.formula is not None:
            return None
        reader = self.names.read(claim.quantity, where)
        count = prod(self.example.network.shape(self.names.arrays[reader.name])[len(reader.place) :])
        if count != len(claim.printed):
            raise ArgumentError(
                f"{where}: {claim.quantity} has {count} number{'s' * (count > 1)} and {len(claim.printed)} are "
                "printed: give as many, or an element such as y[1]."
            )
        return reader

    @property
    def numbers(self) -> list[tuple[int, Claim, Reader]]:
        """The claims about numbers."""
        pairs = zip(self.claims, self.readers, strict=True)
        return [(n, claim, reader) for n, (claim, reader) in enumerate(pairs) if reader is not None]

    # --------------------------------------------------------------------------------------------------- searching

    def times(self, claim: Claim) -> list[tuple[int, str]]:
        """After how many steps a claim may be meant, and what is odd about that."""
        if claim.after is None:
            return [(0, ""), (1, "")]
        n = claim.after
        others = [(n - 1, f"after {n - 1:,} steps"), (n + 1, f"after {n + 1:,} steps")]
        if n == 1:
            others[0] = (0, "before the step")
        if n == 0:
            others = [(1, "after one step")]
        return [(n, ""), *others]

    @cached_property
    def moments(self) -> list[int]:
        return sorted({after for _, claim, _ in self.numbers for after, _ in self.times(claim)})

    @cached_property
    def wanted(self) -> list[str]:
        return list({name for _, _, reader in self.numbers for name in reader.needs})

    def snapshots(self, reading: Reading, moments: Sequence[int]) -> dict[int, Snapshot]:
        """The quantities at some times under a reading; nothing where it cannot be run."""
        if id(reading) not in self._kept:
            self._readings.append(reading)
            try:
                self._kept[id(reading)] = states(reading, moments, self.wanted)
            except (FcsymError, ArithmeticError, ValueError):  # an edit that leaves nothing to compute
                self._kept[id(reading)] = {}
        return self._kept[id(reading)]

    def matches(self, claim: Claim, reader: Reader, reading: Reading, moments: Sequence[int]) -> list[_Match]:
        """At which of the times the claim comes out under a reading."""
        found = []
        shots = self.snapshots(reading, moments)
        for after, note in self.times(claim):
            if after not in shots:
                continue
            values = reader(shots[after])
            fit = _fits(claim.printed, values)
            if _near_the_edge(claim.printed, values):  # float64 is not what decides there
                exact = self._value(reading, after, reader)
                fit = fit if _undecided(claim.printed, exact) else _fits(claim.printed, exact)
            if fit is not None:
                found.append(_Match(reading, after, ", ".join(part for part in (note, fit) if part)))
        return found

    @cached_property
    def under_conventions(self) -> dict[int, list[_Match]]:
        """For each claim the conventions under which it holds that differ least."""
        result: dict[int, list[_Match]] = {}
        for reading in conventions(self.base):
            self.progress(", ".join(reading.said) or "as it stands")
            for n, claim, reader in self.numbers:
                result.setdefault(n, []).extend(self.matches(claim, reader, reading, self.moments))
        for n, found in result.items():
            least = min((match.cost for match in found), default=0)
            result[n] = [match for match in found if match.cost == least]
        return result

    @cached_property
    def under_slips(self) -> dict[int, list[_Match]]:
        """For each claim that holds under no convention, the slips that explain all its digits."""
        open_ones = [(n, c, r) for n, c, r in self.numbers if not self.under_conventions[n]]
        result: dict[int, list[_Match]] = {n: [] for n, _, _ in open_ones}
        if not open_ones:
            return result
        moments = sorted({after for _, claim, _ in open_ones for after, _ in self.times(claim)})
        moments = [n for n in moments if n - 1 <= LONG] or moments
        is_long = max(moments) > LONG
        for n, (reading, others) in enumerate(self._variants()):
            if n and others and all(result.values()):
                break  # what is less far off explains everything
            for slip in slips(reading, long=is_long or others):
                self.tried += 1
                self.progress(slip.said[-1])
                for number, claim, reader in open_ones:
                    if others and result[number]:
                        continue
                    result[number] += self.matches(claim, reader, slip, moments)
        return {n: sorted(found, key=lambda match: match.cost) for n, found in result.items()}

    def _variants(self) -> list[tuple[Reading, bool]]:
        """The readings in which slips are made: as it stands first, then under one other convention."""
        every = [reading for reading in conventions(self.base) if reading.cost <= 1]
        return [(reading, reading.cost > 0) for reading in every]

    # --------------------------------------------------------------------------------------------------- reporting

    def result(self) -> AuditedExample:
        """All rows."""
        chosen = _together(self.under_conventions)
        slipped = _together(self.under_slips)
        rows = []
        for n, (claim, reader) in enumerate(zip(self.claims, self.readers, strict=True)):
            if reader is None:
                rows.append(_Formula(self.example, self.names, claim).row())
            elif n in chosen:
                rows.append(self._holding(claim, reader, chosen[n], self.under_conventions[n]))
            else:
                rows.append(self._refuted(claim, reader, slipped.get(n), self.under_slips.get(n, [])))
        return AuditedExample(self.example.title, tuple(rows), self._conclusion(rows, chosen, slipped))

    def _holding(self, claim: Claim, reader: Reader, match: _Match, others: Sequence[_Match]) -> Row:
        value = self._value(match.reading, match.after, reader)
        verdict, explanation = HOLDS, ""
        if _undecided(claim.printed, value):
            verdict = UNDECIDED
            by = "float64 does" if any(isinstance(v, float) for v in value) else f"{DIGITS} digits do"
            explanation = f"{by} not decide the last printed digit."
        convention = self._convention(match)
        if match.cost and not explanation:
            right = self._value(self.base, self._due(claim), reader)
            explanation = (
                f"As it stands ({self._convention(_Match(self.base, self._due(claim)))}) it is {_shown(right, claim)}."
            )
        also = sorted({self._convention(other) for other in others if other is not match} - {convention})
        if also and match.cost:
            explanation += f" Likewise under: {'; '.join(also)}."
        return self._row(claim, verdict, convention, value, explanation.strip())

    def _refuted(self, claim: Claim, reader: Reader, match: _Match | None, others: Sequence[_Match]) -> Row:
        due = self._due(claim)
        value = self._value(self.base, due, reader)
        convention = self._convention(_Match(self.base, due))
        if match is None:
            what = f"No convention and none of {self.tried} slips explains it."
            return self._row(claim, REFUTED, convention, value, what)
        digits = sum(number.digits for number in claim.printed)
        said = match.said[0].upper() + match.said[1:] if match.said.startswith("without") else f"With {match.said}"
        what = f"{said}, it comes out as printed: {digits} digit{'s' * (digits > 1)} explained."
        if digits <= _FEW:
            what += " So few digits may agree by chance."
        more = list(dict.fromkeys(o.said for o in others if o.cost == match.cost and o.said != match.said))
        if more:
            rest = f" and {len(more) - 2} more" if len(more) > 2 else ""
            what += f" So it does with {'; or '.join(more[:2])}{rest}."
        return self._row(claim, REFUTED, convention, value, what)

    def _row(self, claim: Claim, verdict: str, convention: str, value: Sequence[Any], explanation: str) -> Row:
        printed = " ".join(number.text for number in claim.printed)
        return Row(claim.text, printed, verdict, convention, _shown(value, claim), explanation)

    def _due(self, claim: Claim) -> int:
        return 0 if claim.after is None else claim.after

    def _convention(self, match: _Match) -> str:
        network, said = match.reading.network, list(match.reading.said)
        order = f"{match.reading.order} order"
        said = [order, *(part for part in said if part != order)]
        if network.batch:
            told = f"the {network.batch} over the samples"
            said = [*said, *([] if told in said else [told])]
        after = match.after
        when = "before the step" if after == 0 else "after one step" if after == 1 else f"after {after:,} steps"
        cut = [part for part in match.note.split(", ") if part in (_CUT, _FLOATS)]
        return f"{', '.join(said)}; {', '.join([when, *cut])}"

    def _value(self, reading: Reading, after: int, reader: Reader) -> list[Any]:
        """The numbers, exactly where that is quick."""
        if after <= _EXACT and self.size <= _SMALL:
            found = exactly(reading, after)
            if found is not None:
                return reader({**found, "eta": found["eta"]})
        shots = self.snapshots(reading, self.moments)
        if after not in shots:
            return [None]
        return reader(shots[after])

    def _conclusion(self, rows: Sequence[Row], chosen: Mapping[int, _Match], slipped: Mapping[int, _Match]) -> str:
        counts = [
            f"{count} {said if count > 1 else one}"
            for v, one, said in _SAID
            if (count := sum(row.verdict == v for row in rows))
        ]
        sentences = [f"{len(rows)} claim{'s' * (len(rows) > 1)}: {', '.join(counts)}."]
        needed: dict[str, list[int]] = {}
        for n in chosen:
            needed.setdefault(_choices(rows[n]), []).append(n + 1)
        if len(needed) > 1:
            parts = [f"{_numbered(which)} under {said}" for said, which in needed.items()]
            sentences.append(f"No one convention serves all of them: {'; '.join(parts)}.")
        odd = [n + 1 for n, match in chosen.items() if "steps" in match.note or "step" in match.note]
        if odd:
            sentences.append(f"In {_numbered(odd)} the count of steps is another than the one that is claimed.")
        shared: dict[str, list[int]] = {}
        for n, match in slipped.items():
            shared.setdefault(match.said, []).append(n + 1)
        for said, which in shared.items():
            if len(which) > 1:
                sentences.append(f"One slip explains {_numbered(which)}: {said}.")
        if self.tried:
            sentences.append(f"{self.tried} slips were tried.")
        return " ".join(sentences)


_SAID = (
    (HOLDS, "holds to all its digits", "hold to all their digits"),
    (REFUTED, "refuted", "refuted"),
    (UNDECIDED, "undecided", "undecided"),
)
_CUT = "digits cut off and not rounded"
_FLOATS = "the last digits as float64 rounds them"


def _numbered(which: Sequence[int]) -> str:
    """1, 2, 3, 5 => claims 1-3, 5."""
    runs: list[list[int]] = []
    for n in which:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    said = [str(run[0]) if len(run) == 1 else f"{run[0]}{'-' if len(run) > 2 else ', '}{run[-1]}" for run in runs]
    return f"claim{'s' * (len(which) > 1)} {', '.join(said)}"


def _together(found: Mapping[int, Sequence[_Match]]) -> dict[int, _Match]:
    """One match for each claim, so that as few different ones as possible serve as many claims as possible."""
    left = {n: list(matches) for n, matches in found.items() if matches}
    result: dict[int, _Match] = {}
    while left:
        served: dict[tuple[str, ...], list[int]] = {}
        for n, matches in left.items():
            for said in dict.fromkeys(match.reading.said for match in matches):
                served.setdefault(said, []).append(n)
        best = max(served, key=lambda said: (len(served[said]), -len(said)))
        for n in served[best]:
            result[n] = min((m for m in left.pop(n) if m.reading.said == best), key=lambda match: match.cost)
    return dict(sorted(result.items()))


def _fits(printed: Sequence[Printed], values: Sequence[Any]) -> str | None:
    """What is odd about the digits, "" for nothing; None where one of the numbers is another."""
    odd: list[str] = []
    for number, value in zip(printed, values, strict=False):
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return None
        exact = Fraction(value) if isinstance(value, float) else value
        try:
            if number.rounds(exact):
                continue
            if number.floats(exact):
                odd.append(_FLOATS)
            elif number.cuts(exact):
                odd.append(_CUT)
            else:
                return None
        except FcsymError:  # a ball across the edge
            return None
    return None if len(printed) != len(values) else ", ".join(dict.fromkeys(odd))


def _near_the_edge(printed: Sequence[Printed], values: Sequence[Any]) -> bool:
    """Whether a value of float64 is so near to where the printed digit changes that its rounding may matter."""
    for number, value in zip(printed, values, strict=False):
        if isinstance(value, float) and isfinite(value):
            exact = Fraction(value)
            far = abs(exact - number.value)
            if min(abs(far - edge) for edge in (number.unit / 2, number.unit)) <= abs(exact) * Fraction(1, 10**11):
                return True
    return False


def _undecided(printed: Sequence[Printed], values: Sequence[Any]) -> bool:
    """Whether the values are not known well enough to say whether they round to what is printed."""
    for number, value in zip(printed, values, strict=False):
        if isinstance(value, float) and isfinite(value):
            exact = Fraction(value)
            edge = abs(abs(exact - number.value) - number.unit / 2)
            if edge <= abs(exact) * Fraction(1, 10**11):
                return True
        if isinstance(value, Ball):
            try:
                number.rounds(value)
            except FcsymError:
                return True
    return False


def _shown(values: Sequence[Any], claim: Claim) -> str:
    digits = [max(number.digits + 4, 10) for number in claim.printed] or [12] * len(values)
    return " ".join(_decimal(value, n) for value, n in zip(values, digits, strict=False))


def _decimal(value: Any, digits: int) -> str:
    if value is None:
        return "undefined"
    if isinstance(value, Ball):
        return str(mpmath.nstr(value.middle, digits))
    if isinstance(value, Fraction):
        with mpmath.workdps(digits + 10):
            number = mpmath.mpf(value.numerator) / value.denominator
        whole = value.denominator == 1 and abs(value.numerator) < 10**digits
        return str(value.numerator) if whole else str(mpmath.nstr(number, digits))
    return str(mpmath.nstr(mpmath.mpf(value), digits))


# ---------------------------------------------------------------------------------------------------------- formulas


class _Formula:
    """A claimed equation: tried exactly with the example's numbers, and with others."""

    def __init__(self, example: Example, names: Quantities, claim: Claim) -> None:
        assert claim.formula is not None
        self.example, self.names, self.claim = example, names, claim
        self.left, self.right = claim.formula
        self.functions: dict[str, Activation] = {
            unit.activation.name: unit.activation for unit in example.network.activated
        }
        self.lengths: dict[str, int] = {}
        for side in claim.formula:
            self._measure(side)
        loose = next(
            (letter for side in claim.formula for letter in grammar.indices(side) if letter not in self.lengths), ""
        )
        if loose:
            raise ArgumentError(f"{shown(claim.text, 60)!r}: the index {loose} stands at no quantity: it has no range.")

    def row(self) -> Row:
        """Both sides at the example's numbers and at some more: equal everywhere, or a place where they are not."""
        points = [self.example.values, *(_other(self.example, seed) for seed in range(_POINTS))]
        tried = 0
        convention = f"{self.example.order} order"
        for n, values in enumerate(points):
            shot = exact_step(one_step(self.example.network, self.example.order).equations, values)
            for at in self._positions():
                a, b = (self._value(side, at, shot) for side in (self.left, self.right))
                if a is None or b is None:
                    continue
                tried += 1
                if _apart(a, b):
                    where = "with the example's numbers" if n == 0 else f"with other numbers ({_listed(values)})"
                    place = "".join(f", {letter} = {k + 1}" for letter, k in at.items())
                    told = f"{where}{place}: {_decimal(a, 12)} on the left, {_decimal(b, 12)} on the right."
                    return Row(self.claim.text, "", REFUTED, convention, _decimal(a, 12), told[0].upper() + told[1:])
        record = one_step(self.example.network, self.example.order)
        if tried and is_proved(record, self.left, self.right, self.names.arrays):
            said = f"Proved in index notation, at every width; both sides agree at {tried} points."
        else:
            said = f"Both sides agree at {tried} points, in fractions or in balls; this is evidence and no proof."
        return Row(self.claim.text, "", HOLDS if tried else UNDECIDED, convention, "", said)

    def _measure(self, side: grammar.Formula) -> None:
        for name in grammar.names(side):
            letters = [index for index in name.indices if isinstance(index, str)]
            reader = self._read(name.text, [index - 1 if isinstance(index, int) else 0 for index in name.indices])
            for n, index in enumerate(name.indices):
                if isinstance(index, str):
                    length = self.names.axis(reader, n)
                    if self.lengths.setdefault(index, length) != length:
                        raise ArgumentError(
                            f"{shown(self.claim.text, 60)!r}: the index {index} runs over {self.lengths[index]} and "
                            f"over {length}: give it one letter for each."
                        )
            if not letters and reader is None:
                raise AssertionError(name)

    def _read(self, text: str, place: Sequence[int]) -> Reader:
        if text == "eta":
            return Reader("eta", ())
        return self.names.element(text, place, repr(self.claim.text[:60]))

    def _positions(self) -> list[dict[str, int]]:
        free = sorted(grammar.letters(self.left) | grammar.letters(self.right))
        every: list[dict[str, int]] = [{}]
        for letter in free:
            every = [{**one, letter: n} for one in every for n in range(self.lengths[letter])]
        return every

    def _value(self, side: grammar.Formula, at: Mapping[str, int], shot: Snapshot) -> Any:
        def element(text: str, place: tuple[int, ...]) -> Any:
            found = self._read(text, place)(shot)
            if len(found) != 1:
                raise ArgumentError(
                    f"{shown(self.claim.text, 60)!r}: {text} has {len(found)} numbers: give it its indices."
                )
            return found[0]

        return grammar.value(side, at, self.lengths, element, self._call)

    def _call(self, name: str, slope: int, value: Any) -> Any:
        phi = self.functions[name] if name in self.functions else activation(name)
        if phi.is_smooth:
            try:
                return smooth_at(as_formula(phi, slope), value)
            except NoRealValue:
                return None
        return phi.slope_at(value) if slope else phi.value_at(value)


def _apart(a: Any, b: Any) -> bool:
    """Whether two numbers are certainly different."""
    difference = a - b
    return not difference.holds_zero if isinstance(difference, Ball) else difference != 0


def _other(example: Example, seed: int) -> Any:
    """Other numbers in the same places: small fractions."""
    chance = random.Random(seed)

    def drawn(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(drawn(part) for part in value)
        return Fraction(chance.randint(-24, 24) or 1, 12)

    values = example.values
    weights = tuple(drawn(value) for value in values.weights)
    target = values.target if example.network.loss != "squared" else drawn(values.target)
    return replace(values, weights=weights, x=drawn(values.x), target=target, eta=Fraction(chance.randint(1, 9), 10))


def _listed(values: Any) -> str:
    names: Sequence[Any] = values.network.parameters
    parts = [f"{a.name} = {_nested(v)}" for a, v in zip(names, values.weights, strict=True)]
    return ", ".join([f"x = {_nested(values.x)}", *parts])[:300]


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, tuple) else str(value)
