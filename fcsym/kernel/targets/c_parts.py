"""A long C function as a row of functions, one after the other on the same arrays.

    static int step_core(const real *RESTRICT x, real *RESTRICT work)
    {
        real *RESTRICT const s1 = work;
        step_core_1(s1, x);              some statements, which stand in static ALONE void step_core_1(...)
        step_core_2(...);
    }

What a compiler does about registers and loops takes more than twice the time for a function of twice the length; the
statements of a step share nothing but arrays, so that nothing is lost where it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["PART", "in_parts", "wrapped"]

PART = 40
"""From how many statements on a function is cut."""

_LINES = 120  # of a part, about
_DECLARED = re.compile(r"    (static const |)(real|vec) (\*RESTRICT const |)(\w+)(\[\d*\]|) ?(=.*)?;")


def in_parts(lines: list[str], ends: Sequence[int], name: str, arguments: Sequence[str]) -> str:
    """Put calls in the place of the statements in `lines`, and return the functions that they call.

    `ends`: where the declarations end, and each statement. `arguments`: those of the whole function.
    """
    known = {declaration.split()[-1].lstrip("*"): declaration for declaration in arguments}
    for line in lines[: ends[0]]:
        if found := _DECLARED.match(line):
            known[found[4]] = f"{'const ' * bool(found[1])}{found[2]} *RESTRICT {found[4]}"
    functions, calls = list[str](), list[str]()
    start = ends[0]
    for end, after in zip(ends, [*ends[1:], None], strict=True):
        if end == start or (after is not None and after - start <= _LINES):
            continue
        own = lines[start:end]
        words = dict.fromkeys(word for line in own for word in re.findall(r"[A-Za-z_]\w*", line))
        taken = [word for word in words if word in known]
        part = f"{name}_{len(calls) + 1}"
        marks = "status" in words
        signature = f"static ALONE {'int' if marks else 'void'} {part}(\n    {', '.join(known[w] for w in taken)})"
        body = ["    int status = 0;", *own, "    return status;"] if marks else own
        functions.append(f"{wrapped(signature)}\n{{\n" + "\n".join(body) + "\n}\n")
        calls.append(f"    {'status |= ' * marks}{part}({', '.join(taken)});")
        start = end
    lines[ends[0] :] = calls
    return "\n".join([*functions, ""])


def wrapped(signature: str) -> str:
    """A parameter list on lines of at most 120 columns."""
    head, rest = signature.split("\n", 1)
    lines, line = [], "   "
    words = rest.strip().split(", ")
    for k, word in enumerate(words):
        piece = word + (", " if k + 1 < len(words) else "")
        if len(line) + len(piece) > 118:
            lines.append(line.rstrip())
            line = "   "
        line += " " * (line == "   ") + piece
    return "\n".join([head, *lines, line])
