"""Code generation for C++, run as ``python -m biosnn.devices.cpp.code_generation REQUEST OUT``.

It runs in a process of its own because Brian2's device, preferences and names are global: the
user's other Brian2 code never notices. ``REQUEST`` is a JSON file with the program and its
precision. The program as one translation unit, the network's interface and its state before a run
are written to the folder ``OUT``.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import brian2
import numpy as np
from brian2 import BrianObject, Clock, Network, Synapses, prefs, second
from brian2.core.variables import DynamicArrayVariable
from brian2.synapses.synapses import SynapticPathway
from brian2.utils.stringtools import strip_empty_lines

from biosnn._models.equation_text import parsed_unchecked
from biosnn.devices.base.brian2_functions import divide_in_double
from biosnn.devices.base.brian2_objects import Built, build
from biosnn.devices.base.code_process import read_request
from biosnn.devices.cpp.generator import LOOPS, Device, activate, shared_code
from biosnn.devices.cpp.tables import Tables, source
from biosnn.program.layout import default_state, interface_of
from biosnn.program.program import Kernel, Program

_FOLDER = Path(__file__).parent / "runtime_library"
_SYNAPSES = Path(str(brian2.__file__)).parent / "synapses"
_STANDALONE = Path(str(brian2.__file__)).parent / "devices" / "cpp_standalone"
#: The runtime library, in an order in which everything is declared before it is used.
_LIBRARY = (
    "clocks.h", "memory.h", "network.h", "biosnn.h", "memory.cpp", "network.cpp", "biosnn.cpp",
)  # fmt: skip
_LITTLE_OPTIMISED = '#pragma GCC push_options\n#pragma GCC optimize("O1")'


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


def network_lines(
    net: Network, code: dict[str, list[str]], left_out: Callable[[str], bool] = lambda _: False
) -> list[str]:
    """Statements that add a network's code in its order, and run it.

    Parameters
    ----------
    net : brian2.Network
        After its code has been made.
    code : dict
        Brian2's slots of inserted code.
    left_out : callable
        Whether code of a name is not run.
    """
    added = []
    for target in net.sorted_objects:
        names = code_names([target]) if target.active else []
        added += [(target.clock, name) for name in names if not left_out(name)]
    lines = [f'network.add(&{clock.name}, _run_{name}, "{name}");' for clock, name in added]
    idle = net._clocks.difference(clock for clock, _ in added)
    lines += [f'network.add(&{name}, nullptr, "");' for name in sorted(x.name for x in idle)]
    return [
        *lines,
        *code["before_network_run"],
        "biosnn::simulate(network);",
        *code["after_network_run"],
    ]


class Loops:
    """Projections with a pattern: loops over rows and columns instead of lists of synapses.

    Their pathways get a template of ours; their queues and the code that lists their synapses
    are left out. Projections with delays keep their queues.
    """

    def __init__(self, built: Built):
        self.synapses = {key: made for key, made in built.synapses.items() if made.pattern}
        queues = []
        for pathway in self.pathways:
            pathway.template = LOOPS
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
        """Take what is not used out of the program, and let our loop run it."""
        creators = {f"{key}_synapses_create_generator_codeobject": key for key in self.synapses}
        queue = []
        for kind, arguments in device.main_queue:
            name = getattr(arguments[0], "name", "") if isinstance(arguments, tuple) else ""
            if kind == "run_network":
                arguments[1][:] = network_lines(arguments[0], device.code_lines, self.is_queue)
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


def comments(program: Program, objects: Mapping[str, BrianObject]) -> dict[str, str]:
    """Name of a Brian2 object -> what it does and to what, with its equations or statements."""
    found = {}
    for kernel in program.kernels:
        if kernel.name not in objects:
            continue
        code = kernel.code.strip()
        if kernel.kind == "state_update":
            owner = program.groups.get(kernel.owner) or program.connections[kernel.owner]
            equations = parsed_unchecked(owner.equations)
            code = "\n".join(str(equations[name]) for name in sorted(equations.diff_eq_names))
        found[objects[kernel.name].name] = f"{kernel.owner}: {kernel.what}\n{code}"
    return found


class _Texts(dict[str, Any]):
    """What Brian2 writes, kept in memory."""

    def write(self, name: str, text: Any) -> None:
        """Keep the text of a file."""
        self[name] = text


def _texts(device: Device, queued: list[SynapticPathway]) -> _Texts:
    """The parts of the program that Brian2 generates."""
    texts = _Texts()
    device.generate_main_source(texts)
    device.generate_codeobj_source(texts)
    texts["objects.cpp"] = device.render(
        "objects",
        network="network",
        array_specs=device.arrays,
        dynamic_array_specs=device.dynamic_arrays,
        dynamic_array_2d_specs=device.dynamic_arrays_2d,
        zero_arrays=device.zero_arrays,
        arange_arrays=device.arange_arrays,
        static_array_specs=device.static_array_specs,
        clocks=device.clocks,
        queued=queued,
    )
    return texts


def unit(
    device: Device,
    queued: list[SynapticPathway],
    tables: str,
    library: Sequence[str] = _LIBRARY,
) -> str:
    """The program as one translation unit.

    Parameters
    ----------
    device : Device
        It has the code.
    queued : list of SynapticPathway
        Those that have queues of events.
    tables : str
        Where the runtime library finds the network's arrays.
    library : sequence of str
        Files of the runtime library, each behind those that it needs.
    """
    texts = _texts(device, queued)
    code = [*device.functions(), *(str(x) for name, x in sorted(texts.items()) if _is_code(name))]
    inside = {line.strip() for text in code for line in text.splitlines() if _includes(line, "<")}
    named = (made.compiler_kwds.get("headers", ()) for made in device.code_objects.values())
    parts = [
        # Outside of the pragma: its functions are not put into the network's code.
        *sorted({x for name in library for x in _included(_FOLDER / name)}),
        "// The runtime library. Little time is spent in it, and compiling it takes long.",
        _LITTLE_OPTIMISED,
        *(_own_text(_FOLDER / name) for name in library),
        "#pragma GCC pop_options",
        "// Brian2's queues of events, and arrays that grow.",
        _own_text(_SYNAPSES / "stdint_compat.h"),
        _own_text(_STANDALONE / "brianlib" / "dynamic_array.h") if device.dynamic_arrays_2d else "",
        _own_text(_SYNAPSES / "spikequeue.h") if queued else "",
        _without_includes(device.render("synapses_classes").h_file) if queued else "",
        *(f"#include {header}" for header in sorted(set(chain.from_iterable(named)))),
        "#include <map>" if _counts_pairs(device) else "",
        *sorted(inside),
        "using namespace std;",
        "// The network.",
        texts["objects.cpp"],
        tables,
        shared_code(),
        "// What it calls and does, which hides functions of C++ that have the same names.",
        "namespace code {",
        *(_without_includes(text, '"', "<") for text in code),
        "}\nusing namespace code;",
        texts["main.cpp"],
    ]
    return "\n\n".join(strip_empty_lines(str(part)) for part in parts if part) + "\n"


def _counts_pairs(device: Device) -> bool:
    """Whether synapses of a pair are numbered, for which Brian2's templates use a map."""
    return any(made.multisynaptic_index for made in device.synapses)


def _is_code(name: str) -> bool:
    return name.startswith("code_objects/") and name.endswith(".cpp")


def _included(path: Path) -> list[str]:
    """The `#include` lines of a file that name headers of C++ itself."""
    lines = path.read_text().splitlines()
    return [line for line in lines if line.startswith("#include <") and "." not in line]


def _own_text(path: Path) -> str:
    return _without_includes(path.read_text())


def _includes(line: str, *brackets: str) -> bool:
    return line.replace(" ", "").startswith(tuple(f"#include{bracket}" for bracket in brackets))


def _without_includes(text: str, *brackets: str) -> str:
    """A text without the ``#include`` of files that stand in the program themselves, or of all."""
    return "\n".join(x for x in text.splitlines() if not _includes(x, *(brackets or ('"',))))


def begin(request: dict[str, Any], *, generators: bool = False) -> tuple[Program, bool, Device]:
    """The program of a request, whether it is in single precision, and a device to write it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    generators : bool
        Whether code may draw from random generators of the program.
    """
    program = Program.from_data(request["program"])
    single = request["precision"] == "single"
    device = activate(generators=generators)
    prefs.codegen.cpp.extra_compile_args = []  # Brian2 tries its own out, and we do not use them
    prefs.core.default_float_dtype = np.float32 if single else np.float64
    if not single:
        divide_in_double()
    device.run_args_applied = True  # the runtime library reads ours
    device.insert_code("before_network_run", "biosnn::load_state();")
    return program, single, device


def generate(request: dict[str, Any], out: Path) -> None:
    """Write the program of a request and what is known of it.

    Parameters
    ----------
    request : dict
        ``program`` (as data) and ``precision``.
    out : Path
        An existing folder. It gets ``program.cpp``, ``static_arrays/``, ``state`` and
        ``generated.json``.
    """
    program, single, device = begin(request)
    hooks = CallHooks()
    built = build(program, hooks, single_precision=single)
    device.comments = comments(program, built.objects)
    loops = Loops(built)
    built.net.run(program.dt * program.steps_per_presentation * second, namespace={})
    tables = Tables(device)
    loops.edit(device, tables)
    (out / "static_arrays").mkdir()
    device.write_static_arrays(str(out))
    described = interface_of(program, single_precision=single)
    finishing = code_names(built.finishing)
    generated = source(described, built, finishing, hooks.functions, tables)
    queued = [path for made in device.synapses for path in made._pathways]
    queued = [path for path in queued if path not in loops.pathways]
    (out / "program.cpp").write_text(unit(device, queued, generated))
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
        generate(read_request(Path(request)), Path(out))
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
