"""``minigrad oracle check`` and ``minigrad oracle list``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from minigrad.errors import InputError
from verify.oracle.check import check, require_seed
from verify.oracle.snippets import Names
from verify.oracle.vectors import load, methods

__all__ = ["app", "load_callable"]

app = typer.Typer(no_args_is_help=True, help="Hold your own implementation against the truth.")


def load_callable(target: str, option: str) -> Callable[..., Any]:
    """The function ``MODULE:NAME`` names; modules of the current directory are found first.

    Raises
    ------
    InputError
        If the module cannot be imported, or has nothing callable of this name.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        raise InputError(f"{option}: expected MODULE:CALLABLE, got {target!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a module that calls exit() must not end the check with its status
        raise InputError(
            f"{option}: cannot import {module_name!r} ({type(error).__name__}: {_one_line(error)})"
        ) from None
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise InputError(f"{option}: {module_name!r} has no {path!r}") from None
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{option}: cannot read {part!r} of {target!r} ({type(error).__name__}: {_one_line(error)})"
            ) from None
    if not callable(found):
        raise InputError(f"{option}: {target} is a {type(found).__name__}, not a function")
    return found


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


@app.command("check")
def check_command(
    target: Annotated[str, typer.Argument(metavar="MODULE:CALLABLE", help="Your function, called as `soft` is.")],
    method: Annotated[str, typer.Option(help="What it implements; `minigrad oracle list` names all.")] = "dsq",
    framework: Annotated[str, typer.Option(help="numpy or torch.")] = "numpy",
    vjp: Annotated[
        str | None, typer.Option(metavar="MODULE:CALLABLE", help="NumPy: your gradients, called as `soft_vjp` is.")
    ] = None,
    codes: Annotated[
        str | None, typer.Option(metavar="MODULE:CALLABLE", help="Your integer codes, called as `codes` is.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random incoming gradients.")] = 0,
) -> None:
    """Run your function on every test vector; exit status 0 = it agrees, 1 = it does not, 2 = bad usage."""
    require_seed(seed)  # before the user's modules run
    function = load_callable(target, "MODULE:CALLABLE")
    names = Names(target, vjp or "", codes or "", framework)
    verdict = check(
        function,
        method,
        framework,
        load_callable(vjp, "--vjp") if vjp else None,
        codes=load_callable(codes, "--codes") if codes else None,
        seed=seed,
        names=names,
    )
    text = Text(verdict.text())
    text.stylize("bold green" if verdict.passed else "bold red", 0, 4)
    Console(soft_wrap=True, highlight=False).print(text)
    if not verdict.passed:
        raise typer.Exit(1)


@app.command("list")
def list_command() -> None:
    """Name the methods there are vectors for, and how a function is called."""
    console = Console(soft_wrap=True, highlight=False)
    for name in methods():
        vectors = load(name)
        call = ", ".join([vectors.arguments[0], *vectors.groups[0].parameters])
        console.print(Text(f"{name:<10}{vectors.cases:>5} cases   f({call}) -> y   vectors {vectors.version}"))
