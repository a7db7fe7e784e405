"""Which names a Python script takes from its dictionary of hyperparameters, and how surely.

The dictionary is followed from its first variable into plain aliases (``params = hyperparams``) and into the parameters
of the script's own functions that it is handed to. Where it goes further, anything may be read, but for one use: a
function from elsewhere that gets a dataclass of the script beside the dictionary, ``from_hyperparams(Settings,
hyperparams)``, makes the one of the other, and reads its fields.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hpo.script.scopes import Scope, Scopes

#: The file of hyperparameters in the folder of each trial.
RECORD = "params.json"

#: Builtins that look at a dictionary and neither keep nor change it.
_HARMLESS = {"print", "len", "str", "repr", "bool", "type", "isinstance", "id"}


@dataclass(frozen=True, slots=True)
class Read:
    """A name taken from the dictionary, and the line (from 1).

    definite: a KeyError is certain when nobody defines the name.
    optional: the script has an answer of its own for when the name is not there. field: it is one of a dataclass, which
    lists what may be there.
    """

    name: str
    line: int
    definite: bool = False
    optional: bool = False
    field: bool = False


@dataclass(frozen=True, slots=True)
class Reads:
    """All reads of a script, in the order of lines. everything: it may also read names that cannot be seen."""

    names: tuple[Read, ...] = ()
    everything: bool = False

    def doubted(self, everything: bool = False) -> Reads:
        """The same, none of them definite any more."""
        names = tuple(replace(read, definite=False) for read in self.names)
        return Reads(names, self.everything or everything)


@dataclass(slots=True)
class Use:
    """Collects what a script does with its dictionary.

    parents: the node around each node. sure: the expressions that are evaluated whenever the script runs.
    """

    parents: Mapping[ast.AST, ast.AST]
    scopes: Scopes
    sure: set[ast.expr]
    _reads: list[Read] = field(default_factory=list)
    _guarded: set[str] = field(default_factory=set)
    _everything: bool = False
    _open: bool = False  # aliased, stored to or passed on: what is in the dictionary later is not known

    def of(self, variables: Sequence[tuple[Scope, str]]) -> Reads:
        """Return what is read from the dictionary that lives in `variables` ((scope, name) pairs)."""
        todo, seen = list(variables), set(variables)
        while todo:
            scope, name = todo.pop()
            if self.scopes.bound_at(scope, name) or name in self.scopes.bound_in_classes:
                self._open = True
            for node in list(self.scopes.loads(scope, name)):
                found = set(self._follow(node)) - seen
                seen |= found
                todo += found
        return Reads(tuple(sorted(map(self._settled, self._reads), key=lambda r: (r.line, r.name))), self._everything)

    def _settled(self, read: Read) -> Read:
        guarded = read.name in self._guarded
        definite = read.definite and not guarded and not self._open
        return replace(read, definite=definite, optional=read.optional or guarded)

    def _follow(self, name: ast.Name) -> Iterable[tuple[Scope, str]]:
        """Record what happens to the dictionary here; return the variables that it goes on to live in."""
        parent = self.parents[name]
        match parent:
            case ast.Subscript() if parent.value is name:
                self._subscript(parent)
            case ast.Attribute():
                self._attribute(parent)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]) if left is not name:
                self._membership(left)
            case ast.Compare(ops=[ast.Is() | ast.IsNot()]) | ast.FormattedValue() | ast.Expr() | ast.If():
                pass
            case ast.For() | ast.comprehension():
                self._everything = True
            case ast.Assign() | ast.AnnAssign() | ast.NamedExpr():
                return self._alias(parent)
            case ast.Call() if parent.func is not name:
                return self._argument(parent, parent.args.index(name))
            case ast.keyword(arg=str(keyword)):
                return self._argument(self.parents[parent], keyword)
            case _:
                self._lose()
        return ()

    def _lose(self) -> None:
        self._open = self._everything = True

    def _subscript(self, node: ast.Subscript) -> None:
        key = _literal(node.slice)
        if not isinstance(node.ctx, ast.Load):
            self._open = True
        elif key is None:
            self._everything = True
        else:
            self._reads.append(Read(key, node.lineno, definite=node in self.sure))

    def _attribute(self, node: ast.Attribute) -> None:
        call = self.parents[node]
        if not (isinstance(call, ast.Call) and call.func is node):
            self._lose()
        elif node.attr in ("get", "pop", "setdefault", "__getitem__", "__contains__"):
            self._open = self._open or node.attr in ("pop", "setdefault")
            self._lookup(node.attr, call)
        elif node.attr in ("keys", "items", "values"):
            self._everything = True
        else:
            self._lose()

    def _lookup(self, method: str, call: ast.Call) -> None:
        key = _literal(call.args[0]) if call.args else None
        if key is None:
            self._everything = True
        elif method == "__contains__":
            self._guarded.add(key)
        else:
            optional = method in ("get", "setdefault") or len(call.args) > 1
            self._reads.append(Read(key, call.lineno, optional=optional))

    def _membership(self, left: ast.expr) -> None:
        key = _literal(left)
        if key is None:
            self._lose()
        else:
            self._guarded.add(key)

    def _alias(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> list[tuple[Scope, str]]:
        self._open = True
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [target for target in targets if isinstance(target, ast.Name)]
        self._everything = self._everything or len(names) < len(targets)
        return [(self.scopes.owner(name), name.id) for name in names]

    def _argument(self, call: ast.AST, where: int | str) -> list[tuple[Scope, str]]:
        """The dictionary is handed to a call, by position or by keyword."""
        if isinstance(call, ast.Call) and (cls := self._filled(call)):
            self._open = True
            self._reads += _fields(cls)
            return []
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            self._lose()
            return []
        nodes = self.scopes.bound_at(self.scopes.owner(call.func), call.func.id)
        if not nodes and call.func.id in _HARMLESS:
            return []
        self._open = True
        parameter = _parameter(nodes[0], call, where) if len(nodes) == 1 else None
        if parameter is None:
            self._everything = True
            return []
        return [(self.scopes.of_function[nodes[0]], parameter)]

    def _filled(self, call: ast.Call) -> ast.ClassDef | None:
        """Return the dataclass of the script that an imported function gets beside the dictionary and nothing else."""
        function = call.func
        while isinstance(function, ast.Attribute):
            function = function.value
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        if len(values) != 2 or not isinstance(self._bound(function), ast.alias):
            return None
        classes = [node for node in map(self._bound, values) if isinstance(node, ast.ClassDef)]
        return next((cls for cls in classes if not cls.bases and any(map(_is_dataclass, cls.decorator_list))), None)

    def _bound(self, node: ast.expr) -> ast.AST | None:
        """Return what alone gives a name its meaning."""
        nodes = self.scopes.bound_at(self.scopes.owner(node), node.id) if isinstance(node, ast.Name) else []
        return nodes[0] if len(nodes) == 1 else None


def _is_dataclass(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).partition("(")[0].rpartition(".")[2] == "dataclass"


def _fields(cls: ast.ClassDef) -> list[Read]:
    named = [s.target for s in cls.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    return [Read(name.id, name.lineno, optional=True, field=True) for name in named]


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _parameter(function: ast.AST, call: ast.Call, where: int | str) -> str | None:
    """Return the name of the parameter that receives an argument, or None when that cannot be told."""
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or function.decorator_list:
        return None
    arguments = function.args
    if isinstance(where, str):
        known = [*arguments.args, *arguments.kwonlyargs]
        return where if any(a.arg == where for a in known) else None
    if any(isinstance(a, ast.Starred) for a in call.args[:where]):
        return None
    positional = [*arguments.posonlyargs, *arguments.args]
    return positional[where].arg if where < len(positional) else None
