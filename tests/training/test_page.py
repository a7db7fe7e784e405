"""docs/training.md: what its examples show is run, paused, and run on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hpo import shipped, training

PAGE = shipped.folder("models").parent / "docs" / "training.md"
BASH = shutil.which("bash")
R = shutil.which("Rscript")


def example(language: str) -> str:
    """The code block of that language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found, f"no example in {language}"
    return found[1]


def python(folder: Path) -> str:
    (folder / "script.py").write_text(example("python"))
    code = "import script; print(script.run({'rng_seed': 1, 'lr': 0.1, 'epochs': 3}))"
    return subprocess.check_output([sys.executable, "-c", code], cwd=folder, text=True)


def bash(folder: Path) -> str:
    assert BASH
    code = f"candle_get_param() {{ echo 3; }}\n{example('bash')}\necho $candle_value_to_return"
    return subprocess.check_output([BASH, "-euc", code], cwd=folder, text=True)


needs_bash = pytest.mark.skipif(BASH is None, reason="no bash")


@pytest.mark.parametrize("run", [python, pytest.param(bash, marks=needs_bash)])
def test_an_example_is_paused_and_continued(
    run: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(tmp_path)
    reports, stop = tmp_path / "reports", tmp_path / "stop"
    monkeypatch.setenv("HPO_REPORT_FILE", str(reports))
    monkeypatch.setenv("HPO_STOP_FILE", str(stop))
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "first"))
    stop.write_text("pause")
    run(tmp_path)
    assert [json.loads(line)["step"] for line in reports.read_text().splitlines()] == [1]
    assert (tmp_path / "stop.seen").exists()
    stop.unlink()
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "second"))
    monkeypatch.setenv("HPO_RESTORE_FROM", str(tmp_path / "first"))
    assert run(tmp_path) == alone
    assert [json.loads(line)["step"] for line in reports.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.skipif(R is None, reason="no R")
def test_the_r_function_reports_and_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert R
    code = example("r") + "cat(report(3, 0.1)); file.create(Sys.getenv('HPO_STOP_FILE')) -> x; cat(report(100000, 1/3))"
    (tmp_path / "script.R").write_text(code)
    alone = subprocess.check_output([R, "script.R"], cwd=tmp_path, text=True, stderr=subprocess.DEVNULL)
    assert alone == "FALSEFALSE"
    monkeypatch.setenv("HPO_REPORT_FILE", str(tmp_path / "reports"))
    monkeypatch.setenv("HPO_STOP_FILE", str(tmp_path / "stop"))
    assert subprocess.check_output([R, "script.R"], cwd=tmp_path, text=True) == "FALSETRUE"
    lines = [json.loads(line) for line in (tmp_path / "reports").read_text().splitlines()]
    assert lines == [{"step": 3, "value": 0.1}, {"step": 100000, "value": 1 / 3}]
    assert (tmp_path / "stop.seen").exists()


def test_every_call_and_variable_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for name in training.__all__:
        assert f"`{name}" in page
    sources = Path(training.__file__).parent.glob("*.py")
    variables = {name for source in sources for name in re.findall(r"HPO_[A-Z_]+", source.read_text("utf-8"))}
    assert len(variables) >= 5
    assert all(f"`{name}`" in page for name in variables)
