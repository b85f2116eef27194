"""Base classes of torch modules with step modes and with a state between time steps."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from biosnn.errors import ParameterError

STEP_MODES = ("single", "multi")
ORDERS = ("layer", "step")


def check_order(obj: str, order: Any) -> str:
    """Return `order`, or raise ``ParameterError`` if it is neither "layer" nor "step"."""
    if not isinstance(order, str) or order not in ORDERS:
        raise ParameterError(obj, "order", repr(order), '"layer" or "step"')
    return order


def check_step_mode(obj: str, mode: str) -> str:
    """Return `mode`, or raise ``ParameterError`` if it is neither "single" nor "multi"."""
    if not isinstance(mode, str) or mode not in STEP_MODES:
        raise ParameterError(obj, "step_mode", repr(mode), '"single" or "multi"')
    return mode


def check_tensor(obj: str, what: str, value: Any) -> None:
    """Raise ``ParameterError`` if a value is no tensor."""
    if not isinstance(value, Tensor):
        remedy = "Put steps together with torch.stack" if isinstance(value, tuple | list) else ""
        raise ParameterError(obj, what, f"a {type(value).__name__}", "one tensor", remedy)


def check_finite(obj: str, what: str, values: Tensor) -> None:
    """Raise ``ParameterError`` if a value is NaN or infinite, with its place."""
    if torch.compiler.is_compiling() or bool(torch.isfinite(values).all()):
        return
    at = tuple((~torch.isfinite(values)).nonzero()[0].tolist())
    remedy = "Look at the data, the weights and the learning rate"
    raise ParameterError(obj, what, f"{values[at].item()} at {at}", "finite", remedy)


def check_sequence(obj: str, x_seq: Tensor) -> None:
    """Raise ``ParameterError`` if `x_seq` cannot be a sequence of steps, ``[T, N, *]``."""
    check_tensor(obj, "input", x_seq)
    if x_seq.dim() < 2 or len(x_seq) == 0:
        wanted = "that of a sequence, (T, N, *) with T >= 1"
        remedy = 'A single step (N, *) needs step_mode="single"'
        raise ParameterError(obj, "input's shape", tuple(x_seq.shape), wanted, remedy)


def copied(module: nn.Module, memo: dict[int, Any], *shared: Any) -> Any:
    """A deep copy of a module that shares with it what never changes (code, Brian2 objects)."""
    memo.update({id(part): part for part in shared})
    twin = module.__new__(type(module))
    memo[id(module)] = twin
    twin.__setstate__(copy.deepcopy(module.__getstate__(), memo))
    return twin


class Stepped:
    """Base class of modules that take one step or a sequence, as their ``step_mode`` says.

    A block of your own with a loop over time (say, one with a shortcut) may have this as a second
    base class; then `Sequential` gives it whole sequences in multi-step mode. Without it, a block
    that holds layers with a state is called step by step.
    """

    _step_mode = "single"

    @property
    def step_mode(self) -> str:
        """Whether an input is one step ("single") or a sequence of steps ("multi")."""
        return self._step_mode

    @step_mode.setter
    def step_mode(self, mode: str) -> None:
        self._step_mode = check_step_mode(type(self).__name__, mode)


class Stateful(Stepped, nn.Module):
    """A module whose output depends on earlier inputs through a state.

    A subclass defines the state before the first step (`initial_state`) and one time step
    (`single_step`, which reads and writes `memory`). Call the module, not its methods:
    ``forward`` makes the state, checks it and chooses the mode.

    Parameters
    ----------
    step_mode : str
        "single": an input is one step, ``[N, *]``. "multi": it is a sequence, ``[T, N, *]``.

    Attributes
    ----------
    memory : dict of str to Tensor
        The state by name; empty before the first input. It is no part of ``state_dict``, but it
        moves with the module (``.to()``, ``.cuda()``, ``.double()``) and is copied with it, cut
        from the graph. Its entries can be read and replaced as attributes, too (``layer.v``).
    keeps_dtype : frozenset of str
        Names in `memory` that change their device, but not their dtype, with the module.
    """

    keeps_dtype: frozenset[str] = frozenset()

    def __init__(self, *, step_mode: str = "single"):
        super().__init__()
        self.reset()
        self._step_hooks: OrderedDict[int, Callable[[Stateful], None]] = OrderedDict()
        self.step_mode = step_mode

    # --- for subclasses

    def initial_state(self, x: Tensor) -> dict[str, Tensor]:
        """The state before the first step, on the device of `x`, an input of one step."""
        raise NotImplementedError(f"{type(self).__name__} must define initial_state")

    def single_step(self, x: Tensor) -> Tensor:
        """One step: ``[N, *]`` to ``[N, *]``; reads and updates `memory`."""
        raise NotImplementedError(f"{type(self).__name__} must define single_step")

    def multi_step(self, x_seq: Tensor) -> Tensor:
        """Many steps: ``[T, N, *]`` to ``[T, N, *]``.

        A subclass may override this with something quicker. It is not used while there are step
        hooks, which are called after every step.
        """
        return self._loop(x_seq)

    # --- for users

    def forward(self, x: Tensor) -> Tensor:
        """Take one step (``[N, *]``) or a sequence of steps (``[T, N, *]``).

        Raises
        ------
        ParameterError
            If `x` has no time dimension to go along, does not fit the state that earlier inputs
            have left, or is not finite.
        """
        check_tensor(type(self).__name__, "input", x)
        if self.step_mode == "single":
            self._prepare(x)
            check_finite(type(self).__name__, "input", x)
            return self._step(x)
        check_sequence(type(self).__name__, x)
        self._prepare(x[0])
        check_finite(type(self).__name__, "input", x)
        return self._loop(x) if self._step_hooks else self.multi_step(x)

    def reset(self) -> None:
        """Forget the state; the shape of the next input makes a new one."""
        self.memory: dict[str, Tensor] = {}
        self._step_shape: tuple[int, ...] | None = None

    def detach(self) -> None:
        """Keep the state's values and cut it from its past (truncated backpropagation)."""
        self.memory = {name: value.detach() for name, value in self.memory.items()}

    def register_step_hook(self, hook: Callable[[Stateful], None]) -> RemovableHandle:
        """Call ``hook(module)`` after every step, in both modes; the handle removes it."""
        handle = RemovableHandle(self._step_hooks)
        self._step_hooks[handle.id] = hook
        return handle

    def _prepare(self, x: Tensor) -> None:
        """Make the state for the step `x`, or check that `x` fits the present one."""
        if not self.memory:
            self.memory = dict(self.initial_state(x))
            self._step_shape = tuple(x.shape)
            return
        obj = type(self).__name__
        if self._step_shape is not None and tuple(x.shape) != self._step_shape:
            wanted = f"{self._step_shape} for a step, as the state that earlier inputs left"
            remedy = "Call reset() before inputs of another shape"
            raise ParameterError(obj, "input's shape", tuple(x.shape), wanted, remedy)
        device = next(iter(self.memory.values())).device
        if x.device != device:
            remedy = "Move the module and the input to one device, or call reset()"
            raise ParameterError(obj, "input", f"one on {x.device}", f"on {device}", remedy)

    def _step(self, x: Tensor) -> Tensor:
        y = self.single_step(x)
        for hook in tuple(self._step_hooks.values()):
            hook(self)
        return y

    def _loop(self, x_seq: Tensor) -> Tensor:
        return torch.stack([self._step(x) for x in x_seq])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        for name, value in self.memory.items():
            moved = fn(value)
            if name in self.keeps_dtype:
                moved = value.to(moved.device)
            self.memory[name] = moved
        return self

    def __getattr__(self, name: str) -> Any:
        memory = self.__dict__.get("memory", {})
        return memory[name] if name in memory else super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        memory = self.__dict__.get("memory", {})
        if name in memory:
            memory[name] = value
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        cut = {name: value.detach() for name, value in self.memory.items()}
        return {**self.__dict__, "memory": cut, "_step_hooks": OrderedDict()}

    def extra_repr(self) -> str:
        """Name the step mode when the module is printed."""
        return f"step_mode={self.step_mode!r}"
