"""Products of matrices in C: every layout, at shapes that no tile divides, against NumPy, in every bit."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from conftest import need

import fcsym
from fcsym.kernel import neutral as n
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.targets import c_products
from fcsym.kernel.targets.c import core_text, room_of
from fcsym.kernel.targets.c_products import TILE
from fcsym.kernel.targets.c_words import PRELUDE
from fcsym.language.expression import Array, Axis, Index

SHAPES = [(1, 1, 1), (1, 5, 3), (3, 1, 2), (8, 16, 4), (9, 17, 5), (7, 33, 1), (70, 15, 3), (2, 3, 40)]
LAYOUTS = ["NN", "NT", "TN", "TT"]
FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fPIC", "-shared"]


@dataclass(frozen=True)
class Form:
    """A statement with products, its function, and the same in NumPy."""

    name: str
    function: n.Function
    module: n.Module
    lengths: dict[Axis, int]
    value: object  # arrays by name => the result


def in_order(*factors):
    """sum over the last axis of products, multiplied and added one after another."""
    terms = factors[0]
    for factor in factors[1:]:
        terms = terms * factor
    result = terms[..., 0].copy()
    for k in range(1, terms.shape[-1]):
        result = result + terms[..., k]
    return result


def module_of(sizes, *functions):
    like = lower_scheme(fcsym.scheme(fcsym.Network.parse("1-1-1"), "backprop"))
    return n.Module(**{name: getattr(like, name) for name in like.__dataclass_fields__}
                    | {"functions": functions, "sizes": sizes, "state": (), "constants": {}})  # fmt: skip


def forms():
    """Every layout at every shape; in turn, one axis of open length, and statements with more in them."""
    found = []
    for number, (layout, shape) in enumerate(product(LAYOUTS, SHAPES)):
        axes = [Axis(f"n{k}", open=k == (number + number // 8) % 4) for k in range(3)]
        r, c, t = (Index(axis, letter) for axis, letter in zip(axes, "rct", strict=True))
        lengths = dict(zip(axes, shape, strict=True))
        a = (r, t) if layout[0] == "N" else (t, r)
        b = (t, c) if layout[1] == "N" else (c, t)
        found.append(one(f"{layout}_{number}", lengths, (r, c, t), a, b, kind=number % 6))
    return [*found, stacked()]


def stacked():
    """A product for each place along another axis."""
    lengths = dict(zip([Axis(f"m{k}") for k in range(4)], (3, 9, 18, 7), strict=True))
    s, r, c, t = (Index(axis, letter) for axis, letter in zip(lengths, "srct", strict=True))
    body = n.Product((n.Load("A", (s, t, r)), n.Load("B", (s, c, t))))
    given = (Array("A", None, (s.axis, t.axis, r.axis)), Array("B", None, (s.axis, c.axis, t.axis)))
    made = Array("R", None, (s.axis, r.axis, c.axis))
    define = n.Define("R", (s, r, c), n.Reduce((t,), body))
    function = n.Function("f_stacked", "Products.", (), given, (define,), (made,), False)

    def numpy(values):
        return in_order(values["A"].swapaxes(1, 2)[:, :, None], values["B"][:, None])

    return Form("TT_stacked", function, module_of(lengths, function), lengths, numpy)


def one(name, lengths, indices, a, b, kind):
    r, c, t = indices
    left, right, beside = n.Load("A", a), n.Load("B", b), n.Load("D", (r, c))
    half, scale, weight = n.Const(Fraction(1, 2)), n.Load("e", ()), n.Load("w", (t,))
    plain = n.Reduce((t,), n.Product((left, right)))

    def matrices(values):
        first = values["A"] if a[0] == r else values["A"].T
        second = values["B"] if b[0] == c else values["B"].T
        return first[:, None, :], second[None, :, :]

    def product_of(values):
        return in_order(*matrices(values))

    value, numpy = [
        (plain, product_of),
        (n.Sum(((1, beside), (-1, n.Product((scale, plain))))), lambda v: v["D"] - v["e"] * product_of(v)),
        (n.Select(n.Test(beside, ">", Fraction(0)), plain, half),
         lambda v: np.where(v["D"] > 0, product_of(v), v["h"])),
        (n.Reduce((t,), n.Product((half, weight, left, right))), lambda v: in_order(v["h"] * v["w"], *matrices(v))),
        (n.Sum(((1, n.Reduce((t,), n.Product((right, left)))), (1, n.Reduce((t,), n.Product((weight, right, left)))))),
         lambda v: in_order(*matrices(v)[::-1]) + in_order(v["w"], *matrices(v)[::-1])),
        (n.Sum(((1, plain), (1, n.Reduce((t,), left)))), lambda v: product_of(v) + in_order(matrices(v)[0])),
    ][kind]  # fmt: skip
    given = [Array("A", None, tuple(i.axis for i in a)), Array("B", None, tuple(i.axis for i in b)),
             Array("D", None, (r.axis, c.axis)), Array("w", None, (t.axis,)), Array("e", None, ())]  # fmt: skip
    made = Array("R", None, (r.axis, c.axis))
    function = n.Function(f"f_{name}", "A product.", (), tuple(given), (n.Define("R", (r, c), value),), (made,), False)
    module = module_of({axis: size for axis, size in lengths.items() if not axis.open}, function)
    return Form(name, function, module, lengths, numpy)


@pytest.fixture(scope="module", autouse=True)
def every_size():
    """Small products are worth a tile, too."""
    patch = pytest.MonkeyPatch()
    patch.setattr(c_products, "_WORTH", 0)
    yield
    patch.undo()


CBLAS = """
#include <stddef.h>
enum CBLAS_ORDER { CblasRowMajor = 101 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112 };
#define GEMM_OF(name, real) \\
static inline void name(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, \\
    int m, int n, int k, real alpha, const real *a, int lda, const real *b, int ldb, real beta, real *c, int ldc) \\
{ \\
    for (int i = 0; i < m; i++) { \\
        for (int j = 0; j < n; j++) { \\
            real sum = (ta == CblasNoTrans ? a[i * lda] : a[i]) * (tb == CblasNoTrans ? b[j] : b[j * ldb]); \\
            for (int t = 1; t < k; t++) { \\
                sum += (ta == CblasNoTrans ? a[i * lda + t] : a[t * lda + i]) \\
                    * (tb == CblasNoTrans ? b[t * ldb + j] : b[j * ldb + t]); \\
            } \\
            c[i * ldc + j] = order == CblasRowMajor && alpha == 1 && beta == 0 ? sum : 7; \\
        } \\
    } \\
}
GEMM_OF(cblas_dgemm, double)
GEMM_OF(cblas_sgemm, float)
"""


def library(made, folder, compiler, real, *flags):
    cores = []
    for form in made:
        text = core_text(form.function, form.module, form.function.name, cblas=True)
        cores.append(text.replace("static int", "int"))
    declared = [core.split("\n{")[0].rpartition("*/\n")[2] + ";" for core in cores]
    gemm = f"#define GEMM cblas_{'d' if real == 'double' else 's'}gemm\n"
    text = f"{PRELUDE}\ntypedef {real} real;\n{CBLAS if '-DFCSYM_CBLAS' in flags else ''}{gemm}\n{TILE}\n"
    (folder / "products.c").write_text(text + "\n".join([*declared, *cores]))
    flags = [*FLAGS, *flags]
    subprocess.run([compiler, *flags, "-o", "products.so", "products.c"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "products.so"))


def differences(made, loaded, dtype):
    """The forms whose result is not NumPy's in every bit, or that write where nothing of theirs is."""
    rng = np.random.default_rng(0)
    wrong = []
    for form in made:
        arrays = {
            a.name: rng.normal(size=[form.lengths[axis] for axis in a.axes]).astype(dtype) for a in form.function.given
        }
        arrays["A"].flat[::3] = -0.0
        rows = next((size for axis, size in form.lengths.items() if axis.open), 0)
        wanted = form.value(arrays | {"h": dtype(0.5)})
        guarded = np.full(wanted.size + 2, 7, dtype)
        room = room_of(form.function, form.module)
        work = np.full((room.given + room.strips).at(rows) + 2, 7, dtype)
        arguments = [ctypes.c_void_p(a.ctypes.data) for a in arrays.values()]
        arguments.append(ctypes.c_void_p(guarded.ctypes.data + dtype().itemsize))
        arguments += [ctypes.c_int(rows)] * any(axis.open for axis in form.lengths)
        if room:
            arguments.append(ctypes.c_void_p(work.ctypes.data + dtype().itemsize))
        assert getattr(loaded, form.function.name)(*arguments) == 0
        got = guarded[1:-1].reshape(wanted.shape)
        bits = f"i{got.itemsize}"
        same = got.view(bits) == wanted.view(bits)
        if list(form.lengths)[-1].open:  # such a sum starts with 0, of which only the sign shows
            same |= (got == 0) & (wanted == 0)
        if not same.all() or {*guarded[[0, -1]], *work[[0, -1]]} != {7}:
            wrong.append(form.name)
    return wrong


NATIVE = ["-O3", "-march=native", "-ffp-contract=off"]
PLAIN = ["-U__GNUC__", "-Wno-unknown-pragmas", "-ffp-contract=off"]  # as a compiler without vectors of its own


@pytest.mark.parametrize(("compiler", "real", "flags"), [
    ("gcc", "double", []),
    ("gcc", "float", NATIVE),
    ("clang", "float", []),
    ("clang", "double", NATIVE),
    ("gcc", "double", PLAIN),
    ("gcc", "float", PLAIN),
    ("gcc", "double", ["-DFCSYM_CBLAS"]),
    ("gcc", "float", ["-DFCSYM_CBLAS"]),
])  # fmt: skip
def test_products_are_numpy_added_in_order(compiler, real, flags, tmp_path):
    need(compiler)
    made = forms()
    assert {form.name[:2] for form in made} == set(LAYOUTS)
    loaded = library(made, tmp_path, compiler, real, *flags)
    assert differences(made, loaded, np.float64 if real == "double" else np.float32) == []
    text = (tmp_path / "products.c").read_text()
    assert text.count("tile(sum") >= len(made) and text.count("GEMM(C") > len(made) // 2


def test_a_product_of_two_matrices_is_seen_both_ways():
    """Either operand is the one whose rows are taken; with three factors the last one alone, with an inner sum none."""
    r, c, t = (Index(Axis(name), name) for name in "rct")
    a, b, scale = n.Load("A", (r, t)), n.Load("B", (t, c)), n.Load("d", (t,))
    sizes = {index.axis: 40 for index in (r, c, t)}

    def ways(*factors):
        return c_products._ways(n.Reduce((t,), n.Product(factors)), (r, c), sizes)

    assert {(way.single, way.panel, way.rows, way.columns) for way in ways(a, b)} == {(a, b, r, c), (b, a, c, r)}
    assert [(way.single, way.panel) for way in ways(scale, a, b)] == [(b, n.Product((scale, a)))]
    assert ways(n.Reduce((r,), a), b) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_networks_along_leading_axes_and_batches_of_one(dtype):
    need("gcc")
    net = fcsym.Network.mlp([37, 19, 6], bias=True, loss="cross_entropy")
    rng = np.random.default_rng(1)
    s = fcsym.scheme(net, "backprop", batch="mean", rule="momentum")
    numpy, c = s.compile("numpy"), s.compile("c")
    bar = {"rtol": 1e-3, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-13}
    assert c.source.count(" tile(sum") == 5 + 2  # of a step, and of the output
    for lead, shared, samples in (((2, 3), (), 33), ((4,), (4,), 1), ((), (2,), 5)):
        weights = [rng.normal(size=(*lead, *net.shape(a))).astype(dtype) / 3 for a in net.parameters]
        x, labels = rng.normal(size=(*shared, samples, 37)).astype(dtype), rng.integers(0, 6, size=(*shared, samples))
        states = [k.step(k.step(k.init(weights), x, labels, 0.1), x, labels, 0.1) for k in (numpy, c)]
        for one, other in zip(*states, strict=True):
            assert one.dtype == other.dtype == dtype
            np.testing.assert_allclose(np.broadcast_to(one, other.shape), other, **bar)
        np.testing.assert_allclose(numpy.output(states[0], x), c.output(states[1], x), **bar)


def test_a_wide_file_trains_with_its_own_products_and_with_those_of_cblas(tmp_path):
    """On the frozen rows, which are exact numbers, in double and in single precision, in C and in C++."""
    need("make")
    compilers = need("gcc"), need("g++")
    s = fcsym.scheme(fcsym.Network.mlp([9, 8, 3], bias=True, loss="cross_entropy"), "backprop", batch="mean")
    s.export(tmp_path / "update.c")
    assert (tmp_path / "update.c").read_text().count(" GEMM(") == 5 + 2
    header = (tmp_path / "update.h").read_text()
    assert "#if defined(FCSYM_CBLAS)\n#define UPDATE_WORK" in header
    (tmp_path / "cblas.h").write_text(CBLAS)
    for more in ("", " -I. -DFCSYM_CBLAS"):
        made = [f"CC={compilers[0]}{more}", f"CXX={compilers[1]}{more}"]
        call = ["make", "-s", "-B", "-f", "update.mk", *made, "test", *([] if more else ["cpp"])]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "agree" in done.stdout and not done.stderr, done.stderr
