"""What can be typeset: lists of equations with a title and assumptions, as a file, as text and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcsym.errors import ArgumentError
from fcsym.language.equation import Detail, Equation, Notation
from fcsym.language.expression import Array

if TYPE_CHECKING:
    from fcsym.certificates import Certificate
    from fcsym.deriving.numbers import Numbers
    from fcsym.deriving.readable import Readable
    from fcsym.drawing.picture import Picture

__all__ = ["Document", "TypesetEquation", "typeset"]


class TypesetEquation(Equation):
    """An equation as people are given it: the record, which can typeset itself."""

    __slots__ = ()

    def latex(self) -> str:
        """The equation as LaTeX without number and surroundings, for a display: \\[ \\input{p} \\].

        It needs amsmath. Equations with their displays are `Derivation.latex_fragment`.
        """
        from fcsym.render.formula import equation

        return equation(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


def typeset(equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """The same equations, each able to typeset itself; one that is stays the same object."""
    return tuple(
        e if isinstance(e, TypesetEquation) else TypesetEquation(*(getattr(e, field.name) for field in fields(e)))
        for e in equations
    )


class Document(ABC):
    """A derivation, or the four of a scheme; both are read by `fcsym.render`, and neither knows a format."""

    @property
    @abstractmethod
    def lists(self) -> tuple[Readable, ...]:
        """The lists of equations that are shown, in order; all of one network."""

    @property
    @abstractmethod
    def heading(self) -> str:
        """The title of a document."""

    @property
    @abstractmethod
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, in sentences."""

    @abstractmethod
    def kernel_source(self) -> str:
        """The source of the NumPy kernel; raises CompileError where there is none."""

    @property
    def summary(self) -> str:
        """What it is about, where the title does not say it."""
        return ""

    @property
    def carried(self) -> tuple[tuple[Array, str, Equation | None], ...]:
        """Of a scheme: every array of the state, what it stands for in a sentence, and the invariant that says more."""
        return ()

    @property
    def invariants(self) -> tuple[Equation, ...]:
        """Of a scheme: what the state stands for, at every step."""
        return ()

    @property
    def uncertified(self) -> str:
        """Why a certificate states what it is about and proves none of it; "" where it proves what it can."""
        return ""

    @property
    def induction(self) -> object:
        """The scheme that a certificate is about, where that is another list than the one shown; None where not."""
        return None

    @property
    def numbers(self) -> Numbers | None:
        """The numbers that stand beside the equations, if any do."""
        return None

    def case_maps(self) -> tuple[Picture, ...]:
        """The pictures that a document shows beside the equations."""
        return ()

    def latex(self, *, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None) -> str:
        """A stand-alone LaTeX document: the equations with their reasons, the case tables, the verdicts.

        `notation`: "indexed", or "paper" with a name for every number (w_1 .. w_6), for networks of at most 24 weights.
        `detail`: "full", or "summary" with the equations and their verdicts only.
        `only`: the name of one quantity, to show it and the equations that lead to it; of a scheme, also the name of
        one of its functions.
        Raises ArgumentError for an option that does not exist, SizeError for flat names of a larger network.
        """
        from fcsym.render.latex import document

        return document(self, notation=notation, detail=detail, only=only)

    def latex_fragment(self, *, notation: Notation = "indexed", only: str | None = None) -> str:
        """The equations as LaTeX to \\input into a document of one's own, which needs amsmath and nothing else.

        Each is an `equation` with a label, `fcsym:p`, and the number that the document gives it; of a scheme, function
        by function, `fcsym:step:W2_new`. Options and errors as for `latex`.
        """
        from fcsym.render.latex import listing

        return listing(self, notation=notation, only=only)

    def html(self, *, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None) -> str:
        """One self-contained HTML page: formulas in MathML, steps that unfold, no script. Options as for `latex`.

        Raises MissingTool without latex2mathml, and what `latex` raises.
        """
        from fcsym.render.html import document

        return document(self, notation=notation, detail=detail, only=only)

    def save(
        self, path: str | Path, *, notation: Notation = "indexed", detail: Detail = "full", only: str | None = None,
        fragment: bool = False,
    ) -> Path:  # fmt: skip
        """Write it to a file that ends in .tex, .html, .pdf or .v, and return the path. Options as for `latex`.

        With `fragment`, a file that ends in .tex has what `latex_fragment` gives. A .v is the certificate, for Coq to
        check; it has everything, and none of the options.
        Raises ArgumentError for another ending and a place that cannot be written, MissingTool without latex2mathml
        (.html) or a LaTeX engine (.pdf), CompileError where the engine fails, and what `latex` raises.
        """
        from fcsym import certificates
        from fcsym.render.save import save

        if Path(path).suffix == certificates.ENDING:
            if fragment or only is not None or (notation, detail) != ("indexed", "full"):
                raise ArgumentError(
                    f"{path} is a certificate, which has everything: leave the options of documents out."
                )
            return certificates.save(self, path)
        return save(self, path, notation=notation, detail=detail, only=only, fragment=fragment)

    def certificate(self) -> Certificate:
        """The Coq file that `save` writes as .v, with the number of its statements and of those that are certified.

        Raises ArgumentError for what has no certificate.
        """
        from fcsym.certificates import certificate_of

        return certificate_of(self)

    def _repr_latex_(self) -> str:
        from fcsym.render.latex import fragment

        return fragment(self)

    def _repr_html_(self) -> str | None:
        from fcsym.errors import MissingTool
        from fcsym.render.html import fragment

        try:
            return fragment(self)
        except MissingTool:
            return None  # a notebook shows LaTeX then

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = {"text/html": self._repr_html_(), "text/latex": self._repr_latex_(), "text/plain": str(self)}
        return {kind: made for kind, made in shown.items() if made is not None}
