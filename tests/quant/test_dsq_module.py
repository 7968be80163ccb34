"""DSQ at the edges: projection of large ranges, initial ranges, parameters a channel, zeros and infinities."""

from collections.abc import Callable

import numpy as np
import pytest

from minigrad import InputError, Tensor, apply, backend, kernels
from quant import dsq, dsq_kernels
from quant.calibration import least_squares_range
from quant.dsq import DSQ

PATHS = [name for name, number in backend.PATHS.items() if kernels.native().lib.mgk_has_path(number)]


@pytest.mark.parametrize(("l", "u"), [(1000, -1000), (1003, -997), (1000, 999), (-1e6, -1e6), (1000, 1000), (2e-7, 0)])
def test_a_crossed_range_is_opened_around_its_centre(l: float, u: float) -> None:
    quantizer = DSQ(2, "free")
    quantizer.l.data[...], quantizer.u.data[...] = l, u
    quantizer.project()
    low, high = float(quantizer.l.data), float(quantizer.u.data)
    size = max(1.0, abs(l), abs(u))
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
def test_nan_is_found_wherever_it_is(index: int, dtype: type, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "path", lambda: backend.PATHS[path])
    x: np.ndarray = np.zeros(1000, dtype)
    x[index] = np.nan
    with pytest.raises(InputError, match=rf"x: NaN at index \({index},\)"):
        dsq_kernels.hard(x, -1.0, 1.0, 0.2, 2)
