"""A line of text for every epoch of a training, and its learning curves."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from biosnn.files import replace
from biosnn.surrogate.training.history import History


def epoch_line(history: History, epochs: int) -> str:
    """The figures of the last epoch."""
    parts = [f"epoch {history.epochs}/{epochs}", f"loss {history.train_loss[-1]:.4f}"]
    for name in ("train", "validation", "test"):
        if values := getattr(history, f"{name}_accuracy"):
            parts.append(f"{name} {values[-1]:.2%}")
    return ", ".join([*parts, f"{history.seconds[-1]:.1f} s"])


def draw_curves(history: History, path: Path) -> None:
    """Draw loss and accuracy against epochs."""
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = range(1, history.epochs + 1)
    for name in ("train", "validation", "test"):
        if losses := getattr(history, f"{name}_loss"):
            left.plot(epochs, losses, ".-", label=name)
            accuracies = [100 * value for value in getattr(history, f"{name}_accuracy")]
            right.plot(epochs, accuracies, ".-", label=name)
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    right.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    replace(path, picture.getvalue())
