"""What is timed against PyTorch takes the same step as fcsym: nothing here is timed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import need_package

from benchmarks.layers import ETA, GALLERY, lenet, transformer
from benchmarks.modules import step_of
from fcsym.gallery import read
from fcsym.training import scheme

ROOT = Path(__file__).parent.parent / "derivations"

NETWORKS = {
    "LeNet": lambda: lenet(16),
    "transformer": lambda: transformer(tokens=4, blocks=1, width=8),
    "causal transformer": lambda: transformer(tokens=4, causal=True, blocks=1, width=8),
} | {name: lambda name=name: read(ROOT / name / "spec.toml").network for name in GALLERY.values()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_peer_of_a_benchmark_takes_the_same_step(name):
    need_package("torch")
    network, rng = NETWORKS[name](), np.random.default_rng(5)
    weights = [rng.normal(size=network.shape(a)) / 2 for a in network.parameters]
    x, target = (rng.normal(size=(2, *network.lengths(a))) for a in (network.input, network.target))
    given = target
    if network.loss == "cross_entropy":
        given = rng.integers(target.shape[-1], size=target.shape[:-1])
        target = np.eye(target.shape[-1])[given]
    kernel = scheme(network, "backprop", batch="mean").compile()
    state = kernel.step(kernel.init(weights), x, target, ETA)
    _, after = step_of(network, weights, x, given, ETA)
    assert all(np.allclose(a.reshape(b.shape), b, rtol=1e-9, atol=1e-11) for a, b in zip(after, state, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="cores are given to a process on Linux")
def test_to_import_the_benchmarks_takes_no_core_away():
    """They were imported by this file, and every process of the tests was kept on one core of two."""
    look = "os.sched_getaffinity(0)"
    program = f"import os; had = {look}; import benchmarks.__main__; print({look} == had)"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
