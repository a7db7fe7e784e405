"""The input files of the models: each runs, shortened, and says in its first line what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import hpo

from hpo import shipped

INPUTS = shipped.folder("inputs")
SHORT = {
    "vae": ["epochs=1"],
    "vae_mnist": ["epochs=1", "batch_size=512", "dataset=fake"],
    "dcgan": ["epochs=1", "ngf=4", "ndf=4"],
}


@pytest.mark.parametrize("name", SHORT)
def test_a_template_runs_as_imported(name: str, tmp_path: Path) -> None:
    imported = hpo("import-template", name, cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    checked = json.loads(hpo("check", f"{name}.in", "--json", cwd=tmp_path).stdout)
    assert checked["ok"] and not checked["warnings"]
    (tmp_path / "run").mkdir()
    done = hpo("run", f"../{name}.in", *SHORT[name], cwd=tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "result.txt").exists()
    assert list((tmp_path / "run").glob("*.png"))


@pytest.mark.parametrize(("name", "trials"), [("vae", 8), ("vae_mnist", 25), ("dcgan", 4)])
def test_the_grid_is_as_large_as_its_first_line_says(name: str, trials: int, tmp_path: Path) -> None:
    first = (INPUTS / f"{name}.in").read_text().splitlines()[0]
    assert f"{trials} trials" in first
    checked = json.loads(hpo("check", str(INPUTS / f"{name}.in"), "--json", cwd=tmp_path).stdout)
    assert checked["n_trials"] == trials


def test_trials_of_the_dcgan_share_what_takes_long(tmp_path: Path) -> None:
    words = ["default_model.epochs=1", "ngf=4", "ndf=4"]
    done = hpo("submit-job", str(INPUTS / "dcgan.in"), *words, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "experiments/X000/features").glob("*.pt"))) == 1
    assert "fresh process" not in hpo("show", "hpset_00001", cwd=tmp_path).stdout
