"""DDQ on the tape: the primitives ``ddq`` and ``ddq_corrected``.

Their definition, frozen assignment and correction are written with the Kronecker products themselves, as whole numbers,
and with a search over all levels; they share nothing with ``quant.ddq.functions``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw
from minigrad.primitive import Example, Kink, KinkPoint, Primitive, register
from quant.ddq.functions import check_options, hard, hard_jvp, hard_vjp
from quant.ddq.gate import draw_gates, frozen_step
from quant.ddq.relaxed import contract, draw_levels
from quant.draw import draw_bits

__all__ = ["corrected_gradients", "definition", "frozen_assignment"]

Array = np.ndarray

_OPEN, _CLOSED, _FLIP = np.eye(2, dtype=np.int64), np.ones((2, 2), np.int64), np.array([[0, -1], [-1, 0]])


def _kronecker(factors: list[Array]) -> Array:
    return functools.reduce(np.kron, factors)


def _gates(ghat: Any, bits: int) -> tuple[list[int], list[Array]]:
    """The stored places of the gates in descending order, and their matrices U_i."""
    order = sorted(range(bits), key=lambda i: ghat[i], reverse=True)
    return order, [_OPEN if ghat[i] >= 0 else _CLOSED for i in order]


def _merged(q: Any, u: Array) -> Any:
    """q^T U/Z, each entry; equal columns are summed once."""
    known: dict[bytes, Any] = {}
    for column in u:
        if column.tobytes() not in known:
            known[column.tobytes()] = sum(q[k] for k in np.flatnonzero(column)) / int(column.sum())
    return [known[column.tobytes()] for column in u]


def _nearest(x: Any, levels: Any) -> int:
    """The first index of the least distance."""
    best, least = 0, abs(x - levels[0])
    for k in range(1, len(levels)):
        distance = abs(x - levels[k])
        if distance < least:
            best, least = k, distance
    return best


def _assignment(x: Any, q: Any, merged: Any, assign: str) -> list[int]:
    """The level that each element is assigned to."""
    return [_nearest(element, q if assign == "raw" else merged) for element in x.ravel()]


def _objects(numbers: list[Any], shape: tuple[int, ...]) -> Array:
    array = np.empty(len(numbers), object)
    for n, number in enumerate(numbers):
        array[n] = number
    return array.reshape(shape)


def definition(x: Any, q: Any, ghat: Any, *, bits: int, assign: str = "merged", **_: Any) -> Any:
    """x_q = q^T (U/Z) x_o."""
    matrices = _gates(ghat, bits)[1]
    merged = _merged(q, _kronecker(matrices))
    return _objects([merged[k] for k in _assignment(x, q, merged, assign)], x.shape)


def frozen_assignment(
    x: Array,
    q: Array,
    ghat: Array,
    *,
    bits: int,
    assign: str = "merged",
    differentiate_norm: bool = False,
    correction: float = 0.0,
) -> Callable[..., Array]:
    """The function whose true gradient at (x, q, ghat) is that of ``hard`` without correction.

    Frozen are the assignment, the order of the gates, what is inside of the range, which gates are within [-1, 1] and,
    unless it is differentiated, the norm. With G_i = g_i + (ghat_i - its value here), where within:
    sum_l q_l prod_i U_i(G_i)[k_i, l_i] / Z + (x - its value here), where inside.
    """
    order, matrices = _gates(ghat, bits)
    u = _kronecker(matrices)
    index = _assignment(x, q, _merged(q, u), assign)
    inside = [int(q.min() <= element <= q.max()) for element in x.ravel()]
    constant = int(u[0].sum())
    step = frozen_step(ghat)

    def surrogate(x_now: Any, q_now: Any, ghat_now: Any) -> Any:
        moved = step(ghat_now)
        gates = [moved[i] for i in order]
        norm = math.prod([2 - g for g in gates]) if differentiate_norm else constant
        straight = [m * (a - float(b)) for m, a, b in zip(inside, x_now.ravel(), x.ravel(), strict=True)]
        values = [contract(q_now, gates, k) / norm + s for k, s in zip(index, straight, strict=True)]
        return _objects(values, x.shape) if x_now.dtype == object else np.array(values, x.dtype).reshape(x.shape)

    return surrogate


def corrected_gradients(
    gy: Any,
    x: Any,
    q: Any,
    ghat: Any,
    *,
    bits: int,
    assign: str = "merged",
    differentiate_norm: bool = False,
    correction: float = 0.0,
) -> tuple[Any, Any, Any]:
    """The gradients by their formulas, with gy + lambda (x_q - x) in place of gy for q and the gates."""
    order, matrices = _gates(ghat, bits)
    u = _kronecker(matrices)
    z, merged = int(u[0].sum()), _merged(q, u)
    index = _assignment(x, q, merged, assign)
    low, high = min(q), max(q)
    dx = [g if low <= e and e <= high else g * 0 for g, e in zip(gy.ravel(), x.ravel(), strict=True)]
    pulled = [g + correction * (merged[k] - e) for g, k, e in zip(gy.ravel(), index, x.ravel(), strict=True)]
    dq = [sum(p * int(u[k, level]) for p, k in zip(pulled, index, strict=True)) / z for level in range(len(q))]
    dghat = [ghat[i] * 0 for i in range(bits)]
    for place, i in enumerate(order):
        if not abs(ghat[i]) <= 1:
            continue
        v = _kronecker([*matrices[:place], _FLIP, *matrices[place + 1 :]])
        for p, k in zip(pulled, index, strict=True):
            slope = sum(q[level] * int(v[k, level]) for level in np.flatnonzero(v[k])) / z
            if differentiate_norm:
                slope = slope + merged[k] / (2 - int(ghat[i] >= 0))
            dghat[i] = dghat[i] + p * slope
    return _objects(dx, x.shape), _objects(dq, q.shape), _objects(dghat, ghat.shape)


# ---------------------------------------------------------------- examples


def _draw_elements(draw: Draw, q: Array, levels: Array) -> Array:
    """Elements of every region between midpoints and ends of the range, and outside of it, away from the edges."""
    distinct = np.unique(levels)
    edges = np.unique([*(distinct[1:] + distinct[:-1]) / 2, q.min(), q.max()])
    reach = q.max() - q.min()
    edges = np.array([edges[0] - reach, *edges, edges[-1] + reach])
    piece = np.array([draw.integer(0, len(edges) - 2) for _ in range(draw.integer(1, 5))])
    return edges[piece] + (edges[piece + 1] - edges[piece]) * draw.uniform(0.1, 0.9, piece.shape)


def _draw_options(draw: Draw, bits: int) -> dict[str, Any]:
    assign, norm = draw.choice(("merged", "raw")), draw.choice((False, True))
    return {"bits": bits, "assign": assign, "differentiate_norm": norm}


def _point(draw: Draw, dtype: Any, q: Array, ghat: Array, options: dict[str, Any]) -> Example:
    """Those levels and gates with elements away from ties."""
    x = _draw_elements(draw, q, _assigned(q, ghat, options))
    return tuple(a.astype(dtype) for a in (x, q, ghat)), options


def _assigned(q: Array, ghat: Array, options: dict[str, Any]) -> Array:
    """What elements are assigned to the nearest of."""
    return q if options["assign"] == "raw" else np.array(_merged(q, _kronecker(_gates(ghat, options["bits"])[1])))


def _examples(draw: Draw, dtype: Any) -> Example:
    """Levels that ascend, or that have crossed, with elements away from every tie."""
    bits = draw_bits(draw, range(1, 9))
    options = _draw_options(draw, bits)
    ghat, q = draw_gates(draw, bits), draw_levels(draw, 1 << bits)
    if draw.choice((False, True)):
        crossed = q[draw.permutation(len(q))]
        # Blocks that mix may have means as good as equal, of which float32 may pick another one.
        gaps = np.diff(np.unique(_assigned(crossed, ghat, options)))
        if gaps.min(initial=np.inf) > 0.01 * (q[1] - q[0]):
            q = crossed
    return _point(draw, dtype, q, ghat, options)


def _corrected_examples(draw: Draw, dtype: Any) -> Example:
    """The same with a correction."""
    arrays, options = _examples(draw, dtype)
    return arrays, {**options, "correction": float(draw.choice((0.5, 0.125, 2.0, 0.0)))}


def _start(draw: Draw, widths: range) -> tuple[Array, Array, dict[str, Any]]:
    """Levels above 0 that ascend, so that no block mean vanishes and no two are equal; gates; options."""
    bits = draw_bits(draw, widths)
    q = draw_levels(draw, 1 << bits)
    return q - q[0] + np.ptp(q) / 8, draw_gates(draw, bits), _draw_options(draw, bits)


def _at_end(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        (x, q, ghat), options = _point(draw, dtype, *_start(draw, range(1, 9)))
        x[0] = q[-1] if upper else q[0]
        return KinkPoint((x, q, ghat), options, 0, (0,), 0.0 if upper else 1.0)

    return at


def _at_clip(upper: bool) -> Callable[[Draw, Any], KinkPoint]:
    def at(draw: Draw, dtype: Any) -> KinkPoint:
        q, ghat, options = _start(draw, range(1, 9))
        gate = draw.integer(0, options["bits"] - 1)
        ghat[gate] = 1.0 if upper else -1.0
        arrays, options = _point(draw, dtype, q, ghat, options)
        return KinkPoint(arrays, options, 2, (gate,), 0.0 if upper else 1.0)

    return at


def _at_equal_gates(draw: Draw, dtype: Any) -> KinkPoint:
    q, ghat, options = _start(draw, range(2, 9))
    first, second = sorted(draw.permutation(options["bits"])[:2].tolist())
    ghat[first] = ghat[second] = draw.choice((0.95, -0.95))
    arrays, options = _point(draw, dtype, q, ghat, options)
    return KinkPoint(arrays, options, 2, (first,), 1.0)


_KINKS = (
    Kink("x = min q", "the slope from inside", _at_end(False)),
    Kink("x = max q", "the slope from inside", _at_end(True)),
    Kink("ghat = -1", "the slope from inside", _at_clip(False)),
    Kink("ghat = 1", "the slope from inside", _at_clip(True)),
    Kink("ghat_i = ghat_j", "the slopes of the stored order: the first of the two acts first", _at_equal_gates),
)


def _forward(x: Array, q: Array, ghat: Array, **options: Any) -> tuple[Array, Any]:
    """``hard``, on the tape."""
    value = hard(x, q, ghat, bits=options["bits"], assign=options.get("assign", "merged"))
    check_options(options.get("differentiate_norm", False), options.get("correction", 0.0))
    return value, (x, q, ghat, options)


def _vjp(gy: Array, residuals: Any, needs: Sequence[bool]) -> tuple[Array | None, ...]:
    x, q, ghat, options = residuals
    return hard_vjp(gy, x, q, ghat, **options)


_RECORD: dict[str, Any] = {
    "definition": definition,
    "domain": "q and ghat finite",
    "kinks": _KINKS,
    "surrogate": frozen_assignment,
}
register(Primitive("ddq", _forward, _vjp, hard_jvp, examples=_examples, **_RECORD))
register(
    Primitive(
        "ddq_corrected",
        _forward,
        _vjp,
        hard_jvp,
        examples=_corrected_examples,
        modifier=corrected_gradients,
        **_RECORD,
    )
)
