"""Plots of what a run returned (W13, W19), and how objects show themselves (C15)."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms, mV, nA
from matplotlib import pyplot

from biosnn import models, plotting, simulation
from biosnn.errors import ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.plotting import canvas
from biosnn.recording import Recording

CURRENTS = np.array([[1.6e-9], [0.0], [2.4e-9]])


@pytest.fixture(scope="module")
def run() -> tuple[simulation.Runnable, Recording, object]:
    """A neuron that fires in the first and the last of three samples of 50 ms."""
    cell = models.neuron(
        name="cell",
        equations="dv/dt = (E_L - v + R*I)/tau : volt\nI : amp\ndu/dt = -u/tau : 1",
        threshold="v > V_th",
        reset="v = E_L\nu += 1",
        method="exact",
        parameters={"E_L": -70 * mV, "V_th": -55 * mV, "R": 10 * mV / nA, "tau": 10 * ms},
        initial={"v": "E_L"},
    )
    network = NetworkModel(
        name="observed",
        dt=0.5 * ms,
        inputs={"current": Input(features=1)},
        populations={
            "c": Population(model=cell, n=1, drives={"I": "current"}),
            "d": Population(model=models.lif(), n=3),
        },
        projections={"c_d": Projection(pre="c", post="d", transmit="v_post += w*mV", weights=2.0)},
        presentation=Presentation(duration=50 * ms),
        output="c",
    )
    runnable = simulation.compile(
        network,
        "runtime",
        per_sample=("c.count", "c.v"),
        spikes=("c",),
        traces={"c.v": [0], "c.u": [0]},
    )
    recording, state = runnable.run(CURRENTS, progress=False)
    assert recording.spikes["c"].i.size >= 4
    return runnable, recording, state


def strokes(ax) -> np.ndarray:
    """Times of the strokes above a membrane, in ms."""
    drawn = [path.vertices[0, 0] for part in ax.collections for path in part.get_paths()]
    return np.sort(drawn)


def test_spikes_stand_where_the_membrane_moves(run) -> None:
    """W13: the strokes are at the steps in which the drawn potential falls to its reset."""
    _, recording, _ = run
    ax = plotting.membrane(recording, "c.v")
    times, values = ax.lines[0].get_data()
    assert times[-1] == pytest.approx(149.5)
    fell = times[:-1][np.diff(values) < -5]
    drawn = strokes(ax)
    assert len(drawn) >= 4
    for sample in (0, 2):
        inside = (drawn >= 50 * sample) & (drawn < 50 * sample + 50)
        assert inside.any()
    # What falls after the last step of a presentation is seen in none.
    seen = drawn[drawn % 50 < 49.4]
    np.testing.assert_allclose(seen, [t for t in fell if t % 50 < 49.4], atol=1e-9)
    assert ax.get_ylabel().endswith("(mV)")


def test_one_sample_has_its_own_clock(run) -> None:
    _, recording, _ = run
    ax = plotting.membrane(recording, "c.v", sample=2)
    spikes = recording.spikes["c"].of_sample(2)
    times = ax.lines[0].get_xdata()
    assert (times[0], times[-1]) == (0, pytest.approx(49.5))
    np.testing.assert_allclose(strokes(ax), 1000 * spikes.t)
    dots = plotting.raster(recording, "c", sample=2)
    assert dots.get_xlim()[1] == pytest.approx(50)
    whole = plotting.raster(recording, "c")
    assert whole.get_xlim()[1] == pytest.approx(150)


def test_a_variable_is_drawn_in_its_unit(run) -> None:
    """W19: a number is no potential, and a potential no number of spikes."""
    _, recording, _ = run
    ax = plotting.membrane(recording, "c.u", spikes=False)
    assert "V" not in ax.get_ylabel()
    trace = recording.traces["c.u"]
    assert trace.values.max() > 1
    np.testing.assert_allclose(ax.lines[0].get_ydata(), trace.values[0])
    heat = plotting.activity_heatmap(recording, name="c.v")
    image = heat.images[0]
    assert image.get_clim()[0] < -50
    assert "spikes" not in image.colorbar.ax.get_ylabel()
    counts = plotting.activity_heatmap(recording, name="c")
    assert counts.images[0].colorbar.ax.get_ylabel() == "spikes per sample"
    assert counts.images[0].get_array().sum() == recording.counts("c").sum()


def test_weights_of_a_state(run) -> None:
    _, _, state = run
    ax = plotting.weight_heatmap(state, "c_d")
    np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), [[2.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda r: plotting.membrane(r, "d.v"), "membrane.v"),
        (lambda r: plotting.membrane(r, "c.v", sample=9), "membrane.sample"),
        (lambda r: plotting.membrane(r, "c.v", attempt=0), "membrane.attempt"),
        (lambda r: plotting.membrane(r, "c.v", neurons=[4]), "membrane.neurons"),
        (lambda r: plotting.raster(r, "d"), "raster.population"),
        (lambda r: plotting.raster([0], [0.1], sample=1), "raster.sample"),
        (lambda r: plotting.activity_heatmap(r, name="d.v"), "activity_heatmap.name"),
    ],
)
def test_what_was_not_recorded_is_refused(run, draw, said: str) -> None:
    with pytest.raises(ParameterError) as caught:
        draw(run[1])
    assert str(caught.value).startswith(f"{said} must be ")


def test_objects_say_what_they_are(run) -> None:
    runnable, recording, state = run
    for shown, words in (
        (runnable, ("Runnable on runtime", "observed", "current [1]")),
        (recording, ("Recording of 3 samples", "c.count", "c.v", "spikes")),
        (state, ("State", "c.v", "c_d.w", "float64")),
        (runnable.network, ("NetworkModel 'observed'", "c -> d", "3 neurons")),
    ):
        text = repr(shown)
        assert all(word in text for word in words), text
        assert len(text) < 1500
        assert " at 0x" not in text


def test_a_notebook_shows_a_figure_once(run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, recording, _ = run
    before = pyplot.get_fignums()
    plotting.raster(recording, "c")
    assert pyplot.get_fignums() == before  # a script: nothing stays open
    shell = SimpleNamespace(kernel=object())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        assert canvas.in_notebook()
    assert not canvas.in_notebook()
    monkeypatch.setattr(canvas, "in_notebook", lambda: True)
    ax = plotting.raster(recording, "c")
    assert len(pyplot.get_fignums()) == len(before) + 1
    pyplot.close(ax.figure)
