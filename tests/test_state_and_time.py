"""What a presentation resets, what a state takes, and the clock of recordings."""

from __future__ import annotations

from typing import Any

import brian2 as b2
import numpy as np
import pytest
from brian2 import ms

from biosnn import models, simulation
from biosnn.errors import DataError, ParameterError
from biosnn.models import NeuronModel
from biosnn.networks import Input, NetworkModel, Population, Presentation
from biosnn.recording import Spikes, Trace

DEVICES = ("runtime", "cpp")

pytestmark = pytest.mark.usefixtures("numpy_target")


def one(
    model: NeuronModel,
    n: int = 1,
    duration: Any = 53 * ms,
    drives: dict[str, str] | None = None,
    **presentation: Any,
) -> NetworkModel:
    """A network of one population ``c``, whose input ``I`` is set once per sample."""
    return NetworkModel(
        name="one",
        dt=0.1 * ms,
        inputs={"x": Input(features=n)},
        populations={"c": Population(model=model, n=n, drives=drives or {"I": "x"})},
        presentation=Presentation(duration=duration, **presentation),
        output="c",
    )


# The clock of recordings (W13)

#: Amperes of two neurons in three samples; the second one needs two retries.
CURRENTS = np.array([[20e-9, 30e-9], [6e-9, 0.0], [40e-9, 17e-9]])


def cell() -> NeuronModel:
    return models.lif(t_ref=2 * ms)


@pytest.fixture(scope="module")
def retried():
    """Samples of 53 ms and a rest of 7 ms, shown up to three times, on both devices."""
    amplified = cell().extended(
        "intensity : 1 (linked)\nI_given : amp",
        models.Operation(code="I = I_given*intensity", on="onset"),
        links={"intensity": "protocol.intensity"},
    )
    network = one(
        amplified,
        n=2,
        drives={"I_given": "x"},
        rest=7 * ms,
        watch="c",
        min_spikes=2,
        max_retries=3,
        intensity_step=2.0,
    )
    record: dict[str, Any] = {
        "per_sample": ("c.count", "c.v"),
        "spikes": ["c"],
        "traces": {"c.v": [0, 1], "c.I": simulation.TraceOf([1], every=0.5 * ms)},
    }
    found = {}
    for device in DEVICES:
        runnable = simulation.compile(network, device, **record)
        found[device] = runnable.run(CURRENTS, chunk_size=2, progress=False)[0]
    return found


def in_brian2(currents: np.ndarray, steps: int) -> tuple[np.ndarray, ...]:
    """One presentation in plain Brian2: times, potentials and spikes of its own monitors."""
    group = cell().group(len(currents), dt=0.1 * ms)
    group.I = currents * b2.amp
    trace, spikes = b2.StateMonitor(group, "v", record=True), b2.SpikeMonitor(group)
    b2.Network(group, trace, spikes).run(steps * 0.1 * ms, namespace={})
    return tuple(map(np.asarray, (trace.t, trace.v, spikes.i, spikes.t)))


@pytest.mark.parametrize("device", DEVICES)
def test_spikes_and_traces_have_the_times_of_brian2s_monitors(retried, device: str) -> None:
    """W13: within the presentation, sample by sample and attempt by attempt."""
    recording = retried[device]
    assert recording.shown.tolist() == [1, 2, 1]
    presentations = [(0, 0, 1.0), (1, 0, 1.0), (1, 1, 3.0), (2, 0, 1.0)]
    trace, spikes = recording.traces["c.v"], recording.spikes["c"]
    fired = []
    for number, (sample, attempt, factor) in enumerate(presentations):
        t, v, i, times = in_brian2(CURRENTS[sample] * factor, 600)
        shown = trace.of_sample(sample, attempt)
        np.testing.assert_allclose(shown.t, t, rtol=0, atol=1e-12)
        np.testing.assert_allclose(shown.values, v, rtol=0, atol=1e-9)
        np.testing.assert_allclose(shown.time, t + number * 60e-3, rtol=0, atol=1e-12)
        train = spikes.of_sample(sample, attempt)
        assert train.i.tolist() == i.tolist()
        np.testing.assert_allclose(train.t, times, rtol=0, atol=1e-12)
        np.testing.assert_allclose(train.time, times + number * 60e-3, rtol=0, atol=1e-12)
        fired.append(len(i))
    assert fired[1] < 2 <= min(fired[0], fired[2], fired[3])
    assert len(spikes.i) == sum(fired)


def test_a_spike_lies_on_the_trace_of_its_neuron(retried) -> None:
    """W13: at its time the potential is below threshold for the last time, then it is reset."""
    recording = retried["cpp"]
    trace, spikes = recording.traces["c.v"], recording.spikes["c"]
    steps = np.rint(spikes.time / 1e-4).astype(int)
    assert len(steps) > 20
    np.testing.assert_array_equal(np.rint(trace.time[steps] / 1e-4), steps)
    before, after = trace.values[spikes.i, steps], trace.values[spikes.i, steps + 1]
    assert (before > -52e-3).all()
    assert (before <= -50e-3).all()
    np.testing.assert_allclose(after, -65e-3, atol=1e-12)


def test_attempts_and_thin_traces_have_the_same_clock(retried) -> None:
    """W13: on the slower clock of a trace, and over attempts."""
    recording = retried["runtime"]
    current = recording.traces["c.I"]
    assert current.values.shape == (1, 4 * 120)
    assert sorted(set(zip(current.sample, current.attempt, strict=True))) == [
        (0, 0), (1, 0), (1, 1), (2, 0),
    ]  # fmt: skip
    np.testing.assert_allclose(current.of_sample(1, -1).t, np.arange(120) * 5e-4, atol=1e-12)
    # What an input sets is there at the onset.
    np.testing.assert_allclose(current.of_sample(2).values, 17e-9, rtol=1e-6)
    assert recording.clock.onset(2) == pytest.approx(180e-3)
    counted = recording.spikes["c"].of_sample(1, -1)
    np.testing.assert_array_equal(np.bincount(counted.i, minlength=2), recording.counts("c")[1])


def test_devices_have_one_clock(retried) -> None:
    """W13: to the bit."""
    ours, theirs = retried["cpp"], retried["runtime"]
    for name in ("i", "t", "sample", "attempt", "time"):
        one, other = (getattr(found.spikes["c"], name) for found in (ours, theirs))
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_what_belongs_to_no_run_has_no_place_in_time() -> None:
    spikes = Spikes(np.zeros(1, int), np.zeros(1), np.zeros(1, int))
    assert spikes.attempt.tolist() == [0]
    trace = Trace(np.zeros(1), np.zeros((1, 1)), np.zeros(1, int), "V")
    for use in (lambda: spikes.time, lambda: trace.t, lambda: spikes.of_sample(0, -1)):
        with pytest.raises(DataError, match="belong to no run"):
            use()


@pytest.mark.parametrize("kind", ["spikes", "traces", "snapshots", "per_sample"])
def test_what_was_not_recorded_says_what_was_and_how_to_record_it(retried, kind: str) -> None:
    """C12: an error that is a KeyError, too."""
    found = getattr(retried["runtime"], kind)
    assert found.get("nobody") is None
    assert "nobody" not in found
    with pytest.raises(KeyError) as raised:
        found["nobody"]
    said = str(raised.value)
    assert f"simulation.compile(..., {kind}=...)" in said
    assert said.startswith("'nobody' is not among")
    assert all(repr(name) in said for name in found) if found else "there are none" in said


@pytest.mark.parametrize("given", [True, 3, "c", [True], ["c", 1]])
@pytest.mark.parametrize("kind", ["spikes", "per_sample"])
def test_recorders_are_lists_of_names(kind: str, given: Any) -> None:
    """C12."""
    options: dict[str, Any] = {kind: given}
    with pytest.raises(ParameterError, match=rf"compile.{kind} must be a list .*names"):
        simulation.compile(one(cell()), "runtime", **options)
