"""Training's float32 forward against hard evaluation, layer by layer from the same input codes.

Float32 rounds; hard evaluation does not, up to its one float64 expression. So a code may differ, but only where the
place on the grid of codes lies closer to a tie than float32's error can reach. The bound of that error, first order in
u = 2^-24, is derived from the operations, for K terms, weights of range U and activations a:

    accumulator   (K + 10) u U sum|a|         levels of weights are off by 5 u U, of activations by 3 u a; K roundings
    batch norm    |gamma inverse| (that + 8 u |accumulator - mean|) + 2 u |y|
    grid          that / step + 5 u (|y / step| + 1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.data import normalize
from minigrad.nn import ReLU
from minigrad.tensor import Tensor, no_grad
from quant.evaluation import HardLayer, HardNetwork
from quant.integer import Conv2d

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
        for layer, result in zip(network.layers, results, strict=True):
            accumulators = layer.accumulate.run(codes)
            exact = layer.epilogue.codes(accumulators)
            with no_grad():
                y = ReLU()(layer.norm.eval()(layer.conv.eval()(Tensor(levels))))
            _compare(layer, codes, accumulators, exact, layer.next_quantizer.codes(y.data), result)
            codes, levels = exact, layer.next_quantizer.levels()[exact]
        if on_batch is not None:
            on_batch(len(codes))
    return results


def _compare(
    layer: HardLayer,
    codes: np.ndarray,
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
    bound = _error_bound(layer, codes, accumulators)[where]
    apart = np.abs(exact[where].astype(np.int64) - single[where]) != 1
    result.differing += distance.size
    result.not_at_a_tie += int(np.sum((distance > bound) | apart))
    worst = int(np.argmax(distance))
    if distance[worst] >= result.worst_distance:
        result.worst_distance, result.bound_there = float(distance[worst]), float(bound[worst])


def _error_bound(layer: HardLayer, codes: np.ndarray, accumulators: np.ndarray) -> np.ndarray:
    """Bound of float32's error in the place on the grid, for every output."""
    op, e = layer.accumulate, layer.epilogue
    terms = int(np.prod(op.weight_codes.shape[1:]))
    ones = Conv2d(
        np.ones((1, *op.weight_codes.shape[1:]), np.uint8),
        1,
        op.activation_bits,
        None,
        op.stride,
        op.pads,
        op.dilation,
    )
    zero = 0 if op.zero is None else op.zero.astype(np.int64)
    sizes = np.abs(codes.astype(np.int64) - zero).astype(np.uint8)
    # U times an activation's step is scale times N, the largest odd integer.
    largest_weight = (1 << op.weight_bits) - 1
    in_accumulator = (terms + 10) * _U * e.scale * largest_weight * ones.run(sizes)
    value = accumulators * e.scale
    y = np.abs((value - e.mean) * e.inverse * e.gamma + e.beta)
    in_y = np.abs(e.gamma * e.inverse) * (in_accumulator + 8 * _U * np.abs(value - e.mean)) + 2 * _U * y
    return in_y / e.step + 5 * _U * (y / e.step + 1)
