"""Plasticity rules: frozen specs of ``on_pre``/``on_post`` statements over neuron traces.

A rule says which traces it needs on the presynaptic and on the postsynaptic *neuron*
(``rule.needs("pre")``, ``rule.needs("post")``); ``model.group(n, traces=...)`` provides them and
``rule.connect(pre, post)`` gives a plain ``brian2.Synapses``.

Convention for a pair at the same time step: the presynaptic trace is bumped before the synapses
of the step, the postsynaptic one after them. ``on_pre`` therefore sees the postsynaptic spikes of
earlier steps only, and ``on_post`` sees presynaptic spikes up to and including its own step: a
pair at dt = 0 potentiates and does not depress.

>>> from brian2 import ms
>>> from biosnn import models, plasticity
>>> rule = plasticity.pair_stdp(tau_plus=20 * ms, A_plus=0.01)
>>> pre = models.lif().group(10, traces=rule.needs("pre"))
>>> post = models.lif().group(5, traces=rule.needs("post"))
>>> synapses = rule.connect(pre, post)
"""

from biosnn._plasticity.combine import combined
from biosnn._plasticity.diehl_cook import diehl_cook_power_law, diehl_cook_triplet
from biosnn._plasticity.discrete import discrete_stdp
from biosnn._plasticity.gradient import delta_rule, e_prop, spike_error, superspike
from biosnn._plasticity.guided import instar, resume
from biosnn._plasticity.homeostasis import (
    adaptive_threshold,
    bcm,
    heterosynaptic_decay,
    synaptic_scaling,
)
from biosnn._plasticity.pair import inhibitory_stdp, pair_stdp, symmetric_stdp
from biosnn._plasticity.prediction import reward_prediction
from biosnn._plasticity.reward import dopamine, dopamine_stdp, mstdp, mstdpet
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn._plasticity.triplet import triplet_parameters, triplet_stdp
from biosnn._plasticity.voltage import voltage_stdp

__all__ = [
    "PlasticityRule",
    "Statements",
    "adaptive_threshold",
    "bcm",
    "combined",
    "delta_rule",
    "diehl_cook_power_law",
    "diehl_cook_triplet",
    "discrete_stdp",
    "dopamine",
    "dopamine_stdp",
    "e_prop",
    "heterosynaptic_decay",
    "inhibitory_stdp",
    "instar",
    "mstdp",
    "mstdpet",
    "pair_stdp",
    "resume",
    "reward_prediction",
    "spike_error",
    "superspike",
    "symmetric_stdp",
    "synaptic_scaling",
    "triplet_parameters",
    "triplet_stdp",
    "voltage_stdp",
]
