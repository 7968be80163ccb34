"""The judgement of a registry entry: right ones pass, each wrong rule, pick and dtype is found."""

import dataclasses

import numpy as np
import pytest

import quant  # noqa: F401  registers the quantizers' primitives
from minigrad import PRIMITIVES
from minigrad.draw import SeededDraw
from minigrad.primitive import Kink, KinkPoint
from verify.gradients.primitives import check_kink, check_primitive, check_single, rules_of

NAMES = ["relu", "dsq_soft", "dsq_hard", "softmax", "max_pool2d", "affine_norm", "multiply"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_primitive_passes(name, seed):
    verdict = check_primitive(PRIMITIVES[name], seed).require()
    checks = [r.check for r in verdict.results]
    assert {"reverse", "forward", "Taylor", "adjoint", "linear in gy", "float32"} <= set(checks)
    assert [c for c in checks if c.startswith("kink ")] == [f"kink {k.where}" for k in PRIMITIVES[name].kinks]
    assert ("second order" in checks) == (PRIMITIVES[name].hvp is not None)


def scaled(rule, factor):
    def wrong(*args, **options):
        found = rule(*args, **options)
        if isinstance(found, tuple):
            return tuple(None if g is None else g * g.dtype.type(factor) for g in found)
        return found * found.dtype.type(factor)

    return wrong


@pytest.mark.parametrize(("rule", "check"), [("vjp", "reverse"), ("jvp", "forward"), ("hvp", "second order")])
@pytest.mark.parametrize("factor", [-1.0, 2.0, 1 + 1e-6])
def test_a_wrong_rule_is_found(rule, check, factor):
    for name in ("softmax", "multiply"):
        primitive = PRIMITIVES[name]
        wrong = dataclasses.replace(primitive, **{rule: scaled(getattr(primitive, rule), factor)})
        assert check_primitive(wrong, 0)[check].status == "wrong"


def test_a_small_value_of_large_terms_is_no_false_alarm_and_no_blind_spot():
    """soft is near 0 here while its terms are not, and l < u forbids to look at the arguments' absolute values."""
    primitive, seed = PRIMITIVES["dsq_soft"], 3844033529
    check_primitive(primitive, seed).require()
    for rule, check in (("vjp", "reverse"), ("jvp", "forward")):
        wrong = dataclasses.replace(primitive, **{rule: scaled(getattr(primitive, rule), 1 + 1e-7)})
        assert check_primitive(wrong, seed)[check].status == "wrong"


# ---- kinks ----


def relu_at(weight, point=0.0):
    def at(draw, dtype):
        return KinkPoint((np.array([point, 1.0, -1.0], dtype),), {}, 0, (0,), weight)

    return Kink("x = 0", "the left slope", at)


def test_the_pick_at_a_kink():
    relu = PRIMITIVES["relu"]
    found = check_kink(relu, relu_at(0.0), SeededDraw(0))
    assert found.status == "right"
    assert "one-sided slopes 0 and 1, pick 0" in found.note
    wrong = check_kink(relu, relu_at(1.0), SeededDraw(0))
    assert wrong.status == "wrong"
    assert "is not the pick declared for x = 0: the left slope (one-sided slopes 0 and 1)" in wrong.failure.reason
    assert "declared not differentiable, but no output has a kink" in (
        check_kink(relu, relu_at(0.0, point=0.5), SeededDraw(0)).failure.reason
    )
    smooth = dataclasses.replace(relu_at(0.0), jump=True)
    assert "no output has a jump" in check_kink(relu, smooth, SeededDraw(0)).failure.reason


@pytest.mark.parametrize("rule", ["vjp", "jvp"])
def test_vjp_and_jvp_each_have_to_give_the_pick(rule):
    relu = PRIMITIVES["relu"]

    def vjp(gy, positive, needs):
        return (gy * np.array([0.5, *positive[1:]]),)

    def jvp(tangents, x):
        return tangents[0] * np.where(x == 0, 0.5, x > 0)

    wrong = dataclasses.replace(relu, **{rule: {"vjp": vjp, "jvp": jvp}[rule]})
    failure = check_kink(wrong, relu_at(0.0), SeededDraw(0)).failure
    assert failure.what.startswith("gradient of argument 0" if rule == "vjp" else "jvp")
    assert failure.analytic != failure.numeric


def test_the_kink_of_a_surrogate_is_where_it_changes():
    hard = PRIMITIVES["dsq_hard"]
    for kink in hard.kinks:
        for seed in range(5):
            assert check_kink(hard, kink, SeededDraw(seed)).status == "right"

            def other(draw, dtype, kink=kink):
                point = kink.at(draw, dtype)
                return dataclasses.replace(point, weight=1 - point.weight)

            assert check_kink(hard, dataclasses.replace(kink, at=other), SeededDraw(seed)).status == "wrong"


def test_a_jump_has_the_declared_derivative():
    sign = PRIMITIVES["sign"]
    for kink in sign.kinks:
        assert kink.jump
        assert check_kink(sign, kink, SeededDraw(1)).status == "right"
        wrong = dataclasses.replace(sign, jvp=lambda tangents, x: tangents[0] * (x == 0))
        assert check_kink(wrong, kink, SeededDraw(1)).status == "wrong"


def test_the_snippet_of_a_kink_runs(capsys):
    failure = check_kink(PRIMITIVES["relu"], relu_at(1.0), SeededDraw(0)).failure
    exec(failure.snippet, {})
    assert "jvp" in capsys.readouterr().out


# ---- float32 ----


def single(primitive, seed=0):
    return check_single(primitive, *primitive.examples(SeededDraw(seed), np.float32), seed)


@pytest.mark.parametrize("rule", ["forward", "vjp", "jvp", "hvp"])
def test_float32_rules_return_float32_and_follow_float64(rule):
    softmax = PRIMITIVES["softmax"]
    assert single(softmax).status == "right"

    def changed(change):
        original = getattr(softmax, rule)

        def wrong(*args, **options):
            found = original(*args, **options)
            if rule == "forward":
                return change(found[0]), found[1]
            return tuple(map(change, found)) if isinstance(found, tuple) else change(found)

        return dataclasses.replace(softmax, **{rule: wrong})

    what = {"forward": "value", "jvp": "jvp"}.get(rule, f"{rule}[0]")
    wide = single(changed(lambda a: a.astype(np.float64)))
    assert (wide.status, wide.failure.what) == ("wrong", f"float32 {what}")
    assert "is float64, not float32" in wide.failure.reason
    biased = single(changed(lambda a: a * np.float32(1.01) if a.dtype == np.float32 else a))
    assert (biased.status, biased.failure.what) == ("wrong", f"float32 {what}")
    exec(biased.failure.snippet, {})


def test_rules_of_a_name():
    rules = rules_of("sum", axis=1)
    x = np.arange(6.0).reshape(2, 3)
    assert rules.function(x).tolist() == [3, 12]
    assert rules.vjp(np.ones(2), x)[0].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert rules.jvp((x,), x).tolist() == [3, 12]


@pytest.mark.parametrize("number", [0, 1])
def test_a_formula_of_gy_says_what_the_gradient_is_at_a_kink(number):
    ewgs = PRIMITIVES["ewgs"]

    def none_at_the_ends(gy, residuals, needs):
        dx, dl, du = ewgs.vjp(gy, residuals, needs)
        x, l, u = residuals[0]
        return dx * ((x > l) & (x < u)), dl, du

    wrong = dataclasses.replace(ewgs, vjp=none_at_the_ends)
    for seed in range(5):
        assert check_kink(ewgs, ewgs.kinks[number], SeededDraw(seed)).status == "right"
        failure = check_kink(wrong, ewgs.kinks[number], SeededDraw(seed)).failure
        assert "formula of gy" in failure.reason


def test_other_arguments_have_numbers_at_a_kink(capsys):
    qil = PRIMITIVES["qil"]

    def vjp(gy, residuals, needs):
        dx, dc, dd, dgamma = qil.vjp(gy, residuals, needs)
        return dx, dc, dd, dgamma * np.nan

    def jvp(tangents, *arrays, **options):
        found = qil.jvp(tangents, *arrays, **options)
        return found if tangents[3] is None else found * np.nan

    for wrong in ({"vjp": vjp}, {"jvp": jvp}):
        failure = check_kink(dataclasses.replace(qil, **wrong), qil.kinks[0], SeededDraw(0)).failure
        assert "argument 3" in failure.what and failure.reason == "is no number at m = c - d"
        exec(failure.snippet, {})  # which shows the same rule, of the registry's own primitive: a number
        assert "nan" not in capsys.readouterr().out.lower()
