"""Stand-alone files of `collapsed`: they need nothing of fcsym, and train as backpropagation does over gate events."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import few
from test_carried import CASES, start, trained

import fcsym
from fcsym.collapsing import export as files
from fcsym.collapsing.agreeing import agrees, defined
from fcsym.collapsing.sources import MODULES
from fcsym.kernel.export import TARGETS

LIBRARIES = ("numpy", "torch", "jax")
TOLD = [
    (name, order)
    for name, (_, _, _, layers) in CASES.items()
    for order in ("simultaneous", "sequential")
    if "shared" not in name and any(layers)
]


def made(network, order, contracted, target="numpy"):
    """What a file defines, without frozen rows; in double precision where a library has to be told."""
    if target != "numpy":
        library = pytest.importorskip(target)
        if target == "jax":
            library.config.update("jax_enable_x64", True)
    return defined(files.text_of(network, order, contracted, TARGETS[target], "update", []))


def apart(got, wanted):
    """The largest difference of two lists of arrays."""
    return max(float(np.abs(np.asarray(a) - b).max()) for a, b in zip(got, wanted, strict=True))


def beside(names, network, order, x, target, weights, eta, steps):
    """The state of a file after so many steps, and how far it is from backpropagation by autograd."""
    state = names["init"](weights, x)
    for _ in range(steps):
        state = names["step"](state, x, target, eta)
    together = network if network.batch else network.training(network.rule, "sum", len(np.atleast_2d(x)))
    wanted = trained(together, order, weights, np.atleast_2d(x), np.atleast_2d(target), eta, steps)
    return state, apart(names["expand"](state), wanted)


@pytest.mark.parametrize(
    ("name", "order", "target"),
    [(*case, "numpy") for case in few(TOLD, 8)]
    + [(*case, target) for n, target in enumerate(LIBRARIES[1:]) for case in few(TOLD, 1, turn=n)],
)
def test_a_file_trains_as_backpropagation(name, order, target):
    text, settings, inputs, contracted = CASES[name]
    network = fcsym.Network.parse(text, **settings)
    weights, x, wanted = start(network, inputs)
    names = made(network, order, contracted, target)
    eta = 0.004 if "hat" in str(network) else 0.02
    state, off = beside(names, network, order, x, wanted, weights, eta, 40 if target == "numpy" else 10)
    assert off < 1e-13
    assert np.shape(names["output"](state, x)) == (() if np.ndim(x) == 1 else (inputs,)) + (network.widths[-1],)


@pytest.mark.parametrize("target", LIBRARIES)
def test_units_leave_their_columns_when_they_do_in_backpropagation(target):
    """Never a step late, and no other; the units of a pattern stand together before and after."""
    network = fcsym.Network.parse("4-200-2")
    weights, x, _ = start(network, 3, seed=3)
    names = made(network, "simultaneous", (0, 1), target)
    state, (w, v) = names["init"](weights, x), map(np.array, weights)
    assert len(state.columns[1].blocks) > 3 and state.columns[1].used < 60
    goal = 6 * np.random.default_rng(0).normal(size=(3, 2))
    gates, changed = x @ w.T > 0, []
    for step in range(1, 301 if target == "numpy" else 61):
        now = goal * (1 + np.sin(step / 10))
        state = names["step"](state, None, now, 4e-3)
        s = x @ w.T
        error = np.maximum(s, 0) @ v.T - now
        w, v = w - 4e-3 * ((error @ v) * (s > 0)).T @ x, v - 4e-3 * error.T @ np.maximum(s, 0)
        after = x @ w.T > 0
        crossed = np.flatnonzero((after != gates).any(axis=0)).tolist()
        changed += [(step, unit, tuple(gates[:, unit]), tuple(after[:, unit])) for unit in crossed]
        gates = after
    told = [
        (e.step, unit, tuple(p > 0 for p in e.before), tuple(p > 0 for p in e.after))
        for e in state.events
        for unit in e.units
    ]
    assert len(changed) > (60 if target == "numpy" else 20) and sorted(told) == sorted(changed)
    assert apart(names["expand"](state), (w, v)) < 1e-11


def test_a_bound_that_is_too_wide_is_seen():
    """The comparison is sharp: units that are looked at when they have gone further than they may are late."""
    network = fcsym.Network.parse("4-200-2")
    weights, x, _ = start(network, 3, seed=3)
    late = []
    for factor in (1.0, 30.0):
        names = made(network, "simultaneous", (0, 1))
        due = names["Columns"]._due
        names["Columns"]._due = lambda *given, due=due, factor=factor: factor * due(*given)
        target = 6 * np.random.default_rng(0).normal(size=(3, 2))
        late.append(beside(names, network, "simultaneous", x, target, weights, 4e-3, 60)[1])
    assert late[0] < 1e-11 < 1e-6 < late[1]


def test_what_a_rule_remembers_is_carried_in_means_and_on_some_of_the_inputs():
    rule = fcsym.rule("momentum", weight_decay=0.1)
    network = fcsym.Network.parse("3-60-1", bias=True).training(rule, "mean")
    weights, x, target = start(network, 2)
    names = made(network, "sequential", (0, 1))
    assert beside(names, network.training(rule, "mean", 2), "sequential", x, target, weights, 0.02, 30)[1] < 1e-13
    state, which = names["init"](weights, x), [0, 1, 1, 0] * 4
    for one in which:
        state = names["step"](state, x[one], target[one], 0.01)
    wanted = trained(network.training(rule), "sequential", weights, x, target, 0.01, 16, which)
    assert apart(names["expand"](state), wanted) < 1e-13


def test_a_unit_on_a_kink_stays_there_in_a_group_of_many_and_above_it():
    """Numbers that floats have exactly: two of forty units are on their kinks, and a unit above them is on its own."""
    network = fcsym.Network.parse("1-40-2-1")
    weights = [np.ones((40, 1)), np.array([[1.0, -1.0] * 20, [0.125, 0.25] * 20]), np.ones((1, 2))]
    weights[0][6:8] = 0
    for order in ("sequential", "simultaneous"):
        names = made(network, order, (0, 1))
        state = names["init"](weights, np.array([1.0]))
        assert not state.turned and not state.columns[1].blocks
        state = names["step"](state, None, np.array([4.0]), 0.25)
        wanted = trained(network, order, weights, np.array([1.0]), np.array([4.0]), 0.25, 1)
        assert apart(names["expand"](state), wanted) < 1e-14 and state.turned
        assert state.columns[1].blocks and {6, 7} <= set(state.columns[1].unit_of.tolist())


def test_what_does_not_fit_is_said():
    names = made(fcsym.Network.parse("2-9-2"), "simultaneous", (0, 1))
    weights, x = [np.ones((9, 2)), np.ones((2, 9))], np.eye(2)
    state = names["init"](weights, x)
    for call, said in (
        (lambda: names["init"](weights[:1], x), "1 arrays were given"),
        (lambda: names["init"](weights, np.ones((2, 3))), r"x has shape \(2, 3\)"),
        (lambda: names["init"]([weights[0], weights[1].T], x), "W2 has shape"),
        (lambda: names["init"](weights, x * np.nan), "finite"),
        (lambda: names["step"](state, [[3.0, 4.0]], [[1.0, 1.0]], 0.1), "not what init was given"),
        (lambda: names["step"](state, [1.0], [1.0, 1.0], 0.1), "not what init was given"),
        (lambda: names["step"](state, None, [1.0, 1.0], 0.1), "target has shape"),
        (lambda: names["step"](state, None, np.ones((2, 2)), np.inf), "eta has shape"),
    ):
        with pytest.raises(ValueError, match=said):
            call()
    with pytest.raises(ArithmeticError, match="not finite"):
        names["step"](state, None, np.ones((2, 2)) * 1e200, 1e200)
    single = names["init"]([w.astype(np.float32) for w in weights], x.astype(np.float32))
    single = names["step"](single, None, np.ones((2, 2)), 0.1)
    assert {a.dtype for a in names["expand"](single)} == {np.dtype(np.float32)}


def test_a_file_is_written_after_it_was_checked_and_needs_nothing(tmp_path, monkeypatch):
    scheme = fcsym.scheme(fcsym.Network.parse("2-30-2"), "collapsed")
    values = {"x": [1, 2], "target": [1, 0], "W1": [[1, 0]] * 30, "W2": [["1/4"] * 30] * 2, "eta": "1/64"}
    (where,) = scheme.export(tmp_path / "update.py", values=values)
    text = where.read_text()
    assert "import fcsym" not in text and "from fcsym" not in text and "the numbers that were given" in text
    told = subprocess.run([sys.executable, "-I", "-W", "error", where], capture_output=True, text=True, check=True)
    assert "rows agree with exact evaluation; beside backpropagation over" in told.stdout
    assert int(told.stdout.split()[-5]) > 10
    broken = text.replace("travelled + distance / length", "9 + travelled + distance / length")
    assert "is not what backpropagation has" in agrees(broken, scheme.network, "simultaneous")
    monkeypatch.setattr(files, "agrees", lambda *_: "it is wrong")
    with pytest.raises(fcsym.ExportError, match=r"collapsed of 2-30-2 is not exported: it is wrong\."):
        scheme.export(where)
    assert where.read_text() == text
    monkeypatch.setattr(files, "agrees", lambda *_: "")
    monkeypatch.setattr(files, "_rows", lambda *_: [])
    scheme.export(where)
    assert where.read_text() != text  # its own file is replaced
    assert [path.name for path in tmp_path.iterdir()] == ["update.py"]


def test_what_a_file_has_is_what_the_library_runs():
    """One engine: its modules know NumPy and each other alone, share no name, and a file has them all."""
    known, names = set(), []
    for module in MODULES:
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= {"math", "numpy"}, module
            if isinstance(node, ast.ImportFrom):
                own = str(node.module).startswith("fcsym")
                assert node.module in known if own else node.module.split(".")[0] in sys.stdlib_module_names
        known.add(module.__name__)
        names += [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
        names += [target.id for target in targets if target.id not in ("_Values", "_Places", "__all__")]
    assert len(names) == len(set(names)) > 30
    for target in LIBRARIES:
        text = files.text_of(fcsym.Network.parse("2-5-2"), "simultaneous", (0, 1), TARGETS[target], "update", [])
        tops = ast.parse(text).body
        own = [node.name for node in tops if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        own += [t.id for node in tops if isinstance(node, ast.Assign) for t in node.targets]
        assert len(own) == len(set(own)) and set(own) > set(names)
