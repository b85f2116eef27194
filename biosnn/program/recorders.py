"""What a compiled network observes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from biosnn.errors import ParameterError
from biosnn.models import parsed
from biosnn.networks import NetworkModel
from biosnn.program.interface import TraceOf
from biosnn.recording import COUNT, FIRST_SPIKE
from biosnn.validation import check_value, check_whole


def _names(what: str) -> Callable[[Any], tuple[str, ...]]:
    def convert(given: Any) -> tuple[str, ...]:
        listed = isinstance(given, Iterable) and not isinstance(given, str)
        names = tuple(given) if listed else ()
        if not (listed or given is None) or not all(isinstance(name, str) for name in names):
            example = given if isinstance(given, str) else "exc"
            wanted = f"a list of populations' names, such as [{example!r}]"
            if what == "per_sample":
                example = given if isinstance(given, str) else "exc.count"
                wanted = f"a list of variables' names, such as [{example!r}]"
            raise ParameterError("compile", what, repr(given), wanted)
        return names

    return convert


def _mapping(what: str, given: Any) -> dict[str, Any]:
    if not isinstance(given or {}, Mapping):
        raise ParameterError("compile", what, repr(given), "a dict")
    return dict(given or {})


def _traces(given: Mapping[str, Any] | None) -> dict[str, TraceOf]:
    return {
        name: found if isinstance(found, TraceOf) else TraceOf(found)
        for name, found in _mapping("traces", given).items()
    }


@attrs.frozen(kw_only=True, eq=False)
class Record:
    """What a compiled network observes.

    Parameters
    ----------
    per_sample : tuple of str
        ``"population.variable"`` taken at the end of each sample; ``count`` (spikes) and
        ``t_first`` (time of the first spike) exist for every population with a threshold.
    spikes : tuple of str
        Populations whose spikes are recorded one by one.
    traces : dict of str to TraceOf
        ``"population.variable"`` or ``"projection.w"`` -> which neurons or synapses (by their
        place in the order (pre, post)) are recorded and how often.
    snapshots : dict of str to int
        ``"population.variable"`` or ``"projection.w"`` -> number of samples between copies.
    """

    per_sample: tuple[str, ...] = attrs.field(default=(), converter=_names("per_sample"))
    spikes: tuple[str, ...] = attrs.field(default=(), converter=_names("spikes"))
    traces: dict[str, TraceOf] = attrs.field(default=None, converter=_traces)
    snapshots: dict[str, int] = attrs.field(
        factory=dict, converter=lambda given: _mapping("snapshots", given)
    )

    def to_data(self, dt: Any) -> dict[str, Any]:
        """JSON types; the traces' intervals as numbers of time steps."""
        return {
            "per_sample": list(self.per_sample),
            "spikes": list(self.spikes),
            "traces": {k: [t.indices, t.steps(dt)] for k, t in self.traces.items()},
            "snapshots": self.snapshots,
        }


def check_record(network: NetworkModel, record: Record) -> None:
    """Check that what shall be recorded exists.

    Raises
    ------
    ParameterError
        Naming the population, variable or index that does not.
    """
    for what in ("per_sample", "traces", "snapshots"):
        for name in getattr(record, what):
            _check_variable(network, what, name)
    for name, trace in record.traces.items():
        _check_trace(network, name, trace)
    for name, every in record.snapshots.items():
        check_whole("compile", f"snapshots[{name!r}]", every, 1)
    for key in record.spikes:
        if key not in network.populations or network.populations[key].model.threshold is None:
            raise ParameterError("compile", "spikes", repr(key), "a population that spikes")


def observed(network: NetworkModel, per_sample: Sequence[str] | None) -> Sequence[str]:
    """Say what is kept of every sample: by default the output's spike counts."""
    if per_sample is not None:
        return per_sample
    spiking = network.populations[network.output].model.threshold is not None
    return (f"{network.output}.{COUNT}",) if spiking else ()


def _check_variable(network: NetworkModel, what: str, name: str) -> None:
    key, _, variable = name.partition(".")
    synaptic = {key: _synaptic(network, key) for key in network.projections}
    stored = [key for key, names in synaptic.items() if names and what != "per_sample"]
    owners = [*network.populations, *stored]
    if key not in owners:
        raise ParameterError("compile", what, repr(name), f"of one of {', '.join(owners)}")
    if key in network.projections:
        known = synaptic[key]
    else:
        model = network.whole_model(key)
        equations = parsed(key, model.equations)
        known = {key for key in equations.names if "linked" not in equations[key].flags}
        if what != "traces":  # what the others copy has to be stored
            known -= equations.subexpr_names
        if model.threshold is not None and what == "per_sample":
            known |= {COUNT, FIRST_SPIKE}
    if variable not in known:
        among = f"one of {key}'s {', '.join(sorted(known))}"
        raise ParameterError("compile", what, repr(name), among)


def _synaptic(network: NetworkModel, key: str) -> set[str]:
    weight = {"w"} if network.projections[key].weights is not None else set()
    return weight | set(network.synaptic(key))


def shared(network: NetworkModel) -> set[str]:
    """State variables of which all neurons of a population, or all synapses, have one."""
    found = {f"{k}.{name}" for k in network.projections for name in network.resolved(k).shared}
    for key in network.populations:
        equations = parsed(key, network.whole_model(key).equations)
        found |= {f"{key}.{name}" for name, e in equations.items() if "shared" in e.flags}
    return found


def _check_trace(network: NetworkModel, name: str, trace: TraceOf) -> None:
    key = name.partition(".")[0]
    n = network.n_synapses(key) if key in network.projections else network.populations[key].n
    n = 1 if name in shared(network) else n
    found = np.asarray(trace.indices)
    valid = found.ndim == 1 and found.size > 0 and found.dtype.kind in "iu"
    if not valid or found.min() < 0 or found.max() >= n:
        wanted = f"a list of indices from 0 to {n - 1}"
        raise ParameterError("compile", f"traces[{name!r}]", trace.indices, wanted)
    if trace.every is None:
        return
    where = f"traces[{name!r}].every"
    check_value("compile", where, trace.every, network.dt, "> 0")
    steps = float(trace.every / network.dt)
    whole = abs(steps - round(steps)) < 1e-6 and round(steps) > 0
    if not whole or network.steps_per_presentation % round(steps):
        slot = network.dt * network.steps_per_presentation
        wanted = f"a multiple of the time step ({network.dt}) that divides a presentation ({slot})"
        raise ParameterError("compile", where, trace.every, wanted)
