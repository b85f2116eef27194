"""Read a picture as a sample."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from biosnn.errors import DataError, ParameterError
from biosnn.validation import check_choice, check_path, check_shape

SIDE = 28
#: Most pixels of a picture; it is refused by its header, before memory is taken for it.
MAX_PIXELS = 2**25
_LARGE = 2**22  # pixels above which a picture is made smaller before all else
#: What is read, and no more: Pillow has others interpreted by programs outside.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_INK = 20 / 28  # of the side, in MNIST


def load_image(
    path: str | Path,
    *,
    invert: bool | Literal["auto"] = "auto",
    shape: tuple[int, ...] = (SIDE, SIDE),
    fit: Literal["ink", "whole"] = "ink",
) -> NDArray[np.float32]:
    """Read a picture as a sample, prepared as MNIST's.

    A picture of the wanted size is taken as it is. Any other picture in grey is treated as MNIST's
    makers treated theirs: cropped to the ink, scaled to fit 20/28 of the size, its centre of mass
    put at the centre. Paper texture below a fifth of the strongest ink is dropped, and the ink is
    stretched to 1. A picture in colours is scaled as a whole, and so are all with ``fit="whole"``.

    Parameters
    ----------
    path : path
        A PNG, JPEG, BMP, GIF, TIFF, WebP or PPM file of at most 33.5 million pixels; transparency
        becomes white. Of several pictures in a file, such as an animation, it is the first.
    invert : bool or "auto"
        Whether the ink is dark on bright paper. "auto" looks whether the border is bright; colours
        stay as they are.
    shape : tuple of int
        Height and width of the sample in pixels: of grey values, or with 3 as a third number of
        colours.
    fit : {"ink", "whole"}
        What of a picture of another size is scaled to the wanted one: the ink, as MNIST's, or the
        whole picture, whose proportions then become those of `shape`.

    Returns
    -------
    float32 array [height*width] or [height*width*3]
        Intensities in [0, 1], row by row, the colours of a pixel next to each other; in grey,
        bright ink on black.

    Raises
    ------
    DataError
        If the file is missing, is no image, is too large, shows no ink, or holds numbers of which
        it does not say what is white: floats, or more than 16 bits.
    ParameterError
        If `invert`, `shape` or `fit` is something else.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), section III.A, doi:10.1109/5.726791.
    """
    check_path("load_image", "path", path)
    if not isinstance(invert, bool | str) or invert not in (True, False, "auto"):
        raise ParameterError("load_image", "invert", repr(invert), "True, False or 'auto'")
    check_choice("load_image", "fit", fit, ("ink", "whole"))
    wanted = "(height, width) or (height, width, 3) in pixels"
    shape = check_shape("load_image", "shape", shape, wanted, (2, 3))
    if max(shape) > MAX_PIXELS or shape[2:] not in ((), (3,)):
        raise ParameterError("load_image", "shape", shape, wanted)
    colours = _read(Path(path))
    if (len(shape) == 3 or fit == "whole") and colours.size != (shape[1], shape[0]):
        colours = colours.resize((shape[1], shape[0]), Image.Resampling.BOX)
    if len(shape) == 3:
        pixels = np.asarray(colours)
        return np.divide(255 - pixels if invert is True else pixels, 255, dtype=np.float32).ravel()
    grey = np.asarray(colours.convert("L"))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    if invert is True or (invert == "auto" and paper > 127):
        grey, paper = 255 - grey, 255 - paper
    fits = grey.shape == shape
    ink = np.subtract(grey, 0 if fits else paper, dtype=np.float32)
    if ink.max() <= 0:
        raise DataError(f"{path} shows no ink; check the picture, or set invert to True or False")
    return (np.divide(ink, 255, dtype=np.float32) if fits else _centred(ink, shape)).ravel()


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a picture as `load_image` takes it, by its header: upright.

    Raises
    ------
    DataError
        As `load_image`.
    """
    with _opened(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        width, height = image.size
        return (width, height) if turned else (height, width)


def _read(path: Path) -> Image.Image:
    """Read a picture in colours, upright, transparency on white; a large one at a lower scale."""
    with _opened(path) as image:
        if image.mode == "F" or (image.mode == "I" and not _has_16_bits(image)):
            kind = "floating-point numbers" if image.mode == "F" else "numbers beyond 16 bits"
            raise DataError(
                f"{path} holds {kind}, of which it does not say what is white; save it again with "
                "8 or 16 bits, or give the numbers as an array"
            )
        return _on_white(image)


def _has_16_bits(image: Image.Image) -> bool:
    low, high = image.getextrema()
    return float(low) >= 0 and float(high) < 2**16  # pyright: ignore


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture of a known format and of a size that is read; errors name the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we look ourselves
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise DataError(
                        f"{path} has {width} x {height} pixels, more than {MAX_PIXELS}; save it "
                        "at a smaller size"
                    )
                yield image
    except FileNotFoundError as error:
        raise DataError(f"The image {path} does not exist; check the path") from error
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}); save it again as PNG"
        ) from error


def _on_white(image: Image.Image) -> Image.Image:
    factor = int(np.ceil(np.sqrt(image.size[0] * image.size[1] / _LARGE)))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    elif image.mode in ("1", "P"):
        image = image.convert("RGBA")
    small = image.reduce(factor) if factor > 1 else image.copy()
    small.getexif()[ExifTags.Base.Orientation] = orientation
    colours = ImageOps.exif_transpose(small).convert("RGBA")
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")


def _centred(ink: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Crop, scale and centre ink of any size and strength as in MNIST."""
    ink = np.where(ink < 0.2 * ink.max(), 0, ink)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(_INK * side / length for side, length in zip(shape, crop.shape, strict=True))
    height, width = (max(1, round(scale * length)) for length in crop.shape)
    small = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BICUBIC))
    small = np.clip(small / small.max(), 0, 1)
    centre = np.tensordot(small, np.indices(small.shape), axes=([0, 1], [1, 2])) / small.sum()
    corner = np.rint(np.divide(shape, 2) - centre).astype(int)
    top, left = np.clip(corner, 0, (shape[0] - height, shape[1] - width))
    canvas = np.zeros(shape, np.float32)
    canvas[top : top + height, left : left + width] = small
    return canvas
