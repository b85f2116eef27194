"""Neuron models: checked when made, composed by copies, turned into plain Brian2 groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from brian2 import NeuronGroup
from brian2.core.namespace import get_local_namespace
from brian2.units.fundamentalunits import Quantity

from biosnn._models.checks import check_fields, check_names, check_size
from biosnn._models.companions import Companion, Operation, Trace
from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.event_timing import behind_spikes
from biosnn._models.exact_integration import has_pole, linear_apart
from biosnn._models.from_group import fields_of
from biosnn._models.group import make_group
from biosnn._models.neuron_fields import NeuronFields
from biosnn._models.parameters import Schedule, TimeSeries, with_series
from biosnn._models.synapse_model import SynapseModel, check_receptor, received
from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.validation import check_instance, check_members, check_value, check_whole


@declared
@attrs.frozen(eq=False, kw_only=True)
class NeuronModel(NeuronFields):
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
        Constants of the equations: name -> Quantity, float, :class:`Schedule`, or
        :class:`TimeSeries`, which equations call with the time.
    initial : dict
        State variable -> initial value: Quantity, float, an array, :class:`Uniform`,
        :class:`Normal`, or an expression as text, such as ``"E_L + rand()*(V_th - E_L)"``, of
        parameters, ``i``, ``N`` and variables that stand before it in the dict. Random numbers
        follow the seed of a run. Variables that are not named start at zero.
    events : dict
        Event name -> condition or :class:`Event`.
    operations : tuple of Operation
        What else the neurons do.
    links : dict
        Variables declared ``(linked)`` in the equations -> ``"population.variable"``;
        they are connected by the network.
    rates : dict of str to Rate
        Variables that an input sets and that are rates of spikes.
    receptors : dict of str to SynapseModel
        Synapses that the neuron can receive, by name (:meth:`with_synapses`).
    spike_when : str
        Slot of Brian2's schedule in which the threshold is tested. With ``"after_synapses"`` a
        neuron can fire in the step in which its input arrives.
    double : tuple of str
        Variables that stay double precision in a network of single precision, because they
        change by less in a step than single precision resolves.
    exact : tuple of str
        Variables with linear equations of their own, such as traces, that are integrated exactly
        whatever ``method`` is.
    slow : tuple of str
        Variables that outlive a presentation, such as a threshold that adapts over many samples:
        ``Presentation(reset="all")`` leaves them.
    transient : tuple of str
        Variables without a differential equation that it resets, as those that have one are.
    reference : str
        Source with DOI.
    """

    def __attrs_post_init__(self) -> None:
        check_fields(self)

    @classmethod
    def from_group(
        cls, group: NeuronGroup, *, namespace: Mapping[str, Any] | None = None
    ) -> NeuronModel:
        """Make a model of a Brian2 group, for populations of any size.

        Parameters
        ----------
        group : brian2.NeuronGroup
            Its equations, method, threshold, reset, refractoriness, events and operations are
            taken, the values that its variables have now as initial values (one per neuron where
            they differ, which fits populations of the group's size only), and the constants of
            its code as parameters. Its time step is not: a network has its own.
        namespace : mapping, optional
            Names that the group does not hold itself. Default: the variables that are visible
            where this function is called, as for ``brian2.run``.

        Returns
        -------
        NeuronModel

        Raises
        ------
        ParameterError
            If a model cannot hold a part of it: linked variables, functions and TimedArrays,
            operations with a time step of their own, options of a method; or if its code has a
            name that is nothing.

        Examples
        --------
        >>> from brian2 import NeuronGroup, ms
        >>> from biosnn import models
        >>> tau = 10 * ms
        >>> cells = NeuronGroup(5, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0")
        >>> cells.v = 0.5
        >>> model = models.NeuronModel.from_group(cells)
        >>> model.parameters["tau"], model.initial["v"]
        (10. * msecond, 0.5)
        """
        names = get_local_namespace(1) if namespace is None else namespace
        model = cls(**fields_of(group, names))
        model.check_names()
        return model

    def check_names(self) -> None:
        """Check code, names, units and the method.

        Raises
        ------
        ParameterError
            If conditions and statements do not parse, a name has no value or two meanings, units
            do not fit, or the method cannot integrate the equations.
        """
        check_names(self)

    def with_parameters(self, **values: Any) -> NeuronModel:
        """Return a copy with other values of parameters that the model already has."""
        unknown = set(values) - set(self.parameters)
        if unknown:
            raise ParameterError(
                self.name, sorted(unknown)[0], "a value", f"one of {', '.join(self.parameters)}"
            )
        values = with_series(values)
        for name, value in values.items():
            if isinstance(value, Schedule | TimeSeries):
                continue
            like = self.parameters[name]
            if isinstance(like, TimeSeries):
                like = Quantity(1.0, dim=like.dim)
            check_value(self.name, name, value, 1.0 if isinstance(like, Schedule) else like)
        return attrs.evolve(self, parameters={**self.parameters, **values})

    def extended(
        self, equations: str = "", *operations: Operation, links: Mapping[str, str] | None = None
    ) -> NeuronModel:
        """Return a copy with more equations (those it has are kept), operations and links."""
        equations = equation_text(equations)
        check_instance(self.name, "equations", equations, str)
        parsed(self.name, equations)
        known = parsed(self.name, self.equations)
        added = [
            line
            for line in equations.splitlines()
            if line.strip() and not set(parsed(self.name, line).names) & set(known.names)
        ]
        return attrs.evolve(
            self,
            equations="\n".join([self.equations, *added]),
            operations=(*self.operations, *operations),
            links={**self.links, **(links or {})},
        )

    def with_traces(self, traces: Iterable[Trace | Companion]) -> NeuronModel:
        """Return a copy that carries traces, bumped by its spikes, and companions."""
        model = self
        several = isinstance(traces, Iterable) and not isinstance(traces, str)
        traces = tuple(traces) if several else traces
        check_members(self.name, "traces", traces, (Trace, Companion))
        for trace in traces:
            if isinstance(trace, Companion):
                model = model._with_companion(trace)
                driven = sorted(parsed("", trace.equations).diff_eq_names)
                exact = linear_apart(model.equations, driven, model.parameters)
                model = attrs.evolve(model, exact=(*model.exact, *exact))
                continue
            tau = f"tau_{trace.name}"
            taken = {trace.name, tau} & {
                *parsed("", model.equations).names,
                *model.parameters,
            }
            if taken:
                got = f"{sorted(taken)[0]!r} of a trace and of the model itself"
                remedy = 'Rename those of the rule: rule = rule.prefixed("stdp")'
                raise ParameterError(self.name, "traces", got, "a name used once", remedy)
            when, order = behind_spikes(model, trace.when)
            bump = f"{trace.name} {trace.bump}"
            model = attrs.evolve(
                model.extended("", Operation(code=bump, on="spike", when=when, order=order)),
                equations=f"{model.equations}\nd{trace.name}/dt = -{trace.name}/{tau} : 1",
                parameters={**model.parameters, tau: trace.tau},
                exact=(*model.exact, trace.name),
            )
        return model

    def _with_companion(self, companion: Companion) -> NeuronModel:
        known = {*parsed("", self.equations).names, *self.parameters, *self.events}
        taken = known & companion.own()
        if taken:
            raise ParameterError(
                self.name, sorted(taken)[0], "a name of a companion too", "a name used once"
            )
        return attrs.evolve(
            self,
            equations=f"{self.equations}\n{companion.equations}",
            parameters={**self.parameters, **companion.parameters},
            operations=(*self.operations, *companion.operations),
            initial={**self.initial, **companion.initial},
            links={**self.links, **companion.links},
            events={**self.events, **companion.events},
            slow=(*self.slow, *companion.slow),
            transient=(*self.transient, *companion.transient),
        )

    def with_synapses(self, *, method: str | None = None, **synapses: SynapseModel) -> NeuronModel:
        """Return a copy that receives synapses, whose currents add to its input ``I``.

        Every name of a synapse model gets the synapse's own name as an ending: ``g`` of
        ``ampa=...`` becomes the neuron's variable ``g_ampa``. What was ``I`` is called ``I_ext``.

        Parameters
        ----------
        method : str, optional
            Integration method of the whole. By default the model's; ``"exponential_euler"``
            instead of ``"exact"`` where a current depends on ``v`` or the synapses have more
            than one differential equation, or have the time constant of the membrane.
        **synapses : SynapseModel
            Name -> model. Projections refer to the name with ``synapse=``.

        Returns
        -------
        NeuronModel

        Raises
        ------
        ParameterError
            If the model has no input ``I``, a name is taken, or a current has another unit.

        Examples
        --------
        >>> from biosnn import models
        >>> cell = models.lif().with_synapses(exc=models.exponential_current())
        >>> "I_exc" in cell.variables
        True
        """
        model = self
        check_instance(self.name, "method", method, str, optional=True)
        for name, synapse in synapses.items():
            check_receptor(self.name, parsed("", model.equations), model.receptors, name, synapse)
            own = synapse.named(name)
            model = model._with_companion(own.companion)
            equations = received(model.name, model.equations, model.parameters, name, own)
            receptors = {**model.receptors, name: own}
            model = attrs.evolve(model, equations=equations, receptors=receptors)
        if method is None and self.method == "exact":
            all_received = model.receptors.values()
            driven = sum(len(parsed("", s.companion.equations).diff_eq_names) for s in all_received)
            nonlinear = any(synapse.depends_on_v for synapse in all_received)
            inexact = nonlinear or driven > 1 or has_pole(model.equations, model.parameters)
            method = "exponential_euler" if inexact else "exact"
        initial = dict(model.initial)
        if "I" in initial and "I_ext" in parsed("", model.equations).names:
            initial["I_ext"] = initial.pop("I")
        return attrs.evolve(model, method=method or self.method, initial=initial)

    def group(
        self,
        n: int,
        *,
        traces: Iterable[Trace | Companion] = (),
        name: str | None = None,
        single_precision: bool = False,
        **kwargs: Any,
    ) -> NeuronGroup:
        """Make a plain Brian2 group of this model.

        Parameters
        ----------
        n : int
            Number of neurons, > 0.
        traces : iterable of Trace or Companion
            What plasticity rules need on these neurons
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
            operations "step" and those of events as objects it contains. Its attribute ``carries``
            is what was given as ``traces``.

        Raises
        ------
        ParameterError
            If ``n`` is not a positive integer.
        """
        n = check_whole(self.name, "n", n, 1)
        check_size(self, n)
        check_instance(self.name, "name", name, str, optional=True)
        traces = tuple(traces) if isinstance(traces, Iterator) else traces
        group = make_group(
            self.with_traces(traces),
            n,
            single_precision=single_precision,
            **({"name": name} if name else {}),
            **kwargs,
        )
        group.add_attribute("carries")
        group.carries = traces
        return group
