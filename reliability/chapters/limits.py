"""Networks and requests that are too large.

Each trial runs one command on a network of 128 layers, on one of a million units, or with a request that grows with a
product, in 4 GB of memory and in ten minutes. It must do its work, or refuse it with one sentence that says how much it
would be and what to ask for; and where it refuses, before it has begun. What was stopped at one of the two limits had
neither done its work nor refused it: its figure is the time or the memory that it was given; the reason stands below.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from reliability.frame import Table, Wrong, trials

DEEP, WIDE = "-".join(["1"] * 129), "2-1000000-1"
SECONDS, MEMORY = 600, "4GB"
AT_ONCE = 30  # seconds of processor time in which a refusal has to be there, on a slow machine

ASKED = (
    ("derive", WIDE), ("check", WIDE), ("cases", WIDE), ("cost", WIDE), ("certify", WIDE, "--max-seconds", "60"),
    ("gradient", WIDE), ("cases", "8-8-8-1", "--joint"), ("cases", "64-64-64-10", "--raw"),
    ("export", "100000-100000-1", "-o", "."), ("cost", DEEP), ("cases", DEEP), ("gradient", DEEP),
    ("export", DEEP, "-o", "."), ("check", DEEP), ("derive", DEEP), ("step", DEEP, "--values", "deep.json"),
    ("certify", DEEP, "--max-seconds", "60"), ("export", WIDE, "-o", "."),
    ("export", WIDE, "--scheme", "states", "--target", "c", "-o", "."), ("step", WIDE, "--values", "wide.npz"),
)  # fmt: skip
"""Commands, those that take longest last."""

SHORT, LONG = 4, len(ASKED)


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many commands."""
    table = Table(("outcome", "seconds", "MB of memory"), "what is asked for")
    for outcome in trials(trial, min(count, LONG), seed, only, seconds=SECONDS + 60.0, processes=1):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            name, row, note = outcome.value
            table.row(name).update(row)
            if note:
                table.notes.append(f"{name}: {note}")
        yield table


def trial(seed: int, number: int) -> tuple[str, dict[str, object], str]:
    """One command: its name, its figures, and why where it was stopped. Wrong where it ends in any other way."""
    command, network, *more = ASKED[number]
    said = {DEEP: "128 layers"}.get(network, network)
    name = " ".join(
        (command, said, *(word for word in more if word not in ("-o", ".", "deep.json", "wide.npz", "--values")))
    )
    limits = ["--max-memory", MEMORY, *([] if "--max-seconds" in more else ["--max-seconds", str(SECONDS)])]
    with tempfile.TemporaryDirectory() as folder:
        if command == "step":
            _values(Path(folder))
        start = time.monotonic()
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "fcsym", command, network, *more, *limits, "--json"],
                cwd=folder, stdout=out, stderr=out, env=_environment(),
            )  # fmt: skip
            _, ended, used = os.wait4(process.pid, 0)  # with the memory of this one, and of what it has started
            status = process.returncode = os.waitstatus_to_exitcode(ended)
            out.seek(0)
            text = out.read().decode()
        seconds = time.monotonic() - start
        left = {path.name for path in Path(folder).iterdir()} - {"deep.json", "wide.npz"}
    row: dict[str, object] = {"seconds": round(seconds), "MB of memory": round(used.ru_maxrss / 1000)}
    try:
        document = json.loads(text)
    except ValueError:
        raise Wrong(f"{name} ended with status {status}: {text[-300:]}") from None
    if "error" not in document:
        return name, {"outcome": "works", **row}, ""
    sentence = document["error"]
    if status != 2 or left:
        raise Wrong(f"{name} ended with status {status} and left {sorted(left)}: {sentence}")
    if "was stopped" in sentence:
        return name, {"outcome": "stopped", **row}, sentence
    if used.ru_utime + used.ru_stime > AT_ONCE:
        raise Wrong(f"{name} was refused after {used.ru_utime + used.ru_stime:.0f} s only: {sentence}")
    return name, {"outcome": "refused", **row}, sentence


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _values(folder: Path) -> None:
    """The numbers of a step."""
    import numpy as np

    deep = {"x": [0.5], "target": [0.25], "eta": 0.01, **{f"W{n}": [[0.9]] for n in range(1, 129)}}
    (folder / "deep.json").write_text(json.dumps(deep))
    rng = np.random.default_rng(0)
    weights = {"W1": rng.normal(size=(1_000_000, 2)), "W2": rng.normal(size=(1, 1_000_000)) / 1000}
    np.savez(folder / "wide.npz", x=np.array([0.5, 1.0]), target=np.array([0.25]), eta=np.array(0.001), **weights)
