"""The examples are modules of their own, as a user's are: their folder is put on the path."""

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent / "examples"

# At collection already: the test modules import them.
sys.path.insert(0, str(EXAMPLES))


@pytest.fixture(autouse=True)
def _path_restored(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def in_examples(monkeypatch):
    monkeypatch.chdir(EXAMPLES)
