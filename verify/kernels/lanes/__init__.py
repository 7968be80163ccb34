"""Proofs that no lane of the integer kernels overflows: ``python -m verify.kernels.lanes``.

Each bound that a kernel counts with is proved by z3 over all operands, and one more is refuted with operands that
overflow; the constants and formulas are looked up in the C sources, so that a change there fails the proof.
"""

from verify.kernels.lanes.claims import Claim, prove, refute
from verify.kernels.lanes.direct import check_direct
from verify.kernels.lanes.modular import check_modular
from verify.kernels.lanes.winograd import check_winograd
from verify.kernels.lanes.x86_direct import check_x86_direct
from verify.kernels.lanes.x86_winograd import check_x86_winograd

__all__ = [
    "Claim",
    "check_direct",
    "check_modular",
    "check_winograd",
    "check_x86_direct",
    "check_x86_winograd",
    "main",
    "prove",
    "refute",
]


def main() -> int:
    """Print a line a claim; 0 if all hold."""
    checks = (check_winograd, check_modular, check_direct, check_x86_winograd, check_x86_direct)
    return 1 if sum(check() for check in checks) else 0
