"""Training steps of collapsed of 4-6-1 leaky_relu bias in 1, simultaneous order.

    state = init(weights, x)                 weights [W1, b1, W2, ...] as far as there are biases
    state = step(state, x, target, eta)
    y = output(state, x)
    weights = expand(state, weights, x)      weights and x as given to init

State: A1 (...); B1 (...); A2 (...); B2 (...); Sww1 (...); Sws1 (...); Sss1 (...); mu1 (...); ql1 (...); qh1 (...); Sww2 (...); Sws2 (...); Sss2 (...); mu2 (...); ql2 (...); qh2 (...); c0 (...); t0 (...); key (...).
The input x is the same at every step and is the one that init was given.
The gates are held constant in derivatives: phi' is the slope of the piece, and at a kink as declared.
The order is simultaneous: the error passes through the old weights.

init(W1, b1, W2, x)
    s1[i] = sum(j: W1[i, j]*x[j]) + b1[i]
    xh = max(j: x[j])
    xl = min(j: x[j])
    xm = xh + xl
    mx =
      xh   if xm > 0   (the greatest)
      -xl   if xm <= 0   (the least)
    c0 =
      mx   if mx > 1   (mx > 1)
      1   if mx <= 1   (mx <= 1)
    xs[i] = x[i]/c0
    ic0 = 1/c0
    t0 = sum(j: xs[j]*xs[j]) + ic0*ic0
    key = sum(j: h[j]*x[j])
    wc[i] = sum(k: W2[k, i])
    e1[i] =
      0   if s1[i] > 0   (above the kink)
      1   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      undefined   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    wp1[i] = e1[i]*wc[i]
    sp1[i] = e1[i]*s1[i]
    Sww1 = sum(j: wp1[j]*wc[j])
    Sws1 = sum(j: wp1[j]*s1[j])
    Sss1 = sum(j: sp1[j]*s1[j])
    N1 = sum(j: e1[j])
    mu1 =
      1/100   if N1 != 0   (some)
      0   if N1 = 0   (none)
    q1[i] =
      wc[i]/s1[i]   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      0   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    qs1 = sum(j: q1[j])
    qm1 =
      qs1/N1   if N1 != 0   (some)
      0   if N1 = 0   (none)
    qe1[i] =
      q1[i]   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      qm1   if s1[i] > 0   (above the kink)
      qm1   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    ql1 = min(j: qe1[j])
    qh1 = max(j: qe1[j])
    A1 = 1
    B1 = 0
    e2[i] =
      1   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0   (not above the kink)
    wp2[i] = e2[i]*wc[i]
    sp2[i] = e2[i]*s1[i]
    Sww2 = sum(j: wp2[j]*wc[j])
    Sws2 = sum(j: wp2[j]*s1[j])
    Sss2 = sum(j: sp2[j]*s1[j])
    N2 = sum(j: e2[j])
    mu2 =
      1   if N2 != 0   (some)
      0   if N2 = 0   (none)
    q2[i] =
      wc[i]/s1[i]   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0   (not above the kink)
    qs2 = sum(j: q2[j])
    qm2 =
      qs2/N2   if N2 != 0   (some)
      0   if N2 = 0   (none)
    qe2[i] =
      q2[i]   if s1[i] > 0   (above the kink)
      qm2   if s1[i] <= 0   (not above the kink)
    ql2 = min(j: qe2[j])
    qh2 = max(j: qe2[j])
    A2 = 1
    B2 = 0
    -> A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key
step(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, yg, eta)
    C1 = B1*c0*t0*c0
    lo1 = C1*ql1 + A1
    hi1 = C1*qh1 + A1
    C2 = B2*c0*t0*c0
    lo2 = C2*ql2 + A2
    hi2 = C2*qh2 + A2
    y[k] =
      (1/100)*(A1*C1*Sww1 + (A1*A1 + B1*C1)*Sws1 + B1*A1*Sss1) + A2*C2*Sww2 + (A2*A2 + B2*C2)*Sws2 + B2*A2*Sss2   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 > 0   (every unit is on its piece)
      undefined   if lo1 <= 0   (a unit that was piece 1 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 <= 0   (a unit that was piece 1 has changed sides, at the greatest w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 <= 0   (a unit that was piece 2 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 <= 0   (a unit that was piece 2 has changed sides, at the greatest w/s)
    delta2[k] = y[k] - yg[k]
    H1 = eta*mu1*sum(k: delta2[k])
    A1_new = A1 - H1*C1
    B1_new = B1 - H1*A1
    H2 = eta*mu2*sum(k: delta2[k])
    A2_new = A2 - H2*C2
    B2_new = B2 - H2*A2
    -> A1_new, B1_new, A2_new, B2_new, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key
output(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key)
    C1 = B1*c0*t0*c0
    lo1 = C1*ql1 + A1
    hi1 = C1*qh1 + A1
    C2 = B2*c0*t0*c0
    lo2 = C2*ql2 + A2
    hi2 = C2*qh2 + A2
    y[k] =
      (1/100)*(A1*C1*Sww1 + (A1*A1 + B1*C1)*Sws1 + B1*A1*Sss1) + A2*C2*Sww2 + (A2*A2 + B2*C2)*Sws2 + B2*A2*Sss2   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 > 0   (every unit is on its piece)
      undefined   if lo1 <= 0   (a unit that was piece 1 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 <= 0   (a unit that was piece 1 has changed sides, at the greatest w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 <= 0   (a unit that was piece 2 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 <= 0   (a unit that was piece 2 has changed sides, at the greatest w/s)
    -> y
expand(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, Wc1, bc1, Wc2, x)
    sc1[i] = sum(j: Wc1[i, j]*x[j]) + bc1[i]
    xs[i] = x[i]/c0
    ic0 = 1/c0
    wc[i] = sum(k: Wc2[k, i])
    s1[i] =
      B1*c0*t0*c0*wc[i] + A1*sc1[i]   if sc1[i] <= 0 and sc1[i] != 0   (below the kink)
      B2*c0*t0*c0*wc[i] + A2*sc1[i]   if sc1[i] > 0   (above the kink)
      sc1[i]   if sc1[i] <= 0 and sc1[i] = 0   (on the kink)
    sd1[i] = s1[i] - sc1[i]
    su1[i] = sd1[i]/c0
    W1[i, j] = Wc1[i, j] + xs[j]*su1[i]/t0
    b1[i] = bc1[i] + ic0*su1[i]/t0
    W2[k, j] =
      A1*Wc2[k, j] + B1*sc1[j]   if sc1[j] <= 0 and sc1[j] != 0   (below the kink)
      A2*Wc2[k, j] + B2*sc1[j]   if sc1[j] > 0   (above the kink)
      Wc2[k, j]   if sc1[j] <= 0 and sc1[j] = 0   (on the kink)
    -> W1, b1, W2

Generated by fcsym 0.1.0; equations 6378c7e4e4025580; needs NumPy 2.2 or later. `python update.py` runs selftest().
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

h = np.array([0.6180339867714792, 0.2360679735429585, 0.8541019603144377, 0.472135947085917])


def less(a, b):
    """a - b in the place of b, which nothing else needs: a fresh matrix costs more than the difference."""
    whole = b.shape == a.shape or b.shape == np.broadcast_shapes(a.shape, b.shape)
    return np.subtract(a, b, out=b) if whole else a - b


CACHE = 2**20  # bytes: what one tile of networks needs stays in the cache
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


def _init_tile(
    W1, b1, W2, x, h, A1_, B1_, A2_, B2_, Sww1_, Sws1_, Sss1_, mu1_, ql1_, qh1_, Sww2_, Sws2_, Sss2_, mu2_, ql2_, qh2_, c0_, t0_, key_, undefined, w, mask, on, bits,
):
    """Collapsed, init: 4-6-1 leaky_relu bias in 1, simultaneous order."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, = w
    mask0, mask1, mask2, = mask
    on0, on1, on2, on3, = on
    np.multiply(W1, x, out=w0)
    np.add(w0[:, 0], w0[:, 1], out=w1)
    np.add(w1, w0[:, 2], out=w1)
    np.add(w1, w0[:, 3], out=w1)
    np.add(w1, b1, out=w1)  # s1
    np.greater(x[1], x[0], out=mask0)
    np.copyto(w2, np.where(mask0, x[1], x[0]))
    np.greater(x[2], w2, out=mask0)
    np.copyto(w2, np.where(mask0, x[2], w2))
    np.greater(x[3], w2, out=mask0)
    np.copyto(w2, np.where(mask0, x[3], w2))  # xh
    np.less(x[1], x[0], out=mask0)
    np.copyto(w3, np.where(mask0, x[1], x[0]))
    np.less(x[2], w3, out=mask0)
    np.copyto(w3, np.where(mask0, x[2], w3))
    np.less(x[3], w3, out=mask0)
    np.copyto(w3, np.where(mask0, x[3], w3))  # xl
    np.add(w2, w3, out=w4)  # xm
    np.greater(w4, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.negative(w3, out=w5)
    np.bitwise_xor(w2.view(bits), w5.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on0, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w5.view(bits), out=w6.view(bits))  # mx
    np.greater(w6, 1.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.copyto(w3, 1.0)
    np.bitwise_xor(w6.view(bits), w3.view(bits), out=c0_.view(bits))
    np.bitwise_and(c0_.view(bits), on0, out=c0_.view(bits))
    np.bitwise_xor(c0_.view(bits), w3.view(bits), out=c0_.view(bits))
    np.divide(x, c0_, out=w7)  # xs
    np.divide(1.0, c0_, out=w6)  # ic0
    np.multiply(w7, w7, out=w8)
    np.add(w8[0], w8[1], out=w3)
    np.add(w3, w8[2], out=w3)
    np.add(w3, w8[3], out=w3)
    np.multiply(w6, w6, out=w2)
    np.add(w3, w2, out=t0_)
    np.multiply(h, x, out=w7)
    np.add(w7[0], w7[1], out=key_)
    np.add(key_, w7[2], out=key_)
    np.add(key_, w7[3], out=key_)
    np.copyto(w9, W2[0])  # wc
    np.less_equal(w1, 0.0, out=mask1)
    np.equal(w1, 0.0, out=mask2)
    np.logical_and(mask1, mask2, out=mask1)
    np.copyto(undefined[0:6], mask1)
    np.greater(w1, 0.0, out=mask1)
    np.copyto(on1, mask1)
    np.negative(on1, out=on1)
    np.not_equal(w1, 0.0, out=mask1)
    np.copyto(on2, mask1)
    np.negative(on2, out=on2)
    np.copyto(w11, np.nan)
    np.copyto(w10, 1.0)
    np.bitwise_xor(w10.view(bits), w11.view(bits), out=w10.view(bits))
    np.bitwise_and(w10.view(bits), on2, out=w10.view(bits))
    np.bitwise_xor(w10.view(bits), w11.view(bits), out=w10.view(bits))
    np.bitwise_and(w10.view(bits), on1, out=w11.view(bits))
    np.bitwise_xor(w11.view(bits), w10.view(bits), out=w11.view(bits))  # e1
    np.multiply(w11, w9, out=w10)  # wp1
    np.multiply(w11, w1, out=w12)  # sp1
    np.multiply(w10, w9, out=w13)
    np.add(w13[0], w13[1], out=Sww1_)
    np.add(Sww1_, w13[2], out=Sww1_)
    np.add(Sww1_, w13[3], out=Sww1_)
    np.add(Sww1_, w13[4], out=Sww1_)
    np.add(Sww1_, w13[5], out=Sww1_)
    np.multiply(w10, w1, out=w13)
    np.add(w13[0], w13[1], out=Sws1_)
    np.add(Sws1_, w13[2], out=Sws1_)
    np.add(Sws1_, w13[3], out=Sws1_)
    np.add(Sws1_, w13[4], out=Sws1_)
    np.add(Sws1_, w13[5], out=Sws1_)
    np.multiply(w12, w1, out=w10)
    np.add(w10[0], w10[1], out=Sss1_)
    np.add(Sss1_, w10[2], out=Sss1_)
    np.add(Sss1_, w10[3], out=Sss1_)
    np.add(Sss1_, w10[4], out=Sss1_)
    np.add(Sss1_, w10[5], out=Sss1_)
    np.add(w11[0], w11[1], out=w6)
    np.add(w6, w11[2], out=w6)
    np.add(w6, w11[3], out=w6)
    np.add(w6, w11[4], out=w6)
    np.add(w6, w11[5], out=w6)  # N1
    np.not_equal(w6, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.copyto(mu1_, 0.01)
    np.bitwise_and(mu1_.view(bits), on0, out=mu1_.view(bits))
    np.less_equal(w1, 0.0, out=mask1)
    np.not_equal(w1, 0.0, out=mask2)
    np.logical_and(mask1, mask2, out=mask1)
    np.copyto(w11, 0.0)
    np.divide(w9, w1, out=w11, where=mask1)  # q1_ratio
    np.less_equal(w1, 0.0, out=mask1)
    np.copyto(on3, mask1)
    np.negative(on3, out=on3)
    np.bitwise_and(w11.view(bits), on2, out=w12.view(bits))
    np.bitwise_and(w12.view(bits), on3, out=w12.view(bits))  # q1
    np.add(w12[0], w12[1], out=w2)
    np.add(w2, w12[2], out=w2)
    np.add(w2, w12[3], out=w2)
    np.add(w2, w12[4], out=w2)
    np.add(w2, w12[5], out=w2)  # qs1
    np.not_equal(w6, 0.0, out=mask0)
    np.copyto(w3, 0.0)
    np.divide(w2, w6, out=w3, where=mask0)  # qm1_ratio
    np.bitwise_and(w3.view(bits), on0, out=w2.view(bits))  # qm1
    np.bitwise_xor(w12.view(bits), w2.view(bits), out=w11.view(bits))
    np.bitwise_and(w11.view(bits), on2, out=w11.view(bits))
    np.bitwise_xor(w11.view(bits), w2.view(bits), out=w11.view(bits))
    np.bitwise_xor(w11.view(bits), w2.view(bits), out=w11.view(bits))
    np.bitwise_and(w11.view(bits), on3, out=w11.view(bits))
    np.bitwise_xor(w11.view(bits), w2.view(bits), out=w11.view(bits))  # qe1
    np.less(w11[1], w11[0], out=mask0)
    np.copyto(ql1_, np.where(mask0, w11[1], w11[0]))
    np.less(w11[2], ql1_, out=mask0)
    np.copyto(ql1_, np.where(mask0, w11[2], ql1_))
    np.less(w11[3], ql1_, out=mask0)
    np.copyto(ql1_, np.where(mask0, w11[3], ql1_))
    np.less(w11[4], ql1_, out=mask0)
    np.copyto(ql1_, np.where(mask0, w11[4], ql1_))
    np.less(w11[5], ql1_, out=mask0)
    np.copyto(ql1_, np.where(mask0, w11[5], ql1_))
    np.greater(w11[1], w11[0], out=mask0)
    np.copyto(qh1_, np.where(mask0, w11[1], w11[0]))
    np.greater(w11[2], qh1_, out=mask0)
    np.copyto(qh1_, np.where(mask0, w11[2], qh1_))
    np.greater(w11[3], qh1_, out=mask0)
    np.copyto(qh1_, np.where(mask0, w11[3], qh1_))
    np.greater(w11[4], qh1_, out=mask0)
    np.copyto(qh1_, np.where(mask0, w11[4], qh1_))
    np.greater(w11[5], qh1_, out=mask0)
    np.copyto(qh1_, np.where(mask0, w11[5], qh1_))
    np.copyto(A1_, 1.0)
    np.copyto(B1_, 0.0)
    np.copyto(w11, 1.0)
    np.bitwise_and(w11.view(bits), on1, out=w11.view(bits))  # e2
    np.bitwise_and(w9.view(bits), on1, out=w12.view(bits))  # wp2
    np.bitwise_and(w1.view(bits), on1, out=w10.view(bits))  # sp2
    np.multiply(w12, w9, out=w13)
    np.add(w13[0], w13[1], out=Sww2_)
    np.add(Sww2_, w13[2], out=Sww2_)
    np.add(Sww2_, w13[3], out=Sww2_)
    np.add(Sww2_, w13[4], out=Sww2_)
    np.add(Sww2_, w13[5], out=Sww2_)
    np.multiply(w12, w1, out=w13)
    np.add(w13[0], w13[1], out=Sws2_)
    np.add(Sws2_, w13[2], out=Sws2_)
    np.add(Sws2_, w13[3], out=Sws2_)
    np.add(Sws2_, w13[4], out=Sws2_)
    np.add(Sws2_, w13[5], out=Sws2_)
    np.multiply(w10, w1, out=w12)
    np.add(w12[0], w12[1], out=Sss2_)
    np.add(Sss2_, w12[2], out=Sss2_)
    np.add(Sss2_, w12[3], out=Sss2_)
    np.add(Sss2_, w12[4], out=Sss2_)
    np.add(Sss2_, w12[5], out=Sss2_)
    np.add(w11[0], w11[1], out=w2)
    np.add(w2, w11[2], out=w2)
    np.add(w2, w11[3], out=w2)
    np.add(w2, w11[4], out=w2)
    np.add(w2, w11[5], out=w2)  # N2
    np.not_equal(w2, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.copyto(mu2_, 1.0)
    np.bitwise_and(mu2_.view(bits), on0, out=mu2_.view(bits))
    np.greater(w1, 0.0, out=mask1)
    np.copyto(w11, 0.0)
    np.divide(w9, w1, out=w11, where=mask1)  # q2_ratio
    np.bitwise_and(w11.view(bits), on1, out=w9.view(bits))  # q2
    np.add(w9[0], w9[1], out=w3)
    np.add(w3, w9[2], out=w3)
    np.add(w3, w9[3], out=w3)
    np.add(w3, w9[4], out=w3)
    np.add(w3, w9[5], out=w3)  # qs2
    np.not_equal(w2, 0.0, out=mask0)
    np.copyto(w6, 0.0)
    np.divide(w3, w2, out=w6, where=mask0)  # qm2_ratio
    np.bitwise_and(w6.view(bits), on0, out=w3.view(bits))  # qm2
    np.bitwise_xor(w9.view(bits), w3.view(bits), out=w11.view(bits))
    np.bitwise_and(w11.view(bits), on1, out=w11.view(bits))
    np.bitwise_xor(w11.view(bits), w3.view(bits), out=w11.view(bits))  # qe2
    np.less(w11[1], w11[0], out=mask0)
    np.copyto(ql2_, np.where(mask0, w11[1], w11[0]))
    np.less(w11[2], ql2_, out=mask0)
    np.copyto(ql2_, np.where(mask0, w11[2], ql2_))
    np.less(w11[3], ql2_, out=mask0)
    np.copyto(ql2_, np.where(mask0, w11[3], ql2_))
    np.less(w11[4], ql2_, out=mask0)
    np.copyto(ql2_, np.where(mask0, w11[4], ql2_))
    np.less(w11[5], ql2_, out=mask0)
    np.copyto(ql2_, np.where(mask0, w11[5], ql2_))
    np.greater(w11[1], w11[0], out=mask0)
    np.copyto(qh2_, np.where(mask0, w11[1], w11[0]))
    np.greater(w11[2], qh2_, out=mask0)
    np.copyto(qh2_, np.where(mask0, w11[2], qh2_))
    np.greater(w11[3], qh2_, out=mask0)
    np.copyto(qh2_, np.where(mask0, w11[3], qh2_))
    np.greater(w11[4], qh2_, out=mask0)
    np.copyto(qh2_, np.where(mask0, w11[4], qh2_))
    np.greater(w11[5], qh2_, out=mask0)
    np.copyto(qh2_, np.where(mask0, w11[5], qh2_))
    np.copyto(A2_, 1.0)
    np.copyto(B2_, 0.0)


def _init(W1, b1, W2, x):
    """Collapsed, init: 4-6-1 leaky_relu bias in 1, simultaneous order.

    s1[i] = sum(j: W1[i, j]*x[j]) + b1[i]
    xh = max(j: x[j])
    xl = min(j: x[j])
    xm = xh + xl
    mx =
      xh   if xm > 0   (the greatest)
      -xl   if xm <= 0   (the least)
    c0 =
      mx   if mx > 1   (mx > 1)
      1   if mx <= 1   (mx <= 1)
    xs[i] = x[i]/c0
    ic0 = 1/c0
    t0 = sum(j: xs[j]*xs[j]) + ic0*ic0
    key = sum(j: h[j]*x[j])
    wc[i] = sum(k: W2[k, i])
    e1[i] =
      0   if s1[i] > 0   (above the kink)
      1   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      undefined   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    wp1[i] = e1[i]*wc[i]
    sp1[i] = e1[i]*s1[i]
    Sww1 = sum(j: wp1[j]*wc[j])
    Sws1 = sum(j: wp1[j]*s1[j])
    Sss1 = sum(j: sp1[j]*s1[j])
    N1 = sum(j: e1[j])
    mu1 =
      1/100   if N1 != 0   (some)
      0   if N1 = 0   (none)
    q1[i] =
      wc[i]/s1[i]   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      0   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    qs1 = sum(j: q1[j])
    qm1 =
      qs1/N1   if N1 != 0   (some)
      0   if N1 = 0   (none)
    qe1[i] =
      q1[i]   if s1[i] <= 0 and s1[i] != 0   (below the kink)
      qm1   if s1[i] > 0   (above the kink)
      qm1   if s1[i] <= 0 and s1[i] = 0   (on the kink)
    ql1 = min(j: qe1[j])
    qh1 = max(j: qe1[j])
    A1 = 1
    B1 = 0
    e2[i] =
      1   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0   (not above the kink)
    wp2[i] = e2[i]*wc[i]
    sp2[i] = e2[i]*s1[i]
    Sww2 = sum(j: wp2[j]*wc[j])
    Sws2 = sum(j: wp2[j]*s1[j])
    Sss2 = sum(j: sp2[j]*s1[j])
    N2 = sum(j: e2[j])
    mu2 =
      1   if N2 != 0   (some)
      0   if N2 = 0   (none)
    q2[i] =
      wc[i]/s1[i]   if s1[i] > 0   (above the kink)
      0   if s1[i] <= 0   (not above the kink)
    qs2 = sum(j: q2[j])
    qm2 =
      qs2/N2   if N2 != 0   (some)
      0   if N2 = 0   (none)
    qe2[i] =
      q2[i]   if s1[i] > 0   (above the kink)
      qm2   if s1[i] <= 0   (not above the kink)
    ql2 = min(j: qe2[j])
    qh2 = max(j: qe2[j])
    A2 = 1
    B2 = 0
    """
    arrays = (W1, b1, W2, x,)
    given = ((6, 4), (6,), (1, 6), (4,),)
    results = ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (),)
    spaces = ((6, 4), (6,), (), (), (), (), (), (4,), (4,), (6,), (6,), (6,), (6,), (6,)), ((), (6,), (6,)), ((), (6,), (6,), (6,))
    return _tiles(_init_tile, arrays, (h,), given, results, *spaces, 6)


def _step_tile(
    A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, yg, eta, A1_new_, B1_new_, A2_new_, B2_new_, Sww1_, Sws1_, Sss1_, mu1_, ql1_, qh1_, Sww2_, Sws2_, Sss2_, mu2_, ql2_, qh2_, c0_, t0_, key_, undefined, w, mask, on, bits,
):
    """Collapsed, step: 4-6-1 leaky_relu bias in 1, simultaneous order."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, = w
    mask0, mask1, mask2, mask3, mask4, mask5, mask6, = mask
    on0, on1, on2, on3, = on
    np.multiply(B1, c0, out=w0)
    np.multiply(w0, t0, out=w0)
    np.multiply(w0, c0, out=w0)  # C1
    np.multiply(w0, ql1, out=w1)
    np.add(w1, A1, out=w1)  # lo1
    np.multiply(w0, qh1, out=w2)
    np.add(w2, A1, out=w2)  # hi1
    np.multiply(B2, c0, out=w3)
    np.multiply(w3, t0, out=w3)
    np.multiply(w3, c0, out=w3)  # C2
    np.multiply(w3, ql2, out=w4)
    np.add(w4, A2, out=w4)  # lo2
    np.multiply(w3, qh2, out=w5)
    np.add(w5, A2, out=w5)  # hi2
    np.less_equal(w1, 0.0, out=mask0)
    np.greater(w1, 0.0, out=mask1)
    np.less_equal(w2, 0.0, out=mask2)
    np.logical_and(mask1, mask2, out=mask1)
    np.greater(w1, 0.0, out=mask2)
    np.greater(w2, 0.0, out=mask3)
    np.less_equal(w4, 0.0, out=mask4)
    np.logical_and(mask2, mask3, out=mask2)
    np.logical_and(mask2, mask4, out=mask2)
    np.greater(w1, 0.0, out=mask4)
    np.greater(w2, 0.0, out=mask3)
    np.greater(w4, 0.0, out=mask5)
    np.less_equal(w5, 0.0, out=mask6)
    np.logical_and(mask4, mask3, out=mask4)
    np.logical_and(mask4, mask5, out=mask4)
    np.logical_and(mask4, mask6, out=mask4)
    np.logical_or(mask0, mask1, out=mask0)
    np.logical_or(mask0, mask2, out=mask0)
    np.logical_or(mask0, mask4, out=mask0)
    np.copyto(undefined[0:1], mask0)
    np.greater(w1, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.greater(w2, 0.0, out=mask0)
    np.copyto(on1, mask0)
    np.negative(on1, out=on1)
    np.greater(w4, 0.0, out=mask0)
    np.copyto(on2, mask0)
    np.negative(on2, out=on2)
    np.greater(w5, 0.0, out=mask0)
    np.copyto(on3, mask0)
    np.negative(on3, out=on3)
    np.multiply(A1, w0, out=w6)
    np.multiply(w6, Sww1, out=w6)
    np.multiply(A1, A1, out=w7)
    np.multiply(B1, w0, out=w8)
    np.add(w7, w8, out=w7)
    np.multiply(w7, Sws1, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(B1, A1, out=w7)
    np.multiply(w7, Sss1, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(0.01, w6, out=w6)
    np.multiply(A2, w3, out=w7)
    np.multiply(w7, Sww2, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(A2, A2, out=w7)
    np.multiply(B2, w3, out=w8)
    np.add(w7, w8, out=w7)
    np.multiply(w7, Sws2, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(B2, A2, out=w7)
    np.multiply(w7, Sss2, out=w7)
    np.add(w6, w7, out=w6)
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on3, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on2, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on1, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on0, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w9, w6)  # y
    np.subtract(w9, yg, out=w10)  # delta2
    np.multiply(eta, mu1, out=w5)
    np.multiply(w5, w10[0], out=w5)  # H1
    np.multiply(w5, w0, out=w4)
    np.subtract(A1, w4, out=A1_new_)
    np.multiply(w5, A1, out=w0)
    np.subtract(B1, w0, out=B1_new_)
    np.multiply(eta, mu2, out=w5)
    np.multiply(w5, w10[0], out=w5)  # H2
    np.multiply(w5, w3, out=w0)
    np.subtract(A2, w0, out=A2_new_)
    np.multiply(w5, A2, out=w3)
    np.subtract(B2, w3, out=B2_new_)
    np.copyto(Sww1_, Sww1)
    np.copyto(Sws1_, Sws1)
    np.copyto(Sss1_, Sss1)
    np.copyto(mu1_, mu1)
    np.copyto(ql1_, ql1)
    np.copyto(qh1_, qh1)
    np.copyto(Sww2_, Sww2)
    np.copyto(Sws2_, Sws2)
    np.copyto(Sss2_, Sss2)
    np.copyto(mu2_, mu2)
    np.copyto(ql2_, ql2)
    np.copyto(qh2_, qh2)
    np.copyto(c0_, c0)
    np.copyto(t0_, t0)
    np.copyto(key_, key)


def _step(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, yg, eta):
    """Collapsed, step: 4-6-1 leaky_relu bias in 1, simultaneous order.

    C1 = B1*c0*t0*c0
    lo1 = C1*ql1 + A1
    hi1 = C1*qh1 + A1
    C2 = B2*c0*t0*c0
    lo2 = C2*ql2 + A2
    hi2 = C2*qh2 + A2
    y[k] =
      (1/100)*(A1*C1*Sww1 + (A1*A1 + B1*C1)*Sws1 + B1*A1*Sss1) + A2*C2*Sww2 + (A2*A2 + B2*C2)*Sws2 + B2*A2*Sss2   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 > 0   (every unit is on its piece)
      undefined   if lo1 <= 0   (a unit that was piece 1 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 <= 0   (a unit that was piece 1 has changed sides, at the greatest w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 <= 0   (a unit that was piece 2 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 <= 0   (a unit that was piece 2 has changed sides, at the greatest w/s)
    delta2[k] = y[k] - yg[k]
    H1 = eta*mu1*sum(k: delta2[k])
    A1_new = A1 - H1*C1
    B1_new = B1 - H1*A1
    H2 = eta*mu2*sum(k: delta2[k])
    A2_new = A2 - H2*C2
    B2_new = B2 - H2*A2
    """
    arrays = (A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, yg, eta,)
    given = ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (1,), (),)
    results = ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (),)
    spaces = ((), (), (), (), (), (), (), (), (), (1,), (1,)), ((), (), (), (), (), (), ()), ((), (), (), ())
    return _tiles(_step_tile, arrays, (), given, results, *spaces, 1)


def _output_tile(
    A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, y_, undefined, w, mask, on, bits,
):
    """Collapsed, output: 4-6-1 leaky_relu bias in 1, simultaneous order."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8, = w
    mask0, mask1, mask2, mask3, mask4, mask5, mask6, = mask
    on0, on1, on2, on3, = on
    np.multiply(B1, c0, out=w0)
    np.multiply(w0, t0, out=w0)
    np.multiply(w0, c0, out=w0)  # C1
    np.multiply(w0, ql1, out=w1)
    np.add(w1, A1, out=w1)  # lo1
    np.multiply(w0, qh1, out=w2)
    np.add(w2, A1, out=w2)  # hi1
    np.multiply(B2, c0, out=w3)
    np.multiply(w3, t0, out=w3)
    np.multiply(w3, c0, out=w3)  # C2
    np.multiply(w3, ql2, out=w4)
    np.add(w4, A2, out=w4)  # lo2
    np.multiply(w3, qh2, out=w5)
    np.add(w5, A2, out=w5)  # hi2
    np.less_equal(w1, 0.0, out=mask0)
    np.greater(w1, 0.0, out=mask1)
    np.less_equal(w2, 0.0, out=mask2)
    np.logical_and(mask1, mask2, out=mask1)
    np.greater(w1, 0.0, out=mask2)
    np.greater(w2, 0.0, out=mask3)
    np.less_equal(w4, 0.0, out=mask4)
    np.logical_and(mask2, mask3, out=mask2)
    np.logical_and(mask2, mask4, out=mask2)
    np.greater(w1, 0.0, out=mask4)
    np.greater(w2, 0.0, out=mask3)
    np.greater(w4, 0.0, out=mask5)
    np.less_equal(w5, 0.0, out=mask6)
    np.logical_and(mask4, mask3, out=mask4)
    np.logical_and(mask4, mask5, out=mask4)
    np.logical_and(mask4, mask6, out=mask4)
    np.logical_or(mask0, mask1, out=mask0)
    np.logical_or(mask0, mask2, out=mask0)
    np.logical_or(mask0, mask4, out=mask0)
    np.copyto(undefined[0:1], mask0)
    np.greater(w1, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.greater(w2, 0.0, out=mask0)
    np.copyto(on1, mask0)
    np.negative(on1, out=on1)
    np.greater(w4, 0.0, out=mask0)
    np.copyto(on2, mask0)
    np.negative(on2, out=on2)
    np.greater(w5, 0.0, out=mask0)
    np.copyto(on3, mask0)
    np.negative(on3, out=on3)
    np.multiply(A1, w0, out=w6)
    np.multiply(w6, Sww1, out=w6)
    np.multiply(A1, A1, out=w7)
    np.multiply(B1, w0, out=w8)
    np.add(w7, w8, out=w7)
    np.multiply(w7, Sws1, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(B1, A1, out=w7)
    np.multiply(w7, Sss1, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(0.01, w6, out=w6)
    np.multiply(A2, w3, out=w7)
    np.multiply(w7, Sww2, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(A2, A2, out=w7)
    np.multiply(B2, w3, out=w8)
    np.add(w7, w8, out=w7)
    np.multiply(w7, Sws2, out=w7)
    np.add(w6, w7, out=w6)
    np.multiply(B2, A2, out=w7)
    np.multiply(w7, Sss2, out=w7)
    np.add(w6, w7, out=w6)
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on3, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on2, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on1, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(w7, np.nan)
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.bitwise_and(w6.view(bits), on0, out=w6.view(bits))
    np.bitwise_xor(w6.view(bits), w7.view(bits), out=w6.view(bits))
    np.copyto(y_, w6)


def _output(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key):
    """Collapsed, output: 4-6-1 leaky_relu bias in 1, simultaneous order.

    C1 = B1*c0*t0*c0
    lo1 = C1*ql1 + A1
    hi1 = C1*qh1 + A1
    C2 = B2*c0*t0*c0
    lo2 = C2*ql2 + A2
    hi2 = C2*qh2 + A2
    y[k] =
      (1/100)*(A1*C1*Sww1 + (A1*A1 + B1*C1)*Sws1 + B1*A1*Sss1) + A2*C2*Sww2 + (A2*A2 + B2*C2)*Sws2 + B2*A2*Sss2   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 > 0   (every unit is on its piece)
      undefined   if lo1 <= 0   (a unit that was piece 1 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 <= 0   (a unit that was piece 1 has changed sides, at the greatest w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 <= 0   (a unit that was piece 2 has changed sides, at the least w/s)
      undefined   if lo1 > 0 and hi1 > 0 and lo2 > 0 and hi2 <= 0   (a unit that was piece 2 has changed sides, at the greatest w/s)
    """
    arrays = (A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key,)
    given = ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (),)
    results = ((1,),)
    spaces = ((), (), (), (), (), (), (), (), ()), ((), (), (), (), (), (), ()), ((), (), (), ())
    return _tiles(_output_tile, arrays, (), given, results, *spaces, 1)


def _expand_tile(
    A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, Wc1, bc1, Wc2, x, W1_, b1_, W2_, undefined, w, mask, on, bits,
):
    """Collapsed, expand: 4-6-1 leaky_relu bias in 1, simultaneous order."""
    w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, = w
    mask0, = mask
    on0, on1, = on
    np.multiply(Wc1, x, out=w0)
    np.add(w0[:, 0], w0[:, 1], out=w1)
    np.add(w1, w0[:, 2], out=w1)
    np.add(w1, w0[:, 3], out=w1)
    np.add(w1, bc1, out=w1)  # sc1
    np.divide(x, c0, out=w2)  # xs
    np.divide(1.0, c0, out=w3)  # ic0
    np.copyto(w4, Wc2[0])  # wc
    np.less_equal(w1, 0.0, out=mask0)
    np.copyto(on0, mask0)
    np.negative(on0, out=on0)
    np.multiply(B2, c0, out=w5)
    np.multiply(w5, t0, out=w5)
    np.multiply(w5, c0, out=w5)
    np.multiply(w5, w4, out=w6)
    np.multiply(A2, w1, out=w7)
    np.add(w6, w7, out=w6)
    np.not_equal(w1, 0.0, out=mask0)
    np.copyto(on1, mask0)
    np.negative(on1, out=on1)
    np.multiply(B1, c0, out=w5)
    np.multiply(w5, t0, out=w5)
    np.multiply(w5, c0, out=w5)
    np.multiply(w5, w4, out=w7)
    np.multiply(A1, w1, out=w8)
    np.add(w7, w8, out=w7)
    np.bitwise_xor(w7.view(bits), w1.view(bits), out=w7.view(bits))
    np.bitwise_and(w7.view(bits), on1, out=w7.view(bits))
    np.bitwise_xor(w7.view(bits), w1.view(bits), out=w7.view(bits))
    np.bitwise_xor(w7.view(bits), w6.view(bits), out=w7.view(bits))
    np.bitwise_and(w7.view(bits), on0, out=w7.view(bits))
    np.bitwise_xor(w7.view(bits), w6.view(bits), out=w7.view(bits))  # s1
    np.subtract(w7, w1, out=w4)  # sd1
    np.divide(w4, c0, out=w7)  # su1
    np.multiply(w2, w7[:, None], out=w0)
    np.divide(w0, t0, out=w0)
    np.add(Wc1, w0, out=W1_)
    np.multiply(w3, w7, out=w4)
    np.divide(w4, t0, out=w4)
    np.add(bc1, w4, out=b1_)
    np.multiply(A2, Wc2, out=w9)
    np.multiply(B2, w1, out=w7)
    np.add(w9, w7, out=w9)
    np.multiply(A1, Wc2, out=w10)
    np.multiply(B1, w1, out=w7)
    np.add(w10, w7, out=w10)
    np.bitwise_xor(w10.view(bits), Wc2.view(bits), out=w10.view(bits))
    np.bitwise_and(w10.view(bits), on1, out=w10.view(bits))
    np.bitwise_xor(w10.view(bits), Wc2.view(bits), out=w10.view(bits))
    np.bitwise_xor(w10.view(bits), w9.view(bits), out=W2_.view(bits))
    np.bitwise_and(W2_.view(bits), on0, out=W2_.view(bits))
    np.bitwise_xor(W2_.view(bits), w9.view(bits), out=W2_.view(bits))


def _expand(A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, Wc1, bc1, Wc2, x):
    """Collapsed, expand: 4-6-1 leaky_relu bias in 1, simultaneous order.

    sc1[i] = sum(j: Wc1[i, j]*x[j]) + bc1[i]
    xs[i] = x[i]/c0
    ic0 = 1/c0
    wc[i] = sum(k: Wc2[k, i])
    s1[i] =
      B1*c0*t0*c0*wc[i] + A1*sc1[i]   if sc1[i] <= 0 and sc1[i] != 0   (below the kink)
      B2*c0*t0*c0*wc[i] + A2*sc1[i]   if sc1[i] > 0   (above the kink)
      sc1[i]   if sc1[i] <= 0 and sc1[i] = 0   (on the kink)
    sd1[i] = s1[i] - sc1[i]
    su1[i] = sd1[i]/c0
    W1[i, j] = Wc1[i, j] + xs[j]*su1[i]/t0
    b1[i] = bc1[i] + ic0*su1[i]/t0
    W2[k, j] =
      A1*Wc2[k, j] + B1*sc1[j]   if sc1[j] <= 0 and sc1[j] != 0   (below the kink)
      A2*Wc2[k, j] + B2*sc1[j]   if sc1[j] > 0   (above the kink)
      Wc2[k, j]   if sc1[j] <= 0 and sc1[j] = 0   (on the kink)
    """
    arrays = (A1, B1, A2, B2, Sww1, Sws1, Sss1, mu1, ql1, qh1, Sww2, Sws2, Sss2, mu2, ql2, qh2, c0, t0, key, Wc1, bc1, Wc2, x,)
    given = ((), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (), (6, 4), (6,), (1, 6), (4,),)
    results = ((6, 4), (6,), (1, 6),)
    spaces = ((6, 4), (6,), (4,), (), (6,), (), (6,), (6,), (6,), (1, 6), (1, 6)), ((6,),), ((6,), (6,))
    return _tiles(_expand_tile, arrays, (), given, results, *spaces, 0)


class State(NamedTuple):
    """What training carries."""

    A1: Array
    B1: Array
    A2: Array
    B2: Array
    Sww1: Array
    Sws1: Array
    Sss1: Array
    mu1: Array
    ql1: Array
    qh1: Array
    Sww2: Array
    Sws2: Array
    Sss2: Array
    mu2: Array
    ql2: Array
    qh2: Array
    c0: Array
    t0: Array
    key: Array


_WEIGHTS: dict[str, Any] = {"W1": (6, 4,), "b1": (6,), "W2": (1, 6,)}
_STATE: dict[str, Any] = {"A1": (), "B1": (), "A2": (), "B2": (), "Sww1": (), "Sws1": (), "Sss1": (), "mu1": (), "ql1": (), "qh1": (), "Sww2": (), "Sws2": (), "Sss2": (), "mu2": (), "ql2": (), "qh2": (), "c0": (), "t0": (), "key": ()}
_START = ["W1", "b1", "W2"]  # the weights at init that expand needs


def init(weights: Sequence[npt.ArrayLike], x: npt.ArrayLike | None = None) -> State:
    """The state of a conventional network; leading axes broadcast. ValueError for wrong shapes."""
    given = _named(weights)
    if x is None:
        raise ValueError("this is a scheme for one input: give init that input as well")
    arrays = _checked([*given.values(), x], _WEIGHTS | {"x": _WEIGHTS["W1"][-1:]})
    with np.errstate(all="ignore"):
        result = _init(*arrays)
    if result[-1].any():
        raise ArithmeticError("a hidden unit has left its piece, or was on a kink at init")
    return State(*(np.asarray(array, arrays[0].dtype) for array in result[:-1]))


def step(
    state: Sequence[npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    eta: npt.ArrayLike,
    undefined: str = "raise",
) -> State:
    """The state after one training step.

    ValueError for wrong shapes and for another input than that of init; ArithmeticError where
    a hidden unit has left its piece, or was on a kink at init, and where the new state is not finite; undefined="nan" marks both instead.
    """
    shapes = _STATE | {"x": (4,), "target": (1,), "eta": ()}
    arrays = _checked([*state, x, target, eta], shapes, _STATE)
    _same_input(arrays[16:19], arrays[19])
    inputs = [*arrays[:19], *arrays[20:]]
    with np.errstate(all="ignore"):
        result = list(_step(*inputs))
    if result.pop().any() and undefined != "nan":
        raise ArithmeticError("A hidden unit has left the piece that it had at init: expand the state before, whose weights are exact, and init again with them, or train with states.")
    after = State(*(np.asarray(array, arrays[0].dtype) for array in result))
    if undefined != "nan" and not all(np.isfinite(array).all() for array in after):
        raise ArithmeticError("the state is not finite after this step: go back and take a smaller eta")
    return after


def output(state: Sequence[npt.ArrayLike], x: npt.ArrayLike, undefined: str = "raise") -> Array:
    """The output (..., 1) of the network that the state stands for."""
    arrays = _checked([*state, x], _STATE | {"x": (4,)}, _STATE)
    _same_input(arrays[-4:-1], arrays[-1])
    with np.errstate(all="ignore"):
        y, *mask = _output(*arrays[:-1])
    if mask[0].any() and undefined != "nan":
        raise ArithmeticError("A hidden unit has left the piece that it had at init: expand the state before, whose weights are exact, and init again with them, or train with states.")
    return np.asarray(y, arrays[0].dtype)


def expand(
    state: Sequence[npt.ArrayLike], weights: Sequence[npt.ArrayLike] = (), x: npt.ArrayLike | None = None
) -> list[Array]:
    """[W1, ...]: the weights that backpropagation has after the same steps; weights and x are those given to init."""
    if x is None:
        raise ValueError("expand needs the weights and the input that init was given")
    given = _named(weights)
    first = {name: given[name] for name in _START}
    shapes = _STATE | {name + "_start": _WEIGHTS[name] for name in first} | {"x": (4,)}
    arrays = _checked([*state, *first.values(), x], shapes, _STATE)
    _same_input(arrays[len(_STATE) - 3 : len(_STATE)], arrays[-1])
    with np.errstate(all="ignore"):
        return [np.asarray(array, arrays[0].dtype) for array in _expand(*arrays)]


def _same_input(held: Sequence[Array], x: Array) -> None:
    """ValueError for another input than that of init, which the state knows by its size, its norm and a key."""
    size, norm, key = held
    about = np.finfo(x.dtype)
    bar = max(64, x.shape[-1]) * about.eps
    with np.errstate(all="ignore"):
        largest = np.maximum(np.abs(x).max(axis=-1), 1.0)
        unit = np.where(largest > 0.0, largest, 1.0)
        scaled = x / unit[..., None]  # what is scaled before it is squared stays within range
        wanted = np.vecdot(scaled, scaled) + (1.0 / unit) ** 2
        least = 4 * x.shape[-1] * about.smallest_subnormal / unit
        same = np.abs(np.vecdot(scaled, h) - key / unit) <= bar * np.vecdot(np.abs(scaled), h) + least
        same &= np.abs(wanted - norm) <= bar * wanted
        same &= np.abs(largest - size) <= bar * largest
    if not np.all(same):
        raise ValueError("x is not the input that init was given, and this is a scheme for one input")


def _named(weights: Any) -> dict[str, Any]:
    """The weights by name; ValueError for a wrong number of them."""
    if len(weights) != len(_WEIGHTS):
        raise ValueError(f"{len(weights)} arrays were given, and these are needed: {', '.join(_WEIGHTS)}")
    return dict(zip(_WEIGHTS, weights, strict=True))


def _checked(values: Any, shapes: dict[str, Any], free: Any = ()) -> list[Array]:
    """Arrays of real numbers with these last axes, all float32 or all float64; finite ones, but for those in free."""
    values = list(values)
    arrays = [np.asarray(value) for value in values]
    if len(arrays) != len(shapes):
        raise ValueError(f"{len(arrays)} arrays were given, and these are needed: {', '.join(shapes)}")
    for array, (name, shape) in zip(arrays, shapes.items(), strict=True):
        tail = array.shape[array.ndim - len(shape) :] if array.ndim >= len(shape) else None
        if tail is None or any(b is not None and a != b for a, b in zip(tail, shape, strict=True)):
            raise ValueError(f"{name} has shape {array.shape}: its last axes must be {shape}")
        if array.dtype.kind not in "fiu":
            raise ValueError(f"{name} has dtype {array.dtype}: give real numbers")
        if name not in free and not np.isfinite(array).all():
            raise ValueError(f"{name} contains numbers that are not finite")
    own = {
        array.dtype  # lists and plain numbers have no say, nor has eta
        for array, value, name in zip(arrays, values, shapes, strict=True)
        if name != "eta" and hasattr(value, "dtype")
    }
    real = np.float32 if own == {np.dtype(np.float32)} else np.float64
    with np.errstate(all="ignore"):
        cast = [array.astype(real, copy=False) for array in arrays]
    for array, new, name in zip(arrays, cast, shapes, strict=True):
        lost = ~np.isfinite(new) & np.isfinite(array)
        if np.any(lost) or (name == "eta" and np.any((new == 0) & (array != 0))):
            raise ValueError(f"{name} contains numbers that do not fit {new.dtype}")
    return cast


# (weights, x per step, target per step, eta, output before each step and at the end, weights, undefined)
ROWS: list[Any] = [
    # reaches: W2: above the kink; W2: below the kink; c0: mx > 1; e1: above the kink; e1: below the kink; e2: above the kink; e2: not above the kink; mu1: some; mu2: some; mx: the least; q1: above the kink; q1: below the kink; q2: above the kink; q2: not above the kink; qe1: above the kink; qe1: below the kink; qe2: above the kink; qe2: not above the kink; qm1: some; qm2: some; s1: above the kink; s1: below the kink; y: every unit is on its piece
    (
        [[1.5, -1.5, 0.5, 1.5, 0.0, -1.0, -0.5, -1.5, -0.5, 0.5, 1.5, -1.0, 1.0, 1.5, 0.0, -0.5, 0.5, -1.0, 0.0, 0.5, 1.5, -1.5, 1.5, 1.5], [0.0, 0.5, 1.5, 1.0, 1.5, 0.5], [1.5, 0.0, 0.0, -1.5, 0.0, 0.0]],
        [[1.0, -2.0, 0.0, 2.0], [1.0, -2.0, 0.0, 2.0]],
        [[2.0], [-1.0]],
        0.0009765625,
        [[11.28], [9.768977262229493], [8.056998982140502]],
        [[1.471346179716746, -1.442692359433492, 0.5, 1.442692359433492, -4.7653250214333384e-09, -0.99999999046935, -0.5, -1.50000000953065, -0.5000000190613001, 0.5000000381226002, 1.5, -1.0000000381226002, 1.0002936671290645, 1.4994126657418707, 0.0, -0.49941266574187076, 0.5004765325021433, -1.0009530650042866, 0.0, 0.5009530650042867, 1.5007624520034293, -1.5015249040068586, 1.5, 1.5015249040068586], [-0.028653820283253983, 0.499999995234675, 1.4999999809387, 1.0002936671290645, 1.5004765325021434, 0.5007624520034293], [1.354586502324085, 9.789539678822994e-05, 0.00039158158715291977, -1.4996085613725978, -0.09789539678822995, -0.1566326348611679]],
        False,
    ),
    # reaches: y: a unit that was piece 2 has changed sides, at the greatest w/s
    (
        [[1.5, 0.0, 1.0, 1.0, -1.5, 1.5, -1.5, 0.0, -1.0, 1.5, -1.5, -1.5, -1.5, 1.0, -1.0, 1.5, 1.0, 1.0, 0.5, -1.5, 0.5, -1.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.5, 0.0], [0.0, -1.5, 1.0, -0.5, 1.5, 0.0]],
        [[0.0, -2.0, 2.0, -1.0], [0.0, -2.0, 2.0, -1.0]],
        [[-2.0], [0.0]],
        0.125,
        [[3.0725]],
        [],
        True,
    ),
    # reaches: mx: the greatest
    (
        [[-1.0, 1.0, 0.0, -0.5, 1.0, 0.0, -0.5, 1.0, 0.5, 1.0, -1.5, 1.5, 0.5, -0.5, -1.5, 1.0, -0.5, 0.5, 0.0, -0.5, 1.5, -1.0, -1.5, -0.5], [-0.5, 1.5, 1.5, 0.0, 0.0, -1.0], [1.0, -1.5, 1.0, 1.0, 0.0, 0.0]],
        [[0.0, 1.0, 0.0, 2.0], [0.0, 1.0, 0.0, 2.0]],
        [[1.0], [1.0]],
        0.0009765625,
        [[1.745], [1.6938948109596585], [1.646315372722719]],
        [[-1.0, 0.9999859482682115, 0.0, -0.500028103463577, 1.0, 0.002109481582978833, -0.5, 1.0042189631659577, 0.5, 0.998597540805402, -1.5, 1.497195081610804, 0.5, -0.5014044312085832, -1.5, 0.9971911375828334, -0.5, 0.49999999997534983, 0.0, -0.5000000000493003, 1.5, -1.000000000147901, -1.5, -0.500000000295802], [-0.5000140517317885, 1.5021094815829787, 1.498597540805402, -0.0014044312085833006, -2.4650174816367417e-11, -1.000000000147901], [1.0000070261493712, -1.5049225345298642, 0.9922745190949251, 0.9978952019502363, 7.025853569138958e-06, 4.2155121414833745e-05]],
        False,
    ),
    # reaches: c0: mx <= 1
    (
        [[-1.0, -1.0, -1.0, 1.0, 1.0, -1.5, -0.5, 1.5, 1.0, 1.5, -1.5, 0.0, 0.5, 1.5, 1.5, -1.0, -1.0, 1.5, -1.5, -1.0, 1.5, -1.0, 0.0, 0.5], [1.0, -1.0, -1.5, 1.5, 0.0, 1.0], [0.0, -1.5, 1.0, -1.0, -1.0, 0.0]],
        [[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]],
        [[0.0], [2.0]],
        0.015625,
        [[-3.235], [-2.097281172035275], [-0.7656457543034815]],
        [[-0.9967639881368325, -1.0, -1.0, 1.0032360118631676, 0.8330036778251745, -1.5, -0.5, 1.3330036778251746, 1.0011455071325372, 1.5, -1.5, 0.0011455071325373533, 0.3886691185501163, 1.5, 1.5, -1.1113308814498837, -1.0011463161355032, 1.5, -1.5, -1.0011463161355032, 1.5097080355895025, -1.0, 0.0, 0.5097080355895025], [1.0032360118631676, -1.1669963221748254, -1.4988544928674628, 1.3886691185501163, -0.0011463161355031453, 1.0097080355895025], [0.11456689331305117, -1.342711713414677, 0.9994281363369937, -0.8951411422764514, -1.0022923086698199, 0.34370067993915354]],
        False,
    ),
    # reaches: mu2: none; qm2: none
    (
        [[-0.5, 0.0, 1.5, 1.0, 1.5, 0.0, 0.5, 1.0, 1.5, 0.0, -1.0, 0.5, -0.5, -1.0, 1.0, -1.5, 1.5, -1.5, -1.0, 1.5, 0.0, 0.5, 1.5, -1.5], [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.5, 1.0, 0.0, -1.0, 0.5, 0.0]],
        [[-2.0, 2.0, -1.0, 0.0], [-2.0, 2.0, -1.0, 0.0]],
        [[0.0], [2.0]],
        0.015625,
        [[-0.0625], [-0.062490942442417145], [-0.06219211515484278]],
        [[-0.5009960800629356, 0.0009960800629356128, 1.4995019599685322, 1.0, 1.4993359623602667, 0.0006640376397332915, 0.49966798118013334, 1.0, 1.5000000125884456, -1.2588445693618268e-08, -0.9999999937057772, 0.5, -0.49933592774204105, -1.000664072257959, 1.0003320361289796, -1.5, 1.4996680016363577, -1.4996680016363577, -1.0001659991818213, 1.5, 3.147111423404567e-09, 0.4999999968528886, 1.5000000015735557, -1.5], [-0.9995019599685322, 0.00033201881986664577, -6.294222846809134e-09, -0.00033203612897947447, 0.0001659991818211968, -1.5735557117022835e-09], [1.4995020024545365, 0.9988379270494661, -0.0006640596695132553, -1.0006640911406275, 0.498339866561774, -0.00016601491737831383]],
        False,
    ),
    # reaches: y: a unit that was piece 2 has changed sides, at the least w/s
    (
        [[-1.0, 0.0, 0.0, 1.0, -0.5, -1.0, 0.0, 0.5, -0.5, 0.5, -1.0, 0.5, -1.5, -1.0, 0.0, -0.5, 0.5, 1.5, -1.5, -0.5, -1.5, 1.5, 1.0, -1.0], [0.0, 0.0, 1.0, 0.5, 1.5, 0.0], [-1.0, -1.5, 0.0, 1.0, 1.0, -1.0]],
        [[-1.0, -1.0, -2.0, 2.0], [-1.0, -1.0, -2.0, 2.0]],
        [[-1.0], [2.0]],
        0.25,
        [[-3.21]],
        [],
        True,
    ),
    # reaches: mu1: none; qm1: none
    (
        [[0.0, 0.0, -1.0, 1.0, 1.5, -0.5, 1.5, -0.5, 0.0, -0.5, -0.5, 0.5, 1.0, 0.0, 1.5, 1.0, 1.5, 0.0, 0.0, 1.0, 1.5, -1.0, -1.0, -1.0], [-0.5, 0.5, 1.5, 0.0, -1.0, -1.0], [-1.5, 1.0, 0.0, 1.0, 0.0, 0.0]],
        [[2.0, -1.0, -1.0, 2.0], [2.0, -1.0, -1.0, 2.0]],
        [[-2.0], [1.0]],
        0.015625,
        [[0.25], [-3.042499542236328], [2.801686731290817]],
        [[-0.09512647264637053, 0.047563236323185265, -0.9524367636768147, 0.9048735273536295, 1.5493537767324597, -0.5246768883662298, 1.4753231116337702, -0.45064622326754034, -0.015544279245659709, -0.49222786037717015, -0.49222786037717015, 0.4844557207543403, 1.0449125540908426, -0.022456277045421302, 1.4775437229545787, 1.0449125540908426, 1.4822351094335318, 0.00888244528323412, 0.00888244528323412, 0.9822351094335318, 1.4911175547167659, -0.9955587773583829, -0.9955587773583829, -1.0088824452832341], [-0.5475632363231853, 0.5246768883662298, 1.4922278603771701, 0.022456277045421302, -1.0088824452832341, -1.004441222641617], [-1.3933403998380527, 1.0175849834922701, 0.0980273187160492, 1.0455927888397127, 0.11203122138977051, 0.056015610694885254]],
        False,
    ),
]


def selftest() -> str:
    """Every frozen row again; AssertionError where the result is not what exact evaluation gave."""

    def compare(got: Array, wanted: Any, what: str) -> None:
        exact = np.reshape(np.asarray(wanted, np.float64), got.shape)
        bar = 1e-12 * max(1.0, float(np.abs(exact).max()))
        if not np.abs(got - exact).max() <= bar:
            raise AssertionError(f"update: {what} is {got}, and exact evaluation gives {exact}")

    for number, (flat, xs, targets, eta, outputs, expanded, undefined) in enumerate(ROWS, 1):
        weights = [np.reshape(values, shape) for values, shape in zip(flat, _WEIGHTS.values(), strict=True)]
        state = init(weights, np.array(xs[0]))
        refused = False
        for n, (x, target) in enumerate(zip(xs, targets, strict=True)):
            try:
                compare(output(state, x), outputs[n], f"the output of row {number} before step {n + 1}")
                state = step(state, x, target, eta)
            except ArithmeticError as problem:
                if isinstance(problem, FloatingPointError):
                    raise
                refused = True
        if refused != undefined:
            wanted = "undefined" if undefined else "defined"
            raise AssertionError(f"update: row {number} is {wanted} by exact evaluation")
        if refused:
            continue
        compare(output(state, xs[-1]), outputs[-1], f"the last output of row {number}")
        for got, wanted, name in zip(expand(state, weights, np.array(xs[0])), expanded, _WEIGHTS, strict=True):
            compare(got, wanted, f"{name} of row {number}")
    if not ROWS:
        return "update: no rows of exact evaluation: they come with networks of at most 5000 weights"
    return f"update: {len(ROWS)} rows agree with exact evaluation"


if __name__ == "__main__":
    with np.errstate(all="raise"):
        print(selftest())
