"""The gallery: folders with a spec of at most 40 lines, and beside it everything that is generated from it.

    <case>/spec.toml      title, about, order, scheme, [network]; read by `read`
    <case>/generated/     one file per writer in WRITERS
    README.md             the table of cases

`python -m fcsym.gallery [FOLDER]` rebuilds a gallery, in derivations unless told otherwise; the same bytes every time.
With --certify, Coq checks the certificate of every case, and nothing is written.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, cast

from fcsym.closed.costs import cost
from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError, NetworkError, shown
from fcsym.files import write_files
from fcsym.kernel.export import TARGETS
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import Row, frozen_rows
from fcsym.language.equation import COUNTED, OPEN, Equation, Order, Verdict
from fcsym.language.tables import toml_table
from fcsym.networks.network import Network
from fcsym.render import html, latex
from fcsym.render.content import content
from fcsym.render.parts import Content, Step
from fcsym.training import Scheme, next_input, scheme

__all__ = ["GENERATED", "MEND", "WRITERS", "Case", "Spec", "build", "certified", "flaws", "read", "write"]

SPEC, GENERATED, INDEX = "spec.toml", "generated", "README.md"
MEND = "run `make gallery` to mend this"
_MOST_LINES = 40
_KEYS = ("title", "about", "order", "scheme", "only", "statement", "network")
_ELSEWHERE = ("paper", "examples")  # the audit of the paper, rebuilt by `python -m fcsym.paper`; worked examples


@dataclass(frozen=True, slots=True)
class Spec:
    """What a case is; everything else follows."""

    name: str  # of its folder
    title: str
    about: str  # one sentence
    network: Network
    order: Order
    scheme: str  # the way to carry training state that is counted
    only: str | None = None  # the one quantity that is shown, with what leads to it
    statement: str | None = None  # "next input": that list of equations, instead of the whole step


@dataclass(frozen=True)
class Case:
    """A spec with what is derived from it."""

    spec: Spec

    @cached_property
    def derivation(self) -> Derivation:
        """The list of equations that is shown."""
        if self.spec.statement is None:
            return derive(self.spec.network, self.spec.order)
        return next_input(self.spec.network, self.spec.order).parts[-1]

    @cached_property
    def carried(self) -> Scheme:
        """The scheme whose state and operations are counted."""
        return scheme(self.spec.network, self.spec.scheme, self.spec.order)

    @cached_property
    def page(self) -> Content:
        """What the documents show."""
        return content(self.derivation, only=self.spec.only)

    def exported(self, target: str) -> Mapping[str, str]:
        """The scheme's files for a target, by name."""
        if target not in self._exported:
            self._exported[target] = TARGETS[target].files(lower_scheme(self.carried), "update", self.rows)
        return self._exported[target]

    @cached_property
    def rows(self) -> list[Row]:
        """What the files of every target test themselves with."""
        return frozen_rows(self.carried)

    @cached_property
    def _exported(self) -> dict[str, Mapping[str, str]]:
        return {}

    def count(self, verdict: Verdict) -> int:
        """How many of the equations and cases that are shown have that verdict."""
        return dict(self.page.counts).get(verdict, 0)


# ------------------------------------------------------------------------------------------------------ reading


def read(path: str | os.PathLike[str]) -> Spec:
    """A spec file => the spec. Raises ArgumentError or NetworkError, in one sentence, where it is not as it should."""
    where = Path(path)
    try:
        lines = where.read_bytes()
        data = toml_table(lines)
    except (OSError, UnicodeDecodeError) as problem:
        raise ArgumentError(f"{where} cannot be read ({problem}): give a spec in TOML.") from None
    except ValueError as problem:
        raise ArgumentError(f"{where} is not valid TOML: {problem}; mend it there.") from None
    if len(lines.splitlines()) > _MOST_LINES:
        raise ArgumentError(f"{where} has more than {_MOST_LINES} lines: a spec says what is derived, and no more.")
    for key in data:
        if key not in _KEYS:
            raise ArgumentError(f"{where} has an unknown key {shown(key)!r}: the keys are {', '.join(_KEYS)}.")
    for key in ("title", "about", "order", "scheme", "network"):
        if key not in data:
            raise ArgumentError(f"{where} has no {key}: give one.")
    for key in _KEYS[:-1]:
        if not isinstance(data.get(key, ""), str):
            raise ArgumentError(f"{where}: {key} is {shown(data[key])!r}; give a text.")
    if data.get("statement", "next input") != "next input":
        raise ArgumentError(f"{where}: the statement {shown(data['statement'])!r} is not known: write next input.")
    try:
        network = Network.from_table(data["network"])
    except NetworkError as problem:
        raise NetworkError(f"{where}: {problem}") from None
    return Spec(
        where.parent.name, data["title"], data["about"], network, cast("Order", data["order"]), data["scheme"],
        data.get("only"), data.get("statement"),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ writing


def _tex(case: Case) -> str:
    return latex.document(case.derivation, only=case.spec.only)


def _page(case: Case) -> str:
    return html.document(case.derivation, only=case.spec.only)


def _report(case: Case) -> str:
    page, spent = case.page, cost(case.carried)
    proof = case.carried.proof
    data = {
        "title": case.spec.title, "about": case.spec.about,
        "network": str(case.spec.network), "order": case.spec.order,
        "assumptions": list(page.assumptions), "equations": [_equation(step) for step in page.steps],
        **{verdict.value.lower(): case.count(verdict) for verdict in COUNTED},
        "deciders": {"index notation": str(case.spec.network), "instance": page.instance, "method": page.method},
        "scheme": {
            "name": case.spec.scheme, "state": str(spent.state), "operations": str(spent.operations),
            "state_value": spent.at(spent.state), "operations_value": spent.at(spent.operations),
            **{verdict.value.lower(): proof.count(verdict) for verdict in COUNTED},
        },
    }  # fmt: skip
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _equation(step: Step) -> dict[str, Any]:
    equation: Equation = step.equation
    return {
        "number": step.number, "name": equation.name, "equation": str(equation),
        "rule": equation.rule.value, "because": equation.because, "uses": list(step.uses), "cite": equation.cite,
        "verdict": (step.verdict or Verdict.UNDECIDED).value, "note": step.note,
        "cases": [
            {
                "name": row.branch.name, "when": [str(c) for c in row.branch.when],
                "value": None if row.branch.value is None else repr(row.branch.value),
                "verdict": row.verdict.value, "possible": row.possible, "note": row.note,
            }
            for rows in step.rows for row in rows
        ],
    }  # fmt: skip


WRITERS: Mapping[str, Callable[[Case], str]] = {
    "derivation.tex": _tex,
    "derivation.html": _page,
    "report.json": _report,
    "update.py": lambda case: case.exported("numpy")["update.py"],
    "update.c": lambda case: case.exported("c")["update.c"],
    "update.h": lambda case: case.exported("c")["update.h"],
}
"""File name => what is in it. A further file of every case is a further line here."""


def build(folder: str | os.PathLike[str], progress: Callable[[str], None] = lambda _: None) -> dict[str, str]:
    """A gallery => its generated files: their paths in the folder, and their texts.

    Raises ArgumentError where there is no case, and what `read`, `derive` and `scheme` raise.
    """
    made: dict[str, str] = {}
    cases = []
    for spec in _specs(Path(folder)):
        case = Case(read(spec))
        progress(case.spec.name)
        cases.append(case)
        try:
            for name, writer in WRITERS.items():
                made[f"{case.spec.name}/{GENERATED}/{name}"] = writer(case)
        except ArgumentError as problem:
            raise ArgumentError(f"{spec}: {problem}") from None
    made[INDEX] = _index(cases, (Path(folder) / "paper").is_dir())
    return made


_BEGINNING = (
    "# Derivations",
    "",
    "Each folder has a spec and what follows from it: a page, the same in LaTeX, a report for programs, and the scheme",
    "as code in NumPy and C.",
)


def _specs(folder: Path) -> list[Path]:
    found = sorted(folder.glob(f"*/{SPEC}"))
    if not found:
        raise ArgumentError(f"{folder} has no case: make a folder in it with a file {SPEC}.")
    return found


def _index(cases: list[Case], tested: bool) -> str:
    """The table of cases. `tested`: this is the folder of the project, with its tests and the audit of the paper."""
    kept = [
        "All of it, this page too, is rebuilt by `make gallery`; a file that is not what its spec gives fails a test.",
        "`paper/` has the audit of every printed equation of the paper.",
    ]
    lines = [
        *_BEGINNING,
        *(kept if tested else ["All of it, this page too, is rebuilt by `python -m fcsym.gallery FOLDER`."]),
        "",
        "| case | | equations | proved | refuted | chosen | scheme | operations per step |",
        "|---|---|---:|---:|---:|---:|---|---:|",
    ]
    for case in cases:
        spec, spent = case.spec, cost(case.carried)
        cells = [
            f"[{spec.name}]({spec.name}/{GENERATED}/derivation.html)",
            _cell(spec.title),
            len(list(case.page.steps)),
            *map(case.count, (Verdict.PROVED, Verdict.REFUTED, Verdict.CHOSEN)),
            spec.scheme,
            spent.at(spent.operations),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    left = ". ".join(f"{v.value.capitalize()}: {sum(case.count(v) for case in cases)}" for v in OPEN)
    lines += [
        "",
        "Proved, refuted and chosen are equations and their cases. Operations are those of one training step by the",
        f"named scheme, at the network's widths and for one input. {left}.",
        "",
    ]
    for case in cases:
        about = _cell(case.spec.about)
        lines += [f"**{case.spec.name}** ({case.derivation.network}, {case.spec.order}). {about}", ""]
    return "\n".join(lines[:-1]) + "\n"


_MARK = "# Derivations\n\nEach folder has a spec and what follows from it"


def _cell(text: str) -> str:
    """Plain text in Markdown, in a table too."""
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def flaws(folder: str | os.PathLike[str], made: Mapping[str, str]) -> list[str]:
    """What in the folder is not as `build` made it, or does not belong there: one sentence each."""
    where = Path(folder)
    found = []
    for name, expected in made.items():
        path = where / name
        if not path.is_file():
            found.append(f"{name} is missing: {MEND}.")
        elif path.read_bytes() != expected.encode("utf-8"):
            found.append(f"{name} is not what its spec gives: {MEND}.")
    belongs = {*made, *(f"{spec.parent.name}/{SPEC}" for spec in _specs(where))}
    for path in sorted(where.rglob("*")):
        name = path.relative_to(where).as_posix()
        if path.is_file() and name not in belongs and name.split("/")[0] not in _ELSEWHERE:
            found.append(f"{name} belongs to no case: remove it, or {MEND}.")
    return found


def write(folder: str | os.PathLike[str], made: Mapping[str, str]) -> None:
    """Bring a folder to what `build` made; what stands in the `generated` folder of a spec and was not made is removed.

    Raises ArgumentError for a place that cannot be written to, for links, and for a README.md of somebody else's;
    nothing is written then.
    """
    where = Path(folder)
    index, folders = where / INDEX, [spec.parent / GENERATED for spec in _specs(where)]
    if index.is_file() and not index.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise ArgumentError(f"{index} was not written by fcsym: move it, or choose another folder.")
    for generated in folders:
        if generated.is_symlink() or (generated.exists() and not generated.is_dir()):
            raise ArgumentError(f"{generated} is no folder of its own: remove it.")
        generated.mkdir(exist_ok=True)
    found = (path for generated in folders for path in generated.iterdir() if not path.name.startswith("."))
    gone = [path for path in found if path.is_file() and path.relative_to(where).as_posix() not in made]
    write_files({where / name: text_ for name, text_ in made.items()}, gone)


def certified(folder: str | os.PathLike[str], at_once: int = 2) -> bool:
    """Whether Coq accepts the certificate of every case; what it says is printed as it says it.

    `at_once`: so many files are checked side by side. Raises MissingTool where Coq is not installed.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    from fcsym.certificates import Accepted
    from fcsym.certificates.checking import checked, coq

    coq()
    began = time.monotonic()
    waiting: list[tuple[str, Future[Accepted]]] = []
    with ThreadPoolExecutor(at_once) as pool:
        for spec in _specs(Path(folder)):
            made = Case(read(spec)).derivation.certificate()
            waiting.append((spec.parent.name, pool.submit(checked, made)))
        found = [(name, future.result()) for name, future in waiting]
    for name, said in found:
        print(f"{name}: {said}")
    accepted = sum(map(bool, (said for _, said in found)))
    statements, certain = (sum(getattr(s, key) for _, s in found) for key in ("statements", "certified"))
    print(
        f"{accepted} of {len(found)} certificates accepted: {statements} statements, {certain} certified, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return accepted == len(found)


if __name__ == "__main__":
    import argparse

    from fcsym.errors import FcsymError

    parser = argparse.ArgumentParser(prog="python -m fcsym.gallery", description=__doc__)
    parser.add_argument("folder", nargs="?", default="derivations", help="with a folder and a spec.toml for each case")
    parser.add_argument("--certify", action="store_true", help="have Coq check the certificate of every case instead")
    given = parser.parse_args()
    try:
        if given.certify:
            parser.exit(0 if certified(given.folder) else 1)
        write(given.folder, build(given.folder))
    except FcsymError as problem_:
        parser.exit(2, f"fcsym.gallery: {problem_}\n")
