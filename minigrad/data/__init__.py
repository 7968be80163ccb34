"""Data: CIFAR folders, the procedural default, augmentation, normalisation, and batches by address."""

from minigrad.data.augment import pad_crop_flip
from minigrad.data.batches import batch, epoch_order, steps_per_epoch
from minigrad.data.cifar import read_cifar, read_cifar10_binary, read_cifar10_python, read_cifar100_binary
from minigrad.data.dataset import DATA_VARIABLE, Dataset, load
from minigrad.data.normalize import INPUT_SCALE, channel_means, normalize
from minigrad.data.procedural import procedural

__all__ = [
    "DATA_VARIABLE",
    "INPUT_SCALE",
    "Dataset",
    "batch",
    "channel_means",
    "epoch_order",
    "load",
    "normalize",
    "pad_crop_flip",
    "procedural",
    "read_cifar",
    "read_cifar10_binary",
    "read_cifar10_python",
    "read_cifar100_binary",
    "steps_per_epoch",
]
