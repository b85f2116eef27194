"""The device ``cuda``, emulated on the CPU, held to the device ``cpp``: the same to the bit."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, Mohm, ms, mV
from cuda_emulation.nvcc import emulated_nvcc

from biosnn import encoding, gpu, models, networks, plasticity, simulation
from biosnn.errors import DeviceError, Interrupted, ParameterError
from biosnn.networks import (
    Condition,
    FixedProbability,
    Input,
    NetworkModel,
    Population,
    Presentation,
    Projection,
    Subgroup,
)
from biosnn.recording import Recording
from biosnn.simulation import Ensemble, Runnable
from biosnn.state import State

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with"),
    pytest.mark.skipif(
        gpu.brian2cuda_version() is None,
        reason="brian2cuda is not installed: nothing writes CUDA code",
    ),
]

N_SAMPLES, N_INPUTS = 7, 64
RNG = np.random.default_rng(0)
IMAGES = RNG.random((N_SAMPLES, N_INPUTS)) * RNG.random((N_SAMPLES, 1))
ORDERS = ("forward", "reversed", "shuffled:3")
SPIKES: dict[str, Any] = {
    "spikes": ("exc", "inp"),
    "per_sample": ("exc.count", "exc.t_first", "exc.v"),
}
KEPT: dict[str, Any] = {**SPIKES, "traces": {"exc.v": [0, 3]}, "snapshots": {"inp_exc.w": 3}}
LEARN: dict[str, Any] = {"learn": True, "seed": 3, "progress": False}
GAIN = [0.15, 0.1, 0.3]
Found = tuple[Recording, State]


def wta(n_inputs: int = N_INPUTS, n: int = 25) -> NetworkModel:
    """Winner-take-all units that see some samples again, more intensely."""
    network = networks.winner_take_all(n_inputs, n, theta=20.0, max_rate=200 * Hz, duration=40 * ms)
    again = {"watch": "exc", "min_spikes": 9, "max_retries": 3, "intensity_step": 1.5}
    return attrs.evolve(network, presentation=attrs.evolve(network.presentation, **again))


def medley() -> NetworkModel:
    """Every kind of input, of delay, of pairs, and what else has kernels of its own."""
    n, features = 4, 6
    host = models.lif(R=200 * Mohm, tau_m=12 * ms, t_ref=1 * ms)
    gaps, slow = (
        host.with_synapses(s=made) for made in (models.gap_junction(), models.exponential_current())
    )
    facilitated = host.with_synapses(s=models.exponential_current())
    strong = {"transmit": "v_post += w*J", "parameters": {"J": 4 * mV}}
    weights = 0.5 + 0.02 * np.arange(features * n)
    # Delays of more steps than a warp has threads.
    delays = 0.5 * np.random.default_rng(5).integers(0, 40, features * n) * ms
    critic = models.neuron(equations="r : 1", name="Critic")
    restless = models.neuron(
        name="Restless",
        equations="dv/dt = (0.8 + 0.1*held + both - v)/tau + 0.4*xi*tau**-0.5 : 1\n"
        "both = common(t) + own(t, i) : 1\nk : 1\n"
        "held = randn() : 1 (constant over dt)",
        threshold="v > 1 + 0.1*rand()",
        reset="v = 0.1*randn()",
        method="euler",
        parameters={
            "tau": 5 * ms,
            "common": models.TimeSeries(values=[0.0, 0.1, -0.1], dt=4 * ms),
            "own": models.TimeSeries(values=np.arange(2 * n).reshape(2, n) / 50, dt=8 * ms),
        },
        initial={"v": "0.2*rand() + 0.1*i"},
        operations=(models.Operation(code="k = poisson(3.5*rand())"),),
    )
    weak = {"I_ext": "weak"}
    return NetworkModel(
        name="medley",
        dt=0.5 * ms,
        inputs={
            "image": Input(features=features),
            "reward": Input(features=1, kind="sequence", frame=15 * ms),
            "events": Input(features=n, kind="events"),
            "weak": Input(features=n),
        },
        populations={
            "source": Population(
                model=encoding.regular(max_rate=250 * Hz, phase=0.3),
                n=features,
                drives={"x": "image"},
            ),
            "noise": Population(
                model=encoding.poisson(max_rate=200 * Hz), n=features, drives={"x": "image"}
            ),
            "played": Population(model=encoding.address_events(), n=n, drives={"x": "events"}),
            "critic": Population(model=critic, n=1, drives={"r": "reward"}),
            "restless": Population(model=restless, n=n),
            "coupled": Population(model=gaps, n=n, drives=weak),
            "late": Population(model=host, n=n, drives={"I": "weak"}),
            "later": Population(model=host, n=n, drives={"I": "weak"}),
            "sparse": Population(model=slow, n=n, drives=weak),
            "facilitated": Population(model=facilitated, n=n, drives=weak),
        },
        projections={
            "gaps": Projection(
                pre="coupled", post="coupled", synapse="s", weights=2.0, pairs="all_but_self"
            ),
            "at_once": Projection(
                pre="source",
                post="coupled",
                weights=weights,
                rule=plasticity.mstdpet(modulator="critic.r", gamma=0.1),
                **strong,
            ),
            "uniform": Projection(
                pre="noise",
                post="late",
                weights=weights,
                rule=plasticity.triplet_stdp(),
                delay=1.5 * ms,
                axonal_delay=True,
                **strong,
            ),
            "own": Projection(
                pre="source",
                post="later",
                weights=weights,
                rule=plasticity.voltage_stdp(),
                delay=delays,
                **strong,
            ),
            "sparsely": Projection(
                pre="noise",
                post="sparse",
                synapse="s",
                weights=0.6,
                pairs=FixedProbability(p=0.5, seed=3),
                rule=plasticity.pair_stdp(),
            ),
            "back": Projection(
                pre="sparse", post="late", transmit="v_post -= w*mV", weights=0.5, delay=1 * ms
            ),
            "played_late": Projection(
                pre="played", post="late", transmit="v_post += 6*mV", pairs="one_to_one"
            ),
            "tired": Projection(
                pre=Subgroup("played", 1),
                post=Subgroup("late", 0, 3),
                equations="dr/dt = (1 - r)/(20*ms) : 1 (event-driven)",
                transmit="v_post += 5*mV*r\nr *= 0.4",
                pairs=Condition("i != j"),
            ),
            "stp": Projection(
                pre="source",
                post="facilitated",
                synapse="s",
                weights=0.8,
                short_term=models.tsodyks_markram(),
                delay=1 * ms,
            ),
        },
        presentation=Presentation(duration=40 * ms, rest=5 * ms, reset="all"),
        output="late",
    )


def medley_samples() -> dict:
    n = 3
    rng = np.random.default_rng(5)
    sample = np.sort(rng.integers(0, n, 20))
    return {
        "image": rng.uniform(0.4, 1.0, (n, 6)),
        "reward": rng.uniform(-1, 1, (n, 2, 1)),
        "events": (sample, rng.integers(0, 4, 20), rng.integers(0, 75, 20) * 0.5e-3),
        "weak": np.full((n, 4), 90e-12),
        "intensity": np.array([1.0, 0.8, 1.2]),
        "n_samples": n,
    }


@pytest.fixture(scope="module", autouse=True)
def emulation() -> Iterator[None]:
    """Faster: copies are not watched (``test_cuda_emulation.py`` does), and blocks are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMULATED_GUARD", "0")
        patch.setenv("EMULATED_THREADS_PER_BLOCK", "64")
        yield


@pytest.fixture(params=ORDERS)
def order(request, monkeypatch) -> str:
    """Of the threads, which must not matter."""
    monkeypatch.setenv("EMULATED_ORDER", request.param)
    return request.param


def emulated(network: NetworkModel, **options: Any) -> Runnable:
    """A network on the device ``cuda``."""
    with emulated_nvcc():
        made = simulation.compile(
            network, "cuda", architecture="sm_90", **{"math": "strict", **options}
        )
    assert made.device == "cuda"
    return made


def both(network: NetworkModel, **options: Any) -> tuple[Runnable, Runnable]:
    """A network on the devices ``cpp`` and ``cuda``."""
    options = {"math": "strict", **options}
    return simulation.compile(network, "cpp", **options), emulated(network, **options)


@pytest.fixture(scope="module")
def one() -> tuple[Runnable, Runnable]:
    return both(wta(), **KEPT)


def assert_same(found: Found, wanted: Found, *, state: float = 0.0) -> None:
    """The same spikes; all else to the bit, or within so much of the largest value."""
    np.testing.assert_array_equal(found[0].shown, wanted[0].shown)
    for key, spikes in wanted[0].spikes.items():
        for name in ("sample", "t", "i"):
            one, other = getattr(found[0].spikes[key], name), getattr(spikes, name)
            np.testing.assert_array_equal(one, other, err_msg=f"{key}.{name}")
    for part in ("per_sample", "snapshots"):
        expected = getattr(wanted[0], part)
        assert getattr(found[0], part).keys() == expected.keys()
        for name, rows in expected.items():
            close(getattr(found[0], part)[name], rows, state, name)
    for name, trace in wanted[0].traces.items():
        np.testing.assert_array_equal(found[0].traces[name].t, trace.t)
        close(found[0].traces[name].values, trace.values, state, name)
    assert set(found[1]) == set(wanted[1])
    for name, values in wanted[1].items():
        close(found[1][name], values, state, name)


def close(found: np.ndarray, wanted: np.ndarray, bound: float, name: str) -> None:
    if bound == 0.0:
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        return
    scale = np.nanmax(np.abs(wanted[np.isfinite(wanted)]), initial=0.0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound * scale, err_msg=name)


def alive(found: Found, start: State | None = None, key: str = "exc") -> None:
    """Something happened: spikes, samples that were shown again, weights that moved."""
    assert len(found[0].spikes[key].i) > N_SAMPLES
    assert len(set(found[0].shown)) > 1
    if start is not None:
        assert np.abs(found[1]["inp_exc.w"] - start["inp_exc.w"]).max() > 0.01


# --- one network


@pytest.mark.parametrize("learn", [True, False])
def test_a_network_agrees(one, order, learn) -> None:
    cpp, cuda = one
    wanted = cpp.run(IMAGES, learn=learn, seed=3)
    alive(wanted, cpp.initial_state(3) if learn else None)
    assert wanted[0].snapshots["inp_exc.w"].shape[0] == 2
    assert np.ptp(wanted[0].traces["exc.v"].values) > 0
    assert_same(cuda.run(IMAGES, learn=learn, seed=3), wanted)


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_chunks_change_nothing(one, chunk_size) -> None:
    cpp, cuda = one
    wanted = cpp.run(IMAGES, **LEARN, epoch=2, first_sample=5)
    alive(wanted, cpp.initial_state(3))
    found = cuda.run(IMAGES, **LEARN, epoch=2, first_sample=5, chunk_size=chunk_size)
    assert_same(found, wanted)


def test_spikes_are_sorted(one, monkeypatch) -> None:
    monkeypatch.setenv("EMULATED_ORDER", "shuffled:7")
    recording, _ = one[1].run(IMAGES, **LEARN)
    for key, spikes in recording.spikes.items():
        assert len(spikes.i) > N_SAMPLES, key
        step = np.round(spikes.t / 1e-3).astype(int)
        assert (np.diff(spikes.sample) >= 0).all()
        together = (np.diff(spikes.sample) == 0) & (np.diff(step) == 0)
        assert (np.diff(spikes.i)[together] > 0).all()
        # Within a sample, time begins anew only with another attempt.
        again = [np.sum(np.diff(step[spikes.sample == k]) < 0) for k in range(N_SAMPLES)]
        assert (np.array(again) <= recording.shown - 1).all()
    assert again == list(recording.shown - 1)  # of the input, which fires all the time


@pytest.fixture(scope="module")
def everything() -> tuple[Runnable, Runnable]:
    network = medley()
    spiking = tuple(k for k, p in network.populations.items() if p.model.threshold is not None)
    kept = {"spikes": spiking, "traces": {"late.v": [1], "own.w": [0, 5]}, "per_sample": ()}
    return both(network, **kept)


def test_everything_together_agrees(everything, order) -> None:
    cpp, cuda = everything
    samples = medley_samples()
    wanted = cpp.run(samples, learn=True, seed=3)
    start = cpp.initial_state(3)
    for key in cpp.interface.spikes:
        assert len(wanted[0].spikes[key].i) > 3, key
    for key in cpp.interface.plastic:
        assert np.abs(wanted[1][f"{key}.w"] - start[f"{key}.w"]).max() > 1e-4, key
    assert_same(cuda.run(samples, learn=True, seed=3), wanted, state=1e-9)


@pytest.mark.nightly
def test_single_precision_agrees(one) -> None:
    cpp, cuda = both(wta(), precision="single", **SPIKES)
    wanted = cpp.run(IMAGES, **LEARN)
    alive(wanted, cpp.initial_state(3))
    found = cuda.run(IMAGES, **LEARN)
    assert found[1]["inp_exc.w"].dtype == np.float32
    # The input's spikes are drawn in double precision on both.
    assert_same(found, wanted, state=1e-5)
    double = one[1].run(IMAGES, **LEARN)[1]["inp_exc.w"]
    assert np.abs(found[1]["inp_exc.w"] - double).max() > 0


# --- runs that move between devices


def test_a_state_moves_between_devices(one) -> None:
    cpp, cuda = one
    wanted = cpp.run(IMAGES, **LEARN, horizon=N_SAMPLES)
    alive(wanted, cpp.initial_state(3))
    state = None
    for k, (device, part) in enumerate([(cpp, slice(2)), (cuda, slice(2, 5)), (cpp, slice(5, 7))]):
        options = {**LEARN, "first_sample": (0, 2, 5)[k], "horizon": N_SAMPLES}
        recording, state = device.run(IMAGES[part], state, **options)
        np.testing.assert_array_equal(recording.counts("exc"), wanted[0].counts("exc")[part])
    assert state is not None
    for name, values in wanted[1].items():
        np.testing.assert_array_equal(state[name], values, err_msg=name)


def stop_after(done: int) -> Callable[[int, int | None], None]:
    sent = []  # a second signal would not wait for a checkpoint

    def progress(now: int, total: int | None) -> None:
        if now >= done and not sent:
            sent.append(now)
            os.kill(os.getpid(), signal.SIGTERM)

    return progress


def test_a_run_moves_between_devices_at_its_checkpoints(one, tmp_path) -> None:
    cpp, cuda = one
    wanted = cpp.run(IMAGES, **LEARN)
    alive(wanted, cpp.initial_state(3))
    options = {**LEARN, "folder": tmp_path / "run", "checkpoint_every": 1, "chunk_size": 1}
    for device, samples in ((cpp, 2), (cuda, 4)):
        with pytest.raises(Interrupted, match="stopped after sample"):
            device.run(IMAGES, resume=True, **{**options, "progress": stop_after(samples)})
    assert_same(cpp.run(IMAGES, resume=True, **options), wanted)


def test_a_signal_stops_the_program_after_a_sample(one, tmp_path) -> None:
    cpp, cuda = one
    options = {**LEARN, "folder": tmp_path / "run"}
    many = np.tile(IMAGES, (20, 1))
    with pytest.raises(Interrupted, match=r"stopped after sample \d+"):
        cuda.run(many, **{**options, "progress": stop_after(1)})
    assert_same(cuda.run(many, resume=True, **options), cpp.run(many, **LEARN))


# --- copies


@pytest.fixture(scope="module")
def three() -> Runnable:
    return emulated(wta(), n_parallel=3, **SPIKES)


def test_samples_at_once_agree_with_one_by_one(one, three, order) -> None:
    """Seven samples, three at once."""
    cpp = one[0]
    trained = cpp.run(IMAGES, **LEARN)[1]
    wanted = cpp.run(IMAGES, trained, seed=5)
    alive(wanted)
    plain = attrs.evolve(wanted[0], traces={}, snapshots={})
    assert_same(three.run(IMAGES, trained, seed=5), (plain, wanted[1]))


@pytest.fixture(scope="module")
def ensembles() -> tuple[Ensemble, Ensemble]:
    options = {"math": "strict", **SPIKES, "parameters": {"inp_exc.gain": GAIN}}
    with emulated_nvcc():
        cuda = simulation.ensemble(wta(), 3, "cuda", architecture="sm_90", **options)
    return simulation.ensemble(wta(), 3, **options), cuda


def test_members_of_an_ensemble_agree(ensembles, order) -> None:
    cpp, cuda = ensembles
    wanted = cpp.run(IMAGES, seeds=[4, 5, 6], learn=True)
    for one in wanted:
        alive(one, cpp.initial_states([4, 5, 6])[0])
    assert len({tuple(found[0].shown) for found in wanted}) > 1  # each has its own retries
    found = cuda.run(IMAGES, seeds=[4, 5, 6], learn=True, chunk_size=4)
    for one, other in zip(found, wanted, strict=True):
        assert_same(one, other)


# --- what goes wrong


def test_what_is_not_finite_is_named(one) -> None:
    start = one[0].initial_state(3)
    broken = start.updated({"inp_exc.w": np.full(start["inp_exc.w"].shape, 1e308)})
    said = []
    for device in one:
        with pytest.raises(DeviceError) as caught:
            device.run(IMAGES, broken, seed=3)
        said.append(str(caught.value))
    assert "became NaN or infinite at index" in said[0]
    assert said[0] == said[1]


def test_a_member_that_diverges_is_named(ensembles) -> None:
    said = []
    for device in ensembles:
        states = device.initial_states([1, 2, 3])
        states[1] = states[1].updated({"inp_exc.w": np.full(N_INPUTS * 25, 1e308)})
        with pytest.raises(DeviceError, match="of member 1 became NaN or infinite") as caught:
            device.run(IMAGES, states)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_too_many_spikes_are_reported(one) -> None:
    said = []
    for device in one:
        with pytest.raises(ParameterError) as caught:
            device.run(IMAGES, learn=True, seed=3, memory_limit=40_000, chunk_size=7)
        said.append(str(caught.value))
    assert "memory" in said[0]
    assert said[0] == said[1]
