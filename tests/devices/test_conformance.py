"""What every device must do: run for whatever is registered and can run here.

A device of another package takes part when its module registers it before the tests are collected:
``pytest -p my_package tests/devices``. What a device does not know, it refuses by a DeviceError
when it is built; then all but the basic part is skipped. Built-in devices know everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from brian2 import Hz, ms
from devices.toy import ToyNetwork

from biosnn import encoding, gpu, models, plasticity
from biosnn.devices import devices, register, registry, unregister
from biosnn.devices.base.contract import (
    AddressEvents,
    Chunk,
    Device,
    ReplicatingDevice,
    Settings,
    Stop,
)
from biosnn.errors import DeviceError
from biosnn.models import Operation, Schedule
from biosnn.networks import Input, NetworkModel, Normalisation, Population, Presentation, Projection
from biosnn.program.interface import TraceOf
from biosnn.program.lower import lower
from biosnn.program.program import Program
from biosnn.program.recorders import Record
from biosnn.program.replicas import Replicas
from biosnn.recording import Recording
from biosnn.state import State

BUILT_IN = ("runtime", "cpp", "cuda")
OPTIONS = {"precision": "double", "math": "strict"}
DT, N_STEPS = 0.5e-3, 40
#: What drives the cells in four samples, and when the sources fire: sample, step, unit.
CURRENT = np.array([[0.5, 1.5, 4.0], [2.0, 0.0, 1.2], [3.0, 3.0, 3.0], [1.01, 9.0, 0.9]])
EVENTS = np.array([(0, 0, 0), (0, 7, 1), (1, 3, 0), (1, 39, 1), (3, 5, 0), (3, 5, 1), (3, 30, 0)])
WEIGHTS = np.array([[0.25, -1.0], [2.0, 0.5]])
TAU, PERIOD = 5e-3, 4


def _can_run(name: str) -> bool:
    if name != "cuda":
        return True
    try:
        return bool(gpu.list_gpus() and gpu.tools() and gpu.require_brian2cuda() is None)
    except DeviceError:
        return False


@pytest.fixture(scope="module", params=[*filter(_can_run, devices()), "toy"])
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "toy":
        register("toy", ToyNetwork)
    yield request.param
    if request.param == "toy":
        unregister("toy")


def renamed(program: Program) -> Program:
    """The same with other names for what lowering adds: no device may know a thing by its name."""

    def other(part: Any) -> Any:
        if isinstance(part, dict):
            return {other(key): other(value) for key, value in part.items()}
        if isinstance(part, list):
            return [other(value) for value in part]
        if isinstance(part, str):
            return re.sub(r"\bprotocol\b", "shower", re.sub(r"\bt_first\b", "began", part))
        return part

    data = other(program.to_data())
    data["protocol"] = data.pop("shower")  # the field of a Program; roles are words, too
    for array in data["arrays"].values():
        if array.get("role") == "shower":
            array["role"] = "protocol"
    return Program.from_data(data)


def basic_program(replicas: Replicas | None = None) -> Program:
    """Cells that a current drives, and targets of sources that fire at given times."""
    cell = models.NeuronModel(
        name="Cell",
        equations="dv/dt = (I - v)/tau : 1 (unless refractory)\nI : 1\nfired : integer",
        threshold="v > 1",
        reset="v = 0",
        refractory=PERIOD * DT * 1000 * ms,
        method="exact",
        parameters={"tau": TAU * 1000 * ms},
        initial={"fired": 5},
        operations=(Operation(code="fired += 1", on="spike"),),
    )
    target = models.NeuronModel(
        name="Target",
        equations="dv/dt = -v/tau : 1",
        parameters={"tau": TAU * 1000 * ms},
        initial={"v": 0.5},
        method="exact",
    )
    network = NetworkModel(
        name="conformance_basic",
        dt=DT * 1000 * ms,
        inputs={"current": Input(features=3), "events": Input(features=2, kind="events")},
        populations={
            "cells": Population(model=cell, n=3, drives={"I": "current"}),
            "source": Population(model=encoding.address_events(), n=2, drives={"x": "events"}),
            "target": Population(model=target, n=2),
        },
        projections={
            "source_target": Projection(
                pre="source", post="target", transmit="v_post += w", weights=WEIGHTS
            )
        },
        presentation=Presentation(duration=N_STEPS * DT * 1000 * ms),
        output="cells",
    )
    kept = ("cells.count", "source.count", "target.v")
    return renamed(lower(network, Record(per_sample=kept, spikes=("cells",)), replicas))


def further_program() -> Program:
    """Learning with and without a schedule, normalisation, delays, retries, draws, recorders."""
    rates = {"A_plus": 0.1, "A_minus": 0.05, "tau_plus": 20 * ms, "tau_minus": 20 * ms}
    falling = Schedule(start=0.2, stop=0.0, kind="linear")
    late = models.NeuronModel(name="Late", equations="v : 1", transient=("v",))
    parrot = encoding.address_events()

    def learned(rule: Any, **more: Any) -> Projection:
        return Projection(pre="source", post="teacher", weights=0.5, rule=rule, **more)

    network = NetworkModel(
        name="conformance_further",
        dt=DT * 1000 * ms,
        inputs={
            "image": Input(features=4),
            "events": Input(features=2, kind="events"),
            "labels": Input(features=2, kind="events"),
        },
        populations={
            "noise": Population(
                model=encoding.poisson(max_rate=400 * Hz), n=4, drives={"x": "image"}
            ),
            "source": Population(model=parrot, n=2, drives={"x": "events"}),
            "teacher": Population(model=parrot, n=2, drives={"x": "labels"}),
            "late": Population(model=late, n=2),
        },
        projections={
            "pairs": learned(plasticity.pair_stdp(**rates)),
            "falling": learned(plasticity.pair_stdp(**{**rates, "A_plus": falling})),
            "normed": learned(plasticity.pair_stdp(**rates), normalise=Normalisation(total=1.0)),
            "source_late": Projection(
                pre="source", post="late", transmit="v_post += 1", pairs="one_to_one", delay=3 * ms
            ),
        },
        presentation=Presentation(
            duration=N_STEPS * DT * 1000 * ms,
            watch="noise",
            min_spikes=1,
            max_retries=2,
        ),
        output="teacher",
    )
    record = Record(
        per_sample=("teacher.t_first", "noise.count"),
        spikes=("noise",),
        traces={"late.v": TraceOf([0, 1]), "pairs.w": TraceOf([1], every=2 * ms)},
        snapshots={"falling.w": 1, "pairs.w": 2},
    )
    return renamed(lower(network, record))


def _built(name: str, program: Program) -> Device:
    return registry.build(name, program, OPTIONS)


@pytest.fixture(scope="module")
def basic(name: str) -> Device:
    return _built(name, basic_program())


@pytest.fixture(scope="module")
def further(name: str) -> Device:
    try:
        return _built(name, further_program())
    except DeviceError as error:
        if name in BUILT_IN:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def basic_reference() -> Device:
    return _built("runtime", basic_program())


@pytest.fixture(scope="module")
def further_reference() -> Device:
    return _built("runtime", further_program())


def events(rows: np.ndarray, samples: list[int]) -> AddressEvents:
    """Those of some samples, which become the first, second and so on of a chunk."""
    found = [(k, *row[1:]) for k, sample in enumerate(samples) for row in rows if row[0] == sample]
    columns = np.array(found, dtype=np.int32).reshape(-1, 3).T
    return AddressEvents(*map(np.ascontiguousarray, columns))


def settings(**more: Any) -> Settings:
    given = {"seed": 3, "epoch": 0, "first_sample": 0, "position": 0, "horizon": 4, "learning": ()}
    return Settings(**{**given, **more})


def ignore(*_: int) -> None:
    """Take no note of progress."""


def show(
    device: Device, folder: Path, given: list[dict[str, Any]], *, state: State | None = None,
    stop: Stop | None = None, report: Any = ignore, **more: Any,
) -> tuple[int, list[Recording], State]:  # fmt: skip
    """Show chunks of samples in one session; how many, recordings, and the state afterwards."""
    shown, recordings = 0, []
    folder.mkdir(parents=True, exist_ok=True)
    with device.session(state or device.defaults, folder) as session:
        for inputs in given:
            n = len(next(v for v in inputs.values() if isinstance(v, np.ndarray)))
            chunk = Chunk(n, {**dict.fromkeys(device.interface.ports), **inputs})
            where = settings(first_sample=shown, position=shown, **more)
            done, recording = session.run_chunk(chunk, where, report, stop or Stop())
            shown += done
            recordings.append(recording)
        return shown, recordings, session.state()


def currents(*samples: int) -> dict[str, Any]:
    """A chunk of some of the basic part's samples."""
    return {"current": CURRENT[list(samples)], "events": events(EVENTS, list(samples))}


def spikes_of(current: float) -> list[int]:
    """Steps in which a cell spikes: it reaches 1 from 0 after k steps, and then rests."""
    if current <= 1:
        return []
    k = int(np.floor(-TAU / DT * np.log(1 - 1 / current))) + 1
    return list(range(k - 1, N_STEPS, k + PERIOD - 1))


def assert_same(one: State, other: State, **tolerance: float) -> None:
    for array in other:
        np.testing.assert_allclose(
            one[array], other[array], err_msg=array, **(tolerance or {"rtol": 0, "atol": 0})
        )


class TestBasic:
    """Neurons, synapses, presentations and the state: nothing may be missing here."""

    def test_spikes_are_those_of_the_closed_form(self, basic: Device, tmp_path: Path) -> None:
        _, (recording,), _ = show(basic, tmp_path, [currents(0, 1, 2, 3)])
        spikes = recording.spikes["cells"]
        found = {(int(s), int(i)): [] for s in range(4) for i in range(3)}
        for sample, i, t in zip(spikes.sample, spikes.i, spikes.t, strict=True):
            found[int(sample), int(i)].append(round(float(t) / DT))
        expected = {(s, i): spikes_of(CURRENT[s, i]) for s in range(4) for i in range(3)}
        assert found == expected
        assert sum(map(len, expected.values())) > 20
        counts = [[len(expected[s, i]) for i in range(3)] for s in range(4)]
        np.testing.assert_array_equal(recording["cells.count"], counts)
        assert list(recording.shown) == [1, 1, 1, 1]

    def test_weights_act_in_their_step(self, basic: Device, tmp_path: Path) -> None:
        _, (recording,), _ = show(basic, tmp_path, [currents(0, 1, 2, 3)])
        expected = np.full((4, 2), 0.5 * np.exp(-N_STEPS * DT / TAU))
        fired = np.zeros((4, 2))
        for sample, step, unit in EVENTS:
            expected[sample] += WEIGHTS[unit] * np.exp(-(N_STEPS - 1 - step) * DT / TAU)
            fired[sample, unit] += 1
        np.testing.assert_allclose(recording["target.v"], expected, rtol=1e-9)
        np.testing.assert_array_equal(recording["source.count"], fired)

    def test_it_is_what_the_live_network_does(
        self, basic: Device, basic_reference: Device, tmp_path: Path
    ) -> None:
        found, expected = (
            show(device, tmp_path / str(k), [currents(2, 0, 3)])
            for k, device in enumerate((basic, basic_reference))
        )
        assert_same(found[2], expected[2], rtol=1e-12, atol=1e-15)
        for key, values in expected[1][0].per_sample.items():
            np.testing.assert_allclose(found[1][0][key], values, rtol=1e-12)

    def test_chunks_and_sessions_change_nothing(self, basic: Device, tmp_path: Path) -> None:
        _, (whole,), state = show(basic, tmp_path / "a", [currents(0, 1, 2, 3)])
        _, parts, cut = show(basic, tmp_path / "b", [currents(0), currents(1, 2), currents(3)])
        _, _, first = show(basic, tmp_path / "c", [currents(0, 1)])
        _, _, second = show(basic, tmp_path / "d", [currents(2, 3)], state=first)
        assert_same(cut, state)
        assert_same(second, state)
        for key in whole.per_sample:
            joined = np.concatenate([part[key] for part in parts])
            np.testing.assert_array_equal(joined, whole[key])
        assert list(state["cells.fired"]) == list(5 + whole["cells.count"].sum(axis=0))

    def test_onsets_reset_what_is_fast(self, basic: Device, tmp_path: Path) -> None:
        _, (one,), _ = show(basic, tmp_path / "a", [currents(0, 1, 2, 3)])
        _, (other,), _ = show(basic, tmp_path / "b", [currents(3, 1, 0, 2)])
        for key in ("cells.count", "target.v"):
            np.testing.assert_array_equal(other[key], one[key][[3, 1, 0, 2]])

    def test_the_state_begins_and_is_handed_on(self, basic: Device, tmp_path: Path) -> None:
        start = basic.defaults
        assert list(start["cells.fired"]) == [5, 5, 5]
        np.testing.assert_array_equal(start["source_target.w"].ravel(), WEIGHTS.ravel())
        changed = {array: start[array].copy() for array in start}
        changed["source_target.w"][:] = 0
        given = basic.interface.state(changed)
        _, (recording,), end = show(basic, tmp_path, [currents(3)], state=given)
        np.testing.assert_allclose(recording["target.v"], 0.5 * np.exp(-N_STEPS * DT / TAU))
        assert not end["source_target.w"].any()

    def test_a_stop_leaves_a_state_of_whole_samples(self, basic: Device, tmp_path: Path) -> None:
        stop = Stop()
        done, recordings, state = show(
            basic,
            tmp_path / "a",
            [currents(0, 1, 2, 3)],
            stop=stop,
            report=lambda *_: stop.request(),
        )
        assert 1 <= done <= 4
        assert len(recordings[0].shown) == done
        _, _, expected = show(basic, tmp_path / "b", [currents(*range(done))])
        assert_same(state, expected)


class TestEnsembles:
    """Devices that are registered with ``replicates``: independent copies in one program."""

    def test_copies_do_what_each_does_alone(self, name: str, basic: Device, tmp_path: Path) -> None:
        if not devices()[name].replicates:
            pytest.skip(f"{name} is registered without replicates")
        program = basic_program(Replicas(n=2, shared=False))
        several = cast(ReplicatingDevice, _built(name, program))
        start = basic.defaults
        starts = [start, start.updated({"source_target.w": -WEIGHTS})]
        inputs, where = currents(0, 1, 2, 3), settings(seed=(3, 4), horizon=(4, 4))
        tmp_path.joinpath("many").mkdir()
        with several.ensemble(starts, tmp_path / "many") as session:
            chunk = Chunk(4, {**dict.fromkeys(basic.interface.ports), **inputs})
            done, recordings = session.run_chunk(chunk, where, ignore, Stop())
            states = session.state()
        assert (done, len(recordings), len(states)) == (4, 2, 2)
        assert (recordings[0]["target.v"] != recordings[1]["target.v"]).any()
        for k in range(2):
            _, (alone,), state = show(basic, tmp_path / str(k), [inputs], state=starts[k])
            assert_same(states[k], state)
            for key in alone.per_sample:
                np.testing.assert_array_equal(recordings[k][key], alone[key])


#: Spikes of teachers: sample, step, unit; those of the sources are EVENTS.
LABELS = np.array([(0, 4, 0), (0, 20, 1), (1, 3, 1), (3, 12, 0)])
IMAGES = np.array([[1.0, 1, 0.5, 0], [0, 0, 0, 0], [0.2, 0.4, 0.6, 0.8], [1, 1, 1, 1]])
LEARNING = ("falling", "normed", "pairs")


def images(*samples: int) -> dict[str, Any]:
    """A chunk of some of the further parts' samples."""
    return {
        "image": IMAGES[list(samples)],
        "events": events(EVENTS, list(samples)),
        "labels": events(LABELS, list(samples)),
    }


class TestLearning:
    def test_pairs_of_spikes_change_weights(self, further: Device, tmp_path: Path) -> None:
        _, _, state = show(further, tmp_path, [images(0)], learning=LEARNING)
        weights = np.full((2, 2), 0.5)
        first = EVENTS[EVENTS[:, 0] == 0]
        for _, pre_step, i in first:
            for _, post_step, j in LABELS[LABELS[:, 0] == 0]:
                s = (post_step - pre_step) * DT
                size = 0.1 * np.exp(-s / 20e-3) if s >= 0 else -0.05 * np.exp(s / 20e-3)
                weights[i, j] += size
        np.testing.assert_allclose(state["pairs.w"].reshape(2, 2), weights, rtol=1e-6)

    def test_columns_of_neurons_that_fired_are_normalised(
        self, further: Device, tmp_path: Path
    ) -> None:
        _, _, state = show(further, tmp_path, [images(3)], learning=LEARNING)
        weights = state["normed.w"].reshape(2, 2)
        assert weights[:, 0].sum() == pytest.approx(1.0)
        assert weights[0, 0] < 0.49 < 0.51 < weights[1, 0]
        np.testing.assert_array_equal(weights[:, 1], [0.5, 0.5])

    def test_nothing_changes_without_learning(self, further: Device, tmp_path: Path) -> None:
        _, _, state = show(further, tmp_path, [images(0, 3)])
        for key in LEARNING:
            np.testing.assert_array_equal(state[f"{key}.w"], further.defaults[f"{key}.w"])

    def test_schedules_follow_the_samples_seen(self, further: Device, tmp_path: Path) -> None:
        same = [images(3, 3, 3, 3)]
        _, (recording,), state = show(further, tmp_path, same, learning=("falling",))
        first = recording.snapshots["falling.w"][:, 0]
        steps = np.diff([0.5, *first])
        # The fall of depression is the same every time; A_plus goes down by a quarter of 0.2.
        np.testing.assert_allclose(np.diff(steps), np.diff(steps)[0], rtol=1e-6)
        assert steps[0] > steps[-1]
        assert list(state["shower.seen"]) == [4]


class TestRecorders:
    def test_recorders_show_what_happened(self, further: Device, tmp_path: Path) -> None:
        _, (recording,), _ = show(further, tmp_path, [images(0, 3)], learning=("pairs",))
        first = recording["teacher.began"]
        np.testing.assert_allclose(first[0], [4 * DT, 20 * DT])
        assert first[1, 0] == pytest.approx(12 * DT)
        assert np.isinf(first[1, 1])
        assert recording.snapshots["pairs.w"].shape == (1, 4)
        trace = recording.traces["late.v"]
        assert trace.values.shape == (2, 2 * N_STEPS)
        # An event of step 0 arrives after 6 steps; traces hold what a step starts from.
        np.testing.assert_array_equal(np.flatnonzero(np.diff(trace.values[0, :N_STEPS]) > 0), [6])
        assert recording.traces["pairs.w"].values.shape == (1, 2 * N_STEPS // 4)

    def test_events_on_their_way_are_dropped_at_the_end(
        self, further: Device, tmp_path: Path
    ) -> None:
        _, (recording,), _ = show(further, tmp_path, [images(1, 0)])
        late = recording.traces["late.v"].values
        np.testing.assert_array_equal(late[:, N_STEPS - 1], [1, 0])
        np.testing.assert_array_equal(late[:, -1], [1, 1])


class TestDrawsAndRetries:
    def test_silent_samples_are_shown_again(self, further: Device, tmp_path: Path) -> None:
        _, (recording,), _ = show(further, tmp_path, [images(0, 1, 3)])
        assert list(recording.shown) == [1, 3, 1]
        assert not recording["noise.count"][1].any()

    def test_draws_follow_the_seed_and_the_sample(
        self, further: Device, further_reference: Device, tmp_path: Path
    ) -> None:
        def noise(device: Device, folder: str, chunks: list[Any], **more: Any) -> np.ndarray:
            _, found, _ = show(device, tmp_path / folder, chunks, **more)
            return np.concatenate([recording["noise.count"] for recording in found])

        whole = noise(further, "a", [images(0, 2, 3)])
        np.testing.assert_array_equal(whole, noise(further, "b", [images(0), images(2, 3)]))
        np.testing.assert_array_equal(whole, noise(further_reference, "c", [images(0, 2, 3)]))
        assert (whole != noise(further, "d", [images(0, 2, 3)], seed=4)).any()
        assert abs(whole[2].sum() - 4 * 400 * N_STEPS * DT) < 4 * np.sqrt(4 * 400 * N_STEPS * DT)

    def test_it_is_what_the_live_network_does(
        self, further: Device, further_reference: Device, tmp_path: Path
    ) -> None:
        found, expected = (
            show(device, tmp_path / str(k), [images(0, 1), images(2, 3)], learning=LEARNING)[2]
            for k, device in enumerate((further, further_reference))
        )
        assert_same(found, expected, rtol=1e-12, atol=1e-15)
