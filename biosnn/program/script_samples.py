"""How the network of a Brian2 script is shown samples."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Equations
from brian2.equations.equations import (
    DIFFERENTIAL_EQUATION,
    PARAMETER,
    SUBEXPRESSION,
    SingleEquation,
)
from brian2.utils.stringtools import get_identifiers

from biosnn._models.equation_text import parsed_unchecked
from biosnn.errors import ParameterError
from biosnn.models import equation_text
from biosnn.networks import Normalisation, Presentation
from biosnn.program.interface import Port
from biosnn.program.passes.replication import assigned
from biosnn.program.program import Array, Kernel, Monitor, Program, Samples, Scaled
from biosnn.state import unit_name, unit_of
from biosnn.validation import check_flag

_WHERE = "from_brian2"
#: The variable of synapses that says whether they learn.
_LEARNS = "biosnn_learns"
_TIMES = ("lastspike", "lastupdate")
#: What runs are given besides inputs.
_OWN = ("intensity", "n_samples")


def with_samples(
    program: Program,
    inputs: Mapping[str, Any],
    presentation: Presentation,
    output: str | Sequence[str] | None,
    learned: Sequence[str],
    normalise: Mapping[str, Normalisation],
    normalise_retries: bool,
) -> Program:
    """Have the network of a script be shown samples.

    Parameters
    ----------
    program : Program
        Of the script, which begins at 0 s.
    inputs, presentation, output, learned, normalise, normalise_retries
        As for :func:`biosnn.from_brian2`.

    Raises
    ------
    ParameterError
        If one of these does not fit the network.
    """
    if not isinstance(presentation, Presentation):
        raise ParameterError(_WHERE, "presentation", repr(presentation), "a Presentation")
    if program.start or program.pending:
        remedy = "Take the network before it has run"
        raise ParameterError(_WHERE, "network", f"one at {program.start:g} s", "at 0 s", remedy)
    for monitor in program.monitors.values():
        _check_monitor(monitor)
    steps = [_steps(program, key, presentation) for key in ("duration", "rest")]
    targets, ports, silent = {}, {}, []
    for name, given in _mapping("inputs", inputs).items():
        if not isinstance(name, str) or not name.isidentifier() or name in _OWN:
            wanted = f"named by identifiers other than {' and '.join(_OWN)}"
            raise ParameterError(_WHERE, "inputs", repr(name), wanted)
        target, frame = (given, None) if isinstance(given, str) else _framed(name, given)
        _check_held(program, name, target)
        program = _set_free(program, target)
        full, port = _target(program, name, target)
        if full in targets.values():
            got, wanted = f"{target!r}, as another input", "set by one input only"
            raise ParameterError(_WHERE, f"inputs[{name!r}]", got, wanted)
        targets[name] = full
        ports[name] = port if frame is None else _sequence(program, name, port, frame, steps[0])
        silent += [name] if target in program.groups and port.kind != "events" else []
    ports["intensity"] = Port(kind="static", features=1, optional=True, absent=1.0, positive=True)
    if all(port.kind == "events" for name, port in ports.items() if name != "intensity"):
        _refuse_intensity(presentation)
    outputs = [output] if isinstance(output, str) else list(output or ())
    watched = [] if presentation.watch is None else [presentation.watch]
    for what, keys in (("output", outputs), ("presentation.watch", watched)):
        for key in keys:
            if key not in program.groups or _test(program, key) is None:
                raise ParameterError(_WHERE, what, repr(key), "a group that spikes")
    counted = {key: f"counted_{key}" for key in (*outputs, *watched)}
    resets = _resets(program, presentation.reset)
    # What Brian2 keeps for itself: the last events, and how far given spikes have come.
    resets += tuple(a.full_name for a in program.arrays.values() if a.name.startswith("_"))
    times = [
        array.full_name
        for array in program.arrays.values()
        if array.name in _TIMES and array.double and array.full_name not in resets
    ]
    program = _counting(program, counted)
    learned = _names("learned", learned)
    program, switches = _switched(program, learned)
    scaled = _scaled(normalise, normalise_retries, learned)
    if normalise_retries and not presentation.most_retries:
        remedy = "Set Presentation.max_retries, or leave it out"
        wanted = "given where samples are shown again"
        raise ParameterError(_WHERE, "normalise_retries", True, wanted, remedy)
    program = program.changed(
        output=outputs[0] if outputs else "",
        duration_steps=steps[0],
        steps_per_presentation=sum(steps),
        max_shown=1 + presentation.most_retries,
        until_enough=presentation.max_retries is None,
        inputs=ports,
        counted=f"{outputs[0]}.count" if outputs else "",
        plastic=tuple(switches),
        carried=_carried(program, (*resets, *learned)),
        samples=Samples(
            targets=targets,
            silent=tuple(silent),
            resets=resets,
            times=tuple(times),
            counted=counted,
            switches=switches,
            scaled=scaled,
            watch=presentation.watch or "",
            min_spikes=presentation.min_spikes,
            max_retries=presentation.most_retries,
            intensity=float(presentation.intensity),
            intensity_step=float(presentation.intensity_step),
        ),
    )
    return program.changed(fingerprint=program.hash)


def _check_monitor(monitor: Monitor) -> None:
    """Refuse values at events, which recordings of samples have no place for."""
    if monitor.kind == "events" and monitor.variables:
        got = f"{monitor.name}, which also records {', '.join(monitor.variables)}"
        remedy = "Record them with a StateMonitor, or leave out inputs and presentation"
        wanted = "a monitor of events without variables where samples are shown"
        raise ParameterError(_WHERE, "network", got, wanted, remedy)


def _framed(name: str, given: Any) -> tuple[str, Any]:
    """What an input sets, and how long each of its frames is."""
    valid = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
    if not valid or unit_of(given[1]) != "s" or np.size(given[1]) != 1:
        remedy = 'Such as "group.variable", or ("group.variable", 5*ms) for sequences of frames'
        wanted = "what it sets, or that and the time of a frame"
        raise ParameterError(_WHERE, f"inputs[{name!r}]", repr(given), wanted, remedy)
    return given


def _sequence(program: Program, name: str, port: Port, frame: Any, steps: int) -> Port:
    """An input whose samples are sequences of frames, in a presentation of so many steps."""
    length = round(float(frame) / program.dt)
    exact = abs(length * program.dt - float(frame)) <= 1e-6 * program.dt
    if port.kind != "static" or not exact or not 1 <= length <= steps:
        got = f"{frame} in {steps * program.dt:g} s" if port.kind == "static" else "given spikes"
        wanted = "a variable, and frames of whole time steps within a presentation"
        raise ParameterError(_WHERE, f"inputs[{name!r}]", got, wanted)
    return attrs.evolve(port, kind="sequence", frame_steps=length, most_frames=steps // length)


def _mapping(name: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not given:
        remedy = 'Such as {"image": "group.variable"}'
        raise ParameterError(_WHERE, name, repr(given), "a dict, not empty", remedy)
    return given


def _names(name: str, given: Any) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(part, str) for part in names):
        raise ParameterError(_WHERE, name, repr(given), "a text or a list of texts")
    return list(names)


def _steps(program: Program, key: str, presentation: Presentation) -> int:
    seconds = float(getattr(presentation, key))
    steps = round(seconds / program.dt)
    if abs(steps * program.dt - seconds) > 1e-6 * program.dt:
        wanted = f"a multiple of the time step ({program.dt} s)"
        raise ParameterError("Presentation", key, getattr(presentation, key), wanted)
    return steps


def _refuse_intensity(presentation: Presentation) -> None:
    """Refuse factors where all inputs are events."""
    for key, usual in (("intensity", 1), ("intensity_step", 0)):
        given = getattr(presentation, key)
        if given != usual:
            wanted = f"{usual} where all inputs are spikes that are given"
            raise ParameterError("Presentation", key, given, wanted)


def _scaled(given: Any, retries: Any, learned: Sequence[str]) -> dict[str, Scaled]:
    """How weights are normalised before samples."""
    if not isinstance(given, Mapping):
        remedy = 'Such as {"synapses.w": biosnn.networks.Normalisation(total=78)}'
        raise ParameterError(_WHERE, "normalise", repr(given), "a dict", remedy)
    check_flag(_WHERE, "normalise_retries", retries)
    found = {}
    for full, norm in given.items():
        where = f"normalise[{full!r}]"
        if full not in learned:
            remedy = "Name it in learned, too: weights are normalised where a run learns"
            raise ParameterError(_WHERE, where, repr(full), f"one of {list(learned)}", remedy)
        if not isinstance(norm, Normalisation):
            raise ParameterError(_WHERE, where, repr(norm), "a Normalisation")
        if not norm.online:
            remedy = "Normalise the script's weights before from_brian2"
            raise ParameterError(_WHERE, where, "online=False", "online=True", remedy)
        found[full] = Scaled(total=float(norm.total), p=norm.p, retries=bool(retries))
    if retries and not found:
        raise ParameterError(_WHERE, "normalise_retries", True, "given with normalise")
    return found


def _check_held(program: Program, name: str, target: str) -> None:
    """Refuse subexpressions that each time step computes and keeps."""
    key, _, variable = target.partition(".")
    group = program.groups.get(key)
    equation = None if group is None else parsed_unchecked(group.equations).get(variable or "rates")
    if equation is not None and equation.type == SUBEXPRESSION and equation.flags:
        got = f"{target!r} ({', '.join(dict.fromkeys(equation.flags))})"
        remedy = "Leave the flag out: what a sample sets stays as it is"
        where = f"inputs[{name!r}]"
        raise ParameterError(_WHERE, where, got, "a subexpression without flags", remedy)


def _set_free(program: Program, target: Any) -> Program:
    """Have a subexpression of a group become a variable that samples set."""
    key, _, name = str(target).partition(".")
    name = name or "rates"
    group = program.groups.get(key)
    equations = {} if group is None else dict(parsed_unchecked(group.equations))
    equation = equations.get(name)
    if group is None or equation is None or equation.type != SUBEXPRESSION or equation.flags:
        return program
    equations[name] = SingleEquation(PARAMETER, name, equation.dim, var_type=equation.var_type)
    text = equation_text(Equations(list(equations.values())))
    codes = [text, *(kernel.code for kernel in program.kernels if kernel.owner == key)]
    codes += [group.refractory] if isinstance(group.refractory, str) else []
    used = set().union(*map(get_identifiers, codes))
    constants = {name: value for name, value in group.constants.items() if name in used}
    made = attrs.evolve(group, equations=text, constants=constants)
    array = Array(owner=key, name=name, size=group.n, unit=unit_name(equation.dim))
    array = attrs.evolve(array, kind=equation.var_type, initial=np.zeros(group.n))
    return program.changed(
        groups={**program.groups, key: made},
        arrays={**program.arrays, array.full_name: array},
    )


def _target(program: Program, name: str, target: Any) -> tuple[str, Port]:
    """What an input sets, a variable or the spikes of a group, and what its samples are."""
    where = f"inputs[{name!r}]"
    group = program.groups.get(target)
    if group is not None and group.spike_times is not None:
        if group.spike_times.period:
            raise ParameterError(_WHERE, where, f"{target}, which repeats", "spikes that do not")
        return target, Port(kind="events", features=group.n)
    array = program.arrays.get(f"{target}.rates" if group is not None else target)
    if array is None or array.role != "neuron" or array.kind != "float":
        known = [a.full_name for a in program.arrays.values() if a.role == "neuron"]
        known = [name for name in known if "._" not in name]
        wanted = f"a PoissonGroup or a SpikeGeneratorGroup, or one of {', '.join(known)}"
        raise ParameterError(_WHERE, where, repr(target), wanted)
    rate = program.dt if group is not None else 0.0
    port = Port(kind="static", features=array.size, unit=array.unit, rate_step=rate)
    return array.full_name, port


def _differential(program: Program, key: str) -> list[str]:
    owner = program.groups.get(key) or program.connections[key]
    equations = parsed_unchecked(owner.equations)
    return [name for name, e in equations.items() if e.type == DIFFERENTIAL_EQUATION]


def _resets(program: Program, reset: Any) -> tuple[str, ...]:
    """What begins anew with each sample."""
    if reset == "none":
        return ()
    if reset == "all":
        owners = (*program.groups, *program.connections)
        reset = {key: [*_differential(program, key), *_TIMES] for key in owners}
        chosen = [f"{key}.{name}" for key, names in reset.items() for name in names]
        chosen = [name for name in chosen if name in program.arrays]
    else:
        chosen = [f"{key}.{name}" for key, names in reset.items() for name in names]
        for name in chosen:
            if name not in program.arrays:
                wanted = f"one of {', '.join(k for k in program.arrays if '._' not in k)}"
                raise ParameterError("Presentation", "reset", repr(name), wanted)
    # Who begins anew can fire at once, and decays from the onset on.
    for key in program.groups:
        if f"{key}.lastspike" in chosen:
            chosen.append(f"{key}.not_refractory")
    for key in program.connections:
        own = {f"{key}.{name}" for name in _differential(program, key)}
        if f"{key}.lastupdate" in program.arrays and own <= set(chosen):
            chosen.append(f"{key}.lastupdate")
    return tuple(dict.fromkeys(chosen))


def _carried(program: Program, settled: Sequence[str]) -> tuple[str, ...]:
    """Variables through which samples depend on those before them, but for those named."""
    changed = set()
    for kernel in program.kernels:
        changed |= {(kernel.owner, name) for name in assigned(kernel.code)}
    found = []
    for array in program.arrays.values():
        moves = array.name in _TIMES or array.name in _differential(program, array.owner)
        for owner, name in changed:
            made = program.connections.get(owner)
            sides = (owner,) if made is None else (owner, made.pre, made.post)
            base = name.removesuffix("_pre").removesuffix("_post")
            moves = moves or (array.owner in sides and array.name in (name, base))
        if moves and not array.constant and array.full_name not in settled:
            found.append(array.full_name)
    return tuple(found)


def _test(program: Program, key: str) -> Kernel | None:
    """What makes a group's neurons spike."""
    tests = program.of(key, "threshold", "spike_times")
    return next((kernel for kernel in tests if kernel.event in ("spike", "")), None)


def _counting(program: Program, counted: Mapping[str, str]) -> Program:
    """Count the spikes of groups, right after they are tested for."""
    kernels, monitors = list(program.kernels), dict(program.monitors)
    for key, name in counted.items():
        test = _test(program, key)
        assert test is not None
        monitors[name] = Monitor(name=name, kind="events", source=key, event="spike", each=False)
        kernel = Kernel(name=name, owner=key, kind="monitor", when=test.when, dt=test.dt)
        kernels.insert(kernels.index(test) + 1, kernel)
    return program.changed(kernels=tuple(kernels), monitors=monitors)


def _switched(program: Program, learned: Sequence[str]) -> tuple[Program, dict[str, str]]:
    """Have variables of synapses change only while these learn."""
    switches: dict[str, str] = {}
    for full in learned:
        key, _, name = full.partition(".")
        array = program.arrays.get(full)
        if array is None or array.role != "weight" or array.name in _differential(program, key):
            wanted = "variables of synapses that statements change, such as 'S.w'"
            raise ParameterError(_WHERE, "learned", repr(full), wanted)
        _check_alone(program, key, name)
        kernels = [
            attrs.evolve(kernel, code=_held_fixed(kernel.code, name))
            if kernel.owner == key
            else kernel
            for kernel in program.kernels
        ]
        if all(a.code == b.code for a, b in zip(kernels, program.kernels, strict=True)):
            raise ParameterError(_WHERE, "learned", repr(full), "changed by a statement")
        program = program.changed(kernels=tuple(kernels))
        switches[key] = f"{key}.{_LEARNS}"
    connections, arrays = dict(program.connections), dict(program.arrays)
    for key, switch in switches.items():
        made = connections[key]
        equations = f"{made.equations}\n{_LEARNS} : integer (shared)"
        connections[key] = attrs.evolve(made, equations=equations)
        kind = {"kind": "integer", "size": 1, "shared": True, "role": "weight"}
        arrays[switch] = Array(owner=key, name=_LEARNS, **kind)
    return program.changed(connections=connections, arrays=arrays), switches


def _check_alone(program: Program, key: str, name: str) -> None:
    """Check that no other synapses change a variable: they would where nothing learns, too."""
    for kernel in program.kernels:
        made = program.connections.get(kernel.owner)
        if made is None or kernel.owner == key:
            continue
        names = {f"{name}_{side}" for side in ("pre", "post") if getattr(made, side) == key}
        if made.post == key and name not in parsed_unchecked(made.equations):
            names.add(name)
        if names & assigned(kernel.code) or f"{key}.{name}" in kernel.targets:
            got, wanted = f"{key}.{name}, which {made.name} changes", "changed by its own synapses"
            raise ParameterError(_WHERE, "learned", got, wanted)


def _held_fixed(code: str, name: str) -> str:
    """Statements that leave a variable as it is unless its synapses learn.

    ``1*x + 0*y`` is x to the bit, so what they do while these learn stays as it is.
    """
    if name not in assigned(code):
        return code
    lines = []
    # Brian2 takes each line wherever it begins.
    for node in ast.parse("\n".join(map(str.strip, code.splitlines()))).body:
        target = (
            node.target if isinstance(node, ast.AugAssign) else getattr(node, "targets", [0])[0]
        )
        if not isinstance(target, ast.Name) or target.id != name:
            lines.append(ast.unparse(node))
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
            sign = "+" if isinstance(node.op, ast.Add) else "-"
            lines.append(f"{name} {sign}= {_LEARNS}*({ast.unparse(node.value)})")
        else:
            assert isinstance(node, ast.Assign | ast.AugAssign)
            value = node.value
            if isinstance(node, ast.AugAssign):
                value = ast.BinOp(ast.Name(name), node.op, node.value)
            text = ast.unparse(ast.fix_missing_locations(value))
            lines.append(f"{name} = {_LEARNS}*({text}) + (1 - {_LEARNS})*{name}")
    return "\n".join(lines)
