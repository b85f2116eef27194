"""Callbacks: who is told how a training goes, for logs such as TensorBoard's.

One protocol for all trainings: :meth:`biosnn.simulation.Runnable.fit` and ``run``, those of an
ensemble, the estimators' ``fit`` and :func:`biosnn.surrogate.train` take ``callbacks=[...]``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs

from biosnn.errors import CallbackError, ParameterError, StorageError, needs_extra
from biosnn.validation import check_path, describe

__all__ = ["Callback", "Context", "RunInfo", "TensorBoard"]

_EVENTS = "events.out.tfevents"


@attrs.frozen(kw_only=True)
class RunInfo:
    """What begins, or goes on.

    Parameters
    ----------
    network : str
        Its name; of a torch module that of its class.
    unit : {"samples", "epochs"}
        What steps count.
    start : int
        Steps that are done already. More than 0 where a run goes on from a checkpoint: what a log
        has of later steps was lost, and comes again.
    total : int or None
        Steps in all; None for a stream of unknown length.
    resume : bool
        Whether the run was asked to go on where it can.
    """

    network: str
    unit: str
    start: int
    total: int | None
    resume: bool


@attrs.frozen(kw_only=True)
class Context:
    """What a callback may look at while it is called, and not later.

    Parameters
    ----------
    state : callable or None
        Gives the :class:`biosnn.State` (of an ensemble a list of them); None for a torch module
        that is no ``SurrogateNetwork``.
    module : torch.nn.Module or None
        What :func:`biosnn.surrogate.train` trains.
    """

    state: Callable[[], Any] | None
    module: Any = None


class Callback:
    """Is told how a training goes; override what you need.

    Callbacks look on: results are the same, to the bit, with and without them. An exception ends
    the run as a :class:`biosnn.errors.CallbackError` that names the callback; where there is a
    folder, a checkpoint is written first.
    """

    def on_start(self, info: RunInfo) -> None:
        """Training begins, or goes on from a checkpoint."""

    def on_metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
        """A chunk of samples, or an epoch of gradient descent, is over.

        It is called before the checkpoint of this step, if there is one, is written.

        Parameters
        ----------
        step : int
            Samples or epochs since the beginning of the run, those before a resume included.
        metrics : mapping of str to float
            Since the last call. On devices: ``spikes_per_sample/<population>`` where spikes are
            recorded or counted, ``ms_per_sample``, ``presentations_per_sample``, ``epoch``, and
            while something learns ``samples_seen``, ``<projection>.w/mean``,
            ``<projection>.w/change`` (mean absolute change) and ``schedules/<owner>.<parameter>``
            (its present value); members of an ensemble have ``member_<k>/`` before each name. Of
            :func:`biosnn.surrogate.train` the figures of ``History``, such as ``train_loss``.
        context : Context
            State and module.
        """

    def on_end(self, error: BaseException | None) -> None:
        """Training is over, or was stopped or failed; called for each ``on_start``."""


class TensorBoard(Callback):
    """Writes metrics as scalars that TensorBoard shows (``tensorboard --logdir FOLDER``).

    It needs the package ``tensorboard`` alone: ``pip install "biosnn[tensorboard]"``. A resumed
    run continues its log: TensorBoard drops what was logged after the checkpoint.

    Parameters
    ----------
    folder : path-like
        Of one run.

    Raises
    ------
    CallbackError
        When a run begins, not to go on, in a folder that has a log already, or nothing can be
        written there; caused by a StorageError that says so.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        check_path("TensorBoard", "folder", folder)
        self.folder = Path(folder)
        self._writer: Any = None

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r})"

    def on_start(self, info: RunInfo) -> None:
        """Open a file of events."""
        with needs_extra("TensorBoard", "tensorboard"):
            from tensorboard.compat.proto.event_pb2 import SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
        if not info.resume and any(self.folder.glob(f"{_EVENTS}.*")):
            raise StorageError(
                f"{self.folder} has a log already, and this run does not go on with one; choose "
                "another folder, or remove the log"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Files are read in the order of their names.
            seconds, rest = divmod(time.time_ns(), 10**9)
            path = self.folder / f"{_EVENTS}.{seconds:010d}.{rest:09d}.{os.getpid()}.biosnn"
            self._writer = RecordWriter(path.open("xb"))
        except OSError as error:
            raise StorageError(
                f"the log in {self.folder} cannot be written: {error.strerror or error}; choose a "
                "folder that you may write to"
            ) from error
        self._write(file_version="brain.Event:2")
        # Readers drop what they have of this step and later ones.
        begun = SessionLog(status=SessionLog.START)
        self._write(step=info.start + 1 if info.start else 0, session_log=begun)

    def on_metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
        """Write them."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()
        ]
        self._write(step=step, summary=Summary(value=values))

    def on_end(self, error: BaseException | None) -> None:
        """Close the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._writer.write(Event(wall_time=time.time(), **event).SerializeToString())
        self._writer.flush()  # before the checkpoint of this step


class Calls:
    """Calls the callbacks of one training, and says whose an exception is.

    Parameters
    ----------
    callbacks : sequence of Callback
        In the order in which they are called.
    apart : callable
        Makes a context in which each is called, so that the training does not notice.
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] = (),
        apart: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ):
        self._callbacks, self._apart = tuple(callbacks), apart
        self._begun: list[Callback] = []

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    @contextlib.contextmanager
    def told(self, info: RunInfo) -> Iterator[None]:
        """Tell that training begins, and in the end that it is over, and why."""
        try:
            for callback in self._callbacks:
                self._begun.append(callback)
                self._call(callback, "on_start", "", info)
            yield
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def metrics(self, step: int, metrics: Mapping[str, float], context: Context) -> None:
        """A chunk or an epoch is over."""
        for callback in self._callbacks:
            self._call(callback, "on_metrics", f" at step {step}", step, dict(metrics), context)

    def _end(self, error: BaseException | None) -> None:
        failed: BaseException | None = None
        while self._begun:
            try:
                self._call(self._begun.pop(0), "on_end", "", error)
            except BaseException as found:  # such as SystemExit: the others are told all the same
                failed = failed or found
        if failed is None:
            return
        if error is None:
            raise failed
        of_callback = isinstance(failed, CallbackError)
        error.add_note(f"Also, {'the' if of_callback else type(failed).__name__ + ':'} {failed}")

    def _call(self, callback: Callback, name: str, where: str, *arguments: Any) -> None:
        try:
            with self._apart():
                getattr(callback, name)(*arguments)
        except Exception as error:
            told = f"callback {describe(callback)} raised {type(error).__name__} in {name}{where}"
            raise CallbackError(f"{told}: {error}") from error


def checked_callbacks(
    where: str,
    callbacks: Any,
    apart: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Calls:
    """Callbacks as they are called, each in a context of its own.

    Raises
    ------
    ParameterError
        If something is none.
    """
    wanted = "a list of biosnn.callbacks.Callback"
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        raise ParameterError(where, "callbacks", describe(callbacks), wanted)
    found = tuple(callbacks)
    for number, callback in enumerate(found):
        if not isinstance(callback, Callback):
            got = f"{describe(callback)} at place {number}"
            remedy = "Derive it from biosnn.callbacks.Callback"
            raise ParameterError(where, "callbacks", got, wanted, remedy)
    return Calls(found, apart)
