"""Layers against `torch.nn`: forward pass, gradients, a step and a hundred, at odd shapes; and what is refused."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from conftest import few, need_package

import fcsym
from fcsym import Network
from fcsym.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Concatenate,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MultiheadAttention,
    Node,
    Residual,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare layers with")
nn = torch.nn


def in_a_row(modules, x):
    """What modules give, one after the other; of a recurrence all steps."""
    for module in modules:
        x = module(x)
        x = x[0] if isinstance(x, tuple) else x
    return x


class Read:
    """Modules in a row, as `Network.from_torch` reads them."""

    fixed = ()

    def __init__(self, shape, *modules):
        self.shape, self.modules = shape, [module.double() for module in modules]

    def network(self, loss):
        return Network.from_torch(self.modules, self.shape, loss=loss)[0]

    def weights(self):
        return Network.from_torch(self.modules, self.shape)[1]

    def parameters(self):
        return [p for module in self.modules for p in module.parameters()]

    def output(self, x):
        return in_a_row(self.modules, x)


class Written(Read):
    """Layers that no Sequential has: `fcsym` has them written, PyTorch a function of modules and of numbers of ours."""

    def __init__(self, shape, layers, given, function, *fixed):
        self.shape, self.layers, self.function = shape, layers, function
        self.given = [g.double() if isinstance(g, nn.Module) else torch.tensor(g) for g in given]
        self.fixed = fixed

    def network(self, loss):
        return Network.sequential(self.shape, self.layers, loss=loss)

    def weights(self):
        return [w for g in self.given for w in self._of(g)]

    def _of(self, given):
        if isinstance(given, nn.MultiheadAttention):
            heads, width = given.num_heads, given.embed_dim
            maps = given.in_proj_weight.detach().numpy().reshape(3, heads, -1, width)
            shifts = [] if given.in_proj_bias is None else given.in_proj_bias.detach().numpy().reshape(3, heads, -1)
            parts = [w for n in range(3) for w in (maps[n], *(s for s in shifts[n : n + 1]))]
            out = given.out_proj
            more = [] if out.bias is None else [out.bias.detach().numpy()]
            return [w.copy() for w in (*parts, out.weight.detach().numpy().reshape(width, heads, -1), *more)]
        if isinstance(given, nn.Module):
            return Network.from_torch([given, nn.Linear(self.wide(given), 1).double()], (3, *self.reads(given)))[1][:-2]
        return [given.numpy().copy()]

    @staticmethod
    def wide(module):
        return getattr(module, "hidden_size", 0) or getattr(module, "out_features", 0) or module.normalized_shape[0]

    @staticmethod
    def reads(module):
        size = getattr(module, "input_size", 0) or getattr(module, "in_features", 0)
        return (size,) if size else tuple(module.normalized_shape)

    def parameters(self):
        return [p for g in self.given if isinstance(g, nn.Module) for p in g.parameters()]

    def output(self, x):
        return self.function(x, *self.given)


def attended(x, module, causal=False):
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[-2], dtype=x.dtype) if causal else None
    return module(x, x, x, attn_mask=mask, need_weights=False)[0]


def attention(positions, width, heads, causal=False, bias=True):
    layers = [MultiheadAttention(width, heads, bias, causal), Linear(width, 2)]
    given = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True), nn.Linear(width, 2)
    return Written((positions, width), layers, given, lambda x, a, last: last(attended(x, a, causal)))


def block():
    def function(x, n1, a, n2, up, down, n3, last):
        x = x + attended(n1(x), a, True)
        return last(n3(x + down(nn.functional.gelu(up(n2(x))))))

    inner = Residual([LayerNorm(4), Linear(4, 6), Activation("gelu"), Linear(6, 4)])
    layers = [Residual([LayerNorm(4), MultiheadAttention(4, 2, causal=True)]), inner, LayerNorm(4), Linear(4, 2)]
    given = nn.LayerNorm(4), nn.MultiheadAttention(4, 2, batch_first=True), nn.LayerNorm(4), nn.Linear(4, 6)
    return Written((3, 4), layers, (*given, nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 2)), function)


def joined():
    nodes = [
        Node(Linear(4, 3), "a", ("x",)), Node(Linear(4, 2), "b", ("x",)), Node(Concatenate(), "c", ("b", "a", "x")),
        Activation("tanh"), Node(Linear(9, 2), "y"),
    ]  # fmt: skip
    given = nn.Linear(4, 3), nn.Linear(4, 2), nn.Linear(9, 2)
    return Written((4,), nodes, given, lambda x, a, b, y: y(torch.tanh(torch.cat([b(x), a(x), x], -1))))


def residual():
    layers = [Linear(3, 4), Residual([Linear(4, 2), Activation("silu"), Linear(2, 4)]), Linear(4, 2)]
    given = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 4), nn.Linear(4, 2)

    def function(x, first, down, up, last):
        x = first(x)
        return last(x + up(nn.functional.silu(down(x))))

    return Written((3,), layers, given, function)


def dropout():
    mask = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    layers = [Linear(3, 5), Activation("tanh"), Dropout(0.2), Linear(5, 2)]
    return Written(
        (3,), layers, (nn.Linear(3, 5), mask, nn.Linear(5, 2)), lambda x, a, m, b: b(torch.tanh(a(x)) * m / 0.8), "M2"
    )


def last_step(layer, module, steps):
    shape, width = (steps, module.input_size), module.hidden_size
    return Written(
        shape, [layer, Linear(width, 2)], (module, nn.Linear(width, 2)), lambda x, r, y: y(r(x)[0][..., -1, :])
    )


RNN_, GRU_, LSTM_ = (
    lambda *a, kind=kind, **k: kind(*a, batch_first=True, **k) for kind in (nn.RNN, nn.GRU, nn.LSTM)
)  # fmt: skip
FLAT = nn.Flatten

CASES = {
    "conv1d of one place": lambda: Read((1, 1), nn.Conv1d(1, 1, 1), FLAT(), nn.Linear(1, 2)),
    "conv2d with a stride larger than the kernel": lambda: Read(
        (1, 4, 1), nn.Conv2d(1, 1, 1, stride=(3, 2)), nn.GELU(), FLAT(), nn.Linear(2, 2)
    ),
    "attention with one head of one position": lambda: attention(1, 1, 1),
    "gru without bias, the last step": lambda: last_step(GRU(2, 2, False, last=True), GRU_(2, 2, bias=False), 2),
    "conv1d of length 1": lambda: Read((1, 1), nn.Conv1d(1, 2, 1), nn.Tanh(), FLAT(), nn.Linear(2, 2)),
    "conv1d with a stride larger than the kernel": lambda: Read(
        (1, 9), nn.Conv1d(1, 2, 2, stride=3), nn.ReLU(), FLAT(), nn.Linear(6, 2)
    ),
    "conv1d with groups, dilation and padding": lambda: Read(
        (4, 5), nn.Conv1d(4, 6, 2, stride=2, padding=2, dilation=3, groups=2), nn.Tanh(), FLAT(), nn.Linear(18, 2)
    ),
    "conv1d twice without bias": lambda: Read(
        (1, 7), nn.Conv1d(1, 2, 3, bias=False), nn.LeakyReLU(0.1), nn.Conv1d(2, 1, 2, padding="valid"), FLAT(),
        nn.Linear(4, 2),
    ),
    "conv2d with all of them": lambda: Read(
        (2, 5, 4), nn.Conv2d(2, 2, (2, 3), (1, 2), (1, 0), (2, 1), groups=2), nn.Sigmoid(), FLAT(), nn.Linear(10, 2)
    ),
    "conv2d and poolings": lambda: Read(
        (1, 6, 5), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d((2, 1), 2), nn.AvgPool2d(2, 1, 1), FLAT(),
        nn.Linear(18, 2),
    ),
    "avgpool1d with a stride larger than the window": lambda: Read(
        (2, 7), nn.Conv1d(2, 2, 1), nn.AvgPool1d(2, 3), FLAT(), nn.Linear(4, 2)
    ),
    "maxpool1d of windows that overlap": lambda: Read(
        (2, 5), nn.Conv1d(2, 2, 1), nn.MaxPool1d(3, 1), FLAT(), nn.Linear(6, 2)
    ),
    "maxpool1d with padding": lambda: Read(
        (2, 4), nn.Conv1d(2, 2, 1), nn.MaxPool1d(3, 2, 1), FLAT(), nn.Linear(4, 2)
    ),
    "maxpool1d of one place with padding on both sides": lambda: Read(
        (1, 1), nn.Conv1d(1, 2, 1), nn.MaxPool1d(2, 1, 1), FLAT(), nn.Linear(4, 2)
    ),
    "maxpool2d with padding and dilation": lambda: Read(
        (1, 6, 5), nn.Conv2d(1, 2, 2), nn.MaxPool2d((3, 2), (2, 3), 1, (1, 2)), FLAT(), nn.Linear(12, 2)
    ),
    "rnn of one step": lambda: Read((1, 2), RNN_(2, 3), nn.Linear(3, 2)),
    "rnn with relu": lambda: Read((3, 1), RNN_(1, 3, nonlinearity="relu"), FLAT(), nn.Linear(9, 2)),
    "rnn without bias, the last step": lambda: last_step(RNN(2, 3, False, last=True), RNN_(2, 3, bias=False), 3),
    "gru of one step": lambda: Read((1, 2), GRU_(2, 3), FLAT(), nn.Linear(3, 2)),
    "gru of one step without bias": lambda: Read((1, 2), GRU_(2, 3, bias=False), FLAT(), nn.Linear(3, 2)),
    "gru": lambda: Read((3, 2), GRU_(2, 2), nn.Linear(2, 2)),
    "gru, the last step": lambda: last_step(GRU(1, 2, last=True), GRU_(1, 2), 2),
    "lstm of one step": lambda: Read((1, 1), LSTM_(1, 2), FLAT(), nn.Linear(2, 2)),
    "lstm after a gru": lambda: Read((2, 2), GRU_(2, 1), LSTM_(1, 2, bias=False), nn.Linear(2, 2)),
    "lstm, the last step": lambda: last_step(LSTM(2, 3, last=True), LSTM_(2, 3), 3),
    "embedding": lambda: Read(2, nn.Embedding(4, 3), RNN_(3, 2), nn.Linear(2, 3)),
    "layernorm": lambda: Read((3, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
    "layernorm over two axes without scale": lambda: Read(
        (2, 3), nn.Linear(3, 3), nn.LayerNorm((2, 3), 1e-3, elementwise_affine=False), FLAT(), nn.Linear(6, 2)
    ),
    "layernorm of what is flattened": lambda: Read(
        (2, 4), nn.Conv1d(2, 2, 2), FLAT(), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2)
    ),
    "rmsnorm": lambda: Read((2, 3), nn.Linear(3, 3), nn.Softplus(), nn.RMSNorm(3, 1e-6), nn.Linear(3, 2)),
    "rmsnorm without scale": lambda: Read((3,), nn.RMSNorm(3, elementwise_affine=False), nn.Linear(3, 2)),
    "attention with one head": lambda: attention(3, 2, 1),
    "attention of one position": lambda: attention(1, 4, 2, bias=False),
    "attention that looks back": lambda: attention(3, 4, 2, causal=True),
    "a block with residuals and norms": block,
    "residual": residual,
    "side by side": joined,
    "dropout by a mask": dropout,
}  # fmt: skip


def data(network, case, samples):
    """An input, tokens where it is one, and targets that are distributions."""
    rng = np.random.default_rng(7)
    shape = (samples,) if samples else ()
    x = rng.normal(size=(*shape, *network.shape_in))
    if network.tokens:
        x = rng.integers(network.tokens, size=(*shape, *network.shape_in[:-1]))
    goal = rng.random((*shape, *(network.sizes[axis] for axis in network.built.logits.axes)))
    return x, goal / goal.sum(-1, keepdims=True)


def loss_of(case, x, goal, samples):
    """y and the cross-entropy, the sum over the positions and the mean over the samples."""
    given = torch.as_tensor(x)
    y = case.output(given if samples else given[None])
    y = y if samples else y[0]
    return y, -(torch.tensor(goal) * torch.log_softmax(y, -1)).sum() / (samples or 1)


@pytest.fixture(autouse=True)
def same_numbers():
    """The same modules every time, and one thread: there are few numbers."""
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("samples", [0, 2], ids=["one sample", "a mini-batch"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_layer_is_that_of_torch(case, samples):
    case = case()
    network = case.network("cross_entropy")
    kernel = fcsym.derive(network, batch="mean" if samples else None).compile()
    x, goal = data(network, case, samples)
    weights = case.weights()
    y, error = loss_of(case, x, goal, samples)
    error.backward()
    after = kernel.step(weights, x, goal, 1.0)
    assert after.y == pytest.approx(y.detach().numpy(), rel=1e-12, abs=1e-13)
    assert pytest.approx(error.item(), rel=1e-12) == after.E
    if "y_front" in kernel.outputs and not np.any(after.undefined):
        assert after.y_front == pytest.approx(after.y_new, rel=1e-7 if samples else 1e-12, abs=1e-12)
    train(case.parameters(), 1.0)
    for theta, new in zip(network.parameters, case.weights(), strict=True):
        found = getattr(after, f"{theta.name}_new", None)
        assert (found is None) == (theta.name in case.fixed)
        assert found is None or found == pytest.approx(new, rel=1e-12, abs=1e-13), theta.name


@pytest.mark.parametrize("name", ["conv2d and poolings", "gru", "lstm, the last step", "attention that looks back"])
def test_derivatives_by_the_input_are_those_of_torch(name):
    case = CASES[name]()
    network = case.network("cross_entropy")
    x, goal = data(network, case, 0)
    point = torch.tensor(x, requires_grad=True)
    slopes = torch.autograd.functional.jacobian(lambda given: loss_of(case, given, goal, 0)[0], point)
    loss_of(case, point, goal, 0)[1].backward()
    of_error = fcsym.gradient(network, "E", "x").compile().gradient(case.weights(), x, goal)
    of_output = fcsym.gradient(network, "y", "x").compile().gradient(case.weights(), x)
    assert of_error.dE_dx == pytest.approx(point.grad.numpy(), rel=1e-12, abs=1e-13)
    assert of_output.dy_dx == pytest.approx(slopes.numpy(), rel=1e-12, abs=1e-13)


WINDOWS = [
    ((2, 5), (2, 1, 1)), ((1, 1), (2, 1, 1)), ((1, 8), (4, 1, 2)), ((1, 7), (5, 3, 2)), ((2, 8), (3, 4, 1)),
    ((1, 9), (3, 2, 1, 2)), ((1, 4, 5), (3, 2, 1)), ((1, 4, 4), (2, 1, 1)), ((1, 3, 4), ((3, 2), (2, 1), (1, 0))),
    ((1, 5, 4), ((2, 3), 2, 1, (3, 1))),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "window"), few(WINDOWS, 4))
def test_of_equal_places_the_greatest_is_the_first_and_padding_is_none(shape, window):
    """Few values, all of them below 0 in some samples, so that many are equal and 0 would win."""
    pool, convolve = (nn.MaxPool1d, nn.Conv1d) if len(shape) == 2 else (nn.MaxPool2d, nn.Conv2d)
    same_again = convolve(shape[0], shape[0], 1, bias=False)
    nn.init.dirac_(same_again.weight)
    case = Read(shape, same_again, pool(*window), FLAT(), nn.LazyLinear(3))
    x = np.random.default_rng(0).integers(-2, 2, size=(6, *shape)) - np.repeat([0.0, 2.0], 3).reshape(
        6, *(1,) * len(shape)
    )
    case.output(torch.tensor(x))  # the lazy layer sees how much it reads
    network, goal = case.network("cross_entropy"), np.repeat([[0.5, 0.25, 0.25]], 6, 0)
    kernel = fcsym.derive(network, batch="mean").compile()
    after = kernel.step(case.weights(), x, goal, 1.0)
    y, error = loss_of(case, x, goal, 6)
    error.backward()
    assert after.y == pytest.approx(y.detach().numpy(), rel=1e-12, abs=1e-13)
    train(case.parameters(), 1.0)
    for theta, new in zip(network.parameters, case.weights(), strict=True):
        assert getattr(after, f"{theta.name}_new") == pytest.approx(new, rel=1e-12, abs=1e-13), theta.name


def train(parameters, eta):
    """One gradient step."""
    with torch.no_grad():
        for p in parameters:
            p -= eta * p.grad
            p.grad = None


MOST = {"numpy": 12, "c": 5, "jax": 5, "torch": 8}
"""How many kinds each target is tried with: C is compiled anew for each of them."""
COMPILED = [(target, name) for n, target in enumerate(MOST) for name in few(CASES, MOST[target], 2 * n)]


@pytest.mark.parametrize(("target", "name"), COMPILED)
def test_training_is_that_of_torch(target, name):
    """One step and a hundred, and the outputs before and after them."""
    library = need_package(target) if target in ("jax", "torch") else None
    case = CASES[name]()
    network = case.network("cross_entropy")
    kernel = fcsym.scheme(network, "backprop", batch="mean").compile(target)
    x, goal = data(network, case, 2)
    with library.enable_x64(True) if target == "jax" else nullcontext():
        state = kernel.init([np.asarray(w) for w in case.weights()])
        assert np.asarray(kernel.output(state, x)) == pytest.approx(
            loss_of(case, x, goal, 2)[0].detach().numpy(), 1e-12
        )
        step = library.jit(kernel.step) if target == "jax" else kernel.step
        given = jax_tokens(library, network, x) if target == "jax" else x
        for n in range(100):
            state = step(state, given, goal, 0.1)
            loss_of(case, x, goal, 2)[1].backward()
            train(case.parameters(), 0.1)
            if n in (0, 99):
                same(network, kernel.expand(state), case.weights(), 1e-12 if n == 0 else 1e-10)


def jax_tokens(jax, network, x):
    """What is traced is an array of the library's own."""
    return jax.numpy.asarray(x, int if network.tokens else float)


def same(network, weights, truth, bound):
    for theta, own, its in zip(network.parameters, weights, truth, strict=True):
        assert np.asarray(own) == pytest.approx(its, rel=bound, abs=bound / 10), theta.name


def test_tokens_are_given_to_every_target():
    """Whole numbers in the place of rows of 0 and a 1, also in many steps and in exact ones."""
    network = Network.sequential((3, 4), [Embedding(4, 2), Flatten(), Linear(6, 2)])
    s = fcsym.scheme(network, "backprop")
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=network.shape(theta)) for theta in network.parameters]
    tokens, goal = np.array([3, 0, 1]), [1.0, -1.0]
    expected = s.compile().step(weights, np.eye(4)[tokens], goal, 0.1)
    given = {"numpy": tokens, "torch": torch.tensor([3, 0, 1]), "c": tokens.tolist()}
    for target, own in given.items():
        kernel = s.compile(target)
        for x in (tokens, own, np.eye(4)[tokens]):
            same(network, kernel.step(kernel.init(weights), x, goal, 0.1), expected, 1e-12)
        if target != "torch":
            same(network, kernel.run(weights, [tokens], [goal], 0.1), expected, 1e-12)
    exact = s.compile().exact([w.round(2) for w in weights], tokens, goal, "1/10")
    assert [float(v) for v in exact[-1]] == pytest.approx(list(expected[-1]), abs=0.1)
    with pytest.raises(fcsym.ArgumentError, match="has the token 4"):
        s.compile("torch").step(weights, [0, 1, 4], goal, 0.1)
