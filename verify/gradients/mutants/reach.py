"""The source that a rule runs: itself and the helpers it can reach in the modules of the primitives.

Followed are global names, closures, and methods of classes that the modules know, by name. The elementary functions and
the trees of sums are proven elsewhere (all 2^32 inputs; bit for bit), and so are the C kernels and their references.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["CLOSED", "functions_reached", "is_open", "nodes_of", "tree_of"]

#: Packages whose source is mutated, and modules of them that are not.
_OPEN = ("minigrad.ops.", "quant.")
CLOSED = (
    "minigrad.ops.conv_kernels",
    "minigrad.ops.conv_reference",
    "quant.dsq.kernels",
    "quant.domain",
    "quant.method",
    "quant.quantizer",
)


def is_open(module: str) -> bool:
    """Whether the source of a module is mutated."""
    return module.startswith(_OPEN) and module not in CLOSED


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function) if callable(function) else function


def functions_reached(rule: Callable[..., Any]) -> list[FunctionType]:
    """The rule and every function or method that it can reach, in modules that are open."""
    found: list[FunctionType] = []
    names: set[str] = set()
    stack = [_unwrapped(rule)]
    while True:
        while stack:
            function = _unwrapped(stack.pop())
            if not isinstance(function, FunctionType) or function in found or not is_open(function.__module__):
                continue
            found.append(function)
            loaded, attributes = _names(function.__code__)
            names |= attributes
            stack += [function.__globals__.get(name) for name in sorted(loaded)]
            stack += [cell.cell_contents for cell in function.__closure__ or ()]
        stack = [method for method in _methods(found, names) if method not in found]
        if not stack:
            return found


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """Global names and attributes that the code loads."""
    loaded: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            loaded.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            attributes.add(instruction.argval)
        elif isinstance(instruction.argval, CodeType):
            more, further = _names(instruction.argval)
            loaded |= more
            attributes |= further
    return loaded, attributes


def _methods(functions: list[FunctionType], names: set[str]) -> Iterator[FunctionType]:
    """Methods of these names, of the classes that the modules of the functions know."""
    known = {id(c): c for f in functions for c in f.__globals__.values() if inspect.isclass(c)}
    for owner in known.values():
        if not is_open(owner.__module__) or issubclass(owner, BaseException):
            continue
        for name, member in vars(owner).items():
            if name not in names:
                continue
            for part in (member, getattr(member, "fget", None), getattr(member, "func", None)):
                function = getattr(part, "__func__", part)
                if isinstance(function, FunctionType):
                    yield function


@functools.cache
def tree_of(module: ModuleType) -> ast.Module:
    """The syntax tree of a module's source."""
    return ast.parse(Path(str(module.__file__)).read_text())


def nodes_of(functions: list[FunctionType]) -> Iterator[tuple[ModuleType, ast.AST]]:
    """Module and syntax tree of every function; one inside another comes with that one."""
    for name in dict.fromkeys(f.__module__ for f in functions):
        module = sys.modules[name]
        found = [node for node in _defined(tree_of(module)) if is_among(node, module, functions)]
        inner = {id(part) for node in found for part in ast.walk(node) if part is not node}
        for node in found:
            if id(node) not in inner and not _only_refuses(node):
                yield module, node


def is_among(node: ast.AST, module: ModuleType, functions: list[FunctionType]) -> bool:
    """Whether a syntax tree is one of the functions'."""
    key = _key(node)
    return any(
        f.__module__ == module.__name__ and (f.__code__.co_name, f.__code__.co_firstlineno) == key for f in functions
    )


def _defined(tree: ast.AST) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda)))


def _key(node: Any) -> tuple[str, int]:
    if isinstance(node, ast.Lambda):
        return "<lambda>", node.lineno
    return node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])


def _only_refuses(node: ast.AST) -> bool:
    """Whether a function returns nothing and raises: it checks arguments."""
    parts = list(ast.walk(node))
    returns = any(isinstance(part, ast.Return) and part.value is not None for part in parts)
    return isinstance(node, ast.FunctionDef) and not returns and any(isinstance(part, ast.Raise) for part in parts)
