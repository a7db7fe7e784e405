"""The warm parent: its rules, and the guard over each of them, broken one by one."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from runner_support import Bench
from support import wait_for

from hpo import processes
from hpo.runners import supervision
from hpo.trial import Interrupt

pytestmark = pytest.mark.skipif(not processes.LINUX, reason="optional: elsewhere every trial is a fresh process")
PACKAGES = Path(__file__).parent / "packages"


def run(bench: Bench, script: str = "parentage.py", preload: tuple[str, ...] = (), **more: Any) -> Any:
    return bench.run(bench.script(script, preload=preload), supp_pythonpath=[str(PACKAGES)], **more)


def test_it_imports_what_the_script_imports_and_nothing_of_the_users(bench: Bench) -> None:
    seen = run(bench, preload=("numpy", "torch")).metrics
    assert seen["before"] == ["torch", "numpy", "parentage"]  # the script is being imported when it looks
    assert seen["neighbour"] == "a neighbour"
    assert seen["threads"] == 1
    assert seen["private_kib"] < 40 * 1024
    assert not seen["fresh"]


def test_it_is_started_with_one_thread_per_library_and_a_passive_openmp(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert run(bench).metrics["environ"] == {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
    }


def test_it_serves_one_trial_after_the_other(bench: Bench) -> None:
    first, second = run(bench).metrics, run(bench).metrics
    assert first["parent"] == second["parent"]
    assert first["pid"] != second["pid"]


def test_trials_have_the_threads_they_are_given(bench: Bench) -> None:
    result = run(bench, "many_threads.py", preload=("numpy", "torch"), nthreads=2)
    assert result.failure is None
    assert (result.metrics["torch_threads"], result.metrics["omp"]) == (2, "2")
    assert result.metrics["threads"] >= 2
    one = run(bench, "many_threads.py", preload=("numpy", "torch"), nthreads=1).metrics
    assert (one["torch_threads"], one["omp"], one["threads"]) == (1, "1", 1)


# -- the guards --------------------------------------------------------------------------------------------------------


def test_a_package_that_starts_a_thread_makes_trials_fresh_processes(bench: Bench) -> None:
    for _ in range(2):
        result = run(bench, preload=("starts_a_thread",))
        assert result.metrics["fresh"]
        assert result.notes == ("ran in a fresh process, because 2 threads run in the one that imported its packages",)


def test_a_thread_that_starts_later_is_noticed_before_the_next_fork(bench: Bench) -> None:
    first = run(bench, preload=("starts_a_thread_later",))
    assert (first.metrics["fresh"], first.notes) == (False, ())
    parent = first.metrics["parent"]
    os.kill(parent, signal.SIGUSR1)
    wait_for(lambda: len(os.listdir(f"/proc/{parent}/task")) == 2)
    second = run(bench, preload=("starts_a_thread_later",))
    assert second.metrics["fresh"]
    assert "2 threads" in second.notes[0]
    assert second.metrics["parent"] == parent  # it executed itself anew


def test_a_package_that_used_cuda_makes_trials_fresh_processes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PACKAGES / "spoilt"))
    result = run(bench, preload=("torch",))
    assert result.metrics["fresh"]
    assert result.notes == ("ran in a fresh process, because CUDA was used while its packages were imported",)


def test_a_package_that_fails_is_left_for_the_script_to_meet(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "unlucky.py"
    script.write_text("import fails_on_import\n")
    result = bench.run(bench.script(script, preload=("fails_on_import",)), supp_pythonpath=[str(PACKAGES)])
    assert result.failure is not None
    assert result.failure.detail == "OSError: libbroken.so: cannot open shared object file"
    assert result.failure.where == f"{script}:1 in <module>"


def test_a_package_that_is_missing_is_met_by_the_script(bench: Bench) -> None:
    assert run(bench, preload=("surely_not_installed",)).value == 0.0


def test_a_package_that_kills_the_parent_is_not_imported_beforehand(bench: Bench) -> None:
    for _ in range(2):
        result = run(bench, preload=("aborts_on_import",))
        assert result.value == 0.0
        assert result.notes == ("no package is imported beforehand, because that ended the interpreter: no licence",)


def test_a_package_that_hangs_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PRELOAD_LIMIT", 1.0)
    # at the first look the first parent has its limit; the second, which is well, has all the time that it needs
    bench.watch.answer = lambda _: monkeypatch.setattr(supervision, "PRELOAD_LIMIT", 600.0)
    assert run(bench, preload=("hangs_on_import",)).value == 0.0


def test_a_trial_can_be_stopped_while_packages_are_imported(bench: Bench) -> None:
    bench.watch.answer = lambda _: Interrupt.PAUSE
    assert run(bench, preload=("hangs_on_import",)).paused
    assert bench.marked() == []


def test_what_packages_print_is_in_the_output_of_each_trial(bench: Bench) -> None:
    for _ in range(2):
        run(bench, preload=("prints_on_import",))
        assert bench.output == "a package greets\nso does its native part\n"


def test_a_parent_killed_between_two_trials_is_replaced(bench: Bench) -> None:
    first = run(bench).metrics
    os.kill(first["parent"], signal.SIGKILL)
    wait_for(lambda: not processes.start_time(first["parent"]))
    second = run(bench)
    assert second.value == 0.0
    assert second.metrics["parent"] != first["parent"]


def test_a_scheduler_s_sigterm_to_all_processes_leaves_the_parent_alone(bench: Bench) -> None:
    first = run(bench).metrics
    os.kill(first["parent"], signal.SIGTERM)
    assert run(bench).metrics["parent"] == first["parent"]


def test_a_platform_without_fork_runs_fresh_processes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parent does on macOS: no prctl, no /proc, a group that is killed."""
    program = "import runpy, sys; sys.platform = 'darwin'; sys.argv[0] = sys.argv[1]; del sys.argv[1]; " \
        "runpy.run_path(sys.argv[0], run_name='__main__')"  # fmt: skip
    runner = bench.runner(bench.script("parentage.py", preload=("numpy",)), supp_pythonpath=[str(PACKAGES)])
    launch = runner.launch()
    launch.parent = [*launch.parent, "-c", program]
    runner.launch = lambda: launch
    result = run(bench, preload=("numpy",))
    assert result.value == 0.0
    assert result.metrics["fresh"]
