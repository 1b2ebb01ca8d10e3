"""fcsym: derive, prove, typeset, compile and check the learning rules of small networks.

    import fcsym
    net = fcsym.Network.parse("2-2-1")
    d = fcsym.derive(net, order="sequential")
    d.cases("p", unit=1)

Names are imported when they are first used: `fcsym --help` pays for no algebra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcsym import equations as equations
    from fcsym import layers as layers
    from fcsym.certificates import certify as certify
    from fcsym.checking.checker import check as check
    from fcsym.checking.report import Report as Report
    from fcsym.closed.costs import Cost as Cost
    from fcsym.closed.costs import cost as cost
    from fcsym.collapsing import Collapse as Collapse
    from fcsym.collapsing import find_collapse as find_collapse
    from fcsym.derivation import Derivation as Derivation
    from fcsym.derivation import derive as derive
    from fcsym.derivatives import Gradient as Gradient
    from fcsym.derivatives import gradient as gradient
    from fcsym.drawing.picture import Picture as Picture
    from fcsym.errors import ArgumentError as ArgumentError
    from fcsym.errors import CompileError as CompileError
    from fcsym.errors import Diverged as Diverged
    from fcsym.errors import ExportError as ExportError
    from fcsym.errors import FcsymError as FcsymError
    from fcsym.errors import GateEvent as GateEvent
    from fcsym.errors import LossWarning as LossWarning
    from fcsym.errors import MissingTool as MissingTool
    from fcsym.errors import NetworkError as NetworkError
    from fcsym.errors import SizeError as SizeError
    from fcsym.errors import UndefinedContribution as UndefinedContribution
    from fcsym.explorer import Explorer as Explorer
    from fcsym.explorer import explore as explore
    from fcsym.language.activation import Activation as Activation
    from fcsym.language.activation import Piece as Piece
    from fcsym.language.activation import identity as identity
    from fcsym.language.activation import leaky_relu as leaky_relu
    from fcsym.language.activation import piecewise_linear as piecewise_linear
    from fcsym.language.activation import relu as relu
    from fcsym.language.activation import smooth as smooth
    from fcsym.language.equation import Case as Case
    from fcsym.language.equation import Equation as Equation
    from fcsym.language.equation import Verdict as Verdict
    from fcsym.language.findings import Proof as Proof
    from fcsym.language.sympy_bridge import from_sympy as from_sympy
    from fcsym.layers import GRU as GRU
    from fcsym.layers import LSTM as LSTM
    from fcsym.layers import RNN as RNN
    from fcsym.layers import Add as Add
    from fcsym.layers import AvgPool1d as AvgPool1d
    from fcsym.layers import AvgPool2d as AvgPool2d
    from fcsym.layers import Concatenate as Concatenate
    from fcsym.layers import Conv1d as Conv1d
    from fcsym.layers import Conv2d as Conv2d
    from fcsym.layers import Dense as Dense
    from fcsym.layers import Dropout as Dropout
    from fcsym.layers import Embedding as Embedding
    from fcsym.layers import Flatten as Flatten
    from fcsym.layers import LayerNorm as LayerNorm
    from fcsym.layers import Linear as Linear
    from fcsym.layers import MaxPool1d as MaxPool1d
    from fcsym.layers import MaxPool2d as MaxPool2d
    from fcsym.layers import MultiheadAttention as MultiheadAttention
    from fcsym.layers import Node as Node
    from fcsym.layers import Residual as Residual
    from fcsym.layers import RMSNorm as RMSNorm
    from fcsym.networks.drawn import draw as draw
    from fcsym.networks.network import Network as Network
    from fcsym.networks.own_loss import loss as loss
    from fcsym.networks.rules import UpdateRule as UpdateRule
    from fcsym.networks.rules import rule as rule
    from fcsym.paper import Audit as Audit
    from fcsym.paper import audit as audit
    from fcsym.paper.experiment import Experiment as Experiment
    from fcsym.paper.experiment import run as reproduce  # noqa: F401
    from fcsym.pictures.charts import cost_chart as cost_chart
    from fcsym.pictures.charts import error_chart as error_chart
    from fcsym.training import Scheme as Scheme
    from fcsym.training import collapse as collapse
    from fcsym.training import next_input as next_input
    from fcsym.training import scheme as scheme
    from fcsym.worked import AuditedExample as AuditedExample
    from fcsym.worked import audit_example as audit_example

__version__ = "0.1.0"

_WHERE = {
    "Activation": "language.activation",
    "ArgumentError": "errors",
    "Audit": "paper",
    "Case": "language.equation",
    "Collapse": "collapsing",
    "CompileError": "errors",
    "Cost": "closed.costs",
    "Derivation": "derivation",
    "Diverged": "errors",
    "Equation": "language.equation",
    "ExportError": "errors",
    "Experiment": "paper.experiment",
    "Explorer": "explorer",
    "FcsymError": "errors",
    "Gradient": "derivatives",
    "Network": "networks.network",
    "MissingTool": "errors",
    "NetworkError": "errors",
    "Picture": "drawing.picture",
    "Piece": "language.activation",
    "Proof": "language.findings",
    "Report": "checking.report",
    "Scheme": "training",
    "SizeError": "errors",
    "GateEvent": "errors",
    "LossWarning": "errors",
    "UndefinedContribution": "errors",
    "Verdict": "language.equation",
    "AuditedExample": "worked",
    "audit": "paper",
    "audit_example": "worked",
    "certify": "certificates",
    "check": "checking.checker",
    "collapse": "training",
    "cost": "closed.costs",
    "cost_chart": "pictures.charts",
    "derive": "derivation",
    "draw": "networks.drawn",
    "error_chart": "pictures.charts",
    "explore": "explorer",
    "find_collapse": "collapsing",
    "from_sympy": "language.sympy_bridge",
    "gradient": "derivatives",
    "identity": "language.activation",
    "leaky_relu": "language.activation",
    "loss": "networks.own_loss",
    "next_input": "training",
    "piecewise_linear": "language.activation",
    "relu": "language.activation",
    "reproduce": "paper.experiment:run",
    "rule": "networks.rules",
    "scheme": "training",
    "smooth": "language.activation",
    "UpdateRule": "networks.rules",
}

_LAYERS = (
    "Add", "AvgPool1d", "AvgPool2d", "Concatenate", "Conv1d", "Conv2d", "Dense", "Dropout", "Embedding", "Flatten",
    "GRU", "LSTM", "LayerNorm", "Linear", "MaxPool1d", "MaxPool2d", "MultiheadAttention", "Node", "RMSNorm", "RNN",
    "Residual",
)  # fmt: skip
"""The layers, which are in `fcsym.layers` too; there is also Activation, which here is the function."""
_WHERE |= dict.fromkeys(_LAYERS, "layers")

_MODULES = ("equations", "layers")

__all__ = ["__version__", *_MODULES, *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"fcsym.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'fcsym' has no attribute {name!r}")
    module, _, there = _WHERE[name].partition(":")
    value = getattr(import_module(f"fcsym.{module}"), there or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
