"""Update rules: what training makes of a gradient, as equations with a state of their own.

An update rule is one entry in `RULES`: its coefficients with their defaults, and a function that gives the equations
of one parameter. The formulas and the defaults are those of `torch.optim`; the gradient comes from reverse mode, and
whether it saw old or updated weights is the order's concern and none of the rule's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from fcsym.errors import ArgumentError, shown
from fcsym.language.activation import smooth
from fcsym.language.algebra import replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import ONE, ZERO, Apply, Array, Expr, Index, Ref, add, mul, power
from fcsym.language.spelling import exact
from fcsym.networks.symbols import (
    ETA,
    averages_of_one,
    bias,
    coefficient,
    corrected,
    denominator,
    gradient_of,
    increment_of,
    moment,
)

__all__ = ["PLAIN", "RULES", "UpdateRule", "rule"]


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """What training makes of a gradient: the name of an entry in `RULES`, and the numbers of its coefficients.

    `eta`: the learning rate where it is a number; None where every step is given one.
    """

    name: str = "sgd"
    coefficients: tuple[tuple[str, Fraction], ...] = ()  # those of the entry, in its order
    eta: Fraction | None = None

    @property
    def is_plain(self) -> bool:
        """Whether a step is theta - eta dE/dtheta: no decay, and nothing remembered."""
        return self.name == "sgd" and not any(value for _, value in self.coefficients)

    @property
    def rests(self) -> bool:
        """Whether a number whose gradient is 0 stays as it is, whatever is remembered: nothing else moves it."""
        theta = bias(1, shared=True)  # any number
        made = {e.array: e.rhs for e in self.equations(theta, (), named=True) if isinstance(e.rhs, Expr)}

        def at_rest(ref: Ref) -> Expr:
            if ref.array == gradient_of(theta):
                return ZERO
            return replaced(made[ref.array], at_rest) if ref.array in made else ref

        return at_rest(increment_of(theta)[()]) == ZERO

    @property
    def is_linear(self) -> bool:
        """Whether a step is linear in the gradients and parameters: what is true of z = W x then trains like W."""
        return not self.divides

    def __getitem__(self, name: str) -> Fraction:
        return dict(self.coefficients)[name]

    @property
    def values(self) -> Mapping[Array, Fraction]:
        """The arrays that stand for coefficients in equations, and their numbers; a coefficient of 0 stands nowhere."""
        return {_SYMBOLS[name]: value for name, value in self.coefficients if value}

    def of(self, name: str) -> Expr:
        """A coefficient as it stands in equations: 0 is no symbol, so that what it multiplies is not there."""
        return _SYMBOLS[name][()] if self[name] else ZERO

    @property
    def divides(self) -> bool:
        """Whether a step divides by the root of an average of squares."""
        return 2 in RULES[self.name].moments

    def shared(self) -> tuple[Equation, ...]:
        """What the rule makes once in a step, for all parameters."""
        return tuple(RULES[self.name].shared(self))

    def equations(self, theta: Array, indices: tuple[Index, ...], named: bool = False) -> tuple[Equation, ...]:
        """What the rule makes of the gradient of one parameter; the last one defines the updated parameter.

        `named`: the change has a name, also in a plain gradient step.
        """
        if self.is_plain and not named:
            gradient = gradient_of(theta)[indices]
            return (Equation(theta.primed[indices], theta[indices] - ETA[()] * gradient, Rule.UPDATE, ""),)
        *made, change = RULES[self.name].of(_Place(self, theta, indices))
        moved = increment_of(theta)[indices]
        return (
            *made,
            Equation(moved, change.rhs, Rule.TRAINING, change.because, change.uses),
            Equation(
                theta.primed[indices],
                theta[indices] + moved,
                Rule.UPDATE,
                f"This is one step of {RULES[self.name].said}.",
                (moved.array.name,),
            ),
        )

    def memory(self, parameters: tuple[Array, ...]) -> Mapping[Array, Fraction]:
        """What is carried from step to step beside the parameters, and what it is before the first one."""
        entry = RULES[self.name]
        found = {average: Fraction(0) for average in entry.averages}
        for theta in parameters:
            found |= {moment(theta, kind): Fraction(0) for kind in entry.moments}
        return found

    def __str__(self) -> str:
        said = [f"{name} {float(value):g}" for name, value in self.coefficients if value]
        return " ".join([self.name, *said])


@dataclass(frozen=True, slots=True)
class _Place:
    """The element of a parameter that a rule is written for."""

    rule: UpdateRule
    theta: Array
    indices: tuple[Index, ...]

    @property
    def value(self) -> Ref:
        """The parameter before the step."""
        return self.theta[self.indices]

    @property
    def plain(self) -> Expr:
        """dE/dtheta."""
        return gradient_of(self.theta)[self.indices]

    @property
    def gradient(self) -> Expr:
        """dE/dtheta, with the gradient of lambda/2 theta^2 where the decay is coupled."""
        return add(self.plain, mul(self.rule.of("weight_decay"), self.value))

    def moment(self, kind: int, value: Expr, because: str) -> tuple[Expr, Equation]:
        """A moment after the step, and its equation; in `value`, `self.old(kind)` is the one before."""
        new = moment(self.theta, kind).primed[self.indices]
        return new, Equation(new, value, Rule.TRAINING, because)

    def old(self, kind: int) -> Expr:
        """A moment before the step."""
        return moment(self.theta, kind)[self.indices]

    def averaged(self, kind: int, name: str, what: Expr, because: str) -> tuple[Expr, Equation]:
        """moment' = beta moment + (1 - beta) what."""
        beta = self.rule.of(name)
        return self.moment(kind, add(mul(beta, self.old(kind)), mul(add(ONE, mul(-1, beta)), what)), because)

    def change(self, value: Expr, because: str) -> Equation:
        """What is added to the parameter."""
        return Equation(increment_of(self.theta)[self.indices], value, Rule.TRAINING, because)

    def divisor(self, square: Expr) -> tuple[Expr, Equation]:
        """sqrt(square) + epsilon, above 0."""
        assert isinstance(square, Ref)
        made = denominator(self.theta)[self.indices]
        value = add(Apply(smooth("sqrt"), square), self.rule.of("eps"))
        return made, Equation(made, value, Rule.TRAINING, "What the step is divided by; it is above 0.")


def _sgd(at: _Place) -> Iterator[Equation]:
    yield at.change(-ETA[()] * at.gradient, "The gradient step, with what the decay adds to the gradient.")


def _momentum(at: _Place) -> Iterator[Equation]:
    beta = at.rule.of("beta")
    m, equation = at.moment(1, add(mul(beta, at.old(1)), at.gradient), "The velocity takes up the gradient.")
    yield equation
    yield at.change(-ETA[()] * m, "The parameter moves along the velocity.")


def _nesterov(at: _Place) -> Iterator[Equation]:
    beta = at.rule.of("beta")
    m, equation = at.moment(1, add(mul(beta, at.old(1)), at.gradient), "The velocity takes up the gradient.")
    yield equation
    ahead = add(at.gradient, mul(beta, m))
    yield at.change(mul(-1, ETA[()], ahead), "The parameter moves along the gradient and the velocity ahead of it.")


def _rmsprop(at: _Place) -> Iterator[Equation]:
    q, squares = at.averaged(2, "alpha", power(at.gradient, 2), "The average of the squared gradients.")
    yield squares
    below, divisor = at.divisor(q)
    yield divisor
    yield at.change(mul(-1, ETA[()], at.gradient, power(below, -1)), "The gradient in units of its own size.")


def _adam(at: _Place, decay: bool = True) -> Iterator[Equation]:
    gradient = at.gradient if decay else at.plain
    m, first = at.averaged(1, "beta1", gradient, "The average of the gradients.")
    q, second = at.averaged(2, "beta2", power(gradient, 2), "The average of the squared gradients.")
    yield first
    yield second
    hat = corrected(at.theta)[at.indices]
    correction = [average.primed[()] for average in averages_of_one()]
    yield Equation(
        hat, mul(q, power(correction[1], -1)), Rule.TRAINING, "The average without the zero that it started from."
    )
    below, divisor = at.divisor(hat)
    yield divisor
    step = mul(-1, ETA[()], m, power(correction[0], -1), power(below, -1))
    if decay:
        yield at.change(step, "The average gradient, in units of the average size.")
    else:
        shrunk = mul(-1, ETA[()], at.rule.of("weight_decay"), at.value)
        yield at.change(add(shrunk, step), "The decay, and the average gradient in units of the average size.")


def _adamw(at: _Place) -> Iterator[Equation]:
    return _adam(at, decay=False)


def _bias_corrections(rule_: UpdateRule) -> Iterator[Equation]:
    """h' = beta h + (1 - beta), which is 1 - beta^t: added up, nothing cancels."""
    for kind, average in enumerate(averages_of_one(), 1):
        beta = rule_.of(f"beta{kind}")
        value = add(mul(beta, average[()]), ONE, mul(-1, beta))
        yield Equation(
            average.primed[()], value, Rule.TRAINING,
            f"This is 1 less `beta{kind}` to the number of steps: how much of the average is gradients, above 0.",
        )  # fmt: skip


def _none(_: UpdateRule) -> Iterator[Equation]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Entry:
    """An update rule: coefficients with defaults and ranges, and equations."""

    said: str
    coefficients: Mapping[str, tuple[str, str]]  # the default, and the range: "[0, 1)", "[0, inf)" or "(0, inf)"
    of: Callable[[_Place], Iterator[Equation]]
    shared: Callable[[UpdateRule], Iterator[Equation]] = _none
    moments: tuple[int, ...] = ()
    averages: tuple[Array, ...] = field(default=())


_DECAY, _SHARE, _EPS, _ABOVE = "[0, inf)", "[0, 1)", "(1e-30, inf)", "(0, inf)"
RULES: Mapping[str, Entry] = {
    "sgd": Entry("gradient descent", {"weight_decay": ("0", _DECAY)}, _sgd),
    "momentum": Entry(
        "gradient descent with momentum",
        {"beta": ("0.9", _SHARE), "weight_decay": ("0", _DECAY)},
        _momentum,
        moments=(1,),
    ),
    "nesterov": Entry(
        "gradient descent with Nesterov's momentum",
        {"beta": ("0.9", "(0, 1)"), "weight_decay": ("0", _DECAY)},
        _nesterov,
        moments=(1,),
    ),
    "rmsprop": Entry(
        "RMSProp",
        {"alpha": ("0.99", _SHARE), "eps": ("1e-8", _EPS), "weight_decay": ("0", _DECAY)},
        _rmsprop,
        moments=(2,),
    ),
    "adam": Entry(
        "Adam",
        {"beta1": ("0.9", _SHARE), "beta2": ("0.999", _SHARE), "eps": ("1e-8", _EPS), "weight_decay": ("0", _DECAY)},
        _adam,
        _bias_corrections,
        (1, 2),
        averages_of_one(),
    ),
    "adamw": Entry(
        "AdamW",
        {"beta1": ("0.9", _SHARE), "beta2": ("0.999", _SHARE), "eps": ("1e-8", _EPS), "weight_decay": ("0.01", _DECAY)},
        _adamw,
        _bias_corrections,
        (1, 2),
        averages_of_one(),
    ),
}
"""The update rules by their names, with the formulas of `torch.optim`; "momentum" and "nesterov" are its SGD."""

_SYMBOLS = {
    "beta": coefficient("beta"),
    "beta1": coefficient("beta1"),
    "beta2": coefficient("beta2"),
    "alpha": coefficient("nu"),  # the letter alpha is taken by an inner product
    "eps": coefficient("eps"),
    "weight_decay": coefficient("lamda"),
}
PLAIN = UpdateRule("sgd", (("weight_decay", Fraction(0)),))
"""theta - eta dE/dtheta."""


def rule(name: str = "sgd", *, eta: object = None, betas: object = None, **coefficients: object) -> UpdateRule:
    """An update rule by its name: "sgd", "momentum", "nesterov", "rmsprop", "adam" or "adamw".

    Formulas and defaults are those of `torch.optim`. Coefficients: `beta` (momentum and nesterov, 0.9; PyTorch's
    `momentum`), `alpha` (rmsprop, 0.99), `beta1` and `beta2` or `betas` (adam and adamw, 0.9 and 0.999), `eps`
    (rmsprop, adam and adamw, 1e-8) and `weight_decay` (coupled as the gradient of lambda/2 theta^2, in adamw decoupled;
    0, in adamw 0.01; biases decay as weights do).
    `eta`: the learning rate, where it is the same number at every step; otherwise each step is given one.
    Optax differs: its RMSProp adds eps within the root, and its `adamw` decays by 1e-4 where nothing is said.
    Raises ArgumentError for an unknown name, and for a coefficient that the rule does not have or that is out of range.

    >>> print(rule("momentum", beta=0.9, weight_decay=0.01))
    momentum beta 0.9 weight_decay 0.01
    """
    if isinstance(name, UpdateRule):
        return name
    if not isinstance(name, str) or name not in RULES:
        raise ArgumentError(f"The update rule {shown(name)!r} is not known: choose one of {', '.join(RULES)}.")
    known = RULES[name].coefficients
    given = dict(coefficients)
    if betas is not None and {"beta1", "beta2"} & given.keys():
        raise ArgumentError(f"The update rule {name} is given betas and beta1 or beta2: give one of them.")
    if betas is not None:
        if "beta1" not in known:
            raise ArgumentError(f"The update rule {name} has no betas: its coefficients are {', '.join(known)}.")
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ArgumentError(f"betas is {shown(betas)!r}: give two numbers, such as (0.9, 0.999).")
        given |= {"beta1": betas[0], "beta2": betas[1]}
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        raise ArgumentError(
            f"The update rule {name} has no coefficient {shown(unknown)!r}: its coefficients are {', '.join(known)}."
        )
    values = tuple(
        (key, _in_range(name, key, given.get(key, default), where)) for key, (default, where) in known.items()
    )
    rate = None if eta is None else _in_range(name, "eta", eta, _ABOVE)
    return UpdateRule(name, values, rate)


def _in_range(name: str, key: str, value: object, where: str) -> Fraction:
    """A coefficient as an exact number: 0.9 is nine tenths, as it is written."""
    number = exact(value, f"{key} of the update rule {name}", ArgumentError)
    least = Fraction(1, 10**30) if where == _EPS else 0  # less would be 0 in single precision
    low = number > least if where.startswith("(") else number >= 0
    high = number < 1 if where.endswith("1)") else number < 10**300
    if not (low and high):
        raise ArgumentError(f"{key} of the update rule {name} is {shown(value)}: it must lie in {where}.")
    return number
