"""Wall time of layers on this machine, by its own build: a second opinion, and no figure to quote."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quant.runtime import Out, Target, prepare, run_prepared
from verify.kernels.bench.layers import Layer, Width
from verify.kernels.bench.operands import epilogue_for, operands
from verify.kernels.targets import native, runners

__all__ = ["Timing", "host_paths", "time_layer"]

_SECONDS, _LEAST = 0.1, 3


@dataclass(frozen=True)
class Timing:
    """The shortest of some runs of one layer, one thread; and whether its bits are the reference's."""

    layer: Layer
    width: Width
    path: str
    kernel: str
    seconds: float
    is_right: bool

    @property
    def gmacs(self) -> float:
        """10^9 multiply-accumulates a second."""
        return self.layer.macs / self.seconds / 1e9


def host_paths() -> list[str]:
    """The paths this machine runs and the table of kernels has kernels for."""
    return [runner.path for runner in runners(native())]


def time_layer(layer: Layer, width: Width, paths: Sequence[str]) -> list[Timing]:
    """A timing for each path; paths that take the same kernel share one."""
    target = native()
    op, x = next(operands(layer, width))
    sums = op.run(x)
    epilogue = epilogue_for(sums, width)
    right = epilogue.run(sums)
    known: dict[str, Timing] = {}
    timings = []
    for path in paths:
        prepared = prepare(op, x.shape, target, path, epilogue, from_weights=width.from_weights)
        number = target.call("mgk_qconv2d_kernel_of", prepared, prepared.size)
        kernel = target.name_of("mgk_qconv2d_kernel_name", number)
        if kernel not in known:
            is_right = np.array_equal(run_prepared(prepared, op, x, target, epilogue), right)
            known[kernel] = Timing(layer, width, path, kernel, _shortest(target, prepared, x, right), is_right)
        timings.append(Timing(layer, width, path, kernel, known[kernel].seconds, known[kernel].is_right))
    return timings


def _shortest(target: Target, prepared: np.ndarray, x: np.ndarray, like: np.ndarray) -> float:
    """Seconds of the call alone, its buffers made before."""
    out = np.empty_like(like)
    workspace = np.empty(target.call("mgk_qconv2d_workspace_size", prepared, prepared.size), np.uint8)
    arguments = (prepared, prepared.size, x, x.size, Out(out), out.nbytes, 0, 1, Out(workspace), workspace.size)
    best, spent, runs = np.inf, 0.0, 0
    while runs < _LEAST or spent < _SECONDS:
        start = time.perf_counter()
        target.call("mgk_qconv2d_run", *arguments)
        seconds = time.perf_counter() - start
        best, spent, runs = min(best, seconds), spent + seconds, runs + 1
    return best
