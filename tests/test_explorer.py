"""The widget: what its sliders move, checked without a browser."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import fcsym
from fcsym.errors import ArgumentError, FcsymError, MissingTool, SizeError
from fcsym.networks.names import scalar_name

AT = {"w_1": 0.5, "w_2": 0.3, "w_3": 0.8, "w_4": 1.5, "w_5": 1.2, "w_6": 0.9, "x_1": 1.0, "x_2": -1.0, "y_g": 1.5}
NETWORKS = {
    "2-2-1": fcsym.Network.parse("2-2-1"),
    "leaky, bias": fcsym.Network.mlp([2, 3, 1], "leaky_relu", bias=True),
    "three layers": fcsym.Network.parse("2-3-2-1"),
    "several outputs": fcsym.Network.parse("1-2-2"),
}


@pytest.fixture
def explorer():
    return fcsym.explore(NETWORKS["2-2-1"], "sequential", at=AT | {"eta": 0.1})


def test_there_is_a_slider_for_every_number(explorer):
    assert set(explorer.sliders) == {*AT, "eta"}
    assert explorer.values == pytest.approx(AT | {"eta": 0.1})
    assert explorer.plane == ("eta", "w_5")


def numbers(values):
    """One step of 2-2-1 in sequential order, by hand: the change of unit 1 and its p."""
    v = values
    s = [v["w_1"] * v["x_1"] + v["w_2"] * v["x_2"], v["w_3"] * v["x_1"] + v["w_4"] * v["x_2"]]
    active = [max(one, 0.0) for one in s]
    error = v["w_5"] * active[0] + v["w_6"] * active[1] - v["y_g"]
    last = v["w_5"] - v["eta"] * error * active[0]
    after = max(s[0] - v["eta"] * error * last * (v["x_1"] ** 2 + v["x_2"] ** 2) * (s[0] > 0), 0.0)
    return after - active[0], (0.0 if active[0] == 0 else last * (after - active[0]) / active[0])


def test_case_formulas_and_picture_follow_the_sliders(explorer):
    seen, pictures = {}, set()
    for move in ({}, {"eta": 0.7}, {"w_5": -1.0}, {"w_1": -1.0}, {"eta": 1.0, "w_1": 0.5, "w_5": 2.0, "y_g": -2.0}):
        for name, value in move.items():
            explorer.sliders[name].value = value
        change, p = numbers(explorer.values)
        found = explorer.quantities
        assert found["dv1"].value == pytest.approx(change, abs=1e-12)
        assert found["p"].value == pytest.approx(p, abs=1e-12)
        assert explorer.case.replace("->", "→") in explorer.formula.value
        assert found["p"].latex in explorer.formula.value
        seen[explorer.case] = found["p"].plain
        pictures.add(explorer.picture.value)
    assert seen["active -> active"].startswith("p = -dE_dY*eta*w_5_new**2*(x_1**2 + x_2**2)/vc_1 = ")
    assert seen["active -> dead"].startswith("p = -w_5_new = ")
    assert seen["dead -> dead"] == "p = 0"
    assert len(pictures) == 5
    assert all(one.count('class="fc-mark"') == 1 for one in pictures)


def test_the_mark_stands_at_the_point(explorer):
    explorer.sliders["eta"].value = 0.25
    explorer.sliders["w_5"].value = 1.0
    ((x, y),) = re.findall(r'fc-mark" cx="([\d.]+)" cy="([\d.]+)"', explorer.picture.value)
    assert (float(x), float(y)) == (62 + 320 * 0.25, 14 + 320 * 0.25)


def test_the_still_shows_the_same(explorer):
    still = explorer.still
    shown = still._repr_html_()
    assert shown.count("<math") >= 2 + len(explorer.values) - 2  # both formulas, and every number that is held
    assert "<math" in shown and "<svg" in shown and "active → active" in shown
    assert explorer.quantities["p"].plain in str(still)
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()


@pytest.mark.parametrize("name", NETWORKS)
def test_other_networks_at_random_places(name, order):
    """Values against the kernel, formulas against their values."""
    explorer = fcsym.explore(NETWORKS[name], order, unit=2)
    rng = np.random.default_rng(3)
    for _ in range(6):
        for slider in explorer.sliders.values():
            slider.unobserve_all()
            slider.value = float(rng.uniform(slider.min, slider.max))
        network, values = NETWORKS[name], explorer.values
        weights = [np.empty(network.shape(theta)) for theta in network.parameters]
        for theta, array in zip(network.parameters, weights, strict=True):
            for place in np.ndindex(array.shape):
                array[place] = values[scalar_name(network, theta, place)]
        x = [values[f"x_{n}"] for n in range(1, network.inputs + 1)]
        goal = [value for key, value in values.items() if key.startswith("y_g")]
        after = explorer.derivation.compile().step(weights, x, goal, values["eta"], undefined="nan")
        for key, quantity in explorer.quantities.items():
            truth = after.p[0, 1] if key == "p" else getattr(after, key)[1]
            assert quantity.value == pytest.approx(float(truth), rel=1e-12, abs=1e-15, nan_ok=True)
            if math.isnan(quantity.value):
                assert "does not exist" in quantity.plain
            elif quantity.plain.count("=") == 1:
                assert float(quantity.plain.split("=")[1]) == pytest.approx(quantity.value, rel=1e-3, abs=1e-12)
            else:
                assert quantity.plain.rsplit("= ", 1)[1] == f"{quantity.value:.4g}"


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("2-2-1",), {}), ((fcsym.Network.parse("2-2-1"),), {"unit": 3}), ((fcsym.Network.parse("2-1"),), {}),
        ((fcsym.Network.mlp([2, 2, 1], "tanh"),), {}), ((fcsym.Network.parse("8-8-1"),), {}),
        ((fcsym.Network.parse("2-2-1"),), {"plane": ("eta", "q")}),
        ((fcsym.Network.parse("2-2-1"),), {"at": {"w_1": 5.0}}),
        ((fcsym.Network.parse("2-2-1"),), {"at": [1, 2]}), ((fcsym.Network.parse("2-2-1"),), {"at": {"eta": "half"}}),
        ((fcsym.Network.parse("2-2-1"),), {"at": {"eta": None}}),
        ((fcsym.Network.parse("2-2-1"),), {"at": {"eta": 5.0}}), ((fcsym.Network.parse("2-2-1"),), {"at": {"q": 5.0}}),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence(arguments, settings):
    with pytest.raises(FcsymError) as caught:
        fcsym.explore(*arguments, **settings)
    assert isinstance(caught.value, ArgumentError | SizeError)
    assert "\n" not in str(caught.value)


def test_every_unit_has_its_own_map_and_formulas(order):
    shown = [fcsym.explore(NETWORKS["2-2-1"], order, unit=unit) for unit in (1, 2)]
    assert shown[0].picture.value != shown[1].picture.value
    for unit, explorer in enumerate(shown, 1):
        assert explorer.plane == ("eta", f"w_{4 + unit}")
        assert f"_{{{unit}}}" in explorer.quantities["dv1"].latex.partition("=")[0]
        assert f"Unit {unit} of layer 1" in explorer.still.picture.words


@pytest.mark.parametrize("above", ["tanh", "identity"])
def test_a_unit_below_a_layer_without_cases_has_no_compensation(above):
    """p belongs to units of the last hidden layer."""
    net = fcsym.Network.mlp([2, 3, 2, 1], ["relu", above])
    assert set(fcsym.explore(net, unit=3).quantities) == {"dv1"}


def test_without_ipywidgets_one_sentence_says_how_to_install_them(monkeypatch):
    monkeypatch.setattr("fcsym.explorer.find_spec", lambda name: None)
    with pytest.raises(MissingTool, match=r"pip install 'fcsym\[notebook\]'"):
        fcsym.explore(NETWORKS["2-2-1"])


@pytest.mark.parametrize("mark", [(0.5,), "ab", (0.5, 3.0), (math.nan, 0.0)])
def test_a_mark_that_is_not_on_the_map_is_refused(mark):
    with pytest.raises(ArgumentError, match="mark"):
        fcsym.derive(NETWORKS["2-2-1"]).case_map(("eta", "w_5"), mark=mark)
