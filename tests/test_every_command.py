"""Every command on every kind of training: it does its work, or says in one sentence why not."""

from __future__ import annotations

import pytest
from conftest import few

from fcsym.cli import main
from fcsym.commands import COMMANDS

FILES = {
    "conv": """shape = [1, 4]
[[layers]]
kind = "conv1d"
in_channels = 1
out_channels = 2
kernel_size = 2
activation = "relu"
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
in_features = 6
out_features = 1
""",
    "rnn": """shape = [3, 2]
[[layers]]
kind = "rnn"
input_size = 2
hidden_size = 2
[[layers]]
kind = "linear"
in_features = 2
out_features = 2
""",
    "frozen": "widths = [2, 3, 2]\nbias = true\ntrain = { b1 = false }\nshare = { b2 = true }\n",
}
NETWORKS = {
    "a batch": "2-2-1 --batch mean", "a batch of three": "2-3-2 --batch sum --samples 3 --bias yes",
    "a rule": "2-2-1 --rule momentum,beta=0.9", "a rule in batches": "2-2-1 --rule adam --batch mean",
    "bce": "2-3-1 --output sigmoid --loss bce", "softmax": "2-3-2 --output softmax --loss cross_entropy --bias yes",
    "deep": "2-3-3-1 --activation tanh,relu", "one unit": "1-1", "hinge": "2-2-1 --loss hinge",
    "positions": "conv", "steps": "rnn", "frozen": "frozen", "positions in batches": "conv --batch mean",
    "steps in batches": "rnn --batch mean --rule nesterov", "frozen in batches": "frozen --batch mean",
}  # fmt: skip
MAIN = {"derive": "--trials 10", "check": "--trials 10"}
OTHERS = {
    "gradient": "", "cases": "", "cost": "--samples 2", "collapse": "", "claims": "",
    "export": "--scheme backprop -o out", "derive": "--scheme states --trials 2 --json",
    "check": "--scheme states --trials 2",
}  # fmt: skip
ELSEWHERE = {"step", "audit", "certify", "reproduce", "accuracy"}  # need numbers, a text, Coq, no network, or long
COLLAPSED = [
    (name, command, f"--scheme collapsed {more}")
    for name, command, more in (
        ("2-3-2-1", "check", "--trials 2"), ("2-3-2-1", "derive", "--trials 2"), ("1-2-2", "check", ""),
        ("2-3-2-1", "export", "-o out"), ("2-2-1", "check", "--trials 2"),
    )
]  # fmt: skip
UNASKED = [("a batch", "derive", ""), ("positions in batches", "check", "")]  # how much is checked is counted
EVERY = [(name, command, more) for command, more in OTHERS.items() for name in NETWORKS]
MORE = few(EVERY, 16) + COLLAPSED + UNASKED


def test_no_command_is_left_out():
    assert {*MAIN, *OTHERS, *ELSEWHERE} == set(COMMANDS)


@pytest.mark.parametrize(
    ("name", "command", "more"),
    [(name, command, more) for command, more in MAIN.items() for name in NETWORKS] + MORE,
)
def test_it_works_or_says_why_not(name, command, more, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for own, text in FILES.items():
        (tmp_path / f"{own}.toml").write_text(text)
    network, *settings = NETWORKS.get(name, name).split()
    given = f"{network}.toml" if network in FILES else network
    wanted = more.split()
    if command == "cost" and ("--batch" not in settings or "--samples" in settings):
        wanted = []
    status = main([command, given, *settings, *wanted])
    said, problem = capsys.readouterr()
    if status:
        assert status == 2 and not said, problem
        assert problem.startswith("fcsym: ") and problem.count("\n") == 1, problem
    else:
        assert said
    assert MAIN.get(command) != more or status == 0, problem
