"""Published firing patterns and spikes, by the code of the long validation."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import ms, mV

from experiments._firing_patterns import adex_patterns, izhikevich_patterns
from validation import neurons
from validation._hodgkin_huxley import onset, spikes
from validation._patterns import figure_script, play, recognised


@pytest.fixture(scope="module")
def izhikevich() -> dict[str, Any]:
    return neurons.izhikevich_patterns(short=True)


def test_izhikevichs_patterns(izhikevich: dict[str, Any]) -> None:
    """All 20 are shown, with the spikes that the recursion of the published script gives."""
    assert all(figures["spikes"] for figures in izhikevich["patterns"].values())
    assert izhikevich["of"] == 20
    assert izhikevich["shown"] == 20
    assert izhikevich["equal_to_script"] == 20
    assert izhikevich["ok"]


def test_izhikevichs_criteria_tell_the_patterns_apart(izhikevich: dict[str, Any]) -> None:
    """Runs meet the criteria of others only where one spike or one burst is all there is."""
    also = {name: set(figures["also_meets"]) for name, figures in izhikevich["patterns"].items()}
    assert sum(map(len, also.values())) <= 20  # of 380
    for name, figures in izhikevich["patterns"].items():
        if figures["spikes"] > 1 and name not in ("phasic bursting", "rebound burst"):
            assert not also[name], name


def test_naud_et_al_patterns() -> None:
    found = neurons.adex_patterns(short=True)
    assert found["of"] == 8
    assert found["shown"] == 8
    apart = {name: figures["twins_apart_ms"] for name, figures in found["patterns"].items()}
    assert apart.pop("irregular spiking") > 10
    assert max(apart.values()) < 5
    assert found["ok"]


def test_criteria_refuse_silence_and_a_wrong_train() -> None:
    t, v = np.arange(0, 100, 0.25), np.full(400, -70.0)
    for pattern in (*adex_patterns().values(), *izhikevich_patterns().values()):
        assert not pattern.shown_by([] * ms, t * ms, v * mV)
        assert not pattern.shown_by(np.array([1.0, 2.0, 390.0, 990.0]) * ms, t * ms, v * mV)


def test_a_pattern_needs_its_current() -> None:
    """Without its current tonic spiking is silent, and without inhibition there is no rebound."""
    patterns = izhikevich_patterns()
    still = {
        name: attrs.evolve(patterns[name], pieces=()) for name in ("tonic spiking", "rebound spike")
    }
    shown = recognised(still, play(still.values()))
    assert not any(figures["ok"] for figures in shown.values())
    assert not any(len(figure_script(pattern)) for pattern in still.values())


def test_hodgkin_and_huxleys_spike() -> None:
    found = spikes(True)
    assert found["spikes_counted"]["value"] == 3
    assert found["ok"], found


def test_hodgkin_and_huxleys_onset() -> None:
    """Silent at 6.0 uA/cm2, and at once with more than 45 Hz above 6.26."""
    found = onset(True)
    assert found["rate_hz"][0] == 0
    assert found["rate_hz"][-1] > found["rate_hz"][1] > 45
    assert found["ok"], found
