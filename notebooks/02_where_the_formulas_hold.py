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
# # Where the paper's formulas hold, and where they do not
#
# Every equation that the paper prints is a claim. Each is decided by two independent deciders against the derivation;
# a refuted one comes with numbers at which both sides differ, and with the smallest change that makes it true.

# %%
import fcsym

fcsym.audit(rows=["eq. 13", "eq. 22"])

# %% [markdown]
# ## A sign, and a display
#
# The recursion for a second input (eq. 31) has a wrong sign. The display for `r` after n steps is refuted, too. CHOSEN,
# in the table above, is said of eq. 22: it is one of many solutions of one equation.

# %%
fcsym.audit(rows=["eq. 31, line 3", "r_5n, case 1"])

# %% [markdown]
# ## The order of the updates
#
# The paper's formula for `p` contains the *square* of the updated weight. That is the sequential order. With the old
# weights in the backward pass, as automatic differentiation has it, one factor is the old weight.

# %%
net = fcsym.Network.parse("2-2-1")
for order in ("sequential", "simultaneous"):
    d = fcsym.derive(net, order)
    print(order, d.expr("p", unit=1, case="active -> active", keep=("dE_dY", "W2'", "vc")))

# %% [markdown]
# ## Where a case holds
#
# The formula above is that of a unit which is active before and after the step. This is where, over the step size and
# the unit's weight above it:

# %%
picture = d.case_map(("eta", "w_5"), unit=1)
print(picture)
picture

# %% [markdown]
# ## Where no p exists
#
# With two hidden layers a unit can wake up: it gave 0 before the step and gives something after it. No number times 0
# is something, so there is no `p`, and the kernel says so when it is asked for one. The update is there all the same.

# %%
import numpy as np

deep = fcsym.derive(fcsym.Network.parse("1-2-2-1"), "sequential")
for case in deep.cases("p", unit=2, keep=("W3'", "ds2", "vc")):
    print(case, "|", case.note)
weights = [np.array([[1.0], [1.0]]), np.array([[1.0, 2.0], [1.0, -1.0]]), np.array([[-1.0, -0.5]])]
after = deep.compile().step(weights, x=[1.0], target=[0.0], eta=0.1)
print(after.W3_new, after.undefined)
try:
    print(after.p)
except fcsym.UndefinedContribution as problem:
    print(problem)
