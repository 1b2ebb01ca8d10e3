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
# A scheme is derived, proved, and then compiled to four functions: `init`, `step`, `output`, `expand`. They run here,
# and they leave as files that need nothing of fcsym.

# %%
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

import fcsym

net = fcsym.Network.parse("2-4-1")
scheme = fcsym.scheme(net, "states", order="sequential")
print("holds:", scheme.proof.holds, "| proved", scheme.proof.count(fcsym.Verdict.PROVED))
scheme

# %% [markdown]
# ## In this process
#
# A thousand networks are trained at once, in the state of the scheme and by backpropagation: leading axes broadcast.
# `expand` gives the weights back, and they are those of backpropagation up to rounding.

# %%
rng = np.random.default_rng(0)
weights = [rng.normal(size=(1000, 4, 2)), rng.normal(size=(1000, 1, 4))]
x, target, eta = np.array([1.0, -0.5]), np.array([0.25]), 0.02
kernel, reference = scheme.compile(), fcsym.scheme(net, "backprop", order="sequential").compile()
state, truth = kernel.init(weights, x), reference.init(weights)
for _ in range(100):
    state, truth = kernel.step(state, x, target, eta), reference.step(truth, x, target, eta)
trained, expected = kernel.output(state, x), reference.expand(truth, weights, x)
found = kernel.expand(state, weights, x)
print("largest difference:", max(float(np.max(np.abs(a - b))) for a, b in zip(found, expected, strict=True)))
print("agrees with autodiff:", fcsym.check(scheme, trials=20, steps=50).passed)

# %% [markdown]
# ## As files
#
# Each is checked against automatic differentiation before it is written, and says in its head what it computes.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
written = [
    *scheme.export(folder / "update.py"),
    *scheme.export(folder / "update.c"),
    *scheme.export(folder / "update_jax.py", target="jax"),
]
print(*(file.name for file in written))

# %% [markdown]
# **NumPy.** The file is a module like any other; run as a program, it tests itself.

# %%
sys.path.insert(0, str(folder))
import update

state = update.init(weights, x)
for _ in range(100):
    state = update.step(state, x, target, eta)
print("equal in every bit:", np.array_equal(update.output(state, x), trained))
print(subprocess.run([sys.executable, written[0]], capture_output=True, text=True, check=True).stdout.strip())

# %% [markdown]
# **C.** A program of a few lines trains the first of those networks and prints its output. It needs a compiler and
# two files; the state is a struct, and nothing is allocated.

# %%
numbers = ["{{{}}}".format(", ".join(repr(float(number)) for number in w[0].ravel())) for w in weights]
(folder / "train.c").write_text(f"""#include <stdio.h>
#include "update.h"
int main(void) {{
    const update_weights start = {{{", ".join(numbers)}}};
    const double x[] = {{1.0, -0.5}}, target[] = {{0.25}};
    update_state state;
    double y[UPDATE_OUTPUTS];
    update_init(&state, &start, x);
    for (int n = 0; n < 100; n++) update_step(&state, target, 0.02);
    update_output(&state, y);
    printf("%.17g", y[0]);
}}""")
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
if compiler is None:
    print("There is no C compiler here: install one (apt-get install gcc), and run this cell again.")
else:
    command = [compiler, "-std=c99", "-O2", "-ffp-contract=off", "train.c", "update.c", "-lm", "-o", "train"]
    subprocess.run(command, cwd=folder, check=True)
    said = subprocess.run([folder / "train"], capture_output=True, text=True, check=True).stdout
    print("the program says", said, "| equal in every bit:", float(said) == float(trained[0, 0]))

# %% [markdown]
# **JAX.** Pure functions for `jit`, `vmap`, `grad` and `lax.scan`: the step is mapped over the networks and compiled,
# and the output is differentiated with respect to the state.

# %%
if importlib.util.find_spec("jax") is None:
    print("JAX is not installed here: pip install 'fcsym[jax]', and run this cell again.")
else:
    import jax

    jax.config.update("jax_enable_x64", True)
    import update_jax

    state = jax.vmap(update_jax.init, in_axes=(0, None))(weights, x)
    step = jax.jit(jax.vmap(update_jax.step, in_axes=(0, None, None, None)))
    for _ in range(100):
        state = step(state, x, target, eta)
    print("largest difference:", float(np.max(np.abs(update_jax.output(state, x) - trained))))
    one = update_jax.State(*(array[0] for array in state))
    print("derivative of the output:", jax.jacobian(update_jax.output)(one, x).W2.round(4))
