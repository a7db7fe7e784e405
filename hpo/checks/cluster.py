"""Where the workers are going to run, and what the cluster there will not take."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpo import experiment
from hpo.errors import Complaint, Complaints, SchedulerError
from hpo.inputfile import InputFile
from hpo.slurm import allocation, commands, jobs, limits, place, quotas, request, script, variables
from hpo.slurm.limits import Cluster
from hpo.slurm.refusals import rehearse
from hpo.slurm.request import Array

_NO_SBATCH = "there is no sbatch on PATH: run this on a login node of the cluster, or with --executor local"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the workers run. why: a sentence for the user, or "". cluster: what Slurm says of it, where it is asked."""

    executor: str
    why: str = ""
    cluster: Cluster | None = None
    notes: tuple[Complaint, ...] = ()
    #: What the environment adds to &control.
    control: Mapping[str, Any] = field(default_factory=dict)


LOCAL = Destination("local")


def destination(
    given: InputFile, n_trials: int | None, file: Path, complaints: Complaints, *, to_run: bool
) -> Destination:
    """Choose the executor, and complain of what Slurm will not accept, if it is Slurm.

    n_trials: how many trials there are, if that is known. to_run: whether the jobs are to be submitted now: then a
    Slurm that is not there or does not answer is an error, which is raised as `SchedulerError`; else a note.
    """
    try:
        choice = place.resolve(given.control["executor"])
        if choice.executor != "slurm":
            too_much = allocation.excesses(given.control) if choice.executor == "local" else ()
            for keyword, message in too_much:
                complaints.error(message, *given.where(keyword, file))
            return Destination(choice.executor, choice.why)
        mistakes = list(request.mistakes(given.control, given.given))
        for keyword, message in mistakes:
            complaints.error(message, *given.where(keyword, file))
        if mistakes:
            return Destination("slurm", choice.why)
        if not commands.on_path("sbatch"):
            if to_run:
                complaints.error(_NO_SBATCH, *given.where("executor", file))
            return Destination("slurm", notes=(Complaint(f"{_NO_SBATCH}; its limits are not checked here"),))
        carried = dict(variables.carried(given.control, given.given))
        notes = tuple(Complaint(f"{option}, as {variable} says", file) for variable, option in carried.items())
        control = variables.added(given.control, [*carried.values()])
        given = replace(given, control={**given.control, **control})
        cluster = limits.read()
        _compare(given, cluster, _tasks(given, n_trials), file, complaints)
    except SchedulerError as error:
        if to_run:
            raise
        return Destination("slurm", notes=(Complaint(f"the limits of the cluster are not checked: {error}"),))
    return Destination("slurm", choice.why, cluster, notes, control)


def _compare(given: InputFile, cluster: Cluster, tasks: int, file: Path, complaints: Complaints) -> None:
    """Complain of what the cluster will not take, and of what it will take otherwise than asked for."""
    if other := variables.other_cluster(cluster.name):
        complaints.error(f"{other} means another cluster than this one, {cluster.name}: submit from its login node")
    for keyword, message in limits.crowding(given.control, tasks, cluster):
        complaints.error(message, *given.where(keyword, file))
    quota = limits.quota(given.control, cluster)
    room = (quota.submit and quota.submit.room) or tasks
    arrays = request.fitting(_arrays(given, tasks, cluster.largest_array), room)
    excesses = [*limits.excesses(given.control, cluster), *quotas.excesses(given.control, quota)]
    if excesses:
        _weigh(given, excesses, arrays, cluster, file, complaints)
    else:
        _rehearse(given, arrays, file, complaints)
    if not complaints.errors:
        of_account = quotas.remarks(tasks, str(given.control["array"]), quota)
        for keyword, message in (*limits.remarks(given.control, tasks, cluster), *of_account):
            complaints.warn(message, *given.where(keyword, file))


def _weigh(
    given: InputFile,
    excesses: Sequence[tuple[str, str]],
    arrays: Sequence[Array],
    cluster: Cluster,
    file: Path,
    complaints: Complaints,
) -> None:
    """Complain of what is too much by what we know: as a mistake, unless sbatch itself takes it.

    A site's own plugin may have made another request of it. sbatch judges all but the walltime: a job that is longer
    than it may be is taken, and waits for ever, so there its word counts only where there is a plugin.
    """
    array = arrays[0] if arrays else Array((0,))
    refusal, _ = rehearse(_script(given, array), array)
    for keyword, message in excesses:
        where = given.where(keyword, file)
        if refusal or (keyword == "walltime" and not cluster.rewrites):
            complaints.error(message, *where)
        else:
            complaints.warn(f"sbatch takes this, though {message}", *where)


def _rehearse(given: InputFile, arrays: Sequence[Array], file: Path, complaints: Complaints) -> None:
    """Have sbatch itself look at the script, when there is nothing that we know better."""
    if complaints.errors or not arrays or given.control["restart_from_exp"]:
        return
    refusal, certain = rehearse(_script(given, arrays[0]), arrays[0])
    where = given.where("custom_sbatch_args", file)
    if refusal and certain:
        given_here = "" if where[0] else "custom_sbatch_args on the command line: "
        complaints.error(f"{given_here}sbatch will not take this: {refusal}", *where)
    elif refusal:
        complaints.warn(f"sbatch may refuse this now: {refusal}", *where)


def _script(given: InputFile, array: Array) -> str:
    """A script like that of the jobs, before there is a folder."""
    return script.render(given.control, experiment.home().absolute() / experiment.next_name(), array, kill_wait=0)


def _tasks(given: InputFile, n_trials: int | None) -> int:
    if given.control["array"] == "trials":
        return n_trials or 0
    workers = min(int(given.control["nworkers"]), n_trials or sys.maxsize)
    return -(-workers // request.workers_per_task(given.control))


def job_lines(given: InputFile, where: Destination, n_trials: int | None) -> Iterator[str]:
    """The commands that would submit the jobs, and the batch script."""
    if where.executor != "slurm" or given.single_run:
        return
    folder = experiment.home().absolute() / experiment.next_name()
    cluster = where.cluster or Cluster("", {})
    arrays = list(_arrays(given, _tasks(given, n_trials), cluster.largest_array))
    for array in arrays:
        yield shlex.join(jobs.command(folder, array))
    yield ""
    yield from script.render(given.control, folder, arrays[0], cluster.kill_wait).splitlines()


def _arrays(given: InputFile, tasks: int, largest: int) -> list[Array]:
    if given.control["array"] == "trials":
        return request.trial_arrays(range(tasks), largest, int(given.control["nworkers"]))
    return request.worker_arrays(tasks, largest)
