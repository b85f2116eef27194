"""The networks that estimators know by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biosnn import networks
from biosnn.networks.parametrised import Ready


def _thresholds(parameters: Mapping[str, Any]) -> dict[str, float]:
    """Lower thresholds, so that several units answer and not the winner alone.

    The factors are those of the main job (experiments/mnist_stdp.py).
    """
    return {"exc.theta": 0.05 if parameters["encoding"] == "direct" else 0.25}


#: Networks that learn without labels.
UNSUPERVISED = {
    "winner_take_all": Ready(
        make=networks.winner_take_all,
        names={"learning_rate": "eta"},
        defaults={"n_neurons": 100, "encoding": "direct"},
        read_scale=_thresholds,
    ),
    "diehl_cook_2015": Ready(
        make=networks.diehl_cook_2015,
        defaults={"n_neurons": 100},
    ),
}
#: Networks that learn from reward.
REWARDED = {
    "reward_network": Ready(
        make=networks.reward_network,
        names={"learning_rate": "eta", "n_neurons": "n_hidden"},
    ),
}
