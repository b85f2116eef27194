"""Address events: files in the published formats, what they become, and what is refused."""

import os
import re
import runpy
import struct
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tonic
from brian2 import ms, mV, second, us
from typer.testing import CliRunner

from biosnn import datasets, encoding, simulation
from biosnn.cli.commands import app
from biosnn.datasets import (
    EventSplit,
    crop_time,
    from_tonic,
    load_nmnist,
    load_shd,
    load_ssc,
    pool,
    read_events,
    select_polarity,
    to_frames,
)
from biosnn.errors import DataError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation

SCRIPT = Path(__file__).parents[1] / "experiments" / "_event_files.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="needs the repository's experiments/")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small N-MNIST and SHD in the published formats."""
    folder, writers = tmp_path_factory.mktemp("events"), runpy.run_path(str(SCRIPT))
    writers["write_nmnist"](folder / "NMNIST", 40, 30, 0)
    writers["write_shd"](folder / "SHD", 40, 20, 0)
    return folder


def some_events(n: int = 4, shape: tuple[int, ...] = (2, 5, 7), seed: int = 0) -> EventSplit:
    """Random events; the sample before the last has none."""
    rng = np.random.default_rng(seed)
    sample = rng.choice([k for k in range(n) if k != n - 2], 60)
    unit, time = rng.integers(0, np.prod(shape), 60), rng.uniform(0, 0.05, 60)
    return EventSplit(sample, unit, time * second, np.arange(n) % 3, shape)


# --- EventSplit ----------------------------------------------------------------------------------


def test_events_are_kept_in_order_of_samples_and_times() -> None:
    events = EventSplit([1, 0, 1, 0], [3, 2, 1, 0], [0.2, 0.3, 0.1, 0.3], [5, 6, 7], (4,))
    assert events.sample.tolist() == [0, 0, 1, 1]
    assert events.unit.tolist() == [0, 2, 1, 3]
    assert events.time.tolist() == [0.3, 0.3, 0.1, 0.2]
    assert (len(events), events.n_units, events.n_events.tolist()) == (3, 4, [2, 2, 0])
    assert events.duration == 0.3 * second
    assert events.counts().tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]


def test_picked_samples_take_their_events_along() -> None:
    events = some_events(6)
    for chosen in ([5, 0, 4, 0], np.array([True, False, False, True, True, False])):
        rows = np.flatnonzero(chosen) if len(chosen) == 6 else np.array(chosen)
        found = events.pick(chosen)
        assert np.array_equal(found.labels, events.labels[rows])
        assert np.array_equal(found.counts(), events.counts()[rows])
        for place, row in enumerate(rows):
            mine, theirs = found.sample == place, events.sample == row
            assert np.array_equal(found.time[mine], events.time[theirs])
            assert np.array_equal(found.unit[mine], events.unit[theirs])
    assert np.array_equal(events.take(3).counts(), events.counts()[:3])
    with pytest.raises(ParameterError, match=r"pick\.chosen must be indices from 0 to 5"):
        events.pick([6])
    with pytest.raises(ParameterError, match=r"take\.n must be a whole number from 1 to 6, got 7"):
        events.take(7)


GOOD = {"sample": [0, 1], "unit": [0, 3], "time": [0.0, 0.1], "labels": [0, 1], "shape": (2, 2)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sample": [0, 2]}, r"sample must be in \[0, 2\), one for each label, got 2"),
        ({"sample": [0, -1]}, "sample must be from 0 to 2147483647, got -1"),
        ({"sample": [0.0, 1.0]}, "sample must be an integer array .* float64"),
        ({"unit": [0, 4]}, r"unit must be in \[0, 4\), one for each address, got 4"),
        ({"unit": [0, 2**40]}, "unit must be from 0 to 2147483647"),
        ({"time": [0, np.nan]}, "time must be finite and >= 0 s, got nan at 1"),
        ({"time": [0, -1e-3]}, r"time must be finite and >= 0 s, got -0\.001 at 1"),
        ({"time": [1, 2] * mV}, "time must be in s, got values in V"),
        ({"time": [[0, 1]]}, r"time must be an array of numbers .* \[1, 2\]"),
        ({"time": [0.0]}, r"must have one length, got \[2, 2, 1\]"),
        ({"labels": [0.5, 1]}, "labels must be an integer array .* float64"),
        ({"sample": [], "unit": [], "time": [], "labels": np.zeros(0, int)}, "one label or more"),
    ],
)
def test_arrays_that_are_no_events_are_refused(changed: dict, message: str) -> None:
    assert len(EventSplit(**GOOD)) == 2
    with pytest.raises(DataError, match=rf"EventSplit\.{message}|{message}"):
        EventSplit(**(GOOD | changed))


@pytest.mark.parametrize("shape", [(0,), (1, 2, 3, 4), "34", 4])
def test_shapes_of_addresses_are_checked(shape: object) -> None:
    with pytest.raises(ParameterError, match=r"EventSplit\.shape must be \(channels,\)"):
        EventSplit(**(GOOD | {"shape": shape}))


# --- steps of preparation ------------------------------------------------------------------------


def test_pooling_joins_blocks_and_keeps_all_events() -> None:
    events = some_events()
    pooled = pool(events, 2)
    assert pooled.shape == (2, 3, 4)
    p, y, x = np.unravel_index(events.unit, events.shape)
    found = np.unravel_index(pooled.unit, pooled.shape)
    assert all(np.array_equal(a, b) for a, b in zip(found, (p, y // 2, x // 2), strict=True))
    assert np.array_equal(pooled.time, events.time)
    channels = pool(EventSplit([0, 0], [699, 9], [0, 0.1], [0], (700,)), 10)
    assert (channels.shape, channels.unit.tolist()) == ((70,), [69, 0])
    assert np.array_equal(pool(events, 1).unit, events.unit)
    with pytest.raises(ParameterError, match=r"pool\.factor must be a whole number >= 1, got 0"):
        pool(events, 0)


def test_one_polarity_or_both() -> None:
    events = some_events()
    whole = events.counts().reshape(4, 2, 35)
    for keep, wanted in (("off", whole[:, 0]), ("on", whole[:, 1]), ("both", whole.sum(axis=1))):
        found = select_polarity(events, keep)
        assert found.shape == (5, 7)
        assert len(found) == 4
        assert np.array_equal(found.counts(), wanted)
        assert found.n_events.sum() > 10
    with pytest.raises(DataError, match=r"must have the shape \(2, height, width\), got \(5, 7\)"):
        select_polarity(found, "on")
    with pytest.raises(ParameterError, match="keep must be one of 'on', 'off', 'both', got 'up'"):
        select_polarity(events, "up")


def test_time_is_cropped_and_counted_anew() -> None:
    events = some_events()
    found = crop_time(events, 40 * ms, start=10 * ms)
    kept = (events.time >= 0.01) & (events.time < 0.04)
    assert 0 < kept.sum() < len(kept)
    assert np.array_equal(found.time, events.time[kept] - 0.01)
    assert len(found) == 4
    # 9 * 0.001 is more than 0.009; what is kept must lie within the presentation.
    late = EventSplit([0, 0], [0, 0], [0.008, 0.009], [0], (1,))
    assert crop_time(late, 9 * ms).time.tolist() == [0.008]
    assert to_frames(crop_time(late, 9 * ms), 1 * ms, duration=9 * ms).samples.sum() == 1
    assert crop_time(late, 1 * second, start=9 * ms).time.tolist() == [0.0]
    with pytest.raises(ParameterError, match=r"crop_time\.stop must be > start, 10\. ms, got 5\."):
        crop_time(events, 5 * ms, start=10 * ms)
    with pytest.raises(ParameterError, match=r"crop_time\.stop must be a quantity in s"):
        crop_time(events, 40 * mV)


def test_frames_count_events(monkeypatch: pytest.MonkeyPatch) -> None:
    events = some_events()
    frames = to_frames(events, 8 * ms, duration=50 * ms)
    assert frames.samples.shape == (4, 7, 2, 5, 7)
    assert np.array_equal(frames.labels, events.labels)
    wanted = np.zeros((4, 7, 70))
    np.add.at(wanted, (events.sample, (events.time / 0.008).astype(int), events.unit), 1)
    assert wanted.max() >= 1
    assert np.array_equal(frames.frames(), wanted)
    twice = EventSplit([0, 0], [3, 3], [0.011, 0.012], [0], (4,))
    assert to_frames(twice, 5 * ms, duration=20 * ms).samples[0, 2].tolist() == [0, 0, 0, 2]
    spikes = to_frames(twice, 5 * ms, duration=20 * ms, binary=True)
    assert spikes.samples[0, 2].tolist() == [0, 0, 0, 1]
    on_the_border = EventSplit([0] * 3, [0] * 3, [0.1, 0.2, 0.3], [0], (1,))
    at = to_frames(on_the_border, 100 * ms, duration=400 * ms).samples[0, :, 0]
    assert at.tolist() == [0, 1, 1, 1]
    with pytest.raises(DataError, match=r"before duration = 10\. ms, got one at 12\. ms"):
        to_frames(twice, 5 * ms, duration=10 * ms)
    monkeypatch.setattr("biosnn.datasets.events.MOST_BYTES", 100)
    with pytest.raises(DataError, match="takes 7840 bytes, and at most 100 are made; pool"):
        to_frames(events, 8 * ms, duration=50 * ms)


def test_a_network_is_shown_these_events() -> None:
    events = some_events()
    network = NetworkModel(
        name="relay",
        dt=1 * ms,
        inputs={"camera": Input(features=70, kind="events")},
        populations={
            "inp": Population(model=encoding.address_events(), n=70, drives={"x": "camera"})
        },
        presentation=Presentation(duration=50 * ms),
        output="inp",
    )
    runnable = simulation.compile(network, device="runtime", spikes=("inp",))
    recording, _ = runnable.run(events.address_events("camera"), progress=False)
    spikes = recording.spikes["inp"]
    frames = to_frames(events, 1 * ms, duration=50 * ms, binary=True).frames()
    assert frames.sum() > 50
    found = np.zeros_like(frames)
    found[spikes.sample, np.rint(spikes.t / 1e-3).astype(int), spikes.i] = 1
    assert np.array_equal(found, frames)
    assert recording.counts("inp")[2].sum() == 0


# --- N-MNIST -------------------------------------------------------------------------------------


def test_nmnist_is_read_as_tonic_reads_it(files: Path) -> None:
    data = load_nmnist(files)
    assert (data.name, data.train.shape, data.n_classes) == ("n-mnist", (2, 34, 34), 10)
    assert (len(data.train), len(data.test)) == (40, 30)
    assert data.train.n_events.min() > 500
    assert np.bincount(data.train.labels).tolist() == [4] * 10
    paths = [file for k in range(10) for file in sorted((files / f"NMNIST/Train/{k}").iterdir())]
    dtype = tonic.datasets.NMNIST.dtype
    theirs = [tonic.io.read_mnist_file(str(file), dtype) for file in paths]
    expected = from_tonic(theirs, data.train.labels, sensor_size=(34, 34, 2))
    assert np.array_equal(data.train.unit, expected.unit)
    assert np.allclose(data.train.time, expected.time, rtol=0, atol=1e-12)
    assert np.array_equal(data.train.sample, expected.sample)
    few = load_nmnist(files / "NMNIST", per_class=2)
    assert np.bincount(few.train.labels).tolist() == [2] * 10


def test_overflow_events_shift_the_times_after_them(tmp_path: Path) -> None:
    rows = [(1, 2, 0, 5), (0, 240, 0, 0), (3, 4, 128, 5), (0, 240, 0, 0), (33, 33, 1, 1)]
    content = b"".join(struct.pack("BBBBB", x, y, high, 0, low) for x, y, high, low in rows)
    file = tmp_path / "one.bin"
    file.write_bytes(content)
    events = read_events(file)
    assert events.labels.tolist() == [-1]
    wanted = [5e-6, (8192 + 5) / 1e6, (2 * 8192 + 65536 + 1) / 1e6]
    assert np.allclose(events.time, wanted, rtol=0, atol=1e-12)
    theirs = tonic.io.read_mnist_file(str(file), tonic.datasets.NMNIST.dtype)
    assert np.allclose(events.time, theirs["t"] / 1e6, rtol=0, atol=1e-12)
    assert events.unit.tolist() == [2 * 34 + 1, 34 * 34 + 4 * 34 + 3, 33 * 34 + 33]
    with pytest.raises(ParameterError, match="at most 240 rows"):
        read_events(file, sensor=(250, 34))


def test_bad_files_of_nmnist_are_named(files: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Train/0 cannot be read .* N-MNIST is at data\.mendeley"):
        load_nmnist(tmp_path)
    for part in ("Train", "Test"):
        for digit in range(10):
            (tmp_path / part / str(digit)).mkdir(parents=True)
            (tmp_path / part / str(digit) / "00001.bin").write_bytes(bytes(5))
    (tmp_path / "Train" / "3" / ".DS_Store").write_bytes(b"left out")
    assert len(load_nmnist(tmp_path).train) == 10
    victim = tmp_path / "Train" / "7" / "00001.bin"
    for content, message in (
        (bytes(14), "has 14 bytes, which are no whole number of events"),
        (bytes([40, 0, 0, 0, 0]), r"x of events must be in \[0, 34\), got 40 at event 0"),
        (bytes([0, 99, 0, 0, 0]), r"y of events must be in \[0, 34\), got 99 at event 0"),
    ):
        victim.write_bytes(content)
        with pytest.raises(DataError, match=rf"7/00001\.bin.* {message}"):
            load_nmnist(tmp_path)
    victim.unlink()
    with pytest.raises(DataError, match=r"Train/7 holds no \.bin file"):
        load_nmnist(tmp_path)
    (tmp_path / "Train" / "7" / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"notes\.txt is no \.bin file of N-MNIST"):
        load_nmnist(tmp_path)
    (tmp_path / "Train" / "7" / "notes.txt").unlink()
    victim.symlink_to(victim)
    with pytest.raises(DataError, match=r"00001\.bin is no \.bin file"):
        load_nmnist(tmp_path)
    victim.unlink()
    os.mkfifo(victim)
    with pytest.raises(DataError, match=r"00001\.bin is no \.bin file"):
        load_nmnist(tmp_path)


# --- SHD and SSC ---------------------------------------------------------------------------------


def write_h5(file: Path, **changed: object) -> Path:
    """A file in the layout of SHD with two samples; some parts replaced, None: left out."""
    vlen = h5py.vlen_dtype(np.dtype(np.float16)), h5py.vlen_dtype(np.dtype(np.uint16))
    parts = {
        "spikes/times": ([[0.5, 0.25], [0.125]], vlen[0]),
        "spikes/units": ([[3, 699], [0]], vlen[1]),
        "labels": ([0, 1], np.uint16),
        "extra/keys": ([b"null", b"eins"], "S4"),
    }
    with h5py.File(file, "w") as content:
        for name, (rows, dtype) in parts.items():
            if name in changed and changed[name] is None:
                continue
            rows, dtype = changed.get(name, (rows, dtype))
            if dtype in vlen:
                array = content.create_dataset(name, (len(rows),), dtype)
                for k, row in enumerate(rows):
                    array[k] = row
            else:
                content.create_dataset(name, data=np.array(rows, dtype))
    return file


def test_shd_is_read_as_tonic_reads_it(files: Path) -> None:
    data = load_shd(files)
    assert (data.name, data.train.shape, len(data.train), len(data.test)) == ("shd", (700,), 40, 20)
    assert data.classes[7] == "synthetic 7 backwards"
    theirs = tonic.datasets.SHD.__new__(tonic.datasets.SHD)  # without its download
    theirs.location_on_system, theirs.data_filename = str(files / "SHD"), "shd_train.h5"
    theirs.transform = theirs.target_transform = None
    expected = from_tonic(theirs, n=40)
    assert expected.shape == (700,)
    assert np.array_equal(data.train.labels, expected.labels)
    assert data.train.n_events.min() > 500
    assert np.array_equal(data.train.n_events, expected.n_events)
    assert np.abs(data.train.time - expected.time).max() < 1e-6  # they round to microseconds
    assert np.array_equal(data.train.counts(), expected.counts())
    few = load_shd(files, per_class=1)
    first = [np.flatnonzero(data.train.labels == k)[0] for k in range(10)]
    assert np.array_equal(few.train.counts(), data.train.counts()[np.sort(first)])


def test_ssc_comes_with_its_validation_part(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        write_h5(tmp_path / f"ssc_{part}.h5")
    data = load_ssc(tmp_path)
    assert data.classes == ("null", "eins")
    train, validation, test = data.split_validation()
    assert (len(train), validation, test) == (2, data.validation, data.test)
    assert data.train.unit.tolist() == [699, 3, 0]
    write_h5(tmp_path / "ssc_test.h5", **{"extra/keys": ([b"one", b"two"], "S3")})
    with pytest.raises(DataError, match="the files name other classes"):
        load_ssc(tmp_path)
    (tmp_path / "ssc_valid.h5").unlink()
    with pytest.raises(DataError, match=r"ssc_valid\.h5 missing; SSC is at zenkelab\.org"):
        load_ssc(tmp_path)


FLOATS, WHOLE = (h5py.vlen_dtype(np.dtype(kind)) for kind in (np.float16, np.uint16))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spikes/times": None}, "has no spikes/times; a file of SHD or SSC holds"),
        ({"labels": None}, "has no labels"),
        ({"spikes/times": ([0.5, 0.25], np.float32)}, "times must have one array of numbers for"),
        ({"spikes/units": ([[0.5], [1]], FLOATS)}, "units must have one array of whole numbers"),
        ({"labels": ([0.5, 1.0], float)}, "labels must be whole numbers"),
        ({"labels": ([[0, 1]], int)}, r"labels must be whole numbers \[n\], got int64 \(1, 2\)"),
        ({"labels": ([0], int)}, r"one length from 1 to \d+, got \[1, 2, 2\]"),
        ({"spikes/units": ([[3], [0]], WHOLE)}, "sample 0 has 2 times and 1 units"),
        ({"spikes/units": ([[3, 700], [0]], WHOLE)}, r"in \[0, 700\), got 3 to 700 in sample 0"),
        ({"spikes/times": ([[1, 2], [np.nan]], FLOATS)}, ">= 0 s, got nan in sample 1"),
        ({"spikes/times": ([[1, -2], [0]], FLOATS)}, r">= 0 s, got -2\.0 in sample 0"),
    ],
)
def test_hdf5_of_another_layout_is_refused(tmp_path: Path, changed: dict, message: str) -> None:
    assert len(read_events(write_h5(tmp_path / "good.h5"))) == 2
    with pytest.raises(DataError, match=message):
        read_events(write_h5(tmp_path / "bad.h5", **changed))


def test_hdf5_that_leads_elsewhere_or_is_damaged_is_refused(tmp_path: Path) -> None:
    outside = write_h5(tmp_path / "outside.h5")
    for link in (h5py.ExternalLink(str(outside), "labels"), h5py.SoftLink("/spikes/times")):
        file = write_h5(tmp_path / "linked.h5", labels=None)
        with h5py.File(file, "a") as content:
            content["labels"] = link
        with pytest.raises(DataError, match="labels is a link to elsewhere"):
            read_events(file)
    file = write_h5(tmp_path / "raw.h5", labels=None)
    with h5py.File(file, "a") as content:
        content.create_dataset("labels", (2,), "u2", external=[(str(outside), 0, 4)])
    with pytest.raises(DataError, match="labels must be an array inside of the file"):
        read_events(file)
    file = write_h5(tmp_path / "short.h5")
    file.write_bytes(file.read_bytes()[:1500])
    with pytest.raises(DataError, match=r"short\.h5 cannot be read as HDF5"):
        read_events(file)
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match=r"text\.h5 cannot be read as HDF5"):
        read_events(tmp_path / "text.h5")


@pytest.mark.parametrize("chunks", [None, (1,), (2,)])
def test_lengths_that_a_file_cannot_hold_take_no_memory(tmp_path: Path, chunks) -> None:
    """HDF5 took 8 GB for a promised length before it looked for the numbers."""
    file = write_h5(tmp_path / "huge.h5", **{"spikes/units": None})
    with h5py.File(file, "a") as content:
        units = content.create_dataset("spikes/units", (2,), WHOLE, chunks=chunks)
        units[0], units[1] = [3, 699], [0]
    assert read_events(file).n_events.tolist() == [2, 1]
    with h5py.File(file) as content:
        units = content["spikes/units"].id
        start = units.get_chunk_info(0).byte_offset if chunks else units.get_offset()
    content = bytearray(file.read_bytes())
    assert content[start : start + 4] == (2).to_bytes(4, "little")
    content[start : start + 4] = b"\xff" * 4
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"spikes/units promises 429496729\d numbers, more than"):
        read_events(file)


def test_labels_without_a_class_are_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_h5(tmp_path / f"shd_{part}.h5", labels=([0, 2], np.uint16))
    with pytest.raises(DataError, match="must have labels between 0 and 1, got 0 to 2"):
        load_shd(tmp_path)


def test_missing_h5py_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(DataError, match=r'needs h5py .* pip install "biosnn\[events\]"'):
        read_events(tmp_path / "any.h5")


# --- tonic and cameras ---------------------------------------------------------------------------


def test_any_structured_array_becomes_events() -> None:
    dtype = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", bool)])
    one = np.array([(2000, 1, 2, True), (1000, 3, 0, False)], dtype)
    events = from_tonic(one, sensor_size=(4, 3, 2))
    assert (events.shape, events.labels.tolist()) == ((2, 3, 4), [-1])
    assert (events.unit.tolist(), events.time.tolist()) == ([3, 12 + 9], [0.001, 0.002])
    slow = from_tonic([one, one[:0]], [4, 5], sensor_size=(4, 3, 2), tick=1 * ms)
    assert (slow.time.tolist(), slow.n_events.tolist()) == ([1.0, 2.0], [2, 0])
    assert from_tonic([one] * 3, [6, 7, 8], sensor_size=(4, 3, 2), n=2).labels.tolist() == [6, 7]
    wide = one.astype([("t", np.uint64), ("x", np.uint64), ("y", np.uint8), ("p", np.uint8)])
    assert from_tonic(wide, sensor_size=(4, 3, 2)).unit.tolist() == events.unit.tolist()
    with pytest.raises(ParameterError, match="labels must be 1, one a sample, got 2 labels"):
        from_tonic(one, [4, 5], sensor_size=(4, 3, 2))
    dataset = SimpleNamespace(sensor_size=(4, 3, 2))
    with pytest.raises(ParameterError, match="samples must be a dataset of tonic"):
        from_tonic(dataset)
    with pytest.raises(ParameterError, match=r"sensor_size must be .* Give sensor_size"):
        from_tonic(one)
    with pytest.raises(ParameterError, match="labels must be left out"):
        from_tonic([(one, 3)], [3], sensor_size=(4, 3, 2))
    with pytest.raises(ParameterError, match="n must be a whole number from 1 to 1, got 2"):
        from_tonic(one, sensor_size=(4, 3, 2), n=2)
    with pytest.raises(DataError, match=r"sample 0: x of events must be in \[0, 3\), got 3 at"):
        from_tonic(one, sensor_size=(3, 3, 2))
    with pytest.raises(DataError, match=r"sample 0 must be a structured array .* got list"):
        from_tonic([[1, 2]], sensor_size=(3, 3, 2))
    early = one.copy()
    early["t"][1] = -7
    with pytest.raises(DataError, match="sample 0: t must be finite and >= 0, got -7 at event 1"):
        from_tonic(early, sensor_size=(4, 3, 2), tick=1 * us)


def aedat2(address: list[int], time: list[int]) -> bytes:
    rows = np.array([address, time], np.uint32).T.astype(">u4")
    return b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + rows.tobytes()


def aedat3(packets: list[tuple[int, int, list[tuple[int, int]]]]) -> bytes:
    content = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    for kind, overflow, events in packets:
        n = len(events)
        content += struct.pack("<hhiiiiii", kind, 0, 8, 4, overflow, n, n, n)
        content += np.array(events, "<u4").tobytes()
    return content


def test_recordings_of_cameras_are_read(tmp_path: Path) -> None:
    file = tmp_path / "one.aedat"
    trigger = 0x8000
    file.write_bytes(aedat2([5 << 1 | 3 << 8 | 1, trigger, 6 << 1], [100, 150, 400]))
    events = read_events(file, camera="dvs128")
    assert np.allclose(events.time, [0, 300e-6])
    found = np.transpose(np.unravel_index(events.unit, events.shape))
    assert found.tolist() == [[1, 127 - 3, 5], [0, 127, 6]]

    rng = np.random.default_rng(0)
    x, y, p = rng.integers(0, 346, 50), rng.integers(0, 260, 50), rng.integers(0, 2, 50)
    time = 1000 + np.cumsum(rng.integers(0, 90, 50))
    file.write_bytes(aedat2(y << 22 | x << 12 | p << 11, time))
    shape, _, theirs = tonic.io.read_davis_346(str(file))
    expected = from_tonic(theirs, sensor_size=(*shape, 2))
    events = read_events(file, camera="davis346")
    assert np.array_equal(events.counts(), expected.counts())
    assert np.allclose(events.time, expected.time - 1e-6 * time[0], rtol=0, atol=1e-12)

    valid = [(7 << 17 | 9 << 2 | 3, 20), (8 << 17 | 9 << 2 | 2, 25), (2 << 17 | 1, 30)]
    late = [(1 << 17 | 1 << 2 | 1, 5)]
    file.write_bytes(aedat3([(1, 0, valid), (3, 0, valid), (1, 1, late)]))
    events = read_events(file, camera="dvs128")
    found = np.transpose(np.unravel_index(events.unit, events.shape))
    assert found.tolist() == [[1, 9, 7], [0, 0, 2], [0, 1, 1]]
    assert np.allclose(events.time, [0, 10e-6, (2**31 + 5 - 20) / 1e6])


def test_recordings_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "one.aedat"
    good = aedat3([(1, 0, [(1, 5), (1, 6)])])
    for content, message in (
        (b"no recording", "must begin with the line #!AER-DAT"),
        (b"#!AER-DAT2.0\r\n# no end", "ends within its header"),
        (b"#!AER-DAT4.0\r\n", r"is AEDAT 4\.0, and 2\.0 and 3\.x are read; of 4\.0, give"),
        (aedat2([2], [3])[:-3], "must have 8 bytes for each event, got 5"),
        (aedat2([2, 2], [3, 1]), "times go back at event 1"),
        (aedat3([(1, 0, [(1, 9), (1, 6)])]), "times go back at event 1"),
        (good[:-4], "ends within a packet"),
        (good[:60], "ends within a packet"),
        (good.replace(struct.pack("<i", 8), struct.pack("<i", -8), 1), "one is damaged"),
        (aedat3([(1, 0, [(200 << 17 | 1, 5)])]), r"x of events must be in \[0, 128\), got 200"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_events(file, camera="dvs128")
    with pytest.raises(ParameterError, match="camera must be one of 'dvs128'"):
        read_events(file)
    with pytest.raises(ParameterError, match=r"camera must be left out for \.bin"):
        read_events(tmp_path / "one.bin", camera="dvs128")
    with pytest.raises(ParameterError, match=r"ending must be one of '.bin'"):
        read_events(tmp_path / "one.csv")
    with pytest.raises(DataError, match=r"cannot be read .no such file"):
        read_events(tmp_path / "none.bin")


# --- what is known of published sets -------------------------------------------------------------


def test_the_catalogue_names_what_loaders_give(files: Path, tmp_path: Path) -> None:
    known = {entry.name: entry for entry in datasets.catalogue()}
    assert {"mnist", "n-mnist", "shd", "ssc", "dvs-gesture"} <= set(known)
    for load, name in ((load_nmnist, "n-mnist"), (load_shd, "shd")):
        data = load(files)
        assert (data.train.shape, data.source) == (known[name].shape, known[name].source)
    assert datasets.info("shd").n_train == 8156
    theirs = tonic.datasets
    assert known["n-mnist"].files["train.zip"] == theirs.NMNIST.train_md5
    assert known["n-mnist"].files["test.zip"] == theirs.NMNIST.test_md5
    assert set(known["ssc"].files.values()) == {
        theirs.SSC.train_md5, theirs.SSC.valid_md5, theirs.SSC.test_md5
    }  # fmt: skip
    assert set(known["shd"].files.values()) == {theirs.SHD.train_md5, theirs.SHD.test_md5}
    assert set(known["dvs-gesture"].files.values()) == {
        theirs.DVSGesture.train_md5, theirs.DVSGesture.test_md5
    }  # fmt: skip
    (tmp_path / "train.zip").write_bytes(b"not it")
    assert known["n-mnist"].check_files(tmp_path) == {"train.zip": False}
    with pytest.raises(DataError, match=r"holds none of the files of shd \(shd_train\.h5\.zip"):
        known["shd"].check_files(tmp_path)
    with pytest.raises(ParameterError, match="name must be one of 'digits', 'mnist'"):
        datasets.info("cifar")


def test_the_guide_to_data_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    guide = SCRIPT.parents[1] / "docs" / "datasets.md"
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL):
        exec(compile(code, str(guide), "exec"), names)
    assert names["recording"].counts("inp").sum() > 500
    assert names["pictures"].classes == ("one", "zero")
    assert names["gestures"].train.frames().shape == (24, 12, 5)


def test_the_command_lists_published_sets() -> None:
    found = CliRunner().invoke(app, ["datasets"])
    assert found.exit_code == 0
    for entry in datasets.catalogue():
        assert entry.name in found.output
        assert entry.licence in found.output
