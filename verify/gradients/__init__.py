"""Gradients held against the truth: exact numbers and enclosures, power series, differences, and Taylor's theorem."""

from verify.gradients.adapters import jax_function, torch_function
from verify.gradients.check import check
from verify.gradients.kinks import SMOOTH, Declaration, jump, kink, surrogate
from verify.gradients.taylor import Rate, Rates, taylor_rates
from verify.gradients.verdict import Failure, Result, Verdict

__all__ = [
    "SMOOTH",
    "Declaration",
    "Failure",
    "Rate",
    "Rates",
    "Result",
    "Verdict",
    "check",
    "jax_function",
    "jump",
    "kink",
    "surrogate",
    "taylor_rates",
    "torch_function",
]
