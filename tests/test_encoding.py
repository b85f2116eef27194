"""Encoders: statistics of the array functions, and input populations that play the same spikes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms, mV, nA, pA
from scipy import stats

from biosnn import encoding, models, simulation
from biosnn.errors import BiosnnError, DataError, ParameterError
from biosnn.models import NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.rng import counter_uniform
from biosnn.simulation import Runnable

RNG = np.random.default_rng(11)
#: Some samples with zeros, ones and values whose spikes fall onto ends of time steps.
SAMPLES = np.concatenate(
    [[[0.0, 1.0, 0.5, 0.25, 0.1, 0.2, 0.125]], RNG.random((3, 7)) * (RNG.random((3, 7)) < 0.8)]
).astype(np.float32)

Encode = Callable[..., np.ndarray]


def network(
    model: NeuronModel,
    *,
    kind: str = "static",
    frame: Any = None,
    dt: Any = 1 * ms,
    n: int = 7,
    duration: Any = 100 * ms,
    **protocol: Any,
) -> NetworkModel:
    """A network that is an input population and nothing else."""
    return NetworkModel(
        name="only_input",
        dt=dt,
        inputs={"image": Input(features=n, kind=kind, frame=frame)},
        populations={"inp": Population(model=model, n=n, drives={"x": "image"})},
        presentation=Presentation(duration=duration, **protocol),
        output="inp",
    )


def listening(net: NetworkModel) -> Runnable:
    """The network on the device "runtime", with its input spikes recorded."""
    return simulation.compile(net, device="runtime", spikes=["inp"])


def played(
    net: NetworkModel | Runnable, samples: Any, n_samples: int | None = None, **run: Any
) -> np.ndarray:
    """Spikes of the input population as bool, shape (n, T, features); T includes the rest."""
    runnable = listening(net) if isinstance(net, NetworkModel) else net
    net = runnable.network
    recording, _ = runnable.run(samples, progress=False, **run)
    spikes = recording.spikes["inp"]
    n = len(samples) if n_samples is None else n_samples
    counts = np.zeros((n, net.steps_per_presentation, net.populations["inp"].n), dtype=int)
    step = np.round(spikes.t / float(net.dt)).astype(int)
    np.testing.assert_allclose(spikes.t, step * float(net.dt), atol=1e-12)
    np.add.at(counts, (spikes.sample, step, spikes.i), 1)
    assert counts.max() <= 1  # never two spikes in one step
    assert (recording.counts("inp") == counts.sum(axis=1)).all()
    return counts.astype(bool)


# Poisson trains


def test_poisson_counts_have_the_right_mean_and_variance() -> None:
    """10,000 counts with mean 10: mean and Fano factor within four standard errors."""
    samples = np.full((200, 50), 0.5)
    spikes = encoding.poisson_spikes(samples, max_rate=40 * Hz, duration=500 * ms, seed=1)
    counts = spikes.sum(axis=1)
    assert spikes.shape == (200, 500, 50)
    assert counts.mean() == pytest.approx(10, abs=4 * np.sqrt(10 / 1e4))
    assert counts.var() / counts.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 1e4))
    expected = stats.poisson.pmf(np.arange(4, 17), 10) * counts.size
    observed = (counts.ravel() == np.arange(4, 17)[:, np.newaxis]).sum(axis=1)
    chi_squared = ((observed - expected) ** 2 / expected).sum()
    assert chi_squared < stats.chi2.ppf(0.999, len(expected))


def test_poisson_rates_are_proportional_to_the_samples() -> None:
    samples = np.tile([[0.0, 0.05, 0.25, 0.5, 1.0]], (400, 1))
    spikes = encoding.poisson_spikes(samples, max_rate=100 * Hz, duration=200 * ms, seed=2)
    mean = spikes.sum(axis=1).mean(axis=0)
    assert mean[0] == 0
    np.testing.assert_allclose(mean, 20 * samples[0], atol=4 * np.sqrt(20 / 400))


def test_poisson_intervals_are_exponential() -> None:
    """Kolmogorov-Smirnov at a rate of 0.004 per step, where the grid of steps is fine enough."""
    spikes = encoding.poisson_spikes(
        np.ones((1, 20)), max_rate=4 * Hz, duration=60_000 * ms, dt=1 * ms, seed=3
    )
    intervals = np.concatenate([np.diff(np.flatnonzero(train)) for train in spikes[0].T]) * 1e-3
    assert len(intervals) > 4000
    assert stats.kstest(intervals, "expon", args=(0, 1 / 4)).pvalue > 0.01
    # Consecutive intervals are independent.
    assert abs(np.corrcoef(intervals[:-1], intervals[1:])[0, 1]) < 0.05


def test_poisson_units_are_independent() -> None:
    spikes = encoding.poisson_spikes(
        np.ones((1, 30)), max_rate=100 * Hz, duration=5000 * ms, seed=4
    )[0]
    correlations = np.corrcoef(spikes.T)[np.triu_indices(30, 1)]
    assert spikes.sum() > 10_000
    assert np.abs(correlations).max() < 5 / np.sqrt(5000)


def test_unlikely_steps_of_poisson_trains_catch_up() -> None:
    """Spikes in an occupied step move on to the next: none is lost at half a spike per step."""
    spikes = encoding.poisson_spikes(
        np.ones((50, 40)), max_rate=500 * Hz, duration=1000 * ms, seed=5
    )
    assert spikes.sum(axis=1).mean() == pytest.approx(500, abs=4 * np.sqrt(500 / 2000) + 1)


# What both random encoders have in common


@pytest.mark.parametrize("encode", [encoding.poisson_spikes, encoding.bernoulli_spikes])
class TestReproducibility:
    settings = MappingProxyType({"max_rate": 200 * Hz, "duration": 60 * ms})

    def test_every_sample_has_its_own_spikes(self, encode: Encode) -> None:
        """Sample k gets the same spikes alone, in a chunk or as a part of the whole set."""
        whole = encode(SAMPLES, seed=9, first_sample=5, **self.settings)
        assert whole.sum() > 50
        for k in range(len(SAMPLES)):
            alone = encode(SAMPLES[k : k + 1], seed=9, first_sample=5 + k, **self.settings)
            np.testing.assert_array_equal(alone[0], whole[k])
        chunk = encode(SAMPLES[2:], seed=9, first_sample=7, **self.settings)
        np.testing.assert_array_equal(chunk, whole[2:])

    def test_a_longer_train_begins_like_a_shorter_one(self, encode: Encode) -> None:
        short = encode(SAMPLES, seed=9, **self.settings)
        long = encode(SAMPLES, seed=9, **{**self.settings, "duration": 90 * ms})
        assert long.shape[1] == 90
        np.testing.assert_array_equal(long[:, :60], short)

    def test_units_do_not_depend_on_each_other(self, encode: Encode) -> None:
        changed = SAMPLES.copy()
        changed[:, 3] = 1.0
        before, after = (encode(x, seed=9, **self.settings) for x in (SAMPLES, changed))
        others = [0, 1, 2, 4, 5, 6]
        np.testing.assert_array_equal(before[..., others], after[..., others])
        assert after[..., 3].sum() > before[..., 3].sum()

    @pytest.mark.parametrize("changed", ["seed", "stream", "first_sample"])
    def test_other_keys_give_other_spikes(self, encode: Encode, changed: str) -> None:
        first = encode(SAMPLES, **self.settings)
        second = encode(SAMPLES, **{changed: 1}, **self.settings)
        assert first.sum() > 50
        agreement = (first & second).sum() / first.sum()
        assert agreement < 0.5

    def test_equal_samples_get_different_spikes(self, encode: Encode) -> None:
        spikes = encode(np.ones((2, 7)), **self.settings)
        assert (spikes[0] != spikes[1]).sum() > 20


@pytest.mark.parametrize(
    "encode", [encoding.poisson_spikes, encoding.bernoulli_spikes, encoding.regular_spikes]
)
@pytest.mark.parametrize("dt", [0.1 * ms, 1 * ms], ids=str)
def test_zero_rates_give_no_spikes(encode: Encode, dt: Any) -> None:
    samples = np.array([[0.0, 1.0]])
    spikes = encode(samples, max_rate=200 * Hz, duration=200 * ms, dt=dt)
    assert spikes.dtype == bool
    assert spikes[..., 1].sum() > 10
    assert spikes[..., 0].sum() == 0


# Regular trains


@pytest.mark.parametrize("phase", [1.0, 0.5, 0.125])
@pytest.mark.parametrize("dt", [0.1 * ms, 0.5 * ms, 1 * ms], ids=str)
def test_regular_counts(phase: float, dt: Any) -> None:
    """The k-th spike is due at (k + phase)/rate, so floor(rate*T - phase) + 1 fit into T."""
    samples = np.concatenate([[0, 0.05, 0.1, 0.25, 0.5, 1.0], RNG.random(60)])[np.newaxis]
    spikes = encoding.regular_spikes(
        samples, max_rate=200 * Hz, duration=300 * ms, dt=dt, phase=phase
    )[0]
    rate, step = 200 * samples[0], float(dt)
    expected = np.floor(rate * 0.3 - phase + 1e-9) + 1
    assert expected.max() >= 60
    assert expected[0] == 0
    np.testing.assert_array_equal(spikes.sum(axis=0), expected)
    for unit in np.flatnonzero(expected):
        due = (np.arange(expected[unit]) + phase) / rate[unit]
        in_step = np.ceil(due / step - 1e-6) - 1
        np.testing.assert_array_equal(np.flatnonzero(spikes[:, unit]), in_step)


# Bernoulli trains


def test_bernoulli_counts_are_binomial() -> None:
    samples = np.tile([[0.1, 0.5, 0.9]], (2000, 1))
    spikes = encoding.bernoulli_spikes(samples, max_rate=500 * Hz, duration=40 * ms, seed=6)
    counts, p = spikes.sum(axis=1), 0.5 * samples[0]
    np.testing.assert_allclose(counts.mean(axis=0), 40 * p, atol=4 * np.sqrt(40 * 0.25 / 2000))
    np.testing.assert_allclose(counts.var(axis=0), 40 * p * (1 - p), rtol=0.15)


def test_bernoulli_probabilities_up_to_one_are_certain() -> None:
    spikes = encoding.bernoulli_spikes(np.ones((1, 4)), max_rate=1000 * Hz, duration=50 * ms)
    assert spikes.all()


@pytest.mark.parametrize("code", ["poisson", "regular", "bernoulli"])
def test_rates_above_one_spike_per_step_are_refused(code: str) -> None:
    """S11: they were cut to one spike per step without a word."""
    encode = getattr(encoding, f"{code}_spikes")
    half = np.full((1, 2), 0.5)
    assert encode(half, max_rate=2000 * Hz, duration=50 * ms).any()
    with pytest.raises(
        ParameterError, match=r"at most 1/\(dt\*max\(samples\)\) = 2000 Hz"
    ) as caught:
        encode(half, max_rate=2001 * Hz, duration=50 * ms)
    assert (caught.value.obj, caught.value.name) == (f"{code}_spikes", "max_rate")


def test_bernoulli_populations_refuse_probabilities_above_one() -> None:
    with pytest.raises(
        ParameterError, match=r"BernoulliInput\.max_rate must be at most 1/dt = 1000 Hz"
    ):
        network(encoding.bernoulli(max_rate=1001 * Hz))


# Currents and scaling


def test_direct_currents_are_held() -> None:
    currents = encoding.direct_current(SAMPLES, amplitude=3 * nA, duration=20 * ms, dt=0.5 * ms)
    assert currents.shape == (4, 40, 7)
    held = np.repeat(3e-9 * SAMPLES[:, np.newaxis].astype(float), 40, axis=1)
    assert held.max() == 3e-9
    np.testing.assert_allclose(currents, held, rtol=1e-15)
    in_pa = encoding.direct_current(SAMPLES, amplitude=3000 * pA, duration=20 * ms, dt=0.5 * ms)
    np.testing.assert_allclose(in_pa, currents, rtol=1e-12)


def test_scale_norm() -> None:
    samples = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 1e-3]])
    scaled = encoding.scale_norm(samples, 10.0)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[6, 8], [0, 0], [0, 10]], rtol=1e-6)
    assert samples[0, 0] == 3.0


# Input populations: exactly the spikes of the array functions


@pytest.mark.parametrize(("dt", "rest"), [(1 * ms, 0 * ms), (0.5 * ms, 10 * ms)], ids=str)
@pytest.mark.parametrize("rate", [100, 1000], ids=lambda rate: f"{rate} Hz")
@pytest.mark.parametrize("kind", ["poisson", "regular", "bernoulli"])
def test_input_population_plays_the_same_spikes(kind: str, rate: int, dt: Any, rest: Any) -> None:
    net = network(getattr(encoding, kind)(max_rate=rate * Hz), dt=dt, rest=rest)
    spikes = played(net, SAMPLES, seed=3, first_sample=40)
    key = {"seed": 3, "stream": net.stream("inp"), "first_sample": 40}
    expected = getattr(encoding, f"{kind}_spikes")(
        SAMPLES,
        max_rate=rate * Hz,
        duration=100 * ms,
        dt=dt,
        **({} if kind == "regular" else key),
    )
    assert expected.sum() > 80
    assert net.duration_steps == expected.shape[1]
    np.testing.assert_array_equal(spikes[:, : net.duration_steps], expected)
    assert not spikes[:, net.duration_steps :].any()  # the rest is silent


@pytest.mark.parametrize("phase", [1.0, 0.25])
@pytest.mark.parametrize("dt", [0.1 * ms, 0.5 * ms, 1 * ms], ids=str)
def test_regular_populations_do_not_drift(phase: float, dt: Any) -> None:
    """Round rates, whose spikes are due at the ends of steps, over many intervals."""
    samples = np.array([[1, 5, 10, 20, 25, 50, 100, 250, 0]]) / 256  # exact in single precision
    samples = samples[:, 2560 * samples[0] * float(dt) < 1 + 1e-9]  # one spike per step at most
    rates = 2560 * samples[0]
    model = encoding.regular(max_rate=2560 * Hz, phase=phase)
    net = network(model, n=len(rates), dt=dt, duration=400 * ms, rest=2 * ms)
    spikes = played(net, samples)[0]
    expected = np.floor(rates * 0.4 - phase + 1e-9) + 1
    assert expected.min() == 0
    np.testing.assert_array_equal(spikes.sum(axis=0), expected)
    reference = encoding.regular_spikes(
        samples, max_rate=2560 * Hz, duration=400 * ms, dt=dt, phase=phase
    )
    np.testing.assert_array_equal(spikes[: net.duration_steps], reference[0])


@pytest.mark.parametrize("kind", ["poisson", "regular"])
def test_units_that_lag_behind_their_rate_do_not_fire_in_the_rest(kind: str) -> None:
    """At one spike per step on average, a Poisson unit is often behind when the time is over."""
    net = network(getattr(encoding, kind)(max_rate=1000 * Hz), duration=20 * ms, rest=20 * ms)
    spikes = played(net, np.ones((50, 7)))
    assert spikes[:, 1:20].mean() > 0.7
    assert spikes[:, 10:20].all(axis=1).any()
    assert not spikes[:, 20:].any()


def test_populations_have_streams_of_their_own() -> None:
    """Two populations that show the same input draw independently."""
    model = encoding.poisson(max_rate=300 * Hz)
    net = NetworkModel(
        name="two",
        dt=1 * ms,
        inputs={"image": Input(features=7)},
        populations={
            name: Population(model=model, n=7, drives={"x": "image"}) for name in ("left", "right")
        },
        presentation=Presentation(duration=100 * ms),
        output="left",
    )
    runnable = simulation.compile(net, device="runtime", spikes=["left", "right"])
    recording, _ = runnable.run(SAMPLES, progress=False)
    sets = [
        set(zip(s.sample.tolist(), s.t.tolist(), s.i.tolist(), strict=True))
        for s in recording.spikes.values()
    ]
    assert min(map(len, sets)) > 200
    assert len(sets[0] & sets[1]) < 0.5 * len(sets[0])


@pytest.mark.parametrize("kind", ["poisson", "regular", "bernoulli"])
def test_spikes_do_not_depend_on_chunks(kind: str) -> None:
    net = listening(network(getattr(encoding, kind)(max_rate=300 * Hz), duration=40 * ms))
    whole = played(net, SAMPLES, seed=1)
    assert whole.sum() > 50
    np.testing.assert_array_equal(played(net, SAMPLES, seed=1, chunk_size=3), whole)


def test_every_epoch_has_other_spikes() -> None:
    net = network(encoding.bernoulli(max_rate=500 * Hz), duration=50 * ms)
    key = 2, net.stream("inp")
    sample, step, unit = np.ix_(range(4), range(1, 51), range(7))
    runnable = listening(net)
    for epoch in (0, 3):
        spikes = played(runnable, SAMPLES, seed=2, epoch=epoch)
        uniform = counter_uniform(*key, 256 * epoch, sample, unit, step)
        np.testing.assert_array_equal(spikes, uniform < 0.5 * SAMPLES[:, np.newaxis])


# Intensity


@pytest.mark.parametrize("kind", ["poisson", "regular", "bernoulli"])
def test_intensity_is_a_factor_of_the_rate(kind: str) -> None:
    net = network(getattr(encoding, kind)(max_rate=125 * Hz), intensity=2.0)
    key = {} if kind == "regular" else {"seed": 3, "stream": net.stream("inp")}
    expected = getattr(encoding, f"{kind}_spikes")(
        SAMPLES, max_rate=250 * Hz, duration=100 * ms, **key
    )
    assert expected.sum() > 100
    np.testing.assert_array_equal(played(net, SAMPLES, seed=3), expected)


def test_retries_raise_the_intensity_and_draw_anew() -> None:
    """The last of three attempts is the one that counts: intensity 0.5 + 2*0.25, pass 2."""
    net = network(
        encoding.bernoulli(max_rate=500 * Hz),
        duration=50 * ms,
        intensity=0.5,
        intensity_step=0.25,
        watch="inp",
        min_spikes=10**6,
        max_retries=2,
    )
    runnable = simulation.compile(net, device="runtime")
    recording, _ = runnable.run(SAMPLES, seed=2, progress=False)
    sample, step, unit = np.ix_(range(4), range(1, 51), range(7))
    uniform = counter_uniform(2, net.stream("inp"), 2, sample, unit, step)
    expected = (uniform < 0.5 * SAMPLES[:, np.newaxis]).sum(axis=1)
    assert recording.shown.tolist() == [3] * 4
    assert expected.sum() > 50
    np.testing.assert_array_equal(recording.counts("inp"), expected)


# Sequences


def poisson_sequence(
    samples: np.ndarray, net: NetworkModel, rate: float, frame_steps: int, seed: int
) -> np.ndarray:
    """Poisson trains of sequences step by step: intervals are drawn anew at every frame."""
    n, n_frames, features = samples.shape
    spikes = np.zeros((n, net.steps_per_presentation, features), dtype=bool)
    dt, end = float(net.dt), float(net.presentation.duration)
    for k in range(n):
        draw, due = np.zeros(features, dtype=int), np.zeros(features)

        def interval(rates: np.ndarray, k: int, draw: np.ndarray) -> np.ndarray:
            drawn = counter_uniform(seed, net.stream("inp"), 0, k, np.arange(features), draw)
            return -np.log(drawn) / (rates + 1e-12)

        for step in range(net.steps_per_presentation):
            if step % frame_steps == 0:
                frame = step // frame_steps
                rates = rate * (samples[k, frame] if frame < n_frames else np.zeros(features))
                draw += 1
                due = step * dt + interval(rates, k, draw)
            fires = (step * dt + dt >= due) & (due < end)
            draw += fires
            due = np.where(fires, due + interval(rates, k, draw), due)
            spikes[k, step] = fires
    return spikes


def test_poisson_sequences() -> None:
    """Frames of 20 ms; the third is dark, and after the given ones there is nothing."""
    sequences = RNG.random((3, 4, 7)).astype(np.float32)
    sequences[:, 2] = 0
    model = encoding.poisson(max_rate=200 * Hz)
    net = network(model, kind="sequence", frame=20 * ms, duration=100 * ms, rest=20 * ms)
    spikes = played(net, sequences, seed=4)
    by_frame = spikes.reshape(3, 6, 20, 7).sum(axis=(0, 2, 3))
    assert (by_frame[[0, 1, 3]] > 15).all()
    assert by_frame[[2, 4, 5]].tolist() == [0, 0, 0]
    expected = poisson_sequence(sequences.astype(float), net, 200.0, 20, seed=4)
    np.testing.assert_array_equal(spikes, expected)


def test_poisson_sequences_have_the_rate_of_each_frame() -> None:
    sequences = np.zeros((50, 3, 7), dtype=np.float32)
    sequences[:, 0], sequences[:, 1], sequences[:, 2] = 0.2, 1.0, 0.5
    model = encoding.poisson(max_rate=100 * Hz)
    net = network(model, kind="sequence", frame=10 * ms, duration=30 * ms)
    counts = played(net, sequences, seed=5).reshape(50, 3, 10, 7).sum(axis=2)
    expected = np.array([0.2, 1.0, 0.5])
    np.testing.assert_allclose(counts.mean(axis=(0, 2)), expected, atol=4 * np.sqrt(1 / 350))


def test_a_sequence_of_equal_frames_and_a_static_sample_are_equally_regular() -> None:
    """At 100 Hz and a phase of a half, every frame of 20 ms begins its train anew."""
    net = network(encoding.regular(max_rate=100 * Hz), kind="sequence", frame=20 * ms)
    static = network(encoding.regular(max_rate=100 * Hz))
    spikes = played(net, np.ones((1, 5, 7)))
    assert spikes.sum() == 70
    np.testing.assert_array_equal(spikes, played(static, np.ones((1, 7))))


def test_direct_sequences_show_every_frame() -> None:
    sequences = RNG.random((2, 3, 7)).astype(np.float32)
    net = network(encoding.direct(), kind="sequence", frame=5 * ms, duration=20 * ms, intensity=2.0)
    runnable = simulation.compile(net, device="runtime", traces={"inp.x": range(7)})
    recording, _ = runnable.run(sequences, progress=False)
    shown = recording.traces["inp.x"].values.T.reshape(2, 4, 5, 7)
    assert sequences.max() > 0.5
    for step in range(5):
        np.testing.assert_allclose(shown[:, :3, step], 2 * sequences, rtol=1e-7)
    assert (shown[:, 3] == 0).all()


# Direct input and address events


def test_direct_input_is_passed_on_once_per_presentation() -> None:
    """Values above the cutoff, times the intensity, reach their targets at the onset."""
    target = models.neuron(
        equations="I : 1\nn_events : 1",
        operations=[models.Operation(code="I = 0\nn_events = 0", on="onset")],
    )
    weights = RNG.random((7, 3))
    net = NetworkModel(
        name="direct",
        dt=1 * ms,
        inputs={"image": Input(features=7)},
        populations={
            "inp": Population(model=encoding.direct(cutoff=0.2), n=7, drives={"x": "image"}),
            "out": Population(model=target, n=3),
        },
        projections={
            "on": Projection(
                pre="inp",
                post="out",
                on_event="present",
                transmit="I_post += w*x_pre\nn_events_post += 1",
                weights=weights,
            )
        },
        presentation=Presentation(duration=8 * ms, rest=2 * ms, intensity=1.5),
        output="out",
    )
    runnable = simulation.compile(
        net, device="runtime", per_sample=("out.I", "out.n_events", "inp.x")
    )
    recording, _ = runnable.run(SAMPLES, progress=False)
    x = 1.5 * SAMPLES.astype(float)
    present = np.where(x > 0.2, x, 0)
    assert (present[0] > 0).sum() >= 4
    assert (present != x).any()
    np.testing.assert_allclose(recording["out.I"], present @ weights, rtol=1e-12)
    np.testing.assert_array_equal(
        recording["out.n_events"], np.repeat((present > 0).sum(axis=1)[:, np.newaxis], 3, axis=1)
    )
    np.testing.assert_allclose(recording["inp.x"], x, rtol=1e-12)


def events() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About 300 events in samples 0, 1 and 3 of 4; two units in the same step, and one twice."""
    sample = RNG.choice([0, 1, 3], 300)
    unit = RNG.integers(0, 7, 300)
    time = RNG.integers(0, 80, 300) * 0.5e-3
    special = ([0, 0, 3, 3, 1, 1], [2, 5, 0, 6, 4, 4], [0.0, 0.0, 39.5e-3, 39.5e-3, 5e-3, 5e-3])
    return tuple(np.concatenate(parts) for parts in zip((sample, unit, time), special, strict=True))


@pytest.mark.parametrize("chunk_size", [None, 1])
def test_address_events_are_played_exactly(chunk_size: int | None) -> None:
    sample, unit, time = events()
    net = network(
        encoding.address_events(), kind="events", dt=0.5 * ms, duration=40 * ms, rest=5 * ms
    )
    spikes = played(
        net,
        {"image": (sample, unit, time), "n_samples": 5},
        n_samples=5,
        chunk_size=chunk_size,
    )
    expected = np.zeros((5, 90, 7), dtype=bool)
    expected[sample, np.round(time / 0.5e-3).astype(int), unit] = True
    assert 250 < expected.sum() < 306
    np.testing.assert_array_equal(spikes, expected)
    assert not spikes[[2, 4]].any()


def test_address_events_fall_into_the_step_that_contains_them() -> None:
    net = network(encoding.address_events(), kind="events", duration=5 * ms)
    time = [0.0, 0.99e-3, 1e-3, 3 * 1e-3, 4.999e-3]
    spikes = played(net, ([0] * 5, [0, 1, 2, 3, 4], time), n_samples=1)
    assert np.argwhere(spikes[0]).tolist() == [[0, 0], [0, 1], [1, 2], [3, 3], [4, 4]]


# What is refused

SHORT = {"max_rate": 50 * Hz, "duration": 10 * ms}
ARRAYS: dict[str, tuple[Any, str]] = {
    "nan": ([[0.1, np.nan]], r"samples must be finite, got nan at \(0, 1\)"),
    "infinite": ([[0.1], [np.inf]], r"samples must be finite, got inf at \(1, 0\)"),
    "negative": ([[0.1, 0.2], [0.3, -0.4]], r"samples must be .*got -0\.4 at \(1, 1\)"),
    "vector": ([0.1, 0.2], r"must have shape \(n > 0, features > 0\), got \(2,\)"),
    "three_axes": (np.ones((2, 2, 2)), r"must have shape .* got \(2, 2, 2\)"),
    "no_samples": (np.ones((0, 3)), r"must have shape .* got \(0, 3\)"),
    "no_features": (np.ones((3, 0)), r"must have shape .* got \(3, 0\)"),
    "text": ([["a", "b"]], r"must be numbers of shape \(n, features\)"),
    "ragged": ([[0.1, 0.2], [0.3]], r"must be numbers of shape \(n, features\)"),
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "poisson_spikes": lambda x: encoding.poisson_spikes(x, **SHORT),
    "regular_spikes": lambda x: encoding.regular_spikes(x, **SHORT),
    "bernoulli_spikes": lambda x: encoding.bernoulli_spikes(x, **SHORT),
    "direct_current": lambda x: encoding.direct_current(x, amplitude=1 * nA, duration=10 * ms),
    "scale_norm": lambda x: encoding.scale_norm(x, 1.0),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("case", ARRAYS)
def test_samples_are_checked(function: str, case: str) -> None:
    samples, message = ARRAYS[case]
    with pytest.raises(DataError, match=f"^{function}: (samples )?{message}"):
        FUNCTIONS[function](samples)


#: Every function that takes intensities.
INTENSITIES: dict[str, Callable[[Any], Any]] = {
    **{name: function for name, function in FUNCTIONS.items() if name != "scale_norm"},
    "latency_spikes": lambda x: encoding.latency_spikes(x, duration=10 * ms),
    "ranks": encoding.ranks,
    "rank_order_spikes": lambda x: encoding.rank_order_spikes(x, duration=10 * ms),
    "rank_table": encoding.rank_table,
    "phase_spikes": lambda x: encoding.phase_spikes(x, duration=10 * ms),
    "burst_spikes": lambda x: encoding.burst_spikes(x, duration=10 * ms),
    "on_off_contrast": lambda x: encoding.on_off_contrast(x[:, None]),
}
PIXELS = RNG.integers(0, 256, (3, 40), dtype=np.uint8)


@pytest.mark.parametrize("function", INTENSITIES)
def test_bytes_and_floats_are_the_same_intensities(function: str) -> None:
    """W8: 0..255 as bytes means what 0..1 means as floats, at every door."""
    encode = INTENSITIES[function]
    found = encode(PIXELS)
    assert len(np.unique(found)) > 1
    np.testing.assert_array_equal(found, encode(PIXELS / np.float32(255)))


@pytest.mark.parametrize("function", INTENSITIES)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (PIXELS.astype(float), r"got \d+ at \(0, 0.*divide them by"),
        (PIXELS.astype(np.int64), "got int64"),
        (PIXELS > 127, "got bool"),
        ((PIXELS / 255 + 1e-3).clip(0, 1.0001), r"got 1\.000\d* at"),
        (PIXELS / 255 * nA, "got [np]A"),
    ],
    ids=["floats", "integers", "booleans", "slightly", "quantity"],
)
def test_all_else_is_no_intensity(function: str, values: Any, message: str) -> None:
    """W8: floats of 0..255 made every unit fire in every step."""
    with pytest.raises(DataError, match=f"^{function}: .*uint8, 0 to 255.*{message}"):
        INTENSITIES[function](values)


ONE = np.ones((1, 2))
NUMBERS: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "poisson_rate": (lambda: encoding.poisson(max_rate=50), "poisson", "max_rate", "in Hz"),
    "poisson_zero": (lambda: encoding.poisson(max_rate=0 * Hz), "poisson", "max_rate", "> 0"),
    "regular_unit": (lambda: encoding.regular(max_rate=5 * ms), "regular", "max_rate", "quantity"),
    "regular_phase": (lambda: encoding.regular(phase=0.0), "regular", "phase", "in (0, 1]"),
    "bernoulli_nan": (
        lambda: encoding.bernoulli(max_rate=np.nan * Hz), "bernoulli", "max_rate", "> 0",
    ),
    "direct_cutoff": (lambda: encoding.direct(cutoff=-0.1), "direct", "cutoff", ">= 0"),
    "rate_unit": (
        lambda: encoding.poisson_spikes(ONE, max_rate=50, duration=10 * ms),
        "poisson_spikes",
        "max_rate",
        "Multiply the number by the right unit",
    ),
    "rate_sign": (
        lambda: encoding.bernoulli_spikes(ONE, max_rate=-5 * Hz, duration=10 * ms),
        "bernoulli_spikes",
        "max_rate",
        "> 0",
    ),
    "duration_unit": (
        lambda: encoding.poisson_spikes(ONE, max_rate=50 * Hz, duration=100),
        "poisson_spikes",
        "duration",
        "a quantity in s",
    ),
    "duration_zero": (
        lambda: encoding.direct_current(ONE, amplitude=1 * nA, duration=0 * ms),
        "direct_current",
        "duration",
        "> 0 s",
    ),
    "dt": (
        lambda: encoding.regular_spikes(ONE, dt=-1 * ms, **SHORT), "regular_spikes", "dt", "> 0 s",
    ),
    "dt_unit": (
        lambda: encoding.bernoulli_spikes(ONE, dt=1 * mV, **SHORT),
        "bernoulli_spikes",
        "dt",
        "in s",
    ),
    "phase": (
        lambda: encoding.regular_spikes(ONE, phase=1.5, **SHORT),
        "regular_spikes",
        "phase",
        "in (0, 1]",
    ),
    "amplitude": (
        lambda: encoding.direct_current(ONE, amplitude=np.nan * nA, duration=10 * ms),
        "direct_current",
        "amplitude",
        "finite",
    ),
    "amplitude_text": (
        lambda: encoding.direct_current(ONE, amplitude="1 nA", duration=10 * ms),
        "direct_current",
        "amplitude",
        "a number",
    ),
    "norm": (lambda: encoding.scale_norm(ONE, 0.0), "scale_norm", "norm", "> 0"),
    "norm_unit": (lambda: encoding.scale_norm(ONE, 1 * mV), "scale_norm", "norm", "without unit"),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_parameters_are_checked(case: str) -> None:
    make, obj, name, wanted = NUMBERS[case]
    with pytest.raises(ParameterError) as caught:
        make()
    assert (caught.value.obj, caught.value.name) == (obj, name)
    assert str(caught.value).startswith(f"{obj}.{name} must be ")
    assert wanted in str(caught.value)


RUNS: dict[str, tuple[str, Any, str]] = {
    "nan": ("static", np.full((1, 7), np.nan), r"must be finite, got nan at \(0, 0\)"),
    "negative": ("static", np.full((1, 7), -1.0), "become rates and must be >= 0"),
    "features": ("static", np.ones((2, 6)), r"must have shape \(n, 7\), got \(2, 6\)"),
    "frames": ("sequence", np.ones((2, 7)), r"must have shape \(n, T, 7\), got \(2, 7\)"),
    "too_many": ("sequence", np.ones((1, 11, 7)), "11 frames, but only 10"),
    "event_unit": ("events", ([0], [7], [0.0]), r"unit must be in \[0, 7\), got 7"),
    "event_time": ("events", ([0], [0], [0.1]), r"time \(in steps\) must be in \[0, 100\)"),
    "event_nan": ("events", ([0], [0], [np.nan]), r"time \(in steps\) must be .* got nan"),
    "event_early": ("events", ([0], [0], [-1e-3]), r"time \(in steps\) must be .* got -1"),
    "event_sample": ("events", ([-1], [0], [0.0]), r"sample must be in .* got -1"),
    "event_lengths": ("events", ([0], [0, 1], [0.0]), "arrays of one length"),
    "event_parts": ("events", ([0], [0]), "three arrays"),
}


@functools.cache
def playing(kind: str) -> Runnable:
    model = encoding.address_events() if kind == "events" else encoding.poisson()
    net = network(model, kind=kind, frame=10 * ms if kind == "sequence" else None)
    return simulation.compile(net, device="runtime")


@pytest.mark.parametrize("case", RUNS)
def test_runs_check_what_they_show(case: str) -> None:
    kind, samples, message = RUNS[case]
    with pytest.raises(DataError, match=message) as caught:
        playing(kind).run(samples, progress=False)
    assert "'image'" in str(caught.value)
    assert isinstance(caught.value, BiosnnError)
