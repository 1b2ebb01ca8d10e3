"""NumPy source from a derivation: one statement per equation, in the order of the list.

    s1[i] = sum_j W1[i, j] x[j]      =>    s1 = np.matvec(W1, x)
    dv1 by cases                     =>    nested np.where
    ds1[j] / vc[j]                   =>    np.divide(..., where=the cases that use it)

Sums of products become matrix products, everything else is element by element; the index letters say how axes line
up, and every array may have further axes in front. Not supported: activations of anything but an array element, and
elements whose indices are in another order than those of the left-hand side, outside of sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from fcsym.decision import Tree, decide
from fcsym.equation import Branch, Cases, Condition, Equation, Rule, Status
from fcsym.errors import CompileError
from fcsym.expression import Add, Apply, Array, Axis, Expr, Index, Mul, Number, Pow, Ref, Total, children

if TYPE_CHECKING:
    from fcsym.derivation import Derivation
    from fcsym.schemes import Scheme

__all__ = ["Program", "program", "scheme_program"]

PRELUDE: Mapping[str, str] = {
    "erfc(": "import math\n\nerfc = np.vectorize(math.erfc, otypes=[float])\n",
}
"""What a program needs beside NumPy, by the call that needs it."""

FRONT_OUTPUT = "y_front"
"""The output of the frozen network with the weights r."""

_SUM, _PRODUCT, _UNARY, _ATOM = range(4)

_SIGMOID = "np.where({s} > 0.0, 1.0, np.exp(-np.abs({s}))) / (1.0 + np.exp(-np.abs({s})))"  # no overflow on either side
_ERFC = "erfc(-{s} / np.sqrt(2.0))"
_SMOOTH = {
    "gelu": (f"(0.5 * {{s}} * {_ERFC})", f"(0.5 * {_ERFC} + {{s}} * np.exp(-0.5 * {{s}} ** 2) / np.sqrt(2.0 * np.pi))"),
    "tanh": ("np.tanh({s})", "(1.0 - np.tanh({s}) ** 2)"),
    "sigmoid": (f"({_SIGMOID})", "(np.exp(-np.abs({s})) / (1.0 + np.exp(-np.abs({s}))) ** 2)"),
    "softplus": ("np.logaddexp(0.0, {s})", f"({_SIGMOID})"),
    "silu": (f"({{s}} * ({_SIGMOID}))", f"(({_SIGMOID}) * (1.0 + {{s}} * (1.0 - ({_SIGMOID}))))"),
}
"""phi and phi' of the smooth activations."""


@dataclass(frozen=True, slots=True)
class Program:
    """Generated source, and the names of what it returns."""

    source: str
    outputs: tuple[str, ...]


def program(derivation: Derivation) -> Program:
    """Derivation => a module with one function, step(W1, ..., x, yg, eta)."""
    equations = [e for e in derivation.equations if e.rule not in (Rule.INTEGRAL, Rule.SPLIT)]
    arguments = (*(theta.name for theta in derivation.network.parameters), "x", "yg", "eta")
    outputs = tuple(e.name if e.defines else FRONT_OUTPUT for e in equations)
    last = derivation.network.widths[len(derivation.network.layers) - 1]
    mask = None if "p" in outputs else f"np.zeros(y.shape[:-1] + ({last},), dtype=bool)"
    title = f"One training step of {derivation.network}, {derivation.order} order."
    return Program(_with_prelude(_function("step", title, arguments, equations, outputs, True, mask)), outputs)


def _with_prelude(text: str) -> str:
    """The text, after the definitions that it calls."""
    needed = [definition for call, definition in PRELUDE.items() if call in text]
    return "\n\n".join([*needed, text])


def scheme_program(scheme: Scheme) -> Program:
    """Scheme => a module with init, step, output and expand, and the scheme's constants.

    Each function takes the arrays of its derivation in order and returns its results; where units can be undefined,
    `step` returns a mask of them as well.
    """
    stored = any(STORED_KIND in (axis.kind for axis in array.axes) for array in scheme.state)
    text = [_constant(array, matrix) for array, matrix in scheme.constants.items()]
    text += [REMEMBER] if stored else []
    for part in scheme.parts:
        arguments = tuple(array.name for array in part.given)
        results = tuple(array.name for array in part.results)
        undefined = any(_undefined(equation) for equation in part.equations)
        title = f"{part.heading}."
        made = {equation.name for equation in part.equations}
        missing = [a for a in part.results if a.name not in (*made, *arguments)]
        text.append(_function(part.name, title, arguments, part.equations, results, undefined, None, missing))
    return Program(_with_prelude("\n\n".join(text)), tuple(array.name for array in scheme.state))


STORED_KIND = "stored"
REMEMBER = '''def remember(X, C, x):
    """X and C with a row for x: a free one is taken, or one is appended, where no stored input is x.

    The coefficients of the row are 0, so that nothing the state stands for changes. A row of zeros is free; an input of
    zeros needs no row, since nothing can be learned along it.
    """
    lead = np.broadcast_shapes(X.shape[:-2], C.shape[:-2], x.shape[:-1])
    X = np.broadcast_to(X, lead + X.shape[-2:])
    C = np.broadcast_to(C, lead + C.shape[-2:])
    same = np.sum((X - x[..., None, :]) ** 2, axis=-1) == 0.0
    new = ~np.any(same, axis=-1) & np.any(x != 0.0, axis=-1)
    if not np.any(new):
        return X, C
    free = ~np.any(X != 0.0, axis=-1)
    if np.any(new & ~np.any(free, axis=-1)):
        X = np.concatenate([X, np.zeros_like(X, shape=lead + (1, X.shape[-1]))], axis=-2)
        C = np.concatenate([C, np.zeros_like(C, shape=lead + (1, C.shape[-1]))], axis=-2)
        free = np.concatenate([free, np.ones(lead + (1,), dtype=bool)], axis=-1)
    taken = (np.arange(X.shape[-2]) == np.argmax(free, axis=-1)[..., None]) & new[..., None]
    return np.where(taken[..., None], x[..., None, :], X), np.where(taken[..., None], 0.0, C)
'''


def _constant(array: Array, matrix: Sequence[Sequence[Fraction]]) -> str:
    """An array of a scheme; a vector is a matrix of one row."""
    rows = [f"[{', '.join(_literal(value) for value in row)}]" for row in matrix]
    return f"{array.name} = np.array({rows[0] if len(array.axes) == 1 else '[' + ', '.join(rows) + ']'})\n"


def _undefined(equation: Equation) -> bool:
    return isinstance(equation.rhs, Cases) and any(branch.status is not Status.VALUE for branch in equation.rhs)


def _function(
    name: str, title: str, arguments: Sequence[str], equations: Sequence[Equation], results: Sequence[str],
    with_mask: bool, mask: str | None = None, empty: Sequence[Array] = (),
) -> str:  # fmt: skip
    """def name(arguments): one statement per equation, in order; returns the results, and a mask where there is one."""
    writer = _Writer()
    for equation in equations:
        writer.statement(equation.name if equation.defines else FRONT_OUTPUT, equation)
    if with_mask and not any(line.startswith("undefined = ") for line in writer.lines):
        writer.lines.append(
            f"undefined = {mask or 'np.zeros(vc.shape, dtype=bool)'}"
        )  # phi is never 0: p always exists
    for array in empty:  # nothing is stored yet
        like, width = ("Wc1", "Wc1.shape[-1]") if array.symbol == "X" else ("Wc1", "Wc1.shape[-2]")
        writer.lines.append(f"{array.name} = np.zeros_like({like}, shape={like}.shape[:-2] + (0, {width}))")
    documentation = "\n".join(f"    {line}" for e in equations for line in str(e).splitlines())
    documentation = f"\n\n{documentation}\n    " if documentation else ""
    returned = ",\n        ".join((*results, *(["undefined"] if with_mask else [])))
    return (
        f"def {name}({', '.join(arguments)}):\n"
        f'    """{title}{documentation}"""\n'
        + "".join(f"    {line}\n" for line in writer.lines)
        + f"    return (\n        {returned},\n    )\n"
    )


def _literal(value: Fraction) -> str:
    return repr(float(value))


@dataclass(slots=True)
class _Writer:
    """Statements written so far. Expressions come out as (text, how tightly its outermost operator binds)."""

    lines: list[str] = field(default_factory=list)
    like: dict[tuple[Axis, ...], str] = field(default_factory=dict)  # an array at hand with these axes

    def statement(self, name: str, equation: Equation) -> None:
        """name = right-hand side."""
        assert isinstance(equation.lhs, Ref)
        axes = equation.lhs.indices
        self.like |= {array.axes: array.name for array in equation.operands}
        if isinstance(equation.rhs, Cases):
            self._by_cases(name, equation.rhs, axes, equation.operands[0].name)
        elif isinstance(equation.rhs, Number) and axes:
            self.lines.append(
                f"{name} = np.full_like({self.like[equation.array.axes]}, {_literal(equation.rhs.value)})"
            )
        else:
            self.lines.append(f"{name} = {self._expression(equation.rhs, axes)[0]}")

    # ------------------------------------------------------------------------------------------- expressions

    def _expression(self, node: Expr, axes: tuple[Index, ...]) -> tuple[str, int]:
        match node:
            case Number(value):
                return _literal(value), _SUM if value < 0 else _ATOM
            case Ref():
                return self._element(node.array.name, node.indices, axes), _ATOM
            case Add(terms):
                return " + ".join(self._at(t, axes, _SUM) for t in terms).replace("+ -", "- "), _SUM
            case Mul(factors):
                return self._product(factors, axes)
            case Pow(base, exponent) if exponent > 0:
                return f"{self._at(base, axes, _ATOM)} ** {exponent}", _PRODUCT
            case Total(over, body):
                return self._contraction(over, body, axes), _ATOM
            case Apply():
                return self._activation(node, axes), _ATOM
            case _:
                raise CompileError(f"{node!r} has no NumPy form: a quotient must belong to a case that guards it.")

    def _at(self, node: Expr, axes: tuple[Index, ...], level: int) -> str:
        result, own = self._expression(node, axes)
        return result if own >= level else f"({result})"

    def _product(self, factors: Sequence[Expr], axes: tuple[Index, ...]) -> tuple[str, int]:
        negative = isinstance(factors[0], Number) and factors[0].value < 0
        if isinstance(factors[0], Number) and negative:
            lead = [] if factors[0].value == -1 else [Number(-factors[0].value)]
            factors = [*lead, *factors[1:]]
        below = [f for f in factors if isinstance(f, Pow) and f.exponent < 0]
        product = " * ".join(self._at(f, axes, _PRODUCT) for f in factors if f not in below)
        product += "".join(f" / {self._at(f.base, axes, _ATOM)}" for f in below if self._nonzero(f))
        return (f"-{product}", _SUM) if negative else (product, _PRODUCT)

    @staticmethod
    def _nonzero(quotient: Pow) -> bool:
        """Whether a quotient needs no case: a squared norm plus 1 is never 0. Raises CompileError for others."""
        if quotient.exponent == -1 and isinstance(quotient.base, Ref) and quotient.base.array.symbol == "a":
            return True
        raise CompileError(f"{quotient!r} has no NumPy form: a quotient must belong to a case that guards it.")

    @staticmethod
    def _element(name: str, indices: tuple[Index, ...], axes: tuple[Index, ...]) -> str:
        """An array with its axes lined up with those of the left-hand side."""
        places = [axes.index(index) for index in indices]
        if places != sorted(places):
            raise CompileError(f"{name} has its axes in another order than the left-hand side.")
        if len(places) == len(axes) or (places and places == list(range(len(axes) - len(places), len(axes)))):
            return name if len(places) == len(axes) else f"{name}[..., {'None, ' * (len(axes) - len(places))}:]"
        marks = [":" if n in places else "None" for n in range(len(axes))]
        return f"{name}[..., {', '.join(marks)}]"

    def _contraction(self, over: tuple[Index, ...], body: Expr, axes: tuple[Index, ...]) -> str:
        """A sum: of products of array elements as a matrix product, of anything else element by element."""
        refs: list[Ref] = []
        for factor in body.factors if isinstance(body, Mul) else (body,):
            base, exponent = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, 1)
            if not isinstance(base, Ref) or exponent < 1:
                inner = self._expression(body, (*axes, *over))[0]
                return f"np.sum({inner}, axis={tuple(range(-len(over), 0))})"
            refs += [base] * exponent
        free = tuple(index for ref in refs for index in ref.indices if index not in over)
        result = tuple(dict.fromkeys(free))
        summed = self._matrix_product(refs, over) or self._einsum(refs, over, result)
        if result == axes:
            return summed
        return self._element(f"({summed})" if " " in summed.split("(")[0] else summed, result, axes)

    @staticmethod
    def _matrix_product(refs: list[Ref], over: tuple[Index, ...]) -> str | None:
        if len(refs) != 2 or len(over) != 1:
            return None
        left, right = refs
        for a, b in ((left, right), (right, left)):
            match a.indices, b.indices:
                case ((_, j), (m,)) if j == m == over[0]:
                    return f"np.matvec({a.array.name}, {b.array.name})"
                case ((i, _), (m,)) if i == m == over[0]:
                    return f"np.vecmat({b.array.name}, {a.array.name})"
                case ((_, j), (m, _)) if j == m == over[0]:
                    return f"np.matmul({a.array.name}, {b.array.name})"
        if left.indices == right.indices == over:
            return f"np.vecdot({left.array.name}, {right.array.name})"
        return None

    @staticmethod
    def _einsum(refs: list[Ref], over: tuple[Index, ...], result: tuple[Index, ...]) -> str:
        letters = {index: "abcdefghijklmnop"[n] for n, index in enumerate(dict.fromkeys((*result, *over)))}
        inputs = ",".join("..." + "".join(letters[i] for i in ref.indices) for ref in refs)
        outputs = "..." + "".join(letters[i] for i in result)
        return f'np.einsum("{inputs}->{outputs}", {", ".join(ref.array.name for ref in refs)})'

    def _activation(self, node: Apply, axes: tuple[Index, ...]) -> str:
        """phi or phi', from the highest piece down, with the declared slope at a kink."""
        if not isinstance(node.argument, Ref):
            raise CompileError(f"{node!r} has no NumPy form: name its argument first.")
        phi, s = node.activation, self._element(node.argument.array.name, node.argument.indices, axes)
        if phi.is_smooth:
            return _SMOOTH[phi.name][node.derivative].format(s=s)
        if node.derivative:
            values = [_literal(piece.slope) for piece in phi.pieces]
        else:
            values = [_linear(piece.slope, piece.intercept, s) for piece in phi.pieces]
        result = values[0]
        for kink, value in zip(phi.kinks, values[1:], strict=True):
            result = f"np.where({s} > {_literal(kink)}, {value}, {result})"
        if node.derivative:
            for n, (kink, slope) in enumerate(zip(phi.kinks, phi.kink_slopes, strict=True)):
                if slope != phi.pieces[n].slope:
                    result = f"np.where({s} == {_literal(kink)}, {_literal(slope)}, {result})"
            if len(values) == 1:
                return f"np.full_like({s}, {result})"
            return f"{result}.astype({s}.dtype)"
        return result

    # ------------------------------------------------------------------------------------------------- cases

    def _by_cases(self, name: str, cases: Cases, axes: tuple[Index, ...], kind: str) -> None:
        quotients: dict[Expr, list[Branch]] = {}
        for branch in cases:
            for quotient in _quotients(branch.value):
                quotients.setdefault(quotient, []).append(branch)
        names: dict[Expr, Ref] = {}
        for n, (quotient, branches) in enumerate(quotients.items(), 1):
            names[quotient] = self._guarded(f"{name}_ratio{'' if len(quotients) == 1 else n}", quotient, branches)
        replaced = [_with(branch, names) for branch in cases]
        undefined = [branch for branch in cases if branch.status is Status.UNDEFINED]
        if undefined or any(branch.status is not Status.VALUE for branch in cases):  # a compensation is chosen here
            own = axes[-1:]
            rows = [self._mask(branch, own) for branch in undefined]
            self.lines.append(
                f"undefined = {' | '.join(rows)}" if rows else "undefined = np.zeros(vc.shape, dtype=bool)"
            )
        # literals alone would make the result float64
        self.lines.append(f"{name} = {self._choose(decide(replaced), axes)}.astype({kind}.dtype, copy=False)")

    def _guarded(self, name: str, quotient: Expr, branches: list[Branch]) -> Ref:
        """The quotient, divided only where one of its cases holds."""
        above = next((f for f in children(quotient) if isinstance(f, Ref)), None) if isinstance(quotient, Mul) else None
        below = next(f.base for f in (quotient, *children(quotient)) if isinstance(f, Pow))
        assert isinstance(below, Ref)
        mask = " | ".join(self._mask(branch, below.indices) for branch in branches)
        bottom = below.array.name
        top = "1.0" if above is None else above.array.name
        shape = bottom if above is None else top
        self.lines.append(f"{name} = np.divide({top}, {bottom}, out=np.zeros_like({shape}), where={mask})")
        return Array(name, None, below.array.axes)[below.indices]

    def _mask(self, branch: Branch, axes: tuple[Index, ...]) -> str:
        return "(" + " & ".join(f"({self._test(condition, axes)})" for condition in branch.when) + ")"

    def _test(self, condition: Condition, axes: tuple[Index, ...]) -> str:
        relation = {"=": "=="}.get(condition.relation, condition.relation)
        return f"{self._at(condition.subject, axes, _ATOM)} {relation} {_literal(condition.bound)}"

    def _choose(self, tree: Tree, axes: tuple[Index, ...]) -> str:
        if isinstance(tree, Branch):
            return "np.nan" if tree.value is None else self._expression(tree.value, axes)[0]
        then, otherwise = self._choose(tree.then, axes), self._choose(tree.otherwise, axes)
        return f"np.where({self._test(tree.condition, axes)}, {then}, {otherwise})"


def _linear(slope: Fraction, intercept: Fraction, s: str) -> str:
    if not slope:
        return _literal(intercept)
    product = s if slope == 1 else f"{_literal(slope)} * {s}"
    return product if not intercept else f"{product} + {_literal(intercept)}"


def _quotients(node: Expr | None) -> list[Expr]:
    """Each `a / b` in a sum of products: the element below, with one of the same shape above where there is one."""
    if node is None:
        return []
    result = []
    for term in node.terms if isinstance(node, Add) else (node,):
        parts = _split(term)
        if parts is not None:
            result.append(parts[0])
    return result


def _split(term: Expr) -> tuple[Expr, list[Expr]] | None:
    """w * ds / vc => (ds / vc, [w]): the vector above goes with the vector below, which keeps p = -w' exact."""
    if not isinstance(term, Mul):
        return None
    below = [f for f in term.factors if isinstance(f, Pow) and f.exponent < 0]
    if not below:
        return None
    assert isinstance(below[0], Pow) and isinstance(below[0].base, Ref)
    partner = next((f for f in term.factors if isinstance(f, Ref) and f.indices == below[0].base.indices), None)
    if len(below) > 1 or below[0].exponent != -1:
        raise CompileError(f"{term!r} has no NumPy form: only one element can be divided by another.")
    quotient = below[0] if partner is None else Mul((partner, below[0]))
    return quotient, [f for f in term.factors if f is not partner and f is not below[0]]


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
