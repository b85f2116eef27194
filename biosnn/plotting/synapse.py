"""Plot of one synapse: its spikes, the traces they leave and its weight."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import TIME, axes_row, legend_beside
from biosnn.plotting.checks import best_unit, clock, numbers, same_shape, spike_times, with_unit
from biosnn.validation import check_instance


def plasticity_traces(
    t: ArrayLike,
    pre_spikes: ArrayLike,
    post_spikes: ArrayLike,
    traces: Mapping[str, ArrayLike],
    weight: ArrayLike,
    *,
    axes: NDArray[np.object_] | None = None,
) -> NDArray[np.object_]:
    """Draw how one synapse learns: its spikes, the traces they leave and its weight.

    Parameters
    ----------
    t : array [n_times], time
        When `traces` and `weight` were sampled.
    pre_spikes, post_spikes : arrays [n_spikes], time
        Spikes of the neuron before and behind the synapse; they may be empty.
    traces : mapping of str to array [n_times]
        Plasticity traces by name; all of one unit or plain numbers.
    weight : array [n_times]
        The synaptic weight, e.g. in siemens or a plain number.
    axes : array of 3 Axes, optional
        Where to draw; a new figure with a shared time axis without it.

    Returns
    -------
    array of 3 Axes
        Spikes, traces, weight.
    """
    where = "plasticity_traces"
    times = clock(where, "t", t)
    trains = [
        spike_times(where, name, train)
        for name, train in (("pre_spikes", pre_spikes), ("post_spikes", post_spikes))
    ]
    check_instance(where, "traces", traces, Mapping)
    if not traces:
        raise ParameterError(where, "traces", "none", "at least one array by name")
    trace_unit = min((best_unit(where, "traces", trace) for trace in traces.values()), key=float)
    weight_unit = best_unit(where, "weight", weight)
    lines = {
        name: numbers(where, f"traces[{name!r}]", trace, trace_unit)
        for name, trace in traces.items()
    }
    weights = numbers(where, "weight", weight, weight_unit)
    for name, line in [
        *((f"traces[{name!r}]", line) for name, line in lines.items()),
        ("weight", weights),
    ]:
        same_shape(where, name, line, "t", times.shape)

    axes = axes_row(
        where, axes, 3, (6.4, 5.0), nrows=3, sharex=True, gridspec_kw={"height_ratios": (1, 2, 2)}
    )
    axes[0].eventplot(
        trains, lineoffsets=[1, 0], linelengths=0.8, linewidths=1.4, colors=["C0", "C1"]
    )
    axes[0].set_yticks([1, 0], ["pre", "post"])
    axes[0].set(ylim=(-0.6, 1.6), ylabel="spikes")
    for name, line in lines.items():
        axes[1].plot(times, line, label=name)
    axes[1].set_ylabel(with_unit("trace", trace_unit))
    legend_beside(axes[1])
    axes[2].plot(times, weights, color="0.2")
    axes[2].set(xlabel=TIME, ylabel=with_unit("weight", weight_unit))
    for ax in axes:
        ax.set_xlim(times[0], times[-1])
    axes[0].figure.align_ylabels(axes)
    return axes
