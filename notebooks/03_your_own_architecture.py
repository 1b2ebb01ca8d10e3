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
# # Your own architecture
#
# Any depth, widths, biases and outputs; and any continuous activation made of straight pieces. Here is a hat: it
# falls to the left of 0, rises to 2, and stays there.

# %%
import fcsym

hat = fcsym.piecewise_linear(
    "hat",
    [fcsym.Piece(0, -1, name="falling"), fcsym.Piece(2, 1, name="rising"), fcsym.Piece(None, 0, 2, name="flat")],
)
net = fcsym.Network.mlp([2, 3, 2], activation=hat, bias=[True, False])
net

# %%
d = fcsym.derive(net, order="simultaneous")
print(d["dv1"])
print("holds:", d.proof.holds, "| proved", d.proof.count(fcsym.Verdict.PROVED))

# %% [markdown]
# A unit on a piece with slope 0 does not learn. Over two inputs, with the other numbers as the caption says:

# %%
d.case_map(("x_1", "x_2"), unit=1)

# %% [markdown]
# The compiled step agrees with automatic differentiation, case by case; a case that no point reached would fail.

# %%
report = fcsym.check(d, trials=300)
print("passed:", report.passed, "|", report.points, "numbers | worst:", report.worst.quantity, report.worst.case)

# %% [markdown]
# ## What it costs
#
# A *scheme* is a way to carry the state of training. Each is derived for the network; its cost is counted on the
# derivation, as a polynomial in the widths.

# %%
for name in ("backprop", "weights", "states", "history"):
    print(fcsym.cost(fcsym.scheme(net, name)))

# %%
fcsym.cost_chart(fcsym.Network.parse("64-8-10"), "operations")
