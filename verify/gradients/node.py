"""A reverse-mode tape of scalars: every partial derivative of a formula in one pass, in exact numbers.

A ``Node`` is a number of a coefficient class (``Ball`` for the truth, ``Magnitude`` for the sum of the terms) that
knows what it was computed from and with which local slopes. The slopes of + - * / are written here; those of elementary
functions are what ``Series.variable`` of the coefficient class finds, so that each rule exists once.

What is piecewise constant or a choice is decided by the value, as in ``Series``. Nodes may be the coefficients of a
``Series``: the gradient of its t-coefficient is the second derivative.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from verify.gradients.scalar import Scalar, exponent_of, integer_power
from verify.gradients.series import Series, Undefined

__all__ = ["Node", "gradients"]

#: Numbers a node in the order they are made: what was computed from a node has a higher serial.
_serials = itertools.count()

#: A number that a node was computed from, and the slope by it; the slopes 1 and -1 are plain integers.
Parents = tuple[tuple["Node", Any], ...]


class Node(Scalar):
    """A number and what it was computed from.

    Parameters
    ----------
    value : a number of the coefficient class; a plain int or float is taken as it is
    parents : nodes this one was computed from, with the slope by each; none for a variable
    """

    __slots__ = ("parents", "serial", "value")
    __hash__ = None

    def __init__(self, value: Any, parents: Parents = ()) -> None:
        self.value = value
        self.parents = parents
        self.serial = next(_serials)

    def __repr__(self) -> str:
        return f"Node({self.value!r})"

    # ---- arithmetic; anything that is not a node is a constant of the coefficients' arithmetic ----

    def __neg__(self) -> Node:
        return Node(-self.value, ((self, -1),))

    def __pos__(self) -> Node:
        return self

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Node):
            return Node(self.value + other.value, ((self, 1), (other, 1)))
        if _is_foreign(other):
            return NotImplemented
        return Node(self.value + other, ((self, 1),))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Node):
            return Node(self.value - other.value, ((self, 1), (other, -1)))
        if _is_foreign(other):
            return NotImplemented
        return Node(self.value - other, ((self, 1),))

    def __rsub__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else Node(other - self.value, ((self, -1),))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Node):
            return Node(self.value * other.value, ((self, other.value), (other, self.value)))
        if _is_foreign(other):
            return NotImplemented
        return Node(self.value * other, ((self, other),))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if _is_foreign(other):
            return NotImplemented
        if isinstance(other, Node):
            return _quotient(self.value, other.value, self, other)
        return _quotient(self.value, other, self, None)

    def __rtruediv__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else _quotient(other, self.value, None, self)

    def __pow__(self, n: Any) -> Any:
        exponent = exponent_of(n)
        return NotImplemented if exponent is None else integer_power(self, exponent, self.value * 0 + 1)

    # ---- decisions, by the value ----

    def __lt__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else self.value < _value(other)

    def __le__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else self.value <= _value(other)

    def __gt__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else self.value > _value(other)

    def __ge__(self, other: Any) -> Any:
        return NotImplemented if _is_foreign(other) else self.value >= _value(other)

    def __eq__(self, other: object) -> Any:
        return NotImplemented if _is_foreign(other) else self.value == _value(other)

    def __ne__(self, other: object) -> Any:
        return NotImplemented if _is_foreign(other) else self.value != _value(other)

    def sign(self) -> Any:
        """The sign of the value, locally constant."""
        return self.value.sign()

    def floor(self) -> Any:
        """The floor of the value, a constant: no derivative passes through it."""
        return self.value.floor()

    def clip(self, low: Any, high: Any) -> Any:
        """The node where its value lies in [low, high], else the bound."""
        if self < low:
            return low
        return high if self > high else self

    def __abs__(self) -> Node:
        if self.value > 0:
            return self
        if self.value < 0:
            return -self
        return Node(abs(self.value), ((self, Undefined("abs has no derivative at 0")),))

    # ---- elementary functions ----

    def _apply(self, name: str) -> Node:
        local = getattr(Series.variable(self.value), name)()
        return Node(local.constant, ((self, local.coefficients[1]),))

    def exp(self) -> Node:
        return self._apply("exp")

    def expm1(self) -> Node:
        return self._apply("expm1")

    def log(self) -> Node:
        return self._apply("log")

    def log1p(self) -> Node:
        return self._apply("log1p")

    def sqrt(self) -> Node:
        return self._apply("sqrt")

    def tanh(self) -> Node:
        return self._apply("tanh")

    def erf(self) -> Node:
        return self._apply("erf")

    def erf_slope(self) -> Node:
        """The derivative of erf, for series with nodes as coefficients."""
        local = Series.variable(self.value, order=2).erf()
        return Node(local.derivative(1), ((self, local.derivative(2)),))


def _is_foreign(other: Any) -> bool:
    """What combines with nodes by its own rules."""
    return isinstance(other, (Series, Undefined, np.ndarray))


def _value(number: Any) -> Any:
    return number.value if isinstance(number, Node) else number


def _quotient(a: Any, b: Any, numerator: Node | None, denominator: Node | None) -> Node:
    """a / b, and its slopes 1 / b and -(a / b) / b by the nodes that the numbers belong to."""
    quotient = a / b
    parents: list[tuple[Node, Any]] = []
    if numerator is not None:
        parents.append((numerator, 1 / b))
    if denominator is not None:
        parents.append((denominator, -(quotient / b)))
    return Node(quotient, tuple(parents))


def _vanishes(number: Any) -> bool:
    """Whether a weight or a slope is zero for certain, with no terms that cancelled."""
    exact = getattr(number, "exact", None)
    if exact is not None:
        return bool(exact == 0)
    terms = getattr(number, "terms", None)
    if terms is not None:
        return bool(terms == 0)
    return isinstance(number, (int, float)) and number == 0


def gradients(outputs: Iterable[Any], weights: Iterable[Any], variables: Sequence[Node]) -> list[Any]:
    """The derivative of ``sum(weight * output)`` by every variable, in one pass from the outputs back.

    A weight or a slope of zero is not passed on, so that a derivative which does not exist does no harm on a branch
    that does not count.

    Parameters
    ----------
    outputs : nodes; other numbers among them are constants
    weights : one an output, numbers of the coefficient class
    variables : nodes made of a value alone

    Returns
    -------
    list
        One number a variable; the int 0 where nothing depends on it. ``Undefined`` where the derivative does not exist.
    """
    weight_of: dict[int, Any] = {}
    node_of: dict[int, Node] = {}
    # The highest serial comes first: nothing that is still to come was computed from it, so its weight is complete.
    pending: list[int] = []

    def pass_on(node: Node, weight: Any) -> None:
        serial = node.serial
        known = weight_of.get(serial)
        if known is None:
            weight_of[serial] = weight
            node_of[serial] = node
            heapq.heappush(pending, -serial)
        else:
            weight_of[serial] = known + weight

    for output, weight in zip(outputs, weights, strict=True):
        if isinstance(output, Node):
            pass_on(output, weight)
    results: dict[int, Any] = {}
    while pending:
        serial = -heapq.heappop(pending)
        weight, node = weight_of.pop(serial), node_of.pop(serial)
        if not node.parents:
            results[serial] = weight
        elif not _vanishes(weight):
            for parent, slope in node.parents:
                if type(slope) is int and slope in (1, -1):
                    pass_on(parent, weight if slope == 1 else -weight)
                elif not _vanishes(slope):
                    pass_on(parent, weight * slope)
    return [results.get(variable.serial, 0) for variable in variables]
