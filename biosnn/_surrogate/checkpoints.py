"""What a training needs to go on after an interruption, in one file per checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biosnn import files
from biosnn.errors import ParameterError, StorageError

KIND = "training"


def save_checkpoint(
    path: Path,
    module: nn.Module,
    content: Mapping[str, Any],
    *,
    optimiser: torch.optim.Optimizer,
    scheduler: Any,
    generators: Mapping[str, torch.Generator],
) -> None:
    """Write a checkpoint as safetensors with a JSON header, wholly or not at all.

    Parameters
    ----------
    path : Path
        A name ending in ``.biosnn``.
    module : torch.nn.Module
        Its ``state_dict`` is kept.
    content : mapping
        Plain data: epoch, settings, history.
    optimiser, scheduler
        Their states are kept.
    generators : dict of str to torch.Generator
        Random generators whose states are kept, besides torch's own of the CPU.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors["generator."] = torch.get_rng_state()
    tensors |= {f"generator.{name}": made.get_state() for name, made in generators.items()}
    state = optimiser.state_dict()
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    arrays = {name: _array(value) for name, value in tensors.items()}
    described = {
        **content,
        "optimiser": {"groups": state["param_groups"], "plain": plain},
        "scheduler": scheduler.state_dict() if scheduler is not None else None,
    }
    files.replace(Path(path), files.packed(KIND, described, arrays))


def load_module(path: Path, module: nn.Module) -> dict[str, Any]:
    """Take a module's parameters from a checkpoint; return its other content.

    Raises
    ------
    StorageError
        If the file is damaged or of another network.
    """
    content, arrays = files.read(Path(path), KIND)
    _load_module(path, module, arrays)
    return content


def load_checkpoint(
    path: Path,
    module: nn.Module,
    settings: Mapping[str, Any],
    *,
    optimiser: torch.optim.Optimizer,
    scheduler: Any,
    generators: Mapping[str, torch.Generator],
) -> dict[str, Any]:
    """Put everything back as it was when the checkpoint was written; return its content.

    Raises
    ------
    StorageError
        If the file is damaged or of another network.
    ParameterError
        If it was written under other settings.
    """
    content, arrays = files.read(Path(path), KIND)
    written = content["settings"]
    changed = [k for k in {**written, **settings} if written.get(k) != settings.get(k)]
    if changed:
        wanted = f"those of the interrupted run; they differ in {', '.join(sorted(changed))}"
        raise ParameterError("train", "settings", "others", wanted)
    _load_module(path, module, arrays)
    state: dict[int, dict[str, Any]] = {
        int(index): dict(values) for index, values in content["optimiser"]["plain"].items()
    }
    for name, array in arrays.items():
        room, _, rest = name.partition(".")
        if room == "optimiser":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = torch.tensor(array)
    optimiser.load_state_dict({"state": state, "param_groups": content["optimiser"]["groups"]})
    if scheduler is not None:
        scheduler.load_state_dict(content["scheduler"])
    torch.set_rng_state(torch.tensor(arrays["generator."]))
    for name, made in generators.items():
        made.set_state(torch.tensor(arrays[f"generator.{name}"]))
    return content


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


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()
