"""The reading of one input file, from its path to an `InputFile`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from hpo.errors import Complaints
from hpo.inputfile import assignments, default_model, groups, keywords, overrides
from hpo.inputfile.assignments import Assignment
from hpo.inputfile.files import Unreadable, read_bytes
from hpo.inputfile.groups import Section
from hpo.inputfile.keywords import SPELLINGS, Control, Surroundings
from hpo.inputfile.model import InputFile
from hpo.inputfile.scripts import find_script
from hpo.inputfile.spaces import read_space
from hpo.inputfile.values import BadValue, read_value
from hpo.space import ParameterSpace, Space

#: The most that &control or &default_model may hold; data belongs into files of its own.
MAX_SECTION_BYTES = 1_000_000

_SPACE_FILE = re.compile(rb"\s*(?:candle_)?param_space_file\s*[=:]", re.IGNORECASE)
_COMMENT_LINE = re.compile(rb"\s*(?:[#!].*)?\Z", re.DOTALL)


#: Looks at what was read before mistakes are raised, and adds its own: what the file says, whether its hyperparameters
#: (&default_model and &param_space) could be read, and where complaints go.
Inspection: TypeAlias = Callable[[InputFile, bool, Complaints], None]


class _Reported(Exception):
    """Something cannot be read, and the complaint is already recorded."""


class Reader:
    """Reads one input file; mistakes are collected until its end."""

    def __init__(self, file: Path, arguments: Sequence[str]) -> None:
        self._file = file
        self._complaints = Complaints()
        self._around = Surroundings.of(file)
        self._overrides = overrides.parse(arguments, self._complaints)
        self._files: list[Path] = []

    def read(self, to_run: bool, inspect: Inspection | None) -> InputFile:
        """Return what the file says; `InputError` with every mistake."""
        text = self._input()
        sections = groups.split(text, self._file, self._complaints)
        control = self._control(sections.get("control"))
        self._require(sections, control)
        before = len(self._complaints.errors)
        defaults = self._defaults(sections.get("default_model"), control)
        space = self._space(sections.get("param_space"), control, defaults)
        names = space.names if space else []
        values_known = space is not None and len(self._complaints.errors) == before
        self._overrides.check(defaults, names, self._complaints)
        defaults |= self._overriding_defaults(defaults)
        self._compare_names(defaults, names)
        script = self._script(control)
        if to_run:
            self._complaints.errors += control.unavailable
        scripted = script is not None or control.without_script
        if scripted and inspect is not None:
            draft = self._result(text, control, defaults, space or ParameterSpace([]), script)
            inspect(draft, values_known, self._complaints)
        self._complaints.raise_errors()
        assert space is not None and scripted  # or there would have been a mistake
        if not to_run:
            self._complaints.warnings += control.unavailable
        return self._result(text, control, defaults, space, script)

    def _result(
        self, text: bytes, control: Control, defaults: Mapping[str, Any], space: Space, script: Path | None
    ) -> InputFile:
        return InputFile(
            path=self._file.absolute(),
            text=text,
            control=control.values,
            given={name: self._place(each) for name, each in control.given.items()},
            defaults=defaults,
            space=space,
            script=script,
            files=tuple(self._files),
            warnings=tuple(self._complaints.warnings),
            notes=tuple(control.notes),
        )

    def _input(self) -> bytes:
        """Return the bytes of the input file; `InputError` when there is none, or it is no text."""
        text = b""
        try:
            text = read_bytes(self._file)
            if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise Unreadable("is UTF-16 text; save it as UTF-8")
        except Unreadable as error:
            self._complaints.error(str(error), self._file)
        self._complaints.raise_errors()
        return text

    def _require(self, sections: Mapping[str, Section], control: Control) -> None:
        """Complain of sections that are missing and have no file in their place."""
        for name in groups.NAMES:
            if name not in sections and f"{name}_file" not in control.asked:
                message = f"there is no section &{name}; add a line '&{name}' and, at its end, a line '/'"
                self._complaints.error(message, self._file)

    # --- &control ---

    def _control(self, section: Section | None) -> Control:
        given = [
            each
            for each in self._assignments(section)
            if each.target.casefold() not in SPELLINGS
            or SPELLINGS[each.target.casefold()].name not in self._overrides.control
        ]
        given += self._overrides.control.values()
        return keywords.read_control(given, self._around, self._complaints, checked=section is not None)

    def _assignments(self, section: Section | None) -> list[Assignment]:
        if section is None:
            return []
        if len(section.body) > MAX_SECTION_BYTES:
            size = f"{len(section.body) / 1e6:.1f} MB, more than {MAX_SECTION_BYTES // 1_000_000} MB"
            self._complaints.error(f"section &{section.name} holds {size}", self._file, section.line)
            return []
        body = default_model.decode(section.body)
        return assignments.parse(body, section.first_line, self._file, self._complaints)

    def _script(self, control: Control) -> Path | None:
        """Return the model script; what is wrong with it is reported."""
        if "model_script" not in control.given:
            return None
        given = control.given["model_script"]
        try:
            return find_script(control.values["model_script"], self._file.parent)
        except BadValue as error:
            given.complain(f"model_script {error}", self._file, self._complaints)
            return None

    # --- &default_model ---

    def _defaults(self, section: Section | None, control: Control) -> dict[str, Any]:
        given = self._assignments(section)
        named = next((each for each in given if each.key.casefold() in default_model.FILE_KEYS), None)
        try:
            replacement = self._replacement("default_model_file", named, control, default_model.MAX_BYTES)
        except _Reported:
            return {}
        if replacement is None:
            return default_model.read_section(given, self._file, self._complaints)
        path, data = replacement
        if [each for each in given if each is not named]:
            message = f"the rest of &default_model is not read; {path} is in its place"
            self._complaints.warn(message, self._file, given[-1].line)
        return default_model.read_file(data, path, self._complaints)

    def _overriding_defaults(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        bare = {name: each for name, each in self._overrides.bare.items() if name in defaults}
        for name, each in (bare | self._overrides.default_model).items():
            try:
                values[name] = read_value(each.text)
            except BadValue as error:
                each.complain(f"{name} {error}", self._file, self._complaints)
        return values

    def _compare_names(self, defaults: Mapping[str, Any], names: Sequence[str]) -> None:
        """Complain of a searched name that differs from a default's only in letter case."""
        folded = {name.casefold(): name for name in defaults}
        for name in names:
            default = folded.get(name.casefold(), name)
            if default != name:
                message = f"parameter '{name}' and default '{default}' differ only in letter case; spell them alike"
                self._complaints.error(message, self._file)

    # --- &param_space ---

    def _space(self, section: Section | None, control: Control, defaults: Mapping[str, Any]) -> Space | None:
        named = self._named_space_file(section)
        try:
            replacement = self._replacement("param_space_file", named, control)
        except _Reported:
            return None
        workflow = control.values["workflow"] or "grid"
        if replacement is not None:
            path, data = replacement
            if _SPACE_FILE.match(data):
                self._complaints.error("a parameter space file cannot name another one", path, 1)
                return None
            return read_space(data, path, 1, workflow, self._complaints, defaults)
        if section is None:
            return None
        return read_space(section.body, self._file, section.first_line, workflow, self._complaints, defaults)

    def _named_space_file(self, section: Section | None) -> Assignment | None:
        """Return the assignment that names a file, when the section's first line with content is one."""
        at, line = 0, section.first_line if section else 0
        while section and at < len(section.body):
            end = section.body.find(b"\n", at)
            end = len(section.body) if end < 0 else end
            first = section.body[at:end]
            if not _COMMENT_LINE.match(first):
                break
            at, line = end + 1, line + 1
        else:
            return None
        if not _SPACE_FILE.match(first):
            return None
        return assignments.parse(default_model.decode(first), line, self._file, self._complaints)[0]

    # --- files in place of sections ---

    def _replacement(
        self, keyword: str, named: Assignment | None, control: Control, limit: int | None = None
    ) -> tuple[Path, bytes] | None:
        """Return the file that stands in for a section, and its contents; None when the section's body holds.

        named: the assignment in the section itself, which goes before `keyword` in &control. `_Reported` when the file
        cannot be read.
        """
        written = named or control.given.get(keyword)
        if written is None:
            return None
        try:
            if not written.text:
                raise BadValue("has no value")
            path = self._file.parent / self._around.text(written.text)
            data = read_bytes(path, limit) if limit else read_bytes(path)
        except (BadValue, Unreadable) as error:
            what = f"'{path}' {error}" if isinstance(error, Unreadable) else str(error)
            written.complain(f"{written.target} {what}", self._file, self._complaints)
            raise _Reported from error
        self._files.append(path.absolute())
        return path, data

    def _place(self, assignment: Assignment) -> str:
        return "command line" if assignment.line is None else f"{self._file.name}:{assignment.line}"
