"""A spiking classifier with the interface of scikit-learn, trained by surrogate gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from brian2 import ms
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from biosnn._encoding.tables import checked_table, drawn_seed, fitted_scaler, scaled_table
from biosnn.errors import DataError, ParameterError
from biosnn.files import run_folder
from biosnn.models import NeuronModel
from biosnn.networks import NetworkModel, feedforward, threshold_neuron
from biosnn.state import State
from biosnn.surrogate.nn.network import SurrogateNetwork
from biosnn.surrogate.training.batches import Batches, DirectEncoder, PoissonEncoder
from biosnn.surrogate.training.history import History
from biosnn.surrogate.training.loop import evaluate, respond, train
from biosnn.surrogate.training.losses import Loss, RateCrossEntropy
from biosnn.validation import check_choice, check_instance, describe


class LIFClassifier(ClassifierMixin, BaseEstimator):
    """Layers of leaky integrate-and-fire neurons, trained by surrogate gradients.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Numbers of hidden neurons; those of inputs and outputs are those of features and classes.
    T : int
        Time steps for which a sample is shown.
    tau : Quantity, optional
        Membrane time constant, by default 10 ms.
    dt : Quantity, optional
        Time step, by default 1 ms.
    encoding : {"poisson", "direct"}
        Spikes with the probability of a pixel in every step, or at regular
        intervals, in every step for the largest value.
    reset : {"hard", "soft"}
        To 0, or by subtraction of the threshold.
    neuron : NeuronModel, optional
        Other neurons than :func:`biosnn.networks.threshold_neuron` gives; `tau` and `reset` must
        be left out then.
    weight_scale : float
        Factor on the weights of ``torch.nn.Linear`` at the start.
    surrogate : str or SurrogateFunction
        Gradient of the spike.
    detach_reset : bool
        Whether no gradient goes through resets.
    loss : Loss, optional
        By default :class:`RateCrossEntropy`.
    optimiser : {"adam", "sgd"}
    learning_rate : float
        Learning rate at the beginning; it goes down to 0 along a cosine.
    batch_size, epochs : int
    amp : bool
        Compute in bfloat16 where torch thinks it safe.
    scaling : {"minmax"}, optional
        ``"minmax"`` maps the range that each feature has in the samples of ``fit`` to 0 to 1, and
        clips what is beyond it later. Without it, samples must be intensities: bytes, or floats
        from 0 to 1. Either are rounded to steps of 1/255.
    n_jobs : int, optional
        Processes that encode while training, -1 for all CPUs. By default none but this one.
    device : str
        Such as ``"cpu"`` or ``"cuda"``.
    random_state : int, RandomState or None
        Seed of initial weights, order and encoding. None draws another one for each ``fit``.
    checkpoint_dir : path-like, optional
        ``fit`` keeps checkpoints here, in a folder of its own for each network, seed and set of
        samples. When it is stopped, the same ``fit`` goes on from there.
    verbose : bool
        Show a bar on stderr.

    Attributes
    ----------
    classes_ : array
        Labels, in the order of the output neurons.
    module_ : SurrogateNetwork
        The trained network.
    history_ : History
        Loss and accuracy of every epoch.
    seed_ : int
        The seed that was used.
    scaler_ : MinMaxScaler or None
        The ranges of the features.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where ``X`` had names of text.

    Raises
    ------
    ParameterError, DataError
        On ``fit``, if a parameter is out of its bound or samples are no intensities.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (),
        *,
        T: int = 20,
        tau: Any = None,
        dt: Any = None,
        encoding: str = "poisson",
        reset: str = "hard",
        neuron: NeuronModel | None = None,
        weight_scale: float = 1.0,
        surrogate: Any = "atan",
        detach_reset: bool = True,
        loss: Loss | None = None,
        optimiser: str = "adam",
        learning_rate: float = 1e-3,
        batch_size: int = 128,
        epochs: int = 5,
        amp: bool = False,
        scaling: str | None = None,
        n_jobs: int | None = None,
        device: str = "cpu",
        random_state: Any = None,
        checkpoint_dir: Any = None,
        verbose: bool = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.T, self.tau, self.dt = T, tau, dt
        self.encoding, self.reset, self.neuron = encoding, reset, neuron
        self.weight_scale, self.surrogate, self.detach_reset = weight_scale, surrogate, detach_reset
        self.loss, self.optimiser, self.learning_rate = loss, optimiser, learning_rate
        self.batch_size, self.epochs, self.amp = batch_size, epochs, amp
        self.scaling, self.n_jobs, self.device = scaling, n_jobs, device
        self.random_state, self.checkpoint_dir = random_state, checkpoint_dir
        self.verbose = verbose

    def _declare(self) -> NetworkModel:
        check_choice("LIFClassifier", "encoding", self.encoding, ("poisson", "direct"))
        check_instance("LIFClassifier", "hidden_layer_sizes", self.hidden_layer_sizes, Sequence)
        dt = 1 * ms if self.dt is None else self.dt
        if self.neuron is None:
            tau = 10 * ms if self.tau is None else self.tau
            neuron = threshold_neuron(tau, reset=self.reset)
        else:
            neuron = self.neuron
            for name, value, left_out in (("tau", self.tau, None), ("reset", self.reset, "hard")):
                if value is not left_out and value != left_out:
                    wanted = f"{left_out!r} with a neuron of its own"
                    raise ParameterError("LIFClassifier", name, describe(value), wanted)
        return feedforward(
            (self.n_features_in_, *self.hidden_layer_sizes, len(self.classes_)),
            neuron,
            steps=self.T,
            dt=dt,
            encoding="direct" if self.encoding == "direct" else "events",
            weight_scale=self.weight_scale,
        )

    def fit(self, X: ArrayLike, y: ArrayLike) -> LIFClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Samples, as `scaling` says.
        y : array_like, shape (n_samples,)
            Labels of any type.
        """
        table, labels = checked_table(self, X, y, reset=True)
        check_classification_targets(labels)
        self.classes_, index = np.unique(np.asarray(labels), return_inverse=True)
        self.scaler_ = fitted_scaler(self, table)
        self.seed_ = drawn_seed(self)
        samples = self._bytes(table)
        declared = self._declare()
        torch.manual_seed(self.seed_)
        self.module_ = SurrogateNetwork(
            declared,
            seed=self.seed_,
            surrogate=self.surrogate,
            detach_reset=self.detach_reset,
        ).to(self.device)
        options: dict[str, Any] = {}
        if self.checkpoint_dir is not None:
            named = (declared.fingerprint, self.seed_, self.epochs, self.learning_rate)
            said = (*named, self.optimiser, self.batch_size, self.detach_reset, self.amp)
            arrays = {"X": samples, "y": index}
            folder = run_folder(self.checkpoint_dir, said, arrays)
            options = {"folder": folder, "resume": True}
        self.history_: History = train(
            self.module_,
            self._batches(samples, index, shuffle=True),
            epochs=self.epochs,
            loss=self.loss,
            optimiser=self.optimiser,
            lr=self.learning_rate,
            amp=self.amp,
            progress=self.verbose,
            **options,
        )
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Labels of samples; with Poisson spikes they depend on the seed and the order."""
        scores = self._scores(X)
        return self.classes_[scores.argmax(1)]

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scores of the classes, ``(n, n_classes)``: spike counts, for the default loss.

        With two classes that of the second less that of the first, ``(n,)``.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        loss = RateCrossEntropy() if self.loss is None else self.loss
        samples = self._checked(X)
        scores = []
        with torch.no_grad():
            for x, _ in self._batches(samples, shuffle=False):
                shown = x.to(self.device, torch.get_default_dtype())
                scores.append(loss.scores(respond(self.module_, shown, loss)).cpu())
        return torch.cat(scores).numpy()

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """Mean loss and accuracy of labelled samples.

        Raises
        ------
        DataError
            If a label was not among those of ``fit``.
        """
        check_is_fitted(self)
        labels = _labels(y)
        known = np.isin(labels, self.classes_)
        if not known.all():
            among = ", ".join(map(str, self.classes_))
            bad = ", ".join(map(str, np.unique(labels[~known])))
            raise DataError(f"y must have labels of the training ({among}), got {bad}")
        index = np.searchsorted(self.classes_, labels)
        batches = self._batches(self._checked(X), index, shuffle=False)
        return evaluate(self.module_, batches, self.loss)

    def encoded(self, X: ArrayLike) -> Tensor:
        """Encoded samples: spikes ``[T, n, features]``, or intensities."""
        check_is_fitted(self)
        batches = self._batches(self._checked(X), shuffle=False)
        return torch.cat([x for x, _ in batches], dim=1 if self.encoding == "poisson" else 0)

    def state(self) -> State:
        """The trained weights for any device of Brian2."""
        check_is_fitted(self)
        return self.module_.state()

    @property
    def network_(self) -> NetworkModel:
        """The declaration, with trained constants."""
        check_is_fitted(self)
        return self.module_.network

    def _checked(self, X: ArrayLike) -> NDArray[np.uint8]:
        return self._bytes(checked_table(self, X, reset=False)[0])

    def _bytes(self, table: NDArray[Any]) -> NDArray[np.uint8]:
        if table.dtype == np.uint8 and self.scaler_ is None:
            return table
        return np.rint(255 * scaled_table(self, table, self.scaler_)).astype(np.uint8)

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
            seed=self.seed_,
            shuffle=shuffle,
            workers=effective_n_jobs(self.n_jobs) if shuffle and self.n_jobs is not None else 0,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.scaling is None
        return tags


def _labels(y: ArrayLike) -> NDArray:
    """Labels as an array of one dimension, none of them missing."""
    labels = np.asarray(y)
    if labels.ndim != 1 or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        got = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"y must be labels of shape (n,), all of them finite, got {got}")
    return labels
