"""Training of a whole network in epochs and phases.

Methods with a schedule (QN's temperature, IR-Net's slope) take note of each epoch:

    train(model, data, config, on_epoch=functools.partial(set_progress, model))

Quantization Networks (Yang et al., CVPR 2019, section 3.3) trains in three phases, from a float network:

    phases = Phases(model)
    for phase in PHASES:
        phases.begin(phase)
        train(model, data, config, on_epoch=phases.set_progress)
"""

from __future__ import annotations

import numpy as np

from minigrad.errors import InputError
from minigrad.nn import Module, Parameter
from minigrad.tensor import Tensor
from quant.nn.layers import QuantizeActivation, QuantizedLayer
from quant.quantizer import Quantizer

__all__ = ["PHASES", "Phases", "penalty", "set_progress"]

#: Weights are quantized; activations too, while the quantizers of weights stand still; and both learn.
PHASES = ("weights", "activations", "both")


def set_progress(model: Module, epoch: int, epochs: int) -> None:
    """Tell every quantizer of a network that epoch ``epoch`` of ``epochs`` begins, counted from 1.

    Raises
    ------
    InputError
        Unless 1 <= epoch <= epochs.
    """
    _check(epoch, epochs)
    for quantizer in _quantizers(model):
        quantizer.set_progress(epoch, epochs)


def penalty(model: Module) -> Tensor:
    """What the quantizers of a network add to the loss (DSQ's of alpha, PACT's of the end of its range), shape ().

    ``train(model, data, config, objective=lambda loss: loss + penalty(model))``. Quantizers that are off add nothing.
    """
    total = Tensor(np.zeros((), model.parameters()[0].dtype))
    for quantizer in _quantizers(model):
        own = getattr(quantizer, "penalty", None)
        if own is not None and quantizer.enabled:
            total = total + own()
    return total


class Phases:
    """The three phases of a network's training.

    - "weights": quantizers of activations are switched off.
    - "activations": all are on; the parameters of the weights' quantizers do not learn, and their schedules stay at
      their ends. (The paper says "fixed"; the weights themselves go on learning.)
    - "both": all are on and learn; the schedules of both begin again.

    A quantizer chooses its parameters on the first batch of the phase in which it is switched on.

    Parameters
    ----------
    model : Module
        Which of its quantizers' parameters learn is noted now.
    """

    def __init__(self, model: Module) -> None:
        self.phase = "both"
        self._weights, self._activations = _by_role(model)
        self._learned: list[Parameter] = [
            p for quantizer in self._weights for p in quantizer.parameters() if p.requires_grad
        ]

    def begin(self, phase: str) -> None:
        """Switch quantizers and what they learn.

        Raises
        ------
        InputError
            For a name that is not in ``PHASES``.
        """
        if phase not in PHASES:
            raise InputError(f"phase: expected one of {', '.join(PHASES)}, got {phase!r}")
        self.phase = phase
        for quantizer in self._activations:
            quantizer.enabled = phase != "weights"
        for parameter in self._learned:
            parameter.requires_grad = phase != "activations"
            parameter.grad = None

    def set_progress(self, epoch: int, epochs: int) -> None:
        """``set_progress`` of the quantizers that this phase trains; the weights' stay at the end in "activations"."""
        _check(epoch, epochs)
        for quantizer in self._weights:
            quantizer.set_progress(epochs if self.phase == "activations" else epoch, epochs)
        for quantizer in self._activations:
            quantizer.set_progress(epoch, epochs)


def _check(epoch: int, epochs: int) -> None:
    if not 1 <= epoch <= epochs:
        raise InputError(f"epoch: expected 1 to {epochs}, got {epoch!r}")


def _quantizers(model: Module) -> list[Quantizer]:
    return list({id(m): m for _, m in model.modules() if isinstance(m, Quantizer)}.values())


def _by_role(model: Module) -> tuple[list[Quantizer], list[Quantizer]]:
    """The quantizers of weights and those of activations, each once."""
    weights: dict[int, Quantizer] = {}
    activations: dict[int, Quantizer] = {}
    for _, module in model.modules():
        if isinstance(module, QuantizedLayer) and module.weight_quantizer is not None:
            weights[id(module.weight_quantizer)] = module.weight_quantizer
        if isinstance(module, (QuantizedLayer, QuantizeActivation)) and module.activation_quantizer is not None:
            activations[id(module.activation_quantizer)] = module.activation_quantizer
    return list(weights.values()), list(activations.values())
