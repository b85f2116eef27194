"""Files of trained models and of states."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from biosnn.declaration import from_data, to_data
from biosnn.errors import BiosnnError, ParameterError, StorageError
from biosnn.files import packed, read, short, write
from biosnn.networks import NetworkModel
from biosnn.readout import readout_from_arrays
from biosnn.state import State
from biosnn.storage import preprocessing as shown
from biosnn.storage.compatibility import difference, misfit
from biosnn.storage.layered_model import LayeredModel
from biosnn.storage.model import provenance
from biosnn.storage.trained_model import TrainedModel
from biosnn.surrogate.layer_chain import LayerChain
from biosnn.validation import check_flag, check_instance, check_path


def save_model(
    model: TrainedModel | LayeredModel, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a model to one file, in one step.

    Parameters
    ----------
    model : TrainedModel or LayeredModel
        What to save; of a fitted estimator :func:`biosnn.estimators.trained_model` makes one.
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
    check_instance("save_model", "model", model, (TrainedModel, LayeredModel))
    check_path("save_model", "path", path)
    check_flag("save_model", "overwrite", overwrite)
    content = {
        "preprocessing": to_data(model.preprocessing),
        "values": model.values,
        "encoding": model.encoding,
        "provenance": to_data(model.provenance),
        "shape": model.shape,
        "picture": model.picture,
        "classes": model.classes,
    }
    if isinstance(model, TrainedModel):
        more, tensors = _of_network(model)
    else:
        more = {"network": to_data(model.chain)}
        tensors = {f"weights/{name}": array for name, array in model.weights.items()}
    return write(path, packed("model", {**content, **more}, tensors), overwrite)


def _of_network(model: TrainedModel) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What the file of a network has besides, and its arrays."""
    meta, learned = None, {}
    if model.readout is not None:
        shown.check_scale(model.takes, model.preprocessing)
        try:
            meta, learned = model.readout.to_arrays()
        except NotFittedError as error:
            raise StorageError(f"the readout cannot be saved: {error}") from error
    tensors = {f"state/{name}": array for name, array in model.state.items()}
    tensors |= {f"readout/{name}": array for name, array in learned.items()}
    more = {
        "network": to_data(model.network),
        "shapes": to_data(model.state.shapes),
        "readout": meta,
        "observed": model.observed,
        "precision": model.precision,
    }
    return more, tensors


def load_model(path: str | os.PathLike[str]) -> TrainedModel | LayeredModel:
    """Read a model that :func:`save_model` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    TrainedModel or LayeredModel

    Raises
    ------
    StorageError
        If the file is missing, damaged, foreign, written by another format version, or holds
        arrays that do not fit the network in it.
    """
    check_path("load_model", "path", path)
    path = Path(path)
    content, tensors = read(path, "model")

    def restore() -> TrainedModel | LayeredModel:
        network = from_data(content["network"])
        # The defaults are what files of before these fields had, all of static images.
        common: dict[str, Any] = {
            "preprocessing": from_data(_table(content, "preprocessing")),
            "values": content.get("values", "intensities"),
            "encoding": content.get("encoding"),
            "provenance": from_data(_table(content, "provenance")),
            "shape": tuple(content["shape"]) if content.get("shape") else None,
            "picture": _table(content, "picture") if "picture" in content else {},
            "classes": content.get("classes"),
        }
        if isinstance(network, LayerChain):
            return LayeredModel(chain=network, weights=_part(tensors, "weights/"), **common)
        meta = content["readout"]
        return TrainedModel(
            network=network,
            state=State(_part(tensors, "state/"), _shapes(content), getattr(network, "units", {})),
            readout=meta and readout_from_arrays(meta, _part(tensors, "readout/")),
            observed=content["observed"],
            precision=content["precision"],
            **common,
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
