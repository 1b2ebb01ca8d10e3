"""Backpropagation in the test program of a C file of `collapsed`: what it trains beside."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from fcsym.collapsing.table import Table
from fcsym.kernel import neutral as n
from fcsym.kernel.targets.c import parameters_of, room_of, scalar_text, takes_rows
from fcsym.kernel.targets.c_file import mathematics
from fcsym.kernel.targets.c_words import PRELUDE, SMOOTH, smooth_functions
from fcsym.language.expression import Array

__all__ = ["beside_text"]

_SAMPLES = 3


def beside_text(module: n.Module, table: Table, stem: str) -> str:
    """`static int beside(void)`: over how many gate events it trained as backpropagation does, or -1."""
    functions = module["rest"], replace(module["backprop"], name="step")
    plain = replace(module, functions=functions)
    count, upper = table.point[0] or _SAMPLES, stem.upper()
    sizes = {a.name: prod(module.sizes[axis] for axis in a.axes) for a in functions[0].results}
    rooms = [room_of(function, plain) for function in functions]
    work = max(room.given.at(count) + room.strips.at(count) for room in rooms)
    known = {a.name: f"weights.{a.name}" for a in module.weights} | {f"{name}_out": f"now_{name}" for name in sizes}
    begun = _call(plain, "rest", known | {name: f"now_{name}" for name in sizes if name not in known}, count)
    step = {name: f"now_{name}" for name in sizes} | {"x": "x", "yg": "target", "eta": "&eta"}
    return (
        mathematics(plain, f"{upper}_SINGLE")
        + PRELUDE
        + f"\ntypedef {stem}_real real;\n\n"
        + "".join(f"{SMOOTH[name]}\n" for name in smooth_functions(plain))
        + scalar_text(plain)
        + f"""
static {stem}_weights weights, trained;
static {stem}_state beside_state;
static real x[{count} * {upper}_INPUTS], target[{count} * {upper}_OUTPUTS];
static real {", ".join(f"now_{name}[{size}]" for name, size in sizes.items())};
static real plain_work[{work + 1}];

/* numbers between -size and size, which look random */
static void draw(real *to, int count, real size, unsigned long *seed)
{{
    for (int i = 0; i < count; i++) {{
        *seed = (*seed * 1664525ul + 1013904223ul) & 0xfffffffful;
        to[i] = size * ((real)(*seed >> 8) / (real)8388608.0 - (real)1.0);
    }}
}}

/* 1 where arrays differ, 2 where training diverges */
static int apart(const real *a, const real *b, int size)
{{
    real largest = (real)1.0;
    for (int i = 0; i < size; i++) {{
        const real own = b[i] < (real)0.0 ? -b[i] : b[i];
        largest = own > largest || own != own ? own : largest;
    }}
    if (!(largest < (real)1e3)) {{
        return 2;
    }}
    for (int i = 0; i < size; i++) {{
        const real off = a[i] - b[i];
        if (!(off <= (real)1e-9 * largest && off >= (real)-1e-9 * largest)) {{
            return 1;
        }}
    }}
    return 0;
}}

/* how many gate events of units there are in thirty steps, -1 where they end elsewhere, -2 where they diverge */
static int trained_beside(unsigned long seed, real eta)
{{
{_drawn(module)}    draw(x, {count} * {upper}_INPUTS, (real)1.7, &seed);
    draw(target, {count} * {upper}_OUTPUTS, (real)1.7, &seed);
    if ({stem}_init(&beside_state, &weights, x, {count}, work)) {{
        return -1;
    }}
    (void){begun};
    for (int n = 0; n < 30; n++) {{
        if ({stem}_step(&beside_state, target, eta, work)) {{
            return -2;
        }}
        (void){_call(plain, "step", step, count)};
    }}
    if ({stem}_expand(&beside_state, &weights, x, &trained, work)) {{
        return -1;
    }}
    int worst = 0;
{_compared(module)}    return worst & 2 ? -2 : worst ? -1 : beside_state.events;
}}

static int beside(void)
{{
    int crossed = 0;
    for (unsigned long seed = 0; seed < 2 && sizeof(real) > 4; seed++) {{ /* else a gate may be turned by rounding */
        int found = -2;
        real eta = (real)1.0 / (real)(1 + {upper}_INPUTS);
        for (int k = 0; k < 6 && found == -2; k++) {{
            eta /= (real)4.0;
            found = trained_beside(seed, eta);
        }}
        if (found == -1) {{
            return -1;
        }}
        crossed += found > 0 ? found : 0;
    }}
    return crossed;
}}

"""
    )


def _drawn(module: n.Module) -> str:
    """Lines that draw weights of about the size that networks begin with."""
    lines = []
    for a in module.weights:
        shape = tuple(module.sizes[axis] for axis in a.axes)
        size = (3 / (shape[1] if len(shape) > 1 else 4)) ** 0.5
        lines.append(f"    draw(weights.{a.name}, {prod(shape)}, (real){size:.3g}, &seed);\n")
    return "".join(lines)


def _compared(module: n.Module) -> str:
    def size(array: Array) -> int:
        return prod(module.sizes[axis] for axis in array.axes)

    return "".join(f"    worst |= apart(trained.{a.name}, now_{a.name}, {size(a)});\n" for a in module.weights)


def _call(module: n.Module, name: str, known: dict[str, str], count: int) -> str:
    function = module[name]
    given = [known[c_name] for c_name, _ in parameters_of(function, module)]
    told = [str(count)] * takes_rows(function) + ["plain_work"] * bool(room_of(function, module))
    return f"{name}_core({', '.join((*given, *told))})"
