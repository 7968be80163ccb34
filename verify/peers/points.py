"""The kinks and ties that the frameworks are asked about."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["POINTS", "Point"]


@dataclass(frozen=True)
class Point:
    """One question: a function, its arguments (nested lists), and whether its gradient or its value is asked for.

    The gradient is that of the sum of the results, by every argument.
    """

    function: str
    place: str
    arguments: tuple[object, ...]
    asks: str = "gradient"

    @property
    def name(self) -> str:
        return f"{self.function} {self.place}" + (", value" if self.asks == "value" else "")


def _image(*pixels: float) -> list[object]:
    """One image (1, 2, 2, 1) of four pixels."""
    a, b, c, d = ([p] for p in pixels)
    return [[[a, b], [c, d]]]


POINTS = (
    Point("relu", "at 0", ([0.0],)),
    Point("relu6", "at 0", ([0.0],)),
    Point("relu6", "at 6", ([6.0],)),
    Point("leaky_relu(slope 0.125)", "at 0", ([0.0],)),
    Point("prelu(slope 0.125)", "at 0", ([0.0], 0.125)),
    Point("clip(0, 1)", "at 0", ([0.0],)),
    Point("clip(0, 1)", "at 1", ([1.0],)),
    Point("hardtanh", "at -1", ([-1.0],)),
    Point("hardtanh", "at 1", ([1.0],)),
    Point("hardswish", "at -3", ([-3.0],)),
    Point("hardswish", "at 3", ([3.0],)),
    Point("abs", "at 0", ([0.0],)),
    Point("sign", "at 0", ([0.0],), "value"),
    Point("sign", "at 0", ([0.0],)),
    Point("maximum", "of two equal", ([2.0], [2.0])),
    Point("minimum", "of two equal", ([2.0], [2.0])),
    Point("max", "with 2 equal", ([1.0, 3.0, 3.0],)),
    Point("max", "with 3 equal", ([3.0, 3.0, 3.0],)),
    Point("min", "with 2 equal", ([1.0, 1.0, 3.0],)),
    Point("min", "with 3 equal", ([3.0, 3.0, 3.0],)),
    Point("max pooling 2x2", "with 2 equal", (_image(1.0, 3.0, 3.0, 2.0),)),
    Point("max pooling 2x2", "with 4 equal", (_image(3.0, 3.0, 3.0, 3.0),)),
    Point("sqrt", "at 0", ([0.0],)),
    Point("where(x > 0, sqrt(x), 0)", "at 0", ([0.0],)),
    Point("sqrt(sum(x x))", "at 0", ([0.0, 0.0],)),
    Point("norm", "at 0", ([0.0, 0.0],)),
    Point("power(x, y)", "at (0, 0.5)", ([0.0], [0.5])),
    Point("power(x, y)", "at (0, 1)", ([0.0], [1.0])),
    Point("power(x, y)", "at (0, 2)", ([0.0], [2.0])),
    Point("power(x, y)", "at (0, 0)", ([0.0], [0.0])),
    Point("round", "at -0.5, 0.5, 1.5, 2.5", ([-0.5, 0.5, 1.5, 2.5],), "value"),
    Point("round", "at 0.5", ([0.5],)),
)
