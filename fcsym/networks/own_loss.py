"""A reader's own loss: a SymPy expression of one output and its target, as equations of the language.

Nothing is evaluated but the expression, which is an object already; a network file has names only.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fcsym.errors import NetworkError, shown
from fcsym.language import smooth_functions
from fcsym.language.activation import Activation, smooth
from fcsym.language.algebra import replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Apply, Array, Expr, Index, Number, Ref, add, mul, power, total
from fcsym.language.spelling import check_name
from fcsym.networks.symbols import term

__all__ = ["OwnLoss", "loss"]

_Y, _T = term("y"), term("t")


@dataclass(frozen=True)
class OwnLoss:
    """E = sum over the outputs of an expression in the output y and its target t."""

    name: str
    parts: tuple[Expr, ...]  # what functions are applied to, in y, t and the parts before: u1, u2, ...
    value: Expr
    expression: Any  # as it was given, for those who compute it by themselves

    def equations(self, y: Array, target: Array, k: Index) -> tuple[list[Equation], Expr, str]:
        """The equations of the parts, E, and what it is called, with k over the outputs."""
        made = {_Y: y, _T: target}
        result = []
        for n, part in enumerate(self.parts, 1):
            named = term(f"u{n}", y.axes)
            result.append(
                Equation(named[k], _at(part, made, k), Rule.DEFINITION, "This is a part of the loss.", (y.name,))
            )
            made[_part(n)] = named
        return result, total(k, _at(self.value, made, k)), f"the loss {self.name}"

    def __str__(self) -> str:
        return self.name


def _at(node: Expr, made: dict[Array, Array], k: Index) -> Expr:
    """An expression of single numbers => the same of the elements k."""
    return replaced(node, lambda ref: made[ref.array][k])


def _part(number: int) -> Array:
    return term(f"u{number}")


def loss(name: str, expression: Any) -> OwnLoss:
    """A loss of one's own, from a SymPy expression of one output `y` and its target `t`; E is its sum over the outputs.

    A function of the residual y - t or of the margin t y alone becomes one smooth function (`fcsym.smooth`), with its
    digits looked after; in others, functions that the language has are applied to polynomials.
    Raises NetworkError for a name that is taken, for other symbols than real y and t, for what has no slope somewhere,
    and for what is written with functions that are not known.

    >>> import sympy
    >>> y, t = sympy.symbols("y t", real=True)
    >>> print(loss("logcosh", sympy.log(sympy.cosh(y - t))).value)
    logcosh(u1)
    """
    import sympy

    check_name(name, "a loss")
    where = f"The loss {name!r}"
    if not isinstance(expression, sympy.Expr):
        raise NetworkError(f"{where} is given {shown(expression)!r}: give a SymPy expression of y and t.")
    y, t = sympy.Symbol("y", real=True), sympy.Symbol("t", real=True)
    other = sorted(str(symbol) for symbol in expression.free_symbols - {y, t})
    if other or y not in expression.free_symbols:
        said = f"has the symbol {shown(other[0])}, which is none of them" if other else "does not depend on y"
        raise NetworkError(f'{where} {said}: write it in sympy.symbols("y t", real=True), the output and its target.')
    if expression.is_polynomial(y, t):
        reader = _Reader(where, name, y, t)
        return OwnLoss(name, tuple(reader.parts), reader.read(expression), expression)
    s = sympy.Symbol("s", real=True)
    for part, instead in ((y - t, s + t), (t * y, s / t)):  # a function of the residual, or of the margin
        changed = expression.subs(y, instead)
        if not _drops_out(changed, s, t):
            continue
        # simplified, as only then t is seen to drop out, where numbers say that it does: simplifying what does not may
        # take minutes; once per loss, on an expression of one output, never text
        alone = sympy.simplify(changed)
        if alone.free_symbols == {s}:
            reader = _Reader(where, name, y, t)
            return OwnLoss(name, (reader.read(part),), Apply(reader.function(name, alone), _part(1)[()]), expression)
    reader = _Reader(where, name, y, t)
    value = reader.read(expression)
    return OwnLoss(name, tuple(reader.parts), value, expression)


def _drops_out(expression: Any, s: Any, t: Any) -> bool:
    """Whether an expression has one value for several t, at some s: what is no proof, and quickly says no."""
    import sympy

    for at in (sympy.Rational(7, 11), sympy.Rational(-13, 9)):
        values = []
        for other in (sympy.Rational(3, 5), sympy.Rational(8, 7), sympy.Rational(-5, 3)):
            value = expression.subs({s: at, t: other}).evalf(30)
            values += [value] if value.is_number and value.is_finite else []
        if any(abs(value - values[0]) > abs(values[0]) * sympy.Rational(1, 10**15) for value in values):
            return False
    return True


class _Reader:
    """SymPy => the language, with a name for what a function is applied to."""

    def __init__(self, where: str, name: str, y: Any, t: Any) -> None:
        self.where, self.name, self.y, self.t = where, name, y, t
        self.parts: list[Expr] = []

    def read(self, node: Any) -> Expr:
        """An expression."""
        import sympy

        match node:
            case sympy.Rational():
                return Number(Fraction(int(node.p), int(node.q)))
            case sympy.Float():
                return Number(Fraction(str(node)))
            case sympy.NumberSymbol():
                raise NetworkError(f"{self.where} has the number {node}, which is no fraction: write its decimals.")
            case sympy.Symbol():
                return (_Y if node == self.y else _T)[()]
            case sympy.Add():
                return add(*map(self.read, node.args))
            case sympy.Mul():
                return mul(*map(self.read, node.args))
            case sympy.Pow() if node.exp.is_Integer:
                inner = self.read(node.base)
                return power(inner if node.exp > 0 else self._named(inner), int(node.exp))
            case sympy.Pow() if node.exp == sympy.Rational(1, 2):
                return Apply(smooth("sqrt"), self._named(self.read(node.base)))
            case sympy.Function() if len(node.args) == 1:
                return Apply(self._function(node), self._named(self.read(node.args[0])))
        raise NetworkError(
            f"{self.where} has {shown(node)}, which is no sum, product, whole power or function of one number: "
            "write it with these."
        )

    def _named(self, inner: Expr) -> Ref:
        if inner not in self.parts:
            self.parts.append(inner)
        return _part(self.parts.index(inner) + 1)[()]

    def _function(self, node: Any) -> Activation:
        import sympy

        called = type(node).__name__
        if called in smooth_functions.ENTRIES:
            return smooth(called)
        return self.function(f"{self.name}_{called}", node.func(sympy.Symbol("s", real=True)))

    def function(self, name: str, expression: Any) -> Activation:
        """A smooth function of one number; NetworkError, about the loss, where it is none."""
        try:
            return smooth(name, expression)
        except NetworkError as problem:
            said = str(problem).partition(" has ")[2] or str(problem)
            raise NetworkError(
                f"{self.where} has, as a function of its residual, margin or a part of it, {said.split(': ')[0]}: "
                "write one with a slope everywhere, or take a loss in pieces that is built in, l1, huber or hinge."
            ) from None
