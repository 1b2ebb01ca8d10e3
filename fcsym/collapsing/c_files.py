"""The scheme `collapsed` in C: its step on columns as every scheme's is printed, `columns.c`, and what is known.

The equations of a step are loops over as many columns as there are at the time; arrays have room for as many as there
are units, which are more than columns ever are. No memory is allocated: the state has all that stays, and the caller
gives what a call works in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from pathlib import Path

from fcsym.collapsing.beside import beside_text
from fcsym.collapsing.c_tables import Tables
from fcsym.collapsing.table import Table
from fcsym.kernel import neutral as n
from fcsym.kernel.rows import Row
from fcsym.kernel.targets.c import lengths_of, parameters_of, refuse_large, room_of, takes_rows
from fcsym.kernel.targets.c_file import implementation
from fcsym.kernel.targets.c_header import FULL, WHAT, Face, header, members_text
from fcsym.kernel.targets.c_test import makefile, test_program
from fcsym.networks.symbols import frozen_copy, units

__all__ = ["c_files"]

_OWN = ("init", "step", "output", "expand", "forward")


def c_files(module: n.Module, table: Table, stem: str, rows: Sequence[Row], idle: Mapping[int, int]) -> dict[str, str]:
    """stem.h, stem.c, stem_test.c and stem.mk. Raises CompileError for arrays that C cannot count through.

    `idle`: of a layer, after how many of the arrays with numbers of a unit its pre-activations come, where nothing but
    its own activation reads them.
    """
    shorter = {units(n_): f"columns{n_}" for n_ in table.layers}
    functions = tuple(
        replace(f, lengths=shorter if f.name in ("step", "output") else {}) for f in module.functions if f.name in _OWN
    )
    own = replace(module, functions=functions, single_input=True)
    refuse_large(module)
    file = _File(own, table, stem, idle)
    return {
        f"{stem}.h": header(own, stem, file.face),
        f"{stem}.c": implementation(own, stem, file.body, ("SQRT",)),
        f"{stem}_test.c": test_program(own, stem, rows, file.face, "init_apart", beside_text(module, table, stem)),
        f"{stem}.mk": makefile(module, stem, mathematics=True),
    }


class _File(Tables):
    """The text of the files, but for what those of all schemes have."""

    # ---------------------------------------------------------------------------------------------- the header

    @cached_property
    def face(self) -> Face:
        """What callers see."""
        stem, real = self.stem, f"{self.stem}_real"
        state, samples = f"{stem}_state *state", "int samples"
        target, eta, work = f"const {real} *target", f"{real} eta", f"{real} *work"
        begin = [state, f"const {stem}_weights *weights", f"const {real} *x", samples, work]
        arguments = {
            "init": begin,
            "init_apart": begin,
            "step": [state, target, eta, work],
            "step_on": [state, "const int *which", "int count", target, eta, work],
            "output": [f"const {state}", f"{real} *y", work],
            "expand": [
                f"const {state}",
                f"const {stem}_weights *start",
                f"const {real} *x",
                f"{stem}_weights *weights",
                work,
            ],
        }
        more = {
            "init_apart": "The same, with every unit in a column of its own as long as it trains: no rounding takes "
            "one off its\n   kink, and nothing is saved.",
            "step_on": "One training step on some of the samples of init, by their places, with as many targets.",
        }
        what = {name: more.get(name, WHAT.get(name, "")) for name in arguments}
        rooms = [room_of(function, self.module) for function in self.module.functions]
        stack = max(room.stack for room in rooms)
        memory = f"""/* Stack: the arrays of a call have at most so many numbers of type {stem}_real; single numbers and
   what a call saves take less than 1 KiB more where the compiler optimizes. */
#define {self.upper}_STACK {stack}

/* work is memory for {self.upper}_WORK numbers, which may hold anything before and after a call; calls at the same time
   need one each. */
#define {self.upper}_WORK {self.text(self.offsets["WORK"])}
"""
        full = f"{FULL}, or a place that none of them has"
        undefined = "a number of the state is none after this step: init again, and take a smaller eta"
        return Face(arguments, what, self._members, memory, full, undefined, self._types)

    @cached_property
    def _members(self) -> str:
        capacity, real = f"{self.upper}_CAPACITY", f"{self.stem}_real"
        lines = [members_text(self.arrays, self.module, real, capacity)]
        if self.table.reads_x:
            lines.append(f"    {real} x[{capacity} * {self.table.point[1]}]; /* the samples of init */\n")
        lines += [f"    {self.stem}_layer{n_} layer{n_};\n" for n_ in self.table.layers]
        return "".join(lines) + (
            "    int samples; /* how many samples init was given */\n"
            "    int steps, events; /* steps so far, and how often a unit has left its line in them */\n"
            "    int apart, together; /* whether units never stand together, and whether they do */\n"
            f"    {real} fine; /* in short numbers, how near to a kink one of many units is on it */\n"
        )

    @cached_property
    def _types(self) -> str:
        """A structure for each layer that is summed over."""
        text, real, capacity = [], f"{self.stem}_real", f"{self.upper}_CAPACITY"
        for n_, t in self.table.layers.items():
            count = self.module.sizes[units(n_)]
            most = count // 3 + 1  # a block has more than two units for each of its columns
            each, follow = self.text(self.most(n_)), self.text(self.numbers(n_, t.numbers.following))
            rows = [
                "    int count, blocks, laid;",
                f"    int crossed, crossed_unit[{count}]; /* the units that left their lines in the last step */",
                f"    signed char before[{count} * {capacity}]; /* crossed x samples: the lines that they were on */",
                f"    signed char line[{count} * {capacity}]; /* units x samples: 2n on piece n, 2n + 1 at its end */",
                f"    int of[{count}], unit[{count}], order[{count}];",
                f"    int {', '.join(f'{name}[{most}]' for name in ('first', 'width', 'from', 'size', 'leaving'))};",
                f"    signed char pattern[{most} * {capacity}], left[{count}];",
                f"    {real} xi[{count} * {each}], ones[{count}], blur[{count}];",
                f"    {real} due[{most} * {capacity}], seen[{count} * {capacity}];",
            ]
            if t.numbers.following:
                rows.append(f"    {real} begin[{count} * {follow}];")
            if n_ in self.idle:
                rows.append(f"    {real} rest[{count} * {capacity}];")
            held = ["slope"] * (t.lines is not None) + ["offset"] * t.adds_ones
            rows += [f"    {real} {name}[{count} * {capacity}]; /* samples x columns */" for name in held]
            text.append(
                f"/* the {count} units of layer {n_} in columns: the first `count` ones of every array with an axis of "
                "units */\ntypedef struct {\n" + "\n".join(rows) + f"\n}} {self.stem}_layer{n_};\n\n"
            )
        return "".join(text)

    # ------------------------------------------------------------------------------------------------- the calls

    @cached_property
    def body(self) -> str:
        """All that stands behind the equations."""
        text = (Path(__file__).parent / "columns.c").read_text(encoding="utf-8")
        return self.macros + text.replace("/* TABLES */\n", self.tables) + "\n" + self._helpers + self._calls

    def _call(self, name: str, known: Mapping[str, str]) -> str:
        """A call of a function of the equations; `known`: arguments by the names of arrays."""
        function = self.module[name]
        given = [known[c_name] for c_name, _ in parameters_of(function, self.module)]
        told = ["state->samples"] * takes_rows(function)
        told += [f"state->{length.replace('columns', 'layer')}.count" for length in lengths_of(function)]
        work = ["work"] * bool(room_of(function, self.module))
        return f"{name}_core(\n        {', '.join((*given, *told, *work))})"

    @cached_property
    def _of_state(self) -> dict[str, str]:
        """The arrays that `step` and `output` are given."""
        width = self.table.outputs
        found = {a.name: f"state->{a.name}" for a in self.arrays}
        for n_, t in self.table.layers.items():
            if t.numbers.counts:
                found[f"one{n_}"] = f"state->layer{n_}.ones"
            if t.lines is not None:
                found |= {f"g{n_}": f"state->layer{n_}.slope", f"o{n_}": f"state->layer{n_}.offset"}
        own = f"work + GIVEN + state->samples * {1 + width}"
        return {**found, "use": "work + GIVEN", "err": own, "x": "state->x"}

    @cached_property
    def _helpers(self) -> str:
        held = "".join(f"    h->array[{k}] = state->{a.name};\n" for k, a in enumerate(self.arrays))
        held += "".join(f"    h->count[{k}] = state->layer{n_}.count;\n" for k, n_ in enumerate(self.table.layers))
        own = []
        for k, (n_, t) in enumerate(self.table.layers.items()):
            base, to = f"state->layer{n_}", f"c[{k}]"
            own += [f"{to}.{name} = &{base}.{name};" for name in ("count", "blocks", "laid", "crossed")]
            own += [f"{to}.{name} = {base}.{name};" for name in _ARRAYS]
            some = {
                "begin": t.numbers.following,
                "rest": n_ in self.idle,
                "slope": t.lines is not None,
                "offset": t.adds_ones,
            }
            own += [f"{to}.{name} = {f'{base}.{name}' if there else 'NULL'};" for name, there in some.items()]
        outputs = {a.name: f"work + passed_at[{k - 1}]" if k else "work + PASSED" for k, a in enumerate(self.passed)}
        return f"""static void held_of(state_type *state, held_type *h)
{{
{held}    h->samples = state->samples;
    h->fine = state->fine;
}}

static void columns_of(state_type *state, columns_type *c)
{{
{"".join(f"    {line}{chr(10)}" for line in own)}}}

static void pass(state_type *state, real *work)
{{
    for (int n = 0; n < state->samples; n++) {{
        work[GIVEN + n] = (real)1.0;
    }}
    (void){self._call("output", {**self._of_state, **outputs})};
}}

"""

    @cached_property
    def _calls(self) -> str:
        stem, upper, width = self.stem, self.upper, self.table.outputs
        weights = {a.name: f"weights->{a.name}" for a in self.module.weights}
        numbers = [(f"weights->{a.name}", prod(self.module.sizes[i] for i in a.axes)) for a in self.module.weights]
        fresh = {f"{a.name}_out": f"state->{a.name}" for a in self.arrays}
        first = {a.name: f"state->{a.name}" for a in self.arrays} | weights
        sides = {a.name: f"work + started_at[{k}]" for k, a in enumerate(self.started)}
        forward = f"    (void){self._call('forward', {**weights, 'x': 'x', **sides})};\n" if self.started else ""
        keep = f"    for (int i = 0; i < samples * {upper}_INPUTS; i++) {{\n        state->x[i] = x[i];\n    }}\n"
        step = self._call("step", {**self._of_state, "yg": "target", "eta": "&eta"})
        whole = {a.name: f"h.array[{k}]" for k, a in enumerate(self.arrays)}
        start = {frozen_copy(a).name: f"start->{a.name}" for a in self.module.weights}
        made = {f"{a.name}_out": f"weights->{a.name}" for a in self.module.weights}
        expand = self._call("expand", {**weights, **whole, **start, **made, "x": "x"})
        unread = "".join(f"    (void){name};\n" for name in ("start", "x") if name not in expand)
        arguments = {name: ", ".join(own) for name, own in self.face.arguments.items()}
        short = " && ".join(
            f"is_short({name}, {count})" for name, count in (("x", f"(ptrdiff_t)samples * {upper}_INPUTS"), *numbers)
        )
        mean = "(real)state->samples / (real)count" if self.table.mean else "(real)1.0"
        return f"""static int start({arguments["init"]}, int apart)
{{
    if (samples < 1 || samples > {upper}_CAPACITY) {{
        return FULL;
    }}
    state->samples = samples;
    state->fine = {short} ? SQRT(EPSILON) / (real)16.0 : (real)0.0;
{keep if self.table.reads_x else ""}    (void){self._call("init", {**first, **fresh, "x": "x"})};
{forward}    begin(state, apart, work);
    return OK;
}}

int {stem}_init({arguments["init"]})
{{
    return start(state, weights, x, samples, work, 0);
}}

int {stem}_init_apart({arguments["init_apart"]})
{{
    return start(state, weights, x, samples, work, 1);
}}

static int advance({arguments["step"]})
{{
    (void){step};
    return after_step(state, work);
}}

int {stem}_step({arguments["step"]})
{{
    for (int n = 0; n < state->samples; n++) {{
        work[GIVEN + n] = (real)1.0;
    }}
    return advance(state, target, eta, work);
}}

int {stem}_step_on({arguments["step_on"]})
{{
    real *const use = work + GIVEN, *const goal = use + state->samples;
    if (count < 1 || count > state->samples) {{
        return FULL;
    }}
    for (int n = 0; n < state->samples * {1 + width}; n++) {{
        use[n] = (real)0.0;
    }}
    for (int n = 0; n < count; n++) {{
        if (which[n] < 0 || which[n] >= state->samples || use[which[n]] != (real)0.0) {{
            return FULL;
        }}
        use[which[n]] = {mean};
        for (int k = 0; k < {width}; k++) {{
            goal[which[n] * {width} + k] = target[n * {width} + k];
        }}
    }}
    return advance(state, goal, eta, work);
}}

int {stem}_output({arguments["output"]})
{{
    pass((state_type *)state, work);
    for (int i = 0; i < state->samples * {width}; i++) {{
        y[i] = work[PASSED + i];
    }}
    return OK;
}}

int {stem}_expand({arguments["expand"]})
{{
    held_type own, h;
    columns_type c[LAYERS];
    held_of((state_type *)state, &own);
    columns_of((state_type *)state, c);
    whole(&own, &h, c, work);
{unread}    (void){expand};
    return OK;
}}
"""


_ARRAYS = ("crossed_unit", "before", "line", "of", "unit", "first", "width", "from", "size", "leaving", "order",
           "pattern", "left", "xi", "ones", "due", "seen", "blur")  # fmt: skip
