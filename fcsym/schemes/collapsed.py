"""`collapsed`: one hidden layer of any width trains on a few numbers, for one output and one input (beyond the paper).

w_j = A w^c_j + B s^c_j        s_j = C w^c_j + D s^c_j        the same A, B, C, D for all units on a linear piece

A step of a unit that keeps its piece, of slope m, is linear in (w_j, s_j) with coefficients that no unit has of its
own: w' = w - h s and s' = s - a h w with h = eta dE/dy m and a = |x|^2. So the output needs only three sums over the
units as they were at `init`, of w^2, w s and s^2. In simultaneous order C = a B and D = A, and two numbers move.

A unit keeps its side of the kink as long as s_j/s^c_j = C q_j + D > 0, where q_j = w^c_j/s^c_j. That is linear in q, so
it holds for all units of a piece when it holds for the least and the greatest q: the test costs two numbers. A state in
which a unit has changed sides still expands to the right weights; its output and its next step are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from fcsym.deriving.pipeline import finish
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError, GateEvent
from fcsym.language.activation import Activation
from fcsym.language.equation import Cases, Condition, Equation, Rule, Status
from fcsym.language.expression import ONE, ZERO, Array, Expr, Index, Number, Ref, add, greatest, least, mul, total
from fcsym.language.names_of_cases import named_row
from fcsym.networks.network import Network
from fcsym.networks.symbols import (
    ETA,
    SHAPE,
    SIZE,
    activation,
    adjoint_of,
    frozen_copy,
    frozen_pre_activation,
    gate_of,
)
from fcsym.schemes.groups import HeldLayer, HeldPiece
from fcsym.schemes.record import (
    Refusal,
    Routine,
    SchemeRecord,
    SingleInput,
    branches,
    cut,
    expansion,
    frozen_weights,
    needs_plain_steps,
    needs_smooth_output,
    needs_stack,
    single_input_words,
)

__all__ = ["build"]

_REFUSAL = Refusal(
    GateEvent,
    "a hidden unit{at} has left the piece that it had at init: expand the state before, whose weights are exact, and "
    "init again with them, or train with states.",
    "a hidden unit has left its piece, or was on a kink at init: numbers of the state and the output are not-a-number",
)


def build(base: Record) -> SchemeRecord:
    """A, B, C, D for each piece with a slope; ArgumentError where the layer has no such form."""
    network = base.network
    needs_stack(network, "collapsed", "the closed system is that of the units of one hidden layer")
    needs_plain_steps(network, "collapsed")
    _refuse(network)
    layer = _Layer.of(base)
    shared, pieces = layer.shared, layer.pieces
    bias = shared.upper[1:]
    moving = tuple(array for piece in pieces for array in piece.moving)
    fixed = tuple(array for piece in pieces for array in piece.fixed)
    state = (*moving, *fixed, *bias, *shared.input_facts)
    given = (*state, shared.target, shared.eta)
    moved, trained = (tuple(array.primed for array in arrays) for arrays in (moving, bias))
    own = tuple(e for e in shared.equations if e.defines and e.array != layer.y.array)
    read, step = layer.read(), (*layer.read(), *own, *layer.learned())
    shown = (*read, *(e for e in own if e.array == network.output))
    expand = (*expansion(network), *layer.expanded())
    return SchemeRecord(
        "collapsed",
        base,
        state,
        (*shared.meanings, *finish(network, layer.meanings())),
        {
            "init": Routine(
                shared.init_given, (*shared.start((shared.s,)), *layer.frozen(shared.upper[0], shared.s)), state
            ),
            "step": Routine(
                given, cut(step, given, (*moved, *trained)), (*moved, *fixed, *trained, *shared.input_facts)
            ),
            "output": Routine(state, cut(shown, state, (network.output,)), (network.output,)),
            "expand": Routine(
                (*state, *frozen_weights(network), layer.fixed.array, shared.x),
                _in_order(expand, network.parameters),
                network.parameters,
            ),
        },
        single_input_words(
            "A hidden layer of any width is held by a few numbers that its units share"
            + (" as long as each keeps its piece." if network.layers[0].activation.kinks else ".")
        ),
        single_input=True,
        constants_for=shared.constants,
        moving=shared.moving,
        frozen=(
            *finish(network, (expansion(network)[0], *layer.frozen(layer.fixed.array, layer.sc.array, resting=False))),
        ),
        measures=shared.measures,
        gates=finish(network, layer.gates()),
        held=HeldLayer(layer.wc.array, tuple(layer.held(piece) for piece in pieces if piece.when)),
        ones=frozenset(layer.y.array.axes),
        refused=_REFUSAL,
    )


def _in_order(equations: tuple[Equation, ...], last: tuple[Array, ...]) -> tuple[Equation, ...]:
    """What the results need comes before them, and the results in their order at the end."""
    waiting = sorted(equations, key=lambda e: last.index(e.array) if e.array in last else -1)
    result: list[Equation] = []
    while waiting:
        open_ = {e.array for e in waiting}
        ready = next(e for e in waiting if not open_ & set(e.operands))
        waiting.remove(ready)
        result.append(ready)
    return tuple(result)


def _refuse(network: Network) -> None:
    """ArgumentError for a network that is not one hidden layer of pieces through 0 and one output."""
    depth, outputs = len(network.layers), network.widths[-1]
    needs_smooth_output(network, "collapsed")
    if depth != 2:
        raise ArgumentError(
            f"collapsed needs one hidden layer, and {network} has {depth - 1 or 'none'}: choose "
            f"{'states, which takes any depth' if depth > 2 else 'backprop or states'}."
        )
    if outputs != 1:
        raise ArgumentError(
            f"collapsed needs one output, and {network} has {outputs}: choose states, which takes any number."
        )
    phi = network.layers[0].activation
    if phi.is_smooth or any(piece.intercept for piece in phi.pieces) or any(phi.kinks):
        raise ArgumentError(
            f"collapsed needs an activation of straight lines through 0, and {phi.name} is none: choose states, which "
            "takes any activation."
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """The numbers of one linear piece. Where two have a slope, `n` tells them apart."""

    n: int | None
    slope: Fraction
    when: tuple[Literal[">", "<=", "!="], ...]  # relations of s to 0 on the piece; none where there is no kink
    name: str
    simultaneous: bool

    def array(self, symbol: str) -> Array:
        """A number of the piece."""
        return Array(symbol, self.n, ())

    def __getitem__(self, symbol: str) -> Ref:
        return self.array(symbol)[()]

    @property
    def moving(self) -> tuple[Array, ...]:
        """What a step changes."""
        return tuple(map(self.array, ("A", "B") if self.simultaneous else ("A", "B", "C", "D")))

    @property
    def at_rest(self) -> dict[Array, Expr]:
        """And what that is before the first step."""
        return dict(zip(self.moving, (ONE, ZERO, ZERO, ONE), strict=False))

    @property
    def fixed(self) -> tuple[Array, ...]:
        """What a step reads and does not change."""
        return tuple(map(self.array, ("Sww", "Sws", "Sss", *(("mu", "ql", "qh") if self.when else ()))))

    @property
    def mu(self) -> Expr:
        """The slope, 0 where the piece has no unit."""
        return self["mu"] if self.when else Number(self.slope)

    def conditions(self, s: Expr) -> tuple[Condition, ...]:
        """s is on the piece."""
        return tuple(Condition(s, relation) for relation in self.when)

    def map(self, c: Expr | None = None) -> tuple[Expr, Expr, Expr, Expr]:
        """A, B, C, D; in simultaneous order C is a B, or the name that it has been given, and D is A."""
        if self.simultaneous:
            return self["A"], self["B"], mul(self["B"], _NORM) if c is None else c, self["A"]
        return self["A"], self["B"], self["C"], self["D"]


_NORM = mul(SIZE[()], SHAPE[()], SIZE[()])


@dataclass(frozen=True, slots=True)
class _Layer:
    """The hidden layer: its pieces with a slope, and what they share. j runs over the units, k over the one output."""

    shared: SingleInput
    pieces: tuple[_Piece, ...]
    j: Index
    k: Index
    y: Ref
    w: Ref  # the outgoing weights, as they are now
    fixed: Ref  # and at init
    s: Ref
    sc: Ref
    wc: Ref
    kink: Fraction  # the slope at the kink

    @classmethod
    def of(cls, base: Record) -> _Layer:
        """What a derivation of one step gives."""
        shared, phi = SingleInput.of(base), base.network.layers[0].activation
        y, units = base.network.logits, shared.s.axes
        j, k = Index(units[0], "j"), Index(y.axes[0], "k")
        sides: tuple[tuple[Literal[">", "<=", "!="], ...], ...] = (("<=", "!="), (">",)) if phi.kinks else ((),)
        live = [n for n, piece in enumerate(phi.pieces) if piece.slope]
        pieces = tuple(
            _Piece(
                n + 1 if len(live) > 1 else None, phi.pieces[n].slope, sides[n], phi.pieces[n].name,
                base.order == "simultaneous",
            )
            for n in live
        )  # fmt: skip
        fixed = frozen_copy(base.network.read_out)
        return cls(
            shared, pieces, j, k, y[k], shared.upper[0][k, j], fixed[k, j], shared.s[j],
            frozen_pre_activation(shared.s)[j], Array("wc", None, units)[j],
            phi.kink_slopes[0] if phi.kinks else Fraction(0),
        )  # fmt: skip

    def unit(self, piece: _Piece, symbol: str) -> Ref:
        """A number that a piece has for every unit."""
        return Array(symbol, piece.n, self.s.array.axes)[self.j]

    # ------------------------------------------------------------------------------------------------- at init

    def frozen(self, weights: Array, s: Array, resting: bool = True) -> tuple[Equation, ...]:
        """What the units are at init, from the outgoing weights and pre-activations there.

        `resting`: and that none has moved yet.
        """
        j, k = self.j, self.k
        outgoing = Equation(
            self.wc,
            total(k, weights[k, j]),
            Rule.DEFINITION,
            "This is what the unit gives to the one output.",
        )
        equations = [outgoing]
        for number, piece in enumerate(self.pieces):
            equations += self._sums(piece, s[j], first=not number)
            if piece.when:
                equations += self._extremes(piece, s[j])
            if resting:
                equations += [
                    Equation(array[()], value, Rule.STATE, "Nothing has moved yet.")
                    for array, value in piece.at_rest.items()
                ]
        return tuple(equations)

    def _sums(self, piece: _Piece, s: Expr, first: bool) -> list[Equation]:
        """The units on the piece, and their sums of w^2, w s, s^2."""
        j, wp, sp = self.j, self.wc, s
        equations = []
        if piece.when:
            e = self.unit(piece, "e")
            wp, sp = self.unit(piece, "wp"), self.unit(piece, "sp")
            equations += [
                Equation(
                    e, self._indicator(piece, s, first), Rule.DEFINITION, f"This is 1 for a unit that is {piece.name}."
                ),
                Equation(wp, e * self.wc, Rule.DEFINITION, "The other units count for nothing here."),
                Equation(sp, e * s, Rule.DEFINITION, "The other units count for nothing here."),
            ]
        for name, one, other, what in (
            ("Sww", wp, self.wc, "w squared"), ("Sws", wp, s, "w times s"), ("Sss", sp, s, "s squared"),
        ):  # fmt: skip
            because = f"This is the sum of {what} over the units of the piece at init; no step changes it."
            equations.append(Equation(piece[name], total(j, one * other), Rule.DEFINITION, because))
        return equations

    def _indicator(self, piece: _Piece, s: Expr, first: bool) -> Cases:
        """1 on the piece, 0 off it; nothing on a kink whose slope is not 0, where a unit moves off to a side."""
        above, below, at = (
            (Condition(s, ">"),),
            (Condition(s, "<="), Condition(s, "!=")),
            (Condition(s, "<="), Condition(s, "=")),
        )
        on = piece.conditions(s)
        if self.kink and first:
            at_kink = named_row(self.phi, at, None, Status.UNDEFINED)
            sides = branches(self.phi, (above, ONE if on == above else ZERO), (below, ONE if on == below else ZERO))
            return Cases((*sides, at_kink))
        if on == above:
            return branches(self.phi, (above, ONE), ((Condition(s, "<="),), ZERO))
        return branches(self.phi, (below, ONE), (above, ZERO), (at, ZERO))

    @property
    def phi(self) -> Activation:
        """The activation of the units."""
        return self.shared.base.network.layers[0].activation

    def _extremes(self, piece: _Piece, s: Expr) -> list[Equation]:
        """The least and the greatest q = w/s over the units of a piece, and its slope where it has any."""
        j, e = self.j, self.unit(piece, "e")
        q, filled, count, mean = self.unit(piece, "q"), self.unit(piece, "qe"), piece["N"], piece["qm"]
        indicator = self._indicator(piece, s, first=False)
        some, none = (Condition(count, "!="),), (Condition(count, "="),)

        def rows(value: Expr, otherwise: Expr) -> Cases:
            return branches(
                self.phi, *((row.when, value if row.value == ONE else otherwise) for row in indicator.branches)
            )

        return [
            Equation(count, total(j, e), Rule.DEFINITION, "So many units are on the piece."),
            Equation(
                piece["mu"],
                branches(self.phi, (some, Number(piece.slope)), (none, ZERO)),
                Rule.DEFINITION,
                "The slope of the piece, and 0 where no unit is on it: then nothing moves.",
            ),
            Equation(q, rows(self.wc / s, ZERO), Rule.DEFINITION, "The ratio on which a change of sides depends."),
            Equation(piece["qs"], total(j, q), Rule.DEFINITION, "Their sum."),
            Equation(
                mean,
                branches(self.phi, (some, piece["qs"] / count), (none, ZERO)),
                Rule.DEFINITION,
                "The mean lies between the extremes, whatever these are.",
            ),
            Equation(filled, rows(q, mean), Rule.DEFINITION, "The mean stands for the units off the piece."),
            Equation(piece["ql"], least(j, filled), Rule.DEFINITION, "The least ratio of the piece."),
            Equation(piece["qh"], greatest(j, filled), Rule.DEFINITION, "The greatest ratio of the piece."),
        ]

    # ------------------------------------------------------------------------------------- what the state stands for

    def _on(self, piece: _Piece) -> Expr:
        return self.unit(piece, "e") if piece.when else ONE

    def meanings(self) -> tuple[Equation, ...]:
        """w and s of every unit: the map of its piece, and what they were off every piece."""
        w: list[Expr] = [self.fixed]
        s: list[Expr] = [self.sc]
        for piece in self.pieces:
            a, b, c, d = piece.map()
            w.append(self._on(piece) * ((a - 1) * self.fixed + b * self.sc))
            s.append(self._on(piece) * (c * self.wc + (d - 1) * self.sc))
        because = "All units of a piece have moved by one linear map."
        return (
            Equation(self.w, add(*w), Rule.INVARIANT, because, (), "claim v"),
            Equation(self.s, add(*s), Rule.INVARIANT, because, (), "claim v"),
        )

    def gates(self) -> tuple[Equation, ...]:
        """phi' is the slope of the piece that the unit had at init, and phi that slope times s."""
        slope = add(*(mul(piece.slope, self._on(piece)) for piece in self.pieces))
        because = "Every unit is on the piece that it had at init."
        return (
            Equation(gate_of(self.s.array)[self.j], slope, Rule.INVARIANT, because),
            Equation(activation(1)[self.j], slope * self.s, Rule.INVARIANT, because),
        )

    def held(self, piece: _Piece) -> HeldPiece:
        """What is needed to see that its units keep it."""
        e, q, filled = (self.unit(piece, symbol).array for symbol in ("e", "q", "qe"))
        count, moves, sum_of, mean = map(piece.array, ("N", "mu", "qs", "qm"))
        extremes, margins = ((piece.array(low), piece.array(high)) for low, high in (("ql", "qh"), ("lo", "hi")))
        _, _, c, d = piece.map(piece["C"])
        return HeldPiece(
            piece.slope, e, count, moves, q, sum_of, mean, filled, extremes, margins, (c, d), piece.at_rest
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------- every step

    def read(self) -> tuple[Equation, ...]:
        """The output, where every unit is still on its piece."""
        equations: list[Equation] = []
        parts: list[Expr] = []
        margins: list[Ref] = []
        for piece in self.pieces:
            a, b, c, d = piece.map(piece["C"])
            if piece.simultaneous:
                equations.append(
                    Equation(
                        c, mul(b, _NORM), Rule.DEFINITION, "In simultaneous order `C` is `B` times the squared norm."
                    )
                )
            if piece.when:
                for name, extreme, word in (("lo", "ql", "least"), ("hi", "qh", "greatest")):
                    margins.append(piece[name])
                    equations.append(
                        Equation(
                            piece[name], c * piece[extreme] + d, Rule.DEFINITION,
                            f"What `s` has become over what it was, for the unit with the {word} ratio.",
                        )
                    )  # fmt: skip
            form = a * c * piece["Sww"] + (a * d + b * c) * piece["Sws"] + b * d * piece["Sss"]
            parts.append(mul(piece.slope, form))  # without units all three sums are 0
        if len(self.shared.upper) > 1:
            parts.append(self.shared.upper[1][self.k])
        output = Equation(
            self.y,
            _where(self.phi, margins, add(*parts)),
            Rule.IDENTITY,
            "The sum of `w v` over the units is a quadratic form in what all of them share.",
        )
        return (*equations, output)

    def learned(self) -> tuple[Equation, ...]:
        """One step of every unit at once."""
        equations: list[Equation] = []
        for piece in self.pieces:
            a, b, c, d = piece.map(piece["C"])
            h = piece["H"]
            if piece.simultaneous:
                values = [a - h * c, b - h * d]
            else:  # the error passes through the new weights
                new_a, new_b = piece.array("A").primed[()], piece.array("B").primed[()]
                values = [a - h * c, b - h * d, c - mul(h, new_a, _NORM), d - mul(h, new_b, _NORM)]
            error = total(self.k, adjoint_of(self.y.array)[self.k])
            equations.append(
                Equation(
                    h, mul(ETA[()], piece.mu, error), Rule.DEFINITION,
                    "This is how far a step goes, the same for all units of the piece.",
                )
            )  # fmt: skip
            because = "The gradient step of all units of the piece is one linear map, applied to the one so far."
            equations += [
                Equation(array.primed[()], value, Rule.STATE, because, (), "eq. 13")
                for array, value in zip(piece.moving, values, strict=True)
            ]
        return tuple(equations)

    # -------------------------------------------------------------------------------------------------- expansion

    def expanded(self) -> tuple[Equation, ...]:
        """s and the outgoing weights of every unit, by the map of its piece."""
        outgoing = Equation(
            self.wc, total(self.k, self.fixed), Rule.DEFINITION, "This is what the unit gave to the one output."
        )
        w: list[tuple[tuple[Condition, ...], Expr]] = []
        s: list[tuple[tuple[Condition, ...], Expr]] = []
        for piece in self.pieces:
            a, b, c, d = piece.map()
            on = piece.conditions(self.sc)
            w.append((on, a * self.fixed + b * self.sc))
            s.append((on, c * self.wc + d * self.sc))
        rest = {
            (): (), ((">",),): (("<=",),), (("<=", "!="),): ((">",), ("<=", "=")),
            (("<=", "!="), (">",)): (("<=", "="),),
        }[tuple(piece.when for piece in self.pieces if piece.when)]  # fmt: skip
        for relations in rest:
            when = tuple(Condition(self.sc, relation) for relation in relations)  # type: ignore[arg-type]
            w.append((when, self.fixed))
            s.append((when, self.sc))
        because = "Each unit has moved by the map of the piece that it had at init; off every piece none moves."
        return (
            outgoing,
            Equation(self.s, _table(self.phi, s), Rule.EXPANSION, because, (), "claim v"),
            Equation(self.w, _table(self.phi, w), Rule.EXPANSION, because, (), "claim v"),
        )


def _table(phi: Activation, rows: list[tuple[tuple[Condition, ...], Expr]]) -> Expr | Cases:
    """Rows as cases; where there is one without a condition, its value."""
    return rows[0][1] if not rows[0][0] else branches(phi, *rows)


def _where(phi: Activation, margins: list[Ref], value: Expr) -> Expr | Cases:
    """A value where every margin is above 0, and nothing where one is not."""
    if not margins:
        return value
    positive = [Condition(margin, ">") for margin in margins]
    rows = [named_row(phi, tuple(positive), value)]
    for n, margin in enumerate(margins):
        rows.append(named_row(phi, (*positive[:n], Condition(margin, "<=")), None, Status.UNDEFINED))
    return Cases(tuple(rows))
