"""Compile several time steps of a layer as one function, with fewer passes over memory."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.surrogate.compiler.liveness import Compiled, names_in_tree
from biosnn.surrogate.compiler.operations import OfNumpy
from biosnn.validation import check_whole

#: Names that the source of a layer must not use: it would be compiled anew for every step or call.
_VARYING = ("step_", "rand_", "randn_")

Steps = Callable[[Tensor, dict[str, Tensor], dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]


def check_fused(where: str, n_steps: Any, compiled: Compiled) -> int:
    """Check that so many steps of a program can be compiled as one.

    Raises
    ------
    ParameterError
        If the number is none, or equations use the time or random numbers.
    """
    check_whole(where, "fuse", n_steps)
    functions = (f for f in ast.parse(compiled.source).body if isinstance(f, ast.FunctionDef))
    (names,) = (names_in_tree(function) for function in functions if function.name == "step")
    numpys = (name for name, value in compiled.namespace.items() if isinstance(value, OfNumpy))
    used = [name for name in (*_VARYING, *numpys) if name in names]
    if n_steps and used:
        got = f"{n_steps}, for equations that use {used[0]}"
        wanted = "0 where equations use the time (refractory periods), draws or numpy's functions"
        raise ParameterError(where, "fuse", got, wanted)
    return n_steps


def fused_steps(step: Callable[..., None], output: Callable[[dict, dict], Tensor]) -> Steps:
    """Compile several steps of a program: inputs ``[K, N, *]``, state and constants.

    `output` gives the output of a step from its ports and its state.
    """

    def steps(x_seq: Tensor, state: dict[str, Tensor], fixed: dict[str, Any]) -> Any:
        state, found = dict(state), []
        for x in x_seq.unbind():
            port = {"port_x": x}
            step(0, state, fixed, port)
            found.append(output(port, state))
        return torch.stack(found), state

    return torch.compile(steps)
