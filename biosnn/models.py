"""Neuron models: frozen specs made of equations, and the named factories of the library.

A :class:`NeuronModel` is a declaration. ``model.group(n)`` turns it into a plain
``brian2.NeuronGroup``, which may be used in any Brian2 script.

>>> from brian2 import ms, mV
>>> from biosnn import models
>>> cell = models.lif(tau_m=20 * ms, V_th=-55 * mV)
>>> group = cell.group(100)
"""

from __future__ import annotations

from biosnn._models.code import (
    check_method,
    check_not_random,
    random_calls,
    synaptic_equations,
)
from biosnn._models.names import names_in, rename, without_value
from biosnn._models.neurons import (
    LIBRARY,
    adaptive_lif,
    adex,
    competitive_unit,
    diehl_cook_excitatory_cell,
    diehl_cook_inhibitory_cell,
    eif,
    escape_rate,
    hodgkin_huxley,
    integrate_and_fire,
    izhikevich,
    lif,
    lif_conductance_based,
    lif_exponential,
    neuron,
    pinsky_rinzel,
    poisson_unit,
    qif,
    traub_miles,
)
from biosnn._models.parts import SLOTS, Companion, Event, Operation, Rate, Trace
from biosnn._models.patterns import (
    FiringPattern,
    adex_patterns,
    izhikevich_patterns,
    per_neuron,
)
from biosnn._models.poles import has_pole
from biosnn._models.spec import NeuronModel
from biosnn._models.synapse import SynapseModel
from biosnn._models.synapses import (
    SYNAPSES,
    alpha_conductance,
    alpha_current,
    ampa,
    delta,
    difference_of_exponentials_conductance,
    difference_of_exponentials_current,
    exponential_conductance,
    exponential_current,
    gaba_a,
    gap_junction,
    nmda,
    tsodyks_markram,
)
from biosnn._models.timing import check_behind
from biosnn._models.values import Normal, Schedule, Uniform
from biosnn.validation import check_choice, check_value

__all__ = [
    "LIBRARY",
    "SLOTS",
    "SYNAPSES",
    "Companion",
    "Event",
    "FiringPattern",
    "NeuronModel",
    "Normal",
    "Operation",
    "Rate",
    "Schedule",
    "SynapseModel",
    "Trace",
    "Uniform",
    "adaptive_lif",
    "adex",
    "adex_patterns",
    "alpha_conductance",
    "alpha_current",
    "ampa",
    "check_behind",
    "check_choice",
    "check_method",
    "check_not_random",
    "check_value",
    "competitive_unit",
    "delta",
    "diehl_cook_excitatory_cell",
    "diehl_cook_inhibitory_cell",
    "difference_of_exponentials_conductance",
    "difference_of_exponentials_current",
    "eif",
    "escape_rate",
    "exponential_conductance",
    "exponential_current",
    "gaba_a",
    "gap_junction",
    "has_pole",
    "hodgkin_huxley",
    "integrate_and_fire",
    "izhikevich",
    "izhikevich_patterns",
    "lif",
    "lif_conductance_based",
    "lif_exponential",
    "names_in",
    "neuron",
    "nmda",
    "per_neuron",
    "pinsky_rinzel",
    "poisson_unit",
    "qif",
    "random_calls",
    "rename",
    "synaptic_equations",
    "traub_miles",
    "tsodyks_markram",
    "without_value",
]
