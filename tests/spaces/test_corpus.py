"""Small files, one for each construct with what it means beside it, one for each mistake with its sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpo.errors import Complaints
from hpo.inputfile.spaces import native, read_space
from hpo.space import ParameterSpace, Rows, from_json

HERE = Path(__file__).parent
GOOD = sorted(file for file in (HERE / "good").iterdir() if not file.name.endswith(".means.json"))
BAD = sorted(file for file in (HERE / "bad").iterdir() if file.suffix != ".expected")


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name)
def test_good_files_mean_what_stands_beside_them(file: Path) -> None:
    means = json.loads(file.with_name(f"{file.name}.means.json").read_text())
    complaints = Complaints()
    space = read_space(file.read_bytes(), file, 1, means["workflow"], complaints)
    assert complaints.errors == []
    assert space is not None
    assert space.to_json() == means["space"]
    assert space.size() == means["size"]
    assert [warning.message for warning in complaints.warnings] == means["warnings"]
    assert [list(pair) for pair in space.read_as_lists] == means["read_as_lists"]
    for number, point in means.get("points", {}).items():
        found = {"id": space.trial_id(int(number)), **space.point(int(number))}
        # Through JSON text, because 1 == 1.0 == True in Python.
        assert json.dumps(found) == json.dumps(point)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.name)
def test_bad_files_are_refused_with_the_sentences_beside_them(file: Path) -> None:
    complaints = Complaints()
    assert read_space(file.read_bytes(), file, 1, "grid", complaints) is None
    found = [f"{each.line}: {each.message}" for each in complaints.errors]
    assert found == file.with_name(f"{file.name}.expected").read_text().splitlines()
    assert {each.file for each in complaints.errors} == {file}


@pytest.mark.parametrize("file", [*GOOD, *sorted((HERE / "r").glob("*.R"))], ids=lambda file: file.name)
def test_every_space_survives_json_and_native_writing(file: Path) -> None:
    space = read_space(file.read_bytes(), file, 1, "grid", Complaints()) or read_space(
        file.read_bytes(), file, 1, "random", Complaints()
    )
    assert space is not None
    if isinstance(space, Rows):
        assert from_json(json.loads(json.dumps(space.to_json())), space.data) == space
        return
    assert from_json(json.loads(json.dumps(space.to_json()))) == space
    body = "\n".join(map(native.write, space.parameters))
    complaints = Complaints()
    again = read_space(body.encode(), Path("again.in"), 1, "random", complaints)
    assert complaints.errors == []
    assert isinstance(again, ParameterSpace)
    assert json.dumps(again.to_json()["parameters"]) == json.dumps(space.to_json()["parameters"])


def test_lines_are_those_of_the_file() -> None:
    complaints = Complaints()
    assert read_space(b"\na = 1\nb = foo(2)\n", Path("x.in"), 40, "grid", complaints) is None
    assert [str(each) for each in complaints.errors] == [
        "x.in:42: 'b': 'foo' is none of int, real, choice, vector. "
        "Write bounds, as in int(0, 9) or real(0, 1), or a list of values, as in [1, 2, 4]"
    ]


def test_only_grid_runs_rows() -> None:
    complaints = Complaints()
    assert read_space(b'{"a": 1}\n', Path("x.in"), 1, "bayesian", complaints) is None
    assert "workflow = grid runs them" in complaints.errors[0].message


def test_mistakes_without_end_are_cut() -> None:
    complaints = Complaints()
    assert read_space(b"x x\n" * 100_000, Path("x.in"), 1, "grid", complaints) is None
    assert read_space(b"a = 1\n" + b"x x\n" * 100_000, Path("x.in"), 1, "grid", complaints) is None
    assert read_space(b'{"a": }\n' * 100_000, Path("x.in"), 1, "grid", complaints) is None
    assert len(complaints.errors) < 120
