"""What is printed of the smallest networks: each text is one that was right when it was accepted.

A reading of a list of equations is a text, and whether it is right takes seconds to see: Coq reads a certificate, a
compiler a file, and numbers are compared with those of automatic differentiation. `accepted_texts.txt` has the digests
of texts that were asked about, and each takes a fraction of a second here, so that a fault in what prints it is seen by
a test that is quick. A text that is not among them is another one: read it, then have it asked about and written down
by `python tests/test_texts.py`.
"""

from __future__ import annotations

import io
import re
import sys
from dataclasses import astuple
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from test_small_proofs import CARRIED, SCHEMES, STEPS, mlp

import fcsym
from fcsym import Conv1d, Flatten, Linear, Network, Residual, RMSNorm
from fcsym.collapsing.export import c_text_of
from fcsym.collapsing.export import text_of as text_of_file
from fcsym.collapsing.sources import text_of_modules
from fcsym.kernel.export import TARGETS, _files, agrees_with_autodiff

LIST = Path(__file__).with_name("accepted_texts.txt")
LISTS = {
    **{name: given for name, given in STEPS.items() if name != "rmsprop"},  # a case has no point
    "no activation": (mlp([1, 1]), {"order": "sequential"}),
    "three layers": (mlp([2, 2, 2, 1], bias=True), {"order": "sequential"}),
    "residual": (Network.sequential((2,), [Residual([Linear(2, 2), "relu"]), Linear(2, 1)]), {}),
    "rms norm": (Network.sequential((2,), [RMSNorm(2), Linear(2, 1)]), {"order": "sequential"}),
    "two channels": (Network([Conv1d(2, 1, 2, padding=1), "tanh", Flatten(), Linear(3, 1)], input=(2, 2)), {}),
}
ALL_SCHEMES = {**{name: (name, *given) for name, given in SCHEMES.items()}, **CARRIED}
COLLAPSED = {
    "one input": (mlp([1, 2, 1]), {}),
    "two inputs": (mlp([2, 3, 1]), {"inputs": 2, "contracted": [0, 1]}),
    "biases": (mlp([2, 3, 1], bias=True), {"contracted": [1], "order": "sequential"}),
    "momentum": (mlp([2, 2, 1]), {"rule": "momentum", "contracted": [0, 1]}),
}


SHOWN = (
    "plain", "two outputs", "momentum", "adamw", "mean", "smooth, huber", "softmax", "no hidden layer", "convolution",
    "gates", "norm", "residual", "two channels",
)  # fmt: skip
"""Those whose documents are among the texts."""
NAMED = ("plain", "two outputs", "three layers")
VALUES = {"x": ["1/2"], "target": [1], "eta": "1/4", "W1": [["3/2"]], "W2": [[-1]]}


@cache
def derived(name):
    network, setting = LISTS[name]
    return fcsym.derive(network, **setting)


@cache
def trained(name):
    kind, network, setting = ALL_SCHEMES[name]
    return fcsym.scheme(network, kind, **setting)


@cache
def collapsed(name):
    network, setting = COLLAPSED[name]
    return fcsym.find_collapse(network, **setting)


def listed(made):
    """Every part of every equation."""
    return "\n".join(repr(astuple(equation)) for equation in made.equations)


def on_a_terminal(document):
    """As a window of 100 columns shows it."""
    from rich.console import Console

    window = Console(file=io.StringIO(), width=100, color_system=None, force_terminal=False)
    window.print(document.__rich__())
    return window.file.getvalue()


def page(document):
    """HTML, with what is read out in the place of each formula: its MathML is written by another program."""
    return re.sub(r'<math[^>]*alttext="([^"]*)".*?</math>', r"\1", document.html(), flags=re.DOTALL)


def exported(target):
    """The files of a target, one below the other."""

    def read(scheme):
        return "\n".join(f"{name}\n{text}" for name, text in sorted(_files(scheme, TARGETS[target], "up").items()))

    return read


def columns(target):
    """The file of a closed state in a library without the modules that it has word for word, or its files in C."""

    def read(found):
        contracted = found.choice.found.contracted
        given = found.network, found.order, tuple(sorted(contracted)), "up"
        if target == "c":
            return "\n".join(c_text_of(*given, ()).values())
        chosen = TARGETS[target]
        return text_of_file(*given[:3], chosen, "up", ()).replace(text_of_modules(chosen.words.imports), "")

    return read


READINGS = {
    "list": (derived, LISTS, listed),
    "verdicts": (derived, SHOWN, lambda d: "\n".join(map(str, d.proof.findings))),
    "terminal": (derived, SHOWN, on_a_terminal),
    "LaTeX": (derived, SHOWN, lambda d: d.latex()),
    "numbered names": (derived, NAMED, lambda d: d.latex(notation="paper", detail="summary")),
    "HTML": (derived, SHOWN, page),
    "NumPy": (derived, LISTS, lambda d: d.kernel_source()),
    "numbers": (derived, ("several pieces", "adam"), lambda d: d.with_values(VALUES).latex()),
    "functions": (trained, ALL_SCHEMES, lambda s: "\n".join(map(listed, s.routines.values()))),
    "pages of a scheme": (trained, SCHEMES, lambda s: s.latex() + page(s)),
    **{f"file for {target}": (trained, ALL_SCHEMES, exported(target)) for target in TARGETS},
    **{f"columns for {target}": (collapsed, COLLAPSED, columns(target)) for target in TARGETS},
    "closed state": (collapsed, COLLAPSED, lambda c: f"{c}\n{c.latex()}\n{c.as_dict()}"),
}
TEXTS = [(reading, name) for reading, (_, names, _) in READINGS.items() for name in names]


def text_of(reading, name):
    made, _, read = READINGS[reading]
    return read(made(name)).replace(fcsym.__version__, "")


def digest(text):
    return sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("reading", "name"), TEXTS, ids=lambda part: part)
def test_a_text_is_one_that_was_right(reading, name):
    accepted = LIST.read_text("utf-8").splitlines()
    assert f"{digest(text_of(reading, name))} {reading}, {name}" in accepted, (
        f"The {reading} of {name!r} is another one: `python tests/test_texts.py {reading!r} {name!r}` prints it; where "
        "it should be, have it asked about and written down by `python tests/test_texts.py`."
    )


def test_every_text_is_one_that_is_printed():
    """Nothing stands in the list that is no longer made."""
    said = {line.partition(" ")[2] for line in LIST.read_text("utf-8").splitlines()}
    assert said == {f"{reading}, {name}" for reading, name in TEXTS}


@pytest.mark.parametrize("before, after", [("sum", "max"), ("1", "2"), ("order", "other")])
def test_another_letter_is_seen(before, after, monkeypatch):
    text = text_of("terminal", "no hidden layer")
    assert before in text
    monkeypatch.setattr(sys.modules[__name__], "text_of", lambda *_: text.replace(before, after, 1))
    with pytest.raises(AssertionError, match="is another one"):
        test_a_text_is_one_that_was_right("terminal", "no hidden layer")


@cache
def refuted(made, name):
    """What the proof and random numbers refute of what texts are made of; "" for nothing."""
    document = made(name)
    said = [] if document.proof.holds else [repr(document.proof)]
    if made is derived:
        report = fcsym.check(document)
        said += [] if report.passed else [str(report)]
    return "; ".join(said)


def wrong(reading, name):
    """What is wrong with a text, as slower programs see it; "" where nothing is."""
    made, *_ = READINGS[reading]
    targets = [target for target in TARGETS if reading == f"file for {target}"]
    return "; ".join(filter(None, [refuted(made, name), *(agrees_with_autodiff(made(name), t) for t in targets)]))


def main(*which):
    """Print one text, or ask about those that are new and write the list; the exit status."""
    if which:
        print(text_of(*which))
        return 0
    known = frozenset(LIST.read_text("utf-8").splitlines() if LIST.exists() else ())
    lines, bad = [], []
    for reading, name in TEXTS:
        line = f"{digest(text_of(reading, name))} {reading}, {name}"
        problem = "" if line in known else wrong(reading, name)
        if problem:
            bad.append(f"{reading}, {name}: {problem}")
        else:
            lines.append(line)
    LIST.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(*bad, sep="\n")
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
