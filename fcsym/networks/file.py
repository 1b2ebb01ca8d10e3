"""Network files: what a TOML file says => the layers, the loss, and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from fcsym.errors import ArgumentError, NetworkError, shown
from fcsym.language.activation import BUILT_IN, Activation, Piece, activation, piecewise_linear
from fcsym.language.spelling import check_name, exact
from fcsym.language.tables import toml_table
from fcsym.networks.dense import width_of
from fcsym.networks.layer_tables import DENSE, nodes_in
from fcsym.networks.names import given_names
from fcsym.networks.rules import PLAIN, UpdateRule, rule

__all__ = ["dense_in", "layers_in", "table_at", "trained"]

_MAX_FILE = 1_000_000  # bytes; a network file is a page of text

N = TypeVar("N", bound=Any)
"""A network."""


def table_at(path: str | Path) -> dict[str, Any]:
    """What a network file holds; NetworkError where it cannot be read."""
    where = Path(path)
    try:
        if where.is_dir():
            raise NetworkError(f"{where} is a folder: give the network file in it.")
        if not where.is_file():
            raise NetworkError(f"{where} is not there: give a network file, or widths such as 2-2-1.")
        if where.stat().st_size > _MAX_FILE:
            raise NetworkError(f"{where} is larger than {_MAX_FILE} bytes: a network file is a page of text.")
        return toml_table(where.read_bytes())
    except (OSError, UnicodeDecodeError) as problem:
        raise NetworkError(f"{where} cannot be read ({problem}): give a readable TOML file in UTF-8.") from None
    except ValueError as problem:
        if isinstance(problem, NetworkError):
            raise
        raise NetworkError(f"{where} is not valid TOML: {problem}; mend it there.") from None


def _refuse_unknown(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise NetworkError(f"{where} has an unknown key {shown(key)!r}: the keys are {', '.join(known)}.")


def _fail(message: str) -> NoReturn:
    raise NetworkError(message)


def _plain(value: object) -> object:
    """A TOML decimal => the exact fraction; everything else as it is."""
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > 300:  # 1e999999999 is short to write and long to store
            _fail(f"The number {shown(value)} is out of range: give one of ordinary size.")
        return Fraction(value)
    return value


def _tables(data: Mapping[str, object], key: str) -> list[dict[str, object]]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise NetworkError(f"{key} is not a list of tables: write [[{key}]] above each.")
    return value


def _own_activation(table: Mapping[str, object], n: int) -> Activation:
    where = f"[[activations]] number {n}"
    _refuse_unknown(table, ("name", "pieces", "slope_at_kink"), where)
    if "name" not in table or "pieces" not in table:
        raise NetworkError(f"{where} needs a name and a list of pieces.")
    name = check_name(table["name"], where)
    if name in BUILT_IN:
        raise NetworkError(f"{where}: the name {name!r} is taken by a built-in activation; choose another.")
    entries = table["pieces"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NetworkError(f"{where}: pieces is a list of tables such as {{ upper = 0, slope = 0 }}.")
    pieces = []
    for m, entry in enumerate(entries, 1):
        _refuse_unknown(entry, ("upper", "slope", "intercept", "name"), f"{where}, piece {m}")
        if "slope" not in entry:
            raise NetworkError(f"{where}, piece {m} has no slope: give one.")
        upper = exact(_plain(entry["upper"]), f"{where}, piece {m}, upper") if "upper" in entry else None
        label = check_name(entry["name"], f"{where}, piece {m}") if "name" in entry else ""
        pieces.append(
            Piece(
                upper,
                exact(_plain(entry["slope"]), f"{where}, piece {m}, slope"),
                exact(_plain(entry.get("intercept", 0)), f"{where}, piece {m}, intercept"),
                label,
            )
        )
    kink = table.get("slope_at_kink")  # without it, the slope on the left
    return piecewise_linear(name, pieces, [_plain(k) for k in kink] if isinstance(kink, list) else _plain(kink))


_TRAINING = ("share", "train", "rule", "batch", "samples")
"""The keys of a network file that say what is trained, and how."""


def own_activations(data: Mapping[str, object]) -> list[Activation]:
    """The activations that a file brings."""
    own: list[Activation] = []
    for n, table in enumerate(_tables(data, "activations"), 1):
        phi = _own_activation(table, n)
        if any(other.name == phi.name for other in own):
            raise NetworkError(f"[[activations]] number {n}: the name {phi.name!r} is given twice.")
        own.append(phi)
    return own


def layers_in(data: Mapping[str, object]) -> dict[str, Any] | None:
    """What a file says of a network of layers: shape, layers, output and loss; None for a stack of dense ones."""
    tables = _tables(data, "layers")
    plain = all(table.get("kind", DENSE) == DENSE and not table.keys() & {"from", "name"} for table in tables)
    if "shape" not in data and (plain or "inputs" not in data):
        return None
    keys = ("shape", "inputs", "layers", "activations", "names", "output", "loss", *_TRAINING)
    _refuse_unknown(data, keys, "The network")
    if "shape" in data and "inputs" in data:
        raise NetworkError("The network has a shape and inputs: give one of them.")
    shape = data.get("shape", [data.get("inputs")])
    if not isinstance(shape, list):
        raise NetworkError(f"shape is {shown(shape)!r}: write the lengths of the input's axes, such as [1, 8].")
    own = own_activations(data)
    layers, last = nodes_in([{key: _plain(value) for key, value in table.items()} for table in tables], own)
    if last != "identity" and "output" in data:
        raise NetworkError("The last layer has an activation and the network an output: give one of them.")
    output = data.get("output", last)
    softmax = isinstance(output, str) and output.lower() == "softmax"
    return {
        "shape": [_plain(length) for length in shape], "layers": layers,
        "output": output if softmax else activation(output, own), "loss": data.get("loss", "squared"),
    }  # fmt: skip


def dense_in(data: Mapping[str, object]) -> dict[str, Any]:
    """What a file says of a stack of dense layers: widths, activations, biases, own, output and loss."""
    own = own_activations(data)
    if "layers" in data:
        _refuse_unknown(data, ("inputs", "layers", "activations", "names", "loss", *_TRAINING), "The network")
        if "inputs" not in data:
            raise NetworkError("A network with [[layers]] needs inputs, the number of inputs.")
        tables = _tables(data, "layers")
        widths, activations, biases = [width_of(_plain(data["inputs"]), "number of inputs")], [], []
        output: object = "identity"
        for n, table in enumerate(tables, 1):
            where = f"[[layers]] number {n}"
            _refuse_unknown(table, ("kind", "width", "activation", "bias"), where)
            if "width" not in table:
                raise NetworkError(f"{where} has no width: give one.")
            widths.append(width_of(_plain(table["width"]), f"width of {where}"))
            if n == len(tables):
                output = table.get("activation", "identity")
            else:
                activations.append(table.get("activation", "relu"))
            biases.append(table.get("bias", False))
        loss = data.get("loss", "squared")
        return _said_of(widths, activations, biases, own, output, loss)
    known = ("widths", "activation", "bias", "names", "activations", "output", "loss", *_TRAINING)
    _refuse_unknown(data, known, "The network")
    if "widths" not in data:
        raise NetworkError("The network has no widths: write widths = [2, 2, 1], or one [[layers]] table per layer.")
    entries = data["widths"]
    if not isinstance(entries, list):
        raise NetworkError(f"widths is {shown(entries)!r}: write a list such as [2, 2, 1].")
    widths = [width_of(_plain(entry), f"width {n}") for n, entry in enumerate(entries)]
    return _said_of(
        widths, data.get("activation", "relu"), data.get("bias", False), own, data.get("output", "identity"),
        data.get("loss", "squared"),
    )  # fmt: skip


def _said_of(
    widths: list[int], activations: object, biases: object, own: list[Activation], output: object, loss: object,
) -> dict[str, Any]:  # fmt: skip
    return {
        "widths": widths, "activations": activations, "biases": biases, "own": own, "output": output, "loss": loss
    }  # fmt: skip


def trained(network: N, data: Mapping[str, object]) -> N:
    """The network with what its file says of its arrays, share = { b1 = true } and train = { b1 = false }."""
    share, train = _said(data, "share", "{ b1 = true }"), _said(data, "train", "{ b1 = false }")
    parameters = [theta.name for theta in network.parameters]
    network.shared(*(name for name in share if name not in parameters))  # refused by name, whatever is said of it
    network.frozen(*(name for name in train if name not in parameters))
    network = network.shared(*(name for name, shares in share.items() if shares))
    network = replace(network, names=given_names(data.get("names", ()), network))
    frozen = network.frozen(*(name for name, trains in train.items() if not trains))
    samples = data.get("samples")
    try:
        made: N = frozen.training(_rule_in(data.get("rule")), data.get("batch"), samples)
    except ArgumentError as problem:
        raise NetworkError(str(problem)) from None
    return made


def _said(data: Mapping[str, object], key: str, example: str) -> dict[str, bool]:
    """A table of true and false by the names of arrays."""
    table = data.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(value, bool) for value in table.values()):
        raise NetworkError(f"{key} is no table of true and false: write {key} = {example}, array by array.")
    return table


def _rule_in(value: object) -> UpdateRule:
    """rule = "momentum", or a table: rule = { name = "momentum", beta = 0.9 }."""
    if value is None or isinstance(value, str):
        return PLAIN if value is None else rule(value)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise NetworkError('rule is no name and no table with one: write rule = { name = "momentum", beta = 0.9 }.')
    return rule(**{key: _plain(number) for key, number in value.items()})  # type: ignore[arg-type]
