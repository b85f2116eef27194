"""What neurons do over time: membrane potentials, spikes, rates, traces and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from brian2 import Hz, ms, mV, second
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import axes_or_new, axes_row, colorbar, legend_beside
from biosnn.plotting.checks import (
    Floats,
    best_unit,
    clock,
    indices,
    numbers,
    positive,
    same_shape,
    with_unit,
)
from biosnn.validation import check_instance, check_members, check_whole

TIME = "time (ms)"
MAX_LEGEND = 10


def membrane(
    t: ArrayLike,
    v: ArrayLike,
    *,
    threshold: ArrayLike | None = None,
    spikes: Sequence[ArrayLike] | tuple[ArrayLike, ArrayLike] | None = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw membrane potentials, with the threshold dashed and spikes as strokes above it.

    Integrate-and-fire models reset ``v`` when it crosses the threshold; the strokes stand for
    the action potentials that they leave out.

    Parameters
    ----------
    t : array [n_times], time
        When `v` was sampled.
    v : array [n_neurons, n_times] or [n_times], voltage
        One trace per neuron.
    threshold : scalar or array, voltage, optional
        One for all, one per neuron [n_neurons], over time [n_times] (which is what an array
        is taken for where both lengths agree), or both [n_neurons, n_times].
    spikes : list of arrays, or tuple ``(i, t)``, optional
        Spike times: a list of one array per trace, or a tuple of the traces' numbers
        [n_spikes] and the times [n_spikes].
    labels : sequence of str, optional
        One name per trace. Unnamed traces are numbered where there are 2 to 10 of them.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "membrane"
    times = clock(where, "t", t)
    traces = np.atleast_2d(numbers(where, "v", v, mV))
    n_neurons = len(traces)
    same_shape(where, "v", traces, "[n_neurons, n_times]", (n_neurons, len(times)))
    levels = None if threshold is None else _levels(threshold, traces.shape)
    strokes = None if spikes is None else _spikes_per_trace(spikes, n_neurons)
    if labels is not None:
        check_members(where, "labels", labels, str)
    if labels is None:
        numbered = 1 < n_neurons <= MAX_LEGEND
        labels = [f"neuron {k}" if numbered else "" for k in range(n_neurons)]
    elif len(labels) != n_neurons:
        raise ParameterError(where, "labels", f"{len(labels)} labels", f"{n_neurons} labels")

    ax = axes_or_new(ax)
    lines = [
        ax.plot(times, trace, linewidth=1.0, label=label or None)[0]
        for trace, label in zip(traces, labels, strict=True)
    ]
    tops = traces.max(axis=1, keepdims=True)
    if levels is not None:
        shared = (levels == levels[0]).all()
        for line, level in list(zip(lines, levels, strict=True))[: 1 if shared else None]:
            name = "threshold" if line is lines[0] else None
            colour = "0.35" if shared else line.get_color()
            ax.plot(times, level, "--", color=colour, linewidth=1.0, label=name)
        tops = levels
    if strokes is not None:
        height = 0.25 * max(tops.max() - traces.min(), 1.0)
        for line, top, when in zip(
            lines, np.broadcast_to(tops, traces.shape), strokes, strict=True
        ):
            base = np.interp(when, times, top)
            if when.size:
                ax.vlines(when, base, base + height, color=line.get_color(), linewidth=1.4)
    ax.margins(x=0)
    ax.set(xlabel=TIME, ylabel="membrane potential (mV)")
    legend_beside(ax)
    return ax


def raster(
    i: ArrayLike,
    t: ArrayLike,
    *,
    n_neurons: int | None = None,
    duration: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one dot per spike: time across, neurons upwards.

    Parameters
    ----------
    i : integer array [n_spikes]
        Which neuron fired.
    t : array [n_spikes], time
        When it fired.
    n_neurons : int, optional
        Rows to show; the highest neuron that fired ends the plot without it.
    duration : time, optional
        Where the time axis ends; the last spike without it.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        Besides malformed input: without spikes, unless `n_neurons` and `duration` say how
        large the silence is.
    """
    where = "raster"
    rows = None if n_neurons is None else check_whole(where, "n_neurons", n_neurons, 1)
    end = None if duration is None else positive(where, "duration", duration, ms)
    neurons = indices(where, "i", i, stop=rows)
    times = _spike_times(where, "t", t, end)
    same_shape(where, "t", times, "i", neurons.shape)
    if not times.size and (rows is None or end is None):
        remedy = "Give n_neurons and duration to draw a silent network."
        raise ParameterError(where, "t", "no spikes", "non-empty", remedy)

    rows = rows or int(neurons.max()) + 1
    ax = axes_or_new(ax)
    size = np.clip(600 / rows, 1.6, 5.0)
    ax.plot(times, neurons, linestyle="none", marker="o", markersize=size, markeredgewidth=0)
    ax.set(xlabel=TIME, ylabel="neuron", ylim=(-0.5, rows - 0.5))
    ax.set_xlim(0, end or times.max() * 1.02 or 1.0)
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    return ax


def population_rate(
    t: ArrayLike,
    *,
    n_neurons: int,
    duration: ArrayLike,
    bin_width: ArrayLike = 1 * ms,
    smooth: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean firing rate of a population, in hertz per neuron.

    Parameters
    ----------
    t : array [n_spikes], time
        The spikes of all neurons; it may be empty.
    n_neurons : int
        The size of the population, silent neurons included.
    duration : time
        How long it was recorded.
    bin_width : time
        The width of the bins; the last one is cut at `duration`.
    smooth : time, optional
        Standard deviation of a Gaussian; the smoothed rate is drawn over the pale bins.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "population_rate"
    n_neurons = check_whole(where, "n_neurons", n_neurons, 1)
    end = positive(where, "duration", duration, ms)
    width = positive(where, "bin_width", bin_width, ms)
    sigma = None if smooth is None else positive(where, "smooth", smooth, ms)
    times = _spike_times(where, "t", t, end)

    rounding = 1e-6  # of a bin: spikes of a clock that ticks on the bins' edges stay in theirs
    n_bins = max(int(np.ceil(end / width - rounding)), 1)
    edges = np.minimum(np.arange(n_bins + 1) * width, end)
    edges[-1] = end
    bins = np.minimum((times / width + rounding).astype(int), n_bins - 1)
    spikes = np.bincount(bins, minlength=n_bins)
    rate = spikes / (n_neurons * np.diff(edges) * float(ms / second))

    ax = axes_or_new(ax)
    if sigma is None:
        ax.stairs(rate, edges, linewidth=1.2)
    else:
        ax.stairs(rate, edges, fill=True, alpha=0.3)
        ax.plot((edges[:-1] + edges[1:]) / 2, gaussian_filter1d(rate, sigma / width))
    ax.set(xlabel=TIME, ylabel=f"population rate ({Hz})", xlim=(0, end))
    ax.set_ylim(bottom=0)
    return ax


def activity_heatmap(
    counts: ArrayLike, labels: ArrayLike | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw how often each neuron fired for each sample; samples of a class stand together.

    Parameters
    ----------
    counts : array [n_samples, n_neurons]
        Spikes per sample.
    labels : array [n_samples] of int or str, optional
        The samples' classes: rows are sorted by them and lines separate the classes.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "activity_heatmap"
    spikes = numbers(where, "counts", counts, ndim=2)
    if labels is not None:
        classes = np.asarray(labels)
        same_shape(where, "labels", classes, "counts[:, 0]", spikes.shape[:1])
        if classes.dtype.kind not in "iuU":
            raise ParameterError(
                where, "labels", f"values of type {classes.dtype}", "integers or strings"
            )
        spikes = spikes[np.argsort(classes, kind="stable")]

    ax = axes_or_new(ax)
    image = ax.imshow(spikes, aspect="auto", cmap="magma", vmin=0, vmax=spikes.max() or 1)
    colorbar(ax, image, "spikes per sample")
    ax.set(xlabel="neuron", ylabel="sample")
    if labels is not None:
        names, sizes = np.unique(classes, return_counts=True)
        ends = np.cumsum(sizes)
        for end in ends[:-1]:
            ax.axhline(end - 0.5, color="white", linewidth=0.8)
        ax.set_yticks(ends - sizes / 2 - 0.5, [str(name) for name in names])
        ax.tick_params(axis="y", length=0)
        ax.set_ylabel("samples, by class")
    return ax


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
        _spike_times(where, name, train)
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


def _spike_times(where: str, name: str, value: ArrayLike, end: float | None = None) -> Floats:
    times = numbers(where, name, value, ms, ndim=1, empty=True)
    if times.size and (times.min() < 0 or (end is not None and times.max() > end)):
        wanted = ">= 0 ms" if end is None else f"from 0 to duration = {end:g} ms"
        raise ParameterError(where, name, f"{times.min():g} to {times.max():g} ms", wanted)
    return times


def _spikes_per_trace(
    spikes: Sequence[ArrayLike] | tuple[ArrayLike, ArrayLike], n_neurons: int
) -> list[Floats]:
    where = "membrane"
    check_instance("membrane", "spikes", spikes, (list, tuple))
    if isinstance(spikes, tuple):
        if len(spikes) != 2:
            raise ParameterError(where, "spikes", f"a tuple of {len(spikes)}", "a tuple (i, t)")
        neurons = indices(where, "spikes[0]", spikes[0], stop=n_neurons)
        times = _spike_times(where, "spikes[1]", spikes[1])
        same_shape(where, "spikes[1]", times, "spikes[0]", neurons.shape)
        return [times[neurons == k] for k in range(n_neurons)]
    if len(spikes) != n_neurons:
        wanted = f"a list of {n_neurons} array(s), one per trace, or a tuple (i, t)"
        raise ParameterError(where, "spikes", f"{len(spikes)} entries", wanted)
    return [_spike_times(where, f"spikes[{k}]", train) for k, train in enumerate(spikes)]


def _levels(threshold: ArrayLike, shape: tuple[int, int]) -> Floats:
    levels = numbers("membrane", "threshold", threshold, mV)
    n_neurons, n_times = shape
    if levels.shape == (n_neurons,) != (n_times,):
        levels = levels[:, np.newaxis]
    try:
        return np.broadcast_to(levels, shape)
    except ValueError:
        raise ParameterError(
            "membrane",
            "threshold",
            f"shape {levels.shape}",
            f"a scalar or of shape ({n_neurons},), ({n_times},) or {shape}",
        ) from None
