"""Certificates for functions of arrays: how far value, vjp, jvp and hvp are from the truth, proven element by element.

The truth is the function's definition on balls (``array_truth.py``). An error is measured against the sum of the
absolute values of the terms of the same computation (``magnitude.py``); of a vjp those are the terms of the pass back.

A result that is not finite is wrong, except an infinity where the real number itself rounds to it: a definition has a
real value wherever it has one at all, so a NaN never is right. A result that the real number rounds to by underflow
is right whatever the sum of the terms, which may have vanished with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import fmpq

from minigrad.errors import InputError
from minigrad.primitive import Primitive
from verify.gradients.array_truth import Definition, evaluate
from verify.gradients.ball import Ball
from verify.gradients.magnitude import Magnitude
from verify.gradients.measure import agreeing_bits, largest_error, middle, rounded_up, until_decided
from verify.gradients.paste import paste, paste_call
from verify.gradients.series import Undefined

__all__ = ["ArrayBound", "ArrayCertificate", "certify_arrays", "certify_primitive"]

#: Working precision to begin with: the width of an enclosure does not show beside an error of 2^-60 of the terms.
FIRST_PRECISION = 192


@dataclass(frozen=True)
class ArrayBound:
    """What is proven about one result: |error| <= 2^-bits times the sum of the terms, for every element.

    Attributes
    ----------
    name : "value", "jvp", "vjp[n]" or "hvp[n]", n the argument's position
    bits : infinite where every element is the real number itself (or its rounding to infinity, or by underflow); minus
        infinite where an element is wrong although its sum of terms is 0, or is not finite
    index, got, truth, error, terms : of the worst element: what was computed, the truth to float64, an upper bound of
        the error, the sum of the terms
    """

    name: str
    bits: float
    index: tuple[int, ...]
    got: float
    truth: float
    error: float
    terms: float

    def __str__(self) -> str:
        if self.bits == math.inf:
            return f"{self.name}: every element exact"
        return (
            f"{self.name}: |error| <= 2^{-self.bits:g} of the sum of the terms; worst is {list(self.index)}: "
            f"got {self.got!r}, truth {self.truth!r}, |error| <= {self.error:.3g}, terms {self.terms:.3g}"
        )


@dataclass(frozen=True)
class ArrayCertificate:
    """The bounds of one function's results at one set of arguments, and a snippet that computes them again."""

    name: str
    bounds: tuple[ArrayBound, ...]
    snippet: str

    @property
    def bits(self) -> float:
        """What holds for all results alike."""
        return min(bound.bits for bound in self.bounds)

    def __getitem__(self, name: str) -> ArrayBound:
        return next(bound for bound in self.bounds if bound.name == name)

    def __str__(self) -> str:
        return "\n".join([self.name, *(f"  {bound}" for bound in self.bounds)])

    def require(self, bits: float) -> None:
        """Check that at least so many bits are proven of every result.

        Raises
        ------
        AssertionError
            Naming function, result, index, what was computed, the truth, the error and the terms, and a snippet.
        """
        worst = min(self.bounds, key=lambda bound: bound.bits)
        # NaN must fail, so the comparison asks for enough bits instead of looking for too few.
        if worst.bits >= bits:
            return
        others = [bound.name for bound in self.bounds if bound is not worst and not bound.bits >= bits]
        raise AssertionError(
            f"{self.name}: {worst.name}{list(worst.index)} is wrong: |error| <= 2^{-worst.bits:g} of the sum of the "
            f"terms is what is proven, 2^{-bits:g} required\n"
            f"  got    {worst.got!r}\n  truth  {worst.truth!r}\n"
            f"  error  {worst.error:.6g}\n  terms  {worst.terms:.6g}\n"
            + (f"  also below: {', '.join(others)}\n" if others else "")
            + f"To reproduce:\n{self.snippet}"
        )


def _measure(got: float, truth: Ball, terms: float, largest: float, smallest: float) -> tuple[float, float]:
    """The bits proven of one element, and an upper bound of its error.

    ``largest`` is the dtype's largest number, ``smallest`` its smallest subnormal one.
    """
    if not math.isfinite(got):
        # From half a unit in the last place above the largest number on, rounding goes to infinity.
        mantissa, exponent = math.frexp(largest)
        beyond = (1 + fmpq(*mantissa.as_integer_ratio())) / 2 * fmpq(2) ** exponent
        low, high = truth.bounds()
        right = low >= beyond if got > 0 else got < 0 and high <= -beyond
        return (math.inf, 0.0) if right else (-math.inf, math.inf)
    error = largest_error(got, truth)
    # Half the smallest number is what rounding by underflow may lose.
    if error == 0 or 2 * error <= fmpq(*smallest.as_integer_ratio()):
        return math.inf, 0.0 if error == 0 else rounded_up(error)
    if not math.isfinite(terms):
        raise InputError("the terms overflow float64; expected smaller arguments")
    return agreeing_bits(error, fmpq(*terms.as_integer_ratio())), rounded_up(error)


def _judge(name: str, computed: Any, truth: np.ndarray, terms: np.ndarray) -> ArrayBound:
    """The bound of one result."""
    array = np.asarray(computed)
    if array.dtype.kind != "f":
        raise AssertionError(f"{name} has dtype {array.dtype}, expected floats")
    if array.shape != truth.shape:
        raise AssertionError(f"{name} has shape {array.shape}, expected {truth.shape}")
    limits = np.finfo(array.dtype)
    largest, smallest = float(limits.max), float(limits.smallest_subnormal)
    worst = ArrayBound(name, math.inf, (0,) * truth.ndim, 0.0, 0.0, 0.0, 0.0)
    for flat, (got, real, size) in enumerate(zip(array.ravel().tolist(), truth.ravel(), terms.ravel(), strict=True)):
        index = tuple(int(n) for n in np.unravel_index(flat, truth.shape))
        for number in (real, size):
            if isinstance(number, Undefined):
                raise InputError(f"{name}{list(index)} does not exist: {number.reason}")
        try:
            bits, error = _measure(got, real, size.terms, largest, smallest)
        except InputError as refusal:
            raise InputError(f"{name}{list(index)}: {refusal}") from None
        if flat == 0 or bits < worst.bits:
            worst = ArrayBound(name, bits, index, got, middle(real), error, size.terms)
    return worst


def certify_arrays(
    name: str,
    definition: Definition,
    arrays: Sequence[Any],
    *,
    options: Mapping[str, Any] | None = None,
    differentiable: Sequence[int] | None = None,
    gy: Any = None,
    tangents: Sequence[Any] | None = None,
    value: Any = None,
    vjp: Sequence[Any] | None = None,
    jvp: Any = None,
    hvp: Sequence[Any] | None = None,
    snippet: str | None = None,
) -> ArrayCertificate:
    """Prove how far computed results of a function of arrays are from the real ones.

    Parameters
    ----------
    name : of the function, for messages
    definition : ``definition(*arrays, **options)``: the function, written with operators and ``minigrad.elementary`` on
        object arrays
    arrays : float32 or float64 arrays, taken exactly; integer and bool arrays are handed on as they are
    options : keyword arguments of the definition
    differentiable : positions to differentiate by; by default every float array
    gy : floats of the shape of the value; what ``vjp`` and ``hvp`` were computed with
    tangents : one array or None (zero) an argument; what ``jvp`` and ``hvp`` were computed with
    value, jvp : the computed arrays; None is not judged
    vjp, hvp : one computed array or None (zero) an argument; None in place of the sequence is not judged
    snippet : code that computes the results again; by default the arguments and a call of the definition

    Returns
    -------
    ArrayCertificate
        One bound for the value, for the jvp, and for the vjp and hvp by each differentiable argument.

    Raises
    ------
    AssertionError
        If a computed array has another shape than the truth, or is not of floats.
    InputError
        If gy or tangents are missing or do not fit, an argument is not finite, or a derivative does not exist there.
    Undecided
        If more than 16384 bits of working precision do not decide a comparison of the definition.
    """
    options = dict(options or {})
    if differentiable is None:
        differentiable = [n for n, array in enumerate(arrays) if np.asarray(array).dtype.kind == "f"]
    if not all(0 <= n < len(arrays) for n in differentiable):
        raise InputError(f"differentiable: expected positions of the {len(arrays)} arrays, got {list(differentiable)}")
    backward, forward = not (vjp is None and hvp is None), not (jvp is None and hvp is None)
    if (backward and gy is None) or (forward and tangents is None):
        raise InputError(f"{name}: expected gy to judge a vjp or hvp, and tangents to judge a jvp or hvp")
    for what, given in (("vjp", vjp), ("hvp", hvp), ("tangents", tangents)):
        if given is not None and len(given) != len(arrays):
            raise InputError(f"{what}: expected one entry an argument ({len(arrays)}), got {len(given)}")

    wanted: dict[str, Any] = {"gy": gy if backward else None, "tangents": tangents if forward else None}
    computed = {"value": value, "jvp": jvp}
    for what, of in (("vjp", vjp), ("hvp", hvp)):
        if of is not None:
            computed |= {
                f"{what}[{n}]": np.zeros(np.shape(arrays[n])) if of[n] is None else of[n] for n in differentiable
            }
    if all(result is None for result in computed.values()):
        raise InputError(f"{name}: expected a computed value, vjp, jvp or hvp to judge")

    def judged() -> tuple[ArrayBound, ...]:
        terms = evaluate(definition, arrays, options, Magnitude, differentiable, **wanted)
        truth = evaluate(definition, arrays, options, Ball, differentiable, **wanted)
        return tuple(_judge(what, got, truth[what], terms[what]) for what, got in computed.items() if got is not None)

    if snippet is None:
        snippet = paste_call(definition, arrays, options, gy, tangents)
    try:
        return ArrayCertificate(name, until_decided(judged, FIRST_PRECISION), snippet)
    except AssertionError as failure:
        raise AssertionError(f"{name}: {failure}\nTo reproduce:\n{snippet}") from None
    except (InputError, ArithmeticError) as refusal:
        raise type(refusal)(f"{name}: {refusal}") from refusal


def certify_primitive(
    primitive: Primitive,
    arrays: Sequence[Any],
    options: Mapping[str, Any],
    gy: Any,
    tangents: Sequence[Any],
) -> ArrayCertificate:
    """Run every rule of a primitive and certify all results against its definition.

    Where the primitive has a surrogate, value against the definition, and vjp, jvp and hvp against the surrogate frozen
    at the arrays; where it has a modifier, the vjp against that formula. An option that is a function is an observer
    and is handed to ``forward`` alone.

    Parameters
    ----------
    gy : floats of the shape of the value
    tangents : one float array (or None) an argument, not all None

    Raises
    ------
    As ``certify_arrays``; and what the primitive raises.
    """
    positions = range(len(arrays)) if primitive.differentiable is None else primitive.differentiable
    values = {key: option for key, option in options.items() if not callable(option)}
    given = [tangents[n] if n in positions else None for n in range(len(arrays))]
    snippet = "\n".join(
        [
            "import numpy as np",
            "import minigrad, quant",
            "from verify.gradients.arrays import certify_primitive",
            f"primitive = minigrad.PRIMITIVES[{primitive.name!r}]",
            f"arrays = {paste(tuple(arrays))}",
            f"gy = {paste(gy)}",
            f"tangents = {paste(tuple(given))}",
            f"print(certify_primitive(primitive, arrays, {paste(values)}, gy, tangents))",
        ]
    )
    value, residuals = primitive.forward(*arrays, **options)
    vjp = primitive.vjp(gy, residuals, [n in positions for n in range(len(arrays))])
    jvp = primitive.jvp(tuple(given), *arrays, **values)
    hvp = None if primitive.hvp is None else primitive.hvp(gy, tuple(given), *arrays, **values)
    named: dict[str, Any] = {"differentiable": positions, "snippet": snippet}
    derivatives: dict[str, Any] = {"gy": gy, "tangents": given, "vjp": vjp, "jvp": jvp, "hvp": hvp}
    modified: tuple[ArrayBound, ...] = ()
    if primitive.modifier is not None:
        modified = tuple(_modified(primitive, arrays, values, gy, vjp, positions, snippet))
        derivatives |= {"gy": None, "vjp": None}
    title = f"{primitive.name}({', '.join(f'{key}={option!r}' for key, option in values.items())})"
    if primitive.surrogate is None:
        found = certify_arrays(title, primitive.definition, arrays, options=values, value=value, **derivatives, **named)
        return ArrayCertificate(title, found.bounds + modified, snippet)
    direct = certify_arrays(title, primitive.definition, arrays, options=values, value=value, **named)
    frozen = primitive.surrogate(*arrays, **values)
    surrogate = certify_arrays(title, frozen, arrays, **derivatives, **named)
    return ArrayCertificate(title, direct.bounds + surrogate.bounds + modified, snippet)


def _modified(
    primitive: Primitive,
    arrays: Sequence[Any],
    values: Mapping[str, Any],
    gy: Any,
    vjp: Sequence[Any],
    positions: Sequence[int],
    snippet: str,
) -> Iterator[ArrayBound]:
    """The bounds of a vjp that is declared as a formula of gy and the arrays: it is that function's value."""
    formula = primitive.modifier
    assert formula is not None
    for n in positions:

        def gradient(gy: Any, *arrays: Any, n: int = n) -> Any:
            found = formula(gy, *arrays, **values)[n]
            return arrays[n] * 0 if found is None else found

        got = np.zeros(np.shape(arrays[n])) if vjp[n] is None else vjp[n]
        name = f"{primitive.name}'s gradient of argument {n}"
        yield replace(
            certify_arrays(name, gradient, (gy, *arrays), value=got, snippet=snippet)["value"], name=f"vjp[{n}]"
        )
