"""The short form of ``validation/encoders.py``: random encoders against their laws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "validation" / "encoders.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("validation_encoders", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures(script: ModuleType) -> dict[str, Any]:
    return script.validate(short=True)


@pytest.mark.parametrize("source", ["array", "compiled_network"])
@pytest.mark.parametrize("kind", ["poisson", "bernoulli"])
def test_random_encoders_follow_their_laws(source: str, kind: str, figures: dict[str, Any]) -> None:
    found = {name: part for name, part in figures[source].items() if name.startswith(kind)}
    assert len(found) == 2
    for name, checks in found.items():
        assert checks["activity"]["ok"], name
        assert set(checks) > {"mean_count_z", "fano_factor_error", "intervals_ks"}
        bad = {check: part for check, part in checks.items() if not part["ok"]}
        assert not bad, name


@pytest.mark.parametrize("p", [0.01, 0.4, 0.9])
def test_the_laws_are_distributions_with_the_right_mean(script: ModuleType, p: float) -> None:
    """The mean interval is one over the rate, and the first probability is that of a queue."""
    k = np.arange(0, 5000)
    for law in script.LAWS.values():
        steps = np.diff(law(p, k))
        assert (steps > 0).any()
        assert (steps >= 0).all()
        assert steps.sum() == pytest.approx(1)
        assert (steps * k[1:]).sum() == pytest.approx(1 / p)


def test_the_distance_sees_a_wrong_law(script: ModuleType) -> None:
    """Exponential intervals that are rounded down, or drop what falls into an occupied step."""
    gaps = np.ceil(np.random.default_rng(0).exponential(5, 20_000)).astype(int)
    waiting = 1 - (1 - 0.2) * np.expm1(0.2) / 0.2
    gaps[np.random.default_rng(1).random(20_000) < waiting] = 1
    assert script.distance("poisson", 0.2, gaps)[1] > 0.01
    assert script.distance("bernoulli", 0.2, gaps)[1] < 1e-6
    assert script.distance("poisson", 0.2, np.maximum(gaps - 1, 1))[1] < 1e-6


def test_intervals_stay_within_trains_and_begin_early(script: ModuleType) -> None:
    spikes = np.zeros((2, 9, 2), dtype=bool)
    spikes[0, [1, 4, 5, 7], 0] = spikes[1, [0, 3], 1] = spikes[0, 2, 1] = True
    assert sorted(script.intervals(spikes).tolist()) == [1, 3, 3]
