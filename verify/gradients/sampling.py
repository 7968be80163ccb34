"""Every element of a large gradient: by groups, and by sampled elements.

**Groups.** The elements of a block are moved together, each by a random share w of its reach (1/2 to 1, either sign),
and the numeric slope is compared with the gradient's. An element that is off by D adds ``w reach D``; what hides it
is only the error E of the numeric slope. Hence, per draw of the shares:

- one wrong element alone in its block is seen, with certainty, if |D| reach > 4 E;
- of several, let the largest be |D| reach = R E. However the others fall, its own share is uniform on an interval of
  length 1 (both signs together), and hides the sum only within 2 E: the draw misses them with probability at most
  4 / R.

Two draws are made, so 16 / R^2. A block is halved until 4 E is below 2^-10 of the typical |gradient| times reach (the
median of those not 0), or halving it does not lower E, or the evaluations are used up; the largest error that is left
is stated, with what it can see. A block that disagrees is bisected down to its wrong element.

**Samples.** Of n elements s different ones are compared one by one. If k are wrong, at least one is among them with
probability

    1 - C(n - k, s) / C(n, s)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigrad.errors import InputError
from verify.gradients.noise import Noise
from verify.gradients.problem import Array, Problem
from verify.gradients.quotient import Ray, measure_slopes

__all__ = ["DRAWS", "Groups", "detection_probability", "sample_elements", "test_groups"]

DRAWS = 2
#: What one element may be off by and not be seen, as a share of a typical one.
WANTED = 2.0**-10
#: Wrong elements that are pinned down; further blocks are only reported.
_ENOUGH = 4
#: A block's error has to be below this share of the error of the one it is half of.
_GAIN = 0.85


def detection_probability(elements: int, wrong: int, sampled: int) -> float:
    """The probability that a sample of different elements contains a wrong one (hypergeometric).

    Raises
    ------
    InputError
        If more are wrong or sampled than there are.
    """
    if not (0 <= wrong <= elements and 0 <= sampled <= elements):
        raise InputError(f"wrong, sampled: expected 0 to {elements}, got {wrong} and {sampled}")
    if wrong + sampled > elements:
        return 1.0
    few, many = sorted((wrong, sampled))
    # C(n - k, s) / C(n, s) is symmetric in k and s; as a product, without the factorials.
    return -math.expm1(sum(math.log1p(-many / (elements - i)) for i in range(few)))


def sample_elements(elements: int, sampled: int, rng: np.random.Generator) -> Array:
    """Different elements, each set of them equally likely, in order."""
    return np.sort(rng.choice(elements, sampled, replace=False, shuffle=False))


@dataclass(frozen=True)
class Groups:
    """What the groups showed.

    Attributes
    ----------
    suspects : elements that bisection ended on, wrong alone too
    unexplained : first and last element of blocks that disagree while no element was found to be wrong in them
    blocks : how many blocks were judged in the end
    smallest : for each element, the |error| of its gradient that is seen with certainty where it is alone in its block
    undecided : blocks whose slope did not settle
    tolerance : the largest error of a block's slope
    """

    suspects: tuple[int, ...]
    unexplained: tuple[tuple[int, int], ...]
    blocks: int
    smallest: Array
    undecided: int
    tolerance: float

    def statement(self, gradient: Array, reach: Array, coordinates: Array) -> str:
        """What was shown, in words."""
        typical = _typical(gradient, reach)
        seen = (self.smallest * reach)[coordinates]
        share = float(seen[np.isfinite(seen)].max(initial=0.0)) / typical if typical else math.inf
        return (
            f"{len(coordinates):,} elements in {self.blocks} groups, {DRAWS} draws: one alone in its group is seen if "
            f"it is off by {share:.1e} of a typical element"
        )


def _typical(gradient: Array, reach: Array) -> float:
    sizes = np.abs(gradient * reach)
    return float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 0.0


class _Tester:
    """Blocks of coordinates against one projection of the outputs."""

    def __init__(
        self, problem: Problem, gy: Array, gradient: Array, outputs: Noise, total: Noise, rng: np.random.Generator
    ) -> None:
        self._problem, self._gy, self._gradient, self._rng = problem, gy, gradient, rng
        self._outputs, self._total = outputs, total

    def _noise(self, direction: Array) -> Noise:
        """Of the projection where only a block moves: the outputs that do not move add no noise.

        The others' noises add as independent ones do; where the measured noise of the whole projection is larger (the
        outputs share their rounding), and most outputs move, it counts.
        """
        problem = self._problem
        moved = problem.evaluate(problem.snap(problem.point + direction / 4))
        changed = ~(moved == problem.middle)
        bound = np.array([np.sqrt(np.sum((self._gy * self._outputs.bound)[changed] ** 2))])
        if 2 * changed.sum() > changed.size:
            bound = np.maximum(bound, self._total.bound)
        bound = bound + np.finfo(np.float64).tiny
        return Noise(bound, np.array([np.sum(np.abs(self._gy) * self._outputs.size, where=changed)]) + bound)

    def test(self, block: Array) -> tuple[bool, bool, float]:
        """Whether the block disagrees, whether its slope settled, and the error of its slope."""
        problem, gradient = self._problem, self._gradient
        shares = self._rng.uniform(0.5, 1.0, block.shape) * self._rng.choice([-1.0, 1.0], block.shape)
        direction = np.zeros(problem.point.shape)
        direction[block] = shares * problem.reach[block]

        def change(z: Array) -> Array:
            return np.atleast_1d(np.sum(self._gy * (problem.evaluate(z) - problem.middle)))

        def known(tangent: Array) -> Array:
            return np.atleast_1d(math.fsum(gradient[block] * tangent[block]))

        ray = Ray(problem, change, np.zeros(1), direction, known)
        slopes = measure_slopes([ray], self._noise(direction), problem.epsilon)
        # The sum in float64, and the roundings of the gradient's elements, which are independent.
        terms = np.abs(gradient * direction)[block]
        rounding = 4 * (2.0**-52 * float(terms.sum()) + problem.epsilon * math.sqrt(float(terms @ terms)))
        error = float(slopes.error[0, 0]) + rounding
        settled = np.isfinite(error) and not slopes.kink[0, 0] and not slopes.jump[0, 0]
        return not abs(float(slopes.value[0, 0])) <= error, bool(settled), error


def test_groups(
    problem: Problem,
    gy: Array,
    gradient: Array,
    noises: tuple[Noise, Noise],
    coordinates: Array,
    rng: np.random.Generator,
    evaluations: int,
    judge_one: Callable[[int], bool],
) -> Groups:
    """Hold a gradient of ``sum(gy * value)`` against differences, block by block, so that every element is covered.

    Parameters
    ----------
    problem : of n elements and m outputs
    gy, gradient : vectors of m and n
    noises : of the outputs, and of the projection on gy
    coordinates : the elements to be covered
    evaluations : of the function, about, that may be used
    judge_one : whether the gradient of one element is wrong; it decides where bisection ends
    """
    tester = _Tester(problem, gy, gradient, *noises, rng)
    wanted = WANTED * _typical(gradient, problem.reach)
    last = problem.evaluations + evaluations
    smallest = np.full(problem.point.shape, np.inf)
    open_blocks: list[tuple[Array, float]] = [(coordinates, math.inf)]
    blocks, undecided, tolerance = 0, 0, 0.0
    suspects: list[int] = []
    unexplained: list[tuple[int, int]] = []
    while open_blocks:
        block, error_before = open_blocks.pop()
        outcomes = [tester.test(block) for _ in range(DRAWS)]
        disagrees = any(outcome[0] for outcome in outcomes)
        settled = all(outcome[1] for outcome in outcomes)
        error = max(outcome[2] for outcome in outcomes)
        if len(block) == 1 and (disagrees or not settled) and judge_one(int(block[0])):
            suspects.append(int(block[0]))
            continue
        # Where all outputs move with every element, a smaller block has the same noise: halving it is of no use.
        coarse = not settled or (4 * error > wanted and error < _GAIN * error_before)
        affordable = problem.evaluations < last
        if len(block) > 1 and ((disagrees and len(suspects) < _ENOUGH) or (coarse and affordable)):
            half = len(block) // 2
            open_blocks += [(block[:half], error), (block[half:], error)]
            continue
        blocks += 1
        undecided += not settled
        tolerance = max(tolerance, error)
        smallest[block] = 4 * error / problem.reach[block] if settled else np.inf
        if disagrees:
            unexplained.append((int(block[0]), int(block[-1])))
    return Groups(tuple(sorted(suspects)), tuple(unexplained), blocks, smallest, undecided, tolerance)
