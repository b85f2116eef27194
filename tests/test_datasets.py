"""The bundled digits, the IDX loaders, the validation split and `load_image`."""

import gzip
import hashlib
import re
import runpy
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from biosnn.datasets import (
    Dataset,
    Split,
    load_dataset,
    load_digits,
    load_fashion_mnist,
    load_image,
    load_mnist,
    train_validation_split,
)
from biosnn.errors import DataError, ParameterError

DATA = resources.files("biosnn") / "data"
SCRIPT = Path(__file__).parents[1] / "scripts" / "build_digits.py"


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_digits()


def small_split(n: int = 30, seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return Split(images, np.arange(n) % 10)


def idx_bytes(array: np.ndarray) -> bytes:
    """Return the IDX file of an array of unsigned bytes."""
    return np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes() + array.tobytes()


def write_idx(folder: Path, train: Split, test: Split, *, zipped: bool = False) -> Path:
    """Write the four files of an MNIST-like set into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, split in (("train", train), ("t10k", test)):
        for part, array in (
            ("images-idx3", split.images),
            ("labels-idx1", split.labels.astype(np.uint8)),
        ):
            file, content = folder / f"{prefix}-{part}-ubyte", idx_bytes(array)
            if zipped:
                file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content))
            else:
                file.write_bytes(content)
    return folder


def same(split: Split, other: Split) -> bool:
    return np.array_equal(split.images, other.images) and np.array_equal(split.labels, other.labels)


# --- Split and Dataset ---------------------------------------------------------------------------


def test_split_keeps_types_and_order() -> None:
    split = small_split(12)
    first = split.take(5)
    assert len(split) == 12
    assert len(first) == 5
    assert split.labels.dtype == np.int64
    assert np.array_equal(first.images, split.images[:5])
    assert np.array_equal(first.labels, split.labels[:5])


def test_flat_gives_rows_between_0_and_1() -> None:
    split = Split(
        np.arange(784, dtype=np.uint16).clip(0, 255).astype(np.uint8).reshape(1, 28, 28), [3]
    )
    flat = split.flat()
    assert flat.shape == (1, 784)
    assert flat.dtype == np.float32
    assert np.array_equal(flat[0, :256], np.arange(256, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize("n", [0, 13])
def test_take_refuses_what_is_not_there(n: int) -> None:
    with pytest.raises(
        ParameterError, match=rf"Split\.take\.n must be a whole number from 1 to 12, got {n}"
    ):
        small_split(12).take(n)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((2, 28, 28)),
            [0, 1],
            r"Split\.images must be a uint8 .* got float64 \[2, 28, 28\]",
        ),
        (np.zeros((2, 784), np.uint8), [0, 1], r"Split\.images .* got uint8 \[2, 784\]"),
        (np.zeros((0, 28, 28), np.uint8), [], r"Split\.images .* got uint8 \[0, 28, 28\]"),
        (np.zeros((2, 28, 0), np.uint8), [0, 1], r"Split\.images .* got uint8 \[2, 28, 0\]"),
        (
            np.zeros((2, 28, 28), np.uint8),
            [0.0, 1.0],
            r"Split\.labels must be an integer .* float64",
        ),
        (np.zeros((2, 28, 28), np.uint8), [[0], [1]], r"Split\.labels .* got int64 \[2, 1\]"),
        (np.zeros((2, 28, 28), np.uint8), [0], r"Split\.labels .* 1 labels for 2 images"),
    ],
)
def test_split_refuses_other_arrays(images: np.ndarray, labels: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(images, labels)


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (32, 32, 3)])
def test_images_have_any_size_and_channels(shape: tuple[int, ...]) -> None:
    """C11: it knew 28 x 28 only."""
    images = np.random.default_rng(1).integers(0, 256, (6, *shape), dtype=np.uint8)
    split = Split(images, np.arange(6))
    assert split.shape == split.take(2).shape == shape
    assert split.flat().shape == (6, np.prod(shape))
    assert np.array_equal(split.flat()[3], images[3].ravel() / np.float32(255))
    train, validation = train_validation_split(split, 2, seed=0)
    assert train.shape == validation.shape == shape
    Dataset("some", train, validation, n_classes=6, source="tests")
    with pytest.raises(DataError, match=r"'some' has training images of shape .*test images of"):
        Dataset("some", train, small_split(), n_classes=10, source="tests")


@pytest.mark.parametrize(("label", "seen"), [(10, "0 to 10"), (-1, "-1 to 9")])
def test_dataset_refuses_labels_outside_the_classes(label: int, seen: str) -> None:
    split = small_split(12)
    wrong = Split(split.images, np.append(split.labels[:-1], label))
    message = rf"Dataset\.test of 'some' must have labels between 0 and 9, got {seen}"
    with pytest.raises(DataError, match=message):
        Dataset("some", split, wrong, n_classes=10, source="tests")


# --- validation split ----------------------------------------------------------------------------


def numbered(labels: np.ndarray) -> Split:
    """Return images whose first two pixels say which one they are."""
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(len(labels)), 256)
    return Split(images, labels)


def numbers(split: Split) -> np.ndarray:
    return split.images[:, 0, 0].astype(int) * 256 + split.images[:, 0, 1]


def test_validation_is_balanced_disjoint_and_ordered(digits: Dataset) -> None:
    split = numbered(digits.train.labels)
    train, validation = train_validation_split(split, 500, seed=4)
    assert (len(train), len(validation)) == (9_500, 500)
    assert np.bincount(validation.labels).tolist() == [50] * 10
    both = np.concatenate([numbers(train), numbers(validation)])
    assert np.array_equal(np.sort(both), np.arange(10_000))
    for part in (train, validation):
        assert (np.diff(numbers(part)) > 0).all()
        assert np.array_equal(part.labels, split.labels[numbers(part)])


@pytest.mark.parametrize("n_validation", [1, 7, 33, 99])
def test_every_class_gives_its_share(n_validation: int) -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    split = Split(np.zeros((100, 28, 28), np.uint8), labels)
    train, validation = train_validation_split(split, n_validation, seed=0)
    counts = np.bincount(validation.labels, minlength=3)
    assert counts.sum() == n_validation
    assert np.all(np.abs(counts - n_validation * np.array([0.5, 0.3, 0.2])) < 1)
    assert np.array_equal(counts + np.bincount(train.labels, minlength=3), [50, 30, 20])


def test_validation_depends_on_the_seed_alone() -> None:
    split = small_split(200)
    (_, one), (_, again), (_, other) = (train_validation_split(split, 40, s) for s in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def test_dataset_splits_its_training_part() -> None:
    dataset = Dataset("some", small_split(40), small_split(10), n_classes=10, source="tests")
    train, validation, test = dataset.split_validation(10, seed=3)
    expected = train_validation_split(dataset.train, 10, seed=3)
    assert same(train, expected[0])
    assert same(validation, expected[1])
    assert test is dataset.test


@pytest.mark.parametrize("n_validation", [0, 30])
def test_validation_needs_images_on_both_sides(n_validation: int) -> None:
    message = rf"n_validation must be a whole number from 1 to 29, got {n_validation}"
    with pytest.raises(ParameterError, match=message):
        train_validation_split(small_split(30), n_validation, seed=0)


@pytest.mark.parametrize("seed", [-1, None, 0.5])
def test_validation_needs_a_seed(seed: object) -> None:
    with pytest.raises(ParameterError, match=rf"seed must be a whole number >= 0, got {seed}"):
        train_validation_split(small_split(30), 5, seed=seed)


# --- the bundled digits --------------------------------------------------------------------------


def test_digits_are_balanced(digits: Dataset) -> None:
    assert (digits.name, digits.n_classes) == ("digits", 10)
    assert digits.train.images.shape == digits.test.images.shape == (10_000, 28, 28)
    assert np.bincount(digits.train.labels).tolist() == [1000] * 10
    assert np.bincount(digits.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009
    ]  # fmt: skip
    assert "10.1109/5.726791" in digits.source
    assert "CC BY-SA 3.0" in digits.source


def test_digits_are_those_of_the_provenance() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([\dx, ]+) \| `([0-9a-f]{64})` \|$",
        (DATA / "PROVENANCE.md").read_text(),
        flags=re.MULTILINE,
    )
    with (DATA / "digits.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        assert [name for name, *_ in rows] == arrays.files
        for name, dtype, shape, checksum in rows:
            array = arrays[name]
            assert str(array.dtype) == dtype
            assert array.shape == tuple(int(n) for n in shape.replace(",", "").split(" x "))
            assert hashlib.sha256(array).hexdigest() == checksum
        indices = arrays["train_indices"].astype(int)
    assert (np.diff(indices) > 0).all()
    assert indices[-1] < 60_000


def test_missing_bundle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(DataError, match=r"digits\.npz is missing; install biosnn again"):
        load_digits()


@pytest.mark.skipif(not SCRIPT.is_file(), reason="needs the repository's scripts/")
def test_script_builds_the_subset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test = small_split(60), small_split(20, seed=1)
    write_idx(tmp_path, train, test, zipped=True)
    main = runpy.run_path(str(SCRIPT))["main"]
    bundles, prints = [], []
    for out in (tmp_path / "one.npz", tmp_path / "two.npz"):
        main(["--data-dir", str(tmp_path), "--out", str(out), "--per-class", "2"])
        bundles.append(dict(np.load(out, allow_pickle=False)))
        prints.append(capsys.readouterr().out)
    one, two = bundles
    chosen = one["train_indices"]
    assert prints[0] == prints[1]
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert np.bincount(one["train_labels"]).tolist() == [2] * 10
    assert (np.diff(chosen.astype(int)) > 0).all()
    assert np.array_equal(one["train_images"], train.images[chosen])
    assert np.array_equal(one["train_labels"], train.labels[chosen])
    assert np.array_equal(one["test_images"], test.images)
    assert np.array_equal(one["test_labels"], test.labels)


# --- IDX files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("load", "name", "layout"),
    [
        (load_mnist, "mnist", "."),
        (load_mnist, "mnist", "MNIST/raw"),
        (load_fashion_mnist, "fashion-mnist", "."),
        (load_fashion_mnist, "fashion-mnist", "FashionMNIST/raw"),
    ],
)
def test_reads_every_layout(tmp_path: Path, load, name: str, layout: str, zipped: bool) -> None:
    train, test = small_split(30), small_split(10, seed=1)
    write_idx(tmp_path / layout, train, test, zipped=zipped)
    dataset = load(tmp_path)
    assert (dataset.name, dataset.n_classes) == (name, 10)
    assert same(dataset.train, train)
    assert same(dataset.test, test)
    assert dataset.train.images.flags.writeable


def test_fashion_is_not_mistaken_for_digits(tmp_path: Path) -> None:
    digits, clothes = small_split(30), small_split(30, seed=1)
    write_idx(tmp_path, digits, digits)
    write_idx(tmp_path / "FashionMNIST" / "raw", clothes, clothes)
    assert same(load_mnist(tmp_path).train, digits)
    assert same(load_fashion_mnist(tmp_path).train, clothes)


def test_load_dataset_knows_the_names(tmp_path: Path, digits: Dataset) -> None:
    write_idx(tmp_path, small_split(), small_split())
    assert same(load_dataset("digits").test, digits.test)
    assert load_dataset("mnist", tmp_path).name == "mnist"
    assert load_dataset("fashion-mnist", str(tmp_path)).name == "fashion-mnist"


def test_load_dataset_lists_the_names() -> None:
    message = r"name must be one of 'digits', 'mnist', 'fashion-mnist', got 'cifar'"
    with pytest.raises(ParameterError, match=message):
        load_dataset("cifar")


def test_bundled_digits_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"data_dir must be None for the bundled 'digits'"):
        load_dataset("digits", tmp_path)


def test_missing_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; .*data_dir.*biosnn\[torch\]"):
        load_mnist(tmp_path / "nowhere")


def test_default_folder_is_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biosnn.datasets.loading.user_cache_path", lambda name: tmp_path / name)
    with pytest.raises(DataError, match=r"biosnn does not exist; .*download=True"):
        load_mnist()
    write_idx(tmp_path / "biosnn" / "MNIST" / "raw", small_split(), small_split())
    assert len(load_mnist().train) == 30


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ],
)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_idx(tmp_path, small_split(), small_split())
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing, and so is its \.gz; .*data_dir"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("length", [6, 16, 1000])
def test_truncated_file_is_named(tmp_path: Path, length: int) -> None:
    file = write_idx(tmp_path, small_split(), small_split()) / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:length])
    message = rf"train-images-idx3-ubyte holds {length} bytes .* promises \d+; download it again"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-200], lambda b: b"<html>", lambda b: b[:20] + b"x" * 99]
)
def test_broken_gzip_is_named(tmp_path: Path, damage) -> None:
    file = write_idx(tmp_path, small_split(), small_split(), zipped=True)
    file = file / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    message = r"ubyte\.gz (cannot be read|has a header that) .*; download it again"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


def test_wrong_magic_number_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path, small_split(), small_split())
    images = (tmp_path / "train-images-idx3-ubyte").read_bytes()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(images)
    message = r"train-labels-idx1-ubyte starts with 0x00000803 instead of 0x00000801"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


def test_labels_of_another_set_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, small_split(), small_split())
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(7, np.uint8)))
    message = r"t10k-images-idx3-ubyte holds 30 images but .*t10k-labels-idx1-ubyte 7 labels"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


# --- torchvision ---------------------------------------------------------------------------------


def test_download_without_torchvision_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r'MNIST needs torchvision.*pip install "biosnn\[torch\]"'):
        load_mnist(tmp_path, download=True)


def fake_torchvision(monkeypatch: pytest.MonkeyPatch, get) -> None:
    module = ModuleType("torchvision")
    module.datasets = SimpleNamespace(MNIST=get, FashionMNIST=get)
    monkeypatch.setitem(sys.modules, "torchvision", module)


def test_download_is_read_where_torchvision_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clothes = small_split()

    def get(root: Path, download: bool) -> None:
        assert download
        write_idx(root / "FashionMNIST" / "raw", clothes, clothes)

    fake_torchvision(monkeypatch, get)
    assert same(load_fashion_mnist(tmp_path / "new", download=True).train, clothes)


def test_failed_download_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(root: Path, download: bool) -> None:
        raise RuntimeError("Error downloading train-images")

    fake_torchvision(monkeypatch, get)
    message = r"could not get MNIST into .*Error downloading train-images.*check the network"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path, download=True)


def test_torchvision_accepts_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    train, test = small_split(30), small_split(10, seed=1)
    write_idx(tmp_path / "MNIST" / "raw", train, test)
    dataset = load_mnist(tmp_path, download=True)
    assert same(dataset.train, train)
    assert same(dataset.test, test)


# --- load_image ----------------------------------------------------------------------------------


def save(file: Path, array: np.ndarray) -> Path:
    Image.fromarray(array).save(file)
    return file


@pytest.mark.parametrize("invert", ["auto", True])
def test_digit_comes_back_from_white_paper(digits: Dataset, tmp_path: Path, invert) -> None:
    file = save(tmp_path / "digit.png", 255 - digits.test.images[7])
    sample = load_image(file, invert=invert)
    assert np.array_equal(sample, digits.test.flat()[7])


@pytest.mark.parametrize("invert", ["auto", False])
def test_digit_comes_back_from_black_paper(digits: Dataset, tmp_path: Path, invert) -> None:
    sample = load_image(save(tmp_path / "digit.png", digits.test.images[7]), invert=invert)
    assert sample.shape == (784,)
    assert sample.dtype == np.float32
    assert np.array_equal(sample, digits.test.flat()[7])


def test_colours_depths_and_transparency(digits: Dataset, tmp_path: Path) -> None:
    digit, expected = digits.test.images[7], digits.test.flat()[7]
    colours = np.repeat(digit[..., None], 3, axis=2)
    deep = digit.astype(np.uint16) * 257
    ink_on_glass = np.zeros((28, 28, 4), np.uint8)
    ink_on_glass[..., 3] = digit
    for name, picture in (("rgb", colours), ("deep", deep), ("glass", ink_on_glass)):
        sample = load_image(save(tmp_path / f"{name}.png", picture))
        assert np.allclose(sample, expected, atol=1 / 255), name


def test_large_drawing_becomes_like_mnist(digits: Dataset, tmp_path: Path) -> None:
    similarity = []
    for image in digits.test.images[:20]:
        drawing = Image.fromarray(image).resize((280, 280), Image.Resampling.BICUBIC)
        page = np.full((400, 500), 230, np.uint8)
        page[30:310, 150:430] -= np.asarray(drawing) // 2
        sample = load_image(save(tmp_path / "page.png", page)).reshape(28, 28)
        rows, columns = (np.flatnonzero(sample.any(axis=axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert sample.max() == 1
        centre = np.tensordot(sample, np.indices((28, 28)), axes=([0, 1], [1, 2])) / sample.sum()
        assert np.all(np.abs(centre - 14) < 0.51)
        similarity.append(np.corrcoef(sample.ravel(), image.ravel())[0, 1])
    assert np.mean(similarity) > 0.9


def test_lone_stroke_in_a_corner_is_centred(tmp_path: Path) -> None:
    page = np.full((200, 100), 255, np.uint8)
    page[1:61, 1:4] = 0
    sample = load_image(save(tmp_path / "one.png", page)).reshape(28, 28)
    assert np.array_equal(np.flatnonzero(sample.any(axis=0)), [14])
    assert np.array_equal(np.flatnonzero(sample.any(axis=1)), np.arange(4, 24))


@pytest.mark.parametrize("side", [28, 50])
def test_blank_page_is_refused(tmp_path: Path, side: int) -> None:
    file = save(tmp_path / "blank.png", np.full((side, side), 255, np.uint8))
    with pytest.raises(DataError, match=r"blank\.png shows no ink"):
        load_image(file)


def test_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png does not exist"):
        load_image(tmp_path / "none.png")


def test_unreadable_image_is_named(digits: Dataset, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    cut = save(tmp_path / "cut.png", digits.test.images[0])
    cut.write_bytes(cut.read_bytes()[:-60])
    for file in (text, cut):
        with pytest.raises(DataError, match=rf"{file.name} cannot be read as an image"):
            load_image(file)


def test_invert_is_a_choice_of_three(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"invert must be True, False or 'auto', got 'maybe'"):
        load_image(tmp_path / "any.png", invert="maybe")


def test_digits_of_another_size_are_centred_as_in_mnist(digits: Dataset, tmp_path: Path) -> None:
    """C11: a drawing for a model of 14 x 14 pixels, and for one that is not square."""
    drawing = Image.fromarray(digits.test.images[7]).resize((140, 140))
    file = save(tmp_path / "page.png", 255 - np.asarray(drawing))
    small = load_image(file, shape=(14, 14)).reshape(14, 14)
    rows, columns = (np.flatnonzero(small.any(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 10
    assert small.max() == 1
    wide = load_image(file, shape=(28, 40)).reshape(28, 40)
    square = load_image(file).reshape(28, 28)
    assert np.corrcoef(wide[:, 6:-6].ravel(), square.ravel())[0, 1] > 0.95
    exact = np.random.default_rng(0).integers(0, 100, (5, 7), dtype=np.uint8)
    found = load_image(save(tmp_path / "exact.png", exact), shape=(5, 7))
    assert np.array_equal(found, exact.ravel() / np.float32(255))


def test_colours_are_kept(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = save(tmp_path / "colours.png", colours)
    assert np.array_equal(load_image(file, shape=(8, 8, 3)), colours.ravel() / np.float32(255))
    inverted = load_image(file, shape=(8, 8, 3), invert=True)
    assert np.array_equal(inverted, (255 - colours).ravel() / np.float32(255))
    halved = load_image(file, shape=(4, 4, 3)).reshape(4, 4, 3)
    means = colours.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(halved, means, atol=1 / 255)


@pytest.mark.parametrize("shape", [28, (28,), (28, 28, 4), (0, 28), (28.0, 28), (1, 28, 28)])
def test_shapes_are_checked(tmp_path: Path, shape: object) -> None:
    with pytest.raises(ParameterError, match=r"shape must be \(height, width\) or"):
        load_image(tmp_path / "any.png", shape=shape)


def test_pictures_are_turned_upright(digits: Dataset, tmp_path: Path) -> None:
    """A camera says how it was held; large pictures are made smaller first."""
    page = np.full((3000, 2000), 255, np.uint8)
    page[200:1400, 300:500] = 0
    page[1200:1400, 300:1200] = 0
    turned = Image.fromarray(np.rot90(page))
    exif = turned.getexif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif)
    save(tmp_path / "upright.png", page)
    wanted = load_image(tmp_path / "upright.png")
    found = load_image(tmp_path / "turned.jpg")
    assert np.corrcoef(wanted, found)[0, 1] > 0.99
