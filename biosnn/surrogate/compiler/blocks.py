"""Kernels of groups as lines of source: integration, thresholds, resets, statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from biosnn.errors import ParameterError
from biosnn.models import has_pole
from biosnn.program.integration import integration_code, refractoriness_code
from biosnn.program.program import Array, Kernel, parsed_equations
from biosnn.surrogate.compiler.expressions import CONST, PARAM, TENSOR, TorchRenderer, Value
from biosnn.surrogate.compiler.liveness import Phase, names_of
from biosnn.surrogate.compiler.source import SourceWriter

#: What Brian2's statements are: variable, operator, expression.
Statement = tuple[str, str, str]


class Block:
    """Writes the code of one kernel into a phase.

    Parameters
    ----------
    writer : SourceWriter
        Where constants and stored variables are known.
    phase : Phase
        Where the lines go.
    owner : str
        The group or the connection whose names the code uses.
    code : str
        Abstract code.
    gathered : callable, optional
        ``(name, value) -> value`` for what is looked up.
    forced : bool
        Whether it also changes what is fixed while a neuron is refractory.
    """

    def __init__(
        self,
        writer: SourceWriter,
        phase: Phase,
        owner: str,
        code: str,
        gathered: Callable[[str, Value], Value] | None = None,
        forced: bool = False,
    ):
        self.writer, self.phase, self.owner, self.forced = writer, phase, owner, forced
        self.scope = writer.scope(owner)
        self.known: dict[str, Value] = {}
        variables = self.scope.variables(code)
        self.renderer: TorchRenderer = writer.renderer(
            phase, owner, variables, self.known, gathered
        )
        self.statements = writer.statements(code, variables)

    def run(self, hard: bool = False) -> None:
        """Write all statements, as they act on all neurons."""
        for variable, operator, expression in self.statements:
            self.assign(variable, self.value(variable, operator, expression, hard))

    def value(self, variable: str, operator: str, expression: str, hard: bool = False) -> Value:
        """The new value of a variable."""
        if operator not in ("=", ":="):
            expression = f"{variable} {operator.removesuffix('=')} ({expression})"
        return self.renderer.value(expression, hard)

    def stored(self, name: str) -> Array | None:
        """The stored variable of a name; None for what lives within the code only."""
        meaning = self.scope.find(name)
        return meaning.array if meaning is not None and meaning.kind == "array" else None

    def temporary(self, name: str, value: Value) -> None:
        """Give a name within the code its value."""
        if value.level <= PARAM:
            self.known[name] = self.writer.hoist(value)
            return
        local = self.writer.local(self.owner, name)
        if local in self.writer.stored:
            local = f"{local}_"
        self.phase.write(local, value.text)
        self.known[name] = Value(local, value.kind, value.level, value.diff)

    def assign(self, name: str, value: Value) -> None:
        """Write one assignment to a variable of all neurons."""
        array = self.stored(name)
        if array is None:
            self.temporary(name, value)
            return
        local = self.writer.store(array)
        old = self.renderer.value(name)
        text = as_kind(self.writer.stored[local].kind, value, old)
        guarded = array.paused and not self.forced
        if guarded:
            text = self.writer.guarded(self.phase, array, text, old.text)
        self.set(local, text, value.diff or (guarded and old.diff))

    def set(self, local: str, text: str, diff: bool) -> None:
        """Write a line that gives a stored variable a new value for all neurons."""
        self.phase.write(local, text)
        stored = self.writer.stored[local]
        if diff and stored.kind == "float":
            self.writer.diff.add(local)
        diff = local in self.writer.diff
        self.phase.current[local] = Value(local, stored.kind, TENSOR, diff)


def as_kind(kind: str, value: Value, old: Value) -> str:
    """A value as what a stored variable holds."""
    if value.level < TENSOR:
        return f"filled_({old.text}, {value.text})"
    if kind == "int" and value.kind != "int":
        return f"{value.inner}.long()"
    if kind == "bool" and value.kind != "bool":
        return f"({value.inner} != 0)"
    if kind == "float" and value.kind in ("bool", "int"):
        return f"real_({value.text})"
    return value.text


def state_update(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    """Integrate the equations of a group, by the method that Brian2 uses.

    A refractory neuron's equations are those of Brian2, with ``int(not_refractory)`` as a factor,
    except for ``exponential_euler``: there the factor gives 0/0, which Brian2 masks and
    gradients do not. So the equations are integrated without it, and masked.
    """
    program, owner = writer.program, kernel.owner
    group = program.groups[owner]
    head = refractoriness_code(program, owner)
    never = bool(head) and _refractoriness(writer, phase, owner, head)
    check_poles(writer, owner)
    free = never or group.method == "exponential_euler"
    code = integration_code(program, owner, stopping=not free).removeprefix(head)
    if code:
        Block(writer, phase, owner, code).run()


def check_poles(writer: SourceWriter, owner: str) -> None:
    """Refuse two equal time constants where the exact solution divides by their difference."""
    program = writer.program
    whose = program.groups.get(owner) or program.connections[owner]
    scope, equations = writer.scope(owner), parsed_equations(whose)
    found = {name: scope.find(name) for name in equations.identifiers}
    constants = {k: m.value for k, m in found.items() if m is not None and m.kind == "constant"}
    if whose.method != "exact" or not has_pole(equations, constants):
        return
    raise ParameterError(
        owner,
        "method",
        "exact, which divides by the difference of two equal time constants",
        "one that bears them",
        "Use exponential_euler, one name for both, or time constants that differ",
    )


def _refractoriness(writer: SourceWriter, phase: Phase, owner: str, head: str) -> bool:
    """Write when neurons leave refractoriness; True if all are out of it in every step."""
    condition = ast.parse(head).body[0]
    assert isinstance(condition, ast.Assign)
    match condition.value:
        case ast.Compare(comparators=[period]):
            block = Block(writer, Phase(""), owner, f"_period = {ast.unparse(period)}")
            block.run()
            value = block.known.get("_period")
            if value is not None and value.level == CONST and writer.number(value) <= 0:
                local = writer.store(writer.program.arrays[f"{owner}.not_refractory"])
                phase.current[local] = Value("True", "bool", CONST)
                return True
    Block(writer, phase, owner, head).run(hard=True)
    return False


def event_names(writer: SourceWriter, group: str, event: str) -> tuple[str, str]:
    """Names of an event as numbers with gradients, and as truth values."""
    now, fired = (writer.local(group, f"{event}_{what}", made=True) for what in ("now", "fired"))
    return now, fired


def threshold(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    """Test which neurons have an event, and begin refractoriness."""
    owner, event = kernel.owner, kernel.event
    condition = f"({kernel.code}) and not_refractory" if kernel.refractory else kernel.code
    block = Block(writer, phase, owner, f"_cond = {condition}")
    for variable, operator, expression in block.statements[:-1]:
        block.assign(variable, block.value(variable, operator, expression))
    _, _, expression = block.statements[-1]
    value = block.renderer.value(expression)
    now, fired = event_names(writer, owner, event)
    if value.kind == "soft":
        phase.write(now, value.text)
        phase.write(fired, f"{now}.detach() > 0.5")
        if writer.detach_reset:
            phase.write(_share(writer, now), f"{now}.detach()")
        writer.soft_events.add(now)
    else:
        if value.level < TENSOR:
            wanted = "a condition that depends on the neurons' variables"
            raise ParameterError(owner, "threshold", expression, wanted)
        phase.write(fired, value.text)
        phase.write(now, f"real_({fired})")
    writer.tested.add(fired)
    if kernel.refractory:
        since, free = (
            writer.store(writer.program.arrays[f"{owner}.{name}"])
            for name in ("lastspike", "not_refractory")
        )
        time = writer.lookup(phase, owner, "t")
        phase.write(since, f"torch.where({fired}, {time.text}, {since})")
        before = phase.current.get(free, Value(free, "bool")).text
        phase.write(free, f"~{fired}" if before == "True" else f"{before} & ~{fired}")
        phase.current[free] = Value(free, "bool")


def on_event(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    """Statements for the neurons that have an event: a reset, or an operation."""
    block = Block(writer, phase, kernel.owner, kernel.code)
    now, fired = event_names(writer, kernel.owner, kernel.event)
    if fired not in writer.tested:
        wanted = f"later than the test of the event {kernel.event!r}"
        got = f"{kernel.name} at {kernel.when!r}"
        raise ParameterError(kernel.owner, "when", got, wanted)
    soft = now in writer.soft_events
    attached = soft and not writer.detach_reset
    share = _share(writer, now) if soft else f"real_({fired})"
    changed: dict[str, tuple[str, Value]] = {}
    for name, operator, expression in block.statements:
        array = block.stored(name)
        if array is None:
            block.temporary(name, block.value(name, operator, expression))
            continue
        local = writer.store(array)
        if (
            writer.stored[local].kind == "float"
            and operator in ("+=", "-=")
            and not (name in changed or name in names_of(expression))
            and _used_once(block.statements, name)
        ):
            added = block.renderer.value(expression)
            old = block.renderer.value(name)
            text = f"{old.inner} {operator[0]} {share} * {added.inner}"
            block.set(local, text, added.diff or old.diff or attached)
            continue
        value = block.value(name, operator, expression)
        old = changed[name][1] if name in changed else block.renderer.value(name)
        fresh = f"{local}_new"
        phase.write(fresh, value.text)
        block.known[name] = Value(fresh, value.kind, value.level, value.diff)
        changed[name] = (local, old)
    for name, (local, old) in changed.items():
        new = block.known.pop(name)
        stored = writer.stored[local]
        free = local in writer.diff or new.diff or old.diff
        blended = attached or (soft and free and not writer.steep)
        value = as_kind(stored.kind, new, old) if new.level == TENSOR else new.text
        if stored.kind == "float" and blended:
            block.set(local, f"blend_({old.text}, {value}, {share})", free or attached)
        else:
            block.set(local, f"torch.where({fired}, {value}, {old.text})", free)


def _share(writer: SourceWriter, now: str) -> str:
    """Name of the events as a reset sees them."""
    return f"{now}_detached" if writer.detach_reset else now


def _used_once(statements: Iterable[Statement], name: str) -> bool:
    """Whether a variable occurs in one statement only."""
    places = ((variable == name) + (name in names_of(text)) for variable, _, text in statements)
    return sum(places) == 1


def held_code(writer: SourceWriter, owner: str) -> str:
    """Statements that compute the subexpressions that keep their values for a time step."""
    program = writer.program
    whose = program.groups.get(owner) or program.connections[owner]
    ordered = parsed_equations(whose).ordered
    held = (e for e in ordered if "constant over dt" in e.flags)
    return "\n".join(f"{e.varname} = {e.expr.code}" for e in held)


def regularly(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    """Statements for all neurons."""
    Block(writer, phase, kernel.owner, kernel.code, forced=kernel.forced).run()


def held(writer: SourceWriter, phase: Phase, kernel: Kernel) -> None:
    """Subexpressions of a group that keep their values for a time step."""
    Block(writer, phase, kernel.owner, held_code(writer, kernel.owner)).run()
