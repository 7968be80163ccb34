"""What every family of primitives is held to: a certificate of all its rules, and its declared pick at a kink."""

from collections.abc import Callable

import numpy as np
import pytest

from minigrad import PRIMITIVES
from minigrad.draw import SeededDraw
from verify.gradients.arrays import certify_primitive

#: Of the sum of the absolute values of the terms of the definition.
BITS = 45


def _certify(name: str, seed: int) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(SeededDraw(seed), np.float64)
    rng = np.random.default_rng(seed)
    gy = rng.standard_normal(primitive.forward(*arrays, **options)[0].shape)
    tangents = [rng.standard_normal(a.shape) for a in arrays]
    certify_primitive(primitive, arrays, options, gy, tangents).require(BITS)


def _picks_as_declared(name: str, seed: int) -> None:
    """Every kink of the primitive: vjp and jvp are the declared share of the two one-sided slopes."""
    primitive = PRIMITIVES[name]
    assert primitive.kinks
    for kink in primitive.kinks:
        point = kink.at(SeededDraw(seed), np.float64)
        values = []
        for step in (-(2.0**-20), 0.0, 2.0**-20):
            arrays = [a.copy() for a in point.arrays]
            arrays[point.position][point.index] += step
            values.append(float(primitive.forward(*arrays, **point.options)[0].sum()))
        left, right = (values[1] - values[0]) * 2.0**20, (values[2] - values[1]) * 2.0**20
        assert abs(left - right) > 1e-3, f"{kink.where} (seed {seed}): no kink there"
        expected = (1 - point.weight) * left + point.weight * right
        value, residuals = primitive.forward(*point.arrays, **point.options)
        gradients = primitive.vjp(np.ones_like(value), residuals, [True] * len(point.arrays))
        gradient = gradients[point.position]
        assert gradient is not None
        got = gradient[point.index]
        unit = np.zeros_like(point.arrays[point.position])
        unit[point.index] = 1.0
        tangents = [unit if n == point.position else None for n in range(len(point.arrays))]
        along = primitive.jvp(tangents, *point.arrays, **point.options).sum()
        # The forward rounds its sum by units of 2^-52 of it, and the step divides by 2^-20.
        bound = 2.0**-30 * max(1.0, abs(values[1]))
        assert abs(got - expected) <= bound, f"{kink.where} (seed {seed}): vjp {got}, declared {expected}"
        assert abs(along - expected) <= bound, f"{kink.where} (seed {seed}): jvp {along}, declared {expected}"


@pytest.fixture(scope="session")
def certify() -> Callable[[str, int], None]:
    """Certify value, vjp, jvp and hvp of a primitive at the example that a seed draws."""
    return _certify


@pytest.fixture(scope="session")
def picks_as_declared() -> Callable[[str, int], None]:
    return _picks_as_declared
