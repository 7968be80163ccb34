"""DSQ by the C library, for parameters of the whole tensor, split over threads; the bits of ``quant.dsq``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import backend, kernels, threads
from minigrad.elementary import log1p
from minigrad.errors import InputError
from minigrad.reduction import join_blocks
from quant.domain import check_alpha, check_bits, check_range, same_dtype

__all__ = ["applies", "hard", "soft", "vjp"]

_NAMES = {np.dtype(np.float32): ("f32", "float"), np.dtype(np.float64): ("f64", "double")}
_BLOCK = 4096
_BAD_VALUE = 9
#: Below this many elements one thread is faster than two.
_SMALL = 1 << 14


class _NoCode(Exception):
    """The library's hard quantizer refuses NaN, which has no code."""


def applies(x: np.ndarray, *parameters: Any) -> bool:
    """Whether the library takes these arguments."""
    return backend.current() == "c" and x.dtype in _NAMES and all(np.size(p) == 1 for p in parameters)


def _parameters(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, hard_gradient: bool) -> Any:
    """The library's struct; derived values are computed in the dtype of x, as the formulas do."""
    n = check_bits(bits)
    x, l, u, alpha = same_dtype(x, *(np.reshape(p, ()) for p in (l, u, alpha)))
    check_range(l, u)
    check_alpha(alpha)
    gain = log1p(2 * (1 - alpha) / alpha)
    values = [float(l), float(u), float((u - l) / n), float(alpha), float(gain), n, int(hard_gradient)]
    return kernels.native().ffi.new("mgk_dsq *", values)


def _split(total: int, elements: int, work: Any) -> None:
    if elements < _SMALL:
        work(0, total)
    else:
        threads.split(total, work)


def _elementwise(name: str, x: np.ndarray, *parameters: Any) -> np.ndarray:
    library = kernels.native()
    dtype, ctype = _NAMES[x.dtype]
    l, u, alpha, bits = parameters
    q = _parameters(x, l, u, alpha, bits, False)
    source = np.ascontiguousarray(x)
    y = np.empty_like(source)
    function = getattr(library.lib, f"mgk_dsq_{dtype}_{name}")

    def work(begin: int, end: int) -> None:
        status = function(
            backend.path(),
            q,
            library.pointer(ctype, source),
            source.size,
            library.pointer(ctype, y),
            begin,
            end,
        )
        if status == _BAD_VALUE:  # the parameters are checked already
            raise _NoCode
        kernels.check(library, status, f"mgk_dsq_{dtype}_{name}")

    _split(source.size, source.size, work)
    return y.reshape(x.shape)


def soft(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """``quant.dsq.soft``."""
    return _elementwise("soft", x, l, u, alpha, bits)


def hard(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> np.ndarray:
    """``quant.dsq.hard``."""
    try:
        return _elementwise("hard", x, l, u, alpha, bits)
    except _NoCode:
        nan = np.isnan(x)
        y = _elementwise("hard", np.where(nan, x.dtype.type(0), x), l, u, alpha, bits)
        return np.where(nan, x, y)


def vjp(
    gy: np.ndarray, x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, *, q: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``quant.dsq.soft_vjp``."""
    if gy.dtype != x.dtype or gy.shape != x.shape:
        raise InputError(f"gy: expected {x.dtype} {x.shape} as x, got {gy.dtype} {gy.shape}")
    library = kernels.native()
    dtype, ctype = _NAMES[x.dtype]
    struct = _parameters(x, l, u, alpha, bits, q == "hard")
    source, gradient = np.ascontiguousarray(x), np.ascontiguousarray(gy)
    dx = np.empty_like(source)
    blocks = -(-source.size // _BLOCK)
    sums = np.empty((blocks, 3), x.dtype)
    function = getattr(library.lib, f"mgk_dsq_{dtype}_vjp")

    def work(begin: int, end: int) -> None:
        status = function(
            backend.path(),
            struct,
            library.pointer(ctype, gradient),
            library.pointer(ctype, source),
            source.size,
            library.pointer(ctype, dx),
            library.pointer(ctype, sums),
            begin,
            end,
        )
        kernels.check(library, status, f"mgk_dsq_{dtype}_vjp")

    _split(blocks, source.size, work)
    dl, du, dalpha = join_blocks(sums) if blocks else np.zeros(3, x.dtype)
    shapes = (np.shape(l), np.shape(u), np.shape(alpha))
    parts = [np.asarray(g).reshape(shape) for g, shape in zip((dl, du, dalpha), shapes, strict=True)]
    return dx.reshape(x.shape), parts[0], parts[1], parts[2]
