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

from biosnn.devices.base.free_description import recorded_by
from biosnn.devices.base.free_objects import FreeObjects, build_free
from biosnn.devices.base.free_runs import Recorded
from biosnn.devices.cpp.code_generation import begin, comments, main, network_lines, unit
from biosnn.devices.cpp.tables import Tables
from biosnn.program.layout import interface_of
from biosnn.program.program import Program

#: The runtime library, in an order in which everything is declared before it is used.
_LIBRARY = ("clocks.h", "memory.h", "free_run.h", "memory.cpp", "free_run.cpp")


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


def _source(
    built: FreeObjects, tables: Tables, recorded: dict[str, Recorded], n_constants: int
) -> str:
    """The generated counterpart of ``free_run.h``."""
    state = [
        f'{{"{array.full_name}", {tables.array(built.owners[array.owner], array.name)}}}'
        for array in built.program.state
    ]
    queues = [
        f"{{&brian::{made.name}.queue[0]->queue, &brian::{made.name}.queue[0]->offset}}"
        for made in built.pathways.values()
    ]
    given = [
        ", ".join(f"&{tables.name(group.variables[k])}" for k in ("neuron_index", "_timebins"))
        for group in (built.owners[name] for name in _given_groups(built.program))
    ]
    constants = [f"&_biosnn_constant_{k}" for k in range(n_constants)]
    visits, rows_of, counts = [], [], []
    for name, made in recorded.items():
        monitor = built.monitors[name]
        rows_of.append(f"{tables.name(monitor.variables[made.rows])}.size()" if made.rows else "0")
        counts += [tables.array(monitor, "count")] if "count" in made.columns else []
        for column in made.columns:
            key, variable = f"{name}.{column}", monitor.variables[column]
            if not isinstance(variable, DynamicArrayVariable):
                array, item = tables.name(variable), np.dtype(variable.dtype).itemsize
                visits.append(f'write("{key}", {array}, {made.size * item});')
            else:
                visits.append(tables.visit(key, monitor, column, rows_of[-1]))
    return f"""
namespace biosnn {{
std::vector<Variable> state_table() {{ return {{{", ".join(state)}}}; }}
std::vector<Queue> queue_table() {{ return {{{", ".join(queues)}}}; }}
std::vector<Given> given_table() {{ return {{{", ".join(f"{{{pair}}}" for pair in given)}}}; }}
std::vector<double *> constant_table() {{ return {{{", ".join(constants)}}}; }}
void monitored_visit(Write write) {{ {" ".join(visits)} }}
void monitor_rows(std::vector<int64_t> &rows) {{
    for (size_t n : std::vector<size_t>{{{", ".join(rows_of)}}}) rows.push_back((int64_t)n);
}}
std::vector<Array> count_table() {{ return {{{", ".join(counts)}}}; }}
}}
"""


def _given_groups(program: Program) -> list[str]:
    """Groups whose spikes are given."""
    return [key for key, group in program.groups.items() if group.spike_times is not None]


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the program of a request and what is known of it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    out : Path
        An existing folder. It gets ``program.cpp``, ``static_arrays/`` and ``generated.json``.
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
    tables = _source(built, Tables(device), recorded, len(constants))
    generator = (Path(__file__).parent / "runtime_library" / "generator.h").read_text()
    queued = list(built.pathways.values())
    text = unit(device, queued, "\n".join([named, generator, tables]), _LIBRARY)
    (out / "program.cpp").write_text(text)
    found = {
        "interface": interface_of(program, single_precision=single).to_data(),
        "plastic": {},
        "recorded": {name: attrs.asdict(made) for name, made in recorded.items()},
        "constants": list(constants),
        "pathways": list(built.pathways),
        "given": _given_groups(program),
    }
    (out / "generated.json").write_text(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main(generate, *sys.argv[1:]))
