"""Where DSQ's range comes from: averages, fixed, a channel each, PACT's clip; and the penalty on alpha."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply, backend
from quant import METHODS, dsq
from quant.dsq import DSQ
from quant.dsq.pact import pact_partials


def normal(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# ---- moving averages


@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
@given(st.sampled_from([0.1, 0.5, 1.0]), st.integers(0, 2**32))
def test_a_moving_range_averages_the_extremes(kind: str, momentum: float, seed: int) -> None:
    batches = [normal((40,), seed + n) * (n + 1) for n in range(4)]
    quantizer = DSQ(3, kind, bounds="moving", momentum=momentum, dtype=np.float64)
    for x in batches:
        quantizer(Tensor(x))
    low, high = batches[0].min(), batches[0].max()
    size = np.abs(batches[0]).max()
    for x in batches[1:]:
        low += momentum * (x.min() - low)
        high += momentum * (x.max() - high)
        size += momentum * (np.abs(x).max() - size)
    expected = {"symmetric": (-size, size), "positive": (0.0, high), "free": (low, high)}[kind]
    assert [float(p) for p in quantizer.parameters_now()[:2]] == pytest.approx(expected, rel=1e-14)


def test_a_moving_range_stands_still_in_evaluation() -> None:
    quantizer = DSQ(2, bounds="moving")
    quantizer(Tensor(normal((50,)).astype(np.float32)))
    before = {name: array.copy() for name, array in quantizer.state().items()}
    quantizer.eval()(Tensor(10 * normal((50,)).astype(np.float32)))
    assert all(np.array_equal(before[name], array) for name, array in quantizer.state().items())
    quantizer.train()(Tensor(10 * normal((50,)).astype(np.float32)))
    assert before["moving_u"] < quantizer.state()["moving_u"]


def test_a_moving_range_has_buffers_and_no_gradient() -> None:
    quantizer = DSQ(2, "free", bounds="moving", dtype=np.float64)
    assert [name for name, _ in quantizer.named_parameters()] == ["alpha"]
    assert set(quantizer.state()) == {"alpha", "initialised", "moving_l", "moving_u"}
    x = Tensor(normal((50,)), requires_grad=True)
    y = quantizer(x)
    y.backward(np.ones(50))
    assert x.grad is not None
    # Of the range as it is after this batch, whole: not times the momentum.
    dx = dsq.partials(x.data, *quantizer.parameters_now(), 2)[0]
    assert np.array_equal(x.grad, dx)


def test_two_forwards_before_a_backward_leave_the_first_as_it_was() -> None:
    quantizer = DSQ(2, bounds="moving", dtype=np.float64)
    x = Tensor(normal((50,)), requires_grad=True)
    y = quantizer(x)
    l, u, alpha = (p.copy() for p in quantizer.parameters_now())
    expected = dsq.partials(x.data, l, u, alpha, 2)[0]
    quantizer(Tensor(5 * normal((50,), 1)))
    y.backward(np.ones(50))
    assert x.grad is not None
    assert np.array_equal(x.grad, expected)


@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
def test_a_moving_range_stays_in_the_domain(kind: str) -> None:
    quantizer = DSQ(2, kind, bounds="moving", momentum=1.0)
    quantizer(Tensor(np.array([1.0, 2.0], np.float32)))
    quantizer(Tensor(np.zeros(4, np.float32)))  # a layer may die
    dsq.check_parameters(*quantizer.parameters_now())
    for bad in (np.array([], np.float32), np.array([np.nan, 1], np.float32), np.array([np.inf, 1], np.float32)):
        with pytest.raises(InputError, match="x: expected"):
            quantizer(Tensor(bad))
    with pytest.raises(InputError, match="the range of x"):
        DSQ(2, kind, bounds="moving").initialise(np.zeros(4))


# ---- fixed


@pytest.mark.parametrize("x", [np.array([-3.0, -0.2, 0.0, 0.1, 9.0]), np.zeros(5)])
def test_one_bit_with_a_fixed_range_is_the_binary_net(x: np.ndarray) -> None:
    quantizer = DSQ(1, bounds="fixed", dtype=np.float64)
    assert quantizer(Tensor(x)).data.tolist() == np.where(x >= 0, 1.0, -1.0).tolist()
    assert quantizer.levels().tolist() == [-1, 1]
    assert set(quantizer.state()) == {"alpha", "initialised"}
    assert not quantizer.alpha.requires_grad


# ---- a channel each


@pytest.mark.parametrize("bounds", ["learned", "moving"])
@pytest.mark.parametrize("kind", ["symmetric", "positive", "free"])
def test_channels_are_a_loop_over_channels(kind: str, bounds: str) -> None:
    x = normal((60, 3)) * [0.1, 1.0, 10.0] + [0.0, 0.5, -3.0]
    gy = normal((60, 3), 1)
    together = DSQ(3, kind, bounds=bounds, channels=3, dtype=np.float64)
    leaf = Tensor(x, requires_grad=True)
    y = together(leaf)
    y.backward(gy)
    assert leaf.grad is not None
    assert together.levels().shape == (8, 3)
    together.project()
    for channel in range(3):
        alone = DSQ(3, kind, bounds=bounds, dtype=np.float64)
        part = Tensor(x[:, channel].copy(), requires_grad=True)
        value = alone(part)
        value.backward(gy[:, channel].copy())
        assert part.grad is not None
        assert np.array_equal(y.data[:, channel], value.data)
        assert np.array_equal(leaf.grad[:, channel], part.grad)
        assert np.array_equal(together.codes(x)[:, channel], alone.codes(x[:, channel]))
        assert np.array_equal(together.levels()[:, channel], alone.levels())
        for (name, whole), (_, single) in zip(together.named_parameters(), alone.named_parameters(), strict=True):
            assert whole.grad is not None and single.grad is not None
            assert np.allclose(whole.grad[channel], single.grad, rtol=1e-12), name
        alone.project()
        assert [p[channel] for p in together.parameters_now()] == list(alone.parameters_now())


def test_each_channel_is_projected_alone() -> None:
    quantizer = DSQ(2, "free", channels=3, alpha_bound="k<=1000", dtype=np.float64)
    quantizer.l.data[...], quantizer.u.data[...] = [-1.0, 2.0, 0.0], [1.0, 1.0, 0.015]
    quantizer.alpha.data[...] = [0.9, 0.3, 1e-6]
    quantizer.project()
    l, u, alpha = quantizer.parameters_now()
    assert (l[0], u[0], alpha[0]) == (-1, 1, 0.5)
    assert l[1] == pytest.approx(1.5, abs=1e-5)
    assert 1e-6 < u[1] - l[1] < 1e-5
    assert alpha[1] == 0.5  # nothing below 1/2 satisfies k <= 1000 on so narrow a range
    assert np.log(2 / alpha[2] - 1) / 0.005 == pytest.approx(1000, rel=1e-9)


def test_channels_are_those_of_the_tensor() -> None:
    with pytest.raises(InputError, match=r"x: expected 3 channels in the last axis, got shape \(4, 2\)"):
        DSQ(2, channels=3).initialise(np.ones((4, 2)))
    for bad in (0, -1, 2.5, True):
        with pytest.raises(InputError, match="channels: expected a whole number"):
            DSQ(2, channels=bad)  # type: ignore[arg-type]


# ---- PACT's clip


@pytest.mark.parametrize("forward", ["soft", "hard"])
@pytest.mark.parametrize("implementation", ["c", "numpy"])
def test_with_pacts_clip(implementation: str, forward: str) -> None:
    """y and the slopes inside are DSQ's, the gradient of the end is PACT's."""
    x = Tensor(np.array([-1.0, 0.0, 0.3, 1.1, 1.9, 2.0, 2.5, 7.0]), requires_grad=True)
    gy = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0])
    quantizer = DSQ(2, "positive", clip="pact", forward=forward, dtype=np.float64)
    quantizer.u.data[...] = 2.0
    quantizer.initialised[...] = 1
    with backend.use(implementation):
        y = quantizer(x)
        y.backward(gy)
    function = dsq.soft if forward == "soft" else dsq.hard
    assert np.array_equal(y.data, function(x.data, 0.0, 2.0, 0.2, 2))
    dx = dsq.soft_partials(x.data, 0.0, 2.0, 0.2, 2)[0]
    assert x.grad is not None
    assert np.array_equal(x.grad, gy * np.where(x.data < 2, dx, 0))
    assert quantizer.u.grad == 32 + 64 + 128  # 1 for x >= a
    assert quantizer.alpha.grad == dsq.soft_vjp(np.where(x.data < 2, gy, 0), x.data, 0.0, 2.0, 0.2, 2)[3]


@pytest.mark.parametrize("implementation", ["c", "numpy"])
@pytest.mark.parametrize("soft", [False, True])
@given(st.floats(0.1, 10.0), st.floats(0.05, 0.9), st.integers(1, 8))
def test_alpha_has_no_say_where_pact_clips(implementation: str, soft: bool, a: float, alpha: float, bits: int) -> None:
    """At x = a its derivative is 0 from both sides; no rounding is left of the formula's two terms."""
    x = np.array([a, np.nextafter(a, np.inf), 2 * a, np.inf])
    assert pact_partials(x, a, alpha, bits, soft)[2].tolist() == [0, 0, 0, 0]
    learned = Tensor(np.asarray(alpha), requires_grad=True)
    with backend.use(implementation):
        apply("dsq_pact", Tensor(x), Tensor(np.asarray(a)), learned, bits=bits, soft=soft).sum().backward()
    assert learned.grad is not None
    assert learned.grad.item() == 0


def test_pact_and_its_clip_on_the_tape_agree_about_the_end() -> None:
    x = Tensor(np.array([-1.0, 0.3, 1.9, 2.0, 7.0]))
    gy = np.arange(1.0, 6.0)
    grads = []
    for name, rest, options in (
        ("pact_clip", (), {}),
        ("pact", (), {"bits": 2}),
        ("dsq_pact", (0.2,), {"bits": 2, "soft": True}),
    ):
        a = Tensor(np.array(2.0), requires_grad=True)
        apply(name, x, a, *rest, **options).backward(gy)
        grads.append(a.grad)
    assert grads[0] == grads[1] == grads[2] == 9.0


def test_the_double_count_of_the_range_is_what_the_clip_leaves_out() -> None:
    """Inside, DSQ's own u has a gradient (eq 12); with PACT's clip it has none."""
    x = np.array([0.4, 1.0, 1.7])
    assert np.abs(dsq.soft_partials(x, 0.0, 2.0, 0.2, 2)[2]).min() > 0
    assert pact_partials(x, 2.0, 0.2, 2)[1].tolist() == [0, 0, 0]


# ---- the penalty, and options


def test_the_penalty_is_the_weight_decay_of_alpha() -> None:
    quantizer = DSQ(2, alpha_penalty=0.3, channels=2, dtype=np.float64)
    quantizer.alpha.data[...] = [0.2, 0.4]
    loss = quantizer.penalty()
    assert loss.item() == pytest.approx(0.15 * (0.04 + 0.16))
    loss.backward()
    assert quantizer.alpha.grad is not None
    assert quantizer.alpha.grad.tolist() == pytest.approx([0.06, 0.12])
    assert DSQ(2).penalty().item() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": "guessed"}, "bounds: expected one of learned, moving, fixed, got 'guessed'"),
        ({"clip": "hard"}, "clip: expected one of dsq, pact, got 'hard'"),
        ({"clip": "pact"}, "clip: 'pact' is for a range that is positive and learned, got 'symmetric' and 'learned'"),
        ({"clip": "pact", "range": "positive", "bounds": "moving"}, "clip: 'pact' is for"),
        ({"momentum": 0.0}, "momentum: expected a number above 0 and at most 1, got 0.0"),
        ({"momentum": 1.5}, "momentum: expected"),
        ({"momentum": float("nan")}, "momentum: expected a finite number, got nan"),
        ({"momentum": "fast"}, "momentum: expected a number, got 'fast'"),
        ({"alpha_penalty": -1.0}, "alpha_penalty: expected a number of at least 0, got -1.0"),
        ({"alpha_penalty": float("inf")}, "alpha_penalty: expected a finite number"),
    ],
)
def test_bad_options_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DSQ(**({"bits": 2} | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["weight", "activation"])
def test_the_method_makes_its_module(role: str) -> None:
    method = METHODS["dsq"]
    for bits in range(1, 9):
        quantizer = method.quantizer(bits, role, channels=2)  # type: ignore[arg-type]
        assert isinstance(quantizer, DSQ)
        assert quantizer.range == ("symmetric" if role == "weight" else "positive")
        parameters, options = method.arguments(bits, role)  # type: ignore[arg-type]
        assert method.module.hard(np.zeros(3), *parameters, **options).shape == (3,)
    assert method.quantizer(2, "activation", range="free").range == "free"  # type: ignore[attr-defined]
    for bad in (0, 9, 2.5, True):
        with pytest.raises(InputError, match="bits: dsq takes"):
            method.quantizer(bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="options of dsq"):
        method.quantizer(2, speed=3)
