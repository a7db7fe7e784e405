"""The examples of docs/parameter-spaces.md are read, each as a space."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hpo.errors import Complaints
from hpo.grid_expression import parse_axis
from hpo.inputfile.spaces import FORMS, read_space

PAGE = (Path(__file__).parents[2] / "docs" / "parameter-spaces.md").read_text()
EXAMPLES = re.findall(r"^```(hpo|json|R)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_an_example_of_every_form() -> None:
    assert len(EXAMPLES) == len(FORMS)
    assert all(form.name in PAGE for form in FORMS)


@pytest.mark.parametrize(("language", "body"), EXAMPLES)
def test_examples_are_read(language: str, body: str) -> None:
    complaints = Complaints()
    rows = body.startswith('{"id"')
    space = read_space(body.encode(), Path("x.in"), 1, "grid" if rows or language == "hpo" else "random", complaints)
    assert complaints.errors == []
    assert space is not None


def test_the_command_is_one() -> None:
    (command,) = re.findall(r"^```sh\n(hpo generate-grid .*?)\n^```$", PAGE, re.MULTILINE | re.DOTALL)
    for argument in shlex.split(command)[2:]:
        parse_axis(argument)
