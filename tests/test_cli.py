from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fcsym.cli import main


def run(capsys, *arguments):
    status = main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def test_derive_does_the_whole_job(capsys, tmp_path, order):
    file = tmp_path / "d.tex"
    status, out, err = run(capsys, "derive", "2-2-1", "--order", order, "--trials", "50", "-o", str(file))
    assert status == 0
    assert err == ""
    last = out.strip().splitlines()[-1]
    for part in ("2-2-1", order, "proved", "0 refuted", "measured", "XOR", "agrees with autodiff"):
        assert part in last
    for part in ("active -> dead", "dv1[i] =", "CHOSEN", "y_front"):
        assert part in out
    assert file.read_text().startswith(r"\documentclass")


def test_derive_as_json(capsys):
    status, out, err = run(capsys, "derive", "2-3-2-1", "--bias", "--json", "--trials", "50")
    assert status == 0
    assert err == ""
    data = json.loads(out)
    assert set(data) >= {"network", "order", "proved", "refuted", "undecided", "chosen", "passed", "checks"}
    assert data["passed"] is True
    assert data["refuted"] == data["undecided"] == 0
    assert {"quantity", "case", "points", "worst", "bound"} <= set(data["checks"][0])
    assert {row["sample"] for row in data["checks"]} == {"random", "xor"}


def test_cases_as_json(capsys):
    status, out, _ = run(capsys, "cases", "2-2-1", "--order", "sequential", "--unit", "2", "--json")
    data = json.loads(out)
    assert status == 0
    assert data["unit"] == 2
    assert [row["name"] for row in data["cases"]][:2] == ["active -> active", "active -> dead"]
    assert data["cases"][1]["value"] == "-w_6_new"
    assert data["cases"][1]["when"] == "s_2 > 0 and s_2' <= 0"
    assert data["cases"][3] | {"note": ""} == {
        "name": "dead -> active", "when": "s_2 <= 0 and s_2' > 0", "value": "undefined", "verdict": "PROVED",
        "status": "undefined", "possible": False, "note": "",
    }  # fmt: skip
    assert data["joint"] is None


def test_raw_cases_have_weights_and_inputs_only(capsys):
    _, out, _ = run(capsys, "cases", "2-2-1", "--raw", "--json")
    assert "vc_1" not in out
    assert "w_1*x_1 + w_2*x_2" in out


def test_check(capsys):
    status, out, _ = run(capsys, "check", "3-4-2", "--trials", "50", "--json")
    assert status == 0
    assert json.loads(out)["passed"] is True


def test_a_failed_check_is_status_1(capsys, monkeypatch):
    import fcsym.checking.tally as tally

    monkeypatch.setattr(tally, "ULPS", 1e-6)
    for arguments in (("check", "2-2-1", "--trials", "20"), ("derive", "2-2-1", "--trials", "20")):
        status, out, _ = run(capsys, *arguments)
        assert status == 1
        assert "DISAGREES" in out.strip().splitlines()[-1]


def test_a_network_file_will_do(capsys, tmp_path):
    file = tmp_path / "net.toml"
    file.write_text('widths = [2, 3, 1]\nactivation = "leaky_relu"\nbias = true\n')
    status, out, _ = run(capsys, "check", str(file), "--trials", "50")
    assert status == 0
    assert "leaky_relu bias" in out


WRONG = [
    ["derive", "2--1"], ["derive", "2-0-1"], ["derive", "2"], ["derive", ""], ["derive", "2-1000000000-1"],
    ["derive", "2-2-1", "--order", "sorted"], ["derive", "2-2-1", "--activation", "mish"], ["derive", "none.toml"],
    ["derive", "/"], ["derive", "2-2-1", "-o", "x.docx"], ["derive", "2-2-1", "--trials", "0"],
    ["derive", "2-2-1", "--wat"],
    ["cases", "2-2-1", "--unit", "3"], ["cases", "2-2-1", "--unit", "x"], ["cases", "2-2-1", "--quantity", "nothing"],
    ["cases", "4-8-8-1", "--raw"], ["derive", "2-" * 3000 + "2"], ["check", "100000-100000-1"],
    ["cases", "64-64-64-10", "--raw"], ["cases", "2-1"], ["nonsense"], [], ["check", "2-2-1", "--seed", "-1"],
    ["derive", "2-2-1", "--notation", "paper"], ["derive", "2-2-1", "-o", "x.tex", "--notation", "flat"],
    ["derive", "2-2-1", "-o", "x.tex", "--detail", "more"], ["derive", "2-2-1", "-o", "x.html", "--only", "nothing"],
    ["derive", "3-4-4-2", "-o", "x.pdf", "--notation", "paper"], ["derive", "2-2-1", "-o", "none/x.html"],
    ["derive", "2-2-1", "--slope-at-kink", "nan"], ["derive", "__import__('os').system('x')"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_sentence_and_status_2(arguments, capsys):
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("fcsym: ")
    assert err.count("\n") == 1
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 2
    assert err == ""
    assert set(json.loads(out)) == {"error"}


def test_help_pays_for_no_algebra():
    code = (
        "import sys, fcsym.cli\n"
        "try: fcsym.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'numpy', 'z3', 'autograd', 'rich'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in out


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m fcsym cases 2-2-1 | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr


def test_the_file_can_be_shorter_or_in_flat_names(capsys, tmp_path):
    file = tmp_path / "d.html"
    options = ("--notation", "paper", "--detail", "summary", "--only", "p")
    status, _, _ = run(capsys, "derive", "2-2-1", "--trials", "20", "-o", str(file), *options)
    assert status == 0
    text = file.read_text()
    assert "Backpropagation" in text
    assert "The integrated compensation" not in text
    assert "<summary>" not in text
