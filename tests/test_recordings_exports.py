"""What other libraries get of a recording, read back by them."""

from __future__ import annotations

import builtins
import datetime
import json
from pathlib import Path
from typing import Any

import attrs
import brian2 as b2
import numpy as np
import pytest
from brian2 import Hz, ms

import biosnn
from biosnn import encoding, models, plasticity, simulation
from biosnn.errors import (
    DataError,
    MissingExtraError,
    NotRecordedError,
    ParameterError,
    StorageError,
)
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Recording, RunClock, Spikes, Trace

neo = pytest.importorskip("neo")
pd = pytest.importorskip("pandas")
xr = pytest.importorskip("xarray")
pynwb = pytest.importorskip("pynwb")

pytestmark = pytest.mark.usefixtures("numpy_target")

LABELS = np.array([1, 0, 1, 7, 0])


def network() -> NetworkModel:
    """Poisson inputs onto three cells that learn; the third sample needs to be shown again."""
    return NetworkModel(
        name="watched",
        dt=0.5 * ms,
        inputs={"x": Input(features=4)},
        populations={
            "inp": Population(model=encoding.poisson(max_rate=200 * Hz), n=4, drives={"x": "x"}),
            "exc": Population(model=models.lif(t_ref=2 * ms), n=3),
        },
        projections={
            "inp_exc": Projection(
                pre="inp",
                post="exc",
                weights=0.4,
                rule=plasticity.pair_stdp(),
                transmit="v_post += w*25*mV",
            )
        },
        presentation=Presentation(
            duration=40 * ms,
            rest=10 * ms,
            watch="exc",
            min_spikes=6,
            max_retries=4,
            intensity_step=1.0,
        ),
        output="exc",
    )


SAMPLES = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [0.05, 0, 0.05, 0], [1, 0, 1, 1], [1, 1, 1, 1]])


@pytest.fixture(scope="module")
def recording() -> Recording:
    runnable = simulation.compile(
        network(),
        "runtime",
        per_sample=("exc.count", "exc.t_first", "inp.count"),
        spikes=["inp", "exc"],
        traces={"exc.v": simulation.TraceOf([0, 2], every=1 * ms), "exc.I": [1]},
        snapshots={"inp_exc.w": 2},
    )
    found, _ = runnable.run(SAMPLES, learn=True, seed=3, epoch=2, progress=False)
    assert found.shown.max() > 1, "a sample was shown again"
    assert found.shown.min() == 1
    assert all(len(spikes.i) > 20 for spikes in found.spikes.values())
    assert np.ptp(found.snapshots["inp_exc.w"]) > 0, "weights moved"
    return found


@pytest.fixture(scope="module")
def of_script() -> Recording:
    """The second part of a script's run, so that its time does not begin at 0."""
    b2.start_scope()
    group = b2.NeuronGroup(
        3, "dv/dt = (60*mV - v + i*mV)/(10*ms) : volt\nq : coulomb",
        threshold="v > 50*mV", reset="v = 0*mV; q += 1*pA*second", method="exact", name="cells",
    )  # fmt: skip
    fired = b2.SpikeMonitor(group, variables="q", name="fired")
    seen = b2.StateMonitor(group, "v", record=[0, 2], dt=0.5 * ms, name="seen")
    rates = b2.PopulationRateMonitor(group, name="rates")
    script = biosnn.from_brian2(b2.Network(group, fired, seen, rates))
    runnable = biosnn.compile(script, "runtime")
    _, state = runnable.run(20 * ms)
    found, _ = runnable.run(80 * ms, state=state)
    assert len(found.spikes["fired"].i) > 9
    return found


def onsets(recording: Recording) -> np.ndarray:
    return np.arange(recording.shown.sum()) * 50e-3


# --- where it comes from


def test_a_recording_knows_its_run(recording: Recording, of_script: Recording) -> None:
    about = recording.about
    assert about["network"] == "watched"
    assert about["fingerprint"] == network().fingerprint
    assert (about["seed"], about["epoch"], about["first_sample"]) == (3, 2, 0)
    assert (about["device"], about["precision"]) == ("runtime", "double")
    assert about["biosnn"] == biosnn.__version__
    assert about["started"].endswith("+00:00")
    assert of_script.about["device"] == "runtime"
    assert of_script.clock is not None
    assert of_script.clock.begin == pytest.approx(20e-3)


# --- Neo


def test_segments_of_neo_are_presentations(recording: Recording) -> None:
    block = recording.to_neo(labels=LABELS)
    assert block.name == "watched"
    assert block.annotations["fingerprint"] == recording.about["fingerprint"]
    assert block.annotations["seed"] == 3
    assert len(block.segments) == recording.shown.sum() > 5
    again = [s for s in block.segments if s.annotations["attempt"] > 0]
    assert again
    assert {s.annotations["sample"] for s in again} == {2}
    for segment, onset in zip(block.segments, onsets(recording), strict=True):
        sample, attempt = segment.annotations["sample"], segment.annotations["attempt"]
        assert segment.annotations["onset_s"] == pytest.approx(onset)
        assert segment.annotations["label"] == LABELS[sample]
        assert len(segment.spiketrains) == 4 + 3
        for train in segment.spiketrains:
            population, neuron = train.annotations["population"], train.annotations["neuron"]
            part = recording.spikes[population].of_sample(sample, attempt)
            expected = np.sort(part.t[part.i == neuron])
            assert train.times.rescale("s").magnitude.tolist() == expected.tolist()
            assert train.t_start.rescale("ms").magnitude == 0
            assert float(train.t_stop.rescale("ms")) == pytest.approx(50)
            assert train.annotations["label"] == LABELS[sample]
        for signal in segment.analogsignals:
            trace = recording.traces[signal.name].of_sample(sample, attempt)
            assert np.array_equal(signal.magnitude.T, trace.values)
            np.testing.assert_allclose(signal.times.rescale("s").magnitude, trace.t, atol=1e-12)
            assert signal.array_annotations["neuron"].tolist() == trace.indices.tolist()
    units = {
        signal.name: signal.dimensionality.string for signal in block.segments[0].analogsignals
    }
    assert units == {"exc.v": "V", "exc.I": "A"}
    assert float(block.segments[0].analogsignals[0].sampling_rate.rescale("kHz")) == pytest.approx(
        1
    )
    found = block.filter([{"population": "exc"}, {"neuron": 2}], objects="SpikeTrain")
    assert len(found) == len(block.segments)


def test_samples_and_populations_are_chosen(recording: Recording) -> None:
    block = recording.to_neo(samples=[2, 4], trains="populations")
    assert [s.annotations["sample"] for s in block.segments] == [2] * recording.shown[2] + [4]
    train = block.segments[-1].spiketrains[0]
    part = recording.spikes["inp"].of_sample(4)
    order = np.lexsort((part.i, part.t))
    assert len(order) > 5
    assert train.magnitude.tolist() == part.t[order].tolist()
    pairs = sorted(zip(train.magnitude, train.array_annotations["neuron"], strict=True))
    assert pairs == sorted(zip(part.t, part.i, strict=True))


def test_one_segment_is_the_run(recording: Recording) -> None:
    (segment,) = recording.to_neo(segments="run", labels=LABELS).segments
    (epoch,) = segment.epochs
    assert np.allclose(epoch.times.rescale("s").magnitude, onsets(recording))
    expected = np.repeat(np.arange(5), recording.shown)
    assert epoch.array_annotations["sample"].tolist() == expected.tolist()
    assert epoch.array_annotations["label"].tolist() == LABELS[expected].tolist()
    for train in segment.spiketrains:
        spikes = recording.spikes[train.annotations["population"]]
        mine = np.sort(spikes.time[spikes.i == train.annotations["neuron"]])
        assert train.magnitude.tolist() == mine.tolist()
    signal = segment.analogsignals[0]
    assert np.array_equal(signal.magnitude.T, recording.traces["exc.v"].values)


def test_a_scripts_run_has_brian2s_times_and_values_at_spikes(of_script: Recording) -> None:
    for kind in ("presentations", "run"):
        (segment,) = of_script.to_neo(segments=kind).segments
        spikes = of_script.spikes["fired"]
        for train in segment.spiketrains:
            mine = spikes.i == train.annotations["neuron"]
            assert train.magnitude.tolist() == spikes.t[mine].tolist()
            assert train.magnitude.min() > 20e-3
            assert float(train.t_start) == pytest.approx(20e-3)
            assert float(train.t_stop) == pytest.approx(100e-3)
            q = train.array_annotations["q"]
            assert q.dimensionality.string == "C"
            assert q.magnitude.tolist() == spikes.values["q"][mine].tolist()
        signals = {signal.name: signal for signal in segment.analogsignals}
        assert signals["rates.rate"].dimensionality.string == "Hz"
        assert np.array_equal(signals["seen.v"].magnitude.T, of_script.traces["seen.v"].values)
        assert np.allclose(signals["seen.v"].times.magnitude, of_script.traces["seen.v"].time)


# --- pandas


def test_spikes_are_rows_of_a_frame(recording: Recording, tmp_path: Path) -> None:
    frame = recording.to_pandas(labels=LABELS)
    assert list(frame) == ["population", "neuron", "sample", "attempt", "t", "time", "label"]
    assert frame.attrs["units"] == {"t": "s", "time": "s"}
    assert frame.attrs["seed"] == 3
    for name, spikes in recording.spikes.items():
        part = frame[frame.population == name]
        assert part.neuron.tolist() == spikes.i.tolist()
        assert part.t.tolist() == spikes.t.tolist()
        assert part.time.tolist() == spikes.time.tolist()
        assert part.label.tolist() == LABELS[spikes.sample].tolist()
    last = frame[frame.attempt == recording.shown[frame["sample"]] - 1]
    counts = last.groupby(["population", "sample", "neuron"], observed=True).size()
    expected = recording.counts("exc")
    assert expected.sum() > 10
    for (sample, neuron), n in np.ndenumerate(expected):
        assert counts.get(("exc", sample, neuron), 0) == n
    frame.to_csv(tmp_path / "spikes.csv", index=False)
    read = pd.read_csv(tmp_path / "spikes.csv", dtype={"population": "category"})
    assert read.t.tolist() == frame.t.tolist()
    assert read.population.tolist() == frame.population.tolist()
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "spikes.parquet")
    again = pd.read_parquet(tmp_path / "spikes.parquet")
    pd.testing.assert_frame_equal(again, frame)
    assert again.attrs["units"] == frame.attrs["units"]


def test_values_of_samples_points_and_snapshots_are_rows(recording: Recording) -> None:
    frame = recording.to_pandas("per_sample")
    assert list(frame) == ["population", "neuron", "sample", "shown", "count", "t_first"]
    table = frame[frame.population == "exc"].pivot(index="sample", columns="neuron", values="count")
    assert np.array_equal(table.to_numpy(), recording.counts("exc"))
    assert frame.attrs["units"] == {"count": "", "t_first": "s"}
    assert frame[frame.population == "inp"].t_first.isna().all()
    traces = recording.to_pandas("traces", labels=LABELS)
    part = traces[(traces.variable == "v") & (traces["index"] == 2)]
    assert part.value.tolist() == recording.traces["exc.v"].values[1].tolist()
    assert part.time.tolist() == recording.traces["exc.v"].time.tolist()
    assert set(part.unit) == {"V"}
    assert part.label.tolist() == LABELS[recording.traces["exc.v"].sample].tolist()
    weights = recording.to_pandas("snapshots")
    values = weights.pivot(index="snapshot", columns="index", values="value").to_numpy()
    assert np.array_equal(values, recording.snapshots["inp_exc.w"])


def test_frames_of_a_script_have_values_at_spikes(of_script: Recording) -> None:
    frame = of_script.to_pandas()
    assert frame.q.tolist() == of_script.spikes["fired"].values["q"].tolist()
    assert frame.attrs["units"] == {"t": "s", "time": "s", "q": "C"}
    assert frame.time.min() > 20e-3
    assert of_script.to_pandas("traces").unit.unique().tolist() == ["V", "Hz"]


# --- xarray


def test_a_dataset_comes_back_from_netcdf(recording: Recording, tmp_path: Path) -> None:
    dataset = recording.to_xarray(labels=LABELS)
    assert np.array_equal(dataset["exc.count"], recording.counts("exc"))
    assert dataset["exc.count"].dims == ("sample", "neuron_exc")
    assert dataset["exc.v"].dims == ("index_exc_v", "time")
    assert dataset["exc.I"].dims == ("index_exc_I", "time_1")
    assert dataset["exc.v"].attrs["units"] == "V"
    second = dataset["exc.v"].where(dataset.sample_at_time == 1, drop=True)
    assert np.array_equal(second, recording.traces["exc.v"].of_sample(1).values)
    of_ones = dataset["exc.count"].groupby("label").sum("sample")
    assert np.array_equal(of_ones.sel(label=1), recording.counts("exc")[LABELS == 1].sum(0))
    dataset.to_netcdf(tmp_path / "run.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "run.nc", engine="scipy") as read:
        assert set(read.variables) == set(dataset.variables)
        for name, values in dataset.variables.items():
            assert np.array_equal(read[name], values), name
        assert read["exc.spike_t"].attrs["units"] == "s"
        assert read.attrs["network"] == "watched"
        assert read.attrs["dt_s"] == 0.5e-3


def test_a_dataset_of_a_script(of_script: Recording) -> None:
    dataset = of_script.to_xarray()
    assert np.array_equal(dataset["seen.v"], of_script.traces["seen.v"].values)
    assert dataset["fired.spike_q"].attrs["units"] == "C"
    assert float(dataset["fired.spike_time"].min()) > 20e-3


# --- NWB


def test_an_nwb_file_is_valid_and_comes_back(recording: Recording, tmp_path: Path) -> None:
    path = recording.to_nwb(tmp_path / "new" / "run.nwb", labels=LABELS, experimenter=["A. B."])
    assert [p.name for p in path.parent.iterdir()] == ["run.nwb"]
    errors = pynwb.validate(path=str(path))
    assert not errors, errors
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert json.loads(file.notes) == recording.about
        assert file.session_start_time.isoformat() == recording.about["started"]
        assert "'watched'" in file.session_description
        assert file.experimenter == ("A. B.",)
        assert len(file.units) == 7
        for row in range(7):
            population, neuron = file.units["population"][row], file.units["neuron"][row]
            spikes = recording.spikes[population]
            expected = np.sort(spikes.time[spikes.i == neuron])
            assert file.units.get_unit_spike_times(row).tolist() == expected.tolist()
        trials = file.trials.to_dataframe()
        assert np.allclose(trials.start_time, onsets(recording))
        assert np.allclose(trials.stop_time - trials.start_time, 50e-3)
        assert trials["sample"].tolist() == np.repeat(np.arange(5), recording.shown).tolist()
        assert trials.label.tolist() == LABELS[trials["sample"]].tolist()
        series = file.acquisition["exc.v"]
        assert series.unit == "V"
        assert np.array_equal(series.data[:].T, recording.traces["exc.v"].values)
        assert series.rate == pytest.approx(1000)
        tables = file.processing["simulation"].data_interfaces
        assert tables["exc.v.indices"]["index"][:].tolist() == [0, 2]
        assert np.array_equal(tables["samples"]["exc.count"][:], recording.counts("exc"))
        assert np.array_equal(tables["samples"]["exc.t_first"][:], recording.latencies("exc"))
        kept = tables["inp_exc.w.snapshots"]["values"][:]
        assert np.array_equal(kept, recording.snapshots["inp_exc.w"])


def test_neo_reads_the_nwb_file(recording: Recording, tmp_path: Path) -> None:
    path = recording.to_nwb(tmp_path / "run.nwb")
    from neo.io import NWBIO

    reader = NWBIO(str(path), mode="r")
    (block,) = reader.read_all_blocks(lazy=False)
    trains = [train for segment in block.segments for train in segment.spiketrains]
    assert len(trains) == 7
    whole = recording.to_neo(segments="run").segments[0].spiketrains
    for read, ours in zip(trains, whole, strict=True):
        assert read.rescale("s").magnitude.tolist() == ours.magnitude.tolist()
        assert (float(read.t_start), float(read.t_stop)) == (0, float(ours.t_stop))
    signals = {s.name: s for segment in block.segments for s in segment.analogsignals}
    assert np.array_equal(signals["exc.v"].magnitude.T, recording.traces["exc.v"].values)
    assert signals["exc.v"].dimensionality.string == "V"
    reader._file.read_io.close()


def test_an_nwb_file_of_a_script(of_script: Recording, tmp_path: Path) -> None:
    path = of_script.to_nwb(tmp_path / "script.nwb")
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        spikes = of_script.spikes["fired"]
        mine = spikes.i == 1
        assert file.units.get_unit_spike_times(1).tolist() == spikes.t[mine].tolist()
        assert file.units["q_at_spikes"][1].tolist() == spikes.values["q"][mine].tolist()
        assert file.acquisition["seen.v"].starting_time == pytest.approx(20e-3)
        assert file.acquisition["rates.rate"].unit == "Hz"
        assert file.trials["start_time"][:].tolist() == pytest.approx([20e-3])


def test_an_nwb_file_replaces_no_other_one(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "run.nwb"
    path.write_text("mine")
    with pytest.raises(StorageError, match=r"run\.nwb exists; choose another name"):
        recording.to_nwb(path)
    assert path.read_text() == "mine"
    with pytest.raises(StorageError, match=r"must end in \.nwb"):
        recording.to_nwb(tmp_path / "run.h5")
    with pytest.raises(ParameterError, match=r"to_nwb\.fields must be arguments of pynwb"):
        recording.to_nwb(tmp_path / "other.nwb", experimentor="me")
    made_by_hand = attrs.evolve(recording, about={})
    with pytest.raises(ParameterError, match=r"session_start_time must be a datetime"):
        made_by_hand.to_nwb(tmp_path / "other.nwb")
    assert [p.name for p in tmp_path.iterdir()] == ["run.nwb"]
    recording.to_nwb(path, overwrite=True)
    assert not pynwb.validate(path=str(path))


# --- what cannot be


def test_bad_arguments_are_named(recording: Recording) -> None:
    few = attrs.evolve(recording, spikes={}, traces={}, snapshots={})
    with pytest.raises(NotRecordedError, match=r"no spikes and no traces .* spikes=\.\.\."):
        few.to_neo()
    with pytest.raises(NotRecordedError, match="there are no snapshots in this recording"):
        few.to_pandas("snapshots")
    with pytest.raises(ParameterError, match=r"to_pandas\.what must be"):
        recording.to_pandas("counts")
    for bad in (LABELS[:3], LABELS[None], [[1]] * 5):
        for export in (recording.to_neo, recording.to_pandas, recording.to_xarray):
            with pytest.raises(DataError, match=r"labels must be numbers or texts of shape \(5,\)"):
                export(labels=bad)
    with pytest.raises(ParameterError, match=r"samples must be rows of samples from 0 to 4, got 5"):
        recording.to_neo(samples=[0, 5])
    with pytest.raises(ParameterError, match=r'samples must be left out with segments="run"'):
        recording.to_neo(segments="run", samples=[0])
    with pytest.raises(ParameterError, match=r"trains must be"):
        recording.to_neo(trains="cells")
    loose = attrs.evolve(recording, clock=None)
    with pytest.raises(DataError, match="belong to no run"):
        loose.to_neo()


def made(**parts: Any) -> Recording:
    """A recording of one sample of 4 time steps."""
    clock = RunClock(dt=1e-3, steps=4, shown=np.array([1]))
    return Recording(**{"per_sample": {}, "shown": np.array([1]), "clock": clock, **parts})


def trace(n: int) -> Trace:
    clock = RunClock(dt=1e-3, steps=4, shown=np.array([1]))
    return Trace(np.arange(4) * 1e-3, np.full((n, 4), n), np.arange(n), "V", clock)


def test_names_that_would_be_one_have_dimensions_and_columns_of_their_own(tmp_path: Path) -> None:
    traces = {"a.b_c": trace(2), "a_b.c": trace(1), "a.v": trace(3)}
    snapshots = {"a.b_c": np.zeros((2, 3)), "a_b.c": np.ones((4, 1))}
    given = made(
        per_sample={"a.v": np.full((1, 3), 7.0)},
        traces=traces,
        snapshots=snapshots,
        units={"a.v": "V"},
    ).to_xarray()
    for name, part in traces.items():
        found = given[f"{name}.trace" if name == "a.v" else name]
        np.testing.assert_array_equal(found, part.values)
    assert given["a.v"].dims == ("sample", "neuron_a")
    assert given["a.v"].values.tolist() == [[7, 7, 7]]
    for name, values in snapshots.items():
        np.testing.assert_array_equal(given[f"{name}.snapshots"], values)
    given.to_netcdf(tmp_path / "all.nc", engine="scipy")


def test_traces_of_names_that_differ_by_a_dot_are_recorded() -> None:
    populations = {}
    for key, variable, rate in (("a", "b_c", 1), ("a_b", "c", 2)):
        cell = models.neuron(name="Cell", equations=f"d{variable}/dt = {rate}/ms : 1",
                             threshold=f"{variable} > 100", reset="", method="euler")  # fmt: skip
        populations[key] = Population(model=cell, n=2)
    both = NetworkModel(
        name="alike",
        inputs={},
        dt=1 * ms,
        populations=populations,
        presentation=Presentation(duration=3 * ms),
        output="a",
    )
    runnable = simulation.compile(both, "runtime", traces={"a.b_c": [0, 1], "a_b.c": [1]})
    recording, _ = runnable.run({"n_samples": 1}, progress=False)
    np.testing.assert_allclose(recording.traces["a.b_c"].values, [[0, 1, 2]] * 2)
    np.testing.assert_allclose(recording.traces["a_b.c"].values, [[0, 2, 4]])


def test_columns_have_one_unit_and_none_replaces_another(tmp_path: Path) -> None:
    units = {"a.x": "V", "b.x": "A", "a.y": "V", "b.y": "V", "a.sample": ""}
    ones = {name: np.full((1, 2), k) for k, name in enumerate(units)}
    frame = made(per_sample=ones, units=units).to_pandas("per_sample")
    assert frame.attrs["units"] == {"a.x": "V", "b.x": "A", "y": "V", "a.sample": ""}
    assert frame["sample"].tolist() == [0] * 4
    assert frame["a.x"].dropna().tolist() == [0, 0]
    assert frame["y"].tolist() == [2, 2, 3, 3]
    assert frame["a.sample"].dropna().tolist() == [4, 4]

    def spikes(**values: np.ndarray) -> Spikes:
        clock = RunClock(dt=1e-3, steps=4, shown=np.array([1]))
        zero = np.zeros(1, int)
        return Spikes(zero, np.array([1e-3]), zero, clock=clock, n=1, values=values)

    k = np.array([5.0])
    given = made(
        spikes={"a": spikes(x=k, y=k, sample=k), "b": spikes(x=2 * k, y=3 * k)}, units=units
    )
    frame = given.to_pandas("spikes")
    assert frame["sample"].tolist() == [0, 0]
    assert frame["y"].tolist() == [5, 15]
    np.testing.assert_array_equal(frame["b.x"], [np.nan, 10])
    assert frame["a.sample"].dropna().tolist() == [5]
    path = given.to_nwb(
        tmp_path / "two.nwb", session_start_time=datetime.datetime.now(datetime.UTC)
    )
    assert not pynwb.validate(path=str(path))
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        table = io.read().units
        assert table["a.x_at_spikes"].target.description.endswith("in V")
        assert table["b.x_at_spikes"].target.description.endswith("in A")
        assert table["b.x_at_spikes"][1].tolist() == [10]
    with pytest.raises(DataError, match=r"texts that can be written, got '\\ud800'"):
        given.to_pandas("spikes", labels=["\ud800"])


def test_too_many_spike_trains_are_refused(recording: Recording) -> None:
    large = attrs.evolve(recording.spikes["exc"], n=200_000)
    whole = attrs.evolve(recording, spikes={"exc": large})
    with pytest.raises(ParameterError, match=r'at most 500000 spike trains.*trains="populations"'):
        whole.to_neo()
    assert len(whole.to_neo(trains="populations", samples=0).segments) == 1


@pytest.mark.parametrize(
    ("package", "export"),
    [
        ("neo", lambda r, path: r.to_neo()),
        ("pandas", lambda r, path: r.to_pandas()),
        ("xarray", lambda r, path: r.to_xarray()),
        ("pynwb", lambda r, path: r.to_nwb(path / "run.nwb")),
    ],
    ids=["neo", "pandas", "xarray", "pynwb"],
)
def test_a_missing_package_is_named_with_its_extra(
    package: str, export: Any, recording: Recording, monkeypatch: Any, tmp_path: Path
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    told = rf'needs {package}, which is not installed: pip install "biosnn\[results\]"'
    with pytest.raises(MissingExtraError, match=told):
        export(recording, tmp_path)
