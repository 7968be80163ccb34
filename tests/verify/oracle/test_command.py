"""The command: exit status, one-line errors for bad usage, and the whole verdict on the screen."""

import sys

import pytest
from typer.testing import CliRunner

from minigrad.errors import InputError
from verify.oracle.command import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_right_implementation_exits_with_0(in_examples):
    result = run("check", "dsq_numpy:soft", "--vjp", "dsq_numpy:soft_vjp", "--codes", "dsq_numpy:codes", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PASS  dsq_numpy:soft  (dsq, numpy, vectors ") and "seed 3" in result.output


def test_a_wrong_implementation_exits_with_1(in_examples):
    result = run("check", "dsq_numpy:soft", "--vjp", "dsq_numpy_wrong:straight_through_index")
    assert result.exit_code == 1
    for part in (
        "FAIL  dsq_numpy:soft",
        "your dx is plain straight-through",
        "First failing case reference/",
        "Smallest failing case unit/",
        "from dsq_numpy_wrong import straight_through_index",
        "ulp, allowed",
    ):
        assert part in result.output


def test_a_function_that_exits_with_0_does_not_pass(in_examples):
    for arguments in (["dsq_numpy_wrong:exits"], ["dsq_numpy:soft", "--vjp", "dsq_numpy_wrong:vjp_exits"]):
        result = run("check", *arguments)
        assert result.exit_code == 1 and "raised SystemExit: 0" in result.output, result.output


def test_values_only(in_examples):
    result = run("check", "dsq_numpy:soft")
    assert result.exit_code == 0 and "gradients were not checked" in result.output


def test_an_elementary_function():
    assert run("check", "numpy:tanh", "--method", "tanh").exit_code == 0
    assert run("check", "numpy:sin", "--method", "tanh").exit_code == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["dsq_numpy"], "MODULE:CALLABLE: expected MODULE:CALLABLE, got 'dsq_numpy'"),
        (["no_such_module:soft"], "MODULE:CALLABLE: cannot import 'no_such_module' (ModuleNotFoundError"),
        (["dsq_numpy:softer"], "MODULE:CALLABLE: 'dsq_numpy' has no 'softer'"),
        (["dsq_numpy:np"], "MODULE:CALLABLE: dsq_numpy:np is a module, not a function"),
        (["broken_module:soft"], "MODULE:CALLABLE: cannot import 'broken_module' (SyntaxError"),
        (["dsq_numpy:soft", "--vjp", "dsq_numpy:nothing"], "--vjp: 'dsq_numpy' has no 'nothing'"),
        (["dsq_numpy:soft", "--method", "lsq"], "--method: no vectors for 'lsq'"),
        (["dsq_numpy:soft", "--framework", "jax"], "--framework: expected numpy or torch, got 'jax'"),
        (["dsq_numpy_wrong:no_bits"], "cannot be called with 5 arguments"),
        (["exiting_module:soft"], "MODULE:CALLABLE: cannot import 'exiting_module' (SystemExit: 0)"),
        (["dsq_numpy:soft", "--vjp", "exiting_module:soft"], "--vjp: cannot import 'exiting_module' (SystemExit: 0)"),
        (
            ["raising_attributes:lazy.soft"],
            "cannot read 'soft' of 'raising_attributes:lazy.soft' (RuntimeError: two lines",
        ),
        (["dsq_numpy:soft", "--seed", "-1"], "--seed: expected an integer from 0 up, got -1"),
        (["dsq_numpy:soft", "--vjp", "dsq_numpy:soft_vjp", "--seed", "-1"], "--seed: expected an integer from 0 up"),
        (["no_such_module:soft", "--seed", "-1"], "--seed: expected an integer from 0 up"),
    ],
)
def test_bad_usage_is_one_line(in_examples, tmp_path, arguments, words):
    (tmp_path / "broken_module.py").write_text("def soft(:\n")
    (tmp_path / "exiting_module.py").write_text("import sys\ndef soft(x, l, u, a, b): return x\nsys.exit(0)\n")
    (tmp_path / "raising_attributes.py").write_text(
        "class Lazy:\n    def __getattr__(self, name):\n        raise RuntimeError('two\\nlines')\nlazy = Lazy()\n"
    )
    sys.path.insert(0, str(tmp_path))
    result = run("check", *arguments)
    assert isinstance(result.exception, InputError)
    assert words in str(result.exception) and "\n" not in str(result.exception)


def test_torch_missing_is_bad_usage(in_examples, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("check", "dsq_numpy:soft", "--framework", "torch")
    assert isinstance(result.exception, InputError) and "PyTorch is not installed" in str(result.exception)


def test_list_names_every_method():
    result = run("list")
    assert result.exit_code == 0
    assert "dsq" in result.output and "f(x, l, u, alpha, bits) -> y" in result.output
    assert "sigmoid" in result.output and "f(x) -> y" in result.output
