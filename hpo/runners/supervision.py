"""Watches over one trial in a process of its own, in whatever language: output, reports, time, requests to stop.

The worker does this in one loop over the trial's output and the messages of its parent; nothing here blocks for longer
than a tick. All signals are sent by the parent, which knows that the trial's number is still its own.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from hpo.runners.connection import ParentConnection, ParentLostError
from hpo.runners.output import OutputFile
from hpo.runners.reports import ReportTail
from hpo.trial import Attempt, Interrupt, Watch

#: Seconds between two looks at reports, requests to stop and the clock.
TICK = 0.1
#: Seconds from the request to pause to SIGTERM, for a script that reports or keeps checkpoints and will look itself.
COOPERATION = 20.0
#: Seconds from SIGTERM to SIGKILL: to save what is to be saved, when it pauses, or just to end; and when time is over.
SAVE_GRACE = 10.0
END_GRACE = 5.0
LAST_GRACE = 2.0
#: Seconds that the parent may take to import packages.
PRELOAD_LIMIT = 600.0
#: Seconds after SIGKILL for which the parent's word is waited for: then it is stuck itself.
_STUCK = 30.0
#: Seconds in which a signal that ended the trial may also have reached the worker, as a scheduler sends it to all.
_SHARED_SIGNAL = 0.5
_SHARED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Files:
    """The files between worker and trial, in the attempt's scratch folder; none is left over from an earlier trial."""

    attempt: Attempt

    @property
    def scratch(self) -> Path:
        """Where they are."""
        return self.attempt.scratch

    @property
    def request(self) -> Path:
        """What the parent and the bootstrap read."""
        return self.scratch / "request.json"

    @property
    def outcome(self) -> Path:
        """What the bootstrap writes at last."""
        return self.scratch / "outcome.json"

    @property
    def reports(self) -> Path:
        """HPO_REPORT_FILE."""
        return self.attempt.reports or self.scratch / "reports"

    @property
    def stop(self) -> Path:
        """HPO_STOP_FILE."""
        return self.scratch / "stop"

    @property
    def stop_seen(self) -> Path:
        """Made by a script that obeys the stop file."""
        return self.scratch / "stop.seen"

    @property
    def result(self) -> Path:
        """HPO_RESULT_FILE."""
        return self.scratch / "result"

    def clear(self) -> None:
        """Remove them all."""
        for path in (self.request, self.outcome, self.reports, self.stop, self.stop_seen, self.result):
            path.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """The variables under which a script finds its own ones."""
        return {
            "HPO_REPORT_FILE": str(self.reports),
            "HPO_STOP_FILE": str(self.stop),
            "HPO_RESULT_FILE": str(self.result),
        }


@dataclass(slots=True)
class Ending:
    """How a trial's process ended.

    status: its exit status, negative for a signal, None when the parent was lost or refused (`lost` says why).
    asked: the request to stop that was made, if any. obeyed: the script saw it. signalled: we sent a signal.
    """

    status: int | None = None
    lost: str = ""
    asked: Interrupt | None = None
    obeyed: bool = False
    signalled: bool = False
    timed_out: bool = False
    notes: list[str] = field(default_factory=list)


class Supervision:
    """One attempt under way: `run` starts it and returns when nothing of it is alive."""

    def __init__(self, parent: ParentConnection, attempt: Attempt, watch: Watch) -> None:
        self._parent = parent
        self._attempt = attempt
        self._watch = watch
        self._files = Files(attempt)
        self._ending = Ending()
        self._reports = ReportTail(self._files.reports, watch.report)
        self._output = OutputFile(attempt.output, attempt.max_output, live=attempt.live, resumed=attempt.resumed)
        self._pipe = -1
        self._over = False
        self._started = False
        self._begin_by = time.monotonic() + PRELOAD_LIMIT
        self._deadline: float | None = None
        self._signals: list[tuple[float, signal.Signals]] = []  # what will be sent, and when
        self._given_up = float("inf")
        self._hurried = False  # whether the trial has been told that the end has come

    def run(self) -> Ending:
        """Run the trial that the request file describes.

        Raises `ParentLostError`, and what `watch` raises; the trial is dead then, too.
        """
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            try:
                self._parent.run(self._files.request, theirs)
            finally:
                os.close(theirs)
            self._loop()
        except BaseException:
            self._parent.close()
            raise
        finally:
            self._finish()
        return self._ending

    def _loop(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._parent, selectors.EVENT_READ, self._hear)
            selector.register(self._pipe, selectors.EVENT_READ, lambda: self._copy(selector))
            next_tick = time.monotonic() + TICK
            while not self._over:
                for key, _ in selector.select(max(0.0, next_tick - time.monotonic())):
                    key.data()
                if not self._over and (now := time.monotonic()) >= next_tick:
                    next_tick = now + TICK
                    self._tick(now)

    def _hear(self) -> None:
        """Take the parent's messages."""
        for message in self._parent.receive():
            if "started" in message:
                self._begin(time.monotonic())
            elif "refused" in message:
                self._ending.lost, self._over = message["refused"], True
            elif "ended" in message:
                self._ending.status, self._over = message["ended"], True
                self._ending.notes.extend(message["notes"])

    def _begin(self, now: float) -> None:
        """The clock of the trial starts here: not while the parent still imports packages."""
        self._started = True
        if self._attempt.timeout is not None:
            self._deadline = now + self._attempt.timeout

    def _copy(self, selector: selectors.BaseSelector) -> None:
        """Take a block of output; nothing more comes when all who could write are gone or have closed it."""
        try:
            data = os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            return
        if data:
            self._output.write(data)
        else:
            selector.unregister(self._pipe)

    def _tick(self, now: float) -> None:
        reported = self._reports.read()
        if reported or not self._hurried:
            self._ask(now, self._watch.poll())
        if self._deadline is not None and now >= self._deadline:
            self._ending.timed_out = True
            self._deadline = None
            self._signals = _end_by(now, END_GRACE)
        while self._signals and now >= self._signals[0][0]:
            number = self._signals.pop(0)[1]
            self._parent.signal(number)
            self._ending.signalled = True
            if number == signal.SIGKILL:
                self._given_up = now + _STUCK
        if not self._started and now >= self._begin_by:
            self._parent.kill()
            raise ParentLostError(0, f"that took longer than {PRELOAD_LIMIT:g} s")
        if now >= self._given_up:
            self._parent.kill()
            self._ending.lost, self._over = "it did not answer any more", True

    def _ask(self, now: float, interrupt: Interrupt | None) -> None:
        """Tell the script to stop; signals follow, later for a script that is known to look by itself."""
        if interrupt is None or self._ending.timed_out:
            return
        if self._ending.asked is not None:
            self._hurry(now, interrupt)
            return
        self._ending.asked = interrupt
        if not self._started:
            self._parent.kill()
            self._ending.signalled = self._over = True
            return
        beside = self._files.stop.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk: the signals will do
            beside.write_text(Interrupt.PRUNE if interrupt is Interrupt.PRUNE else Interrupt.PAUSE)
            beside.rename(self._files.stop)
        if interrupt is Interrupt.PRUNE:
            self._signals = _end_by(now, END_GRACE)
        else:
            self._signals = _end_by(now + (COOPERATION if self._looks_itself() else 0.0), SAVE_GRACE)
        self._hurry(now, interrupt)

    def _hurry(self, now: float, interrupt: Interrupt) -> None:
        """There is no time left to wait for the script, whatever it was asked before."""
        if interrupt is Interrupt.END and not self._hurried:
            self._hurried = True
            self._signals = _end_by(now, LAST_GRACE)

    def _looks_itself(self) -> bool:
        checkpoints = self._attempt.env.get("HPO_CHECKPOINT_DIR")
        with contextlib.suppress(OSError):
            return self._reports.seen > 0 or bool(checkpoints and os.listdir(checkpoints))
        return False

    def _finish(self) -> None:
        """Take the last output and reports, when nobody writes any more."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, _BLOCK):
                self._output.write(data)
        os.close(self._pipe)
        self._reports.finish()
        self._note_losses(self._output.close())
        self._ending.obeyed = self._files.stop_seen.exists()
        if self._ending.status in [-number for number in _SHARED_SIGNALS] and not self._ending.signalled:
            self._ask_once_more()

    def _note_losses(self, broken: OSError | None) -> None:
        if broken is not None:
            self._ending.notes.append(f"not all output was kept: {broken.strerror}")
        if self._reports.skipped:
            self._ending.notes.append(f"{self._reports.skipped} lines of HPO_REPORT_FILE were not understood")

    def _ask_once_more(self) -> None:
        """A scheduler's SIGTERM ends trial and worker alike; the trial is then paused, it has not failed."""
        end = time.monotonic() + _SHARED_SIGNAL
        while self._ending.asked is None and time.monotonic() < end:
            self._ending.asked = self._watch.poll()
            time.sleep(0.01)
        self._ending.signalled = self._ending.asked is not None


def _end_by(start: float, grace: float) -> list[tuple[float, signal.Signals]]:
    return [(start, signal.SIGTERM), (start + grace, signal.SIGKILL)]
