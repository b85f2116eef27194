"""The deterministic codes: what they are, that networks play them, and that decoders undo them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, Quantity, ms

from biosnn import declaration, encoding, models, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Recording

RNG = np.random.default_rng(5)
N = 12
DT, DURATION, REST, FRAME = 0.5 * ms, 40 * ms, 10 * ms, 5 * ms
#: Edges of the ranges, values whose spikes fall onto ends of steps, equal ones, and any.
EDGES = [0.0, 1.0, 0.5, 0.25, 0.01, 0.010001, 0.7, 0.7, 1.5, 0.2, 0.6, 1e-7]
SAMPLES = np.concatenate([[EDGES], RNG.random((3, N))]).astype(np.float32)
INTENSITIES = SAMPLES.clip(0, 1)  # to populations, a larger value is 1
SEQUENCES = np.concatenate(
    [
        np.cumsum(RNG.normal(0, 0.3, (3, 8, N // 2)), axis=1),
        # Steps of whole thresholds, a jump that takes long to follow, and nothing at all.
        np.repeat([[[0.0], [0.1], [0.2], [0.2], [-0.1], [3.0], [3.0], [3.0]]], N // 2, axis=2),
        np.full((1, 8, N // 2), 0.3),
    ]
)[[0, 1, 3, 4]]

#: Population -> settings; the array function of the same name takes them too.
CODES: dict[str, tuple[str, dict[str, Any]]] = {
    "latency": ("latency", {}),
    "latency_short": ("latency", {"t_max": 25 * ms, "cutoff": 0.1}),
    "latency_late": ("latency", {"t_max": 60 * ms}),
    "latency_log": ("latency", {"kind": "log"}),
    "rank_order": ("rank_order", {"interval": 2 * ms}),
    "rank_order_fast": ("rank_order", {"interval": 0.5 * ms}),
    "rank_order_cut": ("rank_order", {"interval": 4.25 * ms}),
    "phase": ("phase", {}),
    "phase_wide": ("phase", {"n_bits": 3, "width": 2 * ms}),
    "burst": ("burst", {}),
    "burst_long": ("burst", {"n_max": 9, "t_min": 0.5 * ms, "t_max": 7 * ms}),
    "delta": ("delta", {}),
    "delta_start": ("delta", {"threshold": 0.25, "start": 0.2}),
}


def made(key: str) -> Population:
    code, settings = CODES[key]
    source = {"rank_order": "ranks", "delta": "changes"}.get(code, "image")
    population = getattr(encoding, code)
    return Population(model=population(**settings), n=N, drives={"x": source})


def all_codes() -> NetworkModel:
    """One network with every population, and a target that sums up weighted spikes."""
    total = models.neuron(
        equations="total : 1",
        operations=[models.Operation(code="total = 0", on="onset")],
    )
    return NetworkModel(
        name="all_codes",
        dt=DT,
        inputs={
            "image": Input(features=N),
            "ranks": Input(features=N),
            "changes": Input(features=N, kind="sequence", frame=FRAME),
        },
        populations={
            **{key: made(key) for key in CODES},
            "sum": Population(model=total, n=N),
        },
        projections={
            "weighted": Projection(
                pre="phase", post="sum", transmit="total_post += significance_pre",
                pairs="one_to_one",
            )
        },
        presentation=Presentation(duration=DURATION, rest=REST),
        output="sum",
    )  # fmt: skip


def expected(key: str) -> np.ndarray:
    """What the array function makes of the samples."""
    code, settings = CODES[key]
    encode = getattr(encoding, f"{code}_spikes")
    if code == "delta":
        return encode(SEQUENCES, frame=FRAME, dt=DT, **settings)
    return encode(INTENSITIES, duration=DURATION, dt=DT, **settings)


def play(device: str, **options: Any) -> Recording:
    net = all_codes()
    runnable = simulation.compile(
        net, device=device, spikes=list(CODES), per_sample=("sum.total",), **options
    )
    samples = {
        "image": SAMPLES,
        "ranks": encoding.ranks(INTENSITIES),
        "changes": encoding.on_off(SEQUENCES),
    }
    return runnable.run(samples, progress=False)[0]


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {
        "runtime": play("runtime"),
        "cpp": play("cpp"),
        "single": play("runtime", precision="single"),
    }


@pytest.mark.parametrize("device", ["runtime", "cpp", "single"])
@pytest.mark.parametrize("key", CODES)
def test_populations_play_the_spikes_of_the_array_functions(
    key: str, device: str, recordings: dict[str, Recording]
) -> None:
    spikes = recordings[device].spikes[key]
    trains = np.zeros((len(SAMPLES), 100, N), dtype=int)
    step = np.round(spikes.t / float(DT)).astype(int)
    np.add.at(trains, (spikes.sample, step, spikes.i), 1)
    wanted = expected(key)
    assert wanted.shape == (len(SAMPLES), 80, N)
    assert wanted.sum() >= 20
    np.testing.assert_array_equal(trains[:, :80], wanted)
    assert not trains[:, 80:].any()  # the rest is silent


@pytest.mark.parametrize("device", ["runtime", "cpp", "single"])
def test_targets_get_the_value_from_weighted_spikes(
    device: str, recordings: dict[str, Recording]
) -> None:
    """Ten rounds of eight phases: each adds x*(1 - 2**-8), within half of the last digit."""
    total = recordings[device]["sum.total"]
    value = SAMPLES.clip(0, 1)
    assert total.max() == pytest.approx(10 * 255 / 256)
    np.testing.assert_allclose(total / 10 * 256 / 255, value, atol=0.5 / 255 + 1e-6)


def single_population(model: models.NeuronModel, **inputs: Any) -> NetworkModel:
    return NetworkModel(
        name="only_input",
        dt=1 * ms,
        inputs={"image": Input(features=N, **inputs)},
        populations={"inp": Population(model=model, n=N, drives={"x": "image"})},
        presentation=Presentation(duration=20 * ms, intensity=2.0),
        output="inp",
    )


@pytest.mark.parametrize("code", ["latency", "phase", "burst"])
def test_intensity_is_a_factor_of_the_values(code: str) -> None:
    net = single_population(getattr(encoding, code)())
    runnable = simulation.compile(net, device="runtime", spikes=["inp"])
    spikes = runnable.run(SAMPLES, progress=False)[0].spikes["inp"]
    wanted = getattr(encoding, f"{code}_spikes")((2 * SAMPLES).clip(0, 1), duration=20 * ms)
    assert wanted.sum() > 30
    trains = np.zeros(wanted.shape, dtype=bool)
    trains[spikes.sample, np.round(spikes.t / 1e-3).astype(int), spikes.i] = True
    np.testing.assert_array_equal(trains, wanted)


def test_every_frame_is_encoded_anew() -> None:
    """Latencies within frames of 5 ms."""
    sequence = RNG.random((1, 4, N)).astype(np.float32) / 2
    net = single_population(encoding.latency(t_max=5 * ms), kind="sequence", frame=5 * ms)
    runnable = simulation.compile(net, device="runtime", spikes=["inp"])
    spikes = runnable.run(sequence, progress=False)[0].spikes["inp"]
    trains = np.zeros((20, N), dtype=bool)
    trains[np.round(spikes.t / 1e-3).astype(int), spikes.i] = True
    wanted = encoding.latency_spikes(2 * sequence[0], duration=5 * ms)
    assert wanted.sum() > 40
    np.testing.assert_array_equal(trains, wanted.reshape(20, N))


# What the codes are


def steps(spikes: np.ndarray) -> list[list[int]]:
    """Steps in which each unit of the first sample fires."""
    return [np.flatnonzero(train).tolist() for train in spikes[0].T]


def test_latencies() -> None:
    x = [[1.0, 0.75, 0.5, 0.251, 0.25, 0.1, 0.0]]
    linear = encoding.latency_spikes(x, duration=12 * ms, cutoff=0.25)
    assert steps(linear) == [[0], [3], [7], [11], [], [], []]
    log = encoding.latency_spikes(x, duration=12 * ms, cutoff=0.25, kind="log")
    assert steps(log) == [[0], [2], [5], [11], [], [], []]


def test_logarithmic_latencies_shift_with_the_scale_of_a_sample() -> None:
    """Half of all values is later by t_max*log(2)/log(1/cutoff) = 10 ms, whatever they are."""
    x = RNG.uniform(0.1, 1.0, (1, 50))
    settings = {"duration": 100 * ms, "cutoff": 2.0**-10, "kind": "log"}
    first, second = (
        encoding.latency_spikes(scale * x, **settings)[0].argmax(axis=0) for scale in (1.0, 0.5)
    )
    assert np.ptp(first) > 20
    np.testing.assert_array_equal(second - first, 10)


def test_rank_order() -> None:
    x = [[0.2, 0.9, 0.0, 0.9, 0.4]]
    assert encoding.ranks(x).tolist() == [[4, 1, 0, 2, 3]]
    assert encoding.ranks(x, cutoff=0.3).tolist() == [[0, 1, 0, 2, 3]]
    spikes = encoding.rank_order_spikes(x, duration=7 * ms, interval=2 * ms)
    assert steps(spikes) == [[], [1], [], [3], [5]]  # the fourth would be in step 7


def test_phases() -> None:
    """5/7 is 101 in three digits; after two rounds and two phases the time is over."""
    spikes = encoding.phase_spikes([[5 / 7, 1.0, 0.0]], duration=8 * ms, n_bits=3)
    assert steps(spikes) == [[0, 2, 3, 5, 6], [*range(8)], []]
    spikes = encoding.phase_spikes([[5 / 7]], duration=8 * ms, dt=0.5 * ms, n_bits=3, width=2 * ms)
    assert steps(spikes) == [[0, 8, 12]]


def test_bursts() -> None:
    """0.5 of at most four spikes are two, 6 ms apart; the last one of a slow burst is lost."""
    x = [[1.0, 0.5, 0.2, 0.0, 0.51]]
    spikes = encoding.burst_spikes(x, duration=12 * ms, n_max=4, t_min=2 * ms, t_max=10 * ms)
    assert steps(spikes) == [[0, 2, 4, 6], [0, 6], [0], [], [0, 6]]


def test_delta_modulation() -> None:
    """Up by two thresholds in one frame of two steps, nothing, down by one, and up by three."""
    x = np.array([[[1.0], [1.2], [1.25], [1.1], [1.4], [1.4]]])
    spikes = encoding.delta_spikes(x, threshold=0.1, frame=2 * ms)
    assert steps(spikes) == [[2, 3, 8, 9, 10], [6]]
    from_zero = encoding.delta_spikes(x, threshold=0.5, frame=2 * ms, start=0.0)
    assert steps(from_zero) == [[0, 1], []]


def test_gaussian_fields() -> None:
    """The layout of Bohte et al. (2002): centres at -1/12, 1/12, ..., width 1/9."""
    centres = (np.arange(8) - 0.5) / 6
    responses = encoding.gaussian_fields(centres[1:7, None])
    assert responses.shape == (6, 8)
    np.testing.assert_array_equal(responses.argmax(axis=1), np.arange(1, 7))
    np.testing.assert_allclose(responses.max(axis=1), 1, rtol=1e-6)
    beside = np.exp(-0.5 * 1.5**2)
    np.testing.assert_allclose(responses[0, [0, 2]], beside, rtol=1e-5)
    sequences = encoding.gaussian_fields(RNG.random((2, 3, 4)), n_fields=5)
    assert sequences.shape == (2, 3, 20)


def test_contrast() -> None:
    """Nothing on a uniform image, centre and surround of a point, a sign that turns around."""
    image = np.zeros((2, 21, 21))
    image[0, 10, 10] = 1
    image[1] = 0.7
    contrast = encoding.on_off_contrast(image, sigma=1.0, ratio=2.0).reshape(2, 2, 21, 21)
    on, off = contrast[0]
    assert contrast[1].max() == 0
    assert not ((on > 0) & (off > 0)).any()
    centre = (1 - 1 / 4) / (2 * np.pi)  # of two Gaussians; pixels make it a little more
    assert on[10, 10] == pytest.approx(centre, rel=0.02)
    assert off[10, 13] > 0
    assert (on - off).sum() == pytest.approx(0, abs=1e-6)
    turned = encoding.on_off_contrast(1 - image, sigma=1.0, ratio=2.0).reshape(2, 2, 21, 21)
    np.testing.assert_allclose(turned[0, ::-1], contrast[0], atol=1e-6)


# Decoders


VALUES = np.concatenate([np.linspace(0, 1, 101), RNG.random(400)])[None]


@pytest.mark.parametrize("dt", [0.1 * ms, 1 * ms], ids=str)
def test_rates_are_decoded(dt: Quantity) -> None:
    settings = {"max_rate": 200 * Hz, "dt": dt}
    n = 0.2 * 400  # spikes of a unit with value 1
    spikes = encoding.regular_spikes(VALUES, duration=400 * ms, **settings)
    error = encoding.decode_rate(spikes, **settings) - VALUES
    assert np.abs(error).max() <= 0.5 / n + 1e-9
    for encode in (encoding.poisson_spikes, encoding.bernoulli_spikes):
        found = encoding.decode_rate(encode(VALUES, duration=400 * ms, **settings), **settings)
        z = (found - VALUES)[VALUES > 0] / np.sqrt(VALUES[VALUES > 0] / n)
        assert 0.8 < z.std() < 1.1
        assert np.abs(z).max() < 5


@pytest.mark.parametrize("kind", ["linear", "log"])
@pytest.mark.parametrize("t_max", [None, 37 * ms], ids=str)
@pytest.mark.parametrize("dt", [0.1 * ms, 1 * ms], ids=str)
def test_latencies_are_decoded(kind: str, t_max: Quantity | None, dt: Quantity) -> None:
    settings = {"dt": dt, "t_max": t_max, "kind": kind, "cutoff": 0.0451}
    spikes = encoding.latency_spikes(VALUES, duration=50 * ms, **settings)
    found = encoding.decode_latency(spikes, **settings)
    seen = VALUES > 0.0451
    half = float(dt / (50 * ms if t_max is None else t_max)) / 2
    assert spikes.sum() == seen.sum() > 400
    np.testing.assert_array_equal(found > 0, seen)
    if kind == "linear":
        assert np.abs(found - VALUES)[seen].max() <= 0.9549 * half + 2e-6
    else:
        assert np.abs(np.log(found[seen] / VALUES[seen])).max() <= half * np.log(1 / 0.0451) + 1e-5


def test_rank_order_is_decoded() -> None:
    samples = RNG.random((20, 30)) * (RNG.random((20, 30)) < 0.8)
    spikes = encoding.rank_order_spikes(samples, duration=30 * ms)
    assert 400 < spikes.sum() < 600
    np.testing.assert_array_equal(encoding.decode_ranks(spikes), encoding.ranks(samples))
    own = [
        encoding.decode_rank_order(spikes[k : k + 1], encoding.rank_table(samples[k : k + 1]))
        for k in range(20)
    ]
    np.testing.assert_allclose(np.concatenate(own), samples, rtol=1e-12)
    table = encoding.rank_table(samples)
    found = encoding.decode_rank_order(spikes, table)
    by_rank = -np.sort(-samples, axis=1)
    bound = np.abs(by_rank - table).max(axis=1, keepdims=True)
    assert np.abs(found - samples)[samples > 0].max() > 0
    assert (np.abs(found - samples) <= bound + 1e-12).all()


@pytest.mark.parametrize("n_bits", [1, 4, 8, 12])
def test_phases_are_decoded(n_bits: int) -> None:
    levels = np.arange(2**n_bits)[None] / (2**n_bits - 1)
    for settings in ({}, {"width": 3 * ms}):
        spikes = encoding.phase_spikes(levels, duration=36 * ms, n_bits=n_bits, **settings)
        exact = encoding.decode_phase(spikes, n_bits=n_bits, **settings)
        np.testing.assert_allclose(exact, levels, rtol=1e-15)
    spikes = encoding.phase_spikes(VALUES, duration=12 * ms, n_bits=n_bits)
    error = encoding.decode_phase(spikes, n_bits=n_bits) - VALUES
    assert 0.4 / (2**n_bits - 1) < np.abs(error).max() <= 0.5 / (2**n_bits - 1) + 1e-7


@pytest.mark.parametrize("dt", [0.1 * ms, 1 * ms], ids=str)
def test_bursts_are_decoded(dt: Quantity) -> None:
    settings = {"dt": dt, "n_max": 5, "t_min": 2 * ms, "t_max": 10 * ms}
    spikes = encoding.burst_spikes(VALUES, duration=40 * ms, **settings)
    found = encoding.decode_burst(spikes, **settings)
    number = spikes.sum(axis=1)
    assert (np.bincount(number.ravel())[1:] > 50).all()
    by_interval = float(dt / (8 * ms)) / 2 / np.maximum(number - 1, 1)
    bound = np.where(number > 1, np.minimum(by_interval, 0.2), 0.1)
    assert (np.abs(found - VALUES) <= bound + 1e-5).all()


def test_delta_modulation_is_decoded() -> None:
    """With frames of five steps, up to five thresholds per frame are followed."""
    t = np.linspace(0, 1, 80)[None, :, None]
    x = np.sin(2 * np.pi * t * np.array([[[1.0, 2.0, 3.0]]])) + np.array([[[0.0, 5.0, -2.0]]])
    assert np.abs(np.diff(x, axis=1)).max() < 5 * 0.06
    spikes = encoding.delta_spikes(x, threshold=0.06, frame=5 * ms)
    found = encoding.decode_delta(spikes, threshold=0.06, start=x[:, 0])
    ends = found.reshape(1, 80, 5, 3)[:, :, -1]
    assert spikes.sum() > 200
    assert 0.03 < np.abs(ends - x).max() <= 0.06 * (1 + 1e-4)


def fields_bound(e: float, apart: float, beta: float) -> float:
    """The bound that decode_fields states."""
    return apart / beta**2 * sum(
        -np.log(1 - e / (np.exp(-(beta**2) / k) - e)) for k in (8, 2)
    )  # fmt: skip


@pytest.mark.parametrize("n_fields", [3, 8])
def test_receptive_fields_are_decoded(n_fields: int) -> None:
    settings = {"n_fields": n_fields, "low": -2.0, "high": 3.0}
    values = 5 * VALUES.reshape(3, -1) - 2
    responses = encoding.gaussian_fields(values, **settings)
    np.testing.assert_allclose(encoding.decode_fields(responses, **settings), values, atol=1e-5)
    # A value becomes responses, latencies, spikes, latencies, responses, and a value again.
    trains = encoding.latency_spikes(responses, duration=50 * ms, cutoff=0.05)
    e = 0.95 / 50 / 2 + 2e-6
    found = encoding.decode_fields(encoding.decode_latency(trains, cutoff=0.05), **settings)
    worst = np.abs(found - values).max()
    assert 0 < worst <= fields_bound(e, 5 / (n_fields - 2), 1.5)


def test_fields_without_a_response() -> None:
    found = encoding.decode_fields([[0.0, 0, 0, 0], [0.0, 1, 0, 0]], n_fields=4)
    assert np.isnan(found[0, 0])
    assert found[1, 0] == pytest.approx(0.25)


# What there is, and what is refused


def test_the_library_is_listed() -> None:
    assert set(encoding.ENCODERS) >= {
        "poisson", "bernoulli", "regular", "direct", "latency", "rank_order", "phase", "burst",
        "population", "delta", "on_off_contrast",
    }  # fmt: skip
    for name, (array, population) in encoding.ENCODERS.items():
        for function in filter(None, (array, population)):
            assert function.__name__ in encoding.__all__
            assert "doi:10." in function.__doc__ or "ISBN" in function.__doc__, name
            assert "Returns\n    -------" in function.__doc__
        if population is not None:
            assert population().reference


@pytest.mark.parametrize("key", CODES)
def test_populations_survive_being_saved(key: str) -> None:
    """As plain data and back, with the same fingerprint."""
    model = made(key).model
    again = declaration.from_data(json.loads(json.dumps(declaration.to_data(model))))
    assert again.equations == model.equations
    assert declaration.fingerprint(again) == declaration.fingerprint(model)


ONE = np.full((1, 2), 0.5)
FIRED = np.ones((1, 10, 2))
SHORT = {"duration": 10 * ms}
PARAMETERS: dict[str, tuple[Callable[[], Any], str, str, str]] = {
    "kind": (lambda: encoding.latency(kind="cubic"), "latency", "kind", "'linear', 'log'"),
    "cutoff": (lambda: encoding.latency(cutoff=0.0, kind="log"), "latency", "cutoff", "> 0"),
    "cutoff_one": (
        lambda: encoding.latency_spikes(ONE, cutoff=1.0, **SHORT),
        "latency_spikes", "cutoff", "below 1",
    ),
    "t_max": (lambda: encoding.latency(t_max=5), "latency", "t_max", "a quantity in s"),
    "decode_t_max": (
        lambda: encoding.decode_latency(FIRED, t_max=0 * ms), "decode_latency", "t_max", "> 0 s",
    ),
    "interval": (
        lambda: encoding.rank_order(interval=0 * ms), "rank_order", "interval", "> 0 s",
    ),
    "interval_dt": (
        lambda: encoding.rank_order_spikes(ONE, interval=0.5 * ms, **SHORT),
        "rank_order_spikes", "interval", "at least the time step",
    ),
    "ranks_cutoff": (lambda: encoding.ranks(ONE, cutoff=-1.0), "ranks", "cutoff", ">= 0"),
    "n_bits": (lambda: encoding.phase(n_bits=0), "phase", "n_bits", "from 1 to 24"),
    "n_bits_float": (
        lambda: encoding.phase_spikes(ONE, n_bits=8.0, **SHORT),
        "phase_spikes", "n_bits", "a whole number",
    ),
    "width": (
        lambda: encoding.phase_spikes(ONE, width=1.5 * ms, **SHORT),
        "phase_spikes", "width", "a multiple of the time step",
    ),
    "n_max": (lambda: encoding.burst(n_max=True), "burst", "n_max", "a whole number"),
    "burst_t_max": (
        lambda: encoding.burst(t_min=2 * ms, t_max=1 * ms), "burst", "t_max", "at least t_min",
    ),
    "burst_t_min": (
        lambda: encoding.burst_spikes(ONE, t_min=0.5 * ms, **SHORT),
        "burst_spikes", "t_min", "at least the time step",
    ),
    "threshold": (lambda: encoding.delta(threshold=0.0), "delta", "threshold", "> 0"),
    "start": (lambda: encoding.delta(start=np.nan), "delta", "start", "finite"),
    "frame": (
        lambda: encoding.delta_spikes(np.ones((1, 2, 3)), frame=0.5 * ms),
        "delta_spikes", "frame", "a multiple of the time step",
    ),
    "n_fields": (
        lambda: encoding.gaussian_fields(ONE, n_fields=2), "gaussian_fields", "n_fields", "from 3",
    ),
    "high": (
        lambda: encoding.decode_fields(ONE, n_fields=3, low=1.0), "decode_fields", "high",
        "above low",
    ),
    "ratio": (
        lambda: encoding.on_off_contrast(FIRED, ratio=1.0), "on_off_contrast", "ratio", "> 1",
    ),
    "max_rate": (
        lambda: encoding.decode_rate(FIRED, max_rate=3), "decode_rate", "max_rate", "in Hz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PARAMETERS)
def test_parameters_are_checked(case: str) -> None:
    make, obj, name, wanted = PARAMETERS[case]
    with pytest.raises(ParameterError) as caught:
        make()
    assert (caught.value.obj, caught.value.name) == (obj, name)
    assert wanted in str(caught.value)


DATA: dict[str, tuple[Callable[[], Any], str]] = {
    "negative": (
        lambda: encoding.latency_spikes([[-0.1]], **SHORT), r"latency_spikes: .* got -0.1 at",
    ),
    "nan": (lambda: encoding.burst_spikes([[np.nan]], **SHORT), r"must be finite, got nan"),
    "axes": (lambda: encoding.delta_spikes(ONE), r"shape \(n > 0, frames > 0, features > 0\)"),
    "images": (lambda: encoding.on_off_contrast(ONE), r"shape \(n > 0, height > 0, width > 0\)"),
    "spikes": (lambda: encoding.decode_ranks(2 * FIRED), r"spikes must be 0 or 1, got 2"),
    "odd": (lambda: encoding.decode_delta(FIRED[..., :1]), r"ON and OFF units, got 1"),
    "table": (lambda: encoding.decode_rank_order(FIRED, [1.0]), r"table must have 2 values, got 1"),
    "round": (lambda: encoding.decode_phase(FIRED, n_bits=11), r"longer than 10 steps, got 10"),
    "columns": (
        lambda: encoding.decode_fields(np.ones((1, 7)), n_fields=3),
        r"a multiple of n_fields \(3\) columns, got 7",
    ),
    "fields": (lambda: encoding.gaussian_fields([1.0]), r"values must have shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_data_are_checked(case: str) -> None:
    make, message = DATA[case]
    with pytest.raises(DataError, match=message):
        make()
