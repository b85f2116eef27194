"""C++ tables that tell a CUDA program where its arrays are, on the GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from brian2.core.variables import DynamicArrayVariable

from biosnn.devices.base.brian2_objects import Built
from biosnn.devices.cpp.tables import Tables

#: Recorded spikes that the GPU holds at least, before they are fetched.
_FEWEST_SPIKES = 2**20
#: Bytes of recorded values that the GPU holds, before they are fetched.
_TRACE_BYTES = 2**24
_SPIKE_BYTES = 8


class CudaTables(Tables):
    """C++ expressions for arrays on the GPU."""

    def array(self, owner: Any, name: str) -> str:
        """See :class:`Tables`; the pointer is the GPU's."""
        variable = owner.variables[name]
        kind = np.dtype(variable.dtype).str[1:]
        array = self.name(variable).replace("brian::", "brian::dev")
        if isinstance(variable, DynamicArrayVariable):
            pointer = f"thrust::raw_pointer_cast({array}.data())"
            return f'{{{pointer}, "{kind}", {array}.size()}}'
        return f'{{{array}, "{kind}", {int(np.prod(variable.size))}}}'

    def number(self, variable: Any, n: int) -> list[str]:
        """See :class:`Tables`; here and on the GPU."""
        name = self.name(variable)
        on_gpu = name.replace("brian::", "brian::dev")
        copied = f"cudaMemcpy({on_gpu}, {name}, sizeof(*{name}), cudaMemcpyHostToDevice)"
        return [*super().number(variable, n), f"CUDA_SAFE_CALL({copied});"]

    def resize(self, variable: Any, n: int) -> list[str]:
        """See :class:`Tables`; here and on the GPU."""
        name = self.name(variable)
        on_gpu = name.replace("brian::", "brian::dev")
        return [f"{name}.resize({n});", f"THRUST_CHECK_ERROR({on_gpu}.resize({n}));"]

    def monitors(self, built: Built) -> str:
        """The buffers that recorders fill; see ``recorders.cu``."""
        spikes = (
            f'{{"{key}", "{monitor.name}", {len(monitor.source)}, {capacity}}}'
            for (key, monitor), capacity in zip(
                built.spike_monitors.items(), spike_capacities(built), strict=True
            )
        )
        traces = (
            f'{{"{key}", "{monitor.name}", {width}, {item}, {rows}}}'
            for key, monitor in built.state_monitors.items()
            for width, item, rows in [_trace(key, monitor)]
        )
        return f"""std::vector<SpikeSource> spike_table() {{ return {{{", ".join(spikes)}}}; }}
std::vector<TraceSource> trace_table() {{ return {{{", ".join(traces)}}}; }}"""

    def fired(self, sources: Iterable[Any]) -> tuple[str, str]:
        """Declarations and definitions of the flags of events that have pathways of ours."""
        names = {f"fired{self.name(v).removeprefix('brian::')}": v.size - 1 for v in sources}
        declared = "".join(f"extern unsigned char *{name};\n" for name in names)
        defined = "".join(f"unsigned char *{name} = nullptr;\n" for name in names)
        table = ", ".join(f"{{&{name}, {size}}}" for name, size in names.items())
        header = (
            f"#ifndef BIOSNN_FIRED_H\n#define BIOSNN_FIRED_H\n"
            f"namespace biosnn {{\n{declared}}}\n#endif\n"
        )
        return header, (
            f"{defined}std::vector<std::pair<unsigned char **, size_t>> fired_table() "
            f"{{ return {{{table}}}; }}"
        )

    def next_list(self, variable: Any) -> str:
        """Statement that goes on to the next of Brian2CUDA's lists of an event.

        They take turns where uniform delays have to pass. What reads events before they are
        tested for gets those of the step before, so this is done just before the test.
        """
        name = self.name(variable).removeprefix("brian::")
        index = f"brian::current_idx{name}"
        return f"{index} = ({index} + 1) % brian::dev{name}.size();"


def spike_capacities(built: Built) -> list[int]:
    """How many spikes of each recorded population the GPU holds."""
    return [max(_FEWEST_SPIKES, 16 * len(m.source)) for m in built.spike_monitors.values()]


def recorder_bytes(built: Built) -> dict[str, int]:
    """Recorder -> bytes of the GPU's memory that its buffer takes."""
    capacities = spike_capacities(built)
    found = {
        f"spikes.{key}": _SPIKE_BYTES * capacity
        for key, capacity in zip(built.spike_monitors, capacities, strict=True)
    }
    for key, monitor in built.state_monitors.items():
        found[f"traces.{key}"] = int(np.prod(_trace(key, monitor)))
    return found


def _trace(key: str, monitor: Any) -> tuple[int, int, int]:
    """Values per row, bytes per value, and rows of a recorder's buffer."""
    width = len(monitor.record)
    item = np.dtype(monitor.variables[key.partition(".")[2]].dtype).itemsize
    return width, item, max(_TRACE_BYTES // (width * item), 1)
