"""From the parameters of an estimator to the declaration of its network.

A network is a declaration, a function that makes one from the sizes of the data, or a name of a
table of functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from biosnn.errors import ParameterError
from biosnn.networks.network import NetworkModel
from biosnn.validation import check_instance, check_mapping, describe


@attrs.frozen(kw_only=True)
class Ready:
    """A network of the zoo, as estimators make it.

    Parameters
    ----------
    make : callable
        Takes the number of features, and of classes where it learns labels.
    names : mapping of str to str
        What it calls the parameters of estimators.
    defaults : mapping
        Parameters that differ from its own defaults.
    read_scale : callable, optional
        From the parameters to the factors on state variables while plasticity is off.
    """

    make: Callable[..., NetworkModel]
    names: Mapping[str, str] = attrs.field(factory=dict)
    defaults: Mapping[str, Any] = attrs.field(factory=dict)
    read_scale: Callable[[Mapping[str, Any]], dict[str, float]] = lambda parameters: {}


def declare(
    called: str,
    network: Any,
    zoo: Mapping[str, Ready],
    sizes: tuple[int, ...],
    parameters: Mapping[str, Any],
    more: Mapping[str, Any] | None,
) -> tuple[NetworkModel, dict[str, float]]:
    """The declaration of an estimator's network, and its factors for reading.

    Parameters
    ----------
    called : str
        The estimator's class, for errors.
    network : NetworkModel, callable or str
        The declaration, what makes it from the sizes, or a name of the zoo.
    zoo : mapping of str to Ready
        The networks that have names.
    sizes : tuple of int
        Number of features, and of classes where it learns labels.
    parameters : mapping
        Parameters of the estimator that belong to the network; None is the network's own default.
    more : mapping, optional
        The estimator's ``network_params``.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if more is not None:
        check_mapping(called, "network_params", more)
        if twice := sorted(given.keys() & more.keys()):
            wanted = "without a name that is a parameter of its own"
            raise ParameterError(called, "network_params", f"{twice[0]!r} twice", wanted)
        given |= more
    if isinstance(network, NetworkModel):
        for name, value in given.items():
            remedy = "Give a function that makes the network, and takes the parameter"
            wanted = "None where network is a NetworkModel, which has all its parameters"
            raise ParameterError(called, name, describe(value), wanted, remedy)
        return network, {}
    if isinstance(network, str):
        if network not in zoo:
            wanted = f"a NetworkModel, a function, or one of {', '.join(map(repr, zoo))}"
            raise ParameterError(called, "network", repr(network), wanted)
        ready = zoo[network]
        renamed = {ready.names.get(name, name): value for name, value in given.items()}
        whole = {**ready.defaults, **renamed}
        return _made(called, ready.make, sizes, whole), ready.read_scale(whole)
    if not callable(network):
        wanted = f"a NetworkModel, a function, or one of {', '.join(map(repr, zoo))}"
        raise ParameterError(called, "network", describe(network), wanted)
    return _made(called, network, sizes, given), {}


def _made(
    called: str, make: Callable[..., Any], sizes: tuple[int, ...], parameters: Mapping[str, Any]
) -> NetworkModel:
    try:
        inspect.signature(make).bind(*sizes, **parameters)
    except TypeError as error:
        taken = ", ".join([*map(str, sizes), *parameters])
        remedy = f"It was called with ({taken}): {error}"
        wanted = "a function that takes the sizes and the parameters that were set"
        raise ParameterError(called, "network", describe(make), wanted, remedy) from error
    network = make(*sizes, **parameters)
    check_instance(called, "network(...)", network, NetworkModel)
    return network
