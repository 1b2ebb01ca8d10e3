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

import fcsym
from fcsym import Network
from fcsym.errors import ArgumentError, CompileError, UndefinedContribution
from fcsym.kernel import native, refuse_undefined
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.native import HEAD, NOT_FINITE, Call
from fcsym.kernel.stored import fraction_of
from fcsym.kernel.targets.c import refuse_large
from fcsym.kernel.targets.c_native import native_text
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
        met.append(place.exists() or place.is_symlink())
        place.write_bytes(data)

    allowed = os.access
    monkeypatch.setattr(native, "run", run)
    monkeypatch.setattr(native, "write_bytes", write)
    monkeypatch.setattr(os, "access", lambda p, mode: there != "what cannot be written to" and allowed(p, mode))
    native._build("int x;", ["cc"], path)
    assert met == [there == "a file"] and other.read_bytes() == b"other" and native._sound(path)
    path.write_bytes(path.read_bytes().replace(b"library", b"Library"))
    assert not native._sound(path)


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
