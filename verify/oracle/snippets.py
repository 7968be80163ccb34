"""Code to paste that shows one wrong result in the user's own session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verify.oracle.table import Table
from verify.oracle.vectors import Group

__all__ = ["Names", "codes_snippet", "gradient_snippet", "sum_snippet", "value_snippet"]


def _name_of(function: Callable[..., Any] | None) -> str:
    if function is None:
        return ""
    module = getattr(function, "__module__", None) or "__main__"
    name = getattr(function, "__qualname__", type(function).__name__)
    if "<" in name:  # made inside another function: look for the name it is known by
        known = vars(sys.modules[module]) if module in sys.modules else {}
        name = next((key for key, value in known.items() if value is function), "your_function")
    return f"{module}:{name}"


@dataclass(frozen=True)
class Names:
    """The functions as ``module:name``, for messages and imports."""

    function: str
    vjp: str
    codes: str
    framework: str

    @classmethod
    def of(cls, function: Any, vjp: Any, codes: Any, framework: str) -> Names:
        return cls(_name_of(function), _name_of(vjp), _name_of(codes), framework)


def _import(name: str) -> tuple[str, str]:
    """The line that imports ``module:attribute.path`` and the expression to call."""
    module, _, path = name.partition(":")
    return f"from {module} import {path.split('.')[0]}", path


def _call(table: Table, case: int, x: str) -> str:
    return ", ".join([x, *(repr(v) for v in list(table.arguments(case).values())[1:])])


def _expected(table: Table, case: int, output: str) -> str:
    expected = table.expected[output]
    low, high = float(expected.low[case]), float(expected.high[case])
    return repr(float(expected.value[case])) if low == high else f"from {low!r} to {high!r}"


def _torch_arguments(table: Table, case: int) -> list[str]:
    x, *rest = table.arguments(case).items()
    lines = ["import torch", "", f"x = torch.tensor([{x[1]!r}], dtype=torch.float64, requires_grad=True)"]
    lines += [
        f"{name} = torch.tensor({value!r}, dtype=torch.float64, requires_grad=True)"
        if isinstance(value, float)
        else f"{name} = {value!r}"
        for name, value in rest
    ]
    return lines


def value_snippet(names: Names, table: Table, case: int) -> str:
    line, name = _import(names.function)
    expected = _expected(table, case, "y")
    if names.framework == "torch":
        arguments = ", ".join(table.arguments(case))
        lines = [line, *_torch_arguments(table, case)]
        return "\n".join([*lines, f"print({name}({arguments}).item(), 'expected', {expected!r})"])
    x = f"np.array([{float(table.x[case])!r}])"
    return f"import numpy as np\n{line}\n\nprint({name}({_call(table, case, x)})[0], 'expected', {expected!r})"


def gradient_snippet(names: Names, table: Table, case: int, output: str) -> str:
    expected, place = _expected(table, case, output), table.vectors.gradients.index(output)
    if names.framework == "torch":
        line, name = _import(names.function)
        arguments = ", ".join(table.arguments(case))
        lines = [line, *_torch_arguments(table, case), "torch.set_printoptions(precision=17)"]
        lines.append(f"{name}({arguments}).sum().backward()")
        return "\n".join([*lines, f"print({output[1:]}.grad, 'expected', {expected!r})"])
    line, name = _import(names.vjp)
    x = f"np.array([{float(table.x[case])!r}])"
    call = f"{name}(np.ones(1), {_call(table, case, x)})"
    pick = (f"[{place}]" if len(table.vectors.gradients) > 1 else "") + ("[0]" if place == 0 else "")
    return f"import numpy as np\n{line}\n\nprint({call}{pick}, 'expected', {expected!r})"


def sum_snippet(names: Names, table: Table, group: Group, seed: int) -> str:
    return (
        f"from verify.oracle.vectors import load\n\n"
        f"group = next(g for g in load({table.vectors.method!r}).groups if g.id == {group.id!r})\n"
        f"x = group.x[~group.kink]  # with a random incoming gradient, seed {seed}"
    )


def codes_snippet(names: Names, table: Table, case: int) -> str:
    line, name = _import(names.codes)
    x = f"np.array([{float(table.x[case])!r}])"
    accepted = " or ".join(str(code) for code in table.codes[case])
    return f"import numpy as np\n{line}\n\nprint({name}({_call(table, case, x)}), 'expected', {accepted!r})"
