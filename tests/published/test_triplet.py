"""Pairs, triplets and voltage against what was published: the short form of the validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from validation import __main__ as record
from validation import plasticity as validation

PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "window": lambda: validation.window("runtime", short=True),
    "triplets": lambda: validation.triplets("runtime", short=True),
    "voltage": lambda: validation.voltage("runtime", validation.short_conditions()),
    "thresholds": lambda: validation.rate_thresholds("runtime", validation.SHORT_UNITS),
}


@pytest.mark.parametrize("name", PARTS)
def test_rules_against_what_was_published(name: str) -> None:
    found = dict(record.checks(PARTS[name]()))
    assert len(found) >= 3
    assert not {key: check for key, check in found.items() if not check["ok"]}
