"""The sections of a document: runs of equations with related rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fcsym.language.equation import Equation, Rule

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable

__all__ = ["sections_of"]

_DEFINING = (Rule.DEFINITION, Rule.SPLIT)
_TITLES = {
    Rule.ADJOINT: "Backpropagation", Rule.GRADIENT: "Backpropagation", Rule.TRAINING: "Backpropagation",
    Rule.UPDATE: "Backpropagation", Rule.INCREMENT: "Front contribution",
    Rule.AFTER: "Front contribution", Rule.CASES: "Front contribution", Rule.CHOICE: "The compensation",
    Rule.INTEGRAL: "The integrated compensation", Rule.EXPANSION: "The weights",
}  # fmt: skip
_NETWORK = "The network"


def sections_of(d: Readable) -> Iterator[tuple[str, Sequence[Equation]]]:
    """Runs of equations with related rules; a definition goes with what it is made for, which comes next."""
    current: tuple[str, list[Equation]] | None = None
    waiting: list[Equation] = []
    for equation in d.equations:
        if equation.rule in _DEFINING:
            waiting.append(equation)
            continue
        title = _TITLES.get(equation.rule, equation.rule.value.capitalize())
        if _says_it_again(equation, d):
            title = _NETWORK if current is None else current[0]
        elif current is None and waiting:
            yield _NETWORK, waiting
            waiting = []
        elif current is not None and current[0] == _NETWORK:
            current[1].extend(waiting)
            waiting = []
        if current is None or current[0] != title:
            if current is not None:
                yield current
            current = (title, [])
        current[1].extend((*waiting, equation))
        waiting = []
    if current is None:
        yield _NETWORK, waiting
        return
    current[1].extend(waiting)
    yield current


def _says_it_again(equation: Equation, d: Readable) -> bool:
    """Whether an equation gives a known quantity in another way, and so belongs to what it stands with."""
    restored = equation.rule is Rule.STATE and equation.defines and equation.array in d.network.parameters
    return restored or equation.rule is Rule.IDENTITY
