"""Proof of a scheme, by induction over the steps: what its state stands for holds at the start, and again after a step.

Two deciders, as for one step. In index notation, at any width: what the state stands for (`meanings`) is put in, and
a right-hand side is held against what its left-hand side means in backpropagation; the equations of one step, which
are proved on their own, say what that is. And exact runs: the scheme's four functions are evaluated in rational numbers
over several steps of small networks, beside `reference`, which knows nothing of schemes. Smooth activations have no
rational values; there the runs are residues modulo 2^127 - 1, with arbitrary numbers for phi and phi'.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import z3

from fcsym.deriving.forward import forward
from fcsym.errors import UnsupportedExpression
from fcsym.language import smooth_functions, smt
from fcsym.language.activation import Activation
from fcsym.language.algebra import Definition, as_expr, contract, expand, indices_of, inline
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule, Status, Verdict, functions_in
from fcsym.language.expression import (
    ZERO,
    Apply,
    Array,
    Expr,
    Extreme,
    Number,
    Pow,
    Ref,
    Role,
    arrays_in,
    children,
    mul,
    power,
)
from fcsym.language.findings import Counterexample, Finding, Proof, under
from fcsym.language.instance import Element, Field, Instance, first_that_holds, positions
from fcsym.language.names_of_cases import remark, spoken
from fcsym.networks.symbols import (
    ETA,
    PROBE,
    SHAPE,
    SIZE,
    STORED,
    frozen_activation,
    frozen_copy,
    frozen_pre_activation,
    norm,
    pre_activation,
)
from fcsym.proof import proved
from fcsym.proof.answers import finding_on, left_indices, pair, refuted, right_side, same_statement
from fcsym.proof.induction import prove_of_layers
from fcsym.proof.numbers import PRIME, Residue, digest
from fcsym.proof.pieces import Pieces
from fcsym.proof.quotients import needed
from fcsym.proof.reference import Gates, plus, reference
from fcsym.proof.structure import flaws_of_scheme

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["merged", "prove_scheme"]

_RUNS, _STEPS = 6, 3
_ROUNDS = 6  # an update rule has a name for each of its steps: as many are put in, one after another


def prove_scheme(scheme: SchemeRecord, only: str | None = None) -> dict[str, Proof]:
    """Scheme => a finding for every equation of its four derivations, or of `only` one, by part."""
    wrong = {part.name: dict(_flaws(part)) for part in scheme.parts}
    if any(wrong.values()):
        return _incomplete(scheme, wrong, only)
    if scheme.network.built is not None:
        return prove_of_layers(scheme, only)
    index, runs = _Index(scheme), _Runs(scheme)
    method = f"run exactly over {_STEPS} steps of {_RUNS} small networks {runs.kind}"
    result = {}
    for part in scheme.parts:
        if part.name != (only or part.name):
            continue
        findings = [finding for equation in part.equations for finding in _examine(part, equation, index, runs)]
        findings += [
            Finding(array.name, None, Verdict.UNDECIDED, note=f"{part.name} does not say what {array.name} is")
            for array in part.results
            if array not in (*part.given, *(e.array for e in part.equations)) and not index.starts_empty(array)
        ]
        result[part.name] = Proof(tuple(findings), str(runs.network), method)
    return result


def _flaws(part: PartRecord) -> list[tuple[str, str]]:
    """What keeps a function from being one, and what its scheme claims beyond its equations that is not so."""
    scheme, network = part.scheme, part.network
    found = flaws_of_scheme(
        network, part.given, part.equations, part.results, scheme.constants, ends_there=not scheme.is_statement
    )
    for equation in part.equations:
        rule = _rule_of(part, equation)
        if equation.rule is not rule:
            found.append((equation.name, f"claims the rule {equation.rule.value!r} and needs {rule.value!r}"))
    first = {"init": network.parameters, **dict.fromkeys(("step", "output", "expand"), scheme.state)}
    if part.given[: len(first.get(part.name, ()))] != first.get(part.name, ()):
        found.append(("arguments", f"of {part.name} have to begin with what it starts from"))
    known = {e.array for e in scheme.base if e.defines} | {*network.parameters, *network.memory}
    for array in scheme.moving:
        if array in known:
            found.append((array.name, "is what backpropagation makes of it, and no scheme's to define"))
    for frozen in scheme.frozen:
        if frozen.array in known or frozen.array.after:
            found.append((frozen.name, "is what a step changes, and is called frozen"))
    if not all(network.sizes.get(axis) == 1 for axis in scheme.ones):
        found.append(("results", "are those of a network with one output"))
    if scheme.gates and not any(m.array == pre_activation(1) for m in scheme.meanings):
        found.append(("s1", "has no meaning, and the units are held on their pieces by it"))
    return found + _misplaced(part)


def _rule_of(part: PartRecord, equation: Equation) -> Rule:
    """The rule that an equation of a scheme has, by what it defines and where it stands."""
    scheme = part.scheme
    of_step = backpropagation_of(scheme).get(equation.name)
    if of_step is not None and (of_step.lhs, of_step.rhs) == (equation.lhs, equation.rhs):
        return of_step.rule
    if not equation.defines:
        return Rule.IDENTITY
    array = equation.array
    if _is_frozen(array) or array in [e.array for e in (*scheme.frozen, *scheme.measures)]:
        return Rule.DEFINITION
    if array in scheme.network.memory:  # before the first step
        return Rule.DEFINITION
    if of_step is not None or array in scheme.network.parameters:
        if part.name == "expand":
            carried = (e.rule for e in scheme.step if e.defines and (e.array, e.rhs) == (array, equation.rhs))
            return next(carried, Rule.EXPANSION)
        return Rule.STATE if array in scheme.network.parameters else Rule.IDENTITY
    if scheme.is_statement:
        if isinstance(equation.rhs, Cases):
            return Rule.CHOICE
        meant = any(meaning.array == array for meaning in scheme.meanings)
        said = equation.rule if equation.rule is Rule.IDENTITY else Rule.STATE
        return said if meant else Rule.DEFINITION
    return Rule.STATE if array in part.results else Rule.DEFINITION


def _is_frozen(array: Array) -> bool:
    """Whether an array is what a value was at `init`, v^c, s^c and the key of the input; weights are held by `init`."""
    return array.role is Role.FROZEN and (array.of is None or array.of.role is not Role.PARAMETER)


def _incomplete(scheme: SchemeRecord, wrong: Mapping[str, Mapping[str, str]], only: str | None) -> dict[str, Proof]:
    """No verdict on a scheme one of whose functions is none."""
    result = {}
    for part in scheme.parts:
        said = wrong[part.name]
        findings = [Finding(name, None, Verdict.UNDECIDED, note=f"{name} {note}") for name, note in said.items()]
        findings += [
            Finding(e.name, None, Verdict.UNDECIDED, note="the scheme is incomplete")
            for e in part
            if e.name not in said
        ]
        if part.name == (only or part.name):
            result[part.name] = Proof(tuple(findings), "none", "not examined, since the scheme is incomplete")
    return result


def _misplaced(part: PartRecord) -> list[tuple[str, str]]:
    """What a function returns has its place: a kernel goes by position, whatever the names are."""
    scheme = part.scheme
    output = scheme.network.output
    wanted = {
        "init": scheme.state, "expand": scheme.network.parameters, "output": (output,),
        "step": tuple(a.primed if a.primed in part.results else a for a in scheme.state),
    }.get(part.name, part.results)  # fmt: skip
    if part.results == wanted:
        return []
    return [("results", f"have to be {', '.join(array.name for array in wanted)}, in this order")]


def merged(proofs: Mapping[str, Proof]) -> Proof:
    """The findings of all parts in one report, each named after its part."""
    findings = tuple(
        replace(f, equation=f"{part}: {f.equation}") for part, proof in proofs.items() for f in proof.findings
    )
    first = next(iter(proofs.values()))
    return Proof(findings, first.instance, first.method)


def _examine(part: PartRecord, equation: Equation, index: _Index, runs: _Runs) -> list[Finding]:
    """The finding on one equation, and on each of its cases where it has some of its own."""
    base = part.scheme.base
    if same_statement(base.by_name.get(equation.name), equation):  # one of the step's own equations: proved there
        whole = [f for f in proved(base).findings if f.equation == equation.name]
        found = runs.refuted.get((part.name, equation.name))
        if found is None:
            return whole
        return [refuted(equation, None, found, "", runs.word)]
    found = runs.refuted.get((part.name, equation.name))
    if equation.defines and equation.array in part.network.memory:  # what an update rule starts from is its own
        same = equation.rhs == Number(part.network.memory[equation.array])
        return [finding_on(equation, None, same, found, "")]
    if equation.defines and equation.array in index.definitions:
        return _frozen(part, equation, index, found)
    ran = runs.word if (part.name, equation.name) in runs.compared else ""
    if isinstance(equation.rhs, Cases):
        return _table(part, equation, index, found, ran)
    said = index.holds(part, equation)
    return [under(finding_on(equation, None, said, found, ran), needed(right_side(equation), (), index.scalars))]


def _adds_nothing(part: PartRecord, equation: Equation, value: Expr) -> bool:
    """Whether a chosen value is 0, the last layer's own weight, or what it was before: no compensation is added."""
    network = part.network
    unchanged = Ref(equation.array.unprimed, left_indices(equation))
    last = network.read_out.primed
    return value in (ZERO, unchanged) or (last.axes == equation.array.axes and value == last[left_indices(equation)])


def _unit_of(part: PartRecord, branch: Branch) -> Activation:
    """The activation of the units that a row is about: of those that its conditions name, or what its scheme splits."""
    axes = (c.subject.indices[-1].axis for c in branch.when if isinstance(c.subject, Ref) and c.subject.indices)
    units = part.network.units
    return next((units[axis].activation for axis in axes if axis in units), part.scheme.split_by)


def _misnamed(part: PartRecord, branch: Branch) -> str:
    """What is wrong with the name or the remark of a row; "" where both follow from its conditions and its status."""
    if branch.name != spoken(part.scheme.split_by, branch.when):
        return "the case's name is not what its conditions say"
    if branch.note != remark(_unit_of(part, branch), branch.when, branch.value, branch.status):
        return "the case's remark is not what its status says"
    return ""


def _frozen(part: PartRecord, equation: Equation, index: _Index, found: Counterexample | str | None) -> list[Finding]:
    """What no step changes: the scheme's definition of it, word for word."""
    if found is not None:
        return [refuted(equation, None, found, "", "differs")]
    rows = tuple(equation.rhs) if isinstance(equation.rhs, Cases) else ()
    same = index.is_defined_so(part, equation) and (not isinstance(equation.rhs, Cases) or _exhaustive(equation.rhs))
    same = same and not any(_misnamed(part, row) for row in rows)
    verdict = Verdict.DEFINITION if same else Verdict.UNDECIDED
    note = "" if same else "this is not what the scheme's frozen quantities are"
    whole = Finding(equation.name, None, verdict, "identical" if same else "differs", note=note)
    return [
        whole,
        *(
            Finding(equation.name, row.name, Verdict.CHOSEN if same and row.value is None else verdict, note=row.note)
            for row in rows
        ),
    ]


def backpropagation_of(scheme: SchemeRecord) -> dict[str, Equation]:
    """The equations of one training step, without the compensation that the same derivation ends with."""
    own = (Rule.CHOICE, Rule.IDENTITY, Rule.SPLIT, Rule.INTEGRAL)
    return {e.name: e for e in scheme.base if e.rule not in own and e.name not in ("vc", "r")}


def _table(
    part: PartRecord, equation: Equation, index: _Index, found: Counterexample | str | None, ran: str
) -> list[Finding]:
    """A case table: its rows, and whether they cover everything and exclude each other."""
    assert isinstance(equation.rhs, Cases)
    rows = []
    for branch in equation.rhs:
        misnamed = _misnamed(part, branch)
        if misnamed:
            rows.append(Finding(equation.name, branch.name, Verdict.UNDECIDED, note=misnamed))
            continue
        if _refused_at_init(part, branch):
            note = "cannot occur: init has refused it"
            rows.append(Finding(equation.name, branch.name, Verdict.PROVED, "no such unit", note=note, possible=False))
            continue
        if branch.status is Status.VALUE and branch.value is not None:
            finding = finding_on(equation, branch.name, index.case_holds(part, equation, branch), None, ran)
            rows.append(under(finding, needed(branch.value, branch.when, index.scalars)))
            continue
        solved = index.refused_rightly(part, branch) if index.pieces else _solvable(branch, part.name == "step")
        verdict = Verdict.CHOSEN if branch.status is Status.CHOSEN else Verdict.PROVED
        solved = solved and (branch.value is None or _adds_nothing(part, equation, branch.value))
        rows.append(
            Finding(
                equation.name, branch.name, verdict if solved else Verdict.UNDECIDED, expanded="z3", note=branch.note
            )
        )
    whole = _exhaustive(equation.rhs)
    note = "the cases cover everything and exclude each other (z3)" if whole else "the cases overlap or leave a gap"
    if found is not None:
        return [refuted(equation, None, found, "", "differs"), *rows]
    verdict = Verdict.PROVED
    if any(row.verdict is Verdict.CHOSEN for row in rows):
        verdict = Verdict.CHOSEN
    if equation.rule is Rule.DEFINITION:
        verdict = Verdict.DEFINITION
    if not whole or any(row.verdict is Verdict.UNDECIDED for row in rows):
        verdict = Verdict.UNDECIDED
    return [Finding(equation.name, None, verdict, expanded=ran or "z3", note=note), *rows]


def _refused_at_init(part: PartRecord, branch: Branch) -> bool:
    """Whether a row is about what `init` has no value for: its conditions are those of an undefined row there."""

    def asked(row: Branch) -> set[tuple[str, Fraction, Array]]:
        found = ((c, c.subject.array) for c in row.when if isinstance(c.subject, Ref))
        return {(c.relation, c.bound, a.of if a.role is Role.FROZEN and a.of is not None else a) for c, a in found}

    tables = () if part.name == "init" else (e.rhs for e in part.scheme.init if isinstance(e.rhs, Cases))
    wanted = asked(branch)
    return any(row.status is Status.UNDEFINED and asked(row) == wanted for table in tables for row in table)


def _relation(condition: Condition, names: dict[Expr, Any]) -> Any:
    subject = names.setdefault(condition.subject, z3.Real(repr(condition.subject)))
    bound = z3.RatVal(condition.bound.numerator, condition.bound.denominator)
    return {">": subject > bound, "<=": subject <= bound, "=": subject == bound, "!=": subject != bound}[
        condition.relation
    ]


def _exhaustive(cases: Cases) -> bool:
    """Exactly one row holds, whatever the numbers in the conditions are."""
    names: dict[Expr, Any] = {}
    rows = [z3.And(*(_relation(condition, names) for condition in branch.when)) for branch in cases]
    solver = z3.Solver()
    solver.add(z3.Not(z3.PbEq([(row, 1) for row in rows], 1)))
    return bool(smt.check(solver) == z3.unsat)


def _solvable(branch: Branch, after: bool) -> bool:
    """Where v^c = 0: r 0 = w v is solved by every r where v = 0 (CHOSEN), and by none where w v is not 0.

    `after`: v is the value after the step, and a condition on the one before says nothing.
    """
    names: dict[Expr, Any] = {}
    statements = [_relation(condition, names) for condition in branch.when]
    r, w = z3.Reals("r w")
    arrays = {e.array: s for e, s in names.items() if isinstance(e, Ref)}
    frozen = next((s for array, s in arrays.items() if array.role is Role.FROZEN), None)
    reached = next((s for array, s in arrays.items() if array.role is Role.ACTIVATION and array.after == after), None)
    if frozen is None or reached is None:
        return False
    solver = z3.Solver()
    solver.add(*statements, w != 0)
    solves = r * frozen == w * reached
    solver.add(z3.Not(solves) if branch.status is Status.CHOSEN else solves)
    return bool(smt.check(solver) == z3.unsat)


# ------------------------------------------------------------------------------------------------- index notation


class _Index:
    """What every array means, in symbols, at any width."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme, self.base = scheme, backpropagation_of(scheme)
        self.depth = len(scheme.network.layers)
        self.ones = frozenset(axis for axis, size in scheme.network.sizes.items() if size == 1 and not axis.open)
        constants = scheme.constants
        self.definitions = {e.array: e for e in (*scheme.frozen, *scheme.measures)}
        self.pieces = Pieces(scheme) if scheme.gates else None
        self.scalars = {
            e.array: e.rhs for e in scheme.base if e.defines and isinstance(e.rhs, Expr) and not e.array.axes
        }
        squared = norm(scheme.network.input)
        self.held: dict[Array, Definition] = {}
        if not squared.axes:  # a0 = c0 t0 c0, for one input
            self.held = {SHAPE: ((), mul(squared[()], power(SIZE[()], -2)))}
        self.inverse = [(a, b) for a in constants for b in constants if _are_inverse(constants[a], constants[b])]

    def starts_empty(self, array: Array) -> bool:
        """Whether an array has no entries before the first step, so that `init` says nothing of it."""
        return STORED in array.axes

    def is_defined_so(self, part: PartRecord, equation: Equation) -> bool:
        """Whether an equation is the scheme's definition of its left-hand side; in `init`, at the first weights."""
        definition = self.definitions[equation.array]
        shift = self._before_the_first() if part.name == "init" else {}

        def moved(node: Expr) -> Expr:
            return inline(node, shift)

        if isinstance(definition.rhs, Expr):
            return bool(moved(definition.rhs) == equation.rhs)
        rows = [
            replace(
                row,
                when=tuple(replace(condition, subject=moved(condition.subject)) for condition in row.when),
                value=None if row.value is None else moved(row.value),
            )
            for row in definition.rhs
        ]
        return isinstance(equation.rhs, Cases) and rows == list(equation.rhs)

    def refused_rightly(self, part: PartRecord, branch: Branch) -> bool:
        """Whether a row without a value says so only where a unit has left its piece."""
        return self.pieces is not None and self.pieces.refused_rightly(part, branch)

    def holds(self, part: PartRecord, equation: Equation) -> bool | None:
        """Whether an equation without cases says what its left-hand side means; None where this cannot be said."""
        assert isinstance(equation.rhs, Expr)
        return self._compare(part, equation, equation.rhs, {})

    def case_holds(self, part: PartRecord, equation: Equation, branch: Branch) -> bool | None:
        """The same for one row; where its condition says that the largest entry of x is 0, x is."""
        assert branch.value is not None
        x, zero = self.scheme.network.input, dict[Array, Definition]()
        if self.pieces is not None:  # a row may be about the units of one piece
            zero = {e: (indices_of(e), Number(n)) for e, n in self.pieces.indicators_where(branch.when).items()}
        for condition in branch.when:
            if condition == Condition(SIZE[()], "="):
                zero[x] = indices_of(x), ZERO
        rows: dict[Array, Definition] = {}
        for other in part.equations:  # what has cases of its own is on the row with the same condition
            if other.defines and isinstance(other.rhs, Cases) and other.array in self.definitions:
                value = next((row.value for row in other.rhs if row.when == branch.when), None)
                rows |= {} if value is None else {other.array: (left_indices(other), value)}
        return self._compare(part, equation, inline(branch.value, rows), zero)

    def _compare(self, part: PartRecord, equation: Equation, rhs: Expr, zero: dict[Array, Definition]) -> bool | None:
        own = equation.rule is Rule.DEFINITION and equation.defines and not self._known(equation.array)
        if own and not (part.name == "init" and equation.array.role is Role.FROZEN):
            return None  # the scheme's own abbreviation
        try:
            return all(
                self._same(part, equation, left, right, zero) for left, right in self._claims(part, equation, rhs)
            )
        except UnsupportedExpression:
            return None

    def _known(self, array: Array) -> bool:
        """Whether backpropagation has the array."""
        network = self.scheme.network
        return array.name in self.base or array in network.parameters or array in network.memory

    def _claims(self, part: PartRecord, equation: Equation, rhs: Expr) -> list[tuple[Expr, Expr]]:
        """What has to be equal for the equation to be right."""
        if not equation.defines:  # a statement about arrays that are known already
            return [(self._truth(equation.lhs), rhs)]
        own = {
            e.array: pair(e)
            for e in part.equations
            if e.defines and isinstance(e.rhs, Expr) and not self._known(e.array) and e.rule is not Rule.DEFINITION
        }
        if self._known(equation.array):
            meant = any(m.array == equation.array for m in self.scheme.meanings)
            return [(equation.lhs if meant else self._truth(equation.lhs), inline(rhs, own))]
        if equation.rule is Rule.DEFINITION:  # v^c
            return [(inline(equation.lhs, self._before_the_first()), rhs)]
        own[equation.array] = left_indices(equation), rhs
        changed = equation.array.unprimed if part.name in ("init", "step") else equation.array
        mentioning = [m for m in self.scheme.meanings if changed in (m.array, *m.operands)]
        if not mentioning:
            raise UnsupportedExpression(f"Nothing is known of what {equation.name} stands for.")
        shift: dict[Array, Definition] = {}
        if part.name == "init":
            shift = self._before_the_first()
        elif part.name == "step":
            shift = self._after_the_step(part)
        claims = []
        for meaning in mentioning:
            sides = [inline(meaning.lhs, shift), inline(as_expr(expand(right_side(meaning))), shift)]
            for _ in range(2):  # a new value may rest on another one
                sides = [inline(side, own) for side in sides]
            claims.append((sides[0], sides[1]))
        return claims

    def _truth(self, lhs: Expr) -> Expr:
        """What an array is in backpropagation, one equation down."""
        assert isinstance(lhs, Ref)
        equation = self.base.get(lhs.array.name)
        if equation is None or not isinstance(equation.rhs, Expr):
            return lhs
        return inline(lhs, {lhs.array: pair(equation)})

    def _before_the_first(self) -> dict[Array, Definition]:
        """Nothing has moved: W_c is W, v^c is v, u is 0, and nothing is stored."""
        network = self.scheme.network
        shift: dict[Array, Definition] = {}
        shift |= {frozen_copy(a): (indices_of(a), a[indices_of(a)]) for a in network.parameters}
        for layer in range(1, self.depth):
            v = network.passed_on(layer)
            shift[Array("vc", layer, v.axes)] = indices_of(v), v[indices_of(v)]
            if layer == self.depth - 1:
                shift[frozen_activation(v)] = indices_of(v), v[indices_of(v)]
        s = network.pre_activation(1)
        shift[frozen_pre_activation(s)] = indices_of(s), s[indices_of(s)]
        resting = [after.unprimed for after in self.scheme.moving]
        resting += [a for a in self.scheme.state if self.starts_empty(a)]
        shift |= {a: (indices_of(a), Number(value)) for a, value in network.memory.items()}
        return shift | {a: (indices_of(a), ZERO) for a in resting}

    def _after_the_step(self, part: PartRecord) -> dict[Array, Definition]:
        """Every array that a step changes gets its prime."""
        arrays = {a for m in self.scheme.meanings for a in (m.array, *m.operands)}
        changed = {e.array for e in part.equations} | set(self.scheme.moving)
        moving = [a for a in arrays if a.primed in changed or a.primed.name in self.base]
        return {a: (indices_of(a), a.primed[indices_of(a)]) for a in moving}

    def _same(
        self, part: PartRecord, equation: Equation, left: Expr, right: Expr, zero: dict[Array, Definition]
    ) -> bool:
        """left = right when every array stands for what it means, with quotients by scalars cleared.

        Where a scheme says what s is, there are two ways to put that in: by the weights below it, or as it says.
        """
        readings = [self._stages(part)]
        if self.pieces is not None:
            readings.append(self._on_pieces(part, equation, self.pieces))
        return any(self._equal(stages, left, right, zero) for stages in readings)

    def _equal(
        self, stages: list[dict[Array, Definition]], left: Expr, right: Expr, zero: dict[Array, Definition]
    ) -> bool:
        def opened(node: Expr) -> Expr:
            for _ in range(_ROUNDS):  # a meaning may mention what another one is about
                before = node
                for stage in stages:
                    node = inline(node, stage)
                if node == before:
                    break
            return inline(node, zero)

        difference = as_expr(expand(opened(left) - opened(right)))
        for one, other in self.inverse:
            difference = as_expr(contract(expand(difference), one, other))
        cleared = expand(mul(difference, *_denominators(difference)))
        norm = {e.array: pair(e) for e in self.base.values() if e.name == "a0"}
        squared = expand(inline(inline(inline(as_expr(cleared), self.held), norm), zero))
        result = expand(mul(as_expr(squared), *_denominators(as_expr(squared))), ones=self.ones)
        return not (result and self.pieces.reduced(result) if self.pieces is not None else result)

    def _on_pieces(self, part: PartRecord, equation: Equation, pieces: Pieces) -> list[dict[Array, Definition]]:
        """What is put in where units are held on their pieces: the gates, too, if an equation has a value only then."""
        own, _, moved, meanings = self._stages(part)
        gates = {e.array: pair(e) for e in self.scheme.gates} if pieces.gates_hold(part, equation) else {}
        carried = {
            e.array: pair(e) for e in self.base.values() if e.name in ("ds1", "delta1") and isinstance(e.rhs, Expr)
        }
        frozen = {
            e.array: pair(e)
            for e in self.scheme.frozen[1:]
            if isinstance(e.rhs, Expr) and not isinstance(e.rhs, Extreme)
        }
        return [own, carried, moved, gates, meanings, frozen]

    def _stages(self, part: PartRecord) -> list[dict[Array, Definition]]:
        """What is put in: abbreviations, the first layer, what the step made of things, what the state stands for."""
        divisors = {array for e in part.equations for node in e.expressions for array in _divisors(node)}
        own = [
            e
            for e in part.equations
            if (e.rule is Rule.DEFINITION or e.array.role is Role.MOMENT)  # what a change is made of
            and isinstance(e.rhs, Expr)
            and not isinstance(e.rhs, Apply)
            and not self._known(e.array)
            and e.array not in divisors  # a quotient stays one by an array element
        ]
        first = [self.base[self.scheme.network.pre_activation(1).name]]
        after = [e for e in self.base.values() if e.defines and e.array.after and isinstance(e.rhs, Expr)]
        trained = (Rule.GRADIENT, Rule.TRAINING)
        made = [e for e in self.base.values() if e.rule in trained and not e.array.after and isinstance(e.rhs, Expr)]
        moved = [*after, *made, *self.scheme.moving.values()]
        return [{e.array: pair(e) for e in stage} for stage in (own, first, moved, self.scheme.meanings)]


def _are_inverse(left: Any, right: Any) -> bool:
    """Whether two matrices are inverse to each other, computed."""
    if left is right or len(left) != len(left[0]) or len(left) != len(right) or len(right) != len(right[0]):
        return False
    columns = list(zip(*right, strict=True))
    return all(
        sum((a * b for a, b in zip(row, column, strict=True) if a and b), Fraction(0)) == (n == m)
        for n, row in enumerate(left)
        for m, column in enumerate(columns)
    )


def _divisors(node: Expr) -> set[Array]:
    """The arrays that an expression divides by."""
    found = {a for child in children(node) for a in _divisors(child)}
    if isinstance(node, Pow) and node.exponent < 0:
        found |= set(arrays_in(node.base))
    return found


def _denominators(node: Expr) -> list[Expr]:
    """Scalars below a line: what both sides are multiplied by."""
    result: dict[Ref, int] = {}
    for monomial in expand(node):
        for ref, exponent in monomial.factors:
            if isinstance(ref, Ref) and exponent < 0 and not ref.indices:
                result[ref] = max(result.get(ref, 0), -exponent)
    return [power(ref, exponent) for ref, exponent in result.items()]


# ------------------------------------------------------------------------------------------------------ exact runs


class _Runs:
    """Small networks trained exactly: by the scheme's equations, and by `reference` beside them."""

    def __init__(self, scheme: SchemeRecord) -> None:
        self.scheme = scheme
        self.network = scheme.network.reduced()
        functions = functions_in((*forward(self.network), *scheme.base.equations))  # an update rule has some, too
        self.smooth = any(phi.is_smooth for phi in functions)
        self.kind = "modulo 2^127 - 1, with arbitrary numbers for phi" if self.smooth else "in rational numbers"
        self.word = "identical at random points" if self.smooth else "identical in exact runs"
        self.refuted: dict[tuple[str, str], Counterexample | str] = {}
        self.compared: set[tuple[str, str]] = set()
        seed = digest(
            scheme.network, scheme.order, *(part.given + part.results for part in scheme.parts),
            *((e.lhs, e.rhs, e.rule, e.label) for part in scheme.parts for e in part), *scheme.meanings,
        )  # fmt: skip
        for number in range(_RUNS):
            try:
                _Run(self, number, seed).go()
            except _Stop:
                continue

    def record(self, part: str, name: str, problem: Counterexample | str | None) -> None:
        """What a comparison showed; the first refutation stays, and ends its run."""
        self.compared.add((part, name))
        if problem is not None:
            self.refuted.setdefault((part, name), problem)
            raise _Stop


class _Stop(Exception):
    """A run cannot go on: something is refuted, or undefined on purpose."""


class _Run:
    """One small network: its weights, its inputs and targets, and the numbers it is computed in."""

    def __init__(self, runs: _Runs, seed: int, examined: str) -> None:
        self.runs, self.scheme, self.network = runs, runs.scheme, runs.network
        self.source, self.seed = random.Random(f"{examined} {seed}"), seed  # what is examined says where it is tried
        self.tables: dict[tuple[str, int, Any], Any] = {}
        self.point: dict[str, Fraction] = {}
        network, source = self.network, self.source
        self.weights = {(a, p): self._draw(a, p) for a in network.parameters for p in positions(a, network.sizes)}
        self.start = dict(self.weights)
        memory = network.memory.items()  # an update rule's: what it is before the first step
        self.weights |= {(a, p): self._number(v) for a, v in memory for p in positions(a, network.sizes)}
        self.coefficients: dict[Element, Any] = {
            (a, ()): self._number(value) for a, value in network.rule.values.items()
        }
        inputs = [[_small(source) * (seed != 1) for _ in range(network.inputs)] for _ in range(2)]
        if seed == 0:  # one that is nowhere above the other
            inputs[1] = [value - (n == network.inputs - 1) for n, value in enumerate(inputs[0])]
        if seed == 2:  # XOR's (1, 0) and (0, 1): differences that cancel
            inputs = [[Fraction(n == m) for n in range(network.inputs)] for m in range(2)]
        seen = [inputs[0]] * _STEPS if self.scheme.single_input else [inputs[0], inputs[1], inputs[0]]
        self.stored = list(dict.fromkeys(map(tuple, seen)))
        self.inputs: list[dict[tuple[int, ...], Fraction]] = [{(i,): v for i, v in enumerate(row)} for row in seen]
        if network.batch:  # the same samples, in another order at every other step
            rows = [inputs if self.scheme.single_input or n % 2 == 0 else inputs[::-1] for n in range(_STEPS)]
            every = [positions(network.input, network.sizes) for _ in rows]
            self.inputs = [{at: row[at[0]][at[1]] for at in places} for row, places in zip(rows, every, strict=True)]
        self.sizes = {
            **network.sizes,
            PROBE: network.inputs,
            STORED: len(self.stored),
        }
        self.eta = abs(_small(source)) / 4 or Fraction(1, 4)
        places = list(positions(network.output, network.sizes))
        self.errors = [{at: _small(source) for at in places} for _ in range(_STEPS)]
        z = Array("z", None, network.input.axes)
        self.other: dict[Element, Any] = {(z, (i,)): self._draw(z, (i,)) for i in range(network.inputs)}
        constants = self.scheme.constants_for(network.inputs)
        self.frozen: dict[Element, Any] = {}
        self.fixed = {
            (a, p): self._number(matrix[p[0]][p[1]] if len(p) == 2 else matrix[0][p[0]])
            for a, matrix in constants.items()
            for p in positions(a, self.sizes)
        }

    # ------------------------------------------------------------------------------------------------ numbers

    def _number(self, value: Fraction) -> Any:
        return Residue.of(value) if self.runs.smooth else value

    def _draw(self, array: Array, position: tuple[int, ...]) -> Any:
        value = abs(_small(self.source)) if self.seed % 2 else _small(self.source)  # of positive weights no unit dies
        self.point[_name(array, position)] = value
        return self._number(value)

    def _order(self, value: Any) -> Any:
        """Something to compare by: residues by their representatives, which is as good as any order."""
        return value.value if isinstance(value, Residue) else value

    def _phi(self, name: str, derivative: int, s: Any) -> Any:
        """An arbitrary function in place of a smooth activation, and one in place of its slope."""
        key = (name, derivative, self._order(s))
        if key not in self.tables:
            self.tables[key] = Residue(self.source.randrange(1, PRIME))
        return self.tables[key]

    def _activate(self, source: Element, s: Any, derivative: int) -> Any:
        return self._function(self.network.units[source[0].axes[-1]].activation, s, derivative)

    def _function(self, phi: Activation, s: Any, derivative: int) -> Any:
        if phi.is_smooth:
            own = smooth_functions.slope_by_value(phi) if derivative else None
            if own is not None:
                slope, value = self._number(own[0]), self._phi(phi.name, 0, s)
                return slope * value if own[1] > 0 else slope / value
            known = smooth_functions.slope_among_entries(phi) if derivative else None
            if known is None:
                return self._phi(phi.name, derivative, s)
            factor, name, exponent = known  # softplus' is the function that stands for sigmoid
            slope = self._number(factor)
            slope = slope if name is None else slope * self._phi(name, 0, s)
            return slope if not exponent else slope / s
        if not self.runs.smooth:
            return phi.slope_at(s) if derivative else phi.value_at(s)
        kinks = [self._order(self._number(kink)) for kink in phi.kinks]
        piece = phi.pieces[sum(self._order(s) > kink for kink in kinks)]
        slope, intercept = self._number(piece.slope), self._number(piece.intercept)
        return slope if derivative else slope * s + intercept

    def _choose(self, cases: Cases, where: Element, value: Callable[[Expr], Any]) -> Any:
        if not self.runs.smooth:
            return first_that_holds(cases, where, value)
        for branch in cases:
            if all(self._holds(condition, value(condition.subject)) for condition in branch.when):
                return None if branch.value is None else value(branch.value)
        raise ArithmeticError(f"No case of {where[0].name} holds.")

    def _holds(self, condition: Condition, value: Any) -> bool:
        bound = self._order(self._number(condition.bound))
        return replace(condition, bound=Fraction(bound)).holds(self._order(value))

    @property
    def _field(self) -> Field:
        def apply(node: Any, source: Element, value: Any) -> Any:
            return self._function(node.activation, value, node.derivative)

        extreme = {
            kind: lambda every, take=take: take(every, key=self._order) for kind, take in (("min", min), ("max", max))
        }
        return Field(self._number, lambda a, b: a / b, apply, self._choose, plus, extreme=extreme)

    # --------------------------------------------------------------------------------------------------- the run

    def go(self) -> None:
        """Init, then steps with the output before each, then expand: every value that has a truth is compared."""
        truth = self._truth(0)
        state = self._init(truth)
        for n in range(_STEPS):
            truth = self._truth(n)
            self._evaluate("output", state, truth, n)
            made = self._evaluate("step", state, truth, n)
            for name in self.scheme.routines:
                if name not in ("init", "step", "output", "expand"):
                    known = {**truth, **state, **self.other}
                    self._meanings(name, {**known, **self._evaluate(name, known, truth, n)}, n)
            part = self.scheme.step
            state = {
                (old, p): made.get((new, p), state.get((old, p)))
                for old, new in zip(self.scheme.state, part.results, strict=True)
                for p in positions(old, self.sizes)
            }
            self.weights = {(a, p): truth.get((a.primed, p), value) for (a, p), value in self.weights.items()}
            self._meanings("step", {**made, **self._after(truth), **state}, n)
        self._expand(state)

    def _truth(self, n: int) -> dict[Element, Any]:
        """Backpropagation at step n, which knows nothing of schemes."""
        x = self.network.input

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            if array == x:
                return self._number(self.inputs[n][position])
            if array.role is Role.COEFFICIENT:
                return self.coefficients[array, position]
            return self._number(self.eta) if array == ETA else self.weights[array, position]

        gates = Gates(
            lambda source, s: self._activate(source, s, 0),
            lambda source, s: self._activate(source, s, 1),
            lambda source, s: self._activate(source, s, 0),
            lambda phi, _, s: (self._function(phi, s, 0), self._function(phi, s, 1)),
            lambda values: values.index(max(values, key=self._order)),
        )
        truth = reference(
            self.network, self.scheme.order, leaf, lambda at: self._number(self.errors[n][at]), gates, self._number
        )
        return truth | {(x, at): self._number(value) for at, value in self.inputs[n].items()}

    def _after(self, truth: Mapping[Element, Any]) -> dict[Element, Any]:
        """The truth after a step: primed values under their plain names."""
        moved = {(a.unprimed, p): value for (a, p), value in truth.items() if a.after}
        return {**{e: v for e, v in truth.items() if not e[0].after}, **moved}

    def _init(self, truth: Mapping[Element, Any]) -> dict[Element, Any]:
        self.frozen = self._defined()
        made = self._evaluate("init", {}, truth, 0)
        zero = self._number(Fraction(0))
        state: dict[Element, Any] = {}
        for array in self.scheme.state:
            for p in positions(array, self.sizes):
                if array.axes == (STORED, *self.network.input.axes):
                    state[array, p] = self._number(self.stored[p[0]][p[1]])
                else:
                    state[array, p] = made.get((array, p), truth.get((array, p), zero))
        self._meanings("init", {**truth, **made, **state}, 0)
        return state

    def _defined(self) -> dict[Element, Any]:
        """What no step changes, from the first weights on, by the scheme's definitions."""
        x = self.network.input
        known = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        known |= {(x, at): self._number(value) for at, value in self.inputs[0].items()}
        equations = {e.array: e for e in self.scheme.frozen}
        instance = Instance(equations, self.sizes, _missing, self._field, known)
        result = {}
        for element in ((a, p) for a in equations for p in positions(a, self.sizes)):
            try:
                result[element] = instance.element(*element)
            except ArithmeticError:  # a table that lacks a row is not proved, whatever the runs show
                raise _Stop from None
            if result[element] is None:
                raise _Stop  # `init` refuses such weights
        return result

    def _expand(self, state: Mapping[Element, Any]) -> None:
        frozen = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        x = self.network.input
        given: dict[Element, Any] = {(x, at): self._number(value) for at, value in self.inputs[0].items()}
        self._evaluate("expand", {**frozen, **state, **given}, self.weights, _STEPS)

    def _evaluate(
        self, name: str, given: Mapping[Element, Any], truth: Mapping[Element, Any], n: int
    ) -> dict[Element, Any]:
        """A part's equations at the truth of their operands, each compared where its left-hand side has a truth."""
        part = next(part for part in self.scheme.parts if part.name == name)
        known: dict[Element, Any] = {**self.fixed, **self.coefficients, **given}
        made: dict[Element, Any] = {}

        def leaf(array: Array, position: tuple[int, ...]) -> Any:
            if array in part.given or not part.given:
                return truth[array, position]
            raise KeyError(f"{name} uses {array.name}, which it is not given")

        for equation in part.equations:
            instance = Instance({}, self.sizes, leaf, self._field, known)
            for position in positions(equation.array, self.sizes):
                element = (equation.array, position)
                try:
                    value = instance.right_side(equation, position)
                except (KeyError, ArithmeticError) as problem:  # it has no value, or a table has no row for it
                    self.runs.record(name, equation.name, str(problem))
                    raise _Stop from None
                if value is None:
                    raise _Stop  # undefined on purpose
                if not equation.defines:
                    self._compare(name, equation, position, value, known.get(element, truth.get(element)), n)
                    continue
                made[element] = value
                if name == "init" and element in self.frozen:
                    self._compare(name, equation, position, value, self.frozen[element], n)
                if element in truth:
                    self._compare(name, equation, position, value, truth[element], n)
                known[element] = truth.get(element, value)
        return made

    def _compare(self, part: str, equation: Equation, position: tuple[int, ...], value: Any, true: Any, n: int) -> None:
        if value == true:
            self.runs.record(part, equation.name, None)
            return
        what = f"{_name(equation.array, position)} in {part}, step {n + 1}"
        self.runs.record(part, equation.name, self._problem(what, value, true))

    def _problem(self, what: str, value: Any, true: Any) -> Counterexample | str:
        if self.runs.smooth:
            return f"{what} differs from backpropagation for some function in place of phi"
        point = dict(self.point) | {"eta": self.eta}
        for m, values in enumerate(self.inputs, 1):
            point |= {f"x{_place(at)} at step {m}": v for at, v in values.items()}
        for m, values in enumerate(self.errors, 1):
            point |= {f"(y - y_g){_place(at)} at step {m}": v for at, v in values.items()}
        return Counterexample(point, what, value, true)

    def _meanings(self, part: str, values: Mapping[Element, Any], n: int) -> None:
        """What the state stands for, at the numbers; blamed on the part's own equations."""
        shared = part in ("init", "step")  # there the state is named as it is after them
        made = next(p for p in self.scheme.parts if p.name == part).equations
        equations = {e.array.unprimed if shared else e.array: e for e in made if e.defines}
        frozen = {(frozen_copy(a), p): value for (a, p), value in self.start.items()}
        known = {**self.fixed, **self.coefficients, **frozen, **self.frozen, **values}
        for meaning in self.scheme.meanings:
            arrays = (meaning.array, *meaning.operands)
            blamed = [equations[a] for a in arrays if a in equations and not self._is_known(equations[a].array)]
            if not blamed or not all(self._has_values(a, known) for a in arrays):
                continue
            instance = Instance({}, self.sizes, _missing, self._field, dict(known))
            for position in positions(meaning.array, self.sizes):
                try:
                    value = instance.right_side(meaning, position)
                except ZeroDivisionError:  # v^c = 0: the meaning is about the others
                    continue
                own = known[meaning.array, position]
                for equation in blamed:
                    what = f"{_name(meaning.array, position)} after {part}, step {n + 1}"
                    self.runs.record(part, equation.name, None if value == own else self._problem(what, own, value))

    def _has_values(self, array: Array, known: Mapping[Element, Any]) -> bool:
        """Whether an array is known here: u never is, and what `output` defines is not after `init`."""
        return all((array, position) in known for position in positions(array, self.sizes))

    def _is_known(self, array: Array) -> bool:
        return array.name in backpropagation_of(self.scheme) or array in self.network.parameters


def _missing(array: Array, position: tuple[int, ...]) -> Any:
    raise KeyError(f"{array.name}{list(position)} has no value")


def _small(source: random.Random) -> Fraction:
    return Fraction(source.randint(-4, 4), source.choice((1, 1, 2)))


def _name(array: Array, position: tuple[int, ...]) -> str:
    return array.name + _place(position)


def _place(position: tuple[int, ...]) -> str:
    return f"[{', '.join(str(p + 1) for p in position)}]" if position else ""
