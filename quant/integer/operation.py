"""What every integer operation offers."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np

from quant.integer.checks import Values

__all__ = ["Operation"]


class Operation(Protocol):
    """A frozen record of integers."""

    name: ClassVar[str]
    #: How many arrays it takes.
    arity: ClassVar[int]

    def output(self, *x: Values) -> Values:
        """What the operation gives for such inputs; InputError if it does not take them."""
        ...

    def run(self, *x: Any) -> np.ndarray:
        """The operation itself, on arrays whose first axis counts the images."""
        ...
