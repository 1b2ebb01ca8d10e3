"""A module of the language in one quick test each: most of what it has, beside what it is by definition.

So that what is wrong when a module is imported is seen by a test that uses all of it.
"""

from __future__ import annotations

import pickle
from fractions import Fraction
from operator import eq, gt, le, ne

import mpmath
import pytest
import sympy

import fcsym
from fcsym import Network
from fcsym.errors import NetworkError, UnsupportedExpression
from fcsym.language import findings
from fcsym.language.activation import (
    ALIASES,
    BUILT_IN,
    SMOOTH,
    Piece,
    activation,
    identity,
    leaky_relu,
    piecewise_linear,
    relu,
    said_of_gates,
    smooth,
    spelt,
)
from fcsym.language.algebra import common_factor, contract, expand, in_order, linear_part, tidy
from fcsym.language.differences import _RULES, AFTER, CHANGE, difference
from fcsym.language.equation import Branch, Case, Cases, Condition, Equation, Rule, Status, Verdict
from fcsym.language.expression import (
    ONE,
    ZERO,
    Apply,
    Array,
    Axis,
    Extreme,
    Index,
    Inverse,
    Ref,
    Role,
    Written,
    add,
    indicator,
    indices_in,
    mul,
    number,
    power,
    refs_in,
    total,
)
from fcsym.language.findings import Counterexample, Finding, Proof, presupposed, under
from fcsym.language.formulas import NUMBER, S, evaluate, mpmath_table
from fcsym.language.spelling import check_name, exact, visible
from fcsym.language.sympy_bridge import STORED, from_sympy, length, phi_at, relation, slope_at, to_sympy
from fcsym.language.tables import json_table, toml_table

AI, AJ = Axis("n_0"), Axis("n_1")
i, j, k = Index(AI, "i"), Index(AJ, "j"), Index(AI, "k")
W, X, Y, E = (Array(name, 1, axes) for name, axes in (("W", (AJ, AI)), ("x", (AI,)), ("y", (AJ,)), ("e", ())))


def test_a_difference_of_every_function_is_one():
    """With many digits; of what does not change it is 0, of s it is ds, and where no rule says more there is none."""
    two, third, inner = (NUMBER, 2, 1), (NUMBER, 1, 3), ("add", ("mul", (NUMBER, 3, 1), S), (NUMBER, 1, 2))
    formulas = [(name, inner) for name in _RULES] + [
        ("mul", S, ("exp", S), inner), ("pow", inner, (NUMBER, 3, 1)), ("pow", inner, (NUMBER, -2, 1)),
        ("pow", inner, (NUMBER, 1, 2)), ("pow", inner, (NUMBER, -3, 2)), ("above", 1, 2, ("exp", S), ("sin", S)),
        ("add", two, ("pi",), ("mul", third, S)), ("add", ("sinh", S), ("mul", S, ("cosh", inner))),
        ("mul", ("pow", two, (NUMBER, -1, 1)), ("exp", S)), ("pow", ("exp", two), (NUMBER, 1, 2)),
    ]  # fmt: skip

    def at(formula, places):
        if formula in places:
            return places[formula]
        match formula:
            case ("where", u, p, q, a, b):
                return at(a, places) if at(u, places) > mpmath.mpf(p) / q else at(b, places)
            case ("number", p, q):
                return mpmath.mpf(p) / q
            case ("above", p, q, a, b):
                return at(a, places) if places[S] > mpmath.mpf(p) / q else at(b, places)
        return mpmath_table()[formula[0]](*(at(part, places) for part in formula[1:]))

    for formula in formulas:
        rule = difference(formula)
        digits = 12 if formula[0] in ("normal_cdf", "erf") else 30
        for s, by in (("0.3", "0.01"), ("1.5", "-1.3"), ("0.4", "3"), ("2", "-1e-9"), ("0.1", "0.06")):
            with mpmath.workdps(50):
                s, by = mpmath.mpf(s), mpmath.mpf(by)
                true = evaluate(formula, s + by, mpmath_table()) - evaluate(formula, s, mpmath_table())
                found = at(rule, {S: s, AFTER: s + by, CHANGE: by})
                assert abs(found - true) <= (abs(true) + mpmath.mpf(10) ** -4) * mpmath.mpf(10) ** -digits, formula
    assert difference(("exp", two)) == difference(("add", two, ("pi",))) == (NUMBER, 0, 1) and difference(S) == CHANGE
    assert difference(("sinh", S)) is None


def test_an_expression_is_built_and_told_as_it_is():
    x, y, w, e = X[i], Y[j], W[j, i], E[()]
    told = {
        "x1[i] + y1[j]": x + y, "x1[i] - 2*y1[j]": x - 2 * y, "-x1[i] + 1": 1 - x, "-x1[i]": -x, "x1[i]**3": x**3,
        "3*x1[i]/y1[j]": 3 * x / y, "1/x1[i]": power(x, -1), "x1[i]**-2": mul(1, power(x, -2)), "e1": e,
        "(x1[i] + 1)*y1[j]": (x + 1) * y, "sum(i: W1[j, i]*x1[i])": total(i, w * x), "1/2*x1[i]": x / 2,
        "max(i: x1[i])": Extreme("max", (i,), x), "[i = 2k - 1]": indicator(i, 2 * k - 1), "-x1[i]*y1[j]": -x * y,
        "tanh'(x1[i])": Apply(smooth("tanh"), x, 1), "w_5*x1[i]": mul(Written("w_5", 1.0, "w_5"), x),
        "inverse(m)[i, k]": Inverse(Array("m", None, (AI, AI))[i, k]),
    }  # fmt: skip
    for text, node in told.items():
        assert repr(node) == text or repr(node).replace("(1/2)", "1/2") == text
    assert Written("w", 1.0, "w").atom is True and number(3) + 0 == number(3) and mul(0, x) == ZERO and mul() == ONE
    assert [ref for ref in refs_in(w * x + x)] == [w, x, x] and [*indices_in(w)] == [j, i]
    same = Array("x", 1, (AI,), role=Role.INPUT, of=W)
    assert same == X and same.after is False and same.primed.name == "x1_new" and same.primed.unprimed == X
    assert Array("x", 1, (AI,), time=2).name == "x1_t2" and Array("x", None, ()).name == "x"
    assert Apply(smooth("tanh"), x, 1, y) == Apply(smooth("tanh"), x, 1) != Apply(smooth("tanh"), x)
    assert add(x, -1 * x) != ZERO and not expand(add(x, -1 * x)) and add() == ZERO and add(1, 2) == number(3)
    for wrong in (
        lambda: W[i, j],
        lambda: Array("m", None, (AI, AI))[i, i],
        lambda: indicator(i, 3 * i + 3 * k),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match="W1 has the axes n_1, n_0 and is given indices over none"):
        W[()]
    with pytest.raises(TypeError, match="e1 has the axes none and is given indices over n_0"):
        E[i]
    for factor in (True, 1.5, "2"):
        with pytest.raises(TypeError, match="give a whole number"):
            i * factor
        with pytest.raises(TypeError, match="give whole multiples of indices"):
            i + factor
    assert str(X) == "x1" and f"{X.primed}" == "x1_new"
    assert (2 * i - 3 * k + 1).at({i: 5, k: 2}) == 5 and (1 - i).terms == ((i, -1),)


def test_an_equation_is_told_with_its_cases_and_is_another_one_with_another_reason():
    above, below = Condition(X[i], ">"), Condition(X[i], "<=")
    rows = Cases(
        (Branch("on", (above,), 2 * X[i]), Branch("off", (below, Condition(E[()], "!=", Fraction(1, 2))), None))
    )
    e = Equation(X.primed[i], rows, Rule.CASES, "by cases", ("a",), "eq. 1")
    assert str(e) == "x1_new[i] =\n  2*x1[i]   if x1[i] > 0   (on)\n  undefined   if x1[i] <= 0 and e1 != 1/2   (off)"
    assert e.defines and e.name == "x1_new" and e.operands == (X, E) and e.expressions == (X[i], 2 * X[i], X[i], E[()])
    label = Equation(X[i] + 1, X[i], Rule.IDENTITY, "", label="same")
    assert not label.defines and label.name == "same" and str(label) == "x1[i] + 1 = x1[i]"
    assert Equation(Y[j], X[i], Rule.DEFINITION, "") != Equation(Y[j], X[i], Rule.DEFINITION, "another")
    for written, holds in ((">", gt), ("<=", le), ("=", eq), ("!=", ne)):
        assert [Condition(X[i], written, Fraction(1)).holds(n) for n in (0, 1, 2)] == [holds(n, 1) for n in (0, 1, 2)]
    case = Case("on", (sympy.Gt(sympy.Symbol("s"), 0, evaluate=False), sympy.true), None, Verdict.PROVED)
    assert case.possible is True and case.status is Status.VALUE and (case.note, case.condition) == ("", "")
    again = pickle.loads(pickle.dumps(case))
    assert again == case and again.when == case.when and str(case) == "on:  undefined   [PROVED]"
    assert Branch("on", (), None).status is Status.VALUE and Condition(X[i], ">").bound == 0


def test_a_proof_counts_what_it_has_found():
    found = (
        Finding("a", None, Verdict.PROVED), Finding("a", "on", Verdict.SAMPLED, note="so"),
        Finding("b", None, Verdict.REFUTED, counterexample=Counterexample({"w": Fraction(1)}, "b", None, Fraction(2))),
    )  # fmt: skip
    assert all(finding.possible is True and finding.where == () for finding in found)
    proof, good = (Proof(given, "at 1-1", "method") for given in (found, found[:1]))
    assert [finding.name for finding in found] == ["a", "a [on]", "b"] and proof.verdict("a") is found[0]
    assert proof.case("a", "on") is found[1] and proof.refuted == found[2:] and not proof.holds and good.holds
    assert proof.count(Verdict.PROVED, Verdict.SAMPLED) == 2 and proof.count() == 0
    assert repr(proof) == "<Proof: proved 1, refuted 1, sampled 1; does not hold>"
    assert repr(Proof((), "", "")) == "<Proof: no findings; holds>"
    zero = (Condition(E[()], "!="), Condition(X[i] + 1, "!="))
    assert presupposed(zero) == "where `e1` and `x1[i] + 1` are not 0" and under(found[2], zero) is found[2]
    assert under(found[1], zero[:1]).note == "so; where `e1` is not 0" and under(found[0], ()) is found[0]
    assert under(found[0], zero[:1]).where == zero[:1] and str(found[2].counterexample).startswith(
        "b is undefined and sho"
    )
    assert findings.__all__


def test_an_activation_has_its_pieces_its_slopes_and_its_words():
    hat = piecewise_linear("hat", [Piece(0, -1), Piece("3/2", 1), Piece(None, 0, "3/2")], ["1/2", 7])
    for s in (Fraction(n, 4) for n in range(-8, 12)):
        assert hat.value_at(s) == (-s if s <= 0 else min(s, Fraction(3, 2))) and hat.piece_at(s) == (s > 0) + (
            s > Fraction(3, 2)
        )
        slope = {0: Fraction(1, 2), Fraction(3, 2): 7}.get(s, -1 if s < 0 else int(s < Fraction(3, 2)))
        assert (
            hat.slope_at(s) == slope
            and relu().value_at(s) == max(s, 0)
            and leaky_relu("1/5").value_at(s) == max(s, s / 5)
        )
        assert identity().value_at(s) == s and identity().slope_at(s) == 1
    assert hat.kinks == (0, Fraction(3, 2)) and hat.with_slope_at_kink(3).kink_slopes == (3, 3)
    assert (
        [piece.name for piece in hat.pieces] == ["piece 1", "piece 2", "piece 3"]
        and not hat.is_smooth
        and not hat.is_identity
    )
    assert relu().slope_at(Fraction(0)) == 0 and leaky_relu().slope_at(Fraction(0)) == Fraction(1, 100)
    assert relu("1/3").slope_at(Fraction(0)) == Fraction(1, 3) and identity().is_identity and not relu().is_identity
    assert [relu().gate_on(0), relu(1).gate_on(0), hat.gate_on(1), hat.gate_on(2)] == [0, 0, None, 0]
    assert relu().leaving_zero == ("wakes up", "woke up") and leaky_relu().leaving_zero == ("leaves 0", "left 0")
    assert (
        "formula" not in repr(smooth("own", sympy.Symbol("s", real=True) ** 2)) and smooth("sigmoid").never_zero is True
    )
    assert set(SMOOTH) < set(BUILT_IN) and all(spelt(alias.upper()) == known for alias, known in ALIASES.items())
    assert activation("hat", [hat]) is hat and activation("ReLU") == relu() and activation(hat) is hat
    (constant, bent) = said_of_gates([relu(), smooth("tanh"), leaky_relu(), relu(), smooth("gelu")])
    assert constant.startswith("The gates of relu and leaky_relu are held") and bent.startswith(
        "The activations tanh and gelu are"
    )
    assert said_of_gates([identity()]) == () and said_of_gates([relu()])[0].startswith("The gates are held constant")
    assert smooth("tanh").said_of_slope(2) == "This is the second derivative of tanh, a smooth function."
    assert identity().said_of_slope() == "This is the slope of identity, the same everywhere."
    assert relu().said_of_slope().startswith("The gate is the slope of the activation, declared at its kinks")
    for wrong in (
        lambda: piecewise_linear("own", [Piece(0, 1), Piece(None, 1, 1)]), lambda: piecewise_linear("own", []),
        lambda: piecewise_linear("own", [Piece(None, 0, 3)]), lambda: hat.with_slope_at_kink([1]),
        lambda: activation("none"),
        lambda: piecewise_linear("own", [Piece(0, 1, name="a"), Piece(None, 2, name="a")]), lambda: smooth("relu", 1),
        lambda: Piece("x", 1), lambda: piecewise_linear("int", [Piece(None, 1)]), lambda: smooth("none"),
        lambda: piecewise_linear("own", "ab"), lambda: piecewise_linear("own", [1, 2]),
        lambda: piecewise_linear("own", 3),
        lambda: piecewise_linear("own", [Piece(0, 1), None]),
    ):  # fmt: skip
        with pytest.raises(NetworkError):
            wrong()


def test_equations_in_sympy_are_read_back_as_they_were():
    """Of a step with pieces, of one with smooth functions, and of the inverse of a matrix."""
    lists = [
        fcsym.derive(Network.mlp([2, 2, 1], bias=True)), fcsym.derive(Network.mlp([1, 2, 2], "sigmoid"), batch="mean"),
    ]  # fmt: skip
    for d in lists:
        for e in d.equations:
            assert from_sympy(to_sympy(e)) == e
            assert from_sympy(to_sympy(e).rhs, d) == e.rhs or isinstance(e.rhs, Cases | Inverse | Apply), e
    written = to_sympy(
        Equation(Array("q", None, (AI, AI))[i, k], Inverse(Array("m", None, (AI, AI))[i, k]), Rule.DEFINITION, "")
    )
    assert written.rhs.is_real is True and str(written).startswith("q[i, k] = Inverted(m[i, k])")
    assert (
        length(AI).is_positive is True and length(AI).is_integer is True and STORED.is_integer and STORED.is_nonnegative
    )
    assert str(length(Axis("memory", like="m"))) == "m" and length(Axis("samples", like="N")) == sympy.Symbol(
        "N", integer=True, positive=True
    )
    s = sympy.Symbol("s", real=True)
    for phi in (relu("1/2"), leaky_relu(), smooth("tanh")):
        for at in (-2, 0, 3):
            value, slope = phi_at(phi, s).subs(s, at), slope_at(phi, s).subs(s, at)
            true = (phi.value_at(Fraction(at)), phi.slope_at(Fraction(at))) if phi.pieces else (
                mpmath.tanh(at), 1 - mpmath.tanh(at) ** 2
            )  # fmt: skip
            assert float(value) == pytest.approx(float(true[0])) and float(slope) == pytest.approx(float(true[1]))
    hat = piecewise_linear("hat", [Piece(0, -1), Piece(1, 1), Piece(None, 0, 1)], ["1/2", 1])
    for piece, at in ((0, -1), (0, 0), (1, Fraction(1, 2)), (1, 1), (2, 3)):
        slope = sympy.sympify(slope_at(hat, s, piece)).subs(s, sympy.Rational(at.numerator, at.denominator))
        assert slope == hat.slope_at(Fraction(at))
    above = sympy.Symbol("a", positive=True)
    assert relation(Condition(E[()], ">"), above) == sympy.Gt(above, 0, evaluate=False) != sympy.true
    least = to_sympy(Equation(E[()], Extreme("min", (i,), X[i]), Rule.DEFINITION, "")).rhs
    assert str(least.subs(length(AI), 3).doit()) == "Min(x1[0], x1[1], x1[2])"
    sums = to_sympy(Equation(E[()], Extreme("max", (i,), total(j, W[j, i])), Rule.DEFINITION, "")).rhs
    assert not sums.subs({length(AI): 2, length(AJ): 2}).doit().has(sympy.Sum)
    base, letter = sympy.IndexedBase(sympy.Symbol("x1", real=True), shape=(length(AI),)), sympy.Idx("i")
    known = {base: X, sympy.Symbol("e1", real=True): E[()]}
    assert from_sympy(sympy.Sum(base[letter], (letter, 0, length(AI) - 1)), known) == total(i, X[i])
    for low, high in ((1, length(AI) - 1), (0, length(AI)), (0, 2), (0, length(AJ) - 1)):
        with pytest.raises(UnsupportedExpression, match="over the whole range"):
            from_sympy(sympy.Sum(base[letter], (letter, low, high)), known)
    assert from_sympy(sympy.UnevaluatedExpr(sympy.Symbol("e1", real=True) + 1), known) == E[()] + 1


def test_a_polynomial_is_read_in_every_way():
    x, e, y = X[i], E[()], Y[j]
    eta = Array("eta", None, (), role=Role.HYPER_PARAMETER)[()]
    gate, error = Array("g", 1, (AI,), role=Role.GATE)[i], Array("delta", 1, (AI,), role=Role.ADJOINT)[i]
    weight = Array("V", 1, (AI,), role=Role.PARAMETER)[i]
    assert in_order(x, error, weight, gate, eta).factors == (eta, gate, weight, error, x)
    assert expand((x + e) ** 2) == expand(x**2 + 2 * x * e + e**2) and not expand((x + e) * (x - e) - x**2 + e**2)
    factor, rest = common_factor(expand(2 * e * x + 4 * e * y))
    assert (factor, expand(rest)) == (2 * e, expand(x + 2 * y))
    assert expand(linear_part(e**3 * x, E, Array("t", None, ()))) == expand(3 * e**2 * x * Array("t", None, ())[()])
    p, q = Array("p", None, (AI, AI)), Array("q", None, (AI, AI))
    m = Index(AI, "m")
    assert contract(expand(total((k, m), p[i, k] * q[k, m] * X[m])), p, q) == expand(x)
    assert [index.letter for index in tidy((k, j, i), AJ).values()] == ["i", "k", "j"]


def test_numbers_names_and_tables_are_what_was_written():
    for given, value in (
        ("1/3", Fraction(1, 3)),
        ("0.01", Fraction(1, 100)),
        (2, Fraction(2)),
        (0.5, Fraction(1, 2)),
        ("-1e3", Fraction(-1000)),
        ("1e300", Fraction(10**300)),
    ):
        assert exact(given, "it") == value
    for wrong in ("1e400", "-1.1e300", "nan", float("inf"), True, None, "1/0", "0x1", "1" * 50):
        with pytest.raises(NetworkError, match="it is"):
            exact(wrong, "it")
    assert check_name("a_1", "here") == "a_1" and check_name("a" * 32, "here") == "a" * 32
    for wrong in ("", "1a", "a__b", "ä", "lambda", "double", "a" * 33, 3, "a-b"):
        with pytest.raises(NetworkError, match="here"):
            check_name(wrong, "here")
    assert visible("a\x1b[2J\u202e\nb") == "a\\x1b[2J\\u202e\\nb" and visible("a\nb", lines=True) == "a\nb"
    assert toml_table(b"a = 0.10\n[b]\nc.d = [1, 2]") == {"a": Fraction("0.1"), "b": {"c": {"d": [1, 2]}}}
    assert json_table(b'{"a": [0.25, 1]}') == {"a": [Fraction("0.25"), 1]}
    for read, wrong in (
        (toml_table, b".".join([b"a"] * 51) + b" = 1"),
        (json_table, b'{"a": 1, "a": 2}'),
        (json_table, b"[" * 99999),
    ):
        with pytest.raises(ValueError, match="it "):
            read(wrong)
    assert toml_table(b".".join([b"a"] * 50) + b" = 1")
    assert Ref(E, ()) == E[()]
