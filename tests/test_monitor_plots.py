"""Plots of Brian2's own monitors and synapses: the axes are those of recordings."""

from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    mA,
    ms,
    mV,
    nS,
    second,
)

import biosnn
from biosnn import plotting
from biosnn.errors import ParameterError

pytestmark = pytest.mark.usefixtures("fresh_brian2")


@pytest.fixture
def net() -> Network:
    cells = NeuronGroup(
        4,
        "dv/dt = (20*mV + i*mV - v)/(10*ms) : volt\nI = v*mA/mV : amp\nx = v/mV : 1",
        threshold="v > 15*mV",
        reset="v = 0*mV",
        method="euler",
        name="cells",
    )
    made = Synapses(cells, cells, "w : siemens\nu : 1", on_pre="v_post += 0.1*mV", name="made")
    made.connect("i != j")
    made.w = "(i + 1)*nS"
    made.u = 0.5
    return Network(
        cells,
        made,
        SpikeMonitor(cells, name="spikes"),
        SpikeMonitor(cells, record=False, name="counted"),
        StateMonitor(cells, ["v", "I", "x"], record=[0, 3], name="trace"),
        PopulationRateMonitor(cells, name="rates"),
    )


def drawn(ax: Any) -> dict[str, Any]:
    """All that is in axes."""
    lines = [line.get_xydata() for line in ax.get_lines()]
    strokes = [path for c in ax.collections for path in (p.vertices for p in c.get_paths())]
    stairs = [patch.get_data()[:2] for patch in ax.patches]
    words = [ax.get_xlabel(), ax.get_ylabel(), [t.get_text() for t in ax.texts]]
    legend = ax.get_legend()
    words.append(legend and [text.get_text() for text in legend.get_texts()])
    limits = (ax.get_xlim(), ax.get_ylim())
    return {"lines": lines, "strokes": strokes, "stairs": stairs, "words": words, "limits": limits}


def same(one: Any, other: Any) -> None:
    a, b = drawn(one), drawn(other)
    assert a["words"] == b["words"]
    np.testing.assert_allclose(a["limits"], b["limits"])
    for key in ("lines", "strokes", "stairs"):
        assert len(a[key]) == len(b[key])
        for x, y in zip(a[key], b[key], strict=True):
            for u, v in zip(x, y, strict=True):
                np.testing.assert_allclose(
                    np.asarray(u, dtype=float), np.asarray(v, dtype=float), atol=1e-9
                )


def test_axes_are_those_of_a_recording(net: Network) -> None:
    recording, _ = biosnn.compile(biosnn.from_brian2(net), device="runtime").run(60 * ms)
    net.run(60 * ms)
    spikes, trace = net["spikes"], net["trace"]
    assert spikes.num_spikes > 10
    ax = plotting.raster(spikes)
    same(ax, plotting.raster(recording, "spikes"))
    (dots,) = ax.get_lines()
    np.testing.assert_allclose(dots.get_xdata(), spikes.t / ms)
    assert ax.get_xlim() == (0, 60)
    for name, unit in (("v", "mV"), ("I", "mA"), ("x", None)):
        ax = plotting.membrane(trace, name)
        same(ax, plotting.membrane(recording, f"trace.{name}"))
        assert ax.get_ylabel() == f"trace.{name}" + (f" ({unit})" if unit else "")
        values = getattr(trace, name)[1]
        drawn_values = ax.get_lines()[1].get_ydata()
        np.testing.assert_allclose(drawn_values, values / {"v": mV, "I": mA, "x": 1}[name])
    same(plotting.population_rate(spikes), plotting.population_rate(recording, "spikes"))
    only = plotting.membrane(trace, "v", neurons=[3])
    assert len(only.get_lines()) == 1


def test_rates_of_both_monitors_agree(net: Network) -> None:
    net.run(60.5 * ms)
    for width in (0.1 * ms, 1 * ms, 7 * ms):
        same(
            plotting.population_rate(net["rates"], bin_width=width),
            plotting.population_rate(net["spikes"], bin_width=width),
        )
    heights = plotting.population_rate(net["rates"], bin_width=10 * ms).patches[0].get_data()[0]
    expected = net["spikes"].num_spikes / 4 / (60.5e-3)
    edges = np.diff([0, 10, 20, 30, 40, 50, 60, 60.5])
    assert np.sum(heights * edges) / 60.5 == pytest.approx(expected)


def test_weights_of_synapses(net: Network) -> None:
    made = net["made"]
    image = plotting.weight_heatmap(made).images[0].get_array()
    expected = np.array(made.w / nS)
    np.testing.assert_allclose(np.ma.getdata(image)[made.i, made.j], expected)
    assert np.isnan(np.ma.filled(image, np.nan)[range(4), range(4)]).all()
    ax = plotting.weight_histogram(made)
    assert ax.get_xlabel() == "weight (nS)"
    assert ax.patches[0].get_data()[0].sum() == 12
    assert plotting.weight_histogram(made, "u").get_xlabel() == "weight"
    tiles = plotting.receptive_fields(made, shape=(2, 2)).images[0].get_array()
    assert np.nanmax(np.ma.filled(tiles, np.nan)) == pytest.approx(4)


def test_what_cannot_be_drawn_is_named(net: Network) -> None:
    never, made = net["spikes"], net["made"]
    empty = Synapses(net["cells"], net["cells"], "w : 1", name="empty")
    double = Synapses(net["cells"], net["cells"], "w : 1", name="double")
    double.connect(n=2)
    for attempt, told in (
        (lambda: plotting.raster(never), "monitor .*'spikes', which has recorded nothing.*Run"),
        (lambda: plotting.membrane(net["trace"], "v"), "'trace', which has recorded nothing"),
        (lambda: plotting.population_rate(net["rates"]), "'rates', which has recorded nothing"),
        (lambda: plotting.weight_heatmap(made, "gain"), r"'made' \('u', 'w'\), got 'gain'"),
        (lambda: plotting.weight_histogram(empty), "'empty', which has no synapses"),
        (lambda: plotting.weight_heatmap(double), "'double', with several synapses per pair"),
    ):
        with pytest.raises(ParameterError, match=told):
            attempt()
    net.run(1 * second / 100)
    for attempt, told in (
        (lambda: plotting.raster(net["counted"]), "'counted', which counts only.*record=True"),
        (lambda: plotting.membrane(net["trace"], "u"), "'trace' records .*'v', 'x'"),
        (lambda: plotting.raster(never, "spikes"), "raster.t must be left out"),
        (lambda: plotting.raster([0, 1]), "raster.t must be given"),
        (lambda: plotting.population_rate(net["rates"], n_neurons=3), "n_neurons must be left out"),
        (lambda: plotting.membrane(net["trace"], "v", sample=0), "sample must be left out"),
    ):
        with pytest.raises(ParameterError, match=told):
            attempt()
