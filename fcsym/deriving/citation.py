"""Where the paper is cited: beside front contribution, and beside backpropagation only in networks of the paper's kind.

Equations carry the number that they have in the paper for its own network, ReLU units without biases. Eq. 9-16 are the
network, its error and its gradient step, which every textbook has: they are cited where the document goes on to front
contribution, in a network of that kind. Eq. 23 and 25-27 are the cases of a ReLU unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fcsym.language.equation import Equation
from fcsym.networks.network import Network

__all__ = ["cited", "is_of_the_papers_kind"]

_BACKPROPAGATION = frozenset(map(str, range(9, 17)))
_RELU_CASES = frozenset({"23", "25", "26", "27"})


def is_of_the_papers_kind(network: Network) -> bool:
    """Hidden layers of ReLU units, no biases, a linear output and the squared error."""
    hidden = network.hidden_activations
    plain = network.output == network.logits and network.loss == "squared"
    return (
        plain and bool(hidden) and all(p.name == "relu" for p in hidden) and not any(la.bias for la in network.layers)
    )


def cited(network: Network, equations: Sequence[Equation], document: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations with the citations that fit this network, in a document that has these equations in all."""
    left_out: frozenset[str] = frozenset()
    if not is_of_the_papers_kind(network):
        left_out = _BACKPROPAGATION | _RELU_CASES
    elif not any(set(_numbers(equation.cite)) - _BACKPROPAGATION for equation in document):
        left_out = _BACKPROPAGATION
    return tuple(
        replace(equation, cite=_without(equation.cite, left_out)) if equation.cite else equation
        for equation in equations
    )


def _numbers(cite: str) -> list[str]:
    """ "eq. 22, 26, 27" => 22, 26, 27."""
    return cite.removeprefix("eq. ").split(", ") if cite else []


def _without(cite: str, left_out: frozenset[str]) -> str:
    if not cite.startswith("eq. "):  # claim v
        return cite
    kept = [number for number in _numbers(cite) if number not in left_out]
    return f"eq. {', '.join(kept)}" if kept else ""
