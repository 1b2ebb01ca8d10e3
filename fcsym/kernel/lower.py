"""Equations in index notation => the neutral form: one statement per equation, in the order of the list.

s1[i] = sum_j W1[i, j] x[j]          =>    Define with a Reduce
relu(s1[i])                          =>    Select(s1[i] > 0, s1[i], 0)
p by cases, with ds1[j] / vc[j]      =>    a Guarded quotient under the cases that use it, then nested Selects
v^c = 0 and v' != 0: undefined       =>    a Mark, and Undefined in its branch
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from fcsym.errors import CompileError
from fcsym.kernel import neutral as n
from fcsym.kernel.changes import Places, change_of
from fcsym.kernel.gates import select_by_gates
from fcsym.language import smooth_functions
from fcsym.language.algebra import Definition, inline
from fcsym.language.decision import Tree, decide
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule, Status
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Expr,
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
    applied_in,
    arrays_in,
    refs_in,
)
from fcsym.language.formulas import Formula
from fcsym.networks.symbols import ETA, front_of

if TYPE_CHECKING:
    from fcsym.deriving.record import Record
    from fcsym.schemes.record import SchemeRecord

__all__ = ["in_numbers", "lower_scheme", "lower_step", "named", "resting_on_p", "step_signature"]

_ONE = n.Const(Fraction(1))


def lower_step(derivation: Record) -> n.Function:
    """Derivation => step(W1, ..., x, yg, eta) with every quantity but P as its result."""
    given, quantities = step_signature(derivation)
    equations = tuple(quantities.values())
    results = [_result(e) for e in equations]
    title = f"One training step of {derivation.network}, {derivation.order} order."
    return lower("step", title, given, equations, results, any(map(_undefined, equations)))


def step_signature(derivation: Record) -> tuple[tuple[Array, ...], dict[str, Equation]]:
    """What a step is given, and the equations of what it returns, by the names of the results."""
    network = derivation.network
    given = (*network.parameters, *network.memory, network.input, network.target, ETA)
    equations = [e for e in in_numbers(derivation) if e.rule not in (Rule.INTEGRAL, Rule.SPLIT)]
    return given, {_result(e).name: e for e in equations}


def in_numbers(record: Record) -> tuple[Equation, ...]:
    """The equations with the numbers of the update rule in the place of its coefficients: 1 - beta is one number."""
    values: dict[Array, Definition] = {a: ((), Number(value)) for a, value in record.network.rule.values.items()}
    if not values:
        return record.equations
    return tuple(
        replace(e, rhs=inline(e.rhs, values)) if isinstance(e.rhs, Expr) and values.keys() & set(e.operands) else e
        for e in record.equations
    )


def resting_on_p(derivation: Record) -> tuple[str, ...]:
    """The results of a step that have no value where p has none: p itself, and all that is made of it."""
    lost: dict[str, None] = {}
    for e in derivation.equations:
        if e.rule not in (Rule.INTEGRAL, Rule.SPLIT) and (
            _undefined(e) or _inverts(e) or lost.keys() & {a.name for a in e.operands}
        ):
            lost[_result(e).name] = None
    return tuple(lost)


def named(equations: Sequence[Equation]) -> dict[str, tuple[Array, Equation]]:
    """The arrays that a lowered function defines, by their names there, and the equation that says what each is."""
    return {_result(e).name: (_result(e), e) for e in equations if e.rule not in (Rule.INTEGRAL, Rule.SPLIT)}


def _result(equation: Equation) -> Array:
    """What an equation gives: the array that it defines, or the logits once more, from the frozen network."""
    assert isinstance(equation.lhs, Ref)
    return equation.array if equation.defines else front_of(equation.lhs.array.unprimed)


def lower_scheme(scheme: SchemeRecord) -> n.Module:
    """Scheme => a module with init, step, output and expand."""
    functions = []
    for part in scheme.parts:
        marks = any(_undefined(equation) for equation in part.equations)
        title = f"{part.heading}."
        functions.append(lower(part.name, title, part.given, in_numbers(part), part.results, marks))
    network = scheme.network
    sizes = {axis: network.sizes[axis] for function in functions for axis in function.every_axis if not axis.open}
    title = f"{scheme.name} of {network}, {scheme.order} order"
    text = "\n".join([str(scheme), *(repr(layer.activation) for layer in network.layers)])
    return n.Module(
        title=title,
        scheme=scheme.name,
        order=scheme.order,
        network=str(network),
        functions=tuple(functions),
        state=scheme.state,
        weights=network.parameters,
        constants={a.name: matrix if len(a.axes) == 2 else matrix[0] for a, matrix in scheme.constants.items()},
        sizes=sizes,
        single_input=scheme.single_input,
        first_bias=network.layers[0].bias,
        assumptions=scheme.step.assumptions,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        refusal=scheme.refusal.said(),
        refused=scheme.refusal.status,
    )


def _inverts(equation: Equation) -> bool:
    return isinstance(equation.rhs, Inverse)


def _undefined(equation: Equation) -> bool:
    return isinstance(equation.rhs, Cases) and any(branch.status is not Status.VALUE for branch in equation.rhs)


def lower(
    name: str, title: str, given: Sequence[Array], equations: Sequence[Equation], results: Sequence[Array], marks: bool
) -> n.Function:
    """Equations => a function."""
    statements: list[n.Statement] = []
    known: dict[Array, Equation] = {}
    for equation in _together(equations, results):
        statements += _statements(_result(equation).name, equation, known)
        known[equation.array] = equation
    return select_by_gates(
        n.Function(
            name, title, tuple(str(e) for e in equations), tuple(given), tuple(statements), tuple(results), marks
        )
    )


def _together(equations: Sequence[Equation], results: Sequence[Array]) -> list[Equation]:
    """The steps of an update rule that one other step needs become a part of it: a matrix less to make."""
    uses: dict[Array, int] = {}
    for equation in equations:
        for node in equation.expressions:
            for ref in refs_in(node):
                uses[ref.array] = uses.get(ref.array, 0) + 1
    argued = {a for e in equations for node in e.expressions for f in applied_in(node) for a in arrays_in(f.argument)}
    put: dict[Array, Definition] = {}
    made: list[Equation] = []
    for equation in equations:
        if put.keys() & set(equation.operands) and isinstance(equation.rhs, Expr):
            equation = replace(equation, rhs=inline(equation.rhs, put))
        array = equation.array
        once = equation.rule in (Rule.TRAINING, Rule.GRADIENT) and uses.get(array) == 1 and array not in results
        if once and array.role is not Role.DIVISOR and array not in argued and isinstance(equation.lhs, Ref):
            assert isinstance(equation.rhs, Expr)
            put[array] = equation.lhs.indices, equation.rhs
            continue
        made.append(equation)
    return made


def _statements(name: str, equation: Equation, known: Mapping[Array, Equation]) -> list[n.Statement]:
    """name[indices] = right-hand side; `known`: what stands before it."""
    assert isinstance(equation.lhs, Ref)
    indices = equation.lhs.indices
    if isinstance(equation.rhs, Cases):
        return _by_cases(name, equation.rhs, indices)
    if changed := change_of(equation, known):
        return _named_once(name, indices, _smooth(*changed))
    if isinstance(equation.rhs, Apply) and equation.rhs.activation.is_smooth:
        return _named_once(name, indices, _node(equation.rhs))
    return [n.Define(name, indices, _node(equation.rhs))]


# ------------------------------------------------------------------------------------------------------ expressions


def _node(node: Expr) -> n.Node:
    match node:
        case Number(value):
            return n.Const(value)
        case Ref(array, indices):
            return n.Load(array.name, indices)
        case Indicator():
            return node
        case Add(terms):
            return n.Sum(tuple(_signed(term) for term in terms))
        case Mul():
            sign, product = _signed(node)
            return product if sign > 0 else n.Sum(((-1, product),))
        case Pow(base, exponent) if exponent > 0:
            return n.Power(_node(base), exponent)
        case Pow(base, exponent) if exponent < 0 and _never_zero(base):
            return n.Quotient(_ONE, _divisor(base, exponent))
        case Total(over, body):
            return n.Reduce(over, _node(body))
        case Extreme(kind, over, body):
            return n.Extreme(kind, over, (_node(body),))
        case Inverse(Ref(array, indices)):
            return n.Inverse(array.name, indices)
        case Apply():
            return _activation(node)
        case _:
            raise CompileError(f"{node!r} has no compiled form: a quotient must belong to a case that guards it.")


def _signed(term: Expr) -> tuple[int, n.Node]:
    """-2 a b => (-1, 2 a b); a quotient by what is never 0 divides at the end."""
    if isinstance(term, Number):
        return (1, n.Const(term.value)) if term.value >= 0 else (-1, n.Const(-term.value))
    if not isinstance(term, Mul):
        return 1, _node(term)
    factors, sign = list(term.factors), 1
    if isinstance(factors[0], Number) and factors[0].value < 0:
        sign, size = -1, -factors[0].value
        factors = [*([Number(size)] if size != 1 else []), *factors[1:]]
    below = [f for f in factors if isinstance(f, Pow) and f.exponent < 0 and _never_zero(f.base)]
    above = [_node(f) for f in factors if f not in below]
    result: n.Node = _ONE if not above else above[0] if len(above) == 1 else n.Product(tuple(above))
    for factor in below:
        result = n.Quotient(result, _divisor(factor.base, factor.exponent))
    return sign, result


def _divisor(base: Expr, exponent: int) -> n.Node:
    """What base^-n divides by."""
    return _node(base) if exponent == -1 else n.Power(_node(base), -exponent)


def _never_zero(base: Expr) -> bool:
    """A squared norm, or what it is held by, which are divided by without a case only where a bias adds 1.

    Likewise what a logarithm in the loss was taken of: where that is 0 the loss is infinite, and so is its slope;
    the number of samples; and what an update rule divides by, which its epsilon keeps above 0.
    """
    return isinstance(base, Ref) and base.array.role in _ABOVE_ZERO


_ABOVE_ZERO = (
    *(Role.NORM, Role.TERM, Role.PARTITION, Role.ACTIVATION, Role.COUNT, Role.DIVISOR),
    Role.PRE_ACTIVATION,  # a linear output, of which the loss takes a logarithm
)


def _activation(node: Apply) -> n.Node:
    """phi or phi', from the highest piece down, with the declared slope at a kink."""
    if not isinstance(node.argument, Ref):
        raise CompileError(f"{node!r} has no compiled form: name its argument first.")
    phi, s = node.activation, _node(node.argument)
    if phi.is_smooth:
        return _smooth(smooth_functions.form(phi, node.derivative), {"s": s})
    values: list[n.Node]
    if node.derivative:
        values = [n.Const(piece.slope) for piece in phi.pieces]
    else:
        values = [_linear(piece.slope, piece.intercept, s) for piece in phi.pieces]
    result = values[0]
    if node.argument.array.role is Role.TERM and phi.kinks:  # what is not a number stays none, also in a loss
        result = n.Select(n.Test(s, "<=", phi.kinks[0]), result, s)
    for kink, value in zip(phi.kinks, values[1:], strict=True):
        result = _select(n.Test(s, ">", kink), value, result)
    if node.derivative:
        for piece, kink, slope in zip(phi.pieces, phi.kinks, phi.kink_slopes, strict=False):
            if slope != piece.slope:
                result = n.Select(n.Test(s, "==", kink), n.Const(slope), result)
    return result


def _linear(slope: Fraction, intercept: Fraction, s: n.Node) -> n.Node:
    if not slope:
        return n.Const(intercept)
    product = s if slope == 1 else n.Product((n.Const(slope), s))
    return product if not intercept else n.Sum(((1, product), (1, n.Const(intercept))))


# --------------------------------------------------------------------------------------------------- smooth functions


def _smooth(form: Formula, at: Places) -> n.Node:
    """A formula that floating point computes well, with nodes in the places of s, s + ds and ds."""
    match form:
        case (place,) if place in at:
            return at[place]
        case ("number", p, q):
            return n.Const(Fraction(p, q))
        case ("add", *terms):
            return n.Sum(tuple(_signed_part(term, at) for term in terms))
        case ("mul", *_):
            sign, product = _signed_part(form, at)
            return product if sign > 0 else n.Sum(((-1, product),))
        case ("pow", base, ("number", p, q)) if p > 0:
            return _power(_smooth(base, at), Fraction(p, q))
        case ("pow", base, ("number", p, q)):
            return n.Quotient(_ONE, _power(_smooth(base, at), Fraction(-p, q)))
        case ("above", p, q, above, below):
            return n.Select(n.Test(at["s"], ">", Fraction(p, q)), _smooth(above, at), _smooth(below, at))
        case ("where", what, p, q, here, there):
            return n.Select(n.Test(_smooth(what, at), ">", Fraction(p, q)), _smooth(here, at), _smooth(there, at))
        case ("sign", inner):
            u = _smooth(inner, at)
            negative = n.Select(n.Test(u, "==", Fraction(0)), n.Const(Fraction(0)), n.Const(Fraction(-1)))
            return n.Select(n.Test(u, ">", Fraction(0)), _ONE, negative)
        case (name, inner) if name in n.CALLS:
            return n.Call(name, _smooth(inner, at))
        case _:
            raise CompileError(f"{form[0]} has no compiled form: write the activation with other functions.")


def _signed_part(form: Formula, at: Places) -> tuple[int, n.Node]:
    """-2 a b^-1 => (-1, 2 a / b)."""
    if form[0] == "number":
        return (1 if form[1] >= 0 else -1), n.Const(abs(Fraction(form[1], form[2])))
    if form[0] != "mul":
        return 1, _smooth(form, at)
    sign, above, below = 1, list[n.Node](), list[n.Node]()
    for factor in form[1:]:
        match factor:
            case ("number", p, q):
                sign = sign if p > 0 else -sign
                above += [n.Const(abs(Fraction(p, q)))] if abs(Fraction(p, q)) != 1 else []
            case ("pow", base, ("number", p, q)) if p < 0:
                below.append(_power(_smooth(base, at), Fraction(-p, q)))
            case _:
                inner, node = _signed_part(factor, at)
                sign *= inner
                above.append(node)
    result: n.Node = _ONE if not above else above[0] if len(above) == 1 else n.Product(tuple(above))
    for node in below:
        result = n.Quotient(result, node)
    return sign, result


def _power(base: n.Node, exponent: Fraction) -> n.Node:
    """base^exponent, for an exponent above 0."""
    whole = exponent.numerator // exponent.denominator
    factors: list[n.Node] = [] if not whole else [base if whole == 1 else n.Power(base, whole)]
    if exponent.denominator == 2:
        factors.append(n.Call("sqrt", base))
    elif exponent.denominator > 2:
        return n.Call("exp", n.Product((n.Const(exponent), n.Call("log", base))))
    return factors[0] if len(factors) == 1 else n.Product(tuple(factors))


def _named_once(name: str, indices: tuple[Index, ...], value: n.Node) -> list[n.Statement]:
    """name[indices] = value, with a statement of its own for every function that is needed more than once."""
    uses: dict[n.Node, int] = {}

    def calls(node: n.Node) -> bool:
        return isinstance(node, n.Call) or any(map(calls, n.parts(node)))

    def count(node: n.Node, times: int = 1) -> None:
        if not calls(node):
            return
        known = node in uses
        uses[node] = uses.get(node, 0) + times
        if not known:
            for part in n.parts(node):
                count(part, 2 if isinstance(node, n.Power) else 1)

    names: dict[n.Node, n.Node] = {}
    statements: list[n.Statement] = []

    def again(node: n.Node) -> n.Node:
        if node in names:
            return names[node]
        made = n.rebuilt(node, again)
        if uses.get(node, 0) < 2 or node == value:
            return made
        own = f"{name}_part{len(names) + 1}"
        statements.append(n.Define(own, indices, made))
        names[node] = n.Load(own, indices)
        return names[node]

    count(value)
    whole = n.Define(name, indices, again(value))
    return [*statements, whole]


# ------------------------------------------------------------------------------------------------------------ cases


def _by_cases(name: str, cases: Cases, indices: tuple[Index, ...]) -> list[n.Statement]:
    quotients: dict[Expr, list[Branch]] = {}
    for branch in cases:
        for quotient in _quotients(branch.value):
            quotients.setdefault(quotient, []).append(branch)
    result: list[n.Statement] = []
    names: dict[Expr, Ref] = {}
    for number, (quotient, branches) in enumerate(quotients.items(), 1):
        own = f"{name}_ratio{'' if len(quotients) == 1 else number}"
        above, below = _above_and_below(quotient)
        guard = tuple(_all(branch) for branch in branches)
        where = above.indices if isinstance(above, n.Load) and not below.indices else below.indices
        result.append(n.Define(own, where, n.Guarded(above, _node(below), guard)))
        names[quotient] = Array(own, None, tuple(index.axis for index in where))[where]
    if any(branch.status is not Status.VALUE for branch in cases):  # a compensation is chosen here
        rows = tuple(_all(branch) for branch in cases if branch.status is Status.UNDEFINED)
        result.append(n.Mark(indices[1:] or indices, rows))  # one p for every output, and no more than one reason
    replaced = [_with(branch, names) for branch in cases]
    result.append(n.Define(name, indices, _choose(decide(replaced))))
    return result


def _test(condition: Condition) -> n.Test:
    relation = {"=": "=="}.get(condition.relation, condition.relation)
    return n.Test(_node(condition.subject), relation, condition.bound)


def _all(branch: Branch) -> tuple[n.Test, ...]:
    return tuple(_test(condition) for condition in branch.when)


def _choose(tree: Tree) -> n.Node:
    if isinstance(tree, Branch):
        return n.Undefined() if tree.value is None else _node(tree.value)
    return _select(_test(tree.condition), _choose(tree.then), _choose(tree.otherwise))


def _select(test: n.Test, then: n.Node, otherwise: n.Node) -> n.Node:
    """A choice, where there is one: two pieces may have one slope."""
    return then if then == otherwise else n.Select(test, then, otherwise)


def _quotients(node: Expr | None) -> list[Expr]:
    """Each `a / b` in a sum of products: the element below, with one of the same shape above where there is one."""
    if node is None:
        return []
    terms = node.terms if isinstance(node, Add) else (node,)
    return [parts[0] for term in terms if (parts := _split(term)) is not None]


def _split(term: Expr) -> tuple[Expr, list[Expr]] | None:
    """w * ds / vc => (ds / vc, [w]): the vector above goes with the vector below, which keeps p = -w' exact."""
    if not isinstance(term, Mul):
        return None
    below = [f for f in term.factors if isinstance(f, Pow) and f.exponent < 0]
    if not below:
        return None
    first = below[0]
    assert isinstance(first, Pow) and isinstance(first.base, Ref)
    elements = [f for f in term.factors if isinstance(f, Ref)]
    partner = next((f for f in elements if f.indices == first.base.indices), None)
    if partner is None and not first.base.indices:  # by a scalar anything can be divided; its inverse may be no number
        partner = next(iter(elements), None)
    if len(below) > 1 or first.exponent != -1:
        raise CompileError(f"{term!r} has no compiled form: only one element can be divided by another.")
    quotient = first if partner is None else Mul((partner, first))
    used = [partner, first]
    rest = []
    for factor in term.factors:  # by identity: v v / vc keeps one v
        place = next((k for k, other in enumerate(used) if other is factor), None)
        if place is None:
            rest.append(factor)
        else:
            used.pop(place)
    return quotient, rest


def _above_and_below(quotient: Expr) -> tuple[n.Node, Ref]:
    if isinstance(quotient, Mul):
        above, inverse = quotient.factors
        assert isinstance(inverse, Pow) and isinstance(inverse.base, Ref)
        return _node(above), inverse.base
    assert isinstance(quotient, Pow) and isinstance(quotient.base, Ref)
    return _ONE, quotient.base


def _with(branch: Branch, names: dict[Expr, Ref]) -> Branch:
    """The branch with its quotients replaced by the names they were given."""
    if branch.value is None or not names:
        return branch
    terms = []
    for term in branch.value.terms if isinstance(branch.value, Add) else (branch.value,):
        parts = _split(term)
        if parts is None:
            terms.append(term)
            continue
        rest: tuple[Expr, ...] = (*parts[1], names[parts[0]])
        terms.append(Mul(rest) if len(rest) > 1 else rest[0])
    value: Expr = Add(tuple(terms)) if len(terms) > 1 else terms[0]
    return Branch(branch.name, branch.when, value, branch.status, branch.note)
