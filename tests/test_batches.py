"""Mini-batches: derived, proved, and as PyTorch's own layers, losses and optimisers train; one p for all samples."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from conftest import few, need, need_package
from test_rules import torch_network

import fcsym
from fcsym.cli import main
from fcsym.language.expression import mul
from fcsym.networks.rules import rule
from fcsym.proof import prove

ORDERS = ("simultaneous", "sequential")
NETWORKS = [
    fcsym.Network.mlp([2, 4, 2], bias=True),
    fcsym.Network.mlp([3, 3, 2, 2], activation="tanh", output="sigmoid", loss="bce"),
    fcsym.Network.mlp([2, 3, 3], loss="cross_entropy", output="softmax", bias=True),
    fcsym.Network.mlp([2, 1], loss="huber"),
]


def weights_of(net, seed=0, scale=0.5):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=net.shape(a)) * scale for a in net.parameters]


@pytest.mark.parametrize("batch", ["mean", "sum"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_equation_is_proved_and_agrees_with_autodiff(order, batch):
    for net in NETWORKS:
        for update in few([None, "momentum", rule("adam", weight_decay="0.1")], 2, turn=len(net.layers)):
            d = fcsym.derive(net, order, batch=batch, rule=update)
            assert d.proof.holds, d.proof
            assert fcsym.check(d, trials=40).passed
            s = fcsym.scheme(net, "backprop", order, batch=batch, rule=update)
            assert s.proof.holds
            assert fcsym.check(s, trials=10, steps=10).passed


def test_a_wrong_equation_is_not_proved():
    for kind in ({"batch": "mean"}, {"batch": "sum", "rule": "momentum"}):
        d = fcsym.derive(NETWORKS[0], **kind)
        for place, equation in few(enumerate(d.equations), 16, turn=len(d.equations)):
            if not hasattr(equation.rhs, "branches") and equation.name != "Ki":
                wrong = replace(equation, rhs=mul(2, equation.rhs))
                proof = prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :])))
                assert not proof.holds, equation


def test_delta_of_a_softmax_is_what_people_write():
    d = fcsym.derive(fcsym.Network.mlp([2, 3, 3], output="softmax", loss="cross_entropy"))
    assert str(d["delta2"]) == "delta2[k] = y[k] - yg[k]"
    assert d.proof.verdict("delta2").verdict.value == "PROVED"
    of_batch = fcsym.derive(d.network, batch="mean")
    assert str(of_batch["delta2"]) == "delta2[n, k] = (y[n, k] - yg[n, k])/N"
    assert of_batch.proof.verdict("delta2").verdict.value == "PROVED"


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_of_one_sample_is_that_sample(order):
    net = NETWORKS[0]
    weights, rng = weights_of(net), np.random.default_rng(1)
    x, t = rng.normal(size=2), rng.normal(size=2)
    one = fcsym.derive(net, order).compile().step(weights, x, t, 0.1)
    for batch in ("mean", "sum"):
        many = fcsym.derive(net, order, batch=batch).compile().step(weights, x[None], t[None], 0.1)
        for array in net.parameters:
            name = array.primed.name
            np.testing.assert_allclose(getattr(many, name), getattr(one, name), rtol=1e-13)
    same = fcsym.derive(net, order, batch="mean").compile().step(weights, np.stack([x] * 4), np.stack([t] * 4), 0.1)
    np.testing.assert_allclose(same.W1_new, one.W1_new, rtol=1e-13)


def test_instances_that_are_smaller_mean_the_same():
    """Means over three outputs, a batch of one, and softmax with other losses: the proof's instance has two of each."""
    for net, kind in (
        (fcsym.Network.mlp([2, 2, 3], loss="mse"), {}),
        (fcsym.Network.mlp([2, 3, 4], output="sigmoid", loss="half_mse"), {"batch": "mean"}),
        (fcsym.Network.mlp([2, 2, 1]), {"batch": "mean", "samples": 1}),
        (fcsym.Network.mlp([2, 2, 3], output="softmax"), {"batch": "mean"}),
        (fcsym.Network.mlp([2, 3], output="softmax", loss="huber"), {"batch": "sum", "rule": "adam"}),
    ):
        d = fcsym.derive(net, **kind)
        assert d.proof.holds, d.proof
        assert fcsym.check(d, trials=20).passed
        assert fcsym.scheme(net, "backprop", **kind).proof.holds
    assert fcsym.scheme(net, "states", batch="mean", samples=1).proof.holds


def test_the_step_is_that_of_pytorch():
    torch = need_package("torch")
    net = fcsym.Network.mlp([4, 6, 3], activation="tanh", bias=True, loss="cross_entropy")
    weights, rng = weights_of(net), np.random.default_rng(2)
    for batch in ("mean", "sum"):
        theirs = torch_network(torch, net, weights)
        loss = torch.nn.CrossEntropyLoss(reduction=batch)
        optimiser = torch.optim.SGD(theirs.parameters(), 0.05, momentum=0.9, weight_decay=0.01)
        update = rule("momentum", weight_decay=0.01)
        made = fcsym.scheme(net, "backprop", rule=update, batch=batch)
        kernels = [made.compile("numpy"), made.compile("c")]
        states = [kernel.init(weights) for kernel in kernels]
        for _ in range(30):
            x, labels = rng.normal(size=(5, 4)), rng.integers(0, 3, size=5)
            optimiser.zero_grad()
            loss(theirs(torch.tensor(x)), torch.tensor(labels)).backward()
            optimiser.step()
            states = [kernel.step(state, x, labels, 0.05) for kernel, state in zip(kernels, states, strict=True)]
        for kernel, state in zip(kernels, states, strict=True):
            for array, parameter in zip(kernel.expand(state), theirs.parameters(), strict=True):
                np.testing.assert_allclose(array, parameter.detach().numpy(), rtol=1e-11, atol=1e-13)


# ------------------------------------------------------------------------------------------- one p for all samples


def test_a_batch_has_the_compensation_of_least_norm():
    net = fcsym.Network.mlp([3, 6, 2], activation="tanh", bias=True)
    weights, rng = weights_of(net, scale=1), np.random.default_rng(3)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    for order in ORDERS:
        d = fcsym.derive(net, order, batch="mean")
        step = d.compile().step(weights, x, t, 0.3)
        np.testing.assert_allclose(step.y_front, step.y_new, rtol=1e-9, atol=1e-9)
        wanted = (np.linalg.pinv(step.vc) @ (step.dv1 @ step.W2_new.T)).T  # NumPy's own least norm
        np.testing.assert_allclose(step.p, wanted, rtol=1e-6, atol=1e-8)
        finding = d.proof.verdict("p")
        assert finding.verdict.value == "CHOSEN" and finding.index == "identical"
        assert d.proof.verdict("compensation").verdict.value == "PROVED"
        unit_by_unit = step.W2_new * (step.dv1 / step.vc)[0]  # eq. 22 at the first sample: no p of the others
        assert np.abs(step.vc @ unit_by_unit.T - step.dv1 @ step.W2_new.T).max() > 1e-3


def test_more_samples_than_units_have_none():
    net = fcsym.Network.mlp([3, 3, 2], activation="tanh")
    weights, rng = weights_of(net, scale=1), np.random.default_rng(4)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    step = fcsym.derive(net, batch="mean").compile().step(weights, x, t, 0.3)
    assert bool(step.undefined)
    np.testing.assert_allclose(
        step.W1_new, fcsym.derive(net, batch="mean", samples=5).compile().step(weights, x, t, 0.3).W1_new
    )
    for name in ("p", "r", "y_front"):
        with pytest.raises(fcsym.UndefinedContribution, match=r"v\^c of the samples are linearly dependent"):
            getattr(step, name)
    rest = np.linalg.lstsq(step.vc, step.dv1 @ step.W2_new.T, rcond=None)[1]
    assert rest.max() > 1e-6  # and NumPy finds none
    known = fcsym.derive(net, batch="mean", samples=5)
    assert "p" not in known.by_name and known.proof.holds
    assert any("derived: the read-out serves 5 samples and reads 3 numbers" in said for said in known.assumptions)
    assert "p" in fcsym.derive(net, batch="mean", samples=3).by_name


def test_a_batch_has_six_digits_of_p_or_none():
    net = fcsym.Network.mlp([2, 4, 2], activation="identity")
    weights, rng = weights_of(net, scale=1), np.random.default_rng(10)
    kernel, seen = fcsym.derive(net, batch="mean").compile(), set()
    for apart in 10.0 ** -np.arange(1, 9):
        x = np.array([[1.0, 2.0], [1.0 + apart, 2.0]])
        step = kernel.step(weights, x, rng.normal(size=(2, 2)), 0.1, undefined="nan")
        seen.add(bool(step.undefined))
        assert step.undefined or np.abs(step.y_front - step.y_new).max() < 1e-5
    assert seen == {True, False}


def test_dead_units_count_for_nothing():
    net = fcsym.Network.mlp([2, 3, 1])
    weights = [np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.ones((1, 3))]
    x, t = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]]), np.zeros((3, 1))
    step = fcsym.derive(net, batch="sum").compile().step(weights, x, t, 0.01)  # two live units, three samples
    assert bool(step.undefined)
    marked = fcsym.derive(net, batch="sum").compile().step(weights, x, t, 0.01, undefined="nan")
    assert np.isnan(marked.p).all() and np.isfinite(marked.W1_new).all()
    both = (
        fcsym.derive(net, batch="sum").compile().step(weights, np.stack([x[:2], x[1:]]), np.stack([t[:2], t[1:]]), 0.01)
    )
    assert not both.undefined.any() and both.p.shape == (2, 1, 3)


# ------------------------------------------------------------------------------------------ states for a full batch


@pytest.mark.parametrize(
    "update", [None, "momentum", rule("nesterov", weight_decay="0.1"), rule("sgd", weight_decay="0.1")]
)
@pytest.mark.parametrize("order", ORDERS)
def test_states_for_a_full_batch(order, update):
    for net in few(NETWORKS, 2, turn=ORDERS.index(order)):
        weights, rng = weights_of(net), np.random.default_rng(5)
        x, t = rng.normal(size=(4, net.inputs)), rng.random((4, net.widths[-1]))
        t = t / t.sum(axis=-1, keepdims=True)
        s = fcsym.scheme(net, "states", order, batch="mean", rule=update)
        assert s.proof.holds, s.proof
        assert not {"W1", "b1"} & {array.name for array in s.state}
        reference = fcsym.scheme(net, "backprop", order, batch="mean", rule=update).compile()
        kernel = s.compile()
        state, other = kernel.init(weights, x), reference.init(weights)
        for _ in range(100):
            state, other = kernel.step(state, x, t, 0.05), reference.step(other, x, t, 0.05)
        np.testing.assert_allclose(kernel.output(state, x), reference.output(other, x), rtol=1e-9, atol=1e-11)
        for one, two in zip(kernel.expand(state, weights, x), reference.expand(other), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-11)
        assert fcsym.check(s, trials=10, steps=10).passed


def test_states_of_a_batch_refuse_by_name():
    net = NETWORKS[0]
    with pytest.raises(fcsym.ArgumentError, match=r"states needs an update rule that is linear in the gradient.*adam"):
        fcsym.scheme(net, "states", batch="mean", rule="adam")
    kernel = fcsym.scheme(net, "states", batch="mean").compile()
    rng = np.random.default_rng(6)
    x, t = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    state = kernel.init(weights_of(net), x)
    other = x.copy()
    other[1, 0] += 1e-6
    with pytest.raises(fcsym.ArgumentError, match="sample 2 of x is not the one that init was given"):
        kernel.step(state, other, t, 0.1)
    with pytest.raises(fcsym.ArgumentError, match="samples"):
        kernel.step(state, x[:2], t[:2], 0.1)
    for name in ("weights", "compensation", "history", "basis"):
        with pytest.raises(fcsym.ArgumentError, match=f"{name} trains on one sample at a time"):
            fcsym.scheme(fcsym.Network.parse("2-2-1"), name, batch="mean")


# -------------------------------------------------------------------------------------------------- networks of users


def test_handwritten_digits_as_pytorch():
    """scikit-learn's digits, 64-32-10, softmax cross-entropy, mini-batches of 32, momentum 0.9, 5 epochs."""
    torch = need_package("torch")
    need_package("sklearn")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    net = fcsym.Network.mlp([64, 32, 10], bias=True, output="softmax", loss="cross_entropy")
    weights = weights_of(net, scale=0.1)
    theirs = torch_network(torch, net, weights)
    optimiser = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()
    kernel = fcsym.scheme(net, "backprop", batch="mean", rule=fcsym.rule("momentum", beta=0.9, eta=0.1)).compile()
    state, rng = kernel.init(weights), np.random.default_rng(7)
    for _ in range(5):
        order = rng.permutation(len(images))
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            optimiser.zero_grad()
            loss(theirs(torch.tensor(images[chosen])), torch.tensor(labels[chosen])).backward()
            optimiser.step()
            state = kernel.step(state, images[chosen], labels[chosen])
    for array, parameter in zip(kernel.expand(state), theirs.parameters(), strict=True):
        assert np.abs(array - parameter.detach().numpy()).max() < 1e-10
    answers = kernel.output(state, images)
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    said = theirs(torch.tensor(images)).argmax(axis=1).numpy()
    np.testing.assert_array_equal(answers.argmax(axis=1), said)
    assert (said == labels).mean() > 0.97


def spiral():
    """Three arms of 100 points, as the course notes that the example is from make them."""
    rng, points, labels = np.random.default_rng(0), [], []
    for arm in range(3):
        radius = np.linspace(0, 1, 100)
        angle = np.linspace(arm * 4, (arm + 1) * 4, 100) + rng.normal(size=100) * 0.2
        points.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1))
        labels += [arm] * 100
    return np.concatenate(points), np.array(labels)


def test_a_spiral_in_one_batch_with_decay_as_pytorch():
    torch = need_package("torch")
    x, labels = spiral()
    net = fcsym.Network.mlp([2, 30, 3], bias=True, output="softmax", loss="cross_entropy")
    weights = weights_of(net, scale=0.3)
    theirs = torch_network(torch, net, weights)
    optimiser = torch.optim.SGD(theirs.parameters(), 1.0, weight_decay=1e-3)
    loss = torch.nn.CrossEntropyLoss()
    update = fcsym.rule("sgd", weight_decay=1e-3, eta=1.0)
    made = [fcsym.scheme(net, name, batch="mean", rule=update).compile() for name in ("backprop", "states")]
    states = [kernel.init(weights, x) for kernel in made]
    errors = []
    for _ in range(200):
        optimiser.zero_grad()
        error = loss(theirs(torch.tensor(x)), torch.tensor(labels))
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
        states = [kernel.step(state, x, labels) for kernel, state in zip(made, states, strict=True)]
    assert errors[-1] < 0.7 * errors[0]
    for kernel, state in zip(made, states, strict=True):
        for array, parameter in zip(kernel.expand(state, weights, x), theirs.parameters(), strict=True):
            np.testing.assert_allclose(array, parameter.detach().numpy(), rtol=1e-8, atol=1e-9)


def test_xor_with_tanh_and_binary_cross_entropy_as_pytorch():
    torch = need_package("torch")
    x, t = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    net = fcsym.Network.mlp([2, 4, 1], activation="tanh", bias=True, output="sigmoid", loss="bce")
    weights = weights_of(net, scale=1)
    theirs = torch_network(torch, net, weights)
    optimiser, loss = torch.optim.SGD(theirs.parameters(), 0.5), torch.nn.BCEWithLogitsLoss()
    kernel = fcsym.scheme(net, "backprop", batch="mean").compile()
    state = kernel.init(weights)
    for _ in range(500):
        optimiser.zero_grad()
        loss(theirs(torch.tensor(x)), torch.tensor(t)).backward()
        optimiser.step()
        state = kernel.step(state, x, t, 0.5)
    for array, parameter in zip(kernel.expand(state), theirs.parameters(), strict=True):
        np.testing.assert_allclose(array, parameter.detach().numpy(), rtol=1e-9)
    assert (np.round(kernel.output(state, x)) == t).all()


# ------------------------------------------------------------------------------------------------------- bad input


def test_bad_batches_are_one_sentence(capsys):
    net = NETWORKS[0]
    with pytest.raises(fcsym.ArgumentError, match="batch is 'median': choose mean or sum"):
        fcsym.derive(net, batch="median")
    for samples, said in ((0, "samples is 0"), (2.5, "samples is 2.5"), (True, "samples is True")):
        with pytest.raises(fcsym.ArgumentError, match=said):
            fcsym.derive(net, batch="mean", samples=samples)
    with pytest.raises(fcsym.ArgumentError, match="samples is given without a batch"):
        fcsym.derive(net, samples=3)
    kernel, state = fcsym.scheme(net, "backprop", batch="mean").compile(), weights_of(net)
    for x, t, said in (
        (np.ones((3, 2)), np.ones((2, 2)), "target has 2 samples and x has 3: give as many"),
        (np.ones((0, 2)), np.ones((0, 2)), "x has no samples: give at least one"),
        (np.ones(2), np.ones(2), r"x has shape \(2,\): it must be \(..., samples, 2\)"),
        (np.ones((3, 5)), np.ones((3, 2)), r"x has shape \(3, 5\): it must be \(..., samples, 2\)"),
    ):
        with pytest.raises(fcsym.ArgumentError, match=said):
            kernel.step(state, x, t, 0.1)
    fixed = fcsym.scheme(net, "backprop", batch="mean", samples=4).compile()
    with pytest.raises(fcsym.ArgumentError, match=r"x has shape \(3, 2\): it must be \(..., 4, 2\)"):
        fixed.step(state, np.ones((3, 2)), np.ones((3, 2)), 0.1)
    assert main(["derive", "2-2-1", "--batch", "median"]) == 2
    assert main(["derive", "2-2-1", "--samples", "3"]) == 2
    assert main(["cost", "2-2-1", "--batch", "mean"]) == 2
    assert "say how many samples a mini-batch has" in capsys.readouterr().err
    assert main(["cost", "2-2-1", "--batch", "mean", "--samples", "8", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["schemes"]
    assert set(found) == {"backprop", "states", "collapsed"}
    assert found["states"]["state_value"] > 64  # the inner products
    with pytest.raises(fcsym.ArgumentError, match="Closed forms are those of one sample"):
        fcsym.derive(net, batch="mean").expr("p")
    with pytest.raises(fcsym.CompileError, match="lambdify is for the gradient step on one sample"):
        fcsym.derive(net, batch="mean").compile("lambdify")
    with pytest.raises(fcsym.ArgumentError, match="does not say how many samples"):
        fcsym.cost_chart(net.training(batch="mean"))
    with pytest.raises(fcsym.ArgumentError, match="a full batch: give init its samples"):
        fcsym.scheme(net, "states", batch="mean").compile().init(weights_of(net))


def test_labels_and_probabilities():
    net = fcsym.Network.mlp([2, 3, 3], loss="cross_entropy")
    weights, x = weights_of(net), np.ones((4, 2))
    kernel = fcsym.scheme(net, "backprop", batch="mean").compile()
    labels = np.array([0, 2, 1, 1])
    by_label = kernel.step(weights, x, labels, 0.1)
    np.testing.assert_array_equal(by_label.W1, kernel.step(weights, x, np.eye(3)[labels], 0.1).W1)
    for t, said in (
        ([0, 3, 1, 1], "target has the label 3: labels of .* are whole numbers from 0 to 2"),
        ([0, -1, 1, 1], "target has the label -1"),
        (np.full((4, 3), 0.5), "is no probability, and the loss cross_entropy needs"),
        ([0, 1], r"target has shape \(2,\) and dtype int64: give labels, whole numbers of shape \(4,\)"),
        ([0.0, 1.0, 1.0, 0.0], "and dtype float64: give labels, whole numbers of shape"),
    ):
        with pytest.raises(fcsym.ArgumentError, match=said):
            kernel.step(weights, x, t, 0.1)
    one = fcsym.scheme(net, "backprop").compile()
    with pytest.raises(fcsym.ArgumentError, match="may be 3 labels or one distribution over 3 classes"):
        one.step(weights, np.ones((3, 2)), [0, 1, 0], 0.1)
    assert one.step(weights, np.ones((3, 2)), [0, 1, 2], 0.1).W1.shape == (3, 3, 2)
    binary = fcsym.scheme(fcsym.Network.mlp([2, 1], loss="bce", output="sigmoid"), "backprop").compile()
    with pytest.raises(fcsym.ArgumentError, match="needs numbers from 0 to 1"):
        binary.step([np.ones((1, 2))], [1.0, 2.0], [2.0], 0.1)
    with pytest.warns(fcsym.LossWarning, match="hinge after the output softmax"):
        fcsym.Network.mlp([2, 3], loss="hinge", output="softmax")


# ------------------------------------------------------------------------------------------------- files, documents


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_files_train_on_batches(target, tmp_path):
    if target == "c":
        need("make")
        need("gcc")
    elif target != "numpy":
        need_package(target)
    update = rule("momentum", weight_decay="0.1")
    for net in few(NETWORKS, 1, turn=len(target)):
        s = fcsym.scheme(net, "backprop", batch="mean", rule=update)
        path = tmp_path / f"update.{'c' if target == 'c' else 'py'}"
        s.export(path, target=target)
        call = ["make", "-f", "update.mk"] if target == "c" else [sys.executable, path]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "agree" in done.stdout, done.stderr


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_files_hold_the_states_of_a_full_batch(target, tmp_path):
    if target == "c":
        need("make")
        need("gcc")
    name = f"update.{'c' if target == 'c' else 'py'}"
    update, net = rule("momentum", weight_decay="0.1"), fcsym.Network.mlp([2, 2, 1], bias=target == "c")
    fcsym.scheme(net, "states", batch="mean", rule=update, samples=2).export(tmp_path / name, target=target)
    call = ["make", "-f", "update.mk", "test", "cpp"] if target == "c" else [sys.executable, name]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "agree" in done.stdout, done.stderr


def test_a_file_for_a_full_batch_knows_its_samples(tmp_path):
    s = fcsym.scheme(NETWORKS[3], "states", batch="sum")
    s.export(tmp_path / "update.py")
    space = runpy.run_path(str(tmp_path / "update.py"))
    rng = np.random.default_rng(0)
    weights, x, goal = [rng.normal(size=(3, 1, 2))], rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    state = space["init"](weights, x)
    after = space["step"](state, x, goal, 0.1)
    kernel = s.compile()
    wanted = kernel.step(kernel.init(weights, x), x, goal, 0.1)
    for one, two in zip(after, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13)
    single = [np.float32(a) for a in (*weights, x, goal)]
    assert space["step"](space["init"](single[:1], single[1]), *single[1:], 0.1)[0].dtype == np.float32
    for other in (x[::-1], x[:3], x + 1e-9):
        with pytest.raises(ValueError, match=r"samples and init was given 4|a sample that init"):
            space["step"](state, other, goal[: len(other)], 0.1)
        with pytest.raises(ValueError, match=r"samples and init was given 4|a sample that init"):
            space["output"](state, other)
    with pytest.raises(ValueError, match="as many samples"):
        space["step"](state, x, goal[:3], 0.1)
    with pytest.raises(ValueError, match="a full batch: give init its samples"):
        space["init"](weights)


def test_a_c_file_for_a_full_batch_takes_as_many_samples_as_fit(tmp_path):
    compiler = need("gcc")
    s = fcsym.scheme(NETWORKS[3], "states", batch="sum")
    s.export(tmp_path / "update.c")
    (tmp_path / "main.c").write_text(
        '#include "update.h"\nstatic update_state s;\nstatic update_weights w;\n\nint main(void)\n{\n'
        "    const double x[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n    double y[4];\n"
        "    if (update_init(&s, &w, x, 5) != UPDATE_FULL || update_init(&s, &w, x, 0) != UPDATE_FULL) {\n"
        "        return 1;\n    }\n"
        "    return update_init(&s, &w, x, 4) || s.samples != 4 || update_step(&s, x, 0.01) || update_output(&s, y)\n"
        "        || !(y[0] > 0);\n}\n"
    )
    command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-DUPDATE_CAPACITY=4"]
    subprocess.run([*command, "-o", "main", "main.c", "update.c"], cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("target", ["numpy", "c"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_a_scheme_holds_may_be_left_out(target, dtype):
    if target == "c":
        need("gcc")
    rng = np.random.default_rng(4)
    net = NETWORKS[2]
    weights = [rng.normal(size=(3, *net.shape(a))).astype(dtype) for a in net.parameters]
    for batch, points in (("mean", (3, 5)), (None, (3,)), ("mean", (5,))):
        x = rng.normal(size=(*points, net.inputs)).astype(dtype)
        k = fcsym.scheme(net, "states", batch=batch).compile(target)
        state = k.init(weights, x)
        for goal in (rng.integers(0, 3, size=points), rng.dirichlet(np.ones(3), size=points).astype(dtype)):
            for one, two in zip(k.step(state, x, goal, 0.1), k.step(state, None, goal, 0.1), strict=True):
                assert one.dtype == two.dtype == dtype
                np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(k.output(state, x), k.output(state, None))
        with pytest.raises(fcsym.ArgumentError, match="state has 2 arrays"):
            k.step(state[:2], None, goal, 0.1)
        with pytest.raises(fcsym.ArgumentError):
            k.step(state, None, goal[..., :2, :], 0.1)
    other = fcsym.scheme(net, "backprop", batch="mean").compile(target)
    with pytest.raises(fcsym.ArgumentError, match="x has dtype object"):
        other.step(other.init(weights), None, goal, 0.1)


@pytest.mark.parametrize("order", ORDERS)
def test_states_of_a_full_batch_in_machine_code(order):
    need("gcc")
    rng = np.random.default_rng(3)
    for net, update in few(list(product(NETWORKS[:3], [None, "nesterov", rule("momentum", weight_decay="0.1")])), 3):
        s = fcsym.scheme(net, "states", order, batch="mean", rule=update)
        numpy, c = s.compile("numpy"), s.compile("c")
        for lead in ((), (3,)):
            weights = [rng.normal(size=(*lead, *net.shape(a))) / 2 for a in net.parameters]
            x = rng.normal(size=(*lead, 5, net.inputs))
            goal = rng.dirichlet(np.ones(net.widths[-1]), size=(*lead, 5))
            states = [kernel.init(weights, x) for kernel in (numpy, c)]
            for _ in range(3):
                states = [k.step(state, x, goal, 0.1) for k, state in zip((numpy, c), states, strict=True)]
            for one, two in zip(*states, strict=True):
                np.testing.assert_allclose(np.broadcast_to(one, two.shape), two, rtol=1e-10, atol=1e-12)
            expanded = [k.expand(state, weights, x) for k, state in zip((numpy, c), states, strict=True)]
            for one, two in zip(*expanded, strict=True):
                np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(numpy.output(states[0], x), c.output(states[1], x), rtol=1e-10)
            ran = c.run(c.init(weights, x), np.stack([x] * 3), np.stack([goal] * 3), 0.1)
            for one, two in zip(ran, states[1], strict=True):
                np.testing.assert_array_equal(one, two)
        with pytest.raises(fcsym.ArgumentError, match="sample 1 of x is not the one"):
            c.run(c.init(weights, x), np.stack([x, x + 1]), np.stack([goal] * 2), 0.1)


def test_many_networks_and_many_steps_in_one_call():
    net = NETWORKS[0]
    rng = np.random.default_rng(8)
    weights = [rng.normal(size=(5, *net.shape(a))) for a in net.parameters]
    xs, ts = rng.normal(size=(6, 5, 3, 2)), rng.normal(size=(6, 5, 3, 2))
    s = fcsym.scheme(net, "backprop", batch="mean", rule="nesterov")
    numpy, c = s.compile("numpy"), s.compile("c")
    a, b = numpy.run(numpy.init(weights), xs, ts, 0.05), c.run(c.init(weights), xs, ts, 0.05)
    alone = numpy.run(numpy.init([w[2] for w in weights]), xs[:, 2], ts[:, 2], 0.05)
    for one, two, three in zip(a, b, alone, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(one[2], three, rtol=1e-11, atol=1e-13)


def test_documents_and_sympy_have_the_samples(tmp_path):
    d = fcsym.derive(NETWORKS[0], batch="mean", rule="momentum")
    d.save(tmp_path / "batch.tex")
    text = (tmp_path / "batch.tex").read_text()
    assert r"s^{(1)}_{ni}" in text and r"K^{-1}_{nm}" in text and r"\sum_{n}" in text
    for equation in d.equations:
        if equation.defines:
            assert fcsym.from_sympy(d.sympy(equation.name)) == equation


def test_pages_are_kept_where_an_array_has_pages_of_its_own():
    """Fresh pages cost as much as a product of matrices; small kernels leave the allocator as it is."""
    wide, small = (
        fcsym.scheme(fcsym.Network.parse(text), "backprop", batch="mean").compile() for text in ("300-60-2", "3-4-2")
    )
    assert "np.empty(2**25" in wide.source and "np.empty(2**25" not in small.source
