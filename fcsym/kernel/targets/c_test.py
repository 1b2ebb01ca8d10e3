"""What comes with a C file: a test program with frozen rows, and a Makefile."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from fcsym import __version__
from fcsym.kernel import neutral as n
from fcsym.kernel.rows import LARGEST, Row
from fcsym.kernel.targets.c_header import WHAT, Face, about, face_of, width_of
from fcsym.kernel.targets.c_words import smooth_functions
from fcsym.language.expression import Array

__all__ = ["makefile", "test_program"]


def test_program(
    module: n.Module, stem: str, rows: Sequence[Row], face: Face | None = None, begin: str = "init", more: str = ""
) -> str:
    """A program that trains on frozen rows of exact evaluation, and says whether the results agree.

    `begin`: the function that rows begin with. `more`: text of `static int beside(void)`, which trains beside
    something else and returns over how many gate events, or -1 where that does not agree.
    """
    face, upper = face or face_of(module, stem), stem.upper()
    weights = sum(_size(array, module) for array in module.weights)
    work = {name: ", work" if face.takes(name, "work") else "" for name in face.arguments}
    memory = f"static {stem}_real work[{upper}_WORK];\n" if any(work.values()) else ""
    counts = set(map(_samples, rows)) or {1}
    count, same = max(counts), len(counts) == 1
    samples = str(count) if same else "row->samples"
    told = {name: f", {samples}" if face.takes(name, "samples") else "" for name in WHAT}
    said = f"{stem}_output(&state{', row->x[n]' if not module.single_input else ''}{told['output']}, y{work['output']})"
    numbers = str(width_of(module, "y") * count) if same else f"{width_of(module, 'y')} * row->samples"
    right = f"differ(y, row->y[n], {numbers})"
    refused = "        const int refused = row->undefined && n == row->steps - 1;\n"
    read = f"        if ({said} || {right}) {{\n            return 1;\n        }}\n{refused}"
    if module["output"].marks:  # it is undefined where the step is
        test = f"{said} != (refused ? {upper}_UNDEFINED : {upper}_OK)\n            || (!refused && {right})"
        read = f"{refused}        if ({test}) {{\n            return 1;\n        }}\n"
    inputs, outputs = width_of(module, "x") * count, width_of(module, "y") * count
    text = []
    for k, row in enumerate(rows):
        reached = "; ".join(row.reaches) or "nothing new"
        numbers_of_row = _c_row(row, f"{stem}_real", not same)
        text.append(f"    /* row {k + 1}: {reached} */\n    {{\n{numbers_of_row}    }},\n")
    any_input = not module.single_input
    x = ", row->x[n]" if any_input else ""
    last = ", row->x[row->steps - 1]" if any_input else ""
    start = "" if any_input else ", &row->weights, row->x[0]"
    step = f"{stem}_step(&state{x}, row->target[n]{told['step']}, row->eta{work['step']})"
    init = "" if any_input else f", row->x[0]{told['init']}"
    if not rows:
        return (
            about(module, f"{stem}_test.c: the network is too large for frozen rows; this only sees that it links.")
            + f'#include <stdio.h>\n\n#include "{stem}.h"\n\n'
            + f"static {stem}_state state;\nstatic {stem}_weights weights;\n"
            + (memory if work["init"] else "")
            + (f"static {stem}_real x[{inputs}];\n" if not any_input else "")
            + "\nint main(void)\n{\n"
            + f"    const int status = {stem}_init(&state, &weights{', x' if not any_input else ''}{told['init']}"
            + f"{work['init']});\n"
            + f'    printf("{stem}: no rows of exact evaluation: '
            + f'they come with networks of at most {LARGEST} weights\\n");\n    return status;\n}}\n'
        )
    return (
        about(module, f"{stem}_test.c: {stem}.c on trajectories that were evaluated in exact numbers.")
        + f"""#include <stdio.h>

#include "{stem}.h"

typedef struct {{
    {stem}_weights weights;
    int {"" if same else "samples, "}steps, undefined;
    {stem}_real eta;
    {stem}_real x[2][{inputs}], target[2][{outputs}], y[3][{outputs}];
    {stem}_weights expanded;
}} row_type;

{memory}static const row_type rows[] = {{
{"".join(text)}}};

/* 1 where two arrays differ by more than rounding */
static int differ(const {stem}_real *a, const {stem}_real *b, int size)
{{
    const double bar = sizeof({stem}_real) == 4 ? 1e-4 : 1e-12;
    double scale = 1.0;
    for (int i = 0; i < size; i++) {{
        const double magnitude = (double)(b[i] < ({stem}_real)0.0 ? -b[i] : b[i]);
        scale = magnitude > scale ? magnitude : scale;
    }}
    for (int i = 0; i < size; i++) {{
        const double difference = (double)(a[i] - b[i]);
        if (!(difference <= bar * scale && difference >= -bar * scale)) {{
            return 1;
        }}
    }}
    return 0;
}}

static int check(const row_type *row)
{{
    static {stem}_state state;
    static {stem}_weights weights;
    static {stem}_real y[{outputs}];
    if ({stem}_{begin}(&state, &row->weights{init}{work["init"]})) {{
        return 1;
    }}
    for (int n = 0; n < row->steps; n++) {{
{read}        if ({step} != (refused ? {upper}_UNDEFINED : {upper}_OK)) {{
            return 1;
        }}
    }}
    if (row->undefined) {{
        return 0;
    }}
    if ({stem}_output(&state{last}{told["output"]}, y{work["output"]}) || differ(y, row->y[row->steps], {numbers})) {{
        return 1;
    }}
    return {stem}_expand(&state{start}, &weights{work["expand"]})
        || differ((const {stem}_real *)&weights, (const {stem}_real *)&row->expanded, {weights});
}}

{more}int main(void)
{{
    const int count = (int)(sizeof(rows) / sizeof(rows[0]));
    for (int n = 0; n < count; n++) {{
        if (check(&rows[n])) {{
            printf("{stem}: row %d DISAGREES with exact evaluation\\n", n + 1);
            return 1;
        }}
    }}
{_AND_BESIDE.replace("STEM", stem) if more else _AGREE.replace("STEM", stem)}}}
"""
    )


def _samples(row: Row) -> int:
    """How many samples its steps are on."""
    return len(row.x[0]) if isinstance(row.x[0][0], tuple) else 1


_AGREE = """    printf("STEM: %d rows agree with exact evaluation\\n", count);
    return 0;
"""

_AND_BESIDE = """    const int crossed = beside();
    if (crossed < 0) {
        printf("STEM: training is NOT that of backpropagation\\n");
        return 1;
    }
    printf("STEM: %d rows agree with exact evaluation; beside backpropagation over %d gate events of units\\n",
        count, crossed);
    return 0;
"""


def _flat(numbers: Sequence[Any]) -> list[float]:
    """The numbers of all samples and rows, one after another."""
    return [n for part in numbers for n in (_flat(part) if isinstance(part, tuple) else (part,))]


def _size(array: Array, module: n.Module) -> int:
    result = 1
    for axis in array.axes:
        result *= module.sizes[axis]
    return result


def _c_row(row: Row, real: str, counted: bool) -> str:
    def number(value: float) -> str:
        """A literal; one that single precision rounds says that it may."""
        exact = math.isinf(value) or struct.unpack("f", struct.pack("f", value))[0] == value
        return repr(value) if exact else f"({real}){value!r}"

    def numbers(values: Sequence[float]) -> str:
        return "{" + ", ".join(map(number, _flat(values))) + "}"

    def group(arrays: Sequence[Sequence[float]]) -> str:
        return "{" + ", ".join(numbers(a) for a in arrays) + "}"

    lines = [
        f"{group(row.weights)},",
        f"{f'{_samples(row)}, ' * counted}{len(row.x)}, {int(row.undefined)},",
        f"{number(row.eta)},",
        f"{group(row.x)},",
        f"{group(row.target)},",
        f"{group(row.y)},",
        f"{group(row.expanded or row.weights)},",  # not looked at where undefined
    ]
    return "".join(f"        {line}\n" for line in lines)


def makefile(module: n.Module, stem: str, mathematics: bool = False) -> str:
    """make -f update.mk: the test program, in double and single precision, and a freestanding object; `cpp`: in C++."""
    libraries = " -lm" if mathematics or smooth_functions(module) else ""
    single = f"-D{stem.upper()}_SINGLE"
    flags = "-O2 -Wall -Wextra -Wpedantic -Wconversion -Werror"
    return f"""# Generated by fcsym {__version__} from {module.title}; equations {module.digest}.
CFLAGS := -std=c99 {flags}
CXXFLAGS := -std=c++17 {flags}
SOURCES := {stem}_test.c {stem}.c

.PHONY: test cpp clean

test: {stem}_test {stem}_test_single {stem}_freestanding.o
\t./{stem}_test
\t./{stem}_test_single

cpp: {stem}_test_cpp {stem}_test_cpp_single {stem}_test_mixed
\t./{stem}_test_cpp
\t./{stem}_test_cpp_single
\t./{stem}_test_mixed

{stem}_test: $(SOURCES) {stem}.h
\t$(CC) $(CFLAGS) -o $@ $(SOURCES){libraries}

{stem}_test_single: $(SOURCES) {stem}.h
\t$(CC) $(CFLAGS) {single} -o $@ $(SOURCES){libraries}

{stem}_freestanding.o: {stem}.c {stem}.h
\t$(CC) $(CFLAGS) -ffreestanding {single} -c -o $@ {stem}.c

{stem}_test_cpp: $(SOURCES) {stem}.h
\t$(CXX) $(CXXFLAGS) -x c++ -o $@ $(SOURCES){libraries}

{stem}_test_cpp_single: $(SOURCES) {stem}.h
\t$(CXX) $(CXXFLAGS) {single} -x c++ -o $@ $(SOURCES){libraries}

# the functions as C, called from C++
{stem}_test_mixed: $(SOURCES) {stem}.h
\t$(CC) $(CFLAGS) -c -o {stem}_c.o {stem}.c
\t$(CXX) $(CXXFLAGS) -o $@ -x c++ {stem}_test.c -x none {stem}_c.o{libraries}

clean:
\trm -f {stem}_test {stem}_test_single {stem}_freestanding.o
\trm -f {stem}_test_cpp {stem}_test_cpp_single {stem}_test_mixed {stem}_c.o
"""
