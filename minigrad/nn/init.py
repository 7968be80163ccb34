"""Initial weights, the same bits on every machine: sums of integers, square roots, no logarithm, no cosine.

Shapes are those of the layers: dense (in, out), convolution (kh, kw, in / groups, out). With k = kh kw (1 if dense):
fan-in = k in / groups terms make one output, fan-out = k out / groups outputs use one input. (PyTorch's fan-out of a
grouped convolution ignores the groups.)
"""

from __future__ import annotations

import math

import numpy as np

from minigrad.errors import InputError

__all__ = [
    "fans",
    "gain",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
]

_GAINS_SQUARED = {"linear": 1.0, "sigmoid": 1.0, "tanh": 25.0 / 9.0, "relu": 2.0}


def normal(rng: np.random.Generator, shape: tuple[int, ...], std: float, dtype: type = np.float32) -> np.ndarray:
    """Approximately normal numbers of mean 0: the sum of 12 uniform 16-bit integers, centred and scaled.

    They reach 6 std at most; their variance is std^2 (1 - 2^-32). Float32 is rounded once, from float64.

    Raises
    ------
    InputError
        If std is negative or not finite, or the dtype is not float32 or float64.
    """
    _check(std, "std", dtype)
    total = rng.integers(0, 1 << 16, (12, *shape), dtype=np.int64).sum(axis=0) - 6 * ((1 << 16) - 1)
    return np.asarray(total * (std / (1 << 16))).astype(dtype)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float, dtype: type = np.float32) -> np.ndarray:
    """Uniform numbers between -bound and bound: the middles of 2^32 equal parts, symmetric around 0.

    Float32 is rounded once, from float64.

    Raises
    ------
    InputError
        If the bound is negative or not finite, or the dtype is not float32 or float64.
    """
    _check(bound, "bound", dtype)
    odd = 2 * rng.integers(0, 1 << 32, shape, dtype=np.int64) + 1 - (1 << 32)
    return np.asarray(odd * (bound / (1 << 32))).astype(dtype)


def fans(shape: tuple[int, ...], groups: int = 1) -> tuple[int, int]:
    """Fan-in and fan-out of weights (in, out) or (kh, kw, in / groups, out).

    Raises
    ------
    InputError
        If the shape has less than two axes or an axis of size 0, or ``groups`` does not divide its last axis.
    """
    if len(shape) < 2 or min(shape) < 1:
        raise InputError(f"shape: expected (in, out) or (kh, kw, in, out), sizes of at least 1, got {tuple(shape)}")
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1 or shape[-1] % groups:
        raise InputError(f"groups: expected a divisor of the {shape[-1]} output channels, got {groups!r}")
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1] // groups


def gain(nonlinearity: str = "relu", slope: float = 0.0) -> float:
    """What weights before a nonlinearity are multiplied by, to keep the variance of what follows it.

    "linear" and "sigmoid" 1, "tanh" 5/3 (PyTorch's), "relu" sqrt(2) (He et al., ICCV 2015, eq 10), "leaky_relu"
    sqrt(2 / (1 + slope^2)) (their eq 15).

    Raises
    ------
    InputError
        For another nonlinearity, a slope that is not finite, or one for a nonlinearity without a slope.
    """
    return math.sqrt(_gain_squared(nonlinearity, slope))


def _gain_squared(nonlinearity: str, slope: float) -> float:
    if not -math.inf < slope < math.inf:
        raise InputError(f"slope: expected a finite number, got {slope!r}")
    if nonlinearity == "leaky_relu":
        return 2.0 / (1.0 + float(slope) * float(slope))
    if nonlinearity not in _GAINS_SQUARED:
        raise InputError(f"nonlinearity: expected one of {', '.join(_GAINS_SQUARED)}, leaky_relu, got {nonlinearity!r}")
    if slope != 0:
        raise InputError(f"slope: only leaky_relu has one, got {slope!r} for {nonlinearity}")
    return _GAINS_SQUARED[nonlinearity]


def kaiming_normal(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: type = np.float32,
    *,
    mode: str = "fan_in",
    nonlinearity: str = "relu",
    slope: float = 0.0,
    groups: int = 1,
) -> np.ndarray:
    """Approximately normal weights of variance gain^2 / fan (He et al., ICCV 2015, eq 10).

    Parameters
    ----------
    shape : tuple of int
        (in, out) or (kh, kw, in / groups, out).
    mode : str
        "fan_in" keeps the variance forward (eq 10), "fan_out" backward (eq 14).
    nonlinearity, slope
        As for ``gain``.
    groups : int
        Groups of the convolution; they matter to the fan-out only.

    Raises
    ------
    InputError
        As ``fans`` and ``gain``, and for another mode.
    """
    std = math.sqrt(_gain_squared(nonlinearity, slope) / _fan(shape, mode, groups))
    return normal(rng, shape, std, dtype)


def kaiming_uniform(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: type = np.float32,
    *,
    mode: str = "fan_in",
    nonlinearity: str = "relu",
    slope: float = 0.0,
    groups: int = 1,
) -> np.ndarray:
    """As ``kaiming_normal``, uniform between -b and b, b^2 = 3 gain^2 / fan: the same variance."""
    bound = math.sqrt(3.0 * _gain_squared(nonlinearity, slope) / _fan(shape, mode, groups))
    return uniform(rng, shape, bound, dtype)


def xavier_normal(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: type = np.float32,
    *,
    nonlinearity: str = "linear",
    slope: float = 0.0,
    groups: int = 1,
) -> np.ndarray:
    """Approximately normal weights of variance gain^2 2 / (fan-in + fan-out) (Glorot and Bengio, AISTATS 2010, eq 12).

    Parameters and errors are those of ``kaiming_normal``; it has no mode.
    """
    std = math.sqrt(2.0 * _gain_squared(nonlinearity, slope) / sum(fans(shape, groups)))
    return normal(rng, shape, std, dtype)


def xavier_uniform(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    dtype: type = np.float32,
    *,
    nonlinearity: str = "linear",
    slope: float = 0.0,
    groups: int = 1,
) -> np.ndarray:
    """As ``xavier_normal``, uniform between -b and b, b^2 = 6 gain^2 / (fan-in + fan-out), eq 16: the same variance."""
    bound = math.sqrt(6.0 * _gain_squared(nonlinearity, slope) / sum(fans(shape, groups)))
    return uniform(rng, shape, bound, dtype)


def _fan(shape: tuple[int, ...], mode: str, groups: int) -> int:
    fan_in, fan_out = fans(shape, groups)
    if mode not in ("fan_in", "fan_out"):
        raise InputError(f"mode: expected 'fan_in' or 'fan_out', got {mode!r}")
    return fan_in if mode == "fan_in" else fan_out


def _check(scale: float, name: str, dtype: type) -> None:
    if not 0 <= scale < math.inf:
        raise InputError(f"{name}: expected a finite number of at least 0, got {scale!r}")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise InputError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
