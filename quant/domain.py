"""Checks of what quantizers are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = [
    "as_number",
    "check_alpha",
    "check_bits",
    "check_positive",
    "check_range",
    "check_shapes",
    "refuse_nan",
    "same_dtype",
]


def as_number(name: str, value: Any) -> float:
    """An option as a finite float; InputError, naming it, for anything that is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InputError(f"{name}: expected a number, got {value!r}")
    if not np.isfinite(value):
        raise InputError(f"{name}: expected a finite number, got {value!r}")
    return float(value)


def check_bits(bits: Any, valid: range = range(1, 9)) -> int:
    """The number of steps N = 2^bits - 1; InputError unless bits is an integer in ``valid``."""
    if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or bits not in valid:
        raise InputError(f"bits: {bits!r} is not an integer from {valid[0]} to {valid[-1]}")
    return (1 << int(bits)) - 1


def check_range(l: Any, u: Any, steps: int = 255) -> None:
    """InputError unless l < u, both finite, and (u - l) / steps neither overflows nor underflows, everywhere."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if not (_all(l < u) and _all(-np.inf < l) and _all(u < np.inf)):
            raise InputError(f"l, u: expected finite numbers with l < u, got l = {_show(l)} and u = {_show(u)}")
        step = (u - l) / steps
        if not (_all(step > 0) and _all(step < np.inf)):
            raise InputError(f"l, u: the width of [{_show(l)}, {_show(u)}] overflows or underflows; scale the data")


def check_positive(name: str, value: Any) -> None:
    """InputError, naming the argument, unless it is above 0 and finite everywhere."""
    if not (_all(value > 0) and _all(value < np.inf)):
        raise InputError(f"{name}: expected finite numbers above 0, got {_show(value)}")


def check_alpha(alpha: Any) -> None:
    """InputError unless 0 < alpha < 1 everywhere, and 2 / alpha does not overflow."""
    if not (_all(alpha > 0) and _all(alpha < 1)):
        raise InputError(f"alpha: expected 0 < alpha < 1, got {_show(alpha)}")
    with np.errstate(over="ignore"):
        if not _all(2 / alpha < np.inf):
            raise InputError(f"alpha: {_show(alpha)} is so small that 2 / alpha overflows")


def check_shapes(x: Any, *parameters: Any) -> None:
    """InputError unless the parameters' shapes broadcast against that of x."""
    try:
        np.broadcast_shapes(np.shape(x), *(np.shape(p) for p in parameters))
    except ValueError:
        shapes = ", ".join(str(np.shape(p)) for p in parameters)
        raise InputError(f"parameters of shapes {shapes} do not broadcast against x of shape {np.shape(x)}") from None


def refuse_nan(x: np.ndarray) -> None:
    """InputError, with the index of the first one, if x holds NaN."""
    nan = np.isnan(x)
    if nan.any():
        where = tuple(int(n) for n in np.unravel_index(int(np.argmax(nan)), np.shape(x)))
        raise InputError(f"x: NaN at index {where}; a code needs a number")


def same_dtype(x: Any, *parameters: Any) -> tuple[Any, ...]:
    """Float arguments in the dtype of x; numbers of any other kind as they are."""
    if isinstance(x, (float, int)):
        x = np.float64(x)
    if not isinstance(x, (np.ndarray, np.generic)):
        return (x, *parameters)
    if x.dtype not in (np.float32, np.float64):
        raise InputError(f"x: expected float32 or float64, got {x.dtype}")
    # Adding 0 makes -0 +0: which of two zeros a minimum or maximum returns depends on the processor.
    return (x, *(np.asarray(p, dtype=x.dtype)[()] + x.dtype.type(0) for p in parameters))


def _all(condition: Any) -> bool:
    return bool(np.all(condition))


def _show(value: Any) -> str:
    """A number, or an array on one line."""
    if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
        return str(value.item())
    return " ".join(str(value).split())
