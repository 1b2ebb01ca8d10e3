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
# # Cases, to move through
#
# Each slider is one number of the network. The dot is where they put it in the map of cases of unit 1; below the map
# stand the unit's change and its compensation *in the case that holds there*, with their values.

# %%
import fcsym

net = fcsym.Network.parse("2-2-1")
start = {
    "w_1": 0.5,
    "w_2": 0.3,
    "w_3": 0.8,
    "w_4": 1.5,
    "w_5": 1.2,
    "w_6": 0.9,
    "x_1": 1,
    "x_2": -1,
    "y_g": 1.5,
    "eta": 0.1,
}
explorer = fcsym.explore(net, order="sequential", at=start)
explorer

# %% [markdown]
# The same without a widget, as a page shows it that nothing runs behind:

# %%
explorer.still

# %% [markdown]
# A large step, and a weight of the other sign: the unit dies, and what is left of `p` takes its weight away.

# %%
fcsym.explore(net, order="sequential", at=start | {"eta": 0.7, "w_5": -1.0}).still

# %% [markdown]
# ## Over the inputs
#
# The map can be over any two numbers.

# %%
second = fcsym.explore(net, order="sequential", plane=("x_1", "x_2"), unit=2)
second

# %%
second.still
