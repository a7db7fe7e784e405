"""KEY=VALUE on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo.errors import InputError
from hpo.inputfile import InputFile, read

TEXT = """&control
  model_script = m.py
  workflow = grid
  ngpus = 2
/
&default_model
  epochs = 5
  activation = 'relu'
  seed = 1
/
&param_space
  lr = [0.1, 0.2]
/
"""


@pytest.fixture
def given(tmp_path: Path) -> Any:
    (tmp_path / "m.py").write_text("def run(hyperparams):\n    return 0.0\n")
    (tmp_path / "x.in").write_text(TEXT)

    def override(*arguments: str) -> InputFile:
        return read(tmp_path / "x.in", arguments)

    return override


def test_they_go_before_the_file(given: Any) -> None:
    file = given("control.nworkers=4", "default_model.epochs=1", "activation=tanh")
    assert file.control["nworkers"] == 4
    assert file.given["nworkers"] == "command line"
    assert file.defaults == {"epochs": 1, "activation": "tanh", "seed": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2]", [1, 2]),
        ("1.d-3", 0.001),
        (".true.", True),
        ("'5'", "5"),
        ("a=b", "a=b"),
        ("#ff0000", "#ff0000"),
        ("1,2", [1, 2]),
    ],
)
def test_values_are_read_as_in_the_file(given: Any, text: str, value: Any) -> None:
    assert given(f"default_model.epochs={text}").defaults["epochs"] == value


def test_an_older_name_replaces_the_newer_and_the_last_counts(given: Any) -> None:
    assert given("nworkers=3", "ngpus=8").control["nworkers"] == 8


def test_what_it_replaces_is_not_a_mistake_any_more(tmp_path: Path, given: Any) -> None:
    (tmp_path / "x.in").write_text(TEXT.replace("ngpus = 2", "ngpus = many"))
    assert given("nworkers=3").control["nworkers"] == 3


def test_section_and_keyword_in_any_case(given: Any) -> None:
    assert given("CONTROL.NWorkers=3").control["nworkers"] == 3


def test_a_searched_name_may_get_a_default_for_a_single_run(given: Any) -> None:
    assert given("run_workflow=0", "default_model.lr=0.5").defaults["lr"] == 0.5


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("seed=3", "seed=3: both &control and &default_model have it; write control.seed= or default_model.seed="),
        ("epohcs=3", "epohcs=3: neither &control nor &default_model has 'epohcs'. Did you mean 'epochs'?"),
        (
            "lr=0.1",
            "lr=0.1: 'lr' is a parameter of the search; as a default, for single runs, write default_model.lr=0.1",
        ),
        (
            "param_space.lr=3",
            "param_space.lr=3: &param_space cannot be overridden here; change it in the file, or name another by "
            "param_space_file=FILE",
        ),
        ("default_model.epohcs=3", "default_model.epohcs=3: &default_model has no 'epohcs'. Did you mean 'epochs'?"),
        ("control.nworker=3", "nworker=3: unknown &control keyword 'nworker'. Did you mean 'nworkers'?"),
        ("nworkers=", "nworkers=: nworkers has no value"),
        ("nworkers=0", "nworkers=0: nworkers must be a whole number, 1 or more, not 0"),
        ("epochs=", "epochs=: epochs has no value"),
        (
            "epochs=2**3",
            "epochs=2**3: epochs is '2**3', but nothing is computed here; write the result, or quote a text",
        ),
        (
            "project=$(touch x)",
            "project=$(touch x): project holds '$(touch x)', but no command is run here; only $(pwd) is replaced",
        ),
        ("nworkers", "'nworkers': expected KEY=VALUE, such as nworkers=4 or default_model.epochs=1"),
        ("=4", "'=4': expected KEY=VALUE, such as nworkers=4 or default_model.epochs=1"),
    ],
)
def test_mistakes_name_the_argument(given: Any, argument: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        given(argument)
    assert str(caught.value) == sentence


def test_mistakes_of_the_command_line_and_of_the_file_come_together(tmp_path: Path, given: Any) -> None:
    (tmp_path / "x.in").write_text(TEXT.replace("epochs = 5", "epochs = [5"))
    with pytest.raises(InputError) as caught:
        given("nworkers=0")
    assert len(caught.value.complaints) == 2
