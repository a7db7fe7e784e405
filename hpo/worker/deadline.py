"""When a worker's job ends, and what that means for the trial that runs and for the next one.

A job tells its end through variables that its batch script sets: HPO_END_TIME (Unix time of this host), HPO_WARNING
(how many seconds before the end a warning signal was asked for) and HPO_KILL_WAIT (seconds from SIGTERM to SIGKILL).
Outside a job there is no end.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping

from hpo.trial import Interrupt

#: Seconds before the end of a job at which a running script is asked to save; a quarter of the job if that is less.
LEAD = 60.0
#: Seconds before the end at which it is over: SIGTERM, two seconds later SIGKILL, and the record of it.
LAST = 4.0
#: A warning that comes so many seconds earlier than the end leaves room for does not mean that the end is wrong.
_EARLY = 90.0
#: Seconds before a script would be asked to save at which the scheduler is asked for the end.
_NEAR = 60.0


class Deadline:
    """The end of a worker's time, by this process's monotonic clock.

    end: seconds on `clock`, or infinity. warning, kill_wait: what the variables say, in seconds. told: asked when the
    end is near, or matters: the seconds that are left as the scheduler has it, or None when it has told nothing new.
    `warned` and `terminated` may be called by signal handlers.
    """

    def __init__(
        self,
        end: float = math.inf,
        *,
        warning: float = 0,
        kill_wait: float = math.inf,
        told: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._end = end
        self._warning = warning
        self._kill_wait = kill_wait
        self._told = told
        self._lead = min(LEAD, (end - clock()) / 4)
        self._needs: list[float] = []
        self._term = False

    @staticmethod
    def of(environ: Mapping[str, str] = os.environ, told: Callable[[], float | None] = lambda: None) -> Deadline:
        """That of the job in which this process runs."""
        now, end = time.monotonic(), environ.get("HPO_END_TIME")
        return Deadline(
            now + float(end) - time.time() if end else math.inf,
            warning=float(environ.get("HPO_WARNING") or 0),
            kill_wait=float(environ.get("HPO_KILL_WAIT") or math.inf),
            told=told,
        )

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._end - self._clock()

    def warned(self) -> None:
        """The warning signal came. It comes too early rather than too late: an end that fits it stays."""
        if self.left > self._warning + _EARLY:
            self._end = self._clock() + self._warning

    def terminated(self) -> None:
        """SIGTERM came: SIGKILL follows."""
        self._term = True
        self._end = min(self._end, self._clock() + self._kill_wait)

    def look(self) -> None:
        """When the end is near, ask whether it was moved; call it every few seconds."""
        if self.left <= self._lead + _NEAR:
            self._ask()

    def _ask(self) -> None:
        if not self._term and (left := self._told()) is not None:
            self._end = self._clock() + left

    def interrupt(self) -> Interrupt | None:
        """What a running trial is to be told."""
        if self.left <= LAST:
            return Interrupt.END
        return Interrupt.PAUSE if self.left <= self._lead else None

    def note(self, seconds: float) -> None:
        """A trial took `seconds` to its first checkpoint, or to its end without one."""
        self._needs = [*self._needs[-20:], seconds]

    def has_room(self) -> bool:
        """Whether a further trial can be expected to come to a checkpoint, or to its end.

        For want of room, however far the end is, it is asked whether it was moved.
        """
        if not self._has_room():
            self._ask()
        return self._has_room()

    def _has_room(self) -> bool:
        return self.left - self._lead > (statistics.median(self._needs) if self._needs else 0.0)
