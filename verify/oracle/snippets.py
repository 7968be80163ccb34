"""Code to paste that shows one wrong result, or what was returned in place of one, in the user's own session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verify.oracle.table import Table

__all__ = [
    "Names",
    "codes_call_snippet",
    "codes_snippet",
    "gradient_call_snippet",
    "gradient_snippet",
    "sum_call_snippet",
    "sum_snippet",
    "value_call_snippet",
    "value_snippet",
]


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
    """One wrong value."""
    line, name = _import(names.function)
    expected = _expected(table, case, "y")
    if names.framework == "torch":
        arguments = ", ".join(table.arguments(case))
        lines = [line, *_torch_arguments(table, case)]
        return "\n".join([*lines, f"print({name}({arguments}).item(), 'expected', {expected!r})"])
    x = f"np.array([{float(table.x[case])!r}])"
    return f"import numpy as np\n{line}\n\nprint({name}({_call(table, case, x)})[0], 'expected', {expected!r})"


def gradient_snippet(names: Names, table: Table, case: int, output: str) -> str:
    """One wrong gradient; None where none arrives."""
    expected, place = _expected(table, case, output), table.vectors.gradients.index(output)
    if names.framework == "torch":
        line, name = _import(names.function)
        lines = [
            line,
            *_torch_arguments(table, case),
            f"y = {name}({', '.join(table.arguments(case))})",
            # An output that is detached altogether has no graph to walk.
            f"gradient = torch.autograd.grad(y, {output[1:]}, torch.ones_like(y), allow_unused=True)[0] "
            "if y.requires_grad else None",
            f"print(None if gradient is None else gradient.item(), 'expected', {expected!r})",
        ]
        return "\n".join(lines)
    line, name = _import(names.vjp)
    x = f"np.array([{float(table.x[case])!r}])"
    call = f"{name}(np.ones(1), {_call(table, case, x)})"
    pick = f"[{place}]" if len(table.vectors.gradients) > 1 else ""
    return f"import numpy as np\n{line}\n\nprint(np.ravel({call}{pick})[0], 'expected', {expected!r})"


def codes_snippet(names: Names, table: Table, case: int) -> str:
    """One wrong code."""
    line, name = _import(names.codes)
    x = f"np.array([{float(table.x[case])!r}])"
    accepted = " or ".join(str(code) for code in table.codes[case])
    return f"import numpy as np\n{line}\n\nprint({name}({_call(table, case, x)}), 'expected', {accepted!r})"


# ---- calls that return no result: what they return ----

_DESCRIBE = "print(type({0}).__name__, 'shape', getattr({0}, 'shape', None), 'dtype', getattr({0}, 'dtype', None))"


def _group_x(table: Table, number: int) -> list[str]:
    """Lines that read a group's x: some functions fail for many elements only."""
    method = table.vectors.method
    return ["from verify.oracle.vectors import load", "", f"group = load({method!r}).groups[{number}]"]


def _leaves(x: str) -> str:
    return f"leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ({x}, *group.scalars)]"


def value_call_snippet(names: Names, table: Table, number: int) -> str:
    """What the function returns for a group."""
    line, name = _import(names.function)
    head = [line, *_group_x(table, number)]
    if names.framework == "torch":
        head = ["import torch", *head, _leaves("group.x")]
        call = f"{name}(*leaves, *group.options)"
    else:
        call = f"{name}(group.x.copy(), *group.scalars, *group.options)"
    expected = "print('expected float64, shape', group.x.shape)"
    return "\n".join([*head, f"returned = {call}", _DESCRIBE.format("returned"), expected])


def gradient_call_snippet(names: Names, table: Table, case: int) -> str:
    """What the vjp returns for one element, part by part; of PyTorch, the backward pass."""
    if names.framework == "torch":
        line, name = _import(names.function)
        arguments = list(table.arguments(case))
        leaves = ", ".join(arguments[: len(table.vectors.gradients)])
        lines = [line, *_torch_arguments(table, case), f"y = {name}({', '.join(arguments)})"]
        lines.append(f"returned = torch.autograd.grad(y, [{leaves}], torch.ones_like(y), allow_unused=True)")
    else:
        line, name = _import(names.vjp)
        x = f"np.array([{float(table.x[case])!r}])"
        lines = ["import numpy as np", line, "", f"returned = {name}(np.ones(1), {_call(table, case, x)})"]
    return "\n".join([*lines, *_describe_parts(table, "(1,)")])


def _describe_parts(table: Table, shape: str) -> list[str]:
    first, *rest = table.vectors.gradients
    others = f"; {', '.join(rest)} of shape ()" if rest else ""
    return [
        "print(type(returned).__name__, 'of', len(returned) if isinstance(returned, (tuple, list)) else 1)",
        "for part in returned if isinstance(returned, (tuple, list)) else [returned]:",
        "    " + _DESCRIBE.format("part"),
        f"print({f'expected {1 + len(rest)} of float64: {first} of shape {shape}{others}'!r})",
    ]


def codes_call_snippet(names: Names, table: Table, number: int) -> str:
    """What the function returns for a group."""
    line, name = _import(names.codes)
    call = f"returned = {name}(group.x.copy(), *group.scalars, *group.options)"
    expected = "print('expected integers, shape', group.x.shape)"
    lines = [line, *_group_x(table, number), call, _DESCRIBE.format("returned"), "print(returned)", expected]
    return "\n".join(lines)


# ---- whole groups ----


def _sum_call(names: Names, table: Table, number: int, seed: int, last: list[str]) -> list[str]:
    """Lines that define ``call(x, gy)``, then the x and gy of a group, then ``last``."""
    torch = names.framework == "torch"
    line, name = _import(names.function if torch else names.vjp)
    lines = ["import numpy as np", *(["import torch"] if torch else []), line, *_group_x(table, number)]
    lines += ["", "def call(x, gy):"]
    if torch:
        body = [
            _leaves("x"),
            f"y = {name}(*leaves, *group.options)",
            "if not y.requires_grad:",
            "    return [None] * len(leaves)",
            "return torch.autograd.grad(y, leaves, torch.tensor(gy), allow_unused=True)",
        ]
    else:
        body = [f"return {name}(gy, x.copy(), *group.scalars, *group.options)"]
    lines += [f"    {text}" for text in body]
    gy = f"gy = np.random.default_rng([{seed}, {number}]).standard_normal(len(x))"
    return [*lines, "", "x = group.x[group.decided]", gy, *last]


def sum_call_snippet(names: Names, table: Table, number: int, seed: int) -> str:
    """What the gradients of a whole group are, part by part."""
    last = ["returned = call(x, gy)", *_describe_parts(table, f"({int(table.vectors.groups[number].decided.sum())},)")]
    return "\n".join(_sum_call(names, table, number, seed, last))


def sum_snippet(names: Names, table: Table, number: int, seed: int, output: str, element: int) -> str:
    """A gradient of a whole group, and what the same function gives one element at a time."""
    place = table.vectors.gradients.index(output)
    pick = f"[{place}]" if len(table.vectors.gradients) > 1 or names.framework == "torch" else ""
    one = f"np.ravel(call(x[n : n + 1], np.ones(1)){pick})[0]"
    last = [f"alone = np.array([{one} or 0.0 for n in range(len(x))])  # None is the gradient 0"]
    if place == 0:
        last.append(f"gradient = call(x, gy){pick}")
        last.append(
            f"print(None if gradient is None else np.ravel(gradient)[{element}], 'expected', (gy * alone)[{element}])"
        )
    else:
        last.append(f"print(np.ravel(call(x, gy){pick})[0], 'expected', np.sum(gy * alone))")
    return "\n".join(_sum_call(names, table, number, seed, last))
