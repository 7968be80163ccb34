"""State dicts: files that every reader of safetensors understands, and errors that change nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from minigrad import InputError, Tensor, checkpoint
from minigrad.models import small_cnn
from minigrad.nn import BatchNorm, Linear, Module, Parameter, Sequential
from quant.nn.convert import quantize


def network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    model = Sequential(Linear(rng, 3, 5), BatchNorm(5), Linear(rng, 5, 4, np.float64))
    model.layers[1].running_mean += rng.standard_normal(5).astype(np.float32)  # type: ignore[attr-defined]
    return model


def bits(model: Module) -> dict[str, Any]:
    return {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in model.state().items()}


@pytest.mark.parametrize("make", [network, lambda seed: quantize(small_cnn(seed)), lambda seed: Module()])
def test_what_is_saved_is_loaded(make: Any, tmp_path: Path) -> None:
    """Also scalars and bytes (the quantizers' parameters), and a module with nothing."""
    first, second = make(0), make(1)
    first.save(tmp_path / "folder" / "net.safetensors")
    second.load(str(tmp_path / "folder" / "net.safetensors"))
    assert bits(second) == bits(first)


def test_others_read_the_file(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "net.safetensors"
    model.save(path)
    read = load_file(path)
    assert {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in read.items()} == bits(model)
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["record"]) == {"format": "minigrad state", "version": 1}


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_files_of_others_are_read(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    model, path = network(), tmp_path / "net.safetensors"
    save_file({name: np.ascontiguousarray(a) for name, a in model.state().items()}, path, metadata)
    other = network(1)
    other.load(path)
    assert bits(other) == bits(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layers.0.weight"), r"state: missing \['layers.0.weight'\], unknown \[\]"),
        (lambda s: s.update(extra=np.zeros(1)), r"state: missing \[\], unknown \['extra'\]"),
        (
            lambda s: s.update({f"x{n}": np.zeros(1) for n in range(7)}),
            r"state: missing \[\], unknown \['x0', .*, 'x4'\] and 2 more",
        ),
        (
            lambda s: s.update({"layers.2.bias": np.zeros((4, 1))}),
            r"state: layers.2.bias is float64 \(4, 1\), expected float64 \(4,\)",
        ),
        (
            lambda s: s.update({"layers.1.running_mean": np.zeros(5)}),
            r"state: layers.1.running_mean is float64 \(5,\), expected float32 \(5,\)",
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_named_and_nothing_changed(change: Any, message: str, tmp_path: Path) -> None:
    model, path = network(), tmp_path / "net.safetensors"
    before = bits(model)
    wrong = {name: array + 1 for name, array in network(1).state().items()}
    change(wrong)
    save_file(wrong, path)
    with pytest.raises(InputError, match=f"net.safetensors: {message}"):
        model.load(path)
    with pytest.raises(InputError, match=f"^{message}"):
        model.load_state(wrong)
    assert bits(model) == before


def test_what_is_no_array_is_named() -> None:
    model = network()
    with pytest.raises(InputError, match=r"state: layers.0.bias is a list, expected an array"):
        model.load_state(model.state() | {"layers.0.bias": [1.0]})  # type: ignore[arg-type]


def test_what_a_tape_needs_is_not_overwritten() -> None:
    model = network()
    state = {name: array + 1 for name, array in model.state().items()}
    before = bits(model)
    x = Tensor(np.ones((2, 3), np.float32))
    y = model.layers[0](x)
    with pytest.raises(InputError, match=r"state: layers.0.(weight|bias) is locked; a tape still needs its values"):
        model.load_state(state)
    assert bits(model) == before
    y.backward(np.ones((2, 5), np.float32))
    model.load_state(state)
    assert bits(model) != before


@pytest.mark.parametrize("content", [None, b"", b"no safetensors file", "folder"])
def test_a_file_that_cannot_be_read_is_named(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"net.safetensors: not a readable safetensors file \("):
        network().load(path)


def test_bfloat16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(InputError, match=r"net.safetensors: not a readable safetensors file \(.*bfloat16"):
        network().load(path)


@pytest.mark.parametrize("record", [{"run": "x"}, {"format": "minigrad state", "version": 2}, [1], None])
def test_a_file_of_another_kind_is_named(record: Any, tmp_path: Path) -> None:
    """A training run's checkpoint has these arrays under other names, a later version may mean something else."""
    model, path = network(), tmp_path / "net.safetensors"
    checkpoint.write(path, model.state(), record)
    with pytest.raises(InputError, match=r"net.safetensors: expected a 'minigrad state' file of version 1, its record"):
        model.load(path)
    save_file({"a": np.zeros(1)}, path, {"record": "{"})
    with pytest.raises(InputError, match="its record names None"):
        model.load(path)


def test_a_save_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = network(), tmp_path / "net.safetensors"
    model.save(path)
    content = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"net.safetensors: cannot be written: No space left on device"):
        network(1).save(path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_a_shared_parameter_is_saved_once(tmp_path: Path) -> None:
    layer = Linear(np.random.default_rng(0), 2, 2)
    Sequential(layer, layer).save(tmp_path / "net")
    assert sorted(load_file(tmp_path / "net")) == ["layers.0.bias", "layers.0.weight"]


def test_a_transposed_array_keeps_its_order(tmp_path: Path) -> None:
    class Transposed(Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = Parameter(np.asfortranarray(np.arange(6.0).reshape(2, 3)))

    model = Transposed()
    model.save(tmp_path / "net")
    assert load_file(tmp_path / "net")["a"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_a_state_may_be_the_models_own_in_another_order() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Linear(rng, 3, 3), Linear(rng, 3, 3))
    first, second = (layer.weight.data.copy() for layer in model.layers)  # type: ignore[attr-defined]
    own = model.state()
    model.load_state(own | {"layers.0.weight": own["layers.1.weight"], "layers.1.weight": own["layers.0.weight"]})
    assert np.array_equal(model.state()["layers.0.weight"], second)
    assert np.array_equal(model.state()["layers.1.weight"], first)
