"""What a data set is, and where one comes from: a folder, the environment, or the procedural default."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from minigrad.errors import InputError

__all__ = ["DATA_VARIABLE", "IMAGE_SHAPE", "Dataset", "load"]

DATA_VARIABLE: Final = "MINIGRAD_DATA"
IMAGE_SHAPE: Final = (32, 32, 3)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, in a training and a test part.

    Attributes
    ----------
    name : str
        For people: "CIFAR-10", "CIFAR-100", "procedural".
    train_images, test_images : uint8 array (N, 32, 32, 3)
        NHWC, channels red, green, blue, C-contiguous.
    train_labels, test_labels : int64 array (N,)
        Index into `classes`.
    classes : tuple of str
        One name a class.

    Raises
    ------
    InputError
        An array has another dtype or shape, labels and images differ in number, a part is empty, or a label
        is no index into `classes`.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
                raise InputError(f"{part}_images: expected uint8 (N, 32, 32, 3), got {images.dtype} {images.shape}")
            if labels.dtype != np.int64 or labels.shape != images.shape[:1] or not len(labels):
                raise InputError(
                    f"{part}_labels: expected int64 ({len(images)},) with at least one label, "
                    f"got {labels.dtype} {labels.shape}"
                )
            outside = (labels < 0) | (labels >= len(self.classes))
            if outside.any():
                first = int(outside.argmax())
                raise InputError(
                    f"{part}_labels: label {labels[first]} at image {first}, expected 0..{len(self.classes) - 1}"
                )


def load(
    directory: str | os.PathLike[str] | None = None, *, seed: int = 0, train: int = 6000, test: int = 1500
) -> Dataset:
    """Load the data set of a folder, or the procedural one.

    Parameters
    ----------
    directory : path, optional
        A CIFAR folder (see `minigrad.data.read_cifar`), read whole. By default the folder named by the
        environment variable MINIGRAD_DATA; where that is unset or empty, the procedural set.
    seed : int
        Of the procedural set.
    train, test : int
        Numbers of images of the procedural set.

    Raises
    ------
    InputError
        One line that names the file, the record and what was expected.
    """
    # These modules build a Dataset, so they import this one.
    from minigrad.data.cifar import read_cifar
    from minigrad.data.procedural import procedural

    if directory is not None:
        if not os.fspath(directory):
            raise InputError("directory: expected the path of a CIFAR folder, got an empty one")
        return read_cifar(Path(directory))
    named = os.environ.get(DATA_VARIABLE, "")
    if named:
        try:
            return read_cifar(Path(named))
        except InputError as error:
            raise InputError(f"{DATA_VARIABLE}: {error}") from error
    return procedural(seed, train, test)
