"""Find published neurons, synapses and rules by their names."""

from importlib import import_module
from types import ModuleType


def published_entry(kind: str, name: str) -> ModuleType:
    """The module of a published neuron, synapse or rule.

    Parameters
    ----------
    kind : {"neurons", "synapses", "rules"}
        Its package.
    name : str
        Its own name.
    """
    return import_module(f"biosnn.equations.{kind}.{name}")
