"""What is asked of Slurm, as far as it can be judged without any: the keywords and the words of the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from hpo.slurm import limits, request
from hpo.slurm.limits import Cluster, Partition

CLUSTER = Cluster("faraway", {"batch": Partition("batch", default=True, cpus=16)})


def control(**given: Any) -> dict[str, Any]:
    """The keywords that are asked for here."""
    usual = {
        "nworkers": 4, "nthreads": 1, "cpus_per_task": None, "array": "workers", "workflow": "grid", "queue": None,
        "workers_per_gpu": None, "custom_sbatch_args": None,
    }  # fmt: skip
    return {**usual, **given}


@pytest.mark.parametrize("words", ["--signal=B:TERM@10", "--signal USR2", "--output=x", "--array=1-5"])
def test_what_would_undo_a_line_of_the_script_is_a_mistake(words: str) -> None:
    """With a signal of the user's own a job would end early, and not go on."""
    found = list(request.mistakes(control(custom_sbatch_args=words), {"custom_sbatch_args": "model.in:4"}))
    option = words.split("=")[0].split()[0]
    assert [keyword for keyword, _ in found] == ["custom_sbatch_args"]
    assert found[0][1].startswith(f"custom_sbatch_args cannot have {option}: ")


def remarks(tasks: int = 4, **given: Any) -> list[tuple[str, str]]:
    return list(limits.remarks(control(**given), tasks, CLUSTER))


def test_threads_that_share_cpus_are_warned_of() -> None:
    warning = ("cpus_per_task", "the 8 threads of a trial (nthreads) share 2 CPUs: without cpus_per_task each has one")
    assert remarks(nthreads=8, cpus_per_task=2) == [warning]
    assert remarks(nthreads=2, cpus_per_task=8) == remarks(nthreads=8) == []


@pytest.mark.parametrize(("workers", "hint"), [(8, "in 8"), (5000, "in fewer, if nworkers is smaller")])
def test_what_is_advised_is_less_than_what_is_complained_of(workers: int, hint: str) -> None:
    (found,) = remarks(2200, array="trials", nworkers=workers)
    many = "2200 trials are as many jobs, in 3 arrays one after the other"
    assert found == ("array", f"{many}: array = workers runs them {hint}")
