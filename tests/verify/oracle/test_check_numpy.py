"""The check passes right NumPy implementations, and fails each wrong one with the name of its slip."""

import contextlib
import io
import re

import dsq_numpy
import dsq_numpy_wrong as wrong
import elementary_numpy
import numpy as np
import pytest

from minigrad import elementary
from minigrad.errors import InputError
from quant import dsq
from verify.oracle.check import check
from verify.oracle.vectors import load

# ---- right ones ----


@pytest.mark.parametrize(
    "function, vjp, codes, at_the_bounds",
    [
        (dsq.soft, dsq.soft_vjp, dsq.codes, "those inside, as ours"),
        (dsq_numpy.soft, dsq_numpy.soft_vjp, dsq_numpy.codes, "those inside, as ours"),
        (
            dsq_numpy.soft_clamped,
            dsq_numpy.vjp_in_terms_of_the_bounds,
            dsq_numpy.codes_by_counting,
            "those outside",
        ),
        (dsq_numpy.soft_by_exponentials, None, None, None),
    ],
)
def test_right_implementations_pass(function, vjp, codes, at_the_bounds):
    verdict = check(function, vjp=vjp, codes=codes)
    assert verdict.passed, verdict.text()
    # Room: the worst of all formulations is 32 times inside the tolerance.
    assert all(not row.bits < 53 for row in verdict.rows), verdict.text()
    if vjp is None:
        assert [row.output for row in verdict.rows] == ["y"]
        assert any("gradients were not checked" in note for note in verdict.notes)
    else:
        assert {row.output for row in verdict.rows} >= {"y", "dx", "dl", "du", "dalpha", "du, by group", "codes"}
        assert f"at x = l the gradients are {at_the_bounds}" in verdict.notes
        assert f"at x = u the gradients are {at_the_bounds}" in verdict.notes


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh"])
def test_minigrads_elementary_functions_pass(name):
    assert check(getattr(elementary, name), name).passed


def test_elementary_functions_with_gradients():
    assert check(elementary_numpy.sigmoid, "sigmoid", vjp=elementary_numpy.sigmoid_vjp).passed
    assert check(elementary_numpy.relu, "relu", vjp=elementary_numpy.relu_vjp).passed
    half = check(elementary_numpy.relu, "relu", vjp=elementary_numpy.relu_vjp_half)
    assert half.passed and any("at x = 0.0 the gradients are a mixture (0.5" in note for note in half.notes)
    assert not check(elementary_numpy.relu, "relu", vjp=elementary_numpy.relu_vjp_leaky).passed
    lost = check(elementary_numpy.expm1_by_subtraction, "expm1")
    assert not lost.passed and "tiny" in str(lost.diagnoses[0])


def test_a_value_limited_instead_of_x_may_take_the_other_side_one_ulp_from_a_bound():
    verdict = check(dsq_numpy.soft, vjp=dsq_numpy.vjp_limiting_y)
    assert verdict.passed, verdict.text()
    assert all(not row.bits < 53 for row in verdict.rows), verdict.text()
    for place in ("x = l", "x = u"):
        assert any(n.startswith(f"one ulp beside {place} the gradients of ") for n in verdict.notes), verdict.text()
    # And it is not told of one that needs no allowance.
    assert not any("one ulp beside" in note for note in check(dsq_numpy.soft, vjp=dsq_numpy.soft_vjp).notes)


def test_the_other_side_one_ulp_from_a_bound_is_no_excuse_for_what_is_wrong_elsewhere():
    verdict = check(dsq_numpy.soft, vjp=wrong.leaks_half_a_step_consistently)
    leaking = 0
    for group in load("dsq").groups:
        l, u = group.parameters["l"], group.parameters["u"]
        step = (u - l) / (2 ** group.parameters["bits"] - 1)
        leaking += int(np.sum((group.x < l) & (group.x >= l - step / 2) | (group.x > u) & (group.x <= u + step / 2)))
    # All of them count, those one ulp outside too.
    assert next(row.wrong for row in verdict.rows if row.output == "dx") == leaking >= 4 * len(load("dsq").groups)
    assert not any("one ulp beside" in note for note in verdict.notes)


# ---- wrong gradients ----


@pytest.mark.parametrize(
    "vjp, outputs, slips, words",
    [
        (wrong.straight_through_index, "dx dl du", "straight-through-index", "your dx is plain straight-through"),
        (wrong.alpha_none, "dalpha", "no-gradient", "no gradient reaches alpha"),
        (wrong.alpha_zero, "dalpha", "no-gradient", "no gradient reaches alpha"),
        (wrong.leaks_half_a_step, "dx", "leaks-outside", "leaks outside [l, u]"),
        (wrong.dx_sign, "dx", "sign", "sign is wrong"),
        (wrong.dl_sign, "dl", "sign", "sign is wrong"),
        (wrong.du_sign, "du", "sign", "sign is wrong"),
        (wrong.dalpha_sign, "dalpha", "sign", "sign is wrong"),
        (wrong.dx_doubled, "dx", "factor", "2 times"),
        (wrong.dl_halved, "dl", "factor", "1/2 times"),
        (wrong.swapped, "dl du", "swapped", "dl and du are swapped"),
        (wrong.hard_q, "dl du", "hard-q", "the code stands in place of q"),
        (wrong.alpha_through_s_only, "dalpha", "alpha-through-s-only", "through s"),
        (wrong.alpha_through_k_only, "dalpha", "alpha-through-k-only", "through k"),
        (wrong.step_detached, "dl du", "step-detached", "treated as a constant"),
        (wrong.position_detached, "dl du", "position-detached", "carries no gradient to l and u"),
        (wrong.slightly_off, "du", "precision", "2^-3"),
        (wrong.dx_nan, "dx", "not-finite", "NaN or infinite at"),
        (wrong.mixed_at_the_bounds, "dx dl du", "wrong-at-kinks", "mixed conventions"),
        (wrong.leaks_half_a_step_consistently, "dx dl du", "leaks-outside", "leaks outside [l, u]"),
        (wrong.dx_leaks_one_ulp, "dx", "wrong-at-kinks", "wrong only at kinks"),
        (wrong.beyond_the_interval_one_ulp_outside, "dx dl du", "wrong-at-kinks", "wrong only at kinks"),
        (wrong.du_first_term_sign, "du", "term-sign", "q/N of du"),
        (wrong.du_second_term_sign, "du", "term-sign", "-g v/N of du"),
        (wrong.dl_q_sign, "dl", "term-sign", "-q/N of dl"),
        (wrong.dl_slope_sign, "dl", "term-sign", "g v/N and -g of dl"),
        (wrong.dl_slope_part_sign, "dl", "term-sign", "wrong: -g of dl"),
        (wrong.dalpha_k_sign, "dalpha", "term-sign", "through k of dalpha"),
        (wrong.middle_detached, "dl du", "middle-detached", "middle m carries no gradient"),
        (wrong.k_detached, "dl du", "k-detached", "its D is treated as a constant"),
        (wrong.gradient_without_s, "dx dl du dalpha", "s-missing", "phi lacks the factor s"),
        (wrong.gradient_with_s_of_one, "dx dl du dalpha", "s-missing", "is taken as 1"),
    ],
)
def test_wrong_gradients_are_named(vjp, outputs, slips, words):
    verdict = check(dsq_numpy.soft, vjp=vjp)
    assert not verdict.passed
    assert {row.output for row in verdict.rows if row.wrong} == set(outputs.split())
    assert {diagnosis.name for diagnosis in verdict.diagnoses} == {slips}
    assert {o for diagnosis in verdict.diagnoses for o in diagnosis.outputs} == set(outputs.split())
    text = verdict.text()
    for part in ("FAIL", words, "First failing case", "input     x = ", " expected ", " got ", "To reproduce"):
        assert part in text


@pytest.mark.parametrize(
    "vjp, outputs, words",
    [
        (wrong.averaged, "dl du dalpha", "averaged over the elements"),
        (wrong.gy_ignored, "dx dl du dalpha", "gy is ignored"),
        (wrong.dl_averaged, "dl", "averaged over the elements"),
        (wrong.gy_ignored_in_dx, "dx", "gy is ignored"),
        (wrong.dx_none_for_many, "dx", "no gradient arrives (it is None)"),
    ],
)
def test_wrong_reductions_are_named(vjp, outputs, words):
    verdict = check(dsq_numpy.soft, vjp=vjp, seed=5)
    assert {row.output for row in verdict.rows if row.wrong} == {f"{o}, by group" for o in outputs.split()}
    assert all(words in diagnosis.message for diagnosis in verdict.diagnoses)
    assert len(verdict.diagnoses) == len(outputs.split())
    assert any("seed 5" in note for note in verdict.notes)
    group, first = next(iter(load("dsq").groups)), verdict.first
    assert first.case == "reference as a whole" and first.elements == group.decided.sum() < len(group.ids)
    assert first.got == pytest.approx(_run(first.snippet)[0], rel=1e-12, abs=1e-12)
    assert float(first.expected) == pytest.approx(_run(first.snippet)[1], rel=1e-12)
    assert abs(first.got - float(first.expected)) > first.tolerance
    for part in ("First failing case reference as a whole", f"{first.elements} values of x, l = -1.0", "To reproduce"):
        assert part in verdict.text()


def _run(snippet):
    """What a snippet prints, as two numbers."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(snippet, {})
    got, expected = output.getvalue().split(" expected ")
    return 0.0 if got == "None" else float(got), float(expected)  # None is the gradient 0


# ---- wrong values ----


@pytest.mark.parametrize(
    "function, slips",
    [
        (wrong.hard, {"hard-forward"}),
        (wrong.hard_by_sign, {"hard-forward"}),
        (wrong.clipped_identity, {"clipped-identity"}),
        (wrong.offset_missing, {"offset-missing"}),
        (wrong.too_many_steps, {"levels-for-steps"}),
        (wrong.s_missing, {"s-missing"}),
        (wrong.k_in_base_2, {"log-base-2"}),
        (wrong.k_in_base_10, {"log-base-10"}),
        (wrong.k_without_minus_one, {"k-without-minus-one"}),
        (wrong.not_clipped, {"not-clipped"}),
        (wrong.in_float32, {"precision", "not-finite"}),
        (lambda x, l, u, alpha, bits: dsq_numpy.soft(x, l, u, alpha * (1 + 1e-3), bits), {"unknown"}),
    ],
)
def test_wrong_values_are_named(function, slips):
    verdict = check(function)
    assert not verdict.passed and verdict.rows[0].wrong > 0
    assert {diagnosis.name for diagnosis in verdict.diagnoses} == slips


def test_an_error_of_a_few_ulp_of_the_terms_is_caught():
    """The tolerance has an edge: 2^-48 of the terms."""

    def shifted(exponent):
        return lambda x, l, u, alpha, bits: dsq_numpy.soft(x, l, u, alpha, bits) + 40 * (u - l) * 2.0**exponent

    assert not check(shifted(-46)).passed
    assert check(shifted(-60)).passed


# ---- wrong codes ----


@pytest.mark.parametrize(
    "codes, slip",
    [
        (wrong.codes_ties_down, "ties-down"),
        (wrong.codes_ties_to_even, "ties-to-even"),
        (wrong.codes_rounded_down, "floor"),
        (wrong.codes_signed, "signed-codes"),
    ],
)
def test_wrong_codes_are_named(codes, slip):
    verdict = check(dsq_numpy.soft, codes=codes)
    assert [row.output for row in verdict.rows if row.wrong] == ["codes"]
    assert [diagnosis.name for diagnosis in verdict.diagnoses] == [slip]
    assert verdict.smallest is not None and verdict.smallest.arguments["bits"] == 1


# ---- functions that misbehave ----


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"function": wrong.returns_float32}, "dtype float32, expected float64 in group reference"),
        ({"function": wrong.returns_a_column}, "shape (39, 1), expected (39,)"),
        ({"function": wrong.returns_none}, "returned NoneType, expected a NumPy array"),
        ({"function": wrong.raises}, "the function raised AttributeError: 'numpy.ndarray' object has no attribute"),
        ({"vjp": wrong.three_gradients}, "the vjp returned 3, expected a tuple of 4"),
        ({"vjp": wrong.dl_wrong_shape}, "dl has shape (1,), expected ()"),
        ({"vjp": wrong.du_float32}, "du has dtype float32, expected float64"),
        ({"codes": wrong.codes_of_wrong_length}, "codes has shape (38,), expected (39,)"),
        ({"codes": wrong.codes_not_integers}, "not all integers"),
        ({"codes": wrong.codes_infinite}, "not all integers: some are NaN or infinite"),
        ({"codes": wrong.codes_nan}, "not all integers: some are NaN or infinite"),
        ({"codes": wrong.codes_huge}, "codes reach 1e+300"),
        ({"codes": wrong.codes_beyond_int64}, "codes reach 9.22e+18"),
        ({"codes": wrong.codes_ragged}, "codes is no array of numbers: ValueError"),
        ({"vjp": wrong.dx_ragged}, "dx is no array of numbers: ValueError"),
        ({"function": wrong.exits}, "the function raised SystemExit: 0 (line"),
        ({"vjp": wrong.vjp_exits}, "the vjp raised SystemExit: 0 (line"),
        ({"function": wrong.raises_in_two_lines}, "raised ValueError: first line second line (line"),
        ({"vjp": wrong.dl_not_summed}, "dl has shape (33,), expected ()"),
        ({"function": wrong.one_number_only}, "raised ValueError: The truth value of an array"),
    ],
)
def test_misbehaviour_is_a_verdict_not_a_traceback(arguments, words):
    verdict = check(**{"function": dsq_numpy.soft, **arguments})
    assert not verdict.passed and words in verdict.problem
    assert "l = -1.0, u = 1.0, alpha = 0.2, bits = 2" in verdict.text() and "To reproduce" in verdict.text()
    assert "\n" not in verdict.problem
    # The snippet shows the same: it raises what the function raised, or prints what came back.
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if " raised " in verdict.problem:
            with pytest.raises(BaseException) as caught:
                exec(verdict.problem_snippet, {})
            assert f"raised {caught.type.__name__}:" in verdict.problem
            return
        exec(verdict.problem_snippet, {})
    described = re.search(r"(has|of) (dtype|shape) (\(.*?\)|\w+)", verdict.problem)
    if described:
        assert f"{described[2]} {described[3]}" in output.getvalue()
    assert "expected" in output.getvalue() and "shape" in output.getvalue()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"function": wrong.no_bits}, "the function: cannot be called with 5 arguments"),
        ({"vjp": dsq_numpy.soft}, "--vjp: cannot be called with 6 arguments"),
        ({"codes": wrong.no_bits}, "--codes: cannot be called with 5 arguments"),
        ({"method": "ddq"}, "--method: no vectors for 'ddq'; there are dsq, exp"),
        ({"framework": "tensorflow"}, "--framework: expected numpy or torch"),
        ({"function": np.tanh, "method": "tanh", "codes": wrong.codes_signed}, "--codes: tanh has no codes"),
        ({"seed": -1}, "--seed: expected an integer from 0 up, got -1"),
        ({"seed": -1, "vjp": dsq_numpy.soft_vjp}, "--seed: expected an integer from 0 up, got -1"),
        ({"seed": 0.5}, "--seed: expected an integer from 0 up, got 0.5"),
    ],
)
def test_bad_usage(arguments, words):
    with pytest.raises(InputError) as caught:
        check(**{"function": dsq_numpy.soft, **arguments})
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_function_may_not_change_the_vectors():
    def in_place(x, l, u, alpha, bits):
        y = dsq_numpy.soft(x, l, u, alpha, bits)
        x[:] = 0
        return y

    assert check(in_place).passed
    assert check(dsq_numpy.soft).passed


# ---- what the report offers ----


@pytest.mark.parametrize(
    "arguments",
    [
        {"vjp": wrong.du_sign},
        {"function": wrong.s_missing},
        {"codes": wrong.codes_ties_down},
        {"function": elementary_numpy.relu, "vjp": elementary_numpy.relu_vjp_leaky, "method": "relu"},
        {"function": elementary_numpy.relu, "vjp": elementary_numpy.relu_vjp_in_a_tuple, "method": "relu"},
    ],
)
def test_the_snippet_shows_the_failure(arguments):
    verdict = check(**{"function": dsq_numpy.soft, **arguments})
    for failure in (verdict.first, verdict.smallest):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(failure.snippet, {})
        got, expected = output.getvalue().split(" expected ")
        assert float(got.strip("[]() ,")) == failure.got
        assert expected.strip() == failure.expected.removesuffix(" (a kink)")


def test_the_smallest_input_is_simple():
    verdict = check(dsq_numpy.soft, vjp=wrong.du_sign)
    arguments = verdict.smallest.arguments
    assert arguments["bits"] == 1 and (arguments["l"], arguments["u"]) == (0.0, 1.0)
    assert len(repr(arguments["x"])) <= 4
    assert verdict.first.ulps > 2**40


def test_the_distance_at_a_kink_is_to_the_interval():
    verdict = check(dsq_numpy.soft, vjp=wrong.straight_through_index)
    first = verdict.first
    low, high = 0.0, 0.49437552990064937
    assert first.flags[-1] == "clip-bound" and first.expected == f"from {low!r} to {high!r} (a kink)"
    assert first.got == 1.0 and 2**52 < first.ulps < 2**53.1
