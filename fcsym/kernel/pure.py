"""Schemes as pure functions of another library's arrays: `compile("jax")` and `compile("torch")`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fcsym.errors import CompileError
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.targets.base import Target
from fcsym.kernel.targets.jax import JaxTarget
from fcsym.kernel.targets.torch import TorchTarget

if TYPE_CHECKING:
    from fcsym.schemes.record import SchemeRecord

__all__ = ["PureKernel", "pure_kernel"]

_TARGETS: dict[str, type[Target]] = {"jax": JaxTarget, "torch": TorchTarget}


def pure_kernel(scheme: SchemeRecord, target: str) -> PureKernel:
    """The scheme's four functions in JAX or PyTorch. Raises CompileError where that is not installed."""
    if target not in _TARGETS:
        raise CompileError(f"The target {str(target)[:40]!r} does not run in the process.")
    if find_spec(target) is None:
        raise CompileError(
            f"The target {target!r} needs the package {target}: install it with pip install 'fcsym[{target}]'."
        )
    return PureKernel(scheme, _TARGETS[target]())


class PureKernel:
    """init, step, output and expand as functions of arrays; nothing in them depends on a value.

    They can be traced, compiled, mapped and differentiated. What is undefined is nan, nothing is raised but for missing
    arguments, and the scheme for any inputs with stored ones takes `capacity` at `init`.
    """

    def __init__(self, scheme: SchemeRecord, target: Target) -> None:
        self.scheme, self.network, self.order, self.module = scheme, scheme.network, scheme.order, lower_scheme(scheme)
        self.target = target.name
        self.source = target.source(self.module)
        namespace: dict[str, Any] = {"__name__": f"fcsym_{target.name}_{scheme.name}"}
        # The text was generated from derivations; array names are fcsym's own (W1, x), never a reader's.
        exec(compile(self.source, f"<fcsym {target.name} {scheme.name}>", "exec"), namespace)
        self.State = namespace["State"]
        self.init, self.step = namespace["init"], namespace["step"]
        self.output, self.expand = namespace["output"], namespace["expand"]

    def __repr__(self) -> str:
        return f"<kernel: {self.module.title}, target {self.target}>"
