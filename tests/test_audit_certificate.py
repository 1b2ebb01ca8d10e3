"""The audit's certificate: Coq accepts true rows and the numbers of false ones, and refuses what is not so."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from conftest import LONG, few, need

from fcsym.certificates.checking import AXIOMS, checked
from fcsym.cli import main
from fcsym.paper import ROWS, Audit, audit
from fcsym.paper.certificate import audit_certificate
from fcsym.paper.decision import Verdict
from fcsym.paper.formula import S

SOME = [
    "eq. 2",
    "eq. 21",
    "eq. 25",
    "eq. 28",
    "eq. 29, line 3, reading 1",
    "eq. 30, line 2, reading 1",
    "A_n",
    "claim i",
]
"""Refuted, proved, proved under a condition; on P, on its slope, and on a slope at a point; on n steps; a sentence."""


@pytest.fixture(scope="module")
def found():
    return audit() if LONG else audit(rows=SOME)


def only(found, verdict):
    """The audit of the first row that has a theorem and that verdict."""
    made = (replace(found, findings=(f,)) for f in found.findings if f.verdict is verdict)
    return next(one for one in made if audit_certificate(one).certified)


def test_coq_accepts_the_rows_and_every_row_without_a_theorem_has_its_reason(found):
    need("coqc")
    made = audit_certificate(found)
    assert made.statements == len(found.findings) == made.certified + len(made.admitted)
    assert all(reason for _, reason in made.admitted)
    assert made.text.count("\nTheorem row_") == made.certified
    assert f"{made.statements} statements, {made.certified} certified" in made.text.partition("*)")[0]
    said = checked(made)
    assert said, said.said
    assert set(said.axioms) <= AXIOMS


@pytest.mark.parametrize("verdict", [Verdict.PROVED, Verdict.PROVED_UNDER])
def test_coq_refuses_a_true_row_that_is_changed(found, verdict):
    need("coqc")
    one = only(found, verdict)
    (finding,) = one.findings
    claim = replace(finding.row.claim, right=finding.row.claim.right + S("eta"))
    wrong = replace(one, findings=(replace(finding, row=replace(finding.row, claim=claim)),))
    assert not checked(audit_certificate(wrong))


def test_coq_refuses_a_condition_that_is_left_out(found):
    need("coqc")
    one = only(found, Verdict.PROVED_UNDER)
    wrong = replace(one, findings=(replace(one.findings[0], under=()),))
    assert not checked(audit_certificate(wrong))


def test_coq_refuses_numbers_that_refute_nothing(found):
    need("coqc")
    one = only(found, Verdict.REFUTED)
    (finding,) = one.findings
    nothing = replace(finding.point, point=dict.fromkeys(finding.point.point, 0 * finding.point.left))
    assert not checked(audit_certificate(replace(one, findings=(replace(finding, point=nothing),))))


@pytest.mark.parametrize("label", few(["eq. 29, line 2", "eq. 29, line 3, reading 1", "eq. 28, line 2"], 1))
def test_coq_refuses_a_slope_of_p_that_is_changed(label):
    need("coqc")
    (finding,) = audit(rows=[row for row in ROWS if row.label == label]).findings
    claim = replace(finding.row.claim, right=2 * finding.row.claim.right)
    wrong = replace(finding, row=replace(finding.row, claim=claim))
    assert not checked(audit_certificate(Audit((wrong,))))


@pytest.mark.parametrize("label", few(["eq. 30, line 1", "W_2 + W_2^3, reading 1", "W_2 + W_2^3, reading 2", "A_n"], 2))
def test_coq_refuses_to_refute_what_is_so_at_the_numbers(label):
    need("coqc")
    finding = audit(rows=[row for row in ROWS if row.label == label]).findings[0]
    claim = replace(finding.row.claim, right=finding.row.claim.left)
    wrong = replace(finding, row=replace(finding.row, claim=claim))
    assert not checked(audit_certificate(Audit((wrong,))))


def test_only_sentences_have_no_theorem_and_each_says_why():
    sentences = [row for row in ROWS if row.claim is None]
    made = audit_certificate(audit(rows=few(sentences, 3)))
    assert not made.certified
    assert all(reason.startswith("a sentence, it ") for _, reason in made.admitted)


def test_every_equation_of_the_paper_has_a_theorem_or_a_reason():
    reasons = {"sentence", "number n", "no value"}
    rows = [row for row in ROWS if row.claim is not None]
    made = audit_certificate(audit(rows=[row for row in rows if row.setup.setting != "steps"][:8]))
    assert all(any(known in reason for known in reasons) for _, reason in made.admitted)


def test_the_command_writes_and_checks_it(tmp_path, capsys, monkeypatch):
    need("coqc")
    monkeypatch.setattr("fcsym.paper.ROWS", [row for row in ROWS if row.label == "eq. 2"])
    monkeypatch.setattr("fcsym.paper.audit", lambda *_, **__: audit(rows=[row for row in ROWS if row.label == "eq. 2"]))
    assert main(["audit", "-o", str(tmp_path / "audit.v"), "--certify", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["certificate"]
    assert said["accepted"]
    assert said["certified"] == said["statements"] > 0
    assert "Theorem row_1" in (tmp_path / "audit.v").read_text()
    assert main(["audit", "-o", str(tmp_path / "2.v")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["audit.v"]


def test_a_worked_example_has_no_certificate(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "example.toml"), "--certify"]) == 2
    assert "for the paper's equations" in capsys.readouterr().err


def test_no_row_says_that_something_is_itself():
    """v_1^c and r_5 have definitions of their own, so that a row that introduces them says what they are."""
    made = audit_certificate(audit(rows=["v_1^c", "r_5", "r_6"]))
    rows = re.findall(r"^Theorem (row_\d+) : .*-> (.*) = (.*)\.$", made.text, re.MULTILINE)
    assert len(rows) == made.certified >= 3
    for name, left, right in rows:
        assert re.sub(r"[() ]", "", left) != re.sub(r"[() ]", "", right), name
