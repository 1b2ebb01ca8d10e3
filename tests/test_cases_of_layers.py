"""Case tables of networks of layers: of one unit at one place, in closed form, equal to what the kernel computes."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import sympy
from conftest import few

from fcsym import RNN, ArgumentError, Conv1d, Conv2d, Dense, Flatten, Linear, MaxPool1d, Network, derive
from fcsym.cli import main
from fcsym.networks.names import scalar_name

NETWORKS = {
    "channels": Network([Conv1d(1, 2, 2), "relu", Flatten(), Dense(2)], input=(1, 3)),
    "images": Network([Conv2d(1, 2, 2, bias=False), "leaky_relu", Flatten(), Dense(1)], input=(1, 2, 3)),
    "greatest": Network([Conv1d(1, 1, 2), "relu", MaxPool1d(2), Flatten(), Dense(1)], input=(1, 4)),
    "positions": Network([Linear(2, 2), "relu", Flatten(), Dense(1, bias=False)], input=(2, 2)),
    "two steps": Network([RNN(1, 2, nonlinearity="relu", last=True), Dense(1)], input=(2, 1)),
}

KEPT = ("greatest",)  # written out it is long: every quantity that it is made of stays a symbol


def at_random(net, d, seed):
    """Numbers for every symbol that is not derived, and what the kernel makes of them."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=net.shape(theta)) for theta in net.parameters]
    x, target = rng.normal(size=net.shape(net.input)), rng.normal(size=net.shape(net.target))
    given = dict(zip((*net.parameters, net.input, net.target), (*weights, x, target), strict=True))
    numbers = {sympy.Symbol("eta", real=True): 0.3}
    for array, values in given.items():
        for place in np.ndindex(*net.shape(array)):
            numbers[sympy.Symbol(scalar_name(net, array, place), real=True)] = float(values[place])
    return numbers, derive(net).compile().step(weights, x, target, 0.3)


def tables(name):
    """(derivation, quantity, place) for everything that has a value by cases, and for r."""
    d = derive(NETWORKS[name])
    for e in d.equations:
        if e.defines and (hasattr(e.rhs, "branches") or e.name == "r"):
            yield from ((d, e, place) for place in np.ndindex(*d.network.shape(e.array)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_row_that_holds_has_the_value_of_the_kernel(name):
    seen = set()
    for n, (d, equation, place) in enumerate(few(tables(name), 5)):
        quantity = equation.name
        numbers, after = at_random(d.network, d, n)
        kept = [e for e in d.equations if e.defines and e.name not in ("p", quantity)] if name in KEPT else []
        for e in kept:
            for at in np.ndindex(*d.network.shape(e.array)):
                numbers[sympy.Symbol(scalar_name(d.network, e.array, at), real=True)] = float(
                    getattr(after, e.name)[at]
                )
        rows = d.cases(quantity, at=tuple(i + 1 for i in place), keep=tuple(e.name for e in kept))
        holds = [row for row in rows if all(bool(c.xreplace(numbers)) for c in row.when)]
        assert len(holds) == 1
        seen.add(holds[0].name)
        value = np.nan if holds[0].value is None else float(holds[0].value.xreplace(numbers))
        np.testing.assert_allclose(value, getattr(after, quantity)[place], rtol=1e-9, atol=1e-12)
    assert seen


def test_a_unit_that_wakes_up_at_one_time_may_be_active_at_another():
    """Its change at the first step has what the weights learned at the second one, where the gate is another's."""
    d = derive(NETWORKS["two steps"])
    woken = next(row for row in d.cases("dh1_t1") if row.name == "dead -> active")
    numbers, _ = at_random(d.network, d, 0)
    names = {str(symbol): symbol for symbol in numbers}
    first = {"W1_1_1": 1, "b1_1": 0, "bh1_1": 0, "x_1_1": -0.1, "x_2_1": 2, "W2_1_1": -1, "U1_1_1": 0, "U1_1_2": 0}
    numbers |= {names[name]: value for name, value in first.items()}
    assert float(woken.value.xreplace(numbers)) != pytest.approx(-0.1)  # what s alone would be


def test_units_and_elements_are_two_ways_to_say_it():
    d = derive(NETWORKS["channels"])
    for o, t in product((1, 2), (1, 2)):
        assert d.cases("dv1", unit=(o, t)) == d.cases("dv1", at=(o, t))
        assert d.cases("p", (o, t), output=2, keep=("ds1", "vc")) == d.cases("p", at=(2, o, t), keep=("ds1", "vc"))
    assert d.expr("p", keep=("vc",)) == d.expr("p", at=(1, 1, 1), keep=("vc",))
    assert d.expr("dv1", unit=(2, 1), case="active -> dead", keep=("s1",)) == -sympy.Symbol("s1_2_1", real=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unit": 1}, "p has no unit 1: give 2 numbers from 1 to 2, 2"),
        ({"unit": (1, 3)}, r"p has no unit \(1, 3\)"),
        ({"unit": (1, 1), "output": 3}, "p has no output 3: give 1 number from 1 to 2"),
        ({"row": 1}, r"asked for by row: give the element, at=\(1, 1, 1\)"),
        ({"at": (1, 1)}, r"p has no element \(1, 1\): give 3 numbers"),
        ({"at": (1, 1, 1), "unit": (1, 1)}, "asked for by at and by unit"),
    ],
    ids=str,
)
def test_a_place_that_there_is_not_is_one_sentence(given, said):
    with pytest.raises(ArgumentError, match=said):
        derive(NETWORKS["channels"]).cases("p", **given)


WITHOUT = {
    "steps of samples": (
        derive(Network([RNN(1, 2), Linear(2, 1)], input=(2, 1)), batch="mean"), "r", "2 positions of every sample, and",
    ),
    "samples": (derive(Network.mlp([2, 3, 1]), batch="mean", samples=5), "p", "numbers: give at most 3 samples"),
    "frozen": (derive(NETWORKS["channels"].frozen("W1", "b1")), "p", "has no p: training moves nothing below"),
    "nothing hidden": (derive(Network.mlp([2, 1])), "p", "has no p: no layer is below the read-out"),
    "layers": (derive(NETWORKS["channels"]), "P", "has no P: it is known for stacks of dense layers: ask for p"),
    "momentum": (derive(Network.mlp([2, 3, 1]), rule="momentum"), "P", "has no P: the ratio of p to what the weight"),
    "smooth": (derive(Network.mlp([2, 3, 1], "tanh")), "P", "has no P: p is no polynomial in the weight"),
}  # fmt: skip


@pytest.mark.parametrize(("d", "name", "said"), WITHOUT.values(), ids=WITHOUT)
def test_what_front_contribution_does_not_have_is_said_with_its_reason(d, name, said):
    asked = [lambda: d[name]] if d.network.batch else [lambda: d.cases(name), lambda: d.expr(name), lambda: d[name]]
    for ask in asked:
        with pytest.raises(ArgumentError) as problem:
            ask()
        assert said in str(problem.value)
    assert name not in d.by_name


FILE = """
shape = [1, 3]
[[layers]]
kind = "conv1d"
out_channels = 2
kernel_size = 2
activation = "relu"
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out_features = 1
"""


def test_the_command_line_asks_by_unit_and_by_element(tmp_path, capsys):
    path = tmp_path / "net.toml"
    path.write_text(FILE)
    assert main(["cases", str(path), "--unit", "2,1", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main(["cases", str(path), "--at", "1,2,1", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert one["cases"] == other["cases"] and one["unit"] == [2, 1] and other["at"] == [1, 2, 1]
    assert [row["name"] for row in one["cases"]][:2] == ["active -> active", "active -> dead"]
    assert one["cases"][0]["when"] == "s1_2_1 > 0 and s1_2_1' > 0" and "vc_2_1" in one["cases"][0]["value"]
    for wrong in (["--unit", "3"], ["--unit", "x"], ["--at", "1,2"], ["--joint", "--unit", "1,1"]):
        assert main(["cases", str(path), *wrong]) == 2
        err = capsys.readouterr().err
        assert "Traceback" not in err and err.strip()
