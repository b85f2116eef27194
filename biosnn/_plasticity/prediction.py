"""Learning from reward and its prediction: the change is proportional to the prediction's error.

The reward is a *modulator*: a variable of a population of one neuron, which the network computes
(right or wrong, say) or an input streams.

>>> from biosnn import plasticity
>>> rule = plasticity.reward_prediction(modulator="environment.reward", eta=0.01)
"""

from __future__ import annotations

from typing import Any

from biosnn._plasticity.rule import PlasticityRule, Statements
from biosnn.errors import ParameterError
from biosnn.models import Companion, Operation, Schedule
from biosnn.validation import check_value


def reward_prediction(
    *, modulator: str, eta: Any = 0.01, prediction: str = "clip(v, 0, 1)"
) -> PlasticityRule:
    """Three-factor rule whose third factor is the error of a one-step reward prediction.

    At the end of a presentation ``w += eta*x*y*(R - V)``: ``x`` is 1 if the presynaptic neuron
    fired in it, ``y`` is 1 if the postsynaptic one did, ``R`` is the reward, and ``V`` is the
    reward that the postsynaptic neuron had predicted when it fired first. Only neurons that acted
    learn; learning stops where the reward comes as predicted.

    Parameters
    ----------
    modulator : str
        The reward ``R``, as ``"population.variable"`` of a population of one neuron. What counts
        is its value in the last time step of the presentation, before the synapses.
    eta : float or Schedule
        Learning rate, >= 0.
    prediction : str
        The predicted reward ``V``, a Brian2 expression in variables of the postsynaptic neuron.
        It is evaluated at the neuron's first spike of the presentation, before synapses and reset.

    Raises
    ------
    ParameterError
        If ``modulator`` is not of that form, or ``eta`` is out of its bounds.

    Notes
    -----
    The error of prediction that stimuli share is that of Rescorla & Wagner 1972 ("A theory of
    Pavlovian conditioning", in Classical Conditioning II, pp. 64-99); with
    the potential as the prediction, ``V`` is the sum of the weights of the inputs that were
    active, as in their equation. As a product of pre- and postsynaptic activity with reward minus
    expected reward it is a three-factor rule in the sense of Fremaux & Gerstner 2016, Front.
    Neural Circuits 9:85, doi:10.3389/fncir.2015.00085. Their review subtracts one expectation for
    all synapses; here each neuron that acts has its own.
    """
    rule = "RewardPrediction"
    owner, _, variable = modulator.partition(".") if isinstance(modulator, str) else ("", "", "")
    if not (owner.isidentifier() and variable.isidentifier()):
        wanted = '"population.variable"'
        remedy = "Name a variable of a population of one neuron"
        raise ParameterError(rule, "modulator", repr(modulator), wanted, remedy)
    if not isinstance(eta, Schedule):
        check_value(rule, "eta", eta, 1.0, ">= 0")
    return PlasticityRule(
        name=rule,
        statements=(
            Statements(
                side="synapse",
                event="end",
                code="w += eta*x_pre*y_post*(reward_post - V_post)",
            ),
        ),
        pre_companion=Companion(
            equations="x : 1",
            operations=(
                Operation(code="x = 1", on="spike", when="before_synapses"),
                Operation(code="x = 0", on="onset"),
            ),
        ),
        post_companion=Companion(
            equations="V : 1\ny : 1",
            operations=(
                Operation(
                    code=f"V += (1 - y)*({prediction})\ny = 1", on="spike", when="before_synapses"
                ),
                Operation(code="V = 0\ny = 0", on="onset"),
            ),
        ),
        modulators={"reward": modulator},
        parameters={"eta": eta},
        reference="Rescorla & Wagner 1972; Fremaux & Gerstner 2016, doi:10.3389/fncir.2015.00085",
    )
