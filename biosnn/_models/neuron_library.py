"""The named factories of neuron models, and the one for a user's own equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import attrs
from brian2.units.fundamentalunits import Quantity

from biosnn._models import integrators as integrators  # Brian2 gets to know them
from biosnn._models.companions import Event, Operation
from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.factory import published, with_reset
from biosnn._models.methods import default_method
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.parameters import Schedule
from biosnn.equations import adaptive_lif as alif_source
from biosnn.equations import adex as adex_source
from biosnn.equations import (
    competitive,
    diehl_cook_excitatory,
    diehl_cook_inhibitory,
    lif_conductance,
)
from biosnn.equations import eif as eif_source
from biosnn.equations import escape_rate as escape_source
from biosnn.equations import hodgkin_huxley as hh_source
from biosnn.equations import integrate_and_fire as if_source
from biosnn.equations import izhikevich as izhikevich_source
from biosnn.equations import lif as lif_current
from biosnn.equations import lif_exponential as lif_exp
from biosnn.equations import pinsky_rinzel as pr_source
from biosnn.equations import poisson_unit as poisson_source
from biosnn.equations import qif as qif_source
from biosnn.equations import traub_miles as tm_source
from biosnn.validation import check_choice, check_instance, check_value


def neuron(
    *,
    equations: str,
    threshold: str | None = None,
    reset: str | None = None,
    refractory: Any = None,
    method: str | None = "exact",
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    events: Mapping[str, str | Event] | None = None,
    operations: Sequence[Operation] = (),
    links: Mapping[str, str] | None = None,
    spike_when: str = "thresholds",
    slow: Sequence[str] = (),
    transient: Sequence[str] = (),
    name: str = "neuron",
    reference: str = "",
) -> NeuronModel:
    """Make a neuron model from your own equations: the same door, the same checks.

    See :class:`NeuronModel` for the parameters; ``equations`` may be Brian2's ``Equations``, and
    with ``method=None`` the method is the one that Brian2 would choose. Every name in the
    equations, threshold and reset needs a value in ``parameters``; nothing is taken from the
    surrounding script.

    Raises
    ------
    ParameterError
        If the equations or statements do not parse, a name has no value or two meanings, units do
        not fit, the method cannot integrate the equations, an initial value names no variable, or
        a number is not finite.

    Examples
    --------
    The square-integrating neuron of the tutorials of deep-learning libraries has no differential
    equation: in every step it adds the square of its input to the potential.

    >>> from biosnn import models
    >>> square = models.neuron(
    ...     name="SquareIF",
    ...     equations='''
    ...     v : 1
    ...     I : 1
    ...     ''',
    ...     operations=[models.Operation(code="v += I**2", when="groups")],
    ...     threshold="v >= V_th",
    ...     reset="v = 0",
    ...     parameters={"V_th": 1.0},
    ... )
    >>> square.variables
    ('I', 'v')
    """
    for field, given in {
        "parameters": parameters,
        "initial": initial,
        "events": events,
        "links": links,
    }.items():
        check_instance(name, field, given, Mapping, optional=True)
    check_instance(name, "operations", operations, (list, tuple))
    checked = {
        key: value
        if isinstance(value, Schedule)
        else check_value(name, key, value, value if isinstance(value, Quantity) else 1.0)
        for key, value in (parameters or {}).items()
    }
    equations = equation_text(equations)
    known = parsed(name, equations)
    model = NeuronModel(
        name=name,
        equations=equations,
        threshold=threshold,
        reset=reset,
        refractory=refractory,
        method=default_method(known) if method is None else method,
        parameters=checked,
        initial=dict(initial or {}),
        events=dict(events or {}),
        operations=tuple(operations),
        links=dict(links or {}),
        spike_when=spike_when,
        slow=slow,
        transient=transient,
        reference=reference,
    )
    model.check_names()
    return model


def _or_approximate(model: NeuronModel, *others: str) -> NeuronModel:
    """The model, with a method that bears equal time constants where ``exact`` has a pole."""
    if any(model.parameters["tau_m"] == model.parameters[other] for other in others):
        return attrs.evolve(model, method="exponential_euler")
    return model


def integrate_and_fire(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """Perfect integrator: a LIF neuron without its leak.

    Parameters
    ----------
    reset : {"hard", "soft"}
        Hard reset sets ``v`` to ``V_r``; soft reset subtracts ``V_th - V_r``.
    **parameters : Quantity
        ``C``, ``V_th``, ``V_r``, ``t_ref`` (``biosnn.equations.integrate_and_fire``).
    """
    return published(if_source, parameters, reset=with_reset(if_source, reset, "V_th - V_r"))


def lif(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron driven by the current ``I`` (parameters: ``biosnn.equations.lif``).

    Parameters
    ----------
    reset : {"hard", "soft"}
        Hard reset sets ``v`` to ``V_r``; soft reset subtracts ``V_th - E_L``.
    **parameters : Quantity
        ``tau_m``, ``E_L``, ``V_th``, ``V_r``, ``t_ref``, ``R``.
    """
    return published(lif_current, parameters, reset=with_reset(lif_current, reset, "V_th - E_L"))


def lif_exponential(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron with an exponentially decaying synaptic current ``I_syn``.

    Parameters
    ----------
    reset : {"hard", "soft"}
        As in :func:`lif`.
    **parameters : Quantity
        Those of :func:`lif` and ``tau_syn``. Equal ``tau_m`` and ``tau_syn`` have no closed
        form in Brian2's exact integration and are integrated with ``exponential_euler``.
    """
    model = published(lif_exp, parameters, reset=with_reset(lif_exp, reset, "V_th - E_L"))
    return _or_approximate(model, "tau_syn")


def lif_conductance_based(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron with exponential conductances ``g_e`` and ``g_i`` in units of the leak.

    Parameters
    ----------
    reset : {"hard", "soft"}
        As in :func:`lif`.
    **parameters : Quantity
        ``tau_m``, ``tau_e``, ``tau_i``, ``E_L``, ``E_e``, ``E_i``, ``V_th``, ``V_r``, ``t_ref``.
    """
    soft = with_reset(lif_conductance, reset, "V_th - E_L")
    return published(lif_conductance, parameters, reset=soft)


def adaptive_lif(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron whose spikes raise its threshold and add to an adaptation current.

    Parameters
    ----------
    reset : {"hard", "soft"}
        Hard reset sets ``v`` to ``V_r``; soft reset subtracts the threshold crossed, less
        ``E_L``.
    **parameters : Quantity
        Those of :func:`lif`, ``theta_plus`` and ``tau_theta`` of the threshold, ``b`` and
        ``tau_w`` of the current. Where ``tau_w`` equals ``tau_m``, Brian2's exact integration has
        a pole and ``exponential_euler`` takes its place.
    """
    code = with_reset(alif_source, reset, "V_th + theta - E_L")
    return _or_approximate(published(alif_source, parameters, reset=code), "tau_w")


def qif(**parameters: Any) -> NeuronModel:
    """Quadratic integrate-and-fire neuron.

    Parameters
    ----------
    **parameters : Quantity
        ``tau_m``, ``a_0``, ``E_L``, ``V_c``, ``V_peak``, ``V_r``, ``t_ref``, ``R``
        (``biosnn.equations.qif``).
    """
    return published(qif_source, parameters)


def eif(**parameters: Any) -> NeuronModel:
    """Exponential integrate-and-fire neuron; ``I`` is a current per area.

    Parameters
    ----------
    **parameters : Quantity
        ``C``, ``g_L``, ``E_L``, ``V_T``, ``Delta_T``, ``V_peak``, ``V_r``, ``t_ref``
        (``biosnn.equations.eif``).
    """
    return published(eif_source, parameters)


def adex(*, pattern: str | None = None, **parameters: Any) -> NeuronModel:
    """Adaptive exponential integrate-and-fire neuron.

    Parameters
    ----------
    pattern : str, optional
        One of the eight firing patterns of Naud et al. 2008, Table 1 (keys of
        ``biosnn.equations.adex.PATTERNS``, such as ``"tonic spiking"``); without it the
        parameters are those of Brette & Gerstner 2005. :func:`adex_patterns` has the currents.
    **parameters : Quantity
        ``C``, ``g_L``, ``E_L``, ``V_T``, ``Delta_T``, ``a``, ``tau_w``, ``b``, ``V_r``,
        ``V_peak``, ``t_ref``; they go before those of the pattern.
    """
    if pattern is None:
        return published(adex_source, parameters)
    check_choice(adex_source.NAME, "pattern", pattern, tuple(adex_source.PATTERNS))
    of_pattern = {k: v for k, v in adex_source.PATTERNS[pattern].items() if k != "I"}
    return published(adex_source, {**of_pattern, **parameters})


def izhikevich(*, kind: str = "RS", **parameters: Any) -> NeuronModel:
    """Izhikevich's simple model; ``I`` is in mV/ms, where the papers have plain numbers.

    Parameters
    ----------
    kind : {"RS", "IB", "CH", "FS", "TC", "RZ", "LTS"}
        Cell type of Izhikevich 2003, Fig. 2: regular spiking, intrinsically bursting, chattering,
        fast spiking, thalamo-cortical, resonator, low-threshold spiking. The 20 patterns of
        2004 are :func:`izhikevich_patterns`.
    **parameters : Quantity
        ``a``, ``b``, ``c``, ``d``, ``k_2``, ``k_1``, ``k_0``, ``V_peak``; they go before those of
        the kind.
    """
    check_choice(izhikevich_source.NAME, "kind", kind, tuple(izhikevich_source.SETS))
    of_kind = izhikevich_source.SETS[kind] if kind != "RS" else {}
    return published(izhikevich_source, {**of_kind, **parameters})


def hodgkin_huxley(**parameters: Any) -> NeuronModel:
    """Hodgkin & Huxley's membrane of 1952; ``I`` is a current per area.

    Parameters
    ----------
    **parameters : Quantity
        ``C``, ``g_Na``, ``g_K``, ``g_L``, ``E_Na``, ``E_K``, ``E_L``, ``V_0``, the temperature
        ``T_C`` and ``V_th`` (``biosnn.equations.hodgkin_huxley``).
    """
    return published(hh_source, parameters)


def traub_miles(**parameters: Any) -> NeuronModel:
    """Traub & Miles' cell as in the COBAHH benchmark; ``I`` is the current of the whole cell.

    Parameters
    ----------
    **parameters : Quantity
        ``C``, ``area``, ``g_Na``, ``g_K``, ``g_L``, ``E_Na``, ``E_K``, ``E_L``, ``V_T``, ``V_th``
        (``biosnn.equations.traub_miles``).
    """
    return published(tm_source, parameters)


def pinsky_rinzel(**parameters: Any) -> NeuronModel:
    """Pinsky & Rinzel's cell: soma ``v`` with ``I``, dendrite ``v_d`` with ``I_d``, per area.

    Parameters
    ----------
    **parameters : Quantity
        ``C``, ``p``, ``g_c``, ``g_L``, ``g_Na``, ``g_KDR``, ``g_Ca``, ``g_KAHP``, ``g_KC``,
        ``E_L``, ``E_Na``, ``E_Ca``, ``E_K``, ``V_0``, ``V_th``
        (``biosnn.equations.pinsky_rinzel``).
    """
    return published(pr_source, parameters)


def poisson_unit(**parameters: Any) -> NeuronModel:
    """Linear Poisson unit: fires at random with the rate ``nu_0 + gain*v``.

    A step holds one spike at most: with ``r`` the rate, its probability is ``1 - exp(-r*dt)``.
    In a network the draws follow its seed; in a plain group they are Brian2's.

    Parameters
    ----------
    **parameters : Quantity
        ``tau_m``, ``nu_0``, ``gain`` (``biosnn.equations.poisson_unit``).
    """
    return published(poisson_source, parameters)


def escape_rate(*, reset: str = "hard", **parameters: Any) -> NeuronModel:
    """LIF neuron with a noisy threshold: exponential escape rate.

    A step holds one spike at most, as in :func:`poisson_unit`.

    Parameters
    ----------
    reset : {"hard", "soft"}
        As in :func:`lif`.
    **parameters : Quantity
        Those of :func:`lif`, ``rho_0`` and ``Delta_u`` (``biosnn.equations.escape_rate``).
    """
    code = with_reset(escape_source, reset, "V_th - E_L")
    return published(escape_source, parameters, reset=code)


def diehl_cook_excitatory_cell(**parameters: Any) -> NeuronModel:
    """Excitatory cell of Diehl & Cook (2015) with its adaptive threshold ``theta``."""
    return published(diehl_cook_excitatory, parameters)


def diehl_cook_inhibitory_cell(**parameters: Any) -> NeuronModel:
    """Inhibitory cell of Diehl & Cook (2015)."""
    return published(diehl_cook_inhibitory, parameters)


def competitive_unit(**parameters: Any) -> NeuronModel:
    """Competitive unit with a homeostatic threshold (``biosnn.equations.competitive``)."""
    return published(competitive, parameters)


#: The library by name: what ``biosnn models`` lists.
LIBRARY: dict[str, tuple[Any, ModuleType]] = {
    "integrate_and_fire": (integrate_and_fire, if_source),
    "lif": (lif, lif_current),
    "lif_exponential": (lif_exponential, lif_exp),
    "lif_conductance": (lif_conductance_based, lif_conductance),
    "adaptive_lif": (adaptive_lif, alif_source),
    "qif": (qif, qif_source),
    "eif": (eif, eif_source),
    "adex": (adex, adex_source),
    "izhikevich": (izhikevich, izhikevich_source),
    "hodgkin_huxley": (hodgkin_huxley, hh_source),
    "traub_miles": (traub_miles, tm_source),
    "pinsky_rinzel": (pinsky_rinzel, pr_source),
    "poisson_unit": (poisson_unit, poisson_source),
    "escape_rate": (escape_rate, escape_source),
    "diehl_cook_excitatory": (diehl_cook_excitatory_cell, diehl_cook_excitatory),
    "diehl_cook_inhibitory": (diehl_cook_inhibitory_cell, diehl_cook_inhibitory),
    "competitive": (competitive_unit, competitive),
}
