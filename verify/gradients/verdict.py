"""What the checks found: one result a check, a failure with all that is needed to see it again, and the verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["NOT_ALLOWED", "NOT_DIFFERENTIABLE", "RIGHT", "UNDECIDED", "WRONG", "Failure", "Result", "Verdict"]

RIGHT = "right"
WRONG = "wrong"
#: The function has a kink or a jump at the point that was not declared.
NOT_DIFFERENTIABLE = "not differentiable"
#: The differences do not settle, so nothing can be said.
UNDECIDED = "undecided"
#: The function does not allow this check; it says nothing either way.
NOT_ALLOWED = "not allowed"


@dataclass(frozen=True)
class Failure:
    """One entry that does not hold.

    Attributes
    ----------
    what : "gradient of argument 0", "jvp", ...
    index : of the entry in the array named by ``what``
    analytic, numeric : what was given, what was measured
    error : of the measurement
    rate : of the Taylor remainder along this entry; 2 for a right gradient, None where it was not measured
    reason : in words
    snippet : code that shows it, given the functions checked
    """

    function: str
    what: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    rate: float | None
    reason: str
    snippet: str

    def __str__(self) -> str:
        place = f"{self.what}{list(self.index) if self.index else ''}"
        lines = [
            f"{self.function}: {place} {self.reason}",
            f"  analytic {self.analytic!r}",
            f"  numeric  {self.numeric!r}",
            f"  error of the numeric one at most {self.error:.3g}",
        ]
        if self.rate is not None:
            lines.append(f"  Taylor rate {self.rate:.2f} (of a right gradient: 2)")
        return "\n".join([*lines, "To reproduce:", self.snippet])


@dataclass(frozen=True)
class Result:
    """The outcome of one check: how many numbers were compared, how many are wrong, how many could not be decided.

    ``resolution`` is the largest error bar, as a share of the typical size of what was compared (NaN where that means
    nothing): a mistake smaller than it could hide in one entry.
    """

    check: str
    status: str
    compared: int = 0
    wrong: int = 0
    undecided: int = 0
    resolution: float = math.nan
    note: str = ""
    failure: Failure | None = None

    @property
    def passed(self) -> bool:
        return self.status in (RIGHT, NOT_ALLOWED)


@dataclass(frozen=True)
class Verdict:
    """All results for one function at one point.

    Attributes
    ----------
    name : of the function
    results : one a check
    evaluations : how often the function was called
    """

    name: str
    results: tuple[Result, ...]
    evaluations: int = 0

    @property
    def passed(self) -> bool:
        """Whether every check that the function allows holds, and at least one compared something or had nothing to."""
        return bool(self.results) and all(result.passed for result in self.results)

    @property
    def compared(self) -> int:
        return sum(result.compared for result in self.results)

    @property
    def undecided(self) -> int:
        return sum(result.undecided for result in self.results)

    @property
    def failures(self) -> list[Failure]:
        return [result.failure for result in self.results if result.failure is not None and not result.passed]

    def __getitem__(self, check: str) -> Result:
        """The result of the check of that name."""
        for result in self.results:
            if result.check == check:
                return result
        raise KeyError(f"no check named {check!r}; there are {', '.join(r.check for r in self.results)}")

    def __add__(self, other: Verdict) -> Verdict:
        """Both verdicts in one, under the name of the first."""
        return Verdict(self.name, self.results + other.results, self.evaluations + other.evaluations)

    def require(self) -> Verdict:
        """This verdict; AssertionError with all of it where it did not pass."""
        if not self.passed:
            raise AssertionError(str(self))
        return self

    def __str__(self) -> str:
        lines = [f"{'PASS' if self.passed else 'FAIL'}  {self.name}  ({self.evaluations:,} evaluations)"]
        width = max((len(r.check) for r in self.results), default=0)
        lines.append(f"  {'check':<{width}}  {'verdict':<18}  compared  wrong  undecided  resolution")
        for r in self.results:
            resolution = f"{r.resolution:10.1e}" if math.isfinite(r.resolution) else " " * 10
            row = f"  {r.check:<{width}}  {r.status:<18}  {r.compared:8d}  {r.wrong:5d}  {r.undecided:9d}  {resolution}"
            lines.append(f"{row}  {r.note}".rstrip())
        for failure in self.failures:
            lines += ["", str(failure)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The verdict in what ``json.dumps`` takes; numbers that JSON does not have become strings."""
        plain = _plain({**asdict(self), "passed": self.passed})
        assert isinstance(plain, dict)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
