"""CUDA code of declared networks, written by ``python -m biosnn._gpu.codegen FOLDER [FOLDER ...]``.

brian2cuda changes Brian2's global state when it is imported, so this runs in a process of its own.
Every FOLDER holds a request (see :mod:`biosnn._gpu.project`) and gets the generated project, or
the file ``refused`` with the reason why there is none.
"""

from __future__ import annotations

import gc
import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import BrianObject, Clock, SpikeMonitor, TimedArray, prefs
from brian2.devices.device import get_device, set_device
from brian2.units.fundamentalunits import Quantity

from biosnn._gpu.unit import write_makefile, write_units
from biosnn.declaration import from_data
from biosnn.devices.build import Built, build
from biosnn.devices.interface import default_state, interface
from biosnn.devices.ports import ports
from biosnn.devices.protocol import EVENTS, FRAME, LOAD
from biosnn.devices.record import Record
from biosnn.networks import NetworkModel

NVCC_FLAGS = {
    "fast": ["-w", "-O3", "-use_fast_math"],
    "strict": ["-w", "-O3", "-fmad=false"],
}
_ORDERS = {"static": LOAD, "sequence": FRAME, "events": EVENTS}


class _Hooks:
    """Places in the schedule without code: samples come out of timed arrays, see ``_play``."""

    def __init__(self) -> None:
        self.clocks: dict[str, Clock] = {}

    def load(self, channel: str, clock: Clock, order: int) -> BrianObject:
        """See :class:`biosnn.devices.build.Hooks`."""
        self.clocks[channel] = clock
        return BrianObject(clock=clock, when="start", order=order, name=f"load_{channel}")

    def store(self, clock: Clock, order: int) -> BrianObject:
        """Nothing: spikes and the last state are what a project gives back."""
        return BrianObject(clock=clock, when="start", order=order, name="store")

    def snapshot(self, clock: Clock, order: int) -> None:
        """Nothing, as above."""


def _play(network: NetworkModel, built: Built, hooks: _Hooks, arrays: dict[str, Any]) -> None:
    """Have every driven variable follow its samples, which are part of the program."""
    targets = [
        (channel, built.groups[key], variable)
        for key, population in network.populations.items()
        for variable, channel in population.drives.items()
    ]
    targets.append(("intensity", built.groups["protocol"], "sample_intensity"))
    known = ports(network)
    for channel, group, variable in targets:
        name, clock = f"samples_{group.name}_{variable}", hooks.clocks[channel]
        dim = group.variables[variable].dim
        values = Quantity(arrays[channel].astype(np.float64), dim=dim)
        group.namespace[name] = TimedArray(values, dt=clock.dt, name=name)
        group.run_regularly(
            f"{variable} = {name}(t, i)",
            clock=clock,
            when="start",
            order=_ORDERS[known[channel].kind],
            name=f"{group.name}_load_{variable}",
        )


def _start(built: Built, state: dict[str, np.ndarray], settings: dict[str, Any]) -> None:
    """Set the state and the protocol's numbers before the run."""
    protocol = built.groups["protocol"]
    for name in ("seed", "epoch", "first_sample", "horizon"):
        setattr(protocol, name, settings[name])
    protocol.learning = int(bool(settings["learning"]))
    for name, values in state.items():
        owner, variable = built.variables[name]
        view = getattr(owner, f"{variable}_")
        view[:] = values.astype(owner.variables[variable].dtype)


def _switch_off(built: Built, learning: list[str]) -> None:
    """Leave out what belongs to projections that do not learn."""
    wanted = {o.name for key in learning for o in built.plastic[key]}
    for targets in built.plastic.values():
        for target in targets:
            target.active = target.name in wanted


def _preferences(request: dict[str, Any]) -> None:
    cuda = prefs.devices.cuda_standalone.cuda_backend
    cuda.detect_gpus = False
    cuda.detect_cuda = False
    cuda.gpu_id = 0
    cuda.cuda_path = "."  # our makefile says where nvcc is
    cuda.cuda_runtime_version = float(request["cuda_version"])
    cuda.compute_capability = float(request["compute_capability"])
    cuda.extra_compile_args_nvcc = list(NVCC_FLAGS[request["math"]])
    # Its makefile asks for C++11, which the headers of CUDA 13 refuse.
    prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-std=c++17"]
    prefs.codegen.cpp.extra_compile_args = []
    single = request["precision"] == "single"
    prefs.core.default_float_dtype = np.float32 if single else np.float64


def generate(folder: Path) -> None:
    """Write the project that a folder asks for.

    Parameters
    ----------
    folder : Path
        It holds ``request.json`` and ``arrays.npz``.
    """
    request = json.loads((folder / "request.json").read_text())
    with np.load(folder / "arrays.npz") as stored:
        arrays = dict(stored)
    network: NetworkModel = from_data(request["network"])
    single, n = request["precision"] == "single", request["settings"]["n"]
    _preferences(request)
    device = get_device()
    hooks = _Hooks()
    record = Record()
    built = build(network, record, hooks, single_precision=single)
    described = interface(network, record, built, single_precision=single)
    samples = {key[8:]: value for key, value in arrays.items() if key.startswith("samples.")}
    _play(network, built, hooks, samples)
    given = {key[6:]: value for key, value in arrays.items() if key.startswith("state.")}
    state = {**default_state(network, described), **given}
    _start(built, state, request["settings"])
    _switch_off(built, request["settings"]["learning"])
    monitors = {
        key: SpikeMonitor(built.groups[key], name=f"{key}_spikes") for key in request["spikes"]
    }
    built.net.add(*monitors.values())
    built.net.run(n * network.dt * network.steps_per_presentation, namespace={})
    border = [
        code.name for target in built.border if target.active for code in target._code_objects
    ]
    # The last presentation ends after the last step.
    device.insert_code("main", "\n".join(f"_run_{name}();" for name in border))
    project = folder / "project"
    device.build(directory=str(project), compile=False, run=False, with_output=False)
    files = write_units(project, "step_clock")
    write_makefile(project, files, request["compute_capability"], NVCC_FLAGS[request["math"]])

    def result(owner: Any, name: str) -> dict[str, str]:
        variable = owner.variables[name]
        file = Path(device.get_array_filename(variable)).name
        return {"file": file, "dtype": np.dtype(variable.dtype).str}

    manifest = {
        "spikes": {
            key: {name: result(monitor, name) for name in ("i", "t")}
            for key, monitor in monitors.items()
        },
        "state": {name: result(*owner) for name, owner in built.variables.items()},
        "code_objects": len(device.code_objects),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _main(folders: list[str]) -> None:
    import brian2cuda  # noqa: F401  (registers its device)

    for folder in map(Path, folders):
        set_device("cuda_standalone", build_on_run=False)
        try:
            generate(folder)
        except Exception as error:  # whatever it is, its cause comes last
            traceback.print_exc()
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            (folder / "refused").write_text(f"{type(cause).__name__}: {cause}")
        get_device().reinit()
        gc.collect()


if __name__ == "__main__":
    _main(sys.argv[1:])
