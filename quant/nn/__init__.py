"""Networks with quantizers: their layers, the way there from a float network, and what is done to a whole one."""

from quant.nn.calibration_pass import calibrate
from quant.nn.convert import quantize
from quant.nn.fold import FoldedLayer, fold_batch_norm
from quant.nn.layers import OutputScale, QConv2d, QLinear, QuantizeActivation, QuantizedLayer
from quant.nn.phases import PHASES, Phases, penalty, set_progress

__all__ = [
    "PHASES",
    "FoldedLayer",
    "OutputScale",
    "Phases",
    "QConv2d",
    "QLinear",
    "QuantizeActivation",
    "QuantizedLayer",
    "calibrate",
    "fold_batch_norm",
    "penalty",
    "quantize",
    "set_progress",
]
