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
# # Handwritten digits
#
# A network as people train it: 64-32-10, ReLU units, a softmax, cross-entropy, mini-batches of 32 and momentum. All of
# it is equations, and they are proved before anything is trained. The images come with scikit-learn
# (`pip install scikit-learn`).

# %%
import fcsym

net = fcsym.Network.mlp([64, 32, 10], bias=True, output="softmax", loss="cross_entropy")
momentum = fcsym.rule("momentum", beta=0.9, eta=0.1)
scheme = fcsym.scheme(net, "backprop", rule=momentum, batch="mean")
for name in ("y", "delta2", "M1'", "W1'"):
    print(scheme.step[name] if name != "y" else scheme.output[name])
print("holds:", scheme.proof.holds)

# %% [markdown]
# `delta2 = (y - y_g)/N` is derived: nobody put it in. The kernel is generated from the equations; labels are whole
# numbers.

# %%
import numpy as np
import sklearn.datasets

images, labels = sklearn.datasets.load_digits(return_X_y=True)
images = images / 16
rng = np.random.default_rng(0)
kernel = scheme.compile()
state = kernel.init([rng.normal(size=net.shape(array)) * 0.1 for array in net.parameters])
for epoch in range(1, 6):
    order = rng.permutation(len(images))
    for start in range(0, len(order), 32):
        chosen = order[start : start + 32]
        state = kernel.step(state, images[chosen], labels[chosen])
    right = kernel.output(state, images).argmax(axis=1) == labels
    print(f"epoch {epoch}: {right.mean():.3f} of {len(labels)} digits are read rightly")

# %% [markdown]
# ## All of them in one batch, without the first layer's weights
#
# With a batch that stays, the first layer's 2080 weights can be left untouched: `states` carries what its units give
# for each sample. It is exact, with momentum as well, and worth it where there are fewer samples than inputs.

# %%
few = slice(0, 40)
full = {name: fcsym.scheme(net, name, rule=momentum, batch="mean").compile() for name in ("backprop", "states")}
weights = [rng.normal(size=net.shape(array)) * 0.1 for array in net.parameters]
carried = {name: each.init(weights, images[few]) for name, each in full.items()}
for _ in range(100):
    carried = {name: each.step(carried[name], images[few], labels[few]) for name, each in full.items()}
one, other = (each.expand(carried[name], weights, images[few])[0] for name, each in full.items())
print("carried by states:", ", ".join(array.name for array in full["states"].scheme.state))
print("the weights differ by less than 1e-12:", bool(abs(one - other).max() < 1e-12))
