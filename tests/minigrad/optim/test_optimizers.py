"""SGD, Adam and AdamW against the papers' algorithms in exact or 60-digit arithmetic, written here once more."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError
from minigrad.nn import Module, Parameter
from minigrad.optim import OPTIMIZERS, SGD, Adam, AdamW, Group, Optimizer

NUMBER = st.floats(-10, 10, width=32)
#: Every optimizer, with the options that change its formula.
KINDS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {}),
    "nesterov": (SGD, {"momentum": 0.75, "nesterov": True}),
    "adam": (Adam, {}),
    "adamw": (AdamW, {"betas": (0.5, 0.9), "eps": 1e-3}),
}


class One(Module):
    def __init__(self, data: Any, dtype: type = np.float64) -> None:
        super().__init__()
        self.a = Parameter(np.array(data, dtype))


class Two(Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = Parameter(np.array([1.0, 2.0]))
        self.b = Parameter(np.array([3.0]), group="norm")


def moved(make: Callable[[Module], Optimizer], start: float, gradients: list[float], rate: float, dtype: type) -> float:
    """Where a parameter of one element ends."""
    model = One([start], dtype)
    optimizer = make(model)
    for gradient in gradients:
        model.a.grad = np.array([gradient], dtype)
        optimizer.step(rate)
    assert model.a.data.dtype == dtype
    return float(model.a.data[0])


def close(got: float, expected: Any, dtype: type, steps: int) -> bool:
    """A step is less than 32 roundings of numbers below 100."""
    return abs(got - float(expected)) <= 32 * 100 * steps * float(np.finfo(dtype).eps)


@given(
    NUMBER,
    st.lists(NUMBER, min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([np.float32, np.float64]),
)
def test_sgd_is_its_formula(start: float, gradients: list[float], momentum: float, decay: float, dtype: type) -> None:
    groups = {"weight": Group(0.5, weight_decay=decay)}
    got = moved(lambda model: SGD(model, groups, momentum=momentum), start, gradients, 0.125, dtype)
    parameter, velocity = Fraction(start), Fraction(0)
    for gradient in gradients:
        velocity = Fraction(momentum) * velocity + Fraction(gradient) + Fraction(decay) * parameter
        parameter -= Fraction(0.125) * Fraction(0.5) * velocity
    assert close(got, parameter, dtype, len(gradients))


@given(NUMBER, NUMBER, st.sampled_from([0.25, 0.5, 0.9]), st.sampled_from([0.0, 0.25]), st.integers(1, 10))
def test_nesterov_is_that_of_sutskever(start: float, slope: float, momentum: float, decay: float, steps: int) -> None:
    """v <- mu v - rate f'(theta + mu v), theta <- theta + v (eq 3 and 4), for f' linear; ours is theta + mu v."""
    rate, mu, bend = Fraction(1, 8), Fraction(momentum), Fraction(1, 2)
    theta, v = Fraction(start), Fraction(0)
    model = One([start])
    optimizer = SGD(model, {"weight": Group(weight_decay=decay)}, momentum=momentum, nesterov=True)
    for _ in range(steps):
        model.a.grad = 0.5 * model.a.data + slope
        optimizer.step(0.125)
        point = theta + mu * v
        v = mu * v - rate * ((bend + Fraction(decay)) * point + Fraction(slope))
        theta += v
        assert close(float(model.a.data[0]), theta + mu * v, np.float64, steps)


@given(
    NUMBER,
    st.lists(NUMBER, min_size=1, max_size=8),
    st.sampled_from([(0.9, 0.999), (0.5, 0.75), (0.0, 0.5), (0.9, 0.0)]),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([Adam, AdamW]),
)
def test_adam_is_algorithm_1_and_adamw_algorithm_2(
    start: float, gradients: list[float], betas: tuple[float, float], decay: float, kind: type[Adam]
) -> None:
    eps, alpha = 2.0**-4, 0.125
    groups = {"weight": Group(0.5, weight_decay=decay)}
    got = moved(lambda model: kind(model, groups, betas=betas, eps=eps), start, gradients, alpha, np.float64)
    with localcontext() as context:
        context.prec = 60
        theta, m, v, (b1, b2) = Decimal(start), Decimal(0), Decimal(0), map(Decimal, betas)
        rate, weight = Decimal(alpha) / 2, Decimal(decay)
        for t, gradient in enumerate(gradients, 1):
            g = Decimal(gradient) + (weight * theta if kind is Adam else 0)
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            update = m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + Decimal(eps))
            theta -= rate * (update + (weight * theta if kind is AdamW else 0))
    # eps bounds the slope of the square root: an error in v is multiplied by 1 / (2 eps) at most.
    assert close(got, theta, np.float64, 8 * len(gradients))


@pytest.mark.parametrize("gradient", [3.0, -1e-3])
def test_adam_of_a_constant_gradient_moves_by_the_rate(gradient: float) -> None:
    """Both corrected moments are the gradient's own, whatever the betas: only bias correction does that."""
    got = moved(lambda model: Adam(model, {"weight": Group()}), 1.0, [gradient] * 50, 0.01, np.float64)
    assert got == pytest.approx(1.0 - 50 * 0.01 * gradient / (abs(gradient) + 1e-8), rel=1e-12)


def test_decay_alone() -> None:
    """Without gradient AdamW shrinks by the same factor each step; Adam moves as far as for any other gradient."""
    groups = {"weight": Group(weight_decay=0.5)}
    assert moved(lambda m: AdamW(m, groups), 8.0, [0.0] * 3, 0.5, np.float64) == 8 * 0.75**3
    assert moved(lambda m: Adam(m, groups), 8.0, [0.0], 0.5, np.float64) == pytest.approx(7.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_elements_bits_depend_on_nothing_else(kind: str, dtype: type) -> None:
    """1,003 elements at once, in Fortran order, and each one alone (0-d): every place in a vector register and tail."""
    cls, options = KINDS[kind]
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal((17, 59)), rng.standard_normal((4, 17, 59))
    groups = {"weight": Group(0.7, weight_decay=0.3, clip=1.0)}
    whole = One(np.asfortranarray(start), dtype)
    optimizer = cls(whole, groups, **options)
    for gradient in gradients:
        whole.a.grad = gradient.astype(dtype)
        optimizer.step(0.01)
    for place in [(0, 0), (3, 5), (16, 58), *zip(rng.integers(0, 17, 20), rng.integers(0, 59, 20), strict=True)]:
        single = One(start[place], dtype)
        optimizer = cls(single, groups, **options)
        for gradient in gradients:
            single.a.grad = np.array(gradient[place], dtype)
            optimizer.step(0.01)
        assert single.a.data.tobytes() == whole.a.data[place].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_numpy_rate_does_not_change_the_bits(kind: str) -> None:
    cls, options = KINDS[kind]
    ends = []
    for number in (float, np.float64):
        model = One([1.0, 0.3], np.float32)
        optimizer = cls(model, {"weight": Group(number(0.7), weight_decay=number(0.1), clip=number(0.7))}, **options)
        for _ in range(5):
            model.a.grad = np.array([0.123, -7.1], np.float32)
            optimizer.step(number(0.1))
        assert {array.dtype for name, array in optimizer.state().items() if "powers" not in name} == {model.a.dtype}
        ends.append(model.a.data.tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_goes_on_from_its_state(kind: str) -> None:
    cls, options = KINDS[kind]
    groups = {"weight": Group(weight_decay=0.1), "norm": Group()}

    def run(model: Two, optimizer: Optimizer, begin: int, end: int) -> None:
        for n in range(begin, end):
            model.a.grad = np.sin(model.a.data + n)
            model.b.grad = np.cos(model.b.data) if n % 3 else None
            optimizer.step(0.1)

    straight = Two()
    run(straight, cls(straight, groups, **options), 0, 12)
    first = Two()
    before = cls(first, groups, **options)
    run(first, before, 0, 5)
    second = Two()
    after = cls(second, groups, **options)
    second.load_state(first.state())
    after.load_state({name: array.copy() for name, array in before.state().items()})
    run(second, after, 5, 12)
    assert [p.data.tobytes() for p in second.parameters()] == [p.data.tobytes() for p in straight.parameters()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_without_gradient_stays_with_all_that_is_remembered(kind: str) -> None:
    cls, options = KINDS[kind]
    model = Two()
    optimizer = cls(model, {"weight": Group(weight_decay=1.0), "norm": Group()}, **options)
    model.a.grad = np.array([1.0, -1.0])
    optimizer.step(0.5)
    model.a.grad, model.b.grad = None, np.array([1.0])
    before = {name: array.copy() for name, array in (optimizer.state() | model.state()).items() if name[-1] == "a"}
    optimizer.step(0.5)
    after = optimizer.state() | model.state()
    assert all(after[name].tobytes() == array.tobytes() for name, array in before.items())
    # b's first step, whenever it is.
    other = One([3.0])
    single = cls(other, {"weight": Group()}, **options)
    other.a.grad = np.array([1.0])
    single.step(0.5)
    assert model.b.data.tobytes() == other.a.data.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_clipped_before_the_decay_and_kept(kind: str) -> None:
    cls, options = KINDS[kind]
    ends = []
    for clip, gradient in ((2.0, [5.0, -7.0]), (None, [2.0, -2.0])):
        model = One([3.0, 100.0])
        model.a.grad = np.array(gradient)
        cls(model, {"weight": Group(weight_decay=1.0, clip=clip)}, **options).step(0.1)
        assert model.a.grad.tolist() == gradient
        ends.append(model.a.data.tolist())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        ([np.nan], "gradient of b: expected finite numbers, got NaN or infinity"),
        ([-np.inf], "gradient of b: expected finite"),
        ([[1.0]], r"gradient of b: expected float64 \(1,\), got float64 \(1, 1\)"),
        (np.ones(1, np.float32), r"gradient of b: expected float64 \(1,\), got float32 \(1,\)"),
    ],
)
def test_a_gradient_that_does_not_fit_moves_nothing(kind: str, gradient: Any, message: str) -> None:
    cls, options = KINDS[kind]
    model = Two()
    optimizer = cls(model, {"weight": Group(), "norm": Group()}, **options)
    before = {name: array.copy() for name, array in (optimizer.state() | model.state()).items()}
    model.a.grad, model.b.grad = np.ones(2), np.asarray(gradient)
    with pytest.raises(InputError, match=message):
        optimizer.step(0.1)
    after = optimizer.state() | model.state()
    assert all(after[name].tobytes() == array.tobytes() for name, array in before.items())


def test_a_parameter_that_came_later_is_named() -> None:
    """It would never learn: added to the model, or put in the place of another."""
    for change in ("c", "a"):
        model = Two()
        optimizer = SGD(model, {"weight": Group(), "norm": Group()})
        setattr(model, change, Parameter(np.ones(2)))
        for parameter in model.parameters():
            parameter.grad = np.ones_like(parameter.data)
        before = [p.data.tolist() for p in model.parameters()]
        with pytest.raises(InputError, match=f"parameter {change}: the model got it after this optimizer was made"):
            optimizer.step(1.0)
        assert [p.data.tolist() for p in model.parameters()] == before


def test_a_step_before_the_backward_moves_nothing() -> None:
    model = Two()
    optimizer = SGD(model, {"weight": Group(), "norm": Group()})
    model.a.grad, model.b.grad = np.ones(2), np.ones(1)
    loss = (model.b * model.b).sum()
    with pytest.raises(InputError, match="parameter b: the tape still needs its values; call backward before step"):
        optimizer.step(0.1)
    assert model.a.data.tolist() == [1.0, 2.0]
    loss.backward()
    assert model.b.grad.tolist() == [7.0]
    optimizer.step(1.0)
    assert model.b.data.tolist() == [-4.0]


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "0.1", None, True])
def test_a_rate_that_is_none_is_named(rate: Any) -> None:
    with pytest.raises(InputError, match="rate: expected a finite number of at least 0, got"):
        SGD(One([1.0]), {"weight": Group()}).step(rate)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SGD, {"momentum": 1}, "momentum: expected 0 <= momentum < 1, got 1"),
        (SGD, {"momentum": 0.0, "nesterov": True}, "nesterov: expected False, or True and momentum above 0"),
        (SGD, {"nesterov": 1}, "nesterov: expected False, or True and"),
        (Adam, {"betas": 0.9}, "betas: expected two numbers, got 0.9"),
        (Adam, {"betas": (0.9, 1.0)}, "betas: expected 0 <= betas < 1, got 1.0"),
        (AdamW, {"betas": (-0.1, 0.9)}, "betas: expected 0 <= betas < 1, got -0.1"),
        (AdamW, {"eps": 0.0}, "eps: expected a finite number of at least 1.17549e-38, got 0.0"),
    ],
)
def test_bad_options_are_named(kind: type[Optimizer], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(One([1.0]), {"weight": Group()}, **options)


def test_groups_are_checked() -> None:
    for kind in OPTIMIZERS.values():
        with pytest.raises(InputError, match="groups: no settings for group 'norm' of parameter b"):
            kind(Two(), {"weight": Group()})
    for change in ({"rate": -1}, {"weight_decay": float("nan")}, {"clip": 0.0}):
        with pytest.raises(InputError, match=f"{next(iter(change))}: expected"):
            Group(**change)


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    groups = {"weight": Group(), "norm": Group()}
    optimizer = Adam(Two(), groups)
    good = {name: array + 1 for name, array in optimizer.state().items()}
    for change, message in (
        (SGD(Two(), groups).state(), r"optimizer state: missing \['first.a'.* and 1 more, unknown"),
        (good | {"second.a": np.zeros(3)}, r"optimizer state: second.a is float64 \(3,\), expected float64 \(2,\)"),
        (good | {"powers.b": np.zeros(2, np.float32)}, "optimizer state: powers.b is float32"),
    ):
        with pytest.raises(InputError, match=message):
            optimizer.load_state(change)
    assert all(
        array.tolist() == start.tolist()
        for array, start in zip(optimizer.state().values(), Adam(Two(), groups).state().values(), strict=True)
    )
