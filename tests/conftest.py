"""Profiles of hypothesis, and a seal around global state."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from minigrad import backend

# "ci" draws the same examples in every run; "intense" is for long campaigns (make campaign).
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=30, **_COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, print_blob=True, **_COMMON)
settings.register_profile("intense", max_examples=300, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def sealed() -> Iterator[None]:
    """No test changes the floating-point error state or the backend for the next one."""
    before, current = np.geterr(), backend.current()
    yield
    assert np.geterr() == before
    assert backend.current() == current
