"""The training loop: progress, history, and checkpoints from which a killed run goes on with the same bits.

Everything a step uses is a function of the configuration and the step's number, so the state of a run is its
parameters, buffers, what the optimizer remembers, and the history so far.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigrad import checkpoint
from minigrad.data import Dataset, batch, channel_means, normalize, steps_per_epoch
from minigrad.errors import InputError
from minigrad.nn import Module
from minigrad.nn.state import check_state
from minigrad.optim import OPTIMIZERS, Group, Optimizer, Schedule, clip_norm
from minigrad.optim.numbers import positive
from minigrad.optim.schedule import check_options, named_schedule
from minigrad.tensor import Tensor, apply, no_grad

__all__ = ["Config", "History", "accuracy", "predict", "train"]


_GLANCE = 2000


@dataclass(frozen=True)
class Config:
    """What determines a run, beside the model and the data.

    Parameters
    ----------
    steps, batch_size : int
        At least 1.
    rate : float
        What the schedule starts from, or for "one_cycle" its peak; above 0.
    groups : dict of str to Group
        The settings of each group of parameters.
    schedule : str
        A name in ``minigrad.optim.schedule.SCHEDULES``; it ends with the run. "multi_step" falls, unless
        ``schedule_options`` has milestones, after half and after three quarters.
    schedule_options, optimizer_options : dict
        Keyword arguments of the schedule and of the optimizer, such as ``{"momentum": 0.9, "nesterov": True}``.
    warmup : int
        The first steps, less than all of them, in which the rate rises to where the schedule begins
        (``minigrad.optim.warmup``).
    optimizer : str
        A name in ``minigrad.optim.OPTIMIZERS``.
    clip_norm : float or None
        Bound on the norm of all gradients together, before bounds on single elements (``Group.clip``).
    seed : int
        Of the order of the images and their augmentation.

    Raises
    ------
    InputError
        For a value that makes no sense, or an unknown name or option.
    """

    steps: int
    batch_size: int
    rate: float
    groups: dict[str, Group]
    schedule: str = "cosine"
    schedule_options: dict[str, Any] = field(default_factory=dict)
    warmup: int = 0
    optimizer: str = "sgd"
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: expected a whole number of at least 1, got {value!r}")
        positive("rate", self.rate)
        if self.clip_norm is not None:
            positive("clip_norm", self.clip_norm)
        self.learning_rate()
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        check_options(f"optimizer {self.optimizer}", OPTIMIZERS[self.optimizer], self.optimizer_options)
        self.make_optimizer(Module())  # checks the options' values

    def learning_rate(self) -> Schedule:
        """The rate of each step."""
        return named_schedule(self.schedule, self.rate, self.steps, self.schedule_options, rise=self.warmup)

    def make_optimizer(self, model: Module) -> Optimizer:
        """An optimizer of the model before its first step."""
        return OPTIMIZERS[self.optimizer](model, self.groups, **self.optimizer_options)


@dataclass
class History:
    """What a run has seen: the loss of every step, and test accuracies (step, accuracy) when they were measured.

    The last one is of all test images, those on the way of the first 2,000.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[tuple[int, float]] = field(default_factory=list)


def _digest(model: Module, data: Dataset, config: Config, measure_every: int) -> str:
    """Names a run: configuration, data, the model's layers with their options and its arrays before the first step."""
    # Options may be NumPy's numbers.
    record = json.dumps(
        [asdict(config), measure_every, model.describe()], sort_keys=True, default=lambda number: number.item()
    )
    digest = hashlib.sha256(record.encode())
    sets = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    arrays: list[np.ndarray] = [*sets, *model.state().values()]
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def predict(model: Module, images: np.ndarray, means: np.ndarray, batch_size: int = 250) -> np.ndarray:
    """Logits (n, classes) of uint8 images in evaluation mode; the modules' own modes are kept."""
    if not len(images):
        raise InputError("images: expected at least one")
    parts = []
    with no_grad(), model.evaluating():
        for n in range(0, len(images), batch_size):
            parts.append(model(Tensor(normalize(images[n : n + batch_size], means))).data)
    return np.concatenate(parts)


def accuracy(model: Module, images: np.ndarray, labels: np.ndarray, means: np.ndarray) -> float:
    """The part of the images whose largest logit is the label's."""
    return float(np.mean(predict(model, images, means).argmax(axis=1) == labels))


def train(
    model: Module,
    data: Dataset,
    config: Config,
    path: str | Path | None = None,
    *,
    on_step: Callable[[int, float], None] | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
    objective: Callable[[Tensor], Tensor] | None = None,
    checkpoint_every: int = 50,
    measure_every: int = 0,
) -> History:
    """Train a model in place.

    Parameters
    ----------
    model : Module
        Its arrays on entry are part of the run's identity.
    path : str, Path or None
        The checkpoint file. If it holds this very run, the run goes on from it (a finished one is only loaded).
    on_step : (steps done, loss), called after each step and once after resuming
    on_epoch : (epoch, epochs), called before the first step of each epoch, counted from 1; and after resuming, for the
        epoch of the last step done
    objective : what is minimised, from the cross entropy of a step (penalties, a factor); that by default
    checkpoint_every, measure_every : in steps; 0 measures the test accuracy at the end only

    Raises
    ------
    InputError
        If the checkpoint is of another run or unreadable, or the loss stops being finite.
    """
    if checkpoint_every < 1 or measure_every < 0:
        raise InputError(f"checkpoint_every, measure_every: got {checkpoint_every} and {measure_every}")
    schedule = config.learning_rate()
    means = channel_means(data.train_images)
    digest = _digest(model, data, config, measure_every)
    optimizer = config.make_optimizer(model)
    history, done = History(), 0
    path = None if path is None else Path(path)
    if path is not None and path.exists():
        done = _resume(path, digest, model, optimizer, history)
    epoch_steps = steps_per_epoch(len(data.train_images), config.batch_size)
    epochs = -(-config.steps // epoch_steps)
    if on_epoch and done:
        on_epoch((done - 1) // epoch_steps + 1, epochs)
    if on_step and done:
        on_step(done, history.loss[-1])
    model.train()
    for n in range(done, config.steps):
        epoch, position = divmod(n, epoch_steps)
        if on_epoch and position == 0:
            on_epoch(epoch + 1, epochs)
        x, labels = batch(data, config.seed, epoch, position, config.batch_size, means=means)
        loss = apply("cross_entropy", model(Tensor(x)), labels)
        if objective:
            loss = objective(loss)
        history.loss.append(loss.item())
        model.zero_grad()
        loss.backward()
        if not np.isfinite(history.loss[-1]):  # after backward, so that no tape holds the model's arrays any more
            raise InputError(f"training: the loss is {history.loss[-1]} at step {n}; lower the learning rate")
        if config.clip_norm is not None:
            clip_norm(optimizer.parameters, config.clip_norm)
        optimizer.step(schedule(n))
        model.project()
        last = n + 1 == config.steps
        if last or (measure_every and (n + 1) % measure_every == 0):
            part = slice(None if last else _GLANCE)
            measured = accuracy(model, data.test_images[part], data.test_labels[part], means)
            history.accuracy.append((n + 1, measured))
        if path is not None and (last or (n + 1) % checkpoint_every == 0):
            _save(path, digest, model, optimizer, history, n + 1)
        if on_step:
            on_step(n + 1, history.loss[-1])
    return history


def _save(path: Path, digest: str, model: Module, optimizer: Optimizer, history: History, done: int) -> None:
    arrays = {f"model.{name}": array for name, array in model.state().items()}
    arrays |= {f"optimizer.{name}": array for name, array in optimizer.state().items()}
    checkpoint.write(path, arrays, {"run": digest, "steps": done, **asdict(history)})


def _resume(path: Path, digest: str, model: Module, optimizer: Optimizer, history: History) -> int:
    arrays, record = checkpoint.read(path)
    if not isinstance(record, dict) or record.get("run") != digest:
        raise InputError(
            f"{path}: the checkpoint of a run with other settings, data or model; remove it to start again"
        )
    parts: dict[str, dict[str, np.ndarray]] = {"model": {}, "optimizer": {}}
    try:
        done = int(record["steps"])
        loss = [float(value) for value in record["loss"]]
        measured = [(int(n), float(a)) for n, a in record["accuracy"]]
        if done < 1 or len(loss) != done:
            raise InputError("its parts do not belong together")
        for name, array in arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = array
        check_state(model.state(), parts["model"])
        check_state(optimizer.state(), parts["optimizer"], "optimizer state")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a damaged checkpoint ({error}); remove it to start again") from None
    model.load_state(parts["model"])
    optimizer.load_state(parts["optimizer"])
    history.loss, history.accuracy = loss, measured
    return done
