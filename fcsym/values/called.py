"""What a single parameter may be called where its number is given, and what such a name means."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fcsym.language.expression import Array
from fcsym.networks.names import flat_name, scalar_name, weights_called
from fcsym.networks.network import Network

__all__ = ["names_of", "place_of"]

_NUMBERED = re.compile(r"(?P<array>.*?)(?P<at>(_[1-9][0-9]{0,8})+|\[[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*\])?", re.ASCII)


def names_of(network: Network, array: Array, place: Sequence[int]) -> list[str]:
    """What one parameter may be called: the reader's name, W1_1_2, W1[1,2]; numbered through all layers, w_2 and w2."""
    code = scalar_name(network, array, place)
    plain = "_".join([array.name, *(str(n + 1) for n in place)])
    bracketed = f"{array.name}[{','.join(str(n + 1) for n in place)}]" if place else code
    flat = flat_name(network, array, place)
    short = [flat.replace("_", "")] if flat else []
    short = [name for name in short if all(theta.name != name for theta in network.parameters)]
    return list(dict.fromkeys([code, plain, bracketed, *([flat] if flat else []), *short]))


def place_of(network: Network, name: str) -> tuple[Array, tuple[int, ...]] | None:
    """The parameter that a name means, the first one if several have it; None where none has.

    >>> array, at = place_of(Network.parse("2-3-1"), "w8")
    >>> array.name, at
    ('W2', (0, 1))
    """
    wanted = name.replace(" ", "")
    meant = (found for found in _candidates(network, wanted) if wanted in names_of(network, *found))
    order = list(network.parameters)
    return min(meant, key=lambda found: (order.index(found[0]), found[1]), default=None)


def _candidates(network: Network, name: str) -> list[tuple[Array, tuple[int, ...]]]:
    """What it could mean by the look of it, without a walk through all the parameters."""
    found = weights_called(network, name)
    numbered = _NUMBERED.fullmatch(name)
    place = tuple(int(digit) - 1 for digit in re.findall("[0-9]+", numbered["at"] or "")) if numbered else ()
    for n, theta in enumerate(network.parameters):
        if numbered and numbered["array"] in (theta.name, *network.names[n : n + 1]):
            found.append((theta, place))
    return [(theta, place) for theta, place in found if _there(place, network.shape(theta))]


def _there(place: Sequence[int], shape: Sequence[int]) -> bool:
    return len(place) == len(shape) and all(n < length for n, length in zip(place, shape, strict=True))
