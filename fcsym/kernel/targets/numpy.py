"""NumPy: matrix products for wide networks; for small ones element by element, over tiles of many networks.

The choice is a matter of cost. One call of a ufunc takes about a microsecond whatever it does, and a product of stacked
small matrices 30 to 100 ns per network and statement; below some hundred operations a ufunc per operation wins as soon
as there are many networks, and loses little for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod

from fcsym.kernel import neutral as n
from fcsym.kernel.rows import Row
from fcsym.kernel.targets.arrays import Dialect, function_text, values_text
from fcsym.kernel.targets.base import ArrayWords
from fcsym.kernel.targets.tiles import CALLS, tile_function
from fcsym.language.expression import Axis

__all__ = ["DIALECT", "STRAIGHT_LIMIT", "NumpyTarget", "helpers", "is_straight"]

STRAIGHT_LIMIT = 400
"""Operations per step up to which every number is computed on its own.

For 10,000 networks that halves the time at 36 operations (2-2-1) and is even from 112 (4-4-1) to 680 (4-8-8-1); up to
here it also keeps NumPy equal to C in every bit. One network alone pays 1.6 to 9 times the call; `bind` is for that.
"""

_UNROLLED = 10_000
"""Operations of one function up to which it is written out: a short step may have a wide `init` and `expand`."""

_PAGED, _SAMPLES = 2**14, 64
"""Numbers of an array from which on glibc maps pages for it, 128 KiB, and how many samples a mini-batch may have."""

DIALECT = Dialect(
    module="np",
    cast="{text}.astype({like}.dtype)",
    axis="axis",
    smooth=CALLS,
    matvec="np.matvec({a}, {b})",
    vecmat="np.vecmat({a}, {b})",
    vecdot="np.vecdot({a}, {b})",
    extreme="extreme(np.{kind}imum, {text})",
    false="np.zeros({like}.shape, dtype=bool)",
    zeros="np.zeros({shape}, dtype=Wc1.dtype)",
    scalar="np.asarray({value}, {like}.dtype)",
    masked="np.multiply({value}, {test})",  # `np.where` guesses for every element, and half the guesses are wrong
    turned="np.swapaxes({a}, -1, -2)",
    inverse="inverse({a})",
    arange="np.arange({n})",
    as_numbers="({test}).astype({like}.dtype)",
    many=", optimize=True",
    windows="windows({a}, {reads})",
    columns="np.ascontiguousarray(windows({a}, {reads}, {order}))",
    placed="added_up({a}, {axis}, {length}, {size}, {start}, {step}, {taps})",
    summed="summed({a}, {axes})",
    contracted="contracted({a}, {a_axes}, {b}, {b_axes}, {both}, {over})",
    less="less({a}, {b})",
    times="times({a}, {b})",
    less_outer="less_outer({w}, {a}, {b})",
)

LESS = '''def less(a, b):
    """a - b in the place of b, which nothing else needs: a fresh matrix costs more than the difference."""
    whole = b.shape == a.shape or b.shape == np.broadcast_shapes(a.shape, b.shape)
    return np.subtract(a, b, out=b) if whole else a - b
'''

TIMES = '''def times(a, b):
    """a * b in the place of b, which nothing else needs."""
    whole = b.shape == a.shape or b.shape == np.broadcast_shapes(a.shape, b.shape)
    return np.multiply(a, b, out=b) if whole else a * b
'''

LESS_OUTER = '''def less_outer(w, a, b):
    """w - a b^T; for one network the product is one of matrices, which is faster than element by element."""
    one = a.ndim == b.ndim == 1
    c = np.dot(a[:, None], b[None, :]) if one else a[..., :, None] * b[..., None, :]
    return np.subtract(w, c, out=c) if c.shape == w.shape else w - c
'''

EXTREME = '''def extreme(greater, a):
    """The greatest along the last axis, where greater is np.maximum, or the least."""
    if a.shape[-1] > 32 or a.size < 1024:
        return greater.reduce(a, axis=-1)
    return greater.reduce(np.ascontiguousarray(np.moveaxis(a, -1, 0)), axis=0)  # short rows start anew each time
'''

INVERSE = '''def inverse(a):
    """The inverse of a symmetric matrix without negative eigenvalues; not-a-number where its rows are dependent.

    They are called so where fewer than four in ten of the digits would be left.
    """
    finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(finite, a, 0.0))
    least = np.finfo(a.dtype).eps ** 0.6 * values[..., -1:]
    good = (values[..., :1] > least) & finite[..., 0]
    parts = vectors / np.where(good, values, 1.0)[..., None, :]
    return np.where(good[..., None], np.matmul(parts, np.swapaxes(vectors, -1, -2)), np.nan)
'''

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

ERROR_FUNCTION = '''_erf = np.vectorize(math.erf, otypes=[float])  # NumPy has none


def error_function(s):
    """erf(s)."""
    return np.asarray(_erf(s), s.dtype)
'''

WINDOWS = '''def windows(a, reads, order=None):
    """A view of a with some axes read at linear forms, 0 where a form leaves its axis.

    reads: (axis, start, steps, lengths); in the place of the axis stands one for each step, of that length, and the
    position is start + step * place + ... `order`: how the axes stand in the result, but for those of many networks.
    """
    spans = {}
    for axis, start, steps, lengths in reads:
        ends = [step * (length - 1) for step, length in zip(steps, lengths)]
        low, high = start + sum(e for e in ends if e < 0), start + sum(e for e in ends if e > 0)
        spans[axis % a.ndim] = max(0, -low), max(0, high + 1 - a.shape[axis])
    if any(before or after for before, after in spans.values()):
        around = [spans.get(k, (0, 0)) for k in range(a.ndim)]
        wide = np.zeros_like(a, shape=[before + n + after for (before, after), n in zip(around, a.shape)])
        wide[tuple(slice(before, before + n) for (before, _), n in zip(around, a.shape))] = a
        a = wide
    forms = {axis % a.ndim: rest for axis, *rest in reads}
    first, shape, strides = [], [], []
    for k, (n, distance) in enumerate(zip(a.shape, a.strides)):
        start, steps, lengths = forms.get(k, (0, (1,), (n,)))
        first.append(slice(start + spans.get(k, (0, 0))[0], None))
        shape += lengths
        strides += [step * distance for step in steps]
    made = np.lib.stride_tricks.as_strided(a[tuple(first)], shape, strides, writeable=False)
    if order is None:
        return made
    lead = made.ndim - len(order)
    return made.transpose(*range(lead), *(lead + k for k in order))
'''

PLACED = '''def added_up(a, axis, length, size, start, step, taps):
    """The terms along an axis put at start + step * place + ..., and those of one position added up.

    taps: (axis, length, step) of the other axes in the position, which the result has not; None for one that a has
    not. What lies outside of 0, ..., size - 1 is left out.
    """
    own = [tap for tap in taps if tap[0] is not None]
    kept = [k for k in range(-a.ndim, 0) if k not in [tap[0] for tap in own]]
    a = a.transpose([k for k, _, _ in own] + kept)
    axis = kept.index(axis) - len(kept)
    if step < 0:
        a, start, step = np.flip(a, axis), start + step * (length - 1), -step
    out = None
    for at in np.ndindex(*(n for _, n, _ in taps)):
        first = start + sum(c * k for (_, _, c), k in zip(taps, at))
        low, high = max(0, -(first // step)), min(length, (size - 1 - first) // step + 1)
        term = a[tuple(k for (there, _, _), k in zip(taps, at) if there is not None)]
        if out is None:
            shape = list(term.shape)
            shape[axis] = size
            out = np.zeros_like(term, shape=shape)
        if low < high:
            after = (slice(None),) * (-axis - 1)
            part = term if term.shape[axis] == 1 else term[(..., slice(low, high), *after)]
            out[(..., slice(first + step * low, first + step * (high - 1) + 1, step), *after)] += part
    return out
'''

SUMMED = '''def summed(a, axes):
    """The sum over short axes: an array is added for each place on them, where NumPy would loop along them."""
    a = np.moveaxis(a, axes, range(len(axes)))
    first, *places = np.ndindex(*a.shape[: len(axes)])
    total = a[first].copy("K")
    for place in places:
        total += a[place]
    return total
'''

KEPT = """# after this glibc keeps up to 64 MiB of what is freed, and asks for no pages anew in every step
np.empty(2**25 - 2**13, np.uint8)
"""

CONTRACTED = '''def contracted(a, a_axes, b, b_axes, both, over):
    """The sum of products of two arrays over axes of both, as one product of matrices.

    a_axes, b_axes: the axes of each, those of many networks left out: first `both` that the two and the result have,
    then its own, then `over` that are summed. The result has those of both, of a, and of b.
    """

    def matrix(c, axes):
        lead = c.ndim - len(axes)
        c = c.transpose(*range(lead), *(lead + k for k in axes)) if lead else c.transpose(axes)
        shape, start, end = c.shape, lead + both, c.ndim - over
        return c.reshape(*shape[:start], math.prod(shape[start:end]), math.prod(shape[end:])), shape[start:end]

    (left, rows), (right, columns) = matrix(a, a_axes), matrix(b, b_axes)
    made = np.matmul(left, right.swapaxes(-1, -2))
    return made.reshape(*made.shape[:-2], *rows, *columns)
'''

REMEMBER = '''def remember(X, C, x):
    """X and C with a row for x: a free one is taken, or one is appended, where no stored input is x.

    The coefficients of the row are 0, so that nothing the state stands for changes. A row of zeros is free; an input of
    zeros needs no row, since nothing can be learned along it.
    """
    lead = np.broadcast_shapes(X.shape[:-2], C.shape[:-2], x.shape[:-1])
    X = np.broadcast_to(X, lead + X.shape[-2:])
    C = np.broadcast_to(C, lead + C.shape[-2:])
    same = np.all(X == x[..., None, :], axis=-1)
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

TILES = '''CACHE = 2**20  # bytes: what one tile of networks needs stays in the cache
_own = threading.local()  # workspaces are allocated once per thread


def _workspace(dtype, bits, kinds, count):
    """Arrays of numbers, of masks and of whole numbers for bits, whose last axis has `count` places."""
    have = _own.__dict__.setdefault((dtype, kinds), [])
    if not have or have[0] < count:
        types = (dtype, bool, bits)
        have[:] = [count, *([np.empty((*s, count), t) for s in k] for k, t in zip(kinds, types))]
    return have[1:] if have[0] == count else [[a[..., :count] for a in arrays] for arrays in have[1:]]


def _tiles(function, arrays, constants, shapes, results, numbers, masks, bits, marks):
    """Call a function of arrays with the networks last for all networks of the leading axes, tile by tile."""
    leads = [a.shape[: a.ndim - len(shape)] for a, shape in zip(arrays, shapes)]
    lead = np.broadcast_shapes(*leads)
    total = math.prod(lead)
    dtype = np.result_type(*arrays)
    whole = np.dtype(f"i{dtype.itemsize}")
    flat = []
    for a, shape, own in zip(arrays, shapes, leads):
        if math.prod(own) == 1 and total:
            flat.append((a.reshape((*shape, 1)), None))
        else:
            flat.append((np.broadcast_to(a, lead + shape).reshape(total, math.prod(shape)), shape))
    fixed = [c.astype(dtype)[..., None] for c in constants]
    out = [np.empty((total, math.prod(shape)), dtype) for shape in results]
    undefined = np.zeros((marks, total), bool)
    rows = sum(map(math.prod, (*shapes, *results, *numbers, *bits)))
    tile = max(1, min(total, max(64, CACHE // (rows * dtype.itemsize))))
    for start in range(0, total, tile):
        stop = min(start + tile, total)
        count = stop - start
        w, m, on = _workspace(dtype, whole, ((*results, *numbers), masks, bits), count)
        own, w = w[: len(results)], w[len(results) :]
        given = [
            a if shape is None else np.ascontiguousarray(a[start:stop].T).reshape((*shape, count)) for a, shape in flat
        ]
        function(*given, *fixed, *own, undefined[:, start:stop], w, m, on, whole)
        for array, made in zip(out, own):
            for k, row in enumerate(made.reshape(-1, count)):
                array[start:stop, k] = row
    made = [a.reshape(lead + shape) for a, shape in zip(out, results)]
    return (*made, *([undefined.T.reshape((*lead, marks))] if marks else []))
'''


def helpers(text: str, functions: Iterable[n.Function] = (), sizes: Mapping[Axis, int] | None = None) -> list[str]:
    """The functions that source for NumPy calls and NumPy does not have.

    Where a function has arrays for which glibc asks for pages of their own, which costs as much as to fill them, what
    ends that as well.
    """
    lengths = sizes or {}
    every = (prod(lengths.get(axis, _SAMPLES) for axis in axes) for f in functions for axes in f.axes.values())
    kept = [KEPT] if any(length >= _PAGED for length in every) else []
    known = (
        ("less(", LESS),
        ("times(", TIMES),
        ("less_outer(", LESS_OUTER),
        ("extreme(", EXTREME),
        ("inverse(", INVERSE),
        ("windows(", WINDOWS),
        ("added_up(", PLACED),
        ("summed(", SUMMED),
        ("contracted(", CONTRACTED),
        ("sigmoid(", SIGMOID),
        ("normal_cdf(", NORMAL),
        ("normal_pdf(", NORMAL),
        ("error_function(", ERROR_FUNCTION),
    )
    return [*kept, *dict.fromkeys(part for call, part in known if call in text)]


def is_straight(module: n.Module) -> bool:
    """Whether every number is computed on its own."""
    return not (module.stored or module.samples) and n.operations(module["step"], module.sizes) <= STRAIGHT_LIMIT


class NumpyTarget:
    """NumPy source and, for export, a module that needs nothing else."""

    name, suffix = "numpy", ".py"
    words = ArrayWords("", "np.asarray", "{name}", "False", "NumPy 2.2 or later")

    def source(self, module: n.Module, prefix: str = "") -> str:
        """init, step, output, expand: each takes the arrays of its derivation in order and returns its results.

        Where units can be undefined, `step` returns a mask of them as well.
        """
        text = [f"{name} = np.array({values_text(matrix)})\n" for name, matrix in module.constants.items()]
        straight = is_straight(module)
        functions = []
        for function in module.functions:
            small = straight and n.operations(function, module.sizes) <= _UNROLLED
            functions.append((_straight if small else _arrays)(function, module, f"{prefix}{function.name}"))
        text += helpers("".join(functions), module.functions, module.sizes)
        if module.stored:
            text.append(REMEMBER)
        if straight:
            text.append(TILES)
        return "\n\n".join([*text, *functions])

    def functions(self, module: n.Module) -> str:
        """The functions alone."""
        return self.source(module, "_")

    def files(self, module: n.Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """One module, stem.py."""
        from fcsym.kernel.targets.python_file import numpy_file

        return {f"{stem}.py": numpy_file(module, self.source(module, "_"), stem, rows)}


def _arrays(function: n.Function, module: n.Module, name: str) -> str:
    return function_text(function, DIALECT, name, sizes=module.sizes)


def _straight(function: n.Function, module: n.Module, name: str) -> str:
    """A function of arrays that calls one over tiles of networks."""
    tile = tile_function(function, module.sizes, module.constants)

    def shapes(arrays: tuple[n.Array, ...]) -> str:
        return "(" + "".join(f"{n.shape(array.axes, module.sizes)}, " for array in arrays).strip() + ")"

    names = [array.name for array in function.given]
    body = f"({', '.join(names)},)"
    documentation = "\n".join(f"    {line}" for equation in function.equations for line in equation.splitlines())
    documentation = f"\n\n{documentation}\n    " if documentation else ""
    constants = "".join(f"{constant}, " for constant in tile.constants).strip()
    return tile.text + (
        f"\n\ndef {name}({', '.join(names)}):\n"
        f'    """{function.title}{documentation}"""\n'
        f"    arrays = {body}\n"
        f"    given = {shapes(function.given)}\n"
        f"    results = {shapes(function.results)}\n"
        f"    spaces = {tile.numbers}, {tile.masks}, {tile.bits}\n"
        f"    return _tiles(_{function.name}_tile, arrays, ({constants}), given, results, *spaces, {tile.marks})\n"
    )
