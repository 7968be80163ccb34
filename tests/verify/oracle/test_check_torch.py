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


@pytest.mark.parametrize(
    "function", [dsq_torch.soft_value_clamped, dsq_torch.soft_value_chosen, dsq_torch.soft_value_by_minimum]
)
def test_a_limited_value_may_take_the_other_side_one_ulp_from_a_bound(function):
    verdict = check(function, framework="torch")
    assert verdict.passed, verdict.text()
    assert all(not row.bits < 53 for row in verdict.rows), verdict.text()
    assert any(note.startswith("one ulp beside x = u the gradients of ") for note in verdict.notes)


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
    for failure in (verdict.first, verdict.smallest):
        assert _run(failure.snippet) == (failure.got, failure.expected.removesuffix(" (a kink)"))


def _run(snippet):
    """What a snippet prints: the number, where None is the gradient 0, and what is expected."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(snippet, {})
    got, expected = output.getvalue().split(" expected ")
    return 0.0 if got == "None" else pytest.approx(float(got), nan_ok=True), expected.strip()


@pytest.mark.parametrize(
    "function, slips",
    [
        (wrong.straight_through_index_clamped, {"straight-through-index": "dx dl du"}),
        (wrong.straight_through_index_by_detach, {"straight-through-index": "dx dl du"}),
        (wrong.hard_value, {"hard-forward": "y", "hard-q": "dl du"}),
        (wrong.hard_value_by_sign, {"hard-forward": "y", "hard-q": "dl du"}),
        (wrong.hard_gradient, {"hard-q": "dl du"}),
        (wrong.s_missing, {"s-missing": "y dx dl du dalpha"}),
        (wrong.middle_detached, {"middle-detached": "dl du"}),
        (wrong.k_detached, {"k-detached": "dl du"}),
    ],
)
def test_slips_are_named_as_they_are_written(function, slips):
    verdict = check(function, framework="torch")
    named = {}
    for diagnosis in verdict.diagnoses:
        named.setdefault(diagnosis.name, set()).update(diagnosis.outputs)
    assert named == {name: set(outputs.split()) for name, outputs in slips.items()}, verdict.text()
    assert {row.output for row in verdict.rows if row.wrong} == set.union(*named.values())


@pytest.mark.parametrize(
    "function, outputs, words",
    [
        (wrong.averaged, "dl du dalpha", "averaged over the elements"),
        (wrong.detached_for_many, "dx dl du dalpha", "no gradient arrives (it is None)"),
    ],
)
def test_wrong_reductions_are_named(function, outputs, words):
    verdict = check(function, framework="torch", seed=2)
    assert {row.output for row in verdict.rows if row.wrong} == {f"{o}, by group" for o in outputs.split()}
    assert all(words in diagnosis.message for diagnosis in verdict.diagnoses)
    got, expected = _run(verdict.first.snippet)
    assert got == verdict.first.got and float(expected) == pytest.approx(float(verdict.first.expected))


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
        (wrong.exits, "the function raised SystemExit: 0"),
    ],
)
def test_misbehaviour_is_a_verdict_not_a_traceback(function, words):
    verdict = check(function, framework="torch")
    assert not verdict.passed and words in verdict.problem
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        if " raised " in words:
            with pytest.raises((AttributeError, SystemExit)):
                exec(verdict.problem_snippet, {})
            return
        exec(verdict.problem_snippet, {})
    assert ("dtype torch.float32" if "float32" in words else "ndarray shape (39,)") in output.getvalue()


def test_a_vjp_is_for_numpy():
    with pytest.raises(InputError, match="--vjp: PyTorch's gradients come through autograd"):
        check(dsq_torch.soft, framework="torch", vjp=dsq_torch.soft)
