"""report, time_left, stop_requested: what a script tells and is told."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hpo import training


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that reports go to; the file of stop requests is beside it and named `stop`."""
    monkeypatch.setenv("HPO_REPORT_FILE", str(tmp_path / "reports.jsonl"))
    monkeypatch.setenv("HPO_STOP_FILE", str(tmp_path / "stop"))
    return tmp_path / "reports.jsonl"


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_report_is_a_line(reports: Path) -> None:
    assert training.report(1, 0.5) is False
    assert training.report(2, 0.25) is False
    assert lines(reports) == [{"step": 1, "value": 0.5}, {"step": 2, "value": 0.25}]


def test_numpy_scalars_are_numbers(reports: Path) -> None:
    training.report(np.int64(3), np.float32(0.5))
    assert lines(reports) == [{"step": 3, "value": 0.5}]


def test_torch_scalars_are_numbers(reports: Path) -> None:
    torch = pytest.importorskip("torch")
    training.report(1, torch.tensor(2.5))
    assert lines(reports) == [{"step": 1, "value": 2.5}]


@pytest.mark.parametrize(
    ("step", "value", "sentence"),
    [
        (1, "low", "report takes a number as its value, not 'low'"),
        (1, None, "report takes a number as its value, not None"),
        ("one", 0.5, "report takes an integer as its step, not 'one'"),
        (1.5, 0.5, "report takes an integer as its step, not 1.5"),
    ],
)
def test_what_is_no_number_is_named(reports: Path, step: object, value: object, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        training.report(step, value)  # type: ignore[arg-type]
    assert not reports.exists()


def test_reports_of_several_threads_do_not_mix(reports: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: training.report(n, n / 7), range(2000)))
    assert sorted(line["step"] for line in lines(reports)) == list(range(2000))


@pytest.mark.parametrize("reason", ["pause", "prune"])
def test_a_request_to_stop_is_obeyed_and_acknowledged(reports: Path, reason: str) -> None:
    stop = reports.with_name("stop")
    stop.write_text(f"{reason}\n")
    assert training.stop_requested() == reason
    assert not reports.with_name("stop.seen").exists(), "only report() promises to stop"
    assert training.report(1, 0.5) is True
    assert lines(reports) == [{"step": 1, "value": 0.5}]
    assert reports.with_name("stop.seen").exists()


def test_an_empty_request_is_a_pause_with_which_nothing_is_lost(reports: Path) -> None:
    reports.with_name("stop").touch()
    assert training.stop_requested() == "pause"


def test_nothing_is_acknowledged_that_was_not_asked(reports: Path) -> None:
    training.report(1, 0.5)
    assert not reports.with_name("stop.seen").exists()


def test_time_left_counts_down_to_the_end_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_END_TIME", str(time.time() + 100))
    left = training.time_left()
    assert left is not None and 0 < left <= 100
    monkeypatch.setenv("HPO_END_TIME", "1000.5")
    left = training.time_left()
    assert left is not None and left < 0


def test_outside_an_experiment_everything_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HPO_REPORT_FILE", "HPO_STOP_FILE", "HPO_END_TIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert training.report(1, 0.5) is False
    assert training.stop_requested() is None
    assert training.time_left() is None
    assert list(tmp_path.iterdir()) == []


def test_importing_it_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, hpo.training; print(sorted({'torch', 'numpy', 'rich'} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
