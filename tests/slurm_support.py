"""What the tests of Slurm use: its commands, scripts that need time, and a folder as a user of the cluster has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import support

from hpo.experiment import Experiment
from hpo.liveness import Identity, read
from hpo.processes import start_time
from hpo.results.view import View
from hpo.slurm import queue
from hpo.trial import State

CLUSTER = Path(__file__).parent / "cluster"
FAKES = Path(__file__).parent / "slurm" / "fakes"
#: Where the cluster keeps its files.
RUN = Path(os.environ.get("HPO_TEST_CLUSTER", "/tmp/hpo-test-cluster"))

#: Each trial leaves a process behind, in a session of its own: linuxproc would not find it. From x = `gated` on trials
#: wait at a gate, and each that runs to its end leaves a line.
LEAKY = """
import os, subprocess, time

def run(hyperparams):
    folder = os.environ["HPO_SUBMIT_DIR"]
    subprocess.Popen(["sleep", "987"], start_new_session=True)
    time.sleep(hyperparams["seconds"])
    while hyperparams["x"] >= hyperparams["gated"] and not os.path.exists(f"{folder}/gate"):
        time.sleep(0.1)
    with open(f"{folder}/ran", "a") as file:
        file.write(f"{hyperparams['x']}\\n")
    return hyperparams["x"] * 2.0
"""
#: A trial ends when so many have begun as are to run at a time: then each worker has one.
TOGETHER = """
import os, time

def run(hyperparams):
    folder = os.environ["HPO_SUBMIT_DIR"]
    open(f"{folder}/begun-{hyperparams['x']}", "w").close()
    while sum(name.startswith("begun-") for name in os.listdir(folder)) < hyperparams["at_once"]:
        time.sleep(0.1)
    names = {"node": "SLURMD_NODENAME", "step": "SLURM_STEP_ID", "gpu": "CUDA_VISIBLE_DEVICES", "worker": "HPO_WORKER"}
    return {"val_loss": 1.0, **{name: os.environ.get(variable, "") for name, variable in names.items()}}
"""


def points(count: int) -> str:
    """A grid of so many trials."""
    return f"x = [{', '.join(map(str, range(count)))}]"


def leaky(seconds: float = 0.0, gated: int = 1000) -> str:
    """&default_model of `LEAKY`: how long a trial takes, and the first that waits at the gate."""
    return f"  seconds = {float(seconds)}\n  gated = {gated}"


def run(*command: str, timeout: float = 60) -> str:
    """What a command of Slurm's prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unmount(inside: list[str], path: Path) -> None:
    """Take away what is mounted there on a node, as soon as no job is in it. inside: runs a command on the node."""
    support.wait_for(lambda: subprocess.run([*inside, "umount", path], capture_output=True).returncode == 0)


def restart_controller(**settings: str) -> None:
    """End slurmctld cleanly, and start it with other settings of tests/cluster/start; the jobs go on."""
    pid = int((RUN / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGTERM)  # killed, it may forget what was submitted in its last seconds
    support.wait_for(lambda: start_time(pid) is None)
    start_cluster(**settings)


def start_cluster(**settings: str) -> None:
    """Start what is not running of the test cluster."""
    subprocess.run([CLUSTER / "start"], env={**os.environ, **settings}, check=True, capture_output=True, timeout=300)


def squeue_line(
    name: str, state: str = "RUNNING", restarts: int = 0, reason: str = "None", left: str = "9:00", node: str = "node1"
) -> str:
    """What squeue says of a job."""
    job, _, index = name.partition("_")
    cells = [job, index or "N/A", state, str(restarts), left, "0", node, reason]
    return "".join(cell.ljust(width) for cell, width in zip(cells, queue._COLUMNS.values(), strict=True)) + "\n"


#: What a cluster says of itself.
CONFIG = "ClusterName = faraway\nMaxArraySize = 1001\nMaxJobCount = 10000\nKillWait = 30 sec\n"


def faraway(folder: Path, fakes: Callable[..., Path], **texts: str) -> Path:
    """Put commands on PATH that each say what the file of its name in `folder` holds; return where they are.

    texts: what other files hold than those of a cluster with one partition and no jobs.
    """
    nothing = dict.fromkeys(("sbatch", "squeue", "scancel"), "")
    said = {"scontrol": CONFIG, "sinfo": "batch*|1-00:00:00|16|64000|(null)|up\n", **nothing, **texts}
    for name, text in said.items():
        (folder / name).write_text(text)
    return fakes(**{name: f"say {folder / name}" for name in said})


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
        done = support.hpo(*words, cwd=self.path, timeout=600, **self.environment)
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

    def begun(self) -> int:
        """How many trials have begun, without asking Slurm."""
        return len(self.experiment.ledger().trials)

    def wait_told(self, *words: str) -> None:
        """Wait until the outcomes of the attempts, and why they were paused, have each of these among them."""
        support.wait_for(lambda: set(words) <= self._told(), 400)

    def _told(self) -> set[str]:
        self.hpo("status")  # which judges the workers, and notes why they were lost
        view = View(self.experiment)
        attempts = [each for number in range(self.experiment.budget) for each in view.trial(number)["attempts"]]
        return {attempt[field] for attempt in attempts for field in ("outcome", "why")}

    def paused(self) -> int:
        """How many attempts have been paused, without asking Slurm."""
        trials = self.experiment.ledger().trials.values()
        return sum(attempt.paused for record in trials for attempt in record.attempts.values())

    def starts(self) -> list[Identity]:
        """Every worker that began in a job."""
        names = (name for name in os.listdir(self.experiment.workers) if "." not in name)
        return [identity for name in names if (identity := read(self.experiment.workers, name)) is not None]

    def open_gate(self) -> None:
        """Let the trials of `LEAKY` go on."""
        (self.path / "gate").touch()

    def done(self) -> int:
        """How many trials are counted."""
        return sum(1 for key in self.experiment.journal().claimed() if ".done" in key)

    def wait_done(self, count: int, seconds: float = 400) -> None:
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
        support.wait_for(lambda: not support.processes_with(str(self.path)))


def end_jobs(folder: Folder) -> None:
    """Have Slurm forget the jobs of an experiment."""
    jobs = folder.path / "experiments" / "last" / "jobs"
    numbers = [file.name for file in jobs.glob("[0-9]*") if file.name.isdigit()]
    subprocess.run(["scancel", *numbers], capture_output=True)
