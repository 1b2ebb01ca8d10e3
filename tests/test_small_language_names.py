"""What an array and a row are called, in one quick test each: the letter of what they belong to, and their marks."""

from __future__ import annotations

from test_names import WQ, WRITTEN, Z

from fcsym.language.activation import activation
from fcsym.language.equation import Condition, Status
from fcsym.language.expression import ZERO, Array, Axis, Index, Ref, Role
from fcsym.language.names import latex_array
from fcsym.language.names_of_cases import of_unit, remark

S1 = Array("s", 1, (), role=Role.PRE_ACTIVATION)
MORE = {
    r"\varphi^{(2)\mathrm{zi}\prime\prime}": Array("dgzi", 2, (), role=Role.BEND, of=Z),
    r"\varphi^{(1)\prime\prime}": Array("dg", 1, (), role=Role.BEND, of=S1),
    r"\varphi'^{(1)}": Array("g", 1, (), role=Role.GATE, of=S1),
    r"I^{\mathrm{q}(1)}": Array("Iq", 1, (), role=Role.UNIT),
    r"\dot C^{(2)}": Array("mC", 2, (), role=Role.MOMENT, of=Array("C", 2, ())),
    r"\varepsilon": Array("eps", None, (), role=Role.COEFFICIENT),
    r"\mathrm{eps}": Array("eps", None, (), role=Role.PARAMETER),
    r"s^{(1)\mathrm{c}}": Array("sc", 1, (), role=Role.FROZEN, of=S1),
    r"Z^{(2)\mathrm{q}}": Array("Zq", 2, (), role=Role.FROZEN, of=WQ),
    "dur": Array("dur", None, ()),
    "q_dx": Array("q_dx", None, ()),
    r"Wqc^{(2)}": Array("Wqc", 2, (), of=WQ),
    r"y^{\mathrm{g}}": Array("yg", None, (), role=Role.INPUT),
    r"\beta_1": Array("beta1", None, (), role=Role.HYPER_PARAMETER),
}
"""By their roles."""
OF_LAYERS = {
    r"W^{\mathrm{c}(1)}": "Wc",
    r"d^{\mathrm{s}(1)}": "ds",
    r"d^{\mathrm{W}(1)}": "dW",
    r"s^{\mathrm{z}(1)}": "sz",
    r"y^{\mathrm{g}(1)}": "yg",
}
"""Of a gate or a head c, s, W or z, whatever else has that name."""
PLAIN = {"mzi": Z, "mWq": WQ}
"""Neither is a velocity of a unit: the role of the one says so, and that of what the other is of."""


def test_an_array_is_called_by_what_it_is_and_whose():
    for latex, array in {**WRITTEN, **MORE}.items():
        assert latex_array(array) == latex
    for latex, symbol in OF_LAYERS.items():
        assert latex_array(Array(symbol, 1, (), role=Role.PARAMETER)) == latex
    for symbol, of in PLAIN.items():
        role = Role.MOMENT if of is WQ else Role.OTHER
        assert r"\dot" not in latex_array(Array(symbol, 2, (), role=role, of=of))


def test_places_stand_below_with_commas_where_they_are_not_letters_alone_or_digits_alone():
    w, below = WRITTEN[r"W^{(2)}"], {"ij": "ij", "12": "12", "1j": "1,j", "j1": "j,1", "i": "i", "7": "7"}
    for places, text in {
        **{tuple(k): v for k, v in below.items()},
        ("10", "2"): "10,2",
        ("t + 1", "i"): "t + 1,i",
    }.items():
        assert latex_array(w, places) == rf"W^{{(2)}}_{{{text}}}"


def test_a_row_is_called_by_its_piece_and_by_what_else_is_asked():
    """That another number is not 0 does not make it v^c, nor that v^c is above something."""
    relu, i = activation("relu"), Index(Axis("I"), "i")
    s, vc, dv = (Array(name, 1, (i.axis,))[i] for name in ("s", "vc", "dv"))
    after, on = Ref(s.array.primed, s.indices), Condition(s, ">")
    for when, said in (
        ((on, Condition(dv, "!=")), "active, dv' != 0"), ((on, Condition(dv, "=")), "active, dv' = 0"),
        ((on, Condition(vc, ">")), "active, v^c > 0"), ((on, Condition(vc, "=", 2)), "active, v^c = 2"),
        ((on, Condition(vc, "=")), "active at v^c = 0"), ((on,), "active"),
        ((on, Condition(after, ">"), Condition(vc, "!=")), "active -> active"),
        ((on, Condition(after, ">"), Condition(dv, "!=")), "active -> active, dv' != 0"),
        ((on, Condition(after, ">"), Condition(vc, "!=", 2)), "active -> active, v^c != 2"),
        ((on, Condition(vc, "="), Condition(dv, "!=")), "active at v^c = 0, dv' != 0"),
        ((Condition(vc, "!="),), "v^c != 0"), ((on, Condition(vc - dv, "<=", 1)), "active, vc1[i] - dv1[i] <= 1"),
    ):  # fmt: skip
        assert of_unit(relu, s, when) == said


def test_why_a_row_has_no_value_is_told_by_what_is_asked_of_it():
    """On a kink before the step, frozen or not; after it that is another thing."""
    relu, i = activation("relu"), Index(Axis("I"), "i")
    s, sc, vc = (Array(name, 1, (i.axis,))[i] for name in ("s", "sc", "vc"))
    after, value = Ref(s.array.primed, s.indices), Ref(Array("q", None, ()), ())
    kink = "the kink's slope is not that of a piece"
    for when, said in (
        ((Condition(s, "<="), Condition(s, "=")), kink), ((Condition(sc, "="), Condition(s, "<=")), kink),
        ((Condition(sc, "="),), kink), ((Condition(vc, "="),), "`v^c = 0` while `dv'` is not: no `p` solves it"),
        ((Condition(s, "="), Condition(vc, "=")), "`v^c = 0` while `dv'` is not: no `p` solves it"),
        ((Condition(after, "="),), "`v^c = 0` while `dv'` is not: no `p` solves it"),
    ):  # fmt: skip
        assert remark(relu, when, None, Status.UNDEFINED) == said and remark(relu, when, value, Status.VALUE) == ""
    assert (
        remark(relu, (Condition(vc, "="),), ZERO, Status.CHOSEN) == "`0 = p * 0`: every `p` solves it, and 0 is chosen"
    )
