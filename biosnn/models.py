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
    event_driven,
    in_every_step,
    parsed,
    random_calls,
    synaptic_equations,
    unit_text,
)
from biosnn._models.event_timing import check_behind
from biosnn._models.exact_integration import has_pole
from biosnn._models.identifiers import names_in, rename, without_value
from biosnn._models.initial import check_text, neuron_formula, synapse_formula
from biosnn._models.library import LIBRARY, SYNAPSES, published_neuron, published_synapse
from biosnn._models.methods import check_method
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.own_neuron import neuron, per_neuron
from biosnn._models.parameters import Normal, Schedule, TimeSeries, Uniform, check_parameters
from biosnn._models.synapse_model import SynapseModel
from biosnn._models.time_series import at_time, equations_at_time, functions_of
from biosnn._models.units import (
    BUILT_IN,
    Known,
    Scope,
    check_condition_units,
    check_equation_units,
    check_expression_units,
    check_statement_units,
    scope_of,
    unit_name,
)
from biosnn.validation import check_choice, check_value

# One line for each published neuron and synapse (biosnn.equations).
integrate_and_fire = published_neuron("integrate_and_fire")
lif = published_neuron("lif")
lif_exponential = published_neuron("lif_exponential")
lif_conductance_based = published_neuron("lif_conductance", "lif_conductance_based")
adaptive_lif = published_neuron("adaptive_lif")
qif = published_neuron("qif")
eif = published_neuron("eif")
adex = published_neuron("adex")
izhikevich = published_neuron("izhikevich")
hodgkin_huxley = published_neuron("hodgkin_huxley")
traub_miles = published_neuron("traub_miles")
pinsky_rinzel = published_neuron("pinsky_rinzel")
poisson_unit = published_neuron("poisson_unit")
escape_rate = published_neuron("escape_rate")
diehl_cook_excitatory_cell = published_neuron("diehl_cook_excitatory", "diehl_cook_excitatory_cell")
diehl_cook_inhibitory_cell = published_neuron("diehl_cook_inhibitory", "diehl_cook_inhibitory_cell")
discrete_if = published_neuron("discrete_if")
discrete_lif = published_neuron("discrete_lif")
discrete_plif = published_neuron("discrete_plif")
discrete_leaky = published_neuron("discrete_leaky")
discrete_synaptic = published_neuron("discrete_synaptic")
competitive_unit = published_neuron("competitive", "competitive_unit")

delta = published_synapse("delta")
exponential_current = published_synapse("exponential_current")
exponential_conductance = published_synapse("exponential_conductance")
alpha_current = published_synapse("alpha_current")
alpha_conductance = published_synapse("alpha_conductance")
difference_of_exponentials_current = published_synapse("difference_of_exponentials_current")
difference_of_exponentials_conductance = published_synapse("difference_of_exponentials_conductance")
ampa = published_synapse("ampa")
nmda = published_synapse("nmda")
gaba_a = published_synapse("gaba_a")
gap_junction = published_synapse("gap_junction")
tsodyks_markram = published_synapse("tsodyks_markram")

__all__ = [
    "BUILT_IN",
    "LIBRARY",
    "SLOTS",
    "SYNAPSES",
    "Companion",
    "Event",
    "Known",
    "NeuronModel",
    "Normal",
    "Operation",
    "Rate",
    "Schedule",
    "Scope",
    "SynapseModel",
    "TimeSeries",
    "Trace",
    "Uniform",
    "at_time",
    "check_behind",
    "check_choice",
    "check_code",
    "check_condition_units",
    "check_equation_units",
    "check_expression_units",
    "check_integration",
    "check_link_unit",
    "check_links",
    "check_method",
    "check_not_random",
    "check_parameters",
    "check_size",
    "check_statement_units",
    "check_text",
    "check_value",
    "equation_text",
    "equations_at_time",
    "event_driven",
    "functions_of",
    "has_pole",
    "in_every_step",
    "names_in",
    "neuron",
    "neuron_formula",
    "parsed",
    "per_neuron",
    "random_calls",
    "rename",
    "scope_of",
    "synapse_formula",
    "synaptic_equations",
    "unit_name",
    "unit_text",
    "used_names",
    "without_value",
]
__all__ += [made.__name__ for library in (LIBRARY, SYNAPSES) for made, _ in library.values()]
