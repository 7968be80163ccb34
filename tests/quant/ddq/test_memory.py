"""The memory objective: bits by hand, the factor and its gradient, the budget's edge, bad input."""

from typing import Any

import numpy as np
import pytest

from minigrad import InputError, Tensor
from minigrad.nn import Conv2d, Linear, Sequential
from quant.ddq import DDQ
from quant.ddq.memory import EXPONENT, memory_factor, memory_target, weight_memory
from quant.dsq import DSQ
from quant.nn.layers import QConv2d, QLinear
from quant.quantizer import Quantizer


def model(first: Quantizer | None, second: Quantizer | None) -> Sequential:
    """A convolution of 3 x 3 x 2 x 4 = 72 weights and a linear layer of 4 x 5 = 20."""
    rng = np.random.default_rng(0)
    conv = QConv2d(Conv2d(rng, 2, 4, 3), weight=first, activation=DDQ(3, False))
    return Sequential(conv, QLinear(Linear(rng, 4, 5), weight=second, activation=None))


def ddq(*ghat: float) -> DDQ:
    quantizer = DDQ(len(ghat))
    quantizer.ghat.data[...] = ghat
    return quantizer


def test_zeta_is_the_sum_of_weights_times_open_gates() -> None:
    assert weight_memory(model(ddq(0.5, -0.5, 0.0, -2.0), ddq(1, 1, 1))) == 72 * 2 + 20 * 3
    assert weight_memory(model(ddq(0.5, -0.5), DSQ(8))) == 72 * 1 + 20 * 8
    assert weight_memory(model(None, ddq(0.5, 0.5))) == 20 * 2
    assert memory_target(model(ddq(0.5), DSQ(8)), 2.5) == 2.5 * 92


def test_a_quantizer_that_is_off_leaves_its_layer_out() -> None:
    off = ddq(1, 1)
    off.enabled = False
    assert weight_memory(model(off, ddq(1, 1))) == 40


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_over_budget_the_factor_is_the_power_of_the_ratio(dtype: type) -> None:
    rng = np.random.default_rng(0)
    quantizer, other = DDQ(3, dtype=dtype), DDQ(2, dtype=dtype)
    quantizer.ghat.data[...] = [1.5, 0.25, -0.5]
    other.ghat.data[...] = [1.0, -1.5]
    layers = [Linear(rng, 4, 6, dtype), Linear(rng, 6, 2, dtype)]
    net = Sequential(
        QLinear(layers[0], weight=quantizer, activation=None), QLinear(layers[1], weight=other, activation=None)
    )
    zeta, target = 24 * 2 + 12 * 1, 50.0
    factor = memory_factor(net, target)
    assert factor.dtype == dtype
    assert factor.item() == pytest.approx((zeta / target) ** 0.02, rel=4 * float(np.finfo(dtype).eps))
    (factor * 3.0).backward()
    # d (zeta/target)^a / dS_l = factor a m_l / zeta, to the gates within [-1, 1].
    slope = 3 * (zeta / target) ** 0.02 * 0.02 / zeta
    assert quantizer.ghat.grad == pytest.approx(24 * slope * np.array([0, 1, 1]), rel=1e-5)
    assert other.ghat.grad == pytest.approx(12 * slope * np.array([1, 0]), rel=1e-5)


def test_within_the_budget_and_on_its_edge_the_factor_is_one_without_a_gradient() -> None:
    quantizer = ddq(0.5, 0.5)
    net = model(quantizer, ddq(0.5))
    zeta = weight_memory(net)
    for target in (zeta, zeta + 0.5, 10 * zeta):
        factor = memory_factor(net, target)
        assert factor.item() == 1
        assert not factor.requires_grad
    assert memory_factor(net, np.nextafter(zeta, 0)).requires_grad


def test_fixed_widths_count_but_have_no_gradient() -> None:
    quantizer = ddq(0.5, 0.5)
    net = model(DSQ(4), quantizer)
    factor = memory_factor(net, 100, exponent=1.0)
    assert factor.item() == pytest.approx((72 * 4 + 40) / 100, rel=1e-6)
    factor.backward()
    assert quantizer.ghat.grad == pytest.approx(np.array([0.2, 0.2]), rel=1e-6)
    assert not memory_factor(model(DSQ(4), DSQ(4)), 100).requires_grad


def test_the_objective_alone_closes_gates_until_the_budget_is_met() -> None:
    net = model(DDQ(4), DDQ(4))
    target = memory_target(net, 2)
    for _ in range(200):
        net.zero_grad()
        factor = memory_factor(net, target, exponent=1.0)
        if not factor.requires_grad:
            break
        (factor * Tensor(np.ones((), np.float32))).backward()
        for parameter in net.parameters():
            if parameter.grad is not None:
                parameter.data[...] -= 0.05 * parameter.grad
        net.project()
    assert EXPONENT == 0.02
    assert weight_memory(net) <= target
    assert all(layer.weight_quantizer.width().item() >= 1 for layer in net.layers)


@pytest.mark.parametrize("number", [0, -1, np.nan, np.inf, True, "2", None])
def test_numbers_outside_their_domain_are_refused(number: Any) -> None:
    net = model(ddq(1.0), ddq(1.0))
    with pytest.raises(InputError, match=r"^target: "):
        memory_factor(net, number)
    with pytest.raises(InputError, match=r"^bits: "):
        memory_target(net, number)
    if number != 0:
        with pytest.raises(InputError, match=r"^exponent: "):
            memory_factor(net, 10, exponent=number)


def test_a_model_without_quantized_weights_is_refused() -> None:
    for net in (model(None, None), Sequential(Linear(np.random.default_rng(0), 2, 2))):
        for function in (weight_memory, lambda m: memory_target(m, 2), lambda m: memory_factor(m, 2)):
            with pytest.raises(InputError, match=r"^model: "):
                function(net)
