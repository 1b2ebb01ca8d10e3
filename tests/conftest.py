"""What tests share: networks to try, and a way to need a tool that a user may lack."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import one_thread  # noqa: F401
import pytest
from hypothesis import settings

from fcsym.derivation import derive
from fcsym.networks.network import Network

# a slow machine is no failure, and a failure must come back
settings.register_profile("fcsym", deadline=None, derandomize=True)
settings.load_profile("fcsym")

ORDERS = ("simultaneous", "sequential")

LONG = bool(os.environ.get("FCSYM_LONG"))
"""Whether this is the long form, `make reliability`: every one of many alike, not a few of them."""


def few(items: Iterable[Any], most: int, turn: int = 0) -> list[Any]:
    """At most so many, spread evenly over all that there are, others at another turn; all in the long form."""
    every = list(items)
    if LONG or len(every) <= most:
        return every
    return [every[(n * len(every) // most + turn) % len(every)] for n in range(most)]


MANY = 4
"""How many settings of one test `make test` takes, in the files where a setting costs time."""

COSTLY = frozenset(
    {"test_activations", "test_checker", "test_content", "test_export", "test_html", "test_kernel", "test_latex"}
    | {"test_losses", "test_native", "test_proof", "test_scheme_documents", "test_schemes", "test_sympy"}
    | {"test_batches", "test_joint", "test_soundness", "test_statements"}
    | {"test_certificates", "test_columns", "test_layer_checks", "test_layers", "test_proof_of_layers", "test_targets"}
    | {"test_hostile", "test_networks_of_layers", "test_real_layers", "test_second_derivatives"}
    | {
        "test_states_of_layers",
        "test_collapsed",
        "test_collapsed_c",
        "test_collapsed_kept",
        "test_magnitudes",
        "test_rules",
    }
)


FIRST = ("test_batches", "test_export", "test_notebooks", "test_gallery", "test_certificates", "test_audit_certificate")
"""Files whose tests are few and long: were they the last, one process would wait for the other."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file run in one process, so that what they share is made once; in the order of the items."""
    config.option.loadscopereorder = False
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::")[0]

    return ByFile(config, log) if config.getoption("dist") == "load" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a costly test with many settings some are taken, scattered over all of them and the same every time.

    They follow from a digest of their names: what is evenly spaced might meet one target or one order only. The long
    form takes all, and so does a run of fewer than these. What takes longest comes first.
    """
    counts = Counter(item.path for item in items)
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: (order.get(item.path.stem, len(FIRST)), -counts[item.path], str(item.path)))
    if LONG:
        return
    alike: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        module = item.path.stem
        if module in COSTLY:
            alike.setdefault((module, getattr(item, "originalname", item.name)), []).append(item)
    left = {
        item
        for every in alike.values()
        for item in sorted(every, key=lambda one: sha256(one.name.encode()).hexdigest())[MANY:]
    }
    if left:
        config.hook.pytest_deselected(items=list(left))
        items[:] = [item for item in items if item not in left]


NETWORKS = {
    "2-2-1": Network.parse("2-2-1"),
    "one unit": Network.parse("1-1-1"),
    "linear": Network.parse("3-2", bias=True),
    "several outputs": Network.parse("3-4-2"),
    "three layers": Network.parse("2-3-2-1"),
    "biases in some layers": Network.mlp([3, 4, 4, 2], bias=[True, False, True]),
    "leaky": Network.mlp([2, 3, 2, 2], activation="leaky_relu", bias=True),
    "one leaky layer": Network.mlp([2, 3, 1], activation="leaky_relu", bias=True),
    "deep linear": Network.mlp([2, 2, 2, 1], activation="identity"),
    "mixed, deep": Network.mlp([3, 2, 3, 2, 2], activation=["relu", "identity", "leaky_relu"], bias=True),
    "smooth": Network.mlp([3, 4, 3, 2], activation=["tanh", "softplus"], bias=True),
    "smooth, then pieces": Network.mlp([2, 3, 2, 1], activation=["sigmoid", "relu"]),
    "wide": Network.parse("8-16-16-1", bias=True),
}


NETWORKS_OF = {"collapsed": ("2-2-1", "one unit", "one leaky layer")}
"""The networks above for which a scheme exists, where these are not all that have a hidden layer."""


def exists(name: str, network: Network) -> bool:
    """Whether a scheme exists for one of the networks above."""
    if name in NETWORKS_OF:
        return network in [NETWORKS[net] for net in NETWORKS_OF[name]]
    return len(network.layers) > 1 or name not in ("weights", "compensation")


def net_of(name: str, otherwise: str) -> str:
    """The name of a network for which a scheme exists."""
    return NETWORKS_OF[name][-1] if name in NETWORKS_OF else otherwise


def network_of(name: str, otherwise: str) -> Network:
    """A network for which a scheme exists."""
    return NETWORKS[net_of(name, otherwise)]


@pytest.fixture(params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]


@pytest.fixture(params=ORDERS)
def order(request):
    return request.param


@pytest.fixture
def derivation(network, order):
    return derive(network, order)


def need(tool: str) -> str:
    """The path of a program; without it the test is skipped, and fails where FCSYM_REQUIRE says it must run."""
    path = shutil.which(tool)
    if path is None:
        if tool in os.environ.get("FCSYM_REQUIRE", "").split(","):
            pytest.fail(f"{tool} is not installed, and FCSYM_REQUIRE says that it must be")
        pytest.skip(f"{tool} is not installed")
    return path


def need_package(name: str) -> ModuleType:
    """A package; without it the test is skipped, and fails where FCSYM_REQUIRE says it must run."""
    if find_spec(name) is None:
        if name in os.environ.get("FCSYM_REQUIRE", "").split(","):
            pytest.fail(f"{name} is not installed, and FCSYM_REQUIRE says that it must be")
        pytest.skip(f"{name} is not installed")
    return import_module(name)


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    """Lines are as long as they are, whatever window the tests were started in.

    The library readline, which pytest imports, sets COLUMNS for the processes that are started and not in os.environ.
    """
    monkeypatch.setenv("COLUMNS", "")
    monkeypatch.delenv("COLUMNS")
