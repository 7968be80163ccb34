"""N2UQ: thresholds of the segments, the piecewise linear surrogate, ties, the module, slips and bad input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor
from quant import METHODS, n2uq
from quant.n2uq import N2UQ
from verify.gradients.mutants.judge import judge

PRIMITIVE = PRIMITIVES["n2uq"]


@st.composite
def parameters(draw: st.DrawFn) -> tuple[int, float, float, float, np.ndarray, np.random.Generator]:
    bits = draw(st.integers(1, 8))
    rng = np.random.Generator(np.random.Philox(key=draw(st.integers(0, 2**32))))
    a = rng.uniform(0.01, 1, (1 << bits) - 1)
    return bits, float(rng.uniform(0.2, 3)), float(rng.uniform(0.2, 3)), float(rng.uniform(-1, 1)), a, rng


@given(parameters())
def test_thresholds_are_the_middles_of_the_segments(drawn: Any) -> None:
    _, _, _, start, a, _ = drawn
    middles = start + np.cumsum(a) - a / 2
    assert np.allclose(n2uq.thresholds(np.float64(start), a), middles, rtol=0, atol=2.0**-44 * (1 + a.sum()))


@given(parameters())
def test_the_function_behind_the_gradient(drawn: Any) -> None:
    """P joins (e_i, 2 (i - 1)/L): dx is its slope times s1 s2, and equal steps of the output at the thresholds."""
    bits, s1, s2, start, a, rng = drawn
    edges = start + np.concatenate([[0.0], np.cumsum(a)])
    v = rng.uniform(edges[0] - 0.5, edges[-1] + 0.5, 60)
    segment = n2uq.segments(v, start, a)
    heights = np.linspace(0, 2, len(edges))
    expected = np.interp(v, edges, heights)
    assert np.allclose(n2uq.piecewise_linear(v, start, a, segment), expected, rtol=0, atol=1e-9)
    dx, ds1, ds2, dstart, da = n2uq.partials(v / s1, s1, s2, start, a, bits=bits)
    slope = np.concatenate([[0.0], np.diff(heights) / a, [0.0]])[segment]
    assert np.allclose(dx, s1 * s2 * slope, rtol=1e-9, atol=0)
    assert np.allclose(ds1, s2 * slope * v / s1, rtol=1e-9, atol=1e-12)
    assert np.allclose(dstart, -s2 * slope, rtol=1e-9, atol=0)
    assert np.allclose(s2 * ds2, n2uq.hard(v / s1, s1, s2, start, a, bits=bits), rtol=1e-14)
    # Widening all segments alike is shrinking v - start: sum a_j da_j = -(v - start) slope.
    assert np.allclose(a @ da, -s2 * slope * (v - start), rtol=0, atol=1e-9 * s2 * (1 + slope))


def test_even_segments_make_a_uniform_quantizer() -> None:
    x = np.random.Generator(np.random.Philox(key=1)).uniform(-0.5, 2.5, 200)
    for bits in range(1, 9):
        steps = (1 << bits) - 1
        y = n2uq.hard(x, 1.0, 1.0, 0.0, np.full(steps, 2 / steps), bits=bits)
        assert np.allclose(y, np.rint(np.clip(x, 0, 2) * steps / 2) * 2 / steps, rtol=0, atol=1e-12)


def test_ties_and_ends_of_segments_go_down() -> None:
    a = np.array([0.5, 1.0, 0.5])
    options: dict[str, Any] = {"bits": 2}
    at_thresholds = np.array([0.25, 1.0, 1.75])
    assert n2uq.codes(at_thresholds, 1.0, 1.5, 0.0, a, **options).tolist() == [0, 1, 2]
    assert n2uq.codes(np.nextafter(at_thresholds, 9), 1.0, 1.5, 0.0, a, **options).tolist() == [1, 2, 3]
    assert n2uq.levels(1.0, 1.5, 0.0, a, **options).tolist() == [0.0, 1.0, 2.0, 3.0]
    ends = np.array([0.0, 0.5, 1.5, 2.0, np.nextafter(2.0, 9)])
    dx = n2uq.partials(ends, 1.0, 1.5, 0.0, a, **options)[0]
    assert np.allclose(dx, [0, 2, 1, 2, 0])


def test_outside_of_the_segments_nothing_moves_but_the_output_scale() -> None:
    a = np.array([0.5, 1.0, 0.5])
    x = np.array([-np.inf, -3.0, 7.0, np.inf])
    dx, ds1, ds2, dstart, da = n2uq.partials(x, 1.0, 1.5, 0.0, a, bits=2)
    assert not (dx.any() or ds1.any() or dstart.any() or da.any())
    assert ds2.tolist() == [0, 0, 2, 2]
    assert np.isnan(n2uq.hard(np.array([np.nan]), 1.0, 1.5, 0.0, a, bits=2)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", range(1, 9))
def test_the_module_quantizes_and_learns(bits: int, dtype: type) -> None:
    x = Tensor(np.maximum(np.random.Generator(np.random.Philox(key=bits)).standard_normal((30, 4)), 0).astype(dtype))
    quantizer = METHODS["n2uq"].quantizer(bits, "activation", dtype=dtype)
    y = quantizer(x)
    assert float(np.mean((y.data - x.data) ** 2)) < 0.4 * 0.3 ** (bits - 1) + 1e-3
    y.backward(np.ones(y.shape, dtype))
    for parameter in quantizer.parameters():
        assert parameter.grad is not None
        assert parameter.grad.shape == parameter.shape
        assert parameter.grad.any()
    quantizer.eval()
    assert quantizer(x).data.tobytes() == quantizer.levels()[quantizer.codes(x.data)].tobytes()


def test_projection_leads_back_into_the_domain() -> None:
    quantizer = N2UQ(2, dtype=np.float32)
    quantizer.a.data[...] = [-1.0, 0.0, 1e-9]
    quantizer.s1.data[...] = -1.0
    quantizer.s2.data[...] = 0.0
    quantizer.project()
    assert quantizer.a.data.tolist() == [np.float32(1e-3)] * 3
    assert np.isfinite(quantizer(Tensor(np.ones(3, np.float32))).data).all()


def slipped(change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Any:
    def vjp(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        found = change(tuple(PRIMITIVE.vjp(gy, residuals, (True,) * 5)))
        return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))

    return dataclasses.replace(PRIMITIVE, vjp=vjp)


def is_caught(primitive: Any) -> bool:
    for seed in range(10):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


def test_slips_of_the_derived_gradients_are_caught() -> None:
    """da without what earlier segments push; plain straight-through; start left out; s2 by the linear function."""
    assert not is_caught(slipped(lambda g: g))

    def own_only(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        (x, s1, s2, start, a), _ = residuals
        steps = len(a)
        segment = n2uq.segments(np.asarray(x * s1), start, a)
        rows = n2uq.partials(x, s1, s2, start, a, bits=steps.bit_length())[4]
        own = rows * (segment == np.arange(1, steps + 1)[:, None])
        found = (*PRIMITIVE.vjp(gy, residuals, (True,) * 5)[:4], own @ gy)
        return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))

    def linear_scale(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        (x, s1, _, start, a), _ = residuals
        v = np.asarray(x * s1)
        found = list(PRIMITIVE.vjp(gy, residuals, (True,) * 5))
        found[2] = np.asarray(gy @ n2uq.piecewise_linear(v, start, a, n2uq.segments(v, start, a)))
        return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))

    def identity(gy: np.ndarray, residuals: Any, needs: Any) -> Any:
        found = (gy, *PRIMITIVE.vjp(gy, residuals, (True,) * 5)[1:])
        return tuple(g if needed else None for g, needed in zip(found, needs, strict=True))

    for vjp in (own_only, linear_scale, identity):
        assert is_caught(dataclasses.replace(PRIMITIVE, vjp=vjp))
    assert is_caught(slipped(lambda g: (*g[:3], np.zeros_like(g[3]), g[4])))


@pytest.mark.parametrize("bits", [0, 9, 2.5, True])
def test_bad_widths(bits: Any) -> None:
    with pytest.raises(InputError, match="bits"):
        N2UQ(bits)
    with pytest.raises(InputError, match="bits"):
        METHODS["n2uq"].quantizer(bits, "activation")


def test_weights_and_channels_are_refused() -> None:
    with pytest.raises(InputError, match="not defined for weights"):
        METHODS["n2uq"].quantizer(2, "weight")
    with pytest.raises(InputError, match="channels"):
        METHODS["n2uq"].quantizer(2, "activation", channels=3)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("s1", {"s1": 0.0}),
        ("s1", {"s1": np.nan}),
        ("s1", {"s1": np.ones(3)}),
        ("s2", {"s2": -1.0}),
        ("s2", {"s2": np.inf}),
        ("start", {"start": np.nan}),
        ("a", {"a": [0.1, 0.1]}),
        ("a", {"a": [0.1, 0.1, 9e-4]}),
        ("a", {"a": [0.1, 0.1, np.nan]}),
        ("a", {"a": [0.1, 0.1, np.inf]}),
    ],
)
def test_bad_parameters(name: str, change: dict[str, Any]) -> None:
    arguments = {"s1": 1.0, "s2": 1.0, "start": 0.0, "a": [0.1, 0.2, 0.3], **change}
    with pytest.raises(InputError, match=f"^{name}:"):
        n2uq.hard(np.zeros(3), **arguments, bits=2)


@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros(4), np.array([1, np.nan]), np.array([1, np.inf]), np.full(3, 5e-324)]
)
def test_data_that_no_range_can_be_chosen_from(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x:"):
        N2UQ(2, dtype=np.float64).initialise(x)


def test_a_constant_tensor_is_a_range() -> None:
    quantizer = N2UQ(2, dtype=np.float64)
    quantizer.initialise(np.full(5, 3.0))
    assert np.allclose(quantizer.levels()[quantizer.codes(np.full(5, 3.0))], 3.0)


def test_arguments_for_plots_are_in_the_domain() -> None:
    for bits in range(1, 9):
        found, options = METHODS["n2uq"].arguments(bits, "activation")
        assert n2uq.hard(np.array([-1.0, 2.0]), *found, **options).tolist() == [0, 1]
