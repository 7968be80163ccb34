"""QN's module: the start from data, the schedule, training and evaluation, what it refuses; slips of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from minigrad import InputError, Tensor
from quant import METHODS, qn
from quant.qn import PRESETS, QN, level_set
from quant.qn.level_sets import middles, start_thresholds


def midpoints(values: tuple[int, ...]) -> np.ndarray:
    return middles(np.array(values, np.float64))


def clusters(centres: list[float]) -> np.ndarray:
    """Three elements around each centre, in some order."""
    x = (np.array(centres)[:, None] + np.array([-0.01, 0.0, 0.01])).ravel()
    return np.random.Generator(np.random.Philox(key=2)).permutation(x)


def test_initialise_scales_by_the_largest_element() -> None:
    quantizer = QN(3, dtype=np.float64)
    x = np.random.Generator(np.random.Philox(key=1)).standard_normal(500)
    x[7] = -4.0
    quantizer.initialise(x)
    assert float(quantizer.beta.data) == 5 * 4 / (4 * 4.0)
    assert float(quantizer.alpha.data) == 0.8


def test_binary_and_ternary_have_their_rules() -> None:
    x = np.random.Generator(np.random.Philox(key=1)).uniform(0, 3, 500)
    for bits, expected in ((1, [0.0]), (2, [-0.05, 0.05])):
        quantizer = QN(bits, dtype=np.float64)
        quantizer.initialise(x)
        assert quantizer.b.data.tolist() == expected


def midpoints_of_samples(u: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """The slip: thresholds half-way between the neighbouring samples of two clusters."""
    u = np.sort(u.ravel())
    cuts = np.sort(np.argsort(np.diff(u))[-(len(values) - 1) :])
    return (u[cuts] + u[cuts + 1]) / 2


def without_the_rule(u: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    """The slip: the middle thresholds are left to k-means."""
    centres, _ = kmeans2(u, np.quantile(u, np.linspace(0, 1, len(values))), minit="matrix")
    return middles(np.sort(centres))


def check_start(start: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]) -> None:
    """Thresholds are the middles of cluster centres, but -0.05 and 0.05 around the level 0."""
    u = np.concatenate([clusters([-2.0, -1.0, 0.1, 1.5, 2.2]), [2.4]])  # the last cluster's centre is 2.25
    found = start(u, PRESETS["pm2"])
    assert np.allclose(found, [-1.5, -0.05, 0.05, (1.5 + 2.25) / 2], rtol=0, atol=1e-12), found
    u = np.concatenate([clusters([0.0, 1.0, 2.0, 4.0]), [4.4]])
    assert np.allclose(start(u, (0, 1, 2, 3)), [0.5, 1.5, 3.05], rtol=0, atol=1e-12)


def test_thresholds_start_between_the_centres_of_clusters() -> None:
    check_start(lambda u, values: start_thresholds(u, values, np.float64))


@pytest.mark.parametrize("slip", [midpoints_of_samples, without_the_rule])
def test_slips_of_the_start_are_caught(slip: Callable[..., np.ndarray]) -> None:
    with pytest.raises(AssertionError):
        check_start(slip)


def test_a_start_without_enough_different_elements() -> None:
    few = np.array([0.25, 0.5, 1.0])
    quantizer = QN(8, signed=False, dtype=np.float64)
    quantizer.initialise(few)
    assert quantizer.b.data.tolist() == midpoints(level_set(None, 8, False)).tolist()
    repeated = np.array([0, 0, 0, 1, 1, 1, 3, 3.0])  # an empty cluster would stay where it was, on one of the others
    assert start_thresholds(repeated, (0, 1, 2, 3), np.float64).tolist() == [0.5, 1.5, 2.5]
    # The rule of +-0.05 would not ascend: every cluster is on one side.
    b = start_thresholds(clusters([1.0, 2.0, 3.0, 4.0, 5.0]), PRESETS["pm2"], np.float64)
    assert np.allclose(b, [1.5, 2.5, 3.5, 4.5])


def check_schedule(quantizer: QN) -> None:
    assert float(quantizer.temperature) == 40
    for epoch in (1, 2, 55, 500):
        quantizer.set_progress(epoch, 500)
        assert float(quantizer.temperature) == epoch * 40


def test_the_temperature_is_the_epoch_times_t0() -> None:
    check_schedule(QN(2, temperature=40))


def test_slip_a_capped_temperature_is_caught() -> None:
    class Capped(QN):
        def set_progress(self, epoch: int, epochs: int) -> None:
            super().set_progress(epoch, epochs)
            np.minimum(self.temperature, 2000.0, out=self.temperature)

    with pytest.raises(AssertionError):
        check_schedule(Capped(2, temperature=40))


@pytest.mark.parametrize("channels", [None, 4])
@pytest.mark.parametrize(
    ("bits", "role"), [(1, "weight"), (3, "weight"), (8, "weight"), (1, "activation"), (2, "activation")]
)
def test_soft_in_training_and_hard_in_evaluation(bits: int, role: Any, channels: int | None) -> None:
    rng = np.random.Generator(np.random.Philox(key=bits))
    x = Tensor(np.maximum(rng.standard_normal((60, 4)), 0) if role == "activation" else rng.standard_normal((60, 4)))
    quantizer = METHODS["qn"].quantizer(bits, role, channels=channels, dtype=np.float64)
    quantizer.set_progress(3, 55)
    y = quantizer(x)
    parameters = (quantizer.alpha.data, quantizer.beta.data, quantizer.b.data)
    options = {"bits": bits, "signed": role == "weight"}
    assert np.array_equal(y.data, qn.soft(x.data, *parameters, temperature=15.0, **options))
    y.backward(np.ones(y.shape))
    assert quantizer.alpha.grad is not None
    assert quantizer.beta.grad is not None
    assert quantizer.b.grad is None
    quantizer.eval()
    codes, levels = quantizer.codes(x.data), quantizer.levels()
    assert codes.dtype == np.uint8
    assert codes.max() == len(levels) - 1
    expected = levels[codes] if channels is None else levels[codes, np.arange(4)]
    assert np.array_equal(quantizer(x).data, expected)


def test_learned_thresholds_get_gradients_and_are_kept_in_order() -> None:
    quantizer = QN(2, values="unsigned2", learn_b=True, dtype=np.float64)
    x = Tensor(np.random.Generator(np.random.Philox(key=3)).uniform(0, 1, 50))
    quantizer(x).backward(np.ones(50))
    assert quantizer.b.grad is not None
    assert np.all(quantizer.b.grad < 0)
    quantizer.b.data[...] = [1.0, 0.0, 1.0]
    quantizer.alpha.data[...] = -3.0
    start = float(quantizer.beta.data)
    quantizer.beta.data[...] = 0.0
    quantizer.project()
    assert quantizer.b.data.tolist() == [0.0, 1.0, np.nextafter(1.0, 2)]
    assert 0 < float(quantizer.alpha.data) <= 1e-5 / start
    assert float(quantizer.beta.data) == pytest.approx(1e-6 * start)
    quantizer(x)


def test_the_three_phases() -> None:
    """Switched off, a quantizer hands its input on; one that is fixed learns nothing and lets gradients through."""
    quantizer = QN(2, dtype=np.float64)
    x = Tensor(np.linspace(-1, 1, 9), requires_grad=True)
    quantizer.enabled = False
    assert quantizer(x) is x
    quantizer.enabled = True
    for parameter in quantizer.parameters():
        parameter.requires_grad = False
    quantizer(x).backward(np.ones(9))
    assert x.grad is not None
    assert x.grad.any()
    assert [p.grad for p in quantizer.parameters()] == [None] * 3


@pytest.mark.parametrize(
    "option",
    [
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": "5"},
        {"temperature": True},
        {"channels": 0},
        {"dtype": np.int32},
    ],
)
def test_bad_options(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        QN(2, **option)


@pytest.mark.parametrize("epoch", [0, -1, 1.5, True])
def test_bad_epochs(epoch: Any) -> None:
    with pytest.raises(InputError, match="epoch"):
        QN(2).set_progress(epoch, 10)


@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros(5), np.ones(5), np.array([1.0, np.nan]), np.array([1.0, np.inf]), np.full(4, 5e-324)]
)
def test_data_that_no_parameters_can_be_chosen_from(x: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^x:"):
        QN(3, dtype=np.float64).initialise(x)


def test_a_constant_tensor_is_enough_for_the_rules_of_few_levels() -> None:
    quantizer = QN(2, dtype=np.float64)
    quantizer.initialise(np.full(5, -2.0))
    assert quantizer.codes(np.array([-2.0, 0.0, 2.0])).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="channels"):
        QN(2, channels=3).initialise(np.ones((2, 4)))


def test_a_code_needs_a_number() -> None:
    with pytest.raises(InputError, match="NaN at index"):
        QN(2).codes(np.array([0.0, np.nan], np.float32))
    with pytest.raises(InputError, match="float32 or float64"):
        qn.hard(np.zeros(2, np.int64), 1, 1, np.zeros(1), bits=1)


def test_arguments_for_plots_are_in_the_domain() -> None:
    for bits in range(1, 9):
        for role in ("weight", "activation"):
            parameters, options = METHODS["qn"].arguments(bits, role)
            y = qn.soft(np.linspace(-1.5, 1.5, 7), *parameters, **options)
            assert np.abs(y).max() <= 1 + 1e-12
