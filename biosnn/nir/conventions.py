"""How a graph of continuous time becomes time steps, in NIR's words or in a framework's."""

from __future__ import annotations

from typing import Any

import attrs
from brian2 import ms, second, us

from biosnn.errors import ParameterError
from biosnn.validation import check_choice, check_value, choice, flag


@attrs.frozen(kw_only=True)
class Convention:
    """How equations of NIR, which knows no time step, are computed in time steps.

    A spike is a current of 1 that is held for one time step. Signals pass stateless nodes, and from
    layer to layer, within a time step; what closes a loop acts in the next one.

    Parameters
    ----------
    name : str
        What it is called in messages.
    dt : Quantity, optional
        Time step that the framework's exporter assumes where the user does not say another.
    integration : {"exact", "euler"}
        The exact solution for an input that is held in a time step, or forward Euler.
    fires : {">", ">="}
        How the potential is compared with the threshold.
    reset : {"v_reset", "subtract"}, optional
        To ``v_reset``, or by subtraction of the threshold, which NIR cannot say. ``None`` where a
        framework does either, so that the user has to say it.
    reset_delay : bool
        Whether the reset takes place in the time step after the spike, as in snnTorch. What is
        subtracted is not decayed then; with a reset to ``v_reset``, CubaLIF and neurons that
        project to themselves lose the input of that step.
    synapse : {"filter", "jump"}
        Whether the input of CubaLIF and CubaLI is filtered, as NIR has it, or adds ``w_in`` to the
        synaptic current at once, as in Norse (forward Euler only).
    current : {"updated", "previous"}
        Whether the membrane of CubaLIF and CubaLI sees the synaptic current of this time step or
        that of the last one. With ``integration="exact"`` both are solved together.
    start : {"v_leak", "zero", "v_reset"}
        Potential at the beginning of a sample; IF and I begin at 0, or at ``v_reset``.
    gain : {"any", "one", "r"}
        What the framework can read: any ``r``; only such that an input of 1 adds 1 to ``v``
        (``r = tau/dt``); or only ``r = 1``. :func:`biosnn.nir.to_nir` scales weights accordingly.
    """

    name: str = "own"
    dt: Any = None
    integration: str = attrs.field(default="exact", validator=choice("exact", "euler"))
    fires: str = attrs.field(default=">", validator=choice(">", ">="))
    reset: str | None = attrs.field(
        default="v_reset", validator=attrs.validators.optional(choice("v_reset", "subtract"))
    )
    reset_delay: bool = attrs.field(default=False, validator=flag())
    synapse: str = attrs.field(default="filter", validator=choice("filter", "jump"))
    current: str = attrs.field(default="updated", validator=choice("updated", "previous"))
    start: str = attrs.field(default="v_leak", validator=choice("v_leak", "zero", "v_reset"))

    gain: str = attrs.field(default="any", validator=choice("any", "one", "r"))

    def __attrs_post_init__(self) -> None:
        if self.synapse == "jump" and self.integration == "exact":
            got, wanted = "'jump' with integration 'exact'", "'filter' where it is exact"
            raise ParameterError("Convention", "synapse", got, wanted)

    def step(self, dt: Any) -> Any:
        """The time step: that of the user, or the exporter's.

        Raises
        ------
        ParameterError
            If there is neither, or it is not > 0 s.
        """
        if dt is None and self.dt is None:
            wanted = "given: NIR stores no time step"
            remedy = f"Give dt=1*ms, or a convention whose exporter has one ({_with_a_step()})"
            raise ParameterError("from_nir", "dt", None, wanted, remedy)
        return check_value("from_nir", "dt", self.dt if dt is None else dt, ms, "> 0")


def _with_a_step() -> str:
    return ", ".join(key for key, one in CONVENTIONS.items() if one.dt is not None)


#: Name -> convention.
CONVENTIONS: dict[str, Convention] = {
    one.name: one
    for one in (
        Convention(name="nir"),
        Convention(
            name="snntorch",
            dt=0.1 * ms,
            integration="euler",
            reset=None,
            reset_delay=True,
            start="zero",
            gain="one",
        ),
        # Its exporter multiplies time constants by 1e-3, so that a step of 1 ms becomes 1 us.
        Convention(name="norse", dt=1 * us, integration="euler", synapse="jump", gain="r"),
        # It has no time but steps; 1 s stands for one.
        Convention(name="sinabs", dt=1 * second, fires=">=", reset=None, start="zero", gain="r"),
        Convention(
            name="spikingjelly",
            dt=0.1 * ms,
            integration="euler",
            fires=">=",
            start="v_reset",
            gain="one",
        ),
    )
}


def convention_of(given: Any) -> Convention:
    """A convention by its name, or as it is.

    Raises
    ------
    ParameterError
        If the name is unknown.
    """
    if isinstance(given, Convention):
        return given
    check_choice("from_nir", "convention", given, CONVENTIONS)
    return CONVENTIONS[given]
