"""What is concluded from Slurm's words on the end of a job, also those that the test cluster never says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import support
from slurm_support import squeue_line

from hpo import liveness, processes
from hpo.ledger import loss
from hpo.liveness import Liveness, Vitality
from hpo.slurm import jobs, queue, verdict
from hpo.slurm.board import Board
from hpo.slurm.jobs import Job
from hpo.slurm.place import Incarnation
from hpo.slurm.queue import Queue, Task
from hpo.slurm.verdict import Termination
from hpo.trial import FAILURES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
CLUSTER = "faraway"


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `workers` with the record of `w`, which runs as task 17_3 on node5, seen from outside of any job."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", CLUSTER)
    monkeypatch.setattr("hpo.slurm.board.ASK_EVERY", 0.0)
    monkeypatch.setattr("hpo.slurm.board._LOOK_EVERY", 0.0)
    queue.cluster_name.cache_clear()
    folder = tmp_path / "X000" / "workers"
    folder.mkdir(parents=True)
    identity = liveness.Identity.of_this_process("slurm")
    job = {"cluster": CLUSTER, "job_task": "17_3", "node": "node5"}
    liveness.write(folder, replace(identity, id="w", boot_id="another", **job))
    return folder


def row(state: str, restarts: int = 0) -> str:
    """squeue's line for the task."""
    return squeue_line("17_3", state, restarts, node="node5")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("NODE_FAIL", "worker-lost", "its node failed"),
        ("PREEMPTED", "worker-lost", "its job was preempted"),
        ("CANCELLED", "worker-lost", "its job was cancelled"),
        ("FAILED", "worker-lost", "its job failed"),
        ("TIMEOUT", "walltime", "jobs came to their end"),
        ("OUT_OF_MEMORY", "out-of-memory", "its job asked for too little"),
    ],
)
def test_the_end_of_a_job_is_a_reason_of_the_table(
    workers: Path, tmp_path: Path, fakes: Callable[..., Path], state: str, kind: str, words: str
) -> None:
    """Of a trial that lost its worker as often as it may."""
    (tmp_path / "answer").write_text(row(state))
    fakes(squeue=f"say {tmp_path / 'answer'}")
    eyes = Liveness(workers, kill=False)
    assert eyes.of("w") is Vitality.DEAD
    failure = loss(eyes.reason("w"), 3)
    assert failure.kind == kind
    assert kind in FAILURES
    assert words in failure.sentence


@pytest.mark.parametrize(
    ("node", "reason"),
    [("down*", "NODE_FAIL"), ("drained", "REQUEUED"), ("idle", "REQUEUED"), ("", "REQUEUED")],
)
def test_a_job_that_runs_again_does_not_say_why_but_its_node_does(
    workers: Path, tmp_path: Path, fakes: Callable[..., Path], node: str, reason: str
) -> None:
    (tmp_path / "answer").write_text(row("PENDING", restarts=1))
    (tmp_path / "states").write_text("node4 idle\n" + f"node5 {node}\n" * 3)
    fakes(squeue=f"say {tmp_path / 'answer'}", sinfo=f"say {tmp_path / 'states'}")
    eyes = Liveness(workers, kill=False)
    assert eyes.of("w") is Vitality.DEAD
    assert eyes.reason("w") == reason


def test_which_nodes_are_lost_is_asked_once_for_all_jobs_and_readers(
    workers: Path, tmp_path: Path, fakes: Callable[..., Path]
) -> None:
    """When a node fails with thirty jobs, four survivors and who may not write here look at each."""
    (tmp_path / "states").write_text("node5 down*\n")
    (tmp_path / "answer").write_text(row("RUNNING", restarts=1))
    room = fakes(squeue=f"say {tmp_path / 'answer'}", sinfo=f"say {tmp_path / 'states'}")
    for number in range(30):
        start(workers, f"w{number}", 0)
    for _ in range(4):
        eyes = Liveness(workers, kill=False)
        for number in range(30):
            assert eyes.of(f"w{number}") is Vitality.DEAD
            assert eyes.reason(f"w{number}") == "NODE_FAIL"
            (workers / f"w{number}.dead").unlink()
    assert (room / "calls").read_text().count(" sinfo ") == 1


def test_a_lost_node_of_a_hidden_partition_is_found(workers: Path, tmp_path: Path, fakes: Callable[..., Path]) -> None:
    (tmp_path / "answer").write_text(row("RUNNING", restarts=1))
    room = fakes(squeue=f"say {tmp_path / 'answer'}")
    (room / "sinfo").write_text('#!/bin/sh\ncase " $* " in *" -a "*) echo "node5 down*" ;; esac\n')
    (room / "sinfo").chmod(0o755)
    eyes = Liveness(workers, kill=False)
    assert eyes.of("w") is Vitality.DEAD
    assert eyes.reason("w") == "NODE_FAIL"


def test_a_job_that_came_back_learns_from_squeue_why(
    workers: Path, tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows by itself that its first start is over, before any answer shows the second."""
    for name, value in {"JOB_ID": "20", "ARRAY_JOB_ID": "17", "ARRAY_TASK_ID": "3", "RESTART_COUNT": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    (tmp_path / "states").write_text("node5 down*\n")
    (tmp_path / "answer").write_text(row("RUNNING"))
    fakes(squeue=f"say {tmp_path / 'answer'}", sinfo=f"say {tmp_path / 'states'}")
    eyes = Liveness(workers, kill=False)
    assert eyes.of("w") is Vitality.DEAD
    assert eyes.reason("w") == "REQUEUED"
    (tmp_path / "answer").write_text(row("RUNNING", restarts=1))
    assert eyes.of("w") is Vitality.DEAD
    assert eyes.reason("w") == "NODE_FAIL"


@pytest.mark.skipif(os.getuid() != 0, reason="optional: gives a file to another user")
@pytest.mark.parametrize("executor", ["local", "slurm"])
def test_the_job_of_another_user_is_not_missed_in_an_answer_for_the_owners(
    workers: Path, tmp_path: Path, fakes: Callable[..., Path], executor: str
) -> None:
    """Who goes on with an experiment of a colleague in an allocation of his own is judged by the heartbeat."""
    mine = liveness.read(workers, "w")
    assert mine is not None
    liveness.write(workers, replace(mine, id="theirs", machine_id="another", executor=executor, job_task="18"))
    os.chown(workers / "theirs", 12345, -1)
    (tmp_path / "answer").write_text("")
    fakes(squeue=f"say {tmp_path / 'answer'}")
    now = 0.0
    eyes = Liveness(workers, kill=False, clock=lambda: now)
    assert eyes.of("w") is Vitality.DEAD
    assert {eyes.of("theirs") for _ in range(3)} == {Vitality.UNKNOWN}
    (workers / "theirs.beat").write_text("1")
    assert eyes.of("theirs") is Vitality.ALIVE
    assert not (workers / "theirs.dead").exists()
    now = liveness.HEARTBEAT_LIMIT + 1
    assert eyes.of("theirs") is Vitality.DEAD


@pytest.mark.parametrize(
    ("answer", "life"),
    [("SUSPENDED", Vitality.ALIVE), ("RUNNING", Vitality.ALIVE), ("CANCELLED", Vitality.DEAD), ("", Vitality.UNKNOWN)],
)
def test_a_stopped_process_of_a_job_is_slurms_to_judge(
    workers: Path,
    tmp_path: Path,
    fakes: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    life: Vitality,
) -> None:
    """By 'scontrol suspend' Slurm stops a task's processes for as long as it likes; a sibling on the node sees them."""
    monkeypatch.setattr("hpo.liveness.STOPPED_LIMIT", 0.0)
    process = subprocess.Popen(["sleep", "600"])
    try:
        begun = processes.start_time(process.pid) or ""
        mine = liveness.Identity.of_this_process("slurm")
        job = {"cluster": CLUSTER, "job_task": "17_3", "node": "node5"}
        liveness.write(workers, replace(mine, id="s", pid=process.pid, start_time=begun, **job))
        process.send_signal(signal.SIGSTOP)
        support.wait_for(lambda: processes.is_stopped(process.pid))
        (tmp_path / "answer").write_text(row(answer))
        fakes(squeue=f"say {tmp_path / 'answer'}" if answer else "down")
        eyes = Liveness(workers, kill=True)
        assert {eyes.of("s") for _ in range(3)} == {life}
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("shown", "termination"),
    [
        ("Restarts=0 Reason=None PreemptTime=None", Termination()),
        ("Restarts=0 Reason=None", Termination()),
        ("Restarts=0 Reason=None PreemptTime=2026-11-21T05:29:23", Termination("PREEMPTED", again=False)),
        ("Restarts=1 Reason=None PreemptTime=2026-11-21T05:29:23", Termination("PREEMPTED", again=True)),
        ("Restarts=1 Reason=None PreemptTime=None", Termination("REQUEUED", again=True)),
        ("Restarts=0 Reason=TimeLimit PreemptTime=None", Termination("TIMEOUT", again=False)),
        # preempted by SUSPEND, it ran on, and somebody cancels it
        ("Restarts=0 Reason=None PreemptTime=2026-11-21T05:00:00 SuspendTime=2026-11-21T05:00:00", Termination()),
        ("Restarts=0 Reason=None PreemptTime=2026-11-21T05:00:00 SuspendTime=2026-11-21T05:10:00", Termination()),
        (
            "Restarts=0 Reason=None PreemptTime=2026-11-21T05:20:00 SuspendTime=2026-11-21T05:10:00",
            Termination("PREEMPTED", again=False),
        ),
        # it was an earlier start that was preempted
        ("Restarts=0 Reason=None PreemptTime=2026-11-21T05:00:00 StartTime=2026-11-21T05:02:00", Termination()),
        (
            "Restarts=1 Reason=None PreemptTime=2026-11-21T05:00:00 StartTime=2026-11-21T05:02:00",
            Termination("PREEMPTED", again=True),
        ),
    ],
)
def test_sigterm_is_explained_by_slurm(
    tmp_path: Path, fakes: Callable[..., Path], shown: str, termination: Termination
) -> None:
    (tmp_path / "job").write_text(f"JobId=20 ArrayJobId=17 ArrayTaskId=3\n   JobState=COMPLETING {shown}\n")
    fakes(scontrol=f"say {tmp_path / 'job'}")
    assert verdict.termination(Incarnation(CLUSTER, "17_3", 0)) == termination


def test_without_an_answer_sigterm_means_that_somebody_cancelled(fakes: Callable[..., Path]) -> None:
    fakes(scontrol="down")
    assert verdict.termination(Incarnation(CLUSTER, "17_3", 0)) == Termination()


def start(workers: Path, name: str, restart: int) -> None:
    """The record of another worker of task 17_3."""
    identity = liveness.read(workers, "w")
    assert identity is not None
    liveness.write(workers, replace(identity, id=name, restart=restart))


@pytest.mark.parametrize(
    ("said", "restarts", "state"),
    [
        ({"w": "nothing left"}, 0, "ENDED"),  # squeue has not seen it yet
        ({"w": "nothing left"}, 1, "RUNNING"),  # queued again, and the worker of this start is not to be seen yet
        ({"w": "terminated"}, 0, "RUNNING"),  # if that was a preemption, the job comes back
        ({"w": "walltime"}, 0, "RUNNING"),
        ({"w": "terminated", "again": "nothing left"}, 1, "ENDED"),
        ({"w": "walltime", "again": "nothing left"}, 1, "ENDED"),
        ({"w": "nothing left", "again": None}, 1, "RUNNING"),
        ({"w": "nothing left", "beside": None}, 0, "RUNNING"),  # two workers share the job
    ],
)
def test_a_task_is_over_by_the_word_of_the_workers_of_its_last_start(
    workers: Path, said: dict[str, str | None], restarts: int, state: str
) -> None:
    for name in said.keys() - {"w"}:
        start(workers, name, 1 if name == "again" else 0)
    folder = workers.parent
    (folder / "jobs").mkdir()
    (folder / "jobs" / "17").write_text(json.dumps(asdict(Job("17", [3], 0, CLUSTER, 1.0, 0))))
    board = Board(
        folder / "scheduler", lambda: Queue(CLUSTER, {"17_3": Task("17_3", "RUNNING", restarts, 60, "", "")}), lost=list
    )
    ended = liveness.ended_tasks(workers, {name: why for name, why in said.items() if why})
    for _ in range(2):  # the second time by what the first has kept
        assert [seen.state for seen in jobs.look(folder, board, ended)] == [state]
    assert not (folder / "jobs" / "17.over").exists()  # that is for Slurm to say: it may hang, or be queued again
