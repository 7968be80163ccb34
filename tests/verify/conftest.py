"""A small CIFAR-10 folder, from the procedural set."""

from pathlib import Path

import numpy as np
import pytest

from minigrad.data import procedural


@pytest.fixture(scope="session")
def cifar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar-10-batches-bin")
    data = procedural(5, train=50, test=10)
    images = np.concatenate([data.train_images, data.test_images])
    labels = np.concatenate([data.train_labels, data.test_labels])
    records = np.concatenate(
        [labels[:, None].astype(np.uint8), images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1
    )
    names = [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]
    for name, part in zip(names, np.split(records, 6), strict=True):
        part.tofile(folder / name)
    (folder / "batches.meta.txt").write_text("\n".join(data.classes) + "\n")
    return folder
