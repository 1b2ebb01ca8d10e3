"""An equation with its numbers: at every element the formula, the numbers put in, and the value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING

from fcsym.errors import UnsupportedExpression
from fcsym.language.equation import Cases, Condition, Equation
from fcsym.language.expression import Array, Expr, Ref, Written
from fcsym.language.names import latex_array
from fcsym.networks.symbols import front_of
from fcsym.render.flat import element_of
from fcsym.render.flat_names import flat_name, letters
from fcsym.render.parts import Worked

if TYPE_CHECKING:
    from fcsym.deriving.readable import Readable

__all__ = ["worked"]


def worked(d: Readable, equation: Equation, flat: bool = False) -> Iterator[Worked]:
    """The equation at every element: its formula, the numbers put in, and its value; nothing without numbers."""
    numbers = d.numbers
    if numbers is None:
        return
    name = flat_name(d) if flat else _element_name

    def digits(array: Array, position: tuple[int, ...]) -> Written:
        return _digits(numbers.text[array.name, position])

    assert isinstance(equation.lhs, Ref)
    lhs, own = equation.lhs, equation.array.name if equation.defines else front_of(equation.array.unprimed).name
    for position in product(*(range(numbers.sizes[index.axis]) for index in lhs.indices)):
        text, case = numbers.text[own, position], numbers.holds.get((own, position), "")
        value, holds = _digits(text), None
        if isinstance(equation.rhs, Cases):
            holds = next((branch for branch in equation.rhs if branch.name == case), None)
            side = None if holds is None else holds.value
        else:
            side = equation.rhs
        left = name(lhs.array, position)
        links: list[Expr] = []
        if side is not None:
            with suppress(UnsupportedExpression):  # the inverse of a matrix is not written out
                links = [element_of(side, lhs, position, numbers.sizes, each) for each in (name, digits)]
        if not text:  # the formula stands, and what it rests on has no value
            links = links[:1]
        when = tuple(
            Condition(element_of(c.subject, lhs, position, numbers.sizes, digits), c.relation, c.bound)
            for c in (holds.when if holds is not None else ())
        )
        chain = {repr(link): link for link in (*links, value)}  # what is a number already is not said twice
        yield Worked((left, *chain.values()), case, when)


def _element_name(array: Array, position: tuple[int, ...]) -> Written:
    """W^{(1)}_{12}, in plain text W1[1,2]."""
    latex = latex_array(array, [str(n + 1) for n in position])
    return Written(latex, letters(latex), array.name + (f"[{','.join(str(n + 1) for n in position)}]" * bool(position)))


def _digits(text: str) -> Written:
    """A number as it is printed; what has no value is said to have none."""
    if not text:
        return Written(r"\text{undefined}", 8, "undefined")
    figures, _, exponent = text.partition("e")
    latex = rf"{figures} \cdot 10^{{{int(exponent)}}}" if exponent else figures
    return Written(latex, 0.8 * len(text) + bool(exponent), text, not exponent)
