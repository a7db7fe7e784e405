"""slurmctld dies on a real cluster: for a while, and with all that it knew."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator

import pytest
import support
from slurm_support import LEAKY, RUN, Folder, leaky, points, run, start_cluster

from hpo.processes import start_time

pytestmark = pytest.mark.usefixtures("cluster")


def kill_controller(job: str) -> None:
    """slurmctld is gone at once, and has noted that the job runs, since a change of it makes it write that down.

    One that has not noted it would start it a second time, and drain its node when that fails.
    """
    before = state_saved()
    run("scontrol", "update", f"jobid={job}", "comment=runs")
    support.wait_for(lambda: state_saved() > before)
    pid = int((RUN / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    support.wait_for(lambda: start_time(pid) is None)


def state_saved() -> float:
    try:
        return (RUN / "state" / "job_state").stat().st_mtime
    except FileNotFoundError:
        return 0.0


@pytest.fixture(autouse=True)
def _whole_again(cluster: None) -> Iterator[None]:
    """Afterwards there is a slurmctld."""
    yield
    start_cluster()


def begin(folder: Folder, trials: int) -> str:
    """Have two workers begin with so many trials of three seconds, four of which pass; the number of their job."""
    folder.environment["HPO_ASK_EVERY"] = "2"
    control = "  nworkers = 2\n  custom_sbatch_args = --nodelist=node3"
    folder.write(LEAKY, points(trials), control, leaky(3, gated=4))
    job = folder.submit()
    folder.wait_done(4)
    support.wait_for(lambda: folder.begun() == 6)  # each of the two has one that waits at the gate
    return job


def test_workers_go_on_while_slurm_does_not_answer(folder: Folder) -> None:
    """And hear of it when they shall not: through the experiment's folder."""
    kill_controller(begin(folder, 400))
    folder.open_gate()
    folder.wait_done(folder.done() + 2)
    support.wait_for(lambda: "Slurm does not answer" in folder.hpo("status").stdout)
    assert folder.status()["state"] == "running"
    assert "the workers have been asked to stop" in folder.hpo("cancel", code=1).stderr
    support.wait_for(lambda: len(folder.experiment.ledger().ended) == 2)
    refusal = folder.hpo("resume", code=1).stderr  # not on this machine, which is a login node to the user
    assert "X000 has run as jobs of Slurm, which does not answer" in refusal
    folder.nothing_left()


def test_jobs_that_slurm_has_forgotten_are_not_waited_for(folder: Folder) -> None:
    """It ends those of which its nodes tell it. New ones get numbers that were not used, as one has to see to then."""
    job = begin(folder, 8)
    kill_controller(job)
    shutil.rmtree(RUN / "state")
    number = {"FIRST_JOB_ID": str(int(job) + 1000)}
    start_cluster(**number)
    support.wait_for(lambda: folder.status()["state"] == "interrupted")
    folder.nothing_left()
    folder.open_gate()
    assert "JOB_ID=" in folder.hpo("resume").stdout
    folder.wait_done(8)
    assert folder.values() == {n: n * 2.0 for n in range(8)}
    assert sorted(map(int, (folder.path / "ran").read_text().split())) == list(range(8))  # none to its end twice
    folder.nothing_left()
    assert folder.status()["state"] == "finished"
