"""Losses: one entry each, the equations that end in E.

A loss reads the output y, or the logits that an output activation made y of, and the target y_g. Its parts are
differentiated, proved, typeset and compiled like everything else in the list. Names and conventions are those of
`torch.nn`: MSELoss, L1Loss, HuberLoss, BCELoss, BCEWithLogitsLoss, each with the sum over the outputs but for `mse`;
and CrossEntropyLoss, of logits and of targets that are a distribution over the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from fcsym.errors import NetworkError, shown
from fcsym.language.activation import Piece, piecewise_linear, smooth
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Expr, Index, Role, add, greatest, mul, power, total
from fcsym.networks.own_loss import OwnLoss
from fcsym.networks.symbols import ERROR, term

__all__ = ["LOSSES", "Outputs", "loss_equations", "loss_name", "needs_of", "softmax_equations", "unsuited"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a loss may read, with k over the outputs."""

    y: Array
    logits: Array  # y itself where the output is linear
    target: Array
    activation: str  # the name of the output activation
    width: int

    @property
    def k(self) -> Index:
        """The index of the outputs."""
        return Index(self.y.axes[-1], "k")

    def at_one(self, positions: int) -> Outputs:
        """What a loss reads at one position, where the read-out is taken along so many axes in front."""

        def one(array: Array) -> Array:
            return replace(array, axes=array.axes[positions:])

        return replace(self, y=one(self.y), logits=one(self.logits), target=one(self.target))


Parts = tuple[list[Equation], Expr, str]
"""The equations of a loss's own terms, E, and what it is called."""


def _residual(o: Outputs) -> Expr:
    return add(o.y[o.k], mul(-1, o.target[o.k]))


def _squared(o: Outputs) -> Parts:
    return [], mul(Fraction(1, 2), total(o.k, power(_residual(o), 2))), "the squared error"


def _mse(o: Outputs) -> Parts:
    return [], mul(Fraction(1, o.width), total(o.k, power(_residual(o), 2))), "the mean squared error over the outputs"


def _half_mse(o: Outputs) -> Parts:
    value = mul(Fraction(1, 2 * o.width), total(o.k, power(_residual(o), 2)))
    return [], value, "half the mean squared error over the outputs"


def _named_residual(o: Outputs) -> tuple[Array, Equation]:
    e = term("epsilon", o.y.axes)
    return e, Equation(e[o.k], _residual(o), Rule.DEFINITION, "This is the residual.", (o.y.name,))


def _l1(o: Outputs) -> Parts:
    e, residual = _named_residual(o)
    return [residual], total(o.k, Apply(_ABS, e[o.k])), "the absolute error"


def _huber(o: Outputs) -> Parts:
    """With c = e held between -1 and 1:  c (e - c/2)."""
    e, residual = _named_residual(o)
    c = term("gamma", o.y.axes)
    clipped = Equation(c[o.k], Apply(_CLIP, e[o.k]), Rule.DEFINITION, "The residual, held between -1 and 1.", (e.name,))
    value = total(o.k, mul(c[o.k], add(e[o.k], mul(Fraction(-1, 2), c[o.k]))))
    return [residual, clipped], value, "the Huber loss with delta = 1"


def _hinge(o: Outputs) -> Parts:
    m = term("xi", o.y.axes)
    margin = add(1, mul(-1, o.target[o.k], o.y[o.k]))
    equation = Equation(m[o.k], margin, Rule.DEFINITION, "How far the output is from the margin.", (o.y.name,))
    return [equation], total(o.k, Apply(_HINGE, m[o.k])), "the hinge loss, with targets -1 and 1"


def _bce_logits(o: Outputs) -> Parts:
    """log(1 + e^s) - y_g s, which is -y_g log sigmoid(s) - (1 - y_g) log(1 - sigmoid(s)) and does not overflow."""
    s = o.logits[o.k]
    value = total(o.k, add(Apply(smooth("softplus"), s), mul(-1, o.target[o.k], s)))
    return [], value, "the binary cross-entropy of the logits"


def _bce(o: Outputs) -> Parts:
    if o.activation == "sigmoid":  # the same function of the logits, in the form that does not overflow
        equations, value, _ = _bce_logits(o)
        return equations, value, "the binary cross-entropy, as a function of the logits"
    q = term("omega", o.y.axes)
    other = Equation(q[o.k], 1 - o.y[o.k], Rule.DEFINITION, "The probability of the other class.", (o.y.name,))
    log, t = smooth("log"), o.target[o.k]
    value = mul(-1, total(o.k, add(mul(t, Apply(log, o.y[o.k])), mul(add(1, mul(-1, t)), Apply(log, q[o.k])))))
    return [other], value, "the binary cross-entropy"


def _cross_entropy(o: Outputs) -> Parts:
    """log sum_m e^{s_m} - sum_k y_g,k s_k, with the greatest of the logits taken out: it does not overflow.

    For targets that add up to 1, -sum_k y_g,k log softmax(s)_k.
    """
    k, s = o.k, o.logits
    *made, partition = _partition(o)
    tau = made[0].array
    value = add(tau[()], mul(-1, total(k, mul(o.target[k], s[k]))), Apply(smooth("log"), partition.array[()]))
    return [*made, partition], value, "the cross-entropy of the softmax of the logits"


def _partition(o: Outputs) -> list[Equation]:
    """psi_k = e^{s_k - tau} with tau the greatest of the logits, and their sum Z."""
    k, s = o.k, o.logits
    tau, zeta, psi = term("tau"), term("zeta", s.axes), term("psi", s.axes)
    partition = term("Z", role=Role.PARTITION)
    return [
        Equation(tau[()], greatest(k, s[k]), Rule.DEFINITION, "This is the greatest of the logits.", (s.name,)),
        Equation(zeta[k], s[k] - tau[()], Rule.DEFINITION, "None of these is above 0.", (s.name, tau.name)),
        Equation(psi[k], Apply(smooth("exp"), zeta[k]), Rule.DEFINITION, "The softmax is `psi/Z`.", (zeta.name,)),
        Equation(partition[()], total(k, psi[k]), Rule.DEFINITION, "This is at least 1.", (psi.name,)),
    ]


def softmax_equations(o: Outputs) -> tuple[Equation, ...]:
    """y = softmax(s), in the form that does not overflow."""
    *made, psi, partition = _partition(o)
    value = psi.array[o.k] / partition.array[()]
    uses = (psi.name, partition.name)
    return (*made, psi, partition, Equation(o.y[o.k], value, Rule.DEFINITION, "The output is the softmax.", uses))


_ABS = piecewise_linear("abs", [Piece(Fraction(0), Fraction(-1)), Piece(None, Fraction(1))], Fraction(0))
_HINGE = piecewise_linear("hinge", [Piece(Fraction(0), Fraction(0)), Piece(None, Fraction(1))], Fraction(0))
_CLIP = piecewise_linear(
    "clip",
    [
        Piece(Fraction(-1), Fraction(0), Fraction(-1)),
        Piece(Fraction(1), Fraction(1)),
        Piece(None, Fraction(0), Fraction(1)),
    ],
    [Fraction(0), Fraction(0)],
)  # fmt: skip

LOSSES: Mapping[str, Callable[[Outputs], Parts]] = {
    "squared": _squared,
    "mse": _mse,
    "half_mse": _half_mse,
    "l1": _l1,
    "huber": _huber,
    "hinge": _hinge,
    "bce": _bce,
    "bce_logits": _bce_logits,
    "cross_entropy": _cross_entropy,
}
"""The losses by their names."""


_SUITED = {"bce": ("sigmoid", "softmax"), "hinge": ("identity", "tanh"), "cross_entropy": ("identity", "softmax")}
"""Output activations that a loss is meant for, where it has no meaning after others."""


def unsuited(name: str | OwnLoss, activation: str) -> str:
    """What makes a loss meaningless after an output activation, in a sentence; "" where nothing does."""
    if isinstance(name, OwnLoss) or activation in _SUITED.get(name, (activation,)):
        return ""
    reason = {
        "bce": "its logarithms need outputs between 0 and 1",
        "hinge": "its margin needs outputs of either sign",
        "cross_entropy": "it has a softmax of its own",
    }
    return (
        f"The loss {name} after the output {activation} means little, since {reason[name]}: take {_or(_SUITED[name])}."
    )


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(f"output={word!r}" for word in words)


_NEEDS = {"bce": "probability", "bce_logits": "probability", "cross_entropy": "distribution"}


def needs_of(name: str | OwnLoss) -> str:
    """What a loss needs its targets to be: a "probability" each, a "distribution" over the outputs, or "" anything."""
    return "" if isinstance(name, OwnLoss) else _NEEDS.get(name, "")


def loss_name(name: object) -> str | OwnLoss:
    """A loss as it is asked for: its name, or one's own. Raises NetworkError for one that is not known."""
    if isinstance(name, OwnLoss):
        if name.name in LOSSES:
            raise NetworkError(f"The name {name.name!r} is taken by a loss that is built in: choose another.")
        return name
    if not isinstance(name, str) or name not in LOSSES:
        raise NetworkError(f"The loss {shown(name)!r} is not known: choose one of {', '.join(LOSSES)}.")
    return name


def loss_equations(name: str | OwnLoss, outputs: Outputs) -> tuple[Equation, ...]:
    """The equations of a loss; the last one defines E (eq. 12 for the squared error)."""
    if isinstance(name, OwnLoss):
        equations, value, what = name.equations(outputs.y, outputs.target, outputs.k)
    else:
        equations, value, what = LOSSES[name](outputs)
    uses = tuple(dict.fromkeys(a.name for a in (outputs.y, outputs.logits)))
    cite = "eq. 12" if name == "squared" else ""
    return (*equations, Equation(ERROR[()], value, Rule.DEFINITION, f"This is {what}.", uses[:1], cite))
