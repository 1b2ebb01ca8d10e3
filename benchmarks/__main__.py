"""One table: how long a derivation and its compiled step take, and how long others take for the same.

Minimum and median over interleaved rounds in one process, on one core. Peers are skipped by name when they are not
installed, and end with a time-out when they do not come back. Figures of compiled steps are per network and step, those
of (d) per thousand steps.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import multiprocessing
import operator
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from benchmarks import batches, collapsed, finder, layers, native, on_one_core
from fcsym.derivation import derive
from fcsym.kernel.native import compiler
from fcsym.networks.network import Network

ROUNDS = native.ROUNDS
TIMEOUT = 60.0
START, END = "<!-- generated: python -m benchmarks -->", "<!-- end -->"


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


def tensorgrad(text: str) -> Callable[[], object]:
    """tensorgrad: gradients, update and compensation, simplified; widths are symbols there, and only the depth counts.

    It computes with named tensors of torch below 2.13, and derives without them.
    """
    import sympy as sp
    import tensorgrad.functions as functions
    from tensorgrad import Derivative, Variable, frobenius2

    depth = text.count("-")

    def work() -> object:
        edges = [f"d{n}" for n in range(depth + 1)]
        widths = dict(zip(edges, sp.symbols(" ".join(f"n{n}" for n in range(depth + 1))), strict=True))
        weights = [Variable(f"W{n}", **{e: widths[e] for e in pair}) for n, pair in enumerate(pairwise(edges), 1)]
        x, target = (Variable(name, **{e: widths[e]}) for name, e in (("x", edges[0]), ("t", edges[-1])))
        eta = Variable("eta")

        def output(w: list[Any]) -> tuple[Any, Any]:
            v = x
            for n, layer in enumerate(w):
                s = layer @ v
                if n == len(w) - 1:
                    return s, v
                v = functions.relu(s)
            raise AssertionError

        y, before = output(weights)
        error = frobenius2(y - target) / 2
        new = []
        for w in weights:
            slope = Derivative(error, w, {e: f"g{e}" for e in w.edges}).full_simplify()
            new.append(w - eta * slope.rename(**{f"g{e}": e for e in w.edges}))
        _, after = output(new)
        return (new[-1] * ((after - before) / before)).full_simplify()

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


def rows() -> list[dict[str, Any]]:
    """Every row of the table, then the ratios that have a target."""
    works: dict[str, Callable[[], object]] = {}
    for text in ("2-2-1", "2-2-2-1", "8-16-16-1", "64-64-64-10"):
        works[f"derive {text}|fcsym"] = lambda text=text: derive(Network.parse(text), "sequential")  # type: ignore[misc]
    works |= batches.derivations()
    works["closed forms of one 4-8-8-1 unit|fcsym"] = closed_forms("4-8-8-1")
    skipped = []
    try:
        for text in ("2-2-2-1", "8-16-16-1"):
            works[f"derive {text}|CasADi SX"] = casadi_sx(text)
    except ImportError:
        skipped.append("CasADi")
    slow: dict[str, Callable[[], object]] = {}
    try:
        slow["derive 8-16-16-1|tensorgrad"] = tensorgrad("8-16-16-1")
    except ImportError:
        skipped.append("tensorgrad")
    result = [native.row(*name.split("|"), [1e9 * t for t in times]) for name, times in interleaved(works).items()]
    for name, work in slow.items():
        result.append(native.row(*name.split("|"), [1e9 * seconds(work) for _ in range(3)]))
    for text in ("2-2-1", "2-2-2-1", "4-8-8-1"):
        took = with_timeout(text)
        result.append(native.row(f"derive {text}", "plain SymPy", [inf if took is None else 1e9 * took]))
    best = {(row["work"], row["peer"]): row["minimum_ns"] for row in result}
    for (one, other), target in {
        (("derive 64-64-64-10", "fcsym"), ("derive 2-2-2-1", "fcsym")): "at most 1.5",
        (("derive 8-16-16-1", "fcsym"), ("derive 8-16-16-1", "CasADi SX")): "at most 1",
        (("derive 8-16-16-1", "fcsym, batch, cross-entropy, Adam"), ("derive 8-16-16-1", "fcsym")): "at most 2",
        (("derive 2-2-2-1", "fcsym"), ("derive 2-2-2-1", "CasADi SX")): "at most 1.5",
        (("derive 2-2-2-1", "plain SymPy"), ("derive 2-2-2-1", "fcsym")): "at least 1000",
    }.items():
        if one in best and other in best:
            ratio = f"{' '.join(one)} / {' '.join(other)}"
            result.append({"ratio": ratio, "value": best[one] / best[other], "target": target})
    result += [{"skipped": name} for name in skipped]
    result += native.rows()
    for part in (batches, collapsed, finder, layers):
        result += part.rows()
    return result


def lines(table: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table as text. The ratio is that of the minimum to the one of the work's first row, which is fcsym's."""
    yield f"{'work':34}{'peer':34}{'minimum':>10}{'median':>10}{'ratio':>10}"
    timed = [row for row in table if "work" in row]
    for work in dict.fromkeys(row["work"] for row in timed):
        own = [row for row in timed if row["work"] == work]
        for row in own:
            times = "".join(f"{_time(row[key]):>10}" for key in ("minimum_ns", "median_ns"))
            ratio = row["minimum_ns"] / own[0]["minimum_ns"]
            yield f"{work:34}{row['peer']:34}{times}{'' if ratio == inf else format(ratio, '.3g'):>10}".rstrip()
    for row in table:
        if "ratio" in row:
            missed = "" if _reached(row["value"], row["target"]) else ", not reached"
            yield f"{row['ratio']}: {row['value']:.3g} (target: {row['target']}{missed})"
        elif "skipped" in row:
            yield f"{row['skipped']}: not installed, skipped; pip install 'fcsym[bench]'"


_KINDS = {"at least": operator.ge, "at most": operator.le, "under": operator.lt}


def _reached(value: float, target: str) -> bool:
    """Whether a ratio is what its target asks for, "at most 1.5" or "at least 2"; so is one that has none."""
    kind, _, bound = target.rpartition(" ")
    return kind not in _KINDS or bool(_KINDS[kind](value, float(bound)))


def _time(nanoseconds: float) -> str:
    if nanoseconds == inf:
        return f"> {TIMEOUT:g} s"
    unit, size = next((u, n) for u, n in (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 0)) if nanoseconds >= n)
    return f"{nanoseconds / (size or 1):.3g} {unit}"


def machine() -> str:
    """When and on what: the month, the processor, the compiler, and what the figures depend on."""
    processor = platform.machine()
    if Path("/proc/cpuinfo").is_file():
        named = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        processor = f"{named[1]} ({processor})" if named else processor
    command = compiler()
    built = "no C compiler"
    if command:
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        built = said.stdout.partition("\n")[0]
    return (
        f"{datetime.date.today():%B %Y}, one core of {processor}, {built}, Python {platform.python_version()}, "
        f"NumPy {version('numpy')}, {ROUNDS} rounds"
    )


def main() -> None:
    """Print the table, or put it into a text that has a place for it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the table between the markers in FILE")
    options = parser.parse_args()
    on_one_core()
    table = rows()
    if options.json:
        numbers = [{k: None if v == inf else v for k, v in row.items()} for row in table]
        json.dump({"rows": numbers, "machine": machine()}, sys.stdout)
        return
    text = "\n".join((f"{machine()}:", "", *lines(table)))
    if options.into is None:
        print(text)
        return
    block = "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())
    whole = options.into.read_text()
    place = re.compile(rf"({re.escape(START)}\n).*?({END})", re.DOTALL)
    changed = place.sub(lambda found: found[1] + block + found[2], whole)
    options.into.write_text(changed)


if __name__ == "__main__":
    main()
