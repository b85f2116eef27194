"""Files of NumPy as datasets: static samples, sequences, address events, and what is refused."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from biosnn.datasets import ArraySplit, EventSplit, load_arrays, read_events
from biosnn.errors import DataError, ParameterError, StorageError
from biosnn.storage import load_model


def rows(n: int = 20, shape: tuple[int, ...] = (6,)) -> dict[str, np.ndarray]:
    samples = np.random.default_rng(n).normal(size=(n, *shape))
    return {"samples": samples, "labels": np.arange(n) % 4}


def npz(file: Path, **arrays: object) -> Path:
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize("shape", [(6,), (3, 4), (5, 2, 3)])
def test_any_shape_is_divided_by_class(tmp_path: Path, shape: tuple[int, ...]) -> None:
    arrays = rows(20, shape)
    np.save(tmp_path / "x.npy", arrays["samples"])
    np.save(tmp_path / "y.npy", arrays["labels"])
    data = load_arrays(npz(tmp_path / "some.npz", **arrays), test_share=0.4)
    assert (data.name, data.n_classes, data.train.shape) == ("some", 4, shape)
    assert np.bincount(data.test.labels).tolist() == [2] * 4
    assert np.bincount(data.train.labels).tolist() == [3] * 4
    both = np.concatenate([data.train.samples, data.test.samples])
    assert {x.tobytes() for x in both} == {x.tobytes() for x in arrays["samples"]}
    mapped = load_arrays(tmp_path / "x.npy", tmp_path / "y.npy", test_share=0.4)
    assert np.array_equal(mapped.test.samples, data.test.samples)
    other = load_arrays(tmp_path / "some.npz", test_share=0.4, seed=1)
    assert not np.array_equal(other.test.samples, data.test.samples)
    assert data.train.flat().shape == (12, np.prod(shape))
    if len(shape) > 1:
        frames = data.train.frames()
        assert frames.shape == (12, shape[0], np.prod(shape[1:]))
        assert np.array_equal(frames[2, 1], data.train.samples[2, 1].ravel())
    else:
        with pytest.raises(DataError, match=r"frames: samples must have axes \[n, T, \.\.\.\]"):
            data.train.frames()
    assert len(data.train.take(2)) == 2


def test_bytes_are_intensities() -> None:
    split = ArraySplit(np.array([[[0, 51], [255, 102]]], np.uint8), [0])
    assert split.flat().tolist() == np.float32([[0, 0.2, 1, 0.4]]).tolist()
    assert split.frames().dtype == np.float32
    assert ArraySplit(np.array([[3, 400]]), [0]).flat().tolist() == [[3, 400]]


def test_parts_names_and_classes_of_a_file(tmp_path: Path) -> None:
    train, test = rows(8), rows(4)
    file = npz(
        tmp_path / "mine.npz",
        x_train=train["samples"], y_train=np.array(["b", "a", "d", "c"] * 2),
        x_test=test["samples"], y_test=np.array(["a", "b", "c", "d"]), notes=np.zeros(3),
    )  # fmt: skip
    keys = {
        "train_samples": "x_train", "train_labels": "y_train",
        "test_samples": "x_test", "test_labels": "y_test",
    }  # fmt: skip
    data = load_arrays(file, keys=keys)
    assert data.classes == ("a", "b", "c", "d")
    assert data.train.labels.tolist() == [1, 0, 3, 2] * 2
    assert np.array_equal(data.test.samples, test["samples"])
    turned = load_arrays(file, keys=keys, classes=("d", "c", "b", "a"))
    assert turned.test.labels.tolist() == [3, 2, 1, 0]
    with pytest.raises(ParameterError, match=r"classes must be with b, c, d"):
        load_arrays(file, keys=keys, classes=("a",))
    npz(
        file,
        train_images=train["samples"], train_labels=train["labels"],
        test_images=test["samples"], test_labels=test["labels"],
        validation_images=test["samples"], validation_labels=test["labels"],
    )  # fmt: skip
    data = load_arrays(file, keys={"samples": "images"}, classes=list("wxyz"))
    assert [len(part) for part in data.split_validation()] == [8, 4, 4]
    assert data.classes == ("w", "x", "y", "z")
    with pytest.raises(DataError, match=r"lacks train_samples, test_samples, validation_samples"):
        load_arrays(file)
    with pytest.raises(
        ParameterError, match=r"keys must be names of arrays of .*got 'samples': 'p"
    ):
        load_arrays(file, keys={"samples": "pictures"})
    with pytest.raises(ParameterError, match=r"test_share, seed must be left out, got \(0\.2, 3\)"):
        load_arrays(file, keys={"samples": "images"}, seed=3)
    with pytest.raises(DataError, match="must have labels between 0 and 2, got 0 to 3"):
        load_arrays(file, keys={"samples": "images"}, classes=["a", "b", "c"])
    with pytest.raises(DataError, match="'mine' must be 4 different names, got 4, of which 3"):
        load_arrays(file, keys={"samples": "images"}, classes=["a", "b", "c", "a"])


def test_events_come_back_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sample, unit, time = rng.integers(0, 12, 90), rng.integers(0, 8, 90), rng.uniform(0, 1, 90)
    arrays = {"sample": sample, "unit": unit, "time": time, "shape": (2, 4)}
    labels = np.arange(12) % 3
    file = npz(tmp_path / "events.npz", **arrays, labels=labels)
    data = load_arrays(file, test_share=0.25)
    assert isinstance(data.train, EventSplit)
    assert (data.train.shape, len(data.train), len(data.test)) == ((2, 4), 9, 3)
    whole = EventSplit(sample, unit, time, labels, (2, 4))
    found = np.concatenate([data.train.counts(), data.test.counts()])
    assert sorted(found.tolist()) == sorted(whole.counts().tolist())
    assert np.array_equal(read_events(file).counts(), whole.counts())
    assert read_events(npz(file, **arrays)).labels.tolist() == [-1] * 12
    npz(file, **(arrays | {"time": -time}), labels=labels)
    with pytest.raises(DataError, match=r"events\.npz: EventSplit\.time must be finite and >= 0"):
        load_arrays(file)
    with pytest.raises(DataError, match=r"events\.npz: EventSplit\.time must be finite and >= 0"):
        read_events(file)
    del arrays["shape"]
    with pytest.raises(DataError, match=r"lacks shape among its arrays \(sample, unit, time"):
        load_arrays(npz(file, **arrays, labels=labels))
    with pytest.raises(DataError, match="lacks shape among its arrays"):
        read_events(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"samples": np.zeros(20)}, r"samples must be numbers \[n, \.\.\.\]"),
        ({"samples": np.zeros((20, 0))}, "without an empty axis, got float64"),
        ({"samples": np.full((20, 2), 1j)}, "must be numbers .* got complex128"),
        ({"samples": np.where(np.arange(40).reshape(20, 2) == 7, np.nan, 1)}, r"nan at \(3, 1\)"),
        ({"samples": np.zeros((19, 2))}, "20 labels for 19 samples"),
        ({"labels": np.zeros((20, 1), int)}, r"integer array \[n\], got int64 \[20, 1\]"),
        ({"labels": np.zeros(20)}, r"integer array \[n\], got float64"),
        ({"labels": np.full(20, 10**9)}, "has labels up to 1000000000; number the classes from 0"),
        ({"labels": np.arange(20) % 4 - 1}, "must have labels between 0 and 2, got -1"),
        ({"labels": np.arange(20)}, "has one sample of each class"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changed: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_arrays(npz(tmp_path / "bad.npz", **(rows() | changed)))


def header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    named = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, named)
    return stream.getvalue()


def test_headers_that_promise_too_much_take_no_memory(tmp_path: Path) -> None:
    labels = tmp_path / "labels.npy"
    np.save(labels, np.arange(4))
    file = tmp_path / "huge.npy"
    file.write_bytes(header((10**12, 10)) + bytes(80))
    with pytest.raises(DataError, match=r"huge\.npy cannot be read as an array"):
        load_arrays(file, labels)
    archive = tmp_path / "huge.npz"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("samples.npy", header((10**12, 10)) + bytes(80))
    with pytest.raises(DataError, match="80 bytes where a header promises 80000000000000"):
        load_arrays(archive)
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("samples.npy", header((2, 2))[:40])
    with pytest.raises(DataError, match=r"huge\.npz cannot be read as arrays"):
        load_arrays(archive)


def test_large_archives_are_refused_before_they_are_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("biosnn.datasets.numpy_files.MOST_BYTES", 1000)
    with pytest.raises(DataError, match=r"holds \d+ bytes of arrays, and at most 1000 are read"):
        load_arrays(npz(tmp_path / "some.npz", **rows()))


@pytest.mark.parametrize("byte", [b"\0", b"(", b"'"])
def test_damaged_headers_are_refused(tmp_path: Path, byte: bytes) -> None:
    """NumPy reads them by Python's tokenizer, which raised a TokenError."""
    np.save(tmp_path / "labels.npy", np.arange(4))
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 2)))
    content = stream.getvalue()
    (tmp_path / "bad.npy").write_bytes(content[:12] + byte + content[13:])
    with pytest.raises(DataError, match=r"bad\.npy cannot be read as an array"):
        load_arrays(tmp_path / "bad.npy", tmp_path / "labels.npy")
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as made:
        made.write(tmp_path / "bad.npy", "samples.npy")
    with pytest.raises(DataError, match=r"bad\.npz cannot be read as arrays"):
        load_arrays(tmp_path / "bad.npz")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_objects_are_not_loaded(tmp_path: Path) -> None:
    victim = tmp_path / "executed"
    objects = np.array([[Evil(victim)]], dtype=object)
    np.save(tmp_path / "objects.npy", objects)
    np.save(tmp_path / "labels.npy", np.arange(1))
    (tmp_path / "pickled.npy").write_bytes(pickle.dumps(Evil(victim)))
    npz(tmp_path / "objects.npz", samples=objects, labels=np.arange(1))
    for name in ("objects.npy", "pickled.npy"):
        with pytest.raises(DataError, match=rf"{name} cannot be read as an array"):
            load_arrays(tmp_path / name, tmp_path / "labels.npy")
    with pytest.raises(DataError, match=r"objects\.npz cannot be read as arrays"):
        load_arrays(tmp_path / "objects.npz")
    assert not victim.exists()


def test_files_and_settings_that_do_not_go_together(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    with pytest.raises(ParameterError, match=r"labels must be the path of the labels, got None"):
        load_arrays(tmp_path / "x.npy")
    with pytest.raises(ParameterError, match=r"keys must be left out for \.npy files"):
        load_arrays(tmp_path / "x.npy", tmp_path / "x.npy", keys={"samples": "x"})
    with pytest.raises(ParameterError, match=r"labels must be left out for an \.npz"):
        load_arrays(tmp_path / "x.npz", tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"none\.npz does not exist"):
        load_arrays(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"none\.npy does not exist"):
        load_arrays(tmp_path / "none.npy", tmp_path / "x.npy")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"text\.npz cannot be read as arrays"):
        load_arrays(tmp_path / "text.npz")
    for name in ("pipe.npy", "pipe.npz", "pipe.biosnn"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=r"pipe\.npy cannot be read: it is no plain file"):
        load_arrays(tmp_path / "pipe.npy", tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"pipe\.npz cannot be read: it is no plain file"):
        load_arrays(tmp_path / "pipe.npz")
    with pytest.raises(StorageError, match=r"pipe\.biosnn cannot be read: it is no plain file"):
        load_model(tmp_path / "pipe.biosnn")
    np.save(tmp_path / "y.npy", np.zeros(2, int))
    (tmp_path / "archive.npy").write_bytes(npz(tmp_path / "a.npz", **rows()).read_bytes())
    for first, second in (("x.npy", "archive.npy"), ("archive.npy", "y.npy")):
        with pytest.raises(DataError, match=r"archive\.npy cannot be read as an array"):
            load_arrays(tmp_path / first, tmp_path / second)
    with pytest.raises(ParameterError, match=r"classes\[0\] must be .* got 1"):
        load_arrays(tmp_path / "a.npz", classes=[1, 2])
    alone = {f"validation_{key}": value for key, value in rows().items()}
    with pytest.raises(DataError, match="has validation without train and test"):
        load_arrays(npz(tmp_path / "alone.npz", **alone, **rows()))
    with pytest.raises(DataError, match="has samples and events in one part"):
        load_arrays(npz(tmp_path / "mixed.npz", **rows(), sample=[0], unit=[0], time=[0.0]))
    both = {f"train_{key}": value for key, value in rows().items()} | rows()
    with pytest.raises(DataError, match="has parts, and samples, labels beside them"):
        load_arrays(npz(tmp_path / "both.npz", **both))
