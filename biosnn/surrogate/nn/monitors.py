"""Record inputs, outputs and state variables of the layers of a torch network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from biosnn.errors import ParameterError
from biosnn.surrogate.nn.helpers import Choices, choose_layers
from biosnn.surrogate.nn.stateful import Stateful


def snapshot(value: Tensor) -> Tensor:
    """A copy without the graph: what a monitor stores if no function is given."""
    return value.detach().clone()


class Monitor:
    """Records the chosen layers at each call, until it is removed.

    ``monitor[k]`` is the k-th record of all, ``monitor["name"]`` the list of a layer's records;
    ``len(monitor)`` and iteration go over all. In a with block, the monitor is removed at the
    end; the records stay. A deep copy of the network is not monitored.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    layers : type, module or str, or several of them
        The layers: module types, modules of `net` or their names in ``net.named_modules()``.
    function : callable
        Called with each value before its result is stored. The default stores a copy that is
        cut from the graph; a function that keeps the graph (``lambda x: x``) lets a loss use
        the records.

    Attributes
    ----------
    layers : tuple of str
        The names of the layers.
    records : list
        All records, in the order in which they came.

    Raises
    ------
    ParameterError
        If `net` has no such layer, or a layer's value is no single tensor.
    """

    def __init__(
        self,
        net: nn.Module,
        layers: Choices = Stateful,
        function: Callable[[Tensor], Any] = snapshot,
    ):
        self._modules = choose_layers(net, layers)
        self.layers = tuple(self._modules)
        self.function = function
        self._handles: list[RemovableHandle] = []
        self.clear()
        self.enable()

    def _attach(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        """Register hooks on a layer that call `_store`."""
        raise NotImplementedError

    def _store(self, name: str, value: Any) -> None:
        if not isinstance(value, Tensor):
            got = type(value).__name__
            remedy = "Choose layers that take and give one tensor"
            raise ParameterError(type(self).__name__, f"layers[{name!r}]", got, "a tensor", remedy)
        record = self.function(value)
        self.records.append(record)
        self._by_name[name].append(record)

    @property
    def enabled(self) -> bool:
        """Whether records are being made."""
        return bool(self._handles)

    def enable(self) -> None:
        """Record again.

        Raises
        ------
        ParameterError
            If the monitor was removed.
        """
        if not self._modules:
            remedy = "Make a new one, or use disable() to pause"
            wanted = "of a monitor that is in place"
            raise ParameterError(type(self).__name__, "enable()", "a removed one", wanted, remedy)
        if not self._handles:
            for name, module in self._modules.items():
                self._handles += self._attach(name, module)

    def disable(self) -> None:
        """Stop recording until `enable`; meanwhile the network runs as without a monitor."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def remove(self) -> None:
        """Stop recording for good and release the network; the records stay."""
        self.disable()
        self._modules = {}

    def clear(self) -> None:
        """Delete the records."""
        self.records: list[Any] = []
        self._by_name: dict[str, list[Any]] = {name: [] for name in self.layers}

    def __getitem__(self, key: int | str) -> Any:
        if not isinstance(key, str):
            return self.records[key]
        if key not in self._by_name:
            among = "one of " + ", ".join(map(repr, self.layers))
            raise ParameterError(type(self).__name__, "layers", repr(key), among)
        return self._by_name[key]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.records)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class OutputMonitor(Monitor):
    """Records the outputs of layers: ``[N, *]``, or ``[T, N, *]`` in multi-step mode.

    Parameters are those of `Monitor`. A layer that is called step by step within a sequence
    gives a record for each step.
    """

    def _attach(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        hook = _Hook(lambda _module, _args, output: self._store(name, output))
        return [module.register_forward_hook(hook)]


class InputMonitor(Monitor):
    """Records the inputs of layers: ``[N, *]``, or ``[T, N, *]`` in multi-step mode.

    Parameters are those of `Monitor`. A layer that is called step by step within a sequence
    gives a record for each step; one without a state that `Sequential` calls with a whole
    sequence is given ``[T * N, *]``.
    """

    def _attach(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        hook = _Hook(lambda _module, args: self._store(name, args[0] if args else None))
        return [module.register_forward_pre_hook(hook)]


class VariableMonitor(Monitor):
    """Records a state variable after each step: ``[N, *]``, or ``[T, N, *]`` for a sequence.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    variable : str
        The variable's name in the layers' `memory`, e.g. ``"v"``.
    layers, function
        As in `Monitor`; the layers must be `Stateful`. `function` is given the whole record.

    Raises
    ------
    ParameterError
        If a layer has no state, or, at its first step, no such variable.
    """

    def __init__(
        self,
        net: nn.Module,
        variable: str,
        layers: Choices = Stateful,
        function: Callable[[Tensor], Any] = snapshot,
    ):
        self.variable = variable
        super().__init__(net, layers, function)

    def _attach(self, name: str, module: nn.Module) -> list[RemovableHandle]:
        if not isinstance(module, Stateful):
            got = type(module).__name__
            wanted = "a layer with a state"
            raise ParameterError("VariableMonitor", f"layers[{name!r}]", got, wanted)
        steps: list[Tensor] = []

        def begin(_module: Stateful, _args: Any) -> None:
            steps.clear()

        def step(layer: Stateful) -> None:
            if self.variable not in layer.memory:
                among = "one of " + ", ".join(map(repr, layer.memory))
                remedy = "Choose the layers that have it"
                got = repr(self.variable)
                raise ParameterError("VariableMonitor", f"variable of {name!r}", got, among, remedy)
            steps.append(layer.memory[self.variable].clone())

        def end(layer: Stateful, _args: Any, _output: Any) -> None:
            self._store(name, steps[0] if layer.step_mode == "single" else torch.stack(steps))
            steps.clear()

        return [
            module.register_forward_pre_hook(_Hook(begin)),
            module.register_step_hook(step),
            module.register_forward_hook(_Hook(end)),
        ]


class _Hook:
    """A hook that does nothing in copies of its module, which are not monitored."""

    def __init__(self, act: Callable[..., Any] | None = None):
        self._act = act

    def __call__(self, *args: Any) -> Any:
        return None if self._act is None else self._act(*args)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _Hook, ()
