"""Discrete-step STDP against SpikingJelly's learner (``make_spikingjelly.py``)."""

from __future__ import annotations

import json

import numpy as np

from validation import plasticity as validation


def test_the_same_as_spikingjelly_on_twenty_inputs() -> None:
    data = np.load(validation.SPIKINGJELLY)
    assert data["spikes"].shape == data["w"].shape == (20, 128)
    settings = json.loads(str(data["settings"]))
    experiment = validation.script("stdp_trace")
    ours = {
        "tau_pre": experiment.TAU_PRE,
        "tau_post": experiment.TAU_POST,
        "lr": experiment.ETA,
        "w": experiment.W,
        **experiment.BOUNDS,
    }
    assert ours == settings
    assert data["out"].sum(axis=1).min() >= 5
    assert np.abs(data["w"] - 0.4).max() > 0.1
    found, _ = experiment.learn(data["spikes"].T.astype(float))
    for name, values in found.items():
        np.testing.assert_allclose(values.T, data[name], rtol=0, atol=1e-6, err_msg=name)
