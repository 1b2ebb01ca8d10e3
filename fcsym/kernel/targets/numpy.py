"""NumPy: matrix products for wide networks; for small ones every number on its own, over tiles of many networks.

The choice is a matter of cost. One call of a ufunc takes about a microsecond whatever it does, and a product of stacked
small matrices 30 to 100 ns per network and statement; below some hundred operations a ufunc per operation wins as soon
as there are many networks, and loses little for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fcsym.kernel import neutral as n
from fcsym.kernel.rows import Row
from fcsym.kernel.targets.arrays import Dialect, function_text, values_text
from fcsym.kernel.targets.straight import NORMAL_CALLS, tile_function, unroll

__all__ = ["DIALECT", "STRAIGHT_LIMIT", "NumpyTarget", "is_straight"]

STRAIGHT_LIMIT = 400
"""Operations per step up to which every number is computed on its own.

For 10,000 networks that halves the time at 36 operations (2-2-1) and is even from 112 (4-4-1) to 680 (4-8-8-1); up to
here it also keeps NumPy equal to C in every bit. One network alone pays 1.6 to 9 times the call; `bind` is for that.
"""

DIALECT = Dialect(
    module="np",
    cast="{text}.astype({like}.dtype)",
    axis="axis",
    smooth={"tanh": "np.tanh({s})", "sigmoid": "sigmoid({s})", "softplus": "np.logaddexp(0.0, {s})"} | NORMAL_CALLS,
    matvec="np.matvec({a}, {b})",
    vecmat="np.vecmat({a}, {b})",
    vecdot="np.vecdot({a}, {b})",
    extreme="np.{kind}({text}, axis=-1)",
    false="np.zeros({like}.shape, dtype=bool)",
    zeros="np.zeros({shape}, dtype=Wc1.dtype)",
)

SIGMOID = '''def sigmoid(s):
    """1 / (1 + exp(-s)), without overflow on either side."""
    small = np.exp(-np.abs(s))
    return np.where(s > 0.0, 1.0, small) / (1.0 + small)
'''

NORMAL = '''_erfc = np.vectorize(math.erfc, otypes=[float])  # NumPy has none


def normal_cdf(s):
    """The normal distribution's, as accurate below 0 as above."""
    return np.asarray(0.5 * _erfc(-s / math.sqrt(2.0)), s.dtype)


def normal_pdf(s):
    """The normal density."""
    return np.exp(-0.5 * s * s) / math.sqrt(2.0 * math.pi)
'''

REMEMBER = '''def remember(X, C, x):
    """X and C with a row for x: a free one is taken, or one is appended, where no stored input is x.

    The coefficients of the row are 0, so that nothing the state stands for changes. A row of zeros is free; an input of
    zeros needs no row, since nothing can be learned along it.
    """
    lead = np.broadcast_shapes(X.shape[:-2], C.shape[:-2], x.shape[:-1])
    X = np.broadcast_to(X, lead + X.shape[-2:])
    C = np.broadcast_to(C, lead + C.shape[-2:])
    same = np.sum((X - x[..., None, :]) ** 2, axis=-1) == 0.0
    new = ~np.any(same, axis=-1) & np.any(x != 0.0, axis=-1)
    if not np.any(new):
        return X, C
    free = ~np.any(X != 0.0, axis=-1)
    if np.any(new & ~np.any(free, axis=-1)):
        X = np.concatenate([X, np.zeros_like(X, shape=lead + (1, X.shape[-1]))], axis=-2)
        C = np.concatenate([C, np.zeros_like(C, shape=lead + (1, C.shape[-1]))], axis=-2)
        free = np.concatenate([free, np.ones(lead + (1,), dtype=bool)], axis=-1)
    taken = (np.arange(X.shape[-2]) == np.argmax(free, axis=-1)[..., None]) & new[..., None]
    return np.where(taken[..., None], x[..., None, :], X), np.where(taken[..., None], 0.0, C)
'''

TILES = '''TILE = 8192  # networks at a time: what one tile needs stays in the cache
_own = threading.local()  # workspaces are allocated once per thread


def _workspace(dtype, numbers, masks, count):
    """Rows of numbers and of masks, `count` long."""
    have = _own.__dict__.setdefault((dtype, numbers, masks), [])
    if not have or have[0].shape[-1] < count:
        have[:] = [np.empty((numbers, count), dtype), np.empty((masks, count), bool)]
    return [list(rows[:, :count]) for rows in have]


def _tiles(function, arrays, shapes, results, numbers, masks, marks):
    """Call a function of single numbers for every network of the leading axes, tile by tile."""
    leads = [a.shape[: a.ndim - len(shape)] for a, shape in zip(arrays, shapes)]
    lead = np.broadcast_shapes(*leads)
    total = math.prod(lead)
    dtype = np.result_type(*arrays)
    sizes = [math.prod(shape) for shape in results]
    flat = []
    for a, shape, own in zip(arrays, shapes, leads):
        shared = math.prod(own) == 1 and total
        whole = a if shared else np.broadcast_to(a, lead + shape)
        flat.append(whole.reshape(-1 if shared else (total, math.prod(shape))))
    out = [np.empty((total, size), dtype) for size in sizes]
    undefined = np.zeros((marks, total), bool)
    for start in range(0, total, TILE):
        stop = min(start + TILE, total)
        w, m = _workspace(dtype, numbers + sum(sizes), masks, stop - start)
        own, w = w[numbers:], w[:numbers]
        columns = [c for a in flat for c in (a if a.ndim == 1 else np.ascontiguousarray(a[start:stop].T))]
        function(*columns, *own, *undefined[:, start:stop], w, m)
        at = 0
        for array, size in zip(out, sizes):
            for k in range(size):
                array[start:stop, k] = own[at + k]
            at += size
    made = [a.reshape(lead + shape) for a, shape in zip(out, results)]
    return (*made, *([undefined.T.reshape((*lead, marks))] if marks else []))
'''


def is_straight(module: n.Module) -> bool:
    """Whether every number is computed on its own."""
    return not module.stored and n.operations(module["step"], module.sizes) <= STRAIGHT_LIMIT


class NumpyTarget:
    """NumPy source and, for export, a module that needs nothing else."""

    name, suffix = "numpy", ".py"

    def source(self, module: n.Module, prefix: str = "") -> str:
        """init, step, output, expand: each takes the arrays of its derivation in order and returns its results.

        Where units can be undefined, `step` returns a mask of them as well.
        """
        text = [f"{name} = np.array({values_text(matrix)})\n" for name, matrix in module.constants.items()]
        straight = is_straight(module)
        write = _straight if straight else _arrays
        functions = [write(function, module, f"{prefix}{function.name}") for function in module.functions]
        if any("sigmoid(" in function for function in functions):
            text.append(SIGMOID)
        if any("normal_" in function for function in functions):
            text.append(NORMAL)
        if module.stored:
            text.append(REMEMBER)
        if straight:
            text.append(TILES)
        return "\n\n".join([*text, *functions])

    def files(self, module: n.Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """One module, stem.py."""
        from fcsym.kernel.targets.python_file import numpy_file

        return {f"{stem}.py": numpy_file(module, self.source(module, "_"), stem, rows)}


def _arrays(function: n.Function, _: n.Module, name: str) -> str:
    return function_text(function, DIALECT, name)


def _straight(function: n.Function, module: n.Module, name: str) -> str:
    """A function of arrays that calls one of single numbers."""
    flat = unroll(function, module.sizes, module.constants)
    marks = sum(isinstance(statement, n.Mark) for statement in flat.statements)
    text, numbers, masks = tile_function(flat, module.sizes, marks)

    def shapes(arrays: tuple[n.Array, ...]) -> str:
        return "(" + "".join(f"{n.shape(array.axes, module.sizes)}, " for array in arrays).strip() + ")"

    names = [array.name for array in function.given]
    body = f"({', '.join(names)},)"
    documentation = "\n".join(f"    {line}" for equation in function.equations for line in equation.splitlines())
    documentation = f"\n\n{documentation}\n    " if documentation else ""
    return text + (
        f"\n\ndef {name}({', '.join(names)}):\n"
        f'    """{function.title}{documentation}"""\n'
        f"    arrays = {body}\n"
        f"    given = {shapes(function.given)}\n"
        f"    results = {shapes(function.results)}\n"
        f"    return _tiles(_{function.name}_tile, arrays, given, results, {numbers}, {masks}, {marks})\n"
    )
