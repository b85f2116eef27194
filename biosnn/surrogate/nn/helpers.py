"""What is done to a whole network at once: step modes, resets, learners."""

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

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    layers : type, module or str, or several of them
        Module types (their subclasses count), modules of `net`, or names as in
        ``net.named_modules()``.

    Raises
    ------
    ParameterError
        If a name or a module is not in `net`, or none of the types is.
    """
    check_instance("surrogate", "net", net, nn.Module)
    wanted = [layers] if isinstance(layers, str | type | nn.Module) else list(layers)
    named = dict(net.named_modules())
    found: set[str] = set()
    for choice in wanted:
        names = {name for name, module in named.items() if _is_meant(choice, name, module)}
        if not names and not isinstance(choice, type):
            raise _no_such_layer(net, repr(choice))
        found |= names
    if wanted and not found:
        raise _no_such_layer(net, ", ".join(getattr(c, "__name__", repr(c)) for c in wanted))
    return {name: module for name, module in named.items() if name in found}


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
    before = [(part, part.step_mode) for module in kept.values() for part in _stepped(module)]
    for module in _stepped(net):
        module.step_mode = mode
    for module, own in before:
        module.step_mode = own


@contextmanager
def in_step_mode(net: nn.Module, mode: str) -> Iterator[None]:
    """Have all layers of a network in one step mode for the length of a with block."""
    before = [(module, module.step_mode) for module in _stepped(net)]
    set_step_mode(net, mode)
    try:
        yield
    finally:
        for module, own in before:
            module.step_mode = own


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
    named = list(net.named_modules())
    places = {name: place for place, (name, _) in enumerate(named)}
    pairs: dict[str, tuple[nn.Module, Stateful]] = {}
    for name, synapses in choose_layers(net, layers).items():
        ends = (Stateful, type(synapses), *WEIGHTS)
        after = (module for _, module in named[places[name] + 1 :])
        follower = next((module for module in after if isinstance(module, ends)), None)
        if not isinstance(follower, Stateful):
            wanted = "followed by a layer with a state"
            remedy = "Choose only layers that drive neurons directly"
            raise ParameterError("add_learners", f"layers[{name!r}]", synapses, wanted, remedy)
        pairs[name] = synapses, follower
    return {name: make(*pair) for name, pair in pairs.items()}


def _stepped(net: nn.Module) -> list[Stepped]:
    """The parts that have a step mode; a container comes before what it holds."""
    return [module for module in net.modules() if isinstance(module, Stepped)]


def _is_meant(choice: Choice, name: str, module: nn.Module) -> bool:
    if isinstance(choice, str):
        return choice == name
    return isinstance(module, choice) if isinstance(choice, type) else module is choice


def _no_such_layer(net: nn.Module, got: str) -> ParameterError:
    remedy = f"Its layers are {', '.join(repr(name) for name, _ in net.named_modules() if name)}"
    return ParameterError(type(net).__name__, "layers", got, "in the network", remedy)
