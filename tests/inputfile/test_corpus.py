"""The corpus: inputs_good/NAME.in means what NAME.json says, inputs_bad/NAME.in gets exactly the sentences of NAME.txt.

A bug becomes a small file there, named after it. The command is run in that folder; $HPO_TEST_WORD is "word" and
$HPO_TEST_FILES is "files".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import InputError
from hpo.inputfile import InputFile, read

TESTS = Path(__file__).parent.parent
GOOD = sorted(path.stem for path in (TESTS / "inputs_good").glob("*.in"))
BAD = sorted(path.stem for path in (TESTS / "inputs_bad").glob("*.in"))


@pytest.fixture
def run_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(folder: Path) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", "/home/user")
        monkeypatch.setenv("HPO_TEST_WORD", "word")
        monkeypatch.setenv("HPO_TEST_FILES", "files")

    return run


def meaning(file: InputFile) -> dict[str, Any]:
    """What a file says, as JSON: only the keywords that were given, folders shown as FOLDER and MODELS."""
    size = file.space.size()
    said = {
        "control": {name: file.control[name] for name in file.given},
        "single_run": file.single_run,
        "defaults": file.defaults,
        "script": str(file.script),
        "files": [str(path) for path in file.files],
        "warnings": [str(warning) for warning in file.warnings],
        "names": file.space.names,
        "trials": size,
        "first_trial": file.space.point(0) if size else None,
    }
    text = json.dumps(said, default=str).replace(str(Path.cwd()), "FOLDER")
    return dict(json.loads(text.replace(str(TESTS.parent / "models"), "MODELS")))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_means_what_stands_beside_it(name: str, run_in: Any) -> None:
    run_in(TESTS / "inputs_good")
    expected = json.loads(Path(f"{name}.json").read_text())
    assert meaning(read(Path(f"{name}.in"), to_run=False)) == expected


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_its_sentences(name: str, run_in: Any) -> None:
    run_in(TESTS / "inputs_bad")
    with pytest.raises(InputError) as caught:
        read(Path(f"{name}.in"))
    sentences = str(caught.value).replace(str(Path.cwd()), "FOLDER")
    assert f"{sentences}\n" == Path(f"{name}.txt").read_text()
    assert not Path("harm").exists()


def test_the_corpus_is_seen() -> None:
    assert len(GOOD) >= 40
    assert len(BAD) >= 60


@pytest.mark.parametrize(("folder", "suffix", "names"), [("inputs_good", "json", GOOD), ("inputs_bad", "txt", BAD)])
def test_no_expectation_lacks_its_file(folder: str, suffix: str, names: list[str]) -> None:
    assert sorted(path.stem for path in (TESTS / folder).glob(f"*.{suffix}")) == names
