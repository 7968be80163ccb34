"""Training's float32 forward against hard evaluation, layer by layer from the same input codes.

Float32 rounds; hard evaluation does not, up to its one float64 expression. So a code may differ, but only where the
place on the grid of codes lies closer to a tie than float32's error reaches. For each code that differs the error is
bounded from the operations themselves, with u = 2^-24, terms t_k = weight times activation and their sums s_k:

    accumulator   sum |t_k - real t_k| (the levels are rounded) + u sum |s_k| (one rounding a term)
    batch norm    |gamma inverse| (that + 8 u |accumulator - mean|) + 2 u |y|
    grid          that / step + 5 u (|y / step| + 1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.data import normalize
from minigrad.nn import ReLU
from minigrad.ops.conv_reference import BLOCK
from minigrad.tensor import Tensor, no_grad
from quant import dsq
from quant.dsq import DSQ
from quant.evaluation import HardLayer, HardNetwork

__all__ = ["LayerComparison", "compare_forward"]

_U = 2.0**-24
_BATCH = 250


@dataclass
class LayerComparison:
    """How one layer's codes compare: what differs, and how close to a tie it lies (in steps of the code)."""

    name: str
    compared: int = 0
    differing: int = 0
    not_at_a_tie: int = 0
    worst_distance: float = 0.0
    bound_there: float = 0.0


def compare_forward(
    network: HardNetwork, pixels: np.ndarray, on_batch: Callable[[int], None] | None = None
) -> list[LayerComparison]:
    """Run every layer in float32 from the codes that hard evaluation gives it, and compare the codes that follow.

    Parameters
    ----------
    pixels : uint8 (n, 32, 32, 3)
    on_batch : called with the number of images of each finished batch

    Returns
    -------
    One comparison a layer. ``not_at_a_tie`` counts differing codes that are not neighbours, or farther from the tie
    between them than float32's error bound: it is 0 unless something is wrong.
    """
    results = [LayerComparison(layer.name) for layer in network.layers]
    for begin in range(0, len(pixels), _BATCH):
        codes = pixels[begin : begin + _BATCH]
        levels = normalize(codes, network.means)
        real = levels.astype(np.float64)
        for layer, result in zip(network.layers, results, strict=True):
            accumulators = layer.accumulate.run(codes)
            exact = layer.epilogue.codes(accumulators)
            with no_grad():
                y = ReLU()(layer.norm.eval()(layer.conv.eval()(Tensor(levels))))
            _compare(layer, real, levels, accumulators, exact, layer.next_quantizer.codes(y.data), result)
            codes, levels, real = exact, layer.next_quantizer.levels()[exact], _real_levels(layer.next_quantizer)[exact]
        if on_batch is not None:
            on_batch(len(codes))
    return results


def _compare(
    layer: HardLayer,
    real: np.ndarray,
    levels: np.ndarray,
    accumulators: np.ndarray,
    exact: np.ndarray,
    single: np.ndarray,
    result: LayerComparison,
) -> None:
    result.compared += exact.size
    where = np.nonzero(exact != single)
    if not where[0].size:
        return
    position = layer.epilogue.position(accumulators)[where]
    tie = np.maximum(exact[where], single[where]) - 0.5
    distance = np.abs(position - tie)
    indices = [tuple(int(n) for n in index) for index in zip(*where, strict=True)]
    bound = np.array([_error_bound(layer, real, levels, int(accumulators[index]), index) for index in indices])
    apart = np.abs(exact[where].astype(np.int64) - single[where]) != 1
    result.differing += distance.size
    result.not_at_a_tie += int(np.sum(~(distance <= bound) | apart))
    worst = int(np.argmax(distance))
    if distance[worst] >= result.worst_distance:
        result.worst_distance, result.bound_there = float(distance[worst]), float(bound[worst])


def _error_bound(
    layer: HardLayer, real: np.ndarray, levels: np.ndarray, accumulator: int, index: tuple[int, ...]
) -> float:
    """Bound of float32's error in the place on the grid, for one output (image, row, column, channel)."""
    e, channel = layer.epilogue, index[-1]
    exact, single = _terms(layer, real, levels, index)
    in_accumulator = float(np.sum(np.abs(single - exact)) + _U * np.sum(np.abs(np.cumsum(single))))
    value = accumulator * e.scale
    gain, off = abs(e.gamma[channel] * e.inverse[channel]), abs(value - e.mean[channel])
    y = abs((value - e.mean[channel]) * e.inverse[channel] * e.gamma[channel] + e.beta[channel])
    in_y = gain * (in_accumulator + 8 * _U * off) + 2 * _U * y
    return float(in_y / e.step + 5 * _U * (y / e.step + 1))


def _real_levels(quantizer: DSQ) -> np.ndarray:
    """The levels of the learned parameters, taken exactly and computed in float64."""
    l, u, alpha = (p.astype(np.float64) for p in quantizer.parameters_now())
    return dsq.levels(l, u, alpha, quantizer.bits)


def _terms(
    layer: HardLayer, real: np.ndarray, single: np.ndarray, index: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The terms of one output in their order, in float64: of real levels, and of the levels float32 has."""
    op, (image, row, column, channel) = layer.accumulate, index
    assert op.dilation == (1, 1)
    _, height, width, _ = op.weight_codes.shape
    top, bottom, left, right = op.pads
    y, x = row * op.stride[0], column * op.stride[1]
    quantizer = layer.conv.weight_quantizer
    assert isinstance(quantizer, DSQ)
    parts = []
    for inputs, weights in ((real, _real_levels(quantizer)), (single, quantizer.levels())):
        padded = np.pad(inputs[image].astype(np.float64), ((top, bottom), (left, right), (0, 0)))
        window = padded[y : y + height, x : x + width]
        parts.append(_in_order(weights[op.weight_codes[channel]].astype(np.float64) * window))
    return parts[0], parts[1]


def _in_order(terms: np.ndarray) -> np.ndarray:
    """(kernel row, column, channel) in the order of summation: channels in blocks of 64, then taps."""
    blocks = [terms[..., first : first + BLOCK].ravel() for first in range(0, terms.shape[-1], BLOCK)]
    return np.concatenate(blocks)
