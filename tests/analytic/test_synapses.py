"""Every synapse against its closed form, and what a validation's checks must not hide."""

from __future__ import annotations

from typing import Any

import pytest

from biosnn import models
from validation import synapses


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return synapses.validate(short=True)["runtime"]


def failed(figures: Any, path: str = "") -> list[str]:
    if not isinstance(figures, dict):
        return []
    if "ok" in figures:
        return [] if figures["ok"] else [f"{path}: {figures['value']:.3g} > {figures['bound']:.3g}"]
    return [line for key, part in figures.items() for line in failed(part, f"{path}/{key}")]


def test_all_of_them_are_looked_at(figures: dict[str, Any]) -> None:
    plasticity = {"tsodyks_markram_depressing", "tsodyks_markram_facilitating"}
    assert set(figures) == {*models.SYNAPSES, *plasticity} - {"tsodyks_markram"}
    for name in synapses.STRENGTHS:
        assert 0.5 < figures[name]["psp_peak_mV"] < 5


def test_courses_and_peaks(figures: dict[str, Any]) -> None:
    """Currents, potentials, magnesium block, plasticity and coupling: all within 1e-3."""
    assert not failed(figures)


def test_facilitation_grows_and_depression_falls_with_the_rate(figures: dict[str, Any]) -> None:
    depressing = figures["tsodyks_markram_depressing"]
    facilitating = figures["tsodyks_markram_facilitating"]
    assert depressing["10 Hz"]["share"] > 2 * depressing["50 Hz"]["share"]
    assert facilitating["20 Hz"]["share"] > 4 * synapses.SHORT_TERM["facilitating"]["U"]
