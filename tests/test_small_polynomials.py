"""The algebra of expressions beside their numbers: whatever is done with one, at rational numbers it is worth the same.

Each takes a fraction of a second, so that a fault in what every equation is derived with is seen by a test that is
quick.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from itertools import product
from math import prod

import pytest
import sympy

from fcsym.errors import UnsupportedExpression
from fcsym.language.activation import activation
from fcsym.language.algebra import (
    apart,
    as_expr,
    coefficients,
    common_factor,
    contract,
    contracted,
    equal,
    expand,
    free_in,
    fresh,
    in_order,
    indices_of,
    inline,
    linear_part,
    products,
    rename,
    replaced,
    rewritten,
    tidy,
    tidy_bound,
)
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Indicator,
    Inverse,
    Mul,
    Number,
    Pow,
    Ref,
    Role,
    Total,
    add,
    greatest,
    indicator,
    mul,
    power,
    total,
)

SIZES = {Axis("I"): 2, Axis("J"): 3, Axis("U"): 1}
AI, AJ, AU = SIZES
i, k, j, l, u = (Index(axis, letter) for axis, letter in ((AI, "i"), (AI, "k"), (AJ, "j"), (AJ, "l"), (AU, "u")))  # noqa: E741
ARRAYS = {
    name: Array(name, None, axes)
    for name, axes in {
        "e": (), "a": (AI, AJ), "b": (AJ,), "c": (AI,), "d": (AI, AI), "m": (AJ, AJ), "w": (AU, AJ), "z": (AU,)
    }.items()
}  # fmt: skip


def numbers(seed=1):
    """An element of every array => a number that is not 0."""
    rng = random.Random(seed)
    made = {}
    for name, array in ARRAYS.items():
        for at in product(*(range(SIZES[axis]) for axis in array.axes)):
            made[name, at] = Fraction(rng.choice([-3, -2, -1, 1, 2, 3, 5]), rng.choice([1, 2, 3]))
    return made


VALUES = numbers()


def worth(node, at, values=VALUES):
    """What an expression is worth where its indices have these positions."""
    match node:
        case Number(value):
            return value
        case Ref(array, indices):
            return values[array.name, tuple(at[index] for index in indices)]
        case Indicator(index, form):
            return Fraction(at[index] == sum(c * at[other] for other, c in form.terms) + form.constant)
        case Add(terms):
            return sum((worth(term, at, values) for term in terms), Fraction(0))
        case Mul(factors):
            return prod((worth(factor, at, values) for factor in factors), start=Fraction(1))
        case Pow(base, exponent):
            return worth(base, at, values) ** exponent
        case Total(over, body) | Extreme(_, over, body):
            ranges = [range(SIZES[index.axis]) for index in over]
            every = [worth(body, {**at, **dict(zip(over, place, strict=True))}, values) for place in product(*ranges)]
            return sum(every, Fraction(0)) if isinstance(node, Total) else max(every)
    raise AssertionError(node)


def everywhere(*free):
    """All positions of some indices."""
    for place in product(*(range(SIZES[index.axis]) for index in free)):
        yield dict(zip(free, place, strict=True))


def drawn(rng, scope, depth):
    """An expression in the indices of a scope, with sums in it that may be over indices of the same names."""
    kind = rng.choice(["add", "mul", "mul", "total", "total", "power"]) if depth else "ref"
    if kind in ("add", "mul"):
        return (add if kind == "add" else mul)(*(drawn(rng, scope, depth - 1) for _ in range(2)))
    if kind == "total":
        index = rng.choice([i, k, j, l, u])
        return total(index, drawn(rng, sorted({*scope, index}), depth - 1))
    if kind == "power":
        return power(drawn(rng, scope, 0), rng.choice([-2, -1, 2]))
    return leaf(rng, scope)


def leaf(rng, scope):
    """An element whose indices are in scope, a number, or an indicator."""
    if rng.random() < 0.15:
        return Number(Fraction(rng.choice([-2, -1, 2, 3]), rng.choice([1, 2])))
    fitting = []
    for array in ARRAYS.values():
        choices = product(*([index for index in scope if index.axis == axis] for axis in array.axes))
        fitting += [array[indices] for indices in choices if len(set(indices)) == len(indices)]
    return rng.choice(fitting)


def marked(rng, scope):
    """An indicator of two indices of a scope, a shift of one by another, or none."""
    if len(scope) < 2:
        return None
    one, other = rng.sample(scope, 2)
    form = rng.choice([1, 1, 2]) * other + rng.choice([-1, 0, 0, 1])
    return indicator(one, form)


def polynomial_in(node):
    """Its polynomial; None for what is divided by a sum or by an indicator."""
    try:
        return expand(node)
    except UnsupportedExpression:
        return None


@pytest.mark.parametrize("seed", range(4))
def test_multiplied_out_an_expression_is_worth_the_same(seed):
    """Also where sums within it have the names of others, and with only position where an axis has one."""
    rng, some = random.Random(seed), 0
    for n in range(60):
        scope = rng.choice([[], [i], [i, j], [i, k, j]])
        node = drawn(rng, scope, 1 + n % 3)
        made = polynomial_in(node)
        if made is None or len(made) > 40:
            continue
        some += 1
        back = as_expr(made)
        assert expand(back) == made and equal(node, back) and equal(apart(node), node)
        for at in everywhere(*scope):
            assert worth(back, at) == worth(node, at) == worth(apart(node), at), node
        off = add(node, mul(Fraction(1, 7), ARRAYS["e"][()]))
        assert not equal(node, off)
    assert some > 40


@pytest.mark.parametrize("seed", range(4))
def test_with_indicators_in_it_a_sum_is_worth_the_same(seed):
    """Shifts, masks and deltas, of bound indices and of free ones, several beside one another."""
    rng = random.Random(seed)
    for _ in range(60):
        scope = [i, k, j, l]
        marks = [mark for mark in (marked(rng, scope) for _ in range(rng.choice([1, 2, 3]))) if mark is not None]
        body = mul(*marks, *(leaf(rng, scope) for _ in range(rng.choice([0, 1, 2]))))
        over = rng.sample(scope, rng.choice([1, 2, 3]))
        node = total(over, body)
        made = expand(node)
        free = sorted(set(scope) - set(over))
        for at in everywhere(*free):
            assert worth(as_expr(made), at) == worth(node, at), node
        assert expand(as_expr(made)) == made
        assert all(n == 1 for m in made for factor, n in m.factors if isinstance(factor, Indicator))


@pytest.mark.parametrize("seed", range(2))
def test_terms_that_are_the_same_under_other_names_are_one(seed):
    """Whatever the order of factors and the names of sums: their difference is 0."""
    rng = random.Random(seed)
    for _ in range(40):
        over = [i, k, j, l]
        factors = [leaf(rng, over) for _ in range(3)]
        node = total(over, mul(*factors))
        names = dict(zip(over, [*rng.sample([i, k], 2), *rng.sample([j, l], 2)], strict=True))
        factors = [rename(factor, names) for factor in factors]
        rng.shuffle(factors)
        over = [names[index] for index in over]
        rng.shuffle(over)
        assert equal(node, total(over, mul(*factors)))
        assert len(expand(add(node, total(over, mul(*factors))))) == (1 if worth(node, {}) or expand(node) else 0)


def test_an_axis_of_one_position_needs_no_sum():
    """A sum over it is its single term, an indicator on it is decided, and different letters are one."""
    b, w, z = ARRAYS["b"][j], ARRAYS["w"], ARRAYS["z"]
    v = Index(AU, "v")
    ones = frozenset([AU])
    for left, right in (
        (total(u, mul(z[u], w[u, j])), mul(z[u], w[u, j])), (mul(z[u], w[v, j]), mul(z[v], w[u, j])),
        (mul(indicator(u, v), b), b), (mul(indicator(j, u + 1), b), mul(indicator(j, v + 1), b)),
        (total((u, v), mul(z[u], z[v])), power(z[u], 2)),
        (mul(indicator(u, 2 * j + (-4)), b), mul(indicator(j, u + 2), b)),
    ):  # fmt: skip
        assert equal(left, right, ones=ones)
        for place in range(3):
            at = {j: place, u: 0, v: 0}
            assert worth(left, at) == worth(right, at)
    for zero in (mul(indicator(u, v + 1), b), mul(indicator(u, 2 * j + 1), b)):
        assert not expand(zero, ones=ones) and expand(zero)
    assert not equal(total(j, mul(b, z[u])), mul(b, z[u]), ones=ones)


def inverse_values():
    """m and n are inverse to each other, over three positions."""
    matrix = sympy.Matrix([[2, 1, 0], [1, 3, 1], [0, 1, 4]])
    inverse = matrix.inv()
    made = dict(VALUES)
    for at in product(range(3), repeat=2):
        made["m", at] = Fraction(int(matrix[at]))
        made["n", at] = Fraction(int(inverse[at].p), int(inverse[at].q))
    return made


def test_matrices_that_are_inverse_to_each_other_go_where_they_meet_and_nowhere_else():
    values, n, m, b = inverse_values(), Array("n", None, (AJ, AJ)), ARRAYS["m"], ARRAYS["b"]
    a, q, r = ARRAYS["a"], Index(AJ, "q"), Index(AJ, "r")
    gone = {
        "in the middle": (total((l, q), mul(m[j, l], n[l, q], b[q])), b[j]),
        "from the left": (total((j, l), mul(b[j], m[j, l], n[l, q])), b[q]),
        "in both": (total((j, l, q), mul(a[i, j], m[j, l], n[l, q], b[q])), total(j, mul(a[i, j], b[j]))),
        "twice": (total((l, q, r), mul(m[j, l], n[l, q], m[q, r], b[r])), total(l, mul(m[j, l], b[l]))),
    }
    stays = {
        "squared": total((l, q), mul(power(m[j, l], 2), n[l, q], b[q])),
        "the other squared": total((l, q), mul(m[j, l], power(n[l, q], 2), b[q])),
        "transposed": total((l, q), mul(m[l, j], n[l, q], b[q])),
        "not summed": total(q, mul(m[j, l], n[l, q], b[q])),
        "beside another": total((l, q), mul(m[j, l], n[l, q], b[q], b[l])),
        "free at both ends": total(l, mul(m[j, l], n[l, q])),
        "the other way round": total((l, q), mul(n[j, l], m[l, q], b[q])),
    }
    for name, node in {**{name: pair[0] for name, pair in gone.items()}, **stays}.items():
        polynomial = expand(node)
        made = contract(polynomial, m, n)
        for at in everywhere(i, j, l, q):
            assert worth(as_expr(made), at, values) == worth(node, at, values), name
        assert made == (expand(gone[name][1]) if name in gone else polynomial), name
    both = contract(expand(add(gone["in the middle"][0], mul(-1, b[j]))), m, n)
    assert both == {}


@pytest.mark.parametrize("seed", range(2))
def test_what_all_terms_have_is_in_front_of_a_sum(seed):
    """A number and elements outside of all sums, as often as in every term; what is divided by is left."""
    rng = random.Random(seed)
    assert common_factor({}) == (Number(Fraction(1)), Number(Fraction(0)))
    for _ in range(40):
        front = mul(*(leaf(rng, [i, j]) for _ in range(2)))
        node = mul(front, add(*(drawn(rng, [i, j], rng.choice([0, 1])) for _ in range(rng.choice([1, 2, 3])))))
        made = polynomial_in(node)
        if not made:
            continue
        factor, rest = common_factor(made)
        for at in everywhere(i, j):
            assert worth(mul(factor, rest), at) == worth(node, at)
        others = expand(rest)
        kept = [dict(monomial.factors) for monomial in others]
        for ref in set(kept[0]).intersection(*kept[1:]) if kept else ():
            inside = any(set(ref.indices) & set(monomial.bound) for monomial in others)
            assert inside or not all(own[ref] > 0 for own in kept), (node, factor, rest)
        assert not any(isinstance(part, Total) for part in (factor.factors if isinstance(factor, Mul) else (factor,)))


def slope_along(node, variable, direction, at):
    """The derivative of a polynomial of degree 4 at most, from five of its values."""
    found, places = Fraction(0), [Fraction(n) for n in range(5)]
    for t in places:
        moved = dict(VALUES)
        for (name, place), value in VALUES.items():
            if name == variable.name:
                moved[name, place] = value + t * direction[place]
        others = [other for other in places if other != t]
        weight = sum(prod((-o for o in others if o != left), start=Fraction(1)) for left in others) / prod(
            (t - o for o in others), start=Fraction(1)
        )  # of the polynomial that is 1 there and 0 elsewhere, at 0
        found += weight * worth(node, at, moved)
    return found


def test_the_linear_part_is_the_derivative_along_a_direction():
    along = Array("along", None, (AJ,))
    direction = {(n,): Fraction(n + 1, 2) for n in range(3)}
    values = VALUES | {("along", place): value for place, value in direction.items()}
    b, a, e = ARRAYS["b"], ARRAYS["a"], ARRAYS["e"][()]
    nodes = [
        total(j, mul(a[i, j], b[j])), power(b[j], 3), total(j, power(b[j], 2)), mul(e, e), mul(total(j, b[j]), b[l]),
        total((j, l), mul(b[j], ARRAYS["m"][j, l], b[l])), add(b[j], mul(3, e)), power(total(j, mul(a[i, j], b[j])), 2),
    ]  # fmt: skip
    for node in nodes:
        for at in everywhere(i, j, l):
            made = linear_part(node, b, along)
            assert worth(made, at, values) == slope_along(node, b, direction, at), node


def test_coefficients_of_a_number_give_the_polynomial_again():
    e, b, c = ARRAYS["e"][()], ARRAYS["b"][j], ARRAYS["c"][i]
    node = add(mul(3, power(e, 2), b), mul(-1, e, c), mul(e, b, c), mul(2, c), power(e, -1), mul(power(e, 2), c))
    found = coefficients(expand(node), e)
    assert sorted(found) == [-1, 0, 1, 2] and not any(e in dict(m.factors) for part in found.values() for m in part)
    for at in everywhere(i, j):
        assert sum(worth(as_expr(part), at) * VALUES["e", ()] ** n for n, part in found.items()) == worth(node, at)


@pytest.mark.parametrize("seed", range(2))
def test_free_indices_are_renamed_and_sums_give_way(seed):
    """What is worth something at i is worth the same at k under the other name; two names may change places."""
    rng = random.Random(seed)
    for n in range(60):
        node = drawn(rng, [i, j], 1 + n % 3)
        for names in ({i: k}, {j: l, i: k}, {i: i}, {j: l}):
            made = rename(node, names)
            assert free_in(made) == {names.get(index, index) for index in free_in(node)}
            for at in everywhere(i, j):
                there = {names.get(index, index): place for index, place in at.items()}
                assert worth(made, there) == worth(node, at), (node, names)
        swapped = rename(drawn(rng, [i, k], 1 + n % 2), {i: k, k: i})
        assert free_in(swapped) <= {i, k}
    node = mul(ARRAYS["c"][i], total(k, mul(ARRAYS["d"][i, k], ARRAYS["c"][k])), greatest(k, ARRAYS["d"][i, k]))
    for at in everywhere(i):
        assert worth(rename(node, {i: k}), {k: at[i]}) == worth(node, at)


def test_a_definition_is_put_in_its_place_with_its_indices():
    """In sums over an index of the same name, too."""
    c, b, a, d = (ARRAYS[name] for name in "cbad")
    body = add(total(j, mul(a[i, j], b[j])), 2)
    values = VALUES | {("c", (n,)): worth(body, {i: n}) for n in range(2)}
    for node in (
        c[i], power(c[k], 2), total(i, mul(c[i], d[i, k])), mul(b[j], c[i]), total(j, mul(b[j], c[k])),
        add(total(i, c[i]), mul(c[i], c[k])), greatest(k, mul(c[k], d[i, k])),
    ):  # fmt: skip
        for at in everywhere(i, k, j):
            assert worth(inline(node, {c: ((i,), body)}), at) == worth(node, at, values)


def test_a_unit_matrix_within_a_sum_puts_one_index_in_the_place_of_the_other():
    """And not where an element would have one index twice."""
    one = Array("I", None, (AI, AI), role=Role.UNIT)
    values = VALUES | {("I", at): Fraction(at[0] == at[1]) for at in product(range(2), repeat=2)}
    c, d = ARRAYS["c"], ARRAYS["d"]
    for node, wanted in (
        (total(i, mul(one[k, i], c[i])), c[k]), (total(i, mul(one[i, k], c[i])), c[k]),
        (total(i, mul(one[k, i], c[i], c[k])), power(c[k], 2)), (total(i, mul(one[k, i], d[i, k])), None),
        (mul(3, total(i, mul(c[i], one[k, i]))), mul(3, c[k])), (total(i, one[i, k]), Number(Fraction(1))),
        (add(total(i, mul(one[k, i], c[i])), c[k]), mul(2, c[k])), (total(i, mul(c[i], d[i, k])), None),
        (total((i, j), mul(one[k, i], ARRAYS["a"][i, j])), total(j, ARRAYS["a"][k, j])),
    ):  # fmt: skip
        made = contracted(node)
        assert equal(made, node if wanted is None else wanted)
        assert wanted is not None or made == node
        for at in everywhere(k):
            assert worth(made, at, values) == worth(node, at, values)


def test_what_is_no_polynomial_is_refused():
    b, a = ARRAYS["b"], ARRAYS["a"]
    for node, said in (
        (power(add(b[j], 1), -1), "divides by a sum"), (power(total(j, b[j]), -1), "divides by a sum"),
        (mul(b[j], Pow(mul(b[j], indicator(j, l)), -1)), "divides by an indicator"),
        (greatest(j, a[i, j]), "no polynomial"),
    ):  # fmt: skip
        with pytest.raises(UnsupportedExpression, match=said):
            expand(node)
    assert expand(power(mul(2, b[j], b[l]), -2)) == expand(mul(Fraction(1, 4), power(b[j], -2), power(b[l], -2)))


def test_factors_are_written_as_people_write_them():
    """eta, gate, weight, error, the rest by their names, sums, and what is divided by at the end; a long name late."""
    eta = Array("eta", None, (), role=Role.HYPER_PARAMETER)[()]
    gate, weight = Array("g", 1, (AI,), role=Role.GATE)[i], Array("W", 1, (AI, AJ), role=Role.PARAMETER)[i, j]
    error, x = Array("delta", 1, (AI,), role=Role.ADJOINT)[i], Array("x", None, (AJ,), role=Role.INPUT)[j]
    filters = Array("w", 1, (AI, AJ, AU), role=Role.PARAMETER)[i, j, u]
    v, whole = Array("v", 1, (AI,), role=Role.ACTIVATION)[i], total(k, ARRAYS["c"][k])
    ordered = [eta, gate, power(weight, 2), error, v, filters, x, whole, power(eta, -1)]
    rng = random.Random(0)
    for _ in range(20):
        shuffled = rng.sample(ordered, len(ordered))
        assert in_order(*shuffled) == Mul(tuple(ordered))
    assert in_order(mul(x, gate), eta) == Mul((eta, gate, x)) and in_order(x) == x
    assert in_order(power(v, -1), power(error, -1), x) == Mul((x, power(error, -1), power(v, -1)))


def test_an_index_that_is_fresh_is_the_first_that_is_not_taken():
    """Plain letters first, then the same with a number; of another axis the same letter is another index."""
    taken = []
    for _ in range(40):
        taken.append(fresh(AI, taken))
    letters = [index.letter for index in taken]
    plain = [letter for letter in letters if len(letter) == 1]
    assert len(set(letters)) == 40 and letters[: len(plain)] == plain and 3 < len(plain) < 20
    assert letters[len(plain) : 2 * len(plain)] == [f"{letter}1" for letter in plain]
    assert fresh(AJ, taken).letter == plain[0] and fresh(AI, taken[1:]) == taken[0]
    array = Array("t", None, (AI, AI, AJ))
    assert indices_of(array) == (taken[0], taken[1], fresh(AJ, []))


def test_letters_that_readers_see_are_of_one_index_each():
    """k over the outputs, otherwise i, then j, or an axis's own; within sums j first, and none that is around it."""
    own = Axis("P", letters="pq")
    p, r = Index(own, "x"), Index(own, "y")

    def letters(*free):
        made = tidy(free, AU)
        assert all(new.axis == old.axis for old, new in made.items())
        return "".join(made[index].letter for index in free)

    assert [letters(i), letters(j, i), letters(u), letters(u, i), letters(i, u)] == ["i", "ij", "k", "kj", "ik"]
    assert [letters(p), letters(p, r), letters(p, i), letters(i, k, j), letters(u, Index(AU, "o"))] == [
        "p", "pq", "pi", "ijm", "kj"
    ]  # fmt: skip
    node = total((l, k), mul(ARRAYS["b"][l], ARRAYS["c"][k], greatest(i, ARRAYS["d"][i, k])))
    made = tidy_bound(node, frozenset("j"), AU)
    assert made == total((Index(AJ, "i"), Index(AI, "m")), mul(
        ARRAYS["b"][Index(AJ, "i")], ARRAYS["c"][Index(AI, "m")],
        greatest(Index(AI, "n"), ARRAYS["d"][Index(AI, "n"), Index(AI, "m")]),
    ))  # fmt: skip
    assert tidy_bound(total(u, ARRAYS["z"][u]), frozenset(), AU) == total(Index(AU, "k"), ARRAYS["z"][Index(AU, "k")])
    assert tidy_bound(total(j, ARRAYS["b"][j]), frozenset("jimnqtu"), AU).over[0].letter not in "jimnqtu"


def test_elements_are_replaced_in_every_kind_of_node():
    """And nothing else is: with the elements themselves it is the same expression, part by part."""
    m, b, e = ARRAYS["m"], ARRAYS["b"], ARRAYS["e"][()]
    phi = activation("tanh")
    inside = Apply(phi, b[j], 1, b[l])
    node = add(
        total(j, mul(b[j], 2)), mul(e, Inverse(m[j, l])), greatest(j, power(b[j], 3)), Pow(e, -2), inside,
        indicator(j, l + 1), 3,
    )  # fmt: skip
    for part in (node, *node.terms):
        assert replaced(part, lambda ref: ref) == part
        made = replaced(part, lambda ref: Ref(Array(f"x_{ref.array.symbol}", None, ref.array.axes), ref.indices))
        assert repr(made) == re.sub(r"\b([bem])(?=\[|\b(?!\[)(?!\())", r"x_\1", repr(part))
    (changed,) = [term for term in replaced(node, lambda ref: mul(2, ref) if ref == b[l] else ref).terms
                  if isinstance(term, Apply)]  # fmt: skip
    assert changed.value == mul(2, b[l]) and changed.argument == b[j] and changed.derivative == 1
    assert rewritten(node, lambda part: e if isinstance(part, Total) else None).terms[0] == e
    with pytest.raises(UnsupportedExpression, match="a matrix with a name"):
        replaced(Inverse(m[j, l]), lambda ref: mul(2, ref))


@pytest.mark.parametrize("seed", range(3))
def test_with_only_position_on_an_axis_an_expression_is_worth_the_same(seed):
    """Whatever its letters, in elements, sums and indicators, where it is known that there is no other."""
    rng, ones, v = random.Random(seed), frozenset([AU]), Index(AU, "v")
    only = {Index(AU, letter): 0 for letter in ("u", "v", "1", "2")}
    pair = Array("t", None, (AU, AU))
    values = VALUES | {("t", (0, 0)): Fraction(5, 3)}
    for _ in range(50):
        scope = [i, k, j, l, u, v]
        marks = [mark for mark in (marked(rng, scope) for _ in range(rng.choice([0, 1, 2]))) if mark is not None]
        parts = [leaf(rng, scope) for _ in range(rng.choice([1, 2]))] + [pair[u, v]] * rng.choice([0, 1])
        over = rng.sample(scope, rng.choice([1, 3, 4]))
        node = total(over, mul(*marks, *parts))
        made = expand(node, ones=ones)
        for at in everywhere(*sorted(set(scope) - set(over) - {u, v})):
            assert worth(as_expr(made), at | only, values) == worth(node, at | only, values), node
        assert equal(node, as_expr(made), ones=ones)
        assert all(n == 1 for m in made for factor, n in m.factors if isinstance(factor, Indicator))


def test_a_mask_is_its_square():
    """[j = k + 1] summed over another index that is the same; and two masks are not one where they differ."""
    for node, wanted in (
        (total(l, mul(indicator(j, k + 1), indicator(l, k + 1))), indicator(j, k + 1)),
        (total(l, mul(indicator(j, k + 1), indicator(l, k + 1), ARRAYS["b"][j])), None),
        (power(indicator(j, l), 2), indicator(j, l)), (power(indicator(j, k + 1), 3), indicator(j, k + 1)),
        (mul(indicator(j, l), indicator(l, j)), indicator(j, l)),
    ):  # fmt: skip
        wanted = mul(indicator(j, k + 1), ARRAYS["b"][j]) if wanted is None else wanted
        assert equal(node, wanted)
    apart_ = total(l, mul(indicator(j, k + 1), indicator(l, k)))
    assert not equal(apart_, indicator(j, k)) and len(products(add(ARRAYS["b"][j], 2))) == 2
    assert expand(power(ARRAYS["b"][j], -1)) == expand(Pow(ARRAYS["b"][j], -1)) and expand(mul(2, ARRAYS["b"][j]))


def test_two_indicators_that_say_one_thing_are_one_where_an_axis_has_a_single_position():
    """[u = 2j - 3l + 1] and [u = 3l - 2j - 1] at u = 0, whatever the constant and the signs are."""
    ones = frozenset([AU])
    for a, b, c in ((2, -3, 1), (2, -3, -5), (-2, 3, 2), (2, -2, 0), (3, -2, -1), (-3, 2, 4)):
        form = a * j + b * l + c
        one, other = (expand(indicator(u, sign * form), ones=ones) for sign in (1, -1))
        assert one == other
        for p, q in product(range(3), repeat=2):
            at = {j: p, l: q, u: 0, Index(AU, "1"): 0}
            assert worth(as_expr(one), at) == (a * p + b * q + c == 0)
