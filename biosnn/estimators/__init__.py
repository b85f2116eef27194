"""Estimators of scikit-learn: spiking networks in its pipelines, searches and cross-validations.

>>> from biosnn.estimators import STDPClassifier
>>> STDPClassifier(n_neurons=50, epochs=2, random_state=0)
STDPClassifier(epochs=2, n_neurons=50, random_state=0)

:class:`LIFClassifier` needs PyTorch, and is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from biosnn.estimators.model_file import trained_model
from biosnn.estimators.reward import RSTDPClassifier
from biosnn.estimators.stdp import STDPClassifier, STDPFeatures

if TYPE_CHECKING:
    from biosnn.surrogate import LIFClassifier

__all__ = ["LIFClassifier", "RSTDPClassifier", "STDPClassifier", "STDPFeatures", "trained_model"]


def __getattr__(name: str) -> Any:
    if name == "LIFClassifier":
        from biosnn.surrogate import LIFClassifier

        return LIFClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
