"""A training loop: epochs over batches, with curves, checkpoints and a resume to the bit."""

from __future__ import annotations

import ctypes
import io
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from biosnn._surrogate.checkpoints import load_checkpoint, save_checkpoint
from biosnn._surrogate.helpers import reset
from biosnn._surrogate.losses import Loss, RateCrossEntropy
from biosnn._surrogate.network import SurrogateNetwork
from biosnn.errors import Interrupted, ParameterError, StorageError
from biosnn.files import replace
from biosnn.validation import check_whole

OPTIMISERS = ("adam", "sgd")
LAST, BEST = "checkpoint-last.biosnn", "checkpoint-best.biosnn"
_DRAW_EVERY = 20.0  # s
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


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

    train_loss: list[float] = attrs.Factory(list)
    train_accuracy: list[float] = attrs.Factory(list)
    test_loss: list[float] = attrs.Factory(list)
    test_accuracy: list[float] = attrs.Factory(list)
    validation_loss: list[float] = attrs.Factory(list)
    validation_accuracy: list[float] = attrs.Factory(list)
    lr: list[float] = attrs.Factory(list)
    seconds: list[float] = attrs.Factory(list)

    def add(self, **figures: float) -> None:
        """Append one figure to each of the lists that are named."""
        for name, value in figures.items():
            getattr(self, name).append(float(value))

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return len(self.train_loss)


def make_optimiser(
    parameters: Iterable[nn.Parameter], name: str = "adam", lr: float = 1e-3
) -> torch.optim.Optimizer:
    """Adam, or SGD with momentum 0.9.

    Raises
    ------
    ParameterError
        If the name is unknown or the learning rate is not > 0.
    """
    if not (isinstance(lr, int | float) and 0 < lr < math.inf):
        raise ParameterError("train", "lr", lr, "> 0")
    trained = [p for p in parameters if p.requires_grad]
    if name == "adam":
        return torch.optim.Adam(trained, lr=lr)
    if name == "sgd":
        return torch.optim.SGD(trained, lr=lr, momentum=0.9)
    raise ParameterError("train", "optimiser", repr(name), " or ".join(map(repr, OPTIMISERS)))


def respond(module: nn.Module, x: Tensor, loss: Loss) -> Tensor:
    """What a loss is computed from: spikes or potentials of the output, ``[T, N, n]``.

    Layers with a state forget it first.
    """
    reset(module)
    if loss.observes == "v" and isinstance(module, SurrogateNetwork):
        name = f"{module.network.output}.v"
        module(x, record=(name,))
        return module.recorded[name]
    return module(x)


def evaluate(
    module: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss | None = None
) -> dict[str, float]:
    """Mean loss and accuracy (a fraction) of batches, in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Answers ``[T, N, n_classes]``.
    batches : iterable of (Tensor, Tensor)
        Inputs and labels.
    loss : Loss, optional
        By default :class:`RateCrossEntropy`.
    """
    loss = RateCrossEntropy() if loss is None else loss
    total, right, n = 0.0, 0, 0
    training = module.training
    module.eval()
    with torch.no_grad():
        for x, labels in batches:
            x, labels = _placed(module, x, labels)
            output = respond(module, x, loss)
            total += float(loss(output, labels)) * len(labels)
            right += int((loss.scores(output).argmax(1) == labels).sum())
            n += len(labels)
    module.train(training)
    return {"loss": total / max(n, 1), "accuracy": right / max(n, 1)}


def train(
    module: nn.Module,
    batches: Any,
    *,
    epochs: int,
    loss: Loss | None = None,
    optimiser: str | torch.optim.Optimizer = "adam",
    lr: float = 1e-3,
    scheduler: Any = "cosine",
    validation: Iterable[tuple[Tensor, Tensor]] | None = None,
    test: Iterable[tuple[Tensor, Tensor]] | None = None,
    amp: bool = False,
    folder: Path | str | None = None,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    callbacks: Iterable[Callable[[History, nn.Module], object]] = (),
    tensorboard: bool | None = None,
    progress: bool = True,
) -> History:
    """Train a module by gradient descent.

    Parameters
    ----------
    module : torch.nn.Module
        Answers ``[T, N, n_classes]``, such as a :class:`SurrogateNetwork`.
    batches : iterable of (Tensor, Tensor) with a length
        Inputs and labels: :class:`Batches`, or a ``torch.utils.data.DataLoader``. If it has an
        attribute ``epoch``, it is told the number of the epoch.
    epochs : int
        Passes through the batches, those before a resume included.
    loss : Loss, optional
        By default :class:`RateCrossEntropy`.
    optimiser : {"adam", "sgd"} or torch.optim.Optimizer
        SGD has the momentum 0.9.
    lr : float
        Learning rate, > 0 (for a named optimiser).
    scheduler : "cosine", None or a torch scheduler
        Stepped after every batch. ``"cosine"`` goes down to 0 at the end (Loshchilov & Hutter
        2017, arXiv:1608.03983, eq. 5 without restarts).
    validation : iterable, optional
        Batches that choose the best checkpoint; without them it is the one of the least training
        loss. Never the test set.
    test : iterable, optional
        Batches of the test curve; nothing is chosen by them.
    amp : bool
        Compute in bfloat16 where torch thinks it safe (``torch.autocast``).
    folder : path, optional
        Where checkpoints (`LAST`, `BEST`), ``curves.png`` and TensorBoard's log go.
    resume : bool
        Go on with the last checkpoint of the folder, if there is one. On a CPU the result is that
        of an uninterrupted run to the bit.
    settings : mapping, optional
        Plain data that must be the same when a run is resumed.
    callbacks : iterable of callable
        Called as ``callback(history, module)`` after every epoch.
    tensorboard : bool, optional
        Log for TensorBoard; by default if there is a folder and the package is installed.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    History
        Figures of all epochs.

    Raises
    ------
    ParameterError
        If an argument is out of its bound, or `settings` are not those of the resumed run.
    StorageError
        If a checkpoint cannot be written or read.
    Interrupted
        On Ctrl-C; the epochs before are in the folder.
    """
    check_whole("train", "epochs", epochs, 1)
    if (resume or tensorboard) and folder is None:
        raise ParameterError("train", "folder", None, "given, to resume from or to log into")
    loss = RateCrossEntropy() if loss is None else loss
    made = (
        make_optimiser(module.parameters(), optimiser, lr)
        if isinstance(optimiser, str)
        else (optimiser)
    )
    if scheduler == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(made, epochs * len(batches))
    generator = getattr(batches, "generator", None)
    states = {
        "optimiser": made,
        "scheduler": scheduler,
        "generators": {"batches": generator} if generator is not None else {},
    }
    known = {"epochs": epochs, "loss": repr(loss), "amp": amp, **(settings or {})}
    history, best, drawn = History(), -math.inf, time.perf_counter()
    folder = None if folder is None else Path(folder)
    if resume and folder is not None and (folder / LAST).exists():
        content = load_checkpoint(folder / LAST, module, known, **states)
        history, best = History(**content["history"]), content["best"]
        best = -math.inf if best is None else best
    bar = _Bar(progress, epochs, len(batches))
    log = _tensorboard(folder, tensorboard, bar)
    try:
        with bar:
            for epoch in range(history.epochs, epochs):
                started = time.perf_counter()
                figures = _epoch(module, batches, epoch, loss, made, scheduler, amp, bar)
                seconds = time.perf_counter() - started
                history.add(**figures, lr=made.param_groups[0]["lr"], seconds=seconds)
                for name, held in (("validation", validation), ("test", test)):
                    if held is not None:
                        for figure, value in evaluate(module, held, loss).items():
                            history.add(**{f"{name}_{figure}": value})
                score = -figures["train_loss"]
                if validation is not None:
                    score = history.validation_accuracy[-1]
                if folder is not None:
                    improved, best = score > best, max(score, best)
                    content = {
                        "settings": known,
                        "history": attrs.asdict(history),
                        "best": best if math.isfinite(best) else None,
                    }
                    for name in [*([BEST] if improved else []), LAST]:
                        save_checkpoint(folder / name, module, content, **states)
                    now = time.perf_counter()
                    if history.epochs == epochs or now - drawn > _DRAW_EVERY:
                        _draw(history, folder / "curves.png")
                        drawn = now
                if log is not None:
                    _write(log, history)
                bar.epoch_done(history)
                for callback in callbacks:
                    callback(history, module)
    except KeyboardInterrupt as error:
        kept = f"; the epochs before are in {folder}" if folder is not None else ""
        raise Interrupted(f"stopped in epoch {history.epochs + 1}{kept}", folder=folder) from error
    finally:
        if log is not None:
            log.close()
    return history


def _epoch(
    module: nn.Module,
    batches: Any,
    epoch: int,
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    scheduler: Any,
    amp: bool,
    bar: _Bar,
) -> dict[str, float]:
    """One pass with updates; its mean loss and accuracy."""
    if hasattr(batches, "epoch"):
        batches.epoch = epoch
    module.train()
    total, right, n = 0.0, 0, 0
    for x, labels in batches:
        x, labels = _placed(module, x, labels)
        cast = torch.autocast(x.device.type, torch.bfloat16) if amp else nullcontext()
        with cast:
            output = respond(module, x, loss)
        value = loss(output.float() if amp else output, labels)
        if not bool(torch.isfinite(value)):
            remedy = "Lower lr, or detach resets (detach_reset=True)"
            raise ParameterError("train", "loss", float(value), "finite", remedy)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if scheduler is not None:
            scheduler.step()
        total += value.item() * len(labels)
        right += int((loss.scores(output.detach()).argmax(1) == labels).sum())
        n += len(labels)
        bar.advance(epoch, total / n, right / n)
    return {"train_loss": total / max(n, 1), "train_accuracy": right / max(n, 1)}


def _placed(module: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A batch where the module is, in its floating-point type."""
    like = next(module.parameters())
    return x.to(device=like.device, dtype=like.dtype), labels.to(like.device)


def keep_freed_memory(most: int = 1 << 30) -> bool:
    """Have this process keep freed memory for the next batch instead of returning it.

    Large tensors are mapped anew by the C library each time, and the system fills every new page
    with zeros: that can take longer than the arithmetic.

    Parameters
    ----------
    most : int
        Bytes up to which an array is taken from kept memory.

    Returns
    -------
    bool
        Whether it was done; only the GNU C library can.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, most) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


# --- what the user sees


class _Bar:
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

    def __enter__(self) -> _Bar:
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


def _tensorboard(folder: Path | None, wanted: bool | None, bar: _Bar) -> Any:
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
    return SummaryWriter(str(folder / "tensorboard"))


def _write(log: Any, history: History) -> None:
    for name, values in attrs.asdict(history).items():
        if values:
            log.add_scalar(name, values[-1], history.epochs)
    log.flush()


def _draw(history: History, path: Path) -> None:
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
    try:
        replace(path, picture.getvalue())
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}") from error
