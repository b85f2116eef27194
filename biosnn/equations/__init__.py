"""Published models as data: equations, default parameters with units and bounds, DOI.

One model per module. Each module has the names ``NAME``, ``EQUATIONS``, ``THRESHOLD``,
``RESET``, ``METHOD``, ``PARAMETERS`` (name -> (default, bound, meaning)), ``INITIAL`` (variable
-> initial value, or the name of the parameter that gives it) and ``REFERENCE``; some have
``REFRACTORY``, ``OPERATIONS`` and ``DOUBLE``. ``biosnn.models`` makes neuron models of them.
"""
