"""Learning rates as functions of the step, with IEEE basic operations only (a cosine of our own)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minigrad.errors import InputError

__all__ = ["Schedule", "cosine", "step"]

Schedule = Callable[[int], float]


def _cos(x: float) -> float:
    """cos x for 0 <= x <= pi by its Taylor series around pi/2, to 1e-15."""
    half_pi = 1.5707963267948966
    y = half_pi - x  # cos x = sin y, |y| <= pi / 2
    term = total = y
    for n in range(3, 23, 2):
        term *= -y * y / (n * (n - 1))
        total += term
    return total


def cosine(rate: float, steps: int) -> Schedule:
    """From ``rate`` at step 0 down half a cosine to 0 at ``steps`` (Loshchilov and Hutter, ICLR 2017, eq 5)."""
    if steps < 1:
        raise InputError(f"steps: expected at least 1, got {steps}")

    def at(n: int) -> float:
        return 0.5 * rate * (1.0 + _cos(3.141592653589793 * min(n, steps) / steps))

    return at


def step(rate: float, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """``rate``, times ``factor`` from each milestone on."""
    if list(milestones) != sorted(milestones):
        raise InputError(f"milestones: expected ascending steps, got {list(milestones)}")

    def at(n: int) -> float:
        value = rate
        for milestone in milestones:
            if n >= milestone:
                value *= factor
        return value

    return at
