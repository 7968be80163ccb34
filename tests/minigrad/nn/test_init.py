"""Initial weights: fans, gains, spreads, and bits that stay."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import InputError
from minigrad.nn.init import (
    fans,
    gain,
    kaiming_normal,
    kaiming_uniform,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)

RNG = np.random.default_rng
PINNED_NORMAL = ["be4f7c00", "3f288d00", "be754000", "3f1a1c00", "3f234800", "beeba600"]
PINNED_UNIFORM = ["3feb7bb3eda7aa85", "3fd5789b4fe7fcff", "3f9beef2236bb563", "bfe20b82ac597d79"]


@pytest.mark.parametrize(
    ("shape", "groups", "expected"),
    [
        ((30, 20), 1, (30, 20)),
        ((3, 3, 16, 32), 1, (144, 288)),
        ((3, 5, 4, 32), 4, (60, 120)),
        ((3, 3, 1, 16), 16, (9, 9)),
        ((1, 1, 8, 8), 1, (8, 8)),
        ((7, 2, 3), 1, (14, 21)),
    ],
)
def test_fans_count_terms_and_uses(shape: tuple[int, ...], groups: int, expected: tuple[int, int]) -> None:
    assert fans(shape, groups) == expected


def test_fans_of_a_grouped_convolution_by_counting() -> None:
    """Which inputs of the middle pixel meet which outputs, written out."""
    k, channels, out, groups = 3, 4, 6, 2
    terms: dict[tuple[int, int], int] = {}
    for o in range(out):
        for c in range(channels):
            if o * groups // out == c * groups // channels:
                terms[o, c] = k * k
    into = {sum(count for (o, _), count in terms.items() if o == wanted) for wanted in range(out)}
    out_of = {sum(count for (_, c), count in terms.items() if c == wanted) for wanted in range(channels)}
    assert fans((k, k, channels // groups, out), groups) == (into.pop(), out_of.pop())


def test_gains() -> None:
    assert gain("relu") == math.sqrt(2)
    assert gain("leaky_relu", 0.5) == pytest.approx(math.sqrt(2 / 1.25), rel=1e-15)
    assert gain("leaky_relu", 1.0) == gain("linear") == gain("sigmoid") == 1.0
    assert gain("tanh") == pytest.approx(5 / 3, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "options", "variance"),
    [
        (kaiming_normal, {}, 2 / 144),
        (kaiming_uniform, {}, 2 / 144),
        (kaiming_normal, {"mode": "fan_out", "groups": 2}, 2 / 288),
        (kaiming_uniform, {"mode": "fan_out"}, 2 / 576),
        (kaiming_normal, {"nonlinearity": "linear"}, 1 / 144),
        (kaiming_uniform, {"nonlinearity": "leaky_relu", "slope": 0.5}, 1.6 / 144),
        (xavier_normal, {}, 2 / (144 + 576)),
        (xavier_uniform, {}, 2 / (144 + 576)),
        (xavier_normal, {"groups": 4, "nonlinearity": "relu"}, 4 / (144 + 144)),
        (xavier_uniform, {"nonlinearity": "tanh"}, 2 * 25 / 9 / (144 + 576)),
    ],
)
def test_weights_have_the_stated_variance(
    function: Callable[..., np.ndarray], options: dict[str, Any], variance: float, dtype: type
) -> None:
    """Within five standard errors of mean and variance for so many numbers (the seed is fixed)."""
    w = function(RNG(0), (3, 3, 16, 64), dtype, **options)
    assert w.dtype == dtype
    assert w.shape == (3, 3, 16, 64)
    wide, uniformly = w.astype(np.float64), "uniform" in function.__name__
    assert abs(wide.mean()) < 5 * math.sqrt(variance / w.size)
    # The variance of x^2 is (kurtosis - 1) variance^2; at most 2 for the normal one, 0.8 for the uniform.
    spread = math.sqrt((0.8 if uniformly else 2.0) / w.size)
    assert (wide * wide).mean() == pytest.approx(variance, rel=5 * spread)
    if uniformly:
        bound = math.sqrt(3 * variance)
        assert 0.999 * bound < np.abs(wide).max() <= bound * (1 + np.finfo(dtype).eps)


def test_a_dense_layer_has_its_own_fans() -> None:
    w = kaiming_uniform(RNG(1), (50, 400), mode="fan_out")
    assert np.abs(w).max() == pytest.approx(math.sqrt(6 / 400), rel=1e-2)


def test_the_bits_are_pinned() -> None:
    """Weights of a seed may never change, with NumPy's version or processor: trained nets depend on them."""
    words = kaiming_normal(RNG(0), (2, 3)).view(np.uint32).ravel()
    assert [f"{word:08x}" for word in words] == PINNED_NORMAL
    doubles = xavier_uniform(RNG(0), (2, 2), np.float64).view(np.uint64).ravel()
    assert [f"{word:016x}" for word in doubles] == PINNED_UNIFORM


def test_normal_and_uniform_by_hand() -> None:
    """Sums of integers, centred; middles of equal parts."""
    integers = RNG(5).integers(0, 1 << 16, (12, 4), dtype=np.int64)
    expected = [(sum(int(v) for v in column) - 6 * 65535) * (0.3 / 65536) for column in integers.T]
    assert normal(RNG(5), (4,), 0.3, np.float64).tolist() == expected
    parts = RNG(5).integers(0, 1 << 32, 4, dtype=np.int64)
    middles = [0.7 * ((int(k) + 0.5) / 2.0**31 - 1) for k in parts]
    assert uniform(RNG(5), (4,), 0.7, np.float64).tolist() == pytest.approx(middles, rel=1e-14)
    sample = normal(RNG(0), (100_000,), 1.0, np.float64)
    assert np.mean(np.abs(sample) < 1) == pytest.approx(0.6827, abs=0.01)
    assert normal(RNG(0), (), 1.0).shape == uniform(RNG(0), (), 1.0).shape == ()
    assert normal(RNG(0), (0, 3), 1.0).shape == uniform(RNG(0), (0, 3), 1.0).shape == (0, 3)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (kaiming_normal, {"shape": (3,)}, r"shape: expected \(in, out\) or \(kh, kw, in, out\), .*, got \(3,\)"),
        (xavier_uniform, {"shape": (3, 0)}, r"shape: expected .*, got \(3, 0\)"),
        (kaiming_uniform, {"groups": 3}, "groups: expected a divisor of the 4 output channels, got 3"),
        (xavier_normal, {"groups": 0}, "groups: expected a divisor of the 4 output channels, got 0"),
        (kaiming_normal, {"mode": "in"}, "mode: expected 'fan_in' or 'fan_out', got 'in'"),
        (xavier_normal, {"nonlinearity": "swish"}, "nonlinearity: expected one of linear, .*leaky_relu, got 'swish'"),
        (kaiming_normal, {"slope": 0.1}, "slope: only leaky_relu has one, got 0.1 for relu"),
        (kaiming_normal, {"nonlinearity": "leaky_relu", "slope": float("nan")}, "slope: expected a finite number"),
        (kaiming_normal, {"dtype": np.float16}, "dtype: expected float32 or float64, got float16"),
        (xavier_uniform, {"dtype": np.int64}, "dtype: expected float32 or float64, got int64"),
        (normal, {"std": -1.0}, "std: expected a finite number of at least 0, got -1.0"),
        (uniform, {"bound": float("inf")}, "bound: expected a finite number of at least 0, got inf"),
    ],
)
def test_bad_arguments_are_named(function: Callable[..., Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        function(RNG(0), **({"shape": (2, 4)} | options))
