"""Losses of classifiers: from what a network did in time to one number per batch."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import attrs
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from biosnn.errors import ParameterError
from biosnn.validation import check_choice, number


class Loss(Protocol):
    """What a training loop needs of a loss."""

    observes: ClassVar[str]
    """What it is computed from: ``"spikes"`` or ``"v"``."""

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch."""
        ...

    def scores(self, output: Tensor) -> Tensor:
        """Scores of the classes, ``[N, n_classes]``; the largest is the prediction."""
        ...


def _sequence(loss: Any, output: Tensor) -> Tensor:
    if output.dim() != 3:
        got = f"a tensor of shape {tuple(output.shape)}"
        raise ParameterError(type(loss).__name__, "output", got, "of shape [T, N, n_classes]")
    return output


@attrs.frozen
class RateCrossEntropy:
    """Cross-entropy with spike counts as logits.

    Parameters
    ----------
    scale : float
        Logit of one spike, > 0.

    Notes
    -----
    Eshraghian et al. (2023), doi:10.1109/JPROC.2023.3308088, section III ("cross-entropy spike
    count loss").
    """

    scale: float = attrs.field(default=1.0, validator=number(1.0, "> 0"))
    observes: ClassVar[str] = "spikes"

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Loss of spikes ``[T, N, n_classes]`` and labels ``[N]``."""
        return cross_entropy(self.scale * self.scores(output), labels)

    def scores(self, output: Tensor) -> Tensor:
        """Spike counts."""
        return _sequence(self, output).sum(0)


@attrs.frozen
class RateMSE:
    """Mean squared error of firing rates, in spikes per time step.

    Parameters
    ----------
    target, others : float
        Wanted rate of the labelled class, and of the others.

    Notes
    -----
    The loss of Fang et al. (2023), doi:10.1126/sciadv.adi1480, in SpikingJelly's tutorials: one
    spike in every step for the class, none for the others.
    """

    target: float = attrs.field(default=1.0, validator=number())
    others: float = attrs.field(default=0.0, validator=number())
    observes: ClassVar[str] = "spikes"

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Loss of spikes ``[T, N, n_classes]`` and labels ``[N]``."""
        rate = self.scores(output)
        wanted = one_hot(labels, rate.shape[1]).to(rate) * (self.target - self.others)
        return (rate - self.others - wanted).square().mean()

    def scores(self, output: Tensor) -> Tensor:
        """Firing rates."""
        return _sequence(self, output).mean(0)


@attrs.frozen
class FirstSpikeCrossEntropy:
    """Cross-entropy with early first spikes as large logits: ``-t/tau``.

    The time of the first spike is the number of steps before it,
    ``sum_t prod_{u<=t} (1 - s_u)``; that of a silent neuron is T. Written so, it has a gradient
    at every step up to the first spike, and at all steps of a silent neuron.

    Parameters
    ----------
    tau : float
        Time steps by which a spike has to be earlier to be e times as likely, > 0.

    Notes
    -----
    Softmax of negative spike times: Mostafa (2018), doi:10.1109/TNNLS.2017.2726060, eq. 12.
    """

    tau: float = attrs.field(default=2.0, validator=number(1.0, "> 0"))
    observes: ClassVar[str] = "spikes"

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Loss of spikes ``[T, N, n_classes]`` and labels ``[N]``."""
        return cross_entropy(self.scores(output) / self.tau, labels)

    def scores(self, output: Tensor) -> Tensor:
        """Negative times of the first spikes, in time steps."""
        return -torch.cumprod(1 - _sequence(self, output), 0).sum(0)


@attrs.frozen
class MembraneCrossEntropy:
    """Cross-entropy with membrane potentials as logits.

    Parameters
    ----------
    over : {"max", "mean", "last"}
        What of the time course is the logit.
    scale : float
        Logit of the potential 1 (a threshold, for dimensionless neurons), > 0.

    Notes
    -----
    Maximum and last step: Cramer et al. (2022), doi:10.1109/TNNLS.2020.3044364.
    """

    over: str = attrs.field(default="max")
    scale: float = attrs.field(default=1.0, validator=number(1.0, "> 0"))
    observes: ClassVar[str] = "v"

    def __attrs_post_init__(self) -> None:
        check_choice(type(self).__name__, "over", self.over, ("max", "mean", "last"))

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Loss of potentials ``[T, N, n_classes]`` and labels ``[N]``."""
        return cross_entropy(self.scale * self.scores(output), labels)

    def scores(self, output: Tensor) -> Tensor:
        """Largest, mean or last potentials."""
        v = _sequence(self, output)
        return v.amax(0) if self.over == "max" else v.mean(0) if self.over == "mean" else v[-1]


#: Losses by the names that flags use.
LOSSES: dict[str, type] = {
    "cross-entropy": RateCrossEntropy,
    "mse": RateMSE,
    "first-spike": FirstSpikeCrossEntropy,
    "membrane": MembraneCrossEntropy,
}
