"""What commands say of a derivation or a scheme: a line for the terminal, a document for JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fcsym.commands.options import training_of
from fcsym.commands.streams import progress
from fcsym.errors import FcsymError

if TYPE_CHECKING:
    from fcsym.certificates import Certificate
    from fcsym.checking.report import Report
    from fcsym.derivation import Derivation
    from fcsym.document import Document
    from fcsym.language.equation import Verdict
    from fcsym.language.findings import Proof
    from fcsym.training import Scheme


def prove(d: Derivation) -> None:
    """Prove, and say what is being proved."""
    with progress(len(d)) as step:
        d.prove(lambda name: step(f"proving {name}"))


def trained(
    s: Scheme, options: argparse.Namespace, target: str = "numpy"
) -> tuple[Report, bool]:  # fmt: skip
    """The proof of a scheme, and the comparison of training by it with autodiff; whether both are as they should be."""
    from fcsym.checking.checker import check

    trials, steps = training_of(options, s.conventional)
    with progress() as step:
        step(f"proving {s.name}")
        proof = s.proof
        report = check(s, trials, options.seed, steps=steps, target=target, progress=step)
    return report, report.passed and proof.holds


def conclusion(
    d: Derivation, reports: Sequence[Report], certificate: Certificate | str | None = None, given: bool = False
) -> str:
    """One line: what was proved and what was measured, on numbers that were `given` or on random ones.

    With the certificate, or why there is none: how much of what is proved has a script for Coq.
    """
    from fcsym.language.equation import Verdict

    proved = _found(d.proof, (Verdict.CHOSEN, Verdict.REFUTED), certificate)
    main = reports[0]
    measured = f"measured {main.points} numbers on random, exact and near-zero points"
    if given:
        measured = f"measured {main.points} numbers at the values that were given"
    elif len(reports) > 1:
        measured += f" and {reports[1].points} on the four XOR samples"
    elif d.network.inputs != 2 or d.network.widths[-1] != 1:
        measured += " (XOR needs two inputs and one output)"
    rows = [report.worst for report in reports if report.rows]
    if not rows:
        outcome = (
            "NOTHING could be compared, since rounding decides a gate there, a quantity has no value, or numbers leave "
            "their range; take other numbers"
        )
        return f"{d.network}, {d.order}: {proved}; {measured}: {outcome}."
    worst = max(rows, key=lambda row: (not row.passed, row.ratio))
    if not worst.passed and not worst.points:
        outcome = f"NO POINT reached the case {worst.case} of {worst.quantity}; try more --trials"
    else:
        verdict = "agrees" if all(reports) else "DISAGREES"
        bar = f"worst error {worst.ratio:.2g} of its bound ({worst.quantity}, {worst.case})"
        outcome = f"the kernel {verdict} with autodiff, {bar}"
    return f"{d.network}, {d.order}: {proved}; {measured}: {outcome}."


def certificate_or_reason(document: Document) -> Certificate | str:
    """The certificate, which Coq has not checked; or why there is none."""
    try:
        return document.certificate()
    except FcsymError as problem:
        return str(problem)


def certified(certificate: Certificate | str) -> dict[str, Any]:
    """How many statements a certificate has and how many of them have a script, for JSON; nulls where there is none."""
    if isinstance(certificate, str):
        return {"statements": None, "certified": 0, "admitted": None, "not_certified": certificate}
    return {
        "statements": certificate.statements, "certified": certificate.certified,
        "admitted": len(certificate.admitted),
    }  # fmt: skip


def _found(proof: Proof, others: Sequence[Verdict], certificate: Certificate | str | None) -> str:
    """ "22 proved, 22 certified, 3 chosen, 0 refuted": certified is what of the proved has a script for Coq."""
    from fcsym.language.equation import OPEN, Verdict

    counted = [f"{proof.count(Verdict.PROVED)} proved"]
    if isinstance(certificate, str):
        counted.append(f"0 certified ({certificate.rstrip('.')})")
    elif certificate is not None:
        proved = {(f.equation, f.case) for f in proof.findings if f.verdict is Verdict.PROVED}
        counted.append(f"{len(proved & certificate.reached)} certified")
        if certificate.admitted:
            counted.append(f"{len(certificate.admitted)} admitted")
    counted += [f"{proof.count(v)} {v.value.lower()}" for v in (*others, *(v for v in OPEN if proof.count(v)))]
    return ", ".join(counted)


def summary(d: Derivation, reports: Sequence[Report]) -> dict[str, Any]:
    """What is found about a derivation, for JSON."""
    return {
        "network": str(d.network), "order": d.order, **counts(d.proof),
        "passed": d.proof.holds and all(reports),
        "checks": [row_of(row, sample) for report, sample in zip(reports, ("random", "xor"), strict=False)
                   for row in report.rows],
    }  # fmt: skip


def counts(proof: Proof) -> dict[str, int]:
    """How many statements have each verdict."""
    from fcsym.language.equation import COUNTED

    return {verdict.value.lower(): proof.count(verdict) for verdict in COUNTED}


def row_of(row: Any, sample: str) -> dict[str, Any]:
    """A row of a report; numbers that JSON cannot hold become null."""
    return {
        "quantity": row.quantity, "case": row.case, "points": row.points,
        "worst": row.worst if row.worst < float("inf") else None, "bound": row.bound, "passed": row.passed,
        "impossible": row.impossible, "sample": sample, "where": row.where,
    }  # fmt: skip


def equation_of(d: Derivation, name: str) -> dict[str, Any]:
    """An equation with its reason and verdict, for JSON."""
    from fcsym.render import terminal

    equation, finding = d.by_name[name], d.proof.verdict(name)
    return {
        "name": name, "equation": str(equation), "rule": equation.rule.value, "because": equation.because,
        "uses": list(equation.uses), "paper": equation.cite, "verdict": finding.verdict.value,
        "index": finding.index, "expanded": finding.expanded, "note": terminal.plain(finding.note),
        "where": [str(condition) for condition in finding.where],
    }  # fmt: skip


def in_functions(s: Scheme) -> Proof:
    """The verdicts on the equations of the four functions, by the names that the certificate has for them.

    Of a state that was found closed its own proof is about what it was found by, which is other equations.
    """
    findings = (replace(f, equation=f"{part.function}: {f.equation}") for part in s.lists for f in part.proof.findings)
    return replace(s.proof, findings=tuple(findings))


def scheme_summary(s: Scheme, report: Report, passed: bool) -> dict[str, Any]:
    """What is found about a scheme, for JSON."""
    return {
        "network": str(s.network), "order": s.order, "scheme": s.name, "steps": report.steps,
        **counts(in_functions(s)), "passed": passed,
        "checks": [row_of(row, "random") for row in report.rows], "left_out": report.left_out,
    }  # fmt: skip


def scheme_conclusion(s: Scheme, report: Report, certificate: Certificate | str | None = None) -> str:
    """One line: what was proved of a scheme, and how training by it went; the certificate as in `conclusion`."""
    from fcsym.language.equation import Verdict

    worst = report.worst
    proved = _found(in_functions(s), (Verdict.REFUTED,), certificate)
    return (
        f"{s.title.replace(' order', '')}: {proved}; {report.trials} networks trained for {report.steps} steps: "
        f"{'agrees' if report.passed else 'DISAGREES'} with autodiff, worst error {worst.ratio:.2g} of its bound "
        f"({worst.quantity})."
    )
