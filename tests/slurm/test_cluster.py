"""On a real cluster: the same files as on a laptop, nodes that crash, jobs that end, and nothing lost or run twice.

What takes minutes is begun before the first test and looked at in the last ones.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import support
from slurm_support import (
    CLUSTER,
    LEAKY,
    RUN,
    TOGETHER,
    Folder,
    end_jobs,
    leaky,
    points,
    restart_controller,
    run,
    unmount,
)

from hpo.results.view import View
from hpo.slurm.board import Board

pytestmark = pytest.mark.usefixtures("cluster")

#: Saves every 5 s, reports every second; needs torch, so that the states of its generators count.
LONG = """
import time
import torch
from hpo import training

def run(hyperparams):
    training.seed_everything(hyperparams["rng_seed"])
    weights = torch.nn.Parameter(torch.zeros(50))
    optimizer = torch.optim.Adam([weights], lr=0.05)
    state = training.checkpoint.restore()
    first = 1
    if state is not None:
        first = state["step"] + 1
        with torch.no_grad():
            weights.copy_(state["weights"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(first, hyperparams["steps"] + 1):
        x = torch.randn(8, 50)
        loss = ((x @ weights - x.sum(1)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        time.sleep(hyperparams["pause"])
        stop = training.report(step, loss.item())
        training.checkpoint.save(
            {"step": step, "weights": weights.detach(), "optimizer": optimizer.state_dict()}, step=step, every=5
        )
        if stop:
            return loss.item()
    return loss.item()
"""
STEPS, INTERVAL = 180, 5


def tasks_of(folder: Folder) -> dict[str, int]:
    """The tasks (17_0) whose workers have begun, and how often Slurm had started each anew by then."""
    found = sorted((start.job_task, start.restart) for start in folder.starts())
    return dict(found)


def records_of(folder: Folder) -> list[Path]:
    """What was kept of each job that was submitted; beside it stands how its tasks ended."""
    return [path for path in (folder.path / "experiments/last/jobs").iterdir() if path.name.isdecimal()]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Iterator[Folder]:
    """A trial of three minutes, in jobs of one minute, on a node that no other test touches."""
    folder = Folder(tmp_path_factory.mktemp("long"))
    control = "  walltime = 00:01:00\n  seed = 3\n  custom_sbatch_args = --nodelist=node1"
    folder.write(LONG, "z = [1]", control, f"  steps = {STEPS}\n  pause = 1.0")
    folder.submit()
    yield folder
    end_jobs(folder)


def has_just_begun(folder: Folder, node: str) -> bool:
    """Whether a worker on that node has begun a trial within the last two seconds."""
    there = {start.id for start in folder.starts() if start.node == node}
    attempts = [each for record in folder.experiment.ledger().trials.values() for each in record.attempts.values()]
    return any(each.worker in there and each.started and time.time() - each.started < 2 for each in attempts)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory, long: Folder) -> Iterator[Folder]:
    """An experiment on three nodes. One loses its power; of another the slurmd dies, while its old processes go on."""
    folder = Folder(tmp_path_factory.mktemp("crashed"))
    # More than half of a node's CPUs, so that each worker has a node of its own.
    control = "  nworkers = 3\n  cpus_per_task = 5\n  custom_sbatch_args = --exclude=node1"
    folder.write(LEAKY, points(30), control, leaky(4))
    folder.submit()
    support.wait_for(lambda: len(tasks_of(folder)) == 3 and has_just_begun(folder, "node4"))
    run(str(CLUSTER / "crash"), "node4")
    run(str(CLUSTER / "crash"), "node3", "slurmd")
    folder.wait_told("the worker was lost: its node failed")  # while it is to be seen: other tests bring the nodes back
    yield folder
    run(str(CLUSTER / "start"), timeout=300)
    end_jobs(folder)


@pytest.fixture(scope="module", autouse=True)
def _begun(long: Folder, crashed: Folder) -> None:
    """What takes long is under way while the other tests run."""


# -- the same as on a laptop -----------------------------------------------------------------------------------------


def test_the_templates_give_on_the_cluster_what_they_give_here(tmp_path: Path, cluster: None) -> None:
    """inputs/vae.in as it is, but for its size and a seed; both searches at once."""
    words = ["vae.in", "epochs=1", "control.seed=7"]
    there, here = Folder(tmp_path / "there"), Folder(tmp_path / "here")
    here.environment["HPO_EXECUTOR"] = "local"
    for folder in (there, here):
        folder.hpo("import-template", "vae")
    assert "JOB_ID=" in there.hpo("submit-job", *words).stdout
    here.hpo("submit-job", *words)
    there.wait_done(there.experiment.budget)
    assert there.values() == here.values()


def test_a_bayesian_search_proposes_on_the_cluster_what_it_proposes_here(tmp_path: Path, cluster: None) -> None:
    there, here = Folder(tmp_path / "there"), Folder(tmp_path / "here")
    here.environment["HPO_EXECUTOR"] = "local"
    for folder in (there, here):
        control = "  seed = 11\n  design_size = 4\n  propose_points = 2\n  max_iterations = 4\n"
        file = folder.write(support.SQUARE, "x = real(-10, 10)", control)
        file.write_text(file.read_text().replace("workflow = grid", "workflow = bayesian"))
    there.hpo("submit-job", "model.in")
    here.hpo("submit-job", "model.in")
    there.wait_done(there.experiment.budget)
    assert there.values() == here.values()


def test_a_dry_run_prints_the_script_and_takes_nothing(folder: Folder) -> None:
    folder.write(support.SQUARE, points(3), "  nworkers = 2")
    out = folder.hpo("submit-job", "model.in", "--dry-run").stdout
    assert "sbatch --parsable --array=0-1 " in out
    assert "#SBATCH --job-name=X000" in out
    assert not (folder.path / "experiments").exists()


def test_a_search_can_be_waited_for(folder: Folder) -> None:
    folder.write(support.SQUARE, points(3), "  nworkers = 2")
    out = folder.hpo("submit-job", "model.in", "--wait").stdout
    assert "X000 finished: 3 trials, 3 completed" in out


def test_two_workers_share_a_gpu(folder: Folder) -> None:
    control = "  nworkers = 2\n  workers_per_gpu = 2\n  worker_type = k80"
    folder.write(TOGETHER, points(2), control, "  at_once = 2")
    folder.submit()
    folder.wait_done(2)
    assert len(tasks_of(folder)) == 1
    one, other = (row.metrics for row in View(folder.experiment).rows())
    assert one["worker"] != other["worker"]
    assert one["gpu"] == other["gpu"]


def test_inside_an_allocation_each_worker_is_a_step_with_a_gpu_of_its_own(folder: Folder) -> None:
    folder.write(TOGETHER, points(2), "  nworkers = 2", "  at_once = 2")
    command = shlex.join([*support.COMMAND, "submit-job", "model.in"])
    options = ["--wait", "-w", "node2", "--ntasks=2", "--gres=gpu:k80:2", "-o", "out.txt", "-D", str(folder.path)]
    environment = support.environment(**folder.environment)
    done = subprocess.run(["sbatch", *options, "--wrap", command], env=environment, capture_output=True, timeout=400)
    said = (folder.path / "out.txt").read_text()
    assert done.returncode == 0, said
    assert "2 local workers" in said
    rows = list(View(folder.experiment).rows())
    assert {row.metrics["gpu"] for row in rows} == {"0", "1"}
    assert len({row.metrics["step"] for row in rows}) == 2


def test_a_single_run_on_a_node(folder: Folder) -> None:
    folder.write(
        "def run(hyperparams):\n    import os\n    print(os.environ['SLURMD_NODENAME'])\n    return 7\n", "x = [1]", ""
    )
    out = folder.hpo("run", "--interactive", "model.in").stdout
    assert re.search(r"^node\d$", out, re.M)
    assert out.rstrip().endswith("7.0") or out.rstrip().endswith("7")


# -- ends of jobs ----------------------------------------------------------------------------------------------------


def test_requeued_cancelled_preempted_and_the_controller_restarted(folder: Folder) -> None:
    """What is requeued is the array's last task alone, though its job has the number of the whole array."""
    control = "  nworkers = 3\n  custom_sbatch_args = --nodelist=node2"  # three have room there beside `crashed`
    folder.write(LEAKY, points(12), control, leaky(1, gated=4))
    job = folder.submit()
    cancelled, other, last = (f"{job}_{index}" for index in range(3))
    support.wait_for(lambda: folder.begun() == 7)  # each of the three has one that waits at the gate
    run("scontrol", "requeue", last)
    run("scancel", cancelled)
    support.wait_for(lambda: folder.paused() == 2 and any(folder.experiment.workers.glob("*.dead")))  # it noted why
    restart_controller()
    support.wait_for(lambda: tasks_of(folder)[last] == 1)
    assert tasks_of(folder) == {cancelled: 0, other: 0, last: 1}
    urgent = run(
        "sbatch", "--parsable", "-p", "urgent", "-w", "node2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3"
    ).strip()
    support.wait_for(lambda: run("squeue", "-h", "-j", urgent, "-t", "all", "-o", "%T").strip() == "COMPLETED")
    support.wait_for(lambda: tasks_of(folder) == {cancelled: 0, other: 1, last: 2})  # both were preempted
    folder.open_gate()
    folder.wait_done(12)
    assert folder.values() == {n: n * 2.0 for n in range(12)}
    folder.wait_told("its job was taken from it and queued again", "its job was cancelled")
    folder.nothing_left()


@pytest.fixture
def tasks_limited(cluster: None) -> Iterator[None]:
    """An array has ten tasks at most."""
    restart_controller(MAX_ARRAY_SIZE="10")
    yield
    restart_controller()


def test_more_trials_than_an_array_may_have_tasks(folder: Folder, tasks_limited: None) -> None:
    """Ten arrays, one after the other."""
    assert re.search(r"MaxArraySize\s*= 10\n", run("scontrol", "show", "config"))
    folder.write(support.SQUARE, points(95), "  nworkers = 8\n  array = trials")
    folder.submit()
    assert len(records_of(folder)) == 10
    folder.wait_done(95)
    assert folder.values() == {n: (n - 3) ** 2 for n in range(95)}
    assert len(tasks_of(folder)) == 95


def test_a_cancelled_search_stops_at_once_and_goes_on_later(folder: Folder) -> None:
    folder.write(LEAKY, points(6), "  nworkers = 2", leaky(gated=2))
    folder.submit()
    support.wait_for(lambda: folder.begun() == 4)
    out = folder.hpo("cancel").stdout
    assert "trials are done and stay" in out
    assert folder.status()["state"] == "stopped"
    folder.nothing_left()
    folder.open_gate()
    assert "JOB_ID=" in folder.hpo("resume").stdout
    folder.wait_done(6)
    folder.values()
    assert "nothing is left" in folder.hpo("resume").stdout


def test_resuming_what_runs_submits_nothing(folder: Folder) -> None:
    folder.write(LEAKY, points(4), "  nworkers = 2", leaky(gated=0))
    job = folder.submit()
    out = folder.hpo("resume").stdout
    assert f"its jobs are there already: {job}" in out
    folder.open_gate()
    folder.wait_done(4)


# -- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ("  queue = mian", ["model.in:4", "no partition 'mian'", "Did you mean 'main'?"]),
        (
            "  queue = short\n  walltime = 10:00:00",
            ["model.in:5", "partition short allows, 00:05:00", "main"],
        ),
        ("  worker_type = p100", ["model.in:4", "'p100'", "k80, v100", "'cpu'"]),
        ("  worker_type = v100\n  gpus_per_trial = 3", ["model.in:5", "3 GPUs", "2"]),
        ("  mem_per_node = 90", ["model.in:4", "90 GB", "8 GB"]),
        ("  nthreads = 20", ["model.in:4", "20 CPUs", "8"]),
        ("  mem_per_cpu = 1\n  custom_sbatch_args = --mem=2G", ["one form of the memory"]),
        ("  walltime = 00:02:00\n  custom_sbatch_args = -t 5", ["walltime and --time", "give one of them"]),
        ("  custom_sbatch_args = --array=0-3", ["cannot have --array", "nworkers"]),
        ("  custom_sbatch_args = --constraint=nosuchfeature", ["model.in:4", "Invalid feature", "sinfo"]),
        ('  custom_sbatch_args = "--comment=\'x"', ["cannot be read"]),
    ],
)
def test_what_the_cluster_will_not_take_is_said_before(folder: Folder, control: str, words: list[str]) -> None:
    folder.write(support.SQUARE, points(3), control)
    for verb in ("check", "submit-job"):
        said = folder.hpo(verb, "model.in", code=2).stderr
        assert all(word in said for word in words), said
    assert not (folder.path / "experiments").exists()


def test_a_folder_that_the_nodes_do_not_see_is_told_by_status(folder: Folder) -> None:
    """Something else is mounted there on every node, as if the login node's disk were not shared."""
    folder.write(support.SQUARE, points(3), "  nworkers = 2\n  custom_sbatch_args = --nodelist=node2")
    init = (RUN / "node2" / "init.pid").read_text().strip()
    inside = ["nsenter", "--target", init, "--mount", "--"]
    run(*inside, "mount", "-t", "tmpfs", "none", str(folder.path))
    try:
        folder.submit()
        support.wait_for(lambda: folder.status()["state"] == "interrupted")
        assert "writable, on the compute nodes?" in folder.hpo("status").stdout
    finally:
        unmount(inside, folder.path)


def test_a_batch_script_that_fails_is_told_by_status(folder: Folder) -> None:
    folder.write(support.SQUARE, points(3), "  nworkers = 2")
    folder.submit("--executor", "slurm")
    folder.wait_done(3)
    script = folder.path / "experiments/last/submit.sbatch"
    script.write_text(script.read_text().replace("exec ", "exec /no/such"))
    job = run("sbatch", "--parsable", str(script)).strip()
    asked = Board(folder.experiment.scheduler).last_question()
    record = json.loads(records_of(folder)[0].read_text())
    (folder.path / f"experiments/last/jobs/{job}").write_text(json.dumps({**record, "id": job, "asked": asked}))
    support.wait_for(lambda: "exit code 127" in folder.hpo("status").stdout)


# -- what was begun first ------------------------------------------------------------------------------------------


def test_a_crashed_node_and_a_lost_slurmd_lose_nothing(crashed: Folder) -> None:
    crashed.wait_done(30)
    assert crashed.values() == {n: n * 2.0 for n in range(30)}
    run(str(CLUSTER / "start"), timeout=300)
    crashed.nothing_left()


def test_three_minutes_in_jobs_of_one_minute(long: Folder, tmp_path: Path) -> None:
    """At most a checkpoint interval is lost, and the loss curve is that of an uninterrupted run, to the last bit."""
    whole = Folder(tmp_path)
    whole.environment["HPO_EXECUTOR"] = "local"
    whole.write(LONG, "z = [1]", "  seed = 3", f"  steps = {STEPS}\n  pause = 0.0")
    whole.hpo("submit-job", "model.in")
    long.wait_done(1, 600)
    expected = dict(View(whole.experiment).trial(0)["reports"])
    trial = View(long.experiment).trial(0)
    assert dict(trial["reports"]) == expected
    assert all(value == expected[step] for step, value in trial["reports"])  # what ran twice, too
    assert long.values() == whole.values()
    assert len(trial["attempts"]) >= 3
    assert all(attempt["outcome"] in ("paused", "completed") for attempt in trial["attempts"])
    assert len(trial["reports"]) <= STEPS + INTERVAL * (len(trial["attempts"]) - 1)
    long.nothing_left()
