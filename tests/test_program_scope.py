"""The code of integration and the meanings of names are those of Brian2 for the same network."""

from __future__ import annotations

import numpy as np
import pytest
from brian2.codegen.translation import analyse_identifiers, make_statements
from brian2.core.functions import Function
from brian2.core.variables import Constant, Subexpression
from zoo import ZOO

from biosnn import networks
from biosnn.devices.runtime.device import RuntimeNetwork
from biosnn.program.integration import integration_code, statements_of
from biosnn.program.lower import lower
from biosnn.program.program import Kernel, Program
from biosnn.program.recorders import Record
from biosnn.program.scope import Scope


@pytest.fixture(scope="module", params=ZOO)
def made(request: pytest.FixtureRequest) -> RuntimeNetwork:
    network: networks.NetworkModel = ZOO[request.param]()
    return RuntimeNetwork(lower(network, Record(per_sample=(f"{network.output}.count",))), "double")


def test_integration_is_that_of_brian2(made: RuntimeNetwork):
    program = made.program
    updates = [kernel for kernel in program.kernels if kernel.kind == "state_update"]
    with made.brian2():
        for kernel in updates:
            updater = made.built.objects[kernel.name]
            updater.update_abstract_code(run_namespace={})
            assert integration_code(program, kernel.owner) == updater.abstract_code


def test_names_are_those_of_brian2(made: RuntimeNetwork):
    program, indices = made.program, set()
    with made.brian2():
        for kernel in program.kernels:
            if kernel.kind in ("statements", "reset", "pathway", "threshold"):
                indices |= _compare(made, program, kernel)
    assert "_idx" in indices


def _compare(made: RuntimeNetwork, program: Program, kernel: Kernel) -> set[str]:
    """Compare the variables in the code of a kernel with Brian2's; the indices that occur."""
    built, scope = made.built, Scope(program, kernel.owner)
    owner = (built.groups | built.synapses)[kernel.owner]
    code = statements_of(program, kernel)
    _, used, unknown = analyse_identifiers(code, owner.variables, recursive=True)
    theirs = owner.resolve_all(used | unknown | {"t", "dt"}, {}, user_identifiers=set())
    ours = scope.variables(kernel.code)
    seen = set()
    for name, expected in theirs.items():
        if isinstance(expected, Subexpression) or name.startswith("_"):
            continue  # what expressions consist of has other names
        variable = ours[name]
        if isinstance(expected, Function):
            assert isinstance(variable, Function), name
            assert variable._return_type == expected._return_type, name
            continue
        assert variable.dtype == expected.dtype, name
        assert variable.dim is expected.dim, name
        assert (variable.scalar, variable.constant) == (expected.scalar, expected.constant), name
        if isinstance(expected, Constant):
            assert variable.get_value() == expected.get_value(), name
            continue
        conditions = [getattr(v.conditional_write, "name", None) for v in (variable, expected)]
        assert conditions[0] == conditions[1], name
        meaning = scope.find(name)
        index = owner.variables.indices[name]
        side = {"pre": "_presynaptic_idx", "post": "_postsynaptic_idx", "own": "_idx", "one": "0"}
        if meaning.kind not in ("neuron", "clock"):
            assert index == side[meaning.index], name
            assert meaning.array.name == expected.name, name
            assert meaning.owner == expected.owner.name, name
            seen.add(index)
    assert _texts(code, ours) == _texts(code, theirs)
    return seen


def _texts(code: str, variables: dict) -> list[tuple]:
    found = make_statements(code, variables, np.float64)
    return [[(s.var, s.op, s.expr, s.scalar) for s in part] for part in found]
