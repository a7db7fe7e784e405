"""What a user sees while an experiment runs: a live display on a terminal, elsewhere a timestamped line per event."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from hpo.experiment import UNLIMITED, Experiment
from hpo.journal import Event
from hpo.ledger import failure_of, outcome_state
from hpo.trial import State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH = 0.25
#: More events than this in one refresh are told as a sum.
MOST_LINES = 40
#: Running trials that the live display lists.
MOST_RUNNING = 8


class Tally:
    """Counts what the journals tell, event by event; cheap, and so only for the eye: results come from the ledger."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._reader = experiment.journal()
        self._set_aside = set(experiment.retries())
        self._max_attempts = int(experiment.keywords["max_attempts"])
        self._paused: set[tuple[int, int]] = set()
        self.total = experiment.budget
        self._sign = experiment.signs[0]
        self.done: dict[int, State] = {}
        self.running: dict[int, float] = {}
        self.best: tuple[float, int] | None = None
        self.at_start = 0
        self._began = time.monotonic()
        for event in self.new():
            self.count(event)
        self.at_start = len(self.done)
        self.running.clear()  # whatever ran before, ran elsewhere

    def new(self) -> list[Event]:
        """The events of trials that came since the last call, by their times; none while they cannot be read."""
        try:
            events = [event for event in self._reader.read_new() if isinstance(event.get("n"), int)]
        except OSError:  # a file server that stumbles, or the folder is gone: for the workers to say
            return []
        return sorted(events, key=lambda event: event.get("t", 0.0))

    def count(self, event: Event) -> bool:
        """Take in one event; whether it is worth a line."""
        number = event["n"]
        if (number, event.get("k")) in self._set_aside:
            return False
        match event["e"]:
            case "started":
                if number not in self.done:
                    self.running[number] = time.monotonic()
            case "paused":
                self.running.pop(number, None)
                self._paused.add((number, event.get("k", 1)))
            case "finished":
                self._finished(number, event)
            case _:
                return False
        return True

    def _finished(self, number: int, event: Event) -> None:
        self.running.pop(number, None)
        failure = failure_of(event)
        if failure is not None and failure.retried and self._may_be_tried_again(number, event.get("k", 1)):
            return
        self.done.setdefault(number, outcome_state(event))
        value = None if event.get("pruned") else event.get("value")
        if value is not None and (self.best is None or self._sign * value < self._sign * self.best[0]):
            self.best = (value, number)

    def _may_be_tried_again(self, number: int, attempt: int) -> bool:
        """Whether a trial whose `attempt` was lost has attempts left, paused ones and those set aside not counted."""
        since = max((k for n, k in self._set_aside if n == number), default=0)
        return sum((number, k) not in self._paused for k in range(since + 1, attempt + 1)) < self._max_attempts

    @property
    def counted(self) -> str:
        """How many are done, and of how many where that is known."""
        return f"{len(self.done)}" if self.total == UNLIMITED else f"{len(self.done)}/{self.total}"

    def trial_id(self, number: int) -> str:
        """The id of trial `number`."""
        return self._experiment.space.trial_id(number)

    def seconds_left(self) -> float | None:
        """From the pace since this display began; None before the first trial."""
        done = len(self.done) - self.at_start
        if not done or self.total == UNLIMITED:
            return None
        return (time.monotonic() - self._began) / done * (self.total - len(self.done))

    def line(self, event: Event) -> str:
        """One event as a sentence."""
        name = self.trial_id(event["n"])
        if event["e"] == "started":
            again = f" (attempt {event['k']})" if event.get("k", 1) > 1 else ""
            return f"{name} started{again}"
        if event["e"] == "paused":
            return f"{name} paused"
        failure = failure_of(event)
        if failure is not None:
            lost = failure.retried and event["n"] not in self.done
            return f"{name} {'lost' if lost else 'failed'}: {failure.sentence}"
        value = event.get("value")
        text = "pruned" if event.get("pruned") else "completed"
        best = ", the best so far" if self.best == (value, event["n"]) else ""
        return f"{name} {text}: {value:.6g}{best} ({self.counted})"


class Progress:
    """A context that shows an experiment's progress on standard error, from a thread of its own."""

    def __init__(self, experiment: Experiment) -> None:
        # a stream of its own: trials without isolation redirect descriptor 2 while they run
        self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding)
        self._tally = Tally(experiment)
        self._name = experiment.name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._stream.close()

    def _run(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads any more; the search goes on
            if on_terminal(self._stream):
                self._run_live()
            else:
                self._run_lines()

    def _run_lines(self) -> None:
        over = False
        while not over:
            over = self._stop.wait(REFRESH)
            events = self._tally.new()
            for event in events:
                if self._tally.count(event) and len(events) <= MOST_LINES:
                    self._print(self._tally.line(event))
            if len(events) > MOST_LINES:
                self._print(f"{self._tally.counted} done{_best(self._tally)}")

    def _print(self, text: str) -> None:
        print(time.strftime("%H:%M:%S"), text, file=self._stream, flush=True)

    def _run_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream)
        with Live(self._picture(), console=console, refresh_per_second=8, transient=True) as live:
            over = False
            while not over:
                over = self._stop.wait(REFRESH)
                for event in self._tally.new():
                    if self._tally.count(event):
                        self._show_failure(live.console, event)
                live.update(self._picture())

    def _show_failure(self, console: Console, event: Event) -> None:
        if event["e"] == "finished" and failure_of(event) is not None:
            console.print(self._tally.line(event), style="red", highlight=False, markup=False)

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        tally = self._tally
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=max(1, tally.total), completed=len(tally.done), width=30),
            Text(f"{tally.counted}{_left(tally)}{_best(tally)}"),
        )
        now = time.monotonic()
        running = sorted(tally.running.items())[:MOST_RUNNING]
        lines = [Text(f"  {tally.trial_id(n)}  {now - since:.0f} s", style="dim") for n, since in running]
        more = len(tally.running) - len(running)
        return Group(head, *lines, *([Text(f"  and {more} more", style="dim")] if more else []))


def on_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _best(tally: Tally) -> str:
    return "" if tally.best is None else f", best {tally.best[0]:.6g} ({tally.trial_id(tally.best[1])})"


def _left(tally: Tally) -> str:
    seconds = tally.seconds_left()
    return "" if seconds is None else f", {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min`, `2 h 05 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def assignments(params: Mapping[str, Any]) -> Iterator[str]:
    """Hyperparameters as `name=value`."""
    return (f"{name}={value}" for name, value in params.items())
