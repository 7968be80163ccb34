"""The comparison of convolutions: that everyone computes the same thing, never how long it takes."""

import json

import numpy as np
import pytest

from minigrad.kernels import native
from quant.target import NativeTarget
from verify.peers import convolution
from verify.peers.convolution import compare, measure, table
from verify.peers.rivals import TORCH_ENGINES, Layer, onnxruntime_layer, our_layer, torch_layer

SMALL = Layer(size=6, channels=16)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ours_is_compared_before_it_runs(bits: int) -> None:
    run, kernel, out = our_layer(SMALL, bits, "scalar", NativeTarget(native()))
    assert kernel == "scalar"
    before = out.copy()
    out[:] = 0
    run()
    assert np.array_equal(out, before)
    assert len(np.unique(out)) > 1


@pytest.mark.parametrize("engine", TORCH_ENGINES)
def test_torch_computes_the_layer(engine: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; make peers")
    _, off = torch_layer(SMALL, engine)
    assert off <= 1  # it rounds a float


def test_onnxruntime_computes_the_layer() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; make peers")
    _, off = onnxruntime_layer(SMALL)
    assert off <= 1


def test_everyone_runs_in_turn() -> None:
    order: list[str] = []
    medians = compare({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, 0.001)
    assert set(medians) == {"a", "b"}
    turns = [name for name, after in zip(order, [*order[1:], ""], strict=True) if name != after]
    assert turns == ["a", "b"] * 4  # once to see how long it takes, then three rounds


def test_measurement_and_table() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; make peers")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; make peers")
    layers = measure("scalar", [SMALL], [1, 2], 1)
    assert layers["16@6"]["2 bit"]["kernel"] == "scalar"
    measurement = {
        "processor": "some",
        "amx": False,
        "versions": {},
        "limits": {"scalar": {"ISA": "none"}},
        "paths": {"scalar": layers},
    }
    text = table(measurement)
    assert "| 16@6 |" in text and "ISA=none" in text and "no AMX" in text


def test_what_is_stored_is_at_least_as_fast_as_everyone() -> None:
    """The claim the stored measurement makes, not a measurement."""
    kept = json.loads(convolution.STORED.read_text())
    for path, layers in kept["paths"].items():
        for layer, facts in layers.items():
            ours = facts["2 bit"]
            assert ours["kernel"] != "scalar"
            for name, fact in facts.items():
                if name.startswith("PyTorch"):
                    assert fact["milliseconds"] >= ours["milliseconds"], (path, layer, name)
