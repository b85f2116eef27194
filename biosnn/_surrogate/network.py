"""Whole declared networks as torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from biosnn._surrogate.component import Component, Settings
from biosnn._surrogate.functions import surrogate_function
from biosnn._surrogate.layer import FINE, widths_of
from biosnn._surrogate.parts import Parts, components_of
from biosnn._surrogate.stateful import copied
from biosnn._surrogate.trained import TrainedConstant, trained_constants
from biosnn.errors import ParameterError
from biosnn.networks import NetworkModel
from biosnn.state import State

ORDERS = ("layer", "step")


class SurrogateNetwork(nn.Module):
    """A declared network as a module: samples in, spikes of its output out.

    A presentation is computed with Brian2's schedule: an input arrives in the step of its spike
    and acts on the equations of the next one. Every call shows one batch of samples, each from
    the initial state (rest included); learning rules of the declaration are off.

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
        if order not in ORDERS:
            raise ParameterError("surrogate.compile", "order", repr(order), '"layer" or "step"')
        self.order, self._declared = order, network
        self._begin = network.initial_state(seed) if state is None else state
        weighted = [k for k, p in network.projections.items() if p.weights is not None]
        chosen = tuple(weighted if train is None else [train] if isinstance(train, str) else train)
        constants = self._chosen(network, chosen, weighted)
        self.trained = nn.ModuleDict(
            {
                owner: trained_constants(owner, names, _parameters(network, owner))
                for owner, names in constants.items()
            }
        )
        fine = float(network.dt) < float(FINE) * (1 - 1e-9)
        settings = Settings(
            dt=float(network.dt),
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
            values = torch.as_tensor(np.array(self._begin[f"{key}.w"], dtype=np.float64))
            scale = _scale(network, key, values) if normalise else 1.0
            raw = (values / scale).to(torch.get_default_dtype())
            self.weights[key] = nn.Parameter(raw, requires_grad=key in chosen)
            # With the weights in a state_dict: another draw has another scale.
            self.register_buffer(_scale_of(key), torch.tensor(scale, dtype=torch.float64))
        self._arrays = {name: self._parts.initial(name, self._begin) for name in self._parts.stored}
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
                raise ParameterError("surrogate.compile", "train", repr(name), wanted)
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
        return self.weights[projection] * self.get_buffer(_scale_of(projection))

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
            ``[N, frames, features]`` for a sequence, and spikes ``[T, N, features]`` for events.
        record : iterable of str
            ``"population"`` (its spikes) or ``"population.variable"`` (at the end of every
            step), kept in `recorded`.
        sample_ids : Tensor of int, shape (N,), optional
            Key of the counter-based draws, with `seed` and `epoch`; by default 0 to N - 1.

        Returns
        -------
        Tensor, shape [T, N, n]
            Spikes of the network's output.

        Raises
        ------
        DataError
            If an input is missing, unknown, or has the wrong shape.
        ParameterError
            If what shall be recorded is unknown.
        """
        given, n = self._parts.inputs(samples)
        parameter = next(self.parameters(), None)
        device = next(iter(given.values())).device if parameter is None else parameter.device
        dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
        ids = torch.arange(n) if sample_ids is None else torch.as_tensor(sample_ids)
        port: dict[str, Any] = {
            "protocol_seed": int(seed),
            "protocol_pass_id": 256 * int(epoch),
            "protocol_sample_id": ids.to(device).reshape(-1, 1),
        }
        intensity = given.pop("intensity", None)
        factor = self._declared.presentation.intensity
        port["protocol_intensity"] = (
            torch.full((1, 1), factor, dtype=dtype, device=device)
            if intensity is None
            else factor * intensity.to(device, dtype).reshape(-1, 1)
        )
        names = (record,) if isinstance(record, str) else tuple(record)
        self._parts.check_recorded(names)
        run = _Run(self, given, port, n, dtype, device, names)
        events = run.layer_by_layer() if self.order == "layer" else run.step_by_step()
        self.recorded = run.recorded
        return events

    def counts(self, samples: Any, **more: Any) -> Tensor:
        """Spike counts of the output, ``[N, n]``; parameters as of a call."""
        return self(samples, **more).sum(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> SurrogateNetwork:
        return copied(self, memo, self._declared, self._parts, self._begin)

    # --- to and from Brian2

    def state(self) -> State:
        """The weights and initial values as a :class:`biosnn.State`, for any device.

        It is complete for ``biosnn.compile(module.network)``; where more is recorded per sample,
        use ``runnable.initial_state().transferred(module.state())``.
        """
        changes = {
            f"{key}.w": self.weight(key).detach().double().cpu().numpy() for key in self.weights
        }
        return self._parts.defaults.transferred(self._begin).updated(changes)

    def load_state(self, state: State) -> None:
        """Take weights from a state of this network, such as a trained one of Brian2."""
        with torch.no_grad():
            for key, raw in self.weights.items():
                values = torch.as_tensor(np.array(state[f"{key}.w"], dtype=np.float64))
                raw.copy_((values / self.get_buffer(_scale_of(key)).cpu()).reshape(raw.shape))
        self._begin = self._begin.transferred(state)
        self._arrays = {name: self._parts.initial(name, self._begin) for name in self._parts.stored}

    @property
    def network(self) -> NetworkModel:
        """The declaration, with the trained values of constants."""
        import attrs

        populations, projections = (
            dict(self._declared.populations),
            dict(self._declared.projections),
        )
        for owner, constants in self.trained.items():
            assert isinstance(constants, nn.ModuleDict)
            values = {name: constant.quantity for name, constant in constants.items()}
            if owner in populations:
                old = populations[owner]
                model = old.model.with_parameters(**values)
                populations[owner] = attrs.evolve(old, model=model)
            else:
                old = projections[owner]
                projections[owner] = attrs.evolve(old, parameters={**old.parameters, **values})
        return attrs.evolve(self._declared, populations=populations, projections=projections)


class _Run:
    """One call of a network."""

    def __init__(
        self,
        module: SurrogateNetwork,
        given: Mapping[str, Tensor | None],
        port: dict[str, Any],
        n: int,
        dtype: torch.dtype,
        device: torch.device,
        record: Sequence[str],
    ):
        self.module, self.parts, self.port = module, module._parts, port
        self.n, self.dtype, self.device = n, dtype, device
        self.given = {k: v.to(device, dtype) for k, v in given.items() if v is not None}
        self.drives = self.parts.drives(self.given, n, dtype, device)
        self.record = record
        self.events: dict[tuple[str, str], Any] = {}  # -> [T, N, n], or the steps so far
        self.recorded: dict[str, Any] = {name: [] for name in record if "." in name}

    def layer_by_layer(self) -> Tensor:
        """One part of the network after the other."""
        steps = self.module.steps
        for component in self.parts.components:
            shown = self.parts.passed_on(component, self.given)
            if shown is not None:
                self.events.update(shown)
                continue
            part = _Running(self, component)
            # Several phases of a step may read the same sum.
            read = {a.port: a for arrivals in component.arrivals.values() for a in arrivals}
            arriving = {
                port: _shifted(self._sums(part, arrival), arrival.lag, steps)
                for port, arrival in read.items()
            }
            slices = {name: values.unbind() for name, values in arriving.items()}
            for step in range(steps):
                part.advance(step, {name: values[step] for name, values in slices.items()})
            for key, events in part.history.items():
                self.events[key] = torch.stack(events)
        return self._finished()

    def step_by_step(self) -> Tensor:
        """One step after the other."""
        parts = [_Running(self, component) for component in self.parts.components]
        for step in range(self.module.steps):
            for part in parts:
                arrivals = part.component.arrivals[self.parts.phase(step)]
                here = {}
                for a in arrivals:
                    past = self.events[a.population, a.event]
                    now = past[step - a.lag] if step >= a.lag else torch.zeros_like(past[0])
                    here[a.port] = self.parts.arrived(a, now, part.fixed)
                part.advance(step, here)
                for key, steps in part.history.items():
                    self.events[key] = steps
        self.events = {key: torch.stack(steps) for key, steps in self.events.items()}
        return self._finished()

    def _sums(self, part: _Running, arrival: Any) -> Tensor:
        events = self.events[arrival.population, arrival.event]
        return self.parts.arrived(arrival, events, part.fixed)

    def _finished(self) -> Tensor:
        """The output, and what was to be recorded."""
        for name in self.record:
            if "." in name:
                self.recorded[name] = torch.stack(self.recorded[name])
            else:
                self.recorded[name] = _shifted(self.events[name, "spike"], 0, self.module.steps)
        output = (self.module._declared.output, "spike")
        if output not in self.events:
            wanted = "a population that spikes; record its variables instead"
            raise ParameterError("surrogate.compile", "output", output[0], wanted)
        return _shifted(self.events[output], 0, self.module.steps)


class _Running:
    """A part of a network while it runs."""

    def __init__(self, run: _Run, component: Component):
        self.run, self.component = run, component
        module, like = run.module, {"dtype": run.dtype, "device": run.device}
        compiled = component.compiled
        tensors = {
            name: module._arrays[s.owner, s.variable.name]
            for name, s in {**compiled.state, **compiled.fixed}.items()
        }
        self.state: dict[str, Tensor] = {}
        for name in compiled.state:
            begin = _as_tensor(
                tensors[name], compiled.state[name].variable.name == "lastspike", **like
            )
            self.state[name] = begin.expand(run.n, *begin.shape)
        self.fixed: dict[str, Any] = {
            name: _as_tensor(tensors[name], False, **like) for name in compiled.fixed
        }
        for name, stored in compiled.fixed.items():
            if stored.variable.name == "w" and stored.owner in module.weights:
                self.fixed[name] = module.weight(stored.owner)
        for (owner, name), local in component.trained.items():
            constant = module.trained.get_submodule(f"{owner}.{name}")
            assert isinstance(constant, TrainedConstant)
            self.fixed[local] = constant().to(run.dtype)
        for key in compiled.ones:
            self.fixed[f"ones_of_{key}"] = torch.ones(run.parts.n_synapses(key), **like)
        sizes = [s.variable.size for s in compiled.state.values()]
        size = (run.n, max(map(int, sizes), default=1))
        self.fixed["real_"] = lambda values: values.to(run.dtype)
        self.fixed["rand_"] = lambda: torch.rand(size, **like)
        self.fixed["randn_"] = lambda: torch.randn(size, **like)
        compiled.functions["prepare"](self.fixed)
        self.history: dict[tuple[str, str], list[Tensor]] = {k: [] for k in component.events}
        self.port = dict(run.port)

    def advance(self, step: int, arriving: Mapping[str, Tensor]) -> None:
        """One time step."""
        run, port = self.run, self.port
        port.update(arriving)
        port.update(run.drives(self.component, step))
        for name, (population, event, lag) in self.component.pasts.items():
            past = self.history[population, event]
            n = run.parts.sizes[population]
            port[name] = (
                past[-lag]
                if len(past) >= lag
                else torch.zeros((run.n, n), dtype=run.dtype, device=run.device)
            )
        phase = run.parts.phase(step)
        self.component.compiled.functions[phase](step, self.state, self.fixed, port)
        for key, name in self.component.events.items():
            steps = self.history[key]
            shape = (run.n, run.parts.sizes[key[0]])
            if name in run.parts.written(self.component, phase):
                steps.append(port[name].expand(shape))
            else:
                steps.append(torch.zeros(shape, dtype=run.dtype, device=run.device))
        for name in run.recorded:
            owner, _, variable = name.partition(".")
            if owner in self.component.populations:
                run.recorded[name].append(
                    self.state[run.parts.local(self.component, owner, variable)]
                )


def _as_tensor(array: np.ndarray, double: bool, *, dtype: Any, device: Any) -> Tensor:
    kind = {"b": torch.bool, "i": torch.int64, "u": torch.int64}.get(array.dtype.kind, dtype)
    return torch.as_tensor(array, device=device).to(torch.float64 if double else kind)


def _shifted(values: Tensor, lag: int, steps: int) -> Tensor:
    """A sequence of so many steps, some steps later; zero before and after."""
    if lag == 0 and len(values) == steps:
        return values
    kept = values[: max(steps - lag, 0)]
    after = steps - min(lag, steps) - len(kept)
    rest = values.shape[1:]
    before = values.new_zeros((steps - after - len(kept), *rest))
    return torch.cat([before, kept, values.new_zeros((after, *rest))])


def _parameters(network: NetworkModel, owner: str) -> Mapping[str, Any]:
    if owner in network.populations:
        return network.populations[owner].model.constants
    return network.resolved(owner).parameters


def _scale_of(projection: str) -> str:
    return f"scale_of_{projection}"


def _scale(network: NetworkModel, key: str, values: Tensor) -> float:
    """What makes weights as large as those that ``torch.nn.Linear`` begins with."""
    n_post = network.populations[network.projections[key].post].n
    fan_in = max(values.numel() / n_post, 1.0)
    size = float(values.square().mean().sqrt()) if values.numel() else 0.0
    return size * float(np.sqrt(3 * fan_in)) if np.isfinite(size) and size > 0 else 1.0
