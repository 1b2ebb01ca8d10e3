"""`collapsed` of any network that closes as a document: the finder's state, its four functions, and gate events."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from conftest import few, need
from test_carried import HAT

import fcsym
from fcsym.collapsing.parts import ClosedParts
from fcsym.language.algebra import indices_of
from fcsym.language.expression import ONE, total
from fcsym.render.content import content

NETWORKS = {
    "two outputs": ("2-9-2", {}, {}),
    "three matrices": ("3-60-4-2", {"bias": True, "loss": "cross_entropy"}, {}),
    "the upper layer": ("2-4-40-3-1", {"activation": ["tanh", "relu", "relu"]}, {}),
    "intercepts": ("3-20-2", {"bias": True, "activation": HAT}, {"order": "sequential"}),
    "momentum": ("3-9-1", {}, {"rule": "momentum", "batch": "mean"}),
}


def scheme(name):
    """The scheme of a network of the list."""
    text, settings, training = NETWORKS[name]
    return fcsym.scheme(fcsym.Network.parse(text, **settings), "collapsed", **training)


@pytest.mark.parametrize("name", few(NETWORKS, 3))
def test_a_document_has_the_state_the_functions_and_the_events(name, tmp_path):
    s = scheme(name)
    page = content(s)
    assert [chapter.title for chapter in page.chapters] == ["init", "step", "output", "expand"]
    assert {row.array for row in page.state} == set(s.shown.state)
    assert {step.equation.lhs for step in page.chapters[1].steps} >= {e.lhs for e in s.shown.recursion}
    assert {step.equation.array.name for step in page.chapters[3].steps} >= {"W1", "W2"} - {
        a.name for a in s.shown.state
    }
    assert all(d.proof.holds for d in s.lists) and "They hold" in page.induction
    assert any(sentence.startswith("Gate events: ") for sentence in page.assumptions)
    size = s.shown.at_widths(s.shown.size)
    assert f"{size} at these widths" in s.summary and f"in place of {s.found.carried}" in s.summary
    text = s.save(tmp_path / "collapsed.html").read_text()
    assert text.count("<math") > len(list(page.steps)) and "Gate events" in text


def test_latex_accepts_it(tmp_path):
    need("pdflatex")
    assert scheme("intercepts").save(tmp_path / "collapsed.pdf").read_bytes().startswith(b"%PDF")


def test_parts_of_it_and_what_it_has_not():
    s = scheme("two outputs")
    assert r"\section{step}" in s.latex() and r"\section{step}" not in s.latex(only="output")
    assert "fcsym:expand:W2" in s.latex_fragment(only="expand")
    assert r"S^{(1)\prime}_{knc} &= " in s.lists[1]["S1'"].latex() and s.invariants[0].latex().startswith("S^{(1)}")
    assert re.search(r"W\^\{\\mathrm\{z\}\(2\)\}", s.latex(only="W2"))  # of the columns
    with pytest.raises(fcsym.SizeError, match="flat names"):
        s.latex(notation="paper")
    with pytest.raises(fcsym.ArgumentError, match="no numbers beside its equations"):
        s.with_values({})
    with pytest.raises(fcsym.CompileError, match="one of four functions"):
        s.lists[0].compile()


def test_derive_lists_its_functions(capsys, monkeypatch):
    from fcsym.cli import main
    from fcsym.commands import derive

    report = fcsym.check(
        fcsym.scheme(fcsym.Network.parse("1-1"), "states"), trials=1, steps=1
    )  # what it trains is quick
    monkeypatch.setattr(derive, "trained", lambda *_: (report, True))
    assert main(["derive", "2-9-2", "--scheme", "collapsed", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["equations"]
    told = [(d.function, e.name) for d in scheme("two outputs").lists for e in d.equations]
    assert [(e["function"], e["name"]) for e in found] == told


def test_a_wrong_step_is_not_said_to_be_proved():
    """What is changed in the recursion, in what the first layer moved by, or in what is read, leaves the proof open."""
    closure = scheme("two outputs").shown
    doubled = [replace(e, rhs=e.rhs * 2) for e in closure.recursion]
    wrong = ClosedParts(replace(closure, recursion=tuple(doubled)), (), ())
    assert not wrong.step.proof.holds and wrong.output.proof.holds
    assert not wrong.expand.proof.holds  # nothing is known of W1


def test_only_what_is_linear_in_the_numbers_of_one_unit_commutes_with_combinations():
    closure = scheme("two outputs").shown
    parts, network = ClosedParts(closure, (), ()), closure.network

    def element(array):
        indices = parts.held.indices_in_groups(indices_of(array))
        return replace(array, axes=tuple(i.axis for i in indices))[indices], indices

    (w, (k, c, j)), (s, (n, _, _)) = element(network.parameters[1]), element(network.pre_activation(1))
    for value in (w, w + total(n, s), 3 * total(n, s)):
        assert parts.commutes(value, (k, c, j), 1)
    for value in (w**2, w * total(n, s), ONE, w + 1, total(j, w), total(j, w) * w):
        assert not parts.commutes(value, (k, c, j), 1)
