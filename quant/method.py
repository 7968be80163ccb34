"""What a quantization method is, and the registry of all of them.

A method is a file of this package, or a package in it: pure functions over arrays, the primitives that put them on the
tape, a module over those, and a record that says what the method is. In a package those are ``functions``,
``primitive`` and ``quantizer``, with what is the method's own beside them, and the package itself has the equations and
the public names. Verification, tests, documentation and the command line enumerate ``METHODS``.

The pure functions take x, the method's parameters in their order, then options, among them ``bits``:

    soft, soft_vjp      the differentiable forward, and its gradients; for methods that have one
    hard, hard_vjp      the quantizer, and the gradients that training passes through it
    partials            derivatives of every element by x and each parameter, where element depends on element alone
    codes, levels       integer codes of the hard quantizer, uint8, and the value of each code
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from minigrad.draw import Draw
from minigrad.errors import InputError
from minigrad.primitive import PRIMITIVES, Kink, Primitive
from quant.draw import PinnedDraw
from quant.quantizer import Quantizer

__all__ = ["LAWS", "METHODS", "ROLES", "Method", "at_width", "register_method"]

Role = Literal["weight", "activation"]
ROLES: tuple[Role, ...] = ("weight", "activation")

#: What may hold of a method's module, beside what holds of all: codes do not decrease with x, the evaluated value is
#: the level of the code, elements may be permuted.
LAWS: dict[str, str] = {
    "idempotent": "hard(hard(x)) = hard(x), and hard(level) is that level",
    "scales": "quantizing c x gives c times the result for a power of two c, once the module is initialised from c x",
    "shifts": "quantizing x + c gives the result plus c, once the module is initialised from x + c",
    "odd": "quantizing -x gives minus the result, away from ties",
    "between": "the soft value lies between the levels around x, or at the nearest level outside of them",
    "elementwise": "an element's value depends on that element and the parameters alone",
}


@dataclass(frozen=True)
class Method:
    """A quantization method.

    Attributes
    ----------
    name : str
        Name in the registry, and of the method's file or package.
    title : str
        The name in full.
    source : str
        Where its equations are from.
    module : ModuleType
        The file or package with its pure functions.
    parameters : tuple of str
        What it learns or is set by, in the order of the functions' arguments.
    weights, activations : tuple of int
        The bit widths it is defined for, signed for weights and unsigned for activations; empty where it is not.
    make : (bits, role, *, channels, dtype, **options) -> Quantizer
        A module for that role; ``channels`` is the length of the last axis for parameters a channel, None for a tensor.
    primitives : tuple of str
        Its primitives in the registry of the tape; first the one that training uses by default.
    arguments : (bits, role) -> (parameters, options)
        Typical float64 parameters in their order, and the options, of the first primitive; for plots.
    gradient : str
        What its gradient is declared to be, in words.
    laws : frozenset of str
        Which of ``LAWS`` hold.
    per_channel : bool
        Whether ``make`` takes ``channels``.
    single_bits : int
        Stated bound in float32: value and gradients are within 2^-single_bits of the sum of the terms.
    note : str
        What a user has to know: what is reconstructed, what was chosen.
    """

    name: str
    title: str
    source: str
    module: ModuleType
    parameters: tuple[str, ...]
    weights: tuple[int, ...]
    activations: tuple[int, ...]
    make: Callable[..., Quantizer]
    primitives: tuple[str, ...]
    arguments: Callable[[int, Role], tuple[tuple[np.ndarray, ...], dict[str, Any]]]
    gradient: str
    laws: frozenset[str] = frozenset()
    per_channel: bool = True
    single_bits: int = 18
    note: str = ""

    def widths(self, role: Role | None = None) -> tuple[int, ...]:
        """The bit widths for a role; for either where none is named."""
        if role is None:
            return tuple(sorted({*self.weights, *self.activations}))
        if role not in ROLES:
            raise InputError(f"role: expected one of {', '.join(ROLES)}, got {role!r}")
        return self.weights if role == "weight" else self.activations

    def quantizer(self, bits: int, role: Role = "weight", **options: Any) -> Quantizer:
        """A module for that width and role.

        Raises
        ------
        InputError
            If the method is not defined for them, or an option is unknown or outside its domain.
        """
        widths = self.widths(role)
        if isinstance(bits, bool) or not isinstance(bits, (int, np.integer)) or int(bits) not in widths:
            allowed = ", ".join(map(str, widths)) or f"none: it is not defined for {role}s"
            raise InputError(f"bits: {self.name} takes {allowed} for {role}s, got {bits!r}")
        if options.get("channels") is not None and not self.per_channel:
            raise InputError(f"channels: {self.name} has its parameters for the whole tensor")
        try:
            return self.make(int(bits), role, **options)
        except TypeError as refusal:
            raise InputError(f"options of {self.name}: {refusal}") from None


#: Every method by name.
METHODS: dict[str, Method] = {}


def register_method(method: Method) -> Method:
    """Enter a method; its name must be new, its primitives registered, its laws known."""
    if method.name in METHODS:
        raise ValueError(f"a method named {method.name!r} is registered already")
    unknown = [*(p for p in method.primitives if p not in PRIMITIVES), *(law for law in method.laws if law not in LAWS)]
    if unknown or not method.primitives:
        raise ValueError(f"{method.name}: unknown primitives or laws {unknown}")
    METHODS[method.name] = method
    return method


def at_width(primitive: Primitive, bits: int) -> Primitive:
    """A primitive of a quantizer whose examples and points of kinks all have that width."""

    def pinned(examples: Callable[[Draw, Any], Any]) -> Callable[[Draw, Any], Any]:
        return lambda draw, dtype: examples(PinnedDraw(draw, bits), dtype)

    kinks = tuple(Kink(k.where, k.pick, pinned(k.at), k.jump) for k in primitive.kinks)
    return dataclasses.replace(primitive, examples=pinned(primitive.examples), kinks=kinks)
