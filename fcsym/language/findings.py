"""What a proof says: one finding per equation and per case, and who decided it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from fcsym.language.equation import OPEN, Condition, Verdict
from fcsym.language.expression import Ref

__all__ = ["Counterexample", "Finding", "Proof", "presupposed", "under"]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """Exact numbers at which two sides differ; anyone can check them by hand."""

    point: Mapping[str, Fraction]  # every number that enters
    quantity: str
    derived: Fraction | None  # what the equation gives; None where it gives nothing
    true: Fraction | None  # what it should give

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {value}" for name, value in self.point.items())
        return f"{self.quantity} is {_value(self.derived)} and should be {_value(self.true)} at {where}"


def under(finding: Finding, where: tuple[Condition, ...]) -> Finding:
    """The finding with what it presupposes, which its note says, too."""
    if not where or finding.verdict in (Verdict.REFUTED, Verdict.UNDECIDED):
        return finding
    note = "; ".join(part for part in (finding.note, presupposed(where)) if part)
    return replace(finding, where=where, note=note)


def presupposed(where: Sequence[Condition]) -> str:
    """Conditions in words: "where `a0` is not 0"; "" where there is none."""
    subjects = (condition.subject for condition in where)
    parts = [f"`{s.array.name}`" if isinstance(s, Ref) else f"`{s!r}`" for s in subjects]
    if not parts:
        return ""
    if len(parts) == 1:
        return f"where {parts[0]} is not 0"
    return f"where {', '.join(parts[:-1])} and {parts[-1]} are not 0"


def _value(value: Fraction | None) -> str:
    return "undefined" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one equation, or on one of its cases."""

    equation: str
    case: str | None
    verdict: Verdict
    index: str = ""  # what index notation said, at the network's own widths
    expanded: str = ""  # what the full expansion of the reduced instance said
    note: str = ""
    possible: bool = True  # False: proved that the case cannot occur
    counterexample: Counterexample | None = None
    where: tuple[Condition, ...] = ()  # what the verdict presupposes: that no denominator is 0

    @property
    def name(self) -> str:
        """ "dv1 [active -> dead]"."""
        return self.equation if self.case is None else f"{self.equation} [{self.case}]"


@dataclass(frozen=True)
class Proof:
    """Every finding, in the order of the derivation."""

    findings: tuple[Finding, ...]
    instance: str  # the reduced instance on which the expansion was done
    method: str  # how it was done there

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, str | None], Finding]:
        return {(finding.equation, finding.case): finding for finding in self.findings}

    def verdict(self, equation: str) -> Finding:
        """The finding on an equation as a whole."""
        return self._by_key[equation, None]

    def case(self, equation: str, case: str) -> Finding:
        """The finding on one case."""
        return self._by_key[equation, case]

    def count(self, *verdicts: Verdict) -> int:
        """How many findings have one of these verdicts."""
        return sum(finding.verdict in verdicts for finding in self.findings)

    @property
    def holds(self) -> bool:
        """Nothing is refuted and nothing is left open: what was only sampled is not proved."""
        return not self.count(Verdict.REFUTED, *OPEN)

    @property
    def refuted(self) -> tuple[Finding, ...]:
        """What is wrong, each with its counterexample."""
        return tuple(finding for finding in self.findings if finding.verdict is Verdict.REFUTED)

    def __repr__(self) -> str:
        """How many findings have which verdict; `findings` has them one by one."""
        counts = Counter(finding.verdict for finding in self.findings)
        said = ", ".join(f"{verdict.value.lower()} {counts[verdict]}" for verdict in Verdict if counts[verdict])
        return f"<Proof: {said or 'no findings'}; {'holds' if self.holds else 'does not hold'}>"
