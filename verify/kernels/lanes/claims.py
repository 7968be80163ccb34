"""Claims about lanes, and z3's verdict on them: that some products fit, and that one more does not.

The sums are taken apart so that z3 decides each part at once: one product is bounded over all operands, and sums of
products are linear in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import z3

__all__ = ["INT8", "INT16", "Claim", "bounded", "prove", "refute", "report", "unsatisfiable"]

#: What signed lanes hold.
INT8, INT16 = (-128, 127), (-32768, 32767)


@dataclass(frozen=True)
class Claim:
    """``count`` products of v in ``v`` and u in ``u`` stay within ``lane``; kernels add ``used`` of them at most."""

    name: str
    v: tuple[int, int]
    u: tuple[int, int]
    lane: tuple[int, int]
    count: int
    used: int | None = None

    @property
    def products(self) -> tuple[int, int]:
        """The smallest and the largest product, at corners of the ranges; no less than 0 terms are summed."""
        corners = [a * b for a in self.v for b in self.u]
        return min(0, *corners), max(0, *corners)


def bounded(x: z3.ArithRef, bounds: tuple[int, int]) -> z3.BoolRef:
    """Whether x is within bounds."""
    return z3.And(x >= bounds[0], x <= bounds[1])


def unsatisfiable(*constraints: z3.BoolRef) -> bool:
    """Whether z3 finds that no values meet all constraints."""
    solver = z3.Solver()
    solver.add(*constraints)
    return solver.check() == z3.unsat


def prove(claim: Claim, count: int) -> bool:
    """Whether any ``count`` products, summed one by one, stay within the lane.

    Each product lies in low to high. By induction a sum of k lies in k low to k high: z3 is asked for a product
    outside of its range, for a step that breaks the induction, and for a sum of ``count`` beyond the lane.
    """
    low, high = claim.products
    v, u = z3.Ints("v u")
    inside = (bounded(v, claim.v), bounded(u, claim.u))
    if not unsatisfiable(*inside, z3.Not(bounded(v * u, (low, high)))):
        raise AssertionError(f"{claim.name}: a product is outside of {low} to {high}")
    k, total, term = z3.Ints("k total term")
    step = (k >= 0, k < count, total >= low * k, total <= high * k)
    grown = z3.And(total + term >= low * (k + 1), total + term <= high * (k + 1))
    if not unsatisfiable(*step, bounded(term, (low, high)), z3.Not(grown)):
        return False
    return unsatisfiable(bounded(total, (low * count, high * count)), z3.Not(bounded(total, claim.lane)))


def refute(claim: Claim, count: int) -> tuple[int, int] | None:
    """Operands whose ``count`` equal products leave the lane, found by z3; None if there are none."""
    v, u = z3.Ints("v u")
    solver = z3.Solver()
    solver.add(bounded(v, claim.v), bounded(u, claim.u), z3.Not(bounded(count * v * u, claim.lane)))
    if solver.check() != z3.sat:
        return None
    model = solver.model()
    return model.eval(v).as_long(), model.eval(u).as_long()


def report(claim: Claim) -> bool:
    """Print the verdict on a claim: its count holds, one more does not, and kernels keep to it."""
    held, witness = prove(claim, claim.count), refute(claim, claim.count + 1)
    verdict = "proved" if held else "NOT PROVED"
    more = f"{claim.count + 1} refuted by {witness[0]} x {witness[1]}" if witness else "ONE MORE FITS"
    used = "" if claim.used is None else f", {claim.used} used"
    kept = claim.used is None or 1 <= claim.used <= claim.count
    print(f"  {claim.name}: {claim.count} products {verdict}, {more}{used}{'' if kept else ': NOT KEPT'}")
    return held and witness is not None and kept
