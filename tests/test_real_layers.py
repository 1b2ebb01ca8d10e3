"""Networks of layers on real input beside PyTorch: images, text, and sequences that are turned round."""

from __future__ import annotations

from math import prod

import numpy as np
from conftest import LONG, need_package

from fcsym import Network, derive, rule
from fcsym.layers import RNN, Activation, Conv2d, Flatten, LayerNorm, Linear, MaxPool2d, MultiheadAttention, Residual


class Training:
    """A network and its step in mini-batches, with the cross-entropy and an update rule."""

    def __init__(self, shape, layers, update, seed=0):
        net = Network.sequential(shape, layers, loss="cross_entropy")
        self.kernel = derive(net, rule=update, batch="mean").compile()
        self.net, rng = self.kernel.network, np.random.default_rng(seed)
        self.memory, self.weights = None, []
        for theta in self.net.parameters:
            size = self.net.shape(theta)
            scale = np.sqrt(max(prod(size[1:]), 4))
            self.weights.append(np.ones(size) if theta.name.startswith("gamma") else rng.normal(size=size) / scale)

    def step(self, x, labels):
        """One step; E before it."""
        made = self.kernel.step(self.weights, x, labels, memory=self.memory, undefined="nan")
        self.weights = [getattr(made, theta.primed.name) for theta in self.net.parameters]
        self.memory = [getattr(made, array.primed.name) for array in self.net.memory]
        return float(made.E)

    def answers(self, x):
        """The greatest output for every sample, and every position."""
        labels = np.zeros((len(x), *(self.net.sizes[axis] for axis in self.net.positions)), int)
        return self.kernel.step(self.weights, x, labels, undefined="nan").y.argmax(axis=-1)


def arrays_of(model):
    """The parameters of a module of PyTorch as fcsym has them: of attention one matrix for each map."""
    torch = need_package("torch")
    found = []
    for module in model.modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            three = zip(module.in_proj_weight.data.chunk(3), module.in_proj_bias.data.chunk(3), strict=True)
            found += [part for pair in three for part in pair]
        else:
            found += [parameter.data for parameter in module.parameters(recurse=False)]
    return found


def alike(model, training):
    """The same module with the weights of a training, in double precision."""
    made = model.double()
    for theirs, ours in zip(arrays_of(made), training.weights, strict=True):
        theirs.copy_(need_package("torch").tensor(ours.reshape(theirs.shape)))
    return made


def apart(model, training):
    """The largest difference of a parameter."""
    pairs = zip(arrays_of(model), training.weights, strict=True)
    return max(np.abs(theirs.numpy() - ours.reshape(theirs.shape)).max() for theirs, ours in pairs)


def test_handwritten_digits_through_a_small_lenet():
    """scikit-learn's digits, 8 x 8: two convolutions, a pooling, mini-batches of 32, momentum 0.9."""
    torch = need_package("torch")
    need_package("sklearn")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).reshape(-1, 1, 8, 8)
    layers = [Conv2d(1, 4, 3), Activation("relu"), MaxPool2d(2), Conv2d(4, 8, 2), Activation("tanh"), Flatten()]
    ours = Training((1, 8, 8), [*layers, Linear(32, 10)], rule("momentum", beta=0.9, eta=0.1))
    own = torch.nn
    parts = own.Conv2d(1, 4, 3), own.ReLU(), own.MaxPool2d(2), own.Conv2d(4, 8, 2), own.Tanh(), own.Flatten()
    theirs = alike(own.Sequential(*parts, own.Linear(32, 10)), ours)
    optimiser, loss = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9), own.CrossEntropyLoss()
    rng = np.random.default_rng(7)
    for _ in range(5 if LONG else 1):
        order = rng.permutation(len(images))
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            optimiser.zero_grad()
            error = loss(theirs(torch.tensor(images[chosen])), torch.tensor(labels[chosen]))
            error.backward()
            optimiser.step()
            assert abs(ours.step(images[chosen], labels[chosen]) - float(error.detach())) < 1e-10
        assert apart(theirs, ours) < 1e-9
    assert (ours.answers(images[:200]) == labels[:200]).mean() > (0.9 if LONG else 0.6)


TEXT = "she sells sea shells by the sea shore; the shells she sells are sea shells, so she is sure. "


def test_a_recurrence_over_the_characters_of_a_text():
    """Every character is to be followed by the next one: at every position a cross-entropy, 8 positions at a time."""
    torch = need_package("torch")
    letters = sorted(set(TEXT))
    codes, many = np.array([letters.index(letter) for letter in TEXT * 2]), len(letters)
    length, hidden = 8, 24
    starts = np.arange(len(TEXT))
    windows = codes[starts[:, None] + np.arange(length + 1)]
    ours = Training((length, many), [RNN(many, hidden), Linear(hidden, many)], rule("adam", eta=0.01))

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrence, self.read_out = torch.nn.RNN(many, hidden, batch_first=True), torch.nn.Linear(hidden, many)

        def forward(self, x):
            return self.read_out(self.recurrence(x)[0])

    theirs, rng = alike(Theirs(), ours), np.random.default_rng(1)
    optimiser, loss = torch.optim.Adam(theirs.parameters(), 0.01), torch.nn.CrossEntropyLoss(reduction="sum")
    errors = []
    for n in range(600 if LONG else 150):
        chosen = windows[rng.choice(len(windows), 32, replace=False)]
        x, labels = np.eye(many)[chosen[:, :-1]], chosen[:, 1:]
        if n < 40:
            optimiser.zero_grad()
            error = loss(theirs(torch.tensor(x)).reshape(-1, many), torch.tensor(labels.reshape(-1))) / len(chosen)
            error.backward()
            optimiser.step()
        errors.append(ours.step(x, labels) / length)
        if n == 39:
            assert abs(errors[-1] - float(error.detach()) / length) < 1e-9
            assert apart(theirs, ours) < 1e-9
    assert errors[0] > 2.5
    assert np.mean(errors[-10:]) < 0.8


def test_one_block_of_a_transformer_learns_to_turn_six_symbols_round():
    torch = need_package("torch")
    width = 16
    inner = [LayerNorm(width), Linear(width, 32), Activation("relu"), Linear(32, width)]
    block = [Residual([LayerNorm(width), MultiheadAttention(width, 2)]), Residual(inner)]
    ours = Training((6, 12), [Linear(12, width, bias=False), *block, Linear(width, 6)], rule("adam", eta=0.01), seed=3)
    own = torch.nn

    class Theirs(own.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = own.Linear(12, width, bias=False), own.LayerNorm(width)
            self.attention = own.MultiheadAttention(width, 2, batch_first=True)
            self.inner = own.Sequential(own.LayerNorm(width), own.Linear(width, 32), own.ReLU(), own.Linear(32, width))
            self.read_out = own.Linear(width, 6)

        def forward(self, x):
            v = self.first(x)
            v = v + self.attention(*[self.norm(v)] * 3)[0]
            return self.read_out(v + self.inner(v))

    def symbols(rng, count):
        """One of six symbols at every place, beside the number of the place."""
        drawn = rng.integers(6, size=(count, 6))
        places = np.broadcast_to(np.eye(6), (count, 6, 6))
        return np.concatenate([np.eye(6)[drawn], places], axis=-1), drawn[:, ::-1].copy()

    theirs, rng = alike(Theirs(), ours), np.random.default_rng(1)
    optimiser, loss = torch.optim.Adam(theirs.parameters(), 0.01), own.CrossEntropyLoss(reduction="sum")
    for n in range(100):
        x, labels = symbols(rng, 32)
        if n < 20:
            optimiser.zero_grad()
            error = loss(theirs(torch.tensor(x)).reshape(-1, 6), torch.tensor(labels.reshape(-1))) / 32
            error.backward()
            optimiser.step()
            assert abs(ours.step(x, labels) - float(error.detach())) < 1e-9
        else:
            ours.step(x, labels)
        if n == 19:
            assert apart(theirs, ours) < 1e-8  # Adam divides the gradient of bk, which is 0 up to rounding
    x, labels = symbols(np.random.default_rng(99), 200)
    assert (ours.answers(x) == labels).all()
