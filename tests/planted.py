"""Coq on a certificate with an error in it: what the error does not reach is not proved again.

A theorem stands in the right certificate as it does in the wrong one, unless the error is in it, or in what it names.
Those that it does not reach are left open: Coq has proved them in the right one. What is refused must be reached.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fcsym.certificates.checking import checked

_ITEM = re.compile(r"^(?=(?:[A-Z][a-z]+ |\(\*))(?!Proof)", re.MULTILINE)
_MADE = re.compile(r"(?:Theorem|Lemma|Definition|Fixpoint|Hypothesis|Variables?|Ltac) +(?:\(([^:]*):|([\w']+))")
_WORD = re.compile(r"[\w']+")
_PROOF = re.compile(r"\bProof\..*\bQed\.", re.DOTALL)


def around(right, wrong):
    """The wrong text with the proofs that the error reaches, and the names of what it reaches."""
    same, reached, kept = set(_ITEM.split(right)), set(), []
    for item in _ITEM.split(wrong):
        if item not in same or reached & set(_WORD.findall(item)):
            reached |= {name for found in _MADE.findall(item) for name in " ".join(found).split()}
            kept.append(item)
        else:
            kept.append(_PROOF.sub("Admitted.", item))
    return "".join(kept), reached


def refused(right, wrong):
    """What Coq says of the theorem that it refuses: one that the error reaches."""
    assert right.text != wrong.text
    text, reached = around(right.text, wrong.text)
    found = checked(replace(wrong, text=text))
    place, _, said = found.said.partition(": ")
    assert not found and said and place in reached, found.said
    return found.said
