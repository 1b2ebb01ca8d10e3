"""Names of arrays as LaTeX and as identifiers: letters, marks, layers, primes and what belongs to another array."""

from __future__ import annotations

import pytest

from fcsym.language.expression import Array, Axis, Role
from fcsym.language.names import element_name, latex_array

WQ = Array("Wq", 2, (), role=Role.PARAMETER)
Z = Array("zi", 2, (), role=Role.PRE_ACTIVATION)
V = Array("vq", 1, (), role=Role.ACTIVATION)

WRITTEN = {
    r"W^{(2)}": Array("W", 2, (), role=Role.PARAMETER),
    r"W^{(2)\prime}": Array("W", 2, (), True, role=Role.PARAMETER),
    r"W^{\mathrm{q}(2)}": WQ,
    r"W^{\mathrm{q}(2)\prime}": WQ.primed,
    r"W^{(2)\mathrm{c}}": Array("Wc", 2, (), role=Role.FROZEN, of=Array("W", 2, (), role=Role.PARAMETER)),
    r"W^{(2)\mathrm{q}\mathrm{c}}": Array("Wqc", 2, (), role=Role.FROZEN, of=WQ),
    r"C^{(2)\mathrm{q}}": Array("Cq", 2, (), of=WQ),
    "Cq": Array("Cq", None, (), of=WQ),
    r"\dot z^{(2)\mathrm{i}}": Array("mzi", 2, (), role=Role.MOMENT, of=Z),
    r"\mathrm{d}W^{\mathrm{q}(2)}": Array("dWq", 2, (), role=Role.INCREMENT, of=WQ),
    r"(\mathrm{d}E/\mathrm{d}W)^{\mathrm{q}(2)}": Array("dE_dWq", 2, (), role=Role.GRADIENT, of=WQ),
    r"\bar{v}^{\mathrm{q}(1)}": Array("adj_vq", 1, (), role=Role.ADJOINT, of=V),
    r"\varphi'^{\mathrm{zi}(2)}": Array("gzi", 2, (), role=Role.GATE, of=Z),
    r"a^{\mathrm{vq}(1)}": Array("a_vq", 1, (), role=Role.NORM, of=V),
    r"\mathrm{gate}^{(1)}": Array("gate", 1, (), role=Role.PARAMETER),
    r"\theta^{(2)}": Array("theta", 2, (), role=Role.PARAMETER),
    r"\delta^{(1),3}": Array("delta", 1, (), time=3),
    "x^{2}": Array("x", None, (), role=Role.INPUT, time=2),
    r"y^{\mathrm{g}}": Array("yg", None, (), role=Role.TARGET),
    r"(\mathrm{d}E/\mathrm{d}W)": Array("dE_dW", None, ()),
    r"(\mathrm{d}^2E/\mathrm{d}W^{(1)}\,\mathrm{d}W^{(2)})": Array("d2E_dW1_dW", 2, ()),
}


@pytest.mark.parametrize("latex", WRITTEN)
def test_an_array_is_written_with_its_letter_and_its_marks(latex):
    assert latex_array(WRITTEN[latex]) == latex


def test_indices_stand_below_with_commas_where_they_are_not_letters_alone_or_digits_alone():
    w = WRITTEN[r"W^{(2)}"]
    below = {("i", "j"): "ij", ("1", "2"): "12", ("1", "j"): "1,j", ("10", "2"): "10,2", ("n_1", "j"): "n_1,j"}
    for indices, text in below.items():
        assert latex_array(w, indices) == rf"W^{{(2)}}_{{{text}}}"


def test_an_element_is_counted_from_one():
    one, units = Axis("one"), Axis("units")
    w, x, y = Array("W", 1, (units, units)), Array("x", None, (units,)), Array("y", None, (one,))
    goal = Array("yg", None, (units,))
    assert element_name(w, (0, 1), (2, 2)) == "W1_1_2"
    assert element_name(w.primed, (0, 1), (2, 2)) == "W1_1_2_new"
    assert element_name(w, (0, 1), (2, 2), single_layer=True) == "W_1_2"
    assert element_name(x, (4,), (5,)) == "x_5"
    assert element_name(Array("x", None, (units,), time=3), (0,), (5,)) == "x_t3_1"
    assert element_name(y, (0,), (1,)) == "y" and element_name(y.primed, (0,), (1,)) == "y_new"
    assert element_name(y, (0,), (2,)) == "y_1"
    assert element_name(goal, (0,), (1,)) == "y_g" and element_name(goal, (1,), (2,)) == "y_g_2"
