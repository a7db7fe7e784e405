"""`hpo cancel` ends every job of which Slurm has not said that it is over: fakes on PATH, and the test cluster."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import support
from slurm_support import LEAKY, Folder, faraway, leaky, points, run, squeue_line

from hpo.executors import slurm
from hpo.experiment import Experiment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")


class Site:
    """A cluster of fakes on which one task, 17_0, was submitted."""

    def __init__(self, folder: Path, room: Path) -> None:
        self._folder = folder
        self._room = room

    def shows(self, state: str, restarts: int = 0, reason: str = "None") -> None:
        """What squeue shows from now on; "" for nothing."""
        (self._folder / "squeue").write_text(squeue_line("17_0", state, restarts, reason) if state else "")

    def gives(self, number: str) -> None:
        """The number that sbatch gives to the next job."""
        (self._folder / "sbatch").write_text(f"{number};faraway\n")

    def cancel_what_waits(self) -> None:
        """The first step of `hpo cancel`, which was killed then."""
        self.experiment.request_stop("cancelled", kill=True)
        slurm.cancel(self.experiment, waiting_only=True)

    def is_down(self, command: str) -> None:
        """From now on a command does not reach slurmctld."""
        (self._room / f"{command}.does").write_text("down")

    @property
    def experiment(self) -> Experiment:
        return Experiment(self._folder / "experiments" / "X000")

    def hpo(self, *words: str, asked: bool = True, code: int = 0) -> str:
        """What a command prints that ends with `code`. asked: whether squeue may be asked anew."""
        cluster = {"HPO_EXECUTOR": "slurm", "SLURM_CLUSTER_NAME": "faraway", "HPO_ASK_EVERY": "0" if asked else "999"}
        done = support.hpo(*words, cwd=self._folder, **cluster)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    def states(self, *, asked: bool = True) -> list[str]:
        """The states of the jobs that `hpo status` tells."""
        document: dict[str, Any] = json.loads(self.hpo("status", "--json", asked=asked))
        return [job["state"] for job in document["jobs"]]

    def cancelled(self) -> list[str]:
        """The options and jobs of each call of scancel so far."""
        return re.findall(r" scancel (.*)", (self._room / "calls").read_text())

    def submitted(self) -> int:
        """How often sbatch was called to submit."""
        return (self._room / "calls").read_text().count(" sbatch --parsable ")


@pytest.fixture
def site(tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Site:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    made = Site(tmp_path, faraway(tmp_path, fakes))
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2, 3]")
    made.gives("17")
    made.hpo("submit-job", "model.in")
    return made


@pytest.mark.parametrize(
    ("state", "restarts", "reason"),
    [
        ("CONFIGURING", 0, "None"),
        ("COMPLETING", 1, "None"),  # queued again, and its old processes save
        ("REQUEUE_HOLD", 1, "JobHeldAdmin"),
        ("SPECIAL_EXIT", 1, "JobHeldUser"),
        ("RUNNING", 0, "None"),  # its worker has not begun
    ],
)
def test_what_does_not_wait_for_a_node_is_ended_too(site: Site, state: str, restarts: int, reason: str) -> None:
    """No worker is alive; 'scancel --state=PENDING' would leave these jobs, held for ever, or to run on."""
    site.shows(state, restarts, reason)
    assert site.states() == [state]
    site.hpo("cancel")
    assert site.cancelled() == ["--state=PENDING 17", "17"]
    assert site.states(asked=False) == ["CANCELLED"]  # by an answer from before


def test_what_came_back_is_ended_by_the_next_cancel_and_seen_by_resume(site: Site) -> None:
    """As when its worker had it queued again in the moment in which it was cancelled."""
    site.shows("RUNNING")
    site.hpo("cancel")
    site.shows("PENDING", restarts=1, reason="BeginTime")
    assert site.states() == ["PENDING"]
    assert "its jobs are there already: 17" in site.hpo("resume")
    assert site.submitted() == 1
    site.hpo("cancel")
    assert site.cancelled()[2:] == ["--state=PENDING 17", "17"]


def test_what_was_cancelled_is_over_when_squeue_says_so(site: Site) -> None:
    site.shows("RUNNING")
    site.hpo("cancel")
    for state in ("COMPLETING", ""):
        site.shows(state)
        assert site.states() == ["CANCELLED"]
    site.hpo("cancel")
    assert len(site.cancelled()) == 2  # nobody is asked any more
    site.gives("18")
    assert "JOB_ID=18" in site.hpo("resume")


def test_a_resume_that_is_refused_has_changed_nothing(site: Site) -> None:
    """While Slurm does not tell which jobs are there, the search stays stopped."""
    site.shows("RUNNING")
    site.hpo("cancel")
    control = site.experiment.control
    before = sorted(file.name for file in control.iterdir())
    site.is_down("squeue")
    said = site.hpo("resume", code=1)
    assert "does not tell which jobs of X000 are there" in said
    assert sorted(file.name for file in control.iterdir()) == before


def test_who_looks_meanwhile_keeps_no_job_from_being_ended(site: Site) -> None:
    """An 'hpo status --watch' elsewhere."""
    site.shows("RUNNING")
    site.cancel_what_waits()
    assert site.states() == ["RUNNING"]
    site.hpo("cancel")
    assert site.cancelled()[-1] == "17"


def test_on_a_cluster_a_job_that_is_just_queued_again_and_held_is_ended(folder: Folder) -> None:
    """Its old processes save, so that scancel does not take it for one that waits."""
    folder.write(LEAKY, points(3), "  custom_sbatch_args = --nodelist=node3", leaky(gated=0))
    job = folder.submit()
    support.wait_for(folder.begun)
    run("scontrol", "requeuehold", f"{job}_0")
    folder.hpo("cancel")
    support.wait_for(lambda: run("squeue", "-h", "-j", job, "-t", "all", "-o", "%T").split() == ["CANCELLED"])
    support.wait_for(lambda: [each["state"] for each in folder.status()["jobs"]] == ["CANCELLED"])
    folder.nothing_left()
