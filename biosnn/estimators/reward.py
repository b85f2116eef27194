"""A classifier that learns from right or wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from biosnn._encoding.tables import checked_table, fitted_scaler, scaled_table
from biosnn.callbacks import Callback
from biosnn.errors import DataError, ParameterError
from biosnn.estimators.base import NetworkEstimator
from biosnn.estimators.declared import REWARDED
from biosnn.networks.parametrised import declare
from biosnn.validation import describe


class RSTDPClassifier(ClassifierMixin, NetworkEstimator):
    """A network that decides by spikes, and learns from a reward: whether the decision was right.

    Parameters
    ----------
    network : str, NetworkModel or callable
        ``"reward_network"`` (:func:`biosnn.networks.reward_network`); a declaration; or a function
        that is called with the numbers of features and of classes, and by keyword with those of
        the next three parameters that are not None, and returns a declaration. It has one neuron of
        the output population for each class, one required input, and the input `label_input`.
    n_neurons : int, optional
        Number of neurons below the decision; of the named network 200 by default.
    learning_rate : float or Schedule, optional
        Learning rate; default: the network's own schedule.
    network_params : dict, optional
        Other parameters of the network.
    label_input : str
        Optional input with one value: the number of the class plus 1 while ``fit`` shows a
        sample, and 0 (no decision is right) else.
    score_variable : str
        Variable of the output population that scores the classes at the end of a sample: in the
        named network the potential ``"v"``, which is the reward that a decision predicts;
        ``"count"`` are the spikes.
    epochs : int
        How often ``fit`` shows all samples.
    scaling : {"minmax"}, optional
        ``"minmax"`` maps the range that each feature has in the samples of ``fit`` to 0 to 1, and
        clips what is beyond it later. Without it, samples must be intensities: floats from 0 to 1,
        or bytes (uint8), of which 255 means 1.
    norm : float, optional
        Euclidean norm to which each sample is brought then.
    read_scale : dict, optional
        State variable -> factor on it while samples are classified.
    shuffle, device, precision, n_jobs, random_state
        As in :class:`STDPFeatures`.
    checkpoint_dir, verbose
        As in :class:`STDPFeatures`.

    Attributes
    ----------
    classes_ : ndarray
        Labels, in the order of the output neurons.
    network_ : NetworkModel
        The declaration.
    state_ : State
        What was learned.
    seed_ : int
        The seed that was used.
    read_scale_ : dict
        The factors that are used for classifying.
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
        If samples are no intensities and are not scaled, or the network has another number of
        neurons than there are classes.

    Notes
    -----
    No readout is fitted, and nothing tells the network which answer would have been right: with
    many classes it learns slower than a supervised classifier.
    """

    def __init__(
        self,
        network: Any = "reward_network",
        *,
        n_neurons: int | None = None,
        learning_rate: Any = None,
        network_params: dict[str, Any] | None = None,
        label_input: str = "label",
        score_variable: str = "v",
        epochs: int = 1,
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
        self.network_params = network_params
        self.label_input = label_input
        self.score_variable = score_variable
        self.epochs = epochs
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
        """Learn from samples with a new network; labels are known to its environment only.

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
        self._check_parameters()
        self.classes_, index = np.unique(np.asarray(labels), return_inverse=True)
        own = {"n_neurons": self.n_neurons, "learning_rate": self.learning_rate}
        sizes = (table.shape[1], len(self.classes_))
        network, read_scale = declare(
            "RSTDPClassifier", self.network, REWARDED, sizes, own, self.network_params
        )
        told = network.inputs.get(self.label_input)
        if told is None or not told.optional or told.features != 1:
            optional = [name for name, spec in network.inputs.items() if spec.optional]
            wanted = f"an optional input of the network with one value (optional are {optional})"
            got = describe(self.label_input)
            raise ParameterError("RSTDPClassifier", "label_input", got, wanted)
        n_output = network.populations[network.output].n
        if n_output != len(self.classes_):
            raise DataError(
                f"RSTDPClassifier: y has {len(self.classes_)} classes, the population "
                f"{network.output!r} of the network {n_output} neurons"
            )
        self.scaler_ = fitted_scaler(self, table)
        self._begin(network, read_scale)
        shown = scaled_table(self, table, self.scaler_, self.norm)
        answers = index[:, np.newaxis] + 1.0
        self._learn({self._port(): shown, self.label_input: answers}, callbacks)
        return self

    def _variable(self) -> str:
        return f"{self.network_.output}.{self.score_variable}"

    def _scores(self, X: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        return self._observed(checked_table(self, X, reset=False)[0])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Labels of samples, shape (n_samples,): the class with the highest score.

        Where all scores of a sample are equal, nothing was decided; a warning counts these
        samples, which get the first class.
        """
        scores = self._scores(X)
        undecided = int((scores == scores[:, :1]).all(axis=1).sum())
        if undecided and len(self.classes_) > 1:
            warnings.warn(
                f"RSTDPClassifier: no decision for {undecided} of {len(scores)} samples, which are "
                "predicted as the first class. Use more neurons, or a larger norm",
                UserWarning,
                stacklevel=2,
            )
        return self.classes_[scores.argmax(axis=1)]

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of the classes, (n_samples, n_classes).

        With two classes that of the second less that of the first, (n_samples,).
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.scaling is None
        # Learns from right or wrong only, sample by sample.
        tags.classifier_tags.poor_score = True
        return tags
