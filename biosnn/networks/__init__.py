"""Networks as declarations, the presentation protocol, and ready networks.

>>> from biosnn import networks
>>> network = networks.winner_take_all(784, 100)
>>> network.presentation.duration
100. * msecond
"""

from biosnn.networks.conditions import Condition, Generator
from biosnn.networks.connectivity import (
    Convolution,
    DistanceDependent,
    FixedInDegree,
    FixedProbability,
    Pattern,
)
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Normalisation, Projection
from biosnn.networks.structure import Input, Population, Presentation
from biosnn.networks.subgroups import BetweenSubgroups, Subgroup
from biosnn.networks.weight_matrix import from_matrix
from biosnn.networks.zoo.balanced import balanced_network
from biosnn.networks.zoo.feedforward import feedforward, threshold_neuron
from biosnn.networks.zoo.online_readout import online_readout
from biosnn.networks.zoo.reward import convolutional_reward_network, reward_network
from biosnn.networks.zoo.winner_take_all import diehl_cook_2015, spiking_readout, winner_take_all

__all__ = [
    "BetweenSubgroups",
    "Condition",
    "Convolution",
    "DistanceDependent",
    "FixedInDegree",
    "FixedProbability",
    "Generator",
    "Input",
    "NetworkModel",
    "Normalisation",
    "Pattern",
    "Population",
    "Presentation",
    "Projection",
    "Subgroup",
    "balanced_network",
    "convolutional_reward_network",
    "diehl_cook_2015",
    "feedforward",
    "from_matrix",
    "online_readout",
    "reward_network",
    "spiking_readout",
    "threshold_neuron",
    "winner_take_all",
]
