"""Layers for `fcsym.Network.sequential`, with the names, shapes and defaults of `torch.nn`."""

from fcsym.networks.graph import Node
from fcsym.networks.layers import *  # noqa: F403
from fcsym.networks.layers import __all__ as _kinds

__all__ = ["Node", *(name for name in _kinds if name not in ("KINDS", "Building", "Signal"))]
