"""Proof of a scheme, by induction over the steps: what its state stands for holds at the start, and again after a step.

Two deciders, as for one step. In index notation, at any width: what the state stands for (`meanings`) is put in, and
a right-hand side is held against what its left-hand side means in backpropagation; the equations of one step, which
are proved on their own, say what that is. And exact runs: the scheme's four functions are evaluated in rational numbers
over several steps of small networks, beside `reference`, which knows nothing of schemes. Smooth activations have no
rational values; there the runs are residues modulo 2^127 - 1, with arbitrary numbers for phi and phi'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import z3

from fcsym.language import smt
from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Cases, Condition, Equation, Rule, Status, Verdict
from fcsym.language.expression import ZERO, Array, Expr, Number, Ref, Role
from fcsym.language.findings import Counterexample, Finding, Proof, under
from fcsym.language.names_of_cases import remark, spoken
from fcsym.networks.symbols import pre_activation
from fcsym.proof import proved
from fcsym.proof.answers import finding_on, left_indices, refuted, right_side, same_statement
from fcsym.proof.induction import prove_of_layers
from fcsym.proof.quotients import needed
from fcsym.proof.scheme_in_symbols import InSymbols, backpropagation_of
from fcsym.proof.scheme_runs import RUNS, STEPS, ExactRuns
from fcsym.proof.structure import flaws_of_scheme

if TYPE_CHECKING:
    from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["merged", "prove_scheme"]


def prove_scheme(scheme: SchemeRecord, only: str | None = None) -> dict[str, Proof]:
    """Scheme => a finding for every equation of its four derivations, or of `only` one, by part."""
    wrong = {part.name: dict(_flaws(part)) for part in scheme.parts}
    if any(wrong.values()):
        return _incomplete(scheme, wrong, only)
    if scheme.network.built is not None:
        return prove_of_layers(scheme, only)
    index, runs = InSymbols(scheme), ExactRuns(scheme)
    method = f"run exactly over {STEPS} steps of {RUNS} small networks {runs.kind}"
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


def _examine(part: PartRecord, equation: Equation, index: InSymbols, runs: ExactRuns) -> list[Finding]:
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


def _frozen(
    part: PartRecord, equation: Equation, index: InSymbols, found: Counterexample | str | None
) -> list[Finding]:
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


def _table(
    part: PartRecord, equation: Equation, index: InSymbols, found: Counterexample | str | None, ran: str
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
