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
# # The paper's network, step by step
#
# Two inputs, two ReLU units, one output, and one training step in the order of the paper: the error passes through
# weights that are already updated. Every equation below is derived; asked, each one says why it holds.

# %%
import fcsym

net = fcsym.Network.parse("2-2-1")
net

# %%
d = fcsym.derive(net, order="sequential")
d

# %% [markdown]
# An equation knows the rule that justifies it, the equations that it uses, and where the paper has it.

# %%
change = d["ds1"]
print(change)
print(change.rule.value, "|", change.because, "| uses", *change.uses, "| paper,", change.cite)

# %% [markdown]
# ## The compensation p
#
# `p` is what must be added to the last layer's weights so that the *frozen* first layer gives the output that
# backpropagation gives. There is one equation for all units together; the paper solves it unit by unit, and that is a
# choice. What `p` is depends on what happens to the unit.
#
# PROVED: two deciders agree. CHOSEN: one of many solutions. DEFINITION: nothing to prove. REFUTED comes with exact
# numbers, what was only tried and not proved is SAMPLED, and what nobody could decide is UNDECIDED.

# %%
for case in d.cases("p", unit=1, keep=("dE_dY", "W2'", "vc")):
    print(case, "|", case.condition, "|", case.note)

# %%
for kind in fcsym.Verdict:
    print(f"{kind.value:12}", d.proof.count(kind))
print(d.proof.method, "on", d.proof.instance)

# %% [markdown]
# ## The same equations as a function of arrays
#
# The step trains the whole network. `y_front` is the output of the frozen first layer with the weights `w' + p`: it
# is the output after the step, `y_new`.

# %%
import numpy as np

weights = [np.array([[0.5, 0.25], [1.0, -0.5]]), np.array([[1.0, -2.0]])]
after = d.compile().step(weights, x=[1.0, 2.0], target=[0.5], eta=0.1)
print("p =", after.p, " y before =", after.y, " y after =", after.y_new, " y of the frozen network =", after.y_front)

# %% [markdown]
# And against automatic differentiation, which knows nothing of these equations: the worst error of every quantity in
# every case, as a share of what rounding alone can do.

# %%
print(fcsym.check(d, trials=200))
