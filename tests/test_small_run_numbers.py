"""The numbers of an exact run beside definitions: functions in place of smooth ones, losses, and the names of steps.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
from test_small_proofs import mlp

import fcsym
from fcsym.language.activation import smooth
from fcsym.language.expression import ONE, add
from fcsym.networks.symbols import ERROR, adjoint_of, coefficient, corrected, denominator
from fcsym.proof.numbers import Residue
from fcsym.proof.scheme_runs import STEPS, ExactRuns, _Run


def run_of(s, seed=0, is_smooth=False, **more):
    return _Run(SimpleNamespace(scheme=s, network=s.network.reduced(), smooth=is_smooth, **more), seed, "examined")


SLOPES = {
    "exp": lambda f, s: f("exp", s, 0),
    "sqrt": lambda f, s: Residue.of(Fraction(1, 2)) / f("sqrt", s, 0),
    "log": lambda f, s: Residue.of(Fraction(1)) / s,
    "softplus": lambda f, s: f("sigmoid", s, 0),
}


@pytest.mark.parametrize("name", SLOPES)
def test_an_arbitrary_function_has_the_slope_that_is_known_of_it(name):
    """By its own value, by its argument, or by another function of the language."""
    run = run_of(fcsym.scheme(mlp([1, 1, 1]), "backprop"), is_smooth=True)

    def value(of, s, derivative):
        return run._function(smooth(of), s, derivative)

    for at in map(Fraction, (2, 3, "7/5")):
        s = Residue.of(at)
        assert value(name, s, 1) == SLOPES[name](value, s)
        assert (value(name, s, 1) == value(name, s, 0)) is (name == "exp")
        assert value(name, s, 0) == value(name, s, 0) != value(name, s + s, 0)


def test_of_other_functions_value_and_slope_are_any_numbers():
    run = run_of(fcsym.scheme(mlp([1, 1, 1]), "backprop"), is_smooth=True)
    seen = [run._function(smooth("tanh"), Residue.of(Fraction(n)), order) for n in (1, 2, 3) for order in (0, 1)]
    assert len({one.value for one in seen}) == len(seen)


LOSSES = {
    "huber": (lambda r: r * r / 2 if abs(r) <= 1 else abs(r) - Fraction(1, 2), lambda r: max(min(r, 1), -1)),
    "l1": (abs, lambda r: (r > 0) - (r < 0)),
    "mse": (lambda r: r * r, lambda r: 2 * r),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_error_of_a_run_is_that_of_its_loss(loss):
    """At every step, with what it passes back: y - y_g is drawn."""
    value, slope = LOSSES[loss]
    s = fcsym.scheme(mlp([1, 2, 1], loss=loss), "backprop")
    for seed in range(3):
        run = run_of(s, seed)
        for n in range(STEPS):
            truth = run._truth(n)
            (residual,) = run.errors[n].values()
            assert truth[ERROR, ()] == value(residual)
            assert truth[adjoint_of(s.network.logits), (0,)] == slope(residual)


def test_a_root_of_a_rule_is_the_value_of_the_function_and_not_its_slope():
    s = fcsym.scheme(mlp([1, 1, 1]), "backprop", rule="adam", batch="mean")
    run = run_of(s, is_smooth=True)
    truth = run._truth(0)
    for theta in run.network.trained:
        root = run._function(smooth("sqrt"), truth[corrected(theta), (0, 0)], 0)
        assert truth[denominator(theta), (0, 0)] == root + truth[coefficient("eps"), ()]


def test_steps_of_a_run_go_down_the_gradient_and_are_no_longer_than_1():
    s = fcsym.scheme(mlp([1, 1, 1]), "backprop")
    assert all(0 < run_of(s, seed).eta <= 1 for seed in range(40))


def test_a_difference_is_told_at_its_step():
    """Steps count from 1, and `init` is before the first one."""
    s, noted = fcsym.scheme(mlp([1, 1, 1]), "states"), []
    run = run_of(s, record=lambda part, name, problem: noted.append((part, name, problem)))
    e = next(e for e in s.step if e.name == "delta2")
    for n in range(STEPS):
        run._compare("step", e, (0,), Fraction(1), Fraction(2), n)
        part, name, found = noted.pop()
        assert (part, name, found.quantity) == ("step", "delta2", f"delta2[1] in step, step {n + 1}")
        run._compare("step", e, (0,), Fraction(2), Fraction(2), n)
        assert noted.pop() == ("step", "delta2", None)
    wrong = tuple(replace(e, rhs=add(e.rhs, ONE)) if e.name == "s1" else e for e in s.init)
    made = replace(s, routines={**s.routines, "init": replace(s.routines["init"], equations=wrong)})
    assert ExactRuns(made).refuted["init", "s1"].quantity == "s1[1] in init, step 1"
