"""Code generation for C++ of networks that run for a duration, in a process of its own.

It is run as ``python -m biosnn.devices.cpp.free_code REQUEST OUT``, like
:mod:`biosnn.devices.cpp.code_generation`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import Function, second
from brian2.core.variables import Constant, DynamicArrayVariable
from brian2.parsing.rendering import CPPNodeRenderer
from brian2.units.fundamentalunits import get_dimensions

from biosnn.devices.base.artifact import write_states
from biosnn.devices.base.free_description import recorded_by, sampled_interface, sampled_state
from biosnn.devices.base.free_objects import FreeObjects, build_free
from biosnn.devices.base.free_runs import Recorded, segments
from biosnn.devices.cpp.code_generation import begin, comments, main, network_lines, unit
from biosnn.devices.cpp.tables import Tables, listed
from biosnn.program.interface import Interface
from biosnn.program.layout import interface_of
from biosnn.program.program import Program
from biosnn.state import SEEN

#: The runtime library, in an order in which everything is declared before it is used.
_LIBRARY = ("clocks.h", "memory.h", "loop.h", "free_run.h", "memory.cpp", "free_run.cpp")
SAMPLES_LIBRARY = (
    "clocks.h", "memory.h", "loop.h", "script_network.h", "biosnn.h", "memory.cpp", "biosnn.cpp",
    "script_network.cpp",
)  # fmt: skip


class _Variable(float):
    """A number whose name stands in code, so that each run can give it another value."""

    name: str

    def __repr__(self) -> str:
        return self.name


def _named(program: Program) -> tuple[Program, dict[str, float]]:
    """A program whose constants have names in its code, and ``"object.constant"`` -> its value."""
    values: dict[str, float] = {}

    def evolved(owner: Any) -> Any:
        constants = dict(owner.constants)
        for name, given in owner.constants.items():
            if isinstance(given, Function):
                continue
            number = np.asarray(given).item()
            constant = Constant(name, number, dimensions=get_dimensions(given))
            constant.value = _Variable(number)
            constant.value.name = f"_biosnn_constant_{len(values)}"
            values[f"{owner.name}.{name}"] = float(number)
            constants[name] = constant
        return attrs.evolve(owner, constants=constants)

    groups = {key: evolved(group) for key, group in program.groups.items()}
    connections = {key: evolved(made) for key, made in program.connections.items()}
    return program.changed(groups=groups, connections=connections), values


@attrs.frozen(kw_only=True)
class Code:
    """Where the parts of a network are in its code.

    Parameters
    ----------
    built : FreeObjects
        The network.
    tables : Tables
        Names of arrays.
    recorded : dict
        Monitor -> what it records.
    """

    built: FreeObjects
    tables: Tables
    recorded: dict[str, Recorded]

    def array(self, full_name: str) -> str:
        """Initialiser of the ``Array`` of ``"owner.variable"``."""
        owner, _, name = full_name.partition(".")
        return self.tables.array(self.built.owners[owner], name)

    def count(self, key: str) -> str:
        """Initialiser of the ``Array`` of the spikes of a group in a presentation."""
        assert self.built.program.samples is not None
        name = self.built.program.samples.counted[key]
        return self.tables.array(self.built.monitors[name], "count")

    def counts(self) -> list[str]:
        """Initialisers of all numbers of events, which begin at 0 with a presentation."""
        return [
            self.tables.array(self.built.monitors[name], "count")
            for name, made in self.recorded.items()
            if "count" in made.columns
        ]

    def queues(self) -> list[str]:
        """Initialisers of the ``Queue`` of each pathway."""
        return [
            f"{{&brian::{made.name}.queue[0]->queue, &brian::{made.name}.queue[0]->offset}}"
            for made in self.built.pathways.values()
        ]

    def rows(self, name: str) -> str:
        """How much a monitor holds."""
        column = self.recorded[name].rows
        variables = self.built.monitors[name].variables
        return f"{self.tables.name(variables[column])}.size()" if column else "0"

    def monitored_bytes(self) -> str:
        """Bytes of what all monitors hold."""
        parts = ["size_t(0)"]
        for name, made in self.recorded.items():
            parts.append(f"{self.rows(name)} * {made.row_bytes}")
        return " + ".join(parts)


def _constant_table(n: int) -> str:
    places = listed(f"&_biosnn_constant_{k}" for k in range(n))
    return f"std::vector<double *> constant_table() {{ return {places}; }}"


def _duration_tables(code: Code, n_constants: int) -> str:
    """The generated counterpart of ``free_run.h``."""
    built, tables = code.built, code.tables
    state = [
        f'{{"{array.full_name}", {code.array(array.full_name)}}}' for array in built.program.state
    ]
    visits = []
    for name, made in code.recorded.items():
        monitor = built.monitors[name]
        for column in made.columns:
            key, variable = f"{name}.{column}", monitor.variables[column]
            if not isinstance(variable, DynamicArrayVariable):
                array, item = tables.name(variable), np.dtype(variable.dtype).itemsize
                visits.append(f'write("{key}", {array}, {made.size * item});')
            else:
                visits.append(tables.visit(key, monitor, column, code.rows(name)))
    return f"""
namespace biosnn {{
std::vector<Variable> state_table() {{ return {listed(state)}; }}
std::vector<Queue> queue_table() {{ return {listed(code.queues())}; }}
{_constant_table(n_constants)}
size_t monitored_bytes() {{ return {code.monitored_bytes()}; }}
void monitored_visit(Write write) {{ {" ".join(visits)} }}
}}
"""


def sample_tables(code: Code, face: Interface, n_constants: int, monitors: str) -> str:
    """The generated counterparts of ``biosnn.h`` and ``script_network.h``.

    Parameters
    ----------
    code, face
        The network and its interface.
    n_constants : int
        How many constants have names.
    monitors : str
        What monitors hold, and what is on its way.
    """
    built, tables, program = code.built, code.tables, code.built.program
    samples = program.samples
    assert samples is not None
    state = [
        f"{{\"{name}\", {'samples_seen()' if name == SEEN else code.array(name)}, 1, '-', false}}"
        for name in (variable.name for variable in face.variables)
    ]
    places = {variable.name: k for k, variable in enumerate(face.variables)}
    channels, given = [], []
    for name, port in face.ports.items():
        target = samples.targets.get(name, "")
        arrays = [code.array(target)] if "." in target else []
        channels.append(
            f'{{"{name}", "{port.kind}", {port.features}, {port.frame_steps}, {port.absent!r}, '
            f"{listed(arrays)}}}"
        )
        if port.kind == "events":
            variables = built.owners[target].variables
            pair = ", ".join(f"&{tables.name(variables[k])}" for k in ("neuron_index", "_timebins"))
            given.append(f'{{"{name}", {{{pair}}}}}')
    recorders = [
        *(f'{{"{key}.count", {code.count(key)}, 1, 0}}' for key in samples.counted),
        *(f'{{"{name}", {code.array(name)}, 1, {c.every}}}' for name, c in face.snapshots.items()),
    ]
    switches = [f'{{"{key}", {code.array(name)}}}' for key, name in samples.switches.items()]
    ends = [f"{{{step}, {end!r}, {str(rest).lower()}}}" for step, end, rest in segments(program)]
    silent = [f'"{name}"' for name in samples.silent]
    resets = sorted(places[name] for name in samples.resets)
    times = [code.array(name) for name in samples.times]
    watched = [code.count(samples.watch)] if samples.watch else []
    scaled = []
    for name, scaling in samples.scaled.items():
        owner = built.owners[name.partition(".")[0]]
        post = tables.array(owner, "_synaptic_post")
        retries = str(scaling.retries).lower()
        numbers = (
            f"{owner.target.start}, {len(owner.target)}, {scaling.p}, {retries}, {scaling.total!r}"
        )
        scaled.append(f'{{"{owner.name}", {code.array(name)}, {post}, {numbers}}}')
    return f"""
namespace biosnn {{
extern const int64_t steps_per_presentation = {face.steps_per_presentation};
extern const double time_step = {face.dt!r};
extern const std::string counted_recorder = "{face.counted}";
extern const int64_t replicas = 1, stride = 1;
extern const int64_t min_spikes = {samples.min_spikes}, max_retries = {samples.max_retries};
extern const double base_intensity = {samples.intensity!r};
extern const double intensity_step = {samples.intensity_step!r};
std::vector<Variable> state_table() {{ return {listed(state)}; }}
std::vector<Channel> channel_table() {{ return {listed(channels)}; }}
std::vector<Recorder> recorder_table() {{ return {listed(recorders)}; }}
std::vector<Segment> segment_table() {{ return {listed(ends)}; }}
std::vector<GivenBy> given_table() {{ return {listed(given)}; }}
std::vector<Switch> switch_table() {{ return {listed(switches)}; }}
std::vector<std::string> silent_table() {{ return {listed(silent)}; }}
std::vector<size_t> reset_table() {{ return {listed(map(str, resets))}; }}
std::vector<Array> time_table() {{ return {listed(times)}; }}
{_constant_table(n_constants)}
std::vector<Array> count_table() {{ return {listed(code.counts())}; }}
std::vector<Scaling> scaling_table() {{ return {listed(scaled)}; }}
std::vector<Array> watch_table() {{ return {listed(watched)}; }}
{monitors}
}}
"""


def _monitors(code: Code) -> str:
    """What Brian2's monitors hold in a network that is shown samples, and its queues."""
    built, tables = code.built, code.tables
    stamps, visits, sizes, clears = [], [], [code.monitored_bytes()], []
    for name, made in code.recorded.items():
        monitor = built.monitors[name]
        if not made.rows:
            continue
        k, rows = len(stamps), code.rows(name)
        stamps.append(f"{{&{tables.name(monitor.variables['t'])}, {{}}, {{}}, {{}}}}")
        clears.append(f"{tables.name(monitor.variables['N'])}[0] = 0;")
        sizes.append(f"{rows} * {8 + 2 * 4}")
        kept = [f"stamps[{k}].{part}" for part in ("time", "sample", "attempt")]
        clears += [f"{part}.clear();" for part in kept]
        for column in made.columns:
            variable = monitor.variables[column]
            if isinstance(variable, DynamicArrayVariable) and variable.ndim == 1:
                clears.append(f"{tables.name(variable)}.clear();")
            if made.kind == "events" and column in ("i", "t"):
                key = f"spikes.{name}.{'t_sample' if column == 't' else column}"
                visits.append(tables.visit(key, monitor, column, rows))
            elif made.kind != "events" and column != "t":
                key = f"trace.{name}.{column}"
                visits.append(f'write("{key}.t", {kept[0]}.data(), {rows} * sizeof(double));')
                visits.append(tables.visit(f"{key}.values", monitor, column, rows))
        if made.kind == "events":
            for part, array in zip(("sample", "attempt"), kept[1:], strict=True):
                visits.append(
                    f'write("spikes.{name}.{part}", {array}.data(), {rows} * sizeof(int32_t));'
                )
    clear = "for (auto &slot : *queue.slots) slot.clear();"
    return f"""std::vector<Stamps> stamps = {listed(stamps)};
size_t monitored_bytes() {{ return {" + ".join(sizes)}; }}
void monitored_visit(Write write) {{ {" ".join(visits)} }}
void monitored_clear() {{ {" ".join(clears)} }}
void step_begins() {{}}
void step_ends() {{}}
void clear_pending() {{
    for (const Queue &queue : std::vector<Queue>{listed(code.queues())}) {clear}
}}"""


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the program of a request and what is known of it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    out : Path
        An existing folder. It gets ``program.cpp``, ``static_arrays/``, ``generated.json``, and
        where samples are shown ``state``.
    """
    program, single, device = begin(request, generators=True)
    program, constants = _named(program)
    built = build_free(program, single_precision=single)
    device.comments = comments(program, built.objects)
    built.net.run(program.dt * second, namespace={})
    for kind, arguments in device.main_queue:
        if kind == "run_network":
            arguments[1][:] = network_lines(arguments[0], device.code_lines)
    (out / "static_arrays").mkdir()
    device.write_static_arrays(str(out))
    recorded = recorded_by(built)
    named = "".join(
        f"double _biosnn_constant_{k} = {CPPNodeRenderer().render_expr(repr(value))};\n"
        for k, value in enumerate(constants.values())
    )
    code = Code(built=built, tables=Tables(device), recorded=recorded)
    face = interface_of(program, single_precision=single)
    found: dict[str, Any] = {
        "plastic": {key: [key] for key in program.plastic},
        "constants": list(constants),
    }
    if program.samples is None:
        library, tables = _LIBRARY, _duration_tables(code, len(constants))
        found |= {
            "recorded": {name: attrs.asdict(made) for name, made in recorded.items()},
            "pathways": list(built.pathways),
        }
    else:
        library, face = SAMPLES_LIBRARY, sampled_interface(face, program, recorded)
        tables = sample_tables(code, face, len(constants), _monitors(code))
        write_states(out / "state", face, [sampled_state(face, program)])
        found["seeds"] = True
    generator = (Path(__file__).parent / "runtime_library" / "generator.h").read_text()
    queued = list(built.pathways.values())
    text = unit(device, queued, "\n".join([named, generator, tables]), library)
    (out / "program.cpp").write_text(text)
    (out / "generated.json").write_text(json.dumps({"interface": face.to_data(), **found}))


if __name__ == "__main__":
    sys.exit(main(generate, *sys.argv[1:]))
