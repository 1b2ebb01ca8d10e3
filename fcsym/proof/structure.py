"""Whether a derivation is complete: every equation that it must have, once, with its rule, after those it uses.

Without this, a derivation that leaves out what it cannot prove would look proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fcsym.deriving.contribution import no_common_p
from fcsym.deriving.forward import forward
from fcsym.deriving.kinds import is_dense
from fcsym.deriving.update import changes_with_names
from fcsym.language.algebra import free_in, indices_of
from fcsym.language.equation import Cases, Equation, Rule, Status
from fcsym.language.expression import ZERO, Apply, Array, Ref, Role
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ALPHA,
    ETA,
    adjoint_of,
    effective,
    frozen_activation,
    gate_of,
    gradient_of,
    gram_of,
    increment_of,
    integral_of,
    inverse_gram_of,
    kappa,
    lacking,
    multiplier,
    norm,
    p_of,
    rho,
    weight,
)
from fcsym.proof.general import moving

__all__ = ["expected", "flaws", "flaws_of_derivatives", "flaws_of_scheme"]

COMPENSATION = "compensation"
"""The one statement about symbols that are known already; it has a label in place of a symbol."""


def expected(network: Network) -> Iterator[tuple[str, Array, Rule]]:
    """The names, arrays and rules that a derivation has, whatever its order is."""
    if network.built is not None:
        yield from _expected_of_layers(network)
        return
    depth = len(network.layers)
    forward_arrays = [equation.array for equation in forward(network)]
    for array in forward_arrays:
        yield array.name, array, Rule.DEFINITION
    needed = gates_needed(network)
    if not network.rule.is_plain:
        yield from ((e.name, e.array, e.rule) for e in network.rule.shared())
    for layer in range(depth, 0, -1):
        s = network.pre_activation(layer)
        if s in needed:
            yield gate_of(s).name, gate_of(s), Rule.DEFINITION
        yield adjoint_of(s).name, adjoint_of(s), Rule.ADJOINT
        for theta in network.feeding(layer):
            if theta in network.trained:
                yield from _training(network, theta)
    for layer in range(1, depth + 1):
        s = network.pre_activation(layer)
        squared = norm(network.passed_on(layer - 1))
        if weight(layer) in network.trained and network.rule.is_plain:
            yield squared.name, squared, Rule.DEFINITION
        yield increment_of(s).name, increment_of(s), Rule.INCREMENT
        yield s.primed.name, s.primed, Rule.AFTER
        v = network.passed_on(layer)
        if v != s:
            phi = network.layers[layer - 1].activation
            by_cases = not (phi.is_identity or phi.is_smooth)
            yield increment_of(v).name, increment_of(v), Rule.CASES if by_cases else Rule.INCREMENT
            yield v.primed.name, v.primed, Rule.AFTER
    if depth == 1 or not network.has_common_p:  # so many samples have none
        return
    matrix = network.read_out
    yield from _compensating(network)
    if not network.rule.is_plain or network.batch:
        return
    if not network.layers[-2].activation.is_smooth and weight(depth - 1) in network.trained:
        parts = [rho(matrix)] if network.widths[-1] > 1 else []
        shared = any(not theta.axes for theta in network.feeding(depth - 1) if theta in network.trained)
        parts += [kappa(network.hidden[-1].s), ALPHA] if depth > 2 or shared else []
        yield from ((array.name, array, Rule.SPLIT) for array in parts)
        yield integral_of(matrix).name, integral_of(matrix), Rule.INTEGRAL


def _expected_of_layers(network: Network) -> Iterator[tuple[str, Array, Rule]]:
    """The same for a network of layers, by its forward equations: what a step changes has an increment."""
    passed = {equation.array: equation for equation in forward(network)}
    for array in passed:
        yield array.name, array, Rule.DEFINITION
    yield from ((e.name, e.array, e.rule) for e in network.rule.shared())
    named = changes_with_names(tuple(passed.values()), network.trained)
    for theta in network.trained:
        if network.rule.is_plain and theta not in named:
            yield theta.primed.name, theta.primed, Rule.UPDATE
        else:
            yield gradient_of(theta).name, gradient_of(theta), Rule.GRADIENT
            made = network.rule.equations(theta, indices_of(theta), named=True)
            yield from ((e.name, e.array, e.rule) for e in made)
    last = list(passed).index(network.logits)
    hidden = list(passed)[: last + 1]
    after = [array for array in list(passed)[last + 1 :] if array.role is Role.ACTIVATION]
    moves = moving(passed, network.trained)
    for array in (*network.parameters, network.input):  # a function may be applied to one
        yield gate_of(array).name, gate_of(array), Rule.DEFINITION
    for array in (*hidden, *after):
        gate, adjoint = gate_of(array), adjoint_of(array)
        if gate not in passed:
            yield gate.name, gate, Rule.DEFINITION
        yield adjoint.name, adjoint, Rule.ADJOINT
        if array not in moves:
            continue
        rhs = passed[array].rhs
        cases = isinstance(rhs, Apply) and not (
            rhs.derivative or rhs.activation.is_smooth or rhs.activation.is_identity
        )
        yield increment_of(array).name, increment_of(array), Rule.CASES if cases else Rule.INCREMENT
        yield array.primed.name, array.primed, Rule.AFTER
    for array in hidden:
        equation = passed[array]
        if not network.rule.is_plain or not is_dense(equation):
            continue
        own = [theta for theta in equation.operands if theta in network.trained and theta.axes]
        if any(len(theta.axes) == 2 for theta in own) and not any(theta in named for theta in own):
            squared = norm(next(a for a in equation.operands if a.role is not Role.PARAMETER))
            yield squared.name, squared, Rule.DEFINITION
    yield from _compensating(network)


def _compensating(network: Network) -> Iterator[tuple[str, Array, Rule]]:
    """What follows on the increments: v^c, p, r and the statement that p was made for."""
    if no_common_p(network):
        return
    matrix, vc = network.read_out, frozen_activation(network.hidden[-1].v)
    solved = (lacking(network.logits), gram_of(vc), inverse_gram_of(vc), multiplier(network.logits))
    for array, rule in (
        (vc, Rule.DEFINITION),
        *((array, Rule.DEFINITION) for array in solved if network.places),
        (p_of(matrix), Rule.CHOICE),
        (effective(matrix), Rule.DEFINITION),
    ):
        yield array.name, array, rule
    yield COMPENSATION, network.logits.primed, Rule.IDENTITY


def _training(network: Network, theta: Array) -> Iterator[tuple[str, Array, Rule]]:
    """What the update rule makes of a parameter's gradient, down to the parameter after the step."""
    if not network.rule.is_plain:
        yield gradient_of(theta).name, gradient_of(theta), Rule.GRADIENT
    yield from ((e.name, e.array, e.rule) for e in network.rule.equations(theta, indices_of(theta)))


def gates_needed(network: Network) -> frozenset[Array]:
    """The pre-activations whose gates a derivation has: of every layer but those whose values the loss goes around.

    A loss on the logits does not pass the output activation; its adjoint has no gate.
    """
    passed = forward(network)
    read = {array for e in passed if e.array.role in (Role.LOSS, Role.TERM, Role.PARTITION) for array in e.operands}
    around = set() if network.output in read else {network.logits}
    return frozenset(
        layer.s for layer in network.activated if not layer.activation.is_identity and layer.s not in around
    )


def flaws(network: Network, equations: Sequence[Equation]) -> list[tuple[str, str]]:
    """(name, what is wrong) for everything that keeps the list from being a derivation."""
    wanted = {name: (array, rule) for name, array, rule in expected(network)}
    names = {equation.name for equation in equations}
    may_be_missing = (Role.GATE, Role.ADJOINT) if network.built is not None else ()  # what an adjoint is made of
    found = [
        (name, "is missing") for name, (a, _) in wanted.items() if name not in names and a.role not in may_be_missing
    ]
    outside = {*network.parameters, network.input, network.target, *network.memory, *network.rule.values}
    known = {array for name, (array, _) in wanted.items() if name != COMPENSATION} | outside | {ETA}
    own = {array: array for array in known}
    seen: set[str] = set()
    for equation in equations:
        name = equation.name
        array, rule = wanted.get(name, (None, None))
        if array is None:
            found.append((name, "is no equation of this derivation"))
        elif name in seen:
            found.append((name, "stands twice"))
        elif equation.rule is not rule:
            found.append((name, f"claims the rule {equation.rule.value!r} and needs {rule.value if rule else ''!r}"))
        elif not isinstance(equation.lhs, Ref) or equation.array != array or equation.defines is (name == COMPENSATION):
            found.append((name, "does not say what it is called"))
        strange = next((a for a in equation.operands if a not in known), None)
        if strange is not None:
            found.append((name, f"mentions {strange.name}, which nothing defines"))
        early = next(
            (n for n in (*(a.name for a in equation.operands), *equation.uses) if n in wanted and n not in seen), None
        )
        if early is not None and array is not None:
            found.append((name, f"uses {early} before it stands"))
        unknown = next((n for n in equation.uses if n not in wanted), None)
        if unknown is not None:
            found.append((name, f"uses {unknown}, which is no equation of this derivation"))
        if rule in (Rule.CHOICE, Rule.INTEGRAL) and not (isinstance(equation.rhs, Cases) or network.places):
            found.append((name, "has no cases"))
        found += [(name, said) for said in (*_posing(equation, own), *_loose(equation), *_rows(equation))]
        seen.add(name)
    return found


def flaws_of_scheme(
    network: Network, given: Sequence[Array], equations: Sequence[Equation], results: Sequence[Array],
    constants: Iterable[Array], ends_there: bool,
) -> list[tuple[str, str]]:  # fmt: skip
    """The same for one function of a scheme: each array has one definition, after what it uses, and is needed.

    `ends_there`: every equation has to lead to a result; statements are there for themselves.
    """
    found: list[tuple[str, str]] = []
    known, seen = {*given, *constants, *network.rule.values}, set[str]()
    own = {array.unprimed: array.unprimed for _, array, _ in expected(network)}
    own |= {array: array for array in (*network.parameters, *network.memory, network.input, network.target, ETA)}
    names = {equation.name for equation in equations}
    for equation in equations:
        name = equation.name
        strange = next((a.name for a in equation.operands if a not in known), None)
        if strange is not None:
            found.append((name, f"uses {strange} before it stands" if strange in names else f"is not given {strange}"))
        if name in seen:
            found.append((name, "stands twice"))
        elif equation.defines and equation.array in given:
            found.append((name, "is given, and defined again"))
        early = next((used for used in equation.uses if used not in seen), None)
        if early is not None:
            found.append((name, f"uses {early} before it stands"))
        found += [
            (name, said)
            for said in (*_posing(equation, own), *_loose(equation), *_rows(equation, chosen_is_zero=False))
        ]
        seen.add(name)
        if equation.defines:
            known.add(equation.array)
    if ends_there:
        needed = set(results)
        for equation in reversed(equations):
            if not equation.defines or equation.array not in needed:
                found.append((equation.name, "is needed by no result"))
            needed |= set(equation.operands)
    return found


def flaws_of_derivatives(
    network: Network, directions: Sequence[Array], equations: Sequence[Equation], results: Sequence[Array],
    rules: Mapping[Array, Rule],
) -> list[tuple[str, str]]:  # fmt: skip
    """The same for a list of derivatives by name, of which `rules` says what each equation has to claim."""
    units = {a for e in equations for a in e.operands if a.role is Role.UNIT}
    given = (*network.parameters, network.input, network.target, *directions)
    found = flaws_of_scheme(network, given, equations, results, units, True)
    for e in equations:
        rule = rules.get(e.array)
        if rule is None:
            found.append((e.name, "is no equation of this derivation"))
        elif rule is not e.rule:
            found.append((e.name, f"claims the rule {e.rule.value!r} and needs {rule.value!r}"))
    here = {e.array for e in equations}
    return found + [(a.name, "is missing") for a in results if a not in here]


def _posing(equation: Equation, own: Mapping[Array, Array]) -> Iterator[str]:
    """Arrays with a role, or an owner, that is not theirs."""
    for array in (*([equation.array] if equation.defines else []), *equation.operands):
        meant = own.get(array.unprimed, own.get(array))
        if meant is not None and (array.role, array.of) != (meant.role, meant.of):
            yield f"has {array.name} as {array.role.value}, which is {meant.role.value}"
            return


def _loose(equation: Equation) -> Iterator[str]:
    """Indices of the right-hand side that no sum and no left-hand side binds."""
    bound = set(equation.lhs.indices) if isinstance(equation.lhs, Ref) else set()
    loose = next((index for node in equation.expressions for index in sorted(free_in(node) - bound)), None)
    if loose is not None:
        yield f"has an index {loose.letter} that nothing binds"


def _rows(equation: Equation, chosen_is_zero: bool = True) -> Iterator[str]:
    """Rows whose value is not what their status says, and tables that have none."""
    if isinstance(equation.rhs, Cases) and not equation.rhs.branches:
        yield "has no cases"
    for branch in equation.rhs if isinstance(equation.rhs, Cases) else ():
        if branch.status is Status.CHOSEN and branch.value != ZERO and chosen_is_zero:
            yield f"says in {branch.name!r} that 0 is chosen and has another value"
        if (branch.status is Status.UNDEFINED) != (branch.value is None):
            yield f"has a value in {branch.name!r} exactly if it should have none"
        if branch.status is not Status.VALUE and equation.rule is Rule.CASES:
            yield f"has no value in {branch.name!r}"
