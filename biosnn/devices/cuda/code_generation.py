"""Code generation for CUDA, run as ``python -m biosnn.devices.cuda.code_generation REQUEST OUT``.

Brian2CUDA changes Brian2's global state when it is imported, so this runs in a process of its
own. ``REQUEST`` is a JSON file with the program and its precision. The code, the network's
interface and its state before a run are written to the folder ``OUT``.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
from brian2 import NeuronGroup, prefs, second
from brian2.core.variables import ArrayVariable
from brian2.devices.device import all_devices, get_device, set_device
from brian2cuda.codeobject import CUDAStandaloneCodeObject
from brian2cuda.device import CUDAStandaloneDevice

from biosnn.devices.base.brian2_functions import divide_in_double
from biosnn.devices.base.brian2_objects import Built, build
from biosnn.devices.cpp.code_generation import Call, CallHooks, Loops, code_names, main, n_values
from biosnn.devices.cpp.tables import source
from biosnn.devices.cuda.brian2cuda_patches import write_library, write_units
from biosnn.devices.cuda.script_code import write_script
from biosnn.devices.cuda.tables import CudaTables, recorder_bytes
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.layout import default_state, interface_of
from biosnn.program.program import Program

#: What a block of threads shares: so many words of flags, and so many threads work on them.
_WORDS, _THREADS = 1024, 128
#: MiB of heap that every program has, and Hz at which neurons spike at most for long.
_HEAP, _FASTEST = 64, 500.0
#: The runtime library in a project: name there -> device and name here.
_OURS = {
    **{
        name: ("cpp", name)
        for name in ("network.h", "network.cpp", "memory.h", "biosnn.h", "biosnn.cpp")
    },
    **{name: ("cuda", name) for name in ("gpu.h", "memory.cu", "recorders.cu")},
}


@attrs.frozen
class _CudaCall(Call):
    """What Brian2CUDA looks at in a code object: it draws no random numbers."""

    template_name: str = ""
    code: Any = attrs.field(factory=lambda: SimpleNamespace(cu_file=""))
    variables: dict[str, Any] = attrs.field(factory=dict)
    rng_calls: dict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    poisson_lamdas: dict[str, float] = attrs.field(factory=dict)
    needs_curand_states: bool = False


class _CudaHooks(CallHooks):
    call = _CudaCall


class _Device(CUDAStandaloneDevice):
    """Brian2CUDA's device, with templates of ours."""

    def code_object(
        self,
        owner: Any,
        name: str,
        abstract_code: dict[str, str],
        variables: dict[str, Any],
        template_name: str,
        variable_indices: dict[str, str],
        codeobj_class: Any = None,
        template_kwds: dict[str, Any] | None = None,
        override_conditional_write: Any = None,
        compiler_kwds: Any = None,
    ) -> Any:
        more = dict(template_kwds or {})
        if isinstance(owner, NeuronGroup) and len(owner) > 1:
            _, written = self.get_array_read_write(abstract_code, variables)
            _check_own(owner.name, {key for key in written if variable_indices[key] != "_idx"})
        if template_name == "threshold_flags":
            more["extra_threshold_kernel"] = True
        if template_name == "synapses_loops":
            read, written = self.get_array_read_write(abstract_code, variables)
            sides = {variable_indices[name] for name in written}
            if _meet(read, written, variables, variable_indices):
                sides.add("0")
            more |= {
                "changes": _changes(more["pathway"].prepost, sides),
                "words": _WORDS,
                "threads": _THREADS,
            }
        return super().code_object(
            owner,
            name,
            abstract_code,
            variables,
            template_name,
            variable_indices,
            codeobj_class=codeobj_class,
            template_kwds=more,
            override_conditional_write=override_conditional_write,
            compiler_kwds=compiler_kwds,
        )


def _check_own(population: str, foreign: set[str]) -> None:
    """Refuse that many threads change one number, each as if it were alone."""
    if foreign:
        raise DeviceError(
            f"neurons of {population!r} change {sorted(foreign)[0]}, which is linked to another "
            "population: on a GPU they would do so at the same time. Send it there by a projection"
        )


def _changes(prepost: str, written: set[str]) -> str:
    """On which side of a synapse a pathway changes neurons: that of its events, or the other."""
    sides = {
        side
        for side, index in (("pre", "_presynaptic_idx"), ("post", "_postsynaptic_idx"))
        if index in written
    }
    if len(sides) == 2 or "0" in written:
        return "both"
    return "source" if prepost in sides else "target"


def _meet(
    read: set[str], written: set[str], variables: dict[str, Any], indices: dict[str, str]
) -> bool:
    """Whether neurons that are both source and target change what others of them read.

    Brian2 has one variable for both sides then, by two names.
    """
    return any(
        variables[one].owner is variables[other].owner
        and variables[one].name == variables[other].name
        and indices[one] != indices[other]
        for one in written
        for other in read | written
    )


def _ours(built: Built, loops: Loops) -> list[ArrayVariable]:
    """Have our templates used; the lists of events that need flags."""
    for monitor in built.spike_monitors.values():
        monitor.template = "record_spikes"
    for monitor in built.state_monitors.values():
        monitor.template = "record_values"
    flagged: dict[str, ArrayVariable] = {}
    for pathway in loops.pathways:
        variable = pathway.source.variables[pathway.eventspace_name]
        flagged[f"{pathway.source.name}.{variable.name}"] = variable
    for group in built.groups.values():
        for runner in group.contained_objects:
            events = (getattr(runner, "template_kwds", None) or {}).get("eventspace_variable")
            made = getattr(runner, "template", "") == "threshold"
            if made and events is not None and f"{group.name}.{events.name}" in flagged:
                runner.template = "threshold_flags"
    return list(flagged.values())


def _ordered(built: Built) -> bool:
    """Whether no two threads add to one number."""
    return all(o.pattern and not o.summed_updaters for o in built.synapses.values())


def _before_tests(built: Built, tables: CudaTables) -> dict[str, str]:
    """Code that tests for an event -> what comes before it."""
    return {
        name: tables.next_list(group.variables[f"_{event}space"])
        for group in built.groups.values()
        for event, thresholder in group.thresholder.items()
        for name in code_names([thresholder])
    }


def _heap(program: Program) -> int:
    """MiB of the GPU's heap: Brian2CUDA's queues of spikes with different delays grow in it.

    A synapse has one entry per spike that is under way, at `_FASTEST` at most for long, in
    lists that double when they are full.
    """
    entries = 0.0
    for made in program.connections.values():
        if made.delay_steps is not None:
            longest = float(np.max(made.delay_steps, initial=0)) * program.dt
            entries += made.size * program.replicas.n * (1 + longest * _FASTEST)
    return _HEAP + int(2 * 4 * entries / 2**20)


def _preferences(single: bool, heap: int) -> None:
    cuda = prefs.devices.cuda_standalone.cuda_backend
    cuda.detect_gpus = False
    cuda.detect_cuda = False
    cuda.gpu_id = 0
    cuda.gpu_heap_size = heap
    cuda.cuda_path = "."  # our makefile says where nvcc is, and for which GPU
    cuda.cuda_runtime_version = 13.0
    cuda.compute_capability = 9.0
    prefs.codegen.cpp.extra_compile_args_gcc = ["-w"]
    prefs.codegen.cpp.extra_compile_args = []
    prefs.core.default_float_dtype = np.float32 if single else np.float64


def _check_size(built: Built) -> None:
    """Refuse what does not fit into the numbers that kernels count with."""
    program = built.program
    for name, number, most in (
        ("copies of a network in one program", program.replicas.n, 65535),
        *(
            (f"synapses of {key!r} in all copies", n_values(made), 2**31 - 1)
            for key, made in built.synapses.items()
            if made.pattern
        ),
    ):
        if number > most:
            raise ParameterError(
                program.name, name, number, f"at most {most} on a GPU", "Use fewer copies at once"
            )


def _begin(request: dict[str, Any]) -> tuple[Program, bool, Any, int]:
    """The program of a request, whether it is in single precision, a device, and MiB of heap."""
    program = Program.from_data(request["program"])
    single = request["precision"] == "single"
    all_devices["biosnn_cuda"] = _Device()
    set_device("biosnn_cuda", build_on_run=False)
    device = get_device()
    heap = _heap(program)
    _preferences(single, heap)
    if not single:
        divide_in_double()
    templater = CUDAStandaloneCodeObject.templater.derive("biosnn.devices.cuda")
    CUDAStandaloneCodeObject.templater = templater
    device.run_args_applied = True  # ours are read by biosnn.cpp
    device.insert_code("before_start", "biosnn::configure(argc, argv);")
    for call in ("biosnn::prepare_recorders();", "biosnn::load_state();"):
        device.insert_code("before_network_run", call)
    device.insert_code("after_network_run", "CUDA_SAFE_CALL(cudaDeviceSynchronize());")
    # Thrust's global vectors must not outlive CUDA: nothing is taken down one by one.
    device.insert_code("before_end", "std::_Exit(biosnn::finish());")
    device.headers.append('"biosnn.h"')
    device.headers.append('"gpu.h"')
    return program, single, device, heap


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the program of a request and what is known of it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    out : Path
        An existing folder. It gets ``source/`` with the program, ``static_arrays/``, ``state``
        and ``generated.json``.
    """
    program, single, device, heap = _begin(request)
    if program.free_running:
        write_script(program, single, device, heap, out)
        return
    hooks = _CudaHooks()
    built = build(program, hooks, single_precision=single)
    loops = Loops(built)
    _check_size(built)
    flagged = _ours(built, loops)
    built.net.run(program.dt * program.steps_per_presentation * second, namespace={})
    tables = CudaTables(device)
    loops.edit(device, tables)
    project = out / "source"
    device.build(directory=str(project), compile=False, run=False, with_output=False)
    write_library(project, _OURS)
    described = attrs.evolve(
        interface_of(program, single_precision=single), ordered=_ordered(built)
    )
    finishing = code_names(built.finishing)
    generated = source(described, built, finishing, hooks.functions, tables)
    header, flags = tables.fired(flagged)
    (project / "fired.h").write_text(header)
    (project / "generated.cu").write_text(
        f'#include "biosnn.h"\n#include "gpu.h"\n#include "network.h"\n{generated}\n'
        f"namespace biosnn {{\n{flags}\n}}\n"
    )
    files = write_units(project, "step_clock", _before_tests(built, tables))
    shutil.move(project / "static_arrays", out / "static_arrays")
    with (out / "state").open("wb") as file:
        for array in default_state(described, program).values():
            file.write(array)
    found = {
        "interface": described.to_data(),
        "plastic": {key: code_names(targets) for key, targets in built.plastic.items()},
        "sources": files,
        "gpu_bytes": {"heap": heap * 2**20, **recorder_bytes(built)},
    }
    (out / "generated.json").write_text(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main(generate, *sys.argv[1:]))
