"""Where the paper is cited: beside front contribution of a network that is trained as in the paper.

Equations carry the number that they have in the paper for its own network: ReLU units without biases, a linear output,
the squared error, and the gradient step on one sample. With another output, loss or update rule, in mini-batches or
with parameters that stay, what stands here is not what is printed there, and no number is given. Other units and biases
keep those of front contribution, eq. 4 and 17-22 among them, which are the same for every activation. Eq. 9-16 are the
network, its error and its gradient step, which every textbook has: they are cited where the document goes on to front
contribution, in a network of the paper's kind. A network of other layers than dense ones has its compensation from the
paper, eq. 4, 21 and 22. Eq. 23 and 25-27 are the cases of a ReLU unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fcsym.language.equation import Equation
from fcsym.networks.network import Network

__all__ = ["cited", "is_of_the_papers_kind", "is_trained_as_in_the_paper"]

_BACKPROPAGATION = frozenset(map(str, range(9, 17)))
_COMPENSATION = frozenset({"4", "21", "22"})
_RELU_CASES = frozenset({"23", "25", "26", "27"})


def is_trained_as_in_the_paper(network: Network) -> bool:
    """By the gradient step on one sample, with a linear output and the squared error."""
    return network.is_plain and network.output == network.logits and network.loss == "squared"


def is_of_the_papers_kind(network: Network) -> bool:
    """The same, with hidden layers of ReLU units and no biases."""
    hidden = network.hidden_activations
    return (
        is_trained_as_in_the_paper(network)
        and bool(hidden)
        and all(phi.name == "relu" for phi in hidden)
        and not any(layer.bias for layer in network.layers)
    )


def cited(network: Network, equations: Sequence[Equation], document: Iterable[Equation]) -> tuple[Equation, ...]:
    """The equations with the citations that fit this network, in a document that has these equations in all."""
    if not is_trained_as_in_the_paper(network):
        return tuple(replace(equation, cite="") if equation.cite else equation for equation in equations)
    left_out: frozenset[str] = frozenset()
    if network.built is not None:  # what follows on the read-out is the paper's, and nothing below it
        left_out = frozenset(map(str, range(1, 40))) - _COMPENSATION
    elif not is_of_the_papers_kind(network):
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
