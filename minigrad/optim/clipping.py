"""Gradients made shorter before the step. (Bounds on single elements are ``Group.clip``.)"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Parameter
from minigrad.optim.numbers import positive
from minigrad.reduction import tree_sum

__all__ = ["clip_norm", "gradient_norm"]


def gradient_norm(parameters: Mapping[str, Parameter]) -> float:
    """Euclidean norm of all gradients taken as one vector, in float64.

    Elements are scaled by the power of two of the largest, so that squares neither overflow nor vanish; squared and
    added by ``tree_sum``, parameter by parameter, then the parameters' sums by ``tree_sum`` in the order given.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        ``optimizer.parameters`` or ``dict(model.named_parameters())``; those without a gradient count as 0.

    Raises
    ------
    InputError
        If an element is NaN or infinite (the message names the parameter), or the norm exceeds the largest float64.
    """
    gradients = {name: p.grad.astype(np.float64).ravel() for name, p in parameters.items() if p.grad is not None}
    largest = 0.0
    for name, gradient in gradients.items():
        if not np.isfinite(gradient).all():
            raise InputError(f"gradient of {name}: expected finite numbers, got NaN or infinity")
        largest = max(largest, float(np.abs(gradient).max(initial=0.0)))
    exponent = int(np.frexp(largest)[1])
    scaled = [np.ldexp(gradient, -exponent) for gradient in gradients.values()]
    total = tree_sum(np.array([tree_sum(g * g) for g in scaled], np.float64))
    with np.errstate(over="ignore"):
        norm = float(np.ldexp(np.sqrt(total), exponent))
    if norm == float("inf"):
        raise InputError("gradients: their norm is above the largest float64")
    return norm


def clip_norm(parameters: Mapping[str, Parameter], limit: float) -> float:
    """Scale all gradients by limit / norm if their common norm is above the limit (Pascanu et al., ICML 2013, Alg 1).

    For a limit on one parameter alone, give that one: ``clip_norm({"a": model.a}, 1.0)``.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        As for ``gradient_norm``.
    limit : float
        Above 0.

    Returns
    -------
    float
        The norm before scaling.

    Raises
    ------
    InputError
        As ``gradient_norm``; nothing is changed then.
    """
    limit = positive("limit", limit)
    norm = gradient_norm(parameters)
    if norm > limit:
        factor = limit / norm
        for parameter in parameters.values():
            if parameter.grad is not None:
                # A new array: the old one may be somebody else's too.
                parameter.grad = np.asarray(parameter.grad * factor)
    return norm
