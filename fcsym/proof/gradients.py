"""Proof of derivatives by name: the verdict on every equation of such a list, first or second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fcsym.deriving.gradient import GradientRecord, of_one_sample
from fcsym.language.equation import Verdict
from fcsym.language.findings import Finding, Proof, under
from fcsym.networks.symbols import ERROR
from fcsym.proof.derivatives_of_layers import LayersExaminer
from fcsym.proof.once import Examiner, right
from fcsym.proof.quotients import needed
from fcsym.proof.twice import TwiceExaminer
from fcsym.proof.twice_of_layers import TwiceOfLayers

__all__ = ["prove_gradient"]


def prove_gradient(record: GradientRecord, progress: Callable[[str], None] = lambda _: None) -> Proof:
    """A list of derivatives => a finding for every equation; `progress` is called with the name of each before."""
    network, asked = record.network, record.asked
    twice = asked.root != asked.of
    alone = bool(network.batch) and asked.of != ERROR  # each sample by itself
    one = replace(network, batch="", samples=0) if alone else network
    taken = [(e, of_one_sample(e) if alone else e) for e in record.equations]
    root = ERROR if asked.of == ERROR else one.output
    examiner: Examiner | LayersExaminer
    if twice and one.built is not None:
        examiner = TwiceOfLayers(one, asked, record.equations)
    elif twice:
        examiner = TwiceExaminer(one, asked, record.equations)
    elif one.built is not None:
        examiner = LayersExaminer(one, root, record.by, [e for _, e in taken if e is not None])
    else:
        examiner = Examiner(one, root, record.by)
    examiner.examined = record.equations
    wrong = {e.name: "mixes samples" for e, single in taken if single is None}
    wrong |= dict(examiner.flaws([single for _, single in taken if single is not None]))
    if wrong:
        findings = [
            Finding(e.name, None, Verdict.UNDECIDED, note=f"{e.name} {wrong[e.name]}" if e.name in wrong else _REST)
            for e in record.equations
        ]
        missing = [n for n in wrong if n not in record.by_name]
        findings += [Finding(n, None, Verdict.UNDECIDED, note=f"{n} {wrong[n]}") for n in missing]
        return Proof(tuple(findings), "none", "not examined, since the derivation is incomplete")
    found = []
    for equation, single in taken:
        progress(equation.name)
        assert single is not None
        finding = examiner.equation(single)
        found.append(under(finding, needed(right(single), (), examiner.definitions)))
    numbers = "dual numbers of dual numbers" if twice else "dual numbers"
    method = f"evaluated exactly at 3 random points modulo 2^127 - 1, with {numbers}"
    if isinstance(examiner, LayersExaminer):  # of an output there are no points
        method = examiner.points.method if root == ERROR else "in index notation"
    if isinstance(examiner, TwiceOfLayers):
        method = "in index notation; first derivatives evaluated exactly at random points modulo 2^127 - 1 as well"
    return Proof(tuple(found), str(examiner.small), method)


_REST = "the derivation is incomplete"
