"""Kill anything, any time: nothing is lost, nothing runs twice, nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from support import (
    GATED,
    hpo,
    open_gate,
    processes_with,
    start_hpo,
    status,
    wait_for,
    wait_for_no_worker,
    write_input,
)

from hpo import processes
from hpo.experiment import Experiment
from hpo.ledger import failure_of
from hpo.results.view import View
from hpo.trial import State

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="optional: kills by /proc")

#: Each trial leaves a grandchild behind, so that what a kill orphans is seen.
SCRIPT = """
import subprocess, time

def run(hyperparams):
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    time.sleep(0.05)
    return hyperparams["x"] * 2.0
"""
POINTS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_input(tmp_path, SCRIPT, f"x = [{', '.join(str(n) for n in range(POINTS))}]", control="  nworkers = 2")
    return tmp_path


@pytest.fixture
def gated(folder: Path) -> Path:
    """The same points, most of which wait until the gate is opened."""
    (folder / "model.py").write_text(GATED)
    return folder


def is_worker(pid: int) -> bool:
    try:
        return b"hpo.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def tree(submitter: int) -> dict[str, list[int]]:
    """Who is who below a submitting process, which also asks git and others before it has workers."""
    workers = [pid for pid in processes.children(submitter) if is_worker(pid)]
    parents = [pid for worker in workers for pid in processes.children(worker)]
    trials = [pid for parent in parents for pid in processes.children(parent)]
    return {"submitter": [submitter], "worker": workers, "parent": parents, "trial": trials}


def kill_one(submitter: int, victim: str, dice: random.Random) -> None:
    """Send SIGKILL to one process of a kind, or to all processes at once."""
    found = tree(submitter)
    if victim == "all":
        processes.kill(pid for pids in found.values() for pid in pids)
    elif found[victim]:
        processes.kill([dice.choice(found[victim])])


def resume_to_the_end(folder: Path) -> None:
    done = hpo("resume", cwd=folder, HPO_STOPPED_LIMIT="1")
    assert done.returncode == 0, done.stdout + done.stderr


def check_invariants(folder: Path) -> None:
    """Every point has exactly one counted result, none ran again after it, and no process is left."""
    experiment = Experiment(folder / "experiments" / "last")
    claims = experiment.journal().claims()
    commits = Counter(key.split(".")[0] for key in claims if ".done" in key)
    assert commits == {str(n): 1 for n in range(POINTS)}
    view = View(experiment)
    assert [(row.number, row.value, row.reason) for row in view.rows()] == [(n, n * 2.0, None) for n in range(POINTS)]
    for record in view.ledger.trials.values():
        assert record.committed is not None
        ran_again = [k for k in record.attempts if k > record.committed[0]]
        assert not ran_again, f"trial {record.number} ran again after attempt {record.committed[0]} had been counted"
    wait_for(lambda: not processes_with(str(folder)))
    for worker in os.listdir(experiment.workers):
        assert not processes.marked(worker)


class Watcher:
    """Opens the status all the while, as a curious user; it must never fail, nor count backwards."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self.faults: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        assert not self.faults, self.faults

    def _run(self) -> None:
        done = 0
        while not self._stop.wait(0.02):
            if not (self._folder / "experiments" / "last").exists():
                continue
            try:
                view = View(Experiment(self._folder / "experiments" / "last"))
                total = sum(view.counts.values())
                if total != POINTS or view.finished < done:
                    self.faults.append(f"{dict(view.counts)} after {done} were done")
                done = view.finished
            except Exception as error:
                self.faults.append(repr(error))


@pytest.mark.parametrize("victim", ["trial", "worker", "parent", "submitter", "all"])
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_a_random_moment_and_resumed(folder, victim, seed):
    dice = random.Random(f"{victim}/{seed}")
    # three kills may all fall on one trial, which then has failed for good with the attempts that a user gets
    submit = start_hpo("submit-job", "model.in", "max_attempts=9", cwd=folder)
    with Watcher(folder):
        wait_for((folder / "experiments" / "last").exists)
        for _ in range(3):
            time.sleep(dice.uniform(0, 0.5))
            kill_one(submit.pid, victim, dice)
        if victim not in ("submitter", "all"):
            submit.wait(timeout=120)
        submit.kill()
        submit.communicate()
        wait_for_no_worker(folder)
        resume_to_the_end(folder)
    check_invariants(folder)


def test_a_stopped_worker_that_wakes_up_late_does_not_count_twice(gated):
    submit = start_hpo("submit-job", "model.in", cwd=gated)
    wait_for(lambda: tree(submit.pid)["trial"])
    sleeping = tree(submit.pid)["worker"][0]
    os.kill(sleeping, signal.SIGSTOP)
    open_gate(gated)
    # the other worker takes over what the stopped one held, once it has been stopped for long
    resume_to_the_end(gated)
    processes.kill([sleeping], signal.SIGCONT)
    submit.wait(timeout=120)
    submit.communicate()
    check_invariants(gated)


def test_two_resumes_at_once_run_nothing_twice(gated):
    submit = start_hpo("submit-job", "model.in", cwd=gated)
    wait_for(lambda: tree(submit.pid)["trial"])
    processes.kill([submit.pid])
    submit.communicate()
    wait_for_no_worker(gated)
    open_gate(gated)
    both = [start_hpo("resume", cwd=gated) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    for process in both:
        process.communicate()
    check_invariants(gated)
    view = View(Experiment(gated / "experiments" / "last"))
    runs = Counter(number for number, record in view.ledger.trials.items() for _ in record.attempts)
    assert max(runs.values()) <= 2  # the attempt that was killed, and one more


def test_a_worker_lost_while_failed_trials_are_tried_again_is_replaced(folder):
    (folder / "model.py").write_text(
        "import os, signal\nfrom pathlib import Path\n\ndef run(hyperparams):\n"
        "    tries = Path(os.environ['HPO_SUBMIT_DIR'], f\"tries{hyperparams['x']}\")\n"
        "    tries.open('a').write('x')\n"
        "    if hyperparams['x'] == 4 and tries.read_text() == 'x':\n"
        "        raise ValueError('the first time')\n"
        "    if hyperparams['x'] == 4 and tries.read_text() == 'xx':\n"
        "        worker = int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])\n"
        "        os.kill(worker, signal.SIGKILL)\n"
        "        signal.pause()\n"
        "    return hyperparams['x'] * 2.0\n"
    )
    assert hpo("submit-job", "model.in", "nworkers=1", cwd=folder).returncode == 0
    done = hpo("resume", "--retry-failed", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "tries4").read_text() == "xxx"
    assert View(Experiment(folder / "experiments" / "last")).counts[State.COMPLETED] == POINTS


def test_reports_that_nobody_lived_to_record_are_found_when_the_trial_goes_on(folder):
    """The checkpoint of a step and its report survive together: pruners see no gap in the curve."""
    (folder / "model.py").write_text(
        "import os, signal\nfrom pathlib import Path\nfrom hpo import training\n\ndef run(hyperparams):\n"
        "    worker = int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])\n"
        "    tries = Path(os.environ['HPO_SUBMIT_DIR'], 'tries')\n"
        "    epoch = training.checkpoint.restore(0)\n"
        "    tries.open('a').write(f'{epoch} ')\n"
        "    while epoch < 5:\n"
        "        epoch += 1\n"
        "        doomed = tries.read_text() == '0 ' and epoch > 2\n"
        "        if doomed:\n"
        "            os.kill(worker, signal.SIGSTOP)  # so that it does not read what follows\n"
        "        training.report(epoch, epoch / 4)\n"
        "        training.checkpoint.save(epoch, step=epoch)\n"
        "        if doomed and epoch == 4:\n"
        "            os.kill(worker, signal.SIGKILL)\n"
        "            signal.pause()\n"
        "    return 0.0\n"
    )
    (folder / "model.in").write_text((folder / "model.in").read_text().replace("1, 2, 3, 4, 5, 6, 7, 8, 9", ""))
    done = hpo("submit-job", "model.in", "nworkers=1", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "tries").read_text() == "0 4 "
    view = View(Experiment(folder / "experiments" / "last"))
    assert view.trial(0)["reports"] == [(step, step / 4) for step in range(1, 6)]
    assert not (view.experiment.run_folder(view.row(0).id) / ".reports").exists()


def test_a_worker_lost_too_often_fails_the_trial_and_only_it(folder):
    """Deaths count against `max_attempts`, and the trial is named with its reason."""
    (folder / "model.py").write_text(
        "import os, signal\n\ndef run(hyperparams):\n"
        "    if hyperparams['x'] == 4:\n"
        "        worker = os.getppid()\n"
        "        worker = int(open(f'/proc/{worker}/stat').read().rpartition(')')[2].split()[1])\n"
        "        os.kill(worker, signal.SIGKILL)\n"
        "        signal.pause()\n"
        "    return hyperparams['x'] * 2.0\n"
    )
    done = hpo("submit-job", "model.in", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    view = View(Experiment(folder / "experiments" / "last"))
    assert view.counts[State.COMPLETED] == POINTS - 1
    row = view.row(4)
    assert (row.state, row.reason) == (State.FAILED, "the worker was lost 3 times")
    assert len(view.ledger.trials[4].attempts) == 3


@pytest.mark.parametrize("cut", range(5))
def test_a_journal_cut_anywhere_loses_its_last_record_at_most(folder, cut):
    assert hpo("submit-job", "model.in", cwd=folder).returncode == 0
    experiment = Experiment(folder / "experiments" / "last")
    dice = random.Random(cut)
    for file in experiment.journals.iterdir():
        data = file.read_bytes()
        last = data.rstrip(b"\n").rfind(b"\n") + 1
        file.write_bytes(
            data[: dice.randrange(last, len(data))] + dice.randbytes(dice.randrange(30)).replace(b"\n", b"")
        )
    assert status(folder)["trials"]["completed"] == POINTS
    resume_to_the_end(folder)
    check_invariants(folder)


def test_a_lost_commit_is_made_again_without_running(folder):
    """A power cut may take a claim and leave the record: who resumes commits the record."""
    assert hpo("submit-job", "model.in", cwd=folder).returncode == 0
    experiment = Experiment(folder / "experiments" / "last")
    (experiment.claims / "3.done").unlink()
    before = len([e for e in experiment.journal().read_new() if e["e"] == "started"])
    resume_to_the_end(folder)
    after = len([e for e in experiment.journal().read_new() if e["e"] == "started"])
    assert before == after
    check_invariants(folder)


def test_an_interrupted_search_keeps_what_is_done_and_goes_on(gated):
    submit = start_hpo("submit-job", "model.in", cwd=gated)
    wait_for(lambda: (gated / "experiments/last").exists() and status(gated)["trials"]["completed"] == 2)
    submit.send_signal(signal.SIGINT)
    out, err = submit.communicate(timeout=120)
    assert submit.returncode == 130, err
    assert "hpo resume X000" in out
    assert status(gated)["state"] == "interrupted"
    open_gate(gated)
    resume_to_the_end(gated)
    check_invariants(gated)
    for event in Experiment(gated / "experiments" / "last").journal().read_new():
        assert event["e"] != "finished" or failure_of(event) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminated_means_143(gated, number):
    submit = start_hpo("submit-job", "model.in", cwd=gated)
    wait_for(lambda: tree(submit.pid)["trial"])
    submit.send_signal(number)
    submit.communicate(timeout=120)
    assert submit.returncode == 143
    open_gate(gated)
    resume_to_the_end(gated)
    check_invariants(gated)


def test_a_second_interrupt_ends_at_once(folder):
    (folder / "model.py").write_text(
        "import signal, time\n\ndef run(hyperparams):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    print('deaf', flush=True)\n"
        "    time.sleep(600)\n"
    )
    submit = start_hpo("submit-job", "model.in", cwd=folder)
    wait_for(
        lambda: any("deaf" in p.read_text() for p in folder.glob("experiments/last/run/*/subprocess_out_and_err.txt"))
    )
    submit.send_signal(signal.SIGINT)
    wait_for(lambda: list(folder.glob("experiments/last/scratch/*/stop")))  # else the two might be one
    submit.send_signal(signal.SIGINT)
    _, err = submit.communicate(timeout=120)
    assert submit.returncode == 130
    assert "ended at once" in err
    wait_for(lambda: not processes_with(str(folder)))


def test_an_interrupt_while_workers_begin_reaches_them_all(folder):
    (folder / "model.py").write_text("import time\n\ndef run(hyperparams):\n    time.sleep(600)\n    return 1.0\n")
    submit = start_hpo("submit-job", "model.in", "nworkers=8", cwd=folder)
    wait_for(lambda: tree(submit.pid)["worker"])
    submit.send_signal(signal.SIGINT)
    submit.communicate(timeout=120)
    assert submit.returncode == 130
    assert status(folder)["trials"]["completed"] == 0
    wait_for(lambda: not processes_with(str(folder)))


def test_many_workers_lost_at_once_do_not_fail_the_search(gated):
    submit = start_hpo("submit-job", "model.in", "nworkers=8", cwd=gated)
    wait_for(lambda: len(tree(submit.pid)["trial"]) == 8)
    lost = tree(submit.pid)["worker"][:7]
    os.kill(submit.pid, signal.SIGSTOP)  # it shall meet them all in one look
    processes.kill(lost)
    wait_for(lambda: not any(map(processes.start_time, lost)))
    os.kill(submit.pid, signal.SIGCONT)
    open_gate(gated)
    submit.communicate(timeout=120)
    assert submit.returncode == 0
    check_invariants(gated)


def test_a_resumed_trial_keeps_what_it_printed_before(folder):
    (folder / "model.py").write_text(
        "import time\nfrom hpo import training\n\ndef run(hyperparams):\n"
        "    first = training.checkpoint.restore() is None\n"
        "    training.checkpoint.save({'step': 1}, 1)\n"
        "    print('first part' if first else 'second part', flush=True)\n"
        "    while first:\n"
        "        time.sleep(0.1)\n"
        "        if training.report(1, 1.0):\n            break\n"
        "    return hyperparams['x'] * 2.0\n"
    )
    submit = start_hpo("submit-job", "model.in", "nworkers=1", cwd=folder)
    output = folder / "experiments/X000/run/hpset_00001/subprocess_out_and_err.txt"
    wait_for(lambda: output.exists() and "first part" in output.read_text())
    submit.send_signal(signal.SIGINT)
    submit.communicate(timeout=120)
    resumed = start_hpo("resume", cwd=folder)
    wait_for(lambda: "second part" in output.read_text())
    resumed.send_signal(signal.SIGINT)
    resumed.communicate(timeout=120)
    assert output.read_text().splitlines()[:2] == ["first part", "second part"]


def test_cancel_from_another_terminal(gated):
    submit = start_hpo("submit-job", "model.in", cwd=gated)
    wait_for(lambda: tree(submit.pid)["trial"])
    done = hpo("cancel", cwd=gated)
    assert done.returncode == 0
    assert "stay" in done.stdout
    submit.communicate(timeout=120)
    assert submit.returncode == 130
    assert status(gated)["state"] == "stopped"
    open_gate(gated)
    resume_to_the_end(gated)
    check_invariants(gated)


BUDGET = 100


def kill_some(submitter: int, dice: random.Random) -> None:
    """SIGKILL for four workers and four trials, by chance."""
    found = tree(submitter)
    for victim in ("worker", "trial"):
        processes.kill(dice.sample(found[victim], min(4, len(found[victim]))))


def test_32_workers_killed_again_and_again_spend_exactly_the_budget(tmp_path):
    """Trials are killed, workers are killed and replaced, the submitter is killed: 100 trials count, each once."""
    control = f"  workflow = bayesian\n  sampler = random\n  n_trials = {BUDGET}\n  nworkers = 32\n  max_attempts = 20"
    file = write_input(tmp_path, GATED, "x = real(2, 10)")
    file.write_text(file.read_text().replace("  workflow = grid\n", f"{control}\n"))
    dice = random.Random(32)
    experiment = tmp_path / "experiments" / "last"

    def ended(submit: subprocess.Popen[str], count: int) -> bool:
        return submit.poll() is not None or View(Experiment(experiment)).finished >= count

    submit = start_hpo("submit-job", "model.in", cwd=tmp_path)
    wait_for(lambda: len(tree(submit.pid)["trial"]) == 32, 300)
    kill_some(submit.pid, dice)
    processes.kill([submit.pid])
    submit.communicate()
    submit = start_hpo("resume", cwd=tmp_path)
    wait_for(lambda: len(tree(submit.pid)["trial"]) >= 8)
    kill_some(submit.pid, dice)
    open_gate(tmp_path)
    for count in (20, 40, 60, 80):
        wait_for(lambda count=count: ended(submit, count))
        kill_some(submit.pid, dice)
    submit.communicate(timeout=120)
    resume_to_the_end(tmp_path)

    claims = Experiment(experiment).journal().claims()
    assert Counter(key for key in claims if ".done" in key) == {f"{n}.done": 1 for n in range(BUDGET)}
    rows = list(View(Experiment(experiment)).rows())
    assert [(row.number, row.state) for row in rows] == [(n, State.COMPLETED) for n in range(BUDGET)]
    assert [row.value for row in rows] == [row.params["x"] * 2.0 for row in rows]
    assert len({row.params["x"] for row in rows}) == BUDGET
    assert sum(len(record.attempts) for record in View(Experiment(experiment)).ledger.trials.values()) > BUDGET
    wait_for(lambda: not processes_with(str(tmp_path)))
