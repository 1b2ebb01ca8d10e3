"""Any layer may follow any other, and an activation any layer: what they make has names of its own."""

from __future__ import annotations

from collections import Counter

import pytest
from conftest import need
from sympy import Symbol, exp

import fcsym
from fcsym.certificates.checking import checked
from fcsym.equations import apply, greatest, hidden, indices, input_, parameter, total
from fcsym.language.algebra import equal, lettered
from fcsym.language.expression import Array, Axis, Index, Total, add, children, mul
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Add,
    AvgPool1d,
    Concatenate,
    Conv1d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool1d,
    MultiheadAttention,
    Node,
    Residual,
    RMSNorm,
)
from fcsym.networks.network import Network

LAYERS = {  # of two features at two positions
    "attention": lambda: MultiheadAttention(2, 1),
    "a recurrence": lambda: RNN(2, 2),
    "gates": lambda: GRU(2, 2),
    "a memory": lambda: LSTM(2, 2),
    "a norm": lambda: LayerNorm(2),
    "the root of squares": lambda: RMSNorm(2),
    "a mask": lambda: Dropout(0.5),
    "a convolution": lambda: Conv1d(2, 2, 1),
    "a largest value": lambda: MaxPool1d(1),
    "a mean": lambda: AvgPool1d(1),
    "a linear map": lambda: Linear(2, 2),
    "a way around": lambda: Residual([Linear(2, 2), "tanh"]),
    "an activation": lambda: "sigmoid",
}


def parts(node):
    """The node, and all that it is made of."""
    return [node, *(part for child in children(node) for part in parts(child))]


def of(*layers, shape=(2, 2)):
    return Network.sequential(shape, [*layers, Flatten(), Linear(4, 1)])


@pytest.mark.parametrize("second", LAYERS)
@pytest.mark.parametrize("first", [*LAYERS, "an embedding"])
def test_what_two_layers_and_an_activation_make_has_names_of_its_own(first, second):
    made = Embedding(3, 2) if first == "an embedding" else LAYERS[first]()
    network = of(made, LAYERS[second](), "relu", shape=(2, 3) if first == "an embedding" else (2, 2))
    names = Counter(equation.array.name for equation in network.built.equations)
    assert max(names.values()) == 1, names.most_common(2)


@pytest.mark.parametrize("function", ["relu", "tanh"])
def test_an_activation_of_what_attention_gives(function, order):
    """Its shares are v of the layer as well."""
    d = fcsym.derive(of(MultiheadAttention(2, 1), function), order)
    assert d.proof.holds
    assert fcsym.check(d, trials=50).passed
    assert fcsym.scheme(d.network, "states", order).proof.holds


@pytest.mark.parametrize("joined", [Add(), Concatenate()], ids=["added", "beside each other"])
def test_two_functions_of_one_array_are_derived_and_certified(joined, order):
    """Both read it: its adjoint is what both send back, and no letter of one sum is that of another."""
    network = Network.sequential(
        2,
        [
            Node(Linear(2, 2), "both"),
            Node("relu", "one", of="both"),
            Node("tanh", "other", of="both"),
            Node(joined, "joined", of=("one", "other")),
            Linear(2 if isinstance(joined, Add) else 4, 1),
        ],
    )
    d = fcsym.derive(network, order)
    assert d.proof.holds
    assert fcsym.check(d, trials=100).passed
    made = d.certificate()
    assert not made.admitted
    need("coqc")
    assert checked(made)


def test_a_letter_is_bound_once_whatever_its_axis():
    """Two axes may have the same letter, which Coq would take for one index."""
    rows, columns = Axis("rows"), Axis("columns")
    i, j, other = Index(rows, "i"), Index(rows, "j"), Index(columns, "i")
    a, b = (Array(name, None, (rows, columns)) for name in "ab")
    node = add(
        mul(total(other, a[i, other]), total(other, b[i, other])), total((j, other), mul(a[j, other], b[i, other]))
    )
    made = lettered(node, {"i"})
    assert equal(made, node)
    bound = [index for part in parts(made) if isinstance(part, Total) for index in part.over]
    assert len({index.letter for index in bound} | {"i"}) == len(bound) + 1
    assert lettered(made, {"i"}) == made


@pytest.mark.parametrize("layer", [RNN, GRU, LSTM])
def test_a_recurrence_has_a_bias_of_what_it_reads_and_one_of_what_it_kept(layer, order):
    """As PyTorch has them; the oracle of a check reads both, each with its own map."""
    d = fcsym.derive(of(layer(2, 2)), order)
    assert fcsym.check(d, trials=30).passed


def test_a_unit_that_reads_the_largest_of_its_own_may_still_be_woken_by_what_it_shares():
    """Shares of e^(U + V x), V for all units: with a closed gate U stays, and V does not."""
    i, j, k = indices("i j k")
    x, u, v, w = input_("x", j), parameter("U", i, j), parameter("V", j), parameter("W", k, i)
    z, top, q, e, whole, s, h, y = (
        hidden(name, *over)
        for name, over in (
            ("z1", (i, j)), ("top", (i,)), ("q1", (i, j)), ("e1", (i, j)), ("whole", (i,)), ("s1", (i,)), ("h1", (i,)),
            ("y", (k,)),
        )
    )  # fmt: skip
    network = Network.from_equations(
        [
            (z[i, j], u[i, j] + v[j] * x[j]),
            (top[i], greatest(j, z[i, j])),
            (q[i, j], z[i, j] - top[i]),
            (e[i, j], apply(fcsym.smooth("power", exp(Symbol("t", real=True))), q[i, j])),
            (whole[i], total(j, e[i, j])),
            (s[i], total(j, e[i, j] * x[j]) / whole[i]),
            (h[i], apply("relu", s[i])),
            (y[k], total(i, w[k, i] * h[i])),
        ],
        {"i": 2, "j": 2, "k": 1},
    )
    d = fcsym.derive(network)
    assert not d.proof.refuted
    assert d.proof.case("dh1", "dead -> active").possible
    assert fcsym.check(d, trials=100).passed
