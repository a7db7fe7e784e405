"""docs/model-scripts.md says all there is: each variable that a script finds, each failure, each runner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runner_support import SCRIPTS, Bench

from hpo import registry
from hpo.trial import FAILURES

PAGE = (SCRIPTS.parents[2] / "docs" / "model-scripts.md").read_text()


def test_every_variable_that_a_script_finds_is_on_the_page(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "variables.py"
    script.write_text("import os\ndef run(p): return {'val_loss': 0, 'names': sorted(os.environ)}\n")
    names = {name for name in bench.run(script).metrics["names"] if name.startswith("HPO_")}
    assert {"HPO_REPORT_FILE", "HPO_STOP_FILE", "HPO_RESULT_FILE", "HPO_SCRIPT", "HPO_PARAMS_FILE"} < names
    assert [name for name in names - {"HPO_WORKER", *os.environ} if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("kind", sorted(set(FAILURES) - {"walltime", "storage"}))
def test_every_failure_of_a_script_is_on_the_page(kind: str) -> None:
    words = (
        kind.replace("cuda", "CUDA")
        .replace("-", " ")
        .replace("parent lost", "parent")
        .replace("worker lost", "lost worker")
    )
    assert words in PAGE or words.replace("worker", "worker or parent") in PAGE


def test_every_runner_is_on_the_page() -> None:
    assert " | ".join(registry.RUNNERS) in PAGE
