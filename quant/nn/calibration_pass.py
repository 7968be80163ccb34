"""Parameters of quantizers from a calibration pass, in place of the first batch of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Module
from minigrad.tensor import Tensor, no_grad
from quant.nn.layers import QuantizeActivation, QuantizedLayer
from quant.quantizer import Quantizer

__all__ = ["calibrate"]


def calibrate(model: Module, batches: Iterable[np.ndarray]) -> None:
    """Have every quantizer that is enabled choose its parameters from what the float network computes.

    The batches run in evaluation mode with all quantizers switched off, and each layer is then initialised from all of
    its inputs together (``QuantizedLayer.initialise``). So what one quantizer chooses does not depend on another, as it
    does where the first batch of training is taken. The inputs of all layers are in memory at once.

    Parameters
    ----------
    model : Module
        From ``quant.nn.quantize``.
    batches : iterable of arrays (n, ...)
        Network inputs in the model's dtype.

    Raises
    ------
    InputError
        If there is no batch, or a quantizer cannot choose its parameters from its data; the layer is named.
    """
    inputs: dict[str, list[np.ndarray]] = {}
    layers = {name: m for name, m in model.modules() if isinstance(m, (QuantizedLayer, QuantizeActivation))}
    with no_grad(), model.evaluating(), _switched_off(model), _observed(layers, inputs):
        for batch in batches:
            model(Tensor(batch))
    if layers and not inputs:
        raise InputError("batches: expected at least one")
    for name, seen in inputs.items():
        try:
            layers[name].initialise(np.concatenate(seen))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None


@contextmanager
def _switched_off(model: Module) -> Iterator[None]:
    """Within it no quantizer quantizes."""
    before = [(m, m.enabled) for _, m in model.modules() if isinstance(m, Quantizer)]
    try:
        for quantizer, _ in before:
            quantizer.enabled = False
        yield
    finally:
        for quantizer, enabled in before:
            quantizer.enabled = enabled


@contextmanager
def _observed(layers: Mapping[str, Module], inputs: dict[str, list[np.ndarray]]) -> Iterator[None]:
    """Within it what each layer is given is kept, under its name."""

    def watch(name: str, forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def watched(x: Tensor) -> Tensor:
            inputs.setdefault(name, []).append(x.data)
            return forward(x)

        return watched

    # An attribute of the object hides the method of its class until it is deleted again.
    for name, layer in layers.items():
        vars(layer)["forward"] = watch(name, layer.forward)
    try:
        yield
    finally:
        for layer in layers.values():
            del vars(layer)["forward"]
