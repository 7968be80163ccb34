"""Averages of the weights on the way, and the batch norm statistics that belong to them.

Averages are of parameters only. The running statistics of batch norm belong to the weights they were taken with, so
after swapping averages in, take them anew::

    with average.swapped():
        reestimate_statistics(model, batches)
        model.eval()
        ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigrad.errors import InputError
from minigrad.nn.module import Module
from minigrad.nn.norm import BatchNorm
from minigrad.nn.state import take_over
from minigrad.optim.numbers import finite
from minigrad.tensor import Tensor, no_grad

__all__ = ["ExponentialAverage", "StochasticAverage", "reestimate_statistics"]


def _put(values: Iterable[tuple[Any, str, np.ndarray]]) -> None:
    """Give attributes new values: into their arrays, or as new arrays where those are locked."""
    for owner, name, new in values:
        array = getattr(owner, name)
        if array.flags.writeable:
            array[...] = new
        else:
            setattr(owner, name, new)


class _Average:
    """Averages by parameter name; a subclass says how far one moves towards the parameter at each update."""

    def __init__(self, model: Module) -> None:
        self.model = model
        self.updates = np.zeros((), np.int64)
        self.averages = {name: p.data.copy() for name, p in model.named_parameters()}

    def share(self, updates: int) -> float:
        """The part of the way to the parameter, after so many updates."""
        raise NotImplementedError(f"{type(self).__name__} defines no share")

    def update(self) -> None:
        """Take in the parameters as they are now: average <- average + share (parameter - average)."""
        share = self.share(int(self.updates))
        for name, parameter in self.model.named_parameters():
            average = self.averages[name]
            average += share * (parameter.data - average)
        self.updates += 1

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within it the model's parameters are the averages.

        Afterwards every parameter and every buffer (running statistics) has its bits again, whatever happened in
        between, and the averages are untouched. What a tape still needs gets a new array, so that a later backward
        uses the values of its forward.
        """
        parameters = dict(self.model.named_parameters())
        buffers = [(module, name) for _, module in self.model.modules() for name in module.buffers]
        values: list[tuple[Any, str, np.ndarray]] = [
            (parameter, "data", self.averages[name]) for name, parameter in parameters.items()
        ]
        before = [(owner, name, getattr(owner, name).copy()) for owner, name, _ in values]
        before += [(module, name, getattr(module, name).copy()) for module, name in buffers]
        try:
            _put(values)
            yield
        finally:
            _put(before)

    def state(self) -> dict[str, np.ndarray]:
        """The averages by name and the number of updates (the arrays themselves, not copies)."""
        return {"updates": self.updates, **{f"average.{name}": array for name, array in self.averages.items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from another ``state``, with the same bits.

        Raises
        ------
        InputError
            If a name is missing or unknown, or a shape or dtype differs; nothing is changed then.
        """
        take_over(self.state(), state, "averages")


class ExponentialAverage(_Average):
    """Exponential moving average: average <- average + (1 - d) (parameter - average).

    d is ``decay``; with ``warmup`` the smaller of it and (1 + n) / (10 + n) after n updates, as in TensorFlow's
    ``ExponentialMovingAverage``, so that the initial weights are forgotten quickly: d = 0.1, 0.18, 0.25, ...

    Parameters
    ----------
    decay : float
        0 <= decay < 1.
    warmup : bool
    """

    def __init__(self, model: Module, decay: float = 0.999, *, warmup: bool = True) -> None:
        self.decay = finite("decay", decay, below=1.0)
        self.warmup = warmup
        super().__init__(model)

    def share(self, updates: int) -> float:
        decay = min(self.decay, (1.0 + updates) / (10.0 + updates)) if self.warmup else self.decay
        return 1.0 - decay


class StochasticAverage(_Average):
    """The mean of the weights at every update (stochastic weight averaging: Izmailov et al., UAI 2018, Algorithm 1).

    Its line w_SWA <- (w_SWA n + w) / (n + 1), as w_SWA + (w - w_SWA) / (n + 1) with 1 / (n + 1) rounded first. Call
    ``update`` at the end of each cycle, or of each epoch at a constant rate.
    """

    def share(self, updates: int) -> float:
        return 1.0 / (updates + 1.0)


def reestimate_statistics(model: Module, batches: Iterable[np.ndarray | Tensor]) -> None:
    """Replace the running statistics of every batch norm by those of a pass over data with the weights as they are.

    The mean over all batches of their mean and unbiased variance, each batch weighted by its number of examples. Only
    batch norms run in training mode meanwhile, each normalising by its batch: there is no dropout, and quantizers are
    hard. Modes and momenta are put back.

    Parameters
    ----------
    model : Module
    batches : iterable of arrays or tensors
        Inputs of the model, examples along the first axis.

    Raises
    ------
    InputError
        If there is no batch; whatever is raised, the statistics stay as they were.
    """
    norms = [module for _, module in model.modules() if isinstance(module, BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    before = [(norm.running_mean, norm.running_variance) for norm in norms]
    found: list[tuple[Any, str, np.ndarray]] = []
    try:
        with model.evaluating():
            for norm, (mean, variance) in zip(norms, before, strict=True):
                norm.training = True
                norm.running_mean, norm.running_variance = np.zeros_like(mean), np.zeros_like(variance)
            _observe(model, norms, batches)
        found = [(norm, name, getattr(norm, name)) for norm in norms for name in BatchNorm.buffers]
    finally:
        for norm, momentum, (mean, variance) in zip(norms, momenta, before, strict=True):
            norm.momentum, norm.running_mean, norm.running_variance = momentum, mean, variance
        _put(found)


def _observe(model: Module, norms: list[BatchNorm], batches: Iterable[np.ndarray | Tensor]) -> None:
    seen = 0
    with no_grad():
        for batch in batches:
            x = batch if isinstance(batch, Tensor) else Tensor(batch)
            if not len(x):
                continue
            seen += len(x)
            for norm in norms:
                norm.momentum = len(x) / seen
            model(x)
    if not seen:
        raise InputError("batches: expected at least one example")
