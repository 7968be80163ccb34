"""The shipped vectors: what they contain, held against a second definition, and built again byte for byte."""

import json
import math
from fractions import Fraction

import jsonschema
import numpy as np
import pytest
from flint import arb, fmpq

from quant import dsq
from verify.gradients.ball import precision
from verify.oracle import generate
from verify.oracle.numbers import bits_of, from_bits, round_up, ulp_distance
from verify.oracle.vectors import FOLDER, load, methods


def document(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def cases(name):
    return [(group, case) for group in document(name)["groups"] for case in group["cases"]]


def rational(number):
    return fmpq(*from_bits(number["bits"]).as_integer_ratio())


# ---- numbers ----


@pytest.mark.parametrize(
    "value, digits",
    [
        (1.0, "3ff0000000000000"),
        (-2.0, "c000000000000000"),
        (0.1, "3fb999999999999a"),
        (5e-324, "0000000000000001"),
    ],
)
def test_bit_patterns(value, digits):
    assert bits_of(value) == digits and from_bits(digits) == value


def test_ulp_distance():
    assert ulp_distance(1.0, math.nextafter(1.0, 2)) == 1
    assert ulp_distance(5e-324, -5e-324) == 2 and ulp_distance(0.0, -0.0) == 0
    assert ulp_distance(1.0, 2.0) == 2**52


@pytest.mark.parametrize("value", [0.0, 1.0, 1.1, 3.7e-90, 1e300, 4095.0, 4096.5])
def test_round_up_is_close_and_not_below(value):
    assert value <= round_up(value) <= value * (1 + 2.0**-11)
    assert round_up(round_up(value)) == round_up(value)


# ---- the files ----


@pytest.mark.parametrize("name", generate.DOCUMENTS)
def test_files_are_rebuilt_byte_for_byte(name):
    assert (FOLDER / name).read_bytes() == generate.render(generate.DOCUMENTS[name]()).encode()


def test_the_generator_reports_differences(monkeypatch, tmp_path, capsys):
    small = {"method": "dsq", "groups": [{"id": "a", "cases": [{"id": "a/0"}, {"id": "a/1"}]}]}
    monkeypatch.setattr(generate, "FOLDER", tmp_path)
    monkeypatch.setattr(generate, "DOCUMENTS", {"dsq.json": lambda: small})
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0 and generate.main(["--check"]) == 0
    assert json.loads((tmp_path / "dsq.json").read_text()) == small
    (tmp_path / "dsq.json").write_text("{}")
    assert generate.main(["--check"]) == 1 and "DIFFERENT" in capsys.readouterr().out
    assert generate.main(["--nonsense"]) == 2


@pytest.mark.parametrize("name", generate.DOCUMENTS)
def test_files_follow_the_schema(name):
    schema = document("schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    content = document(name)
    jsonschema.validate(content, schema)
    used = {flag for _, case in cases(name) for flag in case["flags"]}
    assert used == set(content["flags"]), "every flag is explained, and every explained flag is used"
    ids = [case["id"] for _, case in cases(name)]
    assert len(set(ids)) == len(ids)
    content["groups"][0]["cases"][0]["y"]["bits"] = "3FF"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


def test_decimals_and_bits_are_the_same_number():
    def numbers(node):
        if isinstance(node, dict):
            if "bits" in node and "decimal" in node:
                yield node
            for child in node.values():
                yield from numbers(child)
        elif isinstance(node, list):
            for child in node:
                yield from numbers(child)

    for name in generate.DOCUMENTS:
        for number in numbers(document(name)):
            assert bits_of(float(number["decimal"])) == number["bits"]


def test_size():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_500_000


# ---- DSQ: a second definition, in Arb, from the closed forms ----


def second_definition(x, l, u, alpha, bits):
    n = 2**bits - 1
    if x < l or x > u:
        return [arb(l if x < l else u), arb(0), arb(int(x < l)), arb(int(x > u)), arb(0)]
    step = (u - l) / n
    v = (x - l) / step
    i = min(int(v.floor()), n - 1)
    z, s = v - i - fmpq(1, 2), 1 / (1 - alpha)
    # t and 1 - t^2 from the power w = (2/alpha - 1)^(2 z)
    gain = arb(2 / alpha - 1).log()
    w = (2 * arb(z) * gain).exp()
    t, d2 = (w - 1) / (w + 1), 4 * w / (w + 1) ** 2
    q = i + (arb(s) * t + 1) / 2
    slope = gain * arb(s) / 2 * d2
    dalpha = arb(step / 2) * (arb(s * s) * t - arb(2 * s * z / (alpha * (2 - alpha))) * d2)
    return [arb(l) + arb(step) * q, slope, 1 - q / n + slope * arb(v / n - 1), q / n - slope * arb(v / n), dalpha]


def test_dsq_is_correctly_rounded():
    """Every number of the file is within half an ulp of the closed forms, or of their zero."""
    with precision(1200):
        for group, case in cases("dsq.json"):
            p = group["parameters"]
            truths = second_definition(
                rational(case["x"]), rational(p["l"]), rational(p["u"]), rational(p["alpha"]), p["bits"]
            )
            entries = [case["y"], *case["gradients"].values()]
            for entry, truth in zip(entries, truths, strict=True):
                value = from_bits(entry["bits"])
                half = fmpq(*math.ulp(value).as_integer_ratio()) / 2
                if value == 0:
                    assert abs(truth) < arb(2) ** -700, case["id"]
                else:
                    assert abs(truth - arb(rational(entry))) <= arb(half * fmpq(10**200 + 1, 10**200)), case["id"]


def test_dsq_codes_are_the_definition():
    for group in load("dsq").groups:
        p = group.parameters
        codes = dsq.codes(group.x, p["l"], p["u"], p["alpha"], p["bits"])
        assert [accepted[0] for accepted in group.codes] == codes.tolist()
        n = 2 ** p["bits"] - 1
        for x, accepted, flags in zip(group.x, group.codes, group.flags, strict=True):
            v = (Fraction(float(x)) - Fraction(p["l"])) * n / (Fraction(p["u"]) - Fraction(p["l"]))
            exact = min(max(math.floor(v + Fraction(1, 2)), 0), n)
            assert exact in accepted
            assert ("near-tie" in flags) == (len(accepted) == 2)
            assert set(accepted) <= {exact - 1, exact, exact + 1}
            if "tie" in flags:
                assert v - math.floor(v) == Fraction(1, 2) and accepted == [math.floor(v) + 1]


def test_dsq_kinks_and_identities():
    for group, case in cases("dsq.json"):
        gradients = {name: from_bits(entry["bits"]) for name, entry in case["gradients"].items()}
        assert gradients["dx"] + gradients["dl"] + gradients["du"] == pytest.approx(1, abs=1e-9)
        at_bound = case["x"] in (group["parameters"]["l"], group["parameters"]["u"])
        assert (case["kind"] == "kink") == at_bound == ("clip-bound" in case["flags"])
        assert case.get("order") == (1 if "interval-edge" in case["flags"] else None)
        if "outside" in case["flags"]:
            assert sorted(gradients.values()) == [0, 0, 0, 1] and gradients["dx"] == gradients["dalpha"] == 0
        for entry in [case["y"], *case["gradients"].values()]:
            assert from_bits(entry["terms"]["bits"]) >= abs(from_bits(entry["bits"]))
        if at_bound:
            low, high = (from_bits(end["bits"]) for end in case["gradients"]["dx"]["interval"])
            assert low == 0.0 and high == gradients["dx"] > 0


def test_dsq_looks_where_it_matters():
    """Every level and every tie up to 3 bits, both ends everywhere, one ulp beside them and outside."""
    groups = load("dsq").groups
    assert {g.parameters["bits"] for g in groups} == set(range(1, 9))
    alphas = {g.parameters["alpha"] for g in groups}
    assert min(alphas) == 1e-6 and max(alphas) == 0.999
    for group in groups:
        p, xs = group.parameters, set(group.x.tolist())
        l, u = p["l"], p["u"]
        for bound in (l, u):
            assert {bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)} <= xs
        assert min(xs) < l - 900 * (u - l) and max(xs) > u + 900 * (u - l)
        n = 2 ** p["bits"] - 1
        if n <= 7:
            width = Fraction(u) - Fraction(l)
            for half_steps in range(2 * n + 1):
                assert float(Fraction(l) + width * half_steps / (2 * n)) in xs
    assert 400 <= load("dsq").cases <= 1000


def test_the_reference_table_is_in_the_vectors():
    group = next(g for g in load("dsq").groups if g.id == "reference")
    row = group.x.tolist().index(-0.9)
    got = [group.outputs[name].value[row] for name in ("y", "dx", "dl", "du", "dalpha")]
    expected = [-0.935985101975, 0.799533306865, 0.208435909465, -0.00796921633059, 0.135052516265]
    assert got == pytest.approx(expected, rel=1e-11)


# ---- elementary functions ----


@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh"])
def test_elementary_functions_against_the_standard_library(name):
    group = load(name).groups[0]
    expected = [getattr(math, name)(x) for x in group.x.tolist()]
    assert np.allclose(group.outputs["y"].value, expected, rtol=1e-15, atol=5e-324)


def test_relu_has_a_kink():
    group = load("relu").groups[0]
    assert group.x[group.kink].tolist() == [0.0]
    dx = group.outputs["dx"]
    assert (dx.low[group.kink].item(), dx.high[group.kink].item(), dx.value[group.kink].item()) == (0, 1, 0)


def test_methods():
    assert methods() == ("dsq", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "relu")
