"""Which modules a Python model script imports: installed ones, to be imported ahead, and local ones, to be kept.

Nothing is imported to find out.
"""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

from hpo.errors import Complaints
from hpo.script.flow import is_main_guard

#: Importing these does more than define names: MPI starts in the importing process, the others speak or open windows.
_NEVER_AHEAD = {"mpi4py", "horovod", "this", "antigravity", "turtle"}

#: More files than this are not a model script's own code.
MAX_MODULES = 1000


# ---- imported ahead of the trials


def preload(tree: ast.Module, folders: Sequence[Path]) -> tuple[str, ...]:
    """Return the installed modules that a script imports before its first other statement, in order.

    ``from torch import nn`` gives "torch" and "torch.nn", as nothing but an import can tell whether `nn` is a module:
    the process that imports them skips a dotted name that its parent already has as an attribute, and one that is not
    found. Modules found in `folders` (beside the script, or on its own search path) are the user's code and never among
    them; one that does more than define names ends the list, since it may prepare what is imported after it.
    """
    names: list[str] = []
    for statement in _head(tree):
        local = {name for name in named(statement) if is_local(top_of(name), folders)}
        if not _only_define(local, folders):
            break
        names += [name for name in named(statement) if name not in local and _installed(top_of(name))]
    return tuple(dict.fromkeys(names))


def _head(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    for number, statement in enumerate(tree.body):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield statement
        elif number or not _is_text(statement):
            return


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def named(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the dotted names that an absolute import may import, outermost first."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if statement.level or statement.module is None or statement.module == "__future__":
        return []
    return [statement.module, *(f"{statement.module}.{a.name}" for a in statement.names if a.name != "*")]


def top_of(name: str) -> str:
    return name.partition(".")[0]


@cache
def _installed(top: str) -> bool:
    """True for the standard library, this package, and what lies in a folder of installed packages."""
    if top in _NEVER_AHEAD:
        return False
    if top in sys.stdlib_module_names or top == "hpo":
        return True
    sites = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return PathFinder.find_spec(top, sites) is not None


def _only_define(names: Iterable[str], folders: Sequence[Path]) -> bool:
    """True when importing these local modules, and those that they import, does nothing but define names."""
    todo = [file for name in names for file in _local_files(name, folders)]
    seen: set[Path] = set()
    while todo:
        file = todo.pop()
        tree = tree_of(file)
        if tree is None or not all(map(_defines, tree.body)):
            return False
        seen.add(file)
        imports = [s for s in tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]
        todo += [f for s in imports for f in imported_files(s, file, folders) if f not in seen]
    return True


def _defines(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign() | ast.AnnAssign():
            return not _touches_environment(statement)
    return _is_text(statement) or is_main_guard(statement)


def _touches_environment(assignment: ast.Assign | ast.AnnAssign) -> bool:
    """True for ``os.environ["KERAS_BACKEND"] = "torch"``, ``torch.backends.x = y`` and their like."""
    targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
    names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(assignment)}
    return bool(names & {"environ", "putenv"}) or any(isinstance(t, (ast.Subscript, ast.Attribute)) for t in targets)


# ---- the script's own code


def local_modules(script: Path, folders: Sequence[Path], complaints: Complaints) -> tuple[Path, ...]:
    """Return the script and the files of all local modules that it imports, directly or not.

    Local is what lies beside the script or in one of `folders`, and is not installed. Of an imported package every
    module is taken, since packages import by computed names. Of a package with more than `MAX_MODULES` modules only
    those that are imported by name are taken, and a warning says so.
    """
    return _Collector([script.parent, *folders], complaints).collect(script)


class _Collector:
    def __init__(self, folders: Sequence[Path], complaints: Complaints) -> None:
        self.folders, self.complaints = folders, complaints
        self.files: dict[Path, None] = {}
        self.packages: set[Path] = set()

    def collect(self, script: Path) -> tuple[Path, ...]:
        todo = [script]
        while todo:
            file = todo.pop()
            if file not in self.files:
                self.files[file] = None
                todo += [*self._imports(file), *self._package_of(file, script)]
        return tuple(self.files)

    def _imports(self, file: Path) -> Iterator[Path]:
        tree = tree_of(file)
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from imported_files(node, file, self.folders)
            elif isinstance(node, ast.Call):
                for name in _imported_by_call(node):
                    yield from _local_files(name, self.folders)

    def _package_of(self, file: Path, script: Path) -> list[Path]:
        """Return all modules of the outermost package that the file belongs to, once."""
        top = _outermost_package(file)
        if top is None or top in self.packages or top in script.parents:
            return []
        self.packages.add(top)
        modules = _modules_below(top)
        if len(modules) <= MAX_MODULES:
            return modules
        many = f"the package {top} has more than {MAX_MODULES} modules: only those imported by name are kept"
        self.complaints.warn(many, script)
        return []


def tree_of(file: Path) -> ast.Module | None:
    """Return the syntax tree of a local module, or None when it has none: it fails when it is imported, if it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imported_by_call(call: ast.Call) -> list[str]:
    """Return the module of ``importlib.import_module("name")`` or ``__import__("name")``."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    match call.args:
        case [ast.Constant(value=str(text)), *_] if name in ("import_module", "__import__"):
            return [text]
    return []


def imported_files(statement: ast.Import | ast.ImportFrom, file: Path, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the local files that an import statement in `file` would run."""
    if isinstance(statement, ast.ImportFrom) and statement.level:
        folder = file.parents[min(statement.level, len(file.parents)) - 1]
        module = statement.module.split(".") if statement.module else []
        for alias in statement.names:
            yield from _files_in(folder, [*module, alias.name])
    else:
        for name in named(statement):
            yield from _local_files(name, folders)


def _local_files(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that importing the dotted name would run, as far as they are local."""
    parts = name.split(".")
    if is_local(parts[0], folders):
        yield from next(filter(None, (list(_files_in(folder, parts)) for folder in folders)), [])


def is_local(top: str, folders: Sequence[Path]) -> bool:
    """True when a top-level name is found in `folders` before any installed package, as Python searches.

    A folder without `__init__.py` counts only when nothing installed has its name: `wandb/` beside a script is what
    wandb has written.
    """
    if top == "hpo" or top in sys.builtin_module_names:
        return False
    if any((f / f"{top}.py").is_file() or (f / top / "__init__.py").is_file() for f in folders):
        return True
    return any((f / top).is_dir() for f in folders) and not _installed(top)


def _files_in(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    for number, part in enumerate(parts):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        if package.is_file():
            yield package
        elif module.is_file():
            yield module
            return
        elif number + 1 == len(parts) or not (folder / part).is_dir():
            return
        folder = folder / part


def _outermost_package(file: Path) -> Path | None:
    top = None
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        top = folder
    return top


def _modules_below(package: Path) -> list[Path]:
    """Return the modules of a package and of the packages inside it, at most one more than `MAX_MODULES`."""
    found: list[Path] = []
    for folder, below, names in os.walk(package):
        below[:] = sorted(name for name in below if (Path(folder) / name / "__init__.py").is_file())
        found += [Path(folder) / name for name in sorted(names) if name.endswith(".py")]
        if len(found) > MAX_MODULES:
            break
    return found
