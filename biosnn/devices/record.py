"""What a compiled network observes."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from brian2 import Equations, get_unit
from brian2.units.fundamentalunits import Dimension

from biosnn.errors import ParameterError
from biosnn.networks import NetworkModel


@attrs.define(kw_only=True)
class Record:
    """What a compiled network observes.

    Parameters
    ----------
    per_sample : tuple of str
        ``"population.variable"`` taken at the end of each sample; ``count`` (spikes) and
        ``t_first`` (time of the first spike) exist for every population with a threshold.
    spikes : tuple of str
        Populations whose spikes are recorded one by one.
    traces : dict of str to sequence of int
        ``"population.variable"`` -> indices of the neurons that are recorded at every step.
    """

    per_sample: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    spikes: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    traces: dict[str, Any] = attrs.field(factory=dict)


def unit_name(dim: Dimension) -> str:
    """SI unit of a variable, empty for plain numbers."""
    return "" if dim.is_dimensionless else str(get_unit(dim))


def check_record(network: NetworkModel, record: Record) -> None:
    """Check that what shall be recorded exists.

    Raises
    ------
    ParameterError
        Naming the population, variable or index that does not.
    """
    for name in (*record.per_sample, *record.traces):
        key, _, variable = name.partition(".")
        if key not in network.populations:
            raise ParameterError(
                "compile", "record", repr(name), f"of one of {', '.join(network.populations)}"
            )
        model = network.populations[key].model
        equations = Equations(model.equations)
        known = {key for key in equations.names if "linked" not in equations[key].flags}
        if model.threshold is not None and name in record.per_sample:
            known |= {"count", "t_first"}
        if variable not in known:
            raise ParameterError(
                "compile", "record", repr(name), f"one of {key}'s {', '.join(sorted(known))}"
            )
    for name, indices in record.traces.items():
        n = network.populations[name.partition(".")[0]].n
        found = np.asarray(indices)
        valid = found.ndim == 1 and found.size > 0 and found.dtype.kind in "iu"
        if not valid or found.min() < 0 or found.max() >= n:
            raise ParameterError(
                "compile", f"traces[{name!r}]", indices, f"a list of indices from 0 to {n - 1}"
            )
    for key in record.spikes:
        if key not in network.populations or network.populations[key].model.threshold is None:
            raise ParameterError("compile", "spikes", repr(key), "a population that spikes")
