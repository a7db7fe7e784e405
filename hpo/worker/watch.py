"""The worker's ear while an attempt runs: its reports are recorded and judged, and it is told when to end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from hpo.experiment import Experiment
from hpo.journal import Event, FolderJournal
from hpo.space.parameters import is_number
from hpo.trial import Failure, Interrupt, Result
from hpo.worker.bounds import Bounds
from hpo.worker.checkpoints import Checkpoints
from hpo.worker.judge import Judge
from hpo.worker.leftovers import Claimed

#: Seconds between two looks into `control/` while a trial runs.
CONTROL_EVERY = 2.0


class WorkerWatch:
    """What a runner sees of the worker while an attempt runs (`trial.Watch`)."""

    def __init__(
        self,
        experiment: Experiment,
        journal: FolderJournal,
        bounds: Bounds,
        claimed: Claimed,
        judge: Judge | None,
        checkpoints: Checkpoints,
    ) -> None:
        self._experiment = experiment
        self._journal = journal
        self._bounds = bounds
        self._about = {"n": claimed.number, "k": claimed.attempt}
        self._judge = judge
        self._checkpoints = checkpoints
        self._reports: list[Event] = []
        #: The steps that were reported so far.
        self.steps: list[int] = []
        self._looked = time.monotonic()
        self._stop = False
        #: Whether it was the end of the job, and nothing else, that ended the attempt.
        self.out_of_time = False

    def poll(self) -> Interrupt | None:
        """Write the reports so far; tell whether the attempt must end now."""
        self._flush()
        bounds, now = self._bounds, time.monotonic()
        if now - self._looked >= CONTROL_EVERY or now >= bounds.hours_end:
            self._looked = now
            self._look()
        deadline = bounds.deadline.interrupt()
        if bounds.superseded or deadline is Interrupt.END:
            return Interrupt.END
        if self._judge is not None and self._judge.pruned:
            return Interrupt.PRUNE
        if self._stop or bounds.terminated:
            return Interrupt.PAUSE
        self.out_of_time = deadline is not None
        return deadline

    def _look(self) -> None:
        """What others want, or have done, when the job ends, and what was saved.

        A file server that cannot be read for a moment has no news.
        """
        bounds, number, attempt = self._bounds, self._about["n"], self._about["k"]
        with contextlib.suppress(OSError):
            self._checkpoints.look()
            request = self._experiment.stop()
            self._stop = bounds.out_of_hours() or (request is not None and request.kill)
            bounds.superseded = self._journal.is_claimed(f"{number}.{attempt + 1}")
            bounds.deadline.look()

    def report(self, step: int, value: float) -> None:
        """Note a report, which is written at the next poll; after the one by which the trial ends there is none."""
        if self._judge is not None:
            if self._judge.pruned:
                return
            self._judge.hear(step, value)
        self.steps.append(step)
        self._reports.append({"e": "reported", "t": time.time(), **self._about, "step": step, "value": value})

    def concluded(self, result: Result) -> Result:
        """Write what is left; return the result as it counts: a trial that was to end is pruned, however it ended."""
        self._flush()
        if self._judge is not None and self._judge.pruned:
            return Result(value=self._judge.value, pruned=True, notes=result.notes)
        return _with_objectives(result, self._experiment.objectives)

    def _flush(self) -> None:
        """Append the reports to the journal. They are on the disk with the next durable record."""
        if self._reports:
            self._journal.append(self._reports, durable=False)
            self._reports = []


def _with_objectives(result: Result, objectives: Sequence[str]) -> Result:
    """The result, or a failure when one of several objectives is missing or no finite number."""
    failure = result.failure
    if failure is not None and failure.kind == "not-finite" and len(objectives) > 1:
        return replace(result, failure=replace(failure, detail=f"{failure.detail} ({objectives[0]!r})"))
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
