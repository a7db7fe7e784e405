"""Any bytes give an experiment or an `InputError`, soon, and nothing in them is ever run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hpo.errors import InputError
from hpo.inputfile import InputFile, read

SCRIPT = "def run(hyperparams):\n    return 0.0\n"
CONTROL = "&control\n model_script = m.py\n workflow = grid\n/\n"
SPACE = "&param_space\n x = [1, 2]\n/\n"

#: What the language is made of, and what could be taken for it.
FRAGMENTS = [
    *"'\"“”‘’[](){}=:,;#!&/$%*.+-\\\n\t 01aé\0",
    *("&control", "&default_model", "&param_space", "&end", "/\n", "\r\n", "\ufeff", "$(", "${", "$(pwd)", "~", "::"),
    *("model_script", "workflow", "nworkers", "ngpus", "walltime", "candle_default_model_file", "param_space_file"),
    *("grid", "bayesian", "m.py", "true", ".true.", "null", "None", "nan", "1.d-3", "3*", "x(2)", "a%b", "1_8", "12e"),
    *('{"id": "a", "x": 1}', "makeIntegerParam(", "int(1, 5)", "2**10**10", "__import__('os')", "= ", "\n a = ", "''"),
]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join)


def outcome(folder: Path, data: bytes) -> InputFile | InputError:
    (folder / "m.py").write_text(SCRIPT)
    (folder / "x.in").write_bytes(data)
    try:
        return read(folder / "x.in")
    except InputError as error:
        assert error.complaints
        return error


#: Seconds of a slow processor. What grows with the square of the length would take hours.
LONGEST = 60
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path, data)


@relaxed
@given(texts)
@example("&control\n/&param_space")
def test_any_text_made_of_the_languages_own_words(tmp_path: Path, text: str) -> None:
    outcome(tmp_path, text.encode())


@relaxed
@given(texts, texts, texts)
def test_any_bodies(tmp_path: Path, control: str, defaults: str, space: str) -> None:
    text = f"&control\n model_script = m.py\n workflow = grid\n{control}\n/\n&default_model\n{defaults}\n/\n"
    outcome(tmp_path, f"{text}&param_space\n{space}\n/\n".encode())


@relaxed
@given(texts)
def test_any_default_model_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.txt").write_text(f"[Global_Params]\n{text}", newline="")
    outcome(tmp_path, f"{CONTROL}&default_model\n candle_default_model_file = d.txt\n/\n{SPACE}".encode())


LONG = 10_000_000
LONG_LINES = {
    "word": "a" * LONG,
    "digits": "1" * LONG,
    "brackets": "[" * LONG,
    "quotes": "'\"" * (LONG // 2),
    "assignments": "x=1 " * (LONG // 4),
    "list": "[" + "1," * (LONG // 2) + "]",
    "blanks": " " * LONG,
    "slashes": "/" * LONG,
    "commands": "$(" * (LONG // 2),
}


@pytest.mark.parametrize("section", ["control", "default_model"])
@pytest.mark.parametrize("line", LONG_LINES)
def test_a_line_of_ten_megabytes_is_refused_at_once(section: str, line: str, tmp_path: Path) -> None:
    bodies = {"control": " model_script = m.py\n workflow = grid\n", "default_model": ""}
    bodies[section] += f" x = {LONG_LINES[line]}\n"
    text = "".join(f"&{name}\n{body}/\n" for name, body in bodies.items()) + SPACE
    start = time.process_time()
    result = outcome(tmp_path, text.encode())
    assert time.process_time() - start < LONGEST
    assert isinstance(result, InputError)
    assert "MB, more than 1 MB" in str(result)


@pytest.mark.parametrize(
    "value",
    [
        *("a" * 90_000, "1" * 90_000, "1." * 45_000, "1 " * 45_000, "'a' " * 20_000, "'" * 90_000, "[" * 90_000),
        *("1*" * 45_000, "a b=" * 20_000, "= " * 45_000, "[\n" + "\n" * 90_000, "[\n" + "#\n" * 45_000),
        *("{'a':" * 18_000, "a(" * 45_000, ":a" * 45_000),
    ],
    ids=lambda value: value[:6],
)
def test_time_grows_with_length_alone(value: str, tmp_path: Path) -> None:
    start = time.process_time()
    outcome(tmp_path, f"{CONTROL}&default_model\n x = {value}\n/\n{SPACE}".encode())
    assert time.process_time() - start < LONGEST


def test_a_flood_of_mistakes_is_cut_off(tmp_path: Path) -> None:
    unknown = "".join(f" word{i} = 1\n" for i in range(20_000))
    text, headers = "text\n" * 20_000, "&control\n" * 20_000
    result = outcome(tmp_path, f"&control\n{unknown}/\n&default_model\n{text}/\n{SPACE}{headers}".encode())
    assert isinstance(result, InputError)
    assert 20 < len(result.complaints) < 100


def test_150_000_rows_are_read_in_time(tmp_path: Path) -> None:
    row = '{{"id": "hpset_{0:06d}", "epochs": {0}, "lr": 0.00{0}, "activation": "relu", "dense": "1000 500 50"}}\n'
    rows = "".join(map(row.format, range(150_000)))
    start = time.process_time()
    result = outcome(tmp_path, f"{CONTROL}&default_model\n/\n&param_space\n{rows}/\n".encode())
    assert time.process_time() - start < LONGEST  # 2 s on a fast machine
    assert isinstance(result, InputFile)
    assert result.space.size() == 150_000


@pytest.mark.parametrize("section", ["default_model", "param_space"])
def test_a_pipe_as_file_is_refused_and_not_waited_for(section: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    bodies = {"default_model": "", "param_space": " x = [1]\n"} | {section: f" candle_{section}_file = pipe\n"}
    result = outcome(tmp_path, (CONTROL + "".join(f"&{name}\n{body}/\n" for name, body in bodies.items())).encode())
    assert str(result).endswith("is a pipe, not a file")


@pytest.mark.parametrize(("path", "what"), [("/dev/zero", "is a device"), (".", "is a directory")])
def test_only_a_file_is_an_input_file(path: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read(Path(path))


def test_a_missing_input_file_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vae.in").touch()
    with pytest.raises(InputError) as caught:
        read(Path("vea.in"))
    assert str(caught.value) == "vea.in: does not exist. Did you mean 'vae.in'?"


HARMFUL = ["$(touch harm)", "`touch harm`", "__import__('os').system('touch harm')", "open('harm', 'w')"]


@pytest.mark.parametrize("text", HARMFUL)
def test_nothing_is_ever_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for quote in ("", "'", '"'):
        value = f"{quote}{text.replace(quote, quote * 2) if quote else text}{quote}"
        control = CONTROL.replace("/\n", f" project = {value}\n/\n")
        outcome(tmp_path, f"{control}&default_model\n a = {value}\n b = [{value}]\n/\n{SPACE}".encode())
        outcome(tmp_path, f"{CONTROL}&default_model\n/\n&param_space\n a = {value}\n b = [{value}]\n/\n".encode())
    assert not Path("harm").exists()


def test_the_bytes_are_kept_as_given(tmp_path: Path) -> None:
    data: Any = f"{CONTROL}&default_model\r\n/\n{SPACE}# the end".encode()
    result = outcome(tmp_path, data)
    assert isinstance(result, InputFile)
    assert result.text == data
