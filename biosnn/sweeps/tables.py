"""The tables of a sweep: its runs, and their means by setting."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from brian2.units.fundamentalunits import Quantity, get_unit_for_display

from biosnn.declaration import to_data
from biosnn.errors import DataError, needs_extra
from biosnn.files import replace
from biosnn.plotting.settings import setting_means
from biosnn.sweeps.plan import RESERVED, PlannedRun
from biosnn.sweeps.runs import Outcome, scalars
from biosnn.validation import check_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def check_tables() -> None:
    """Check that what tables are made with is installed."""
    with needs_extra("biosnn.sweeps", "sweeps"):
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401


@attrs.frozen(eq=False, kw_only=True)
class Sweep:
    """What a sweep gave.

    Attributes
    ----------
    folder : Path
        Where it is kept: ``runs.csv``, ``summary.csv``, both also as ``.parquet``, and a folder
        ``runs/RUN`` for each run.
    runs : pandas.DataFrame
        A row per run: its setting, ``seed``, ``status`` ("finished", "failed" or "missing"),
        ``error``, ``seconds``, ``run`` (the name of its folder) and the metrics that are single
        numbers or texts; those in dicts have dotted names. A metric whose name is taken is called
        ``metric.NAME``. Quantities are in SI units, which the column's name states.
    summary : pandas.DataFrame
        A row per setting and metric of numbers: ``n`` finished runs that have a finite value,
        their ``mean`` and ``std_ddof1`` (the standard deviation with n - 1 degrees of freedom; none
        for one run), and how many runs of the setting ``failed``.
    settings : tuple of str
        The columns that hold settings.
    metrics : tuple of str
        Those that hold metrics of numbers.
    """

    folder: Path
    runs: DataFrame
    summary: DataFrame
    settings: tuple[str, ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, plan: Sequence[PlannedRun], outcomes: Mapping[str, Outcome]) -> Sweep:
        """The tables of planned runs, of which some have ended."""
        import pandas

        settings = _setting_columns([run.setting for run in plan])
        rows = [
            _run_cells(run, outcomes.get(run.key), taken={*RESERVED, *settings}) for run in plan
        ]
        own, found = zip(*rows, strict=True)
        metrics = {name: _of_one_kind(values) for name, values in _columns(found).items()}
        columns = {**settings, **_columns(own), **metrics}
        runs = pandas.DataFrame({name: _uniform(values) for name, values in columns.items()})
        numeric = tuple(name for name, values in metrics.items() if _are_numbers(values))
        numbers = [run.number for run in plan]
        summary = _summary(runs, numbers, tuple(settings), numeric)
        return cls(
            folder=folder,
            runs=runs,
            summary=summary,
            settings=tuple(settings),
            metrics=numeric,
        )

    @property
    def failed(self) -> DataFrame:
        """The runs that failed."""
        return self.runs[self.runs["status"] == "failed"]

    def write(self) -> None:
        """Write both tables into the folder, as CSV and as Parquet.

        Raises
        ------
        StorageError
            If they cannot be written.
        """
        for name, table in (("runs", self.runs), ("summary", self.summary)):
            replace(self.folder / f"{name}.csv", table.to_csv(index=False).encode())
            packed = BytesIO()
            table.to_parquet(packed, index=False)
            replace(self.folder / f"{name}.parquet", packed.getvalue())

    def plot(
        self, metric: str | None = None, x: str | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """Draw the mean of a metric, with its standard deviation, against a setting.

        Parameters
        ----------
        metric : str, optional
            One of ``metrics``; default: the first.
        x : str, optional
            One of ``settings``; default: the first. There is a line for each combination of the
            others.
        ax : Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        ParameterError
            If there is no such metric or setting.
        DataError
            If no run has a metric.
        """
        if not self.metrics:
            raise DataError(f"no run of the sweep in {self.folder} has a metric: see its errors")
        metric = self.metrics[0] if metric is None else metric
        check_choice("plot", "metric", metric, self.metrics)
        if not self.settings:
            raise DataError(f"the sweep in {self.folder} has no setting to be drawn against")
        x = self.settings[0] if x is None else x
        check_choice("plot", "x", x, self.settings)
        others = [name for name in self.settings if name != x]
        part = self.summary[self.summary["metric"] == metric]
        numbers = part[["mean", "std_ddof1"]].astype(float).to_numpy(na_value=np.nan)
        rows = part[list(self.settings)].astype(object).where(part.notna(), "none")
        places = list(dict.fromkeys(rows[x]))
        lines: dict[str, Any] = {}
        for (_, row), values in zip(rows.iterrows(), numbers, strict=True):
            label = ", ".join(f"{name} {row[name]}" for name in others)
            line = lines.setdefault(label, np.full((2, len(places)), np.nan))
            line[:, places.index(row[x])] = values
        return setting_means(places, lines, xlabel=x, ylabel=metric, ax=ax)


def _run_cells(
    run: PlannedRun, outcome: Outcome | None, taken: set[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a row says of the run itself, and its metrics."""
    if outcome is None:
        ended = ("missing", None, None)
    else:
        ended = (outcome.status, outcome.error or None, outcome.seconds)
    own: dict[str, Any] = {"run": run.key, "seed": run.seed}
    own |= dict(zip(("status", "error", "seconds"), ended, strict=True))
    metrics = {} if outcome is None else outcome.metrics
    found: dict[str, Any] = dict(scalars(metrics))
    return own, {_free(name, taken, found): value for name, value in found.items()}


def _free(name: str, taken: set[str], metrics: Mapping[str, Any]) -> str:
    """The column of a metric: its name, or one that no setting, column or metric has."""
    if name not in taken:
        return name
    while name in taken or name in metrics:
        name = f"metric.{name}"
    return name


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _setting_columns(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Column -> a number or a text for each run."""
    columns, found = {}, _columns(settings)
    for name, values in found.items():
        units = {_unit(value) for value in values if value is not None}
        unit = units.pop() if len(units) == 1 else ""
        if unit and f"{name} ({unit})" not in found:
            numbers = [None if value is None else float(value) for value in values]
            columns[f"{name} ({unit})"] = numbers
        else:
            columns[name] = _told_apart(values)
    return columns


def _told_apart(values: Sequence[Any]) -> list[Any]:
    """Cells of settings; as JSON where 1, 1.0, True and "1" would look the same."""
    cells = [_cell(value) for value in values]
    different = {(type(cell), cell) for cell in cells}
    if len({str(cell) for cell in cells}) < len(different) or len(set(cells)) < len(different):
        return [None if value is None else json.dumps(to_data(value)) for value in values]
    return cells


def _unit(value: Any) -> str:
    if isinstance(value, Quantity) and value.ndim == 0 and not value.is_dimensionless:
        return str(get_unit_for_display(value.dim))
    return ""


def _cell(value: Any) -> Any:
    if isinstance(value, Quantity):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return json.dumps(to_data(value))


def _are_numbers(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, bool | int | float) for value in present)


def _of_one_kind(values: list[Any]) -> list[Any]:
    """A metric's values; flags among numbers are 0 and 1."""
    flags = [isinstance(value, bool) for value in values if value is not None]
    if not _are_numbers(values) or all(flags) or not any(flags):
        return values
    return [int(value) if isinstance(value, bool) else value for value in values]


def _uniform(values: Sequence[Any]) -> Any:
    """A column of one type: whole numbers, numbers, flags or texts, each with gaps."""
    import pandas

    present = [value for value in values if value is not None]
    for kind, name in ((bool, "boolean"), (int, "Int64"), (int | float, "Float64")):
        if present and all(
            isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
            for value in present
        ):
            with contextlib.suppress(OverflowError, TypeError):  # of integers beyond 64 bits
                return pandas.array(values, dtype=name)
    texts = [None if value is None else str(value) for value in values]
    return pandas.array(texts, dtype="string")


def _summary(
    runs: DataFrame, numbers: Sequence[int], settings: tuple[str, ...], metrics: tuple[str, ...]
) -> DataFrame:
    """Mean and spread of each metric over the finished runs of each setting."""
    import pandas

    rows = []
    for _, part in runs.groupby(np.asarray(numbers), sort=True):
        failed = int((part["status"] == "failed").sum())
        shared = {name: part[name].iloc[0] for name in settings}
        for metric in metrics:
            values = part[metric].dropna().astype(float)
            rows.append({
                **shared,
                "metric": metric,
                "n": len(values),
                "mean": values.mean() if len(values) else None,
                "std_ddof1": values.std(ddof=1) if len(values) > 1 else None,
                "failed": failed,
            })  # fmt: skip
    columns = [*settings, "metric", "n", "mean", "std_ddof1", "failed"]
    table = pandas.DataFrame(rows, columns=columns)
    kinds = {name: runs[name].dtype for name in settings}
    kinds |= {"metric": "string", "n": "Int64", "mean": "Float64"}
    return table.astype({**kinds, "std_ddof1": "Float64", "failed": "Int64"})
