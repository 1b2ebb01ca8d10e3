"""A case map that one can move through, in a notebook: a slider for every number, and the formulas that hold there.

e = fcsym.explore(net, order="sequential")
e                                  # the widget
e.sliders["eta"].value = 0.8       # the same as moving it
e.case, e.quantities["p"]          # what is shown, without a browser
e.still                            # the same without a widget, for pages that nothing runs behind
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isnan, prod
from typing import Any

import numpy as np

from fcsym.closed.closed_form import paper_symbols
from fcsym.derivation import derive
from fcsym.drawing.mathml import mathml, need_mathml, sentence
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError, MissingTool, SizeError
from fcsym.language.equation import Branch, Cases, Equation, Order
from fcsym.language.expression import Number, Ref, Written
from fcsym.networks.names import flat_latex, scalar_name
from fcsym.networks.network import Network
from fcsym.pictures.maps import (
    arrays_of,
    default_plane,
    numbers_of,
    plane_of,
    sample,
    table_of,
    value_ends,
    values_given,
)
from fcsym.render import formula
from fcsym.render.appendix import element
from fcsym.render.flat_names import MAX_FLAT

__all__ = ["Explorer", "Quantity", "Still", "explore"]

_STEPS = 200  # of a slider, from end to end: tenths lie on it


def explore(
    network: Network, order: Order = "simultaneous", plane: Sequence[str] | None = None, unit: int = 1, *,
    at: Mapping[str, float] | None = None,
) -> Explorer:  # fmt: skip
    """A widget: sliders for all weights, inputs, the target and eta move a point through the map of a unit's cases.

    `plane`: the names of the two numbers that the map is over, by default eta and the unit's weight above. `unit`: of
    the last hidden layer, from 1. `at`: where the sliders start; what is not given is taken from the sample that shows
    most cases. Below the map stand the unit's change and its compensation in the case that holds, with their values.
    Where the last hidden layer has no cases, the unit is one of the last layer that has, without a compensation.

    Raises MissingTool without ipywidgets, SizeError for a network of more than 24 weights, and ArgumentError for a
    network without cases and for a name, unit or value that does not exist.
    """
    if find_spec("ipywidgets") is None:
        raise MissingTool("explore needs the package ipywidgets: install it with pip install 'fcsym[notebook]'.")
    if not isinstance(network, Network):
        raise ArgumentError(f"explore got {type(network).__name__}: make a network with Network.parse('2-2-1').")
    weights = sum(prod(network.shape(theta)) for theta in network.parameters)
    if weights > MAX_FLAT:
        raise SizeError(
            f"explore has a slider for every number, and {network} has {weights} weights: take at most {MAX_FLAT}."
        )
    return Explorer(network, order, plane, unit, {} if at is None else at)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What holds for one quantity at the point."""

    name: str
    case: str  # which row of its table holds; "" where it has none
    latex: str  # the closed form of that row
    plain: str
    value: float  # nan where no value exists


@dataclass(frozen=True, slots=True)
class Still:
    """What an explorer shows, without a widget."""

    picture: Picture
    case: str
    quantities: tuple[Quantity, ...]

    def _repr_html_(self) -> str | None:

        try:
            need_mathml()
            lines = [f"<p>{sentence(self.picture.caption)}</p>"] if self.picture.caption else []
            lines.append(f"<p>{self.case.replace('->', '→')}</p>")
            lines += [f"<p>{mathml(q.latex, q.plain)}</p>" for q in self.quantities]
        except MissingTool:
            return None
        return f"<div>{self.picture.svg}{''.join(lines)}</div>"

    def __str__(self) -> str:
        return "\n".join([self.picture.words, self.case, *(q.plain for q in self.quantities)])

    def __repr__(self) -> str:
        return str(self)


class Explorer:
    """The widget of `explore`; `sliders`, `picture` and `formula` are its ipywidgets."""

    def __init__(
        self, network: Network, order: Order, plane: Sequence[str] | None, unit: int, at: Mapping[str, float]
    ) -> None:
        import ipywidgets as widgets

        self.derivation = derive(network, order)
        self.unit = unit
        self._table = table_of(self.derivation, None)
        self._numbers = numbers_of(self.derivation)
        width = network.sizes[self._table.array.axes[-1]]
        if isinstance(unit, bool) or not isinstance(unit, int) or not 1 <= unit <= width:
            raise ArgumentError(f"There is no unit {str(unit)[:40]}: it runs from 1 to {width}.")
        if plane is None:
            chosen = default_plane(self._table, self._numbers, unit)
        else:
            chosen = plane_of(self.derivation, plane, self._numbers)
        at = values_given(self.derivation, at, (), self._numbers)
        held = {name: value for name, value in at.items() if name not in chosen}
        # what is wrong with plane and at is found here, before a widget is made
        self.derivation.case_map(chosen, unit, at=held)
        self.plane: tuple[str, str] = (chosen[0], chosen[1])
        self.ends = value_ends(None, self.plane)
        middle = {name: sum(span) / 2 for name, span in zip(self.plane, self.ends, strict=True)}
        drawn = sample(self.derivation, self._table, unit, self.plane, held, self.ends)
        start = middle | drawn | {name: float(value) for name, value in at.items()}
        self._step = self.derivation.compile().step
        self.sliders = {name: self._slider(widgets, name, start[name]) for name in self._numbers}
        self.picture = widgets.HTML()
        self.formula = widgets.HTMLMath()
        first = [self.sliders[name] for name in self.plane]
        others = [slider for name, slider in self.sliders.items() if name not in self.plane]
        self.box = widgets.HBox([
            widgets.VBox([*first, widgets.HTML("<hr>"), *others]), widgets.VBox([self.picture, self.formula])
        ])  # fmt: skip
        for slider in self.sliders.values():
            slider.observe(self._update, names="value")
        self._update(None)

    def _slider(self, widgets: Any, name: str, value: float) -> Any:
        low, high = value_ends(None, (name, name))[0]
        if not low <= value <= high:
            raise ArgumentError(f"at[{name!r}] is {value:g}: a slider runs from {low:g} to {high:g}.")
        label = flat_latex(self.derivation.network, *self._numbers[name])
        return widgets.FloatSlider(
            value=value, min=low, max=high, step=(high - low) / _STEPS, description=f"${label}$",
            continuous_update=True, readout_format=".2f",
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------- what is shown

    @property
    def values(self) -> dict[str, float]:
        """Where the sliders stand."""
        return {name: float(slider.value) for name, slider in self.sliders.items()}

    @property
    def case(self) -> str:
        """The case of the unit at the point."""
        return self._branch(self._table, self._after()).name

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The unit's change, its compensation (of the first output), and what they come to at the point."""
        last = self._table.array.axes == self.derivation.network.hidden[-1].v.axes
        return {name: self._quantity(name) for name in (self._table.name, *(["p"] if last else []))}

    @property
    def still(self) -> Still:
        """The same without a widget."""
        return Still(self._map(), self.case, tuple(self.quantities.values()))

    def _after(self) -> Any:
        columns = {name: np.array([value]) for name, value in self.values.items()}
        weights, x, target, eta = arrays_of(self.derivation.network, self._numbers, columns)
        return self._step(weights, x, target, eta, undefined="nan")

    def _branch(self, equation: Equation, after: Any) -> Branch:
        """The row of a table that holds for the unit."""
        assert isinstance(equation.rhs, Cases)
        return next(
            branch
            for branch in equation.rhs
            if all(
                condition.holds(getattr(after, condition.subject.array.name)[0, ..., self.unit - 1])
                for condition in branch.when
                if isinstance(condition.subject, Ref)
            )
        )

    def _quantity(self, name: str) -> Quantity:
        d, after = self.derivation, self._after()
        equation = d[name]
        branch = self._branch(equation, after) if isinstance(equation.rhs, Cases) else None
        array = getattr(after, equation.name)[0]
        value = float(array[0, self.unit - 1] if array.ndim == 2 else array[self.unit - 1]) + 0.0  # 0 has no sign
        label = name if array.ndim == 1 else "p"
        if branch is not None and branch.value is None:
            symbol = formula.expression(self._left(equation))
            return Quantity(label, branch.name, rf"{symbol} \text{{ does not exist}}", f"{label} does not exist", value)
        keep = tuple(symbol for symbol in paper_symbols(d) if symbol != equation.name)
        written = element(d, name, self.unit, case=None if branch is None else branch.name, keep=keep)
        case = "" if branch is None else branch.name
        if written is None:
            symbol = formula.expression(self._left(equation))
            return Quantity(label, case, f"{symbol} = {_number(value)}", f"{label} = {value:.4g}", value)
        closed = d.expr(name, self.unit, case=case or None, keep=keep)
        latex, plain = formula.equation(written), f"{label} = {closed}"
        if not isinstance(written.rhs, Number):
            latex, plain = f"{latex} = {_number(value)}", f"{plain} = {value:.4g}"
        return Quantity(label, case, latex, plain, value)

    def _left(self, equation: Equation) -> Any:
        shape = self.derivation.network.shape(equation.array)
        place = (0, self.unit - 1)[2 - len(shape) :]
        network = self.derivation.network
        return Written(flat_latex(network, equation.array, place), 2.0, scalar_name(network, equation.array, place))

    def _map(self) -> Picture:
        values = self.values
        at = {name: value for name, value in values.items() if name not in self.plane}
        mark = (values[self.plane[0]], values[self.plane[1]])
        return self.derivation.case_map(self.plane, self.unit, at=at, ends=self.ends, mark=mark)

    def _update(self, _: Any) -> None:
        self.picture.value = self._map().svg
        self.formula.value = "".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f'<p class="fcsym-case">{self.case.replace("->", "→")}</p>'
        for quantity in self.quantities.values():
            yield f"<p>$$\\displaystyle {quantity.latex}$$</p>"

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        return self.box._repr_mimebundle_(**settings)

    def __repr__(self) -> str:
        return str(self.still)


def _number(value: float) -> str:
    """A value as LaTeX, to four digits."""
    if isnan(value):
        return r"\text{undefined}"
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
