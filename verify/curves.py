"""A quantization method as curves: value, hard value and every gradient over points, with certificates.

Where an element's value depends on that element alone, each point is a tensor of its own, and the gradients are those
that training takes: the vjp of 1. Otherwise the points are one tensor: the gradient of x is that of the sum of all
values, and those of the parameters are what the jvp gives for each value.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.draw import SeededDraw
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Primitive
from quant import METHODS, Method
from quant.method import Role

__all__ = ["Curves", "Setting", "curves", "make_setting", "tangents_of", "tensors", "window"]

Array = np.ndarray

_PROBES = 4001


@dataclass(frozen=True)
class Setting:
    """A primitive of a method with everything but x.

    ``options`` are the primitive's, ``all_options`` what the method's pure functions choose theirs from.
    """

    method: Method
    primitive: Primitive
    bits: int
    role: Role
    parameters: tuple[Array, ...]
    options: dict[str, Any]
    all_options: dict[str, Any]

    @property
    def alone(self) -> bool:
        """Whether each point is a tensor of its own."""
        return "elementwise" in self.method.laws

    def __str__(self) -> str:
        named = dict(zip(self.method.parameters, self.parameters, strict=True))
        named |= {key: np.asarray(value) for key, value in self.options.items() if isinstance(value, float)}
        return ", ".join([f"{self.bits} bit", self.role, *(f"{key} = {_in_words(p)}" for key, p in named.items())])


def _in_words(parameter: Array) -> str:
    numbers = [f"{number:.4g}" for number in parameter.ravel()]
    if len(numbers) > 8:
        numbers = [*numbers[:3], "...", *numbers[-3:]]
    return numbers[0] if parameter.ndim == 0 else f"({', '.join(numbers)})"


@dataclass(frozen=True)
class Curves:
    """Values at points.

    Attributes
    ----------
    x : the points, shape (n,)
    value, hard : what the primitive gives, and the hard quantizer, shape (n,)
    soft : the method's differentiable forward, where it has one and the primitive gives another value
    by_x : the gradient of x, shape (n,)
    by_x_reversed : the same for the incoming gradient -1, times -1; only where the gradient is a formula of it
    by_parameter : for each parameter, the gradients of its entries, shape (n, entries)
    """

    x: Array
    value: Array
    hard: Array
    soft: Array | None
    by_x: Array
    by_x_reversed: Array | None
    by_parameter: dict[str, Array]


def make_setting(
    method: str,
    bits: int | None = None,
    role: str | None = None,
    given: Sequence[str] = (),
    primitive: str | None = None,
) -> Setting:
    """A method as ``minigrad show`` is asked for it.

    Parameters
    ----------
    method : its name
    bits : None for 2, or the nearest width it has
    role : "weight" or "activation"; None for the first that it is defined for
    given : parameters and numeric options in place of the typical ones, as "name=1.5" or "name=0.1,0.2"
    primitive : one of the method's; None for the first

    Raises
    ------
    InputError
        For anything that the method does not have, or a parameter that does not fit.
    """
    if method not in METHODS:
        raise InputError(f"METHOD: expected one of {', '.join(METHODS)}, got {method!r}")
    record = METHODS[method]
    chosen = _role(record, role)
    widths = record.widths(chosen)
    if bits is None:
        bits = min(widths, key=lambda width: (abs(width - 2), width))
    elif bits not in widths:
        raise InputError(f"--bits: {method} takes {', '.join(map(str, widths))} for {chosen}s, got {bits}")
    name = primitive or record.primitives[0]
    if name not in record.primitives:
        raise InputError(f"--primitive: expected one of {', '.join(record.primitives)}, got {name!r}")
    parameters, options = record.arguments(bits, chosen)
    used = PRIMITIVES[name]
    if not _is_of(used, record):
        raise InputError(f"--primitive: {name} has other arguments than x, {', '.join(record.parameters)}")
    values = dict(zip(record.parameters, (np.asarray(p, np.float64) for p in parameters), strict=True))
    numbers = _numeric_options(used, options)
    for text in given:
        key, number = _parsed(text, values | {option: np.zeros(()) for option in numbers}, method)
        if key in values:
            values[key] = number
        else:
            numbers[key] = float(number)
    missing = [key for key, number in numbers.items() if number is None]
    if missing:
        raise InputError(f"--param: {name} needs {missing[0]}=NUMBER")
    names = _option_names(used)
    options = {**options, **numbers}
    own = {key: option for key, option in options.items() if key in names or key in numbers}
    return Setting(record, used, bits, chosen, tuple(values.values()), own, options)


def _option_names(primitive: Primitive) -> set[str]:
    """The options that examples of a primitive have."""
    return {key for seed in range(8) for key in primitive.examples(SeededDraw(seed), np.float64)[1]}


def _positional(function: Any) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]


def _is_of(primitive: Primitive, method: Method) -> bool:
    """Whether a primitive's arrays are x and the parameters of the method."""
    names = ("x", *method.parameters)
    positional = [name for name in _positional(primitive.definition) if name != "bits"]
    return tuple(positional[: len(names)]) == names and len(positional) <= len(names)


def _numeric_options(primitive: Primitive, options: dict[str, Any]) -> dict[str, float | None]:
    """What else can be set to a number (a slope, a temperature), with its typical value; None where it has none."""
    found: dict[str, float | None] = {}
    for p in inspect.signature(primitive.definition).parameters.values():
        if p.kind is p.KEYWORD_ONLY and p.annotation in ("float", float):
            found[p.name] = options.get(p.name, None if p.default is p.empty else p.default)
    return found


def _role(method: Method, role: str | None) -> Role:
    if role is None:
        return "weight" if method.weights else "activation"
    if role not in ("weight", "activation"):
        raise InputError(f"--role: expected weight or activation, got {role!r}")
    chosen: Role = "weight" if role == "weight" else "activation"
    if not method.widths(chosen):
        raise InputError(f"--role: {method.name} is not defined for {role}s")
    return chosen


def _parsed(text: str, values: dict[str, Array], method: str) -> tuple[str, Array]:
    name, equals, right = text.partition("=")
    if not values:
        raise InputError(f"--param: {method} has no parameters, got {text!r}")
    if not equals or name not in values:
        raise InputError(f"--param: expected NAME=NUMBER with a name from {', '.join(values)}, got {text!r}")
    try:
        numbers = [float(part) for part in right.split(",")]
    except ValueError:
        raise InputError(f"--param {name}: expected a number (or several, as 0.1,0.2), got {right!r}") from None
    size = values[name].size
    if len(numbers) != size:
        raise InputError(f"--param {name}: expected {size} number{'s' if size > 1 else ''}, got {len(numbers)}")
    if not np.isfinite(numbers).all():
        raise InputError(f"--param {name}: expected finite numbers, got {right!r}")
    return name, np.array(numbers).reshape(values[name].shape)


def tensors(setting: Setting, x: Array) -> list[Array]:
    """The tensors that points, float64 (n,), are given to the primitive as."""
    return list(x.reshape(-1, 1)) if setting.alone else [x]


def tangents_of(setting: Setting, x: Array) -> Iterator[tuple[int, tuple[Array | None, ...]]]:
    """For each entry of each parameter, the parameter's number and tangents of all arguments that move it alone."""
    for n, parameter in enumerate(setting.parameters):
        for entry in range(parameter.size):
            unit = np.zeros(parameter.size)
            unit[entry] = 1.0
            tangents: list[Array | None] = [None] * (1 + len(setting.parameters))
            tangents[1 + n] = unit.reshape(parameter.shape)
            yield n, tuple(tangents)


def curves(setting: Setting, x: Array) -> Curves:
    """Evaluate a method at points, float64 (n,).

    Raises
    ------
    InputError
        If a parameter is outside its domain, or a point is one that the method refuses.
    """
    parts = [_evaluated(setting, tensor) for tensor in tensors(setting, x)]
    whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    soft = whole.get("soft")
    return Curves(
        x,
        whole["value"],
        whole["hard"],
        None if soft is None or np.array_equal(soft, whole["value"]) else soft,
        whole["x"],
        whole.get("reversed"),
        {name: whole[f"by {name}"] for name in setting.method.parameters},
    )


def _evaluated(setting: Setting, x: Array) -> dict[str, Array]:
    """Everything over one tensor x."""
    arrays, options = (x, *setting.parameters), setting.options
    value, residuals = setting.primitive.forward(*arrays, **options)
    found = {"value": value, "hard": _hard(setting, x)}
    soft = _soft(setting, x)
    if soft is not None:
        found["soft"] = soft
    needs = [True] * len(arrays)
    gradients = setting.primitive.vjp(np.ones_like(value), residuals, needs)
    found["x"] = _or_zeros(gradients[0], x)
    if setting.primitive.modifier is not None:
        _, residuals = setting.primitive.forward(*arrays, **options)
        found["reversed"] = -_or_zeros(setting.primitive.vjp(-np.ones_like(value), residuals, needs)[0], x)
    for n, name in enumerate(setting.method.parameters):
        parameter = setting.parameters[n]
        if setting.alone:
            found[f"by {name}"] = _or_zeros(gradients[1 + n], parameter).reshape(1, -1)
        else:
            found[f"by {name}"] = np.empty((x.size, parameter.size))
    if not setting.alone:
        entries = [0] * len(setting.parameters)
        for n, tangents in tangents_of(setting, x):
            along = setting.primitive.jvp(tangents, *arrays, **options)
            found[f"by {setting.method.parameters[n]}"][:, entries[n]] = along
            entries[n] += 1
    return found


def _or_zeros(gradient: Array | None, of: Array) -> Array:
    return np.zeros_like(of) if gradient is None else gradient


def _takes(function: Any, options: dict[str, Any]) -> dict[str, Any] | None:
    """Those of the options that a function of the method's file has; None if it needs another one."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return options
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in options for p in parameters):
        return None
    return {p.name: options[p.name] for p in parameters if p.name in options}


def _hard(setting: Setting, x: Array) -> Array:
    hard = setting.method.module.hard
    options = _takes(hard, setting.all_options)
    assert options is not None, f"{setting.method.name}: hard needs an option that arguments() does not give"
    return np.asarray(hard(x, *setting.parameters, **options))


def _soft(setting: Setting, x: Array) -> Array | None:
    """The differentiable forward, if the method has one that the options at hand are enough for."""
    soft = getattr(setting.method.module, "soft", None)
    options = None if soft is None else _takes(soft, setting.all_options)
    return None if soft is None or options is None else np.asarray(soft(x, *setting.parameters, **options))


def window(setting: Setting) -> tuple[float, float]:
    """Where there is something to see: the hard quantizer's steps and levels, with a margin.

    Of a method that depends on the whole tensor, the typical range of the role.
    """
    low, high = (-1.0, 1.0) if setting.role == "weight" else (0.0, 1.0)
    if setting.alone:
        reach = np.geomspace(1e-6, 1e6, _PROBES)
        probes = np.concatenate([-reach[::-1], [0.0], reach])
        values = _hard(setting, probes)
        steps = np.flatnonzero(np.diff(values))
        ends = np.concatenate([probes[steps], probes[steps + 1], values]) if len(steps) else values
        low, high = float(ends.min()), float(ends.max())
    margin = 0.15 * (high - low)
    return low - margin, high + margin
