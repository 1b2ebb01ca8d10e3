"""The audit as one Coq file: the paper's network stated by hand, a theorem for each true row, numbers for a false one.

    a row that is proved       forall weights, inputs, eta > 0:  conditions -> left = right
    a row that is refuted      at these numbers the conditions hold and left <> right

What a symbol of the paper stands for is written in `model.v`, and nothing of fcsym's derivation enters. A row that has
no theorem stands at the head of the file with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path

from fcsym.certificates import writable_place
from fcsym.certificates.file import Certificate
from fcsym.certificates.printer import number, remark
from fcsym.certificates.theorem import Theorem
from fcsym.files import write_text
from fcsym.paper import Audit, Finding
from fcsym.paper.decision import Either, Setup, Verdict
from fcsym.paper.formula import Claim, Condition, Node, nodes
from fcsym.paper.recheck import Network
from fcsym.paper.statements import STATEMENTS

__all__ = ["audit_certificate", "save"]

_W5, _W6 = "w5'", "w6'"
_AND = " /\\ "
_MARKS = {"": "", "@": "_a", "*": "_b", "#": "_c"}


class _NotWritten(Exception):
    """Why a row has no theorem."""


@dataclass(frozen=True, slots=True)
class _Net:
    """The network of a row: its weights after so many steps, by name or, at a point, by their numbers."""

    setup: Setup
    another: bool = False  # the one with another first layer
    at: Mapping[str, Fraction] | None = None
    by: bool = False  # whether w_5' is a variable, by which a derivative is taken

    def given(self, name: str) -> str:
        """One number that nothing defines."""
        if self.by and name == _W5:
            return "u"
        if self.at is not None:
            return number(self.at.get(name, Fraction(0)))
        head = name.rstrip("@*#~'")
        return head + {"~": "o", "'": "n"}.get(name[len(head) :], _MARKS.get(name[len(head) :], ""))

    def weights(self, steps: int) -> str:
        if steps > len(self.setup.inputs):
            raise _NotWritten("a step that the row does not make")
        if not steps:
            first = [self.given(f"w{n}{'~' * self.another}") for n in range(1, 5)]
            return f"(W {' '.join([*first, self.given('w5'), self.given('w6')])})"
        before = self.weights(steps - 1)
        held = f"held {self.given(_W5)} {self.given(_W6)}"
        step = held if self.setup.setting == "held" else self.setup.order
        return f"({step} {self.given('eta')} {before} {self.input(self.setup.inputs[steps - 1])})"

    def input(self, mark: str) -> str:
        return f"(X {' '.join(self.given(f'{name}{mark}') for name in ('x1', 'x2', 'yg'))})"

    def error(self, steps: int) -> str:
        inputs = self.setup.inputs
        return f"err {self.weights(steps)} {self.input(inputs[min(steps, len(inputs) - 1)])}"

    def symbol(self, name: str, primes: int, mark: str) -> str:
        """A symbol of the paper as a Coq term."""
        inputs = self.setup.inputs
        here = self.input(mark or inputs[0])
        held = self.setup.setting == "held"
        if self.setup.setting == "series" and name.endswith(("n", "n-1")):
            return self._nth(name)
        if name in ("eta", "x1", "x2", "yg"):
            return self.given(name + mark)
        if name in ("P", "dP", "p") and held:
            if name != "p":
                return {"P": f"P {self.given(_W5)}", "dP": "dP"}[name]
            return f"p_held {self.given('eta')} {self.weights(0)} {self.input(inputs[0])} {self.given(_W5)}"
        if name[0] == "w" and name[1:].isdigit():
            return f"c{name[1:]} {self.weights(primes)}"
        if name[0] == "w" and name.endswith("c"):
            return f"c{name[1]} {self.weights(0)}"
        if name[0] in "sv" and name[1:] in ("1", "2"):
            return f"{name[0]}_{name[1]} {self.weights(primes)} {here}"
        if name[0] == "S":
            return f"s_{name[1]} {self.weights(primes)} (other_way {here})"
        if name in ("v1c", "v2c"):
            return f"vc_{name[1]} {self.weights(0)} {here}"
        if name == "y":
            return f"out {self.weights(primes)} {here}"
        if name == "e":
            return self.error(primes)
        if name == "E":
            return f"({self.error(primes)}) ^ 2 / 2"
        if name in ("dv1", "dv2"):
            unit = name[2]
            return f"v_{unit} {self.weights(primes)} {here} - v_{unit} {self.weights(0)} {here}"
        if name[:2] == "dw":
            return f"c{name[2:]} {self.weights(primes)} - c{name[2:]} {self.weights(primes - 1)}"
        if name[:4] == "dEdw":
            return self._slope(int(name[4:]), primes)
        if name in ("p", "q"):
            unit = str("pq".index(name) + 1)
            own = f"p_{unit} {self.weights(0)} {self.weights(1)}"
            return f"{own} {self.input(mark)}" + (f" - {own} {self.input('')}" if mark else "")
        if name in ("r5", "r6"):
            unit = {"5": "1", "6": "2"}[name[1]]
            return f"r_{unit} {self.weights(0)} {self.weights(1)} {self.input('')}"
        raise _NotWritten(f"{name} has no definition in the file")

    def _nth(self, name: str) -> str:
        """A symbol with the index n, for n = 1: what is said of every n is said of that."""
        if self.at is None:
            raise _NotWritten("it is about any number n of steps")
        steps, head = (0, name[:-3]) if name.endswith("n-1") else (1, name[:-1])
        now, x = self.weights(steps), self.input("")
        if head in ("A", "B"):
            return f"s_{'AB'.index(head) + 1} {now} {x}"
        if head == "e":
            return self.error(0)
        if head[0] == "w":
            return f"c{head[1:]} {now}"
        unit = int(head[1:]) - 4
        return f"c{head[1:]} {now} * v_{unit} {now} {x} / v_{unit} {self.weights(0)} {x}"

    def _slope(self, weight: int, primes: int) -> str:
        mark = self.input(self.setup.inputs[0])
        if weight > 4:
            return f"{self.error(primes)} * v_{weight - 4} {self.weights(primes)} {mark}"
        unit, of = (weight + 1) // 2, 2 - weight % 2
        return f"slope_{unit} {self.weights(primes)} {mark} * i{of} {mark}"


def _term(node: Node, net: _Net) -> str:
    """A printed formula as a Coq term, in parentheses where it is more than a name."""
    match node.head:
        case "num":
            return number(node.value)
        case "sym":
            text = net.symbol(node.name, node.primes, node.mark)
            return f"({text})" if " " in text else text
        case "+" | "*" | "/":
            return f"({f' {node.head} '.join(_term(part, net) for part in node.args)})"
        case "neg":
            return f"(- {_term(node.args[0], net)})"
        case "^":
            exponent = int(node.value)
            base = _term(node.args[0], net)
            return f"({base} ^ {exponent})" if exponent >= 0 else f"(/ {base} ^ {-exponent})"
        case "relu":
            return f"(relu {_term(node.args[0], net)})"
        case "if":
            return f"({' * '.join(f'(if {_test(c, net)})' for c in node.when)})"
        case "other":
            return _term(node.args[0], replace(net, another=True))
        case "sum":  # n is 1
            return _term(node.args[0], net)
        case "d":
            return "slope"
    raise _NotWritten(f"{node.head} is not written")


def _test(condition: Condition, net: _Net) -> str:
    left, right = _term(condition.left, net), _term(condition.right, net)
    match condition.relation:
        case ">":
            return f"Rlt_dec {right} {left} then 1 else 0"
        case "<":
            return f"Rlt_dec {left} {right} then 1 else 0"
        case ">=":
            return f"Rlt_dec {left} {right} then 0 else 1"
        case "<=":
            return f"Rlt_dec {right} {left} then 0 else 1"
        case "=":
            return f"Req_EM_T {left} {right} then 1 else 0"
    return f"Req_EM_T {left} {right} then 0 else 1"


def _said(condition: object, net: _Net) -> str:
    """A condition as a proposition; one of two, too."""
    if isinstance(condition, Either):
        return f"({_said(condition.first, net)} \\/ {_said(condition.second, net)})"
    assert isinstance(condition, Condition)
    relation = {"!=": "<>"}.get(condition.relation, condition.relation)
    return f"{_term(condition.left, net)} {relation} {_term(condition.right, net)}"


def _steps(net: _Net, claim: Claim) -> str:
    """Tactics that put the numbers of the weights after each step in the place of the step."""
    assert net.at is not None
    numbers = Network(net.at, net.setup.inputs, net.setup.setting, net.setup.order)
    both = [(net, numbers)]
    if any(node.head == "other" for side in (claim.left, claim.right) for node in nodes(side)):
        both.append((replace(net, another=True), numbers.another()))
    script = ""
    for of, known in both:
        for steps, mark in enumerate(net.setup.inputs, 1):
            held = f"held {net.given(_W5)} {net.given(_W6)}"
            step = held if net.setup.setting == "held" else net.setup.order
            before, after = (f"(W {' '.join(map(number, known.weights[n]))})" for n in (steps - 1, steps))
            made = f"{step} {net.given('eta')} {before} {of.input(mark)}"
            script += f"replace ({made}) with {after} by (stepped); "
    return script


def _names() -> str:
    """What a theorem is for all of."""
    names = [*(f"w{n}" for n in range(1, 7)), *(f"w{n}o" for n in range(1, 5)), "w5n", "w6n", "eta"]
    return " ".join([*names, *(f"{name}{mark}" for mark in _MARKS.values() for name in ("x1", "x2", "yg"))])


def _theorem(finding: Finding, name: str) -> Theorem:
    """The theorem of a row; raises _NotWritten where there is none."""
    row, claim = finding.row, finding.row.claim
    said = f"{row.label}, {row.place}: {claim}"
    if claim is None:
        raise _NotWritten(f"a sentence, {STATEMENTS[row.statement].no_theorem}")
    if finding.verdict is Verdict.REFUTED:
        if finding.point is None:
            raise _NotWritten("it has no numbers")
        if finding.point.left is None or finding.point.right is None:
            raise _NotWritten("a side has no value at its numbers")
        net = _Net(row.setup, at=finding.point.point)
        parts = [*(_said(condition, net) for condition in claim.when)]
        apart = f"{_term(claim.left, net)} <> {_term(claim.right, net)}"
        script = f"{_steps(net, claim)}numbers."
        if _is_sloped(claim):
            apart, witness = _witnessed(claim, net, apart)
            script = f"{_steps(net, claim)}{'split; [numbers |]; ' * len(parts)}{witness}numbers."
        return Theorem(name, _AND.join([*parts, apart]), script, (name, None), f"REFUTED. {said}")
    net = _Net(row.setup)
    when = "".join(f"{_said(condition, net)} -> " for condition in (*claim.when, *finding.under))
    equal, script = f"{_term(claim.left, net)} = {_term(claim.right, net)}", "row."
    if _is_sloped(claim):
        given, slope = _slopes(claim, net)
        equal = f"{'forall P dP, ' if given else ''}{''.join(f'{g} -> ' for g in given)}"
        equal += f"{slope}{_term(claim.left, net)} = {_term(claim.right, net)}"
        script = "sloped."
    statement = f"0 < eta -> {when}{equal}"
    return Theorem(name, statement, script, (name, None), f"{finding.verdict.value}. {said}")


def _parts(claim: Claim) -> list[Node]:
    return [node for side in (claim.left, claim.right) for node in nodes(side)]


def _is_sloped(claim: Claim) -> bool:
    """Whether a claim is about P, or about a derivative by w_5'."""
    return any(node.head == "d" or node.name in ("P", "dP") for node in _parts(claim))


def _slopes(claim: Claim, net: _Net) -> tuple[list[str], str]:
    """What P and its slope are, where a claim is about them; and the derivative by w_5' that it has."""
    given, w = [], net.given(_W5)
    parts = _parts(claim)
    if any(node.name in ("P", "dP") for node in parts):
        x = net.input(net.setup.inputs[0])
        given = [f"is_P {net.given('eta')} {net.weights(0)} {x} {w} P", f"derivable_pt_lim P {w} dP"]
    slopes = {node for node in parts if node.head == "d"}
    if len(slopes) > 1:
        raise _NotWritten("it has two derivatives")
    body = "".join(_term(node.args[0], replace(net, by=True)) for node in slopes)
    return given, f"exists slope, derivable_pt_lim (fun u => {body}) {w} slope{_AND}" if slopes else ""


def _witnessed(claim: Claim, net: _Net, apart: str) -> tuple[str, str]:
    """What is said of P and of slopes at a point, and the tactics that give them: P is a difference of two powers."""
    assert net.at is not None
    numbers = Network(net.at, net.setup.inputs, net.setup.setting, net.setup.order)
    eta, error, w, start = net.at["eta"], numbers.errors[0], net.at[_W5], net.at["w5"]
    (s, *_), (vc, *_), _ = numbers.forward(0, net.setup.inputs[0])
    length = sum((x * x for x in numbers.input(net.setup.inputs[0])), Fraction(0))
    left = s - eta * error * w * length  # s_1 after the step
    power, times = (3, length / (3 * vc * vc)) if left > 0 else (2, 1 / (2 * eta * error * vc))
    given, slope = _slopes(claim, net)
    script = ""
    if given:
        made = f"(fun u => {number(times)} * (u ^ {power} - {number(start)} ^ {power}))"
        limit = number(times * power * w ** (power - 1))
        script += (
            f"exists {made}, {limit}; split; [unfold is_P; split; [numbers | split; [numbers | split; "
            f"[cbn [c5]; lra | intros u; eexists; split; [apply difference | at_numbers]]]] |]; "
            f"split; [eapply same_limit; [apply difference | cbn [INR pred]; lra] |]; "
        )
    if slope:
        within = number(left / (abs(eta * error * length) + 1))
        k = number(-eta * error * length / vc)
        script += (
            f"eexists; split; [first [monomials | apply (near _ (fun u => {k} * u ^ 2) _ _ {within}); "
            f"[lra | intros u U_; at_numbers | apply power]] |]; "
        )
    stated = f"exists P dP, {_AND.join(given)}{_AND}" if given else ""
    return f"{stated}{slope}{apart}", f"{script}cbn [INR pred]; cbv beta; "


def audit_certificate(found: Audit) -> Certificate:
    """An audit => its Coq file."""
    theorems, reasons = [], []
    for n, finding in enumerate(found.findings, 1):
        try:
            theorems.append(_theorem(finding, f"row_{n}"))
        except _NotWritten as problem:
            reasons.append((f"row {n}, {finding.row.label}, {finding.row.place}", str(problem)))
    head = [
        "(* The printed equations of arXiv 2106.05569, 2-2-1",
        f"   {len(found.findings)} statements, {len(theorems)} certified, {len(reasons)} without a theorem",
        *(f"   not certified: {remark(name)}: {remark(reason)}" for name, reason in reasons),
        "*)",
    ]
    names = [t.name for t in theorems]
    body = [
        *head, _model(), "Section rows.", f"Variables ({_names()} : R).", *(t.text for t in theorems),
        "End rows.", _together(names),
    ]  # fmt: skip
    return Certificate("\n".join(body) + "\n", len(found.findings), len(theorems), tuple(reasons))


def save(found: Audit, path: str | os.PathLike[str]) -> Path:
    """Write the certificate of an audit, and return the path; ArgumentError for a place that cannot be written."""
    return write_text(writable_place(path), audit_certificate(found).text)


def _together(names: Sequence[str]) -> str:
    """What all of them rest on."""
    made = f"{''.join(f'also _ {name} (' for name in names)}nothing{')' * len(names)}"
    return f"Definition everything := {made}.\nPrint Assumptions everything."


@cache
def _model() -> str:
    return files("fcsym.paper").joinpath("model.v").read_text(encoding="utf-8")
