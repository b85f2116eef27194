"""Inhibitory STDP brings neurons to their target rate (Vogels et al. 2011)."""

from __future__ import annotations

import pytest

from validation import __main__ as record
from validation import plasticity as validation


@pytest.mark.slow
def test_the_target_rate_is_reached_from_far_above() -> None:
    found = dict(record.checks(validation.inhibition("cpp", short=True)))
    assert len(found) == 3
    assert not {key: check for key, check in found.items() if not check["ok"]}
