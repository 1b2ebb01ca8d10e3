"""A worked example: a network, its numbers, and what is claimed of them, as a file or as data.

network = "net.toml"              or a table [network] as a network file has it
order = "sequential"              where the page says so
[values]                          as in a values file, or values = "v.toml"
x = [0.05, 0.10]

claims = [
"after one step w5 is 0.35891648",
"before, y is 0.75136507 0.772928465",
"E after 10,000 steps is 0.0000351085",
"delta2[k] = y[k] - y_g[k]",
]
[[claim]]                         the same, one by one
quantity = "w5"
after = 1
printed = "0.35891648"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from fcsym.errors import ArgumentError, NetworkError, shown
from fcsym.files import file_name
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.values import Values, values_of
from fcsym.values.table import read_table
from fcsym.worked.grammar import Formula, equation

__all__ = ["Claim", "Example", "Printed", "read_example"]

MAX_STEPS = 1_000_000
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?(?:[eE][-+]?\d+)?", re.ASCII)
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


_FLOAT = 16  # significant digits: float64 gives 15 of what it holds
_ROUNDED = Fraction(16, 2**52)  # of a number, by some roundings


@dataclass(frozen=True, slots=True)
class Printed:
    """A number with the digits as they are printed."""

    text: str
    value: Fraction
    unit: Fraction  # of its last digit

    @property
    def digits(self) -> int:
        """How many significant digits it has."""
        return len(re.sub(r"[eE].*|[^0-9]", "", self.text).lstrip("0")) or 1

    def rounds(self, value: Any) -> bool:
        """Whether the value rounds to it."""
        return bool(abs(value - self.value) <= self.unit / 2)

    def floats(self, value: Any) -> bool:
        """Whether it has more digits than float64 keeps, and the value up to what float64 rounds on the way."""
        return self.digits >= _FLOAT and bool(abs(value - self.value) <= _ROUNDED * abs(self.value))

    def cuts(self, value: Any) -> bool:
        """Whether it is the value with the rest of its digits left out."""
        size, mine = abs(value), abs(self.value)
        return bool(size >= mine) and bool(size < mine + self.unit) and bool((value < 0) == (self.value < 0))


def printed(text: str, where: str) -> Printed:
    """A number as printed; ArgumentError for what is none."""
    plain = text.replace("\N{MINUS SIGN}", "-").strip()
    if "," in plain and not _THOUSANDS.fullmatch(plain):
        raise ArgumentError(
            f"{where}: {shown(text)!r} is no number: write a decimal point, and a comma between thousands only."
        )
    plain = plain.replace(",", "")
    try:
        if not plain.isascii() or "_" in plain:  # which Decimal would read
            raise InvalidOperation
        number = Decimal(plain)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or abs(exponent) > 400 or len(plain) > 400:
            raise InvalidOperation
    except InvalidOperation:
        raise ArgumentError(f"{where}: {shown(text)!r} is no number: give its digits as they are printed.") from None
    return Printed(text, Fraction(number), Fraction(10) ** exponent)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said: of a quantity after some steps, that it has these digits; or of all numbers, an equation."""

    text: str
    quantity: str = ""
    after: int | None = None  # steps; None where nothing is said
    printed: tuple[Printed, ...] = ()
    formula: tuple[Formula, Formula] | None = None


@dataclass(frozen=True)
class Example:
    """A network with its numbers, and the claims about it."""

    network: Network
    order: Order
    values: Values
    claims: tuple[Claim, ...]
    title: str = ""


def read_example(path: str | Path | Mapping[str, Any]) -> Example:
    """A worked example from a TOML file, or from the same as data.

    Raises ArgumentError, and NetworkError for its network: one sentence that says what is wrong and where.
    """
    if isinstance(path, Mapping):
        return _example(path, Path())
    where = file_name(path)
    table = read_table(where, "a worked example, .toml")
    try:
        return _example(table, where.parent)
    except (ArgumentError, NetworkError) as problem:
        text = str(problem)
        raise type(problem)(text if text.startswith(str(where)) else f"{where}: {text}") from None


_KEYS = ("title", "network", "order", "values", "claims", "claim")


def _example(table: Mapping[str, Any], folder: Path) -> Example:
    unknown = next((str(key) for key in table if key not in _KEYS), None)
    if unknown is not None:
        raise ArgumentError(f"A worked example has no key {shown(unknown)!r}: the keys are {', '.join(_KEYS)}.")
    missing = next((key for key in ("network", "values") if key not in table), None)
    if missing is not None:
        raise ArgumentError(f"{missing} is missing: a worked example has a network, values and claims.")
    network = _network(table["network"], folder)
    order = table.get("order", "simultaneous")
    if order not in get_args(Order):
        raise ArgumentError(f"The order {shown(order)!r} is not known: choose {' or '.join(get_args(Order))}.")
    given = table["values"]
    values = values_of(network, read_table(folder / given) if isinstance(given, str) else given)
    entries = [*_listed(table, "claims"), *_listed(table, "claim")]
    if not entries:
        raise ArgumentError('There are no claims: give claims = ["after one step w5 is 0.35891648"].')
    claims = tuple(_claim(entry, n) for n, entry in enumerate(entries, 1))
    return Example(values.network, order, values, claims, _text(table, "title", "The worked example"))


def _listed(table: Mapping[str, Any], key: str) -> list[Any]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ArgumentError(f"{key} is no list: write {key} = [...], or [[{key}]] above each.")
    return value


def _text(table: Mapping[str, Any], key: str, where: str, otherwise: str = "") -> str:
    """What a table says in words."""
    value = table.get(key, otherwise)
    if not isinstance(value, str):
        raise ArgumentError(f"{where}: {key} is {shown(value)!r}: write it as text, in quotation marks.")
    return value


def _network(value: Any, folder: Path) -> Network:
    if isinstance(value, Network):
        return value
    if isinstance(value, str):
        return Network.load(folder / value) if value.endswith(".toml") else Network.parse(value)
    return Network.from_table(value)


def _claim(entry: Any, n: int) -> Claim:
    where = f"claim {n}"
    if isinstance(entry, str):
        return _said(entry, where)
    if not isinstance(entry, Mapping):
        raise ArgumentError(f"{where} is {shown(entry)!r}: write a sentence, or a table with quantity and printed.")
    known = ("claim", "quantity", "after", "printed", "formula")
    unknown = next((str(key) for key in entry if key not in known), None)
    if unknown is not None:
        raise ArgumentError(f"{where} has no key {shown(unknown)!r}: the keys are {', '.join(known)}.")
    kinds: tuple[set[str], ...] = ({"formula"}, {"quantity", "printed"}, {"quantity", "printed", "after"}, set())
    if {*entry} - {"claim"} not in kinds:  # nothing that is said is passed over
        raise ArgumentError(f"{where} has {', '.join(entry)}: give quantity, after and printed, or a formula alone.")
    if "formula" in entry:
        formula = _text(entry, "formula", where)
        return Claim(_text(entry, "claim", where, formula), formula=equation(formula))
    if "quantity" not in entry or "printed" not in entry:
        return _said(_text(entry, "claim", where), where)
    after = entry.get("after")
    if after is not None and (isinstance(after, bool) or not isinstance(after, int) or not 0 <= after <= MAX_STEPS):
        raise ArgumentError(f"{where}: after is {shown(after)}: give a number of steps from 0 to {MAX_STEPS}.")
    said = entry["printed"] if isinstance(entry["printed"], list) else [entry["printed"]]
    numbers = tuple(printed(_digits(number, where), where) for number in said)
    when = "" if after is None else " after one step" if after == 1 else f" after {after} steps"
    quantity = _text(entry, "quantity", where)
    text = f"{quantity}{when} is {' '.join(p.text for p in numbers)}"
    return Claim(_text(entry, "claim", where, text), quantity, after, numbers)


def _digits(value: Any, where: str) -> str:
    """A printed number as its text."""
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | Fraction):
            raise ValueError
        return str(value)
    except ValueError:  # or a whole number with more digits than Python writes
        raise ArgumentError(f"{where}: {shown(value)!r} is no number: give its digits as they are printed.") from None


_UNIT = r"(?:training\s+)?(?:steps?|epochs?|updates?|iterations?)"
_STEPS = re.compile(
    rf"after\s+(?:(?:the\s+)?(?P<n>\d[\d,]*|an?|{'|'.join((*_WORDS, *_ORDINALS))})\s+{_UNIT}\b"
    rf"|{_UNIT}\s+(?P<later>\d[\d,]*))\s*[,:]?",
    re.I | re.ASCII,
)
_BEFORE = re.compile(r"(?:before(?:\s+(?:the|any)\s+(?:step|update|training))?|initially|at\s+first)\s*,?\s*", re.I)
_NUMBER = r"[-+\N{MINUS SIGN}]?[\d.][\d.,]*(?:[eE][-+]?\d+)?[\s,;]*"
_IS = re.compile(
    rf"\s*(?P<name>[A-Za-z]\w*['+]?(?:\s*\[[\d,\s]+\])?)\s*(?:is|are|=|:)\s*[\[(]?(?P<numbers>(?:{_NUMBER}(?:and\s+)?)+)[\])]?\s*\.?\s*",
    re.ASCII,
)


def _count(word: str, where: str) -> int:
    """How many steps a word or a number says."""
    if word[0].isdigit():
        if len(word) > 40 or (word.count(",") and not _THOUSANDS.fullmatch(word)):
            raise ArgumentError(f"{where}: {shown(word)!r} is no number of steps: write it as in 10000.")
        return int(word.replace(",", ""))
    if word in ("a", "an"):
        return 1
    return _WORDS.index(word) if word in _WORDS else _ORDINALS.index(word) + 1


def _said(text: str, where: str) -> Claim:
    """A sentence: [after N steps | before] NAME is NUMBERS, or an equation."""
    rest, after = text, None
    found = _STEPS.search(rest)
    if found is not None:
        after = _count((found["n"] or found["later"]).lower().rstrip(","), where)
        rest = f"{rest[: found.start()]} {rest[found.end() :]}"
    else:
        found = _BEFORE.search(rest)
        if found is not None:
            after, rest = 0, f"{rest[: found.start()]} {rest[found.end() :]}"
    if after is not None and after > MAX_STEPS:
        raise ArgumentError(f"{where}: {after} steps are more than {MAX_STEPS}: claim something about fewer.")
    plain = re.sub(r"\b(?:the|a|an|values? of)\b(?=\s+\w)", " ", rest)
    plain = re.sub(r"\b(?:error|loss|weights?|bias(?:es)?|outputs?)\s+(?!(?:is|are)\b)(?=[A-Za-z])", " ", plain)
    plain = plain.strip().rstrip(".,")
    found = _IS.fullmatch(plain)
    if found is not None:
        numbers = [part.rstrip(",;.") for part in re.split(r"[\s;]+|,\s+|and", found["numbers"]) if part.strip(",;.")]
        return Claim(
            text,
            re.sub(r"\s", "", found["name"]).replace("+", "'"),
            after,
            tuple(printed(part, where) for part in numbers),
        )
    if "=" in rest and after is None:
        return Claim(text, formula=equation(rest))
    raise ArgumentError(
        f"{where}, {shown(text, 60)!r}, is not understood: write 'after one step w5 is 0.35891648', or an equation "
        "such as 'delta2[k] = y[k] - y_g[k]'."
    )
