"""Mutants of the behaviour: a rule that is right, wrapped so that what it returns is wrong."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigrad.draw import SeededDraw
from minigrad.primitive import Example, Primitive, no_curvature
from verify.gradients.mutants.record import Mutant
from verify.gradients.primitives import positions_of

__all__ = ["SIZES", "behavioural_mutants", "element_wrong", "other_values", "size_mutants", "wrap_vjp"]

Array = np.ndarray
Gradients = tuple[Array | None, ...]
Change = Callable[[Array], Array]

#: Sizes of the arrays of which one element is wrong.
SIZES = (10, 100, 1_000, 10_000, 100_000)
#: By how much that element is wrong: half of itself.
ELEMENT_FACTOR = 1.5


def wrap_vjp(primitive: Primitive, change: Callable[[Gradients], Gradients]) -> Primitive:
    """The primitive, its gradients passed through ``change``."""

    def vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> Gradients:
        return change(tuple(primitive.vjp(gy, residuals, needs)))

    return dataclasses.replace(primitive, vjp=vjp)


def _wrap_jvp(primitive: Primitive, change: Change) -> Primitive:
    def jvp(tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> Array:
        return change(np.asarray(primitive.jvp(tuple(tangents), *arrays, **options)))

    return dataclasses.replace(primitive, jvp=jvp)


def _wrap_tangents(primitive: Primitive, rule: str, change: Callable[[list[Any]], list[Any]]) -> Primitive:
    """The jvp or hvp is handed other tangents."""
    original = getattr(primitive, rule)

    if rule == "jvp":

        def jvp(tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> Array:
            changed = change(list(tangents))
            if all(t is None for t in changed):
                return np.zeros_like(original(tuple(tangents), *arrays, **options))
            return np.asarray(original(tuple(changed), *arrays, **options))

        return dataclasses.replace(primitive, jvp=jvp)

    def hvp(gy: Array, tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> Gradients:
        changed = change(list(tangents))
        if all(t is None for t in changed):
            return (None,) * len(arrays)
        return tuple(original(gy, tuple(changed), *arrays, **options))

    return dataclasses.replace(primitive, hvp=hvp)


def _wrap_hvp(primitive: Primitive, change: Callable[[Gradients], Gradients]) -> Primitive:
    rule: Any = primitive.hvp

    def hvp(gy: Array, tangents: Sequence[Array | None], *arrays: Array, **options: Any) -> Gradients:
        return change(tuple(rule(gy, tangents, *arrays, **options)))

    return dataclasses.replace(primitive, hvp=hvp)


def _each(change: Change) -> Callable[[Gradients], Gradients]:
    return lambda gradients: tuple(None if g is None else change(np.asarray(g)) for g in gradients)


def _at(position: int, change: Change) -> Callable[[Gradients], Gradients]:
    def changed(gradients: Gradients) -> Gradients:
        found = list(gradients)
        g = found[position]
        if g is not None:
            found[position] = change(np.asarray(g))
        return tuple(found)

    return changed


def _negated(g: Array) -> Array:
    return -g


def _doubled(g: Array) -> Array:
    return g * g.dtype.type(2)


def _nearly(g: Array) -> Array:
    return g * g.dtype.type(1 + 1e-6)


def _transposed(g: Array) -> Array:
    """The elements in the order of the transposed array; a vector reversed."""
    return g.T.reshape(g.shape).copy() if g.ndim > 1 and sum(n > 1 for n in g.shape) > 1 else g[::-1] if g.ndim else g


_CHANGES: tuple[tuple[str, Change], ...] = (
    ("sign", _negated),
    ("factor 2", _doubled),
    ("factor 1 + 1e-6", _nearly),
)


def _exchanged(items: Sequence[Any], first: int, second: int) -> list[Any]:
    """Two gradients or tangents in each other's place, where their shapes allow."""
    found = list(items)
    a, b = found[first], found[second]
    if a is not None and b is not None and np.shape(a) == np.shape(b):
        found[first], found[second] = b, a
    return found


def _without(items: list[Any], position: int) -> list[Any]:
    return [None if n == position else item for n, item in enumerate(items)]


def _with_stale_residuals(primitive: Primitive, previous_call: bool) -> Primitive:
    """Residuals of the previous call with such shapes and options, or of other values of the same shapes."""
    last: dict[Any, Any] = {}

    def forward(*arrays: Array, **options: Any) -> tuple[Array, Any]:
        value, residuals = primitive.forward(*arrays, **options)
        if not previous_call:
            return value, primitive.forward(*(other_values(a) for a in arrays), **options)[1]
        key = (tuple((a.shape, a.dtype.str) for a in arrays), repr(sorted(options.items())))
        stale, last[key] = last.get(key, residuals), residuals
        return value, stale

    return dataclasses.replace(primitive, forward=forward)


def other_values(a: Array) -> Array:
    """The same elements, each in the place of its neighbour; one element alone a little larger.

    Ascending elements, which a domain may ask for, stay so: each moves half-way to the next.
    """
    if a.dtype.kind != "f":
        return a
    if a.ndim == 1 and a.size > 1 and (a[:-1] < a[1:]).all():
        return np.append((a[:-1] + a[1:]) / 2, a[-1:])
    return np.roll(a, 1) if a.size > 1 else a * a.dtype.type(1.0625)


def _vjp_mutants(primitive: Primitive, count: int) -> Iterator[tuple[str, str, Callable[[], Primitive]]]:
    positions = positions_of(primitive, count)
    for kind, change in _CHANGES:
        yield kind, "all gradients", lambda change=change: wrap_vjp(primitive, _each(change))  # type: ignore[misc]
        for p in positions if len(positions) > 1 else ():
            edit = f"gradient of argument {p}"
            yield kind, edit, lambda p=p, change=change: wrap_vjp(primitive, _at(p, change))  # type: ignore[misc]
    for p in positions:
        edit = f"gradient of argument {p}"
        yield "zero gradient", edit, lambda p=p: wrap_vjp(primitive, _at(p, np.zeros_like))  # type: ignore[misc]
        yield "transposed gradient", edit, lambda p=p: wrap_vjp(primitive, _at(p, _transposed))  # type: ignore[misc]
    for p, q in itertools.pairwise(positions):
        yield (
            "swapped gradients",
            f"arguments {p} and {q}",
            lambda p=p, q=q: wrap_vjp(primitive, lambda g: tuple(_exchanged(g, p, q))),  # type: ignore[misc]
        )
    yield "stale residuals", "of the previous call", lambda: _with_stale_residuals(primitive, True)
    yield "stale residuals", "of other arguments", lambda: _with_stale_residuals(primitive, False)


def _jvp_mutants(primitive: Primitive, count: int) -> Iterator[tuple[str, str, Callable[[], Primitive]]]:
    positions = positions_of(primitive, count)
    for kind, change in (*_CHANGES, ("transposed gradient", _transposed)):
        yield kind, "all", lambda change=change: _wrap_jvp(primitive, change)  # type: ignore[misc]
    for p in positions:
        yield (
            "zero gradient",
            f"tangent of argument {p}",
            lambda p=p: _wrap_tangents(primitive, "jvp", lambda t: _without(t, p)),  # type: ignore[misc]
        )
    for p, q in itertools.pairwise(positions):
        yield (
            "swapped gradients",
            f"tangents {p} and {q}",
            lambda p=p, q=q: _wrap_tangents(primitive, "jvp", lambda t: _exchanged(t, p, q)),  # type: ignore[misc]
        )


def _hvp_mutants(primitive: Primitive, count: int) -> Iterator[tuple[str, str, Callable[[], Primitive]]]:
    positions = positions_of(primitive, count)
    for kind, change in (*_CHANGES, ("transposed gradient", _transposed)):
        yield kind, "all", lambda change=change: _wrap_hvp(primitive, _each(change))  # type: ignore[misc]
    for p in positions:
        yield (
            "zero gradient",
            f"gradient of argument {p}",
            lambda p=p: _wrap_hvp(primitive, _at(p, np.zeros_like)),  # type: ignore[misc]
        )
        yield (
            "zero gradient",
            f"tangent of argument {p}",
            lambda p=p: _wrap_tangents(primitive, "hvp", lambda t: _without(t, p)),  # type: ignore[misc]
        )


def behavioural_mutants(primitive: Primitive) -> Iterator[Mutant]:
    """Every behavioural mutant of the vjp, jvp and hvp, at the sizes of the primitive's own examples."""
    arrays, _ = primitive.examples(SeededDraw(0), np.float64)
    makers = {"vjp": _vjp_mutants, "jvp": _jvp_mutants}
    if primitive.hvp is not None and inspect.unwrap(primitive.hvp) is not no_curvature:
        makers["hvp"] = _hvp_mutants
    for rule, maker in makers.items():
        for kind, edit, make in maker(primitive, len(arrays)):
            yield Mutant(primitive.name, rule, kind, edit, make)


def element_wrong(g: Array, where: int) -> Array:
    """One element of it half again as large."""
    wrong = np.array(g)
    wrong.flat[where % wrong.size] *= wrong.dtype.type(ELEMENT_FACTOR)
    return wrong


def size_mutants(primitive: Primitive, example: Example, size: int) -> Iterator[Mutant]:
    """One wrong element in the gradient of each argument, and in the jvp's result, of at least that size."""
    arrays, options = example
    kind = f"one wrong element in {size:,}"
    positions = positions_of(primitive, len(arrays))
    value, residuals = primitive.forward(*arrays, **options)
    gradients = primitive.vjp(np.ones_like(value), residuals, [n in positions for n in range(len(arrays))])
    for p in positions:
        if arrays[p].size >= size:
            change = functools.partial(element_wrong, where=_place(np.asarray(gradients[p])))
            make = functools.partial(wrap_vjp, primitive, _at(p, change))
            yield Mutant(primitive.name, "vjp", kind, f"gradient of argument {p}", make)
    if np.size(value) >= size:
        along = tuple(np.ones_like(a) if n in positions else None for n, a in enumerate(arrays))
        change = functools.partial(element_wrong, where=_place(np.asarray(primitive.jvp(along, *arrays, **options))))
        yield Mutant(primitive.name, "jvp", kind, "all", functools.partial(_wrap_jvp, primitive, change))


def _place(derivative: Array) -> int:
    """An element somewhere in the middle of typical size: half again as much of 0 would be no error."""
    sizes = np.abs(derivative).ravel()
    typical = float(np.median(sizes[sizes > 0]))
    return int(np.flatnonzero(sizes >= typical)[(sizes >= typical).sum() * 7 // 11])
