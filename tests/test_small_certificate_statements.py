"""What a certificate says, read as Coq reads it and held against numbers: every theorem is true at some that are drawn.

At lengths that are drawn, too, which need not be those of the network. Coq says that the proofs are right; that what is
proved is about the network is seen here: its gradients are the derivatives of its error.
"""

from __future__ import annotations

import math
import random
import re
from functools import cache
from itertools import product

import numpy as np
import pytest
import sympy

import fcsym
from fcsym import Flatten, LayerNorm, Linear, Network
from fcsym.certificates import certificate_of
from fcsym.certificates.functions import function
from fcsym.certificates.printer import Printer
from fcsym.language.activation import SMOOTH, Activation, activation, piecewise_linear, smooth
from fcsym.language.activation import Piece as Line
from fcsym.language.formulas import S

TOKEN = re.compile(r"\s+|([A-Za-z_][\w']*|\d+|<>|<=|->|=>|/\\|\\/|%nat|[-+*/^()<>=,:~])")
TESTS = {
    "Rlt_dec": lambda a: lambda b: a < b, "Rle_dec": lambda a: lambda b: a <= b, "Req_EM_T": lambda a: lambda b: a == b
}  # fmt: skip
KNOWN = {
    **TESTS,
    "sum": lambda n: lambda f: math.fsum(f(i) for i in range(n)),
    "greatest": lambda n: lambda f: max(f(i) for i in range(n)),
    "least": lambda n: lambda f: min(f(i) for i in range(n)),
    "kron": lambda a: lambda b: float(a == b),
    "exp": math.exp, "ln": lambda u: math.log(u) if u > 0 else 0.0, "sqrt": lambda u: math.sqrt(max(u, 0.0)),
    "Rabs": abs, "False": False, "PI": math.pi,
}  # fmt: skip


def near(a, b):
    return abs(a - b) <= 1e-9 * (1 + abs(a) + abs(b))


class Reader:
    """A term or a proposition => a function of what its names stand for."""

    def __init__(self, text):
        ends = [m.end() for m in TOKEN.finditer(text)]
        assert ends and sum(m.end() - m.start() for m in TOKEN.finditer(text)) == len(text), text
        self.left = [m.group(1) for m in TOKEN.finditer(text) if m.group(1)]
        self.made = self.proposition()
        assert not self.left, (text, self.left)

    def next(self):
        return self.left[0] if self.left else ""

    def take(self, *wanted):
        token = self.left.pop(0)
        assert not wanted or token in wanted, (token, wanted, self.left[:6])
        return token

    def proposition(self):
        if self.next() == "forall":
            self.take()
            names = self.binders()
            self.take(",")
            body = self.proposition()
            kinds = {"nat": range(3), "R": (-1.5, 0.0, 0.75)}
            each = [kinds.get(kind) or [drawn(kind, name)] for name, kind in names.items()]
            return lambda env: all(body({**env, **dict(zip(names, at, strict=True))}) for at in product(*each))
        left = self.either()
        if self.next() != "->":
            return left
        self.take()
        right = self.proposition()
        return lambda env: right(env) if left(env) else True

    def binders(self):
        names = {}
        while self.next() != ",":
            inside = self.next() == "("
            own = []
            self.take("(") if inside else None
            while self.next() not in (":", ",", "("):
                own.append(self.take())
            kind = "nat"
            if self.next() == ":":
                self.take()
                kind = self.take()
                while self.next() == "->":
                    kind = f"{kind} {self.take()} {self.take()}"
            self.take(")") if inside else None
            names |= dict.fromkeys(own, kind)
        return names

    def either(self):
        left = self.both()
        if self.next() != "\\/":
            return left
        self.take()
        right = self.either()
        return lambda env: left(env) or right(env)

    def both(self):
        left = self.related()
        if self.next() != "/\\":
            return left
        self.take()
        right = self.both()
        return lambda env: left(env) and right(env)

    def related(self):
        if self.next() == "~":
            self.take()
            of = self.atom()
            return lambda env: not of(env)
        left = self.added()
        if self.next() not in ("=", "<>", "<", "<="):
            return left
        how = {"=": near, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b}[self.take()]
        right = self.added()
        return lambda env: how(left(env), right(env))

    def added(self):
        result = self.multiplied()
        while self.next() in ("+", "-"):
            sign, left, right = self.take(), result, self.multiplied()
            result = {
                "+": lambda env, a=left, b=right: a(env) + b(env), "-": lambda env, a=left, b=right: a(env) - b(env)
            }[sign]  # fmt: skip
        return result

    def multiplied(self):
        result = self.signed()
        while self.next() in ("*", "/"):
            sign, left, right = self.take(), result, self.signed()
            result = {
                "*": lambda env, a=left, b=right: a(env) * b(env), "/": lambda env, a=left, b=right: a(env) / b(env)
            }[sign]  # fmt: skip
        return result

    def signed(self):
        if self.next() not in ("-", "/"):
            return self.raised()
        sign, of = self.take(), self.signed()
        return (lambda env: -of(env)) if sign == "-" else (lambda env: 1 / of(env))

    def raised(self):
        base = self.applied()
        if self.next() != "^":
            return base
        self.take()
        exponent = int(self.take())
        return lambda env: base(env) ** exponent

    def applied(self):
        parts = [self.atom()]
        while re.fullmatch(r"[A-Za-z_][\w']*|\d+|\(", self.next()) and self.next() not in ("then", "else"):
            parts.append(self.atom())
        if len(parts) == 1:
            return parts[0]

        def value(env):
            found = parts[0](env)
            for part in parts[1:]:
                found = found(part(env))
            return found

        return value

    def atom(self):
        token = self.take()
        if token == "(":
            made = self.proposition()
            self.take(")")
            if self.next() == "%nat":
                self.take()
            return made
        if token == "fun":
            names = []
            while self.next() not in ("=>", ":"):
                names.append(self.take())
            while self.take() != "=>":
                pass
            return curried(names, self.proposition())
        if token == "if":
            test = self.proposition()
            self.take("then")
            here = self.proposition()
            self.take("else")
            there = self.proposition()
            return lambda env: here(env) if test(env) else there(env)
        if token.isdigit():
            self.take() if self.next() == "%nat" else None
            return lambda env: int(token)
        return lambda env: env[token]


def curried(names, body):
    """fun a b => body."""
    if not names:
        return body
    return lambda env: lambda value: curried(names[1:], body)({**env, names[0]: value})


def drawn(kind, name):
    """A number, or a function of natural numbers, of the type: always the same one for a name."""
    rng = random.Random(name)
    if kind == "nat":
        return rng.randint(1, 3)
    if kind == "R":
        return rng.choice([-1, 1]) * rng.uniform(0.2, 1.5)
    assert kind.startswith("nat -> ") and kind.endswith("R")
    return cache(lambda n: drawn(kind.removeprefix("nat -> "), f"{name} {n}"))


def lines_of(text):
    """The sentences of a file, without comments and sections of their own, one after another."""
    text = re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL).partition("Section derivation.")[2]
    text = re.sub(r"^Section (\w+)\.$.*?^End \1\.$", "", text, flags=re.DOTALL | re.MULTILINE)
    sentences = (" ".join(sentence.split()) for sentence in re.split(r"\.(?=\s)", text))
    return [s.split(" ", 1) for s in sentences if re.match("(Definition|Variables?|Hypothesis|Theorem) ", s)]


FUNCTIONS = {
    "phi_own": lambda u: math.log(1 + math.exp(u)), "phi_gelu": lambda u: u * (1 + math.erf(u / math.sqrt(2))) / 2,
    "slope_gelu": lambda u: (1 + math.erf(u / math.sqrt(2)) + u * math.exp(-(u**2) / 2) * math.sqrt(2 / math.pi)) / 2,
}  # fmt: skip
"""Any with the derivative that a file says."""
INVERSE = re.compile(r"(\w+)_inverse : .* sum (\w+) \(fun l => (\w+) n l")
BINDER = re.compile(r"\(([^:()]*) : ([^()]*)\)")


def world(text, seed, given=None):
    """What every name stands for, and the theorems, where what is assumed is so; without a seed lengths are 2."""
    env, theorems, some = dict(KNOWN), {}, True
    for kind, line in lines_of(text):
        if kind.startswith("Variable"):
            for names, of in BINDER.findall(line if line.startswith("(") else f"({line})"):
                for name in names.split():
                    known = {**FUNCTIONS, **(given or {})}
                    env[name] = (
                        known[name]
                        if name in known
                        else (2 if seed is None and of == "nat" else drawn(of, f"{name} {seed}"))
                    )
        elif kind == "Definition":
            head, _, body = line.partition(":=")
            if ": theorems" in head:
                continue
            name, names = head.split()[0], [n for own, _ in BINDER.findall(head) for n in own.split()]
            made, here = curried(names, Reader(body).made), env
            env[name] = held(made(here))
        elif kind == "Hypothesis" and (found := INVERSE.search(line)):
            name, length, matrix = found.groups()
            width, of = range(env[length]), env[matrix]
            made = np.array([[of(n)(m) for m in width] for n in width])
            rows, some = np.linalg.pinv(made).tolist(), some and abs(np.linalg.det(made)) > 1e-6
            env[name] = table(rows)
        elif kind == "Theorem":
            name, _, said = line.partition(" : ")
            theorems[name] = said
    return env, theorems if some else {}


def table(rows):
    """A matrix as a function of two natural numbers."""
    return lambda n: lambda m: rows[n][m] if max(n, m) < len(rows) else 0.0


def held(value):
    """A function that remembers what it gave for natural numbers."""
    if not callable(value):
        return value
    known = {}

    def of(at):
        if not isinstance(at, int):
            return value(at)
        if at not in known:
            known[at] = held(value(at))
        return known[at]

    return of


HAT = piecewise_linear("hat", [Line(0, -1), Line(1, 1), Line(None, "1/2", "1/2")])
mlp = Network.mlp
STEPS = {
    "plain": (mlp([2, 2, 1], bias=True), {}),
    "sequential": (mlp([2, 2, 2], "leaky_relu"), {"order": "sequential"}),
    "three layers": (mlp([1, 2, 2, 1], bias=[False, True, False]), {"order": "sequential"}),
    "pieces": (mlp([1, 1, 1], HAT, output=HAT), {}),
    "smooth": (mlp([2, 2, 2], "silu", bias=True), {}),
    "softplus": (mlp([1, 2, 1], "softplus", output="sigmoid"), {"order": "sequential"}),
    "softplus alone": (mlp([1, 1, 1], "softplus"), {}),
    "softmax": (mlp([1, 1, 2], "sigmoid", output="softmax", loss="cross_entropy"), {}),
    "shared": (mlp([1, 2, 2], "tanh", bias=True).shared("b1"), {}),
    "frozen": (mlp([1, 2, 1], bias=True).frozen("W1"), {}),
    "huber": (mlp([1, 1, 1], "tanh", loss="huber"), {}),
    "momentum": (mlp([1, 1, 1]), {"rule": fcsym.rule("momentum", beta="0.9", weight_decay="0.1")}),
    "a mean": (mlp([1, 2, 1], bias=True), {"batch": "mean"}),
    "two samples": (mlp([1, 1, 1], "tanh"), {"batch": "sum", "samples": 2}),
    "norm": (Network([Linear(2, 2), LayerNorm(2), "relu", Linear(2, 1)], input=(2,)), {}),
    "positions": (Network.sequential((2, 1), [Linear(1, 1), "relu", Flatten(), Linear(2, 1)]), {}),
    "own": (mlp([1, 1, 1], smooth("own", sympy.log(1 + sympy.exp(sympy.Symbol("s", real=True))))), {}),
    "gelu": (mlp([1, 2, 1], "gelu", loss="mse"), {"order": "sequential"}),
}


@cache
def certificate(name):
    network, setting = STEPS[name]
    return certificate_of(fcsym.derive(network, **setting)).text


def test_the_reader_reads_as_coq_does():
    """- a * b is (- a) * b, / c ^ 2 is 1/(c^2), and an implication with a premise that is false is true."""
    env = {**KNOWN, "f": lambda n: lambda x: n + x, "a": 2.0, "n": 3}
    for text, value in (
        ("- a * 3 + 1 / a ^ 2", -5.75), ("/ a ^ 2 - 1", -0.75), ("sum n (fun i => f i a)", 9.0),
        ("if Rlt_dec a 1 then 1 else (if Req_EM_T a 2 then 5 else 6)", 5), ("kron (n + 1)%nat 4 * a", 2.0),
        ("forall (i j : nat), (i < n)%nat -> i <> j -> kron i j = 0", True), ("a < 1 -> False", True),
        ("forall i, a = 2 /\\ (i <= 1 \\/ i = 2)", True), ("a = 2 -> False", False), ("(fun x y => x - y) 3 a", 1.0),
    ):  # fmt: skip
        assert Reader(text).made(env) == value, text


@pytest.mark.parametrize("name", STEPS)
def test_every_theorem_on_a_step_is_true_at_numbers(name):
    worlds = [made for made in (world(certificate(name), seed) for seed in range(2)) if made[1]]
    assert worlds
    for env, theorems in worlds:
        told = [said for said in theorems.values() if "derivable" not in said and "continuity" not in said]
        assert len(told) > 5
        for said in told:
            assert Reader(said).made(env), said


@pytest.mark.parametrize("name", ["plain", "smooth", "softmax", "shared", "a mean", "pieces", "own", "frozen"])
def test_gradients_of_a_certificate_are_the_derivatives_of_its_error(name):
    """By differences of the error at parameters beside those that are drawn, and a step goes along them."""
    text = certificate(name)
    env, _ = world(text, None)
    for gradient in [made for made in env if made.startswith("dE_d") and "'" not in made]:
        theta = gradient.removeprefix("dE_d")
        scalar = not callable(env[theta])
        places = (
            [()]
            if scalar
            else [(n,) for n in range(2)]
            if not callable(env[theta](0))
            else [*product(range(2), repeat=2)]
        )
        for place in places:
            values = []
            for by in (-1e-5, 1e-5):
                moved = shifted(env[theta], place, by)
                values.append(world(text, None, {theta: moved})[0]["E"])
            found = at(env[gradient], place)
            assert (values[1] - values[0]) / 2e-5 == pytest.approx(found, rel=1e-5, abs=1e-7), (theta, place)
            assert at(env[f"{theta}'"], place) == pytest.approx(at(env[theta], place) - env["eta"] * found, rel=1e-12)


def at(value, place):
    for n in place:
        value = value(n)
    return value


def shifted(value, place, by):
    """The same numbers, with one of them moved."""
    if not place:
        return value + by
    return lambda n: shifted(value(n), place[1:], by) if n == place[0] else value(n)


KINKED = {
    "relu": activation("relu"), "leaky": fcsym.leaky_relu("1/10", slope_at_kink="1/3"), "hat": HAT,
    "straight": piecewise_linear("half", [Line(None, "-1/2", "3/2")]), "kinks": HAT.with_slope_at_kink(["5", "-7"]),
    "falling": piecewise_linear("falling", [Line(-2, -1, -1), Line(None, 1, 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", [*KINKED, *SMOOTH, "exp", "log", "sqrt"])
def test_a_function_of_a_file_is_the_activation(name):
    """Its value and its slope, on every piece and at every kink; and where it has none the premise says so."""
    phi = KINKED[name] if name in KINKED else smooth(name)
    made = function(phi, Printer(()))
    env = dict(KNOWN)
    for line in made.stated:
        if not line.startswith("Definition"):
            assert phi.name == "gelu"
            continue
        head, _, body = line.rstrip(".").removeprefix("Definition ").partition(":=")
        env[head.split()[0]] = curried(["s"], Reader(body).made)(env)
    if phi.name == "gelu":
        assert not made.away and not made.never_zero
        return
    value, slope = (env[f"{kind}_{Printer(()).function(phi)}"] for kind in ("phi", "slope"))
    for s in (-3, -2, -1.5, -0.5, 0, 0.5, 1, 1.75, 2, 4):
        if all(Reader(premise.format(s="s")).made({"s": s}) for premise in made.away):
            assert (value(s + 1e-6) - value(s - 1e-6)) / 2e-6 == pytest.approx(slope(s), abs=1e-5)
        elif phi.is_smooth:
            assert s <= 0
            continue
        if phi.pieces:
            exact = fcsym.language.spelling.exact(str(s), "s")
            assert value(s) == pytest.approx(float(phi.value_at(exact)))
            assert slope(s) == pytest.approx(float(phi.slope_at(exact)))
        else:
            assert value(s) == pytest.approx(float(smooth_value(phi, s)))
        assert not made.never_zero or value(s) > 0
    assert made.positive is (name in ("log", "sqrt")) and made.never_zero is (name in ("sigmoid", "softplus", "exp"))
    assert {f"phi_{phi.name}", f"slope_{phi.name}"} >= set(made.opened)


def smooth_value(phi, s):
    symbol = sympy.Symbol("s", real=True)
    return fcsym.language.smooth_functions.expression(phi).subs(symbol, sympy.Float(s))


@pytest.mark.parametrize(
    "formula, slope",
    [
        (("log", S), lambda s, sigmoid: 1 / s),
        (("log", ("add", ("number", 1, 1), ("exp", S))), lambda s, sigmoid: sigmoid(s)),
        (("add", ("mul", ("number", 3, 2), S), ("number", 1, 1)), lambda s, sigmoid: 1.5),
    ],
)
def test_a_slope_that_is_known_is_stated_of_any_function_with_it(formula, slope):
    """A function of one's own is any with this derivative: what is stated is that one."""
    made = function(Activation("own", (), (), formula), Printer(()))
    (variable, definition, hypothesis) = made.stated
    assert variable.startswith("Variable phi_own : R -> R.") and made.opened == ("slope_own",) and not made.proved
    assert hypothesis == "Hypothesis derivative_own : forall s, derivable_pt_lim phi_own s (slope_own s)."
    body = definition.partition(":=")[2].rstrip(".")
    env = {**KNOWN, "phi_sigmoid": lambda u: 1 / (1 + math.exp(-u))}
    for s in (0.25, 1.5, 3.0):
        assert Reader(body).made({**env, "s": s}) == pytest.approx(slope(s, env["phi_sigmoid"]))
