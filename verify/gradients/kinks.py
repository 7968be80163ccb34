"""What a gradient is declared to be at a point, and whether what was measured there agrees.

A function is *smooth* at the point, or has a *kink* (the slopes of the two sides differ, and every gradient between
them is a subgradient) or a *jump* (there is no slope; the gradient is a convention). Or the gradient belongs to another
function, its *surrogate*, as with straight-through estimators. Where the measured slopes say kink or jump and the
declaration does not, the verdict is neither right nor wrong but "not differentiable here", with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError
from verify.gradients.problem import Array
from verify.gradients.quotient import Slopes
from verify.gradients.verdict import NOT_DIFFERENTIABLE, RIGHT, UNDECIDED, WRONG

__all__ = ["SMOOTH", "Declaration", "Judgement", "describe", "judge", "jump", "kink", "surrogate"]


@dataclass(frozen=True)
class Declaration:
    """What the gradient claims to be; made by ``SMOOTH``, ``kink``, ``jump`` and ``surrogate``.

    Attributes
    ----------
    kind : "smooth", "kink", "jump" or "surrogate"
    pick : of a kink the share of the right slope, ``(1 - pick) left + pick right`` (None: anything between); of a jump
        the derivative itself (None: any finite number)
    name, function : of a surrogate
    """

    kind: str
    pick: float | None = None
    name: str = ""
    function: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("smooth", "kink", "jump", "surrogate"):
            raise InputError(f"declaration: expected smooth, kink, jump or surrogate, got {self.kind!r}")
        if (self.kind == "surrogate") != (self.function is not None):
            raise InputError("declaration: a surrogate, and only that, has a function")
        if self.kind == "kink" and self.pick is not None and not 0 <= self.pick <= 1:
            raise InputError(f"pick: expected a share of the right slope, 0 to 1, got {self.pick}")


#: The gradient is the derivative.
SMOOTH = Declaration("smooth")


def kink(pick: float | None = None) -> Declaration:
    """Where the point is on a kink, the gradient is ``(1 - pick) left + pick right``, or any number between them."""
    return Declaration("kink", pick)


def jump(pick: float | None = None) -> Declaration:
    """Where the point is on a jump (or a kink), the derivative is taken to be ``pick``, or any finite number."""
    return Declaration("jump", pick)


def surrogate(name: str, function: Callable[..., Any]) -> Declaration:
    """The gradient is the true one of another function of the same arguments, with a value of the same shape.

    A straight-through rounding, for instance: ``surrogate("identity", lambda x: x)``.
    """
    return Declaration("surrogate", None, name, function)


@dataclass(frozen=True)
class Judgement:
    """Over arrays of one shape: which entries are wrong, at an undeclared kink or jump, or undecided; and the targets.

    ``expected`` and ``tolerance`` are what the entries were compared with, of the slope's interval the nearest end.
    """

    wrong: Array
    undeclared: Array
    undecided: Array
    expected: Array
    tolerance: Array

    @property
    def status(self) -> str:
        if self.wrong.any():
            return WRONG
        if self.undeclared.any():
            return NOT_DIFFERENTIABLE
        return UNDECIDED if self.undecided.any() else RIGHT


def judge(slopes: Slopes, analytic: Array, allowance: Array, declaration: Declaration) -> Judgement:
    """Hold derivatives against measured slopes, entry by entry.

    Parameters
    ----------
    slopes : arrays of some shape
    analytic : of the same shape
    allowance : what the analytic ones may be off by their own rounding
    """
    tolerance = slopes.error + allowance
    expected = slopes.value
    declared_kink, declared_jump = declaration.kind in ("kink", "jump"), declaration.kind == "jump"
    on_kink, on_jump = slopes.kink, slopes.jump
    if declared_kink:
        if declaration.kind == "kink" and declaration.pick is not None:
            at_kink = slopes.left + declaration.pick * slopes.bend
        else:
            low, high = np.minimum(slopes.left, slopes.right), np.maximum(slopes.left, slopes.right)
            at_kink = np.clip(analytic, low, high)
        expected = np.where(on_kink, at_kink, expected)
        tolerance = np.where(on_kink, tolerance + slopes.bend_error / 2, tolerance)
    if declared_jump:
        at_jump = analytic if declaration.pick is None else np.full(analytic.shape, declaration.pick)
        expected = np.where(on_jump, at_jump, expected)
        tolerance = np.where(on_jump, allowance, tolerance)
    undeclared = (on_kink & (not declared_kink)) | (on_jump & (not declared_jump))
    known = slopes.settled | (on_jump & declared_jump)
    finite = np.isfinite(analytic)
    # NaN is wrong, so the comparison asks for agreement instead of looking for a difference.
    agrees = np.abs(analytic - expected) <= tolerance
    wrong = ~agrees & known & ~undeclared | ~finite
    undecided = ~known & ~undeclared & finite
    return Judgement(wrong, undeclared & finite, undecided, expected, tolerance)


def describe(slopes: Slopes, entry: tuple[int, ...], given: float) -> str:
    """What to say of an entry that is on a kink or jump nobody declared."""
    if slopes.jump[entry]:
        return f"not differentiable here: the function jumps, gradient given {given:.6g}"
    left, right = float(slopes.left[entry]), float(slopes.right[entry])
    return f"not differentiable here: one-sided slopes {left:.6g} and {right:.6g}, gradient given {given:.6g}"
