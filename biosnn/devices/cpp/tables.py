"""C++ tables that tell ``biosnn.cpp`` where a generated network keeps its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.variables import DynamicArrayVariable

from biosnn.devices.base.brian2_objects import Built
from biosnn.devices.base.contract import SPIKE_BYTES, SPIKE_FILES
from biosnn.program.interface import Interface

_PROTOCOL = (
    "sample", "attempt", "pending", "step", "seed", "epoch", "first_sample", "learning",
    "n_watch", "horizon",
)  # fmt: skip


class Tables:
    """C++ expressions for the arrays of Brian2 objects.

    Parameters
    ----------
    device : CPPStandaloneDevice
        It knows the arrays' names.
    """

    def __init__(self, device: Any):
        self._device = device

    def name(self, variable: Any) -> str:
        """Name of an array."""
        return "brian::" + self._device.get_array_name(variable, access_data=False)

    def array(self, owner: Any, name: str) -> str:
        """Initialiser of an ``Array``."""
        variable = owner.variables[name]
        kind = np.dtype(variable.dtype).str[1:]
        array = self.name(variable)
        if isinstance(variable, DynamicArrayVariable):
            return f'{{{array}.data(), "{kind}", {array}.size()}}'
        return f'{{{array}, "{kind}", {int(np.prod(variable.size))}}}'

    def number(self, variable: Any, n: int) -> list[str]:
        """Statements that set an array of one number."""
        return [f"{self.name(variable)}[0] = {n};"]

    def resize(self, variable: Any, n: int) -> list[str]:
        """Statements that make room in a dynamic array."""
        return [f"{self.name(variable)}.resize({n});"]

    def visit(self, key: str, owner: Any, name: str, rows: str) -> str:
        """Statements that hand over a monitor's one- or two-dimensional array."""
        variable = owner.variables[name]
        array, item = self.name(variable), f"sizeof({c_data_type(variable.dtype)})"
        if variable.ndim == 1:
            return f'write("{key}", {array}.data(), {rows} * {item});'
        return (
            f'write("{key}", nullptr, 0); for (size_t k = 0; k < {rows}; k++) '
            f'write("{key}", &{array}(k, 0), {array}.m * {item});'
        )

    def monitors(self, built: Built) -> str:
        """What Brian2's monitors hold, and how to empty them."""
        visits, sizes, clears = [], ["0"], []
        for key, monitor in built.spike_monitors.items():
            rows = f"{self.name(monitor.variables['i'])}.size()"
            for name in SPIKE_FILES:
                visits.append(self.visit(f"spikes.{key}.{name}", monitor, name, rows))
            recorded = sorted(monitor.record_variables)
            sizes.append(f"{rows} * {SPIKE_BYTES}")
            clears += [f"{self.name(monitor.variables[name])}.clear();" for name in recorded]
            clears.append(f"{self.name(monitor.variables['N'])}[0] = 0;")
        for key, monitor in built.state_monitors.items():
            rows = f"{self.name(monitor.variables['t'])}.size()"
            variable = key.partition(".")[2]
            visits.append(self.visit(f"trace.{key}.t", monitor, "t", rows))
            visits.append(self.visit(f"trace.{key}.values", monitor, variable, rows))
            item = np.dtype(monitor.variables[variable].dtype).itemsize * len(monitor.record) + 8
            sizes.append(f"{rows} * {item}")
            # Rows of values are overwritten when they are counted anew.
            clears += [
                f"{self.name(monitor.variables['t'])}.clear();",
                f"{self.name(monitor.variables['N'])}[0] = 0;",
            ]
        return f"""size_t monitored_bytes() {{ return {" + ".join(sizes)}; }}
void monitored_visit(Write write) {{ {" ".join(visits)} }}
void monitored_clear() {{ {" ".join(clears)} }}
void step_begins() {{}}
void step_ends() {{}}"""


def source(
    described: Interface,
    built: Built,
    finishing: list[str],
    functions: Mapping[str, str],
    tables: Tables,
) -> str:
    """The generated counterpart of ``biosnn.h``.

    Parameters
    ----------
    described, built
        The interface and the Brian2 objects of a program.
    finishing : list of str
        Names of the code that finishes a presentation.
    functions : mapping
        Name of a piece of code -> the call into ``biosnn.cpp`` that it consists of.
    tables : Tables
        Names of arrays.
    """
    unit = built.groups[built.program.protocol]
    protocol = [tables.array(unit, name) for name in _PROTOCOL]
    arrays = built.program.arrays
    recorders = [
        f'{{"{name}", {tables.array(built.owner(arrays[name]), arrays[name].name)}, '
        f"{built.copies(arrays[name])}, {column.every}}}"
        for name, column in (*described.per_sample.items(), *described.snapshots.items())
    ]
    calls = "\n".join(f"void _run_{name}() {{ {call}; }}" for name, call in functions.items())
    return f"""
namespace biosnn {{
extern const std::vector<std::string> border_objects = {listed(f'"{name}"' for name in finishing)};
extern const int64_t steps_per_presentation = {described.steps_per_presentation};
extern const double time_step = {described.dt!r};
extern const std::string counted_recorder = "{described.counted}";
extern const int64_t replicas = {described.replicas}, stride = {built.program.replicas.stride};
std::vector<Variable> state_table() {{ return {listed(_state(described, built, tables))}; }}
std::vector<Channel> channel_table() {{
    return {listed(_channels(described, built, tables))};
}}
std::vector<Recorder> recorder_table() {{ return {listed(recorders)}; }}
Protocol protocol_arrays() {{ return {listed(protocol)}; }}
{tables.monitors(built)}
}}
{calls}
"""


def listed(items: Any) -> str:
    """Initialiser of a list."""
    return "{" + ", ".join(items) + "}"


def _state(described: Interface, built: Built, tables: Tables) -> list[str]:
    entries = []
    for variable in described.variables:
        check = "-"
        if variable.dtype[1] == "f" and not variable.infinite:
            check = "c" if variable.role == "weight" else "s"
        kept = built.program.arrays[variable.name]
        array, copies = tables.array(built.owner(kept), kept.name), built.copies(kept)
        clock = "true" if kept.clock_time else "false"
        entries.append(f"{{\"{variable.name}\", {array}, {copies}, '{check}', {clock}}}")
    return entries


def _channels(described: Interface, built: Built, tables: Tables) -> list[str]:
    entries = []
    for kernel in built.program.kernels:
        if kernel.kind != "load":
            continue
        name, port = kernel.owner, described.ports[kernel.owner]
        arrays = [built.program.arrays[target] for target in kernel.targets]
        targets = [tables.array(built.owner(array), array.name) for array in arrays]
        entries.append(
            f'{{"{name}", "{port.kind}", {port.features}, {port.frame_steps}, {port.absent!r}, '
            f"{listed(targets)}}}"
        )
    return entries
