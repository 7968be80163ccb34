"""The whole judgement of one primitive of the registry by differences: its rules, its kinks, and its float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.draw import Draw, SeededDraw
from minigrad.primitive import PRIMITIVES, Kink, KinkPoint, Primitive
from verify.gradients.array_truth import evaluate, lift
from verify.gradients.check import check
from verify.gradients.kinks import SMOOTH, surrogate
from verify.gradients.magnitude import Magnitude
from verify.gradients.noise import measure_noise
from verify.gradients.paste import paste
from verify.gradients.problem import Array, Problem, flatten, quiet
from verify.gradients.quotient import Coordinate, Slopes, measure_slopes
from verify.gradients.snippet import Names
from verify.gradients.verdict import RIGHT, WRONG, Failure, Result, Verdict

__all__ = ["PlainRules", "check_kink", "check_primitive", "check_single", "positions_of", "rules_of"]


@dataclass(frozen=True)
class PlainRules:
    """The rules of a primitive with its options filled in, as ``check`` takes them."""

    function: Callable[..., Array]
    vjp: Callable[..., tuple[Any, ...]]
    jvp: Callable[..., Array]
    hvp: Callable[..., tuple[Any, ...]] | None


def rules_of(primitive: Primitive | str, **options: Any) -> PlainRules:
    """The rules of a primitive, or of the one of that name, with options."""
    rule = PRIMITIVES[primitive] if isinstance(primitive, str) else primitive
    silent = {key: value for key, value in options.items() if not callable(value)}

    def function(*arrays: Array) -> Array:
        return rule.forward(*arrays, **options)[0]

    def vjp(gy: Array, *arrays: Array) -> tuple[Any, ...]:
        _, residuals = rule.forward(*arrays, **options)
        return tuple(rule.vjp(gy, residuals, _needs(rule, len(arrays))))

    def jvp(tangents: Sequence[Any], *arrays: Array) -> Array:
        return rule.jvp(tuple(tangents), *arrays, **silent)

    def hvp(gy: Array, tangents: Sequence[Any], *arrays: Array) -> tuple[Any, ...]:
        assert rule.hvp is not None
        return tuple(rule.hvp(gy, tuple(tangents), *arrays, **silent))

    return PlainRules(function, vjp, jvp, None if rule.hvp is None else hvp)


def positions_of(primitive: Primitive, count: int) -> tuple[int, ...]:
    """The arguments that have a gradient."""
    return tuple(range(count)) if primitive.differentiable is None else tuple(primitive.differentiable)


def _needs(primitive: Primitive, count: int) -> list[bool]:
    positions = positions_of(primitive, count)
    return [n in positions for n in range(count)]


def _names(primitive: Primitive, options: dict[str, Any], frozen: bool) -> Names:
    plain = {key: value for key, value in options.items() if not callable(value)}
    filled = "".join(f", {key}={paste(value)}" for key, value in plain.items())
    lines = ["import quant", "from minigrad import PRIMITIVES", "from verify.gradients.primitives import rules_of"]
    lines.append(f"rules = rules_of({primitive.name!r}{filled})")
    function = "rules.function"
    if frozen:
        function = "surrogate"
        lines.append(f"surrogate = lambda *a: PRIMITIVES[{primitive.name!r}].surrogate(*args{filled})(*a)")
    return Names(function, "rules.vjp", "rules.jvp", "rules.hvp", "\n".join(lines))


def check_primitive(primitive: Primitive, draw: Draw | int) -> Verdict:
    """Judge one drawn example in float64, a drawn point of every kink, and one example in float32 beside float64.

    A primitive with a surrogate is held against that function, frozen at the example. A vjp that is declared as a
    formula (``modifier``) is no derivative, and left to the certificates.

    Parameters
    ----------
    draw : where the example comes from, or a seed

    Returns
    -------
    Verdict
        Of ``check`` in float64, then one result a kink, then "float32".
    """
    source = SeededDraw(draw) if isinstance(draw, int) else draw
    seed = draw if isinstance(draw, int) else 0
    arrays, options = primitive.examples(source, np.float64)
    rules, positions = rules_of(primitive, **options), positions_of(primitive, len(arrays))
    declaration = SMOOTH
    if primitive.surrogate is not None:
        declaration = surrogate(f"{primitive.name}'s surrogate", primitive.surrogate(*arrays, **options))
    verdict = check(
        rules.function,
        arrays,
        vjp=rules.vjp if primitive.modifier is None else None,
        jvp=rules.jvp,
        hvp=rules.hvp if primitive.modifier is None else None,
        name=f"{primitive.name}({', '.join(f'{k}={v!r}' for k, v in options.items())})",
        differentiable=positions,
        declaration=declaration,
        seed=seed,
        names=_names(primitive, options, primitive.surrogate is not None),
    )
    kinks = tuple(check_kink(primitive, kink, source, seed) for kink in primitive.kinks)
    single = check_single(primitive, *primitive.examples(source, np.float32), seed)
    return verdict + Verdict(verdict.name, (*kinks, single))


def _slopes_of(primitive: Primitive, function: Callable[..., Array], point: KinkPoint, arrays: Any) -> Slopes:
    """The slopes of every output of a function along the element on the kink, each of shape (m,)."""
    problem = Problem(function, arrays, name=primitive.name, differentiable=[point.position])
    coordinate = int(np.ravel_multi_index(point.index, np.shape(arrays[point.position]))) if point.index else 0
    noise = measure_noise(problem.evaluate, problem.point, problem.unit, problem.epsilon)
    line = Coordinate(problem, problem.evaluate, problem.middle, coordinate)
    slopes = measure_slopes([line], noise, problem.epsilon)
    return Slopes(*(value[0] for value in vars(slopes).values()))


def _slopes_at(primitive: Primitive, point: KinkPoint) -> Slopes:
    """The slopes on either side of a kink; of a surrogate, which is another function on either side, both ones'."""
    if primitive.surrogate is None:
        function = rules_of(primitive, **point.options).function
        return _slopes_of(primitive, function, point, point.arrays)
    sides = []
    for towards in (-np.inf, np.inf):
        arrays = [np.array(a) for a in point.arrays]
        moved = arrays[point.position]
        moved[point.index] = np.nextafter(moved[point.index], towards)
        frozen = primitive.surrogate(*arrays, **point.options)
        sides.append(_slopes_of(primitive, frozen, point, arrays))
    left, right = sides
    bend, bend_error = right.value - left.value, left.error + right.error
    settled = left.settled & right.settled
    bent = settled & (np.abs(bend) > 2 * bend_error)
    value, error = (left.value + right.value) / 2, (left.error + right.error) / 2
    return Slopes(value, error, bend, bend_error, bent, left.jump | right.jump, settled)


def check_kink(primitive: Primitive, kink: Kink, draw: Draw, seed: int = 0) -> Result:
    """Draw a point of a declared kink: it has to be one, and vjp and jvp have to give the declared pick there.

    Of a primitive with a surrogate, the kink is where the surrogate becomes another function.
    """
    check_name = f"kink {kink.where}"
    point = kink.at(draw, np.float64)
    with quiet():
        slopes, arrays = _slopes_at(primitive, point), point.arrays
        shape = np.shape(rules_of(primitive, **point.options).function(*arrays))
        there = slopes.jump if kink.jump else slopes.kink
        picked = np.where(slopes.kink, slopes.left + point.weight * slopes.bend, slopes.value)
        error = slopes.error + slopes.bend_error
        if kink.jump:
            picked, error = np.where(slopes.jump, point.weight, picked), np.where(slopes.jump, 0.0, error)
        rules = rules_of(primitive, **point.options)
        tangents: list[Any] = [None] * len(arrays)
        tangents[point.position] = np.zeros(arrays[point.position].shape)
        tangents[point.position][point.index] = 1.0
        forward = flatten(rules.jvp(tangents, *arrays), "jvp")
        gy = np.random.default_rng([seed, 8]).uniform(0.5, 1.0, shape)
        gradients = rules.vjp(gy, *arrays)
        gradient = float(np.asarray(gradients[point.position])[point.index])
        others = {f"gradient of argument {n}": (g, f"vjp(gy, *arrays)[{n}]") for n, g in enumerate(gradients)}
        for n in positions_of(primitive, len(arrays)):
            along = [np.ones(a.shape) if m == n else None for m, a in enumerate(arrays)]
            others[f"jvp along argument {n}"] = rules.jvp(along, *arrays), f"jvp({paste(along)}, *arrays)"
    names = _names(primitive, point.options, False)
    given_all = f"arrays, tangents, gy = {paste(tuple(arrays))}, {paste(tuple(tangents))}, {paste(gy)}"
    show_jvp = "print('jvp', rules.jvp(tangents, *arrays))"
    place = ", ".join(map(str, point.index)) or "()"
    show_vjp = f"print('vjp', rules.vjp(gy, *arrays)[{point.position}][{place}])"

    def wrong(
        what: str,
        index: tuple[int, ...],
        pair: tuple[float, float],
        bound: float,
        reason: str,
        shown: tuple[str, ...] = (show_jvp, show_vjp),
    ) -> Result:
        code = "\n".join(["import numpy as np", names.preamble, given_all, *shown])
        failure = Failure(primitive.name, what, index, *pair, bound, None, reason, code)
        return Result(check_name, WRONG, 1 + forward.size, 1, failure=failure)

    if not there.any():
        given = float(point.arrays[point.position][point.index])
        reason = f"is declared not differentiable, but no output has {'a jump' if kink.jump else 'a kink'} there"
        return wrong("value", point.index, (given, given), 0.0, reason)
    allowance = error + 8 * 2.0**-52 * np.abs(picked)
    # The jvp of an output that moves otherwise is the business of the other checks; here all have to fit.
    off = ~(np.abs(forward - picked) <= allowance)
    if off.any():
        first = int(np.argmax(off))
        sides = f"one-sided slopes {slopes.left[first]:.6g} and {slopes.right[first]:.6g}"
        reason = f"is not the pick declared for {kink.where}: {kink.pick} ({sides})"
        pair = float(forward[first]), float(picked[first])
        return wrong(
            "jvp", tuple(int(i) for i in np.unravel_index(first, shape)), pair, float(allowance[first]), reason
        )
    expected = float(gy.ravel() @ picked)
    bound = float(np.abs(gy.ravel()) @ allowance) + 8 * 2.0**-52 * float(np.abs(gy.ravel()) @ np.abs(picked))
    reason = f"is not the pick declared for {kink.where}: {kink.pick}"
    if primitive.modifier is not None:
        # The formula says itself what the gradient is at a kink; its arguments are exact, so its sides are decided.
        formula = _modified_terms(primitive, arrays, point.options, gy, [point.position])
        term = formula[f"vjp[{point.position}]"][point.index]
        expected, bound = term.value, 2.0**-45 * term.terms
        reason = f"is not what the formula of gy gives at {kink.where}"
    if not abs(gradient - expected) <= bound:
        return wrong(f"gradient of argument {point.position}", point.index, (gradient, expected), bound, reason)
    for what, (given, call) in others.items():
        # Along the other arguments a kink of this one is only asked to give numbers: what they are is judged beside it.
        if given is not None and not np.isfinite(given).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(given))[0])
            pair = float(np.asarray(given)[at]), math.nan
            reason = f"is no number at {kink.where}"
            return wrong(what, at, pair, math.nan, reason, (f"print(rules.{call})",))
    first = int(np.argmax(there))
    if kink.jump:
        note = f"a jump, derivative {forward[first]:.6g}"
    else:
        note = f"one-sided slopes {slopes.left[first]:.6g} and {slopes.right[first]:.6g}, pick {forward[first]:.6g}"
    return Result(check_name, RIGHT, 1 + forward.size, note=note)


def check_single(primitive: Primitive, arrays: Sequence[Array], options: dict[str, Any], seed: int = 0) -> Result:
    """Value, vjp, jvp and hvp in float32 beside those in float64 at the same arguments.

    They may differ by 2^-16 of the sum of the absolute values of the terms of the definition: of its 24 bits float32
    may lose the 8 that float64 may lose of its 53. And every result has to be float32.
    """
    positions = positions_of(primitive, len(arrays))
    values = {key: value for key, value in options.items() if not callable(value)}
    rules = rules_of(primitive, **options)
    rng = np.random.default_rng([seed, 9])
    gy = rng.uniform(-1, 1, np.shape(rules.function(*arrays))).astype(np.float32)
    tangents = [
        rng.uniform(-1, 1, a.shape).astype(np.float32) if n in positions else None for n, a in enumerate(arrays)
    ]
    found = _results(rules, positions, gy, tangents, arrays)
    doubles = [_double(a) for a in arrays]
    expected = _results(rules, positions, _double(gy), [_double(t) for t in tangents], doubles)
    given: dict[str, Any] = {"gy": gy, "tangents": tangents}
    terms = evaluate(primitive.definition, arrays, values, Magnitude, positions, **given)
    if primitive.surrogate is not None:
        frozen = primitive.surrogate(*doubles, **values)
        terms = {**evaluate(frozen, arrays, {}, Magnitude, positions, **given), "value": terms["value"]}
    if primitive.modifier is not None:
        terms |= _modified_terms(primitive, arrays, values, gy, positions)
    lines = ["import numpy as np", "import quant", "from minigrad import PRIMITIVES"]
    lines.append("from verify.gradients.primitives import check_single")
    shown = f"{paste(tuple(arrays))}, {paste(values)}, {seed}"
    code = "\n".join([*lines, f"print(check_single(PRIMITIVES[{primitive.name!r}], {shown}))"])

    def wrong(what: str, pair: tuple[float, float], bound: float, reason: str) -> Result:
        failure = Failure(primitive.name, f"float32 {what}", (), *pair, bound, None, reason, code)
        return Result("float32", WRONG, 1, 1, failure=failure)

    compared = 0
    for what, array in found.items():
        if array.dtype != np.float32:
            return wrong(what, (math.nan, math.nan), math.nan, f"is {array.dtype}, not float32")
        if array.shape != expected[what].shape:
            return wrong(what, (math.nan, math.nan), math.nan, "has another shape in float32")
        sizes = np.array([getattr(t, "terms", np.nan) for t in terms[what].ravel()])
        got, truth, bound = flatten(array, what), flatten(expected[what], what), 2.0**-16 * sizes
        off = ~(np.abs(got - truth) <= bound)
        if off.any():
            n = int(np.argmax(off))
            pair = float(got[n]), float(truth[n])
            return wrong(what, pair, float(bound[n]), "differs from float64")
        compared += got.size
    return Result("float32", RIGHT, compared, note="|float32 - float64| <= 2^-16 of the sum of the terms")


def _modified_terms(
    primitive: Primitive, arrays: Sequence[Array], values: dict[str, Any], gy: Array, positions: Sequence[int]
) -> dict[str, Array]:
    """The terms of a vjp that is declared as a formula."""
    formula = primitive.modifier
    assert formula is not None
    given = [lift(f"arrays[{n}]", a, Magnitude) if np.asarray(a).dtype.kind == "f" else a for n, a in enumerate(arrays)]
    found = formula(lift("gy", gy, Magnitude), *given, **values)
    return {f"vjp[{n}]": np.asarray(found[n], object) for n in positions if found[n] is not None}


def _double(array: Any) -> Any:
    return array.astype(np.float64) if isinstance(array, np.ndarray) and array.dtype == np.float32 else array


def _results(
    rules: PlainRules, positions: Sequence[int], gy: Array, tangents: Sequence[Any], arrays: Sequence[Array]
) -> dict[str, Array]:
    """What the rules return, by the names that the truth has for it."""
    found = {"value": np.asarray(rules.function(*arrays)), "jvp": np.asarray(rules.jvp(tangents, *arrays))}
    returned = {"vjp": rules.vjp(gy, *arrays)}
    if rules.hvp is not None:
        returned["hvp"] = rules.hvp(gy, tangents, *arrays)
    for what, gradients in returned.items():
        found |= {f"{what}[{n}]": np.asarray(gradients[n]) for n in positions if gradients[n] is not None}
    return found
