"""Several copies of a network in one program.

Replica ``r`` of a population of ``n`` neurons is the units ``r*n`` to ``(r + 1)*n - 1`` of one
group. Code that asks which neuron it is, or how many there are, gets the answer for one replica.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import Quantity, get_dimensions, get_unit

from biosnn.errors import ParameterError
from biosnn.models import parsed, rename
from biosnn.networks import NetworkModel
from biosnn.program.program import Connection, Group, Kernel, Program
from biosnn.program.replicas import Replicas


def replicate(program: Program, network: NetworkModel, replicas: Replicas) -> Program:
    """Return the program of several copies of a network.

    Parameters
    ----------
    program : Program
        Of one.
    network : NetworkModel
        The declaration, which knows the units of parameters that differ.
    replicas : Replicas
        How many, and what they share.

    Raises
    ------
    ParameterError
        If weights that all copies share would change.
    """
    # What counts for the protocol has no values.
    connections = {
        key: attrs.evolve(
            made,
            shared=bool(made.numbered) and (replicas.shared or made.post == program.protocol),
        )
        for key, made in program.connections.items()
    }
    program = program.changed(replicas=replicas, connections=connections)
    if replicas.n == 1:
        return program
    _check_single_values(program)
    for key, made in program.connections.items():
        if made.shared and key in network.projections:
            _check_shared(program, network, key)
    differ = _differing(network, replicas)
    kernels = tuple(_kernel(program, replicas, kernel) for kernel in program.kernels)
    return program.changed(
        groups={key: _group(program, group, replicas, differ.get(key, {}))
                for key, group in program.groups.items()},
        connections={
            key: _connection(made, replicas) for key, made in program.connections.items()
        },
        kernels=kernels,
    )  # fmt: skip


def _check_single_values(program: Program) -> None:
    """Refuse variables of which all copies would have one value."""
    owners = {**program.groups, **program.connections}
    one = [
        f"{key}.{name}"
        for key, owner in owners.items()
        for name, equation in parsed(key, owner.equations).items()
        if "shared" in equation.flags
    ]
    if one:
        got = f"{min(one)} (shared), of which all copies would have one"
        raise ParameterError("compile", "n_parallel", got, "1 for this network")


def _differing(network: NetworkModel, replicas: Replicas) -> dict[str, dict[str, Any]]:
    """Group -> variable that takes a parameter's place -> its values in the copies, with unit.

    Parameters of a rule are on the postsynaptic neurons, ``projection_parameter``.
    """
    found: dict[str, dict[str, Any]] = {}
    for key, values in replicas.parameters.items():
        if key in network.populations:
            owner, home, prefix = network.populations[key].model, key, ""
        else:
            rule = network.projections[key].rule
            assert rule is not None
            owner, home, prefix = rule, network.projections[key].post, f"{key}_"
        for name, several in values.items():
            dim = get_dimensions(owner.parameters[name])
            given = Quantity(np.asarray(several, dtype=float), dim=dim)
            found.setdefault(home, {})[f"{prefix}{name}"] = given
    return found


def _group(program: Program, group: Group, replicas: Replicas, differ: Mapping[str, Any]) -> Group:
    """Return a group of all copies; parameters that differ become variables of its neurons."""
    if group.name == program.protocol:
        constants = {**group.constants, "stride": replicas.stride}
        return attrs.evolve(group, n=replicas.n, constants=constants)
    names = _names(group.n)
    lines = [group.equations]
    for name, values in differ.items():
        dim = get_dimensions(values)
        unit = "1" if dim.is_dimensionless else repr(get_unit(dim))
        lines.append(f"{name} : {unit} (constant)")
    return attrs.evolve(
        group,
        n=group.n * replicas.n,
        equations=rename("\n".join(lines), names),
        constants={k: v for k, v in group.constants.items() if k not in differ},
        refractory=rename(group.refractory, names)
        if isinstance(group.refractory, str)
        else group.refractory,
        noise={name: rename(code, names) for name, code in group.noise.items()},
        double=(*group.double, *differ),
        fixed={
            name: Quantity(np.repeat(np.asarray(values), group.n), dim=get_dimensions(values))
            for name, values in differ.items()
        },
    )


def _names(n: int) -> dict[str, str]:
    return {"i": f"(i % {n})", "N": str(n)}


def _connection(made: Connection, replicas: Replicas) -> Connection:
    own = replicas.parameters.get(made.name, {})
    return attrs.evolve(
        made,
        equations=rename(made.equations, _synaptic_names(made, replicas)),
        constants={k: v for k, v in made.constants.items() if k not in own},
    )


def _synaptic_names(made: Connection, replicas: Replicas) -> dict[str, str]:
    names = {name: f"{made.name}_{name}_post" for name in replicas.parameters.get(made.name, {})}
    n, m = made.n_pre, made.n_post
    return names | {
        "i": f"(i % {n})",
        "i_pre": f"(i_pre % {n})",
        "N_pre": str(n),
        "j": f"(j % {m})",
        "i_post": f"(i_post % {m})",
        "N_post": str(m),
        "N": str(made.size),
    }


def _kernel(program: Program, replicas: Replicas, kernel: Kernel) -> Kernel:
    if kernel.owner in program.connections:
        names = _synaptic_names(program.connections[kernel.owner], replicas)
    elif kernel.owner in program.groups and kernel.owner != program.protocol:
        names = _names(program.groups[kernel.owner].n)
    else:
        return kernel
    return attrs.evolve(kernel, code=rename(kernel.code, names))


def _check_shared(program: Program, network: NetworkModel, key: str) -> None:
    """Refuse what changes weights which replicas share, while plasticity is off."""
    own = {"w", *network.synaptic(key)}
    reason = ""
    for kernel in program.of(key, "pathway"):
        if kernel.plastic:
            continue
        changed = sorted(assigned(kernel.code) & own)
        if kernel.ends:
            reason = reason or "normalises its weights although it does not learn"
        elif changed:
            reason = f"changes its {changed[0]} when it transmits"
    if reason:
        raise ParameterError(
            "compile",
            "n_parallel",
            f"a projection {key!r} that {reason}",
            "1 for this network",
            "Samples that are shown at once share the weights",
        )


def assigned(code: str) -> set[str]:
    """Names of variables that statements change."""
    tree = ast.parse("\n".join(line.strip() for line in code.strip().splitlines()))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}
