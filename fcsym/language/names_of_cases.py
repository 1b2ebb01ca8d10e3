"""Rows of case tables: what a row is called and what is remarked on it follow from its conditions and its status.

    s1[i] > 0, s1_new[i] <= 0                 "active -> dead"
    s1[i] > 0, vc[i] = 0, dv1[i] != 0         "active at v^c = 0, dv' != 0", where no p solves it

A derivation makes its rows here, and a proof asks here again: a row with another name or another remark is not proved.
"""

from __future__ import annotations

from collections.abc import Sequence

from fcsym.language.activation import Activation
from fcsym.language.equation import Branch, Condition, Status
from fcsym.language.expression import ZERO, Expr, Ref

__all__ = ["branch_name", "named_row", "of_unit", "piece_conditions", "remark", "spoken", "unit_row"]

_SYMBOLS = {"vc": "v^c", "dv": "dv'", "vzc": "v^c@", "vz": "v@"}

_RELATIONS = {
    ("N", ("!=",)): "some",
    ("N", ("=",)): "none",
    ("xm", (">",)): "the greatest",
    ("xm", ("<=",)): "the least",
    ("s", (">",)): "above the kink",
    ("s", ("<=", "!=")): "below the kink",
    ("s", ("<=", "=")): "on the kink",
    ("s", ("<=",)): "not above the kink",
}
"""How many units a piece has, whether a stored input is the one at hand, and where a unit is: said in words."""

_MARGINS = {"lo": "least", "hi": "greatest"}


# ------------------------------------------------------------------------------------------- a unit and its pieces


def piece_conditions(phi: Activation, number: int, subject: Expr) -> tuple[Condition, ...]:
    """The subject lies on that piece: above the kink below it, up to and including the one above."""
    lower = phi.pieces[number - 1].upper if number else None
    upper = phi.pieces[number].upper
    result = []
    if lower is not None:
        result.append(Condition(subject, ">", lower))
    if upper is not None:
        result.append(Condition(subject, "<=", upper))
    return tuple(result)


def branch_name(phi: Activation, before: int, after: int) -> str:
    """ "active -> dead"."""
    return f"{phi.pieces[before].name} -> {phi.pieces[after].name}"


def of_unit(phi: Activation, s: Ref, when: Sequence[Condition]) -> str:
    """What a row about one unit is called: its pieces before and after the step, then what else is asked of it."""
    if phi.is_identity:  # of a linear unit there is one piece, which goes without saying
        return ", ".join(map(_relation, when))
    before, rest = _piece(phi, s, tuple(when))
    after, rest = _piece(phi, Ref(s.array.primed, s.indices), rest)
    at_zero = next((c for c in rest if _symbol(c) == "v^c" and c.relation == "=" and not c.bound), None)
    words: list[str] = []
    if before is not None and at_zero is not None and (after is None or len(phi.pieces) == 1):
        words, rest = [f"{phi.pieces[before].name} at v^c = 0"], tuple(c for c in rest if c != at_zero)
    elif before is not None and after is not None:  # that v^c is not 0 goes without saying: it stands below the line
        words = [branch_name(phi, before, after)]
        rest = tuple(c for c in rest if not (_symbol(c) == "v^c" and c.relation == "!=" and not c.bound))
    elif before is not None:
        words = [phi.pieces[before].name]
    return ", ".join([*words, *map(_relation, rest)])


def _piece(phi: Activation, s: Ref, when: tuple[Condition, ...]) -> tuple[int | None, tuple[Condition, ...]]:
    """The piece that the first of some conditions put a pre-activation on, and the other conditions."""
    for number in range(len(phi.pieces)):
        wanted = piece_conditions(phi, number, s)
        if when[: len(wanted)] == wanted:
            return number, when[len(wanted) :]
    return None, when


def unit_row(
    phi: Activation, s: Ref, when: tuple[Condition, ...], value: Expr | None, status: Status = Status.VALUE
) -> Branch:
    """A row about one unit with the pre-activation s, with its name and its remark."""
    return Branch(of_unit(phi, s, when), when, value, status, remark(phi, when, value, status))


# ------------------------------------------------------------------------------------------------ rows of a scheme


def spoken(phi: Activation, when: Sequence[Condition]) -> str:
    """What a row of a scheme is called. `phi`: the activation whose pieces its sums are over."""
    symbols = {c.subject.array.symbol for c in when if isinstance(c.subject, Ref)}
    relations = tuple(c.relation for c in when)
    if any(c.bound for c in when):
        return ", ".join(map(_relation, when))
    if symbols and symbols <= set(_MARGINS) and set(relations[:-1]) <= {">"} and relations[-1] in (">", "<="):
        if relations[-1] == ">":
            return "every unit is on its piece"
        margin = when[-1].subject
        assert isinstance(margin, Ref)
        live = [piece for piece in phi.pieces if piece.slope]
        piece = live[0] if margin.array.layer is None else phi.pieces[margin.array.layer - 1]
        word = _MARGINS[margin.array.symbol]
        return f"a unit that was {piece.name} has changed sides, at the {word} w/s"
    subjects = {c.subject for c in when}
    symbol = next(iter(symbols), "")
    word = _RELATIONS.get(({"sc": "s"}.get(symbol, symbol), relations), "") if len(subjects) == 1 else ""
    return word or ", ".join(map(_relation, when))


def named_row(
    phi: Activation, when: tuple[Condition, ...], value: Expr | None, status: Status = Status.VALUE
) -> Branch:
    """A row of a scheme, with its name and its remark."""
    return Branch(spoken(phi, when), when, value, status, remark(phi, when, value, status))


# --------------------------------------------------------------------------------------------------------- remarks


def remark(phi: Activation, when: Sequence[Condition], value: Expr | None, status: Status) -> str:
    """What is remarked on a row without a value of its own: that it is chosen, or why there is none.

    `phi`: the activation of the units that the row is about.
    """
    if status is Status.VALUE:
        return ""
    symbols = {_name(c) for c in when}
    if symbols & {*_MARGINS}:
        return "the sums hold units that are elsewhere by now"
    if symbols <= {"s1", "sc1"} and any(c.relation == "=" for c in when):
        return "the kink's slope is not that of a piece"
    if symbols & {"v", "vz", "vzc"}:  # the values before and after themselves, and no change of them
        if status is Status.UNDEFINED:
            return f"the unit {phi.leaving_zero[0]}: no weight makes 0 give what it gives"
        chosen = "0" if value == ZERO else "the one without compensation"
        return f"the unit gives nothing, frozen or not: any value does, and {chosen} is chosen"
    if status is Status.CHOSEN:
        return "`0 = p * 0`: every `p` solves it, and 0 is chosen"
    return "`v^c = 0` while `dv'` is not: no `p` solves it"


def _name(condition: Condition) -> str:
    if not isinstance(condition.subject, Ref):
        return ""
    array = condition.subject.array
    return array.name if array.symbol in ("s", "sc") and not array.after else array.symbol


def _symbol(condition: Condition) -> str:
    """The subject as people write it: v^c, dv', v'."""
    if not isinstance(condition.subject, Ref):
        return repr(condition.subject)
    array = condition.subject.array
    return _SYMBOLS.get(array.symbol, array.symbol + "'" * array.after)


def _relation(condition: Condition) -> str:
    return f"{_symbol(condition)} {condition.relation} {condition.bound}"
