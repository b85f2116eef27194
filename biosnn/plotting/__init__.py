"""Figures of spiking networks: functions that return Matplotlib ``Axes``.

They draw what a run returned, ``raster(recording, "exc", sample=0)``, ``weight_heatmap(state,
"inp_exc")``, or arrays. Numbers with units may be Brian2 quantities; plain numbers are read as SI
(seconds, volts, siemens, hertz). Every function draws into the ``ax`` it is given, or into a new
figure: in a notebook one that is shown below the cell, elsewhere a
:class:`~matplotlib.figure.Figure` of its own that pyplot knows nothing of, so that nothing stays
open after thousands of figures. To see one in a window, give ``ax=pyplot.subplots()[1]``.

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
    population_rate,
    raster,
)
from biosnn.plotting.appearance import style, use_fonts
from biosnn.plotting.canvas import save
from biosnn.plotting.scores import confusion_matrix, image_pair, learning_curve
from biosnn.plotting.settings import setting_means
from biosnn.plotting.synapse import plasticity_traces
from biosnn.plotting.weights import receptive_fields, weight_heatmap, weight_histogram
