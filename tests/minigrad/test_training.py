"""Training: resumption with the same bits after a kill, both backends, and checkpoints that cannot be used."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minigrad import InputError, backend, checkpoint
from minigrad.data import Dataset, procedural
from minigrad.models import small_cnn
from minigrad.nn import Linear, Module, Sequential
from minigrad.optim import SGD, Group
from minigrad.training import Config, predict, train
from quant.nn.convert import quantize

GROUPS = {
    "weight": Group(weight_decay=5e-4),
    "norm": Group(),
    "range": Group(rate=0.05, clip=1.0),
    "shape": Group(rate=0.05, clip=1.0),
}
CONFIG = Config(steps=6, batch_size=8, rate=0.05, groups=GROUPS)
CONFIGS = {
    "sgd": CONFIG,
    "adam": dataclasses.replace(CONFIG, rate=0.002, optimizer="adam", schedule="one_cycle", warmup=2, clip_norm=0.5),
    "adamw": dataclasses.replace(CONFIG, rate=0.002, optimizer="adamw", optimizer_options={"betas": (0.5, 0.9)}),
}

SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_training import CONFIGS, data, network
from minigrad.training import train
def on_step(done, loss):
    print(done, flush=True)
    if {slow}:
        time.sleep(0.5)
train(network(), data(), CONFIGS[{name!r}], Path({path!r}), checkpoint_every=2, on_step=on_step)
"""


def data() -> Dataset:
    return procedural(1, train=20, test=10)


def network() -> Module:
    return quantize(small_cnn(1))


def digest(model: Module) -> str:
    whole = hashlib.sha256()
    for name, array in sorted(model.state().items()):
        whole.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_killed_run_goes_on_with_the_same_bits(name: str, tmp_path: Path) -> None:
    expected = network()
    history = train(expected, data(), CONFIGS[name])
    path = tmp_path / "run.safetensors"
    folder = str(Path(__file__).parent)
    command = [sys.executable, "-c", SCRIPT.format(folder=folder, path=str(path), name=name, slow=True)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "3":
                break
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    _, record = checkpoint.read(path)
    assert record["steps"] == 2
    resumed = network()
    seen: list[int] = []
    again = train(
        resumed, data(), CONFIGS[name], path, checkpoint_every=2, on_step=lambda done, loss: seen.append(done)
    )
    assert seen == [2, 3, 4, 5, 6]
    assert digest(resumed) == digest(expected)
    assert again == history


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    first = network()
    history = train(first, data(), CONFIG, path)
    before = path.stat().st_mtime_ns
    second = network()
    assert train(second, data(), CONFIG, path) == history
    assert digest(second) == digest(first)
    assert path.stat().st_mtime_ns == before


def test_the_reference_backend_trains_to_the_same_bits() -> None:
    config = Config(steps=1, batch_size=2, rate=0.05, groups=GROUPS)
    results = []
    for implementation in ("c", "numpy"):
        with backend.use(implementation):
            model = network()
            small = procedural(1, train=2, test=1)
            results.append((train(model, small, config).loss, digest(model)))
    assert results[0] == results[1]


def test_the_number_of_threads_does_not_matter() -> None:
    folder = str(Path(__file__).parent)
    script = (
        f"import sys; sys.path.insert(0, {folder!r})\n"
        "from test_training import CONFIG, data, digest, network\n"
        "from minigrad.training import train\n"
        "model = network(); train(model, data(), CONFIG); print(digest(model))"
    )
    digests = set()
    for count in ("1", "3"):
        environment = {**os.environ, "MINIGRAD_THREADS": count}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_loss_falls() -> None:
    model = small_cnn(0)
    config = Config(steps=100, batch_size=10, rate=0.05, groups=GROUPS)
    history = train(model, data(), config)
    assert np.mean(history.loss[-5:]) < 0.5 * np.mean(history.loss[:5])


def test_another_runs_checkpoint_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(network(), data(), CONFIG, path)
    content = path.read_bytes()
    for model, images, config in (
        (network(), data(), Config(steps=6, batch_size=8, rate=0.1, groups=GROUPS)),
        (network(), procedural(2, train=20, test=10), CONFIG),
        (quantize(small_cnn(2)), data(), CONFIG),
        (quantize(small_cnn(1), bits=3), data(), CONFIG),
        (quantize(small_cnn(1), forward="soft"), data(), CONFIG),
        (network(), dataclasses.replace(data(), test_labels=data().test_labels[::-1]), CONFIG),
    ):
        with pytest.raises(InputError, match=r"run.safetensors: the checkpoint of a run with other settings"):
            train(model, images, config, path)
        assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"run.safetensors: not a readable checkpoint .* remove it"):
        train(network(), data(), CONFIG, path)


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(network(), data(), CONFIG, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a readable checkpoint"):
        train(network(), data(), CONFIG, path)


@pytest.mark.parametrize("change", [{"steps": 5}, {"loss": []}, {"steps": "x"}, {"accuracy": 3}, {"loss": None}])
def test_a_damaged_record_is_named(change: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(network(), data(), CONFIG, path)
    arrays, record = checkpoint.read(path)
    checkpoint.write(path, arrays, record | change)
    model = network()
    with pytest.raises(InputError, match=r"run.safetensors: a damaged checkpoint .* remove it"):
        train(model, data(), CONFIG, path)
    assert digest(model) == digest(network())


def test_a_record_of_another_kind_or_a_missing_velocity_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    train(network(), data(), CONFIG, path)
    arrays, record = checkpoint.read(path)
    first = next(name for name in arrays if "velocity" in name)
    for damaged in (
        {n: a for n, a in arrays.items() if n != first},
        arrays | {first: arrays[first].ravel()},
        arrays | {"optimizer.velocity.x": arrays[first]},
        arrays | {"x": arrays[first]},
    ):
        checkpoint.write(path, damaged, record)
        model = network()
        with pytest.raises(InputError, match="a damaged checkpoint"):
            train(model, data(), CONFIG, path)
        assert digest(model) == digest(network())
    checkpoint.write(path, arrays, [1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="other settings"):
        train(network(), data(), CONFIG, path)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"steps": 1.5},
        {"batch_size": 0},
        {"rate": float("nan")},
        {"rate": -1},
        {"clip_norm": 0.0},
        {"clip_norm": float("inf")},
        {"warmup": 1},
        {"warmup": -1},
        {"optimizer": "sgdm"},
    ],
)
def test_bad_settings_are_named(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(change))}: expected"):
        Config(**({"steps": 1, "batch_size": 1, "rate": 0.1, "groups": GROUPS} | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer_options": {"beta": 1}}, "optimizer sgd: expected options among momentum, nesterov, got 'beta'"),
        ({"optimizer_options": {"momentum": 2}}, "momentum: expected 0 <= momentum < 1, got 2"),
        ({"optimizer": "adamw", "optimizer_options": {"momentum": 0.9}}, "optimizer adamw: expected options among"),
        ({"schedule_options": {"factor": 0.5}}, "schedule cosine: expected options among least, got 'factor'"),
        ({"schedule": "exponential"}, "schedule exponential: option 'factor' is missing"),
    ],
)
def test_bad_options_are_named_before_anything_runs(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **change)  # type: ignore[arg-type]


def test_a_diverging_run_stops() -> None:
    config = Config(steps=20, batch_size=8, rate=1e6, groups=GROUPS)
    with np.errstate(all="ignore"), pytest.raises(InputError, match=r"(loss is (nan|inf) at step|lower|NaN|finite)"):
        train(small_cnn(0), data(), config)


def test_an_unknown_schedule_is_named() -> None:
    with pytest.raises(InputError, match=r"schedule: expected one of constant, cosine, .*, got 'linear'"):
        Config(steps=1, batch_size=1, rate=0.1, groups=GROUPS, schedule="linear")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    checkpoint.write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="file: cannot be written: No space left on device"):
        checkpoint.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_checkpoint_keeps_shapes_and_bits(tmp_path: Path) -> None:
    arrays = {
        "scalar": np.array(1.5, np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "empty": np.zeros((0, 3)),
        "byte": np.zeros((), np.uint8),
    }
    checkpoint.write(tmp_path / "c", arrays, {"n": 1})
    back, record = checkpoint.read(tmp_path / "c")
    assert record == {"n": 1}
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


def test_a_parameter_of_two_places_is_moved_once() -> None:
    layer = Linear(np.random.default_rng(0), 2, 2)
    model = Sequential(layer, layer)
    before = layer.weight.data.copy()
    optimizer = SGD(model, GROUPS, momentum=0.0)
    layer.weight.grad = np.ones((2, 2), np.float32)
    optimizer.step(0.1)
    moved = before - layer.weight.data
    assert np.allclose(moved, 0.1 * (1 + 5e-4 * before), rtol=1e-4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_has_threads_of_its_own() -> None:
    model = small_cnn(0)
    images = np.zeros((4, 32, 32, 3), np.uint8)
    means = np.zeros(3, np.uint8)
    predict(model, images, means)
    child = os.fork()
    if child == 0:
        predict(model, images, means)
        os._exit(0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")
