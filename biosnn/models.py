"""Neuron models: frozen specs made of equations, and the named factories of the library.

A :class:`NeuronModel` is a declaration. ``model.group(n)`` turns it into a plain
``brian2.NeuronGroup``, which may be used in any Brian2 script.

>>> from brian2 import ms, mV
>>> from biosnn import models
>>> cell = models.lif(tau_m=20 * ms, V_th=-55 * mV)
>>> group = cell.group(100)
"""

from __future__ import annotations

from biosnn._models.checks import (
    check_code,
    check_integration,
    check_link_unit,
    check_links,
    check_size,
    used_names,
)
from biosnn._models.companions import SLOTS, Companion, Event, Operation, Rate, Trace
from biosnn._models.equation_text import (
    check_not_random,
    equation_text,
    parsed,
    random_calls,
    synaptic_equations,
)
from biosnn._models.event_timing import check_behind
from biosnn._models.exact_poles import has_pole
from biosnn._models.firing_patterns import (
    FiringPattern,
    adex_patterns,
    izhikevich_patterns,
    per_neuron,
)
from biosnn._models.identifiers import names_in, rename, without_value
from biosnn._models.methods import check_method
from biosnn._models.neuron_library import (
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
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.parameters import Normal, Schedule, Uniform, check_parameters
from biosnn._models.synapse_library import (
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
from biosnn._models.synapse_model import SynapseModel
from biosnn._models.units import (
    BUILT_IN,
    Known,
    check_condition_units,
    check_equation_units,
    check_statement_units,
    scope_of,
    unit_name,
)
from biosnn.validation import check_choice, check_value

__all__ = [
    "BUILT_IN",
    "LIBRARY",
    "SLOTS",
    "SYNAPSES",
    "Companion",
    "Event",
    "FiringPattern",
    "Known",
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
    "check_code",
    "check_condition_units",
    "check_equation_units",
    "check_integration",
    "check_link_unit",
    "check_links",
    "check_method",
    "check_not_random",
    "check_parameters",
    "check_size",
    "check_statement_units",
    "check_value",
    "competitive_unit",
    "delta",
    "diehl_cook_excitatory_cell",
    "diehl_cook_inhibitory_cell",
    "difference_of_exponentials_conductance",
    "difference_of_exponentials_current",
    "eif",
    "equation_text",
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
    "parsed",
    "per_neuron",
    "pinsky_rinzel",
    "poisson_unit",
    "qif",
    "random_calls",
    "rename",
    "scope_of",
    "synaptic_equations",
    "traub_miles",
    "tsodyks_markram",
    "unit_name",
    "used_names",
    "without_value",
]
