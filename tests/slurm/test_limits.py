"""What a real cluster will not take is known before anything is made: by its limits, or by sbatch's own word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import support
from slurm_support import RUN, Folder, run, unmount

pytestmark = pytest.mark.usefixtures("cluster")

GRID = "x = [1, 2, 3]"


def said(folder: Folder, control: str, code: int) -> str:
    folder.write(support.SQUARE, GRID, control)
    done = folder.hpo("check", "model.in", code=code)
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ("  queue = main,shrt", ["model.in:4: this cluster has no partition 'shrt'", "Did you mean 'short'?"]),
        ("  queue = short\n  custom_sbatch_args = --time=90", ["walltime 01:30:00 is longer than partition short"]),
        ("  custom_sbatch_args = --gres=gpu:K80:1", ["model.in:4", "GPU 'K80'; it has k80, v100", "mean 'k80'?"]),
        ("  custom_sbatch_args = --gres=gpu:k80:3", ["model.in:4: 3 GPUs for each trial", "has, 2"]),
        ("  custom_sbatch_args = --mem=9G", ["model.in:4: 9.216 GB are more than a node of partition main has, 8 GB"]),
        ("  custom_sbatch_args = -c 9", ["model.in:4: 9 CPUs for each worker", "has, 8"]),
        ("  custom_sbatch_args = --nodes=2", ["model.in:4", "cannot have --nodes", "one node"]),
        ("  custom_sbatch_args = --constaint=x", ["model.in:4: sbatch will not take this: unrecognized option"]),
        ("  custom_sbatch_args = --licenses=matlab", ["Invalid license", "scontrol show licenses"]),
        ("  custom_sbatch_args = --reservation=mine", ["reservation is invalid", "scontrol show reservation"]),
        ("  custom_sbatch_args = --nodelist=node9", ["Invalid node name", "sinfo -N"]),
        ("  walltime = bogus", ["model.in:4: walltime must be a time such as 01:30:00"]),
    ],
)
def test_it_is_an_error(folder: Folder, control: str, words: list[str]) -> None:
    found = said(folder, control, code=2)
    assert all(word in found for word in words), found


@pytest.mark.parametrize(
    ("control", "option"),
    [
        ("  walltime = 90", "--time=01:30:00"),
        ("  walltime = 1:30:00", "--time=01:30:00"),
        ("  walltime = 0-12", "--time=12:00:00"),
        ("  queue = main,short\n  walltime = 10:00:00", "--partition=main,short"),
        ("  nworkers = 5000", "--array=0-2"),  # there are three trials
        ("  custom_sbatch_args = --gres=gpu:v100:2 -N 1", "--gres=gpu:v100:2"),
    ],
)
def test_it_is_taken(folder: Folder, control: str, option: str) -> None:
    assert option in said(folder, control, code=0)


@pytest.fixture
def closing() -> Iterator[str]:
    """A partition whose state may be changed."""
    yield "urgent"
    run("scontrol", "update", "partitionname=urgent", "state=up")


def test_a_partition_that_takes_no_jobs_or_starts_none(folder: Folder, closing: str) -> None:
    run("scontrol", "update", f"partitionname={closing}", "state=drain")
    assert f"partition {closing} takes no jobs now (drain)" in said(folder, f"  queue = {closing}", code=2)
    run("scontrol", "update", f"partitionname={closing}", "state=down")
    assert f"partition {closing} is down: its jobs wait" in said(folder, f"  queue = {closing}", code=0)


def test_a_folder_that_the_nodes_may_only_read_is_told_by_status(folder: Folder) -> None:
    folder.write(support.SQUARE, GRID, "  custom_sbatch_args = --nodelist=node2")
    init = (RUN / "node2" / "init.pid").read_text().strip()
    inside = ["nsenter", "--target", init, "--mount", "--"]
    run(*inside, "mount", "--bind", str(folder.path), str(folder.path))
    try:
        run(*inside, "mount", "-o", "remount,ro,bind", str(folder.path))
        folder.submit()
        support.wait_for(lambda: "writable, on the compute nodes?" in folder.hpo("status").stdout)
    finally:
        unmount(inside, folder.path)
