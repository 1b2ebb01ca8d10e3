"""Schemes: ways to carry training state, each four lists of equations (init, step, output, expand).

One module per scheme; a new one is a function (derivation of one step) -> SchemeRecord, entered below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from fcsym.deriving.pipeline import one_step
from fcsym.deriving.record import Record
from fcsym.errors import ArgumentError, shown
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.schemes import backprop, basis, collapsed, compensation, history, states, weights
from fcsym.schemes.record import PartRecord, SchemeRecord

__all__ = ["SCHEMES", "PartRecord", "SchemeRecord", "build", "every_scheme"]

SCHEMES: Mapping[str, Callable[[Record], SchemeRecord]] = {
    "backprop": backprop.build,
    "weights": weights.build,
    "compensation": compensation.build,
    "states": states.build,
    "history": history.build,
    "basis": basis.build,
    "collapsed": collapsed.build,
}


def build(
    network: Network, name: str, order: Order = "simultaneous", slope_at_kink: object = None, rule: object = None,
    batch: object = None, samples: object = None,
) -> SchemeRecord:  # fmt: skip
    """The record of the scheme of that name; arguments and errors of `fcsym.scheme`."""
    if name not in SCHEMES:
        raise ArgumentError(f"The scheme {shown(name)!r} is not known: choose one of {', '.join(SCHEMES)}.")
    base = one_step(network, order, slope_at_kink, rule, batch, samples)
    return SCHEMES[name](base)


def every_scheme(
    network: Network, order: Order = "simultaneous", slope_at_kink: object = None
) -> dict[str, SchemeRecord]:
    """The schemes that exist for a network, by name."""
    base, found = one_step(network, order, slope_at_kink), {}
    for name, make in SCHEMES.items():
        with suppress(ArgumentError):  # said by name where one scheme is asked for
            found[name] = make(base)
    return found
