"""Coq on a certificate: whether it accepts the file, and on which axioms what it accepts rests."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass

from fcsym.certificates.file import Certificate
from fcsym.errors import ArgumentError, MissingTool, shown
from fcsym.machine.programs import run, workspace

__all__ = ["AXIOMS", "Accepted", "checked", "coq"]

AXIOMS = frozenset(
    {
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
)
"""What Coq's own real numbers rest on."""

_NAME = "certificate"
_AXIOM = re.compile(r"^([A-Za-z_][\w.']*)\s*(?::|$)", re.MULTILINE)
_PLACE = re.compile(r'File "[^"]*", line (\d+), characters (\d+)-(\d+):\s*\n(?:Error:)?\s*(.*)')


@dataclass(frozen=True, slots=True)
class Accepted:
    """What Coq said of a certificate; true where it accepted it."""

    certificate: Certificate
    accepted: bool
    seconds: float
    said: str  # why it was not accepted; "" where it was
    axioms: tuple[str, ...]
    independent: bool  # whether coqchk has checked it, too

    @property
    def statements(self) -> int:
        """How many equations and cases the certificate is about."""
        return self.certificate.statements

    @property
    def certified(self) -> int:
        """How many of them it has a definition or a theorem for."""
        return self.certificate.certified

    @property
    def admitted(self) -> int:
        """How many theorems it leaves open."""
        return len(self.certificate.admitted)

    def __bool__(self) -> bool:
        return self.accepted

    def __str__(self) -> str:
        counted = f"{self.statements} statements, {self.certified} certified, {self.admitted} admitted"
        if not self.accepted:
            return f"{counted}: Coq did NOT accept the certificate ({self.said})."
        how = "Coq, and coqchk on its own," if self.independent else "Coq"
        return (
            f"{counted}: {how} accepted the certificate in {self.seconds:.1f} s; it rests on the axioms of the reals."
        )


def coq(program: str = "coqc") -> str:
    """The path of Coq's compiler, or of its independent checker; MissingTool where it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise MissingTool(
            f"A certificate is checked by {program}, which is not on the path: install Coq (apt-get install coq), or "
            "write the certificate with -o proof.v and check it elsewhere."
        )
    return path


def checked(certificate: Certificate, *, max_seconds: float = 300, independent: bool = False) -> Accepted:
    """Write it to a folder of its own and have it checked there. Errors as of `fcsym.certificates.certify`."""
    if isinstance(max_seconds, bool) or not isinstance(max_seconds, int | float) or not 0 < max_seconds < 1e6:
        raise ArgumentError(f"max_seconds is {shown(max_seconds)!r}: give a number of seconds above 0.")
    compiler, checker = coq(), coq("coqchk") if independent else ""
    began = time.monotonic()
    with workspace() as folder:
        (folder / f"{_NAME}.v").write_text(certificate.text, encoding="utf-8", newline="\n")
        ended = run([compiler, "-q", f"{_NAME}.v"], max_seconds, folder)
        axioms = _axioms(ended.out)
        strange = sorted(set(axioms) - AXIOMS)
        wrong = ""
        if ended.status is None:
            wrong = f"it did not finish within {max_seconds:g} s"
        elif ended.status:
            wrong = _where(ended.err, certificate.text)
        elif strange:
            wrong = f"it rests on {', '.join(strange)}"
        elif "Axioms:" not in ended.out and "Closed under the global context" not in ended.out:
            wrong = "it did not say what the theorems rest on"
        if not wrong and checker:
            left = max(1.0, max_seconds - (time.monotonic() - began))
            ended = run([checker, "-silent", _NAME], left, folder)
            if ended.status is None:
                wrong = (
                    f"coqchk did not finish within the {left:.0f} s that were left: it checks Coq's own library of the "
                    "reals as well, which takes it some 30 s whatever the certificate is"
                )
            elif ended.status:
                wrong = f"coqchk: {ended.err.strip()[:200]}"
    return Accepted(certificate, not wrong, time.monotonic() - began, wrong, axioms, independent and not wrong)


def _axioms(said: str) -> tuple[str, ...]:
    """The names after `Axioms:`, which stand at the beginning of a line."""
    _, found, rest = said.partition("Axioms:\n")
    return tuple(_AXIOM.findall(rest)) if found else ()


def _where(problem: str, text: str) -> str:
    """The theorem that an error is in, and the error."""
    place = _PLACE.search(problem)
    if place is None:
        return problem.strip()[:200] or "without a message"
    above = text.splitlines()[: int(place[1])]
    names = (re.match(r"(?:Theorem|Lemma|Definition) ([\w']+)", line) for line in reversed(above))
    name = next((found[1] for found in names if found), "the head")
    return f"{name}: {place[4].strip()[:160] or 'not proved'}"
