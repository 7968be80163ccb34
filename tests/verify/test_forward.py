"""Float32 against hard evaluation: the comparison finds what is wrong, and only that."""

import dataclasses

import numpy as np

from minigrad import Tensor
from minigrad.data import normalize
from minigrad.models import small_cnn
from quant.evaluation import HardNetwork, evaluate_on_integers
from quant.nn.convert import quantize
from verify.forward import compare_forward

MEANS = np.array([125, 123, 114], np.uint8)


def network(seed: int) -> tuple[HardNetwork, np.ndarray]:
    images = np.random.default_rng(seed).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    model = quantize(small_cnn(seed))
    for _ in range(3):  # running statistics that are near the batch's
        model(Tensor(normalize(images, MEANS)))
    return evaluate_on_integers(model, MEANS), images


def test_a_true_network_has_no_code_away_from_a_tie() -> None:
    hard, images = network(0)
    results = compare_forward(hard, images)
    assert [result.compared for result in results] == [4 * n for n in (16384, 8192, 8192, 4096, 4096)]
    assert sum(result.not_at_a_tie for result in results) == 0


def test_a_wrong_expression_is_found() -> None:
    hard, images = network(1)
    layer = hard.layers[2]
    for changed in (
        dataclasses.replace(layer.epilogue, scale=layer.epilogue.scale * (1 + 1e-2)),
        dataclasses.replace(layer.epilogue, beta=layer.epilogue.beta + 0.05),
        dataclasses.replace(layer.epilogue, step=layer.epilogue.step * 1.02),
    ):
        layers = (*hard.layers[:2], dataclasses.replace(layer, epilogue=changed), *hard.layers[3:])
        results = compare_forward(dataclasses.replace(hard, layers=layers), images)
        assert results[2].not_at_a_tie > 0
        assert sum(result.not_at_a_tie for n, result in enumerate(results) if n != 2) == 0


def test_differences_at_ties_are_counted() -> None:
    """A tie is made: the float32 code may differ there, and the distance is within the bound."""
    hard, images = network(2)
    layer = hard.layers[4]
    codes = images
    for before in hard.layers[:4]:
        codes = before.epilogue.codes(before.accumulate.run(codes))
    accumulators = layer.accumulate.run(codes)
    # Move beta of each channel so that its most frequent accumulator falls on a tie, to float64's accuracy.
    beta = layer.epilogue.beta.copy()
    for channel in range(beta.size):
        values, counts = np.unique(accumulators[..., channel], return_counts=True)
        e = layer.epilogue
        y = ((values[np.argmax(counts)] * e.scale - e.mean) * e.inverse * e.gamma)[channel]
        tie = (np.floor(max(y + beta[channel], 0) / e.step) + 0.5) * e.step
        beta[channel] = np.float32(tie - y)
    layer.norm.beta.data[...] = beta
    epilogue = dataclasses.replace(layer.epilogue, beta=layer.norm.beta.data.astype(np.float64))
    layers = (*hard.layers[:4], dataclasses.replace(layer, epilogue=epilogue))
    result = compare_forward(dataclasses.replace(hard, layers=layers), images)[4]
    assert result.differing > 0
    assert result.not_at_a_tie == 0
    assert 0 < result.worst_distance <= result.bound_there
