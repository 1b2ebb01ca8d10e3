"""PyTorch: functions of tensors, on whatever device these are, also under torch.compile and autograd.

Nothing depends on a value, so nothing is raised: what is undefined becomes not-a-number, and `history` has room for a
fixed number of inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fcsym.kernel import neutral as n
from fcsym.kernel.rows import Row
from fcsym.kernel.targets.arrays import Dialect
from fcsym.kernel.targets.pure_file import PureLanguage, pure_file, pure_source

__all__ = ["TorchTarget"]

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

LANGUAGE = PureLanguage(
    dialect=DIALECT,
    imports="import torch\n",
    array="torch.Tensor",
    convert="{value}",
    scalar="torch.as_tensor({value}, dtype={like}.dtype, device={like}.device)",
    remember=REMEMBER,
    test_array="torch.tensor(np.reshape({value}, {shape}), dtype=torch.float64)",
    test_to="{value}.numpy()",
    test_single="False",
    needs="PyTorch 2.4 or later",
)


class TorchTarget:
    """Functions of PyTorch tensors."""

    name, suffix = "torch", ".py"

    def source(self, module: n.Module) -> str:
        """State, init, step, output and expand."""
        return pure_source(module, LANGUAGE)

    def files(self, module: n.Module, stem: str, rows: Sequence[Row]) -> Mapping[str, str]:
        """One module, stem.py."""
        return {f"{stem}.py": pure_file(module, LANGUAGE, stem, rows)}
