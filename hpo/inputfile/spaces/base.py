"""What every form of a parameter space is given and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hpo.errors import Complaints, did_you_mean
from hpo.inputfile.default_model import decode
from hpo.space import Parameter, ParameterSpace, Space, SpaceError
from hpo.space.expressions import ExpressionError, names_in
from hpo.space.parameters import unique

BOM = b"\xef\xbb\xbf"

#: So many mistakes of a space are reported; more help nobody.
MAX_MISTAKES = 50


@dataclass
class Source:
    """A parameter space as text: the body of a section or a whole file.

    body: its bytes. file: where it stands. first_line: the line of its first byte, counted from 1.
    complaints: where mistakes go. lines: where each parameter that was read stands, from 1 within the body.
    """

    body: bytes
    file: Path
    first_line: int
    complaints: Complaints
    lines: dict[str, int] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """The body as text, lines ending with a newline alone."""
        return decode(self.body)

    @cached_property
    def first_content(self) -> str:
        """The first line that is no comment and not blank, stripped; empty when there is none."""
        for line in self.body.removeprefix(BOM).splitlines():
            stripped = line.strip()
            if stripped and stripped[:1] not in (b"#", b"!"):
                return stripped.decode("utf-8", "replace")
        return ""

    def error(self, message: str, line: int | None = None) -> None:
        """Record a mistake; `line` counts from 1 within the body, None means the form as a whole."""
        self.complaints.error(message, self.file, self.line_in_file(line))

    def warn(self, message: str, line: int | None = None) -> None:
        """Record something worth saying that stops nothing."""
        self.complaints.warn(message, self.file, self.line_in_file(line))

    def line_in_file(self, line: int | None) -> int:
        """Return the file's line for a line of the body."""
        return self.first_line + (line or 1) - 1


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write a parameter space.

    name: what its users call it. matches: whether a text is written so. read: the space, or None when there were
    mistakes, which it has reported. points: how a range of reals is written as a list of points, for a message.
    """

    name: str
    matches: Callable[[Source], bool]
    read: Callable[[Source], Space | None]
    points: Callable[[Parameter], str]


class Mistake(ValueError):
    """A mistake at a line of the body (from 1; None: the line of the statement), on its way to `Source.error`."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Builder:
    """Puts parameters together to a space; every mistake is reported with its line, and the others are still read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.parameters: dict[str, Parameter] = {}
        self._folded: dict[str, str] = {}
        self._mistakes = 0

    def add(self, line: int, make: Callable[[], Parameter]) -> None:
        """Add what `make` returns; what it raises is the mistake in `line`."""
        try:
            parameter = make()
        except (Mistake, SpaceError, ExpressionError) as error:
            self.fail(str(error), getattr(error, "line", None) or line)
            return
        except RecursionError:
            self.fail("this is nested too deeply", line)
            return
        if not parameter.name.isprintable():
            self.fail(f"the name {parameter.name!r} holds characters that cannot be printed", line)
            return
        other = self._folded.setdefault(parameter.name.casefold(), parameter.name)
        if parameter.name in self.parameters:
            first = self.source.line_in_file(self.source.lines[parameter.name])
            self.fail(f"the parameter {parameter.name!r} is given twice; line {first} has it", line)
        elif other != parameter.name:
            self.fail(f"the parameters {other!r} and {parameter.name!r} differ only in case", line)
        else:
            self.parameters[parameter.name] = parameter
            self.source.lines[parameter.name] = line

    def fail(self, message: str, line: int | None = None) -> None:
        """Report a mistake, unless there were many already; there will be no space."""
        self._mistakes += 1
        if self._mistakes == MAX_MISTAKES:
            message = f"{message}; further mistakes are not shown"
        if self._mistakes <= MAX_MISTAKES:
            self.source.error(message if len(message) <= 500 else f"{message[:500]}…", line)

    def distinct(self, name: str, choices: list[Any], line: int) -> list[Any]:
        """Return the choices, each once, with a warning for what was given twice."""
        once = unique(choices)
        if len(once) < len(choices):
            self.source.warn(f"{name!r} has {len(choices) - len(once)} of its choices twice; each counts once", line)
        return once

    def space(self, samples: int | None = None) -> ParameterSpace | None:
        """Return the space, or None after a mistake."""
        for parameter in self.parameters.values():
            self._check_names(parameter)
        if self._mistakes:
            return None
        if not self.parameters:
            self.source.error("there is no parameter")
            return None
        try:
            return ParameterSpace(list(self.parameters.values()), samples)
        except SpaceError as error:
            self.source.error(str(error))
            return None

    def _check_names(self, parameter: Parameter) -> None:
        for name in names_in(parameter.condition):
            if name not in self.parameters and not self._mistakes:
                hint = did_you_mean(name, self.parameters)
                message = f"{parameter.name!r}: its condition reads {name!r}, which is no parameter.{hint}"
                self.fail(message.removesuffix("."), self.source.lines[parameter.name])
