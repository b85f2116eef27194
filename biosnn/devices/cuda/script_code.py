"""Code generation for CUDA of networks of scripts that are shown samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
from brian2 import NeuronGroup, second

from biosnn.devices.base.artifact import write_states
from biosnn.devices.base.brian2_functions import draw_functions
from biosnn.devices.base.free_description import recorded_by, sampled_interface, sampled_state
from biosnn.devices.base.free_objects import FreeObjects, build_free
from biosnn.devices.cpp.code_generation import code_names, network_lines
from biosnn.devices.cpp.free_code import Code, sample_tables
from biosnn.devices.cpp.tables import listed
from biosnn.devices.cuda.brian2cuda_patches import write_library, write_units
from biosnn.devices.cuda.tables import CudaTables, recorder_bytes
from biosnn.program.layout import interface_of
from biosnn.program.passes.script_on_gpu import ATTEMPT, COUNT, KEY
from biosnn.program.program import Program

#: The runtime library in a project: name there -> package and name here.
_LIBRARY = {
    "network.h": ("cpp", "script_network.h"),
    "loop.h": ("cpp", "loop.h"),
    "memory.h": ("cpp", "memory.h"),
    "biosnn.h": ("cpp", "biosnn.h"),
    "biosnn.cpp": ("cpp", "biosnn.cpp"),
    "script_network.h": ("cpp", "script_network.h"),
    "script_network.cpp": ("cpp", "script_network.cpp"),
    "gpu.h": ("cuda", "gpu.h"),
    "memory.cu": ("cuda", "memory.cu"),
    "recorders.cu": ("cuda", "recorders.cu"),
}
_PROGRAM = (
    "objects.cu", "memory.cu", "recorders.cu", "biosnn.cpp", "script_network.cpp", "generated.cu",
    "rand.cu", "run.cu", "main.cu",
)  # fmt: skip


class _Code(Code):
    """On a GPU neurons count their spikes, and Brian2CUDA keeps several lists of events."""

    def array(self, full_name: str) -> str:
        owner, _, name = full_name.partition(".")
        variable = self.built.owners[owner].variables[name]
        if _is_list(name):
            size = int(np.prod(variable.size))
            return f'{{memory::allocate({4 * size}), "i4", {size}}}'
        return super().array(full_name)

    def count(self, key: str) -> str:
        return self.array(f"{key}.{COUNT}")

    def counts(self) -> list[str]:
        assert self.built.program.samples is not None
        return [self.count(key) for key in self.built.program.samples.counted]


def _is_list(name: str) -> bool:
    """Whether a variable holds the last events of a group."""
    return name.startswith("_") and name.endswith("space")


def _neurons(built: FreeObjects) -> dict[str, Any]:
    return {key: made for key, made in built.owners.items() if isinstance(made, NeuronGroup)}


def _pending(built: FreeObjects, tables: CudaTables) -> str:
    """Empty all lists of events."""
    lines = []
    for group in _neurons(built).values():
        for name, variable in group.variables.items():
            if _is_list(name):
                array = tables.name(variable).replace("brian::", "brian::dev")
                n = len(group)
                lines.append(
                    f"for (int32_t *list : {array}) {{ checked(cudaMemset(list, 0xff, {4 * n})); "
                    f"checked(cudaMemset(list + {n}, 0, 4)); }}"
                )
    return f"void clear_pending() {{ {' '.join(lines)} }}"


def _draws(built: FreeObjects, tables: CudaTables) -> str:
    """Tell groups what their random numbers follow from."""
    owners = {a.owner for a in built.program.arrays.values() if a.name == KEY}
    keys, attempts = (
        listed(tables.array(built.owners[key], name) for key in sorted(owners))
        for name in (KEY, ATTEMPT)
    )
    return f"""void begin_draws(uint32_t seed, int32_t attempt) {{
    for (const Array &key : std::vector<Array>{keys}) memory::write(key, 0, 1, &seed);
    for (const Array &own : std::vector<Array>{attempts}) memory::write(own, 0, 1, &attempt);
}}"""


def _with_draws(program: Program) -> Program:
    groups = {
        key: attrs.evolve(group, constants={**group.constants, **draw_functions()})
        for key, group in program.groups.items()
    }
    return program.changed(groups=groups)


def write_script(program: Program, single: bool, device: Any, heap: int, out: Path) -> None:
    """Write the program of a script and what is known of it.

    Parameters
    ----------
    program : Program
        As :func:`biosnn.program.passes.script_on_gpu.on_gpu` returns it.
    single : bool
        Whether it is in single precision.
    device : CUDAStandaloneDevice
        Brian2CUDA's device, ready to write.
    heap : int
        MiB of the GPU's heap.
    out : Path
        As for :func:`biosnn.devices.cuda.code_generation.generate`.
    """
    built = build_free(_with_draws(program), single_precision=single)
    monitors = {name: built.monitors[name] for name in program.monitors}
    kinds = {name: made.kind for name, made in program.monitors.items()}
    spikes = {name: made for name, made in monitors.items() if kinds[name] == "events"}
    traces = {
        f"{name}.{program.monitors[name].variables[0]}": made
        for name, made in monitors.items()
        if kinds[name] == "state"
    }
    for made in spikes.values():
        made.template = "record_spikes"
    for made in traces.values():
        made.template = "record_values"
    built.net.run(program.dt * second, namespace={})
    for kind, arguments in device.main_queue:
        if kind == "run_network":
            arguments[1][:] = network_lines(arguments[0], device.code_lines)
    tables = CudaTables(device)
    project = out / "source"
    device.build(directory=str(project), compile=False, run=False, with_output=False)
    write_library(project, _LIBRARY)
    recorded = recorded_by(built)
    face = sampled_interface(interface_of(program, single_precision=single), program, recorded)
    face = attrs.evolve(face, ordered=False)
    recorders: Any = SimpleNamespace(spike_monitors=spikes, state_monitors=traces)
    more = [tables.monitors(recorders), _pending(built, tables), _draws(built, tables)]
    more.append("std::vector<Stamps> stamps;")
    code = _Code(built=built, tables=tables, recorded=recorded)
    generated = sample_tables(code, face, 0, "\n".join(more))
    header, flags = tables.fired([])
    (project / "fired.h").write_text(header)
    (project / "generated.cu").write_text(
        f'#include "biosnn.h"\n#include "gpu.h"\n#include "network.h"\n{generated}\n'
        f"namespace biosnn {{\n{flags}\n}}\n"
    )
    before = {
        name: tables.next_list(group.variables[f"_{event}space"])
        for group in _neurons(built).values()
        for event, thresholder in group.thresholder.items()
        for name in code_names([thresholder])
    }
    files = write_units(project, "clock_0", before, _PROGRAM)
    shutil.move(project / "static_arrays", out / "static_arrays")
    write_states(out / "state", face, [sampled_state(face, program)])
    found = {
        "interface": face.to_data(),
        "plastic": {key: [key] for key in program.plastic},
        "seeds": True,
        "sources": files,
        "gpu_bytes": {"heap": heap * 2**20, **recorder_bytes(recorders)},
    }
    (out / "generated.json").write_text(json.dumps(found))
