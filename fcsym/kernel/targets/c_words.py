"""C text that is the same for every module: functions of one number, finding a stored input, and what comes first."""

from __future__ import annotations

from fcsym.kernel import neutral as n

__all__ = ["PRELUDE", "SMOOTH", "lanes_functions", "remember_text", "smooth_functions"]

SMOOTH = {
    "tanh": """static real tanh_of(real s)
{
    return TANH(s);
}
""",
    "sigmoid": """/* 1 / (1 + exp(-s)), without overflow on either side */
static real sigmoid_of(real s)
{
    const real small = EXP(s > (real)0.0 ? -s : s);
    return (s > (real)0.0 ? (real)1.0 : small) / ((real)1.0 + small);
}
""",
    "softplus": """/* log(1 + exp(s)), without overflow */
static real softplus_of(real s)
{
    return (s > (real)0.0 ? s : (real)0.0) + LOG1P(EXP(s > (real)0.0 ? -s : s));
}
""",
    "normal_cdf": """/* of the normal distribution, as accurate below 0 as above */
static real normal_cdf_of(real s)
{
    return (real)0.5 * ERFC(-s * (real)0.70710678118654752440);
}
""",
    "normal_pdf": """static real normal_pdf_of(real s)
{
    return EXP((real)-0.5 * s * s) * (real)0.39894228040143267794;
}
""",
    **{
        name: f"static real {name}_of(real s)\n{{\n    return {name.upper()}(s);\n}}\n"
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "erf", "atan", "sin", "cos")
    },
    "Abs": "static real Abs_of(real s)\n{\n    return FABS(s);\n}\n",
}
"""The functions of `neutral.CALLS`; what is called in capitals is the function of <math.h> in the precision at hand."""


def smooth_functions(module: n.Module) -> list[str]:
    """The smooth functions that a module calls."""

    def within(node: n.Node) -> set[str]:
        own = {node.function} if isinstance(node, n.Call) else set()
        return own.union(*(within(part) for part in n.parts(node)))

    found: set[str] = set()
    for function in module.functions:
        for statement in function.statements:
            if isinstance(statement, n.Define):
                found |= within(statement.value)
    return [name for name in SMOOTH if name in found]


REMEMBER = """/* a row for x among the stored inputs: the one that is x, or a free one (of zeros), made 0 */
static int remember(real *RESTRICT X, real *RESTRICT C, const real *RESTRICT x, int rows)
{{
    int free_row = -1, any = 0;
    for (int i = 0; i < {inputs}; i++) {{
        any |= x[i] != (real)0.0;
    }}
    for (int m = 0; m < rows; m++) {{
        int used = 0, other = 0;
        for (int i = 0; i < {inputs}; i++) {{
            other |= X[m * {inputs} + i] != x[i];
            used |= X[m * {inputs} + i] != (real)0.0;
        }}
        if (!other) {{
            return 0;
        }}
        if (!used && free_row < 0) {{
            free_row = m;
        }}
    }}
    if (!any) {{
        return 0;
    }}
    if (free_row < 0) {{
        return FULL;
    }}
    for (int i = 0; i < {inputs}; i++) {{
        X[free_row * {inputs} + i] = x[i];
    }}
    for (int j = 0; j < {units}; j++) {{
        C[free_row * {units} + j] = (real)0.0;
    }}
    return 0;
}}
"""


def remember_text(module: n.Module) -> str:
    """The C function that finds or makes a row for an input."""
    units = next(array for array in module.state if array.name == "C").axes[-1]
    inputs = next(array for array in module.state if array.name == "X").axes[-1]
    return REMEMBER.format(inputs=module.sizes[inputs], units=module.sizes[units])


def lanes_functions(module: n.Module) -> list[str]:
    """The smooth functions on as many numbers as there are lanes."""
    return [
        f"static vec {name}_lanes(vec s)\n{{\n    vec result;\n    for (int l = 0; l < LANES; l++) {{\n"
        f"        result[l] = {name}_of(s[l]);\n    }}\n    return result;\n}}\n"
        for name in smooth_functions(module)
    ]


PRELUDE = """#if !defined(__cplusplus)
#define RESTRICT restrict
#elif defined(__GNUC__) || defined(_MSC_VER)
#define RESTRICT __restrict
#else
#define RESTRICT
#endif

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math changes what the operations mean: compile without it"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "-funsafe-math-optimizations changes what the operations mean: compile without it"
#endif

/* a * b + c is two operations, each rounded; nothing is put in another order */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#if __clang_major__ >= 14
#pragma clang fp contract(off) reassociate(off)
#endif
#elif !defined(__GNUC__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off", "no-associative-math", "no-reciprocal-math", "no-unsafe-math-optimizations")
#endif
"""
