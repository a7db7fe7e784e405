"""Inside an allocation of the user's own, on a real cluster: how many workers there are, where, and with which GPU."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import Counter
from typing import Any

import pytest
import support
from slurm_support import TOGETHER, Folder, points

from hpo.results.view import View

pytestmark = pytest.mark.usefixtures("cluster")


def write(folder: Folder, workers: int, control: str = "") -> None:
    """As many trials as workers, all at the same time."""
    control = f"  nworkers = {workers}\n  trial_timeout = 300\n{control}"
    folder.write(TOGETHER, points(workers), control, f"  at_once = {workers}")


def metrics(folder: Folder) -> list[dict[str, Any]]:
    """What each trial saw; all must have completed."""
    folder.values()
    return [dict(row.metrics) for row in View(folder.experiment).rows()]


def inside(folder: Folder, *words: str) -> str:
    """Run a command of Slurm's that makes an allocation, and in it `hpo submit-job`; what was printed."""
    command = [*words, *support.COMMAND, "submit-job", "model.in"]
    done = subprocess.run(
        command, cwd=folder.path, env=support.environment(**folder.environment), capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("gpus", ["--gpus-per-node=2", "--gpus=4", "--gres=gpu:2"])
def test_workers_share_the_gpus_of_all_nodes(folder: Folder, gpus: str) -> None:
    """However the allocation asked for them: two workers on each of four GPUs on two nodes."""
    write(folder, 8, "  workers_per_gpu = 2")
    inside(folder, "salloc", "-Q", "-w", "node1,node2", "-N2", "--ntasks-per-node=4", gpus, "--mem-per-cpu=150")
    seen = metrics(folder)
    assert Counter((each["node"], each["gpu"]) for each in seen) == {
        (node, gpu): 2 for node in ("node1", "node2") for gpu in "01"
    }
    assert len({each["step"] for each in seen}) == 4
    assert len({each["worker"] for each in seen}) == 8


def test_workers_without_gpus_are_on_all_nodes(folder: Folder) -> None:
    write(folder, 4)
    inside(folder, "salloc", "-Q", "-w", "node3,node4", "-N2", "--ntasks-per-node=2")
    assert Counter(each["node"] for each in metrics(folder)) == {"node3": 2, "node4": 2}


@pytest.mark.parametrize("options", [["-n4", "--gres=gpu:1"], ["-n4", "--mem=0"], ["--exclusive"]])
def test_workers_of_a_cpu_run_beside_each_other(folder: Folder, options: list[str]) -> None:
    """However many GPUs there are, and where no variable tells the memory: each trial waits for all four."""
    write(folder, 4, "  worker_type = cpu")
    inside(folder, "salloc", "-Q", "-w", "node1", *options)
    assert [each["gpu"] for each in metrics(folder)] == [""] * 4


def test_within_an_allocation_without_the_users_variables_the_workers_have_them(folder: Folder) -> None:
    """`sbatch --export=NONE`, where srun by itself would give a step no PATH."""
    write(folder, 2)
    command = shlex.join([*support.COMMAND, "submit-job", "model.in"])
    needs = shlex.join([f"{name}={os.environ[name]}" for name in ("PATH", "PYTHONPATH") if name in os.environ])
    options = ["--wait", "--export=NONE", "-w", "node2", "-n2", "-o", "out.txt", "-D", str(folder.path)]
    environment = support.environment(**folder.environment)
    subprocess.run(
        ["sbatch", *options, "--wrap", f"export {needs}; {command}"], env=environment, check=True, timeout=250
    )
    assert len({each["worker"] for each in metrics(folder)}) == 2


def test_a_job_that_has_ended_is_known_as_such(folder: Folder) -> None:
    """Also while Slurm still remembers it."""
    write(folder, 2)
    done = subprocess.run(["sbatch", "--parsable", "--wait", "-o", "/dev/null", "--wrap", "true"],
                          capture_output=True, text=True, check=True, timeout=100)  # fmt: skip
    for job in (done.stdout.strip(), "66999999"):
        folder.environment["SLURM_JOB_ID"] = job
        said = folder.hpo("submit-job", "model.in", code=2).stderr
        assert f"SLURM_JOB_ID={job} is of a job that has ended" in said
    assert not (folder.path / "experiments").exists()


def test_within_a_step_the_workers_run_there_and_share_out_its_gpus(folder: Folder) -> None:
    """As with `srun --pty bash`."""
    write(folder, 2)
    inside(folder, "srun", "-Q", "-w", "node4", "-n1", "-c2", "--gres=gpu:2")
    seen = metrics(folder)
    assert {each["step"] for each in seen} == {"0"}
    assert sorted(each["gpu"] for each in seen) == ["0", "1"]


def test_the_shell_that_salloc_runs_on_a_node_is_in_the_allocation(folder: Folder) -> None:
    """Where LaunchParameters has use_interactive_step, that shell is a step of its own kind, which has nothing."""
    write(folder, 2)
    inside(
        folder, "salloc", "-Q", "-w", "node3", "-n2", "--gres=gpu:2", "srun", "-Q", "--interactive", "--preserve-env"
    )
    seen = metrics(folder)
    assert len({each["step"] for each in seen}) == 2
    assert sorted(each["gpu"] for each in seen) == ["0", "1"]


def test_a_single_run_in_an_allocation_runs_right_there(folder: Folder) -> None:
    script = "import os\n\ndef run(hyperparams):\n    print(os.environ['SLURMD_NODENAME'], 'has it')\n    return 7.0\n"
    folder.write(script, "x = [1]", "  run_workflow = 0")
    command = shlex.join([*support.COMMAND, "submit-job", "model.in"])
    options = ["--wait", "-w", "node2", "-o", "out.txt", "-D", str(folder.path)]
    environment = support.environment(**folder.environment)
    subprocess.run(["sbatch", *options, "--wrap", command], env=environment, check=True, timeout=400)
    said = (folder.path / "out.txt").read_text()
    assert "node2 has it" in said
    assert said.rstrip().endswith("7.0")
    assert not (folder.path / "experiments").exists()
