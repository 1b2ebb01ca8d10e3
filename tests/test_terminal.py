"""What the command prints: no wider than the window, what was asked for, and lists that are those of the registries."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from conftest import need, need_package
from rich.console import Console

import fcsym
from fcsym import commands as fcsym_commands
from fcsym import paper
from fcsym.cli import main
from fcsym.kernel.export import TARGETS
from fcsym.language.activation import BUILT_IN
from fcsym.language.equation import Detail, Notation, Order
from fcsym.render.terminal import Grid
from fcsym.schemes import SCHEMES
from fcsym.training import scheme

ROOT = Path(__file__).parent.parent

COMMANDS = [
    "derive 2-2-1 --trials 5", "derive 3-4-4-2 --activation leaky_relu --bias --trials 5",
    "derive 2-2-2-1 --activation gelu --trials 5", "derive 2-3-1 --scheme collapsed --trials 3",
    "derive 2-2-1 --scheme backprop --trials 3 --detail summary", "derive 2-2-1 --trials 5 --only p",
    "cases 2-2-1 --raw", "cases 2-1-1 --joint", "check 3-4-2 --trials 5", "cost 8-32-32-4",
    "check 2-2-1 --scheme history --trials 3 --steps 2",
]  # fmt: skip


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wider_than_the_window(command, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(command.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert max(map(len, lines)) > width - 25  # and it is made use of


MORE = [
    "derive 2-2-2 --activation sigmoid --output softmax --loss cross_entropy --rule adam --batch mean --trials 3",
    "derive 2-2-1 --bias yes,no --slope-at-kink 1/3 --order sequential --trials 3 --only ds --detail summary",
    "derive 2-2-1 --scheme states --trials 3 --only step",
    "gradient 2-3-2 --of y --by W1,x --activation tanh", "step 2-2-1 --values nothing.toml",
    f"audit {ROOT / 'derivations' / 'examples' / 'samples-2-2-1-slip.toml'}",
    "cases 2-2-1 --activation sigmoid", "cases 2-2-2-1 --quantity dv --layer 1 --activation leaky_relu --row 1",
    "check 2-3-2 --loss bce --output sigmoid --trials 3", "cost 2-3-2 --rule adamw --batch mean --samples 4",
    "export 2-2-1 --scheme states --name u", "claims 1-1-1", "audit", "reproduce --steps 2 --no-figure --eta 1/10",
    "certify 2-1", "collapse 2-2-1", "collapse 4-3-2 --inputs 2 --order sequential", "collapse 2-2-1 --inputs none",
    "derive 2-2-1 --activation nothing", "derive 2-2-1 --only nothing", "derive none.toml", "derive 2-2-1 --wat",
    "accuracy 2-2-1 --trials 7 --steps 0",
    "cases 2-2-1 --joint --activation tanh", "cases 64-64-64-10 --raw", "derive 2-2-1 --loss bce --trials 3",
    "cost 2-3-2 --rule adam --batch mean", "cases 2-2-1 --quantity W1' --unit 2", "derive 2-2-1 --bias yes,maybe",
    *(f"{command} --help" for command in fcsym_commands.COMMANDS),
]  # fmt: skip
"""Settings, tables, warnings, errors and help that the commands above do not have."""


@pytest.mark.parametrize("command", MORE)
def test_no_line_of_any_command_is_wider_than_80_columns(command, capsys, monkeypatch, tmp_path):
    """Results and what is said on standard error."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fcsym.paper.audit.__defaults__", (paper.Limits(), paper.ROWS[::20], lambda _: None))
    monkeypatch.setattr("fcsym.paper.experiment.divergences", lambda **_: ())
    monkeypatch.setattr("fcsym.paper.experiment.measure", lambda **_: ())
    try:
        main(command.split())
    except SystemExit as done:  # after --help
        assert done.code == 0
    lines = [line for stream in capsys.readouterr() for line in stream.splitlines()]
    assert lines and max(map(len, lines)) <= 80


def test_every_command_is_among_them():
    tried = {command.split()[0] for command in (*COMMANDS, *MORE) if "--help" not in command}
    assert tried == set(fcsym_commands.COMMANDS)


def test_without_a_window_there_are_140_columns_and_sentences_are_one_line(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(["derive", "2-2-1", "--trials", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if line.startswith("│")) == 140
    assert lines[-1].startswith("2-2-1, simultaneous: ") and lines[-1].endswith(".")
    assert " proved, " in lines[-1]


@pytest.mark.parametrize("width", range(20, 140, 17))
def test_a_table_breaks_no_word_and_loses_none(width):
    rows = [("active -> dead", "-dE_dY*eta*w_5", "for all that is here and there"), ("b", "1.25e-17", "")]
    console = Console(width=width, record=True, file=StringIO())
    console.print(Grid("a title", ("case", "value", "remark"), rows, right=frozenset({"value"})))
    said = console.export_text()
    assert max(map(len, said.splitlines())) <= width
    for row in rows:
        for word in " ".join(row).split():
            assert word in said or width < 25
    assert not console.print(Grid("a title", ("case",), []))
    assert console.export_text().strip() == ""


def test_a_column_with_nothing_in_it_is_left_out():
    for width in (30, 80):
        console = Console(width=width, record=True, file=StringIO())
        console.print(Grid("a title", ("case", "when", "value"), [("a", "", "1"), ("b", "", "2")]))
        said = console.export_text()
        assert "value" in said and "when" not in said
    console.print(Grid("a title", ("case", "when"), [("a", ""), ("b", "x > 0")]))
    assert "when" in console.export_text()


def shown(capsys, *options):
    assert main(["derive", "2-2-1", "--trials", "5", *options]) == 0
    return capsys.readouterr().out


def test_the_terminal_shows_what_was_asked_for(capsys, monkeypatch, tmp_path):
    """--only and --detail, with a file and without one, as documents have them."""
    monkeypatch.setenv("COLUMNS", "140")
    whole, only, summary = shown(capsys), shown(capsys, "--only", "ds1"), shown(capsys, "--detail", "summary")
    assert "Shown are ds1 and the equations that lead to it" in only
    assert "p[k, j] =" in whole and "p[k, j] =" not in only and "p, unit 1" not in only
    assert re.search(r"│ 11 │ ds1\[i\]", whole) and re.search(r"│ 11 │ ds1\[i\]", only)  # its number in the whole
    assert "This is the output" in whole and "This is the output" not in summary
    assert "p[k, j] =" in summary and "PROVED" in summary
    assert "p, unit 1" in whole and "p, unit 1" in shown(capsys, "--only", "p")
    assert shown(capsys, "--only", "ds1", "-o", str(tmp_path / "d.tex")).startswith(
        only.split("2-2-1, simultaneous order,")[0]
    )
    assert re.search(r"│ ds1 +│ all", only) and not re.search(r"│ (p|r|E|dy) +│", only)  # nor in the comparison
    assert re.search(r"│ r +│ all", whole) and "y_front" in whole and "against autodiff" not in summary
    step = shown(capsys, "--scheme", "states", "--only", "step")
    assert "step: The state after one training step" in step and "init: A conventional" not in step


def test_what_failed_is_shown_whatever_was_asked_for(capsys, monkeypatch):
    import fcsym.checking.tally as tally

    monkeypatch.setattr(tally, "ULPS", 1e-6)
    assert main(["derive", "2-2-1", "--trials", "20", "--only", "s1", "--detail", "summary"]) == 1
    assert re.search(r"│ W1_new +│ all .*FAILED", capsys.readouterr().out)


def test_what_a_kernel_is_stands_in_its_repr():
    """Network, scheme, order, target and shapes, and never an address."""
    net = fcsym.Network.parse("2-3-1")
    d, s = fcsym.derive(net), scheme(net, "states", "sequential")
    weights, x = [np.ones((3, 2)), np.ones((1, 3))], np.ones(2)
    what = "2-3-1, simultaneous order, target numpy"
    assert repr(d.compile()) == f"<kernel of one training step: {what}; weights W1 (3, 2), W2 (1, 3)>"
    after = repr(d.compile().step(weights, x, [1.0], 0.1))
    assert after.startswith(f"<training step: {what}; s1 (3,), v1 (3,), y (1,), E (), ") and after.endswith(
        ", float64>"
    )
    for target in TARGETS:
        if target == "c":
            need("gcc")
        elif target != "numpy":
            need_package(target)
        kernel = s.compile(target)
        what = f"states of 2-3-1, sequential order, target {target}"
        held = "s1 (3,), W2 (1, 3), c0 (), t0 (), key ()"
        assert repr(kernel) == f"<kernel: {what}; state {held}>"
        state = kernel.init(weights, x)
        assert repr(state) == f"<state: {what}; {held}, float64>".replace("float64", str(state.s1.dtype))
        assert repr(kernel.step(state, x, np.ones(1), 0.1)) == repr(state)
        if target in ("numpy", "c"):
            assert repr(kernel.bind(state, x, [1.0], 0.1)) == f"<bound step: {what}; state {held}>"
            two = "s1 (2, 3), W2 (2, 1, 3), c0 (2,), t0 (2,), key (2,)"
            batch = kernel.batch([state, state])
            assert repr(batch) == f"<batch of 2 networks: {what}; state {two}, float64>"
            assert repr(batch.state) == f"<state: {what}; {two}, float64>"
    backprop = scheme(fcsym.Network.parse("-".join(["2"] * 16)), "backprop").compile()
    assert "W12 (2, 2), and 3 more>" in repr(backprop)
    lost = fcsym.derive(fcsym.Network.parse("1-1-1", "tanh", True)).compile()
    found = lost.step([[[1.0]], [0.0], [[1.0]], [0.0]], [0.0], [1.0], 0.1)  # p is undefined, which is no one's business
    assert found[-1].any() and repr(found).startswith("<training step: 1-1-1 tanh bias, ")
    for thing in (
        d,
        s,
        s.step,
        d.proof,
        net,
        fcsym.cost(s),
        fcsym.draw(net),
        d["p"],
        d.cases("p")[0],
    ):
        assert " at 0x" not in repr(thing)


# -------------------------------------------------------------------------------------- lists of what there is


def help_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_help_has_every_name_of_the_registries(capsys, monkeypatch):
    """A scheme that is added is in the help, in the errors and in the tables by that alone."""
    for command, known in {
        "derive": (SCHEMES, BUILT_IN, get_args(Order), get_args(Notation), get_args(Detail)),
        "check": (SCHEMES, BUILT_IN, get_args(Order)), "export": (SCHEMES, BUILT_IN, get_args(Order), TARGETS),
        "cases": (BUILT_IN, get_args(Order)), "cost": (BUILT_IN, get_args(Order)), "claims": (BUILT_IN,),
    }.items():  # fmt: skip
        said = help_of(command, capsys)
        for names in known:
            for name in names:
                assert re.search(rf"\b{name}\b", said), (command, name)
        assert "{" not in said
    monkeypatch.setitem(SCHEMES, "a_new_one", SCHEMES["states"])
    assert "a_new_one" in help_of("export", capsys)


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (["derive", "2-2-1", "--scheme", "none"], SCHEMES), (["derive", "2-2-1", "--activation", "none"], BUILT_IN),
        (["derive", "2-2-1", "--order", "none"], get_args(Order)), (["export", "2-2-1", "--target", "none"], TARGETS),
        (["derive", "2-2-1", "--detail", "none"], get_args(Detail)),
    ],
)  # fmt: skip
def test_errors_have_every_name_of_the_registries(arguments, known, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert all(re.search(rf"\b{name}\b", said) for name in known)


def test_docstrings_and_tables_have_every_name_of_the_registries():
    for text in (fcsym.Scheme.compile.__doc__, fcsym.Scheme.export.__doc__):
        assert all(re.search(rf"\b{name}\b", text) for name in TARGETS)
    assert all(f"`{name}`" in fcsym.scheme.__doc__ for name in SCHEMES)
    assert all(f'"{name}"' in fcsym.derive.__doc__ for name in get_args(Order))
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs" / "mathematics.md").read_text()
    prose = re.sub(r"[\s_]", "", readme.split("## First two commands")[0].lower())
    assert all(name.replace("_", "") in prose for name in BUILT_IN)
    schemes = (ROOT / "docs" / "schemes.md").read_text()
    for text in (schemes, page):
        rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
        assert [name for name in rows if name in SCHEMES] == list(SCHEMES)
    assert [n for n in re.findall(r"^\| `(\w+)` \|", schemes, re.MULTILINE) if n in TARGETS] == list(TARGETS)
