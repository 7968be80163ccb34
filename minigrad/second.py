"""A gradient as a primitive of its own: what is recorded in order to be differentiated a second time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.primitive import Primitive

__all__ = ["vjp_of"]


@functools.cache
def vjp_of(rule: Primitive, position: int) -> Primitive:
    """The gradient of one argument as a function of (gy, *arrays), itself a primitive: what is differentiated twice.

    It is linear in gy, where its transpose is the jvp; by the arrays its derivative is the (symmetric) hvp.
    """

    def needs(count: int) -> list[bool]:
        return [n == position for n in range(count)]

    def only(t: Any, count: int) -> tuple[Any, ...]:
        return tuple(t if n == position else None for n in range(count))

    def second(gy: np.ndarray, tangents: Sequence[Any], *arrays: np.ndarray, **options: Any) -> tuple[Any, ...]:
        if rule.hvp is None:
            raise InputError(f"{rule.name}: has no second derivative")
        return rule.hvp(gy, tangents, *arrays, **options)

    def forward(gy: np.ndarray, *arrays: np.ndarray, **options: Any) -> tuple[np.ndarray, Any]:
        _, residuals = rule.forward(*arrays, **options)
        g = rule.vjp(gy, residuals, needs(len(arrays)))[position]
        return np.zeros_like(arrays[position]) if g is None else np.asarray(g), (gy, arrays, options)

    def vjp(c: np.ndarray, residuals: Any, wanted: Sequence[bool]) -> tuple[Any, ...]:
        gy, arrays, options = residuals
        tangents = only(c, len(arrays))
        first = rule.jvp(tangents, *arrays, **options) if wanted[0] else None
        rest = second(gy, tangents, *arrays, **options) if any(wanted[1:]) else (None,) * len(arrays)
        return (first, *rest)

    def jvp(tangents: Sequence[Any], gy: np.ndarray, *arrays: np.ndarray, **options: Any) -> np.ndarray:
        total = np.zeros_like(arrays[position])
        if tangents[0] is not None:
            total = total + forward(tangents[0], *arrays, **options)[0]
        if any(t is not None for t in tangents[1:]):
            g = second(gy, tangents[1:], *arrays, **options)[position]
            total = total if g is None else total + g
        return total

    def unavailable(*_: Any, **__: Any) -> Any:
        raise InputError(f"{rule.name}: its gradient is no entry of the registry")

    positions = None if rule.differentiable is None else (0, *(n + 1 for n in rule.differentiable))
    return Primitive(
        f"{rule.name}_vjp{position}",
        forward,
        vjp,
        jvp,
        definition=unavailable,
        domain=rule.domain,
        kinks=(),
        examples=unavailable,
        differentiable=positions,
    )
