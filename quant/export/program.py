"""From a trained network to the integer program."""

from __future__ import annotations

import numpy as np

from minigrad.nn import Sequential
from quant.evaluation import HardNetwork, evaluate_on_integers
from quant.export.thresholds import bisect
from quant.integer import Argmax, Operation, Program, SumPool, Thresholds

__all__ = ["export", "program_of"]


def program_of(network: HardNetwork, name: str) -> Program:
    """The integer program that is the hard evaluation of a network, code for code."""
    ops: list[Operation] = []
    for layer in network.layers:
        thresholds, direction = bisect(layer.epilogue, layer.accumulate.bound)
        ops += [layer.accumulate, Thresholds(thresholds, direction, layer.epilogue.bits)]
    return Program((*ops, SumPool(), network.linear, Argmax()), (32, 32, 3), name)


def export(model: Sequential, means: np.ndarray, name: str = "network") -> Program:
    """``program_of`` the hard evaluation of a trained model.

    Raises
    ------
    quant.evaluation.ExportError
        If a part of the model is no integer operation.
    """
    return program_of(evaluate_on_integers(model, means), name)
