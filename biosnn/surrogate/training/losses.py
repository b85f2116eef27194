"""Losses of classifiers: from spikes or potentials of the output over time to one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from biosnn.errors import ParameterError
from biosnn.validation import choice, number


@attrs.frozen
class Loss(ABC):
    """Mean loss of outputs ``[T, N, n_classes]`` and labels ``[N]``: cross-entropy of the scores.

    A loss of your own overrides `scores`, or the call.
    """

    observes: ClassVar[str] = "spikes"
    """What it is computed from: ``"spikes"`` or ``"v"``."""

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch."""
        return cross_entropy(self.logits(output), labels)

    def logits(self, output: Tensor) -> Tensor:
        """What cross-entropy takes: the scores, scaled."""
        return getattr(self, "scale", 1.0) * self.scores(output)

    def scores(self, output: Tensor) -> Tensor:
        """Scores of the classes, ``[N, n_classes]``; the largest is the prediction."""
        if output.dim() != 3:
            got = f"a tensor of shape {tuple(output.shape)}"
            wanted = "of shape [T, N, n_classes]"
            raise ParameterError(type(self).__name__, "output", got, wanted)
        return self._scores(output)

    @abstractmethod
    def _scores(self, output: Tensor) -> Tensor:
        """Scores of outputs ``[T, N, n_classes]``."""


@attrs.frozen
class RateCrossEntropy(Loss):
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

    def _scores(self, output: Tensor) -> Tensor:
        return output.sum(0)


@attrs.frozen
class RateMSE(Loss):
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

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch."""
        rate = self.scores(output)
        wanted = one_hot(labels, rate.shape[1]).to(rate) * (self.target - self.others)
        return mse_loss(rate - self.others, wanted)

    def _scores(self, output: Tensor) -> Tensor:
        return output.mean(0)


@attrs.frozen
class FirstSpikeCrossEntropy(Loss):
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

    def logits(self, output: Tensor) -> Tensor:
        """Negative times of the first spikes in units of `tau`."""
        return self.scores(output) / self.tau

    def _scores(self, output: Tensor) -> Tensor:
        return -torch.cumprod(1 - output, 0).sum(0)


@attrs.frozen
class MembraneCrossEntropy(Loss):
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

    over: str = attrs.field(default="max", validator=choice("max", "mean", "last"))
    scale: float = attrs.field(default=1.0, validator=number(1.0, "> 0"))
    observes: ClassVar[str] = "v"

    def _scores(self, output: Tensor) -> Tensor:
        if self.over == "last":
            return output[-1]
        return output.amax(0) if self.over == "max" else output.mean(0)


#: Losses by the names that flags use.
LOSSES: dict[str, type] = {
    "cross-entropy": RateCrossEntropy,
    "mse": RateMSE,
    "first-spike": FirstSpikeCrossEntropy,
    "membrane": MembraneCrossEntropy,
}
