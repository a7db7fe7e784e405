"""Slurm's commands at their worst, and what is concluded from them. No cluster is needed: fakes answer from PATH."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import support
from slurm_support import CONFIG
from slurm_support import squeue_line as row

from hpo import liveness
from hpo.errors import SchedulerError
from hpo.liveness import Liveness, Vitality
from hpo.slurm import jobs, place, queue, request, script
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.queue import Queue, Task
from hpo.slurm.request import Array
from hpo.trial import Interrupt
from hpo.worker.deadline import LAST, LEAD, Deadline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
CLUSTER = "faraway"
SUBMIT = ("submit-job", "model.in", "--executor", "slurm")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is on the cluster, outside of any job."""
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", CLUSTER)
    queue.cluster_name.cache_clear()


@pytest.fixture
def worker(tmp_path: Path, here: None) -> Path:
    """The folder `workers` with the record of `w`, which runs as task 17_3 on a host that cannot be seen from here."""
    folder = tmp_path / "X000" / "workers"
    folder.mkdir(parents=True)
    identity = liveness.Identity.of_this_process("slurm")
    liveness.write(folder, replace(identity, id="w", boot_id="another", cluster=CLUSTER, job_task="17_3"))
    return folder


class Eyes:
    """A reader that looks again, as often as wanted, with questions as fast as they may come."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hpo.slurm.board.ASK_EVERY", 0.0)
        monkeypatch.setattr("hpo.slurm.board._LOOK_EVERY", 0.0)
        self._liveness = Liveness(folder, kill=False)

    def look(self) -> Vitality:
        return self._liveness.of("w")


@pytest.fixture
def eyes(worker: Path, monkeypatch: pytest.MonkeyPatch) -> Eyes:
    return Eyes(worker, monkeypatch)


# -- who is alive ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (row("17_3"), Vitality.ALIVE),
        (row("17_3", "COMPLETING"), Vitality.ALIVE),
        (row("17_3", "SUSPENDED"), Vitality.ALIVE),
        (row("17_3", "PENDING"), Vitality.UNKNOWN),
        (row("17_[1-2,3-5%2]", "PENDING"), Vitality.UNKNOWN),  # where -r is not heeded
        (row("17_[0,2,4,...]", "PENDING"), Vitality.UNKNOWN),  # who is left out?
        (row("17_[10,12,14,16,18,20]", "PENDING"), Vitality.UNKNOWN),  # cut off by the width of the column
        (row("17_[4-9%2]", "PENDING"), Vitality.DEAD),
        (row("17"), Vitality.DEAD),
        (row("17_2") + row("17_30") + row("170_3"), Vitality.DEAD),
        ("", Vitality.DEAD),
        (row("17_3", "PENDING", restarts=1, reason="BeginTime"), Vitality.DEAD),
        (row("17_3", "RUNNING", restarts=1), Vitality.DEAD),
        (row("17_3", "CONFIGURING", restarts=1), Vitality.DEAD),
        (row("17_3", "COMPLETING", restarts=1), Vitality.UNKNOWN),  # queued again, and its old processes save
        (row("17_3", "NODE_FAIL"), Vitality.DEAD),
        (row("17_3", "TIMEOUT", reason="TimeLimit"), Vitality.DEAD),
        (row("17_3", "EXPEDITING"), Vitality.UNKNOWN),  # a state of a later Slurm
    ],
)
def test_a_job_lives_as_squeue_says(
    tmp_path: Path, fakes: Callable[..., Path], eyes: Eyes, answer: str, verdict: Vitality
) -> None:
    (tmp_path / "answer").write_text(answer)
    fakes(squeue=f"say {tmp_path / 'answer'}")
    assert eyes.look() is verdict


@pytest.mark.parametrize("behaviour", ["socket", "down", "garbage", "refuse Invalid user", "hang"])
def test_no_answer_says_nothing(
    fakes: Callable[..., Path], eyes: Eyes, monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setattr("hpo.slurm.commands.PATIENCE", 0.5)
    fakes(squeue=behaviour)
    assert eyes.look() is Vitality.UNKNOWN
    assert eyes.look() is Vitality.UNKNOWN


def test_an_answer_from_before_the_worker_was_known_does_not_kill_it(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cached answer does not show a worker that began after it."""
    board = Board(worker.parent / "scheduler", ask=lambda: Queue(CLUSTER, {}), every=0)
    assert board.answer() is not None
    monkeypatch.setattr("hpo.slurm.board.ASK_EVERY", 1000.0)
    assert Liveness(worker, kill=False).of("w") is Vitality.UNKNOWN


def test_another_cluster_does_not_know_the_job(
    fakes: Callable[..., Path], eyes: Eyes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "nearby")
    queue.cluster_name.cache_clear()
    (tmp_path / "answer").write_text("")
    fakes(squeue=f"say {tmp_path / 'answer'}")
    assert eyes.look() is Vitality.UNKNOWN


def test_a_requeued_job_knows_by_itself_that_its_first_start_is_over(
    worker: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.slurm.commands.PATIENCE", 0.5)
    fakes(squeue="hang")
    for name, value in {"JOB_ID": "20", "ARRAY_JOB_ID": "17", "ARRAY_TASK_ID": "3", "RESTART_COUNT": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert Liveness(worker, kill=False).of("w") is Vitality.DEAD


def test_dead_once_is_dead_for_all_who_come_later(
    worker: Path, eyes: Eyes, fakes: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "answer").write_text(row("17_3", "NODE_FAIL"))
    room = fakes(squeue=f"say {tmp_path / 'answer'}")
    assert eyes.look() is Vitality.DEAD
    calls = (room / "calls").read_text()
    later = Liveness(worker, kill=False)
    assert later.of("w") is Vitality.DEAD
    assert later.reason("w") == "NODE_FAIL"
    assert (room / "calls").read_text() == calls


# -- how often squeue is asked ---------------------------------------------------------------------------------------


def test_many_readers_share_one_question(tmp_path: Path) -> None:
    asked: list[int] = []

    def ask() -> Queue:
        asked.append(1)
        return Queue(CLUSTER, {"17_0": Task("17_0", "RUNNING", 0, 60, "node1", "")})

    for _ in range(20):
        answer = Board(tmp_path / "scheduler", ask=ask, every=60).answer()
        assert answer is not None
        assert answer.tasks["17_0"].left == 60
    assert len(asked) == 1


def test_questions_that_fail_become_rarer(tmp_path: Path) -> None:
    """A look about every minute: it is asked after 2, 4 and 8 of them, and then every ten minutes."""
    clock = Clock()
    asked: list[float] = []

    def ask() -> Queue:
        asked.append(clock.now)
        raise SchedulerError("Socket timed out")

    board = Board(tmp_path / "scheduler", ask=ask, every=60, clock=clock)
    for _ in range(40):
        assert board.answer() is None
        clock.now += 61
        set_back(tmp_path / "scheduler", 61)
    assert board.trouble == "Socket timed out"
    assert [(when - asked[0]) / 61 for when in asked] == [0, 2, 6, 14, 24, 34]


def test_who_must_know_waits_for_who_has_just_begun_to_ask(tmp_path: Path) -> None:
    """Two who resume at once: neither goes by an older answer, and squeue is asked by one of them."""
    asked: list[int] = []
    answered = threading.Event()

    def ask() -> Queue:
        asked.append(1)
        assert answered.wait(60)
        return Queue(CLUSTER, {})

    class Late(Board):
        """Looks for the last question just before the other asks."""

        def last_question(self) -> int:
            return 0

    first, second = Board(tmp_path / "scheduler", ask=ask), Late(tmp_path / "scheduler", ask=ask)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(first.renew)
        support.wait_for((tmp_path / "scheduler" / "1.asked").exists)
        other = pool.submit(second.renew)
        answered.set()
        one.result()
        other.result()
    assert len(asked) == 1
    answer = second.newest()
    assert answer is not None
    assert answer.number == 1


def test_the_last_question_is_not_taken_from_a_memory_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with a network file system remembers what is in a folder, until it changes the folder itself."""
    folder = tmp_path / "scheduler"
    folder.mkdir()
    remembered: dict[str, list[str]] = {}
    listdir, touch = os.listdir, Path.touch

    def change(path: Path) -> None:
        remembered.pop(str(path.parent), None)
        touch(path)

    monkeypatch.setattr(os, "listdir", lambda path: remembered.setdefault(str(path), listdir(path)))
    monkeypatch.setattr(Path, "touch", change)
    board = Board(folder, ask=lambda: Queue(CLUSTER, {}))
    assert board.last_question() == 0
    touch(folder / "1.asked")  # by another machine
    assert board.last_question() == 1
    touch(folder / "2.asked")
    assert board.last_question() == 2


def test_a_cluster_that_was_away_for_weeks_is_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "scheduler"
    folder.mkdir()
    (folder / "5000.asked").touch()
    (folder / "5000.answer").write_text(json.dumps({"error": "Socket timed out", "failures": 5000}))
    set_back(folder, 601)
    answer = Board(folder, ask=lambda: Queue(CLUSTER, {}), every=60).answer()
    assert answer is not None
    assert answer.number == 5001


def test_a_question_from_while_sbatch_ran_does_not_end_the_job(
    tmp_path: Path, here: None, fakes: Callable[..., Path]
) -> None:
    """It was begun before the job was there, and cannot show it."""
    folder = tmp_path / "X000"
    (folder / "scheduler").mkdir(parents=True)
    room = fakes(sbatch="say nothing")
    (room / "sbatch").unlink()
    (room / "sbatch").write_text(f"#!/bin/sh\ntouch '{folder}/scheduler/1.asked'\necho 17\n")
    (room / "sbatch").chmod(0o755)
    job = jobs.submit(folder, Array((0, 1)))
    record = {"cluster": CLUSTER, "tasks": [], "lost": []}
    (folder / "scheduler" / "1.answer").write_text(json.dumps(record))
    board = Board(folder / "scheduler", ask=lambda: Queue(CLUSTER, {}), every=60)
    assert [seen.state for seen in jobs.look(folder, board, {})] == ["SUBMITTED", "SUBMITTED"]
    set_back(folder / "scheduler", 61)
    board = Board(folder / "scheduler", ask=lambda: Queue(CLUSTER, {}), every=60)
    assert [seen.state for seen in jobs.look(folder, board, {})] == ["ENDED", "ENDED"]
    assert job.asked == 1


def set_back(folder: Path, seconds: float) -> None:
    """As if all files had been made so much earlier."""
    for file in folder.iterdir():
        when = file.stat().st_mtime - seconds
        os.utime(file, (when, when))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("9:59", 599),
        ("1:00:00", 3600),
        ("2-03:00:05", 183605),
        ("1-02", 93600),
        ("5", 300),
        ("UNLIMITED", None),
        ("INVALID", None),
    ],
)
def test_times_as_slurm_writes_them(text: str, wanted: int | None) -> None:
    assert queue.seconds(text) == wanted


# -- where to run ----------------------------------------------------------------------------------------------------


def test_without_slurm_the_workers_run_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert place.resolve("auto", {}).executor == "local"


@pytest.mark.parametrize("behaviour", ["down", "refuse Could not establish a configuration source"])
def test_a_slurm_that_is_installed_here_and_does_not_run_is_passed_over(
    fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, behaviour: str
) -> None:
    fakes(sbatch="down", scontrol=behaviour)
    (tmp_path / "slurm.conf").write_text("ClusterName=x\nSlurmctldHost=localhost(127.0.0.1)\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    choice = place.resolve("auto", {})
    assert choice.executor == "local"
    assert "Slurm is installed here" in choice.why


def test_a_cluster_that_does_not_answer_is_told_with_what_to_do(
    fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2]")
    fakes(sbatch="down", scontrol="down")
    (tmp_path / "slurm.conf").write_text("SlurmctldHost=head.example.org\n")
    done = support.hpo("submit-job", "model.in", cwd=tmp_path, HPO_EXECUTOR="", SLURM_CONF=str(tmp_path / "slurm.conf"))
    assert done.returncode == 1
    assert "slurmctld on head.example.org does not answer" in done.stderr
    assert "--executor local" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_sbatch_slurm_cannot_be_asked_for(tmp_path: Path) -> None:
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2]")
    (tmp_path / "bin").mkdir()
    done = support.hpo(*SUBMIT, cwd=tmp_path, PATH=str(tmp_path / "bin"))
    assert done.returncode == 2
    assert "there is no sbatch on PATH: run this on a login node" in done.stderr


# -- submitting ------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, fakes: Callable[..., Path]) -> Callable[..., Path]:
    """A cluster with one partition, whose commands can be told to misbehave."""
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "partitions").write_text("batch*|1-00:00:00|16|64000|gpu:k80:4(S:0-1),lscratch:800|up\n")
    (tmp_path / "number").write_text("17;faraway\n")
    (tmp_path / "nothing").write_text("")
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2")

    def make(**behaviours: str) -> Path:
        usual = {
            "scontrol": f"say {tmp_path / 'config'}",
            "sinfo": f"say {tmp_path / 'partitions'}",
            "sbatch": f"say {tmp_path / 'number'}",
            "squeue": f"say {tmp_path / 'nothing'}",
            "scancel": f"say {tmp_path / 'nothing'}",
        }
        return fakes(**{**usual, **behaviours})

    return make


REFUSALS = [
    ("Batch job submission failed: Invalid account or account/partition combination specified", "project ="),
    ("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", "lower nworkers"),
    ("Slurm temporarily unable to accept job, sleeping and retrying", "try again later"),
    ("Batch job submission failed: Socket timed out on send/recv operation", "squeue --me"),
    ("unrecognized option '--constaint=x'", "man sbatch"),
]


@pytest.mark.parametrize(("refusal", "remedy"), REFUSALS)
def test_a_refusal_names_what_helps(tmp_path: Path, site: Callable[..., Path], refusal: str, remedy: str) -> None:
    site(sbatch=f"refuse-at-last {refusal}")
    done = support.hpo(*SUBMIT, cwd=tmp_path)
    assert done.returncode == 1
    assert refusal in done.stderr
    assert remedy in done.stderr
    assert "hpo resume X000" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("refusal", "remedy"), [REFUSALS[0], REFUSALS[-1]])
def test_what_sbatch_will_never_take_is_known_before_anything_is_made(
    tmp_path: Path, site: Callable[..., Path], refusal: str, remedy: str
) -> None:
    site(sbatch=f"refuse {refusal}")
    done = support.hpo(*SUBMIT, cwd=tmp_path)
    assert done.returncode == 2
    assert f"sbatch will not take this: {refusal}" in done.stderr
    assert remedy in done.stderr
    assert not (tmp_path / "experiments").exists()


def test_what_a_sites_own_plugin_says_is_passed_on(tmp_path: Path, site: Callable[..., Path]) -> None:
    """sbatch prints it before the last line; nobody knows whether it is meant for ever."""
    room = site()
    (room / "sbatch").unlink()
    (room / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: please name a project' >&2\n"
        "echo 'sbatch: error: Batch job submission failed: Unspecified error' >&2\nexit 1\n"
    )
    (room / "sbatch").chmod(0o755)
    done = support.hpo(*SUBMIT, cwd=tmp_path)
    said = "Batch job submission failed: Unspecified error (please name a project)"
    assert f"warning: model.in: sbatch may refuse this now: {said}" in done.stderr
    assert f"sbatch: {said}\n" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ("queue=virtual", "this cluster has no partition 'virtual'"),
        ("worker_type=a100", "no node of partition batch has a GPU 'a100'"),
        ("gpus_per_trial=8", "8 GPUs for each trial are more"),
        ("cpus_per_task=32", "32 CPUs for each worker are more"),
        ("walltime=2-0", "walltime 48:00:00 is longer than partition batch allows"),
    ],
)
def test_what_sbatch_takes_by_a_sites_own_plugin_is_not_refused(
    tmp_path: Path, site: Callable[..., Path], control: str, words: str
) -> None:
    """A plugin moves jobs to other partitions, accounts, GPUs; --test-only runs it."""
    site()
    (tmp_path / "config").write_text(f"{CONFIG}JobSubmitPlugins        = lua\n")
    done = support.hpo(*SUBMIT, control, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"sbatch takes this, though {words}" in done.stderr


@pytest.mark.parametrize(
    ("control", "config", "sbatch"),
    [
        ("queue=virtual", "JobSubmitPlugins = lua\n", "refuse allocation failure: Invalid partition name specified"),
        # Without any plugin Slurm takes a job that is too long, and has it wait for ever.
        ("walltime=2-0", "JobSubmitPlugins = (null)\nCliFilterPlugins = \nX = y\n", ""),
        # sbatch finds this only when it submits.
        ("nworkers=3", "JobSubmitPlugins = lua\nMaxJobCount = 2\n", ""),
    ],
)
def test_what_sbatch_refuses_or_cannot_judge_is_refused(
    tmp_path: Path, site: Callable[..., Path], control: str, config: str, sbatch: str
) -> None:
    site(**({"sbatch": sbatch} if sbatch else {}))
    (tmp_path / "config").write_text(CONFIG.replace("MaxJobCount = 10000\n", "") + config)
    assert support.hpo(*SUBMIT, control, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "experiments").exists()


def test_what_sbatch_may_take_later_stops_nothing(tmp_path: Path, site: Callable[..., Path]) -> None:
    """With its nodes away for an hour a cluster says the same as without any such node."""
    site(sbatch="refuse allocation failure: Requested node configuration is not available")
    done = support.hpo("check", "model.in", "executor=slurm", cwd=tmp_path)
    assert done.returncode == 0
    assert "sbatch may refuse this now" in done.stdout


def test_status_right_after_the_submission_and_without_an_answer(tmp_path: Path, site: Callable[..., Path]) -> None:
    site(squeue="socket")
    done = support.hpo(*SUBMIT, "--parsable", cwd=tmp_path)
    assert done.stdout == "X000;17\n", done.stderr
    document = support.status(tmp_path)
    assert document["state"] == "running"
    assert [job["state"] for job in document["jobs"]] == ["SUBMITTED", "SUBMITTED"]


@pytest.mark.parametrize(
    ("reason", "helps"),
    [
        ("JobHeldUser", True),
        ("launch failed requeued held", True),
        ("job_requeued_in_held_state", True),
        ("JobHeldAdmin", False),  # which no user can release
        ("Resources", False),
    ],
)
def test_what_lets_a_held_job_begin_is_told(
    tmp_path: Path, site: Callable[..., Path], reason: str, helps: bool
) -> None:
    site(squeue=f"say {tmp_path / 'answer'}")
    (tmp_path / "answer").write_text(row("17_0", "PENDING", reason=reason))
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0
    said = support.hpo("status", cwd=tmp_path).stdout
    assert f"17_0  pending: {reason}" in said
    assert ("'scontrol release 17' lets it begin" in said) is helps


def test_slow_answers_are_waited_for(tmp_path: Path, site: Callable[..., Path]) -> None:
    room = site()
    (room / "sinfo").unlink()
    (room / "sinfo").write_text(f"#!/bin/sh\nsleep 2\ncat '{tmp_path / 'partitions'}'\n")
    (room / "sinfo").chmod(0o755)
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0


def test_a_site_may_allow_fewer_tasks_than_indexes(tmp_path: Path, site: Callable[..., Path]) -> None:
    room = site()
    (tmp_path / "config").write_text(
        f"{CONFIG}SchedulerParameters = bf_continue,max_array_tasks=2,nohold_on_prolog_fail\n"
    )
    assert support.hpo(*SUBMIT, "array=trials", cwd=tmp_path).returncode == 0
    arrays = re.findall(r"sbatch --parsable --array=(\S+)", (room / "calls").read_text())
    assert arrays == ["0-1", "0"]


def test_how_jobs_ended_is_told_by_sacct_when_squeue_has_forgotten(tmp_path: Path, site: Callable[..., Path]) -> None:
    """It is asked once; the jobs that squeue itself showed as ended are remembered."""
    (tmp_path / "ends").write_text("17_0|OUT_OF_MEMORY|0:125|node1\n17_1|CANCELLED by 1000|0:15|None assigned\n")
    room = site(sacct=f"say {tmp_path / 'ends'}")
    document = forgotten(tmp_path)
    assert [job["state"] for job in document["jobs"]] == ["OUT_OF_MEMORY", "CANCELLED"]
    assert document["state"] == "interrupted"
    assert support.hpo("status", cwd=tmp_path).stdout.count("out_of_memory") == 1
    assert (room / "calls").read_text().count(" sacct ") == 1


@pytest.mark.parametrize("answer", ["refuse Slurm accounting storage is disabled", "say nothing"])
def test_without_accounts_nothing_is_said_of_them(tmp_path: Path, site: Callable[..., Path], answer: str) -> None:
    room = site(sacct=answer.replace("nothing", str(tmp_path / "nothing")))
    document = forgotten(tmp_path)
    assert [job["state"] for job in document["jobs"]] == ["ENDED", "ENDED"]
    assert "accounting" not in support.hpo("status", cwd=tmp_path).stdout
    assert (room / "calls").read_text().count(" sacct ") == 1


def test_sacct_that_does_not_answer_is_asked_once_more_and_holds_nothing_up(
    tmp_path: Path, site: Callable[..., Path]
) -> None:
    room = site(sacct="refuse Problem talking to the database: Connection refused")
    forgotten(tmp_path)
    scheduler = tmp_path / "experiments" / "X000" / "scheduler"
    assert scheduler.is_dir()
    for _ in range(3):
        done = support.hpo("status", "--json", cwd=tmp_path, HPO_ASK_EVERY="0")
        assert [job["state"] for job in json.loads(done.stdout)["jobs"]] == ["ENDED", "ENDED"]
        for file in scheduler.glob("*.answer"):  # what sacct did not answer is not counted as squeue's
            assert json.loads(file.read_text()).get("failures", 0) == 0
    assert (room / "calls").read_text().count(" sacct ") == 2


def test_a_list_of_experiments_does_not_ask_how_their_jobs_ended(tmp_path: Path, site: Callable[..., Path]) -> None:
    room = site()
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0
    for _ in range(3):
        assert "interrupted" in support.hpo("list", cwd=tmp_path, HPO_ASK_EVERY="0").stdout
    assert " sacct " not in (room / "calls").read_text()


GONE = "scancel: error: Kill job error on job id 17: Invalid job id specified"


@pytest.mark.parametrize(
    ("last", "failed"),
    [
        ("scancel: error: Kill job error on job id 18: Job/step already completing or completed", False),
        ("scancel: error: Kill job error on job id 18: Unable to contact slurm controller (connect failure)", True),
    ],
)
def test_a_job_that_is_gone_does_not_hide_that_another_could_not_be_cancelled(
    tmp_path: Path, site: Callable[..., Path], last: str, failed: bool
) -> None:
    room = site()
    (room / "scancel").unlink()
    (room / "scancel").write_text(f"#!/bin/sh\necho '{GONE}' >&2\necho '{last}' >&2\nexit 1\n")
    (room / "scancel").chmod(0o755)
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0
    folder = tmp_path / "experiments" / "X000"
    job = jobs.recorded(folder)[0]
    with pytest.raises(SchedulerError, match="Unable to contact") if failed else contextlib.nullcontext():
        jobs.cancel(folder, [job.id], waiting_only=False)
    assert jobs.cancelled(folder, job) is not failed


def forgotten(folder: Path, **variables: str) -> dict[str, Any]:
    """Submit, and look until squeue, which shows no job at all, and sacct have been asked; what status says then."""
    variables = {"HPO_ASK_EVERY": "0", **variables}
    assert support.hpo(*SUBMIT, cwd=folder, **variables).returncode == 0
    for _ in range(3):
        document = json.loads(support.hpo("status", "--json", cwd=folder, **variables).stdout)
    return dict(document)


def test_the_users_own_variables_neither_hide_jobs_nor_undo_the_script(
    tmp_path: Path, site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Formats, filters and options that would hold for sbatch alone; what means an option is in the script instead."""
    room = site()
    (room / "sbatch").unlink()
    (room / "sbatch").write_text(f"#!/bin/sh\nenv >'{tmp_path}/seen'\necho 17\n")
    (room / "sbatch").chmod(0o755)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", CLUSTER)
    theirs = {"SBATCH_WAIT": "1", "SBATCH_OUTPUT": "x", "SQUEUE_FORMAT": "%i", "SBATCH_PARTITION": "batch",
              "SBATCH_GRES": "lscratch:10", "SBATCH_MEM_PER_NODE": "4G", "SBATCH_TIMELIMIT": "9:00:00"}  # fmt: skip
    done = support.hpo(*SUBMIT, "walltime=01:00:00", cwd=tmp_path, **theirs)
    assert done.returncode == 0, done.stderr
    assert not theirs.keys() & {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    script_ = (tmp_path / "experiments" / "X000" / "submit.sbatch").read_text()
    for option in ("--partition=batch", "--gres=lscratch:10", "--mem=4G", "--time=01:00:00"):
        assert f"#SBATCH {option}\n" in script_
    assert "9:00:00" not in script_  # the file says more than the environment
    (room / "sbatch").write_text("#!/bin/sh\necho 'allocation failure: Invalid partition name specified' >&2\nexit 1\n")
    done = support.hpo(*SUBMIT, cwd=tmp_path, SBATCH_PARTITION="bacth")
    assert done.returncode == 2
    assert "no partition 'bacth'" in done.stderr


@pytest.mark.parametrize(
    ("control", "variables", "there", "away"),
    [
        # What the file says of GPUs and CPUs holds; of the other resources it says nothing.
        (["worker_type=k80"], {"SBATCH_GRES": "gpu:1,lscratch:10"}, ["--gres=gpu:k80:1,lscratch:10"], ""),
        (["gpus_per_trial=2"], {"SBATCH_GRES": "gpu:v100:1"}, ["--gres=gpu:2"], ""),
        (["worker_type=cpu"], {"SBATCH_GRES": "gpu:1"}, [], "--gres"),
        ([], {"SBATCH_GRES": "gpu:1", "SBATCH_CPUS_PER_GPU": "4"}, ["--cpus-per-gpu=4"], "cpus-per-task"),
        (["custom_sbatch_args=--gres=gpu:1 --cpus-per-gpu=4"], {}, ["--cpus-per-gpu=4"], "cpus-per-task"),
        (["nthreads=2"], {"SBATCH_CPUS_PER_GPU": "4"}, ["--cpus-per-task=2"], "cpus-per-gpu"),
        (["cpus_per_task=2"], {"SBATCH_CPUS_PER_GPU": "4"}, ["--cpus-per-task=2"], "cpus-per-gpu"),
        # A variable without a value says nothing, unless its option has none.
        ([], {"SBATCH_ACCOUNT": "", "SBATCH_EXCLUSIVE": ""}, ["--exclusive"], "--account"),
        # These name this cluster among others; the jobs go to this one.
        ([], {"SLURM_CLUSTERS": "nearby,Faraway", "SBATCH_CLUSTERS": "all"}, [], "clusters"),
    ],
)  # fmt: skip
def test_the_users_own_variables_hold_where_the_file_says_nothing_else(
    tmp_path: Path,
    site: Callable[..., Path],
    control: list[str],
    variables: dict[str, str],
    there: list[str],
    away: str,
) -> None:
    site()
    done = support.hpo(*SUBMIT, *control, cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "experiments" / "X000" / "submit.sbatch").read_text()
    for option in there:
        assert f"#SBATCH {option}\n" in text
    assert not away or away not in text


# -- the batch script ------------------------------------------------------------------------------------------------

CONTROL = {
    "nworkers": 4, "nthreads": 2, "walltime": 5400, "mem_per_cpu": 7.5, "mem_per_node": None, "cpus_per_task": None,
    "worker_type": "k80", "gpus_per_trial": None, "workers_per_gpu": None, "queue": "gpu", "project": "my project",
    "custom_sbatch_args": "--gres=lscratch:10 --constraint='a|b' -t 30", "mail": None, "array": "workers",
    "workflow": "grid",
}  # fmt: skip


def test_the_script_is_quoted_and_says_what_was_asked(tmp_path: Path) -> None:
    folder = tmp_path / "it's 100% $HOME; `ls`"
    text = script.render(CONTROL, folder, Array((0, 1, 2, 5), at_once=2), 30)
    assert "#SBATCH --array=0-2,5%2\n" in text
    assert "#SBATCH --gres=gpu:k80:1,lscratch:10\n" in text  # of two --gres sbatch would take the last alone
    assert "#SBATCH --mem-per-cpu=7500M\n" in text
    assert "#SBATCH '--account=my project'\n" in text
    assert "--time=" not in text  # custom_sbatch_args has it
    assert "+ 1800 ))" in text
    assert "100%% $HOME" in text
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "script").write_text(text)
    assert support.subprocess.run([bash, "-n", tmp_path / "script"]).returncode == 0


def test_arrays_are_split_at_the_largest_that_the_site_allows() -> None:
    assert [array.option for array in request.worker_arrays(25, 10)] == ["0-9", "0-9", "0-4"]
    arrays = request.trial_arrays([0, 1, 2, 11, 12, 95], 10, 4)
    assert [(array.first, array.option) for array in arrays] == [(0, "0-2"), (10, "1-2"), (90, "5")]


# -- the end of a job ------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_script_is_asked_to_save_in_time_and_ended_at_last() -> None:
    clock = Clock()
    deadline = Deadline(clock.now + 3600, clock=clock)
    assert deadline.interrupt() is None
    clock.now += 3600 - LEAD
    assert deadline.interrupt() is Interrupt.PAUSE
    clock.now += LEAD - LAST
    assert deadline.interrupt() is Interrupt.END


def test_no_trial_is_taken_that_cannot_reach_its_checkpoint() -> None:
    clock = Clock()
    deadline = Deadline(clock.now + 3600, clock=clock)
    for seconds in (500, 700, 600):
        deadline.note(seconds)
    clock.now += 3600 - LEAD - 650
    assert deadline.has_room()
    clock.now += 100
    assert not deadline.has_room()


def test_a_warning_is_believed_only_where_it_contradicts() -> None:
    """Slurm warns up to a minute early: of an end that fits, nothing is given away."""
    clock = Clock()
    deadline = Deadline(clock.now + 170, warning=120, clock=clock)
    deadline.warned()
    assert deadline.left == 170
    deadline = Deadline(clock.now + 3600, warning=120, clock=clock)
    deadline.warned()
    assert deadline.left == 120


def test_sigterm_leaves_what_the_site_leaves() -> None:
    clock = Clock()
    deadline = Deadline(clock.now + 3600, kill_wait=30, clock=clock)
    deadline.terminated()
    assert deadline.interrupt() is Interrupt.PAUSE
    clock.now += 30 - LAST
    assert deadline.interrupt() is Interrupt.END


def test_an_end_that_was_moved_is_learnt_from_squeue() -> None:
    clock = Clock()
    answers = [None, 7200.0]
    deadline = Deadline(clock.now + 3600, told=lambda: answers.pop(0), clock=clock)
    deadline.look()
    assert len(answers) == 2  # nobody asks when the end is far
    clock.now += 3500
    deadline.look()
    deadline.look()
    assert deadline.left == 7200


def test_a_task_is_told_from_its_array() -> None:
    """The SLURM_JOB_ID of the last task is the array's: what is done to it is done to all."""
    environ = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "3", "SLURM_CLUSTER_NAME": "c"}
    assert Incarnation.here(environ) == Incarnation("c", "17_3", 0)
    assert Incarnation.here({**environ, "SLURM_RESTART_COUNT": "2"}) == Incarnation("c", "17_3", 2)
    assert Incarnation.here({}) is None


def test_records_are_json(worker: Path) -> None:
    assert json.loads((worker / "w").read_text())["job_task"] == "17_3"
