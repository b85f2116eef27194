"""Code generation for C++, run as ``python -m biosnn.devices.cpp.code_generation REQUEST OUT``.

It runs in a process of its own because Brian2's device, preferences and names are global: the
user's other Brian2 code never notices. ``REQUEST`` is a JSON file with the program and its
precision. The program as one translation unit, the network's interface and its state before a run
are written to the folder ``OUT``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import BrianObject, Clock, Synapses, prefs, second
from brian2.core.variables import DynamicArrayVariable
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import get_device, set_device
from brian2.synapses.synapses import SynapticPathway

from biosnn.devices.base.brian2_functions import divide_in_double
from biosnn.devices.base.brian2_objects import Built, build
from biosnn.devices.cpp.tables import Tables, source
from biosnn.program.layout import default_state, interface_of
from biosnn.program.program import Kernel, Program

_ADD = re.compile(r"^network\.add\(&(\w+), (\w+)\);$")
_INDEX = re.compile(r"= _ptr_array_\w+__synaptic_(pre|post)\[_idx\];")
_INCLUDE = re.compile(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]")
_OURS = ("network.h", "network.cpp", "memory.h", "memory.cpp", "biosnn.h", "biosnn.cpp")


@attrs.frozen
class Call:
    """Stands for a code object of Brian2 whose function is written by us."""

    name: str

    def before_run(self) -> None:
        """Nothing to prepare."""

    def after_run(self) -> None:
        """Nothing to clean up."""


class CallHooks:
    """Objects whose code is a call into ``biosnn.cpp``."""

    call: type[Call] = Call

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}

    def _object(self, name: str, call: str, kernel: Kernel, clock: Clock) -> BrianObject:
        hook = BrianObject(clock=clock, when=kernel.when, name=name)
        hook._code_objects.append(self.call(name))
        self.functions[name] = call
        return hook

    def load(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """See :class:`biosnn.devices.base.brian2_objects.Hooks`."""
        call = f'biosnn::load_channel("{kernel.owner}")'
        return self._object(f"biosnn_{kernel.name}", call, kernel, clock)

    def store(self, kernel: Kernel, clock: Clock) -> BrianObject:
        """See :class:`biosnn.devices.base.brian2_objects.Hooks`."""
        return self._object("biosnn_store", "biosnn::store_sample()", kernel, clock)

    def snapshot(self, kernel: Kernel, clock: Clock) -> None:
        """Nothing: the loop in ``biosnn.cpp`` takes them."""


def code_names(targets: list[BrianObject]) -> list[str]:
    """Names of the pieces of code that objects run."""
    return [codeobj.name for target in targets for codeobj in target._code_objects]


def _without_includes(text: str, *prefixes: str) -> str:
    lines = [
        line
        for line in text.splitlines()
        if not any(line.lstrip().startswith(f'#include "{prefix}') for prefix in prefixes)
    ]
    return "\n".join(lines)


class Loops:
    """Projections with a pattern: loops over rows and columns instead of lists of synapses.

    Their pathways get a template of ours; their queues and the code that lists their synapses
    are left out. Projections with delays keep their queues.
    """

    def __init__(self, built: Built):
        self.synapses = {key: made for key, made in built.synapses.items() if made.pattern}
        queues = []
        for pathway in self.pathways:
            pathway.template = "synapses_loops"
            queues.append(f"{pathway.name}_push_spikes")
        self._queues = tuple(queues)

    @property
    def pathways(self) -> list[SynapticPathway]:
        """All pathways that loop."""
        return [pathway for made in self.synapses.values() for pathway in made._pathways]

    def is_queue(self, name: str) -> bool:
        """Whether code of this name belongs to a queue that is not used."""
        return name.removeprefix("before_run_").startswith(self._queues)

    def edit(self, device: Any, tables: Tables) -> None:
        """Take what is not used out of the program."""
        creators = {f"{key}_synapses_create_generator_codeobject": key for key in self.synapses}
        queue = []
        for kind, arguments in device.main_queue:
            name = getattr(arguments[0], "name", "") if isinstance(arguments, tuple) else ""
            if kind == "run_network":
                arguments[1][:] = self._edited(arguments[1])
            if kind == "before_run_code_object" and self.is_queue(name):
                continue
            if kind == "run_code_object" and name in creators:
                queue.append(("insert_code", self._sizes(creators[name], tables)))
                continue
            queue.append((kind, arguments))
        device.main_queue[:] = queue
        for name in list(device.code_objects):
            if name in creators or self.is_queue(name):
                del device.code_objects[name]

    def _edited(self, lines: list[str]) -> list[str]:
        edited = []
        for line in lines:
            added = _ADD.match(line)
            if added and not self.is_queue(added[2].removeprefix("_run_")):
                edited.append(f'network.add(&{added[1]}, {added[2]}, "{added[2][5:]}");')
            elif line.startswith("network.run("):
                edited.append("biosnn::simulate(network);")
            elif not added:
                edited.append(line)
        return edited

    def _sizes(self, key: str, tables: Tables) -> str:
        """Statements that make room for the synapses' own variables."""
        synapses = self.synapses[key]
        n = n_values(synapses)
        lines = tables.number(synapses.variables["N"], n)
        for variable in synapses.variables.values():
            own = isinstance(variable, DynamicArrayVariable) and variable.owner is not None
            if (
                own
                and variable in synapses._registered_variables
                and (variable.name not in ("_synaptic_pre", "_synaptic_post"))
            ):
                lines += tables.resize(variable, n)
        return "\n".join(lines)


def n_values(made: Synapses) -> int:
    """Synapses of a projection with a pattern, as far as they have values of their own."""
    n_pre, n_post = (len(group) // made.replicas for group in (made.source, made.target))
    of_one = {"all": n_pre * n_post, "one_to_one": n_pre, "all_but_self": n_pre * (n_post - 1)}
    return of_one[made.pattern] * (1 if made.shared else made.replicas)


def _one_unit(project: Path, generated: str) -> str:
    """All sources of a generated project as one translation unit.

    Brian2 repeats helper functions in every code object, so each gets a namespace of its own.
    """
    includes: dict[str, None] = {}
    bodies = []
    for number, path in enumerate(sorted((project / "code_objects").glob("*.cpp"))):
        lines = path.read_text().splitlines()
        includes.update(dict.fromkeys(line for line in lines if line.startswith("#include")))
        body = "\n".join(line for line in lines if not line.startswith("#include"))
        if "_n_events; _event++" in body:
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
        (project / "memory.cpp").read_text(),
        (project / "biosnn.cpp").read_text(),
        generated,
        *bodies,
        _without_includes((project / "run.cpp").read_text(), "code_objects/"),
        _without_includes((project / "main.cpp").read_text(), "code_objects/"),
    ]
    return "\n".join(parts)


def _self_contained(project: Path, text: str, seen: set[Path]) -> str:
    """The text with the project's own headers in the place of their first ``#include``."""
    lines = []
    for line in text.splitlines():
        named = _INCLUDE.match(line)
        places = (project / named[1], project / "brianlib" / named[1]) if named else ()
        header = next((path for path in places if path.is_file()), None)
        if header is None:
            lines.append(line)
        elif header not in seen:
            seen.add(header)
            lines.append(_self_contained(project, header.read_text(), seen))
    return "\n".join(lines)


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the program of a request and what is known of it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    out : Path
        An existing folder. It gets ``project/`` with ``program.cpp``, ``static_arrays/``,
        ``state`` and ``generated.json``.
    """
    program = Program.from_data(request["program"])
    single = request["precision"] == "single"
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    prefs.core.default_float_dtype = np.float32 if single else np.float64
    prefs.codegen.cpp.extra_compile_args = []  # Brian2 tries its own out, and we do not use them
    if not single:
        divide_in_double()
    hooks = CallHooks()
    built = build(program, hooks, single_precision=single)
    device.run_args_applied = True  # ours are read by biosnn.cpp
    device.insert_code("before_start", "biosnn::configure(argc, argv);")
    device.insert_code("before_network_run", "biosnn::load_state();")
    device.insert_code("before_end", "return biosnn::finish();")
    device.headers.append('"biosnn.h"')
    templater = CPPStandaloneCodeObject.templater.derive("biosnn.devices.cpp")
    CPPStandaloneCodeObject.templater = templater
    loops = Loops(built)
    built.net.run(program.dt * program.steps_per_presentation * second, namespace={})
    tables = Tables(device)
    loops.edit(device, tables)
    project = out / "project"
    project.mkdir()
    device.build(directory=str(project), compile=False, run=False, with_output=False)
    for name in _OURS:
        (project / name).write_text(
            (resources.files("biosnn.devices.cpp") / "runtime_library" / name).read_text()
        )
    described = interface_of(program, single_precision=single)
    finishing = code_names(built.finishing)
    generated = source(described, built, finishing, hooks.functions, tables)
    unit = _self_contained(project, _one_unit(project, generated), set())
    (project / "program.cpp").write_text(unit + "\n")
    shutil.copytree(project / "static_arrays", out / "static_arrays")
    with (out / "state").open("wb") as file:
        for array in default_state(described, program).values():
            file.write(array)
    found = {
        "interface": described.to_data(),
        "plastic": {key: code_names(targets) for key, targets in built.plastic.items()},
    }
    (out / "generated.json").write_text(json.dumps(found))


def main(generate: Callable[[dict[str, Any], Path], None], request: str, out: str) -> int:
    """Serve a request as a program: what goes wrong has its cause in the last line."""
    try:
        generate(json.loads(Path(request).read_text()), Path(out))
    except Exception as error:  # whatever it is, its cause comes last
        traceback.print_exc()
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        print(f"{type(cause).__name__}: {cause}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(generate, *sys.argv[1:]))
