"""How the engine behaves: artifacts, recorders, checkpoints, signals, threads and processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
from brian2 import Hz, ms, second
from patience import HANG

from biosnn import models, networks, simulation
from biosnn.devices.base import binary
from biosnn.errors import DataError, DeviceError, Interrupted, ParameterError
from biosnn.networks import Input, NetworkModel, Normalisation, Population, Presentation, Projection
from biosnn.plasticity import PlasticityRule, Statements
from biosnn.program.interface import TraceOf

N_INPUTS, N_SAMPLES = 20, 12
RNG = np.random.default_rng(11)
IMAGES = (RNG.random((N_SAMPLES, N_INPUTS)) * (RNG.random((N_SAMPLES, N_INPUTS)) < 0.6)).astype(
    np.float32
)
LEARN = {"learn": True, "seed": 3, "horizon": N_SAMPLES, "progress": False}
# The live network takes longer, so it is shown less.
AMOUNT = {"cpp": N_SAMPLES, "runtime": 6}
DEVICES = ("cpp", "runtime")


def wta(encoding: str = "poisson", **settings) -> NetworkModel:
    defaults = {"theta": 25.0, "weight_norm": 4.0, "homeostasis": 0.5, "max_rate": 300 * Hz}
    return networks.winner_take_all(N_INPUTS, 6, encoding=encoding, **{**defaults, **settings})


def fragile() -> NetworkModel:
    """Cells whose ``g`` a large input sends to infinity, and sources with such weights.

    Each source fires once per presentation; the cells' ``z`` remembers earlier samples.
    """
    cell = models.NeuronModel(
        name="Cell",
        equations="x : 1\ng : 1\ndz/dt = -z/tau : 1",
        parameters={"tau": 1 * second},
        initial={"g": 1.0},
        operations=(
            models.Operation(code="g *= 1 + x", on="step"),
            models.Operation(code="z += x", on="input"),
        ),
    )
    source = models.NeuronModel(
        name="Source",
        equations="x : 1\nready : 1",
        threshold="ready > 0",
        reset="ready = 0",
        operations=(models.Operation(code="ready = 1", on="onset"),),
    )
    growth = PlasticityRule(
        name="Growth", statements=(Statements(side="pre", code="w *= (1 + x_pre)**9"),)
    )
    return NetworkModel(
        name="fragile",
        dt=1 * ms,
        inputs={"image": Input(features=2), "kick": Input(features=3, optional=True)},
        populations={
            "cells": Population(model=cell, n=2, drives={"x": "image"}),
            "source": Population(model=source, n=3, drives={"x": "kick"}),
        },
        projections={
            "growing": Projection(
                pre="source", post="cells", transmit="z_post += 0", weights=1.0, rule=growth
            )
        },
        presentation=Presentation(duration=20 * ms, reset={"cells": ("g",)}),
        output="source",
    )


RECORDERS = {
    "per_sample": ("exc.count", "exc.v", "inp.rate", "exc.theta"),
    "spikes": ("exc", "inp"),
    "traces": {"exc.v": TraceOf([0, 3], every=5 * ms), "inp.x": TraceOf([1], every=20 * ms)},
    "snapshots": {"inp_exc.w": 5, "exc.theta": 3},
}


@pytest.fixture(scope="module")
def rich():
    """The Poisson network with every kind of recorder, on both devices."""
    return {
        device: simulation.compile(wta(), device, math="strict", **RECORDERS) for device in DEVICES
    }


@pytest.fixture(scope="module")
def expected(rich):
    """What a run in memory, in one piece, gives on each device."""
    found = {d: rich[d].run(IMAGES[: AMOUNT[d]], **LEARN) for d in DEVICES}
    for device, (recording, state) in found.items():
        assert recording.counts("exc").sum() > 5
        assert len(recording.spikes["inp"].i) > 100
        assert state.samples_seen == AMOUNT[device]
    return found


@pytest.fixture(scope="module")
def plain():
    """The Poisson network with spikes and full traces."""
    return {
        device: simulation.compile(
            wta(), device, math="strict", spikes=("exc",), traces={"exc.v": [0, 3], "inp.x": [1]}
        )
        for device in DEVICES
    }


@pytest.fixture(scope="module")
def direct():
    """Direct currents, compiled; the fastest one."""
    return simulation.compile(
        wta("direct", theta=60.0),
        "cpp",
        math="strict",
        per_sample=("exc.count", "exc.t_first"),
        spikes=("exc",),
    )


@pytest.fixture(scope="module")
def breakable():
    return {
        device: simulation.compile(fragile(), device, per_sample=("source.count", "cells.z"))
        for device in DEVICES
    }


def assert_same(recording, other):
    """Check that two recordings are the same to the bit."""
    assert sorted(recording.per_sample) == sorted(other.per_sample)
    for name in other.per_sample:
        np.testing.assert_array_equal(recording[name], other[name], err_msg=name)
    np.testing.assert_array_equal(recording.shown, other.shown)
    assert sorted(recording.spikes) == sorted(other.spikes)
    for name, spikes in other.spikes.items():
        for part in ("i", "t", "sample", "attempt", "time"):
            np.testing.assert_array_equal(
                getattr(recording.spikes[name], part), getattr(spikes, part), err_msg=name
            )
    assert sorted(recording.traces) == sorted(other.traces)
    for name, trace in other.traces.items():
        np.testing.assert_array_equal(recording.traces[name].values, trace.values, err_msg=name)
        np.testing.assert_array_equal(recording.traces[name].indices, trace.indices)
        np.testing.assert_allclose(recording.traces[name].time, trace.time, rtol=0, atol=1e-9)
    assert sorted(recording.snapshots) == sorted(other.snapshots)
    for name, rows in other.snapshots.items():
        np.testing.assert_array_equal(recording.snapshots[name], rows, err_msg=name)


def arrays_of(recording):
    """All arrays of a recording, by name."""
    found = dict(recording.per_sample) | {"shown": recording.shown}
    found |= {f"snapshots.{name}": rows for name, rows in recording.snapshots.items()}
    for name, spikes in recording.spikes.items():
        found |= {
            f"spikes.{name}.{part}": getattr(spikes, part)
            for part in ("i", "t", "sample", "attempt")
        }
    for name, trace in recording.traces.items():
        found |= {f"traces.{name}.time": trace.time, f"traces.{name}.values": trace.values}
    return found


def child(script: str, *arguments, **environment) -> subprocess.Popen:
    """Start a script in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def answer(process: subprocess.Popen):
    """What a script prints as its last line, as JSON."""
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


class At:
    """A progress callback that does something once, as soon as so many samples are done."""

    def __init__(self, done: int, action):
        self.heard: list[int] = []
        self._at, self._action = done, action

    def __call__(self, done: int, total: int | None) -> None:
        self.heard.append(done)
        if self._action is not None and done >= self._at:
            action, self._action = self._action, None
            action()


def kill_once(number: int, done: int = 1) -> At:
    return At(done, lambda: os.kill(os.getpid(), number))


# --- artifacts, threads, processes


def test_a_manifest_says_where_everything_is(rich):
    artifact = rich["cpp"]._made.artifact
    layout, state = artifact.manifest["layout"], rich["cpp"].initial_state(0)
    raw = (artifact.folder / "state").read_bytes()
    offset = layout["variables"]["exc.theta"]["offset"]
    theta = np.frombuffer(raw, "<f8", count=6, offset=offset)
    assert theta.min() > 0
    np.testing.assert_array_equal(theta, state["exc.theta"])
    assert layout["inputs"]["image"] == {"file": "input.image"}
    units = {v["name"]: (v["unit"], v["role"]) for v in artifact.manifest["interface"]["variables"]}
    assert units["inp.t_next"] == ("s", "neuron")
    assert units["inp_exc.w"] == ("", "weight")
    names = {"exc.count", "snapshots.exc.theta", "spikes.exc.i", "trace.exc.v.values", "shown"}
    assert names <= set(layout["recorders"])


_RUN_ARTIFACT = """
    import json, sys
    sys.modules["brian2"] = None
    import numpy as np
    from biosnn import simulation
    runnable = simulation.load(sys.argv[1])
    recording, state = runnable.run(
        np.load(sys.argv[2]), learn=True, seed=3, horizon=12, progress=False
    )
    loaded = sorted(name for name in sys.modules if name.startswith("brian2."))
    counts = recording.counts("exc").tolist()
    times = recording.spikes["exc"].t.tolist()
    print(json.dumps([counts, times, state.checksum(), loaded]))
"""


@pytest.fixture(scope="module")
def moved(plain, tmp_path_factory):
    """An exported artifact in another folder than that of the export, and samples."""
    base = tmp_path_factory.mktemp("export")
    written = plain["cpp"].export(base / "here" / "net")
    (base / "elsewhere").mkdir()
    np.save(base / "images.npy", IMAGES)
    return written.rename(base / "elsewhere" / "a net"), base / "images.npy"


def test_an_artifact_runs_without_brian2_wherever_it_is(plain, moved):
    recording, state = plain["cpp"].run(IMAGES, **LEARN)
    assert recording.counts("exc").sum() > 5
    counts, times, checksum, loaded = answer(child(_RUN_ARTIFACT, *moved))
    assert loaded == []
    np.testing.assert_array_equal(counts, recording.counts("exc"))
    np.testing.assert_array_equal(times, recording.spikes["exc"].t)
    assert checksum == state.checksum()


def test_several_processes_run_an_artifact_at_once(plain, moved):
    recording, state = plain["cpp"].run(IMAGES, **LEARN)
    assert recording.counts("exc").sum() > 5
    started = [child(_RUN_ARTIFACT, *moved) for _ in range(3)]
    for counts, _, checksum, _ in map(answer, started):
        np.testing.assert_array_equal(counts, recording.counts("exc"))
        assert checksum == state.checksum()
    assert sorted(path.name for path in moved[0].iterdir()) == sorted(
        path.name for path in plain["cpp"]._made.artifact.folder.iterdir()
    )


def test_threads_share_a_runnable(plain):
    seeds = (1, 2)
    alone = [plain["cpp"].run(IMAGES, **{**LEARN, "seed": seed}) for seed in seeds]
    assert alone[0][1].checksum() != alone[1][1].checksum()
    found: dict[int, tuple] = {}

    def run(number: int, seed: int) -> None:
        found[number] = plain["cpp"].run(IMAGES, chunk_size=3, **{**LEARN, "seed": seed})

    threads = [threading.Thread(target=run, args=given) for given in enumerate(seeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1]
    for number, (recording, state) in enumerate(alone):
        assert_same(found[number][0], recording)
        assert found[number][1].checksum() == state.checksum()


def test_a_live_network_runs_one_thing_at_a_time(plain):
    def again():
        with pytest.raises(DeviceError, match=r'running already.*use device="cpp"'):
            plain["runtime"].run(IMAGES[:1], progress=False)

    heard = At(1, again)
    recording, state = plain["runtime"].run(IMAGES[:3], **{**LEARN, "progress": heard})
    assert heard.heard == [1, 2, 3]
    expected, end = plain["runtime"].run(IMAGES[:3], **LEARN)
    assert expected.counts("exc").sum() > 0
    assert_same(recording, expected)
    assert state.checksum() == end.checksum()


# --- recorders


@pytest.mark.parametrize("device", DEVICES)
def test_snapshots_are_the_states_of_shorter_runs(rich, expected, device):
    recording, _ = expected[device]
    n = AMOUNT[device]
    for name, every in RECORDERS["snapshots"].items():
        rows = recording.snapshots[name]
        assert len(rows) == n // every > 0
        for k, row in enumerate(rows):
            _, state = rich[device].run(IMAGES[: (k + 1) * every], **LEARN)
            np.testing.assert_array_equal(row, state[name], err_msg=f"{name} {k}")
    start = rich[device].initial_state(3)
    assert np.abs(recording.snapshots["inp_exc.w"][0] - start["inp_exc.w"]).max() > 1e-3


@pytest.mark.parametrize("chunk_size", [1, 4, 5])
@pytest.mark.parametrize("device", DEVICES)
def test_chunks_change_no_recorder(rich, expected, device, chunk_size):
    n = AMOUNT[device]
    recording, state = rich[device].run(IMAGES[:n], chunk_size=chunk_size, **LEARN)
    assert_same(recording, expected[device][0])
    assert state.checksum() == expected[device][1].checksum()


def test_devices_record_the_same(rich, expected):
    n = AMOUNT["runtime"]
    ours, _ = rich["cpp"].run(IMAGES[:n], **LEARN)
    theirs, _ = expected["runtime"]
    np.testing.assert_array_equal(ours.counts("exc"), theirs.counts("exc"))
    for name, rows in theirs.snapshots.items():
        np.testing.assert_allclose(ours.snapshots[name], rows, rtol=1e-9, err_msg=name)
    for name, trace in theirs.traces.items():
        np.testing.assert_allclose(ours.traces[name].values, trace.values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.traces[name].t, trace.t, atol=1e-9)


@pytest.mark.parametrize("device", DEVICES)
def test_a_thinner_trace_has_every_kth_point_of_the_full_one(plain, expected, device):
    n = AMOUNT[device]
    full, _ = plain[device].run(IMAGES[:n], **LEARN)
    for name, step in (("exc.v", 5), ("inp.x", 20)):
        trace, thin = full.traces[name], expected[device][0].traces[name]
        assert trace.values.shape[1] == n * 100
        assert np.ptp(trace.values) > 0
        np.testing.assert_array_equal(thin.values, trace.values[:, ::step])
        np.testing.assert_allclose(thin.t, trace.t[::step], rtol=0, atol=1e-9)
        assert thin.unit == trace.unit


@pytest.mark.parametrize("device", DEVICES)
def test_a_recording_on_disk_is_the_one_in_memory(rich, expected, device, tmp_path):
    n = AMOUNT[device]
    recording, state = rich[device].run(IMAGES[:n], folder=tmp_path, chunk_size=4, **LEARN)
    for name, array in arrays_of(recording).items():
        assert array.nbytes > 0
        assert isinstance(array, np.memmap), name
    assert_same(recording, expected[device][0])
    assert state.checksum() == expected[device][1].checksum()
    again, same = rich[device].run(IMAGES[:n], folder=tmp_path, resume=True, **LEARN)
    assert_same(again, recording)
    assert same.checksum() == state.checksum()


@pytest.mark.parametrize("device", DEVICES)
def test_memory_is_what_a_run_records(rich, expected, device):
    recording, _ = expected[device]
    told = rich[device].memory(AMOUNT[device])
    found: dict[str, int] = {}
    for name, array in arrays_of(recording).items():
        key = re.sub(r"^((traces|spikes)\..*)\.(t|time|values|i|sample|attempt)$", r"\1", name)
        found[key] = found.get(key, 0) + array.nbytes
    del found["shown"]
    assert sorted(told) == sorted(found)
    for name, size in found.items():
        if name.startswith("spikes."):
            assert 0 < size <= told[name]
        else:
            assert size == told[name], name


@pytest.mark.parametrize("device", DEVICES)
def test_what_cannot_fit_is_refused_before_the_run(rich, device):
    n = AMOUNT[device]
    told = rich[device].memory(n)
    bounded = 4 * n + sum(size for name, size in told.items() if not name.startswith("spikes."))
    heard = At(1, None)
    options = {**LEARN, "progress": heard}
    with pytest.raises(ParameterError, match=r"run\.memory_limit must be .* needs at least"):
        rich[device].run(IMAGES[:n], memory_limit=bounded - 1, **options)
    assert heard.heard == []
    with pytest.raises(ParameterError, match=r"run\.memory_limit must be"):
        rich[device].run(IMAGES[:n], memory_limit=bounded, chunk_size=1, **options)
    enough = bounded + sum(told.values())
    recording, _ = rich[device].run(IMAGES[:n], memory_limit=enough, chunk_size=2, **options)
    assert recording.counts("exc").sum() > 0
    assert heard.heard[-1] == n


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("device", DEVICES)
def test_spikes_that_are_too_many_stop_the_run(rich, expected, device, chunk_size):
    n = AMOUNT[device]
    recording, _ = expected[device]
    sizes = {name: array.nbytes for name, array in arrays_of(recording).items()}
    actual = sum(sizes.values())
    spikes = sum(size for name, size in sizes.items() if name.startswith("spikes."))
    options = {**LEARN, "chunk_size": chunk_size}
    # The binary holds a spike in 24 bytes, of which 20 are kept.
    found, _ = rich[device].run(IMAGES[:n], memory_limit=actual + spikes // 5 + 1, **options)
    assert_same(found, recording)
    with pytest.raises(ParameterError, match=r"run\.memory_limit must be enough.*folder="):
        rich[device].run(IMAGES[:n], memory_limit=actual - 1, **options)


def test_a_folder_takes_what_memory_does_not(rich, expected, tmp_path):
    recording, state = expected["cpp"]
    parts = [
        sum(a.nbytes for a in arrays_of(rich["cpp"].run(row[None], **LEARN)[0]).values())
        for row in IMAGES
    ]
    limit = 2 * max(parts)
    assert limit < sum(parts) / 2
    found, end = rich["cpp"].run(IMAGES, folder=tmp_path, chunk_size=1, memory_limit=limit, **LEARN)
    assert_same(found, recording)
    assert end.checksum() == state.checksum()


# --- interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("device", DEVICES)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(rich, expected, device, number, tmp_path):
    n = AMOUNT[device]
    folder = tmp_path / "run"
    before = [signal.getsignal(k) for k in (signal.SIGINT, signal.SIGTERM)]
    options = {**LEARN, "folder": folder, "chunk_size": 2}
    with pytest.raises(Interrupted) as caught:
        rich[device].run(IMAGES[:n], **{**options, "progress": kill_once(number, 3)})
    said = re.fullmatch(
        rf"stopped after sample (\d+) of {n}; go on with resume=True and folder='(.*)'",
        str(caught.value),
    )
    assert said, str(caught.value)
    assert 3 <= int(said[1]) < n
    assert Path(said[2]) == folder
    assert caught.value.signal == number
    assert [signal.getsignal(k) for k in (signal.SIGINT, signal.SIGTERM)] == before
    rest = At(n, None)
    recording, state = rich[device].run(
        IMAGES[:n], resume=True, **{**options, "chunk_size": None, "progress": rest}
    )
    assert min(rest.heard) > int(said[1])
    assert_same(recording, expected[device][0])
    assert state.checksum() == expected[device][1].checksum()
    assert all(isinstance(array, np.memmap) for array in arrays_of(recording).values())


def test_a_run_can_be_interrupted_again_and_again(rich, expected, tmp_path):
    stops = 0
    for _ in range(N_SAMPLES + 1):
        try:
            recording, state = rich["cpp"].run(
                IMAGES,
                folder=tmp_path,
                resume=stops > 0,
                **{**LEARN, "chunk_size": 1, "progress": kill_once(signal.SIGINT)},
            )
            break
        except Interrupted:
            stops += 1
            assert len(list(tmp_path.glob("checkpoint-*"))) <= 2
    assert stops == N_SAMPLES  # the last one after the last sample, when the run was complete
    assert_same(recording, expected["cpp"][0])
    assert state.checksum() == expected["cpp"][1].checksum()


def test_a_chunk_is_left_after_the_sample_that_is_shown(direct, tmp_path):
    many = np.tile(IMAGES, (20000, 1))  # longer than until the first report
    options = {"learn": True, "folder": tmp_path / "run"}
    with pytest.raises(Interrupted) as caught:
        direct.run(many, progress=kill_once(signal.SIGINT), **options)
    done = int(str(caught.value).split()[3])
    assert 0 < done < len(many)
    recording, state = direct.run(many, resume=True, progress=False, **options)
    expected, end = direct.run(many, learn=True, progress=False)
    assert expected.counts("exc").sum() > 10000
    assert_same(recording, expected)
    assert state.checksum() == end.checksum()


def test_an_interrupted_run_in_memory_says_that_nothing_is_kept(rich):
    with pytest.raises(Interrupted, match=r"stopped after sample 2 of 12; nothing was kept"):
        rich["cpp"].run(IMAGES, **{**LEARN, "chunk_size": 2, "progress": kill_once(signal.SIGINT)})


def test_a_second_signal_interrupts_at_once(direct, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    options = {"learn": True, "folder": tmp_path, "chunk_size": 2, "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt) as caught:
        direct.run(IMAGES, progress=At(6, twice), **options)
    assert caught.type is KeyboardInterrupt
    assert signal.getsignal(signal.SIGINT) is before
    assert [path.name for path in sorted(tmp_path.glob("checkpoint-*"))] == [
        f"checkpoint-{k:012}.biosnn" for k in (2, 4)
    ]
    recording, state = direct.run(IMAGES, resume=True, progress=False, **options)
    expected, end = direct.run(IMAGES, learn=True, progress=False)
    assert_same(recording, expected)
    assert state.checksum() == end.checksum()


def test_a_callback_that_fails_leaves_the_folder_as_it_was(direct, tmp_path):
    def fail():
        raise ZeroDivisionError("in the callback")

    options = {"learn": True, "folder": tmp_path, "chunk_size": 2, "checkpoint_every": 4}
    with pytest.raises(ZeroDivisionError, match="in the callback"):
        direct.run(IMAGES, progress=At(7, fail), **options)
    assert (tmp_path / "recording" / "shown").stat().st_size == 4 * 6
    recording, state = direct.run(IMAGES, resume=True, progress=False, **options)
    expected, end = direct.run(IMAGES, learn=True, progress=False)
    assert_same(recording, expected)
    assert state.checksum() == end.checksum()


def test_a_signal_before_the_first_sample_is_an_interruption(direct, tmp_path, monkeypatch):
    def stopped(folder, settings, report, stop):
        assert stop.requested
        return binary._End(status=-signal.SIGTERM)  # it was told before it could listen

    def stream():
        os.kill(os.getpid(), signal.SIGINT)
        yield IMAGES

    with monkeypatch.context() as patch:
        patch.setattr(binary, "run_binary", stopped)
        with pytest.raises(Interrupted, match="stopped after sample 0; go on with resume=True"):
            direct.run(stream(), folder=tmp_path, progress=False)
    recording, _ = direct.run(iter(IMAGES), folder=tmp_path, resume=True, progress=False)
    assert_same(recording, direct.run(IMAGES, progress=False)[0])


def test_a_stream_is_interrupted_and_resumed(direct, tmp_path):
    def stream(n):
        yield from IMAGES[:n]

    options = {"learn": True, "horizon": N_SAMPLES, "folder": tmp_path, "chunk_size": 4}
    with pytest.raises(Interrupted, match=r"stopped after sample 4; go on with resume=True"):
        direct.run(stream(12), progress=kill_once(signal.SIGINT), **options)
    with pytest.raises(DataError, match="ends 2 samples before the place"):
        direct.run(stream(2), resume=True, progress=False, **options)
    recording, state = direct.run(stream(12), resume=True, progress=False, **options)
    expected, end = direct.run(IMAGES, learn=True, progress=False)
    assert_same(recording, expected)
    assert state.checksum() == end.checksum()


def test_epochs_are_runs_one_after_the_other(direct, tmp_path):
    options = {"seed": 3, "horizon": 24, "progress": False}
    recording, state = direct.fit(IMAGES, epochs=2, **options)
    first, middle = direct.run(IMAGES, learn=True, **options)
    second_, end = direct.run(IMAGES, middle, learn=True, epoch=1, **options)
    assert end.samples_seen == 24
    assert state.checksum() == end.checksum()
    np.testing.assert_array_equal(
        recording.counts("exc"), np.concatenate([first.counts("exc"), second_.counts("exc")])
    )
    for stop in (12, 15):
        folder = tmp_path / str(stop)
        given = {**options, "epochs": 2, "folder": folder, "chunk_size": 3}
        with pytest.raises(Interrupted, match=f"stopped after sample {stop} of 24"):
            direct.fit(IMAGES, **{**given, "progress": kill_once(signal.SIGINT, stop)})
        resumed, last = direct.fit(IMAGES, resume=True, **given)
        assert_same(resumed, recording)
        assert last.checksum() == end.checksum()


# --- numbers that are not finite


def disturbed(image: int | None, kick: int | None) -> dict[str, np.ndarray]:
    """Ten samples, of which one sends ``g`` and one a weight to infinity."""
    given = {"image": np.full((10, 2), 0.1, np.float32), "kick": np.zeros((10, 3), np.float32)}
    if image is not None:
        given["image"][image, 1] = 1e20
    if kick is not None:
        given["kick"][kick, 2] = 1e38
    return given


@pytest.mark.parametrize(
    ("device", "chunk_size"),
    [("cpp", None), ("cpp", 1), ("cpp", 4), ("runtime", None), ("runtime", 4)],
)
@pytest.mark.parametrize(
    ("image", "kick", "name", "index", "sample"),
    [
        (7, None, "cells.g", 1, 7),
        (0, None, "cells.g", 1, 0),
        (9, None, "cells.g", 1, 9),
        (None, 5, "growing.w", 4, 5),
        (None, 9, "growing.w", 4, 9),
        (7, 5, "growing.w", 4, 5),
        (5, 7, "cells.g", 1, 5),
    ],
)
def test_what_becomes_infinite_is_named_with_its_first_sample(
    breakable, device, chunk_size, image, kick, name, index, sample
):
    runnable = breakable[device]
    options = {"learn": True, "chunk_size": chunk_size, "progress": False}
    with pytest.raises(DeviceError) as caught:
        runnable.run(disturbed(image, kick), **options)
    said = f"state variable '{name}' became NaN or infinite at index {index} in sample {sample} of"
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_disturbed_stays_finite(breakable):
    for runnable in breakable.values():
        recording, state = runnable.run(disturbed(None, None), learn=True, progress=False)
        assert recording.counts("source").tolist() == [[1, 1, 1]] * 10
        assert np.isfinite(state["cells.g"]).all()
        assert state["cells.g"].min() > 5
        recording, state = runnable.run(disturbed(None, 5), progress=False)
        assert recording.counts("source").sum() == 30
        np.testing.assert_array_equal(state["growing.w"], 1.0)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("device", [pytest.param("cpp", marks=pytest.mark.slow), "runtime"])
def test_a_column_of_zeros_stays_one_when_it_is_normalised(device, n):
    network = fragile()
    projection = attrs.evolve(
        network.projections["growing"], weights=0.0, normalise=Normalisation(total=1.0)
    )
    cells = attrs.evolve(
        network.populations["source"].model, name="Cell", equations="x : 1\nready : 1\nz : 1"
    )
    network = attrs.evolve(
        network,
        populations={
            **network.populations,
            "cells": Population(model=cells, n=2, drives={"x": "image"}),
        },
        projections={"growing": projection},
        presentation=Presentation(duration=20 * ms, reset="none"),
    )
    runnable = simulation.compile(network, device)
    recording, state = runnable.run({"image": np.zeros((n, 2))}, learn=True, progress=False)
    assert recording.shown.tolist() == [1] * n
    assert state.samples_seen == n
    np.testing.assert_array_equal(state["growing.w"], 0.0)


# --- several processes, intensity


@pytest.mark.parametrize("n_jobs", [2, 3, 50])
@pytest.mark.parametrize("encoding", ["poisson", "direct"])
def test_several_processes_give_what_one_gives(plain, direct, encoding, n_jobs):
    runnable = plain["cpp"] if encoding == "poisson" else direct
    _, trained = runnable.run(IMAGES, **LEARN)
    many = np.concatenate([IMAGES, IMAGES[::-1]])
    options = {"seed": 5, "epoch": 2, "first_sample": 7, "progress": False}
    recording, state = runnable.run(many, trained, **options)
    assert recording.counts("exc").sum() > 10
    assert len(recording.spikes["exc"].i) > 10
    heard = At(1, None)
    shared, end = runnable.run(many, trained, n_jobs=n_jobs, **{**options, "progress": heard})
    assert_same(shared, recording)
    assert end.checksum() == state.checksum()
    assert heard.heard[-1] == len(many)
    assert heard.heard == sorted(heard.heard)


def test_samples_that_depend_on_those_before_are_not_shared(breakable):
    samples = disturbed(None, None)
    recording, _ = breakable["cpp"].run(samples, progress=False)
    assert np.ptp(recording["cells.z"]) > 0.1
    with pytest.raises(ParameterError, match=r"run\.n_jobs must be 1 .* through cells\.z"):
        breakable["cpp"].run(samples, n_jobs=2, progress=False)


def test_several_processes_can_be_interrupted(direct):
    many = np.tile(IMAGES, (20000, 1))  # longer than until the first report
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="keeps nothing"):
        direct.run(many, n_jobs=2, progress=kill_once(signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("device", DEVICES)
def test_intensity_multiplies_the_rates_of_each_sample(rich, device):
    n = AMOUNT[device]
    factors = np.resize([2.0, 0.5, 1.0], n)
    options = {"seed": 4, "progress": False}
    plain_run, _ = rich[device].run(IMAGES[:n], **options)
    found, _ = rich[device].run({"image": IMAGES[:n], "intensity": factors}, **options)
    assert plain_run["inp.rate"].max() > 100
    np.testing.assert_allclose(
        found["inp.rate"], plain_run["inp.rate"] * factors[:, None], rtol=1e-12
    )
    scaled, _ = rich[device].run(IMAGES[:n] * factors[:, None].astype(np.float32), **options)
    np.testing.assert_array_equal(found.counts("exc"), scaled.counts("exc"))
    np.testing.assert_array_equal(found.spikes["inp"].i, scaled.spikes["inp"].i)
    np.testing.assert_array_equal(found.spikes["inp"].t, scaled.spikes["inp"].t)
    assert len(found.spikes["inp"].of_sample(0).i) > len(plain_run.spikes["inp"].of_sample(0).i)
    again, _ = rich[device].run(
        {"image": IMAGES[:n], "intensity": factors[:, None]}, chunk_size=2, **options
    )
    np.testing.assert_array_equal(again["inp.rate"], found["inp.rate"])


def test_intensity_multiplies_direct_input(direct):
    factors = np.resize([2.0, 0.5, 4.0], N_SAMPLES).astype(np.float32)
    given = {"image": IMAGES, "intensity": factors}
    recording, state = direct.run(given, **LEARN)
    scaled, end = direct.run(IMAGES * factors[:, None], **LEARN)
    assert recording.counts("exc").sum() > 5
    assert_same(recording, scaled)
    assert state.checksum() == end.checksum()
    shared, _ = direct.run(given, state, n_jobs=3, progress=False)
    assert_same(shared, direct.run(given, state, progress=False)[0])


# --- the build cache

_COMPILE = """
    import json, sys, time
    import numpy as np
    from brian2 import Hz
    from biosnn import networks, simulation
    network = networks.winner_take_all(20, 6, encoding="direct", theta=61.5, weight_norm=4.0)
    started = time.perf_counter()
    runnable = simulation.compile(network, "cpp", math="strict")
    first = []
    def heard(done, total):
        first.append(time.perf_counter() - started)
    recording, state = runnable.run(np.load(sys.argv[1]), chunk_size=1, progress=heard)
    generating = [
        name
        for name in (
            "biosnn.devices.cpp.code_generation",
            "biosnn.devices.base.brian2_objects",
            "biosnn.devices.runtime.device",
        )
        if name in sys.modules
    ]
    print(json.dumps({
        "built_now": runnable._made.built_now,
        "counts": recording.counts("exc").tolist(),
        "checksum": state.checksum(),
        "generating": generating,
        "first sample": first[0],
    }))
"""


@pytest.mark.slow
def test_several_processes_build_once_and_the_next_one_not_at_all(tmp_path):
    cache, images = tmp_path / "cache", tmp_path / "images.npy"
    np.save(images, IMAGES)
    environment = {"BIOSNN_CACHE_DIR": str(cache)}
    found = [
        answer(process) for process in [child(_COMPILE, images, **environment) for _ in range(3)]
    ]
    assert np.sum(found[0]["counts"]) > 0
    assert sum(one["built_now"] for one in found) == 1
    for one in found:
        assert one["counts"] == found[0]["counts"]
        assert one["checksum"] == found[0]["checksum"]
    folders = [path for path in (cache / "builds").iterdir() if path.is_dir()]
    assert len(folders) == 1
    last = answer(child(_COMPILE, images, **environment))
    assert not last["built_now"]
    assert last["generating"] == []
    assert last["counts"] == found[0]["counts"]
    print(f"{last['first sample']:.3f} s from compile() to the first sample, out of the cache")
