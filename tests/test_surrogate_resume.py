"""Runs of gradient training: what is resumed, refused, locked, and kept whole (S3, S6, S7, W23)."""

from __future__ import annotations

import copy
import functools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

from biosnn import files
from biosnn.callbacks import Callback
from biosnn.errors import DataError, ParameterError, StorageError

torch = pytest.importorskip("torch")

from biosnn import networks, surrogate  # noqa: E402

LAST = "checkpoint-last.biosnn"
X = np.random.default_rng(0).integers(0, 256, (40, 6), dtype=np.uint8)
Y = (X[:, 0] > X[:, 1]).astype(int)


def batches(x: Any = X, y: Any = Y, **more: Any) -> surrogate.Batches:
    options = {"batch_size": 20, "seed": 2, **more}
    return surrogate.Batches(x, y, surrogate.PoissonEncoder(5), **options)


def network(delay_steps: int = 0) -> Any:
    return copy.deepcopy(_network(delay_steps))


@functools.cache
def _network(delay_steps: int) -> Any:
    delay = delay_steps * ms
    declared = networks.feedforward((6, 2), steps=5, weight_scale=2.0, delay=delay)
    return surrogate.SurrogateNetwork(declared, seed=1, detach_reset=True)


def run(folder: Path | None, module: Any = None, data: Any = None, **more: Any) -> Any:
    """A training of two epochs; the module and the history."""
    module = network() if module is None else module
    options = {"epochs": 2, "lr": 0.02, "progress": False, **more}
    shown = batches() if data is None else data
    return module, surrogate.train(module, shown, folder=folder, **options)


def weights(module: Any) -> Any:
    return module.weight("input_output").detach().clone()


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """The folder of a training of two epochs that moved the weights."""
    module, history = run(tmp_path)
    assert history.epochs == 2
    assert (weights(module) - weights(network())).abs().max() > 1e-3
    return tmp_path


# --- more epochs


def test_more_epochs_without_a_schedule_are_those_of_one_run(tmp_path: Path) -> None:
    whole, expected = run(None, epochs=5, scheduler=None)
    run(tmp_path, epochs=2, scheduler=None)
    module, history = run(tmp_path, epochs=5, scheduler=None, resume=True)
    assert history.train_loss == expected.train_loss
    assert torch.equal(weights(module), weights(whole))


@pytest.mark.parametrize("epochs", [5, 4])
def test_more_epochs_go_on_along_the_cosine_of_all_of_them(done: Path, epochs: int) -> None:
    _, history = run(done, epochs=epochs, resume=True)
    steps = 2 * epochs
    wanted = [0.02 * (1 + math.cos(math.pi * k / steps)) / 2 for k in range(6, steps + 1, 2)]
    assert history.epochs == epochs
    assert history.lr[1] == pytest.approx(0, abs=1e-9)  # of two epochs
    assert history.lr[2:] == pytest.approx(wanted, abs=1e-9)


def test_a_finished_run_is_not_run_again_and_not_shortened(done: Path) -> None:
    module, history = run(done, resume=True)
    assert history.epochs == 2
    assert torch.equal(weights(module), weights(run(None)[0]))
    with pytest.raises(ParameterError, match="epochs must be >= 2"):
        run(done, epochs=1, resume=True)


# --- other runs


def sgd(module: Any, **more: Any) -> Any:
    return torch.optim.SGD(module.parameters(), **{"lr": 0.1, "momentum": 0.5, **more})


OTHERS: dict[str, tuple[str, Any]] = {
    "lr": (r"optimiser\.lr must be 0\.02", lambda: {"lr": 0.03}),
    "optimiser": (r"optimiser\.kind must be .*Adam", lambda: {"optimiser": "sgd"}),
    "scheduler": ("scheduler must be 'cosine'", lambda: {"scheduler": None}),
    "loss": ("loss", lambda: {"loss": surrogate.RateMSE()}),
    "amp": ("amp", lambda: {"amp": True}),
    "samples": ("data must be the same", lambda: {"data": batches(X[::-1])}),
    "labels": ("data", lambda: {"data": batches(y=1 - Y)}),
    "seed": ("data", lambda: {"data": batches(seed=3)}),
    "batch": ("data", lambda: {"data": batches(batch_size=10)}),
    "validation": ("validation", lambda: {"validation": batches(shuffle=False)}),
    "network": ("network", lambda: {"module": network(delay_steps=1)}),
    "settings": (r"settings\.note must be 1", lambda: {"settings": {"note": 2}}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_run_is_not_resumed(what: str, tmp_path: Path) -> None:
    run(tmp_path, settings={"note": 1})
    before = (tmp_path / LAST).read_bytes()
    name, make = OTHERS[what]
    options = {"settings": {"note": 1}, **make()}
    with pytest.raises(ParameterError, match=rf"train\.{name}.* which is resumed"):
        run(tmp_path, epochs=3, resume=True, **options)
    assert (tmp_path / LAST).read_bytes() == before
    run(tmp_path, epochs=3, resume=True, settings={"note": 1})


def test_what_was_given_before_must_be_given_again(tmp_path: Path) -> None:
    run(tmp_path, validation=batches(shuffle=False), settings={"note": 1})
    with pytest.raises(ParameterError, match=r"train\.validation must be the same .* got nothing"):
        run(tmp_path, epochs=3, resume=True, settings={"note": 1})


def test_an_optimiser_of_ones_own_is_compared_too(tmp_path: Path) -> None:
    def go(resume: bool, **more: Any) -> Any:
        module = network()
        options = {"optimiser": sgd(module, **more), "lr": None, "resume": resume}
        return run(tmp_path, module, epochs=2 + resume, scheduler=None, **options)[1]

    first = go(False)
    with pytest.raises(ParameterError, match=r"optimiser\.momentum must be 0\.5 .* got 0\.9"):
        go(True, momentum=0.9)
    assert go(True).train_loss[:2] == first.train_loss
    module = network()
    with pytest.raises(ParameterError, match="lr must be left out"):
        run(None, module, optimiser=sgd(module))


def test_a_run_is_thrown_away_on_request_only(done: Path) -> None:
    before = (done / LAST).read_bytes()
    with pytest.raises(
        StorageError, match=r"holds a training already.*resume=True.*overwrite=True"
    ):
        run(done, lr=0.01)
    assert (done / LAST).read_bytes() == before
    _, history = run(done, lr=0.01, epochs=1, overwrite=True)
    assert history.epochs == 1
    _, history = run(done, lr=0.01, epochs=2, resume=True)
    assert history.epochs == 2
    with pytest.raises(ParameterError, match="overwrite must be False if resume is True"):
        run(done, resume=True, overwrite=True)
    with pytest.raises(ParameterError, match="folder"):
        run(None, overwrite=True)


def test_the_fingerprint_of_a_network_is_the_same_in_every_process() -> None:
    code = (
        "from biosnn import networks, surrogate\n"
        "from biosnn.surrogate.training.fingerprints import of_module\n"
        "print(of_module(surrogate.to_torch(networks.feedforward((6, 4, 2), steps=5))))"
    )
    names: dict[str, Any] = {}
    exec(code.replace("print(", "found = ("), names)
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )  # fmt: skip
    assert other.stdout.strip() == names["found"]


# --- the folder


def test_one_process_at_a_time_has_the_folder(done: Path) -> None:
    seen = []

    class Rival(Callback):
        def on_metrics(self, step: int, metrics: Any, context: Any) -> None:
            with pytest.raises(StorageError, match="in use by another process"):
                run(done, epochs=3, resume=True)
            seen.append(step)

    run(done, epochs=4, resume=True, callbacks=[Rival()])
    assert seen == [3, 4]
    assert run(done, epochs=4, resume=True)[1].epochs == 4, "released"


@pytest.mark.parametrize("name", [LAST, "checkpoint-best.biosnn", "curves.png", "training.lock"])
def test_links_are_not_followed(name: str, done: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "file"
    if (done / name).exists():
        (done / name).rename(elsewhere)
    else:
        elsewhere.write_text("kept")
    content = elsewhere.read_bytes()
    (done / name).symlink_to(elsewhere)
    for options in ({"resume": True}, {"overwrite": True}, {}):
        with pytest.raises(StorageError, match="is a link"):
            run(done, epochs=3, **options)
    assert elsewhere.read_bytes() == content


def changed(folder: Path, change: Any) -> None:
    """Write the last checkpoint again, with a valid hash and other content."""
    content, arrays = files.read(folder / LAST, "training")
    change(content, arrays)
    files.replace(folder / LAST, files.packed("training", content, arrays))


DAMAGES: dict[str, Any] = {
    "fewer epochs": lambda c, a: c.update(epochs=1),
    "no epochs": lambda c, a: c.update(history={k: [] for k in c["history"]}),
    "text for epochs": lambda c, a: c.update(epochs="many"),
    "another list": lambda c, a: c["history"].update(__class__=[1.0]),
    "lists apart": lambda c, a: c["history"].update(lr=[1.0]),
    "no numbers": lambda c, a: c["history"].update(train_loss=["a", "b"]),
    "no identity": lambda c, a: c.pop("identity"),
    "scheduler": lambda c, a: c["scheduler"].update(step=3),
    "no scheduler": lambda c, a: c.update(scheduler=None),
    "groups": lambda c, a: c["optimiser"]["groups"][0].update(params=[7]),
    "moments": lambda c, a: a.update({"optimiser.0.exp_avg": np.ones(3, np.float32)}),
    "index": lambda c, a: a.update({"optimiser.../../x.exp_avg": np.ones(3, np.float32)}),
    "generator": lambda c, a: a.update({"generator.": np.ones(3, np.uint8)}),
    "no generator": lambda c, a: a.pop("generator."),
    "weights": lambda c, a: a.update({"module.weights.x": np.ones(3, np.float32)}),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_what_a_checkpoint_says_is_checked(what: str, done: Path) -> None:
    changed(done, DAMAGES[what])
    with pytest.raises(StorageError, match=r"is damaged|of another network"):
        run(done, epochs=4, resume=True)


# --- what is not finite


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite_stop_a_training(bad: float, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 2), torch.nn.ReLU())
    x = torch.rand(5, 8, 6)
    labels = torch.zeros(8, dtype=torch.int64)
    damaged = x.clone()
    damaged[2, 3, 1] = bad
    before = None

    class Note(Callback):
        def on_metrics(self, step: int, metrics: Any, context: Any) -> None:
            nonlocal before
            before = context.module[0].weight.detach().clone()

    class Late(list):
        """Good in the first epoch; the second batch of the second one is damaged."""

        epoch = 0

        def __iter__(self) -> Any:
            yield x, labels
            yield (damaged if self.epoch == 1 else x), labels

    message = r"train: batch 2 of epoch 2: inputs must be finite, got (nan|inf) at \(2, 3, 1\)"
    with pytest.raises(DataError, match=message):
        run(tmp_path, module, Late([1, 2]), epochs=3, callbacks=[Note()])
    assert torch.isfinite(module[0].weight).all()
    again = torch.nn.Sequential(torch.nn.Linear(6, 2), torch.nn.ReLU())
    surrogate.load_module(tmp_path / LAST, again)
    assert torch.equal(again[0].weight, before)
    with pytest.raises(DataError, match="evaluate: batch 1: inputs must be finite"):
        surrogate.evaluate(module, [(damaged, labels)])


class Exploding(torch.nn.Module):
    """Finite answers, or answers with a gradient of infinity."""

    def __init__(self, way: str):
        super().__init__()
        self.w, self.way = torch.nn.Parameter(torch.ones(2)), way

    def forward(self, x: Any) -> Any:
        y = (x[..., :2] * self.w).clone()
        if self.way == "loss":
            return y * float("inf")
        return y + torch.sqrt((self.w - 1).abs())  # a slope of infinity at w = 1


@pytest.mark.parametrize("way", ["loss", "gradient"])
def test_what_is_not_finite_does_not_change_a_weight(way: str) -> None:
    module, data = Exploding(way), [(torch.rand(3, 4, 6), torch.zeros(4, dtype=torch.int64))]
    with pytest.raises(
        ParameterError, match=rf"train\.{way}.* must be finite \(batch 1 of epoch 1"
    ):
        run(None, module, data)
    assert module.w.tolist() == [1.0, 1.0]


def test_labels_are_classes_of_the_network() -> None:
    x = torch.rand(5, 4, 6).round()
    for bad in (torch.tensor([0, 1, 2, 0]), torch.tensor([0, -1, 0, 0])):
        with pytest.raises(
            DataError, match=r"train: batch 1 of epoch 1: labels must be in \[0, 2\)"
        ):
            run(None, data=[(x, bad)])
        with pytest.raises(DataError, match=r"evaluate: batch 1: labels must be in \[0, 2\)"):
            surrogate.evaluate(network(), [(x, bad)])
    with pytest.raises(DataError, match="whole numbers"):
        run(None, data=[(x, torch.rand(4))])
    with pytest.raises(DataError, match="one tensor each, got tuple and Tensor"):
        run(None, data=[((x, x), torch.zeros(4, dtype=torch.int64))])


def test_an_iterator_that_is_used_up_is_no_test_set() -> None:
    x, labels = torch.rand(5, 4, 6).round(), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(DataError, match="an iterator can be used only once"):
        run(None, validation=iter([(x, labels)]))


def test_losses_have_finite_targets() -> None:
    for name in ("target", "others"):
        for bad in (float("nan"), float("inf"), "1", True):
            with pytest.raises(ParameterError, match=f"RateMSE.{name}"):
                surrogate.RateMSE(**{name: bad})
    with pytest.raises(ParameterError, match="scale"):
        surrogate.RateCrossEntropy(scale=float("nan"))
