"""The mutants given to several checkers, each of which knows only the function and the one rule.

The set: of the mutants of vjp and jvp that a verdict of ours killed, all behavioural ones and up to ``MOST`` of the
source, evenly spaced. A mutant may be an error only at a kink, for a tangent of None, or when one gradient is asked for
alone; no checker is told of those, so the set has the mutants that *show* at a drawn example: all gradients together,
or the derivative along all tangents, differ by more than rounding. Each is judged at the first such example, if the
checker passes the right rule there. How often it fails a right rule is counted at those examples and at the ones of
``SEEDS``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minigrad.draw import SeededDraw
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Example, Primitive
from verify.gradients.check import check
from verify.gradients.kinks import SMOOTH, surrogate
from verify.gradients.mutants.behaviour import SIZES, behavioural_mutants, other_values, size_mutants
from verify.gradients.mutants.record import Mutant
from verify.gradients.mutants.run import mutants_of, sandbox
from verify.gradients.mutants.sizes import LARGE, large_example
from verify.gradients.primitives import positions_of, rules_of

__all__ = ["MOST", "OURS", "SEEDS", "Checker", "Maker", "compare_checkers"]

#: Source mutants of a primitive in the set.
MOST = 20
#: Examples at which each checker judges the right rules.
SEEDS = (0, 1, 2)
#: Examples at which a mutant may show.
LOOKED_AT = tuple(range(12))
#: Relative difference that is more than rounding; the smallest planted one is 1e-6.
_ROUNDING = 1e-9

Array = np.ndarray


class Checker(Protocol):
    """A gradient checker at one example."""

    def judge(self, primitive: Primitive) -> bool:
        """Whether it finds nothing wrong with the rule."""
        ...


@dataclass(frozen=True)
class Maker:
    """How a checker is set up: (primitive, arrays, options, rule) -> Checker.

    ``most`` is the largest product of input and output elements that it is asked to look at, and ``most_inputs`` the
    largest number of input elements; None for no limit.
    """

    make: Callable[[Primitive, Sequence[np.ndarray], Mapping[str, Any], str], Checker]
    dtype: Any = np.float64
    most: int | None = None
    most_inputs: int | None = None


class OurCheck:
    """``verify.gradients.check`` as for anybody's function: of the vjp or the jvp alone, with its defaults."""

    def __init__(
        self, primitive: Primitive, arrays: Sequence[np.ndarray], options: Mapping[str, Any], rule: str
    ) -> None:
        self._arrays, self._options, self._rule = arrays, dict(options), rule

    def judge(self, primitive: Primitive) -> bool:
        """Whether the verdict is that all holds."""
        rules = rules_of(primitive, **self._options)
        declaration = SMOOTH
        if primitive.surrogate is not None:
            declaration = surrogate("surrogate", primitive.surrogate(*self._arrays, **self._options))
        return check(
            rules.function,
            self._arrays,
            differentiable=positions_of(primitive, len(self._arrays)),
            declaration=declaration,
            **{self._rule: getattr(rules, self._rule)},
        ).passed


#: Our own among the checkers.
OURS = {"check": Maker(OurCheck)}


def _result(primitive: Primitive, rule: str, example: Example, seed: int) -> Array:
    """The vjp's gradients, or the jvp along all tangents, as one vector; after a call with other values."""
    arrays, options = example
    positions = positions_of(primitive, len(arrays))
    rng = np.random.default_rng([seed, 21])
    value, _ = primitive.forward(*(other_values(a) for a in arrays), **options)
    if rule == "jvp":
        silent = {key: value for key, value in options.items() if not callable(value)}
        tangents = tuple(rng.standard_normal(a.shape) if n in positions else None for n, a in enumerate(arrays))
        return np.asarray(primitive.jvp(tangents, *arrays, **silent)).ravel()
    gy = np.asarray(rng.standard_normal(np.shape(value)), np.float64)
    _, residuals = primitive.forward(*arrays, **options)
    found = primitive.vjp(gy, residuals, [n in positions for n in range(len(arrays))])
    parts = [np.zeros(arrays[p].size) if found[p] is None else np.asarray(found[p]).ravel() for p in positions]
    return np.concatenate([np.zeros(0), *parts])


def _shows(primitive: Primitive, wrong: Primitive, rule: str, seed: int) -> bool:
    """Whether what is asked of a rule by any checker is wrong at an example."""
    example = primitive.examples(SeededDraw(seed), np.float64)
    right = _result(primitive, rule, example, seed)
    try:
        got = _result(wrong, rule, example, seed)
    except Exception:
        return False
    cancelled = 1e-3 * _ROUNDING * np.abs(right).max(initial=0)
    return got.shape == right.shape and not np.allclose(got, right, rtol=_ROUNDING, atol=cancelled, equal_nan=True)


def _example_of(primitive: Primitive, mutant: Mutant, caught: int) -> int | None:
    """The seed of the first example at which a mutant shows, the one it was caught at before all others."""
    wrong = mutant.make()
    return next((seed for seed in (caught, *LOOKED_AT) if _shows(primitive, wrong, mutant.rule, seed)), None)


def _chosen(primitive: Primitive, outcomes: Sequence[Mapping[str, Any]]) -> list[tuple[Mutant, int]]:
    """The comparison's mutants and the seed of the example to judge each at, by what became of it before."""
    behavioural = sum(1 for _ in behavioural_mutants(primitive))
    kept: tuple[list[tuple[Mutant, int]], list[tuple[Mutant, int]]] = ([], [])
    for n, (mutant, outcome) in enumerate(zip(mutants_of(primitive), outcomes, strict=True)):
        if outcome["edit"] != mutant.edit or outcome["kind"] != mutant.kind:
            raise ValueError(f"{mutant.name}: the outcomes belong to other source")
        if outcome["fate"] == "killed" and mutant.rule in ("vjp", "jvp"):
            seed = _example_of(primitive, mutant, outcome["draws"] - 1)
            if seed is not None:
                kept[n >= behavioural].append((mutant, seed))
    source = kept[1]
    picked = range(len(source)) if len(source) <= MOST else np.linspace(0, len(source) - 1, MOST).round().astype(int)
    return kept[0] + [source[n] for n in picked]


class _Panel:
    """The checkers at some examples; ``clean`` says where each passes the right rules: [passed, examples]."""

    def __init__(
        self, primitive: Primitive, makers: Mapping[str, Maker], example: Callable[[int, Any], Example]
    ) -> None:
        self._primitive, self._makers, self._example = primitive, makers, example
        self._known: dict[tuple[str, str, int], Checker | None] = {}
        self.clean: dict[str, dict[str, list[int]]] = {label: {"vjp": [0, 0], "jvp": [0, 0]} for label in makers}

    def checker(self, label: str, rule: str, seed: int) -> Checker | None:
        """The checker at an example; None if it fails the right rule there, or the arrays are too large for it."""
        key = (label, rule, seed)
        if key not in self._known:
            self._known[key] = self._made(*key)
        return self._known[key]

    def _made(self, label: str, rule: str, seed: int) -> Checker | None:
        maker = self._makers[label]
        arrays, options = self._example(seed, maker.dtype)
        inputs = sum(a.size for a in arrays)
        size = inputs * np.size(self._primitive.forward(*arrays, **options)[0])
        if not (_within(size, maker.most) and _within(inputs, maker.most_inputs)):
            return None
        checker = maker.make(self._primitive, arrays, options, rule)
        try:
            sound = checker.judge(self._primitive)
        except Exception as error:
            # Its step left the domain: it cannot judge the right rule either. Frameworks hand the error on as text.
            if InputError.__name__ not in f"{type(error).__name__}: {error}":
                raise
            sound = False
        count = self.clean[label][rule]
        count[0] += sound
        count[1] += 1
        return checker if sound else None

    def row(self, mutant: Mutant, seed: int) -> dict[str, Any]:
        """The mutant, and by checker whether it lets it through; None where it cannot judge."""
        wrong = mutant.make()
        passed: dict[str, bool | None] = {}
        for label in self._makers:
            checker = self.checker(label, mutant.rule, seed)
            passed[label] = None if checker is None else _passes(checker, wrong)
        return {"rule": mutant.rule, "kind": mutant.kind, "edit": mutant.edit, "passed": passed}


def _within(number: int, limit: int | None) -> bool:
    return limit is None or number <= limit


def _passes(checker: Checker, wrong: Primitive) -> bool:
    try:
        return checker.judge(wrong)
    except Exception:
        return False


def compare_checkers(name: str, makers: Mapping[str, Maker], outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What each checker lets through of a primitive's mutants: at its own examples, and with one wrong element in n.

    Parameters
    ----------
    makers : by the checkers' names
    outcomes : of all mutants of the primitive, in their order, as ``Outcome.as_dict`` gives them

    Returns
    -------
    dict, ready for JSON
        ``clean``: checker -> rule -> [examples at which it passes the right rule, examples]; ``mutants``: a list of
        rule, kind, edit and ``passed`` (checker -> bool or None); ``sizes``: the same for each size, with ``clean``.
    """
    primitive = PRIMITIVES[name]
    panel = _Panel(primitive, makers, lambda seed, dtype: primitive.examples(SeededDraw(seed), dtype))
    with sandbox():
        for label, rule, seed in itertools.product(makers, ("vjp", "jvp"), SEEDS):
            panel.checker(label, rule, seed)
        rows = [panel.row(mutant, seed) for mutant, seed in _chosen(primitive, outcomes)]
    found: dict[str, Any] = {"clean": panel.clean, "mutants": rows, "sizes": []}
    for size in SIZES if name in LARGE else ():
        panel = _Panel(primitive, makers, functools.partial(_large, name, size))
        rows = [panel.row(mutant, 0) for mutant in size_mutants(primitive, _large(name, size, 0, np.float64), size)]
        found["sizes"].append({"size": size, "clean": panel.clean, "mutants": rows})
    return found


def _large(name: str, size: int, seed: int, dtype: Any) -> Example:
    return large_example(name, size, seed, dtype)
