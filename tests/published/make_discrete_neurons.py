"""Makes ``discrete_neurons.npz``: what neurons of SpikingJelly and snnTorch do with random inputs.

Run it in an environment of its own that has PyTorch, SpikingJelly and snnTorch:

    python tests/published/make_discrete_neurons.py

Weights and inputs are multiples of small powers of two, so that the sums of inputs are exact in
whatever order they are made. The loss is a weighted sum of the spikes. ``versions`` says what made
the arrays, ``cases`` what the neurons are; the names of arrays begin with that of the case:

- ``x`` (steps, samples, inputs), ``w`` (neurons, inputs), ``loss`` (steps, samples, neurons), and
  ``w2``, ``loss2`` of a second layer: common to all cases
- ``spikes``, ``v`` (steps, samples, neurons): what the first layer does; ``v`` is what the library
  calls its potential at the end of a step
- ``grad_I``, ``grad_w``, ``grad_a``: gradients of what the first layer receives, of its weights,
  and of the leak's logit where that is trained
- ``two/...``: spikes of both layers, and the gradients of their weights

snnTorch's surrogate gives spikes in single precision whatever its input is, and rounds gradients to
it. In double precision ``KeepsPrecision`` takes its place.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import snntorch
import torch
from snntorch import surrogate as of_snntorch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

N_STEPS, N_SAMPLES, SIZES = 24, 2, (6, 5, 4)
TAU = 3.0


class KeepsPrecision(of_snntorch.ATan):
    """snnTorch's surrogate with spikes in the precision of the potential."""

    @staticmethod
    def forward(ctx: Any, input_: Tensor, alpha: float) -> Tensor:
        """Spikes."""
        ctx.save_for_backward(input_)
        ctx.alpha = alpha
        return (input_ > 0).to(input_.dtype)


def cases() -> dict[str, dict[str, Any]]:
    """Name -> library, class and keywords."""
    found: dict[str, dict[str, Any]] = {}
    resets = {"hard": {"v_reset": 0.0}, "low": {"v_reset": -0.3}, "soft": {"v_reset": None}}
    for name, kind in resets.items():
        found[f"if_{name}"] = {"of": "IFNode", **kind}
        for decay in (True, False):
            end = f"{'decay' if decay else 'plain'}_{name}"
            found[f"lif_{end}"] = {"of": "LIFNode", "tau": TAU, "decay_input": decay, **kind}
            found[f"plif_{end}"] = {
                "of": "ParametricLIFNode", "init_tau": TAU, "decay_input": decay, **kind
            }  # fmt: skip
    for reset in ("subtract", "zero"):
        for delay in (True, False):
            end = f"{reset}_{'late' if delay else 'once'}"
            common = {"beta": 0.9, "threshold": 1.0, "reset_mechanism": reset, "reset_delay": delay}
            found[f"leaky_{end}"] = {"of": "Leaky", **common}
            slower = {"alpha": 0.55, "beta": 0.6, "threshold": 3.5}
            found[f"synaptic_{end}"] = {"of": "Synaptic", **common, **slower}
    return found


def layer(case: dict[str, Any], dtype: torch.dtype) -> Callable[[Tensor], Any]:
    """From inputs of all steps to spikes, potentials and the trained leak."""
    given = dict(case)
    of = given.pop("of")
    if hasattr(neuron, of):
        given |= {"surrogate_function": surrogate.ATan(), "step_mode": "m", "store_v_seq": True}
        node = getattr(neuron, of)(**given).to(dtype)
        if of == "ParametricLIFNode":  # made in single precision
            node.w.data = torch.tensor(-math.log(TAU - 1), dtype=dtype)
        return lambda x: (node(x), node.v_seq, getattr(node, "w", None))
    numbers = {key: value for key, value in given.items() if isinstance(value, float)}
    given |= {key: torch.tensor(value, dtype=dtype) for key, value in numbers.items()}
    double = dtype == torch.float64
    given["spike_grad"] = (lambda x: KeepsPrecision.apply(x, 2.0)) if double else None
    node = getattr(snntorch, of)(**given)

    def steps(x_seq: Tensor) -> Any:
        state = node.reset_mem()
        state = state if isinstance(state, tuple) else (state,)
        spikes, potentials = [], []
        for x in x_seq:
            out, *state = node(x, *state)
            spikes.append(out)
            potentials.append(state[-1])
        return torch.stack(spikes), torch.stack(potentials), None

    return steps


def one_layer(
    common: dict[str, np.ndarray], case: dict[str, Any], dtype: torch.dtype
) -> dict[str, Tensor]:
    """A layer of weights and one of neurons."""
    x, w, loss = (torch.tensor(common[name], dtype=dtype) for name in ("x", "w", "loss"))
    w.requires_grad_()
    received = nn.functional.linear(x, w)
    received.retain_grad()
    spikes, v, a = layer(case, dtype)(received)
    (spikes * loss).sum().backward()
    found = {"spikes": spikes, "v": v, "grad_I": received.grad, "grad_w": w.grad}
    return {**found, "grad_a": a.grad} if a is not None else found


def two_layers(
    common: dict[str, np.ndarray], case: dict[str, Any], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Two layers of each."""
    names = ("x", "w", "w2", "loss2")
    x, w, w2, loss = (torch.tensor(common[name], dtype=dtype) for name in names)
    w.requires_grad_()
    w2.requires_grad_()
    first, _, _ = layer(case, dtype)(nn.functional.linear(x, w))
    second, _, _ = layer(case, dtype)(nn.functional.linear(first, w2))
    (second * loss).sum().backward()
    return {"spikes": first, "spikes2": second, "grad_w": w.grad, "grad_w2": w2.grad}


def main() -> None:
    rng = np.random.default_rng(15)
    n_in, n_one, n_two = SIZES
    common = {
        "x": rng.integers(0, 17, (N_STEPS, N_SAMPLES, n_in)) / 16,
        "w": rng.integers(-40, 90, (n_one, n_in)) / 64,
        "w2": rng.integers(20, 130, (n_two, n_one)) / 64,
        "loss": rng.integers(-64, 65, (N_STEPS, N_SAMPLES, n_one)) / 64,
        "loss2": rng.integers(-64, 65, (N_STEPS, N_SAMPLES, n_two)) / 64,
    }
    arrays = dict(common)
    for name, case in cases().items():
        for kind, dtype in (("double", torch.float64), ("single", torch.float32)):
            found = one_layer(common, case, dtype)
            two = two_layers(common, case, dtype)
            found |= {f"two/{key}": value for key, value in two.items()}
            for key, value in found.items():
                value = value.detach().numpy()
                value = value.astype(np.uint8) if "spikes" in key else value
                arrays[f"{name}/{kind}/{key}"] = value
    names = ("spikingjelly", "snntorch", "torch", "numpy")
    versions = {"python": platform.python_version(), **{name: version(name) for name in names}}
    np.savez_compressed(
        Path(__file__).with_name("discrete_neurons.npz"),
        **arrays,
        cases=json.dumps(cases()),
        versions=json.dumps(versions),
    )


if __name__ == "__main__":
    main()
