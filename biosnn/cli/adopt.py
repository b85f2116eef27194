"""``biosnn adopt``: what of a Brian2 script comes along, and the lines that change."""

from __future__ import annotations

import ast
import contextlib
import sys
import tempfile
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import BrianObject, Network, magic_network, prefs

from biosnn.devices import registry
from biosnn.devices.runtime.script import (
    Place,
    ScriptEnd,
    Simulation,
    StopScript,
    run_script,
)
from biosnn.errors import ParameterError, StorageError, printable
from biosnn.program.program import Program
from biosnn.program.script import LiftedNetwork, from_brian2

#: Arguments of Brian2's ``run`` in their order, and those that :func:`biosnn.run` has as well.
_ARGUMENTS = ("duration", "report", "report_period", "namespace", "profile", "level")
_KEPT = ("duration", "report", "namespace", "level")


@attrs.frozen(kw_only=True)
class Verdict:
    """Whether an object comes along.

    Parameters
    ----------
    name, kind : str
        Of the object: its name in Brian2 and its class.
    status : {"comes along", "refused", "not judged"}
        "not judged" where what it needs is refused.
    reason : str
        Why it does not come along, and what to do.
    place : Place or None
        Where the script makes it.
    """

    name: str
    kind: str
    status: str
    reason: str = ""
    place: Place | None = None


@attrs.frozen(kw_only=True)
class OnDevice:
    """Whether a device takes a network: its code was generated, and not compiled.

    Parameters
    ----------
    device : str
        Its name.
    status : {"comes along", "refused"}
        Whether it does.
    reason : str
        Why not, and what to do.
    """

    device: str
    status: str
    reason: str = ""


@attrs.frozen(kw_only=True)
class Change:
    """Lines of a script that become others.

    Parameters
    ----------
    file : str
        The script, or a module of it.
    line : int
        The first of the lines; new ones alone go before it.
    old, new : tuple of str
        The lines, without their ends.
    parts : tuple of (tuple of int, str)
        Parts of the old lines (first and last line, first and last column in bytes), and what
        stands in their places in the new ones.
    """

    file: str
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    parts: tuple[tuple[tuple[int, int, int, int], str], ...] = ()

    @property
    def size(self) -> int:
        """How many lines change, come or go."""
        return max(len(self.old), len(self.new))


@attrs.define(kw_only=True)
class Judged:
    """The simulations that a script runs at one line, with the same verdicts.

    Parameters
    ----------
    place : Place
        Where they are run.
    duration : str
        Of the first, as Brian2 writes it.
    verdicts : tuple of Verdict
        Of its objects.
    devices : tuple of OnDevice
        Of the network, if all objects come along.
    change : Change or None
        What to write instead of the call; None where it stays as it is.
    name : str
        By which the call finds ``biosnn.run``.
    times : int
        How many there were.
    """

    place: Place
    duration: str
    verdicts: tuple[Verdict, ...]
    devices: tuple[OnDevice, ...]
    change: Change | None
    name: str
    times: int = 1

    @property
    def whole(self) -> bool:
        """Whether all objects come along, on a device at least."""
        objects = all(verdict.status == "comes along" for verdict in self.verdicts)
        return objects and any(found.status == "comes along" for found in self.devices)


def judge_script(
    script: Path,
    arguments: Sequence[str] = (),
    *,
    first: bool = False,
    timeout: float | None = None,
) -> tuple[list[Judged], ScriptEnd]:
    """Run a script, and judge the objects of each of its simulations.

    Parameters
    ----------
    script : Path
        It runs as ``python SCRIPT ARGUMENTS`` would; what it prints goes to stderr.
    arguments : sequence of str
        The script's own.
    first : bool
        Stop it at its first simulation, instead of letting Brian2 run all of them.
    timeout : float, optional
        Seconds that it may take.
    """
    found: dict[Any, Judged] = {}
    forms: dict[str, tuple[OnDevice, ...]] = {}

    def on_simulation(simulation: Simulation) -> None:
        verdicts = judge(simulation)
        place = simulation.place
        alike = place, place.span, tuple((v.kind, v.place, v.status) for v in verdicts)
        if alike in found:
            found[alike].times += 1
        else:
            devices = _on_devices(simulation, verdicts, forms)
            change, name = _change(simulation, devices)
            found[alike] = Judged(
                place=place,
                duration=repr(simulation.duration),
                verdicts=verdicts,
                devices=devices,
                change=change,
                name=name,
            )
        if first:
            raise StopScript
        simulation.simulate()

    with contextlib.redirect_stdout(sys.stderr):
        end = run_script(script, on_simulation, arguments=arguments, timeout=timeout)
    return list(found.values()), end


def judge(simulation: Simulation) -> tuple[Verdict, ...]:
    """Judge each object of a simulation, in the order in which the script makes them.

    What is refused is taken out, with all that needs it, until the rest comes along.
    """
    held = {part for target in simulation.objects for part in _parts(target)[1:]}
    rest = set(simulation.objects) - held
    verdicts = {}

    def settle(targets: Iterable[BrianObject], status: str, reason: str) -> None:
        for target in targets:
            kind, place = type(target).__name__, simulation.place_of(target)
            verdicts[target] = Verdict(
                name=target.name, kind=kind, status=status, reason=reason, place=place
            )
        rest.difference_update(targets)

    while rest:
        try:
            _lifted(simulation, rest)
        except ParameterError as error:
            named = [o for o in rest if error.obj in {part.name for part in _parts(o)}]
            settle(named or list(rest), "refused", str(error))
            while needing := [o for o in rest if _needed(o) & {v.id for v in verdicts}]:
                names = {v.id: v.name for v in verdicts}
                for target in needing:
                    needs = ", ".join(sorted(names[k] for k in _needed(target) & names.keys()))
                    settle([target], "not judged", f"it needs {needs}")
        else:
            settle(list(rest), "comes along", "")
    order = {v: (v.place.line if v.place else 0, v.name) for v in verdicts.values()}
    return tuple(sorted(verdicts.values(), key=order.__getitem__))


def _lifted(simulation: Simulation, objects: Iterable[BrianObject]) -> LiftedNetwork:
    """Objects of a simulation, with the schedule of its network."""
    network: Any = magic_network
    if simulation.network is not magic_network:
        network = Network()
        network.objects = set(objects)  # add() takes none that have been run in another network
        network.schedule, network.t_ = simulation.network.schedule, simulation.network.t_
    return from_brian2(
        objects if network is magic_network else network, namespace=simulation.namespace
    )


def _parts(target: BrianObject) -> list[BrianObject]:
    """An object and all that it contains."""
    return [target, *(part for held in target.contained_objects for part in _parts(held))]


def _needed(target: BrianObject) -> set[Any]:
    """Identities of the objects that an object needs."""
    own = {part.id for part in _parts(target)}
    return {needed for part in _parts(target) for needed in part._dependencies} - own


# --- devices


def _on_devices(
    simulation: Simulation, verdicts: Sequence[Verdict], forms: dict[str, tuple[OnDevice, ...]]
) -> tuple[OnDevice, ...]:
    """What devices say of a network; networks that differ by values only are asked once."""
    if any(verdict.status != "comes along" for verdict in verdicts):
        return ()
    lifted = _lifted(simulation, simulation.objects)
    try:
        form = lifted.form.hash
    except ParameterError:  # has a function without code
        return judge_devices(lifted.program)
    if form not in forms:
        forms[form] = judge_devices(lifted.program)
    return forms[form]


def judge_devices(program: Program) -> tuple[OnDevice, ...]:
    """Have each device for networks of scripts generate its code, which it does not compile."""
    single = prefs.core.default_float_dtype is np.float32
    precision = "single" if single else "double"
    found = []
    for name, registered in registry.devices().items():
        if not registered.free_running:
            continue
        try:
            if registered.job_target is not None:
                with tempfile.TemporaryDirectory() as folder:
                    write = registered.job_target.write_sources
                    write(program, precision, "fast", None, Path(folder))
            else:
                registry.build(name, program, {"precision": precision})
        except Exception as error:
            found.append(OnDevice(device=name, status="refused", reason=_said(error)))
        else:
            found.append(OnDevice(device=name, status="comes along"))
    return tuple(found)


def _said(error: Exception) -> str:
    """What an error says, without a traceback in it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return printable(lines[0] if len(lines) == 1 else f"{lines[0]} {lines[-1]}")


# --- lines that change


def _change(simulation: Simulation, devices: Sequence[OnDevice]) -> tuple[Change | None, str]:
    """What to write instead of a call of ``run``, and the name of ``biosnn.run`` there."""
    place = simulation.place
    if place.span is None:
        return None, "biosnn.run"
    first, last, begin, end = place.span
    whole = [line.encode() for line in _lines(place.file)[first - 1 : last]]
    whole[-1] = whole[-1][:end]
    whole[0] = whole[0][begin:]
    text = b"\n".join(whole).decode()
    call = ast.parse(f"({text})", mode="eval").body
    if not isinstance(call, ast.Call):
        return None, "biosnn.run"
    given = [*zip(_ARGUMENTS, call.args, strict=False)]
    arguments = [
        f"{name}={ast.unparse(value)}" if k >= min(2, len(call.args)) else ast.unparse(value)
        for k, (name, value) in enumerate(given)
        if name in _KEPT
    ]
    # Those of a dictionary are not known here: what biosnn.run has not, it refuses by name.
    arguments += [ast.unparse(word) for word in call.keywords if word.arg in (None, *_KEPT)]
    more = []
    if simulation.network is not magic_network:
        more.append(f"network={_network(simulation, call.func)}")
    taking = [found.device for found in devices if found.status == "comes along"]
    if taking and "cpp" not in taking:
        more.append(f'device="{taking[0]}"')
    same = not more and len(arguments) == len(given) + len(call.keywords)
    if same and isinstance(call.func, ast.Name) and not _imported_inside(place, call.func.id):
        return None, call.func.id
    new = f"biosnn.run({', '.join([*arguments, *more])})"
    return _rewritten(place.file, [(place.span, new)]), "biosnn.run"


def _imported_inside(place: Place, name: str) -> bool:
    """Whether a function around a line imports a name itself."""
    imports = (ast.Import, ast.ImportFrom)
    for made in ast.walk(ast.parse(_text(place.file))):
        if not isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not made.lineno <= place.line <= (made.end_lineno or 0):
            continue
        aliases = [a for node in ast.walk(made) if isinstance(node, imports) for a in node.names]
        if any((alias.asname or alias.name) == name for alias in aliases):
            return True
    return False


def _rewritten(file: str, parts: Sequence[tuple[tuple[int, int, int, int], str]]) -> Change:
    """Parts of neighbouring lines, in their order, with what to write in their places."""
    first, last = parts[0][0][0], max(span[1] for span, _ in parts)
    old = _lines(file)[first - 1 : last]
    lines = [line.encode() for line in old]
    for (top, bottom, begin, end), text in reversed(parts):
        head, tail = lines[top - first][:begin], lines[bottom - first][end:]
        lines[top - first : bottom - first + 1] = [head + text.encode() + tail]
    new = () if len(lines) == 1 and not lines[0].strip() else tuple(b.decode() for b in lines)
    return Change(file=file, line=first, old=tuple(old), new=new, parts=tuple(parts))


def _together(made: Iterable[Change]) -> list[Change]:
    """Changes of the same lines as one; of two for one call that which says more."""
    found: list[Change] = []
    for change in sorted(made, key=lambda change: (change.file, change.line, change.parts)):
        before = found[-1] if found else None
        if before and before.file == change.file and change.line < before.line + len(before.old):
            parts = dict(sorted((*before.parts, *change.parts), key=lambda part: len(part[1])))
            found[-1] = _rewritten(change.file, sorted(parts.items()))
        else:
            found.append(change)
    return found


def _network(simulation: Simulation, function: ast.expr) -> str:
    """How a script calls the network that it runs."""
    names = [name for name, value in simulation.namespace.items() if value is simulation.network]
    if names or not isinstance(function, ast.Attribute):
        return names[0] if names else "network"
    return ast.unparse(function.value)


def changes(found: Sequence[Judged], end: ScriptEnd) -> list[Change]:
    """All lines that change, file by file and line by line, imports included."""
    calls = {judged.change for judged in found if judged.change is not None}
    for place, _ in end.set_aside:
        if place.span is not None:
            first, last, begin, end_ = place.span
            lines = [line.encode() for line in _lines(place.file)[first - 1 : last]]
            alone = not begin and not lines[-1][end_:].strip()
            text = "" if alone else "pass"
            calls.add(_rewritten(place.file, [(place.span, text)]))
    made = _together(calls)
    for file in sorted({judged.place.file for judged in found}):
        here = [judged for judged in found if judged.place.file == file]
        line = _after_imports(file, min(judged.place.line for judged in here))
        for name in sorted({judged.name for judged in here}):
            of = "" if name == "run" else f" as {name}"
            new = "import biosnn" if name == "biosnn.run" else f"from biosnn import run{of}"
            made.append(Change(file=file, line=line, old=(), new=(new,)))
    return sorted(made, key=lambda change: (change.file, change.line, len(change.old)))


def _text(file: str | Path) -> str:
    """The text of a script in the encoding that it says."""
    with tokenize.open(file) as opened:
        return opened.read()


def _lines(file: str) -> list[str]:
    # Python's lines end with line feeds only.
    return _text(file).removesuffix("\n").split("\n")


def _after_imports(file: str, before: int) -> int:
    """The line behind the last import of a module that is above a line."""
    tree = ast.parse(_text(file))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return max((node.end_lineno or 0 for node in imports if node.lineno < before), default=0) + 1


def changed(script: Path, made: Iterable[Change]) -> str:
    """The text of a script with its lines changed."""
    lines = _lines(str(script))
    here = [change for change in made if change.file == str(script)]
    for change in sorted(here, key=lambda change: (change.line, len(change.old)), reverse=True):
        lines[change.line - 1 : change.line - 1 + len(change.old)] = change.new
    return "\n".join(lines) + "\n"


def write(script: Path, made: Iterable[Change], out: Path) -> None:
    """Write a script with its lines changed.

    Raises
    ------
    StorageError
        If the file exists, or cannot be written.
    """
    try:
        with script.open("rb") as file:
            encoding, _ = tokenize.detect_encoding(file.readline)
        with out.open("x", encoding=encoding) as file:
            file.write(changed(script, made))
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}") from error


# --- what is told


def report(found: Sequence[Judged], end: ScriptEnd) -> list[str]:
    """Lines for people."""
    told = []
    for judged in found:
        more = f", {judged.times} times" if judged.times > 1 else ""
        told.append(f"{judged.place}: run({judged.duration}){more}")
        width = max(len(v.kind) for v in judged.verdicts) if judged.verdicts else 0
        for v in judged.verdicts:
            where = f" ({v.place})" if v.place else ""
            why = f": {v.reason}" if v.reason else ""
            told.append(f"  {v.status:12}{v.kind:{width}}  {v.name}{where}{why}")
        for device in judged.devices:
            why = f": {device.reason}" if device.reason else ""
            told.append(f"  {device.status} on the device {device.device}{why}")
        told.append("")
    told += [f"{place}: the device {name!r} is set aside here" for place, name in end.set_aside]
    if end.status != "finished" or not found:
        told.append(f"{'no simulation was run; ' * (not found)}{end}")
    if found and all(judged.whole for judged in found):
        made = changes(found, end)
        told.append(f"It comes along. Lines that change: {sum(change.size for change in made)}")
        for change in made:
            told.append(f"  {Place(change.file, change.line)}")
            told += [f"    - {line}" for line in change.old]
            told += [f"    + {line}" for line in change.new]
    return [printable(line) for line in told]


def as_data(script: Path, found: Sequence[Judged], end: ScriptEnd) -> dict[str, Any]:
    """JSON types."""
    made = changes(found, end)
    return {
        "script": str(script),
        "all": all_come_along(found, end),
        "simulations": [attrs.asdict(judged) for judged in found],
        "end": attrs.asdict(end),
        "changes": [attrs.asdict(change) for change in made],
        "lines": sum(change.size for change in made),
    }


def all_come_along(found: Sequence[Judged], end: ScriptEnd) -> bool:
    """Whether the script was seen to its end, or to where it was to stop, and all comes along."""
    return bool(found) and end.status in ("finished", "stopped") and all(j.whole for j in found)
