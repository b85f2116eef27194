"""The protocol of presentations as units of equations: sample pointer, retries, schedules.

There is one unit for each replica of the network, usually one.

Everything at the border between two presentations happens at the beginning of a time step, in
Brian2's slot ``start``, in the order of the constants below. The first group finishes the
presentation that has ended, the second one begins the next.
"""

from __future__ import annotations

import numpy as np
from brian2 import BrianObject, Clock, NeuronGroup

from biosnn.networks import NetworkModel
from biosnn.program.replicas import Replicas

# The end of a presentation ...
STORE, CLEAR_EVENTS, LEARN, NORMALISE = -130, -125, -120, -90
CLEAR_COUNTS, ADVANCE, SNAPSHOT = -75, -70, -65
# ... and the beginning of the next one.
LOAD, BEGIN, RESET, FRAME, STEP, EVENTS, SUBEXPRESSIONS = -60, -50, -49, -48, -45, -44, -42
ONSET, INPUT = -40, -39
# Traces come after all else in this slot: they hold what the time step starts from.
TRACE = 10**6

_PROTOCOL = """
t_sample : second
step : integer
sample : integer
attempt : integer
pending : integer
intensity : 1
sample_intensity : 1
n_watch : integer
seed : integer
epoch : integer
pass_id : integer
first_sample : integer
sample_id : integer
seen : integer
horizon : 1
fraction : 1
learning : integer
"""
_ADVANCE = """
retry = pending*int(n_watch < min_spikes)*int(attempt < max_retries)
sample += {stride}(pending - retry)
seen += learning*(pending - retry)
attempt = (attempt + 1)*retry + attempt*(1 - pending)
n_watch = 0
pending = 0
"""
_BEGIN = """
pending = 1
step = 0
intensity = (base_intensity + intensity_step*attempt)*sample_intensity
sample_id = first_sample + sample
pass_id = 256*epoch + attempt
fraction = clip(seen*(1/horizon), 0, 1)
"""


def protocol_group(
    network: NetworkModel, clock: Clock, border: Clock, replicas: Replicas
) -> tuple[NeuronGroup, list[BrianObject]]:
    """The group with a sample pointer per replica, and its border operation."""
    scheduled = {
        f"{key}_{name}": schedule
        for key, owner in (
            *((k, p.model) for k, p in network.populations.items()),
            *((k, p.rule) for k, p in network.projections.items() if p.rule is not None),
        )
        for name, schedule in owner.schedules.items()
    }
    show = network.presentation
    group = NeuronGroup(
        replicas.n,
        _PROTOCOL + "".join(f"{name} : 1\n" for name in scheduled),
        name="protocol",
        clock=clock,
        namespace={
            "min_spikes": show.min_spikes,
            "max_retries": show.max_retries,
            "base_intensity": show.intensity,
            "intensity_step": show.intensity_step,
        },
        dtype=np.float64,
    )
    schedules = "".join(f"{n} = {s.expression('fraction')}\n" for n, s in scheduled.items())

    def regularly(code: str, on: Clock, order: int, name: str) -> BrianObject:
        return group.run_regularly(
            code, clock=on, when="start", order=order, name=f"protocol_{name}"
        )

    stride = f"{replicas.stride}*" if replicas.stride > 1 else ""
    advance = regularly(_ADVANCE.format(stride=stride), border, ADVANCE, "advance")
    regularly(_BEGIN + schedules, border, BEGIN, "begin")
    regularly("t_sample = step*dt\nstep += 1", clock, STEP, "step")
    return group, [advance]
