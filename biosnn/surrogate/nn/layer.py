"""Spiking layers: the equations of a neuron model as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from brian2 import Clock, Function, Hz, NeuronGroup, cm, ms, mV, nA, nS, uA
from brian2.parsing.statements import parse_statement
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity
from torch import Tensor

from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Normal, Uniform, names_in, neuron_formula, parsed
from biosnn.program.lift import lift_group
from biosnn.program.program import Program, parsed_equations
from biosnn.program.scope import Scope
from biosnn.surrogate.compiler.component import (
    Component,
    Drive,
    Settings,
    compile_component,
)
from biosnn.surrogate.compiler.fused import Steps, check_fused, fused_steps
from biosnn.surrogate.compiler.liveness import Stored
from biosnn.surrogate.compiler.surrogate_functions import surrogate_function
from biosnn.surrogate.nn.stateful import Stateful, copied
from biosnn.surrogate.nn.trained_constants import trained_constants
from biosnn.validation import check_flag, check_instance, check_value

#: Units of the size that variables of neurons have.
_SCALES = {"nA": nA, "mV": mV, "nS": nS, "uA/cm**2": uA / cm**2, "mV/ms": mV / ms, "Hz": Hz}
#: Time steps below this one are fine: resets are detached by default.
FINE = 0.5 * ms


class SpikingLayer(Stateful):
    """Neurons defined by equations, as a layer between others.

    In every step the input sets a variable, and then follows Brian2's time step: equations,
    threshold, reset. An input that is added arrives between the equations and the threshold, as
    in the discrete neurons of other libraries: leak, input, spike, reset.

    Parameters
    ----------
    model : NeuronModel or brian2.NeuronGroup
        The neurons. A group's own number of neurons must be that of the inputs.
    dt : Quantity, optional
        Time step; needed for a model, a group has its own.
    drive : str
        The variable that the input sets (``"I"``), or a statement that adds it (``"v += x"``).
        Nothing is added to a variable ``(unless refractory)`` of a neuron that is refractory.
    gain : Quantity or float, optional
        Factor on the input: what 1 means, in the unit of the variable. It may be left out for a
        variable without unit only.
    surrogate : str or SurrogateFunction
        Gradient of every comparison.
    width : Quantity, float or dict, optional
        What the argument of the surrogate is divided by: the threshold's scale. By default the
        distance of both sides of a comparison in the initial state. A dict gives one for the
        text of each comparison.
    detach_reset : bool, optional
        Whether no gradient goes from a reset to its spike. By default where ``dt`` is below
        0.5 ms, where gradients would explode.
    train : iterable of str or dict
        Constants of the model that are trained, or constant -> shape.
    output : str, optional
        An event (``"spike"``), or a variable for neurons without threshold.
    smooth : bool
        Replace spikes by the surrogate's primitive, for checks of gradients.
    functions : dict
        Function of the equations, or its name -> function of tensors with gradients.
    namespace : dict
        For a group: names that it does not hold itself.
    fuse : int
        In multi-step mode, so many steps become one function of ``torch.compile`` (0: none).
        Five steps of a LIF neuron take a third of the time; compiling them takes a minute.
    step_mode : {"single", "multi"}
        ``[N, *]`` or ``[T, N, *]``.

    Attributes
    ----------
    source : str
        The generated code.
    trained : torch.nn.ModuleDict
        The trained constants.

    Raises
    ------
    ParameterError
        If an argument is out of its bound, or the equations have no counterpart in torch.
    """

    keeps_dtype = frozenset({"lastspike"})

    def __init__(
        self,
        model: NeuronModel | NeuronGroup,
        *,
        dt: Any = None,
        drive: str = "I",
        gain: Any = None,
        surrogate: Any = "atan",
        width: Any = None,
        detach_reset: bool | None = None,
        train: Iterable[str] | Mapping[str, Any] = (),
        output: str | None = None,
        smooth: bool = False,
        functions: Mapping[Any, Callable[..., Tensor]] | None = None,
        namespace: Mapping[str, Any] | None = None,
        fuse: int = 0,
        step_mode: str = "single",
    ):
        super().__init__(step_mode=step_mode)
        check_instance("SpikingLayer", "model", model, (NeuronModel, NeuronGroup))
        check_instance("SpikingLayer", "drive", drive, str)
        check_instance("SpikingLayer", "output", output, str, optional=True)
        check_instance("SpikingLayer", "namespace", namespace, Mapping, optional=True)
        check_settings("SpikingLayer", detach_reset, smooth, functions)
        self.model: NeuronModel | NeuronGroup | None = model
        self._name = model.name
        program = lift_group(_group_of(model, dt), namespace)
        (group,) = program.groups.values()
        self._n = group.n if isinstance(model, NeuronGroup) else None
        self.dt = program.dt
        self.drive = drive
        name, added = driven_variable(drive)
        self.gain = _gain(program, name, gain)
        parameters = {k: v for k, v in group.constants.items() if not isinstance(v, Function)}
        self.trained = trained_constants(group.name, train, parameters)
        fine = self.dt < float(FINE) * (1 - 1e-9)
        settings = Settings(
            surrogate=surrogate_function(surrogate),
            widths=widths_of(width),
            detach_reset=fine if detach_reset is None else bool(detach_reset),
            smooth=smooth,
            functions=functions or {},
            trained=frozenset((group.name, key) for key in self.trained),
        )
        events = {k.event for k in program.of(group.name, "threshold")}
        self.output = output or ("spike" if "spike" in events else "v")
        driven = Drive(owner=group.name, name=name, port="port_x", adds=added)
        observed = [
            (group.name, variable)
            for variable in parsed_equations(group).diff_eq_names | {self.output} - events
        ]
        self._component: Component = compile_component(
            program, [group.name], {"step": program.kernels}, [driven], settings, observed
        )
        self._port = self._component.events.get((group.name, self.output), "")
        if not self._port and self.output not in self._component.compiled.state:
            raise ParameterError(
                group.name,
                "output",
                repr(self.output),
                f"an event ({', '.join(sorted(events)) or 'there is none'}) or a variable that "
                f"changes ({', '.join(self._component.compiled.state)})",
            )
        self._begin = {
            key: _initial(model, stored) for key, stored in self._component.compiled.state.items()
        }
        self._constant = {
            key: stored.value for key, stored in self._component.compiled.fixed.items()
        }
        self.fuse = check_fused(type(self).__name__, fuse, self._component.compiled)
        self._fused: Steps | None = None
        self._real: dict[torch.dtype, Callable[[Tensor], Tensor]] = {}
        self._time = 0

    @property
    def source(self) -> str:
        """The generated code: numbers are SI values."""
        return self._component.compiled.source

    def initial_state(self, x: Tensor) -> dict[str, Tensor]:
        """The model's initial values, of the shape of a step ``x``."""
        self._check_size(x)
        dtype = _float_type(x)
        self._constants = {
            key: _as_state(value, x, dtype, key) for key, value in self._constant.items()
        }
        self._time = 0
        found = {}
        for key, value in self._begin.items():
            if isinstance(value, tuple):
                value = value[0].sample(np.random.default_rng(_seed()), tuple(x.shape[1:]))
            found[key] = _as_state(value, x, dtype, key).expand(x.shape)
        return found

    def _check_size(self, x: Tensor) -> None:
        shape = tuple(x.shape[1:])
        if self._n is not None and int(np.prod(shape)) != self._n:
            raise ParameterError(
                type(self).__name__, "input's shape", tuple(x.shape), f"[N, {self._n}]"
            )

    def _prepared(self, x: Tensor) -> dict[str, Any]:
        """Constants and functions that do not change during a sequence."""
        dtype = _float_type(x)
        shape = x.shape
        fixed: dict[str, Any] = dict(self._constants)
        fixed["real_"] = self._real.setdefault(dtype, lambda values: values.to(dtype))
        if not self.fuse:  # torch.compile would compile anew for every call
            fixed["rand_"] = lambda: torch.rand(shape, dtype=dtype, device=x.device)
            fixed["randn_"] = lambda: torch.randn(shape, dtype=dtype, device=x.device)
        for (_, name), local in self._component.trained.items():
            fixed[local] = self.trained[name]().to(dtype)
        self._component.compiled.functions["prepare"](fixed)
        return fixed

    def _advance(self, x: Tensor, fixed: dict[str, Any]) -> Tensor:
        port = {"port_x": x if self.gain == 1.0 else self.gain * x}
        self._component.compiled.functions["step"](self._time, self.memory, fixed, port)
        self._time += 1
        return self._output(port, self.memory)

    def _output(self, port: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
        return port[self._port] if self._port else state[self.output]

    def single_step(self, x: Tensor) -> Tensor:
        """One time step: ``[N, *]`` to ``[N, *]``."""
        return self._advance(_real(x), self._prepared(x))

    def multi_step(self, x_seq: Tensor) -> Tensor:
        """Many time steps: ``[T, N, *]`` to ``[T, N, *]``."""
        fixed, x_seq = self._prepared(x_seq[0]), _real(x_seq)
        if self.fuse and len(x_seq) >= self.fuse:
            return self._fused_steps(x_seq, fixed)
        return torch.stack([self._advance(x, fixed) for x in x_seq.unbind()])

    def _fused_steps(self, x_seq: Tensor, fixed: dict[str, Any]) -> Tensor:
        """Several steps at a time; what is left over at the end goes one by one."""
        if self._fused is None:
            step = self._component.compiled.functions["step"]
            self._fused = fused_steps(step, self._output)
        whole = len(x_seq) - len(x_seq) % self.fuse
        found = []
        for part in x_seq[:whole].split(self.fuse):
            driven = part if self.gain == 1.0 else self.gain * part
            spikes, self.memory = self._fused(driven, self.memory, fixed)
            found.append(spikes)
        self._time += whole
        found += [self._advance(x, fixed)[None] for x in x_seq[whole:].unbind()]
        return torch.cat(found)

    def trained_model(self) -> NeuronModel:
        """The neuron model with the trained values of its constants.

        Raises
        ------
        ParameterError
            If the layer was made of a Brian2 group, or a constant has several values.
        """
        if not isinstance(self.model, NeuronModel):
            wanted = "a NeuronModel; set the group's constants yourself"
            raise ParameterError(type(self).__name__, "model", "a NeuronGroup", wanted)
        return self.model.with_parameters(**{k: c.quantity for k, c in self.trained.items()})

    def __deepcopy__(self, memo: dict[int, Any]) -> SpikingLayer:
        twin = copied(self, memo, self.model, self._component)
        twin.model = self.model
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # The compiled program suffices; objects of Brian2 cannot be pickled.
        model = self.model if isinstance(self.model, NeuronModel) else None
        return {**super().__getstate__(), "model": model, "_fused": None, "_real": {}}

    def extra_repr(self) -> str:
        """Name the model and the time step when the module is printed."""
        return f"{self._name}, dt={self.dt * 1e3:g} ms, {super().extra_repr()}"


def _group_of(model: NeuronModel | NeuronGroup, dt: Any) -> NeuronGroup:
    if isinstance(model, NeuronGroup):
        return model
    if dt is None:
        raise ParameterError("SpikingLayer", "dt", dt, "a time step, such as 1*ms")
    check_value("SpikingLayer", "dt", dt, ms, "> 0")
    waiting = [o.on for o in model.operations if o.on in ("onset", "input")]
    if model.links or waiting:
        got = f"{model.name}, which follows a protocol of samples"
        remedy = "Declare a network and use surrogate.to_torch(network)"
        raise ParameterError("SpikingLayer", "model", got, "a neuron on its own", remedy)
    group = model.group(1, clock=Clock(dt=dt, name="layer_clock*"), name="layer*")
    group._network = "torch"  # Brian2 warns of groups that no network has used
    return group


def check_settings(where: str, detach_reset: Any, smooth: Any, functions: Any) -> None:
    """Check settings that layers and networks have in common."""
    check_flag(where, "smooth", smooth)
    check_instance(where, "functions", functions, Mapping, optional=True)
    if detach_reset is not None:
        check_flag(where, "detach_reset", detach_reset)


def widths_of(width: Any) -> dict[str, float]:
    """Widths of comparisons in SI units; the empty text stands for all."""
    if width is None:
        return {}
    given = width if isinstance(width, Mapping) else {"": width}
    found = {}
    for key, value in given.items():
        name = f"width {key}".strip()
        found[key] = float(np.asarray(check_value("surrogate", name, value, value, "> 0")))
    return found


def driven_variable(drive: str) -> tuple[str, bool]:
    """The variable that the input sets, or adds to in a statement such as ``v += x``."""
    try:
        name, operator, expression, _ = parse_statement(drive)
    except ValueError:
        return drive, False
    return (name, True) if (operator, expression.strip()) == ("+=", "x") else (drive, False)


def _gain(program: Program, name: str, gain: Any) -> float:
    (group,) = program.groups
    among = [array.name for array in program.arrays.values() if not array.expression or array.held]
    if name not in among:
        wanted = f"a variable of {group} ({', '.join(sorted(among))}), or 'name += x'"
        raise ParameterError("SpikingLayer", "drive", repr(name), wanted)
    found = Scope(program, group).find(name)
    assert found is not None
    dim, unit = found.dim, program.arrays[f"{group}.{name}"].unit
    if gain is None and dim is DIMENSIONLESS:
        return 1.0
    if gain is None:
        unit = next((u for u, q in _SCALES.items() if q.dim is dim), unit)
        remedy = f"Give gain=1*{unit}, say: of the size of {name} at which the neuron fires"
        wanted = f"what an input of 1 means, as {name} has a unit"
        raise ParameterError("SpikingLayer", "gain", gain, wanted, remedy)
    like = Quantity(1.0, dim=dim)
    return float(np.asarray(check_value("SpikingLayer", "gain", gain, like)).item())


def _initial(model: Any, stored: Stored) -> Any:
    """Initial value of a variable: an array of a group, a number, or a distribution."""
    if isinstance(model, NeuronModel):
        value = model.initial_value(stored.variable)
        if isinstance(value, Uniform | Normal):
            return (value,)
        if isinstance(value, str):
            _check_same_for_all(model, stored.variable)
    return stored.value


def _check_same_for_all(model: NeuronModel, variable: str) -> None:
    """Check that an initial value that is an expression does not differ between neurons."""
    formula = neuron_formula("", model, parsed(model.name, model.equations), variable, 1)
    drawn = (Uniform, Normal)
    random = any(isinstance(model.initial_value(name), drawn) for name in formula.variables)
    if random or formula.drawn or {"i", "N"} & names_in(formula.code):
        got = repr(model.initial[variable])
        wanted = "without i, N and random numbers for a SpikingLayer, which has no numbered neurons"
        remedy = "Give Uniform or Normal, or use surrogate.to_torch(network)"
        raise ParameterError(model.name, f"initial[{variable!r}]", got, wanted, remedy)
    for name in formula.variables:
        if isinstance(model.initial_value(name), str):
            _check_same_for_all(model, name)


def _as_state(value: np.ndarray, x: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """An array as a tensor that broadcasts against a step."""
    array = np.asarray(value)
    kind = {"b": torch.bool, "i": torch.int64, "u": torch.int64}.get(array.dtype.kind, dtype)
    kind = torch.float64 if name == "lastspike" else kind
    tensor = torch.as_tensor(array, device=x.device).to(kind)
    if tensor.numel() == 1:
        return tensor.reshape(())
    return tensor.reshape(x.shape[1:])


def _float_type(x: Tensor) -> torch.dtype:
    """Floating-point type of the state: that of the input, but never half of a float."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def _real(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _seed() -> int:
    return int(torch.randint(2**31, ()))
