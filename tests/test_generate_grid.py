"""`hpo generate-grid`: from arguments to rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.cli import main
from hpo.errors import Complaints
from hpo.grid_expression import GridError, parse_axis
from hpo.inputfile.spaces import read_space


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def grid(*arguments: str) -> list[Any]:
    assert main(["generate-grid", *arguments]) == 0
    return [json.loads(line) for line in Path("hyperparameter_grid.txt").read_text().splitlines()]


def test_the_first_list_is_outermost() -> None:
    assert grid("['epochs',np.arange(2,6,2)]", "['batch_size',[64,128]]") == [
        {"id": "hpset_00001", "epochs": 2, "batch_size": 64},
        {"id": "hpset_00002", "epochs": 2, "batch_size": 128},
        {"id": "hpset_00003", "epochs": 4, "batch_size": 64},
        {"id": "hpset_00004", "epochs": 4, "batch_size": 128},
    ]
    assert (
        Path("hyperparameter_grid.txt").read_text().startswith('{"id": "hpset_00001", "epochs": 2, "batch_size": 64}\n')
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("['a', [1, 2.0, 'x', None, True]]", [1, 2.0, "x", None, True]),
        ("['a', [1.0, 2.0]]", [1.0, 2.0]),
        ("['a', [1e-7]]", [1e-7]),
        ("['a', [2**31, 2**70]]", [2**31, 2**70]),
        ("('a', ((1, 2), (3,)))", [[1, 2], [3]]),
        ("['a', ['say \"x\"', \"it's\"]]", ['say "x"', "it's"]),
        ("['a', 5]", [5]),
        ("[a, [1]]", [1]),
        ("[‘a’, [“x”]]", ["x"]),
        ("['a', range(3)]", [0, 1, 2]),
        ("['a', np.arange(5)]", [0, 1, 2, 3, 4]),
        ("['a', numpy.arange(0, 1, 0.25)]", [0.0, 0.25, 0.5, 0.75]),
        ("['a', np.linspace(0, 1, 3)]", [0.0, 0.5, 1.0]),
        ("['a', np.logspace(0, 3, 4)]", [1.0, 10.0, 100.0, 1000.0]),
        ("['a', np.logspace(0, 3, 4, base=2)]", [1.0, 2.0, 4.0, 8.0]),
        ("['a', np.geomspace(1, 8, 4)]", [1.0, 2.0, 4.0, 8.0]),
        ("['a', 2**np.arange(3, 6)]", [8, 16, 32]),
        ("['a', np.power(10.0, [-1, -2])]", [0.1, 0.01]),
        ("['a', np.round(np.linspace(0, 1, 4), 2)]", [0.0, 0.33, 0.67, 1.0]),
        ("['a', np.array([1, 2]) * 10 + 1]", [11, 21]),
        ("['a', np.linspace(1, 3, 3).astype(int)]", [1, 2, 3]),
        ("['a', np.linspace(1, 3, 3, dtype=int)]", [1, 2, 3]),
        ("['a', np.arange(3).tolist()]", [0, 1, 2]),
        ("['a', list(range(2)) + [9]]", [0, 1, 9]),
        ("['a', [2**i for i in range(3) if i != 1]]", [1, 4]),
        ("['a', [[i, j] for i in range(2) for j in 'xy']]", [[0, "x"], [0, "y"], [1, "x"], [1, "y"]]),
        ("['a', [-1, +2, 7 // 2, 7 % 4, 1 / 4]]", [-1, 2, 3, 3, 0.25]),
        ("['a', np.concatenate([np.arange(2), [5]])]", [0, 1, 5]),
        ("['a', [np.pi]]", [3.141592653589793]),
        ("['a', [x if x > 1 else 0 for x in [1, 2]]]", [0, 2]),
        ("['a', [{'k': (1, 2)}]]", [{"k": [1, 2]}]),
        ("['a', np.array([[1, 2], [3, 4]])]", [[1, 2], [3, 4]]),
        ("['a', np.arange(10)[2:6:2]]", [2, 4]),
    ],
)
def test_what_arguments_mean(text: str, values: list[Any]) -> None:
    assert repr(list(parse_axis(text).values)) == repr(values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("['a', np.arnage(3)]", "np.arnage is no function that is understood here. Did you mean 'arange'?"),
        ("['a', [2**10**10]]", "the number is too large"),
        ("['a', np.zeros(10**12)]", "a list has at most 1,000,000 values"),
        ("['a', range(10**12)]", "a list has at most"),
        ("['a', np.arange(0, 1, 1e-12)]", "a list has at most"),
        ("['a', [0] * 10**9]", "a list has at most"),
        ("['a', 'x' * 10**9]", "a list has at most"),
        ("['a', [[0] * 1000000 for i in range(1000000)]]", "this takes too long"),
        ("['a', [i * j for i in range(10**6) for j in range(10**6)]]", "this takes too long"),
        ("['a', [1 for i in range(10**6) for j in range(10**6) if j < 0]]", "this takes too long"),
        ("['a', np.array([[i] for i in range(9999)]) + np.arange(9999)]", "a list has at most"),
        ("['a', np.concatenate([np.arange(10**6)] * 10**6)]", "a list has at most"),
        ("['a', np.power(10, 20)]", "too large for NumPy's 64 bits"),
        ("['a', np.arange(3, 5) ** 60]", "too large for NumPy's 64 bits"),
        ("['a', np.log([0])]", "divide by zero"),
        ("['a', [1 / 0]]", "division by zero"),
        ("['a', [1e999]]", "inf is no number that JSON has"),
        ("['a', [(-8) ** 0.5]]", "is no value that JSON has"),
        ("['a', __import__('os').system('touch x')]", "is no function that is understood here"),
        ("['a', open('x')]", "open is no function"),
        ("['a', ().__class__]", "is no number"),
        ("['a', np.load('x')]", "np.load is no function"),
        ("['a', np.arange(3).tofile('x')]", ".tofile() has no place here"),
        ("['a', (lambda: 0)()]", "is no function"),
        ("['a', f'{1}']", "has no place here"),
        ("['a', [b'x']]", "is no value that JSON has"),
        ("['a', [x]]", "'x' has no value; a text stands in quotes"),
        ("['a', []]", "'a' has no values"),
        ("['id', [1]]", "'id' is no hyperparameter"),
        ("[3, [1]]", "3 is no name"),
        ("['a']", "is not of the form"),
        ("a=[1,2]", "is not understood"),
        ("['a', [1, 2]", "is not understood"),
        ("", "is not understood"),
        ("[" * 10_000, "is not understood"),
        ("['a', " + "-" * 5000 + "1]", ""),
    ],
)
def test_mistakes_and_traps(text: str, sentence: str) -> None:
    with pytest.raises(GridError) as error:
        parse_axis(text)
    assert sentence in str(error.value)
    assert not Path("x").exists()


def test_all_mistakes_are_reported_with_the_number_of_the_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate-grid", "['a', [1]]", "['b', ragne(3)]", "['a', [2]]"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "argument 2: ragne is no function that is understood here. Did you mean 'range'?",
        "argument 3: 'a' is given twice",
    ]
    assert list(Path().iterdir()) == []


def test_an_earlier_file_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    grid("['a', [1]]")
    grid("['a', [1]]")
    assert [file.name for file in Path().iterdir()] == ["hyperparameter_grid.txt"]
    capsys.readouterr()
    assert grid("['a', [2]]") == [{"id": "hpset_00001", "a": 2}]
    assert "kept as hyperparameter_grid.txt.1" in capsys.readouterr().err
    assert json.loads(Path("hyperparameter_grid.txt.1").read_text())["a"] == 1
    grid("['a', [3]]")
    assert json.loads(Path("hyperparameter_grid.txt.2").read_text())["a"] == 2


def test_where_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate-grid", "['a', [1]]", "-o", "other.txt"]) == 0
    assert Path("other.txt").read_text() == '{"id": "hpset_00001", "a": 1}\n'
    capsys.readouterr()
    assert main(["generate-grid", "['a', [1]]", "-o", "-"]) == 0
    assert capsys.readouterr().out == '{"id": "hpset_00001", "a": 1}\n'
    assert main(["generate-grid", "['a', [1]]", "-o", "no/such/folder.txt"]) == 2
    assert main(["generate-grid", "['a', [1]]", "-o", "."]) == 2
    assert main(["generate-grid", "['a', range(10**5)]", "['b', range(10**5)]"]) == 2


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)


@given(st.lists(VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=5))
def test_literals_read_back_to_the_same_values(values: list[Any]) -> None:
    axis = parse_axis(repr(["a", values]))
    assert json.dumps(axis.values) == json.dumps(values)


def test_the_file_is_a_parameter_space() -> None:
    rows = grid("['lr', np.logspace(-5, -1, 5)]", "['note', ['ü \"x\" \\n', 'b']]", "['n', [(1, 2), (3,)]]")
    complaints = Complaints()
    space = read_space(Path("hyperparameter_grid.txt").read_bytes(), Path("g.txt"), 1, "grid", complaints)
    assert space is not None and complaints.errors == []
    assert [{"id": space.trial_id(n), **space.point(n)} for n in range(space.size() or 0)] == rows


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="optional: measures memory as Linux tells it")
def test_a_million_points_are_streamed() -> None:
    """In a process of its own, so that the memory that is measured is this command's."""
    code = (
        "from hpo.cli import main;"
        "main(['generate-grid', \"['a', np.arange(1000)]\", \"['b', range(1000)]\"]);"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150_000  # kB; NumPy alone takes a third of it
    with Path("hyperparameter_grid.txt").open() as file:
        assert sum(1 for _ in file) == 1_000_000
