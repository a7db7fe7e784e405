"""A trial once more: by `hpo rerun`, by the script in its folder, in the debugger."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support import COMMAND, environment, hpo, write_input

SCRIPT = "import helper\n\ndef run(hyperparams):\n    x = hyperparams['x']\n    return helper.half(x)\n"
HELPER = "def half(x):\n    y = x - 2\n    return 1 / y\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A search of three trials, the middle one of which failed."""
    write_input(tmp_path, SCRIPT, "x = [1, 2, 3]")
    (tmp_path / "helper.py").write_text(HELPER)
    assert hpo("submit-job", "model.in", cwd=tmp_path).returncode == 0
    return tmp_path


def in_debugger(folder: Path, *words: str) -> str:
    """What a session prints in which the debugger shows y, goes up a frame, and shows x."""
    done = subprocess.run(
        [*COMMAND, *words, "--pdb"],
        cwd=folder,
        env=environment(),
        input="p 'y', y\nup\np 'x', x\nq\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stdout


def test_the_same_value_is_0(folder):
    done = hpo("rerun", "X000", "hpset_00003", cwd=folder)
    assert (done.returncode, "the same value as before" in done.stdout) == (0, True)


def test_it_runs_the_snapshot_in_a_fresh_folder(folder):
    (folder / "helper.py").write_text("def half(x):\n    return 99.0\n")
    for attempt in ("1", "2"):
        done = hpo("rerun", "0", cwd=folder)
        assert done.returncode == 0
        assert f"rerun/hpset_00001.{attempt}" in done.stdout


def test_another_value_is_1(folder):
    (folder / "model.py").write_text(
        "import random\n\ndef run(hyperparams):\n    return random.SystemRandom().random()\n"
    )
    hpo("submit-job", "model.in", cwd=folder)
    done = hpo("rerun", "0", cwd=folder)
    assert (done.returncode, "another value: before it was" in done.stdout) == (1, True)


def test_a_failure_that_fails_alike_is_0(folder):
    done = hpo("rerun", "hpset_00002", cwd=folder)
    assert done.returncode == 0
    assert "before, it failed: the script raised ZeroDivisionError" in done.stdout


def test_a_pruned_trial_is_compared_where_it_was_pruned(tmp_path):
    script = (
        "from hpo import training\n\ndef run(hyperparams):\n    for step in range(1, 5):\n"
        "        if training.report(step, hyperparams['x'] / step):\n            break\n"
        "    return hyperparams['x'] / step\n"
    )
    write_input(tmp_path, script, f"x = {list(range(1, 11))}", control="  pruner = median")
    assert hpo("submit-job", "model.in", cwd=tmp_path).returncode == 0
    assert "pruned" in hpo("show", "hpset_00010", cwd=tmp_path).stdout
    done = hpo("rerun", "hpset_00010", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-3]) == (0, "2.5")  # nobody ended it
    assert "the same value as before at step 2, after which it was pruned" in done.stdout


def test_the_trials_folder_holds_a_script_that_does_it(folder):
    script = folder / "experiments/last/run/hpset_00003/rerun.sh"
    done = subprocess.run([script], cwd="/", env=environment(), capture_output=True, text=True)
    assert (done.returncode, "the same value as before" in done.stdout) == (0, True), done.stderr


def test_the_results_of_the_experiment_stay_as_they_were(folder):
    before = hpo("aggregate-results", "-o", "-", cwd=folder).stdout
    hpo("rerun", "0", cwd=folder)
    assert hpo("aggregate-results", "-o", "-", cwd=folder).stdout == before


@pytest.mark.parametrize("words", [("rerun", "hpset_00002"), ("run", "model.in", "--trial", "hpset_00002")])
def test_the_debugger_opens_at_the_exception_with_the_users_names_and_lines(folder, words):
    seen = in_debugger(folder, *words)
    assert f"> {os.path.realpath(folder)}/helper.py(3)half()" in seen.replace(str(folder), os.path.realpath(folder))
    assert "('y', 0)" in seen
    assert "model.py(5)run()" in seen
    assert "('x', 2)" in seen


def test_the_debugger_shows_the_lines_that_were_submitted(folder):
    (folder / "helper.py").write_text("# another file\n" * 9)
    assert "-> return 1 / y" in in_debugger(folder, "rerun", "hpset_00002")


def test_a_run_without_a_fault_needs_no_debugger(folder):
    done = hpo("run", "model.in", "--trial", "0", "--pdb", cwd=folder)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "-1.0")
