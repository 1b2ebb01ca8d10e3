"""Training steps of backprop of 3x4 layernorm-attention-add-linear 2, simultaneous order.

    state = init(weights, x)                 weights [W1, b1, W2, ...] as far as there are biases
    state = step(state, x, target, eta)
    y = output(state, x)
    weights = expand(state, weights, x)      weights and x as given to init

State: gamma1 (..., 4); b1 (..., 4); Wq2 (..., 2, 2, 4); bq2 (..., 2, 2); Wk2 (..., 2, 2, 4); bk2 (..., 2, 2); Wv2 (..., 2, 2, 4); bv2 (..., 2, 2); Wo2 (..., 4, 2, 2); bo2 (..., 4); W4 (..., 2, 4); b4 (..., 2).
The order is simultaneous: the error passes through the old weights.

init(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4)
    -> gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4
step(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4, x, yg, eta)
    mu1[t] = (1/4)*sum(j: x[t, j])
    z1[t, i] = x[t, i] - mu1[t]
    omega1[t] = (1/4)*sum(j: z1[t, j]**2) + 1/100000
    sigma1[t] = sqrt(omega1[t])
    xi1[t, i] = z1[t, i]/sigma1[t]
    v1[t, i] = gamma1[i]*xi1[t, i] + b1[i]
    sq2[a, t, d] = sum(j: Wq2[a, d, j]*v1[t, j]) + bq2[a, d]
    sk2[a, t, d] = sum(j: Wk2[a, d, j]*v1[t, j]) + bk2[a, d]
    sv2[a, t, d] = sum(j: Wv2[a, d, j]*v1[t, j]) + bv2[a, d]
    dim2 = 2
    kappa2 = sqrt(dim2)
    s2[a, t, u] = sum(d: sq2[a, t, d]*sk2[a, u, d])/kappa2
    chi2[t, u] = sum(j: [u = t - j])
    tau2[a, t] = max(u: chi2[t, u]*s2[a, t, u] + (-chi2[t, u] + 1)*s2[a, t, t])
    zeta2[a, t, u] = chi2[t, u]*(s2[a, t, u] - tau2[a, t])
    xi2[a, t, u] = exp(zeta2[a, t, u])
    psi2[a, t, u] = chi2[t, u]*xi2[a, t, u]
    Z2[a, t] = sum(u: psi2[a, t, u])
    v2[a, t, u] = psi2[a, t, u]/Z2[a, t]
    vh2[a, t, d] = sum(u: v2[a, t, u]*sv2[a, u, d])
    so2[t, i] = sum(a, d: Wo2[i, a, d]*vh2[a, t, d]) + bo2[i]
    v3[t, i] = x[t, i] + so2[t, i]
    y[t, k] = sum(j: W4[k, j]*v3[t, j]) + b4[k]
    delta4[t, k] = y[t, k] - yg[t, k]
    dE_dW4[k, j] = sum(t: delta4[t, k]*v3[t, j])
    dW4[k, j] = -eta*dE_dW4[k, j]
    W4_new[k, j] = W4[k, j] + dW4[k, j]
    dE_db4[k] = sum(t: delta4[t, k])
    db4[k] = -eta*dE_db4[k]
    b4_new[k] = b4[k] + db4[k]
    adj_v3[t, i] = sum(k: W4[k, i]*delta4[t, k])
    adj_so2[t, i] = adj_v3[t, i]
    dE_dWo2[i, a, d] = sum(t: adj_so2[t, i]*vh2[a, t, d])
    dWo2[i, a, d] = -eta*dE_dWo2[i, a, d]
    Wo2_new[i, a, d] = Wo2[i, a, d] + dWo2[i, a, d]
    dE_dbo2[i] = sum(t: adj_so2[t, i])
    dbo2[i] = -eta*dE_dbo2[i]
    bo2_new[i] = bo2[i] + dbo2[i]
    adj_vh2[a, t, d] = sum(j: adj_so2[t, j]*Wo2[j, a, d])
    adj_v2[a, t, u] = sum(d: adj_vh2[a, t, d]*sv2[a, u, d])
    delta2[a, t, u] = chi2[t, u]*chi2[t, u]*xi2[a, t, u]*(-sum(j: adj_v2[a, t, j]*v2[a, t, j]) + adj_v2[a, t, u])/Z2[a, t]
    adj_sv2[a, t, d] = sum(u: adj_vh2[a, u, d]*v2[a, u, t])
    dE_dWv2[a, d, i] = sum(t: adj_sv2[a, t, d]*v1[t, i])
    dWv2[a, d, i] = -eta*dE_dWv2[a, d, i]
    Wv2_new[a, d, i] = Wv2[a, d, i] + dWv2[a, d, i]
    dE_dbv2[a, d] = sum(t: adj_sv2[a, t, d])
    dbv2[a, d] = -eta*dE_dbv2[a, d]
    bv2_new[a, d] = bv2[a, d] + dbv2[a, d]
    adj_sk2[a, t, d] = sum(u: delta2[a, u, t]*sq2[a, u, d])/kappa2
    dE_dWk2[a, d, i] = sum(t: adj_sk2[a, t, d]*v1[t, i])
    dWk2[a, d, i] = -eta*dE_dWk2[a, d, i]
    Wk2_new[a, d, i] = Wk2[a, d, i] + dWk2[a, d, i]
    dE_dbk2[a, d] = sum(t: adj_sk2[a, t, d])
    dbk2[a, d] = -eta*dE_dbk2[a, d]
    bk2_new[a, d] = bk2[a, d] + dbk2[a, d]
    adj_sq2[a, t, d] = sum(u: delta2[a, t, u]*sk2[a, u, d])/kappa2
    dE_dWq2[a, d, i] = sum(t: adj_sq2[a, t, d]*v1[t, i])
    dWq2[a, d, i] = -eta*dE_dWq2[a, d, i]
    Wq2_new[a, d, i] = Wq2[a, d, i] + dWq2[a, d, i]
    dE_dbq2[a, d] = sum(t: adj_sq2[a, t, d])
    dbq2[a, d] = -eta*dE_dbq2[a, d]
    bq2_new[a, d] = bq2[a, d] + dbq2[a, d]
    adj_v1[t, i] = sum(a, d: Wq2[a, d, i]*adj_sq2[a, t, d]) + sum(a, d: Wk2[a, d, i]*adj_sk2[a, t, d]) + sum(a, d: Wv2[a, d, i]*adj_sv2[a, t, d])
    dE_dgamma1[i] = sum(t: adj_v1[t, i]*xi1[t, i])
    dgamma1[i] = -eta*dE_dgamma1[i]
    gamma1_new[i] = gamma1[i] + dgamma1[i]
    dE_db1[i] = sum(t: adj_v1[t, i])
    db1[i] = -eta*dE_db1[i]
    b1_new[i] = b1[i] + db1[i]
    -> gamma1_new, b1_new, Wq2_new, bq2_new, Wk2_new, bk2_new, Wv2_new, bv2_new, Wo2_new, bo2_new, W4_new, b4_new
output(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4, x)
    mu1[t] = (1/4)*sum(j: x[t, j])
    z1[t, i] = x[t, i] - mu1[t]
    omega1[t] = (1/4)*sum(j: z1[t, j]**2) + 1/100000
    sigma1[t] = sqrt(omega1[t])
    xi1[t, i] = z1[t, i]/sigma1[t]
    v1[t, i] = gamma1[i]*xi1[t, i] + b1[i]
    sq2[a, t, d] = sum(j: Wq2[a, d, j]*v1[t, j]) + bq2[a, d]
    sk2[a, t, d] = sum(j: Wk2[a, d, j]*v1[t, j]) + bk2[a, d]
    sv2[a, t, d] = sum(j: Wv2[a, d, j]*v1[t, j]) + bv2[a, d]
    dim2 = 2
    kappa2 = sqrt(dim2)
    s2[a, t, u] = sum(d: sq2[a, t, d]*sk2[a, u, d])/kappa2
    chi2[t, u] = sum(j: [u = t - j])
    tau2[a, t] = max(u: chi2[t, u]*s2[a, t, u] + (-chi2[t, u] + 1)*s2[a, t, t])
    zeta2[a, t, u] = chi2[t, u]*(s2[a, t, u] - tau2[a, t])
    xi2[a, t, u] = exp(zeta2[a, t, u])
    psi2[a, t, u] = chi2[t, u]*xi2[a, t, u]
    Z2[a, t] = sum(u: psi2[a, t, u])
    v2[a, t, u] = psi2[a, t, u]/Z2[a, t]
    vh2[a, t, d] = sum(u: v2[a, t, u]*sv2[a, u, d])
    so2[t, i] = sum(a, d: Wo2[i, a, d]*vh2[a, t, d]) + bo2[i]
    v3[t, i] = x[t, i] + so2[t, i]
    y[t, k] = sum(j: W4[k, j]*v3[t, j]) + b4[k]
    -> y
expand(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4)
    -> gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4

Generated by fcsym 0.1.0; equations 0f819daad100b7a0; needs NumPy 2.2 or later. `python update.py` runs selftest().
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

def less(a, b):
    """a - b in the place of b, which nothing else needs: a fresh matrix costs more than the difference."""
    whole = b.shape == a.shape or b.shape == np.broadcast_shapes(a.shape, b.shape)
    return np.subtract(a, b, out=b) if whole else a - b


def extreme(greater, a):
    """The greatest along the last axis, where greater is np.maximum, or the least."""
    if a.shape[-1] > 32 or a.size < 1024:
        return greater.reduce(a, axis=-1)
    return greater.reduce(np.ascontiguousarray(np.moveaxis(a, -1, 0)), axis=0)  # short rows start anew each time


def contracted(a, a_axes, b, b_axes, both, over):
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


def _init(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4):
    """Backprop, init: 3x4 layernorm-attention-add-linear 2, simultaneous order."""
    return (
        gamma1,
        b1,
        Wq2,
        bq2,
        Wk2,
        bk2,
        Wv2,
        bv2,
        Wo2,
        bo2,
        W4,
        b4,
    )


def _step(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4, x, yg, eta):
    """Backprop, step: 3x4 layernorm-attention-add-linear 2, simultaneous order.

    mu1[t] = (1/4)*sum(j: x[t, j])
    z1[t, i] = x[t, i] - mu1[t]
    omega1[t] = (1/4)*sum(j: z1[t, j]**2) + 1/100000
    sigma1[t] = sqrt(omega1[t])
    xi1[t, i] = z1[t, i]/sigma1[t]
    v1[t, i] = gamma1[i]*xi1[t, i] + b1[i]
    sq2[a, t, d] = sum(j: Wq2[a, d, j]*v1[t, j]) + bq2[a, d]
    sk2[a, t, d] = sum(j: Wk2[a, d, j]*v1[t, j]) + bk2[a, d]
    sv2[a, t, d] = sum(j: Wv2[a, d, j]*v1[t, j]) + bv2[a, d]
    dim2 = 2
    kappa2 = sqrt(dim2)
    s2[a, t, u] = sum(d: sq2[a, t, d]*sk2[a, u, d])/kappa2
    chi2[t, u] = sum(j: [u = t - j])
    tau2[a, t] = max(u: chi2[t, u]*s2[a, t, u] + (-chi2[t, u] + 1)*s2[a, t, t])
    zeta2[a, t, u] = chi2[t, u]*(s2[a, t, u] - tau2[a, t])
    xi2[a, t, u] = exp(zeta2[a, t, u])
    psi2[a, t, u] = chi2[t, u]*xi2[a, t, u]
    Z2[a, t] = sum(u: psi2[a, t, u])
    v2[a, t, u] = psi2[a, t, u]/Z2[a, t]
    vh2[a, t, d] = sum(u: v2[a, t, u]*sv2[a, u, d])
    so2[t, i] = sum(a, d: Wo2[i, a, d]*vh2[a, t, d]) + bo2[i]
    v3[t, i] = x[t, i] + so2[t, i]
    y[t, k] = sum(j: W4[k, j]*v3[t, j]) + b4[k]
    delta4[t, k] = y[t, k] - yg[t, k]
    dE_dW4[k, j] = sum(t: delta4[t, k]*v3[t, j])
    dW4[k, j] = -eta*dE_dW4[k, j]
    W4_new[k, j] = W4[k, j] + dW4[k, j]
    dE_db4[k] = sum(t: delta4[t, k])
    db4[k] = -eta*dE_db4[k]
    b4_new[k] = b4[k] + db4[k]
    adj_v3[t, i] = sum(k: W4[k, i]*delta4[t, k])
    adj_so2[t, i] = adj_v3[t, i]
    dE_dWo2[i, a, d] = sum(t: adj_so2[t, i]*vh2[a, t, d])
    dWo2[i, a, d] = -eta*dE_dWo2[i, a, d]
    Wo2_new[i, a, d] = Wo2[i, a, d] + dWo2[i, a, d]
    dE_dbo2[i] = sum(t: adj_so2[t, i])
    dbo2[i] = -eta*dE_dbo2[i]
    bo2_new[i] = bo2[i] + dbo2[i]
    adj_vh2[a, t, d] = sum(j: adj_so2[t, j]*Wo2[j, a, d])
    adj_v2[a, t, u] = sum(d: adj_vh2[a, t, d]*sv2[a, u, d])
    delta2[a, t, u] = chi2[t, u]*chi2[t, u]*xi2[a, t, u]*(-sum(j: adj_v2[a, t, j]*v2[a, t, j]) + adj_v2[a, t, u])/Z2[a, t]
    adj_sv2[a, t, d] = sum(u: adj_vh2[a, u, d]*v2[a, u, t])
    dE_dWv2[a, d, i] = sum(t: adj_sv2[a, t, d]*v1[t, i])
    dWv2[a, d, i] = -eta*dE_dWv2[a, d, i]
    Wv2_new[a, d, i] = Wv2[a, d, i] + dWv2[a, d, i]
    dE_dbv2[a, d] = sum(t: adj_sv2[a, t, d])
    dbv2[a, d] = -eta*dE_dbv2[a, d]
    bv2_new[a, d] = bv2[a, d] + dbv2[a, d]
    adj_sk2[a, t, d] = sum(u: delta2[a, u, t]*sq2[a, u, d])/kappa2
    dE_dWk2[a, d, i] = sum(t: adj_sk2[a, t, d]*v1[t, i])
    dWk2[a, d, i] = -eta*dE_dWk2[a, d, i]
    Wk2_new[a, d, i] = Wk2[a, d, i] + dWk2[a, d, i]
    dE_dbk2[a, d] = sum(t: adj_sk2[a, t, d])
    dbk2[a, d] = -eta*dE_dbk2[a, d]
    bk2_new[a, d] = bk2[a, d] + dbk2[a, d]
    adj_sq2[a, t, d] = sum(u: delta2[a, t, u]*sk2[a, u, d])/kappa2
    dE_dWq2[a, d, i] = sum(t: adj_sq2[a, t, d]*v1[t, i])
    dWq2[a, d, i] = -eta*dE_dWq2[a, d, i]
    Wq2_new[a, d, i] = Wq2[a, d, i] + dWq2[a, d, i]
    dE_dbq2[a, d] = sum(t: adj_sq2[a, t, d])
    dbq2[a, d] = -eta*dE_dbq2[a, d]
    bq2_new[a, d] = bq2[a, d] + dbq2[a, d]
    adj_v1[t, i] = sum(a, d: Wq2[a, d, i]*adj_sq2[a, t, d]) + sum(a, d: Wk2[a, d, i]*adj_sk2[a, t, d]) + sum(a, d: Wv2[a, d, i]*adj_sv2[a, t, d])
    dE_dgamma1[i] = sum(t: adj_v1[t, i]*xi1[t, i])
    dgamma1[i] = -eta*dE_dgamma1[i]
    gamma1_new[i] = gamma1[i] + dgamma1[i]
    dE_db1[i] = sum(t: adj_v1[t, i])
    db1[i] = -eta*dE_db1[i]
    b1_new[i] = b1[i] + db1[i]
    """
    mu1 = 0.25 * np.einsum("...ab->...a", x)
    z1 = x - mu1[..., :, None]
    omega1 = 0.25 * np.einsum("...ab,...ab->...a", z1, z1) + 1e-05
    sigma1 = np.sqrt(omega1)
    xi1 = z1 / sigma1[..., :, None]
    v1 = gamma1[..., None, :] * xi1 + b1[..., None, :]
    sq2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wq2, (0, 1, 2), 0, 1)) + bq2[..., :, None, :]
    sk2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wk2, (0, 1, 2), 0, 1)) + bk2[..., :, None, :]
    sv2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wv2, (0, 1, 2), 0, 1)) + bv2[..., :, None, :]
    dim2 = np.full_like(eta, 2.0)
    kappa2 = np.sqrt(dim2)
    s2 = contracted(sq2, (0, 1, 2), sk2, (0, 1, 2), 1, 1) / kappa2[..., None, None, None]
    shift1 = (((-np.arange(x.shape[-2])[:, None] + np.arange(x.shape[-2])) >= 0) & ((-np.arange(x.shape[-2])[:, None] + np.arange(x.shape[-2])) < x.shape[-2])).astype(gamma1.dtype)
    chi2 = np.einsum("...ab->...ba", shift1)
    shift2 = (np.arange(x.shape[-2])[:, None] == np.arange(x.shape[-2])).astype(gamma1.dtype)
    tau2 = extreme(np.maximum, chi2[..., None, :, :] * s2 + (-chi2[..., None, :, :] + 1.0) * np.einsum("...abc,...cb->...ab", s2, shift2)[..., :, :, None])
    zeta2 = chi2[..., None, :, :] * (s2 - tau2[..., :, :, None])
    xi2 = np.exp(zeta2)
    psi2 = chi2[..., None, :, :] * xi2
    Z2 = np.einsum("...abc->...ab", psi2)
    v2 = psi2 / Z2[..., :, :, None]
    vh2 = contracted(v2, (0, 1, 2), sv2, (0, 2, 1), 1, 1)
    so2 = contracted(vh2, (1, 0, 2), Wo2, (0, 1, 2), 0, 2) + bo2[..., None, :]
    v3 = x + so2
    y = np.matmul(v3, np.swapaxes(W4, -1, -2)) + b4[..., None, :]
    delta4 = y - yg
    W4_new = less(W4, eta[..., None, None] * np.matmul(np.swapaxes(delta4, -1, -2), v3))
    b4_new = b4 - eta[..., None] * np.einsum("...ba->...a", delta4)
    adj_v3 = np.matmul(delta4, W4)
    adj_so2 = adj_v3
    Wo2_new = less(Wo2, eta[..., None, None, None] * contracted(adj_so2, (1, 0), vh2, (0, 2, 1), 0, 1))
    bo2_new = bo2 - eta[..., None] * np.einsum("...ba->...a", adj_so2)
    adj_vh2 = np.einsum("...abc->...bac", contracted(adj_so2, (0, 1), Wo2, (1, 2, 0), 0, 1))
    adj_v2 = contracted(adj_vh2, (0, 1, 2), sv2, (0, 1, 2), 1, 1)
    delta2 = chi2[..., None, :, :] * chi2[..., None, :, :] * xi2 * (-np.einsum("...abc,...abc->...ab", adj_v2, v2)[..., :, :, None] + adj_v2) / Z2[..., :, :, None]
    adj_sv2 = contracted(v2, (0, 2, 1), adj_vh2, (0, 2, 1), 1, 1)
    Wv2_new = less(Wv2, eta[..., None, None, None] * contracted(adj_sv2, (0, 2, 1), v1, (1, 0), 0, 1))
    bv2_new = less(bv2, eta[..., None, None] * np.einsum("...acb->...ab", adj_sv2))
    adj_sk2 = contracted(delta2, (0, 2, 1), sq2, (0, 2, 1), 1, 1) / kappa2[..., None, None, None]
    Wk2_new = less(Wk2, eta[..., None, None, None] * contracted(adj_sk2, (0, 2, 1), v1, (1, 0), 0, 1))
    bk2_new = less(bk2, eta[..., None, None] * np.einsum("...acb->...ab", adj_sk2))
    adj_sq2 = contracted(delta2, (0, 1, 2), sk2, (0, 2, 1), 1, 1) / kappa2[..., None, None, None]
    Wq2_new = less(Wq2, eta[..., None, None, None] * contracted(adj_sq2, (0, 2, 1), v1, (1, 0), 0, 1))
    bq2_new = less(bq2, eta[..., None, None] * np.einsum("...acb->...ab", adj_sq2))
    adj_v1 = contracted(adj_sq2, (1, 0, 2), Wq2, (2, 0, 1), 0, 2) + contracted(adj_sk2, (1, 0, 2), Wk2, (2, 0, 1), 0, 2) + contracted(adj_sv2, (1, 0, 2), Wv2, (2, 0, 1), 0, 2)
    gamma1_new = gamma1 - eta[..., None] * np.einsum("...ba,...ba->...a", adj_v1, xi1)
    b1_new = b1 - eta[..., None] * np.einsum("...ba->...a", adj_v1)
    return (
        gamma1_new,
        b1_new,
        Wq2_new,
        bq2_new,
        Wk2_new,
        bk2_new,
        Wv2_new,
        bv2_new,
        Wo2_new,
        bo2_new,
        W4_new,
        b4_new,
    )


def _output(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4, x):
    """Backprop, output: 3x4 layernorm-attention-add-linear 2, simultaneous order.

    mu1[t] = (1/4)*sum(j: x[t, j])
    z1[t, i] = x[t, i] - mu1[t]
    omega1[t] = (1/4)*sum(j: z1[t, j]**2) + 1/100000
    sigma1[t] = sqrt(omega1[t])
    xi1[t, i] = z1[t, i]/sigma1[t]
    v1[t, i] = gamma1[i]*xi1[t, i] + b1[i]
    sq2[a, t, d] = sum(j: Wq2[a, d, j]*v1[t, j]) + bq2[a, d]
    sk2[a, t, d] = sum(j: Wk2[a, d, j]*v1[t, j]) + bk2[a, d]
    sv2[a, t, d] = sum(j: Wv2[a, d, j]*v1[t, j]) + bv2[a, d]
    dim2 = 2
    kappa2 = sqrt(dim2)
    s2[a, t, u] = sum(d: sq2[a, t, d]*sk2[a, u, d])/kappa2
    chi2[t, u] = sum(j: [u = t - j])
    tau2[a, t] = max(u: chi2[t, u]*s2[a, t, u] + (-chi2[t, u] + 1)*s2[a, t, t])
    zeta2[a, t, u] = chi2[t, u]*(s2[a, t, u] - tau2[a, t])
    xi2[a, t, u] = exp(zeta2[a, t, u])
    psi2[a, t, u] = chi2[t, u]*xi2[a, t, u]
    Z2[a, t] = sum(u: psi2[a, t, u])
    v2[a, t, u] = psi2[a, t, u]/Z2[a, t]
    vh2[a, t, d] = sum(u: v2[a, t, u]*sv2[a, u, d])
    so2[t, i] = sum(a, d: Wo2[i, a, d]*vh2[a, t, d]) + bo2[i]
    v3[t, i] = x[t, i] + so2[t, i]
    y[t, k] = sum(j: W4[k, j]*v3[t, j]) + b4[k]
    """
    mu1 = 0.25 * np.einsum("...ab->...a", x)
    z1 = x - mu1[..., :, None]
    omega1 = 0.25 * np.einsum("...ab,...ab->...a", z1, z1) + 1e-05
    sigma1 = np.sqrt(omega1)
    xi1 = z1 / sigma1[..., :, None]
    v1 = gamma1[..., None, :] * xi1 + b1[..., None, :]
    sq2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wq2, (0, 1, 2), 0, 1)) + bq2[..., :, None, :]
    sk2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wk2, (0, 1, 2), 0, 1)) + bk2[..., :, None, :]
    sv2 = np.einsum("...abc->...bac", contracted(v1, (0, 1), Wv2, (0, 1, 2), 0, 1)) + bv2[..., :, None, :]
    dim2 = np.asarray(2.0, gamma1.dtype)
    kappa2 = np.sqrt(dim2)
    s2 = contracted(sq2, (0, 1, 2), sk2, (0, 1, 2), 1, 1) / kappa2[..., None, None, None]
    shift1 = (((-np.arange(x.shape[-2])[:, None] + np.arange(x.shape[-2])) >= 0) & ((-np.arange(x.shape[-2])[:, None] + np.arange(x.shape[-2])) < x.shape[-2])).astype(gamma1.dtype)
    chi2 = np.einsum("...ab->...ba", shift1)
    shift2 = (np.arange(x.shape[-2])[:, None] == np.arange(x.shape[-2])).astype(gamma1.dtype)
    tau2 = extreme(np.maximum, chi2[..., None, :, :] * s2 + (-chi2[..., None, :, :] + 1.0) * np.einsum("...abc,...cb->...ab", s2, shift2)[..., :, :, None])
    zeta2 = chi2[..., None, :, :] * (s2 - tau2[..., :, :, None])
    xi2 = np.exp(zeta2)
    psi2 = chi2[..., None, :, :] * xi2
    Z2 = np.einsum("...abc->...ab", psi2)
    v2 = psi2 / Z2[..., :, :, None]
    vh2 = contracted(v2, (0, 1, 2), sv2, (0, 2, 1), 1, 1)
    so2 = contracted(vh2, (1, 0, 2), Wo2, (0, 1, 2), 0, 2) + bo2[..., None, :]
    v3 = x + so2
    y = np.matmul(v3, np.swapaxes(W4, -1, -2)) + b4[..., None, :]
    return (
        y,
    )


def _expand(gamma1, b1, Wq2, bq2, Wk2, bk2, Wv2, bv2, Wo2, bo2, W4, b4):
    """Backprop, expand: 3x4 layernorm-attention-add-linear 2, simultaneous order."""
    return (
        gamma1,
        b1,
        Wq2,
        bq2,
        Wk2,
        bk2,
        Wv2,
        bv2,
        Wo2,
        bo2,
        W4,
        b4,
    )


class State(NamedTuple):
    """What training carries."""

    gamma1: Array
    b1: Array
    Wq2: Array
    bq2: Array
    Wk2: Array
    bk2: Array
    Wv2: Array
    bv2: Array
    Wo2: Array
    bo2: Array
    W4: Array
    b4: Array


_WEIGHTS: dict[str, Any] = {"gamma1": (4,), "b1": (4,), "Wq2": (2, 2, 4,), "bq2": (2, 2,), "Wk2": (2, 2, 4,), "bk2": (2, 2,), "Wv2": (2, 2, 4,), "bv2": (2, 2,), "Wo2": (4, 2, 2,), "bo2": (4,), "W4": (2, 4,), "b4": (2,)}
_STATE: dict[str, Any] = {"gamma1": (4,), "b1": (4,), "Wq2": (2, 2, 4,), "bq2": (2, 2,), "Wk2": (2, 2, 4,), "bk2": (2, 2,), "Wv2": (2, 2, 4,), "bv2": (2, 2,), "Wo2": (4, 2, 2,), "bo2": (4,), "W4": (2, 4,), "b4": (2,)}
_START = []  # the weights at init that expand needs


def init(weights: Sequence[npt.ArrayLike], x: npt.ArrayLike | None = None) -> State:
    """The state of a conventional network; leading axes broadcast. ValueError for wrong shapes."""
    given = _named(weights)
    arrays = _checked(given.values(), _WEIGHTS)
    with np.errstate(all="ignore"):
        result = _init(*arrays)
    return State(*(np.asarray(array, arrays[0].dtype) for array in result))


def step(
    state: Sequence[npt.ArrayLike],
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    eta: npt.ArrayLike,
    undefined: str = "raise",
) -> State:
    """The state after one training step.

    ValueError for wrong shapes; ArithmeticError where
    a frozen unit with v^c = 0 left 0, and where the new state is not finite; undefined="nan" marks both instead.
    """
    shapes = _STATE | {"x": (3, 4), "target": (3, 2), "eta": ()}
    arrays = _checked([*state, x, target, eta], shapes, _STATE)
    inputs = arrays
    with np.errstate(all="ignore"):
        result = list(_step(*inputs))
    after = State(*(np.asarray(array, arrays[0].dtype) for array in result))
    if undefined != "nan" and not all(np.isfinite(array).all() for array in after):
        raise ArithmeticError("the state is not finite after this step: go back and take a smaller eta")
    return after


def output(state: Sequence[npt.ArrayLike], x: npt.ArrayLike) -> Array:
    """The output (..., 3, 2) of the network that the state stands for."""
    arrays = _checked([*state, x], _STATE | {"x": (3, 4)}, _STATE)
    with np.errstate(all="ignore"):
        y, *mask = _output(*arrays)
    return np.asarray(y, arrays[0].dtype)


def expand(
    state: Sequence[npt.ArrayLike], weights: Sequence[npt.ArrayLike] = (), x: npt.ArrayLike | None = None
) -> list[Array]:
    """[W1, ...]: the weights that backpropagation has after the same steps; weights and x are those given to init."""
    arrays = _checked(state, _STATE, _STATE)
    with np.errstate(all="ignore"):
        return [np.asarray(array, arrays[0].dtype) for array in _expand(*arrays)]


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
    # reaches: nothing new
    (
        [[1.5, -1.5, 1.0, -1.0], [0.0, 1.0, 0.0, 1.5], [0.0, 1.0, 0.0, 1.0, 0.5, 0.5, -1.5, 0.0, 1.5, 1.5, 1.5, 0.5, 1.0, 1.5, -1.5, 1.0], [-1.5, 1.0, 1.5, 0.5], [-1.5, -1.0, -0.5, -1.0, 1.5, 1.0, -0.5, 1.5, 1.5, 1.0, 1.0, -1.5, -0.5, -1.5, 1.0, -0.5], [0.5, -1.5, 1.0, 0.0], [0.0, -0.5, -1.0, 0.5, -1.0, -0.5, -0.5, -0.5, -1.5, -1.0, 0.5, 0.0, -1.0, 0.0, -1.5, 1.5], [-1.5, 1.5, 0.0, 0.5], [0.0, 1.5, -0.5, -1.5, 0.0, -0.5, -1.0, 1.0, 1.5, 1.0, 1.5, 1.0, 0.0, 0.0, -0.5, 0.0], [1.0, 0.0, -1.0, -0.5], [-1.0, -0.5, 1.5, 1.0, 0.5, 1.0, 0.0, -1.0], [1.5, -1.0]],
        [[[-2.0, -1.0, 1.0, 1.0], [0.0, 2.0, -1.0, -2.0], [2.0, 1.0, -1.0, 2.0]], [[1.0, 1.0, 2.0, 1.0], [0.0, 1.0, 1.0, -1.0], [2.0, 2.0, -1.0, -2.0]]],
        [[[0.0, 0.0], [0.0, -2.0], [2.0, -1.0]], [[0.0, 2.0], [-1.0, 1.0], [2.0, 0.0]]],
        0.015625,
        [[6.1620061617226, -3.3042142454055137, 8.025891603775383, 4.2066747093502155, 5.890694250289076, -0.6667531228471179], [0.5807851438341174, 5.743094450761651, -2.3380906952136695, 6.896858576787185, -4.882997063509786, 9.513676677352008], [174.5007726389984, 146.57147537854965, 175.98171398639874, 136.8225911398313, 194.3341039994929, 72.08590031867747]],
        [[-0.7098703795298019, 0.09552118564558919, 2.572707111020107, -1.8014970812574076], [3.3124963001535868, 2.674931755106941, 2.385690709578285, -0.05795560299315368], [-0.05545583932027156, 0.8839938887755759, -0.05480660710419135, 0.993549853207945, 1.1376736305540416, 1.4537036802797265, -0.9842117550135083, 0.6664332143370811, 1.6819398870009588, 0.7267703663975696, 1.1527682962138868, 2.175088846517301, 0.9570946898500363, 1.6822210690971622, -1.4181293123682983, 0.6051882337987803], [-1.4990814159601826, 1.1969732702629534, 2.1394804014928406, 0.34926236876853656], [-1.608056553499145, -0.7526232016258619, -1.4865879926200862, -0.46250400859127977, 1.444909248016492, 1.1201312787160413, -0.6290312787848916, 1.5219391834384726, 1.3001137413967818, 1.2767457243632077, 1.1291309390165445, -1.6886237162944062, -1.290338435376767, -0.40588131042493086, 1.510592243843101, -1.2457125061247896], [0.5, -1.5, 1.0, -9.2847908341146e-52], [2.0645313844810955, 1.3056976807616585, 1.5396285604858826, 1.1766075033838739, -2.0698278303086886, -1.5917013079250628, -1.883320185145622, -1.5622852576237973, -0.037904762259199774, -1.6822864467035104, 0.471790133547877, -0.5267567310605888, -0.6810819064486175, -1.4775496950246205, -3.1884903852001685, 0.3053651397839375], [-1.4407818828091596, 1.0209086830459262, -0.6373460156522625, -0.4837903243853549], [1.71422346930261, 3.3352008806835842, 1.9511137574124386, 1.761825293459017, 1.6648216861380685, 1.1910677358443191, 1.2349780141960802, 3.774148726892924, 0.2749376110122976, -0.5887205577837528, -0.6497316376595264, -2.085364107394942, -2.4319635718876165, -2.4968080658675658, -3.8268241142899635, -4.284191126009272], [0.9916814871581336, -0.1750941081202491, -1.2249294372278394, -0.3516811233859449], [0.21742033686702822, -0.6881117387779184, -2.412407174423575, 2.2532956370235566, -0.5204261228225432, 0.08130510257372998, 6.7691449126241725, -3.1718535668469996], [1.3369017281109732, -1.3498333913437255]],
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
