"""The check passes right PyTorch implementations, and fails each wrong one with the name of its slip."""

import contextlib
import io

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")

import dsq_torch  # noqa: E402
import dsq_torch_wrong as wrong  # noqa: E402

from minigrad.errors import InputError  # noqa: E402
from verify.oracle.check import check  # noqa: E402


@pytest.mark.parametrize("function", [dsq_torch.soft, dsq_torch.soft_clamped, dsq_torch.soft_by_minimum])
def test_right_implementations_pass(function):
    verdict = check(function, framework="torch")
    assert verdict.passed, verdict.text()
    assert all(not row.bits < 53 for row in verdict.rows), verdict.text()
    assert {row.output for row in verdict.rows} >= {"y", "dx", "dl", "du", "dalpha", "dalpha, by group"}


def test_conventions_at_the_bounds_are_told():
    assert "at x = l the gradients are those inside, as ours" in check(dsq_torch.soft, framework="torch").notes
    split = check(dsq_torch.soft_by_minimum, framework="torch").notes
    assert "at x = u the gradients are a mixture (0.5 of the other side)" in split


@pytest.mark.parametrize(
    "function, outputs, slip, words",
    [
        (wrong.straight_through_index, "dx dl du", "straight-through-index", "plain straight-through"),
        (wrong.alpha_detached, "dalpha", "no-gradient", "no gradient reaches alpha (it is None)"),
        (wrong.alpha_as_a_number, "dalpha", "no-gradient", "no gradient reaches alpha (it is None)"),
        (wrong.leaks_half_a_step, "dx", "leaks-outside", "leaks outside [l, u]"),
        (wrong.detached_altogether, "dx dl du dalpha", "no-gradient", "no gradient reaches x"),
        (wrong.step_detached, "dl du", "step-detached", "treated as a constant"),
        (wrong.du_sign, "du", "sign", "sign is wrong"),
        (wrong.nan_outside, "dx dl du", "not-finite", "clip-bound, outside, far-outside"),
    ],
)
def test_wrong_gradients_are_named(function, outputs, slip, words):
    verdict = check(function, framework="torch")
    assert {row.output for row in verdict.rows if row.wrong} == set(outputs.split())
    assert {diagnosis.name for diagnosis in verdict.diagnoses} == {slip}
    assert words in verdict.text()
    output = io.StringIO()
    if slip != "no-gradient":
        with contextlib.redirect_stdout(output):
            exec(verdict.smallest.snippet, {})
        assert " expected " in output.getvalue()


def test_float32_is_recognised():
    verdict = check(wrong.in_float32, framework="torch")
    assert {d.name for d in verdict.diagnoses} == {"precision", "not-finite"}
    assert "as if computed in float32" in verdict.text()


@pytest.mark.parametrize(
    "function, words",
    [
        (wrong.returns_float32, "dtype torch.float32, expected torch.float64"),
        (wrong.returns_numpy, "returned ndarray, expected a tensor"),
        (wrong.backward_raises, "the backward pass raised AttributeError"),
    ],
)
def test_misbehaviour_is_a_verdict_not_a_traceback(function, words):
    verdict = check(function, framework="torch")
    assert not verdict.passed and words in verdict.problem


def test_a_vjp_is_for_numpy():
    with pytest.raises(InputError, match="--vjp: PyTorch's gradients come through autograd"):
        check(dsq_torch.soft, framework="torch", vjp=dsq_torch.soft)
