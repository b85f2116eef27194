"""What a network's state holds: initial values, units, and what a presentation resets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from brian2 import Equations

from biosnn.errors import ParameterError
from biosnn.models import Companion, Normal, Uniform, parsed
from biosnn.state import Draw, unit_name
from biosnn.validation import check_choice

if TYPE_CHECKING:
    from biosnn.networks.network import NetworkModel


def initial_values(network: NetworkModel) -> dict[str, np.ndarray | Draw]:
    """What every variable begins with: values, or how they are drawn."""
    values: dict[str, np.ndarray | Draw] = {"protocol.seen": np.zeros(1, dtype=np.int64)}
    for key, population in network.populations.items():
        model = population.model.with_traces(
            part for part in network.companions(key) if isinstance(part, Companion)
        )
        equations = parsed("", model.equations)
        for variable in model.variables:
            value = model.initial_value(variable)
            n = 1 if "shared" in equations[variable].flags else population.n
            if isinstance(value, Uniform | Normal):
                values[f"{key}.{variable}"] = value.draw(n)
                continue
            dtype = np.int64 if equations[variable].var_type == "integer" else np.float64
            values[f"{key}.{variable}"] = np.broadcast_to(
                np.asarray(value, dtype=dtype), (n,)
            ).copy()
    for key, projection in network.projections.items():
        if projection.weights is not None:
            values[f"{key}.w"] = projection.initial_weights(*network.drawing(key))
        names = network.synaptic(key)
        if names:
            n, shared = network.n_synapses(key), network.resolved(key).shared
            values |= {f"{key}.{k}": np.zeros(1 if k in shared else n) for k in names}
    return values


def units(network: NetworkModel) -> dict[str, str]:
    """SI units of all that models and projections declare, as a state has them."""
    owners = {key: network.whole_model(key).equations for key in network.populations}
    for key in network.projections:
        projection = network.resolved(key)
        own = projection.rule.equations if projection.rule else ""
        owners[key] = f"{projection.equations}\n{own}"
    return {
        f"{key}.{name}": unit_name(known[name].dim)
        for key, text in owners.items()
        for known in [Equations(text)]
        for name in known.diff_eq_names | known.parameter_names
    }


def resets(network: NetworkModel) -> dict[str, tuple[str, ...]]:
    """Population or projection -> what begins anew at every onset (:class:`Presentation`)."""
    reset = network.presentation.reset
    if reset == "none":
        return {}
    if isinstance(reset, dict):
        return {key: tuple(names) for key, names in reset.items() if names}
    owners = {key: network.whole_model(key) for key in network.populations}
    owners |= {key: network.resolved(key) for key in network.projections}
    return {key: owner.fast for key, owner in owners.items() if owner.fast}


def check_reset(network: NetworkModel) -> None:
    """Check that what begins anew at an onset are variables that have one first value.

    Raises
    ------
    ParameterError
        If a dict names something else, or a value differs between neurons or is drawn.
    """
    reset = network.presentation.reset
    for key, names in {} if isinstance(reset, str) else reset.items():
        owners = {**network.populations, **network.projections}
        check_choice(network.name, "presentation.reset", key, owners)
        field = f"presentation.reset[{key!r}]"
        if not isinstance(names, Sequence) or isinstance(names, str):
            remedy = f"Write ({names!r},)" if isinstance(names, str) else ""
            raise ParameterError(network.name, field, repr(names), "a tuple of names", remedy)
        if key in network.projections:
            known = network.synaptic(key)
        else:
            model = network.whole_model(key)
            since = () if model.refractory is None else ("lastspike",)
            known = (*model.variables, *since)
        for name in names:
            check_choice(network.name, field, name, known)
    for key, names in network.resets.items():
        for name in names if key in network.populations else ():
            value = network.whole_model(key).initial_value(name)
            if np.ndim(value) > 0 or isinstance(value, Uniform | Normal):
                got, wanted = f"{key}.{name}", "a variable with one initial value"
                remedy = "Name what shall be reset in a dict, or call the variable slow"
                raise ParameterError(network.name, "presentation.reset", got, wanted, remedy)
