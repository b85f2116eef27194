"""Reward-modulated rules against explicit sums over pairs, rewards per sample and per frame."""

import attrs
import numpy as np
import pytest
from brian2 import ms

from biosnn import encoding, models, plasticity, simulation
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

DT = 1.0  # ms
STEPS, FRAME = 200, 10
SAMPLES = 3
EXACT = ("mstdp", "mstdpet", "dopamine")
TAU_PLUS, TAU_MINUS, TAU_Z, TAU_C, TAU_D = 15.0, 30.0, 25.0, 400.0, 80.0
WINDOW = {"tau_plus": TAU_PLUS * ms, "tau_minus": TAU_MINUS * ms, "w_min": -99.0, "w_max": 99.0}
LEVEL = "dopamine_level.d"
RULES = {
    "mstdp": plasticity.mstdp(modulator="critic.sample", gamma=0.1, A_minus=0.7, **WINDOW),
    "mstdpet": plasticity.mstdpet(
        modulator="critic.frame", gamma=0.6, tau_z=TAU_Z * ms, A_minus=0.8, **WINDOW
    ),
    "bounded": plasticity.mstdpet(modulator="critic.frame", gamma=1.0, w_min=0.4, w_max=0.6),
    "dopamine": plasticity.dopamine_stdp(modulator=LEVEL, tau_c=TAU_C * ms, **WINDOW),
    "coarse": plasticity.dopamine_stdp(modulator=LEVEL, tau_c=TAU_C * ms, every=10 * ms, **WINDOW),
}


def network() -> NetworkModel:
    source = encoding.address_events()
    critic = models.neuron(equations="frame : 1\nsample : 1", name="Critic")
    return NetworkModel(
        name="rewards",
        dt=DT * ms,
        inputs={
            "before": Input(features=2, kind="events"),
            "after": Input(features=3, kind="events"),
            "frames": Input(features=1, kind="sequence", frame=FRAME * ms),
            "samples": Input(features=1),
        },
        populations={
            "pre": Population(model=source, n=2, drives={"x": "before"}),
            "post": Population(model=source, n=3, drives={"x": "after"}),
            "critic": Population(
                model=critic, n=1, drives={"frame": "frames", "sample": "samples"}
            ),
            "dopamine_level": Population(
                model=plasticity.dopamine(tau_d=TAU_D * ms, baseline=0.01),
                n=1,
                drives={"release": "frames"},
            ),
        },
        projections={
            key: Projection(pre="pre", post="post", weights=0.5, rule=rule)
            for key, rule in RULES.items()
        },
        presentation=Presentation(duration=STEPS * ms, reset="none"),
        output="post",
    )


def inputs() -> dict[str, object]:
    """Random spikes, some of them of both sides in one step, and random rewards."""
    rng = np.random.default_rng(4)
    trains = {}
    for name, n in (("before", 2), ("after", 3)):
        fired = rng.random((SAMPLES, STEPS, n)) < 0.04
        fired[:, ::50] = True
        sample, step, unit = np.nonzero(fired)
        trains[name] = (sample, unit, (step + 0.5) * DT * 1e-3)
        trains[f"{name}_fired"] = fired.reshape(-1, n)
    return {
        **trains,
        "frames": rng.integers(-64, 65, (SAMPLES, STEPS // FRAME, 1)) / 64,
        "samples": rng.integers(-64, 65, (SAMPLES, 1)) / 64,
    }


def pairs(pre, post, A_plus, A_minus, *, nearest=False, both_at_zero=True):
    """(step, change) of every pair: explicit sums, without traces."""
    found = []
    for step in post:
        earlier = pre[pre <= step][-1:] if nearest else pre[pre <= step]
        found += [(step, A_plus * np.exp(-(step - k) * DT / TAU_PLUS)) for k in earlier]
    for step in pre:
        earlier = post[post <= step] if both_at_zero else post[post < step]
        earlier = earlier[-1:] if nearest else earlier
        found += [(step, -A_minus * np.exp(-(step - k) * DT / TAU_MINUS)) for k in earlier]
    return found


def expected(given) -> dict[str, np.ndarray]:
    """Weights by every rule's equations, for all pairs of neurons."""
    steps = np.arange(SAMPLES * STEPS)
    by_sample = np.repeat(given["samples"].ravel(), STEPS)
    by_frame = np.repeat(given["frames"].ravel(), FRAME)
    level = 0.01 + sum(
        value * np.exp(-(steps - k * FRAME + 1) * DT / TAU_D) * (steps >= k * FRAME)
        for k, value in enumerate(given["frames"].ravel())
    )
    weights = {key: np.full((2, 3), 0.5) for key in EXACT}
    for i in range(2):
        for j in range(3):
            pre, post = (
                np.flatnonzero(given[name][:, unit])
                for name, unit in (("before_fired", i), ("after_fired", j))
            )
            for step, change in pairs(pre, post, 1.0, 0.7):
                weights["mstdp"][i, j] += 0.1 * by_sample[step] * change
            for step, change in pairs(pre, post, 1.0, 0.8):
                z = change * np.exp(-(steps - step) * DT / TAU_Z) * (steps >= step)
                weights["mstdpet"][i, j] += 0.6 * DT / TAU_Z * (by_frame * z).sum()
            for step, change in pairs(pre, post, 0.1, 0.15, nearest=True, both_at_zero=False):
                c = change * np.exp(-(steps - step) * DT / TAU_C) * (steps >= step)
                weights["dopamine"][i, j] += 0.1 * DT * (level * c).sum()
    return {key: matrix.ravel() for key, matrix in weights.items()}


@pytest.fixture(scope="module")
def given():
    return inputs()


def streams(given, strength: float = 1.0) -> dict[str, object]:
    rewards = {key: strength * given[key] for key in ("frames", "samples")}
    return {"before": given["before"], "after": given["after"], **rewards}


@pytest.fixture(scope="module")
def on_runtime():
    return simulation.compile(network(), "runtime")


@pytest.fixture(scope="module")
def learned(on_runtime, given):
    return on_runtime.run(streams(given), learn=True)


@pytest.mark.parametrize("key", EXACT)
def test_weights_are_those_of_the_sums_over_pairs(given, learned, key) -> None:
    recording, state = learned
    assert recording.counts("post").sum() == given["after_fired"].sum() > 50
    wanted = expected(given)[key]
    assert np.abs(wanted - 0.5).min() > 1e-3
    np.testing.assert_allclose(state[f"{key}.w"], wanted, rtol=1e-9)


def test_rare_updates_stay_within_their_error(learned) -> None:
    _, state = learned
    change, coarse = (state[f"{key}.w"] - 0.5 for key in ("dopamine", "coarse"))
    assert np.abs(change).max() > 0.05
    assert not np.array_equal(change, coarse)
    np.testing.assert_allclose(coarse, change, atol=0.1 * np.abs(change).max())


def test_weights_stay_within_their_bounds(learned) -> None:
    weights = learned[1]["bounded.w"]
    assert (weights != 0.5).all()
    assert weights.min() >= 0.4
    assert weights.max() <= 0.6
    assert np.isin(weights, (0.4, 0.6)).any()


def test_both_devices_agree(given, learned) -> None:
    compiled = simulation.compile(network(), "cpp", math="strict")
    recording, state = compiled.run(streams(given), learn=True)
    assert recording.counts("post").sum() > 50
    for name, values in learned[1].items():
        np.testing.assert_allclose(state[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_no_reward_no_learning(on_runtime, given) -> None:
    recording, state = on_runtime.run(streams(given, strength=0.0), learn=True)
    assert recording.counts("post").sum() > 50
    assert np.abs(state["mstdpet.z"]).max() > 0.1
    for key in ("mstdp", "mstdpet", "bounded"):
        assert (state[f"{key}.w"] == 0.5).all()
    assert (state["dopamine.w"] != 0.5).all(), "dopamine has a baseline"


@pytest.mark.parametrize(
    ("reset", "left"), [("none", True), ("all", False), ({"z": ("z",)}, False)]
)
def test_eligibility_ends_with_a_presentation_that_resets(reset, left) -> None:
    source = encoding.address_events()
    rule = plasticity.mstdpet(modulator="critic.r", tau_z=1000 * ms)
    made = NetworkModel(
        name="reset",
        dt=1 * ms,
        inputs={
            "before": Input(features=1, kind="events"),
            "after": Input(features=1, kind="events"),
            "r": Input(features=1),
        },
        populations={
            "pre": Population(model=source, n=1, drives={"x": "before"}),
            "post": Population(model=source, n=1, drives={"x": "after"}),
            "critic": Population(
                model=models.neuron(equations="r : 1", name="Critic"), n=1, drives={"r": "r"}
            ),
        },
        projections={"z": Projection(pre="pre", post="post", weights=0.5, rule=rule)},
        presentation=Presentation(duration=20 * ms, reset=reset),
        output="post",
    )
    runnable = simulation.compile(made, "runtime")
    spikes = {"before": (0, 5), "after": (0, 8)}
    streams = {
        name: (np.array([sample]), np.array([0]), np.array([(step + 0.5) * 1e-3]))
        for name, (sample, step) in spikes.items()
    }
    _, state = runnable.run({**streams, "r": np.zeros((1, 1))}, learn=True)
    assert state["z.z"][0] > 0.5
    nothing = {name: (np.array([]), np.array([]), np.array([])) for name in spikes}
    _, after = runnable.run({**nothing, "r": np.ones((1, 1))}, state, learn=True)
    assert (after["z.z"][0] > 0.5) == left
    assert (after["z.w"][0] > 0.5) == left


def test_transient_variables_are_the_rules_own() -> None:
    with pytest.raises(ParameterError) as caught:
        attrs.evolve(RULES["mstdpet"], transient=("x",))
    assert caught.value.name == "transient"


@pytest.mark.parametrize(
    ("make", "name", "arguments"),
    [
        (plasticity.mstdp, "modulator", {"modulator": "critic"}),
        (plasticity.mstdp, "modulator", {"modulator": 3}),
        (plasticity.mstdpet, "tau_z", {"modulator": "critic.r", "tau_z": 25}),
        (plasticity.mstdpet, "every", {"modulator": "critic.r", "every": 0 * ms}),
        (plasticity.mstdpet, "w_max", {"modulator": "critic.r", "w_min": 2.0}),
        (plasticity.dopamine_stdp, "rate", {"modulator": "critic.r", "rate": 100}),
        (plasticity.dopamine_stdp, "pairing", {"modulator": "critic.r", "pairing": "some"}),
        (plasticity.dopamine, "tau_d", {"tau_d": -1 * ms}),
    ],
)
def test_bad_arguments_are_named(make, name, arguments) -> None:
    with pytest.raises(ParameterError) as caught:
        make(**arguments)
    assert caught.value.name == name
