"""The full gradient of ResNet-20, all parameters and the images, by Taylor's theorem.

Batch 4 of 32x32 images, float64, batch norm in training mode, a smooth activation, cross-entropy: 282,010 numbers.
"""

from functools import cache

import numpy as np
import pytest

from minigrad import Tensor, apply, no_grad
from minigrad.models import resnet20
from verify.gradients.noise import measure_noise
from verify.gradients.problem import Problem
from verify.gradients.taylor import Rates, draw_direction, measure_rates, taylor_rates

DIRECTIONS = 20
#: The remainders are still far above the noise of the loss here; the steps below would double the time.
SMALLEST = 2.0**-22


class Loss:
    """The loss as a function of the images and every parameter, its gradient there, and the noise of its value."""

    def __init__(self) -> None:
        self.model = resnet20(0, dtype=np.float64, activation="tanh")
        images = np.random.default_rng(0).standard_normal((4, 32, 32, 3))
        self.labels = np.array([3, 1, 4, 1])
        x = Tensor(images, requires_grad=True)
        apply("cross_entropy", self.model(x), self.labels).backward()
        tensors = [x, *self.model.parameters()]
        self.point = [np.array(t.data) for t in tensors]
        self.gradient = [np.array(t.grad) for t in tensors]
        self.problem = Problem(self, self.point)
        p = self.problem
        self.noise = float(measure_noise(p.evaluate, p.point, p.unit, p.epsilon).bound[0])

    def __call__(self, images: np.ndarray, *parameters: np.ndarray) -> float:
        for parameter, array in zip(self.model.parameters(), parameters, strict=True):
            parameter.data = array
        with no_grad():
            return apply("cross_entropy", self.model(Tensor(images)), self.labels).item()

    def rates(self, seed: int, gradient: list[np.ndarray]) -> Rates:
        vector = draw_direction(self.problem.reach, np.random.default_rng(seed))
        return taylor_rates(self, gradient, self.point, self.problem.split(vector), noise=self.noise, smallest=SMALLEST)


@cache
def loss() -> Loss:
    return Loss()


def test_everything_has_a_gradient() -> None:
    gradient = loss().gradient
    assert sum(g.size for g in gradient) == 269_722 + 4 * 32 * 32 * 3
    assert all(np.isfinite(g).all() and np.count_nonzero(g) > 0.99 * g.size for g in gradient)


@pytest.mark.parametrize("seed", range(DIRECTIONS))
def test_the_remainder_vanishes_with_the_square_of_the_step(seed: int) -> None:
    rates = loss().rates(seed, loss().gradient)
    assert rates[2].verdict == "right", str(rates)
    assert abs(rates[2].rate - 2) <= 0.02, str(rates)
    assert rates.passed, str(rates)


def test_an_error_in_one_of_many_arrays_is_seen() -> None:
    """A tenth too much in the gradient of any of the 60 arrays; here the images, some weights, norms, the last bias."""
    assert len(loss().gradient) == 60
    problem, changes = loss().problem, dict[float, np.ndarray]()
    direction = draw_direction(problem.reach, np.random.default_rng(0))

    def change(z: np.ndarray) -> np.ndarray:
        """Evaluated once a step, which the first coordinate tells."""
        if z[0] not in changes:
            changes[z[0]] = problem.evaluate(z) - problem.middle
        return changes[z[0]]

    for position in (0, 1, 12, 24, 36, 48, 59):
        gradient = list(loss().gradient)
        gradient[position] = gradient[position] * 1.1
        vector = np.concatenate([g.ravel() for g in gradient])
        rate = measure_rates(problem, change, vector, direction, None, loss().noise, SMALLEST)[2]
        assert not abs(rate.rate - 2) <= 0.02, position
