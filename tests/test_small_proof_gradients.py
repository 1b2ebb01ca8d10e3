"""Which lists are lists of derivatives, and what is said of one that is none: its equations, each once, and why.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from test_small_proofs import mlp

import fcsym
from fcsym import Linear, Network, Residual
from fcsym.deriving.forward import forward
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Equation, Rule, Verdict
from fcsym.language.expression import ZERO
from fcsym.networks.symbols import ERROR, derivative_of
from fcsym.proof.gradients import prove_gradient

LAYERS = Network.sequential((1,), [Residual([Linear(1, 1)]), "relu", Linear(1, 1)])
LISTS = {
    "E": (mlp([1, 1, 1]), "E"),
    "y": (mlp([1, 1, 1]), "y"),
    "E of a batch": (mlp([1, 1, 1]).training(batch="mean"), "E"),
    "y of a batch": (mlp([1, 1, 1]).training(batch="sum"), "y"),
    "E of layers": (LAYERS, "E"),
    "y of layers": (LAYERS, "y"),
}


@cache
def derivatives(name):
    network, of = LISTS[name]
    return fcsym.gradient(network, of, "W1")


@pytest.mark.parametrize("name", LISTS)
def test_of_a_list_without_one_of_its_equations_every_one_is_named_once(name):
    """What is asked for is missing, and what is differentiated; what rests on what is gone has no place any more."""
    record = derivatives(name)
    for n, gone in enumerate(record.equations):
        rest = record.equations[:n] + record.equations[n + 1 :]
        proof = prove_gradient(replace(record, equations=rest))
        names = [f.equation for f in proof.findings]
        assert {f.verdict for f in proof.findings} == {Verdict.UNDECIDED} and not proof.holds
        assert len(names) == len(set(names)) and set(names) - {gone.name} == {e.name for e in rest}
        assert (gone.name in names) is (gone in record.results or gone.name == record.of)
        for f in proof.findings:
            assert f.note.startswith(f"{f.equation} ") or f.note == "the derivation is incomplete"
        assert any(f.note != "the derivation is incomplete" for f in proof.findings)


@pytest.mark.parametrize("name", [name for name, (network, _) in LISTS.items() if not network.batch])
def test_what_is_no_part_of_a_derivation_is_named(name):
    """The error, where an output is differentiated; of stacks the derivative by an activation, which none has."""
    record, (network, of) = derivatives(name), LISTS[name]
    assert prove_gradient(record).holds
    *_, error = forward(network)
    by_v = derivative_of(ERROR if of == "E" else network.output, network.hidden[0].v)
    more = [] if network.built is not None else [Equation(by_v[indices_of(by_v)], ZERO, Rule.ADJOINT, "")]
    more += [error] if of == "y" else []
    assert more or name == "E of layers"
    for e in more:
        found = {f.equation: f for f in prove_gradient(replace(record, equations=(*record.equations, e))).findings}
        assert found[e.name].note == f"{e.name} is no equation of this derivation", found[e.name]


def test_layers_are_no_stack():
    assert LAYERS.built is not None
