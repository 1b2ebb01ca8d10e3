"""Derivations with numbers: formula = the numbers put in = value, in documents, pages and the terminal."""

from __future__ import annotations

import json
import math
import re
import shutil

import pytest
from conftest import NETWORKS, need_package

from fcsym.cli import main
from fcsym.derivation import derive
from fcsym.errors import ArgumentError, SizeError
from fcsym.networks.network import Network
from fcsym.render.worked import worked
from fcsym.values import values_of

KNOWN = {
    "relu": lambda s: max(s, 0), "relu_slope": lambda s: float(s > 0), "sigmoid": lambda s: 1 / (1 + math.exp(-s)),
    "sigmoid_slope": lambda s: math.exp(-s) / (1 + math.exp(-s)) ** 2, "tanh": math.tanh, "exp": math.exp,
    "tanh_slope": lambda s: 1 - math.tanh(s) ** 2, "softplus": lambda s: math.log1p(math.exp(s)),
    "softplus_slope": lambda s: 1 / (1 + math.exp(-s)), "leaky_relu": lambda s: s if s > 0 else s / 100,
    "leaky_relu_slope": lambda s: 1 if s > 0 else 0.01, "identity": lambda s: s, "identity_slope": lambda s: 1.0,
    "max": max, "log": math.log, "square": lambda s: s * s,
}  # fmt: skip

LIVE = {"x": [2, 3], "target": [1], "eta": 0.05, "W1": [[0.11, 0.21], [0.12, -0.08]], "W2": [[0.14, -0.15]]}


def numbers_for(network, samples=0):
    """Some numbers with two digits for every array, of both signs."""
    count = iter(range(1, 10_000))

    def some(shape):
        return [some(shape[1:]) for _ in range(shape[0])] if shape else round(math.sin(7 * next(count)), 2)

    given = {theta.name: some(network.shape(theta)) for theta in network.parameters}
    rows = (samples,) if samples else ()
    given["x"], given["target"] = some((*rows, network.inputs)), some((*rows, network.widths[-1]))
    return given | {"eta": 0.1}


def said(d):
    """Every element: its name, the numbers put in and its value."""
    for equation in d:
        for one in worked(d, equation):
            name, *links = map(repr, one.chain)
            yield name, links, one


def value_of(text):
    """The value of numbers that are put in: the arithmetic of Python is the oracle."""
    return eval(re.sub(r"([a-z_]+)'\(", r"\1_slope(", text), {"__builtins__": {}}, KNOWN)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("name", ["2-2-1", "linear", "three layers", "leaky", "smooth", "smooth, then pieces"])
def test_what_is_put_in_gives_the_value(name, order):
    network = NETWORKS[name]
    d = derive(network, order).with_values(numbers_for(network), 14)
    found = 0
    for element, links, _ in said(d):
        if len(links) == 3:
            assert math.isclose(value_of(links[-2]), float(links[-1]), rel_tol=1e-9, abs_tol=1e-12), element
            found += 1
    assert found > 10


def test_the_value_of_an_element_is_what_others_put_in():
    """A formula names what stands elsewhere with the number that is put in."""
    network = NETWORKS["three layers"]
    values = {element: links[-1] for element, links, _ in said(derive(network).with_values(numbers_for(network), 9))}
    checked = 0
    for _, (formula, numbers, *_), _ in [
        row for row in said(derive(network).with_values(numbers_for(network), 9)) if len(row[1]) > 2
    ]:
        names = re.findall(r"[A-Za-z]\w*(?:\[[\d,]+\])?", formula)
        for one in names:
            if one in values and "." in values[one]:
                assert values[one].lstrip("-") in numbers
                checked += 1
    assert checked > 50


def test_the_case_that_holds_is_said():
    network = Network.parse("2-2-1")
    given = {"x": [1, 1], "target": [0], "eta": 1, "W1": [[1, 1], [-1, -1]], "W2": [[1, 1]]}
    rows = {element: (links, one) for element, links, one in said(derive(network).with_values(given))}
    assert rows["p[1,1]"][1].case == "active -> dead"
    assert [str(c) for c in rows["p[1,1]"][1].when] == ["2 > 0", "-2 <= 0"]
    assert rows["p[1,2]"][1].case == "dead -> dead"
    assert rows["p[1,1]"][0] == ["-W2_new[1,1]", "-(-3)", "3"]


def test_where_there_is_no_value_it_is_said():
    network = Network.parse("1-1-1", bias=True)
    given = {"x": [1], "target": [1], "eta": 1, "W1": [[0]], "b1": 0, "W2": [[1]], "b2": 0}
    d = derive(network, slope_at_kink=1).with_values(given)
    rows = {element: (links, one) for element, links, one in said(d)}
    assert rows["p[1,1]"][0] == ["undefined"]
    assert rows["r[1,1]"][0] == ["W2_new[1,1] + p[1,1]", "undefined"]


@pytest.mark.parametrize(("digits", "shown"), [(1, "0.4"), (3, "0.388"), (8, "0.3880805")])
def test_so_many_digits_are_shown(digits, shown):
    d = derive(Network.parse("2-2-1")).with_values(LIVE, digits)
    assert next(links[-1] for element, links, _ in said(d) if element == "E") == shown


def test_mini_batches_rules_and_other_losses_are_written_out():
    network = Network.mlp([2, 2, 2], activation="tanh", bias=True, loss="cross_entropy")
    network = network.training("adam", "mean", 2)
    given = numbers_for(network, 2) | {"target": [0, 1]}
    d = derive(network).with_values(given, 14)
    found = [(element, links) for element, links, _ in said(d) if len(links) == 3]
    assert len(found) > 50
    for element, (_, numbers, value) in found:
        if not numbers.startswith("sqrt"):
            assert math.isclose(value_of(numbers), float(value), rel_tol=1e-9, abs_tol=1e-12), element


def test_documents_pages_and_the_terminal_have_them(tmp_path, capsys):
    need_package("latex2mathml")
    (tmp_path / "v.json").write_text(json.dumps(LIVE))
    d = derive(Network.parse("2-2-1")).with_values(tmp_path / "v.json")
    rows = {element: links for element, links, _ in said(d)}
    value = rows["y_new[1]"][-1]
    for notation in ("indexed", "paper"):
        assert value in d.latex(notation=notation)
        assert value in d.html(notation=notation)
    assert r" \cdot " in d.latex(only="s1")
    assert value not in d.latex(only="s1")
    arguments = ("derive", "2-2-1", "--values", str(tmp_path / "v.json"), "--trials", "50")
    assert main((*arguments, "--only", "y'", "-o", str(tmp_path / "d.tex"))) == 0
    assert value in capsys.readouterr().out
    assert value in (tmp_path / "d.tex").read_text()
    assert main((*arguments, "--digits", "3", "--only", "y'")) == 0
    out = capsys.readouterr().out
    assert value not in out
    assert f"{float(value):.3g}" in out
    assert derive(Network.parse("2-2-1")).numbers is None


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_document_compiles(tmp_path):
    network = NETWORKS["smooth, then pieces"]
    d = derive(network).with_values(numbers_for(network))
    assert d.save(tmp_path / "d.pdf", detail="summary").read_bytes().startswith(b"%PDF")


def test_large_arrays_are_refused_by_size():
    network = Network.parse("9-8-1")
    with pytest.raises(SizeError, match="W1 has 72 numbers, and arrays of at most 64"):
        derive(network).with_values(numbers_for(network))


@pytest.mark.parametrize("digits", [0, -1, 2.5, True, 10_000])
def test_digits_that_are_none_are_refused(digits):
    network = Network.parse("1-1")
    with pytest.raises(ArgumentError, match="give a whole number from 1"):
        derive(network).with_values(values_of(network, numbers_for(network)), digits)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--digits", "3"), "give them with --values"),
        (("--values", "nowhere.toml"), "nowhere.toml is not there"),
    ],
)
def test_wrong_options_are_one_sentence_and_status_2(capsys, arguments, said):
    assert main(("derive", "2-2-1", *arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
