"""Compare a state with a network, and two declarations with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from biosnn.declaration import from_data
from biosnn.models import Companion, parsed
from biosnn.networks import NetworkModel
from biosnn.state import SEEN, State


def misfit(network: NetworkModel, state: State, *, single: bool) -> str:
    """Describe what of a state does not fit a network; empty if all fits.

    Sizes come first: a declaration alone must not take memory that no array in the file takes.
    """
    for name, size in _sizes(network):
        if name not in state:
            return f"one without {name!r}"
        if state[name].size != size:
            return f"one with {name!r} of shape {state[name].shape} instead of ({size},)"
    declared = network.initial_state()
    floats = (np.float32, np.float64) if single else (np.float64,)
    allowed = {"f": floats, "i": (np.int32, np.int64), "b": (np.bool_,)}
    for name in sorted({*declared, *state}):
        array, owner = state[name], name.partition(".")[0]
        if name in declared:
            shape, kinds = declared[name].shape, (declared[name].dtype.kind,)
        elif owner in network.populations:
            shape, kinds = (network.populations[owner].n,), tuple(allowed)
        else:
            return f"one with {name!r}"
        if array.shape != shape:
            return f"one with {name!r} of shape {array.shape} instead of {shape}"
        types = [kind for key in kinds for kind in allowed[key]]
        if array.dtype not in types:
            wanted = ", ".join(np.dtype(kind).name for kind in types)
            return f"one with {name!r} of type {array.dtype} instead of {wanted}"
        if np.isnan(array).any():
            return f"one with NaN in {name!r}, at index {int(np.flatnonzero(np.isnan(array))[0])}"
    if state.shapes != declared.shapes:
        return f"one with matrices {state.shapes} instead of {declared.shapes}"
    return ""


def _sizes(network: NetworkModel) -> Iterator[tuple[str, int]]:
    """Name and number of values of each declared variable, none of which takes memory yet.

    Populations come before projections, whose random pairs are drawn when they are asked for.
    """
    yield SEEN, 1
    for key, population in network.populations.items():
        parts = [part for part in network.companions(key) if isinstance(part, Companion)]
        model = population.model.with_traces(parts)
        equations = parsed(key, model.equations)
        for variable in model.variables:
            shared = "shared" in equations[variable].flags
            yield f"{key}.{variable}", 1 if shared else population.n
    for key, projection in network.projections.items():
        resolved = network.resolved(key)
        names = [*(["w"] if projection.weights is not None else []), *resolved.variables]
        for name in names:
            yield f"{key}.{name}", 1 if name in resolved.shared else network.n_synapses(key)


def difference(saved: Any, given: Any, path: str = "") -> str:
    """Describe the first difference of two declarations; empty if they are the same.

    Parameters
    ----------
    saved, given : object
        What :func:`biosnn.declaration.to_data` returned, of the file and of the caller's network.
    path : str
        Where in the declaration they are.
    """
    if _is_branch(saved) and _is_branch(given):
        for key in sorted({*saved, *given}):
            inner = f"{path}.{key}".removeprefix(".").replace(".$spec", "'s kind")
            if key not in given:
                return f"{inner} exists in the file only"
            if key not in saved:
                return f"{inner} exists in the network given only"
            found = difference(saved[key], given[key], inner)
            if found:
                return found
        return ""
    if isinstance(saved, list) and isinstance(given, list) and len(saved) == len(given):
        pairs = enumerate(zip(saved, given, strict=True))
        found = (difference(one, other, f"{path}[{k}]") for k, (one, other) in pairs)
        return next(filter(None, found), "")
    if json.dumps(saved) == json.dumps(given):
        return ""
    return f"{path} is {_brief(saved)} in the file and {_brief(given)} in the network given"


def _is_branch(data: Any) -> bool:
    return isinstance(data, dict) and not {"$quantity", "$array"} & set(data)


def _brief(data: Any) -> str:
    text = str(from_data(data)) if isinstance(data, dict) else repr(data)
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."
