"""Wrong input, of every kind, to everything that reads.

A trial makes one input: a network, dense or of layers of every kind, a file of values or a worked example, as a table
with odd things in it or as a file, or a pipe, that is torn, shuffled and rewritten; a name, a number, a formula; or a
command line. It must be taken or be refused in one sentence (by the command line with status 2, and nothing written):
any other exception is a failure. What is asked for may be long work: it is stopped after a second or two, and counted.
All trials run in one process, command lines by the function that the program calls; its work as a program of its own is
what the chapters on limits and on kills try.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import MISSING, fields
from datetime import date
from decimal import Decimal
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from reliability.frame import Table, Wrong, trials

SHORT, LONG = 3_000, 1_000_000
SECONDS = 2.0
"""After so long an input is taken for one that is accepted, and is work."""


def chapter(count: int, seed: int, only: int | None = None) -> Iterator[Table]:
    """So many inputs."""
    table = Table(("inputs", "taken", "refused", "stopped"), "what is read")
    for outcome in trials(trial, count, seed, only, processes=1, seconds=120.0):
        table.tried += 1
        if outcome.failure:
            table.fail(outcome.number, outcome.failure)
        else:
            name, what = outcome.value
            table.add(name, "inputs")
            table.add(name, what)
        yield table


def trial(seed: int, number: int) -> tuple[str, str]:
    """One input: what read it, and whether it was taken, refused or stopped. Wrong for anything else."""
    for package in (
        "sympy",
        "sympy.assumptions",
        "z3",
        "flint",
        "rich.console",
        "numpy",
    ):  # an import that is stopped half-way stays half
        import_module(package)
    random = Random(f"{seed} {number}")
    names = list(READERS)
    name = random.choices(names, [WEIGHTS.get(name, 10) for name in names])[0]
    return name, outcome_of(READERS[name], random)


def outcome_of(read: Callable[[Random], str], random: Random) -> str:
    """What became of it."""
    from fcsym.errors import FcsymError, LossWarning

    home, streams = Path.cwd(), (sys.stdout, sys.stderr)
    try:
        with _stopped_after(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", LossWarning)
            return read(random)
    except _Late:
        return "stopped"
    except FcsymError as problem:
        checked_sentence(str(problem))
        return "refused"
    finally:  # time may be up just when somebody puts these back, and the next trial wants them
        os.chdir(home)
        sys.stdout, sys.stderr = streams


def checked_sentence(text: str) -> None:
    """Wrong for what is no sentence on one line that a person can read."""
    if not text or text[-1] not in ".'" or "\n" in text or len(text) > 1500:
        raise Wrong(f"{text[:300]!r} is no sentence.")


class _Late(BaseException):
    """Time is up; what is tried must not take it for an error of its own."""


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise _Late

    old = signal.signal(signal.SIGALRM, late)
    around = signal.setitimer(signal.ITIMER_REAL, seconds)[0]
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, around)
        signal.signal(signal.SIGALRM, old)


# ------------------------------------------------------------------------------------------------- what is odd

TEXTS = (
    "", " ", "relu", "mean", "W1", "x", "1/2", "1/0", "nan", "-inf", "1e999", "0x10", "1_000", "\u0661", "2-2-1",
    "a" * 300, "__class__", "\\input{/etc/passwd}", "<script>", "\x00", "\x1b[2J", "\u202e", "\ud800", "\U0001f600",
    "'); DROP", "..", "/", "/dev/null", "%s", "{0.__class__}", "lambda", "W1[1,", "sum(i: ", "((((", "=",
    "eta", "\u00e9",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, -1, 7, 10**9, 10**30, -(10**30), 16**5000, 0.5, -0.0, 1e-300, 1e300, 5e-324, float("nan"), float("inf"),
    Decimal("0.1"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1e999999"), Decimal("1e-999999"),
    Fraction(1, 3), True, False, 1j,
)  # fmt: skip
OTHERS = (None, b"bytes", date(2020, 2, 29), object, (), frozenset({1}))


def odd(random: Random, depth: int = 3) -> Any:
    """Anything that a file or a caller may hold."""
    kind = random.randrange(8 if depth else 6)
    if kind < 2:
        return random.choice(TEXTS)
    if kind < 5:
        return random.choice(NUMBERS)
    if kind == 5:
        return random.choice(OTHERS)
    if kind == 6:
        return [odd(random, depth - 1) for _ in range(random.randrange(4))]
    return {random.choice((*KEYS, *TEXTS)): odd(random, depth - 1) for _ in range(random.randrange(3))}


KEYS = (
    "widths", "activation", "bias", "output", "loss", "names", "layers", "activations", "shape", "inputs", "rule",
    "batch", "samples", "share", "train", "kind", "width", "name", "pieces", "slope", "upper", "x", "target", "eta",
    "W1", "b1", "w1", "weights", "values", "claims", "claim", "network", "order", "title", "quantity", "printed",
    "after", "formula",
)  # fmt: skip


def spoilt(random: Random, value: Any) -> Any:
    """The same with some of it in another way: another value, a key more, one less, one twice."""
    return _spoilt(random, value, random.choice((0.01, 0.03, 0.1)))


def _spoilt(random: Random, value: Any, how_much: float) -> Any:
    if random.random() < how_much:
        return odd(random)
    if isinstance(value, dict):
        made = {key: _spoilt(random, entry, how_much) for key, entry in value.items() if random.random() > how_much / 3}
        if random.random() < how_much:
            made[random.choice(KEYS)] = odd(random)
        return made
    if isinstance(value, list):
        made_list = [_spoilt(random, entry, how_much) for entry in value if random.random() > how_much / 5]
        return made_list + made_list[:1] if random.random() < how_much / 2 else made_list
    return value


def torn(random: Random, text: str) -> bytes:
    """The text of a file with pieces lost, doubled, exchanged or overwritten."""
    data = text
    for _ in range(random.choice((1, 1, 2, 4))):
        lines = data.split("\n")
        n = random.randrange(len(lines))
        at = random.randrange(len(data) + 1)
        match random.randrange(8):
            case 0:
                del lines[n]
                data = "\n".join(lines)
            case 1:
                lines.insert(random.randrange(len(lines)), lines[n])
                data = "\n".join(lines)
            case 2:
                random.shuffle(lines)
                data = "\n".join(lines)
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + random.choice(TEXTS) + data[at:]
            case 5:
                words = data.split(" ")
                words[random.randrange(len(words))] = random.choice(WORDS)
                data = " ".join(words)
            case 6:
                head, equals, _ = lines[n].partition("=")
                lines[n] = f"{head}{equals} {random.choice(WORDS)}"
                data = "\n".join(lines)
            case _:
                data = data[:at] + data[at + random.randint(1, 9) :]
    raw = data.encode("utf-8", "surrogatepass")
    if random.random() < 0.1:
        at = random.randrange(len(raw) + 1)
        raw = raw[:at] + random.randbytes(random.randint(1, 8)) + raw[at:]
    return raw


WORDS = (
    "0", "-1", "1.5", "nan", "inf", "1e400", "1e-400", "0x" + "f" * 5000, "0b1", "1979-05-27", "true", '""', "[]", "{}",
    "[" * 400, "[[[]]]", '"\\u0000"', '"\\u202e"', "'''", "9" * 5000, "{ a = 1 }", "[1, [2]]", '["a", 1]',
    "10000000000",
)  # fmt: skip


# ------------------------------------------------------------------------------------------------- what reads


def _root() -> Path:
    return Path(__file__).parents[2] / "derivations"


_KEPT: dict[str, list[Any]] = {}


def _examples() -> list[dict[str, Any]]:
    """Worked examples and the specifications of the gallery, as tables."""
    import tomllib

    if "tables" not in _KEPT:
        _KEPT["texts"] = [path.read_text("utf-8") for path in sorted(_root().glob("*/*.toml"))]
        _KEPT["tables"] = [tomllib.loads(text, parse_float=Decimal) for text in _KEPT["texts"]]
    return _KEPT["tables"]


def _texts(having: str = "") -> list[str]:
    """The files of all of these, or of those that have something."""
    _examples()
    return [text for text in _KEPT["texts"] if having in text]


def _tables_with(key: str) -> list[dict[str, Any]]:
    return [table for table in _examples() if key in table]


@contextmanager
def _file(name: str, raw: bytes) -> Iterator[Path]:
    with _folder() as folder:
        path = folder / name
        path.write_bytes(raw)
        yield path


@contextmanager
def _folder() -> Iterator[Path]:
    """An empty one, in memory where the system has such: to remove one on a disk takes longer than all the rest."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def _pipe(path: Path, raw: bytes) -> Iterator[None]:
    """A named pipe from which whoever opens it reads this."""
    os.mkfifo(path)

    def write() -> None:
        with suppress(BrokenPipeError), path.open("wb") as pipe:
            pipe.write(raw)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
    finally:
        while writer.is_alive():  # nobody has opened it, or not to its end
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            writer.join(0.001)


def network_table(random: Random) -> str:
    """A network as data."""
    from fcsym import Network

    network = random.choice([table["network"] for table in _tables_with("network")])
    if not isinstance(network, dict):
        network = {
            "widths": [2, 2, 1],
            "activation": ["relu"],
            "bias": True,
            "rule": "adam",
            "names": list("abcdfghik"),
        }
    made = spoilt(random, network)
    str(Network.from_table(made if isinstance(made, dict) else {"widths": made}))
    return "taken"


def network_file(random: Random) -> str:
    """A network in a file."""
    from fcsym import Network

    text = random.choice(_texts()).partition("[network]")[2] or "widths = [2, 2, 1]"
    text = text.replace("[[network.layers", "[[layers").partition("[values]")[0]
    with _file("net.toml", torn(random, text)) as path:
        str(Network.load(path))
    return "taken"


def layers_table(random: Random) -> str:
    """A network of layers as data."""
    from fcsym import Network, derive
    from fcsym.networks.layers import KINDS

    layers = [_layer(random) for _ in range(random.choice((1, 1, 2, 2, 3)))]
    axes = len(KINDS[layers[0]["kind"]].reads) if random.random() < 0.9 else 2
    table: dict[str, Any] = {"shape": [random.choice((1, 2, 3, 4)) for _ in range(axes)], "layers": layers}
    if random.random() < 0.4:
        layers.append({"kind": "flatten"})
    layers.append({"kind": "linear", "out_features": random.choice((1, 2))})
    for key, values in _AROUND_LAYERS.items():
        if random.random() < 0.1:
            table[key] = random.choice(values)
    network = Network.from_table(spoilt(random, table) if random.random() < 0.3 else table)
    str(network)
    if random.random() < 0.1:
        str(derive(network)[random.choice(("p", "s1", "dv", "nothing"))])
    return "taken"


_AROUND_LAYERS: dict[str, tuple[Any, ...]] = {
    "loss": ("mse", "cross_entropy", "l1"), "rule": ("momentum", {"name": "sgd", "weight_decay": Decimal("0.1")}),
    "batch": ("mean", "sum"), "samples": (1, 2), "train": (["W1"], False), "share": (["b1"], ["W1"], [["W1", "W2"]]),
}  # fmt: skip


def _layer(random: Random, depth: int = 1) -> dict[str, Any]:
    """A table of a layer of any kind: of its keys those that it needs, and some others."""
    from fcsym.networks.layers import KINDS

    kind = random.choice(list(KINDS))
    made: dict[str, Any] = {"kind": kind}
    for entry in fields(KINDS[kind]):
        needed = entry.default is MISSING and entry.name != KINDS[kind].measured
        if not needed and random.random() > 0.25:
            continue
        if entry.name == "layers":
            made["layers"] = [_layer(random, depth - 1) for _ in range(random.choice((1, 2)))] if depth else []
        elif entry.name == "function":
            made["function"] = random.choice(("relu", "tanh", "gelu"))
        elif str(entry.type) == "bool":
            made[entry.name] = random.random() < 0.5
        else:
            odd_one = random.random() < 0.1
            made[entry.name] = random.choice((0, [2, 1], "same", Decimal("0.5")) if odd_one else (1, 2, 3))
    for key, words in (("activation", ("relu", "tanh")), ("name", ("a", "b")), ("from", ("a", "b", ["a", "b"], "x"))):
        if random.random() < 0.05:
            made[key] = random.choice(words)
    return made


def network_words(random: Random) -> str:
    """A network as the arguments of a call."""
    from fcsym import Network

    words = [
        odd(random) if random.random() < 0.4 else good for good in ([2, 2, 1], "relu", False, "identity", "squared")
    ]
    network = Network.mlp(words[0], words[1], words[2], output=words[3], loss=words[4])
    for change in (network.frozen, network.shared):
        if random.random() < 0.3:
            network = change(random.choice(("W1", "b1", odd(random, 0))))
    if random.random() < 0.5:
        network = network.training(odd(random), odd(random), odd(random))
    str(network)
    return "taken"


def widths_text(random: Random) -> str:
    """Widths in words."""
    from fcsym import Network

    text = "".join(random.choice(("2", "3", "-", "-", "0", "x", " ", ",", "99999999", ".", "\u0662")) for _ in range(6))
    str(Network.parse(random.choice((text, random.choice(TEXTS)))))
    return "taken"


def values_table(random: Random) -> str:
    """Values as data."""
    from fcsym import Network
    from fcsym.values import values_of

    table = random.choice([entry for entry in _tables_with("values") if isinstance(entry["values"], dict)])
    network = table["network"]
    made = Network.parse(network) if isinstance(network, str) else Network.from_table(network)
    values = dict(table["values"])
    if random.random() < 0.3:  # as many rows as there are samples, or not
        made = made.training(random.choice((None, "momentum", "adam")), "mean", random.choice((None, 1, 2)))
        for name in ("x", "target"):
            values[name] = [values.get(name)] * random.choice((1, 2))
    if random.random() < 0.3:
        theta = random.choice(made.parameters).name
        made = random.choice((made.frozen, made.shared))(theta)
    if random.random() < 0.2:  # nested deeper, or less deep
        name = random.choice(list(values))
        nested = isinstance(values[name], list) and random.random() < 0.5
        values[name] = values[name][0] if nested and values[name] else [values[name]]
    values_of(made, spoilt(random, values), needs_eta=random.random() < 0.5)
    return "taken"


def values_file(random: Random) -> str:
    """Values in a file."""
    from fcsym import Network
    from fcsym.values import read_values

    text = (
        "x = [0.05, 0.10]\ntarget = [0.5]\neta = 0.5\nW1 = [[1, 2], [3, 4]]\nb1 = 0.35\nW2 = [[-1, 0.5]]\nb2 = [1e-3]\n"
    )
    network = Network.parse("2-2-1", bias=True)
    kind = random.choice(("toml", "toml", "json", "npz", "safetensors", "txt"))
    if kind == "json":
        made = {"x": [1, 2], "target": [1], "eta": "1/2", "W1": [[1, 2], [3, 4]], "b1": 0, "W2": [[1, 2]], "b2": [1]}
        raw = torn(random, _json(spoilt(random, made))) if random.random() < 0.9 else b"[1]"
    elif kind in ("npz", "safetensors"):
        raw = _binary(random, kind)
    else:
        raw = torn(random, text)
    with _file(f"v.{kind}", raw) as path:
        read_values(network, path)
    return "taken"


def _json(value: Any) -> str:
    """What is not JSON as its text; a number too long to write is left out."""
    try:
        return json.dumps(value, default=str, skipkeys=True)
    except ValueError:
        return "{}"


def _binary(random: Random, kind: str) -> bytes:
    import numpy as np

    arrays = {"x": np.ones(2), "target": np.ones(1), "eta": np.array(0.5), "W1": np.eye(2), "W2": np.ones((1, 2))}
    arrays |= {"b1": np.zeros(2), "b2": np.zeros(1)}
    for name in random.sample(list(arrays), random.randrange(3)):
        arrays[name] = random.choice(
            (np.array(["a"]), np.array([np.nan]), np.ones((2, 2, 2)), np.array(1j), np.array([], float),
            np.array([True, False]))
        )  # fmt: skip
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    raw = stream.getvalue()
    if random.random() < 0.7:
        at = random.randrange(len(raw))
        raw = raw[:at] + random.randbytes(random.randint(0, 6)) + raw[at + random.randint(0, 6) :]
    if kind == "safetensors":
        head = json.dumps(
            {"x": {"dtype": "F64", "shape": [2], "data_offsets": [0, random.choice((16, 8, 0))]}}
        ).encode()
        raw = len(head).to_bytes(8, "little") + head + random.randbytes(random.choice((16, 3)))
    return raw


def example_table(random: Random) -> str:
    """A worked example as data."""
    from fcsym.worked.claims import read_example

    read_example(spoilt(random, random.choice(_tables_with("claims"))) or {})
    return "taken"


def example_file(random: Random) -> str:
    """A worked example in a file, audited."""
    from fcsym import audit_example

    with _file("example.toml", torn(random, random.choice(_texts("claims")))) as path:
        str(audit_example(path))
    return "taken"


def claim(random: Random) -> str:
    """A claim in words, or a formula."""
    from fcsym.worked.claims import read_example

    pieces = (
        "after", "before", "one", "step", "10,000", "steps", ",", "w5", "W1[1,1]", "is", "=", "0.35", "1.", "-", "and",
        "[", "]", "sum(j:", "delta2[k]", "y_g[k]", "max(i:", ")", "(", "**", "^", "99", "1e9", "exp(", "relu'(", "'",
        "/", "*", "eta",
    )  # fmt: skip
    text = " ".join(random.choice(pieces) for _ in range(random.randint(1, 9)))
    values = {"x": [1], "target": [1], "eta": 1, "W1": [[1]]}
    read_example({"network": "1-1", "values": values, "claims": [random.choice((text, text, odd(random)))]})
    return "taken"


def name_or_number(random: Random) -> str:
    """A name, a number, an activation, a rule."""
    from fcsym.language.activation import activation
    from fcsym.language.spelling import check_name, exact
    from fcsym.networks.rules import rule

    thing = odd(random)
    match random.randrange(5):
        case 0:
            check_name(thing, "here")
        case 1:
            exact(thing, "it")
        case 2:
            activation(thing)
        case 3:
            rule(
                random.choice(("momentum", "adam", thing)), **{random.choice(("beta", "weight_decay", "gamma")): thing}
            )
        case _:
            text = "".join(chr(random.choice((random.randrange(128), random.randrange(0x110000)))) for _ in range(5))
            check_name(random.choice((text, text[:1] + "x")), "here")
    return "taken"


# ------------------------------------------------------------------------------------------------ command lines

NETWORKS = (
    "2-2-1", "1-1-1", "2-3-2", "2-2-2-1", "net.toml", "layers.toml", "torn.toml", "2-2",
    "missing.toml", "pipe.toml", ".", "",
)  # fmt: skip
GOOD: dict[str, tuple[str, ...]] = {
    "network": NETWORKS, "order": ("simultaneous", "sequential", "both"), "activation": ("relu", "tanh", "relu,tanh"),
    "bias": ("yes", "no", "yes,no"), "output": ("identity", "softmax", "sigmoid"),
    "loss": ("squared", "cross_entropy", "l1"), "rule": ("momentum", "adam,eta=0.1", "sgd"), "batch": ("mean", "sum"),
    "samples": ("1", "2"), "trials": ("1", "20"), "values": ("v.toml", "torn.toml", "v.json", "pipe.toml"),
    "save": ("out.tex", "out.html", "deep/out.tex", "out.txt", "net.toml"),
    "scheme": ("states", "history", "basis", "backprop", "collapsed"), "target": ("numpy", "c", "fortran"),
    "steps": ("1", "3"), "quantity": ("p", "P", "dv", "nothing"), "example": ("example.toml", "torn.toml"),
    "by": ("W1", "x", "W2,W1"), "of": ("E", "y", "dE_dW1"), "only": ("p", "W1_new", "step"),
    "notation": ("indexed", "flat"), "name": ("update", "a b"), "detail": ("full", "brief"), "digits": ("3", "0"),
    "unit": ("1", "2", "0"), "inputs": ("1", "2", "0"),
}  # fmt: skip
"""Words that mean something to an option, by its name; others get any word."""

SPOKEN = (*(text for text in TEXTS if "\x00" not in text and "\ud800" not in text), "\udcff")
"""Of the odd texts those that a system can hand over; bytes that are no text come as halves of pairs."""

LONG_WORK = ("reproduce", "certify")
"""Commands that always run for long, or start programs that do: they get a wrong option as well."""


def arguments(random: Random) -> list[str]:
    """A command line of any command, with any of its options."""
    from fcsym.cli import _parser
    from fcsym.commands import COMMANDS

    if "commands" not in _KEPT:
        actions = next(action for action in _parser()._actions if action.dest == "command")
        _KEPT["commands"] = [actions.choices]  # type: ignore[list-item]
    command = random.choice(COMMANDS)
    words = [command] if random.random() > 0.02 else [random.choice(SPOKEN)]
    for action in _KEPT["commands"][0][command]._actions:
        if action.option_strings and random.random() > 0.15:
            continue
        word = random.choice(GOOD.get(action.dest, ("1", "2", "0.5")))
        if random.random() < 0.1:
            word = random.choice((*SPOKEN, "-1", "1/2", "99999999999999999999", "-", "--", "1e400"))
        named = action.option_strings[-1:]
        words += (
            named
            if action.nargs == 0
            else [f"{named[0]}={word}"]
            if named and random.random() < 0.3
            else [*named, word]
        )
    if random.random() < 0.03:
        words.insert(random.randrange(len(words) + 1), random.choice(SPOKEN))
    return [*words, "--wrong"] if command in LONG_WORK else words


def command_line(random: Random) -> str:
    """A command line, in a folder with some files."""
    words = arguments(random)
    torn_file = torn(random, random.choice(_texts()))
    with _folder() as folder:
        for name, raw in (*_FILES.items(), ("torn.toml", torn_file)):
            (folder / name).write_bytes(raw)
        with _pipe(folder / "pipe.toml", random.choice((_FILES["v.toml"], torn_file))):
            return run(words, folder)


_FILES = {
    "net.toml": b'widths = [2, 2, 1]\nactivation = "leaky_relu"\nbias = true\n',
    "layers.toml": b'shape = [1, 4]\n[[layers]]\nkind = "conv1d"\nout_channels = 2\nkernel_size = 2\n'
    b'activation = "relu"\n[[layers]]\nkind = "flatten"\n[[layers]]\nkind = "linear"\nout_features = 1\n',
    "v.toml": b"x = [1, 2]\ntarget = [1]\neta = 0.5\nW1 = [[1, 2], [3, 4]]\nW2 = [[1, -1]]\n",
    "v.json": b'{"x": [1, 2], "target": [1], "eta": 0.5, "W1": [[1, 2], [3, 4]], "W2": [[1, -1]], "b1": 0, "b2": 0}',
    "example.toml": b'network = "1-1"\nclaims = ["before, y is 2"]\n'
    b"[values]\nx = [1]\ntarget = [1]\neta = 1\nW1 = [[2]]\n",
}


def run(words: list[str], folder: Path) -> str:
    """`fcsym WORDS` in a folder: taken or refused. Wrong where it ends in another way, or leaves something behind."""
    from fcsym.cli import main

    before, home = _held(folder), Path.cwd()
    out, err = io.StringIO(), io.StringIO()
    os.chdir(folder)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = main(words)
            except SystemExit as left:
                status = int(left.code or 0)
    except Exception as problem:
        raise Wrong(f"fcsym {words} ends in {type(problem).__name__}: {problem}") from problem
    finally:
        os.chdir(home)
    if status not in (0, 1, 2):
        raise Wrong(f"fcsym {words} ends with status {status}.")
    if "--json" in words and (status == 2 or not {"--help", "-h", "--version"} & {*words}):
        said = json.loads(out.getvalue())
        if status == 2:
            checked_sentence(said["error"])
    elif status == 2:
        lines = [line for line in err.getvalue().split("\n") if line]
        if out.getvalue() or not lines or not lines[-1].startswith("fcsym: "):
            raise Wrong(f"fcsym {words} says {out.getvalue()[:100]!r} and {err.getvalue()[:200]!r}.")
        checked_sentence(lines[-1])
    if status == 2 and _held(folder) != before:
        raise Wrong(f"fcsym {words} is refused and leaves {sorted(_held(folder).keys() ^ before.keys())}.")
    return "refused" if status == 2 else "taken"


def _held(folder: Path) -> dict[str, bytes]:
    """What is in a folder, folders with nothing in them too."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


_READS = (
    network_table, layers_table, network_file, network_words, widths_text, values_table, values_file, example_table,
    example_file, claim, name_or_number, command_line,
)  # fmt: skip
READERS: dict[str, Callable[[Random], str]] = {str(read.__doc__).rstrip("."): read for read in _READS}
WEIGHTS = {"A command line, in a folder with some files": 0.3, "A worked example in a file, audited": 0.3}
"""What takes a hundred times as long is tried less often; other weights are 10."""
