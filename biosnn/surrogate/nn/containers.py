"""Containers for layers in time: chains of layers, and wrappers of other modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from biosnn.errors import ParameterError
from biosnn.surrogate.nn.helpers import in_step_mode, stateful_layers
from biosnn.surrogate.nn.state_tracking import changed_attributes, snapshot_of, stateless
from biosnn.surrogate.nn.stateful import (
    Stateful,
    Stepped,
    check_order,
    check_sequence,
    check_tensor,
)
from biosnn.validation import check_instance

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def seq_to_batch(x_seq: Tensor, *modules: nn.Module) -> Tensor:
    """Run a sequence ``[T, N, *]`` through modules without a state as one batch ``[T * N, *]``.

    Raises
    ------
    ParameterError
        If `x_seq` is no sequence, or a module does not return one tensor with the batch dimension
        of its input, or keeps a state: its call has changed it.
    """
    check_sequence("seq_to_batch", x_seq)
    y = x_seq.flatten(0, 1)
    batch = len(y)
    for module in modules:
        before, name = snapshot_of(module), _name(module)
        y = module(y)
        check_tensor("seq_to_batch", f"answer of {name}", y)
        if changed := changed_attributes(before, snapshot_of(module)):
            got = f"{name}, whose call changes {', '.join(changed)}"
            remedy = "Derive it from surrogate.Stateful, or put it into a Sequential as it is"
            raise ParameterError("seq_to_batch", "module", got, "a module without a state", remedy)
    if len(y) != batch:
        wanted = f"{batch} = T * N as that of the input"
        raise ParameterError("seq_to_batch", "batch size of the output", len(y), wanted)
    return y.unflatten(0, x_seq.shape[:2])


def multi_step_forward(x_seq: Tensor, *modules: nn.Module) -> Tensor:
    """Run a sequence ``[T, N, *]`` step by step through modules in single-step mode.

    Raises
    ------
    ParameterError
        If `x_seq` is no sequence, or a module does not return one tensor.
    """
    check_sequence("multi_step_forward", x_seq)
    with in_step_mode(nn.ModuleList(modules), "single"):
        steps = []
        for x in x_seq:
            for module in modules:
                x = module(x)
                check_tensor("multi_step_forward", f"answer of {_name(module)}", x)
            steps.append(x)
        return torch.stack(steps)


def _name(module: Any) -> str:
    return getattr(module, "__name__", type(module).__name__)


class Sequential(Stepped, nn.Sequential):
    """Layers with and without a state in a chain, in both step modes.

    In multi-step mode an input is ``[T, N, *]``, and the layers may be any mix. Torch's own layers
    without a state (``Linear``, ``Conv2d``, ``BatchNorm2d``, ``AvgPool2d``, ``Flatten`` and so on),
    and whatever is wrapped in `Stateless`, see ``[T * N, *]``; layers with a step mode see the
    sequence. All other modules are called step by step, since they may keep a state: your own
    blocks, and those that hold layers with a state. What they keep is theirs to reset.

    Parameters
    ----------
    *layers : torch.nn.Module
        The layers, or one ordered dictionary of named layers, as in ``torch.nn.Sequential``.
    step_mode : str
        "single" or "multi". Setting it sets it in all layers.
    order : str
        "layer" takes one layer after the other, each with all steps; "step" takes one step after
        the other, each through all layers (slower, but without autograd it holds one step at a
        time). Results are equal, but for layers whose answer depends on the whole batch or on
        chance: ``BatchNorm`` in training takes its mean over ``T * N`` in one case and over ``N``
        in the other, and ``Dropout`` draws other masks.

    Raises
    ------
    ParameterError
        If `order` or `step_mode` is unknown.
    """

    def __init__(self, *layers: Any, step_mode: str = "single", order: str = "layer"):
        super().__init__(*layers)
        self.order = order
        self.step_mode = step_mode

    @property
    def order(self) -> str:
        """Whether a sequence goes layer by layer ("layer") or step by step ("step")."""
        return self._order

    @order.setter
    def order(self, order: str) -> None:
        self._order = check_order("Sequential", order)

    @property
    def step_mode(self) -> str:
        """Whether an input is one step ("single") or a sequence of steps ("multi")."""
        return self._step_mode

    @step_mode.setter
    def step_mode(self, mode: str) -> None:
        Stepped.step_mode.__set__(self, mode)
        for layer in self.modules():
            if isinstance(layer, Stepped) and layer is not self:
                layer.step_mode = mode

    def forward(self, input: Tensor) -> Tensor:
        """Run ``[N, *]`` (single step) or ``[T, N, *]`` (multi step) through the layers.

        Raises
        ------
        ParameterError
            If the input is no sequence in multi-step mode, or a recurrent layer of torch stands
            here without a `ForeignStateful` around it: its state would be lost at every step.
        """
        for name, layer in self.named_children():
            if isinstance(layer, _RECURRENT):
                what = type(layer).__name__
                remedy = f"Wrap a cell as ForeignStateful({what.removesuffix('Cell')}Cell(...))"
                raise ParameterError("Sequential", name, what, "a layer without a state", remedy)
        if self.step_mode == "single":
            for layer in self:
                sequences = isinstance(layer, Stepped) and layer.step_mode == "multi"
                input = layer(input.unsqueeze(0)).squeeze(0) if sequences else layer(input)
            return input
        check_sequence(type(self).__name__, input)
        if self.order == "step":
            return multi_step_forward(input, *self)
        for layer in self:
            if isinstance(layer, Stepped) and layer.step_mode == "multi":
                input = layer(input)
            else:
                run = seq_to_batch if stateless(layer) else multi_step_forward
                input = run(input, layer)
        return input

    def __getitem__(self, idx: Any) -> Any:
        if not isinstance(idx, slice):
            return super().__getitem__(idx)
        part = type(self)(step_mode=self.step_mode, order=self.order)
        for name, layer in list(self.named_children())[idx]:
            part.add_module(name, layer)
        return part

    def __add__(self, other: Any) -> Sequential:
        both = type(self)(step_mode=self.step_mode, order=self.order)
        return both.extend(super().__add__(other))

    def extra_repr(self) -> str:
        """Name the modes when the network is printed."""
        return f"step_mode={self.step_mode!r}, order={self.order!r}"


def _read_old_names(wrapper: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Read state dictionaries of versions that left ``module.`` out of the names of parameters."""
    inner = f"{prefix}module."
    for key in [key for key in state if key.startswith(prefix) and not key.startswith(inner)]:
        state[inner + key.removeprefix(prefix)] = state.pop(key)


class Stateless(Stepped, nn.Module):
    """A module that is declared to keep no state: `Sequential` calls it once for all steps.

    Parameters
    ----------
    module : torch.nn.Module
        Takes ``[N, *]`` and returns ``[N, *]``.
    step_mode : str
        "single": an input is ``[N, *]``. "multi": it is ``[T, N, *]``, and the module sees
        ``[T * N, *]``.

    Raises
    ------
    ParameterError
        If `module` holds layers with a state; in multi-step mode also if a call changes it.
    """

    def __init__(self, module: nn.Module, *, step_mode: str = "single"):
        super().__init__()
        check_instance("Stateless", "module", module, nn.Module)
        if held := stateful_layers(module):
            got = f"{type(module).__name__} with {type(next(iter(held.values()))).__name__}"
            wanted = "a module without a state"
            raise ParameterError("Stateless", "module", got, wanted, "Use Sequential")
        self.module = module
        self.step_mode = step_mode
        self.register_load_state_dict_pre_hook(_read_old_names)

    def forward(self, x: Tensor) -> Tensor:
        """Run ``[N, *]`` (single step) or ``[T, N, *]`` (multi step) through the module."""
        return self.module(x) if self.step_mode == "single" else seq_to_batch(x, self.module)


State = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor] | None


class ForeignStateful(Stateful):
    """A module of another library that takes and returns its state, as a layer with a state.

    Parameters
    ----------
    module : torch.nn.Module
        ``module(x, state)`` takes a step ``[N, *]`` and returns ``(y, state)``; or one of
        torch's cells (``RNNCell``, ``GRUCell``, ``LSTMCell``), whose output is their ``h``.
        The state is a tensor, a tuple of tensors or a dictionary of tensors. In `memory` these
        are ``state``, ``state_0, state_1, ...`` or the dictionary's names; those of the cells
        are ``h`` and ``c``.
    initial : callable, optional
        ``initial(x)`` gives the state before the first step. Without it, the module is given
        ``None``, as torch's cells accept.
    step_mode : str
        "single" or "multi".
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        initial: Callable[[Tensor], State] | None = None,
        step_mode: str = "single",
    ):
        super().__init__(step_mode=step_mode)
        self.module = module
        self.initial = initial
        self._form: type = tuple
        self.register_load_state_dict_pre_hook(_read_old_names)

    def initial_state(self, x: Tensor) -> dict[str, Tensor]:
        """What `initial` gives; nothing without it."""
        return {} if self.initial is None else self._named(self.initial(x))

    def single_step(self, x: Tensor) -> Tensor:
        """Hand the state to the module and keep the one it returns."""
        values = tuple(self.memory.values())
        forms = {dict: dict(self.memory), Tensor: values[:1] and values[0], tuple: values}
        answer = self.module(x, forms[self._form] if values else None)
        if isinstance(self.module, nn.RNNCellBase):
            answer = answer[0] if isinstance(self.module, nn.LSTMCell) else answer, answer
        elif not (isinstance(answer, tuple) and len(answer) == 2):
            got = f"{type(answer).__name__} from {type(self.module).__name__}"
            raise ParameterError("ForeignStateful", "module's answer", got, "(y, state)")
        y, state = answer
        self.memory = self._named(state)
        return y

    def _named(self, state: State) -> dict[str, Tensor]:
        """A state by name; `single_step` hands it over in the form that it had."""
        cell = isinstance(self.module, nn.RNNCellBase)
        if state is None:
            return {}
        if isinstance(state, Mapping):
            self._form = dict
            return dict(state)
        if isinstance(state, Tensor):
            self._form = Tensor
            return {"h" if cell else "state": state}
        if isinstance(state, tuple | list):
            self._form = tuple
            return {"hc"[k] if cell else f"state_{k}": value for k, value in enumerate(state)}
        wanted = "a tensor, a tuple of tensors or a dictionary of tensors"
        raise ParameterError("ForeignStateful", "state", type(state).__name__, wanted)
