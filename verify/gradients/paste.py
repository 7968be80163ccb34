"""Arguments written as Python code, so that a failure can be pasted and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["paste", "paste_call"]


def paste(value: Any) -> str:
    """Code that makes the value again, for arrays and numbers, and tuples, lists and dicts of them; every bit kept."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.size == 0:
            return f"np.zeros({value.shape}, dtype=np.{value.dtype})"
        listed = repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.array({listed}, dtype=np.{value.dtype})"
    if isinstance(value, tuple):
        return f"({', '.join(map(paste, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(paste, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {paste(item)}" for key, item in value.items()) + "}"
    return repr(value)


def paste_call(
    function: Callable[..., Any],
    arrays: Sequence[Any],
    options: Mapping[str, Any],
    gy: Any = None,
    tangents: Sequence[Any] | None = None,
) -> str:
    """The arguments of a function, what it was differentiated with, and its import where it has one."""
    name = getattr(function, "__qualname__", type(function).__name__)
    where = getattr(function, "__module__", None)
    importable = where not in (None, "__main__") and "<" not in name and "." not in name
    lines = ["import numpy as np", f"from {where} import {name}" if importable else f"# {name} of {where}"]
    lines.append(f"arrays = {paste(tuple(np.asarray(a) for a in arrays))}")
    lines.append(f"options = {paste(dict(options))}")
    if gy is not None:
        lines.append(f"gy = {paste(np.asarray(gy))}")
    if tangents is not None:
        lines.append(f"tangents = {paste(tuple(t if t is None else np.asarray(t) for t in tangents))}")
    return "\n".join(lines)
