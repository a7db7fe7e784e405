"""What the syntax tree of a Python model script says: its form, the names it reads, whether it leaves a value.

The forms (each is run in its own way by the Python runner):

* ``plain``: reads the global dictionary `hyperparams` or `candle_params`, leaves a value at module level;
* ``run``: a module-level ``run(hyperparams)`` that returns the value;
* ``canonical``: `initialize_parameters` and ``run(params)``, as the CANDLE library has it.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.errors import Complaints
from hpo.script.flow import certain, set_before
from hpo.script.reads import RECORD, Reads, Use
from hpo.script.scopes import Function, Scope, Scopes

DICTIONARIES = ("hyperparams", "candle_params")
VALUES = ("val_to_return", "candle_value_to_return", "history")

_NO_FORM = (
    "this is no model script: it defines no `run` and reads neither `hyperparams` nor `candle_params`. It may be "
    "(1) `def run(hyperparams)` that returns the value, "
    "(2) `def initialize_parameters(...)` and `def run(params)`, "
    "(3) a plain script that reads the global dictionary `hyperparams` or `candle_params` and leaves "
    "`val_to_return`, `candle_value_to_return` or `history`"
)


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """form: "plain", "run", "canonical", or "" when it has none. reads: what it takes from its dictionary."""

    form: str
    reads: Reads


def parse(path: Path, source: bytes) -> ast.Module:
    """Return the tree of a script that this Python can compile.

    Raises SyntaxError, or ValueError for what is no text (a null byte, a wrong encoding).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source, str(path))
            compile(source, str(path), "exec", dont_inherit=True)
        except (RecursionError, MemoryError):
            raise SyntaxError("it is nested too deeply for Python to read", (str(path), None, None, None)) from None
    return tree


def study(path: Path, tree: ast.Module, complaints: Complaints) -> PythonFacts:
    """Decide the form of a script and what it reads; mistakes go to `complaints`."""
    return _Study(path, tree, complaints).facts()


class _Study:
    def __init__(self, path: Path, tree: ast.Module, complaints: Complaints) -> None:
        self.path, self.tree, self.complaints = path, tree, complaints
        self.scopes = Scopes(tree)
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.tricks = _tricks(self.parents, self.scopes)

    def facts(self) -> PythonFacts:
        form = self._form()
        if form == "plain":
            self._check_value_left()
            return PythonFacts(form, self._reads([(self.scopes.module, name) for name in DICTIONARIES], self.tree.body))
        if form:
            return PythonFacts(form, self._study_run(form))
        self.complaints.error(_NO_FORM, self.path)
        return PythonFacts("", Reads())

    # ---- the form

    def _form(self) -> str:
        if any(self._reads_dictionary(name) for name in DICTIONARIES):
            return "plain"
        if self._defined("run"):
            return "canonical" if self._defined("initialize_parameters") else "run"
        return self._form_by_guess()

    def _reads_dictionary(self, name: str) -> bool:
        """True when the dictionary that is given is read, not one that the script makes for itself.

        A script that tests its `run` under ``if __name__ == "__main__":`` often calls its own dictionary
        `hyperparams`, too: where the module sets the name before it reads it, it is its own.
        """
        module = self.scopes.module
        reads = [*self.scopes.loads(module, name), *self._other_reads(name)]
        if self.scopes.bound_at(module, name):
            reads = [node for node in reads if self._immediate(node) and not set_before(node, name, self.parents)]
        return bool(reads)

    def _other_reads(self, name: str) -> Iterator[ast.AST]:
        """Yield ``name |= ...`` and, where globals are reached by their names, these."""
        for node, parent in self.parents.items():
            match node:
                case ast.Name(id=found) if found == name and isinstance(parent, ast.AugAssign):
                    yield node
                case ast.Constant(value=found) if found == name and self.tricks and not _is_stored(parent):
                    yield node

    def _immediate(self, node: ast.AST) -> bool:
        """True when the node runs with the module, not in a function."""
        return not isinstance(node, ast.Name) or self.scopes.of_name[node].immediate

    def _defined(self, name: str) -> bool:
        """True when the module gives the name a meaning that can be called."""
        return any(not self._set_to_constant(n) for n in self.scopes.bound_at(self.scopes.module, name))

    def _set_to_constant(self, node: ast.AST) -> bool:
        assignments = (s for s in self.tree.body if isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant))
        return any(node in assignment.targets for assignment in assignments)

    def _form_by_guess(self) -> str:
        """Nothing in the tree shows a form; something that the tree cannot show may still make one."""
        module = self.scopes.module
        own = [node for name in DICTIONARIES for node in self.scopes.bound_at(module, name)]
        if own:
            self.complaints.warn(
                "the script sets its own dictionary here, so that the hyperparameters of a trial do not reach it",
                self.path,
                min(_position(node) for node in own)[0],
            )
            return "plain"
        if self._leaves_value():
            self.complaints.warn("the script reads no hyperparameter: every trial will be the same", self.path)
            return "plain"
        hidden = self._hidden()
        if hidden:
            form, line = hidden
            how = "a `run` that is defined there" if form == "run" else "a plain script"
            self.complaints.warn(f"what this line brings cannot be seen; taken for {how}", self.path, line)
            return form
        return ""

    def _hidden(self) -> tuple[str, int] | None:
        if self.scopes.stars:
            return "run", min(star.lineno for star in self.scopes.stars)
        if self.tricks:
            return "plain", min(self.tricks)
        return None

    # ---- the value left behind

    def _leaves_value(self) -> bool:
        module = self.scopes.module
        return any(self.scopes.bound_at(module, name) for name in VALUES)

    def _check_value_left(self) -> None:
        if not (self._leaves_value() or self.tricks or self.scopes.stars):
            names = "`val_to_return`, `candle_value_to_return` nor `history`"
            self.complaints.warn(f"the script sets neither {names} at module level: it leaves no value", self.path)

    # ---- the function run

    def _study_run(self, form: str) -> Reads:
        run = self._run_function()
        if run is None:
            return Reads(everything=True)
        if not run.decorator_list and not _takes_one_argument(run.args):
            message = "`run` must take one argument, the dictionary of hyperparameters"
            self.complaints.error(message, self.path, run.lineno)
        if not _returns_value(run):
            self.complaints.warn("`run` returns nothing: it leaves no value", self.path, run.lineno)
        parameters = [*run.args.posonlyargs, *run.args.args]
        if not parameters:
            return Reads(everything=True)
        reads = self._reads([(self.scopes.of_function[run], parameters[0].arg)], run.body)
        # What initialize_parameters adds to the dictionary is not known here; a decorator may change it, too.
        doubtful = form == "canonical" or run.decorator_list
        return reads.doubted(everything=bool(run.decorator_list)) if doubtful else reads

    def _run_function(self) -> ast.FunctionDef | None:
        nodes = self.scopes.bound_at(self.scopes.module, "run")
        return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], ast.FunctionDef) else None

    def _reads(self, variables: list[tuple[Scope, str]], body: list[ast.stmt]) -> Reads:
        sure = set(certain(body, as_main=body is self.tree.body))
        reads = Use(self.parents, self.scopes, sure).of(variables)
        if self.tricks or self.scopes.stars:
            return reads.doubted(everything=True)
        return replace(reads, everything=reads.everything or self._opens_record())

    def _opens_record(self) -> bool:
        """Whether the script names the file in its folder that has all hyperparameters."""
        texts = (node.value for node in self.parents if isinstance(node, ast.Constant) and isinstance(node.value, str))
        return any(RECORD in text for text in texts)


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)


def _takes_one_argument(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keywords = any(default is None for default in arguments.kw_defaults)
    return required <= 1 and (positional >= 1 or arguments.vararg is not None) and not keywords


def _returns_value(function: ast.FunctionDef) -> bool:
    """True when some `return` of the function itself has a value."""
    return any(isinstance(node, ast.Return) and not _nothing(node.value) for node in _own_nodes(function))


def _nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions and classes inside it."""
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (Function, ast.ClassDef)):
            todo.extend(ast.iter_child_nodes(node))


def _tricks(nodes: Iterable[ast.AST], scopes: Scopes) -> list[int]:
    """Return the lines that may read or set any global behind the tree's back."""
    lines = [
        name.lineno
        for name in scopes.of_name
        if name.id in ("exec", "eval", "globals") and scopes.owner(name) is scopes.module
    ]
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="vars" | "locals"), args=[]):
                lines.append(node.lineno)
            case ast.Import(names=names) if any(alias.name == "__main__" for alias in names):
                lines.append(node.lineno)
            case ast.ImportFrom(module="__main__"):
                lines.append(node.lineno)
            case ast.Attribute(value=ast.Name(id="sys"), attr="modules") | ast.Attribute(attr="f_globals"):
                lines.append(node.lineno)
    return lines
