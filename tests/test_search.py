"""The main job from outside: one command, every trial in its own clear state, and what is left in the folder."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import (
    COMMAND,
    GATED,
    SQUARE,
    environment,
    hpo,
    open_gate,
    processes_with,
    status,
    trial,
    wait_for,
    write_input,
)

#: One script, one way to end for each trial.
ENDS = """
import os, signal, subprocess, sys, time

def run(hyperparams):
    match hyperparams["end"]:
        case "raise":
            raise ValueError("too hot")
        case "nothing":
            return None
        case "exit0":
            sys.exit(0)
        case "exit3":
            sys.exit(3)
        case "signal":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "nan":
            return float("nan")
        case "text":
            return "a string"
        case "flood":
            for _ in range(3):
                os.write(1, b"x" * 1_000_000)
        case "children":
            subprocess.Popen(["sleep", "301"], start_new_session=True)
            os.fork() or time.sleep(301)
        case "late":
            time.sleep(301)
        case "chdir":
            os.chdir("/")
    return 1.5
"""
EXPECTED = {
    "late": ("failed", "the trial ran longer than trial_timeout = 20 s"),  # the others run meanwhile
    "raise": ("failed", "the script raised ValueError: too hot (model.py:7 in run)"),
    "nothing": ("failed", "the value is None, not a number"),
    "exit0": ("failed", "the script ended without a value"),
    "exit3": ("failed", "the script ended with exit code 3"),
    "signal": ("failed", "the script was killed by signal SIGSEGV"),
    "nan": ("failed", "the value is nan, not a finite number"),
    "text": ("failed", "the value is 'a string' (str), not a number"),
    "flood": ("completed", None),
    "children": ("completed", None),
    "chdir": ("completed", None),
    "fine": ("completed", None),
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in which each trial ends in its own way."""
    folder = tmp_path_factory.mktemp("ends")
    rows = "\n".join(json.dumps({"id": end, "end": end}) for end in EXPECTED)
    write_input(folder, ENDS, rows, control="  nworkers = 2\n  trial_timeout = 20\n  max_output = 1000000")
    done = hpo("submit-job", "model.in", cwd=folder, HPO_EXPERIMENTS=str(folder / "experiments"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def in_ends(ends: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HPO_EXPERIMENTS", str(ends / "experiments"))
    return ends


@pytest.mark.parametrize("end", EXPECTED)
def test_each_end_has_its_own_state_and_reason(in_ends, end):
    shown = json.loads(hpo("show", end, "--json", cwd=in_ends).stdout)
    assert (shown["state"], (shown["reason"] or "").split(":", 1)[0]) == (
        EXPECTED[end][0],
        (EXPECTED[end][1] or "").split(":", 1)[0],
    )
    assert len(shown["attempts"]) == 1
    assert (shown["value"] == 1.5) == (end in ("flood", "children", "chdir", "fine"))


def test_nothing_is_left_running(in_ends):
    wait_for(lambda: not processes_with(str(in_ends)))


def test_a_flood_of_output_is_cut_in_the_middle(in_ends):
    output = in_ends / "experiments/X000/run/flood/subprocess_out_and_err.txt"
    assert output.stat().st_size < 1_100_000


def test_a_trial_leaves_what_candle_left(in_ends):
    folder = in_ends / "experiments/X000/run/fine"
    assert float((folder / "result.txt").read_text()) == 1.5
    assert json.loads((folder / "candle_value_to_return.json").read_text()) == {"val_loss": [1.5]}
    params = json.loads((folder / "params.json").read_text())
    assert params["id"] == params["run_id"] == "fine"
    assert (params["experiment_id"], params["timeout"], params["train_bool"]) == ("X000", 20, True)
    assert Path(params["output_dir"]).resolve() == folder.resolve()


def test_the_table_has_results_first_and_then_states(in_ends):
    done = hpo("aggregate-results", "-o", "-", cwd=in_ends)
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["result", "dirname", "id", "end", "state"]
    assert [row[0] for row in rows[1:5]] == ["1.5"] * 4
    assert [row[0] for row in rows[5:]] == [""] * 8
    assert {row[4] for row in rows[5:]} == {"failed"}


def test_a_format_for_the_result(in_ends):
    assert hpo("aggregate-results", "%.3f", "-o", "-", cwd=in_ends).stdout.splitlines()[1].startswith("1.500,")
    wrong = hpo("aggregate-results", "%q", "-o", "-", cwd=in_ends)
    assert (wrong.returncode, "printf" in wrong.stderr) == (2, True)


def test_status_names_the_failures(in_ends):
    done = hpo("status", cwd=in_ends)
    assert "12/12 done: 4 completed, 8 failed" in done.stdout
    assert "exit code 3" in done.stdout


# -- one grid, in every executor and isolation


@pytest.mark.parametrize("executor", ["inline", "local"])
@pytest.mark.parametrize("isolation", ["process", "none"])
def test_every_executor_and_isolation_gives_the_same_table(tmp_path, monkeypatch, executor, isolation):
    monkeypatch.chdir(tmp_path)
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]\ny = [10, 20]", control=f"  isolation = {isolation}\n  nworkers = 2")
    done = hpo("submit-job", "model.in", "--executor", executor, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = hpo("aggregate-results", "-o", "-", cwd=tmp_path).stdout.splitlines()
    assert table == [
        "result,dirname,id,x,y,state",
        "0.0,hpset_00005,hpset_00005,3,10,completed",
        "0.0,hpset_00006,hpset_00006,3,20,completed",
        "1.0,hpset_00003,hpset_00003,2,10,completed",
        "1.0,hpset_00004,hpset_00004,2,20,completed",
        "4.0,hpset_00001,hpset_00001,1,10,completed",
        "4.0,hpset_00002,hpset_00002,1,20,completed",
    ]


def test_a_search_ends_with_the_best_where_the_results_lie_and_what_is_next(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    done = hpo("submit-job", "model.in", cwd=tmp_path)
    assert "best      hpset_00003: 0   x=3" in done.stdout
    assert "results   " in done.stdout
    assert "hpo best X000" in done.stdout


def test_best_prints_a_section_to_paste(tmp_path):
    file = write_input(tmp_path, SQUARE, "x = [1, 2, 3]", defaults="  name = 'a b'\n  x = 9")
    hpo("submit-job", "model.in", cwd=tmp_path)
    section = hpo("best", cwd=tmp_path).stdout
    text = file.read_text()
    head, _, tail = text.partition("&default_model")
    file.write_text(head + section + tail.partition("/\n")[2])
    checked = json.loads(hpo("check", "model.in", "--json", cwd=tmp_path).stdout)
    assert checked["defaults"] == {"name": "a b", "x": 3}
    best = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)
    assert best == {"id": "hpset_00003", "number": 2, "value": 0.0, "params": {"x": 3}}


# -- stopping early


def test_when_the_first_trials_all_fail_alike_the_search_stops_and_shows_the_traceback_once(tmp_path):
    write_input(
        tmp_path, "def run(hyperparams):\n    return 1 / 0\n", f"x = {list(range(50))}", control="  nworkers = 2"
    )
    done = hpo("submit-job", "model.in", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("Traceback (most recent call last)") == 1
    assert "ZeroDivisionError" in done.stderr
    assert "the first 3 trials all failed alike" in done.stdout
    told = status(tmp_path)
    assert told["state"] == "stopped"
    assert 3 <= told["trials"]["failed"] <= 6  # the third failure of either worker at the latest


def test_a_misspelt_objective_stops_the_search(tmp_path):
    script = "def run(hyperparams):\n    return {'val_loss': 1.0, 'acc': hyperparams['x']}\n"
    write_input(tmp_path, script, f"x = {list(range(50))}", control="  nworkers = 2\n  objective = val_los")
    done = hpo("submit-job", "model.in", cwd=tmp_path)
    assert done.returncode == 1
    assert "the first 3 trials all failed alike" in done.stdout
    assert "the script returned no 'val_los', but 'val_loss', 'acc'" in done.stdout
    assert 3 <= status(tmp_path)["trials"]["failed"] <= 6


def test_stop_after_0_never_stops(tmp_path):
    write_input(
        tmp_path, "def run(hyperparams):\n    return 1 / 0\n", f"x = {list(range(8))}", control="  stop_after = 0"
    )
    assert hpo("submit-job", "model.in", cwd=tmp_path).returncode == 1
    assert status(tmp_path)["trials"]["failed"] == 8


@pytest.mark.parametrize("diverged", ["return float('nan')", "raise FloatingPointError('diverged')"])
def test_values_that_are_not_finite_stop_nothing(tmp_path, diverged):
    write_input(tmp_path, f"def run(hyperparams):\n    {diverged}\n    return 1.0\n", f"x = {list(range(6))}")
    assert hpo("submit-job", "model.in", cwd=tmp_path).returncode == 1
    assert status(tmp_path)["trials"]["failed"] == 6


def test_different_failures_stop_nothing(tmp_path):
    script = "def run(hyperparams):\n    raise [KeyError, ValueError, TypeError][hyperparams['x'] % 3]('no')\n"
    write_input(tmp_path, script, f"x = {list(range(8))}")
    hpo("submit-job", "model.in", cwd=tmp_path)
    assert status(tmp_path)["trials"]["failed"] == 8


def test_failed_trials_are_taken_again_on_request(tmp_path):
    flag = tmp_path / "flag"
    script = (
        "import os\n\ndef run(hyperparams):\n"
        f"    if hyperparams['x'] == 2 and not os.path.exists({str(flag)!r}):\n"
        "        raise ValueError('not yet')\n    return 1.0\n"
    )
    write_input(tmp_path, script, "x = [1, 2, 3]")
    hpo("submit-job", "model.in", cwd=tmp_path)
    said = hpo("resume", cwd=tmp_path).stdout
    assert (
        "nothing is left, all 3 trials are done; 1 failed, and 'hpo resume X000 --retry-failed' takes them again"
        in said
    )
    assert trial(tmp_path, "hpset_00002")["state"] == "failed"
    hpo("resume", "--retry-failed", cwd=tmp_path)
    assert len(trial(tmp_path, "hpset_00002")["attempts"]) == 2
    flag.touch()
    assert hpo("resume", "--retry-failed", cwd=tmp_path).returncode == 0
    shown = trial(tmp_path, "hpset_00002")
    assert (shown["state"], len(shown["attempts"])) == ("completed", 3)
    assert [len(trial(tmp_path, f"hpset_0000{n}")["attempts"]) for n in (1, 3)] == [1, 1]


# -- other ways to run


def test_restart_from_exp_goes_on_with_the_same_input_and_script_only(tmp_path):
    file = write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    hpo("submit-job", "model.in", cwd=tmp_path)
    (tmp_path / "experiments/X000/claims/1.done").unlink()
    assert hpo("submit-job", "model.in", "restart_from_exp=X000", cwd=tmp_path).returncode == 0
    assert hpo("list", cwd=tmp_path).stdout.count("X0") == 1
    file.write_text(file.read_text().replace("[1, 2, 3]", "[1, 2, 4]"))
    (tmp_path / "model.py").write_text(SQUARE + "\n")
    done = hpo("submit-job", "model.in", "restart_from_exp=X000", cwd=tmp_path)
    assert done.returncode == 2
    assert "X000 is another experiment: &param_space, model.py differ" in done.stderr


def test_detached_workers_go_on_alone(tmp_path):
    write_input(tmp_path, "import time\n" + SQUARE.replace("return", "time.sleep(0.2); return"), "x = [1, 2, 3, 4]")
    done = hpo("submit-job", "model.in", "--detach", cwd=tmp_path)
    assert done.returncode == 0
    assert "hpo status X000 --watch" in done.stdout
    wait_for(lambda: status(tmp_path)["state"] == "finished")
    assert status(tmp_path)["trials"]["completed"] == 4


def test_resume_starts_no_more_workers_than_were_asked_for(tmp_path):
    write_input(tmp_path, GATED, "x = [2, 3, 4]", control="  nworkers = 2")
    hpo("submit-job", "model.in", "--detach", cwd=tmp_path)
    wait_for(lambda: status(tmp_path)["trials"]["running"] == 2)
    done = hpo("resume", cwd=tmp_path)
    assert (done.returncode, "2 workers have them already" in done.stdout) == (0, True)
    assert len(status(tmp_path)["workers"]) == 2
    open_gate(tmp_path)
    wait_for(lambda: status(tmp_path)["state"] == "finished")


def test_resume_says_when_the_script_has_changed_since(tmp_path):
    write_input(tmp_path, "def run(hyperparams):\n    return 1 / 0\n", "x = [1, 2, 3, 4, 5, 6]")
    stopped = hpo("submit-job", "model.in", cwd=tmp_path)
    assert "submit it again" in stopped.stdout
    (tmp_path / "model.py").write_text(SQUARE)
    assert (
        f"{tmp_path}/model.py has changed since; the copy that was submitted runs" in hpo("resume", cwd=tmp_path).stderr
    )


def test_the_table_of_a_grid_has_the_trials_that_wait(tmp_path):
    write_input(tmp_path, "def run(hyperparams):\n    return 1 / 0\n", "x = [1, 2, 3, 4, 5, 6]")
    hpo("submit-job", "model.in", "nworkers=1", cwd=tmp_path)
    table = hpo("aggregate-results", "-o", "-", cwd=tmp_path).stdout.splitlines()
    assert table[-1] == ",hpset_00006,hpset_00006,6,waiting"
    assert len(table) == 7


def test_a_single_run_works_here_and_leaves_no_experiment(tmp_path):
    write_input(tmp_path, "print('training')\n" + SQUARE, "x = [1, 2, 3]", defaults="  x = 5")
    (tmp_path / "params.json").write_text("mine")
    done = hpo("run", "model.in", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{")
    assert "training" in done.stdout
    assert done.stdout.splitlines()[-1] == "4.0"
    assert (tmp_path / "result.txt").read_text() == "4.0\n"
    assert "training" in (tmp_path / "subprocess_out_and_err.txt").read_text()
    assert (tmp_path / "params.json").read_text() == "mine"
    assert not (tmp_path / "experiments").exists()


KEEPS = """
from hpo.training import checkpoint
def run(hyperparams):
    value = checkpoint.restore() or hyperparams['x']
    checkpoint.save(value, step=1)
    return value
"""


def test_a_second_single_run_begins_anew(tmp_path):
    """Else it would return the value of the first, whatever it is given."""
    write_input(tmp_path, KEEPS, "x = [1, 2, 3]", defaults="  x = 5")
    for x in (5, 6):
        assert hpo("run", "model.in", f"x={x}", cwd=tmp_path).stdout.splitlines()[-1] == f"{x}.0"
    assert (tmp_path / "checkpoints/checkpoint_1.pt").exists()


@pytest.mark.parametrize("word", ["run_workflow=0", "use_candle=0"])
def test_the_keywords_for_a_single_run(tmp_path, word):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]", defaults="  x = 5")
    assert hpo("submit-job", "model.in", word, cwd=tmp_path).stdout.splitlines()[-1] == "4.0"


def test_a_single_run_of_a_row(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    assert hpo("run", "model.in", "--trial", "hpset_00001", cwd=tmp_path).stdout.splitlines()[-1] == "4.0"
    wrong = hpo("run", "model.in", "--trial", "7", cwd=tmp_path)
    assert (wrong.returncode, "numbered from 0 to 2" in wrong.stderr) == (2, True)


def test_a_failing_single_run_is_1_with_its_reason(tmp_path):
    write_input(tmp_path, "def run(hyperparams):\n    raise ValueError('no')\n", "x = [1]")
    done = hpo("run", "model.in", cwd=tmp_path)
    assert done.returncode == 1
    assert f"failed: the script raised ValueError: no ({tmp_path}/model.py:2 in run)" in done.stderr


def test_a_dry_run_makes_nothing(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    for words in (["--dry-run"], ["dry_run=1"]):
        assert hpo("submit-job", "model.in", *words, cwd=tmp_path).returncode == 0
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize("option", ["--detach", "--parsable"])
def test_a_single_run_refuses_what_only_a_search_has(tmp_path, option):
    write_input(tmp_path, SQUARE, "x = [1, 2]", control="  run_workflow = 0", defaults="  x = 5")
    done = hpo("submit-job", "model.in", option, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"this is a single run (run_workflow = 0), which stays here: leave out {option}" in done.stderr


def test_parsable_prints_the_name_alone_of_what_is_resumed_too(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2]")
    hpo("submit-job", "model.in", cwd=tmp_path)
    write_input(tmp_path, SQUARE, "x = [1, 2]", control="  restart_from_exp = X000")
    assert hpo("submit-job", "model.in", "--parsable", cwd=tmp_path).stdout == "X000\n"


def test_parsable_prints_the_name_alone(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    assert hpo("submit-job", "model.in", "--parsable", cwd=tmp_path).stdout == "X000\n"


def test_the_snapshot_runs_not_what_the_script_became(tmp_path):
    write_input(tmp_path, "import helper\n\ndef run(hyperparams):\n    return helper.value()\n", "x = [1]")
    (tmp_path / "helper.py").write_text("def value():\n    raise ValueError('old')\n")
    hpo("submit-job", "model.in", cwd=tmp_path)
    (tmp_path / "helper.py").write_text("def value():\n    return 1.0\n")
    hpo("resume", "--retry-failed", cwd=tmp_path)
    assert f"old ({tmp_path}/helper.py:2 in value)" in trial(tmp_path, "0")["reason"]


# -- mistakes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["statsu"], "unknown command 'statsu'. Did you mean 'status'?"),
        (["status", "X009"], "there is no experiment X009"),
        (["status", "nowhere"], "neither an experiment's number"),
        (["show", "hpset_00004"], "has no trial 'hpset_00004'"),
        (["submit-job", "modle.in"], "modle.in"),
        (["submit-job", "model.in", "nworker=2"], "Did you mean 'nworkers'?"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_2(tmp_path, words, sentence):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    hpo("submit-job", "model.in", cwd=tmp_path)
    done = hpo(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_last_experiment_is_the_last_that_can_be_read(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    hpo("submit-job", "model.in", cwd=tmp_path)
    (tmp_path / "experiments" / "X005").mkdir()
    assert status(tmp_path)["experiment"] == "X000"
    assert status(tmp_path, "last")["experiment"] == "X000"
    assert "the last one is X000" in hpo("status", "X005", cwd=tmp_path).stderr
    hpo("submit-job", "model.in", cwd=tmp_path)
    assert status(tmp_path)["experiment"] == "X006"


def test_detaching_what_runs_in_this_process_is_refused(tmp_path):
    write_input(tmp_path, SQUARE, "x = [1, 2, 3]")
    hpo("submit-job", "model.in", "--executor", "inline", "max_attempts=1", cwd=tmp_path)
    (tmp_path / "experiments/X000/claims/0.done").unlink()
    assert hpo("resume", "--detach", cwd=tmp_path).returncode == 2
    assert hpo("submit-job", "model.in", "--executor", "inline", "--detach", cwd=tmp_path).returncode == 2


def test_without_an_experiment_it_says_how_to_make_one(tmp_path):
    done = hpo("status", cwd=tmp_path)
    assert (done.returncode, "hpo submit-job FILE.in" in done.stderr) == (2, True)


def test_all_mistakes_of_a_file_come_at_once_and_nothing_is_made(tmp_path):
    file = write_input(tmp_path, SQUARE, "x = [1, 2, 3]", control="  worker_typ = k80\n  nworkers = many")
    done = hpo("submit-job", file.name, cwd=tmp_path)
    assert done.returncode == 2
    assert "model.in:4: unknown &control keyword 'worker_typ'. Did you mean 'worker_type'?" in done.stderr
    assert "model.in:5: " in done.stderr
    assert not (tmp_path / "experiments").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="optional: needs /dev/full and a user that is not root")
def test_a_full_disk_is_one_sentence_and_what_was_finished_stays(tmp_path):
    """A small file system of its own is filled by the trials."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("optional: needs the right to mount")
    try:
        script = "def run(hyperparams):\n    open('big', 'w').write('x' * 60_000)\n    return 1.0\n"
        write_input(tmp_path, script, f"x = {list(range(20))}", control="  nworkers = 1\n  max_attempts = 1")
        done = hpo("submit-job", "model.in", cwd=tmp_path, HPO_EXPERIMENTS=str(disk))
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr.replace(
            'Traceback (most recent call last):\n  File "' + str(tmp_path), ""
        )
        completed = json.loads(hpo("status", "--json", cwd=tmp_path, HPO_EXPERIMENTS=str(disk)).stdout)["trials"][
            "completed"
        ]
        assert 1 <= completed < 20
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_reader_that_leaves_is_no_error(tmp_path):
    command = f"{' '.join(COMMAND)} help | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.stderr == ""
