"""C files of the smallest networks: they compile, and the program that comes with them finds what is wrong.

Each takes a fraction of a second, so that a fault in what stands around the loops is seen by a test that is quick.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from functools import cache

import pytest
from conftest import need

import fcsym
from fcsym import Network
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.kernel.targets.c import room_of
from fcsym.kernel.targets.c_file import CTarget

FLAGS = ["-std=c99", "-O0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
SCHEMES = {
    "backprop": (Network.mlp([3, 2, 1]), "backprop", {}),
    "in batches": (Network.mlp([2, 1, 2]), "backprop", {"batch": "mean"}),
    "one input": (Network.mlp([2, 1, 1]), "states", {}),
    "a full batch": (Network.mlp([2, 1, 1]), "states", {"batch": "mean"}),
    "stored inputs": (Network.mlp([3, 2, 1]), "history", {}),
    "undefined": (Network.mlp([2, 2, 1], "leaky_relu"), "weights", {}),
    "means of windows": (
        Network.sequential((1, 4), [fcsym.Conv1d(1, 1, 2), fcsym.AvgPool1d(3), fcsym.Flatten(), fcsym.Linear(1, 1)]),
        "states",
        {},
    ),
    "undefined output": (Network.mlp([2, 2, 1]), "collapsed", {}),
}


@cache
def made(name):
    """The module of a scheme, and its rows."""
    network, scheme, setting = SCHEMES[name]
    found = fcsym.scheme(network, scheme, **setting)
    return lower_scheme(found), frozen_rows(found, draws=60 if name == "undefined" else 8)


def run(module, rows, folder, *more):
    """What a test program says, and how it ends."""
    for file, text in CTarget().files(module, "update", rows).items():
        (folder / file).write_text(text)
    program = folder / "program"
    command = [need("gcc"), *FLAGS, *more, "update_test.c", "update.c", "-o", str(program), "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True)
    return done.stdout, done.returncode


@pytest.mark.parametrize("name", SCHEMES)
def test_a_program_agrees_with_its_rows(name, tmp_path):
    module, rows = made(name)
    if name == "undefined":
        assert any(row.undefined for row in rows)
    assert run(module, rows, tmp_path) == (f"update: {len(rows)} rows agree with exact evaluation\n", 0)


@pytest.mark.parametrize("name", ["backprop", "one input"])
def test_a_program_agrees_in_single_precision(name, tmp_path):
    module, rows = made(name)
    assert run(module, rows, tmp_path, "-DUPDATE_SINGLE")[1] == 0


def off(numbers, at=0):
    """One number of these, at some depth, a little larger."""
    if not isinstance(numbers, tuple):
        return numbers + 0.001
    return (*numbers[:at], off(numbers[at]), *numbers[at + 1 :])


@pytest.mark.parametrize("name", ["backprop", "in batches"])
@pytest.mark.parametrize("part", ["y, before a step", "y, at the end", "weights", "eta"])
def test_a_program_says_which_row_it_does_not_agree_with(part, name, tmp_path):
    module, (row, *_) = made(name)
    changed = {
        "y, before a step": lambda: replace(row, y=off(row.y)),
        "y, at the end": lambda: replace(row, y=off(row.y, len(row.y) - 1)),
        "weights": lambda: replace(row, expanded=off(row.expanded, len(row.expanded) - 1)),
        "eta": lambda: replace(row, eta=row.eta + 0.001),
    }[part]()
    assert run(module, [row, changed, row], tmp_path) == ("update: row 2 DISAGREES with exact evaluation\n", 1)


@pytest.mark.parametrize("name", ["backprop", "one input", "in batches", "a full batch", "stored inputs"])
def test_a_program_without_rows_sees_that_it_links(name, tmp_path):
    said, status = run(made(name)[0], [], tmp_path)
    assert status == 0 and said.startswith("update: no rows of exact evaluation: they come with networks of at most ")
    text = (tmp_path / "update_test.c").read_text()
    one_sample = [str(made(name)[0].sizes[axis]) for axis in SCHEMES[name][0].input.axes]
    assert re.findall(r"static update_real x\[(.*)\];", text) == (one_sample if made(name)[0].single_input else [])


@pytest.mark.parametrize("name", SCHEMES)
def test_rows_say_what_they_reach_and_are_counted(name):
    module, rows = made(name)
    text = CTarget().files(module, "update", rows)["update_test.c"]
    said = re.findall(r"/\* row (\d+): (.*) \*/", text)
    assert said == [(str(k), "; ".join(row.reaches) or "nothing new") for k, row in enumerate(rows, 1)]
    assert text.startswith("/* update_test.c: update.c on trajectories")


@pytest.mark.parametrize("name", SCHEMES)
def test_a_header_says_what_its_functions_take(name):
    """What is given to init again, where that is one input; how many rows or samples fit; how much memory it takes."""
    module, _ = made(name)
    text = CTarget().files(module, "update", [])["update.h"]
    assert ("start and x are those given to init." in text) is module.single_input
    assert ("/* The weights that backpropagation has after the same steps. */" in text) is not module.single_input
    fits = re.findall(r"#define UPDATE_CAPACITY 64 /\* (.*) \*/", text)
    wanted = {True: "how many samples a mini-batch may have", False: "how many distinct inputs fit"}[module.samples]
    assert fits == [wanted] * (module.stored or module.samples)
    rooms = [room_of(module[f], module) for f in ("init", "step", "output", "expand")]
    stack = max((room.stack if room.outside else room.stack + room.by_rows.at(64)) for room in rooms)
    numbers = re.search(r"#define UPDATE_STACK (.*)\n", text)[1].replace("UPDATE_CAPACITY", "64")
    most_fixed, most_rows = max(room.stack for room in rooms), max(room.by_rows.at(64) for room in rooms)
    assert stack <= eval(numbers) <= most_fixed + most_rows
    work = re.search(r"#define UPDATE_WORK (\S+|\(.*\))( /\*.*)?\n", text)[1].replace("UPDATE_CAPACITY", "64")
    outside = [room.given.at(64) for room in rooms if room.outside]
    assert eval(work) == max(outside, default=0)


def test_wide_products_of_a_file_are_for_cblas_where_it_is_compiled_so():
    """A kernel in a process has none of it."""
    module = lower_scheme(fcsym.scheme(Network.mlp([64, 64, 64]), "backprop", batch="mean"))
    text, own = CTarget().files(module, "update", [])["update.c"], CTarget().source(module)
    assert " GEMM(" in text and "#include <cblas.h>" in text and "GEMM" not in own
    assert "int kernel_run(" in own and "int update_step(" in text
    assert "CBLAS" not in CTarget().files(made("backprop")[0], "update", [])["update.c"]
