"""Convolutions: C against the NumPy reference in every bit, the reference against a plain sum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply, backend, kernels, threads
from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.conv_geometry import Geometry

PATHS = [name for name, number in backend.PATHS.items() if kernels.native().lib.mgk_has_path(number)]
# Around the widths of vectors and tiles, and beyond one block of 64 channels.
CHANNELS = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    least = [(kernel[n] - 1) * dilation[n] + 1 - padding[2 * n] - padding[2 * n + 1] for n in range(2)]
    height, width = (draw(st.integers(max(1, n), max(1, n) + 13)) for n in least)
    x = (draw(st.integers(1, 3)), height, width, draw(CHANNELS))
    return Geometry.of(x, (*kernel, x[3], draw(CHANNELS)), stride, padding, dilation)


def operands(g: Geometry, seed: int, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = (g.input_shape, g.weight_shape, g.output_shape)
    x, w, dy = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, w, dy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", PATHS)
@given(geometries(), st.integers(0, 2**32))
def test_c_has_the_bits_of_the_reference(path: str, dtype: type, g: Geometry, seed: int) -> None:
    x, w, dy = operands(g, seed, dtype)
    for name, a, b in (("forward", x, w), ("grad_input", dy, w), ("grad_weight", x, dy)):
        expected = getattr(conv_reference, name)(a, b, g)
        got = getattr(conv_kernels, name)(a, b, g, backend.PATHS[path])
        assert got.tobytes() == expected.tobytes(), f"{name} differs for {g}, seed {seed}"


@given(geometries(), st.integers(0, 2**32))
def test_the_reference_is_a_convolution(g: Geometry, seed: int) -> None:
    x, w, dy = operands(g, seed, np.float64)
    padded = np.pad(x, ((0, 0), g.padding[:2], g.padding[2:], (0, 0)))
    (oh, ow), (sy, sx), (dy_, dx_) = g.output, g.stride, g.dilation
    y, dpadded, dw = np.zeros(g.output_shape), np.zeros_like(padded), np.zeros_like(w)
    for ky in range(g.kernel[0]):
        for kx in range(g.kernel[1]):
            rows = slice(ky * dy_, ky * dy_ + (oh - 1) * sy + 1, sy)
            columns = slice(kx * dx_, kx * dx_ + (ow - 1) * sx + 1, sx)
            y += padded[:, rows, columns] @ w[ky, kx]
            dpadded[:, rows, columns] += dy @ w[ky, kx].T
            dw[ky, kx] = np.einsum("nhwi,nhwo->io", padded[:, rows, columns], dy)
    top, _, left, _ = g.padding
    dx = dpadded[:, top : top + g.height, left : left + g.width]
    assert np.allclose(conv_reference.forward(x, w, g), y, rtol=1e-10, atol=1e-10)
    assert np.allclose(conv_reference.grad_input(dy, w, g), dx, rtol=1e-10, atol=1e-10)
    assert np.allclose(conv_reference.grad_weight(x, dy, g), dw, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_number_of_threads_does_not_matter(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    g = Geometry.of((7, 9, 11, 5), (3, 3, 5, 18), 2, 1, 1)
    x, w, dy = operands(g, 1, np.float32)
    expected = [
        conv_reference.forward(x, w, g),
        conv_reference.grad_input(dy, w, g),
        conv_reference.grad_weight(x, dy, g),
    ]
    monkeypatch.setattr(threads, "count", lambda: count)
    got = [conv_kernels.forward(x, w, g), conv_kernels.grad_input(dy, w, g), conv_kernels.grad_weight(x, dy, g)]
    assert [a.tobytes() for a in got] == [a.tobytes() for a in expected]


@pytest.mark.parametrize(
    ("x", "w", "options", "message"),
    [
        ((1, 5, 5), (3, 3, 1, 1), {}, "expected images"),
        ((1, 5, 5, 2), (3, 3, 1, 1), {}, "the images have 2 channels, the weights 1"),
        ((1, 2, 2, 1), (3, 3, 1, 1), {}, "no output pixel"),
        ((0, 5, 5, 1), (3, 3, 1, 1), {}, "no output pixel"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"stride": 0}, "stride: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": -1}, "padding: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": (1, 2, 3)}, "padding: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"dilation": (1, 0)}, "dilation: expected"),
    ],
)
def test_bad_shapes_are_named(x: tuple[int, ...], w: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply("conv2d", Tensor(np.ones(x)), Tensor(np.ones(w)), **options)


def test_linear_names_bad_shapes() -> None:
    with pytest.raises(InputError, match=r"linear: expected x \(n, in\)"):
        apply("linear", Tensor(np.ones((2, 3))), Tensor(np.ones((4, 5))))


def test_an_unknown_backend_or_path_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="backend: expected 'c' or 'numpy'"), backend.use("cuda"):
        pass
    monkeypatch.setenv("MINIGRAD_PATH", "mmx")
    backend.path.cache_clear()
    with pytest.raises(InputError, match="MINIGRAD_PATH: expected one of scalar"):
        backend.path()
    monkeypatch.undo()
    backend.path.cache_clear()


@pytest.mark.parametrize("setting", ["0", "two", "-1", "1.5"])
def test_a_bad_number_of_threads_is_named(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIGRAD_THREADS", setting)
    with pytest.raises(InputError, match="MINIGRAD_THREADS: expected a whole number"):
        threads.count.__wrapped__()
