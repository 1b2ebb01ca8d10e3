"""Charts: what is drawn is what was counted and measured."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import fcsym
from fcsym.errors import ArgumentError
from fcsym.schemes import every_scheme

SVG = "{http://www.w3.org/2000/svg}"
NETWORK = fcsym.Network.parse("8-4-4-2")


def curves(picture):
    """The points of every curve, in the picture's coordinates, by panel and order of drawing."""
    root = ElementTree.fromstring(picture.svg)
    paths = [p.attrib["d"] for p in root.iter(f"{SVG}path") if p.attrib.get("class") == "fc-line"]
    return [[tuple(map(float, pair.split())) for pair in re.split("[ML]", d)[1:]] for d in paths if "h26" not in d]


@pytest.fixture(scope="module")
def experiment():
    return fcsym.reproduce(steps=40)


@pytest.mark.parametrize("what", ["operations", "state"])
def test_the_cost_of_every_scheme_is_where_it_was_counted(what, order):
    widths = (1, 4, 64)
    picture = fcsym.cost_chart(NETWORK, what, order, widths=widths)
    found = curves(picture)
    names = ("backprop", "weights", "compensation", "states", "history", "basis")
    assert len(found) == len(names)
    counted = {}
    for name in names:
        values = []
        for width in widths:
            network = fcsym.Network.mlp([8, width, width, 2])
            spent = fcsym.cost(fcsym.scheme(network, name, order))
            values.append(spent.at(spent.operations if what == "operations" else spent.state))
        counted[name] = values
        assert f"{name} {values[0]} to {values[-1]}" in picture.words
    ratios = [a / b for own in counted.values() for a, b in zip(own, counted["backprop"], strict=True)]
    low, high = math.log10(min(ratios)), math.log10(max(max(ratios), 10 * min(ratios)))
    bottom = 52 + 260
    for curve, own in zip(found, counted.values(), strict=True):
        for (_, y), number, reference in zip(curve, own, counted["backprop"], strict=True):
            share = (math.log10(number / reference) - low) / (high - low)
            assert (bottom - y) / 260 == pytest.approx(share, abs=0.001)
    assert [x for x, _ in found[0]] == pytest.approx([62, 62 + 520 / 3, 62 + 520], abs=0.1)


def test_the_error_curves_are_the_errors(experiment):
    picture = fcsym.error_chart(experiment)
    runs = [run for t in ("weights", "compensation", "states") for run in experiment.runs if run.technique == t]
    found = curves(picture)
    assert len(found) == len(runs) == 24
    for n, technique in enumerate(("weights", "compensation", "states")):
        highest = max(run.worst for run in runs if run.technique == technique)
        bottom = 52 + n * 190 + 150
        for curve, run in zip(found[8 * n : 8 * n + 8], runs[8 * n : 8 * n + 8], strict=True):
            heights = [(bottom - y) / 150 * highest for _, y in curve]
            assert heights == pytest.approx(list(run.error), abs=highest / 1000)


def texts(picture, kind):
    """(x, y, text) of every text of a class."""
    root = ElementTree.fromstring(picture.svg)
    found = [t for t in root.iter(f"{SVG}text") if t.attrib.get("class", "") == kind]
    return [(float(t.attrib["x"]), float(t.attrib["y"]), "".join(t.itertext()).replace("−", "-")) for t in found]


def test_the_numbers_on_the_axes_are_those_of_the_places_where_they_stand(experiment):
    picture = fcsym.error_chart(experiment)
    runs = [run for run in experiment.runs if run.technique in ("weights", "compensation", "states")]
    for n, technique in enumerate(("weights", "compensation", "states")):
        highest = max(run.worst for run in runs if run.technique == technique) * 1e16
        ticks = [(y - 4, float(t)) for x, y, t in texts(picture, "fc-soft fc-end") if 0 < y - 52 - n * 190 < 160]
        assert len(ticks) > 2
        for y, number in ticks:
            assert (52 + n * 190 + 150 - y) / 150 * highest == pytest.approx(number, abs=highest / 500)
    steps = [(x, float(t)) for x, y, t in texts(picture, "fc-soft") if t.isdigit()]
    assert len(steps) > 3
    for x, step in steps:
        assert (x - 62) / 520 * 40 == pytest.approx(step, abs=0.1)
    costs = fcsym.cost_chart(NETWORK, widths=(1, 100))
    widths = [(x, float(t)) for x, y, t in texts(costs, "fc-soft") if t.isdigit()]
    assert [w for _, w in widths] == [1, 10, 100]
    assert [x for x, _ in widths] == pytest.approx([62, 322, 582])


def test_the_key_names_every_curve_with_its_colour_and_its_dashes(experiment):
    for picture in (fcsym.error_chart(experiment), fcsym.cost_chart(fcsym.Network.parse("2-2-1"))):
        root = ElementTree.fromstring(picture.svg)
        lines = [p.attrib for p in root.iter(f"{SVG}path") if p.attrib.get("class") == "fc-line"]
        key = [p for p in lines if "h26" in p["d"]]
        styles = [(p["stroke"], p.get("stroke-dasharray")) for p in key]
        assert len(set(styles)) == len(styles)
        drawn = [(p["stroke"], p.get("stroke-dasharray")) for p in lines if p not in key]
        assert set(drawn) == set(styles)
        names = [t for _, _, t in texts(picture, "fc-soft fc-left")][-len(key) :]
        if "backprop" in names:
            assert names == list(every_scheme(fcsym.Network.parse("2-2-1"), "simultaneous"))
            continue
        runs = [run for run in experiment.runs if run.technique == "weights"]
        assert names == [f"{run.sample}, {run.order}" for run in runs]
        for run, style in zip(runs, styles, strict=True):
            assert (style[1] is not None) is (run.order == "sequential")


def test_of_many_steps_the_worst_is_drawn(experiment):
    rng = np.random.default_rng(0)
    runs = tuple(
        replace(run, front=np.zeros(1000), backprop=rng.random(1000) * 1e-16)
        for technique in ("weights", "compensation", "states")
        for run in experiment.runs
        if run.technique == technique
    )
    many = replace(experiment, runs=runs)
    picture = fcsym.error_chart(many)
    assert "each point the worst of 4 steps" in picture.svg
    for curve, run in zip(curves(picture)[:8], runs[:8], strict=True):
        highest = max(one.worst for one in runs if one.technique == "weights")
        expected = run.error.reshape(-1, 4).max(axis=1)
        assert [(202 - y) / 150 * highest for _, y in curve] == pytest.approx(list(expected), abs=highest / 1000)


def test_a_run_that_is_lost_has_no_points_from_there(experiment):
    front = experiment.runs[0].front.copy()
    front[25:] = np.nan
    lost = replace(experiment, runs=(replace(experiment.runs[0], front=front), *experiment.runs[1:]))
    assert len(curves(fcsym.error_chart(lost))[0]) == 25


def test_charts_are_pictures(experiment, tmp_path):
    for picture in (fcsym.cost_chart(NETWORK), fcsym.error_chart(experiment)):
        root = ElementTree.fromstring(picture.svg)
        assert root.attrib["aria-label"] == picture.words
        assert "prefers-color-scheme: dark" in picture.svg
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image|url\(|nan|inf", picture.svg)
        assert picture.save(tmp_path / "chart.svg").stat().st_size < 100_000
    assert fcsym.cost_chart(NETWORK).svg == fcsym.cost_chart(NETWORK).svg


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("2-2-1",), {}), ((fcsym.Network.parse("2-1"),), {}), ((NETWORK, "time"), {}), ((NETWORK,), {"widths": (1,)}),
        ((NETWORK,), {"widths": (0, 1)}), ((NETWORK,), {"inputs": -1}), ((NETWORK,), {"widths": 5}),
        ((NETWORK,), {"widths": (3, 3)}), ((NETWORK,), {"widths": (1, 10**400)}), ((NETWORK,), {"widths": None}),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_sentence(arguments, settings):
    with pytest.raises(ArgumentError) as caught:
        fcsym.cost_chart(*arguments, **settings)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match="reproduce"):
        fcsym.error_chart(arguments[0])


def test_rows_of_the_audit_are_chosen_by_their_labels():
    found = fcsym.audit(rows=["eq. 13", "eq. 31, line 3"])
    assert [f.row.label for f in found.findings] == ["eq. 13 (a)", "eq. 13 (b)", "eq. 31, line 3"]
    assert found._repr_html_().count("<tr>") == 4
    assert "REFUTED" in str(found)
    assert {f.row.label for f in fcsym.audit(rows=["eq. 1"]).findings} == {"eq. 1"}
    with pytest.raises(ArgumentError, match="labels begin with"):
        fcsym.audit(rows=["eq. 99"])
