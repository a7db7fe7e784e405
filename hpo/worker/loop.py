"""The loop that every executor runs: claim a trial, propose its hyperparameters, run the script, record its end.

The protocol and its reasons are in docs/architecture.md.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from hpo import liveness, runners, samplers
from hpo.errors import StorageError
from hpo.experiment import Experiment
from hpo.journal import Event
from hpo.ledger import TrialRecord, failure_of, outcome_state
from hpo.space.parameters import is_number
from hpo.trial import Attempt, Failure, Interrupt, Result, State
from hpo.worker.attempts import RERUN, prepare, write_result
from hpo.worker.checkpoints import Checkpoints
from hpo.worker.deadline import Deadline
from hpo.worker.history import History
from hpo.worker.judge import Judge
from hpo.worker.leftovers import Claimed, Leftovers, outcome_of, show

#: Seconds between two looks into `control/` while a trial runs, and between two looks at workers not yet judged.
CONTROL_EVERY = 2.0
LOOK_EVERY = 0.5
#: Errors that no other trial would be spared.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})


class Ended(Enum):
    """Why a worker took its last trial."""

    NOTHING_LEFT = "nothing left"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    WALLTIME = "walltime"  # its job ends before another trial could come to a checkpoint
    SUPERSEDED = "superseded"  # it was taken for dead, and others have its trial


class Worker:
    """One worker of an experiment: `run()` takes trials until there are none, or until it is told to stop.

    deadline: the end of its job. only: the number of the one trial that it may take; None for all.
    """

    def __init__(
        self, experiment: Experiment, executor: str, *, deadline: Deadline | None = None, only: int | None = None
    ) -> None:
        self._experiment = experiment
        self._deadline = deadline or Deadline()
        self._only = only
        self._identity = liveness.Identity.of_this_process(executor)
        self._keywords = experiment.keywords
        self._journal = experiment.journal(self.id)
        sampler = experiment.specification["sampler"]
        self._sampler = samplers.create(
            sampler["name"], experiment.space, sampler["options"], experiment.seed, experiment.warm_trials()
        )
        self._runner = runners.create(experiment.script, self._keywords)
        self._left = Leftovers(experiment, self._journal, only)
        self._alike = AlikeFailures(experiment, int(self._keywords["stop_after"]))
        self._history = History(self._journal)
        self._pruner = experiment.specification["pruner"]
        self._next = 0
        self._hours: float | None = None
        self._end = math.inf
        self._begun = False
        self.terminated = False
        self.superseded = False

    @property
    def id(self) -> str:
        """This worker's id; no other worker ever has it."""
        return self._identity.id

    def run(self) -> Ended:
        """Take trials until there are none. Raises `StorageError` when the folder can no longer be written."""
        scratch = self._experiment.scratch(self.id)
        with _storage(self._experiment.folder):
            liveness.write(self._experiment.workers, self._identity)  # before the first claim
            scratch.mkdir()
            self._left.tidy()
            self._left.restore(self._alike.begin())
            self._hours = self._experiment.max_hours
            left = self._experiment.seconds_left
            self._end = math.inf if left is None else time.monotonic() + left
        heartbeat = liveness.Heartbeat(self._experiment.workers, self.id)
        try:
            ended = self._loop()
            self._journal.append([{"e": "ended", "t": time.time(), "reason": ended.value}])
        finally:
            heartbeat.close()
            self._runner.close()
            self._journal.close()
            shutil.rmtree(scratch, ignore_errors=True)
        return ended

    def _loop(self) -> Ended:
        self._next = self._left.look()
        while (reason := self._told_to_end()) is None:
            claimed = self._take()
            if claimed is None:
                return self._told_to_end() or Ended.NOTHING_LEFT
            self._handle(claimed)
        return reason

    def _told_to_end(self) -> Ended | None:
        if self.superseded:
            return Ended.SUPERSEDED
        if self.terminated:
            return Ended.TERMINATED
        if self.out_of_hours() and self._experiment.stop() is None:
            reason = f"max_hours = {self._experiment.max_hours} is over"
            self._experiment.request_stop(reason, kill=True, finished=True)
        if self._experiment.stop() is not None:
            return Ended.STOPPED
        self._deadline.look()
        return None if self._deadline.has_room() else Ended.WALLTIME

    def out_of_hours(self) -> bool:
        """Whether max_hours are over; `hpo resume max_hours=…` may have given more since this worker began."""
        if time.monotonic() >= self._end and (hours := self._experiment.max_hours) is not None:
            self._end += 3600 * (hours - (self._hours or 0.0))
            self._hours = hours
        return time.monotonic() >= self._end

    # -- claiming ----------------------------------------------------------------------------------------------------

    def _take(self) -> Claimed | None:
        """Claim what others left, else the next new trial; None when all that is not done is in living hands."""
        claimed = self._left.take() or self._take_new()
        while claimed is None:
            self._next = self._left.look()
            claimed = self._left.take() or self._take_new()
            if claimed is not None or not self._left.undecided or self._told_to_end():
                return claimed
            time.sleep(LOOK_EVERY)
        return claimed

    def _take_new(self) -> Claimed | None:
        while (number := self._first_unclaimed()) is not None:
            self._next = number + 1
            if self._journal.claim(f"{number}.1") == self.id:
                return Claimed(1, TrialRecord(number))
        return None

    def _first_unclaimed(self) -> int | None:
        if self._only is not None:
            return None if self._journal.is_claimed(f"{self._only}.1") else self._only
        number = self._journal.first_unclaimed(self._next)
        return number if number < self._experiment.budget else None

    # -- running -----------------------------------------------------------------------------------------------------

    def _handle(self, claimed: Claimed) -> None:
        """Run one claimed attempt and record how it ended."""
        params = self._propose(claimed)
        with _storage(self._experiment.folder):
            attempt = self._prepare(claimed, params)
        began = time.monotonic()
        watch = WorkerWatch(self, claimed, self._judge(claimed))
        checkpoints = Checkpoints(Path(attempt.env["HPO_CHECKPOINT_DIR"]))
        result = self._unharmed(watch.concluded(self._runner.run(attempt, watch)))
        seconds = time.monotonic() - began
        self._deadline.note(checkpoints.interval() or seconds)
        if result.paused and watch.out_of_time and not self._begun and not checkpoints.new():
            failure = Failure("walltime", f"it had {seconds:.0f} s, a whole job, and left no checkpoint")
            result = Result(failure=failure, notes=result.notes)
        self._begun = True
        self._record(claimed, attempt, result, seconds)

    def _unharmed(self, result: Result) -> Result:
        """A scheduler's SIGTERM goes to all processes of a job, also to helpers for want of which a script then fails.

        What fails after it is paused: if it was the script's own failure, it will fail again.
        """
        return Result(paused=True, notes=result.notes) if self.terminated and result.failure is not None else result

    def _judge(self, claimed: Claimed) -> Judge | None:
        if self._pruner is None:
            return None
        earlier = claimed.record.attempts
        return Judge(self._pruner, self._experiment.signs[0], self._history, claimed.number, earlier)

    def _propose(self, claimed: Claimed) -> dict[str, Any]:
        """Take the parameters an earlier attempt recorded, else ask the sampler; record that the attempt starts."""
        earlier = claimed.record.params
        event: Event = {"e": "started", "t": time.time(), "n": claimed.number, "k": claimed.attempt}
        if earlier is not None:
            event["params"] = earlier
        else:
            event.update(self._proposal(claimed.number))
        self._journal.append([event])
        params: dict[str, Any] = event["params"]
        return params

    def _proposal(self, number: int) -> Event:
        """What the sampler proposes, as keys of a `started` event."""
        learns = self._sampler.needs_history
        proposal = self._sampler.propose(self._history.read() if learns else (), number)
        event: Event = {"params": dict(proposal.params)}
        if proposal.system_attrs:
            event["system_attrs"] = dict(proposal.system_attrs)
        if learns:
            event["seen"] = self._history.seen()
        return event

    def _prepare(self, claimed: Claimed, params: dict[str, Any]) -> Attempt:
        """Make the attempt's folder, with `params.json` in it, and let `run/<id>` show it."""
        experiment, number = self._experiment, claimed.number
        trial_id = experiment.space.trial_id(number)
        folder = experiment.attempt_folder(trial_id, _folder_attempt(experiment, trial_id, claimed))
        resumed = folder.is_dir()
        folder.mkdir(exist_ok=True)
        show(experiment, trial_id, folder)
        with contextlib.suppress(FileExistsError):
            os.symlink("../../../rerun.sh", f"{folder}/{RERUN}")
        earlier = [experiment.attempt_folder(trial_id, k) / "checkpoints" for k in range(claimed.attempt - 1, 0, -1)]
        return prepare(
            experiment,
            number,
            params,
            folder=folder,
            scratch=experiment.scratch(self.id),
            attempt=claimed.attempt,
            worker=self.id,
            restore_from=[path for path in earlier if path.is_dir()],
            resumed=resumed,
        )

    # -- recording ---------------------------------------------------------------------------------------------------

    def _record(self, claimed: Claimed, attempt: Attempt, result: Result, seconds: float) -> None:
        """Append how the attempt ended; then, unless the trial goes on in another attempt, commit it."""
        about = {"t": time.time(), "n": claimed.number, "k": claimed.attempt}
        events: list[Event] = [{"e": "note", **about, "text": note} for note in result.notes]
        if result.paused:
            self._journal.append([*events, {"e": "paused", **about}])
            return
        finished = {"e": "finished", **about, "seconds": round(seconds, 4), **outcome_of(result)}
        self._journal.append([*events, finished])
        if result.value is not None and not result.pruned:
            self._leave_value(claimed, attempt.folder, result.value)
        failure = result.failure
        if failure is not None and failure.retried and self._may_retry(claimed):
            self._left.add(claimed, finished, self.id)
        else:
            self._left.commit(claimed.record, claimed.attempt)
        self._alike.note(failure)

    def _leave_value(self, claimed: Claimed, folder: Path, value: float) -> None:
        """Write `result.txt`. What a script did to its own folder is no reason to end the worker; a full disk is."""
        try:
            write_result(folder, value)
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise StorageError(f"cannot write to {folder}: {error.strerror}") from error
            text = f"{error.filename or folder} could not be written: {error.strerror}"
            about = {"t": time.time(), "n": claimed.number, "k": claimed.attempt}
            self._journal.append([{"e": "note", **about, "text": text}])

    def _may_retry(self, claimed: Claimed) -> bool:
        return claimed.record.deaths + 1 < int(self._keywords["max_attempts"])


class AlikeFailures:
    """Stops an experiment whose first trials all fail alike (`Failure.signature`).

    Only what finishes while this worker lives is counted, so that `resume` gets a new chance.
    """

    def __init__(self, experiment: Experiment, limit: int) -> None:
        self._experiment = experiment
        self._limit = limit
        self._reader = experiment.journal()
        self._signatures: list[str | None] = []
        self._hopeless = False

    def begin(self) -> list[Event]:
        """Read, and return, what was recorded before this worker: a success in it is hope."""
        events = self._reader.read_new()
        self._hopeless = self._limit > 0 and not any(map(_succeeded, events))
        return events

    def note(self, failure: Failure | None) -> None:
        """Called after each attempt of this worker, with its failure or None."""
        if failure is None:
            self._hopeless = False
        if not self._hopeless:
            return
        for event in self._reader.read_new():
            self._hopeless = self._hopeless and not _succeeded(event)
            if event["e"] == "finished" and (seen := failure_of(event)) is not None and not seen.retried:
                self._signatures.append(seen.signature)
        first = self._signatures[: self._limit]
        if self._hopeless and len(first) == self._limit and None not in first and len(set(first)) == 1:
            assert failure is not None
            self._experiment.request_stop(f"the first {self._limit} trials all failed alike", kill=False)


class WorkerWatch:
    """What a runner sees of the worker while an attempt runs (`trial.Watch`)."""

    def __init__(self, worker: Worker, claimed: Claimed, judge: Judge | None) -> None:
        self._worker = worker
        self._about = {"n": claimed.number, "k": claimed.attempt}
        self._judge = judge
        self._reports: list[Event] = []
        self._looked = time.monotonic()
        self._stop = False
        #: Whether it was the end of the job, and nothing else, that ended the attempt.
        self.out_of_time = False

    def poll(self) -> Interrupt | None:
        """Write the reports so far; tell whether the attempt must end now."""
        self._flush()
        worker, now = self._worker, time.monotonic()
        if now - self._looked >= CONTROL_EVERY or now >= worker._end:
            self._looked = now
            self._look()
        deadline = worker._deadline.interrupt()
        if worker.superseded or deadline is Interrupt.END:
            return Interrupt.END
        if self._judge is not None and self._judge.pruned:
            return Interrupt.PRUNE
        if self._stop or worker.terminated:
            return Interrupt.PAUSE
        self.out_of_time = deadline is not None
        return deadline

    def _look(self) -> None:
        """What others want, or have done, and when the job ends."""
        worker, number, attempt = self._worker, self._about["n"], self._about["k"]
        request = worker._experiment.stop()
        self._stop = worker.out_of_hours() or (request is not None and request.kill)
        worker.superseded = worker._journal.is_claimed(f"{number}.{attempt + 1}")
        worker._deadline.look()

    def report(self, step: int, value: float) -> None:
        """Note a report, which is written at the next poll; after the one by which the trial ends there is none."""
        if self._judge is not None:
            if self._judge.pruned:
                return
            self._judge.hear(step, value)
        self._reports.append({"e": "reported", "t": time.time(), **self._about, "step": step, "value": value})

    def concluded(self, result: Result) -> Result:
        """Write what is left; return the result as it counts: a trial that was to end is pruned, however it ended."""
        self._flush()
        if self._judge is not None and self._judge.pruned:
            return Result(value=self._judge.value, pruned=True, notes=result.notes)
        return _with_objectives(result, self._worker._experiment.objectives)

    def _flush(self) -> None:
        """Append the reports to the journal. They are on the disk with the next durable record."""
        if self._reports:
            self._worker._journal.append(self._reports, durable=False)
            self._reports = []


def _with_objectives(result: Result, objectives: Sequence[str]) -> Result:
    """The result, or a failure when one of several objectives is missing or no finite number."""
    if result.value is None:
        return result
    for name in objectives[1:]:
        value = result.metrics.get(name)
        if not is_number(value):
            returned = ", ".join(map(repr, (objectives[0], *result.metrics)))
            failure = Failure("no-objective", f"{name!r}, but {returned}")
            if name in result.metrics:
                failure = Failure("no-value", f" of the objective {name!r}, but {value!r}")
            return Result(metrics=result.metrics, failure=failure, notes=result.notes)
    return result


def _succeeded(event: Event) -> bool:
    return event["e"] == "finished" and outcome_state(event) is not State.FAILED


def _folder_attempt(experiment: Experiment, trial_id: str, claimed: Claimed) -> int:
    """The attempt whose folder is used: a paused one that left a checkpoint is continued where it was."""
    attempt = claimed.attempt
    before = claimed.record.attempts.get(attempt - 1)
    if before is None or not before.paused:
        return attempt
    for k in range(attempt - 1, 0, -1):
        folder = experiment.attempt_folder(trial_id, k)
        if folder.is_dir():
            checkpoints = folder / "checkpoints"
            return k if checkpoints.is_dir() and any(checkpoints.iterdir()) else attempt
    return attempt


class _storage(contextlib.AbstractContextManager["_storage"]):
    """Turns an `OSError` inside into a `StorageError` that names the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StorageError(f"cannot write to {self._folder}: {error.strerror}") from error
