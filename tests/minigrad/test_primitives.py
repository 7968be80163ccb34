"""Every primitive in the registry: its record, its gradients against differences, both precisions, both backends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES, backend
from verify.gradients.primitives import check_primitive

NAMES = sorted(PRIMITIVES)
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("name", NAMES)
def test_the_record_is_complete(name: str) -> None:
    primitive = PRIMITIVES[name]
    assert primitive.name == name
    assert primitive.domain
    assert all(kink.where and kink.pick for kink in primitive.kinks)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_gradients_are_the_differences(name: str, seed: int) -> None:
    report = check_primitive(PRIMITIVES[name], seed)
    assert report.compared > 0


def test_a_small_value_of_large_terms_is_no_false_alarm() -> None:
    """soft is near 0 here while its terms are not, and l < u forbids to look at the arguments' absolute values."""
    check_primitive(PRIMITIVES["dsq_soft"], 3844033529)


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
def test_float32_follows_float64(name: str, seed: int) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(np.random.default_rng(seed), np.float32)
    single, residuals = primitive.forward(*arrays, **options)
    doubles = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
    double, _ = primitive.forward(*doubles, **options)
    assert np.asarray(single).dtype == np.float32
    assert np.allclose(single, double, rtol=1e-4, atol=1e-4)
    gradients = primitive.vjp(np.ones_like(single), residuals, [True] * len(arrays))
    for position in primitive.differentiable or range(len(arrays)):
        gradient = gradients[position]
        assert gradient is not None
        assert gradient.dtype == np.float32
        assert gradient.shape == arrays[position].shape


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(SEEDS)
def test_both_backends_give_the_same_bits(name: str, dtype: type, seed: int) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(np.random.default_rng(seed), dtype)
    results = []
    for implementation in ("c", "numpy"):
        with backend.use(implementation):
            value, residuals = primitive.forward(*arrays, **options)
            gy = np.random.default_rng(seed).standard_normal(np.shape(value)).astype(dtype)
            gradients = primitive.vjp(gy, residuals, [True] * len(arrays))
            results.append([np.asarray(value).tobytes(), *(g.tobytes() for g in gradients if g is not None)])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_that_are_not_needed_are_not_missed(name: str) -> None:
    primitive = PRIMITIVES[name]
    arrays, options = primitive.examples(np.random.default_rng(0), np.float64)
    value, residuals = primitive.forward(*arrays, **options)
    gy = np.ones_like(value)
    everything = primitive.vjp(gy, residuals, [True] * len(arrays))
    for position in primitive.differentiable or range(len(arrays)):
        _, residuals = primitive.forward(*arrays, **options)
        alone = primitive.vjp(gy, residuals, [n == position for n in range(len(arrays))])
        assert np.array_equal(alone[position], everything[position])  # type: ignore[arg-type]
