"""Several copies of a network in one program: what changes in its declaration.

Replica ``r`` of a population of ``n`` neurons is the units ``r*n`` to ``(r + 1)*n - 1`` of one
group. Code that asks which neuron it is, or how many there are, gets the answer for one replica.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import NeuronGroup, linked_var
from brian2.units.fundamentalunits import Quantity, get_dimensions, get_unit

from biosnn.models import Companion, Event, NeuronModel, Operation, Trace, rename
from biosnn.networks import NetworkModel

#: What a network adds to a neuron for its rules or synapses.
_Part = Trace | Companion


@attrs.frozen(kw_only=True, eq=False)
class Replicas:
    """How many copies of a network a program holds, and what they have in common.

    Parameters
    ----------
    n : int
        Number of copies.
    shared : bool
        Whether all copies use the weights of one: full projections without delay have one
        matrix then, and the copies share the samples. Otherwise each copy has its own weights
        and shows all samples.
    parameters : dict
        Population, or projection with a rule -> parameter -> its value (SI) in each copy, where
        they differ.
    """

    n: int = 1
    shared: bool = True
    parameters: Mapping[str, Mapping[str, Sequence[float]]] = attrs.Factory(dict)

    @property
    def stride(self) -> int:
        """Samples from one that a copy shows to its next one."""
        return self.n if self.shared else 1

    def to_data(self) -> dict[str, Any]:
        """JSON types."""
        return attrs.asdict(self)

    def differ(self, network: NetworkModel, key: str) -> dict[str, tuple[Any, Sequence[float]]]:
        """Variables of a population for what differs: a value with its unit, and all values.

        Parameters of a rule are on the postsynaptic neurons, ``projection_parameter``.
        """
        if self.n == 1:
            return {}
        parameters = network.populations[key].model.parameters
        found = {name: (parameters[name], v) for name, v in self.parameters.get(key, {}).items()}
        for name, projection in network.projections.items():
            if projection.post == key and projection.rule is not None:
                for parameter, values in self.parameters.get(name, {}).items():
                    value = projection.rule.parameters[parameter]
                    found[f"{name}_{parameter}"] = value, values
        return found

    def model(self, network: NetworkModel, key: str, model: NeuronModel) -> NeuronModel:
        """Return the model of a population for a group of all copies.

        Parameters that differ become variables of the neurons, in double precision.
        """
        if self.n == 1:
            return model
        n, own = network.populations[key].n, self.differ(network, key)
        constants = {k: v for k, v in model.parameters.items() if k not in own}
        lines, initial = [model.equations], dict(model.initial)
        for name, (like, values) in own.items():
            dim = get_dimensions(like)
            unit = "1" if dim.is_dimensionless else repr(get_unit(dim))
            lines.append(f"{name} : {unit} (constant)")
            initial[name] = Quantity(np.repeat(np.asarray(values, dtype=float), n), dim=dim)
        for name, value in initial.items():
            if name not in own and not isinstance(value, str) and np.ndim(value):
                tiled = np.tile(np.asarray(value), self.n)
                initial[name] = Quantity(tiled, dim=get_dimensions(value))
            elif isinstance(value, str) and value in own:
                initial[name] = initial[value]
        names = _names(n)
        return attrs.evolve(
            model,
            equations=rename("\n".join(lines), names),
            threshold=model.threshold and rename(model.threshold, names),
            reset=model.reset and rename(model.reset, names),
            refractory=rename(model.refractory, names)
            if isinstance(model.refractory, str)
            else model.refractory,
            parameters=constants,
            initial=initial,
            events=_events(model.events, names),
            operations=_operations(model.operations, names),
            double=(*model.double, *own),
        )

    def code(self, n: int, code: str) -> str:
        """Return code of a population of ``n`` neurons, for all copies."""
        return code if self.n == 1 else rename(code, _names(n))

    def part(self, part: _Part, n: int) -> _Part:
        """Return what a population of ``n`` neurons carries for others, for all copies."""
        if self.n == 1:
            return part
        names = _names(n)
        if isinstance(part, Trace):
            return attrs.evolve(part, bump=rename(part.bump, names))
        return attrs.evolve(
            part,
            equations=rename(part.equations, names),
            events=_events(part.events, names),
            operations=_operations(part.operations, names),
        )

    def synaptic(self, network: NetworkModel, key: str, code: str) -> str:
        """Return statements or equations of a projection for all copies."""
        if self.n == 1:
            return code
        projection = network.projections[key]
        n_pre, n_post = (network.populations[side].n for side in (projection.pre, projection.post))
        names = {name: f"{key}_{name}_post" for name in self.parameters.get(key, {})}
        names |= {"i": f"(i % {n_pre})", "i_pre": f"(i_pre % {n_pre})", "N_pre": str(n_pre)}
        names |= {"j": f"(j % {n_post})", "i_post": f"(i_post % {n_post})", "N_post": str(n_post)}
        return rename(code, names | {"N": str(network.n_synapses(key))})

    def pairs(
        self, i: np.ndarray, j: np.ndarray, n_pre: int, n_post: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays of the synapses of all copies, one copy behind the other."""
        copies = np.arange(self.n)[:, None]
        return (copies * n_pre + i).ravel(), (copies * n_post + j).ravel()

    def link(self, group: NeuronGroup, variable: str, owner: NeuronGroup, name: str) -> None:
        """Link a variable of a group to that of another one, within each copy."""
        n, n_owner = len(group) // self.n, len(owner) // self.n
        index = None
        if self.n > 1 and n_owner == 1 and n > 1:
            index = np.repeat(np.arange(self.n), n)
        setattr(group, variable, linked_var(owner, name, index=index))


def _names(n: int) -> dict[str, str]:
    return {"i": f"(i % {n})", "N": str(n)}


def _events(events: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: attrs.evolve(spec, condition=rename(spec.condition, names))
        if isinstance(spec, Event)
        else rename(spec, names)
        for name, spec in events.items()
    }


def _operations(operations: Sequence[Operation], names: Mapping[str, str]) -> tuple[Operation, ...]:
    return tuple(attrs.evolve(part, code=rename(part.code, names)) for part in operations)


def assigned(code: str) -> set[str]:
    """Names of variables that statements change."""
    tree = ast.parse("\n".join(line.strip() for line in code.strip().splitlines()))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}
