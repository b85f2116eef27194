"""Trained chains of torch layers."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn import surrogate
from biosnn.errors import ParameterError
from biosnn.storage import preprocessing as shown
from biosnn.storage.model import Model, Progress
from biosnn.storage.preprocessing import Takes
from biosnn.surrogate.layer_chain import LayerChain
from biosnn.validation import check_mapping, instance


@attrs.frozen(eq=False, kw_only=True)
class LayeredModel(Model):
    """A chain of torch layers and spiking neurons with its weights, which runs in torch.

    For what has no declaration as a network: converted ReLU networks
    (:func:`biosnn.surrogate.convert`), and convolutions with batch normalisation and spiking
    neurons between them. :func:`biosnn.surrogate.chain_of` takes such a module apart.

    Parameters
    ----------
    chain : LayerChain
        Kinds and sizes of the layers, the neurons, the number of steps, and what is read.
    weights : dict of str to ndarray
        Arrays of the layers.
    preprocessing, values, encoding, provenance, shape, picture, classes
        See :class:`Model`. Without ``encoding`` a sample is shown in every step as it is.

    Raises
    ------
    ParameterError
        If the parts do not fit together.

    Examples
    --------
    >>> chain, weights = surrogate.chain_of(  # doctest: +SKIP
    ...     snn, (1, 28, 28), steps=64, reads="last"
    ... )
    >>> model = LayeredModel(chain=chain, weights=weights)  # doctest: +SKIP
    """

    chain: LayerChain = attrs.field(validator=instance(LayerChain))
    weights: dict[str, NDArray[Any]] = attrs.field()
    labels: NDArray[np.int64] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_mapping("LayeredModel", "weights", self.weights)
        surrogate.chain_module(self.chain, self.weights)
        n = surrogate.n_outputs(self.chain)
        object.__setattr__(self, "labels", np.arange(n))
        self._check()
        if len(self.chain.in_shape) == 3 and self.image_shape != _image(self.chain.in_shape):
            wanted = f"{_image(self.chain.in_shape)}, as the layers have it"
            raise ParameterError("LayeredModel", "shape", self.shape, wanted)

    @property
    def takes(self) -> Takes:
        """What the layers are shown: kind, size and unit."""
        return Takes(
            name="x",
            title=self.chain.name,
            kind="static" if self.encoding is None else "events",
            features=math.prod(self.chain.in_shape),
            steps=self.chain.steps,
        )

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width of the images, and their colours if they have some."""
        if self.shape is None and len(self.chain.in_shape) == 3:
            return _image(self.chain.in_shape)
        return shown.image_shape(self.takes, self.shape)

    def responses(
        self,
        samples: Any,
        device: str = "cpu",
        seed: int = 0,
        *,
        progress: Progress = True,
    ) -> NDArray[np.float64]:
        """Scores of the classes, shape (n, n_classes).

        Parameters, and errors, are those of :meth:`classify`.
        """
        takes = self.takes
        shape = self.image_shape if len(self.chain.in_shape) == 3 else self.shape
        table = shown.prepared(takes, self.preprocessing, self.values, samples, shape)
        run = surrogate.chain_scores
        device = "cpu" if device == "runtime" else device
        if self.encoding is None:
            return run(self.chain, self.weights, self._arranged(table), device)
        found = []
        for first, spikes in shown.drawn(takes, table, seed):
            given = self._arranged(spikes).swapaxes(0, 1)
            found.append(run(self.chain, self.weights, given, device, time_first=True))
            if callable(progress):
                progress(min(first + len(spikes), len(table)), len(table))
        return np.concatenate(found)

    def _arranged(self, table: NDArray[Any]) -> NDArray[Any]:
        """Values (..., features) in the shape of the first layer's input: channels come first."""
        in_shape = self.chain.in_shape
        if len(in_shape) == 1:
            return table
        channels, height, width = in_shape
        return np.moveaxis(table.reshape(*table.shape[:-1], height, width, channels), -1, -3)

    def classify(
        self,
        samples: Any,
        device: str = "cpu",
        seed: int = 0,
        *,
        progress: Progress = True,
    ) -> NDArray[np.int64]:
        """Classify samples.

        Parameters
        ----------
        samples : array_like
            Of shape (n, features), (n, height, width) or with channels behind, as ``values``
            says.
        device : str
            Torch's, such as ``"cpu"`` or ``"cuda"``; ``"runtime"`` is ``"cpu"``.
        seed : int
            Sample ``k`` is shown as the spikes of ``(seed, k)``, where spikes are drawn.
        progress : bool or callable
            Called as ``progress(done, total)`` where spikes are drawn.

        Returns
        -------
        numpy.ndarray of int, shape (n,)
            Labels; -1 for samples whose classes have equal scores.

        Raises
        ------
        DataError
            If the samples have the wrong shape or values.
        ParameterError
            If the device is none of torch's.
        """
        scores = self.responses(samples, device, seed, progress=progress)
        equal = (scores == scores[:, :1]).all(axis=1) & (scores.shape[1] > 1)
        return np.where(equal, -1, scores.argmax(axis=1))


def _image(in_shape: tuple[int, ...]) -> tuple[int, ...]:
    channels, height, width = in_shape
    return (height, width) if channels == 1 else (height, width, channels)
