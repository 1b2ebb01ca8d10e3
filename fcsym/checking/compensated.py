"""p for the independent oracle: from two passes, one p for a sample, or for all samples or positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fcsym.networks.network import Network
from fcsym.networks.symbols import front_of

__all__ = ["common_p", "own_p"]

_Array = npt.NDArray[Any]


def own_p(network: Network, matrix: _Array, frozen: _Array, moved: _Array, logits: _Array) -> dict[str, _Array]:
    """p of one sample, unit by unit, and what the frozen network gives with it."""
    change = moved - frozen
    lost = (frozen == 0) & (change != 0)
    ratio = np.divide(change, frozen, out=np.zeros_like(change), where=frozen != 0)
    p = np.where(lost[..., None, :], np.nan, matrix * ratio[..., None, :])
    front = np.where(lost.any(axis=-1)[..., None], np.nan, logits)
    return {"vc": frozen, "p": p, "r": matrix + p, front_of(network.logits).name: front}


def common_p(network: Network, matrix: _Array, frozen: _Array, moved: _Array, logits: _Array) -> dict[str, _Array]:
    """p for all samples or positions, of least norm; nothing where none is derived."""
    if not network.has_common_p:
        return {}
    lack = np.einsum("...kj,...nj->...nk", matrix, moved - frozen)
    gram = np.einsum("...nj,...mj->...nm", frozen, frozen)
    inverse = _inverse(gram)
    p = np.einsum("...nm,...mk,...nj->...kj", inverse, lack, frozen)
    lost: _Array = np.asarray(np.isnan(inverse).any(axis=(-1, -2)))
    front = front_of(network.logits).name
    return {
        "vc": frozen, "ell": lack, "K": gram, "Ki": inverse, "p": p, "r": matrix + p,
        front: np.where(lost[..., None, None], np.nan, logits),
    }  # fmt: skip


def _inverse(gram: _Array) -> _Array:
    """The inverse by elimination with the largest pivots; not-a-number where the rows are dependent in float64."""
    count = gram.shape[-1]
    left, right = gram.copy(), np.broadcast_to(np.eye(count, dtype=np.longdouble), gram.shape).copy()
    rows: Any = np.indices(gram.shape[:-2], sparse=True)
    for n in range(count):
        at = n + np.argmax(np.abs(left[..., n:, n]), axis=-1)
        for half in (left, right):
            top, other = half[..., n, :].copy(), half[(*rows, at)].copy()
            half[(*rows, at)], half[..., n, :] = top, other
        pivot = left[..., n, n][..., None].copy()
        with np.errstate(all="ignore"):
            for half in (left, right):
                half[..., n, :] /= pivot
            for m in (m for m in range(count) if m != n):
                share = left[..., m, n][..., None].copy()
                for half in (left, right):
                    half[..., m, :] -= share * half[..., n, :]
    whole = gram.astype(np.float64)
    finite = np.isfinite(whole).all(axis=(-1, -2), keepdims=True)
    values = np.linalg.eigvalsh(np.where(finite, whole, 0))
    least = 16 * count * np.finfo(np.float64).eps * values[..., -1:]
    lost: _Array = np.less_equal(values[..., :1], least)
    return np.where(lost[..., None], np.nan, right)
