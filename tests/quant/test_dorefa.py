"""DoReFa: weights of 1 and of more bits, activations, bad input, and what implementations get wrong."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply
from minigrad.primitive import PRIMITIVES, Primitive
from quant import METHODS, dorefa
from quant.dorefa import DoReFa
from verify.gradients.mutants.judge import judge

SEEDS = st.integers(0, 2**32)
SCALES = st.sampled_from([1e-6, 1e-3, 1.0, 3.0])


def caught(primitive: Primitive) -> bool:
    for seed in range(6):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


@given(st.integers(2, 8), SCALES, SEEDS)
def test_weights_are_the_formula(bits: int, scale: float, seed: int) -> None:
    n = (1 << bits) - 1
    w = np.random.default_rng(seed).standard_normal(40) * scale
    largest = max(math.tanh(abs(v)) for v in w)
    places = [n * (math.tanh(v) / (2 * largest) + 0.5) for v in w]
    expected = [2 * round(place) / n - 1 for place in places]
    apart = [abs(place - math.floor(place) - 0.5) > 1e-9 for place in places]
    assert np.allclose(dorefa.hard(w, bits=bits)[apart], np.array(expected)[apart], rtol=0, atol=1e-14)
    slope = [(1 - math.tanh(v) ** 2) / largest for v in w]
    assert np.allclose(dorefa.partials(w, bits=bits)[0], slope, rtol=1e-12)


@given(SCALES, SEEDS)
def test_weights_of_one_bit_are_the_sign_times_the_mean(scale: float, seed: int) -> None:
    w = np.random.default_rng(seed).standard_normal(41) * scale
    w[3] = 0.0
    mean = math.fsum(abs(w)) / 41
    y = dorefa.hard(w, bits=1)
    assert np.allclose(y, np.where(w >= 0, mean, -mean), rtol=1e-14)
    assert dorefa.partials(w, bits=1)[0].tolist() == [1] * 41
    assert np.array_equal(dorefa.levels(w, bits=1)[dorefa.codes(w, bits=1)], y)


@given(st.integers(1, 8), SEEDS)
def test_activations_are_the_formula(bits: int, seed: int) -> None:
    n = (1 << bits) - 1
    x = np.random.default_rng(seed).uniform(-0.5, 1.5, 40)
    place = np.clip(x, 0, 1) * n
    apart = np.abs(place - np.floor(place) - 0.5) > 1e-9
    y = dorefa.hard(x, bits=bits, role="activation")
    assert np.array_equal(y[apart], (np.rint(place) / n)[apart])
    # Levels are levels of themselves; those of weights are not.
    assert np.array_equal(dorefa.hard(y, bits=bits, role="activation"), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_go_to_the_even_code(dtype: type) -> None:
    x: np.ndarray = np.array([0.5], dtype)
    for bits in range(1, 9):
        middle = 2 ** (bits - 1)
        # Activations: N/2 lies between two codes. Weights: so does 0.
        assert dorefa.codes(x, bits=bits, role="activation").item() == (middle if bits > 1 else 0)
        assert dorefa.hard(x, bits=bits, role="activation") == dtype(middle if bits > 1 else 0) / dtype(2**bits - 1)
        w: np.ndarray = np.array([0.0, -0.0, 1.0], dtype)
        assert np.all(dorefa.hard(w, bits=bits)[:2] > 0)
        assert dorefa.codes(w, bits=bits).tolist() == [middle, middle, 2 * middle - 1]


@given(st.integers(1, 8), SEEDS)
def test_weights_are_odd(bits: int, seed: int) -> None:
    w = np.random.default_rng(seed).standard_normal(40)
    assert np.array_equal(dorefa.hard(-w, bits=bits), -dorefa.hard(w, bits=bits))


def test_the_gate_of_activations_holds_its_ends() -> None:
    x = np.array([-np.inf, np.nextafter(0, -1), -0.0, 0.0, 0.4, 1.0, np.nextafter(1, 2), np.inf])
    assert dorefa.partials(x, bits=2, role="activation")[0].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]


def test_the_tape_and_hard_vjp_agree() -> None:
    w, gy = np.random.default_rng(0).standard_normal((2, 7, 3))
    for bits in (1, 3):
        leaf = Tensor(w, requires_grad=True)
        apply("dorefa", leaf, bits=bits, role="weight").backward(gy)
        assert leaf.grad is not None
        assert np.array_equal(leaf.grad, dorefa.hard_vjp(gy, w, bits=bits)[0])


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e150, 1e307])
def test_the_mean_neither_overflows_nor_vanishes(scale: float) -> None:
    w = np.array([1.0, -2.0, 3.0, -1.0, 5.0, 7.0, -8.0, 9.0] * 4) * scale
    assert dorefa.hard(w, bits=1)[0] / scale == pytest.approx(4.5)
    assert dorefa.hard(np.array([-5e-324, 5e-324]), bits=1).tolist() == [-5e-324, 5e-324]


# ---- the module


@pytest.mark.parametrize("role", ["weight", "activation"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_the_module(bits: int, role: Any) -> None:
    quantizer = METHODS["dorefa"].quantizer(bits, role, dtype=np.float64)
    x = np.random.default_rng(bits).uniform(-1, 1, 30)
    y = quantizer(Tensor(x)).data
    assert np.array_equal(y, quantizer.levels(x)[quantizer.codes(x)])
    assert np.array_equal(quantizer.eval()(Tensor(x)).data, y)
    assert not quantizer.parameters()
    levels = quantizer.levels(x)
    assert len(levels) == 2**bits
    assert np.all(np.diff(levels) > 0)
    if bits > 1 or role == "activation":
        assert np.array_equal(quantizer.levels(), levels)


def test_the_levels_of_one_bit_need_the_tensor() -> None:
    with pytest.raises(InputError, match="x: the levels of 1-bit weights"):
        DoReFa(1).levels()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits: 0 is not an integer from 1 to 8"),
        ({"bits": 9}, "bits: 9"),
        ({"bits": 2.5}, "bits: 2.5"),
        ({"bits": True}, "bits: True"),
        ({"role": "bias"}, "role: expected one of weight, activation, got 'bias'"),
        ({"dtype": int}, "dtype: expected float32 or float64"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DoReFa(**({"bits": 2} | arguments))
    if "dtype" not in arguments:
        for name in ("hard", "partials", "codes", "levels"):
            with pytest.raises(InputError, match=message):
                getattr(dorefa, name)(np.ones(3), **({"bits": 2} | arguments))


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_bad_input_is_named(bits: int) -> None:
    with pytest.raises(InputError, match="x: expected a weight other than 0"):
        dorefa.hard(np.zeros(4), bits=bits)
    with pytest.raises(InputError, match=r"x: NaN at index \(1,\)"):
        dorefa.codes(np.array([0.5, np.nan]), bits=bits)
    with pytest.raises(InputError, match="x: expected float32 or float64, got int64"):
        dorefa.hard(np.arange(3), bits=bits)
    with pytest.raises(InputError, match="channels: dorefa has its parameters for the whole tensor"):
        METHODS["dorefa"].quantizer(bits, channels=3)


def test_what_is_no_number_is_passed_on() -> None:
    w = np.array([0.5, np.nan, -0.2])
    assert np.isnan(dorefa.hard(w, bits=2)).all()  # of the largest weight is nothing known
    assert np.isnan(dorefa.hard(w, bits=1)).all()
    assert np.isnan(dorefa.hard(w, bits=2, role="activation")).tolist() == [False, True, False]
    assert dorefa.hard(np.array([0.5, np.inf, -np.inf]), bits=2).tolist() == [1 / 3, 1, -1]
    assert dorefa.hard(np.zeros(0), bits=1).shape == dorefa.hard(np.zeros((0, 3)), bits=3)[:, 0].shape == (0,)


# ---- slips


def slipped(partial: Any) -> Primitive:
    def vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
        (x,), options = residuals
        right = dorefa.partials(x, **options)[0]
        return (partial(gy, x, right, **options),)

    return dataclasses.replace(PRIMITIVES["dorefa"], vjp=vjp)


def through_the_largest(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """M is not held constant: the largest weight gets the rest."""
    dx = gy * right
    if role == "weight" and bits > 1:
        largest = np.tanh(np.abs(x).max())
        at = int(np.argmax(np.abs(x)))
        dx.flat[at] -= (gy * np.tanh(x)).sum() / largest**2 * (1 - largest**2) * np.sign(x.flat[at])
    return dx


def through_the_mean(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """As XNOR has it: the mean of |w| is differentiated too."""
    mean = np.sign(x) * (gy * np.sign(x)).mean()
    return gy * right + (mean if role == "weight" and bits == 1 else 0)


def gated(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """The sign's gradient is gated at |w| <= 1."""
    return gy * right * (np.abs(x) <= 1 if role == "weight" and bits == 1 else 1)


def without_the_largest(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """1/M is forgotten."""
    return gy * right * (np.tanh(np.abs(x).max()) if role == "weight" and bits > 1 else 1)


def no_tanh(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """Plain straight-through."""
    return gy * (np.ones_like(x) if role == "weight" else right)


def half_the_gate(gy: np.ndarray, x: np.ndarray, right: np.ndarray, bits: int, role: str) -> np.ndarray:
    """Activations at 1 do not learn."""
    return gy * (right * (x < 1) if role == "activation" else right)


def test_what_is_right_is_not_caught() -> None:
    assert not caught(PRIMITIVES["dorefa"])
    assert not caught(slipped(lambda gy, x, right, **options: gy * right))


@pytest.mark.parametrize(
    "slip", [through_the_largest, through_the_mean, gated, without_the_largest, no_tanh, half_the_gate]
)
def test_a_slip_is_caught(slip: Any) -> None:
    def anywhere() -> bool:
        """1-bit weights are few among the examples."""
        for seed in range(80):
            try:
                judge(slipped(slip), seed)
            except AssertionError:
                return True
        return False

    assert anywhere()
