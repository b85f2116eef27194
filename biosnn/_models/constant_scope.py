"""Subexpressions of a group keep their own constants wherever they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import NeuronGroup
from brian2.core.variables import Constant, Subexpression
from brian2.units.fundamentalunits import Quantity, get_dimensions

from biosnn._models.identifiers import rename


class GroupConstant(Constant):
    """A constant of a group's namespace that its subexpressions take along.

    ``declared`` is the group's name and the constant's in it.
    """

    def __init__(self, group: NeuronGroup, name: str):
        value = group.namespace[name]
        self._namespace, self._key = group.namespace, name
        self.declared = group.name, name
        super().__init__(
            f"_const_{name}", _plain(value), dimensions=get_dimensions(value), owner=group
        )

    def get_value(self) -> Any:
        """The value that the group's namespace has now."""
        return _plain(self._namespace[self._key])

    item = get_value


def _plain(value: Any) -> Any:
    return np.asarray(value).item() if isinstance(value, Quantity) else value


def close_subexpressions(group: NeuronGroup) -> None:
    """Bind the constants in a group's subexpressions to the group.

    Brian2 looks for the constants of ``F_pre``, or of a link to ``F``, in the namespace of the
    synapses or of the group that has the link.

    Parameters
    ----------
    group : brian2.NeuronGroup
        Just made, with its constants in its namespace.
    """
    for variable in list(group.variables.values()):
        if not isinstance(variable, Subexpression):
            continue
        names = {
            name: f"_const_{name}"
            for name in variable.identifiers
            if name not in group.variables and name in group.namespace
        }
        for name, known in names.items():
            if known not in group.variables:
                group.variables._add_variable(known, GroupConstant(group, name))
        if names:
            variable.expr = rename(variable.expr, names)
            variable.identifiers = frozenset(names.get(k, k) for k in variable.identifiers)
