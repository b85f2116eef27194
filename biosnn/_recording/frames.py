"""A recording as data frames of pandas: one row for each spike, value or point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from biosnn._recording.observed import Observed
from biosnn._recording.parts import clock_of, columns_of, labels_of, named, run_time
from biosnn.errors import NotRecordedError, needs_extra
from biosnn.validation import check_choice

if TYPE_CHECKING:
    import pandas as pd

_WHERE = "Recording.to_pandas"
KINDS = ("spikes", "per_sample", "traces", "snapshots")
_SECONDS = {"t": "s", "time": "s"}


def frame(observed: Observed, what: str, labels: Any) -> pd.DataFrame:
    """See :meth:`biosnn.recording.Recording.to_pandas`."""
    with needs_extra(_WHERE, "results"):
        import pandas as pd
    check_choice(_WHERE, "what", what, KINDS)
    if not getattr(observed, what):
        raise NotRecordedError(
            f"{_WHERE}: there are no {what} in this recording; record them with "
            f"simulation.compile(..., {what}=...)"
        )
    known = labels_of(_WHERE, observed, labels)
    if what != "snapshots":
        clock_of(_WHERE, observed)
    make = {
        "spikes": _spikes, "per_sample": _per_sample, "traces": _traces, "snapshots": _snapshots,
    }[what]  # fmt: skip
    found, units = make(observed)
    if known is not None and "sample" in found:
        found["label"] = known[found["sample"].to_numpy()]
    assert isinstance(found, pd.DataFrame)
    found.attrs = {"units": units, **observed.about}
    return found


def _category(names: Sequence[str], lengths: Sequence[int]) -> pd.Categorical:
    """A column of names, each as often as it is said."""
    import pandas as pd

    codes = np.repeat(np.arange(len(names)), lengths)
    unique = list(dict.fromkeys(names))
    places = np.array([unique.index(name) for name in names])
    return pd.Categorical.from_codes(places[codes], categories=unique)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.asarray(part) for part in parts])


def _spikes(observed: Observed) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    found = list(observed.spikes.values())
    lengths = [len(part.i) for part in found]
    columns: dict[str, Any] = {
        "population": _category(list(observed.spikes), lengths),
        "neuron": _joined([part.i for part in found]),
        "sample": _joined([part.sample for part in found]),
        "attempt": _joined([part.attempt for part in found]),
        "t": _joined([part.t for part in found]),
        "time": _joined([run_time(part) for part in found]),
    }
    units = dict(_SECONDS)
    names = [f"{key}.{name}" for key, part in observed.spikes.items() for name in part.values]
    own = columns_of(names, observed.units, {*columns, "label"})
    values: dict[str, dict[str, NDArray[Any]]] = {}
    for name, column in own.items():
        key, variable = named(name)
        values.setdefault(column, {})[key] = observed.spikes[key].values[variable]
        units[column] = observed.units.get(name, "")
    for column, present in values.items():
        silent = ((key, np.full(len(part.i), np.nan)) for key, part in observed.spikes.items())
        columns[column] = _joined([present.get(key, nothing) for key, nothing in silent])
    return pd.DataFrame(columns), units


def _per_sample(observed: Observed) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    owners: dict[str, dict[str, NDArray[Any]]] = {}
    units: dict[str, str] = {}
    taken = ("population", "neuron", "sample", "shown", "label")
    own = columns_of(observed.per_sample, observed.units, taken)
    for key, values in observed.per_sample.items():
        owners.setdefault(named(key)[0], {})[own[key]] = values
        units[own[key]] = observed.units.get(key, "")
    parts = []
    for variables in owners.values():
        n, size = next(iter(variables.values())).shape
        sample = np.repeat(np.arange(n), size)
        columns = {"neuron": np.tile(np.arange(size), n), "sample": sample}
        columns |= {"shown": np.asarray(observed.shown)[sample]}
        columns |= {name: np.ravel(values) for name, values in variables.items()}
        parts.append(pd.DataFrame(columns))
    whole = pd.concat(parts, ignore_index=True)
    whole.insert(0, "population", _category(list(owners), [len(part) for part in parts]))
    return whole, units


def _traces(observed: Observed) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    names, traces = list(observed.traces), list(observed.traces.values())
    lengths = [part.values.size for part in traces]
    owners, variables = zip(*map(named, names), strict=True)
    columns: dict[str, Any] = {
        "object": _category(owners, lengths),
        "variable": _category(variables, lengths),
        "index": _joined([np.repeat(part.indices, len(part.time)) for part in traces]),
    }
    for name in ("sample", "attempt", "t", "time"):
        tiled = [np.tile(getattr(part, name), len(part.indices)) for part in traces]
        columns[name] = _joined(tiled)
    columns["value"] = _joined([np.ravel(part.values) for part in traces])
    columns["unit"] = _category([part.unit for part in traces], lengths)
    return pd.DataFrame(columns), dict(_SECONDS)


def _snapshots(observed: Observed) -> tuple[pd.DataFrame, dict[str, str]]:
    import pandas as pd

    names, arrays = list(observed.snapshots), list(observed.snapshots.values())
    lengths = [part.size for part in arrays]
    owners, variables = zip(*map(named, names), strict=True)
    columns: dict[str, Any] = {
        "object": _category(owners, lengths),
        "variable": _category(variables, lengths),
        "snapshot": _joined([np.repeat(np.arange(len(part)), part.shape[1]) for part in arrays]),
        "index": _joined([np.tile(np.arange(part.shape[1]), len(part)) for part in arrays]),
        "value": _joined([np.ravel(part) for part in arrays]),
        "unit": _category([observed.units.get(name, "") for name in names], lengths),
    }
    return pd.DataFrame(columns), {}
