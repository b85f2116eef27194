"""A network that biosnn trained and exported, as snnTorch or SpikingJelly reads and runs it.

In the framework's environment, after ``python -m validation.nir.trained FOLDER``::

    python validation/nir/read_ours.py snntorch FOLDER
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch


def imported(framework: str, path: Path) -> Any:
    """The module that the framework's own importer makes."""
    if framework == "snntorch":
        from snntorch.import_nir import import_from_nir

        return import_from_nir(nir.read(path))
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(path)


def main() -> None:
    """Run the test images and write ``ours-FRAMEWORK.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework", choices=("snntorch", "spikingjelly"))
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    about = json.loads((args.folder / "ours.json").read_text())
    module = imported(args.framework, args.folder / f"ours-{args.framework}.nir")
    with np.load(args.folder / "ours.npz", allow_pickle=False) as arrays:
        shape, labels, expected = arrays["shape"], arrays["labels"], arrays["counts"]
        spikes = np.unpackbits(arrays["spikes"], count=int(np.prod(shape))).reshape(shape)
    state, counts = None, torch.zeros(len(labels), 10)
    with torch.no_grad():
        for step in range(shape[1]):
            found, state = module(torch.as_tensor(spikes[:, step], dtype=torch.float32), state)
            counts += found
    whole = counts.numpy().round().astype(int)
    names = (args.framework, "nir", "nirtorch", "torch")
    result = {
        **about,
        "framework": args.framework,
        "accuracy": float((whole.argmax(1) == labels).mean()),
        "images with equal counts": float((whole == expected).all(1).mean()),
        "spikes": int(whole.sum()),
        "versions": {name: importlib.metadata.version(name) for name in names},
    }
    (args.folder / f"ours-{args.framework}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(result)


if __name__ == "__main__":
    main()
