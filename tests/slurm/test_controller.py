"""slurmctld dies on a real cluster: for a while, and with all that it knew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import support
from slurm_bench import CLUSTER, Folder, run

from hpo.processes import start_time

pytestmark = pytest.mark.usefixtures("cluster")

#: Where the cluster keeps its files.
RUN = Path(os.environ.get("HPO_TEST_CLUSTER", "/tmp/hpo-test-cluster"))
#: Each trial leaves a process behind, and a line for each time that it ran to its end.
COUNTED = """
import os, subprocess, time

def run(hyperparams):
    subprocess.Popen(["sleep", "987"], start_new_session=True)
    time.sleep(hyperparams["seconds"])
    with open(os.environ["HPO_SUBMIT_DIR"] + "/ran", "a") as file:
        file.write(f"{hyperparams['x']}\\n")
    return hyperparams["x"] * 2.0
"""


def kill_controller() -> None:
    """slurmctld is gone at once, and has written nothing more."""
    pid = int((RUN / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    support.wait_for(lambda: start_time(pid) is None, 30)


@pytest.fixture
def search(folder: Folder) -> Iterator[Folder]:
    """A search of twelve trials by two workers, two of which are done; afterwards the cluster is whole again."""
    folder.environment["HPO_ASK_EVERY"] = "2"
    points = f"x = [{', '.join(map(str, range(12)))}]"
    folder.write(COUNTED, points, "  nworkers = 2\n  custom_sbatch_args = --nodelist=node3", "  seconds = 2.0")
    folder.submit()
    folder.wait_done(2)
    yield folder
    subprocess.run([CLUSTER / "start"], capture_output=True, timeout=120)


def ran_once(folder: Folder) -> None:
    """All trials have their values, and none ran to its end twice."""
    assert folder.values() == {n: n * 2.0 for n in range(12)}
    assert sorted(map(int, (folder.path / "ran").read_text().split())) == list(range(12))
    folder.nothing_left()


def test_workers_go_on_while_slurm_does_not_answer(search: Folder) -> None:
    kill_controller()
    search.wait_done(6)
    said = search.hpo("status").stdout
    assert "running" in said.splitlines()[0]
    assert "Slurm does not answer" in said
    run(str(CLUSTER / "start"), timeout=120)
    search.wait_done(12)
    ran_once(search)
    support.wait_for(lambda: "Slurm does not answer" not in search.hpo("status").stdout, 60)
    assert search.status()["state"] == "finished"


def test_jobs_that_slurm_has_forgotten_are_not_waited_for(search: Folder) -> None:
    """It ends those of which its nodes tell it, and numbers new jobs as if there had been none."""
    kill_controller()
    shutil.rmtree(RUN / "state")
    run(str(CLUSTER / "start"), timeout=120)
    support.wait_for(lambda: search.status()["state"] == "interrupted", 120)
    search.nothing_left()
    assert "JOB_ID=" in search.hpo("resume").stdout
    search.wait_done(12)
    ran_once(search)
    assert search.status()["state"] == "finished"
