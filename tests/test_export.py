"""Exported files: checked, exact on their own rows, written safely, the same in every byte; JAX and PyTorch in use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import LONG, NETWORKS, exists, few, need, need_package, net_of
from test_schemes import mutated

import fcsym
from fcsym.cli import main
from fcsym.kernel.export import TARGETS, agrees_with_autodiff, export
from fcsym.kernel.lower import lower_scheme
from fcsym.kernel.rows import frozen_rows
from fcsym.schemes import SCHEMES

FEW = ["2-2-1", "linear", "one unit", "mixed, deep", "smooth, then pieces", "one leaky layer"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def made(net, name, order="sequential"):
    network = NETWORKS[net]
    if not exists(name, network):
        pytest.skip("the scheme does not exist for this network")
    return fcsym.scheme(network, name, order=order)


def run(text):
    """The namespace of a generated module."""
    namespace = {"__name__": "exported"}
    exec(compile(text, "<exported>", "exec"), namespace)
    return namespace


# ---------------------------------------------------------------------------- every file against exact evaluation


@pytest.mark.parametrize("name", SCHEMES)
def test_numpy_files_agree_with_exact_evaluation(network, order, name):
    if not exists(name, network):
        pytest.skip("the scheme does not exist for this network")
    s = fcsym.scheme(network, name, order=order)
    rows = frozen_rows(s, 20)
    (text,) = TARGETS["numpy"].files(lower_scheme(s), "update", rows).values()
    module = run(text)
    with np.errstate(all="raise"):
        assert module["selftest"]() == f"update: {len(rows)} rows agree with exact evaluation"


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("net", FEW)
def test_c_files_agree_with_exact_evaluation(net, name, tmp_path):
    """Under gcc and clang, in double and single precision, and as freestanding code, without a warning."""
    compilers = [need("gcc"), need("clang")]
    need("make")
    rows = frozen_rows(made(net, name))
    for file, text in TARGETS["c"].files(lower_scheme(made(net, name)), "update", rows).items():
        (tmp_path / file).write_text(text)
    for compiler in compilers:
        subprocess.run(["make", "-s", "-f", "update.mk", "clean"], cwd=tmp_path, check=True)
        command = ["make", "-s", "-f", "update.mk", f"CC={compiler}", "test"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines() == [f"update: {len(rows)} rows agree with exact evaluation"] * 2
    symbols = subprocess.run(["nm", "update_freestanding.o"], cwd=tmp_path, capture_output=True, text=True, check=True)
    kinds = {line.split()[-2] for line in symbols.stdout.splitlines()}
    assert not kinds & set("bBdDC"), "no global state"
    undefined = {line.split()[-1] for line in symbols.stdout.splitlines() if line.split()[-2] == "U"}
    assert undefined <= {"memcpy", "memset", "memmove", "expf", "tanhf", "log1pf"}, "no allocation, and no library"


WIDE = fcsym.Network.mlp([2, 300, 1], activation=fcsym.leaky_relu(slope_at_kink=0))  # among so many, some are at 0


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("wide", [False, True])
def test_c_files_are_c_plus_plus_as_well(name, wide, tmp_path):
    """As C, as C++, and C called from C++, in both precisions, without a warning; with and without work memory."""
    pairs = [(need("gcc"), need("g++")), (need("clang"), need("clang++"))]
    need("make")
    s = fcsym.scheme(WIDE, name) if wide else made(net_of(name, "smooth, then pieces"), name)
    rows = frozen_rows(s, 20)
    for file, text in TARGETS["c"].files(lower_scheme(s), "update", rows).items():
        (tmp_path / file).write_text(text)
    for cc, cxx in pairs[int(wide) :]:
        subprocess.run(["make", "-s", "-f", "update.mk", "clean"], cwd=tmp_path, check=True)
        command = ["make", "-s", "-f", "update.mk", f"CC={cc}", f"CXX={cxx}", *(["test"] if wide else []), "cpp"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
        said = f"update: {len(rows)} rows agree with exact evaluation"
        assert done.stdout.splitlines() == [said] * (5 if wide else 3)


@pytest.mark.parametrize("flag", ["-O0", "-O2", "-Os"])
def test_the_header_says_how_much_stack_a_call_takes(flag, tmp_path):
    """However wide the layers are; measured by the compiler."""
    import re

    compiler = need("gcc")
    for width in (3, 40, 300, 3000):
        for name in SCHEMES:
            s = fcsym.scheme(fcsym.Network.mlp([2, width, 1], activation="leaky_relu"), name)
            for file, text in TARGETS["c"].files(lower_scheme(s), "update", ()).items():
                (tmp_path / file).write_text(text)
            (tmp_path / "numbers.c").write_text(
                '#include <stdio.h>\n#include "update.h"\n'
                'int main(void)\n{\n    printf("%d %d", UPDATE_STACK, UPDATE_WORK);\n    return 0;\n}\n'
            )
            command = [compiler, "-std=c99", flag, "-fstack-usage", "-c", "update.c"]
            subprocess.run(command, cwd=tmp_path, check=True)
            subprocess.run([compiler, "-o", "numbers", "numbers.c"], cwd=tmp_path, check=True)
            said = subprocess.run(["./numbers"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
            stack, work = map(int, said.split())
            used = {
                line.split()[0].rpartition(":")[2]: int(line.split()[1])
                for line in (tmp_path / "update.su").read_text().splitlines()
            }
            calls = {f: used.get(f"update_{f}", 0) + used.get(f"{f}_core", 0) for f in s.routines}
            own = 1024 if flag == "-O0" else 512  # numbers that are no arrays, what a call saves
            assert max(calls.values()) <= 8 * stack + own, (name, width)
            assert stack <= 256 + (4 * 64 if name == "history" else 0)  # four numbers for each of 64 inputs
            assert 256 < work < 16 * width if work else width < 300, (name, width)
            assert ("update_real *work" in (tmp_path / "update.h").read_text()) == bool(work)
    assert not re.search(r"real \w+\[\d{4,}\];", (tmp_path / "update.c").read_text())


@pytest.mark.parametrize("name", ["states", "history"])
def test_a_wide_network_in_c_runs_on_a_small_stack(name, tmp_path):
    """What a sketch does: all memory is static, and update_work is its own."""
    compiler = need("gcc")
    s = fcsym.scheme(fcsym.Network.mlp([2, 60000, 1]), name)
    for file, text in TARGETS["c"].files(lower_scheme(s), "update", ()).items():
        (tmp_path / file).write_text(text)
    kernel, one = s.compile("numpy"), [1.0, 0.5]
    state = kernel.init([np.full((60000, 2), 1 / 512), np.full((1, 60000), 1 / 512)], one)
    y = kernel.output(kernel.step(state, one, [1.0], 1e-2), one).item()
    assert y > 1.01 * kernel.output(state, one).item()
    x, start = (", x", "") if name == "history" else ("", ", x")
    (tmp_path / "main.c").write_text(
        '#include "update.h"\nstatic update_state s;\nstatic update_weights w;\n'
        "static update_real work[UPDATE_WORK];\n\nint main(void)\n{\n"
        "    const double x[2] = {1.0, 0.5}, t[1] = {1.0};\n    double y[1];\n    (void)x;\n"
        "    for (int i = 0; i < 120000; i++) {\n        w.W1[i] = 1.0 / 512;\n    }\n"
        "    for (int i = 0; i < 60000; i++) {\n        w.W2[i] = 1.0 / 512;\n    }\n"
        f"    int status = update_init(&s, &w{start});\n"
        f"    status |= update_step(&s{x}, t, 1e-2, work) | update_output(&s{x}, y, work);\n"
        f"    return status || !(y[0] > {0.999999 * y} && y[0] < {1.000001 * y});\n}}\n"
    )
    command = [compiler, "-std=c99", "-DUPDATE_CAPACITY=4", "-o", "main", "main.c", "update.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run(["bash", "-c", "ulimit -s 128; exec ./main"], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("target", ["jax", "torch"])
@pytest.mark.parametrize("net", FEW)
def test_jax_and_torch_files_agree_with_exact_evaluation(net, target):
    library = need_package(target)
    for name in SCHEMES:
        if not exists(name, NETWORKS[net]):
            continue
        s = made(net, name)
        rows = frozen_rows(s, 10)[:2]
        (text,) = TARGETS[target].files(lower_scheme(s), "update", rows).values()
        if target == "jax":
            with library.enable_x64(True):
                assert "rows agree" in run(text)["selftest"]()
        assert "rows agree" in run(text)["selftest"]()  # JAX: in single precision


def test_the_rows_reach_every_case():
    reached = {what for row in frozen_rows(made("three layers", "weights")) for what in row.reaches}
    for case in ("active -> active", "active -> dead", "dead -> dead"):
        assert {f"dv1: {case}", f"dv2: {case}"} <= reached
    assert "dv2: dead -> active" in reached  # in the first layer, with slope 0 at the kink, no unit wakes up
    assert {"r_new: v^c != 0", "r_new: v^c = 0, v' = 0", "r_new: v^c = 0, v' != 0"} <= reached
    assert {"s1 on piece 1", "s1 on piece 2", "s1 on kink 1", "s2 on kink 1"} <= reached
    assert any(row.undefined for row in frozen_rows(made("three layers", "weights")))


@pytest.mark.parametrize("target", ["numpy", "c", "jax", "torch"])
def test_a_self_test_can_fail(target, tmp_path):
    """A file in which one operator was changed."""
    s = made("2-2-1", "backprop")
    files = TARGETS[target].files(lower_scheme(s), "update", frozen_rows(s))
    if target == "c":
        need("gcc")
        source = files["update.c"]
        assert "W2[k * 2 + j] - eta[0]" in source
        files = files | {"update.c": source.replace("W2[k * 2 + j] - eta[0]", "W2[k * 2 + j] + eta[0]")}
        for file, text in files.items():
            (tmp_path / file).write_text(text)
        done = subprocess.run(
            ["make", "-s", "-f", "update.mk", "CC=gcc", "test"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode and "DISAGREES with exact evaluation" in done.stdout
        return
    if target != "numpy":
        need_package(target)
    (text,) = files.values()
    old, new = ("np.subtract(W2,", "np.add(W2,") if target == "numpy" else ("W2 - eta", "W2 + eta")
    assert old in text
    with pytest.raises(AssertionError, match="exact evaluation gives"):
        run(text.replace(old, new))["selftest"]()


def test_large_networks_say_that_they_have_no_rows(tmp_path):
    """A file that has nothing to compare does not say that it agrees."""
    need("gcc")
    need("make")
    s = fcsym.scheme(fcsym.Network.mlp([72, 72, 1]), "backprop")
    make = ["make", "-s", "-f", "update.mk", "CC=gcc", "test"]
    for name, command in (("update.py", [sys.executable, "update.py"]), ("update.c", make)):
        export(s, tmp_path / name)
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert "no rows of exact evaluation" in said and "agree" not in said


def test_fast_math_is_refused(tmp_path):
    compiler = need("gcc")
    export(made("2-2-1", "backprop"), tmp_path / "update.c")
    done = subprocess.run(
        [compiler, "-ffast-math", "-c", "update.c"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode and "ffast-math" in done.stderr


def test_the_history_in_c_says_when_it_is_full(tmp_path):
    compiler = need("gcc")
    export(made("2-2-1", "history"), tmp_path / "update.c")
    (tmp_path / "main.c").write_text(
        '#include "update.h"\nint main(void)\n{\n    static update_state s;\n    static const update_weights w;\n'
        "    const double t[1] = {0.0};\n    const double x[3][2] = {{1, 0}, {0, 1}, {1, 1}};\n"
        "    update_init(&s, &w);\n    int r = update_step(&s, x[0], t, 0.1) | update_step(&s, x[1], t, 0.1);\n"
        "    r |= update_step(&s, x[0], t, 0.1);\n"
        "    return r ? 1 : update_step(&s, x[2], t, 0.1) == UPDATE_FULL && s.rows == 2 ? 0 : 2;\n}\n"
    )
    command = [compiler, "-std=c99", "-DUPDATE_CAPACITY=2", "-o", "main", "main.c", "update.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, check=False).returncode == 0


# --------------------------------------------------------------------------------------------- against autodiff


@pytest.mark.parametrize("name", SCHEMES)
def test_every_kernel_agrees_with_autodiff(network, order, name):
    if not exists(name, network):
        pytest.skip("the scheme does not exist for this network")
    assert agrees_with_autodiff(fcsym.scheme(network, name, order=order)) == ""


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("net", FEW)
def test_every_target_agrees_with_autodiff(net, name):
    need("gcc")
    for target in ("c", "jax", "torch"):
        if target != "c":
            need_package(target)
        assert agrees_with_autodiff(made(net, name), target) == ""


def test_the_other_order_does_not_agree():
    s = made("2-2-1", "backprop")
    other = replace(s, base=replace(s.base, order="simultaneous"))
    assert "off by" in agrees_with_autodiff(other)


@pytest.mark.parametrize("name", few(SCHEMES, 3))
def test_a_changed_scheme_is_not_exported(name, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "fcsym.kernel.export.frozen_rows", lambda *_, **__: []
    )  # they follow the change, and refuse nothing
    s = made(net_of(name, "three layers"), name)
    count = 0
    for part in ("step", "output", "expand"):
        for n, equation in enumerate(s.routines[part].equations):
            if not LONG and part == "step" and n % 2:  # half of the many that a step has
                continue
            if isinstance(equation.rhs, fcsym.language.equation.Cases):
                continue
            other = next(iter(mutated(equation)), None)
            if other is None or (name, equation.name) == ("compensation", "v2_new"):
                continue  # read by nothing but a test for 0, which the change passes on random networks
            if equation.array.symbol in ("lo", "hi"):
                continue  # read by nothing but the test for a change of sides, of which there are few
            equations = (*s.routines[part].equations[:n], other, *s.routines[part].equations[n + 1 :])
            changed = replace(s, routines={**s.routines, part: replace(s.routines[part], equations=equations)})
            try:
                with pytest.raises(fcsym.ExportError, match=r"is not exported: (it is off|it gives|only)"):
                    export(changed, tmp_path / "update.py")
            except fcsym.CompileError:
                continue
            count += 1
            assert not list(tmp_path.iterdir())
    assert count >= 5


# ------------------------------------------------------------------------------------------------------ writing


def test_the_command(tmp_path, capsys):
    for target, names in {"numpy": ["update.py"], "c": ["update.c", "update.h", "update.mk", "update_test.c"]}.items():
        folder = tmp_path / target
        assert main(["export", "2-2-1", "--scheme", "states", "--target", target, "-o", str(folder), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["checked"] is True
        assert sorted(document["files"]) == sorted(str(path) for path in folder.iterdir())
        assert sorted(path.name for path in folder.iterdir()) == names
    done = subprocess.run(
        [sys.executable, "-W", "error", "update.py"], cwd=tmp_path / "numpy", capture_output=True, text=True, check=True
    )
    assert "rows agree with exact evaluation" in done.stdout


@pytest.mark.parametrize("arguments", [
    ["--target", "cobol"], ["--name", "a b"], ["--name", "while"], ["--name", "../x"], ["--scheme", "magic"],
    ["--order", "other"], ["--name", "x" * 40],
])  # fmt: skip
def test_a_wrong_command_is_one_sentence(arguments, tmp_path, capsys):
    assert main(["export", "2-2-1", "-o", str(tmp_path), *arguments, "--json"]) == 2
    assert "error" in json.loads(capsys.readouterr().out)
    assert not list(tmp_path.iterdir())


def test_the_command_says_when_the_check_fails(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fcsym.kernel.export.agrees_with_autodiff", lambda *_: "it is off")
    assert main(["export", "2-2-1", "-o", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["checked"] is False
    assert not list(tmp_path.iterdir())


def test_files_of_others_are_left_alone(tmp_path):
    s = made("2-2-1", "states")
    (tmp_path / "update.h").write_text("mine")
    with pytest.raises(fcsym.ArgumentError, match=r"update\.h was not written by fcsym"):
        s.export(tmp_path / "update.c")
    assert [path.name for path in tmp_path.iterdir()] == ["update.h"]
    assert len(s.export(tmp_path / "update.c", force=True)) == 4
    assert len(s.export(tmp_path / "update.c")) == 4  # its own
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "update.py").symlink_to(tmp_path / "elsewhere")
    for force in (False, True):
        with pytest.raises(fcsym.ArgumentError, match="is a link"):
            s.export(tmp_path / "update.py", force=force)
    assert (tmp_path / "elsewhere").read_text() == "mine"
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(fcsym.ArgumentError, match="is a folder"):
        s.export(tmp_path / "folder.py", force=True)


def test_paths_and_targets_must_fit():
    s = made("2-2-1", "states")
    for path, target in (
        ("x.txt", None),
        ("x.c", "numpy"),
        ("x.py", "c"),
        ("1x.py", None),
        ("no/such/folder/x.py", None),
    ):
        with pytest.raises((fcsym.ArgumentError, fcsym.NetworkError)):
            s.export(path, target)
    with pytest.raises(fcsym.CompileError):
        s.export("x.py", "fortran")
    with pytest.raises(fcsym.CompileError, match="choose one of numpy, c, jax, torch"):
        s.compile("fortran")


def test_what_an_interrupted_write_left_is_swept(tmp_path):
    old, recent = tmp_path / ".update.py.abc.tmp", tmp_path / ".update.py.def.tmp"
    for path in (old, recent):
        path.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    made("2-2-1", "states").export(tmp_path / "update.py")
    assert not old.exists() and recent.exists()


@pytest.fixture
def quick(monkeypatch):
    """Exports that look at nothing: what they write is not the question."""
    with monkeypatch.context() as context:
        context.setattr("fcsym.kernel.export.agrees_with_autodiff", lambda *_: "")
        context.setattr("fcsym.kernel.export.frozen_rows", lambda *_, **__: [])
        yield


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("problem", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_set_of_files_is_all_new_or_all_old(old, number, problem, tmp_path, monkeypatch, quick):
    """Whichever of the renames fails; and nothing is left behind."""
    first, second = made("one unit", "states"), made("2-2-1", "states")
    if old:
        export(first, tmp_path / "update.c")
    before, count, replace_ = contents(tmp_path), [0], os.replace

    def failing(source, target, **others):
        count[0] += 1
        if count[0] == number + 1:
            raise problem
        replace_(source, target, **others)

    with monkeypatch.context() as context:
        context.setattr(os, "replace", failing)
        with pytest.raises(fcsym.ArgumentError if isinstance(problem, OSError) else KeyboardInterrupt) as caught:
            export(second, tmp_path / "update.c")
    assert isinstance(problem, KeyboardInterrupt) or "cannot be written (No space left on device)" in str(caught.value)
    assert contents(tmp_path) == before
    export(second, tmp_path / "update.c")
    assert len(contents(tmp_path)) == 4 and contents(tmp_path) != before


@pytest.mark.parametrize("call", ["link", "fsync", "open"])
def test_nothing_is_changed_where_the_disk_is_full_before_the_renames(call, tmp_path, monkeypatch, quick):
    """A file system without second names for files (hard links) is no obstacle."""
    export(made("one unit", "states"), tmp_path / "update.c")
    before, count, own = contents(tmp_path), [0], getattr(os, call)

    def failing(*arguments, **others):
        if len(arguments) > 1 and call == "open" and not arguments[1] & os.O_CREAT:
            return own(*arguments, **others)
        count[0] += 1
        if count[0] >= 3:
            raise OSError(28, "No space left on device")
        return own(*arguments, **others)

    with monkeypatch.context() as context:
        context.setattr(os, call, failing)
        if call == "link":
            export(made("2-2-1", "states"), tmp_path / "update.c")
            assert sorted(contents(tmp_path)) == sorted(before) and contents(tmp_path) != before
            return
        with pytest.raises(fcsym.ArgumentError, match="No space left on device"):
            export(made("2-2-1", "states"), tmp_path / "update.c")
    assert contents(tmp_path) == before


def test_files_larger_than_may_be_written_leave_the_old_ones(tmp_path, quick):
    """With a limit on the size of files, as a disk that is full in the middle: exit status 2, and nothing is left."""
    export(made("one unit", "states"), tmp_path / "update.c")
    before = contents(tmp_path)
    code = (
        "import resource, sys; from fcsym.cli import main;"
        "import fcsym.kernel.export as e; e.agrees_with_autodiff = lambda *_: '';"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000));"
        "sys.exit(main(['export', '2-2-1', '--target', 'c', '-o', sys.argv[1], '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "cannot be written (File too large)" in json.loads(done.stdout)["error"]
    assert contents(tmp_path) == before


def test_an_old_name_that_was_left_is_swept_by_its_own_time(tmp_path, monkeypatch, quick):
    """A second name of an old file is no old second name."""
    from fcsym import files

    left = tmp_path / ".update.py.abc.old"
    left.write_text("old")
    os.utime(left, (time.time() - 7200,) * 2)
    made("2-2-1", "states").export(tmp_path / "update.py")
    assert left.exists()
    monkeypatch.setattr(files, "_STALE", -1.0)
    made("2-2-1", "states").export(tmp_path / "update.py")
    assert not left.exists()


def test_bytes_do_not_depend_on_the_process(tmp_path):
    code = (
        "import fcsym, sys; s = fcsym.scheme(fcsym.Network.parse('2-3-1', bias=True), 'weights');"
        "s.export(sys.argv[1] + '.py'); s.export(sys.argv[1] + '.c')"
    )
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        environment = os.environ | {"PYTHONHASHSEED": {"a": "1", "b": "2"}[folder]}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / folder / "update")], env=environment, check=True)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 5
    for name in names:
        text = (tmp_path / "a" / name).read_bytes()
        assert text == (tmp_path / "b" / name).read_bytes() and b"\r" not in text
        assert str(tmp_path).encode() not in text


def test_an_exported_file_refuses_what_the_kernel_refuses(tmp_path):
    s = made("2-2-1", "states")
    (path,) = s.export(tmp_path / "update.py")
    module = run(path.read_text())
    state = module["init"]([np.ones((2, 2)), np.ones((1, 2))], [1.0, 2.0])
    many = module["step"](state, [1.0, 2.0], np.zeros((5, 1)), 0.1)
    assert many.s1.shape == (5, 2) and module["output"](many, [1.0, 2.0]).shape == (5, 1)
    for wrong in (
        lambda: module["step"](state, [2.0, 1.0], [0.0], 0.1),
        lambda: module["step"](state, [1.0], [0.0], 0.1),
        lambda: module["step"](state[:2], [1.0, 2.0], [0.0], 0.1),
        lambda: module["init"]([np.ones((2, 2)), np.ones((1, 2))]),
        lambda: module["init"]([np.ones((2, 2)) * 1j, np.ones((1, 2))], [1.0, 2.0]),
        lambda: module["expand"](state),
    ):
        with pytest.raises(ValueError):
            wrong()


# ------------------------------------------------------------------------------------------- JAX and PyTorch in use


def start(network, rng):
    weights = [rng.normal(size=network.shape(a)) for a in network.parameters]
    return weights, rng.normal(size=network.inputs), rng.normal(size=network.widths[-1])


@pytest.mark.parametrize("name", SCHEMES)
def test_jax_transformations(name):
    jax = need_package("jax")
    s = made(net_of(name, "three layers"), name)
    reference, kernel = s.compile("numpy"), s.compile("jax")
    rng = np.random.default_rng(4)
    weights, x, target = start(s.network, rng)
    with jax.enable_x64(True):
        w = [jax.numpy.asarray(a) for a in weights]
        state = kernel.init(w, x, capacity=4) if name == "history" else kernel.init(w, x)
        true = reference.run(reference.init(weights, x), [x] * 4, [target] * 4, 0.05)
        step = jax.jit(kernel.step)
        last, _ = jax.lax.scan(lambda st, t: (kernel.step(st, x, t, 0.05), None), state, np.array([target] * 4))
        other = state
        for _ in range(4):
            other = step(other, x, target, 0.05)
        for got in (last, other):
            for a, b in zip(kernel.expand(got, w, x), reference.expand(true, weights, x), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        many = jax.vmap(kernel.step, in_axes=(None, None, 0, None))(state, x, np.stack([target, target + 1]), 0.05)
        again = kernel.step(state, x, target + 1, 0.05)
        for a, b in zip(many, again, strict=True):
            np.testing.assert_allclose(a[1], b, rtol=1e-12, atol=1e-12)


def test_jax_gradients_are_finite_at_a_dead_unit():
    jax = need_package("jax")
    for name in ("weights", "compensation"):
        kernel = made("2-2-1", name).compile("jax")
        w = [np.array([[1.0, 2.0], [-1.0, -1.0]]), np.array([[1.0, 1.0]])]  # the second unit is dead

        def loss(eta, kernel=kernel, w=w):
            state = kernel.init(w, np.ones(2))
            return kernel.output(kernel.step(state, np.ones(2), np.zeros(1), eta), np.ones(2)).sum()

        def of_weights(w2, kernel=kernel, w=w):
            state = kernel.init([w[0], w2], np.ones(2))
            return kernel.output(kernel.step(state, np.ones(2), np.zeros(1), 0.1), np.ones(2)).sum()

        for slope in (jax.grad(loss)(0.1), jax.grad(of_weights)(w[1]), jax.jit(jax.grad(of_weights))(w[1])):
            assert np.isfinite(np.asarray(slope)).all() and np.any(slope)


def test_a_full_history_in_jax_is_marked():
    need_package("jax")
    kernel = made("2-2-1", "history").compile("jax")
    state = kernel.init([np.ones((2, 2)), np.ones((1, 2))], capacity=1)
    state = kernel.step(state, np.array([1.0, 0.0]), np.zeros(1), 0.1)
    assert np.isfinite(state.C).all()
    assert np.isfinite(kernel.step(state, np.array([1.0, 0.0]), np.zeros(1), 0.1).C).all()
    assert np.isnan(kernel.step(state, np.array([0.0, 1.0]), np.zeros(1), 0.1).C).any()


@pytest.mark.parametrize("net", ["2-2-1", "smooth", "mixed, deep"])
def test_torch_steps_are_those_of_torch_autograd(net):
    """One step in simultaneous order is what torch.autograd and plain SGD give."""
    torch = need_package("torch")
    s = made(net, "backprop", "simultaneous")
    kernel = s.compile("torch")
    weights, x, target = start(s.network, np.random.default_rng(5))
    w = [torch.tensor(a, requires_grad=True) for a in weights]
    x, target = torch.tensor(x), torch.tensor(target)
    given, v = iter(w), x
    functions = {
        "relu": torch.relu, "identity": lambda a: a, "tanh": torch.tanh, "softplus": torch.nn.functional.softplus,
        "leaky_relu": lambda a: torch.nn.functional.leaky_relu(a, 0.01),
    }  # fmt: skip
    for number, layer in enumerate(s.network.layers):
        v = next(given) @ v + (next(given) if layer.bias else 0)
        v = v if number + 1 == len(s.network.layers) else functions[layer.activation.name](v)
    (((v - target) ** 2).sum() / 2).backward()
    after = kernel.step(kernel.init([a.detach() for a in w]), x, target, 0.1)
    for a, b in zip(after, w, strict=True):
        torch.testing.assert_close(a, b.detach() - 0.1 * b.grad, rtol=1e-12, atol=1e-13)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize(
    ("name", "backend"), [*((name, "aot_eager") for name in SCHEMES), ("states", "inductor"), ("weights", "inductor")]
)
def test_torch_compile(name, backend):
    """The whole step is one graph, without a break; with the default backend it becomes a program in C++."""
    torch = need_package("torch")
    if backend == "inductor":
        need("g++")
    s = made(net_of(name, "three layers"), name)
    kernel = s.compile("torch")
    weights, x, target = start(s.network, np.random.default_rng(6))
    w, x, target = [torch.tensor(a) for a in weights], torch.tensor(x), torch.tensor(target)
    state = kernel.init(w, x)
    torch._dynamo.reset()  # it keeps what it compiled for other kernels
    compiled = torch.compile(kernel.step, fullgraph=True, backend=backend)
    for a, b in zip(compiled(state, x, target, 0.05), kernel.step(state, x, target, 0.05), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


# -------------------------------------------------------------------------------------------- places and other people


def test_nothing_is_written_where_one_file_cannot_be(tmp_path):
    s = made("2-2-1", "backprop")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "update_test.c").mkdir()
    os.mkfifo(tmp_path / "fifo.py")
    for path in (tmp_path / "a" / "update.c", tmp_path / "fifo.py"):
        with pytest.raises(fcsym.ArgumentError):
            export(s, path, force=True)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["update_test.c"]
    notes = "# my notes: Generated by fcsym is a nice tool\n"
    (tmp_path / "update.py").write_text(notes)
    with pytest.raises(fcsym.ArgumentError, match="not written by fcsym"):
        export(s, tmp_path / "update.py")
    assert (tmp_path / "update.py").read_text() == notes
    for stem in ("numpy", "math", "typing", "jax"):
        with pytest.raises(fcsym.ArgumentError, match="would hide"):
            export(s, tmp_path / f"{stem}.py")


def test_what_the_compiler_refuses_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")
    with pytest.raises(fcsym.CompileError, match="refused"):
        export(made("2-2-1", "backprop"), tmp_path / "update.c")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("widths", "name"), [("2-300-1", "collapsed"), ("2-20-20-20-20-1", "weights")])
def test_wide_and_deep_layers_are_exported_too(widths, name, tmp_path):
    """At a usual step size some unit of many changes sides, or wakes up."""
    from fcsym.checking.oracle import backpropagation

    s = fcsym.scheme(fcsym.Network.parse(widths), name)
    assert agrees_with_autodiff(s) == ""
    crossed = agrees_with_autodiff(s, reference=lambda net, _, *rest: backpropagation(net, "sequential", *rest))
    assert "is off by" in crossed or "after a unit has left" in crossed


def test_large_networks_are_compared_a_few_at_a_time_and_as_strictly():
    """All at once, in extended precision, they need gigabytes and half a minute."""
    from fcsym.checking.oracle import backpropagation

    s, numbers = fcsym.scheme(fcsym.Network.parse("300-300-300"), "backprop"), []

    def counted(network, order, weights, *others):
        numbers.append(sum(a.size for a in weights))
        return backpropagation(network, order, weights, *others)

    assert agrees_with_autodiff(s, reference=counted) == ""
    assert max(numbers) <= 1 << 19 and sum(numbers[::4]) <= 1 << 21 and len(numbers) > 16
    crossed = agrees_with_autodiff(s, reference=lambda net, _, *rest: backpropagation(net, "sequential", *rest))
    assert "is off by" in crossed


@pytest.mark.parametrize("name", SCHEMES)
def test_a_numpy_file_looks_at_its_numbers_and_never_warns(name):
    s = made(net_of(name, "2-2-1"), name)
    (text,) = TARGETS["numpy"].files(lower_scheme(s), "update", ()).values()
    module = run(text)
    weights, x, target = start(s.network, np.random.default_rng(2))
    with np.errstate(all="raise"):
        state = module["init"](weights, x)
        for bad in (np.nan, np.inf):
            for arguments in (
                (np.full_like(x, bad), target, 0.1),
                (x, np.full_like(target, bad), 0.1),
                (x, target, bad),
            ):
                with pytest.raises(ValueError, match="not finite"):
                    module["step"](state, *arguments)
            with pytest.raises(ValueError, match="not finite"):
                module["init"]([np.full_like(w, bad) for w in weights], x)
        with pytest.raises(ValueError, match="are needed"):
            module["init"](weights[:1], x)
        tiny = np.full_like(x, 1e-200)
        module["output"](module["step"](module["init"](weights, tiny), tiny, target, 0.1), tiny)


@pytest.mark.parametrize("target", ["jax", "torch"])
def test_whole_numbers_as_a_target_leave_the_step_size_as_it_is(target):
    library = need_package(target)
    kernel = made("2-2-1", "backprop").compile(target)
    make = library.numpy.asarray if target == "jax" else library.tensor
    state = kernel.init([make([[0.5, 0.25], [0.5, 0.5]]), make([[1.0, 2.0]])])
    after = kernel.step(state, make([1.0, 2.0]), make([0]), 0.1)
    assert float(abs(after.W2 - state.W2).max()) > 0.1


def test_names_of_activations_cannot_become_text():
    from fcsym.language.activation import Activation, Piece, piecewise_linear

    for name, piece in (('relu"""; print(1); """', "a"), ("q*/", "a"), ("fine", '"""'), ("fine", "*/")):
        with pytest.raises(fcsym.NetworkError, match="not allowed"):
            piecewise_linear(name, [Piece(0, 0, name=piece), Piece(None, 1)])
    with pytest.raises(fcsym.NetworkError, match="not allowed"):
        Activation("tanh\n", (), ())
