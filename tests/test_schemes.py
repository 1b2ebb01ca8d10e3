"""Schemes: proved, compiled, and the same trajectory as backpropagation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import NETWORKS, ORDERS

import fcsym
from fcsym.equation import Cases, Verdict
from fcsym.expression import Add, Mul, Number, Pow, Ref, Total, add, mul
from fcsym.proof.schemes import prove_scheme
from fcsym.schemes import SCHEMES

SINGLE = ("weights", "compensation", "states")
SEVERAL = ("backprop", "history", "basis")
FROZEN = ("weights", "compensation")


def made(network, name, order):
    if name in FROZEN and len(network.layers) < 2:
        with pytest.raises(fcsym.ArgumentError, match="needs a hidden layer"):
            fcsym.scheme(network, name, order=order)
        pytest.skip("there is no hidden layer to freeze")
    return fcsym.scheme(network, name, order=order)


def random_weights(network, rng, lead=()):
    return [rng.normal(size=(*lead, *network.shape(a))) / np.sqrt(network.shape(a)[-1]) for a in network.parameters]


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_proved(network, order, name):
    scheme = made(network, name, order)
    assert scheme.proof.holds, [f for f in scheme.proof.findings if f.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)]
    for part in scheme.parts:
        assert part.proof.holds
        assert {e.name for e in part} == {f.equation for f in part.proof.findings}


# ------------------------------------------------------------------------------------------------------- mutations


def mutants(node):
    """The same expression with one thing changed."""
    match node:
        case Ref():
            yield mul(2, node)
        case Add(terms):
            for n, term in enumerate(terms):
                yield add(*terms[:n], mul(-1, term), *terms[n + 1 :])
                yield add(*terms[:n], *terms[n + 1 :])
        case Mul(factors):
            yield mul(-1, node)
            for n, factor in enumerate(factors):
                if not isinstance(factor, Number):
                    yield mul(*factors[:n], *factors[n + 1 :])
                for other in mutants(factor) if isinstance(factor, Add | Total) else ():
                    yield mul(*factors[:n], other, *factors[n + 1 :])
        case Pow(base, exponent):
            yield Pow(base, exponent + 1) if exponent != -1 else base
        case Total(over, body):
            for other in mutants(body):
                yield Total(over, other) if {i for r in refs(other) for i in r.indices} >= set(over) else other
        case Number(value):
            yield Number(value + 1)


def refs(node):
    from fcsym.expression import refs_in

    return list(refs_in(node))


def mutated(equation):
    if not isinstance(equation.rhs, Cases):
        for rhs in mutants(equation.rhs):
            yield replace(equation, rhs=rhs)
        return
    for n, branch in enumerate(equation.rhs):
        for value in mutants(branch.value) if branch.value is not None else ():
            rows = [*equation.rhs.branches]
            rows[n] = replace(branch, value=value)
            yield replace(equation, rhs=Cases(tuple(rows)))


def bound(equation):
    """Whether every index of the right-hand side is summed over or on the left."""
    from fcsym.algebra import free_in

    nodes = [equation.rhs] if not isinstance(equation.rhs, Cases) else [b.value for b in equation.rhs if b.value]
    return all(free_in(node) <= set(equation.lhs.indices) for node in nodes)


FREE = {("init", "key"), ("init", "a0")}  # key is no mathematics
CHOSEN_VALUE = "v^c = 0, v' = 0"  # any value solves this row


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("net", ["2-2-1", "biases in some layers"])
def test_no_changed_scheme_is_proved(net, name, order):
    scheme = fcsym.scheme(NETWORKS[net], name, order=order)
    count = 0
    for part, routine in scheme.routines.items():
        for n, equation in enumerate(routine.equations):
            if (part, equation.name) == ("init", "key"):
                continue
            for other in mutated(equation):
                if not bound(other) or (
                    isinstance(other.rhs, Cases)
                    and any(a != b and a.name == CHOSEN_VALUE for a, b in zip(other.rhs, equation.rhs, strict=True))
                ):
                    continue
                equations = (*routine.equations[:n], other, *routine.equations[n + 1 :])
                changed = replace(scheme, routines={**scheme.routines, part: replace(routine, equations=equations)})
                proof = prove_scheme(changed)[part]
                assert not proof.holds, (part, str(other))
                count += 1
    assert count >= 5
