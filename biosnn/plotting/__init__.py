"""Figures of spiking networks: functions that take arrays and return Matplotlib ``Axes``.

Numbers with units may be Brian2 quantities; plain numbers are read as SI (seconds, volts,
siemens, hertz). Every function draws into the ``ax`` it is given, or into a new
:class:`~matplotlib.figure.Figure` of its own that pyplot knows nothing of, so that nothing
stays open after thousands of figures.

Examples
--------
>>> from brian2 import ms
>>> from biosnn import plotting
>>> with plotting.style():
...     axes = plotting.raster([0, 1, 1], [3, 5, 9] * ms, n_neurons=2, duration=10 * ms)
...     path = plotting.save(axes, "raster.png")
"""

from biosnn.plotting.activity import (
    activity_heatmap,
    membrane,
    plasticity_traces,
    population_rate,
    raster,
)
from biosnn.plotting.appearance import style, use_fonts
from biosnn.plotting.canvas import save
from biosnn.plotting.scores import confusion_matrix, image_pair, learning_curve
from biosnn.plotting.weights import receptive_fields, weight_heatmap, weight_histogram

__all__ = [
    "activity_heatmap",
    "confusion_matrix",
    "image_pair",
    "learning_curve",
    "membrane",
    "plasticity_traces",
    "population_rate",
    "raster",
    "receptive_fields",
    "save",
    "style",
    "use_fonts",
    "weight_heatmap",
    "weight_histogram",
]
