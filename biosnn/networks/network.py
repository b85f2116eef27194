"""Networks as declarations: checked when they are made, and what their states begin with."""

from __future__ import annotations

import attrs
import numpy as np

from biosnn.declaration import declared
from biosnn.errors import DataError, ParameterError
from biosnn.initial_values import Initial, drawn, settled
from biosnn.models import Companion, Normal, Uniform, neuron_formula, parsed
from biosnn.networks.checks import check_network
from biosnn.networks.initial import synaptic_values
from biosnn.networks.structure import NetworkStructure
from biosnn.state import SEEN, State, aligned, unit_name
from biosnn.validation import LARGEST, check_whole


@declared
@attrs.frozen(eq=False, kw_only=True)
class NetworkModel(NetworkStructure):
    """A network as a declaration: no Brian2 object, no device.

    Parameters
    ----------
    name : str
        The network's name.
    dt : Quantity
        Time step.
    inputs : dict of str to Input
        Named inputs.
    populations : dict of str to Population
        Named populations.
    projections : dict of str to Projection
        Named projections.
    presentation : Presentation
        How samples are shown.
    output : str
        The population that readouts read.
    seed : int
        Seed of the random patterns of connectivity that have none of their own. Initial values
        and all random numbers of a run follow the seed of the run.

    Raises
    ------
    ParameterError
        If names are not identifiers or refer to nothing, numbers do not fit together, no population
        reads an input, or nothing uses a parameter.
    """

    def __attrs_post_init__(self) -> None:
        check_network(self)
        self._check_expressions()

    def _check_expressions(self) -> None:
        """Check that initial values that are expressions are finite, drawn with the seed 0."""
        texts = [v for key in self.populations for v in self.whole_model(key).initial.values()]
        texts += [v for p in self.projections.values() for v in (p.weights, *p.initial.values())]
        if not any(isinstance(text, str) for text in texts):
            return
        try:
            self.initial_state()
        except DataError as error:
            wanted = "expressions with finite values for all neurons and synapses"
            raise ParameterError(self.name, "initial", f"this: {error}", wanted) from error

    def __repr__(self) -> str:
        shown = self.presentation
        rows = [
            (
                "input",
                key,
                spec.kind,
                f"{spec.features} values",
                "optional" if spec.optional else "",
            )
            for key, spec in self.inputs.items()
        ]
        for key, population in self.populations.items():
            driven = ", ".join(population.drives.values())
            notes = [f"driven by {driven}"] * bool(driven) + ["output"] * (key == self.output)
            size = f"{population.n} neurons"
            rows.append(("population", key, population.model.name, size, "; ".join(notes)))
        for key, projection in self.projections.items():
            sides = f"{projection.pre} -> {projection.post}"
            learns = "" if projection.rule is None else f"learns ({projection.rule.name})"
            rows.append(("projection", key, sides, f"{self.n_synapses(key)} synapses", learns))
        head = f"NetworkModel {self.name!r}: dt {self.dt}, {shown.duration} per sample"
        rest = f" and {shown.rest} of rest" if float(shown.rest) else ""
        return "\n".join([head + rest, *aligned(rows)])

    def initial_values(self) -> dict[str, Initial]:
        """What every variable begins with: values, or how they are found."""
        values: dict[str, Initial] = {SEEN: np.zeros(1, dtype=np.int64)}
        for key, population in self.populations.items():
            model = population.begun.with_traces(
                part for part in self.companions(key) if isinstance(part, Companion)
            )
            equations = parsed("", model.equations)
            for variable in model.variables:
                value, name = model.initial_value(variable), f"{key}.{variable}"
                n = 1 if "shared" in equations[variable].flags else population.n
                if isinstance(value, Uniform | Normal):
                    values[name] = value.draw(n)
                elif isinstance(value, str):
                    values[name] = neuron_formula(key, model, equations, variable, n)
                else:
                    integer = equations[variable].var_type == "integer"
                    dtype = np.int64 if integer else np.float64
                    one = np.asarray(value, dtype=dtype)
                    values[name] = np.broadcast_to(one, (n,)).copy()
        for key in self.projections:
            values |= synaptic_values(self, key)
        return settled(values)

    @property
    def units(self) -> dict[str, str]:
        """SI units of all that models and projections declare, as a state has them."""
        owners = {key: self.whole_model(key).equations for key in self.populations}
        for key in self.projections:
            projection = self.resolved(key)
            own = projection.rule.equations if projection.rule else ""
            owners[key] = f"{projection.equations}\n{own}"
        return {
            f"{key}.{name}": unit_name(known[name].dim)
            for key, text in owners.items()
            for known in [parsed(key, text)]
            for name in sorted(known.diff_eq_names | known.parameter_names)
        }

    def initial_state(self, seed: int = 0) -> State:
        """State before the first sample.

        Parameters
        ----------
        seed : int
            Seed of the random initial values. A population's or projection's values depend on
            the seed and on its own name only.

        Returns
        -------
        State
            All variables that models and projections declare, and ``protocol.seen`` = 0.
        """
        check_whole("initial_state", "seed", seed, 0, LARGEST)
        return State(drawn(self.initial_values(), seed), self.shapes, self.units)
