"""What a neuron model consists of, and what follows from it without checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from biosnn._models.companions import Event, Operation, Rate
from biosnn._models.equation_text import equation_text, parsed
from biosnn._models.parameters import Schedule, TimeSeries, with_series
from biosnn._models.synapse_model import SynapseModel
from biosnn.validation import instance, mapping, members, named, sequence


@attrs.frozen(eq=False, kw_only=True)
class NeuronFields:
    """The fields of a :class:`biosnn.models.NeuronModel`, which describes them."""

    name: str = attrs.field(validator=instance(str))
    equations: str = attrs.field(converter=equation_text)
    threshold: str | None = attrs.field(default=None, validator=instance(str, optional=True))
    reset: str | None = attrs.field(default=None, validator=instance(str, optional=True))
    refractory: Any = None
    method: str = attrs.field(default="exact", validator=instance(str))
    parameters: dict[str, Any] = attrs.field(
        factory=dict, converter=with_series, validator=mapping()
    )
    initial: dict[str, Any] = attrs.field(factory=dict, validator=mapping())
    events: dict[str, Any] = attrs.field(factory=dict, validator=named((str, Event)))
    operations: Sequence[Operation] = attrs.field(default=(), validator=members(Operation))
    links: dict[str, str] = attrs.field(factory=dict, validator=named(str))
    rates: dict[str, Rate] = attrs.field(factory=dict, validator=named(Rate))
    receptors: dict[str, SynapseModel] = attrs.field(factory=dict, validator=named(SynapseModel))
    spike_when: str = "thresholds"
    double: Sequence[str] = attrs.field(default=(), validator=members(str))
    exact: Sequence[str] = attrs.field(default=(), validator=members(str))
    slow: Sequence[str] = attrs.field(default=(), converter=sequence, validator=members(str))
    transient: Sequence[str] = attrs.field(default=(), converter=sequence, validator=members(str))
    reference: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """State variables and parameters that a group stores (linked ones excluded)."""
        equations = parsed("", self.equations)
        return tuple(
            name
            for name in sorted(equations.diff_eq_names | equations.parameter_names)
            if "linked" not in equations[name].flags
        )

    @property
    def fast(self) -> tuple[str, ...]:
        """What ``Presentation(reset="all")`` resets; ``lastspike`` stands for refractoriness."""
        driven = parsed("", self.equations).diff_eq_names | set(self.transient)
        since = ("lastspike",) if self.refractory is not None else ()
        return tuple(name for name in (*sorted(driven), *since) if name not in self.slow)

    @property
    def constants(self) -> dict[str, Any]:
        """The parameters that are plain constants."""
        return {k: v for k, v in self.parameters.items() if not attrs.has(type(v))}

    @property
    def series(self) -> dict[str, TimeSeries]:
        """The parameters that are a :class:`TimeSeries`."""
        return {k: v for k, v in self.parameters.items() if isinstance(v, TimeSeries)}

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The parameters that follow a :class:`Schedule`."""
        return {k: v for k, v in self.parameters.items() if isinstance(v, Schedule)}

    def initial_value(self, variable: str) -> Any:
        """Initial value of a variable: a number, an array, a distribution, or an expression."""
        value = self.initial.get(variable, 0.0)
        named = isinstance(value, str) and value in self.parameters
        return self.parameters[value] if named else value
