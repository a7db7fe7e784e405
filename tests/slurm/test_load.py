"""Many trials on a real cluster, how seldom Slurm is asked for them, and what a submission leaves on the login node.

What is asked is counted by commands that stand before Slurm's own on PATH, on the nodes, too.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import support
from slurm_support import Folder, run

pytestmark = pytest.mark.usefixtures("cluster")

COMMANDS = ("sbatch", "squeue", "scontrol", "sinfo", "sacct", "sacctmgr", "scancel", "srun", "sstat", "sprio")


@pytest.fixture
def asked(folder: Folder, fakes: Callable[..., Path]) -> Callable[[], Counter[str]]:
    """How often each command has been called since the last look."""
    room = fakes(**dict.fromkeys(COMMANDS, "real"))
    folder.environment |= {"HPO_ASK_EVERY": "60", "PATH": os.environ["PATH"]}
    seen = 0

    def look() -> Counter[str]:
        nonlocal seen
        calls = (room / "calls").read_text().splitlines()
        found, seen = calls[seen:], len(calls)
        return Counter(line.split()[1] for line in found)

    return look


def at_most_once_a_minute(calls: Counter[str], seconds: float) -> None:
    """squeue; where its answer shows jobs that were queued again, whosever, sinfo is asked with it."""
    assert calls["squeue"] <= 1 + seconds / 60
    assert calls["sinfo"] <= calls["squeue"]
    assert calls.total() == calls["squeue"] + calls["sinfo"]


def test_ten_thousand_trials_ask_slurm_once_a_minute_at_most(folder: Folder, asked: Callable[[], Counter[str]]) -> None:
    folder.write(support.SQUARE, "x = int(0, 9999)", "  nworkers = 8\n  isolation = none")
    folder.submit()
    at_submission = asked()
    assert at_submission["sbatch"] == 2  # a rehearsal, and the job
    assert sum(at_submission.values()) <= 8
    began = time.monotonic()
    folder.wait_done(10_000)
    at_most_once_a_minute(asked(), time.monotonic() - began)
    assert folder.values() == {n: (n - 3) ** 2 for n in range(10_000)}


def test_a_job_for_each_of_many_trials_asks_nothing(folder: Folder, asked: Callable[[], Counter[str]]) -> None:
    folder.write(support.SQUARE, "x = int(0, 59)", "  nworkers = 8\n  array = trials")
    folder.submit()
    assert sum(asked().values()) <= 8
    began = time.monotonic()
    folder.wait_done(60)
    at_most_once_a_minute(asked(), time.monotonic() - began)
    assert folder.values() == {n: (n - 3) ** 2 for n in range(60)}


def test_more_jobs_than_the_cluster_keeps_are_told_before(folder: Folder) -> None:
    folder.write(support.SQUARE, "x = int(0, 1999)", "  array = trials")
    out = folder.hpo("check", "model.in").stdout
    assert "2000 trials are as many jobs, in 2 arrays one after the other" in " ".join(out.split())
    folder.write(support.SQUARE, "x = int(1, 30000)", "  array = trials\n  nworkers = 8")
    said = folder.hpo("check", "model.in", code=2).stderr
    assert "model.in:4" in said
    assert "more than this cluster keeps at a time (MaxJobCount = 20000)" in said
    assert "array = workers takes all trials with 8" in said


def test_submitting_leaves_nothing_on_the_login_node(folder: Folder) -> None:
    """No process, and so no port: whatever was started outside of the nodes is gone when the command returns."""
    folder.write(
        support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2\n  nthreads = 2\n  worker_type = k80\n  mem_per_cpu = 0.2"
    )
    folder.environment["MARK_OF_THIS_TEST"] = str(folder.path)
    done = folder.hpo("submit-job", "model.in", "--parsable")
    namespace = os.readlink("/proc/self/ns/pid")  # the nodes have their own
    assert [pid for pid in support.processes_with(str(folder.path)) if in_namespace(pid) == namespace] == []
    name, _, job = done.stdout.strip().partition(";")
    assert name == "X000"
    shown = run("scontrol", "show", "job", f"{job}_0")
    assert "TresPerNode=gres:gpu:k80:1" in shown
    assert "CPUs/Task=2" in shown
    assert "MinMemoryCPU=200M" in shown
    folder.wait_done(3)
    assert folder.values() == {0: 4, 1: 1, 2: 0}


def in_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""  # it has just ended
