"""Files of `collapsed`: where everything is in memory, what a step makes of columns, and what a state is made of.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from points import Point, evaluate, spread
from test_small_collapsing_training import Trained
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.oracle import backpropagation
from fcsym.collapsing import export
from fcsym.collapsing.agreeing import defined
from fcsym.collapsing.alone import Trainer
from fcsym.collapsing.by_unit import ByUnit
from fcsym.collapsing.c_tables import Tables
from fcsym.collapsing.equations import named
from fcsym.collapsing.kernel import CollapsedKernel
from fcsym.collapsing.parts import ClosedParts
from fcsym.collapsing.training import Training
from fcsym.deriving.pipeline import one_step
from fcsym.kernel.rows import frozen_rows
from fcsym.kernel.targets.c import room_of
from fcsym.kernel.targets.numpy import NumpyTarget
from fcsym.networks.symbols import moment
from fcsym.schemes import states

DEEP = Network.mlp([2, 5, 3, 7, 2]), (0, 1, 3)
TABLED = {
    "two layers": DEEP,
    "above": (Network.mlp([2, 5, 3, 4, 2]), (0, 1)),
    "one layer": (Network.mlp([3, 5, 2], bias=True), (0, 1)),
    "any inputs": (Network.mlp([3, 5, 4]), (1,)),
}


def tables_of(name):
    network, layers = TABLED[name]
    _, module, table = export._known(network, "simultaneous", layers)
    return Tables(module, table, "update", {})


@pytest.mark.parametrize("name", TABLED)
def test_what_a_call_writes_down_has_room_before_the_next_begins(name):
    """For one sample and for many: by what it holds, number by number."""
    network, layers = TABLED[name]
    own = tables_of(name)
    for samples in (1, 7):
        at = {name: eval(own.text(amount), {"UPDATE_CAPACITY": samples}) for name, amount in own.offsets.items()}
        sizes = {a: n for a, n in own.module.sizes.items() if not a.open}

        def numbers(arrays, samples=samples, sizes=sizes):
            return sum(int(np.prod([samples if i.open else sizes[i] for i in a.axes])) for a in arrays)

        order = sorted(at, key=at.get)
        room = {a: at[b] - at[a] for a, b in pairwise(order)}
        assert order[-1] == "WORK" and at[order[0]] == 0
        # by how much each sample counts, its target, and what drove the step
        assert room["GIVEN"] >= samples * (1 + 2 * network.widths[-1])
        assert room["WHOLE"] >= numbers(own.arrays)
        forward = [f for f in own.module.functions if f.name == "forward"]
        assert room["PASSED"] >= max(numbers(own.module["output"].results), *(numbers(f.results) for f in forward))
        assert room["SEEN"] >= 3 * samples
        widest = max(network.widths[n] for n in layers if n)
        each = [own.most(n) for n in layers if n]
        laying = max(eval(own.text(e), {"UPDATE_CAPACITY": samples}) for e in each)
        assert room["LAYING"] >= 2 * widest * laying / max(1, len(each))


@pytest.mark.parametrize("name", TABLED)
def test_tables_say_how_long_the_axes_of_every_array_are(name):
    """A number, or -1 for the samples, or -2, -3, ... for the columns of each layer that is summed over."""
    network, layers = TABLED[name]
    own = tables_of(name)
    columns = {f"n_{n}": -2 - k for k, n in enumerate(n for n in layers if n)}

    def length(axis):
        return -1 if axis.open else columns.get(axis.name, network.widths[int(axis.name[2:])])

    axes, above = (
        re.search(r"axes\[.*?\{\n(.*?)\};", own.tables, re.S)[1],
        re.search(r"above\[.*?\{\n(.*?)\};", own.tables, re.S)[1],
    )
    found = [
        [int(n) for n in row]
        for row in re.findall(r"\{(\d+)((?:, -?\d+)*)\}", axes)
        for row in [[row[0], *row[1].split(", ")[1:]]]
    ]
    assert found == [[len(a.axes), *map(length, a.axes)] for a in own.arrays]
    rows = [list(map(int, row)) for row in re.findall(r"\{(-?\d+), (-?\d+), (-?\d+), (\d+), ", above)]
    wanted = [n for n in range(2, len(network.widths) - 1) if any(k and k < n for k in layers)]
    widths = [columns.get(f"n_{n}", network.widths[n]) for n in wanted]
    assert [row[2] for row in rows if row[3]] == widths and all(row[3] in (0, 1) for row in rows)


def arguments(text, at):
    """How many there are in the parentheses that open here."""
    depth, count = 0, 1
    for letter in text[at:]:
        depth += (letter == "(") - (letter == ")")
        count += letter == "," and depth == 1
        if not depth:
            return count
    raise AssertionError("a parenthesis is open")


def test_every_call_of_the_equations_in_c_has_as_many_arguments_as_they_take():
    """In the file, and in the program that tests it."""
    network = Network.mlp([3, 3, 2]).training(None, "sum", 2)
    rows = frozen_rows(states.build(one_step(network, "simultaneous")), 1)
    files = export.c_text_of(network, "simultaneous", (0, 1), "update", rows)
    for name, wanted in (("update.c", 5), ("update_test.c", 2)):
        takes, calls = {}, []
        for found in re.finditer(r"(static int |\(void\))?\b(\w+_core)\(", files[name]):
            count = arguments(files[name], found.end() - 1)
            if found[1] == "static int ":
                takes[found[2]] = count
            else:
                calls.append((found[2], count))
        assert len(takes) == wanted and {called for called, _ in calls} == set(takes)
        assert all(takes[called] == count for called, count in calls)
        if name == "update_test.c":
            assert "static real x[2 * UPDATE_INPUTS], target[2 * UPDATE_OUTPUTS];" in files[name]
            _, module, _ = export._known(network, "simultaneous", (0, 1))
            rooms = [room_of(f, module) for f in module.functions if f.name in ("rest", "backprop")]
            wanted = max(room.given.at(2) + room.strips.at(2) for room in rooms)
            assert int(re.search(r"plain_work\[(\d+)\]", files[name])[1]) >= max(1, wanted)
        assert files[name].count("{") == files[name].count("}") and "None" not in files[name]


@pytest.mark.parametrize("layers", [(0, 1), (1,)])
def test_a_file_in_numpy_trains_as_the_library_does_on_as_few_columns(layers):
    network = Network.mlp([2, 60, 2], bias=True).training(None, "mean" if 0 in layers else "sum")
    names = defined(export.text_of(network, "simultaneous", layers, NumpyTarget(), "update", []))
    kernel = CollapsedKernel(network, "simultaneous", layers)
    rng = np.random.default_rng(3)
    weights, x = [rng.normal(size=network.shape(a)) for a in network.parameters], rng.normal(size=(2, 2))
    ours, theirs = kernel.init(weights, x), names["init"](weights, x)
    for n in range(4):
        target = 9.0 * rng.normal(size=(2, 2))
        ours, theirs = kernel.step(ours, x, target, 0.01), names["step"](theirs, x, target, 0.01)
        assert theirs.columns[1].used == ours.columns[1].used < 60
        if n == 2:
            ours, theirs = kernel.step(ours, x[1], target[1], 0.01), names["step"](theirs, x[1], target[1], 0.01)

    def told(events):
        return [(e.step, e.layer, e.units, e.before, e.after) for e in events]

    assert told(theirs.events) == told(ours.events) != []
    for a, b in zip(names["expand"](theirs), kernel.expand(ours), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(names["output"](theirs), kernel.output(ours, x), rtol=1e-12)
    np.testing.assert_allclose(names["output"](theirs, x[1]), kernel.output(ours, x)[1], rtol=1e-12)


ALONE = {
    "a mean": (Network.mlp([2, 30, 2]).training(None, "mean"), (0, 1), 3),
    "any inputs": (Network.mlp([2, 120, 2], bias=True), (1,), 3),
    "one of any inputs": (Network.mlp([2, 30, 2], bias=True), (1,), 1),
}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", ALONE)
def test_what_a_file_trains_with_is_backpropagation(name, together):
    """On all held inputs and on some; units stand together where they may, and each alone where they may not."""
    network, layers, held = ALONE[name]
    names = defined(export.text_of(network, "simultaneous", layers, NumpyTarget(), "update", []))
    made = Trainer(names["_FUNCTIONS"], names["_TABLE"], np.asarray, together)
    rng = np.random.default_rng(4)
    weights, x = [rng.normal(size=network.shape(a)) / 4 for a in network.parameters], rng.normal(size=(held, 2))
    state, true = made.init(weights, x), weights
    assert state.run.together is together and (state.columns[1].used < network.widths[1]) is together
    for which in [list(range(held)), *([[1, 2], [0]] if held > 1 else [])]:
        target = rng.normal(size=(len(which), 2))
        trained, own = network.training(None, network.batch or "sum", len(which)), [w[None] for w in true]
        one = backpropagation(trained, "simultaneous", own, x[None, which], target[None], np.array([0.05]))
        state = made.step(state, x[which], target, 0.05)
        true = [one[f"{a.name}_new"][0] for a in network.parameters]
    assert state.steps == (3 if held > 1 else 1) and state.run.together is together
    for found, wanted in zip(made.expand(state), true, strict=True):
        np.testing.assert_allclose(found, wanted.astype(float), rtol=1e-11, atol=1e-13)
    with pytest.raises(ValueError, match="give finite numbers of shape"):
        made.init(weights, np.ones((held, 3)))


# ------------------------------------------------------------------------------------------------ of units


REMEMBERED = {
    "no bias": Network.mlp([2, 9, 2]),
    "biases": Network.mlp([2, 9, 1], bias=True),
    "a frozen bias": Network.mlp([2, 9, 1], bias=True).frozen("b1"),
    "one bias for all": Network.mlp([2, 9, 1], bias=True).shared("b1"),
}


@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("name", REMEMBERED)
def test_what_a_rule_remembers_of_pre_activations_is_that_of_their_weights(name, inputs):
    """M1 x + m1, of every unit, and quantities of it by their definitions."""
    network = REMEMBERED[name].training("momentum")
    if inputs > 1:
        network = network.training(network.rule, "sum", inputs)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=network.shape(a)) / 2 for a in network.parameters]
    x, target = rng.normal(size=network.shape(network.input)), rng.normal(size=network.shape(network.output))
    layers = (0, 1)
    search = (
        fcsym.find_collapse(network, inputs, contracted=layers, bounds=fcsym.collapsing.Bounds(rounds=1))
        .choices[0]
        .found
    )
    kernel = CollapsedKernel(network, "simultaneous", layers)
    state, plain = kernel.init(weights, x), Trained(network, "simultaneous", weights, x)
    for _ in range(3):
        state = kernel.step(state, x, target, 0.02)
        plain.step(target, 0.02)
    values, groups = state.of_units()
    own = state.run.network
    memory = {n: m[0] for n, m in plain.memory.items()}
    points, s = np.atleast_2d(x), own.pre_activation(1)
    known = dict(zip((a.name for a in network.parameters), plain.weights, strict=True))
    first = points @ known["W1"].T + known.get("b1", 0)
    np.testing.assert_allclose(values[s], first, rtol=1e-11, atol=1e-13)
    velocity = points @ memory["M1"].T + memory.get("m1", 0)
    np.testing.assert_allclose(values[moment(s, 1)], velocity, rtol=1e-11, atol=1e-13)
    (on,) = groups.values()
    assert (on.sum(axis=0) == 1).all() and len(on) == state.groups[1]
    for group in on:
        assert len(np.unique(first[:, group > 0] > 0, axis=1).T) == 1
    point = Point(search.held)
    point.known |= {**known, **memory, "x": x}
    point.seen["s1"] = first if inputs > 1 else first[0]
    point.groups = {axis: point._members(axis) for axis in search.held.groups}
    training = object.__new__(Training)
    training.network, training._found, training._now = network, search, state
    for quantity, array in zip(search.quantities, named(search.quantities), strict=True):
        numbers, indices = evaluate(quantity.at(quantity.letters), lambda a: point.array(a, False))
        wanted = spread(numbers, indices, quantity.letters).astype(float)
        np.testing.assert_allclose(training.state[array.name], wanted, rtol=1e-10, atol=1e-12)


OTHERS = {"momentum": Network.mlp([2, 9, 2]).training("momentum"), "intercepts": Network.mlp([2, 9, 2], HAT)}


@pytest.mark.parametrize("name", ["biases", "momentum", "one bias for all", "intercepts"])
def test_what_a_step_makes_of_columns_is_what_it_makes_of_their_units(name):
    """Whatever drives it: every unit is the combination of columns of its group, before the step and after it."""
    network = {**REMEMBERED, **OTHERS}[name]
    record = fcsym.scheme(network, "collapsed", batch="sum", samples=2).induction
    rng = np.random.default_rng(0)
    outputs, groups, units, columns = network.widths[-1], 3, 9, 4
    on = np.eye(groups)[rng.integers(0, groups, size=units)].T  # (groups, units)
    xi = rng.normal(size=(units, columns))
    slope, delta, eta, beta = rng.normal(size=(2, groups)), rng.normal(size=(2, outputs)), 0.1, 0.9
    a = rng.normal(size=(2, 2))
    a = a + a.T
    z = {name: rng.normal(size=(2, groups, columns)) for name in ("sz1", "Cz1", "msz1", "mCz1", "zz1", "mzz1")}
    z |= {name: rng.normal(size=(outputs, groups, columns)) for name in ("Wz2", "Mz2")}
    z["onez1"] = rng.normal(size=(groups, columns))
    shift, offset = rng.normal(), rng.normal(size=(2, groups))
    known = z | {
        "slope1": slope,
        "delta2": delta,
        "eta": eta,
        "beta": beta,
        "a0": a,
        "G1": a,
        "on1": on,
        "xi1": xi,
        "b1": shift,
        "offset1": offset,
    }
    found = {}

    def value(array):
        return np.asarray(found[array.name] if array.name in found else known[array.name])

    known |= {"M1_new": rng.normal(size=(units, 2)), "x": rng.normal(size=(2, 2))}
    for array, e in record.moving.items():
        numbers, indices = evaluate(e.rhs, value)
        found[array.name] = spread(numbers, indices, e.lhs.indices)

    def of_units(columns_):
        return np.einsum("cj,...cu,ju->...j", on, columns_, xi)

    s = of_units(z["sz1" if "sz1_new" in found else "zz1"])
    w, one = of_units(z["Wz2"]), of_units(z["onez1"])
    g = slope @ on
    error = g * (delta @ w)  # of every unit, (samples, units)
    seen = s + (shift * one if "zz1_new" in found else 0)
    line = g * seen + (offset @ on * one if name == "intercepts" else 0)
    moved = {"s": a @ error, "C": error, "W": delta.T @ line}
    remembered = network.memory != {}
    assert ("ms1_new" in found) is remembered and "s1_new" not in found
    if remembered:  # what it stands for
        np.testing.assert_allclose(found["ms1_new"].astype(float), known["x"] @ known["M1_new"].T)
    for letter, start in (("s", s), ("C", of_units(z["Cz1"])), ("W", w)):
        new = {"s": "sz1_new" if "sz1_new" in found else "zz1_new", "C": "Cz1_new", "W": "Wz2_new"}[letter]
        by = moved[letter]
        if remembered:
            own = {"s": "msz1", "C": "mCz1", "W": "Mz2"}[letter]
            by = beta * of_units(z[own]) + by
            np.testing.assert_allclose(of_units(found[f"{own}_new"]).astype(float), by, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(of_units(found[new]).astype(float), start - eta * by, rtol=1e-11, atol=1e-12)
    for array in found:
        if array in ("C1_new", "z1_new", "mC1_new"):
            np.testing.assert_allclose(found[array].astype(float), of_units(found[f"{array[:-5]}z1_new"]).astype(float))


def test_what_a_step_makes_of_columns_above_is_what_it_makes_of_their_units():
    """The matrix below them has columns, too; what the first layer moves by is as it is."""
    record = fcsym.scheme(Network.mlp([2, 3, 9, 2]), "collapsed", batch="sum", samples=2).induction
    rng = np.random.default_rng(0)
    on, xi = np.eye(3)[rng.integers(0, 3, size=9)].T, rng.normal(size=(9, 4))
    known = {
        "Wz2": rng.normal(size=(3, 4, 3)), "Wz3": rng.normal(size=(2, 3, 4)), "C1": rng.normal(size=(2, 3)),
        "slope2": rng.normal(size=(2, 3)), "v1": rng.normal(size=(2, 3)), "delta1": rng.normal(size=(2, 3)),
        "delta3": rng.normal(size=(2, 2)), "eta": 0.1,
    }  # fmt: skip
    found = {}
    for array, e in record.moving.items():
        numbers, indices = evaluate(e.rhs, lambda a: np.asarray(known[a.name]))
        found[array.name] = spread(numbers, indices, e.lhs.indices).astype(float)
    below, above = np.einsum("cj,cui,ju->ji", on, known["Wz2"], xi), np.einsum("cj,kcu,ju->kj", on, known["Wz3"], xi)
    g, v, delta = known["slope2"] @ on, known["v1"], known["delta3"]
    assert set(found) == {"Wz2_new", "Wz3_new", "C1_new"} and record.single_input
    np.testing.assert_allclose(found["C1_new"], known["C1"] - 0.1 * known["delta1"])
    made = np.einsum("cj,cui,ju->ji", on, found["Wz2_new"], xi)
    np.testing.assert_allclose(made, below - 0.1 * (g * (delta @ above)).T @ v, rtol=1e-11, atol=1e-12)
    made = np.einsum("cj,kcu,ju->kj", on, found["Wz3_new"], xi)
    np.testing.assert_allclose(made, above - 0.1 * delta.T @ (g * (v @ below.T)), rtol=1e-11, atol=1e-12)


def test_groups_of_a_layer_have_its_own_slopes_and_intercepts():
    """Whichever layer is the last one."""
    network = Network.mlp([2, 4, 2, 1], [HAT, "relu"], bias=True)
    closure = fcsym.find_collapse(network.training(None, "sum", 2), 2, contracted=(0, 1)).choices[0].closure
    made = ByUnit(ClosedParts(closure, (), ()))
    (own,) = made.groups.values()
    assert own.pre_activation.name == "s1" and own.units.name == "n_1" and own.offset is not None
    for array in (own.within, own.slope, own.offset):
        assert array.layer == 1 and {axis.name for axis in array.axes} <= {"samples", "p_1", "n_1"}
    assert {a.name for a in made._lines} == {"g1", "o1"}
