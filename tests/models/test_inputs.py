"""The input files: each runs to its end, shortened, and its header says how many trials it has."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import hpo, need_r, status

from hpo import shipped

INPUTS = shipped.folder("inputs")


@dataclass(frozen=True)
class Row:
    """What is known of an input file.

    trials: how many its header says it has. tiny: words that make it small; spaces stay as they are, and searches
    prune. leaves: a file of its best trial. shares: how many networks its trials share, by which images are judged.
    """

    name: str
    trials: int
    tiny: str = ""
    leaves: str = "params.json"
    shares: int = 0


DIGITS = "dataset=digits default_model.epochs=3 pruner_startup=2"
ROWS = [
    Row("bash", 12),
    Row("bayesian", 40, "default_model.epochs=2 n_trials=12"),
    Row("dcgan", 4, "default_model.epochs=1 ngf=4 ndf=4", "real.png", shares=1),
    Row("dcgan_bayesian", 20, f"{DIGITS} n_trials=9 image_size=16", "real.png", shares=1),
    Row("grid", 12, "default_model.epochs=2"),
    Row("quadratic", 20),
    Row("r", 20),
    Row("random", 20, "default_model.epochs=2 n_trials=4"),
    Row("vae", 8, "default_model.epochs=1", "samples.png"),
    Row("vae_bayesian", 40, f"{DIGITS} n_trials=12", "samples.png"),
    Row("vae_mnist", 25, "dataset=fake"),
]
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def test_none_is_forgotten() -> None:
    assert [row.name for row in ROWS] == sorted(path.stem for path in INPUTS.glob("*.in"))


@each
def test_it_runs_to_its_end_as_imported(row: Row, tmp_path: Path) -> None:
    need_r(INPUTS / f"{row.name}.in")
    imported = hpo("import-template", row.name, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    checked = json.loads(hpo("check", f"{row.name}.in", "--json", cwd=tmp_path).stdout)
    assert checked["ok"] and not checked["warnings"]
    done = hpo("submit-job", f"{row.name}.in", *row.tiny.split(), cwd=tmp_path, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = status(tmp_path)["trials"]
    assert trials["completed"] > 0
    assert trials["completed"] + trials["pruned"] == trials["total"]
    assert trials["pruned"] == 0 or checked["control"]["pruner"] != "none"
    experiment = tmp_path / "experiments/X000"
    best = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)["id"]
    assert (experiment / "run" / best / "result.txt").exists()
    assert (experiment / "run" / best / row.leaves).exists()
    assert "fresh process" not in hpo("show", best, cwd=tmp_path).stdout
    shared = list((experiment / "features").glob("*.pt"))  # the network by which the images of all trials are judged
    assert len(shared) == row.shares


@each
def test_it_has_as_many_trials_as_its_header_says(row: Row, tmp_path: Path) -> None:
    header, _, _ = (INPUTS / f"{row.name}.in").read_text().partition("&control")
    assert re.search(rf"\b{row.trials} (trials|draws)", header)
    checked = json.loads(hpo("check", str(INPUTS / f"{row.name}.in"), "--json", cwd=tmp_path).stdout)
    assert checked["n_trials"] == row.trials
