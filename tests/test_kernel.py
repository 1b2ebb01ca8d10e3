from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from exact import step

from fcsym.checking.oracle import backpropagation
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, CompileError, UndefinedContribution
from fcsym.language.equation import Cases
from fcsym.networks.network import Network
from fcsym.training import scheme


def arrays(network, seed=0, lead=(), dtype=np.float64):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(*lead, *network.shape(a))).astype(dtype) for a in network.parameters]
    x, target = (rng.normal(size=(*lead, n)).astype(dtype) for n in (network.inputs, network.widths[-1]))
    return weights, x, target


def test_small_dyadic_numbers_give_the_exact_step(order):
    """The kernel against rationals by hand: with numbers this small, float64 does not round."""
    for widths in ((2, 2, 1), (2, 3, 2, 2)):
        kernel = derive(Network.mlp(widths), order).compile()
        for seed in range(20):
            source = random.Random(seed)
            w = [[[Fraction(source.randint(-2, 2), 2) for _ in range(n)] for _ in range(m)]
                 for n, m in pairwise(widths)]  # fmt: skip
            x = [Fraction(source.randint(-1, 1)) for _ in range(widths[0])]
            target = [Fraction(source.randint(-2, 2)) for _ in range(widths[-1])]
            true = step(widths, w, x, target, Fraction(1, 4), order)
            to = [np.array(m, dtype=float) for m in w]
            got = kernel.step(to, np.array(x, dtype=float), np.array(target, dtype=float), 0.25, undefined="nan")
            for layer in range(1, len(widths) - 1):
                assert getattr(got, f"s{layer}_new").tolist() == true.s_new[layer - 1]
                assert getattr(got, f"dv{layer}").tolist() == [
                    a - b for a, b in zip(true.v_new[layer], true.v[layer], strict=True)
                ]
            assert got.y_new.tolist() == true.v_new[-1]
            for layer in range(1, len(widths)):
                assert getattr(got, f"W{layer}_new").tolist() == true.w[layer - 1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_many_networks_at_once_are_each_alone(network, order, dtype):
    kernel = derive(network, order).compile()
    weights, x, target = arrays(network, lead=(3, 4), dtype=dtype)
    with np.errstate(all="raise"):
        together = kernel.step(weights, x, target, 0.1, undefined="nan")
        for at in ((0, 0), (2, 3)):
            alone = kernel.step([w[at] for w in weights], x[at], target[at], 0.1, undefined="nan")
            for name in kernel.outputs:
                left, right = getattr(together, name)[at], getattr(alone, name)
                assert np.asarray(left).dtype == dtype
                np.testing.assert_allclose(left, right, rtol=200 * np.finfo(dtype).eps, atol=50 * np.finfo(dtype).eps)


def test_one_network_and_many_inputs_or_step_sizes_broadcast():
    network = Network.parse("2-3-1")
    kernel = derive(network).compile()
    weights, _, _ = arrays(network)
    many = kernel.step(weights, np.ones((5, 2)), np.zeros(1), np.full(5, 0.1))
    assert many.W1_new.shape == (5, 3, 2)
    sweep = kernel.step(weights, np.ones(2), np.zeros(1), np.linspace(0, 1, 7))
    assert sweep.p.shape == (7, 1, 3)


def test_nothing_is_divided_where_a_unit_is_dead_or_tiny():
    network = Network.parse("2-2-1")
    kernel = derive(network).compile()
    tiny = [np.array([[1e-300, 0], [-1.0, 0]]), np.array([[1.0, 1.0]])]
    with np.errstate(all="raise"):
        result = kernel.step(tiny, [1.0, 0.0], [0.0], 1e-3)
        assert result.p[0, 1] == 0
        dies = kernel.step([np.array([[1e-300, 0], [-1.0, 0]]), np.array([[1e10, 1.0]])], [1.0, 0.0], [-1e140], 1.0)
    assert dies.p[0, 0] == -dies.W2_new[0, 0]


def test_plain_lists_and_integers_will_do():
    result = derive(Network.parse("2-2-1")).compile().step([[[1, 0], [0, 1]], [[1, 1]]], [1, 2], [0], 0.5)
    assert result.y.dtype == np.float64


def test_a_unit_without_a_compensation_raises_by_name():
    network = Network.parse("2-2-2-1")
    kernel = derive(network).compile()
    lead = (4000,)
    weights, x, target = arrays(network, lead=lead)
    plain = kernel.step(weights, x, target, 0.5)
    result = kernel.step(weights, x, target, 0.5, undefined="nan")
    assert 0 < result.undefined.sum() < 1000
    assert (np.isnan(result.p[:, 0, :]) == result.undefined).all()
    fine = ~result.undefined.any(axis=-1)
    np.testing.assert_allclose(result.y_front[fine], result.y_new[fine], rtol=1e-8, atol=1e-8)
    for name in ("p", "r", "y_front"):
        match = rf"{name} is undefined, .*unit h\d of layer 2 of network \(\d+,\) wakes up at this step"
        for ask in (lambda name=name: getattr(plain, name), lambda name=name: plain[plain._fields.index(name)]):
            with pytest.raises(UndefinedContribution, match=match):
                ask()
    for name, one, other in zip(plain._fields, plain, result, strict=True):
        np.testing.assert_array_equal(one, other)
        if name not in ("p", "r", "y_front"):
            assert np.isfinite(one).all()
            np.testing.assert_array_equal(getattr(plain, name), one)


def test_a_step_that_has_no_compensation_trains_all_the_same(order):
    """The update is that of automatic differentiation, in every kernel that carries weights and no p."""
    network = Network.parse("2-3-3-1")
    weights, x, target = arrays(network, lead=(400,))
    plain = derive(network, order).compile().step(weights, x, target, 0.5)
    assert 0.02 < plain.undefined.any(axis=-1).mean() < 0.5
    true = backpropagation(network, order, weights, x, target, np.full(400, 0.5))
    for name in ("W1_new", "W2_new", "W3_new", "E", "delta1", "s1_new"):
        np.testing.assert_allclose(getattr(plain, name), np.asarray(true[name], float), rtol=1e-11, atol=1e-11)
    for name in ("backprop", "states", "history", "basis"):
        kernel = scheme(network, name, order).compile()
        assert not any(function.marks for function in kernel.module.functions)
        state = kernel.step(kernel.init(weights, x), x, target, 0.5)
        for got, theta in zip(kernel.expand(state, weights, x), network.parameters, strict=True):
            np.testing.assert_allclose(got, np.asarray(true[f"{theta.name}_new"], float), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("phi", ["tanh", "identity", "silu", "gelu", "relu"])
def test_what_is_said_of_a_unit_at_zero_fits_its_activation(phi):
    """At x = 0 without biases a smooth or linear unit gives 0; it was never dead, so that it cannot wake up."""
    network = Network.mlp([2, 2, 1], phi, bias=[True, False])
    weights = [np.ones((2, 2)), np.zeros(2), np.ones((1, 2))]
    after = derive(network).compile().step(weights, [0.0, 0.0], [1.0], 0.5)
    assert after.W1_new.shape == (2, 2) and after.E == 0.5
    if phi == "relu":  # slope 0 at the kink: nothing moves
        assert not after.undefined.any() and after.p.tolist() == [[0.0, 0.0]]
        return
    carried = scheme(network, "weights").compile()
    state = carried.init(weights, [0.0, 0.0])
    bound = carried.bind(state, [0.0, 0.0], [1.0], 0.5)
    batch = carried.batch([state, state])
    assert after.undefined.all()
    for ask in (lambda: after.p, lambda: carried.step(state, [0.0, 0.0], [1.0], 0.5), bound.step,
                lambda: batch.step([0.0, 0.0], [1.0], 0.5)):  # fmt: skip
        with pytest.raises(UndefinedContribution, match="leaves 0 at this step") as caught:
            ask()
        assert "wake" not in str(caught.value) and "woke" not in str(caught.value)
    assert "wake" not in carried.source + str(carried.scheme) and "woke" not in carried.module.refused
    assert "wake" not in repr([(b.name, b.note) for e in derive(network).equations if isinstance(e.rhs, Cases)
                               for b in e.rhs])  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda w, x, t: (w[:1], x, t),
        lambda w, x, t: ([w[0].T[:, :1], w[1]], x, t),
        lambda w, x, t: (w, x[:1], t),
        lambda w, x, t: (w, x, np.zeros(2)),
        lambda w, x, t: ([w[0] + 1j, w[1]], x, t),
        lambda w, x, t: ([w[0] * np.nan, w[1]], x, t),
        lambda w, x, t: (w, x / 0, t),
        lambda w, x, t: (w, ["a", "b"], t),
        lambda w, x, t: ([[[1, 2], [3]], w[1]], x, t),
        lambda w, x, t: (w, np.zeros((3, 2)), np.zeros((4, 1))),
        lambda w, x, t: (None, x, t),
        lambda w, x, t: (w, np.array([True, False]), t),
    ],
)
def test_bad_arrays_are_refused_in_one_sentence(change):
    network = Network.parse("2-2-1")
    kernel = derive(network).compile()
    with np.errstate(divide="ignore", invalid="ignore"):
        weights, x, target = change(*arrays(network))
    with pytest.raises(ArgumentError) as caught:
        kernel.step(weights, x, target, 0.1)
    assert "\n" not in str(caught.value)


def test_unknown_targets_and_options_are_refused():
    with pytest.raises(CompileError):
        derive(Network.parse("2-2-1")).compile("fortran")
    kernel = derive(Network.parse("2-2-1")).compile()
    with pytest.raises(ArgumentError):
        kernel.step([np.ones((2, 2)), np.ones((1, 2))], [1, 1], [0], 0.1, undefined="ignore")


def test_the_source_can_be_read():
    source = derive(Network.parse("2-2-1"), "sequential").compile().source
    assert "delta1 = np.where(s1 > 0.0, np.vecmat(delta2, W2_new), 0.0)" in source
    assert "s1[i] = sum(j: W1[i, j]*x[j])" in source
    assert max(len(line) for line in source.splitlines()) < 240
