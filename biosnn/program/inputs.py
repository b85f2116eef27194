"""The inputs of a declared network as devices see them."""

from __future__ import annotations

from brian2 import Equations

from biosnn.devices.base.contract import Port
from biosnn.networks import NetworkModel
from biosnn.state import unit_name


def ports(network: NetworkModel) -> dict[str, Port]:
    """The inputs of a network, and the factor on each sample's intensity."""
    found = {}
    for name, spec in network.inputs.items():
        frame = 0 if spec.frame is None else round(float(spec.frame / network.dt))
        found[name] = Port(
            kind=spec.kind,
            features=spec.features,
            optional=spec.optional,
            frame_steps=frame,
            most_frames=network.duration_steps // frame if frame else 0,
            rate_step=_rate_step(network, name),
            unit=_unit(network, name),
        )
    found["intensity"] = Port(kind="static", features=1, optional=True, absent=1.0, positive=True)
    return found


def _unit(network: NetworkModel, channel: str) -> str:
    """SI unit of what an input sets, if that is one."""
    units = {
        unit_name(Equations(population.model.equations)[variable].dim)
        for population in network.populations.values()
        for variable, name in population.drives.items()
        if name == channel
    }
    return units.pop() if len(units) == 1 else ""


def _rate_step(network: NetworkModel, channel: str) -> float:
    """Spikes per time step of a unit with value 1, if the input sets rates."""
    rates = [
        float(population.model.parameters[rate.parameter])
        for population in network.populations.values()
        for variable, rate in population.model.rates.items()
        if population.drives.get(variable) == channel
    ]
    return max(rates, default=0.0) * network.presentation.intensity * float(network.dt)
