"""Sweeps: what is run, kept, repeated and reported; here, on workers of Dask, and as a command."""

from __future__ import annotations

import json
import logging
import os
import re
import runpy
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from patience import HANG
from sweep_functions import Scores, calls, counts_of, deadly, noted, passed_on
from typer.testing import CliRunner

from biosnn import experiments, plotting, sweeps
from biosnn.cli import app
from biosnn.cli import sweep as command
from biosnn.errors import DataError, DeviceError, Interrupted, MissingExtraError, ParameterError
from biosnn.files import locked_folder
from biosnn.sweeps import clusters

pandas = pytest.importorskip("pandas")
distributed = pytest.importorskip("distributed")

GRID = {"a": [1, 2, 3], "b": ["x", "y"]}


def swept(notes: Path, folder: Path, grid: Any = None, seeds: Any = 3, **more: Any) -> sweeps.Sweep:
    options = {"version": 1, "workers": 0, "progress": False, **more}
    grid = GRID if grid is None else grid
    return sweeps.sweep(Scores(notes), grid, seeds=seeds, folder=folder, **options)


# --- what is run


def test_a_grid_is_a_product_and_all_settings_come_before_the_next_seed() -> None:
    plan = sweeps.planned_runs(GRID, (4, 7), "v")
    assert [tuple(run.setting.values()) for run in plan[:3]] == [(1, "x"), (1, "y"), (2, "x")]
    assert [run.seed for run in plan] == [4] * 6 + [7] * 6
    assert [run.number for run in plan] == 2 * list(range(6))
    keys = {run.key for run in plan}
    assert len(keys) == 12
    other = sweeps.planned_runs([{"b": "x", "a": 1}], [4], "v")
    assert other[0].key == plan[0].key, "a run is known by its content, wherever it stands"
    assert not keys & {run.key for run in sweeps.planned_runs(GRID, (4, 7), "w")}
    assert [run.seed for run in sweeps.planned_runs([{"a": 1}], 2, "v")] == [0, 1]
    quantities = sweeps.planned_runs({"tau": [1, 2] * ms}, 1, "v")
    assert len({run.key for run in quantities} | {plan[0].key}) == 3


@pytest.mark.parametrize(
    ("grid", "seeds", "part"),
    [
        ({"a": 1}, 1, "a single value is a list of one"),
        ({"a": "one"}, 1, "a single value is a list of one"),
        ({"a": []}, 1, "at least one value"),
        ([], 1, "a dict of lists"),
        ("a", 1, "a dict of lists"),
        ([1], 1, "a dict, name -> value"),
        ([{"a": 1}, {"a": 1}], 1, "settings that differ"),
        ({"a": [1, 1]}, 1, "settings that differ"),
        ({"seed": [1]}, 1, "column of this name"),
        ({1: [1]}, 1, "named by texts"),
        ({"a": ["\ud800"]}, 1, "must be a number, a text"),
        ({"a": [print]}, 1, "make the object of it in the function"),
        ({"a": [1]}, 0, "seeds must be a whole number"),
        ({"a": [1]}, (), "at least one seed"),
        ({"a": [1]}, (1, 1), "seeds that differ"),
        ({"a": [1]}, (-1,), "seeds[0] must be"),
        ({"a": range(1001), "b": range(1000)}, 1, "at most 1000000 runs"),
    ],
)
def test_wrong_grids_and_seeds_are_refused(grid: Any, seeds: Any, part: str) -> None:
    with pytest.raises(ParameterError) as error:
        sweeps.planned_runs(grid, seeds, "v")
    assert part.lower() in str(error.value).lower()


def test_what_cannot_be_run_is_refused_before_anything_runs(tmp_path: Path) -> None:
    def refused(part: str, function: Any = print, **more: Any) -> None:
        with pytest.raises(ParameterError, match=part):
            sweeps.sweep(function, {"a": [1]}, folder=tmp_path / "no", **more)

    refused("function must be a function", function=3)
    refused("version must be a text that changes", function=Scores(tmp_path))
    refused("version must be a text or a whole number", version=1.5)
    refused("workers must be a whole number", version=1, workers=-1)
    refused("retries must be a whole number", version=1, workers=0, retries=-1)
    refused("workers must be None together", version=1, workers=1, scheduler="tcp://127.0.0.1:1")
    refused("scheduler must be the address", version=1, scheduler=8786)
    refused("progress", version=1, progress="yes")
    assert not calls(tmp_path)


# --- what is kept


def test_runs_are_kept_reported_and_not_repeated(tmp_path: Path) -> None:
    found = swept(tmp_path, tmp_path / "s")
    assert len(calls(tmp_path)) == 18
    assert Counter(found.runs["status"]) == {"finished": 15, "failed": 3}
    assert set(found.failed["error"]) == {"ValueError: 3y is no setting"}
    for key in found.failed["run"]:
        trace = (tmp_path / "s" / "runs" / key / "error.txt").read_text()
        assert "Traceback" in trace
        assert "3y is\nno setting" in trace

    again = swept(tmp_path, tmp_path / "s")
    assert calls(tmp_path)[18:] == ["3y0", "3y1", "3y2"], "only runs that failed run again"
    pandas.testing.assert_frame_equal(
        again.runs.drop(columns="seconds"), found.runs.drop(columns="seconds")
    )
    wider = swept(tmp_path, tmp_path / "s", {**GRID, "a": [1, 2, 3, 4]}, seeds=4)
    assert len(calls(tmp_path)[21:]) == 24 + 8 - 15
    assert len(wider.runs) == 32
    swept(tmp_path, tmp_path / "s", {"a": [1], "b": ["x"]}, version=2)
    assert len(calls(tmp_path)) == 38 + 3, "another version is another run"


@pytest.mark.parametrize(
    "damage", ["", "{", '{"format": 2}', '{"format": 1}', '{"format": 1, "status": ""}', "[]"]
)
def test_only_whole_results_count(tmp_path: Path, damage: str) -> None:
    found = swept(tmp_path, tmp_path / "s", {"a": [1], "b": ["x"]}, seeds=2)
    path = tmp_path / "s" / "runs" / found.runs["run"][0] / "result.json"
    whole = json.loads(path.read_text())
    path.write_text(damage)
    again = swept(tmp_path, tmp_path / "s", {"a": [1], "b": ["x"]}, seeds=2)
    assert calls(tmp_path) == ["1x0", "1x1", "1x0"]
    assert list(again.runs["score"]) == list(found.runs["score"]) == [10, 11]
    repeated = json.loads(path.read_text())
    assert repeated["setting"] == whole["setting"] == {"a": 1, "b": "x"}
    assert repeated["metrics"] == whole["metrics"]
    assert not list((tmp_path / "s").rglob(".*")), "unfinished files were left behind"


def test_the_tables_have_means_spreads_and_numbers(tmp_path: Path) -> None:
    grid = {**GRID, "tau": [5, 10] * ms}
    found = swept(tmp_path, tmp_path, grid, seeds=(0, 1, 3))
    assert found.settings == ("a", "b", "tau (s)")
    assert found.metrics == ("score", "deep.flag"), "neither lists nor texts have a mean"
    runs = found.runs
    assert list(runs["tau (s)"][:2]) == [0.005, 0.01]
    assert list(runs["metric.b"][:3]) == ["x", "x", "y"], "the setting has its name"
    assert runs["nan"].isna().all()
    assert "deep.list" not in runs
    row = found.summary.query("metric == 'score' and a == 2 and b == 'x' and `tau (s)` == 0.01")
    values = np.array([20, 21, 29])
    assert len(row) == 1
    assert (row["n"].item(), row["failed"].item()) == (3, 0)
    assert row["mean"].item() == pytest.approx(values.mean())
    assert row["std_ddof1"].item() == pytest.approx(
        np.sqrt(((values - values.mean()) ** 2).sum() / 2)
    )
    failed = found.summary.query("metric == 'score' and a == 3 and b == 'y'")
    assert list(failed["n"]) == [0, 0]
    assert list(failed["failed"]) == [3, 3]
    assert failed["mean"].isna().all()
    alone = swept(tmp_path, tmp_path, grid, seeds=1).summary
    assert alone["std_ddof1"].isna().all(), "one run has no spread"

    swept(tmp_path, tmp_path, grid, seeds=(0, 1, 3))
    for name, table in (("runs", runs), ("summary", found.summary)):
        stored = pandas.read_parquet(tmp_path / f"{name}.parquet")
        pandas.testing.assert_frame_equal(
            stored.drop(columns="seconds", errors="ignore"),
            table.drop(columns="seconds", errors="ignore"),
            check_dtype=False,
        )
        text = pandas.read_csv(tmp_path / f"{name}.csv")
        assert list(text.columns) == list(table.columns)
        assert len(text) == len(table)
    means = pandas.read_csv(tmp_path / "summary.csv")["mean"]
    assert np.allclose(means, found.summary["mean"].astype(float), equal_nan=True)


def test_the_figure_shows_means_and_spreads(tmp_path: Path) -> None:
    found = swept(tmp_path, tmp_path, {"a": [100, 1, 10], "b": ["x", "y"]}, seeds=(0, 2))
    ax = found.plot()
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("a", "score", "log")
    lines, labels = ax.get_legend_handles_labels()
    assert labels == ["b x", "b y"]
    assert list(lines[0][0].get_xdata()) == [1, 10, 100]
    assert list(lines[0][0].get_ydata()) == [12, 102, 1002]
    (bars,) = lines[0][2]
    spread = np.std([0, 4], ddof=1)
    low, high = bars.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((12 - spread, 12 + spread))
    texts = found.plot("score", "b")
    assert [text.get_text() for text in texts.get_xticklabels()] == ["x", "y"]
    with pytest.raises(ParameterError, match="metric"):
        found.plot("b")
    with pytest.raises(ParameterError, match="x must be"):
        found.plot(x="c")
    with pytest.raises(ParameterError, match=r"of shape \(2, 1\)"):
        plotting.setting_means([1.0], {"": [[1, 2]]}, xlabel="", ylabel="")
    nothing = sweeps.sweep(Scores(tmp_path), {"a": [3], "b": ["y"]}, folder=tmp_path / "n",
                           version=1, workers=0, progress=False)  # fmt: skip
    with pytest.raises(DataError, match="has a metric"):
        nothing.plot()


def test_settings_are_told_apart_and_metrics_of_any_size_have_a_table(tmp_path: Path) -> None:
    def function(setting: dict[str, Any], seed: int) -> dict[str, Any]:
        if setting["a"] == "1":
            return {"right": 0.5, "large": np.uint64(2**63 + 1), "seed": 5, "metric.seed": 6}
        return {"right": True, "large": 2**70}

    grid = {"a": [1, 1.0, "1", True]}
    found = sweeps.sweep(function, grid, folder=tmp_path, workers=0, progress=False)
    assert list(found.runs["a"]) == ["1", "1.0", '"1"', "true"]
    assert list(found.runs["right"]) == [1, 1, 0.5, 1]
    assert list(found.runs["large"]) == [2.0**70, 2.0**70, 2.0**63, 2.0**70]
    assert found.runs.loc[2, ["seed", "metric.metric.seed", "metric.seed"]].tolist() == [0, 5, 6]
    assert sorted(found.metrics) == ["large", "metric.metric.seed", "metric.seed", "right"]
    assert pandas.read_parquet(tmp_path / "summary.parquet")["mean"].notna().sum() == 10
    line = found.plot("right").lines[0].get_xydata()
    np.testing.assert_array_equal(line[:, 1], [1, 1, 0.5, 1])


def test_columns_of_units_take_no_other_setting_and_gaps_are_drawn(tmp_path: Path) -> None:
    settings = [{"tau": 5 * ms, "tau (s)": 1}, {"tau": 6 * ms}]
    found = sweeps.sweep(lambda setting, seed: {"m": 1.0}, settings, folder=tmp_path, workers=0,
                         progress=False)  # fmt: skip
    assert list(found.runs["tau"]) == ["5. ms", "6. ms"]
    assert found.runs["tau (s)"].tolist() == [1, pandas.NA]
    assert len(found.plot("m", "tau (s)").get_xticks()) == 2
    alone = sweeps.sweep(lambda setting, seed: {"m": 1.0}, [{}], folder=tmp_path, workers=0,
                         progress=False)  # fmt: skip
    with pytest.raises(DataError, match="no setting to be drawn against"):
        alone.plot("m")


def test_a_function_that_ends_the_process_or_changes_its_setting_spoils_no_other_run(
    tmp_path: Path,
) -> None:
    def function(setting: dict[str, Any], seed: int) -> dict[str, Any]:
        setting["a"].append(0)
        if seed == 1:
            sys.exit("no data")
        if seed == 2:
            raise OSError("no file \udcff")
        return {"length": len(setting["a"]), "text": "\ud800"}

    found = sweeps.sweep(function, {"a": [[7]]}, seeds=4, folder=tmp_path, workers=0,
                         progress=False)  # fmt: skip
    assert list(found.runs["length"].dropna()) == [2, 2]
    assert list(found.runs["a"]) == ["[7]"] * 4
    assert list(found.failed["error"]) == ["SystemExit: no data", "OSError: no file \\udcff"]
    assert found.runs["text"][0] == "\\ud800"
    starts = tmp_path / "runs" / found.failed["run"][1] / "starts"
    starts.write_bytes(b"\xff")
    again = sweeps.sweep(function, {"a": [[7]]}, seeds=4, folder=tmp_path, workers=0,
                         progress=False)  # fmt: skip
    assert len(again.failed) == 2


@pytest.mark.parametrize(
    ("returned", "part"),
    [
        (None, "must return a dict of metrics, not None"),
        ({"a": 5 * ms}, "divide quantities by their unit"),
        ({"a": object()}, "the metric 'a' must be"),
        ({1: 2}, "names of metrics must be texts"),
        ({"a": 10**400}, "the metric 'a' must be a number"),
        ({"a": {"b": 1}, "a.b": 2}, "there are two metrics 'a.b'"),
    ],
)
def test_what_is_no_metric_fails_the_run(tmp_path: Path, returned: Any, part: str) -> None:
    def function(setting: dict[str, Any], seed: int) -> Any:
        return returned

    found = sweeps.sweep(function, [{}], folder=tmp_path, workers=0, progress=False)
    assert part in found.failed["error"].item()


def test_a_run_may_keep_files_in_its_own_folder(tmp_path: Path) -> None:
    def function(setting: dict[str, Any], seed: int, folder: Path) -> dict[str, Any]:
        path = folder / "half"
        if not path.exists():
            path.write_text("done")
            raise OSError("disk")
        return {"there": path.read_text()}

    settings = [{"a": 1}, {"a": 2}]
    assert len(sweeps.sweep(function, settings, folder=tmp_path, workers=0).failed) == 2
    found = sweeps.sweep(function, settings, folder=tmp_path, workers=0)
    assert list(found.runs["there"]) == ["done", "done"]
    assert not list(tmp_path.rglob("error.txt"))


def test_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    def function(setting: dict[str, Any], seed: int) -> dict[str, Any]:
        noted(str(tmp_path), seed)
        if seed == 2 and len(calls(tmp_path)) == 3:
            raise KeyboardInterrupt
        return {"score": seed}

    with pytest.raises(Interrupted, match=r"after 2 of 4 runs.*the same call goes on") as error:
        sweeps.sweep(function, [{"a": 1}], seeds=4, folder=tmp_path, workers=0)
    assert error.value.folder == tmp_path
    table = pandas.read_csv(tmp_path / "runs.csv")
    assert list(table["status"]) == ["finished", "finished", "missing", "missing"]
    found = sweeps.sweep(function, [{"a": 1}], seeds=4, folder=tmp_path, workers=0)
    assert calls(tmp_path) == ["0", "1", "2", "2", "3"]
    assert list(found.runs["score"]) == [0, 1, 2, 3]


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("pandas", "pyarrow", "distributed"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(MissingExtraError, match=rf"needs {library}.*biosnn\[sweeps\]"):
                swept(tmp_path, tmp_path / "s", workers=1)
    assert not calls(tmp_path)


# --- on workers


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two workers of a cluster of Dask, of one thread each."""
    folder = tmp_path_factory.mktemp("dask")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, local_directory=str(folder),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as found,
    ):  # fmt: skip
        yield found


def test_a_dead_worker_loses_nothing_and_one_that_always_dies_is_reported(tmp_path: Path) -> None:
    grid = {"kind": ["once", "always", "well"], "notes": [str(tmp_path)]}
    options: dict[str, Any] = {"folder": tmp_path / "s", "retries": 1, "progress": False}
    found = sweeps.sweep(deadly, grid, workers=2, **options)
    assert Counter(calls(tmp_path)) == {"once": 2, "always": 2, "well": 1}
    assert found.failed["kind"].item() == "always"
    assert "died each of the 2 times" in found.failed["error"].item()
    fine = found.runs[found.runs["status"] == "finished"]
    assert list(fine["threads"]) == ["1", "1"]
    assert os.getpid() not in set(fine["pid"])
    for pid in fine["pid"]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    again = sweeps.sweep(deadly, {"kind": ["once"], "notes": [str(tmp_path)]}, **options)
    assert Counter(calls(tmp_path))["once"] == 2, "what is finished needs no worker"
    assert again.runs["pid"].item() == found.runs["pid"][0]


def test_workers_give_what_this_process_gives(tmp_path: Path, client: Any) -> None:
    here = swept(tmp_path, tmp_path / "here")
    address = client.scheduler.address
    there = swept(tmp_path, tmp_path / "there", workers=None, scheduler=address)
    pandas.testing.assert_frame_equal(here.summary, there.summary)
    assert Counter(there.runs["status"]) == {"finished": 15, "failed": 3}


def test_each_network_is_built_once_whoever_begins(tmp_path: Path, client: Any) -> None:
    environment = {"BIOSNN_CACHE_DIR": str(tmp_path / "cache"), "BIOSNN_OPTIMISATION": "0"}
    shared = {"environment": environment, "notes": str(tmp_path)}
    # Both workers begin with the same network.
    settings = [{"neurons": n, "copy": k, **shared} for n in (3, 2) for k in (0, 1)]
    found = sweeps.sweep(
        counts_of, settings, folder=tmp_path / "s", scheduler=client, progress=False
    )
    assert list(found.runs["status"]) == ["finished"] * 4, list(found.runs["error"])
    assert list(found.runs["spikes"]) == [6, 6, 4, 4]
    keys = calls(tmp_path)
    assert len(keys) == len(set(keys)) == 2, "one build for each network, and no more"


def test_workers_of_several_threads_or_without_an_answer_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"processes": False, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, local_directory=str(tmp_path / "dask"), **options
        ) as cluster,
        pytest.raises(ParameterError, match="one thread each, got workers of 2"),
    ):
        swept(tmp_path, tmp_path / "s", workers=None, scheduler=cluster)
    monkeypatch.setattr(clusters, "_CONNECT", 0.5)
    with pytest.raises(DeviceError, match="does not answer"):
        swept(tmp_path, tmp_path / "s", workers=None, scheduler="tcp://127.0.0.1:9")
    assert not calls(tmp_path)


def test_workers_that_do_not_see_the_folder_say_so(tmp_path: Path, client: Any) -> None:
    from biosnn.sweeps import runs

    task = runs.Task(
        function=deadly, setting={}, written={}, seed=0,
        folder=str(tmp_path / "elsewhere" / "runs" / "key"), mark="of the sweep", retries=1,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"does not see the sweep's folder .*elsewhere"):
        client.submit(runs.execute, task).result(timeout=HANG)


def test_slurm_has_one_thread_per_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with sweeps.slurm_cluster(
        0, queue="cpu", memory="2GB", walltime="01:00:00", scheduler_options=here,
        job_extra_directives=["--qos=long"],
    ) as cluster:  # fmt: skip
        script = cluster.job_script()
    for line in ("-p cpu", "--cpus-per-task=1", "--mem=2G", "-t 01:00:00", "--qos=long"):
        assert f"#SBATCH {line}\n" in script
    assert "export OMP_NUM_THREADS=1\n" in script
    assert "--nthreads 1 " in script
    assert "tcp://127.0.0.1:" in script
    with pytest.raises(ParameterError, match="More workers are more jobs"):
        sweeps.slurm_cluster(0, cores=4)
    with pytest.raises(ParameterError, match="quue"):
        sweeps.slurm_cluster(0, quue="cpu", scheduler_options=here)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="there is no sbatch"):
        sweeps.slurm_cluster(2, queue="cpu")


# --- searches of scikit-learn


def test_a_search_on_workers_loses_nothing_to_a_killed_one(tmp_path: Path, client: Any) -> None:
    import joblib
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    from biosnn.estimators import STDPClassifier
    from biosnn.estimators.base import processes

    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    X = np.clip(0.8 * (np.arange(12) // 6 == y[:, None]) + 0.2 * rng.random((16, 12)), 0, 1)
    assert X.nbytes > 1000, "joblib sends it to one worker only"
    pipeline = make_pipeline(
        FunctionTransformer(passed_on, kw_args={"notes": str(tmp_path)}),
        STDPClassifier(norm=9.2, device="runtime", random_state=0),
    )
    grid = {"stdpclassifier__n_neurons": [2, 4], "stdpclassifier__learning_rate": [0.2]}

    def searched() -> GridSearchCV:
        parts = [(np.arange(8), np.arange(8, 16))]
        return GridSearchCV(pipeline, grid, cv=parts, refit=False).fit(X, y)

    alone = searched()
    assert not calls(tmp_path)
    with joblib.parallel_config("dask", client=sweeps.with_copies(client)):
        there = searched()
        asked = (None, 1, 3, -1, -joblib.cpu_count())
        meant = joblib.Parallel()(joblib.delayed(processes)(n_jobs) for n_jobs in asked)
    assert meant == [1, 1, 3, joblib.cpu_count(), 1], "workers do not count each other"
    pids = calls(tmp_path)
    assert len(pids) > 2 * 2, "what the worker that died had done is done again"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids[2]), 0)
    scores = alone.cv_results_["mean_test_score"]
    assert scores.max() > 0.7
    assert np.array_equal(there.cv_results_["mean_test_score"], scores)


# --- experiments


COIN = '''
"""Toss a coin."""
from biosnn import experiments
from biosnn.errors import ParameterError

def run():
    parser = experiments.parser("coin", __doc__, device="runtime")
    parser.add_argument("--sides", type=experiments.whole(1), default=2)
    parser.add_argument("--loaded", action="store_true")
    parser.add_argument("--validation", type=experiments.whole(0), default=0)
    experiments.add_resume_flags(parser)
    args = parser.parse_args()
    if args.sides == 13:
        raise ParameterError("coin", "--sides", 13, "another number")
    experiments.begin(args)
    with open(args.out / "began", "a") as file:
        file.write("resumed " if args.resume else "new ")
    if args.sides == 7:
        raise ValueError("seven")
    if args.sides == 9:
        import time
        print("began", flush=True)
        time.sleep(3600)
    experiments.write_report(
        args,
        metrics={"score": 10 * args.sides + args.seed, "list": [1, 2]},
        controls={"fair": args.loaded},
    )

if __name__ == "__main__":
    experiments.main(run)
'''


@pytest.fixture
def coin(tmp_path: Path) -> Path:
    path = tmp_path / "coin.py"
    path.write_text(COIN)
    return path


def called(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--grid", "side=1,2"), "--grid must be flags of coin"),
        (("--grid", "sides=1,x"), "--sides: must be a whole number"),
        (("--grid", "sides=1,13"), "coin.--sides must be another number"),
        (("--grid", "sides"), "such as neurons=100,400"),
        (("--grid", "sides=1,,2"), "such as neurons=100,400"),
        (("--grid", "sides=1", "--grid", "sides=2"), "each flag once"),
        (("--grid", "loaded=2"), "true or false"),
        (("--grid", "seed=1,2"), "Give --seeds"),
        (("--grid", "sides=1", "--", "--sides", "2"), "other flags than those of --grid"),
        (("--", "--sidse", "2"), "unrecognized arguments: --sidse 2"),
        (("--", "--out", "x"), "Give --out before --"),
        (("--seeds", "a"), "how many seeds"),
        (("--slurm", "nodes=2"), "a NAME of queue"),
        (("--slurm", "queue=cpu", "--scheduler", "tcp://127.0.0.1:9"), "left out together with"),
    ],
)
def test_wrong_commands_are_refused_before_anything_runs(
    tmp_path: Path, coin: Path, words: tuple[str, ...], part: str
) -> None:
    done = called("sweep", coin, "--out", tmp_path / "s", "--workers", 0, *words)
    assert done.exit_code == 2, done.output
    assert part in done.stderr
    assert not (tmp_path / "s" / "runs").exists()


def test_flags_are_checked_without_running(tmp_path: Path, coin: Path) -> None:
    done = called("sweep", coin, "--out", tmp_path / "s", "--check", "--seeds", 3,
                  "--grid", "sides=1,2", "--grid", "loaded=true,false")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "12 runs: 4 settings" in done.stdout
    assert "--validation=1000" in done.stderr, "settings are not compared on the test set"
    assert not (tmp_path / "s").exists()
    for name in experiments.experiment_names():
        check = command.checked_flags(experiments.find_experiment(name), ["--smoke"])
        assert check.values["smoke"] is True
    coin.write_text("print('hello')")
    with pytest.raises(ParameterError, match=r"reads its flags with biosnn\.experiments"):
        command.checked_flags(coin, [])


def test_an_experiment_is_swept_and_resumed(tmp_path: Path, coin: Path) -> None:
    out = tmp_path / "s"
    done = called("sweep", coin, "--grid", "sides=2,7", "--out", out, "--workers", 0,
                  "--", "--validation", 0, "--loaded")  # fmt: skip
    assert done.exit_code == 1, done.output
    assert "1 of 2 runs finished" in done.stdout
    assert "sides 7 seed 0" in done.stderr
    assert "ValueError: seven" in done.stderr
    assert "choose no setting by them" in done.stderr
    table = pandas.read_csv(out / "runs.csv")
    assert list(table["score"]) == [20, pytest.approx(np.nan, nan_ok=True)]
    assert table["control.fair"][0]
    assert table["scored_on"][0] == "test"
    assert (out / "summary.png").stat().st_size > 5000
    again = called("resume", out, "--script", coin)
    assert again.exit_code == 1, again.output
    assert "1 of 2 runs finished" in again.stdout
    began = sorted(path.read_text() for path in out.rglob("began"))
    assert began == ["new ", "new resumed "], "only the run that failed is started again"


def test_the_command_of_a_sweep_that_is_running_stays_in_its_folder(
    tmp_path: Path, coin: Path
) -> None:
    out = tmp_path / "s"
    lock = locked_folder(out, "command.lock")
    done = called("sweep", coin, "--grid", "sides=3", "--out", out, "--workers", 0)
    lock.release()
    assert done.exit_code != 0, done.output
    assert "is in use by another process" in done.stderr
    assert not (out / command.COMMAND).exists()


def test_an_experiment_ends_with_its_worker_and_is_resumed(tmp_path: Path, coin: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    words = [sys.executable, "-P", "-m", "biosnn.cli.sweep_child", str(coin), str(folder)]
    with subprocess.Popen(
        [*words, "--sides=9", "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"began\n"
        child.stdin.close()  # as if the worker were no more
        assert child.wait(timeout=HANG) == -signal.SIGTERM
    run = command.ExperimentRun(script=str(coin), words=("--validation=0",))
    assert run({"sides": 2}, 5, folder)["score"] == 25
    assert (folder / "output" / "began").read_text() == "new resumed "


# --- the guide


def test_the_guide_to_sweeps_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script, because the source code of a function is part of what a run is."""
    pytest.importorskip("optuna")
    guide = Path(__file__).resolve().parents[1] / "docs" / "sweeps.md"
    blocks = re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)
    script = tmp_path / "guide.py"
    script.write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(script), run_name="__main__")
    means = names["found"].summary.set_index("learning_rate")["mean"]
    assert means[0.1] > means[0.0] > 0.3
    assert names["axes"].get_ylabel() == "accuracy"
    assert len(names["study"].trials) == 3
    assert 0.01 <= names["chosen"] <= 0.5
    assert names["study"].best_value > means[0.0]
