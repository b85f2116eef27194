"""Declared networks as torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from biosnn.errors import DataError, ParameterError
from biosnn.networks import NetworkModel
from biosnn.program.layout import initial_state
from biosnn.state import State
from biosnn.surrogate.compiler.component import Settings
from biosnn.surrogate.compiler.execution import NetworkRun
from biosnn.surrogate.compiler.partition import Parts, components_of
from biosnn.surrogate.compiler.surrogate_functions import surrogate_function
from biosnn.surrogate.nn.layer import FINE, check_settings, widths_of
from biosnn.surrogate.nn.stateful import check_order, copied
from biosnn.surrogate.nn.trained_constants import names_of, trained_constants
from biosnn.validation import check_flag, check_instance, check_whole


class SurrogateNetwork(nn.Module):
    """A declared network as a module from samples to the spikes of its output.

    A presentation is computed with Brian2's schedule: an input arrives in the step of its spike
    and acts on the equations of the next one. Every call shows one batch of samples, each from
    the initial state, whatever the declaration resets (rest included); learning rules of the
    declaration are off.

    Parameters
    ----------
    network : NetworkModel
        The declaration. Presentations that are repeated (``watch``) are shown once.
    state : State, optional
        Weights and initial values; by default ``network.initial_state(seed)``.
    seed : int
        For initial values that are drawn.
    train : iterable of str, optional
        Projections whose weights are trained (``"hidden_to_output"``), and constants
        (``"hidden.tau_m"``). By default all weights and no constants.
    surrogate, width, detach_reset, smooth, functions
        As for :class:`SpikingLayer`.
    normalise : bool
        Whether optimisers see weights of the size that ``torch.nn.Linear`` begins with, whatever
        their size in the equations.
    order : {"layer", "step"}
        Compute a population's whole presentation before the next one's, or all of them step by
        step; the results are the same.

    Attributes
    ----------
    weights : torch.nn.ParameterDict
        Projection -> weights as optimisers see them.
    trained : torch.nn.ModuleDict
        Population -> its trained constants.
    recorded : dict of str to Tensor
        What the last call recorded, ``[T, N, n]``.

    Raises
    ------
    ParameterError
        If an argument is out of its bound, or an equation has no counterpart in torch.
    """

    def __init__(
        self,
        network: NetworkModel,
        *,
        state: State | None = None,
        seed: int = 0,
        train: Iterable[str] | None = None,
        surrogate: Any = "atan",
        width: Any = None,
        detach_reset: bool | None = None,
        smooth: bool = False,
        functions: Mapping[Any, Callable[..., Tensor]] | None = None,
        normalise: bool = True,
        order: str = "layer",
    ):
        super().__init__()
        check_instance("surrogate.to_torch", "network", network, NetworkModel)
        check_order("surrogate.to_torch", order)
        check_settings("surrogate.to_torch", detach_reset, smooth, functions)
        check_flag("surrogate.to_torch", "normalise", normalise)
        self.order, self._declared = order, network
        self._initial = initial_state(network, seed)
        if state is not None:
            checked_start(network, self._initial, state)
            self._initial = self._initial.transferred(state)
        weighted = [k for k, p in network.projections.items() if p.weights is not None]
        chosen = tuple(weighted if train is None else names_of("surrogate.to_torch", train))
        constants = self._chosen(network, chosen, weighted)
        self.trained = nn.ModuleDict(
            {
                owner: trained_constants(owner, names, _parameters(network, owner))
                for owner, names in constants.items()
            }
        )
        fine = float(network.dt) < float(FINE) * (1 - 1e-9)
        settings = Settings(
            surrogate=surrogate_function(surrogate),
            widths=widths_of(width),
            detach_reset=fine if detach_reset is None else bool(detach_reset),
            smooth=smooth,
            functions=functions or {},
            trained=frozenset((k, n) for k, names in constants.items() for n in names),
        )
        self._parts: Parts = components_of(network, settings)
        self.weights = nn.ParameterDict()
        for key in weighted:
            values = torch.as_tensor(np.array(self._initial[f"{key}.w"], dtype=np.float64))
            scale = _scale(network, key, values) if normalise else 1.0
            raw = (values / scale).to(torch.get_default_dtype())
            self.weights[key] = nn.Parameter(raw, requires_grad=key in chosen)
            # With the weights in a state_dict: another draw has another scale.
            self.register_buffer(_scale_name(key), torch.tensor(scale, dtype=torch.float64))
        self._arrays = {
            name: self._parts.initial(name, self._initial) for name in self._parts.stored
        }
        spikes = self._parts.spiking(network.output)
        self.output = network.output if spikes else f"{network.output}.v"
        self.recorded: dict[str, Tensor] = {}

    @staticmethod
    def _chosen(
        network: NetworkModel, chosen: Sequence[str], weighted: Sequence[str]
    ) -> dict[str, list[str]]:
        """Population or projection -> its constants that are trained."""
        constants: dict[str, list[str]] = {}
        for name in chosen:
            owner, _, constant = name.partition(".")
            if name in weighted:
                continue
            if not constant or owner not in {**network.populations, **network.projections}:
                wanted = f"a weighted projection ({', '.join(weighted)}) or owner.constant"
                raise ParameterError("surrogate.to_torch", "train", repr(name), wanted)
            constants.setdefault(owner, []).append(constant)
        return constants

    @property
    def source(self) -> str:
        """The generated code of all parts, in the order in which they are computed."""
        return "\n\n".join(
            f"# --- {', '.join(c.populations)}\n{c.compiled.source}" for c in self._parts.components
        )

    @property
    def steps(self) -> int:
        """Time steps of a presentation with its rest."""
        return self._declared.steps_per_presentation

    def weight(self, projection: str) -> Tensor:
        """Weights of a projection as the equations see them, one per synapse."""
        return self.weights[projection] * self.get_buffer(_scale_name(projection))

    # --- running

    def forward(
        self,
        samples: Any,
        *,
        record: Iterable[str] = (),
        sample_ids: Tensor | None = None,
        seed: int = 0,
        epoch: int = 0,
    ) -> Tensor:
        """Show a batch of samples.

        Parameters
        ----------
        samples : Tensor or dict of str to Tensor
            Of the only required input, or input -> values: ``[N, features]`` for a static input,
            ``[N, frames, features]`` for a sequence, and spikes ``[T, N, features]``, 0 or 1,
            for events. ``"n_samples"`` -> N where no input says how many there are, and
            ``"intensity"`` -> a factor on the rates of each sample, ``[N]``.
        record : iterable of str
            ``"population"`` (its spikes) or ``"population.variable"`` (at the end of every
            step), kept in `recorded`.
        sample_ids : Tensor of int, shape (N,), optional
            Key of the counter-based draws, with `seed` and `epoch`; by default 0 to N - 1.

        Returns
        -------
        Tensor, shape [T, N, n]
            Spikes of the network's output, or its ``v`` if it has no threshold.

        Raises
        ------
        DataError
            If an input is missing, unknown, has the wrong shape, or values that are not finite,
            no spikes, or rates out of their bounds.
        ParameterError
            If what shall be recorded is unknown.
        """
        batch = self._parts.samples(samples)
        given, intensity, n = batch.values, batch.intensity, batch.n
        parameter = next(self.parameters(), None)
        like = parameter if parameter is not None else next(iter(given.values()), torch.empty(0))
        device = like.device
        dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        ids = torch.arange(n) if sample_ids is None else torch.as_tensor(sample_ids)
        if ids.shape != (n,):
            raise DataError(f"sample_ids must have shape ({n},), got {tuple(ids.shape)}")
        if ids.is_floating_point():
            raise DataError(f"sample_ids must be whole numbers, got {ids.dtype}")
        port: dict[str, Any] = {
            "protocol_seed": check_whole("SurrogateNetwork", "seed", seed),
            "protocol_pass_id": 256 * check_whole("SurrogateNetwork", "epoch", epoch),
            "protocol_sample_id": ids.to(device).reshape(-1, 1),
        }
        factor = self._declared.presentation.intensity
        port["protocol_intensity"] = (
            torch.full((1, 1), factor, dtype=dtype, device=device)
            if intensity is None
            else factor * intensity.to(device, dtype).reshape(-1, 1)
        )
        names = [record] if isinstance(record, str) else list(record)
        if "." in self.output and self.output not in names:
            names.append(self.output)
        self._parts.check_recorded(names)
        values = self._arrays | {(key, "w"): self.weight(key) for key in self.weights}
        constants = {
            (owner, name): constant()
            for owner, found in self.trained.items()
            for name, constant in cast(nn.ModuleDict, found).items()
        }
        run = NetworkRun(self._parts, values, constants, given, port, n, dtype, device, names)
        layerwise = self.order == "layer"
        events = run.by_population(self.output) if layerwise else run.by_step(self.output)
        self.recorded = run.recorded
        return events

    def counts(self, samples: Any, **more: Any) -> Tensor:
        """Spike counts of the output, ``[N, n]``; parameters as of a call."""
        return self(samples, **more).sum(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> SurrogateNetwork:
        return copied(self, memo, self._declared, self._parts, self._initial)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "recorded": {}}  # its graph can be neither copied nor stored

    # --- to and from Brian2

    def state(self) -> State:
        """The weights and initial values as a :class:`biosnn.State`, for any device.

        It is complete for ``biosnn.compile(module.network)``; where more is recorded per sample,
        use ``runnable.initial_state().transferred(module.state())``.
        """
        changes = {
            f"{key}.w": self.weight(key).detach().double().cpu().numpy() for key in self.weights
        }
        return self._parts.defaults.transferred(self._initial).updated(changes)

    def load_state(self, state: State) -> None:
        """Take weights from a state of this network, such as a trained one of Brian2.

        Raises
        ------
        DataError
            If it lacks weights.
        """
        checked_start(self._declared, self._initial, state)
        with torch.no_grad():
            for key, raw in self.weights.items():
                values = torch.as_tensor(np.array(state[f"{key}.w"], dtype=np.float64))
                raw.copy_((values / self.get_buffer(_scale_name(key)).cpu()).reshape(raw.shape))
        self._initial = self._initial.transferred(state)
        self._arrays = {
            name: self._parts.initial(name, self._initial) for name in self._parts.stored
        }

    @property
    def network(self) -> NetworkModel:
        """The declaration, with the trained values of constants."""
        import attrs

        populations, projections = (
            dict(self._declared.populations),
            dict(self._declared.projections),
        )
        for owner, constants in self.trained.items():
            found = cast(nn.ModuleDict, constants)
            values = {name: constant.quantity for name, constant in found.items()}
            if owner in populations:
                old = populations[owner]
                model = old.model.with_parameters(**values)
                populations[owner] = attrs.evolve(old, model=model)
            else:
                old = projections[owner]
                projections[owner] = attrs.evolve(old, parameters={**old.parameters, **values})
        return attrs.evolve(self._declared, populations=populations, projections=projections)


def checked_start(network: NetworkModel, begin: State, state: Any) -> None:
    """Check that a state has the weights of a network.

    Raises
    ------
    DataError
        If it is no state, or lacks weights or has others.
    """
    if not isinstance(state, State):
        raise DataError(f"state must be a State, got a {type(state).__name__}")
    for key, projection in network.projections.items():
        name = f"{key}.w"
        if projection.weights is None:
            continue
        if name not in state or state[name].size != begin[name].size:
            got = state[name].size if name in state else "none"
            raise DataError(f"state[{name!r}] must be {begin[name].size} weights, got {got}")
        if not np.isfinite(state[name]).all():
            raise DataError(f"state[{name!r}] must be finite")
        shapes = state.shapes.get(name), begin.shapes.get(name)
        if None not in shapes and shapes[0] != shapes[1]:
            raise DataError(f"state[{name!r}] must have shape {shapes[1]}, got {shapes[0]}")


def _parameters(network: NetworkModel, owner: str) -> Mapping[str, Any]:
    if owner in network.populations:
        return network.populations[owner].model.constants
    return network.resolved(owner).parameters


def _scale_name(projection: str) -> str:
    return f"scale_of_{projection}"


def _scale(network: NetworkModel, key: str, values: Tensor) -> float:
    """Factor to weights of the size of those that ``torch.nn.Linear`` begins with."""
    n_post = network.populations[network.projections[key].post].n
    fan_in = max(values.numel() / n_post, 1.0)
    size = float(values.square().mean().sqrt()) if values.numel() else 0.0
    return size * float(np.sqrt(3 * fan_in)) if np.isfinite(size) and size > 0 else 1.0
