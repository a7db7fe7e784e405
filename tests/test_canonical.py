"""`hpo check --canonical`: a clean file that reads back to the same experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo import inputfile, shipped
from hpo.cli import main
from hpo.errors import Complaints, UsageError
from hpo.inputfile import InputFile, canonical
from hpo.inputfile.spaces import native
from hpo.inputfile.spaces.base import Source
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real, Rows, Vector
from hpo.space.expressions import Call, Expression, Name

INPUTS = sorted(shipped.folder("inputs").glob("*.in"))

# --- what can stand in a file -----------------------------------------------------------------------------------------

#: Any text; half characters cannot be written.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "true",
        "1",
        "1.5",
        "it's",
        'say "x"',
        "a\\",
        "“x”",
        "#",
        "!",
        "a # b",
        " ",
        "",
        "x=1",
        "$(pwd)",
        "1 2",
        "/",
        "&end",
        "if",
    ]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=5
)
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Co", "Cn", "Zs", "Cf"]), min_size=1, max_size=6
)


def expressions(names: list[str]) -> st.SearchStrategy[Expression]:
    """Any expression over names, as the readers make them: a minus belongs to its number."""
    leaves = st.sampled_from([Name(name) for name in names]) | NUMBERS | st.booleans() | TEXTS

    def calls(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        def call(function: str, count: int) -> st.SearchStrategy[Any]:
            return st.lists(inner, min_size=count, max_size=count).map(lambda parts: Call(function, tuple(parts)))

        binary = [call(f, 2) for f in ("+", "-", "*", "/", "**", "%", "//", "and", "or", "in", "max", "log")]
        named = st.sampled_from([Name(name) for name in names])
        compared = [
            st.tuples(named, inner).map(lambda pair, f=f: Call(f, pair)) for f in ("==", "!=", "<", "<=", ">", ">=")
        ]
        return st.one_of(*binary, *compared, call("not", 1), call("if", 3), call("list", 2), call("exp", 1))

    return st.recursive(leaves, calls, max_leaves=6)


@st.composite
def parameters(draw: st.DrawFn, name: str, others: list[str]) -> Parameter:
    options: dict[str, Any] = {}
    if others and draw(st.booleans()):
        reads = Name(draw(st.sampled_from(others)))  # one that reads no parameter is refused
        options["condition"] = Call("or", (reads, draw(expressions(others))))
    low, high = sorted(draw(st.tuples(st.integers(1, 50), st.integers(1, 50))))
    match draw(st.sampled_from(["constant", "choices", "ordered", "integer", "real", "points", "vector"])):
        case "constant":
            return Constant(name, draw(VALUES), **options)
        case "choices" | "ordered" as kind:
            choices = draw(
                st.lists(VALUES, min_size=1, max_size=3, unique_by=lambda v: (type(v).__name__, json.dumps(v)))
            )
            if draw(st.booleans()):
                options["default"] = choices[-1]
            return Categorical(name, choices, ordered=kind == "ordered", **options)
        case "integer":
            transform = draw(st.sampled_from([None, Call("**", (2, Name("x"))), Call("-", (Name("x"), -1))]))
            return Integer(name, low, high, draw(st.booleans()), transform=transform, default=low, **options)
        case "real":
            ends = sorted(draw(st.tuples(*[st.floats(1e-300, 1e300)] * 2)))
            return Real(name, *ends, log=draw(st.booleans()), default=ends[0], **options)
        case "points":
            return draw(
                st.sampled_from(
                    [Real(name, low, high + 1, step=0.1, **options), Integer(name, low, high + 1, points=3, **options)]
                )
            )
    elements = [Integer("", low, high), Real("", 0, high), Categorical("", [draw(SCALARS)])]
    return Vector(name, draw(st.sampled_from([elements, elements[:1] * 3])), **options)


@st.composite
def spaces(draw: st.DrawFn) -> ParameterSpace:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    return ParameterSpace([draw(parameters(name, names[:place])) for place, name in enumerate(names)])


def as_text(space: ParameterSpace) -> str:
    return json.dumps(space.to_json())


@given(spaces())
@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
def test_native_writing_reads_back_to_the_same_space(space: ParameterSpace) -> None:
    body = "\n".join(map(native.write, space.parameters))
    complaints = Complaints()
    again = native.read(Source(body.encode(), Path("x.in"), 1, complaints))  # no matter what conditions come to
    assert complaints.errors == [], body
    assert isinstance(again, ParameterSpace)
    assert as_text(again) == as_text(space), body


# --- whole files ------------------------------------------------------------------------------------------------------

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
DEFAULTS = st.dictionaries(KEYS, VALUES | st.tuples(SCALARS, SCALARS), max_size=4).filter(
    lambda tree: len({key.casefold() for key in tree}) == len(tree)
)
#: Texts of keywords: they stand in one line, and blanks around them mean nothing.
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12).map(str.strip).filter(bool)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> InputFile:
    folder = tmp_path_factory.mktemp("canonical")
    (folder / "model.py").write_text("def run(hyperparams):\n    return 1.0\n")
    file = folder / "x.in"
    file.write_text(
        "&control\nmodel_script = model.py\nworkflow = grid\n/\n&default_model\n/\n&param_space\na = 1\n/\n"
    )
    return inputfile.read(file)


@given(DEFAULTS, spaces(), LINES.filter(lambda text: text[0] not in "'\""), st.integers(1, 99), st.booleans())
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
def test_a_canonical_file_reads_back_to_the_same_experiment(
    example: InputFile, defaults: dict[str, Any], space: ParameterSpace, text: str, count: int, flag: bool
) -> None:
    folded = {name.casefold() for name in space.names}
    defaults = {key: value for key, value in defaults.items() if key.casefold() not in folded and "file" not in key}
    finite = ParameterSpace(
        [p for p in space.parameters if p.count is not None and p.condition is None] or [Constant("k", 1)]
    )
    control = {
        **example.control,
        "nworkers": count,
        "dry_run": flag,
        "custom_sbatch_args": text,
        "mem_per_cpu": count / 8,
    }
    given_at = dict.fromkeys(
        ["model_script", "workflow", "nworkers", "dry_run", "custom_sbatch_args", "mem_per_cpu"], "x.in:1"
    )
    experiment = InputFile(
        path=example.path,
        text=b"",
        control=control,
        given=given_at,
        defaults=defaults,
        space=finite,
        script=example.script,
    )
    written = canonical.text(experiment)
    file = example.path.with_name("again.in")
    file.write_text(written, encoding="utf-8")
    again = inputfile.read(file)
    assert again.control == control
    assert set(again.given) == set(given_at)
    assert again.defaults == defaults
    assert as_text(again.space) == as_text(finite)  # type: ignore[arg-type]
    assert canonical.text(again) == written


@pytest.mark.parametrize("file", INPUTS, ids=lambda file: file.name)
def test_the_packaged_inputs(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file), "--canonical"]) == 0
    written = capsys.readouterr().out
    for script in shipped.folder("models").glob("*.py"):
        (tmp_path / script.name).write_bytes(script.read_bytes())
    copy = tmp_path / file.name
    copy.write_text(written)
    first, again = inputfile.read(file), inputfile.read(copy)
    assert again.control == first.control
    assert again.defaults == first.defaults
    assert again.space == first.space
    assert main(["check", str(copy), "--canonical"]) == 0
    assert capsys.readouterr().out == written


def test_rows_stay_rows_and_files_come_into_their_sections(example: InputFile) -> None:
    folder = example.path.parent
    (folder / "space.txt").write_text('{"id": "b", "x": 1.0}\n{"x": "1 2"}\n')
    (folder / "defaults.txt").write_text("[Global_Params]\nx = 3\nlist = [1, 2]\ntuple = (1, 2)\n")
    file = folder / "files.in"
    file.write_text(
        "&control\nmodel_script = model.py\nworkflow = upf\nngpus = 3\nparam_space_file = space.txt\n"
        "default_model_file = defaults.txt\n/\n&default_model\n/\n&param_space\n/\n"
    )
    first = inputfile.read(file)
    assert canonical.text(first) == (
        "&control\n  model_script = 'model.py'\n  workflow = 'grid'\n  nworkers = 3\n/\n\n"
        "&default_model\n  x = 3\n  list = [1, 2]\n  tuple = (1, 2)\n/\n\n"
        '&param_space\n  {"id": "b", "x": 1.0}\n  {"x": "1 2"}\n/\n'
    )
    file.write_text(canonical.text(first))
    again = inputfile.read(file)
    assert isinstance(again.space, Rows)
    assert again.space == first.space
    assert again.defaults == first.defaults


def test_a_default_that_no_section_can_hold(example: InputFile) -> None:
    (example.path.parent / "odd.txt").write_text("[Global Params]\nbatch size = 3\n")
    file = example.path.parent / "odd.in"
    file.write_text(
        "&control\nmodel_script = model.py\nworkflow = grid\ndefault_model_file = odd.txt\n/\n"
        "&default_model\n/\n&param_space\nx = 1\n/\n"
    )
    with pytest.raises(UsageError, match="'batch size'"):
        canonical.text(inputfile.read(file))
