"""Searches that learn, from outside: `workflow = bayesian | random | qmc` with real workers."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import SQUARE, hpo, start_hpo, status, trial, wait_for, wait_for_no_worker

from hpo import inputfile
from hpo.errors import Complaints
from hpo.experiment import Experiment
from hpo.hours import seconds_used
from hpo.results.view import View
from hpo.search import warm_start
from hpo.search.plan import plan
from hpo.space import ParameterSpace
from hpo.trial import State

SPACE = "x = real(-10, 10)\nn = int(1, 64, log)\nc = ['a', 'b']\nm = real(0, 1) if c == 'b'"
REPORTING = """
from hpo import training

def run(hyperparams):
    for step in range(1, 11):
        value = (hyperparams["x"] - 3) ** 2 + 10 / step
        if training.report(step, value):
            break
    return {"val_loss": value, "size": abs(hyperparams["x"])}
"""


def write(folder: Path, control: str, script: str = SQUARE, space: str = SPACE, workflow: str = "bayesian") -> None:
    (folder / "model.py").write_text(script)
    (folder / "model.in").write_text(
        f"&control\nmodel_script = model.py\nworkflow = {workflow}\nisolation = none\nexecutor = local\n{control}\n/\n"
        f"&default_model\nfixed = 5\n/\n&param_space\n{space}\n/\n"
    )


def submit(folder: Path, *words: str, code: int = 0) -> str:
    done = hpo("submit-job", "model.in", *words, cwd=folder)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def view(folder: Path, name: str = "last") -> View:
    return View(Experiment(folder / "experiments" / name))


def proposed(folder: Path, name: str) -> list[dict[str, Any]]:
    return [dict(row.params) for row in view(folder, name).rows()]


def checked(folder: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(hpo("check", "model.in", "--json", *words, cwd=folder).stdout)
    return document


# -- the number of trials ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workflow", "control", "expected"),
    [
        ("bayesian", "", 110),
        ("bayesian", "design_size = 4\npropose_points = 3\nmax_iterations = 2", 10),
        ("bayesian", "design_size = 4\npropose_points = 3\nmax_iterations = 2\nmax_budget = 7", 7),
        ("mlrMBO", "max_iterations = 0", 10),
        ("bayesian", "n_trials = 300", 300),
        ("bayesian", "n_trials = 300\nmax_budget = 20", 20),
        ("random", "n_trials = 12", 12),
        ("qmc", "max_hours = 2", None),
    ],
)
def test_the_number_of_trials(tmp_path, workflow, control, expected):
    write(tmp_path, control, workflow=workflow)
    assert checked(tmp_path)["n_trials"] == expected


def test_a_random_sweep_says_its_number_itself(tmp_path):
    write(tmp_path, "", space='{"parameters": {"x": [-10.0, 10.0]}, "samples": {"num": 6}}', workflow="random")
    submit(tmp_path)
    assert status(tmp_path)["trials"]["completed"] == 6


def test_a_grid_may_be_cut_short(tmp_path):
    write(tmp_path, "n_trials = 2", space="x = [1, 2, 3]", workflow="grid")
    submit(tmp_path)
    assert status(tmp_path)["trials"] == status(tmp_path)["trials"] | {"total": 2, "completed": 2}


def test_many_workers_and_a_kill_spend_exactly_the_budget(tmp_path):
    script = SQUARE.replace("def run", "import time\n\ndef run").replace(
        "    return", "    time.sleep(0.05)\n    return"
    )
    write(tmp_path, "n_trials = 40\nnworkers = 4\nsampler = tpe", script)
    process = start_hpo("submit-job", "model.in", cwd=tmp_path)
    wait_for(lambda: (tmp_path / "experiments/last").exists() and view(tmp_path).finished >= 5)
    process.kill()
    process.communicate()
    wait_for_no_worker(tmp_path)
    assert hpo("resume", cwd=tmp_path).returncode == 0
    experiment = Experiment(tmp_path / "experiments/last")
    commits = [key for key in experiment.journal().claims() if ".done" in key]
    assert len(commits) == len({key.split(".")[0] for key in commits}) == 40
    assert len({json.dumps(params) for params in proposed(tmp_path, "last")}) == 40


def run_hours(folder: Path, hours: float, enough: Callable[[], object]) -> float:
    """Run until so many hours in all are over, which are seconds here; and twice as many, until there are enough.

    A slow machine begins nothing in the first seconds. How many hours it has been at last.
    """
    while True:
        begun = (folder / "experiments").exists()
        done = hpo(*(["resume"] if begun else ["submit-job", "model.in"]), f"max_hours={hours}", cwd=folder)
        assert f"max_hours = {hours} is over" in done.stdout + done.stderr
        assert hours_used(Experiment(folder / "experiments/last")) >= hours
        if enough():
            return hours
        hours *= 2
        assert hours < 0.2, "run in vain"


def test_max_hours_end_the_search(tmp_path):
    script = "import time\n\ndef run(hyperparams):\n    time.sleep(0.2)\n    return hyperparams['x']\n"
    write(tmp_path, "nworkers = 2\nsampler = random", script)
    hours = run_hours(tmp_path, 0.0005, lambda: status(tmp_path)["trials"]["completed"])
    trials = status(tmp_path)["trials"]
    assert (status(tmp_path)["state"], trials["running"]) == ("finished", 0)
    assert trials["completed"] < 110
    assert "max_hours" in hpo("resume", cwd=tmp_path).stdout
    assert status(tmp_path)["trials"]["completed"] == trials["completed"]
    run_hours(tmp_path, 2 * hours, lambda: status(tmp_path)["trials"]["completed"] > trials["completed"])


#: Deaf to SIGTERM: asked before its first report, it saves all the same.
ENDLESS = """
import signal, time
from hpo import training

def run(hyperparams):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    step = (training.checkpoint.restore() or {"step": 0})["step"]
    while True:
        step += 1
        time.sleep(0.02)
        stop = training.report(step, 1.0)
        training.checkpoint.save({"step": step}, step)
        if stop:
            return 1.0
"""


def test_max_hours_pause_what_runs_at_its_next_checkpoint(tmp_path):
    """These trials would never end; each `resume` with more hours goes on from their checkpoints."""
    write(tmp_path, "nworkers = 2\nsampler = random\nisolation = process", ENDLESS)
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("isolation = none\n", ""))
    hours, reached = 0.00025, 0
    for _ in range(3):
        hours = run_hours(tmp_path, 2 * hours, lambda before=reached: reports_of_the_first(tmp_path) > before)
        trials = status(tmp_path)["trials"]
        assert (trials["completed"], trials["failed"], trials["running"]) == (0, 0, 0)
        assert trials["paused"] >= 1
        steps = trial(tmp_path, "0")["reports"]
        assert [step for step, _ in steps] == list(range(1, len(steps) + 1))  # none was lost, none repeated
        reached = len(steps)


def reports_of_the_first(folder: Path) -> int:
    return len(trial(folder, "0")["reports"])


def test_more_hours_reach_the_workers_that_run(tmp_path):
    """They are recorded as `resume` does it, but without the seconds that a command takes to begin."""
    write(tmp_path, "max_hours = 0.003\nsampler = random", ENDLESS)
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("isolation = none\n", ""))
    running = start_hpo("submit-job", "model.in", cwd=tmp_path)
    wait_for(lambda: (tmp_path / "experiments/last").exists() and view(tmp_path).counts[State.RUNNING] == 1)
    experiment = Experiment(tmp_path / "experiments/last")
    experiment.request_limits({"max_hours": 1})
    wait_for(lambda: hours_used(experiment) > 0.0035)
    assert status(tmp_path)["trials"]["running"] == 1
    assert "1 workers have them already" in hpo("resume", "max_hours=2", cwd=tmp_path).stdout
    hpo("cancel", cwd=tmp_path)
    running.communicate(timeout=120)


def hours_used(experiment: Experiment) -> float:
    return seconds_used(experiment.workers, experiment.journals) / 3600


def long_ago(folder: Path, seconds: float, suffix: str) -> None:
    """Set back the time of the last change of files."""
    for file in folder.iterdir():
        if file.suffix == suffix:
            when = file.stat().st_mtime - seconds
            os.utime(file, (when, when))


def test_max_hours_count_the_hours_of_all_restarts_and_not_those_between(tmp_path):
    write(tmp_path, "max_hours = 2\nn_trials = 4\nsampler = random", SQUARE, "x = real(0, 1)")
    submit(tmp_path, "n_trials=1")
    experiment = Experiment(tmp_path / "experiments/last")
    hour = 3600.0
    for folder, suffix in [(experiment.workers, ""), (experiment.workers, ".beat"), (experiment.journals, ".jsonl")]:
        long_ago(folder, 48 * hour, suffix)
    assert hours_used(experiment) < 1
    long_ago(experiment.workers, 1.5 * hour, "")  # the worker was there for so long
    assert 1.5 <= hours_used(experiment) < 2
    assert hpo("resume", "n_trials=2", cwd=tmp_path).returncode == 0
    assert status(tmp_path)["trials"]["completed"] == 2
    long_ago(experiment.workers, 1 * hour, "")  # the two were there at the same time, in part
    assert hours_used(experiment) > 2
    assert "max_hours = 2" in hpo("resume", "n_trials=4", cwd=tmp_path).stdout
    assert status(tmp_path)["trials"]["completed"] == 2


def test_hours_for_a_search_that_is_over_are_not_kept(tmp_path):
    """They would end what a larger budget asks for later."""
    write(tmp_path, "n_trials = 1\nsampler = random", SQUARE, "x = real(0, 1)")
    submit(tmp_path)
    assert "nothing is left" in hpo("resume", "max_hours=0.000001", cwd=tmp_path).stdout
    assert hpo("resume", "n_trials=2", cwd=tmp_path).returncode == 0
    assert status(tmp_path)["trials"]["completed"] == 2


def test_a_larger_budget_goes_on(tmp_path):
    write(tmp_path, "n_trials = 12\nsampler = tpe")
    submit(tmp_path)
    first = proposed(tmp_path, "last")
    assert hpo("resume", "n_trials=15", cwd=tmp_path).returncode == 0
    assert proposed(tmp_path, "last")[:12] == first
    assert status(tmp_path)["trials"]["completed"] == 15
    for word, sentence in [
        ("n_trials=3", "has begun 15"),
        ("n_trails=3", "Did you mean 'n_trials'?"),
        ("n_trials=x", "whole"),
    ]:
        done = hpo("resume", word, cwd=tmp_path)
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr


# -- who proposes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "nsga2"])
def test_every_sampler_from_outside(tmp_path, sampler):
    write(tmp_path, f"n_trials = 14\nnworkers = 2\nsampler = {sampler}")
    submit(tmp_path)
    for params in proposed(tmp_path, "last"):
        assert -10 <= params["x"] <= 10
        assert ("m" in params) == (params["c"] == "b")
    shown = trial(tmp_path, "hpset_00003")
    assert json.loads(Path(shown["folder"], "params.json").read_text()) == {
        **json.loads(Path(shown["folder"], "params.json").read_text()),
        **shown["params"],
        "fixed": 5,
    }


def test_it_learns(tmp_path):
    write(tmp_path, "n_trials = 40\nsampler = tpe\nseed = 1")
    submit(tmp_path)
    values = [row.value for row in view(tmp_path).rows() if row.value is not None]
    assert sorted(values[20:])[10] < sorted(values[:20])[10] / 2


@pytest.mark.parametrize("control", [f"pruner = {name}" for name in ("median", "asha", "hyperband", "wilcoxon")])
def test_one_worker_and_one_seed_give_the_same_trials_also_with_a_pruner(tmp_path, control):
    steps = "\npruner_max_steps = 10" if "hyperband" in control else ""
    write(tmp_path, f"n_trials = 24\nseed = 3\n{control}{steps}", REPORTING)
    for _ in range(2):
        submit(tmp_path, "isolation=process")
    first, second = ([(r.params, r.value, r.state) for r in view(tmp_path, name).rows()] for name in ("X000", "X001"))
    assert first == second


def test_everything_about_the_sampler_is_recorded(tmp_path):
    write(tmp_path, "n_trials = 3\nsampler = tpe")
    submit(tmp_path)
    sampler = Experiment(tmp_path / "experiments/last").specification["sampler"]
    assert re.fullmatch(r"\d+\.\d+.*", sampler["optuna"])
    assert sampler["options"]["model"]["optuna"] == {
        "multivariate": True,
        "group": True,
        "n_ei_candidates": 24,
        "constant_liar": True,
    }


def test_a_sampler_that_fails_ends_no_worker_and_the_trial_tells(tmp_path):
    write(tmp_path, "n_trials = 10\nsampler = tpe")
    submit(tmp_path)
    file = tmp_path / "experiments/X000/experiment.json"
    file.write_text(file.read_text().replace('"n_ei_candidates"', '"no_such_argument"'))
    done = hpo("resume", "n_trials=12", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert status(tmp_path)["trials"]["completed"] == 12
    notes = [trial(tmp_path, str(number))["attempts"][0]["notes"] for number in (9, 10, 11)]
    assert notes[0] == []
    assert all("the sampler failed (TypeError: " in note and "drawn at random" in note for (note,) in notes[1:])
    assert "note: the sampler failed" in hpo("show", "11", cwd=tmp_path).stdout


def test_failed_trials_do_not_stop_the_search_and_are_avoided(tmp_path):
    script = "def run(hyperparams):\n    return 1 / (hyperparams['x'] > 0) + hyperparams['x']\n"
    write(tmp_path, "n_trials = 50\nsampler = tpe\nseed = 2\nstop_after = 0", script, space="x = real(-10, 10)")
    submit(tmp_path)
    states = [row.state.value for row in view(tmp_path).rows()]
    assert states[:10].count("failed") == 5
    assert states[10:].count("failed") < 20  # half of 40, if nothing had been learnt


# -- pruning -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["process", "none"])
@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband\npruner_max_steps = 10", "wilcoxon"])
def test_hopeless_trials_are_pruned(tmp_path, pruner, isolation):
    write(tmp_path, f"n_trials = 30\nnworkers = 2\nseed = 1\npruner = {pruner}", REPORTING)
    submit(tmp_path, f"isolation={isolation}")
    trials = status(tmp_path)["trials"]
    assert trials["completed"] + trials["pruned"] == 30
    assert trials["pruned"] >= 3
    row = next(row for row in view(tmp_path).rows() if row.state.value == "pruned")
    shown = trial(tmp_path, row.id)
    assert shown["value"] == shown["reports"][-1][1]
    assert not Path(shown["folder"], "result.txt").exists()
    best = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)
    assert trial(tmp_path, best["id"])["state"] == "completed"
    table = hpo("aggregate-results", "-o", "-", cwd=tmp_path).stdout.splitlines()
    assert [line.endswith("pruned") for line in table[1:]] == sorted(line.endswith("pruned") for line in table[1:])


def test_a_report_that_is_not_a_number_ends_a_trial_which_is_the_last_of_the_pruned(tmp_path):
    script = (
        "from hpo import training\n\ndef run(hyperparams):\n    x = hyperparams['x']\n"
        "    training.report(1, float('nan') if x > 3 else x)\n    return x\n"
    )
    write(tmp_path, "n_trials = 24\nseed = 1\nsampler = random\npruner = asha", script, "x = real(-5, 5)")
    submit(tmp_path)
    table = list(csv.DictReader(hpo("aggregate-results", "-o", "-", cwd=tmp_path).stdout.splitlines()))
    pruned = [float(row["result"]) for row in table if row["state"] == "pruned"]
    numbers = [value for value in pruned if not math.isnan(value)]
    assert numbers == sorted(numbers) == pruned[: len(numbers)]
    assert 0 < len(numbers) < len(pruned)
    assert not [row for row in table if row["state"] == "completed" and float(row["x"]) > 3]


# -- objectives --------------------------------------------------------------------------------------------------------


def test_more_may_be_better(tmp_path):
    script = "def run(hyperparams):\n    return {'accuracy': -abs(hyperparams['x']), 'other': 1}\n"
    write(tmp_path, "n_trials = 30\nseed = 1\nsampler = tpe\nobjective = accuracy\ndirection = maximize", script)
    submit(tmp_path)
    rows = list(view(tmp_path).rows())
    best = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)
    assert best["value"] == max(row.value for row in rows if row.value is not None) > -1
    table = hpo("aggregate-results", "-o", "-", cwd=tmp_path).stdout.splitlines()
    assert table[1].startswith(f"{best['value']!r},")


def test_a_pruner_ends_what_is_low_where_more_is_better(tmp_path):
    script = REPORTING.replace("value = (", "value = -(").replace(" + 10 / step", " - 10 / step")
    write(tmp_path, "n_trials = 30\nseed = 1\npruner = median\ndirection = maximize", script, "x = real(-10, 10)")
    submit(tmp_path)
    rows = list(view(tmp_path).rows())
    pruned = [row.value for row in rows if row.state.value == "pruned" and row.value is not None]
    completed = [row.value for row in rows if row.state.value == "completed" and row.value is not None]
    assert len(pruned) >= 3
    assert max(pruned) < max(completed) == json.loads(hpo("best", "--json", cwd=tmp_path).stdout)["value"]
    assert sorted(pruned)[len(pruned) // 2] < sorted(completed)[len(completed) // 2]


def test_a_pruner_without_reports_is_remarked_on(tmp_path):
    write(tmp_path, "n_trials = 3\npruner = median")
    remark = "pruner = median has had nothing to judge: no trial reported (see docs/training.md)"
    assert remark in submit(tmp_path)
    assert remark in hpo("status", cwd=tmp_path).stdout


def test_several_objectives_have_a_front(tmp_path):
    script = "def run(hyperparams):\n    x = hyperparams['x']\n    return {'a': x ** 2, 'b': (x - 2) ** 2}\n"
    write(tmp_path, "n_trials = 20\nseed = 1\nobjective = a b", script)
    submit(tmp_path)
    front = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)
    points = [(row.params["x"] ** 2, (row.params["x"] - 2) ** 2) for row in view(tmp_path).rows()]
    for one in front:
        a, b = one["values"]["a"], one["values"]["b"]
        assert one["value"] == a
        assert not [p for p in points if p[0] <= a and p[1] <= b and p != (a, b)]
    assert len(front) >= 2
    assert hpo("best", cwd=tmp_path).stdout.count("&default_model") == len(front)
    several = f"{len(front)} trials, no other is better in a and b: hpo best X000"
    assert several in hpo("status", cwd=tmp_path).stdout
    table = list(csv.DictReader(hpo("aggregate-results", "--output", "-", cwd=tmp_path).stdout.splitlines()))
    assert [float(row["b"]) for row in table] == [(float(row["x"]) - 2) ** 2 for row in table]


def test_the_objective_that_is_no_finite_number_is_named(tmp_path):
    script = "def run(hyperparams):\n    return {'a': float('nan'), 'b': hyperparams['x']}\n"
    write(tmp_path, "n_trials = 1\nobjective = a b", script)
    assert hpo("submit-job", "model.in", cwd=tmp_path).returncode == 1
    assert trial(tmp_path, "0")["reason"] == "the value is nan ('a'), not a finite number"


@pytest.mark.parametrize("size", ["", ", 'size': float('nan')", ", 'size': 10 ** 400", ", 'size': 'big'"])
def test_a_missing_objective_is_a_failure_with_its_name_and_the_search_goes_on(tmp_path, size):
    script = f"def run(hyperparams):\n    more = hyperparams['x'] > 0\n    return {{'val_loss': 1.0{size}}}\n"
    script = script.replace("return", "return {'val_loss': 1.0, 'size': 2} if more else")
    write(tmp_path, "n_trials = 14\nseed = 1\nobjective = val_loss size\nsampler = nsga2", script, "x = real(-1, 1)")
    submit(tmp_path)
    rows = list(view(tmp_path).rows())
    failed = [row for row in rows if row.state.value == "failed"]
    assert 0 < len(failed) < 14
    assert all("'size'" in str(row.reason) and row.params["x"] <= 0 for row in failed)
    assert size or all("no 'size', but 'val_loss'" in str(row.reason) for row in failed)


# -- what is known beforehand ------------------------------------------------------------------------------------------


def test_an_earlier_experiment_informs_the_search(tmp_path):
    write(tmp_path, "n_trials = 30\nsampler = tpe\nseed = 1")
    submit(tmp_path)
    assert hpo("aggregate-results", cwd=tmp_path).returncode == 0
    known = [(p["x"], p["c"]) for p in proposed(tmp_path, "X000")]
    for source in ("X000", "candle_results.csv"):
        submit(tmp_path, f"warm_start={source}", "n_trials=10", "seed=9")
        experiment = Experiment(tmp_path / "experiments/last")
        assert experiment.specification["warm_start"] == {"source": source, "trials": 30, "of": 30}
        found = [(t.found["x"], t.found["c"]) for t in experiment.warm_trials()]
        assert found == known  # in the order of the trials, though the table has the best first
        assert status(tmp_path)["trials"]["total"] == 10  # what is known does not count
        near = [p for p in proposed(tmp_path, "last") if abs(p["x"] - 3) < 3]
        assert len(near) >= 6


def test_what_does_not_fit_is_counted_aloud_with_its_names(tmp_path):
    (tmp_path / "old.csv").write_text(
        "result,dirname,id,x,n,c\n1.0,a,a,2.0,5,a\n2.0,b,b,99.0,5,a\n,c,c,1.0,5,a\n3.0,d,d,1.0,5,a\n4.0,e,e,99,,a\n"
        "nan,f,f,1.0,5,a\n"
    )
    write(tmp_path, "n_trials = 2\nwarm_start = old.csv\nsampler = tpe")
    reasons = "x (2), result = 'nan', which is no finite number (1), n, which they do not have (1)"
    said = f"model.in:7: 2 of 5 completed trials of old.csv inform the search; 3 do not fit it, by {reasons}"
    assert said in submit(tmp_path)


def test_trials_whose_parameter_was_renamed_inform_of_nothing(tmp_path):
    (tmp_path / "old.csv").write_text("result,dirname,id,lr,state\n1.0,a,a,0.1,completed\n,b,b,0.1,failed\n")
    script = "def run(hyperparams):\n    return hyperparams['rate']\n"
    write(tmp_path, "n_trials = 2\nwarm_start = old.csv\nsampler = tpe", script, "rate = real(0, 1)")
    (said,) = [w["message"] for w in checked(tmp_path)["warnings"] if "inform" in w["message"]]
    reasons = "lr, which this file does not have (1), rate, which they do not have (1)"
    start = "0 of 1 completed trials of old.csv inform the search"
    assert said == f"{start}; 1 does not fit it, by {reasons}, so that nothing of them is used"


@pytest.mark.parametrize(
    ("space", "defaults", "fits", "by"),
    [
        ("x = real(1, 10, log)\nn = int(1, 8)\nc = ['a', 'b', 'd']", "", 2, "x (2)"),  # scale, range, choices
        ("x = real(-10, 10)\nn = int(1, 8)", "c = 'a'", 3, "c (1)"),  # fixed here
        ("x = real(-10, 10)\nn = int(1, 8)", "", 0, "c, which this file does not have (4)"),  # not here
        ("x = real(-10, 10)\nn = int(1, 8)\nc = ['a', 'b']\nk = [7, 8]", "", 4, ""),  # fixed there
        # not there
        ("x = real(-10, 10)\nn = int(1, 8)\nc = ['a', 'b']\nnew = [7, 8]", "", 0, "new, which they do not have (4)"),
        ("x = real(-10, 10)\nn = int(1, 8)\nc = ['a', 'z']", "", 3, "c (1)"),  # choices changed
        ("x = [-3.0, -1.0, 1.0, 2.0]\nn = [1, 2, 3, 4]\nc = ['b', 'a']", "", 4, ""),  # a choice of its values
    ],
)
def test_a_space_that_differs_takes_what_fits_it(tmp_path, space, defaults, fits, by):
    rows = [(-3.0, 1, "a"), (-1.0, 2, "a"), (1.0, 3, "b"), (2.0, 4, "a")]
    script = "def run(hyperparams):\n    return hyperparams['x']\n"
    lines = "\n".join(json.dumps({"x": x, "n": n, "c": c}) for x, n, c in rows)
    write(tmp_path, "", script, lines, workflow="grid")
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("fixed = 5", "fixed = 5\nk = 7"))
    submit(tmp_path)
    write(tmp_path, "sampler = tpe\nn_trials = 5\nwarm_start = X000", script, space)
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("fixed = 5", f"fixed = 5\n{defaults}"))
    checked_here = hpo("check", "model.in", cwd=tmp_path)
    assert checked_here.returncode == 0, checked_here.stderr
    said = " ".join((checked_here.stdout + checked_here.stderr).split())
    assert f"{fits} of 4 completed trials of X000 inform the search" in said
    assert not by or f"not fit it, by {by}" in said


@pytest.mark.parametrize(("fixed", "fits"), [("(3, 4.0)", 3), ("[3, 4]", 3), ("(3, 5)", 0)])
def test_a_tuple_that_is_fixed_here_is_the_list_that_it_was_there(tmp_path, fixed, fits):
    script = "def run(hyperparams):\n    return hyperparams['x'] + hyperparams['shape'][0]\n"
    write(tmp_path, "", script, "x = [0.1, 0.2, 0.3]\nshape = [[3, 4]]", workflow="grid")
    submit(tmp_path)
    assert hpo("aggregate-results", cwd=tmp_path).returncode == 0
    write(tmp_path, "sampler = tpe\nn_trials = 5", script, "x = real(0, 1)")
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("fixed = 5", f"fixed = 5\nshape = {fixed}"))
    for source in ("X000", "candle_results.csv"):
        done = hpo("check", "model.in", f"warm_start={source}", cwd=tmp_path)
        assert f"{fits} of 3 completed trials of {source} inform" in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ("epochs = 50\nfixed = 5", "epochs (1 there, 50 here)"),
        ("fixed = 5", "epochs (1 there, not given here)"),
        ("epochs = 1\nfixed = 5\nnew = 'a'", 'new (not given there, "a" here)'),
        ("epochs = 1\nfixed = 5\nx = 2.0", None),  # searched
        ("fixed = 5\nepochs = 1", None),
    ],
)
def test_fixed_values_that_differ_from_those_of_the_earlier_search_are_a_warning(tmp_path, defaults, said):
    script, space = "def run(hyperparams):\n    return hyperparams['x']\n", "x = real(-1, 1)"
    write(tmp_path, "sampler = tpe\nn_trials = 3", script, space)
    file = tmp_path / "model.in"
    text = file.read_text()
    file.write_text(text.replace("fixed = 5", "epochs = 1\nfixed = 5"))
    submit(tmp_path)
    file.write_text(text.replace("fixed = 5", defaults))
    document = checked(tmp_path, "warm_start=X000")
    assert not document["errors"]
    warnings = [w["message"] for w in document["warnings"] if "fixed values" in w["message"]]
    whole = f"X000 had other fixed values, so that its results may not be comparable: {said}"
    assert warnings == ([whole] if said else [])


def test_a_table_does_not_tell_texts_from_numbers_and_the_space_does(tmp_path):
    space = "c = ['5', 'true', '1.50', 'x']\nd = [5, 1.5, 'null']\nstate = ['a', 'b']"
    script = "def run(hyperparams):\n    return float(len(str(hyperparams)))\n"
    write(tmp_path, "n_trials = 20", script, space, workflow="random")
    submit(tmp_path)
    assert hpo("aggregate-results", cwd=tmp_path).returncode == 0
    known = sorted(json.dumps(p, sort_keys=True) for p in proposed(tmp_path, "X000"))
    for source in ("X000", "candle_results.csv"):
        submit(tmp_path, f"warm_start={source}", "n_trials=1", "workflow=bayesian")
        experiment = Experiment(tmp_path / "experiments/last")
        assert isinstance(experiment.space, ParameterSpace)
        found = [json.dumps(experiment.space.values(t.found), sort_keys=True) for t in experiment.warm_trials()]
        assert sorted(found) == known


COMMAS = """result,dirname,id,x,c,on,v,state
1.5,a,a,2.25,a,true,"[0.5, 2]",completed
2,b,b,1e-05,b,false,"[0.25, 1]",completed
"""
SEMICOLONS = """result; x; c; on; v; state
1,5; 2,25; a; TRUE; [0.5, 2]; completed
2; 1,00E-05; b; FALSE; [0.25, 1]; completed
"""


@pytest.mark.parametrize(
    "table",
    [
        COMMAS,
        COMMAS.replace("true", "True").replace("false", "False"),  # pandas
        "".join(f"{n},{line}" for n, line in zip(["", 0, 1], COMMAS.splitlines(keepends=True), strict=True)),  # as well
        COMMAS.replace("true", "TRUE").replace("false", "FALSE").replace("comp", "Comp").replace("\n", "\r\n"),
        SEMICOLONS,
        SEMICOLONS.replace("; ", "\t"),
        SEMICOLONS.replace("; ", "\t").replace("1,5", "1.5").replace("2,25", "2.25").replace("1,00E-05", "0.00001"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_may_have_gone_through_a_spreadsheet(tmp_path, table, encoding):
    (tmp_path / "old.csv").write_bytes(table.encode(encoding))
    space = space_of(tmp_path, "x = real(0, 5)\nc = ['a', 'b']\non = [true, false]\nv = vector(2, real(0, 2))")
    warm = warm_start.read("old.csv", tmp_path, space, {}, [("val_loss", "minimize")])
    assert [(one.values, space.values(one.found)) for one in warm.trials] == [
        ((1.5,), {"x": 2.25, "c": "a", "on": True, "v": [0.5, 2.0]}),
        ((2.0,), {"x": 1e-05, "c": "b", "on": False, "v": [0.25, 1.0]}),
    ]
    assert (warm.of, warm.misfits) == (2, {})


def space_of(folder: Path, text: str) -> ParameterSpace:
    write(folder, "n_trials = 2", SQUARE, text)
    space = inputfile.read(folder / "model.in").space
    assert isinstance(space, ParameterSpace)
    return space


@pytest.mark.parametrize("cell", ["1" + "0" * 400, "9" * 5000, "[" * 900 + "]" * 900, "[" * 100_000, "{'a': 1}", "nan"])
def test_no_cell_of_a_table_is_more_than_a_misfit(tmp_path, cell):
    (tmp_path / "old.csv").write_text(
        f"result,id,x,c,n\n1,a,0.5,{cell},1\n2,b,{cell},a,1\n3,c,0.5,a,{cell}\n4,d,0.5,a,1\n"
    )
    space = space_of(tmp_path, "x = real(0, 5)\nc = ['a', [1]]\nn = int(1, 9)")
    warm = warm_start.read("old.csv", tmp_path, space, {}, [("val_loss", "minimize")])
    assert ([one.values for one in warm.trials], warm.misfits) == ([(4.0,)], {"c": 1, "x": 1, "n": 1})


def test_an_experiment_that_still_runs_informs_with_what_it_has(tmp_path):
    go = tmp_path / "go"
    script = (
        "import os, time\n\ndef run(hyperparams):\n"
        f"    while hyperparams['x'] == 3 and not os.path.exists({str(go)!r}):\n        time.sleep(0.05)\n"
        "    return 1.0\n"
    )
    write(tmp_path, "", script, "x = [1, 2, 3, 4]", workflow="grid")
    running = start_hpo("submit-job", "model.in", cwd=tmp_path)
    wait_for(lambda: (tmp_path / "experiments/last").exists() and view(tmp_path).finished == 2)
    write(tmp_path, "sampler = tpe\nn_trials = 4\nwarm_start = X000", script, "x = [1, 2, 3, 4]")
    said = hpo("check", "model.in", cwd=tmp_path).stdout
    assert "2 of 2 completed trials of X000, which still runs, inform the search" in said
    go.touch()
    running.communicate(timeout=120)


@pytest.mark.parametrize("source", ["X000", "last", "nowhere.csv"])
def test_what_is_not_there_is_one_sentence(tmp_path, source):
    write(tmp_path, f"warm_start = {source}\nsampler = tpe")
    (error,) = checked(tmp_path)["errors"]
    said = f"'{source}' is neither an experiment, such as X003, nor a CSV of results"
    assert error["message"] == f"warm_start: {f'{tmp_path}/{source} does not exist' if '.' in source else said}"


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "space", "sentence"),
    [
        (
            "sampler = cmaes",
            "c = ['a', 'b']\nd = [1, 2]",
            "sampler = cmaes needs two or more parameters that are numbers",
        ),
        ("sampler = cmaes", "x = real(0, 1)\nn = int(3, 3)", "there is one; sampler = tpe can"),
        ("sampler = cmaes", SPACE, "'m' is conditional; sampler = tpe can"),
        ("sampler = gp", SPACE, "'m' is conditional; sampler = tpe can"),
        ("sampler = cmaes\nobjective = a b", "x = real(0, 1)\ny = real(0, 1)", "sampler = tpe and nsga2 can"),
        ("sampler = gp", "x = int(0, 100000000)", "'x' has 100000001; sampler = tpe can, or a range of reals"),
        ("sampler = grid", SPACE, "sampler = grid is for workflow = grid"),
        ("pruner = median\nobjective = a b", SPACE, "pruner = median judges one objective, not 2"),
        ("pruner = median\npruner_factor = 3", SPACE, "pruner_factor is no option of pruner = median"),
        ("pruner = hyperband", SPACE, "pruner_max_steps = N"),
        ("direction = minimize maximize", SPACE, "direction has 2 words for 1 objectives"),
        ("direction = max", SPACE, "must be one of minimize, maximize, not 'max'"),
        ("direction = minimize maxi\nobjective = a b", SPACE, "must be one of minimize, maximize, not 'maxi'"),
        ("direction = up", SPACE, "must be one of minimize, maximize, not 'up'"),
        ("warm_start = X099", SPACE, "'X099' is neither an experiment, such as X003, nor a CSV of results"),
        ("", "x = 1", "there is nothing to search"),
    ],
)
def test_a_sampler_that_cannot_says_so_at_check(tmp_path, control, space, sentence):
    write(tmp_path, control, "def run(hyperparams):\n    return float(len(hyperparams))\n", space)
    (error,) = checked(tmp_path)["errors"]
    assert sentence in error["message"]
    assert error["line"] in ((6, 7) if control else (3,))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (
            "max_hours = 1",
            "110 trials, as max_budget says where nothing is given; n_trials = N makes it another number",
        ),
        ("n_trials = 5", "the design of design_size = 10 trials takes all 5, so that no model is ever asked"),
    ],
)
def test_what_limits_a_search_is_told(tmp_path, control, said):
    write(tmp_path, control)
    assert said in " ".join(hpo("check", "model.in", cwd=tmp_path).stdout.split())


NUMBERS = "x = real(0, 1)\ny = real(0, 1)"
TINY = "c = ['a', 'b']\nx = [1, 2, 3]"


@pytest.mark.parametrize(
    ("control", "space", "sentence"),
    [
        ("", TINY, "110 trials are more than the 6 points of the space, so that points are tried again; workflow = g"),
        ("n_trials = 7", TINY, "7 trials are more than the 6 points"),
        ("n_trials = 6", TINY, None),
        ("max_hours = 1\nworkflow = random", TINY, None),
        (
            "n_trials = 50\nmax_budget = 20",
            NUMBERS,
            "20 trials, as max_budget says, not n_trials = 50: the least counts",
        ),
        ("max_budget = 20\ndesign_size = 30", NUMBERS, "design_size = 30 trials takes all 20, so that no model"),
        ("sampler = cmaes\ndesign_size = 20", NUMBERS, "sampler = cmaes does not begin with a design"),
        ("sampler = nsga2\ndesign_size = 20", NUMBERS, "sampler = tpe and gp do"),
        ("sampler = tpe\ndesign_size = 20", NUMBERS, None),
        ("sampler = nsga2", NUMBERS, None),
        ("sampler = gp\nn_trials = 301", NUMBERS, "slowly from some 300 on; sampler = auto then goes on with tpe"),
        ("sampler = gp\nn_trials = 300", NUMBERS, None),
        ("sampler = auto\nn_trials = 400", NUMBERS, None),
        ("sampler = random\nwarm_start = old.csv", NUMBERS, "sampler = random learns nothing from warm_start"),
        ("sampler = cmaes\nwarm_start = old.csv", NUMBERS, None),
    ],
)
def test_what_is_other_than_one_may_think_is_a_warning(tmp_path, control, space, sentence):
    (tmp_path / "old.csv").write_text("result,dirname,id,x,y\n1.0,a,a,0.5,0.5\n")
    workflow = "random" if "workflow" in control else "bayesian"
    write(tmp_path, control.replace("\nworkflow = random", ""), SQUARE, space, workflow)
    document = checked(tmp_path)
    assert not document["errors"]
    mine = [w["message"] for w in document["warnings"] if "never read" not in w["message"]]
    assert sentence is None or sentence in " ".join(mine)
    assert sentence is not None or not [m for m in mine if "sampler" in m or "points" in m], mine


@pytest.mark.parametrize(
    ("space", "default", "steps"),
    [
        ("x = real(0, 1)", "epochs = 20", 20),
        ("x = real(0, 1)\nepochs = [5, 10]", "epochs = 20", 10),  # the default is never used
        ("x = [1, 2]\nepochs = int(5, 9) if x == 1", "epochs = 20", 20),  # in half of the trials
        ("x = [1, 2]\nnb_epochs = int(2, 4000)", "fixed = 1", 4000),
        ('{"x": 1, "epochs": 3}\n{"x": 2, "epochs": 30}', "epochs = 20", 30),
        ('{"x": 1, "epochs": 3}\n{"x": 2}', "epochs = 20", 20),
    ],
)
def test_hyperband_finds_the_steps_of_a_whole_trial_in_the_file(tmp_path, space, default, steps):
    write(tmp_path, "pruner = hyperband", SQUARE, space, "grid" if "{" in space else "bayesian")
    text = (tmp_path / "model.in").read_text()
    (tmp_path / "model.in").write_text(text.replace("fixed = 5", default))
    given = inputfile.read(tmp_path / "model.in")
    planned = plan(given, tmp_path / "model.in", Complaints())
    assert planned is not None
    assert planned.pruner is not None
    assert planned.pruner["options"]["max_steps"] == steps


@pytest.mark.parametrize(("workflow", "control"), [("random", ""), ("qmc", "")])
def test_without_a_number_of_trials_it_asks_for_one(tmp_path, workflow, control):
    write(tmp_path, control, workflow=workflow)
    assert "needs its number of trials, such as n_trials = 50" in checked(tmp_path)["errors"][0]["message"]


def test_a_grid_takes_no_sampler(tmp_path):
    write(tmp_path, "sampler = tpe", space="x = [1, 2]", workflow="grid")
    assert "sampler = tpe is for workflow = bayesian" in checked(tmp_path)["errors"][0]["message"]


AUTO: Sequence[tuple[str, str, str]] = [
    ("", "x = real(0, 1)\ny = [1, 2]", "gp"),
    ("", SPACE, "tpe"),
    ("pruner = median", "x = real(0, 1)", "tpe"),
    ("objective = a b", "x = real(0, 1)", "tpe"),
    ("", "v = vector(30, real(0, 1))", "tpe"),
    ("", "x = int(0, 2147483647)", "tpe"),  # a Gaussian process would list them all
    ("", "x = int(1, 1000000, log)\ny = real(0, 1)", "tpe"),
    ("", "x = real(0, 1, step=1e-6)\ny = real(0, 1)", "tpe"),
    ("", "x = int(1, 100000)\ny = real(0, 1, step=1e-4)", "gp"),
]


@pytest.mark.parametrize(("control", "space", "sampler"), AUTO)
def test_the_rule_of_auto(tmp_path, control, space, sampler):
    write(tmp_path, control, "def run(hyperparams):\n    return float(len(hyperparams))\n", space)
    assert checked(tmp_path)["sampler"] == sampler
    assert f"sampler = auto is {sampler} here: " in hpo("check", "model.in", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("control", "warm", "said"),
    [
        ("n_trials = 200", 120, "gp here: Gaussian processes find the best values in such a space; from trial 180 on"),
        ("n_trials = 20\ndesign_size = 10", 300, "tpe here: the 300 trials of warm_start are more than"),
        ("n_trials = 240\nsampler = gp", 61, "slowly from some 300 on; sampler = auto then goes on with tpe"),
    ],
)
def test_trials_that_are_known_beforehand_count_for_what_a_gaussian_process_costs(tmp_path, control, warm, said):
    rows = "".join(f"{n}.0,{n},{n / warm}\n" for n in range(warm))
    (tmp_path / "old.csv").write_text(f"result,id,x\n{rows}")
    script = "def run(hyperparams):\n    return hyperparams['x']\n"
    write(tmp_path, f"warm_start = old.csv\n{control}", script, "x = real(0, 1)")
    done = hpo("check", "model.in", cwd=tmp_path)
    text = " ".join((done.stdout + done.stderr).split())
    assert said in text
