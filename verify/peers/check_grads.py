"""Our rules as JAX functions, judged by ``jax.test_util.check_grads``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.test_util import check_grads

from minigrad.primitive import Primitive
from verify.gradients.mutants.behaviour import positions_of

__all__ = ["CheckGrads"]


class CheckGrads:
    """``check_grads`` with its default settings, of the vjp or the jvp of a primitive at one example.

    NumPy runs in callbacks. They ask for the primitive when they are called, so that JAX compiles once for all mutants.
    """

    def __init__(
        self, primitive: Primitive, arrays: Sequence[np.ndarray], options: Mapping[str, Any], rule: str
    ) -> None:
        self._primitive, self._arrays, self._options = primitive, arrays, options
        self._values = {name: value for name, value in options.items() if not callable(value)}
        self._positions = positions_of(primitive, len(arrays))
        self._mode = "fwd" if rule == "jvp" else "rev"
        self._double = any(arrays[p].dtype == np.float64 for p in self._positions)
        self._residuals: dict[int, Any] = {}
        self._numbers = itertools.count()
        value = np.asarray(primitive.forward(*arrays, **options)[0])
        self._dtype = value.dtype
        self._set_precision()
        self._shape = jax.ShapeDtypeStruct(value.shape, value.dtype)
        self._function = self._forward_mode() if rule == "jvp" else self._reverse_mode()

    def _set_precision(self) -> None:
        """For the whole process: callbacks run in threads of their own, which a context would not reach."""
        jax.config.update("jax_enable_x64", self._double)

    def judge(self, primitive: Primitive) -> bool:
        """Whether it finds nothing wrong. What the rule raises, it raises, in JAX's own wrapping."""
        self._primitive = primitive
        self._residuals.clear()
        inputs = [self._arrays[p] for p in self._positions]
        self._set_precision()
        try:
            check_grads(self._function, inputs, order=1, modes=(self._mode,))
        except AssertionError:
            return False
        return True

    # ---- the callbacks ----

    def _complete(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        given = list(self._arrays)
        for position, x in zip(self._positions, inputs, strict=True):
            given[position] = np.asarray(x)
        return given

    def _value(self, *inputs: Any) -> np.ndarray:
        return np.asarray(self._primitive.forward(*self._complete(inputs), **self._options)[0], self._dtype)

    def _value_and_number(self, *inputs: Any) -> tuple[np.ndarray, np.ndarray]:
        """The value, and the number under which the residuals are kept."""
        value, kept = self._primitive.forward(*self._complete(inputs), **self._options)
        number = next(self._numbers)
        self._residuals[number] = kept
        return np.asarray(value, self._dtype), np.asarray(number, np.int32)

    def _gradients(self, number: Any, gy: Any) -> tuple[np.ndarray, ...]:
        wanted = [n in self._positions for n in range(len(self._arrays))]
        found = self._primitive.vjp(np.asarray(gy), self._residuals[int(number)], wanted)
        pairs = [(found[p], self._arrays[p]) for p in self._positions]
        return tuple(np.zeros_like(a) if g is None else np.array(g, a.dtype) for g, a in pairs)

    def _tangent(self, inputs: Any, tangents: Any) -> np.ndarray:
        along: list[Any] = [None] * len(self._arrays)
        for position, t in zip(self._positions, tangents, strict=True):
            along[position] = np.asarray(t)
        value = self._primitive.jvp(tuple(along), *self._complete(inputs), **self._values)
        return np.asarray(value, self._dtype)

    # ---- what JAX sees ----

    def _plain(self, *inputs: Any) -> Any:
        return jax.pure_callback(self._value, self._shape, *inputs)

    def _forward_mode(self) -> Any:
        function = jax.custom_jvp(self._plain)
        function.defjvp(
            lambda inputs, t: (self._plain(*inputs), jax.pure_callback(self._tangent, self._shape, inputs, t))
        )
        return function

    def _reverse_mode(self) -> Any:
        number = jax.ShapeDtypeStruct((), np.int32)
        arrays = [self._arrays[p] for p in self._positions]
        gradients = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays)
        function = jax.custom_vjp(self._plain)
        function.defvjp(
            lambda *inputs: jax.pure_callback(self._value_and_number, (self._shape, number), *inputs),
            lambda kept, gy: jax.pure_callback(self._gradients, gradients, kept, gy),
        )
        return function
