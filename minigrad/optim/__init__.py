"""Optimizers, schedules of the learning rate, gradient clipping, and averages of weights."""

from minigrad.optim.adam import Adam, AdamW
from minigrad.optim.averaging import ExponentialAverage, StochasticAverage, reestimate_statistics
from minigrad.optim.clipping import clip_norm, gradient_norm
from minigrad.optim.optimizer import Group, Optimizer
from minigrad.optim.schedule import Schedule, constant, cosine, exponential, multi_step, one_cycle, step, warmup
from minigrad.optim.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "ExponentialAverage",
    "Group",
    "Optimizer",
    "Schedule",
    "StochasticAverage",
    "clip_norm",
    "constant",
    "cosine",
    "exponential",
    "gradient_norm",
    "multi_step",
    "one_cycle",
    "reestimate_statistics",
    "step",
    "warmup",
]

#: Optimizers by the name a training configuration gives them.
OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
