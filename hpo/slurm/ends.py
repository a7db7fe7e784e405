"""How the jobs of an experiment ended, kept beside their records: squeue forgets it after minutes (MinJobAge).

What squeue showed is kept when somebody looks. For what nobody saw, sacct is asked once for each job, where the site
keeps accounts, and once more if it did not answer; it takes the place of one of squeue's questions. Nobody is believed
dead for what sacct says: it lags.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpo.errors import SchedulerError
from hpo.slurm import commands
from hpo.slurm.queue import Task

#: Seconds for an answer of sacct: nothing depends on it, and somebody waits for what else there is to say.
PATIENCE = 15.0
#: The words for a cluster that keeps no accounts: sacct's own, and those where there is no sacct.
_NO_ACCOUNTS = ("accounting storage is disabled", "cannot be run")


class Ends:
    """The ends of one job's tasks, in the file `jobs/<id>.ends` of an experiment: task -> how it ended."""

    def __init__(self, folder: Path, job: str) -> None:
        self._path = folder / "jobs" / f"{job}.ends"
        self._kept: dict[str, dict[str, Any] | None] = {}
        with contextlib.suppress(OSError, ValueError):
            self._kept = dict(json.loads(self._path.read_text()))

    def __contains__(self, name: str) -> bool:
        """Whether nothing more can be learnt of a task."""
        return name in self._kept

    def of(self, name: str) -> Task | None:
        """How a task ended; None when that is not known."""
        kept = self._kept.get(name)
        return None if kept is None else Task(**kept)

    def give_up(self, names: Iterable[str]) -> None:
        """Note that nobody answered for these tasks; the second time, that nothing can be known of them."""
        asked = self._path.with_suffix(".unanswered")
        if asked.exists():
            self.keep((), unknown=names)
        with contextlib.suppress(OSError):
            asked.touch()

    def keep(self, tasks: Iterable[Task], unknown: Iterable[str] = ()) -> None:
        """Keep those of `tasks` that are over, and what cannot be known. Who may not write here leaves it to others."""
        told = {task.name: asdict(task) for task in tasks if task.over}
        now = {**dict.fromkeys(unknown), **self._kept, **told}
        if now != self._kept:
            self._kept = now
            beside = self._path.with_name(f".{secrets.token_hex(6)}")
            with contextlib.suppress(OSError):
                beside.write_text(json.dumps(now))
                beside.rename(self._path)


def ask_sacct(folder: Path, wanted: Mapping[str, Sequence[str]]) -> None:
    """Ask sacct for the ends of tasks (job -> its tasks), and keep them."""
    command = ["sacct", "-n", "-X", "-P", "-o", "JobID,State,ExitCode,NodeList", "-j", ",".join(wanted)]
    try:
        answer = commands.ask(*command, patience=min(PATIENCE, commands.PATIENCE))
    except SchedulerError as error:
        if not any(words in str(error) for words in _NO_ACCOUNTS):
            for job, names in wanted.items():
                Ends(folder, job).give_up(names)
            return
        answer = ""
    told = {task.name: task for task in map(_task, answer.splitlines()) if task is not None}
    for job, names in wanted.items():
        # A task that was cancelled before it began has no line of its own, but is one of "17_[3-9]".
        Ends(folder, job).keep((told[name] for name in names if name in told), unknown=names)


def _task(line: str) -> Task | None:
    """Read ``17_3|CANCELLED by 1000|0:15|node1``."""
    cells = line.split("|")
    if len(cells) != 4 or not cells[1]:
        return None
    name, state, exit_code, node = (cell.strip() for cell in cells)
    there = "" if node == "None assigned" else node
    return Task(name, state.split()[0].rstrip("+"), 0, None, there, "", exit_code)
