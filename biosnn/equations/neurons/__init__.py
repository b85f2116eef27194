"""Published neurons as data, one in each module; ``biosnn.models`` makes factories of them.

``NAME``, ``EQUATIONS``, ``THRESHOLD``, ``RESET``, ``METHOD``, ``PARAMETERS`` (name -> default,
bound, meaning), ``INITIAL`` (variable -> initial value, or the name of the parameter that gives
it) and ``REFERENCE`` are needed, and so is what the tests of all neurons know a neuron by:

- ``DRIVE``: a variable, and the value that makes the neuron fire within some ms while it is held
- ``START``: values from which the neuron moves without a spike, also with a tenth of its drive;
  ``STEP``: the longest time step that can follow it there. Neurons without differential equations,
  for which a time step has no length, have neither

Further names:

- ``SILENCE``: value of the driven variable that keeps silent a neuron which fires without input
- ``REFRACTORY``: name of a parameter, or a condition
- ``SOFT_RESET``: what a soft reset subtracts from ``v``; the factory then has ``reset="hard"``
- ``OPERATIONS``: (code, event, slot) of what learns besides
- ``UPDATES``: (code, slot) of what every time step does besides the equations
- ``DOUBLE``, ``SLOW``, ``TRANSIENT``: variables, as in :class:`biosnn.models.NeuronModel`
- ``OPTIONS``: keyword -> its choices, the default first, and its meaning; ``VARIANTS``: choices of
  all of them -> names of this list with another value
- ``SETS``: name -> parameters; ``CHOICE``: keyword that chooses one, its default, its meaning
"""
