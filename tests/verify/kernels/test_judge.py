"""``minigrad verify kernels``: right kernels pass, wrong ones are found, named and made small; bad input is told."""

import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest
from typer.testing import CliRunner

from minigrad.errors import InputError
from quant.target import Argument, NativeTarget, Out
from verify import cli
from verify.kernels import judge as module
from verify.kernels.emulator import EmulationError
from verify.kernels.judge import Unit, Verdict, judge, judge_all, runnable
from verify.kernels.mutants import MUTANTS, MutantBuilder
from verify.kernels.targets import native

SCALAR = Unit("native", None, ("scalar",), 30, 0, fixed=False)


class Wrong(NativeTarget):
    """Its scalar kernel gets the last number wrong, of 5 or more."""

    def call(self, function: str, *arguments: Argument) -> int:
        result = super().call(function, *arguments)
        if function == "mgk_qconv2d_run":
            prepared, size, out = arguments[0], arguments[1], arguments[4]
            assert isinstance(out, Out)
            name = self.name_of("mgk_qconv2d_kernel_name", self.call("mgk_qconv2d_kernel_of", prepared, size))
            if name == "scalar" and out.array.size >= 5:
                out.array.ravel()[-1] ^= 1
        return result


class Crashing(NativeTarget):
    """Running a layer touches what it must not."""

    def call(self, function: str, *arguments: Argument) -> int:
        if function == "mgk_qconv2d_run":
            raise EmulationError("reads 1 byte beyond")
        return super().call(function, *arguments)


def all_native() -> tuple[str, ...]:
    return tuple(kernel.name for kernel in runnable("native"))


def test_right_kernels_pass() -> None:
    verdicts = judge(Unit("native", None, all_native(), 40, 1, fixed=True))
    assert [v.kernel for v in verdicts] == list(all_native())
    for verdict in verdicts:
        assert verdict.passed, verdict
        assert verdict.layers > 40
        assert verdict.compared > 10_000


def test_the_seed_decides() -> None:
    first, second, other = (judge(SCALAR._replace(seed=seed))[0] for seed in (5, 5, 6))
    assert first == second
    assert first.compared != other.compared


def test_a_wrong_kernel_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are judged on."""
    monkeypatch.setattr(module, "_open", lambda machine, library: Wrong(native().library))
    verdicts = {v.kernel: v for v in judge(Unit("native", None, all_native(), 40, 0, fixed=False))}
    wrong = verdicts.pop("scalar")
    assert not wrong.passed
    assert "1 of 5 numbers differ" in wrong.failure or "1 of 6 numbers differ" in wrong.failure
    assert "stride 1, " in wrong.failure
    for verdict in verdicts.values():
        assert not verdict.failure


def test_a_crash_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_open", lambda machine, library: Crashing(native().library))
    (verdict,) = judge(SCALAR)
    assert "reads 1 byte beyond" in verdict.failure


def test_no_layer_is_no_proof() -> None:
    assert not Verdict("native", "scalar", "scalar").passed


def test_a_process_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pool:
        def __init__(self, *arguments: Any, **keywords: Any) -> None: ...

        def __enter__(self) -> "Pool":
            return self

        def __exit__(self, *arguments: object) -> None: ...

        def submit(self, *arguments: object) -> Future[list[Verdict]]:
            future: Future[list[Verdict]] = Future()
            future.set_exception(BrokenProcessPool())
            return future

    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    with pytest.raises(InputError, match="native: a kernel ended the process it ran in"):
        judge_all(["native"], ["scalar"], 5, 0, 1)


def test_the_command() -> None:
    arguments = ["verify", "kernels", "scalar", "--machines", "native", "--layers", "30", "--seed", "3"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "all 1 have the reference's bits" in done.output
    printed = CliRunner().invoke(cli.app, [*arguments, "--json"])
    (verdict,) = json.loads(printed.output)["verdicts"]
    assert verdict["kernel"] == "scalar"
    assert verdict["compared"] > 1000


def test_a_library_of_ones_own(builder: MutantBuilder) -> None:
    """A build with a lane that overflows, judged as somebody would who made it; its other kernels are right."""
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == "int8 lanes flushed late")
    arguments = ["verify", "kernels", "neon-mla", "neon-smlal", "--layers", "25", "--seed", "1", "--processes", "1"]
    library = str(builder.build(mutant))
    done = CliRunner().invoke(cli.app, [*arguments, "--library", library])
    assert done.exit_code == 1, done.output
    wrong, right = (
        next(x for x in done.output.splitlines() if f" {name} " in x) for name in ("neon-mla", "neon-smlal")
    )
    assert wrong.endswith("WRONG")
    assert right.endswith("same bits")
    assert "numbers differ, at [0, " in done.output
    assert f"again: minigrad verify kernels neon-mla --machines aarch64 --layers 25 --seed 1 --library {library}" in (
        done.output.replace("\n", "")
    )
    assert "1 of 2 are WRONG" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--machines", "native"], "NAME: 'nothing' is not one of "),
        (["--machines", "vax"], "--machines: 'vax' is not one of native, aarch64, qemu-aarch64"),
        (["--layers", "0"], "--layers: expected at least 1, got 0"),
        (["--seed", "-1"], "--seed: expected at least 0, got -1"),
        (["--processes", "0"], "--processes: expected at least 1, got 0"),
        (["--library", "nowhere.so"], "nowhere.so: cannot be read"),
        (["--library", __file__], "not an ELF file"),
        (["--library", "x.so", "--machines", "native"], "--library: runs on the machine aarch64 alone"),
    ],
)
def test_bad_input(cross: None, arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli.app, ["verify", "kernels", *arguments])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)


def test_a_machine_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(cli.app, ["verify", "kernels", "--machines", "qemu-arm"])
    assert "--machines: qemu-arm: qemu-arm is not installed; Debian has it in the package qemu-user" in str(
        done.exception
    )
    done = CliRunner().invoke(cli.app, ["verify", "kernels", "scalar", "--layers", "1", "--machines", "native"])
    assert done.exit_code == 0
