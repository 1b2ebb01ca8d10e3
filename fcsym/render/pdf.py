"""PDF: the LaTeX document, compiled by the engine that is found on the machine."""

from __future__ import annotations

import os
import re
import shutil

from fcsym.errors import CompileError, MissingTool
from fcsym.machine.programs import run, workspace

__all__ = ["compiled", "engine"]

_ENGINES = {
    "pdflatex": ("-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"),
    "tectonic": ("--untrusted", "--chatter", "minimal", "--keep-logs"),
}
_SECONDS = 300


def engine() -> tuple[str, str]:
    """The name and the path of a LaTeX engine; MissingTool where there is none."""
    for name in _ENGINES:
        path = shutil.which(name)
        if path is not None:
            return name, path
    raise MissingTool(
        "A .pdf needs pdflatex or tectonic and neither is on the path: install one "
        "(apt-get install texlive-latex-base), or write a .tex file."
    )


def compiled(source: str) -> bytes:
    """LaTeX source => the bytes of the PDF, the same each time. Raises CompileError with what the engine said."""
    name, path = engine()
    # no date in the file, and no place but the folder in which it is made
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "openout_any": "p"}
    with workspace() as folder:
        (folder / "derivation.tex").write_text(source, encoding="utf-8", newline="\n")
        try:
            done = run([path, *_ENGINES[name], "derivation.tex"], _SECONDS, folder, environment)
            reason = f"it took longer than {_SECONDS} s" if done.status is None else ""
        except OSError as problem:
            reason = str(problem.strerror)
        if reason:
            raise CompileError(f"{name} did not finish ({reason}): write a .tex file and compile it there.")
        made = folder / "derivation.pdf"
        if done.status or not made.is_file():
            log = folder / "derivation.log"
            said = re.search(r"^! (.*)$", log.read_text(errors="replace"), re.MULTILINE) if log.is_file() else None
            problem_text = said[1][:100] if said else "it left no message"
            raise CompileError(f"{name} made no PDF ({problem_text}): write a .tex file to see where.")
        return made.read_bytes()
