"""Networks and requests that are too large.

Each trial runs one command in 4 GB of memory and a minute of the processor. What is tried follows from the commands
themselves: every command that takes a network takes each of those that are large in one way, 128 layers, a million
units, inputs, outputs or samples, layers with many channels, pixels, steps or blocks; every scheme and every target is
asked of a deep and of a wide network; and every option that is a count gets a huge one. A command must do its work, or
refuse it with one sentence that says how much it would be and what to ask for; and where it refuses, before it has
begun. One that is asked for work that only grows with a count, such as points to try, may be stopped by the limit that
it was given, ten seconds. A row has all the trials of its kind: how many of them did what, and the most time of the
processor and the most memory that one of them took.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from reliability.frame import Table, Wrong, trials

MOST, MEMORY = 60, "4GB"  # seconds of processor time
AT_ONCE = 20  # seconds of processor time in which a refusal has to be there, on a slow machine
ASKED = 10  # seconds for what was asked for in a number without an end
HUGE = 10**9


@dataclass(frozen=True)
class Large:
    """A network that is large in one way."""

    words: tuple[str, ...]  # on the command line
    file: Mapping[str, Any] = field(default_factory=dict)  # of a network of layers, net.toml
    stored: bool = True  # whether a file can hold its weights


def _layers(shape: list[int], *layers: Mapping[str, Any]) -> Large:
    return Large(("net.toml",), {"shape": shape, "layers": layers})


def _block(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": "residual", "layers": [{"kind": "layernorm"}, {"kind": kind, **more}]}


_READ_OUT = {"kind": "linear", "out_features": 2}

NETWORKS = {
    "ten thousand million weights": Large(("100000-100000-1",), stored=False),
    "10,000 steps": _layers([10_000, 4], {"kind": "rnn", "hidden_size": 8}, _READ_OUT),
    "a million units": Large(("2-1000000-1",)),
    "128 layers": Large(("-".join(["1"] * 129),)),
    "128 layers of 64": Large(("-".join(["64"] * 129),)),
    "a million inputs": Large(("1000000-2-1",)),
    "a million outputs": Large(("2-2-1000000",)),
    "a million samples": Large(("2-2-1", "--batch", "mean", "--samples", "1000000")),
    "many channels": _layers(
        [512, 16, 16], {"kind": "conv2d", "out_channels": 1024, "kernel_size": 3, "activation": "relu"},
        {"kind": "flatten"}, _READ_OUT,
    ),
    "many pixels": _layers(
        [3, 1000, 1000], {"kind": "conv2d", "out_channels": 8, "kernel_size": 3, "activation": "relu"},
        {"kind": "flatten"}, _READ_OUT,
    ),
    "1,000 steps": _layers([1_000, 4], {"kind": "rnn", "hidden_size": 8}, _READ_OUT),
    "128 blocks": _layers(
        [16, 8], *(block for _ in range(128) for block in (
            _block("attention", num_heads=2, causal=True), _block("linear", out_features=8),
        )), _READ_OUT,
    ),
}  # fmt: skip
"""By what they have too much of."""

SMALL = "2-2-1"
COUNTED = ("schemes", "targets", "step targets")
"""Choices on which it depends how much work there is."""


@dataclass(frozen=True)
class Request:
    """One command line."""

    row: str  # of the table
    name: str
    words: tuple[str, ...]
    network: Large | None = None
    endless: bool = False  # work that was asked for in a number without an end


def requests() -> list[Request]:
    """Every command line that is tried, from what the commands say of themselves: the first one of each comes first."""
    from fcsym.cli import _parser
    from fcsym.commands import COMMANDS

    choices = next(action for action in _parser()._actions if action.dest == "command").choices
    assert isinstance(choices, dict)
    each = (_of(command, choices[command]) for command in COMMANDS)
    return [request for turn in zip_longest(*each) for request in turn if request is not None]


def _of(command: str, parser: argparse.ArgumentParser) -> Iterator[Request]:
    from fcsym.commands.options import KNOWN

    actions = parser._actions
    takes = any(action.dest == "network" for action in actions)
    if takes:
        values = ("--values", "v.npz") if any(a.dest == "values" and a.required for a in actions) else ()
        for name, large in NETWORKS.items():
            if large.stored or not values:
                yield Request(f"{command}: every network", f"{command} {name}", (command, *large.words, *values), large)
    for action in actions:
        option = action.option_strings[-1] if action.option_strings else ""
        for known in re.findall(r"\{([a-z ]+)\}", action.help or ""):
            for word in KNOWN[known]() if takes and known in COUNTED else ():
                for name in ("128 layers", "a million units"):
                    words = (command, *NETWORKS[name].words, option, word)
                    yield Request(
                        f"{command}: every one of the {known}", f"{command} {name} {option} {word}", words,
                        NETWORKS[name],
                    )  # fmt: skip
        if action.type is int and option:
            for count in (1_000, HUGE):
                network = Large((SMALL,)) if takes else None
                batch = ("--batch", "mean") if action.dest == "samples" else ()
                words = (command, *(network.words if network else ()), *batch, option, str(count))
                yield Request(
                    f"{command}: a huge count", f"{command} {SMALL * takes} {option} {count}", words, network, True
                )
        if action.nargs == 0 and option in ("--joint", "--raw"):
            for network in ("8-8-8-1", "64-64-64-10"):
                yield Request(
                    f"{command}: a product", f"{command} {network} {option}", (command, network, option),
                    Large((network,)),
                )  # fmt: skip


SHORT, LONG = 8, len(requests())


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many commands."""
    table = Table(("commands", "work", "refused", "stopped", "most seconds", "most MB"), "what is asked for")
    for outcome in trials(trial, min(count, LONG), seed, only, seconds=10.0 * MOST, processes=1):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            row, what, seconds, megabytes = outcome.value
            table.add(row, "commands")
            table.add(row, what)
            table.most(row, "most seconds", seconds)
            table.most(row, "most MB", megabytes)
        yield table


def trial(seed: int, number: int) -> tuple[str, str, float, int]:
    """One command: its row, what became of it, its time and memory. Wrong where it ends in any other way."""
    request = requests()[number]
    with tempfile.TemporaryDirectory() as folder:
        _files(request, Path(folder))
        before = {path.name for path in Path(folder).iterdir()}
        with tempfile.TemporaryFile() as out:
            limits = ("--max-memory", MEMORY, *(("--max-seconds", str(ASKED)) if request.endless else ()), "--json")
            process = subprocess.Popen(
                [sys.executable, "-m", "fcsym", *request.words, *limits],
                cwd=folder, stdout=out, stderr=out, env=_environment(),
            )  # fmt: skip
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (MOST, MOST + 1))  # and all that it starts
            _, ended, used = os.wait4(process.pid, 0)  # with the memory of this one, and of what it has started
            status = process.returncode = os.waitstatus_to_exitcode(ended)
            out.seek(0)
            text = out.read().decode()
        left = {path.name for path in Path(folder).iterdir()} - before
    seconds = used.ru_utime + used.ru_stime
    figures = (round(seconds, 1), round(used.ru_maxrss / 1000))
    try:
        document = json.loads(text)
    except ValueError:
        raise Wrong(f"{request.name} ended with status {status}: {text[-300:]}") from None
    refused = document.keys() == {"error"}  # a step has the error of its network, too
    if not refused and seconds < MOST:
        if status != 0:
            raise Wrong(f"{request.name} ended with status {status}: {text[-300:]}")
        return request.row, "work", *figures
    sentence = document["error"] if refused else "It took too long."
    if not refused or "was ended by" in sentence:
        raise Wrong(f"{request.name} neither ended in {MOST} s nor was refused: {sentence}")
    if status != 2 or left:
        raise Wrong(f"{request.name} ended with status {status} and left {sorted(left)}: {sentence}")
    if "was stopped" in sentence:
        if not request.endless:
            raise Wrong(f"{request.name} was not refused, and did not fit into {MEMORY}: {sentence}")
        return request.row, "stopped", *figures
    if seconds > AT_ONCE:
        raise Wrong(f"{request.name} was refused after {seconds:.0f} s only: {sentence}")
    return request.row, "refused", *figures


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _files(request: Request, folder: Path) -> None:
    """A network file, and the numbers of a step."""
    if request.network is None:
        return
    if request.network.file:
        (folder / "net.toml").write_text(
            "".join(f"{key} = {_toml(value)}\n" for key, value in request.network.file.items())
        )
    if "v.npz" in request.words:
        _values(request.network, folder)


def _toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def _values(large: Large, folder: Path) -> None:
    """Random numbers, small enough that no layer overflows."""
    import numpy as np

    from fcsym.cli import _parser
    from fcsym.commands.options import network_of
    from fcsym.errors import FcsymError

    home = Path.cwd()
    os.chdir(folder)
    try:
        network = network_of(_parser().parse_args(["cost", *large.words]))
    except FcsymError:  # nor will the command take it
        return
    finally:
        os.chdir(home)
    rng = np.random.default_rng(0)
    arrays = {array.name: rng.normal(size=network.shape(array)) / 1000 for array in network.parameters}
    arrays["x"] = rng.normal(size=network.shape(network.input))
    arrays["target"] = rng.normal(size=network.shape(network.target))
    np.savez(folder / "v.npz", eta=np.array(0.001), **arrays)
