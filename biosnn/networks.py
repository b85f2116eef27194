"""Networks as declarations, the presentation protocol, and ready networks.

>>> from biosnn import networks
>>> network = networks.winner_take_all(784, 100)
>>> network.presentation.duration
100. * msecond
"""

from biosnn._networks.balanced import balanced_network
from biosnn._networks.connectivity import (
    Convolution,
    DistanceDependent,
    FixedInDegree,
    FixedProbability,
    Pattern,
)
from biosnn._networks.feedforward import feedforward, threshold_neuron
from biosnn._networks.matrix import from_matrix
from biosnn._networks.online import online_readout
from biosnn._networks.projection import Normalisation, Projection
from biosnn._networks.ready import diehl_cook_2015, spiking_readout, winner_take_all
from biosnn._networks.reward import convolutional_reward_network
from biosnn._networks.spec import (
    Input,
    NetworkModel,
    Population,
    Presentation,
)

__all__ = [
    "Convolution",
    "DistanceDependent",
    "FixedInDegree",
    "FixedProbability",
    "Input",
    "NetworkModel",
    "Normalisation",
    "Pattern",
    "Population",
    "Presentation",
    "Projection",
    "balanced_network",
    "convolutional_reward_network",
    "diehl_cook_2015",
    "feedforward",
    "from_matrix",
    "online_readout",
    "spiking_readout",
    "threshold_neuron",
    "winner_take_all",
]
