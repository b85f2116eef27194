"""Code of the README and of the guides runs, and does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from biosnn import simulation

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def blocks(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def test_the_network_of_the_library_runs() -> None:
    (code,) = [block for block in blocks(README) if "with_synapses" in block]
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    network = names["network"]
    runnable = simulation.compile(network, device="runtime")
    samples = np.random.default_rng(0).uniform(0, 1, (2, 100))
    recording, state = runnable.run(samples, learn=True, seed=0)
    assert recording.counts(network.output).sum() > 10
    before = network.initial_state(0)
    assert np.abs(state["inp_cells.w"] - before["inp_cells.w"]).max() > 0.01


def test_the_guide_to_training_by_gradients_runs() -> None:
    pytest.importorskip("torch")
    guide = ROOT / "docs" / "surrogate.md"
    names: dict = {}
    for code in blocks(guide):
        exec(compile(code, str(guide), "exec"), names)
    assert names["recording"].counts("out").sum() > 10, "the comparison with Brian2 says something"
    assert names["out"]["1"][0].sum() > 10
    assert names["plif"].trained["V_th"].raw.grad.abs() > 0
    assert len(names["snn"]) >= 3


def test_the_guide_to_estimators_runs() -> None:
    pytest.importorskip("torch")
    guide = ROOT / "docs" / "estimators.md"
    names: dict = {}
    for code in blocks(guide):
        exec(compile(code, str(guide), "exec"), names)
    assert names["accuracy"] > 0.85 > 0.7 > names["control"]
    assert names["from_reward"] > 0.8
    assert names["by_gradients"] > 0.8
    assert names["search"].best_params_["stdpclassifier__n_neurons"] == 20
    assert names["counts"].shape == (300, len(names["names"])) == (300, 20)
    parts, features = names["parts"].state_, names["features"].state_
    assert parts.checksum() == features.checksum()
    assert parts.samples_seen == 300
    own, x = names["own"].set_params(device="runtime"), names["X"][:5]
    assert own.fit(x).network_.populations["exc"].n == 10


def test_the_guide_to_models_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    guide = ROOT / "docs" / "models.md"
    (code,) = blocks(guide)
    names: dict = {}
    exec(compile(code, str(guide), "exec"), names)
    assert names["same"] > 0.9
    assert names["accuracy"] > 0.6
    assert names["path"].exists()


def test_the_guide_to_gpus_runs(capsys) -> None:
    guide = ROOT / "docs" / "gpu.md"
    names: dict = {}
    for code in blocks(guide):
        exec(compile(code, str(guide), "exec"), names)
    assert (names["one"].device, names["many"].device) == ("cpp", "cuda")
    assert names["runnable"].device == "cpp"
    assert "256" not in names["one"].reason
    assert "pieces of code" in capsys.readouterr().out


@pytest.mark.usefixtures("fresh_brian2")
def test_the_guide_for_users_of_brian2_runs(capsys) -> None:
    guide = ROOT / "docs" / "brian2.md"
    alone, *others = blocks(guide)
    script: dict = {}
    exec(compile(alone, str(guide), "exec"), script)
    assert capsys.readouterr().out == "70\n"
    assert script["monitor"].num_spikes > 100
    assert script["neurons"].t / script["ms"] == 150
    names: dict = {}
    for code in others:
        exec(compile(code, str(guide), "exec"), names)
    assert capsys.readouterr().out == "70 (2, 1000)\n"
    slow = names["recording"].spikes["spikes"]
    assert 20 < len(slow.i) < 70
    assert names["counts"].shape == (3, 5)
    assert names["counts"].sum() > 10
    assert names["learned"]["synapses.w"].max() > 0.4
