"""From live Brian2 objects to a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, NeuronGroup, Synapses, second
from brian2.core.base import BrianObject
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.variables import ArrayVariable, Constant
from brian2.equations.codestrings import Expression
from brian2.equations.equations import PARAMETER, SUBEXPRESSION, SingleEquation
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import StateUpdater, SubexpressionUpdater, Thresholder
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.synapses.synapses import StateUpdater as SynapticStateUpdater
from brian2.synapses.synapses import SynapticPathway
from brian2.units.fundamentalunits import Quantity

from biosnn._models.companions import SLOTS
from biosnn._models.exact_integration import WithExact
from biosnn.errors import ParameterError
from biosnn.models import equation_text, names_in
from biosnn.program.layout import arrays_of
from biosnn.program.program import Array, Connection, Group, Kernel, Program

_DEFAULTS = {**DEFAULT_CONSTANTS, **DEFAULT_UNITS, **DEFAULT_FUNCTIONS}


def lift_group(group: NeuronGroup, namespace: Mapping[str, Any] | None = None) -> Program:
    """Lift a group of neurons on its own, with all that runs on it.

    Parameters
    ----------
    group : brian2.NeuronGroup
        In its initial state.
    namespace : mapping, optional
        Names that it does not hold itself.

    Raises
    ------
    ParameterError
        If something cannot come along: objects with a time step of their own, variables that are
        linked to changing ones of other groups, methods that write no code.
    """
    return lift([group], namespace=namespace)


def lift(
    groups: Iterable[NeuronGroup],
    synapses: Iterable[Synapses] = (),
    namespace: Mapping[str, Any] | None = None,
) -> Program:
    """Lift groups of neurons, and synapses between them.

    Parameters
    ----------
    groups : iterable of brian2.NeuronGroup
        In their initial states, with one time step.
    synapses : iterable of brian2.Synapses
        Connected.
    namespace : mapping, optional
        Names that they do not hold themselves.

    Raises
    ------
    ParameterError
        As for :func:`lift_group`; if an object's time step is no multiple of that of the groups;
        or if synapses have event-driven equations, or delays that differ.
    """
    groups, synapses, names = list(groups), list(synapses), dict(namespace or {})
    dt = float(groups[0].clock.dt_)
    objects = [
        target
        for made in (*groups, *synapses)
        for target in made.contained_objects
        if target.active and not isinstance(target, Synapses)
    ]
    program = Program(
        name=groups[0].name,
        fingerprint="",
        output=groups[-1].name,
        dt=dt,
        duration_steps=0,
        steps_per_presentation=0,
        max_shown=1,
        groups={group.name: _group(group, names) for group in groups},
        connections={made.name: _connection(made, names) for made in synapses},
        kernels=tuple(_kernel(o, dt, names) for o in sorted(objects, key=_order)),
        inputs={},
    )
    owners = {made.name: made for made in (*groups, *synapses)}
    arrays = (_with_values(array, owners[array.owner]) for array in arrays_of(program))
    return program.changed(arrays={array.full_name: array for array in arrays})


def _order(target: BrianObject) -> tuple[int, int, str]:
    """Place of an object in Brian2's default schedule."""
    if target.when not in SLOTS:
        wanted = f"one of Brian2's slots {', '.join(SLOTS[1::3])}, or before or after one of them"
        raise ParameterError(target.name, "when", target.when, wanted)
    return SLOTS.index(target.when), target.order, target.name


# --- owners


def _group(group: NeuronGroup, namespace: Mapping[str, Any]) -> Group:
    codes = [*group.events.values(), *group.event_codes.values()]
    codes += [o.abstract_code for o in group.contained_objects if type(o) is CodeRunner]
    refractory = None if group._refractory is False else group._refractory
    codes += [refractory] if isinstance(refractory, str) else []
    equations = Equations(
        [_unlinked(group, e) for e in with_held(group, group.user_equations).values()]
    )
    chosen = group.state_updater.method_choice
    return Group(
        name=group.name,
        n=len(group),
        equations=equation_text(equations),
        constants=_constants(group, equations, codes, namespace),
        refractory=refractory,
        method=chosen.method if isinstance(chosen, WithExact) else _method(group, namespace),
        exact=chosen.exact if isinstance(chosen, WithExact) else (),
        double=("lastspike",),
    )


def _connection(made: Synapses, namespace: Mapping[str, Any]) -> Connection:
    if made.event_driven is not None:
        driven = sorted(made.event_driven.diff_eq_names)[0]
        remedy = "Use (clock-driven), or put the variable on the neurons"
        got = f"{driven} (event-driven)"
        raise ParameterError(made.name, "equations", got, "clock-driven", remedy)
    summed = [
        SingleEquation(SUBEXPRESSION, name, target.dim, expr=updater.expression, flags=["summed"])
        for name, updater in made.summed_updaters.items()
        for target in (updater.target_var,)
    ]
    equations = Equations([*with_held(made, made.equations).values(), *summed])
    codes = [pathway.code for pathway in made._pathways]
    codes += [o.abstract_code for o in made.contained_objects if type(o) is CodeRunner]
    return Connection(
        name=made.name,
        pre=made.source.name,
        post=made.target.name,
        n_pre=len(made.source),
        n_post=len(made.target),
        pairs=(np.array(made.i[:]), np.array(made.j[:])),
        equations=equation_text(equations),
        constants=_constants(made, equations, codes, namespace),
        method="euler" if made.state_updater is None else _method(made, namespace),
    )


def with_held(owner: NeuronGroup | Synapses, equations: Equations) -> Equations:
    """Equations with the subexpressions that keep their values for a time step.

    Brian2 has made parameters of them, and statements that compute these.
    """
    updater = owner.subexpression_updater
    code = "" if updater is None else updater.abstract_code
    parts = (line.partition(" = ") for line in code.splitlines())
    held = {name: expression for name, _, expression in parts}
    return Equations([
        equation
        if name not in held
        else SingleEquation(
            SUBEXPRESSION,
            name,
            equation.dim,
            var_type=equation.var_type,
            expr=Expression(held[name]),
            flags=[*equation.flags, "constant over dt"],
        )
        for name, equation in equations.items()
    ])  # fmt: skip


def _unlinked(group: NeuronGroup, equation: SingleEquation) -> SingleEquation:
    """An equation; a link to what never changes becomes a constant variable."""
    name = equation.varname
    if "linked" not in equation.flags:
        return equation
    target = group.variables[name]
    if not (isinstance(target, ArrayVariable) and target.constant):
        got = f"{name}, which is linked to {target.owner.name}"
        remedy = "Mark it (constant), or declare a network and use surrogate.to_torch(network)"
        raise ParameterError(group.name, "equations", got, "variables of its own", remedy)
    return SingleEquation(
        PARAMETER, name, equation.dim, var_type=equation.var_type, flags=["constant"]
    )


def _constants(
    owner: NeuronGroup | Synapses,
    equations: Equations,
    codes: Iterable[str],
    namespace: Mapping[str, Any],
) -> dict[str, Any]:
    """Numbers and functions of an owner's namespace, as Brian2 resolves them."""
    given = {**namespace, **owner.namespace}
    used = equations.identifiers - equations.names - equations.stochastic_variables
    used = used.union(*map(names_in, codes)) - {"xi"}
    found = owner.resolve_all(used, namespace, user_identifiers=set())
    return {
        name: _constant(found.get(name, value))
        for name, value in given.items()
        if name not in _DEFAULTS
        and name not in owner.variables
        and (name in found or isinstance(value, int | float | Quantity))
    }


def _constant(value: Any) -> Any:
    if not isinstance(value, Constant):
        return value
    number = value.get_value()
    return number if value.dim.is_dimensionless else Quantity(number, dim=value.dim)


@attrs.frozen
class _WithOptions:
    """An integration method with options."""

    method: Any
    options: Any

    def __call__(self, equations: Equations, variables: Any, method_options: Any = None) -> str:
        apply = StateUpdateMethod.apply_stateupdater
        return apply(equations, variables, self.method, method_options=self.options)


def _method(owner: NeuronGroup | Synapses, namespace: Mapping[str, Any]) -> Any:
    """Integration method; of several, the first that can integrate the equations."""
    updater, equations = owner.state_updater, owner.equations
    chosen, options = updater.method_choice, updater.method_options
    if isinstance(chosen, list | tuple):
        names = equations.names | equations.identifiers | {"dt"}
        variables = owner.resolve_all(names, namespace, user_identifiers=set())
        chosen = next(name for name in chosen if _integrates(name, equations, variables))
    return _WithOptions(chosen, options) if options else chosen


def _integrates(method: Any, equations: Equations, variables: Mapping[str, Any]) -> bool:
    try:
        StateUpdateMethod.apply_stateupdater(equations, variables, method)
    except UnsupportedEquationsException:
        return False
    return True


def _with_values(array: Array, owner: NeuronGroup | Synapses) -> Array:
    """An array that begins with the values that it has in Brian2."""
    if array.expression:
        return array
    if array.name not in owner.variables.indices or owner.variables.indices[array.name] != "_idx":
        values = owner.variables[array.name].get_value() if array.shared else None
    else:
        values = owner.variables[array.name].get_value()
    if values is None:  # linked: in the order of its own neurons
        values = getattr(owner, f"{array.name}_")[:]
    return attrs.evolve(array, initial=np.array(values))


# --- kernels


def _kernel(target: BrianObject, dt: float, namespace: Mapping[str, Any]) -> Kernel:
    if not isinstance(target, CodeRunner):
        raise _unknown(target)
    owner = target.group
    kernel = Kernel(
        name=target.name,
        owner=owner.name,
        kind="statements",
        every=_steps(target, owner, dt),
        when=target.when,
        order=target.order,
    )
    match target:
        case StateUpdater() | SynapticStateUpdater():
            return attrs.evolve(kernel, kind="state_update")
        case SubexpressionUpdater():
            return attrs.evolve(kernel, kind="held")
        case Thresholder():
            target.update_abstract_code(run_namespace=namespace)
            return attrs.evolve(
                kernel,
                kind="threshold",
                code=owner.events[target.event],
                event=target.event,
                refractory=target.template_kwds["_uses_refractory"],
            )
        case SynapticPathway():
            return attrs.evolve(
                kernel,
                kind="pathway",
                code=target.code,
                event=target.eventspace_name[1 : -len("space")],
                side=target.prepost,
                delay=_delay(target),
            )
        case CodeRunner(template="summed_variable"):
            return attrs.evolve(
                kernel,
                kind="summed",
                code=target.expression.code,
                side=target.target_varname.rpartition("_")[2],
                targets=(f"{target.target.name}.{target.target_var.name}",),
            )
        case CodeRunner(template="reset"):
            target.update_abstract_code(run_namespace=namespace)
            event = target.template_kwds["eventspace_variable"].name[1 : -len("space")]
            return attrs.evolve(kernel, kind="reset", code=target.abstract_code, event=event)
        case CodeRunner(template="stateupdate"):
            target.update_abstract_code(run_namespace=namespace)
            forced = "not_refractory" in (target.override_conditional_write or ())
            return attrs.evolve(kernel, code=target.abstract_code, forced=forced)
    raise _unknown(target)


def _unknown(target: BrianObject) -> ParameterError:
    return ParameterError(
        target.name,
        "object",
        type(target).__name__,
        "a group's or synapses' equations, threshold, reset, pathway or regular operation",
        "Compile the network without it",
    )


def _steps(target: BrianObject, owner: NeuronGroup | Synapses, dt: float) -> int:
    """Time steps between two runs of an object."""
    interval = float(target.clock.dt_)
    steps = round(interval / dt)
    alone = isinstance(owner, NeuronGroup)
    if steps < 1 or abs(steps * dt - interval) > 1e-9 * interval or (alone and steps > 1):
        wanted = f"that of its group ({dt * second}){'' if alone else ', or a multiple of it'}"
        raise ParameterError(target.name, "dt", target.clock.dt, wanted)
    return steps


def _delay(pathway: SynapticPathway) -> float:
    delays = np.unique(pathway.variables["delay"].get_value())
    if len(delays) > 1:
        raise ParameterError(pathway.name, "delay", "delays that differ", "one for all synapses")
    return float(delays[0]) if len(delays) else 0.0
