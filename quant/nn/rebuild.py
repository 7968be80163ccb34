"""A network with some of its modules replaced."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from minigrad.nn import Module, Sequential

__all__ = ["rebuilt"]


def rebuilt(model: Module, replacements: Mapping[Module, Sequence[Module]]) -> Module:
    """A copy of the network in which each key stands for the modules of its value, one after the other.

    Only modules that hold a replaced one are copied; the others, and every parameter, are shared with ``model``. Where
    a module that is no ``Sequential`` holds a key with several replacements, they are put into one.
    """
    done: dict[int, Module] = {}

    def one(module: Module) -> Module:
        if module in replacements:
            found = replacements[module]
            return found[0] if len(found) == 1 else Sequential(*found)
        if id(module) not in done:
            parts = {name: part(value) for name, value in vars(module).items()}
            if isinstance(module, Sequential):
                parts["layers"] = kept(module.layers, [new for layer in module.layers for new in several(layer)])
            done[id(module)] = module
            if any(new is not vars(module)[name] for name, new in parts.items()):
                done[id(module)] = copy.copy(module)
                vars(done[id(module)]).update(parts)
        return done[id(module)]

    def several(layer: Module) -> Sequence[Module]:
        return replacements[layer] if layer in replacements else [one(layer)]

    def part(value: Any) -> Any:
        if isinstance(value, Module):
            return one(value)
        if isinstance(value, (list, tuple)):
            return kept(value, type(value)(part(item) for item in value))
        if isinstance(value, dict):
            items = {key: part(item) for key, item in value.items()}
            return items if any(items[key] is not item for key, item in value.items()) else value
        return value

    return one(model)


def kept(old: Any, new: Any) -> Any:
    """The old list or tuple if the new one has just its items."""
    same = len(old) == len(new) and all(a is b for a, b in zip(old, new, strict=True))
    return old if same else new
