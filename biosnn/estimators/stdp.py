"""Features that a network learns without labels, and a classifier that reads them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from biosnn._encoding.tables import checked_table, fitted_scaler, scaled_table
from biosnn.callbacks import Callback
from biosnn.errors import ParameterError
from biosnn.estimators.base import NetworkEstimator
from biosnn.estimators.declared import UNSUPERVISED
from biosnn.networks.parametrised import declare
from biosnn.readout import linear_readout
from biosnn.validation import LARGEST, check_whole, describe


class _Unsupervised(NetworkEstimator):
    """A network that learns from samples without labels."""

    n_neurons: Any
    learning_rate: Any
    max_rate: Any
    duration: Any

    def _new(self, table: NDArray[Any]) -> None:
        """A new network of the present parameters, before the first sample."""
        self._check_parameters()
        called = type(self).__name__
        names = ("n_neurons", "learning_rate", "max_rate", "duration")
        own = {name: getattr(self, name) for name in names}
        sizes = (table.shape[1],)
        network, read_scale = declare(
            called, self.network, UNSUPERVISED, sizes, own, self.network_params
        )
        if not any(projection.rule for projection in network.projections.values()):
            wanted = "a network with a projection that learns"
            raise ParameterError(called, "network", f"{network.name!r} without one", wanted)
        self.scaler_ = fitted_scaler(self, table)
        self._begin(network, read_scale)

    def _fit_network(self, table: NDArray[Any], callbacks: Iterable[Callback]) -> None:
        self._new(table)
        shown = scaled_table(self, table, self.scaler_, self.norm)
        counts = self._learn({self._port(): shown}, callbacks)[self._variable()]
        if not counts.any():
            warnings.warn(
                f"{type(self).__name__}: no neuron of {self.network_.output!r} fired for any of "
                f"{len(counts)} samples. Raise norm, max_rate or duration, or lower the threshold "
                "by network_params",
                UserWarning,
                stacklevel=3,
            )


class STDPFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Unsupervised):
    """Spike counts of a network that learns by STDP, without labels.

    Parameters
    ----------
    network : str, NetworkModel or callable
        ``"winner_take_all"`` or ``"diehl_cook_2015"`` (:mod:`biosnn.networks`); a declaration; or
        a function that is called with the number of features, and by keyword with those of the
        next five parameters that are not None, and returns a declaration.
    n_neurons : int, optional
        Number of neurons; of the named networks 100 by default.
    learning_rate : float or Schedule, optional
        Learning rate; default: the network's own, for ``winner_take_all`` a schedule.
    max_rate : Quantity, optional
        Rate of an input with the value 1, where the network encodes by spikes.
    duration : Quantity, optional
        For how long a sample is shown.
    network_params : dict, optional
        Other parameters of the network, such as ``{"encoding": "poisson"}``. The named
        ``winner_take_all`` plays its input as direct current unless this says otherwise.
    epochs : int
        How often ``fit`` shows all samples.
    horizon : int, optional
        Number of learned samples over which schedules run in ``partial_fit``; default: those
        learned so far, and those of the call. In ``fit`` it is always all that are shown.
    scaling : {"minmax"}, optional
        ``"minmax"`` maps the range that each feature has in the samples of ``fit`` (or of the first
        ``partial_fit``) to 0 to 1, and clips what is beyond it later. Without it, samples must be
        intensities: floats from 0 to 1, or bytes (uint8), of which 255 means 1.
    norm : float, optional
        Euclidean norm to which each sample is brought then. The thresholds of ``winner_take_all``
        are made for about 9.
    read_scale : dict, optional
        State variable (``"exc.theta"``) -> factor on it while ``transform`` shows samples. Default:
        for ``winner_take_all`` lower thresholds, so that several units answer, else none.
    shuffle : bool
        Whether ``fit`` shows the samples in an order drawn with the seed, the same in all epochs.
    device : {"cpp", "runtime", "cuda", "auto"}
        As in :func:`biosnn.compile`.
    precision : {"double", "single"}
        Of state variables.
    n_jobs : int, optional
        Processes that share the samples of ``transform``, -1 for all CPUs. Compiled devices only.
    random_state : int, RandomState or None
        Seed of initial weights, order and spike trains. None draws another one for each ``fit``.
    checkpoint_dir : path-like, optional
        ``fit`` keeps its recording and checkpoints here, in a folder of its own for each network,
        seed and set of samples. When it is stopped, the same ``fit`` goes on from there; when it is
        killed, from the last full 1,000 samples.
    verbose : bool
        Show progress on stderr when it takes longer than two seconds.

    Attributes
    ----------
    network_ : NetworkModel
        The declaration.
    state_ : State
        What was learned.
    seed_ : int
        The seed that was used.
    read_scale_ : dict
        The factors that ``transform`` uses.
    scaler_ : MinMaxScaler or None
        The ranges of the features.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where ``X`` had names of text.

    Raises
    ------
    ParameterError
        On ``fit``, if a parameter is out of its bounds or the network has no use for it.
    DataError
        If samples are no intensities and are not scaled.

    Notes
    -----
    With encodings that draw spikes (Poisson, Bernoulli), the counts of a sample depend on the seed
    and on its place in ``X``; those of the direct current do not. ``transform`` changes nothing.
    ``partial_fit`` goes on from the state, and shows each sample once, in the order given: several
    calls, with a ``horizon`` if there is a schedule, end in the state of one ``fit`` with
    ``epochs=1`` and ``shuffle=False`` on all of their samples, to the bit. ``fit`` begins anew.

    Examples
    --------
    >>> from biosnn.estimators import STDPFeatures
    >>> features = STDPFeatures(n_neurons=20, norm=9.2, random_state=0)
    """

    def __init__(
        self,
        network: Any = "winner_take_all",
        *,
        n_neurons: int | None = None,
        learning_rate: Any = None,
        max_rate: Any = None,
        duration: Any = None,
        network_params: dict[str, Any] | None = None,
        epochs: int = 1,
        horizon: int | None = None,
        scaling: str | None = None,
        norm: float | None = None,
        read_scale: dict[str, float] | None = None,
        shuffle: bool = True,
        device: str = "cpp",
        precision: str = "double",
        n_jobs: int | None = None,
        random_state: Any = None,
        checkpoint_dir: Any = None,
        verbose: bool = False,
    ):
        self.network = network
        self.n_neurons = n_neurons
        self.learning_rate = learning_rate
        self.max_rate = max_rate
        self.duration = duration
        self.network_params = network_params
        self.epochs = epochs
        self.horizon = horizon
        self.scaling = scaling
        self.norm = norm
        self.read_scale = read_scale
        self.shuffle = shuffle
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.checkpoint_dir = checkpoint_dir
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, callbacks: Iterable[Callback] = ()) -> Self:
        """Learn from samples with a new network.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Samples, as ``scaling`` says.
        y : None
            Not used.
        callbacks : iterable of Callback
            Are told how it goes (:mod:`biosnn.callbacks`); in a pipeline
            ``fit(X, y, stdpfeatures__callbacks=[...])``.
        """
        table, _ = checked_table(self, X, reset=True)
        self._fit_network(table, callbacks)
        return self

    def partial_fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Go on learning from more samples, or begin where nothing was learned yet.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            More samples; each is shown once, in this order.
        y : None
            Not used.
        """
        first = not hasattr(self, "state_")
        table, _ = checked_table(self, X, reset=first)
        if first:
            self._new(table)
        if self.horizon is not None:
            check_whole(type(self).__name__, "horizon", self.horizon, 1, LARGEST)
        with self._runnable() as runnable:
            _, self.state_ = runnable.run(
                {self._port(): scaled_table(self, table, self.scaler_, self.norm)},
                self._begun if first else self.state_,
                learn=True,
                seed=self.seed_,
                epoch=self._passes,
                first_sample=self._seen,
                horizon=self.horizon,
                progress=self.verbose,
            )
        self._seen += len(table)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Spike counts of the output neurons, with plasticity off.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_neurons)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If nothing was learned yet.
        """
        check_is_fitted(self)
        return self._observed(checked_table(self, X, reset=False)[0])

    @property
    def _n_features_out(self) -> int:
        return self.network_.populations[self.network_.output].n

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.scaling is None
        return tags


def _readout_has(name: str) -> Any:
    """Whether the readout, fitted or not, has a method."""

    def check(self: STDPClassifier) -> bool:
        readout = self.readout_ if hasattr(self, "readout_") else self._unfitted_readout()
        getattr(readout, name)
        return True

    return available_if(check)


class STDPClassifier(ClassifierMixin, _Unsupervised):
    """A network that learns by STDP without labels, and a readout that is fitted to its counts.

    Parameters
    ----------
    network, n_neurons, learning_rate, max_rate, duration, network_params, epochs
        As in :class:`STDPFeatures`.
    readout : classifier, optional
        A classifier of scikit-learn, or a readout of :mod:`biosnn.readout`, that is fitted on the
        counts of the training samples after learning. Default:
        :func:`biosnn.readout.linear_readout`. The readouts of biosnn take whole numbers as labels
        and predict -1 for samples to which no neuron answered; those of scikit-learn take any
        labels, and decide such samples by their intercepts.
    scaling, norm, read_scale, shuffle, device, precision, n_jobs, random_state
        As in :class:`STDPFeatures`.
    checkpoint_dir, verbose
        As in :class:`STDPFeatures`.

    Attributes
    ----------
    classes_ : ndarray
        Labels.
    readout_ : classifier
        The fitted readout.
    network_, state_, seed_, read_scale_, scaler_, n_features_in_, feature_names_in_
        As in :class:`STDPFeatures`.

    Raises
    ------
    ParameterError, DataError
        As :class:`STDPFeatures`.

    Notes
    -----
    ``decision_function`` and ``predict_proba`` are those of the readout, and exist where it has
    them.
    """

    def __init__(
        self,
        network: Any = "winner_take_all",
        *,
        n_neurons: int | None = None,
        learning_rate: Any = None,
        max_rate: Any = None,
        duration: Any = None,
        network_params: dict[str, Any] | None = None,
        epochs: int = 1,
        readout: Any = None,
        scaling: str | None = None,
        norm: float | None = None,
        read_scale: dict[str, float] | None = None,
        shuffle: bool = True,
        device: str = "cpp",
        precision: str = "double",
        n_jobs: int | None = None,
        random_state: Any = None,
        checkpoint_dir: Any = None,
        verbose: bool = False,
    ):
        self.network = network
        self.n_neurons = n_neurons
        self.learning_rate = learning_rate
        self.max_rate = max_rate
        self.duration = duration
        self.network_params = network_params
        self.epochs = epochs
        self.readout = readout
        self.scaling = scaling
        self.norm = norm
        self.read_scale = read_scale
        self.shuffle = shuffle
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.checkpoint_dir = checkpoint_dir
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike, *, callbacks: Iterable[Callback] = ()) -> Self:
        """Learn from samples with a new network, then fit the readout to their labels.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Samples, as ``scaling`` says.
        y : array_like, shape (n_samples,)
            Labels of any type.
        callbacks : iterable of Callback
            As of :meth:`STDPFeatures.fit`.
        """
        table, labels = checked_table(self, X, y, reset=True)
        check_classification_targets(labels)
        readout = self._unfitted_readout()
        self.__dict__.pop("readout_", None)
        self._fit_network(table, callbacks)
        self.readout_ = readout.fit(self._observed(table), labels)
        self.classes_ = self.readout_.classes_
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "readout_")

    def _unfitted_readout(self) -> Any:
        if self.readout is None:
            return linear_readout()
        if not hasattr(self.readout, "fit") or not hasattr(self.readout, "predict"):
            wanted = "a classifier, with the methods fit and predict"
            raise ParameterError("STDPClassifier", "readout", describe(self.readout), wanted)
        return clone(self.readout)

    def _counts(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self._observed(checked_table(self, X, reset=False)[0])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels of samples, shape (n_samples,)."""
        counts = self._counts(X)
        return self.readout_.predict(counts)

    @_readout_has("decision_function")
    def decision_function(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """The readout's scores, (n_samples, n_classes), or (n_samples,) for two classes."""
        counts = self._counts(X)
        return self.readout_.decision_function(counts)

    @_readout_has("predict_proba")
    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating[Any]]:
        """The readout's probabilities of the classes, (n_samples, n_classes)."""
        counts = self._counts(X)
        return self.readout_.predict_proba(counts)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.scaling is None
        # Winner-take-all units code the direction of a sample, not its length.
        tags.classifier_tags.poor_score = True
        return tags
