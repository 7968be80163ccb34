"""From a float network to one with quantizers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Call, Conv2d, GlobalAvgPool, Identity, Linear, Module, Trace, trace
from quant.method import METHODS, ROLES, Method, Role
from quant.nn.layers import QConv2d, QLinear, QuantizeActivation
from quant.nn.rebuild import rebuilt
from quant.nn.signs import Signs, lowest_level
from quant.quantizer import Quantizer

__all__ = ["Bits", "input_shape", "quantize"]

#: Of weights and activations alike, or of weights and of activations; None is full precision.
Bits = int | None | tuple[int | None, int | None]

M = TypeVar("M", bound=Module)

#: A level this far below 0 on data from 0 to 1 makes the quantizer one of signed data.
_SIGNED = -0.1


@dataclass(frozen=True)
class _Choice:
    """How one role is quantized."""

    role: Role
    method: Method
    per_channel: bool
    options: dict[str, Any]
    lowest_known: dict[tuple[int, float], float] = field(default_factory=dict)

    def lowest(self, bits: int, low: float) -> float:
        """The lowest level of a quantizer that is initialised from numbers from ``low`` to 1."""
        key = bits, low
        if key not in self.lowest_known:
            self.lowest_known[key] = lowest_level(self.make(bits, 1, np.float64), low)
        return self.lowest_known[key]

    def make(self, bits: int, channels: int, dtype: type, *, as_role: Role | None = None) -> Quantizer:
        options = {**self.options, "channels": channels} if self.per_channel else self.options
        return self.method.quantizer(bits, as_role or self.role, dtype=dtype, **options)


@dataclass(frozen=True)
class _Layer:
    """A convolution or linear layer of the float network, where it was called, and its widths."""

    name: str
    module: Conv2d | Linear
    calls: tuple[Call, ...]
    weight_bits: int | None
    activation_bits: int | None

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return self.module.weight.shape[-2] * getattr(self.module, "groups", 1)


def quantize(
    model: M,
    weights: str = "dsq",
    activations: str | None = None,
    *,
    bits: Bits = 2,
    edge_bits: Bits = 8,
    layers: Mapping[str | int, Bits] | None = None,
    per_channel: Collection[str] = (),
    weight_options: Mapping[str, Any] | None = None,
    activation_options: Mapping[str, Any] | None = None,
    shape: tuple[int, ...] | None = None,
    **options: Any,
) -> M:
    """A network whose convolutions and linear layers carry quantizers; parameters are shared with ``model``.

    A layer's activations are its input. Before a global average pooling they are quantized in front of it. The first
    layer's input is the network's, and is left as it is.

    Activation quantizers are unsigned, for what a ReLU or the like gives (pooled, reshaped, added or padded, or not).
    Elsewhere, as behind the linear bottlenecks of MobileNetV2, a layer gets a quantizer that has levels on both sides
    of 0: the method's for activations if it chooses levels below 0 for such data, else its quantizer for weights if
    that treats each element by itself (law "elementwise"); with neither, it is an error. A quantizer that is a sign,
    with a level below 0 whatever the data, stands in place of the ReLU before it, which is taken out of the network.

    Parameters
    ----------
    model : Module
        Any network of modules; only ``Conv2d`` and ``Linear`` are quantized.
    weights, activations : str
        Methods (``quant.METHODS``); activations by the same one as weights where not given.
    bits : int, None or (int or None, int or None)
        The width of all layers but the first and the last; of weights and of activations if there are two. None leaves
        them in full precision.
    edge_bits : int, None or (int or None, int or None)
        The width of the first layer's weights and of the last layer.
    layers : mapping
        Widths of single layers, which come before ``bits`` and ``edge_bits``: by their dotted name in ``model``, or by
        their number in the order in which they run, negative from the end. The first layer's input is quantized if
        they say so.
    per_channel : collection of str
        "weight", "activation" or both: quantizers with parameters for each output channel of the weights, or each
        channel of the activations.
    weight_options, activation_options : mapping
        Options of the methods.
    shape : tuple of int
        Of one input; 32x32 pixels by default, with the channels of the first convolution.
    **options
        Options of both methods.

    Raises
    ------
    InputError
        If there is no layer to quantize, a method, layer, width or option is unknown, or a layer's input can be
        negative and the method has no quantizer for that.
    """
    chosen = {
        "weight": _choice("weights", "weight", weights, per_channel, {**options, **(weight_options or {})}),
        "activation": _choice(
            "activations", "activation", activations or weights, per_channel, {**options, **(activation_options or {})}
        ),
    }
    seen = trace(model, shape or input_shape(model), model.parameters()[0].dtype)
    found = _layers(seen, bits, edge_bits, layers or {})
    signs = Signs(seen)
    replacements: dict[Module, list[Module]] = {}
    for layer in found:
        if _is_sign(chosen["activation"], layer):
            for call in layer.calls:
                replacements |= {module: [Identity()] for module in signs.rectifiers(call.x)}
    for layer in found:
        weight = _weight_quantizer(chosen["weight"], layer)
        activation = _activation_quantizer(chosen["activation"], layer, signs)
        pool = _pooling(seen, layer)
        if pool is not None and activation is not None:
            replacements[pool] = [QuantizeActivation(activation), pool]
            activation = None
        kind: Callable[..., Module] = QConv2d if isinstance(layer.module, Conv2d) else QLinear
        replacements[layer.module] = [kind(layer.module, weight=weight, activation=activation)]
    return cast(M, rebuilt(model, replacements))


def _choice(argument: str, role: Role, name: str, per_channel: Collection[str], options: dict[str, Any]) -> _Choice:
    if name not in METHODS:
        raise InputError(f"{argument}: expected one of {', '.join(sorted(METHODS))}, got {name!r}")
    if isinstance(per_channel, str) or any(entry not in ROLES for entry in per_channel):
        raise InputError(f"per_channel: expected a collection of {' and '.join(ROLES)}, got {per_channel!r}")
    return _Choice(role, METHODS[name], role in per_channel, options)


def input_shape(model: Module) -> tuple[int, ...]:
    """The shape of an input: 32x32 pixels of the channels of the first convolution, or a linear layer's features.

    Raises
    ------
    InputError
        If the model has neither.
    """
    for _, module in model.modules():
        if isinstance(module, (Conv2d, QConv2d)):
            return 32, 32, module.weight.shape[2] * module.groups
        if isinstance(module, (Linear, QLinear)):
            return (module.weight.shape[0],)
    raise InputError("model: expected a convolution or a linear layer, it has none")


def _layers(seen: Trace, bits: Bits, edge_bits: Bits, single: Mapping[str | int, Bits]) -> list[_Layer]:
    """The layers in the order in which they run first, with their widths."""
    calls: dict[Conv2d | Linear, list[Call]] = {}
    for call in seen.calls:
        if isinstance(call.module, (Conv2d, Linear)):
            calls.setdefault(call.module, []).append(call)
    if not calls:
        raise InputError("model: expected a convolution or a linear layer without quantizers, it has none")
    widths = [_pair("bits", bits) for _ in calls]
    widths[0], widths[-1] = (_pair("edge_bits", edge_bits)[0], None), _pair("edge_bits", edge_bits)
    if len(widths) == 1:
        widths[0] = (widths[0][0], None)
    names = [own[0].name for own in calls.values()]
    for key, value in single.items():
        place = names.index(key) if key in names else key
        if isinstance(place, bool) or not isinstance(place, int) or not -len(names) <= place < len(names):
            raise InputError(
                f"layers: expected a number below {len(names)} or a name among {', '.join(names)}, got {key!r}"
            )
        widths[place] = _pair(f"layers[{key!r}]", value)
    return [
        _Layer(name, module, tuple(own), *pair)
        for name, (module, own), pair in zip(names, calls.items(), widths, strict=True)
    ]


def _pair(argument: str, value: Bits) -> tuple[int | None, int | None]:
    if not isinstance(value, tuple):
        return value, value
    if len(value) != 2:
        raise InputError(f"{argument}: expected a width, or one of weights and one of activations, got {value!r}")
    return value


@contextmanager
def _named(layer: _Layer) -> Iterator[None]:
    """Within it an InputError names the layer."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{layer.name}: {error}") from None


def _weight_quantizer(choice: _Choice, layer: _Layer) -> Quantizer | None:
    if layer.weight_bits is None:
        return None
    weight = layer.module.weight
    with _named(layer):
        return choice.make(layer.weight_bits, weight.shape[-1], weight.dtype.type)


def _is_sign(choice: _Choice, layer: _Layer) -> bool:
    """Whether the quantizer of a layer's input has a level below 0 on data that has none."""
    with _named(layer):
        return layer.activation_bits is not None and choice.lowest(layer.activation_bits, 0.0) < _SIGNED


def _activation_quantizer(choice: _Choice, layer: _Layer, signs: Signs) -> Quantizer | None:
    bits = layer.activation_bits
    if bits is None:
        return None
    dtype = layer.module.weight.dtype.type
    with _named(layer):
        quantizer = choice.make(bits, layer.inputs, dtype)
        if all(signs.nonnegative(call.x) for call in layer.calls) or choice.lowest(bits, -1.0) < _SIGNED:
            return quantizer
        if "elementwise" in choice.method.laws and bits in choice.method.weights:
            return choice.make(bits, layer.inputs, dtype, as_role="weight")
    raise InputError(
        f"{layer.name}: its input can be negative, and {choice.method.name} has no quantizer for that at {bits} bits; "
        f"leave it in full precision with layers={{{layer.name!r}: ({layer.weight_bits}, None)}}"
    )


def _pooling(seen: Trace, layer: _Layer) -> Module | None:
    """The global average pooling that a layer's input comes from, and no other's."""
    if len(layer.calls) > 1:
        return None
    x = layer.calls[0].x
    pools = [call.module for call in seen.calls if call.y is x and isinstance(call.module, GlobalAvgPool)]
    return pools[0] if pools and seen.uses(x) == 1 else None
