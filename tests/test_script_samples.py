"""Samples that scripts are shown: frames, attempts, snapshots, artifacts and jobs beside Brian2."""

import subprocess

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    prefs,
)

import biosnn
from biosnn import simulation
from biosnn.errors import DataError, DeviceError, ParameterError, StorageError
from biosnn.simulation import RunOptions

DEVICES = ("runtime", "cpp")
N, FRAMES = 7, 4


@pytest.fixture(autouse=True, scope="module")
def _numpy():
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    defaultclock.dt = 0.1 * ms
    yield
    prefs.codegen.target = before


def network():
    """A script without random numbers that learns, and keeps a threshold from sample to sample."""
    current = NeuronGroup(3, "I : 1\ndx/dt = (I - x)/(5*ms) : 1", threshold="x > 1", reset="x = 0",
                          method="euler", name="current")  # fmt: skip
    cells = NeuronGroup(
        4,
        """dv/dt = -v/(10*ms) : 1 (unless refractory)
        dtheta/dt = -theta/(1*second) : 1""",
        threshold="v > 1 + theta",
        reset="v = 0; theta += 0.02",
        refractory=3 * ms,
        method="euler",
        name="cells",
    )
    stdp = Synapses(
        current,
        cells,
        """w : 1
        dApre/dt = -Apre/(20*ms) : 1 (event-driven)""",
        on_pre="v_post += w; Apre += 0.01",
        on_post="w = clip(w + Apre, 0, 1)",
        delay=2 * ms,
        method="euler",
        name="stdp",
    )
    stdp.connect()
    stdp.w = "0.3 + 0.02*(i - j)"
    spikes, trace = (
        SpikeMonitor(cells, name="spikes"),
        StateMonitor(cells, "v", record=[0, 2], dt=1 * ms, name="trace"),
    )
    return Network(current, cells, stdp, spikes, trace)


RESET = {"cells": ("v", "lastspike"), "current": ("x",), "stdp": ("Apre",)}
SHOWING = biosnn.Presentation(
    duration=40 * ms, rest=20 * ms, reset=RESET, watch="cells", min_spikes=11, max_retries=2,
    intensity=0.75, intensity_step=0.5,
)  # fmt: skip


def lifted(net=None, **more):
    options = {
        "inputs": {"film": ("current.I", 10 * ms)},
        "presentation": SHOWING,
        "output": "cells",
        "learned": "stdp.w",
    }
    return biosnn.from_brian2(net or network(), namespace={}, **{**options, **more})


FILM = np.random.default_rng(5).random((N, FRAMES, 3)) * 3.2
FACTORS = np.linspace(0.8, 1.1, N)


@pytest.fixture(scope="module")
def compiled():
    return {
        device: biosnn.compile(lifted(), device, math="strict", portable=True,
                               snapshots={"stdp.w": 2, "cells.theta": 3})
        for device in DEVICES
    }  # fmt: skip


def by_hand():
    """What plain Brian2 does, frame after frame: spikes, weights and attempts of each sample."""
    net = network()
    first = {key: {name: np.array(net[key].variables[name].get_value()) for name in names}
             for key, names in RESET.items()}  # fmt: skip
    first["cells"]["not_refractory"] = np.ones(4, dtype=bool)
    first["stdp"]["lastupdate"] = np.zeros(1)
    spikes, weights, attempts = [], [], []
    for sample in range(N):
        for attempt in range(3):
            for key, values in first.items():
                for name, value in values.items():
                    if name in net[key].variables:
                        net[key].variables[name].get_value()[:] = value
            begin, known = float(net.t), net["spikes"].num_spikes
            for key in ("cells", "current"):
                net[key].variables["_spikespace"].get_value()[:] = 0
            for frame in range(FRAMES):
                net["current"].I = FILM[sample, frame] * (0.75 + 0.5 * attempt) * FACTORS[sample]
                net.run(10 * ms, namespace={})
            shown = net["spikes"].num_spikes - known
            net["current"].I = 0
            net.run(20 * ms, namespace={})
            t, i = net["spikes"].t_[known:] - begin, net["spikes"].i[known:]
            spikes += [(sample, attempt, round(s / 1e-4), k) for s, k in zip(t, i, strict=True)]
            if shown >= 11:
                break
        attempts.append(attempt + 1)
        weights.append(np.array(net["stdp"].w))
    return np.array(spikes), np.array(weights), attempts


@pytest.mark.parametrize("device", DEVICES)
def test_frames_attempts_and_snapshots_are_those_of_plain_brian2(compiled, device):
    spikes, weights, attempts = by_hand()
    assert sorted(set(attempts)) == [1, 2, 3]
    assert np.abs(weights[-1] - weights[0]).max() > 0.02
    runnable = compiled[device]
    shown = {"film": FILM, "intensity": FACTORS}
    found, state = runnable.run(shown, learn=True, progress=False)
    np.testing.assert_array_equal(found.shown, attempts)
    own = found.spikes["spikes"]
    steps = np.rint(own.t / 1e-4).astype(int)
    np.testing.assert_array_equal(np.stack([own.sample, own.attempt, steps, own.i], 1), spikes)
    last = own.attempt == found.shown[own.sample] - 1
    counts = np.bincount(own.sample[last], minlength=N)
    np.testing.assert_array_equal(found.counts("cells").sum(axis=1), counts)
    np.testing.assert_allclose(found.snapshots["stdp.w"], weights[1::2], rtol=1e-12)
    assert found.snapshots["cells.theta"].shape == (2, 4)
    np.testing.assert_allclose(state["stdp.w"], weights[-1], rtol=1e-12)
    assert state.samples_seen == N
    trace = found.traces["trace.v"]
    assert trace.values.shape == (2, 60 * sum(attempts))
    assert trace.time[-1] == pytest.approx(60e-3 * sum(attempts) - 1e-3)
    # In chunks, and from a checkpoint of a state, it is the same.
    parts, _ = runnable.run(shown, learn=True, chunk_size=3, progress=False)
    assert parts.spikes["spikes"].t.tobytes() == own.t.tobytes()
    assert parts.snapshots["stdp.w"].tobytes() == found.snapshots["stdp.w"].tobytes()
    assert parts.traces["trace.v"].time.tobytes() == trace.time.tobytes()


def test_an_artifact_of_a_script_begins_with_its_values(compiled, tmp_path):
    shown = {"film": FILM, "intensity": FACTORS}
    here, end = compiled["cpp"].run(shown, learn=True, progress=False)
    there = simulation.load(compiled["cpp"].export(tmp_path / "network"))
    np.testing.assert_array_equal(there.initial_state()["stdp.w"], network()["stdp"].w[:])
    found, state = there.run(shown, learn=True, progress=False)
    assert found.counts("cells").sum() > 60
    assert found.counts("cells").tobytes() == here.counts("cells").tobytes()
    assert state.checksum() == end.checksum() != there.initial_state().checksum()
    assert there.interface.fingerprint == compiled["cpp"].interface.fingerprint != ""
    with pytest.raises(DataError, match="not the script"):
        _ = there.network
    with pytest.raises(DeviceError, match='compile it for "cpp"'):
        compiled["runtime"].export(tmp_path / "none")


def test_a_run_of_a_script_on_samples_becomes_a_job(compiled, tmp_path):
    shown = {"film": FILM, "intensity": FACTORS}
    options = RunOptions(learn=True, seed=2)
    runnable = compiled["cpp"]
    job = runnable.export_job(shown, tmp_path / "job", options=options, longest_chunk=3)
    assert [chunk["n"] for chunk in job.chunks] == [3, 3, 1]
    done = subprocess.run([tmp_path / "job" / "run.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found, state = simulation.collect_job(tmp_path / "job")
    here, end = runnable.run(shown, learn=True, seed=2, progress=False)
    assert here.counts("cells").sum() > 60
    assert found.spikes["spikes"].t.tobytes() == here.spikes["spikes"].t.tobytes()
    assert found.snapshots["stdp.w"].tobytes() == here.snapshots["stdp.w"].tobytes()
    assert state.checksum() == end.checksum()
    sources = biosnn.compile(lifted(), build=False)
    assert sources.export_job(shown, tmp_path / "more").n_samples == N


def test_another_script_does_not_go_on_with_a_run(tmp_path):
    net = network()
    one, other = (lifted(net, learned=names) for names in ("stdp.w", ()))
    shown, folder = {"film": FILM}, tmp_path / "run"
    first, _ = biosnn.compile(one, "runtime").run(shown, folder=folder, progress=False)
    again, _ = biosnn.compile(one, "runtime").run(shown, folder=folder, resume=True, progress=False)
    assert first.counts("cells").sum() > 60
    np.testing.assert_array_equal(again.counts("cells"), first.counts("cells"))
    with pytest.raises(StorageError, match="its declaration is"):
        biosnn.compile(other, "runtime").run(shown, folder=folder, resume=True, progress=False)


def test_what_is_recorded_has_a_limit(compiled):
    for runnable in compiled.values():
        with pytest.raises(ParameterError, match="memory_limit"):
            runnable.run({"film": FILM}, memory_limit=3000, progress=False)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"inputs": {"film": ("current.I", 10)}}, "time of a frame"),
        ({"learned": None}, "learned must be a text or a list of texts, got None"),
        ({"learned": [3]}, "learned must be a text or a list of texts"),
        ({"inputs": {"intensity": "current.I"}}, "identifiers other than intensity and n_samples"),
        ({"inputs": {"film": "current.I", "more": "current.I"}}, "set by one input only"),
        ({"inputs": {"film": ("current.I", 0.25 * ms)}}, "whole time steps"),
        ({"inputs": {"film": ("current.I", 50 * ms)}}, "within a presentation"),
        ({"presentation": biosnn.Presentation(duration=40 * ms, watch="stdp", min_spikes=1)},
         "a group that spikes"),
    ],
)  # fmt: skip
def test_frames_and_attempts_that_cannot_be_are_named(wrong, what):
    with pytest.raises(ParameterError, match=what):
        lifted(**wrong)


def test_normalising_retries_needs_retries():
    once = biosnn.Presentation(duration=40 * ms)
    norm = {"stdp.w": biosnn.networks.Normalisation(total=1.0)}
    with pytest.raises(ParameterError, match="normalise_retries must be given where samples are"):
        lifted(inputs={"film": "current.I"}, presentation=once, normalise=norm,
               normalise_retries=True)  # fmt: skip


def test_what_each_step_computes_is_not_set_by_samples():
    cells = NeuronGroup(2, "I = 2 + 0*t/ms : 1 (constant over dt)\ndv/dt = (I - v)/(5*ms) : 1",
                        threshold="v > 1", reset="v = 0", method="euler", name="cells")  # fmt: skip
    once = biosnn.Presentation(duration=40 * ms)
    with pytest.raises(ParameterError, match=r"'cells.I' \(constant over dt\).*flag out"):
        biosnn.from_brian2(Network(cells), namespace={}, inputs={"x": "cells.I"}, presentation=once,
                           output="cells")  # fmt: skip


@pytest.mark.parametrize("code", ["w_post = clip(w_post - 0.01, 0, 1)", "w -= 0.01"])
def test_learned_weights_that_other_synapses_change_are_refused(code):
    net = network()
    other = Synapses(net["current"], net["stdp"], on_pre=code, name="other")
    other.connect()
    net.add(other)
    with pytest.raises(ParameterError, match=r"learned .*stdp\.w, which other changes"):
        lifted(net)


def test_values_at_spikes_are_refused_where_samples_are_shown():
    net = network()
    net.add(SpikeMonitor(net["cells"], variables="theta", name="valued"))
    with pytest.raises(ParameterError, match=r"valued, which also records theta.*StateMonitor"):
        lifted(net)
    recording, _ = biosnn.compile(biosnn.from_brian2(net, namespace={}), "runtime").run(1 * ms)
    assert "theta" in recording.spikes["valued"].values  # a run for a duration keeps them


def test_snapshots_of_what_is_not_there_are_named():
    with pytest.raises(ParameterError, match=r"snapshots must be one of .*stdp\.w"):
        biosnn.compile(lifted(), "runtime", snapshots={"stdp.x": 2})
    with pytest.raises(ParameterError, match="snapshots"):
        biosnn.compile(lifted(), "runtime", snapshots={"stdp.w": 0})
    alone = biosnn.from_brian2(network(), namespace={})
    with pytest.raises(ParameterError, match="snapshots must be left out"):
        biosnn.compile(alone, "runtime", snapshots={"cells.v": 2})


def test_members_of_an_ensemble_are_scripts_with_other_values():
    first = np.linspace(0.2, 0.4, 12)
    parameters = {"cells.tau": [10 * ms, 6 * ms, 20 * ms], "stdp.w": [0.3, first, 0.35]}
    network = leaky()
    three = simulation.ensemble(network, 3, parameters=parameters, math="strict",
                                snapshots={"stdp.w": 3})  # fmt: skip
    shown = {"image": FILM[:, 0] * 60}
    found = three.fit(shown, seeds=[4, 5, 6], epochs=2, chunk_size=5, progress=False)
    counts = [recording.counts("cells") for recording, _ in found]
    assert min(part.sum() for part in counts) > 20
    assert not np.array_equal(counts[0], counts[1])
    assert np.abs(found[1][1]["stdp.w"] - first).max() > 0.01
    for k, member in enumerate(three.members[:2]):
        alone = biosnn.compile(member, math="strict", snapshots={"stdp.w": 3})
        recording, end = alone.fit(shown, seed=4 + k, epochs=2, progress=False)
        assert recording.counts("cells").tobytes() == counts[k].tobytes()
        assert recording.snapshots["stdp.w"].tobytes() == found[k][0].snapshots["stdp.w"].tobytes()
        assert end.checksum() == found[k][1].checksum()
    again = three.run(shown, [end for _, end in found], seeds=4, progress=False)
    assert [end.samples_seen for _, end in again] == [14] * 3
    for wrong, what in (
        ({"parameters": {"cells.u": [1, 2, 3]}}, "among"),
        ({"parameters": {"cells.tau": [1 * mV] * 3}}, "in s"),
        ({"parameters": {"stdp.w": [1, 2]}}, "3 values"),
        ({"parameters": {"stdp.w": [1, 2, [3, 4]]}}, "shape"),
        ({"device": "cuda"}, "processes"),
        ({"spikes": ("cells",)}, "left out"),
    ):
        with pytest.raises(ParameterError, match=what):
            simulation.ensemble(network, 3, **wrong)
    with pytest.raises(ParameterError, match="shown samples"):
        simulation.ensemble(biosnn.from_brian2(net := two_cells(), namespace={}), 2)
    assert "cells" in net


def two_cells():
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="euler", name="cells")
    return Network(cells)


def leaky():
    """A script with random inputs, a constant of its namespace, and weights that learn."""
    pixels = PoissonGroup(3, rates=0 * Hz, name="pixels")
    cells = NeuronGroup(4, "dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0",
                        method="exact", name="cells")  # fmt: skip
    stdp = Synapses(pixels, cells, "w : 1\ndApre/dt = -Apre/(20*ms) : 1 (event-driven)",
                    on_pre="v_post += w; Apre += 0.02", on_post="w = clip(w + Apre, 0, 1)",
                    name="stdp")  # fmt: skip
    stdp.connect()
    stdp.w = 0.3
    return biosnn.from_brian2(
        Network(pixels, cells, stdp),
        namespace={"tau": 10 * ms},
        inputs={"image": "pixels"},
        presentation=biosnn.Presentation(duration=50 * ms, rest=10 * ms, reset="all"),
        output="cells",
        learned="stdp.w",
    )
