"""Which parts of a Python body are evaluated whenever that body runs to its end.

A branch is not certain, nor a loop's body, a function's body, anything that a `try` or a `with` may swallow, and all
that follows a statement that may end the run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

_LEAVING_NAMES = {"exit", "quit"}
_LEAVING_ATTRIBUTES = {"exit", "_exit", "abort", "quit", "execv", "execve", "execvp", "execl", "execlp"}
_INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def certain(body: Sequence[ast.stmt], as_main: bool) -> Iterator[ast.expr]:
    """Yield every expression that is surely evaluated.

    as_main: the body is a module that runs with ``__name__ == "__main__"``.
    """
    for statement in body:
        for expression in _expressions(statement, as_main):
            yield from _parts(expression)
        if _may_leave(statement):
            return


def certain_imports(body: Sequence[ast.stmt], as_main: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield every import statement that is surely run; `as_main` as for `certain`."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif as_main and isinstance(statement, ast.If) and is_main_guard(statement):
            yield from certain_imports(statement.body, as_main)
        if _may_leave(statement):
            return


def set_before(node: ast.AST, name: str, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """True when the variable `name` of the module is surely set by a statement that runs before `node`.

    parents: the node around each node. A statement counts that stands before `node` in the same block or in one around.
    """
    while node in parents:
        around = parents[node]
        if isinstance(node, ast.stmt):
            block = next(b for b in _blocks(around) if node in b)
            if any(_sets(statement, name) for statement in block[: block.index(node)]):
                return True
        node = around
    return False


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for part in ("body", "orelse", "finalbody"):
        block = getattr(node, part, None)
        if isinstance(block, list):
            yield block


def _sets(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Assign() | ast.AnnAssign(value=ast.expr()) | ast.Expr() | ast.Import() | ast.ImportFrom():
            return any(_binds(node, name) for node in ast.walk(statement))
        case ast.With(body=body) | ast.Try(body=body):
            return any(_sets(inner, name) for inner in body)
        case ast.If():
            return all(any(_sets(inner, name) for inner in branch) for branch in _branches(statement))
    return False


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Name(id=bound, ctx=ast.Store()) | ast.alias(asname=str(bound)) | ast.alias(name=bound):
            return bound == name
    return False


def _branches(statement: ast.If) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of an if-elif-else; the last one is empty when there is no else."""
    yield statement.body
    while len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        statement = statement.orelse[0]
        yield statement.body
    yield statement.orelse


def is_main_guard(node: ast.AST) -> bool:
    """True for ``if __name__ == "__main__":``, either way round."""
    match node:
        case ast.If(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            texts = {s.id if isinstance(s, ast.Name) else getattr(s, "value", None) for s in (left, right)}
            return texts == {"__name__", "__main__"}
    return False


def _expressions(statement: ast.stmt, as_main: bool) -> Iterator[ast.expr]:
    """Yield the expressions that the statement certainly begins to evaluate."""
    match statement:
        case ast.If() if as_main and is_main_guard(statement):
            yield from certain(statement.body, as_main)
        case ast.If(test=first) | ast.While(test=first) | ast.For(iter=first) | ast.Match(subject=first):
            yield first
        case ast.With(items=[first_item, *_]):
            yield first_item.context_expr
        case ast.Try(handlers=[]):
            yield from certain([*statement.body, *statement.finalbody], as_main)
        case ast.Try():
            yield from certain(statement.finalbody, as_main)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from statement.decorator_list
            yield from statement.args.defaults
        case ast.ClassDef():
            yield from [*statement.decorator_list, *statement.bases]
            yield from certain(statement.body, as_main)
        case ast.AnnAssign(value=ast.expr() as value):
            yield value
        case ast.Assign() | ast.AugAssign() | ast.Expr() | ast.Return() | ast.Raise() | ast.Delete():
            yield from (child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr))


def _parts(expression: ast.expr) -> Iterator[ast.expr]:
    """Yield the expression and those of its parts that no short circuit, branch or empty loop can skip."""
    todo: list[ast.AST] = [expression]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.expr):
            yield node
        todo.extend(_evaluated_children(node))


def _evaluated_children(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.BoolOp():
            return [node.values[0]]
        case ast.IfExp():
            return [node.test]
        case ast.Compare():
            return [node.left, node.comparators[0]]
        case ast.Lambda():
            return [*node.args.defaults]
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return [node.generators[0].iter]
    return list(ast.iter_child_nodes(node))


def _may_leave(statement: ast.stmt) -> bool:
    """True when the statement may end the run without an error, so that what follows is not certain."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, _INNER):
            continue
        if _leaves(node):
            return True
        todo.extend(ast.iter_child_nodes(node))
    return False


def _leaves(node: ast.AST) -> bool:
    match node:
        case ast.Return():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _LEAVING_NAMES
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _LEAVING_ATTRIBUTES
        case ast.Raise(exc=ast.Name(id="SystemExit") | ast.Call(func=ast.Name(id="SystemExit"))):
            return True
    return False
