"""What every form of a parameter space is given and gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hpo.errors import Complaints, did_you_mean
from hpo.inputfile.default_model import decode
from hpo.space import Integer, Parameter, ParameterSpace, Real, Space, SpaceError, Vector
from hpo.space.expressions import Expression, ExpressionError, evaluate, names_in
from hpo.space.parameters import unique
from hpo.space.product import MAX_READ

BOM = b"\xef\xbb\xbf"

#: So many mistakes of a space are reported; more help nobody.
MAX_MISTAKES = 50


@dataclass
class Source:
    """A parameter space as text: the body of a section or a whole file.

    body: its bytes. file: where it stands. first_line: the line of its first byte, counted from 1.
    complaints: where mistakes go. fixed: the names of &default_model, which conditions cannot read.
    lines: where each parameter that was read stands, from 1 within the body.
    """

    body: bytes
    file: Path
    first_line: int
    complaints: Complaints
    fixed: Collection[str] = ()
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
            self._check_condition(parameter)
            self._compare_step(parameter)
        self._check_circles()
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

    def _check_constant(self, name: str, condition: Expression) -> None:
        """A variable of R may switch a parameter on or off; anything but true and false is a slip of the pen."""
        line = self.source.lines[name]
        message = f"{name!r}: its condition reads no parameter"
        match evaluate(condition, {}):
            case True:
                self.source.warn(f"{message}, so that it always holds", line)
            case False:  # the parameter is said to be in no trial
                pass
            case _:
                self.fail(f"{message}; write as in: optimizer == 'sgd'", line)

    def _check_condition(self, parameter: Parameter) -> None:
        names = list(names_in(parameter.condition))
        if parameter.condition is not None and not names:
            self._check_constant(parameter.name, parameter.condition)
        for name in names:
            if name not in self.parameters and not self._mistakes:
                hint = did_you_mean(name, self.parameters)
                message = f"{parameter.name!r}: its condition reads {name!r}, which is no parameter.{hint}"
                self.fail(message.removesuffix("."), self.source.lines[parameter.name])

    def _check_circles(self) -> None:
        reads = {name: list(names_in(parameter.condition)) for name, parameter in self.parameters.items()}
        if len({name for read in reads.values() for name in read}) > MAX_READ:
            return  # which is a mistake of its own
        for circle in _circles(reads):
            way = " → ".join((*circle, circle[0]))
            self.fail(f"{circle[0]!r}: its condition depends on itself: {way}", self.source.lines[circle[0]])

    def _compare_step(self, parameter: Parameter) -> None:
        """Warn of steps that pass over the upper bound: whoever wrote it expects it to be tried."""
        for one in parameter.elements if isinstance(parameter, Vector) else [parameter]:
            if not isinstance(one, Integer | Real) or one.points or one.step is None or not one.drawn_count:
                continue
            last = one.drawn(one.drawn_count - 1)
            if last != one.high:
                message = f"the last value that is tried is {last:.15g}; step = {one.step:.15g}, counted from"
                message = f"{parameter.name!r}: {message} {one.low:.15g}, does not meet {one.high:.15g}"
                self.source.warn(message, self.source.lines[parameter.name])


def _circles(reads: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield circles of names that read each other, each from the name that stands first; no name is in two."""
    left = dict(reads)
    while True:
        while ends := [name for name, read in left.items() if not any(other in left for other in read)]:
            for name in ends:
                del left[name]
        if not left:
            return
        path = [next(iter(left))]
        while (following := next(name for name in left[path[-1]] if name in left)) not in path:
            path.append(following)
        circle = path[path.index(following) :]
        first = circle.index(next(name for name in left if name in circle))
        yield circle[first:] + circle[:first]
        for name in circle:
            del left[name]
