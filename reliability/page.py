"""The results as text, as JSON, and as the page `docs/reliability.md`, of which each chapter is a block of its own."""

from __future__ import annotations

import datetime
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

from fcsym.files import write_text
from reliability.frame import Table

HEAD = """# Reliability

How fcsym was tried to be broken, and what came out. This page is written by `make reliability`, or a chapter at a time
by `python -m reliability NAME --into docs/reliability.md`, and never by hand. Every heading says how much was tried,
and every table when and on what.
"""
MOST_SHOWN = 10  # failures of a chapter that are written out


@dataclass
class Result:
    """One chapter, run."""

    name: str
    module: ModuleType
    table: Table
    form: str  # "short", "long", or "one trial"
    wanted: int
    seed: int
    seconds: float
    interrupted: bool = False

    def command(self, number: int) -> str:
        """What repeats a trial."""
        return f"python -m reliability {self.name} --seed {self.seed} --only {number}"

    @property
    def said(self) -> tuple[str, str]:
        """The heading, and the text below it."""
        first, _, text = (self.module.__doc__ or self.name).strip().partition("\n")
        return first.rstrip("."), text.strip()

    @property
    def extent(self) -> str:
        """How much was tried."""
        whole = f"{self.form} form, {self.table.tried:,} trials"
        if not self.interrupted:
            return whole
        # a chapter that goes on where the last run ended has more than one run was to try
        return f"{whole} of {self.wanted:,}, interrupted" if self.table.tried < self.wanted else f"{whole}, interrupted"

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        failures = [
            {"number": f.number, "said": f.said, "command": self.command(f.number)} for f in self.table.failures
        ]
        return {
            "name": self.name, "form": self.form, "seed": self.seed, "wanted": self.wanted, "tried": self.table.tried,
            "seconds": round(self.seconds, 1), "interrupted": self.interrupted, "failures": failures,
            "rows": {name: {key: _number(v) for key, v in row.items()} for name, row in self.table.rows.items()},
            "notes": self.table.notes,
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """The block in Markdown."""
        heading, text = self.said
        count = len(self.table.failures)
        yield f"## {heading}: {self.extent}, {count or 'no'} failure{'' if count == 1 else 's'}"
        yield ""
        if text:
            yield from (*text.splitlines(), "")
        yield f"{machine()}; {_time(self.seconds)}, seed {self.seed}."
        yield ""
        if self.table.rows:
            columns = self.table.columns
            yield f"| {self.table.about} | {' | '.join(columns)} |"
            yield f"|---|{'---:|' * len(columns)}"
            for name, row in self.table.rows.items():
                yield f"| {_cell(name)} | {' | '.join(_cell(_shown(row.get(heading, ''))) for heading in columns)} |"
            yield ""
        for note in self.table.notes:
            yield f"- {note}"
        if self.table.notes:
            yield ""
        for failure in self.table.failures[:MOST_SHOWN]:
            yield f"- FAILED: {_cell(failure.said)} Again: `{self.command(failure.number)}`"
        if count > MOST_SHOWN:
            yield f"- and {count - MOST_SHOWN} more."
        if count:
            yield ""


def machine() -> str:
    """When and on what: the month, the processor, and the versions that figures depend on."""
    processor = platform.machine()
    if Path("/proc/cpuinfo").is_file():
        named = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        processor = f"{named[1]} ({processor})" if named else processor
    found = [f"{name} {known}" for name in ("numpy", "autograd", "torch") if (known := _version(name))]
    return f"{datetime.date.today():%B %Y}, {processor}, Python {platform.python_version()}, {', '.join(found)}"


def _version(name: str) -> str:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return ""


def _number(value: Any) -> Any:
    """Infinity and not-a-number are words: JSON has no such numbers."""
    return str(value) if isinstance(value, float) and not abs(value) < float("inf") else value


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return format(value, ".3g") if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def into(path: Path, results: list[Result]) -> None:
    """Put each chapter's block in the place of the one it had; others stay. A page is made where there is none."""
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    blocks = dict(re.findall(r"<!-- chapter: (\w+) -->\n(.*?)<!-- end -->\n", text, re.DOTALL))
    blocks |= {result.name: "\n".join(result.lines()) + "\n" for result in results}
    body = "".join(f"\n<!-- chapter: {name} -->\n{blocks[name]}<!-- end -->\n" for name in sorted(blocks))
    write_text(path, HEAD + body)
