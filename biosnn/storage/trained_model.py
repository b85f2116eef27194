"""Trained models, and their files."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import brian2
import numpy as np
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from biosnn import simulation
from biosnn.declaration import from_data, to_data
from biosnn.errors import BiosnnError, ParameterError, StorageError
from biosnn.files import packed, read, short, write
from biosnn.networks import NetworkModel
from biosnn.program.recorders import Record, check_record
from biosnn.readout import Readout, readout_from_arrays
from biosnn.state import State
from biosnn.storage import preprocessing as shown
from biosnn.storage.compatibility import difference, misfit
from biosnn.validation import check_flag, check_instance, check_path, choice, instance
from biosnn.version import __version__


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


@attrs.frozen(eq=False, kw_only=True)
class TrainedModel:
    """A network with what it has learned, and what is needed to classify images with it.

    Parameters
    ----------
    network : NetworkModel
        The network that is shown the images. For a readout of latencies it is the one with
        ``competition="none"``.
    state : State
        What it has learned; every variable of ``network.initial_state()`` at least.
    readout : Readout, optional
        A fitted readout.
    preprocessing : dict
        What intensities in [0, 1] become before they are shown, in this order:
        ``"scale_norm"``, the Euclidean norm that each image gets, and ``"scale"``, the factor on
        every value. An input with a unit needs the latter, in that unit: ``{"scale": 150*nA}``.
    observed : str
        What the readout reads, e.g. ``"exc.count"`` or ``"exc.t_first"``.
    precision : {"double", "single"}
        Of the state variables.
    provenance : dict
        See :func:`provenance`, which completes it.
    shape : tuple of int, optional
        Height and width of the images in pixels, and their colours if they have some; default:
        grey and square.

    Raises
    ------
    ParameterError
        If the parts do not fit together.
    """

    network: NetworkModel = attrs.field(validator=instance(NetworkModel))
    state: State = attrs.field(validator=instance(State))
    readout: Readout | None = attrs.field(default=None, validator=instance(Readout, optional=True))
    preprocessing: dict[str, Any] = attrs.field(factory=dict, converter=dict)
    observed: str = attrs.field(validator=instance(str))
    precision: str = attrs.field(default="double", validator=choice("double", "single"))
    provenance: dict[str, Any] = attrs.field(factory=dict, converter=lambda x: provenance(**x))
    shape: tuple[int, ...] | None = None

    def __attrs_post_init__(self) -> None:
        where = "TrainedModel"
        shown.check_steps(self.network, self.preprocessing)
        if self.shape is not None:
            shown.check_shape(self.network, self.shape)
        population, _, variable = self.observed.partition(".")
        if population not in self.network.populations or not variable:
            among = ", ".join(self.network.populations)
            raise ParameterError(
                where, "observed", repr(self.observed), f'"population.variable" of one of {among}'
            )
        problem = misfit(self.network, self.state, single=self.precision == "single")
        if problem:
            remedy = "Take over what another network has learned with initial_state().transferred()"
            raise ParameterError(where, "state", problem, f"one of {self.network.name}", remedy)
        try:
            check_record(self.network, Record(per_sample=(self.observed,)))
        except ParameterError as error:
            got = repr(self.observed)
            raise ParameterError(where, "observed", got, error.wanted) from error
        if self.readout is not None:
            n_neurons = getattr(self.readout, "n_features_in_", None)
            if n_neurons != self.network.populations[population].n:
                wanted = f"fitted to the {self.network.populations[population].n} of {population!r}"
                got = "one that is not fitted" if n_neurons is None else f"one of {n_neurons}"
                raise ParameterError(where, "readout", got, wanted)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width of the images, and their colours if they have some.

        Raises
        ------
        DataError
            If it was not said, and the input is no square.
        """
        return shown.image_shape(self.network, self.shape)

    def classify(
        self,
        images: ArrayLike,
        device: str = "runtime",
        seed: int = 0,
        *,
        progress: bool | Callable[[int, int | None], None] = True,
    ) -> NDArray[np.int64]:
        """Classify images with plasticity off; the same labels on every device.

        Parameters
        ----------
        images : array_like, shape (n, features) or (n, height, width) or with channels behind
            Intensities: floats in [0, 1], such as ``Split.flat()``, or bytes; bright ink on black.
        device : {"runtime", "cpp"}
            Where to run. The first call on ``"cpp"`` builds with strict floating-point flags.
        seed : int
            Image ``k`` is shown as the input spikes of ``(seed, k)``.
        progress : bool or callable
            As in :meth:`biosnn.simulation.Runnable.run`.

        Returns
        -------
        numpy.ndarray of int, shape (n,)
            Labels; -1 for images on which no neuron fired that the readout listens to.

        Raises
        ------
        DataError
            If the images have the wrong shape or are no intensities.
        ParameterError
            If there is no readout, the model's file does not say which current (or other quantity
            with a unit) an intensity of 1 is, or another argument is out of its range.
        DeviceError
            If the network cannot be built or run.
        """
        if self.readout is None:
            remedy = "Fit one to the recording of a run and make a new TrainedModel."
            raise ParameterError("TrainedModel", "readout", None, "a fitted readout", remedy)
        samples = shown.prepared(self.network, self.preprocessing, images)
        runnable = simulation.compile(
            self.network,
            device,
            precision=self.precision,
            per_sample=(self.observed,),
            math="strict",
            progress=progress is not False,
        )
        state = runnable.initial_state(seed).transferred(self.state)
        recording, _ = runnable.run(samples, state, seed=seed, progress=progress)
        return self.readout.predict(recording[self.observed])


def save_model(
    model: TrainedModel, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a model to one file, in one step.

    Parameters
    ----------
    model : TrainedModel
        What to save.
    path : path-like
        A file name ending in ``.biosnn``. Missing folders are created.
    overwrite : bool
        Whether a file that is there already may be replaced.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    StorageError
        If the file exists, cannot be written or has another suffix, or if the readout is not
        fitted.
    ParameterError
        If it has a readout, and its preprocessing does not say what an intensity of 1 becomes.
    """
    check_instance("save_model", "model", model, TrainedModel)
    check_path("save_model", "path", path)
    check_flag("save_model", "overwrite", overwrite)
    meta, learned = None, {}
    if model.readout is not None:
        shown.check_scale(model.network, model.preprocessing)
        try:
            meta, learned = model.readout.to_arrays()
        except NotFittedError as error:
            raise StorageError(f"the readout cannot be saved: {error}") from error
    content = {
        "network": to_data(model.network),
        "shapes": to_data(model.state.shapes),
        "readout": meta,
        "preprocessing": to_data(model.preprocessing),
        "observed": model.observed,
        "precision": model.precision,
        "provenance": to_data(model.provenance),
        "shape": model.shape,
    }
    tensors = {f"state/{name}": array for name, array in model.state.items()}
    tensors |= {f"readout/{name}": array for name, array in learned.items()}
    return write(path, packed("model", content, tensors), overwrite)


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model that :func:`save_model` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    TrainedModel

    Raises
    ------
    StorageError
        If the file is missing, damaged, foreign, written by another format version, or holds
        arrays that do not fit the network in it.
    """
    check_path("load_model", "path", path)
    path = Path(path)
    content, tensors = read(path, "model")

    def restore() -> TrainedModel:
        meta, network = content["readout"], from_data(content["network"])
        return TrainedModel(
            network=network,
            state=State(_part(tensors, "state/"), _shapes(content), getattr(network, "units", {})),
            readout=meta and readout_from_arrays(meta, _part(tensors, "readout/")),
            preprocessing=from_data(_table(content, "preprocessing")),
            observed=content["observed"],
            precision=content["precision"],
            provenance=from_data(_table(content, "provenance")),
            shape=tuple(content["shape"]) if content.get("shape") else None,
        )

    return _restored(path, restore)


def save_state(
    state: State,
    path: str | os.PathLike[str],
    network: NetworkModel,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a state to one file, together with the declaration of its network.

    Parameters
    ----------
    state : State
        What to save.
    path : path-like
        A file name ending in ``.biosnn``. Missing folders are created.
    network : NetworkModel
        The network whose state it is.
    overwrite : bool
        Whether a file that is there already may be replaced.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ParameterError
        If the state is not one of this network.
    StorageError
        If the file exists, cannot be written or has another suffix.
    """
    check_instance("save_state", "state", state, State)
    check_instance("save_state", "network", network, NetworkModel)
    check_path("save_state", "path", path)
    check_flag("save_state", "overwrite", overwrite)
    problem = misfit(network, state, single=True)
    if problem:
        raise ParameterError("save_state", "state", problem, f"one of {network.name}")
    content = {
        "network": to_data(network),
        "shapes": to_data(state.shapes),
        "provenance": provenance(),
    }
    tensors = {f"state/{name}": array for name, array in state.items()}
    return write(path, packed("state", content, tensors), overwrite)


def load_state(path: str | os.PathLike[str], network: NetworkModel) -> State:
    """Read a state that :func:`save_state` wrote for the same network.

    Parameters
    ----------
    path : path-like
        The file.
    network : NetworkModel
        The network that shall go on from it.

    Returns
    -------
    State

    Raises
    ------
    StorageError
        If the state is another network's (naming the first difference), or for the reasons of
        :func:`load_model`.
    """
    check_path("load_state", "path", path)
    check_instance("load_state", "network", network, NetworkModel)
    path = Path(path)
    content, tensors = read(path, "state")
    saved = _restored(path, lambda: from_data(content["network"]))
    found = difference(to_data(saved), to_data(network))
    if found:
        raise StorageError(
            f"{path} holds the state of another network: {found}; make the same network, or "
            "take over single arrays with State.transferred()"
        )
    state = _restored(
        path, lambda: State(_part(tensors, "state/"), _shapes(content), network.units)
    )
    problem = misfit(network, state, single=True)
    if problem:
        raise StorageError(f"{path} does not fit the network in it: {problem}")
    return state


def _restored[T](path: Path, restore: Callable[[], T]) -> T:
    """Call `restore`, and blame the file for whatever does not fit together."""
    try:
        return restore()
    except (
        BiosnnError,
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise StorageError(f"{path} does not fit together: {error}") from error


def _part(tensors: Mapping[str, NDArray], prefix: str) -> dict[str, NDArray]:
    return {
        name.removeprefix(prefix): array
        for name, array in tensors.items()
        if name.startswith(prefix)
    }


def _shapes(content: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    return {name: (int(pre), int(post)) for name, (pre, post) in _table(content, "shapes").items()}


def _table(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content[name]
    if not isinstance(found, dict):
        raise StorageError(f"its {name} must be a table, got {short(found)}")
    return found
