"""One convolution layer, ours and other frameworks' int8, each as a function without arguments on one thread.

Batch 1, channels last, codes in, codes out. The others compute with uint8 activations and int8 weights, whatever our
bits are: they have nothing narrower.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from quant.integer import Conv2d, Offset, Requantize, Thresholds
from quant.runtime import prepare
from quant.target import NativeTarget

__all__ = ["LAYERS", "TORCH_ENGINES", "Layer", "onnxruntime_layer", "our_layer", "torch_layer"]

#: PyTorch's quantized engines: "x86" picks one of the other two.
TORCH_ENGINES = ("onednn", "fbgemm", "x86")


@dataclass(frozen=True)
class Layer:
    """A 3x3 layer with a border of 1, as many channels out as in."""

    size: int
    channels: int

    @property
    def macs(self) -> int:
        return self.size**2 * 9 * self.channels**2

    @property
    def name(self) -> str:
        return f"{self.channels}@{self.size}"


#: ResNet-18's.
LAYERS = (Layer(56, 64), Layer(28, 128), Layer(14, 256), Layer(7, 512))


def _aligned(size: int) -> np.ndarray:
    """Bytes that begin at a line of the cache, as the other frameworks' do."""
    room = np.zeros(size + 64, np.uint8)
    begin = -room.ctypes.data % 64
    return room[begin : begin + size]


def _operands(layer: Layer, activation_bits: int, weight_bits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (layer.channels, 3, 3, layer.channels)
    x = rng.integers(0, 1 << activation_bits, (1, layer.size, layer.size, layer.channels), np.uint8)
    return x, rng.integers(0, 1 << weight_bits, shape, np.uint8)


def our_layer(layer: Layer, bits: int, path: str, target: NativeTarget) -> tuple[Callable[[], Any], str, np.ndarray]:
    """Our kernel with as many bits in, out and of the weights: a function, the kernel's name and what it writes.

    Codes by thresholds up to 4 bits, requantized above.
    """
    x, codes = _operands(layer, bits, bits)
    op = Conv2d(codes, bits, bits, pads=(1, 1, 1, 1))
    spread = np.sqrt(9 * layer.channels) * 4.0 ** (bits - 1)
    if bits <= 4:
        levels = (1 << bits) - 1
        table = np.rint(spread * np.linspace(-1, 1, levels + 2)[1:-1]).astype(np.int32)
        epilogue: Thresholds | Requantize = Thresholds(
            np.tile(table, (layer.channels, 1)), np.ones(layer.channels, np.int8), bits
        )
    else:
        multiplier = np.full(layer.channels, round(2**30 * 64 / spread), np.int32)
        epilogue = Requantize(multiplier, np.full(layer.channels, 30, np.uint8), 0, 255, None, 128)
    prepared = _aligned(len(made := prepare(op, x.shape, target, path, epilogue)))
    prepared[:] = made
    workspace = _aligned(target.call("mgk_qconv2d_workspace_size", prepared, prepared.size))
    out = _aligned(x.size)
    number = target.call("mgk_qconv2d_kernel_of", prepared, prepared.size)
    arrays = [(a, target.library.pointer("void", a), a.size) for a in (prepared, x, out, workspace)]
    (_, *layer_), (_, *codes_), (_, *out_), (_, *workspace_) = arrays
    function = partial(target.library.lib.mgk_qconv2d_run, *layer_, *codes_, *out_, 0, 1, *workspace_)
    if function() != 0:
        raise RuntimeError(f"mgk_qconv2d_run failed on {layer}")
    expected = epilogue.run(op.run(x))
    if not np.array_equal(out.reshape(expected.shape), expected):
        raise RuntimeError(f"{layer}, {bits} bits, {path}: not the reference's bits")

    def run(keep: Any = arrays) -> None:  # the arrays live as long as the function
        function()

    return run, target.name_of("mgk_qconv2d_kernel_name", number), out


def _int8_operands(layer: Layer) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """uint8 codes, int8 weights (out, in, height, width), the output's scale with zero point 128, exact outputs."""
    x, codes = _operands(layer, 7, 8)
    op = Conv2d(codes, 8, 7, pads=(1, 1, 1, 1), encoding=Offset(128))
    sums = op.run(x)
    scale = float(np.abs(sums).max()) / 127
    expected = np.clip(np.rint(sums / scale) + 128, 0, 255).astype(np.uint8)
    weights = (codes.astype(np.int16) - 128).astype(np.int8).transpose(0, 3, 1, 2)
    return x, np.ascontiguousarray(weights), scale, expected


def torch_layer(layer: Layer, engine: str) -> tuple[Callable[[], Any], int]:
    """PyTorch's quantized convolution: a function, and the largest difference of its codes from the exact ones."""
    import torch

    torch.set_num_threads(1)
    torch.backends.quantized.engine = engine
    x, weights, scale, expected = _int8_operands(layer)
    image = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32)).contiguous(memory_format=torch.channels_last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated
        codes = torch.quantize_per_tensor(image, 1.0, 0, torch.quint8)
        kernel = torch.quantize_per_tensor(torch.from_numpy(weights.astype(np.float32)), 1.0, 0, torch.qint8)
    packed = torch.ops.quantized.conv2d_prepack(
        kernel, torch.zeros(layer.channels), [1, 1], [1, 1], [1, 1], 1
    )  # the engine is chosen here
    function = partial(torch.ops.quantized.conv2d, codes, packed, scale, 128)
    with torch.inference_mode():
        got = function().int_repr().permute(0, 2, 3, 1).numpy()
    return function, int(np.abs(got.astype(int) - expected).max())


def onnxruntime_layer(layer: Layer) -> tuple[Callable[[], Any], int]:
    """onnxruntime's QLinearConv, channels last, so that it transposes nothing; as ``torch_layer``."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    x, weights, scale, expected = _int8_operands(layer)
    constants = {
        "x_scale": np.float32(1),
        "x_zero": np.uint8(0),
        "w": weights,
        "w_scale": np.float32(1),
        "w_zero": np.int8(0),
        "y_scale": np.float32(scale),
        "y_zero": np.uint8(128),
    }
    node = helper.make_node(
        "QLinearConv", ["x", *constants], ["y"], domain="com.microsoft", channels_last=1, pads=[1, 1, 1, 1]
    )
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, x.shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    out = np.empty(x.shape, np.uint8)
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, np.uint8, out.shape, out.ctypes.data)
    session.run_with_iobinding(binding)

    def run(keep: Any = (x, out)) -> None:  # the arrays live as long as the function
        session.run_with_iobinding(binding)

    return run, int(np.abs(out.astype(int) - expected).max())
