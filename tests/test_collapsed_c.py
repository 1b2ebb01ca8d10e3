"""Files of `collapsed` in C: they train as backpropagation and as the NumPy scheme do, over gate events."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from conftest import few
from test_carried import CASES, start, trained
from test_collapsed_export import TOLD, apart

import fcsym
from fcsym.collapsing import export as files
from fcsym.collapsing.agreeing import c_agrees
from fcsym.collapsing.c_running import CFiles
from fcsym.kernel.native import compiler

pytestmark = pytest.mark.skipif(not compiler(), reason="there is no C compiler")


def built(network, order, contracted, inputs, dtype=float, change=lambda text: text):
    """The functions of files without frozen rows, for so many inputs."""
    texts = files.c_text_of(network, order, contracted, "update", [])
    texts["update.c"] = change(texts["update.c"])
    return CFiles(texts, network, "update", inputs, dtype)


def together(network, inputs):
    return network if network.batch else network.training(network.rule, "sum", inputs)


@pytest.mark.parametrize(("name", "order"), few(TOLD, 6))
def test_files_train_as_backpropagation(name, order):
    text, settings, inputs, contracted = CASES[name]
    network = fcsym.Network.parse(text, **settings)
    weights, x, target = start(network, inputs)
    made = built(network, order, contracted, inputs)
    state, eta = made.init(weights, x), 0.004 if "hat" in str(network) else 0.02
    for _ in range(40):
        state = made.step(state, None, target, eta)
    wanted = trained(together(network, inputs), order, weights, np.atleast_2d(x), np.atleast_2d(target), eta, 40)
    assert apart(made.expand(state), wanted) < 1e-13


def events_of(made, weights, x, goals, eta):
    """The state at the end, its events, and those of backpropagation beside it, of 200 units and relu."""
    state, (w, v) = made.init(weights, x), map(np.array, weights)
    gates, changed, told = x @ w.T > 0, [], []
    for step, goal in enumerate(goals):
        made.step_in_place(state, None, goal, eta)
        s = x @ w.T
        error = np.maximum(s, 0) @ v.T - goal
        w, v = w - eta * ((error @ v) * (s > 0)).T @ x, v - eta * error.T @ np.maximum(s, 0)
        after = x @ w.T > 0
        for unit in np.flatnonzero((after != gates).any(axis=0)).tolist():
            changed.append((step, unit, tuple(2 * gates[:, unit].astype(int)), tuple(2 * after[:, unit].astype(int))))
        gates = after
        told += [(step, *one) for one in made.crossed(state)]
    return state, sorted(told), sorted(changed), (w, v)


GOALS = [6 * np.random.default_rng(0).normal(size=(3, 2)) * (1 + np.sin(step / 10)) for step in range(1, 901)]


def test_hundreds_of_units_leave_their_columns_when_they_do_in_backpropagation():
    """Never a step late, and no other; the weights are those of backpropagation, and of the NumPy scheme."""
    network = fcsym.Network.parse("4-200-2")
    weights, x, _ = start(network, 3, seed=3)
    made = built(network, "simultaneous", (0, 1), 3)
    assert made.columns(made.init(weights, x)) < 60
    state, told, changed, wanted = events_of(made, weights, x, GOALS, 4e-3)
    assert len(changed) > 200 and told == changed
    assert apart(made.expand(state), wanted) < 1e-11
    kernel = fcsym.scheme(network, "collapsed").compile()
    other = kernel.init(weights, x)
    for goal in GOALS:
        other = kernel.step(other, None, goal, 4e-3)
    assert apart(made.expand(state), kernel.expand(other)) < 1e-11
    np.testing.assert_allclose(made.output(state), kernel.output(other, None), rtol=0, atol=1e-11)


def test_a_bound_that_is_too_wide_is_seen():
    """The comparison is sharp: units that are looked at when they have gone further than they may are late."""
    network = fcsym.Network.parse("4-200-2")
    weights, x, _ = start(network, 3, seed=3)
    made = built(network, "simultaneous", (0, 1), 3, change=lambda c: c.replace("< c->due[", "< (real)30 * c->due["))
    _, told, changed, _ = events_of(made, weights, x, GOALS[:200], 4e-3)
    assert told != changed


def test_units_that_leave_blocks_are_laid_aside_until_all_are_laid_out_anew():
    """Both ways are gone: the columns grow by the units that left, and are fewer again afterwards."""
    network = fcsym.Network.parse("4-200-2")
    weights, x, _ = start(network, 3, seed=3)
    made = built(network, "simultaneous", (0, 1), 3, change=lambda c: c.replace("*c->laid / 32 : 32", "2 : 2"))
    state, counts = made.init(weights, x), []
    for goal in GOALS[:300]:
        made.step_in_place(state, None, goal, 4e-3)
        counts.append(made.columns(state))
    steps = np.diff(counts)
    assert (steps > 0).any() and (steps < 0).any()
    _, told, changed, _ = events_of(made, weights, x, GOALS[:300], 4e-3)
    assert told == changed


def test_what_a_rule_remembers_is_carried_in_means_and_on_some_of_the_inputs():
    rule = fcsym.rule("momentum", weight_decay=0.1)
    network = fcsym.Network.parse("3-60-1", bias=True).training(rule, "mean")
    weights, x, target = start(network, 2)
    made = built(network, "sequential", (0, 1), 2)
    state = made.init(weights, x)
    for _ in range(30):
        state = made.step(state, None, target, 0.02)
    wanted = trained(network.training(rule, "mean", 2), "sequential", weights, x, target, 0.02, 30)
    assert apart(made.expand(state), wanted) < 1e-13
    state, which = made.init(weights, x), [0, 1, 1, 0] * 4
    for one in which:
        state = made.step(state, [one], target[one], 0.01)
    wanted = trained(network.training(rule), "sequential", weights, x, target, 0.01, 16, which)
    assert apart(made.expand(state), wanted) < 1e-13


def test_units_on_kinks_stay_there_in_a_group_of_many_and_above_it():
    """Numbers that floats have exactly: two of forty units are on their kinks, and a unit above them is on its own."""
    network = fcsym.Network.parse("1-40-2-1")
    weights = [np.ones((40, 1)), np.array([[1.0, -1.0] * 20, [0.125, 0.25] * 20]), np.ones((1, 2))]
    weights[0][6:8] = 0
    for order in ("sequential", "simultaneous"):
        made = built(network, order, (0, 1), 1)
        state = made.init(weights, [1.0])
        assert made.columns(state) == 40  # the unit above is on its kink: none stand together
        state = made.step(state, None, [4.0], 0.25)
        wanted = trained(network, order, weights, np.array([1.0]), np.array([4.0]), 0.25, 1)
        assert apart(made.expand(state), wanted) < 1e-14
        assert 2 < made.columns(state) < 10  # the two, and those for the rest
        assert made.columns(made.init(weights, [1.0], "init_apart")) == 40


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.ones((3, 2)), np.array([[1.0, 2], [2, 4], [-1, -2]])])
def test_inputs_that_are_nothing_equal_or_parallel_and_units_that_are_equal(x):
    """Columns of less than full rank: every unit is as it was, and equal ones stay equal."""
    network = fcsym.Network.parse("2-90-2", bias=True)
    one = np.random.default_rng(1).normal(size=(3, 2))
    weights = [np.repeat(one, 30, axis=0), np.repeat([1.0, -1, 0.5], 30), np.repeat(one.T, 30, axis=1) / 10, one[0]]
    target = np.random.default_rng(2).normal(size=(3, 2))
    made = built(network, "simultaneous", (0, 1), 3)
    state = made.init(weights, x)
    assert made.columns(state) < 40
    for _ in range(20):
        state = made.step(state, None, target, 0.002)
    wanted = trained(together(network, 3), "simultaneous", weights, x, target, 0.002, 20)
    assert apart(made.expand(state), wanted) < 1e-13


@pytest.mark.parametrize("slope", [0, "1/2"])
def test_many_units_that_stand_together_reach_a_kink_at_once(slope):
    network = fcsym.Network.parse("1-40-1").with_slope_at_kink(slope)
    made, x = built(network, "simultaneous", (0, 1), 1), np.ones((1, 1))
    for w, left in ((np.ones((40, 1)), 40), (1 + (np.arange(40)[:, None] < 20), 20)):
        weights = [w.astype(float), np.full((1, 40), 4.0)]
        target, state = weights[1] @ weights[0] - 0.25, made.init(weights, x)
        assert made.columns(state) == 2
        state = made.step(state, None, target, 1.0)
        assert len(made.crossed(state)) == left
        state = made.step(state, None, target, 1.0)
        assert (
            apart(made.expand(state), trained(together(network, 1), "simultaneous", weights, x, target, 1.0, 2)) < 1e-9
        )


def test_what_does_not_fit_is_refused_and_changes_nothing():
    network = fcsym.Network.parse("2-9-2")
    weights, x = [np.ones((9, 2)), np.ones((2, 9))], np.eye(2)
    made = built(network, "simultaneous", (0, 1), 2)
    for samples in (0, 3, -1):
        with pytest.raises(ValueError, match="status 2"):
            made.init(weights, x, samples=samples)
    state = made.init(weights, x)
    before = state.copy()
    for which in ([], [0, 1, 1], [2], [-1], [1, 1]):
        with pytest.raises(ValueError, match="status 2"):
            made.step_in_place(state, which, np.ones((3, 2)), 0.1)
    assert (state == before).all()
    with pytest.raises(ArithmeticError):
        made.step(state, None, np.ones((2, 2)) * 1e200, 1e200)
    single = built(network, "simultaneous", (0, 1), 2, np.float32)
    state = single.step(single.init(weights, x), None, np.ones((2, 2)), 0.01)
    wanted = trained(together(network, 2), "simultaneous", weights, x, np.ones((2, 2)), 0.01, 1)
    assert apart(single.expand(state), wanted) < 1e-5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Files on disk, with numbers that a reader gave."""
    scheme = fcsym.scheme(fcsym.Network.parse("2-60-2", bias=True), "collapsed")
    values = {"x": [1, 2], "target": [1, 0], "W1": [[1, 0]] * 60, "W2": [["1/4"] * 60] * 2, "eta": "1/64"}
    values |= {"b1": [0] * 60, "b2": [0, 0]}
    made = scheme.export(tmp_path_factory.mktemp("files") / "update.c", values=values)
    assert [where.name for where in made] == ["update.h", "update.c", "update_test.c", "update.mk"]
    assert "the numbers that were given" in made[2].read_text()
    return made


STRICT = "-std=c99 -O1 -Wall -Wextra -pedantic -Wconversion -Werror"


@pytest.mark.parametrize(
    ("target", "cc", "plus", "flags"),
    [
        ("update_test", "gcc", "g++", f"{STRICT} -g -fsanitize=address,undefined -fno-sanitize-recover=all"),
        ("test", "clang", "clang++", STRICT),
        ("cpp", "gcc", "g++", STRICT),
    ],
)
def test_files_need_nothing(tmp_path, written, target, cc, plus, flags):
    """No warning in C99 nor C++, in either precision; of the sanitizers nothing is heard."""
    if not (shutil.which(cc) and shutil.which(plus)):
        pytest.skip(f"there is no {cc}")
    for path in written:
        shutil.copy(path, tmp_path)
    settings = [f"CC={cc}", f"CXX={plus}", f"CFLAGS={flags}", f"CXXFLAGS={flags.replace('c99', 'c++17')}"]
    done = subprocess.run(
        ["make", "-f", "update.mk", target, *settings], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if target == "update_test":
        run = subprocess.run([tmp_path / "update_test"], capture_output=True, text=True, check=False)
        assert not run.returncode and not run.stderr
        done = run
    said = [line for line in done.stdout.splitlines() if "rows agree" in line]
    assert len(said) == {"update_test": 1, "test": 2, "cpp": 3}[target] and int(said[0].split()[-5]) > 10


def test_files_that_are_wrong_are_not_written(tmp_path, monkeypatch, capsys):
    scheme = fcsym.scheme(fcsym.Network.parse("2-60-2"), "collapsed")
    texts = files.c_text_of(scheme.network, "simultaneous", (0, 1), "update", [])
    broken = {**texts, "update.c": texts["update.c"].replace("own[c] -= own[j] * sums[c];", "own[c] -= sums[c];")}
    assert broken != texts
    assert "is off by" in c_agrees(broken, "", scheme.network, "simultaneous", "update", [])
    rows = files._rows(scheme.network, "simultaneous", None)
    kinks = texts["update.c"].replace(
        "(s > t->kink[k] + near) + (s >= t->kink[k] - near)", "2 * (s >= t->kink[k] - near)"
    )
    assert kinks != texts["update.c"]
    said = c_agrees({**texts, "update.c": kinks}, "", scheme.network, "simultaneous", "update", rows)
    assert "from exact evaluation" in said
    monkeypatch.setattr(files, "c_agrees", lambda *_: "it is wrong")
    with pytest.raises(fcsym.ExportError, match=r"collapsed of 2-60-2 is not exported: it is wrong\."):
        scheme.export(tmp_path / "update.c")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(files, "c_agrees", lambda *_: "")
    from fcsym.cli import main

    assert main(["export", "4-30-2", "--scheme", "collapsed", "--target", "c", "-o", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checked"] and len(told["files"]) == 4
