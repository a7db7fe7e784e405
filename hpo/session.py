"""An experiment that is run from this terminal: workers are started and tended, signals passed on, the end told."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from hpo import executors, processes
from hpo.disk import hash_of
from hpo.errors import SchedulerError, UsageError
from hpo.executors import Executor, slurm
from hpo.experiment import UNLIMITED, Experiment
from hpo.liveness import Liveness, Vitality
from hpo.results.overview import print_summary
from hpo.results.progress import Progress
from hpo.results.view import View
from hpo.slurm import place
from hpo.trial import State
from hpo.worker.loop import Worker

#: Exit codes of a search that a signal ended.
INTERRUPTED, TERMINATED = 130, 143
#: Seconds that `cancel` waits for the workers.
CANCEL_PATIENCE = 60.0
#: Seconds that `--detach` waits for the first worker to begin.
BEGIN_PATIENCE = 20.0


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP while workers run: the first ends the trials cleanly, a second everything at once."""

    def __init__(self, executor: Executor, experiment: Experiment) -> None:
        self._executor = executor
        self._name = experiment.name
        self.code: int | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Within, signals come here."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.code is None:
            self.code = INTERRUPTED if number == signal.SIGINT else TERMINATED
            self._executor.cancel()
            return
        self._executor.cancel(now=True)
        os.write(2, f"\nended at once; 'hpo resume {self._name}' runs what is left\n".encode())
        end_at_once(self.code)


def end_at_once(code: int) -> NoReturn:
    """Kill all that runs below this process, and leave; the cursor that a live display hid is shown again."""
    processes.kill(processes.descendants(os.getpid()))
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h")
    os._exit(code)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command goes on when workers have been asked for.

    detach: leave them behind. wait: stay until jobs of a scheduler are done, too. parsable: print the name of the
    experiment and the numbers of its jobs, and nothing else.
    """

    detach: bool = False
    wait: bool = False
    parsable: bool = False


def begin(experiment: Experiment, executor: str, manner: Manner, *, workers: int | None = None) -> int:
    """Run the trials that are left with `workers` (else the experiment's number of them); return the exit code."""
    if executors.TABLE[executor].queued:
        return _submit(experiment, executor, manner)
    if manner.parsable:
        say(experiment.name)
    count = workers or worker_count(experiment)
    return (_detach if manner.detach else _conduct)(experiment, executor, manner, count)


def say(text: str) -> None:
    """Print a line; if nobody reads any more the experiment is run all the same."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse_to_detach(executor: str) -> None:
    """Raises `UsageError` where the worker would be in this very process."""
    if executors.TABLE[executor].in_process:
        raise UsageError(f"--detach needs worker processes, and executor = {executor} has none: leave out one of them")


def _conduct(experiment: Experiment, executor_name: str, manner: Manner, workers: int) -> int:
    """Run the trials, and stay until the end."""
    executor = executors.create(executor_name, Worker)
    signals = Signals(executor, experiment)
    with signals.caught():
        executor.start(experiment, workers)
        return _tend(experiment, executor, signals, quiet=manner.parsable)


def _tend(experiment: Experiment, executor: Executor, signals: Signals, *, quiet: bool) -> int:
    """Stay with the workers until all have ended, and tell the end; return the exit code."""
    with Progress(experiment):
        while executor.alive():
            time.sleep(0.05)
    view = View(experiment)
    if not quiet:
        print_summary(view)
    if signals.code is not None and executor.queued:
        print(f"no longer waited for; the jobs go on, and 'hpo cancel {experiment.name}' ends them", file=sys.stderr)
    return signals.code or exit_code(view)


def resume(
    experiment: Experiment, manner: Manner, *, retry_failed: bool = False, limits: Mapping[str, Any] | None = None
) -> int:
    """Run what is left, after any request to stop; with `retry_failed` the failed trials too.

    limits: other values of n_trials and max_hours, which hold from now on, unless the search was over and stays so.
    """
    limits = limits or {}
    view = View(experiment)
    failed = view.failed_attempts() if retry_failed else []
    if not failed and not limits and _nothing_left(view, manner):
        return 0
    executor = _ready(experiment, manner)  # who refuses does so before anything is changed
    if failed:
        experiment.request_retry(failed)
        view = View(experiment)
    budget = limits.get("n_trials", experiment.budget) or UNLIMITED
    if limits and (view.uncommitted or budget > experiment.budget):
        experiment.request_limits(limits)
        view = View(experiment)
    if _nothing_left(view, manner):
        return 0
    experiment.request_resume()
    _tell_changes(experiment)
    if experiment.budget != UNLIMITED and not manner.parsable:
        say(f"{experiment.name}: {view.uncommitted} of {experiment.budget} trials are left")
    workers = None
    if not executors.TABLE[executor].queued:
        busy = _busy(view)
        workers = worker_count(experiment) - busy
        if workers <= 0:
            following = f"{busy} workers have them already: 'hpo status {experiment.name} --watch' follows them"
            say(experiment.name if manner.parsable else following)
            return 0
    return begin(experiment, executor, manner, workers=workers)


def _nothing_left(view: View, manner: Manner) -> bool:
    """Whether there is nothing to go on with, which is said then."""
    nothing = _why_nothing_is_left(view)
    if nothing:
        say(view.experiment.name if manner.parsable else nothing)
    return bool(nothing)


def _ready(experiment: Experiment, manner: Manner) -> str:
    """The executor that goes on. Raises `UsageError` and `SchedulerError` where it cannot."""
    if slurm.ids(experiment):
        slurm.refuse_strangers(experiment)
    executor = _where(experiment)
    if manner.detach:
        refuse_to_detach(executor)
    if executors.TABLE[executor].queued:
        slurm.renew(experiment)
    return executor


def _why_nothing_is_left(view: View) -> str:
    """A sentence when there is nothing to go on with; else ""."""
    experiment, name = view.experiment, view.experiment.name
    if not view.uncommitted:
        failed = len(view.failed_attempts())
        again = f"; {failed} failed, and 'hpo resume {name} --retry-failed' takes them again" if failed else ""
        return f"{name}: nothing is left, all {experiment.budget} trials are done{again}"
    seconds = experiment.seconds_left
    if seconds is None or seconds > 0:
        return ""
    return f"{name}: max_hours = {experiment.max_hours} is over; a larger one goes on: hpo resume {name} max_hours=…"


def _where(experiment: Experiment) -> str:
    """The executor that goes on. What has run as jobs does not go on here because Slurm is down for a while."""
    choice = place.resolve(experiment.keywords["executor"])
    passed_over = choice.executor == "local" and choice.why and "SLURM_JOB_ID" not in os.environ
    if passed_over and slurm.ids(experiment):
        raise SchedulerError(
            f"{experiment.name} has run as jobs of Slurm, which does not answer: try again later, "
            "or set HPO_EXECUTOR=local to go on with it on this machine"
        )
    return choice.executor


def _busy(view: View) -> int:
    """Workers of which it is known that they live and run: with those to come there shall be no more than asked for."""
    liveness = Liveness(view.experiment.workers, kill=False)
    alive = (worker for worker in view.workers() if worker["state"] == "alive")
    return sum(liveness.of(worker["id"]) is Vitality.ALIVE and not liveness.stopped(worker["id"]) for worker in alive)


def _tell_changes(experiment: Experiment) -> None:
    """Say that files of the script are others now: what was submitted runs."""
    hashes = experiment.specification["hashes"]
    changed = [path for path in map(str, experiment.script.snapshot) if hash_of(path) != hashes.get(path)]
    for path in changed:
        print(f"note: {path} has changed since; the copy that was submitted runs", file=sys.stderr)
    if changed:
        print("note: 'hpo submit-job' makes an experiment of the files as they are", file=sys.stderr)


def _submit(experiment: Experiment, executor_name: str, manner: Manner) -> int:
    """Hand the trials that are left to the scheduler, and print the numbers of the new jobs.

    Raises `SchedulerError`, after the numbers of those that were submitted.
    """
    executor = executors.create(executor_name, Worker)
    before = set(slurm.ids(experiment))
    try:
        executor.start(experiment, min(worker_count(experiment), View(experiment).uncommitted))
    finally:
        numbers = ",".join(number for number in slurm.ids(experiment) if number not in before)
        if numbers or manner.parsable:
            print(f"{experiment.name};{numbers}" if manner.parsable else f"JOB_ID={numbers}", flush=True)
    if not numbers and not manner.parsable:
        there = sorted({seen.name.partition("_")[0] for seen in slurm.active(experiment)}, key=int)
        print(f"its jobs are there already: {', '.join(there)}; 'hpo cancel {experiment.name}' ends them")
    if manner.wait:
        signals = Signals(executor, experiment)
        with signals.caught():
            return _tend(experiment, executor, signals, quiet=manner.parsable)
    if not manner.parsable:
        _tell_how_to_follow(experiment)
    return 0


def _tell_how_to_follow(experiment: Experiment) -> None:
    print(f"follow it with  hpo status {experiment.name} --watch\nend it with     hpo cancel {experiment.name}")


def cancel(experiment: Experiment) -> int:
    """Ask every worker to stop, wait until they have, and say what was saved."""
    liveness = Liveness(experiment.workers, kill=False)  # it must remember which heartbeats it saw move
    view = View(experiment, liveness=liveness)
    if view.finished < experiment.budget and experiment.stop() is None:
        experiment.request_stop("cancelled", kill=True)  # at once: Slurm may be slow, or not answer
    state = view.experiment_state()
    if state == "finished":
        return _end_idle_jobs(experiment)
    if (stop := experiment.stop()) is None or not stop.kill:
        experiment.request_stop("cancelled", kill=True)
    _end_jobs(experiment, waiting_only=True)
    if state != "running":
        _end_jobs(experiment, waiting_only=False)
        print(f"nothing of {experiment.name} runs, and nothing will until 'hpo resume {experiment.name}'")
        return 0
    end = time.monotonic() + CANCEL_PATIENCE
    while (alive := _alive(view)) and time.monotonic() < end:
        time.sleep(0.2)
        view = View(experiment, liveness=liveness)
    _end_jobs(experiment, waiting_only=False)  # also those without a worker: held, or queued again in this moment
    print(f"{experiment.name} cancelled: {view.finished} of {view.total} trials are done and stay")
    if paused := view.counts[State.PAUSED]:
        print(f"{paused} more were stopped where they were; those that had saved a checkpoint go on from it")
    for worker in alive:
        print(f"worker {worker['id']} on {worker['host']} has not answered yet; it stops when it sees the request")
    print(f"'hpo resume {experiment.name}' runs what is left")
    return 0


def _end_jobs(experiment: Experiment, *, waiting_only: bool) -> None:
    """Have Slurm end the jobs of an experiment whose workers have been asked to stop. Raises `SchedulerError`."""
    try:
        slurm.cancel(experiment, waiting_only=waiting_only)
    except SchedulerError as error:
        raise SchedulerError(
            f"{error}: the workers have been asked to stop all the same, and will; "
            f"'hpo cancel {experiment.name}' once more ends the jobs, when Slurm answers"
        ) from None


def _alive(view: View) -> list[dict[str, Any]]:
    return [worker for worker in view.workers() if worker["state"] == "alive"]


def _end_idle_jobs(experiment: Experiment) -> int:
    """End jobs that a finished search has left: held, or queued again by a scheduler that did not see their end."""
    if slurm.active(experiment):
        slurm.cancel(experiment, waiting_only=False)
        print(f"{experiment.name} has finished; the jobs that it still had were ended")
    else:
        print(f"{experiment.name} has finished; there is nothing to cancel")
    return 0


def _detach(experiment: Experiment, executor_name: str, manner: Manner, workers: int) -> int:
    """Start the workers, leave them behind, and say how to follow them."""
    executor = executors.create(executor_name, Worker, detach=True)
    before = _recorded(experiment)
    executor.start(experiment, workers)
    end = time.monotonic() + BEGIN_PATIENCE  # who looks at the status next shall see a search that runs
    while executor.alive() and _recorded(experiment) == before and time.monotonic() < end:
        time.sleep(0.02)
    if not manner.parsable:
        print(f"{experiment.name} runs in the background: {experiment.folder}")
        _tell_how_to_follow(experiment)
    return 0


def _recorded(experiment: Experiment) -> int:
    """How many workers have left their record, which is not there before it is on the disk."""
    return sum("." not in name for name in os.listdir(experiment.workers))


def worker_count(experiment: Experiment) -> int:
    """As many workers as asked for, but not more than trials."""
    return max(1, min(int(experiment.keywords["nworkers"]), experiment.budget))


def exit_code(view: View) -> int:
    """0 when the search came to its end with a result, 1 when it failed, 130 when it was cancelled."""
    match view.experiment_state():
        case "finished":
            return 0 if view.counts[State.COMPLETED] or view.counts[State.PRUNED] else 1
        case "running":
            return 0  # other workers have the rest
        case "stopped":
            stop = view.experiment.stop()
            return INTERRUPTED if stop is not None and stop.kill else 1
    return 1
