"""One table: how long a derivation takes, at which widths, and how long others take for the same.

Every figure is the minimum over interleaved rounds in one process. Peers are skipped by name when they are not
installed, and end with a time-out when they do not come back.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise

from benchmarks import native
from fcsym.derivation import derive
from fcsym.network import Network

ROUNDS = 15
TIMEOUT = 60.0


def seconds(work: Callable[[], object]) -> float:
    """One call."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(works: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Every work once per round, so that a slow minute hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # warm
    for _ in range(ROUNDS):
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def closed_forms(text: str) -> Callable[[], object]:
    """All closed forms of one unit of the last hidden layer, on a fresh derivation."""

    def work() -> object:
        d = derive(Network.parse(text), "sequential")
        return [d.expr(name, 1) for name in ("ds", "s'", "dv", "v'", "p", "P", "r")]

    return work


# ------------------------------------------------------------------------------------------------------- peers


def plain_sympy(text: str) -> None:
    """What one would write first: compose the network with Piecewise, diff, substitute, and compose again."""
    import sympy as sp

    widths = [int(n) for n in text.split("-")]
    weights = [
        [[sp.Symbol(f"W{n}_{i}_{j}") for j in range(a)] for i in range(b)]
        for n, (a, b) in enumerate(pairwise(widths), 1)
    ]
    x = [sp.Symbol(f"x_{i}") for i in range(widths[0])]
    eta = sp.Symbol("eta")

    def output(w: list[list[list[sp.Expr]]]) -> tuple[list[sp.Expr], list[sp.Expr]]:
        v, last = list(x), list(x)
        for n, layer in enumerate(w):
            s = [sum((c * a for c, a in zip(row, v, strict=True)), sp.Integer(0)) for row in layer]
            if n == len(w) - 1:
                return s, last
            v = last = [sp.Piecewise((z, z > 0), (0, True)) for z in s]
        raise AssertionError

    y, before = output(weights)
    error = sum(((a - sp.Symbol(f"y_g_{k}")) ** 2 for k, a in enumerate(y)), sp.Integer(0)) / 2
    new = [[[c - eta * sp.diff(error, c) for c in row] for row in layer] for layer in weights]
    _, after = output(new)
    _ = [new[-1][0][j] * (a - b) / b for j, (a, b) in enumerate(zip(after, before, strict=True))]


def casadi_sx(text: str) -> Callable[[], object]:
    """CasADi SX: reverse mode, the update and the compensation of the same network."""
    import casadi as ca

    widths = [int(n) for n in text.split("-")]

    def work() -> object:
        weights = [ca.SX.sym(f"W{n}", b, a) for n, (a, b) in enumerate(pairwise(widths), 1)]
        x, target, eta = ca.SX.sym("x", widths[0]), ca.SX.sym("t", widths[-1]), ca.SX.sym("eta")

        def output(w: list[object]) -> tuple[object, object]:
            v = x
            for n, layer in enumerate(w):
                s = layer @ v
                if n == len(w) - 1:
                    return s, v
                v = ca.if_else(s > 0, s, 0)
            raise AssertionError

        y, before = output(weights)
        error = ca.sumsqr(y - target) / 2
        new = [w - eta * g for w, g in zip(weights, (ca.gradient(error, w) for w in weights), strict=True)]
        _, after = output(new)
        p = new[-1] * ((after - before) / before).T
        return ca.Function("step", [*weights, x, target, eta], [*new, p])

    return work


def with_timeout(text: str) -> float | None:
    """Plain SymPy in a process of its own: the seconds it took, or None."""
    context = multiprocessing.get_context("fork")
    start = time.perf_counter()
    process = context.Process(target=plain_sympy, args=(text,))
    process.start()
    process.join(TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return time.perf_counter() - start


# ------------------------------------------------------------------------------------------------------- table


def rows() -> list[dict[str, object]]:
    """Every row of the table."""
    works: dict[str, Callable[[], object]] = {}
    for text in ("2-2-1", "2-2-2-1", "8-16-16-1", "64-64-64-10"):
        works[f"derive {text}"] = lambda text=text: derive(Network.parse(text), "sequential")  # type: ignore[misc]
    works["closed forms of one 4-8-8-1 unit"] = closed_forms("4-8-8-1")
    skipped = []
    try:
        works["CasADi SX 8-16-16-1"] = casadi_sx("8-16-16-1")
        works["CasADi SX 2-2-2-1"] = casadi_sx("2-2-2-1")
    except ImportError:
        skipped.append("CasADi")
    times = interleaved(works)
    result: list[dict[str, object]] = [
        {"work": name, "minimum_ms": 1e3 * min(t), "median_ms": 1e3 * statistics.median(t)} for name, t in times.items()
    ]
    for text in ("2-2-1", "2-2-2-1", "4-8-8-1"):
        took = with_timeout(text)
        shown = None if took is None else 1e3 * took
        result.append({"work": f"plain SymPy {text}", "minimum_ms": shown, "median_ms": shown})
    best = {row["work"]: row["minimum_ms"] for row in result}

    def ratio(a: str, b: str, target: str) -> None:
        if best.get(a) is not None and best.get(b) is not None:
            result.append({"ratio": f"{a} / {b}", "value": best[a] / best[b], "target": target})  # type: ignore[operator]

    ratio("derive 64-64-64-10", "derive 2-2-2-1", "at most 1.5")
    ratio("derive 8-16-16-1", "CasADi SX 8-16-16-1", "at most 1")
    ratio("plain SymPy 2-2-2-1", "derive 2-2-2-1", "at least 1000")
    result += [{"skipped": name} for name in skipped]
    return result + native.rows()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    table = rows()
    if options.json:
        json.dump({"rows": table, "python": sys.version.split()[0], "rounds": ROUNDS}, sys.stdout)
        return
    print(f"{'work':40}{'minimum ms':>14}{'median ms':>14}")
    for row in table:
        if "ns" in row:
            print(f"{row['work']:40}{row['peer']:34}{row['ns']:14.4g} ns")
        elif "work" in row:
            figures = [row["minimum_ms"], row["median_ms"]]
            text = "".join(f"{'> ' + str(int(1e3 * TIMEOUT)) if v is None else format(v, '.2f'):>14}" for v in figures)
            print(f"{row['work']:40}{text}")
    for row in table:
        if "ratio" in row:
            print(f"{row['ratio']}: {row['value']:.3g} (target: {row['target']})")
        elif "skipped" in row:
            print(f"{row['skipped']}: not installed, skipped; pip install 'fcsym[bench]'")


if __name__ == "__main__":
    main()
