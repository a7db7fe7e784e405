"""Whatever a script does, the worker goes on, the reason is right, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runner_support import SCRIPTS, Bench, Listener
from support import wait_for

from hpo import processes
from hpo.runners import base, supervision
from hpo.trial import Interrupt


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("exit-0-before", "the script ended without a value: it set neither val_to_return nor candle_value_to_return "
         "nor a history"),
        ("os-exit-before", "the script ended without a value: it set neither val_to_return nor candle_value_to_return "
         "nor a history"),
        ("os-exit-3-before", "the script ended with exit code 3"),
        ("os-exit-nan", "the value is nan, not a finite number"),
        ("exit-3-after", "the script ended with exit code 3"),
        ("abort", "the script was killed by signal SIGABRT"),
        ("segfault", "the script was killed by signal SIGSEGV"),
        ("term", "the script was killed by signal SIGTERM"),
        ("kill", "the trial was killed from outside (SIGKILL)"),
        ("kill-parent", "the process that forks the trials was lost: it ended with status -9"),
    ],
)  # fmt: skip
def test_how_a_script_may_end_without_a_value(shared_bench: Bench, kind: str, sentence: str) -> None:
    result = shared_bench.run("ends.py", "plain", {"kind": kind})
    assert result.value is None
    assert result.failure is not None
    assert result.failure.sentence == sentence
    assert result.failure.retried == (kind in ("kill", "kill-parent"))
    assert shared_bench.marked() == [] or kind != "kill-parent"
    assert shared_bench.run("ends.py", "plain", {"kind": "normal"}).value == 1.5


def test_a_sigkill_of_the_kernel_for_want_of_memory_is_told_apart(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = iter([3, 4])
    monkeypatch.setattr(base, "oom_kills", lambda: next(counter))
    result = bench.run("ends.py", "plain", {"kind": "kill"})
    assert result.failure is not None
    assert result.failure.sentence == "the machine ran out of memory and killed the trial"
    assert result.failure.retried


@pytest.mark.parametrize("kind", ["exit-0-after", "os-exit-after"])
def test_an_end_after_the_value_was_set_is_a_success(shared_bench: Bench, kind: str) -> None:
    assert shared_bench.run("ends.py", "plain", {"kind": kind}).value == 1.5


def test_a_crash_in_native_code_shows_its_python_frames(bench: Bench) -> None:
    bench.run("ends.py", "plain", {"kind": "segfault"})
    assert f'File "{SCRIPTS / "ends.py"}", line 19 in <module>' in bench.output


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("child", "what the script left running was ended: 1 process"),
        ("daemon", "what the script left running was ended: 1 process"),
        ("environment", "what the script left running was ended: 1 process"),
        ("fleeing", None),  # it may be caught before it has left its group, and then nothing was left running
        ("thread", "it ended with signal SIGALRM after its value was known"),
        ("atexit-hangs", "it ended with signal SIGALRM after its value was known"),
        ("atexit-exits", "it ended with exit code 9 after its value was known"),
        ("forks-and-returns", ""),
        ("handlers", ""),
        ("closes-stdout", ""),
        ("closes-everything", ""),
        ("deletes-folder", ""),
        ("deletes-scratch", ""),
        ("chdir", ""),
    ],
)
def test_what_does_not_keep_a_script_from_its_value(
    shared_bench: Bench, kind: str, note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = shared_bench.run("hostile.py", params={"kind": kind, "seconds": shared_bench.seconds})
    assert (result.value, result.failure) == (1.0, None)
    if note is not None:
        assert note in "".join(result.notes)
        assert bool(note) == bool(result.notes)
    assert sleepers(shared_bench) == set()
    assert not [pid for parent in processes.children(os.getpid()) for pid in processes.children(parent)]
    assert shared_bench.run("square.py", params={"x": 2}).value == 4.0


def sleepers(bench: Bench) -> set[str]:
    """The processes `sleep` that its scripts have left, also those without any environment."""
    found = subprocess.run(["pgrep", "-f", f"sleep {bench.seconds}"], capture_output=True, text=True, check=False)
    return set(found.stdout.split())


def test_exit_handlers_run_and_are_heard(bench: Bench) -> None:
    assert bench.run("hostile.py", params={"kind": "atexit"}).value == 1.0
    assert bench.output == "goodbye from atexit\n"


def test_output_is_kept_byte_for_byte(bench: Bench) -> None:
    assert bench.run("hostile.py", params={"kind": "bytes"}).value == 1.0
    assert bench.attempt is not None
    assert bench.attempt.output.read_bytes() == "naïve ☃\n".encode() + b"\0\xff\xfe\n"


@pytest.mark.parametrize("isolation", ["process", "none"])
def test_of_much_output_head_and_tail_are_kept(bench: Bench, isolation: str) -> None:
    limit = 1_000_000
    params = {"kind": "prints", "megabytes": 64}
    assert bench.run("hostile.py", params=params, max_output=limit, isolation=isolation).value == 1.0
    assert len(bench.output) < limit + 200
    head, _, tail = bench.output.partition("\n[hpo: ")
    assert head == "x" * (limit // 2)
    dropped, _, rest = tail.partition(" bytes of output were dropped here; max_output = 1000000]\n")
    assert len(head) + int(dropped) + len(rest) == 64_000_000 + len("the end\n")
    assert rest.endswith("xxx\nthe end\n")


def test_a_hundred_thousand_reports_arrive_in_order(bench: Bench) -> None:
    assert bench.run("hostile.py", params={"kind": "reports", "count": 100_000}).value == 1.0
    assert bench.watch.reports == [(step, step / 7) for step in range(100_000)]


def test_a_trial_that_ignores_sigterm_is_killed_with_its_children(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "END_GRACE", 0.3)
    result = bench.run("hostile.py", params={"kind": "ignores-term"}, timeout=20.0)  # by then it has printed
    assert result.failure is not None
    assert result.failure.sentence == "the trial ran longer than trial_timeout = 20 s"
    assert bench.output == "waiting\n"
    assert bench.left() == [bench.left()[0]]  # the parent, which serves the next trial
    assert bench.run("square.py", params={"x": 2}).value == 4.0


def test_a_trial_that_stopped_itself_is_killed_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "END_GRACE", 0.1)
    result = bench.run("hostile.py", params={"kind": "stops-itself"}, timeout=0.2)
    assert result.failure is not None
    assert result.failure.kind == "timeout"


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_script(bench: Bench) -> None:
    attempt = bench.new_attempt({"x": 1})
    attempt.folder.rmdir()
    result = bench.runner(bench.script("square.py")).run(attempt, bench.watch)
    assert result.failure is not None
    assert (result.failure.kind, result.failure.retried) == ("storage", True)


# -- requests to stop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [Interrupt.PAUSE, Interrupt.PRUNE])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nothing", "started\n"),
        ("saves-on-term", "started\nsaved\n"),
        ("obeys", "started\nasked to {}\n"),
        ("ignores", "started\n"),
    ],
)
def test_a_script_is_told_to_stop_in_every_way_it_may_listen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, interrupt: Interrupt
) -> None:
    grace = 0.3 if kind == "ignores" else 60.0  # the others end by themselves
    monkeypatch.setattr(supervision, "SAVE_GRACE", grace)
    monkeypatch.setattr(supervision, "END_GRACE", grace)
    bench.watch.answer = lambda watch: interrupt if "started" in bench.output_so_far else None
    result = bench.run("stoppable.py", params={"kind": kind})
    assert (result.paused, result.pruned) == (interrupt is Interrupt.PAUSE, interrupt is Interrupt.PRUNE)
    assert (result.value, result.failure) == (None, None)
    expected = [said.format(interrupt)]
    if kind == "obeys" and interrupt is Interrupt.PRUNE:
        expected.append("started\n")  # there is nothing to save: it is ended at once, mostly before it looks
    assert bench.output in expected


def test_a_script_that_ends_before_it_obeys_has_its_value(bench: Bench) -> None:
    bench.watch.answer = lambda watch: Interrupt.PAUSE if watch.reports else None
    result = bench.run("stoppable.py", params={"kind": "finishes"})
    assert (result.value, result.paused) == (3.0, False)


def test_pruning_follows_a_report_at_once(bench: Bench) -> None:
    bench.watch.answer = lambda watch: Interrupt.PRUNE if watch.reports else None
    result = bench.run("stoppable.py", params={"kind": "reports-and-waits"})
    assert result.pruned
    assert bench.watch.reports == [(1, 0.5)]


def test_sigterm_from_a_scheduler_to_worker_and_trial_is_a_pause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_SHARED_SIGNAL", 60.0)  # the third look comes long before
    asked: list[int] = []
    bench.watch.answer = lambda _: asked.append(1) or (Interrupt.PAUSE if len(asked) > 2 else None)
    result = bench.run("ends.py", "plain", {"kind": "term"})
    assert result.paused


def test_an_exception_of_the_watch_ends_a_trial_that_ignores_sigterm(bench: Bench) -> None:
    def second_ctrl_c(_: Listener) -> None:
        raise KeyboardInterrupt

    bench.watch.answer = second_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        bench.run("hostile.py", params={"kind": "ignores-term"})
    assert bench.marked() == []


@pytest.mark.skipif(not processes.LINUX, reason="optional: only Linux hands orphans to the worker")
def test_when_the_parent_is_killed_nothing_of_the_trial_lives_on(bench: Bench) -> None:
    own = set(processes.children(os.getpid()))

    def kill_the_parent_when_all_is_running(_: Listener) -> None:
        if len(sleepers(bench)) == 3:
            processes.kill(set(processes.children(os.getpid())) - own)

    bench.watch.answer = kill_the_parent_when_all_is_running
    result = bench.run("hostile.py", params={"kind": "all-at-once", "seconds": bench.seconds}, timeout=120)
    assert result.failure is not None
    assert (result.failure.kind, result.failure.retried) == ("parent-lost", True)
    assert sleepers(bench) == set()
    assert bench.run("square.py", params={"x": 2}).value == 4.0


# -- the worker dies -------------------------------------------------------------------------------------------------

WORKER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from runner_support import Bench
bench = Bench(Path({folder!r}), worker={worker!r})
bench.run("hostile.py", params={{"kind": "all-at-once", "seconds": {seconds!r}}})
"""


@pytest.mark.skipif(not processes.LINUX, reason="optional: only Linux tells a process that its parent died")
def test_when_the_worker_is_killed_nothing_of_the_trial_lives_on(bench: Bench, tmp_path: Path) -> None:
    program = WORKER.format(
        tests=str(SCRIPTS.parents[1]), folder=str(tmp_path), worker=bench.worker, seconds=bench.seconds
    )
    worker = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_for(lambda: len(sleepers(bench)) == 3)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    wait_for(lambda: not bench.marked() and not sleepers(bench))
