"""What all trained models have: samples, their preprocessing, classes, and where they come from."""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import brian2
import numpy as np
import sklearn
from numpy.typing import NDArray

from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.storage import preprocessing as shown
from biosnn.storage.preprocessing import Takes
from biosnn.validation import check_choice, check_mapping, choice, describe
from biosnn.version import __version__

#: Longest name of a class.
_LONGEST = 255  # as of folders
SILENT = "silent"
#: What may be said of pictures, in words; ``invert`` may also be True or False.
_PICTURE = {"invert": ("auto",), "fit": ("ink", "whole")}
Progress = bool | Callable[[int, int | None], None]


def provenance(**facts: Any) -> dict[str, Any]:
    """Collect where a model comes from: versions, date, and the facts given.

    Parameters
    ----------
    **facts
        What else shall be known: ``seed``, ``dataset``, ``samples`` (split -> number),
        ``metrics`` (name -> fraction), ``training`` (parameters), … : numbers, strings,
        quantities and containers of them.

    Returns
    -------
    dict
        The facts as they will be loaded (lists become tuples, NumPy's numbers Python's), with
        ``biosnn``, ``brian2``, ``numpy``, ``scikit-learn``, ``python`` and ``date``; those of
        the facts win.

    Raises
    ------
    StorageError
        If a fact cannot be stored.
    """
    versions = {
        "biosnn": __version__,
        "brian2": brian2.__version__,
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return from_data(to_data({**versions, **facts}))


def _names(classes: Any) -> Any:
    return tuple(classes) if isinstance(classes, list) else classes


@attrs.frozen(eq=False, kw_only=True)
class Model(ABC):
    """A trained model that can be stored in a file: :class:`TrainedModel`, :class:`LayeredModel`.

    Parameters
    ----------
    preprocessing : dict
        What the values of a sample become before they are shown, in this order: ``"minmax"``, a
        dict of ``"scale"`` and ``"min"`` for each feature, as of scikit-learn's MinMaxScaler;
        ``"levels"``, a whole number: values are rounded to steps of 1/levels (255: to bytes);
        ``"scale_norm"`` or ``"norm"``, the Euclidean norm that each sample gets (the former
        rounds to single precision); and ``"scale"``, the factor on every value. An input with a
        unit needs the latter, in that unit: ``{"scale": 150*nA}``. Of address events instead
        ``"select_polarity"``, ``"pool"`` and ``"crop_time"``, the arguments of the functions of
        these names in :mod:`biosnn.datasets`.
    values : {"intensities", "numbers"}
        What samples are: floats from 0 to 1 or bytes, of which 255 means 1; or any numbers.
    encoding : {None, "bernoulli"}
        None shows the values as they are, and an encoder inside a network may draw spikes of
        them. ``"bernoulli"`` is for networks that are shown spikes: in each step a unit fires
        with the probability that its value is, drawn with the seed.
    provenance : dict
        See :func:`provenance`, which completes it.
    shape : tuple of int, optional
        Height and width of the images in pixels, and their colours if they have some; default:
        grey and square. The rows of an image are the frames of a sequence.
    picture : dict
        How pictures were prepared for training: ``"invert"`` and ``"fit"``, as of
        :func:`biosnn.datasets.load_image`, which prepares those that are classified.
    classes : tuple of str, optional
        Names of the classes, in the order of the readout's ``classes_``.
    """

    preprocessing: dict[str, Any] = attrs.field(factory=dict, converter=dict)
    values: str = attrs.field(default="intensities", validator=choice("intensities", "numbers"))
    encoding: str | None = None
    provenance: dict[str, Any] = attrs.field(factory=dict, converter=lambda x: provenance(**x))
    shape: tuple[int, ...] | None = None
    picture: dict[str, Any] = attrs.field(factory=dict)
    classes: tuple[str, ...] | None = attrs.field(default=None, converter=_names)

    @property
    @abstractmethod
    def takes(self) -> Takes:
        """What it is shown: kind, size and unit."""

    @property
    @abstractmethod
    def labels(self) -> NDArray[np.int64] | None:
        """The labels that it may give, in the order of ``classes``; None without a readout."""

    @abstractmethod
    def classify(
        self, samples: Any, device: str, seed: int = 0, *, progress: Progress = True
    ) -> NDArray[np.int64]:
        """Labels of samples."""

    def _check(self) -> None:
        """Check the fields that all models have."""
        where = "TrainedModel"
        if self.preprocessing or self.encoding is not None or self.shape is not None:
            takes = self.takes
            shown.check_encoding(takes, self.encoding)
            shown.check_steps(takes, self.preprocessing, self.values, self.encoding)
            if self.shape is not None:
                shown.check_shape(takes, self.shape)
        check_mapping(where, "picture", self.picture)
        for name, value in self.picture.items():
            if name not in _PICTURE:
                wanted = f"made of {' and '.join(_PICTURE)}"
                raise ParameterError(where, "picture", repr(name), wanted)
            if name != "invert" or not isinstance(value, bool):
                check_choice(where, f"picture[{name!r}]", value, _PICTURE[name])
        if self.classes is not None:
            self._check_classes(self.classes)

    def _check_classes(self, classes: Any) -> None:
        good = isinstance(classes, tuple) and all(
            isinstance(name, str) and 0 < len(name) <= _LONGEST for name in classes
        )
        if not good or len(set(classes)) != len(classes):
            wanted = f"different names of at most {_LONGEST} characters"
            raise ParameterError("TrainedModel", "classes", describe(classes), wanted)
        if self.labels is None or len(self.labels) != len(classes):
            n = "no readout" if self.labels is None else f"{len(self.labels)} classes"
            got = f"{len(classes)} names"
            raise ParameterError("TrainedModel", "classes", got, f"one per class ({n})")

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width of the images, and their colours if they have some.

        Raises
        ------
        DataError
            If it was not said, and the input is no square.
        """
        return shown.image_shape(self.takes, self.shape)

    def names(self, labels: NDArray[np.int64]) -> list[str]:
        """Names of the classes of labels; ``"silent"`` for -1.

        Parameters
        ----------
        labels : array of int, shape (n,)
            What :meth:`classify` returned.
        """
        known = [] if self.labels is None else self.labels.tolist()
        names = list(map(str, known)) if self.classes is None else self.classes
        named = {**dict(zip(known, names, strict=True)), -1: SILENT}
        return [named[label] for label in np.asarray(labels).tolist()]
