from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from exact import step

from fcsym.derivation import derive
from fcsym.errors import ArgumentError, CompileError, UndefinedContribution
from fcsym.networks.network import Network


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
    with pytest.raises(UndefinedContribution, match=r"unit h\d of layer 2 of network \(\d+,\) wakes up at this step"):
        kernel.step(weights, x, target, 0.5)
    result = kernel.step(weights, x, target, 0.5, undefined="nan")
    assert 0 < result.undefined.sum() < 1000
    assert (np.isnan(result.p[:, 0, :]) == result.undefined).all()
    fine = ~result.undefined.any(axis=-1)
    np.testing.assert_allclose(result.y_front[fine], result.y_new[fine], rtol=1e-8, atol=1e-8)


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
