"""Checks that the integer operations share, and the ranges they are checked by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.errors import InputError

__all__ = [
    "INT32_MAX",
    "Values",
    "check_dtype",
    "check_integers",
    "check_values",
    "check_width",
    "freeze",
    "is_int",
    "values_of",
]

INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Values:
    """What flows between operations: the shape for one image, and the range [low, high] of its integers."""

    shape: tuple[int, ...]
    low: int
    high: int
    #: The type, or None where any will do.
    dtype: np.dtype | None = None


def is_int(value: Any) -> bool:
    """An integer that is no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_width(name: str, bits: Any, widths: Any) -> None:
    """InputError unless bits is one of the widths."""
    if not is_int(bits) or bits not in widths:
        raise InputError(f"{name}: {bits!r} is not one of {', '.join(map(str, widths))}")


def freeze(op: Any, field: str, dtype: Any, dimensions: int, limit: int | None = None) -> None:
    """Replace an array by a read-only contiguous copy, after checking type, shape and codes."""
    name = f"{type(op).__name__}.{field}"
    value = getattr(op, field)
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != dimensions or value.size == 0:
        got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        raise InputError(f"{name}: expected {np.dtype(dtype)} with {dimensions} dimensions, none empty, got {got}")
    if limit is not None and int(value.max()) >= limit:
        raise InputError(f"{name}: expected codes below {limit}, got {int(value.max())}")
    copy = np.array(value, order="C")
    copy.flags.writeable = False
    object.__setattr__(op, field, copy)


def check_integers(op: Any, field: str, count: int, least: int) -> None:
    """Replace a sequence by a tuple of this many integers, none below the least; InputError otherwise."""
    value = getattr(op, field)
    if (
        not isinstance(value, (tuple, list, np.ndarray))
        or len(value) != count
        or not all(is_int(v) and v >= least for v in value)
    ):
        name = f"{type(op).__name__}.{field}"
        raise InputError(f"{name}: expected {count} integers of at least {least}, got {value!r}")
    object.__setattr__(op, field, tuple(int(v) for v in value))


def check_dtype(name: str, x: Values, *dtypes: Any) -> None:
    """InputError unless x has one of these types, or none is known."""
    if x.dtype is not None and x.dtype not in dtypes:
        raise InputError(f"{name}: expected {' or '.join(str(np.dtype(d)) for d in dtypes)}, got {x.dtype}")


def check_values(name: str, x: Values, dimensions: int, highest: int, dtype: Any) -> None:
    """InputError unless x has this type and these dimensions and stays in [0, highest]."""
    check_dtype(name, x, dtype)
    if len(x.shape) != dimensions:
        raise InputError(f"{name}: expected {dimensions} dimensions for one image, got shape {x.shape}")
    if x.low < 0 or x.high > highest:
        raise InputError(f"{name}: expected integers in [0, {highest}], got [{x.low}, {x.high}]")


def values_of(name: str, x: np.ndarray, *dtypes: Any) -> Values:
    """What an actual array holds, of one of these types."""
    if not isinstance(x, np.ndarray):
        raise InputError(f"{name}: expected an array, got {type(x).__name__}")
    if x.dtype not in dtypes or x.size == 0:
        wanted = " or ".join(str(np.dtype(d)) for d in dtypes)
        raise InputError(f"{name}: expected {wanted} and at least one image, got {x.dtype} {x.shape}")
    return Values(x.shape[1:], int(x.min()), int(x.max()), x.dtype)
