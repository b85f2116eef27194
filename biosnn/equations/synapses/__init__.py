"""Published synapses as data, one in each module; ``biosnn.models`` makes factories of them.

``NAME``, ``EQUATIONS`` (of the postsynaptic neuron), ``CURRENT`` (what adds to the neuron's input
``I``), ``TRANSMIT`` (what a presynaptic spike does), ``PARAMETERS`` (name -> default, bound,
meaning), ``STRENGTH`` (the parameter that is the effect of a spike at weight 1) and ``REFERENCE``
are needed. The strength may have another unit than its default: state variables in the default's
unit follow it. A gap junction has ``SYNAPTIC``, equations of every single synapse. Short-term
plasticity lives on the presynaptic neuron: it has ``EQUATIONS``, ``SPIKE`` and ``INITIAL``.
"""
