"""One training step in rational numbers, written out by hand: the tests' own truth. It imports nothing of fcsym."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace


def relu(s):
    return s if s > 0 else Fraction(0)


def step(widths, weights, x, target, eta, order, phi=relu, slope=lambda s: Fraction(s > 0), biases=None):
    """Weights W[l][i][j]; returns every quantity before and after, lists indexed by layer from 0."""
    depth = len(weights)
    biases = biases or [[Fraction(0)] * n for n in widths[1:]]

    def forward(w, b):
        s, v = [], [list(x)]
        for layer in range(depth):
            z = [
                sum((a * c for a, c in zip(row, v[-1], strict=True)), Fraction(0)) + shift
                for row, shift in zip(w[layer], b[layer], strict=True)
            ]
            s.append(z)
            v.append(z if layer == depth - 1 else [phi(a) for a in z])
        return s, v

    s, v = forward(weights, biases)
    delta = [None] * depth
    delta[-1] = [y - t for y, t in zip(v[-1], target, strict=True)]
    new = [[list(row) for row in w] for w in weights]
    new_b = [list(b) for b in biases]
    for layer in range(depth - 1, -1, -1):
        if layer < depth - 1:
            above = new[layer + 1] if order == "sequential" else weights[layer + 1]
            delta[layer] = [
                slope(s[layer][j]) * sum(above[i][j] * delta[layer + 1][i] for i in range(widths[layer + 2]))
                for j in range(widths[layer + 1])
            ]
        for i, d in enumerate(delta[layer]):
            new_b[layer][i] -= eta * d
            for j, a in enumerate(v[layer]):
                new[layer][i][j] -= eta * d * a
    # without biases they are not trained
    s_new, v_new = forward(new, new_b if any(any(b) for b in biases) else biases)
    return SimpleNamespace(s=s, v=v, delta=delta, w=new, b=new_b, s_new=s_new, v_new=v_new)
