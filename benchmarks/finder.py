"""How long the finder of closed states takes: a part of `python -m benchmarks`, or alone.

Everything that `fcsym collapse` prints: every choice of layers, the smallest state, its recursion, its proof, and what
is conserved. Nobody else has such a finder; the targets are in seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import fcsym
from benchmarks.native import row

__all__ = ["main", "rows"]

_parse = fcsym.Network.parse
_HEAVY = fcsym.rule("momentum", beta=0.9, weight_decay=0.01)
NETWORKS: dict[str, tuple[fcsym.Network, int, str]] = {
    "2-2-1": (_parse("2-2-1"), 1, "simultaneous"),
    "3-8-4-1": (_parse("3-8-4-1"), 1, "simultaneous"),
    "4-30-2 on 3": (_parse("4-30-2"), 3, "simultaneous"),
    "4-30-2 on 3, bias, momentum": (_parse("4-30-2", bias=True).training(_HEAVY), 3, "sequential"),
    "5-9-3 in batches of 4": (_parse("5-9-3").training(None, "mean", 4), 4, "simultaneous"),
    "5-9-7-4-2": (_parse("5-9-7-4-2"), 1, "simultaneous"),
    "5-9-7-4-2, bias, sequ.": (_parse("5-9-7-4-2", bias=True), 1, "sequential"),
}
PEER, SECONDS = "fcsym, the finder", 10


def rows() -> Iterator[dict[str, Any]]:
    """Every row, then the seconds that have a target."""
    result = []
    for name, (network, inputs, order) in NETWORKS.items():
        gc.collect()
        start = time.perf_counter()
        found = fcsym.find_collapse(network, inputs, order)  # type: ignore[arg-type]  # one of the orders
        assert found.closed and str(found)
        result.append(row(name, PEER, [1e9 * (time.perf_counter() - start)]))
    yield from result
    for one in result:
        yield {
            "ratio": f"{one['work']}, the finder: seconds",
            "value": one["minimum_ns"] / 1e9,
            "target": f"under {SECONDS}",
        }


def main() -> None:
    """Print the table."""
    from benchmarks import on_one_core
    from benchmarks.__main__ import lines

    on_one_core()
    print("\n".join(lines(list(rows()))))


if __name__ == "__main__":
    main()
