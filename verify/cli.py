"""The command line: a thin shell over the library. Bad input is one line and exit status 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from minigrad.errors import InputError
from minigrad.kernels import KernelError
from verify.kernels.build import BuildError
from verify.oracle.command import app as oracle

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A reference for differentiable quantization: certified gradients, kernels proven bit for bit.",
)
app.add_typer(oracle, name="oracle", help="Hold your own implementation against the truth.")
prove = typer.Typer(no_args_is_help=True)
app.add_typer(prove, name="verify", help="Prove what this package claims.")
measure = typer.Typer(no_args_is_help=True)
app.add_typer(measure, name="bench", help="Measure the kernels.")


@app.command()
def demo(
    data: Annotated[str | None, typer.Option(help="A CIFAR folder; else MINIGRAD_DATA, else procedural.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report and checkpoints.")] = Path("demo"),
    bits: Annotated[int, typer.Option(help="Bits of the inner layers' weights and activations, 1 to 8.")] = 2,
    alpha: Annotated[float, typer.Option(help="Where alpha starts, 0 < alpha < 1.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the data, the weights and the batches.")] = 0,
    float_steps: Annotated[int, typer.Option(help="Training steps in float32.")] = 1316,
    quantized_steps: Annotated[int, typer.Option(help="Training steps with DSQ.")] = 564,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 64,
) -> None:
    """Train with DSQ, certify the gradients, export to integers, compare all targets bit for bit; write a report."""
    from verify.demo import Settings, run  # the rest of the command line starts without loading all this

    if data == "":
        raise InputError("--data: expected a folder, got an empty string")
    settings = Settings(
        None if data is None else Path(data), out, bits, alpha, seed, float_steps, quantized_steps, batch_size
    )
    console = Console()
    result = run(settings, console)
    accuracies = ", ".join(f"{name} {100 * value:.2f} %" for name, value in result.accuracies.items())
    console.print(f"test accuracy: {accuracies}")
    console.print(f"report: {out / 'report.html'}", soft_wrap=True)
    if not result.passed:
        console.print("[bold red]FAILED[/]: a proof does not hold; the report shows which")
        raise typer.Exit(1)
    console.print("all proofs hold: the same bits on every target, gradients certified")


@app.command()
def show(
    method: Annotated[str | None, typer.Argument(help="A quantization method; an unknown one names them all.")] = None,
    x: Annotated[list[float] | None, typer.Option(help="Points to evaluate (repeat the option).")] = None,
    bits: Annotated[int | None, typer.Option(help="2, or the nearest the method has, by default.")] = None,
    role: Annotated[
        str | None, typer.Option(help="weight or activation; the first the method has, by default.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="A parameter, e.g. alpha=0.3 or levels=0,0.5,1 (repeat the option).")
    ] = None,
    primitive: Annotated[
        str | None, typer.Option(help="One of the method's, e.g. dsq_soft; what training uses, by default.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the function and its gradients (.png, .svg, .pdf).")] = None,
    gallery: Annotated[Path | None, typer.Option(help="Write a page of all methods side by side (.html).")] = None,
) -> None:
    """Evaluate a quantization method: value, hard value, every gradient, and how far each is from the truth."""
    from verify.show import show as run
    from verify.show import show_gallery

    if method is None and gallery is None:
        raise InputError("METHOD: expected the name of a method, or --gallery FILE")
    if method is not None:
        run(
            method,
            x=x or (),
            bits=bits,
            role=role,
            param=param or (),
            primitive=primitive,
            plot=plot,
            console=Console(),
        )
    if gallery is not None:
        show_gallery(gallery, Console())


@prove.command()
def gradients(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Primitives (or methods); all by default.")
    ] = None,
    quantizers: Annotated[
        bool, typer.Option("--quantizers", help="Quantization methods, each at every bit width it is defined for.")
    ] = False,
    points: Annotated[int, typer.Option(help="Examples to certify of each primitive (and width).")] = 20,
    seed: Annotated[int, typer.Option(help="Of the examples.")] = 0,
    processes: Annotated[int, typer.Option(help="Primitives judged at a time.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="A file for one primitive (.png, .svg, .pdf), or a folder for several.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the HTML page.")] = None,
) -> None:
    """Certify every primitive and its derivatives, hold them against differences, judge the kinks."""
    from verify.gradients.command import verify_gradients, verify_quantizers

    common: dict[str, Any] = {
        "points": points,
        "seed": seed,
        "processes": processes,
        "as_json": as_json,
        "report": report,
        "console": Console(),
    }
    if quantizers and plot is not None:
        raise InputError("--plot: expected none with --quantizers; 'minigrad show METHOD --plot FILE' draws a method")
    if not (
        verify_quantizers(names or [], **common) if quantizers else verify_gradients(names or [], plot=plot, **common)
    ):
        raise typer.Exit(1)


@prove.command("kernels")
def prove_kernels(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Kernels; all by default.")] = None,
    machines: Annotated[
        str,
        typer.Option(
            help="Of native, aarch64, qemu-aarch64, qemu-arm, qemu-riscv64, qemu-s390x; all there are by default."
        ),
    ] = "",
    layers: Annotated[int, typer.Option(help="Layers to draw for each machine.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the layers.")] = 0,
    processes: Annotated[int, typer.Option(help="Parts of the work at a time.")] = 2,
    library: Annotated[Path | None, typer.Option(help="Your own build of csrc for AArch64 (.so).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold every kernel, on every machine there is, against the reference: bit for bit, on drawn and worst layers."""
    from verify.kernels.command import verify_kernels

    if not verify_kernels(
        names or [],
        machines=machines,
        layers=layers,
        seed=seed,
        processes=processes,
        library=library,
        as_json=as_json,
        console=Console(),
    ):
        raise typer.Exit(1)


@measure.command("kernels")
def bench_kernels(
    layers: Annotated[str, typer.Option(help='Parts of names, such as "3x3,@56"; all by default.')] = "",
    bits: Annotated[
        str, typer.Option(help="Such as 2,4x8,1b,2w (activations x weights, bipolar, flush counts from the weights).")
    ] = "",
    paths: Annotated[str, typer.Option(help="Of scalar, neon, dotprod, i8mm.")] = "neon,dotprod,i8mm",
    json: Annotated[Path | None, typer.Option(help="Write all figures.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figures beside other libraries' (.png, .svg, .pdf).")
    ] = None,
    host: Annotated[bool, typer.Option(help="Time this machine's paths too.")] = True,
    processes: Annotated[int, typer.Option(help="Layers counted at a time.")] = 2,
) -> None:
    """Integer layers: instructions per MAC on AArch64, exact counts beside other libraries', every bit compared."""
    from verify.kernels.bench.command import bench_kernels as run

    if not run(
        layers=layers,
        bits=bits,
        paths=paths,
        json=json,
        plot=plot,
        host=host,
        processes=processes,
        console=Console(),
    ):
        raise typer.Exit(1)


@measure.command()
def floats() -> None:
    """Float kernels and DSQ: wall time on this machine, against NumPy in the same run."""
    from verify.bench import bench_floats

    bench_floats()


def main() -> None:
    """Entry point of ``minigrad``."""
    try:
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except typer.TyperException as error:
        sys.exit(_complain(error.format_message(), 2))
    except InputError as error:
        sys.exit(_complain(str(error), 2))
    except (KernelError, BuildError, ImportError, OSError) as error:
        sys.exit(_complain(str(error), 1))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_complain("interrupted", 130))


def _complain(message: str, status: int) -> int:
    print(f"minigrad: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
