"""Self-attention: every position reads all others, or those up to it, in shares that a softmax gives."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fcsym.language.activation import smooth
from fcsym.language.expression import Apply, Expr, Index, Number, Ref, Role, add, greatest, indicator, mul, power, total
from fcsym.networks.layers.base import Building, Layer, Signal, whole

__all__ = ["MultiheadAttention"]


@dataclass(frozen=True)
class MultiheadAttention(Layer):
    """softmax(q k^T/sqrt(d)) v per head, then a linear map, as `torch.nn.MultiheadAttention` of one input.

    It reads positions and features, (T, n).

    Wq, Wk and Wv are (num_heads, d, embed_dim) with d = embed_dim/num_heads, their biases (num_heads, d), and Wo is
    (embed_dim, num_heads, d): PyTorch has the first three in one matrix in_proj_weight, head by head on top of each
    other, and Wo as out_proj.weight, (embed_dim, embed_dim). `causal`: a position reads those up to it, the mask of
    `torch.nn.Transformer.generate_square_subsequent_mask`.
    """

    embed_dim: int
    num_heads: int
    bias: bool = True
    causal: bool = False
    kind: ClassVar[str] = "attention"
    reads: ClassVar[tuple[str, ...]] = ("T", "n")

    def build(self, at: Building, *sources: Signal) -> Signal:
        """Wq, bq, Wk, bk, Wv, bv, Wo, bo."""
        (source,) = sources
        at.needs(source, 2, "positions and features, (T, n)")
        places, features = source.axes
        at.fits(features, self.embed_dim, "features")
        count = whole(self.num_heads, f"num_heads of {at.where}")
        if self.embed_dim % count:
            raise at.refuse(f"{count} heads do not divide {self.embed_dim} features: choose a divisor.")
        each = self.embed_dim // count
        heads, own = at.axis("A", count, "ah"), at.axis("D", each, "de")
        a, d, t, j = Index(heads, "a"), Index(own, "d"), Index(places, "t"), Index(features, "j")
        m = Index(places, "m")
        made = {}
        for letter, name in (("q", "queries"), ("k", "keys"), ("v", "values")):
            weight = at.parameter(f"W{letter}", heads, own, features)
            value: Expr = total(j, weight[a, d, j] * source.array[t, j])
            if self.bias:
                value = value + at.parameter(f"b{letter}", heads, own)[a, d]
            s = at.pre_activation((heads, places, own), f"s{letter}")
            made[letter] = at.define(s, (a, t, d), value, f"These are the {name}.")
        width = at.define(at.part("dim", role=Role.OTHER), (), Number(Fraction(each)), "This is how wide a head is.")
        root = at.part("kappa", role=Role.DIVISOR)
        at.define(root, (), Apply(smooth("sqrt"), width[()]), "What the scores are divided by.")
        product = total(d, made["q"][a, t, d] * made["k"][a, m, d])
        scores = at.pre_activation((heads, places, places), "s")
        at.define(scores, (a, t, m), mul(product, power(root[()], -1)), "How much a position asks for another one.")
        shares = at.define(
            at.activation((heads, places, places)), (a, t, m), *_softmax(at, scores[a, t, m], (a, t), m, self.causal)
        )[a, t, m]
        read = at.activation((heads, places, own), "vh")
        at.define(read, (a, t, d), total(m, shares * made["v"][a, m, d]), "What each head reads.")
        i = Index(at.units(self.embed_dim), "i")
        weight = at.parameter("Wo", i.axis, heads, own)
        value = total((a, d), weight[i, a, d] * read[a, t, d])
        if self.bias:
            value = value + at.parameter("bo", i.axis)[i]
        out = at.pre_activation((places, i.axis), "so")
        return Signal(at.define(out, (t, i), value, "The heads are put together."))


def _softmax(at: Building, score: Ref, lead: tuple[Index, ...], m: Index, causal: bool) -> tuple[Expr, str]:
    """psi_m/Z with psi_m = e^{s_m - tau}, Z = sum_m psi_m and tau the greatest s; where `causal`, of m up to t."""
    t = lead[-1]
    axes = tuple(index.axis for index in lead)
    tau, zeta = at.part("tau", axes), at.part("zeta", (*axes, m.axis))
    psi, partition = at.part("psi", zeta.axes), at.part("Z", axes, Role.PARTITION)
    if not causal:
        at.define(tau, lead, greatest(m, score), "This is the greatest of the scores.")
        at.define(zeta, (*lead, m), add(score, mul(-1, tau[lead])), "None of these is above 0.")
        at.define(psi, (*lead, m), Apply(smooth("exp"), zeta[(*lead, m)]), "The shares are `psi/Z`.")
    else:
        back = Index(m.axis, "d")  # how far back a position is that is read
        there = indicator(m, t - back)
        here = total(m, mul(indicator(m, t * 1), score))
        seen = total(m, mul(there, score))
        outside = add(1, mul(-1, total(m, there)))
        value = greatest(back, add(seen, mul(outside, here)))
        at.define(tau, lead, value, "This is the greatest of the scores up to the position.")
        value = total(back, mul(there, add(score, mul(-1, tau[lead]))))
        at.define(zeta, (*lead, m), value, "None of these is above 0; what comes later is not looked at.")
        part = at.define(at.part("xi", zeta.axes), (*lead, m), Apply(smooth("exp"), zeta[(*lead, m)]), "At most 1.")
        value = total(back, mul(there, part[(*lead, m)]))
        at.define(psi, (*lead, m), value, "The shares are `psi/Z`, and 0 of what comes later.")
    at.define(partition, lead, total(m, psi[(*lead, m)]), "This is at least 1.")
    return mul(psi[(*lead, m)], power(partition[lead], -1)), "The shares in which a position reads the others."
