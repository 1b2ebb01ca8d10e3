"""What checks rest on, each beside something else that computes: functions, balls around their values, and points.

Each takes a fraction of a second, so that a fault in any part of a check is seen by a test that is quick.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import autograd.numpy as anp
import mpmath
import numpy as np
import pytest
import sympy
from autograd import grad
from conftest import need_package
from sympy import Symbol
from sympy.parsing.sympy_parser import parse_expr
from test_small_proofs import HAT

import fcsym
from fcsym import Network
from fcsym.checking.aimed import aimed, placed
from fcsym.checking.enclosures import _table as enclosures_table
from fcsym.checking.enclosures import _value as enclosure_of
from fcsym.checking.enclosures import enclosures
from fcsym.checking.functions import bend_of, phi_of, slope_of
from fcsym.checking.layer_oracles import ORACLES, Passing, Weight
from fcsym.checking.losses import in_all_digits
from fcsym.checking.magnitude import Magnitude
from fcsym.checking.optimiser import Optimiser
from fcsym.checking.own_oracle import _Reading
from fcsym.checking.report import ULPS
from fcsym.checking.running import running_bounds
from fcsym.checking.tally import Tally
from fcsym.kernel.array_scheme import ArrayKernel
from fcsym.language.equation import Equation, Rule
from fcsym.language.expression import Add, Apply, Array, Axis, Extreme, Index, Mul, Number, Pow, Total
from fcsym.networks.rules import RULES
from fcsym.schemes import SCHEMES

SMOOTH = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "softplus": lambda s: mpmath.log1p(mpmath.exp(s)),
    "silu": lambda s: s / (1 + mpmath.exp(-s)),
    "gelu": lambda s: s * mpmath.erfc(-s / mpmath.sqrt(2)) / 2,
    "s*exp(-s**2)": lambda s: s * mpmath.exp(-(s**2)),
    "atan(s)/3 + erf(s)": lambda s: mpmath.atan(s) / 3 + mpmath.erf(s),
    "log(1 + s**2)": lambda s: mpmath.log(1 + s**2),
    "sqrt(4 + s**2)": lambda s: mpmath.sqrt(4 + s**2),
    "pi*cos(s)/(2 + sin(s))": lambda s: mpmath.pi * mpmath.cos(s) / (2 + mpmath.sin(s)),
    "s*Abs(s)": lambda s: s * abs(s),
}
GROWING = {"exp(s)": mpmath.exp, "-s*exp(s)": lambda s: -s * mpmath.exp(s)}
"""Beyond every number on one side, and below every number on the other."""
S = Symbol("s", real=True)
AT = (-35.0, -6.5, -1.25, -0.3, -1e-5, 2e-3, 0.7, 1.5, 5.25, 30.0)


ONE = Network.mlp([1, 1, 1])


def activation(name):
    """One that is known, or one that is written."""
    return fcsym.smooth(name) if name.isalpha() else fcsym.smooth("own", parse_expr(name, {"s": S}))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", SMOOTH)
def test_functions_of_the_oracle_are_these(name, order):
    """To nearly all digits of a float, where they do not vanish."""
    phi, s = activation(name), np.array(AT, np.longdouble)
    found = [phi_of, slope_of, bend_of][order](phi, s)
    with mpmath.workdps(60):
        for value, at in zip(found, AT, strict=True):
            true = mpmath.diff(SMOOTH[name], mpmath.mpf(at), order)
            assert abs(mpmath.mpf(str(value)) - true) <= 1e-13 * abs(true) + mpmath.mpf(10) ** -14, (at, value)


FAR = (-30000.0, -2000.0, -90.0, -20.0, -1e-9, 0.0, 1e-9, 20.0, 90.0, 2000.0, 30000.0)


@pytest.mark.parametrize("name", [*SMOOTH, *GROWING])
def test_far_out_the_oracle_has_the_same_digits(name):
    """Of values as small and as large as a kernel can have; what is smaller is 0, what is larger infinite."""
    phi = activation(name)
    found = phi_of(phi, np.array(FAR, np.longdouble))
    with mpmath.workdps(60):
        for value, at in zip(found, FAR, strict=True):
            true = (SMOOTH | GROWING)[name](mpmath.mpf(at))
            ends = {float("inf"): abs(true) > 1e300, 0.0: abs(true) < 1e-300}
            same = ends.get(abs(float(value)), False) and (not value or (value > 0) == (true > 0))
            assert same or abs(mpmath.mpf(str(value)) - true) <= 1e-13 * abs(true), (at, value)


def test_pieces_of_the_oracle_are_these():
    """max(-s, s, ...) by hand: -s up to 0, s up to 2, then 2; the slope at a kink is the declared one."""
    s = np.array([-3.0, -0.5, 0.0, 0.5, 2.0, 2.5])
    assert phi_of(HAT, s).tolist() == [3, 0.5, 0, 0.5, 2, 2]
    assert slope_of(HAT, s).tolist() == [-1, -1, 0.5, 1, 0.5, 0]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", SMOOTH)
def test_balls_hold_the_values_around_a_number_and_little_else(name, order):
    need_package("flint")
    phi, s = activation(name), np.array([at for at in AT if abs(at) < 7])
    for size in (0.0, 1e-12, 1e-3):
        error = np.full(s.shape, size)
        middle, radius = enclosures(phi, order, s, error)
        with mpmath.workdps(60):
            for m, r, at in zip(middle, radius, s.tolist(), strict=True):
                ends = [mpmath.diff(SMOOTH[name], mpmath.mpf(at) + by * size, order) for by in (-1, 0, 1)]
                m, r = mpmath.mpf(str(m)), mpmath.mpf(repr(float(r)))
                assert all(abs(end - m) <= r * (1 + 1e-9) for end in ends), (at, size)
                spread = max(abs(end - ends[1]) for end in ends)
                assert r <= 40 * spread + 40 * size**2 + 1e-17 * (1 + abs(m)) + 30 * size * (at**2 + 1), (at, size)


def test_nothing_is_known_where_there_is_no_ball():
    need_package("flint")
    phi, s = activation("log(1 + s**2)"), np.array([0.5, np.inf, 0.5, np.nan])
    middle, radius = enclosures(phi, 0, s, np.array([1e-3, 0.0, np.inf, 0.0]))
    assert np.isinf(radius).tolist() == [False, True, True, True]
    assert np.isnan(middle).tolist() == [False, True, True, True]


NETWORKS = {
    "a kink": Network.mlp([1, 1, 1]),
    "two layers": Network.mlp([1, 1, 1, 1]),
    "a slope": Network.mlp([1, 1, 1], "leaky_relu", bias=True),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("aim", ["placed", "aimed"])
def test_what_is_aimed_at_is_hit(name, aim, order):
    """Every case of the first of what has cases, with no point before: in networks whose numbers stay small."""
    d = fcsym.derive(NETWORKS[name], order)
    tally, kernel, rng = Tally(d, np.dtype(float)), d.compile(), np.random.default_rng(1)
    wanted = [(quantity, case) for quantity, case in tally.missing if "->" in case]
    assert len(wanted) >= 3 and len(tally.missing) > len(wanted)
    made = placed(d, tally, kernel, rng) if aim == "placed" else aimed(d, wanted, kernel, rng, 300)
    hit = dict.fromkeys(wanted, 0)
    for points in made:
        result = points.step(kernel)
        for quantity, case in wanted:
            hit[quantity, case] += int(dict(tally.cases(quantity, result))[case].sum())
        if aim == "placed":
            assert np.abs(result[d.network.logits.primed.name]).max() < 1e6 and (points.eta > 0).all()
    missed = [one for one, count in hit.items() if not count]
    assert len(missed) <= (0 if aim == "placed" else len(wanted) // 2), missed


Y, T = sympy.symbols("y t", real=True)
LOSSES = {
    "logcosh": (sympy.log(sympy.cosh(Y - T)), lambda y, t: mpmath.log(mpmath.cosh(y - t))),
    "quotient": (Y / T, lambda y, t: y / t),
}


@pytest.mark.parametrize("batch", ["", "sum", "mean"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_one_s_own_is_summed_over_outputs_and_samples(name, batch):
    """In many digits, at outputs that a loss as it is written has no digits for, and where it has no value."""
    expression, true = LOSSES[name]
    network = Network.mlp([1, 2], loss=fcsym.loss(name, expression))
    network = network.training(network.rule, batch) if batch else network
    y = np.array([[[80.0, -3e-9], [2.5, 0.0]], [[1.0, 2.0], [3.0, 4.0]]], np.longdouble)
    t = np.array([[[-80.0, 1.0], [2.5, -7.0]], [[1e-3, 2.0], [0.0, 0.5]]], np.longdouble)
    found = in_all_digits(network, y, t)
    with mpmath.workdps(60):
        for n, (outputs, targets) in enumerate(zip(y, t, strict=True)):
            rows = []
            for own, goal in zip(outputs, targets, strict=True):
                undefined = name == "quotient" and not goal.all()
                each = [
                    true(mpmath.mpf(str(a)), mpmath.mpf(str(b)))
                    for a, b in zip(own, goal, strict=True)
                    if not undefined
                ]
                rows.append(mpmath.nan if undefined else sum(each))
            whole = {"": rows, "sum": [sum(rows)], "mean": [sum(rows) / 2]}[batch]
            for value, wanted in zip(np.atleast_1d(found[n]), whole, strict=True):
                both = np.isnan(value) and mpmath.isnan(wanted)
                assert both or abs(mpmath.mpf(str(value)) - wanted) <= 1e-17 * (1 + abs(wanted)), (n, value)


def by_hand(name, theta, gradients, eta, b1=0.9, b2=0.999, alpha=0.99, eps=1e-8, decay=0.0):
    """A number that is trained as the manual of `torch.optim` says, step after step."""
    m = v = 0.0
    for n, gradient in enumerate(gradients, 1):
        g = gradient + (0 if name == "adamw" else decay * theta)
        if name == "adamw":
            theta -= eta * decay * theta
        if name in ("momentum", "nesterov"):
            m = 0.9 * m + g
            theta -= eta * (g + 0.9 * m if name == "nesterov" else m)
        elif name == "rmsprop":
            v = alpha * v + (1 - alpha) * g * g
            theta -= eta * g / (v**0.5 + eps)
        elif name in ("adam", "adamw"):
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            theta -= eta * (m / (1 - b1**n)) / ((v / (1 - b2**n)) ** 0.5 + eps)
        else:
            theta -= eta * g
    return theta


@pytest.mark.parametrize("decay", ["0", "1/8"])
@pytest.mark.parametrize("name", RULES)
def test_the_optimiser_of_the_oracle_is_that_of_the_manual(name, decay):
    """Number by number, over three steps with what is carried between them."""
    network = Network.mlp([1, 1], bias=True).training(fcsym.rule(name, weight_decay=decay))
    eta, gradients = np.array([0.25, 1e-3]), [np.array([[[1.5]], [[-2.0]]]), np.array([[[0.5]], [[0.125]]]), 0.0]
    value, memory = np.array([[[1.0]], [[-3.0]]]), None
    start = value.ravel().tolist()
    for gradient in gradients:
        optimiser = Optimiser(network, memory, eta)
        value = optimiser.moved("W1", value, np.broadcast_to(gradient, value.shape))
        carried = {a.name: optimiser.seen.get(a.primed.name) for a in network.memory}
        memory = {name: array for name, array in carried.items() if array is not None}
    for n, found in enumerate(value.ravel()):
        each = [float(np.broadcast_to(gradient, value.shape).ravel()[n]) for gradient in gradients]
        wanted = by_hand(name, start[n], each, eta[n], decay=float(Fraction(decay)))
        assert float(found) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("phi", ["relu", "leaky_relu", "identity"])
def test_where_nothing_cancels_rounding_moves_little(phi):
    """What a check allows for is of the size of the number itself, each time that one is made of others."""
    d = fcsym.derive(Network.mlp([1, 1, 1], phi))
    for sign in (1.0, -1.0):
        given = {"W1": np.array([[[sign]]]), "W2": np.array([[[2.0]]]), "x": np.array([[0.5]]), "yg": np.array([[0.0]])}
        given["eta"] = np.array([1.0])
        made = d.compile().step([given["W1"], given["W2"]], given["x"], given["yg"], given["eta"], undefined="nan")
        values = {e.name: np.asarray(getattr(made, e.name)) for e in d.equations if hasattr(made, e.name)}
        size = Magnitude(d, given, values, ULPS * np.finfo(float).eps)
        for n, name in enumerate(("s1", "v1", "y", "E"), 1):
            value = abs(float(values[name].ravel()[0]))
            assert value <= float(np.ravel(size.of(name))[0]) <= 1e-300 + (1 + 2 * n) * value, name


def test_what_has_no_value_has_no_bound():
    """Neither has what is made of it; what is not, has."""
    d = fcsym.derive(ONE)
    given = {"W1": np.ones((1, 1, 1)), "W2": np.ones((1, 1, 1)), "x": np.ones((1, 1)), "yg": np.zeros((1, 1))}
    given["eta"] = np.array([0.125])
    made = d.compile().step([given["W1"], given["W2"]], given["x"], given["yg"], given["eta"])
    values = {e.name: np.asarray(getattr(made, e.name)) for e in d.equations if hasattr(made, e.name)}
    bounds = running_bounds(d, given, values)
    assert all(np.isfinite(bound).all() for bound in bounds.values())
    for lost in ("s1", "delta2", "a0"):
        made_of, found = {lost}, running_bounds(d, given, {k: v for k, v in values.items() if k != lost})
        for equation in d.equations:  # each comes after those that it is made of
            if equation.name in found:
                depends = bool({a.name for a in equation.operands} & made_of)
                made_of |= {equation.name} if depends else set()
                assert np.isinf(found[equation.name]).all() == depends, equation.name
                assert depends or (found[equation.name] == bounds[equation.name]).all()


@pytest.mark.parametrize("name", ["weights", "compensation"])
def test_a_scheme_that_does_not_say_that_a_unit_has_left_0_fails(name, monkeypatch):
    s = fcsym.scheme(Network.mlp([1, 1, 1], "leaky_relu"), name)
    report = fcsym.check(s, trials=2, seed=0, steps=1)
    (row,) = [row for row in report.rows if row.case == "a unit leaves 0: raised"]
    assert report.passed and row.points == 1
    step = ArrayKernel.step
    monkeypatch.setattr(ArrayKernel, "step", lambda *given, **more: step(*given, **more | {"undefined": "nan"}))
    assert not fcsym.check(s, trials=2, seed=0, steps=1).passed


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "collapsed"])
def test_exact_gates_change_nothing_where_rounding_decides_nothing(name):
    """The same state at the start, after a step, and the same weights."""
    s, rng = fcsym.scheme(Network.mlp([2, 2, 1]), name), np.random.default_rng(0)
    weights, x, target = [rng.normal(size=(2, 2)), rng.normal(size=(1, 2))], rng.normal(size=2), np.ones(1)
    first, second = s.compile(), s.compile(gates="exact")
    states = [k.init(weights, x) if s.single_input else k.init(weights) for k in (first, second)]
    for _ in range(2):
        for one, other in zip(*states, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
        states = [k.step(state, x, target, 0.1) for k, state in zip((first, second), states, strict=True)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_attention_of_the_oracle_is_this(bias, causal):
    """softmax(q k^T / sqrt(d)) v of each head, position by position."""
    width, heads, steps, rng = 4, 2, 3, np.random.default_rng(0)
    layer = fcsym.MultiheadAttention(width, heads, bias, causal)
    shapes = [(width, width), *([(width,)] if bias else [])] * 4
    given = [rng.normal(size=(1, *shape)) for shape in shapes]
    x = rng.normal(size=(1, 1, steps, width))
    found = ORACLES[layer.kind](layer, Passing([Weight(a, a) for a in given]), [x])[0, 0]
    parts = iter([a[0] for a in given])
    pairs = [(next(parts), next(parts) if bias else np.zeros(width)) for _ in range(4)]
    q, k, v = [[w @ at + b for at in x[0, 0]] for w, b in pairs[:3]]
    for n in range(steps):
        read = np.zeros(width)
        for head in (slice(0, 2), slice(2, 4)):
            scores = [np.exp(q[n][head] @ k[m][head] / 2**0.5) for m in range(n + 1 if causal else steps)]
            read[head] = sum(score * v[m][head] for m, score in enumerate(scores)) / sum(scores)
        np.testing.assert_allclose(found[n], pairs[3][0] @ read + pairs[3][1], rtol=1e-12)


def _gate(s):
    return 1 / (1 + np.exp(-s))


def _steps(kind, gates, h, cell):
    """h and the cell after a step, by the manual of `torch.nn`; `gates`: what each reads of the input, and of h."""
    if kind == "rnn":
        return np.tanh(sum(gates[0])), cell
    if kind == "lstm":
        i, f, g, o = map(sum, gates)
        cell = _gate(f) * cell + _gate(i) * np.tanh(g)
        return _gate(o) * np.tanh(cell), cell
    r, z = (_gate(sum(gate)) for gate in gates[:2])
    new = np.tanh(gates[2][0] + r * gates[2][1])
    return (1 - z) * new + z * h, cell


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_recurrences_of_the_oracle_are_those_of_the_manual(kind, bias):
    """Gate by gate, over three steps: all of their matrices at the input, all at h, then all biases."""
    count, rng = {"rnn": 1, "lstm": 4, "gru": 3}[kind], np.random.default_rng(0)
    layer = {"rnn": fcsym.RNN, "lstm": fcsym.LSTM, "gru": fcsym.GRU}[kind](2, 3, bias=bias, last=False)
    shapes = [(3, 2)] * count + [(3, 3)] * count + [(3,)] * (2 * count if bias else 0)
    given = [rng.normal(size=(1, *shape)) for shape in shapes]
    x, h, cell = rng.normal(size=(1, 1, 4, 2)), np.zeros(3), np.zeros(3)
    found = ORACLES[layer.kind](layer, Passing([Weight(a, a) for a in given]), [x])
    alone = [a[0] for a in given] + [np.zeros(3)] * (0 if bias else 2 * count)
    for t, own in enumerate(x[0, 0]):
        a, b = ([w @ at for w in alone[k * count : (k + 1) * count]] for k, at in ((0, own), (1, h)))
        shifts = alone[2 * count : 3 * count], alone[3 * count :]
        h, cell = _steps(kind, [(p + c, q + d) for p, q, c, d in zip(a, b, *shifts, strict=True)], h, cell)
        np.testing.assert_allclose(found[0, 0, t], h, rtol=1e-12)


def test_the_sign_of_a_ball_is_known_away_from_0():
    need_package("flint")
    import flint

    sign = enclosures_table()["sign"]
    for middle, radius, (low, high) in [(2, 1, (1, 1)), (-2, 1, (-1, -1)), (0.5, 1, (-1, 1)), (0, 0, (-1, 1))]:
        found = sign(flint.arb(middle, radius))
        ends = float(found.mid()) - float(found.rad()), float(found.mid()) + float(found.rad())
        assert ends == pytest.approx((low, high), abs=1e-6), (middle, radius)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [4, (4,), (3, 4)])
@pytest.mark.parametrize("kind", ["layernorm", "rmsnorm"])
def test_norms_of_the_oracle_are_those_of_the_manual(kind, shape, affine):
    """Over the last axes, as many numbers as are said, of a variance of 1 or of a mean square of 1."""
    make = {"layernorm": fcsym.LayerNorm, "rmsnorm": fcsym.RMSNorm}[kind]
    layer, rng = make(shape, eps=0.125, elementwise_affine=affine), np.random.default_rng(0)
    lengths = shape if isinstance(shape, tuple) else (shape,)
    given = [rng.normal(size=(1, *lengths)) for _ in range(2 if kind == "layernorm" else 1)] if affine else []
    flat = [a.reshape(1, -1) for a in given]
    x = rng.normal(size=(1, 2, 3, 4))
    found = ORACLES[layer.kind](layer, Passing([Weight(a, a) for a in flat]), [x])
    axes = tuple(range(-len(lengths), 0))
    centred = x - x.mean(axis=axes, keepdims=True) if kind == "layernorm" else x
    wanted = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + 0.125)
    wanted = wanted * given[0][0] if affine else wanted
    wanted = wanted + given[1][0] if len(given) > 1 else wanted
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


def test_a_function_of_a_parameter_is_taken_of_its_value():
    """And not of what the backward pass sees in its place."""
    axis = Axis("i")
    index, array, made = Index(axis, "i"), Array("w", None, (axis,)), Array("u", None, (axis,))
    value, seen = (np.full((1, 1, 3), number, np.longdouble) for number in (0.5, 2.0))
    x = np.zeros((1, 2, 3), np.longdouble)
    given = Array("x", None, (axis,))
    phi = Network.mlp([1, 1, 1], "tanh").layers[0].activation
    reading = object.__new__(_Reading)
    equation = Equation(made[index], Apply(phi, array[index]), Rule.DEFINITION, "")
    reading.at, reading.sizes, reading.known = Passing([]), {axis: 3}, {given: (x, x), array: (value, seen)}
    reading.built = SimpleNamespace(equations=[equation], input=given, features=array, logits=made)
    _, found = reading.passed()
    assert found.shape == (1, 2, 3)
    np.testing.assert_allclose(found.astype(float), np.tanh(0.5), rtol=1e-15)


def test_of_a_choice_that_a_ball_leaves_open_both_sides_are_taken():
    """s^2 above 1, and s + 3 up to there."""
    need_package("flint")
    import flint

    form = ("above", 1, 1, ("pow", ("s",), ("number", 2, 1)), ("add", ("s",), ("number", 3, 1)))
    for middle, radius, ends in ((2, 0.25, (1.75**2, 2.25**2)), (0, 0.5, (2.5, 3.5)), (1, 0.5, (0.25, 4.5))):
        ball = enclosure_of(form, flint.arb(middle, radius), enclosures_table())
        low, high = float(ball.mid()) - float(ball.rad()), float(ball.mid()) + float(ball.rad())
        assert low <= ends[0] and high >= ends[1] and high - low < 1.5 * (ends[1] - ends[0]), (middle, radius)


def test_what_reaches_a_part_of_an_equation_comes_through_what_is_seen_of_the_others():
    """Values are those of the step; the slope of a power and of a product is at what the backward pass sees."""
    axis = Axis("i")
    index, arrays = Index(axis, "i"), [Array(name, None, (axis,)) for name in "wu"]
    w, u = (array[index] for array in arrays)
    value, seen = np.array([0.5, -1.5, 2.0]), np.array([3.0, 0.25, -2.0])
    other, beside = np.array([1.5, 0.75, -0.5]), np.array([-1.0, 2.0, 4.0])
    greatest_at = np.arange(3) == np.argmax(value)
    cases = {
        "itself": (w, value, seen, np.ones(3)),
        "a cube": (Pow(w, 3), value**3, seen**3, 3 * seen**2),
        "a product": (Mul((w, u)), value * other, seen * beside, beside),
        "a square": (Mul((w, w)), value**2, seen**2, 2 * seen),
        "a sum": (Add((w, Mul((Number(Fraction(3)), u)))), value + 3 * other, seen + 3 * beside, np.ones(3)),
        "over all": (Total((index,), w), value.sum(), seen.sum(), np.ones(3)),
        "the greatest": (Extreme("max", (index,), w), value.max(), seen.max(), greatest_at),
        "what is seen as it is": (Total((index,), Pow(u, 2)), (other**2).sum(), (beside**2).sum(), 0 * value),
    }
    for name, (node, true, back, slope) in cases.items():
        reading = object.__new__(_Reading)
        reading.at, reading.sizes = Passing([]), {axis: 3}
        axes = () if isinstance(node, Total | Extreme) else (index,)

        def made(own, reading=reading, node=node, axes=axes):
            there = own.reshape(1, 1, 3)
            reading.known = {arrays[0]: (there, seen[None, None]), arrays[1]: (other[None, None], beside[None, None])}
            return reading.value(node, axes)

        found, passed = made(value)
        np.testing.assert_allclose(np.ravel(found), np.ravel(true), rtol=1e-14, err_msg=name)
        np.testing.assert_allclose(np.ravel(passed), np.ravel(back), rtol=1e-14, err_msg=name)
        gradient = grad(lambda own, made=made: anp.sum(made(own)[0]) + 0 * anp.sum(own))(value)
        np.testing.assert_allclose(gradient, slope, rtol=1e-14, atol=1e-15, err_msg=name)
