"""What a user sees of a training: a bar, TensorBoard's log, and curves."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import attrs
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from biosnn.errors import ParameterError
from biosnn.files import replace
from biosnn.surrogate.training.checkpoints import LOG
from biosnn.surrogate.training.history import History


class Bar:
    """Progress of the batches, with running loss and accuracy."""

    def __init__(self, show: bool, epochs: int, n_batches: int):
        self._console = Console(stderr=True, quiet=not show, highlight=False)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not show or not self._console.is_terminal,
        )
        self._epochs, self._n = epochs, n_batches
        self._task = self._bar.add_task("", total=epochs * n_batches, epoch="", figures="")

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, epoch: int, loss: float, accuracy: float) -> None:
        """One batch is done."""
        self._bar.update(
            self._task,
            advance=1,
            epoch=f"{epoch + 1}/{self._epochs}",
            figures=f"loss {loss:.4f}  accuracy {accuracy:.2%}",
        )

    def epoch_done(self, history: History) -> None:
        """One line for an epoch."""
        self._bar.update(self._task, completed=history.epochs * self._n)
        parts = [f"epoch {history.epochs}/{self._epochs}", f"loss {history.train_loss[-1]:.4f}"]
        for name in ("train", "validation", "test"):
            if values := getattr(history, f"{name}_accuracy"):
                parts.append(f"{name} {values[-1]:.2%}")
        self.note("  ".join([*parts, f"{history.seconds[-1]:.1f} s"]))

    def note(self, text: str) -> None:
        """A line for the user."""
        self._console.print(text, markup=False, soft_wrap=True)


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
