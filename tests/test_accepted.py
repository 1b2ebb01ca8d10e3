"""Certificates of the smallest networks of every kind: each is one that Coq has accepted.

Coq takes seconds for a file, and for the same file it says the same. `accepted_by_coq.txt` has the digests of texts,
without comments, that it has accepted. A text that is not among them is another one: `python tests/test_accepted.py`
has Coq asked about what is new, and writes the list. In the long form Coq is asked about every one.
"""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import LONG, need
from test_small_proofs import CARRIED, SCHEMES, STEPS

import fcsym
from fcsym import Network
from fcsym.certificates import certificate_of, certify

LIST = Path(__file__).with_name("accepted_by_coq.txt")
KINDS = (
    "plain",
    "two outputs",
    "several pieces",
    "bias in the middle",
    "biases outside",
    "adam",
    "nesterov",
    "mean",
    "two samples",
    "smooth, huber",
    "softmax",
    "sigmoid, bce",
    "gelu",
    "no hidden layer",
    "convolution",
    "gates",
    "norm",
    "tokens",
    "backprop",
    "weights",
    "compensation",
    "states",
    "history",
    "basis",
    "states of a batch",
    "collapsed",
    "collapsed with biases",
    "collapsed, one input",
    "next input",
)
COLLAPSED = {
    "collapsed": (Network.mlp([2, 2, 1]), {"batch": "sum"}),
    "collapsed, one input": (Network.mlp([1, 2, 1], "leaky_relu"), {"order": "sequential"}),
    "collapsed with biases": (Network.mlp([1, 2, 2], bias=True), {"batch": "mean"}),
}


def document(name):
    if name in STEPS:
        network, setting = STEPS[name]
        return fcsym.derive(network, **setting)
    if name == "next input":  # a statement, whose own v^c is that of the step it is made from
        statement = fcsym.next_input(Network.mlp([1, 1, 1]), order="sequential")
        return next(part for part in statement.parts if part.name == "next")
    every = {**{n: (n, *own) for n, own in SCHEMES.items()}, **CARRIED}
    every |= {n: ("collapsed", *own) for n, own in COLLAPSED.items()}
    kind, network, setting = every[name]
    return fcsym.scheme(network, kind, **setting)


def digest(text):
    return sha256(re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", KINDS)
def test_a_certificate_is_one_that_coq_accepts(name):
    d = document(name)
    made = certificate_of(d)
    assert made.statements - made.certified == len(made.admitted)
    assert f"{digest(made.text)} {name}" in LIST.read_text("utf-8").splitlines(), (
        f"The certificate of {name!r} is another one: have Coq asked about it by `python tests/test_accepted.py`."
    )
    if LONG:
        need("coqc")
        found = certify(d)
        assert found, found.said


def test_another_letter_is_seen(monkeypatch):
    """A number in a theorem that is another one, and a comment that is: the one is refused, the other is not."""
    made = certificate_of(document("plain"))
    for text, seen in ((made.text + "(* Good. *)", False), (made.text.replace("0 < ", "1 < ", 1), True)):
        assert text != made.text
        other = replace(made, text=text)
        monkeypatch.setattr(sys.modules[__name__], "certificate_of", lambda d, other=other: other)
        monkeypatch.setattr(sys.modules[__name__], "LONG", False)
        with pytest.raises(AssertionError, match="is another one") if seen else nullcontext():
            test_a_certificate_is_one_that_coq_accepts("plain")


def main():
    """Ask Coq about what is new, and write the list; the exit status."""
    known = frozenset(LIST.read_text("utf-8").splitlines())
    lines, refused = [], []
    for name in KINDS:
        d = document(name)
        line = f"{digest(certificate_of(d).text)} {name}"
        good = line in known or certify(d)
        (lines if good else refused).append(line)
        print(line, "" if good else good.said, flush=True)
    LIST.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return int(bool(refused))


if __name__ == "__main__":
    raise SystemExit(main())
