"""Recurrences, unrolled: the equations of every step, with the same parameters in all of them.

A step reads the input at its own position and what the step before gave; before the first one that is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fcsym.language.activation import Activation, activation
from fcsym.language.expression import Apply, Array, Axis, Expr, Index, IndexForm, Ref, add, indicator, mul, total
from fcsym.networks.layers.base import Building, Layer, Signal, whole

__all__ = ["GRU", "LSTM", "RNN"]

_SIGMOID, _TANH = activation("sigmoid"), activation("tanh")


@dataclass
class _Cell:
    """A recurrence that is being built: its axes and its parameters by the letters of their gates."""

    at: Building
    source: Signal
    own: Axis
    read: dict[str, Array]  # W, for what a step reads
    kept: dict[str, Array]  # U, for what the step before gave
    shift: dict[str, Array]  # b, one with W and one with U; none without a bias
    shift_kept: dict[str, Array]
    time: int = 1
    cell: Array | None = None  # what an LSTM keeps beside what it gives

    @property
    def i(self) -> Index:
        """The units."""
        return Index(self.own, "i")

    def input_map(self, gate: str) -> Expr:
        """sum_j W_ij x_tj + b_i, the input taken at this step."""
        steps, features = self.source.axes
        u, j = Index(steps, "u"), Index(features, "j")
        here = indicator(u, IndexForm((), self.time - 1))
        value = total((j, u), mul(self.read[gate][self.i, j], here, self.source.array[u, j]))
        return add(value, self.shift[gate][self.i]) if self.shift else value

    def kept_map(self, gate: str, before: Array | None) -> Expr:
        """sum_j U_ij h_j + b_i, with h of the step before; before the first one h = 0."""
        j = Index(self.own, "j")
        value = add() if before is None else total(j, mul(self.kept[gate][self.i, j], before[j]))
        return add(value, self.shift_kept[gate][self.i]) if self.shift_kept else value

    def linear(self, gate: str, value: Expr) -> Ref:
        """The pre-activation of a gate at this step."""
        s = self.at.pre_activation((self.own,), f"s{gate}", self.time)
        what = f"gate {gate} of layer {self.at.n}" if gate else f"layer {self.at.n}"
        return self.at.define(s, (self.i,), value, f"This is the pre-activation of {what} at step {self.time}.")[self.i]

    def applied(self, phi: Activation, s: Ref, symbol: str) -> Ref:
        """phi of it."""
        v = self.at.activation((self.own,), symbol, self.time)
        value: Expr = s if phi.is_identity else Apply(phi, s)
        return self.at.define(v, (self.i,), value, f"The activation is {phi.name}.")[self.i]

    def made(self, symbol: str, value: Expr, because: str) -> Array:
        """What the step keeps."""
        return self.at.define(self.at.activation((self.own,), symbol, self.time), (self.i,), value, because)


@dataclass(frozen=True)
class _Recurrent(Layer):
    """What recurrences share."""

    input_size: int
    hidden_size: int
    bias: bool = True
    last: bool = False
    gates: ClassVar[tuple[str, ...]] = ("",)
    reads: ClassVar[tuple[str, ...]] = ("T", "n")
    measured: ClassVar[str] = "input_size"

    def _step(self, cell: _Cell, before: Array | None) -> Array:
        """The equations of one step; what it gives."""
        raise NotImplementedError

    def build(self, at: Building, *sources: Signal) -> Signal:
        """Of each gate W (hidden_size, input_size), U (hidden_size, hidden_size) and two biases (hidden_size,)."""
        (source,) = sources
        at.needs(source, 2, "steps and features, (T, n)")
        steps, features = source.axes
        at.fits(features, self.input_size, "features")
        own = at.units(whole(self.hidden_size, f"hidden_size of {at.where}"))

        def each(symbol: str, *axes: Axis) -> dict[str, Array]:
            return {gate: at.parameter(f"{symbol}{gate}", *axes) for gate in self.gates}

        read, kept = each("W", own, features), each("U", own, own)
        cell = _Cell(at, source, own, read, kept, *((each("b", own), each("bh", own)) if self.bias else ({}, {})))
        given: list[Array] = []
        for time in range(1, at.size(steps) + 1):
            cell.time = time
            given.append(self._step(cell, given[-1] if given else None))
        return Signal(given[-1] if self.last else _stacked(at, given, steps, own))


def _stacked(at: Building, given: Sequence[Array], steps: Axis, own: Axis) -> Array:
    """v_ti = sum over steps of [t = step] h_i of that step."""
    t, i = Index(steps, "t"), Index(own, "i")
    value = add(*(mul(indicator(t, IndexForm((), n)), h[i]) for n, h in enumerate(given)))
    return at.define(at.activation((steps, own)), (t, i), value, "The steps, one after the other.")


@dataclass(frozen=True)
class RNN(_Recurrent):
    """h_t = phi(W x_t + b + U h_{t-1} + bh), Elman's recurrence, as `torch.nn.RNN` with one layer; reads (T, n).

    W is PyTorch's weight_ih_l0, U weight_hh_l0, b bias_ih_l0 and bh bias_hh_l0. It passes on all steps, (T,
    hidden_size), or, with `last`, the last one, (hidden_size,): PyTorch returns both. `nonlinearity` is "tanh" or
    "relu".
    """

    nonlinearity: str = "tanh"
    kind: ClassVar[str] = "rnn"

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The one that every step applies."""
        return (self._phi,)

    @property
    def _phi(self) -> Activation:
        return activation(self.nonlinearity)

    def with_activations(self, change: Callable[[Activation], Activation]) -> RNN:
        """The same with another one."""
        return replace(self, nonlinearity=change(self._phi))  # type: ignore[arg-type]

    def _step(self, cell: _Cell, before: Array | None) -> Array:
        s = cell.linear("", add(cell.input_map(""), cell.kept_map("", before)))
        return cell.applied(self._phi, s, "h").array


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """c_t = f c_{t-1} + i g, h_t = o tanh(c_t), as `torch.nn.LSTM` with one layer; reads (T, n).

    The gates are vi, vf, vo = sigmoid and vg = tanh of W x_t + b + U h_{t-1} + bh, each with parameters of its own, Wi,
    Wf, Wg, Wo and so on, where PyTorch has one matrix of all four on top of each other, in this order. It passes on all
    steps, (T, hidden_size), or, with `last`, the last one: PyTorch returns both, and the last cell c.
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")

    def _step(self, cell: _Cell, before: Array | None) -> Array:
        def gate(letter: str, phi: Activation) -> Ref:
            s = cell.linear(letter, add(cell.input_map(letter), cell.kept_map(letter, before)))
            return cell.applied(phi, s, f"v{letter}")

        i, g, o = gate("i", _SIGMOID), gate("g", _TANH), gate("o", _SIGMOID)
        value: Expr = mul(i, g)
        if cell.cell is not None:
            value = add(mul(gate("f", _SIGMOID), cell.cell[cell.i]), value)
        cell.cell = cell.made("c", value, "The cell keeps a part of what it was, and takes up a part of what is new.")
        u = cell.applied(_TANH, cell.cell[cell.i], "u")
        return cell.made("h", mul(o, u), "The step gives a part of the cell.")


@dataclass(frozen=True)
class GRU(_Recurrent):
    """h_t = (1 - z) n + z h_{t-1}, as `torch.nn.GRU` with one layer; reads (T, n).

    vr, vz = sigmoid of W x_t + b + U h_{t-1} + bh, and vn = tanh(Wn x_t + bn + vr (Un h_{t-1} + bhn)), with the reset
    around the inner map as in PyTorch, which has one matrix of all three, r, z and n, on top of each other. It passes
    on all steps, (T, hidden_size), or, with `last`, the last one: PyTorch returns both.
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")

    def _step(self, cell: _Cell, before: Array | None) -> Array:
        def gate(letter: str) -> Ref:
            s = cell.linear(letter, add(cell.input_map(letter), cell.kept_map(letter, before)))
            return cell.applied(_SIGMOID, s, f"v{letter}")

        inner, value = cell.kept_map("n", before), cell.input_map("n")
        if before is not None or self.bias:  # otherwise there is nothing to reset
            value = add(value, mul(gate("r"), cell.linear("h", inner)))
        n = cell.applied(_TANH, cell.linear("n", value), "vn")
        z = gate("z")
        value = mul(add(1, mul(-1, z)), n)
        if before is not None:
            value = add(value, mul(z, before[cell.i]))
        return cell.made("h", value, "The step keeps a part of the one before, and takes up a part of what is new.")
