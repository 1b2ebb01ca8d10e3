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
# # The XOR experiment
#
# The paper trains a 2-2-1 network on XOR by its three techniques and plots the difference from backpropagation: "the
# order of error is < 10^-15". It gives neither weights nor step size; here both are given.

# %%
import fcsym

experiment = fcsym.reproduce(steps=200, eta=0.1, seed=0)
for technique in ("weights", "compensation", "states", "history", "basis"):
    print(f"{technique:14} worst difference {experiment.worst(technique):.1e}")

# %%
picture = fcsym.error_chart(experiment)
print(picture)
picture

# %% [markdown]
# ## Which one is wrong?
#
# A difference of two results in floating point does not say which of them is off. Both are held against the exact
# outputs of the same training, computed with far more digits.

# %%
print(experiment.exact)
for technique in ("weights", "compensation", "states"):
    runs = [run for run in experiment.runs if run.technique == technique]
    front = max(float(max(run.error_of_front)) for run in runs)
    back = max(float(max(run.error_of_backprop)) for run in runs)
    print(f"{technique:14} from exact: front contribution {front:.1e}, backpropagation {back:.1e}")

# %% [markdown]
# ## Large steps
#
# Front contribution is the same training by other means, so it diverges where backpropagation does. Of random
# networks, these many leave the floating-point range within 200 steps; `fcsym reproduce` says why the sequential order
# does so more often:

# %%
for row in experiment.divergences:
    print(f"eta = {row.eta:<4g} {row.order:13} {row.diverged:4} of {row.runs}")

# %% [markdown]
# ## r after n steps
#
# The paper's display for `r` after n steps, the same with its misprints mended, and the exact formula, each against
# the output that it should reproduce. The exact one does at every step; the others drift away from it:

# %%
for row in experiment.formulas:
    print(f"{row.steps:4} steps, {row.order:13} {row.formula:8} median {row.median:.1e}, worst {row.worst:.1e}")
