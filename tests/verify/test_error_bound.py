"""The bound of float32's error: its terms in rational numbers, and what is flagged by it."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minigrad.nn import BatchNorm, Conv2d
from quant import integer
from quant.dsq import DSQ
from quant.evaluation import Epilogue, HardLayer
from quant.nn.layers import QConv2d
from verify import forward
from verify.forward import LayerComparison

CHANNELS = 130  # two blocks of 64 and a rest
SCALE, STEP = 0.01, 0.07
UNIT = Fraction(1, 1 << 24)
#: Ends of the ranges of weights and activations, as float32 holds them.
WEIGHT_END, ACTIVATION_END = np.float32(0.3), np.float32(0.7)


def wide_layer(rng: np.random.Generator) -> HardLayer:
    weight, following = DSQ(2), DSQ(3, "positive")
    weight.u.data[...] = WEIGHT_END
    conv = QConv2d(Conv2d(rng, CHANNELS, 2, 3, stride=2, padding=1), weight=weight, activation=None)
    codes = weight.codes(conv.weight.data).transpose(3, 0, 1, 2)
    accumulate = integer.Conv2d(np.ascontiguousarray(codes), 2, 2, stride=(2, 2), pads=(1, 1, 1, 1))
    mean, inverse, gamma, beta = rng.uniform(0.5, 2, (4, 2))
    epilogue = Epilogue(SCALE, mean, inverse, -gamma, beta, STEP, bits=3)
    return HardLayer("conv1", accumulate, epilogue, conv, BatchNorm(2), following)


def in_order(codes: np.ndarray, weights: np.ndarray, row: int, column: int) -> list[tuple[int, int] | None]:
    """(weight code, activation code) of each term in the order of summation; None where the tap is padding."""
    terms: list[tuple[int, int] | None] = []
    for first in range(0, CHANNELS, 64):
        for ky, kx in np.ndindex(3, 3):
            y, x = 2 * row + ky - 1, 2 * column + kx - 1
            inside = 0 <= y < codes.shape[0] and 0 <= x < codes.shape[1]
            for c in range(first, min(first + 64, CHANNELS)):
                terms.append((int(weights[ky, kx, c]), int(codes[y, x, c])) if inside else None)
    return terms


@pytest.mark.parametrize("place", [(1, 2, 1), (0, 0, 0), (2, 2, 1)])
def test_the_bound_is_that_of_the_docstring(place: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    layer, codes = wide_layer(rng), rng.integers(0, 4, (2, 6, 6, CHANNELS)).astype(np.uint8)
    activation = DSQ(2, "positive")
    activation.u.data[...] = ACTIVATION_END
    levels, real = activation.levels(), np.arange(4) * (float(ACTIVATION_END) / 3)
    index = (1, *place)
    accumulator = int(layer.accumulate.run(codes)[index])
    got = forward._error_bound(layer, real[codes], levels[codes], accumulator, index)

    row, column, channel = place
    quantizer = layer.conv.weight_quantizer
    assert isinstance(quantizer, DSQ)
    weights = [Fraction(float(level)) for level in quantizer.levels()]
    unit = Fraction(float(WEIGHT_END)) / 3 * Fraction(float(ACTIVATION_END)) / 3  # of the integers' products
    rounding, sums, total = Fraction(0), Fraction(0), Fraction(0)
    for term in in_order(codes[1], layer.accumulate.weight_codes[channel], row, column):
        if term is not None:
            product = weights[term[0]] * Fraction(float(levels[term[1]]))
            rounding += abs(product - (2 * term[0] - 3) * term[1] * unit)
            total += product
        sums += abs(total)
    e = layer.epilogue
    parts = (e.mean[channel], e.inverse[channel], e.gamma[channel], e.beta[channel], SCALE, STEP)
    mean, inverse, gamma, beta, scale, step = (Fraction(float(part)) for part in parts)
    off = accumulator * scale - mean
    size = abs(off * inverse * gamma + beta)
    in_y = abs(gamma * inverse) * (rounding + UNIT * sums + 8 * UNIT * abs(off)) + 2 * UNIT * size
    expected = in_y / step + 5 * UNIT * (size / step + 1)
    assert abs(Fraction(got) - expected) <= expected * Fraction(1, 10**8)
    assert 1e-7 < got < 0.1


def flagged(exact: int, single: int, position: float, bound: float, monkeypatch: pytest.MonkeyPatch) -> LayerComparison:
    monkeypatch.setattr(forward, "_error_bound", lambda *_: bound)
    layer: Any = SimpleNamespace(epilogue=SimpleNamespace(position=lambda accumulators: np.full((1, 1), position)))
    result, nothing = LayerComparison("layer"), np.zeros((1, 1))
    codes = [np.array([[code]], np.uint8) for code in (exact, single)]
    forward._compare(layer, nothing, nothing, nothing, codes[0], codes[1], result)
    assert (result.compared, result.differing) == (1, int(exact != single))
    return result


@pytest.mark.parametrize(("exact", "single"), [(3, 4), (4, 3)])
def test_a_code_is_flagged_beyond_its_bound_and_not_within(
    exact: int, single: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for position in (3.5 + 0.03, 3.5 - 0.03):
        assert flagged(exact, single, position, 0.02, monkeypatch).not_at_a_tie == 1
        within = flagged(exact, single, position, 0.06, monkeypatch)
        assert within.not_at_a_tie == 0
        assert within.worst_distance == pytest.approx(0.03)
        assert within.bound_there == 0.06


def test_equal_codes_are_not_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flagged(3, 3, 3.1, 0.0, monkeypatch).not_at_a_tie == 0


@pytest.mark.parametrize(("exact", "single"), [(3, 5), (5, 3), (0, 255)])
def test_codes_that_are_no_neighbours_are_flagged_whatever_the_bound(
    exact: int, single: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flagged(exact, single, 3.5, 1e9, monkeypatch).not_at_a_tie == 1


@pytest.mark.parametrize(("position", "bound"), [(3.5, np.nan), (np.nan, 1.0)])
def test_what_is_not_a_number_is_flagged(position: float, bound: float, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flagged(3, 4, position, bound, monkeypatch).not_at_a_tie == 1
