"""``biosnn adopt``: what of a Brian2 script comes along, and the lines to add."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
from brian2 import BrianObject, EventMonitor, magic_network

from biosnn.devices.runtime.script import (
    Place,
    ScriptEnd,
    Simulation,
    StopScript,
    run_script,
)
from biosnn.errors import ParameterError, printable
from biosnn.program.script import from_brian2


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
    lines : tuple of str
        What to write instead.
    times : int
        How many there were.
    """

    place: Place
    duration: str
    verdicts: tuple[Verdict, ...]
    lines: tuple[str, ...]
    times: int = 1

    @property
    def whole(self) -> bool:
        """Whether all objects come along."""
        return all(verdict.status == "comes along" for verdict in self.verdicts)


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

    def on_simulation(simulation: Simulation) -> None:
        judged = _judged(simulation)
        alike = judged.place, tuple((v.kind, v.place, v.status) for v in judged.verdicts)
        if alike in found:
            found[alike].times += 1
        else:
            found[alike] = judged
        if first:
            raise StopScript
        simulation.simulate()

    with contextlib.redirect_stdout(sys.stderr):
        end = run_script(script, on_simulation, arguments=arguments, timeout=timeout)
    return list(found.values()), end


def _judged(simulation: Simulation) -> Judged:
    verdicts = judge(simulation)
    return Judged(
        place=simulation.place,
        duration=repr(simulation.duration),
        verdicts=verdicts,
        lines=tuple(_lines(simulation)),
    )


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
            from_brian2(rest, namespace=simulation.namespace)
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


def _parts(target: BrianObject) -> list[BrianObject]:
    """An object and all that it contains."""
    return [target, *(part for held in target.contained_objects for part in _parts(held))]


def _needed(target: BrianObject) -> set[Any]:
    """Identities of the objects that an object needs."""
    own = {part.id for part in _parts(target)}
    return {needed for part in _parts(target) for needed in part._dependencies} - own


def _lines(simulation: Simulation) -> list[str]:
    """What to write in place of a call of ``run``."""
    duration = repr(simulation.duration)
    if simulation.network.t_ > 0:
        hint = 'values: what has changed since the last run, {"object.name": value}'
        return [f"recording, state = runnable.run({duration}, values, state)  # {hint}"]
    called = [name for name, value in simulation.namespace.items() if value is simulation.network]
    if simulation.network is magic_network:
        network = ""
    else:
        network = called[0] if called else "network"
    monitors = [
        f'{name} = recording.spikes["{value.name}"]'
        for name, value in simulation.namespace.items()
        if isinstance(value, EventMonitor) and value in simulation.objects and value.record
    ]
    return [
        "import biosnn",
        f'runnable = biosnn.compile(biosnn.from_brian2({network}), device="runtime")',
        f"recording, state = runnable.run({duration})",
        *monitors,  # so that what follows in the script finds .i and .t
    ]


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
        if judged.whole:
            told += ["", "  It comes along. In its place:", ""]
            told += [f"    {line}" for line in judged.lines]
        told.append("")
    told += [f"{place}: the device {name!r} is set aside here" for place, name in end.set_aside]
    if end.status != "finished" or not found:
        told.append(f"{'no simulation was run; ' * (not found)}{end}")
    return [printable(line) for line in told]


def as_data(script: Path, found: Sequence[Judged], end: ScriptEnd) -> dict[str, Any]:
    """JSON types."""
    return {
        "script": str(script),
        "all": all_come_along(found, end),
        "simulations": [attrs.asdict(judged) for judged in found],
        "end": attrs.asdict(end),
    }


def all_come_along(found: Sequence[Judged], end: ScriptEnd) -> bool:
    """Whether the script was seen to its end, or to where it was to stop, and all comes along."""
    return bool(found) and end.status in ("finished", "stopped") and all(j.whole for j in found)
