"""What the words mean by which fcsym says that something is so, and on whom that rests: one table for every reading."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD", "TITLE", "Ground", "grounds", "markdown"]


@dataclass(frozen=True, slots=True)
class Ground:
    """One word, what it is said of, and who has seen to it. Plain text."""

    word: str
    of: str
    by: str


TITLE = "What is certain, and on whom it rests"
HEAD = ("word", "said of", "rests on")


def grounds(kinks: bool = True) -> tuple[Ground, ...]:
    """The table; `kinks`: whether what it stands beside has an activation with kinks."""
    return (
        Ground(
            "theorem",
            "what a certificate states and Coq has accepted, over the reals and at every width: equations and cases, "
            "that the cases cover everything and exclude each other, that what is passed back is the derivative"
            + (" off the kinks" if kinks else ""),
            "Coq's kernel and the axioms of its reals (fcsym certify; with --independent, coqchk as well)",
        ),
        Ground(
            "proved",
            "what two programs decided without Coq: equations in index notation, at any width, and the same as exact "
            "polynomials on an instance with small widths; that cases cover everything, exclude each other or cannot "
            "occur, by z3; PROVED, and REFUTED with a counterexample",
            "the two deciders, which share the list and nothing else, and z3 (fcsym derive)",
        ),
        Ground(
            "tested",
            "that kernels and exported files compute what the equations say, up to a bound on rounding; what is "
            "SAMPLED was true wherever it was tried, and is not proved",
            "automatic differentiation by other packages, and exact rationals (fcsym check; before every export)",
        ),
        Ground(
            "trusted",
            "that the forward equations are the network that is meant; "
            + ("the slope at a kink, which is a definition; " if kinks else "")
            + "reasons and citations, which are prose",
            "the reader; and Python, SymPy, FLINT, NumPy and the compiler, that they do what they say",
        ),
    )


def markdown() -> str:
    """The table for pages in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *((g.word, g.of, g.by) for g in grounds())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
