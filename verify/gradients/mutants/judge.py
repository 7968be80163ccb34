"""What decides over a mutant: the checks that every primitive of the registry has to pass.

On one example: certificates of value, vjp, jvp and hvp, with the tangents of all arguments or of one alone, after a
call with other values of the same shapes; and every gradient asked for alone. Then the pick at a point of every kink.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.draw import SeededDraw
from minigrad.primitive import Primitive
from verify.gradients.arrays import certify_primitive
from verify.gradients.mutants.behaviour import other_values
from verify.gradients.primitives import check_kink, positions_of
from verify.gradients.registry import REQUIRED_BITS

__all__ = ["judge"]

Array = np.ndarray


def judge(primitive: Primitive, seed: int) -> None:
    """Pass judgement on a primitive at the examples of one seed.

    Raises
    ------
    AssertionError
        If the primitive is wrong there.
    Exception
        Whatever a mutant raises.
    """
    arrays, options = primitive.examples(SeededDraw(seed), np.float64)
    positions = positions_of(primitive, len(arrays))
    rng = np.random.Generator(np.random.Philox(key=seed))
    # What a rule keeps of this call must not show in the next one.
    value, _ = primitive.forward(*(other_values(a) for a in arrays), **options)
    gy = rng.standard_normal(np.shape(value))
    tangents = _tangents(arrays, positions, seed, rng)
    certify_primitive(primitive, arrays, options, gy, tangents).require(REQUIRED_BITS)
    _ask_for_each_alone(primitive, arrays, options, gy, positions)
    for kink in primitive.kinks:
        result = check_kink(primitive, kink, SeededDraw(seed), seed)
        if not result.passed:
            raise AssertionError(str(result.failure or result.note))


def _tangents(arrays: tuple[Array, ...], positions: tuple[int, ...], seed: int, rng: np.random.Generator) -> list[Any]:
    """Normal directions: of all arguments, or of one alone, seed by seed."""
    choice = seed % (len(positions) + 1) if len(positions) > 1 else 0
    chosen = positions if choice == 0 else positions[choice - 1 : choice]
    return [rng.standard_normal(a.shape) if n in chosen else None for n, a in enumerate(arrays)]


def _ask_for_each_alone(
    primitive: Primitive, arrays: tuple[Array, ...], options: dict[str, Any], gy: Array, positions: tuple[int, ...]
) -> None:
    """A gradient does not depend on which others are wanted."""
    together = primitive.vjp(gy, primitive.forward(*arrays, **options)[1], [n in positions for n in range(len(arrays))])
    for position in positions if len(positions) > 1 else ():
        _, residuals = primitive.forward(*arrays, **options)
        alone = primitive.vjp(gy, residuals, [n == position for n in range(len(arrays))])[position]
        if alone is None and together[position] is None:
            continue
        if alone is None or np.asarray(alone).tobytes() != np.asarray(together[position]).tobytes():
            raise AssertionError(f"{primitive.name}: the gradient of argument {position} alone is another one")
