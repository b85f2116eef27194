"""The objects of a Brian2 script, one by one, as parts of a program."""

from __future__ import annotations

import ast
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np
from brian2 import (
    Clock,
    Equations,
    EventMonitor,
    Function,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    StateMonitor,
    Subgroup,
    Synapses,
    prefs,
)
from brian2.core.base import BrianObject
from brian2.core.functions import DEFAULT_CONSTANTS, DEFAULT_FUNCTIONS, timestep
from brian2.core.namespace import DEFAULT_UNITS
from brian2.core.network import _get_all_objects
from brian2.core.variables import ArrayVariable, Constant, Subexpression
from brian2.equations.equations import SUBEXPRESSION, SingleEquation
from brian2.groups.group import CodeRunner
from brian2.groups.neurongroup import Resetter, StateUpdater, SubexpressionUpdater, Thresholder
from brian2.spatialneuron import SpatialNeuron
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.synapses.synapses import StateUpdater as SynapticStateUpdater
from brian2.synapses.synapses import SummedVariableUpdater, SynapticPathway
from brian2.units.fundamentalunits import Quantity
from brian2.utils.stringtools import deindent, get_identifiers, word_substitute

from biosnn._models.exact_integration import WithExact
from biosnn._models.group import GroupConstant
from biosnn.errors import ParameterError
from biosnn.models import equation_text
from biosnn.program.lift import with_held
from biosnn.program.pending import queued
from biosnn.program.program import (
    Array,
    Connection,
    Group,
    Kernel,
    Monitor,
    Part,
    Program,
    SpikeTimes,
)
from biosnn.state import unit_name

_DEFAULTS = {**DEFAULT_CONSTANTS, **DEFAULT_UNITS, **DEFAULT_FUNCTIONS}
_MONITORS = (EventMonitor, StateMonitor, PopulationRateMonitor)
_GROUPS = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup)
_NOISE = re.compile("xi(_.*)?")
_KINDS = {"f": "float", "i": "integer", "b": "boolean"}


def _refused(target: BrianObject, what: str, got: Any, wanted: str, remedy: str) -> ParameterError:
    """An error that names an object and the line where it was created."""
    stack = getattr(target, "_creation_stack", "") or ""
    lines = [line.strip() for line in stack.splitlines() if line.strip()]
    where = next((line for line in reversed(lines) if line.startswith("File ")), "")
    created = f" (created in {where.removeprefix('File ')})" if where else ""
    return ParameterError(target.name, what, f"{got}{created}", wanted, remedy)


class Lifting:
    """Lifts the objects of one network."""

    def __init__(
        self, objects: Iterable[BrianObject], schedule: list[str], namespace: Mapping[str, Any]
    ):
        self.namespace = namespace
        slots = [f"{place}{slot}" for slot in schedule for place in ("before_", "", "after_")]
        found = _get_all_objects(objects)
        for target in found:
            if target.when not in slots:
                wanted = f"one of the network's slots {', '.join(schedule)}"
                raise _refused(target, "when", target.when, wanted, "Add it to the schedule")
        self.objects = sorted(found, key=lambda o: (slots.index(o.when), o.order, o.name))
        for target in self.objects:
            self._check(target)
        self.groups = [o for o in self.objects if isinstance(o, _GROUPS)]
        self.synapses = _in_order_of_need([o for o in self.objects if isinstance(o, Synapses)])
        self.owners = {o.name: o for o in (*self.groups, *self.synapses)}
        self.runners = [o for o in self.objects if isinstance(o, CodeRunner)]
        if not self.runners:
            wanted = "objects that do something"
            remedy = "Give the network, or call it where the objects are visible"
            raise ParameterError("from_brian2", "network", "none", wanted, remedy)
        self.dt = min(float(o.clock.dt_) for o in self.objects)

    def program(self, name: str, now: float) -> Program:
        """The program of a network, whose objects, if they have been run, are at a time in s."""
        start = now if any(o._network is not None for o in self.objects) else 0.0
        arrays = [a for owner in self.owners.values() for a in _arrays(owner, start)]
        pathways = [o for o in self.runners if isinstance(o, SynapticPathway)]
        return Program(
            name=name,
            fingerprint="",
            output="",
            dt=self.dt,
            duration_steps=1,
            steps_per_presentation=1,
            max_shown=1,
            groups={group.name: self._group(group) for group in self.groups},
            connections={made.name: self._connection(made) for made in self.synapses},
            kernels=tuple(map(self._kernel, self.runners)),
            arrays={array.full_name: array for array in arrays},
            inputs={},
            free_running=True,
            start=start,
            monitors={o.name: self._monitor(o) for o in self.runners if isinstance(o, _MONITORS)},
            pending={o.name: queued(o.queue) for o in pathways if start and queued(o.queue).size},
        )

    def _check(self, target: BrianObject) -> None:
        """Refuse what cannot come along."""
        known = (*_GROUPS, *_MONITORS, Synapses, Subgroup, PoissonInput)
        runs = (StateUpdater, SynapticStateUpdater, SubexpressionUpdater, Thresholder, Resetter)
        runs += (SynapticPathway, SummedVariableUpdater)
        if isinstance(target, SpatialNeuron):
            remedy = "Run the network with Brian2 itself"
            raise _refused(target, "object", "SpatialNeuron", "neurons without a space", remedy)
        plain = type(target) is CodeRunner and target.template in ("stateupdate", "reset")
        if not (isinstance(target, (*known, *runs)) or plain):
            wanted = "groups, synapses, inputs, monitors and run_regularly operations"
            remedy = "Write what it does as code (run_regularly), or leave it out of the network"
            raise _refused(target, "object", type(target).__name__, wanted, remedy)
        if isinstance(target, Synapses) and not target._connect_called and target.active:
            remedy = "Call connect, or set its active attribute to False"
            raise _refused(target, "connect", "never called", "called", remedy)
        if not isinstance(target.clock, Clock):
            remedy = "Give it a time step"
            raise _refused(target, "clock", type(target.clock).__name__, "a regular clock", remedy)
        if getattr(target, "codeobj_class", None) is not None:
            got, remedy = target.codeobj_class.__name__, "Leave codeobj_class out"
            raise _refused(target, "codeobj_class", got, "Brian2's own", remedy)

    # --- names

    def _source(self, target: Any, of: BrianObject) -> tuple[str, Part | None]:
        """Name of a group or of synapses, and which of its neurons a subgroup has."""
        part = None
        if isinstance(target, Subgroup):
            part = Part(start=int(target.start), stop=int(target.stop))
            target = target.source
        if target.name not in self.owners:
            wanted = "part of the network, too"
            raise _refused(of, "source", f"{target.name}, which is not", wanted, "Add it")
        return target.name, part

    def _constants(self, owner: Any, codes: Iterable[_Code]) -> dict[str, Any]:
        """Values and functions of names in code, and in subexpressions, that an owner looks up."""
        pending = list(codes)
        names: dict[str, _Code] = {}
        seen: set[int] = set()
        found: dict[str, Any] = {}
        while pending:
            code = pending.pop()
            for name in code.names:
                variable = code.variables.get(name)
                if variable is None:
                    if name not in names or names[name].assigns(name):
                        names[name] = code  # one that does not assign it, if there is one
                elif isinstance(variable, GroupConstant):
                    found[variable.declared[1]] = _plain(variable)
                elif isinstance(variable, Subexpression) and id(variable) not in seen:
                    seen.add(id(variable))
                    variables = variable.owner.variables
                    pending.append(attrs.evolve(code, text=variable.expr, variables=variables))
        for target in self.runners:  # these have functions of their own
            if not isinstance(target, PoissonInput):
                continue
            if self._source(target.group, target)[0] == owner.name:
                found |= {k: v for k, v in target.variables.items() if isinstance(v, Function)}
        # Brian2 looks for all of them in the namespace of the object whose code it is.
        for name, code in sorted(names.items(), key=lambda item: item[0]):
            try:
                value = owner._resolve_external(name, self.namespace, user_identifier=False)
            except KeyError:
                if _NOISE.fullmatch(name) or code.assigns(name):
                    continue
                got = f"{code.line(name)!r}, where the name {name!r} is nothing"
                wanted = "code whose names are known"
                remedy = f"Define {name} before, or give it: namespace={{{name!r}: ...}}"
                raise _refused(code.of, code.what, got, wanted, remedy) from None
            if name not in _DEFAULTS:
                found[name] = _plain(value)
        return found

    def _dt(self, target: BrianObject) -> float:
        """Time step of an object where it is not that of the network, else 0."""
        dt = float(target.clock.dt_)
        return 0.0 if dt == self.dt else dt

    # --- owners

    def _group(self, group: Any) -> Group:
        common = {"name": group.name, "n": len(group), "dt": self._dt(group)}
        if isinstance(group, SpikeGeneratorGroup):
            times = SpikeTimes(
                indices=np.array(group._neuron_index),
                times=np.array(group._spike_time, dtype=float),
                period=group.variables["period"].get_value().item(),
            )
            return Group(**common, equations="", spike_times=times)
        codes = self._codes(group)
        if isinstance(group, PoissonGroup):
            rates = f" = {group._rates}" if isinstance(group._rates, str) else ""
            constants = self._constants(group, [*codes, _Code(group, "rates", "rates")])
            return Group(**common, equations=f"rates{rates} : hertz", constants=constants)
        equations = with_held(group, group.user_equations)
        refractory = None if group._refractory is False else group._refractory
        if isinstance(refractory, str):
            codes.append(_Code(group, "refractory", refractory))
        links, indices = {}, {}
        for name in sorted(group._linked_variables):
            links[name], indices[name] = self._link(group, name)
        return Group(
            **common,
            equations=equation_text(equations),
            constants=self._constants(group, [*codes, *_expressions(group, equations)]),
            refractory=refractory,
            links=links,
            link_indices={name: index for name, index in indices.items() if index is not None},
            double=("lastspike",),
            **self._method(group),
        )

    def _connection(self, made: Synapses) -> Connection:
        links = {}
        for name in sorted(made._linked_variables):
            links[name], index = self._link(made, name)
            if index is not None or made.variables.indices[name] != "0":
                remedy = "Link it to a shared variable, or to a group of one neuron"
                got = f"{name}, which is linked by an index"
                raise _refused(made, "equations", got, "linked to one value", remedy)
        driven = made.event_driven
        summed = [
            SingleEquation(
                SUBEXPRESSION, name, target.dim, expr=updater.expression, flags=["summed"]
            )
            for name, updater in made.summed_updaters.items()
            for target in (updater.target_var,)
        ]
        equations = Equations([
            *with_held(made, made.equations).values(),
            *(driven[name] for name in (driven or ()) if name in driven.diff_eq_names),
            *summed,
        ])  # fmt: skip
        (pre, pre_part), (post, post_part) = (
            self._source(side, made) for side in (made.source, made.target)
        )
        delays = {p.objname: p.variables["delay"] for p in made._pathways}
        method: dict[str, Any] = {"method": "euler"}
        method = method if made.state_updater is None else self._method(made)
        return Connection(
            name=made.name,
            pre=pre,
            post=post,
            pre_part=pre_part,
            post_part=post_part,
            n_pre=len(made.source),
            n_post=len(made.target),
            pairs=(np.array(made.i[:]), np.array(made.j[:])),
            equations=equation_text(equations),
            constants=self._constants(made, [*self._codes(made), *_expressions(made, equations)]),
            dt=self._dt(made),
            links=links,
            delays={
                label: np.array(delay.get_value(), dtype=float)
                for label, delay in delays.items()
                if not delay.scalar
            },
            **method,
        )

    def _codes(self, owner: Any) -> list[_Code]:
        """Code of an owner, and of its parts, besides its equations."""
        codes = []
        for target in self.runners:
            of: Any = getattr(target, "group", None)
            of = of.source if isinstance(of, Subgroup) else of
            if isinstance(target, _MONITORS):
                source = target.source
                of = source.source if isinstance(source, Subgroup) else source
                if of.name == owner.name:
                    codes += [_Code(owner, "equations", name) for name in _recorded(target)]
            elif of is not None and of.name == owner.name:
                codes.append(_Code(target, "code", self._code(target), _scope(target, owner)))
        return codes

    def _method(self, owner: Any) -> dict[str, Any]:
        """Fields that say how equations are integrated."""
        updater = owner.state_updater
        chosen, options = updater.method_choice, dict(updater.method_options or {})
        exact: dict[str, Any] = {}
        if isinstance(chosen, WithExact):
            chosen, exact = chosen.method, {"exact": chosen.exact}
        several = isinstance(chosen, list | tuple)
        names = [_method_name(owner, one) for one in (chosen if several else [chosen])]
        if owner.equations.diff_eq_names and any(name.startswith("gsl") for name in names):
            wanted = "a method that Brian2 writes as code"
            remedy = 'Use method="exponential_euler" or "rk4"'
            raise _refused(owner, "method", ", ".join(names), wanted, remedy)
        method = tuple(names) if several else names[0]
        return {"method": method, "method_options": options, **exact}

    def _link(self, group: NeuronGroup | Synapses, name: str) -> tuple[str, np.ndarray | None]:
        """What a variable is linked to, and which neuron's each neuron reads."""
        target = group.variables.get(name)
        if target is None:
            remedy = f"Set {group.name}.{name} = linked_var(...)"
            raise _refused(group, name, "linked to nothing", "linked to a variable", remedy)
        if isinstance(target, Subexpression):
            target = self._linked_expression(group, name, target)
        owner, _ = self._source(target.owner, group)
        where = group.variables.indices[name]
        full = f"{owner}.{target.name}"
        if where in ("0", "_idx"):
            return full, None
        index = group.variables[where]
        if index.owner is group and not index.read_only:
            remedy = "Give the index as an array"
            raise _refused(group, name, f"linked by the variable {where}", "by an array", remedy)
        return full, np.array(index.get_value())

    def _linked_expression(
        self, group: NeuronGroup | Synapses, name: str, found: Subexpression
    ) -> Any:
        """The subexpression of another group that one stands for: Brian2 keeps its text only."""
        for owner in self.groups:
            for variable in owner.variables.values():
                if isinstance(variable, Subexpression) and variable.owner.name == owner.name:
                    inside = variable.identifiers & set(owner.variables)
                    names = {key: f"_{name}_{owner.name}_{key}" for key in inside}
                    if word_substitute(variable.expr, names) == found.expr:
                        return variable
        remedy = "Add the group that it is linked to"
        raise _refused(group, name, "linked outside of the network", "linked within it", remedy)

    # --- what runs

    def _code(self, target: Any) -> str:
        """Abstract code of an object, as its group declares it."""
        match target:
            case SynapticPathway():
                return target.code
            case Thresholder():
                return target.group.events[target.event]
            case Resetter():
                return target.group.event_codes[target.event]
            case SummedVariableUpdater():
                return target.expression.code
            case StateUpdater() | SynapticStateUpdater() | SubexpressionUpdater():
                return ""
        return target.abstract_code

    def _kernel(self, target: Any) -> Kernel:
        owner = target if isinstance(target, SpikeGeneratorGroup) else target.group
        if isinstance(target, _MONITORS):
            owner = target.source
        key, part = self._source(owner, target)
        kernel = Kernel(
            name=target.name,
            owner=key,
            kind="statements",
            code=self._code(target),
            when=target.when,
            order=int(target.order),
            dt=self._dt(target),
            part=part,
            active=bool(target.active),
        )
        match target:
            case EventMonitor() | StateMonitor() | PopulationRateMonitor():
                return attrs.evolve(kernel, kind="monitor", code="")
            case SpikeGeneratorGroup():
                return attrs.evolve(kernel, kind="spike_times", code="")
            case StateUpdater() | SynapticStateUpdater():
                return attrs.evolve(kernel, kind="state_update")
            case SubexpressionUpdater():
                return attrs.evolve(kernel, kind="held")
            case Thresholder():
                refractory = bool(target.template_kwds["_uses_refractory"])
                event = target.event
                return attrs.evolve(kernel, kind="threshold", event=event, refractory=refractory)
            case Resetter():
                return attrs.evolve(kernel, kind="reset", event=target.event)
            case CodeRunner(template="reset"):
                event = target.template_kwds["eventspace_variable"].name[1 : -len("space")]
                return attrs.evolve(kernel, kind="reset", event=event)
            case SynapticPathway():
                delay = target.variables["delay"]
                seconds = float(delay.get_value()[0]) if delay.scalar else 0.0
                side = target.prepost
                return attrs.evolve(
                    kernel, kind="pathway", event=target.event, side=side, delay=seconds
                )
            case SummedVariableUpdater():
                name, _, side = target.target_varname.rpartition("_")
                summed = f"{self._source(target.target, target)[0]}.{name}"
                return attrs.evolve(kernel, kind="summed", side=side, targets=(summed,))
        return attrs.evolve(kernel, forced=bool(target.override_conditional_write))

    def _monitor(self, target: Any) -> Monitor:
        source, part = self._source(target.source, target)
        common: dict[str, Any] = {"name": target.name, "source": source, "part": part}
        match target:
            case EventMonitor():
                variables = tuple(sorted(set(target.record_variables) - {"i", "t"}))
                each = bool(target.record)
                event = target.event
                return Monitor(**common, kind="events", event=event, variables=variables, each=each)
            case PopulationRateMonitor():
                return Monitor(**common, kind="rate", event="spike")
        return Monitor(
            **common,
            kind="state",
            variables=tuple(target.record_variables),
            indices=np.array(target.record),
            dt=float(target.clock.dt_),
        )


def _in_order_of_need(synapses: list[Synapses]) -> list[Synapses]:
    """Synapses, with those that others connect to before these."""
    placed: list[Synapses] = []
    while len(placed) < len(synapses):
        names = {made.name for made in synapses} - {made.name for made in placed}
        placed += [
            made
            for made in synapses
            if made.name in names and not {made.source.name, made.target.name} & names
        ]
    return placed


@attrs.frozen
class _Code:
    """A piece of code: of which object, what it is there, and the variables that it knows."""

    of: Any
    what: str
    text: str
    variables: Mapping[str, Any] = attrs.Factory(lambda self: self.of.variables, takes_self=True)

    @property
    def names(self) -> set[str]:
        """All names in it."""
        tree = self._tree()
        if tree is None:
            return get_identifiers(self.text)
        return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}

    def assigns(self, name: str) -> bool:
        """Whether it makes a local variable of that name."""
        tree = self._tree()
        if tree is None:
            return True
        made = [node.targets for node in ast.walk(tree) if isinstance(node, ast.Assign)]
        return any(isinstance(t, ast.Name) and t.id == name for targets in made for t in targets)

    def _tree(self) -> ast.Module | None:
        """As Python sees it; None where it cannot, which Brian2 says when it is compiled."""
        try:
            return ast.parse(deindent(self.text))
        except SyntaxError:
            return None

    def line(self, name: str) -> str:
        """The line in which a name stands."""
        lines = [line.strip() for line in self.text.splitlines()]
        return next(line for line in lines if name in get_identifiers(line.partition("#")[0]))


def _scope(target: Any, owner: Any) -> Mapping[str, Any]:
    """Variables that the code of an object knows: some have names of their own."""
    return ChainMap(getattr(target, "variables", {}), owner.variables)


def _expressions(owner: Any, equations: Equations) -> list[_Code]:
    return [
        _Code(owner, f"equations[{name!r}]", equation.expr.code)
        for name, equation in equations.items()
        if equation.expr is not None
    ]


def _recorded(monitor: Any) -> tuple[str, ...]:
    """Names of the variables that a monitor reads."""
    return tuple(getattr(monitor, "record_variables", ()))


def _plain(value: Any) -> Any:
    """A number with its unit, or a function."""
    if not isinstance(value, Constant):
        return value
    number = value.get_value()
    return number if value.dim.is_dimensionless else Quantity(number, dim=value.dim)


def _method_name(owner: Any, chosen: Any) -> str:
    """Brian2's name of an integration method."""
    if isinstance(chosen, str):
        return chosen
    for name, known in StateUpdateMethod.stateupdaters.items():
        if known is chosen:
            return name
    remedy = "Register it with StateUpdateMethod.register, or name one of Brian2's"
    raise _refused(owner, "method", repr(chosen), "a method that has a name", remedy)


def _arrays(owner: Any, now: float) -> Iterator[Array]:
    """What an object stores, with the values that it has at a time in s."""
    weights = isinstance(owner, Synapses)
    for name, variable in owner.variables.items():
        home: Any = variable.owner if isinstance(variable, ArrayVariable) else None
        if home is None or home.name != owner.name or name != variable.name:
            continue
        if variable.read_only and variable.constant:
            continue  # structure: indices, numbers of synapses, given spikes
        dtype = np.dtype(variable.dtype)
        usual = np.dtype(prefs.core.default_float_dtype)
        times = name in ("lastspike", "lastupdate")
        if dtype.kind not in _KINDS or (dtype not in (usual, np.int32, np.bool_) and not times):
            wanted = f"{usual} (or integer, boolean)"
            remedy = "Choose one type for all with prefs.core.default_float_dtype"
            raise _refused(owner, name, f"a variable of type {dtype}", wanted, remedy)
        values = np.array(variable.get_value())
        if name == "_lastindex" and owner._spikes_changed:
            # Brian2 looks when it begins to run where new spikes begin.
            steps, present = (timestep(t, owner.clock.dt_) for t in (owner._spike_time, now))
            values[:] = np.count_nonzero(steps < present)
        yield Array(
            owner=owner.name,
            name=name,
            kind=_KINDS[dtype.kind],
            size=values.size,
            unit=unit_name(variable.dim),
            role="weight" if weights else "neuron",
            double=times,
            shared=bool(variable.scalar),
            constant=bool(variable.constant),
            initial=values,
        )
