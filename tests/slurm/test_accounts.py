"""A cluster that keeps accounts and enforces their limits: what may be submitted is known before, how jobs ended after.

The test cluster is started anew with slurmdbd for these tests, and without it after them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support
from slurm_support import CLUSTER, Folder, run

pytestmark = pytest.mark.usefixtures("accounts")

#: The first trial kills the process that runs it, when the other worker has a trial of its own.
KILLING = """
import os, signal, time

def run(hyperparams):
    folder = os.environ["HPO_SUBMIT_DIR"]
    open(f"{folder}/begun-{hyperparams['x']}", "w").close()
    while not os.path.exists(f"{folder}/begun-2"):
        time.sleep(0.05)
    if hyperparams["x"] == 1:
        os.kill(int(os.environ["HPO_WORKER"].split("-")[-2]), signal.SIGKILL)
    time.sleep(600)
"""
SLOW = "import time\n\ndef run(hyperparams):\n    time.sleep(hyperparams['seconds'])\n    return 1.0\n"
POINTS = "x = [1, 2, 3, 4, 5, 6, 7, 8]"


@pytest.fixture(scope="module")
def accounts(cluster: None) -> Iterator[None]:
    """Beside root's own an account `lab`: 4 jobs at a time, 2 of which run, 30 minutes each.

    It has a QOS `few`, of 3 jobs, and `long`, of 6 jobs and 2 hours. In the partition `urgent` it has limits of its
    own: 5 jobs of one hour, 2 of which run. The database knows another cluster of the site, too, where there is no such
    QOS.
    """
    if shutil.which("slurmdbd") is None:
        pytest.skip("needs slurmdbd: tests/cluster/start --accounting")
    run(str(CLUSTER / "start"), "--accounting", timeout=300)
    change("add", "qos", "few", "MaxSubmitJobsPerUser=3")
    change("add", "qos", "long", "MaxSubmitJobsPerUser=6", "MaxWall=02:00:00")
    change("add", "account", "lab", "Description=lab", "Organization=lab")
    change("add", "user", "root", "account=lab")
    change("modify", "user", "root", "where", "account=lab", "set", "MaxSubmitJobs=4", "MaxJobs=2", "MaxWall=30")
    change("modify", "user", "root", "where", "account=lab", "set", "qos+=few,long")
    change("add", "user", "root", "account=lab", "partition=urgent")
    urgent = ("where", "account=lab", "partition=urgent", "cluster=hpotest")
    change("modify", "user", "root", *urgent, "set", "MaxSubmitJobs=5", "MaxJobs=2", "MaxWall=60", "qos=normal")
    change("add", "cluster", "another")
    change("add", "account", "lab", "cluster=another", "Description=lab", "Organization=lab")
    change("add", "user", "root", "account=lab", "cluster=another")
    yield
    run(str(CLUSTER / "start"), timeout=300)


def change(*words: str) -> None:
    """Have sacctmgr change something; it fails for what is so already."""
    subprocess.run(["sacctmgr", "-i", "-Q", *words], capture_output=True, timeout=60)


def forgotten(job: str) -> bool:
    """Whether squeue does not know a job any more."""
    return job not in run("squeue", "-h", "-a", "-t", "all", "-o", "%F").split()


def kept(job: str) -> list[str]:
    """How the tasks of a job ended, as the accounts have it; asked of the real sacct, which nobody counts."""
    path = os.pathsep.join(each for each in os.environ["PATH"].split(os.pathsep) if not each.endswith("/fakes"))
    sacct = shutil.which("sacct", path=path)
    assert sacct is not None
    return sorted(line.split()[0] for line in run(sacct, "-nXP", "-o", "State", "-j", job).splitlines())


# -- before ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ("  project = lba", ["model.in:4", "no account 'lba'", "root, lab", "Did you mean 'lab'?"]),
        ("  project = lab\n  walltime = 01:00:00", ["model.in:5", "01:00:00", "account lab allows, 00:30:00"]),
        ("  custom_sbatch_args = --account=lab --qos=fwe", ["model.in:4", "no QOS 'fwe'", "Did you mean 'few'?"]),
        ("  custom_sbatch_args = --qos=few", ["model.in:4", "no QOS 'few' in this account, only normal"]),
        ("  custom_sbatch_args = --account=lab --qos=Few,fwe", ["model.in:4", "no QOS 'fwe'", "Did you mean 'few'?"]),
        # This Slurm takes no list of QOS, as newer ones do, and says so itself.
        ("  custom_sbatch_args = --account=lab --qos=few,long", ["sbatch will not take this: ", "Invalid qos"]),
        ("  project = lab\n  queue = urgent\n  walltime = 02:00:00", ["account lab allows, 01:00:00"]),
    ],
)
def test_what_the_accounts_will_not_take_is_said_before(folder: Folder, control: str, words: list[str]) -> None:
    folder.write(support.SQUARE, POINTS, control)
    said = folder.hpo("submit-job", "model.in", code=2).stderr
    assert all(word in said for word in words), said
    assert not (folder.path / "experiments").exists()


def no_jobs() -> bool:
    """Whether those of earlier tests are over, which the limits count."""
    return not run("squeue", "-h", "-A", "lab", "-o", "%i").split()


@pytest.mark.parametrize(
    ("control", "room"),
    [
        ("project = lab", 4),
        ("project = LAB\n  custom_sbatch_args = --qos=Few", 3),
        ("project = lab\n  queue = urgent\n  walltime = 01:00:00", 5),
        ("project = lab\n  custom_sbatch_args = --qos=few", 3),
        # What a QOS sets holds before what an account sets.
        ("project = lab\n  custom_sbatch_args = --qos=long\n  walltime = 01:00:00", 6),
    ],
)
def test_no_more_workers_are_submitted_than_the_limits_let_in(folder: Folder, control: str, room: int) -> None:
    support.wait_for(no_jobs)
    folder.write(support.SQUARE, POINTS, f"  nworkers = 8\n  {control}")
    done = folder.hpo("submit-job", "model.in")
    assert f"{room} of 8 workers are submitted now" in done.stderr
    assert "2 of 8 workers run at a time: account lab" in done.stderr
    assert len(folder.status()["jobs"]) == room
    folder.wait_done(8)


def test_jobs_that_are_there_count_and_none_is_submitted_beyond_them(folder: Folder) -> None:
    support.wait_for(no_jobs)
    folder.write(SLOW, POINTS, "  nworkers = 4\n  array = trials\n  project = lab", "  seconds = 600.0")
    assert "4 of 8 trials are submitted now" in folder.hpo("submit-job", "model.in").stderr
    said = folder.hpo("submit-job", "model.in", code=2).stderr
    assert "no job can be submitted now: account lab takes 4 at a time (MaxSubmitJobs; 4 there now)" in said
    assert "no job can be submitted now" in folder.hpo("resume", "X000", code=1).stderr
    job = folder.status()["jobs"][0]["name"]
    run("scancel", job)
    support.wait_for(lambda: job not in run("squeue", "-h", "-r", "-t", "PD,R,CG", "-o", "%i").split())
    folder.environment["HPO_ASK_EVERY"] = "0.1"
    said = folder.hpo("resume", "X000").stderr
    assert "1 of " in said
    assert "are submitted now: account lab takes 4 at a time (MaxSubmitJobs; 3 there now); 'hpo resume X000'" in said


def test_the_users_own_variables_hold_and_are_known(folder: Folder) -> None:
    """Those that sbatch knows count as options; none of them may undo the script or hide the jobs."""
    folder.environment |= {
        "SBATCH_ACCOUNT": "lab", "SBATCH_PARTITION": "short", "SBATCH_TIMELIMIT": "3", "SBATCH_NO_REQUEUE": "1",
        "SBATCH_WAIT": "1", "SBATCH_OUTPUT": "/nowhere/x", "SBATCH_DEBUG": "2", "SBATCH_EXPORT": "ALL",
        "SQUEUE_FORMAT": "%i", "SQUEUE_STATES": "PENDING", "SLURM_TIME_FORMAT": "relative", "SINFO_FORMAT": "%P",
    }  # fmt: skip
    support.wait_for(no_jobs)
    folder.write(SLOW, "x = [1]", "", "  seconds = 600.0")
    assert "--account=lab, as SBATCH_ACCOUNT says" in folder.hpo("check", "model.in").stdout
    job = folder.submit()
    shown = run("scontrol", "show", "job", f"{job}_0")
    for words in ("Account=lab", "Partition=short", "TimeLimit=00:03:00", "Requeue=1", f"logs/{job}_0.out"):
        assert words in shown
    folder.environment["SBATCH_ACCOUNT"] = "bogus"
    assert "no account 'bogus'" in folder.hpo("check", "model.in", code=2).stderr
    folder.hpo("check", "model.in", "project=root")
    folder.environment["SLURM_CLUSTERS"] = "elsewhere"
    said = folder.hpo("check", "model.in", code=2).stderr
    assert "SLURM_CLUSTERS=elsewhere means another cluster" in said


# -- after -----------------------------------------------------------------------------------------------------------


def test_how_jobs_ended_that_squeue_has_forgotten_is_asked_of_sacct_once(
    folder: Folder, fakes: Callable[..., Path]
) -> None:
    room = fakes(squeue="real", sacct="real")
    folder.environment["HPO_ASK_EVERY"] = "1"
    folder.write(KILLING, "x = [1, 2]", "  nworkers = 2")
    job = folder.submit()
    support.wait_for(lambda: "FAILED" in run("squeue", "-h", "-j", job, "-t", "all", "-o", "%T"))
    run("scancel", job)
    support.wait_for(lambda: forgotten(job), 400)
    support.wait_for(lambda: kept(job) == ["CANCELLED", "FAILED"])

    def states() -> list[str]:
        time.sleep(1.1)  # until a question is due
        return sorted(each["state"] for each in folder.status()["jobs"])

    assert "sacct" not in (room / "calls").read_text()
    support.wait_for(lambda: states() == ["CANCELLED", "FAILED"])
    assert "failed: signal 9" in folder.hpo("status").stdout
    shown = folder.hpo("show", "0").stdout + folder.hpo("show", "1").stdout
    assert "the worker was lost: its job failed" in shown
    assert (room / "calls").read_text().count(" sacct ") == 1
