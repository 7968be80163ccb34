"""The gradient certificate of a network: each quantizer, at its learned parameters, against ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigrad.nn import Module
from quant import dsq
from quant.dsq import DSQ
from verify.gradients.truth import Certificate, certify

__all__ = ["certify_quantizer", "points", "quantizers"]


def quantizers(model: Module) -> Iterator[tuple[str, DSQ]]:
    """The quantizers of a converted network, named by layer and role ("layer 2 weights")."""
    number = 0
    for _, module in model.modules():
        owned = {role: getattr(module, f"{role}_quantizer", None) for role in ("activation", "weight")}
        number += hasattr(module, "weight_quantizer")
        for role, quantizer in owned.items():
            if isinstance(quantizer, DSQ):
                layer = number if hasattr(module, "weight_quantizer") else number + 1
                yield f"layer {layer} {role}s", quantizer


def points(l: float, u: float, bits: int, count: int, seed: int) -> np.ndarray:
    """Where to look: the ends and their neighbours, levels, ties (some, from 4 bits on), and ``count`` random ones."""
    n = (1 << bits) - 1
    step = (u - l) / n
    chosen = np.unique(np.linspace(0, n, min(n + 1, 16)).round())
    rng = np.random.Generator(np.random.Philox(key=seed))
    return np.concatenate(
        [
            [
                l,
                u,
                np.nextafter(l, -np.inf),
                np.nextafter(l, np.inf),
                np.nextafter(u, -np.inf),
                np.nextafter(u, np.inf),
            ],
            l + step * chosen,
            l + step * (chosen[:-1] + 0.5),
            rng.uniform(l - 0.2 * (u - l), u + 0.2 * (u - l), count),
        ]
    )


def certify_quantizer(quantizer: DSQ, seed: int, count: int = 60) -> Certificate:
    """Prove the float64 value and gradients of x, l, u and alpha at the learned parameters."""
    l, u, alpha = (float(p) for p in quantizer.parameters_now())
    bits = quantizer.bits
    x = points(l, u, bits, count, seed)
    value = dsq.soft(x, l, u, alpha, bits)
    partials = dsq.soft_partials(x, l, u, alpha, bits)
    return certify(lambda x, l, u, alpha: dsq.soft(x, l, u, alpha, bits), (x, l, u, alpha), value, partials)
