"""The source of the modules that carry training on columns, as one text: they know NumPy and each other alone."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

from fcsym.collapsing import alone, blocks, columns, events, lines, moving, numbers, table, watch

__all__ = ["MODULES", "text_of_modules"]

MODULES: tuple[ModuleType, ...] = (events, lines, numbers, watch, blocks, columns, table, moving, alone)
"""In such an order that each imports only those before it."""

_SHARED = ("_Values = npt.NDArray[Any]", "_Places = npt.NDArray[np.intp]")  # several of them have these


def text_of_modules(more: str = "") -> str:
    """What they import, and `more`; then of each what it says of itself, as a comment, and what it has."""
    plain, names, bodies = set(more.splitlines()), dict[str, set[str]](), []
    for module in MODULES:
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        tree, rest = ast.parse(text), text.splitlines()
        for node in tree.body:
            if isinstance(node, ast.Import):
                plain.add(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom) and not str(node.module).startswith(("__future__", "fcsym.")):
                names.setdefault(str(node.module), set()).update(name.name for name in node.names)
            if isinstance(node, ast.Import | ast.ImportFrom) or ast.unparse(node).startswith("__all__"):
                rest[node.lineno - 1 : node.end_lineno] = [""] * (int(node.end_lineno or 0) - node.lineno + 1)
        said = [f"# {line}".rstrip() for line in str(ast.get_docstring(tree)).splitlines()]
        own = "\n".join(line for line in rest[int(tree.body[0].end_lineno or 0) :] if line not in _SHARED).strip()
        bodies.append("\n".join(said) + f"\n\n{own}\n")
    own_kind = sorted(line for line in plain if line == "import math")
    own_kind += [f"from {name} import {', '.join(sorted(names[name], key=str.lower))}" for name in sorted(names)]
    others = sorted(plain - {"import math"})
    return "\n".join([*own_kind, "", *others, "", *_SHARED, "", "", ""]) + "\n\n".join(bodies)
