"""Values of primitives, where a loose comparison would not see a wrong formula."""

import numpy as np
import pytest

from minigrad import PRIMITIVES, Tensor, apply, backend, kernels
from minigrad.fused import multiply_add
from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.conv_geometry import Geometry

PATHS = [number for number in backend.PATHS.values() if kernels.native().lib.mgk_has_path(number)]


def test_the_variance_of_a_batch_survives_a_large_mean() -> None:
    noise = np.random.default_rng(0).standard_normal((4, 8, 8, 3))
    x = (1e4 + noise).astype(np.float32)
    seen: list[np.ndarray] = []
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    PRIMITIVES["batch_norm"].forward(x, one, zero, observe=lambda mean, variance: seen.extend((mean, variance)))
    assert np.allclose(seen[0], x.astype(np.float64).mean((0, 1, 2)), rtol=1e-6)
    assert np.allclose(seen[1], x.astype(np.float64).var((0, 1, 2)), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_evaluated_norm_has_this_order_of_operations(dtype: type) -> None:
    rng = np.random.default_rng(0)
    x: np.ndarray = rng.standard_normal((5, 7, 7, 4)).astype(dtype)
    gamma, beta, mean = rng.uniform(-2, 2, (3, 4)).astype(dtype)
    variance: np.ndarray = rng.uniform(0.1, 3, 4).astype(dtype)
    inverse = dtype(1) / np.sqrt(variance + dtype(1e-5))
    expected = ((x - mean) * inverse) * gamma + beta
    got, _ = PRIMITIVES["affine_norm"].forward(x, gamma, beta, mean, variance)
    assert got.tobytes() == expected.tobytes()


def test_two_paddings_are_vertical_and_horizontal() -> None:
    rng = np.random.default_rng(0)
    x, w = Tensor(rng.standard_normal((1, 5, 6, 2))), Tensor(rng.standard_normal((3, 3, 2, 3)))
    two, four = (apply("conv2d", x, w, padding=padding).data for padding in ((1, 2), (1, 1, 2, 2)))
    assert four.shape == (1, 5, 8, 3)
    assert np.array_equal(two, four)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 1), (7, 2), (1, 4)])
def test_a_stride_beyond_the_image_has_the_bits_of_the_reference(height: int, width: int, path: int) -> None:
    g = Geometry.of((2, height, width, 5), (1, 1, 5, 17), 3, 0, 1)
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in (g.input_shape, g.weight_shape, g.output_shape))
    for name, a, b in (("forward", x, w), ("grad_input", dy, w), ("grad_weight", x, dy)):
        expected = getattr(conv_reference, name)(a, b, g)
        assert getattr(conv_kernels, name)(a, b, g, path).tobytes() == expected.tobytes(), name


# In float64 a b + c ends one (odd) unit below the middle of two float32, and the real sum lies between the two: whoever
# rounds it on to the middle, as if it were even, gets the float32 above.
A, B, C = (np.float32(float.fromhex(s)) for s in ("0x1.0002d6p-12", "0x1.fffa54p-13", "0x1.000002p0"))


def test_a_sum_just_below_a_tie_does_not_round_up() -> None:
    got = multiply_add(np.array([A]), np.array([B]), np.array([C]))
    assert got[0] == C
    for sign in (np.float32(1), np.float32(-1)):
        x = np.array([sign * C, sign * A] * 16, np.float32).reshape(1, 4, 4, 2)
        w = np.tile(np.array([1, B], np.float32).reshape(1, 1, 2, 1), 33)
        for path in PATHS:
            y = conv_kernels.forward(x, w, Geometry.of(x.shape, w.shape, 1, 0, 1), path)
            assert np.all(y == sign * C), path
