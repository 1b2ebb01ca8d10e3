"""Training steps of backprop of 2x2 lstm-linear 1, simultaneous order.

    state = init(weights, x)                 weights [W1, b1, W2, ...] as far as there are biases
    state = step(state, x, target, eta)
    y = output(state, x)
    weights = expand(state, weights, x)      weights and x as given to init

State: Wi1 (..., 2, 2); Wf1 (..., 2, 2); Wg1 (..., 2, 2); Wo1 (..., 2, 2); Ui1 (..., 2, 2); Uf1 (..., 2, 2); Ug1 (..., 2, 2); Uo1 (..., 2, 2); bi1 (..., 2); bf1 (..., 2); bg1 (..., 2); bo1 (..., 2); bhi1 (..., 2); bhf1 (..., 2); bhg1 (..., 2); bho1 (..., 2); W2 (..., 1, 2); b2 (..., 1).
The activations sigmoid and tanh are smooth: phi' is the derivative everywhere.
The order is simultaneous: the error passes through the old weights.

init(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2)
    -> Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2
step(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2, x, yg, eta)
    si1_t1[i] = sum(j: Wi1[i, j]*x[0, j]) + bi1[i] + bhi1[i]
    vi1_t1[i] = sigmoid(si1_t1[i]) = 1/(1 + exp(-si1_t1[i]))
    sg1_t1[i] = sum(j: Wg1[i, j]*x[0, j]) + bg1[i] + bhg1[i]
    vg1_t1[i] = tanh(sg1_t1[i]) = (exp(sg1_t1[i]) - exp(-sg1_t1[i]))/(exp(sg1_t1[i]) + exp(-sg1_t1[i]))
    so1_t1[i] = sum(j: Wo1[i, j]*x[0, j]) + bo1[i] + bho1[i]
    vo1_t1[i] = sigmoid(so1_t1[i]) = 1/(1 + exp(-so1_t1[i]))
    c1_t1[i] = vi1_t1[i]*vg1_t1[i]
    u1_t1[i] = tanh(c1_t1[i]) = (exp(c1_t1[i]) - exp(-c1_t1[i]))/(exp(c1_t1[i]) + exp(-c1_t1[i]))
    h1_t1[i] = vo1_t1[i]*u1_t1[i]
    si1_t2[i] = sum(j: Wi1[i, j]*x[1, j]) + bi1[i] + sum(j: Ui1[i, j]*h1_t1[j]) + bhi1[i]
    vi1_t2[i] = sigmoid(si1_t2[i]) = 1/(1 + exp(-si1_t2[i]))
    sg1_t2[i] = sum(j: Wg1[i, j]*x[1, j]) + bg1[i] + sum(j: Ug1[i, j]*h1_t1[j]) + bhg1[i]
    vg1_t2[i] = tanh(sg1_t2[i]) = (exp(sg1_t2[i]) - exp(-sg1_t2[i]))/(exp(sg1_t2[i]) + exp(-sg1_t2[i]))
    so1_t2[i] = sum(j: Wo1[i, j]*x[1, j]) + bo1[i] + sum(j: Uo1[i, j]*h1_t1[j]) + bho1[i]
    vo1_t2[i] = sigmoid(so1_t2[i]) = 1/(1 + exp(-so1_t2[i]))
    sf1_t2[i] = sum(j: Wf1[i, j]*x[1, j]) + bf1[i] + sum(j: Uf1[i, j]*h1_t1[j]) + bhf1[i]
    vf1_t2[i] = sigmoid(sf1_t2[i]) = 1/(1 + exp(-sf1_t2[i]))
    c1_t2[i] = vf1_t2[i]*c1_t1[i] + vi1_t2[i]*vg1_t2[i]
    u1_t2[i] = tanh(c1_t2[i]) = (exp(c1_t2[i]) - exp(-c1_t2[i]))/(exp(c1_t2[i]) + exp(-c1_t2[i]))
    h1_t2[i] = vo1_t2[i]*u1_t2[i]
    y[k] = sum(j: W2[k, j]*h1_t2[j]) + b2[k]
    delta2[k] = y[k] - yg[k]
    W2_new[k, j] = W2[k, j] - eta*delta2[k]*h1_t2[j]
    b2_new[k] = b2[k] - eta*delta2[k]
    adj_h1_t2[i] = sum(k: W2[k, i]*delta2[k])
    gc1_t2[i] = tanh'(c1_t2[i]) = 1 - u1_t2[i]**2
    adj_c1_t2[i] = gc1_t2[i]*adj_h1_t2[i]*vo1_t2[i]
    gsf1_t2[i] = sigmoid'(sf1_t2[i]) = vf1_t2[i]*(1 - vf1_t2[i])
    adj_sf1_t2[i] = gsf1_t2[i]*adj_c1_t2[i]*c1_t1[i]
    dE_dWf1[i, j] = adj_sf1_t2[i]*x[1, j]
    dWf1[i, j] = -eta*dE_dWf1[i, j]
    Wf1_new[i, j] = Wf1[i, j] + dWf1[i, j]
    dE_dUf1[i, j] = adj_sf1_t2[i]*h1_t1[j]
    dUf1[i, j] = -eta*dE_dUf1[i, j]
    Uf1_new[i, j] = Uf1[i, j] + dUf1[i, j]
    dE_dbf1[i] = adj_sf1_t2[i]
    dbf1[i] = -eta*dE_dbf1[i]
    bf1_new[i] = bf1[i] + dbf1[i]
    dE_dbhf1[i] = adj_sf1_t2[i]
    dbhf1[i] = -eta*dE_dbhf1[i]
    bhf1_new[i] = bhf1[i] + dbhf1[i]
    gso1_t2[i] = sigmoid'(so1_t2[i]) = vo1_t2[i]*(1 - vo1_t2[i])
    adj_so1_t2[i] = gso1_t2[i]*adj_h1_t2[i]*u1_t2[i]
    dE_dUo1[i, j] = adj_so1_t2[i]*h1_t1[j]
    dUo1[i, j] = -eta*dE_dUo1[i, j]
    Uo1_new[i, j] = Uo1[i, j] + dUo1[i, j]
    gsg1_t2[i] = tanh'(sg1_t2[i]) = 1 - vg1_t2[i]**2
    adj_sg1_t2[i] = gsg1_t2[i]*adj_c1_t2[i]*vi1_t2[i]
    dE_dUg1[i, j] = adj_sg1_t2[i]*h1_t1[j]
    dUg1[i, j] = -eta*dE_dUg1[i, j]
    Ug1_new[i, j] = Ug1[i, j] + dUg1[i, j]
    gsi1_t2[i] = sigmoid'(si1_t2[i]) = vi1_t2[i]*(1 - vi1_t2[i])
    adj_si1_t2[i] = gsi1_t2[i]*adj_c1_t2[i]*vg1_t2[i]
    dE_dUi1[i, j] = adj_si1_t2[i]*h1_t1[j]
    dUi1[i, j] = -eta*dE_dUi1[i, j]
    Ui1_new[i, j] = Ui1[i, j] + dUi1[i, j]
    adj_h1_t1[i] = sum(j: Ui1[j, i]*adj_si1_t2[j]) + sum(j: Ug1[j, i]*adj_sg1_t2[j]) + sum(j: Uo1[j, i]*adj_so1_t2[j]) + sum(j: Uf1[j, i]*adj_sf1_t2[j])
    gc1_t1[i] = tanh'(c1_t1[i]) = 1 - u1_t1[i]**2
    adj_c1_t1[i] = gc1_t1[i]*adj_h1_t1[i]*vo1_t1[i] + adj_c1_t2[i]*vf1_t2[i]
    gso1_t1[i] = sigmoid'(so1_t1[i]) = vo1_t1[i]*(1 - vo1_t1[i])
    adj_so1_t1[i] = gso1_t1[i]*adj_h1_t1[i]*u1_t1[i]
    dE_dWo1[i, j] = adj_so1_t1[i]*x[0, j] + adj_so1_t2[i]*x[1, j]
    dWo1[i, j] = -eta*dE_dWo1[i, j]
    Wo1_new[i, j] = Wo1[i, j] + dWo1[i, j]
    dE_dbo1[i] = adj_so1_t1[i] + adj_so1_t2[i]
    dbo1[i] = -eta*dE_dbo1[i]
    bo1_new[i] = bo1[i] + dbo1[i]
    dE_dbho1[i] = adj_so1_t1[i] + adj_so1_t2[i]
    dbho1[i] = -eta*dE_dbho1[i]
    bho1_new[i] = bho1[i] + dbho1[i]
    gsg1_t1[i] = tanh'(sg1_t1[i]) = 1 - vg1_t1[i]**2
    adj_sg1_t1[i] = gsg1_t1[i]*adj_c1_t1[i]*vi1_t1[i]
    dE_dWg1[i, j] = adj_sg1_t1[i]*x[0, j] + adj_sg1_t2[i]*x[1, j]
    dWg1[i, j] = -eta*dE_dWg1[i, j]
    Wg1_new[i, j] = Wg1[i, j] + dWg1[i, j]
    dE_dbg1[i] = adj_sg1_t1[i] + adj_sg1_t2[i]
    dbg1[i] = -eta*dE_dbg1[i]
    bg1_new[i] = bg1[i] + dbg1[i]
    dE_dbhg1[i] = adj_sg1_t1[i] + adj_sg1_t2[i]
    dbhg1[i] = -eta*dE_dbhg1[i]
    bhg1_new[i] = bhg1[i] + dbhg1[i]
    gsi1_t1[i] = sigmoid'(si1_t1[i]) = vi1_t1[i]*(1 - vi1_t1[i])
    adj_si1_t1[i] = gsi1_t1[i]*adj_c1_t1[i]*vg1_t1[i]
    dE_dWi1[i, j] = adj_si1_t1[i]*x[0, j] + adj_si1_t2[i]*x[1, j]
    dWi1[i, j] = -eta*dE_dWi1[i, j]
    Wi1_new[i, j] = Wi1[i, j] + dWi1[i, j]
    dE_dbi1[i] = adj_si1_t1[i] + adj_si1_t2[i]
    dbi1[i] = -eta*dE_dbi1[i]
    bi1_new[i] = bi1[i] + dbi1[i]
    dE_dbhi1[i] = adj_si1_t1[i] + adj_si1_t2[i]
    dbhi1[i] = -eta*dE_dbhi1[i]
    bhi1_new[i] = bhi1[i] + dbhi1[i]
    -> Wi1_new, Wf1_new, Wg1_new, Wo1_new, Ui1_new, Uf1_new, Ug1_new, Uo1_new, bi1_new, bf1_new, bg1_new, bo1_new, bhi1_new, bhf1_new, bhg1_new, bho1_new, W2_new, b2_new
output(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2, x)
    si1_t1[i] = sum(j: Wi1[i, j]*x[0, j]) + bi1[i] + bhi1[i]
    vi1_t1[i] = sigmoid(si1_t1[i]) = 1/(1 + exp(-si1_t1[i]))
    sg1_t1[i] = sum(j: Wg1[i, j]*x[0, j]) + bg1[i] + bhg1[i]
    vg1_t1[i] = tanh(sg1_t1[i]) = (exp(sg1_t1[i]) - exp(-sg1_t1[i]))/(exp(sg1_t1[i]) + exp(-sg1_t1[i]))
    so1_t1[i] = sum(j: Wo1[i, j]*x[0, j]) + bo1[i] + bho1[i]
    vo1_t1[i] = sigmoid(so1_t1[i]) = 1/(1 + exp(-so1_t1[i]))
    c1_t1[i] = vi1_t1[i]*vg1_t1[i]
    u1_t1[i] = tanh(c1_t1[i]) = (exp(c1_t1[i]) - exp(-c1_t1[i]))/(exp(c1_t1[i]) + exp(-c1_t1[i]))
    h1_t1[i] = vo1_t1[i]*u1_t1[i]
    si1_t2[i] = sum(j: Wi1[i, j]*x[1, j]) + bi1[i] + sum(j: Ui1[i, j]*h1_t1[j]) + bhi1[i]
    vi1_t2[i] = sigmoid(si1_t2[i]) = 1/(1 + exp(-si1_t2[i]))
    sg1_t2[i] = sum(j: Wg1[i, j]*x[1, j]) + bg1[i] + sum(j: Ug1[i, j]*h1_t1[j]) + bhg1[i]
    vg1_t2[i] = tanh(sg1_t2[i]) = (exp(sg1_t2[i]) - exp(-sg1_t2[i]))/(exp(sg1_t2[i]) + exp(-sg1_t2[i]))
    so1_t2[i] = sum(j: Wo1[i, j]*x[1, j]) + bo1[i] + sum(j: Uo1[i, j]*h1_t1[j]) + bho1[i]
    vo1_t2[i] = sigmoid(so1_t2[i]) = 1/(1 + exp(-so1_t2[i]))
    sf1_t2[i] = sum(j: Wf1[i, j]*x[1, j]) + bf1[i] + sum(j: Uf1[i, j]*h1_t1[j]) + bhf1[i]
    vf1_t2[i] = sigmoid(sf1_t2[i]) = 1/(1 + exp(-sf1_t2[i]))
    c1_t2[i] = vf1_t2[i]*c1_t1[i] + vi1_t2[i]*vg1_t2[i]
    u1_t2[i] = tanh(c1_t2[i]) = (exp(c1_t2[i]) - exp(-c1_t2[i]))/(exp(c1_t2[i]) + exp(-c1_t2[i]))
    h1_t2[i] = vo1_t2[i]*u1_t2[i]
    y[k] = sum(j: W2[k, j]*h1_t2[j]) + b2[k]
    -> y
expand(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2)
    -> Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2

Generated by fcsym 0.1.0; equations 22a39e760321dc53; needs NumPy 2.2 or later. `python update.py` runs selftest().
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


def less_outer(w, a, b):
    """w - a b^T; for one network the product is one of matrices, which is faster than element by element."""
    one = a.ndim == b.ndim == 1
    c = np.dot(a[:, None], b[None, :]) if one else a[..., :, None] * b[..., None, :]
    return np.subtract(w, c, out=c) if c.shape == w.shape else w - c


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


def sigmoid(s):
    """1 / (1 + exp(-s)), without overflow on either side."""
    small = np.exp(-np.abs(s))
    return np.where(s > 0.0, 1.0, small) / (1.0 + small)


def _init(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2):
    """Backprop, init: 2x2 lstm-linear 1, simultaneous order."""
    return (
        Wi1,
        Wf1,
        Wg1,
        Wo1,
        Ui1,
        Uf1,
        Ug1,
        Uo1,
        bi1,
        bf1,
        bg1,
        bo1,
        bhi1,
        bhf1,
        bhg1,
        bho1,
        W2,
        b2,
    )


def _step(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2, x, yg, eta):
    """Backprop, step: 2x2 lstm-linear 1, simultaneous order.

    si1_t1[i] = sum(j: Wi1[i, j]*x[0, j]) + bi1[i] + bhi1[i]
    vi1_t1[i] = sigmoid(si1_t1[i]) = 1/(1 + exp(-si1_t1[i]))
    sg1_t1[i] = sum(j: Wg1[i, j]*x[0, j]) + bg1[i] + bhg1[i]
    vg1_t1[i] = tanh(sg1_t1[i]) = (exp(sg1_t1[i]) - exp(-sg1_t1[i]))/(exp(sg1_t1[i]) + exp(-sg1_t1[i]))
    so1_t1[i] = sum(j: Wo1[i, j]*x[0, j]) + bo1[i] + bho1[i]
    vo1_t1[i] = sigmoid(so1_t1[i]) = 1/(1 + exp(-so1_t1[i]))
    c1_t1[i] = vi1_t1[i]*vg1_t1[i]
    u1_t1[i] = tanh(c1_t1[i]) = (exp(c1_t1[i]) - exp(-c1_t1[i]))/(exp(c1_t1[i]) + exp(-c1_t1[i]))
    h1_t1[i] = vo1_t1[i]*u1_t1[i]
    si1_t2[i] = sum(j: Wi1[i, j]*x[1, j]) + bi1[i] + sum(j: Ui1[i, j]*h1_t1[j]) + bhi1[i]
    vi1_t2[i] = sigmoid(si1_t2[i]) = 1/(1 + exp(-si1_t2[i]))
    sg1_t2[i] = sum(j: Wg1[i, j]*x[1, j]) + bg1[i] + sum(j: Ug1[i, j]*h1_t1[j]) + bhg1[i]
    vg1_t2[i] = tanh(sg1_t2[i]) = (exp(sg1_t2[i]) - exp(-sg1_t2[i]))/(exp(sg1_t2[i]) + exp(-sg1_t2[i]))
    so1_t2[i] = sum(j: Wo1[i, j]*x[1, j]) + bo1[i] + sum(j: Uo1[i, j]*h1_t1[j]) + bho1[i]
    vo1_t2[i] = sigmoid(so1_t2[i]) = 1/(1 + exp(-so1_t2[i]))
    sf1_t2[i] = sum(j: Wf1[i, j]*x[1, j]) + bf1[i] + sum(j: Uf1[i, j]*h1_t1[j]) + bhf1[i]
    vf1_t2[i] = sigmoid(sf1_t2[i]) = 1/(1 + exp(-sf1_t2[i]))
    c1_t2[i] = vf1_t2[i]*c1_t1[i] + vi1_t2[i]*vg1_t2[i]
    u1_t2[i] = tanh(c1_t2[i]) = (exp(c1_t2[i]) - exp(-c1_t2[i]))/(exp(c1_t2[i]) + exp(-c1_t2[i]))
    h1_t2[i] = vo1_t2[i]*u1_t2[i]
    y[k] = sum(j: W2[k, j]*h1_t2[j]) + b2[k]
    delta2[k] = y[k] - yg[k]
    W2_new[k, j] = W2[k, j] - eta*delta2[k]*h1_t2[j]
    b2_new[k] = b2[k] - eta*delta2[k]
    adj_h1_t2[i] = sum(k: W2[k, i]*delta2[k])
    gc1_t2[i] = tanh'(c1_t2[i]) = 1 - u1_t2[i]**2
    adj_c1_t2[i] = gc1_t2[i]*adj_h1_t2[i]*vo1_t2[i]
    gsf1_t2[i] = sigmoid'(sf1_t2[i]) = vf1_t2[i]*(1 - vf1_t2[i])
    adj_sf1_t2[i] = gsf1_t2[i]*adj_c1_t2[i]*c1_t1[i]
    dE_dWf1[i, j] = adj_sf1_t2[i]*x[1, j]
    dWf1[i, j] = -eta*dE_dWf1[i, j]
    Wf1_new[i, j] = Wf1[i, j] + dWf1[i, j]
    dE_dUf1[i, j] = adj_sf1_t2[i]*h1_t1[j]
    dUf1[i, j] = -eta*dE_dUf1[i, j]
    Uf1_new[i, j] = Uf1[i, j] + dUf1[i, j]
    dE_dbf1[i] = adj_sf1_t2[i]
    dbf1[i] = -eta*dE_dbf1[i]
    bf1_new[i] = bf1[i] + dbf1[i]
    dE_dbhf1[i] = adj_sf1_t2[i]
    dbhf1[i] = -eta*dE_dbhf1[i]
    bhf1_new[i] = bhf1[i] + dbhf1[i]
    gso1_t2[i] = sigmoid'(so1_t2[i]) = vo1_t2[i]*(1 - vo1_t2[i])
    adj_so1_t2[i] = gso1_t2[i]*adj_h1_t2[i]*u1_t2[i]
    dE_dUo1[i, j] = adj_so1_t2[i]*h1_t1[j]
    dUo1[i, j] = -eta*dE_dUo1[i, j]
    Uo1_new[i, j] = Uo1[i, j] + dUo1[i, j]
    gsg1_t2[i] = tanh'(sg1_t2[i]) = 1 - vg1_t2[i]**2
    adj_sg1_t2[i] = gsg1_t2[i]*adj_c1_t2[i]*vi1_t2[i]
    dE_dUg1[i, j] = adj_sg1_t2[i]*h1_t1[j]
    dUg1[i, j] = -eta*dE_dUg1[i, j]
    Ug1_new[i, j] = Ug1[i, j] + dUg1[i, j]
    gsi1_t2[i] = sigmoid'(si1_t2[i]) = vi1_t2[i]*(1 - vi1_t2[i])
    adj_si1_t2[i] = gsi1_t2[i]*adj_c1_t2[i]*vg1_t2[i]
    dE_dUi1[i, j] = adj_si1_t2[i]*h1_t1[j]
    dUi1[i, j] = -eta*dE_dUi1[i, j]
    Ui1_new[i, j] = Ui1[i, j] + dUi1[i, j]
    adj_h1_t1[i] = sum(j: Ui1[j, i]*adj_si1_t2[j]) + sum(j: Ug1[j, i]*adj_sg1_t2[j]) + sum(j: Uo1[j, i]*adj_so1_t2[j]) + sum(j: Uf1[j, i]*adj_sf1_t2[j])
    gc1_t1[i] = tanh'(c1_t1[i]) = 1 - u1_t1[i]**2
    adj_c1_t1[i] = gc1_t1[i]*adj_h1_t1[i]*vo1_t1[i] + adj_c1_t2[i]*vf1_t2[i]
    gso1_t1[i] = sigmoid'(so1_t1[i]) = vo1_t1[i]*(1 - vo1_t1[i])
    adj_so1_t1[i] = gso1_t1[i]*adj_h1_t1[i]*u1_t1[i]
    dE_dWo1[i, j] = adj_so1_t1[i]*x[0, j] + adj_so1_t2[i]*x[1, j]
    dWo1[i, j] = -eta*dE_dWo1[i, j]
    Wo1_new[i, j] = Wo1[i, j] + dWo1[i, j]
    dE_dbo1[i] = adj_so1_t1[i] + adj_so1_t2[i]
    dbo1[i] = -eta*dE_dbo1[i]
    bo1_new[i] = bo1[i] + dbo1[i]
    dE_dbho1[i] = adj_so1_t1[i] + adj_so1_t2[i]
    dbho1[i] = -eta*dE_dbho1[i]
    bho1_new[i] = bho1[i] + dbho1[i]
    gsg1_t1[i] = tanh'(sg1_t1[i]) = 1 - vg1_t1[i]**2
    adj_sg1_t1[i] = gsg1_t1[i]*adj_c1_t1[i]*vi1_t1[i]
    dE_dWg1[i, j] = adj_sg1_t1[i]*x[0, j] + adj_sg1_t2[i]*x[1, j]
    dWg1[i, j] = -eta*dE_dWg1[i, j]
    Wg1_new[i, j] = Wg1[i, j] + dWg1[i, j]
    dE_dbg1[i] = adj_sg1_t1[i] + adj_sg1_t2[i]
    dbg1[i] = -eta*dE_dbg1[i]
    bg1_new[i] = bg1[i] + dbg1[i]
    dE_dbhg1[i] = adj_sg1_t1[i] + adj_sg1_t2[i]
    dbhg1[i] = -eta*dE_dbhg1[i]
    bhg1_new[i] = bhg1[i] + dbhg1[i]
    gsi1_t1[i] = sigmoid'(si1_t1[i]) = vi1_t1[i]*(1 - vi1_t1[i])
    adj_si1_t1[i] = gsi1_t1[i]*adj_c1_t1[i]*vg1_t1[i]
    dE_dWi1[i, j] = adj_si1_t1[i]*x[0, j] + adj_si1_t2[i]*x[1, j]
    dWi1[i, j] = -eta*dE_dWi1[i, j]
    Wi1_new[i, j] = Wi1[i, j] + dWi1[i, j]
    dE_dbi1[i] = adj_si1_t1[i] + adj_si1_t2[i]
    dbi1[i] = -eta*dE_dbi1[i]
    bi1_new[i] = bi1[i] + dbi1[i]
    dE_dbhi1[i] = adj_si1_t1[i] + adj_si1_t2[i]
    dbhi1[i] = -eta*dE_dbhi1[i]
    bhi1_new[i] = bhi1[i] + dbhi1[i]
    """
    si1_t1 = contracted(x[..., 0, :], (0,), Wi1, (0, 1), 0, 1) + bi1 + bhi1
    vi1_t1 = sigmoid(si1_t1)
    sg1_t1 = contracted(x[..., 0, :], (0,), Wg1, (0, 1), 0, 1) + bg1 + bhg1
    vg1_t1 = np.tanh(sg1_t1)
    so1_t1 = contracted(x[..., 0, :], (0,), Wo1, (0, 1), 0, 1) + bo1 + bho1
    vo1_t1 = sigmoid(so1_t1)
    c1_t1 = vi1_t1 * vg1_t1
    u1_t1 = np.tanh(c1_t1)
    h1_t1 = vo1_t1 * u1_t1
    si1_t2 = contracted(x[..., 1, :], (0,), Wi1, (0, 1), 0, 1) + bi1 + np.matvec(Ui1, h1_t1) + bhi1
    vi1_t2 = sigmoid(si1_t2)
    sg1_t2 = contracted(x[..., 1, :], (0,), Wg1, (0, 1), 0, 1) + bg1 + np.matvec(Ug1, h1_t1) + bhg1
    vg1_t2 = np.tanh(sg1_t2)
    so1_t2 = contracted(x[..., 1, :], (0,), Wo1, (0, 1), 0, 1) + bo1 + np.matvec(Uo1, h1_t1) + bho1
    vo1_t2 = sigmoid(so1_t2)
    sf1_t2 = contracted(x[..., 1, :], (0,), Wf1, (0, 1), 0, 1) + bf1 + np.matvec(Uf1, h1_t1) + bhf1
    vf1_t2 = sigmoid(sf1_t2)
    c1_t2 = vf1_t2 * c1_t1 + vi1_t2 * vg1_t2
    u1_t2 = np.tanh(c1_t2)
    h1_t2 = vo1_t2 * u1_t2
    y = np.matvec(W2, h1_t2) + b2
    delta2 = y - yg
    W2_new = less_outer(W2, eta[..., None] * delta2, h1_t2)
    b2_new = b2 - eta[..., None] * delta2
    adj_h1_t2 = np.vecmat(delta2, W2)
    gc1_t2_part1 = np.tanh(c1_t2)
    gc1_t2 = 1.0 - gc1_t2_part1 ** 2
    adj_c1_t2 = gc1_t2 * adj_h1_t2 * vo1_t2
    gsf1_t2 = sigmoid(-sf1_t2) * sigmoid(sf1_t2)
    adj_sf1_t2 = gsf1_t2 * adj_c1_t2 * c1_t1
    Wf1_new = less(Wf1, eta[..., None, None] * adj_sf1_t2[..., :, None] * x[..., 1, :][..., None, :])
    Uf1_new = less_outer(Uf1, eta[..., None] * adj_sf1_t2, h1_t1)
    bf1_new = bf1 - eta[..., None] * adj_sf1_t2
    bhf1_new = bhf1 - eta[..., None] * adj_sf1_t2
    gso1_t2 = sigmoid(-so1_t2) * sigmoid(so1_t2)
    adj_so1_t2 = gso1_t2 * adj_h1_t2 * u1_t2
    Uo1_new = less_outer(Uo1, eta[..., None] * adj_so1_t2, h1_t1)
    gsg1_t2_part1 = np.tanh(sg1_t2)
    gsg1_t2 = 1.0 - gsg1_t2_part1 ** 2
    adj_sg1_t2 = gsg1_t2 * adj_c1_t2 * vi1_t2
    Ug1_new = less_outer(Ug1, eta[..., None] * adj_sg1_t2, h1_t1)
    gsi1_t2 = sigmoid(-si1_t2) * sigmoid(si1_t2)
    adj_si1_t2 = gsi1_t2 * adj_c1_t2 * vg1_t2
    Ui1_new = less_outer(Ui1, eta[..., None] * adj_si1_t2, h1_t1)
    adj_h1_t1 = np.vecmat(adj_si1_t2, Ui1) + np.vecmat(adj_sg1_t2, Ug1) + np.vecmat(adj_so1_t2, Uo1) + np.vecmat(adj_sf1_t2, Uf1)
    gc1_t1_part1 = np.tanh(c1_t1)
    gc1_t1 = 1.0 - gc1_t1_part1 ** 2
    adj_c1_t1 = gc1_t1 * adj_h1_t1 * vo1_t1 + adj_c1_t2 * vf1_t2
    gso1_t1 = sigmoid(-so1_t1) * sigmoid(so1_t1)
    adj_so1_t1 = gso1_t1 * adj_h1_t1 * u1_t1
    Wo1_new = less(Wo1, eta[..., None, None] * (adj_so1_t1[..., :, None] * x[..., 0, :][..., None, :] + adj_so1_t2[..., :, None] * x[..., 1, :][..., None, :]))
    bo1_new = bo1 - eta[..., None] * (adj_so1_t1 + adj_so1_t2)
    bho1_new = bho1 - eta[..., None] * (adj_so1_t1 + adj_so1_t2)
    gsg1_t1_part1 = np.tanh(sg1_t1)
    gsg1_t1 = 1.0 - gsg1_t1_part1 ** 2
    adj_sg1_t1 = gsg1_t1 * adj_c1_t1 * vi1_t1
    Wg1_new = less(Wg1, eta[..., None, None] * (adj_sg1_t1[..., :, None] * x[..., 0, :][..., None, :] + adj_sg1_t2[..., :, None] * x[..., 1, :][..., None, :]))
    bg1_new = bg1 - eta[..., None] * (adj_sg1_t1 + adj_sg1_t2)
    bhg1_new = bhg1 - eta[..., None] * (adj_sg1_t1 + adj_sg1_t2)
    gsi1_t1 = sigmoid(-si1_t1) * sigmoid(si1_t1)
    adj_si1_t1 = gsi1_t1 * adj_c1_t1 * vg1_t1
    Wi1_new = less(Wi1, eta[..., None, None] * (adj_si1_t1[..., :, None] * x[..., 0, :][..., None, :] + adj_si1_t2[..., :, None] * x[..., 1, :][..., None, :]))
    bi1_new = bi1 - eta[..., None] * (adj_si1_t1 + adj_si1_t2)
    bhi1_new = bhi1 - eta[..., None] * (adj_si1_t1 + adj_si1_t2)
    return (
        Wi1_new,
        Wf1_new,
        Wg1_new,
        Wo1_new,
        Ui1_new,
        Uf1_new,
        Ug1_new,
        Uo1_new,
        bi1_new,
        bf1_new,
        bg1_new,
        bo1_new,
        bhi1_new,
        bhf1_new,
        bhg1_new,
        bho1_new,
        W2_new,
        b2_new,
    )


def _output(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2, x):
    """Backprop, output: 2x2 lstm-linear 1, simultaneous order.

    si1_t1[i] = sum(j: Wi1[i, j]*x[0, j]) + bi1[i] + bhi1[i]
    vi1_t1[i] = sigmoid(si1_t1[i]) = 1/(1 + exp(-si1_t1[i]))
    sg1_t1[i] = sum(j: Wg1[i, j]*x[0, j]) + bg1[i] + bhg1[i]
    vg1_t1[i] = tanh(sg1_t1[i]) = (exp(sg1_t1[i]) - exp(-sg1_t1[i]))/(exp(sg1_t1[i]) + exp(-sg1_t1[i]))
    so1_t1[i] = sum(j: Wo1[i, j]*x[0, j]) + bo1[i] + bho1[i]
    vo1_t1[i] = sigmoid(so1_t1[i]) = 1/(1 + exp(-so1_t1[i]))
    c1_t1[i] = vi1_t1[i]*vg1_t1[i]
    u1_t1[i] = tanh(c1_t1[i]) = (exp(c1_t1[i]) - exp(-c1_t1[i]))/(exp(c1_t1[i]) + exp(-c1_t1[i]))
    h1_t1[i] = vo1_t1[i]*u1_t1[i]
    si1_t2[i] = sum(j: Wi1[i, j]*x[1, j]) + bi1[i] + sum(j: Ui1[i, j]*h1_t1[j]) + bhi1[i]
    vi1_t2[i] = sigmoid(si1_t2[i]) = 1/(1 + exp(-si1_t2[i]))
    sg1_t2[i] = sum(j: Wg1[i, j]*x[1, j]) + bg1[i] + sum(j: Ug1[i, j]*h1_t1[j]) + bhg1[i]
    vg1_t2[i] = tanh(sg1_t2[i]) = (exp(sg1_t2[i]) - exp(-sg1_t2[i]))/(exp(sg1_t2[i]) + exp(-sg1_t2[i]))
    so1_t2[i] = sum(j: Wo1[i, j]*x[1, j]) + bo1[i] + sum(j: Uo1[i, j]*h1_t1[j]) + bho1[i]
    vo1_t2[i] = sigmoid(so1_t2[i]) = 1/(1 + exp(-so1_t2[i]))
    sf1_t2[i] = sum(j: Wf1[i, j]*x[1, j]) + bf1[i] + sum(j: Uf1[i, j]*h1_t1[j]) + bhf1[i]
    vf1_t2[i] = sigmoid(sf1_t2[i]) = 1/(1 + exp(-sf1_t2[i]))
    c1_t2[i] = vf1_t2[i]*c1_t1[i] + vi1_t2[i]*vg1_t2[i]
    u1_t2[i] = tanh(c1_t2[i]) = (exp(c1_t2[i]) - exp(-c1_t2[i]))/(exp(c1_t2[i]) + exp(-c1_t2[i]))
    h1_t2[i] = vo1_t2[i]*u1_t2[i]
    y[k] = sum(j: W2[k, j]*h1_t2[j]) + b2[k]
    """
    si1_t1 = contracted(x[..., 0, :], (0,), Wi1, (0, 1), 0, 1) + bi1 + bhi1
    vi1_t1 = sigmoid(si1_t1)
    sg1_t1 = contracted(x[..., 0, :], (0,), Wg1, (0, 1), 0, 1) + bg1 + bhg1
    vg1_t1 = np.tanh(sg1_t1)
    so1_t1 = contracted(x[..., 0, :], (0,), Wo1, (0, 1), 0, 1) + bo1 + bho1
    vo1_t1 = sigmoid(so1_t1)
    c1_t1 = vi1_t1 * vg1_t1
    u1_t1 = np.tanh(c1_t1)
    h1_t1 = vo1_t1 * u1_t1
    si1_t2 = contracted(x[..., 1, :], (0,), Wi1, (0, 1), 0, 1) + bi1 + np.matvec(Ui1, h1_t1) + bhi1
    vi1_t2 = sigmoid(si1_t2)
    sg1_t2 = contracted(x[..., 1, :], (0,), Wg1, (0, 1), 0, 1) + bg1 + np.matvec(Ug1, h1_t1) + bhg1
    vg1_t2 = np.tanh(sg1_t2)
    so1_t2 = contracted(x[..., 1, :], (0,), Wo1, (0, 1), 0, 1) + bo1 + np.matvec(Uo1, h1_t1) + bho1
    vo1_t2 = sigmoid(so1_t2)
    sf1_t2 = contracted(x[..., 1, :], (0,), Wf1, (0, 1), 0, 1) + bf1 + np.matvec(Uf1, h1_t1) + bhf1
    vf1_t2 = sigmoid(sf1_t2)
    c1_t2 = vf1_t2 * c1_t1 + vi1_t2 * vg1_t2
    u1_t2 = np.tanh(c1_t2)
    h1_t2 = vo1_t2 * u1_t2
    y = np.matvec(W2, h1_t2) + b2
    return (
        y,
    )


def _expand(Wi1, Wf1, Wg1, Wo1, Ui1, Uf1, Ug1, Uo1, bi1, bf1, bg1, bo1, bhi1, bhf1, bhg1, bho1, W2, b2):
    """Backprop, expand: 2x2 lstm-linear 1, simultaneous order."""
    return (
        Wi1,
        Wf1,
        Wg1,
        Wo1,
        Ui1,
        Uf1,
        Ug1,
        Uo1,
        bi1,
        bf1,
        bg1,
        bo1,
        bhi1,
        bhf1,
        bhg1,
        bho1,
        W2,
        b2,
    )


class State(NamedTuple):
    """What training carries."""

    Wi1: Array
    Wf1: Array
    Wg1: Array
    Wo1: Array
    Ui1: Array
    Uf1: Array
    Ug1: Array
    Uo1: Array
    bi1: Array
    bf1: Array
    bg1: Array
    bo1: Array
    bhi1: Array
    bhf1: Array
    bhg1: Array
    bho1: Array
    W2: Array
    b2: Array


_WEIGHTS: dict[str, Any] = {"Wi1": (2, 2,), "Wf1": (2, 2,), "Wg1": (2, 2,), "Wo1": (2, 2,), "Ui1": (2, 2,), "Uf1": (2, 2,), "Ug1": (2, 2,), "Uo1": (2, 2,), "bi1": (2,), "bf1": (2,), "bg1": (2,), "bo1": (2,), "bhi1": (2,), "bhf1": (2,), "bhg1": (2,), "bho1": (2,), "W2": (1, 2,), "b2": (1,)}
_STATE: dict[str, Any] = {"Wi1": (2, 2,), "Wf1": (2, 2,), "Wg1": (2, 2,), "Wo1": (2, 2,), "Ui1": (2, 2,), "Uf1": (2, 2,), "Ug1": (2, 2,), "Uo1": (2, 2,), "bi1": (2,), "bf1": (2,), "bg1": (2,), "bo1": (2,), "bhi1": (2,), "bhf1": (2,), "bhg1": (2,), "bho1": (2,), "W2": (1, 2,), "b2": (1,)}
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
    shapes = _STATE | {"x": (2, 2), "target": (1,), "eta": ()}
    arrays = _checked([*state, x, target, eta], shapes, _STATE)
    inputs = arrays
    with np.errstate(all="ignore"):
        result = list(_step(*inputs))
    after = State(*(np.asarray(array, arrays[0].dtype) for array in result))
    if undefined != "nan" and not all(np.isfinite(array).all() for array in after):
        raise ArithmeticError("the state is not finite after this step: go back and take a smaller eta")
    return after


def output(state: Sequence[npt.ArrayLike], x: npt.ArrayLike) -> Array:
    """The output (..., 1) of the network that the state stands for."""
    arrays = _checked([*state, x], _STATE | {"x": (2, 2)}, _STATE)
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
        [[1.5, -1.5, 0.5, 1.5], [0.0, -1.0, -0.5, -1.5], [-0.5, 0.5, 1.5, -1.0], [1.0, 1.5, 0.0, -0.5], [0.5, -1.0, 0.0, 0.5], [1.5, -1.5, 1.5, 1.5], [1.0, 0.0, -0.5, -0.5], [-1.5, 0.5, 1.5, 1.5], [-1.5, -0.5], [0.0, 0.5], [-1.5, 1.5], [-1.0, 0.5], [-0.5, 0.5], [-0.5, -0.5], [1.5, 0.5], [-0.5, -1.5], [-1.0, -1.5], [1.0]],
        [[[2.0, 1.0], [2.0, 0.0]], [[2.0, -1.0], [-1.0, 2.0]]],
        [[1.0], [2.0]],
        0.125,
        [[1.0775150266618592], [1.1306666841600679], [1.249071540525054]],
        [[1.4971827235205402, -1.5008854657462514, 0.5018744030572037, 1.500391410113884], [-0.003228084481907316, -0.994207878093132, -0.4991595757493353, -1.5005065271619524], [-0.4944289678498741, 0.5019473106553698, 1.5017717036838367, -1.0035374754197788], [0.9913368425372273, 1.5043296821243508, -0.00343523352857082, -0.478863548580663], [0.5001394338613533, -1.0001199587367753, -0.00015751489444660482, 0.5001243750307562], [1.4994967127990582, -1.4996235951523758, 1.5000015590956683, 1.5000041216696647], [0.9998421929348743, 0.00013816200341623975, -0.4996771439758526, -0.5002433792313267], [-1.4999905650871055, 0.499972427927111, 1.4976858988558728, 1.501782925966424], [-1.5015257250084162, -0.4981585741249544], [0.0027300491891973336, 0.500040316753868], [-1.4972480323091557, 1.4982320270401241], [-1.002991272295896, 0.5146371021643071], [-0.5015257250084162, 0.5018414258750457], [-0.49726995081080266, -0.499959683246132], [1.5027519676908443, 0.49823202704012404], [-0.502991272295896, -1.4853628978356928], [-0.9993349667440212, -1.5101073782959245], [1.098977286147259]],
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
