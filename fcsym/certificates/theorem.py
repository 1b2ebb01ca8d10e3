"""A theorem of a file: what it says, how it is proved, and which finding of the derivation it certifies."""

from __future__ import annotations

from dataclasses import dataclass

from fcsym.certificates.printer import remark

__all__ = ["Theorem"]


@dataclass(frozen=True, slots=True)
class Theorem:
    """Or a definition, where there is nothing to prove."""

    name: str
    statement: str  # of a definition, all of it
    script: str  # "" for a definition
    of: tuple[str, str | None] | None = None  # the equation, and the case; None for a step on the way
    said: str = ""  # a comment
    admitted: str = ""  # why it is not proved

    @property
    def text(self) -> str:
        """As it stands in the file."""
        above = f"(* {remark(self.said)} *)\n" if self.said else ""
        if not self.script and not self.admitted:
            return above + self.statement
        stated = f"{above}Theorem {self.name} : {self.statement}."
        if self.admitted:
            return f"{stated}\nAdmitted. (* not certified: {remark(self.admitted)} *)"
        return f"{stated}\nProof. {self.script} Qed."
