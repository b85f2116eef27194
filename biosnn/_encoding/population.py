"""Input populations: neuron models that play samples."""

from __future__ import annotations

from typing import Any

from biosnn.models import NeuronModel

_UNITS = {"t_sample": "second", "intensity": "1"}


def input_population(
    name: str,
    reference: str,
    linked: tuple[str, ...],
    equations: str = "",
    *,
    framed: bool = False,
    **fields: Any,
) -> NeuronModel:
    """A neuron model with the variable ``x``, which an input sets.

    Parameters
    ----------
    name, reference : str
        Of the model.
    linked : tuple of str
        Variables of the presentation that it reads: ``t_sample``, ``intensity``, ``seed``, ...
    equations : str
        Its other variables.
    framed : bool
        Whether blank lines stand around the equations: the fingerprints of networks, and so the
        checkpoints of earlier versions, depend on it.
    **fields
        Other fields of the model.
    """
    lines = ["x : 1", *(f"{k} : {_UNITS.get(k, 'integer')} (linked)" for k in linked), equations]
    text = "\n".join(lines).strip()
    return NeuronModel(
        name=name,
        equations=f"\n{text}\n" if framed else text,
        method="exact",
        links={variable: f"protocol.{variable}" for variable in linked},
        reference=reference,
        **fields,
    )
