"""Learning rates as functions of the step (0 is the first), with IEEE basic operations only.

The cosine is our own, powers are by squaring, so a schedule gives the same bits everywhere. After its last step a
schedule that ends keeps its last value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature
from itertools import pairwise
from typing import Any

from minigrad.errors import InputError
from minigrad.optim.numbers import finite, integer_power, whole

__all__ = [
    "SCHEDULES",
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "multi_step",
    "named_schedule",
    "one_cycle",
    "step",
    "warmup",
]

Schedule = Callable[[int], float]

_PI = 3.141592653589793


def _cos(x: float) -> float:
    """cos x for 0 <= x <= pi by its Taylor series around pi/2, to 1e-15; never below -1."""
    half_pi = 1.5707963267948966
    y = half_pi - x  # cos x = sin y, |y| <= pi / 2
    term = total = y
    for n in range(3, 23, 2):
        term *= -y * y / (n * (n - 1))
        total += term
    return max(total, -1.0)


def _schedule(at: Schedule) -> Schedule:
    """A schedule that names a step that is none."""

    @wraps(at)
    def checked(n: int) -> float:
        return at(whole("step", n))

    return checked


def constant(rate: float) -> Schedule:
    """``rate`` at every step."""
    rate = finite("rate", rate)
    return _schedule(lambda n: rate)


def step(rate: float, *, every: int, factor: float = 0.1) -> Schedule:
    """``rate`` times ``factor`` for every ``every`` steps done: rate factor^floor(n / every)."""
    rate, every, factor = finite("rate", rate), whole("every", every, 1), finite("factor", factor)
    return _schedule(lambda n: rate * integer_power(factor, n // every))


def multi_step(rate: float, *, milestones: Sequence[int], factor: float = 0.1) -> Schedule:
    """``rate``, times ``factor`` from each milestone on."""
    rate, factor = finite("rate", rate), finite("factor", factor)
    if not isinstance(milestones, (list, tuple)):
        raise InputError(f"milestones: expected a list of steps, got {milestones!r}")
    marks = [whole("milestones", milestone) for milestone in milestones]
    if marks != sorted(marks):
        raise InputError(f"milestones: expected ascending steps, got {marks}")

    def at(n: int) -> float:
        value = rate
        for milestone in marks:
            if n >= milestone:
                value *= factor
        return value

    return _schedule(at)


def exponential(rate: float, *, factor: float) -> Schedule:
    """rate factor^n."""
    rate, factor = finite("rate", rate), finite("factor", factor)
    return _schedule(lambda n: rate * integer_power(factor, n))


def cosine(rate: float, steps: int, *, least: float = 0.0) -> Schedule:
    """From ``rate`` at step 0 down half a cosine to ``least`` at ``steps`` (Loshchilov and Hutter, ICLR 2017, eq 5)."""
    rate, steps, least = finite("rate", rate), whole("steps", steps, 1), finite("least", least)

    def at(n: int) -> float:
        return least + 0.5 * (rate - least) * (1.0 + _cos(_PI * min(n, steps) / steps))

    return _schedule(at)


def one_cycle(
    rate: float,
    steps: int,
    *,
    rise: float = 0.3,
    start: float = 25.0,
    end: float = 1e4,
    anneal: str = "cosine",
    phases: int = 2,
) -> Schedule:
    """Up to ``rate`` and down to almost nothing over ``steps`` steps (Smith and Topin, 2018, "Super-convergence").

    The learning rate only; momentum is not cycled. By default the variant of PyTorch's ``OneCycleLR``, with its
    numbers: two phases of half a cosine each. The paper's is ``anneal="linear", phases=3``: up, as slowly down to where
    it began, then far below.

    Parameters
    ----------
    rate : float
        The peak.
    rise : float
        The part of the steps that ends at the peak, which is at step rise steps - 1; with three phases at most 0.5.
    start, end : float
        The first rate is rate / start, the last, at step ``steps`` - 1, is rate / start / end. At least 1.
    anneal : "cosine" or "linear"
    phases : 2 or 3

    Raises
    ------
    InputError
        For another value of these.
    """
    rate, steps = finite("rate", rate), whole("steps", steps, 1)
    start, end = finite("start", start, least=1.0), finite("end", end, least=1.0)
    if anneal not in ("cosine", "linear"):
        raise InputError(f"anneal: expected 'cosine' or 'linear', got {anneal!r}")
    if phases not in (2, 3):
        raise InputError(f"phases: expected 2 or 3, got {phases!r}")
    if finite("rise", rise) > (1.0 if phases == 2 else 0.5):
        raise InputError(f"rise: expected at most {1.0 if phases == 2 else 0.5} with {phases} phases, got {rise!r}")
    top, last, low = rise * steps - 1.0, steps - 1.0, rate / start
    corners = [(0.0, low), (top, rate), (last, low / end)]
    if phases == 3:
        corners.insert(2, (2.0 * top, low))

    def at(n: int) -> float:
        position = min(float(n), last)
        for (left, before), (right, after) in pairwise(corners):
            if position <= right and left < right:
                part = (position - left) / (right - left)
                if anneal == "cosine":
                    return after + 0.5 * (before - after) * (1.0 + _cos(_PI * part))
                return before + (after - before) * part
        return corners[-1][1]

    return _schedule(at)


def warmup(schedule: Schedule, steps: int) -> Schedule:
    """A linear rise over ``steps`` steps before any schedule: schedule(0) (n + 1) / (steps + 1).

    Then comes schedule(n - steps). The first rate is above 0, and the rise meets the schedule's first rate at step
    ``steps``. (Goyal et al., 2017, section 2.2, "gradual warmup"; unlike there the schedule begins when the rise is
    over.)
    """
    steps = whole("steps", steps)

    def at(n: int) -> float:
        return schedule(n - steps) if n >= steps else schedule(0) * (n + 1) / (steps + 1)

    return _schedule(at)


#: By name; those with an end take its step after the rate.
SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "multi_step": multi_step,
    "one_cycle": one_cycle,
    "step": step,
}


def named_schedule(name: str, rate: float, steps: int, options: dict[str, Any], *, rise: int = 0) -> Schedule:
    """The schedule of that name for a run of ``steps`` steps; the first ``rise`` of them are its warm-up.

    ``multi_step`` without milestones has them at half and three quarters of the run.

    Raises
    ------
    InputError
        For an unknown name or option, a missing one, or a value that makes no sense.
    """
    if name not in SCHEDULES:
        raise InputError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {name!r}")
    if whole("warmup", rise) >= steps:
        raise InputError(f"warmup: expected less than the run's {steps} steps, got {rise}")
    left = steps - rise
    if name == "multi_step":
        options = {"milestones": [left // 2, left * 3 // 4]} | options
    function = SCHEDULES[name]
    known = signature(function).parameters
    check_options(f"schedule {name}", function, options)
    ends = [left] if "steps" in known else []
    schedule = function(rate, *ends, **options)
    return warmup(schedule, rise) if rise else schedule


def check_options(what: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    """InputError unless ``options`` are keyword-only arguments of ``function``, with all those that have no default."""
    known = {n: p for n, p in signature(function).parameters.items() if p.kind is Parameter.KEYWORD_ONLY}
    for name in options:
        if name not in known:
            raise InputError(f"{what}: expected options among {', '.join(known) or 'none'}, got {name!r}")
    for name, parameter in known.items():
        if parameter.default is Parameter.empty and name not in options:
            raise InputError(f"{what}: option {name!r} is missing")
