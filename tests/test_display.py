"""What a user sees while a search runs: on a terminal, and elsewhere."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest
from support import COMMAND, environment, hpo, write_input

from hpo.experiment import Experiment
from hpo.results.progress import Tally

SCRIPT = (
    "import os, time\n\ndef run(hyperparams):\n"
    "    while hyperparams['x'] > 2 and 'GATE' in os.environ and not os.path.exists(os.environ['GATE']):\n"
    "        time.sleep(0.05)\n"
    "    if hyperparams['x'] == 2:\n        raise ValueError('not [bold] two')\n"
    "    return (hyperparams['x'] - 3) ** 2\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_input(tmp_path, SCRIPT, "x = [1, 2, 3, 4]", control="  nworkers = 2")
    return tmp_path


CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(folder: Path, *shown: str, **variables: str) -> str:
    """What `hpo submit-job` writes to a terminal, control sequences included.

    Trials 3 and 4 go on when all patterns of `shown` have been seen.
    """
    gate = folder / "gate"
    ours, theirs = pty.openpty()
    command = [*COMMAND, "submit-job", "model.in"]
    given = environment(TERM="xterm", COLUMNS="100", GATE=str(gate), **variables)
    process = subprocess.Popen(command, cwd=folder, env=given, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    end = time.monotonic() + 120
    while True:
        if not select.select([ours], [], [], max(0.0, end - time.monotonic()))[0]:
            process.kill()
            break
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
        if all(re.search(pattern, CONTROLS.sub("", seen.decode(errors="replace"))) for pattern in shown):
            gate.touch()
    os.close(ours)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def test_a_terminal_shows_a_bar_the_running_trials_the_best_and_the_time_left(folder):
    shown = [r"X000 .*2/4, \d+ s left, best", r"hpset_00003  \d+ s"]
    seen = CONTROLS.sub("", on_terminal(folder, *shown))
    assert all(re.search(pattern, seen) for pattern in shown)
    assert "hpset_00002 failed: the script raised ValueError: not [bold] two" in seen.replace("\r\n", " ").replace(
        "  ", " "
    )
    assert "X000 finished: 4 trials, 3 completed, 1 failed" in seen


def test_no_color_is_honoured(folder):
    seen = on_terminal(folder, "2/4", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", seen)


def test_elsewhere_each_event_is_a_line_with_its_time(folder):
    lines = hpo("submit-job", "model.in", cwd=folder).stderr.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    told = [line[9:] for line in lines]
    assert sorted(line for line in told if line.endswith("started")) == [f"hpset_0000{n} started" for n in (1, 2, 3, 4)]
    assert any(re.fullmatch(r"hpset_00003 completed: 0, the best so far \(\d/4\)", line) for line in told)
    assert any(line.startswith("hpset_00002 failed: the script raised ValueError") for line in told)


def test_a_trial_that_is_lost_for_the_last_time_has_failed_and_is_counted(tmp_path):
    script = (
        "import os, signal\n\ndef run(hyperparams):\n"
        "    if hyperparams['x'] == 1:\n        os.kill(os.getpid(), signal.SIGKILL)\n    return 1.0\n"
    )
    write_input(tmp_path, script, "x = [1, 2]", control="  max_attempts = 3")
    told = [line[9:] for line in hpo("submit-job", "model.in", cwd=tmp_path).stderr.splitlines()]
    ends = [line.partition(":")[0] for line in told if line.startswith("hpset_00001") and "started" not in line]
    assert ends == ["hpset_00001 lost", "hpset_00001 lost", "hpset_00001 failed"]
    assert Tally(Experiment(tmp_path / "experiments" / "last")).counted == "2/2"


def test_messages_go_to_standard_error_and_results_to_standard_output(folder):
    done = hpo("submit-job", "model.in", cwd=folder)
    assert "started" not in done.stdout
    assert "results" not in done.stderr


def test_status_watches_until_the_end(folder):
    hpo("submit-job", "model.in", "--detach", cwd=folder)
    done = hpo("status", "--watch", cwd=folder)
    assert done.returncode == 0
    assert "4/4 done: 3 completed, 1 failed" in done.stdout
