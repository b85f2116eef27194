"""Digits from right and wrong: the short form of ``validation/rstdp.py``, and what is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from biosnn import networks, plasticity
from biosnn.errors import ParameterError

SCRIPT = Path(__file__).resolve().parents[1] / "validation" / "rstdp.py"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("validation_rstdp", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.validate(short=True)["small_network"]


@pytest.mark.parametrize("condition", ["reward", "shuffled"])
def test_the_network_does_what_its_equations_say(condition: str, figures: dict[str, Any]) -> None:
    checks = {name: part for name, part in figures[condition].items() if name != "accuracy"}
    assert checks["pooling_spikes_per_image"]["ok"], "the layers fire"
    assert checks["mean_weight_change"]["ok"], "the weights move"
    bad = {name: part for name, part in checks.items() if not part["ok"]}
    assert not bad


def test_reward_teaches_and_shuffled_labels_do_not(figures: dict[str, Any]) -> None:
    assert figures["reward"]["accuracy"] > 0.5, "chance is 0.1"
    assert figures["shuffled"]["accuracy"] < 0.25
    assert figures["above_shuffled"]["ok"], figures["above_shuffled"]


def test_layers_have_the_sizes_of_the_layout() -> None:
    network = networks.convolutional_reward_network(4, 3, side=12, kernel=3, stride=2, grid=2)
    sizes = {key: population.n for key, population in network.populations.items()}
    assert sizes == {
        "inp": 144,
        "s1": 4 * 25,
        "place": 25,
        "c1": 4 * 2 * 2,
        "environment": 1,
        "decision": 3,
    }
    cell, pool = network.projections["s1_c1"].pairs
    # Five rows of places in two regions: the first two and the other three.
    rows, columns = (cell % 25) // 5, cell % 5
    assert np.array_equal(pool, (cell // 25) * 4 + 2 * (rows >= 2) + (columns >= 2))
    assert network.plastic_projections == ("c1_decision",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_features": 1}, "n_features must be a whole number >= 2"),
        ({"n_classes": True}, "n_classes must be a whole number >= 2"),
        ({"side": 4}, "kernel must be small enough"),
        ({"grid": 13}, r"grid must be at most the places of a side \(12\)"),
        ({"w_max": 0.0}, "w_max must be > 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        networks.convolutional_reward_network(**settings)


def test_the_rule_refuses_what_is_no_modulator_or_no_rate() -> None:
    with pytest.raises(ParameterError, match=r"modulator must be .population\.variable."):
        plasticity.reward_prediction(modulator="reward")
    with pytest.raises(ParameterError, match="eta must be >= 0"):
        plasticity.reward_prediction(modulator="critic.r", eta=-0.1)
