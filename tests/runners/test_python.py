"""What a Python script may look like, what it may return, and how it may fail. The same with and without a process of
its own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from runner_support import SCRIPTS, Bench

from hpo.trial import Failure, Result

METRICS = {"square_canonical.py": {"loss": 4.0}, "square_improve.py": {"mse": 0.5, "infer_mse": 0.75}}
RETURNS = Bench(Path()).script("returns.py", preload=("numpy", "torch"))
DRAWS = Bench(Path()).script("draws.py", preload=("numpy", "torch"))
ISOLATION = pytest.mark.parametrize("isolation", ["process", "none"])


def failure(result: Result) -> Failure:
    assert result.failure is not None, result
    assert result.value is None
    return result.failure


@ISOLATION
@pytest.mark.parametrize(
    ("file", "form", "value"),
    [
        ("square.py", "run", 9.0),
        ("square_plain.py", "plain", 9.0),
        ("square_canonical.py", "canonical", 10.0),
        ("square_improve.py", "canonical", 9.0),
    ],
)
def test_every_form_gives_its_value(shared_bench: Bench, file: str, form: str, value: float, isolation: str) -> None:
    result = shared_bench.run(file, form, {"x": 3}, isolation=isolation)
    assert result == Result(value=value, metrics=METRICS.get(file, {}))
    assert shared_bench.run(file, form, {"x": 0}, isolation=isolation).value == value - 9.0


@ISOLATION
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("float", 0.1),
        ("integer", 7.0),
        ("fraction", 1 / 3),
        ("history", 4.0),
        ("history-dict", 2.0),
        ("numpy-scalar", 0.5),
        ("numpy-0d", 0.5),
        ("numpy-1", 0.5),
        ("torch-0d", 0.5),
        ("torch-1", 0.5),
    ],
)
def test_what_run_may_return(shared_bench: Bench, kind: str, value: float, isolation: str) -> None:
    assert shared_bench.run(RETURNS, params={"kind": kind}, isolation=isolation).value == value


def test_a_dictionary_keeps_its_other_metrics_as_json(shared_bench: Bench) -> None:
    result = shared_bench.run(RETURNS, params={"kind": "dict"})
    assert result.value == 0.25
    assert result.metrics == {"acc": 0.5, "curve": [1, 2.5], "name": "a", "nan": None}


def test_a_metric_that_is_no_data_is_left_out_and_named(shared_bench: Bench) -> None:
    result = shared_bench.run(RETURNS, params={"kind": "odd-metric"})
    assert (result.value, result.metrics) == (1.0, {})
    assert result.notes == ("the metric 'model' was not kept: it is a Hostile",)


def test_the_objective_may_have_another_name(shared_bench: Bench) -> None:
    assert shared_bench.run(RETURNS, params={"kind": "dict"}, objective="acc").value == 0.5


@ISOLATION
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("none", "the value is None, not a number"),
        ("string", "the value is '0.5' (str), not a number"),
        ("list", "the value is [0.5] (list), not a number"),
        ("bool", "the value is True (bool), not a number"),
        ("complex", "the value is 1j (complex), not a number"),
        ("numpy-bool", "the value is np.True_ (numpy.bool), not a number"),
        ("numpy-2", "the value is array([1., 2.]) (numpy.ndarray), not a number"),
        ("torch-2", "the value is tensor([0., 0.]) (torch.Tensor), not a number"),
        ("hostile", "the value is of type returns.Hostile, not a number"),
        ("nan", "the value is nan, not a finite number"),
        ("inf", "the value is -inf, not a finite number"),
        ("huge", "the value is an integer of 1329 bits, not a finite number"),
        ("nan-val-loss", "the value is nan, not a finite number"),
        ("string-val-loss", "the value is 'low' (str), not a number"),
        ("empty-history", "the value is [] (list), not a number"),
        ("no-val-loss", "the script returned no 'val_loss', but 'loss', 'acc'"),
    ],
)
def test_what_is_no_value(shared_bench: Bench, kind: str, sentence: str, isolation: str) -> None:
    reason = failure(shared_bench.run(RETURNS, params={"kind": kind}, isolation=isolation))
    assert reason.sentence == sentence
    assert not reason.retried


@ISOLATION
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("value", "the script raised ValueError: learning rate too high ({}:30 in run)"),
        ("library", "the script raised JSONDecodeError: Expecting property name enclosed in double quotes: "
         "line 1 column 2 (char 1) ({}:32 in run)"),
        ("unprintable", "the script raised Unprintable: <Unprintable that cannot be shown> ({}:34 in run)"),
        ("unpicklable", "the script raised Unpicklable: ('two', 1) ({}:36 in run)"),
        ("base", "the script raised Quiet: not an Exception ({}:38 in run)"),
        ("interrupt", "the script raised KeyboardInterrupt ({}:40 in run)"),
        ("recursion", "the script raised RecursionError: maximum recursion depth exceeded ({}:24 in deeper)"),
        ("memory", "the script raised MemoryError ({}:44 in run)"),
        ("cuda", "the GPU ran out of memory: CUDA out of memory. Tried to allocate 20.00 MiB ({}:46 in run)"),
        ("chained", "the script raised ValueError: no lr ({}:51 in run)"),
        ("import", "the script could not import surely_not_installed ({}:54 in run)"),
        ("import-name", "the script could not import 'surely_not_there' from 'json' (JSON) ({}:56 in run)"),
        ("group", "the script raised ExceptionGroup: several (2 sub-exceptions) ({}:58 in run)"),
        ("exit-3", "the script ended with exit code 3"),
        ("exit-text", "the script ended with exit code 1: the data are not there"),
        ("exit-0", "the script ended without a value: run called sys.exit before it returned one"),
    ],
)  # fmt: skip
def test_an_exception_is_named_with_its_last_frame_in_the_users_code(
    shared_bench: Bench, kind: str, sentence: str, isolation: str
) -> None:
    reason = failure(shared_bench.run("raises.py", params={"kind": kind}, isolation=isolation))
    assert reason.sentence == sentence.replace("(JSON)", f"({json.__file__})").format(SCRIPTS / "raises.py")


@ISOLATION
def test_the_traceback_begins_in_the_users_code_and_is_in_the_output(bench: Bench, isolation: str) -> None:
    reason = failure(bench.run("raises.py", params={"kind": "chained"}, isolation=isolation))
    assert reason.traceback is not None
    frames = [line for line in reason.traceback.splitlines() if line.startswith('  File "')]
    assert [frame.split('"')[1] for frame in frames] == [str(SCRIPTS / "raises.py")] * 2
    assert 'raise ValueError("no lr") from error' in reason.traceback
    assert bench.output == reason.traceback


@ISOLATION
def test_a_syntax_error_names_file_and_line(bench: Bench, tmp_path: Path, isolation: str) -> None:
    script = tmp_path / "typo.py"
    script.write_text("def run(hyperparams):\n    return (1\n")
    reason = failure(bench.run(script, isolation=isolation))
    assert reason.sentence == f"the script raised SyntaxError: '(' was never closed (typo.py, line 2) ({script}:2)"
    assert "    return (1\n           ^\n" in bench.output


@ISOLATION
def test_the_snapshot_runs_and_not_what_was_edited_since(bench: Bench, tmp_path: Path, isolation: str) -> None:
    names = ("snap_model.py", "snap_package/__init__.py", "snap_package/loss.py")
    sources = (
        "from snap_package.loss import loss\ndef run(p): return loss(p['x'])\n",
        "print(__name__, __file__)\n",
        "def loss(x):\n    return 1 / x\n",
    )
    originals = [tmp_path / "mine" / name for name in names]
    copies = [tmp_path / "code" / name for name in names]
    for path, copy, source in zip(originals, copies, sources, strict=True):
        for file, text in ((path, "raise SystemExit('edited')\n"), (copy, source)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    script = bench.script(originals[0])
    script = type(script)(originals[0], form="run", snapshot=dict(zip(originals, copies, strict=True)))
    assert bench.run(script, params={"x": 4}, isolation=isolation).value == 0.25
    assert bench.output == f"snap_package {originals[1]}\n"
    reason = failure(bench.run(script, params={"x": 0}, isolation=isolation))
    assert reason.where == f"{originals[2]}:2 in loss"
    assert reason.traceback is not None
    assert "    return 1 / x" in reason.traceback  # the line that ran, not the one that is there now


@ISOLATION
def test_a_plain_script_sees_what_it_would_see_by_hand(bench: Bench, isolation: str) -> None:
    result = bench.run("surroundings.py", "plain", {"x": 1, "t": (1, 2)}, isolation=isolation, nthreads=1)
    assert result.failure is None, result
    seen = result.metrics["seen"]
    assert bench.attempt is not None
    assert seen == {
        "file": str(SCRIPTS / "surroundings.py"),
        "name": "__main__",
        "main": True,
        "argv": [str(SCRIPTS / "surroundings.py")],
        "path": str(SCRIPTS),
        "cwd": str(bench.attempt.folder),
        "same": True,
        "trial": bench.attempt.id,
        "sibling": "a neighbour",
    }


def test_extra_arguments_and_folders_reach_the_script(bench: Bench) -> None:
    result = bench.run(
        "surroundings.py", "plain", extra_script_args="--epochs '1 2'", supp_pythonpath=[str(SCRIPTS / "folder")]
    )
    assert result.metrics["seen"]["argv"][1:] == ["--epochs", "1 2"]
    assert result.metrics["extra"] == "from a folder of supp_pythonpath"


@ISOLATION
@pytest.mark.parametrize(
    ("kind", "value"),
    [("both", 1.0), ("history-wins", 0.25), ("history-of-something-else", 1.0), ("candle-wins", 1.0)],
)
def test_which_of_several_values_counts(bench: Bench, kind: str, value: float, isolation: str) -> None:
    assert bench.run("leaves.py", "plain", {"kind": kind}, isolation=isolation).value == value


@ISOLATION
@pytest.mark.parametrize("script", [DRAWS, "draws_late.py"])
def test_equal_seeds_give_equal_draws(shared_bench: Bench, script: Any, isolation: str) -> None:
    first, again, other = (shared_bench.run(script, isolation=isolation, rng_seed=seed) for seed in (7, 7, 8))
    assert first.metrics == again.metrics
    for library in ("random", "numpy", "torch", "order"):
        assert library in first.metrics
    assert all(first.metrics[name] != other.metrics[name] for name in ("random", "numpy", "torch"))


def test_draws_do_not_depend_on_isolation_or_warmth(shared_bench: Bench) -> None:
    results = [shared_bench.run(script) for script in (DRAWS, "draws_late.py")]
    results.append(shared_bench.run(DRAWS, isolation="none"))
    draws = [{name: value for name, value in r.metrics.items() if name != "order"} for r in results]
    assert draws[0] == draws[1] == draws[2]


def test_numbers_travel_exactly(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "exact.py"
    script.write_text("def run(p): return {'val_loss': p['a'], 'b': p['b'], 'same': p['a'] == 0.1 + 0.2}\n")
    result = bench.run(script, params={"a": 0.1 + 0.2, "b": 2**70})
    assert result.value == 0.1 + 0.2
    assert result.metrics == {"b": 2**70, "same": True}


@pytest.mark.parametrize("kind", ["fork", "spawn", "executor", "threads-left-open", "pickle", "loader", "program"])
def test_a_script_may_use_processes_and_threads_of_its_own(shared_bench: Bench, kind: str) -> None:
    script = shared_bench.script("multiprocess.py", preload=("torch",))
    result = shared_bench.run(script, params={"kind": kind})
    assert (result.value, result.failure) == (14.0, None)
    # `spawn` starts a process that ends by itself when the trial has: it may be found, where that takes long
    tracker = ("what the script left running was ended: 1 process",)
    assert result.notes in ([(), tracker] if kind == "spawn" else [()])
    assert shared_bench.output == ""


def test_a_script_in_the_style_of_the_pytorch_examples_runs_as_it_is(bench: Bench) -> None:
    packages = ("torch", "torch.utils.data", "torchvision")
    script = bench.script("exercise_vae.py", form="plain", preload=packages)
    losses = [bench.run(script, params={"batch_size": 50, "epochs": epochs}).value for epochs in (1, 2, 1)]
    assert bench.attempt is not None
    assert losses[0] is not None
    assert losses[1] is not None
    assert losses[0] == losses[2] > losses[1] > 0
    assert sorted(path.name for path in bench.attempt.folder.iterdir()) == ["results", "subprocess_out_and_err.txt"]
    assert f"Test set loss: {losses[0]:.4f}" in bench.output


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is not installed")
def test_the_history_of_a_real_keras_model(bench: Bench) -> None:
    script = bench.script("keras_model.py", form="plain")
    first, again = (bench.run(script, params={"lr": 0.1, "epochs": 3}) for _ in range(2))
    assert first.value == float(bench.output.splitlines()[-1])
    assert set(first.metrics) == {"loss", "mae", "val_mae"}
    assert again.value == first.value
