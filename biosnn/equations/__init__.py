"""Published neurons, synapses and learning rules as data: equations, parameters, DOI.

Each has a module of its own in ``neurons``, ``synapses`` or ``rules``, which say what a module
holds. One line of ``biosnn.models`` or ``biosnn.plasticity`` makes a function of it.
"""

from importlib import import_module
from types import ModuleType


def entry(kind: str, name: str) -> ModuleType:
    """The module of a published neuron, synapse or rule.

    Parameters
    ----------
    kind : {"neurons", "synapses", "rules"}
        Its package.
    name : str
        Its own name.
    """
    return import_module(f"biosnn.equations.{kind}.{name}")
