# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From dense to attention
#
# The paper says that its derivation extends to other networks, and shows none. Here each layer is a few forward
# equations, and all else follows from them: the way back, the step, the increments, the compensation and the proof.

# %%
import numpy as np

import fcsym

layers = fcsym.layers
convolution = [layers.Conv1d(1, 2, 3), "relu", layers.MaxPool1d(2), layers.Flatten(), layers.Linear(6, 2)]
conv = fcsym.Network.sequential((1, 8), convolution)
fcsym.draw(conv)

# %% [markdown]
# A convolution is a sum with a shift in it, and its gradient is a sum over the places where the weights are used. The
# compensation lives at the last linear map, whatever lies below it: where that is taken once, `p` is there.

# %%
d = fcsym.derive(conv)
for name in ("s1", "v2", "dE_dW1", "ds1", "dv1", "p"):
    print(d[name])
print(d.proof.holds, len(d), "equations")

# %% [markdown]
# The kernel of the convolution meets nothing but the patches of the input, which stay. So a step needs only the inner
# products of the patches: the scheme `states` trains on `s1` without the kernel, and gives it back at the end. Beside
# backpropagation, over a hundred steps:

# %%
schemes = [fcsym.scheme(conv, name) for name in ("states", "backprop")]
print([array.name for array in schemes[0].state], schemes[0].proof.holds)
for equation in (schemes[0].init["G1"], schemes[0].step["ds1"], schemes[0].expand["W1"]):
    print(equation)

rng = np.random.default_rng(0)
weights = [rng.normal(size=conv.shape(theta)) for theta in conv.parameters]
signal, target, trained = rng.normal(size=(1, 8)), [1.0, -1.0], []
for s in schemes:
    kernel = s.compile()
    state = kernel.init(weights, signal)
    for _ in range(100):
        state = kernel.step(state, signal, target, 0.02)
    trained.append(kernel.expand(state, weights, signal))
print([f"{abs(one - other).max():.0e}" for one, other in zip(*trained, strict=True)], "apart")
print(*map(fcsym.cost, schemes), sep="\n")

# %% [markdown]
# A recurrence is unrolled: every step has equations of its own, and all of them share the weights.

# %%
lstm = fcsym.Network.sequential((2, 2), [layers.LSTM(2, 2, last=True), layers.Linear(2, 1)])
e = fcsym.derive(lstm)
print(e["c1_t2"])
print(e["dE_dUf1"])
print(e.proof.holds, len(e), "equations")

# %% [markdown]
# Attention is a softmax of inner products. With a residual connection and a normalisation it is a block of a
# transformer. Its read-out is taken at every position, and one `p`, that of least norm, serves them all. What is proved
# is proved at every width, modulo what is known of exp and the square root.

# %%
block = layers.Residual([layers.LayerNorm(4), layers.MultiheadAttention(4, 2, causal=True)])
attention = fcsym.Network.sequential((3, 4), [block, layers.Linear(4, 2)], loss="cross_entropy")
a = fcsym.derive(attention)
for name in ("s2", "tau2", "psi2", "v2", "delta2", "K", "mu", "p"):
    print(a[name])
print(a.proof.holds, len(a), "equations;", next(line for line in a.assumptions if "A `p`" in line))
fcsym.draw(attention)

# %% [markdown]
# The kernels are measured against automatic differentiation, which knows nothing of these equations. A layer that fcsym
# does not have is a few lines of forward equations: here one half of the units gates the other.

# %%
for derivation in (d, e, a):
    report = fcsym.check(derivation, trials=20)
    print(report.passed, max(row.ratio for row in report.rows if row.points))

eq = fcsym.equations
i, j, k = eq.indices("i j k")
x, W = eq.input_("x", j), eq.parameter("W", k, i)
U, V = (eq.parameter(name, i, j) for name in "UV")
s, t, h, v, y = (*(eq.hidden(name, i) for name in "sthv"), eq.hidden("y", k))
halves = [(s[i], eq.total(j, U[i, j] * x[j])), (t[i], eq.total(j, V[i, j] * x[j]))]
gated = [(h[i], eq.apply("sigmoid", t[i])), (v[i], s[i] * h[i]), (y[k], eq.total(i, W[k, i] * v[i]))]
own = fcsym.derive(fcsym.Network.from_equations([*halves, *gated], {"i": 3, "j": 2, "k": 1}))
print(own["dv"])
print(own["p"])
print(own.proof.holds, fcsym.check(own, trials=20).passed)
