"""What the deciders compute with: quotients of polynomials, z3 terms, and fractions.

The polynomials are those of python-flint where it is installed and SymPy's otherwise; both say the same.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from typing import Any

from fcsym.paper.model import Key, Undefined, Unknown
from fcsym.proof.numbers import Quotient

__all__ = ["Fork", "Point", "Polynomials", "Terms", "remainder"]


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip


class Fork(Exception):
    """The value depends on the sign of a pre-activation that the case does not give."""

    def __init__(self, key: Key) -> None:
        self.key = key


@cache
def _generators(names: tuple[str, ...]) -> dict[str, Any]:
    if find_spec("flint") is not None:
        import flint

        context = flint.fmpq_mpoly_ctx.get([f"a{n}" for n in range(len(names))], flint.Ordering.degrevlex)
        return dict(zip(names, context.gens(), strict=True)) | {"1": context.constant(1)}
    from sympy import QQ
    from sympy.polys.rings import PolyRing

    ring = PolyRing(tuple(f"a{n}" for n in range(len(names))), QQ)
    return dict(zip(names, ring.gens, strict=True)) | {"1": ring.one}


def remainder(polynomial: Any, divisor: Any) -> Any:
    """What is left of a polynomial where the divisor is 0."""
    if hasattr(polynomial, "rem"):
        return polynomial.rem([divisor])
    return divmod(polynomial, divisor)[1]


def at_kink(key: Key) -> Key:
    """The name under which a case says whether a pre-activation is exactly 0."""
    return key[0], key[1], f"{key[2]}="


class Polynomials:
    """Quotients of polynomials in the free variables, in one case: the sign of every pre-activation is given."""

    def __init__(self, names: Sequence[str], signs: dict[Key, bool]) -> None:
        self.generators = _generators(tuple(names))
        self.one = self.generators["1"]
        self.signs = signs
        self.values: dict[Key, Quotient] = {}
        self.fixed: dict[str, Quotient] = {}  # variables that have a special value

    def number(self, value: Fraction) -> Quotient:
        """A constant polynomial."""
        return Quotient(self.one * value.numerator, self.one * value.denominator)

    def variable(self, name: str) -> Quotient:
        """A generator."""
        if name not in self.generators:
            raise Unknown(name)
        return self.fixed[name] if name in self.fixed else Quotient(self.generators[name], self.one)

    def divide(self, a: Quotient, b: Quotient, printed: bool) -> Quotient:
        """Raises Undefined where b is identically 0."""
        if b.numerator == 0:
            raise Undefined
        return a / b

    def positive(self, key: Key, value: Quotient) -> bool:
        """The sign that the case gives; two pre-activations that are the same polynomial have the same sign."""
        self.values.setdefault(key, value)
        if key not in self.signs:
            if value.numerator == 0:
                return False
            twin = next((k for k in self.signs if k in self.values and self.values[k] == value), None)
            if twin is None:
                raise Fork(key)
            return self.signs[twin]
        return self.signs[key]

    def zero(self, key: Key, value: Quotient) -> bool:
        """Whether the case puts it on its kink."""
        if value.numerator == 0:
            return True
        if at_kink(key) not in self.signs:
            raise Fork(at_kink(key))
        return self.signs[at_kink(key)]

    def holds(self, relation: str, left: Quotient, right: Quotient) -> bool:
        """Conditions on anything but a pre-activation are not decided here."""
        raise Unknown("a condition as a factor")


class Ratio:
    """A quotient of z3 terms, never reduced; a denominator of None is 1. Building terms is most of z3's time."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: Any, denominator: Any = None) -> None:
        self.numerator, self.denominator = numerator, denominator

    def __add__(self, other: Ratio) -> Ratio:
        if self.denominator is other.denominator:
            return Ratio(self.numerator + other.numerator, self.denominator)
        left, right = _times(self.numerator, other.denominator), _times(other.numerator, self.denominator)
        return Ratio(left + right, _times(self.denominator, other.denominator))

    def __sub__(self, other: Ratio) -> Ratio:
        if self.denominator is other.denominator:
            return Ratio(self.numerator - other.numerator, self.denominator)
        left, right = _times(self.numerator, other.denominator), _times(other.numerator, self.denominator)
        return Ratio(left - right, _times(self.denominator, other.denominator))

    def __mul__(self, other: Ratio) -> Ratio:
        return Ratio(self.numerator * other.numerator, _times(self.denominator, other.denominator))


class Terms:
    """z3 terms as quotients; what the engine divides becomes a variable q with q b = a, never a division."""

    def __init__(self, signs: dict[Key, bool], named: bool) -> None:
        import z3

        self.z3, self.signs, self.named = z3, signs, named
        self.facts: list[Any] = []
        self.told: set[Key] = set()  # whose signs are among the facts
        self.fallback: Callable[[Key, Any], bool] = _no_sign
        self._numbers: dict[Fraction, Ratio] = {}
        self._variables: dict[str, Ratio] = {}
        self._count = 0

    def number(self, value: Fraction) -> Ratio:
        """A rational constant."""
        if value not in self._numbers:
            self._numbers[value] = Ratio(self.z3.RatVal(value.numerator, value.denominator))
        return self._numbers[value]

    def variable(self, name: str) -> Ratio:
        """A real variable."""
        if name not in self._variables:
            self._variables[name] = Ratio(self.z3.Real(name))
        return self._variables[name]

    def divide(self, a: Ratio, b: Ratio, printed: bool) -> Ratio:
        """q with q b = a, or for a printed fraction the two parts."""
        if self.named and not printed:
            self._count += 1
            q = self.z3.Real(f"q{self._count}")
            scaled = _times(q * b.numerator, a.denominator)
            self.facts += [scaled == _times(a.numerator, b.denominator), b.numerator != 0]
            return Ratio(q)
        if not printed:
            self.facts.append(b.numerator != 0)
        return Ratio(_times(a.numerator, b.denominator), _times(b.numerator, a.denominator))

    def positive(self, key: Key, value: Ratio) -> bool:
        """The sign that the case gives, as a fact."""
        sign = self.signs[key] if key in self.signs else self.fallback(key, value)
        self.tell(key, ">" if sign else "<=", value)
        return sign

    def zero(self, key: Key, value: Ratio) -> bool:
        """Whether the case puts it on its kink, as a fact."""
        sign = self.signs[at_kink(key)] if at_kink(key) in self.signs else self.fallback(at_kink(key), value)
        self.tell(at_kink(key), "=" if sign else "!=", value)
        return sign

    def tell(self, key: Key, relation: str, value: Ratio) -> None:
        """Add the sign of a pre-activation to the facts, once."""
        if key not in self.told:
            self.told.add(key)
            self.facts.append(self.relation(relation, value, self.number(Fraction(0))))

    def relation(self, relation: str, left: Ratio, right: Ratio) -> Any:
        """A relation between quotients, without a division."""
        difference = left - right
        value = difference.numerator
        if relation in ("=", "!="):
            return _RELATIONS[relation](value, 0)
        value = _times(value, difference.denominator)
        return _RELATIONS[relation](value, 0)

    def holds(self, relation: str, left: Ratio, right: Ratio) -> bool:
        """Conditions on anything but a pre-activation are not decided here."""
        raise Unknown("a condition as a factor")


def _no_sign(key: Key, _: Any) -> bool:
    raise Unknown(str(key))


def _times(a: Any, b: Any) -> Any:
    """a b, where None is 1."""
    if b is None:
        return a
    return b if a is None else a * b


class Point:
    """Small fractions, drawn when they are first asked for, and the same in whatever order they are asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.drawn: dict[str, Fraction] = {}
        self.size = 2 if seed % 3 else 1

    def number(self, value: Fraction) -> Fraction:
        """The number itself."""
        return value

    def variable(self, name: str) -> Fraction:
        """A small number; sums over earlier steps are empty, and eta is positive."""
        if name in ("T5", "T6", "rest"):
            return Fraction(0)
        if name not in self.drawn:
            source = random.Random(f"{self.seed} {name}")
            whole = source.choice([n for n in range(-self.size, self.size + 1) if n or source.random() < 0.5])
            self.drawn[name] = Fraction(1, source.choice((1, 2, 4, 8))) if name == "eta" else Fraction(whole)
        return self.drawn[name]

    def divide(self, a: Fraction, b: Fraction, printed: bool) -> Fraction:
        """Raises Undefined where b is 0."""
        if not b:
            raise Undefined
        return a / b

    def positive(self, key: Key, value: Fraction) -> bool:
        """Whether it is."""
        return value > 0

    def zero(self, key: Key, value: Fraction) -> bool:
        """Whether it is."""
        return not value

    def holds(self, relation: str, left: Fraction, right: Fraction) -> bool:
        """Whether it does."""
        return compare(relation, left, right)


def compare(relation: str, left: Fraction, right: Fraction) -> bool:
    """left relation right."""
    return bool(_RELATIONS[relation](left, right))
