"""From a network to the list of equations of one training step.

Network -> forward equations -> adjoint -> update(order) -> contribution  =  the record of a derivation
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import get_args

from fcsym.deriving.citation import cited
from fcsym.deriving.contribution import compensation, integrated
from fcsym.deriving.forward import forward, refuse_greatest
from fcsym.deriving.increments import increments
from fcsym.deriving.record import Record
from fcsym.deriving.update import step
from fcsym.errors import ArgumentError, UnsupportedExpression, shown
from fcsym.language.algebra import expand, rename, tidy, tidy_bound
from fcsym.language.equation import Branch, Cases, Condition, Equation, Order
from fcsym.language.expression import Expr, Ref
from fcsym.networks.network import Network

__all__ = ["finish", "one_step"]


def one_step(
    network: Network, order: Order = "simultaneous", slope_at_kink: object = None, rule: object = None,
    batch: object = None, samples: object = None,
) -> Record:  # fmt: skip
    """Network => the equations of one training step and of its front contribution.

    Arguments and errors of `fcsym.derive`.
    """
    if not isinstance(network, Network):
        raise ArgumentError(
            f"derive got {type(network).__name__} as its network: make one with Network.parse('2-2-1')."
        )
    if order not in get_args(Order):
        raise ArgumentError(f"The order {shown(order)!r} is not known: choose {' or '.join(get_args(Order))}.")
    if slope_at_kink is not None:
        network = network.with_slope_at_kink(slope_at_kink)
    if (rule, batch, samples) != (None, None, None):
        network = network.training(
            network.rule if rule is None else rule,
            network.batch if batch is None else batch,
            network.samples or None if samples is None else samples,
        )
    refuse_greatest(network)
    passed = forward(network)
    learned = step(passed, network.trained, order, network.rule)
    carried = increments(passed, learned, every_unit=network.built is None)
    known = _by_name((*passed, *learned, *carried))
    equations = (*known.values(), *compensation(network), *integrated(network, known, order))
    return Record(network, order, finish(network, equations))


def _by_name(equations: Iterable[Equation]) -> dict[str, Equation]:
    """Each equation under its name, where what several readers share is said once.

    UnsupportedExpression where one name would say two things.
    """
    known: dict[str, Equation] = {}
    for equation in equations:
        first = known.setdefault(equation.name, equation)
        if first is not equation and not _say_the_same(first, equation):
            said = f"{equation.name} would mean {first.rhs} as well as {equation.rhs}"
            raise UnsupportedExpression(f"{said}: give the array of your own another name.")
    return known


def _say_the_same(first: Equation, other: Equation) -> bool:
    assert isinstance(first.lhs, Ref) and isinstance(other.lhs, Ref)
    if isinstance(first.rhs, Cases) or isinstance(other.rhs, Cases) or first.array != other.array:
        return (first.lhs, first.rhs) == (other.lhs, other.rhs)
    said = rename(other.rhs, dict(zip(other.lhs.indices, first.lhs.indices, strict=True)))
    return said == first.rhs or not expand(first.rhs - said)


def finish(
    network: Network, equations: tuple[Equation, ...], document: Iterable[Equation] | None = None
) -> tuple[Equation, ...]:
    """Equations as readers want them: their index letters, `uses` completed, and the citations that fit.

    `document`: all equations of the document that they stand in, by default these.
    """
    defined = frozenset(equation.name for equation in equations if equation.defines)
    fitting = cited(network, equations, equations if document is None else document)
    return tuple(_finish(equation, network, defined) for equation in fitting)


def _finish(equation: Equation, network: Network, defined: frozenset[str]) -> Equation:
    """Reader's index letters, and `uses` completed by what the right-hand side mentions."""
    output = network.logits.axes[-1]
    assert isinstance(equation.lhs, Ref)
    names = tidy(equation.lhs.indices, output)
    used = frozenset(index.letter for index in names.values())

    def letters(node: Expr) -> Expr:
        return tidy_bound(rename(node, names), used, output)

    rhs: Expr | Cases
    if isinstance(equation.rhs, Cases):
        rhs = Cases(
            tuple(
                Branch(
                    branch.name,
                    tuple(Condition(letters(c.subject), c.relation, c.bound) for c in branch.when),
                    None if branch.value is None else letters(branch.value),
                    branch.status,
                    branch.note,
                )
                for branch in equation.rhs
            )
        )
    else:
        rhs = letters(equation.rhs)
    mentioned = (array.name for array in equation.operands if array.name in defined)
    uses = tuple(dict.fromkeys((*mentioned, *(name for name in equation.uses if name in defined))))
    return replace(equation, lhs=letters(equation.lhs), rhs=rhs, uses=uses)
