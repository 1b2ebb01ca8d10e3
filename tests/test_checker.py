from __future__ import annotations

import dataclasses
import random
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from exact import step
from test_proof import mutants, replaced

import fcsym
from fcsym.checking import report as reports
from fcsym.checking import trajectory, truth, xor
from fcsym.checking.checker import check
from fcsym.checking.magnitude import made_of
from fcsym.checking.oracle import backpropagation
from fcsym.checking.points import Points, lattice, random_points
from fcsym.checking.tally import Tally
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, CompileError, SizeError
from fcsym.language.activation import Piece, piecewise_linear
from fcsym.language.equation import Cases
from fcsym.networks.network import Network
from fcsym.training import scheme


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_kernel_agrees_with_autodiff(derivation, dtype):
    report = check(derivation, trials=300, dtype=dtype)
    assert report.passed, str(report)
    assert report.left_out < 30


def test_every_possible_case_is_reached(derivation):
    report = check(derivation, trials=200)
    reached = {(row.quantity, row.case): row.points for row in report.rows}
    for equation in derivation:
        if isinstance(equation.rhs, Cases) and equation.name != "P":
            for branch in equation.rhs:
                possible = derivation.proof.case(equation.name, branch.name).possible
                assert (reached[equation.name, branch.name] > 0) == possible


@pytest.mark.parametrize("text", ["2-2-1", "3-4-4-2"])
def test_exact_kinks_and_near_zeros_are_among_the_points(text, order):
    rows = {(row.quantity, row.case): row for row in check(derive(Network.parse(text), order), trials=200).rows}
    for layer in range(1, text.count("-")):
        for case in ("s = 0", "s' = 0", "v^c near 0"):
            assert rows[f"dv{layer}", case].points > 0


@pytest.mark.parametrize("text", ["2-2-1", "3-4-4-2", "1-1-1"])
def test_the_crossed_order_fails(text, order):
    other = "sequential" if order == "simultaneous" else "simultaneous"
    report = check(derive(Network.parse(text), order), trials=100, against=other)
    assert not report.passed
    assert report.worst.where


def test_wrong_kernels_fail():
    d = derive(Network.parse("2-2-1"))
    d.proof  # noqa: B018  # the mutants take over what is impossible from the true derivation
    caught, tried = 0, 0
    for name in ("delta1", "W2_new", "ds1", "dv1", "dy", "p"):
        for what, mutant in mutants(d, name):
            if "dead -> active" in what:
                continue  # cannot occur in one hidden layer: no kernel can show it
            object.__setattr__(mutant, "proof", d.proof)
            try:
                failed = not check(mutant, trials=60).passed
            except (CompileError, ValueError):
                continue  # no kernel, or arrays that do not fit: no wrong number
            tried += 1
            caught += failed
            assert failed, f"{name}: {what} passes the check"
    assert caught == tried > 20


def test_a_case_that_no_point_reaches_fails():
    """A row with a condition that never holds, said to be possible, must not pass unnoticed."""
    d = derive(Network.parse("2-2-1"))
    finding = d.proof.case("dv1", "dead -> active")
    findings = tuple(dataclasses.replace(f, possible=True) if f is finding else f for f in d.proof.findings)
    object.__setattr__(d, "proof", dataclasses.replace(d.proof, findings=findings))
    report = check(d, trials=20)
    assert not report.passed
    assert [row.case for row in report.rows if not row.passed] == ["dead -> active"]


def test_the_slope_at_a_kink_is_compared_too():
    assert check(derive(Network.parse("2-3-1"), slope_at_kink=1), trials=100).passed
    right = derive(Network.parse("2-3-1"), slope_at_kink=1)
    source = derive(Network.parse("2-3-1"), slope_at_kink=0)
    object.__setattr__(source, "network", right.network)  # the kernel says 0, the oracle 1
    assert not check(source, trials=100).passed


def test_own_activations_are_checked(tmp_path, order):
    file = tmp_path / "net.toml"
    file.write_text(
        'widths = [2, 4, 3, 1]\nactivation = "hat"\nbias = true\n[[activations]]\nname = "hat"\nslope_at_kink = 0.5\n'
        "pieces = [{ upper = 0, slope = -1 }, { upper = 2, slope = 1 }, { slope = 0, intercept = 2 }]\n"
    )
    report = check(derive(Network.load(file), order), trials=2000)
    assert report.passed, str(report)


def test_xor_samples(order):
    net = Network.parse("2-4-1", bias=True)
    assert xor.applies(net)
    assert not xor.applies(Network.parse("3-4-1"))
    report = check(derive(net, order), points=xor.points(net))
    assert report.passed
    assert {row.points for row in report.rows if row.quantity == "y"} == {100}


@pytest.mark.parametrize("bad", [{"trials": 0}, {"trials": 1.5}, {"trials": True}, {"seed": -1}, {"seed": "a"}])
def test_bad_arguments_are_refused(bad):
    with pytest.raises(ArgumentError):
        check(derive(Network.parse("2-2-1")), **bad)


def test_reports_are_reproducible():
    d = derive(Network.parse("2-2-1"))
    assert check(d, 50, 3) == check(d, 50, 3)
    assert check(d, 50, 3) != check(d, 50, 4)


def test_the_oracle_is_right(order):
    """autograd against rationals by hand, gates and kinks included."""
    widths = (2, 3, 2, 2)
    net = Network.mlp(widths)
    for seed in range(20):
        source = random.Random(seed)
        w = [[[Fraction(source.randint(-1, 2)) for _ in range(n)] for _ in range(m)]
             for n, m in pairwise(widths)]  # fmt: skip
        x, target = [Fraction(source.randint(-1, 1)) for _ in range(2)], [Fraction(1), Fraction(-1)]
        true = step(widths, w, x, target, Fraction(1, 2), order)
        one = [np.array([m], dtype=float) for m in w]
        got = backpropagation(
            net, order, one, np.array([x], dtype=float), np.array([target], dtype=float), np.array([0.5])
        )
        for layer in range(3):
            assert got[f"W{layer + 1}_new"][0].astype(float).tolist() == true.w[layer]
            assert got[f"delta{layer + 1}"][0].astype(float).tolist() == true.delta[layer]
        assert got["y_new"][0].astype(float).tolist() == true.v_new[-1]


def test_the_bound_is_a_small_multiple_of_rounding():
    """A result that is off by 64 units of its own last place, where nothing cancels, must fail."""
    d = derive(Network.parse("2-2-1"))
    wrong = replaced(d, "delta2", d.by_name["delta2"].rhs * (1 + Fraction(1, 2**45)))
    object.__setattr__(wrong, "proof", d.proof)
    assert not check(wrong, trials=50).passed
    assert reports.ULPS == 16


@pytest.mark.parametrize("text", ["2-1-2-1", "1-1-1-1", "2-2-2-2-2-2", "2-1-1-1-1-1-1-1"])
def test_narrow_and_deep_networks_reach_their_cases(text, order):
    report = check(derive(Network.parse(text), order), trials=100)
    assert report.passed, str(report)


@pytest.mark.parametrize("slope", [1, 0.5])
def test_single_inputs_with_an_open_gate_at_the_kink(slope, order):
    for text in ("1-1-1", "1-2-1"):
        assert check(derive(Network.parse(text), order, slope_at_kink=slope), trials=500).passed


def test_nothing_compared_is_nothing_passed():
    net = Network.parse("2-2-1")
    huge = [np.full((1, *net.shape(a)), 1e200) for a in net.parameters]
    points = Points(huge, np.ones((1, 2)), np.ones((1, 1)), np.ones(1))
    report = check(derive(net), points=points)
    assert report.left_out == 1
    assert not report.passed


def test_checks_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(SizeError):
        check(derive(Network.parse("100000-100000-1")))


def test_the_bound_stays_small_in_deep_networks():
    """Products of weights in sequential order: bounds on operands would overflow, their values do not."""
    rows = check(derive(Network.parse("-".join(["2"] * 12)), "sequential"), trials=50).rows
    assert all(np.isfinite(row.bound) for row in rows)


@pytest.mark.parametrize("pieces", ["[{slope=2}]", "[{slope=2,intercept=1}]"])
def test_activations_of_one_piece(pieces, tmp_path, order):
    file = tmp_path / "net.toml"
    file.write_text(f'widths=[2,2,1]\nactivation="f"\n[[activations]]\nname="f"\npieces={pieces}\n')
    d = derive(Network.load(file), order)
    assert d.proof.holds
    assert check(d, trials=1000).passed


def test_training_asks_the_oracle_once_for_each_step(monkeypatch):
    """The exact trajectory and those with rounded weights are trained side by side."""
    asked = []
    oracle = truth.backpropagation
    monkeypatch.setattr(truth, "backpropagation", lambda *given: asked.append(given) or oracle(*given))
    assert check(scheme(Network.parse("2-2-1"), "states"), trials=20, steps=7)
    assert len(asked) == 7
    alone, together = ([array[0] for array in asked[3][2]], [array[1] for array in asked[3][2]])
    assert any((a != b).any() for a, b in zip(alone, together, strict=True))


HARD_TO_BOUND = {
    "kinks behind a smooth layer, where rounding decides": (
        Network.mlp([2, 2, 3, 8, 3], ["softplus", "leaky_relu", "sigmoid"], [True, True, False, False]),
        {"batch": "mean", "rule": "sgd"},
    ),
    "terms of a step that are larger than the weights": (
        Network.mlp([1, 7, 6, 7], ["leaky_relu", "relu"], output="softmax"), {"rule": "nesterov"},
    ),
    "a gradient that is 0 and is divided by its size": (
        Network.mlp([5, 6, 8, 2], ["sigmoid", "leaky_relu"], True, output="softmax", loss="l1"),
        {"batch": "mean", "rule": "rmsprop"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HARD_TO_BOUND)
def test_what_rounding_decides_is_no_failure_of_a_scheme(what, order):
    network, settings = HARD_TO_BOUND[what]
    report = check(scheme(network, "backprop", order, **settings), trials=20, steps=2)
    assert report.passed, str(report)


def test_a_network_of_which_rounding_makes_no_number_is_left_out():
    """Adam divides by the root of a mean that rounding may take below 0: nothing is known of what rounding does."""
    network = Network.mlp([6, 1, 5, 2], ["identity", "gelu"], [True, False, True], output="softmax", loss="bce")
    rule = fcsym.rule("adam", beta1="0.502", beta2="0.9897", eps="0.0796", weight_decay="0.0795")
    report = check(scheme(network, "backprop", "sequential", rule=rule), trials=4, seed=760667913, steps=6)
    assert report.left_out == 1 and report.passed, str(report)


def test_a_unit_above_smooth_ones_is_on_a_kink_by_chance_and_no_exact_point():
    """Sigmoids of equal sums cancel: in another order of summation their sum is not 0, and the unit on another side."""
    network = Network.mlp([8, 6, 3, 1], ["sigmoid", "relu"], [False, True, False], output="silu", loss="mse")
    report = check(scheme(network, "weights", "sequential"), trials=4, seed=2065152246, steps=6)
    assert report.passed, str(report)
    assert any("kink" in row.case and row.points for row in check(scheme(Network.parse("2-3-1"), "weights")).rows)


@pytest.mark.parametrize("loss", ["bce_logits", "cross_entropy"])
def test_exact_points_have_targets_that_the_loss_takes(loss):
    """A step from them is refused for the unit that wakes up, and never for the target."""
    network = Network.mlp([2, 3, 3, 2], loss=loss)
    report = check(scheme(network, "weights"), trials=300, steps=2)
    assert report.passed and "a unit wakes up: raised" in {row.case for row in report.rows}
    target = lattice(network, np.random.default_rng(0), 50).target
    assert set(np.unique(target)) == {0.0, 1.0} and (loss == "bce_logits" or (target.sum(axis=-1) == 1).all())


@pytest.mark.parametrize(
    ("network", "weight"),
    [
        # (1e7)^6 is 1e42, beyond single precision, and far within that of the truth
        pytest.param(Network.mlp([1] * 7, "identity"), 1e7, id="in the precision of the scheme"),
        # of e^-20000 there is no logarithm in any
        pytest.param(Network.mlp([1, 2], output="softmax", loss="bce"), [[1e4], [-1e4]], id="a loss"),
    ],
)
def test_a_network_that_overflows_is_left_out(network, weight, monkeypatch):
    def large(self, rng, count):
        weights = [np.full((count, *network.shape(array)), weight, np.float32) for array in network.parameters]
        x, y = (np.ones((count, 1, *network.shape(array)), np.float32) for array in (network.input, network.target))
        return weights, x, y / y.shape[-1], np.full(count, 1e-7, np.float32)

    monkeypatch.setattr(trajectory._Comparison, "_draw", large)
    report = check(scheme(network, "backprop"), trials=5, steps=2, dtype=np.float32)
    assert report.left_out == 5
    assert not any(row.points for row in report.rows if "kink" not in row.case)


def test_the_terms_of_some_quantities_are_those_among_all():
    derivation = derive(Network.mlp([2, 3, 2], bias=True), rule="adam")
    tally, kernel = Tally(derivation, np.dtype(float)), derivation.compile()
    points = random_points(derivation.network, np.random.default_rng(0), 5)
    names = [array.primed.name for array in derivation.network.trained]
    every, some = (tally.computed(kernel, points, n).scale for n in ((), made_of(derivation, names)))
    for name in names:
        np.testing.assert_array_equal(some.of(name), every.of(name))
    assert "W2_new" in some.known and "p" in every.known and "p" not in some.known


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_a_point_at_which_rounding_decides_whether_v_is_0_is_left_out(activation):
    """(1 + 2^-30)(1 - 2^-30) - 1 + 2^-60 is 0, and 2^-60 where it is added up in double precision from the left."""
    net = Network.mlp([3, 1, 1], activation)
    terms = [(1 + 2.0**-30, 1 - 2.0**-30), (-1.0, 1.0), (2.0**-60, 1.0)]
    orders = np.array(list(permutations(terms)))  # somewhere, it is added up from the left
    points = Points([orders[:, None, :, 0], np.ones((6, 1, 1))], orders[..., 1], np.zeros((6, 1)), np.ones(6))
    derivation = derive(net)
    s = derivation.compile().step(*points[:4], undefined="nan").s1
    report = check(derivation, points=points)
    assert 0 < report.left_out == np.count_nonzero(s)
    assert all(row.passed for row in report.rows)


def test_every_kink_that_points_can_be_put_on_is_demanded():
    """Kinks at multiples of 1/2 up to 2, the ends among them."""
    pieces = [Piece(-2, 1), Piece("1/3", 2, 2), Piece(2, 1, "7/3"), Piece(None, 0, "13/3")]
    d = derive(Network.mlp([1, 1, 1], piecewise_linear("bent", pieces)))
    demanded = {case for quantity, case in Tally(d, np.dtype(float)).expected if quantity == "dv1" and "= " in case}
    assert {case for case in demanded if case.startswith("s ")} == {"s = -2", "s = 2"}
    assert {case for case in demanded if case.startswith("s' ")} == {"s' = -2", "s' = 2"}


def test_what_underflows_is_rounding_with_what_multiplies_it():
    """A sum below the smallest normal number has few digits, and a weight far above 1 carries on what is lost."""
    d, rng = derive(Network.parse("1-1-1-1", "identity"), "simultaneous"), np.random.default_rng(0)
    count, tally = 200, Tally(d, np.dtype(float))
    weights = [np.full((count, 1, 1), weight) for weight in (1 / 3, 1e4, 1.0)]
    points = Points(weights, rng.uniform(1e-312, 1e-310, (count, 1)), np.ones((count, 1)), np.full(count, 1e-3))
    tally.compare(d.compile(), "simultaneous", points)
    rows = tally.rows(demand_all=False)
    assert all(row.passed for row in rows), [(row.quantity, row.ratio) for row in rows if not row.passed]
    assert max(row.worst for row in rows if row.quantity == "s2") > 1000 * 5e-324  # what was lost is seen there
