"""What goes wrong at the edges of long runs: streams, signals, folders, recordings on disk."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading

import joblib
import numpy as np
import pytest
from brian2 import Hz, ms

from biosnn import encoding as encoders
from biosnn import experiments, models, networks, simulation
from biosnn.errors import DataError, Interrupted, ParameterError, StorageError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.progress import ProgressBar

N_INPUTS, N_SAMPLES = 20, 12
RNG = np.random.default_rng(11)
IMAGES = (RNG.random((N_SAMPLES, N_INPUTS)) * (RNG.random((N_SAMPLES, N_INPUTS)) < 0.6)).astype(
    np.float32
)
LEARN = {"learn": True, "horizon": N_SAMPLES, "progress": False}


@pytest.fixture(scope="module")
def direct():
    network = networks.winner_take_all(
        N_INPUTS,
        6,
        encoding="direct",
        theta=60.0,
        weight_norm=4.0,
        homeostasis=0.5,
        max_rate=300 * Hz,
    )
    return simulation.compile(
        network, "cpp", math="strict", per_sample=("exc.count", "exc.t_first"), spikes=("exc",)
    )


@pytest.fixture(scope="module")
def whole(direct):
    recording, state = direct.run(IMAGES, **LEARN)
    assert recording.counts("exc").sum() > 5
    assert state.samples_seen == N_SAMPLES
    return recording, state


@pytest.fixture
def tidy_signals():
    """Signals are handled as before, whatever a test does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stream_may_fill_one_buffer_again_and_again(direct, whole):
    buffer = np.zeros(N_INPUTS, np.float32)

    def stream():
        for image in IMAGES:
            buffer[:] = image
            yield buffer

    recording, state = direct.run(stream(), **LEARN)
    np.testing.assert_array_equal(recording.counts("exc"), whole[0].counts("exc"))
    assert state.checksum() == whole[1].checksum()


def test_an_epoch_without_samples_is_an_error(direct):
    class Once:
        def __init__(self):
            self.left = iter(IMAGES)

        def __iter__(self):
            yield from self.left

    options = {"horizon": 24, "progress": False}
    with pytest.raises(DataError, match="stream without any in epoch 1"):
        direct.fit(Once(), epochs=2, **options)
    shown = []
    with pytest.raises(ParameterError, match=r"fit\.samples must be an array or an iterable that"):
        direct.fit(iter(IMAGES), epochs=2, horizon=24, progress=lambda *at: shown.append(at))
    assert not shown, "samples were shown before it was refused"


def test_a_stream_that_goes_on_must_be_the_same(direct, whole, tmp_path):
    def stream(images):
        for number, image in enumerate(images):
            if number == 7 and not (tmp_path / "hit").exists():
                (tmp_path / "hit").touch()
                os.kill(os.getpid(), signal.SIGINT)
            yield image

    options = {**LEARN, "folder": tmp_path / "run", "chunk_size": 5}
    with pytest.raises(Interrupted, match="stopped after sample"):
        direct.run(stream(IMAGES), **options)
    other = IMAGES.copy()
    other[2] = other[3]
    with pytest.raises(DataError, match="must be those of the interrupted run"):
        direct.run(stream(other), resume=True, **options)
    recording, state = direct.run(stream(IMAGES), resume=True, **options)
    assert isinstance(recording.counts("exc"), np.memmap)
    np.testing.assert_array_equal(recording.counts("exc"), whole[0].counts("exc"))
    assert state.checksum() == whole[1].checksum()


def test_a_slow_stream_is_left_at_once(direct, tmp_path):
    def stream():
        for number in range(1000):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            given.append(number)
            yield IMAGES[number % N_SAMPLES]

    given: list[int] = []
    with pytest.raises(Interrupted, match=r"stopped after sample [0-9]; go on"):
        direct.run(stream(), learn=True, horizon=1000, folder=tmp_path, progress=False)
    assert len(given) < 10, "it waited for a whole chunk"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_signal_in_the_last_samples_is_not_lost(direct, n_jobs):
    def progress(done: int, total: int) -> None:
        if done == total:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        direct.run(IMAGES, n_jobs=n_jobs, progress=progress)
    assert caught.value.signal == signal.SIGTERM


def test_what_is_ignored_stays_ignored(direct, whole, tidy_signals):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    recording, _ = direct.run(IMAGES, **LEARN)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    np.testing.assert_array_equal(recording.counts("exc"), whole[0].counts("exc"))


def test_several_processes_under_another_joblib_backend(direct, whole):
    plain, _ = direct.run(IMAGES, progress=False)
    assert plain.counts("exc").sum() > 5
    with joblib.parallel_config(backend="loky"):
        recording, _ = direct.run(IMAGES, n_jobs=2, progress=False)
    np.testing.assert_array_equal(recording.counts("exc"), plain.counts("exc"))
    np.testing.assert_array_equal(recording.spikes["exc"].t, plain.spikes["exc"].t)


def test_spikes_that_do_not_fit_into_memory_go_to_disk_in_parts(direct, whole, tmp_path):
    n = len(whole[0].spikes["exc"].i)
    assert n > 10
    # Room for the spikes of some samples, but not of all.
    limit = direct.interface.bounded_bytes(0, N_SAMPLES) + 20 * n // 2
    with pytest.raises(ParameterError, match=r"run\.memory_limit must be enough"):
        direct.run(IMAGES, memory_limit=20 * n // 2, **LEARN)
    recording, state = direct.run(
        IMAGES, memory_limit=20 * n // 2, folder=tmp_path, chunk_size=N_SAMPLES, **LEARN
    )
    assert limit > 20 * n // 2
    np.testing.assert_array_equal(recording.spikes["exc"].t, whole[0].spikes["exc"].t)
    np.testing.assert_array_equal(recording.spikes["exc"].sample, whole[0].spikes["exc"].sample)
    assert state.checksum() == whole[1].checksum()


def test_files_of_others_in_a_run_folder_stay(direct, tmp_path):
    kept = ("work/mine.txt", ".notes.part", "checkpoints/model.pt")
    for name in kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    direct.run(IMAGES, folder=tmp_path, checkpoint_every=5, **LEARN)
    with pytest.raises(StorageError, match="holds a run already"):
        direct.run(IMAGES, folder=tmp_path, **LEARN)
    assert [(tmp_path / name).read_text() for name in kept] == ["mine"] * 3
    args = argparse.Namespace(
        out=tmp_path, resume=False, restart=True, experiment="mine", command=[]
    )
    with pytest.raises(StorageError, match="was not made by an experiment"):
        experiments.begin(args)
    assert (tmp_path / "checkpoints/model.pt").read_text() == "mine"


def test_an_error_of_the_progress_function_is_its_own(direct):
    def progress(done: int, total: int) -> None:
        raise OSError(32, "nobody listens")

    with pytest.raises(OSError, match="nobody listens"):
        direct.run(IMAGES, progress=progress)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_times_of_events_on_the_grid_stay_on_it(dtype):
    n_steps = 700
    network = NetworkModel(
        name="events",
        dt=0.5 * ms,
        inputs={"events": Input(features=1, kind="events")},
        populations={
            "source": Population(model=encoders.address_events(), n=1, drives={"x": "events"}),
            "cell": Population(model=models.lif(), n=1),
        },
        presentation=Presentation(duration=350 * ms),
        output="source",
    )
    runnable = simulation.compile(network, "runtime", spikes=("source",))
    steps = np.arange(0, n_steps, 7)
    times = (steps * 0.5e-3).astype(dtype)
    events = (np.zeros(len(steps), int), np.zeros(len(steps), int), times)
    recording, _ = runnable.run({"events": events}, progress=False)
    assert len(recording.spikes["source"].t) == len(steps)
    np.testing.assert_allclose(recording.spikes["source"].t, steps * 0.5e-3, atol=1e-9)


def test_a_console_that_nobody_reads_does_not_end_a_run(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    nobody = os.fdopen(writer, "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", nobody)
    clock = iter([0.0, 0.0, *range(10, 1000, 20)])
    with ProgressBar(10, True, clock=lambda: float(next(clock))) as bar:
        bar.note("nobody reads this")
        for done in range(10):
            bar.update(done)
    assert bar._console.quiet
    with contextlib.suppress(BrokenPipeError):
        nobody.close()
