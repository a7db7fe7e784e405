"""Our reading of R parameter sets against R's own: types, bounds, values, transformed samples, conditions.

They need R with ParamHelpers and jsonlite (Debian: r-cran-paramhelpers, r-cran-jsonlite).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import Complaints
from hpo.inputfile.spaces import read_space
from hpo.space import Categorical, Constant, Integer, Parameter, ParameterSpace, Real, Vector
from hpo.space.expressions import MISSING
from hpo.space.texts import as_read

HERE = Path(__file__).parent
FILES = sorted((HERE / "r").glob("*.R"))
KINDS = {
    "numeric": Real,
    "integer": Integer,
    "discrete": Categorical,
    "logical": Categorical,
    "numericvector": Vector,
    "integervector": Vector,
    "logicalvector": Vector,
    "discretevector": Vector,
}


@cache
def described_by_r() -> dict[Path, Any]:
    """What R makes of all files."""
    loads = ["Rscript", "-e", "library(ParamHelpers); library(jsonlite)"]
    if not shutil.which("Rscript") or subprocess.run(loads, capture_output=True).returncode:
        pytest.skip("needs R with ParamHelpers and jsonlite")
    command = ["Rscript", str(HERE / "describe.R"), *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(FILES, json.loads(done.stdout, object_hook=number), strict=True))


def number(tree: dict[str, Any]) -> Any:
    """Numbers come as text, in full precision."""
    return float(tree["number"]) if set(tree) == {"number"} else tree


def read(file: Path) -> ParameterSpace:
    complaints = Complaints()
    space = read_space(file.read_bytes(), file, 1, "bayesian", complaints)
    assert complaints.errors == []
    assert isinstance(space, ParameterSpace)
    return space


def single(value: Any) -> Any:
    """R's vectors of length one are single values in JSON."""
    return single(value[0]) if isinstance(value, list) and len(value) == 1 else value


def plain(value: Any) -> Any:
    """What R has for a value of ours: all elements single."""
    return [single(one) for one in value] if isinstance(value, list) and len(value) > 1 else as_read(single(value))


def test_there_are_enough_files() -> None:
    assert len(FILES) >= 20


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_types_bounds_values_and_defaults(file: Path) -> None:
    ours, theirs = read(file), described_by_r()[file]["pars"]
    assert ours.names == [par["name"] for par in theirs]
    for parameter, par in zip(ours.parameters, theirs, strict=True):
        if isinstance(parameter, Constant):
            assert par["lower"] == par["upper"]
            continue
        assert type(parameter) is KINDS[par["type"]]
        check_range(parameter, par)
        assert (parameter.transform is not None) == par["trafo"]
        assert (parameter.condition is not None) == par["requires"]
        if parameter.default is not MISSING:
            assert plain(parameter.default) == plain(par["default"])
        else:
            assert not par["has_default"] or par["default"] is None


def check_range(parameter: Parameter, par: dict[str, Any]) -> None:
    if isinstance(parameter, Categorical):
        assert [single(choice) for choice in parameter.choices] == [single(value) for value in par["values"]]
    elif isinstance(parameter, Integer | Real):
        assert [parameter.low] == par["lower"]
        assert [parameter.high] == par["upper"]
    elif isinstance(parameter, Vector):
        assert len(parameter.elements) == par["len"]
        for place, element in enumerate(parameter.elements):
            limits = {key: [bounds[place]] for key, bounds in par.items() if key in ("lower", "upper") and bounds}
            check_range(element, par | limits)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_transformed_samples_and_conditions(file: Path) -> None:
    """What R draws, transforms and finds active, our space makes the same of, to the last digit."""
    space = read(file)
    for draw in described_by_r()[file]["draws"]:
        found = {label: one for p in space.parameters for label, one in searched(p, draw["raw"][p.name]).items()}
        ours = space.values(found)
        assert set(ours) == {name for name, active in draw["active"].items() if active == [True] or active is True}
        for name, value in ours.items():
            assert value == plain(draw["values"][name]), name


def searched(parameter: Parameter, raw: Any) -> dict[str, Any]:
    """The labels and values with which a sampler would give what R drew."""
    if isinstance(parameter, Constant):
        return {}
    if isinstance(parameter, Vector):
        values = [single(value) for value in raw]
        labels = list(parameter.domains)
        return {
            label: next(iter(searched(element, value).values()))
            for label, element, value in zip(labels, parameter.elements, values, strict=True)
        }
    if isinstance(parameter, Categorical):
        place = [single(choice) for choice in parameter.choices].index(single(raw))
        domain = parameter.domains[parameter.name]
        return {parameter.name: domain.choices[place]}  # type: ignore[union-attr]
    return {parameter.name: single(raw)}
