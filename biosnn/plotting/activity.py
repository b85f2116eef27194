"""Plots of activity: membrane potentials, spikes, rates and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import EventMonitor, Hz, PopulationRateMonitor, StateMonitor, ms, mV, second
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from biosnn.errors import ParameterError
from biosnn.plotting.canvas import TIME, axes_or_new, colorbar, legend_beside
from biosnn.plotting.checks import (
    BrianUnit,
    Floats,
    as_unit,
    best_unit,
    clock,
    indices,
    numbers,
    positive,
    same_shape,
    spike_times,
    with_unit,
)
from biosnn.plotting.observed import (
    TimeCourse,
    events_seen,
    per_sample_of,
    rates_seen,
    refuse_without,
    spikes_of,
    trace_of,
    values_seen,
)
from biosnn.recording import COUNT, Recording
from biosnn.validation import check_instance, check_members, check_whole

MAX_LEGEND = 10
MAX_ONSETS = 100


def membrane(
    t: ArrayLike | Recording | StateMonitor,
    v: ArrayLike | str,
    *,
    threshold: ArrayLike | None = None,
    spikes: Sequence[ArrayLike] | tuple[ArrayLike, ArrayLike] | bool | None = None,
    labels: Sequence[str] | None = None,
    unit: BrianUnit | None = None,
    sample: int | None = None,
    attempt: int | None = None,
    neurons: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw membrane potentials, with the threshold dashed and spikes as strokes above it.

    Integrate-and-fire models reset ``v`` when it crosses the threshold; the strokes stand for
    the action potentials that they leave out. Another variable is drawn as well.

    Parameters
    ----------
    t : array [n_times], time, or Recording or brian2.StateMonitor
        When `v` was sampled; or what a run returned, or a monitor of Brian2.
    v : array [n_neurons, n_times] or [n_times], voltage, or str
        One trace per neuron; or which one of the recording, e.g. ``"exc.v"``, or of the monitor,
        e.g. ``"v"``.
    threshold : scalar or array, same unit as `v`, optional
        One for all, one per neuron [n_neurons], over time [n_times] (which is what an array
        is taken for where both lengths agree), or both [n_neurons, n_times].
    spikes : list of arrays, tuple ``(i, t)`` or bool, optional
        Spike times on the clock of `t`: a list of one array per trace, or a tuple of the traces'
        numbers [n_spikes] and the times [n_spikes]. Those of a recording are drawn where they were
        recorded, unless this is False.
    labels : sequence of str, optional
        One name per trace. Unnamed traces are numbered where there are 2 to 10 of them.
    unit : Unit, optional
        Of arrays that are no voltages: ``1`` for numbers, or e.g. ``nA``. Plain arrays are SI then,
        too. A recording knows it.
    sample : int, optional
        Of a recording: only this one, with times since its onset; without it, the whole run.
    attempt : int, optional
        Which presentation of the sample, if it was shown again; default: the last one.
    neurons : integer array, optional
        Of a recording: which neurons; all that were recorded without it.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ParameterError
        If the input is malformed, or was not recorded.
    """
    where = "membrane"
    quantity = "membrane potential"
    drawn_in: BrianUnit = mV
    if isinstance(t, StateMonitor):
        refuse_without(where, "a Recording", sample=sample, attempt=attempt)
        monitor: Any = t
        t, v = values_seen(where, monitor, v), f"{monitor.name}.{v}"
    if isinstance(t, Recording):
        refuse_without(where, "arrays", unit=unit)
        seen = trace_of(where, t, v, sample, attempt, neurons)
        if labels is None and 1 < len(seen.neurons) <= MAX_LEGEND:
            labels = [f"neuron {k}" for k in seen.neurons]
        if spikes is None or spikes is True:
            spikes = _recorded_spikes(t, v, sample, attempt, seen, needed=spikes is True)
        t, v, quantity = seen.t, seen.values, seen.label
        best = best_unit(where, "v", v)
        drawn_in = mV if best.dim == mV.dim else best
    else:
        refuse_without(where, "a Recording", sample=sample, attempt=attempt, neurons=neurons)
        if unit is not None:
            drawn_in, quantity = as_unit(where, "unit", unit), "v"
    if spikes is False:
        spikes = None
    elif spikes is True:
        raise ParameterError(where, "spikes", True, "their times, where arrays are drawn")
    times = clock(where, "t", t)
    traces = np.atleast_2d(numbers(where, "v", v, drawn_in))
    n_neurons = len(traces)
    same_shape(where, "v", traces, "[n_neurons, n_times]", (n_neurons, len(times)))
    levels = None if threshold is None else _levels(threshold, traces.shape, drawn_in)
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
        height = 0.25 * (tops.max() - traces.min()) or 0.25
        for line, top, when in zip(
            lines, np.broadcast_to(tops, traces.shape), strokes, strict=True
        ):
            base = np.interp(when, times, top)
            if when.size:
                ax.vlines(when, base, base + height, color=line.get_color(), linewidth=1.4)
    ax.margins(x=0)
    ax.set(xlabel=TIME, ylabel=with_unit(quantity, drawn_in))
    legend_beside(ax)
    return ax


def raster(
    i: ArrayLike | Recording | EventMonitor,
    t: ArrayLike | str | None = None,
    *,
    n_neurons: int | None = None,
    duration: ArrayLike | None = None,
    sample: int | None = None,
    attempt: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one dot per spike: time across, neurons upwards.

    Parameters
    ----------
    i : integer array [n_spikes] or Recording or brian2.SpikeMonitor
        Which neuron fired; or what a run returned, or a monitor of Brian2.
    t : array [n_spikes], time, or str, optional
        When it fired; or which population of the recording. Left out for a monitor.
    n_neurons : int, optional
        Rows to show; without it all neurons of a recorded population, and of arrays the highest
        neuron that fired ends the plot.
    duration : time, optional
        Where the time axis ends; without it the end of a recording, or the last spike of arrays.
    sample : int, optional
        Of a recording: only this one, with times since its onset. Without it, the whole run is
        drawn, with pale lines at the onsets.
    attempt : int, optional
        Which presentation of the sample, if it was shown again; default: the last one.
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
    onsets = np.zeros(0)
    if isinstance(i, EventMonitor):
        refuse_without(where, "a Recording", t=t, sample=sample, attempt=attempt)
        monitor: Any = i
        i, t = events_seen(where, monitor), str(monitor.name)
    if t is None:
        raise ParameterError(where, "t", None, "given where arrays or a Recording are drawn")
    if isinstance(i, Recording):
        seen = spikes_of(where, i, t, sample, attempt)
        i, t, onsets = seen.i, seen.t, 1000 * seen.onsets
        n_neurons = seen.n if n_neurons is None else n_neurons
        duration = seen.duration if duration is None else duration
    else:
        refuse_without(where, "a Recording", sample=sample, attempt=attempt)
    rows = None if n_neurons is None else check_whole(where, "n_neurons", n_neurons, 1)
    end = None if duration is None else positive(where, "duration", duration, ms)
    neurons = indices(where, "i", i, stop=rows)
    times = spike_times(where, "t", t, end)
    same_shape(where, "t", times, "i", neurons.shape)
    if not times.size and (rows is None or end is None):
        remedy = "Give n_neurons and duration to draw a silent network."
        raise ParameterError(where, "t", "no spikes", "non-empty", remedy)

    rows = rows or int(neurons.max()) + 1
    ax = axes_or_new(ax)
    size = np.clip(600 / rows, 1.6, 5.0)
    ax.plot(times, neurons, linestyle="none", marker="o", markersize=size, markeredgewidth=0)
    if 1 < len(onsets) <= MAX_ONSETS:
        ax.vlines(onsets[1:], -0.5, rows - 0.5, color="0.85", linewidth=0.8, zorder=0)
    ax.set(xlabel=TIME, ylabel="neuron", ylim=(-0.5, rows - 0.5))
    ax.set_xlim(0, end or times.max() * 1.02 or 1.0)
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    return ax


def population_rate(
    t: ArrayLike | Recording | EventMonitor | PopulationRateMonitor,
    population: str | None = None,
    *,
    n_neurons: int | None = None,
    duration: ArrayLike | None = None,
    bin_width: ArrayLike = 1 * ms,
    smooth: ArrayLike | None = None,
    sample: int | None = None,
    attempt: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean firing rate of a population, in hertz per neuron.

    Parameters
    ----------
    t : array [n_spikes], time, or Recording, brian2.SpikeMonitor or brian2.PopulationRateMonitor
        The spikes of all neurons, of which there may be none; or what a run returned, or a
        monitor of Brian2.
    population : str, optional
        Which one of the recording.
    n_neurons : int
        The size of the population, silent neurons included; recordings and monitors know it.
    duration : time
        How long it was recorded; recordings and monitors know it.
    bin_width : time
        The width of the bins; the last one is cut at `duration`.
    smooth : time, optional
        Standard deviation of a Gaussian; the smoothed rate is drawn over the pale bins.
    sample, attempt : int, optional
        Of a recording, as for :func:`raster`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "population_rate"
    weights = None
    if isinstance(t, EventMonitor):
        refuse_without(where, "a Recording", population=population, sample=sample, attempt=attempt)
        monitor: Any = t
        t, population = events_seen(where, monitor), monitor.name
    elif isinstance(t, PopulationRateMonitor):
        known = {"n_neurons": n_neurons, "population": population}
        refuse_without(where, "spikes", **known, sample=sample, attempt=attempt)
        t, rates, step = rates_seen(where, t)
        weights, n_neurons, population = rates * step, 1, None  # spikes per neuron in each step
        duration = t[-1] + step if duration is None else duration
    if isinstance(t, Recording):
        seen = spikes_of(where, t, population, sample, attempt)
        n_neurons = seen.n if n_neurons is None else n_neurons
        t, duration = seen.t, seen.duration if duration is None else duration
    else:
        refuse_without(where, "a Recording", population=population, sample=sample, attempt=attempt)
    if duration is None:
        raise ParameterError(where, "duration", None, "given where arrays are drawn")
    n_neurons = check_whole(where, "n_neurons", n_neurons, 1)
    end = positive(where, "duration", duration, ms)
    width = positive(where, "bin_width", bin_width, ms)
    sigma = None if smooth is None else positive(where, "smooth", smooth, ms)
    times = spike_times(where, "t", t, end)

    rounding = 1e-6  # of a bin: spikes of a clock that ticks on the bins' edges stay in theirs
    n_bins = max(int(np.ceil(end / width - rounding)), 1)
    edges = np.minimum(np.arange(n_bins + 1) * width, end)
    edges[-1] = end
    bins = np.minimum((times / width + rounding).astype(int), n_bins - 1)
    spikes = np.bincount(bins, weights, minlength=n_bins)
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
    counts: ArrayLike | Recording,
    labels: ArrayLike | None = None,
    *,
    name: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each neuron fired for each sample; samples of a class stand together.

    Parameters
    ----------
    counts : array [n_samples, n_neurons] or Recording
        Spikes per sample, or another variable at the end of each, such as a potential: whole
        numbers >= 0 are taken for spikes. Or what a run returned.
    labels : array [n_samples] of int or str, optional
        The samples' classes: rows are sorted by them and lines separate the classes.
    name : str, optional
        Of a recording: the population whose spikes were counted, or a variable (``"exc.v"``).
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    where = "activity_heatmap"
    given: Any = counts
    quantity, counted = "value", None
    if isinstance(counts, Recording):
        given, quantity = per_sample_of(where, counts, name)
        counted = quantity.rpartition(".")[2] == COUNT
    else:
        refuse_without(where, "a Recording", name=name)
    unit = best_unit(where, "counts", given)
    never = isinstance(counts, Recording)  # an infinite time stands for no spike
    values = numbers(where, "counts", given, unit, ndim=2, infinite=never)
    lowest, highest = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    if counted is None:
        whole = (values == np.round(values)).all()
        counted = unit.dim.is_dimensionless and lowest >= 0 and whole
    if counted:
        quantity, lowest, highest = "spikes per sample", 0, highest or 1
    if labels is not None:
        classes = np.asarray(labels)
        same_shape(where, "labels", classes, "counts[:, 0]", values.shape[:1])
        if classes.dtype.kind not in "iuU":
            raise ParameterError(
                where, "labels", f"values of type {classes.dtype}", "integers or strings"
            )
        values = values[np.argsort(classes, kind="stable")]

    ax = axes_or_new(ax)
    image = ax.imshow(values, aspect="auto", cmap="magma", vmin=lowest, vmax=highest)
    colorbar(ax, image, with_unit(quantity, unit))
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


def _spikes_per_trace(
    spikes: Sequence[ArrayLike] | tuple[ArrayLike, ArrayLike], n_neurons: int
) -> list[Floats]:
    where = "membrane"
    check_instance("membrane", "spikes", spikes, (list, tuple))
    if isinstance(spikes, tuple):
        if len(spikes) != 2:
            raise ParameterError(where, "spikes", f"a tuple of {len(spikes)}", "a tuple (i, t)")
        neurons = indices(where, "spikes[0]", spikes[0], stop=n_neurons)
        times = spike_times(where, "spikes[1]", spikes[1])
        same_shape(where, "spikes[1]", times, "spikes[0]", neurons.shape)
        return [times[neurons == k] for k in range(n_neurons)]
    if len(spikes) != n_neurons:
        wanted = f"a list of {n_neurons} array(s), one per trace, or a tuple (i, t)"
        raise ParameterError(where, "spikes", f"{len(spikes)} entries", wanted)
    return [spike_times(where, f"spikes[{k}]", train) for k, train in enumerate(spikes)]


def _recorded_spikes(
    recording: Recording,
    name: Any,
    sample: int | None,
    attempt: int | None,
    seen: TimeCourse,
    needed: bool,
) -> list[Floats] | bool:
    """Spike times in s of the neurons that are drawn; False where they were not recorded."""
    population = name.partition(".")[0]
    if population not in recording.spikes and not needed:
        return False
    train = spikes_of("membrane", recording, population, sample, attempt)
    return [train.t[train.i == k] for k in seen.neurons]


def _levels(threshold: ArrayLike, shape: tuple[int, int], unit: BrianUnit) -> Floats:
    levels = numbers("membrane", "threshold", threshold, unit)
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
