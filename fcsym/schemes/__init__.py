"""Schemes: ways to carry training state, each four derivations (init, step, output, expand).

    s = fcsym.scheme(net, "states", order="sequential")
    k = s.compile("numpy")
    state = k.init(weights, x)
    state = k.step(state, x, target, eta)
    k.output(state, x), k.expand(state, weights, x)

One module per scheme; a new one is a function (derivation of one step) -> Scheme, entered below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from fcsym.derivation import Derivation, derive
from fcsym.errors import ArgumentError
from fcsym.language.equation import Order
from fcsym.networks.network import Network
from fcsym.schemes import backprop, basis, collapsed, compensation, history, states, weights
from fcsym.schemes.record import Part, Scheme

__all__ = ["SCHEMES", "Part", "Scheme", "every_scheme", "scheme"]

SCHEMES: Mapping[str, Callable[[Derivation], Scheme]] = {
    "backprop": backprop.build,
    "weights": weights.build,
    "compensation": compensation.build,
    "states": states.build,
    "history": history.build,
    "basis": basis.build,
    "collapsed": collapsed.build,
}


def scheme(network: Network, name: str, order: Order = "simultaneous", slope_at_kink: object = None) -> Scheme:
    """The scheme of that name for a network.

    `backprop`: all weights, the reference. `weights`: the last layer's w + p (technique 1 of the paper's figure 3).
    `compensation`: w fixed, P accumulates (technique 2). `states`: first pre-activations and upper weights (technique
    3). These three are for one input that stays. `history`: distinct inputs and a coefficient for each (eq. 18-20).
    `basis`: first-layer responses to probe vectors (eq. 5, 32). `collapsed`: a few numbers for a hidden layer of any
    width, one output and one input that stays (beyond the paper).

    `order`, `slope_at_kink`: as for `derive`.
    Raises ArgumentError for an unknown name or order, and where the scheme does not exist for the network.

    >>> [array.name for array in scheme(Network.parse("2-2-1"), "states").state]
    ['s1', 'W2', 'c0', 't0', 'key']
    """
    if name not in SCHEMES:
        raise ArgumentError(f"The scheme {str(name)[:40]!r} is not known: choose one of {', '.join(SCHEMES)}.")
    return SCHEMES[name](derive(network, order, slope_at_kink))


def every_scheme(network: Network, order: Order = "simultaneous", slope_at_kink: object = None) -> dict[str, Scheme]:
    """The schemes that exist for a network, by name."""
    base, found = derive(network, order, slope_at_kink), {}
    for name, build in SCHEMES.items():
        with suppress(ArgumentError):  # said by name where one scheme is asked for
            found[name] = build(base)
    return found
