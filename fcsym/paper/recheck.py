"""A counterexample, evaluated again: fractions and a backpropagation written out by hand, and nothing else.

It imports nothing of fcsym. Formulas arrive as nested tuples, numbers as fractions; the 2-2-1 network, its step and
every symbol of the paper are written out below, so that an error of the engine cannot hide an error of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

__all__ = ["Network", "Undefined", "recheck"]

ZERO = Fraction(0)


class Undefined(ArithmeticError):
    """The formula has no value at this point."""


class _Dual:
    """value + slope * epsilon."""

    def __init__(self, value: Fraction, slope: Fraction = ZERO) -> None:
        self.value, self.slope = value, slope


def recheck(
    numbers: Mapping[str, Fraction], inputs: Sequence[str], setting: str, order: str,
    left: Any, right: Any, when: Sequence[Any],
) -> tuple[bool, Fraction | None, Fraction | None]:  # fmt: skip
    """(the conditions hold, left side, right side); None for a side that has no value.

    `inputs`: which input each step sees. `setting`: "steps"; "held", where w_5' and w_6' are numbers of their own; or
    "series", where the one step is the n-th and n is 1. `order`: which last-layer weights the first layer sees.
    """
    net = Network(numbers, inputs, setting, order)
    try:
        holds = all(_holds(condition, net) for condition in when)
    except Undefined:
        return False, None, None
    return holds, _side(left, net), _side(right, net)


def _side(formula: Any, net: Network) -> Fraction | None:
    try:
        return _value(formula, net).value
    except Undefined:
        return None


def _holds(condition: Any, net: Network) -> bool:
    relation, left, right = condition
    a, b = _value(left, net).value, _value(right, net).value
    return {">": a > b, ">=": a >= b, "<": a < b, "<=": a <= b, "=": a == b, "!=": a != b}[relation]


def _value(formula: Any, net: Network) -> _Dual:
    if isinstance(formula, Fraction):
        return _Dual(formula)
    head, *rest = formula
    if head == "sym":
        return net.symbol(*rest)
    if head == "^":
        base, result = _value(rest[0], net), _Dual(Fraction(1))
        for _ in range(abs(rest[1])):
            result = _times(result, base)
        return result if rest[1] >= 0 else _over(_Dual(Fraction(1)), result)
    if head == "if":
        return _Dual(Fraction(all(_holds(condition, net) for condition in rest)))
    if head == "other":
        return _value(rest[0], net.another())
    if head == "sum":  # n = 1: the sum has one term
        return _value(rest[0], net)
    parts = [_value(part, net) for part in rest]
    if head == "+":
        return _Dual(sum((p.value for p in parts), ZERO), sum((p.slope for p in parts), ZERO))
    if head == "*":
        result = _Dual(Fraction(1))
        for part in parts:
            result = _times(result, part)
        return result
    if head == "/":
        return _over(*parts)
    if head == "neg":
        return _Dual(-parts[0].value, -parts[0].slope)
    if head == "relu":
        return parts[0] if parts[0].value > 0 else _Dual(ZERO)
    if head == "d":
        return _Dual(parts[0].slope)
    raise ValueError(f"The operation {head} is not known.")


def _times(a: _Dual, b: _Dual) -> _Dual:
    return _Dual(a.value * b.value, a.value * b.slope + a.slope * b.value)


def _over(a: _Dual, b: _Dual) -> _Dual:
    if not b.value:
        raise Undefined
    value = a.value / b.value
    return _Dual(value, (a.slope - value * b.slope) / b.value)


class Network:
    """2-2-1 with its weights after 0, 1, 2, ... steps."""

    def __init__(self, numbers: Mapping[str, Fraction], inputs: Sequence[str], setting: str, order: str) -> None:
        self.numbers, self.inputs, self.setting, self.order = numbers, inputs, setting, order
        self.eta = numbers["eta"]
        self.weights = [[numbers[f"w{n}"] for n in range(1, 7)]]
        self.errors: list[Fraction] = []
        for mark in inputs:
            self.step(mark)

    def input(self, mark: str) -> tuple[Fraction, Fraction]:
        """The input with that mark; ~ turns the sign of its second entry."""
        sign = -1 if mark.endswith("~") else 1
        mark = mark.rstrip("~")
        return self.numbers[f"x1{mark}"], sign * self.numbers[f"x2{mark}"]

    def forward(self, steps: int, mark: str) -> tuple[list[Fraction], list[Fraction], Fraction]:
        """s, v and y after so many steps."""
        if steps >= len(self.weights):
            raise Undefined
        w1, w2, w3, w4, w5, w6 = self.weights[steps]
        x1, x2 = self.input(mark)
        s = [w1 * x1 + w2 * x2, w3 * x1 + w4 * x2]
        v = [a if a > 0 else ZERO for a in s]
        return s, v, w5 * v[0] + w6 * v[1]

    def step(self, mark: str) -> None:
        """One step of backpropagation."""
        now = len(self.weights) - 1
        s, v, y = self.forward(now, mark)
        w = self.weights[now]
        x1, x2 = self.input(mark)
        error = y - self.numbers[f"yg{mark}"]
        last = [w[4] - self.eta * error * v[0], w[5] - self.eta * error * v[1]]
        if self.setting == "held" and not now:
            last = [self.numbers["w5'"], self.numbers["w6'"]]
        seen = last if self.order == "sequential" else w[4:]
        open_1, open_2 = Fraction(s[0] > 0), Fraction(s[1] > 0)
        self.errors.append(error)
        self.weights.append([
            w[0] - self.eta * error * seen[0] * open_1 * x1,
            w[1] - self.eta * error * seen[0] * open_1 * x2,
            w[2] - self.eta * error * seen[1] * open_2 * x1,
            w[3] - self.eta * error * seen[1] * open_2 * x2,
            *last,
        ])  # fmt: skip

    def another(self) -> Network:
        """The same network with another first layer."""
        changed = {f"w{n}": self.numbers[f"w{n}~"] for n in range(1, 5)}
        return Network({**self.numbers, **changed}, self.inputs, self.setting, self.order)

    def error_of(self, steps: int) -> Fraction:
        """dE/dY of the step that follows `steps` others; after the last one, on that step's input."""
        if steps < len(self.errors):
            return self.errors[steps]
        mark = self.inputs[-1]
        return self.forward(steps, mark)[2] - self.numbers[f"yg{mark}"]

    def compensation(self, unit: int, mark: str) -> Fraction:
        """p or q: what must be added to w' so that w' v' = (w' + p) v^c, and beyond p for another input."""
        weight = self.weights[1][3 + unit]
        frozen = self.forward(0, mark)[1][unit - 1]
        after = self.forward(1, mark)[1][unit - 1]
        if not frozen:
            if after:
                raise Undefined
            return ZERO
        whole = weight * (after - frozen) / frozen
        return whole if not mark else whole - self.compensation(unit, "")

    def symbol(self, name: str, primes: int, mark: str) -> _Dual:
        """The value of a symbol of the paper."""
        if self.setting == "held" and name in ("w5", "p", "P", "dP") and (name != "w5" or primes == 1):
            return self._held(name)
        return _Dual(self._plain(name, primes, mark))

    def _held(self, name: str) -> _Dual:
        """w_5', and p and P as functions of it, with v^c, dE/dY and the gates held constant."""
        w, error = self.numbers["w5'"], self.errors[0]
        s, frozen, _ = self.forward(0, self.inputs[0])
        x1, x2 = self.input(self.inputs[0])
        norm, vc = x1 * x1 + x2 * x2, frozen[0]
        if name == "w5":
            return _Dual(w, Fraction(1))
        active = s[0] > 0 and s[0] - self.eta * error * w * norm > 0
        if not vc:  # dead, and with this input it stays dead: 0 is chosen
            return _Dual(ZERO)
        if name == "p":
            return _Dual(-self.eta * error * w * w * norm / vc, -2 * self.eta * error * w * norm / vc) if active else (
                _Dual(-w, Fraction(-1)))  # fmt: skip
        if not active and not self.eta * error:
            raise Undefined
        start = self.numbers["w5"]
        if active:
            whole = _Dual((w**3 - start**3) * norm / (3 * vc * vc), w * w * norm / (vc * vc))
        else:
            whole = _Dual((w * w - start * start) / (2 * self.eta * error * vc), w / (self.eta * error * vc))
        return whole if name == "P" else _Dual(whole.slope)

    def _plain(self, name: str, primes: int, mark: str) -> Fraction:
        if name == "eta":
            return self.eta
        if name in ("x1", "x2"):
            return self.input(mark)[int(name[1]) - 1]
        if name == "yg":
            return self.numbers[f"yg{mark}"]
        if name.endswith("n") or name.endswith("n-1"):
            return self._nth(name)
        here = mark or self.inputs[0]
        if name[0] == "w" and name[1:].isdigit():
            if primes >= len(self.weights):
                raise Undefined
            return self.weights[primes][int(name[1:]) - 1]
        if name[0] == "w" and name.endswith("c"):
            return self.weights[0][int(name[1]) - 1]
        if name[0] == "s":
            return self.forward(primes, here)[0][int(name[1]) - 1]
        if name[0] == "S":
            return self.forward(primes, here + "~")[0][int(name[1]) - 1]
        if name in ("v1", "v2"):
            return self.forward(primes, here)[1][int(name[1]) - 1]
        if name in ("v1c", "v2c"):
            return self.forward(0, here)[1][int(name[1]) - 1]
        if name == "y":
            return self.forward(primes, here)[2]
        if name == "e":
            return self.error_of(primes)
        if name == "E":
            return self.error_of(primes) ** 2 / 2
        if name in ("dv1", "dv2"):
            unit = int(name[2]) - 1
            return self.forward(primes, here)[1][unit] - self.forward(0, here)[1][unit]
        if name[:2] == "dw":
            n = int(name[2:]) - 1
            return self.weights[primes][n] - self.weights[primes - 1][n]
        if name[:4] == "dEdw":
            return self._slope(int(name[4:]), primes)
        if name in ("p", "q"):
            return self.compensation("pq".index(name) + 1, mark)
        if name in ("r5", "r6"):
            unit = int(name[1]) - 4
            return self.weights[1][3 + unit] + self.compensation(unit, "")
        raise Undefined

    def _slope(self, weight: int, primes: int) -> Fraction:
        """dE/dw: the derivative of the error, through the weights as they are."""
        mark = self.inputs[0]
        s, v, _ = self.forward(primes, mark)
        error = self.error_of(primes)
        if weight > 4:
            return error * v[weight - 5]
        unit = (weight - 1) // 2
        return error * self.weights[primes][4 + unit] * Fraction(s[unit] > 0) * self.input(mark)[(weight - 1) % 2]

    def _nth(self, name: str) -> Fraction:
        """The symbols with the index n, for n = 1."""
        before = name.endswith("n-1")
        steps, head = (0, name[:-3]) if before else (1, name[:-1])
        if head in ("A", "B"):
            return self.forward(steps, "")[0]["AB".index(head)]
        if head == "e":
            return self.errors[0]
        unit = int(head[1]) - 5 if int(head[1]) > 4 else int(head[1]) - 1
        if head[0] == "w":
            return self.weights[steps][int(head[1]) - 1]
        if head[0] == "v":
            return self.forward(steps, "")[1][unit]
        if head[0] == "r":
            vc, v = self.forward(0, "")[1][unit], self.forward(1, "")[1][unit]
            if not vc:
                raise Undefined
            return self.weights[1][4 + unit] * v / vc
        raise Undefined
