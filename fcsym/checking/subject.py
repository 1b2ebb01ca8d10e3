"""What a check asks of a derivation and of a scheme, without knowing either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fcsym.language.equation import Equation, Order
from fcsym.language.expression import Array
from fcsym.language.findings import Proof
from fcsym.networks.network import Network

__all__ = ["Asked", "Derived", "Differentiated", "Trained"]


class Derived(Protocol):
    """One training step: its equations, their verdicts and its kernel."""

    @property
    def network(self) -> Network: ...
    @property
    def order(self) -> Order: ...
    @property
    def equations(self) -> tuple[Equation, ...]: ...
    @property
    def by_name(self) -> Mapping[str, Equation]: ...
    @property
    def proof(self) -> Proof: ...
    def compile(self, target: str = "numpy") -> Any: ...


class Asked(Protocol):
    """What is differentiated, as arrays: E or y, once by `first` or along directions before, or not."""

    @property
    def first(self) -> Array | None: ...
    @property
    def along(self) -> tuple[Array, ...]: ...


class Differentiated(Derived, Protocol):
    """Derivatives: of what, by what, and the equations that give them, in the same order."""

    @property
    def of(self) -> str: ...
    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def asked(self) -> Asked: ...
    @property
    def results(self) -> tuple[Equation, ...]: ...


class Trained(Protocol):
    """A scheme that trains networks: what it holds, and its kernel."""

    @property
    def name(self) -> str: ...
    @property
    def network(self) -> Network: ...
    @property
    def order(self) -> Order: ...
    @property
    def single_input(self) -> bool: ...
    @property
    def conventional(self) -> Derived: ...
    @property
    def gates(self) -> tuple[Equation, ...]: ...
    def compile(self, target: str = "numpy") -> Any: ...
