"""JAX: pure functions for jit, vmap, grad and lax.scan; a state is a named tuple, which JAX maps over by itself.

Nothing depends on a value, so nothing is raised: what is undefined becomes not-a-number, and `history` has room for a
fixed number of inputs. A quotient that a guard forbids is not divided in its derivative either.
"""

from __future__ import annotations

from fcsym.kernel.targets.arrays import Dialect
from fcsym.kernel.targets.pure_file import PureLanguage, PureTarget

__all__ = ["JAX", "LANGUAGE"]

DIALECT = Dialect(
    module="jnp",
    cast="{text}.astype({like}.dtype)",
    axis="axis",
    smooth={
        "tanh": "jnp.tanh({s})",
        "sigmoid": "jax.nn.sigmoid({s})",
        "softplus": "jnp.logaddexp({s}, 0.0)",
        "normal_cdf": "jax.scipy.special.ndtr({s})",
        "normal_pdf": "jax.scipy.stats.norm.pdf({s})",
        "exp": "jnp.exp({s})",
        "expm1": "jnp.expm1({s})",
        "log": "jnp.log({s})",
        "log1p": "jnp.log1p({s})",
        "sqrt": "jnp.sqrt({s})",
        "erf": "jax.scipy.special.erf({s})",
        "atan": "jnp.arctan({s})",
        "sin": "jnp.sin({s})",
        "cos": "jnp.cos({s})",
        "Abs": "jnp.abs({s})",
    },
    matvec="jnp.matvec({a}, {b})",
    vecmat="jnp.vecmat({a}, {b})",
    vecdot="jnp.vecdot({a}, {b})",
    extreme="jnp.{kind}({text}, axis=-1)",
    false="jnp.zeros({like}.shape, dtype=bool)",
    zeros="jnp.zeros({shape}, dtype=Wc1.dtype)",
    constant="jnp.asarray({values}, dtype={like}.dtype)",
    arange="jnp.arange({n})",
    as_numbers="({test}).astype({like}.dtype)",
    windows="_windows({a}, {reads})",
    placed="_added_up({a}, {axis}, {length}, {size}, {start}, {step}, {taps})",
    capacity="capacity",
    scalar="jnp.asarray({value}, dtype={like}.dtype)",
    turned="jnp.swapaxes({a}, -1, -2)",
)

REMEMBER = '''def _remember(X, C, x):
    """X and C with a row for x: a free one (of zeros) is taken where no stored input is x; nan where none is free."""
    lead = jnp.broadcast_shapes(X.shape[:-2], C.shape[:-2], x.shape[:-1])
    X, C = jnp.broadcast_to(X, lead + X.shape[-2:]), jnp.broadcast_to(C, lead + C.shape[-2:])
    same = jnp.all(X == x[..., None, :], axis=-1)
    free = ~jnp.any(X != 0.0, axis=-1)
    new = ~jnp.any(same, axis=-1) & jnp.any(x != 0.0, axis=-1)
    full = new & ~jnp.any(free, axis=-1)
    taken = (jnp.arange(X.shape[-2]) == jnp.argmax(free, axis=-1)[..., None]) & (new & ~full)[..., None]
    C = jnp.where(taken[..., None], 0.0, C)
    return jnp.where(taken[..., None], x[..., None, :], X), jnp.where(full[..., None, None], jnp.nan, C)
'''

WINDOWS = '''def _windows(a, reads):
    """a with some axes read at linear forms, 0 where a form leaves its axis.

    reads: (axis, start, steps, lengths); in the place of the axis stands one for each step, of that length, and the
    position is start + step * place + ...
    """
    for axis, start, steps, lengths in reads:
        ends = [step * (length - 1) for step, length in zip(steps, lengths)]
        low, high = start + sum(e for e in ends if e < 0), start + sum(e for e in ends if e > 0)
        before, after = max(0, -low), max(0, high + 1 - a.shape[axis])
        around = [(0, 0)] * a.ndim
        around[axis] = (before, after)
        a = jnp.pad(a, around) if before or after else a
        place, rest = axis % a.ndim, (slice(None),) * (-axis - 1)
        if not lengths:
            a = a[(..., start + before, *rest)]
            continue
        long = lengths.index(max(lengths))  # along this axis a slice, and one slice for each place on the others
        parts = []
        for at in product(*(range(1 if k == long else n) for k, n in enumerate(lengths))):
            first = start + before + sum(step * k for step, k in zip(steps, at))
            last = first + steps[long] * (lengths[long] - 1)
            one = slice(min(first, last), max(first, last) + 1, abs(steps[long]))
            part = a[(..., one, *rest)]
            parts.append(jnp.flip(part, axis) if steps[long] < 0 else part)
        others = [n for k, n in enumerate(lengths) if k != long]
        shape = (*a.shape[:place], *others, lengths[long], *a.shape[place + 1 :])
        a = jnp.moveaxis(jnp.stack(parts, place).reshape(shape), place + len(others), place + long)
    return a
'''

PLACED = '''def _added_up(a, axis, length, size, start, step, taps):
    """The terms along an axis put at start + step * place + ..., and those of one position added up.

    taps: (axis, length, step) of the other axes in the position, which the result has not; None for one that a has
    not. What lies outside of 0, ..., size - 1 is left out.
    """
    own = [k for k, _, _ in taps if k is not None]
    kept = [k for k in range(-a.ndim, 0) if k not in own]
    a = jnp.transpose(a, [k % a.ndim for k in own + kept])
    axis = kept.index(axis) - len(kept)
    if a.shape[axis] != length:  # the same term for all
        a = jnp.repeat(a, length, axis)
    if step < 0:
        a, start, step = jnp.flip(a, axis), start + step * (length - 1), -step
    total = 0.0
    for at in product(*(range(n) for _, n, _ in taps)):
        first = start + sum(c * k for (_, _, c), k in zip(taps, at))
        term = a[tuple(k for (there, _, _), k in zip(taps, at) if there is not None)]
        around = [(0, 0, 0)] * term.ndim
        around[axis] = (first, size - first - step * (length - 1) - 1, step - 1)
        total = total + jax.lax.pad(term, jnp.zeros((), term.dtype), around)
    return total
'''

LANGUAGE = PureLanguage(
    dialect=DIALECT,
    imports="import jax\nimport jax.numpy as jnp\n",
    array="jax.Array",
    convert="jnp.asarray({value})",
    scalar="jnp.asarray({value}, dtype={like}.dtype)",
    remember=REMEMBER,
    windows=WINDOWS,
    placed=PLACED,
    test_array="jnp.asarray(np.reshape({value}, {shape}), dtype=float)",
    test_to="np.asarray({value})",
    test_single="jnp.asarray(0.0).dtype == jnp.float32",
    needs="JAX 0.5 or later",
)
JAX = PureTarget("jax", LANGUAGE, "jnp.asarray", "jax.jit({name})")
