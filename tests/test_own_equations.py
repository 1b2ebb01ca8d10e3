"""Networks of one's own: forward equations that no layer has, taken through everything."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import need_package

from fcsym import Linear, Network, NetworkError, check, derive
from fcsym.equations import apply, hidden, indices, input_, parameter, total
from fcsym.language import names

i, j, k, m = indices("i j k m")
x, U, V, W, b = input_("x", j), parameter("U", i, j), parameter("V", i, j), parameter("W", k, i), parameter("b", k)
s, t, h, v, y = (*(hidden(name, i) for name in "sthv"), hidden("y", k))
SIZES = {"i": 3, "j": 2, "k": 2}
GATED = [
    (s[i], total(j, U[i, j] * x[j])),
    (t[i], total(j, V[i, j] * x[j])),
    (h[i], apply("sigmoid", t[i])),
    (v[i], s[i] * h[i]),
    (y[k], total(i, W[k, i] * v[i]) + b[k]),
]


z = hidden("z", k)
LOGITS = [*GATED[:4], (z[k], GATED[4][1])]


def gated(**more):
    return Network.from_equations(LOGITS if "output" in more else GATED, SIZES, **more)


@pytest.mark.parametrize("more", [{}, {"loss": "cross_entropy"}, {"output": "sigmoid", "loss": "bce"}], ids=str)
@pytest.mark.parametrize("setting", [{}, {"order": "sequential"}, {"batch": "mean", "samples": 2}], ids=str)
def test_it_is_proved(more, setting):
    d = derive(gated(**more), **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]


def test_a_step_is_that_of_pytorch():
    torch = need_package("torch")
    net, rng = gated(), np.random.default_rng(0)
    weights = [rng.normal(size=net.shape(a)) for a in net.parameters]
    source, target = rng.normal(size=2), rng.normal(size=2)
    after = derive(net).compile().step(weights, source, target, 0.1)
    u, w, out, shift = own = [torch.tensor(a, requires_grad=True) for a in weights]
    at = torch.tensor(source)
    made = out @ ((u @ at) * torch.sigmoid(w @ at)) + shift
    (((made - torch.tensor(target)) ** 2).sum() / 2).backward()
    for array, given in zip(net.parameters, own, strict=True):
        np.testing.assert_allclose(
            getattr(after, f"{array.name}_new"), (given - 0.1 * given.grad).detach(), rtol=1e-13, atol=1e-15
        )
    np.testing.assert_allclose(after.y_front, after.y_new, rtol=1e-12)


c = parameter("c", i)
SHIFTED = [GATED[0], (t[i], GATED[1][1] + c[i]), *GATED[2:]]


@pytest.mark.parametrize("setting", [{}, {"order": "sequential"}, {"batch": "mean", "samples": 2}], ids=str)
@pytest.mark.parametrize("equations", [SHIFTED, [SHIFTED[1], SHIFTED[0], *SHIFTED[2:]]], ids=["after", "before"])
@pytest.mark.parametrize("frozen", [(), ("c",), ("U",)], ids=str)
def test_two_maps_of_the_same_move_by_its_norm_each_in_its_own_way(equations, frozen, setting):
    d = derive(Network.from_equations(equations, SIZES).frozen(*frozen), **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]
    assert check(d, trials=8)
    norm = d["a_x"].latex()
    assert r"a^{\mathrm{x}}" in norm and ("+ 1" in norm) == (frozen == ("U",))


def test_equations_are_sorted():
    net = Network.from_equations([*GATED[3::-1], GATED[4]], SIZES)
    assert [e.name for e in net.own.equations][-2:] == ["v", "y"]
    assert derive(net).proof.holds


WRONG = {
    "circle": ([(s[i], t[i] * 2), (t[i], s[i] * 2), (y[k], total(i, W[k, i] * t[i]))], "circle"),
    "undefined": ([(s[i], t[i] * 2), (y[k], total(i, W[k, i] * s[i]))], "nothing defines"),
    "unbound": ([(s[i], U[i, j] * x[j]), (y[k], total(i, W[k, i] * s[i]))], "nothing binds"),
    "not linear": ([GATED[0], (y[k], total(i, W[k, i] * s[i] ** 2))], "not linear"),
    "twice": ([GATED[0], GATED[0], GATED[4]], "defined twice"),
    "unread": ([*GATED[:2], (y[k], total(i, W[k, i] * s[i]))], "Nothing reads t"),
    "no pair": ([s[i]], "write a pair"),
    "none": ([], "no equations"),
    "a parameter": ([(U[i, j], x[j] + 0), (y[k], total(i, W[k, i] * s[i]))], "define another array"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_network_is_refused(name):
    equations, said = WRONG[name]
    with pytest.raises(NetworkError, match=said):
        Network.from_equations(equations, SIZES)


def test_sizes_are_those_of_the_indices():
    with pytest.raises(NetworkError, match="sizes has no 'k'"):
        Network.from_equations(GATED, {"i": 3, "j": 2})
    with pytest.raises(NetworkError, match="sizes has 'm'"):
        Network.from_equations(GATED, {**SIZES, "m": 2})
    with pytest.raises(NetworkError, match="whole number"):
        Network.from_equations(GATED, {**SIZES, "k": 0})


def test_a_shape_that_does_not_fit_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match="has the axes"):
        W[i, k]


@pytest.mark.parametrize("name", ["eta", "vc", "E", "adj_y", "W_new", "ds"])
def test_a_name_that_means_something_is_refused(name):
    other = hidden(name, i)
    equations = [GATED[0], (other[i], apply("tanh", s[i])), (y[k], total(i, W[k, i] * other[i]))]
    with pytest.raises(NetworkError, match="taken"):
        Network.from_equations(equations, SIZES)


def test_what_the_output_activation_gives_is_y():
    with pytest.raises(NetworkError, match="'y' is taken"):
        Network.from_equations(GATED, SIZES, output="sigmoid")


def test_names_are_checked():
    for name in ("a b", "lambda", "__import__('os')", "x" * 99):
        with pytest.raises(NetworkError):
            hidden(name, i)


RESERVED = ("yg", "vc", "vz", "key", "dy")  # quantities of every derivation, which are refused


@pytest.mark.parametrize("name", sorted({*names._LATEX, "h3", "gain"} - {*RESERVED}))
def test_an_array_of_ones_own_is_typeset_as_it_is_called(name, tmp_path):
    """Some are names of quantities of a scheme, or of an update rule, which have a letter of another kind."""
    letter = f"\\{name}" if name in names.GREEK else name if len(name) == 1 else f"\\mathrm{{{name}}}"
    R = parameter("R", k, i)
    for made, weight in ((hidden(name, i), U), (hidden("a", i), parameter(name, i, j))):
        first = (made[i], total(j, weight[i, j] * x[j]))
        network = Network.from_equations([first, (y[k], total(i, R[k, i] * made[i]))], SIZES)
        typeset = derive(network)[made.name].latex()
        assert f"{letter}_{{" in typeset
    derive(network).save(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 1000


@pytest.mark.parametrize("name", RESERVED)
def test_a_name_of_every_derivation_is_taken(name):
    made = hidden(name, i)
    with pytest.raises(NetworkError, match=r"is taken"):
        Network.from_equations([(made[i], total(j, U[i, j] * x[j])), (y[k], total(i, W[k, i] * made[i]))], SIZES)


@pytest.mark.parametrize("setting", [{}, {"batch": "mean"}, {"order": "sequential"}], ids=str)
@pytest.mark.parametrize("functions", [("relu", "tanh"), ("leaky_relu", "silu"), ("tanh", "relu")], ids=str)
def test_a_function_may_be_applied_to_what_another_one_gives(functions, setting):
    """The cases of the first are those of its own unit, though its values are what the second one reads."""
    d = derive(Network.sequential((2,), [Linear(2, 2), *functions, Linear(2, 1)]), **setting)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict.name not in ("PROVED", "DEFINITION", "CHOSEN")]
    assert check(d, trials=2)
    (table,) = (e for e in d.equations if e.rule.name == "CASES")
    unit = d.network.unit_of(table.array)
    assert unit.v == table.array.of and not unit.activation.is_smooth
    assert {c.subject.array.unprimed for branch in table.rhs for c in branch.when} == {unit.s}
