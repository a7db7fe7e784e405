"""The trials as rows and counts, from journals and claims."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpo.experiment import UNLIMITED, Experiment
from hpo.ledger import AttemptRecord, Ledger, TrialRecord, failure_of, lost_because, outcome_state
from hpo.liveness import Identity, Liveness, ended_tasks, identities, read
from hpo.slurm import jobs
from hpo.slurm.board import Board
from hpo.slurm.jobs import Seen
from hpo.space import Space
from hpo.told import values_of
from hpo.trial import LOST, State


@dataclass(frozen=True, slots=True)
class Row:
    """One trial as its users see it. value: the objective, or None. reason: why it failed, or None."""

    id: str
    number: int
    state: State
    value: float | None = None
    reason: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class View:
    """One look at an experiment: its trials, its workers, the best, how far it is. Reads only.

    brief: whether it is one of many, for which nobody is asked how jobs ended.
    """

    def __init__(
        self,
        experiment: Experiment,
        ledger: Ledger | None = None,
        liveness: Liveness | None = None,
        *,
        brief: bool = False,
    ) -> None:
        self.experiment = experiment
        self.ledger = ledger or experiment.ledger()
        self._liveness = liveness or Liveness(experiment.workers, kill=False)
        self._brief = brief
        self._vital: dict[str, bool] = {}

    @functools.cached_property
    def counts(self) -> Counter[State]:
        """How many trials there are of each state."""
        counts = Counter(self.state(record) for record in self.ledger.trials.values())
        counts[State.WAITING] += self.total - len(self.ledger.trials)
        return counts

    @property
    def total(self) -> int:
        """How many trials there are to be; of a search that only hours end, how many were begun."""
        return len(self.ledger.trials) if self.experiment.budget == UNLIMITED else self.experiment.budget

    # -- trials ------------------------------------------------------------------------------------------------------

    def state(self, record: TrialRecord) -> State:
        """The state of a trial, with a look at whether its worker lives."""
        state = record.state()
        if record.committed is not None:
            return State.COMPLETED if record.outcome is None and self._recovered(record) is not None else state
        if state is not State.RUNNING or self._lives(record.owner):
            return state
        last = record.attempts.get(record.last)
        outcome = last.outcome() if last else None
        failure = failure_of(outcome) if outcome else None
        if outcome is None or (failure is not None and failure.retried):
            return State.WAITING
        return outcome_state(outcome)  # a dead worker's last word, which its successor will commit

    def row(self, number: int) -> Row:
        """Trial `number` as a row."""
        record = self.ledger.trials.get(number) or TrialRecord(number)
        state = self.state(record)
        outcome = self._outcome(record) if state.final else None
        failure = failure_of(outcome) if outcome else None
        reason = failure.sentence if failure else None
        if state is State.FAILED and outcome is None:
            reason = "its record was lost; 'hpo resume --retry-failed' runs it again"
        return Row(
            id=self.experiment.space.trial_id(number),
            number=number,
            state=state,
            value=self.value(record) if state is State.COMPLETED or state is State.PRUNED else None,
            reason=reason,
            params=record.params if record.params is not None else self._planned(number),
            metrics=(outcome or {}).get("metrics") or {},
        )

    def failed_attempts(self) -> list[tuple[int, int]]:
        """The committed attempts of all failed trials: (number, attempt)."""
        records = (r for r in self.ledger.trials.values() if r.committed is not None)
        return [(r.number, r.committed[0]) for r in records if r.committed and self.state(r) is State.FAILED]

    def rows(self) -> Iterator[Row]:
        """All trials, by number; of a search that proposes as it goes, those that were begun."""
        numbers = range(self.total) if self._is_grid else sorted(self.ledger.trials)
        return (self.row(number) for number in numbers)

    @property
    def _is_grid(self) -> bool:
        return bool(self.experiment.specification["sampler"]["name"] == "grid")

    def _planned(self, number: int) -> Mapping[str, Any]:
        """The hyperparameters that a trial which has not begun will have; unknown unless it is a grid's."""
        return self.experiment.space.point(number) if self._is_grid else {}

    def value(self, record: TrialRecord) -> float | None:
        """The value that counts; from `result.txt` when a damaged journal lost it."""
        outcome = self._outcome(record)
        value: float | None = self._recovered(record) if outcome is None else outcome.get("value")
        return value

    def best(self) -> Row | None:
        """The completed trial with the best value of the first objective, the first of equals; None without any."""
        sign = self.experiment.signs[0]
        best: tuple[float, int] | None = None
        for number, record in self.ledger.trials.items():
            if self.state(record) is State.COMPLETED and (value := self.value(record)) is not None:
                best = min(best or (sign * value, number), (sign * value, number))
        return None if best is None else self.row(best[1])

    def front(self) -> list[Row]:
        """The completed trials than which no other is as good in all objectives and better in one, by number."""
        completed = [record for record in self.ledger.trials.values() if self.state(record) is State.COMPLETED]
        costs = [(cost, record.number) for record in completed if (cost := self._costs(record)) is not None]
        front: list[tuple[tuple[float, ...], int]] = []
        for mine, number in sorted(costs):  # so that whoever dominates another comes before it
            if not any(_dominates(other, mine) for other, _ in front):
                front.append((mine, number))
        return [self.row(number) for number in sorted(number for _, number in front)]

    def remarks(self) -> list[str]:
        """What the user should know of a search that goes otherwise than asked for."""
        pruner = self.experiment.specification["pruner"]
        records = self.ledger.trials.values()
        if not pruner or not self.finished or any(a.reports for record in records for a in record.attempts.values()):
            return []
        return [f"pruner = {pruner['name']} has had nothing to judge: no trial reported (see docs/training.md)"]

    def objectives(self, row: Row) -> dict[str, float | None]:
        """The objectives of a trial by name: its value is the first, the others are among its metrics."""
        first, *others = self.experiment.objectives
        return {first: row.value, **{name: row.metrics.get(name) for name in others}}

    def _costs(self, record: TrialRecord) -> tuple[float, ...] | None:
        """The objectives such that less is better."""
        values = values_of(self._outcome(record) or {}, self.experiment.objectives)
        return values and tuple(sign * value for sign, value in zip(self.experiment.signs, values, strict=True))

    def traceback(self, number: int) -> str | None:
        """The traceback of a trial that failed by an exception."""
        outcome = self._outcome(self.ledger.trials[number])
        failure = failure_of(outcome) if outcome else None
        return failure.traceback if failure else None

    def _outcome(self, record: TrialRecord) -> dict[str, Any] | None:
        if record.committed is not None:
            return record.outcome
        last = record.attempts.get(record.last)
        return last.outcome() if last else None

    def _recovered(self, record: TrialRecord) -> float | None:
        trial_id = self.experiment.space.trial_id(record.number)
        with contextlib.suppress(OSError, ValueError):
            value = float((self.experiment.run_folder(trial_id) / "result.txt").read_text())
            return value if math.isfinite(value) else None
        return None

    # -- workers -----------------------------------------------------------------------------------------------------

    def workers(self) -> list[dict[str, Any]]:
        """Every worker there was: id, host, pid, executor, state, and the trial it runs."""
        running = {r.owner: r.number for r in self.running()}
        found = []
        for name, identity in self._identities.items():
            number = running.get(name)
            found.append(
                {
                    "id": name,
                    "host": identity.host,
                    "pid": identity.pid,
                    "executor": identity.executor,
                    "state": "ended" if name in self.ledger.ended else "alive" if self._lives(name) else "dead",
                    "trial": None if number is None else self.experiment.space.trial_id(number),
                }
            )
        return found

    @functools.cached_property
    def _identities(self) -> dict[str, Identity]:
        return identities(self.experiment.workers)

    @functools.cached_property
    def jobs(self) -> list[Seen]:
        """The tasks of the experiment's jobs at the scheduler; none for a search on this machine.

        Of a finished search those that waited are left out until the scheduler was asked after its end.
        """
        ended = ended_tasks(self.experiment.workers, self.ledger.ended)
        seen = jobs.look(self.experiment.folder, self.board, ended, learn=not self._brief)
        if self.finished < self.experiment.budget or self._asked_since_last_claim():
            return seen
        return [job for job in seen if not job.waits]

    def _asked_since_last_claim(self) -> bool:
        """Whether the newest answer is to a later question than the last claim, by the times of their file server."""
        answer = self.board.newest()
        return answer is not None and answer.asked >= self.experiment.claims.stat().st_mtime

    @functools.cached_property
    def board(self) -> Board:
        """What the scheduler said of the jobs."""
        return Board(self.experiment.scheduler)

    def running(self) -> list[TrialRecord]:
        """The trials that run now."""
        return [r for r in self.ledger.trials.values() if r.committed is None and self.state(r) is State.RUNNING]

    def _lives(self, worker: str) -> bool:
        if worker in self.ledger.ended:
            return False
        if worker not in self._vital:
            self._vital[worker] = self._liveness.seems_alive(worker)
        return self._vital[worker]

    # -- the whole ---------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> int:
        """Trials with a final state."""
        return sum(count for state, count in self.counts.items() if state.final)

    @property
    def uncommitted(self) -> int:
        """Trials that a worker has still to run, or at least to commit."""
        return self.experiment.budget - sum(1 for r in self.ledger.trials.values() if r.committed is not None)

    def experiment_state(self) -> str:
        """`running`, `finished`, `stopped` (on request, or because all failed alike) or `interrupted`."""
        stop = self.experiment.stop()
        if self.finished >= self.experiment.budget:
            return "finished"
        if any(worker["state"] == "alive" for worker in self.workers()) or any(job.active for job in self.jobs):
            return "running"
        if stop is None:
            return "interrupted"
        return "finished" if stop.finished else "stopped"

    def seconds_left(self) -> float | None:
        """An estimate from the mean duration of the finished trials; None before the first."""
        outcomes = (r.outcome for r in self.ledger.trials.values() if r.committed is not None)
        seconds: list[float] = [o["seconds"] for o in outcomes if o is not None and "seconds" in o]
        if not seconds:
            return None
        left = self.total - self.finished
        return left * sum(seconds) / len(seconds) / max(1, self.counts[State.RUNNING])

    def summary(self, *, with_workers: bool = True) -> dict[str, Any]:
        """What `hpo status --json` prints; `hpo list --json` takes it without workers and jobs."""
        best = self.best()
        names = ("completed", "failed", "pruned", "running", "paused", "waiting")
        summary: dict[str, Any] = {
            "experiment": self.experiment.name,
            "folder": str(self.experiment.folder),
            "state": self.experiment_state(),
            "trials": {"total": self.total, **{name: self.counts[State(name)] for name in names}},
            "best": None if best is None else {k: getattr(best, k) for k in ("id", "number", "value", "params")},
        }
        if with_workers:
            summary |= {"workers": self.workers(), "jobs": [asdict(job) for job in self.jobs]}
        return summary

    def trial(self, number: int) -> dict[str, Any]:
        """What `hpo show --json` prints of one trial."""
        row = self.row(number)
        record = self.ledger.trials.get(number) or TrialRecord(number)
        reports = [report for _, attempt in sorted(record.attempts.items()) for report in attempt.reports]
        return {
            "id": row.id,
            "number": row.number,
            "state": row.state.value,
            "reason": row.reason,
            "value": row.value,
            "metrics": dict(row.metrics),
            "params": dict(row.params),
            "attempts": [self._attempt(record, k) for k in range(1, record.last + 1)],
            "reports": reports,
            "folder": str(self.experiment.run_folder(row.id)),
        }

    def _attempt(self, record: TrialRecord, number: int) -> dict[str, Any]:
        attempt = record.attempts.get(number) or AttemptRecord(number)
        worker = record.owners.get(number) or attempt.worker
        identity = read(self.experiment.workers, worker) if worker else None
        outcome = attempt.outcome()
        return {
            "attempt": number,
            "worker": worker,
            "host": identity.host if identity else None,
            "started": attempt.started,
            "ended": outcome.get("t") if outcome else None,
            "outcome": self._attempt_outcome(attempt, worker),
            "why": self._why_paused(worker) if attempt.paused and not outcome else "",
            "notes": attempt.notes,
        }

    def _attempt_outcome(self, attempt: AttemptRecord, worker: str) -> str:
        outcome = attempt.outcome()
        if outcome is not None:
            failure = failure_of(outcome)
            return failure.sentence if failure else outcome_state(outcome).value
        if attempt.paused:
            return "paused"
        if self._lives(worker):
            return "running"
        return f"the worker was lost{lost_because(self._liveness.reason(worker) or self._end_of_job(worker))}"

    def _why_paused(self, worker: str) -> str:
        """Why a worker stopped a trial that can go on; "" when it does not say."""
        match self.ledger.ended.get(worker):
            case "walltime":
                return LOST["TIMEOUT"]
            case "stopped":
                return "on request"
            case "terminated":
                return LOST.get(self._liveness.reason(worker) or self._end_of_job(worker), "")
        return ""

    def _end_of_job(self, worker: str) -> str:
        """How the job of a lost worker ended, if it was its last start; Slurm's word for it, or ""."""
        job = identity.job if (identity := self._identities.get(worker)) is not None else None
        starts = (each.job for each in self._identities.values())
        if job is None or any(s and s.task == job.task and s.restart > job.restart for s in starts):
            return ""
        ends = (seen.state for seen in self.jobs if seen.name == job.task and not seen.active)
        return next((state for state in ends if state != "ENDED"), "")


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def find_trial(experiment: Experiment, text: str) -> int | None:
    """The number of the trial that TRIAL means: an id, else a number from 0; None when there is none."""
    return find_number(experiment.space, experiment.budget, text)


def find_number(space: Space, size: int, text: str) -> int | None:
    """`find_trial`, for the first `size` points of a space."""
    number = int(text) if text.isdecimal() else None
    by_id = next((n for n in range(size) if space.trial_id(n) == text), None)
    if by_id is not None:
        return by_id
    return number if number is not None and number < size else None


def last_lines(file: Path, count: int = 20, most: int = 65536) -> list[str]:
    """The last lines of a trial's output, from its last `most` bytes."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - most))
            return stream.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
