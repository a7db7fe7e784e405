"""From the login node to a job that is noted: what a user's environment, sbatch's talk and a Ctrl-C do meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import support
from slurm_support import Folder, faraway

from hpo.errors import SchedulerError
from hpo.results.view import View
from hpo.slurm import jobs
from hpo.slurm.request import Array

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: Slurm is Linux's")
SUBMIT = ("submit-job", "model.in", "--executor", "slurm")


@pytest.fixture
def site(tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that gives the number 17, and an input file of three trials for two workers; its commands."""
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "faraway")
    support.write_input(tmp_path, support.SQUARE, "x = [1, 2, 3]", "  nworkers = 2")
    return faraway(tmp_path, fakes, sbatch="17;faraway\n", sinfo="batch*|1-00:00:00|16|64000|gpu:k80:4|up\n")


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
        (["custom_sbatch_args=--gpus=2"], {"SBATCH_GRES": "gpu:4,lscratch:9"}, ["--gpus=2", "--gres=lscratch:9"], []),
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


@pytest.mark.parametrize(("control", "seen"), [("", ""), ("  custom_sbatch_args = --export=ALL", "mine")])
def test_whether_jobs_have_the_submitters_variables_on_a_cluster(folder: Folder, control: str, seen: str) -> None:
    """The site's profile says no; the file has the last word."""
    script = "import os\n\ndef run(hyperparams):\n    return {'val_loss': 1.0, 'own': os.environ.get('OWN', '')}\n"
    folder.write(script, "x = [1]", control)
    folder.environment |= {"SBATCH_EXPORT": "NONE", "OWN": "mine"}
    folder.submit()
    folder.wait_done(1)
    assert [row.metrics["own"] for row in View(folder.experiment).rows()] == [seen]


def test_scancel_asks_nothing_back_and_spares_no_job(
    tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert support.hpo(*SUBMIT, cwd=tmp_path).returncode == 0
    instead(site, "scancel", f"env >'{tmp_path}/seen'")
    for name, value in {"INTERACTIVE": "true", "STATE": "RUNNING", "PARTITION": "other"}.items():
        monkeypatch.setenv(f"SCANCEL_{name}", value)
    jobs.cancel(experiment(tmp_path), ["17"], waiting_only=False)
    assert "SCANCEL_" not in (tmp_path / "seen").read_text()


# -- what sbatch says ------------------------------------------------------------------------------------------------

GREETING = "-----\n  Welcome to the 2025 Supercomputer\n-----\nNo reservation for this job\n"


@pytest.mark.parametrize(
    ("answer", "cluster"),
    [
        (f"{GREETING}17\n", "faraway"),
        (f"{GREETING}17;nearby\nhave a nice day\n", "nearby"),
        (f"16 jobs of yours wait\n{GREETING}Submitted batch job 17\n", "faraway"),
        ("Submitted batch job 17 on cluster nearby\n", "nearby"),
    ],
)
def test_a_job_is_noted_whatever_a_site_prints_beside_its_number(
    tmp_path: Path, site: Path, answer: str, cluster: str
) -> None:
    (tmp_path / "sbatch").write_text(answer)
    done = support.hpo(*SUBMIT, "--parsable", cwd=tmp_path)
    assert done.stdout == "X000;17\n", done.stderr
    assert [(job.id, job.cluster) for job in jobs.recorded(experiment(tmp_path))] == [("17", cluster)]


def test_what_a_sites_plugin_says_of_a_job_that_is_taken_is_passed_on(tmp_path: Path, site: Path) -> None:
    """Once: what it says to a rehearsal it says again."""
    instead(site, "sbatch", "echo 'sbatch: your project has 12 hours left' >&2\necho 17")
    done = support.hpo(*SUBMIT, "--parsable", cwd=tmp_path)
    assert done.stdout == "X000;17\n"
    assert done.stderr.splitlines().count("sbatch: your project has 12 hours left") == 1


@pytest.mark.parametrize(
    ("theirs", "following"),
    [
        ("", "afterany:17"),
        ("custom_sbatch_args=--dependency=afterok:5:6,singleton", "afterok:5:6,singleton,afterany:17"),
        ("custom_sbatch_args=-d afterok:5", "afterok:5,afterany:17"),
        # Slurm takes no other condition beside them; the first array waits for one of them.
        ("custom_sbatch_args=--dependency=afterok:5?afterok:6", "afterany:17"),
    ],
)
def test_arrays_one_after_the_other_wait_for_what_the_user_has_them_wait_for(
    tmp_path: Path, site: Path, theirs: str, following: str
) -> None:
    (tmp_path / "scontrol").write_text("ClusterName = faraway\nMaxArraySize = 2\nMaxJobCount = 9\nKillWait = 30 sec\n")
    done = support.hpo(*SUBMIT, "array=trials", "nworkers=1", *filter(None, [theirs]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    submitted = re.findall(r" sbatch --parsable (.*) /", (site / "calls").read_text())
    assert submitted == ["--array=0-1%1", f"--array=0 --dependency={following}"]


# -- nothing is lost between sbatch's word and the note of it --------------------------------------------------------

#: sbatch, which takes a job and answers when `go` is there.
SLOW = """case "$*" in *--test-only*) exit ;; esac
trap 'touch "{0}/hit"' INT TERM HUP
touch "{0}/begun"
until [ -e "{0}/go" ]; do sleep 0.05; done
echo 17"""


def submitting(folder: Path) -> subprocess.Popen[str]:
    """A command in a terminal's foreground that waits for sbatch."""
    command = [*support.COMMAND, *SUBMIT]
    process = subprocess.Popen(
        command, cwd=folder, env=support.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    support.wait_for((folder / "begun").exists)
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
def test_a_signal_while_sbatch_runs_waits_until_the_job_is_noted(
    tmp_path: Path, site: Path, number: int, code: int
) -> None:
    instead(site, "sbatch", SLOW.format(tmp_path))
    with submitting(tmp_path) as process:
        os.killpg(process.pid, number)
        (tmp_path / "go").touch()
        out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert [job.id for job in jobs.recorded(experiment(tmp_path))] == ["17"]
    assert not (tmp_path / "hit").exists()
    if number == signal.SIGINT:
        assert "waiting, so that no job is lost; Ctrl-C again gives up" in errors
        assert out.endswith("JOB_ID=17\n")


def test_a_ctrl_c_while_sbatch_runs_loses_no_job_on_a_cluster(folder: Folder, fakes: Callable[..., Path]) -> None:
    folder.write(support.SQUARE, "x = [1, 2]", "")
    room = fakes(sbatch="slow")
    command = [*support.COMMAND, "submit-job", "model.in"]
    with subprocess.Popen(
        command, cwd=folder.path, env=support.environment(**folder.environment), start_new_session=True
    ) as process:
        support.wait_for(lambda: (room / "calls").exists() and "--parsable" in (room / "calls").read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    assert len(jobs.recorded(folder.experiment.folder)) == 1
    folder.wait_done(2)


def test_a_second_ctrl_c_leaves_and_says_that_the_job_may_be_there(tmp_path: Path, site: Path) -> None:
    instead(site, "sbatch", SLOW.format(tmp_path))
    with submitting(tmp_path) as process:
        assert process.stderr is not None
        os.killpg(process.pid, signal.SIGINT)
        next(line for line in process.stderr if "Ctrl-C again gives up" in line)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "'squeue --me' shows it" in errors
    assert not jobs.recorded(experiment(tmp_path))
    support.wait_for(lambda: not support.processes_with(str(site)))


def test_a_refusal_is_told_also_to_who_has_pressed_ctrl_c(tmp_path: Path, site: Path) -> None:
    instead(site, "sbatch", SLOW.format(tmp_path).replace("echo 17", "echo 'sbatch: error: no more' >&2; exit 1"))
    with submitting(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)
        (tmp_path / "go").touch()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "sbatch: no more" in errors


@pytest.mark.parametrize("behaviour", ["hang", "garbage"])
def test_when_nobody_knows_whether_the_job_came_through_it_is_said_where_to_look(
    tmp_path: Path, fakes: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    monkeypatch.setattr("hpo.slurm.commands.PATIENCE_TO_SUBMIT", 0.5)
    monkeypatch.setattr("hpo.slurm.jobs.cluster_name", lambda: "faraway")
    fakes(sbatch=behaviour)
    with pytest.raises(SchedulerError, match=r"sbatch did not .* 'squeue --me' whether the job came through"):
        jobs.submit(tmp_path, Array((0,)))
