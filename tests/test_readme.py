"""The README's network of the library is one that runs, fires and learns."""

import re
from pathlib import Path

import numpy as np

from biosnn import simulation

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_network_of_the_library_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "with_synapses" in block]
    names: dict = {}
    exec(compile(code, str(README), "exec"), names)
    network = names["network"]
    runnable = simulation.compile(network, device="runtime")
    samples = np.random.default_rng(0).uniform(0, 1, (2, 100))
    recording, state = runnable.run(samples, learn=True, seed=0)
    assert recording.counts(network.output).sum() > 10
    before = network.initial_state(0)
    assert np.abs(state["inp_cells.w"] - before["inp_cells.w"]).max() > 0.01
