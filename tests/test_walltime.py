"""The end of a job, for its trials: what is taken before it, what goes on after it, and what would never end."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_support import squeue_line
from support import write_input

from hpo import inputfile
from hpo.creation import create
from hpo.errors import Complaints, StorageError
from hpo.experiment import Experiment, Stop
from hpo.results.view import View
from hpo.script import analyse
from hpo.search.plan import plan
from hpo.trial import State
from hpo.worker.attempts import put
from hpo.worker.bounds import Ended
from hpo.worker.checkpoints import Checkpoints
from hpo.worker.deadline import Deadline
from hpo.worker.loop import Worker

#: Two steps of a training that is longer, each reported and saved; then the job ends. It is asked to stop, and does.
TRAINING = """
import os, time

def run(hyperparams):
    folder = os.environ["HPO_CHECKPOINT_DIR"]
    os.makedirs(folder, exist_ok=True)
    state = f"{folder}/state"
    before = int(open(state).read()) if hyperparams["restores"] and os.path.exists(state) else 0
    for step in (before + 1, before + 2):
        with open(os.environ["HPO_REPORT_FILE"], "a") as file:
            print(step, 0.5, file=file)
        with open(state, "w") as file:
            file.write(str(step))
    open(os.environ["HPO_INPUT_DIR"] + "/near", "w").close()
    while not os.path.exists(os.environ["HPO_STOP_FILE"]):
        time.sleep(0.05)
    open(os.environ["HPO_STOP_FILE"] + ".seen", "w").close()
"""


def make(folder: Path, script: str, defaults: str = "", space: str = "x = [1]") -> Experiment:
    """An experiment of one trial, or of those of `space`."""
    file = write_input(folder, script, space, defaults=defaults)
    given = inputfile.read(file)
    analysis = analyse(given.script, Complaints())
    searched = plan(given, file, Complaints())
    assert searched is not None
    return create(given, analysis.script, analysis.files, searched)


def job(folder: Path, experiment: Experiment) -> Ended:
    """A worker whose hour is nearly over as soon as there is a file `near`."""
    near = folder / "near"
    near.unlink(missing_ok=True)
    deadline = Deadline(3600, clock=lambda: 3550.0 if near.exists() else 0.0)
    return Worker(Experiment(experiment.folder), "inline", deadline=deadline).run()


@pytest.mark.parametrize(
    ("restores", "state"), [(True, State.PAUSED), (False, State.FAILED)], ids=["restores", "begins anew"]
)
def test_a_trial_that_begins_anew_in_every_job_has_failed(tmp_path, restores, state):
    """It would be queued again for ever: it saves, and never reads what it saved."""
    experiment = make(tmp_path, TRAINING, f"  restores = {restores}")
    assert job(tmp_path, experiment) is Ended.WALLTIME
    assert View(experiment).row(0).state is State.PAUSED
    assert job(tmp_path, experiment) is Ended.WALLTIME
    row = View(experiment).row(0)
    assert row.state is state
    if not restores:
        assert "needs more than the walltime: it had " in row.reason
        assert "came to step 2 after 2 in an earlier one: it began anew, not from a checkpoint" in row.reason


class TestALimitThatIsExtended:
    """By 'scontrol update timelimit', long before the end as it was known."""

    def test_is_asked_for_before_the_job_is_given_back(self, tmp_path):
        """Each trial takes three hours of five, so that no second one has room."""
        script = (
            "import os\n\ndef run(hyperparams):\n"
            "    open(os.environ['HPO_INPUT_DIR'] + f'/ran-{hyperparams[\"x\"]}', 'w').close()\n    return 1.0\n"
        )
        experiment = make(tmp_path, script, space="x = [1, 2, 3]")
        hours = [18000.0, None]  # what is left by the answers that come; then there is none that is new
        deadline = Deadline(18000, told=lambda: hours.pop(0), clock=lambda: 10800.0 * len(list(tmp_path.glob("ran-*"))))
        for _ in range(5):
            deadline.note(10800)
        assert Worker(Experiment(experiment.folder), "inline", deadline=deadline).run() is Ended.WALLTIME
        assert hours == []
        assert View(experiment).counts[State.COMPLETED] == 2

    def test_is_asked_for_in_an_allocation_of_the_users_own(self, tmp_path, monkeypatch):
        """There is an hour left, though the step was told another end when it began."""
        experiment = make(tmp_path, "def run(hyperparams):\n    return 1.0\n")
        (tmp_path / "answer").write_text(squeue_line("20", left="1:00:00"))
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "squeue").write_text(f"#!/bin/sh\nexec cat '{tmp_path / 'answer'}'\n")
        (tmp_path / "bin" / "squeue").chmod(0o755)
        for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
            monkeypatch.delenv(name, raising=False)
        job = {"SLURM_JOB_ID": "20", "SLURM_CLUSTER_NAME": "faraway", "HPO_END_TIME": "1000"}
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **job, "PATH": path}
        command = [sys.executable, "-m", "hpo.worker", str(experiment.folder), "local"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        assert View(experiment).row(0).state is State.COMPLETED


def test_how_long_the_first_checkpoint_took_is_seen_while_the_trial_runs(tmp_path):
    """Afterwards the only file, written again and again, would tell of the whole trial: no other were taken."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.look()
    (tmp_path / "state").touch()
    checkpoints.look()
    late = (tmp_path / "state").stat().st_mtime + 1000
    os.utime(tmp_path / "state", (late, late))
    checkpoints.look()
    assert checkpoints.needed() < 1000


class TestAFileServerThatStumbles:
    @pytest.fixture
    def stale(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
        """Requests cannot be read while there is a file `stale`; each look at them leaves a file `looked`."""
        real = Experiment.stop

        def stop(experiment: Experiment) -> Stop | None:
            if (tmp_path / "stale").exists():
                (tmp_path / "looked").touch()
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return real(experiment)

        monkeypatch.setattr("hpo.worker.watch.CONTROL_EVERY", 0.0)
        monkeypatch.setattr(Experiment, "stop", stop)
        return (tmp_path / "looked").exists

    def test_ends_no_running_trial(self, tmp_path, stale):
        script = (
            "import os, time\n\ndef run(hyperparams):\n    folder = os.environ['HPO_INPUT_DIR']\n"
            "    open(f'{folder}/stale', 'w').close()\n"
            "    while not os.path.exists(f'{folder}/looked'):\n        time.sleep(0.05)\n"
            "    os.remove(f'{folder}/stale')\n    return 1.0\n"
        )
        experiment = make(tmp_path, script)
        assert Worker(Experiment(experiment.folder), "inline").run() is Ended.NOTHING_LEFT
        assert stale()
        assert View(experiment).row(0).state is State.COMPLETED

    def test_is_told_in_a_sentence_when_no_trial_can_be_taken(self, tmp_path, stale):
        experiment = make(tmp_path, "def run(hyperparams):\n    return 1.0\n")
        (tmp_path / "stale").touch()
        with pytest.raises(StorageError, match=r"X000: Stale file handle"):
            Worker(Experiment(experiment.folder), "inline").run()
        assert stale()


def test_a_file_is_written_whole_where_the_system_takes_a_part_at_a_time(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:3]))
    put(str(tmp_path / "params.json"), '{"x": 1}')
    assert (tmp_path / "params.json").read_text() == '{"x": 1}'
