"""Certificates of the smallest networks of every kind: each is one that Coq has accepted, or Coq is asked.

Coq takes seconds for a file, and for the same file it says the same. `accepted_by_coq.txt` has the digests of texts,
without comments, that it has accepted: a text that is not among them is given to Coq, and must be accepted.
`python tests/test_accepted.py` asks for all of them and writes the list; in the long form Coq is asked for every one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import LONG, need
from test_small_proofs import SCHEMES, STEPS

import fcsym
from fcsym.certificates import certificate_of, certify

LIST = Path(__file__).with_name("accepted_by_coq.txt")
KINDS = (
    "plain",
    "two outputs",
    "bias in the middle",
    "biases outside",
    "adam",
    "mean",
    "two samples",
    "smooth, huber",
    "softmax",
    "convolution",
    "norm",
    "compensation",
    "states",
    "history",
)


def document(name):
    if name in SCHEMES:
        network, setting = SCHEMES[name]
        return fcsym.scheme(network, name, **setting)
    network, setting = STEPS[name]
    return fcsym.derive(network, **setting)


def digest(text):
    return sha256(re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", KINDS)
def test_a_certificate_is_one_that_coq_accepts(name):
    d = document(name)
    made = certificate_of(d)
    assert made.statements - made.certified == len(made.admitted)
    if LONG or digest(made.text) not in LIST.read_text("utf-8").split():
        need("coqc")
        found = certify(d)
        assert found, found.said


def test_coq_is_asked_about_what_it_has_not_accepted(monkeypatch):
    """A number in a theorem that is another one, and a comment that is: the one is asked about, the other is not."""
    d, asked = document("plain"), []
    monkeypatch.setattr(sys.modules[__name__], "certify", lambda d: asked.append(d) or True)
    monkeypatch.setattr(sys.modules[__name__], "need", lambda tool: "")
    made = certificate_of(d)
    for text, times in ((made.text + "(* Good. *)", 0), (made.text.replace("0 < ", "1 < ", 1), 1)):
        other = replace(made, text=text)
        monkeypatch.setattr(sys.modules[__name__], "certificate_of", lambda d, other=other: other)
        assert text != made.text
        asked.clear()
        test_a_certificate_is_one_that_coq_accepts("plain")
        assert len(asked) == times


if __name__ == "__main__":
    made = [(name, document(name)) for name in KINDS]
    refused = [name for name, d in made if not certify(d)]
    lines = [f"{digest(certificate_of(d).text)} {name}\n" for name, d in made if name not in refused]
    LIST.write_text("".join(lines), "utf-8")
    raise SystemExit(f"Coq refuses {', '.join(refused)}." if refused else 0)
