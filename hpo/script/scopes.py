"""To which scope every name of a Python syntax tree belongs, by the language's own rules.

The standard library's `symtable` knows the same but cannot be tied back to the nodes of a tree; a model script's
`run(hyperparams)` and its global `hyperparams` have to be told apart node by node. Nothing here recurses: long sums and
chains nest thousands of levels deep in working scripts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


@dataclass(eq=False, slots=True)
class Scope:
    """A module, a class body, a function, or a comprehension (which behaves as a function does)."""

    node: ast.AST
    parent: Scope | None = None
    bound: set[str] = field(default_factory=set)
    declared_global: set[str] = field(default_factory=set)
    declared_nonlocal: set[str] = field(default_factory=set)

    @property
    def module(self) -> Scope:
        """The scope of the whole file."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    @property
    def immediate(self) -> bool:
        """True for the module itself and for what runs as part of it (class bodies, comprehensions)."""
        scope: Scope | None = self
        while scope is not None and not isinstance(scope.node, Function):
            scope = scope.parent
        return scope is None

    def owner(self, name: str) -> Scope:
        """Return the scope in which `name`, read or bound here, lives; builtins count as the module's."""
        if name in self.declared_global:
            return self.module
        if name in self.bound:
            return self
        return self._enclosing_owner(name)

    def _enclosing_owner(self, name: str) -> Scope:
        scope = self.parent
        while scope is not None and scope.parent is not None:
            if name in scope.declared_global:
                return scope.module
            if name in scope.bound and not isinstance(scope.node, ast.ClassDef):
                return scope
            scope = scope.parent
        return self.module


@dataclass(frozen=True, slots=True)
class _Binding:
    """A place where a name is given a meaning: `node` is a Name, an alias, a def, a class, a handler or a pattern."""

    name: str
    scope: Scope
    node: ast.AST


class Scopes:
    """The scopes of a tree: which one each Name node stands in, who binds what, and who reads it."""

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree)
        self.of_name: dict[ast.Name, Scope] = {}
        self.of_function: dict[ast.AST, Scope] = {}
        self._bindings: list[_Binding] = []
        self._loads: dict[tuple[Scope, str], list[ast.Name]] = {}
        self._bound_at: dict[tuple[Scope, str], list[ast.AST]] = {}
        self.stars: list[ast.ImportFrom] = []
        #: Names that class bodies bind: until then such a name, read there, is still the one outside.
        self.bound_in_classes: set[str] = set()
        self._todo: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while self._todo:
            self._enter(*self._todo.pop())
        self._settle()

    def owner(self, name: ast.Name) -> Scope:
        """Return the scope that the name lives in."""
        return self.of_name[name].owner(name.id)

    def loads(self, scope: Scope, name: str) -> list[ast.Name]:
        """Return every place that reads the variable `name` of `scope`, from whatever scope inside it."""
        return self._loads.get((scope, name), [])

    def bound_at(self, scope: Scope, name: str) -> list[ast.AST]:
        """Return the nodes that bind the variable `name` of `scope` (its parameter list is not among them)."""
        return self._bound_at.get((scope, name), [])

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, Function):
            self._enter_function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._bind(node.name, scope, node)
            self._push([*node.decorator_list, *node.bases, *node.keywords], scope)
            self._push(node.body, Scope(node, scope))
        elif isinstance(node, _COMPREHENSIONS):
            self._enter_comprehension(node, scope)
        elif isinstance(node, ast.NamedExpr):
            self._push([node.target], _outside_comprehensions(scope))
            self._push([node.value], scope)
        elif isinstance(node, ast.AnnAssign) and node.value is None and scope is self.module:
            self._push([node.annotation], scope)  # `hyperparams: dict` alone binds nothing in a module
        else:
            self._note(node, scope)
            self._push(ast.iter_child_nodes(node), scope)

    def _push(self, nodes: Iterable[ast.AST], scope: Scope) -> None:
        self._todo.extend((node, scope) for node in nodes)

    def _enter_function(self, node: Function, scope: Scope) -> None:
        inner = Scope(node, scope)
        self.of_function[node] = inner
        arguments = node.args
        inner.bound.update(argument.arg for argument in all_arguments(arguments))
        self._push([*arguments.defaults, *(d for d in arguments.kw_defaults if d is not None)], scope)
        if isinstance(node, ast.Lambda):
            self._push([node.body], inner)
            return
        self._bind(node.name, scope, node)
        annotations = [a.annotation for a in all_arguments(arguments)]
        self._push([n for n in (*node.decorator_list, *annotations, node.returns) if n is not None], scope)
        self._push(node.body, inner)

    def _enter_comprehension(self, node: ast.AST, scope: Scope) -> None:
        """Python evaluates the first iterable outside the comprehension, everything else inside."""
        generators: list[ast.comprehension] = node.generators  # type: ignore[attr-defined]
        first = generators[0].iter
        inner = Scope(node, scope)
        self._push([first], scope)
        for child in ast.iter_child_nodes(node):
            parts = ast.iter_child_nodes(child) if isinstance(child, ast.comprehension) else iter([child])
            self._push([part for part in parts if part is not first], inner)

    def _note(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Name():
                self.of_name[node] = scope
                if not isinstance(node.ctx, ast.Load):
                    self._bind(node.id, scope, node)
            case ast.Global():
                scope.declared_global.update(node.names)
            case ast.Nonlocal():
                scope.declared_nonlocal.update(node.names)
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                self.stars.append(node)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self._bind(alias.asname or alias.name.partition(".")[0], scope, alias)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bind(name, scope, node)
            case ast.MatchMapping(rest=str(name)):
                self._bind(name, scope, node)

    def _bind(self, name: str, scope: Scope, node: ast.AST) -> None:
        self._bindings.append(_Binding(name, scope, node))

    def _settle(self) -> None:
        """Declarations may follow their use in the walk, so names are given to their owners at the end."""
        for binding in self._bindings:
            scope = binding.scope
            if binding.name in scope.declared_global:
                scope.module.bound.add(binding.name)
            elif binding.name not in scope.declared_nonlocal:
                scope.bound.add(binding.name)
        for binding in self._bindings:
            if isinstance(binding.scope.node, ast.ClassDef):
                self.bound_in_classes.add(binding.name)
            owner = binding.scope.owner(binding.name)
            self._bound_at.setdefault((owner, binding.name), []).append(binding.node)
        for name in self.of_name:
            if isinstance(name.ctx, ast.Load):
                self._loads.setdefault((self.owner(name), name.id), []).append(name)


def all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    """Return every parameter of a function, in the order of writing."""
    stars = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def _outside_comprehensions(scope: Scope) -> Scope:
    """`:=` inside a comprehension binds in the scope around it."""
    while isinstance(scope.node, _COMPREHENSIONS) and scope.parent is not None:
        scope = scope.parent
    return scope
