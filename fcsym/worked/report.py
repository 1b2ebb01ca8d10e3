"""The audit of a worked example as a table for the terminal, and as a document."""

from __future__ import annotations

import json
from pathlib import Path

from fcsym.files import made_folder, write_files
from fcsym.worked.audit import AuditedExample

__all__ = ["HEAD", "cells", "document", "write"]

HEAD = ("", "claim", "verdict", "value", "convention", "what explains it")

_BEGIN = r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath}
\raggedright \raggedbottom \setlength{\parindent}{0pt} \setlength{\parskip}{0.6ex}
\hbadness=10000 \vbadness=10000
\begin{document}"""


def cells(result: AuditedExample) -> list[list[str]]:
    """The rows of a table, with HEAD above it."""
    return [
        [str(n), row.claim, row.verdict, row.value, row.convention, row.explanation] for n, row in enumerate(result, 1)
    ]


def document(result: AuditedExample) -> str:
    """The audit => a stand-alone LaTeX document."""
    lines = [_BEGIN, rf"\section*{{{_escaped(result.title or 'A worked example')}, decided}}"]
    lines += [r"A claim holds where the derived value rounds to all the digits that are printed.", ""]
    for n, row in enumerate(result, 1):
        lines.append(rf"\medskip\textbf{{{n}.}}\quad {_escaped(row.claim)}\quad \textsc{{{row.verdict.lower()}}}\par")
        value = f"Derived: {row.value}. " if row.value else ""
        lines.append(rf"{{\small {_escaped(f'{value}{row.convention}. {row.explanation}')}\par}}")
    return "\n".join([*lines, rf"\medskip {_escaped(result.conclusion)}", r"\end{document}", ""])


def _escaped(text: str) -> str:
    """Plain text in LaTeX, on one line: no paragraph ends in a heading."""
    marks = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "±": r"$\pm$", "−": "$-$", "*": "$*$"}
    marks |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    marks |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
    line = " ".join(text.split())
    return "".join(marks.get(c, c if c.isascii() and c.isprintable() else "?") for c in line)


def write(result: AuditedExample, path: object) -> list[Path]:
    """report.tex and report.json in a folder."""
    where = made_folder(path)
    data = json.dumps(result.as_dict(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    return write_files({where / "report.tex": document(result), where / "report.json": data})
