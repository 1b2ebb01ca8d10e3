"""PyTorch: functions of tensors, on whatever device these are, also under torch.compile and autograd.

Nothing depends on a value, so nothing is raised: what is undefined becomes not-a-number, and `history` has room for a
fixed number of inputs.
"""

from __future__ import annotations

from fcsym.kernel.targets.arrays import Dialect
from fcsym.kernel.targets.pure_file import PureLanguage, PureTarget

__all__ = ["LANGUAGE", "TORCH"]

DIALECT = Dialect(
    module="torch",
    cast="{text}",
    axis="dim",
    smooth={
        "tanh": "torch.tanh({s})",
        "sigmoid": "torch.sigmoid({s})",
        "softplus": "torch.logaddexp({s}, torch.zeros_like({s}))",  # nn.functional.softplus is s from 20 on
        "normal_cdf": "(0.5 * torch.special.erfc(-({s}) * 0.7071067811865476))",
        "normal_pdf": "(torch.exp(-0.5 * ({s}) * ({s})) * 0.3989422804014327)",
        "exp": "torch.exp({s})",
        "expm1": "torch.expm1({s})",
        "log": "torch.log({s})",
        "log1p": "torch.log1p({s})",
        "sqrt": "torch.sqrt({s})",
        "erf": "torch.special.erf({s})",
        "atan": "torch.atan({s})",
        "sin": "torch.sin({s})",
        "cos": "torch.cos({s})",
        "Abs": "torch.abs({s})",
    },
    matvec='torch.einsum("...ab,...b->...a", {a}, {b})',
    vecmat='torch.einsum("...a,...ab->...b", {a}, {b})',
    vecdot="torch.sum({a} * {b}, dim=-1)",
    extreme="torch.a{kind}({text}, dim=-1)",
    false="torch.zeros_like({like}, dtype=torch.bool)",
    scalar_pair="torch.full_like({like}, {value})",
    zeros="Wc1.new_zeros({shape})",
    constant="{like}.new_tensor({values})",
    arange="torch.arange({n}, device={like}.device)",
    as_numbers="({test}).to({like}.dtype)",
    windows="_windows({a}, {reads})",
    placed="_added_up({a}, {axis}, {length}, {size}, {start}, {step}, {taps})",
    capacity="capacity",
    scalar="{like}.new_tensor({value})",
    turned="torch.swapaxes({a}, -1, -2)",
)

REMEMBER = '''def _remember(X, C, x):
    """X and C with a row for x: a free one (of zeros) is taken where no stored input is x; nan where none is free."""
    lead = torch.broadcast_shapes(X.shape[:-2], C.shape[:-2], x.shape[:-1])
    X, C = X.expand(*lead, *X.shape[-2:]), C.expand(*lead, *C.shape[-2:])
    same = torch.all(X == x[..., None, :], dim=-1)
    free = ~torch.any(X != 0.0, dim=-1)
    new = ~torch.any(same, dim=-1) & torch.any(x != 0.0, dim=-1)
    full = new & ~torch.any(free, dim=-1)
    first = torch.argmax(free.to(torch.int8), dim=-1)
    taken = (torch.arange(X.shape[-2], device=X.device) == first[..., None]) & (new & ~full)[..., None]
    C = torch.where(taken[..., None], 0.0, C)
    return torch.where(taken[..., None], x[..., None, :], X), torch.where(full[..., None, None], torch.nan, C)
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
        if before or after:
            a = torch.nn.functional.pad(a, [0, 0] * (-axis - 1) + [before, after])
        place, start = axis % a.ndim, start + before
        if not lengths:
            a = a.select(place, start)
            continue
        for k in [k for k, step in enumerate(steps) if step < 0]:  # from the other end
            start += steps[k] * (lengths[k] - 1)
        sizes = [abs(step) * (length - 1) + 1 for step, length in zip(steps, lengths)]
        a = a.narrow(place, start, sum(sizes) - len(sizes) + 1)
        for k, (step, length) in enumerate(zip(steps, lengths)):
            a = a.unfold(place + k, a.shape[place + k] - sizes[k] + 1, abs(step)).movedim(-1, place + k + 1)
            a = a.flip(place + k) if step < 0 else a
        a = a.squeeze(place + len(lengths))
    return a
'''

PLACED = '''def _added_up(a, axis, length, size, start, step, taps):
    """The terms along an axis put at start + step * place + ..., and those of one position added up.

    taps: (axis, length, step) of the other axes in the position, which the result has not; None for one that a has
    not. What lies outside of 0, ..., size - 1 is left out.
    """
    own = [k for k, _, _ in taps if k is not None]
    kept = [k for k in range(-a.ndim, 0) if k not in own]
    a = a.permute([k % a.ndim for k in own + kept])
    axis = kept.index(axis) - len(kept)
    if step < 0:
        a, start, step = a.flip(axis), start + step * (length - 1), -step
    shape = list(a.shape[len(own) :])
    shape[axis] = size
    total = a.new_zeros(shape)
    after = (slice(None),) * (-axis - 1)
    for at in product(*(range(n) for _, n, _ in taps)):
        first = start + sum(c * k for (_, _, c), k in zip(taps, at))
        low, high = max(0, -(first // step)), min(length, (size - 1 - first) // step + 1)
        if low >= high:
            continue
        term = a[tuple(k for (there, _, _), k in zip(taps, at) if there is not None)]
        part = term if term.shape[axis] == 1 else term[(..., slice(low, high), *after)]
        total[(..., slice(first + step * low, first + step * (high - 1) + 1, step), *after)] += part
    return total
'''

LANGUAGE = PureLanguage(
    dialect=DIALECT,
    imports="import torch\n",
    array="torch.Tensor",
    convert="{value}",
    scalar="torch.as_tensor({value}, dtype={like}.dtype, device={like}.device)",
    remember=REMEMBER,
    windows=WINDOWS,
    placed=PLACED,
    test_array="torch.tensor(np.reshape({value}, {shape}), dtype=torch.float64)",
    test_to="{value}.numpy()",
    test_single="False",
    needs="PyTorch 2.4 or later",
)
TORCH = PureTarget("torch", LANGUAGE, "torch.as_tensor", "{name}")
