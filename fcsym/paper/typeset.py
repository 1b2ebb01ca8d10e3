r"""The audit as a document: each equation as printed, the verdict, the counterexample or condition, the correction.

`python -m fcsym.paper FOLDER` writes report.tex and report.json there.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from fcsym.files import made_folder, write_files
from fcsym.paper import Audit, Finding, Verdict, assumptions
from fcsym.paper.printed import MAIN, SUPPLEMENT

__all__ = ["FILES", "document", "report", "words", "write"]

FILES = ("report.json", "report.tex")

_HEAD = r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks \raggedright \raggedbottom \setlength{\parindent}{0pt} \setlength{\parskip}{0.6ex}
\hbadness=10000 \vbadness=10000
\begin{document}
\section*{Every printed equation, decided}
Each equation is printed as in the paper and held against the derivation of the 2-2-1 network. Two deciders, polynomial
rings and z3, agree on every verdict; every counterexample was evaluated again in fractions by code that shares nothing
with the derivation. The mark of a symbol says which input it belongs to."""


def words(printed: str) -> str:
    r"""`\text{W_1 is} \; n` => the words of a sentence, for a terminal."""
    plain = re.sub(r"\\(?:text|dots|to|frac|begin|end|quad)\b", " ", printed)
    return re.sub(r"\s+", " ", re.sub(r"[{}\\$]", "", plain)).strip()


def document(result: Audit) -> str:
    """The audit => a stand-alone LaTeX document."""
    lines = [_HEAD, *_counts(result)]
    for place in (MAIN, SUPPLEMENT):
        lines.append(rf"\subsection*{{{place.capitalize()}}}")
        for finding in result.findings:
            if finding.row.place == place:
                lines += _entry(finding)
    return "\n".join([*lines, r"\end{document}", ""])


def _counts(result: Audit) -> list[str]:
    said = ", ".join(f"{_verdict(v)} {result.count(v)}" for v in Verdict if result.count(v))
    return [f"Rows: {len(result.findings)}. {said}.", ""]


def _verdict(verdict: Verdict) -> str:
    return rf"\textsc{{{verdict.value.lower().replace('_', ' ')}}}"


def _entry(finding: Finding) -> list[str]:
    row = finding.row
    lines = [rf"\medskip\textbf{{{_escape(row.label)}}}\quad {_verdict(finding.verdict)}"]
    lines += [r"\par{\small", *_display(row.printed), r"\par"]
    if row.reading:
        lines.append(rf"Read as: {_escape(row.reading)}.\par")
    assumed = [item for item in assumptions(row) if "see" not in item or "simultaneous" in row.label]
    if assumed:
        lines.append(rf"Offered under: {_escape('; '.join(assumed))}.\par")
    if finding.condition:
        lines.append(rf"True where {_escape(finding.condition)}.\par")
    if finding.counterexample:
        name = "Counterexample" if finding.verdict is Verdict.REFUTED else "Without the condition"
        lines.append(rf"{name}: {_escape(finding.counterexample)}.\par")
    if finding.correction_latex:
        lines += ["Correct:", *_display(finding.correction_latex), r"\par"]
    elif finding.correction:
        lines.append(rf"Correct: {_escape(finding.correction)}.\par")
    if finding.note:
        lines.append(rf"{_escape(finding.note[0].upper() + finding.note[1:])}.\par")
    deciders = ", ".join(
        f"{name} {said}"
        for name, said in (("ring", finding.ring), ("z3", finding.z3), ("fractions", finding.fractions))
        if said != "silent"
    )
    return [*lines, rf"\emph{{{_escape(deciders)}}}}}" if deciders else "}", ""]


def _display(formula: str) -> list[str]:
    """The formula in a line of its own, in the size that fits."""
    return [r"\[", _sized(formula), r"\]"]


def _sized(formula: str) -> str:
    length = len(
        re.sub(r"\\[a-zA-Z]+|[{}^_ ]", "x", re.sub(r"\\(?:frac|quad|text|left|right|ge|geq|eta)\b", "", formula))
    )
    if length < 150:
        return formula
    return rf"\hbox to \hsize{{\hss\scriptsize $\displaystyle {formula}$\hss}}"


_SPECIAL = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": "$<$", ">": "$>$", "|": r"$|$", "*": r"$\cdot$",
}  # fmt: skip


def _escape(text: str) -> str:
    """Plain text => LaTeX; the stars of products become dots, the star that marks an input stays."""
    protected = re.sub(r"(?<=[\w'])\*(?=[ ,:;^)]|$)", "\0", text)
    return "".join(_SPECIAL.get(c, c) for c in protected).replace("\0", "*").replace("->", r"$\to$")


def report(result: Audit) -> dict[str, str]:
    """File name => its text; the same bytes every time."""
    data = json.dumps(result.as_dict(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return {"report.json": data, "report.tex": document(result)}


def write(result: Audit, path: str | os.PathLike[str]) -> list[Path]:
    """Write the report into a folder."""
    where = made_folder(path, above=False)
    return write_files({where / name: text for name, text in report(result).items()})
