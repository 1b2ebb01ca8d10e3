"""Output activations, losses and frozen parameters: derived, proved, compiled, and as autodiff has them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import sympy
from conftest import LONG, ORDERS, few, need, need_package

import fcsym
from fcsym import equations as own
from fcsym.cli import main
from fcsym.language.equation import Verdict
from fcsym.language.expression import add, mul, total
from fcsym.networks.losses import LOSSES
from fcsym.proof import prove
from fcsym.schemes import SCHEMES

KINDS = [
    {"output": "sigmoid"},
    {"output": "tanh", "loss": "mse"},
    {"output": "relu", "loss": "half_mse"},
    {"output": "leaky_relu", "loss": "huber"},
    {"loss": "l1"},
    {"loss": "huber"},
    {"loss": "hinge"},
    {"output": "sigmoid", "loss": "bce"},
    {"output": "sigmoid", "loss": "bce_logits"},
    {"loss": "bce_logits"},
    {"loss": "cross_entropy"},
]


def named(kind):
    return " ".join(kind.values())


@pytest.fixture(params=KINDS, ids=named)
def kind(request):
    return request.param


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_every_equation_is_proved_and_agrees_with_autodiff(kind, activation, order):
    d = fcsym.derive(fcsym.Network.mlp([2, 3, 2], activation=activation, bias=True, **kind), order)
    assert d.proof.holds, [f for f in d.proof.findings if f.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)]
    report = fcsym.check(d, trials=100)
    assert report.passed, str(report)
    assert {"E", "delta2", "W1_new", "y_new", "p"} <= {row.quantity for row in report.rows}


def test_every_loss_is_among_them():
    assert {kind.get("loss", "squared") for kind in KINDS} | {"squared"} == set(LOSSES)


@pytest.mark.parametrize(
    ("kind", "name", "order"),
    [
        pytest.param(kind, name, order, id=f"{named(kind)}-{name}-{order}")
        for k, kind in enumerate(KINDS)
        for n, name in enumerate(SCHEMES)
        for o, order in enumerate(ORDERS)
        if LONG or (k + n + o) % 2  # each with one of the orders
    ],
)
def test_every_scheme_trains_with_it(kind, name, order):
    net = fcsym.Network.mlp([2, 3, 1 if name == "collapsed" else 2], bias=True, **kind)
    if name in ("weights", "compensation", "collapsed") and net.output_activation.kinks:
        with pytest.raises(fcsym.ArgumentError, match="needs an output activation without kinks"):
            fcsym.scheme(net, name, order=order)
        return
    s = fcsym.scheme(net, name, order=order)
    assert s.proof.holds
    assert fcsym.check(s, trials=6, steps=15).passed
    crossed = "sequential" if order == "simultaneous" else "simultaneous"
    assert not fcsym.check(s, trials=6, steps=15, against=crossed).passed


def test_what_is_wrong_is_not_proved(kind, order):
    """The adjoint of the logits, the loss and the slope of the output, each doubled."""
    d = fcsym.derive(fcsym.Network.mlp([2, 2, 2], activation="tanh", **kind), order)
    for name in ("delta2", "E", "g2", "y"):
        if name not in d.by_name:
            continue
        equations = tuple(replace(e, rhs=mul(2, e.rhs)) if e.name == name else e for e in d.equations)
        assert not prove(replace(d, equations=equations)).holds, name


def test_the_matching_loss_takes_the_slope_of_the_output_away(order):
    """delta = y - y_g, derived and proved; the squared error keeps the slope."""
    for loss in ("bce", "bce_logits"):
        d = fcsym.derive(fcsym.Network.mlp([2, 3, 2], output="sigmoid", loss=loss), order)
        assert str(d["delta2"]) == "delta2[k] = y[k] - yg[k]"
        assert d.proof.verdict("delta2").verdict is Verdict.PROVED
        assert "g2" not in d.by_name
    d = fcsym.derive(fcsym.Network.mlp([2, 3, 2], output="sigmoid"), order)
    assert str(d["delta2"]) == "delta2[k] = g2[k]*(y[k] - yg[k])"


def test_losses_are_those_of_pytorch():
    """E and the updates, against torch.nn.functional and its autograd."""
    torch = need_package("torch")
    f = torch.nn.functional
    theirs = {
        "squared": lambda y, s, t: ((y - t) ** 2).sum() / 2,
        "mse": lambda y, s, t: f.mse_loss(y, t),
        "half_mse": lambda y, s, t: f.mse_loss(y, t) / 2,
        "l1": lambda y, s, t: f.l1_loss(y, t, reduction="sum"),
        "huber": lambda y, s, t: f.huber_loss(y, t, reduction="sum"),
        "hinge": lambda y, s, t: f.relu(1 - t * y).sum(),
        "bce": lambda y, s, t: f.binary_cross_entropy(y, t, reduction="sum"),
        "bce_logits": lambda y, s, t: f.binary_cross_entropy_with_logits(s, t, reduction="sum"),
        "cross_entropy": lambda y, s, t: f.cross_entropy(s, t),
    }
    outputs = {"identity": lambda s: s, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": f.relu,
               "leaky_relu": lambda s: f.leaky_relu(s, 0.01)}  # fmt: skip
    rng = np.random.default_rng(4)
    for kind in [*KINDS, {}]:
        net = fcsym.Network.mlp([3, 4, 2], activation="tanh", bias=True, **kind)
        weights = [rng.normal(size=net.shape(a)) for a in net.parameters]
        x, t = rng.normal(size=3), rng.random(2)
        t = t / t.sum() if net.loss == "cross_entropy" else t
        found = fcsym.derive(net).compile().step(weights, x, t, 0.1)
        w1, b1, w2, b2 = held = [torch.tensor(w, requires_grad=True) for w in weights]
        s = w2 @ torch.tanh(w1 @ torch.tensor(x) + b1) + b2
        y = outputs[kind.get("output", "identity")](s)
        error = theirs[net.loss](y, s, torch.tensor(t))
        error.backward()
        assert float(found.E) == pytest.approx(error.item(), rel=1e-13)
        for theta, array in zip(net.parameters, held, strict=True):
            moved = (array - 0.1 * array.grad).detach().numpy()
            np.testing.assert_allclose(getattr(found, theta.primed.name), moved, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("s", [1000.0, -1000.0, 40.0])
def test_the_cross_entropy_of_logits_neither_overflows_nor_loses_digits(s):
    for kind in ({"output": "sigmoid", "loss": "bce"}, {"loss": "bce_logits"}):
        net = fcsym.Network.mlp([1, 1], **kind)
        found = fcsym.derive(net).compile().step([[[s]]], [1.0], [1.0], 1.0)
        true = np.logaddexp(np.longdouble(0), np.longdouble(-s))
        if s < 1000:  # log(1 + e^s) - s has the digits of s
            assert abs(found.E - true) <= 2 * np.spacing(abs(s))
        else:
            assert float(true) == found.E
        assert found.delta1[0] == pytest.approx(-1 / (1 + np.exp(np.minimum(s, 700.0))), rel=1e-12, abs=1e-16)


def test_the_cross_entropy_of_classes(order):
    """delta = softmax - y_g, whatever is taken out of the logits, at logits that are far too large for e^s."""
    d = fcsym.derive(fcsym.Network.mlp([2, 3, 3], "tanh", True, loss="cross_entropy"), order)
    assert str(d["delta2"]) == "delta2[k] = psi[k]/Z - yg[k]"
    finding = d.proof.verdict("delta2")
    assert finding.verdict is Verdict.PROVED and not finding.where  # Z is a sum of exponentials, and never 0
    tau = next(e for e in d.equations if e.name == "tau")
    lower = replace(
        tau, rhs=mul(2, tau.rhs)
    )  # another number taken out is another derivation: tau is what it is called
    assert not prove(replace(d, equations=tuple(lower if e is tau else e for e in d.equations))).holds
    net = fcsym.Network.mlp([1, 3], loss="cross_entropy")
    found = fcsym.derive(net, order).compile().step([[[900.0], [-900.0], [899.0]]], [1.0], [0.0, 0.0, 1.0], 1.0)
    assert float(found.E) == pytest.approx(1 + np.log1p(np.exp(-1)), rel=1e-13)
    share = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(found.delta1, [share, 0, -share], rtol=1e-13)


def test_a_loss_that_depends_on_what_is_taken_out_is_not_proved(monkeypatch):
    """With zeta in place of the logits E moves with the greatest of them, unless the targets add up to 1."""

    def careless(outputs):
        equations, value, what = LOSSES["cross_entropy"](outputs)
        zeta = next(e for e in equations if e.name == "zeta")
        taken_out = add(total(outputs.k, mul(outputs.target[outputs.k], -zeta.lhs)), value.terms[-1])
        return equations, taken_out, what

    monkeypatch.setitem(LOSSES, "careless", careless)
    d = fcsym.derive(fcsym.Network.mlp([2, 2, 2], loss="careless"))
    assert str(d["E"]) == "E = sum(k: -yg[k]*zeta[k]) + log(Z)"
    assert d.proof.verdict("delta2").verdict is Verdict.UNDECIDED
    assert d.proof.verdict("delta2").expanded.startswith("differs")


def test_slopes_at_the_corners_of_a_loss_are_those_of_pytorch():
    """|e| at 0, and the hinge at its margin: 0."""
    for loss, target in (("l1", 2.0), ("hinge", 0.5)):
        step = fcsym.derive(fcsym.Network.mlp([1, 1], loss=loss)).compile().step([[[2.0]]], [1.0], [target], 1.0)
        assert step.delta1[0] == 0 and step.W1_new[0, 0] == 2


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_exported_functions_train_with_it(target, tmp_path):
    if target == "c":
        need("gcc")
    elif target != "numpy":
        need_package(target)
    for kind in (*few(KINDS[:-1], 1 if target in ("jax", "torch") else 4), KINDS[-1]):
        net = fcsym.Network.mlp([2, 3, 2], activation="relu", bias=True, **kind)
        s = fcsym.scheme(net, "states", order="sequential")
        path = tmp_path / f"{named(kind).replace(' ', '_')}_{target}.{'c' if target == 'c' else 'py'}"
        s.export(path, target=target)
        if target == "c":
            flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", "-o", "made.o"]
            subprocess.run(["gcc", *flags, path.name], cwd=tmp_path, check=True)
        else:
            done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
            assert done.returncode == 0 and "agree" in done.stdout, done.stderr
        kernel, reference = s.compile(), fcsym.scheme(net, "backprop", order="sequential").compile()
        rng = np.random.default_rng(0)
        weights, x, t = [rng.normal(size=net.shape(a)) for a in net.parameters], rng.normal(size=2), rng.random(2)
        t = t / t.sum()  # a distribution, which a cross-entropy needs
        state, other = kernel.init(weights, x), reference.init(weights)
        for _ in range(20):
            state, other = kernel.step(state, x, t, 0.05), reference.step(other, x, t, 0.05)
        np.testing.assert_allclose(kernel.output(state, x), reference.output(other, x), rtol=1e-9)


def test_a_loss_that_means_little_is_a_warning():
    with pytest.warns(fcsym.LossWarning, match=r"bce after the output softplus means little.*output='sigmoid'"):
        net = fcsym.Network.mlp([2, 3, 1], output="softplus", loss="bce")
    d = fcsym.derive(net)
    assert d.proof.holds
    assert set(map(str, d.proof.verdict("delta2").where)) == {"omega[k] != 0", "y[k] != 0"}
    with pytest.warns(fcsym.LossWarning, match="hinge after the output sigmoid"):
        fcsym.Network.parse("2-2-1", output="sigmoid", loss="hinge")


ODD = {"output": "softplus", "loss": "bce"}


def _from_file(folder):
    (folder / "net.toml").write_text('widths = [1, 1]\noutput = "softplus"\nloss = "bce"\n')
    return fcsym.Network.load(folder / "net.toml")


def _from_equations(_):
    i, k = own.indices("i k")
    x, w, s = own.input_("x", i), own.parameter("W", k, i), own.hidden("s", k)
    return fcsym.Network.from_equations([(s[k], own.total(i, w[k, i] * x[i]))], {"i": 1, "k": 1}, **ODD)


def _from_module(_):
    torch = need_package("torch")
    module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Softplus())
    return fcsym.Network.from_torch(module, loss="bce")


WAYS = {
    "Network": lambda _: fcsym.Network([fcsym.Dense(1)], input=1, **ODD),
    "mlp": lambda _: fcsym.Network.mlp([1, 1], **ODD),
    "parse": lambda _: fcsym.Network.parse("1-1", **ODD),
    "sequential": lambda _: fcsym.Network.sequential((1, 1), [fcsym.Flatten(), fcsym.Dense(1)], **ODD),
    "from_table": lambda _: fcsym.Network.from_table({"widths": [1, 1]} | ODD),
    "load": _from_file,
    "from_equations": _from_equations,
    "from_torch": _from_module,
    "replace": lambda _: replace(fcsym.Network.from_table({"widths": [1, 1]} | ODD), loss="squared"),
    "audit_example": lambda _: fcsym.audit_example(
        {"network": {"widths": [1, 1]} | ODD, "values": {"x": 1, "target": 1, "eta": 1, "W1": 1},
         "claims": [{"quantity": "y", "after": 0, "printed": "1.3"}]}
    ),
}  # fmt: skip
"""Every public way to a network."""


@pytest.mark.parametrize("way", WAYS)
def test_a_warning_points_at_the_line_of_the_caller(way, tmp_path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        WAYS[way](tmp_path)
    assert [(one.category, one.filename) for one in said] == [(fcsym.LossWarning, __file__)]


def test_a_warning_of_a_command_is_a_sentence(tmp_path, capsys):
    (tmp_path / "e.toml").write_text(
        'network = { widths = [1, 1], output = "softplus", loss = "bce" }\n'
        'claims = ["y is 1.3 before the step"]\nvalues = { x = 1, target = 1, eta = 1, W1 = 1 }\n'
    )
    for words in (["cost", "1-1", "--output=softplus", "--loss=bce"], ["audit", str(tmp_path / "e.toml")]):
        main([*words, "--json"])
        out, err = capsys.readouterr()
        assert json.loads(out).keys() != {"error"}
        assert err.startswith("fcsym: The loss bce after the output softplus means little")
        assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [{"loss": "mae"}, {"loss": None}, {"output": "soft"}, {"output": 3}])
def test_what_is_not_known_is_refused(arguments):
    with pytest.raises(fcsym.NetworkError) as problem:
        fcsym.Network.mlp([2, 2, 1], **arguments)
    assert "\n" not in str(problem.value) and str(problem.value).endswith(".")


def test_on_the_command_line_and_in_files(tmp_path, capsys):
    (tmp_path / "net.toml").write_text(
        'widths = [2, 2, 2]\nactivation = "sigmoid"\noutput = "sigmoid"\nloss = "bce"\nbias = true\n'
        "train = { b1 = false, b2 = false }\n"
    )
    net = fcsym.Network.load(tmp_path / "net.toml")
    assert net == fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid", loss="bce").frozen("b1", "b2")
    assert main(["derive", str(tmp_path / "net.toml"), "--json", "--trials", "50"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == str(net)
    assert main(["check", "2-2-1", "--output", "sigmoid", "--loss", "bce", "--trials", "50"]) == 0
    assert main(["check", "2-2-1", "--output", "tanh", "--loss", "hinge", "--scheme", "states", "--trials", "5"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["derive", "2-2-1", "--output", "softplus", "--loss", "bce", "--json", "--trials", "50"]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("fcsym: The loss bce after") and json.loads(shown.out)["passed"]
    assert main(["derive", str(tmp_path / "net.toml"), "--loss", "bce"]) == 2
    assert "leave --activation, --output, --loss and --bias out" in capsys.readouterr().err


def test_documents_say_it(kind, tmp_path):
    program = need("pdflatex")
    d = fcsym.derive(fcsym.Network.mlp([2, 2, 1], bias=True, **kind), "sequential")
    for notation in ("indexed", "paper"):
        (tmp_path / "d.tex").write_text(d.latex(notation=notation))
        subprocess.run([program, "-interaction=nonstopmode", "d.tex"], cwd=tmp_path, capture_output=True, check=True)
        log = (tmp_path / "d.log").read_text(errors="replace")
        assert not [line for line in log.splitlines() if line.startswith(("!", "Overfull")) or "arning" in line]
    linear = "output" not in kind
    assert (r"\mathrm{d}E}{\mathrm{d}Y" in d.latex(notation="paper")) is linear  # dE/dY is what it says
    assert "</math>" in d.html()


# ------------------------------------------------------------------------------------------------ frozen parameters


@pytest.mark.parametrize("net", [
    fcsym.Network.mlp([2, 3, 1], bias=True).frozen("b2"),
    fcsym.Network.mlp([2, 3, 1], bias=True).frozen("W1"),
    fcsym.Network.mlp([2, 3, 2, 1], bias=True).frozen("W1", "b1"),
    fcsym.Network.mlp([2, 3, 2, 1], bias=True).frozen("W2", "b2"),
    fcsym.Network.mlp([2, 3, 2, 1], "leaky_relu", True).frozen("b1", "b2", "b3"),
    fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid").frozen("b1", "b2"),
], ids=str)  # fmt: skip
def test_frozen_parameters_stay_and_the_rest_follows(net, order):
    d = fcsym.derive(net, order)
    assert d.proof.holds and not {f"{name}_new" for name in net.fixed} & set(d.by_name)
    assert fcsym.check(d, trials=100).passed
    s = fcsym.scheme(net, "backprop", order=order)
    assert s.proof.holds and fcsym.check(s, trials=5, steps=10).passed
    assert "Training leaves" in " ".join(d.assumptions)
    with pytest.raises(fcsym.ArgumentError, match="choose backprop"):
        fcsym.scheme(net, "states", order=order)


@pytest.mark.parametrize(("frozen", "said"), [
    (("W1", "b1"), "nothing that the unit is made of is trained"),
    (("W1",), "dead after for"),
    (("b1",), "dead after for"),
])  # fmt: skip
def test_cases_of_a_network_with_frozen_parameters(frozen, said, tmp_path, capsys):
    train = ", ".join(f"{name} = false" for name in frozen)
    (tmp_path / "net.toml").write_text(f"widths = [2, 2, 1]\nbias = true\ntrain = {{ {train} }}\n")
    assert main(["cases", str(tmp_path / "net.toml")]) == 0
    assert said in capsys.readouterr().out.replace("\n", " ")
    assert main(["cases", str(tmp_path / "net.toml"), "--joint"]) == 2
    assert "with every parameter trained" in capsys.readouterr().err


def test_what_cannot_be_frozen():
    net = fcsym.Network.parse("2-2-1")
    with pytest.raises(fcsym.NetworkError, match="the parameters of 2-2-1 are W1, W2"):
        net.frozen("b1")
    with pytest.raises(fcsym.NetworkError, match="matrix of the read-out"):
        net.frozen("W2")


def test_the_network_that_courses_work_by_hand():
    """Sigmoid units, biases held fixed: the digits that are published with the example, and both orders' errors."""
    net = fcsym.Network.mlp([2, 2, 2], "sigmoid", True, output="sigmoid").frozen("b1", "b2")
    weights = [[[0.15, 0.20], [0.25, 0.30]], [0.35, 0.35], [[0.40, 0.45], [0.50, 0.55]], [0.60, 0.60]]
    x, t = [0.05, 0.10], np.array([0.01, 0.99])
    first = fcsym.derive(net).compile().step(weights, x, t, 0.5)
    np.testing.assert_allclose(first.y, [0.75136507, 0.772928465], atol=5e-9)
    assert float(first.E) == pytest.approx(0.298371109, abs=5e-10)
    np.testing.assert_allclose(first.W2_new.ravel(), [0.35891648, 0.408666186, 0.511301270, 0.561370121], atol=5e-9)
    np.testing.assert_allclose(first.W1_new.ravel(), [0.149780716, 0.19956143, 0.24975114, 0.29950229], atol=5e-9)
    after = {"simultaneous": 0.29102777369359933, "sequential": 0.29102792390544197}
    for order, error in after.items():
        k = fcsym.scheme(net, "backprop", order=order).compile()
        state = k.step(k.init(weights), x, t, 0.5)
        assert np.sum((k.output(state, x) - t) ** 2) / 2 == pytest.approx(error, rel=1e-15)
        if order == "simultaneous":
            for _ in range(9_999):
                state = k.step(state, x, t, 0.5)
            assert np.sum((k.output(state, x) - t) ** 2) / 2 == pytest.approx(3.510187782978859e-05, rel=1e-12)
        assert np.array_equal(state.b1, [0.35, 0.35]) and np.array_equal(state.b2, [0.60, 0.60])


OWN = {
    "logcosh": lambda sympy, y, t: sympy.log(sympy.cosh(y - t)),  # of the residual
    "logistic": lambda sympy, y, t: sympy.log(1 + sympy.exp(-t * y)),  # of the margin
    "quartic": lambda sympy, y, t: (y - t) ** 4 / 4,  # a polynomial
    "poisson": lambda sympy, y, t: sympy.exp(y) - t * y,
    "mixed": lambda sympy, y, t: y**2 * sympy.tanh(t * y - 1) + sympy.cosh(y) / 3,
}


@pytest.mark.parametrize("name", OWN)
def test_a_loss_of_ones_own(name, order):
    import sympy

    y, t = sympy.symbols("y t", real=True)
    own = fcsym.loss(name, OWN[name](sympy, y, t))
    net = fcsym.Network.mlp([2, 3, 2], activation="tanh", bias=True, loss=own)
    d = fcsym.derive(net, order)
    assert d.proof.holds and str(d.network) == f"2-3-2 tanh bias loss {name}"
    assert fcsym.check(d, trials=50).passed
    s = fcsym.scheme(net, "backprop", order, batch="mean", rule="momentum")
    assert s.proof.holds and fcsym.check(s, trials=10, steps=10).passed
    place = next(n for n, e in enumerate(d.equations) if e.name == "E")
    wrong = replace(d.equations[place], rhs=mul(2, d.equations[place].rhs))
    assert not prove(replace(d, equations=(*d.equations[:place], wrong, *d.equations[place + 1 :]))).holds


def test_own_losses_are_those_of_pytorch():
    """PoissonNLLLoss, and the slopes of log-cosh and of the soft margin, by its autograd."""
    torch = need_package("torch")
    import sympy

    y, t = sympy.symbols("y t", real=True)
    theirs = {
        "poisson": lambda a, b: torch.nn.PoissonNLLLoss(reduction="sum")(a, b),
        "logistic": lambda a, b: torch.nn.SoftMarginLoss(reduction="sum")(a, b),
        "logcosh": lambda a, b: torch.log(torch.cosh(a - b)).sum(),
    }
    for name, error in theirs.items():
        net = fcsym.Network.mlp([2, 2], loss=fcsym.loss(name, OWN[name](sympy, y, t)))
        weights, x, goal = np.array([[0.5, -1.0], [1.5, 0.25]]), np.array([1.0, 2.0]), np.array([1.0, -1.0])
        step = fcsym.derive(net).compile().step([weights], x, goal, 0.1)
        w = torch.tensor(weights, requires_grad=True)
        found = error(w @ torch.tensor(x), torch.tensor(goal))
        found.backward()
        np.testing.assert_allclose(step.E, found.item(), rtol=1e-13)
        np.testing.assert_allclose(step.W1_new, weights - 0.1 * w.grad.numpy(), rtol=1e-13)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda y, t, z, sympy: ("squared", (y - t) ** 2), "The name 'squared' is taken by a loss"),
        (lambda y, t, z, sympy: ("own", y + z), "has the symbol z, which is none of them"),
        (lambda y, t, z, sympy: ("own", t), "does not depend on y"),
        (
            lambda y, t, z, sympy: ("own", sympy.Abs(y - t)),
            r"The loss 'own' has.*a corner at s = 0.*l1, huber or hinge",
        ),
        (lambda y, t, z, sympy: ("own", sympy.pi * (y - t) ** 2), "has the number pi, which is no fraction"),
        (lambda y, t, z, sympy: ("own", "y - t"), "give a SymPy expression of y and t"),
        (lambda y, t, z, sympy: ("own", sympy.Max(y, t) ** 2), "is no sum, product, whole power or function"),
        (lambda y, t, z, sympy: ("a b", y), "a b"),
    ],
)
def test_what_is_no_loss_is_one_sentence(make, said):
    import sympy

    y, t, z = sympy.symbols("y t z", real=True)
    with pytest.raises(fcsym.NetworkError, match=said):
        fcsym.Network.mlp([2, 1], loss=fcsym.loss(*make(y, t, z, sympy)))


def test_a_loss_of_ones_own_is_simplified_only_where_that_leads_somewhere(monkeypatch):
    """What depends on y and t in earnest is read as it stands: simplifying it may take minutes."""
    y, t = sympy.symbols("y t", real=True)

    def refused(*_, **__):
        raise AssertionError("simplified")

    monkeypatch.setattr(sympy, "simplify", refused)
    assert fcsym.loss("own", sympy.exp(y) * (y - t) ** 2 + sympy.log(1 + y**2 * t**2)).parts
    with pytest.raises(AssertionError, match="simplified"):
        fcsym.loss("other", sympy.log(sympy.cosh(y - t)))
