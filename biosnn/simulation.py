"""Compile a network for a device and run samples through it.

>>> from biosnn import networks, simulation
>>> network = networks.winner_take_all(784, 100)
>>> runnable = simulation.compile(network, device="cpp", precision="single")  # doctest: +SKIP
>>> recording, state = runnable.run(images, learn=True, seed=1)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from biosnn._simulation.inputs import checked_inputs, cut
from biosnn._simulation.progress import ProgressBar
from biosnn.devices.contract import Device, Settings
from biosnn.devices.cpp_standalone import CompiledNetwork
from biosnn.devices.record import Record
from biosnn.devices.runtime import RuntimeNetwork
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.networks import NetworkModel
from biosnn.recording import Recording, concatenate
from biosnn.state import State

DEVICES = ("runtime", "cpp")
_CHUNK_BYTES = 256 * 2**20
_LARGEST = 2**31 - 1


def compile(
    network: NetworkModel,
    device: str = "cpp",
    *,
    precision: str = "double",
    per_sample: Sequence[str] | None = None,
    spikes: Sequence[str] = (),
    traces: Mapping[str, Any] | None = None,
    math: str = "fast",
    portable: bool = False,
    target: str = "numpy",
) -> Runnable:
    """Make a network runnable.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    device : {"cpp", "runtime"}
        One compiled binary (built once, kept in the cache), or a live Brian2 network here.
    precision : {"double", "single"}
        Of state variables. Times are always double.
    per_sample : sequence of str, optional
        ``"population.variable"`` kept at the end of every sample. Default: the spike counts of
        the network's output. ``count`` and ``t_first`` exist wherever there is a threshold.
    spikes : sequence of str
        Populations whose spikes are recorded one by one.
    traces : dict, optional
        ``"population.variable"`` -> indices of neurons recorded in every time step.
    math : {"fast", "strict"}
        C++ only: let the compiler reorder floating-point operations, or not.
    portable : bool
        C++ only: build for any CPU of this architecture.
    target : {"numpy", "cython"}
        ``runtime`` only: Brian2's code generation target.

    Returns
    -------
    Runnable

    Raises
    ------
    ParameterError
        If the device, the precision or what shall be recorded is unknown.
    DeviceError
        If there is no working compiler, or the build fails.
    """
    if device not in DEVICES:
        raise ParameterError(
            "compile", "device", repr(device), "one of " + ", ".join(map(repr, DEVICES))
        )
    for name, value, among in (
        ("precision", precision, ("double", "single")),
        ("target", target, ("numpy", "cython")),
    ):
        if value not in among:
            raise ParameterError("compile", name, repr(value), " or ".join(map(repr, among)))
    if per_sample is None:
        spiking = network.populations[network.output].model.threshold is not None
        per_sample = (f"{network.output}.count",) if spiking else ()
    record = Record(per_sample=per_sample, spikes=spikes, traces=dict(traces or {}))
    made: Device
    if device == "runtime":
        made = RuntimeNetwork(network, record, precision, target)
    else:
        made = CompiledNetwork(network, record, precision, math, portable)
    return Runnable(network, made, device, precision)


class Runnable:
    """A network on a device, made by :func:`compile`.

    Attributes
    ----------
    network : NetworkModel
        Its declaration.
    device, precision : str
        Where and how it runs.
    build_seconds : float
        What building took (little when the build was in the cache).
    """

    def __init__(self, network: NetworkModel, made: Device, device: str, precision: str):
        self.network = network
        self.device = device
        self.precision = precision
        self._made = made

    @property
    def build_seconds(self) -> float:
        """Seconds that building took."""
        return self._made.build_seconds

    def initial_state(self, seed: int = 0) -> State:
        """Complete state before the first sample, random parts drawn with ``seed``."""
        _whole("initial_state", "seed", seed)
        return self._made.defaults.transferred(self.network.initial_state(seed))

    def run(
        self,
        samples: Any,
        state: State | None = None,
        *,
        learn: bool | Iterable[str] = False,
        seed: int = 0,
        epoch: int = 0,
        first_sample: int = 0,
        horizon: int | None = None,
        chunk_size: int | None = None,
        progress: bool | Callable[[int, int], None] = True,
    ) -> tuple[Recording, State]:
        """Show samples to the network.

        Parameters
        ----------
        samples : array_like or dict
            The samples of the network's only required input, or input name -> samples: shape
            (n, features) for a static input, (n, T, features) for a sequence, and for address
            events a tuple of arrays ``(sample, unit, time)`` with times in seconds since the
            onset, together with ``"n_samples"`` -> n if trailing samples have no event.
        state : State, optional
            State to start from; default: the initial state for ``seed``. It is not changed.
        learn : bool or iterable of str
            Whether plasticity is on, or the names of the projections that learn.
        seed, epoch, first_sample : int
            Key of the counter-based draws: sample ``k`` of this call gets the input spikes of
            ``(seed, epoch, first_sample + k)`` on every device, however it is chunked.
        horizon : int, optional
            Number of learned samples over which schedules run; default: this call's samples
            and those the state has already learned.
        chunk_size : int, optional
            Samples per chunk. Results do not depend on it, unless equations use Brian2's ``t``,
            ``rand()`` or ``xi``, which begin anew with every chunk (``t_sample`` does not).
        progress : bool or callable
            Show a progress bar when it takes longer than two seconds, or call
            ``progress(done, total)``.

        Returns
        -------
        Recording
            What was observed.
        State
            The state after the last sample.

        Raises
        ------
        DataError
            If samples or state have the wrong shape or values.
        ParameterError
            If another argument is out of its range.
        DeviceError
            If the run fails or a state variable becomes NaN or infinite.
        """
        n, inputs = checked_inputs(self.network, samples)
        for name, value in (("seed", seed), ("epoch", epoch), ("first_sample", first_sample)):
            _whole("run", name, value, 2**22 if name == "epoch" else _LARGEST)
        start = self.initial_state(seed) if state is None else self._checked_state(state)
        learning = self._learning(learn)
        if horizon is None:
            horizon = max(start.samples_seen + n, 1)
        _whole("run", "horizon", horizon, least=1)
        rows = chunk_size
        if rows is None:
            row_bytes = sum(
                part[0].nbytes if isinstance(part, np.ndarray) else 4 * spec.features
                for part, spec in zip(inputs.values(), self.network.inputs.values(), strict=True)
            )
            rows = max(_CHUNK_BYTES // max(row_bytes, 1), 1)
        _whole("run", "chunk_size", rows, least=1)
        parts = []
        current = start
        with ProgressBar(n, progress) as bar:
            for first in range(0, n, rows):
                last = min(first + rows, n)
                settings = Settings(
                    seed=seed,
                    epoch=epoch,
                    first_sample=first_sample + first,
                    horizon=horizon,
                    learning=learning,
                )
                chunk = {name: cut(part, first, last) for name, part in inputs.items()}
                recording, current = self._made.run_chunk(
                    last - first,
                    chunk,
                    current,
                    settings,
                    lambda done, first=first: bar.update(first + done),
                )
                _check_finite(current)
                parts.append(recording)
                bar.update(last)
        return concatenate(parts), current

    def _learning(self, learn: bool | Iterable[str]) -> tuple[str, ...]:
        plastic = self.network.plastic_projections
        if isinstance(learn, bool):
            return plastic if learn else ()
        chosen = tuple(learn)
        for name in chosen:
            if name not in plastic:
                raise ParameterError(
                    "run", "learn", repr(name), f"a projection with a rule ({', '.join(plastic)})"
                )
        return chosen

    def _checked_state(self, state: State) -> State:
        expected = self._made.defaults
        for name in expected:
            if name not in state:
                raise DataError(
                    f"run: the state lacks {name!r}; start from runnable.initial_state() and "
                    "use .transferred(state) to take over what another network has learned"
                )
            if state[name].shape != expected[name].shape:
                raise DataError(
                    f"run: state[{name!r}] must have shape {expected[name].shape}, got "
                    f"{state[name].shape}"
                )
        _check_finite(state)
        return state


def _whole(obj: str, name: str, value: Any, most: int = _LARGEST, least: int = 0) -> None:
    valid = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not valid or not least <= value <= most:
        raise ParameterError(obj, name, repr(value), f"a whole number from {least} to {most}")


def _check_finite(state: State) -> None:
    for name, values in state.items():
        if not name.endswith(".t_first") and not np.isfinite(values).all():
            index = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DeviceError(
                f"state variable {name!r} is {values[index]} at index {index}: lower the learning "
                "rate or the time step, or check the equations"
            )
