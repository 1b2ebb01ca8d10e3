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
# # Schemes as programs
#
# A scheme is derived, proved, and then compiled to four functions: `init`, `step`, `output`, `expand`.

# %%
import tempfile

import numpy as np

import fcsym

net = fcsym.Network.parse("2-4-1")
scheme = fcsym.scheme(net, "states", order="sequential")
print(scheme)

# %%
print("holds:", scheme.proof.holds, "| proved", scheme.proof.count(fcsym.Verdict.PROVED))

# %% [markdown]
# ## NumPy
#
# The source can be read. Small networks are computed number by number over many networks at a time, wide ones by matrix
# products; either way leading axes broadcast.

# %%
kernel = scheme.compile("numpy")
print(kernel.source)

# %% [markdown]
# A thousand networks are trained at once, in the state of the scheme and by backpropagation. `expand` gives the
# weights back, and they are those of backpropagation up to rounding.

# %%
rng = np.random.default_rng(0)
weights = [rng.normal(size=(1000, 4, 2)), rng.normal(size=(1000, 1, 4))]
x, target = np.array([1.0, -0.5]), np.array([0.25])
reference = fcsym.scheme(net, "backprop", order="sequential").compile()
state, truth = kernel.init(weights, x), reference.init(weights)
for _ in range(100):
    state, truth = kernel.step(state, x, target, 0.02), reference.step(truth, x, target, 0.02)

# %%
found, expected = kernel.expand(state, weights, x), reference.expand(truth, weights, x)
print("largest difference:", max(float(np.max(np.abs(a - b))) for a, b in zip(found, expected, strict=True)))

# %%
print(fcsym.check(scheme, trials=20, steps=50).passed)

# %% [markdown]
# ## C and JAX
#
# With a C compiler at hand the same functions run as machine code, equal to NumPy in every bit. As files they need
# nothing of fcsym: C99 with a test program and a makefile, or pure functions for `jit`, `vmap` and `grad`.

# %%
native = scheme.compile("c")
once, again = (k.step(state, x, target, 0.02) for k in (native, kernel))
print("equal in every bit:", all(np.array_equal(a, b) for a, b in zip(once, again, strict=True)))

# %%
with tempfile.TemporaryDirectory() as folder:
    written = scheme.export(f"{folder}/update.c") + scheme.export(f"{folder}/update_jax.py", target="jax")
    for file in written:
        print(f"{file.name}: {len(file.read_text().splitlines())} lines")
    print((written[0].parent / "update.h").read_text())
