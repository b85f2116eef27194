"""What all exports of a recording need: times of presentations, labels, names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn._recording.observed import Observed, RunClock, Spikes, no_clock
from biosnn.errors import DataError


@attrs.frozen(eq=False)
class Presentations:
    """All presentations of a run, in their order.

    Parameters
    ----------
    sample, attempt : numpy.ndarray of int, shape (n,)
        What was shown, and at which attempt.
    onset : numpy.ndarray, shape (n,)
        In s since the beginning of the run.
    slot : float
        Seconds that each takes, with its rest.
    """

    sample: NDArray[np.int64]
    attempt: NDArray[np.int64]
    onset: NDArray[np.float64]
    slot: float


def clock_of(where: str, observed: Observed) -> RunClock:
    """The clock of a recording.

    Raises
    ------
    DataError
        If it belongs to no run.
    """
    if observed.clock is None:
        raise no_clock(f"{where}: recordings")
    return observed.clock


def presentations_of(clock: RunClock) -> Presentations:
    """The presentations that a clock counts."""
    sample = np.repeat(np.arange(len(clock.shown)), clock.shown)
    number = np.arange(len(sample))
    onset = np.asarray(clock.begin + number * clock.steps * clock.dt, dtype=np.float64)
    return Presentations(sample, number - clock.first[sample], onset, clock.slot)


def run_time(spikes: Spikes) -> NDArray[np.float64]:
    """Times of spikes in s since the beginning of the run, also of groups with other clocks."""
    alone = spikes.clock is not None and spikes.clock.presentations == 1
    return np.asarray(spikes.t) if alone else spikes.time


def size_of(spikes: Spikes) -> int:
    """Neurons of a population, those that are silent included as far as they are known."""
    return spikes.n if spikes.n is not None else int(np.max(spikes.i, initial=-1)) + 1


def labels_of(where: str, observed: Observed, labels: Any) -> NDArray[Any] | None:
    """Labels of the samples of a recording.

    Raises
    ------
    DataError
        If there is not one for each.
    """
    if labels is None:
        return None
    found, n = np.asarray(labels), len(observed.shown)
    if found.shape != (n,) or found.dtype.kind not in "biufUS":
        got = f"{found.dtype} of shape {found.shape}"
        raise DataError(
            f"{where}: labels must be numbers or texts of shape ({n},), one for each sample that "
            f"was shown, got {got}; for several epochs, repeat them (numpy.tile)"
        )
    if found.dtype.kind not in "US":
        return found
    texts = found.astype(str)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        bad = ascii(error.object[error.start])
        raise DataError(f"{where}: labels must be texts that can be written, got {bad}") from None
    return texts


def columns_of(
    names: Iterable[str], units: Mapping[str, str], taken: Collection[str]
) -> dict[str, str]:
    """Columns for ``"owner.variable"``: the variable, if all that are called so have one unit.

    Those of several units, or whose name another column has, keep their whole name.
    """
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(named(name)[1], set()).add(units.get(name, ""))
    shared = {variable for variable, said in found.items() if len(said) == 1} - set(taken)
    return {name: named(name)[1] if named(name)[1] in shared else name for name in names}


def named(name: str) -> tuple[str, str]:
    """Owner and variable of what is recorded under ``"owner.variable"``."""
    owner, _, variable = name.partition(".")
    return owner, variable
