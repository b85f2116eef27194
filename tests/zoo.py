"""Every built-in network in a small size, and one of populations with all that neurons can have."""

from __future__ import annotations

from collections.abc import Callable

from brian2 import ms, mV
from parity.built_in import NETWORKS

from biosnn import encoding, models, networks
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection


def stochastic() -> NetworkModel:
    """Noise, draws, a refractory condition, shared and linked variables, held expressions."""
    noisy = models.NeuronModel(
        name="noisy",
        equations="""
        dv/dt = (E_L - v + I)/tau + sigma*sqrt(2/tau)*xi : volt (unless refractory)
        du/dt = -u/tau : 1
        gain = 1 + 0.1*rand() : 1 (constant over dt)
        I = gain*u*drive : volt
        drive = base + bias : volt
        base : volt (shared)
        bias : volt (constant)
        """,
        threshold="v > V_th",
        reset="v = E_L; u += 1",
        refractory="v > V_reset",
        method="euler",
        parameters={
            "E_L": -65 * mV,
            "tau": 10 * ms,
            "sigma": 1 * mV,
            "V_th": -60 * mV,
            "V_reset": -64 * mV,
        },
    )
    follower = models.NeuronModel(
        name="follower",
        equations="dv/dt = (other - v)/tau : volt\nother : volt (linked)",
        method="exact",
        parameters={"tau": 20 * ms},
        links={"other": "noisy.drive"},
    )
    return NetworkModel(
        name="stochastic",
        populations={
            "source": Population(n=3, model=encoding.poisson(), drives={"x": "image"}),
            "noisy": Population(n=4, model=noisy),
            "follower": Population(n=4, model=follower),
        },
        projections={
            "source_noisy": Projection(
                pre="source", post="noisy", weights=0.5, transmit="u_post += w*drive_post/base_post"
            )
        },
        inputs={"image": Input(features=3)},
        presentation=Presentation(duration=20 * ms),
        output="noisy",
        dt=1 * ms,
    )


ZOO: dict[str, Callable[[], NetworkModel]] = {
    **NETWORKS,
    "feedforward": lambda: networks.feedforward((4, 3, 2), delay=2 * ms),
    "online_readout": lambda: networks.online_readout(5, 3),
    "reward": lambda: networks.convolutional_reward_network(),
    "reward_network": lambda: networks.reward_network(5, 3, n_hidden=8),
    **{
        kind: lambda kind=kind: networks.balanced_network(kind, 40, duration=20 * ms)
        for kind in ("COBA", "CUBA", "COBAHH")
    },
    "stochastic": stochastic,
}
