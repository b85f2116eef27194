"""One's own picture of a digit as a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from biosnn.errors import DataError, ParameterError

SIDE = 28


def load_image(path: str | Path, *, invert: bool | Literal["auto"] = "auto") -> NDArray[np.float32]:
    """Read one picture of a digit as a sample like MNIST's.

    A picture of 28 x 28 pixels is taken as it is. Any other is treated as MNIST's makers treated
    theirs: cropped to the ink, scaled to fit 20 x 20 pixels, its centre of mass put at the centre
    of 28 x 28. Paper texture below a fifth of the strongest ink is dropped, and the ink is
    stretched to 1.

    Parameters
    ----------
    path : path
        Any format that Pillow reads; colours become grey, transparency becomes white.
    invert : bool or "auto"
        Whether the ink is dark on bright paper. "auto" looks whether the border is bright.

    Returns
    -------
    float32 array [784]
        Bright ink on black, in [0, 1].

    Raises
    ------
    DataError
        If the file is missing, is no image or shows no ink.
    ParameterError
        If `invert` is something else.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), section III.A, doi:10.1109/5.726791.
    """
    if not (isinstance(invert, bool) or invert == "auto"):
        raise ParameterError("load_image", "invert", repr(invert), "True, False or 'auto'")
    grey = _read_grey(Path(path))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    if invert is True or (invert == "auto" and paper > 127):
        grey, paper = 255 - grey, 255 - paper
    fits = grey.shape == (SIDE, SIDE)
    ink = np.subtract(grey, 0 if fits else paper, dtype=np.float32)
    if ink.max() <= 0:
        raise DataError(f"{path} shows no ink; check the picture, or set invert to True or False")
    return (np.divide(ink, 255, dtype=np.float32) if fits else _centred(ink)).ravel()


def _read_grey(path: Path) -> NDArray[np.uint8]:
    """Read a picture as grey values, upright, transparency on white."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16-bit grey, which convert() would clip
                upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
            colours = upright.convert("RGBA")
    except FileNotFoundError as error:
        raise DataError(f"The image {path} does not exist; check the path") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}); save it again as PNG"
        ) from error
    white = Image.new("RGBA", colours.size, "white")
    return np.asarray(Image.alpha_composite(white, colours).convert("L"))


def _centred(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crop, scale and centre ink of any size and strength as in MNIST."""
    ink = np.where(ink < 0.2 * ink.max(), 0, ink)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    crop = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(20 * length / max(crop.shape))) for length in crop.shape)
    small = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BICUBIC))
    small = np.clip(small / small.max(), 0, 1)
    centre = np.tensordot(small, np.indices(small.shape), axes=([0, 1], [1, 2])) / small.sum()
    corner = np.rint(SIDE / 2 - centre).astype(int)
    top, left = np.clip(corner, 0, (SIDE - height, SIDE - width))
    canvas = np.zeros((SIDE, SIDE), np.float32)
    canvas[top : top + height, left : left + width] = small
    return canvas
