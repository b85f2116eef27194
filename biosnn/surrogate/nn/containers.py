"""Layers behind each other in time, and modules of other makers among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from biosnn.errors import ParameterError
from biosnn.surrogate.nn.helpers import in_step_mode, stateful_layers
from biosnn.surrogate.nn.state_tracking import changes, kept_by, stateless
from biosnn.surrogate.nn.stateful import Stateful, Stepped, check_sequence, check_tensor
from biosnn.validation import check_instance

ORDERS = ("layer", "step")
_INNER = "module."  # what a wrapper's attribute would add to the names of parameters


def seq_to_batch(x_seq: Tensor, *modules: nn.Module) -> Tensor:
    """Run a sequence through modules without a state, all steps as one batch.

    Parameters
    ----------
    x_seq : Tensor
        ``[T, N, *]``; the modules see ``[T * N, *]``.
    *modules : torch.nn.Module
        Modules (or functions) without a state, one behind the other.

    Returns
    -------
    Tensor
        ``[T, N, *]``.

    Raises
    ------
    ParameterError
        If `x_seq` is no sequence, or a module does not answer one tensor with the batch dimension
        of its input, or keeps a state: its call has changed it.
    """
    check_sequence("seq_to_batch", x_seq)
    y = x_seq.flatten(0, 1)
    batch = len(y)
    for module in modules:
        before = kept_by(module)
        y = module(y)
        check_tensor("seq_to_batch", f"answer of {_called(module)}", y)
        _refuse_changes(module, before)
    if len(y) != batch:
        wanted = f"{batch} = T * N as that of the input"
        raise ParameterError("seq_to_batch", "batch size of the output", len(y), wanted)
    return y.unflatten(0, x_seq.shape[:2])


def _called(module: Any) -> str:
    return getattr(module, "__name__", type(module).__name__)


def _refuse_changes(module: Any, before: dict[str, Any]) -> None:
    changed = changes(before, kept_by(module))
    if changed:
        got = f"{_called(module)}, whose call changes {', '.join(changed)}"
        remedy = "Derive it from surrogate.Stateful, or put it into a Sequential as it is"
        raise ParameterError("seq_to_batch", "module", got, "a module without a state", remedy)


def multi_step_forward(x_seq: Tensor, *modules: nn.Module) -> Tensor:
    """Run a sequence through single-step modules, step by step.

    Parameters
    ----------
    x_seq : Tensor
        ``[T, N, *]``; the modules see ``[N, *]``, T times.
    *modules : torch.nn.Module
        Modules with or without a state, one behind the other. Their own step mode does not
        matter: they are called in single-step mode and have their own again afterwards.

    Returns
    -------
    Tensor
        ``[T, N, *]``.

    Raises
    ------
    ParameterError
        If `x_seq` is no sequence, or a module does not answer one tensor.
    """
    check_sequence("multi_step_forward", x_seq)
    chain = nn.ModuleList(modules)
    with in_step_mode(chain, "single"):
        return torch.stack([_run(chain, x) for x in x_seq])


def _run(modules: nn.ModuleList, x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
        check_tensor("multi_step_forward", f"answer of {_called(module)}", x)
    return x


class Sequential(Stepped, nn.Sequential):
    """Layers with and without a state behind each other, in both step modes.

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
        The way through a sequence: "layer" takes one layer after the other, each with all
        steps; "step" takes one step after the other, each through all layers (slower, but
        without autograd it holds one step at a time). Results are equal, but for layers whose
        answer depends on the whole batch or on chance: ``BatchNorm`` in training takes its
        mean over ``T * N`` in one case and over ``N`` in the other, and ``Dropout`` draws
        other masks.

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
        """The way through a sequence: "layer" or "step"."""
        return self._order

    @order.setter
    def order(self, order: str) -> None:
        if not isinstance(order, str) or order not in ORDERS:
            raise ParameterError("Sequential", "order", repr(order), '"layer" or "step"')
        self._order = order

    @property
    def step_mode(self) -> str:
        """What an input is: one step ("single") or a sequence of steps ("multi")."""
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
        self._refuse_recurrent_layers()
        if self.step_mode == "single":
            for layer in self:
                input = _one_step(layer, input)
            return input
        check_sequence(type(self).__name__, input)
        if self.order == "step":
            return multi_step_forward(input, *self)
        for layer in self:
            input = _all_steps(layer, input)
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
        for layer in super().__add__(other):
            both.append(layer)
        return both

    def _refuse_recurrent_layers(self) -> None:
        for name, layer in self.named_children():
            if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
                what = type(layer).__name__
                remedy = f"Wrap a cell as ForeignStateful({what.removesuffix('Cell')}Cell(...))"
                raise ParameterError("Sequential", name, what, "a layer without a state", remedy)

    def extra_repr(self) -> str:
        """Name the modes when the network is printed."""
        return f"step_mode={self.step_mode!r}, order={self.order!r}"


def _one_step(layer: nn.Module, x: Tensor) -> Tensor:
    if isinstance(layer, Stepped) and layer.step_mode == "multi":
        return layer(x.unsqueeze(0)).squeeze(0)
    return layer(x)


def _all_steps(layer: nn.Module, x_seq: Tensor) -> Tensor:
    if isinstance(layer, Stepped) and layer.step_mode == "multi":
        return layer(x_seq)
    return seq_to_batch(x_seq, layer) if stateless(layer) else multi_step_forward(x_seq, layer)


class Stateless(Stepped, nn.Module):
    """A module that is declared to keep no state: it works in both step modes.

    A module of your own in `Sequential` is called once for all steps if it is wrapped so.

    Parameters
    ----------
    module : torch.nn.Module
        Takes ``[N, *]`` and answers ``[N, *]``. Its parameters keep their names in
        ``state_dict``: the wrapper adds no prefix.
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
            wanted = "a module without a state"
            got = f"{type(module).__name__} with {type(next(iter(held.values()))).__name__}"
            raise ParameterError("Stateless", "module", got, wanted, "Use Sequential")
        self.module = module
        self.step_mode = step_mode
        _hide_prefix(self)

    def forward(self, x: Tensor) -> Tensor:
        """Run ``[N, *]`` (single step) or ``[T, N, *]`` (multi step) through the module."""
        return self.module(x) if self.step_mode == "single" else seq_to_batch(x, self.module)

    def extra_repr(self) -> str:
        """Name the step mode when the module is printed."""
        return f"step_mode={self.step_mode!r}"


State = Tensor | tuple[Tensor, ...] | Mapping[str, Tensor] | None


class ForeignStateful(Stateful):
    """A module of another maker whose state is handed in and out, as one of ours.

    Parameters
    ----------
    module : torch.nn.Module
        ``module(x, state)`` takes a step ``[N, *]`` and answers ``(y, state)``; or one of
        torch's cells (``RNNCell``, ``GRUCell``, ``LSTMCell``), whose output is their ``h``.
        The state is a tensor, a tuple of tensors or a dictionary of tensors. In `memory` these
        are ``state``, ``state_0, state_1, ...`` or the dictionary's names; those of the cells
        are ``h`` and ``c``. The module's parameters keep their names in ``state_dict``.
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
        _hide_prefix(self)

    def initial_state(self, x: Tensor) -> dict[str, Tensor]:
        """What `initial` says; nothing without it."""
        return {} if self.initial is None else self._pack(self.initial(x))

    def single_step(self, x: Tensor) -> Tensor:
        """Hand the state to the module and keep the one it gives back."""
        answer = self.module(x, self._unpack())
        if isinstance(self.module, nn.LSTMCell):
            y, state = answer[0], answer
        elif isinstance(self.module, nn.RNNCellBase):
            y, state = answer, answer
        elif isinstance(answer, tuple) and len(answer) == 2:
            y, state = answer
        else:
            got = f"{type(answer).__name__} from {type(self.module).__name__}"
            raise ParameterError("ForeignStateful", "module's answer", got, "(y, state)")
        self.memory = self._pack(state)
        return y

    def _pack(self, state: State) -> dict[str, Tensor]:
        if state is None:
            return {}
        if isinstance(state, Mapping):
            self._form = dict
            return dict(state)
        if isinstance(state, Tensor):
            self._form = Tensor
            return {"h" if isinstance(self.module, nn.RNNCellBase) else "state": state}
        if isinstance(state, tuple | list):
            self._form = tuple
            names = [f"state_{k}" for k in range(len(state))]
            if isinstance(self.module, nn.LSTMCell):
                names = ["h", "c"]
            return dict(zip(names, state, strict=True))
        wanted = "a tensor, a tuple of tensors or a dictionary of tensors"
        raise ParameterError("ForeignStateful", "state", type(state).__name__, wanted)

    def _unpack(self) -> State:
        if not self.memory:
            return None
        if self._form is dict:
            return dict(self.memory)
        values = tuple(self.memory.values())
        return values[0] if self._form is Tensor else values


def _hide_prefix(wrapper: nn.Module) -> None:
    """Let the keys of a wrapper's ``state_dict`` be those of its ``module``, both ways."""
    wrapper.register_state_dict_post_hook(_drop_prefix)
    wrapper.register_load_state_dict_pre_hook(_add_prefix)
    wrapper.register_load_state_dict_post_hook(_report_without_prefix)


def _drop_prefix(wrapper: nn.Module, state: Any, prefix: str, _metadata: Any) -> None:
    inner = prefix + _INNER
    own = {key: state.pop(key) for key in list(state) if key.startswith(inner)}
    state.update({prefix + key.removeprefix(inner): own[key] for key in own})
    versions = state._metadata  # by the names of modules, which end without the prefix's dot
    own = {f"{key}.": versions.pop(key) for key in list(versions) if f"{key}.".startswith(inner)}
    versions.update({(prefix + key.removeprefix(inner))[:-1]: own[key] for key in own})


def _add_prefix(
    wrapper: nn.Module,
    state: dict[str, Any],
    prefix: str,
    _metadata: Any,
    _strict: bool,
    _missing: list[str],
    _unexpected: list[str],
    errors: list[str],
) -> None:
    own = {key: state.pop(key) for key in list(state) if key.startswith(prefix)}
    state.update({prefix + _INNER + key.removeprefix(prefix): own[key] for key in own})
    wrapper.__dict__["_loading"] = prefix, errors


def _report_without_prefix(wrapper: nn.Module, incompatible: Any) -> None:
    prefix, errors = wrapper.__dict__.pop("_loading")
    inner = prefix + _INNER
    for names in (incompatible.missing_keys, incompatible.unexpected_keys):
        names[:] = [prefix + n.removeprefix(inner) if n.startswith(inner) else n for n in names]
    errors[:] = [message.replace(f" {inner}", f" {prefix}") for message in errors]
