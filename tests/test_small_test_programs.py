"""The program that tests a file in C, read as text: it calls what the header declares, with as much as is there.

No compiler is asked, so that a fault in what is written is seen at once.
"""

from __future__ import annotations

import re
from functools import cache
from math import prod

import pytest

import fcsym
from fcsym import Network
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.kernel.targets.c_file import CTarget

SCHEMES = {
    "any input": (Network.mlp([3, 2, 1]), "backprop", {}),
    "any mini-batch": (Network.mlp([2, 1, 2]), "backprop", {"batch": "mean"}),
    "one input": (Network.mlp([2, 1, 1], bias=True), "states", {}),
    "a full batch": (Network.mlp([2, 1, 1]), "states", {"batch": "mean"}),
}


@cache
def files(name, with_rows):
    """The network, the header and the program."""
    network, scheme, setting = SCHEMES[name]
    found = fcsym.scheme(network, scheme, **setting)
    rows = frozen_rows(found, draws=3) if with_rows else []
    made = CTarget().files(lower_scheme(found), "update", rows)
    return network, rows, made["update.h"], made["update_test.c"]


def split(arguments):
    return [part.strip() for part in re.split(r",(?![^\[(]*[\])])", arguments)]


@pytest.mark.parametrize("with_rows", [False, True])
@pytest.mark.parametrize("name", SCHEMES)
def test_a_test_program_calls_functions_as_the_header_declares_them(name, with_rows):
    """With as many arguments, each in the place of what it is."""
    _, _, header, text = files(name, with_rows)
    declared = dict(re.findall(r"int update_(\w+)\(([^;]*)\);", header))
    calls = re.findall(r"update_(init|step|output|expand)\(((?:[^()]|\(\))*)\)", text)
    assert {called for called, _ in calls} == ({"init", "step", "output", "expand"} if with_rows else {"init"})
    for called, arguments in calls:
        names = [one.split()[-1].lstrip("*") for one in split(declared[called])]
        given = split(arguments)
        assert len(given) == len(names), (called, given, names)
        for own, one in zip(names, given, strict=True):
            said = {"state": r"&state", "weights": r"&(row->)?weights", "start": r"&row->weights", "y": "y",
                    "x": r"x|row->x\[(n|0|row->steps - 1)\]", "target": r"row->target\[n\]", "eta": "row->eta",
                    "samples": r"\d+|row->samples", "work": "work"}[own]  # fmt: skip
            assert re.fullmatch(said, one), (called, own, one)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_test_program_compares_as_many_numbers_as_there_are(name):
    """Outputs of all samples before every step and after the last one, and all weights."""
    network, rows, _, text = files(name, True)
    samples = len(rows[0].x[0]) if "batch" in SCHEMES[name][2] else 1
    outputs, inputs = network.widths[-1] * samples, network.widths[0] * samples
    weights = sum(prod(network.shape(array)) for array in network.parameters)
    compared = re.findall(r"differ\((?:\([^()]*\))?&?(\w+), .*?(\d+)\)", text)
    assert compared == [("y", str(outputs)), ("y", str(outputs)), ("weights", str(weights))]
    assert f"x[2][{inputs}], target[2][{outputs}], y[3][{outputs}];" in text and f" y[{outputs}];" in text


@pytest.mark.parametrize("name", SCHEMES)
def test_a_test_program_without_rows_gives_one_sample(name):
    """Of the one input that init is given, where it is given one."""
    network, _, _, text = files(name, False)
    single = name in ("one input", "a full batch")
    assert re.findall(r"static update_real x\[(\d+)\];", text) == [str(network.widths[0])] * single
    assert re.findall(r"update_init\(&state, &weights, x, (\d+)", text) == ["1"] * (name == "a full batch")
