"""One training step in PyTorch, with its autodiff and its optimisers: a second reference beside autograd.

It knows stacks of dense layers, in double precision, from before the first step of an update rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def step(network: Any, order: str, weights: Sequence[Any], x: Any, target: Any, eta: Any, memory: Any = None) -> Any:
    """Every quantity that PyTorch has, by the names that derivations use; arguments as for `fcsym`'s own oracle."""
    import torch

    if memory:
        raise ValueError("PyTorch's optimisers are taken as they are before the first step.")
    with torch.enable_grad():
        return {name: value.detach().numpy() for name, value in _step(network, order, weights, x, target, eta)}


def _step(network: Any, order: str, weights: Sequence[Any], x: Any, target: Any, eta: Any) -> Any:
    import torch

    given = dict(zip((theta.name for theta in network.parameters), map(_tensor, weights), strict=True))
    x, target = _tensor(x), _tensor(target)
    trained = {theta.name for theta in network.trained}
    depth, updated, slopes = len(network.layers), dict(given), {}
    sums, passed = _forward(network, given, x)
    e = _loss(network, sums[-1], passed[-1], target)
    deltas: list[Any] = [None] * depth
    if order == "simultaneous":
        sums, passed = _forward(network, given, x, leaves=True)
        every = torch.autograd.grad(_loss(network, sums[-1], passed[-1], target).sum(), sums)
        deltas = [delta.detach() for delta in every]
    for n in range(depth - 1, -1, -1):
        if order != "simultaneous":
            s = sums[n].detach().requires_grad_()
            v = _activated(network, n, s)
            if n + 1 == depth:
                reached = _loss(network, s, v, target)
            else:
                above = {name: updated[name].detach() for name in updated}
                reached = deltas[n + 1] * _linear(network, n + 1, above, v)
            deltas[n] = torch.autograd.grad(reached.sum(), s)[0].detach()
        names = [name for name in (f"W{n + 1}", f"b{n + 1}") if name in trained]
        own = {name: given[name].detach().requires_grad_() for name in names}
        below = x if n == 0 else passed[n - 1].detach()
        if names:
            product = (deltas[n] * _linear(network, n, {**given, **own}, below)).sum()
            slopes |= dict(zip(names, torch.autograd.grad(product, [own[name] for name in names]), strict=True))
            if order != "simultaneous":  # the layer below is given the new weights
                updated, slopes = updated | _optimised(network.rule, given, slopes, eta), {}
    updated |= _optimised(network.rule, given, slopes, eta)
    after_sums, after = _forward(network, updated, x)
    yield "E", e
    for n in range(depth):
        hidden = n + 1 < depth
        yield f"delta{n + 1}", deltas[n]
        for mark, one, other in (("", sums, passed), ("_new", after_sums, after)):
            if hidden or network.softmax or not network.layers[n].activation.is_identity:
                yield f"s{n + 1}{mark}", one[n]
            yield (f"v{n + 1}" if hidden else "y") + mark, other[n]
    for name in updated:
        yield f"{name}_new", updated[name]


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(np.array(array, dtype=np.float64))


def _linear(network: Any, n: int, given: dict[str, Any], v: Any) -> Any:
    """W v + b of a layer, from 0, for every sample."""
    import torch

    matrix = given[f"W{n + 1}"]
    s = torch.einsum("pij,psj->psi" if network.batch else "pij,pj->pi", matrix, v)
    if f"b{n + 1}" not in given:
        return s
    bias = given[f"b{n + 1}"]
    bias = bias[:, None] if bias.ndim == 1 else bias
    return s + (bias[:, None] if network.batch else bias)


def _forward(network: Any, given: dict[str, Any], x: Any, leaves: bool = False) -> tuple[list[Any], list[Any]]:
    sums, passed, v = [], [], x
    for n in range(len(network.layers)):
        s = _linear(network, n, given, v)
        if leaves and n == 0:
            s.requires_grad_()
        sums.append(s)
        v = _activated(network, n, s)
        passed.append(v)
    return sums, passed


def _activated(network: Any, n: int, s: Any) -> Any:
    import torch

    if n + 1 == len(network.layers) and network.softmax:
        return torch.softmax(s, -1)
    phi = network.layers[n].activation
    if phi.is_smooth:
        return {
            "tanh": torch.tanh, "sigmoid": torch.sigmoid, "silu": torch.nn.functional.silu,
            "gelu": lambda z: z * torch.special.erfc(-z / 2**0.5) / 2,  # its own loses the digits of what is near 0
            "softplus": lambda z: torch.logaddexp(torch.zeros_like(z), z),
        }[phi.name](s)  # fmt: skip
    v = float(phi.pieces[0].slope) * s + float(phi.pieces[0].intercept)
    for kink, piece in zip(phi.kinks, phi.pieces[1:], strict=True):
        v = torch.where(s > float(kink), float(piece.slope) * s + float(piece.intercept), v)
    return v


def _loss(network: Any, s: Any, y: Any, t: Any) -> Any:
    """E of each network."""
    import torch
    from torch.nn import functional as f

    def none(loss: Any, *of: Any) -> Any:
        return loss(*of, reduction="none")

    def softplus(z: Any) -> Any:
        return torch.logaddexp(torch.zeros_like(z), z)

    bounded = network.loss == "bce" and network.output_activation.name == "sigmoid"
    each = {
        "squared": lambda: none(f.mse_loss, y, t).sum(-1) / 2,
        "mse": lambda: none(f.mse_loss, y, t).mean(-1),
        "half_mse": lambda: none(f.mse_loss, y, t).mean(-1) / 2,
        "l1": lambda: none(f.l1_loss, y, t).sum(-1),
        "huber": lambda: none(f.huber_loss, y, t).sum(-1),
        "hinge": lambda: torch.relu(1 - t * y).sum(-1),
        "cross_entropy": lambda: torch.logsumexp(s, -1) - (t * s).sum(-1),
        "bce_logits": lambda: (softplus(s) - t * s).sum(-1),
        "bce": lambda: (
            (t * softplus(-s) + (1 - t) * softplus(s)) if bounded else -(t * y.log() + (1 - t) * (1 - y).log())
        ).sum(-1),
    }[network.loss]()
    if not network.batch:
        return each
    return each.mean(-1) if network.batch == "mean" else each.sum(-1)


def _optimised(rule: Any, given: dict[str, Any], slopes: dict[str, Any], eta: Any) -> dict[str, Any]:
    """The parameters that have slopes, after one step of an optimiser of PyTorch.

    Networks of one learning rate are a group, and of each all numbers stand in one row.
    """
    import torch

    if not slopes:
        return {}
    settings = {key: float(number) for key, number in rule.coefficients}
    betas = {"betas": (settings.pop("beta1"), settings.pop("beta2"))} if "beta1" in settings else {}
    momentum = {"momentum": settings.pop("beta")} if "beta" in settings else {}
    kind = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(
        rule.name, torch.optim.SGD
    )
    if rule.name == "nesterov":
        momentum["nesterov"] = True
    numbers, moves = (
        torch.cat([each[name].reshape(len(eta), -1) for name in slopes], dim=1) for each in (given, slopes)
    )
    rates, group = np.unique(eta, return_inverse=True)
    parameters = []
    for n in range(len(rates)):
        parameters.append(torch.nn.Parameter(numbers[group == n]))
        parameters[-1].grad = moves[group == n]
    optimiser = kind(parameters[:1], lr=1.0, foreach=False, **settings, **betas, **momentum)
    alike = optimiser.param_groups[0]  # what adds a group compares it with all others
    optimiser.param_groups = [
        {**alike, "params": [one], "lr": float(rate)} for one, rate in zip(parameters, rates, strict=True)
    ]
    optimiser.step()
    for n, parameter in enumerate(parameters):
        numbers[group == n] = parameter.detach()
    parts = numbers.split([given[name][0].numel() for name in slopes], dim=1)
    return {name: part.reshape(given[name].shape) for name, part in zip(slopes, parts, strict=True)}
