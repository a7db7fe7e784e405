"""Inside an allocation of the user's own, as its variables tell it: what is asked of srun. No cluster is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import support

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
#: Two nodes, of four CPUs and of two; 400 MB were asked for on each.
THERE = {"SLURM_JOB_ID": "17", "SLURM_JOB_CPUS_PER_NODE": "4,2", "SLURM_MEM_PER_NODE": "400", "SLURM_NTASKS": "6"}


@pytest.fixture
def allocation(tmp_path: Path, fakes: Callable[..., Path]) -> Path:
    """An input file of two trials, and an srun that notes its words and variables, and runs the command behind them."""
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2]", "  nthreads = 2")
    (tmp_path / "version").write_text("slurm-wlm 22.05.8")
    (tmp_path / "left").write_text("N/A|1:00:00\n")
    (tmp_path / "job").write_text(
        "JobId=17 JobName=x\n     Nodes=node1 CPU_IDs=0-2,5 Mem=400 GRES=\n     Nodes=node2 CPU_IDs=0-1 Mem=200 GRES=\n"
    )
    room = fakes(squeue=f"say {tmp_path / 'left'}", scontrol=f"say {tmp_path / 'job'}", sbatch="down")
    (room / "srun").write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "if sys.argv[1:] == ['--version']:\n"
        f"    sys.exit(print(open({str(tmp_path / 'version')!r}).read()))\n"
        f"with open({str(tmp_path / 'srun')!r}, 'a') as file:\n"
        "    about = {'words': sys.argv[1:], 'environ': dict(os.environ), 'parent': os.getppid()}\n"
        "    file.write(json.dumps(about) + '\\n')\n"
        "first = next(n for n, word in enumerate(sys.argv) if n and not word.startswith('-'))\n"
        "os.execvp(sys.argv[first], sys.argv[first:])\n"
    )
    (room / "srun").chmod(0o755)
    return tmp_path


def hpo(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the allocation."""
    there = {name: value for name, value in os.environ.items() if name.startswith("SLURM_")}
    assert not there
    return support.hpo(*words, cwd=folder, **{**THERE, **variables})


def steps(folder: Path) -> list[dict]:
    """What srun was asked for."""
    return [json.loads(line) for line in (folder / "srun").read_text().splitlines()]


def test_the_command_says_where_the_workers_run(allocation):
    """Also when it was told --executor local: that is not this machine here."""
    done = hpo(allocation, "submit-job", "model.in", "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert "inside Slurm's job 17: the workers run in this allocation" in done.stderr
    assert len(steps(allocation)) == 1


def test_an_interactive_run_runs_once(allocation):
    """The allocation has six tasks, which srun would take for what is wanted, as the memory that it was asked for."""
    done = hpo(allocation, "run", "--interactive", "model.in", "--trial", "0", "mem_per_cpu=0.2")
    assert done.returncode == 0, done.stderr
    step = steps(allocation)[0]
    assert {"--nodes=1", "--ntasks=1", "--cpus-per-task=2", "--mem-per-cpu=200M"} <= set(step["words"])
    assert not {"SLURM_NTASKS", "SLURM_MEM_PER_NODE"} & step["environ"].keys()


def test_an_interactive_run_within_a_step_does_not_wait_for_what_that_step_has(allocation):
    done = hpo(allocation, "run", "--interactive", "model.in", "--trial", "0", SLURM_STEP_ID="0")
    assert (done.returncode, done.stderr.count("leave out --interactive")) == (2, 1)
    assert not (allocation / "srun").exists()


@pytest.mark.parametrize("command", [["submit-job", "model.in"], ["run", "--interactive", "model.in"]])
@pytest.mark.parametrize(
    ("line", "variables", "words"),
    [
        (
            "  mem_per_cpu = 1",
            {},
            "mem_per_cpu = 1 GB for each of 2 CPUs is more than a node of this allocation has, 0.4",
        ),
        (
            "  mem_per_cpu = 1",
            {"SLURM_MEM_PER_NODE": "", "SLURM_MEM_PER_CPU": "300"},
            "has, 1.2 GB: ask for more there",
        ),
        ("  mem_per_cpu = 1", {"SLURM_MEM_PER_NODE": ""}, "has, 0.4 GB: ask for more there"),  # the site's default
        ("  cpus_per_task = 8", {}, "cpus_per_task = 8 is more than a node of this allocation has, 4"),
    ],
)
def test_what_no_node_of_it_has_is_refused_before_srun_waits_for_it(allocation, command, line, variables, words):
    support.write_input(allocation, support.SQUARE, "x = [1, 2]", f"  nthreads = 2\n{line}", "  x = 1")
    done = hpo(allocation, *command, **variables)
    assert done.returncode == 2
    assert f"model.in:5: {line.split()[0]} = " in done.stderr
    assert words in done.stderr
    assert not (allocation / "srun").exists()


def test_a_step_that_does_not_begin_is_told(allocation, tmp_path):
    """Another one has the node: srun would wait without a word."""
    (tmp_path / "fakes" / "srun").write_text(
        f"#!/bin/sh\n[ $1 = --version ] || until [ -e '{tmp_path}/told' ]; do sleep 0.05; done\n"
    )
    begins = "from hpo.executors import local\nlocal.TELL_AFTER = 0.5\nfrom hpo.cli import main\nmain()\n"
    with subprocess.Popen(
        [sys.executable, "-c", begins, "submit-job", "model.in"],
        cwd=tmp_path, env=support.environment(**THERE), stderr=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stderr is not None
        told = next(line for line in command.stderr if "no worker has begun" in line)
        (tmp_path / "told").touch()
        command.communicate()
    assert "'squeue --steps -j 17' shows what else runs in this allocation; each worker needs 2 CPUs and 0.2 GB" in told


@pytest.mark.parametrize("detach", [True, False])
def test_steps_end_with_the_command_unless_it_leaves_them_behind(allocation, tmp_path, detach):
    """The kernel tells srun when the command is gone; srun would end all workers."""
    tool = tmp_path / "fakes" / "setpriv"
    tool.write_text(f'#!/bin/sh\ntouch "{tmp_path}/tied"\nshift 2\nexec "$@"\n')
    tool.chmod(0o755)
    done = hpo(allocation, "submit-job", "model.in", *(["--detach"] if detach else []))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tied").exists() is not detach
    support.wait_for(lambda: support.status(tmp_path)["state"] == "finished")


@pytest.mark.parametrize("command", [["submit-job", "model.in"], ["run", "--interactive", "model.in", "--trial", "0"]])
def test_an_allocation_that_began_without_the_users_variables_does_not_keep_them_from_a_step(allocation, command):
    """Within `sbatch --export=NONE` srun would give a step neither PATH nor modules."""
    done = hpo(allocation, *command, SLURM_EXPORT_ENV="NONE")
    assert done.returncode == 0, done.stderr
    assert all("--export=ALL" in step["words"] for step in steps(allocation))


def test_an_interactive_run_is_given_what_the_file_says_of_variables(allocation):
    done = hpo(allocation, "run", "--interactive", "model.in", "--trial", "0", "custom_sbatch_args=--export=PATH")
    assert done.returncode == 0, done.stderr
    words = steps(allocation)[0]["words"]
    assert words.index("--export=ALL") < words.index("--export=PATH")  # the last one holds


@pytest.mark.parametrize(("worker", "there"), [("cpu", "--gres=none"), ("k80", "--gres=gpu:1")])
def test_workers_that_need_no_gpu_do_not_wait_for_one(allocation, worker, there):
    """Of a step that says nothing Slurm would have it take all GPUs."""
    (allocation / "left").write_text("gres:gpu:1|1:00:00\n")
    done = hpo(allocation, "submit-job", "model.in", f"worker_type={worker}")
    assert done.returncode == 0, done.stderr
    assert {word for word in steps(allocation)[0]["words"] if word.startswith("--gres")} == {there}


@pytest.mark.parametrize("variables", [{"SLURM_MEM_PER_NODE": ""}, {"SLURM_MEM_PER_NODE": "0"}])
def test_each_worker_has_its_share_of_memory_that_no_variable_tells(allocation, variables):
    """With --mem=0, or a site's default for each node. Without --mem the first step would take all."""
    done = hpo(allocation, "submit-job", "model.in", **variables)
    assert done.returncode == 0, done.stderr
    assert "--mem=200M" in steps(allocation)[0]["words"]


def test_where_memory_is_not_counted_none_is_asked_for(allocation):
    (allocation / "job").write_text("JobId=17 JobName=x\n     Nodes=node1 CPU_IDs=0-3 Mem=0 GRES=\n")
    done = hpo(allocation, "submit-job", "model.in", SLURM_MEM_PER_NODE="")
    assert done.returncode == 0, done.stderr
    assert not [word for word in steps(allocation)[0]["words"] if word.startswith("--mem")]


@pytest.mark.parametrize(
    ("version", "there"),
    [("slurm 19.05.3-2", "--exclusive"), ("slurm 20.02.7", "--exclusive"), ("slurm 20.11.0", "--exact"),
     ("slurm-wlm 25.05.1", "--exact"), ("who knows", "--exact")],
)  # fmt: skip
def test_workers_leave_the_rest_to_others_on_an_older_slurm_too(allocation, version, there):
    """Before 20.11 srun has no --exact, and its --exclusive means that."""
    (allocation / "version").write_text(version)
    done = hpo(allocation, "submit-job", "model.in")
    assert done.returncode == 0, done.stderr
    assert {"--exact", "--exclusive"} & set(steps(allocation)[0]["words"]) == {there}


@pytest.mark.parametrize("command", [["submit-job", "model.in"], ["run", "--interactive", "model.in"]])
@pytest.mark.parametrize("answer", ["refuse slurm_load_jobs error: Invalid job id specified", "nothing", "TIMEOUT"])
def test_an_allocation_that_is_over_is_told_before_anything_is_made(allocation, fakes, command, answer):
    """As in a tmux that was begun in it."""
    support.write_input(allocation, support.SQUARE, "x = [1, 2]", "", "  x = 1")
    (allocation / "state").write_text("" if answer == "nothing" else f"{answer}\n")
    fakes(squeue=answer if answer.startswith("refuse") else f"say {allocation / 'state'}")
    done = hpo(allocation, *command)
    assert done.returncode == 2
    assert "SLURM_JOB_ID=17 is of a job that has ended: unset SLURM_JOB_ID" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (allocation / "experiments").exists()


def test_what_slurm_does_not_tell_of_an_allocation_is_no_end_of_it(allocation, fakes):
    fakes(squeue="socket")
    done = hpo(allocation, "check", "model.in")
    assert done.returncode == 0
    assert "has ended" not in done.stdout + done.stderr
