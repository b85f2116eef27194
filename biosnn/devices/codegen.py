"""Code generation for the C++ device, run as ``python -m biosnn.devices.codegen REQUEST OUT``.

It runs in a process of its own because Brian2's device, preferences and names are global: the
user's other Brian2 code never notices. ``REQUEST`` is a JSON file with the declaration; the
project, as one translation unit, and its manifest are written to the folder ``OUT``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import BrianObject, Clock, prefs
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.variables import DynamicArrayVariable
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import get_device, set_device

from biosnn.declaration import from_data
from biosnn.devices.build import Built, build
from biosnn.devices.record import Record, unit_name
from biosnn.networks import NetworkModel

_ADD = re.compile(r"^network\.add\(&(\w+), (\w+)\);$")
_INDEX = re.compile(r"= _ptr_array_\w+__synaptic_(pre|post)\[_idx\];")
_UNIT = "program.cpp"


@attrs.frozen
class _Call:
    """Stands for a code object of Brian2 whose function is written by us."""

    name: str

    def before_run(self) -> None:
        """Nothing to prepare."""

    def after_run(self) -> None:
        """Nothing to clean up."""


class _CppHooks:
    """Objects whose code is a call into ``biosnn.cpp``."""

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}

    def _object(self, name: str, call: str, clock: Clock, order: int) -> BrianObject:
        hook = BrianObject(clock=clock, when="start", order=order, name=name)
        hook._code_objects.append(_Call(name))
        self.functions[name] = call
        return hook

    def load(self, channel: str, clock: Clock, order: int) -> BrianObject:
        """See :class:`biosnn.devices.build.Hooks`."""
        call = f'biosnn::load_channel("{channel}")'
        return self._object(f"biosnn_load_{channel}", call, clock, order)

    def store(self, clock: Clock, order: int) -> BrianObject:
        """See :class:`biosnn.devices.build.Hooks`."""
        return self._object("biosnn_store", "biosnn::store_sample()", clock, order)


def _code_names(targets: list[BrianObject]) -> list[str]:
    return [codeobj.name for target in targets for codeobj in target._code_objects]


class _Tables:
    """C++ tables that tell ``biosnn.cpp`` where a network keeps its variables."""

    def __init__(self, device: Any):
        self.device = device

    def name(self, variable: Any) -> str:
        return "brian::" + self.device.get_array_name(variable, access_data=False)

    def pointer(self, variable: Any) -> str:
        dynamic = isinstance(variable, DynamicArrayVariable)
        return f"{self.name(variable)}.data()" if dynamic else self.name(variable)

    def array(self, owner: Any, name: str) -> str:
        variable = owner.variables[name]
        kind = np.dtype(variable.dtype).str[1:]
        return f'{{{self.pointer(variable)}, "{kind}", {int(np.prod(variable.size))}}}'

    def variable(self, key: str, owner: Any, name: str) -> str:
        variable = owner.variables[name]
        item = f"sizeof({c_data_type(variable.dtype)})"
        dynamic = isinstance(variable, DynamicArrayVariable)
        size = f"{self.name(variable)}.size()" if dynamic else str(variable.size)
        return f'{{"{key}", (char *){self.pointer(variable)}, {size} * {item}}}'

    def monitored(self, key: str, owner: Any, name: str) -> str:
        """Statement that lists the bytes of a monitor's one- or two-dimensional array."""
        variable = owner.variables[name]
        array, item = self.name(variable), f"sizeof({c_data_type(variable.dtype)})"
        if variable.ndim == 1:
            piece = f"{{(const char *){array}.data(), {array}.size() * {item}}}"
            pieces = f"m.pieces.push_back({piece});"
        else:
            pieces = (
                f"for (int k = 0; k < {array}.n; k++) "
                f"m.pieces.push_back({{(const char *)&{array}(k, 0), {array}.m * {item}}});"
            )
        return f'{{ biosnn::Monitored m; m.name = "{key}"; {pieces} all.push_back(m); }}'


def _table_source(
    network: NetworkModel, record: Record, built: Built, hooks: _CppHooks, device: Any
) -> str:
    """The generated counterpart of ``biosnn.h``."""
    tables = _Tables(device)
    groups = built.groups

    def listed(items: list[str]) -> str:
        return "{" + ", ".join(items) + "}"

    state = [tables.variable(key, *built.variables[key]) for key in sorted(built.variables)]
    channels = []
    for name, spec in network.inputs.items():
        targets = [
            tables.array(groups[key], variable)
            for key, population in network.populations.items()
            for variable, channel in population.drives.items()
            if channel == name
        ]
        frame = 0 if spec.frame is None else round(float(spec.frame / network.dt))
        channels.append(
            f'{{"{name}", {{"{spec.kind}", {spec.features}, {frame}, {listed(targets)}}}}}'
        )
    recorders = []
    for name in record.per_sample:
        key, _, variable = name.partition(".")
        recorders.append(f'{{"{name}", {tables.array(groups[key], variable)}}}')
    monitored = [
        tables.monitored(f"spikes.{key}.{name}", monitor, name)
        for key, monitor in built.spike_monitors.items()
        for name in ("i", "t_sample", "sample")
    ] + [
        tables.monitored(f"trace.{name}.{part}", monitor, variable)
        for name, monitor in built.state_monitors.items()
        for part, variable in (("t", "t"), ("values", name.partition(".")[2]))
    ]
    lastspikes = [
        tables.array(*built.variables[key]) for key in built.variables if key.endswith(".lastspike")
    ]
    fields = (
        "sample", "attempt", "pending", "step", "seed", "epoch", "first_sample", "learning",
        "n_watch", "horizon",
    )  # fmt: skip
    protocol = [tables.name(groups["protocol"].variables[name]) for name in fields]
    border = [f'"{name}"' for name in _code_names(built.border)]
    functions = "\n".join(
        f"void _run_{name}() {{ {call}; }}" for name, call in hooks.functions.items()
    )
    return f"""
namespace biosnn {{
extern const std::set<std::string> border_objects = {listed(border)};
extern const int64_t steps_per_presentation = {network.steps_per_presentation};
extern const double time_step = {float(network.dt)!r};
std::vector<Variable> state_table() {{ return {listed(state)}; }}
std::map<std::string, Channel> channel_table() {{ return {listed(channels)}; }}
std::vector<Recorder> recorder_table() {{ return {listed(recorders)}; }}
std::vector<Array> lastspike_table() {{ return {listed(lastspikes)}; }}
std::vector<Monitored> monitored_table() {{
    std::vector<Monitored> all;
    {" ".join(monitored)}
    return all;
}}
Pointers protocol_pointers() {{ return {listed(protocol)}; }}
}}
{functions}
"""


def _without_includes(text: str, *prefixes: str) -> str:
    lines = [
        line
        for line in text.splitlines()
        if not any(line.lstrip().startswith(f'#include "{prefix}') for prefix in prefixes)
    ]
    return "\n".join(lines)


def _use_dense_pathways(network: NetworkModel, built: Built) -> list[str]:
    """Give the pathways of full projections the dense template; names of their queues' code.

    None of biosnn's projections has delays; one that had could not be dense.
    """
    queues = []
    CPPStandaloneCodeObject.templater = CPPStandaloneCodeObject.templater.derive("biosnn.devices")
    for key, projection in network.projections.items():
        if projection.pairs != "all":
            continue
        for pathway in built.synapses[key]._pathways:
            pathway.template = "synapses_dense"
            queues.append(f"{pathway.name}_push_spikes")
    return queues


def _edited(lines: list[str], queues: list[str]) -> list[str]:
    """Main program lines with our loop, and without the queues of dense pathways."""
    unused = tuple(f"_run_{name}" for name in queues)
    edited = []
    for line in lines:
        added = _ADD.match(line)
        if added and not added[2].startswith(unused):
            edited.append(f'network.add(&{added[1]}, {added[2]}, "{added[2][5:]}");')
        elif line.startswith("network.run("):
            edited.append("biosnn::simulate(network);")
        elif not added:
            edited.append(line)
    return edited


def _one_unit(project: Path, tables: str) -> str:
    """All sources of a generated project as one translation unit.

    Brian2 repeats helper functions in every code object, so each gets a namespace of its own.
    """
    includes: dict[str, None] = {}
    bodies = []
    for number, path in enumerate(sorted((project / "code_objects").glob("*.cpp"))):
        lines = path.read_text().splitlines()
        includes.update(dict.fromkeys(line for line in lines if line.startswith("#include")))
        body = "\n".join(line for line in lines if not line.startswith("#include"))
        if "const int32_t _row" in body:
            body = _INDEX.sub(lambda m: f"= {'_row' if m[1] == 'pre' else '_column'};", body)
        functions = re.findall(r"^void (\w+)\(\)$", body, flags=re.MULTILINE)
        exports = "\n".join(f"using code_{number}::{name};" for name in functions)
        bodies.append(f"namespace code_{number} {{\n{body}\n}}\n{exports}")
    kept = [line for line in includes if "code_objects/" not in line]
    parts = [
        (project / "objects.cpp").read_text(),
        *kept,
        (project / "brianlib" / "spikequeue.cpp").read_text(),
        (project / "network.cpp").read_text(),
        (project / "biosnn.cpp").read_text(),
        tables,
        *bodies,
        _without_includes((project / "run.cpp").read_text(), "code_objects/"),
        _without_includes((project / "main.cpp").read_text(), "code_objects/"),
    ]
    return "\n".join(parts)


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the project of a request and its manifest.

    Parameters
    ----------
    request : dict
        ``network``, ``record`` (declarations as data) and ``precision``.
    out : Path
        An existing folder.
    """
    network: NetworkModel = from_data(request["network"])
    record = Record(**request["record"])
    single = request["precision"] == "single"
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    prefs.core.default_float_dtype = np.float32 if single else np.float64
    hooks = _CppHooks()
    built = build(network, record, hooks, single_precision=single)
    device.run_args_applied = True  # ours are read by biosnn.cpp
    device.insert_code("before_start", "biosnn::configure(argc, argv);")
    device.insert_code("before_network_run", "biosnn::load_state();")
    device.insert_code("before_end", "return biosnn::finish();")
    device.headers.append('"biosnn.h"')
    queues = _use_dense_pathways(network, built)
    built.net.run(network.dt * network.steps_per_presentation, namespace={})
    for kind, arguments in device.main_queue:
        if kind == "run_network":
            arguments[1][:] = _edited(arguments[1], queues)
    device.main_queue[:] = [
        (kind, arguments)
        for kind, arguments in device.main_queue
        if kind != "before_run_code_object"
        or not any(arguments[0].name.startswith(queue) for queue in queues)
    ]
    project = out / "project"
    project.mkdir()
    device.build(directory=str(project), compile=False, run=False, with_output=False)
    for name in ("network.h", "network.cpp", "biosnn.h", "biosnn.cpp"):
        source = resources.files("biosnn.devices") / "cpp" / name
        (project / name).write_text(source.read_text())
    unit = _one_unit(project, _table_source(network, record, built, hooks, device))
    (project / _UNIT).write_text(unit)
    n_synapses = {
        key: len(p.indices(network.populations[p.pre].n, network.populations[p.post].n)[0])
        for key, p in network.projections.items()
    }
    manifest = {
        "state": [
            {
                "name": key,
                "dtype": np.dtype(owner.variables[name].dtype).str,
                "size": n_synapses.get(key.partition(".")[0], owner.variables[name].size),
                "unit": unit_name(owner.variables[name].dim),
            }
            for key, (owner, name) in sorted(built.variables.items())
        ],
        "recorders": {
            key: [
                np.dtype(built.groups[key.partition(".")[0]].variables[v].dtype).str,
                network.populations[key.partition(".")[0]].n,
            ]
            for key in record.per_sample
            for v in [key.partition(".")[2]]
        },
        "monitors": {
            name: {
                "dtype": np.dtype(monitor.variables[name.partition(".")[2]].dtype).str,
                "indices": np.asarray(monitor.record).tolist(),
                "unit": unit_name(monitor.variables[name.partition(".")[2]].dim),
            }
            for name, monitor in built.state_monitors.items()
        },
        "plastic": {key: _code_names(targets) for key, targets in built.plastic.items()},
    }
    (out / "generated.json").write_text(json.dumps(manifest, indent=1))
    shutil.copytree(project / "static_arrays", out / "static_arrays")


if __name__ == "__main__":
    generate(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
