"""RSign and RPReLU: thresholds, gradients worked out by hand, the modules, bad input, and slips that are found."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply
from minigrad.nn import PReLU
from minigrad.primitive import PRIMITIVES
from quant import METHODS, bireal, reactnet
from quant.reactnet import RPReLU, RSign
from quant.rules import vjp_of
from verify.gradients.mutants.judge import judge

Array = np.ndarray


@given(st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_rsign_is_the_sign_behind_a_threshold(seed: int, dtype: Any) -> None:
    """As the paper writes it, +1 above -b and -1 below; and the gradient is Bi-Real's, of x + b."""
    rng = np.random.default_rng(seed)
    x, b = rng.uniform(-2, 2, (20, 3)).astype(dtype), rng.uniform(-1, 1, 3).astype(dtype)
    y = reactnet.hard(x, b)
    assert y.dtype == dtype
    assert np.array_equal(y, np.where(x > -b, 1, -1))
    dx, db = reactnet.hard_vjp(np.ones_like(x), x, b)
    assert np.array_equal(dx, bireal.partials(x + b)[0])
    assert np.allclose(db, dx.sum(axis=0), rtol=1e-5)


def test_the_threshold_is_exact() -> None:
    """x + b is rounded, but its sign is that of the real sum."""
    b = np.array([0.1, -1e300, 5e-324])
    assert reactnet.hard(-b, b).tolist() == [1, 1, 1]
    assert reactnet.hard(np.nextafter(-b, -np.inf), b).tolist() == [-1, -1, -1]
    assert reactnet.codes(-b, b).tolist() == [1, 1, 1]
    assert reactnet.codes(np.array([-np.inf, np.inf]), 0.5).tolist() == [0, 1]
    assert reactnet.partials(np.array([-np.inf, np.inf]), 0.5)[0].tolist() == [0, 0]


def test_levels() -> None:
    assert reactnet.levels(np.float32(0.5)).tolist() == [-1, 1]
    assert reactnet.levels(np.zeros(3, np.float32)).tolist() == [[-1] * 3, [1] * 3]
    assert reactnet.levels(np.zeros(3, np.float32)).dtype == np.float32


def test_rprelu_by_hand() -> None:
    x = np.array([[0.5, 0.5], [-1.5, -0.5], [-1.0, np.inf]])
    b1, slope, b2 = np.array([1.0, -0.25]), np.array([0.5, 4.0]), np.array([10.0, -10.0])
    assert reactnet.rprelu(x, b1, slope, b2).tolist() == [[11.5, -9.75], [9.75, -13.0], [10.0, np.inf]]
    tensors = [Tensor(a, requires_grad=True) for a in (np.where(np.isinf(x), 7.0, x), b1, slope, b2)]
    apply("rprelu", *tensors).backward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    gradients = [t.grad.tolist() for t in tensors if t.grad is not None]
    # In the first channel z is 1.5, -0.5 and 0, in the second 0.25, -0.75 and 6.75.
    assert gradients[0] == [[1, 2], [1.5, 16], [2.5, 6]]
    assert gradients[1] == [1 + 1.5 + 2.5, 2 + 16 + 6]
    assert gradients[2] == [3 * -0.5, 4 * -0.75]
    assert gradients[3] == [9, 12]


def test_rprelu_is_prelu_between_two_shifts() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 4, 3))
    layer, prelu = RPReLU(3, np.float64), PReLU(3, np.float64)
    assert np.array_equal(layer(Tensor(x)).data, prelu(Tensor(x)).data)
    layer.b1.data[...], layer.b2.data[...] = rng.standard_normal(3), rng.standard_normal(3)
    assert np.array_equal(layer(Tensor(x)).data, (prelu(Tensor(x) + layer.b1) + layer.b2).data)
    assert [p.shape for p in layer.parameters()] == [(3,)] * 3


@pytest.mark.parametrize("name", ["b1", "slope", "b2"])
def test_rprelu_refuses_other_shapes(name: str) -> None:
    given = {"b1": np.zeros(3), "slope": np.ones(3), "b2": np.zeros(3)} | {name: np.zeros(2)}
    with pytest.raises(InputError, match=rf"rprelu: {name}: expected shape \(3,\) or one element, got \(2,\)"):
        apply("rprelu", Tensor(np.zeros((4, 3))), *given.values())


@pytest.mark.parametrize("channels", [0, -1, 2.5, True])
def test_numbers_of_channels_are_checked(channels: Any) -> None:
    for module in (lambda: RPReLU(channels), lambda: RSign(channels=channels)):
        with pytest.raises(InputError, match="channels: expected a whole number of at least 1"):
            module()


def test_the_module_learns_its_threshold() -> None:
    module = RSign(channels=2, dtype=np.float64)
    x = Tensor(np.array([[0.5, -0.5], [-2.0, 0.25]]), requires_grad=True)
    y = module(x)
    y.backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert y.data.tolist() == [[1, -1], [-1, 1]]
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 2], [0, 6]]
    assert module.b.grad is not None
    assert module.b.grad.tolist() == [1, 8]
    module.b.data[...] = [-0.75, 0.75]
    assert module.eval()(x).data.tolist() == [[-1, 1], [-1, 1]]
    assert module.codes(x.data).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 1"),
        ({"bits": 2}, "bits: 2 is not"),
        ({"bits": 9}, "bits: 9 is not"),
        ({"bits": 2.5}, "bits: 2.5 is not"),
        ({"bits": True}, "bits: True is not"),
        ({"b": np.nan}, "b: expected finite numbers, got nan"),
        ({"b": np.inf}, "b: expected finite numbers"),
    ],
)
@pytest.mark.parametrize("function", [reactnet.hard, reactnet.partials, reactnet.codes])
def test_bad_parameters_are_named(function: Callable[..., Any], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        function(np.zeros(2), **({"b": 0.0} | changed))


def test_nan() -> None:
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        reactnet.codes(np.array([0.0, np.nan]), 0.0)
    assert np.isnan(reactnet.hard(np.array([np.nan]), 0.0))[0]


def test_the_record_is_for_binary_activations() -> None:
    method = METHODS["reactnet"]
    with pytest.raises(InputError, match="bits: reactnet takes none: it is not defined for weights"):
        method.quantizer(1, "weight")
    with pytest.raises(InputError, match="bits: reactnet takes 1 for activations, got 2"):
        method.quantizer(2, "activation")
    with pytest.raises(InputError, match="options of reactnet"):
        method.quantizer(1, "activation", slope=1)


# ---- slips


def found(name: str, partials: Callable[..., Sequence[Any]]) -> bool:
    """Whether the checks find the slip in 8 examples."""
    primitive = PRIMITIVES[name]
    for seed in range(8):
        try:
            judge(dataclasses.replace(primitive, vjp=vjp_of(partials)), seed)
        except AssertionError:
            judge(primitive, seed)
            return True
    return False


SIGN_SLIPS: dict[str, Callable[..., Sequence[Any]]] = {
    "the slope at x in the place of x + b": lambda x, b, bits: (bireal.sign_slope(x + 0 * b),) * 2,
    "minus b": lambda x, b, bits: (bireal.sign_slope(x + b), -bireal.sign_slope(x + b)),
    "the threshold not learned": lambda x, b, bits: (bireal.sign_slope(x + b), np.zeros_like(x + b)),
}


@pytest.mark.parametrize("slip", SIGN_SLIPS)
def test_a_slip_of_rsign_is_found(slip: str) -> None:
    assert found("rsign", SIGN_SLIPS[slip])


def _by_x_alone(x: Array, b1: Array, slope: Array, b2: Array) -> tuple[Array, ...]:
    dx = np.where(x > 0, 1.0, slope)
    return dx, dx, np.where(x > 0, 0.0, x), np.ones_like(x)


PRELU_SLIPS: dict[str, Callable[..., Sequence[Any]]] = {
    "decided by x in the place of x + b1": _by_x_alone,
    "x in the place of z in the slope's gradient": lambda x, b1, slope, b2: (
        np.where(x + b1 > 0, 1.0, slope),
        np.where(x + b1 > 0, 1.0, slope),
        np.where(x + b1 > 0, 0.0, x),
        np.ones_like(x),
    ),
    "b1 as b2": lambda x, b1, slope, b2: (
        np.where(x + b1 > 0, 1.0, slope),
        np.ones_like(x),
        np.where(x + b1 > 0, 0.0, x + b1),
        np.ones_like(x),
    ),
    "the right slope at the kink": lambda x, b1, slope, b2: (
        np.where(x + b1 >= 0, 1.0, slope),
        np.where(x + b1 >= 0, 1.0, slope),
        np.where(x + b1 > 0, 0.0, x + b1),
        np.ones_like(x),
    ),
}


@pytest.mark.parametrize("slip", PRELU_SLIPS)
def test_a_slip_of_rprelu_is_found(slip: str) -> None:
    assert found("rprelu", PRELU_SLIPS[slip])
