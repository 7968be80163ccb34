"""What every primitive picks where it has no derivative."""

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES, Tensor, apply, backend


def gradient(name: str, x: np.ndarray, *rest: object, **options: object) -> np.ndarray:
    leaf = Tensor(x, requires_grad=True)
    y = apply(name, leaf, *rest, **options)
    y.backward(np.ones(y.shape, x.dtype))
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_at_zero_has_slope_zero(zero: float) -> None:
    assert gradient("relu", np.array([zero, 1.0, -1.0])).tolist() == [0.0, 1.0, 0.0]
    assert PRIMITIVES["relu"].jvp((np.ones(1),), np.array([zero])).tolist() == [0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_keeps_nan_and_has_one_zero(dtype: type) -> None:
    y = apply("relu", Tensor(np.array([np.nan, -0.0, -1.0, 2.0] * 9, dtype))).data[-4:]
    assert np.isnan(y[0])
    assert y[1:].tolist() == [0.0, 0.0, 2.0]
    assert not np.signbit(y[1:]).any()


@pytest.mark.parametrize(("window", "winner"), [([3, 3, 3, 3], 0), ([1, 5, 5, 2], 1), ([1, 2, 4, 4], 2)])
def test_the_first_of_equal_largest_elements_gets_all(window: list[int], winner: int) -> None:
    x = np.array(window, np.float64).reshape(1, 2, 2, 1)
    expected = np.eye(4)[winner]
    assert np.array_equal(gradient("max_pool2d", x, size=2).ravel(), expected)
    tangent = np.arange(4.0).reshape(x.shape)
    assert PRIMITIVES["max_pool2d"].jvp((tangent,), x, size=2).item() == winner


@pytest.mark.parametrize("implementation", ["c", "numpy"])
@pytest.mark.parametrize("name", ["dsq_soft", "dsq_hard"])
def test_the_bounds_of_a_range_are_inside(name: str, implementation: str) -> None:
    parameters = [Tensor(np.array(p), requires_grad=True) for p in (-1.5, 1.5, 0.3)]
    inside = np.nextafter(1.5, 0)

    def gradients(x: float) -> list[float]:
        for p in parameters:
            p.grad = None
        with backend.use(implementation):
            own = gradient(name, np.array([x]), *parameters, bits=2)
        return [own.item(), *(p.grad.item() for p in parameters if p.grad is not None)]

    for end, within, beyond in ((-1.5, -inside, np.nextafter(-1.5, -2)), (1.5, inside, np.nextafter(1.5, 2))):
        assert gradients(end) == pytest.approx(gradients(within), rel=1e-9, abs=1e-9)
        assert gradients(end)[0] > 0.1
        assert gradients(beyond) == ([0, 1, 0, 0] if end < 0 else [0, 0, 1, 0])


@pytest.mark.parametrize("implementation", ["c", "numpy"])
def test_at_a_tie_the_slope_is_the_surrogates(implementation: str) -> None:
    with backend.use(implementation):
        at, near = (
            gradient("dsq_hard", np.array([x]), -1.5, 1.5, 0.3, bits=2).item() for x in (0.0, np.nextafter(0, 1))
        )
        upper = apply("dsq_hard", Tensor(np.zeros(1)), -1.5, 1.5, 0.3, bits=2).item()
    assert at == near > 1
    assert upper == 0.5
