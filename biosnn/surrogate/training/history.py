"""Loss, accuracy, learning rate and time of every epoch of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define
class History:
    """Figures of every epoch.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Means over an epoch, while the weights change; accuracies are fractions.
    test_loss, test_accuracy : list of float
        After the epoch, of the batches in ``test``.
    validation_loss, validation_accuracy : list of float
        The same of ``validation``.
    lr, seconds : list of float
        Learning rate at the end, and wall time of training alone.
    """

    train_loss: list[float] = attrs.field(factory=list)
    train_accuracy: list[float] = attrs.field(factory=list)
    test_loss: list[float] = attrs.field(factory=list)
    test_accuracy: list[float] = attrs.field(factory=list)
    validation_loss: list[float] = attrs.field(factory=list)
    validation_accuracy: list[float] = attrs.field(factory=list)
    lr: list[float] = attrs.field(factory=list)
    seconds: list[float] = attrs.field(factory=list)

    def add(self, **figures: float) -> None:
        """Append one figure to each of the lists that are named."""
        for name, value in figures.items():
            getattr(self, name).append(float(value))

    def last(self) -> dict[str, float]:
        """The figures of the last epoch, by name."""
        return {name: values[-1] for name, values in attrs.asdict(self).items() if values}

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.train_loss)

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best: of validation if there is one, else in training."""
        scores = self.validation_accuracy or [-loss for loss in self.train_loss]
        return scores[-1] > max(scores[:-1], default=-math.inf)

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> History:
        """The history of a file.

        Raises
        ------
        ValueError
            If its lists do not belong together.
        """
        names = [field.name for field in attrs.fields(cls)]
        if not isinstance(figures, Mapping) or set(figures) != set(names):
            raise ValueError("its history has other lists than a training's")
        made = cls(**{name: [float(value) for value in figures[name]] for name in names})
        for name in names:
            n = len(getattr(made, name))
            if n != made.epochs and (n or name in ("train_accuracy", "lr", "seconds")):
                raise ValueError(f"its history has {n} values of {name} for {made.epochs} epochs")
        if not all(map(math.isfinite, made.train_loss)):
            raise ValueError("its history has a loss that is not finite")
        return made
