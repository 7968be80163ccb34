"""The proofs of lanes: they hold, and can fail."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from minigrad.kernels import SOURCES
from verify.kernels.lanes import Claim, main, prove, refute
from verify.kernels.lanes.winograd import claims, transformed_ranges, x_bound, x_is_the_convolution


def test_everything_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert "NOT" not in capsys.readouterr().out


def test_the_command_takes_no_arguments() -> None:
    command = [sys.executable, "-m", "verify.kernels.lanes", "direct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unrecognized arguments: direct" in done.stderr


def test_two_bits_are_those_of_the_kernel() -> None:
    found = {claim.name: claim.count for claim in claims(3, 3) if "8-bit" in claim.name}
    assert found == {"edge, 8-bit lane": 10, "mixed, 8-bit lane": 4, "middle, 8-bit lane": 1}
    assert transformed_ranges(3, 3)["middle"] == ((-6, 6), (-14, 13))
    assert x_bound(3, 3) == 84


@pytest.mark.parametrize("claim", claims(3, 3), ids=lambda claim: claim.name)
def test_one_product_more_is_refuted(claim: Claim) -> None:
    assert not prove(claim, claim.count + 1)
    assert prove(claim, claim.count)
    v, u = refute(claim, claim.count + 1) or (0, 0)
    assert not claim.lane[0] <= (claim.count + 1) * v * u <= claim.lane[1]


def test_a_wrong_range_is_found() -> None:
    claim = claims(3, 3)[0]
    assert refute(replace(claim, u=(-1, 1)), claim.count + 1) is None


def test_the_identity_needs_the_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert x_is_the_convolution(3)
    wrong = [[2, 1, 1, 0], [0, 1, -1, 2]]
    monkeypatch.setattr("verify.kernels.lanes.winograd.A_T", np.array(wrong))
    assert not x_is_the_convolution(3)


def test_the_plan_has_the_proved_formulas() -> None:
    """Its bounds, as the source states them: whoever changes one comes by here."""
    plan = re.sub(r"\s+", " ", (SOURCES / "src/qconv/neon/winograd_plan.c").read_text(encoding="utf-8"))
    for formula in (
        "plan->v_bound = 2 * n;",
        "plan->x_bound = n * (9 * w + 1);",
        "(parts * w + 1) / 2",
        "127 / (plan->v_bound * plan->u_bound[k])",
        "INT16_BOUND / (plan->v_bound * plan->u_bound[k])",
    ):
        assert formula in plan
