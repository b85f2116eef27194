"""Models and states on disk: the same bits back, or one clear sentence."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import safetensors.numpy
from brian2 import Hz, ms, mV, nA

from biosnn import datasets, files, models, networks, simulation
from biosnn.declaration import to_data
from biosnn.encoding import scale_norm
from biosnn.errors import BiosnnError, DataError, DeviceError, ParameterError, StorageError
from biosnn.networks import NetworkModel
from biosnn.readout import LinearReadout, PopulationReadout, ProportionReadout, VoteReadout
from biosnn.state import State
from biosnn.storage import (
    TrainedModel,
    check_target,
    load_model,
    load_state,
    save_model,
    save_state,
)

N_INPUTS, N_NEURONS, N_IMAGES = 20, 6, 24
RNG = np.random.default_rng(5)
LABELS = np.arange(N_IMAGES) % 3
IMAGES = np.clip(RNG.random((3, N_INPUTS))[LABELS] + RNG.normal(0, 0.1, (N_IMAGES, 20)), 0, 1)
COUNTS = RNG.poisson(2.0, (N_IMAGES, N_NEURONS))


def small(**settings) -> NetworkModel:
    defaults = {
        "duration": 30 * ms,
        "theta": 25.0,
        "weight_norm": 4.0,
        "homeostasis": 0.5,
        "max_rate": 500 * Hz,
    }
    return networks.winner_take_all(N_INPUTS, N_NEURONS, **{**defaults, **settings})


def shown(images: np.ndarray = IMAGES) -> np.ndarray:
    return scale_norm(images, 3.0)


def train(precision: str = "double") -> tuple[NetworkModel, State, np.ndarray]:
    """A network, what it learned on the runtime device, and its counts afterwards."""
    network = small()
    runnable = simulation.compile(network, "runtime", precision=precision)
    _, state = runnable.run(shown(), learn=True, seed=2)
    recording, _ = runnable.run(shown(), state)
    assert recording.counts("exc").sum() > N_IMAGES, "too few spikes to test anything"
    return network, state, recording.counts("exc")


@pytest.fixture(scope="module")
def trained() -> tuple[NetworkModel, State, np.ndarray]:
    return train()


@pytest.fixture(scope="module")
def model(trained: tuple[NetworkModel, State, np.ndarray]) -> TrainedModel:
    network, state, counts = trained
    return TrainedModel(
        network=network,
        state=state,
        readout=VoteReadout(n_classes=3).fit(counts, LABELS),
        preprocessing={"scale_norm": 3.0},
        observed="exc.count",
        provenance={
            "seed": 2,
            "dataset": "noise",
            "samples": {"train": N_IMAGES},
            "metrics": {"vote": np.float64(0.5)},
            "training": {"duration": 100 * ms, "epochs": [1, 2]},
        },
    )


@pytest.fixture
def saved(model: TrainedModel, tmp_path: Path) -> Path:
    return save_model(model, tmp_path / "model.biosnn")


def sentence(caught: pytest.ExceptionInfo[BaseException], *parts: object) -> str:
    """The message, which must be one line that names all of the parts."""
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the same bits back


def test_a_model_comes_back_bit_by_bit(model: TrainedModel, saved: Path) -> None:
    loaded = load_model(saved)
    assert loaded.state.checksum() == model.state.checksum()
    assert loaded.state.shapes == model.state.shapes
    assert loaded.network.fingerprint == model.network.fingerprint
    assert loaded.provenance == model.provenance
    assert loaded.provenance["metrics"] == {"vote": 0.5}
    assert loaded.provenance["training"]["duration"] == 100 * ms
    assert {"biosnn", "brian2", "numpy", "scikit-learn", "date"} <= set(loaded.provenance)
    for name in ("preprocessing", "observed", "precision"):
        assert getattr(loaded, name) == getattr(model, name)
    labels = loaded.classify(IMAGES)
    assert len(set(labels)) > 1
    np.testing.assert_array_equal(labels, model.classify(IMAGES))


def test_the_same_model_gives_the_same_file(model: TrainedModel, saved: Path) -> None:
    again = save_model(load_model(saved), saved.with_name("again.biosnn"))
    assert again.read_bytes() == saved.read_bytes()


def test_what_classify_does(
    model: TrainedModel, trained: tuple[NetworkModel, State, np.ndarray]
) -> None:
    expected = VoteReadout(n_classes=3).fit(trained[2], LABELS).predict(trained[2])
    np.testing.assert_array_equal(model.classify(IMAGES), expected)
    assert model.classify(np.zeros((2, N_INPUTS))).tolist() == [-1, -1]


@pytest.mark.parametrize(
    "readout",
    [
        VoteReadout(n_classes=3),
        ProportionReadout(),
        LinearReadout("ridge"),
        LinearReadout("logistic", C=0.5),
        PopulationReadout(3, neurons_per_class=2),
    ],
    ids=repr,
)
def test_every_readout_scores_the_same_bits(readout, model, tmp_path) -> None:
    fitted = attrs.evolve(model, readout=readout.fit(COUNTS, LABELS))
    loaded = load_model(save_model(fitted, tmp_path / "m.biosnn"))
    assert loaded.readout is not None
    scores = loaded.readout.decision_function(COUNTS)
    assert scores.tobytes() == fitted.readout.decision_function(COUNTS).tobytes()
    np.testing.assert_array_equal(loaded.readout.predict(COUNTS), fitted.readout.predict(COUNTS))


def test_a_model_without_readout(model: TrainedModel, tmp_path: Path) -> None:
    bare = attrs.evolve(model, readout=None)
    loaded = load_model(save_model(bare, tmp_path / "bare.biosnn"))
    assert loaded.readout is None
    with pytest.raises(ParameterError, match="readout"):
        loaded.classify(IMAGES)


def test_a_readout_of_latencies(model: TrainedModel, tmp_path: Path) -> None:
    network = small(encoding="direct", competition="none", theta=200.0)
    runnable = simulation.compile(network, "runtime", per_sample=("exc.t_first",))
    learned = {"inp_exc.w": model.state["inp_exc.w"], "exc.theta": [1e9, *[9.0] * 5]}
    state = runnable.initial_state(1).transferred(learned)
    recording, state = runnable.run(shown(), state)
    times = recording.latencies("exc")
    assert np.isfinite(times).any()
    assert not np.isfinite(state["exc.t_first"]).all(), "test a state with infinite times"
    latency = TrainedModel(
        network=network,
        state=state,
        readout=LinearReadout("ridge", features="latency").fit(times, LABELS),
        preprocessing={"scale_norm": 3.0},
        observed="exc.t_first",
    )
    loaded = load_model(save_model(latency, tmp_path / "latency.biosnn"))
    np.testing.assert_array_equal(loaded.classify(IMAGES), latency.readout.predict(times))


def test_single_precision_is_kept(tmp_path: Path) -> None:
    network, state, counts = train("single")
    assert state["inp_exc.w"].dtype == np.float32
    settings = {"network": network, "state": state, "observed": "exc.count"}
    single = TrainedModel(**settings, precision="single", readout=VoteReadout().fit(counts, LABELS))
    loaded = load_model(save_model(single, tmp_path / "single.biosnn"))
    assert loaded.precision == "single"
    assert loaded.state.checksum() == state.checksum()
    with pytest.raises(ParameterError, match="float32 instead of float64"):
        TrainedModel(**settings, precision="double")


READY = {
    "poisson": networks.winner_take_all(9, 4),
    "direct": networks.winner_take_all(9, 4, encoding="direct", n_classes=3),
    "bernoulli": networks.winner_take_all(9, 4, encoding="bernoulli", competition="pool"),
    "regular": networks.winner_take_all(9, 4, encoding="regular", competition="none"),
    "triplet": networks.diehl_cook_2015(9, 4),
    "power_law": networks.diehl_cook_2015(9, 4, rule="power_law"),
}


@pytest.mark.parametrize("name", READY)
def test_every_ready_network_survives(name: str, tmp_path: Path) -> None:
    network = READY[name]
    bare = TrainedModel(
        network=network, state=network.initial_state(3), observed=f"{network.output}.count"
    )
    loaded = load_model(save_model(bare, tmp_path / "network.biosnn"))
    assert loaded.network.fingerprint == network.fingerprint
    assert loaded.state.checksum() == bare.state.checksum()


def test_training_goes_on_from_a_stored_state(tmp_path: Path) -> None:
    network = small()
    runnable = simulation.compile(network, "runtime")
    settings = {"learn": True, "seed": 4, "horizon": N_IMAGES}
    _, whole = runnable.run(shown(), **settings)
    _, half = runnable.run(shown()[:10], **settings)
    path = save_state(half, tmp_path / "half.biosnn", network)
    again = load_state(path, small())
    assert again.checksum() == half.checksum()
    _, rest = runnable.run(shown()[10:], again, first_sample=10, **settings)
    assert rest.checksum() == whole.checksum()


def of_currents(**changes: Any) -> TrainedModel:
    """Six neurons that are driven by the currents of 2 x 3 pixels; each votes for its own class."""
    network = NetworkModel(
        name="currents",
        dt=0.1 * ms,
        inputs={"current": networks.Input(features=6)},
        populations={"lif": networks.Population(model=models.lif(), n=6, drives={"I": "current"})},
        presentation=networks.Presentation(duration=30 * ms),
        output="lif",
    )
    settings: dict[str, Any] = {
        "network": network,
        "state": network.initial_state(),
        "readout": VoteReadout(n_classes=6).fit(np.eye(6), np.arange(6)),
        "observed": "lif.count",
        "preprocessing": {"scale": 60 * nA},
        "shape": (2, 3),
    }
    return TrainedModel(**{**settings, **changes})


def test_a_network_of_currents_knows_what_an_intensity_is(tmp_path: Path) -> None:
    """W18: pixel 1.0 was taken for 1 A."""
    images = np.array([[0, 0, 0.2, 1, 0.2, 0.4], [0.9, 0.1, 0, 0, 0, 0]])
    model = of_currents()
    runnable = simulation.compile(model.network, "runtime", per_sample=("lif.count",))
    recording, _ = runnable.run(images * 60e-9, progress=False)
    counts = recording.counts("lif")
    assert counts[0, 3] > counts[0, 5] > 0, "the currents are in the range of the neurons"
    loaded = load_model(save_model(model, tmp_path / "currents.biosnn"))
    assert loaded.shape == loaded.image_shape == (2, 3)
    assert loaded.preprocessing["scale"] == 60 * nA
    for given in (images, images.reshape(2, 2, 3), np.round(255 * images).astype(np.uint8)):
        assert loaded.classify(given, progress=False).tolist() == [3, 0]


def test_what_an_intensity_is_has_to_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W18: when a model is saved, and by an older file when it shall classify."""
    silent = of_currents(preprocessing={})
    path = tmp_path / "old.biosnn"
    with pytest.raises(ParameterError, match=r'one with a "scale" in A, because .*\'current\''):
        save_model(silent, path)
    monkeypatch.setattr("biosnn.storage.preprocessing.check_scale", lambda *_: None)
    save_model(silent, path)
    monkeypatch.undo()
    old = load_model(path)
    with pytest.raises(ParameterError, match=r'one with a "scale" in A'):
        old.classify(np.ones((1, 6)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocessing": {"scale": 150.0}}, r"preprocessing\['scale'\] must be a quantity"),
        ({"preprocessing": {"scale": 1 * mV}}, r"preprocessing\['scale'\] must be a quantity"),
        ({"preprocessing": {"scale": -1 * nA}}, "> 0"),
        ({"preprocessing": {"scale_norm": 1 * mV}}, "scale_norm"),
        (
            {"preprocessing": {"blur": 1.0}},
            "made of the steps minmax, levels, scale_norm, norm, scale",
        ),
        ({"shape": (2, 2)}, r"with 6 numbers, got \(2, 2\)"),
        ({"shape": 6}, "with 6 numbers, got 6"),
    ],
)
def test_the_way_of_images_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        of_currents(**changes)


def test_images_without_a_shape_are_square() -> None:
    with pytest.raises(DataError, match=r"6 features, which are no square image"):
        _ = of_currents(shape=None).image_shape


FRESH = """
import sys
import numpy as np
from biosnn.storage import load_model
model = load_model(sys.argv[1])
print(*model.classify(np.load(sys.argv[2]), device="runtime", seed=7))
"""


@pytest.mark.slow
def test_trained_on_cpp_the_same_on_runtime_in_a_fresh_process(tmp_path: Path) -> None:
    digits = datasets.load_digits().train.take(300)
    images, norm = digits.flat(), 9.2
    network = networks.winner_take_all(784, 20)
    compiled = simulation.compile(network, "cpp", math="strict")  # the build of classify
    _, state = compiled.run(scale_norm(images, norm), learn=True, seed=1)
    recording, _ = compiled.run(scale_norm(images, norm), state, seed=1)
    model = TrainedModel(
        network=network,
        state=state,
        readout=VoteReadout().fit(recording.counts("exc"), digits.labels),
        preprocessing={"scale_norm": norm},
        observed="exc.count",
    )
    path = save_model(model, tmp_path / "cpp.biosnn")
    here = model.classify(images[:40], device="cpp", seed=7)
    assert np.mean(here == digits.labels[:40]) > 0.3, "learned too little to test anything"
    np.save(tmp_path / "images.npy", images[:40])
    command = [sys.executable, "-c", FRESH, str(path), str(tmp_path / "images.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(label) for label in here]


# --- what is refused before anything is written


def test_parts_that_do_not_fit_together(model: TrainedModel) -> None:
    cases = {
        "precision": {"precision": "half"},
        "observed": {"observed": "exc"},
        "preprocessing": {"preprocessing": {"whiten": 1.0}},
        "readout": {"readout": VoteReadout()},
        "state": {"state": State({**model.state, "exc.theta": np.zeros(5)}, model.state.shapes)},
    }
    for name, change in cases.items():
        with pytest.raises(ParameterError) as caught:
            attrs.evolve(model, **change)
        sentence(caught, f"TrainedModel.{name} must be")
    with pytest.raises(ParameterError, match="one of 4"):
        attrs.evolve(model, readout=VoteReadout().fit(COUNTS[:, :4], LABELS))
    with pytest.raises(StorageError, match="cannot hold"):
        attrs.evolve(model, provenance={"function": print})


@pytest.mark.parametrize(
    ("images", "part"),
    [
        (IMAGES[0], "shape"),
        (IMAGES[:, :5], "20"),
        (IMAGES * 255, "from 0 to 1"),
        (-IMAGES, "from 0 to 1"),
        (IMAGES * np.nan, "finite"),
    ],
)
def test_images_are_checked(images: np.ndarray, part: str, model: TrainedModel) -> None:
    with pytest.raises(DataError) as caught:
        model.classify(images)
    sentence(caught, part)


def test_an_unknown_device_is_refused(model: TrainedModel) -> None:
    with pytest.raises(ParameterError, match="device"):
        model.classify(IMAGES, device="abacus")


# --- writing: wholly or not at all


def test_nothing_is_overwritten_unasked(model: TrainedModel, saved: Path) -> None:
    before = saved.read_bytes()
    for save in (
        lambda **how: save_model(model, saved, **how),
        lambda **how: save_state(model.state, saved, model.network, **how),
    ):
        with pytest.raises(StorageError) as caught:
            save()
        sentence(caught, saved, "exists", "overwrite=True")
        assert saved.read_bytes() == before
        save(overwrite=True)
        before = saved.read_bytes()
    assert b"exc.theta" in before
    assert leftovers(saved.parent) == ["model.biosnn"]


def test_a_target_can_be_checked_beforehand(saved: Path) -> None:
    assert check_target(saved, overwrite=True) == saved
    for path in (saved, saved.with_suffix(".pt")):
        with pytest.raises(StorageError):
            check_target(path)


def test_other_suffixes_are_refused(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        save_model(model, tmp_path / "model.pkl")
    sentence(caught, "model.pkl", ".biosnn")


def test_folders_are_made(model: TrainedModel, tmp_path: Path) -> None:
    assert load_model(save_model(model, tmp_path / "a" / "b" / "model.biosnn"))


def test_a_folder_that_cannot_be_written(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError) as caught:
        save_model(model, tmp_path / "file" / "model.biosnn")
    sentence(caught, "cannot be written", "choose a folder")
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if not os.access(closed, os.W_OK):  # root may write everywhere
        with pytest.raises(StorageError) as caught:
            save_model(model, closed / "model.biosnn")
        sentence(caught, closed, "Permission denied")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("old", [False, True])
def test_a_failure_leaves_nothing_behind(step, old, model, tmp_path, monkeypatch) -> None:
    path = tmp_path / "model.biosnn"
    if old:
        save_model(model, path)
    before = path.read_bytes() if old else None

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(StorageError) as caught:
        save_model(model, path, overwrite=True)
    sentence(caught, path, "No space left on device")
    assert leftovers(tmp_path) == (["model.biosnn"] if old else [])
    assert not old or path.read_bytes() == before


def test_an_interrupt_leaves_nothing_behind(model, tmp_path, monkeypatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, tmp_path / "model.biosnn")
    assert leftovers(tmp_path) == []


# --- damaged and foreign files


def refused(path: Path, *parts: object) -> str:
    with pytest.raises(StorageError) as caught:
        load_model(path)
    return sentence(caught, path, *parts)


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.1, 0.5, 0.9, -1])
def test_truncated_files_are_refused(keep: float, saved: Path) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refused(saved)


def test_a_longer_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0")
    refused(saved, "damaged")


def test_any_flipped_bit_is_noticed(saved: Path) -> None:
    data = saved.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(11)
    digest = data.index(b'"biosnn":"')
    places = [
        *rng.integers(len(data), size=20),
        *rng.integers(header, size=20),
        *range(header - 12, header + 4),
        *range(digest, digest + 76, 5),
        *range(8),
    ]
    for place in map(int, places):
        bit = 1 << int(rng.integers(8))
        saved.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
        refused(saved)
    saved.write_bytes(data)
    assert load_model(saved)


class Trap:
    """Unpickled, it would make a file."""

    def __reduce__(self):
        return Path.touch, (Path("executed"),)


FOREIGN = {
    "text": b"model = 1\n",
    "pickle": pickle.dumps(Trap()),
    "zeros": bytes(4096),
    "safetensors": safetensors.numpy.save({"w": np.zeros(3)}),
    "other metadata": safetensors.numpy.save({"w": np.zeros(3)}, {"format": "pt"}),
    "list": (10).to_bytes(8, "little") + b"[1, 2, 3] ",
    "deep": (200_000).to_bytes(8, "little") + b"[" * 200_000,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "foreign.biosnn"
    path.write_bytes(FOREIGN[name])
    refused(path, "is not a .biosnn file, or is damaged")
    assert leftovers(tmp_path) == ["foreign.biosnn"]


def test_missing_files_and_folders(tmp_path: Path) -> None:
    refused(tmp_path / "missing.biosnn", "does not exist")
    refused(tmp_path, "cannot be read")


def test_a_model_is_no_state(model: TrainedModel, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds a model, not a state; use load_model"):
        load_state(saved, model.network)
    path = save_state(model.state, tmp_path / "state.biosnn", model.network)
    refused(path, "use load_state")


def unpacked(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    return files.read(path, "model")


def test_another_format_version_is_refused(saved: Path, monkeypatch) -> None:
    content, tensors = unpacked(saved)
    monkeypatch.setattr(files, "FORMAT", 2)
    saved.write_bytes(files.packed("model", content, tensors))
    monkeypatch.undo()
    refused(saved, "version 2", "update biosnn")


def without(tensors: dict, name: str) -> dict:
    return {key: value for key, value in tensors.items() if key != name}


TAMPERED_TENSORS = {
    "without 'inp_exc.w'": lambda t: without(t, "state/inp_exc.w"),
    "without 'exc.v'": lambda t: without(t, "state/exc.v"),
    "of shape (7,) instead of (6,)": lambda t: {**t, "state/exc.theta": np.zeros(7)},
    "of type float16 instead of": lambda t: {**t, "state/exc.theta": np.zeros(6, np.float16)},
    "of type int64 instead of": lambda t: {**t, "state/exc.theta": np.zeros(6, np.int64)},
    "with 'nobody.v'": lambda t: {**t, "state/nobody.v": np.zeros(6)},
    "VoteReadout needs": lambda t: without(t, "readout/assignments_"),
    "VoteReadout.assignments_ must be": lambda t: {**t, "readout/assignments_": np.zeros(5)},
}


@pytest.mark.parametrize("message", TAMPERED_TENSORS)
def test_tensors_that_do_not_fit_are_refused(message: str, saved: Path) -> None:
    content, tensors = unpacked(saved)
    saved.write_bytes(files.packed("model", content, TAMPERED_TENSORS[message](tensors)))
    refused(saved, message)


def spec_of(content: dict, **fields: object) -> dict:
    return {**content, "network": {**content["network"], **fields}}


TAMPERED_CONTENT = {
    "unknown kind": lambda c: spec_of(c, **{"$spec": "Popen"}),
    "has no field": lambda c: spec_of(c, colour="red"),
    "dt": lambda c: spec_of(c, dt=1.0),
    "network": lambda c: {**c, "network": ["ls"]},
    "matrices": lambda c: {**c, "shapes": {"inp_exc.w": [6, 20]}},
    "shapes": lambda c: without(c, "shapes"),
    "observed": lambda c: {**c, "observed": 3},
    "meta['kind']": lambda c: {**c, "readout": {"kind": "Popen"}},
    "preprocessing": lambda c: {**c, "preprocessing": {"eval": "1"}},
}


@pytest.mark.parametrize("message", TAMPERED_CONTENT)
def test_declarations_that_do_not_fit_are_refused(message: str, saved: Path) -> None:
    content, tensors = unpacked(saved)
    saved.write_bytes(files.packed("model", TAMPERED_CONTENT[message](content), tensors))
    refused(saved, message)


# --- a state belongs to its network


OTHERS = {
    "populations.exc.n is 6 in the file and 7": networks.winner_take_all(20, 7),
    "name is": networks.winner_take_all(20, 6, encoding="direct"),
    "projections.exc_pool exists in the file only": networks.winner_take_all(
        20, 6, competition="none"
    ),
    "projections.inp_exc.rule.parameters.eta is Schedule": networks.winner_take_all(20, 6, eta=0.1),
    "populations.inp.model.parameters.max_rate is 128. Hz": networks.winner_take_all(
        20, 6, max_rate=100 * Hz
    ),
    "presentation.duration is 100. ms in the file and 50. ms": networks.winner_take_all(
        20, 6, duration=50 * ms
    ),
    "inputs.label exists in the network given only": networks.winner_take_all(20, 6, n_classes=2),
}


@pytest.mark.parametrize("message", OTHERS)
def test_a_state_is_refused_to_another_network(message: str, tmp_path: Path) -> None:
    network = networks.winner_take_all(20, 6)
    path = save_state(network.initial_state(), tmp_path / "state.biosnn", network)
    assert load_state(path, networks.winner_take_all(20, 6))
    other = OTHERS[message]
    if message.startswith("projections.exc_pool"):
        other = attrs.evolve(network, projections=without(network.projections, "exc_pool"))
    with pytest.raises(StorageError) as caught:
        load_state(path, other)
    sentence(caught, path, message)


def test_a_state_of_another_network_is_not_saved(model: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="save_state"):
        save_state(model.state, tmp_path / "state.biosnn", READY["poisson"])
    assert leftovers(tmp_path) == []


def test_a_damaged_state_is_refused(model: TrainedModel, tmp_path: Path) -> None:
    path = save_state(model.state, tmp_path / "state.biosnn", model.network)
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    with pytest.raises(StorageError, match="damaged"):
        load_state(path, model.network)


# --- what cannot be stored


def test_a_declaration_too_long_to_load_is_not_written(model, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MAX_HEADER", 1000)
    with pytest.raises(StorageError, match="declaration takes"):
        save_model(model, tmp_path / "model.biosnn")
    assert leftovers(tmp_path) == []


def test_storage_errors_are_biosnn_errors() -> None:
    assert issubclass(StorageError, BiosnnError)
    assert not issubclass(StorageError, DeviceError)
    assert json.loads(json.dumps(to_data(small())))["name"] == "winner_take_all_poisson"
