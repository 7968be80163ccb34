"""The public checker: right functions of every kind pass, and what other checkers let through does not."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.errors import InputError
from verify.gradients import check, kink
from verify.gradients.problem import Problem
from verify.gradients.snippet import name_of

ONE = {
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sin": (np.sin, np.cos),
    "exp": (lambda x: np.exp(x / 4), lambda x: np.exp(x / 4) / 4),
    "square": (lambda x: x * x, lambda x: 2 * x),
    "gauss": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "log": (lambda x: np.log1p(x * x), lambda x: 2 * x / (1 + x * x)),
    "cube": (lambda x: x * x * x, lambda x: 3 * x * x),
    "same": (lambda x: x * 1, np.ones_like),
    "zero": (lambda x: x * 0, lambda x: 0 * x),
    "constant": (lambda x: 0 * x + 3, lambda x: 0 * x),
    "cancelling": (lambda x: (x + 100) - 100, np.ones_like),
    "hyperbola": (lambda x: np.sqrt(1 + x * x), lambda x: x / np.sqrt(1 + x * x)),
}


def composite(kind, names, dtype, shapes, scales, seed):
    """A smooth function of one argument with its vjp and jvp, and the argument."""
    (f, df), (g, dg) = (ONE[name] for name in names)
    count, outputs = shapes
    within, out = dtype(scales[0]), dtype(scales[1])
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(outputs, count)).astype(dtype)
    x = (rng.normal(size=count) * within).astype(dtype)
    if kind == "through a matrix":
        return (
            lambda x: g(matrix @ f(x / within)) * out,
            lambda gy, x: ((matrix.T @ (gy * out * dg(matrix @ f(x / within)))) * df(x / within) / within,),
            lambda t, x: dg(matrix @ f(x / within)) * (matrix @ (df(x / within) * t[0] / within)) * out,
            x,
        )
    if kind == "a number":
        slope = lambda x: out * (df(x / within) * g(x / within) + f(x / within) * dg(x / within)) / within  # noqa: E731
        return (
            lambda x: np.sum(f(x / within) * g(x / within), dtype=dtype) * out,
            lambda gy, x: (gy * slope(x),),
            lambda t, x: np.sum(slope(x) * t[0], dtype=dtype),
            x,
        )
    if count > 1 and "cancelling" not in names:
        x[rng.integers(count)] = 0
    slope = lambda x: (out * df(x / within) + dg(x / within)) / within  # noqa: E731
    return (
        lambda x: f(x / within) * out + g(x / within),
        lambda gy, x: (gy * slope(x),),
        lambda t, x: t[0] * slope(x),
        x,
    )


@given(
    st.sampled_from(["through a matrix", "a number", "two of different size"]),
    st.tuples(st.sampled_from(sorted(ONE)), st.sampled_from(sorted(ONE))),
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(0, 6), st.integers(1, 4)),
    st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
    st.integers(0, 2**32),
)
def test_no_false_alarm(kind, names, dtype, shapes, exponents, seed):
    """Scales from 1e-8 to 1e8 within and without, cancellation, constants, zero gradients, size 0."""
    if dtype is np.float32:
        exponents = (exponents[0] / 2, exponents[1])
    function, vjp, jvp, x = composite(kind, names, dtype, shapes, [10.0**e for e in exponents], seed)
    check(function, (x,), vjp=vjp, jvp=jvp, seed=seed % 1000).require()


# ---- what other checkers let through ----


@pytest.mark.parametrize("size", [2_000, 10_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_flipped_sign_is_seen_at_any_size(size, dtype):
    """A tolerance that is multiplied by the size of the array passes this in float32."""
    x = np.random.default_rng(size).normal(size=size).astype(dtype)
    for function, slope in ((np.tanh, lambda x: 1 - np.tanh(x) ** 2), (lambda x: np.sum(np.sin(x)), np.cos)):
        verdict = check(function, (x,), vjp=lambda gy, x, slope=slope: (-gy * slope(x),), budget=1_000)
        assert not verdict["reverse"].passed
        verdict = check(function, (x,), vjp=lambda gy, x, slope=slope: (gy * slope(x),), budget=1_000)
        assert verdict.passed


@pytest.mark.parametrize("element", [0, 123, 399])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_element_in_400_that_is_half_wrong(element, dtype):
    """A random projection of all elements onto one number hides this."""
    x = np.random.default_rng(1).normal(size=400).astype(dtype)

    def wrong(gy, x):
        g = gy * np.cos(x)
        g[element] *= dtype(1.5)
        return (g,)

    verdict = check(np.sin, (x,), vjp=wrong)
    assert verdict["reverse"].failure.index == (element,)
    assert verdict["reverse"].failure.rate == pytest.approx(1, abs=0.1)
    assert check(np.sin, (x,), vjp=lambda gy, x: (gy * np.cos(x),)).passed


@pytest.mark.parametrize("off", [1e-6, -1e-6, 1e-9])
def test_a_factor_that_is_hardly_one_is_seen_in_float64(off):
    x = np.random.default_rng(2).normal(size=(3, 2))
    for rules in (
        {"vjp": lambda gy, x: (gy * np.cos(x) * (1 + off),)},
        {"jvp": lambda t, x: t[0] * np.cos(x) * (1 + off)},
    ):
        verdict = check(np.sin, (x,), **rules)
        assert not (verdict["reverse"] if "vjp" in rules else verdict["forward"]).passed


@pytest.mark.parametrize("off", [1e-2, -1e-2])
def test_a_percent_is_seen_in_float32(off):
    x = np.random.default_rng(2).uniform(0.2, 1.2, 30).astype(np.float32)
    factor = np.float32(1 + off)
    verdict = check(np.sin, (x,), vjp=lambda gy, x: (gy * np.cos(x) * factor,))
    assert verdict["reverse"].wrong >= 30


def test_the_wrong_pick_at_a_kink():
    x = np.array([0.0, 1.0, -1.0])
    for at_zero in (0.0, 1.0):
        verdict = check(
            lambda x: np.maximum(x, 0),
            (x,),
            vjp=lambda gy, x, at_zero=at_zero: (gy * np.where(x == 0, at_zero, x > 0),),
            declaration=kink(0.0),
        )
        assert verdict.passed == (at_zero == 0.0)


# ---- second order, several arguments, other dtypes ----


def bilinear(x, w, power):
    return (x @ w) ** power


def bilinear_vjp(gy, x, w, power):
    inner = gy * power * (x @ w) ** (power - 1)
    return inner @ w.T, x.T @ inner


def bilinear_hvp(gy, tangents, x, w, power):
    dx, dw = (np.zeros_like(a) if t is None else t for t, a in zip(tangents, (x, w), strict=False))
    y, dy = x @ w, dx @ w + x @ dw
    inner = gy * power * y ** (power - 1)
    moved = gy * power * (power - 1) * y ** (power - 2) * dy
    return moved @ w.T + inner @ dw.T, dx.T @ inner + x.T @ moved


ARGS = (np.random.default_rng(3).normal(size=(3, 4)), np.random.default_rng(4).normal(size=(4, 2)), 3)


def test_second_order():
    verdict = check(bilinear, ARGS, vjp=bilinear_vjp, hvp=bilinear_hvp)
    assert verdict.passed
    assert verdict["second order"].compared >= 20 * 20
    wrongs = [
        lambda *a: tuple(-h for h in bilinear_hvp(*a)),
        lambda *a: (bilinear_hvp(*a)[0], 0 * bilinear_hvp(*a)[1]),
        lambda *a: (bilinear_hvp(*a)[0] * (1 + 1e-6), bilinear_hvp(*a)[1]),
        lambda gy, t, *a: bilinear_hvp(gy, (t[0], None), *a),
        lambda *a: (None, None),
    ]
    for wrong in wrongs:
        verdict = check(bilinear, ARGS, vjp=bilinear_vjp, hvp=wrong)
        assert verdict["second order"].status == "wrong"
        assert verdict["second order"].failure.what.startswith("hvp of argument")
        assert verdict["reverse"].passed
    assert check(bilinear, ARGS, vjp=bilinear_vjp, hvp=wrongs[0])["Taylor"].status == "wrong"


def test_arguments_that_are_not_differentiated_scalars_and_none():
    def scaled(x, indices, s):
        assert isinstance(s, float)
        return x[indices] * s

    def vjp(gy, x, indices, s):
        dx = np.zeros_like(x)
        np.add.at(dx, indices, gy * s)
        return dx, None, np.sum(gy * x[indices])

    args = (np.array([1.0, -2.0, 4.0]), np.array([0, 2, 2]), 0.5)
    assert check(scaled, args, vjp=vjp).passed
    assert check(scaled, args, vjp=lambda *a: vjp(*a)[::2]).passed
    assert check(scaled, args, vjp=lambda *a: vjp(*a)[:1], differentiable=[0]).passed
    wrong = check(scaled, args, vjp=lambda *a: (vjp(*a)[0], None, None))
    assert wrong["reverse"].failure.what == "gradient of argument 2"
    fewer = lambda *a: (vjp(*a)[0], 2 * vjp(*a)[2])  # noqa: E731
    failure = check(scaled, args, vjp=fewer)["reverse"].failure
    assert failure.what == "gradient of argument 2"
    exec(failure.snippet, {"scaled": scaled, "vjp": fewer})


def test_a_0d_and_a_python_number():
    assert check(np.sin, (np.array(0.3),), vjp=lambda gy, x: gy * np.cos(x)).passed
    assert check(math.sin, (0.3,), vjp=lambda gy, x: (gy * math.cos(x),)).passed
    assert not check(math.sin, (0.3,), vjp=lambda gy, x: (gy * math.cos(x) * 1.001,)).passed


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2)])
def test_no_elements(shape):
    verdict = check(np.sin, (np.zeros(shape),), vjp=lambda gy, x: (gy * np.cos(x),))
    assert verdict.passed and verdict.results[0].check == "shapes"
    with pytest.raises(AssertionError, match="has shape"):
        check(np.sin, (np.zeros(shape),), vjp=lambda gy, x: (np.zeros(7),))


def test_a_float32_function_of_float64_arguments_is_judged_in_float32():
    x = np.random.default_rng(5).normal(size=5)
    function = lambda x: np.sin(x.astype(np.float32))  # noqa: E731
    assert check(function, (x,), vjp=lambda gy, x: (gy * np.cos(x),)).passed
    assert not check(function, (x,), vjp=lambda gy, x: (gy * np.cos(x) * 1.01,)).passed
    problem = Problem(lambda x, s: np.sin(x.astype(np.float32)) * np.float32(s), (x, 0.1))
    assert np.array_equal(problem.args[0], x.astype(np.float32)) and problem.args[0].dtype == np.float64
    assert problem.args[1] == np.float32(0.1) and type(problem.args[1]) is float
    assert np.array_equal(problem.point.astype(np.float32), problem.point)


def test_what_the_dtype_cannot_show_is_no_mistake():
    """In float32 the sum is a constant: its last place is 2."""
    x = np.random.default_rng(9).normal(size=4).astype(np.float32)
    verdict = check(lambda x: np.sin(x) + np.float32(3e7), (x,), vjp=lambda gy, x: (gy * np.cos(x),))
    assert verdict.passed
    assert verdict["reverse"].resolution > 1 or np.isnan(verdict["reverse"].resolution)


def test_views_non_contiguous_arrays_and_functions_that_write_into_their_argument():
    x = np.random.default_rng(6).normal(size=(4, 6))[::2, ::-3]

    def writes(x):
        x *= 2
        return x

    assert check(lambda x: x.T, (x,), vjp=lambda gy, x: (gy.T,), linear=True).passed
    kept = x.copy()
    assert check(writes, (x.copy(),), vjp=lambda gy, x: (2 * gy,)).passed
    assert np.array_equal(x, kept)


def test_linear_and_not():
    x = np.random.default_rng(7).normal(size=5)
    assert check(np.cumsum, (x,), linear=True).passed
    verdict = check(lambda x: np.cumsum(x) + 1, (x,), linear=True)
    assert verdict["linear"].status == "wrong"


class Remembers:
    """A vjp of the arguments of the call before, as a stale buffer makes it."""

    def __init__(self, vjp):
        self.vjp, self.args = vjp, None

    def __call__(self, gy, *args):
        args, self.args = self.args or args, args
        return self.vjp(gy, *args)


def test_a_rule_that_remembers_the_call_before_is_found():
    verdict = check(bilinear, ARGS, vjp=Remembers(bilinear_vjp))
    assert verdict["repeats"].status == "wrong" and verdict["reverse"].status == "right"
    verdict = check(np.sin, (ARGS[0],), jvp=Remembers(lambda t, x: np.cos(x) * t[0]))
    assert verdict["repeats"].failure.what == "jvp" and not verdict.passed


# ---- what is said ----

WRONGS = {
    "reverse": {"vjp": lambda *a: tuple(-g for g in bilinear_vjp(*a))},
    "forward": {"jvp": lambda t, x, w, power: power * (x @ w) ** (power - 1) * (t[0] @ w - x @ t[1])},
    "second order": {"vjp": bilinear_vjp, "hvp": lambda *a: tuple(2 * h for h in bilinear_hvp(*a))},
    "Taylor": {"vjp": lambda *a: tuple(-g for g in bilinear_vjp(*a))},
    "linear in gy": {"vjp": lambda gy, *a: tuple(np.abs(g) for g in bilinear_vjp(gy, *a))},
    "linear": {"linear": True},
    "adjoint": {"vjp": bilinear_vjp, "jvp": lambda t, x, w, power: (x @ w) ** (power - 1) * (t[0] @ w + x @ t[1])},
    "repeats": {"vjp": Remembers(bilinear_vjp)},
}


@pytest.mark.parametrize("what", WRONGS)
def test_the_snippet_runs_and_shows_the_failure(what, capsys):
    verdict = check(bilinear, ARGS, **WRONGS[what])
    failure = verdict[what].failure
    assert not verdict.passed and failure in verdict.failures
    text = str(failure)
    for part in ("bilinear: ", failure.what, "analytic", "numeric", "error of the numeric one", "To reproduce:"):
        assert part in text
    scope = {"bilinear": bilinear, "bilinear_vjp": bilinear_vjp, **WRONGS[what]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(failure.snippet, scope)
    printed = capsys.readouterr().out
    if what in ("reverse", "forward", "second order"):
        analytic, numeric = (float(line.split()[1]) for line in printed.splitlines())
        assert analytic == pytest.approx(failure.analytic)
        assert numeric == pytest.approx(failure.numeric, rel=1e-4)
    else:
        assert "FAIL" in printed and what in printed


def test_the_failure_shown_is_the_worst():
    x = np.random.default_rng(10).uniform(0.5, 1, 6)
    factors = np.array([1, 1, 1 + 1e-6, 1, 1.5, 1 + 1e-3])
    assert check(np.sin, (x,), vjp=lambda gy, x: (gy * np.cos(x) * factors,))["reverse"].failure.index == (4,)


def test_a_failure_names_everything():
    verdict = check(bilinear, ARGS, **WRONGS["reverse"], name="my layer")
    failure = verdict["reverse"].failure
    assert failure.function == "my layer"
    assert failure.rate == pytest.approx(1, abs=0.1)
    assert "Taylor rate 1.0" in str(failure)
    with pytest.raises(AssertionError, match="my layer: gradient of argument"):
        verdict.require()


def test_the_verdict_is_a_table_and_json():
    verdict = check(bilinear, ARGS, vjp=bilinear_vjp, hvp=bilinear_hvp)
    assert verdict.require() is verdict
    lines = str(verdict).splitlines()
    assert lines[0].startswith("PASS  bilinear")
    assert [line.split("  ")[1] for line in lines[2:]] == [r.check for r in verdict.results]
    for value in (verdict, check(bilinear, ARGS, **WRONGS["reverse"])):
        loaded = json.loads(json.dumps(value.to_json(), allow_nan=False))
        assert loaded["passed"] == value.passed
        assert [r["check"] for r in loaded["results"]] == [r.check for r in value.results]
    with pytest.raises(KeyError, match="there are reverse"):
        verdict["nothing"]


def test_the_same_seed_gives_the_same_verdict():
    first, second = (check(bilinear, ARGS, vjp=bilinear_vjp, seed=5) for _ in range(2))
    assert str(first) == str(second)


def test_large_arguments_are_not_printed():
    x = np.random.default_rng(8).normal(size=3000)
    failure = check(np.sin, (x,), vjp=lambda gy, x: (-gy * np.cos(x),), budget=1_000)["reverse"].failure
    assert "# args: 3,000 numbers" in failure.snippet
    scope = {"sin": np.sin, "vjp": lambda gy, x: (-gy * np.cos(x),), "args": (x,), "gy": np.ones(3000)}
    exec(failure.snippet, scope)


def test_names_of_functions():
    assert name_of(bilinear, "f") == "bilinear"
    assert name_of(lambda x: x, "f") == "f"
    assert name_of(3, "f") == "f"


def test_bad_arguments():
    good = {"vjp": bilinear_vjp}
    with pytest.raises(InputError, match="argument 0: expected finite numbers"):
        check(bilinear, (np.full((3, 4), np.nan), *ARGS[1:]), **good)
    with pytest.raises(InputError, match="vjp, jvp: expected at least one"):
        check(bilinear, ARGS)
    with pytest.raises(InputError, match="hvp: it is compared with differences of the vjp"):
        check(bilinear, ARGS, jvp=lambda *a: 0, hvp=bilinear_hvp)
    with pytest.raises(InputError, match="has no array of floats"):
        check(lambda x: x, (np.arange(3),), **good)
    with pytest.raises(InputError, match="differentiable: expected positions of arrays of floats, got 2"):
        check(bilinear, ARGS, **good, differentiable=[2])
    with pytest.raises(InputError, match="returned dtype int64"):
        check(lambda x: np.arange(3), (np.ones(3),), **good)
    with pytest.raises(InputError, match="is not finite"):
        check(np.log, (np.array([0.0]),), **good)
    with pytest.raises(AssertionError, match="vjp returned 4 arrays, expected 2"):
        check(bilinear, ARGS, vjp=lambda *a: (1, 2, 3, 4))
    with pytest.raises(AssertionError, match=r"jvp has shape \(\), expected \(3, 2\)"):
        check(bilinear, ARGS, jvp=lambda *a: 0.0)
    with pytest.raises(AssertionError, match=r"vjp of argument 1 has shape \(2, 4\)"):
        check(bilinear, ARGS, vjp=lambda *a: (bilinear_vjp(*a)[0], bilinear_vjp(*a)[1].T))
    with pytest.raises(InputError, match="expected an array of real numbers"):
        check(bilinear, ARGS, vjp=lambda *a: (1j * bilinear_vjp(*a)[0], bilinear_vjp(*a)[1]))
