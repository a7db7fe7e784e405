"""Signals that wait: whoever leaves between sbatch's yes and the note of it leaves a job behind that nobody knows."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

#: The signals by which a user, or a machine that goes down, ends a command.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAITING = b"\nsbatch has not answered yet: waiting, so that no job is lost; Ctrl-C again gives up\n"
_GIVEN_UP = b"\ngiven up before sbatch answered; the job may have come through all the same: 'squeue --me' shows it\n"


class Held:
    """The signals that have come. may_leave: whether a second Ctrl-C ends the waiting."""

    def __init__(self) -> None:
        self.may_leave = True
        self.heard: list[int] = []

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler. Raises `KeyboardInterrupt` at a second Ctrl-C, where one may leave."""
        del frame
        again = number in self.heard
        if not again:
            self.heard.append(number)
        if number == signal.SIGINT and self.may_leave:
            os.write(2, _GIVEN_UP if again else _WAITING)
            if again:
                self.heard.remove(number)
                raise KeyboardInterrupt


@contextlib.contextmanager
def held() -> Iterator[Held]:
    """Within, SIGINT, SIGTERM and SIGHUP wait, where they come to the main thread; then they do what they do else.

    After an error they do not come any more: it ends the command as well, and has something to say.
    """
    signals = Held()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.getsignal(number) for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    for number in before:  # what is ignored (nohup) stays so
        signal.signal(number, signals.note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for heard in signals.heard:
        signal.raise_signal(heard)
