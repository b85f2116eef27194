"""Specs of neurons: models, traces, events and operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, NeuronGroup, second
from brian2.equations.equations import FLOAT, EquationError
from brian2.groups.group import CodeRunner
from brian2.units.fundamentalunits import (
    Dimension,
    DimensionMismatchError,
    Quantity,
    fail_for_dimension_mismatch,
)

from biosnn._models.names import names_in, without_value
from biosnn._models.values import (
    Normal,
    Schedule,
    Uniform,
    check_choice,
    check_value,
    number_like,
)
from biosnn.declaration import declared
from biosnn.errors import ParameterError

#: Variables that stay double precision whatever the network's precision: times.
_TIMES = frozenset({"lastspike", "t_next", "t_onset"})


@declared
@attrs.frozen(eq=False, kw_only=True)
class Trace:
    """A spike trace that lives on a neuron: ``dx/dt = -x/tau``, bumped by the neuron's spikes.

    Parameters
    ----------
    name : str
        Name of the variable on the neuron.
    tau : Quantity
        Time constant.
    bump : str
        What a spike does: ``"+= 1"`` (all-to-all pairing) or ``"= 1"`` (nearest spike).
    when : {"before_synapses", "after_synapses"}
        Whether the synapses of the same time step see the trace with or without the bump.
    """

    name: str
    tau: Any
    bump: str = "+= 1"
    when: str = "before_synapses"

    def __attrs_post_init__(self) -> None:
        check_value("Trace", "tau", self.tau, second, "> 0")
        check_choice("Trace", "when", self.when, ("before_synapses", "after_synapses"))
        if not re.fullmatch(r"\+?= .+", self.bump):
            raise ParameterError("Trace", "bump", repr(self.bump), 'like "+= 1" or "= 1"')


@declared
@attrs.frozen(eq=False, kw_only=True)
class Event:
    """A named event of a neuron besides its spike.

    Parameters
    ----------
    condition : str
        Brian2 condition.
    every : {"step", "presentation"}
        Whether it is tested in every time step or once at the beginning of a presentation,
        where it costs nothing in between.
    when : str
        Slot of Brian2's schedule in which it is tested.
    """

    condition: str
    every: str = "step"
    when: str = "after_thresholds"

    def __attrs_post_init__(self) -> None:
        check_choice("Event", "every", self.every, ("step", "presentation"))


@declared
@attrs.frozen(eq=False, kw_only=True)
class Operation:
    """Statements that run for every neuron of a group at a defined moment.

    Parameters
    ----------
    code : str
        Brian2 statements.
    on : str
        ``"step"`` (every time step), ``"onset"`` of a presentation, ``"input"`` (whenever new
        input values arrive: at onset, and at every frame of a sequence), or the name of an
        event (``"spike"`` included; then only for the neurons that have it).
    when : str
        Slot of Brian2's schedule. Ignored for onset and input, which have their own place.
    order : int
        Order within the slot.
    plastic : bool
        Whether it belongs to learning and is left out where learning is off.
    """

    code: str
    on: str = "step"
    when: str = "start"
    order: int = 0
    plastic: bool = False


@declared
@attrs.frozen(eq=False, kw_only=True)
class NeuronModel:
    """A neuron model as equations: a frozen declaration without any Brian2 object.

    Parameters
    ----------
    name : str
        The model's name, used in messages.
    equations : str
        Brian2 model equations.
    threshold, reset : str or None
        Brian2 condition and statements.
    refractory : str, Quantity or None
        Refractory period: a quantity, the name of a parameter, or a Brian2 condition.
    method : str
        Brian2 integration method.
    parameters : dict
        Constants of the equations: name -> Quantity, float or :class:`Schedule`.
    initial : dict
        State variable -> initial value (Quantity, float, :class:`Uniform`, :class:`Normal`, or
        the name of a parameter). Variables that are not named start at zero.
    events : dict
        Event name -> condition or :class:`Event`.
    operations : tuple of Operation
        What else the neurons do.
    links : dict
        Variables declared ``(linked)`` in the equations -> ``"population.variable"``;
        they are connected by the network.
    double : tuple of str
        Variables that stay double precision in a network of single precision, because they
        change by less in a step than single precision resolves.
    reference : str
        Source with DOI.
    """

    name: str
    equations: str
    threshold: str | None = None
    reset: str | None = None
    refractory: Any = None
    method: str = "exact"
    parameters: dict[str, Any] = attrs.Factory(dict)
    initial: dict[str, Any] = attrs.Factory(dict)
    events: dict[str, Any] = attrs.Factory(dict)
    operations: Sequence[Operation] = ()
    links: dict[str, str] = attrs.Factory(dict)
    double: Sequence[str] = ()
    reference: str = ""

    def __attrs_post_init__(self) -> None:
        try:
            known = Equations(self.equations)
        except (EquationError, SyntaxError, TypeError) as error:
            raise ParameterError(
                self.name, "equations", repr(self.equations), "valid Brian2 equations", str(error)
            ) from error
        for variable, value in self.initial.items():
            if variable not in known.names:
                raise ParameterError(
                    self.name,
                    "initial",
                    repr(variable),
                    f"keyed by a variable of the equations ({', '.join(sorted(known.names))})",
                )
            self._check_initial(variable, value, known[variable].dim)
        self._check_known("equations", known.identifiers - known.stochastic_variables)

    def _check_initial(self, variable: str, value: Any, dim: Dimension) -> None:
        what = f"initial[{variable!r}]"
        if isinstance(value, str):
            if value not in self.parameters:
                raise ParameterError(
                    self.name, what, repr(value), f"one of {', '.join(self.parameters)}"
                )
            value = self.parameters[value]
        parts = attrs.astuple(value, recurse=False) if attrs.has(type(value)) else (value,)
        for part in parts:
            try:
                fail_for_dimension_mismatch(part, dim)
                invalid = np.isnan(np.asarray(part, dtype=float)).any()
            except (DimensionMismatchError, TypeError, ValueError):
                invalid = True
            if invalid:
                raise ParameterError(self.name, what, part, number_like(Quantity(1, dim=dim)))

    def _check_known(self, where: str, names: set[str]) -> None:
        """Check that names have a value without looking into the surrounding script."""
        missing = without_value(names, {*Equations(self.equations).names, *self.parameters})
        if missing:
            raise ParameterError(
                self.name,
                "parameters",
                sorted(self.parameters),
                f"given for every name in the {where}; {missing} has no value",
                "Values are never taken from the surrounding script",
            )

    def check_names(self) -> None:
        """Check that conditions and statements parse, and that all their names have one value.

        Raises
        ------
        ParameterError
            If they do not, or if a parameter has the name of a variable.
        """
        for name in sorted(set(Equations(self.equations).names) & set(self.parameters)):
            raise ParameterError(self.name, name, "a parameter", "a variable or a parameter only")
        codes = {"threshold": self.threshold, "reset": self.reset, "refractory": self.refractory}
        for event, spec in self.events.items():
            codes[f"event {event!r}"] = spec.condition if isinstance(spec, Event) else spec
        for number, operation in enumerate(self.operations):
            codes[f"operations[{number}]"] = operation.code
        for where, code in codes.items():
            if not isinstance(code, str):
                continue
            try:
                names = names_in(code)
            except SyntaxError as error:
                raise ParameterError(
                    self.name, where, repr(code), "valid Brian2 code", str(error)
                ) from error
            self._check_known(where, names)

    @property
    def variables(self) -> tuple[str, ...]:
        """State variables and parameters that a group stores (linked ones excluded)."""
        equations = Equations(self.equations)
        return tuple(
            name
            for name in sorted(equations.diff_eq_names | equations.parameter_names)
            if "linked" not in equations[name].flags
        )

    @property
    def constants(self) -> dict[str, Any]:
        """The parameters that are plain constants."""
        return {k: v for k, v in self.parameters.items() if not isinstance(v, Schedule)}

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The parameters that follow a :class:`Schedule`."""
        return {k: v for k, v in self.parameters.items() if isinstance(v, Schedule)}

    def initial_value(self, variable: str) -> Any:
        """Initial value of a variable: a quantity or float, an array, or a distribution."""
        value = self.initial.get(variable, 0.0)
        return self.parameters[value] if isinstance(value, str) else value

    def with_parameters(self, **values: Any) -> NeuronModel:
        """Return a copy with other values of parameters that the model already has."""
        unknown = set(values) - set(self.parameters)
        if unknown:
            raise ParameterError(
                self.name, sorted(unknown)[0], "a value", f"one of {', '.join(self.parameters)}"
            )
        for name, value in values.items():
            if not isinstance(value, Schedule):
                present = self.parameters[name]
                like = 1.0 if isinstance(present, Schedule) else present
                check_value(self.name, name, value, like)
        return attrs.evolve(self, parameters={**self.parameters, **values})

    def with_counters(self, variables: Iterable[str]) -> NeuronModel:
        """Return a copy that counts spikes (``count``) or notes the first one (``t_first``).

        Both are per presentation; ``t_first`` is relative to its onset, infinite without spikes.
        """
        model = self
        for name in variables:
            if name == "count":
                model = model.extended(
                    "count : integer",
                    Operation(code="count += 1", on="spike", when="after_resets"),
                )
            elif name == "t_first":
                model = model.extended(
                    "t_first : second\nt_sample : second (linked)",
                    Operation(code="t_first = inf*second", on="onset"),
                    Operation(
                        code="t_first = clip(t_first, 0*second, t_sample)",
                        on="spike",
                        when="after_resets",
                    ),
                    links={"t_sample": "protocol.t_sample"},
                )
        return model

    def extended(
        self, equations: str = "", *operations: Operation, links: Mapping[str, str] | None = None
    ) -> NeuronModel:
        """Return a copy with more equations (those it has are kept), operations and links."""
        known = Equations(self.equations)
        added = [
            line
            for line in equations.splitlines()
            if line.strip() and not set(Equations(line).names) & set(known.names)
        ]
        return attrs.evolve(
            self,
            equations="\n".join([self.equations, *added]),
            operations=(*self.operations, *operations),
            links={**self.links, **(links or {})},
        )

    def with_traces(self, traces: Iterable[Trace]) -> NeuronModel:
        """Return a copy that carries the traces, bumped by its spikes."""
        model = self
        for trace in traces:
            tau = f"tau_{trace.name}"
            model = attrs.evolve(
                model.extended(
                    "",
                    Operation(code=f"{trace.name} {trace.bump}", on="spike", when=trace.when),
                ),
                equations=f"{model.equations}\nd{trace.name}/dt = -{trace.name}/{tau} : 1",
                parameters={**model.parameters, tau: trace.tau},
            )
        return model

    def group(
        self,
        n: int,
        *,
        traces: Iterable[Trace] = (),
        name: str | None = None,
        single_precision: bool = False,
        **kwargs: Any,
    ) -> NeuronGroup:
        """Make a plain Brian2 group of this model.

        Parameters
        ----------
        n : int
            Number of neurons, > 0.
        traces : iterable of Trace
            Spike traces that plasticity rules need on these neurons
            (``rule.needs("pre")``, ``rule.needs("post")``).
        name : str, optional
            Name of the Brian2 object.
        single_precision : bool
            Store state variables as float32 (times stay float64).
        **kwargs
            Passed on to ``brian2.NeuronGroup`` (``dt``, ``clock``, ``order``, ...).

        Returns
        -------
        brian2.NeuronGroup
            With initial values set, except random ones of a compiled network, and with the
            operations "step" and those of events as objects it contains.

        Raises
        ------
        ParameterError
            If ``n`` is not a positive integer.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ParameterError(self.name, "n", repr(n), "a whole number > 0")
        model = self.with_traces(traces)
        stored = Equations(model.equations)
        keep_double = {*_TIMES, *model.double}
        dtype = {
            variable: np.float64 if variable in keep_double or not single_precision else np.float32
            for variable in stored.names
            if stored[variable].var_type == FLOAT
        }
        if model.refractory is not None:
            dtype["lastspike"] = np.float64
        events = {
            event: spec.condition if isinstance(spec, Event) else spec
            for event, spec in model.events.items()
        }
        group = NeuronGroup(
            int(n),
            model.equations,
            method=model.method,
            threshold=model.threshold,
            reset=model.reset,
            refractory=False if model.refractory is None else model.refractory,
            events=events or None,
            namespace=model.constants,
            dtype=dtype,
            **({"name": name} if name else {}),
            **kwargs,
        )
        for event, spec in model.events.items():
            if isinstance(spec, Event):
                group.set_event_schedule(event, when=spec.when)
        for number, operation in enumerate(model.operations):
            if operation.on == "step":
                group.run_regularly(
                    operation.code,
                    when=operation.when,
                    order=operation.order,
                    name=f"{group.name}_operation_{number}",
                )
            elif operation.on not in ("onset", "input"):
                group.contained_objects.append(
                    _event_operation(group, operation, f"{group.name}_operation_{number}")
                )
        rng = np.random.default_rng()
        for variable in model.initial:
            value = model.initial_value(variable)
            if isinstance(value, Uniform | Normal):
                value = Quantity(value.sample(rng, (int(n),)), dim=group.variables[variable].dim)
            setattr(group, variable, value)
        return group


def _event_operation(group: NeuronGroup, operation: Operation, name: str) -> CodeRunner:
    """Statements on an event; unlike ``run_on_event`` any number of them per event."""
    if operation.on not in group.events:
        raise ParameterError(
            group.name, "operations", f"on={operation.on!r}", f"on one of {sorted(group.events)}"
        )
    eventspace = f"_{operation.on}space"
    return CodeRunner(
        group,
        "reset",
        code=operation.code,
        clock=group.clock,
        when=operation.when,
        order=operation.order,
        name=name,
        override_conditional_write=["not_refractory"],
        needed_variables=[eventspace],
        template_kwds={"eventspace_variable": group.variables[eventspace]},
    )
