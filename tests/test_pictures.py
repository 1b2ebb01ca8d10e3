from __future__ import annotations

import re
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import Browser
from conftest import NETWORKS, few, need

import fcsym
from fcsym.derivation import derive
from fcsym.drawing.picture import Picture
from fcsym.errors import ArgumentError
from fcsym.language.activation import Piece, piecewise_linear
from fcsym.language.equation import Cases
from fcsym.networks.drawn import draw
from fcsym.networks.network import Network
from fcsym.pictures.maps import case_map, case_maps

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture):
    """What is written in a picture, each name in one piece."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(picture.svg).iter(f"{SVG}text")]


def test_the_network_has_all_its_symbols():
    shown = set(texts(draw(Network.parse("2-2-1"))))
    assert {"x1", "x2", "s1", "v1", "s2", "v2", "y", *(f"w{n}" for n in range(1, 7))} <= shown
    biased = set(texts(draw(Network.parse("2-2-1", bias=True))))
    assert {"b1", "b2", "b3"} <= biased
    assert not {"b1", "b2", "b3"} & shown


def test_large_networks_are_shown_in_part(network):
    picture = draw(network)
    root = ElementTree.fromstring(picture.svg)
    assert len(list(root.iter(f"{SVG}path"))) < 250
    assert str(network) in picture.words
    wide = texts(draw(Network.parse("8-16-16-1")))
    assert {"x8", "⋮", "8 inputs", "relu, 16 units", "W(2)", "16 × 16"} <= set(wide)
    deep = texts(draw(Network.mlp([1] * 30)))
    assert "⋯" in deep
    assert len(deep) < 40


def test_pictures_say_what_they_show_and_fetch_nothing():
    d = derive(Network.parse("2-2-1"), "sequential")
    for picture in (draw(d.network), *d.case_maps()):
        root = ElementTree.fromstring(picture.svg)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == picture.words
        assert root.find(f"{SVG}title").text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image|url\(", picture.svg)
        assert "prefers-color-scheme: dark" in picture.svg


def test_names_of_readers_are_drawn(tmp_path):
    (tmp_path / "net.toml").write_text('widths = [1, 1, 1]\nnames = ["inner_a", "outer"]\n')
    assert {"innera", "outer"} <= set(texts(draw(Network.load(tmp_path / "net.toml"))))


def test_notebooks_and_files(tmp_path):
    net = Network.parse("2-2-1")
    assert net._repr_svg_() == fcsym.draw(net).svg == fcsym.draw(net)._repr_svg_()
    assert fcsym.draw(net).save(tmp_path / "net.svg").read_text() == fcsym.draw(net).svg + "\n"
    for name in ("net.png", "none/net.svg"):
        with pytest.raises(ArgumentError):
            fcsym.draw(net).save(tmp_path / name)
    with pytest.raises(ArgumentError, match="give a network"):
        fcsym.draw("2-2-1")


# ------------------------------------------------------------------------------------------------- case maps


def polygons(picture):
    """The regions of a map: for each colour its polygons, in the unit square."""
    root = ElementTree.fromstring(picture.svg)
    result = {}
    for path in root.iter(f"{SVG}path"):
        if "var(--fc-" in path.attrib.get("fill", ""):
            parts = [part for part in path.attrib["d"].replace("z", "").split("M") if part]
            result[path.attrib["fill"]] = [
                [tuple(map(float, point.split())) for point in part.split("L")] for part in parts
            ]
    names = [t for t in root.iter(f"{SVG}text") if "fc-left" in t.attrib.get("class", "")]
    return {
        "".join(name.itertext()).replace("→", "->"): shape for name, shape in zip(names, result.values(), strict=True)
    }


def axis_numbers(picture, direction):
    """(share of the axis, number) for what stands below a map (0) or at its side (1)."""
    root = ElementTree.fromstring(picture.svg)
    found = []
    for t in root.iter(f"{SVG}text"):
        if t.attrib.get("class") == "fc-soft":
            x, y = float(t.attrib["x"]), float(t.attrib["y"])
            if (y == 14 + 320 + 19) is (direction == 0):
                share = (x - 62) / 320 if direction == 0 else 1 - (y - 4 - 14) / 320
                found.append((share, float(t.text.replace("−", "-"))))
    return found


def axis_names(picture):
    """The names of both axes, that below the map first."""
    root = ElementTree.fromstring(picture.svg)
    plain = [t for t in root.iter(f"{SVG}text") if "class" not in t.attrib]
    return ["".join(t.itertext()) for t in sorted(plain, key=lambda t: -float(t.attrib["y"]))]


def inside(polygon, x, y):
    crossed = False
    for (a, b), (c, e) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (b > y) != (e > y) and x < a + (y - b) / (e - b) * (c - a):
            crossed = not crossed
    return crossed


def true_case(network, order, values, unit):
    """The case of one unit of the one hidden layer, by a forward pass and a step in exact numbers."""
    n0, n1, _ = network.widths
    w = [Fraction(values[f"w_{n}"]) for n in range(1, n0 * n1 + n1 + 1)]
    x = [Fraction(values[f"x_{n}"]) for n in range(1, n0 + 1)]
    first = [w[j * n0 : (j + 1) * n0] for j in range(n1)]
    last = w[n0 * n1 :]
    s = [sum(a * b for a, b in zip(row, x, strict=True)) for row in first]
    v = [max(value, Fraction(0)) for value in s]
    error = sum(a * b for a, b in zip(last, v, strict=True)) - Fraction(values["y_g"])
    eta = Fraction(values["eta"])
    through = last[unit] - eta * error * v[unit] if order == "sequential" else last[unit]
    after = s[unit] - (eta * error * through * sum(a * a for a in x) if s[unit] > 0 else 0)
    return f"{'active' if s[unit] > 0 else 'dead'} -> {'active' if after > 0 else 'dead'}"


@pytest.mark.parametrize(("plane", "unit"), [(("x_1", "x_2"), 1), (("eta", "w_5"), 1), (("w_3", "x_1"), 2)], ids=str)
def test_a_map_shows_the_true_case_everywhere(plane, unit, order):
    """Against a forward pass and a step of its own, at random places."""
    d = derive(Network.parse("2-2-1"), order)
    at = {"w_1": 1.2, "w_2": -1.3, "w_3": -1.1, "w_4": 0.4, "w_5": 1.3, "w_6": 1.0, "y_g": -1.4, "eta": 0.3}
    if "eta" in plane:
        at |= {"w_2": 0.3, "w_3": 0.8, "w_4": 1.5, "w_6": -0.9, "y_g": 1.5}
    at |= {"x_1": 0.5, "x_2": -1.0}
    at = {name: value for name, value in at.items() if name not in plane}
    picture = case_map(d, plane, unit, at=at)
    shapes = polygons(picture)
    assert len(shapes) > 1
    rng = np.random.default_rng(1)
    ends = [(0.0, 1.0) if name == "eta" else (-2.0, 2.0) for name in plane]
    wrong, seen = 0, set()
    for a, b in rng.random((600, 2)):
        values = at | {name: low + (high - low) * t for name, (low, high), t in zip(plane, ends, (a, b), strict=True)}
        case = true_case(d.network, order, values, unit - 1)
        seen.add(case)
        x, y = 62 + 320 * a, 14 + 320 * (1 - b)
        wrong += not any(inside(polygon, x, y) for polygon in shapes.get(case, []))
    for n, (low, high) in enumerate(ends):  # the numbers on the axes stand where they are
        ticks = axis_numbers(picture, n)
        assert len(ticks) == 5
        for share, number in ticks:
            assert low + (high - low) * share == pytest.approx(number)
    assert axis_names(picture) == [name.replace("eta", "η").replace("_", "") for name in plane]
    assert wrong <= (0 if "eta" in plane else 3)  # over x there are slivers, thinner than a cell
    assert len(seen) > 1


def test_a_wrong_map_would_be_seen():
    """Maps of the two orders differ, and each agrees with its own order only."""
    net = Network.parse("2-2-1")
    at = {"w_1": 1.2, "w_2": 0.3, "w_3": 0.8, "w_4": 1.5, "w_6": -0.9, "x_1": 1.5, "x_2": -1.0, "y_g": 1.5}
    a, b = (case_map(derive(net, order), ("eta", "w_5"), at=at) for order in ("simultaneous", "sequential"))
    assert polygons(a) != polygons(b)


def test_cases_have_colours_of_their_own():
    """Three pieces have nine cases, and five have twenty-five."""
    for count in (3, 5):
        level, made = Fraction(0), []
        for n in range(count):
            slope = Fraction((-1) ** n * (n + 1))
            start = Fraction(n - 1)
            made.append(Piece(Fraction(n) if n < count - 1 else None, slope, level - slope * start))
            level += slope
        phi = piecewise_linear("zigzag", made)
        picture = case_map(derive(Network.mlp([2, 2, 1], activation=phi)), ends=((-6, 6), (-6, 6)))
        root = ElementTree.fromstring(picture.svg)
        keys = [r.attrib for r in root.iter(f"{SVG}rect") if r.attrib.get("width") == "12"]
        colours = [(key["fill"], key.get("fill-opacity")) for key in keys]
        assert len(set(colours)) == len(colours) > (6 if count == 3 else 12)


def test_the_regions_fill_the_map(order):
    d = derive(Network.mlp([2, 3, 2, 2], activation="leaky_relu", bias=True), order)
    for layer in (1, 2):
        picture = case_map(d, unit=2, layer=layer)
        areas = [
            abs(sum(x * q - p * y for (x, y), (p, q) in zip(s, [*s[1:], s[0]], strict=True))) / 2
            for shapes in polygons(picture).values()
            for s in shapes
        ]
        assert sum(areas) == pytest.approx(320 * 320, rel=1e-5)
        assert set(polygons(picture)) <= {b.name for b in d[f"dv{layer}"].rhs}


def test_default_maps_are_there_and_deterministic(derivation):
    maps = derivation.case_maps()
    hidden = [e for e in derivation if e.name.startswith("dv") and isinstance(e.rhs, Cases)]
    assert len(maps) == (0 if not hidden else 1 + (derivation.network.inputs == 2))
    assert all(isinstance(picture, Picture) for picture in maps)
    assert [picture.svg for picture in maps] == [picture.svg for picture in case_maps(derivation)]


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_a_map_does_not_depend_on_how_sums_are_rounded(order, monkeypatch):
    """Samples are round numbers, and the points of a grid are too: many lie on a kink."""
    d = derive(Network.mlp([2, 3, 2, 1]), order)
    drawn = [picture.svg for picture in case_maps(d)]
    monkeypatch.setattr(np, "matvec", lambda a, b: (a * b[..., None, :])[..., ::-1].sum(-1))
    monkeypatch.setattr(np, "vecmat", lambda a, b: (b * a[..., :, None])[..., ::-1, :].sum(-2))
    assert [picture.svg for picture in case_maps(d)] == drawn


def test_wrong_arguments_are_one_sentence():
    d = derive(Network.parse("2-2-1"))
    for arguments in (
        {"plane": ("x_1", "x_1")}, {"plane": "x_1"}, {"plane": ("x_1", "q")}, {"unit": 3}, {"unit": "1"},
        {"layer": 2}, {"at": {"x_1": 1.0}}, {"at": {"w_1": float("nan")}}, {"at": {"s_1": 1}},
        {"ends": ((1, 0), (0, 1))}, {"ends": 3},
    ):  # fmt: skip
        with pytest.raises(ArgumentError) as caught:
            d.case_map(**arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match="no cases"):
        derive(Network.parse("2-1")).case_map()


LONG = """widths = [3, 3, 2, 2]
bias = true
activation = ["relu", "a_name_of_thirty_two_letters_abc"]
names = ["first_layer_matrix_is_long", "shift_of_the_first_layer", "second", "b", "uppermost_matrix", "last_shift"]
[[activations]]
name = "a_name_of_thirty_two_letters_abc"
pieces = [{ upper = 0, slope = 0.5 }, { slope = 2 }]
"""
COLLISIONS = """(() => {
    const frame = document.documentElement.getBoundingClientRect(), found = [];
    const texts = [...document.querySelectorAll('text:not(.fc-halo)')].filter(t => t.textContent.trim());
    const boxes = texts.map(t => t.getBoundingClientRect());
    texts.forEach((t, i) => {
        const a = boxes[i];
        if (a.left < frame.left - 1 || a.right > frame.right + 1) found.push(t.textContent + ' leaves the picture');
        boxes.slice(0, i).forEach((b, j) => {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 2 && high > 5) found.push(t.textContent + ' on ' + texts[j].textContent);
        });
    });
    for (const unit of document.querySelectorAll('.fc-unit')) {
        const u = unit.getBoundingClientRect();
        texts.forEach((t, i) => {
            const a = boxes[i], inner = a.left >= u.left && a.right <= u.right;
            const high = Math.min(a.bottom, u.bottom) - Math.max(a.top, u.top);
            const across = a.right > u.left + 1 && a.left < u.right - 1;
            if (!inner && across && high > 6) found.push(t.textContent + ' on a unit');
        });
    }
    return found })()"""


def test_names_do_not_cover_each_other(tmp_path):
    """In networks of every kind, with the readers' long names too; and a picture where they do is seen."""
    (tmp_path / "net.toml").write_text(LONG)
    networks = {
        **NETWORKS, "long names": Network.load(tmp_path / "net.toml"),
        "crowded": Network.parse("3-3-3-3", bias=True), "one to three": Network.parse("1-3-1", bias=True),
        "large": Network.mlp([1000, 784, 10]), "four layers": Network.parse("3-3-2-3-2", "leaky_relu", True),
    }  # fmt: skip
    browser = Browser(need("chromium"), tmp_path / "profile")
    try:
        for name, network in few(networks.items(), 8):
            pictures = [draw(network), *(derive(network).case_maps() if network.inputs < 4 else ())]
            for picture in (*pictures, *([fcsym.cost_chart(network)] if len(network.layers) > 1 else [])):
                browser.open(picture.save(tmp_path / "picture.svg"))
                assert browser.value(COLLISIONS) == [], name
        svg = draw(Network.parse("2-2-1")).svg
        moved = re.sub(r'(<text x=")[0-9.]+(" y=")[0-9.]+', r"\g<1>100\g<2>100", svg)
        browser.open(Picture(moved, "").save(tmp_path / "picture.svg"))
        assert browser.value(COLLISIONS)
    finally:
        browser.close()


def test_a_map_of_what_overflows_says_nothing():
    """Warnings are errors here: far from what is learned, numbers leave the floating-point range."""
    d = derive(Network.parse("2-2-2-2-2-2-2-2-2-1"))
    assert len(d.case_map(("x_1", "x_2"), ends=((-1e200, 1e200), (-1e200, 1e200))).svg) > 1000


def test_a_browser_draws_them(tmp_path):
    browser = Browser(need("chromium"), tmp_path / "profile")
    try:
        d = derive(NETWORKS["three layers"])
        for n, picture in enumerate((draw(d.network), *d.case_maps())):
            browser.open(picture.save(tmp_path / f"{n}.svg"))
            assert len(browser.requests) == 1
            empty = "[...document.querySelectorAll('text')].filter(t => t.getBoundingClientRect().width < 1).length"
            assert browser.value(empty) == 0
            outside = """(() => { const f = document.documentElement.getBoundingClientRect();
                return [...document.querySelectorAll('text, rect, circle')].filter(e => {
                const r = e.getBoundingClientRect(); return r.left < f.left - 1 || r.right > f.right + 1
                    || r.top < f.top - 1 || r.bottom > f.bottom + 1 }).length })()"""
            assert browser.value(outside) == 0
    finally:
        browser.close()


def test_weights_have_the_names_that_pictures_show_too():
    d = derive(Network.parse("1-2-2-1"))
    one, other = (case_map(d, ("eta", name), at={first: 0.7}) for name, first in (("w_7", "w_1"), ("W3_1_1", "W1_1_1")))
    assert one == other and axis_names(one)[1] == "w7"
    with pytest.raises(ArgumentError, match="two names of one number"):
        case_map(d, ("w_7", "W3_1_1"))
