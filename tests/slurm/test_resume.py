"""What `hpo resume` submits rests on what squeue says then: by fakes on PATH, and on the test cluster."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import support
from slurm_support import LEAKY, Folder, faraway, leaky, points, run, squeue_line

from hpo.slurm import jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
CLUSTER = {"HPO_EXECUTOR": "slurm", "SLURM_CLUSTER_NAME": "faraway"}


@pytest.fixture
def room(tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment whose two tasks were seen to run, on a cluster that now gives the number 18; its commands."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    made = faraway(tmp_path, fakes, sbatch="17;faraway\n", squeue=squeue_line("17_0") + squeue_line("17_1"))
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2")
    assert support.hpo("submit-job", "model.in", cwd=tmp_path, **CLUSTER).returncode == 0
    assert "running" in support.hpo("status", cwd=tmp_path, **CLUSTER).stdout
    (tmp_path / "sbatch").write_text("18;faraway\n")
    (made / "calls").unlink()
    return made


def calls(room: Path, command: str) -> list[str]:
    return [line for line in (room / "calls").read_text().splitlines() if f" {command} " in line]


@pytest.mark.parametrize(
    ("states", "array"),
    [
        (["CANCELLED", "CANCELLED"], "0-1"),
        (["COMPLETING", "COMPLETING"], "0-1"),  # they save what they can, and take no trial any more
        (["RUNNING", "CANCELLED"], "0"),
        ([], "0-1"),
    ],
)
def test_what_the_user_has_cancelled_by_hand_is_replaced_at_once(
    tmp_path: Path, room: Path, states: list[str], array: str
) -> None:
    """The last answer is a few seconds old, and shows that all run."""
    rows = (squeue_line(f"17_{index}", state) for index, state in enumerate(states))
    (tmp_path / "squeue").write_text("".join(rows))
    done = support.hpo("resume", cwd=tmp_path, **CLUSTER)
    assert "JOB_ID=18" in done.stdout, done.stderr
    assert [re.findall(r"--array=(\S+)", call) for call in calls(room, "sbatch")] == [[array]]
    assert len(calls(room, "squeue")) == 1


@pytest.mark.parametrize(
    "rows",
    [[("RUNNING", 0), ("PENDING", 0)], [("COMPLETING", 1), ("SUSPENDED", 0)], [("EXPEDITING", 0), ("CONFIGURING", 0)]],
)
def test_what_is_there_is_not_submitted_again(tmp_path: Path, room: Path, rows: list[tuple[str, int]]) -> None:
    """Also what is queued again while its old processes save, and what is in a state of a later Slurm."""
    (tmp_path / "squeue").write_text("".join(squeue_line(f"17_{n}", *row) for n, row in enumerate(rows)))
    done = support.hpo("resume", cwd=tmp_path, **CLUSTER)
    assert "its jobs are there already: 17" in done.stdout
    assert len(calls(room, "squeue")) == 1
    assert not calls(room, "sbatch")


def test_without_an_answer_nothing_is_submitted(tmp_path: Path, room: Path) -> None:
    (room / "squeue.does").write_text("socket")
    done = support.hpo("resume", cwd=tmp_path, **CLUSTER)
    assert done.returncode == 1
    assert "does not tell which jobs of X000 are there" in done.stderr
    assert "Socket timed out" in done.stderr
    assert not calls(room, "sbatch")


def answers_of(folder: Path, when: float) -> None:
    """Have squeue's answers be of another time."""
    for file in (folder / "experiments" / "X000" / "scheduler").iterdir():
        os.utime(file, (when, when))


def test_status_tells_how_old_the_word_on_a_job_is(tmp_path: Path, room: Path) -> None:
    answers_of(tmp_path, time.time() + 600)  # as new as can be, however long the command takes to begin
    assert re.search(r"17_0, 17_1  running$", support.hpo("status", cwd=tmp_path, **CLUSTER).stdout, re.M)
    answers_of(tmp_path, time.time() - 9000)
    said = support.hpo("status", cwd=tmp_path, HPO_ASK_EVERY="100000", **CLUSTER).stdout
    assert re.search(r"17_0, 17_1  running as of 2 h 3\d min ago$", said, re.M)
    assert not (room / "calls").exists()


def test_no_job_waits_for_a_finished_search_unless_it_was_seen_since(tmp_path: Path, room: Path) -> None:
    """17_1 had not begun when the last question was asked, and a worker of 17_0 did all of it."""
    variables = {**CLUSTER, "HPO_ASK_EVERY": "0"}
    (tmp_path / "squeue").write_text(squeue_line("17_1", "PENDING", reason="Resources"))
    assert "17_1  pending: Resources" in support.hpo("status", cwd=tmp_path, **variables).stdout
    assert support.hpo("resume", cwd=tmp_path, HPO_EXECUTOR="local").returncode == 0
    said = support.hpo("status", cwd=tmp_path, HPO_ASK_EVERY="3600", **CLUSTER).stdout
    assert "finished" in said
    assert "pending" not in said
    assert "17_1  pending: Resources" in support.hpo("status", cwd=tmp_path, **variables).stdout  # seen since


@pytest.mark.skipif(os.getuid() != 0, reason="optional: gives a folder to another user")
def test_another_users_experiment_is_not_run_as_jobs(tmp_path: Path, room: Path) -> None:
    """Its workers ask squeue for the owner's jobs alone, and would take ours for dead."""
    os.chown(tmp_path / "experiments" / "X000", 12345, -1)
    done = support.hpo("resume", cwd=tmp_path, **CLUSTER)
    assert done.returncode == 2
    assert "X000 belongs to 12345" in done.stderr
    assert not (room / "calls").exists() or not calls(room, "sbatch")


def test_on_a_cluster_an_array_that_was_cancelled_by_hand_is_replaced_at_once(folder: Folder) -> None:
    folder.environment["HPO_ASK_EVERY"] = "60"
    folder.write(support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2\n  custom_sbatch_args = --hold")
    first = folder.submit()
    assert "JobHeldUser" in folder.hpo("status").stdout
    run("scancel", first)
    submit = folder.path / "experiments" / "last" / "submit.sbatch"
    assert "--hold" in submit.read_text()
    said = folder.hpo("resume").stdout
    assert "JOB_ID=" in said
    run("scontrol", "release", said.partition("JOB_ID=")[2].split()[0])
    folder.wait_done(3)
    folder.values()


def test_on_a_cluster_each_failed_trial_gets_a_task_again(folder: Folder) -> None:
    """The last answer that there is shows the tasks as they waited."""
    folder.environment["HPO_ASK_EVERY"] = "60"
    script = "def run(hyperparams):\n    raise ValueError(hyperparams['x'])\n"
    control = "  nworkers = 2\n  array = trials\n  stop_after = 0\n  custom_sbatch_args = --hold"
    folder.write(script, "x = [1, 2, 3, 4]", control)
    first = folder.submit()
    assert "JobHeldUser" in folder.hpo("status").stdout
    run("scontrol", "release", first)
    folder.wait_done(4)
    support.wait_for(lambda: len(folder.experiment.ledger().ended) == 4)  # else one might take another trial
    folder.hpo("resume", "--retry-failed")
    assert [job.indexes for job in jobs.recorded(folder.experiment.folder)] == [[0, 1, 2, 3]] * 2


def test_on_a_cluster_cancel_ends_what_was_submitted_by_hand(folder: Folder) -> None:
    """A worker tells the number of its job, which nobody recorded."""
    folder.write(LEAKY, points(9), "  nworkers = 1\n  custom_sbatch_args = --nodelist=node2", leaky(gated=0))
    folder.submit()
    array = run("sbatch", "--parsable", "--array=0-2%1", str(folder.experiment.folder / "submit.sbatch")).strip()
    support.wait_for(lambda: any(start.job_task.startswith(f"{array}_") for start in folder.starts()))
    support.wait_for(lambda: folder.begun() == 2)
    folder.hpo("cancel")
    support.wait_for(lambda: not run("squeue", "-h", "-j", array, "-t", "PENDING,RUNNING,COMPLETING"))
    assert sum(start.job_task.startswith(f"{array}_") for start in folder.starts()) == 1
