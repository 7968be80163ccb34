"""What ``verify.methods`` trains: every method, with what it is paired with, at which widths, and by which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from minigrad.errors import InputError
from quant import METHODS

__all__ = ["FOUR", "Setting", "settings"]

FOUR = ("dsq", "ddq", "qn", "daq")


@dataclass(frozen=True)
class Setting:
    """What is trained: methods by name, widths (weights, activations), and other arguments of ``quant.nn.quantize``.

    ``rates`` are factors of groups of parameters in place of the recipe's; ``target`` is the mean width, in bits, of
    the memory that DDQ's weights are to fit into.
    """

    method: str
    weights: str
    activations: str
    bits: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    target: float | None = None

    @property
    def name(self) -> str:
        """The method and the widths: "dsq W2A2"."""
        learned = f" learned, {self.target:g} on average" if self.target else ""
        return f"{self.method} W{self.bits[0]}A{self.bits[1]}{learned}"


#: What a method is paired with where it has no quantizer of its own for one role, or its paper uses another's.
_PAIRS: dict[str, dict[str, str]] = {
    "bireal": {"weights": "xnor"},
    "n2uq": {"weights": "lsq"},
    "pact": {"weights": "dorefa"},
    "reactnet": {"weights": "xnor"},
    "xnor": {"activations": "binary_connect"},
}
#: What is not at its default: QN's T0 and DDQ's lambda suit the few steps; levels a filter and shifts a channel are
#: the papers'.
_OPTIONS: dict[str, dict[str, Any]] = {
    "ddq": {"correction": 1e-3},
    "lq_nets": {"per_channel": ("weight",)},
    "qn": {"temperature": 20.0},
    "reactnet": {"per_channel": ("activation",)},
}
#: QIL's gradients of its interval are not scaled by the number of elements, nor is a step by the interval's size.
_RATES: dict[str, dict[str, float]] = {"qil": {"range": 1e-3, "shape": 1e-3}}


def settings(methods: Sequence[str] | None = None) -> list[Setting]:
    """The settings of the methods, all by default.

    DSQ, DDQ, QN and DAQ at two bits and at one, and DDQ from four bits with a target of two. Each baseline at its
    natural width: two bits, or that which is nearest.
    """
    chosen: list[Setting] = []
    for name in sorted(METHODS) if methods is None else methods:
        if name not in METHODS:
            raise InputError(f"methods: expected some of {', '.join(sorted(METHODS))}, got {name!r}")
        pair = {"weights": name, "activations": name, **_PAIRS.get(name, {})}
        widths = ((2, 2), (1, 1)) if name in FOUR else ((_nearest(pair, "weights"), _nearest(pair, "activations")),)
        options, rates = _OPTIONS.get(name, {}), _RATES.get(name, {})
        chosen += [Setting(name, pair["weights"], pair["activations"], bits, options, rates) for bits in widths]
        if name == "ddq":
            chosen.append(Setting(name, name, name, (4, 4), options, rates, target=2.0))
    return chosen


def _nearest(pair: Mapping[str, str], role: str) -> int:
    widths = getattr(METHODS[pair[role]], role)
    return min(widths, key=lambda bits: (abs(bits - 2), bits))
