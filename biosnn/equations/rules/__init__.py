"""Published learning rules as data, one in each module; ``biosnn.plasticity`` makes factories.

``NAME``, ``PARAMETERS``, ``STATEMENTS`` and ``REFERENCE`` are needed. A parameter's row is
(default, bound, meaning) and, where it may be ``None``, a value in its unit. The bound is one of
numbers, ``"whole"``, a tuple of words, or empty for what ``_plasticity`` checks. Parameters that
the statements use become constants of the rule. Further names:

- ``SCHEDULED``: parameters that may follow a :class:`biosnn.models.Schedule`
- ``PRE_TRACES``, ``POST_TRACES``: fields of :class:`biosnn.models.Trace`, with the name of the
  parameter that is its time constant; a trace whose constant is ``None`` is left out
- ``PRE_COMPANION``, ``POST_COMPANION``: fields of :class:`biosnn.models.Companion`, with names of
  the rule's parameters for its own and for initial values
- ``EQUATIONS``, ``TRANSIENT``: what every synapse holds
- ``MODULATOR``: name of the signal that the keyword ``modulator`` names, and its meaning

In code ``{name}`` stands for the value of a parameter. What depends on an option has a name of its
own and is put together in ``_plasticity``.
"""
