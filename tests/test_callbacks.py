"""Callbacks of trainings: what they are told, that they only look on, and TensorBoard's log."""

from __future__ import annotations

import builtins
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from biosnn import experiments, networks, simulation
from biosnn.callbacks import Callback, Context, RunInfo, TensorBoard
from biosnn.errors import CallbackError, ParameterError
from biosnn.estimators import STDPClassifier, STDPFeatures
from biosnn.models import Schedule
from biosnn.networks import NetworkModel
from biosnn.simulation.jobs.experiment import _WithJobs

pytestmark = pytest.mark.usefixtures("numpy_target")

SAMPLES = np.random.default_rng(2).random((24, 9))
ETA = Schedule(start=0.4, stop=0.1)


def learner() -> NetworkModel:
    return networks.winner_take_all(
        9, 4, theta=4.0, max_rate=300 * Hz, duration=20 * ms, eta=ETA, weight_norm=3.0
    )


@pytest.fixture(scope="module")
def runnable() -> simulation.Runnable:
    return compiled()


class Log(Callback):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.infos: list[RunInfo] = []
        self.told: list[tuple[int, dict[str, float]]] = []
        self.states: list[Any] = []
        self.ends: list[BaseException | None] = []

    def on_start(self, info: RunInfo) -> None:
        self.infos.append(info)

    def on_metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
        self.told.append((step, dict(metrics)))
        if context.state is not None:
            self.states.append(context.state())

    def on_end(self, error: BaseException | None) -> None:
        self.ends.append(error)

    @property
    def steps(self) -> list[int]:
        return [step for step, _ in self.told]


class Raises(Callback):
    """Fails in one of its methods."""

    def __init__(self, where: str, at: int = 0):
        self.where, self.at = where, at

    def on_start(self, info: RunInfo) -> None:
        if self.where == "on_start":
            raise ValueError("no start")

    def on_metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
        if self.where == "on_metrics" and step >= self.at:
            raise OSError("no room")

    def on_end(self, error: BaseException | None) -> None:
        if self.where == "on_end":
            raise KeyError("no end")


class Exits(Callback):
    """Ends the process when all is over."""

    def on_end(self, error: BaseException | None) -> None:
        raise SystemExit("enough")


def fitted(runnable: simulation.Runnable, *callbacks: Callback, **options: Any) -> Any:
    recording, state = runnable.fit(
        SAMPLES, epochs=2, seed=4, chunk_size=10, progress=False, callbacks=callbacks, **options
    )
    return recording.counts("exc"), state


@pytest.fixture(scope="module")
def alone(runnable: simulation.Runnable) -> Any:
    counts, state = fitted(runnable)
    assert counts.sum() > 20
    moved = np.abs(state["inp_exc.w"] - runnable.initial_state(4)["inp_exc.w"])
    assert moved.max() > 0.01
    return counts, state


def test_metrics_are_those_of_the_chunk(runnable: simulation.Runnable, alone: Any) -> None:
    log = Log()
    counts, state = fitted(runnable, log)
    assert np.array_equal(counts, alone[0])
    assert state.checksum() == alone[1].checksum(), "callbacks only look on"
    assert log.infos == [
        RunInfo(network=learner().name, unit="samples", start=0, total=48, resume=False)
    ]
    assert log.steps == [10, 20, 24, 34, 44, 48]
    assert log.ends == [None]
    before, weights = 0, runnable.initial_state(4)["inp_exc.w"]
    for (step, metrics), known in zip(log.told, log.states, strict=True):
        part = alone[0][before:step]
        assert metrics["spikes_per_sample/exc"] == part.sum() / len(part)
        assert metrics["spikes_per_sample/inp"] > 1
        assert metrics["epoch"] == (0 if step <= 24 else 1)
        assert metrics["samples_seen"] == known.samples_seen == step
        now = known["inp_exc.w"]
        assert metrics["inp_exc.w/mean"] == pytest.approx(now.mean(), rel=1e-12)
        assert metrics["inp_exc.w/change"] == pytest.approx(np.abs(now - weights).mean(), rel=1e-12)
        assert metrics["schedules/inp_exc.eta"] == pytest.approx(ETA.value(step / 48))
        assert metrics["ms_per_sample"] > 0
        before, weights = step, now
    assert log.states[-1].checksum() == state.checksum()


def test_without_plasticity_no_weights_are_told(runnable: simulation.Runnable, alone: Any) -> None:
    log = Log()
    runnable.run(SAMPLES[:3], alone[1], callbacks=[log], progress=False)
    ((step, metrics),) = log.told
    assert step == 3
    assert not any("weights" in name or "eta" in name or ".w/" in name for name in metrics)


class GoneError(BaseException):
    """Ends a run as a kill does: nothing more is written."""


def logged_run(
    runnable: simulation.Runnable, where: Path, chunk: int, *more: Callback, resume: bool = False
) -> Any:
    return runnable.fit(
        SAMPLES, seed=4, chunk_size=chunk, folder=where / "run", checkpoint_every=8,
        resume=resume, callbacks=[TensorBoard(where / "log"), *more], progress=False,
    )  # fmt: skip


def compiled() -> simulation.Runnable:
    return simulation.compile(learner(), "runtime", per_sample=("exc.count",), spikes=["inp"])


def logged(where: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader finds: tag -> steps and values."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = module.EventAccumulator(str(where / "log"))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.fixture(scope="module")
def whole(runnable: simulation.Runnable, tmp_path_factory: Any) -> Any:
    pytest.importorskip("tensorboard")
    where = tmp_path_factory.mktemp("whole")
    _, state = logged_run(runnable, where, 4)
    return state, logged(where)


def check_continued(runnable: simulation.Runnable, where: Path, whole: Any, start: int) -> None:
    """A run that was killed goes on, and so does its log: each step is there once."""
    (path,) = (where / "log").iterdir()
    path.write_bytes(path.read_bytes()[:-3])  # the last record did not come to the disk
    log = Log()
    _, state = logged_run(runnable, where, 4, log, resume=True)
    assert state.checksum() == whole[0].checksum()
    assert log.infos[0].start == start
    assert len(list((where / "log").iterdir())) == 2
    found = logged(where)
    assert found.keys() == whole[1].keys()
    assert [step for step, _ in found["inp_exc.w/mean"]] == [4, 8, 12, 16, 20, 24]
    for tag in found.keys() - {"ms_per_sample"}:
        assert found[tag] == whole[1][tag], tag


def test_a_run_that_went_away_continues_its_log(
    runnable: simulation.Runnable, whole: Any, tmp_path: Path
) -> None:
    """After a later step than that of its last checkpoint."""

    class Ends(Callback):
        def on_metrics(self, step: int, metrics: Any, context: Any) -> None:
            if step == 20:
                raise GoneError

    with pytest.raises(GoneError):
        logged_run(runnable, tmp_path, 4, Ends())
    assert [step for step, _ in logged(tmp_path)["samples_seen"]] == [4, 8, 12, 16, 20]
    check_continued(runnable, tmp_path, whole, start=16)


@pytest.mark.nightly
def test_a_killed_run_continues_its_log(
    runnable: simulation.Runnable, whole: Any, tmp_path: Path
) -> None:
    """Between the log of a step and its checkpoint."""
    code = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_callbacks as tests

class Killed(tests.Callback):
    def on_metrics(self, step, metrics, context):
        if step == 16:
            os.kill(os.getpid(), signal.SIGKILL)

tests.logged_run(tests.compiled(), pathlib.Path({str(tmp_path)!r}), 4, Killed())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [step for step, _ in logged(tmp_path)["samples_seen"]] == [4, 8, 12, 16]
    check_continued(runnable, tmp_path, whole, start=8)


def test_another_runs_log_is_left_alone(runnable: simulation.Runnable, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    runnable.fit(SAMPLES[:2], callbacks=[TensorBoard(tmp_path)], progress=False)
    with pytest.raises(
        CallbackError, match=r"TensorBoard.* raised StorageError.*has a log already"
    ):
        runnable.fit(SAMPLES[:2], callbacks=[TensorBoard(tmp_path)], progress=False)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "file").write_text("")
    board = TensorBoard(tmp_path / "file" / "log")
    with pytest.raises(CallbackError, match="cannot be written: Not a directory"):
        runnable.fit(SAMPLES[:2], callbacks=[board], progress=False)
    with pytest.raises(ParameterError, match=r"TensorBoard\.folder"):
        TensorBoard(3)  # pyright: ignore[reportArgumentType]


def test_without_tensorboard_the_extra_is_named(
    runnable: simulation.Runnable, monkeypatch: Any, tmp_path: Path
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "tensorboard":
            raise ModuleNotFoundError(f"No module named {name!r}", name="tensorboard")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CallbackError, match=r'pip install "biosnn\[tensorboard\]"'):
        runnable.fit(SAMPLES[:2], callbacks=[TensorBoard(tmp_path)], progress=False)


# --- exceptions


def test_an_exception_names_the_callback_and_loses_nothing(
    runnable: simulation.Runnable, alone: Any, tmp_path: Path
) -> None:
    log = Log()
    told = r"callback .*Raises.* raised OSError in on_metrics at step 20: no room"
    with pytest.raises(CallbackError, match=told) as caught:
        fitted(runnable, Raises("on_metrics", 20), log, folder=tmp_path / "run")
    assert isinstance(caught.value.__cause__, OSError)
    assert log.steps == [10], "callbacks after it were not told of that step"
    assert log.ends == [caught.value]
    again = Log()
    counts, state = fitted(runnable, again, folder=tmp_path / "run", resume=True)
    assert again.infos[0].start == 20
    assert again.steps == [24, 34, 44, 48]
    assert np.array_equal(counts, alone[0])
    assert state.checksum() == alone[1].checksum()


def test_exceptions_at_the_start_and_in_the_end(runnable: simulation.Runnable) -> None:
    log = Log()
    with pytest.raises(CallbackError, match="raised ValueError in on_start: no start"):
        fitted(runnable, log, Raises("on_start"))
    assert (len(log.infos), log.steps, len(log.ends)) == (1, [], 1)
    with pytest.raises(CallbackError, match="raised KeyError in on_end: 'no end'"):
        fitted(runnable, Raises("on_end"), log)
    assert log.ends[1:] == [None]
    with pytest.raises(SystemExit, match="enough"):
        fitted(runnable, Exits(), log)
    assert log.ends[2:] == [None], "who ends the process keeps nobody from closing a log"
    with pytest.raises(CallbackError, match="on_metrics at step 10") as caught:
        fitted(runnable, Raises("on_metrics"), Raises("on_end"))
    assert "raised KeyError in on_end" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "bad", ["log", None, [print], [Log]], ids=["text", "none", "function", "class"]
)
def test_what_is_no_callback_is_refused(bad: Any, runnable: simulation.Runnable) -> None:
    with pytest.raises(ParameterError, match=r"run\.callbacks must be a list of biosnn\.callbacks"):
        runnable.fit(SAMPLES, callbacks=bad)


# --- many networks, many processes


def test_several_processes_tell_nothing(runnable: simulation.Runnable) -> None:
    with pytest.raises(ParameterError, match=r"run\.n_jobs must be 1 together with callbacks"):
        runnable.run(SAMPLES, n_jobs=2, callbacks=[Log()])


def test_runs_that_are_jobs_tell_nothing(runnable: simulation.Runnable, tmp_path: Path) -> None:
    export = {"folder": tmp_path / "job", "arch": None, "about": {}}
    jobs = simulation.ExperimentJobs("cpp", [], export)
    made = _WithJobs(jobs, runnable._made, learner, "key", lambda device: runnable._made)
    with pytest.raises(ParameterError, match=r"run\.callbacks must be left out of a run that is a"):
        made.fit(SAMPLES, callbacks=[Log()])


def test_members_of_an_ensemble_are_told_apart() -> None:
    made = simulation.ensemble(learner(), 2, device="cpp", per_sample=("exc.count",))
    log = Log()
    (first, _), (second, end) = made.fit(SAMPLES, seeds=[5, 8], callbacks=[log], progress=False)
    assert [part.about["seed"] for part in (first, second)] == [5, 8]
    ((step, metrics),) = log.told
    assert step == len(SAMPLES)
    for k, part in enumerate((first, second)):
        mean = part.counts("exc").sum() / len(SAMPLES)
        assert metrics[f"member_{k}/spikes_per_sample/exc"] == mean > 0.5
        assert metrics[f"member_{k}/schedules/inp_exc.eta"] == pytest.approx(ETA.stop)
    assert metrics["member_1/inp_exc.w/mean"] == pytest.approx(end["inp_exc.w"].mean())


# --- gradients and estimators


def test_a_training_by_gradients_tells_its_history(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    def run(log: Log, epochs: int, **options: Any) -> Any:
        torch.manual_seed(0)
        module = surrogate.SurrogateNetwork(networks.feedforward((6, 2), steps=5), seed=1)
        x = torch.from_numpy(np.random.default_rng(0).random((5, 8, 6)) < 0.5).float()
        labels = torch.arange(8) % 2
        history = surrogate.train(
            module, [(x, labels)], epochs=epochs, validation=[(x, labels)], callbacks=[log],
            progress=False, **options,
        )  # fmt: skip
        return module, history

    whole = Log()
    module, history = run(whole, 3)
    assert whole.infos[0].unit == "epochs"
    assert whole.infos[0].total == 3
    assert whole.steps == [1, 2, 3]
    for k, (_, metrics) in enumerate(whole.told):
        assert metrics["train_loss"] == history.train_loss[k]
        assert metrics["validation_accuracy"] == history.validation_accuracy[k]
        assert metrics["lr"] == history.lr[k]
        assert "test_loss" not in metrics
    assert whole.states[-1].checksum() == module.state().checksum()
    part, rest = Log(), Log()
    run(part, 2, folder=tmp_path)
    run(rest, 3, folder=tmp_path, resume=True)
    assert rest.infos[0].start == 2
    assert rest.steps == [3]
    with pytest.raises(CallbackError, match=r"Raises.* in on_metrics at step 4"):
        run(Raises("on_metrics", 4), 5, folder=tmp_path, resume=True)  # pyright: ignore
    last = Log()
    run(last, 5, folder=tmp_path, resume=True)
    assert last.steps == [5], "the epoch of the exception was kept"


def test_what_a_callback_draws_changes_no_training() -> None:
    torch = pytest.importorskip("torch")
    from biosnn import surrogate

    class Draws(Callback):
        def on_start(self, info: RunInfo) -> None:
            self.drawn = [torch.rand(3)]

        def on_metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
            self.drawn.append(torch.rand(3))

    def trained(*callbacks: Callback) -> list[Any]:
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
        batch = torch.rand(5, 8, 4), torch.arange(8) % 3
        surrogate.train(module, [batch], epochs=3, lr=0.1, callbacks=callbacks, progress=False)
        return [*module.parameters()]

    draws = Draws()
    alone, watched = trained(), trained(draws)
    assert len(draws.drawn) == 4
    for one, other in zip(alone, watched, strict=True):
        assert torch.equal(one, other)
    torch.manual_seed(1)
    assert not torch.equal(alone[0], torch.nn.Linear(4, 3).weight), "it was trained"


def test_estimators_hand_callbacks_on() -> None:
    log, options = Log(), {"norm": 3.0, "device": "runtime", "random_state": 0}
    options |= {"network_params": {"weight_norm": 3.0, "theta": 1.0}, "n_neurons": 4}
    options |= {"duration": 20 * ms}
    features = STDPFeatures(**options).fit(SAMPLES)
    piped = make_pipeline(MinMaxScaler(clip=True), STDPFeatures(**options))
    piped.fit(SAMPLES, stdpfeatures__callbacks=[log])
    assert log.steps == [24]
    assert log.told[0][1]["spikes_per_sample/exc"] > 0
    other = Log()
    classifier = STDPClassifier(**options).fit(SAMPLES, np.arange(24) % 2, callbacks=[other])
    assert other.steps == [24]
    assert classifier.state_.checksum() == features.state_.checksum()


def test_features_are_frames_where_they_are_asked_for() -> None:
    pd = pytest.importorskip("pandas")
    options: dict[str, Any] = {"norm": 3.0, "device": "runtime", "random_state": 0}
    options |= {"n_neurons": 4, "duration": 20 * ms}
    table = pd.DataFrame(SAMPLES[:8], columns=[f"pixel{k}" for k in range(9)])
    features = STDPFeatures(**options).fit(table)
    expected = features.transform(table)
    assert expected.sum() > 2
    frame = features.set_output(transform="pandas").transform(table)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [f"stdpfeatures{k}" for k in range(4)]
    assert frame.index.equals(table.index)
    assert np.array_equal(frame.to_numpy(), expected)
    pipe = make_pipeline(MinMaxScaler(clip=True), STDPFeatures(**options)).set_output(
        transform="pandas"
    )
    assert list(pipe.fit(table).transform(table).columns) == list(frame.columns)


# --- experiments


def test_experiments_log_each_training_where_they_are_told(tmp_path: Path) -> None:
    parser = experiments.parser("tiny", "A test.")
    experiments.add_run_flags(parser)
    out = ["--out", str(tmp_path / "out")]
    plain = parser.parse_args(out)
    assert experiments.callbacks(plain) == ()
    assert not {"callbacks", "chunk_size"} & experiments.fit_settings(plain).keys()
    args = parser.parse_args([*out, "--tensorboard", "log"])
    assert args.command == ["--tensorboard", str(Path("log").absolute())], "for biosnn resume"
    settings = experiments.fit_settings(args, "second")
    (board,) = settings["callbacks"]
    assert board.folder == Path("log/second")
    assert settings["chunk_size"] == 500
