"""Convolutions: C against the NumPy reference in every bit, the reference against a plain sum."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply, backend, kernels, threads
from minigrad.ops import conv_kernels, conv_reference
from minigrad.ops.conv_geometry import Geometry

PATHS = [name for name, number in backend.PATHS.items() if kernels.native().lib.mgk_has_path(number)]
# Around the widths of vectors and tiles, and beyond one block of 64 channels.
CHANNELS = st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130])


# (groups, channels in and out of each): depthwise with one output and with several, and a few dense groups.
GROUPS = st.one_of(
    st.tuples(st.just(1), CHANNELS, CHANNELS),
    st.tuples(CHANNELS, st.just(1), st.just(1)),
    st.sampled_from([(2, 1, 3), (17, 1, 2), (3, 1, 65), (300, 1, 1), (2, 3, 17), (3, 65, 2), (5, 2, 1)]),
)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    least = [(kernel[n] - 1) * dilation[n] + 1 - padding[2 * n] - padding[2 * n + 1] for n in range(2)]
    height, width = (draw(st.integers(max(1, n), max(1, n) + 13)) for n in least)
    groups, i, o = draw(GROUPS)
    x = (draw(st.integers(0, 3)), height, width, groups * i)
    return Geometry.of(x, (*kernel, i, groups * o), stride, padding, dilation, groups)


def operands(g: Geometry, seed: int, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = (g.input_shape, g.weight_shape, g.output_shape)
    x, w, dy = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, w, dy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("path", PATHS)
@given(geometries(), st.integers(0, 2**32))
@example(Geometry.of((1, 40, 50, 3), (3, 3, 1, 3), 1, 1, 1, 3), 0)  # several strips of rows in a chunk
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
    each = g.in_channels // g.groups
    for ky, kx, o in np.ndindex(*g.kernel, g.out_channels):
        first = o // (g.out_channels // g.groups) * each
        rows = slice(ky * dy_, ky * dy_ + (oh - 1) * sy + 1, sy)
        columns = slice(kx * dx_, kx * dx_ + (ow - 1) * sx + 1, sx)
        seen = padded[:, rows, columns, first : first + each]
        y[..., o] += seen @ w[ky, kx, :, o]
        dpadded[:, rows, columns, first : first + each] += dy[..., o, None] * w[ky, kx, :, o]
        dw[ky, kx, :, o] = (seen * dy[..., o, None]).sum((0, 1, 2))
    top, _, left, _ = g.padding
    dx = dpadded[:, top : top + g.height, left : left + g.width]
    assert np.allclose(conv_reference.forward(x, w, g), y, rtol=1e-10, atol=1e-10)
    assert np.allclose(conv_reference.grad_input(dy, w, g), dx, rtol=1e-10, atol=1e-10)
    assert np.allclose(conv_reference.grad_weight(x, dy, g), dw, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(geometries(), st.integers(0, 2**32))
def test_groups_have_the_bits_of_convolutions_of_their_own(dtype: type, g: Geometry, seed: int) -> None:
    x, w, dy = operands(g, seed, dtype)
    y, dx, dw = (
        conv_reference.forward(x, w, g),
        conv_reference.grad_input(dy, w, g),
        conv_reference.grad_weight(x, dy, g),
    )
    for n in sorted({0, g.groups // 2, g.groups - 1}):
        i, o = ([..., slice(n * c // g.groups, (n + 1) * c // g.groups)] for c in (g.in_channels, g.out_channels))
        i, o = tuple(i), tuple(o)
        alone = Geometry.of(x[i].shape, w[o].shape, g.stride, g.padding, g.dilation)
        assert y[o].tobytes() == conv_reference.forward(x[i], w[o], alone).tobytes()
        assert dx[i].tobytes() == conv_reference.grad_input(dy[o], w[o], alone).tobytes()
        assert dw[o].tobytes() == conv_reference.grad_weight(x[i], dy[o], alone).tobytes()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize(("channels", "groups"), [((5, 18), 1), ((20, 20), 20), ((10, 30), 10), ((6, 4), 2)])
def test_the_number_of_threads_does_not_matter(
    channels: tuple[int, int], groups: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = Geometry.of((7, 9, 11, channels[0]), (3, 3, channels[0] // groups, channels[1]), 2, 1, 1, groups)
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
        ((1, 0, 5, 1), (3, 3, 1, 1), {"padding": 3}, "no output pixel"),
        ((1, 5, 5, 0), (3, 3, 0, 1), {}, "no output pixel"),
        ((1, 5, 5, 1), (0, 3, 1, 1), {}, "no output pixel"),
        ((1, 5, 5, 1), (3, 3, 1, 0), {}, "no output pixel"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"groups": 0}, "conv2d: groups: expected a divisor"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"groups": -1}, "conv2d: groups: expected a divisor"),
        ((1, 5, 5, 2), (3, 3, 2, 2), {"groups": True}, "conv2d: groups: expected a divisor"),
        ((1, 5, 5, 2), (3, 3, 1, 2), {"groups": 2.0}, "conv2d: groups: expected a divisor"),
        ((1, 5, 5, 4), (3, 3, 2, 3), {"groups": 2}, "conv2d: groups: expected a divisor of the channels 4 and 3"),
        ((1, 5, 5, 3), (3, 3, 2, 4), {"groups": 2}, "conv2d: groups: expected a divisor of the channels 3 and 4"),
        ((1, 5, 5, 4), (3, 3, 4, 4), {"groups": 2}, "the images have 4 channels, the weights 4 in each of 2 groups"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"stride": 0}, "conv2d: stride: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": -1}, "conv2d: padding: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": (1, 2, 3)}, "conv2d: padding: expected"),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"dilation": (1, 0)}, "conv2d: dilation: expected"),
    ],
)
def test_bad_shapes_are_named(x: tuple[int, ...], w: tuple[int, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply("conv2d", Tensor(np.ones(x)), Tensor(np.ones(w)), **options)


@pytest.mark.parametrize("dtype", [np.int64, np.float16, object])
def test_other_dtypes_are_named(dtype: type) -> None:
    x, w = np.ones((1, 3, 3, 1), dtype), np.ones((1, 1, 1, 1), dtype)
    with pytest.raises(InputError, match="conv2d: expected arrays that are all float32 or all float64"):
        PRIMITIVES["conv2d"].forward(x, w)
    with pytest.raises(InputError, match="conv2d: expected arrays that are all float32 or all float64"):
        PRIMITIVES["conv2d"].forward(x.astype(np.float32), w.astype(np.float64))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("implementation", ["c", "numpy"])
def test_an_empty_batch_has_an_empty_output_and_no_weight_gradient(implementation: str, groups: int) -> None:
    x = Tensor(np.zeros((0, 5, 6, 4)), requires_grad=True)
    w = Tensor(np.ones((3, 2, 4 // groups, 8)), requires_grad=True)
    with backend.use(implementation):
        y = apply("conv2d", x, w, stride=2, groups=groups)
        y.backward(np.zeros(y.shape))
    assert y.shape == (0, 2, 3, 8)
    assert x.grad is not None and x.grad.shape == x.shape
    assert w.grad is not None and w.grad.shape == w.shape and not w.grad.any()


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spreads_over_the_outputs_that_see_it(value: float, groups: int) -> None:
    x, w = np.ones((2, 5, 5, 4)), np.ones((3, 3, 4 // groups, 4))
    x[1, 0, 0, 3] = value
    y = PRIMITIVES["conv2d"].forward(x, w, padding=1, groups=groups)[0]
    seen = np.zeros(y.shape, bool)
    seen[1, :2, :2, 3 - 3 % (4 // groups) :] = True
    assert np.array_equal(y[seen], np.full(seen.sum(), value), equal_nan=True)
    assert np.isfinite(y[~seen]).all()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_arrays_need_not_be_contiguous(groups: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 7, 6, 2)).T
    w = rng.standard_normal((8, 4 // groups, 2, 6)).T[::2, :, :, ::2]
    y, residuals = PRIMITIVES["conv2d"].forward(x, w, groups=groups)
    again, others = PRIMITIVES["conv2d"].forward(x.copy(), w.copy(), groups=groups)
    assert y.tobytes() == again.tobytes()
    gy = rng.standard_normal(y.shape[::-1]).T
    got = PRIMITIVES["conv2d"].vjp(gy, residuals, (True, True))
    expected = PRIMITIVES["conv2d"].vjp(gy.copy(), others, (True, True))
    assert [np.asarray(g).tobytes() for g in got] == [np.asarray(g).tobytes() for g in expected]


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
@given(st.integers(0, 2**32))
def test_all_rules_are_certified(name: str, certify: Callable[[str, int], None], seed: int) -> None:
    certify(name, seed)


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
