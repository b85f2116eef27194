"""The presentation of samples: its units, inputs, what begins anew at an onset, and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from brian2.equations.equations import FLOAT
from brian2.units.fundamentalunits import Quantity

from biosnn.initial_values import Formula, Initial
from biosnn.models import Normal, Uniform, at_time, equations_at_time, parsed, unit_text
from biosnn.networks import NetworkModel
from biosnn.networks.structure import PROTOCOL
from biosnn.program.interface import Port
from biosnn.program.program import BOUNDARY, STEP, Connection, Group, Kernel, Program
from biosnn.program.slots import (
    ADVANCE,
    BEGIN,
    EVENTS,
    FRAME,
    LOAD,
    ONSET,
    RESET,
    SNAPSHOT,
    STEP_BEGINS,
    STORE,
    SUBEXPRESSIONS,
)
from biosnn.state import unit_name

#: Seconds since the last spike of a neuron that has had none.
LONG_AGO = 1e4
_VARIABLES = """
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
#: Variables of the protocol that a device sets to zero before a chunk of samples ...
FROM_ZERO = ("sample", "attempt", "pending", "step", "n_watch")
#: ... and those that it sets to what the chunk's settings give by the same name. It sets
#: ``learning`` as well: whether anything learns.
GIVEN = ("seed", "epoch", "first_sample", "horizon")
_ADVANCE = """
retry = pending*int(n_watch < min_spikes)*int(attempt < max_retries)
sample += stride*(pending - retry)
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
_LOADS = {"static": (BOUNDARY, LOAD), "sequence": ("", FRAME), "events": (STEP, EVENTS)}


def show_samples(program: Program, network: NetworkModel) -> Program:
    """Add the units that count samples, attempts and steps, and what brings samples in.

    Parameters
    ----------
    program : Program
        With the network's groups.
    network : NetworkModel
        The declaration: its inputs and its presentation.
    """
    show = network.presentation
    unit = Group(
        name=PROTOCOL,
        n=1,
        equations=_VARIABLES,
        constants={
            "min_spikes": show.min_spikes,
            "max_retries": show.most_retries,
            "base_intensity": show.intensity,
            "intensity_step": show.intensity_step,
            "stride": 1,
        },
        double=tuple(sorted(parsed(PROTOCOL, _VARIABLES).names)),
        kept=("seen",),
    )

    def step(
        label: str, code: str, order: int, clock: str = BOUNDARY, ends: bool = False
    ) -> Kernel:
        name = f"{PROTOCOL}_{label}"
        kind = "statements"
        return Kernel(
            name=name, owner=PROTOCOL, kind=kind, code=code, clock=clock, order=order, ends=ends
        )

    kernels = [
        step("advance", _ADVANCE, ADVANCE, ends=True),
        step("begin", _BEGIN, BEGIN),
        step("step", "t_sample = step*dt\nstep += 1", STEP_BEGINS, STEP),
        *program.kernels,
        *_loads(network),
        Kernel(name="store", owner=PROTOCOL, kind="store", clock=BOUNDARY, order=STORE, ends=True),
        Kernel(
            name="snapshot",
            owner=PROTOCOL,
            kind="snapshot",
            clock=BOUNDARY,
            order=SNAPSHOT,
            ends=True,
        ),
    ]
    connections = dict(program.connections)
    if show.watch is not None:
        watch = f"{PROTOCOL}_watch"
        n = network.populations[show.watch].n
        connections[watch] = Connection(
            name=watch, pre=show.watch, post=PROTOCOL, n_pre=n, n_post=1, numbered="all"
        )
        kernels.append(
            Kernel(
                name=f"{watch}_pre",
                owner=watch,
                kind="pathway",
                code="n_watch_post += 1",
                when="synapses",
                order=-1,
                event="spike",
                side="pre",
            )
        )
    return program.changed(
        groups={PROTOCOL: unit, **program.groups},
        protocol=PROTOCOL,
        connections=connections,
        kernels=tuple(kernels),
        inputs=_inputs(network),
    )


def _loads(network: NetworkModel) -> Iterator[Kernel]:
    """What brings a row, a frame or the events of an input into the network."""
    for name, spec in network.inputs.items():
        clock, order = _LOADS[spec.kind]
        yield Kernel(
            name=f"load_{name}",
            owner=name,
            kind="load",
            clock=clock or name,
            order=order,
            targets=tuple(
                f"{key}.{variable}"
                for key, population in network.populations.items()
                for variable, channel in population.drives.items()
                if channel == name
            ),
        )
    yield Kernel(
        name="load_intensity",
        owner="intensity",
        kind="load",
        clock=BOUNDARY,
        order=LOAD,
        targets=(f"{PROTOCOL}.sample_intensity",),
    )


def _inputs(network: NetworkModel) -> dict[str, Port]:
    """What every sample consists of, and the factor on its intensity."""
    found = {}
    for name, spec in network.inputs.items():
        frame = 0 if spec.frame is None else round(float(spec.frame / network.dt))
        driven = [
            (population.model, variable)
            for population in network.populations.values()
            for variable, channel in population.drives.items()
            if channel == name
        ]
        units = {unit_name(parsed("", model.equations)[v].dim) for model, v in driven}
        rates = [
            float(model.parameters[model.rates[v].parameter])
            for model, v in driven
            if v in model.rates
        ]
        found[name] = Port(
            kind=spec.kind,
            features=spec.features,
            optional=spec.optional,
            frame_steps=frame,
            most_frames=network.duration_steps // frame if frame else 0,
            rate_step=max(rates, default=0.0) * network.presentation.intensity * float(network.dt),
            unit=units.pop() if len(units) == 1 else "",
        )
    found["intensity"] = Port(kind="static", features=1, optional=True, absent=1.0, positive=True)
    return found


def count_from_onsets(program: Program, network: NetworkModel) -> Program:
    """Have parameters with values over time begin anew at each onset.

    In the code that calls them the time since the onset, ``t_sample``, takes the place of ``t``.
    """
    for key in network.populations:
        series = network.whole_model(key).series
        if not series:
            continue
        program = linked(program, key, "t_sample : second", {"t_sample": "t_sample"})
        group = program.groups[key]
        equations = equations_at_time(group.equations, series, "t_sample")
        refractory = group.refractory
        if isinstance(refractory, str):
            refractory = at_time(refractory, series, "t_sample")
        program = program.with_group(
            attrs.evolve(group, equations=equations, refractory=refractory)
        )
        known = parsed(key, equations)
        held = any(
            "constant over dt" in known[name].flags and known[name].identifiers & set(series)
            for name in known.subexpr_names
        )
        kernels = []
        for kernel in program.kernels:
            if kernel.owner == key and kernel.code:
                code = at_time(kernel.code, series, "t_sample")
                kernel = attrs.evolve(kernel, code=code)
            if kernel.owner == key and kernel.kind == "held" and held:
                # Brian2 updates them before the protocol knows of the step.
                kernel = attrs.evolve(kernel, when="start", order=SUBEXPRESSIONS)
            kernels.append(kernel)
        program = program.changed(kernels=tuple(kernels))
    return program


def reset_at_onsets(program: Program, network: NetworkModel) -> Program:
    """Give the fast variables their first values at every onset.

    The values themselves become constants of the groups, or, where they differ between neurons or
    are drawn, variables that nothing changes. Refractory neurons are reset as all others are.
    """
    for key, names in network.resets.items():
        neurons = key in network.populations
        code, constants, stored = _reset_code(network, key, names)
        owner: Any = (program.groups if neurons else program.connections)[key]
        lines = "\n".join([owner.equations, *(f"{line} (constant)" for line in stored)])
        owner = attrs.evolve(
            owner, constants={**owner.constants, **constants}, equations=lines.strip()
        )
        if neurons:
            double = tuple(copy_of(name) for name in names if name in owner.double)
            program = program.with_group(attrs.evolve(owner, double=(*owner.double, *double)))
        else:
            program = program.changed(connections={**program.connections, key: owner})
        program = program.with_kernels(
            Kernel(
                name=f"{key}_reset_values",
                owner=key,
                kind="statements",
                code=code,
                clock=BOUNDARY,
                order=RESET,
                forced=neurons,
            )
        )
    return program


def copy_of(name: str) -> str:
    """What holds the values that a variable gets at every onset."""
    return f"reset_{name}"


def _first_values(network: NetworkModel, key: str) -> dict[str, Any]:
    """What is declared of the initial values of a population or a projection."""
    if key in network.populations:
        model = network.whole_model(key)
        return {name: model.initial_value(name) for name in model.variables}
    return {**dict.fromkeys(network.synaptic(key), 0.0), **network.projections[key].initial}


def _differs(value: Any) -> bool:
    """Whether an initial value is not the same for all neurons or synapses, whatever the seed."""
    return isinstance(value, str | Uniform | Normal) or np.ndim(value) > 0


def begun_with(network: NetworkModel) -> dict[str, Initial]:
    """What the variables of a network begin with, and those that hold what onsets give them."""
    values = network.initial_values()
    for key, names in network.resets.items():
        declared = _first_values(network, key)
        for name in names:
            if not _differs(declared.get(name)):
                continue
            full, given = f"{key}.{name}", values[f"{key}.{name}"]
            if not isinstance(given, np.ndarray):
                given = Formula(code=f"{name} = {name}", size=given.size, variables={name: full})
            values[f"{key}.{copy_of(name)}"] = given
    return values


def _shared_first(names: Any, shared: Any) -> list[str]:
    """Brian2 wants what all neurons share to be written first."""
    return sorted(names, key=lambda name: name not in shared)


def _reset_code(
    network: NetworkModel, key: str, names: Any
) -> tuple[str, dict[str, Any], list[str]]:
    """Statements, constants in them, and the variables that hold what differs between neurons."""
    neurons = key in network.populations
    text = network.whole_model(key).equations if neurons else network.resolved(key).equations
    if not neurons and (rule := network.projections[key].rule) is not None:
        text = f"{text}\n{rule.equations}"
    equations, declared = parsed(key, text), _first_values(network, key)
    shared = {name for name, equation in equations.items() if "shared" in equation.flags}
    given = network.whole_model(key).initial if neurons else {}
    lines, constants, stored = [], {}, []
    for name in _shared_first(names, shared):
        if name == "lastspike":
            lines += ["not_refractory = True", f"lastspike = t - {LONG_AGO}*second"]
            continue
        value = declared[name]
        if _differs(value):
            text, kind = copy_of(name), equations[name].var_type
            unit = unit_text(equations[name].dim) if kind == FLOAT else kind
            stored.append(f"{text} : {unit}")
        elif isinstance(given.get(name), str):
            text = given[name]
        elif neurons or np.any(value):
            text = copy_of(name)
            constants[text] = Quantity(np.asarray(value).item(), dim=equations[name].dim)
        else:
            text = "0"
        lines.append(f"{name} = {text}")
    return "\n".join(lines), constants, stored


def follow_schedules(program: Program, network: NetworkModel) -> Program:
    """Have parameters follow the number of samples that were learned.

    They are variables of the protocol. Neurons are linked to them; for synapses, which cannot
    follow a link, the postsynaptic neurons keep a copy.
    """
    scheduled = {}
    for key, population in network.populations.items():
        for name, schedule in population.model.schedules.items():
            scheduled[f"{key}_{name}"] = schedule
            program = linked(program, key, f"{name} : 1", {name: f"{key}_{name}"})
    for key, projection in network.projections.items():
        for name, schedule in (projection.rule.schedules if projection.rule else {}).items():
            variable = f"{key}_{name}"
            scheduled[variable] = schedule
            post = projection.post
            program = linked(program, post, f"{variable}_now : 1", {f"{variable}_now": variable})
            group = program.groups[post]
            equations = f"{group.equations}\n{variable} : 1"
            program = program.with_group(attrs.evolve(group, equations=equations)).with_kernels(
                Kernel(
                    name=f"{post}_copy_{variable}",
                    owner=post,
                    kind="statements",
                    code=f"{variable} = {variable}_now",
                    clock=BOUNDARY,
                    order=ONSET,
                )
            )
    if not scheduled:
        return program
    unit = program.groups[program.protocol]
    lines = "".join(f"{name} : 1\n" for name in scheduled)
    program = program.with_group(
        attrs.evolve(
            unit, equations=unit.equations + lines, double=(*unit.double, *sorted(scheduled))
        )
    )
    code = "".join(f"{name} = {s.expression('fraction')}\n" for name, s in scheduled.items())
    return program.with_kernels(
        Kernel(
            name=f"{program.protocol}_follow_schedules",
            owner=program.protocol,
            kind="statements",
            code=code,
            clock=BOUNDARY,
            order=BEGIN,  # behind the kernel that sets ``fraction``
        )
    )


def linked(program: Program, key: str, equations: str, names: dict[str, str]) -> Program:
    """Return a copy in which neurons read variables of the protocol.

    Parameters
    ----------
    program : Program
        With the group and the protocol.
    key : str
        The group.
    equations : str
        One line ``name : unit`` for each variable of the group, without flags; those that the
        group has already are left.
    names : dict
        Variable of the group -> variable of the protocol.
    """
    group = program.groups[key]
    known = parsed(key, group.equations).names
    lines = [
        f"{line} (linked)" for line in equations.splitlines() if line.split(" :")[0] not in known
    ]
    links = {name: f"{program.protocol}.{target}" for name, target in names.items()}
    return program.with_group(
        attrs.evolve(
            group,
            equations="\n".join([group.equations, *lines]),
            links={**group.links, **links},
        )
    )
