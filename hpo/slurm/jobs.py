"""The jobs of one experiment: submitted, recorded in its folder, looked up in squeue's answers, cancelled."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hpo.errors import SchedulerError, StorageError, cannot_write
from hpo.slurm import commands
from hpo.slurm.board import ASK_EVERY, Answer, Board
from hpo.slurm.ends import Ends, ask_sacct
from hpo.slurm.held import held
from hpo.slurm.queue import OVER, WAITING, Task, cluster_name
from hpo.slurm.refusals import with_remedy
from hpo.slurm.request import Array

#: sbatch's answer, with --parsable and where a site's own script before it drops that.
_NUMBER = (re.compile(r"(\d+)(?:;(\S+))?"), re.compile(r".*Submitted batch job (\d+)(?: on cluster (\S+))?"))
#: scancel's word for a job of which nothing (or nothing that waits) is left.
_GONE = ("invalid job id", "already complet")
#: A job that does not begin by itself, in Slurm's words: "JobHeldUser", "launch failed requeued held", REQUEUE_HOLD.
_HELD = re.compile("HeldUser|[ _]held|_HOLD")
#: The signal by which Slurm says that it could not open the output of a job.
_NO_OUTPUT = 53
#: Beside the record of a job: what was learnt of it, which does not hold for a later job of the same number.
_MARKS = ("over", "ends", "unanswered", "cancelled")


@dataclass(frozen=True, slots=True)
class Job:
    """One array that was submitted.

    first: the trial of task 0, where each trial has a task. asked: the number of squeue's last question when sbatch had
    answered: any later one shows the job, if it is there.
    """

    id: str
    indexes: list[int]
    first: int
    cluster: str
    submitted: float
    asked: int

    @property
    def names(self) -> list[str]:
        """Its tasks, as `queue.Task.name`."""
        return [f"{self.id}_{index}" for index in self.indexes]


def submit(folder: Path, array: Array, dependency: str = "") -> Job:
    """Hand submit.sbatch to sbatch, for the tasks of `array`. Raises `SchedulerError` with what helps.

    A job that cannot be noted, on a full disk, is cancelled, and `StorageError` raised. Signals to end wait until it is
    noted. What sbatch says to a job that it takes goes to standard error.

    dependency: what it waits for, as sbatch reads it, where that is not what the script says.
    """
    here = cluster_name()
    with held() as signals:
        number, cluster, said = _handed_over(command(folder, array, dependency))
        signals.may_leave = False
        try:
            job = _record(folder, array, number, cluster or here)
        except OSError as error:
            raise _cancelled_unrecorded(folder, number, error) from error
    with contextlib.suppress(OSError):
        print(said, end="", file=sys.stderr, flush=True)
    return job


def _handed_over(words: Sequence[str]) -> tuple[str, str, str]:
    """Run sbatch: the number of the job and its cluster, if that is told; and what a site's plugin says besides."""
    try:
        answer, said = commands.submit(*words)
        number, cluster = _number(answer)
    except SchedulerError as error:
        raise SchedulerError(with_remedy(str(error), submitted=True)) from None
    return number, cluster, said


def _number(answer: str) -> tuple[str, str]:
    """The number of a job, and its cluster or "": before it some sites print what they have checked, or a greeting."""
    lines = [line.strip() for line in reversed(answer.splitlines())]
    for form in _NUMBER:
        for found in filter(None, map(form.fullmatch, lines)):
            return found[1], found[2] or ""
    raise SchedulerError(f"sbatch did not print the number of a job, but {answer.strip()[-100:]!r}")


def _record(folder: Path, array: Array, number: str, cluster: str) -> Job:
    """Note a job that sbatch has taken. Raises `OSError`."""
    # Read now: a question that was begun while sbatch ran need not show the job.
    asked = Board(folder / "scheduler").last_question()
    job = Job(number, list(array.indexes), array.first, cluster, time.time(), asked)
    (folder / "jobs").mkdir(exist_ok=True)
    for mark in _MARKS:  # of a job that had this number before Slurm forgot all that it knew
        (folder / "jobs" / f"{number}.{mark}").unlink(missing_ok=True)
    beside = folder / "jobs" / f".{number}"
    beside.write_text(json.dumps(asdict(job)))
    beside.rename(folder / "jobs" / number)
    return job


def _cancelled_unrecorded(folder: Path, number: str, error: OSError) -> StorageError:
    """Cancel a job that could not be noted, and that nobody would find; what to say."""
    try:
        commands.ask("scancel", number)
        became = "was cancelled"
    except SchedulerError:
        became = f"may still run: 'scancel {number}' ends it"
    return StorageError(f"{cannot_write(folder, error)}; job {number}, which is not noted there, {became}")


def command(folder: Path, array: Array, dependency: str = "") -> list[str]:
    """The command that submits an array."""
    options = [f"--array={array.option}", *([f"--dependency={dependency}"] if dependency else [])]
    return ["sbatch", "--parsable", *options, str(folder / "submit.sbatch"), str(array.first)]


def recorded(folder: Path) -> list[Job]:
    """All jobs of the experiment in `folder`, oldest first."""
    found = []
    for file in (folder / "jobs").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, TypeError):
            if file.name.isdigit():
                found.append(Job(**json.loads(file.read_text())))
    return sorted(found, key=lambda job: job.submitted)


def cancelled(folder: Path, job: Job) -> bool:
    """Whether `hpo cancel` has had Slurm end all of it."""
    return (folder / "jobs" / f"{job.id}.cancelled").exists()


def cancel(folder: Path, numbers: Sequence[str], *, waiting_only: bool) -> None:
    """Have Slurm end the jobs: those tasks that have not begun, or all. What is gone already is no mistake.

    Every job of which Slurm has not said that it is over, also one that was cancelled before: it may have been queued
    again in the same moment.
    """
    there = [number for number in numbers if not (folder / "jobs" / f"{number}.over").exists()]
    if not there:
        return
    state = ["--state=PENDING"] if waiting_only else []
    try:
        commands.ask("scancel", *state, *there)
    except commands.Refusal as refusal:
        if not refusal.errors or not all(any(words in line.casefold() for words in _GONE) for line in refusal.errors):
            raise
    if not waiting_only:
        _mark_cancelled(folder, there)


def _mark_cancelled(folder: Path, numbers: Sequence[str]) -> None:
    """Note what was squeue's last question when Slurm had been told to end these jobs: a later one shows the truth."""
    asked = Board(folder / "scheduler").last_question()
    for number in numbers:
        with contextlib.suppress(OSError):  # on a full disk they are shown as squeue last saw them
            (folder / "jobs" / f"{number}.cancelled").write_text(str(asked))


def _is_ending(folder: Path, job: Job, state: str, answer: Answer | None) -> bool:
    """Whether `hpo cancel` ends a task that squeue shows as alive: it was asked before that, or the task is ending."""
    try:
        asked = int((folder / "jobs" / f"{job.id}.cancelled").read_text() or 0)
    except (OSError, ValueError):
        return False
    return state == "COMPLETING" or answer is None or answer.number <= asked


@dataclass(frozen=True, slots=True)
class Seen:
    """One task of a job, as far as squeue has told. state: Slurm's, "SUBMITTED" before the first answer, or "ENDED"."""

    name: str
    state: str
    node: str = ""
    reason: str = ""
    restarts: int = 0
    left: int | None = None

    @property
    def active(self) -> bool:
        """Whether it may still take trials."""
        return self.state not in OVER | {"ENDED"}

    @property
    def waits(self) -> bool:
        """Whether it has still to begin."""
        return self.state == "SUBMITTED" or self.state in WAITING


def all_over(folder: Path) -> bool:
    """Whether of all jobs it is known that they are over, so that nobody needs to be asked."""
    return all(_is_over(folder, job) for job in recorded(folder))


def look(folder: Path, board: Board, ended: Mapping[str, int], *, learn: bool = True) -> list[Seen]:
    """Every task of the experiment's jobs, by squeue's newest answer.

    ended: task -> the start (by squeue's count of restarts) whose workers have said that they ended, which squeue may
    not have seen yet. Nothing is asked when all jobs are known to be over. learn: whether sacct may be asked how they
    ended, for somebody who wants to know.
    """
    jobs = recorded(folder)
    if learn:
        _learn_ends(folder, jobs, board, ended)
    answer = board.answer() if any(not _is_over(folder, job) for job in jobs) else board.newest()
    found = []
    for job in jobs:
        ends = Ends(folder, job.id)
        if answer is not None and answer.cluster == job.cluster:
            ends.keep(answer.tasks[name] for name in job.names if name in answer.tasks)
        tasks = [_seen(folder, job, name, answer, ended, ends.of(name)) for name in job.names]
        if answer is not None and _ended(job, answer):
            with contextlib.suppress(OSError):
                (folder / "jobs" / f"{job.id}.over").touch()
        found += tasks
    return found


def _learn_ends(folder: Path, jobs: Sequence[Job], board: Board, ended: Mapping[str, int]) -> None:
    """Have sacct asked how those tasks ended that squeue has forgotten, and of which nobody saw or said it.

    squeue's own turn it takes only from a recent answer, or when there is nothing left to ask squeue for.
    """
    answer = board.newest()
    if answer is None or (answer.age > 2 * ASK_EVERY and not all(_is_over(folder, job) for job in jobs)):
        return
    unknown: dict[str, list[str]] = {}
    for job in jobs:
        if _told_of(job, answer) and not cancelled(folder, job):
            ends = Ends(folder, job.id)
            names = (name for name in job.names if name not in answer.tasks and name not in ended)
            unknown[job.id] = [name for name in names if name not in ends]
    unknown = {job: names for job, names in unknown.items() if names}
    if unknown:
        board.instead(lambda: ask_sacct(folder, unknown))


def _told_of(job: Job, answer: Answer) -> bool:
    """Whether an answer would show a job that is there."""
    return answer.cluster == job.cluster and answer.number > job.asked


def _ended(job: Job, answer: Answer) -> bool:
    """Whether an answer shows that all of a job is over. Neither `hpo cancel` nor the word of its workers is enough.

    One that was cancelled, or whose workers have ended, may have been queued again, or may hang.
    """
    return _told_of(job, answer) and all(answer.tasks[name].over for name in job.names if name in answer.tasks)


def _is_over(folder: Path, job: Job) -> bool:
    return (folder / "jobs" / f"{job.id}.over").exists()


def _seen(folder: Path, job: Job, name: str, answer: Answer | None, ended: Mapping[str, int], end: Task | None) -> Seen:
    """One task. end: how it ended, if that is known though squeue does not show it any more."""
    task = answer.tasks.get(name) if answer is not None and answer.cluster == job.cluster else None
    absent = answer is not None and _told_of(job, answer)
    if task is None and (absent or _is_over(folder, job)):
        task = end
    if task is None:
        over = "CANCELLED" if cancelled(folder, job) else "ENDED"
        seen = Seen(name, over if absent or _is_over(folder, job) else "SUBMITTED")
    else:
        seen = Seen(name, task.state, task.node, _why(folder, task), task.restarts, task.left)
    if seen.active and _is_ending(folder, job, seen.state, answer):
        return replace(seen, state="CANCELLED", reason="")
    said = seen.restarts <= ended.get(name, -1)  # a later start is another matter
    return replace(seen, state="ENDED") if said and seen.active else seen


def _why(folder: Path, task: Task) -> str:
    """Slurm's reason, for a job that failed in words, with the last line that it printed."""
    if task.state in WAITING and _HELD.search(f"{task.state} {task.reason}"):
        return f"{task.reason}; 'scontrol release {task.job}' lets it begin"
    if task.state != "FAILED":
        return task.reason
    code, number = _exit(task.exit_code)
    if number == _NO_OUTPUT:
        return f"Slurm could not write to {folder}/logs: is the folder there, and writable, on the compute nodes?"
    status = f"signal {number}" if number else f"exit code {code}"
    last = _last_line(folder / "logs" / f"{task.name}.out")
    return f"{status}: {last}" if last else status


def _exit(text: str) -> tuple[int, int]:
    """Exit code and signal, from Slurm's ``1:0`` or from a raw wait status."""
    code, colon, number = text.partition(":")
    if colon:
        return int(code), int(number)
    status = int(text) if text.isdigit() else 0
    return (0, status & 0x7F) if status & 0x7F else (status >> 8, 0)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace")[-4000:].strip().splitlines()
    except OSError:
        return ""
    return re.sub(r"\s+", " ", lines[-1])[:300] if lines else ""
