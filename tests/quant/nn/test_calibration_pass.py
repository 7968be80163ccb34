"""Calibration: what quantizers choose from, what stays as it is, and what is refused."""

from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.models import small_cnn
from minigrad.nn import BatchNorm, Conv2d, Linear, ReLU, Sequential
from quant.nn.calibration_pass import calibrate
from quant.nn.convert import quantize
from quant.quantizer import Quantizer

RNG = np.random.default_rng


def batches(count: int = 3, size: int = 2) -> list[np.ndarray]:
    return [RNG(n).normal(size=(size, 12, 12, 3)).astype(np.float32) for n in range(count)]


def models(method: str, **options: Any) -> tuple[Sequential, Sequential]:
    rng = RNG(0)
    convolutions = Conv2d(rng, 3, 4, 3), BatchNorm(4), ReLU(), Conv2d(rng, 4, 6, 3), BatchNorm(6), ReLU()
    floating = Sequential(*convolutions, Conv2d(rng, 6, 5, 3))
    floating.layers[1].running_mean[...] = 0.3  # type: ignore[attr-defined]
    return floating, quantize(floating, method, edge_bits=2, shape=(12, 12, 3), **options)


@pytest.mark.parametrize("method", ["lsq", "dsq", "daq", "qn"])
def test_quantizers_choose_from_the_float_network(method: str) -> None:
    floating, model = models(method)
    calibrate(model, batches())
    x = Tensor(np.concatenate(batches()))
    with floating.evaluating():
        for place, (before, layer) in enumerate(zip(floating.layers, model.layers, strict=True)):
            if isinstance(before, Conv2d):
                expected: Any = models(method)[1].layers[place]
                expected.initialise(x.data)
                got = layer.state()
                assert all(np.array_equal(array, got[name]) for name, array in expected.state().items())
            x = before(x)


def test_training_does_not_choose_again() -> None:
    _, model = models("daq")
    calibrate(model, batches())
    chosen = {n: a.copy() for n, a in model.state().items() if "quantizer" in n or "scale" in n}
    assert all(a.item() == 1 for n, a in chosen.items() if n.endswith("initialised"))
    model(Tensor(5 * batches()[0]))
    assert all(np.array_equal(model.state()[n], a) for n, a in chosen.items())


def test_all_else_stays_as_it_is() -> None:
    _, model = models("lsq")
    model.layers[4].training = False
    off: Any = model.layers[3]
    off.activation_quantizer.enabled = False
    modes = [m.training for _, m in model.modules()]
    before = {n: a.copy() for n, a in model.state().items() if "quantizer" not in n}
    calibrate(model, batches())
    assert [m.training for _, m in model.modules()] == modes
    assert all(np.array_equal(model.state()[n], a) for n, a in before.items())
    assert all("forward" not in vars(m) for _, m in model.modules())
    assert [m.enabled for _, m in model.modules() if isinstance(m, Quantizer)] == [True, True, False, True, True]
    assert off.activation_quantizer.initialised.item() == 0
    assert off.weight_quantizer.initialised.item() == 1


def test_a_quantizer_before_a_pooling_is_calibrated_too() -> None:
    model = quantize(small_cnn(0), "lsq", bits=2, edge_bits=4)
    calibrate(model, [RNG(0).normal(size=(1, 32, 32, 3)).astype(np.float32)])
    assert all(m.initialised.item() == 1 for _, m in model.modules() if isinstance(m, Quantizer))


def test_what_cannot_be_calibrated_is_named() -> None:
    _, model = models("lsq")
    with pytest.raises(InputError, match="batches: expected at least one"):
        calibrate(model, [])
    for _, module in model.modules():
        if isinstance(module, BatchNorm):
            module.beta.data[...] = -1e3
    with pytest.raises(InputError, match=r"layers\.3: x: expected elements other than 0"):
        calibrate(model, batches())
    assert all(m.enabled for _, m in model.modules() if isinstance(m, Quantizer))
    calibrate(Sequential(Linear(RNG(0), 3, 2)), [])  # nothing to calibrate
