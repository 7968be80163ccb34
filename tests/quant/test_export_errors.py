"""Hard evaluation of a network of one convolution: its numbers, worked out by hand, and what it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.nn import BatchNorm, Conv2d, GlobalAvgPool, Linear, ReLU, Sequential
from quant import dsq
from quant.dsq import DSQ
from quant.evaluation import Epilogue, ExportError, evaluate_on_integers
from quant.nn.convert import quantize
from quant.nn.layers import OutputScale

MEANS = np.array([125, 123, 114], np.uint8)
#: 16x16 pixels come out of the convolution below.
PIXELS = 256


def network() -> Any:
    """Steps are powers of two: weights 2^-8, activations 2^-4, so a step of the logits is 2^-12 / 256 = 2^-20."""
    rng = np.random.default_rng(0)
    conv = Conv2d(rng, 3, 4, 5, stride=2, padding=2)
    model = quantize(Sequential(conv, BatchNorm(4, eps=0.1), ReLU(), GlobalAvgPool(), Linear(rng, 4, 6)), edge_bits=8)
    model(Tensor(rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)))
    first, _, _, pooled, _, linear = model.layers
    first.weight_quantizer.u.data[...] = linear.weight_quantizer.u.data[...] = 255 * 2.0**-8  # type: ignore[attr-defined]
    pooled.activation_quantizer.u.data[...] = 255 * 2.0**-4  # type: ignore[attr-defined]
    return model


def test_the_inverse_of_the_norm_has_its_eps() -> None:
    model = network()
    model.layers[1].running_variance[...] = [0.0, 0.125, 1.0, 2.0]
    epilogue = evaluate_on_integers(model, MEANS).layers[0].epilogue
    assert epilogue.inverse.tolist() == [1 / np.sqrt(v + 0.1) for v in (0.0, 0.125, 1.0, 2.0)]
    assert epilogue.scale == 2.0**-8 / 64
    assert epilogue.step == 2.0**-4


def test_the_convolution_keeps_stride_and_padding() -> None:
    accumulate = evaluate_on_integers(network(), MEANS).layers[0].accumulate
    assert accumulate.stride == (2, 2)
    assert accumulate.pads == (2, 2, 2, 2)


def test_the_bias_is_rounded_half_to_even() -> None:
    model = network()
    model.layers[5].bias.data[...] = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1000.75]) * 2.0**-20
    hard = evaluate_on_integers(model, MEANS)
    assert hard.logit_scale == 2.0**-20
    assert hard.linear.bias.tolist() == [0, 2, 2, 0, -2, 1001]
    black = np.zeros((1, 32, 32, 3), np.uint8)
    logits = hard.run(black)[-1]
    model.layers[5].bias.data[...] = 0
    assert (logits - evaluate_on_integers(model, MEANS).run(black)[-1]).tolist() == [[0, 2, 2, 0, -2, 1001]]


def test_the_input_of_the_linear_layer_reaches_every_pixel_at_the_top_code() -> None:
    model = network()
    assert evaluate_on_integers(model, MEANS).linear.x_max == PIXELS * 255
    pooled = DSQ(5, "positive")
    model.layers[3].activation_quantizer = pooled
    assert evaluate_on_integers(model, MEANS).linear.x_max == PIXELS * 31


def bias_beyond_int32(model: Any) -> None:
    model.layers[5].bias.data[2] = 2.0**11


def negative_bias_beyond_int32(model: Any) -> None:
    model.layers[5].bias.data[2] = -(2.0**11)


def quantized_input(model: Any) -> None:
    model.layers[0].activation_quantizer = DSQ(8, "positive")


def quantized_after_pooling(model: Any) -> None:
    model.layers[5].activation_quantizer = DSQ(8, "positive")


def free_linear_weights(model: Any) -> None:
    model.layers[5].weight_quantizer = DSQ(8, "free")


def weights_a_channel(model: Any) -> None:
    model.layers[5].weight_quantizer = DSQ(8, channels=10)


def no_convolution(model: Any) -> None:
    del model.layers[:3]


def bias_of_the_convolution(model: Any) -> None:
    model.layers[0].bias = model.layers[1].beta


def groups(model: Any) -> None:
    model.layers[0].groups = 3


def dilation(model: Any) -> None:
    model.layers[0].dilation = (1, 2)


def output_scale(model: Any) -> None:
    model.layers[0].output_scale = OutputScale()


def no_bias_of_the_linear_layer(model: Any) -> None:
    model.layers[5].bias = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bias_of_the_convolution, "layer 1: expected a convolution without bias, groups and dilation"),
        (groups, "layer 1: expected a convolution without bias, groups and dilation"),
        (dilation, "layer 1: expected a convolution without bias, groups and dilation"),
        (output_scale, "layer 1: a learned scale of the output is no integer operation yet"),
        (no_bias_of_the_linear_layer, "the linear layer: expected a bias"),
        (bias_beyond_int32, "the linear layer: a bias of 2.15e.09 steps of 9.54e-07 is beyond int32"),
        (negative_bias_beyond_int32, "the linear layer: a bias of 2.15e.09 steps"),
        (quantized_input, "layer 1: the input is uint8 pixels, it cannot be quantized again"),
        (quantized_after_pooling, "the linear layer: activations are quantized before pooling, not after"),
        (free_linear_weights, "the linear layer: a range of weights that is 'free'"),
        (weights_a_channel, "the linear layer: expected one range for the tensor, got one for each of 10 channels"),
        (no_convolution, "model: expected convolution, batch norm and ReLU repeated, then three layers"),
    ],
)
def test_what_has_no_meaning_on_integers_is_named(change: Callable[[Any], None], message: str) -> None:
    model = network()
    change(model)
    with pytest.raises(ExportError, match=message):
        evaluate_on_integers(model, MEANS)


def test_a_large_bias_is_taken_exactly() -> None:
    model = network()
    model.layers[5].bias.data[2] = -(2.0**10)
    assert evaluate_on_integers(model, MEANS).linear.bias[2] == -(2**30)


def test_an_exact_tie_goes_up_as_in_the_quantizer() -> None:
    one = np.ones(1)
    epilogue = Epilogue(scale=0.5, mean=0 * one, inverse=one, gamma=one, beta=0 * one, step=1.0, bits=3)
    odd = np.arange(-3, 18, 2)[:, None]
    got = epilogue.codes(odd)
    assert got.ravel().tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert np.array_equal(got, dsq.codes(odd * 0.5, 0.0, 7.0, 0.2, 3))
