"""The paper's claims (i)-(vi) and its induction: what was derived, under which conditions it holds, and the number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import sympy

from fcsym.closed.costs import STORED, cost
from fcsym.closed.series import flow, powers
from fcsym.collapsing import find_collapse
from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError, FcsymError
from fcsym.language.equation import Order, Verdict
from fcsym.networks.layers import LSTM, RNN, Conv1d, Flatten, LayerNorm, Linear, MultiheadAttention, Residual
from fcsym.networks.network import Network
from fcsym.training import collapse, scheme

__all__ = ["Answer", "Claim", "claims"]

_ORDER: Order = "sequential"  # the paper's
_WAYS = ("weights", "compensation", "states", "history", "basis")
"""The schemes that take the place of backpropagation."""

_ROUNDING = 1e-12  # how far two orders of summation in float64 may take outputs of size 1 apart


class Answer(Enum):
    """What is to be said of a claim."""

    HOLDS = "holds"
    CONDITION = "holds under a condition"
    FAILS = "does not hold"
    OPEN = "not examined"


@dataclass(frozen=True, slots=True)
class Claim:
    """One row: the number of the claim, its words, what the engine finds, when it holds, and the number."""

    label: str
    text: str
    finding: str
    condition: str
    number: str
    answer: Answer

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label, "text": self.text, "finding": self.finding, "condition": self.condition,
            "number": self.number, "answer": self.answer.value,
        }  # fmt: skip


def claims(network: Network, progress: Callable[[str], None] = lambda _: None) -> tuple[Claim, ...]:
    """Every claim of the paper's section 4, its induction and its headline, answered for a network with a hidden layer.

    Each answer is computed: from proofs, and from costs as polynomials in the widths at the network's own. Raises
    ArgumentError where the paper's own scheme does not exist: it claims nothing there.
    """
    try:
        scheme(network, _WAYS[0], _ORDER)
    except FcsymError as problem:
        why = str(problem).rsplit(": ", 1)[0]
        raise ArgumentError(
            f"the paper's claims are about its own way to train, and {why[0].lower()}{why[1:]}: ask about a "
            "dense network with a hidden layer, in which gradient steps train every parameter, a sample at a time."
        ) from None
    rows = []
    for make in (_once, _memory, _time, _series, _expanded, _others, _induction, _collapsed):
        progress(make.__name__.strip("_"))
        rows.append(make(network))
    return tuple(rows)


def _once(network: Network) -> Claim:
    wider = replace(
        network,
        inputs=2 * network.inputs,
        layers=tuple(replace(layer, width=2 * layer.width) for layer in network.layers[:-1]) + network.layers[-1:],
        names=(),
    )
    lists = [len(derive(net, _ORDER)) for net in (network, wider)]
    spent = cost(scheme(network, "weights", _ORDER))
    once, constant = lists[0] == lists[1], not spent.operations.free_symbols
    return Claim(
        "(i)", "a one-time calculation, O(1)",
        f"The derivation is made once per structure, and is as long for {wider}. The step that it gives takes "
        f"{spent.operations} operations.",
        "" if constant else "of the derivation, not of a training step",
        f"{lists[0]} equations for {network}, {lists[1]} for {wider}",
        Answer.FAILS if not once else Answer.HOLDS if constant else Answer.CONDITION,
    )  # fmt: skip


def _against_backprop(network: Network, what: str) -> tuple[dict[str, sympy.Expr], dict[str, int]]:
    """reference - scheme, as a polynomial and at the network's widths, for every scheme that takes its place."""
    reference = cost(scheme(network, "backprop", _ORDER))
    polynomials, values = {}, {}
    for name in _WAYS:
        own = cost(scheme(network, name, _ORDER))
        polynomials[name] = sympy.expand(getattr(reference, what) - getattr(own, what))
        values[name] = int(polynomials[name].subs({**own.widths, STORED: 1}))
    return polynomials, values


def _saving(network: Network, what: str, unit: str) -> tuple[str, str, Answer]:
    polynomials, values = _against_backprop(network, what)
    saved = "; ".join(f"{name}: {polynomial}" for name, polynomial in polynomials.items())
    numbers = ", ".join(f"{name} {value:+d}" for name, value in values.items())
    answer = Answer.CONDITION if any(value > 0 for value in values.values()) else Answer.FAILS
    if all(value > 0 for value in values.values()):
        answer = Answer.HOLDS
    return f"{unit} saved against backpropagation: {saved}.", f"at {network}, m = 1: {numbers}", answer


def _memory(network: Network) -> Claim:
    finding, number, answer = _saving(network, "state", "Numbers of state")
    return Claim(
        "(ii)", "fewer weights, less memory", finding,
        "where the polynomial is positive: for one input and a wide input layer",
        number, answer,
    )  # fmt: skip


def _time(network: Network) -> Claim:
    finding, number, answer = _saving(network, "operations", "Operations per step")
    return Claim(
        "(iii)", "no back-propagation, less time", finding,
        "where the polynomial is positive; the error is still passed back through every layer above the first", number,
        answer,
    )  # fmt: skip


def _series(network: Network) -> Claim:
    d = derive(network, _ORDER)
    if "P" not in d.by_name:
        return Claim(
            "(iv)", "W + k1 W^3 + k2 W^5 + ...", "P has no closed form after a smooth layer.", "", "", Answer.OPEN
        )
    case = next(b.name for b in d["P"].rhs if b.value is not None)  # type: ignore[union-attr]
    found = powers(d, case)
    integral = ", ".join(f"W^{n}: {coefficient}" for n, coefficient in found.items() if n)
    try:
        truth = flow(derive(network, "simultaneous"))
    except ArgumentError:  # for deeper networks and several outputs only the integral is known
        return Claim(
            "(iv)", "W + k1 W^3 + k2 W^5 + ...",
            f"With everything else held constant, P [{case}] = {integral}: a polynomial of degree {max(found)}.",
            "", f"degree {max(found)}", Answer.FAILS,
        )  # fmt: skip
    series = ", ".join(f"w^{2 * n + 1}: {coefficient}" for n, coefficient in enumerate(truth.series))
    odd = all(n % 2 for n in found if n)
    return Claim(
        "(iv)", "W + k1 W^3 + k2 W^5 + ...",
        f"With everything else held constant, P [{case}] = {integral}, of degree {max(found)}. As eta -> 0, for two "
        f"layers, r = {truth.r}: {series}.",
        "the infinite series needs eta -> 0 and C = (v^c)^2 - a (w^c)^2 > 0, where v^2 - a w^2 is multiplied by "
        f"{truth.factor} per step",
        f"degree {max(found)}" + ("" if odd else ", even powers too"),
        Answer.CONDITION if truth.rest == 0 and len(truth.series) > 2 and all(truth.series) else Answer.FAILS,
    )  # fmt: skip


def _expanded(network: Network) -> Claim:
    proofs = {name: scheme(network, name, _ORDER).expand.proof for name in ("weights", "compensation", "states")}
    count = sum(proof.count(Verdict.PROVED) for proof in proofs.values())
    return Claim(
        "(v)", "can be expanded to a conventional network",
        "W1 = W1_c + (s1 - s1_c) x^T/|x|^2, and the upper weights are in the state.",
        "the initial W1 and the input are still there, which no state holds",
        f"{count} statements proved in {', '.join(proofs)}",
        Answer.CONDITION if all(proof.holds for proof in proofs.values()) else Answer.FAILS,
    )  # fmt: skip


def _other_layers() -> dict[str, Network]:
    """A small network of each kind that the claim is about."""
    block = Residual((LayerNorm(4), MultiheadAttention(4, 2, causal=True)))
    return {
        "convolution": Network.sequential((1, 6), [Conv1d(1, 2, 3), "relu", Flatten(), Linear(8, 2)]),
        "recurrence": Network.sequential((3, 2), [RNN(2, 3, last=True), Linear(3, 2)]),
        "gated recurrence": Network.sequential((3, 2), [LSTM(2, 3, last=True), Linear(3, 2)]),
        "attention block": Network.sequential((3, 4), [block, Linear(4, 2)]),
    }


def _others(_: Network) -> Claim:
    numbers, shared, refused, holds = [], [], {}, True
    for name, network in _other_layers().items():
        d = derive(network, "simultaneous")
        stated = len(d.proof.findings) - d.proof.count(Verdict.DEFINITION)
        said = f"{name}: proved {d.proof.count(Verdict.PROVED)} of {stated}, chosen {d.proof.count(Verdict.CHOSEN)}"
        holds = holds and d.proof.holds
        apart, condition = _apart(d)
        said += f", |y_front - y_new| <= {apart:.1e}"
        holds = holds and apart < _ROUNDING * condition
        if network.places:
            said += f" at {network.served} positions, the condition number of v^c v^cT being {condition:.1e}"
            shared.append(name)
        numbers.append(said)
        refused[name] = [own for own in _WAYS if _is_refused(network, own)]
    lost = [own for own in _WAYS if any(own in names for names in refused.values())]
    conditions = [
        "the v^c of all positions are linearly independent: " + ", ".join(shared) if shared else "",
        "the schemes that replace backpropagation are not carried over: " + ", ".join(lost) if lost else "",
    ]
    answer = Answer.CONDITION if shared or lost else Answer.HOLDS
    return Claim(
        "(vi)", "extends to CNNs, RNNs and transformers",
        f"The same derivation gives the updates, dv', p and r of each of {len(numbers)} networks; one p for all "
        "positions, where the read-out is taken at several.",
        "; ".join(filter(None, conditions)), "; ".join(numbers), answer if holds else Answer.FAILS,
    )  # fmt: skip


def _apart(d: Derivation) -> tuple[float, float]:
    """How far the output by compensation is from that by the trained weights, at one step; nan where p is undefined.

    And by how much solving for one p of all positions multiplies rounding: 1 where p is made unit by unit.
    """
    rng, network = np.random.default_rng(0), d.network
    weights = [rng.normal(size=network.shape(theta)) for theta in network.parameters]
    x, target = rng.normal(size=network.one_input), rng.normal(size=network.one_target)
    after = d.compile().step(weights, x, target, 0.01)
    condition = float(np.linalg.cond(after.K)) if network.places else 1.0
    return float(np.abs(after.y_front - after.y_new).max()), condition


def _is_refused(network: Network, name: str) -> bool:
    try:
        scheme(network, name, "simultaneous")
    except ArgumentError:
        return True
    return False


def _induction(network: Network) -> Claim:
    proof = collapse(network, _ORDER).output.proof
    boundaries = len(network.layers) - 1
    return Claim(
        "induction", "n layers collapse to n - 1, ..., to 1",
        f"p_l = W_l (v - v^c)/v^c at each of {boundaries} boundaries; the last is the direct formula, and the output "
        "is that of backpropagation.",
        "at every boundary v^c is not 0 or the unit stays at 0; and the trained weights of all layers above the first "
        "are still needed for the next step",
        f"{proof.count(Verdict.PROVED)} statements proved, {proof.count(Verdict.CHOSEN)} chosen",
        Answer.CONDITION if proof.holds else Answer.FAILS,
    )  # fmt: skip


def _collapsed(network: Network) -> Claim:
    found = find_collapse(network, 1, _ORDER)
    closed = [c for c in found.choices if c.closed and any(c.found.contracted)]
    best = min(closed, key=lambda c: (c.numbers or 0, c.found.contracted), default=None)
    if best is None or best.closure is None:
        why = next((c.said for c in found.choices if any(c.found.contracted)), "there is no hidden layer")
        return Claim(
            "collapse", "a network collapses", f"No hidden layer can be summed over: {why}.", "",
            f"{found.carried} weights stay", Answer.FAILS,
        )  # fmt: skip
    open_ = [c for c in found.choices if not c.closed]
    proof = best.closure.proof
    return Claim(
        "collapse", "a network collapses",
        f"Summed over {best.layers}, training closes on {best.closure.size} numbers, n being widths and p the numbers "
        "of gate patterns.",
        "on inputs that stay, until a unit changes its piece, which is carried"
        + ("; not every choice of layers closes" if open_ else ""),
        f"{best.numbers} numbers in place of {found.carried}, {proof.count(Verdict.PROVED)} equations proved",
        Answer.CONDITION if proof.holds else Answer.FAILS,
    )  # fmt: skip
