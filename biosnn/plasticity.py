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
from biosnn._plasticity.gradient import spike_error, three_factors
from biosnn._plasticity.gradient import superspike as _superspike
from biosnn._plasticity.homeostasis import adaptive_threshold, heterosynaptic
from biosnn._plasticity.library import published_rule
from biosnn._plasticity.own import rule
from biosnn._plasticity.pair import discrete, inhibitory, pair, triplet, triplet_parameters
from biosnn._plasticity.reward import dopamine
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn._plasticity.voltage import voltage

# One line for each published rule (biosnn.equations.rules).
bcm = published_rule("bcm")
delta_rule = published_rule("delta_rule", three_factors)
diehl_cook_power_law = published_rule("diehl_cook_power_law")
diehl_cook_triplet = published_rule("diehl_cook_triplet")
discrete_stdp = published_rule("discrete_stdp", discrete)
dopamine_stdp = published_rule("dopamine_stdp")
e_prop = published_rule("e_prop", three_factors)
heterosynaptic_decay = published_rule("heterosynaptic_decay", heterosynaptic)
inhibitory_stdp = published_rule("inhibitory_stdp", inhibitory)
instar = published_rule("instar")
mstdp = published_rule("mstdp")
mstdpet = published_rule("mstdpet")
pair_stdp = published_rule("pair_stdp", pair)
resume = published_rule("resume")
reward_prediction = published_rule("reward_prediction")
superspike = published_rule("superspike", _superspike)
symmetric_stdp = published_rule("symmetric_stdp")
synaptic_scaling = published_rule("synaptic_scaling")
triplet_stdp = published_rule("triplet_stdp", triplet)
voltage_stdp = published_rule("voltage_stdp", voltage)

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
    "rule",
    "spike_error",
    "superspike",
    "symmetric_stdp",
    "synaptic_scaling",
    "triplet_parameters",
    "triplet_stdp",
    "voltage_stdp",
]
