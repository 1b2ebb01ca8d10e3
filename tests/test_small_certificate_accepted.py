"""Certificates of small networks with what the smallest ones have not: each is one that Coq has accepted.

As in `test_accepted`: `more_accepted_by_coq.txt` has digests of texts, without comments, that Coq has accepted, and
`python tests/test_small_certificate_accepted.py` has it asked about what is new, and writes the list.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy
from test_accepted import digest
from test_functions_of_what_is_given import DIVISORS, divided, network
from test_small_certificates import DEAD
from test_small_proofs import CARRIED, MORE

import fcsym
from fcsym import LayerNorm, Linear, Network
from fcsym.certificates import certificate_of, certify

LIST = Path(__file__).with_name("more_accepted_by_coq.txt")
OWN = fcsym.smooth("own", sympy.log(1 + sympy.exp(sympy.Symbol("s", real=True))))
"""Softplus, by another name: its slope is a function that the language has."""
HAT = fcsym.piecewise_linear("hat", [fcsym.Piece(0, -1), fcsym.Piece(2, 1), fcsym.Piece(None, 0, 2)])
GIVEN = {
    **{f"{phi} of a parameter, in sequential order": ("c", phi) for phi in ("softplus", "relu")},
    "leaky_relu of the input": ("x", "leaky_relu"),
}
KINDS = {
    **{name: lambda name=name: fcsym.derive(network(*GIVEN[name]), "sequential") for name in GIVEN},
    **{name: lambda name=name: fcsym.derive(divided(name)) for name in DIVISORS},
    **{name: lambda name=name: carried(name) for name in ("states with momentum", "backprop with adam", "patches")},
    **{name: lambda name=name: stepped(name) for name in ("above", "above, with a shared bias", "shared bias")},
    "frozen among layers": lambda: fcsym.derive(MORE["frozen among layers"][0]),
    "normalised": lambda: fcsym.derive(Network([Linear(2, 2), LayerNorm(2), "relu", Linear(2, 1)], input=(2,))),
    "a function of one's own": lambda: fcsym.derive(Network.mlp([1, 1, 1], OWN)),
    "positions of samples": lambda: fcsym.derive(
        Network.sequential((2, 1), [Linear(1, 1), "relu", Linear(1, 1)]), batch="mean"
    ),
    "collapsed, three pieces": lambda: fcsym.scheme(Network.mlp([1, 2, 1], HAT), "collapsed"),
    "collapsed, two outputs": lambda: fcsym.scheme(Network.mlp([2, 2, 2], bias=True), "collapsed", order="sequential"),
}


def carried(name):
    kind, network, setting = CARRIED[name]
    return fcsym.scheme(network, kind, **setting)


def stepped(name):
    """Of a network whose lowest layer that moves is not the first."""
    network, setting, _ = DEAD[name]
    return fcsym.derive(network, **setting)


@pytest.mark.parametrize("name", KINDS)
def test_a_certificate_is_one_that_coq_accepts(name):
    made = certificate_of(KINDS[name]())
    assert made.statements - made.certified == len(made.admitted)
    assert f"{digest(made.text)} {name}" in LIST.read_text("utf-8").splitlines(), (
        f"The certificate of {name!r} is another one: have Coq asked about it by `python tests/{Path(__file__).name}`."
    )


def main():
    """Ask Coq about what is new, and write the list; the exit status."""
    known = frozenset(LIST.read_text("utf-8").splitlines()) if LIST.exists() else frozenset()
    lines, refused = [], []
    for name, document in KINDS.items():
        d = document()
        line = f"{digest(certificate_of(d).text)} {name}"
        good = line in known or certify(d, max_seconds=600, independent=False)
        (lines if good else refused).append(line)
        print(line, "" if good else good.said, flush=True)
    LIST.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return int(bool(refused))


if __name__ == "__main__":
    raise SystemExit(main())
