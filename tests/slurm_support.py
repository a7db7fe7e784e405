"""What the tests of Slurm use: its commands, and a folder as a user of the cluster has it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import support

from hpo.experiment import Experiment
from hpo.results.view import View
from hpo.trial import State

CLUSTER = Path(__file__).parent / "cluster"
FAKES = Path(__file__).parent / "slurm" / "fakes"


def run(*command: str, timeout: float = 60) -> str:
    """What a command of Slurm's prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_up() -> bool:
    if shutil.which("scontrol") is None:
        return False
    config = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=30).stdout
    return "hpotest" in config


class Folder:
    """A folder with an experiment in it, as a user of the cluster sees it."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.environment = {"HPO_EXECUTOR": "", "HPO_ASK_EVERY": "5"}

    def write(self, script: str, space: str, control: str, defaults: str = "") -> Path:
        """Put model.py and model.in there."""
        return support.write_input(self.path, script, space, control, defaults)

    def hpo(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; it must end with `code`."""
        done = support.hpo(*words, cwd=self.path, timeout=400, **self.environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def submit(self, *words: str) -> str:
        """Submit model.in; return the number of its job, or of the last of them."""
        out = self.hpo("submit-job", "model.in", *words).stdout
        return out.partition("JOB_ID=")[2].split()[0].split(",")[-1]

    @property
    def experiment(self) -> Experiment:
        return Experiment(self.path / "experiments" / "last")

    def status(self) -> dict[str, Any]:
        """`hpo status --json`."""
        document: dict[str, Any] = json.loads(self.hpo("status", "--json").stdout)
        return document

    def trial(self, number: int) -> dict[str, Any]:
        """`hpo show NUMBER --json`."""
        document: dict[str, Any] = json.loads(self.hpo("show", str(number), "--json").stdout)
        return document

    def counts(self) -> Any:
        """How many trials there are of each state, without asking Slurm."""
        return self.experiment.ledger().trials.values()

    def done(self) -> int:
        """How many trials are counted."""
        return sum(1 for key in self.experiment.journal().claimed() if ".done" in key)

    def wait_done(self, count: int, seconds: float = 180) -> None:
        """Wait until `count` trials are counted; when they are not, tell what Slurm does instead."""
        try:
            support.wait_for(lambda: self.done() >= count, seconds)
        except AssertionError:
            told = [self.hpo("status").stdout, run("squeue"), run("sinfo", "-R"), run("sinfo", "-N")]
            raise AssertionError("\n".join([f"{self.done()} of {count} trials are counted", *told])) from None

    def values(self) -> dict[int, float | None]:
        """The results by number; every trial must have completed, counted once."""
        view = View(self.experiment)
        rows = list(view.rows())
        assert [row.state for row in rows] == [State.COMPLETED] * self.experiment.budget, [row.reason for row in rows]
        commits = [key.partition(".")[0] for key in self.experiment.journal().claimed() if ".done" in key]
        assert len(commits) == len(set(commits)) == self.experiment.budget
        return {row.number: row.value for row in rows}

    def nothing_left(self) -> None:
        """No process of the experiment is alive, on whatever node."""
        support.wait_for(lambda: not support.processes_with(str(self.path)), 60)


def end_jobs(folder: Folder) -> None:
    """Have Slurm forget the jobs of an experiment."""
    jobs = folder.path / "experiments" / "last" / "jobs"
    numbers = [file.name for file in jobs.glob("[0-9]*") if file.name.isdigit()]
    subprocess.run(["scancel", *numbers], capture_output=True)
