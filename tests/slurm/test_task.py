"""What becomes of a job whose worker ends before its trials do. No cluster is needed: fakes answer from PATH."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support

from hpo import inputfile, liveness
from hpo.creation import create
from hpo.errors import Complaints, SchedulerError, StorageError
from hpo.experiment import Experiment
from hpo.journal import FolderJournal
from hpo.liveness import Identity
from hpo.script import analyse
from hpo.search.plan import plan
from hpo.slurm import jobs
from hpo.slurm.place import Incarnation
from hpo.worker.bounds import Ended
from hpo.worker.task import Task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
HERE = Incarnation("faraway", "17_1", 0)
BUSY = "Unable to contact slurm controller: Socket timed out on send/recv operation"
DISABLED = "Requested operation is presently disabled"


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A job's process ignores signals at last; this one shall not. It waits for nothing."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    monkeypatch.setattr("hpo.worker.task.TRY_EVERY", 0.0)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "faraway")
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Two trials, each with a job of its own."""
    file = support.write_input(tmp_path, support.SQUARE, "x = [1, 2]", "  array = trials")
    given = inputfile.read(file)
    analysis = analyse(given.script, Complaints())
    searched = plan(given, file, Complaints())
    assert searched is not None
    made = create(given, analysis.script, analysis.files, searched)
    (made.folder / "submit.sbatch").write_text("")
    return made


@pytest.fixture
def slurm(tmp_path: Path, fakes: Callable[..., Path]) -> Callable[..., Callable[[], list[str]]]:
    """`slurm(answer, answer …)`: what scontrol says to one call after the other, "" for success, and sbatch to all.

    Returns what tells the calls so far.
    """

    def make(*answers: str, sbatch: str = "") -> Callable[[], list[str]]:
        (tmp_path / "number").write_text("18\n")
        room = fakes(sbatch=sbatch or f"say {tmp_path / 'number'}", squeue="down")
        for number, answer in enumerate(answers, start=1):
            (room / f"answer.{number}").write_text(answer)
        (room / "scontrol").write_text(
            f'#!/bin/bash\ncd "{room}"\necho "0 scontrol $*" >>calls\n'
            '[ "$1" = requeue ] || exit 0\n'
            'said=$(cat "answer.$(grep -c " scontrol requeue" calls)") || exit 1\n'
            '[ -z "$said" ] || { echo "$said" >&2; exit 1; }\n'
        )
        (room / "scontrol").chmod(0o755)

        def calls() -> list[str]:
            lines = (room / "calls").read_text().splitlines() if (room / "calls").exists() else []
            commands = (line.split(maxsplit=1)[1] for line in lines)
            return [" ".join(line.split()[:2]) for line in commands if line.startswith(("scontrol requeue", "sbatch"))]

        return calls

    return make


def worker(experiment: Experiment, *, alive: bool) -> FolderJournal:
    """What a worker writes that is another process's, or seems to be."""
    mine = Identity.of_this_process("local")
    identity = mine if alive else dataclasses.replace(mine, start_time="1")
    liveness.write(experiment.workers, identity)
    return experiment.journal(identity.id)


def begin(journal: FolderJournal, number: int, attempt: int = 1) -> None:
    journal.claim(f"{number}.{attempt}")
    journal.append([{"e": "started", "n": number, "k": attempt, "t": 1.0, "params": {"x": number}}])


def finish(journal: FolderJournal, number: int, **outcome: object) -> None:
    journal.append([{"e": "finished", "n": number, "k": 1, "t": 2.0, **outcome}])
    if "value" in outcome:
        journal.claim(f"{number}.done", ".1")


def conclude(experiment: Experiment, only: int | None = None) -> None:
    """Be the job, at its walltime."""
    Task(Experiment(experiment.folder), HERE, only).conclude(Ended.WALLTIME)


class TestTrialsInNobodysHands:
    @pytest.mark.parametrize(
        ("alive", "last", "again"),
        [
            (False, {}, True),  # its worker is dead
            (True, {}, False),  # another worker has it
            (True, {"e": "paused"}, True),
            (True, {"e": "finished", "failure": {"kind": "parent-lost"}}, True),  # given up, to be tried again
            (True, {"e": "finished", "failure": {"kind": "exception"}}, False),  # about to be committed
            (True, {"e": "ended", "reason": "walltime"}, True),  # its worker has ended
        ],
    )
    def test_the_job_goes_on_for_them(self, experiment, slurm, alive, last, again):
        calls = slurm("")
        other = worker(experiment, alive=True)
        begin(other, 0)
        finish(other, 0, value=1.0)
        journal = worker(experiment, alive=alive)
        begin(journal, 1)
        if last:
            journal.append([{"n": 1, "k": 1, "t": 2.0, **last}])
        conclude(experiment)
        assert calls() == (["scontrol requeue"] if again else [])

    def test_a_trial_whose_job_ends_before_it_began_has_its_job_again(self, experiment, slurm):
        """With array = trials nobody else would run it."""
        calls = slurm("")
        conclude(experiment, only=1)
        assert calls() == ["scontrol requeue"]

    def test_of_a_trial_with_a_job_of_its_own_the_others_do_not_count(self, experiment, slurm):
        calls = slurm("")
        journal = worker(experiment, alive=True)
        begin(journal, 1)
        finish(journal, 1, value=1.0)
        conclude(experiment, only=1)
        assert calls() == []

    def test_after_a_request_to_stop_nothing_goes_on(self, experiment, slurm):
        calls = slurm("")
        experiment.request_stop("enough", kill=True)
        conclude(experiment)
        assert calls() == []


class TestQueuedAgain:
    def test_what_the_job_says_is_true(self, experiment, slurm, capsys):
        slurm("")
        conclude(experiment)
        said = "too little of its walltime is left for another trial, and trials are left: 17_1 is queued again\n"
        assert capsys.readouterr().out == said

    @pytest.mark.parametrize("answer", [BUSY, "Unable to contact slurm controller (connect failure)", "Job is pending"])
    def test_while_slurm_does_not_answer_it_is_asked_again(self, experiment, slurm, capsys, answer):
        """No new job: the requeue may have been heard."""
        calls = slurm(answer, answer, "")
        conclude(experiment)
        assert calls() == ["scontrol requeue"] * 3
        assert capsys.readouterr().out.count("asked again until Slurm queues the job") == 1

    def test_a_later_start_of_the_job_ends_the_asking(self, experiment, slurm, monkeypatch):
        """The requeue whose answer was lost was heard."""
        calls = slurm(*[BUSY] * 9)

        def later(seconds: float) -> None:
            del seconds
            mine = Identity.of_this_process("slurm")
            again = dataclasses.replace(mine, cluster=HERE.cluster, job_task=HERE.task, restart=1, boot_id="another")
            liveness.write(experiment.workers, again)

        monkeypatch.setattr("hpo.worker.task.time.sleep", later)
        conclude(experiment)
        assert calls() == ["scontrol requeue"]

    def test_where_slurm_refuses_it_a_new_job_continues(self, experiment, slurm):
        calls = slurm(DISABLED)
        conclude(experiment, only=1)
        assert calls() == ["scontrol requeue", "sbatch --parsable"]
        job = jobs.recorded(experiment.folder)[0]
        assert [job.first + index for index in job.indexes] == [1]

    def test_a_submission_without_an_answer_is_not_repeated(self, experiment, slurm):
        """The job may be there: one too few is mended by 'hpo resume', one too many by nobody."""
        calls = slurm(DISABLED, sbatch=f"refuse {BUSY}")
        with pytest.raises(SchedulerError, match="Socket timed out"):
            conclude(experiment)
        assert calls() == ["scontrol requeue", "sbatch --parsable"]


@pytest.mark.parametrize(("kill_wait", "again"), [("1000", True), ("0", False)])
def test_why_sigterm_came_is_asked_again_while_there_is_time(
    experiment, slurm, fakes, tmp_path, monkeypatch, kill_wait, again
):
    """A slurmctld that preempts many jobs is too busy to tell at the first try, and will not queue it by itself."""
    calls = slurm("")
    (tmp_path / "shown").write_text("PreemptTime=2026-01-01T00:00:09 StartTime=2026-01-01T00:00:01 Restarts=0\n")
    room = tmp_path / "fakes"
    busy = f"[ -e '{tmp_path}/asked' ] || {{ touch '{tmp_path}/asked'; echo '{BUSY}' >&2; exit 1; }}"
    tells = f"|| {{ {busy}; exec cat '{tmp_path / 'shown'}'; }}"
    (room / "scontrol").write_text((room / "scontrol").read_text().replace("|| exit 0", tells))
    monkeypatch.setattr("hpo.slurm.verdict.ASK_AGAIN_EVERY", 0.01)
    monkeypatch.setenv("HPO_KILL_WAIT", kill_wait)
    Task(Experiment(experiment.folder), HERE, None).conclude(Ended.TERMINATED)
    assert calls() == (["scontrol requeue"] if again else [])


def test_a_job_that_cannot_be_noted_is_cancelled(experiment, slurm, fakes, tmp_path):
    """On a full disk: it would run, and nobody would know of it."""
    slurm(DISABLED)
    (tmp_path / "nothing").touch()
    room = fakes(scancel=f"say {tmp_path / 'nothing'}")
    (experiment.folder / "jobs").touch()  # no folder can be made there
    with pytest.raises(StorageError, match="job 18, which is not noted there, was cancelled"):
        conclude(experiment)
    assert "scancel 18\n" in (room / "calls").read_text()


def test_a_signal_before_the_worker_is_there_is_heeded(experiment, slurm, tmp_path):
    """As when a job is preempted while its Python begins: the job is concluded, and nothing was begun."""
    calls = slurm("")
    (tmp_path / "shown").write_text(
        "JobId=17 PreemptTime=2026-01-01T00:00:09 StartTime=2026-01-01T00:00:01 Restarts=0\n"
    )
    room = tmp_path / "fakes"
    wrapped = (room / "scontrol").read_text().replace("|| exit 0", f"|| exec cat '{tmp_path / 'shown'}'")
    (room / "scontrol").write_text(wrapped)
    begins = (
        "import os, signal, sys\nfrom hpo.worker import task\n"
        "real = task.processes.adopt_orphans\n"
        "task.processes.adopt_orphans = lambda: (real(), os.kill(os.getpid(), signal.SIGTERM))\n"
        "sys.exit(task.main(sys.argv[1:]))\n"
    )
    job = {"SLURM_JOB_ID": "18", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "1"}
    command = [sys.executable, "-c", begins, str(experiment.folder), "0"]
    done = subprocess.run(command, env={**os.environ, **job}, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "its job was preempted, and trials are left: 17_1 is queued again" in done.stdout
    assert calls() == ["scontrol requeue"]
    assert os.listdir(experiment.claims) == []
