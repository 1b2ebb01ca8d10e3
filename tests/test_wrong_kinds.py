"""What is given in place of something else is named, with what to give: by every function that users call."""

from __future__ import annotations

import pytest

import fcsym
from fcsym.errors import FcsymError

NETWORK = fcsym.Network.parse("2-2-1")
GIVEN = {
    "a network": NETWORK,
    "a derivation": fcsym.derive(NETWORK),
    "a scheme": fcsym.scheme(NETWORK, "states"),
    "derivatives": fcsym.gradient(NETWORK, of="y", by="W1"),
    "nothing": None,
    "a number": 3,
    "widths": [2, 2, 1],
    "a layer": fcsym.Linear(2, 1),
}
TAKEN = {  # what each function takes as its first argument
    "accuracy": {"a network"},
    "certify": {"a derivation", "a scheme"},
    "check": {"a derivation", "a scheme", "derivatives"},
    "collapse": {"a network"},
    "cost": {"a scheme"},
    "cost_chart": {"a network"},
    "derive": {"a network"},
    "draw": {"a network"},
    "error_chart": set(),
    "explore": {"a network"},
    "find_collapse": {"a network"},
    "gradient": {"a network"},
    "next_input": {"a network"},
    "scheme": {"a network"},
}
FURTHER = {"scheme": {"name": "states"}, "gradient": {"of": "y", "by": "W1"}}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_function_cannot_take_is_one_sentence(name):
    for what in GIVEN.keys() - TAKEN[name]:
        with pytest.raises(FcsymError, match=r"^[^\n]+\.$") as raised:
            getattr(fcsym, name)(GIVEN[what], **FURTHER.get(name, {}))
        kind = type(GIVEN[what]).__name__
        assert kind in str(raised.value) or what == "derivatives", (what, str(raised.value))


def test_a_scheme_of_dense_layers_alone_says_what_to_choose_for_others():
    layers = fcsym.Network.sequential(2, [fcsym.Linear(2, 2), fcsym.LayerNorm(2), fcsym.Linear(2, 1)])
    with pytest.raises(FcsymError, match=r"is none: choose backprop, which trains every parameter of it\.$"):
        fcsym.scheme(layers, "basis")
    with pytest.raises(FcsymError, match=r"is none: [^:]+\.$"):
        fcsym.next_input(layers)
