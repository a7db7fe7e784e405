"""How jobs end on a real cluster: Slurm's reason is told, the trial goes on, and no process stays behind.

What takes a minute is begun before the first test and looked at in the last ones. Nodes that crash are in
test_cluster.py.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import support
from slurm_support import LEAKY, Folder, end_jobs, leaky, points, run

from hpo import processes
from hpo.slurm import jobs

pytestmark = pytest.mark.usefixtures("cluster")

#: The first worker of all is held by its trial as a debugger holds a process: it hears no signal any more but SIGKILL.
HOLDING = """
import ctypes, os, signal, time

SEIZE, INTERRUPT = 0x4206, 0x4207

def run(hyperparams):
    try:
        os.mkdir(os.environ["HPO_SUBMIT_DIR"] + "/held")
    except FileExistsError:
        return hyperparams["x"] * 2.0
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = ctypes.c_long(int(os.environ["HPO_WORKER"].split("-")[-2]))
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    for request in (SEIZE, INTERRUPT):
        assert ptrace(ctypes.c_long(request), worker, None, None) == 0, os.strerror(ctypes.get_errno())
    time.sleep(987)
"""


def control(node: str, workers: int = 1, more: str = "") -> str:
    return f"  nworkers = {workers}\n  custom_sbatch_args = --nodelist={node}\n{more}"


def claim_node(node: str) -> str:
    """Have a job of higher priority take a whole node for a moment; its number."""
    words = ["-p", "urgent", "-w", node, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    return run("sbatch", "--parsable", *words).strip()


def refusing(folder: Path) -> str:
    """A PATH on which scontrol refuses to requeue, as at sites with JobRequeue = 0."""
    script = folder / "scontrol"
    script.write_text(
        '#!/bin/bash\n[ "$1" = requeue ] && { echo "Requested operation is presently disabled" >&2; exit 1; }\n'
        f'PATH=$(printf %s "$PATH" | tr : "\\n" | grep -vxF "{folder}" | paste -sd:) exec scontrol "$@"\n'
    )
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def is_stopped(folder: Folder, task: str) -> bool:
    """Whether the worker of a task is stopped (SIGSTOP)."""
    mark = f"SLURM_ARRAY_TASK_ID={task.partition('_')[2]}\0".encode()
    for pid in support.processes_with(str(folder.path)):
        with contextlib.suppress(OSError):
            about = Path(f"/proc/{pid}")
            if b"hpo.worker.task" in (about / "cmdline").read_bytes() and mark in (about / "environ").read_bytes():
                return processes.is_stopped(pid)
    return False


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Iterator[Folder]:
    """A worker that does not hear that its minute is over."""
    folder = Folder(tmp_path_factory.mktemp("held"))
    folder.write(HOLDING, points(2), control("node1", more="  walltime = 00:01:00\n"))
    folder.submit()
    yield folder
    end_jobs(folder)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Iterator[Folder]:
    """A job that is preempted by CANCEL after a GraceTime, of which Slurm does not tell a batch script."""
    folder = Folder(tmp_path_factory.mktemp("patient"))
    folder.write(LEAKY, points(20), control("node4", more="  queue = patient\n"), leaky(3, gated=4))
    folder.submit()
    support.wait_for(folder.starts)
    claim_node("node4")
    yield folder
    end_jobs(folder)


@pytest.fixture(scope="module", autouse=True)
def _begun(held: Folder, patient: Folder) -> None:
    """What takes long is under way while the other tests run."""


@pytest.mark.parametrize("allowed", [True, False], ids=["requeued", "successor"])
def test_what_is_preempted_by_cancel_is_queued_again(folder: Folder, tmp_path: Path, allowed: bool) -> None:
    """Slurm would not; the worker does, or submits a new job where that is refused."""
    if not allowed:
        folder.environment["PATH"] = refusing(tmp_path)
    folder.write(LEAKY, points(3), control("node2", more="  queue = scavenge\n"), leaky(gated=0))
    folder.submit()
    support.wait_for(folder.begun)
    claim_node("node2")
    support.wait_for(folder.paused)
    folder.open_gate()
    folder.wait_done(3)
    assert folder.values() == {n: n * 2.0 for n in range(3)}
    folder.wait_told("its job was preempted")
    assert max(start.restart for start in folder.starts()) == (1 if allowed else 0)
    assert len(jobs.recorded(folder.experiment.folder)) == (1 if allowed else 2)
    folder.nothing_left()


def test_what_the_user_cancels_is_left_to_others(folder: Folder) -> None:
    folder.write(LEAKY, points(6), control("node3", workers=2), leaky(gated=0))
    job = folder.submit()
    support.wait_for(lambda: folder.begun() == 2)
    run("scancel", f"{job}_0")
    support.wait_for(folder.paused)
    folder.open_gate()
    folder.wait_done(6)
    assert folder.values() == {n: n * 2.0 for n in range(6)}
    assert len(folder.starts()) == 2
    support.wait_for(lambda: "CANCELLED" in {each["state"] for each in folder.status()["jobs"]})
    folder.wait_told("its job was cancelled")
    folder.nothing_left()


def test_a_worker_that_is_killed_leaves_no_process_and_is_told_as_lost(folder: Folder) -> None:
    folder.write(LEAKY, points(4), control("node3", workers=2), leaky(gated=0))
    job = folder.submit()
    support.wait_for(lambda: folder.begun() == 2)
    run("scancel", "--batch", "--signal=KILL", f"{job}_0")
    support.wait_for(lambda: "FAILED" in {each["state"] for each in folder.status()["jobs"]})
    folder.open_gate()
    folder.wait_done(4)
    assert folder.values() == {n: n * 2.0 for n in range(4)}
    folder.wait_told("the worker was lost: its job failed")
    folder.nothing_left()


def test_a_suspended_task_is_left_alone_by_its_sibling_on_the_node(folder: Folder) -> None:
    """However long Slurm stops it: the trial goes on where it was."""
    folder.environment["HPO_STOPPED_LIMIT"] = "0"
    folder.write(LEAKY, points(4), control("node3", workers=2), leaky(gated=0))
    folder.submit()
    support.wait_for(lambda: folder.begun() == 2)
    suspended = folder.starts()[0].job_task
    run("scontrol", "suspend", suspended)
    support.wait_for(lambda: is_stopped(folder, suspended))  # Slurm says so before the node has heard of it
    folder.open_gate()
    support.wait_for(lambda: folder.experiment.ledger().ended)  # the sibling has found nothing to take over
    assert folder.done() == 3
    run("scontrol", "resume", suspended)
    folder.wait_done(4)
    assert folder.values() == {n: n * 2.0 for n in range(4)}
    assert all(len(folder.trial(n)["attempts"]) == 1 for n in range(4))


# -- what was begun first ------------------------------------------------------------------------------------------


def test_a_grace_time_is_worked_through_and_the_job_comes_back(patient: Folder) -> None:
    support.wait_for(patient.paused)
    patient.open_gate()
    patient.wait_done(20)
    assert patient.values() == {n: n * 2.0 for n in range(20)}
    assert max(start.restart for start in patient.starts()) == 1
    patient.wait_told("its job was preempted")
    patient.nothing_left()


def test_a_worker_that_is_killed_at_its_walltime_is_told_and_resumed(held: Folder) -> None:
    support.wait_for(lambda: held.status()["state"] == "interrupted", 400)
    assert [job["state"] for job in held.status()["jobs"]] == ["TIMEOUT"]
    assert held.trial(0)["attempts"][0]["outcome"] == "the worker was lost: its job came to the end of its walltime"
    assert "JOB_ID=" in held.hpo("resume").stdout
    held.wait_done(2)
    assert held.values() == {0: 0.0, 1: 2.0}
    held.nothing_left()
