import os
import subprocess
import sys
import warnings
from pathlib import Path

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import Hz, ms, mV, nS, second, volt
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from biosnn import plotting
from biosnn.errors import ParameterError, StorageError
from biosnn.plotting.appearance import CJK_FONTS

T = np.arange(5) * ms
V = np.array([[-70, -60, -55, -65, -70], [-70, -65, -60, -55, -50]]) * mV
WEIGHTS = np.arange(12.0).reshape(4, 3)
X = np.linspace(0, 1, 5)


@pytest.fixture(autouse=True)
def nothing_leaks():
    """Whatever a test draws, pyplot knows of no figure and the settings stay as they were."""
    before, figures = settings(), plt.get_fignums()
    yield
    assert plt.get_fignums() == figures
    assert settings() == before


def settings() -> dict[str, object]:
    """Return Matplotlib's settings, but the backend, which is chosen when it is looked up."""
    return {key: rcParams[key] for key in rcParams if key != "backend"}


def new_axes() -> Axes:
    return Figure().add_subplot()


def strokes(ax: Axes) -> list[np.ndarray]:
    """Return the segments of each group of vertical lines."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [np.array(c.get_segments()) for c in lines]


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def scale_of(ax: Axes) -> Axes:
    """Return the axes of the colour scale beside an image."""
    return ax.images[0].colorbar.ax


def stairs(ax: Axes) -> tuple[np.ndarray, np.ndarray]:
    (patch,) = (p for p in ax.patches if isinstance(p, StepPatch))
    return patch.get_data().values, patch.get_data().edges


class TestMembrane:
    def test_draws_millivolts_over_milliseconds(self):
        ax = plotting.membrane(T, V)
        for line, trace in zip(ax.lines, V, strict=True):
            assert_allclose(line.get_xdata(), [0, 1, 2, 3, 4])
            assert_allclose(line.get_ydata(), trace / mV)
        assert ax.get_xlabel() == "time (ms)"
        assert ax.get_ylabel() == "membrane potential (mV)"
        assert legend(ax) == ["neuron 0", "neuron 1"]

    def test_plain_numbers_are_seconds_and_volts(self):
        ax = plotting.membrane(np.arange(5) * 1e-3, np.full(5, -0.07))
        assert_allclose(ax.lines[0].get_xydata()[-1], [4, -70])
        assert ax.get_legend() is None

    @pytest.mark.parametrize(
        ("threshold", "levels"),
        [
            (-50 * mV, [[-50] * 5]),
            ([-50, -50] * mV, [[-50] * 5]),
            ([-50, -45] * mV, [[-50] * 5, [-45] * 5]),
            ([-50, -49, -48, -47, -46] * mV, [[-50, -49, -48, -47, -46]]),
            (np.array([[-50] * 5, [-49] * 5]) * mV, [[-50] * 5, [-49] * 5]),
        ],
        ids=["scalar", "equal", "per neuron", "over time", "both"],
    )
    def test_threshold_is_dashed(self, threshold, levels):
        ax = plotting.membrane(T, V, threshold=threshold)
        dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
        assert_allclose([line.get_ydata() for line in dashed], levels)
        assert legend(ax).count("threshold") == 1
        if len(levels) > 1:
            assert [line.get_color() for line in dashed] == [
                line.get_color() for line in ax.lines[:2]
            ]

    def test_an_array_as_long_as_both_axes_is_over_time(self):
        ax = plotting.membrane(T[:2], V[:, :2], threshold=[-50, -40] * mV)
        (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
        assert_allclose(dashed.get_ydata(), [-50, -40])

    @pytest.mark.parametrize(
        "spikes",
        [
            [[2.5] * ms, [1, 3] * ms],
            ([1, 0, 1], [1, 2.5, 3] * ms),
        ],
        ids=["lists", "(i, t)"],
    )
    def test_spikes_stand_on_the_threshold(self, spikes):
        ax = plotting.membrane(T, V, threshold=[-50, -48, -46, -44, -42] * mV, spikes=spikes)
        first, second_ = strokes(ax)
        assert_allclose(first[:, :, 0], [[2.5, 2.5]])
        assert_allclose(first[:, 0, 1], [-45])
        assert_allclose(second_[:, :, 0], [[1, 1], [3, 3]])
        assert_allclose(second_[:, 0, 1], [-48, -44])
        for line, group in zip(ax.lines, ax.collections, strict=False):
            assert_array_equal(group.get_colors()[0], to_rgba(line.get_color()))
        for segments in (first, second_):
            assert (np.diff(segments[:, :, 1]) > 1).all()

    def test_without_threshold_spikes_stand_on_the_peak(self):
        ax = plotting.membrane(T, V, spikes=[[], [2] * ms])
        (segments,) = strokes(ax)
        assert_allclose(segments[:, 0], [[2, -50]])

    def test_draws_into_the_axes_it_is_given(self):
        ax = new_axes()
        assert plotting.membrane(T, V, labels=["E", "I"], ax=ax) is ax
        assert legend(ax) == ["E", "I"]

    def test_many_traces_have_no_legend(self):
        assert plotting.membrane(T, np.zeros((11, 5))).get_legend() is None


class TestRaster:
    def test_draws_one_dot_per_spike(self):
        ax = plotting.raster([0, 2, 1], [1, 2, 3] * ms, n_neurons=4, duration=10 * ms)
        assert_allclose(ax.lines[0].get_xydata(), [[1, 0], [2, 2], [3, 1]])
        assert ax.get_xlim() == (0, 10)
        assert ax.get_ylim() == (-0.5, 3.5)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "neuron")

    def test_finds_its_own_limits(self):
        ax = plotting.raster([0, 2], [0.1, 0.2])
        assert ax.get_xlim()[1] > 200
        assert ax.get_ylim() == (-0.5, 2.5)

    def test_a_single_spike_at_time_zero(self):
        assert plotting.raster([0], [0] * ms).get_xlim() == (0, 1)

    def test_silence(self):
        ax = plotting.raster([], [] * ms, n_neurons=3, duration=0.1)
        assert len(ax.lines[0].get_xdata()) == 0
        assert ax.get_xlim() == (0, 100)


class TestPopulationRate:
    def test_is_in_hertz_per_neuron(self):
        ax = plotting.population_rate(
            [0.5, 1.5, 1.7, 1.9] * ms, n_neurons=2, duration=3 * ms, bin_width=1 * ms
        )
        rate, edges = stairs(ax)
        assert_allclose(rate, [500, 1500, 0])
        assert_allclose(edges, [0, 1, 2, 3])
        assert ax.get_ylabel() == "population rate (Hz)"
        assert ax.get_xlabel() == "time (ms)"

    def test_the_last_bin_is_cut_at_the_end(self):
        rate, edges = stairs(
            plotting.population_rate(
                [2.2, 2.5] * ms, n_neurons=1, duration=2.5 * ms, bin_width=1 * ms
            )
        )
        assert_allclose(edges, [0, 1, 2, 2.5])
        assert_allclose(rate, [0, 0, 4000])

    def test_spikes_on_the_edges_of_a_clock_stay_in_their_bins(self):
        rate, _ = stairs(
            plotting.population_rate(np.arange(1000) * 1e-4, n_neurons=1, duration=100 * ms)
        )
        assert_allclose(rate, np.full(100, 10_000))

    def test_a_steady_process_has_its_rate(self):
        rng = np.random.default_rng(0)
        spikes = rng.uniform(0, 2, rng.poisson(30 * 100 * 2)) * second
        ax = plotting.population_rate(
            spikes, n_neurons=100, duration=2 * second, bin_width=10 * ms, smooth=50 * ms
        )
        assert_allclose(np.mean(stairs(ax)[0]), 30, rtol=0.05)
        assert_allclose(ax.lines[0].get_ydata(), 30, rtol=0.2)
        assert np.std(ax.lines[0].get_ydata()) < np.std(stairs(ax)[0]) / 2

    def test_silence_is_zero(self):
        rate, _ = stairs(plotting.population_rate([], n_neurons=5, duration=4 * ms))
        assert_array_equal(rate, np.zeros(4))


class TestWeights:
    def test_receptive_fields_are_tiled_row_by_row(self):
        ax = plotting.receptive_fields(WEIGHTS * nS, shape=(2, 2), n_columns=2)
        mosaic = ax.images[0].get_array().filled(np.nan)
        assert mosaic.shape == (5, 5)
        assert_allclose(mosaic[:2, :2], [[0, 3], [6, 9]])
        assert_allclose(mosaic[:2, 3:], [[1, 4], [7, 10]])
        assert_allclose(mosaic[3:, :2], [[2, 5], [8, 11]])
        assert np.isnan(mosaic[2]).all()
        assert np.isnan(mosaic[3:, 2:]).all()
        assert ax.images[0].get_clim() == (0, 11)
        assert scale_of(ax).get_ylabel() == "weight (nS)"

    def test_receptive_fields_in_an_order_of_ones_own(self):
        ax = plotting.receptive_fields(WEIGHTS, shape=(4, 1), n_columns=9, order=[2, 0], vmax=5)
        mosaic = ax.images[0].get_array().filled(np.nan)
        assert_allclose(mosaic, [[2, np.nan, 0], [5, np.nan, 3], [8, np.nan, 6], [11, np.nan, 9]])
        assert ax.images[0].get_clim() == (0, 5)
        assert ax.images[0].colorbar.extend == "max"
        assert ax.get_xlabel() == "2 neurons, 4 × 1 inputs each"

    def test_receptive_fields_are_about_square(self):
        ax = plotting.receptive_fields(np.ones((784, 100)))
        assert ax.images[0].get_array().shape == (289, 289)

    def test_negative_weights_get_a_symmetric_scale(self):
        ax = plotting.weight_heatmap(WEIGHTS - 8)
        assert ax.images[0].get_clim() == (-8, 8)
        assert ax.images[0].get_cmap().name == "RdBu_r"

    @pytest.mark.parametrize(
        ("weights", "extend"), [([[-3, 0]], "min"), ([[-3, 3]], "both"), ([[-1, 3]], "max")]
    )
    def test_the_scale_shows_what_lies_beyond_it(self, weights, extend):
        assert plotting.weight_heatmap(weights, vmax=2).images[0].colorbar.extend == extend

    def test_heatmap(self):
        ax = plotting.weight_heatmap(WEIGHTS * nS, vmax=20 * nS)
        assert_allclose(ax.images[0].get_array(), WEIGHTS)
        assert ax.images[0].get_clim() == (0, 20)
        assert ax.get_xlabel() == "postsynaptic neuron"
        assert ax.get_ylabel() == "presynaptic neuron"
        assert scale_of(ax).get_ylabel() == "weight (nS)"

    def test_heatmap_of_zeros(self):
        assert plotting.weight_heatmap(np.zeros((2, 2))).images[0].get_clim() == (0, 1)

    def test_histogram(self):
        ax = plotting.weight_histogram([0.1, 0.1, 0.9] * nS, bins=4, w_max=2 * nS)
        heights, edges = stairs(ax)
        assert_array_equal(heights, [2, 1, 0, 0])
        assert_allclose(edges, [0, 0.5, 1, 1.5, 2])
        assert_allclose(ax.lines[0].get_xdata(), 2)
        assert [text.get_text() for text in ax.texts] == [r"$w_\mathrm{max}$"]
        assert ax.get_xlabel() == "weight (nS)"
        assert ax.get_ylabel() == "number of synapses"

    def test_histogram_holds_every_weight(self):
        heights, edges = stairs(plotting.weight_histogram([-1, 0, 3], bins=2, w_max=2))
        assert heights.sum() == 3
        assert_allclose(edges, [-1, 1, 3])
        heights, edges = stairs(plotting.weight_histogram(np.zeros((2, 2))))
        assert heights.sum() == 4
        assert edges[-1] == 1

    def test_one_large_weight_sets_the_unit(self):
        ax = plotting.weight_histogram([1e-18, 2e-9] * b2.siemens)
        assert ax.get_xlabel() == "weight (nS)"


class TestActivityHeatmap:
    COUNTS = np.array([[1, 0], [2, 0], [3, 0], [4, 9]])

    def test_without_labels(self):
        ax = plotting.activity_heatmap(self.COUNTS)
        assert_array_equal(ax.images[0].get_array(), self.COUNTS)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("neuron", "sample")
        assert scale_of(ax).get_ylabel() == "spikes per sample"
        assert not ax.lines

    @pytest.mark.parametrize("labels", [[7, 2, 7, 2], ["b", "a", "b", "a"]], ids=["int", "str"])
    def test_samples_of_a_class_stand_together(self, labels):
        ax = plotting.activity_heatmap(self.COUNTS, labels)
        assert_array_equal(ax.images[0].get_array(), [[2, 0], [4, 9], [1, 0], [3, 0]])
        assert [line.get_ydata()[0] for line in ax.lines] == [1.5]
        assert_allclose(ax.get_yticks(), [0.5, 2.5])
        assert [text.get_text() for text in ax.get_yticklabels()] == sorted(map(str, set(labels)))
        assert ax.get_ylabel() == "samples, by class"

    def test_a_silent_network(self):
        assert plotting.activity_heatmap(np.zeros((2, 2))).images[0].get_clim() == (0, 1)


class TestPlasticityTraces:
    def test_three_rows_share_the_time(self):
        axes = plotting.plasticity_traces(
            T, [1, 3] * ms, [2] * ms, {"x_pre": X, "y_post": 1 - X}, X * nS
        )
        assert isinstance(axes, np.ndarray)
        spikes, traces, weight = axes
        pre, post = spikes.collections
        assert_allclose(pre.get_positions(), [1, 3])
        assert_allclose(post.get_positions(), [2])
        assert pre.get_lineoffset() > post.get_lineoffset()
        assert [text.get_text() for text in spikes.get_yticklabels()] == ["pre", "post"]
        assert_allclose([line.get_ydata() for line in traces.lines], [X, 1 - X])
        assert legend(traces) == ["x_pre", "y_post"]
        assert traces.get_ylabel() == "trace"
        assert_allclose(weight.lines[0].get_xydata(), np.column_stack([T / ms, X]), atol=1e-12)
        assert weight.get_ylabel() == "weight (nS)"
        assert weight.get_xlabel() == "time (ms)"
        assert {ax.get_xlim() for ax in axes} == {(0, 4)}

    def test_draws_silence_into_given_axes(self):
        given = Figure().subplots(3)
        axes = plotting.plasticity_traces(T, [], [], {"a": np.zeros(5), "g": X * 0}, X, axes=given)
        assert list(axes) == list(given)
        assert all(len(train.get_positions()) == 0 for train in axes[0].collections)

    def test_traces_with_units(self):
        axes = plotting.plasticity_traces(T, [], [], {"0": 0 * X * mV, "v": X * mV}, X)
        assert_allclose(axes[1].lines[1].get_ydata(), X)
        assert axes[1].get_ylabel() == "trace (mV)"


class TestScores:
    def test_learning_curve_is_in_percent(self):
        ax = plotting.learning_curve(
            [10, 20], {"vote": [0.1, 0.5], "linear": [0.2, 0.9]}, chance=0.1
        )
        assert_allclose(ax.lines[0].get_xydata(), [[10, 10], [20, 50]])
        assert_allclose(ax.lines[1].get_ydata(), [20, 90])
        assert_allclose(ax.lines[2].get_ydata(), [10, 10])
        assert legend(ax) == ["vote", "linear", "chance (10 %)"]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("training samples", "accuracy (%)")

    def test_confusion_matrix_has_true_classes_as_rows(self):
        ax = plotting.confusion_matrix([0, 0, 0, 1], [0, 1, 1, 1], n_classes=3)
        assert_allclose(ax.images[0].get_array(), [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 0, 0]])
        assert [text.get_text() for text in ax.texts] == list("120010000")
        assert [text.get_position() for text in ax.texts[:2]] == [(0, 0), (1, 0)]
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2"]
        assert ax.get_title() == "accuracy 50.00 % of 4 samples"
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
        assert scale_of(ax).get_ylabel() == "share of the true class (%)"

    def test_silent_samples_are_wrong_and_have_their_own_column(self):
        ax = plotting.confusion_matrix([0, 1, 1], [0, -1, 1], class_names=["cat", "dog"])
        assert_allclose(ax.images[0].get_array(), [[1, 0, 0], [0, 0.5, 0.5]])
        assert [text.get_text() for text in ax.get_xticklabels()] == ["cat", "dog", "silent"]
        assert [text.get_text() for text in ax.get_yticklabels()] == ["cat", "dog"]
        assert "66.67 %" in ax.get_title()

    def test_an_entirely_silent_network_scores_nothing(self):
        ax = plotting.confusion_matrix([0, 1], [-1, -1])
        assert_allclose(ax.images[0].get_array(), [[0, 0, 1], [0, 0, 1]])
        assert ax.get_title() == "accuracy 0.00 % of 2 samples"

    def test_long_class_names_stand_upright(self):
        names = ["a rather long name"] * 10
        ax = plotting.confusion_matrix([0], [0], class_names=names)
        assert {text.get_rotation() for text in ax.get_xticklabels()} == {90}
        ax = plotting.confusion_matrix([0], [0], n_classes=10)
        assert {text.get_rotation() for text in ax.get_xticklabels()} == {0}

    @pytest.mark.parametrize("shape", [(4,), (2, 2)])
    def test_image_pair(self, shape):
        original = np.array([0.0, 1, 2, 3]).reshape(shape)
        axes = plotting.image_pair(original, 5 - 2 * original, shape=(2, 2))
        assert_allclose(axes[0].images[0].get_array(), [[0, 1], [2, 3]])
        assert_allclose(axes[1].images[0].get_array(), [[5, 3], [1, -1]])
        assert axes[0].get_title() == "original"
        assert axes[1].get_title() == "reconstruction (r = -1.000)"

    def test_image_pair_of_units_into_given_axes(self):
        given = Figure().subplots(1, 2)
        axes = plotting.image_pair([0, 1] * Hz, [2, 2] * nS, shape=(1, 2), axes=given)
        assert list(axes) == list(given)
        assert axes[1].get_title() == "reconstruction (r undefined: constant image)"


ERRORS = {
    "voltage as time": (
        lambda: plotting.membrane(X * volt, V),
        r"membrane\.t must be in s, got values in V",
    ),
    "mixed units": (
        lambda: plotting.membrane([1 * ms, 2 * mV], V),
        r"membrane\.t must be an array of numbers \(.*different dimensions.*\), got list",
    ),
    "not numbers": (
        lambda: plotting.weight_histogram(["a"]),
        r"weight_histogram\.weights must be an array of numbers \(.*\), got list",
    ),
    "nan": (
        lambda: plotting.weight_heatmap([[np.nan, np.inf, 1]]),
        r"weight_heatmap\.weights must be finite, got 2 NaN or infinite value\(s\)",
    ),
    "empty": (
        lambda: plotting.membrane([], []),
        r"membrane\.t must be non-empty, got an empty array of shape \(0,\)",
    ),
    "dimensions": (
        lambda: plotting.receptive_fields(np.ones(4)),
        r"receptive_fields\.weights must be an array of 2 dimension\(s\), got shape \(4,\)",
    ),
    "time runs back": (
        lambda: plotting.membrane(T[::-1], V),
        r"membrane\.t must be increasing, got times that stand still or run back",
    ),
    "trace length": (
        lambda: plotting.membrane(T[:3], V),
        r"membrane\.v must be of shape \(2, 3\), like .*, got shape \(2, 5\)",
    ),
    "threshold shape": (
        lambda: plotting.membrane(T, V, threshold=[1, 2, 3]),
        r"membrane\.threshold must be a scalar or of shape \(2,\), \(5,\) or \(2, 5\), "
        r"got shape \(3,\)",
    ),
    "labels": (
        lambda: plotting.membrane(T, V, labels=["one"]),
        r"membrane\.labels must be 2 labels, got 1 labels",
    ),
    "spike lists": (
        lambda: plotting.membrane(T, V, spikes=[[1] * ms]),
        r"membrane\.spikes must be a list of 2 array\(s\), one per trace, or a tuple \(i, t\), "
        r"got 1 entries",
    ),
    "spike tuple": (
        lambda: plotting.membrane(T, V, spikes=([0], [1], [2])),
        r"membrane\.spikes must be a tuple \(i, t\), got a tuple of 3",
    ),
    "spike index": (
        lambda: plotting.membrane(T, V, spikes=([2], [1] * ms)),
        r"membrane\.spikes\[0\] must be integers from 0 to 1, got 2 to 2",
    ),
    "spike pairs": (
        lambda: plotting.raster([0, 1], [1] * ms),
        r"raster\.t must be of shape \(2,\), like i, got shape \(1,\)",
    ),
    "fractional neuron": (
        lambda: plotting.raster([0.5], [1] * ms),
        r"raster\.i must be integers >= 0, got values of type float64",
    ),
    "neuron matrix": (
        lambda: plotting.raster([[0]], [1] * ms),
        r"raster\.i must be an array of 1 dimension\(s\), got shape \(1, 1\)",
    ),
    "neuron out of range": (
        lambda: plotting.raster([0, 9], [1, 2] * ms, n_neurons=5),
        r"raster\.i must be integers from 0 to 4, got 0 to 9",
    ),
    "late spike": (
        lambda: plotting.raster([0], [11] * ms, duration=10 * ms),
        r"raster\.t must be from 0 to duration = 10 ms, got 11 to 11 ms",
    ),
    "early spike": (
        lambda: plotting.raster([0], [-1] * ms),
        r"raster\.t must be >= 0 ms, got -1 to -1 ms",
    ),
    "silence of unknown size": (
        lambda: plotting.raster([], [], n_neurons=3),
        r"raster\.t must be non-empty, got no spikes\. Give n_neurons and duration",
    ),
    "no neurons": (
        lambda: plotting.population_rate([], n_neurons=0, duration=1 * ms),
        r"population_rate\.n_neurons must be a whole number >= 1, got 0",
    ),
    "no width": (
        lambda: plotting.population_rate([], n_neurons=1, duration=1 * ms, bin_width=0 * ms),
        r"population_rate\.bin_width must be > 0 s, got 0\. s",
    ),
    "tile shape": (
        lambda: plotting.receptive_fields(WEIGHTS),
        r"receptive_fields\.shape must be \(height, width\) with height \* width = 4, "
        r"got \(28, 28\)",
    ),
    "tile order": (
        lambda: plotting.receptive_fields(WEIGHTS, shape=(2, 2), order=[3]),
        r"receptive_fields\.order must be integers from 0 to 2, got 3 to 3",
    ),
    "no tiles": (
        lambda: plotting.receptive_fields(WEIGHTS, shape=(2, 2), order=[]),
        r"receptive_fields\.order must be non-empty, got no neurons",
    ),
    "vmax": (
        lambda: plotting.weight_heatmap(WEIGHTS, vmax=0),
        r"weight_heatmap\.vmax must be > 0, got 0",
    ),
    "w_max": (
        lambda: plotting.weight_histogram(WEIGHTS * nS, w_max=1 * mV),
        r"weight_histogram\.w_max must be in S, got values in V",
    ),
    "one label per sample": (
        lambda: plotting.activity_heatmap(np.ones((2, 3)), [0]),
        r"activity_heatmap\.labels must be of shape \(2,\), like counts\[:, 0\], got shape \(1,\)",
    ),
    "labels of a class": (
        lambda: plotting.activity_heatmap(np.ones((1, 3)), [0.5]),
        r"activity_heatmap\.labels must be integers or strings, got values of type float64",
    ),
    "no traces": (
        lambda: plotting.plasticity_traces(T, [], [], {}, X),
        r"plasticity_traces\.traces must be at least one array by name, got none",
    ),
    "short trace": (
        lambda: plotting.plasticity_traces(T, [], [], {"x": X[:2]}, X),
        r"plasticity_traces\.traces\['x'\] must be of shape \(5,\), like t, got shape \(2,\)",
    ),
    "short weight": (
        lambda: plotting.plasticity_traces(T, [], [], {"x": X}, X[:2]),
        r"plasticity_traces\.weight must be of shape \(5,\), like t, got shape \(2,\)",
    ),
    "too few axes": (
        lambda: plotting.plasticity_traces(T, [], [], {"x": X}, X, axes=Figure().subplots(2)),
        r"plasticity_traces\.axes must be an array of 3 Axes, got 2 of them",
    ),
    "no curves": (
        lambda: plotting.learning_curve([1], {}),
        r"learning_curve\.accuracy must be at least one array by name, got none",
    ),
    "percentages": (
        lambda: plotting.learning_curve([1], {"vote": [91]}),
        r"learning_curve\.accuracy\['vote'\] must be from 0 to 1, got 91 to 91\. "
        r"Divide percentages by 100\.",
    ),
    "curve length": (
        lambda: plotting.learning_curve([1, 2], {"vote": [1]}),
        r"learning_curve\.accuracy\['vote'\] must be of shape \(2,\), like n_samples, "
        r"got shape \(1,\)",
    ),
    "chance": (
        lambda: plotting.learning_curve([1], {"vote": [1]}, chance=10),
        r"learning_curve\.chance must be from 0 to 1, got 10 to 10",
    ),
    "no samples": (
        lambda: plotting.confusion_matrix([], []),
        r"confusion_matrix\.labels must be non-empty, got an empty array",
    ),
    "negative label": (
        lambda: plotting.confusion_matrix([-1], [0]),
        r"confusion_matrix\.labels must be integers >= 0, got -1 to -1",
    ),
    "unknown prediction": (
        lambda: plotting.confusion_matrix([0], [3], n_classes=2),
        r"confusion_matrix\.predictions must be integers from -1 to 1, got 3 to 3",
    ),
    "prediction count": (
        lambda: plotting.confusion_matrix([0, 1], [0]),
        r"confusion_matrix\.predictions must be of shape \(2,\), like labels, got shape \(1,\)",
    ),
    "name count": (
        lambda: plotting.confusion_matrix([0], [0], n_classes=2, class_names=["a"]),
        r"confusion_matrix\.class_names must be 2 names, got 1 names",
    ),
    "picture shape": (
        lambda: plotting.image_pair(np.ones(4), np.ones(5), shape=(2, 2)),
        r"image_pair\.reconstruction must be of shape \(4,\) or \(2, 2\), got shape \(5,\)",
    ),
    "picture layout": (
        lambda: plotting.image_pair([1], [1], shape=(1,)),
        r"image_pair\.shape must be \(height, width\), got \(1,\)",
    ),
    "file type": (
        lambda: plotting.save(Figure(), "figure.pdf"),
        r"save\.path must be a file name ending in \.png, got figure\.pdf",
    ),
    "nothing to save": (
        lambda: plotting.save([1], "figure.png"),
        r"save\.figure_or_axes must be a Figure, an Axes or an array of Axes, got list",
    ),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_a_refused_call_leaves_the_axes_alone():
    ax = new_axes()
    with pytest.raises(ParameterError, match="spikes"):
        plotting.membrane(T, V, spikes=[], ax=ax)
    assert not ax.lines


class Tensor:
    """Stands for torch's, whose ``dim`` is a method."""

    def dim(self) -> int:
        return 2

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(WEIGHTS, dtype=dtype)


def test_variables_of_a_brian2_group_are_arrays():
    group = b2.NeuronGroup(2, "w : siemens")
    group.w = [1, 2] * nS
    ax = plotting.weight_histogram(group.w, bins=2)
    assert_array_equal(stairs(ax)[0], [0, 2])
    assert ax.get_xlabel() == "weight (nS)"


def test_tensors_are_arrays():
    assert_allclose(plotting.weight_heatmap(Tensor()).images[0].get_array(), WEIGHTS)


class TestSave:
    def draw(self) -> Axes:
        return plotting.raster([0], [1] * ms)

    def test_writes_a_picture_into_a_new_folder(self, tmp_path: Path):
        path = plotting.save(self.draw(), tmp_path / "new" / "folder" / "raster.png")
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
        assert os.listdir(path.parent) == ["raster.png"]

    @pytest.mark.parametrize(
        "drawn",
        [
            lambda: Figure(),
            lambda: Figure().subplots(2, 2),
            lambda: Figure().subfigures(2)[0].subplots(),
        ],
        ids=["figure", "array", "subfigure"],
    )
    def test_saves_all_that_plots_return(self, drawn, tmp_path: Path):
        assert plotting.save(drawn(), tmp_path / "a.png").stat().st_size > 100

    def test_replaces_an_older_picture(self, tmp_path: Path):
        (tmp_path / "a.png").write_text("old")
        plotting.save(self.draw(), str(tmp_path / "a.png"))
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_a_failed_write_keeps_the_older_picture(self, tmp_path: Path, monkeypatch):
        (tmp_path / "a.png").write_text("old")

        def disk_full(self, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", disk_full)
        with pytest.raises(StorageError, match=r"cannot be written: No space left on device"):
            plotting.save(self.draw(), tmp_path / "a.png")
        assert os.listdir(tmp_path) == ["a.png"]
        assert (tmp_path / "a.png").read_text() == "old"

    def test_an_unwritable_place_is_named(self, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match=r"file/a\.png cannot be written: "):
            plotting.save(self.draw(), tmp_path / "file" / "a.png")


def build_font(path: Path, name: str, text: str) -> Path:
    """Write a font that holds nothing but boxes for the characters of `text`."""
    pen = TTGlyphPen(None)
    for step, point in enumerate([(100, 0), (100, 700), (900, 700), (900, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    box = pen.glyph()
    glyphs = [".notdef", *(f"uni{ord(character):04X}" for character in text)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap({ord(character): f"uni{ord(character):04X}" for character in text})
    font.setupGlyf(dict.fromkeys(glyphs, box))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 100)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    font.save(path)
    return path


@pytest.fixture
def fonts(monkeypatch):
    """Return the list of installed fonts, without those for Chinese, Japanese and Korean."""
    manager = font_manager.fontManager
    plain = [font for font in manager.ttflist if font.name not in CJK_FONTS]
    monkeypatch.setattr(manager, "ttflist", plain)
    yield plain
    manager._findfont_cached.cache_clear()


def render(text: str, tmp_path: Path) -> None:
    """Draw `text` and negative ticks, with missing glyphs as errors."""
    ax = plotting.membrane(T, V, labels=[text, "I"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plotting.save(ax, tmp_path / "text.png")


class TestAppearance:
    TEXT = "神経세포"

    def test_without_a_font_nothing_changes(self, fonts):
        before = settings()
        assert plotting.use_fonts() is None
        assert settings() == before

    def test_without_a_font_plots_still_draw(self, fonts, tmp_path: Path):
        with plotting.style():
            render("neuron", tmp_path)
            with pytest.raises(UserWarning, match="missing from font"):
                render(self.TEXT, tmp_path)

    def test_with_a_font_all_glyphs_render(self, fonts, tmp_path: Path):
        font = build_font(tmp_path / "font.ttf", "WenQuanYi Zen Hei", self.TEXT)
        font_manager.fontManager.addfont(font)
        with plotting.style():
            assert rcParams["font.family"] == ["sans-serif", "WenQuanYi Zen Hei", "DejaVu Sans"]
            render(self.TEXT, tmp_path)

    def test_minus_signs_render_when_the_first_font_has_none(self, fonts, tmp_path: Path):
        ascii_text = "".join(map(chr, range(32, 127)))
        font = build_font(tmp_path / "font.ttf", "SimHei", self.TEXT + ascii_text)
        font_manager.fontManager.addfont(font)
        with plotting.style():
            rcParams["font.family"] = ["SimHei"]
            assert plotting.use_fonts() == "SimHei"
            assert rcParams["axes.unicode_minus"]
            render(self.TEXT, tmp_path)

    def test_fonts_of_several_languages_join(self, fonts, tmp_path: Path):
        for name, text in (("NanumGothic", "세포"), ("SimHei", "神経")):
            font_manager.fontManager.addfont(build_font(tmp_path / f"{name}.ttf", name, text))
        with plotting.style():
            assert plotting.use_fonts() == "SimHei"
            once = list(rcParams["font.family"])
            assert once[1:] == ["SimHei", "NanumGothic", "DejaVu Sans"]
            plotting.use_fonts()
            assert rcParams["font.family"] == once
            render(self.TEXT, tmp_path)

    def test_style_holds_inside_and_returns_after_an_error(self):
        before = settings()

        @plotting.style()
        def fail():
            assert rcParams["axes.spines.top"] is False
            colours = rcParams["axes.prop_cycle"].by_key()["color"]
            assert len(set(colours)) == len(colours) >= 6
            raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert settings() == before

    def test_the_backend_stays_the_users(self, tmp_path: Path):
        script = (
            "from biosnn import plotting\n"
            f"plotting.save(plotting.raster([0], [0.1]), {str(tmp_path / 'a.png')!r})\n"
            "import matplotlib; print(matplotlib.get_backend())"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"MPLBACKEND": "svg"},
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        assert done.stdout.split() == ["svg"]
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
