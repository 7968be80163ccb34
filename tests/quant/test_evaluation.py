"""Hard evaluation and its export: thresholds are the expression, the program is the network."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor
from minigrad.data import normalize
from minigrad.models import small_cnn
from minigrad.nn import BatchNorm, Sequential
from quant.dsq import DSQ
from quant.evaluation import Epilogue, ExportError, evaluate_on_integers
from quant.export import export, program_of
from quant.export.thresholds import bisect
from quant.integer import Thresholds
from quant.nn.convert import quantize

MEANS = np.array([125, 123, 114], np.uint8)


@st.composite
def epilogues(draw: st.DrawFn) -> Epilogue:
    channels = draw(st.integers(1, 4))

    def numbers(low: float, high: float) -> np.ndarray:
        return np.array(draw(st.lists(st.floats(low, high), min_size=channels, max_size=channels)))

    return Epilogue(
        scale=draw(st.floats(1e-4, 0.2)),
        mean=numbers(-3, 3),
        inverse=numbers(0.1, 10),
        gamma=numbers(-2, 2) * draw(st.sampled_from([0.0, 1.0])),
        beta=numbers(-2, 2),
        step=draw(st.floats(0.01, 1)),
        bits=draw(st.integers(1, 8)),
    )


@given(epilogues(), st.integers(1, 600))
def test_thresholds_are_the_expression_at_every_integer(epilogue: Epilogue, bound: int) -> None:
    thresholds, direction = bisect(epilogue, bound)
    every = np.arange(-bound, bound + 1, dtype=np.int32)[:, None].repeat(epilogue.gamma.size, axis=1)
    got = Thresholds(thresholds, direction, epilogue.bits).run(every)
    assert np.array_equal(got, epilogue.codes(every))


def test_a_negative_gamma_descends_and_zero_is_constant() -> None:
    one = np.ones(3)
    epilogue = Epilogue(0.5, 0 * one, one, np.array([1.0, -1.0, 0.0]), 2 * one, 1.0, 2)
    accumulators = np.arange(-20, 21)[:, None].repeat(3, axis=1)
    codes = epilogue.codes(accumulators).astype(int)
    assert np.all(np.diff(codes[:, 0]) >= 0)
    assert np.all(np.diff(codes[:, 1]) <= 0)
    assert set(codes[:, 2]) == {2}
    assert bisect(epilogue, 20)[1].tolist() == [1, -1, 1]


def initialised(seed: int, bits: int = 2) -> Sequential:
    """A network with random statistics and parameters, its quantizers initialised from a batch."""
    rng = np.random.default_rng(seed)
    model = quantize(small_cnn(seed), bits=bits)
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    model(Tensor(normalize(images, MEANS)))
    for _, module in model.modules():
        if isinstance(module, BatchNorm):
            shape = module.gamma.shape
            module.gamma.data[...] = rng.uniform(-1.5, 1.5, shape)
            module.gamma.data[:1] = 0.0
            module.beta.data[...] = rng.uniform(-0.5, 0.5, shape)
            module.running_mean[...] = rng.uniform(-0.5, 0.5, shape)
            module.running_variance[...] = rng.uniform(0.1, 3, shape)
    return model


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_program_is_the_hard_evaluated_network(seed: int, bits: int) -> None:
    model = initialised(seed, bits)
    images = np.random.default_rng(seed).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    network = evaluate_on_integers(model, MEANS)
    results = network.run(images)
    integers = program_of(network, "test").run(images)
    for n, codes in enumerate(results[:-1]):
        assert np.array_equal(codes, integers[2 * n + 1]), f"layer {n}"
    assert np.array_equal(results[-1], integers[-2])
    assert np.array_equal(integers[-1], results[-1].argmax(axis=1))


def test_hard_evaluation_is_close_to_the_float_network() -> None:
    model = initialised(3)
    images = np.random.default_rng(3).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    network = evaluate_on_integers(model, MEANS)
    logits = network.run(images)[-1] * network.logit_scale
    floating = model.eval()(Tensor(normalize(images, MEANS))).data
    assert np.abs(logits - floating).max() <= 0.05 * np.abs(floating).max()


def test_what_is_no_integer_operation_is_named() -> None:
    model = initialised(0)

    def changed(change: object) -> Sequential:
        other = copy.deepcopy(model)
        change(other)  # type: ignore[operator]
        return other

    def free_weights(m: Sequential) -> None:
        m.layers[3].weight_quantizer = DSQ(2, "free")  # type: ignore[attr-defined]

    def symmetric_activations(m: Sequential) -> None:
        m.layers[6].activation_quantizer = DSQ(2, "symmetric")  # type: ignore[attr-defined]

    def no_norm(m: Sequential) -> None:
        m.layers[4] = m.layers[5]

    for change, message in (
        (free_weights, "layer 2: a range of weights that is 'free'"),
        (symmetric_activations, "the input of layer 3: activations need l = 0"),
        (no_norm, "layer 2: expected QConv2d, BatchNorm, ReLU, got QConv2d, ReLU, ReLU"),
    ):
        with pytest.raises(ExportError, match=message):
            export(changed(change), MEANS)

    def not_a_number(m: Sequential) -> None:
        m.layers[4].gamma.data[0] = np.nan  # type: ignore[attr-defined]

    def negative_variance(m: Sequential) -> None:
        m.layers[7].running_variance[0] = -1.0  # type: ignore[attr-defined]

    def no_conv(m: Sequential) -> None:
        m.layers[3] = m.layers[5]

    for change, message in (
        (not_a_number, "layer 2: the batch norm's gamma is not finite"),
        (negative_variance, "layer 3: the batch norm's variance is negative"),
        (no_conv, "the input of layer 2: expected activations quantized by DSQ, got NoneType"),
    ):
        with pytest.raises(ExportError, match=message):
            export(changed(change), MEANS)
    with pytest.raises(ExportError, match="expected convolution, batch norm and ReLU repeated, then three layers"):
        export(small_cnn(0), MEANS)
    with pytest.raises(ExportError, match="layer 1: expected weights quantized by DSQ, got NoneType"):
        full = quantize(small_cnn(0), edge_bits=None)
        full.layers.insert(-2, model.layers[-3])
        export(full, MEANS)


def test_full_precision_edges_train() -> None:
    model = quantize(small_cnn(0), edge_bits=None)
    assert model.layers[0].weight_quantizer is None  # type: ignore[attr-defined]
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    assert model(Tensor(normalize(images, MEANS))).shape == (2, 10)


def test_bad_bit_widths_are_named() -> None:
    with pytest.raises(InputError, match="bits: dsq takes 1, 2, 3, 4, 5, 6, 7, 8 for activations, got 9"):
        quantize(small_cnn(0), bits=9)
    with pytest.raises(InputError, match=r"bits: dsq takes .* got 0"):
        quantize(small_cnn(0), edge_bits=0)
    with pytest.raises(InputError, match="model: expected a convolution or a linear layer, it has none"):
        quantize(Sequential(small_cnn(0).layers[2]))
