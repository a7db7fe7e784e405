"""From the login node to a job that is noted: what a user's environment, sbatch's talk and a Ctrl-C do meanwhile."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import support

from hpo.slurm import jobs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
SUBMIT = ("submit-job", "model.in", "--executor", "slurm")


@pytest.fixture
def site(tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that gives the number 17, and an input file of three trials for two workers; its commands."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "faraway")
    answers = {
        "scontrol": "ClusterName = faraway\nMaxArraySize = 1001\nMaxJobCount = 10000\nKillWait = 30 sec\n",
        "sinfo": "batch*|1-00:00:00|16|64000|gpu:k80:4|up\n",
        "sbatch": "17;faraway\n",
        "squeue": "",
        "scancel": "",
    }
    for name, text in answers.items():
        (tmp_path / name).write_text(text)
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2")
    return fakes(**{name: f"say {tmp_path / name}" for name in answers})


def instead(room: Path, command: str, text: str) -> None:
    """Have a shell script stand for a command."""
    (room / command).unlink()
    (room / command).write_text(f"#!/bin/bash\n{text}\n")
    (room / command).chmod(0o755)


def experiment(folder: Path) -> Path:
    return folder / "experiments" / "X000"


def options(folder: Path) -> list[str]:
    """What the batch script asks for."""
    return re.findall(r"^#SBATCH '?(.*?)'?$", (experiment(folder) / "submit.sbatch").read_text(), re.M)


# -- the user's environment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "variables", "there", "away"),
    [
        # sbatch would put the variable before a line of the script: the file could not undo what a site's profile says.
        ([], {"SBATCH_EXPORT": "NONE"}, ["--export=NONE"], []),
        (["custom_sbatch_args=--export=ALL"], {"SBATCH_EXPORT": "NONE"}, ["--export=ALL"], ["--export=NONE"]),
        (["worker_type=cpu"], {"SBATCH_GPUS": "2", "SBATCH_GPUS_PER_NODE": "1"}, [], ["--gpus=2", "--gpus-per-node=1"]),
        (["custom_sbatch_args=--gres=gpu:2"], {"SBATCH_GPUS": "4"}, ["--gres=gpu:2"], ["--gpus=4"]),
        ([], {"SBATCH_GPUS": "2", "SBATCH_GPUS_PER_NODE": "1"}, ["--gpus=2"], ["--gpus-per-node=1"]),
        (["custom_sbatch_args=--threads-per-core=2"], {"SBATCH_HINT": "nomultithread"}, [], ["--hint=nomultithread"]),
        ([], {"SBATCH_HINT": "nomultithread", "SLURM_HINT": "multithread"}, ["--hint=nomultithread"], []),
        ([], {"SBATCH_DISTRIBUTION": "block", "SBATCH_MEM_BIND": "local"}, ["--distribution=block", "--mem-bind=local"],
         []),
    ],
)  # fmt: skip
def test_variables_of_sbatch_that_would_come_before_the_script_are_in_it(
    tmp_path: Path, site: Path, control: list[str], variables: dict[str, str], there: list[str], away: list[str]
) -> None:
    instead(site, "sbatch", f"env >'{tmp_path}/seen'\necho 17")
    done = support.hpo(*SUBMIT, *control, cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert set(there) <= set(options(tmp_path))
    assert not set(away) & set(options(tmp_path))
    assert not variables.keys() & {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}


def test_a_profile_that_keeps_the_modules_out_of_jobs_is_named(tmp_path: Path, site: Path) -> None:
    done = support.hpo("check", "model.in", "executor=slurm", cwd=tmp_path, SBATCH_EXPORT="NONE")
    assert "--export=NONE, as SBATCH_EXPORT says" in done.stdout


def test_scancel_asks_nothing_back_and_spares_no_job(
    tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0
    instead(site, "scancel", f"env >'{tmp_path}/seen'")
    for name, value in {"INTERACTIVE": "true", "STATE": "RUNNING", "PARTITION": "other"}.items():
        monkeypatch.setenv(f"SCANCEL_{name}", value)
    jobs.cancel(experiment(tmp_path), ["17"], waiting_only=False)
    assert "SCANCEL_" not in (tmp_path / "seen").read_text()
