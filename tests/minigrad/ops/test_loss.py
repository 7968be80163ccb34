"""Losses: proven rules, values to the last digits, smoothing, infinities, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from minigrad import PRIMITIVES, InputError, Tensor, apply

NAMES = ["cross_entropy", "nll", "mse"]
SEEDS = st.integers(0, 2**32)
INF = np.inf
LOGITS = np.zeros((2, 3))


def forward(name: str, *arrays: Any, **options: Any) -> np.ndarray:
    return PRIMITIVES[name].forward(*arrays, **options)[0]


def gradients(name: str, *arrays: Any, **options: Any) -> tuple[Any, ...]:
    value, residuals = PRIMITIVES[name].forward(*arrays, **options)
    return PRIMITIVES[name].vjp(np.ones_like(value), residuals, (True, True))


def logits(shape: tuple[int, int] = (7, 10), dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.uniform(-3, 3, shape).astype(dtype), rng.integers(0, shape[1], shape[0])


@pytest.mark.parametrize("name", NAMES)
@given(seed=SEEDS)
def test_every_rule_is_certified(certify: Callable[[str, int], None], name: str, seed: int) -> None:
    certify(name, seed)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shift", [0.0, 900.0, -900.0, 1e300])
@pytest.mark.parametrize("spread", [1e-3, 3.0, 300.0])
def test_cross_entropy_is_the_log_of_a_sum_of_exponentials(spread: float, shift: float, smoothing: float) -> None:
    x, labels = logits()
    x = x * (spread / 3) + shift
    got = forward("cross_entropy", x, labels, label_smoothing=smoothing)
    exact = arb(0)
    with ctx.workprec(3000):
        for row, label in zip(x, labels, strict=True):
            numbers = [arb(float(e)) - arb(float(x.max())) for e in row]
            likely = numbers[label] * (1 - arb(smoothing)) + sum(numbers, arb(0)) * arb(smoothing) / 10
            exact += (sum((e.exp() for e in numbers), arb(0)).log() - likely) / 7
        spread = float(np.abs(x - x.max()).max())
        assert abs(got - float(exact)) <= 2.0**-48 * max(1.0, spread)


def test_smoothing_is_a_mixture_of_targets() -> None:
    x, labels = logits()
    logs = PRIMITIVES["log_softmax"].forward(x)[0]
    for e in (0.0, 0.1, 0.5, 1.0):
        target = (1 - e) * np.eye(10)[labels] + e / 10
        assert forward("cross_entropy", x, labels, label_smoothing=e) == pytest.approx(
            -(target * logs).sum() / 7, rel=1e-14
        )
        g, none = gradients("cross_entropy", x, labels, label_smoothing=e)
        assert none is None
        assert np.allclose(g, (np.exp(logs) - target) / 7, rtol=0, atol=1e-15)


def test_cross_entropy_is_nll_of_log_softmax() -> None:
    x, labels = logits()
    leaves = [Tensor(x, requires_grad=True) for _ in range(2)]
    whole = apply("cross_entropy", leaves[0], labels)
    parts = apply("nll", apply("log_softmax", leaves[1]), labels)
    assert whole.item() == pytest.approx(parts.item(), rel=1e-15)
    whole.backward()
    parts.backward()
    assert np.allclose(leaves[0].grad, leaves[1].grad, rtol=0, atol=1e-16)  # type: ignore[arg-type]


def test_an_impossible_class() -> None:
    x = np.array([[-INF, 0.0, 1.0]])
    for label in (1, 2):
        expected = forward("cross_entropy", x[:, 1:], np.array([label - 1]))
        assert forward("cross_entropy", x, np.array([label])) == expected
        g, _ = gradients("cross_entropy", x, np.array([label]))
        assert g[0, 0] == 0
    assert forward("cross_entropy", x, np.array([0])) == INF
    assert forward("cross_entropy", x, np.array([1]), label_smoothing=0.1) == INF
    assert forward("cross_entropy", np.array([[-INF, 0.0]]), np.array([0]), label_smoothing=1.0) == INF


def test_nan_propagates() -> None:
    x = np.array([[np.nan, 0.0], [0.0, 0.0]])
    assert np.isnan(forward("cross_entropy", x, np.array([1, 1])))
    g, _ = gradients("cross_entropy", x, np.array([1, 1]))
    assert np.isnan(g).tolist() == [[True, True], [False, False]]
    assert np.isnan(forward("cross_entropy", np.array([[INF, 0.0]]), np.array([0])))
    assert np.isnan(forward("mse", x, np.zeros((2, 2))))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labels_dtype", [np.int64, np.uint8, np.int32])
def test_dtypes(dtype: type, labels_dtype: type) -> None:
    x, labels = logits(dtype=dtype)
    for name in NAMES[:2]:
        value = forward(name, x, labels.astype(labels_dtype))
        g, _ = gradients(name, x, labels.astype(labels_dtype))
        assert value.dtype == g.dtype == dtype
        assert value == pytest.approx(float(forward(name, x.astype(np.float64), labels)), rel=1e-6)


def test_mse_of_both_arguments() -> None:
    a, b = np.array([[1.0, 2.0]]), np.array([[4.0, 0.0]])
    assert forward("mse", a, b) == 6.5
    da, db = gradients("mse", a, b)
    assert da.tolist() == [[-3.0, 2.0]]
    assert db.tolist() == [[3.0, -2.0]]
    rule = PRIMITIVES["mse"]
    assert rule.hvp is not None
    t = np.array([[1.0, 3.0]])
    for tangents, sign in (((t, None), 1.0), ((None, t), -1.0)):
        first, second = rule.hvp(np.array(1.0), tangents, a, b)
        assert np.array_equal(first, sign * t)  # type: ignore[arg-type]
        assert np.array_equal(second, -sign * t)  # type: ignore[arg-type]
        assert rule.jvp(tangents, a, b) == sign * 3.0


LABELS = np.array([0, 2])
REFUSED: list[tuple[str, tuple[np.ndarray, ...], dict[str, Any], str]] = [
    *[
        (name, arrays, {}, message)
        for name in NAMES[:2]
        for arrays, message in [
            ((LOGITS, np.array([0, -1])), "labels: expected 0 to 2, got -1 at index 1"),
            ((LOGITS, np.array([3, 0])), "labels: expected 0 to 2, got 3 at index 0"),
            ((LOGITS, np.zeros(2)), r"expected an array \(n, classes\) and integer labels"),
            ((LOGITS, np.zeros(2, bool)), "integer labels"),
            ((LOGITS, np.array([0])), "integer labels"),
            ((LOGITS, LABELS[:, None]), "integer labels"),
            ((LOGITS[0], LABELS), r"expected an array \(n, classes\)"),
            ((LOGITS[:0], np.zeros(0, np.int64)), "the batch is empty"),
            ((LOGITS[:, :0], LABELS), "labels: expected 0 to -1"),
        ]
    ],
    ("cross_entropy", (LOGITS, LABELS), {"label_smoothing": -0.1}, r"label_smoothing: expected a number in \[0, 1\]"),
    ("cross_entropy", (LOGITS, LABELS), {"label_smoothing": 1.1}, r"label_smoothing: expected a number in \[0, 1\]"),
    ("cross_entropy", (LOGITS, LABELS), {"label_smoothing": np.nan}, "label_smoothing"),
    ("mse", (np.zeros(3), np.zeros((3, 1))), {}, r"expected two arrays of one shape, got \(3,\) and \(3, 1\)"),
    ("mse", (np.zeros(3), np.zeros(3, np.float32)), {}, "all float32 or all float64"),
    ("mse", (np.zeros(3), np.zeros(3, np.int64)), {}, "all float32 or all float64"),
    ("mse", (np.zeros((0, 3)), np.zeros((0, 3))), {}, "the arrays are empty"),
]


@pytest.mark.parametrize(("name", "arrays", "options", "message"), REFUSED)
def test_what_does_not_fit_is_named(name: str, arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}: .*{message}") as error:
        PRIMITIVES[name].forward(*arrays, **options)
    assert "\n" not in str(error.value)
