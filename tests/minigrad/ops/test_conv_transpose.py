"""conv_transpose2d: the adjoint of conv2d, and what it refuses."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply, backend

CONV, TRANSPOSE = PRIMITIVES["conv2d"], PRIMITIVES["conv_transpose2d"]


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Small whole numbers: sums of their products are exact in any order."""
    return rng.integers(-3, 4, shape).astype(dtype)


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of images and weights, and options."""
    stride, dilation, kernel, size = (tuple(draw(st.integers(1, 3)) for _ in range(2)) for _ in range(4))
    more = tuple(draw(st.integers(0, s - 1)) for s in stride)
    full = [(size[n] - 1) * stride[n] + (kernel[n] - 1) * dilation[n] + 1 + more[n] for n in range(2)]
    cuts = [draw(st.integers(0, min(2, full[n] - 1))) for n in range(2)]
    rest = [draw(st.integers(0, min(2, full[n] - cuts[n] - 1))) for n in range(2)]
    groups = draw(st.sampled_from([1, 2, 3]))
    i, o = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = (cuts[0], rest[0], cuts[1], rest[1])
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    x = (draw(st.integers(0, 3)), *size, groups * i)
    return x, (*kernel, o, groups * i), {**options, "output_padding": more}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(cases(), st.integers(0, 2**32))
def test_it_is_the_adjoint_of_conv2d(dtype: type, case: Any, seed: int) -> None:
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w = integers(rng, x_shape, dtype), integers(rng, w_shape, dtype)
    y, residuals = TRANSPOSE.forward(x, w, **options)
    others = {name: value for name, value in options.items() if name != "output_padding"}
    u = integers(rng, y.shape, dtype)
    forward = CONV.forward(u, w, **others)[0]
    assert forward.shape == x.shape
    assert y.dtype == dtype
    assert (forward * x).sum() == (y * u).sum()
    dx, dw = TRANSPOSE.vjp(u, residuals, (True, True))
    assert np.array_equal(dx, forward)
    assert np.array_equal(dw, CONV.vjp(x, CONV.forward(u, w, **others)[1], (True, True))[1])


@given(cases(), st.integers(0, 2**32))
def test_every_pixel_adds_its_multiple_of_the_weights(case: Any, seed: int) -> None:
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w = integers(rng, x_shape), integers(rng, w_shape)
    (sy, sx), (dy, dx), more = options["stride"], options["dilation"], options["output_padding"]
    (_, h, width, inputs), (kh, kw, outputs, _), groups = x.shape, w.shape, options["groups"]
    full = ((h - 1) * sy + (kh - 1) * dy + 1 + more[0], (width - 1) * sx + (kw - 1) * dx + 1 + more[1])
    y = np.zeros((x.shape[0], *full, outputs * groups))
    for c in range(inputs):
        group = c * groups // inputs
        own = slice(group * outputs, (group + 1) * outputs)
        for k, l in np.ndindex(kh, kw):
            rows = slice(k * dy, k * dy + (h - 1) * sy + 1, sy)
            columns = slice(l * dx, l * dx + (width - 1) * sx + 1, sx)
            y[:, rows, columns, own] += x[..., c, None] * w[k, l, :, c]
    top, bottom, left, right = options["padding"]
    expected = y[:, top : full[0] - bottom, left : full[1] - right]
    assert np.array_equal(TRANSPOSE.forward(x, w, **options)[0], expected)


@pytest.mark.parametrize("implementation", ["c", "numpy"])
def test_an_empty_batch(implementation: str) -> None:
    x, w = (Tensor(np.zeros(shape), requires_grad=True) for shape in ((0, 3, 4, 2), (3, 3, 5, 2)))
    with backend.use(implementation):
        y = apply("conv_transpose2d", x, w, stride=2, padding=1)
        y.backward(np.zeros(y.shape))
    assert y.shape == (0, 5, 7, 5)
    assert w.grad is not None and w.grad.shape == w.shape and not w.grad.any()


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((1, 5, 2), (3, 3, 1, 2), {}, "expected images"),
        ((1, 5, 5, 2), (3, 3, 2, 1), {}, "the images have 2 channels, the weights 1"),
        ((1, 5, 5, 3), (3, 3, 2, 3), {"groups": 2}, "groups: expected a divisor of the channels 3, got 2"),
        ((1, 5, 5, 3), (3, 3, 2, 3), {"groups": 0}, "groups: expected a divisor"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"stride": 0}, "stride: expected one or two integers of at least 1"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"dilation": 0}, "dilation: expected one or two integers of at least 1"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": -1}, "padding: expected one, two or four integers"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"output_padding": -1}, "output_padding: expected one or two integers"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"output_padding": (1, 0)}, "output_padding: expected less than the stride"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"output_padding": (0, 1)}, "output_padding: expected less than the stride"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"stride": (3, 2), "output_padding": 2}, "expected less than the stride"),
        ((1, 1, 1, 1), (2, 2, 1, 1), {"padding": 1}, "no output pixel"),
        ((1, 0, 1, 1), (2, 2, 1, 1), {}, "no output pixel"),
        ((1, 1, 1, 1), (2, 2, 0, 1), {}, "no output pixel"),
    ],
)
def test_what_does_not_fit_is_named(x: Any, w: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^conv_transpose2d: .*{message}"):
        TRANSPOSE.forward(np.ones(x), np.ones(w), **options)


def test_other_dtypes_are_named() -> None:
    with pytest.raises(InputError, match="conv_transpose2d: expected arrays that are all float32 or all float64"):
        TRANSPOSE.forward(np.ones((1, 2, 2, 1), np.float32), np.ones((1, 1, 1, 1)))
