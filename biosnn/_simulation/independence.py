"""Whether samples leave something behind that later ones notice: compared, not proven."""

from __future__ import annotations

import numpy as np

from biosnn._simulation.sinks import rows_of
from biosnn.devices.contract import Interface
from biosnn.errors import ParameterError
from biosnn.recording import Recording
from biosnn.state import State

_REMEDY = "Reset it at each onset (Presentation.reset), or show the samples one by one"

#: Of the largest value of a variable.
_ROUNDING = {"double": 1e-9, "single": 1e-4}

#: What a run showed, and the state after it.
Outcome = tuple[Recording, State]


def check_same(interface: Interface, one: Outcome, other: Outcome, option: str, n: int) -> None:
    """Check that two runs of the same samples from different states went the same way.

    Parameters
    ----------
    interface : Interface
        Of the network.
    one, other : (Recording, State)
        What they gave.
    option, n
        The argument of a run that rests on it, and its value.

    Raises
    ------
    ParameterError
        Naming a variable or a recording that differs in any bit; where a device adds up in varying
        order, that differs by more than rounding.
    """
    for name, values in other[1].items():
        if not _equal(interface, one[1][name], values):
            raise _depends(option, n, name)
    found, wanted = (rows_of(interface, part[0], 0, 0) for part in (one, other))
    for name, rows in wanted.items():
        if not _equal(interface, found[name], rows):
            raise _depends(option, n, name)


def _equal(interface: Interface, one: np.ndarray, other: np.ndarray) -> bool:
    if interface.ordered or one.dtype.kind != "f":
        return one.tobytes() == other.tobytes()
    if one.shape != other.shape:
        return False
    scale = np.max(np.abs(other[np.isfinite(other)]), initial=0.0)
    near = _ROUNDING[interface.precision] * scale
    return np.allclose(one, other, rtol=0, atol=near, equal_nan=True)


def _depends(option: str, n: int, name: str) -> ParameterError:
    wanted = f"1 for this network: {name} depends on the samples before"
    return ParameterError("run", option, n, wanted, _REMEDY)
