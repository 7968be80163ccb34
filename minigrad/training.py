"""The training loop: progress, history, and checkpoints from which a killed run goes on with the same bits.

Everything a step uses is a function of the configuration and the step's number, so the state of a run is its
parameters, buffers, velocities and the history so far.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from minigrad import checkpoint
from minigrad.data import Dataset, batch, channel_means, normalize, steps_per_epoch
from minigrad.errors import InputError
from minigrad.nn import Module
from minigrad.optim import SGD, Group, Schedule, cosine, step
from minigrad.tensor import Tensor, apply, no_grad

__all__ = ["Config", "History", "accuracy", "predict", "train"]


_GLANCE = 2000


@dataclass(frozen=True)
class Config:
    """What determines a run, beside the model and the data.

    ``schedule`` is "cosine" or "step" (times 0.1 after half and after three quarters). ``groups`` gives the settings
    of each group of parameters.
    """

    steps: int
    batch_size: int
    rate: float
    groups: dict[str, Group]
    schedule: str = "cosine"
    momentum: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: expected a whole number of at least 1, got {value!r}")
        if not 0 < self.rate < float("inf"):
            raise InputError(f"rate: expected a finite number above 0, got {self.rate!r}")

    def learning_rate(self) -> Schedule:
        if self.schedule == "cosine":
            return cosine(self.rate, self.steps)
        if self.schedule == "step":
            return step(self.rate, [self.steps // 2, self.steps * 3 // 4])
        raise InputError(f"schedule: expected 'cosine' or 'step', got {self.schedule!r}")


@dataclass
class History:
    """What a run has seen: the loss of every step, and test accuracies (step, accuracy) when they were measured.

    The last one is of all test images, those on the way of the first 2,000.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[tuple[int, float]] = field(default_factory=list)


def _digest(model: Module, data: Dataset, config: Config, measure_every: int) -> str:
    """Names a run: configuration, data, the model's layers with their options and its arrays before the first step."""
    record = json.dumps([asdict(config), measure_every, model.describe()], sort_keys=True)
    digest = hashlib.sha256(record.encode())
    sets = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    arrays: list[np.ndarray] = [*sets, *model.state().values()]
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def predict(model: Module, images: np.ndarray, means: np.ndarray, batch_size: int = 250) -> np.ndarray:
    """Logits (n, classes) of uint8 images in evaluation mode; the model's own mode is kept."""
    if not len(images):
        raise InputError("images: expected at least one")
    training = model.training
    model.eval()
    parts = []
    with no_grad():
        for n in range(0, len(images), batch_size):
            parts.append(model(Tensor(normalize(images[n : n + batch_size], means))).data)
    model.train(training)
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
    optimizer = SGD(model, config.groups, momentum=config.momentum)
    history, done = History(), 0
    path = None if path is None else Path(path)
    if path is not None and path.exists():
        done = _resume(path, digest, model, optimizer, history)
    if on_step and done:
        on_step(done, history.loss[-1])
    model.train()
    epoch_steps = steps_per_epoch(len(data.train_images), config.batch_size)
    for n in range(done, config.steps):
        epoch, position = divmod(n, epoch_steps)
        x, labels = batch(data, config.seed, epoch, position, config.batch_size, means=means)
        loss = apply("softmax_cross_entropy", model(Tensor(x)), labels)
        history.loss.append(loss.item())
        if not np.isfinite(history.loss[-1]):
            raise InputError(f"training: the loss is {history.loss[-1]} at step {n}; lower the learning rate")
        model.zero_grad()
        loss.backward()
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


def _save(path: Path, digest: str, model: Module, optimizer: SGD, history: History, done: int) -> None:
    arrays = {f"model.{name}": array for name, array in model.state().items()}
    arrays |= {f"velocity.{name}": array for name, array in optimizer.velocity.items()}
    checkpoint.write(path, arrays, {"run": digest, "steps": done, **asdict(history)})


def _resume(path: Path, digest: str, model: Module, optimizer: SGD, history: History) -> int:
    arrays, record = checkpoint.read(path)
    if not isinstance(record, dict) or record.get("run") != digest:
        raise InputError(
            f"{path}: the checkpoint of a run with other settings, data or model; remove it to start again"
        )
    try:
        done = int(record["steps"])
        loss = [float(value) for value in record["loss"]]
        measured = [(int(n), float(a)) for n, a in record["accuracy"]]
        velocity = {name: arrays[f"velocity.{name}"] for name in optimizer.velocity}
        if done < 1 or len(loss) != done or any(velocity[n].shape != v.shape for n, v in optimizer.velocity.items()):
            raise InputError("its parts do not belong together")
        model.load_state({name[6:]: array for name, array in arrays.items() if name.startswith("model.")})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a damaged checkpoint ({error}); remove it to start again") from None
    for name, array in optimizer.velocity.items():
        array[...] = velocity[name]
    history.loss, history.accuracy = loss, measured
    return done
