"""`python docs/kinks.py`: docs/kinks.md, the same gradient exactly at a kink in several libraries, measured by each.

What a library calls it stands beside the number; the number is never typed in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "kinks.md"
MEASURED = ("torch", "jax", "autograd", "sympy")

# the kinks of each function, and fcsym's activation
FUNCTIONS: dict[str, tuple[tuple[float, ...], Callable[[], Any]]] = {
    "ReLU": ((0.0,), lambda: "relu"),
    "leaky ReLU, slope 0.01": ((0.0,), lambda: "leaky_relu"),
    "ReLU6": ((0.0, 6.0), lambda: _pieces("relu6", (0, 0, 0), (6, 1, 0), (None, 0, 6))),
    "absolute value": ((0.0,), lambda: _pieces("abs", (0, -1, 0), (None, 1, 0))),
}

HEAD = """# Exactly at a kink

At a kink a function has no derivative. Whoever differentiates a program says one all the same, and libraries do not
agree, nor does one of them with itself: it depends on how the function is spelt. The table has what each says of d/dw
of 1/2 (phi(w x) - t)^2 with x = 1 and phi(w) - t = 1, where w is the kink: the slope of phi there. It is measured by
`python docs/kinks.py`.

"""

CALLED = """
What they call it:

- **PyTorch**: where a function is convex, "the sub-gradient of minimum norm" ([gradients for non-differentiable
  functions](https://docs.pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions)); 0
  is that of ReLU. `clamp` counts its bounds as inside, and `maximum` gives each of two equal arguments a half.
- **JAX**: of `jax.nn.relu` its page says "except under differentiation, we take" 0. `jnp.maximum` and `jnp.clip`
  share the derivative between equal arguments (`_balanced_eq` in its source).
- **autograd**: nothing on its page; `balanced_eq` in its source.
- **SymPy**: `Heaviside(0)`, which is 1/2, "a convention from electronics and signal processing"; of `Abs`, `sign(0)`,
  which is 0.
- **tensorgrad** 0.3.0, which is not in the table since it needs an older PyTorch: the derivative of `relu` is its
  function `gt0`. By its source, what is evaluated term by term has `s > 0` for it, slope 0, and what is compiled has
  `s >= 0`, slope 1: the same expression has two gradients there.
- **fcsym**: the *slope at the kink*, `slope_at_kink`, a definition and no derivative: it stands in the derivation,
  and in what Coq is asked to believe. Without it, it is the slope on the left, which for ReLU is PyTorch's. Every
  subgradient can be given, and what is proved of the step holds for the one that is given. Off the kinks Coq checks
  that what is passed back is the derivative; at them it cannot, and nothing here says so.

A network meets a kink more often than almost never: zeros in the data, units without bias, a unit that was switched
off. The points that fcsym checks its kernels on contain s = 0 and s' = 0 exactly, and its oracles are written with
`where`, so that they have the slope that is asked for.
"""


def _pieces(name: str, *pieces: tuple[int | None, int, int]) -> Any:
    import fcsym

    return fcsym.piecewise_linear(name, [fcsym.Piece(*piece) for piece in pieces])


def rows() -> Iterator[tuple[str, str, str, str]]:
    """(function and kink, library, how it is written, the slope)."""
    for name, (kinks, _) in FUNCTIONS.items():
        for kink in kinks:
            for library, written, found in (
                *_torch(name, kink), *_jax(name, kink), *_autograd(name, kink), *_sympy(name, kink),
                *_of_fcsym(name, kink),
            ):  # fmt: skip
                yield f"{name}, at {kink:g}", library, written, _slope(found)


def _slope(value: object) -> str:
    exact = Fraction(str(value)).limit_denominator(1000)
    return str(exact) if exact.denominator <= 2 else str(float(exact))


def _torch(name: str, kink: float) -> Iterator[tuple[str, str, float]]:
    import torch
    from torch.nn import functional

    zero = torch.zeros((), dtype=torch.float64)
    spelt: dict[str, dict[str, Callable[[Any], Any]]] = {
        "ReLU": {
            "torch.relu(s)": torch.relu,
            "torch.where(s > 0, s, 0)": lambda s: torch.where(s > 0, s, zero),
            "torch.maximum(s, 0)": lambda s: torch.maximum(s, zero),
            "s.clamp(min=0)": lambda s: s.clamp(min=0),
        },
        "leaky ReLU, slope 0.01": {"functional.leaky_relu(s)": lambda s: functional.leaky_relu(s, 0.01)},
        "ReLU6": {
            "functional.relu6(s)": functional.relu6,
            "functional.hardtanh(s, 0, 6)": lambda s: functional.hardtanh(s, 0.0, 6.0),
            "s.clamp(0, 6)": lambda s: s.clamp(0, 6),
        },
        "absolute value": {"torch.abs(s)": torch.abs},
    }
    for written, phi in spelt[name].items():
        w = torch.tensor(kink, dtype=torch.float64, requires_grad=True)
        t = phi(torch.tensor(kink, dtype=torch.float64)) - 1
        (0.5 * (phi(w * 1.0) - t) ** 2).backward()
        yield "PyTorch", written, float(w.grad)


def _jax(name: str, kink: float) -> Iterator[tuple[str, str, float]]:
    import jax
    import jax.numpy as jnp

    spelt: dict[str, dict[str, Callable[[Any], Any]]] = {
        "ReLU": {
            "jax.nn.relu(s)": jax.nn.relu,
            "jnp.where(s > 0, s, 0)": lambda s: jnp.where(s > 0, s, 0.0),
            "jnp.maximum(s, 0)": lambda s: jnp.maximum(s, 0.0),
        },
        "leaky ReLU, slope 0.01": {"jax.nn.leaky_relu(s)": lambda s: jax.nn.leaky_relu(s, 0.01)},
        "ReLU6": {"jax.nn.relu6(s)": jax.nn.relu6, "jnp.clip(s, 0, 6)": lambda s: jnp.clip(s, 0.0, 6.0)},
        "absolute value": {"jnp.abs(s)": jnp.abs},
    }
    for written, phi in spelt[name].items():
        t = float(phi(jnp.float32(kink))) - 1

        def error(w: Any, phi: Callable[[Any], Any] = phi, t: float = t) -> Any:
            return 0.5 * (phi(w * 1.0) - t) ** 2

        yield "JAX", written, float(jax.grad(error)(kink))


def _autograd(name: str, kink: float) -> Iterator[tuple[str, str, float]]:
    import autograd.numpy as np
    from autograd import grad

    spelt: dict[str, dict[str, Callable[[Any], Any]]] = {
        "ReLU": {
            "np.where(s > 0, s, 0)": lambda s: np.where(s > 0, s, 0.0),
            "np.maximum(s, 0)": lambda s: np.maximum(s, 0.0),
        },
        "leaky ReLU, slope 0.01": {"np.maximum(s, 0.01*s)": lambda s: np.maximum(s, 0.01 * s)},
        "ReLU6": {
            "np.minimum(np.maximum(s, 0), 6)": lambda s: np.minimum(np.maximum(s, 0.0), 6.0),
            "np.clip(s, 0, 6)": lambda s: np.clip(s, 0.0, 6.0),
        },
        "absolute value": {"np.abs(s)": np.abs},
    }
    for written, phi in spelt[name].items():
        t = float(phi(kink)) - 1
        yield "autograd", written, float(grad(lambda w, phi=phi, t=t: 0.5 * (phi(w * 1.0) - t) ** 2)(kink))


def _sympy(name: str, kink: float) -> Iterator[tuple[str, str, object]]:
    import sympy

    s = sympy.Symbol("s", real=True)
    spelt: dict[str, dict[str, Any]] = {
        "ReLU": {
            "Max(0, s)": sympy.Max(0, s),
            "Piecewise((s, s > 0), (0, True))": sympy.Piecewise((s, s > 0), (0, True)),
        },
        "leaky ReLU, slope 0.01": {"Max(s, s/100)": sympy.Max(s, s / 100)},
        "ReLU6": {"Min(Max(0, s), 6)": sympy.Min(sympy.Max(0, s), 6)},
        "absolute value": {"Abs(s)": sympy.Abs(s)},
    }
    at = sympy.Integer(int(kink))
    for written, phi in spelt[name].items():
        t = phi.subs(s, at) - 1
        yield "SymPy", written, sympy.diff((phi - t) ** 2 / 2, s).subs(s, at)


def _of_fcsym(name: str, kink: float) -> Iterator[tuple[str, str, float]]:
    """The step of a network 1-1-1 whose second weight is 1."""
    import fcsym

    given = {"": None, ", slope_at_kink=0.5": "1/2"} if name == "ReLU" else {"": None}
    for said, slope in given.items():
        phi = FUNCTIONS[name][1]()
        d = fcsym.derive(fcsym.Network.mlp([1, 1, 1], activation=phi), "simultaneous", slope_at_kink=slope)
        value = d.compile().step([[[kink]], [[1.0]]], [1.0], [0.0], 0.0).y
        step = d.compile().step([[[kink]], [[1.0]]], [1.0], value - 1, 1.0)
        yield "fcsym", f"{d.network.layers[0].activation.name}{said}", kink - float(step.W1_new.item())


def page(versions: str) -> str:
    """The whole page."""
    lines = ["| function | library | written | slope |", "|---|---|---|---:|"]
    before = ("", "")
    for function, library, written, slope in rows():
        shown = ("" if function == before[0] else function, "" if (function, library) == before else library)
        lines.append(f"| {shown[0]} | {shown[1]} | `{written}` | {slope} |")
        before = (function, library)
    return HEAD + "\n".join(lines) + f"\n\n{versions}\n" + CALLED


def versions() -> str:
    """What was measured."""
    return f"Measured with {', '.join(f'{name} {version(name)}' for name in MEASURED)}."


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parent.parent))
    PAGE.write_text(page(versions()), encoding="utf-8", newline="\n")
    print(PAGE)
