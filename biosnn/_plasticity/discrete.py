"""STDP in the discrete-step convention of the deep-learning libraries."""

from __future__ import annotations

import ast
from typing import Any

from brian2.core.functions import DEFAULT_FUNCTIONS

from biosnn._plasticity.checks import bounds, number
from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Companion, Operation
from biosnn.validation import check_value


def discrete_stdp(
    *,
    tau_pre: float = 2.0,
    tau_post: float = 2.0,
    eta: Any = 0.01,
    f_pre: str = "w",
    f_post: str = "w",
    w_min: float = -1.0,
    w_max: float = 1.0,
) -> PlasticityRule:
    """STDP in discrete steps: traces ``tr <- tr - tr/tau + s``, then one change of the weight.

    In every step both traces are updated with the spikes ``s`` of the step, and then
    ``w <- clip(w + eta*(f_post(w)*tr_pre*s_post - f_pre(w)*tr_post*s_pre), w_min, w_max)``,
    where both terms use the weight as it was. There a neuron fires in the step in which its
    input arrives: give the postsynaptic model ``spike_when="after_synapses"`` for that.

    Parameters
    ----------
    tau_pre, tau_post : float
        Time constants of the traces in time steps, >= 1.
    eta : float or Schedule
        Learning rate, >= 0.
    f_pre, f_post : str
        Brian2 expressions of ``w`` that scale depression and potentiation.
    w_min, w_max : float
        Bounds of the weight.

    Notes
    -----
    The traces are no differential equations, so ``Presentation(reset="all")`` leaves them; name
    them in its ``reset={...}`` to begin every sample anew. The convention is that of
    ``spikingjelly.activation_based.learning.STDPLearner`` in single
    steps with a plain gradient step of rate ``eta``: Fang et al. 2023, Sci. Adv. 9:eadi1480,
    doi:10.1126/sciadv.adi1480.
    """
    rule = "DiscreteSTDP"
    for name, code in (("f_pre", f_pre), ("f_post", f_post)):
        _check_expression(rule, name, code)
    down = f"eta*({f_pre})*y_post"
    up = f"eta*({f_post})*x_pre"
    return PlasticityRule(
        name=rule,
        statements=(
            # A postsynaptic spike in the same step does the work of both.
            Statements(
                side="pre",
                code=f"w = clip(w - (1 - y_now_post)*{down}, w_min, w_max)",
                when="before_resets",
            ),
            Statements(
                side="post",
                code=f"w = clip(w + {up} - x_now_pre*{down}, w_min, w_max)",
                when="before_resets",
                order=1,
            ),
        ),
        pre_companion=_trace("x", check_value(rule, "tau_pre", tau_pre, 1.0, "> 0")),
        post_companion=_trace("y", check_value(rule, "tau_post", tau_post, 1.0, "> 0")),
        parameters={"eta": number(rule, "eta", eta), **bounds(rule, w_min, w_max)},
        reference="Fang et al. 2023, doi:10.1126/sciadv.adi1480",
    )


def _trace(name: str, tau: float) -> Companion:
    """A trace in discrete steps, and whether the neuron fires in the present one."""
    if tau < 1:
        raise ParameterError("DiscreteSTDP", "tau", tau, ">= 1 time step")
    return Companion(
        equations=f"{name} : 1\n{name}_now : 1",
        operations=(
            Operation(code=f"{name} -= {name}/tau_{name}\n{name}_now = 0", when="before_groups"),
            Operation(
                code=f"{name} += 1\n{name}_now = 1", on="spike", when="before_resets", order=-1
            ),
        ),
        parameters={f"tau_{name}": tau},
    )


def _check_expression(rule: str, name: str, code: str) -> None:
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except (SyntaxError, AttributeError) as error:
        wanted = "a Brian2 expression of w"
        raise ParameterError(rule, name, repr(code), wanted, str(error)) from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    unknown = used - {"w", "w_min", "w_max"} - set(DEFAULT_FUNCTIONS)
    if unknown:
        wanted = "an expression of w, w_min and w_max"
        raise ParameterError(rule, name, repr(code), wanted, f"{sorted(unknown)[0]} is unknown")
