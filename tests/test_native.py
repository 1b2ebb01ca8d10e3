"""Machine code against the straight-line NumPy kernel, bit for bit; how it is built and kept; bind, run, batch."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import LONG, NETWORKS, ORDERS, exists, need

import fcsym
from fcsym.kernel import native, neutral
from fcsym.kernel.array_scheme import ArrayKernel
from fcsym.kernel.bound import Bound, BoundNumbers
from fcsym.kernel.export import export
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.targets.c import parameters_of, refuse_large
from fcsym.kernel.targets.c_native import native_text
from fcsym.kernel.targets.numpy import is_straight
from fcsym.language.expression import Array, Index
from fcsym.schemes import SCHEMES

SMALL = ["2-2-1", "three layers", "leaky", "mixed, deep"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def drawn(network, rng, lead):
    weights = [rng.normal(size=(*lead, *network.shape(a))) / 2 for a in network.parameters]
    return weights, rng.normal(size=(*lead, network.inputs)), rng.normal(size=(*lead, network.widths[-1]))


def adversarial(rng, shape):
    """Ordinary numbers, exact ones, zeros of both signs, subnormal ones and ones near the ends of the range."""
    kinds = [
        rng.normal(size=shape),
        rng.integers(-2, 3, size=shape) / 2,
        np.zeros(shape),
        -np.zeros(shape),
        rng.normal(size=shape) * 5e-324 * 1e3,
        rng.normal(size=shape) * 1e-160,
        rng.normal(size=shape) * 1e150,
        rng.normal(size=shape) * 1e300,
    ]
    return np.choose(rng.choice(8, size=shape, p=[0.6, 0.2, 0.05, 0.05, 0.02, 0.03, 0.03, 0.02]), kinds)


def same(left, right):
    """Equal in every bit, but for the payload and sign of nan."""
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    both = np.isnan(left) & np.isnan(right)
    bits = f"i{left.itemsize}"
    return left.dtype == right.dtype and bool(((left.view(bits) == right.view(bits)) | both).all())


# ------------------------------------------------------------------------------------------------- bit for bit

DRIVER = """
#include "update.h"
void many(long count, update_state *state, const double *x, const double *target, const double *eta, int *status);
void many(long count, update_state *state, const double *x, const double *target, const double *eta, int *status)
{
    for (long n = 0; n < count; n++) {
        (void)x;
        status[n] = update_step(&state[n], CALL target + n * UPDATE_OUTPUTS, eta[n]);
    }
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("net", "scheme"), [
    ("2-2-1", "backprop"),
    ("2-2-1", "weights"),
    ("three layers", "compensation"),
    ("leaky", "states"),
    ("mixed, deep", "weights"),
    ("several outputs", "basis"),
    ("2-2-1", "collapsed"),
    ("one leaky layer", "collapsed"),
])  # fmt: skip
def test_exported_c_at_o2_is_the_straight_line_kernel_in_every_bit(compiler, net, scheme, tmp_path):
    import ctypes

    count = 1_000_000 if LONG else 200_000
    need(compiler)
    s = fcsym.scheme(NETWORKS[net], scheme, order="sequential")
    export(s, tmp_path / "update.c")
    driver = DRIVER.replace("CALL", "" if s.single_input else "x + n * UPDATE_INPUTS,")
    (tmp_path / "driver.c").write_text(driver)
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fPIC", "-shared"]
    subprocess.run([compiler, *flags, "-o", "update.so", "update.c", "driver.c"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "update.so"))

    kernel = s.compile("numpy")
    assert is_straight(kernel.module)
    rng = np.random.default_rng(1)
    parts = [adversarial(rng, (count, *kernel.network.shape(a))) for a in kernel.network.parameters]
    x, target = adversarial(rng, (count, kernel.network.inputs)), adversarial(rng, (count, kernel.network.widths[-1]))
    eta = 10 ** rng.uniform(-3, 0, size=count)
    with np.errstate(all="ignore"):
        raw = kernel._namespace["init"](*parts, *([x] if s.single_input else []))  # init refuses what overflows
        good = np.all([np.isfinite(a.reshape(count, -1)).all(axis=1) for a in raw], axis=0)
        if s.single_input:  # and an input below the normal numbers
            largest = np.abs(x).max(axis=1)
            good &= (largest == 0) | (largest >= np.finfo(float).smallest_normal) | s.network.layers[0].bias
        x, target, eta = x[good], target[good], eta[good]
        state = kernel.init([a[good] for a in parts], x)
        after = kernel.step(state, x, target, eta, undefined="nan")
    assert good.sum() > count // 3
    packed = np.concatenate([a.reshape(int(good.sum()), -1) for a in state], axis=1)
    status = np.zeros(len(packed), np.intc)
    places = [ctypes.c_void_p(a.ctypes.data) for a in (packed, x, target, eta, status)]
    library.many(ctypes.c_long(len(packed)), *places)
    wanted = np.concatenate([a.reshape(len(packed), -1) for a in after], axis=1)
    assert same(packed, wanted)
    if scheme in ("weights", "compensation"):
        name = "r" if scheme == "weights" else "P"
        assert (status[np.isfinite(wanted[:, 3:]).all(axis=1)] == 0).any()
        assert np.isnan(getattr(after, name)[status == 1]).any(axis=(-2, -1)).all()


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "net", ["2-2-1", "leaky", "several outputs", "smooth", "biases in some layers", "one leaky layer"]
)
def test_every_way_of_calling_gives_the_same(net, name):
    """step, run, batch on two threads, bind with and without a compiler."""
    need("gcc")
    network = NETWORKS[net]
    if not exists(name, network):
        pytest.skip("the scheme does not exist for this network")
    s = fcsym.scheme(network, name, order="sequential")
    c, numpy = s.compile("c"), s.compile("numpy")
    assert type(c) is not ArrayKernel
    rng = np.random.default_rng(2)
    weights, x, _ = drawn(network, rng, (37,))
    xs = np.stack([x] * 5) if s.single_input else rng.normal(size=(5, 37, network.inputs))
    targets, eta = rng.normal(size=(5, 37, network.widths[-1])), np.full(37, 0.05)
    start = c.init(weights, xs[0])
    for a, b in zip(start, numpy.init(weights, xs[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    started = numpy.init(weights, xs[0])
    one, other = start, started
    for n in range(5):
        one = c.step(one, xs[n], targets[n], eta, undefined="nan")
        other = numpy.step(other, xs[n], targets[n], eta, undefined="nan")
    exactly = is_straight(c.module) and net != "smooth"
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
        assert not exactly or same(a, b)
    for a, b in zip(c.expand(one, weights, xs[0]), numpy.expand(other, weights, xs[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    outputs = [k.output(state, xs[0], undefined="nan") for k, state in ((c, one), (numpy, other))]
    np.testing.assert_allclose(*outputs, rtol=1e-7, atol=1e-7)

    ran = c.run(start, xs, targets, eta, undefined="nan")
    if name == "history":  # rows are stored in another order
        np.testing.assert_allclose(c.output(ran, xs[0]), c.output(one, xs[0]), rtol=1e-9, atol=1e-9)
        bound = c.bind([a[3] for a in start], xs[0, 3], targets[0, 3], 0.05)
        bound.step()
        first = c.step([a[3] for a in start], xs[0, 3], targets[0, 3], 0.05)
        assert all(same(a, b) for a, b in zip(bound.state, first, strict=True))
        return
    assert all(same(a, b) for a, b in zip(ran, one, strict=True))
    fine = np.all([np.isfinite(a.reshape(37, -1)).all(axis=1) for a in one], axis=0)
    assert fine.sum() > (25 if name == "collapsed" else 30)  # of 37; some units change sides
    for kernel, first, result in ((c, start, one), (numpy, started, other)):
        kept = kernel.State(*(a[fine] for a in first))
        batch = kernel.batch(kept, threads=2)
        for n in range(5):
            batch.step(xs[n][fine], targets[n][fine], eta[fine])
        for a, b in zip(batch.state, result, strict=True):
            np.testing.assert_allclose(a, b[fine], rtol=1e-12, atol=1e-12)
            assert net == "smooth" or same(a, b[fine])  # NumPy's tanh depends on the place in an array
        batch = kernel.batch([c.State(*(a[m] for a in kept)) for m in range(3)])
        batch.hold(eta=0.05)
        batch.run(xs[:, fine][:, :3], targets[:, fine][:, :3])
        for a, b in zip(batch.state, one, strict=True):
            np.testing.assert_allclose(a, b[fine][:3], rtol=1e-7, atol=1e-9)
            assert not exactly or same(a, b[fine][:3])
    at = int(np.argmax(fine))
    for kernel, kind in ((c, Bound), (numpy, BoundNumbers)):
        bound = kernel.bind([a[at] for a in start], xs[0, at], targets[0, at], 0.05)
        assert isinstance(bound, kind)
        for n in range(5):
            bound.set(x=xs[n, at], target=targets[n, at])
            bound.step()
        expected = one if kernel is c or net != "smooth" else other
        for a, b in zip(bound.state, expected, strict=True):
            np.testing.assert_allclose(a, b[at], rtol=1e-12, atol=1e-12)
            assert net == "smooth" or same(a, b[at])


@pytest.mark.parametrize("order", ORDERS)
def test_single_precision_is_the_same_in_every_bit(order):
    need("gcc")
    s = fcsym.scheme(NETWORKS["leaky"], "backprop", order=order)
    rng = np.random.default_rng(3)
    weights, x, target = drawn(s.network, rng, (1000,))
    weights, x, target = [w.astype(np.float32) for w in weights], x.astype(np.float32), target.astype(np.float32)
    states = [k.step(k.init(weights), x, target, np.float32(0.1)) for k in (s.compile("c"), s.compile("numpy"))]
    assert all(same(a, b) and a.dtype == np.float32 for a, b in zip(*states, strict=True))
    for target_name in ("c", "numpy"):
        batch = s.compile(target_name).batch(s.compile(target_name).init(weights))
        batch.step(x, target, 0.1)
        assert batch.dtype == np.float32 and all(same(a, b) for a, b in zip(batch.state, states[0], strict=True))


def test_what_goes_wrong_is_said_as_by_the_numpy_kernel():
    need("gcc")
    s = fcsym.scheme(fcsym.Network.parse("2-2-2-1"), "weights")
    rng = np.random.default_rng(0)
    weights, x, target = drawn(s.network, rng, (4000,))
    said = []
    for kernel in (s.compile("c"), s.compile("numpy")):
        state = kernel.init(weights, x)
        with pytest.raises(fcsym.UndefinedContribution, match=r"unit h\d of layer 2 of network") as caught:
            kernel.step(state, x, target, 0.5)
        said.append(str(caught.value))
        with pytest.raises(fcsym.UndefinedContribution, match=r"At step 1, unit"):
            kernel.run(state, np.stack([x, x]), np.stack([target, target]), 0.5)
    assert said[0] == said[1]
    kernel = s.compile("c")
    state = kernel.init(weights, x)
    for k in (kernel, s.compile("numpy")):
        with pytest.raises(fcsym.UndefinedContribution) as caught:
            batch = k.batch(state)
            batch.step(x, target, 0.5)
        assert str(caught.value) == said[0]
        with pytest.raises(fcsym.Diverged, match="was undefined"):
            _ = batch.state
        wanted = k.step(state, x, target, 0.5, undefined="nan")
        for a, b in zip(batch.read(undefined="nan"), wanted, strict=True):
            np.testing.assert_array_equal(a, b)
    mark = np.isnan(kernel.step(state, x, target, 0.5, undefined="nan").r).reshape(4000, -1).any(axis=1)
    at = int(np.argmax(mark))
    for k in (kernel, s.compile("numpy")):
        bound = k.bind([a[at] for a in state], x[at], target[at], 0.5)
        with pytest.raises(fcsym.UndefinedContribution, match="wakes up"):
            bound.step()
    big = fcsym.scheme(fcsym.Network.parse("2-2-1", "identity"), "backprop").compile("c")
    start = big.init([np.ones((2, 2)), np.ones((1, 2))])
    with pytest.raises(fcsym.Diverged, match="At step"):
        big.run(start, np.ones((50, 2)), np.zeros((50, 1)), 10.0)
    for k in (big, big.scheme.compile("numpy")):
        batch = k.batch([start])
        batch.run(np.ones((50, 2)), np.zeros((50, 1)), 10.0)
        with pytest.raises(fcsym.Diverged, match="diverges"):
            _ = batch.state
    bound = big.bind(start, [1, 1], [0], 10.0)
    for _ in range(50):
        bound.step()
    with pytest.raises(fcsym.Diverged):
        _ = bound.state


@pytest.mark.parametrize("change", [
    lambda k, s: k.bind([a[None] for a in s], [1, 1], [0], 0.1),
    lambda k, s: k.bind(s, [1, 1], [0], 0.1).set(x=[1, 2, 3]),
    lambda k, s: k.bind(s, [1, 1], [0], 0.1).set(target=[np.nan]),
    lambda k, s: k.batch([s], threads=0),
    lambda k, s: k.batch([s]).step([1, 1], [0]),
    lambda k, s: k.batch([s]).step([1, 1, 1], [0], 0.1),
    lambda k, s: k.batch([s, s]).step(np.ones((3, 2)), [0], 0.1),
    lambda k, s: k.batch([s]).run([1, 1], [0], 0.1),
    lambda k, s: k.run(s, np.ones((2, 3)), np.ones((2, 1)), 0.1),
    lambda k, s: k.run(s, np.ones((2, 2)) * np.inf, np.ones((2, 1)), 0.1),
    lambda k, s: k.run(s, np.ones((2, 2)), np.ones((3, 1)), 0.1),
])  # fmt: skip
@pytest.mark.parametrize("target", ["c", "numpy"])
def test_wrong_arguments_are_refused_in_one_sentence(change, target):
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-2-1"), "backprop").compile(target)
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))])
    with pytest.raises(fcsym.ArgumentError) as caught:
        change(kernel, state)
    assert "\n" not in str(caught.value)


def test_a_scheme_for_one_input_refuses_another():
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-2-1"), "states").compile("c")
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))], [1, 2])
    for call in (
        lambda: kernel.run(state, [[1, 2], [2, 1]], np.zeros((2, 1)), 0.1),
        lambda: kernel.bind(state, [2, 1], [0], 0.1),
        lambda: kernel.bind(state, [1, 2], [0], 0.1).set(x=[2, 1]),
        lambda: kernel.batch([state]).step([2, 1], [0], 0.1),
    ):
        with pytest.raises(fcsym.ArgumentError, match="not the input"):
            call()


def test_many_steps_on_bound_buffers():
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-2-1"), "backprop").compile("c")
    rng = np.random.default_rng(8)
    weights, x, target = drawn(kernel.network, rng, ())
    start, xs, targets = kernel.init(weights), rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    bound = kernel.bind(start, x, target, 0.01)
    bound.run(xs, targets)
    bound.step()
    last = kernel.step(kernel.run(start, xs, targets, 0.01), x, target, 0.01)
    assert all(same(a, b) for a, b in zip(bound.state, last, strict=True))
    for wrong in ((xs[:, :1], targets), (xs, targets[:3]), (xs * np.inf, targets)):
        with np.errstate(invalid="ignore"), pytest.raises(fcsym.ArgumentError):
            bound.run(*wrong)
    other = fcsym.scheme(fcsym.Network.parse("2-2-1"), "states").compile("c")
    with pytest.raises(fcsym.ArgumentError, match=r"use kernel\.run"):
        other.bind(other.init(weights, x), x, target, 0.01).run(xs, targets)


def test_a_bound_step_outlives_what_it_was_made_from():
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-2-1"), "backprop").compile("c")
    step = kernel.bind(kernel.init([np.ones((2, 2)), np.ones((1, 2))]), [1, 1], [0], 0.1).step
    del kernel
    import gc

    gc.collect()
    junk = [np.full(4, 7.0) for _ in range(1000)]
    assert step() is None and len(junk) == 1000


# ---------------------------------------------------------------------------------------------------- the cache

SOURCE = fcsym.scheme(fcsym.Network.parse("1-1-1"), "backprop")


def only(tmp_path):
    return list((tmp_path / "fcsym" / "native").glob("*"))


def test_a_library_is_built_once(tmp_path, monkeypatch):
    need("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    SOURCE.compile("c")
    (library,) = only(tmp_path)
    assert (tmp_path / "fcsym" / "native").stat().st_mode & 0o777 == 0o700
    made = library.stat().st_mtime_ns
    SOURCE.compile("c")
    assert only(tmp_path) == [library] and library.stat().st_mtime_ns == made


@pytest.mark.parametrize("damage", [
    lambda p: p.write_bytes(p.read_bytes()[:-1]),
    lambda p: p.write_bytes(p.read_bytes()[:100] + b"x" + p.read_bytes()[101:]),
    lambda p: p.write_bytes(b""),
    lambda p: p.write_text("no library"),
    lambda p: (p.unlink(), p.symlink_to("/bin/true")),
    lambda p: p.chmod(0o777),
])  # fmt: skip
def test_a_damaged_or_foreign_library_is_rebuilt(damage, tmp_path, monkeypatch):
    need("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernel = SOURCE.compile("c")
    (library,) = only(tmp_path)
    path = tmp_path / "kept"
    library.rename(path)  # this process goes on using the old file
    library.write_bytes(path.read_bytes())
    damage(library)
    assert not native._sound(library)
    again = native.load(kernel.source, np.float64)
    assert native._sound(library) and not library.is_symlink() and again.lanes == kernel.library(np.float64).lanes


def test_many_processes_may_build_at_once(tmp_path):
    need("gcc")
    code = (
        "import fcsym, numpy as np; k = fcsym.scheme(fcsym.Network.parse('1-1-1'), 'backprop').compile('c');"
        "print(k.step(k.init([[[1.0]], [[1.0]]]), [1.0], [0.0], 0.5).W1.item())"
    )
    import os

    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["0.5"] * 4
    assert len(only(tmp_path)) == 1


def test_a_cache_folder_that_others_can_write_to_is_not_used(tmp_path, monkeypatch):
    need("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "fcsym" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    SOURCE.compile("c")
    assert not only(tmp_path)


def test_without_a_compiler_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "")
    with pytest.warns(RuntimeWarning, match="No C compiler was found") as caught:
        kernel = SOURCE.compile("c")
    assert caught[0].filename == __file__
    assert len(caught) == 1 and "\n" not in str(caught[0].message) and type(kernel) is ArrayKernel
    assert kernel.step(kernel.init([[[1.0]], [[1.0]]]), [1.0], [0.0], 0.5).W1.item() == 0.5


def test_a_compiler_that_fails_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    with pytest.warns(RuntimeWarning, match="refused the generated source"):
        SOURCE.compile("c")
    assert not only(tmp_path)


def test_threads_may_share_a_kernel():
    need("gcc")
    for kernel in (SOURCE.compile("c"), SOURCE.compile("numpy")):
        state = kernel.init([np.ones((5000, 1, 1)), np.ones((5000, 1, 1))])
        results = [None] * 4

        def work(place, kernel=kernel, state=state, results=results):
            after = state
            for _ in range(20):
                after = kernel.step(after, [1.0], [float(place)], 0.1)
            results[place] = after

        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for place in range(4):
            alone = state
            for _ in range(20):
                alone = kernel.step(alone, [1.0], [float(place)], 0.1)
            assert all(same(a, b) for a, b in zip(results[place], alone, strict=True))


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("net", ["2-2-1", "wide"])
def test_numpy_batches_over_several_tiles_are_steps_in_every_bit(net, name, monkeypatch):
    """Tiles that do not divide the networks, leading axes, more threads than networks, one input for all."""
    network = NETWORKS[net]
    if not exists(name, network) or name == "history":
        pytest.skip("the scheme does not exist for this network, or has no batches")
    kernel = fcsym.scheme(network, name).compile("numpy")
    weights, x, target = drawn(network, np.random.default_rng(3), (50, 7))
    x, targets = x[0, 0], np.stack([target[0, 0], -target[0, 0]])
    state = kernel.init(weights, x)
    wanted = kernel.run(state, np.stack([x, x]), targets, 1e-3, undefined="nan")
    axes = [len(array.axes) for array in kernel.scheme.state]

    def spread(arrays):
        return [np.broadcast_to(a, (50, 7, *a.shape[a.ndim - k :])) for a, k in zip(arrays, axes, strict=True)]

    fine = np.all([np.isfinite(a.reshape(50, -1)).all(axis=1) for a in spread(wanted)], axis=0)
    assert fine.sum() > 20
    state, wanted = ([a[fine] for a in spread(arrays)] for arrays in (state, wanted))
    if net == "2-2-1":
        monkeypatch.setitem(kernel._namespace, "CACHE", 1)  # the least tile has 64 networks
    for threads in (1, 3, 1000):
        batch = kernel.batch(kernel.State(*state), threads)
        assert batch.networks == 7 * fine.sum()
        batch.run(np.stack([x, x]), targets, 1e-3)
        for a, b in zip(batch.state, wanted, strict=True):
            assert same(a, b)


@pytest.mark.parametrize("target", ["c", "numpy"])
@pytest.mark.parametrize("name", SCHEMES)
def test_a_state_that_is_not_finite_is_refused_wherever_that_is(name, target):
    """Wide weights are looked at after the step, and it is the state before that is wrong all the same."""
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("70-80-1"), name).compile(target)
    weights, x, goal = drawn(kernel.network, np.random.default_rng(0), ())
    state = kernel.init(weights, x)
    kernel.step(state, x, goal, 1e-3)
    for n, array in enumerate(state):
        for bad in (np.nan, np.inf, -np.inf):
            changed = array.copy()
            if not changed.size:
                continue
            changed.flat[-1] = bad
            with pytest.raises(
                fcsym.ArgumentError, match=rf"state\.{state._fields[n]} contains numbers that are not fin"
            ):
                kernel.step(state._replace(**{state._fields[n]: changed}), x, goal, 1e-3)


@pytest.mark.parametrize("name", ["backprop", "states", "history"])
def test_many_steps_with_leading_axes_of_every_kind_are_single_steps(name):
    """As many steps as networks, inputs and targets of fewer axes than the state, one step size per row."""
    need("gcc")
    s = fcsym.scheme(NETWORKS["several outputs"], name)
    rng = np.random.default_rng(8)
    weights, x, _ = drawn(s.network, rng, (4,))
    lead = [np.broadcast_to(w, (3, *w.shape)) for w in weights]
    for steps in (3, 4, 5):
        xs = np.stack([x] * steps) if s.single_input else rng.normal(size=(steps, 4, 3))
        targets = rng.normal(size=(steps, 2))
        for eta in (0.05, np.full((3, 1), 0.05)):
            states = []
            for kernel in (s.compile("c"), s.compile("numpy")):
                states.append(kernel.run(kernel.init(lead, x), xs, targets, eta))
            one = kernel.init(lead, x)
            for n in range(steps):
                one = kernel.step(one, xs[n], targets[n], eta)
            for state in states:
                y = s.compile("numpy").output(state, x)
                np.testing.assert_allclose(y, kernel.output(one, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("target", ["c", "numpy"])
def test_batches_hold_what_they_were_given(target):
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-3-1"), "states").compile(target)
    rng = np.random.default_rng(1)
    weights, x, goal = (a.astype(np.float32) for a in drawn(kernel.network, rng, ())[0]), np.float32([0.3, -0.4]), [0.5]
    state = kernel.init([np.stack([w] * 4) for w in weights], x)
    wanted = kernel.step(state, x, goal, 0.1)
    assert wanted.s1.dtype == np.float32  # a list has no precision of its own
    batch = kernel.batch(state)
    batch.step(x, goal, 0.1)
    assert all(same(a, np.broadcast_to(b, a.shape)) for a, b in zip(batch.state, wanted, strict=True))
    kernel = fcsym.scheme(fcsym.Network.parse("2-3-1"), "backprop").compile(target)
    weights, x, goal = drawn(kernel.network, rng, (4,))
    batch, state = kernel.batch(kernel.init(weights)), kernel.init(weights)
    batch.hold(x, goal, 0.1)
    wanted = kernel.step(state, x, goal, 0.1)
    x[:], goal[:] = 9.0, 9.0
    batch.step()
    assert all(same(a, b) for a, b in zip(batch.state, wanted, strict=True))
    for wrong in ([], list(state), None, [state, state[:-1]], [state, kernel.State(*(a[:1] for a in state))]):
        with pytest.raises(fcsym.ArgumentError):
            kernel.batch(wrong)


def test_a_library_of_another_scheme_is_rebuilt(tmp_path, monkeypatch):
    """It is whole, and it is the user's own, and it is not the one of this name."""
    need("gcc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    net = fcsym.Network.parse("1-1-1")
    orders = [fcsym.scheme(net, "backprop", order=order) for order in ORDERS]
    first, second = (s.compile("c").library(np.float64).path for s in orders)
    second.write_bytes(first.read_bytes())
    assert native._sound(first) and not native._sound(second)


def test_wide_constants_do_not_stand_on_the_stack():
    assert "static const real B[]" in fcsym.scheme(NETWORKS["2-2-1"], "basis").compile("c").source


def test_arrays_may_lie_anywhere(monkeypatch):
    """A copy and a product in `init`, which one compiler joined to loads that need an aligned address."""
    need("gcc")
    monkeypatch.setenv("CC", "gcc")
    made = lower_scheme(fcsym.scheme(NETWORKS["2-2-1"], "backprop"))
    weights = made["init"].given[1]
    twice = Array("D", 2, weights.axes)
    k, j = (Index(axis, letter) for axis, letter in zip(weights.axes, "kj", strict=True))
    double = neutral.Define("D2", (k, j), neutral.Product((neutral.Const(Fraction(2)), neutral.Load("W2", (k, j)))))
    init = replace(made["init"], statements=(double,), results=(made["init"].results[0], twice))
    made = replace(made, functions=(init, *made.functions[1:]))
    function = native.load(native_text(made), np.float64).function("init")
    call = native.Call(max(len(parameters_of(f, made)) for f in made.functions))
    rng = np.random.default_rng(0)
    for count in (1, 3, 32, 33):
        call.set(networks=count)
        for offsets in rng.integers(0, 8, size=(200, 4)):
            arrays = [
                np.zeros(8 * count + 16)[at : at + size * count] for at, size in zip(offsets, (4, 2, 4, 2), strict=True)
            ]
            for number, (array, size) in enumerate(zip(arrays, (4, 2, 4, 2), strict=True)):
                call.place(number, array, size)
            arrays[0][:], arrays[1][:] = rng.normal(size=4 * count), rng.normal(size=2 * count)
            assert function(call.address) == 0
            assert same(arrays[2], arrays[0]) and same(arrays[3], 2 * arrays[1])


@pytest.mark.parametrize("target", ["c", "numpy"])
@pytest.mark.parametrize("name", ["backprop", "history", "basis"])
def test_one_wide_network_steps_on_many_inputs(name, target):
    """Weights without leading axes, inputs with: every input makes a network of its own."""
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("20-30-2"), name).compile(target)
    rng = np.random.default_rng(4)
    weights, _, _ = drawn(kernel.network, rng, ())
    x, goal = rng.normal(size=(5, 20)), rng.normal(size=(5, 2))
    many = kernel.output(kernel.step(kernel.init(weights), x, goal, 0.01), x)
    for k in range(5):
        one = kernel.output(kernel.step(kernel.init(weights), x[k], goal[k], 0.01), x[k])
        np.testing.assert_allclose(many[k], one, rtol=1e-12, atol=1e-12)
        assert abs(one - kernel.output(kernel.init(weights), x[k])).max() > 1e-6


# ------------------------------------------------------------------------------------------------- wide layers

WIDE = """
import sys
import numpy as np
import fcsym

network = fcsym.Network.mlp([2, 60000, 1])
name = sys.argv[1]
s = fcsym.scheme(network, name, order="sequential")
c, numpy = s.compile("c"), s.compile("numpy")
rng = np.random.default_rng(0)
weights = [rng.normal(size=network.shape(a)) / 100 for a in network.parameters]
x, target = rng.normal(size=2), rng.normal(size=1)
states = []
for kernel in (c, numpy):
    state = kernel.run(kernel.init(weights, x), np.stack([x, x]), np.stack([target, target]), 1e-9)
    states.append((kernel.output(state, x), *kernel.expand(state, weights, x)))
for a, b in zip(*states, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
bound = c.bind(state, x, target, 1e-9)
bound.step()
if name != "history":
    batch = c.batch([state] * 9, threads=2)
    batch.step(x, target, 1e-9)
    for a, b in zip(batch.state, bound.state, strict=True):
        np.testing.assert_array_equal(a, np.broadcast_to(b, a.shape))
print("done")
"""


@pytest.mark.parametrize("name", SCHEMES)
def test_wide_layers_need_no_stack(name):
    """init, step, run, output, expand, bind and two threads of a batch, on 512 KiB of stack in every thread."""
    need("gcc")
    command = f'ulimit -s 512; exec "{sys.executable}" -c "$1" {name}'
    done = subprocess.run(["bash", "-c", command, "bash", WIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("name", SCHEMES)
def test_work_memory_is_as_long_as_what_is_used_of_it(name, monkeypatch):
    """Numbers behind the end of what a call is given stay as they are."""
    need("gcc")
    from fcsym.kernel import native_scheme

    network = fcsym.Network.mlp([3, 300, 1] if name == "collapsed" else [3, 300, 40, 2], activation="leaky_relu")
    kernel = fcsym.scheme(network, name).compile("c")
    rng = np.random.default_rng(1)
    weights, x, target = drawn(network, rng, (2,))
    weights, x = [w / 20 for w in weights], x[0]
    guards, point = [], native.Call.point

    def guarded(self, **arrays):
        if "work" in arrays:
            whole = native_scheme.aligned((arrays["work"].size + 8,), arrays["work"].dtype)
            whole[:] = 7.0
            arrays["work"] = whole[:-8]
            guards.append(whole)
        point(self, **arrays)

    monkeypatch.setattr(native.Call, "point", guarded)
    state = kernel.init(weights, x)
    for _ in range(2):
        state = kernel.step(state, x, target, 1e-6)
    kernel.output(state, x), kernel.expand(state, weights, x)
    kernel.bind([a[0] for a in state] if name != "history" else [state[0][0], state[1][0], *(a[0] for a in state[2:])],
                x, target[0], 1e-6).step()  # fmt: skip
    if name != "history":
        kernel.batch(state).step(x, target, 1e-6)
    assert len(guards) >= 5 and any((whole[:-8] != 7.0).any() for whole in guards)
    assert all((whole[-8:] == 7.0).all() for whole in guards)


def test_what_c_cannot_count_is_refused_by_name():
    from fcsym.kernel.export import TARGETS

    made = lower_scheme(fcsym.scheme(fcsym.Network.mlp([50000, 50000, 1]), "backprop"))
    for text in (lambda: native_text(made), lambda: TARGETS["c"].files(made, "update", ())):
        with pytest.raises(fcsym.CompileError, match=r"^W1 of 50000-50000-1 has 2500000000 numbers.*take narrower"):
            text()


def test_the_input_of_a_very_wide_network_is_known_again():
    """Its norm, added up number by number, is off by more roundings than that of a small one."""
    need("gcc")
    network = fcsym.Network.mlp([200000, 1, 1])
    rng = np.random.default_rng(0)
    weights, x = [rng.normal(size=network.shape(a)) / 500 for a in network.parameters], rng.uniform(size=200000)
    for target in ("c", "numpy"):
        kernel = fcsym.scheme(network, "states").compile(target)
        state = kernel.init(weights, x)
        assert np.isfinite(kernel.step(state, x, [0.0], 1e-9).s1).all()
        with pytest.raises(fcsym.ArgumentError, match="not the input"):
            kernel.step(state, np.roll(x, 1), [0.0], 1e-9)


def test_an_array_of_more_numbers_than_c_counts_is_refused():
    """2^31 - 1 of them are counted by an int, one more is not."""
    network = fcsym.Network.parse("2-1")
    module, inputs = lower_scheme(fcsym.scheme(network, "backprop")), network.shape(network.parameters[0])[-1]
    (axis,) = {axis for axis, size in module.sizes.items() if size == inputs}
    refuse_large(replace(module, sizes={**module.sizes, axis: 2**31 - 1}))
    with pytest.raises(fcsym.FcsymError, match=r"has 2147483648 numbers, and C counts at most 2147483647"):
        refuse_large(replace(module, sizes={**module.sizes, axis: 2**31}))


def test_one_input_trains_many_networks_over_many_steps():
    """The axis of steps stays in front of that of the networks, which the input does not have."""
    need("gcc")
    kernel = fcsym.scheme(fcsym.Network.parse("2-1-1"), "states").compile("c")
    weights, _, target = drawn(kernel.network, np.random.default_rng(4), (3,))
    x = np.array([0.5, -2.0])
    trained = kernel.run(kernel.init(weights, x), np.stack([x, x]), target[:2], 0.1)
    for n in range(3):
        alone = kernel.init([w[n] for w in weights], x)
        for k in range(2):
            alone = kernel.step(alone, x, target[k], 0.1)
        for many, one in zip(trained, alone, strict=True):
            assert same(many[n] if many.ndim > one.ndim else many, one)
