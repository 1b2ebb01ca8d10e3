"""`states` of networks of layers: what linear maps make of the data trains in place of their weights."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import few, need_package

import fcsym
from fcsym.cli import main
from fcsym.closed.costs import compare, cost
from fcsym.language.expression import ZERO, add, mul
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Add,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MultiheadAttention,
    Node,
    Residual,
)
from fcsym.proof.schemes import prove_scheme

RULE = {"batch": "mean", "rule": fcsym.rule("momentum", weight_decay="0.1")}


def net(shape, *layers, **settings):
    return fcsym.Network.sequential(shape, layers, **settings)


NETWORKS = {
    "convolution": net((1, 3, 3), Conv2d(1, 2, 2), "relu", Flatten(), Linear(8, 2)),
    "strided": net((2, 7), Conv1d(2, 3, 3, stride=2, padding=1, dilation=2), "tanh", Flatten(), Linear(9, 2)),
    "groups": net((2, 3), Conv1d(2, 2, 2, groups=2, bias=False), "relu", Flatten(), Linear(4, 1)),
    "pooled": net((1, 4, 4), AvgPool2d(2), Conv2d(1, 2, 2), "relu", Flatten(), Linear(2, 1)),
    "recurrence": net((3, 2), RNN(2, 2), Linear(2, 2), loss="cross_entropy"),
    "lstm": net((2, 3), LSTM(3, 2, last=True), Linear(2, 1)),
    "gru": net((2, 3), GRU(3, 2, last=True), Linear(2, 1)),
    "tokens": net((3, 4), Embedding(4, 2), RNN(2, 2, last=True), Linear(2, 1)),
    "attention": net((2, 4), MultiheadAttention(4, 2), Flatten(), Linear(8, 2)),
    "residual": net((3, 2), Residual([MultiheadAttention(2, 1, bias=False)]), Flatten(), Linear(6, 1)),
    "dense": net((3,), Linear(3, 2), "tanh", Linear(2, 1)),
    "read-out": net((2, 2), Flatten(), Linear(4, 2)),
}
LEFT = {
    "convolution": "s1 in place of W1 b1", "strided": "s1 in place of W1 b1", "groups": "s1 in place of W1",
    "pooled": "s2 in place of W2 b2", "recurrence": "z1 in place of W1", "tokens": "s1 in place of W1",
    "lstm": "zi1 zf1 zg1 zo1 in place of Wi1 Wf1 Wg1 Wo1", "gru": "zr1 zz1 zn1 in place of Wr1 Wz1 Wn1",
    "attention": "sq1 sk1 sv1 in place of Wq1 bq1 Wk1 bk1 Wv1 bv1",
    "residual": "sq1 sk1 sv1 in place of Wq1 Wk1 Wv1", "dense": "s1 in place of W1 b1",
    "read-out": "y in place of W2 b2",
}  # fmt: skip


def numbers(network, seed, scale=0.5):
    """Weights, an input and a target; tokens where the network reads them."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=network.shape(a)) * scale for a in network.parameters]
    lead = (3,) if network.batch else ()
    x = rng.normal(size=(*lead, *network.one_input))
    if network.tokens:
        x = rng.integers(network.tokens, size=x.shape[:-1])
    target = np.abs(rng.normal(size=(*lead, *network.one_target)))
    return weights, x, target / target.sum(axis=-1, keepdims=True)


def trained(kernel, weights, x, target, steps=20, eta=0.05):
    """The weights after some steps, and the output of the network then."""
    state = kernel.init(weights, x)
    for _ in range(steps):
        state = kernel.step(state, x, target, eta)
    expanded = kernel.expand(state, weights, x)
    return [np.asarray(array) for array in (*expanded, kernel.output(state, x))]


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_maps_that_read_data_leave(kind):
    network = NETWORKS[kind]
    s = fcsym.scheme(network, "states")
    kept = {a.name for a in s.state}
    gone = [a.name for a in network.parameters if a.name not in kept]
    made = [a.name for a in s.state if a.role.value == "pre-activation"]
    assert f"{' '.join(made)} in place of {' '.join(gone)}" == LEFT[kind]


@pytest.mark.parametrize("kind", few(NETWORKS, 6))
def test_every_equation_is_proved_twice(kind):
    s = fcsym.scheme(NETWORKS[kind], "states")
    assert s.proof.holds, s.proof
    of_step = set(s.base.by_name)
    own = [f for f in s.proof.findings if f.equation.partition(": ")[2] not in of_step]
    assert len(own) > 2
    for finding in own:
        abbreviation = finding.verdict.value == "DEFINITION"
        assert abbreviation or finding.index == "identical", finding
        assert abbreviation or finding.expanded == "identical at random points", finding


@pytest.mark.parametrize("kind", few(NETWORKS, 2, turn=3))
def test_batches_with_momentum_and_decay_are_proved(kind):
    s = fcsym.scheme(NETWORKS[kind], "states", **RULE)
    assert s.proof.holds, s.proof
    assert {"kept", "mkept"} <= {a.name for a in s.state}


@pytest.mark.parametrize("kind", few(["lstm", "convolution", "gru", "attention"], 2, turn=1))
def test_the_sequential_order_is_another_step(kind):
    network = NETWORKS[kind]
    s = fcsym.scheme(network, "states", "sequential", rule="nesterov")
    assert s.proof.holds, s.proof
    given = numbers(network, 3)
    ours = trained(s.compile(), *given)
    theirs = trained(fcsym.scheme(network, "backprop", "sequential", rule="nesterov").compile(), *given)
    other = trained(fcsym.scheme(network, "states", rule="nesterov").compile(), *given)
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-12)
    assert max(np.abs(a - b).max() for a, b in zip(ours, other, strict=True)) > 1e-6


def changed(scheme, part, name, rhs):
    """The scheme with another right-hand side in one equation."""
    routine = scheme.routines[part]
    equations = tuple(replace(e, rhs=rhs(e.rhs)) if e.name == name else e for e in routine.equations)
    routines = {**scheme.routines, part: replace(routine, equations=equations)}
    return replace(scheme, routines=routines)


@pytest.mark.parametrize(
    ("part", "name"),
    [("init", "G1"), ("init", "C1"), ("init", "X1"), ("step", "ds1"), ("step", "C1_new"), ("expand", "W1"),
     ("expand", "b1")],
)  # fmt: skip
def test_a_wrong_equation_is_refuted(part, name):
    s = fcsym.scheme(NETWORKS["convolution"], "states")
    for wrong in (lambda rhs: mul(2, rhs) if rhs != ZERO else add(1), lambda rhs: add(rhs, 1)):
        found = prove_scheme(changed(s, part, name, wrong))
        assert not all(proof.holds for proof in found.values()), (part, name)
    (finding,) = (f for f in found[part].findings if f.equation == name)
    assert finding.verdict.value in ("REFUTED", "UNDECIDED")


def test_a_wrong_gate_of_a_recurrence_is_no_scheme():
    s = fcsym.scheme(NETWORKS["lstm"], "states")
    for part, name in (("step", "adj_zf1"), ("step", "zi1_new"), ("step", "si1_t2"), ("output", "so1_t1")):
        found = prove_scheme(changed(s, part, name, lambda rhs: mul(2, rhs)))
        assert not all(proof.holds for proof in found.values()), (part, name)


def test_a_refutation_has_numbers_that_anyone_can_check():
    network = net((1, 2, 2), Conv2d(1, 1, 1, bias=False), "relu", Flatten(), Linear(4, 1, bias=False))
    s = fcsym.scheme(network, "states")
    proof = prove_scheme(changed(s, "step", "C1_new", lambda rhs: mul(2, rhs)))["step"]
    finding = proof.verdict("C1_new")
    assert finding.verdict.value == "REFUTED"
    assert finding.counterexample.derived != finding.counterexample.true
    assert {"W1[1, 1, 1, 1]", "x[1, 1, 1]"} <= set(finding.counterexample.point)


# ------------------------------------------------------------------------------------------------- beside PyTorch


def torch_module(torch, name):
    """The same network of PyTorch's own layers, and how its parameters are ours."""
    nn = torch.nn

    class Read(nn.Module):
        """A recurrence, or attention, and what reads it."""

        def __init__(self, inner, outer):
            super().__init__()
            self.inner, self.outer = inner, outer

        def forward(self, x):
            if isinstance(self.inner, nn.MultiheadAttention):
                return self.outer(self.inner(x, x, x)[0].flatten(1))
            return self.outer(self.inner(x)[0][:, -1])

    made = {
        "convolution": lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)),
        "strided": lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2), nn.Tanh(), nn.Flatten(), nn.Linear(9, 2)
        ),
        "lstm": lambda: Read(nn.LSTM(3, 2, batch_first=True), nn.Linear(2, 1)),
        "attention": lambda: Read(nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(8, 2)),
        "dense": lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)),
    }
    return made[name]().double()


def of_torch(network, name, state):
    """PyTorch's parameters in our names and shapes."""
    arrays = {key: value.detach().numpy() for key, value in state.items()}
    if name == "lstm":
        rows = [arrays[f"inner.{key}_l0"] for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        first = [part for row in rows for part in np.split(row, 4)]
        return [*first, arrays["outer.weight"], arrays["outer.bias"]]
    if name == "attention":
        weights, biases = (np.split(arrays[f"inner.in_proj_{k}"], 3) for k in ("weight", "bias"))
        first = [a.copy() for pair in zip(weights, biases, strict=True) for a in pair]
        rest = ["inner.out_proj.weight", "inner.out_proj.bias", "outer.weight", "outer.bias"]
        first += [arrays[key] for key in rest]
        return [a.reshape(network.shape(theta)) for a, theta in zip(first, network.parameters, strict=True)]
    return [a.reshape(network.shape(theta)) for a, theta in zip(arrays.values(), network.parameters, strict=True)]


@pytest.mark.parametrize("kind", few(["convolution", "strided", "lstm", "attention", "dense"], 3, turn=2))
def test_twenty_steps_are_those_of_pytorch(kind):
    torch = need_package("torch")
    torch.manual_seed(0)
    module, network = torch_module(torch, kind), NETWORKS[kind]
    s = fcsym.scheme(network, "states", rule=fcsym.rule("nesterov", beta=0.8, weight_decay="0.05"), batch="mean")
    weights = of_torch(network, kind, module.state_dict())
    start = [w.copy() for w in weights]
    rng = np.random.default_rng(1)
    x, target = rng.normal(size=(4, *network.one_input)), rng.normal(size=(4, *network.one_target))
    ours = trained(s.compile(), start, x, target)
    optimiser = torch.optim.SGD(module.parameters(), 0.05, momentum=0.8, nesterov=True, weight_decay=0.05)
    inputs, goals = torch.tensor(x), torch.tensor(target)
    for _ in range(20):
        optimiser.zero_grad()
        ((module(inputs) - goals) ** 2).sum(dim=-1).mul(0.5).mean().backward()
        optimiser.step()
    theirs = [*of_torch(network, kind, module.state_dict()), module(inputs).detach().numpy()]
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------------------------------------------- programs


@pytest.mark.parametrize("kind", few(NETWORKS, 8))
def test_numpy_trains_as_backpropagation_does(kind):
    for settings in ({}, RULE):
        s = fcsym.scheme(NETWORKS[kind], "states", **settings)
        given = numbers(s.network, 0)
        theirs = trained(fcsym.scheme(NETWORKS[kind], "backprop", **settings).compile(), *given)
        for mine, wanted in zip(trained(s.compile(), *given), theirs, strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", few(NETWORKS, 2, turn=4))
def test_other_targets_train_alike(kind):
    need_package("torch")
    for settings in ({}, RULE):
        s = fcsym.scheme(NETWORKS[kind], "states", **settings)
        given = numbers(s.network, 1)
        wanted = trained(s.compile(), *given)
        for target in few(["c", "torch"], 1, turn=len(settings) // 2):
            for mine, array in zip(trained(s.compile(target), *given), wanted, strict=True):
                np.testing.assert_allclose(mine, array, rtol=1e-10, atol=1e-12)


def test_jax_trains_alike():
    jax = need_package("jax")
    s = fcsym.scheme(NETWORKS["convolution"], "states")
    given = numbers(s.network, 2)
    with jax.enable_x64(True):
        ours = trained(s.compile("jax"), *given, steps=3)
    for mine, wanted in zip(ours, trained(s.compile(), *given, steps=3), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", few(NETWORKS, 3, turn=2))
def test_a_check_against_autodiff_passes(kind):
    for settings in ({}, RULE):
        s = fcsym.scheme(NETWORKS[kind], "states", **settings)
        assert fcsym.check(s, trials=6, steps=10).passed


STILL = {
    "a shared bias, a frozen one": (fcsym.Network.parse("3-4-2", bias=True).shared("b1", "b2").frozen("b2"), "W1"),
    "a frozen first bias": (fcsym.Network.parse("3-4-3-2", bias=True).frozen("b1", "W2"), "W1"),
    "a frozen first matrix": (fcsym.Network.parse("3-4-2", bias=True).frozen("W1"), "W1"),
    "frozen above": (NETWORKS["convolution"].frozen("b2"), "W1 b1"),
    "a frozen bias beside a map": (NETWORKS["strided"].frozen("b1"), "W1"),
    "some of the gates": (NETWORKS["lstm"].frozen("Wi1", "Uf1", "b2"), "Wf1 Wg1 Wo1"),
}


@pytest.mark.parametrize("kind", STILL)
def test_parameters_that_training_leaves_stay_where_they_are(kind):
    """Proved, and trained beside autodiff; a weight that z takes the place of is gone, what training leaves is not."""
    network, gone = STILL[kind]
    s = fcsym.scheme(network, "states", **RULE)
    kept = {a.name for a in s.state}
    assert {theta.name for theta in network.parameters} - kept == set(gone.split())
    assert s.proof.holds
    assert fcsym.check(s, trials=4, steps=6).passed
    given = numbers(s.network, 0)
    after = trained(s.compile(), *given)
    for theta, mine, begun in zip(network.parameters, after, given[0], strict=False):
        assert (theta in network.trained) != np.array_equal(mine, begun), theta


def test_many_networks_train_at_once():
    s = fcsym.scheme(NETWORKS["recurrence"], "states")
    singles = [numbers(s.network, seed) for seed in range(3)]
    weights = [np.stack(rows) for rows in zip(*(one[0] for one in singles), strict=True)]
    x, target = (np.stack([one[n] for one in singles]) for n in (1, 2))
    together = trained(s.compile(), weights, x, target)
    for n, one in enumerate(singles):
        for mine, wanted in zip(together, trained(s.compile(), *one), strict=True):
            np.testing.assert_allclose(mine[n], wanted, rtol=1e-12, atol=1e-14)


def test_a_file_trains_alone(tmp_path):
    small = net((1, 2, 3), Conv2d(1, 1, 2, bias=False), "relu", Flatten(), Linear(2, 1, bias=False))
    for number, settings in enumerate(({}, {"batch": "mean"})):
        s = fcsym.scheme(small, "states", **settings)
        path = tmp_path / f"alone{number}.py"
        s.export(path)
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "agree with exact evaluation" in done.stdout, done.stderr
        space = {"__name__": "alone"}
        exec(compile(path.read_text(), path, "exec"), space)
        weights, x, _ = numbers(s.network, 4)
        state = space["init"](weights, x)
        np.testing.assert_allclose(space["output"](state, x), s.compile().output(s.compile().init(weights, x), x))
        with pytest.raises(ValueError, match=r"init was(?: not)? given"):
            space["output"](state, x + 1)


# ---------------------------------------------------------------------------------------------------- refusals


def test_another_input_is_refused():
    for settings, said in (({}, "x is not the input"), ({"batch": "sum"}, "sample 2 of x is not the one")):
        s = fcsym.scheme(NETWORKS["convolution"], "states", **settings)
        weights, x, target = numbers(s.network, 5)
        k = s.compile()
        state = k.init(weights, x)
        other = x.copy()
        other[(1,) if settings else ()] += 0.5
        with pytest.raises(fcsym.ArgumentError, match=said):
            k.step(state, other, target, 0.1)
        k.step(state, None, target, 0.1)
    with pytest.raises(fcsym.ArgumentError, match=r"x has 2 samples and state\.s1 has 3"):
        k.step(state, x[:2], target[:2], 0.1)


@pytest.mark.parametrize("rule", ["adam", "rmsprop", "adamw"])
def test_rules_that_are_not_linear_are_refused(rule):
    with pytest.raises(fcsym.ArgumentError, match=f"linear in the gradient, and that of .* is {rule}"):
        fcsym.scheme(NETWORKS["recurrence"], "states", rule=rule, batch="mean")


def test_a_network_without_such_a_map_is_refused():
    network = net((3, 4), LayerNorm(4), MultiheadAttention(4, 2), Flatten(), Linear(12, 1))
    with pytest.raises(fcsym.ArgumentError, match=r"none reads the input with weights that nothing else reads"):
        fcsym.scheme(network, "states")


def test_history_is_refused_with_its_reason():
    said = r"history is derived for stacks .*\(.*coefficient.*\).*choose states"
    with pytest.raises(fcsym.ArgumentError, match=said):
        fcsym.scheme(NETWORKS["recurrence"], "history")


# -------------------------------------------------------------------------------------------- where it saves


def costs(network, **settings):
    """What the scheme and backpropagation cost."""
    return [cost(fcsym.scheme(network, name, **settings)) for name in ("states", "backprop")]


def saved(network, **settings):
    """Whether the scheme takes less than backpropagation at the sizes of the network: state, and operations."""
    ours, theirs = costs(network, **settings)
    return tuple(ours.at(getattr(ours, what)) < theirs.at(getattr(theirs, what)) for what in ("state", "operations"))


def test_the_sizes_from_which_it_saves_are_those_at_which_it_does():
    """The sentence about one size of one network, beside networks that have other sizes."""

    def images(channels):
        return net((channels, 4, 4), Conv2d(channels, 3, 2, stride=2), "relu", Flatten(), Linear(12, 2))

    def steps(features):
        return net((3, features), RNN(features, 2, last=True), Linear(2, 1))

    for made, size, sizes in ((images, "C_0", (1, 9)), (steps, "n_0", (5,))):
        found = [saved(made(n)) for n in range(1, 17)]
        state, operations = (1 + [each[k] for each in found].index(True) for k in range(2))
        assert all(each[0] for each in found[state - 1 :]) and all(each[1] for each in found[operations - 1 :])
        said = f"it saves state from {size} = {state} on and operations from {size} = {operations} on"
        assert all(said in compare(*costs(made(n))) for n in sizes)


def test_more_samples_than_these_save_nothing():
    network = net((6, 4), Conv1d(6, 4, 2, stride=2), "relu", Flatten(), Linear(8, 2))
    found = [saved(network, batch="sum", samples=n) for n in range(1, 16)]
    state, operations = ([each[k] for each in found].index(False) for k in range(2))
    assert 0 < state < operations
    said = f"it saves state up to N = {state} and operations up to N = {operations};"
    assert said in compare(*costs(network, batch="sum", samples=2))


# -------------------------------------------------------------------------------------------- files and commands

TABLE = """
shape = [1, 3, 3]
[[layers]]
kind = "conv2d"
out_channels = 1
kernel_size = 2
bias = false
activation = "relu"
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out_features = 1
bias = false
"""


def test_commands_take_it_from_a_file(tmp_path, capsys):
    path = tmp_path / "net.toml"
    path.write_text(TABLE)
    assert main(["cost", str(path), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)["schemes"]
    assert set(table) == {"backprop", "states"} and "C_0" in table["states"]["against_backprop"]
    assert main(["check", str(path), "--scheme", "states", "--trials", "3", "--steps", "3", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["passed"] and checked["refuted"] == 0 and checked["proved"] > 4
    written = tmp_path / "states.tex"
    assert main(["derive", str(path), "--scheme", "states", "-o", str(written)]) == 0
    assert r"G^{(1)}" in written.read_text()
    assert main(["export", str(path), "--scheme", "states", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "update.py").exists()
    capsys.readouterr()
    assert main(["export", str(path), "--scheme", "history", "-o", str(tmp_path / "no")]) == 2
    assert "history is derived for stacks" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_layer_of_ones_own_is_found_by_its_arrays():
    """Two maps read the input, one of them twice removed from the output, and a third reads what they make."""
    from fcsym.equations import apply, hidden, indices, input_, parameter, total

    i, j, k = indices("i j k")
    x, u, w, v = input_("x", j), parameter("U", i, j), parameter("W", i, j), parameter("V", k, i)
    a, g, h, y = hidden("a", i), hidden("g", i), hidden("h", i), hidden("y", k)
    written = [
        (a[i], total(j, u[i, j] * x[j])),
        (g[i], apply("sigmoid", a[i])),
        (h[i], g[i] * total(j, w[i, j] * x[j])),
        (y[k], total(i, v[k, i] * h[i])),
    ]
    network = fcsym.Network.from_equations(written, {"i": 2, "j": 3, "k": 1})
    s = fcsym.scheme(network, "states")
    assert "U" not in [array.name for array in s.state] and s.proof.holds
    given = numbers(network, 6)
    theirs = trained(fcsym.scheme(network, "backprop").compile(), *given)
    for mine, wanted in zip(trained(s.compile(), *given), theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-10, atol=1e-12)


def test_handwritten_digits_without_the_weights_of_the_convolution():
    """scikit-learn's digits, 8 x 8: the convolution trains on the inner products of its patches, beside backprop."""
    need_package("sklearn")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, labels = images[:16].reshape(16, 1, 8, 8) / 16, labels[:16]
    network = net((1, 8, 8), Conv2d(1, 4, 4, stride=4), "relu", Flatten(), Linear(16, 10), loss="cross_entropy")
    settings = {"batch": "mean", "rule": "momentum"}
    schemes = [fcsym.scheme(network, name, **settings) for name in ("states", "backprop")]
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(a)) / 4 for a in network.parameters]
    ours, theirs = (trained(s.compile(), weights, x, labels, steps=60, eta=0.2) for s in schemes)
    for mine, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-9)
    assert (ours[-1].argmax(axis=-1) == labels).mean() > 0.9


@pytest.mark.parametrize("bias", [True, False])
def test_maps_of_the_same_data_share_inner_products_where_they_have_as_many_biases(bias):
    """A bias is one more input, which is always 1: with it the inner products are other ones."""
    maps = [Node(Linear(2, 1), "a", ("x",)), Node(Linear(2, 1, bias=bias), "b", ("x",)), Node(Add(), "c", ("a", "b"))]
    s = fcsym.scheme(net((2,), *maps, "tanh", Linear(1, 1)), "states")
    x = np.array([0.5, -2.0])
    weights = [np.ones(s.network.shape(a)) for a in s.network.parameters]
    state = s.compile().init(weights, x)._asdict()
    assert {k: float(v) for k, v in state.items() if k[0] == "G"} == {"G1": x @ x + 1} | ({} if bias else {"G2": x @ x})


def test_training_that_leaves_the_range_and_gradients_that_cancel_are_no_disagreement():
    """The bias of keys moves nothing, so that its gradient is what rounding leaves; some of the networks diverge."""
    network = fcsym.Network([MultiheadAttention(4, 2), Flatten(), Linear(8, 2)], input=(2, 4), loss="cross_entropy")
    scheme = fcsym.scheme(network, "states")
    assert fcsym.check(scheme, trials=20, steps=30).passed
    found = fcsym.check(scheme, trials=60, steps=40)
    assert found.passed and 0 < found.left_out < 30
