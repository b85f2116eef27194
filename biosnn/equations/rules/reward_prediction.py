"""Three-factor rule whose third factor is the error of a one-step reward prediction.

At the end of a presentation ``w += eta*x*y*(R - V)``: ``x`` is 1 if the presynaptic neuron
fired in it, ``y`` is 1 if the postsynaptic one did, ``R`` is the reward in the last time step,
before the synapses, and ``V`` is the reward that the postsynaptic neuron had predicted when it
fired first, before synapses and reset. Only neurons that acted learn; learning stops where the
reward comes as predicted.

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

NAME = "RewardPrediction"
MODULATOR = ("reward", "the reward ``R``")
PARAMETERS = {
    "eta": (0.01, ">= 0", "learning rate"),
    "prediction": (
        "clip(v, 0, 1)",
        "",
        "predicted reward ``V``, an expression in variables of the postsynaptic neuron",
    ),
}
SCHEDULED = ("eta",)
STATEMENTS = (
    {"side": "synapse", "event": "end", "code": "w += eta*x_pre*y_post*(reward_post - V_post)"},
)
PRE_COMPANION = {
    "equations": "x : 1",
    "operations": (
        {"code": "x = 1", "on": "spike", "when": "before_synapses"},
        {"code": "x = 0", "on": "onset"},
    ),
}
POST_COMPANION = {
    "equations": "V : 1\ny : 1",
    "operations": (
        {"code": "V += (1 - y)*({prediction})\ny = 1", "on": "spike", "when": "before_synapses"},
        {"code": "V = 0\ny = 0", "on": "onset"},
    ),
}
REFERENCE = "Rescorla & Wagner 1972; Fremaux & Gerstner 2016, doi:10.3389/fncir.2015.00085"
