"""Sixty wrong inputs, each by what is wrong with it: one sentence, status 2, and nothing written.

Each has the words that its sentence must contain: what is wrong, where, and what to do.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from fcsym.cli import main

DENSE = "widths = [2, 2, 1]\n"
VALUES = 'x = [1, 2]\ntarget = [1]\neta = "1/2"\nW1 = [[1, 2], [3, 4]]\nW2 = [[1, -1]]\n'
LAYERS = "shape = [1, 4, 4]\n[[layers]]\n"
EXAMPLE = 'network = "1-1"\n[values]\nx = [1]\ntarget = [1]\neta = 1\nW1 = [[2]]\n'


def net(text: str) -> tuple[list[str], dict[str, str]]:
    return ["derive", "net.toml", "-o", "out.tex"], {"net.toml": text}


def values(text: str, name: str = "v.toml") -> tuple[list[str], dict[str, str]]:
    return ["step", "2-2-1", "--values", name], {name: text}


def example(text: str) -> tuple[list[str], dict[str, str]]:
    return ["audit", "e.toml", "-o", "report"], {"e.toml": text}


def words(*argv: str) -> tuple[list[str], dict[str, str]]:
    return list(argv), {}


BAD = {
    # the network on the command line
    "no widths at all": (words("derive", "two-two-one"), ("'two-two-one'", "2-2-1")),
    "one width": (words("derive", "2"), ("'2'", "widths from input to output")),
    "a width of nothing": (words("derive", "2-0-1", "-o", "out.tex"), ("width 1", "between 1 and")),
    "a width too large": (words("derive", "2-99999999999-1"), ("width 1", "between 1 and")),
    "a file that is not there": (words("derive", "net.toml"), ("net.toml", "give a network file")),
    "a folder": (words("derive", "./"), ("is a folder", "give the network file in it")),
    "an unknown activation": (words("derive", "2-2-1", "--activation", "rleu"), ("'rleu'", "choose one of")),
    "too many activations": (words("derive", "2-2-1", "--activation", "relu,relu"), ("activation", "2", "1")),
    "an unknown loss": (words("derive", "2-2-1", "--loss", "sqared"), ("'sqared'", "squared")),
    "an unknown output": (words("derive", "2-2-1", "--output", "soft"), ("'soft'", "choose one of")),
    "an unknown rule": (words("derive", "2-2-1", "--rule", "adma"), ("'adma'", "adam")),
    "a coefficient without a number": (words("derive", "2-2-1", "--rule", "momentum,beta"), ("'beta'", "beta=0.9")),
    "a coefficient twice": (words("derive", "2-2-1", "--rule", "adam,eps=1,eps=2"), ("eps twice", "give it once")),
    "a coefficient of another rule": (words("derive", "2-2-1", "--rule", "sgd,beta1=1"), ("'beta1'", "coefficient")),
    "a bias that is no yes": (words("derive", "2-2-1", "--bias", "perhaps"), ("'perhaps'", "yes or no")),
    "a batch of another kind": (words("derive", "2-2-1", "--batch", "median"), ("'median'", "mean", "sum")),
    "samples without a batch": (words("derive", "2-2-1", "--samples", "4"), ("samples", "batch")),
    "an unknown order": (words("derive", "2-2-1", "--order", "random"), ("'random'", "sequential")),
    "a slope that is none": (words("derive", "2-2-1", "--slope-at-kink", "half"), ("'half'", "0.5 or 1/2")),
    # the rest of the command line
    "no command": (words(), ("COMMAND", "--help")),
    "an unknown command": (words("derrive", "2-2-1"), ("'derrive'", "--help")),
    "an unknown option": (words("derive", "2-2-1", "--jso"), ("--jso", "--help")),
    "trials in words": (words("check", "2-2-1", "--trials", "many"), ("'many'", "--trials")),
    "no trials": (words("check", "2-2-1", "--trials", "0"), ("trials is 0", "give a whole number from 1")),
    "a seed below 0": (words("check", "2-2-1", "--seed", "-1"), ("seed is -1", "from 0")),
    "an unknown scheme": (words("check", "2-2-1", "--scheme", "state"), ("'state'", "states")),
    "an unknown target": (words("export", "2-2-1", "--target", "fortran", "-o", "out"), ("'fortran'", "numpy")),
    "a name that is no name": (words("export", "2-2-1", "--name", "a b", "-o", "out"), ("'a b'", "letter")),
    "a file of another kind": (words("derive", "2-2-1", "-o", "out.doc"), ("out.doc", ".tex")),
    "digits without numbers": (words("derive", "2-2-1", "--digits", "3"), ("--digits", "--values")),
    "a notation without a file": (words("derive", "2-2-1", "--notation", "flat"), ("--notation", "-o")),
    "a unit that is not there": (words("cases", "2-2-1", "--unit", "7"), ("7", "1 to 2")),
    "a quantity that is not there": (words("cases", "2-2-1", "--quantity", "q"), ("'q'", "p")),
    "a layer that is none": (words("collapse", "2-2-1", "--over", "first"), ("'first'", "0,1")),
    "a derivative of what is none": (words("gradient", "2-2-1", "--of", "F"), ("'F'", "E")),
    # network files
    "no TOML": (net("widths = [2, 2"), ("net.toml", "mend it there")),
    "an unknown key": (net(DENSE + "hidden = 3\n"), ("'hidden'", "the keys are")),
    "widths in words": (net('widths = "2-2-1"\n'), ("widths", "[2, 2, 1]")),
    "a width with a fraction": (net("widths = [2, 2.5, 1]\n"), ("width 1", "whole number")),
    "no widths": (net('activation = "relu"\n'), ("no widths", "write widths")),
    "names that are too few": (net(DENSE + 'names = ["a"]\n'), ("names has 1", "one per weight")),
    "a name that Python has": (net(DENSE + 'names = ["lambda", "b"]\n'), ("'lambda'", "choose another")),
    "a name twice": (net(DENSE + 'names = ["a", "a"]\n'), ("'a'", "twice", "its own")),
    "a name that is taken": (net(DENSE + 'names = ["eta", "b"]\n'), ("'eta'", "choose another")),
    "pieces without a slope": (
        net(DENSE + 'activation = "f"\n[[activations]]\nname = "f"\npieces = [{ upper = 0 }]\n'), ("slope", "give one"),
    ),
    "an activation that is built in": (
        net(DENSE + '[[activations]]\nname = "relu"\npieces = [{ slope = 1 }]\n'), ("'relu'", "choose another"),
    ),
    "training in words": (net(DENSE + 'train = "all"\n'), ("train", "{ b1 = false }")),
    "freezing what is not there": (net(DENSE + "train = { b7 = false }\n"), ("b7", "W1")),
    "a layer of an unknown kind": (net(LAYERS + 'kind = "conv4d"\n'), ("'conv4d'", "the kinds are")),
    "a layer without its size": (net(LAYERS + 'kind = "conv2d"\nkernel_size = 2\n'), ("out_channels", "give one")),
    # values
    "a value that is missing": (values(VALUES.replace("W2 =", "# ")), ("W2", "missing", "give its numbers")),
    "a value that nothing is called": (values(VALUES + "W9 = 1\n"), ("'W9'", "the names are")),
    "a value of another shape": (values(VALUES.replace("[1, 2]\n", "[1, 2, 3]\n")), ("x", "(3,)", "(2,)")),
    "a matrix the other way round": (values(VALUES.replace("[[1, -1]]", "[[1], [-1]]")), ("W2", "transpose")),
    "rows of unequal lengths": (values(VALUES.replace("[3, 4]", "[3]")), ("W1", "equal lengths")),
    "a value that is no number": (values(VALUES.replace('"1/2"', '"1/0"')), ("eta", "'1/0'", "give a number")),
    "a value that is not finite": (values(VALUES.replace("[1]\n", "[nan]\n")), ("target", "give a number")),
    "two names of one thing": (values(VALUES + "lr = 1\n"), ("eta and lr", "give one of them")),
    "values of an unknown kind": (values(VALUES, "v.csv"), ("v.csv", ".json")),
    "JSON that is a list": (values("[1, 2]", "v.json"), ("v.json", '{"x": [1, 2]}')),
    # worked examples
    "an example without claims": (example(EXAMPLE), ("no claims", "claims = [")),
    "a claim that is not understood": (example('claims = ["y is good"]\n' + EXAMPLE), ("claim 1", "'y is", "write")),
    "a claim about what is not there": (
        example('claims = ["before, q is 1"]\n' + EXAMPLE), ("claim 1", "'q'", "choose one of"),
    ),
    "a claim that opens a bracket": (example('claims = ["y = (W1"]\n' + EXAMPLE), ("y = (W1",)),
}  # fmt: skip
"""By what is wrong: the command line and its files, and what the sentence must say."""


def test_there_are_sixty():
    assert len(BAD) >= 60
    assert len({tuple(argv) + tuple(files.values()) for (argv, files), _ in BAD.values()}) == len(BAD)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("name", BAD)
def test_one_sentence_and_nothing_written(name, as_json, tmp_path, monkeypatch, capsys):
    (argv, files), said = BAD[name]
    monkeypatch.chdir(tmp_path)
    for file, text in files.items():
        Path(file).write_text(text)
    if as_json and not argv:
        pytest.skip("without a command there is no --json")
    status = main([*argv, "--json"] if as_json else argv)
    out, err = capsys.readouterr()
    assert status == 2
    if as_json:
        assert err == "" or not err.startswith("fcsym: ")
        sentence = json.loads(out)["error"]
    else:
        assert out == ""
        head, sentence = err.split(": ", 1)
        assert head == "fcsym"
        assert sentence.endswith("\n")
        sentence = sentence.removesuffix("\n")
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert [word for word in said if word not in sentence] == [], sentence
    assert {str(path): path.read_text() for path in Path().rglob("*") if path.is_file()} == files
    assert [path for path in Path().rglob("*") if path.is_dir()] == []


def test_a_folder_that_was_there_stays(tmp_path, monkeypatch):
    """What is made for a result goes with it where the work fails, the folders above it too; nothing else goes."""
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("e.toml").write_text(EXAMPLE)
    assert main(["audit", "e.toml", "-o", "here/deep/deeper"]) == 2
    assert sorted(map(str, Path().rglob("*"))) == ["e.toml", "here"]
    assert main(["audit", "e.toml", "-o", "here"]) == 2
    assert Path("here").is_dir()
    Path("e.toml").write_text('claims = ["before, y is 2"]\n' + EXAMPLE)
    assert main(["audit", "e.toml", "-o", "here/deep/deeper"]) == 0
    assert Path("here/deep/deeper/report.json").is_file()


@pytest.mark.parametrize(
    "command", ["audit", "audit derivations/examples/linear-2-2-1.toml", "export 2-1 --scheme states", "reproduce"]
)
def test_a_folder_that_is_named_as_a_file_is_refused_before_the_work(command, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent.parent)
    for name in ("a.html", "A.TEX", "a.json", "a.py"):
        began = time.monotonic()
        assert main([*command.split(), "-o", str(tmp_path / name)]) == 2
        assert "named as a file is" in capsys.readouterr().err
        assert time.monotonic() - began < 5
    assert not list(tmp_path.iterdir())


def test_a_worked_example_that_is_not_there_is_said_to_be_one(capsys):
    assert main(["audit", "nowhere.toml"]) == 2
    assert capsys.readouterr().err == "fcsym: nowhere.toml is not there: give a worked example, .toml.\n"
