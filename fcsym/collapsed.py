"""The scheme `collapsed` of any network that closes, as people use it: a document of the finder's state, and kernels.

s = fcsym.scheme(net, "collapsed")
s.size, s.state, s.recursion, s.proof        # as the finder found it
s.save("collapsed.pdf"), s.export("update.py"), s.compile("c")
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fcsym import schemes
from fcsym.collapsing import layers_in_words
from fcsym.collapsing.by_unit import ByUnit
from fcsym.collapsing.parts import ClosedParts, Function
from fcsym.collapsing.scheme import CollapsedScheme
from fcsym.derivation import Derivation
from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record
from fcsym.document import Document, typeset
from fcsym.errors import ArgumentError, CompileError
from fcsym.language.activation import said_of_gates
from fcsym.language.equation import Equation
from fcsym.language.expression import Array
from fcsym.language.findings import Proof
from fcsym.proof.schemes import prove_scheme
from fcsym.schemes.record import SchemeRecord

__all__ = ["ClosedPart", "CollapsedAnyInputs"]


@dataclass(frozen=True, repr=False)
class CollapsedAnyInputs(CollapsedScheme, Document):
    """`collapsed` of any network that closes: the finder's state, and its four functions as a document."""

    @classmethod
    def of(cls, base: Record) -> CollapsedAnyInputs:
        """The scheme of a network, by a step of it; ArgumentError where nothing closes."""
        made = cls(base.network, base.order, Derivation(base.network, base.order, base.equations))
        made.chosen(base.network.samples or 2)
        return made

    @cached_property
    def lists(self) -> tuple[ClosedPart, ...]:
        """The lists of equations that a document shows: one for each function."""
        closure = self.shown
        network = closure.network
        base = one_step(network, self.order)
        first = schemes.SCHEMES["states" if 0 in closure.found.contracted else "backprop"](base)
        own = Derivation(network, self.order, base.equations).proof.findings
        parts = ClosedParts(closure, prove_scheme(first)["expand"].findings, own)
        functions = (parts.init, parts.step, parts.output, parts.expand)
        return tuple(ClosedPart(network, self.order, one.equations, one) for one in functions)

    @property
    def definitions(self) -> tuple[Equation, ...]:
        """What each array of the state stands for."""
        return typeset(self.shown.definitions)

    @cached_property
    def invariants(self) -> tuple[Equation, ...]:
        """The same, without what is an array of the network as it is."""
        shown = self.shown
        return typeset(e for e in (*shown.parts, *shown.definitions) if e.lhs != e.rhs)

    @property
    def carried(self) -> tuple[tuple[Array, str, Equation | None], ...]:
        """Every array of the state, what it stands for in a sentence, and the equation that says more."""
        by_array = {e.array: e for e in self.invariants}
        own = "This is as in the network."
        return tuple(
            (array, by_array[array].because, by_array[array]) if array in by_array else (array, own, None)
            for array in self.shown.state
        )

    @property
    def summary(self) -> str:
        """What is carried, and how many numbers that is."""
        closure = self.shown
        size = str(closure.size).replace("**", "^").replace("*", " ")
        most = " and ".join(f"`{axis.name} = {count}`" for axis, count in closure.patterns.items())
        return (
            f"Summed over {layers_in_words(closure.found.contracted)}, training closes on `{size}` numbers, "
            f"{closure.at_widths(closure.size)} at these widths{f' with {most}, the most' if most else ''}, in place "
            f"of {self.found.carried}. Here `m` is the number of held inputs, and `p` that of the gate patterns of a "
            "layer that occur."
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What is taken for granted, and what happens where a unit leaves its line, in sentences."""
        units = [unit.activation for unit in self.network.activated]
        order = next(sentence for sentence in self.conventional.assumptions if sentence.startswith("The order"))
        return (*_HELD, *said_of_gates(units), *(_EVENTS if self.shown.patterns else ()), order)

    @property
    def uncertified(self) -> str:
        """Why its file states what is carried and leaves the proof out: Coq is not known to accept it."""
        network, layers = self.shown.network, set(self.shown.found.contracted)
        if network.fixed or network.common:
            return "it has parameters that are held fixed or shared, and its file trains each of them; certify backprop"
        if 0 not in layers or len(layers) != 2:
            return (
                f"it is summed over {layers_in_words(sorted(layers))}, and a file is over the inputs and one hidden "
                "layer; certify states"
            )
        if (n := max(layers)) > 1 and network.layers[n - 1].bias and self.order == "sequential":
            return f"in sequential order the biases of layer {n} meet one another in sums of two orders; certify states"
        return ""

    @property
    def induction(self) -> SchemeRecord:
        """The scheme unit by unit, which a certificate is about."""
        return ByUnit(ClosedParts(self.shown, (), ())).record

    def kernel_source(self) -> str:
        """None that could stand in a document: CompileError."""
        raise CompileError(f"{self.title} is compiled for the columns that occur: export() writes what it runs.")

    def with_values(self, values: Any, digits: int = 6) -> Any:
        """Not beside its equations: ArgumentError, which says what to do."""
        del values, digits
        raise ArgumentError(
            f"{self.title} has no numbers beside its equations, whose gate patterns are symbols: show those of states "
            "or backprop, or train with compile()."
        )

    def __rich__(self) -> Any:
        from fcsym.render.terminal import document

        return document(self)


_HELD = (
    (
        "The inputs `x` are the same at every step and are those that `init` was given; a step on some of them is one "
        "with the errors of the others 0."
    ),
    "Units are in groups of one gate pattern, a line of the activation for every held input: unit j of group c.",
)
_EVENTS = (
    (
        "Gate events: after every step each unit is on the line of its activation on which backpropagation has it. The "
        "functions below hold from one event to the next."
    ),
    (
        "A unit that is a column of its own is seen to leave its line at once. Another one is a combination of the "
        "columns of its pattern, and its pre-activation has moved by no more than the length of its coefficients times "
        "the length of what those of the columns have moved by: it is looked at where that may have taken it to a kink."
    ),
    (
        "Units that have left go to the group of their new pattern: every unit is what `expand` makes it, the groups "
        "are those of the lines on which the units are now, and the state is what `init` makes of them."
    ),
)


@dataclass(frozen=True, repr=False)
class ClosedPart(Derivation):
    """One of the four functions of a closed state, with its arguments, results and verdicts."""

    part: Function

    @property
    def function(self) -> str:
        """Its name."""
        return self.part.name

    @property
    def signature(self) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """What it is given and what it returns."""
        return self.part.given, self.part.results

    @property
    def summary(self) -> str:
        """What the function does, in a sentence."""
        return self.part.about

    @property
    def title(self) -> str:
        """What the list is about."""
        return f"collapsed, {self.function}: {self.network}, {self.order} order"

    @property
    def heading(self) -> str:
        """The title of a document."""
        return f"{self.title[0].upper()}{self.title[1:]}"

    def _examine(self, progress: Any) -> Proof:
        del progress
        return self.part.proof

    def compile(self, target: str = "numpy", gates: str = "float") -> Any:
        """Not on its own: a scheme's four functions are compiled together."""
        raise CompileError(
            f"{self.function} is one of four functions: compile the whole scheme, scheme.compile({target!r})."
        )
