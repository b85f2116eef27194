"""Balanced random networks whose activity sustains itself: COBA, CUBA and COBAHH."""

from __future__ import annotations

from typing import Any

import attrs
from brian2 import Mohm, ms, mV, nS, pA

from biosnn import models
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Normal, Uniform
from biosnn.networks.connectivity import FixedProbability
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Projection
from biosnn.networks.structure import Population, Presentation
from biosnn.validation import check_choice, check_whole

KINDS = ("COBA", "CUBA", "COBAHH")
#: 1/g_L of the benchmarks' cells: 20,000 um**2 with 0.05 mS/cm**2.
_R = 100 * Mohm
_LIF = {"tau_m": 20 * ms, "V_th": -50 * mV, "V_r": -60 * mV, "t_ref": 5 * ms, "R": _R}


def _conductances() -> dict[str, Any]:
    """Synapses of COBA and COBAHH; the weights are in nS."""
    made = models.exponential_conductance
    return {
        "exc": made(tau_syn=5 * ms, E=0 * mV, g_max=1 * nS),
        "inh": made(tau_syn=10 * ms, E=-80 * mV, g_max=1 * nS),
    }


def _coba() -> tuple[NeuronModel, float, float]:
    cell = models.lif(**_LIF, E_L=-60 * mV).with_synapses(**_conductances())
    start = {
        "v": Normal(mean=-65 * mV, sd=5 * mV),
        "g_exc": Normal(mean=40 * nS, sd=15 * nS),
        "g_inh": Normal(mean=200 * nS, sd=120 * nS),
    }
    return attrs.evolve(cell, initial={**cell.initial, **start}), 6.0, 67.0


def _cuba() -> tuple[NeuronModel, float, float]:
    # 1 pA makes 0.1 mV in this membrane: weights are in pA.
    cell = models.lif(**_LIF, E_L=-49 * mV).with_synapses(
        exc=models.exponential_current(tau_syn=5 * ms, I_max=1 * pA),
        inh=models.exponential_current(tau_syn=10 * ms, I_max=1 * pA),
    )
    start = {"v": Uniform(low=-60 * mV, high=-50 * mV)}
    return attrs.evolve(cell, initial={**cell.initial, **start}), 16.2, -90.0


def _cobahh() -> tuple[NeuronModel, float, float]:
    cell = models.traub_miles().with_synapses(**_conductances())
    start = {
        "v": Normal(mean=-65 * mV, sd=5 * mV),
        "g_exc": Normal(mean=40 * nS, sd=15 * nS),
        "g_inh": Normal(mean=200 * nS, sd=120 * nS),
    }
    return attrs.evolve(cell, initial={**cell.initial, **start}), 6.0, 67.0


def balanced_network(
    kind: str,
    n_neurons: int = 4000,
    *,
    p: float | None = None,
    duration: Any = 1000 * ms,
    dt: Any = 0.1 * ms,
    seed: int = 0,
) -> NetworkModel:
    """Random network of excitatory and inhibitory cells (4:1) that keeps itself active.

    It has no input: what starts it are random potentials and, with conductances, random
    conductances, so that one presentation is one trial.

    Parameters
    ----------
    kind : {"COBA", "CUBA", "COBAHH"}
        LIF neurons with conductances, LIF neurons with currents, or Traub-Miles cells with
        conductances: benchmarks 1 to 3 of Brette et al.
    n_neurons : int
        Number of cells, a multiple of 5.
    p : float, optional
        Probability of a connection. Default: 80 connections per cell, 0.02 of 4000.
    duration, dt : Quantity
        Length of a presentation, and the time step.
    seed : int
        Seed of the connections.

    Returns
    -------
    NetworkModel
        With the populations ``exc`` and ``inh``; run it with ``{"n_samples": 1}``.

    References
    ----------
    Brette et al. 2007, J. Comput. Neurosci. 23:349, app. B, doi:10.1007/s10827-007-0038-6;
    after Vogels & Abbott 2005, J. Neurosci. 25:10786, doi:10.1523/JNEUROSCI.3508-05.2005.
    """
    check_choice("balanced_network", "kind", kind, KINDS)
    check_whole("balanced_network", "seed", seed)
    if check_whole("balanced_network", "n_neurons", n_neurons) % 5 or n_neurons <= 0:
        raise ParameterError("balanced_network", "n_neurons", n_neurons, "a multiple of 5, > 0")
    cell, w_exc, w_inh = {"COBA": _coba, "CUBA": _cuba, "COBAHH": _cobahh}[kind]()
    share = min(80 / n_neurons, 1.0) if p is None else p
    sizes = {"exc": n_neurons // 5 * 4, "inh": n_neurons // 5}
    weights = {"exc": w_exc, "inh": w_inh}
    pairs = [(pre, post) for pre in sizes for post in sizes]
    return NetworkModel(
        name=kind,
        dt=dt,
        inputs={},
        populations={key: Population(model=cell, n=n) for key, n in sizes.items()},
        projections={
            f"{pre}_{post}": Projection(
                pre=pre,
                post=post,
                synapse=pre,
                weights=weights[pre],
                pairs=FixedProbability(p=share, to_self=pre != post),
            )
            for pre, post in pairs
        },
        presentation=Presentation(duration=duration, reset="none"),
        output="exc",
        seed=seed,
    )
