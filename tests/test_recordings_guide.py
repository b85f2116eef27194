"""Code of the guide to recordings and callbacks runs; Elephant finds what we find ourselves."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "recordings.md"

pytestmark = pytest.mark.usefixtures("numpy_target")


def test_the_guide_to_recordings_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("elephant", "neo", "pandas", "pynwb", "tensorboard", "xarray"):
        pytest.importorskip(package)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict = {}
    for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL):
        exec(compile(code, str(GUIDE), "exec"), names)
    recording = names["recording"]
    spikes = recording.spikes["exc"]
    assert len(names["busy"]) > 50

    own = runpy.run_path(str(ROOT / "experiments" / "balanced_networks.py"))["activity"]
    found = own(spikes.i, spikes.t, 320, 0.0, 0.4)
    assert found["cv_neurons"] == len(names["busy"])
    assert names["irregularity"] == pytest.approx(found["cv"], rel=1e-9)
    assert names["rates"] == pytest.approx(found["rates"], rel=1e-9)
    assert 0.3 < names["irregularity"] < 1.5

    bins = np.zeros((320, 80))
    np.add.at(bins, (spikes.i, np.floor(spikes.t / 5e-3 + 1e-9).astype(int)), 1)
    busy = bins[[train.annotations["neuron"] for train in names["busy"]]]
    r = np.corrcoef(busy)
    assert names["synchrony"] == pytest.approx(r[np.triu_indices(len(r), 1)].mean(), rel=1e-9)

    counts = np.bincount(spikes.i, minlength=320)
    assert names["per_neuron"]["exc"].tolist() == counts[counts > 0].tolist()
    folder = names["folder"]
    assert tmp_path in folder.parents
    assert (folder / "spikes.csv").stat().st_size > 1000
    assert names["first"].tolist() == np.sort(spikes.t[spikes.i == 0]).tolist()
    assert float(names["later"][0]) < -0.049, "below the threshold"
    assert [row["step"] for row in names["logger"].rows] == [10, 20, 30, 40]
    assert len(list((folder / "log").iterdir())) == 1
