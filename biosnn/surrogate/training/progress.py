"""What a user sees of a training: a bar, TensorBoard's log, and curves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import attrs
from matplotlib.figure import Figure

from biosnn.errors import ParameterError
from biosnn.files import replace
from biosnn.progress import ProgressBar
from biosnn.surrogate.training.checkpoints import LOG
from biosnn.surrogate.training.history import History


class Bar:
    """Progress of the batches, with running loss and accuracy, and a line for every epoch."""

    def __init__(self, show: bool, epochs: int, n_batches: int, epochs_done: int):
        self._done = epochs_done * n_batches
        self._bar = ProgressBar(epochs * n_batches, show, start=self._done, unit="batches")
        self._epochs = epochs

    def __enter__(self) -> Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def advance(self, epoch: int, loss: float, accuracy: float) -> None:
        """One batch is done."""
        self._done += 1
        figures = {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy}
        self._bar.update(self._done, figures)

    def epoch_done(self, history: History) -> None:
        """One line for an epoch."""
        parts = [f"epoch {history.epochs}/{self._epochs}", f"loss {history.train_loss[-1]:.4f}"]
        for name in ("train", "validation", "test"):
            if values := getattr(history, f"{name}_accuracy"):
                parts.append(f"{name} {values[-1]:.2%}")
        self.note(", ".join([*parts, f"{history.seconds[-1]:.1f} s"]))

    def note(self, text: str) -> None:
        """A line for the user."""
        self._bar.note(text)


def tensorboard_log(folder: Path | None, wanted: bool | None, bar: Bar) -> Any:
    """A writer for TensorBoard, or None."""
    if folder is None or wanted is False:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        if wanted:
            said = "installed; pip install tensorboard"
            raise ParameterError("train", "tensorboard", True, said) from error
        bar.note("no log for TensorBoard: its package is not installed (pip install tensorboard)")
        return None
    return SummaryWriter(str(folder / LOG))


def log_epoch(log: Any, history: History) -> None:
    """Write the last figures to TensorBoard's log."""
    for name, values in attrs.asdict(history).items():
        if values:
            log.add_scalar(name, values[-1], history.epochs)
    log.flush()


def draw_curves(history: History, path: Path) -> None:
    """Loss and accuracy against epochs."""
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
