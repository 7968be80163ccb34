"""DDQ's module: initial levels, what is learned, training and evaluation, crossed levels, projection, codebook."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import InputError, Tensor, apply
from quant import METHODS, ddq
from quant.ddq import DDQ

X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)


def made(bits: int = 3, **options: Any) -> DDQ:
    quantizer = DDQ(bits, **options)
    quantizer.initialise(X.astype(quantizer.q.dtype))
    quantizer.initialised[...] = 1
    return quantizer


@pytest.mark.parametrize("role", ["weight", "activation"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_starts_uniform_on_the_range_with_all_gates_open(bits: int, role: Any) -> None:
    quantizer = METHODS["ddq"].quantizer(bits, role, dtype=np.float64)
    x = np.array([0.5, -1.25, 2.0])
    quantizer.initialise(x)
    levels = quantizer.levels()
    assert len(levels) == 2**bits
    assert levels == pytest.approx(-1.25 + 3.25 * np.arange(2**bits) / (2**bits - 1), rel=1e-15, abs=1e-15)
    quantizer.initialise(np.array([-0.1, 0.2]))  # -0.1 + (0.2 + 0.1) is another float than 0.2
    assert (quantizer.levels()[0], quantizer.levels()[-1]) == (-0.1, 0.2)
    assert quantizer.ghat.data.tolist() == [(bits - n) / bits for n in range(bits)]


def test_powers_of_two() -> None:
    assert made(3, initial="powers").levels() == pytest.approx(
        np.abs(X).max() * np.array([-4, -2, -1, 0, 0, 1, 2, 4]) / 4
    )
    unsigned = DDQ(2, False, initial="powers")
    unsigned.initialise(np.array([0.0, 3.0, 1.0], np.float32))
    assert unsigned.levels().tolist() == [0.0, 0.75, 1.5, 3.0]
    widest = DDQ(8, False, initial="powers")
    widest.initialise(np.ones(2, np.float32))
    assert widest.levels()[-150:].min() > 0  # down to 2^-149, the smallest subnormal
    assert (widest.levels()[:106] == 0).all()


@given(st.integers(-30, 30), st.sampled_from(["uniform", "powers"]), st.sampled_from(["merged", "raw"]))
def test_scaling_the_data_by_a_power_of_two_scales_the_result(exponent: int, initial: str, assign: str) -> None:
    scale = np.float32(2.0**exponent)
    one, other = DDQ(3, initial=initial, assign=assign), DDQ(3, initial=initial, assign=assign)
    one.initialise(X)
    other.initialise(X * scale)
    for quantizer in (one, other):
        quantizer.ghat.data[2] = -0.5
        quantizer.eval()
    assert np.array_equal(other(Tensor(X * scale)).data, one(Tensor(X)).data * scale)


@pytest.mark.parametrize("assign", ["merged", "raw"])
def test_training_and_evaluation_have_one_value_which_is_the_level_of_the_code(assign: str) -> None:
    quantizer = made(assign=assign)
    quantizer.ghat.data[1] = -0.25
    value = quantizer(Tensor(X)).data
    assert np.array_equal(value, quantizer.eval()(Tensor(X)).data)
    assert np.array_equal(value, quantizer.levels()[quantizer.codes(X)])
    assert len(quantizer.levels()) == 4
    assert quantizer.codes(X).max() == 3


def test_crossed_levels_are_ranked_by_value() -> None:
    quantizer = made(2)
    quantizer.q.data[...] = [1.0, -1.0, 0.5, 0.5]
    x = np.sort(X.ravel())
    codes, levels = quantizer.codes(x), quantizer.levels()
    assert levels.tolist() == [-1.0, 0.5, 0.5, 1.0]
    assert (np.diff(codes.astype(int)) >= 0).all()
    assert set(codes.tolist()) == {0, 1, 3}  # of two equal levels the one stored first
    assert np.array_equal(levels[codes], quantizer(Tensor(x)).data)


def test_levels_and_gates_learn_and_the_width_is_on_the_tape() -> None:
    quantizer = made(3, correction=0.125)
    quantizer.ghat.data[...] = [0.5, 1.5, -0.25]
    width = quantizer.width()
    assert width.item() == 2
    x = Tensor(X, requires_grad=True)
    ((quantizer(x) * X).sum() + width * 10.0).backward()
    expected = ddq.hard_vjp(X, X, quantizer.q.data, quantizer.ghat.data, bits=3, correction=0.125)
    assert quantizer.q.grad is not None and quantizer.ghat.grad is not None and x.grad is not None
    assert np.array_equal(x.grad, expected[0])
    assert np.array_equal(quantizer.q.grad, expected[1])
    assert np.array_equal(quantizer.ghat.grad, expected[2] + np.array([10, 0, 10], np.float32))
    assert (quantizer.q.group, quantizer.ghat.group) == ("levels", "shape")


def test_a_width_that_is_not_learned_stays() -> None:
    quantizer = made(2, learn_bits=False)
    quantizer(Tensor(X)).sum().backward()
    assert quantizer.ghat.grad is None
    assert quantizer.q.grad is not None


@pytest.mark.parametrize("options", [{"assign": "raw"}, {"differentiate_norm": True}, {"correction": 2.0}])
def test_options_reach_the_gradient(options: dict[str, Any]) -> None:
    quantizer, plain = made(3, **options), made(3)
    for q in (quantizer, plain):
        q.ghat.data[2] = -0.5
        q(Tensor(X)).sum().backward()
    assert not np.array_equal(quantizer.ghat.grad, plain.ghat.grad)


def test_projection_keeps_gates_where_they_move_and_one_of_them_open() -> None:
    quantizer = made(3)
    quantizer.ghat.data[...] = [-3.0, -0.25, -0.5]
    quantizer.project()
    assert quantizer.ghat.data.tolist() == [-1.0, 0.0, -0.5]
    assert quantizer.width().item() == 1
    quantizer.ghat.data[...] = [7.0, 0.25, -0.5]
    quantizer.project()
    assert quantizer.ghat.data.tolist() == [1.0, 0.25, -0.5]


def test_a_step_down_the_gradient_of_the_levels_comes_closer_to_the_data() -> None:
    quantizer = made(3, dtype=np.float64)
    x = Tensor(X.astype(np.float64))
    errors = []
    for _ in range(20):
        quantizer.zero_grad()
        difference = quantizer(x) - x
        loss = (difference * difference).sum()
        loss.backward()
        assert quantizer.q.grad is not None
        quantizer.q.data[...] -= 0.01 * quantizer.q.grad
        errors.append(loss.item())
    assert errors[-1] < 0.9 * errors[0]
    assert all(b <= a for a, b in itertools.pairwise(errors))


def test_the_state_is_levels_gates_and_whether_they_were_initialised() -> None:
    quantizer, other = DDQ(2), DDQ(2)
    quantizer(Tensor(X))
    assert set(quantizer.state()) == {"q", "ghat", "initialised"}
    other.load_state({name: array.copy() for name, array in quantizer.state().items()})
    assert np.array_equal(other.eval()(Tensor(X)).data, quantizer.eval()(Tensor(X)).data)


def test_the_codebook_holds_the_merged_levels() -> None:
    quantizer = made(4)
    quantizer.ghat.data[3] = -0.5
    book = quantizer.codebook()
    levels = quantizer.levels()
    assert book.entries.shape == (8,)
    assert book.levels() == pytest.approx(levels.astype(float), abs=0.51 * book.scale)
    assert (book.levels()[0], book.levels(np.float32)[-1]) == (levels[0], levels[-1])
    q, ghat = quantizer.q.data, quantizer.ghat.data
    assert np.array_equal(ddq.codebook(q, ghat, bits=4).hard(X), book.hard(X))
    assert quantizer.codebook(x_min=-8.0, x_max=8.0).scale == 16 / 255


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((0, 3)),
        np.zeros(4),
        np.full(4, 2.5),
        np.array([1.0, np.nan]),
        np.array([1.0, np.inf]),
        np.array([-1e38, 2e38]),
        np.array([1.0, 1.0 + 1e-12]),
    ],
)
def test_data_that_gives_no_levels_is_refused(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x: ") as refusal:
        DDQ(3).initialise(x)
    assert "\n" not in str(refusal.value)


def test_powers_need_an_element_other_than_zero_above_it_if_unsigned() -> None:
    for signed, x in ((True, np.zeros(3)), (False, np.zeros(3)), (False, np.array([-1.0, -2.0]))):
        with pytest.raises(InputError, match=r"^x: "):
            DDQ(2, signed, initial="powers").initialise(x)
    constant = DDQ(2, initial="powers")
    constant.initialise(np.full(3, 2.0))
    assert constant.levels().tolist() == [-2.0, 0.0, 0.0, 2.0]


def test_subnormal_data_gives_levels_some_of_them_equal() -> None:
    quantizer = DDQ(4, dtype=np.float64)
    x = np.arange(4) * 5e-324
    quantizer.initialise(x)
    assert np.array_equal(quantizer.eval()(Tensor(x)).data, x)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"bits": 0}, "bits"),
        ({"bits": 9}, "bits"),
        ({"bits": 2.5}, "bits"),
        ({"bits": True}, "bits"),
        ({"bits": 1, "initial": "powers"}, "bits"),
        ({"bits": 2, "initial": "normal"}, "initial"),
        ({"bits": 2, "assign": "best"}, "assign"),
        ({"bits": 2, "differentiate_norm": "yes"}, "differentiate_norm"),
        ({"bits": 2, "correction": -1.0}, "correction"),
        ({"bits": 2, "dtype": np.float16}, "dtype"),
    ],
)
def test_options_outside_their_domain_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"^{named}: "):
        DDQ(**options)


def test_parameters_a_channel_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"^channels: "):
        METHODS["ddq"].quantizer(2, "weight", channels=3)


def test_the_tape_refuses_what_the_functions_refuse() -> None:
    for options in ({"correction": -1.0}, {"assign": "best"}, {"differentiate_norm": None}):
        with pytest.raises(InputError):
            apply("ddq_corrected", Tensor(X), np.arange(4, dtype=np.float32), np.ones(2, np.float32), bits=2, **options)
