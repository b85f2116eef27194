"""A spiking classifier with the interface of scikit-learn, trained by surrogate gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
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

from biosnn._encoding.tables import (
    check_checkpoints,
    checked_table,
    drawn_seed,
    fitted_scaler,
    scaled_table,
)
from biosnn.callbacks import Callback
from biosnn.errors import DataError, ParameterError
from biosnn.files import locked_folder, run_folder
from biosnn.models import NeuronModel
from biosnn.networks import NetworkModel, feedforward, threshold_neuron
from biosnn.networks.parametrised import Ready, declare
from biosnn.state import State
from biosnn.surrogate.nn.network import SurrogateNetwork
from biosnn.surrogate.training.batches import Batches, DirectEncoder, Encoder, PoissonEncoder
from biosnn.surrogate.training.fingerprints import of_module
from biosnn.surrogate.training.loop import evaluate, respond, train
from biosnn.surrogate.training.losses import Loss, RateCrossEntropy
from biosnn.validation import check_choice, check_instance, describe

_OWN = ("hidden_layer_sizes", "T", "tau", "dt", "encoding", "reset", "neuron", "weight_scale")


def _layers(
    n_features: int,
    n_classes: int,
    *,
    hidden_layer_sizes: Sequence[int] = (),
    T: int = 20,
    tau: Any = None,
    dt: Any = 1 * ms,
    encoding: str = "poisson",
    reset: str | None = None,
    neuron: NeuronModel | None = None,
    weight_scale: float = 1.0,
    transmit: str = "v_post += w",
    synapse: str | None = None,
    delay: Any = 0 * ms,
    weights: Any = None,
    rest_steps: int | None = None,
) -> NetworkModel:
    """:func:`biosnn.networks.feedforward` by the parameters of the classifier."""
    where = "LIFClassifier"
    check_choice(where, "encoding", encoding, ("poisson", "direct"))
    check_instance(where, "hidden_layer_sizes", hidden_layer_sizes, Sequence)
    if neuron is None:
        neuron = threshold_neuron(
            10 * ms if tau is None else tau, reset="hard" if reset is None else reset
        )
    else:
        for name, value in (("tau", tau), ("reset", reset)):
            if value is not None:
                raise ParameterError(where, name, describe(value), "None with a neuron of its own")
    return feedforward(
        (n_features, *hidden_layer_sizes, n_classes),
        neuron,
        steps=T,
        dt=dt,
        encoding="direct" if encoding == "direct" else "events",
        transmit=transmit,
        synapse=synapse,
        delay=delay,
        weights=weights,
        weight_scale=weight_scale,
        rest_steps=rest_steps,
    )


#: Networks that have names.
LAYERED = {"feedforward": Ready(make=_layers)}


class LIFClassifier(ClassifierMixin, BaseEstimator):
    """A spiking network, by default layers of LIF neurons, trained by surrogate gradients.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, optional
        Numbers of hidden neurons; those of inputs and outputs are those of features and classes.
        By default there are none.
    network : str, NetworkModel or callable
        ``"feedforward"`` (:func:`biosnn.networks.feedforward`); a declaration; or a function that
        is called with the numbers of features and of classes, and by keyword with
        `hidden_layer_sizes` and those of the next seven parameters that are not None, and returns
        a declaration. It has one spiking neuron of the output population for each class, and one
        required input: address events (``encoding.address_events()``), or static values. Its
        learning rules stay off.
    T : int, optional
        Time steps for which a sample is shown; of the named network 20 by default.
    tau : Quantity, optional
        Membrane time constant, by default 10 ms.
    dt : Quantity, optional
        Time step, by default 1 ms.
    encoding : {"poisson", "direct"}, optional
        Spikes with the probability of a pixel in every step, the default of the named network; or
        spikes at regular intervals, in every step for the largest value. A declaration decides it
        by its input: address events become spikes with the probability of a pixel in every
        step of the presentation, static values are the intensities.
    reset : {"hard", "soft"}, optional
        To 0, the default of the named network, or by subtraction of the threshold.
    neuron : NeuronModel, optional
        Other neurons than :func:`biosnn.networks.threshold_neuron` gives; `tau` and `reset` must
        be left out then.
    weight_scale : float, optional
        Factor on the weights of ``torch.nn.Linear`` at the start, by default 1.
    network_params : dict, optional
        Other parameters of the network, such as ``{"delay": 2 * ms}``.
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
        Of torch, such as ``"cpu"`` or ``"cuda"``: training has no device of Brian2.
    random_state : int, RandomState or None
        Seed of initial weights, order and encoding. None draws another one for each ``fit``.
    checkpoint_dir : path-like, optional
        ``fit`` keeps a checkpoint of every epoch here, in a folder of its own for each network,
        seed, set of samples and way of training. When it is stopped or killed, the same ``fit``
        goes on from there. `random_state` must be a whole number then.
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
        On ``fit``, if a parameter is out of its bound or the network has no use for it, samples are
        no intensities, or the network has not as many inputs or outputs as there are features or
        classes.

    Notes
    -----
    With ``"poisson"``, and address events, the spikes of a sample depend on the seed and on its
    place in ``X``; those of encoders in the network (``encoding.poisson()``) on its place in
    its batch. Samples are shown in another order in every epoch.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        network: Any = "feedforward",
        T: int | None = None,
        tau: Any = None,
        dt: Any = None,
        encoding: str | None = None,
        reset: str | None = None,
        neuron: NeuronModel | None = None,
        weight_scale: float | None = None,
        network_params: dict[str, Any] | None = None,
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
        self.hidden_layer_sizes, self.network = hidden_layer_sizes, network
        self.network_params = network_params
        self.T, self.tau, self.dt = T, tau, dt
        self.encoding, self.reset, self.neuron = encoding, reset, neuron
        self.weight_scale, self.surrogate, self.detach_reset = weight_scale, surrogate, detach_reset
        self.loss, self.optimiser, self.learning_rate = loss, optimiser, learning_rate
        self.batch_size, self.epochs, self.amp = batch_size, epochs, amp
        self.scaling, self.n_jobs, self.device = scaling, n_jobs, device
        self.random_state, self.checkpoint_dir = random_state, checkpoint_dir
        self.verbose = verbose

    def _declare(self) -> NetworkModel:
        sizes = self.n_features_in_, len(self.classes_)
        own = {name: getattr(self, name) for name in _OWN}
        network, _ = declare(
            "LIFClassifier", self.network, LAYERED, sizes, own, self.network_params
        )
        n_output = network.populations[network.output].n
        if n_output != sizes[1]:
            raise DataError(
                f"LIFClassifier: y has {sizes[1]} classes, the population {network.output!r} of "
                f"the network {n_output} neurons"
            )
        port = _port(network)
        if network.inputs[port].features != sizes[0]:
            raise DataError(
                f"LIFClassifier: X has {sizes[0]} features, the input {port!r} of the network "
                f"{network.inputs[port].features}"
            )
        return network

    def _made(self, network: NetworkModel) -> SurrogateNetwork:
        """The network as a module, before the first sample."""
        torch.manual_seed(self.seed_)
        module = SurrogateNetwork(
            network, seed=self.seed_, surrogate=self.surrogate, detach_reset=self.detach_reset
        )
        if not any(weights.requires_grad for weights in module.parameters()):
            wanted = "a network with projections that have weights"
            raise ParameterError(
                "LIFClassifier", "network", f"{network.name!r} without one", wanted
            )
        counts = getattr(self.loss or RateCrossEntropy(), "observes", None) == "spikes"
        if "." in module.output and counts:
            wanted = "one of potentials, such as MembraneCrossEntropy()"
            remedy = f"The population {network.output!r} of the network has no threshold"
            got = "None, which counts spikes" if self.loss is None else repr(self.loss)
            raise ParameterError("LIFClassifier", "loss", got, wanted, remedy)
        return module.to(self.device)

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, callbacks: Iterable[Callback] = ()
    ) -> LIFClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Samples, as `scaling` says.
        y : array_like, shape (n_samples,)
            Labels of any type.
        callbacks : iterable of Callback
            Are told the figures of every epoch (:mod:`biosnn.callbacks`).
        """
        table, labels = checked_table(self, X, y, reset=True)
        check_classification_targets(labels)
        check_checkpoints(self)
        self.__dict__.pop("module_", None)  # until there is another one, nothing is learned
        self.classes_, index = np.unique(np.asarray(labels), return_inverse=True)
        self.scaler_ = fitted_scaler(self, table)
        self.seed_ = drawn_seed(self)
        samples = self._bytes(table)
        declared = self._declare()
        self._encode = _encoder(declared)
        module = self._made(declared)
        batches = self._batches(samples, index, shuffle=True)
        options: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            if self.checkpoint_dir is not None:
                named = (declared.fingerprint, of_module(module), self.seed_, self.epochs)
                named = (*named, self.learning_rate, self.optimiser, self.batch_size, self.amp)
                named = (*named, repr(self.loss))
                folder = run_folder(self.checkpoint_dir, named, {"X": samples, "y": index})
                # The same fit elsewhere, such as in another process of a search, is waited for.
                stack.callback(locked_folder(folder, "fit.lock", wait=True).release)
                options = {"folder": folder, "resume": True}
            history = train(
                module,
                batches,
                epochs=self.epochs,
                loss=self.loss,
                optimiser=self.optimiser,
                lr=self.learning_rate,
                amp=self.amp,
                callbacks=callbacks,
                progress=self.verbose,
                **options,
            )
        self.module_, self.history_ = module, history
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
        return torch.cat([x for x, _ in batches], dim=int(isinstance(self._encode, PoissonEncoder)))

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
        labels = np.zeros(len(samples), int) if labels is None else labels
        return Batches(
            samples,
            labels,
            self._encode,
            batch_size=self.batch_size,
            seed=self.seed_,
            shuffle=shuffle,
            workers=effective_n_jobs(self.n_jobs) if shuffle and self.n_jobs is not None else 0,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.scaling is None
        return tags


def _port(network: NetworkModel) -> str:
    """The input that takes the samples: the only one that has to be given."""
    needed = [name for name, spec in network.inputs.items() if not spec.optional]
    if len(needed) != 1 or network.inputs[needed[0]].kind not in ("events", "static"):
        kinds = {name: network.inputs[name].kind for name in needed}
        wanted = "a network with one required input, of address events or of static samples"
        raise ParameterError("LIFClassifier", "network", f"one with the inputs {kinds}", wanted)
    return needed[0]


def _encoder(network: NetworkModel) -> Encoder:
    """What makes the input of a network from intensities."""
    if network.inputs[_port(network)].kind == "static":
        return DirectEncoder()
    return PoissonEncoder(round(float(network.presentation.duration / network.dt)))


def _labels(y: ArrayLike) -> NDArray:
    """Labels as an array of one dimension, none of them missing."""
    labels = np.asarray(y)
    if labels.ndim != 1 or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        got = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"y must be labels of shape (n,), all of them finite, got {got}")
    return labels
