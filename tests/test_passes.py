"""Every pass of the lowering has a corrupted twin, and what stands between the lowering and a reader refuses it.

A pass is a function of `fcsym.kernel` that makes a node, statements, a function or a module of the neutral form: they
are found in the code. The twin gives what the pass gives, made wrong.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest
from conftest import few, need

import fcsym
import fcsym.kernel
from fcsym.errors import FcsymError
from fcsym.kernel import neutral as n


def doubled(node: n.Node) -> n.Node:
    return n.Product((n.Const(Fraction(2)), node))


def ends_wrong(function: n.Function) -> n.Function:
    """The function with its last result doubled."""
    last = max((m for m, s in enumerate(function.statements) if isinstance(s, n.Define)), default=None)
    return replace(function, statements=tuple(wrong(s) if m == last else s for m, s in enumerate(function.statements)))


def wrong(made: Any) -> Any:
    """What a pass gives, made wrong."""
    match made:
        case n.Module():
            return replace(made, functions=tuple(map(ends_wrong, made.functions)))
        case n.Function():
            return ends_wrong(made)
        case n.Define():
            return replace(made, value=doubled(made.value))
        case n.Mark():
            return made
        case n.Test(relation=relation):
            return replace(made, relation=OTHERWISE[relation])
        case (n.Test(), *_) if isinstance(made, tuple):
            return tuple(map(wrong, made))
        case ():
            return made
        case [*before, n.Define() as last] if isinstance(made, list):
            return [*before, wrong(last)]
        case list():
            return made
        case (int() as sign, node):
            return -sign, node
        case (node, read):
            return doubled(node), read
        case _:
            return doubled(made)


OTHERWISE = {">": "<=", "<=": ">", "==": "!=", "!=": "=="}

KINDS = (
    "n.Node", "Node", "n.Function", "n.Module", "n.Statement", "list[n.Statement]", "tuple[int, n.Node]",
    "tuple[n.Node, Ref]", "n.Test", "tuple[n.Test, ...]",
)  # fmt: skip
"""What passes give."""

FINDS = {
    "common._roots", "gated._tests", "gates._leaves", "neutral.Module.__getitem__", "neutral.loads", "neutral.parts",
    "neutral.without_indicators", "running._elements", "targets.arrays._outer", "targets.c_products.Matrices.both",
    "targets.c_products.Products.of", "targets.c_products.reduces", "targets.c_sums._sums_in",
    "targets.c_windows.Windows.of",
}  # fmt: skip
"""What gives nodes of the neutral form that are there already, and makes none."""

WITHIN = {
    "common._Writer._named": "common.shared",
    "lower._named_once.again": "lower._named_once",
    "targets.straight._unroll.again": "targets.straight._unroll",
}
"""What one pass has inside, and the pass: its twin is wrong there, too."""


def passes() -> dict[str, Callable[..., Any]]:
    """By name, in the order of the files."""
    found = {}
    for info in walk_packages(fcsym.kernel.__path__, "fcsym.kernel."):
        module = import_module(info.name)
        for name, function in vars(module).items():
            own = inspect.isfunction(function) and function.__module__ == info.name
            if own and function.__annotations__.get("return") in KINDS:
                found[f"{info.name.removeprefix('fcsym.kernel.')}.{name}"] = function
    return found


PASSES = passes()


def exported(widths: list[int], scheme: str, file: str, **settings: Any) -> bool:
    """Whether the gate before export lets it pass; what it does not, or cannot be printed at all, is not written."""
    network = fcsym.Network.mlp(widths, **settings)
    try:
        fcsym.scheme(network, scheme).export(file)
    except Exception:
        assert not Path(file).exists()
        return False
    return Path(file).exists()


def checked() -> bool:
    """Whether the compiled step of a derivation agrees with automatic differentiation."""
    try:
        return fcsym.check(fcsym.derive(fcsym.Network.parse("2-2-1")), trials=50).passed
    except FcsymError:  # it has no form in the target's language
        return False


def checked_gradient() -> bool:
    return fcsym.check(fcsym.gradient(fcsym.Network.parse("2-2-1"), of="E", by="W1"), trials=50).passed


def bound() -> bool:
    """Whether a step on numbers of its own, in straight lines of Python, is the step on arrays.

    Both are lowered by the same passes: this is the gate of those alone that no other one sees.
    """
    kernel = fcsym.scheme(fcsym.Network.mlp([2, 2, 1], "tanh"), "states").compile("numpy")
    x, target = np.array([0.5, -1.0]), np.array([0.25])
    state = kernel.init([np.array([[1.0, 2.0], [-0.5, 0.25]]), np.array([[0.5, -1.5]])], x)
    held = kernel.bind(state, x, target, 0.1)
    held.step()
    after = kernel.step(state, x, target, 0.1)
    return all(np.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(held.state, after, strict=True))


GATES: dict[str, Callable[[], bool]] = {
    "export of states": lambda: exported([2, 2, 1], "states", "states.py"),
    "export of backprop": lambda: exported([2, 2, 1], "backprop", "backprop.py"),
    "export with smooth functions": lambda: exported(
        [2, 2, 2], "backprop", "smooth.py", activation="gelu", output="softmax", loss="cross_entropy"
    ),
    "export of smooth states": lambda: exported([2, 2, 1], "states", "tanh.py", activation="tanh"),
    "export in C": lambda: exported([2, 2, 1], "states", "states.c"),
    "check": checked,
    "check of derivatives": checked_gradient,
    "bound step": bound,
}
"""What a lowered function passes before anybody reads it; what is quick comes first."""
ALONE = "bound step"


def put(old: Callable[..., Any], new: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One function in the place of another, wherever it has been imported."""
    for module in [m for name, m in sys.modules.items() if name.startswith("fcsym") and m is not None]:
        for name, value in list(vars(module).items()):
            if value is old:
                monkeypatch.setattr(module, name, new)


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Pass => the gates before which it runs. Each lets through what is right."""
    need("cc")
    found: dict[str, list[str]] = {name: [] for name in PASSES}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("right"))
        calls: Counter[str] = Counter()

        def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def call(*given: Any, **named: Any) -> Any:
                calls[name] += 1
                return function(*given, **named)

            return call

        for name, function in PASSES.items():
            put(function, counted(name, function), patch)
        for gate, passed in GATES.items():
            calls.clear()
            assert passed(), gate
            for name in calls:
                if gate != ALONE or not found[name]:
                    found[name].append(gate)
    return found


def test_there_are_many_passes_and_all_run_before_a_gate(reached):
    assert len(PASSES) > 20
    assert [name for name, gates in reached.items() if not gates] == []


def giving_nodes() -> set[str]:
    """Every function and method of `fcsym.kernel` that says that it gives something of the neutral form."""
    of_form = {name for name, made in vars(n).items() if inspect.isclass(made) and made.__module__ == n.__name__}
    of_form |= {"Node", "Statement"}
    folder = Path(fcsym.kernel.__file__).parent
    found = set()

    def walk(node: ast.AST, scope: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef) and child.returns is not None:
                gives = ast.unparse(child.returns).strip("'\"")
                own = of_form if scope.startswith("neutral.") else {f"n.{name}" for name in of_form} | {"Node"}
                if own & set(re.findall(r"[\w.]+", gives)):
                    found.add(scope + child.name)
            deeper = isinstance(child, ast.FunctionDef | ast.ClassDef)
            walk(child, f"{scope}{child.name}." if deeper else scope)

    for file in folder.rglob("*.py"):
        walk(ast.parse(file.read_text("utf-8")), ".".join(file.relative_to(folder).with_suffix("").parts) + ".")
    return found


def test_what_gives_nodes_is_a_pass_with_a_twin_or_makes_none():
    """A pass that is added later, inside of a class or giving nodes in another shape, is not passed over."""
    assert giving_nodes() == {*PASSES, *FINDS, *WITHIN}
    assert set(WITHIN.values()) <= set(PASSES)


@pytest.mark.parametrize("name", few(PASSES, 8))
def test_a_corrupted_pass_is_refused(name, reached, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    right = PASSES[name]

    @functools.wraps(right)
    def twin(*given: Any, **named: Any) -> Any:
        return wrong(right(*given, **named))

    put(right, twin, monkeypatch)
    assert [gate for gate in few(reached[name], 1) if GATES[gate]()] == []
    assert list(tmp_path.iterdir()) == []
