"""The benchmark: its layers, its verdicts, its record, its command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from minigrad.errors import InputError
from quant.integer import Thresholds
from verify import cli
from verify.kernels.bench import wall
from verify.kernels.bench.count import Cell, count_layer
from verify.kernels.bench.instructions import Count
from verify.kernels.bench.layers import BODY, DEFAULT_WIDTHS, LAYERS, Layer, Width, select
from verify.kernels.bench.operands import OPERANDS, epilogue_for, operands
from verify.kernels.bench.peers import PEERS, Peer, bound_of
from verify.kernels.bench.record import Record, read_record, write_record
from verify.kernels.bench.table import instruction_rows, markdown, plain_rows

SMALL = Layer(3, 1, 64, 64, 8)


def test_the_body() -> None:
    assert sum(times * layer.macs for layer, times in BODY.items()) == 1_695_547_392
    assert len({layer.name for layer in LAYERS}) == len(LAYERS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.name} {peer.path}")
def test_peers_bodies_follow_from_their_layers(peer: Peer) -> None:
    """To the rounding of the figures, and what the three transitions differ by."""
    macs = {layer: times * layer.macs for layer, times in BODY.items()}
    for n in range(2):
        body = sum(peer.figures[layer][n] * m for layer, m in macs.items()) / sum(macs.values())
        assert body == pytest.approx(peer.body[n], abs=0.002)


def test_widths() -> None:
    assert [width.name for width in DEFAULT_WIDTHS] == ["1", "2w", "2", "3", "4", "8"]
    for text in ("1b", "8x4", "2w", "1x2bw", "7x8"):
        assert Width.of(text).name == text
    for text in ("", "0", "9", "5", "2b", "2x5", "x2", "2wb"):
        with pytest.raises(InputError, match="bits: expected such as"):
            Width.of(text)


def test_layers_are_selected_by_parts_of_names() -> None:
    assert select([]) == list(LAYERS)
    assert [layer.name for layer in select(["1x1 64", "@8"])] == ["1x1 64 @56", "3x3 64 @8"]
    with pytest.raises(InputError, match="layers: '5x5' is part of none of 3x3 64 @56, "):
        select(["5x5"])


def test_operands() -> None:
    made = list(operands(SMALL, Width(2, 2)))
    assert len(made) == len(OPERANDS)
    for op, x in made:
        assert x.shape == (1, 8, 8, 64)
        assert op.weight_codes.shape == (64, 3, 3, 64)
    for number in (1, 2, 3):
        assert set(np.unique(made[number][1])) <= {0, 3}
    sums = made[0][0].run(made[0][1])
    codes = epilogue_for(sums, Width(2, 2)).run(sums)
    assert set(np.unique(codes)) == {0, 1, 2, 3}
    eight = epilogue_for(sums, Width(8, 8)).run(sums)
    assert eight.min() < 32
    assert eight.max() > 224


def test_largest_operands_reach_the_ends_of_transformed_lanes() -> None:
    """Of the transformed activations of F(2, 3), V = B^T d B, each of the 16 positions reaches its largest size."""
    b_t = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    *_, (_, x) = operands(Layer(3, 1, 16, 16, 32), Width(2, 2))
    centred = 2 * x[0, :, :, 0].astype(int) - 3
    # a border of 1, tiles 2 apart: they start at odd places
    tiles = [centred[r : r + 4, c : c + 4] for r in range(1, 29, 2) for c in range(1, 29, 2)]
    largest = np.max([np.abs(b_t @ tile @ b_t.T) for tile in tiles], axis=0)
    assert (largest == 12).all()


def test_a_cell(aarch64_library: Path) -> None:
    neon, dotprod = count_layer(aarch64_library, SMALL, Width(2, 2), ["neon", "dotprod"])
    assert neon.wrong == dotprod.wrong == ()
    assert neon.kernel.startswith("neon")
    assert dotprod.kernel.startswith("dotprod")
    assert 0.03 < neon.per_mac[1] < neon.per_mac[0] < neon.per_mac[2] < 0.08
    assert dotprod.count.instructions < neon.count.instructions


def test_wrong_bits_are_seen(aarch64_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference with one threshold moved, as a wrong kernel would look."""

    def moved(self: Thresholds, x: np.ndarray) -> np.ndarray:
        return (
            (np.expand_dims(x * self.direction, -1) >= self.thresholds + np.array([0, 0, 1])).sum(-1).astype(np.uint8)
        )

    monkeypatch.setattr(Thresholds, "run", moved)
    layer, width = Layer(3, 1, 16, 16, 8), Width(2, 2)
    (cell,) = count_layer(aarch64_library, layer, width, ["neon"])
    assert "random" in cell.wrong
    assert not Record([cell]).passed
    assert not wall.time_layer(layer, width, ["scalar"])[0].is_right


def small_record() -> Record:
    cells = [
        Cell(layer, Width(2, 2), "neon", "a", Count(layer.macs, layer.macs // 2, 2 * layer.macs), ()) for layer in BODY
    ]
    return Record(cells, tools={"ziglang": "1"})


def test_the_body_is_weighted_by_macs() -> None:
    record = small_record()
    assert record.body(Width(2, 2), "neon") == (1.0, 0.5, 2.0)
    first = record.cells[0]
    record.cells[0] = replace(first, count=Count(0, 0, 0))
    share = 4 * first.layer.macs / sum(times * layer.macs for layer, times in BODY.items())
    body = record.body(Width(2, 2), "neon")
    assert body is not None
    assert body[0] == pytest.approx(1 - share)
    del record.cells[0]
    assert record.body(Width(2, 2), "neon") is None


def test_a_record_is_read_back(tmp_path: Path) -> None:
    record = small_record()
    write_record(record, tmp_path / "a.json")
    again = read_record(tmp_path / "a.json")
    assert (again.cells, again.timings, again.tools) == (record.cells, record.timings, record.tools)
    (tmp_path / "b.json").write_text('{"version": 2}')
    with pytest.raises(InputError, match="version 2, expected 1"):
        read_record(tmp_path / "b.json")
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(InputError, match="no record of this benchmark"):
        read_record(tmp_path / "b.json")


def test_tables() -> None:
    record = small_record()
    rows = instruction_rows(record, "neon")
    assert rows[0] == ("layer", "2 bit", "ncnn 2019-08", "ncnn 2026-07", "XNNPACK 2026-08")
    assert rows[1] == ("3x3 64 @56", "1.000 (.500)", ".201 (.086)", ".093 (.075)", ".239 (.192)")
    assert rows[-1] == ("ResNet-18 body", "1.000 (.500)", ".243 (.109)", ".112 (.095)", ".234 (.191)")
    assert plain_rows(record, "neon")[1] == ("3x3 64 @56", "2.000")
    assert markdown(rows).splitlines()[1] == "|---|---|---|---|---|"
    record.cells[0] = replace(record.cells[0], wrong=("random",))
    assert instruction_rows(record, "neon")[1][1] == "WRONG"


def test_bounds() -> None:
    assert bound_of(LAYERS[0], Width(2, 2), "neon") == 0.03125
    assert bound_of(LAYERS[4], Width(2, 2), "neon") is None
    assert bound_of(LAYERS[6], Width(2, 2), "neon") == 0.0645
    assert bound_of(LAYERS[0], Width(8, 4), "neon") is None


def test_the_command(aarch64_library: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "k.json", tmp_path / "k.png"
    arguments = ["bench", "kernels", "--layers", "3x3 64 @8", "--bits", "2,2w", "--processes", "1"]
    arguments += ["--json", str(out), "--plot", str(plot)]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "every output has the reference's bits" in done.output
    assert "3x3 64 @8" in done.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    cells = json.loads(out.read_text())["cells"]
    assert [(cell["bits"], cell["path"]) for cell in cells] == [
        (b, p) for b in ("2", "2w") for p in ("neon", "dotprod", "i8mm")
    ]
    assert all(not cell["wrong"] for cell in cells)


def test_a_wrong_bit_fails_the_command(cross: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(SMALL, Width(2, 2), "neon", "a kernel", Count(1, 1, 1), ("random",))
    monkeypatch.setattr("verify.kernels.bench.command.count_layer", lambda *arguments: [cell])
    done = CliRunner().invoke(
        cli.app, ["bench", "kernels", "--layers", "@8", "--bits", "2", "--paths", "neon", "--no-host"]
    )
    assert done.exit_code == 1
    assert "WRONG: 3x3 64 @8, 2 bit, neon (a kernel)" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "nothing"], "layers: 'nothing' is part of none"),
        (["--bits", "9"], "bits: expected such as"),
        (["--paths", "avx2"], "--paths: 'avx2' is not one of scalar, neon, dotprod, i8mm"),
        (["--processes", "0"], "--processes: expected at least 1"),
        (["--plot", "a.txt"], "--plot: expected a file ending in"),
        (["--json", "/dev/null/a.json"], "/dev/null/a.json: cannot be written"),
        (["--json", "."], ".: cannot be written: it is a folder"),
    ],
)
def test_bad_arguments(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli.app, ["bench", "kernels", *arguments])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
