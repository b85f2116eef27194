"""The balanced networks of Brette et al. 2007 against plain Brian2, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from biosnn import networks
from biosnn.errors import ParameterError
from experiments.balanced_networks import activity
from validation import balanced


@pytest.mark.usefixtures("fresh_brian2")
def test_the_same_spikes_as_plain_brian2() -> None:
    """Same connections and initial values: at least 99 % of the first 50 ms' spikes agree."""
    figures = balanced.validate(short=True)
    assert set(figures) == {"COBA", "CUBA"}
    for kind in figures.values():
        for population in kind["same_network"].values():
            assert population["spikes"] > 10
            assert population["same_spikes"]["ok"], population


def test_activity_of_known_trains() -> None:
    """Periodic, irregular and silent neurons: rates and CVs in closed form."""
    regular = np.arange(1, 11) * 0.1 - 0.05
    pairs = np.sort(np.concatenate([regular, regular + 0.02]))
    i = np.repeat([0, 1], [len(regular), len(pairs)])
    found = activity(i, np.concatenate([regular, pairs]), 3, 0.0, 1.0)
    assert found["rate_Hz"] == pytest.approx(10)
    assert found["rates"].tolist() == [10, 20, 0]
    assert found["silent"] == pytest.approx(1 / 3)
    intervals = np.diff(pairs)
    assert found["cvs"] == pytest.approx([0, intervals.std() / intervals.mean()], abs=1e-6)


def test_connections() -> None:
    """4:1 cells, 80 connections per cell, none to itself, weights of the right sign."""
    network = networks.balanced_network("CUBA", 500)
    assert [p.n for p in network.populations.values()] == [400, 100]
    arriving = np.zeros(400)
    for name in ("exc_exc", "inh_exc"):
        i, j = network.indices(name)
        arriving += np.bincount(j, minlength=400)
        assert name != "exc_exc" or not (i == j).any()
    assert abs(arriving.mean() - 80) < 2
    assert network.projections["inh_exc"].weights < 0 < network.projections["exc_exc"].weights


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("COBRA",), "COBA"), (("COBA", 12), "multiple of 5"), (("COBA", 0), "multiple of 5")],
)
def test_what_cannot_be_is_refused(arguments, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        networks.balanced_network(*arguments)
