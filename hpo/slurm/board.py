"""squeue's answers, shared by all who look at one experiment: asked by one of them, at most once a minute.

Whoever asks takes the next number first (`4.asked`, an exclusive create) and leaves what squeue said under the same
number (`4.answer`, renamed into place). An answer with a higher number than the last one taken at some moment was
therefore begun after that moment, whatever the clocks of the hosts say. Ages are differences of two times that the same
file server stamped. When an answer shows that jobs have been queued again, sinfo is asked in the same turn, by the same
reader, which nodes are lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpo.disk import is_mine, time_in
from hpo.errors import SchedulerError
from hpo.slurm import commands, queue
from hpo.slurm.queue import Queue, Task

#: Seconds between two questions of one experiment, and the longest when slurmctld does not answer.
ASK_EVERY = float(os.environ.get("HPO_ASK_EVERY", "60"))
MOST_BACK_OFF = 600.0
#: Seconds between two looks at the folder.
_LOOK_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What squeue said.

    number: its place in the order of the questions. age: seconds when it was read, for display. asked: when the
    question was begun, by the file server's time. lost: the nodes that Slurm held for lost when a job was last seen to
    have been queued again.
    """

    number: int
    cluster: str
    tasks: Mapping[str, Task]
    age: float = 0.0
    asked: float = 0.0
    lost: frozenset[str] = frozenset()


class Board:
    """One reader of the answers in `folder`, which is made when it is not there."""

    def __init__(
        self,
        folder: Path,
        ask: Callable[[], Queue] = queue.read,
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        lost: Callable[[], Sequence[str]] = queue.lost_nodes,
    ) -> None:
        self._folder = folder
        self._ask = ask
        self._every = ASK_EVERY if every is None else every
        self._clock = clock
        self._lost_nodes = lost
        self._looked = float("-inf")
        self._answer: Answer | None = None
        #: Why the last question was not answered; empty when it was.
        self.trouble = ""

    def last_question(self) -> int:
        """The number of the last question that anybody asked; 0 before the first.

        A file is made and removed first: a network file system then reads the folder anew, and not from its memory.
        """
        with contextlib.suppress(OSError):  # who may not write here sees what there is to see
            self._folder.mkdir(exist_ok=True)
            time_in(self._folder)
        return self._last()

    def _last(self) -> int:
        return max(self._numbers("asked"), default=0)

    def answer(self) -> Answer | None:
        """The newest answer, after a new question if one is due; None when there has been none."""
        now = self._clock()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._ask_if_due(self._squeue)
            self._read()
        return self._answer

    def newest(self) -> Answer | None:
        """The newest answer that there is; nobody is asked."""
        self._read()
        return self._answer

    def renew(self) -> None:
        """Have squeue asked at once, however new the last answer is; or wait for who has just begun to ask.

        For what users do, not for who looks. Raises `SchedulerError` when there is no answer that was begun after this.
        """
        for _ in range(2):  # what somebody has just begun to ask may be of sacct
            known = self.last_question()
            self._put(known + 1, self._squeue)
            end = self._clock() + commands.PATIENCE
            while max(self._numbers("answer"), default=0) <= known and self._last() > known and self._clock() < end:
                time.sleep(0.1)
            self._read()
            if self._answer is not None and self._answer.number > known:
                return
            if self.trouble:
                break
        raise SchedulerError(self.trouble or "squeue has not answered")

    def instead(self, question: Callable[[], None]) -> None:
        """Ask something else in the place of squeue's next question, if that is due. What it finds it keeps itself.

        Whether squeue answers is not told by it.
        """

        def asked() -> dict[str, Any]:
            question()
            return {"failures": self._failures()}

        self._ask_if_due(asked)

    def _numbers(self, suffix: str) -> list[int]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        pairs = (name.partition(".") for name in names)
        return [int(number) for number, _, kind in pairs if number.isdigit() and kind == suffix]

    def _ask_if_due(self, question: Callable[[], dict[str, Any]]) -> None:
        last = self._last()
        if self._may_ask() and not (last and self._age(last) < self._interval()):
            self._put(last + 1, question)

    def _put(self, number: int, question: Callable[[], dict[str, Any]]) -> None:
        """Ask question `number`, unless somebody else does."""
        try:
            self._folder.mkdir(exist_ok=True)
            os.close(os.open(self._path(number, "asked"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError:
            return  # somebody else asks; or nobody can, since nothing can be written
        self._write(number, self._outcome(question))
        self._read()  # what is forgotten must not be the last that was answered
        for old in self._numbers("asked"):
            if old < number - 1:
                self._forget(old)

    def _may_ask(self) -> bool:
        """Whether squeue would show this user the jobs: they are those of the folder's owner."""
        with contextlib.suppress(OSError):
            return is_mine(self._folder.parent)
        return False

    def _squeue(self) -> dict[str, Any]:
        said = self._ask()
        tasks = [asdict(task) for task in said.tasks.values()]
        return {"cluster": said.cluster, "tasks": tasks, "lost": self._lost(said)}

    def _lost(self, said: Queue) -> list[str]:
        """The lost nodes: asked once for all jobs that have been queued again since the last answer, else as before."""
        self._read()
        before = self._answer if self._answer is not None and self._answer.cluster == said.cluster else None
        starts = {name: task.restarts for name, task in before.tasks.items()} if before else {}
        if all(task.restarts <= starts.get(name, 0) for name, task in said.tasks.items()):
            return sorted(before.lost) if before else []
        try:
            return list(self._lost_nodes())
        except SchedulerError:
            return []

    def _outcome(self, question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return question()
        except SchedulerError as error:
            return {"error": str(error), "failures": self._failures() + 1}

    def _write(self, number: int, record: Mapping[str, Any]) -> None:
        beside = self._folder / f".{secrets.token_hex(6)}"
        with contextlib.suppress(OSError):  # a full disk: the next reader asks again
            beside.write_text(json.dumps(record))
            beside.rename(self._path(number, "answer"))

    def _forget(self, number: int) -> None:
        """Remove an old question; the last successful answer stays until there is a newer one."""
        if self._answer is None or number != self._answer.number:
            self._path(number, "answer").unlink(missing_ok=True)
            self._path(number, "asked").unlink(missing_ok=True)

    def _read(self) -> None:
        self.trouble = ""
        for number in sorted(self._numbers("answer"), reverse=True):
            if self._answer is not None and number <= self._answer.number:
                return
            record = self._load(number)
            if "tasks" in record:
                tasks = {task["name"]: Task(**task) for task in record["tasks"]}
                self._answer = Answer(
                    number=number,
                    cluster=record["cluster"],
                    tasks=tasks,
                    age=self._age(number, "answer"),
                    asked=self._asked(number),
                    lost=frozenset(record.get("lost", ())),
                )
                return
            self.trouble = self.trouble or str(record.get("error", ""))

    def _load(self, number: int) -> dict[str, Any]:
        try:
            return dict(json.loads(self._path(number, "answer").read_text()))
        except (OSError, ValueError):
            return {}

    def _failures(self) -> int:
        """How many questions in a row were not answered."""
        newest = max(self._numbers("answer"), default=0)
        return int(self._load(newest).get("failures", 0))

    def _interval(self) -> float:
        return min(self._every * 2.0 ** min(self._failures(), 10), max(MOST_BACK_OFF, self._every))

    def _age(self, number: int, suffix: str = "asked") -> float:
        """Seconds since a file was made, both times stamped by the file server; endless when it is gone."""
        try:
            return float(max(0.0, time_in(self._folder) - self._path(number, suffix).stat().st_mtime))
        except FileNotFoundError:
            return float("inf")
        except OSError:
            return 0.0

    def _asked(self, number: int) -> float:
        try:
            return self._path(number, "asked").stat().st_mtime
        except OSError:
            return 0.0

    def _path(self, number: int, suffix: str) -> Path:
        return self._folder / f"{number}.{suffix}"
