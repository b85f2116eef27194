"""Brian2's objects as lines of a program: state updaters, thresholds, resets, statements."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from brian2 import Equations, NeuronGroup
from brian2.codegen.translation import analyse_identifiers
from brian2.core.variables import ArrayVariable, Constant
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import StateUpdater, Thresholder
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException

from biosnn.errors import ParameterError
from biosnn.models import has_pole
from biosnn.surrogate.compiler.expressions import CONST, PARAM, TENSOR, TorchRenderer, Value
from biosnn.surrogate.compiler.liveness import Phase
from biosnn.surrogate.compiler.source import Program

#: Equations, method and what is constant -> abstract code.
_SOLVED: dict[Any, str] = {}
_IN_PLACE = re.compile(r"([-+*/%]|\*\*|//)=$")


class Block:
    """Writes the code of one Brian2 object into a phase of a program.

    Parameters
    ----------
    program : Program
        Where constants and stored variables are known.
    phase : Phase
        Where the lines go.
    owner : Group
        The group or the synapses whose names the code uses.
    code : str
        Abstract code.
    namespace : mapping
        Names from outside the owner.
    more : mapping
        Variables of the object itself.
    always : iterable of str
        Conditions of variables, such as ``not_refractory``, on which writing does not depend here.
    """

    def __init__(
        self,
        program: Program,
        phase: Phase,
        owner: Any,
        code: str,
        namespace: Mapping[str, Any],
        more: Mapping[str, Any] | None = None,
        gathered: Any = None,
        always: Iterable[str] = (),
    ):
        self.program, self.phase, self.owner = program, phase, owner
        self.always = frozenset(always)
        self.variables = {**resolved(owner, code, namespace), **(more or {})}
        self.known: dict[str, Value] = {}
        self.renderer: TorchRenderer = program.renderer(
            phase, owner, self.variables, self.known, gathered
        )
        self.statements = program.statements(code, self.variables)

    def run(self, hard: bool = False) -> None:
        """Write all statements, as they act on all neurons."""
        for variable, operator, expression in self.statements:
            self.assign(variable, self.value(variable, operator, expression, hard))

    def value(self, variable: str, operator: str, expression: str, hard: bool = False) -> Value:
        """The new value of a variable."""
        in_place = _IN_PLACE.match(operator)
        if in_place:
            expression = f"{variable} {in_place[1]} ({expression})"
        return self.renderer.value(expression, hard)

    def stored(self, name: str) -> ArrayVariable | None:
        """The stored variable of a name; None for what lives within the code only."""
        variable = self.variables.get(name)
        return variable if isinstance(variable, ArrayVariable) else None

    def temporary(self, name: str, value: Value) -> None:
        """Give a name within the code its value."""
        if value.level <= PARAM:
            self.known[name] = self.program.hoist(value)
            return
        local = self.program.local(self.owner.name, name)
        if local in self.program.stored:
            local = f"{local}_"
        self.phase.write(local, value.text)
        self.known[name] = Value(local, value.kind, value.level, value.diff)

    def assign(self, name: str, value: Value) -> None:
        """Write one assignment to a variable of all neurons."""
        variable = self.stored(name)
        if variable is None:
            self.temporary(name, value)
            return
        local = self.program.store(variable.owner.name, variable)
        old = self.renderer.value(name)
        text = as_kind(self.program.stored[local].kind, value, old)
        guard = variable.conditional_write
        guarded = guard is not None and guard.name not in self.always
        if guarded:
            text = self.program.guarded(self.phase, self.owner, variable, text, old.text)
        self.set(local, text, value.diff or (guarded and old.diff))

    def set(self, local: str, text: str, diff: bool) -> None:
        """Write a line that gives a stored variable a new value for all neurons."""
        self.phase.write(local, text)
        stored = self.program.stored[local]
        if diff and stored.kind == "float":
            self.program.diff.add(local)
        diff = local in self.program.diff
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


def resolved(owner: Any, code: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Every variable and function that code uses, subexpressions looked into."""
    _, used, unknown = analyse_identifiers(code, owner.variables, recursive=True)
    names = used | unknown | {"dt", "t"}
    return dict(owner.resolve_all(names, namespace, user_identifiers=set()))


def own_variables(runner: CodeRunner) -> dict[str, Any]:
    """Variables of an object itself, besides those of its group."""
    return dict(getattr(runner, "variables", {}))


def state_update(
    program: Program, phase: Phase, updater: StateUpdater, namespace: Mapping[str, Any]
) -> None:
    """Integrate the equations of a group, by the method that Brian2 uses.

    A refractory neuron's equations are those of Brian2, with ``int(not_refractory)`` as a factor,
    except for ``exponential_euler``: there the factor gives 0/0, which Brian2 masks and
    gradients do not. So the equations are integrated without it, and masked.
    """
    group = updater.group
    head = updater._get_refractory_code(run_namespace=namespace)
    never = False
    if head:
        never = _refractoriness(program, phase, group, head, namespace)
    if not group.equations.diff_eq_names:
        return
    others = getattr(updater.method_choice, "method", updater.method_choice)
    free = head and (never or others == "exponential_euler")
    equations: Equations = group.user_equations if free else group.equations
    Block(program, phase, group, integrated(updater, equations, namespace), namespace).run()


def integrated(updater: Any, equations: Equations, namespace: Mapping[str, Any]) -> str:
    """Abstract code of the integration of some equations; solving them can take long."""
    group = updater.group
    names = equations.names | equations.identifiers | {"dt"}
    variables = group.resolve_all(names, namespace, user_identifiers=set())
    constant = frozenset(k for k, v in variables.items() if getattr(v, "constant", False))
    key = (str(equations), repr(updater.method_choice), repr(updater.method_options), constant)
    _check_poles(updater, equations, variables)
    if key not in _SOLVED:
        try:
            code = StateUpdateMethod.apply_stateupdater(
                equations,
                variables,
                updater.method_choice,
                method_options=updater.method_options,
                group_name=group.name,
            )
        except UnsupportedEquationsException as error:
            wanted = f"one that can integrate these equations ({error})"
            remedy = 'Use method="exponential_euler" or "euler"'
            got = repr(updater.method_choice)
            raise ParameterError(group.name, "method", got, wanted, remedy) from error
        if not isinstance(code, str):
            wanted = "a method that Brian2 writes as code (GSL integrates outside of it)"
            raise ParameterError(group.name, "method", updater.method_choice, wanted)
        _SOLVED[key] = code
    return _SOLVED[key]


def _check_poles(updater: Any, equations: Any, variables: Mapping[str, Any]) -> None:
    """Refuse two equal time constants where the exact solution divides by their difference."""
    methods, group = updater.method_choice, updater.group
    several = isinstance(methods, list | tuple)  # the first of them that can is taken
    if "exact" not in (methods if several else (methods,)):
        return
    plain = getattr(group, "user_equations", equations)  # without int(not_refractory)
    constants = {k: v.get_value() for k, v in variables.items() if isinstance(v, Constant)}
    if not has_pole(plain, constants):
        return
    with contextlib.suppress(UnsupportedEquationsException):
        if several:
            StateUpdateMethod.apply_stateupdater(equations, variables, "exact")
        raise ParameterError(
            group.name,
            "method",
            "exact, which divides by the difference of two equal time constants",
            "one that bears them",
            "Use exponential_euler, one name for both, or time constants that differ",
        )


def _refractoriness(
    program: Program, phase: Phase, group: NeuronGroup, head: str, namespace: Mapping[str, Any]
) -> bool:
    """Write when neurons leave refractoriness; True if all are out of it in every step."""
    period = group._refractory
    text = str(float(period)) if not isinstance(period, str) else period
    if "not_refractory or" not in head:
        block = Block(program, Phase(""), group, f"_period = timestep({text}, dt)", namespace)
        block.run()
        value = block.known.get("_period")
        if value is not None and value.level == CONST and program.number(value) <= 0:
            local = program.store(group.name, group.variables["not_refractory"])
            phase.current[local] = Value("True", "bool", CONST)
            return True
    Block(program, phase, group, head, namespace).run(hard=True)
    return False


def event_names(program: Program, group: str, event: str) -> tuple[str, str]:
    """Names of an event as numbers with gradients, and as truth values."""
    now, fired = (program.local(group, f"{event}_{what}", made=True) for what in ("now", "fired"))
    return now, fired


def threshold(
    program: Program, phase: Phase, thresholder: Thresholder, namespace: Mapping[str, Any]
) -> None:
    """Test which neurons have an event, and begin refractoriness."""
    group, event = thresholder.group, thresholder.event
    thresholder.update_abstract_code(run_namespace=namespace)
    code = thresholder.abstract_code
    block = Block(program, phase, group, code, namespace, dict(thresholder.variables))
    for variable, operator, expression in block.statements[:-1]:
        block.assign(variable, block.value(variable, operator, expression))
    _, _, expression = block.statements[-1]
    value = block.renderer.value(expression)
    now, fired = event_names(program, group.name, event)
    if value.kind == "soft":
        phase.write(now, value.text)
        phase.write(fired, f"{now}.detach() > 0.5")
        if program.detach_reset:
            phase.write(_share(program, now), f"{now}.detach()")
        program.soft_events.add(now)
    else:
        if value.level < TENSOR:
            wanted = "a condition that depends on the neurons' variables"
            raise ParameterError(group.name, "threshold", expression, wanted)
        phase.write(fired, value.text)
        phase.write(now, f"real_({fired})")
    program.tested.add(fired)
    if group._refractory is not False and event == "spike":
        since, free = (
            program.store(group.name, group.variables[name])
            for name in ("lastspike", "not_refractory")
        )
        time = program.lookup(phase, group, "t", group.variables["t"])
        phase.write(since, f"torch.where({fired}, {time.text}, {since})")
        before = phase.current.get(free, Value(free, "bool")).text
        phase.write(free, f"~{fired}" if before == "True" else f"{before} & ~{fired}")
        phase.current[free] = Value(free, "bool")


def on_event(
    program: Program, phase: Phase, runner: CodeRunner, namespace: Mapping[str, Any]
) -> None:
    """Statements for the neurons that have an event: a reset, or an operation."""
    group = runner.group
    event = runner.template_kwds["eventspace_variable"].name[1 : -len("space")]
    runner.update_abstract_code(run_namespace=namespace)
    block = Block(
        program,
        phase,
        group,
        runner.abstract_code,
        namespace,
        own_variables(runner),
    )
    now, fired = event_names(program, group.name, event)
    if fired not in program.tested:
        wanted = f"later than the test of the event {event!r}"
        raise ParameterError(group.name, "when", f"{runner.name} at {runner.when!r}", wanted)
    soft = now in program.soft_events
    attached = soft and not program.detach_reset
    share = _share(program, now) if soft else f"real_({fired})"
    changed: dict[str, tuple[str, Value]] = {}
    for name, operator, expression in block.statements:
        variable = block.stored(name)
        if variable is None:
            block.temporary(name, block.value(name, operator, expression))
            continue
        local = program.store(variable.owner.name, variable)
        if (
            program.stored[local].kind == "float"
            and operator in ("+=", "-=")
            and not (name in changed or re.search(rf"\b{name}\b", expression))
            and _used_once(block, name)
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
        stored = program.stored[local]
        free = local in program.diff or new.diff or old.diff
        blended = attached or (soft and free and not program.steep)
        value = as_kind(stored.kind, new, old) if new.level == TENSOR else new.text
        if stored.kind == "float" and blended:
            block.set(local, f"blend_({old.text}, {value}, {share})", free or attached)
        else:
            block.set(local, f"torch.where({fired}, {value}, {old.text})", free)


def _share(program: Program, now: str) -> str:
    """Name of the events as a reset sees them."""
    return f"{now}_detached" if program.detach_reset else now


def _used_once(block: Block, name: str) -> bool:
    """Whether a variable occurs in one statement of its code only."""
    return (
        sum(
            (variable == name) + bool(re.search(rf"\b{name}\b", expression))
            for variable, _, expression in block.statements
        )
        == 1
    )


def regularly(
    program: Program, phase: Phase, runner: CodeRunner, namespace: Mapping[str, Any]
) -> None:
    """Statements for all neurons."""
    runner.update_abstract_code(run_namespace=namespace)
    Block(
        program,
        phase,
        runner.group,
        runner.abstract_code,
        namespace,
        own_variables(runner),
        always=runner.override_conditional_write or (),
    ).run()
