"""What `hpo status`, `list`, `show` and `best` print for people, and a search at its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from hpo.experiment import Experiment
from hpo.results.progress import assignments, duration
from hpo.results.view import View, last_lines
from hpo.slurm.jobs import Seen
from hpo.trial import State

#: Rows of one kind that are listed; failed trials at the end of a search.
MOST, MOST_IN_SUMMARY = 20, 5
#: Seconds for which the scheduler's word on a job is told without its age.
FRESH = 5.0


def print_status(view: View) -> None:
    """Counts, running trials and where, failures, the best so far, time left."""
    experiment = view.experiment
    print(f"{experiment.name}  {view.experiment_state()}  {view.finished}/{view.total} done: {_counts(view)}")
    stop = experiment.stop()
    if stop is not None:
        print(f"  stopped: {stop.reason}")
    if (best := best_words(view)) is not None:
        print(f"  best     {best}")
    for remark in view.remarks():
        print(f"  note     {remark}")
    _print_jobs(view)
    _print_running(view)
    for failed in _failed(view, MOST):
        print(f"  failed   {failed}")
    if view.counts[State.RUNNING] and (left := view.seconds_left()) is not None:
        print(f"  about {duration(left)} left")
    print(f"  {experiment.folder}")
    if view.experiment_state() in ("interrupted", "stopped"):
        print(f"  'hpo resume {experiment.name}' runs what is left")


def best_words(view: View) -> str | None:
    """The best trial, or that there are several of which none is the best in everything; None before any."""
    objectives = view.experiment.objectives
    if len(objectives) > 1 and len(front := view.front()) > 1:
        return f"{len(front)} trials, no other is better in {' and '.join(objectives)}: hpo best {view.experiment.name}"
    best = view.best()
    return None if best is None else f"{best.id}: {best.value:.6g}   {' '.join(assignments(best.params))}"


#: What a job may have come to without a word on it.
_GOOD_ENDS = ("ENDED", "COMPLETED")


def _print_jobs(view: View) -> None:
    """The jobs at the scheduler that wait, run, or came to a bad end: a line for those that are alike."""
    if any(job.active for job in view.jobs) and view.board.trouble:
        print(f"  Slurm does not answer, what follows may have changed: {view.board.trouble}")
    answer = view.board.newest()
    age = 0.0 if answer is None else answer.age
    alike: dict[tuple[str, str, str], list[str]] = {}
    for job in view.jobs:
        if job.state not in _GOOD_ENDS:
            alike.setdefault((job.state, job.reason, _as_of(job, age)), []).append(job.name)
    for (state, reason, as_of), names in list(alike.items())[:MOST]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"  job      {', '.join(names[:3])}{more}  {state.lower()}{as_of}{f': {reason}' if reason else ''}")


def _as_of(job: Seen, age: float) -> str:
    """How old the scheduler's word on a job is that may be otherwise by now, where that is more than a moment."""
    told = job.active and job.state != "SUBMITTED"
    return f" as of {duration(age)} ago" if told and age > FRESH else ""


def _print_running(view: View) -> None:
    workers = {worker["id"]: worker for worker in view.workers()}
    running = view.running()
    for record in running[:MOST]:
        worker = workers.get(record.owner, {})
        attempt = record.attempts.get(record.last)
        since = f"  {duration(max(0, time.time() - attempt.started))}" if attempt and attempt.started else ""
        step = f"  step {attempt.reports[-1][0]}: {attempt.reports[-1][1]:.6g}" if attempt and attempt.reports else ""
        place = f"{worker.get('host', '?')}:{worker.get('pid', '?')}"
        print(f"  running  {view.experiment.space.trial_id(record.number)}  on {place}{since}{step}")
    if len(running) > MOST:
        print(f"           and {len(running) - MOST} more")


def _counts(view: View) -> str:
    return ", ".join(f"{count} {state.value}" for state in State if (count := view.counts[state]))


def _failed(view: View, most: int) -> list[str]:
    """The failed trials and why, and how many more there are than `most`."""
    failed = [row for row in view.rows() if row.state is State.FAILED] if view.counts[State.FAILED] else []
    more = (
        [f"and {len(failed) - most} more: hpo aggregate-results {view.experiment.name}"] if len(failed) > most else []
    )
    return [f"{row.id}: {row.reason}" for row in failed[:most]] + more


def print_summary(view: View) -> None:
    """How a search ended, the best set, where the results lie, what to do next: to standard output."""
    experiment = view.experiment
    state = view.experiment_state()
    print(f"\n{experiment.name} {state}: {view.total} trials, {_counts(view)}")
    if (best := best_words(view)) is not None:
        print(f"best      {best}")
    for remark in view.remarks():
        print(f"note      {remark}")
    for failed in _failed(view, MOST_IN_SUMMARY):
        print(f"failed    {failed}")
    stop = experiment.stop()
    if stop is not None and (state == "stopped" or stop.finished):
        print(f"{state:<9} {stop.reason}")
        if not stop.kill:
            _print_traceback(view)
    print(f"results   {_short(experiment)}/run/<id>/")
    if state == "stopped" and stop is not None and not stop.kill:
        _print_failed_alike(view)
    elif state in ("interrupted", "stopped"):
        print(f"next      hpo resume {experiment.name}              run what is left")
    elif state == "running":
        print(f"next      hpo status {experiment.name} --watch      other workers have the rest")
    elif best is not None:
        print(f"next      hpo best {experiment.name}                the best set as an &default_model section")
        print(f"          hpo aggregate-results {experiment.name}   all trials as candle_results.csv")


def _print_failed_alike(view: View) -> None:
    name = view.experiment.name
    first = next((row for row in view.rows() if row.state is State.FAILED), None)
    if first is not None:
        print(f"next      hpo rerun {name} {first.id} --pdb   the debugger, where it fails")
    print("          mend the script, and submit it again: this experiment keeps the copy that fails")
    print(f"          hpo resume {name}              run what is left all the same")


def _print_traceback(view: View) -> None:
    """The traceback that ended the experiment, once."""
    row = next((row for row in view.rows() if row.state is State.FAILED), None)
    if row is not None and (text := view.traceback(row.number)):
        print(text.rstrip(), file=sys.stderr)


def _short(experiment: Experiment) -> str:
    """The folder as the user would type it."""
    relative = os.path.relpath(experiment.folder)
    return str(experiment.folder) if relative.startswith("..") else relative


def print_list(summaries: Sequence[dict[str, Any]], created: Sequence[float]) -> None:
    """A line for each experiment."""
    for summary, when in zip(summaries, created, strict=True):
        trials, best = summary["trials"], summary["best"]
        done = trials["completed"] + trials["failed"] + trials["pruned"]
        value = f"best {best['value']:.6g} ({best['id']})" if best else "no result yet"
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
        print(f"{summary['experiment']}  {day}  {summary['state']:<11}  {done}/{trials['total']} done  {value}")


def print_trial(view: View, number: int) -> None:
    """One trial: parameters, state and why, attempts, times, the last lines of its output."""
    trial = view.trial(number)
    value = "" if trial["value"] is None else f"  {trial['value']!r}"
    print(f"{trial['id']}  (trial {number} of {view.experiment.name})  {trial['state']}{value}")
    if trial["reason"]:
        print(f"  {trial['reason']}")
    for name, setting in trial["params"].items():
        print(f"  {name} = {setting!r}")
    for name, metric in trial["metrics"].items():
        print(f"  {name}: {metric}")
    for attempt in trial["attempts"]:
        print(f"  attempt {attempt['attempt']}: {_attempt(attempt)}")
        for note in attempt["notes"]:
            print(f"    note: {note}")
    if trial["reports"]:
        step, last = trial["reports"][-1]
        print(f"  {len(trial['reports'])} reports, the last: step {step}, {last:.6g}")
    print(f"  {trial['folder']}")
    _print_output(view, trial["id"])


def _attempt(attempt: dict[str, Any]) -> str:
    began, ended = attempt["started"], attempt["ended"]
    when = "" if began is None else time.strftime(", %H:%M:%S", time.localtime(began))
    took = "" if began is None or ended is None else f", {duration(ended - began)}"
    outcome = f"{attempt['outcome']} ({attempt['why']})" if attempt["why"] else attempt["outcome"]
    return f"{outcome}, on {attempt['host'] or '?'}{when}{took}"


def _print_output(view: View, trial_id: str) -> None:
    lines = last_lines(view.experiment.run_folder(trial_id) / "subprocess_out_and_err.txt")
    if lines:
        print("  the last lines of its output:")
        for line in lines:
            print(f"    {line}")
