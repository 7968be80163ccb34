"""Small wrong edits of a function's syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Edit", "edits_of"]

_SIGNS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
_COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_LOGIC: dict[type, type] = {ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
_TWINS = (
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("max", "min"),
    ("exp", "expm1"),
    ("log", "log1p"),
    ("floor", "ceil"),
    ("greater", "greater_equal"),
)
_OTHER = {a: b for pair in _TWINS for a, b in (pair, pair[::-1])}


@dataclass(frozen=True)
class Edit:
    """One change: the tree is mutated between ``apply`` and ``undo``."""

    kind: str
    parent: Any
    field: str
    index: int | None
    old: Any
    new: Any

    def apply(self) -> None:
        self._put(self.new)

    def undo(self) -> None:
        self._put(self.old)

    def _put(self, node: Any) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node

    def __str__(self) -> str:
        return f"{_text(self.old)} -> {_text(self.new)}"


def _text(node: Any) -> str:
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
    return " ".join(text.split())


def edits_of(function: ast.AST) -> Iterator[Edit]:
    """Every edit of a function's body and of its defaults.

    Left alone are what cannot make a gradient wrong: annotations, docstrings, assertions, and the refusal of bad
    arguments (an ``if`` that does nothing but raise).
    """
    for parent, field, index, node in _places(function):
        for kind, new in _replacements(node):
            yield Edit(kind, parent, field, index, node, ast.copy_location(new, node))


def _places(node: Any) -> Iterator[tuple[Any, str, int | None, Any]]:
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "ctx", "ops", "op"):
            continue
        children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if not isinstance(child, ast.AST) or _harmless(child):
                continue
            yield node, field, index, child
            yield from _places(child)


def _harmless(node: ast.AST) -> bool:
    if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.arg)):
        return True
    if isinstance(node, (ast.If, ast.For)) and not node.orelse:
        return all(_harmless(statement) for statement in node.body)
    # A docstring.
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _replacements(node: Any) -> Iterator[tuple[str, Any]]:
    kind = type(node).__name__
    maker = _MAKERS.get(kind)
    if maker is not None:
        yield from maker(node)


def _binary(node: ast.BinOp) -> Iterator[tuple[str, Any]]:
    op, left, right = node.op, node.left, node.right
    if type(op) in _SIGNS:
        yield "sign", ast.BinOp(left, _SIGNS[type(op)](), right)
        yield "dropped term", left
        yield "dropped term", right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right)
    if isinstance(op, ast.Sub):
        yield "swapped operands", ast.BinOp(right, op, left)
    if isinstance(op, (ast.Mult, ast.Div)):
        yield "dropped factor", left
        if isinstance(op, ast.Mult):
            yield "dropped factor", right
        yield "factor 2", ast.BinOp(ast.Constant(2), ast.Mult(), node)
    if isinstance(op, (ast.Div, ast.MatMult)):
        yield "swapped operands", ast.BinOp(right, op, left)
    if isinstance(op, ast.Div):
        yield "product for quotient", ast.BinOp(left, ast.Mult(), right)
    if type(op) in _LOGIC:
        yield "condition", ast.BinOp(left, _LOGIC[type(op)](), right)


def _unary(node: ast.UnaryOp) -> Iterator[tuple[str, Any]]:
    if isinstance(node.op, ast.USub):
        yield "sign", node.operand
    if isinstance(node.op, (ast.Invert, ast.Not)):
        yield "condition", node.operand


def _augmented(node: ast.AugAssign) -> Iterator[tuple[str, Any]]:
    if type(node.op) in _SIGNS:
        yield "sign", ast.AugAssign(node.target, _SIGNS[type(node.op)](), node.value)
    yield "dropped term" if type(node.op) in _SIGNS else "dropped factor", ast.Pass()


def _compared(node: ast.Compare) -> Iterator[tuple[str, Any]]:
    for n, op in enumerate(node.ops):
        for other in _COMPARISONS.get(type(op), ()):
            yield "comparison", ast.Compare(node.left, [*node.ops[:n], other(), *node.ops[n + 1 :]], node.comparators)


def _joined(node: ast.BoolOp) -> Iterator[tuple[str, Any]]:
    yield "condition", ast.BoolOp(_LOGIC[type(node.op)](), node.values)


def _constant(node: ast.Constant) -> Iterator[tuple[str, Any]]:
    if type(node.value) is int:
        yield "off by one", ast.Constant(node.value + 1)
        below = ast.Constant(abs(node.value - 1))
        yield "off by one", below if node.value > 0 else ast.UnaryOp(ast.USub(), below)
    elif type(node.value) is float:
        yield "factor 2" if node.value else "off by one", ast.Constant(2 * node.value or 1.0)


def _called(node: ast.Call) -> Iterator[tuple[str, Any]]:
    name = _name_of(node.func)
    if name == "sum_to_shape":
        yield "missing sum over a broadcast axis", node.args[0]
    if name == "transpose" or name == "swapaxes":
        yield "transposed argument", node.func.value if _is_method(node) else node.args[0]  # type: ignore[attr-defined]
    if name in _OTHER:
        func = copy.deepcopy(node.func)
        if isinstance(func, ast.Attribute):
            func.attr = _OTHER[name]
            yield "wrong function", ast.Call(func, node.args, node.keywords)
    for n in range(len(node.args) - 1):
        if not any(isinstance(a, ast.Starred) for a in node.args):
            args = list(node.args)
            args[n], args[n + 1] = args[n + 1], args[n]
            yield "swapped operands", ast.Call(node.func, args, node.keywords)


def _is_method(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id == "np"
    )


def _name_of(func: ast.AST) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def _attribute(node: ast.Attribute) -> Iterator[tuple[str, Any]]:
    if node.attr in ("T", "mT"):
        yield "transposed argument", node.value


def _assigned(node: ast.Assign) -> Iterator[tuple[str, Any]]:
    """Neighbours of an unpacking exchanged: each gets the value of the other."""
    (target, *others) = node.targets
    if others or not isinstance(target, ast.Tuple):
        return
    for n in range(len(target.elts) - 1):
        names = list(target.elts)
        names[n], names[n + 1] = names[n + 1], names[n]
        yield "wrong residual", ast.Assign([ast.Tuple(names, ast.Store())], node.value)


_MAKERS: dict[str, Any] = {
    "BinOp": _binary,
    "UnaryOp": _unary,
    "AugAssign": _augmented,
    "Compare": _compared,
    "BoolOp": _joined,
    "Constant": _constant,
    "Call": _called,
    "Attribute": _attribute,
    "Assign": _assigned,
}
