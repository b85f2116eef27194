"""A chunk as files: the settings and inputs that a binary reads, and what it leaves behind.

Settings are lines ``name value``. Inputs are raw arrays: rows of float32 or float64, or for events
three columns of int32 (sample, step, unit). Results are raw arrays, too, with one row per sample,
snapshot or point in time (``artifact.files_of``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np

from biosnn.devices.base.contract import SPIKE_FILES, AddressEvents, Chunk, Settings
from biosnn.devices.base.free_runs import sample_seeds
from biosnn.program.interface import Interface
from biosnn.recording import Recording, Spikes, Trace


@attrs.frozen(kw_only=True)
class Places:
    """Where the files of a chunk are, as the binary shall find them.

    Parameters
    ----------
    state_in, state_out, out : str
        The state before and after the chunk, and the folder of what is recorded.
    parent : int
        The process that waits for the binary; 0 if nobody in particular.
    put : callable
        Keeps an input as raw bytes and says where: ``put(name, array) -> path``.
    seeds : bool
        Whether each sample has a seed; not where draws are functions of the numbers among the
        settings.
    first : str
        Where the values are with which variables begin anew, if not in the network's folder.
    constants : tuple of str
        Number and value of constants that are not what was declared.
    """

    state_in: str
    state_out: str
    out: str
    parent: int
    put: Callable[[str, np.ndarray], str]
    seeds: bool = False
    first: str = ""
    constants: tuple[str, ...] = ()


def settings_lines(
    chunk: Chunk, settings: Settings, plastic: Mapping[str, Sequence[str]], places: Places
) -> list[str]:
    """Keep the inputs of a chunk; the lines of its settings.

    Parameters
    ----------
    chunk, settings
        What shall be run.
    plastic : mapping
        Projection -> code that is switched off where it does not learn.
    places : Places
        Where the files go.
    """
    lines = [
        f"n_samples {chunk.n}",
        f"state_in {places.state_in}",
        f"state_out {places.state_out}",
        f"out {places.out}",
        f"learning {int(bool(settings.learning))}",
        f"parent {places.parent}",
        "check_every_sample 0",
    ]
    for name in ("seed", "epoch", "first_sample", "position", "horizon", "recorder_limit"):
        value = getattr(settings, name)
        lines.append(" ".join([name, *map(str, value if isinstance(value, tuple) else [value])]))
    if places.seeds:
        lines.append(f"seeds {places.put('seeds', sample_seeds(settings, chunk.n))}")
    lines += [f"constant.{constant}" for constant in places.constants]
    if places.first:
        lines.append(f"first {places.first}")
    wanted = {name for key in settings.learning for name in plastic[key]}
    for names in plastic.values():
        lines += [f"inactive {name}" for name in names if name not in wanted]
    for name, values in chunk.inputs.items():
        if values is None:
            continue
        if isinstance(values, AddressEvents):
            columns = np.stack([values.sample, values.step, values.unit])
            data = np.ascontiguousarray(columns, dtype=np.int32)
            lines.append(f"events.{name} {len(values.sample)}")
        else:
            data = np.ascontiguousarray(values)
            lines.append(f"width.{name} {data.itemsize}")
            lines.append(f"frames.{name} {1 if values.ndim == 2 else values.shape[1]}")
        lines.append(f"input.{name} {places.put(name, data)}")
    return lines


def read_recordings(
    out: Path, interface: Interface, networks: int, done: int, position: int
) -> list[Recording]:
    """Read what a chunk left: one recording for each of the independent networks.

    Parameters
    ----------
    out : Path
        The folder.
    interface : Interface
        Of the network.
    networks : int
        How many there are; copies that share their weights are one.
    done, position : int
        Samples of the chunk, and those of the run that came before.
    """
    spikes = {key: _spikes(out, interface, networks, key, done) for key in interface.spikes}
    return [
        _read(out, interface, k, {key: found[k] for key, found in spikes.items()}, done, position)
        for k in range(networks)
    ]


def _read(
    out: Path,
    interface: Interface,
    network: int,
    spikes: dict[str, Spikes],
    done: int,
    position: int,
) -> Recording:
    def rows(name: str, dtype: str, size: int, count: int) -> np.ndarray:
        skipped = network * count * size * np.dtype(dtype).itemsize
        values = np.fromfile(out / name, dtype=dtype, count=count * size, offset=skipped)
        return values.reshape(count, size)

    return Recording(
        per_sample={
            name: rows(name, column.dtype, column.size, done)
            for name, column in interface.per_sample.items()
        },
        shown=rows("shown", "<i4", 1, done)[:, 0],
        spikes=spikes,
        traces={
            name: Trace(
                np.fromfile(out / f"trace.{name}.t", dtype=np.float64),
                np.fromfile(out / f"trace.{name}.values", dtype=column.dtype)
                .reshape(-1, column.size)
                .T,
                np.asarray(column.indices),
                column.unit,
            )
            for name, column in interface.traces.items()
        },
        snapshots={
            name: rows(f"snapshots.{name}", column.dtype, column.size, column.rows(position, done))
            for name, column in interface.snapshots.items()
        },
    )


def _spikes(out: Path, interface: Interface, networks: int, key: str, done: int) -> list[Spikes]:
    """Spikes of a population of each network, in the order in which it has them alone."""
    i, t, sample, attempt = (
        np.fromfile(out / f"spikes.{key}.{name}", dtype=dtype)
        for name, dtype in SPIKE_FILES.items()
    )
    if interface.replicas == 1:
        return [Spikes(i, t, sample, attempt)]
    copy, unit = np.divmod(i, np.int32(interface.spikes[key]))
    network = 0 if interface.shared else copy
    # Copies that have no sample left may go on firing.
    order = np.lexsort((sample, np.broadcast_to(network, sample.shape)))
    order = order[sample[order] < done]
    place = np.broadcast_to(network, sample.shape)[order]
    cuts = np.searchsorted(place, np.arange(1, networks))
    parts = (np.split(values[order], cuts) for values in (unit, t, sample, attempt))
    return [Spikes(*found) for found in zip(*parts, strict=True)]
