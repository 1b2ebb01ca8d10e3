"""Sentences with mathematics between backticks, as LaTeX."""

from __future__ import annotations

import pytest

from fcsym.language.expression import Array, Role
from fcsym.render.formula import case_name, escape, prose, sentence

ARRAYS = {
    array.name: array
    for array in (
        Array("W", 1, (), role=Role.PARAMETER),
        Array("W", 1, (), True, role=Role.PARAMETER),
        Array("dE_dT", None, (), role=Role.OTHER),
    )
}

SENTENCES = {
    "no mathematics": "no mathematics",
    "50 % of #1 & a_b": r"50 \% of \#1 \& a\_b",
    "active -> dead": r"active $\to$ dead",
    "`W1` moves": "$W^{(1)}$ moves",
    "here `W1_new != W1`.": r"here $W^{(1)\prime} \ne  W^{(1)}$.",
    "`eta*dE/dy` and `v^c dv'`": r"$\eta \cdot \tfrac{\partial E}{\partial y}$ and $v^{\mathrm{c}} \mathrm{d}v'$",
    "`dE_dT`": r"$(\mathrm{d}E/\mathrm{d}T)$",
    "`step` reads `y_g - x`": r"$\mathrm{step}$ reads $y_{\mathrm{g}} - x$",
    "`a % b`": r"$a \% b$",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_a_sentence_is_written_with_its_mathematics(text):
    assert prose(text, ARRAYS) == SENTENCES[text]


def test_a_sentence_has_parts():
    """Nothing is between two backticks, or before the first one, where there is nothing."""
    assert sentence("`x` is `x`", ARRAYS) == [(True, "x"), (False, " is "), (True, "x")]
    assert sentence("", ARRAYS) == []
    assert escape("a_b") == r"a\_b"


def test_a_name_of_a_case_has_parts():
    assert case_name("active -> dead") == [(False, "active -> dead")]
    assert case_name("all v^c = 0, dv' != 0") == [
        (False, "all "), (True, r"v^{\mathrm{c}}"), (False, " = 0, "), (True, r"\mathrm{d}v'"), (False, " "),
        (True, r"\ne "), (False, " 0"),
    ]  # fmt: skip
