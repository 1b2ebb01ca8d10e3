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
# # What collapses, and what does not
#
# The paper says that a network's layers collapse into one, whose weights are a non-linear function of themselves. What
# is exactly true can be found by machine: start from the output, apply one training step, write down which sums over
# units it needs, and repeat. When nothing new is needed, training closes on what was written down.

# %%
import fcsym

found = fcsym.find_collapse(fcsym.Network.parse("5-1000-1"))
for equation in (*found.closure.parts, *found.definitions, *found.recursion):
    print(equation)
print(found.conclusion)

# %% [markdown]
# A thousand units and five inputs, and two numbers move for the units that are active: `T1`, the output itself, and
# `T2`. The proof is an identity at every width. Here they are in training, read off beside the weights that nobody
# touches until they are asked for.

# %%
import numpy as np

rng = np.random.default_rng(1)
weights = [rng.normal(size=(1000, 5)) / 2, rng.normal(size=(1, 1000)) / 30]
x = rng.normal(size=5)
run = found.train(weights, x)
for step in range(0, 31, 5):
    active = int(run.slopes[1][0].argmax())
    sums = {name: float(np.ravel(value[..., active])[0]) for name, value in run.state.items()}
    print(f"step {step:2}: S1 = {sums['S1']:8.4f}   x.x S2 + S3 = {x @ x * sums['S2'] + sums['S3']:8.4f}")
    for _ in range(5):
        run.step([20.0], 0.0005)

# %% [markdown]
# When a unit crosses its kink it changes its group, exactly when it does so in backpropagation. The weights at any time
# are those of backpropagation:

# %%
W1, W2 = (np.array(w) for w in weights)
for _ in range(run.steps):
    s = W1 @ x
    error = (W2 @ np.maximum(s, 0))[0] - 20.0
    W1, W2 = W1 - 0.0005 * error * np.outer(W2[0] * (s > 0), x), W2 - 0.0005 * error * np.maximum(s, 0)
print("largest difference of a weight:", max(np.abs(W1 - run.expand()[0]).max(), np.abs(W2 - run.expand()[1]).max()))
print("units that changed their group:", sum(len(event.units) for event in run.events))
run.chart()

# %% [markdown]
# The paper's sentence, made exact: a unit's `v` is a function of its `w`. Every step multiplies `v^2 - a w^2` by the
# same factor for all units, and so the effective weight `r = w v/v^c` is a non-linear function of `w`:

# %%
for form in found.forms:
    print(form)

# %% [markdown]
# ## Several inputs, several layers
#
# With m inputs and K outputs it is one Gram matrix of K + m rows for each gate pattern; momentum doubles the rows.
# Several layers close when no two neighbours among the hidden ones are summed over. Neighbours do not close as far as
# the finder looks: every round asks for products with two factors more. So n layers do not collapse to one in this
# way, as the induction has it; every other hidden layer does.

# %%
for network, inputs in (("50-1000-2", 3), ("8-100-6-80-1", 1)):
    several = fcsym.find_collapse(fcsym.Network.parse(network), inputs)
    print(several.conclusion)
    for equation in several.definitions:
        print("  ", equation)
print(fcsym.find_collapse(fcsym.Network.parse("8-100-100-1"), contracted=[0, 1, 2]).choices[0].said)

# %% [markdown]
# The scheme `collapsed` trains on that, in NumPy, C, JAX or PyTorch. Units of one gate pattern are turned into as many
# columns as a unit has numbers, and no step is as long as the layer is wide; a unit that crosses its kink goes on as a
# column of its own.

# %%
rng = np.random.default_rng(1)
network = fcsym.Network.parse("50-500-2")
weights = [rng.normal(size=network.shape(a)) / np.sqrt(network.shape(a)[-1]) for a in network.parameters]
inputs, targets = rng.normal(size=(3, 50)), rng.normal(size=(3, 2))
kernel = fcsym.scheme(network, "collapsed").compile()
state = kernel.init(weights, inputs)
print(state.said)
for _ in range(100):
    state = kernel.step(state, inputs, targets, 0.0005)
print("units that crossed a kink:", sum(len(event.units) for event in state.events))
print("how far the outputs are from their targets:", np.abs(kernel.output(state, inputs) - targets).max())
