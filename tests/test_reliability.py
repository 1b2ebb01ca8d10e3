"""The frame of the reliability chapters, with chapters made up for it, and each real chapter on a few trials."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fcsym
from reliability import frame, page
from reliability.__main__ import main
from reliability.frame import Table, Wrong, chapters, trials

ROOT = Path(__file__).parent.parent


def odd_numbers_fail(seed, number):
    if number % 2:
        raise Wrong(f"{number} of {seed} is | odd")
    return number


def late(seed, number):
    if number == 1:
        time.sleep(5)
    return os.getpid()


def made(doc="Numbers that are even.\n\nEach is divided by 2.", trial=odd_numbers_fail, stop=None):
    def chapter(count, seed, only=None):
        table = Table(("tried", "largest"), "kind")
        for outcome in trials(trial, count, seed, only, processes=1):
            if outcome.number == stop:
                raise KeyboardInterrupt
            table.tried += 1
            table.add("all | of them", "tried")
            table.most("all | of them", "largest", 1.5 * outcome.number)
            if outcome.failure:
                table.fail(outcome.number, outcome.failure)
            yield table

    return SimpleNamespace(__doc__=doc, SHORT=1, LONG=4, chapter=chapter)


def test_every_file_is_a_chapter_and_nothing_else_is():
    files = {path.stem for path in (ROOT / "reliability" / "chapters").glob("*.py")} - {"__init__"}
    assert set(chapters()) == files
    for module in chapters().values():
        assert 0 < module.SHORT < module.LONG
        heading, text = page.Result("", module, Table(()), "short", 1, 0, 0.0).said
        assert heading and text


def test_failures_are_counted_and_each_comes_with_what_repeats_it(capsys):
    assert main(["even"], {"even": made()}) == 1
    text = capsys.readouterr().out
    assert "## Numbers that are even: long form, 4 trials, 2 failures" in text
    assert "| all \\| of them | 4 | 4.5 |" in text
    assert "3 of 0 is \\| odd Again: `python -m reliability even --seed 0 --only 3`" in text
    assert main(["even", "--short"], {"even": made()}) == 0
    with pytest.raises(Wrong, match="3 of 7 is"):
        main(["even", "--seed", "7", "--only", "3"], {"even": made()})
    assert main(["even", "--only", "2"], {"even": made()}) == 0


@pytest.mark.parametrize(
    ("tried", "said"), [(3, "long form, 3 trials of 4, interrupted"), (8, "long form, 8 trials, interrupted")]
)
def test_what_earlier_runs_have_tried_is_no_part_of_what_this_one_was_to_try(tried, said):
    table = Table(())
    table.tried = tried
    result = page.Result("even", made(), table, "long", 4, 0, 0.0)
    result.interrupted = True
    assert result.extent == said


def test_an_interruption_leaves_what_there_is(tmp_path, capsys):
    file = tmp_path / "page.md"
    known = {"even": made(stop=3), "other": made()}
    assert main(["--into", str(file)], known) == 130
    assert "long form, 3 trials of 4, interrupted, 1 failure\n" in file.read_text()
    assert "chapter: other" not in file.read_text()
    capsys.readouterr()
    assert main(["even", "--json"], known) == 130
    (found,) = json.loads(capsys.readouterr().out)["chapters"]
    assert (found["tried"], found["wanted"], found["interrupted"]) == (3, 4, True)
    assert found["failures"][0]["command"] == "python -m reliability even --seed 0 --only 1"


def test_a_block_is_replaced_and_others_stay(tmp_path, capsys):
    file = tmp_path / "page.md"
    one, other = made("First."), made("Second.")
    main(["b", "--into", str(file)], {"b": one})
    main(["a", "--into", str(file)], {"a": other})
    before = file.read_text()
    assert before.index("## Second") < before.index("## First") and before.startswith(page.HEAD)
    main(["a", "--trials", "2", "--into", str(file)], {"a": other})
    after = file.read_text()
    assert after.count("## ") == 2 and "2 trials, 1 failure\n" in after and "## First: long form, 4 trials" in after


@pytest.mark.parametrize("bad", [["none"], ["--only", "3"], ["even", "--only", "x"], ["even", "--trials", "0"]])
def test_what_is_not_understood_is_refused(bad, capsys):
    with pytest.raises(SystemExit) as left:
        main(bad, {"even": made(), "odd": made()})
    assert left.value.code == 2
    assert capsys.readouterr().out == ""


def test_trials_run_in_other_processes_and_what_does_not_come_back_is_a_failure():
    found = sorted(trials(late, 3, 0, seconds=0.5), key=lambda outcome: outcome.number)
    assert [outcome.failure for outcome in found] == ["", "TimeoutError: no result after 0.5 s", ""]
    assert os.getpid() not in {outcome.value for outcome in found}


@pytest.mark.parametrize("name", sorted(frame.chapters()))
def test_every_chapter_runs(name):
    module, seen = chapters()[name], 0
    if getattr(module, "COSTLY", False):
        pytest.skip("its trials are runs of tests: test_mutation.py has it try a small project")
    for table in module.chapter(2, 1, None):
        seen = table.tried
    assert seen == 2
    assert not table.failures
    assert set().union(*(row for row in table.rows.values())) <= set(table.columns)


def test_the_page_in_the_documentation_is_one_that_was_written():
    """Blocks of chapters in the form that the command gives, and none with a failure, but for faults no test sees."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    blocks = re.findall(r"<!-- chapter: (\w+) -->\n## (.*?)\n", text)
    names = [name for name, _ in blocks]
    assert text.startswith(page.HEAD) and {"accuracy", "differential"} <= set(names) <= set(chapters())
    for name, heading in blocks:
        first, _ = page.Result(name, chapters()[name], Table(()), "", 0, 0, 0.0).said
        extent = r"(short|long) form, [\d,]+ trials(( of [\d,]+)?, interrupted)?"
        failures = r"(no|[\d,]+) failures?" if name == "mutation" else "no failures"
        assert re.fullmatch(rf"{re.escape(first)}: {extent}, {failures}", heading)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adamw", "rmsprop"])
def test_networks_that_pytorch_trains_together_are_trained_as_each_is_alone(rule, order):
    """Three networks, of which two have one learning rate."""
    pytest.importorskip("torch")
    from reliability.pytorch import step

    network, rng = fcsym.Network.mlp([2, 3, 2], "tanh", [True, False]).training(rule), np.random.default_rng(0)
    given = [rng.normal(size=(3, *network.shape(array))) for array in (*network.parameters, network.input)]
    target, eta = rng.normal(size=(3, 2)), np.array([0.1, 0.3, 0.1])
    together = step(network, order, given[:-1], given[-1], target, eta)
    for n in range(3):
        one = [array[n : n + 1] for array in (*given, target, eta)]
        alone = step(network, order, one[:-3], *one[-3:])
        for name, value in together.items():
            np.testing.assert_allclose(value[n], alone[name][0], rtol=1e-13, atol=1e-15)
        for theta, weight in zip(network.parameters, given, strict=False):
            assert (together[theta.primed.name][n] != weight[n]).all()


@pytest.mark.parametrize("number", [229, 238, 293, 818])
def test_what_once_failed_through_the_checkers_own_fault_does_not(number):
    """A gate after the step, or a v of 0, that rounding decides, a change that underflows, and digits lost near 0."""
    assert chapters()["differential"].trial(0, number)["compared"] > 0
