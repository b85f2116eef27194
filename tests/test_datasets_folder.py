"""Folders of pictures: what becomes of each file, and how the parts are made."""

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biosnn.datasets import Dataset, load_folder, load_image
from biosnn.errors import DataError, ParameterError

CLASSES = ("circle", "cross", "square")


def picture(seed: int, shape: tuple[int, ...] = (6, 8)) -> np.ndarray:
    """Random ink on black, with a black border."""
    drawn = np.zeros(shape, np.uint8)
    inside = np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)
    drawn[1:-1, 1:-1] = inside[1:-1, 1:-1]
    return drawn


def fill(folder: Path, n: int = 5, first: int = 0, classes=CLASSES, shape=(6, 8)) -> Path:
    """Write `n` pictures of each class, named 00.png and so on."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            drawn = picture(first + 100 * label + k, shape)
            Image.fromarray(drawn).save(folder / name / f"{k:02}.png")
    return folder


def quiet(path: Path, **how) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_folder(path, **how)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    length = struct.pack(">I", len(header) - 4)
    start = b"\x89PNG\r\n\x1a\n" + length + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 4) + b"IDAT"


def test_each_class_gives_its_share_in_a_fixed_order(tmp_path: Path) -> None:
    data = quiet(fill(tmp_path / "shapes"), test_share=0.4)
    assert (data.name, data.classes, data.problems) == ("shapes", CLASSES, ())
    assert data.train.shape == (6, 8)
    assert data.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert data.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    both = np.concatenate([data.train.images, data.test.images])
    wanted = np.array([picture(100 * label + k) for label in range(3) for k in range(5)])
    assert {image.tobytes() for image in both} == {image.tobytes() for image in wanted}
    again, other = (load_folder(tmp_path / "shapes", test_share=0.4, seed=s) for s in (0, 1))
    assert np.array_equal(again.test.images, data.test.images)
    assert not np.array_equal(other.test.images, data.test.images)
    train, validation, test = data.split_validation(3)
    assert (len(train), validation.labels.tolist(), len(test)) == (6, [0, 1, 2], 6)


def test_parts_that_are_there_are_taken(tmp_path: Path) -> None:
    for first, part in enumerate(("train", "test", "val")):
        fill(tmp_path / part, n=3 - first, first=1000 * first)
    data = quiet(tmp_path)
    assert [len(data.train), len(data.test), len(data.validation)] == [9, 6, 3]
    assert np.array_equal(data.test.images[1], picture(1001))
    train, validation, test = data.split_validation()
    assert (train, validation, test) == (data.train, data.validation, data.test)
    with pytest.raises(ParameterError, match=r"n_validation must be left out: .* comes with 3"):
        data.split_validation(2)
    with pytest.raises(ParameterError, match=r"test_share, seed must be left out, got \(0\.5, 0\)"):
        load_folder(tmp_path, test_share=0.5)
    fill(tmp_path / "more")
    with pytest.raises(DataError, match="and more beside them, which is no part"):
        load_folder(tmp_path)
    os.rename(tmp_path / "more", tmp_path / "validation")
    with pytest.raises(DataError, match="and validation beside them"):
        load_folder(tmp_path)


def test_train_and_test_may_be_classes(tmp_path: Path) -> None:
    data = quiet(fill(tmp_path, classes=("car", "test", "train")))
    assert data.classes == ("car", "test", "train")


@pytest.mark.parametrize("fit", ["whole", "ink"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_those_of_load_image(tmp_path: Path, channels: int, fit: str) -> None:
    fill(tmp_path, n=2, classes=("a",))
    fill(tmp_path, n=2, classes=("b",), shape=(12, 9, 3))
    data = quiet(tmp_path, size=(5, 4), channels=channels, fit=fit, invert=False)
    shape = (5, 4) if channels == 1 else (5, 4, 3)
    assert data.train.shape == shape
    assert data.picture == {"invert": False, "fit": fit}
    for part in (data.train, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            found = [
                np.rint(255 * load_image(file, shape=shape, **data.picture))
                for file in (tmp_path / "ab"[label]).iterdir()
            ]
            assert any(np.array_equal(image.ravel(), one) for one in found)
            assert image.any()


def test_whole_pictures_keep_where_the_ink_is(tmp_path: Path) -> None:
    page = np.zeros((8, 8), np.uint8)
    page[:2, :2] = 200
    Image.fromarray(page).save(tmp_path / "corner.png")
    whole = load_image(tmp_path / "corner.png", shape=(4, 4), fit="whole").reshape(4, 4)
    assert whole[0, 0] == np.float32(200 / 255)
    assert np.count_nonzero(whole) == 1
    centred = load_image(tmp_path / "corner.png", shape=(4, 4)).reshape(4, 4)
    assert centred[0, 0] == 0


def test_every_bad_file_is_reported_and_none_is_fatal(tmp_path: Path) -> None:
    fill(tmp_path)
    cross = tmp_path / "cross"
    (cross / "01.png").write_bytes((cross / "01.png").read_bytes()[:60])
    (cross / "notes.txt").write_text("not a picture")
    (cross / ".hidden").write_text("left out without a word")
    (cross / "huge.png").write_bytes(png_of_size(6_000, 6_000))
    Image.new("L", (8, 6)).save(cross / "blank.png")
    (cross / "nowhere.png").symlink_to(tmp_path / "none.png")
    (cross / "loop.png").symlink_to(cross / "loop.png")
    (cross / "into").symlink_to(tmp_path)
    os.mkfifo(cross / "pipe.png")
    (tmp_path / "README").write_text("about these")
    with pytest.warns(UserWarning, match=r"9 files were left out \(Dataset\.problems has all\)"):
        data = load_folder(tmp_path)
    assert len(data.train) + len(data.test) == 14
    for name, reason in {
        "01.png": "cannot be read as an image",
        "notes.txt": "cannot be read as an image",
        "huge.png": "6000 x 6000 pixels, more than",
        "blank.png": "shows no ink",
        "nowhere.png": "no plain file",
        "loop.png": "no plain file",
        "into": "a folder inside of a class",
        "pipe.png": "no plain file",
        "README": "has no class",
    }.items():
        assert [reason in text for text in data.problems if f"/{name} " in text] == [True], name
    assert not any("hidden" in text for text in data.problems)


def test_numbers_without_a_white_are_reported(tmp_path: Path) -> None:
    """16 bits go from black to white; floats, and more bits, go nowhere in particular."""
    grey = np.arange(256, dtype=np.int32).reshape(16, 16)
    Image.fromarray(257 * grey).save(tmp_path / "16.tiff")
    found = load_image(tmp_path / "16.tiff", shape=(16, 16), invert=False)
    np.testing.assert_allclose(255 * found, grey.ravel(), atol=1e-4)
    for name, values in (("float", np.float32(grey / 255)), ("32", 2**23 * grey)):
        Image.fromarray(values).save(tmp_path / f"{name}.tiff")
        with pytest.raises(DataError, match=rf"{name}\.tiff holds .* what is white; save it again"):
            load_image(tmp_path / f"{name}.tiff", shape=(16, 16), invert=False)


def test_folders_without_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .* one sub-folder per class"):
        load_folder(tmp_path / "none")
    with pytest.raises(DataError, match="each of two or more classes, got 0"):
        load_folder(tmp_path)
    fill(tmp_path, classes=("only",))
    with pytest.raises(DataError, match="each of two or more classes, got 1"):
        load_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty must have at least two, .* got 0 readable"):
        load_folder(tmp_path)
    Image.fromarray(picture(1)).save(tmp_path / "empty" / "one.png")
    with pytest.raises(DataError, match=r"empty must have at least two, .* got 1 readable"):
        load_folder(tmp_path)
    (tmp_path / "empty" / "two.png").write_text("no picture")
    with pytest.raises(DataError, match=r"got 1 readable pictures: .*two\.png cannot be read"):
        load_folder(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path)
    Image.fromarray(picture(2)).save(tmp_path / "empty" / "two.png")
    with pytest.raises(DataError, match="a folder inside of a class"):
        load_folder(tmp_path / "loop" / "loop", size=(6, 8))


def test_parts_with_other_classes_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test", classes=("circle", "cross"))
    with pytest.raises(DataError, match=r"same classes, and .* differ in square"):
        load_folder(tmp_path)


def test_sizes_and_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    Image.fromarray(picture(7, (9, 9))).save(tmp_path / "square" / "other.png")
    message = r"pictures of 2 sizes: .*00\.png has 6 x 8 pixels, .*other\.png 9 x 9; give size="
    with pytest.raises(DataError, match=message):
        load_folder(tmp_path)
    assert quiet(tmp_path, size=(7, 7)).train.shape == (7, 7)
    with pytest.raises(DataError, match="16 files, which make 640000000000 bytes at 200000 x 2"):
        load_folder(tmp_path, size=(200_000, 200_000))
    monkeypatch.setattr("biosnn.datasets.folder._LARGE", 40)
    (tmp_path / "square" / "other.png").unlink()
    with pytest.raises(DataError, match=r"6 x 8 pixels, more than 40; give a smaller size"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"size": (0, 4)}, r"size must be \(height, width\) in pixels, got \(0, 4\)"),
        ({"size": 28}, r"size must be \(height, width\) in pixels, got 28"),
        ({"channels": 2}, "channels must be one of 1, 3, got 2"),
        ({"invert": "maybe"}, "invert must be True, False or 'auto', got 'maybe'"),
        ({"fit": "crop"}, "fit must be one of 'whole', 'ink', got 'crop'"),
        ({"test_share": 1.0}, r"test_share must be in \(0, 1\), got 1\.0"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    ],
)
def test_settings_are_checked(tmp_path: Path, how: dict, message: str) -> None:
    with pytest.raises(ParameterError, match=rf"load_folder\.{message}"):
        load_folder(tmp_path, **how)
