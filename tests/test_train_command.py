"""From a folder of pictures to a model and its answers, without a line of Python."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from biosnn import datasets, networks, storage, surrogate
from biosnn.cli import app
from biosnn.cli import train as training
from biosnn.readout import PopulationReadout

CLASSES = ("across", "circle", "cross", "down")
SIDE, N = 16, 9
STROKES: dict[str, Callable[[ImageDraw.ImageDraw, int, int], None]] = {
    "across": lambda draw, x, y: draw.line((2 + x, 8 + y, 13 + x, 8 + y), fill=255, width=3),
    "circle": lambda draw, x, y: draw.ellipse((3 + x, 3 + y, 12 + x, 12 + y), outline=255, width=2),
    "cross": lambda draw, x, y: (
        draw.line((2 + x, 2 + y, 13 + x, 13 + y), fill=255, width=2),
        draw.line((2 + x, 13 + y, 13 + x, 2 + y), fill=255, width=2),
    )[0],
    "down": lambda draw, x, y: draw.line((8 + x, 2 + y, 8 + x, 13 + y), fill=255, width=3),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 x 16 drawings of four classes, with noise, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("drawings")
    rng = np.random.default_rng(2)
    for name in CLASSES:
        (folder / name).mkdir()
        for k in range(N):
            image = Image.new("L", (SIDE, SIDE))
            STROKES[name](ImageDraw.Draw(image), *rng.integers(-1, 2, 2))
            noisy = np.asarray(image) + rng.normal(0, 20, (SIDE, SIDE))
            Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(
                folder / name / f"{k}.png"
            )
    (folder / "cross" / "broken.png").write_text("no picture")
    return folder


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in arguments])


def failed(*arguments: object) -> str:
    """The one sentence of a command that went wrong."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr.splitlines()[-1]


#: What is quick enough for a test, and learns these drawings.
QUICK = {
    "stdp": ("--neurons", 16, "--epochs", 1, "--device", "runtime"),
    "surrogate": ("--neurons", 16, "--epochs", 12),
    "reward": ("--neurons", 60, "--epochs", 8, "--device", "runtime"),
}


def test_few_pictures_are_shown_often_enough_for_stdp() -> None:
    """100 neurons on 64 drawings stay half silent after 3 epochs, and learn them in 200."""
    settings = training.Settings(method="stdp")
    assert [settings.epochs_for(n) for n in (64, 1000, 10_000)] == [200, 13, 3]
    assert training.Settings(method="stdp", neurons=20).epochs_for(64) == 40
    assert training.Settings(method="stdp", epochs=5).epochs_for(64) == 5
    assert training.Settings(method="reward").epochs_for(64) == 10


@pytest.mark.parametrize(
    "method", [pytest.param("stdp", marks=pytest.mark.slow), "surrogate", "reward"]
)
def test_train_save_and_classify(
    method: str,
    pictures: Path,
    tmp_path: Path,
    python: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if method == "reward":  # the others choose
        monkeypatch.setitem(training.CANDIDATES, "reward", (1.2,))
    path = tmp_path / "drawings.biosnn"
    result = call("train", pictures, "--save", path, "--method", method, *QUICK[method], "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["classes"] == list(CLASSES)
    assert report["samples"] == {"train": 22, "validation": 6, "test": 8}
    assert "broken.png" in report["left_out"][0]
    assert "broken.png" in result.stderr
    assert "right of 6 validation pictures" in result.stderr
    words = list(map(str, QUICK[method]))
    assert {k: report[k] for k in ("neurons", "epochs")} == {
        k: int(words[words.index(f"--{k}") + 1]) for k in ("neurons", "epochs")
    }
    (chosen,) = report["chosen_on_validation"].values()
    controls = report["controls"]
    assert report["accuracy"] >= controls["most_frequent_class"] + 0.25 == 0.5
    assert set(controls) == {"frozen_weights", "pixels_linear", "most_frequent_class"}
    if method != "stdp":  # whose units answer differently before they have learned, too
        assert report["accuracy"] > controls["frozen_weights"] + 0.2

    model = storage.load_model(path)
    assert model.classes == CLASSES
    assert model.image_shape == (SIDE, SIDE)
    assert model.picture == {"invert": "auto", "fit": "whole"}
    assert model.provenance["chosen_on_validation"] == report["chosen_on_validation"]
    assert model.provenance["training"]["method"] == method
    assert chosen > 0

    command = ("classify", str(path), str(pictures), "--json")
    fresh = python("biosnn", *command)
    assert fresh.returncode == 1, fresh.stderr
    assert fresh.stderr.splitlines()[-1].startswith("error: ")
    assert "cross/broken.png cannot be read as an image" in fresh.stderr
    found = json.loads(fresh.stdout)
    rows = [one for one in found["predictions"] if "label" in one]
    assert len(rows) == found["n_labelled"] == 4 * N
    assert len(found["predictions"]) == 4 * N + 1
    assert {one["class"] for one in rows} <= {*CLASSES, "silent"}
    right = [one["class"] == one["true"] == Path(one["image"]).parent.name for one in rows]
    assert found["accuracy"] == np.mean(right) > 0.5
    if method == "surrogate":
        return
    # What is no drawn spike is the same from arrays as from pictures.
    images = [datasets.load_image(one["image"], shape=(SIDE, SIDE)) for one in rows[::7]]
    labels = model.classify(np.stack(images), progress=False)
    assert labels.tolist() == [one["label"] for one in rows[::7]]


def test_the_report_is_printed_in_words(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.biosnn"
    options = ("--method", "surrogate", "--neurons", 8, "--epochs", 2, "--size", "8x8")
    result = call("train", pictures, "--save", path, *options, "--test", 0.4, "--no-invert")
    assert result.exit_code == 0, result.output
    first, second, *controls, last = result.stdout.splitlines()
    assert first.startswith("16 pictures to learn from, 4 to choose by (chosen: learning rate")
    assert first.endswith("16 to test; 8 neurons, 2 epochs")
    assert second.startswith("test accuracy: 0.")
    assert [line.split(":")[0] for line in controls] == [
        f"control, {name}" for name in ("frozen weights", "pixels linear", "most frequent class")
    ]
    assert last == f"saved: {path}"
    model = storage.load_model(path)
    assert model.image_shape == (8, 8)
    assert model.picture == {"invert": False, "fit": "whole"}
    assert "exists" in failed("train", pictures, "--save", path, *options)


def test_what_train_refuses(pictures: Path, tmp_path: Path) -> None:
    save = ("--save", tmp_path / "m.biosnn")
    assert "must end in .biosnn" in failed("train", pictures, "--save", tmp_path / "m.pt")
    assert "--method must be one of 'stdp'" in failed(
        "train", pictures, *save, "--method", "backprop"
    )
    assert "cannot be read" in failed("train", tmp_path / "nowhere", *save)
    assert "--size must be such as 28x28" in failed("train", pictures, *save, "--size", "big")
    assert "--neurons must be a whole number >= 1" in failed(
        "train", pictures, *save, "--neurons", 0
    )
    assert "--validation must be in (0, 1)" in failed("train", pictures, *save, "--validation", 1.5)
    assert "which leaves none of" in failed("train", pictures, *save, "--validation", 0.97)
    assert "two or more classes" in failed("train", pictures / "cross", *save)
    assert "--channels must be one of 1, 3" in failed("train", pictures, *save, "--channels", 2)
    assert "--seed must be a whole number" in failed("train", pictures, *save, "--seed", -1)
    assert "--size must be a whole number" in failed("train", pictures, *save, "--size", "0x8")
    assert list(tmp_path.iterdir()) == []


def test_shares_of_folders_that_are_divided_are_refused(tmp_path: Path) -> None:
    save = ("--save", tmp_path / "m.biosnn", "--method", "surrogate")
    for part in ("train", "test", "val"):
        for name in ("a", "b"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            image = Image.fromarray(np.eye(4, dtype=np.uint8) * 200)
            image.save(tmp_path / "set" / part / name / "0.png")
    assert "has its own test part" in failed("train", tmp_path / "set", *save, "--test", 0.2)
    assert "has its own validation part" in failed(
        "train", tmp_path / "set", *save, "--validation", 0.2
    )
    # Two classes may be called so; then they are no parts, and are divided as it is said.
    for name in ("train", "test"):
        (tmp_path / "cars" / name).mkdir(parents=True)
        for k in range(10):
            Image.fromarray(np.uint8(np.eye(4) * (20 * k + 9))).save(
                tmp_path / "cars" / name / f"{k}.png"
            )
    settings = training.Settings(method="surrogate", test=0.5)
    data, part, held = training._loaded(tmp_path / "cars", settings, lambda line: None)
    assert (len(data.test), len(part), len(held)) == (10, 8, 2)


def test_a_place_that_cannot_be_written_is_found_before_training(
    pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.biosnn").mkdir()
    (tmp_path / "file").touch()
    said = failed("train", pictures, "--save", tmp_path / "m.biosnn", "--overwrite")
    assert "cannot be written: Is a directory" in said
    said = failed("train", pictures, "--save", tmp_path / "file" / "m.biosnn")
    assert "is no folder; choose a folder" in said


def test_silent_samples_are_right_for_no_class(pictures: Path, tmp_path: Path) -> None:
    """Neither where settings are chosen, nor where a class is called silent."""
    x = np.random.default_rng(3).random((40, 16)).astype(np.float32)
    x[::2] = 0
    fitted = surrogate.LIFClassifier((4,), T=5, epochs=1, encoding="direct", random_state=0)
    found = training._of_estimator(fitted.fit(x, np.arange(40) % 2), 1e-3)
    model = found.model(shape=(4, 4), classes=("silent", "b"))
    labels = found.predict(x)
    assert (labels[::2] == -1).all()
    np.testing.assert_array_equal(labels, model.classify(x, progress=False))
    path = storage.save_model(model, tmp_path / "m.biosnn")
    np.savez(tmp_path / "x.npz", samples=x[:1], labels=[0])
    said = call("classify", path, tmp_path / "x.npz").stdout
    assert "-1 (silent)" in said
    assert "(0 of 1 whose" in said


# --- classify: folders, arrays and events


def test_classify_takes_arrays_and_prints_tables(tmp_path: Path) -> None:
    network = networks.feedforward((4, 2), encoding="direct", steps=10)
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    state = network.initial_state().updated({"input_output.w": weights})
    model = storage.TrainedModel(
        network=network,
        state=state,
        readout=PopulationReadout(2).fit(np.zeros((1, 2))),
        observed="output.count",
        classes=("left", "right"),
        shape=(2, 2),
    )
    path = storage.save_model(model, tmp_path / "m.biosnn")
    samples = np.array([[1.0, 0.9, 0, 0], [0, 0, 1.0, 0.8], [0, 0, 0, 0]])
    np.save(tmp_path / "three.npy", samples)
    np.save(tmp_path / "one.npy", np.uint8(255 * samples[1].reshape(2, 2)))
    np.savez(tmp_path / "labelled.npz", samples=samples, labels=[0, 0, 1])
    np.savez(tmp_path / "two.npz", a=samples, b=samples)
    (tmp_path / "object.npy").write_bytes(b"\x93NUMPY no array")

    result = call("classify", path, tmp_path / "three.npy", tmp_path / "one.npy")
    assert result.exit_code == 0, result.output
    assert [line.rpartition("/")[2] for line in result.stdout.splitlines()] == [
        "three.npy[0]: left", "three.npy[1]: right", "three.npy[2]: -1 (silent)",
        "one.npy[0]: right",
    ]  # fmt: skip
    names = ("labelled.npz", "two.npz", "object.npy")
    result = call("classify", path, *(tmp_path / name for name in names), "--csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["class"] for row in rows] == ["left", "right", "silent", "", ""]
    assert [row["true"] for row in rows] == ["left", "left", "right", "", ""]
    assert "must hold an array 'samples'" in rows[3]["error"]
    assert "cannot be read as an array" in rows[4]["error"]
    result = call("classify", path, tmp_path / "labelled.npz")
    assert result.stdout.splitlines()[-1] == "accuracy: 0.3333 (1 of 3 whose class is known)"
    np.savez(tmp_path / "named.npz", samples=samples, labels=["left", "right", "up"])
    result = call("classify", path, tmp_path / "named.npz")
    assert result.stdout.splitlines()[-1] == "accuracy: 1.0000 (2 of 2 whose class is known)"
    np.savez(tmp_path / "column.npz", samples=samples, labels=[[0], [0], [1]])
    assert "labels must be whole numbers or names" in failed(
        "classify", path, tmp_path / "column.npz"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no file" in failed("classify", path, empty)
    assert "takes none; give arrays" in failed("classify", path, tmp_path / "x.bin")
    assert "left out with --json" in failed("classify", path, empty, "--json", "--csv")


def test_classify_reads_files_of_address_events(tmp_path: Path) -> None:
    """N-MNIST's format: five bytes an event; 34 x 34 pixels with two polarities."""
    network = networks.feedforward((4, 2), steps=30)
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    model = storage.TrainedModel(
        network=network,
        state=network.initial_state().updated({"input_output.w": weights}),
        readout=PopulationReadout(2).fit(np.zeros((1, 2))),
        observed="output.count",
        classes=("left", "right"),
        preprocessing={"select_polarity": "on", "pool": 17, "crop_time": network.dt * 30},
    )
    path = storage.save_model(model, tmp_path / "m.biosnn")
    for name, x in (("left", 3), ("right", 30)):
        (tmp_path / name).mkdir()
        events = [
            [x, y, *int(1 << 23 | 1000 * t).to_bytes(3, "big")]
            for t, y in ((2, 1), (9, 25), (15, 8), (200, 8))
        ]
        (tmp_path / name / "0.bin").write_bytes(bytes(np.ravel(events).astype(np.uint8)))
    picture = tmp_path / "left" / "0.png"
    Image.new("L", (2, 2), "white").save(picture)
    result = call("classify", path, tmp_path / "left", tmp_path / "right")
    assert result.exit_code == 1, result.output
    (tmp_path / "x.aedat").write_bytes(b"#!AER-DAT2.0\r\n")
    assert "x.aedat cannot be read: read_events.camera" in failed(
        "classify", path, tmp_path / "x.aedat"
    )
    shown = [line.rpartition("/")[2] for line in result.stdout.splitlines()]
    assert shown == ["0.bin[0]: left", "0.bin[0]: right"]
    assert "it takes address events" in result.stderr
