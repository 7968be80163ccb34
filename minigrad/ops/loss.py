"""Losses: each the mean over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.draw import Draw, floats, shape_of
from minigrad.elementary import exp, log
from minigrad.errors import InputError
from minigrad.ops.arguments import is_number, one_float_dtype
from minigrad.ops.softmax import exponentials, softmax_slope
from minigrad.primitive import Example, Primitive, no_curvature, register
from minigrad.reduction import tree_sum

__all__ = ["cross_entropy_forward", "mse_forward", "nll_forward"]

Array = np.ndarray
Needs = Sequence[bool]
_CLASSES = (1,)


def _check_labels(name: str, x: Array, labels: Array) -> None:
    if x.ndim != 2 or labels.shape != x.shape[:1] or labels.dtype.kind not in "iu":
        raise InputError(
            f"{name}: expected an array (n, classes) and integer labels (n,), "
            f"got {x.shape} and {labels.dtype} {labels.shape}"
        )
    if x.shape[0] == 0:
        raise InputError(f"{name}: the batch is empty")
    wrong = (labels < 0) | (labels >= x.shape[1])
    if wrong.any():
        n = int(np.argmax(wrong))
        raise InputError(f"{name}: labels: expected 0 to {x.shape[1] - 1}, got {labels[n]} at index {n}")


def _picked(x: Array, labels: Array) -> Array:
    return x[np.arange(labels.size), labels]


def _towards_target(x: Array, labels: Array, smoothing: float) -> Array:
    """The sum of target times x in each row; without smoothing only the label's element is looked at."""
    if smoothing == 0:
        return _picked(x, labels)
    one, share = x.dtype.type(1 - smoothing), x.dtype.type(smoothing / x.shape[1])
    # A product 0 * -inf would be NaN.
    certain = one * _picked(x, labels) if one else x.dtype.type(0)
    return certain + share * tree_sum(x.T)


def _minus_target(s: Array, labels: Array, smoothing: float) -> Array:
    number = s.dtype.type
    g = s - number(smoothing / s.shape[1])
    g[np.arange(labels.size), labels] -= number(1 - smoothing)
    return g


def cross_entropy_forward(logits: Array, labels: Array, label_smoothing: float = 0.0) -> tuple[Array, Any]:
    """Cross-entropy of softmax(logits) against the labels, averaged over the batch.

    ``mean_n(log(sum_k exp(x_nk)) - sum_k q_nk x_nk)`` with the target ``q = (1 - e) onehot(label) + e / K`` (Szegedy et
    al. 2016, section 7), e the label smoothing and K the number of classes. For targets that are probabilities of your
    own: ``-(q * log_softmax(x)).sum(1).mean()``.

    Parameters
    ----------
    logits : array (n, classes)
        An element of -inf is a probability of 0: the loss is infinite where the target is not 0 there.
    labels : array of integers (n,)
        From 0 to classes - 1. They have no gradient.
    label_smoothing : float
        e, in [0, 1]; 0 for the plain loss.

    Returns
    -------
    array, shape ()
        In the dtype of the logits. Gradient: ``gy (s - q) / n``, s = softmax(x); second derivative along t:
        ``gy s (t - <s, t>) / n``, row by row.

    Raises
    ------
    InputError
        If the shapes do not fit, the batch is empty, a label is no class, or the smoothing is out of range.
    """
    _check_labels("cross_entropy", logits, labels)
    if not is_number(label_smoothing) or not 0 <= label_smoothing <= 1:
        raise InputError(f"cross_entropy: label_smoothing: expected a number in [0, 1], got {label_smoothing!r}")
    _, shifted, total, s = exponentials(logits, _CLASSES)
    with np.errstate(invalid="ignore"):  # NaN where nothing is above -inf, or something is +inf
        losses = log(total[:, 0]) - _towards_target(shifted, labels, label_smoothing)
    return np.asarray(tree_sum(losses) / labels.size), (s, labels, label_smoothing)


def cross_entropy_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    return _minus_target(*residuals) * (gy / residuals[1].size), None


def cross_entropy_jvp(tangents: Sequence[Any], logits: Array, labels: Array, label_smoothing: float = 0.0) -> Array:
    _, residuals = cross_entropy_forward(logits, labels, label_smoothing)
    along = tree_sum((_minus_target(*residuals) * tangents[0]).T)
    return np.asarray(tree_sum(along) / labels.size)


def cross_entropy_hvp(
    gy: Array, tangents: Sequence[Any], logits: Array, labels: Array, label_smoothing: float = 0.0
) -> tuple[Array | None, ...]:
    _, (s, *_) = cross_entropy_forward(logits, labels, label_smoothing)
    return softmax_slope(s, tangents[0], _CLASSES) * (gy / labels.size), None


def cross_entropy_definition(logits: Array, labels: Array, label_smoothing: float = 0.0) -> Any:
    n, classes = logits.shape
    one = logits[0, 0] * 0 + 1
    loss = 0
    for row, label in zip(logits, labels, strict=True):
        loss = loss + log(sum(exp(x - row[0]) for x in row)) + row[0]
        for k in range(classes):
            target = one * label_smoothing / classes + ((one - label_smoothing) if k == label else 0)
            loss = loss - target * row[k]
    return np.asarray(loss / n, object)


def nll_forward(log_probabilities: Array, labels: Array) -> tuple[Array, Any]:
    """Negative log-likelihood: ``-mean_n(x[n, label_n])``, for the log-probabilities that ``log_softmax`` gives.

    Parameters
    ----------
    log_probabilities : array (n, classes)
    labels : array of integers (n,)
        From 0 to classes - 1. They have no gradient.

    Returns
    -------
    array, shape ()
        In the dtype of the log-probabilities, in which it is linear.

    Raises
    ------
    InputError
        If the shapes do not fit, the batch is empty, or a label is no class.
    """
    _check_labels("nll", log_probabilities, labels)
    return np.asarray(-tree_sum(_picked(log_probabilities, labels)) / labels.size), (log_probabilities.shape, labels)


def nll_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    shape, labels = residuals
    g = np.zeros(shape, gy.dtype)
    g[np.arange(labels.size), labels] = -gy / labels.size
    return g, None


def nll_jvp(tangents: Sequence[Any], log_probabilities: Array, labels: Array) -> Array:
    return nll_forward(tangents[0], labels)[0]


def nll_definition(log_probabilities: Array, labels: Array) -> Any:
    total = sum(-row[label] for row, label in zip(log_probabilities, labels, strict=True))
    return np.asarray(total / len(labels), object)


def _difference(prediction: Array, target: Array) -> Array:
    one_float_dtype("mse", (prediction, target))
    if prediction.shape != target.shape:
        raise InputError(f"mse: expected two arrays of one shape, got {prediction.shape} and {target.shape}")
    if prediction.size == 0:
        raise InputError("mse: the arrays are empty")
    return prediction - target


def mse_forward(prediction: Array, target: Array) -> tuple[Array, Any]:
    """Mean squared error: the mean of ``(prediction - target)^2`` over all elements.

    Parameters
    ----------
    prediction, target : arrays of one shape
        They are not broadcast: (n,) against (n, 1) is an error here.

    Returns
    -------
    array, shape ()
        Gradient of the prediction: ``2 gy (prediction - target) / n``, n the number of elements; of the target, minus
        that. Second derivatives along (t, u): ``2 gy (t - u) / n`` and minus that.

    Raises
    ------
    InputError
        If shapes or dtypes differ, or there are no elements.
    """
    difference = _difference(prediction, target)
    return np.asarray(tree_sum((difference * difference).ravel()) / difference.size), difference


def mse_vjp(gy: Array, residuals: Any, needs: Needs) -> tuple[Array | None, ...]:
    g = residuals * (2 * gy / residuals.size)
    return g if needs[0] else None, -g if needs[1] else None


def _tangent_of_difference(tangents: Sequence[Any]) -> Array:
    t, u = tangents
    if u is None:
        return t
    return -u if t is None else t - u


def mse_jvp(tangents: Sequence[Any], prediction: Array, target: Array) -> Array:
    products = _difference(prediction, target) * _tangent_of_difference(tangents)
    return np.asarray(2 * tree_sum(products.ravel()) / prediction.size)


def mse_hvp(gy: Array, tangents: Sequence[Any], prediction: Array, target: Array) -> tuple[Array | None, ...]:
    g = _tangent_of_difference(tangents) * (2 * gy / prediction.size)
    return g, -g


def mse_definition(prediction: Array, target: Array) -> Any:
    squares = [(prediction[i] - target[i]) * (prediction[i] - target[i]) for i in np.ndindex(*prediction.shape)]
    return np.asarray(sum(squares) / len(squares), object)


def _labelled(draw: Draw, dtype: Any) -> tuple[Array, Array]:
    n, classes = draw.integer(1, 4), draw.integer(1, 5)
    labels = np.array([draw.integer(0, classes - 1) for _ in range(n)])
    return floats(draw, -3.0, 3.0, (n, classes), dtype), labels


def _cross_entropy_examples(draw: Draw, dtype: Any) -> Example:
    logits, labels = _labelled(draw, dtype)
    # Bare exponentials of the large shifts would overflow or vanish.
    shift = np.asarray(draw.choice([0.0, 0.0, 1000.0, -1000.0]), dtype)
    return (logits + shift, labels), {"label_smoothing": draw.choice([0.0, 0.1, 0.5, 1.0])}


def _nll_examples(draw: Draw, dtype: Any) -> Example:
    return _labelled(draw, dtype), {}


def _mse_examples(draw: Draw, dtype: Any) -> Example:
    shape = shape_of(draw, (0, 3), (1, 4))
    a, b = (floats(draw, -2.0, 2.0, shape, dtype) for _ in range(2))
    return (draw.choice([a, np.asarray(a, order="F")]), b), {}


register(
    Primitive(
        "cross_entropy",
        cross_entropy_forward,
        cross_entropy_vjp,
        cross_entropy_jvp,
        definition=cross_entropy_definition,
        domain="labels below the number of classes",
        kinks=(),
        examples=_cross_entropy_examples,
        differentiable=(0,),
        hvp=cross_entropy_hvp,
    )
)
register(
    Primitive(
        "nll",
        nll_forward,
        nll_vjp,
        nll_jvp,
        definition=nll_definition,
        domain="labels below the number of classes",
        kinks=(),
        examples=_nll_examples,
        differentiable=(0,),
        hvp=no_curvature,
    )
)
register(
    Primitive(
        "mse",
        mse_forward,
        mse_vjp,
        mse_jvp,
        definition=mse_definition,
        domain="at least one element",
        kinks=(),
        examples=_mse_examples,
        hvp=mse_hvp,
    )
)
