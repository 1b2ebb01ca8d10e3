"""Embedding: a row of a table for every token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fcsym.language.expression import Index, total
from fcsym.networks.layers.base import Building, Layer, Signal, whole

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(Layer):
    """s_ti = sum_k x_tk W_ki, as `torch.nn.Embedding`: x_t is 1 at the token's place, 0 elsewhere; reads (T, n).

    The input of a network that begins with one has shape (T, num_embeddings). Kernels take the tokens themselves, whole
    numbers from 0, in its place.
    """

    num_embeddings: int
    embedding_dim: int
    kind: ClassVar[str] = "embedding"
    reads: ClassVar[tuple[str, ...]] = ("T", "n")
    one_hot: ClassVar[bool] = True

    def build(self, at: Building, *sources: Signal) -> Signal:
        """W of shape (num_embeddings, embedding_dim)."""
        (source,) = sources
        *lead, tokens = source.axes
        at.fits(tokens, self.num_embeddings, "tokens, one after the other,")
        own = at.units(whole(self.embedding_dim, f"embedding_dim of {at.where}"))
        k, i, t = Index(tokens, "k"), Index(own, "i"), tuple(Index(axis, f"t{n}") for n, axis in enumerate(lead))
        weight = at.parameter("W", tokens, own)
        s = at.pre_activation((*lead, own))
        value = total(k, weight[k, i] * source.array[(*t, k)])
        return Signal(at.define(s, (*t, i), value, "The row of a table that belongs to the token."))
