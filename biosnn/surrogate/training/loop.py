"""Train a torch module by gradient descent, with curves, checkpoints and bit-exact resuming."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from biosnn.callbacks import Callback, Context, RunInfo, checked_callbacks
from biosnn.errors import CallbackError, DataError, Interrupted, ParameterError
from biosnn.progress import ProgressBar
from biosnn.surrogate.nn.helpers import reset
from biosnn.surrogate.nn.network import SurrogateNetwork
from biosnn.surrogate.training.checkpoints import CURVES, Training, TrainingFolder
from biosnn.surrogate.training.fingerprints import of_batches, of_module, of_optimiser, of_scheduler
from biosnn.surrogate.training.history import History
from biosnn.surrogate.training.losses import Loss, RateCrossEntropy
from biosnn.surrogate.training.progress import draw_curves, epoch_line
from biosnn.validation import (
    check_choice,
    check_flag,
    check_instance,
    check_path,
    check_whole,
    describe,
)

OPTIMISERS = ("adam", "sgd")
_DRAW_EVERY = 20.0  # s


def respond(module: nn.Module, x: Tensor, loss: Loss) -> Tensor:
    """Spikes or potentials of the output, ``[T, N, n]``, from a fresh state."""
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

    Raises
    ------
    DataError
        If there are no samples, or inputs are not finite or labels no classes of the network.
    """
    loss = RateCrossEntropy() if loss is None else loss
    means = _Means()
    training = module.training
    module.eval()
    with torch.no_grad():
        for number, (x, labels) in enumerate(batches):
            where = f"evaluate: batch {number + 1}"
            x, labels = _placed(where, module, x, labels)
            output = respond(module, x, loss)
            _check_classes(where, output, labels)
            means.add(loss, loss(output, labels), output, labels)
    module.train(training)
    return means.figures("evaluate")


def train(
    module: nn.Module,
    batches: Any,
    *,
    epochs: int,
    loss: Loss | None = None,
    optimiser: str | torch.optim.Optimizer = "adam",
    lr: float | None = None,
    scheduler: Any = "cosine",
    validation: Iterable[tuple[Tensor, Tensor]] | None = None,
    test: Iterable[tuple[Tensor, Tensor]] | None = None,
    amp: bool = False,
    folder: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    settings: Mapping[str, Any] | None = None,
    callbacks: Iterable[Callback] = (),
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
        Passes through the batches, those before a resume included. A training that is resumed
        may be given another number; ``"cosine"`` then goes on where it would be if it had had that
        number from the beginning.
    loss : Loss, optional
        By default :class:`RateCrossEntropy`.
    optimiser : {"adam", "sgd"} or torch.optim.Optimizer
        SGD has the momentum 0.9.
    lr : float, optional
        Learning rate of a named optimiser, > 0; by default 0.001.
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
        Where checkpoints (``checkpoint-last.biosnn``, ``checkpoint-best.biosnn``) and
        ``curves.png`` go. One process at a time uses it.
    resume : bool
        Go on with the last checkpoint of the folder, if there is one. On a CPU the result is that
        of an uninterrupted run to the bit. Network, data, loss, optimiser, scheduler, `amp` and
        `settings` must be the same.
    overwrite : bool
        Throw a training away that the folder holds.
    settings : mapping, optional
        More plain data that must be the same when a run is resumed.
    callbacks : iterable of Callback
        Are told the figures of every epoch (:mod:`biosnn.callbacks`), such as
        :class:`~biosnn.callbacks.TensorBoard`.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    History
        Figures of all epochs.

    Raises
    ------
    ParameterError
        If an argument is out of its bound or not that of the resumed run, or the loss or a gradient
        is not finite; the weights are then those before the batch.
    DataError
        If inputs are not finite, or labels no classes of the network.
    StorageError
        If a checkpoint cannot be written or read, or the folder is in use, or holds a training that
        shall be neither resumed nor overwritten.
    CallbackError
        If a callback raised an exception; the epoch is in the folder.
    Interrupted
        On Ctrl-C; the epochs before are in the folder.
    """
    check_instance("train", "module", module, torch.nn.Module)
    check_whole("train", "epochs", epochs, 1)
    flags = {"amp": amp, "resume": resume, "overwrite": overwrite, "progress": progress}
    for name, flag in flags.items():
        check_flag("train", name, flag)
    if loss is not None and not (callable(loss) and hasattr(loss, "observes")):
        wanted = "a loss such as surrogate.RateCrossEntropy()"
        raise ParameterError("train", "loss", describe(loss), wanted)
    check_instance("train", "settings", settings, Mapping, optional=True)
    calls = checked_callbacks("train", callbacks, lambda: _random_state_kept(module))
    held = {"validation": validation, "test": test}
    for name, given in held.items():
        check_instance("train", name, given, Iterable, optional=True)
    if not hasattr(batches, "__len__") or not hasattr(batches, "__iter__"):
        wanted = "batches that can be counted and shown again, such as a list"
        raise ParameterError("train", "batches", describe(batches), wanted)
    if folder is not None:
        check_path("train", "folder", folder)
    elif resume or overwrite:
        raise ParameterError("train", "folder", None, "given if resume or overwrite is True")
    if resume and overwrite:
        wanted = "False if resume is True: it throws the training away"
        raise ParameterError("train", "overwrite", overwrite, wanted)
    loss = RateCrossEntropy() if loss is None else loss
    made = _optimiser(module, optimiser, lr)
    held = {name: given for name, given in held.items() if given is not None}
    opened: Any = nullcontext()
    identity: dict[str, Any] = {}
    if folder is not None:
        identity = {
            "network": of_module(module),
            "data": of_batches(batches),
            **{name: of_batches(given) for name, given in held.items()},
            "loss": repr(loss),
            "optimiser": of_optimiser(made),  # before a scheduler changes it
            "scheduler": of_scheduler(scheduler),
            "amp": amp,
            "settings": _plain(settings),
        }
    generator = getattr(batches, "generator", None)
    training = Training(
        module=module,
        optimiser=made,
        scheduler=_scheduler(scheduler, made, epochs * len(batches)),
        generators={"batches": generator} if generator is not None else {},
    )
    history = History()
    if folder is not None:
        opened = TrainingFolder(Path(folder), identity, resume, overwrite)
    with opened as place:
        found = place.restore(training) if resume else None
        if found is not None:
            history, planned = found
            if epochs < history.epochs:
                wanted = f">= {history.epochs}, the epochs that are done in {place.folder}"
                raise ParameterError("train", "epochs", epochs, wanted)
            if epochs != planned and isinstance(scheduler, str):
                _move_cosine(training, epochs * len(batches), history.epochs * len(batches))
        total, begun = epochs * len(batches), history.epochs * len(batches)
        drawn = time.perf_counter()
        name, state = type(module).__name__, None
        if isinstance(module, SurrogateNetwork):
            name, state = module.network.name, module.state
        context = Context(state=state, module=module)
        about = RunInfo(
            network=name, unit="epochs", start=history.epochs, total=epochs, resume=resume
        )
        try:
            with (
                calls.told(about),
                ProgressBar(total, progress, start=begun, unit="batches") as bar,
            ):
                while history.epochs < epochs:
                    started = time.perf_counter()
                    figures = _epoch(training, batches, history.epochs, loss, amp, bar)
                    seconds = time.perf_counter() - started
                    history.add(**figures, lr=made.param_groups[0]["lr"], seconds=seconds)
                    for name, given in held.items():
                        for figure, value in evaluate(module, given, loss).items():
                            history.add(**{f"{name}_{figure}": value})
                    try:
                        calls.metrics(history.epochs, history.last(), context)
                    except CallbackError:
                        if place is not None:
                            place.save(training, epochs, history)
                        raise
                    if place is not None:
                        place.save(training, epochs, history)
                        now = time.perf_counter()
                        if history.epochs == epochs or now - drawn > _DRAW_EVERY:
                            draw_curves(history, place.folder / CURVES)
                            drawn = now
                    bar.note(epoch_line(history, epochs))
        except KeyboardInterrupt as error:
            kept = f"; the epochs before are in {folder}" if folder is not None else ""
            said = f"stopped in epoch {history.epochs + 1}{kept}"
            raise Interrupted(said, folder=None if place is None else place.folder) from error
    return history


def _optimiser(
    module: nn.Module, optimiser: str | torch.optim.Optimizer, lr: float | None
) -> torch.optim.Optimizer:
    check_instance("train", "optimiser", optimiser, (str, torch.optim.Optimizer))
    if not isinstance(optimiser, str):
        if lr is not None:
            wanted = "left out: the optimiser that is given has its own"
            raise ParameterError("train", "lr", lr, wanted)
        return optimiser
    lr = 1e-3 if lr is None else lr
    if not (isinstance(lr, int | float) and 0 < lr < math.inf):
        raise ParameterError("train", "lr", lr, "> 0")
    check_choice("train", "optimiser", optimiser, OPTIMISERS)
    trained = [p for p in module.parameters() if p.requires_grad]
    if optimiser == "adam":
        return torch.optim.Adam(trained, lr=lr)
    return torch.optim.SGD(trained, lr=lr, momentum=0.9)


def _scheduler(scheduler: Any, optimiser: torch.optim.Optimizer, steps: int) -> Any:
    if isinstance(scheduler, str) and scheduler == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    if scheduler is not None and not hasattr(scheduler, "step"):
        wanted = '"cosine", None or a scheduler of torch'
        raise ParameterError("train", "scheduler", describe(scheduler), wanted)
    return scheduler


def _move_cosine(training: Training, steps: int, done: int) -> None:
    """Put the cosine over so many steps to where it is when some of them are done."""
    scheduler = training.scheduler
    scheduler.T_max, scheduler.last_epoch = steps, done
    factor = (1 + math.cos(math.pi * done / steps)) / 2
    scheduler._last_lr = [base * factor for base in scheduler.base_lrs]
    for group, lr in zip(training.optimiser.param_groups, scheduler._last_lr, strict=True):
        group["lr"] = lr


@contextmanager
def _random_state_kept(module: nn.Module) -> Iterator[None]:
    """Dropout and the order of samples go on as if nothing had been drawn in between."""
    gpus = {p.device for p in module.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(sorted(device.index or 0 for device in gpus)):
        yield


def _plain(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(settings or {})))
    except (TypeError, ValueError) as error:
        wanted = "plain data: names, numbers and text"
        raise ParameterError("train", "settings", repr(settings), wanted) from error


def _epoch(
    training: Training, batches: Any, epoch: int, loss: Loss, amp: bool, bar: ProgressBar
) -> dict[str, float]:
    """Train for one epoch; returns its mean loss and accuracy."""
    if hasattr(batches, "epoch"):
        batches.epoch = epoch
    module, optimiser = training.module, training.optimiser
    module.train()
    means = _Means()
    for number, (x, labels) in enumerate(batches):
        where = f"train: batch {number + 1} of epoch {epoch + 1}"
        x, labels = _placed(where, module, x, labels)
        cast = torch.autocast(x.device.type, torch.bfloat16) if amp else nullcontext()
        with cast:
            output = respond(module, x, loss)
        _check_classes(where, output, labels)
        value = loss(output.float() if amp else output, labels)
        optimiser.zero_grad()
        value.backward()
        _check_descent(number, epoch, value, module)
        optimiser.step()
        if training.scheduler is not None:
            training.scheduler.step()
        means.add(loss, value, output.detach(), labels)
        done = epoch * len(batches) + number + 1
        bar.update(done, {"epoch": epoch + 1, **means.figures("train")})
    return {f"train_{name}": value for name, value in means.figures("train").items()}


@attrs.define
class _Means:
    """Mean loss and accuracy of the samples so far."""

    total: float = 0.0
    right: int = 0
    n: int = 0

    def add(self, loss: Loss, value: Tensor, output: Tensor, labels: Tensor) -> None:
        self.total += value.item() * len(labels)
        self.right += int((loss.scores(output).argmax(1) == labels).sum())
        self.n += len(labels)

    def figures(self, where: str) -> dict[str, float]:
        if not self.n:
            remedy = "an iterator can be used only once"
            raise DataError(f"{where}: batches must have samples; {remedy}")
        return {"loss": self.total / self.n, "accuracy": self.right / self.n}


def _check_descent(number: int, epoch: int, value: Tensor, module: nn.Module) -> None:
    """Refuse a loss or a gradient that is not finite, before it changes weights."""
    found = {"loss": value.detach()}
    found |= {
        f"gradient of {k}": p.grad for k, p in module.named_parameters() if p.grad is not None
    }
    for name, values in found.items():
        if not bool(torch.isfinite(values).all()):
            got = values[~torch.isfinite(values)][0].item()
            wanted = (
                f"finite (batch {number + 1} of epoch {epoch + 1}; no weight was changed by it)"
            )
            remedy = "Lower lr, or detach resets (detach_reset=True)"
            raise ParameterError("train", name, got, wanted, remedy)


def _placed(where: str, module: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A batch on the device and in the type of the module; its inputs must be finite."""
    if not isinstance(x, Tensor) or not isinstance(labels, Tensor):
        got = f"{type(x).__name__} and {type(labels).__name__}"
        raise DataError(f"{where}: inputs and labels must be one tensor each, got {got}")
    if not bool(torch.isfinite(x).all()):
        at = tuple((~torch.isfinite(x)).nonzero()[0].tolist())
        raise DataError(f"{where}: inputs must be finite, got {x[at].item()} at {at}")
    like = next(module.parameters(), None)
    if like is None:
        return x, labels
    return x.to(device=like.device, dtype=like.dtype), labels.to(like.device)


def _check_classes(where: str, output: Tensor, labels: Tensor) -> None:
    """Refuse labels that are no classes of the network."""
    n = output.shape[-1]
    if labels.is_floating_point() or labels.dim() != 1:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise DataError(f"{where}: labels must be whole numbers of shape (n,), got {got}")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < n):
        got = f"{int(labels.min())} to {int(labels.max())}"
        raise DataError(f"{where}: labels must be in [0, {n}), the network's outputs, got {got}")
