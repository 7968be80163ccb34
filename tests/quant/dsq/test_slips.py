"""What public implementations of DSQ get wrong, planted: each slip is caught by the check of the primitive.

Where a slip shows at ties alone, which the examples keep away from, the definition in exact numbers tells.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.primitive import PRIMITIVES, Primitive
from quant import dsq
from quant.dsq import DSQ
from verify.gradients.array_truth import evaluate
from verify.gradients.ball import Ball
from verify.gradients.mutants.judge import judge


def caught(primitive: Primitive, seeds: int = 4) -> bool:
    for seed in range(seeds):
        try:
            judge(primitive, seed)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("name", ["dsq_soft", "dsq_hard", "dsq_pact"])
def test_what_is_right_is_not_caught(name: str) -> None:
    assert not caught(PRIMITIVES[name])
    assert name == "dsq_pact" or not caught(slipped_vjp(name, right))


def slipped_vjp(name: str, partials: Callable[..., Sequence[np.ndarray]]) -> Primitive:
    """The primitive with a vjp by other partial derivatives."""

    def vjp(gy: np.ndarray, residuals: Any, needs: Sequence[bool]) -> tuple[np.ndarray, ...]:
        *arrays, bits = residuals
        found = partials(*arrays, bits, name.removeprefix("dsq_"))
        return tuple(
            np.asarray((gy * d).sum(axis=tuple(range(gy.ndim - a.ndim)))) for d, a in zip(found, arrays, strict=True)
        )

    return dataclasses.replace(PRIMITIVES[name], vjp=vjp)


def right(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    return dsq.soft_partials(x, l, u, alpha, bits, q=q)


def index_straight_through(
    x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The slope of the index's floor is taken to be 1: dx is plain straight-through, dl = -du inside."""
    _, dl, du, dalpha = right(x, l, u, alpha, bits, q)
    n = (1 << bits) - 1
    step = (u - l) / n
    inside = (x >= l) & (x <= u)
    y = dsq.soft(x, l, u, alpha, bits) if q == "soft" else dsq.hard(x, l, u, alpha, bits)
    moved = ((x - l) / step - (y - l) / step) / n
    return inside.astype(float), np.where(inside, moved, dl), np.where(inside, -moved, du), dalpha


def range_scaled_by_momentum(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    dx, dl, du, dalpha = right(x, l, u, alpha, bits, q)
    return dx, 0.1 * dl, 0.1 * du, dalpha


def nothing_but_x(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    dx, *rest = right(x, l, u, alpha, bits, q)
    return dx, *(0 * d for d in rest)


def alpha_constant(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    *found, dalpha = right(x, l, u, alpha, bits, q)
    return *found, 0 * dalpha


def leak_of_half_a_step(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    dx, *rest = right(x, l, u, alpha, bits, q)
    step = (u - l) / ((1 << bits) - 1)
    near = ((x < l) & (x > l - step / 2)) | ((x > u) & (x < u + step / 2))
    return np.where(near, right(np.clip(x, l, u), l, u, alpha, bits, q)[0], dx), *rest


def alpha_not_masked(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int, q: str) -> Sequence[np.ndarray]:
    """alpha is clamped to 1/2 on the way in, and its gradient passes the clamp."""
    return right(x, l, u, np.minimum(alpha, 0.5), bits, q)


@pytest.mark.parametrize("name", ["dsq_soft", "dsq_hard"])
@pytest.mark.parametrize(
    "slip",
    [
        index_straight_through,
        range_scaled_by_momentum,
        nothing_but_x,
        alpha_constant,
        leak_of_half_a_step,
        alpha_not_masked,
    ],
)
def test_a_slip_of_the_gradient_is_caught(name: str, slip: Callable[..., Sequence[np.ndarray]]) -> None:
    assert caught(slipped_vjp(name, slip))


def test_the_index_straight_through_is_the_slip_that_is_known() -> None:
    """dx is 1 inside and dl = -du: the tanh shapes nothing."""
    x = np.array([-0.9, -0.6, 0.25, 0.7])
    dx, dl, du, _ = index_straight_through(x, -1.0, 1.0, 0.2, 2, "soft")
    assert dx.tolist() == [1, 1, 1, 1]
    assert np.array_equal(dl, -du)


@pytest.mark.parametrize("q", ["soft", "hard"])
def test_the_other_variant_of_q_is_caught(q: str) -> None:
    other = {"soft": "hard", "hard": "soft"}[q]
    assert caught(slipped_vjp(f"dsq_{q}", lambda x, l, u, alpha, bits, _: right(x, l, u, alpha, bits, other)))


def test_a_sign_that_depends_on_the_data_is_caught() -> None:
    """The sign of phi is taken against the middle of phi's range in the tensor."""

    def forward(x: np.ndarray, l: Any, u: Any, alpha: Any, bits: int) -> tuple[np.ndarray, Any]:
        n = (1 << bits) - 1
        step = (u - l) / n
        v = (x - l) / step
        i = np.clip(np.floor(v), 0, n - 1)
        place = v - i - 0.5
        inside = (x >= l) & (x <= u)
        middle = (place[inside].max() + place[inside].min()) / 2 if inside.any() else 0.0
        y = np.where(inside, l + step * (i + (place > middle)), np.clip(x, l, u))
        return y, (x, l, u, alpha, bits)

    # A tensor's middle is near 0: few elements are on the wrong side of it.
    assert caught(dataclasses.replace(PRIMITIVES["dsq_hard"], forward=forward), 20)


def at_ties(codes: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether levels 0 to 7 on the integers have the values of the definition in exact numbers at every tie."""
    x = np.arange(7) + 0.5
    arrays = (x, np.array(0.0), np.array(7.0), np.array(0.25))
    exact = evaluate(PRIMITIVES["dsq_hard"].definition, arrays, {"bits": 3}, Ball, ())["value"]
    return bool(np.array_equal(codes(x), [float(value.nearest()) for value in exact]))


def test_ties_down_or_to_even_are_caught() -> None:
    assert at_ties(lambda x: dsq.hard(x, 0.0, 7.0, 0.25, 3))
    assert not at_ties(lambda x: np.ceil(x - 0.5))  # sgn 0 = -1
    assert not at_ties(np.rint)


def moving_range_is_kept(make: Callable[[], DSQ]) -> bool:
    """Whether a module into which the state is loaded evaluates as the one that was trained."""
    x = np.random.default_rng(0).standard_normal(200)
    trained, restored = make(), make()
    for scale in (1.0, 2.0, 4.0):
        trained(Tensor(scale * x))
    restored.load_state({name: array.copy() for name, array in trained.state().items()})
    return bool(np.array_equal(trained.eval()(Tensor(x)).data, restored.eval()(Tensor(x)).data))


@pytest.mark.parametrize("kind", ["symmetric", "free"])
def test_averages_that_are_not_stored_are_caught(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> DSQ:
        return DSQ(2, kind, bounds="moving", dtype=np.float64)

    def forgetful() -> DSQ:
        quantizer = make()
        quantizer.buffers = ("initialised",)
        return quantizer

    assert moving_range_is_kept(make)
    assert not moving_range_is_kept(forgetful)
