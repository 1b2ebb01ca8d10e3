"""Libraries that a compiler makes, and what kernels say: where it fails, what is in the way, and what is given.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import os
import platform
import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, CompileError, UndefinedContribution
from fcsym.kernel import gradient, native, refuse_undefined
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.native import HEAD, NOT_FINITE, Call
from fcsym.kernel.native_scheme import NativeKernel
from fcsym.kernel.stored import fraction_of
from fcsym.kernel.targets.c import refuse_large
from fcsym.kernel.targets.c_native import native_text, work_of
from fcsym.kernel.targets.c_words import remember_text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a warning\nkernel.c:3: error: 'x' is not known \nmore", "kernel.c:3: error: 'x' is not known"),
        ("nothing that\nhelps", "nothing that\nhelps"),
        ("", ""),
    ],
)
def test_a_compiler_that_fails_is_named_with_what_it_said(said, shown, monkeypatch, tmp_path):
    """Its first error, or how it begins where there is none."""
    monkeypatch.setattr(native, "run", lambda command, seconds: SimpleNamespace(status=1, out="", err=said))
    with pytest.raises(CompileError) as problem:
        native._build("int x;", ["/bin/a-compiler", "-O2"], tmp_path / "made.so")
    assert str(problem.value) == f"/bin/a-compiler refused the generated source ({shown}): set CC to another compiler."
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("problem", "reason"), [(OSError(), "OSError"), (OSError(8, "Exec format error"), "Exec format")]
)
def test_a_compiler_that_cannot_be_run_is_named_with_the_reason(problem, reason, monkeypatch, tmp_path):
    def run(command, seconds):
        raise problem

    monkeypatch.setattr(native, "run", run)
    with pytest.raises(CompileError, match=rf"/bin/a-compiler did not finish \({reason}"):
        native._build("int x;", ["/bin/a-compiler", "-O2"], tmp_path / "made.so")
    assert native._version.__wrapped__(("/bin/a-compiler", "-O2")) == ""


def test_a_compiler_that_does_not_end_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "run", lambda command, seconds: SimpleNamespace(status=None, out="", err=""))
    with pytest.raises(CompileError, match=r"^/bin/a-compiler did not say its version within"):
        native._version.__wrapped__(("/bin/a-compiler", "-O2"))
    with pytest.raises(CompileError, match=r"^/bin/a-compiler did not finish \(stopped after"):
        native._build("int x;", ["/bin/a-compiler", "-O2"], tmp_path / "made.so")


@pytest.mark.parametrize("there", ["nothing", "a file", "a link", "what cannot be written to"])
def test_what_is_in_the_way_of_a_library_is_removed_and_what_is_linked_to_stays(there, monkeypatch, tmp_path):
    path, other = tmp_path / "made.so", tmp_path / "other"
    other.write_bytes(b"other")
    if there == "a link":
        path.symlink_to(other)
    elif there != "nothing":
        path.write_bytes(b"before")
    met = []

    def run(command, seconds):
        Path(command[command.index("-o") + 1]).write_bytes(b"library")
        return SimpleNamespace(status=0, out="", err="")

    def write(place, data, asked):
        assert asked is False  # nobody is told of what a cache keeps
        met.append(place.exists() or place.is_symlink())
        place.write_bytes(data)

    allowed = os.access
    monkeypatch.setattr(native, "run", run)
    monkeypatch.setattr(native, "write_bytes", write)
    monkeypatch.setattr(os, "access", lambda p, mode: there != "what cannot be written to" and allowed(p, mode))
    native._build("int x;", ["cc"], path)
    assert met == [there == "a file"] and other.read_bytes() == b"other" and native._sound(path)
    own = path.read_bytes()
    for others in (0o666, 0o602):  # what others may write to is not one's own
        path.chmod(others)
        assert not native._sound(path)
    path.chmod(0o600)
    assert native._sound(path)
    path.rename(tmp_path / "else")
    path.symlink_to(tmp_path / "else")
    assert not native._sound(path)
    path.unlink()
    path.write_bytes(own.replace(b"library", b"Library"))
    assert not native._sound(path)


def test_a_compiler_is_known_by_the_first_line_of_what_it_says_of_itself(monkeypatch):
    """Another version builds other libraries."""
    said = "a compiler 12.3\nwith a licence\n"
    monkeypatch.setattr(native, "run", lambda command, seconds: SimpleNamespace(status=0, out=said, err=""))
    assert native._version.__wrapped__(("/bin/a-compiler",)) == "a compiler 12.3"


def test_the_compiler_that_is_set_has_its_flags(monkeypatch):
    monkeypatch.setenv("CC", "sh -a 'b c' -d")
    path, *flags = native.compiler()
    assert Path(path).name == "sh" and Path(path).is_absolute() and flags == ["-a", "b c", "-d"]


def test_a_machine_that_does_not_say_what_it_has_is_known_by_its_name(monkeypatch):
    def read(self):
        raise OSError

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(platform, "machine", lambda: "x86")
    monkeypatch.setattr(platform, "processor", lambda: "_64")
    assert native._machine.__wrapped__() == "x86_64"


def test_a_call_has_its_arrays_where_c_looks_for_them():
    """Behind everything else of a call_type, and a status means the same on both sides."""
    text = native_text(lower_scheme(fcsym.scheme(Network.mlp([2, 2, 1]), "backprop")))
    body = re.search(r"typedef struct \{(.*?)real \*array\[", text, re.S)[1]
    fields = [
        name.strip(" *\n") for line in re.sub(r"/\*.*?\*/", "", body, flags=re.S).split(";") for name in line.split(",")
    ]
    assert len([name for name in fields if name]) == HEAD == len(Call._NAMES)
    assert f"#define NOT_FINITE {NOT_FINITE}\n" in text
    call = Call(3)
    assert len(call.places) >= HEAD + 2 * 3
    arrays = [np.zeros(2) for _ in range(3)]
    for k, array in enumerate(arrays):
        call.place(k, array, 7 + k)
    assert call.places[HEAD:].tolist()[:6] == [*(a.ctypes.data for a in arrays), 7, 8, 9]


def test_an_input_that_is_stored_has_as_many_numbers_as_an_input():
    """And beside it one for each unit of the first layer."""
    module = lower_scheme(fcsym.scheme(Network.mlp([3, 5, 2]), "history"))
    text = remember_text(module)
    assert "i < 3;" in text and "X[free_row * 3 + i]" in text
    assert "j < 5;" in text and "C[free_row * 5 + j]" in text


def test_arrays_are_refused_where_they_have_more_numbers_than_c_counts():
    """By their lengths that are known: how many samples there will be is not."""
    axes = {"W": ("a", "b"), "x": ("samples", "b")}
    for length, refused in ((2**31 - 1, False), (2**31, True)):
        function = SimpleNamespace(axes=axes)
        module = SimpleNamespace(functions=(function,), sizes={"a": 1, "b": length}, network="a network")
        if refused:
            with pytest.raises(CompileError, match=f"W of a network has {length} numbers"):
                refuse_large(module)
        else:
            refuse_large(module)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_far_below_all_floats_is_no_more_than_its_sign(sign):
    least = Fraction(1, 2 ** (1 << 14))
    for exponent in (-16383, -16384, -16386, -20000, -(10**9)):
        made = fraction_of(sign * mpmath.ldexp(mpmath.mpf(1), exponent))
        assert (made > 0) is (sign > 0) and abs(made) >= (least if exponent < -16384 else 0)
        if exponent >= -16384:
            assert made == sign * Fraction(1, 2**-exponent)
        else:
            assert abs(made) <= 2 * least and made.denominator <= 2 ** (1 << 14)
            assert abs(made) == least


def test_a_kernel_says_what_it_is_of_and_refuses_what_is_no_memory():
    kernel = fcsym.derive(Network.mlp([2, 3, 1]).training("momentum"), order="sequential").compile()
    for said in ("2-3-1", "momentum", "sequential order", "target numpy"):
        assert said in repr(kernel)
    weights = [np.zeros((3, 2)), np.zeros((1, 3))]
    for memory in (5, [], [np.zeros((3, 2))], [np.zeros((3, 2))] * 3):
        with pytest.raises(ArgumentError, match="memory is no list of 2 arrays: M1, M2"):
            kernel.exact(weights, [1, 1], [1], "1/2", memory=memory)


def test_a_unit_without_a_contribution_is_said_to_leave_what_its_own_layer_leaves():
    for phis, words in ((["tanh", "relu"], "relu"), (["relu", "tanh"], "tanh")):
        network, other = Network.mlp([2, 3, 4, 1], phis), Network.mlp([2, 4, 1], words)
        does = other.layers[0].activation.leaving_zero[0]
        with pytest.raises(UndefinedContribution, match=f"^unit h2 of layer 2 {re.escape(does)} at this step"):
            refuse_undefined(np.array([False, True, False, False]), network)


def test_numbers_beside_equations_have_the_case_that_holds():
    """s1 = (3, -3), delta2 = 2 and eta = 1/4: the first unit stays above 0, the second one below."""
    given = {"x": [1, 2], "target": [1], "eta": "1/4", "W1": [[1, 1], [-1, -1]], "W2": [[1, 1]]}
    made = fcsym.scheme(Network.mlp([2, 2, 1]), "weights").with_values(given, 6).by_function["step"]
    assert [made.holds["dv1", (j,)] for j in range(2)] == ["active -> active", "dead -> dead"]
    assert [made.text["dv1", (j,)] for j in range(2)] == ["-2.5", "0"]  # s1' = (1/2, -3)
    assert {name for name, _ in made.holds} == {"dv1", "r_new"}


def test_steps_in_one_call_are_of_finite_rows_of_the_right_length():
    """One after another, and of many networks; as text they are none."""
    network = Network.mlp([2, 3, 1])
    kernel = SimpleNamespace(network=network, module=SimpleNamespace(samples=0))
    real = np.dtype(float)
    for good in (np.ones((4, 2)), np.ones((4, 3, 2)), np.ones((4, 2), int), np.ones((4, 2), np.float32)):
        made = NativeKernel._rows(kernel, "x", good, real)
        assert made.dtype == real and (made == good).all() and made.shape == good.shape
    for bad in (np.ones(2), np.ones((4, 3)), np.full((4, 2), np.nan), np.full((4, 2), np.inf), np.full((4, 2), "1")):
        with pytest.raises(ArgumentError, match=r"^xs must be finite real numbers of shape \(steps, \.\.\., 2\)\.$"):
            NativeKernel._rows(kernel, "x", bad, real)
    with pytest.raises(ArgumentError, match=r"^targets must be finite real numbers of shape \(steps, \.\.\., 1\)\.$"):
        NativeKernel._rows(kernel, "target", np.ones((4, 2)), real)


def test_networks_that_differ_in_their_targets_alone_are_trained_in_one_call():
    need("cc")
    network = Network.mlp([2, 3, 1])
    kernel = fcsym.scheme(network, "backprop").compile("c")
    rng = np.random.default_rng(0)
    weights, xs, targets = (
        [rng.normal(size=(3, 2)), rng.normal(size=(1, 3))],
        rng.normal(size=(4, 2)),
        np.ones((4, 5, 1)),
    )
    targets *= np.arange(5.0)[:, None]
    whole = kernel.run(kernel.init(weights), xs, targets, 0.1)
    for k in range(5):
        state = kernel.init(weights)
        for x, target in zip(xs, targets, strict=True):
            state = kernel.step(state, x, target[k], 0.1)
        for a, b in zip(whole, state, strict=True):
            np.testing.assert_array_equal(a[k], b)


def test_what_derivatives_are_worked_out_in_has_room_for_them(monkeypatch):
    asked = []

    def many(library, module, name, arrays, memory):
        asked.append((memory(3, np.dtype(float)), work_of(module).at(3)))
        raise StopIteration

    monkeypatch.setattr(gradient, "load", lambda source, dtype: None)
    monkeypatch.setattr(gradient, "many", many)
    network = Network.mlp([2, 3, 1], "tanh").training(None, "mean")
    kernel = fcsym.gradient(network, "E", ["W1"]).compile("c")
    with pytest.raises(StopIteration):
        kernel.gradient([np.ones((3, 2)), np.ones((1, 3))], np.ones((3, 2)), np.ones((3, 1)))
    ((memory, wanted),) = asked
    assert len(memory) >= wanted > 0 and memory.ctypes.data % 64 == 0
