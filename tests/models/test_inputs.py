"""The input files: each runs to its end, shortened, and its header says how many trials it has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import hpo, status

from hpo import shipped

INPUTS = shipped.folder("inputs")
#: What makes each of them small. Spaces stay as they are, and searches prune.
TINY = {
    "bash": [],
    "bayesian": ["default_model.epochs=2", "n_trials=12"],
    "dcgan": ["default_model.epochs=1", "ngf=4", "ndf=4"],
    "dcgan_bayesian": ["dataset=digits", "image_size=16", "default_model.epochs=3", "n_trials=9", "pruner_startup=2"],
    "grid": ["default_model.epochs=2"],
    "quadratic": [],
    "r": [],
    "random": ["default_model.epochs=2", "n_trials=4"],
    "vae": ["default_model.epochs=1"],
    "vae_bayesian": ["dataset=digits", "default_model.epochs=3", "n_trials=12", "pruner_startup=2"],
    "vae_mnist": ["dataset=fake"],
}
TRIALS = {
    "bash": 12,
    "bayesian": 40,
    "dcgan": 4,
    "dcgan_bayesian": 20,
    "grid": 12,
    "quadratic": 20,
    "r": 20,
    "random": 20,
    "vae": 8,
    "vae_bayesian": 40,
    "vae_mnist": 25,
}
PICTURES = {"vae": "samples.png", "vae_bayesian": "samples.png", "dcgan": "real.png", "dcgan_bayesian": "real.png"}


def _has_r() -> bool:
    if shutil.which("Rscript") is None:
        return False
    return subprocess.run(["Rscript", "-e", "library(jsonlite)"], capture_output=True, check=False).returncode == 0


def test_none_is_forgotten() -> None:
    assert sorted(TINY) == sorted(path.stem for path in INPUTS.glob("*.in")) == sorted(TRIALS)


@pytest.mark.parametrize("name", TINY)
def test_it_runs_to_its_end_as_imported(name: str, tmp_path: Path) -> None:
    if name == "r" and not _has_r():
        pytest.skip("R or its package jsonlite is not installed")
    imported = hpo("import-template", name, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    checked = json.loads(hpo("check", f"{name}.in", "--json", cwd=tmp_path).stdout)
    assert checked["ok"] and not checked["warnings"]
    done = hpo("submit-job", f"{name}.in", *TINY[name], cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = status(tmp_path)["trials"]
    assert trials["completed"] > 0
    assert trials["completed"] + trials["pruned"] == trials["total"]
    assert trials["pruned"] == 0 or checked["control"]["pruner"] == "median"
    experiment = tmp_path / "experiments/X000"
    best = json.loads(hpo("best", "--json", cwd=tmp_path).stdout)["id"]
    assert (experiment / "run" / best / "result.txt").exists()
    assert (experiment / "run" / best / PICTURES.get(name, "params.json")).exists()
    assert "fresh process" not in hpo("show", best, cwd=tmp_path).stdout
    shared = list((experiment / "features").glob("*.pt"))  # the network by which the images of all trials are judged
    assert len(shared) == name.startswith("dcgan")


@pytest.mark.parametrize(("name", "trials"), TRIALS.items())
def test_it_has_as_many_trials_as_its_header_says(name: str, trials: int, tmp_path: Path) -> None:
    header, _, _ = (INPUTS / f"{name}.in").read_text().partition("&control")
    assert re.search(rf"\b{trials} (trials|draws)", header)
    checked = json.loads(hpo("check", str(INPUTS / f"{name}.in"), "--json", cwd=tmp_path).stdout)
    assert checked["n_trials"] == trials
