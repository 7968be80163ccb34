"""Mutants of the source: one small wrong edit in a rule, or in a helper that it reaches.

The modules that the rule runs are executed again with the edit, into a registry of their own, and only the mutated rule
is taken from there: forward, definition and all other primitives stay what they were, although they may share the
helper. Where the edit is in code that the forward runs too, forward and rules all come from there: with a wrong
residual the vjp is wrong.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

from minigrad import primitive as registry
from minigrad.primitive import Primitive
from quant import method
from verify.gradients.mutants.edits import Edit, edits_of
from verify.gradients.mutants.reach import CLOSED, functions_reached, is_among, is_open, nodes_of, tree_of
from verify.gradients.mutants.record import Mutant

__all__ = ["Unborn", "source_files", "source_mutants"]


class Unborn(Exception):
    """The edited module does not run, so nobody could ever use the mutant."""


def source_mutants(primitive: Primitive) -> Iterator[Mutant]:
    """Every source mutant of the vjp, jvp and hvp.

    An edit of a helper that several rules share is made once for each; an edit of code that the forward runs too (the
    residuals are made there) once for all of them together.
    """
    home = _homes()[primitive.name]
    forward = functions_reached(primitive.forward)
    seen = set()
    for rule in ("vjp", "jvp", "hvp"):
        function = getattr(primitive, rule)
        if function is None:
            continue
        functions = functions_reached(function)
        family = tuple(dict.fromkeys([home, *(f.__module__ for f in [*functions, *forward])]))
        for module, node in nodes_of(functions):
            label = "shared" if is_among(node, module, forward) else rule
            if (label, id(node)) in seen:
                continue
            seen.add((label, id(node)))
            for edit in edits_of(node):
                make = functools.partial(_mutated, primitive, label, module, family, edit)
                text = f"in {getattr(node, 'name', 'lambda')}: {edit}"
                lines = (str(module.__file__), edit.old.lineno, edit.old.end_lineno or edit.old.lineno)
                yield Mutant(primitive.name, label, edit.kind, text, make, lines)


def source_files(primitive: Primitive) -> list[str]:
    """The modules that a primitive's rules, definition, examples and kinks are made of, as file names."""
    named = ("forward", "vjp", "jvp", "hvp", "definition", "examples", "surrogate", "modifier")
    functions = [*(getattr(primitive, name) for name in named), *(kink.at for kink in primitive.kinks)]
    reached = {f.__module__ for function in functions if function is not None for f in functions_reached(function)}
    return sorted(str(sys.modules[name].__file__) for name in {_homes()[primitive.name], *reached, *CLOSED})


@contextlib.contextmanager
def _aside(names: tuple[str, ...]) -> Iterator[None]:
    """Within it the modules are imported anew, and register in registries of their own."""
    kept = {name: sys.modules.pop(name) for name in names}
    before, registry.PRIMITIVES = registry.PRIMITIVES, {}
    before_methods, method.METHODS = method.METHODS, {}
    try:
        yield
    finally:
        registry.PRIMITIVES, method.METHODS = before, before_methods
        sys.modules.update(kept)
        for module in kept.values():
            _attach(module)


def _attach(module: ModuleType) -> None:
    """Make it what ``from package import module`` finds."""
    package, _, name = module.__name__.rpartition(".")
    setattr(sys.modules[package], name, module)


@functools.cache
def _homes() -> dict[str, str]:
    """Which module registers each primitive."""
    homes: dict[str, str] = {}
    for name in sorted(name for name in sys.modules if is_open(name)):
        with _aside((name,)):
            importlib.import_module(name)
            homes |= dict.fromkeys(registry.PRIMITIVES, name)
    return homes


def _mutated(primitive: Primitive, label: str, module: ModuleType, family: tuple[str, ...], edit: Edit) -> Primitive:
    tree = tree_of(module)
    edit.apply()
    try:
        code = compile(ast.fix_missing_locations(tree), str(module.__file__), "exec")
    except (SyntaxError, ValueError, TypeError) as error:
        raise Unborn(str(error)) from error
    finally:
        edit.undo()
    with _aside(family):
        scratch = ModuleType(module.__name__)
        scratch.__file__, scratch.__package__ = module.__file__, module.__package__
        sys.modules[module.__name__] = scratch
        _attach(scratch)
        try:
            exec(code, scratch.__dict__)
            importlib.import_module(family[0])
        except Exception as error:
            raise Unborn(f"{type(error).__name__}: {error}") from error
        mutated = registry.PRIMITIVES[primitive.name]
    rules = ("forward", "vjp", "jvp", "hvp") if label == "shared" else (label,)
    return dataclasses.replace(primitive, **{rule: getattr(mutated, rule) for rule in rules})
