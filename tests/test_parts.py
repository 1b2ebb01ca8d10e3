"""A long C function cut into a row of functions computes what it computes in one piece, in every bit."""

import numpy as np
import pytest
from conftest import need

from fcsym import Network, scheme
from fcsym.kernel.targets import c, c_parts
from fcsym.layers import Flatten, LayerNorm, Linear, MultiheadAttention, Residual

NETWORKS = {
    "attention, mini-batch": (
        Network.sequential((3, 4), [Residual([LayerNorm(4), MultiheadAttention(4, 2)]), Flatten(), Linear(12, 2)]),
        "backprop", "mean",
    ),
    "one input held": (Network.mlp([3, 4, 3, 2], activation="leaky_relu", bias=True), "states", None),
    "stored inputs": (Network.mlp([3, 4, 3, 2], bias=True), "history", None),
    "constants, marks": (Network.mlp([3, 4, 3, 2]), "basis", None),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def numbers(net, name, batch, source):
    """What all functions give, over two steps; and the source is remembered."""
    kernel = scheme(net, name, batch=batch).compile("c")
    source.append(kernel.source)
    net, rng, lead = kernel.network, np.random.default_rng(1), (5,) * bool(batch)
    weights = [rng.normal(size=net.shape(a)) for a in net.parameters]
    x, target = (rng.normal(size=(*lead, *net.lengths(a)[len(lead) :])) for a in (net.input, net.target))
    state = kernel.init(weights, x)
    for _ in range(2):
        state = kernel.step(state, x, target, 1e-3)
    return [*state, kernel.output(state, x), *kernel.expand(state, weights, x)]


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_are_the_whole(name, monkeypatch):
    need("gcc")
    net, *rest = NETWORKS[name]
    source = []
    monkeypatch.setattr(c, "PART", 10**9)
    whole = numbers(net, *rest, source)
    monkeypatch.setattr(c, "PART", 0)
    monkeypatch.setattr(c_parts, "_LINES", 12)
    parts = numbers(net, *rest, source)
    assert "step_core_3(" in source[1] and "step_core_1(" not in source[0]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.view("i8"), other.view("i8"))


def test_a_part_has_at_most_so_many_lines_unless_one_statement_has_more():
    lines = ["    real *RESTRICT const s = work;", *["    s[0] = x[0];"] * 500]
    text = c_parts.in_parts(lines, range(1, 502), "f", ["const real *RESTRICT x", "real *RESTRICT work"])
    functions = text.split("static ALONE void f_")[1:]
    assert len(lines) == 1 + len(functions) == 6
    assert sum(one.count("s[0] = x[0];") for one in functions) == 500
    assert max(one.count("s[0] = x[0];") for one in functions) == 120
    assert lines[1].strip() == "f_1(s, x);"
