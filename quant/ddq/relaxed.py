"""DDQ with gates between 0 and 1: the smooth function of levels and gates that its gradients belong to.

With the gates in descending order and k the level that an element is assigned to, which is frozen:

    x_q = sum_l q_l prod_i U_i[k_i, l_i] / Z,  U_i = [[1, 1 - g_i], [1 - g_i, 1]]

k_i and l_i are bits, the most significant first. Z is prod(2 - g_i), the sum of each column, or a constant. At gates of
0 and 1 this is the hard quantizer. One pass over q for each gate multiplies by the Kronecker product.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.errors import InputError
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from minigrad.reduction import tree_sum
from quant.domain import as_number, check_bits, check_positive
from quant.draw import draw_bits

__all__ = ["check_levels", "contract", "gate_slopes", "mix", "relaxed", "relaxed_vjp", "sum_by_index"]

Array = np.ndarray


def check_levels(q: Array, bits: int) -> None:
    """InputError unless q is (2^bits,), finite, and the sum of all cannot overflow."""
    n = check_bits(bits) + 1
    if q.shape != (n,):
        raise InputError(f"q: expected {n} levels for {bits} bits, shape ({n},), got {q.shape}")
    if not (np.abs(q) <= np.finfo(q.dtype).max / n).all():
        raise InputError(f"q: expected finite levels, at most the dtype's largest number / {n}; scale the data")


def mix(v: Array, factors: Sequence[tuple[Any, Any]]) -> Array:
    """The Kronecker product of the matrices [[same, other], [other, same]], one pair a factor, times v (n,)."""
    for i in reversed(range(len(factors))):
        same, other = factors[i]
        pairs = v.reshape(1 << i, 2, -1)
        v = same * pairs + other * pairs[:, ::-1]
    return v.reshape(-1)


def gate_slopes(q: Array, g: Array, norm: Any, differentiate_norm: bool) -> Array:
    """The derivative of x_q by each gate, for each level it may be assigned to: (b, n); gates in descending order.

    That is q^T U_1 x ... x (I - 1) x ... x U_b / Z, and x_q/(2 - g_i) besides where Z depends on the gates.
    """
    factors = [(1, 1 - g_i) for g_i in g]
    value = mix(q, factors) / norm
    slopes = []
    for i, g_i in enumerate(g):
        slope = mix(q, [*factors[:i], (0, -1), *factors[i + 1 :]]) / norm
        slopes.append(slope + value / (2 - g_i) if differentiate_norm else slope)
    return np.stack(slopes)


def sum_by_index(gy: Array, index: Array, count: int) -> Array:
    """The sum of the elements of gy that have each index, (count,): each by the fixed tree, in the order of C."""
    flat = index.ravel().astype(np.uint8)
    order = np.argsort(flat, kind="stable")
    parts = np.split(gy.ravel()[order], np.cumsum(np.bincount(flat, minlength=count))[:-1])
    return np.array([tree_sum(part) for part in parts], gy.dtype)


def _place(index: Array, q: Array, g: Array, bits: int, norm: float | None) -> tuple[Array, Array, Array, Any]:
    """Checked arguments: the index, the order of the gates, the sorted gates, Z."""
    check_levels(q, bits)
    if g.shape != (bits,) or g.dtype != q.dtype or not ((g >= 0) & (g <= 1)).all():
        raise InputError(f"g: expected {bits} gates of {q.dtype} in [0, 1], got {g.dtype} {g.shape}")
    index = np.asarray(index)
    if index.dtype.kind not in "iu" or not ((index >= 0) & (index < len(q))).all():
        raise InputError(f"index: expected whole numbers from 0 to {len(q) - 1}, got {index.dtype} {index.shape}")
    if norm is not None:
        check_positive("norm", as_number("norm", norm))
    order = np.argsort(-g, kind="stable")
    g = g[order]
    z = functools.reduce(operator.mul, [2 - g_i for g_i in g]) if norm is None else q.dtype.type(norm)
    return index, order, g, z


def relaxed(index: Array, q: Array, g: Array, *, bits: int, norm: float | None = None) -> Array:
    """The value of elements that are assigned to the levels ``index``.

    Parameters
    ----------
    index : ndarray of integers from 0 to 2^bits - 1, any shape
    q : ndarray (2^bits,), float32 or float64: the levels, in any order
    g : ndarray (bits,), the dtype of q, in [0, 1]: the gates, in any order
    bits : 1 to 8
    norm : Z, a constant above 0; None for prod(2 - g_i)

    Returns
    -------
    ndarray of the shape of index and the dtype of q

    Raises
    ------
    InputError
        If an argument is outside its domain.
    """
    index, _, g, z = _place(index, q, g, bits, norm)
    return np.asarray((mix(q, [(1, 1 - g_i) for g_i in g]) / z)[index])


def relaxed_vjp(
    gy: Array, index: Array, q: Array, g: Array, *, bits: int, norm: float | None = None
) -> tuple[Array, Array]:
    """Gradients of q and g for the incoming gradient ``gy`` (the shape of index)."""
    index, order, g, z = _place(index, q, g, bits, norm)
    s = sum_by_index(gy, index, len(q))
    dg = np.empty_like(g)
    dg[order] = tree_sum((gate_slopes(q, g, z, norm is None) * s).T)
    return mix(s, [(1, 1 - g_i) for g_i in g]) / z, dg


# ---------------------------------------------------------------- on the tape


def _forward(index: Array, q: Array, g: Array, *, bits: int, norm: float | None = None) -> tuple[Array, Any]:
    """``relaxed``, on the tape."""
    return relaxed(index, q, g, bits=bits, norm=norm), (index, q, g, bits, norm)


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    index, q, g, bits, norm = residuals
    return None, *relaxed_vjp(gy, index, q, g, bits=bits, norm=norm)


def _jvp(
    tangents: Sequence[Array | None], index: Array, q: Array, g: Array, *, bits: int, norm: float | None = None
) -> Array:
    _, tq, tg = tangents
    index, order, g, z = _place(index, q, g, bits, norm)
    slope = np.zeros_like(q)
    if tq is not None:
        slope = slope + mix(tq, [(1, 1 - g_i) for g_i in g]) / z
    if tg is not None:
        slope = slope + tree_sum(gate_slopes(q, g, z, norm is None) * tg[order][:, None])
    return np.asarray(slope[index])


def contract(q: Array, g: Sequence[Any], k: int) -> Any:
    """sum_l q_l prod_i U_i[k_i, l_i] for sorted gates, on any numbers: one bit of l after the other is summed over."""
    bits = len(g)
    for i, g_i in enumerate(g):
        halves = q.reshape(2, -1)
        bit = (k >> (bits - 1 - i)) & 1
        q = halves[bit] + halves[1 - bit] * (1 - g_i)
    return q[0]


def _definition(index: Array, q: Any, g: Any, *, bits: int, norm: float | None = None) -> Any:
    ordered = [g[i] for i in sorted(range(bits), key=lambda i: g[i], reverse=True)]
    z = functools.reduce(operator.mul, [2 - g_i for g_i in ordered]) if norm is None else norm
    values = np.empty(index.size, object)
    for n, k in enumerate(index.ravel()):
        values[n] = contract(q, ordered, int(k)) / z
    return values.reshape(index.shape)


def draw_levels(draw: Draw, n: int) -> Array:
    """Ascending levels of uneven steps around some middle, on a scale from 1e-6 to 1e6."""
    q = np.cumsum(draw.uniform(0.25, 1.0, (n,)))
    return (q - q[-1] * draw.uniform(-0.5, 1.5)) * 10.0 ** draw.integer(-6, 6)


def _examples(draw: Draw, dtype: Any, bits: int | None = None) -> Example:
    bits = draw_bits(draw, range(1, 9)) if bits is None else bits
    # Distinct gates: where two are equal, which of them comes first decides.
    g = (draw.permutation(bits) + draw.uniform(0.25, 0.75, (bits,))) / bits
    index = np.array([draw.integer(0, (1 << bits) - 1) for _ in range(draw.integer(1, 5))])
    norm = draw.choice((None, *(float(1 << closed) for closed in range(bits + 1))))
    q = draw_levels(draw, 1 << bits)
    return (index, q.astype(dtype), g.astype(dtype)), {"bits": bits, "norm": norm}


def _at_equal_gates(draw: Draw, dtype: Any) -> KinkPoint:
    (index, q, g), options = _examples(draw, dtype, draw_bits(draw, range(2, 9)))
    first, second = sorted(np.argsort(g)[-2:].tolist())
    g[second] = g[first]
    return KinkPoint((index, q, g), options, 2, (first,), 1.0)


register(
    Primitive(
        "ddq_relaxed",
        _forward,
        _vjp,
        _jvp,
        definition=_definition,
        domain="q finite, 0 <= g <= 1",
        kinks=(Kink("g_i = g_j", "the slopes of the stored order: the first of the two acts first", _at_equal_gates),),
        examples=_examples,
        differentiable=(1, 2),
    )
)
