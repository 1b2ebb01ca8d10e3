"""Records of the language: what makes two of them one, what they are unless it is said, and how wide they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sympy

import fcsym
from fcsym.errors import NetworkError, UnsupportedExpression
from fcsym.language.activation import Piece, activation, piecewise_linear, smooth, spelt
from fcsym.language.equation import Case, Equation, Rule, Verdict
from fcsym.language.expression import (
    Array,
    Axis,
    Index,
    IndexForm,
    Indicator,
    Inverse,
    Number,
    Ref,
    Role,
    Total,
    Written,
    mul,
    power,
    total,
)
from fcsym.language.shifts import _placed
from fcsym.language.sympy_bridge import STORED, Symbolic, from_sympy, length, phi_at, slope_at, to_sympy

AI, AJ = Axis("n_0"), Axis("n_1")
IN, OUT = Index(AI, "i"), Index(AJ, "j")
W, M = Array("W", 1, (AI, AJ)), Array("m", None, (AJ, Axis("n_1")))


def test_an_array_is_known_by_its_name_and_its_axes_whatever_is_known_of_it_besides():
    plain, known = Array("s", 1, (AI,)), Array("s", 1, (AI,), role=Role.PRE_ACTIVATION, of=W)
    assert plain == known and hash(plain) == hash(known) and {plain: 1}[known] == 1
    assert plain.after is False and plain.primed != plain and plain.primed.unprimed == plain
    assert Array("s", 1, (AI,), time=2) != plain and Array("s", 1, (AJ,)) != plain
    assert Case("a", (), None, Verdict.UNDECIDED).possible is True
    assert Written("w_5", 1.0, "w_5").atom is True
    assert repr(smooth("own", sympy.Symbol("s", real=True) ** 2)) == "Activation(name='own', pieces=(), kink_slopes=())"


def test_a_node_without_a_text_of_its_own_is_shown_as_python_shows_it():
    node = Inverse(Number(1))
    assert repr(node) == object.__repr__(node) and repr(mul(2, Ref(Array("q", None, ()), ()), node)).endswith(
        repr(node)
    )


def test_an_element_at_a_place_is_as_wide_as_its_letters():
    """The more that is written below or above it the wider, and never narrower than the letter."""
    forms = [IndexForm(((IN, 1),)), IndexForm(((IN, 2),), 1), IndexForm(((IN, 2), (Index(AI, "k"), 1)), -13)]
    u = Index(AJ, "u")
    for layer, after, role in ((None, False, Role.OTHER), (1, False, Role.OTHER), (1, True, Role.INCREMENT)):
        array = Array("v", layer, (AJ,), after, role)
        made = [_placed(array[u], {u: form}) for form in forms]
        assert all(isinstance(one, Written) and one.atom for one in made)
        widths = [one.width for one in made]
        assert widths[0] >= 1 and all(a < b for a, b in pairwise(widths))
    plain, primed = (_placed(Array("v", 1, (AJ,), after)[u], {u: forms[0]}) for after in (False, True))
    increment = _placed(Array("dv", 1, (AJ,), role=Role.INCREMENT)[u], {u: forms[0]})
    assert plain.width < primed.width and plain.width < increment.width
    assert _placed(W[IN, OUT], {u: forms[0]}) == W[IN, OUT]


def test_in_sympy_lengths_are_positive_whole_numbers_and_elements_are_real():
    """That none is stored yet is possible; and an inverse is as real as its matrix."""
    assert length(AI).is_positive is True and length(AI).is_integer is True and length(AI) != length(AJ)
    stored = length(Axis("memory", like=STORED.name))
    assert (
        stored is STORED and stored.is_nonnegative is True and stored.is_integer is True and stored.is_positive is None
    )
    found = Array("q", None, (AJ, AJ))
    j, k = Index(AJ, "j"), Index(AJ, "k")
    made = to_sympy(Equation(found[j, k], Inverse(M[j, k]), Rule.DEFINITION, ""))
    assert made.rhs.is_real is True and made.lhs.is_real is not False and made.evaluate is False
    assert fcsym.from_sympy(made) == made.of


def test_an_element_is_read_with_as_many_indices_as_its_array_has_each_another_one():
    i, j, base = sympy.Idx("i"), sympy.Idx("j"), sympy.IndexedBase("W1")
    axes = Array("W", 1, (AI, AI))
    assert from_sympy(base[i, j], {base: axes}) == axes[Index(AI, "i"), Index(AI, "j")]
    for wrong in (base[i], base[i, i], base[i, j, j], base[i, j, sympy.Idx("k")]):
        with pytest.raises(UnsupportedExpression, match="has 2 indices, each another one"):
            from_sympy(wrong, {base: axes})


def test_only_a_function_without_a_value_everywhere_is_no_activation():
    """A function of pieces may have its name."""
    own = piecewise_linear("log", [Piece(0, 0), Piece(None, 1)])
    assert activation(own) is own and activation(own.name, [own]) is own
    for name in ("log", "sqrt"):
        with pytest.raises(NetworkError, match="has no value for every s"):
            activation(smooth(name))
        with pytest.raises(NetworkError, match="has no value for every s"):
            activation(name)
    assert activation("exp") == smooth("exp") == activation(smooth("exp"))


def test_a_power_of_an_indicator_or_a_product_with_one_keeps_its_text():
    u, q = Index(AJ, "u"), Ref(Array("q", None, ()), ())
    mark = Indicator(u, IndexForm(((OUT, 2),), -1))
    assert repr(mul(3, mark, q)) == "3*[u = 2j - 1]*q"
    assert repr(mul(-1, total(OUT, mul(mark, W[IN, OUT])), power(q, -1))) == "-sum(j: [u = 2j - 1]*W1[i, j])/q"


def test_a_sum_over_an_index_that_a_sum_within_it_has_is_another_sum():
    """Two sums over indices of their own are one; the inner one of two over the same index is a number of its own."""
    i, j, v = Index(AI, "i"), Index(AJ, "j"), Array("v", None, (AI,))
    assert (
        total(i, total(j, W[i, j])) == Total((i, j), W[i, j]) and total((), v[i]) == v[i] and total(i, 0) == Number(0)
    )
    assert total(i, total(i, v[i])) == Total((i,), Total((i,), v[i]))
    assert total((i, j), total(j, W[i, j])) == Total((i, j), Total((j,), W[i, j]))


def test_a_form_without_indices_is_its_number():
    for number, text in ((0, "0"), (3, "3"), (-2, "-2")):
        assert IndexForm((), number).spelt() == text
    assert IndexForm(((IN, -1), (OUT, 2)), -3).spelt() == "-i + 2j - 3" and IndexForm(((IN, 1),), 0).spelt() == "i"


def test_pieces_without_names_are_counted_and_names_of_functions_are_known_in_any_letters():
    made = piecewise_linear("own", [Piece(0, 0), Piece(1, 1), Piece(None, 2, -1)])
    assert [piece.name for piece in made.pieces] == ["piece 1", "piece 2", "piece 3"]
    for given, known in (
        ("EXP", "exp"),
        ("Log", "log"),
        ("ReLU", "relu"),
        ("Swish", "silu"),
        ("Mine", "Mine"),
        (3, ""),
    ):
        assert spelt(given) == known


def test_what_sympy_could_decide_stays_as_it_was_written():
    """relu of what is above 0 has two rows, and two sides that are one are an equation."""
    above = sympy.Symbol("a", positive=True)
    assert len(phi_at(activation("relu"), above).args) == 2 == len(slope_at(activation("leaky_relu"), above).args)
    assert len(slope_at(fcsym.relu("1/2"), above).args) == 3
    pair = Symbolic(above, above, Equation(W[IN, OUT], W[IN, OUT], Rule.DEFINITION, ""))
    assert isinstance(pair.eq, sympy.Eq) and tuple(pair) == (above, above) and pair.evaluate is False
