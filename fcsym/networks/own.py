"""Networks of one's own: forward equations as a reader writes them, checked and given roles.

i, j, k = indices("i j k")
x, W, U = input_("x", j), parameter("W", i, j), parameter("U", k, i)
s, v, y = hidden("s", i), hidden("v", i), hidden("y", k)
equations = [(s[i], total(j, W[i, j] * x[j])), (v[i], s[i] ** 2), (y[k], total(i, U[k, i] * v[i]))]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter

from fcsym.errors import NetworkError, listed, shown
from fcsym.language.activation import activation
from fcsym.language.algebra import free_in, replaced
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import (
    Add,
    Apply,
    Array,
    Axis,
    Expr,
    Index,
    Mul,
    Ref,
    Role,
    Total,
    arrays_in,
    indices_in,
    number,
)
from fcsym.language.spelling import check_name
from fcsym.networks.graph import Built
from fcsym.networks.layers.base import whole
from fcsym.networks.symbols import (
    ERROR,
    ETA,
    adjoint_of,
    effective,
    free_array,
    frozen_activation,
    gate_of,
    gradient_of,
    increment_of,
    integral_of,
    norm,
    p_of,
)

__all__ = ["apply", "built_of", "hidden", "indices", "input_", "parameter"]


def indices(letters: str) -> tuple[Index, ...]:
    """ "i j k" => an index for each letter, over an axis of its own; for another over the same, Index(i.axis, "m").

    Raises NetworkError for what is no name, and for one that is given twice.
    """
    names = str(letters).split()
    if len(set(names)) != len(names):
        raise NetworkError(f"The letters {letters!r} name an index twice: each index needs its own.")
    return tuple(Index(Axis(check_name(name, "indices").upper()), name) for name in names)


def _array(name: str, over: tuple[Index, ...], role: Role) -> Array:
    if not all(isinstance(index, Index) for index in over):
        raise NetworkError(f"The axes of {shown(name)} are no indices: make some with indices('i j').")
    return free_array(check_name(name, "an array"), tuple(index.axis for index in over), role)


def input_(name: str, *over: Index) -> Array:
    """The input, with the axes of these indices."""
    return _array(name, over, Role.INPUT)


def parameter(name: str, *over: Index) -> Array:
    """An array that training changes; a scalar without indices."""
    return _array(name, over, Role.PARAMETER)


def hidden(name: str, *over: Index) -> Array:
    """What an equation defines; a scalar, s[()], without indices."""
    return _array(name, over, Role.OTHER)


def apply(function: object, argument: Expr) -> Expr:
    """A function of an element, such as tanh(s[i]): one of the language by its name, or an activation as it is."""
    if not isinstance(argument, Ref):
        raise NetworkError(f"A function is applied to {shown(argument)}: give its argument a name of its own first.")
    phi = activation(function)
    return argument if phi.is_identity else Apply(phi, argument)


def built_of(written: Iterable[tuple[Expr, object]], sizes: Mapping[object, int], taken: tuple[str, ...] = ()) -> Built:
    """Pairs (element, expression) => the network: the last one is the read-out.

    `taken`: names that are given already, such as y to what the output activation gives.

    NetworkError for a shape that does not fit, a cycle, an array that nothing defines, an index that nothing binds, and
    a read-out that is not linear.
    """
    pairs = [_pair(entry, n) for n, entry in enumerate(written, 1)]
    if not pairs:
        raise NetworkError("The network has no equations: give at least its read-out.")
    by_array: dict[Array, tuple[Ref, Expr]] = {}
    for lhs, rhs in pairs:
        if lhs.array in by_array:
            raise NetworkError(f"{lhs.array.name} is defined twice: give each array one equation.")
        if lhs.array.role in (Role.PARAMETER, Role.INPUT):
            raise NetworkError(
                f"{lhs.array.name} is a {lhs.array.role.value} and has an equation: define another array."
            )
        by_array[lhs.array] = (lhs, rhs)
        _bound(lhs, rhs)
    _known(by_array)
    order = _in_order(by_array, pairs[-1][0].array)
    roles = {array: _role(by_array[array][1]) for array in order}

    def named(ref: Ref) -> Expr:
        return replace(ref.array, role=roles[ref.array])[ref.indices] if ref.array in roles else ref

    equations = []
    for array in order:
        lhs, rhs = by_array[array]
        uses = tuple(a.name for a in arrays_in(rhs) if a in roles)
        because = f"`{array.name}` is defined so."
        equations.append(Equation(named(lhs), replaced(rhs, named), Rule.DEFINITION, because, uses))
    given = dict.fromkeys(a for _, rhs in pairs for a in arrays_in(rhs) if a not in by_array)
    inputs = [a for a in given if a.role is Role.INPUT]
    if len(inputs) != 1:
        raise NetworkError(f"The network has {len(inputs)} inputs, and needs one: join what it reads in one array.")
    parameters = tuple(a for a in given if a.role is Role.PARAMETER)
    lengths = _lengths(pairs, sizes)
    _apart([*inputs, *parameters, *(e.array for e in equations)], parameters, taken)
    logits = replace(equations[-1].array, role=Role.PRE_ACTIVATION)
    last = replace(equations[-1], lhs=logits[_indices(equations[-1].lhs)])
    matrix, features, shift = _read_out(last)
    return Built((*equations[:-1], last), parameters, (), lengths, inputs[0], logits, features, matrix, shift)


def _pair(entry: object, n: int) -> tuple[Ref, Expr]:
    if not isinstance(entry, tuple) or len(entry) != 2 or not isinstance(entry[0], Ref):
        raise NetworkError(f"Equation {n} is {shown(entry)!r}: write a pair such as (s[i], total(j, W[i, j] * x[j])).")
    lhs, rhs = entry
    if not isinstance(rhs, Expr | int | Fraction) or isinstance(rhs, bool):
        raise NetworkError(f"Equation {n}, of {lhs.array.name}, is no expression: {shown(rhs)!r}.")
    return lhs, number(rhs)


def _bound(lhs: Ref, rhs: Expr) -> None:
    loose = sorted(free_in(rhs) - set(lhs.indices))
    if loose:
        raise NetworkError(
            f"The equation of {lhs.array.name} has the index {loose[0].letter}, which nothing binds: sum over it, or "
            "put it on the left."
        )


def _known(by_array: Mapping[Array, tuple[Ref, Expr]]) -> None:
    for array, (_, rhs) in by_array.items():
        for read in arrays_in(rhs):
            if read not in by_array and read.role not in (Role.PARAMETER, Role.INPUT):
                raise NetworkError(f"{array.name} reads {read.name}, which nothing defines: give it an equation.")


def _in_order(by_array: Mapping[Array, tuple[Ref, Expr]], last: Array) -> list[Array]:
    """The arrays, each after what it reads, the read-out last; those that nothing reads are refused."""
    graph = {array: [a for a in arrays_in(rhs) if a in by_array] for array, (_, rhs) in by_array.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as problem:
        circle = " -> ".join(array.name for array in problem.args[1])
        raise NetworkError(f"The equations read each other in a circle, {circle}: a network has none.") from None
    order: list[Array] = []
    waiting = dict.fromkeys(graph)
    while waiting:  # as they are written, wherever that is possible
        array = next(a for a in waiting if not set(graph[a]) & waiting.keys())
        order.append(array)
        del waiting[array]
    read = {a for found in graph.values() for a in found}
    unread = next((array for array in order if array not in read and array != last), None)
    if unread is not None:
        raise NetworkError(f"Nothing reads {unread.name}: only the read-out, the last equation, is read by none.")
    if last in read:
        raise NetworkError(f"The read-out, {last.name}, is read by another equation: write it last, and read by none.")
    return order


def _role(rhs: Expr) -> Role:
    if isinstance(rhs, Apply):
        return Role.ACTIVATION
    return Role.PRE_ACTIVATION if any(a.role is Role.PARAMETER for a in arrays_in(rhs)) else Role.ACTIVATION


def _lengths(pairs: Sequence[tuple[Ref, Expr]], sizes: Mapping[object, int]) -> dict[Axis, int]:
    """{"i": 3, ...} => the length of each axis; NetworkError for one that is missing, and for one that is no axis."""
    axes = dict.fromkeys(index.axis for lhs, rhs in pairs for index in (*lhs.indices, *indices_in(rhs)))
    by_name = {axis.name: axis for axis in axes}
    found: dict[Axis, int] = {}
    for key, size in sizes.items():
        name = (key.axis.name if isinstance(key, Index) else str(key)).upper()
        if name not in by_name:
            raise NetworkError(f"sizes has {shown(key)!r}, which no index is called: the axes are {listed(by_name)}.")
        found[by_name[name]] = whole(size, f"size of {name}")
    missing = next((axis.name for axis in axes if axis not in found), None)
    if missing is not None:
        raise NetworkError(f"sizes has no {missing.lower()!r}: say how long that axis is.")
    return found


def _apart(arrays: Sequence[Array], parameters: Sequence[Array], given: tuple[str, ...]) -> None:
    """NetworkError where a name would mean two things, once gates, adjoints and increments have theirs."""
    makers: tuple[Callable[[Array], Array], ...] = (adjoint_of, gate_of, increment_of, norm)
    taken = {ERROR.name, ETA.name, "N", "yg", "alpha", "key", "vz", *given}
    for make in (p_of, effective, integral_of):
        taken.add(make(arrays[0]).name)
    taken.add(frozen_activation(arrays[0]).name)
    seen: dict[str, str] = dict.fromkeys(taken, "a quantity of every derivation")
    for array in arrays:
        own = [array, array.primed]
        own += [gradient_of(array), increment_of(array)] if array in parameters else [make(array) for make in makers]
        for made in own:
            if made.name in seen and seen[made.name] != array.name:
                raise NetworkError(
                    f"The name {array.name!r} is taken: {made.name} would mean {seen[made.name]} as well; "
                    "choose another."
                )
            seen[made.name] = array.name


def _read_out(equation: Equation) -> tuple[Array, Array, Array | None]:
    """The matrix, what it reads, and the bias, of y_k = sum_j W_kj v_j + b_k; NetworkError for another form."""
    assert isinstance(equation.rhs, Expr)
    own = _indices(equation.lhs)[-1:]
    terms = equation.rhs.terms if isinstance(equation.rhs, Add) else (equation.rhs,)
    shifts = [t for t in terms if isinstance(t, Ref) and t.array.role is Role.PARAMETER and t.indices == own]
    products = [t for t in terms if t not in shifts]
    for matrix, read in _products(products):
        if matrix.array.role is Role.PARAMETER and read.array.role is not Role.PARAMETER and len(shifts) < 2:
            kept = _indices(equation.lhs)[:-1]
            if matrix.indices[:1] == own and read.indices == (*kept, *matrix.indices[1:]) and own:
                return matrix.array, read.array, shifts[0].array if shifts else None
    raise NetworkError(
        f"The read-out, {equation.name}, is not linear: the last equation is (y[k], total(j, W[k, j] * v[j]) + b[k]), "
        "and what follows on it is the output activation, output=..., and the loss."
    )


def _products(terms: Sequence[Expr]) -> Iterator[tuple[Ref, Ref]]:
    match terms:
        case [Total(over, Mul((Ref() as one, Ref() as other)))]:
            for matrix, read in ((one, other), (other, one)):
                if set(matrix.indices[1:]) == set(over):
                    yield matrix, read


def _indices(lhs: Expr) -> tuple[Index, ...]:
    assert isinstance(lhs, Ref)
    return lhs.indices
