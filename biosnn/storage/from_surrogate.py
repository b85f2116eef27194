"""From networks that were trained by gradients to models that run on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from biosnn.errors import ParameterError
from biosnn.readout import PopulationReadout
from biosnn.storage.preprocessing import takes_of
from biosnn.storage.trained_model import TrainedModel

if TYPE_CHECKING:
    from biosnn.surrogate import SurrogateNetwork

#: What a byte is to ``surrogate.PoissonEncoder``: the probability ``pixel/256`` in each step.
BYTE = 255 / 256


def surrogate_model(module: SurrogateNetwork, loss: Any = None, **more: Any) -> TrainedModel:
    """Make the model of a network that was trained by surrogate gradients.

    Its output population decides, as the loss scores the classes: by spike counts, by first
    spikes, or by the potentials at the end.

    Parameters
    ----------
    module : SurrogateNetwork
        The trained network. If its input takes address events, samples are intensities of which
        spikes are drawn in each step, as :class:`biosnn.surrogate.PoissonEncoder` does it of
        bytes; otherwise they are shown as they are.
    loss : Loss, optional
        That of the training; by default ``RateCrossEntropy``.
    **more
        Other parameters of :class:`TrainedModel`.

    Raises
    ------
    ParameterError
        If the loss scores what cannot be read at the end of a sample, or the presentation of the
        network does not begin anew with each sample, as it does in torch.
    """
    from biosnn import surrogate

    network = module.network
    if network.presentation.reset != "all":
        got, wanted = f"one with reset={network.presentation.reset!r}", 'one with reset="all"'
        remedy = "In torch each sample begins anew; on other devices the presentation says so"
        raise ParameterError("surrogate_model", "module.network", got, wanted, remedy)
    loss = surrogate.RateCrossEntropy() if loss is None else loss
    if type(loss) in (surrogate.RateCrossEntropy, surrogate.RateMSE):
        variable, reads = "count", "counts"
    elif type(loss) is surrogate.FirstSpikeCrossEntropy:
        variable, reads = "t_first", "latency"
    elif type(loss) is surrogate.MembraneCrossEntropy and loss.over == "last":
        variable, reads = "v", "values"
    else:
        wanted = (
            "one whose scores are read at the end of a sample: RateCrossEntropy, RateMSE, "
            "FirstSpikeCrossEntropy, or MembraneCrossEntropy with over='last'"
        )
        raise ParameterError("surrogate_model", "loss", repr(loss), wanted)
    n = network.populations[network.output].n
    given: dict[str, Any] = {"readout": PopulationReadout(n, reads=reads).fit(np.zeros((1, n)))}
    if takes_of(network).kind == "events":
        given["encoding"] = "bernoulli"
        more["preprocessing"] = {**more.get("preprocessing", {}), "scale": BYTE}
    return TrainedModel(
        network=network,
        state=module.state(),
        observed=f"{network.output}.{variable}",
        **{**given, **more},
    )
