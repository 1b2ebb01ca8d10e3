"""The C text that runs inside a Python process: many networks and many steps in a call, in lanes where asked.

kernel_init, kernel_output, kernel_expand    one function over many networks, arrays one after another
kernel_run                                   steps in place, for many networks
kernel_steps                                 the same for one network, after a look at all inputs
kernel_lanes                                 the same for networks interleaved in blocks of a vector register
kernel_bound                                 one step on pinned buffers, as a function that Python calls directly
"""

from __future__ import annotations

import re
from functools import reduce
from math import prod

from fcsym.kernel import neutral as n
from fcsym.kernel.targets.c import core_text, parameters_of, refuse_large, room_of, scalar_text, takes_rows
from fcsym.kernel.targets.c_memory import Amount
from fcsym.kernel.targets.c_words import PRELUDE, SMOOTH, lanes_functions, smooth_functions

__all__ = ["function_text", "lanes_of_text", "native_text", "work_of"]

_IN_REGISTERS = 64  # a state of at most so many numbers; a larger one does not fit, and copying it is in vain

_HEAD = """#include <stddef.h>
#include <stdint.h>
#include <math.h>

typedef REAL real;
#define UNDEFINED 1
#define FULL 2
#define NOT_FINITE 4
#define NOT_A_NUMBER ((real)NAN)
/* Inlined into a loop over networks, a copy and a product of four numbers become loads of a vector register from where
   none may be loaded: GCC 12 at -O2 and -ftree-vectorize. */
#if defined(__GNUC__)
#define ALONE __attribute__((noinline))
#else
#define ALONE
#endif
"""

_IN_EITHER = """#define {upper}(s) ((real)(sizeof(real) == 4 ? (double){lower}f((float)(s)) : {lower}((double)(s))))
"""

_LANES = """#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / (int)sizeof(real))
typedef real vec __attribute__((vector_size(BYTES)));
typedef INTEGER mask __attribute__((vector_size(BYTES)));
"""

_PICK = """static inline vec all(real value)
{
    return value - (vec){0};
}

static inline vec pick(mask test, vec then, vec otherwise)
{
    return (vec)((test & (mask)then) | (~test & (mask)otherwise));
}
"""

_CALL = """/* Where everything is. A step of 0 numbers from one network to the next shares an array. */
typedef struct {
    intptr_t networks, steps, rows;
    intptr_t x_network, x_step, target_network, target_step, eta_network;
    const real *x, *target, *eta;
    real *work;
    void *error; /* the class of exception that a bound step raises */
    real *array[ARRAYS];
    intptr_t network[ARRAYS];
} call_type;

int kernel_lane_count(void)
{
    return LANES;
}
"""


def native_text(module: n.Module) -> str:
    """The whole translation unit; -DREAL=double -DINTEGER=int64_t, or float and int32_t."""
    refuse_large(module)
    lanes = not (module.stored or module.samples)
    cores = scalar_text(module, parts=True)
    for name in ("init", "output", "expand"):
        cores = cores.replace(f"static int {name}_core(", f"static ALONE int {name}_core(")
    text = [lanes_of_text(module) if lanes else _head(module), cores]
    text += [core_text(module["step"], module, "step_lanes", lanes=True)] if lanes else []
    text += [_many(name, module) for name in ("init", "output", "expand")]
    text += [_run(module), *([_lanes_run(module)] if lanes else [])]
    return "\n".join([*text, _BOUND.replace("REFUSAL", module.refusal)])


def function_text(module: n.Module) -> str:
    """The translation unit of a module that is no scheme: each of its functions over many networks."""
    refuse_large(module)
    cores, calls = scalar_text(module, parts=True), (_many(function.name, module) for function in module.functions)
    return "\n".join([_head(module), cores, *calls])


def work_of(module: n.Module, lanes: int = 0) -> Amount:
    """How many numbers of work memory any call needs; with lanes, one that goes through `kernel_lanes`."""
    if lanes:
        return Amount(lanes * room_of(module["step"], module, lanes=True).given.fixed)
    rooms = [room_of(function, module) for function in module.functions]
    return reduce(Amount.most, (room.given for room in rooms))


def _head(module: n.Module) -> str:
    arrays = max(len(parameters_of(function, module)) for function in module.functions)
    smooth = [SMOOTH[name] for name in smooth_functions(module)]
    calls = sorted({call for text in smooth for call in re.findall(r"\b([A-Z][A-Z0-9]+)\(", text)})
    mathematics = "".join(_IN_EITHER.format(upper=call, lower=call.lower()) for call in calls)
    return "\n".join([_HEAD + mathematics, PRELUDE, _LANES, _CALL.replace("ARRAYS", str(arrays)), *smooth])


def lanes_of_text(module: n.Module) -> str:
    """Types and functions that text in lanes needs."""
    return "\n".join([_head(module), _PICK, *lanes_functions(module)])


def _tail(name: str, module: n.Module) -> list[str]:
    """What a function takes besides arrays: how many inputs are stored, and work memory."""
    function = module[name]
    return ["(int)c->rows"] * takes_rows(function) + ["c->work"] * bool(room_of(function, module))


def _many(name: str, module: n.Module) -> str:
    """One function over many networks: arrays in the order of its parameters."""
    count = len(parameters_of(module[name], module))
    arguments = [f"c->array[{k}] + n * c->network[{k}]" for k in range(count)] + _tail(name, module)
    listed = ",\n            ".join(arguments)
    return f"""int kernel_{name}(const call_type *c)
{{
    int status = 0;
    for (intptr_t n = 0; n < c->networks; n++) {{
        status |= {name}_core(
            {listed});
    }}
    return status;
}}
"""


def _step_arguments(module: n.Module, base: str) -> list[str]:
    """The arguments of a step: the state in place, then what it is given besides."""
    own = [array.name for array in module.state]
    result = []
    for c_name, _ in parameters_of(module["step"], module):
        if c_name in own:
            result.append(base.format(k=own.index(c_name)))
        else:
            result.append({"x": "x", "yg": "target", "eta": "eta"}[c_name])
    return result


def _run(module: n.Module) -> str:
    """Steps in place; a small state is copied out of memory first, so that it stays in registers from step to step."""
    held = any(axis.open for array in module.state for axis in array.axes)
    sizes = [] if held else [prod(n.shape(array.axes, module.sizes)) for array in module.state]
    copied = module.state if 0 < sum(sizes) <= _IN_REGISTERS else ()
    arguments = _step_arguments(module, "own{k}" if copied else "a{k}") + _tail("step", module)
    rows = [f"real *a{k} = c->array[{k}] + n * c->network[{k}];" for k in range(len(module.state))]
    rows += [f"real own{k}[{sizes[k]}];" for k in range(len(copied))]
    rows += [_copy(f"own{k}", f"a{k}", sizes[k]) for k in range(len(copied))]
    places = "\n        ".join(rows)
    back = "".join(f"\n        {_copy(f'a{k}', f'own{k}', sizes[k])}" for k in range(len(copied)))
    remember = ""
    if module.stored:
        own = [array.name for array in module.state]
        x_at, c_at = own.index("X"), own.index("C")
        remember = f"""if (remember(a{x_at}, a{c_at}, x, (int)c->rows)) {{
                return FULL;
            }}
            """
    return f"""int kernel_run(const call_type *c)
{{
    int status = 0;
    for (intptr_t n = 0; n < c->networks; n++) {{
        {places}
        const real *x = c->x + n * c->x_network, *target = c->target + n * c->target_network;
        const real *eta = c->eta + n * c->eta_network;
        for (intptr_t s = 0; s < c->steps; s++) {{
            (void)x;
            {remember}status |= step_core({", ".join(arguments)});
            x += c->x_step;
            target += c->target_step;
        }}{back}
    }}
    return status;
}}

static int finite(const real *a, intptr_t count)
{{
    int bad = 0;
    for (intptr_t i = 0; i < count; i++) {{
        bad |= !(a[i] - a[i] == (real)0.0);
    }}
    return !bad;
}}

int kernel_steps(const call_type *c)
{{
    if (!finite(c->x, c->steps * c->x_step) || !finite(c->target, c->steps * c->target_step)) {{
        return NOT_FINITE;
    }}
    return kernel_run(c);
}}
"""


def _copy(to: str, source: str, size: int) -> str:
    return f"for (int i = 0; i < {size}; i++) {to}[i] = {source}[i];"


def _lanes_run(module: n.Module) -> str:
    arguments = _step_arguments(module, "a{k}")
    arguments += ["(vec *)c->work"] * bool(room_of(module["step"], module, lanes=True))
    arguments += ["&undefined"] * module.marks
    places = "\n        ".join(
        f"vec *a{k} = (vec *)c->array[{k}] + n * c->network[{k}];" for k in range(len(module.state))
    )
    unused = "\n        ".join(f"(void)a{k};" for k in range(len(module.state)))
    return f"""int kernel_lanes(const call_type *c)
{{
    mask undefined = (mask){{0}};
    for (intptr_t n = 0; n < c->networks; n++) {{
        {places}
        {unused}
        const vec *x = (const vec *)c->x + n * c->x_network;
        const vec *target = (const vec *)c->target + n * c->target_network;
        const vec *eta = (const vec *)c->eta + n * c->eta_network;
        for (intptr_t s = 0; s < c->steps; s++) {{
            (void)x;
            (void)step_lanes({", ".join(arguments)});
            x += c->x_step;
            target += c->target_step;
        }}
    }}
    int status = 0;
    for (int l = 0; l < LANES; l++) {{
        status |= undefined[l] ? UNDEFINED : 0;
    }}
    return status;
}}
"""


_BOUND = """/* One call from Python: the object behind a function without arguments holds the place of a call_type. */
typedef struct _object PyObject;
extern PyObject _Py_NoneStruct;
extern void *PyCapsule_GetPointer(PyObject *, const char *);
extern void Py_IncRef(PyObject *);
extern void PyErr_SetString(PyObject *, const char *);

PyObject *kernel_bound(PyObject *self, PyObject *unused)
{
    const call_type *c = (const call_type *)PyCapsule_GetPointer(self, NULL);
    (void)unused;
    const int status = kernel_run(c);
    if (status) {
        PyErr_SetString(
            (PyObject *)c->error,
            status & FULL ? "No row is free for another input: bind a state with more rows."
                          : "REFUSAL");
        return NULL;
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}
"""
