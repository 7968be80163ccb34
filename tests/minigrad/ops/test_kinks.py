"""What every primitive picks where it has no derivative, and what is refused."""

from typing import Any

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES, InputError, Tensor, apply, backend

KINKS = {
    ("relu", "x = 0"),
    ("max_pool2d", "several largest elements in a window"),
    ("dsq_soft", "x = l and x = u"),
    ("dsq_hard", "x = l and x = u"),
    ("dsq_hard", "a tie between two levels"),
}


def gradient(name: str, x: np.ndarray, *rest: object, **options: object) -> np.ndarray:
    leaf = Tensor(x, requires_grad=True)
    y = apply(name, leaf, *rest, **options)
    y.backward(np.ones(y.shape, x.dtype))
    assert leaf.grad is not None
    return leaf.grad


def test_every_declared_kink_has_its_test_here() -> None:
    assert {(name, kink.where) for name, primitive in PRIMITIVES.items() for kink in primitive.kinks} == KINKS


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


IMAGES = np.zeros((2, 4, 4, 3))
LOGITS = np.zeros((2, 3))
REFUSED: dict[str, tuple[str, tuple[np.ndarray, ...], dict[str, Any], str]] = {
    "size 0": ("max_pool2d", (IMAGES,), {"size": 0}, "size 0 does not divide"),
    "size -1": ("avg_pool2d", (IMAGES,), {"size": -1}, "size -1 does not divide"),
    "size 3": ("max_pool2d", (IMAGES,), {"size": 3}, "size 3 does not divide"),
    "height only": ("max_pool2d", (IMAGES[:, :3],), {"size": 2}, "size 2 does not divide"),
    "width only": ("avg_pool2d", (IMAGES[:, :, :3],), {"size": 2}, "size 2 does not divide"),
    "larger than the image": ("max_pool2d", (IMAGES,), {"size": 8}, "size 8 does not divide"),
    "no pixels": ("max_pool2d", (IMAGES[:, :0],), {"size": 2}, "size 2 does not divide"),
    "no images": ("max_pool2d", (IMAGES[0],), {"size": 2}, "expected images"),
    "no images, whole": ("global_avg_pool", (IMAGES[0],), {}, "expected images"),
    "axis above": ("sum", (LOGITS,), {"axis": 2}, "axis: 2 is not an axis"),
    "axis below": ("mean", (LOGITS,), {"axis": -3}, "axis: -3 is not an axis"),
    "one of two axes": ("sum", (LOGITS,), {"axis": (0, 2)}, "axis: 2 is not an axis"),
    "label below": ("softmax_cross_entropy", (LOGITS, np.array([0, -1])), {}, "got -1 at index 1"),
    "label above": ("softmax_cross_entropy", (LOGITS, np.array([3, 0])), {}, "got 3 at index 0"),
    "labels that are floats": ("softmax_cross_entropy", (LOGITS, np.zeros(2)), {}, "integer labels"),
    "one label short": ("softmax_cross_entropy", (LOGITS, np.array([0])), {}, "integer labels"),
    "an empty batch": ("softmax_cross_entropy", (LOGITS[:0], np.zeros(0, np.int64)), {}, "the batch is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named(case: str) -> None:
    name, arrays, options, message = REFUSED[case]
    with pytest.raises(InputError if name not in ("sum", "mean") else ValueError, match=message):
        PRIMITIVES[name].forward(*arrays, **options)
