"""Schemes: proved, compiled, and the same trajectory as backpropagation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import LONG, NETWORKS, ORDERS, exists, few, network_of

import fcsym
from fcsym.errors import UnsupportedExpression
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.targets.arrays import function_text
from fcsym.kernel.targets.numpy import DIALECT, helpers
from fcsym.language.equation import Cases, Status, Verdict
from fcsym.language.expression import Add, Mul, Number, Pow, Ref, Total, add, mul
from fcsym.proof.schemes import prove_scheme
from fcsym.schemes import SCHEMES

SINGLE = ("weights", "compensation", "states")  # of any depth
SEVERAL = ("backprop", "history", "basis")
FROZEN = ("weights", "compensation")


def made(network, name, order):
    if not exists(name, network):
        if name == "collapsed":  # not as equations of one input: see test_columns
            pytest.skip("what the finder finds of it has tests of its own")
        with pytest.raises(fcsym.ArgumentError, match=r"needs (a|one) hidden layer|needs one output"):
            fcsym.scheme(network, name, order=order)
        pytest.skip("the scheme does not exist for this network")
    return fcsym.scheme(network, name, order=order)


def random_weights(network, rng, lead=()):
    return [rng.normal(size=(*lead, *network.shape(a))) / np.sqrt(network.shape(a)[-1]) for a in network.parameters]


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_proved(network, order, name):
    scheme = made(network, name, order)
    assert scheme.proof.holds, [f for f in scheme.proof.findings if f.verdict in (Verdict.REFUTED, Verdict.UNDECIDED)]
    for part in scheme.parts:
        assert part.proof.holds
        assert {e.name for e in part} == {f.equation for f in part.proof.findings}


# ------------------------------------------------------------------------------------------------------- mutations


def mutants(node):
    """The same expression with one thing changed."""
    match node:
        case Ref():
            yield mul(2, node)
        case Add(terms):
            for n, term in enumerate(terms):
                yield add(*terms[:n], mul(-1, term), *terms[n + 1 :])
                yield add(*terms[:n], *terms[n + 1 :])
        case Mul(factors):
            yield mul(-1, node)
            for n, factor in enumerate(factors):
                if not isinstance(factor, Number):
                    yield mul(*factors[:n], *factors[n + 1 :])
                for other in mutants(factor) if isinstance(factor, Add | Total) else ():
                    yield mul(*factors[:n], other, *factors[n + 1 :])
        case Pow(base, exponent):
            yield Pow(base, exponent + 1) if exponent != -1 else base
        case Total(over, body):
            for other in mutants(body):
                yield Total(over, other) if {i for r in refs(other) for i in r.indices} >= set(over) else other
        case Number(value):
            yield Number(value + 1)


def refs(node):
    from fcsym.language.expression import refs_in

    return list(refs_in(node))


def mutated(equation):
    if not isinstance(equation.rhs, Cases):
        for rhs in mutants(equation.rhs):
            yield replace(equation, rhs=rhs)
        return
    for n, branch in enumerate(equation.rhs):
        if branch.status is Status.CHOSEN:  # any value solves such a row
            continue
        zero = [c.subject for c in branch.when if c.relation == "=" and not c.bound]
        for value in mutants(branch.value) if branch.value is not None else ():
            if isinstance(value, Mul) and any(factor in zero for factor in value.factors):  # 2 s is s where s = 0
                continue
            rows = [*equation.rhs.branches]
            rows[n] = replace(branch, value=value)
            yield replace(equation, rhs=Cases(tuple(rows)))


def bound(equation):
    """Whether every index of the right-hand side is summed over or on the left."""
    from fcsym.language.algebra import free_in

    nodes = [equation.rhs] if not isinstance(equation.rhs, Cases) else [b.value for b in equation.rhs if b.value]
    return all(free_in(node) <= set(equation.lhs.indices) for node in nodes)


SETTINGS = [(net, order) for net in ("2-2-1", "biases in some layers") for order in ORDERS]
CHANGED = [(name, *SETTINGS[(n + k) % 4]) for n, name in enumerate(SCHEMES) for k in range(4)]  # each once, in few


@pytest.mark.parametrize(("name", "net", "order"), few(CHANGED, 7))
def test_no_changed_scheme_is_proved(net, name, order):
    scheme = fcsym.scheme(NETWORKS[net] if exists(name, NETWORKS[net]) else network_of(name, net), name, order=order)
    count = 0
    for part, routine in scheme.routines.items():
        for n, equation in enumerate(routine.equations):
            if (part, equation.name) == ("init", "key"):  # no formula reads it
                continue
            if net != "2-2-1" and scheme.base.by_name.get(equation.name) == equation:  # the step's own: tests of proof
                continue
            if name == "collapsed" and not LONG and n % 2 != ORDERS.index(order):  # many, and slow: half in each order
                continue
            others = [other for other in mutated(equation) if bound(other)]
            for other in few(others, 2 if net == "2-2-1" and name != "collapsed" else 1, turn=ORDERS.index(order)):
                equations = (*routine.equations[:n], other, *routine.equations[n + 1 :])
                changed = replace(scheme, routines={**scheme.routines, part: replace(routine, equations=equations)})
                proof = prove_scheme(changed, part)[part]
                assert not proof.holds, (part, str(other))
                count += 1
    assert count >= 5 or name == "backprop"


# ---------------------------------------------------------------------------------------------------- trajectories


@pytest.mark.parametrize("name", SCHEMES)
def test_training_agrees_with_autodiff_in_the_same_order_only(network, order, name):
    scheme = made(network, name, order)
    report = fcsym.check(scheme, trials=40, seed=1, steps=60)
    assert report.passed, str(report)
    if len(network.layers) > 1:  # with one layer there is nothing above to be updated first
        crossed = next(o for o in ORDERS if o != order)
        assert not fcsym.check(scheme, trials=40, seed=1, steps=60, against=crossed).passed


@pytest.mark.parametrize(
    ("order", "name"), few([(ORDERS[(n + k) % 2], name) for n, name in enumerate(SCHEMES) for k in (0, 1)], 2)
)
def test_a_thousand_steps(order, name):
    network = network_of(name, "biases in some layers")
    report = fcsym.check(fcsym.scheme(network, name, order=order), trials=10, seed=3, steps=1000)
    assert report.passed, str(report)
    assert report.points > 10_000


def test_single_precision_agrees_to_its_own_rounding(order):
    for name in SCHEMES:
        assert fcsym.check(fcsym.scheme(NETWORKS["2-2-1"], name, order=order), trials=20, dtype=np.float32).passed


def test_a_check_that_should_fail_does(order):
    """A kernel that trains a little wrong: the bar is tight enough to see it."""
    scheme = fcsym.scheme(NETWORKS["three layers"], "states", order=order)
    wrong = replace(scheme)
    kernel = wrong.compile()
    right = kernel._namespace["step"]
    kernel._namespace["step"] = lambda *arrays: (right(*arrays)[0] * (1 + 1e-12), *right(*arrays)[1:])
    object.__setattr__(wrong, "compile", lambda target="numpy": kernel)
    assert fcsym.check(scheme, trials=20, steps=50).passed
    assert not fcsym.check(wrong, trials=20, steps=50).passed


@pytest.mark.parametrize("name", SCHEMES)
def test_the_exact_trajectory_is_near_both_sides(order, name):
    """Balls of 1024 bits say how far the scheme and floating-point backpropagation are from the truth."""
    from fcsym.checking.exact import distance, trajectory

    network = NETWORKS["2-2-1" if name == "collapsed" else "several outputs"]
    rng = np.random.default_rng(1 if name == "collapsed" else 5)  # one in which no unit changes sides
    weights = random_weights(network, rng)
    pool = rng.normal(size=(3 if name in SEVERAL else 1, network.inputs))
    xs = [pool[n % len(pool)] for n in range(300)]
    targets = [np.full(network.widths[-1], np.sin(n % len(pool))) for n in range(300)]
    kernel, reference = (fcsym.scheme(network, s, order=order).compile() for s in (name, "backprop"))
    state, other = kernel.init(weights, xs[0]), reference.init(weights)
    worst = [0.0, 0.0]
    path = trajectory(network, order, weights, xs, targets, 0.05)
    for x, target, step in zip(xs, targets, path, strict=False):
        for n, y in enumerate((kernel.output(state, x), reference.output(other, x))):
            worst[n] = max(worst[n], distance(y[0], step.output[0]))
        state, other = kernel.step(state, x, target, 0.05), reference.step(other, x, target, 0.05)
    last = next(path)
    for array, exact in zip(kernel.expand(state, weights, xs[0]), last.weights, strict=True):
        for row, true_row in zip(np.atleast_2d(array), exact, strict=True):
            assert max(distance(a, b) for a, b in zip(row, true_row, strict=True)) < 1e-13
    assert worst[0] < 16 * max(worst[1], 1e-15)


def test_rationals_and_balls_agree():
    """Two steps in fractions, written out by hand elsewhere, against the balls."""
    from exact import step

    from fcsym.checking.exact import distance, trajectory

    weights = [np.array([[1.0, -0.5], [0.25, 2.0]]), np.array([[0.5, -1.0]])]
    x, target, eta = [0.5, -0.25], [1.0], 0.125
    for order in ORDERS:
        w = [[[Fraction(v) for v in row] for row in matrix.tolist()] for matrix in weights]
        path = list(trajectory(NETWORKS["2-2-1"], order, weights, [x, x], [target, target], eta))
        for before in path:
            now = step((2, 2, 1), w, [Fraction(v) for v in x], [Fraction(1)], Fraction(1, 8), order)
            assert distance(float(now.v[-1][0]), before.output[0]) < 1e-15
            w = now.w


def test_more_bits_say_what_a_few_do_not(monkeypatch):
    """A step that is too long for its error to settle loses some two bits each time: training begins again with more.

    What is yielded has never less than 128 bits that are certain.
    """
    from fcsym.checking import exact

    pytest.importorskip("flint")
    weights, ones = [np.array([[1.0]]), np.array([[0.9]])], [[1.0]] * 40
    given = (NETWORKS["one unit"], "simultaneous", weights, ones, ones, 1.2)
    full = list(exact.trajectory(*given))
    monkeypatch.setattr(exact, "BITS", 160)
    few = list(exact.trajectory(*given))
    assert len(few) == len(full) == 41
    assert all(exact.distance(float(a.output[0]), b.output[0]) < 1e-15 for a, b in zip(full, few, strict=True))
    assert min(step.output[0].rel_accuracy_bits() for step in few) >= 128
    monkeypatch.setattr(exact, "_MOST_BITS", 319)
    with pytest.raises(UnsupportedExpression, match=r"^160 bits do not say .+ after \d+ steps: take fewer"):
        list(exact.trajectory(*given))


def test_the_exact_trajectory_without_flint(monkeypatch):
    import sys

    from fcsym.checking import exact

    network, weights = NETWORKS["2-2-1"], [np.eye(2), np.array([[1.0, 1.0]])]
    with_balls = list(exact.trajectory(network, "sequential", weights, [[1.0, 0.5]] * 3, [[0.0]] * 3, 0.1))
    assert "balls" in exact.arithmetic()
    monkeypatch.setitem(sys.modules, "flint", None)
    without = list(exact.trajectory(network, "sequential", weights, [[1.0, 0.5]] * 3, [[0.0]] * 3, 0.1))
    assert "floating point" in exact.arithmetic()
    assert [float(a.output[0]) for a in without] == [float(a.output[0]) for a in with_balls]


# ----------------------------------------------------------------------------------------------------- what is held


@pytest.mark.parametrize("name", SINGLE)
def test_schemes_for_one_input_do_not_grow_with_the_number_of_inputs(name):
    rng = np.random.default_rng(0)
    sizes = set()
    for inputs in (2, 3, 50):
        network = fcsym.Network.mlp([inputs, 4, 3, 1])
        state = fcsym.scheme(network, name).compile().init(random_weights(network, rng), rng.normal(size=inputs))
        sizes.add(sum(array.size for array in state))
        assert "W1" not in state._fields and "Wc1" not in state._fields
    assert len(sizes) == 1


def test_history_keeps_one_coefficient_per_distinct_input():
    network = fcsym.Network.mlp([3, 4, 2], bias=True)
    rng = np.random.default_rng(0)
    kernel = fcsym.scheme(network, "history").compile()
    state = kernel.init(random_weights(network, rng))
    pool = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])
    for n in rng.integers(3, size=50):
        state = kernel.step(state, pool[n], np.ones(2), 0.05)
    assert state.X.shape == (2, 3) and state.C.shape == (2, 4)  # an input of zeros teaches the matrix nothing
    assert {tuple(row) for row in state.X} == {tuple(row) for row in pool[1:]}


def test_history_in_a_batch_stores_each_networks_own_inputs():
    network = fcsym.Network.mlp([2, 3, 1])
    rng = np.random.default_rng(1)
    weights = random_weights(network, rng, lead=(4,))
    kernel, reference = (fcsym.scheme(network, name).compile() for name in ("history", "backprop"))
    state, other = kernel.init(weights), reference.init(weights)
    for n in range(30):
        x = rng.integers(-1, 2, size=(4, 2)).astype(float) * (np.arange(4)[:, None] <= n % 5)
        state, other = (k.step(s, x, np.ones((4, 1)), 0.05) for k, s in ((kernel, state), (reference, other)))
    for found, true in zip(kernel.expand(state), other, strict=True):
        np.testing.assert_allclose(found, true, rtol=0, atol=1e-14)


# --------------------------------------------------------------------------------------------------- what is refused


def waking():
    """A 1-2-2-1 network whose second unit of layer 2 is dead and wakes up when layer 1 grows."""
    weights = [np.array([[1.0], [0.5]]), np.array([[1.0, 0.0], [1.0, -2.0]]), np.array([[1.0, 1.0]])]
    return fcsym.Network.parse("1-2-2-1"), weights, np.array([1.0]), np.array([40.0])


@pytest.mark.parametrize("name", FROZEN)
def test_a_unit_that_wakes_up_is_named(name):
    network, weights, x, target = waking()
    kernel = fcsym.scheme(network, name).compile()
    state = kernel.init(weights, x)
    assert state.vc[1] == 0
    with pytest.raises(
        fcsym.UndefinedContribution, match=r"unit h2 of layer 2 wakes up at this step; .*undefined=\"nan\""
    ):
        kernel.step(state, x, target, 0.1)
    with pytest.raises(fcsym.UndefinedContribution, match="At step 1, unit h2 of layer 2"):
        kernel.run(state, [x, x], [target, target], 0.1)
    marked = kernel.step(state, x, target, 0.1, undefined="nan")
    assert np.isnan(kernel.output(marked, x)).all()
    held = fcsym.scheme(network, "states").compile()
    assert np.isfinite(held.step(held.init(weights, x), x, target, 0.1).W3).all()


def test_only_the_network_whose_unit_wakes_up_is_marked():
    network, weights, x, target = waking()
    many = [np.stack([w, np.abs(w)]) for w in weights]
    kernel = fcsym.scheme(network, "weights").compile()
    state = kernel.init(many, x)
    with pytest.raises(fcsym.UndefinedContribution, match=r"of network \(0,\)"):
        kernel.step(state, x, target, 0.1)
    y = kernel.output(kernel.step(state, x, target, 0.001, undefined="nan"), x)
    assert np.isfinite(y[1]).all()


def test_another_input_is_refused_by_the_schemes_for_one():
    network = NETWORKS["2-2-1"]
    weights = random_weights(network, np.random.default_rng(0))
    for name in (*SINGLE, "collapsed"):
        kernel = fcsym.scheme(network, name).compile()
        state = kernel.init(weights, [0.0, 1.0])
        for other in ([1.0, 0.0], [0.0, -1.0], [0.0, 1.0 + 1e-9]):
            for call in (
                lambda o=other, k=kernel, s=state: k.step(s, o, [1.0], 0.1),
                lambda o=other, k=kernel, s=state: k.output(s, o),
                lambda o=other, k=kernel, s=state: k.expand(s, weights, o),
            ):
                with pytest.raises(fcsym.ArgumentError, match="not the input that init was given"):
                    call()


@pytest.mark.parametrize("name", [*SINGLE, "collapsed"])
@pytest.mark.parametrize("bias", [False, True])
def test_an_input_of_zeros_is_no_division_by_zero(name, bias):
    network = fcsym.Network.mlp([2, 3, 1], bias=bias)
    weights = random_weights(network, np.random.default_rng(2))
    kernel, reference = (fcsym.scheme(network, s).compile() for s in (name, "backprop"))
    state, other = kernel.init(weights, [0.0, 0.0]), reference.init(weights)
    with np.errstate(all="raise"):
        for _ in range(5):
            state, other = (k.step(s, [0.0, 0.0], [1.0], 0.1) for k, s in ((kernel, state), (reference, other)))
        expanded = kernel.expand(state, weights, [0.0, 0.0])
    for found, true in zip(expanded, other, strict=True):
        np.testing.assert_allclose(found, true, rtol=0, atol=1e-15)


def test_bad_arguments_are_one_sentence():
    network = NETWORKS["2-2-1"]
    weights = random_weights(network, np.random.default_rng(0))
    kernel = fcsym.scheme(network, "states").compile()
    state = kernel.init(weights, [1.0, 2.0])
    with pytest.raises(fcsym.ArgumentError, match="scheme 'stats' is not known: choose one of backprop, weights"):
        fcsym.scheme(network, "stats")
    with pytest.raises(fcsym.ArgumentError, match="order 'later' is not known"):
        fcsym.scheme(network, "states", order="later")
    for problem, call in {
        "give init that input": lambda: kernel.init(weights),
        r"x has shape \(3,\): it must be \(..., 2\)": lambda: kernel.step(state, [1.0, 2.0, 3.0], [1.0], 0.1),
        r"target has shape \(2,\): it must be \(..., 1\)": lambda: kernel.step(state, [1.0, 2.0], [1.0, 1.0], 0.1),
        "state has 2 arrays and states holds 5": lambda: kernel.step(state[:2], [1.0, 2.0], [1.0], 0.1),
        r"state.W2 has shape \(3,\)": lambda: kernel.output(state._replace(W2=np.ones(3)), [1.0, 2.0]),
        "undefined is 'no': choose raise or nan": lambda: kernel.step(state, [1.0, 2.0], [1.0], 0.1, undefined="no"),
        "x contains numbers that are not finite": lambda: kernel.step(state, [np.nan, 2.0], [1.0], 0.1),
        "needs the input that init was given": lambda: kernel.expand(state, weights),
        "both need one row per step": lambda: kernel.run(state, [[1.0, 2.0]], [[1.0], [1.0]], 0.1),
    }.items():
        with pytest.raises(fcsym.ArgumentError, match=problem):
            call()
    with pytest.raises(fcsym.CompileError, match="target 'rust' is not known"):
        fcsym.scheme(network, "states").compile("rust")


@pytest.mark.parametrize("name", SCHEMES)
def test_divergence_is_reported_with_the_step(name):
    network = fcsym.Network.parse(
        "2-2-1", "identity" if name == "collapsed" else "relu"
    )  # linear units keep their piece
    weights = [np.array([[1.0, 1.0], [1.0, 0.5]]), np.array([[1.0, 2.0]])]
    kernel = fcsym.scheme(network, name, order="sequential").compile()
    state = kernel.init(weights, [1.0, 2.0])
    with pytest.raises(fcsym.Diverged, match=r"^At step \d+, state\.\w+ is not finite after this step"):
        kernel.run(state, np.tile([1.0, 2.0], (200, 1)), np.ones((200, 1)), 5.0)
    for _ in range(200):
        state = kernel.step(state, [1.0, 2.0], [1.0], 5.0, undefined="nan")
    with pytest.raises(fcsym.ArgumentError, match="the run has diverged"):
        kernel.step(state, [1.0, 2.0], [1.0], 5.0)


# ------------------------------------------------------------------------------------------------------------- cost


class Counting(np.ndarray):
    """An array that counts the operations done on it: the test's own count, which reads no derivation."""

    total = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **settings):
        plain = [np.asarray(value) if isinstance(value, Counting) else value for value in inputs]
        settings = {k: np.asarray(v) if isinstance(v, Counting) else v for k, v in settings.items()}
        if out is not None:
            settings["out"] = tuple(np.asarray(o) for o in out)
        result = getattr(ufunc, method)(*plain, **settings)
        if ufunc.__name__ in ("minimum", "maximum"):  # comparisons are not arithmetic
            pass
        elif method == "reduce":
            Counting.total += np.asarray(plain[0]).size - np.asarray(result).size
        elif ufunc.__name__ in ("matvec", "vecmat", "vecdot", "matmul"):
            Counting.total += result.size * (2 * plain[0].shape[-1] - 1)
        elif ufunc.__name__ in ("add", "subtract", "multiply", "divide", "square"):
            Counting.total += result.size
        else:
            assert ufunc.__name__ in (
                "negative",
                "greater",
                "less_equal",
                "equal",
                "not_equal",
                "bitwise_and",
                "bitwise_or",
            )
        return np.asarray(result).view(Counting)

    def __array_function__(self, function, types, args, settings):
        plain = [np.asarray(value) if isinstance(value, Counting) else value for value in args]
        result = function(*plain, **{k: np.asarray(v) if isinstance(v, Counting) else v for k, v in settings.items()})
        if function is np.sum:
            Counting.total += plain[0].size - np.asarray(result).size
        elif function is np.einsum and len(plain) == 2:  # one factor, over the one output
            Counting.total += plain[1].size - np.asarray(result).size
        elif function is np.dot:  # of a column and a row
            assert plain[0].shape[1] == 1
            Counting.total += result.size
        elif function is np.einsum:  # two factors and one sum
            summed = plain[1].shape[0]
            Counting.total += result.size * (2 * summed - 1)
        else:
            free = (np.where, np.zeros_like, np.full_like, np.min, np.max, np.broadcast_shapes, np.swapaxes)
            assert function in free
        return np.asarray(result).view(Counting)


def array_form(scheme):
    """The generated functions as matrix products, which small networks do not run as."""
    module = lower_scheme(scheme)
    namespace = {"np": np} | {name: np.array(values, dtype=float) for name, values in module.constants.items()}
    texts = [function_text(function, DIALECT) for function in module.functions]
    for text in (*helpers("".join(texts)), *texts):
        exec(text, namespace)
    return namespace


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(
    "net", ["2-2-1", "several outputs", "three layers", "biases in some layers", "leaky", "one leaky layer", "linear"]
)
def test_counted_operations_are_those_of_the_kernel(net, name, order):
    network = NETWORKS[net]
    scheme = made(network, name, order)
    cost, kernel, rng = fcsym.cost(scheme), scheme.compile(), np.random.default_rng(0)
    weights, x = random_weights(network, rng), rng.normal(size=network.inputs)
    state, stored = kernel.init(weights, x), 1
    if name == "history":
        stored = 3
        for _ in range(stored):
            x = rng.normal(size=network.inputs)
            state = kernel.step(state, x, np.zeros(network.widths[-1]), 0.01)
    by_name = {f"{a.symbol}c{a.layer}": w for a, w in zip(network.parameters, weights, strict=True)}
    by_name |= {a.name: w for a, w in zip(network.parameters, weights, strict=True)} | state._asdict()
    by_name |= {"x": x, "yg": np.zeros(network.widths[-1]), "eta": np.array(0.1)}
    assert cost.at(cost.state, stored) == sum(array.size for array in state)
    functions = array_form(scheme)
    for part in scheme.parts:
        Counting.total = 0
        functions[part.name](*(np.asarray(by_name[a.name]).view(Counting) for a in part.given))
        assert cost.at(cost.parts[part.name], stored) == Counting.total, part.name


def test_cost_says_where_it_saves_and_where_it_loses():
    from fcsym.closed.costs import compare

    wide = fcsym.Network.parse("64-8-1")
    backprop, states, history = (fcsym.cost(fcsym.scheme(wide, name)) for name in ("backprop", "states", "history"))
    assert compare(states, backprop).startswith("saves 501 of 520 numbers and saves")
    few = int(compare(history, backprop).split("operations up to m = ")[1].split()[0])
    assert history.at(history.operations, few) < backprop.at(backprop.operations)
    assert history.at(history.operations, few + 1) >= backprop.at(backprop.operations)
    with pytest.raises(fcsym.ArgumentError, match="give a scheme"):
        fcsym.cost(wide)


# -------------------------------------------------------------------------------------------------------- real data


def accuracy(kernel, state, x, labels):
    outputs = np.array([kernel.output(state, row) for row in x])
    return float(np.mean(np.argmax(outputs, axis=1) == labels))


@pytest.mark.parametrize("name", ["history", "basis"])
@pytest.mark.parametrize(("data", "widths"), [("iris", (4, 8, 3)), ("digits", (64, 32, 10))])
def test_real_data(data, widths, name, order):
    sets = pytest.importorskip("sklearn.datasets")
    x, labels = getattr(sets, f"load_{data}")(return_X_y=True)
    x = x / x.max()
    targets = np.eye(widths[-1])[labels]
    network = fcsym.Network.mlp(widths, bias=True)
    rng = np.random.default_rng(0)
    weights = [w if w.ndim == 2 else 0 * w for w in random_weights(network, rng)]
    kernel, reference = (fcsym.scheme(network, s, order=order).compile() for s in (name, "backprop"))
    chosen = rng.integers(len(x), size=400)
    state = kernel.run(kernel.init(weights), x[chosen], targets[chosen], 0.02)
    other = reference.run(reference.init(weights), x[chosen], targets[chosen], 0.02)
    for found, true in zip(kernel.expand(state), other, strict=True):
        np.testing.assert_allclose(found, true, rtol=0, atol=1e-12)
    shown = rng.integers(len(x), size=200)
    assert accuracy(kernel, state, x[shown], labels[shown]) == accuracy(reference, other, x[shown], labels[shown])
    assert accuracy(reference, other, x[shown], labels[shown]) > 2 / widths[-1]  # something was learned


@pytest.mark.parametrize(("data", "widths"), [("iris", (4, 8, 3)), ("digits", (64, 32, 10))])
def test_real_data_with_one_input(data, widths, order):
    sets = pytest.importorskip("sklearn.datasets")
    x, labels = getattr(sets, f"load_{data}")(return_X_y=True)
    x, target = x[7] / x.max(), np.eye(widths[-1])[labels[7]]
    network = fcsym.Network.mlp(widths)
    weights = random_weights(network, np.random.default_rng(0))
    reference = fcsym.scheme(network, "backprop", order=order).compile()
    other = reference.run(reference.init(weights), np.tile(x, (300, 1)), np.tile(target, (300, 1)), 0.05)
    for name in SINGLE:
        kernel = fcsym.scheme(network, name, order=order).compile()
        state = kernel.run(kernel.init(weights, x), np.tile(x, (300, 1)), np.tile(target, (300, 1)), 0.05)
        np.testing.assert_allclose(kernel.output(state, x), reference.output(other, x), rtol=0, atol=1e-13)
        for found, true in zip(kernel.expand(state, weights, x), other, strict=True):
            np.testing.assert_allclose(found, true, rtol=0, atol=1e-13)


# ----------------------------------------------------------------------------------------- what once went unnoticed


@pytest.mark.parametrize("name", SCHEMES)
def test_a_wrong_slope_at_the_kink_is_seen(name):
    """The kernel of another slope at 0, checked as if it were this one's."""
    network = network_of(name, "three layers")
    other = (
        0 if network.layers[0].activation.kink_slopes[0] else 1
    )  # collapsed refuses a unit on any kink but those of 0
    right, wrong = fcsym.scheme(network, name), fcsym.scheme(network, name, slope_at_kink=other)
    assert fcsym.check(right, trials=20, steps=5).passed and fcsym.check(wrong, trials=20, steps=5).passed
    kernel = wrong.compile()
    object.__setattr__(right, "compile", lambda target="numpy": kernel)
    report = fcsym.check(right, trials=20, steps=5)
    assert not report.passed
    assert all(row.passed for row in report.rows if "kink" not in row.case)


@pytest.mark.parametrize("name", FROZEN)
def test_a_step_that_does_not_raise_is_seen(name):
    scheme = fcsym.scheme(NETWORKS["three layers"], name)
    kernel = scheme.compile()
    step = kernel.step
    kernel.step = lambda *arguments, undefined="raise": step(*arguments, undefined="nan")
    object.__setattr__(scheme, "compile", lambda target="numpy": kernel)
    report = fcsym.check(scheme, trials=300, steps=5)
    assert [row.case for row in report.rows if not row.passed] == ["a unit wakes up: raised"]


@pytest.mark.parametrize("name", [*SINGLE, "collapsed"])
def test_single_precision_tells_inputs_apart(name):
    """One pixel moved to where the multipliers of the key are nearly the same, in a wide network."""
    network = fcsym.Network.mlp([784, 4, 1])
    rng = np.random.default_rng(0)
    weights = [w.astype(np.float32) for w in random_weights(network, rng)]
    x = (rng.random(784) < 0.3).astype(np.float32)
    kernel = fcsym.scheme(network, name).compile()
    state = kernel.init(weights, x)
    kernel.output(state, x), kernel.output(state, x.astype(float)), kernel.step(state, x, [1.0], 0.1)
    for shift in (233, 377, 610):
        for pixel in range(0, 784 - shift, 7):
            other = x.copy()
            other[[pixel, pixel + shift]] = other[[pixel + shift, pixel]]
            if (other != x).any():
                with pytest.raises(fcsym.ArgumentError, match="not the input"):
                    kernel.output(state, other)


def test_a_choice_on_the_value_before_the_step_is_not_proved():
    from fcsym.language.expression import Ref

    scheme = fcsym.scheme(NETWORKS["three layers"], "weights")
    routine = scheme.routines["step"]

    def early(branch):
        when = tuple(
            replace(c, subject=Ref(c.subject.array.unprimed, c.subject.indices)) if c.subject.array.after else c
            for c in branch.when
        )
        return replace(branch, when=when)

    equations = tuple(
        replace(e, rhs=Cases(tuple(map(early, e.rhs)))) if e.name == "r_new" else e for e in routine.equations
    )
    changed = replace(scheme, routines={**scheme.routines, "step": replace(routine, equations=equations)})
    assert not changed.proof.holds


@pytest.mark.parametrize("name", SCHEMES)
def test_results_in_another_order_are_not_proved(name):
    scheme = fcsym.scheme(network_of(name, "three layers"), name)
    for part in ("init", "step", "expand"):
        routine = scheme.routines[part]
        changed = replace(routine, results=routine.results[::-1])
        assert not replace(scheme, routines={**scheme.routines, part: changed}).proof.holds


def test_nothing_compared_is_no_agreement():
    report = fcsym.check(fcsym.scheme(NETWORKS["2-2-1"], "history"), trials=3, steps=2)
    assert report.passed
    assert not replace(report, rows=()).passed
    assert not replace(report, rows=tuple(replace(row, points=0, worst=0.0) for row in report.rows)).passed
    assert not replace(report, rows=(replace(report.rows[0], points=0), *report.rows[1:])).passed


@pytest.mark.parametrize(
    ("settings", "problem"),
    [({"dtype": "float16"}, "dtype is"), ({"dtype": "bogus"}, "dtype is"), ({"against": "x"}, "against is")],
)
def test_a_check_refuses_what_it_cannot_do(settings, problem):
    with pytest.raises(fcsym.ArgumentError, match=problem):
        fcsym.check(fcsym.scheme(NETWORKS["2-2-1"], "states"), trials=2, steps=2, **settings)
    with pytest.raises(fcsym.ArgumentError, match="give a derivation, derivatives or a scheme"):
        fcsym.check(5)
