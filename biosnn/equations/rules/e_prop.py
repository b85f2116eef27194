"""Eligibility propagation (e-prop) for leaky integrate-and-fire neurons.

``dw/dt = eta*L*eligibility/tau_m``. The eligibility is ``psi*x``, low-pass filtered with
``tau_out`` as the readout of the neuron's spikes is; ``x`` is what presynaptic spikes of
weight 1 do to the potential, and ``psi = gamma*max(0, 1 - abs(v - V_th)/width)`` the
pseudo-derivative. The learning signal ``L`` is the error that reaches the neuron, desired
minus present readout.

Notes
-----
Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein & Maass 2020, Nat. Commun. 11:3625,
doi:10.1038/s41467-020-17236-y, Methods: eligibility traces of LIF neurons and the
pseudo-derivative with its 0.3. Their learning signal has the opposite sign, their ``psi``
is divided by the threshold, and their filters are sums over time steps; here these factors
are in ``eta``. ``psi`` is taken before the threshold is tested, in its default slot.
"""

from brian2.units import ms, mV

from biosnn.equations.rules import superspike as base

NAME = "EProp"
PARAMETERS = {
    "eta": base.PARAMETERS["eta"],
    "tau_m": (20 * ms, *base.PARAMETERS["tau_m"][1:]),
    "tau_syn": (None, *base.PARAMETERS["tau_syn"][1:]),
    "tau_out": (
        20 * ms,
        "> 0",
        "time constant of the readout of the neuron's spikes; ``None`` where the learning signal "
        "depends on the spikes of the present step only",
        ms,
    ),
    "distance": base.PARAMETERS["distance"],
    "width": (
        15 * mV,
        "",
        "distance at which the pseudo-derivative becomes zero, > 0, in the unit of ``distance``",
    ),
    "gamma": (0.3, "> 0", "pseudo-derivative at the threshold"),
    "signal": base.PARAMETERS["signal"],
    "update": base.PARAMETERS["update"],
    "w_min": base.PARAMETERS["w_min"],
    "w_max": base.PARAMETERS["w_max"],
}
SCHEDULED = base.SCHEDULED
PSI = "gamma_psi*clip(1 - abs({distance})/width_psi, 0, 1)"
OF_PSI = {"width_psi": "width", "gamma_psi": "gamma"}
ELIGIBILITY = "eligibility += psi_post*x_pre*(dt/tau_out)"
EQUATIONS = "deligibility/dt = -eligibility/tau_out : 1 (clock-driven)"
#: With ``tau_out``, and without it.
FACTOR, UNFILTERED = "eligibility", "psi_post*x_pre"
REFERENCE = "Bellec et al. 2020, doi:10.1038/s41467-020-17236-y"
