"""The loop that every executor runs: claim a trial, propose its hyperparameters, run the script, record its end.

The protocol and its reasons are in docs/architecture.md.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from hpo import liveness, runners, samplers
from hpo.errors import cannot_write, writing
from hpo.experiment import Experiment
from hpo.journal import Event
from hpo.ledger import TrialRecord
from hpo.trial import Attempt, Failure, Result
from hpo.worker.alike import AlikeFailures
from hpo.worker.attempts import RERUN, continued, prepare, write_result
from hpo.worker.bounds import Bounds, Ended
from hpo.worker.checkpoints import Checkpoints, files
from hpo.worker.deadline import Deadline
from hpo.worker.history import History
from hpo.worker.judge import Judge
from hpo.worker.leftovers import Claimed, Leftovers, outcome_of, show
from hpo.worker.unheard import REPORTS, unheard
from hpo.worker.watch import WorkerWatch

#: Seconds between two looks at workers not yet judged.
LOOK_EVERY = 0.5
#: Errors that no other trial would be spared.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE})


class Worker:
    """One worker of an experiment: `run()` takes trials until there are none, or until it is told to stop.

    deadline: the end of its job. only: the number of the one trial that it may take; None for all.
    """

    def __init__(
        self, experiment: Experiment, executor: str, *, deadline: Deadline | None = None, only: int | None = None
    ) -> None:
        self._experiment = experiment
        self._bounds = Bounds(experiment, deadline or Deadline())
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
        self._begun = False

    @property
    def id(self) -> str:
        """This worker's id; no other worker ever has it."""
        return self._identity.id

    def terminate(self) -> None:
        """End the trial cleanly and take no other; signal handlers may call it."""
        self._bounds.terminated = True
        self._bounds.deadline.terminated()

    def heed_signals(self) -> None:
        """From now on the signals by which an executor, a scheduler or a user ends a process terminate the worker."""

        def terminate(number: int, frame: FrameType | None) -> None:
            del number, frame
            self.terminate()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, terminate)

    def run(self) -> Ended:
        """Take trials until there are none. Raises `StorageError` when the folder can no longer be written."""
        scratch = self._experiment.scratch(self.id)
        with writing(self._experiment.folder):
            liveness.write(self._experiment.workers, self._identity)  # before the first claim
            scratch.mkdir()
            self._left.tidy()
            self._left.restore(self._alike.begin())
            self._bounds.begin()
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
        with writing(self._experiment.folder):
            self._next = self._left.look()
        while True:
            with writing(self._experiment.folder):
                reason = self._bounds.reached()
                claimed = None if reason else self._take()
                if claimed is None:
                    return reason or self._bounds.reached() or Ended.NOTHING_LEFT
            self._handle(claimed)

    # -- claiming ----------------------------------------------------------------------------------------------------

    def _take(self) -> Claimed | None:
        """Claim what others left, else the next new trial; None when all that is not done is in living hands."""
        claimed = self._left.take() or self._take_new()
        while claimed is None:
            self._next = self._left.look()
            claimed = self._left.take() or self._take_new()
            if claimed is not None or not self._left.undecided or self._bounds.reached():
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
        with writing(self._experiment.folder):
            attempt = self._prepare(claimed, params)
        began = time.monotonic()
        checkpoints = Checkpoints(Path(attempt.env["HPO_CHECKPOINT_DIR"]))
        watch = WorkerWatch(self._experiment, self._journal, self._bounds, claimed, self._judge(claimed), checkpoints)
        for step, value in unheard(claimed.record.attempts, self._earlier_folders(claimed)):
            watch.report(step, value)
        earlier = [step for each in claimed.record.attempts.values() for step, _ in each.reports] + watch.steps
        watch.steps = []
        result = self._unharmed(watch.concluded(self._runner.run(attempt, watch)))
        seconds = time.monotonic() - began
        self._bounds.deadline.note(checkpoints.needed() or seconds)
        whole_job = result.paused and watch.out_of_time and not self._begun
        if whole_job and (why := _in_vain(attempt, checkpoints, earlier, watch.steps)):
            failure = Failure("walltime", f"it had {seconds:.0f} s, a whole job, and {why}")
            result = Result(failure=failure, notes=result.notes)
        self._begun = True
        self._record(claimed, attempt, result, seconds)

    def _unharmed(self, result: Result) -> Result:
        """A scheduler's SIGTERM goes to all processes of a job, also to helpers for want of which a script then fails.

        What fails after it is paused: if it was the script's own failure, it will fail again.
        """
        harmed = self._bounds.terminated and result.failure is not None
        return Result(paused=True, notes=result.notes) if harmed else result

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
            self._journal.append([event])
        else:
            proposed, note = self._proposal(claimed.number)
            remarks = [] if note is None else [{**event, "e": "note", "text": note}]
            event.update(proposed)
            self._journal.append([event, *remarks])
        params: dict[str, Any] = event["params"]
        return params

    def _proposal(self, number: int) -> tuple[Event, str | None]:
        """What the sampler proposes, as keys of a `started` event, and its note on it."""
        learns = self._sampler.needs_history
        proposal = self._sampler.propose(self._history.read() if learns else (), number)
        event: Event = {"params": dict(proposal.params)}
        if proposal.system_attrs:
            event["system_attrs"] = dict(proposal.system_attrs)
        if learns:
            event["seen"] = self._history.seen()
        return event, proposal.note

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
        earlier = [path / "checkpoints" for path in self._earlier_folders(claimed)]
        first = prepare(experiment, number, params, folder, experiment.scratch(self.id))
        restore_from = [path for path in earlier if path.is_dir()]
        attempt = continued(first, self.id, claimed.attempt, restore_from, resumed=resumed)
        return replace(attempt, reports=folder / REPORTS)

    def _earlier_folders(self, claimed: Claimed) -> list[Path]:
        """Of the trial's attempts before this one, the newest first."""
        trial_id = self._experiment.space.trial_id(claimed.number)
        return [self._experiment.attempt_folder(trial_id, k) for k in range(claimed.attempt - 1, 0, -1)]

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
        with contextlib.suppress(OSError):
            os.unlink(f"{attempt.folder}/{REPORTS}")  # the journal has them
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
                raise cannot_write(folder, error) from error
            text = f"{error.filename or folder} could not be written: {error.strerror}"
            about = {"t": time.time(), "n": claimed.number, "k": claimed.attempt}
            self._journal.append([{"e": "note", **about, "text": text}])

    def _may_retry(self, claimed: Claimed) -> bool:
        return claimed.record.deaths + 1 < int(self._keywords["max_attempts"])


def _in_vain(attempt: Attempt, checkpoints: Checkpoints, earlier: Sequence[int], steps: Sequence[int]) -> str:
    """Why another job would bring a trial no farther than this one, which is over; "" when it may.

    earlier, steps: what earlier attempts reported, and what this one did. A script that never reads what it saves
    begins with the first step again and again; one for which nothing was saved has to.
    """
    if not checkpoints.new():
        return "left no checkpoint"
    folders = filter(None, attempt.env["HPO_RESTORE_FROM"].split(os.pathsep))
    saved = checkpoints.before or any(files(Path(folder)) for folder in folders)
    if saved and earlier and steps and min(steps) <= min(earlier) and max(steps) <= max(earlier):
        return f"came to step {max(steps)} after {max(earlier)} in an earlier one: it began anew, not from a checkpoint"
    return ""


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
