"""Every registered primitive held against central differences, on examples from its own domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.primitive import Primitive
from verify.gradients.differences import Report, check_gradients

__all__ = ["check_primitive"]


def check_primitive(primitive: Primitive, seed: int) -> Report:
    """Compare vjp and jvp of one drawn example with central differences, entry by entry, in float64.

    A primitive with a surrogate is compared with that function, frozen at the example.

    Raises
    ------
    AssertionError
        Naming the primitive, argument, index, both values, and a snippet to paste.
    """
    arrays, options = primitive.examples(np.random.Generator(np.random.Philox(key=seed)), np.float64)
    positions = range(len(arrays)) if primitive.differentiable is None else primitive.differentiable
    if primitive.surrogate is not None:
        function: Any = primitive.surrogate(*arrays, **options)
    else:

        def function(*args: Any) -> np.ndarray:
            return primitive.forward(*args, **options)[0]

    def vjp(gy: np.ndarray, *args: Any) -> tuple[Any, ...]:
        _, residuals = primitive.forward(*args, **options)
        gradients = primitive.vjp(gy, residuals, [True] * len(args))
        return tuple(gradients[n] for n in positions)

    def jvp(tangents: tuple[Any, ...], *args: Any) -> np.ndarray:
        return primitive.jvp(tangents, *args, **options)

    return check_gradients(
        f"{primitive.name} (seed {seed}, options {options})",
        function,
        vjp,
        arrays,
        differentiable=list(positions),
        seed=seed,
        jvp=jvp,
    )
