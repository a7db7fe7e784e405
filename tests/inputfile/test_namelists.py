"""A body that is a plain Fortran namelist means exactly what f90nml makes of it, except that keys keep their case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import f90nml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import Complaints
from hpo.inputfile import assignments, default_model


def ours(body: str) -> dict[str, Any]:
    complaints = Complaints()
    parsed = assignments.parse(body, 1, Path("x.in"), complaints)
    meaning = default_model.read_section(parsed, Path("x.in"), complaints)
    complaints.raise_errors()
    return meaning


def f90nmls(body: str) -> dict[str, Any]:
    parser = f90nml.Parser()
    parser.global_start_index = 1
    return plain(parser.reads(f"&g\n{body}\n/\n")["g"].todict())


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "_start_index"}
    return [plain(item) for item in value] if isinstance(value, list) else value


def folded(value: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): folded(item) if isinstance(item, dict) else item for key, item in value.items()}


def same(a: Any, b: Any) -> bool:
    """Equal, types included (1 is not 1.0, nor True)."""
    return repr(a) == repr(b)


HAND_WRITTEN = r'''
epochs = 5
epochs=5,
lr = 1.d-3
lr = 1d-3, 2.5E+04, .5, 1., -.5e0, +3
n = 010
save = .true.
save = .T., .false., F, true
name = 'relu'
name = 'it''s', "say ""hi"""
name = 'C:\temp\dir'
name = ""
name = relu
metrics = accuracy, mae
metrics = accuracy mae
conv = 1, 2, 3
conv = 1 2 3
conv = 1, 2,\n  3
conv = 1\n  2\n  3
conv = 128,20,1,\n 128, 10, 1\nepochs = 3
drop = 3*0.5
drop = 2*'a', 3*.true.
drop = 1,,3
drop = 2*
drop = , 1
a = 1 b = 2
a = 1, b = 2, c = 'x y'
a = relu b = 'x'
a = 1 2 b = 3
a = 'x' 'y' b = .true.
x(2) = 5
x(2:3) = 5, 6
x(1) = 1, x(3) = 3
x = 1\nx(2) = 5
X(1) = 1\nX(2) = 2
m(1,2) = 4
a%b = 3
A%Beta = 3\nA%gamma = 'x'
a = nan, inf, -infinity
a =\n  5
a = 5 ! five
a = 5 # five
a = 'not ! a comment # at all'
'''.strip().splitlines()


@pytest.mark.parametrize("body", [line.replace("\\n", "\n") for line in HAND_WRITTEN])
def test_a_plain_namelist_means_what_f90nml_makes_of_it(body: str) -> None:
    assert same(folded(ours(body)), f90nmls(body))


def test_the_list_above_is_not_empty() -> None:
    assert len(HAND_WRITTEN) > 40


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
#: true, false, null and None have a meaning of their own here; f90nml knows only the first two.
words = names.filter(lambda word: word.lower() not in ("true", "false", "null", "none"))
digits = st.from_regex(r"[0-9]{1,6}", fullmatch=True)
numbers = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}{}.{}{}".format, st.sampled_from(["", "+", "-"]), digits, digits, st.sampled_from(["", "d0", "e+3"])),
    st.builds("{}.".format, digits),
    st.builds(".{}".format, digits),
)
logicals = st.sampled_from([".true.", ".FALSE.", ".t.", ".F.", "true", "False", "T", "f"])
contents = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
strings = st.one_of(
    contents.map(lambda text: "'" + text.replace("'", "''") + "'"),
    contents.map(lambda text: '"' + text.replace('"', '""') + '"'),
)
atoms = st.one_of(numbers, logicals, strings, words)
repeats = st.builds("{}*{}".format, st.integers(1, 4), st.one_of(numbers, logicals, strings))
items = st.one_of(atoms, repeats)
#: What may stand between the items of a list; a list goes on in the next line behind a comma.
separators = st.sampled_from([", ", ",", " , ", " ", "  ", ",\n   ", " ,\n", ", ! more\n "])


@st.composite
def lists(draw: st.DrawFn) -> str:
    text = draw(items)
    for item in draw(st.lists(items, max_size=4)):
        text += draw(separators) + item
    return text


@st.composite
def bodies(draw: st.DrawFn) -> str:
    keys = draw(st.lists(names, min_size=1, max_size=5, unique_by=str.lower))
    ends = st.sampled_from(["\n", "\n\n", ",\n", " ! why\n", "  ", ", ", "\n  # a line\n"])
    equals = st.sampled_from(["=", " = ", "= ", " ="])
    return "".join(key + draw(equals) + draw(lists()) + draw(ends) for key in keys) + "\n"


@given(bodies())
def test_a_generated_namelist_means_what_f90nml_makes_of_it(body: str) -> None:
    assert same(folded(ours(body)), f90nmls(body))


@given(bodies())
def test_keys_keep_their_case(body: str) -> None:
    assert {key.lower() for key in ours(body)} == set(f90nmls(body))
    assert all(key in body for key in ours(body))
