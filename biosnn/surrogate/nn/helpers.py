"""Functions of whole networks of torch: step modes, resets, choice of layers, learners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from biosnn.errors import ParameterError
from biosnn.surrogate.nn.stateful import Stateful, Stepped, check_step_mode
from biosnn.validation import check_instance

Choice = type[nn.Module] | nn.Module | str
Choices = Choice | Iterable[Choice]
WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def choose_layers(net: nn.Module, layers: Choices) -> dict[str, nn.Module]:
    """The chosen modules of a network by name, in the network's own order.

    They are chosen by type (subclasses count), as modules of `net`, or by their names in
    ``net.named_modules()``.

    Raises
    ------
    ParameterError
        If a name or a module is not in `net`, or none of the types is.
    """
    check_instance("surrogate", "net", net, nn.Module)
    chosen = [layers] if isinstance(layers, str | type | nn.Module) else list(layers)
    named = dict(net.named_modules())
    names = [{name for name in named if _matches(c, name, named[name])} for c in chosen]
    missing = [choice for choice, found in zip(chosen, names, strict=True) if not found]
    if missing and (missing == chosen or not all(isinstance(c, type) for c in missing)):
        got = ", ".join(getattr(choice, "__name__", repr(choice)) for choice in missing)
        remedy = f"Its layers are {', '.join(map(repr, filter(None, named)))}"
        raise ParameterError(type(net).__name__, "layers", got, "in the network", remedy)
    return {name: module for name, module in named.items() if any(name in n for n in names)}


def stateful_layers(net: nn.Module) -> dict[str, Stateful]:
    """All modules of a network that keep a state, by name."""
    check_instance("surrogate", "net", net, nn.Module)
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, Stateful)}


def reset(net: nn.Module) -> None:
    """Forget the state of all layers of a network."""
    for layer in stateful_layers(net).values():
        layer.reset()


def detach(net: nn.Module) -> None:
    """Cut the state of all layers from its past: truncated backpropagation through time."""
    for layer in stateful_layers(net).values():
        layer.detach()


def set_step_mode(net: nn.Module, mode: str, *, keep: Choices = ()) -> None:
    """Set the step mode of all layers of a network that have one.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    mode : str
        "single" (an input is one step, ``[N, *]``) or "multi" (a sequence, ``[T, N, *]``).
    keep : type, module or str, or several of them
        Layers, as in `choose_layers`, whose mode stays as it is, and that of all in them.
        `Sequential` puts layers of either mode behind each other.
    """
    check_instance("set_step_mode", "net", net, nn.Module)
    check_step_mode("set_step_mode", mode)
    kept = choose_layers(net, keep)
    before = [found for module in kept.values() for found in _step_modes(module)]
    _set_step_modes([(module, mode) for module, _ in _step_modes(net)] + before)


@contextmanager
def in_step_mode(net: nn.Module, mode: str) -> Iterator[None]:
    """Set the step mode of all layers of a network within a with block."""
    before = _step_modes(net)
    set_step_mode(net, mode)
    try:
        yield
    finally:
        _set_step_modes(before)


def add_learners[Learner](
    net: nn.Module,
    make: Callable[[nn.Module, Stateful], Learner],
    layers: Choices = WEIGHTS,
) -> dict[str, Learner]:
    """Make a learner for each chosen layer of weights and the neurons that it drives.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    make : callable
        ``make(synapses, neurons)`` is called with a chosen layer and with the next layer that
        has a state, in the order of ``net.named_modules()``; it returns the learner.
    layers : type, module or str, or several of them
        The layers with the weights that learn, as in `choose_layers`.

    Returns
    -------
    dict of str to learner
        By the name of the layer that learns.

    Raises
    ------
    ParameterError
        If no layer with a state follows a chosen layer before the next one with weights.
    """
    modules = list(net.modules())
    pairs: dict[str, tuple[nn.Module, Stateful]] = {}
    for name, synapses in choose_layers(net, layers).items():
        ends = (Stateful, type(synapses), *WEIGHTS)
        after = modules[modules.index(synapses) + 1 :]
        follower = next((module for module in after if isinstance(module, ends)), None)
        if not isinstance(follower, Stateful):
            wanted = "followed by a layer with a state"
            remedy = "Choose only layers that drive neurons directly"
            raise ParameterError("add_learners", f"layers[{name!r}]", synapses, wanted, remedy)
        pairs[name] = synapses, follower
    return {name: make(*pair) for name, pair in pairs.items()}


def _step_modes(net: nn.Module) -> list[tuple[Stepped, str]]:
    """Step modes of a network's modules; a container comes before what it holds."""
    return [(module, module.step_mode) for module in net.modules() if isinstance(module, Stepped)]


def _set_step_modes(modes: Iterable[tuple[Stepped, str]]) -> None:
    for module, mode in modes:
        module.step_mode = mode


def _matches(choice: Choice, name: str, module: nn.Module) -> bool:
    if isinstance(choice, str):
        return choice == name
    return isinstance(module, choice) if isinstance(choice, type) else module is choice
