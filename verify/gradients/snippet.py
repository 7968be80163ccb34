"""Code to paste for a failure: it runs as it is where the checked functions are in scope."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verify.gradients.paste import paste

__all__ = ["Names", "check_snippet", "forward_snippet", "name_of", "reverse_snippet", "second_snippet"]

#: Larger arguments are not printed.
_LARGEST = 2000


def name_of(function: Any, otherwise: str) -> str:
    """A function's own name where that is a name one can type."""
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() and not keyword.iskeyword(name) else otherwise


@dataclass(frozen=True)
class Names:
    """How the checked functions are called in a snippet; ``preamble`` is code that defines them."""

    function: str = "function"
    vjp: str = "vjp"
    jvp: str = "jvp"
    hvp: str = "hvp"
    preamble: str = ""

    @classmethod
    def of(cls, function: Any, vjp: Any, jvp: Any, hvp: Any) -> Names:
        return cls(name_of(function, "function"), name_of(vjp, "vjp"), name_of(jvp, "jvp"), name_of(hvp, "hvp"))


def _assign(name: str, value: Any) -> str:
    arrays = value if isinstance(value, (tuple, list)) else (value,)
    sizes = [a.size for a in arrays if isinstance(a, np.ndarray)]
    if sum(sizes) > _LARGEST:
        return f"# {name}: {sum(sizes):,} numbers, those that were checked; not printed"
    return f"{name} = {paste(tuple(value) if isinstance(value, list) else value)}"


def _head(names: Names, args: Sequence[Any]) -> list[str]:
    return ["import numpy as np", *([names.preamble] if names.preamble else []), _assign("args", list(args))]


def _step(reach: float, epsilon: float) -> float:
    return float(f"{reach * np.cbrt(epsilon):.1e}")


def _subscript(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _either_side(argument: Any, position: int, at: str) -> list[str]:
    """Lines that move one element of the argument of ``above`` and ``below``; a Python number stays one."""
    above, below, here = f"above[{position}]", f"below[{position}]", f"args[{position}]"
    if not isinstance(argument, np.ndarray):
        return [f"{above}, {below} = {here} + step, {here} - step"]
    copies = f"{above}, {below} = np.array({here}), np.array({here})"
    return [copies, f"{above}{at or '[...]'} += step", f"{below}{at or '[...]'} -= step"]


def reverse_snippet(
    names: Names,
    args: Sequence[Any],
    gy: Any,
    position: int,
    slot: int,
    index: tuple[int, ...],
    reach: float,
    epsilon: float,
) -> str:
    """Prints the entry ``index`` of gradient ``slot`` of the vjp, and the central difference by that element."""
    at = _subscript(index)
    lines = [
        *_head(names, args),
        _assign("gy", gy),
        f"step = {_step(reach, epsilon)!r}",
        "above, below = list(args), list(args)",
        *_either_side(args[position], position, at),
        f"gradients = {names.vjp}(gy, *args)",
        f"print('analytic', np.asarray(gradients[{slot}]){at})",
        f"difference = np.asarray({names.function}(*above)) - np.asarray({names.function}(*below))",
        "print('numeric ', np.sum(gy * difference) / (2 * step))",
    ]
    return "\n".join(lines)


def _moved(call: str) -> list[str]:
    return [
        "def along(t):",
        "    moved = [a if d is None else a + t * d for a, d in zip(args, tangents)]",
        f"    return {call}",
    ]


def forward_snippet(
    names: Names, args: Sequence[Any], tangents: Sequence[Any], index: tuple[int, ...], epsilon: float
) -> str:
    """Prints the entry ``index`` of the jvp, and the central difference along the tangents."""
    at = _subscript(index)
    lines = [
        *_head(names, args),
        _assign("tangents", list(tangents)),
        f"step = {_step(1.0, epsilon)!r}",
        *_moved(f"np.asarray({names.function}(*moved)){at}"),
        f"print('analytic', np.asarray({names.jvp}(tangents, *args)){at})",
        "print('numeric ', (along(step) - along(-step)) / (2 * step))",
    ]
    return "\n".join(lines)


def second_snippet(
    names: Names,
    args: Sequence[Any],
    gy: Any,
    tangents: Sequence[Any],
    slot: int,
    index: tuple[int, ...],
    epsilon: float,
) -> str:
    """Prints the entry ``index`` of result ``slot`` of the hvp, and the central difference of the vjp."""
    at = _subscript(index)
    lines = [
        *_head(names, args),
        _assign("gy", gy),
        _assign("tangents", list(tangents)),
        f"step = {_step(1.0, epsilon)!r}",
        *_moved(f"np.asarray({names.vjp}(gy, *moved)[{slot}]){at}"),
        f"second = {names.hvp}(gy, tangents, *args)[{slot}]",
        f"print('analytic', 0.0 if second is None else np.asarray(second){at})",
        "print('numeric ', (along(step) - along(-step)) / (2 * step))",
    ]
    return "\n".join(lines)


def check_snippet(names: Names, args: Sequence[Any], options: Sequence[tuple[str, Any]]) -> str:
    """Runs the checks again; ``options`` are those of ``check``, rules by the names they have in a snippet."""
    given = ", ".join(f"{key}={value}" for key, value in options if value is not None)
    head = _head(names, args)
    return "\n".join([*head, "from verify.gradients import check", f"print(check({names.function}, args, {given}))"])
