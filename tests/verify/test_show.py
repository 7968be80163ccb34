"""``minigrad show``: any method's table, certificates, plots and the gallery; bad input by name."""

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from typer.testing import CliRunner

from minigrad import PRIMITIVES, InputError
from quant import METHODS, dsq, lsq
from quant.method import ROLES
from verify import cli
from verify.curves import curves, make_setting, window
from verify.report.gallery import gallery
from verify.report.method_plots import method_plot, small_plot
from verify.show import prove

RUNNER = CliRunner()
CASES = [(name, role) for name, method in METHODS.items() for role in ROLES if method.widths(role)]


def run(*arguments: str) -> Any:
    return RUNNER.invoke(cli.app, ["show", *arguments])


def rows_of(output: str) -> dict[str, list[float]]:
    """The table's columns by name."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.splitlines() if line.startswith("      ")]
    return {name: [float(line[n]) for line in lines[1:]] for n, name in enumerate(lines[0])}


# ---- curves


@pytest.mark.parametrize(("name", "role"), CASES)
def test_curves_are_the_rules_of_the_primitive(name: str, role: str) -> None:
    """The gradients by vjp and those by jvp are the same numbers, point by point or with the points as one tensor."""
    for bits in {METHODS[name].widths(role)[0], METHODS[name].widths(role)[-1]}:  # type: ignore[arg-type]
        setting = make_setting(name, bits, role)
        low, high = window(setting)
        x = np.random.default_rng(1).uniform(low, high, 5)
        found = curves(setting, x)
        tensors = [np.array([p]) for p in x] if setting.alone else [x]
        for n, parameter in enumerate(setting.parameters):
            for entry in {0, parameter.size - 1}:
                unit = np.zeros(parameter.size)
                unit[entry] = 1.0
                tangents: list[Any] = [None] * (1 + len(setting.parameters))
                tangents[1 + n] = unit.reshape(parameter.shape)
                arrays = [(t, *setting.parameters) for t in tensors]
                if setting.primitive.modifier is None:
                    by_jvp = np.concatenate([setting.primitive.jvp(tangents, *a, **setting.options) for a in arrays])
                    by_name = found.by_parameter[METHODS[name].parameters[n]][:, entry]
                    assert np.allclose(by_name, by_jvp, rtol=1e-12, atol=1e-14)
        hard = setting.method.module.hard
        if setting.primitive.surrogate is not None:
            assert np.array_equal(found.value, found.hard)
        if setting.alone:
            options = {k: v for k, v in setting.options.items() if k in ("bits", "signed", "role")}
            assert np.array_equal(found.hard, hard(x, *setting.parameters, **options))


def test_each_point_is_a_tensor_of_its_own() -> None:
    """LSQ's factor 1/sqrt(count Qp) is that of one element, however many points there are."""
    setting = make_setting("lsq", 2, "weight")
    x = np.array([0.3, -0.7, 5.0])
    assert curves(setting, x).by_parameter["s"].ravel().tolist() == [-0.3, -(1 - 0.7), 1.0]
    assert curves(setting, x[:1]).by_parameter["s"].ravel().tolist() == [-0.3]


def test_the_points_are_one_tensor_where_elements_count_together() -> None:
    setting = make_setting("xnor")
    x = np.array([0.5, -0.25, 1.5, -0.75])
    found = curves(setting, x)
    assert found.hard.tolist() == [0.75, -0.75, 0.75, -0.75]
    assert curves(setting, x[:2]).hard.tolist() == [0.375, -0.375]


def test_a_formula_is_drawn_for_either_sign() -> None:
    setting = make_setting("ewgs", 2, "weight", ["delta=0.25"])
    found = curves(setting, np.array([-0.9, 0.1, 0.8]))
    assert found.by_x_reversed is not None
    # (1 + delta (x_n - x_q)) and (1 - delta (x_n - x_q)).
    assert np.allclose(found.by_x + found.by_x_reversed, 2.0)
    assert np.all(np.abs(found.by_x - found.by_x_reversed) > 1e-3)
    assert curves(make_setting("lsq"), np.zeros(2)).by_x_reversed is None


def test_the_window_has_every_step_and_level() -> None:
    for name, role in CASES:
        for bits in METHODS[name].widths(role)[:3]:  # type: ignore[arg-type]
            setting = make_setting(name, bits, role)
            low, high = window(setting)
            assert -4 < low < high < 4, (name, role, bits)
            if setting.alone:
                far = curves(setting, np.array([-1e9, low, high, 1e9])).hard
                assert (far[0], far[3]) == (far[1], far[2]), (name, role, bits)
    assert window(make_setting("dsq", 2, "weight", ["l=-30", "u=50"])) == pytest.approx((-42, 62), rel=1e-2)


# ---- the table


def test_the_table_is_what_the_functions_give() -> None:
    done = run("dsq", "--bits", "3", "--param", "alpha=0.3", "--param", "u=2", "--x", "0.25", "--x", "-0.7")
    assert done.exit_code == 0, done.output
    table = rows_of(done.output)
    x = np.array([0.25, -0.7])
    assert list(table) == ["x", "soft", "hard", "dx", "dl", "du", "dalpha"]
    expected = [x, dsq.soft(x, -1, 2, 0.3, 3), dsq.hard(x, -1, 2, 0.3, 3), *dsq.partials(x, -1.0, 2.0, 0.3, 3)]
    for column, numbers in zip(table.values(), expected, strict=True):
        assert [f"{a:.12g}" for a in column] == [f"{b:.12g}" for b in numbers]
    assert "dsq_hard: 3 bit, weight, l = -1, u = 2, alpha = 0.3" in done.output
    assert len(re.findall(r"certified \w+: (exact|\|error\| <= 2\^-5)", done.output)) == 5
    assert f"note: {METHODS['dsq'].note}" in done.output


def test_another_primitive_of_the_method() -> None:
    table = rows_of(run("dsq", "--primitive", "dsq_soft", "--x", "0.25").output)
    assert list(table) == ["x", "value", "hard", "dx", "dl", "du", "dalpha"]
    x = np.array([0.25])
    assert table["dl"] == [float(f"{dsq.soft_partials(x, -1.0, 1.0, 0.2, 2)[1][0]:.12g}")]


def test_a_parameter_that_is_an_array() -> None:
    done = run("ddq", "--bits", "1", "--param", "q=-0.5,1.5", "--x", "0.2", "--x", "0.9")
    assert done.exit_code == 0, done.output
    table = rows_of(done.output)
    assert table["hard"] == [-0.5, 1.5]
    assert (table["dq[0]"], table["dq[1]"]) == ([1, 0], [0, 1])
    assert "q = (-0.5, 1.5)" in done.output


def test_a_long_parameter_is_one_column() -> None:
    done = run("ddq", "--bits", "5", "--x", "0.2")
    assert rows_of(done.output)["sum of 32 dq"] == [1.0]
    assert "q = (-1, -0.9355, -0.871, ..., 0.871, 0.9355, 1)" in done.output


def test_the_role_and_the_nearest_width_are_chosen() -> None:
    assert (make_setting("pact").role, make_setting("pact").bits) == ("activation", 2)
    assert (make_setting("apot").role, make_setting("apot").bits) == ("weight", 3)
    assert make_setting("lsq", None, "activation").options == {"bits": 2, "signed": False}
    assert "lsq: 1 bit, activation, s = 1" in run("lsq", "--bits", "1", "--role", "activation", "--x", "0.2").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], f"METHOD: expected one of {', '.join(METHODS)}, got 'nope'"),
        ([], "METHOD: expected the name of a method, or --gallery FILE"),
        (["lsq", "--bits", "1"], "--bits: lsq takes 2, 3, 4, 5, 6, 7, 8 for weights, got 1"),
        (["lsq", "--bits", "9"], "--bits: lsq takes"),
        (["pact", "--role", "weight"], "--role: pact is not defined for weights"),
        (["lsq", "--role", "both"], "--role: expected weight or activation, got 'both'"),
        (["lsq", "--param", "t=1"], "--param: expected NAME=NUMBER with a name from s, got 't=1'"),
        (["lsq", "--param", "s"], "--param: expected NAME=NUMBER with a name from s, got 's'"),
        (["lsq", "--param", "s=a"], "--param s: expected a number (or several, as 0.1,0.2), got 'a'"),
        (["lsq", "--param", "s=1,2"], "--param s: expected 1 number, got 2"),
        (["ddq", "--param", "q=1,2"], "--param q: expected 4 numbers, got 2"),
        (["lsq", "--param", "s=nan"], "--param s: expected finite numbers, got 'nan'"),
        (["lsq", "--param", "s=-1"], "s: expected finite numbers above 0, got -1.0"),
        (["dsq", "--param", "l=2"], "l, u: expected finite numbers with l < u"),
        (["ewgs", "--param", "delta=-1"], "delta: "),
        (["bireal", "--param", "s=1"], "--param: bireal has no parameters, got 's=1'"),
        (["lsq", "--x", "inf"], "--x: expected finite numbers, got inf"),
        (["lsq", "--x", "1", "--x", "nan"], "--x: expected finite numbers, got nan"),
        (["lsq", "--primitive", "dsq_soft"], "--primitive: expected one of lsq, got 'dsq_soft'"),
        (["ddq", "--primitive", "ddq_gate"], "--primitive: ddq_gate has other arguments than x, q, ghat"),
        (["daq", "--primitive", "daq_constant_temperature"], "--param: daq_constant_temperature needs temperature="),
        (["lsq", "--plot", "a.bmp"], "--plot: expected a file ending in .png, .svg, .pdf, got a.bmp"),
        (["lsq", "--plot", "/proc/none/a.png"], "/proc/none/a.png: cannot be written"),
        (["--gallery", "page"], "--gallery: expected a file ending in .html, got page"),
        (["--gallery", "/proc/none/a.html"], "/proc/none/a.html: cannot be written"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


# ---- certificates


def test_what_is_proven_and_what_is_a_tie() -> None:
    setting = make_setting("lsq", 2, "weight")
    proven, refused = prove(setting, np.array([0.3, 0.5, -1.2]))
    assert proven == {"value": math.inf, "dx": math.inf, "ds": proven["ds"]}
    assert proven["ds"] >= 50
    (where,) = refused
    assert where == 0.5
    assert refused[0.5] == "value is 0.0, by the definition 1.0: a tie or kink, or an error"
    done = run("lsq", "--x", "0.5", "--x", "0.3")
    assert "not certified at x = 0.5: value is 0.0, by the definition 1.0" in done.output


def test_a_wrong_gradient_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PRIMITIVES["lsq"].vjp
    wrong = dataclasses.replace(PRIMITIVES["lsq"], vjp=lambda *a: tuple(g * (1 + 2.0**-40) for g in right(*a)))
    monkeypatch.setitem(PRIMITIVES, "lsq", wrong)
    proven, refused = prove(make_setting("lsq", 2, "weight"), np.array([0.3, 9.0]))
    assert set(refused) == {0.3, 9.0}
    assert refused[0.3].startswith("dx is 1.0000000000009095, by the definition 1.0:")
    assert refused[9.0].startswith("ds is 1.0000000000009095, by the definition 1.0:")
    assert proven == {}


def test_points_that_are_one_tensor_are_certified_together() -> None:
    proven, refused = prove(make_setting("daq", 2, "weight"), np.array([0.1, -0.5, 0.8]))
    assert set(proven) == {"value", "dx", "dl", "du"}
    assert min(proven.values()) >= 45
    assert not refused
    proven, _ = prove(make_setting("xnor"), np.array([0.1, -0.5, 0.8]))
    assert set(proven) == {"value", "dx"}


@pytest.mark.parametrize("name", METHODS)
def test_typical_arguments_are_certified(name: str) -> None:
    setting = make_setting(name)
    low, high = window(setting)
    proven, refused = prove(setting, low + (high - low) * np.array([0.05, 0.4171, 0.7713]))
    assert not refused
    assert min(proven.values()) >= 45


# ---- pictures


class Drawn:
    """The lines of every panel of the figures that were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.figures: list[Any] = []
        save = matplotlib.figure.Figure.savefig

        def savefig(figure: Any, *arguments: Any, **options: Any) -> None:
            self.figures.append(figure)
            save(figure, *arguments, **options)

        monkeypatch.setattr(matplotlib.figure.Figure, "savefig", savefig)

    def lines(self) -> list[dict[str, Any]]:
        return [{str(line.get_label()): line for line in axes.lines} for axes in self.figures[-1].axes]


def test_the_plot_shows_function_hard_function_and_every_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(monkeypatch)
    setting = make_setting("dsq", 2, "weight")
    method_plot(setting, "svg")
    function, *gradients = drawn.lines()
    assert set(function) == {"identity", "hard", "soft"}
    x = function["soft"].get_xdata()
    assert np.array_equal(function["soft"].get_ydata(), dsq.soft(x, -1.0, 1.0, 0.2, 2))
    assert np.array_equal(function["hard"].get_ydata(), dsq.hard(x, -1.0, 1.0, 0.2, 2))
    assert [axes.get_ylabel() for axes in drawn.figures[-1].axes] == ["value", "by x", "by l", "by u", "by alpha"]
    for panel, expected in zip(gradients, dsq.partials(x, -1.0, 1.0, 0.2, 2), strict=True):
        (line,) = panel.values()
        assert np.allclose(line.get_ydata(), expected, rtol=1e-12, atol=1e-14)


def test_the_training_forward_is_drawn_where_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(monkeypatch)
    method_plot(make_setting("qn", 3), "svg")
    function = drawn.lines()[0]
    assert set(function) == {"identity", "hard", "in training"}
    assert not np.array_equal(function["hard"].get_ydata(), function["in training"].get_ydata())


def test_of_many_entries_those_with_the_largest_gradients_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(monkeypatch)
    method_plot(make_setting("ddq", 5, "weight"), "svg")
    levels = next(axes for axes in drawn.figures[-1].axes if axes.get_ylabel().startswith("by q"))
    assert levels.get_ylabel() == "by q\n16 largest of 32"
    # Eight steps of the middle: the levels around them are among those drawn.
    assert {f"[{n}]" for n in range(12, 20)} <= {str(line.get_label()) for line in levels.lines}


def test_both_signs_of_a_formula_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(monkeypatch)
    small_plot(make_setting("ewgs", 2, "weight", ["delta=0.5"]), 101)
    up, down = drawn.lines()[1].values()
    assert not np.array_equal(up.get_ydata(), down.get_ydata())


def test_eight_steps_are_drawn_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(monkeypatch)
    method_plot(make_setting("lsq", 8, "weight"), "svg")
    hard = drawn.lines()[0]["hard"]
    assert len(np.unique(hard.get_ydata())) in (8, 9, 10)
    assert drawn.figures[-1].axes[0].get_xlabel() == "x, eight steps of the middle"


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_plots_are_written(suffix: str, start: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"lsq{suffix}"
    done = run("lsq", "--x", "0.2", "--plot", str(file))
    assert done.exit_code == 0, done.output
    assert file.read_bytes().startswith(start)


def test_the_gallery_has_every_method(tmp_path: Path) -> None:
    done = run("--gallery", str(tmp_path / "gallery.html"))
    assert done.exit_code == 0, done.output
    text = (tmp_path / "gallery.html").read_text()
    assert text.count("<svg") == len(METHODS)
    assert "http://" not in re.sub(r"http://(www\.w3\.org|purl\.org|creativecommons\.org)", "", text)
    assert "src=" not in text
    for method in METHODS.values():
        for fact in (method.title, method.source.split(",")[0]):
            assert fact.replace("'", "&#x27;") in text, fact
    assert [name for name in re.findall(r'<tr><td class="text">(\w+)</td>', text) if name in METHODS] == sorted(METHODS)


def test_the_gallery_says_which_laws_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(METHODS):
        if name != "lsq":
            monkeypatch.delitem(METHODS, name)
    row = next(part for part in gallery().split("<tr>") if part.startswith('<td class="text">lsq</td>'))
    assert row.count("yes") == len(METHODS["lsq"].laws)
    assert lsq.METHOD.gradient.split(";")[0] in gallery()
