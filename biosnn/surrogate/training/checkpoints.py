"""Checkpoints of a training, and the folder that holds them, used by one process at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from biosnn import files
from biosnn.errors import ParameterError, StorageError
from biosnn.surrogate.training.history import History

KIND = "training"
LAST, BEST, CURVES = "checkpoint-last.biosnn", "checkpoint-best.biosnn", "curves.png"
_LOCK = "training.lock"
_HASHED = ("network", "data", "validation", "test")
_NOTHING = "nothing"


@attrs.frozen(eq=False, kw_only=True)
class Training:
    """The objects whose states are saved: module, optimiser, scheduler and random generators.

    The state of torch's own generator of the CPU is saved in any case.
    """

    module: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: Any
    generators: Mapping[str, torch.Generator]


class TrainingFolder:
    """The folder of a training, held by one process at a time.

    Parameters
    ----------
    folder : Path
        Where it is; made if it is not there.
    identity : mapping
        What decides the result, besides the number of epochs: plain data.
    resume : bool
        Whether to go on with the training that is there, if there is one.
    overwrite : bool
        Whether to throw it away.

    Raises
    ------
    StorageError
        If another process is at it, it cannot be written, its files are links, or it holds a
        training and neither `resume` nor `overwrite` is given.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], resume: bool, overwrite: bool):
        self.folder = folder
        self._identity = json.loads(json.dumps(identity))
        for name in (LAST, BEST, CURVES, _LOCK):
            if (folder / name).is_symlink():
                raise StorageError(
                    f"{folder / name} is a link: a training writes its own files only; remove it, "
                    "or choose another folder"
                )
        self._lock = files.locked_folder(folder, _LOCK)
        if any((folder / name).exists() for name in (LAST, BEST)) and not (resume or overwrite):
            self._lock.release()
            raise StorageError(
                f"{folder} holds a training already; go on with it (resume=True), throw it "
                "away (overwrite=True), or choose another folder"
            )
        for name in (LAST, BEST, CURVES) if overwrite else ():
            (folder / name).unlink(missing_ok=True)

    def __enter__(self) -> TrainingFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def save(self, training: Training, epochs: int, history: History) -> None:
        """Write the last checkpoint after some of the planned epochs, and the best one if it is."""
        content = {
            "identity": self._identity,
            "epochs": epochs,
            "history": attrs.asdict(history),
        }
        data = _packed(training, content)
        for name in (BEST, LAST) if history.improved else (LAST,):
            files.replace(self.folder / name, data)

    def restore(self, training: Training) -> tuple[History, int] | None:
        """Load the states of the last checkpoint; returns its history and planned epochs."""
        path = self.folder / LAST
        if not path.exists():
            return None
        content, arrays = files.read(path, KIND)
        try:
            known = dict(content["identity"])
            history, epochs = History.of(content["history"]), int(content["epochs"])
            if not 0 < history.epochs <= epochs:
                raise ValueError(f"it has {history.epochs} epochs of {epochs}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _damaged(path, error) from error
        self._compare(known)
        _load_module(path, training.module, arrays)
        try:
            _restore(training, content, arrays)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise _damaged(path, error) from error
        return history, epochs

    def _compare(self, known: Mapping[str, Any]) -> None:
        """Refuse other settings than those of the interrupted training."""
        here, before = _flat(self._identity), _flat(known)
        for name in {**here, **before}:
            got, there = here.get(name, _NOTHING), before.get(name, _NOTHING)
            if got == there:
                continue
            if name in _HASHED:
                got, there = ("another" if got != _NOTHING else got), "the same"
            else:
                got, there = _short(got), _short(there)
            remedy = "Give the same, or choose another folder; overwrite=True throws the run away"
            if name == "network":  # it depends on the version of biosnn, too
                remedy += ", and surrogate.load_module reads the weights of its checkpoints alone"
            wanted = f"{there} as in the run in {self.folder}, which is resumed"
            raise ParameterError("train", name, got, wanted, remedy)


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, such as ``optimiser.lr``."""
    found: dict[str, Any] = {}
    for name, value in identity.items():
        named = isinstance(value, Mapping)
        found |= {f"{name}.{k}": v for k, v in value.items()} if named else {name: value}
    return found


def _short(value: Any) -> str:
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    text = value if value == _NOTHING else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _damaged(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"{path} is damaged, or of another version of biosnn: {error}; train anew in another folder"
    )


def load_module(path: Path | str, module: nn.Module) -> dict[str, Any]:
    """Load a module's weights from a checkpoint of :func:`train`; returns its other content.

    Raises
    ------
    StorageError
        If the file is damaged or of another network.
    """
    content, arrays = files.read(Path(path), KIND)
    _load_module(Path(path), module, arrays)
    return content


def _packed(training: Training, content: Mapping[str, Any]) -> bytes:
    """A checkpoint as safetensors with a JSON header."""
    tensors = {f"module.{name}": value for name, value in training.module.state_dict().items()}
    tensors["generator."] = torch.get_rng_state()
    tensors |= {f"generator.{name}": g.get_state() for name, g in training.generators.items()}
    state = training.optimiser.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    scheduler = training.scheduler
    described = {
        **content,
        "optimiser": {"groups": state["param_groups"], "plain": plain},
        "scheduler": scheduler.state_dict() if scheduler is not None else None,
    }
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    return files.packed(KIND, described, arrays)


def _restore(
    training: Training, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Load states of optimiser, scheduler and generators, checking names and shapes."""
    own = training.optimiser.state_dict()
    groups, plain = content["optimiser"]["groups"], content["optimiser"]["plain"]
    if [set(g) for g in groups] != [set(g) for g in own["param_groups"]]:
        raise ValueError("its optimiser has other settings")
    if [g["params"] for g in groups] != [g["params"] for g in own["param_groups"]]:
        raise ValueError("its optimiser has other parameters")
    parameters = [p for group in training.optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {int(k): dict(values) for k, values in plain.items()}
    for name, array in arrays.items():
        owner, _, rest = name.partition(".")
        if owner == "optimiser":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = torch.tensor(array)
    for index, values in state.items():
        shape = parameters[index].shape if 0 <= index < len(parameters) else None
        for key, value in values.items():
            if shape is None or (isinstance(value, Tensor) and value.shape not in (shape, ())):
                raise ValueError(f"its optimiser's {key} of parameter {index} does not fit")
    training.optimiser.load_state_dict({"state": state, "param_groups": groups})
    if training.scheduler is not None:
        saved = content["scheduler"]
        if set(saved) != set(training.scheduler.state_dict()):
            raise ValueError("its scheduler has other settings")
        training.scheduler.load_state_dict(saved)
    for name, generator in training.generators.items():
        generator.set_state(torch.tensor(arrays[f"generator.{name}"]))
    torch.set_rng_state(torch.tensor(arrays["generator."]))


def _load_module(path: Path, module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    found = {
        name.removeprefix("module."): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith("module.")
    }
    try:
        module.load_state_dict(found)
    except RuntimeError as error:
        raise StorageError(f"{path} is of another network: {error}") from error
