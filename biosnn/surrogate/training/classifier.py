"""A spiking classifier with the interface of scikit-learn, trained by surrogate gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from brian2 import ms
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor

from biosnn.encoding import intensities
from biosnn.errors import DataError, ParameterError
from biosnn.models import NeuronModel
from biosnn.networks import NetworkModel, feedforward, threshold_neuron
from biosnn.state import State
from biosnn.surrogate.nn.network import SurrogateNetwork
from biosnn.surrogate.training.batches import Batches, DirectEncoder, PoissonEncoder
from biosnn.surrogate.training.history import History
from biosnn.surrogate.training.loop import evaluate, respond, train
from biosnn.surrogate.training.losses import Loss, RateCrossEntropy
from biosnn.validation import check_choice


class LIFClassifier(ClassifierMixin, BaseEstimator):
    """Layers of leaky integrate-and-fire neurons, trained by surrogate gradients.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of features, hidden neurons and classes.
    T : int
        Time steps for which a sample is shown.
    tau : Quantity
        Membrane time constant.
    dt : Quantity
        Time step.
    encoding : {"poisson", "direct"}
        Spikes with the probability of a pixel in every step, or at regular
        intervals, in every step for the largest value.
    reset : {"hard", "soft"}
        To 0, or by subtraction of the threshold.
    neuron : NeuronModel, optional
        Other neurons than :func:`biosnn.networks.threshold_neuron` gives; `tau` and `reset` do
        not matter then.
    weight_scale : float
        Factor on the weights of ``torch.nn.Linear`` at the start.
    surrogate : str or SurrogateFunction
        Gradient of the spike.
    detach_reset : bool
        Whether no gradient goes through resets.
    loss : Loss, optional
        By default :class:`RateCrossEntropy`.
    optimiser : {"adam", "sgd"}
    lr : float
        Learning rate at the beginning; it goes down to 0 along a cosine.
    batch_size, epochs : int
    amp : bool
        Compute in bfloat16 where torch thinks it safe.
    workers : int
        Processes that encode.
    device : str
        Such as ``"cpu"`` or ``"cuda"``.
    seed : int
        Of initial weights, order and encoding.
    progress : bool
        Show a bar on stderr.

    Attributes
    ----------
    classes_ : array
        Labels, in the order of the output neurons.
    module : SurrogateNetwork
        The trained network.
    history : History
        Loss and accuracy of every epoch.

    Raises
    ------
    ParameterError, DataError
        On ``fit``, if a parameter is out of its bound or the data do not fit `sizes`.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 10),
        *,
        T: int = 20,
        tau: Any = 10 * ms,
        dt: Any = 1 * ms,
        encoding: str = "poisson",
        reset: str = "hard",
        neuron: NeuronModel | None = None,
        weight_scale: float = 1.0,
        surrogate: Any = "atan",
        detach_reset: bool = True,
        loss: Loss | None = None,
        optimiser: str = "adam",
        lr: float = 1e-3,
        batch_size: int = 128,
        epochs: int = 5,
        amp: bool = False,
        workers: int = 0,
        device: str = "cpu",
        seed: int = 0,
        progress: bool = False,
    ):
        self.sizes, self.T, self.tau, self.dt = sizes, T, tau, dt
        self.encoding, self.reset, self.neuron = encoding, reset, neuron
        self.weight_scale, self.surrogate, self.detach_reset = weight_scale, surrogate, detach_reset
        self.loss, self.optimiser, self.lr = loss, optimiser, lr
        self.batch_size, self.epochs, self.amp = batch_size, epochs, amp
        self.workers, self.device, self.seed, self.progress = workers, device, seed, progress

    def declaration(self) -> NetworkModel:
        """The network that is trained, as a declaration."""
        check_choice("LIFClassifier", "encoding", self.encoding, ("poisson", "direct"))
        direct = self.encoding == "direct"
        first = threshold_neuron(self.tau, reset=self.reset)
        return feedforward(
            self.sizes,
            first if self.neuron is None else self.neuron,
            steps=self.T,
            dt=self.dt,
            encoding="direct" if direct else "events",
            weight_scale=self.weight_scale,
        )

    def fit(self, X: ArrayLike, y: ArrayLike, **more: Any) -> LIFClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array_like, shape (n, *)
            Bytes, or numbers from 0 to 1, which are rounded to steps of 1/255.
        y : array_like, shape (n,)
            Labels.
        **more
            Of :func:`train`, such as ``folder`` and ``resume``.
        """
        labels = _labels(y)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) > self.sizes[-1]:
            got = f"{len(self.classes_)} classes for {self.sizes[-1]} output neurons"
            raise DataError(f"y has {got}; give sizes that end with the number of classes")
        samples = self._bytes(X)
        torch.manual_seed(self.seed)
        self._module = SurrogateNetwork(
            self.declaration(),
            seed=self.seed,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
        ).to(self.device)
        names = ("epochs", "loss", "optimiser", "lr", "amp", "progress")
        options: dict[str, Any] = {name: getattr(self, name) for name in names} | more
        batches = self._batches(samples, index, shuffle=True)
        self.history: History = train(self._module, batches, **options)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Labels of samples; their encoding depends on the seed and the order."""
        scores = self.decision_function(X)
        return self.classes_[scores.argmax(1)]

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scores of the classes, ``(n, n_classes)``: spike counts, for the default loss."""
        loss = RateCrossEntropy() if self.loss is None else self.loss
        samples = self._bytes(X)
        scores = []
        with torch.no_grad():
            for x, _ in self._batches(samples, shuffle=False):
                shown = x.to(self.device, torch.get_default_dtype())
                scores.append(loss.scores(respond(self.module, shown, loss)).cpu())
        return torch.cat(scores)[:, : len(self.classes_)].numpy()

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """Mean loss and accuracy of labelled samples.

        Raises
        ------
        DataError
            If a label was not among those of ``fit``.
        """
        _ = self.module
        labels = _labels(y)
        known = np.isin(labels, self.classes_)
        if not known.all():
            among = ", ".join(map(str, self.classes_))
            bad = ", ".join(map(str, np.unique(labels[~known])))
            raise DataError(f"y must have labels of the training ({among}), got {bad}")
        index = np.searchsorted(self.classes_, labels)
        return evaluate(self.module, self._batches(self._bytes(X), index, shuffle=False), self.loss)

    def encoded(self, X: ArrayLike) -> Tensor:
        """Encoded samples: spikes ``[T, n, features]``, or intensities."""
        batches = self._batches(self._bytes(X), shuffle=False)
        return torch.cat([x for x, _ in batches], dim=1 if self.encoding == "poisson" else 0)

    def state(self) -> State:
        """The trained weights for any device of Brian2."""
        return self.module.state()

    @property
    def module(self) -> SurrogateNetwork:
        """The network as a torch module."""
        if not hasattr(self, "_module"):
            raise ParameterError("LIFClassifier", "module", "none", "trained first: call fit")
        return self._module

    @property
    def network(self) -> NetworkModel:
        """The declaration, with trained constants."""
        return self.module.network

    def _bytes(self, X: ArrayLike) -> NDArray[np.uint8]:
        array = np.asarray(X)
        array = array.reshape(len(array), -1)
        if array.shape[1] != self.sizes[0]:
            raise DataError(f"X has {array.shape[1]} features, sizes begin with {self.sizes[0]}")
        if array.dtype == np.uint8:
            return array
        return np.rint(255 * intensities(array, "LIFClassifier", name="X")).astype(np.uint8)

    def _batches(
        self, samples: NDArray, labels: NDArray | None = None, *, shuffle: bool
    ) -> Batches:
        encode = PoissonEncoder(self.T) if self.encoding == "poisson" else DirectEncoder()
        labels = np.zeros(len(samples), int) if labels is None else labels
        return Batches(
            samples,
            labels,
            encode,
            batch_size=self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            workers=self.workers if shuffle else 0,
        )


def _labels(y: ArrayLike) -> NDArray:
    """Labels as an array of one dimension, none of them missing."""
    labels = np.asarray(y)
    if labels.ndim != 1 or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        got = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"y must be labels of shape (n,), all of them finite, got {got}")
    return labels
