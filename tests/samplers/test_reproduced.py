"""Every proposal can be made again from what the journals say: those of one worker, of eight, of killed ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import environment, hpo, write_input

from hpo import inputfile, samplers
from hpo.creation import create
from hpo.errors import Complaints
from hpo.experiment import Experiment
from hpo.ledger import Ledger
from hpo.results.view import View
from hpo.script import analyse
from hpo.search.plan import plan
from hpo.trial import State

SWARM = Path(__file__).with_name("swarm.py")
#: Some trials fail, some wait, and some are reported; a worker may be killed in any of them.
SCRIPT = """
import time

def run(hyperparams):
    time.sleep(0.05 * hyperparams["y"])
    if hyperparams["x"] < -4:
        raise ValueError("too low")
    return (hyperparams["x"] - 1) ** 2 + hyperparams["y"]
"""
SPACE = "x = real(-5, 5)\ny = real(0.1, 1, log)\nn = int(1, 5)"


def make(folder: Path, name: str, n_trials: int) -> Experiment:
    """An experiment whose trials run in its workers."""
    if name == "grid":
        text, workflow = "x = real(-5, 5, n=6)\ny = [0.1, 0.2, 0.5, 1]", "grid"
    else:
        text, workflow = SPACE, f"bayesian\n  sampler = {name}\n  design_size = 6"
    control = f"  isolation = none\n  n_trials = {n_trials}\n  stop_after = 0\n  max_attempts = 20\n  seed = 7"
    file = write_input(folder, SCRIPT, text, control)
    file.write_text(file.read_text().replace("workflow = grid", f"workflow = {workflow}"))
    given = inputfile.read(file)
    analysis = analyse(given.script, Complaints())
    searched = plan(given, file, Complaints())
    assert searched is not None
    return create(given, analysis.script, analysis.files, searched)


def seen(experiment: Experiment, worker: str, number: int) -> list[dict[str, Any]]:
    """The events that the proposal of a trial was made from, by the offsets in its worker's record."""
    offsets: dict[str, int] = {}
    for line in (experiment.journals / f"{worker}.jsonl").read_text().splitlines():
        event = json.loads(line)
        offsets.update(event.get("seen", {}))
        if event["e"] == "started" and event["n"] == number:
            break
    events = []
    for name, offset in offsets.items():
        for line in (experiment.journals / name).read_bytes()[:offset].splitlines():
            events.append({**json.loads(line), "w": name.split(".")[0]})
    return events


@pytest.mark.parametrize("name", samplers.TABLE)
def test_what_was_seen_reproduces_every_proposal_of_eight_workers_also_of_killed_ones(tmp_path, name):
    count = 15 if name == "gp" else 24
    experiment = make(tmp_path, name, count)
    command = [sys.executable, str(SWARM), str(experiment.folder), "8", "5", "5", "10"]
    subprocess.run(command, env=environment(), check=True, timeout=600)
    recorded = experiment.specification["sampler"]
    trials = experiment.ledger().trials
    assert sorted(trials) == list(range(count))
    assert all(record.committed for record in trials.values())
    assert len(set(experiment.ledger().workers)) > 8
    for number, record in trials.items():
        attempt = next(a for _, a in sorted(record.attempts.items()) if a.params is not None)
        history = Ledger()
        history.add_events(seen(experiment, attempt.worker, number))
        sampler = samplers.create(recorded["name"], experiment.space, recorded["options"], experiment.seed)
        again = sampler.propose(list(history.trials.values()), number)
        assert json.dumps(again.params) == json.dumps(attempt.params), number


@pytest.mark.parametrize("name", samplers.TABLE)
def test_one_worker_and_one_seed_give_the_same_trials_byte_for_byte(tmp_path, name):
    """Also when the second search is interrupted on its way: here by its number of trials."""
    count = 12 if name == "gp" else 20
    tables = []
    for steps in ([count], [7, count]):
        make(tmp_path, name, steps[0])
        for step in steps:
            done = hpo("resume", f"n_trials={step}", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        view = View(Experiment(tmp_path / "experiments" / "last"))
        assert view.counts[State.COMPLETED] + view.counts[State.FAILED] == count
        tables.append([json.dumps([row.params, row.value, row.state.value]) for row in view.rows()])
    assert tables[0] == tables[1]
