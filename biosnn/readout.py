"""Readouts: from the spikes of a population to the label of a sample.

All are scikit-learn classifiers of features [n_samples, n_neurons] and predict -1 (`SILENT`) for a
sample in which no neuron fired that they listen to. Fit them on training samples, never on those
that they are scored on.
"""

from biosnn._readout.base import SILENT, Readout, readout_from_arrays
from biosnn._readout.counts import PopulationReadout, ProportionReadout, VoteReadout
from biosnn._readout.linear import LinearReadout, latency_features, linear_readout
from biosnn._readout.report import score_report

__all__ = [
    "SILENT",
    "LinearReadout",
    "PopulationReadout",
    "ProportionReadout",
    "Readout",
    "VoteReadout",
    "latency_features",
    "linear_readout",
    "readout_from_arrays",
    "score_report",
]
