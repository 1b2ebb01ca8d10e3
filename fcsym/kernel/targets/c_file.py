"""The C files that export writes: update.h, update.c, a test program with frozen rows, and a Makefile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from fcsym.kernel import neutral as n
from fcsym.kernel.rows import Row
from fcsym.kernel.targets.c import parameters_of, refuse_large, room_of, scalar_text, takes_rows
from fcsym.kernel.targets.c_header import WHAT, about, arguments_of, header, takes_samples
from fcsym.kernel.targets.c_native import native_text
from fcsym.kernel.targets.c_test import makefile, test_program
from fcsym.kernel.targets.c_words import PRELUDE, SMOOTH, smooth_functions
from fcsym.language.expression import Array
from fcsym.networks.symbols import frozen_copy

__all__ = ["CTarget", "implementation", "mathematics"]


class CTarget:
    """C99, and C++ from C++11 on, for any machine; and for this one inside a process."""

    name, suffix = "c", ".c"

    def source(self, module: n.Module) -> str:
        """What a kernel compiles: the four functions, many networks and steps in a call, and as many as lanes."""
        return native_text(module)

    def files(self, module: n.Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """stem.h, stem.c, stem_test.c and stem.mk. Raises CompileError for arrays that C cannot count through."""
        refuse_large(module)
        return {
            f"{stem}.h": header(module, stem),
            f"{stem}.c": implementation(module, stem),
            f"{stem}_test.c": test_program(module, stem, rows),
            f"{stem}.mk": makefile(module, stem),
        }


def mathematics(module: n.Module, single: str, more: Iterable[str] = ()) -> str:
    """The functions of <math.h> that smooth activations need, and `more`, in either precision."""
    names = smooth_functions(module)
    calls = {call for name in names for call in re.findall(r"\b([A-Z][A-Z0-9]+)\(", SMOOTH[name])}
    used = sorted({*calls, *more})
    if not used:
        return ""
    one = "".join(f"#define {call} {call.lower()}f\n" for call in used)
    two = "".join(f"#define {call} {call.lower()}\n" for call in used)
    return f"#include <math.h>\n\n#ifdef {single}\n{one}#else\n{two}#endif\n\n"


def implementation(module: n.Module, stem: str, body: str = "", calls: Iterable[str] = ()) -> str:
    """The functions; `body`: text in the place of those that callers see, with `calls` of <math.h>."""
    upper, cores = stem.upper(), scalar_text(module, cblas=True)
    names = ""
    if any(function.marks for function in module.functions):
        names += f"#define UNDEFINED ((int){upper}_UNDEFINED)\n#define NOT_A_NUMBER ((real)0.0 / (real)0.0)\n"
    if module.stored or module.samples:
        names += f"#define FULL ((int){upper}_FULL)\n"
    return (
        about(module, f"{stem}.c: C99, or C++; every sum is added from the left, and nothing is contracted.")
        + f'#include "{stem}.h"\n\n'
        + mathematics(module, f"{upper}_SINGLE", calls)
        + (_CBLAS.replace("SINGLE", f"{upper}_SINGLE") if "GEMM(" in cores else "")
        + PRELUDE
        + f"\ntypedef {stem}_real real;\n"
        + names
        + "\n"
        + "".join(f"{SMOOTH[name]}\n" for name in smooth_functions(module))
        + cores
        + "\n"
        + (body or "\n".join(_wrapper(name, module, stem) for name in WHAT))
    )


_CBLAS = """/* FCSYM_CBLAS: products of matrices by the platform's CBLAS, which adds in an order of its own. Define it
   for every file that includes the header, since work is longer then. */
#if defined(FCSYM_CBLAS)
#include <cblas.h>
#if defined(SINGLE)
#define GEMM cblas_sgemm
#else
#define GEMM cblas_dgemm
#endif
#endif

"""


def _wrapper(name: str, module: n.Module, stem: str) -> str:
    function, upper = module[name], stem.upper()
    own = {array.name for array in module.state}
    at_init = {frozen_copy(a).name: a.name for a in module.weights}
    arguments = []
    for c_name, _ in parameters_of(function, module):
        base = c_name.removesuffix("_out")
        if name == "init":
            is_weight = base in {a.name for a in module.weights} and base == c_name and base in _names(function.given)
            arguments.append("x" if base == "x" else f"weights->{base}" if is_weight else f"state->{base}")
        elif c_name in own and c_name in _names(function.given):
            arguments.append(f"state->{base}")
        elif base == "x":
            arguments.append("x")
        elif base == "yg":
            arguments.append("target")
        elif base == "eta":
            arguments.append("&eta")
        elif base == "y":
            arguments.append("y")
        elif base in at_init:
            arguments.append(f"start->{at_init[base]}")
        else:
            arguments.append(f"weights->{base}")
    lines = []
    if module.stored:
        rows = "state->rows"
        if name == "init":
            lines.append("state->rows = 0;")
        if name == "step":
            lines += [
                f"int found = remember(state->X, state->C, x, {rows});",
                f"if (found == FULL && {rows} < {upper}_CAPACITY) {{",
                f"    for (int i = 0; i < {upper}_INPUTS; i++) {{",
                f"        state->X[{rows} * {upper}_INPUTS + i] = (real)0.0;",
                "    }",
                f"    {rows}++;",
                f"    found = remember(state->X, state->C, x, {rows});",
                "}",
                "if (found) {",
                "    return found;",
                "}",
            ]
    room = room_of(function, module)
    if room and not room.outside:
        lines.insert(0, f"real work[{room.by_rows.per_row} * {upper}_CAPACITY];")
    if takes_samples(module, name):
        lines.append(f"if (samples < 1 || samples > {upper}_CAPACITY) {{\n        return FULL;\n    }}")
        if module.single_input:
            lines.append("state->samples = samples;")
    told = "state->rows" if not module.samples else "state->samples" if module.single_input else "samples"
    arguments += [told] * takes_rows(function) + ["work"] * bool(room)
    call = f"return {name}_core({', '.join(arguments)});"
    if len(call) > 112:
        call = "return " + f"{name}_core(\n        " + ",\n        ".join(arguments) + ");"
    body = "".join(f"    {line}\n" for line in [*lines, call])
    return f"int {stem}_{name}({', '.join(arguments_of(name, module, stem))})\n{{\n{body}}}\n"


def _names(arrays: Iterable[Array]) -> set[str]:
    return {array.name for array in arrays}
