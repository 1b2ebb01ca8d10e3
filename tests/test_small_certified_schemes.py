"""What the certificate of a scheme says of constants, layouts, weights that are given back, and of the start.

Each takes a fraction of a second, so that a fault in any part of it is seen by a test that is quick.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from test_functions_of_what_is_given import network as of_what_is_given

import fcsym
from fcsym import Network
from fcsym.certificates import certificate_of
from fcsym.certificates.constants import Constants
from fcsym.certificates.curves import Curves
from fcsym.certificates.file import LINES
from fcsym.certificates.grouped import Grouped
from fcsym.certificates.printer import Printer, of_array
from fcsym.language.algebra import indices_of
from fcsym.language.equation import Branch, Cases, Equation, Rule
from fcsym.language.expression import ONE, Array, Index, mul
from fcsym.networks.symbols import adjoint_of, gradient_of, kept_share

mlp = Network.mlp


@cache
def text_of(kind, *widths, bias=False, **setting):
    return fcsym.scheme(mlp(widths, bias=bias), kind, **setting).certificate().text


def theorem(text, name):
    return text.partition(f"Theorem {name} : ")[2].partition("\nProof.")[0]


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
def test_constants_are_paired_where_their_product_is_1(inputs):
    """What something is carried in comes first, and what gives it back second."""
    s = fcsym.scheme(mlp([inputs, 2, 1], "tanh"), "basis")
    arrays = {a for e in (*s.invariants, *s.expand.equations) for a in (e.array, *e.operands)}
    ((left, right),) = Constants(s, Printer(arrays), {e.array: e for e in s.invariants}).pairs
    made = [np.array([[float(v) for v in row] for row in s.constants[array]]) for array in (left, right)]
    assert np.array_equal(made[0] @ made[1], np.eye(inputs))
    assert left in s.invariants[0].operands and right in s.expand.equations[0].operands


@pytest.mark.parametrize("bias", [False, True])
def test_weights_of_the_first_layer_are_given_back_at_the_inputs_that_there_are(bias):
    """Of an input beyond the last one nothing is known."""
    text = text_of("states", 2, 2, 1, bias=bias)
    assert theorem(text, "expand_W1").startswith("forall (i j : nat), (j < n_0)%nat -> W1 i j = ")
    if bias:
        assert theorem(text, "expand_b1").startswith("forall (i : nat), b1 i = ")


def test_a_layout_has_a_column_for_each_unit_that_is_summed_over():
    """Of the two layers that a matrix is between it is the one below, though both have units."""
    said = theorem(text_of("collapsed", 1, 2, 2, 1, batch="mean", samples=2), "laid_out_W2")
    assert said.startswith("forall (i j : nat), (j < n_1)%nat -> W2 i j = ")
    assert "sum n_1 (fun u => kron u j * W2 i u)" in said


@cache
def grouped(*widths):
    found = []
    with pytest.MonkeyPatch.context() as patch:
        own = Grouped.aligned
        patch.setattr(Grouped, "aligned", lambda self, e, meaning: (found.append(self), own(self, e, meaning))[1])
        fcsym.scheme(mlp(widths, "leaky_relu"), "collapsed", batch="mean", samples=2).certificate()
    return found[0]


def test_lines_of_a_unit_are_told_apart_by_everything_but_their_group():
    one = grouped(2, 2, 1)
    (layer,) = one.grouping.layers
    for array in filter(None, (layer.slope, layer.offset)):
        n, c = indices_of(array)
        assert one._seen(array[n, c]) == one._seen(array[n, Index(c.axis, "other")])
        assert one._seen(array[n, c]) != one._seen(array[Index(n.axis, "other"), c])
    s = layer.pre_activation
    n, j = indices_of(s)
    assert one._seen(s[n, j]) != one._seen(s[n, Index(j.axis, "other")])
    assert one._seen(layer.within[indices_of(layer.within)]) is None


def test_what_has_cases_is_put_in_nowhere():
    """Nor what says something of a sum: a definition is of one array, and has one value."""
    a, b = (Array(name, None, ())[()] for name in "ab")
    plain = Equation(a, mul(2, b), Rule.DEFINITION, "")
    table = replace(plain, rhs=Cases((Branch("always", (), ONE),)))
    assert list(Grouped._definitions({a.array: plain})) == [(a.array, ((), mul(2, b)))]
    assert list(Grouped._definitions({a.array: table})) == []
    assert list(Grouped._definitions({a.array: replace(plain, lhs=a + b)})) == []


@pytest.mark.parametrize("kind", ["collapsed", "states"])
def test_of_what_decays_all_is_left_at_the_start(kind):
    """Whether the state has the share that is left or not: what is said of the start is said of what is defined."""
    rule = fcsym.rule("sgd", weight_decay="0.1")
    text = text_of(kind, 1, 2, 1, batch="mean", samples=2, rule=rule)
    name = f"{kept_share().name}_0"
    assert f"Definition {name} : R := 1." in text and f"= {name} * Wc1_0 " in theorem(text, "start_W1")
    defined = set(re.findall(r"^Definition ([\w']+)", text, re.MULTILINE))
    started = [said for said in re.findall(r"^Theorem start_\w+ : (.*)$", text, re.MULTILINE)]
    assert started and all(set(re.findall(r"\b[\w']+_0\b", said)) - {"n_0"} <= defined for said in started)


TAKEN = ["S", "O", "INR", "pow", "eq", "eq_refl", "Rabs", "Rplus_comm", "sum_ext", "K_a", "M_W1", "W_of", "p_case_1"]


@pytest.mark.parametrize("name", [*TAKEN, "a_", "as", "W1", "x", "eta", "SW", "Sum"])
def test_a_name_is_another_one_where_coq_or_a_file_means_something_by_it(name):
    """A library's, one that a file makes of the names of its arrays, or a word of the language; else it is itself."""
    assert of_array(name) == name + "_" * (name in (*TAKEN, "a_", "as"))


def test_60_lines_are_what_is_read_before_it_is_believed():
    """`docs/certificates.md` says so."""
    assert LINES == 60


@pytest.mark.parametrize("phi", ["softplus", "relu"])
def test_in_sequential_order_each_curve_is_about_an_equation_that_there_is(phi, monkeypatch):
    """The gradient of what is trained and the adjoint of what is not, where the derivation names them."""
    d = fcsym.derive(of_what_is_given("c", phi), "sequential")
    found, own = {}, Curves._alone
    monkeypatch.setattr(
        Curves, "_alone", lambda self, array: found.setdefault(array, (self.trained, own(self, array)))[1]
    )
    certificate_of(d)
    assert len(found) > 4
    for array, (trained, made) in found.items():
        wanted = (gradient_of if array in trained else adjoint_of)(array).name
        assert made.of == (wanted if wanted in d.by_name else array.primed.name, None)
        assert made.of[0] in d.by_name
    assert {array in trained for array, (trained, _) in found.items()} == {True, False}
