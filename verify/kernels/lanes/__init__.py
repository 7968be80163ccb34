"""Proofs that no lane of the kernels for AArch64 overflows: ``python -m verify.kernels.lanes``.

Each bound that a kernel counts with is proved by z3 over all operands, and one more is refuted with operands that
overflow; the constants and formulas are looked up in the C sources, so that a change there fails the proof.
"""

from verify.kernels.lanes.claims import Claim, prove, refute
from verify.kernels.lanes.direct import check_direct
from verify.kernels.lanes.winograd import check_winograd

__all__ = ["Claim", "check_direct", "check_winograd", "main", "prove", "refute"]


def main() -> int:
    """Print a line a claim; 0 if all hold."""
    return 1 if check_winograd() + check_direct() else 0
