"""A greatest or least value in one's own equations is refused where the error depends on it, and nowhere else.

Each takes a fraction of a second, so that a fault in any part of that question is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

import fcsym
from fcsym import Network
from fcsym.deriving.forward import refuse_greatest
from fcsym.equations import apply, greatest, hidden, indices, input_, least, parameter, total
from fcsym.errors import ArgumentError

i, j, k = indices("i j k")
x, U, W = input_("x", j), parameter("U", i, j), parameter("W", k, i)
s, v, y = hidden("s", i), hidden("v", i), hidden("y", k)
n, moved, one, other = hidden("n"), hidden("moved"), hidden("one"), hidden("other")
EXTREMES = {"greatest": greatest, "least": least}
LEAKY = fcsym.piecewise_linear("leaky", [fcsym.Piece(0, "1/4"), fcsym.Piece(None, 1)])
SHIFTED = fcsym.piecewise_linear("shifted", [fcsym.Piece("1/10", 0), fcsym.Piece(None, 1, "-1/10")])


def made_of(extreme, *between, last):
    """A hidden layer of two, the greatest or least of it, and what is made of both."""
    first = [(s[i], total(j, U[i, j] * x[j])), (n[()], EXTREMES[extreme](i, s[i]))]
    equations = [*first, *between, (v[i], last), (y[k], total(i, W[k, i] * v[i]))]
    return Network.from_equations(equations, {"i": 2, "j": 1, "k": 1})


def below_and_above(phi):
    """phi(n) and phi(-n)."""
    return (moved[()], -1 * n[()]), (one[()], apply(phi, n[()])), (other[()], apply(phi, moved[()]))


CANCELLED = {
    "phi(n) - phi(-n) is n of a relu": (below_and_above("relu"), s[i] + one[()] - other[()] - n[()]),
    "5/4 n of one with two slopes": (below_and_above(LEAKY), s[i] + one[()] - other[()] - Fraction(5, 4) * n[()]),
    "a relu of n - 1/10": (
        (
            (moved[()], n[()] - Fraction(1, 10)),
            (one[()], apply(SHIFTED, n[()])),
            (other[()], apply("relu", moved[()])),
        ),
        s[i] + one[()] - other[()],
    ),
}  # fmt: skip


@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.parametrize("name", CANCELLED)
def test_what_cancels_by_the_numbers_of_a_function_is_not_refused(name, extreme):
    """Not by its form: each function has to be evaluated as it is, on all of its pieces.

    Without the last part, or with a little more of it, E depends on the extreme.
    """
    between, last = CANCELLED[name]
    refuse_greatest(made_of(extreme, *between, last=last))
    for wrong in (last + n[()], last - Fraction(1, 100) * n[()]):
        with pytest.raises(ArgumentError, match=r"greatest or least value in n, which"):
            refuse_greatest(made_of(extreme, *between, last=wrong))


t, e, z = hidden("t", i), hidden("e", i), hidden("z")
EXPONENTS = [(t[i], s[i] - n[()]), (e[i], apply("exp", t[i])), (z[()], total(i, e[i]))]


@pytest.mark.parametrize("extreme", EXTREMES)
def test_a_softmax_takes_out_what_its_exponents_are_taken_from(extreme):
    """Above the line and below it; not what is multiplied with both, nor exponents without a quotient."""
    refuse_greatest(made_of(extreme, *EXPONENTS, last=e[i] / z[()]))
    for wrong in (e[i] * z[()], e[i] / z[()] ** 2):
        with pytest.raises(ArgumentError, match=r"greatest or least value in n, which"):
            refuse_greatest(made_of(extreme, *EXPONENTS, last=wrong))


SAMPLES = {"one": {}, "a mean of any": {"batch": "mean"}, "a sum of three": {"batch": "sum", "samples": 3}}


@pytest.mark.parametrize("name", SAMPLES)
def test_of_samples_it_is_asked_as_of_one(name):
    between, last = CANCELLED["phi(n) - phi(-n) is n of a relu"]
    refuse_greatest(made_of("greatest", *between, last=last).training(**SAMPLES[name]))
    with pytest.raises(ArgumentError, match="greatest or least value in n, which"):
        refuse_greatest(made_of("greatest", *between, last=last + n[()]).training(**SAMPLES[name]))
