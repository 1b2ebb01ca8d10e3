"""Depth is data: nothing recurses over the layers, and the work grows in proportion to them, or with their square."""

import sys

import pytest

from fcsym import Network, check, derive
from fcsym.checking.oracle import backpropagation  # noqa: F401  (imported before the limit is lowered)
from fcsym.cli import main
from fcsym.language.instance import Instance
from fcsym.proof.expanded import Expansion

ORDERS = ("simultaneous", "sequential")


def deep(layers):
    return Network.parse("-".join(["2"] * (layers + 1)))


def evaluations(layers, order, monkeypatch):
    """How many right-hand sides the full expansion and its truth evaluate."""
    count = 0
    plain = Instance.right_side

    def counted(self, *arguments):
        nonlocal count
        count += 1
        return plain(self, *arguments)

    d = derive(deep(layers), order)
    with monkeypatch.context() as patch:
        patch.setattr(Instance, "right_side", counted)
        assert d.proof.holds
    return count


@pytest.mark.parametrize("order", ORDERS)
def test_the_work_of_a_proof_grows_in_proportion_to_the_depth(order, monkeypatch):
    small, large = (evaluations(layers, order, monkeypatch) for layers in (8, 16))
    assert large < 2.5 * small


@pytest.mark.parametrize("order", ORDERS)
def test_a_truth_needs_no_deep_recursion(order):
    network = deep(128)
    given = derive(network, order).by_name
    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(used + 150)
    try:
        assert not Expansion(network, order, given).in_full
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("order", ORDERS)
def test_every_case_of_a_deep_narrow_network_is_reached(order):
    report = check(derive(deep(24), order), 50)
    assert report.passed, [(row.quantity, row.case) for row in report.rows if not row.passed]


@pytest.mark.parametrize("command", ["derive", "check"])
def test_a_very_wide_network_is_checked_only_where_that_is_asked_for(command, capsys):
    assert main([command, "2-1000000-1"]) == 2
    assert "--trials" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["derive", "check", "gradient"])
def test_many_positions_are_counted_as_many_weights_are(command, tmp_path, capsys):
    """A thousand tokens have a million weights of attention, though the parameters are few."""
    (tmp_path / "net.toml").write_text(
        'shape = [1000, 8]\n[[layers]]\nkind = "attention"\nembed_dim = 8\nnum_heads = 2\n'
        '[[layers]]\nkind = "linear"\nout_features = 2\n'
    )
    by = ["--by", "Wq1"] if command == "gradient" else []
    assert main([command, str(tmp_path / "net.toml"), *by]) == 2
    assert "terms in a sum, and its comparison with autodiff" in capsys.readouterr().err
