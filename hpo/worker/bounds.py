"""What ends a worker, and the trial that it runs, before all trials are done."""

from __future__ import annotations

import math
import time
from enum import Enum

from hpo.experiment import Experiment
from hpo.worker.deadline import Deadline


class Ended(Enum):
    """Why a worker took its last trial."""

    NOTHING_LEFT = "nothing left"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    WALLTIME = "walltime"  # its job ends before another trial could come to a checkpoint
    SUPERSEDED = "superseded"  # it was taken for dead, and others have its trial


class Bounds:
    """A signal, a request to stop, max_hours, the end of the job, and the discovery that others have the trial."""

    def __init__(self, experiment: Experiment, deadline: Deadline) -> None:
        self._experiment = experiment
        self.deadline = deadline
        #: Set by whoever wants the worker to end, such as a signal handler.
        self.terminated = False
        self.superseded = False
        #: When max_hours are over by the monotonic clock, as far as was known at the last look.
        self.hours_end = math.inf
        self._hours: float | None = None

    def begin(self) -> None:
        """Let what is left of max_hours run from now on. Raises `OSError`."""
        self._hours = self._experiment.max_hours
        left = self._experiment.seconds_left
        self.hours_end = math.inf if left is None else time.monotonic() + left

    def out_of_hours(self) -> bool:
        """Whether max_hours are over; `hpo resume max_hours=…` may have given more since this worker began."""
        if time.monotonic() >= self.hours_end and (hours := self._experiment.max_hours) is not None:
            self.hours_end += 3600 * (hours - (self._hours or 0.0))
            self._hours = hours
        return time.monotonic() >= self.hours_end

    def reached(self) -> Ended | None:
        """Why no further trial may be taken, if so; the first worker that is out of hours stops all."""
        if self.superseded:
            return Ended.SUPERSEDED
        if self.terminated:
            return Ended.TERMINATED
        if self.out_of_hours() and self._experiment.stop() is None:
            reason = f"max_hours = {self._experiment.max_hours} is over"
            self._experiment.request_stop(reason, kill=True, finished=True)
        if self._experiment.stop() is not None:
            return Ended.STOPPED
        self.deadline.look()
        return None if self.deadline.has_room() else Ended.WALLTIME
