"""Published neurons, synapses and learning rules as data: equations, parameters, DOI.

Each has a module of its own in ``neurons``, ``synapses`` or ``rules``, which say what a module
holds. One line of ``biosnn.models`` or ``biosnn.plasticity`` makes a function of it.
"""
