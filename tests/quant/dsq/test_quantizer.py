"""DSQ's module: initial ranges, gradients, projection, options; zeros, infinities and NaN in both implementations."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, backend, kernels
from quant import dsq
from quant.calibration import least_squares_range
from quant.dsq import DSQ
from quant.dsq import kernels as dsq_kernels

PATHS = [name for name, number in backend.PATHS.items() if kernels.native().lib.mgk_has_path(number)]


@pytest.mark.parametrize(
    ("l", "u"), [(1000, -1000), (1003, -997), (1000, 999), (-1e6, -1e6), (1000, 1000), (2e-7, 0), (0, 0)]
)
def test_a_crossed_range_is_opened_around_its_centre(l: float, u: float) -> None:
    quantizer = DSQ(2, "free")
    quantizer.l.data[...], quantizer.u.data[...] = l, u
    quantizer.project()
    low, high = float(quantizer.l.data), float(quantizer.u.data)
    size = max(1e6 * 2.0**-60, abs(l), abs(u))
    assert high - low >= 1e-6 * size
    assert high - low <= 4e-6 * size
    assert (low + high) / 2 == pytest.approx((l + u) / 2, abs=1e-7 * size)
    apply("dsq_hard", Tensor(np.zeros(1, np.float32)), quantizer.l, quantizer.u, 0.2, bits=2)


@pytest.mark.parametrize("kind", ["symmetric", "positive"])
def test_a_range_of_one_parameter_is_opened_above_zero(kind: str) -> None:
    quantizer = DSQ(2, kind)
    quantizer.u.data[...] = -1000.0
    quantizer.project()
    assert 0 < float(quantizer.u.data) <= 2e-3


def test_a_free_range_starts_around_the_middle_of_skewed_data() -> None:
    x = np.random.default_rng(0).exponential(1.0, 1000).astype(np.float32) - 1
    quantizer = DSQ(3, "free")
    quantizer.initialise(x)
    l, u = float(quantizer.l.data), float(quantizer.u.data)
    assert (l + u) / 2 == pytest.approx((float(x.min()) + float(x.max())) / 2, abs=1e-5)
    assert u - l <= 1.0001 * float(x.max() - x.min())


def test_the_best_end_may_be_the_largest_element() -> None:
    x = np.array([3.0, -3.0, 3.0])
    assert least_squares_range(x, lambda x, u: dsq.hard(x, -u, u, 0.5, 1)) == 3.0


def test_the_range_is_of_least_squares_over_the_whole_tensor() -> None:
    """One bit: the best end is the mean of |x|; a sample of the front or another power gives another one."""
    x = np.concatenate([np.full(150_000, 0.1), np.full(50_000, 3.0)])
    assert least_squares_range(x, lambda x, u: dsq.hard(x, -u, u, 0.5, 1)) == pytest.approx(0.825, abs=3 / 64)


@pytest.mark.parametrize("implementation", ["c", "numpy"])
@pytest.mark.parametrize("name", ["dsq_soft", "dsq_hard"])
def test_parameters_of_channels_are_those_of_each_channel(name: str, implementation: str) -> None:
    x = np.random.default_rng(0).uniform(-2, 3, (9, 3))
    gy = np.random.default_rng(1).uniform(-1, 1, (9, 3))
    ends = [np.array(p) for p in ([-1.0, -0.5, 0.25], [1.0, 2.0, 2.5], [0.1, 0.3, 0.45])]

    def run(gy: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
        tensors = [Tensor(a.copy(), requires_grad=True) for a in arrays]
        with backend.use(implementation):
            y = apply(name, *tensors, bits=2)
            y.backward(gy)
        return [y.data, *(t.grad for t in tensors if t.grad is not None)]

    together = run(gy, x, *ends)
    assert [a.shape for a in together] == [(9, 3), (9, 3), (3,), (3,), (3,)]
    for channel in range(3):
        alone = run(gy[:, channel].copy(), x[:, channel], *(p[channel] for p in ends))
        for whole, part in zip(together, alone, strict=True):
            assert np.allclose(whole[..., channel], part, rtol=1e-12, atol=1e-12)


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "soft": dsq.soft,
    "hard": dsq.hard,
    "codes": dsq.codes,
    "soft in C": dsq_kernels.soft,
    "hard in C": dsq_kernels.hard,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("l", "u"), [(-np.inf, 1.0), (-1.0, np.inf), (np.nan, 1.0), (-np.inf, np.inf)])
def test_an_infinite_range_is_refused(name: str, l: float, u: float) -> None:
    with pytest.raises(InputError, match="l, u: expected finite numbers with l < u"):
        FUNCTIONS[name](np.zeros(3), l, u, 0.2, 2)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_negative_zero_has_the_bits_of_zero(name: str, dtype: type) -> None:
    x: np.ndarray = np.array([-1, -1e-9, -0.0, 0.0, 1e-9, 0.7, 2] * 5, dtype)
    function = FUNCTIONS[name]
    for positive, negative in (((0.0, 1.0), (-0.0, 1.0)), ((-1.0, 0.0), (-1.0, -0.0))):
        assert function(x, *positive, 0.2, 2).tobytes() == function(x, *negative, 0.2, 2).tobytes()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [0, 255, 256, 700, 999])
def test_the_library_passes_nan_on_wherever_it_is(
    index: int, dtype: type, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "path", lambda: backend.PATHS[path])
    x: np.ndarray = np.random.default_rng(0).uniform(-1, 1, 1000).astype(dtype)
    x[index] = np.nan
    y = dsq_kernels.hard(x, -1.0, 1.0, 0.2, 2)
    assert np.flatnonzero(np.isnan(y)).tolist() == [index]
    assert np.array_equal(y, dsq.hard(x, -1.0, 1.0, 0.2, 2), equal_nan=True)


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
def test_module_gradients_reach_its_parameters(kind: str, mode: str) -> None:
    rng = np.random.default_rng(0)
    quantizer = DSQ(2, kind, forward=mode, dtype=np.float64)
    x = Tensor(rng.uniform(0.0, 2.0, (50,)) if kind == "positive" else rng.uniform(-2, 2, (50,)), requires_grad=True)
    y = quantizer(x)
    l, u, alpha = (float(p) for p in quantizer.parameters_now())
    reference = dsq.soft if mode == "soft" else dsq.hard
    assert np.array_equal(y.data, reference(x.data, l, u, alpha, 2))
    gy = rng.standard_normal(50)
    y.backward(gy)
    dx, dl, du, da = dsq.soft_vjp(gy, x.data, l, u, alpha, 2, q=mode)
    assert x.grad is not None
    assert quantizer.u.grad is not None
    assert quantizer.alpha.grad is not None
    assert np.array_equal(x.grad, dx)
    assert quantizer.alpha.grad == da
    # With l = -u both ends move with u.
    assert quantizer.u.grad == (du - dl if kind == "symmetric" else du)
    if kind == "free":
        assert quantizer.l.grad == dl


def test_binary_keeps_alpha() -> None:
    assert not DSQ(1).alpha.requires_grad
    assert DSQ(1, learn_alpha=True).alpha.requires_grad
    assert DSQ(2).alpha.requires_grad


def test_evaluation_is_hard() -> None:
    quantizer = DSQ(2, forward="soft", dtype=np.float64)
    x = np.linspace(-1.5, 1.5, 31)
    quantizer(Tensor(x))
    y = quantizer.eval()(Tensor(x)).data
    assert np.array_equal(y, quantizer.levels()[quantizer.codes(x)])


@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
def test_initialisation_is_close_to_the_data(kind: str) -> None:
    x = np.random.default_rng(1).standard_normal(20000)
    x = np.maximum(x, 0) if kind == "positive" else x + (3.0 if kind == "free" else 0.0)
    quantizer = DSQ(2, kind, dtype=np.float64)
    quantizer.initialise(x)
    l, u, _ = (float(p) for p in quantizer.parameters_now())
    error = np.mean((dsq.hard(x, l, u, 0.2, 2) - x) ** 2)
    # The uniform 4-level quantizer of least squared error for a normal variable has 0.1188 (Max, 1960).
    assert error < 0.125
    if kind == "symmetric":
        assert u == pytest.approx(1.49, abs=0.06)


def test_a_constant_zero_tensor_has_no_range() -> None:
    with pytest.raises(InputError, match=r"every element is 2\.0"):
        DSQ(2, "free").initialise(np.full(3, 2.0))
    with pytest.raises(InputError, match="got none"):
        DSQ(2, "free").initialise(np.zeros(0))
    with pytest.raises(InputError, match="not all zero"):
        DSQ(2).initialise(np.zeros(5, np.float32))
    with pytest.raises(InputError, match="expected finite"):
        DSQ(2).initialise(np.array([1.0, np.inf]))


@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
def test_projection_restores_the_domain(kind: str) -> None:
    quantizer = DSQ(3, kind)
    quantizer.u.data[...] = -0.3
    quantizer.alpha.data[...] = 0.9
    quantizer.project()
    dsq.check_parameters(*quantizer.parameters_now())
    assert quantizer.alpha.data == 0.5
    quantizer.alpha.data[...] = -1.0
    quantizer.project()
    assert quantizer.alpha.data == np.float32(1e-6)


def test_projection_leaves_the_domain_alone() -> None:
    quantizer = DSQ(3)
    quantizer.u.data[...] = 0.7
    quantizer.alpha.data[...] = 0.31
    quantizer.project()
    assert quantizer.u.data == np.float32(0.7)
    assert quantizer.alpha.data == np.float32(0.31)


def test_the_papers_bound_on_k() -> None:
    quantizer = DSQ(2, "positive", alpha_bound="k<=1000", dtype=np.float64)
    quantizer.u.data[...] = 3 * 0.005  # D = 0.005
    quantizer.alpha.data[...] = 1e-6
    quantizer.project()
    alpha = float(quantizer.alpha.data)
    assert math.log(2 / alpha - 1) / 0.005 == pytest.approx(1000, rel=1e-9)
    quantizer.u.data[...] = 3 * 0.0005  # nothing below 0.5 satisfies it
    quantizer.project()
    assert float(quantizer.alpha.data) == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits: 0"),
        ({"bits": 9}, "bits: 9"),
        ({"alpha": 1.5}, "alpha: expected 0 < alpha < 1, got 1.5"),
        ({"alpha": 1e-60}, "alpha: expected 0 < alpha < 1, got 0.0"),
        ({"alpha": "a"}, "alpha: expected a number, got 'a'"),
        ({"dtype": int}, "dtype: expected float32 or float64"),
        ({"range": "wide"}, "range: expected one of symmetric, positive, free, got 'wide'"),
        ({"forward": "both"}, "forward: expected one of"),
        ({"alpha_bound": "none"}, "alpha_bound: expected one of"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DSQ(**({"bits": 2} | arguments))  # type: ignore[arg-type]


def test_every_channel_has_a_say_in_the_range() -> None:
    x = np.random.default_rng(0).standard_normal((64, 32, 32, 16))
    x[..., 0] *= 0.01
    quantizer, other = DSQ(2), DSQ(2)
    quantizer.initialise(x)
    other.initialise(np.roll(x, 1, axis=-1))
    assert float(quantizer.u.data) > 1.0
    assert float(other.u.data) == pytest.approx(float(quantizer.u.data), rel=0.1)


@pytest.mark.parametrize("scale", [1e-165, 1.0, 1e155])
def test_the_range_scales_with_the_data(scale: float) -> None:
    x = np.random.default_rng(0).standard_normal(1000)
    quantizer = DSQ(2, dtype=np.float64)
    quantizer.initialise(x * scale)
    assert float(quantizer.u.data) / scale == pytest.approx(1.5, abs=0.2)


def test_alpha_stays_above_zero_under_the_papers_bound() -> None:
    quantizer = DSQ(2, alpha_bound="k<=1000")
    quantizer.alpha.data[...] = -1.0
    quantizer.project()
    dsq.check_parameters(*quantizer.parameters_now())
