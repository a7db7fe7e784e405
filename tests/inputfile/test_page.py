"""What docs/input-files.md says is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpo.errors import InputError
from hpo.inputfile import read
from hpo.inputfile.values import read_value

PAGE = (Path(__file__).parents[2] / "docs" / "input-files.md").read_text()


def test_its_first_example_is_an_experiment_of_six_trials(tmp_path: Path) -> None:
    (tmp_path / "vae.in").write_text(re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)[0])
    file = read(tmp_path / "vae.in")
    assert file.space.size() == 6
    assert file.script.name == "vae.py"


def test_its_mistake_is_told_in_these_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vae.in").write_text("&control\nmodel_script = vae.py\nworker_typ = k80\n/\n")
    with pytest.raises(InputError) as caught:
        read(Path("vae.in"))
    assert str(caught.value.complaints[-1]) in PAGE


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'relu'", "relu"),
        ('"it\'s"', "it's"),
        ("'it''s'", "it's"),
        ("“relu”", "relu"),
        ("[1, 2]", [1, 2]),
        ("(1, 2)", (1, 2)),
        ("{'a': 1}", {"a": 1}),
        ("0x10", 16),
        ("[relu, tanh]", ["relu", "tanh"]),
        (".true.", True),
        ("1.d-3", 0.001),
        ("1 2 3", [1, 2, 3]),
        ("3*0.5", [0.5, 0.5, 0.5]),
        ("null", None),
        ("models/vae.py", "models/vae.py"),
        ("00:20:00", "00:20:00"),
    ],
)
def test_its_table_of_values(written: str, value: object) -> None:
    assert written in PAGE
    assert read_value(written) == value
