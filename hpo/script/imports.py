"""Imports of a Python model script that must fail: of local modules that are not Python, and of modules not there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from hpo.errors import Complaints
from hpo.script.faults import Fault, foreign_fault
from hpo.script.flow import certain_imports
from hpo.script.modules import imported_files, is_local, named, top_of, tree_of
from hpo.script.python import parse

#: What decides, in the module `sys`, where modules are found.
_SEARCH = {"path", "modules", "meta_path", "path_hooks"}


def check_imports(
    script: Path, form: str, search: Sequence[Path], python: Path | None, complaints: Complaints, *, closed: bool
) -> None:
    """Complain of imports that fail whenever the script runs; one in a `try`, a branch or a loop may be meant to.

    form, search, python: as in `Script` and `analyse`. closed: whether the trials find no more modules than this
    process does. A module that is not found is a warning, since the trials may run elsewhere.
    """
    imports = _Imports([script.parent, *search], script, as_main=form == "plain")
    imports.follow()
    for file in imports.files[1:]:  # the script itself was looked at
        fault = _fault(file, python)
        if fault:
            complaints.error(f"this is not Python: {fault.message}", file, fault.line)
    if closed and python is None and not imports.searches:
        for top, (file, line) in imports.others.items():
            if not _found(top):
                message = f"there is no module {top!r}, neither beside the script nor installed for {sys.executable}"
                complaints.warn(message, file, line)


@dataclass(slots=True)
class _Imports:
    """What a script surely imports, itself or through its local modules.

    files: the local files, the script first. others: the modules that are not local, with the first import of each.
    searches: whether one of the files changes where modules are found.
    """

    folders: Sequence[Path]
    script: Path
    as_main: bool
    files: list[Path] = field(default_factory=list)
    others: dict[str, tuple[Path, int]] = field(default_factory=dict)
    searches: bool = False

    def follow(self) -> None:
        """Fill in all of them."""
        todo = [self.script]
        while todo:
            file = todo.pop()
            if file in self.files:
                continue
            self.files.append(file)
            tree = tree_of(file)
            for statement in self._statements(file, tree) if tree else ():
                todo += imported_files(statement, file, self.folders)
                self._note(statement, file)
            self.searches = self.searches or (tree is not None and any(map(_changes_search, ast.walk(tree))))

    def _statements(self, file: Path, tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
        if file != self.script:
            return certain_imports(tree.body, as_main=False)
        runs = [] if self.as_main else [s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "run"]
        bodies = [tree.body, *(run.body for run in runs)]
        return (statement for body in bodies for statement in certain_imports(body, self.as_main))

    def _note(self, statement: ast.Import | ast.ImportFrom, file: Path) -> None:
        for name in named(statement):
            if not is_local(top_of(name), self.folders):
                self.others.setdefault(top_of(name), (file, statement.lineno))


def _changes_search(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr=attribute):
            return attribute in _SEARCH
        case ast.ImportFrom(module="sys", names=names):
            return any(alias.name in _SEARCH for alias in names)
        case ast.Import(names=names):
            return any(alias.name == "site" for alias in names)
    return False


def _fault(file: Path, python: Path | None) -> Fault | None:
    """Return why a module is not Python, if neither this interpreter nor `python` can read it."""
    try:
        parse(file, file.read_bytes())
    except (SyntaxError, ValueError) as error:
        return foreign_fault(python, file) if python else Fault.of(error)
    except OSError:
        return None
    return None


def _found(top: str) -> bool:
    try:
        return top in sys.builtin_module_names or find_spec(top) is not None
    except (ImportError, ValueError):  # (what is in sys.modules without a specification)
        return True
