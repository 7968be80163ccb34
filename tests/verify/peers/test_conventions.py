"""The conventions table: as stored, as written, and as measured here."""

import pytest

from verify.peers import conventions
from verify.peers.conventions import NOT_INSTALLED, document, measure, stored
from verify.peers.frameworks import FRAMEWORKS, Framework, Minigrad
from verify.peers.points import POINTS


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_what_is_measured_is_what_is_stored(framework: type[Framework]) -> None:
    """Ours in the default environment; the others in that of ``make peers``."""
    now, kept = measure((framework,)), stored()
    if now["versions"][framework.name] == NOT_INSTALLED:
        pytest.skip(f"{framework.name} is not installed; make peers")
    if now["versions"][framework.name].partition("+")[0] != kept["versions"][framework.name].partition("+")[0]:
        pytest.skip(f"{framework.name} is {now['versions'][framework.name]}, stored is {kept['versions']}")
    for point in POINTS:
        assert now["answers"][point.name].get(framework.name) == kept["answers"][point.name].get(framework.name), point


def test_the_page_is_what_is_stored() -> None:
    assert conventions.DOCUMENT.read_text() == document(stored()), "python -m verify.peers.conventions --store"


def test_every_framework_is_stored_and_ours_answers_everywhere() -> None:
    kept = stored()
    assert list(kept["versions"]) == [framework.name for framework in FRAMEWORKS]
    assert NOT_INSTALLED not in kept["versions"].values()
    silent = [name for name, row in kept["answers"].items() if "minigrad" not in row]
    assert silent == ["norm at 0", "round at 0.5"]


def test_a_framework_that_is_missing_is_named() -> None:
    class Missing(Framework):
        name, package = "Missing", "no-such-distribution"

    measured = measure((Missing,))
    assert measured["versions"] == {"Missing": NOT_INSTALLED}
    assert "Missing not installed" in document(measured)


def test_another_pick_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Minigrad.make_spellings

    def changed(self: Minigrad) -> dict:
        spellings = original(self)
        spellings["abs"] = {"abs": lambda x: x * 1.0}
        return spellings

    monkeypatch.setattr(Minigrad, "make_spellings", changed)
    assert measure((Minigrad,))["answers"]["abs at 0"]["minigrad"] == {"abs": [["1.0"]]}
    assert stored()["answers"]["abs at 0"]["minigrad"] == {"abs": [["0.0"]]}


def test_cells() -> None:
    answers = {"versions": {"A": "1", "B": "2"}, "answers": {point.name: {} for point in POINTS}}
    answers["answers"]["relu at 0"] = {
        "A": {"relu": [["0.3333333333333333"]]},
        "B": {"one": [["nan"], ["0.5"]], "two": [["1.0"], ["0.5"]]},
    }
    row = next(line for line in document(answers).splitlines() if line.startswith("| relu at 0"))
    assert row == "| relu at 0 | 1/3 | nan; 1/2 (`one`)<br>1; 1/2 (`two`) |"
