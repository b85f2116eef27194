"""The engine: the same results on every device, however the samples are cut."""

from __future__ import annotations

import functools
import gc
import logging

import attrs
import brian2
import numpy as np
import pytest
from brian2 import Hz, ms

from biosnn import encoding as encoders
from biosnn import models, networks, simulation
from biosnn.devices.base.binary import BinarySession
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.simulation import Runnable
from biosnn.state import State

N_INPUTS, N_SAMPLES = 20, 12
RNG = np.random.default_rng(1)
IMAGES = (RNG.random((N_SAMPLES, N_INPUTS)) * (RNG.random((N_SAMPLES, N_INPUTS)) < 0.6)).astype(
    np.float32
)


def wta(encoding: str, **settings) -> NetworkModel:
    """A winner-take-all network small enough for tests."""
    defaults = {"theta": 25.0, "weight_norm": 4.0, "homeostasis": 0.5, "max_rate": 300 * Hz}
    return networks.winner_take_all(N_INPUTS, 6, encoding=encoding, **{**defaults, **settings})


def diehl_cook() -> NetworkModel:
    """The network of Diehl & Cook with few inputs, so that some samples are shown again."""
    network = networks.diehl_cook_2015(
        N_INPUTS, 5, weight_sum=12.0, max_rate=400 * Hz, max_retries=3, min_spikes=4
    )
    quick = attrs.evolve(network.presentation, duration=60 * ms, rest=20 * ms)
    return attrs.evolve(network, presentation=quick)


def sequence_network() -> NetworkModel:
    """LIF cells driven by a sequence of currents and, separately, by address events."""
    cell = models.lif(t_ref=2 * ms).extended(
        "x : 1", models.Operation(code="I = x*60*nA", on="input")
    )
    driven = models.lif(tau_m=5 * ms)
    return NetworkModel(
        name="sequence",
        dt=0.5 * ms,
        inputs={
            "frames": Input(features=3, kind="sequence", frame=10 * ms),
            "events": Input(features=4, kind="events"),
        },
        populations={
            "cells": Population(model=cell, n=3, drives={"x": "frames"}),
            "source": Population(model=encoders.address_events(), n=4, drives={"x": "events"}),
            "driven": Population(model=driven, n=4),
        },
        projections={
            "source_driven": networks.Projection(
                pre="source", post="driven", transmit="v_post += 20*mV", pairs="one_to_one"
            )
        },
        presentation=Presentation(duration=40 * ms, rest=10 * ms),
        output="cells",
    )


def sequence_samples() -> dict:
    frames = RNG.random((3, 4, 3))
    return {
        "frames": frames,
        "events": (
            np.array([0, 0, 1, 2]),
            np.array([1, 3, 0, 2]),
            np.array([1, 5, 20, 39.5]) / 1e3,
        ),
    }


NETWORKS = {
    "direct": (lambda: wta("direct", theta=60.0), "exc", lambda: IMAGES),
    "poisson": (lambda: wta("poisson"), "exc", lambda: IMAGES),
    "regular": (lambda: wta("regular", competition="pool", inhibition=20.0), "exc", lambda: IMAGES),
    "diehl_cook": (diehl_cook, "exc", lambda: IMAGES),
    "sequence": (sequence_network, "cells", sequence_samples),
}
#: Counts of these are recorded besides.
ENCODERS = {"poisson": "inp", "diehl_cook": "inp"}


@functools.cache
def compiled(name: str, device: str) -> Runnable:
    """One of the networks, with strict floating-point flags."""
    make, output, _ = NETWORKS[name]
    spiking = [output, *filter(None, [ENCODERS.get(name)])]
    return simulation.compile(
        make(),
        device,
        math="strict" if device == "cpp" else "fast",
        per_sample=(f"{output}.t_first", *(f"{key}.count" for key in spiking)),
        spikes=spiking,
        traces={f"{output}.v": [0, 2]},
    )


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    """A network compiled for both devices with strict floating-point flags."""
    _, output, samples = NETWORKS[request.param]
    cpp, runtime = (compiled(request.param, device) for device in ("cpp", "runtime"))
    return output, samples(), cpp, runtime


def test_devices_give_the_same_spikes_and_the_same_state(case):
    output, samples, cpp, runtime = case
    learn = bool(cpp.network.plastic_projections)
    ours, state = cpp.run(samples, learn=learn, seed=2)
    theirs, expected = runtime.run(samples, learn=learn, seed=2)
    assert ours.counts(output).sum() > 5
    np.testing.assert_array_equal(ours.counts(output), theirs.counts(output))
    np.testing.assert_array_equal(ours.shown, theirs.shown)
    for part in ("i", "t", "sample"):
        np.testing.assert_array_equal(
            getattr(ours.spikes[output], part), getattr(theirs.spikes[output], part)
        )
    np.testing.assert_allclose(ours.latencies(output), theirs.latencies(output), rtol=1e-12)
    trace, other = ours.traces[f"{output}.v"], theirs.traces[f"{output}.v"]
    np.testing.assert_allclose(trace.values, other.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(trace.t, other.t, atol=1e-9)
    assert (trace.unit, trace.indices.tolist()) == (other.unit, other.indices.tolist())
    assert sorted(state) == sorted(expected)
    for name in state:
        np.testing.assert_allclose(state[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)
    if learn:
        assert np.abs(state["inp_exc.w"] - cpp.initial_state(2)["inp_exc.w"]).max() > 1e-3


def test_recorded_spikes_agree_with_the_counts(case):
    output, samples, cpp, _ = case
    recording, _ = cpp.run(samples, seed=2)
    spikes = recording.spikes[output]
    once = recording.shown == 1
    assert once.any()
    for sample in np.flatnonzero(once):
        part = spikes.of_sample(sample)
        counts = np.bincount(part.i, minlength=recording.counts(output).shape[1])
        np.testing.assert_array_equal(counts, recording.counts(output)[sample])
        for neuron in np.unique(part.i):
            first = part.t[part.i == neuron].min()
            assert recording.latencies(output)[sample, neuron] == pytest.approx(first, abs=1e-12)
    assert np.isinf(recording.latencies(output)[recording.counts(output) == 0]).all()


@pytest.mark.parametrize("chunk_size", [1, 5])
def test_the_size_of_chunks_changes_no_bit(case, chunk_size):
    output, samples, cpp, _ = case
    learn = bool(cpp.network.plastic_projections)
    whole, expected = cpp.run(samples, learn=learn, seed=3)
    parts, state = cpp.run(samples, learn=learn, seed=3, chunk_size=chunk_size)
    assert whole.counts(output).sum() > 5
    assert state.checksum() == expected.checksum()
    np.testing.assert_array_equal(whole.counts(output), parts.counts(output))
    np.testing.assert_array_equal(whole.spikes[output].t, parts.spikes[output].t)
    np.testing.assert_array_equal(whole.spikes[output].sample, parts.spikes[output].sample)
    np.testing.assert_array_equal(whole.shown, parts.shown)


@pytest.mark.parametrize("device", ["cpp", "runtime"])
def test_a_saved_state_continues_learning_to_the_bit(case, device):
    _, samples, cpp, runtime = case
    if not isinstance(samples, np.ndarray):
        pytest.skip("does not learn")
    runnable = cpp if device == "cpp" else runtime
    _, expected = runnable.run(samples, learn=True, seed=4)
    half = len(samples) // 2
    options = {"learn": True, "seed": 4, "horizon": len(samples)}
    _, middle = runnable.run(samples[:half], **options)
    restored = State(dict(middle), middle.shapes)
    assert restored.samples_seen == half
    _, state = runnable.run(samples[half:], restored, first_sample=half, **options)
    assert state.checksum() == expected.checksum()
    assert state.checksum() != middle.checksum()
    _, crossed = (runtime if device == "cpp" else cpp).run(
        samples[half:], restored, first_sample=half, **options
    )
    np.testing.assert_allclose(crossed["inp_exc.w"], state["inp_exc.w"], rtol=1e-9)


def test_without_learning_weights_and_thresholds_stay_to_the_bit(case):
    output, samples, cpp, runtime = case
    before = cpp.initial_state(2)
    for runnable in (cpp, runtime):
        recording, after = runnable.run(samples, before, seed=2)
        assert recording.counts(output).sum() > 5
        assert after.samples_seen == 0
        for name in before:
            if name.endswith((".w", ".theta")):
                np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_each_sample_has_its_own_random_draws():
    runnable = compiled("poisson", "cpp")
    same = np.repeat(IMAGES[:1], 3, axis=0)
    recording, _ = runnable.run(same, seed=0)
    spikes = recording.spikes["inp"]
    trains = [tuple(zip(p.i, p.t, strict=True)) for p in map(spikes.of_sample, range(3))]
    assert len(trains[0]) > 20
    assert len(set(trains)) == 3
    again, _ = runnable.run(same[:1], seed=0, first_sample=2)
    part = again.spikes["inp"]
    assert tuple(zip(part.i, part.t, strict=True)) == trains[2]
    for other in ({"seed": 1}, {"seed": 0, "epoch": 1}):
        different, _ = runnable.run(same[:1], **other)
        part = different.spikes["inp"]
        assert tuple(zip(part.i, part.t, strict=True)) != trains[0]


def test_silent_samples_are_shown_again_and_no_more_than_allowed():
    network = diehl_cook()
    dark = np.concatenate([IMAGES[:2], np.zeros((2, N_INPUTS), np.float32), IMAGES[2:4]])
    for device in ("cpp", "runtime"):
        recording, state = compiled("diehl_cook", device).run(dark, learn=True, seed=0)
        counts = recording.counts("exc").sum(axis=1)
        assert counts.sum() > 10
        assert recording.shown[2:4].tolist() == [4, 4]  # once and three retries
        np.testing.assert_array_equal(recording.counts("inp")[2:4], 0)
        enough = counts >= network.presentation.min_spikes
        assert enough.any()
        assert (recording.shown[~enough] == 4).all()
        assert state.samples_seen == len(dark)


def test_retries_raise_the_intensity():
    network = diehl_cook()
    never = attrs.evolve(network, presentation=attrs.evolve(network.presentation, min_spikes=10**6))
    runnable = simulation.compile(never, "runtime", per_sample=("inp.rate",))
    recording, _ = runnable.run(IMAGES[:1], seed=0)
    assert recording.shown.tolist() == [4]
    np.testing.assert_allclose(recording["inp.rate"][0], 400 * IMAGES[0] * (1 + 3 * 0.5), rtol=1e-6)


def test_only_columns_of_neurons_that_fired_are_normalised():
    runnable = compiled("diehl_cook", "cpp")
    start = runnable.initial_state(0)
    off = start.updated({"inp_exc.w": start["inp_exc.w"] * 0.5})
    theta = np.array([0.02, 0.02, 0.02, 0.02, 5.0])  # the last neuron cannot fire
    recording, after = runnable.run(IMAGES[:1], off.updated({"exc.theta": theta}), learn=True)
    fired = recording.counts("exc")[0] > 0
    assert fired.any()
    assert not fired[4]
    sums = after.weights("inp_exc").sum(axis=0)
    np.testing.assert_allclose(sums[fired], 12.0, rtol=1e-12)
    np.testing.assert_array_equal(
        after.weights("inp_exc")[:, ~fired], off.weights("inp_exc")[:, ~fired]
    )


def test_learning_schedules_follow_the_samples_seen():
    network = wta("direct", theta=60.0, eta=models.Schedule(start=0.4, stop=0.1))
    runnable = simulation.compile(network, "runtime")
    state = runnable.initial_state()
    for n in (1, 4, 7):
        before = state.samples_seen
        _, state = runnable.run(IMAGES[:n], state, learn=True, horizon=24)
        expected = 0.4 * 0.25 ** ((before + n - 1) / 24)  # the last sample's
        np.testing.assert_allclose(state["exc.inp_exc_eta"], expected, rtol=1e-12)
    assert state.samples_seen == 12
    _, frozen = runnable.run(IMAGES, state, learn=False, horizon=24)
    np.testing.assert_allclose(frozen["exc.inp_exc_eta"], 0.2, rtol=1e-12)


def test_the_spiking_readout_learns_classes_by_its_local_rule():
    network = wta("direct", theta=60.0, n_classes=3)
    patterns = np.kron(np.eye(3, dtype=np.float32), np.ones((1, 7), np.float32))[:, :N_INPUTS]
    labels = np.arange(90) % 3
    images = np.clip(patterns[labels] + 0.05 * RNG.random((90, N_INPUTS)), 0, 1)
    runnable = simulation.compile(network, "cpp", per_sample=("readout.count", "exc.count"))
    _, state = runnable.run(images, learn=("inp_exc",), seed=0)
    samples = {"image": images, "label": np.eye(3)[labels]}
    untrained, _ = runnable.run(images, state, seed=1)
    assert untrained.counts("exc").sum() > 50
    assert untrained.counts("readout").sum() == 0
    trained = state
    for epoch in range(5):
        _, trained = runnable.run(samples, trained, learn=("exc_readout",), seed=0, epoch=epoch)
    np.testing.assert_array_equal(trained["inp_exc.w"], state["inp_exc.w"])
    assert np.abs(trained["exc_readout.w"]).max() > 0.1
    recording, _ = runnable.run(images, trained, seed=1)
    assert (recording.counts("readout").argmax(axis=1) == labels).mean() > 0.9


def test_the_users_own_brian2_code_is_unharmed():
    group = brian2.NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact")
    group.v = 1
    net = brian2.Network(group)
    before = brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype
    device = brian2.get_device()
    net.run(5 * ms)
    for where, precision in (("cpp", "single"), ("runtime", "single")):
        runnable = simulation.compile(wta("direct", theta=60.0), where, precision=precision)
        recording, state = runnable.run(IMAGES)
        assert recording.counts("exc").sum() > 0
        assert state["inp_exc.w"].dtype == np.float32
        assert state["inp_exc.w"].dtype != state["protocol.seen"].dtype
    assert brian2.get_device() is device
    assert before == (brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype)
    net.run(5 * ms)
    np.testing.assert_allclose(group.v, np.exp(-1), rtol=1e-9)


@pytest.fixture
def unused():
    """Brian2's warnings of objects that no network has used: their names."""
    names = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "was never included in a network" in record.getMessage():
                names.append(record.getMessage().split("'")[1])

    logger, handler = logging.getLogger("brian2"), Handler()
    logger.addHandler(handler)
    gc.collect()
    names.clear()
    yield names
    logger.removeHandler(handler)


def test_brian2_is_not_made_to_warn_of_networks_that_are_dropped(unused, monkeypatch):
    """C8: compiled and dropped, refused before it ran, or not even built to the end."""
    models.lif().group(2, name="dropped")
    gc.collect()
    assert unused == ["dropped"], "the warnings are heard, and users keep theirs"
    network = wta("direct")
    simulation.compile(network, "runtime")
    gc.collect()
    runnable = simulation.compile(network, "runtime")
    with pytest.raises(DataError):
        runnable.run(np.ones((2, 3)))
    del runnable
    gc.collect()

    def fail(*_, **__):
        raise RuntimeError("no monitors today")

    monkeypatch.setattr("biosnn.devices.base.brian2_objects.SpikeMonitor", fail)
    with pytest.raises(RuntimeError, match="no monitors today"):
        simulation.compile(network, "runtime", spikes=("exc",))
    gc.collect()
    assert unused == ["dropped"]


def test_network_precision_and_flags_decide_which_build_it_is(monkeypatch):
    """That a build is made once, and then found, is tested with processes in test_engine.py."""

    class AskedError(Exception):
        pass

    def asked(key, make, check):
        raise AskedError(key)

    monkeypatch.setattr("biosnn.devices.cpp.device.cached", asked)
    changes = [{}, {}, {"precision": "single"}, {"math": "strict"}, {"portable": True}]
    keys = []
    for theta, options in [(61.0, change) for change in changes] + [(62.0, {})]:
        with pytest.raises(AskedError) as caught:
            simulation.compile(wta("direct", theta=theta), "cpp", **options)
        keys.append(str(caught.value))
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(keys) - 1


BAD_RUNS = {
    "shape": ({"samples": IMAGES[:, :5]}, DataError, r"'image' must have shape \(n, 20\)"),
    "empty": ({"samples": IMAGES[:0]}, DataError, r"'image' must have shape"),
    "nan": ({"samples": np.full((1, 20), np.nan)}, DataError, "must be finite, got nan"),
    "negative": ({"samples": -IMAGES}, DataError, "become rates and must be >= 0"),
    "pixels": ({"samples": np.full((1, 20), 255, np.uint8)}, DataError, "divide pixels by 255"),
    "text": ({"samples": np.full((1, 20), "a")}, DataError, "must be numbers"),
    "name": ({"samples": {"picture": IMAGES}}, DataError, "no input 'picture'"),
    "missing": ({"samples": {"image": None}}, DataError, "input 'image' are missing"),
    "seed": ({"samples": IMAGES, "seed": -1}, ParameterError, "run.seed must be a whole number"),
    "epoch": ({"samples": IMAGES, "epoch": 1.5}, ParameterError, "run.epoch must be"),
    "chunk": ({"samples": IMAGES, "chunk_size": 0}, ParameterError, "run.chunk_size must be"),
    "horizon": ({"samples": IMAGES, "horizon": 0}, ParameterError, "run.horizon must be"),
    "learn": ({"samples": IMAGES, "learn": ("nothing",)}, ParameterError, "run.learn must be"),
    "state": ({"samples": IMAGES, "state": State({})}, DataError, "the state lacks"),
}


@pytest.fixture(scope="module")
def small():
    """A compiled network for tests of errors."""
    return compiled("poisson", "cpp")


@pytest.mark.parametrize("name", BAD_RUNS)
def test_bad_input_is_refused_in_one_sentence(small, name):
    arguments, error, message = BAD_RUNS[name]
    with pytest.raises(error, match=message) as caught:
        small.run(**arguments)
    assert "\n" not in str(caught.value)


def test_options_as_objects_do_what_keywords_do(small, tmp_path):
    options = simulation.RunOptions(learn=True, seed=np.int64(4), epochs=2, chunk_size=5)
    kept = simulation.Checkpointing(folder=tmp_path / "run", every=9)
    recording, state = small.execute(IMAGES, None, options, kept, progress=False)
    other, end = small.fit(IMAGES, seed=4, epochs=2, chunk_size=5, progress=False)
    assert recording.counts("exc").sum() > 5
    np.testing.assert_array_equal(recording.counts("exc"), other.counts("exc"))
    assert state.checksum() == end.checksum()
    assert len(list((tmp_path / "run").glob("checkpoint-*.biosnn"))) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options.seed = 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: simulation.RunOptions(seed=True), r"run\.seed must be a whole number"),
        (lambda: simulation.RunOptions(epochs=0), r"fit\.epochs must be a whole number"),
        (lambda: simulation.RunOptions(epochs=2, first_epoch=2**22 - 1), r"fit\.first_epoch must"),
        (lambda: simulation.RunOptions(memory_limit=0), r"run\.memory_limit must be"),
        (lambda: simulation.Checkpointing(keep=0), r"run\.keep must be"),
        (lambda: simulation.Checkpointing(every=3), r"run\.checkpoint_every must be given tog"),
        (lambda: simulation.Checkpointing(resume=True), r"run\.resume must be given together"),
    ],
)
def test_options_out_of_their_range_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_state_that_is_not_finite_is_refused(small):
    state = small.initial_state()
    broken = dict(state)
    broken["inp_exc.w"] = np.full_like(state["inp_exc.w"], np.nan)
    with pytest.raises(DataError, match=r"'inp_exc.w'\] must be finite, got nan at index 0"):
        small.run(IMAGES, State(broken, state.shapes))
    with pytest.raises(DataError, match=r"state\['inp_exc.w'\] must be finite"):
        state.updated({"inp_exc.w": np.nan})
    with pytest.raises(DataError, match=r"must have shape \(120,\)"):
        state.updated({"inp_exc.w": np.zeros(7)})


def test_a_truncated_state_file_stops_the_binary(small, monkeypatch):
    write = BinarySession._write

    def truncated(self, *arguments):
        self._state.write_bytes(b"too short")
        return write(self, *arguments)

    monkeypatch.setattr(BinarySession, "_write", truncated)
    with pytest.raises(DeviceError, match=r"after 0 of 12 samples.*has 9 bytes, expected"):
        small.run(IMAGES)


BAD_COMPILES = {
    "device": ({"device": "gpu"}, ParameterError, "compile.device must be 'runtime' or"),
    "precision": ({"precision": "half"}, ParameterError, "compile.precision must be 'double'"),
    "math": ({"math": "loose"}, ParameterError, "compile.math must be"),
    "target": ({"device": "runtime", "target": "c"}, ParameterError, "compile.target must be"),
    "population": ({"per_sample": ("out.count",)}, ParameterError, "one of inp, exc, pool"),
    "variable": (
        {"per_sample": ("exc.u",)},
        ParameterError,
        "compile.per_sample must be one of exc's",
    ),
    "index": ({"traces": {"exc.v": [6]}}, ParameterError, "indices from 0 to 5"),
    "spikes": ({"spikes": ("pool",)}, ParameterError, "a population that spikes"),
}


@pytest.mark.parametrize("name", BAD_COMPILES)
def test_bad_compile_arguments_are_refused(name):
    arguments, error, message = BAD_COMPILES[name]
    with pytest.raises(error, match=message):
        simulation.compile(wta("poisson"), **arguments)


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match=r"no C\+\+ compiler found.*or use device=\"runtime\""):
        simulation.compile(wta("direct", theta=62.0), "cpp")


def test_a_failing_compiler_is_quoted(monkeypatch, tmp_path):
    fake = tmp_path / "fake-cxx"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo fake 1.0 && exit\necho broken >&2\nexit 1'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))
    with pytest.raises(DeviceError, match=r"(?s)failed with status 1.*biosnn doctor.*broken"):
        simulation.compile(wta("direct", theta=62.0), "cpp")


BAD_NETWORKS = {
    "drive": (lambda: wta_with(inputs={"image": Input(features=3)}), "number of features"),
    "output": (lambda: wta_with(output="nobody"), "output must be one of"),
    "dt": (lambda: wta_with(dt=0.07 * ms), "a multiple of the time step"),
    "dt unit": (lambda: wta_with(dt=1 * Hz), "dt must be a quantity in s"),
    "encoding": (lambda: wta("morse"), "winner_take_all.encoding must be one of"),
    "competition": (lambda: wta("direct", competition="war"), "competition must be one of"),
    "rate": (lambda: wta("poisson", max_rate=-1 * Hz), "poisson.max_rate must be > 0"),
    "bernoulli": (lambda: wta("bernoulli", max_rate=2000 * Hz), "at most 1/dt = 1000 Hz"),
    "rule": (lambda: networks.diehl_cook_2015(rule="hebb"), "diehl_cook_2015.rule must be"),
    "duration": (lambda: Presentation(duration=-1 * ms), "Presentation.duration must be > 0"),
    "watch": (lambda: Presentation(duration=1 * ms, min_spikes=3), "Presentation.watch must be"),
    "input": (lambda: Input(features=3, kind="video"), "Input.kind must be"),
    "frame": (lambda: Input(features=3, kind="sequence"), "Input.frame must be given"),
}


def wta_with(**changes) -> NetworkModel:
    """A small network with some fields replaced."""
    return attrs.evolve(wta("direct"), **changes)


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_bad_declarations_are_refused(name):
    make, message = BAD_NETWORKS[name]
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("device", ["runtime", "cpp"])
def test_whole_numbers_are_divided_in_double_precision(device) -> None:
    part = models.Operation(code="a = x*(i + 1)/(i + 2)\nb = (i + 1)/(i + 2)", on="step")
    cell = models.neuron(name="Cell", equations="x : 1\na : 1\nb : 1", operations=(part,))
    network = NetworkModel(
        name="division",
        dt=1 * ms,
        inputs={"values": Input(features=3)},
        populations={"cells": Population(model=cell, n=3, drives={"x": "values"})},
        presentation=Presentation(duration=2 * ms),
        output="cells",
    )
    made = simulation.compile(network, device, per_sample=("cells.a", "cells.b"))
    found = made.run(np.full((1, 3), 2.0), progress=False)[0].per_sample
    assert found["cells.b"][0].tolist() == [1 / 2, 2 / 3, 3 / 4]
    assert found["cells.a"][0].tolist() == [2 / 2, 2 * 2 / 3, 2 * 3 / 4]
