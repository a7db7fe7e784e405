"""`hpo import-template`: an input file and its scripts, side by side, never over what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import support

from hpo import checks, shipped, templates
from hpo.cli import main
from hpo.errors import StorageError

INPUTS = shipped.folder("inputs")
NAMES = [template.name for template in templates.all_templates()]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_name_it_lists_each_with_a_line(capsys):
    assert main(["import-template"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(NAMES)
    summary = "The smallest search there is: a grid over a function of two variables, no packages needed"
    assert f"{'quadratic':<12} {summary}" in lines
    assert all(len(line.split()) > 3 for line in lines)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_complete_and_checks_clean_where_it_is_copied_to(name, here):
    support.need_r(INPUTS / f"{name}.in")
    assert main(["import-template", name]) == 0
    checked = checks.check(Path(f"{name}.in"))
    assert {file.parent for file in checked.analysis.files} == {here}
    assert Path(f"{name}.in").read_bytes() == (INPUTS / f"{name}.in").read_bytes()


def test_it_says_what_it_did(capsys):
    assert main(["import-template", "quadratic"]) == 0
    assert capsys.readouterr().out == "copied quadratic.in, quadratic.py\nnext: hpo submit-job quadratic.in\n"


def test_the_smallest_template_gives_its_value():
    main(["import-template", "quadratic.in"])
    names: dict = {}
    exec(Path("quadratic.py").read_text(), names)
    assert names["run"]({"x": 1, "y": 4}) == 4


@pytest.mark.parametrize(
    ("name", "trials", "best", "params"),
    [
        ("bash", 12, 0.0453, {"learning_rate": 0.3, "momentum": 0.5}),
        ("r", 20, 0.0878, {"degree": 5, "penalty": 0}),
    ],
)
def test_the_templates_of_other_languages_run_as_imported(name, trials, best, params, here):
    support.need_r(INPUTS / f"{name}.in")
    assert support.hpo("import-template", name, cwd=here).returncode == 0
    assert f"{trials} trials" in Path(f"{name}.in").read_text().splitlines()[0]
    done = support.hpo("submit-job", f"{name}.in", cwd=here)
    assert (done.returncode, done.stderr.count("warning")) == (0, 0)
    assert support.status(here)["trials"]["completed"] == trials
    found = json.loads(support.hpo("best", "--json", cwd=here).stdout)
    assert found["params"] == params
    assert found["value"] == pytest.approx(best, rel=0.01)


def test_nothing_is_overwritten_and_nothing_copied_by_half(capsys):
    Path("quadratic.py").write_text("mine")
    assert main(["import-template", "quadratic"]) == 2
    assert capsys.readouterr().err == "nothing was copied: quadratic.py would be overwritten\n"
    assert [file.name for file in Path().iterdir()] == ["quadratic.py"]
    assert Path("quadratic.py").read_text() == "mine"


def test_a_dangling_link_is_not_written_through(capsys):
    Path("quadratic.in").symlink_to("elsewhere")
    assert main(["import-template", "quadratic"]) == 2
    assert not Path("elsewhere").exists()


def test_again_is_no_mistake(capsys):
    main(["import-template", "quadratic"])
    assert main(["import-template", "quadratic"]) == 0
    assert "all of it is here already" in capsys.readouterr().out


def test_two_templates_of_one_script():
    assert main(["import-template", "vae"]) == main(["import-template", "vae_mnist"]) == 0
    assert {"vae.in", "vae_mnist.in", "vae.py"} <= {file.name for file in Path().iterdir()}


def test_an_unknown_name(capsys):
    assert main(["import-template", "quadratc"]) == 2
    assert capsys.readouterr().err == "there is no template 'quadratc'. Did you mean 'quadratic'?\n"
    assert main(["import-template", "../quadratic"]) == 2


def test_a_folder_that_cannot_be_written(here):
    (here / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        templates.copy(templates.find("quadratic"), here / "file")
