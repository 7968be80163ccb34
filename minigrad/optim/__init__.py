"""Optimizers and schedules."""

from minigrad.optim.schedule import Schedule, cosine, step
from minigrad.optim.sgd import SGD, Group

__all__ = ["SGD", "Group", "Schedule", "cosine", "step"]
