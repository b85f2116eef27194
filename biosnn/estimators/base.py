"""What the estimators that run a network on a device share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import attrs
import numpy as np
from joblib import cpu_count
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from biosnn import simulation
from biosnn._encoding.tables import check_checkpoints, drawn_seed, scaled_table
from biosnn.callbacks import Callback
from biosnn.devices import registry
from biosnn.errors import DataError, ParameterError
from biosnn.files import locked_folder, run_folder
from biosnn.networks import NetworkModel
from biosnn.recording import Recording
from biosnn.state import State
from biosnn.validation import check_flag, check_mapping, check_value, check_whole

#: Number of the random stream of the order of samples.
_ORDER = 1
#: Samples between two checkpoints of ``fit``.
_CHECKPOINT_EVERY = 1000
# Threads of one process compile one network after the other.
_COMPILING = threading.Lock()


@attrs.frozen
class _Compiled:
    """What decides how a network is compiled."""

    network: NetworkModel = attrs.field(eq=False)
    fingerprint: str
    device: str
    precision: str
    per_sample: tuple[str, ...]


@lru_cache(maxsize=8)
def _compiled(key: _Compiled) -> tuple[simulation.Runnable, threading.Lock]:
    """Runnables of this process: copies of an estimator compile their network once.

    Each has a lock, which whoever runs a live network holds: there is only one of it.
    """
    made = simulation.compile(
        key.network,
        key.device,
        precision=key.precision,
        per_sample=key.per_sample,
        progress=False,
    )
    return made, threading.Lock()


def processes(n_jobs: int | None) -> int:
    """How many processes of this machine are meant; None: one, or what joblib's context says.

    joblib's own answer counts the workers of the active backend, which with Dask are other
    machines, also inside one of them.
    """
    asked = get_active_backend()[1] if n_jobs is None else n_jobs
    if asked is None:
        return 1
    return asked if asked >= 0 else max(cpu_count() + 1 + asked, 1)


class NetworkEstimator(BaseEstimator):
    """An estimator around a network, its state, and a device; nothing learned is a live object.

    A fitted one has the declaration and the state. The network is compiled where it is used,
    so it can be copied, pickled, and sent to other processes.
    """

    network: Any
    network_params: Any
    epochs: int
    scaling: str | None
    norm: float | None
    read_scale: Any
    shuffle: bool
    device: str
    precision: str
    n_jobs: int | None
    random_state: Any
    checkpoint_dir: Any
    verbose: bool

    network_: NetworkModel
    state_: State
    seed_: int
    read_scale_: dict[str, float]

    def _variable(self) -> str:
        """The variable ``population.name`` that is read at the end of a sample."""
        return f"{self.network_.output}.count"

    @contextlib.contextmanager
    def _runnable(self) -> Iterator[simulation.Runnable]:
        """The compiled network; threads that share one that is not compiled take turns."""
        network = self.network_
        kept = (self._variable(),)
        key = _Compiled(network, network.fingerprint, self.device, self.precision, kept)
        with _COMPILING:
            runnable, turn = _compiled(key)
        compiled = registry.devices()[runnable.device].compiled
        with contextlib.nullcontext() if compiled else turn:
            yield runnable

    def _check_parameters(self) -> None:
        called = type(self).__name__
        check_whole(called, "epochs", self.epochs, 1)
        check_flag(called, "shuffle", self.shuffle)
        check_flag(called, "verbose", self.verbose)
        check_checkpoints(self)

    def _begin(self, network: NetworkModel, read_scale: Mapping[str, float]) -> None:
        """Take a network and its state before the first sample."""
        called = type(self).__name__
        wanted = {} if self.read_scale is None else self.read_scale
        check_mapping(called, "read_scale", wanted)
        self.read_scale_ = {**read_scale, **wanted}
        for name, value in self.read_scale_.items():
            check_value(called, f"read_scale[{name!r}]", value, 1.0)
        self.network_ = network
        n_features = self.n_features_in_
        if network.inputs[self._port()].features != n_features:
            got = f"{n_features} features"
            expected = network.inputs[self._port()].features
            raise DataError(
                f"{called}: X has {got}, the input {self._port()!r} of the network {expected}"
            )
        self.seed_ = drawn_seed(self)
        self.__dict__.pop("state_", None)  # until there is another one, nothing is learned
        with self._runnable() as runnable:
            self._begun = runnable.initial_state(self.seed_)
        self._seen, self._passes = 0, 0

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "state_")

    def _port(self) -> str:
        """The input that plays the samples: the only one that has to be given."""
        called = type(self).__name__
        needed = [name for name, spec in self.network_.inputs.items() if not spec.optional]
        if len(needed) != 1 or self.network_.inputs[needed[0]].kind != "static":
            wanted = "a network with one required input, of static samples"
            raise ParameterError(called, "network", f"one with the inputs {needed}", wanted)
        return needed[0]

    def _ordered(self, n: int) -> NDArray[np.intp]:
        """The order in which the samples of ``fit`` are shown, in all epochs."""
        if not self.shuffle:
            return np.arange(n)
        return np.random.default_rng([self.seed_, _ORDER]).permutation(n)

    def _learn(self, samples: dict[str, NDArray[Any]], callbacks: Iterable[Callback]) -> Recording:
        """Show the samples of ``fit`` with plasticity on."""
        order = self._ordered(len(samples[self._port()]))
        shown = {name: values[order] for name, values in samples.items()}
        options: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            if self.checkpoint_dir is not None:
                named = (self.network_.fingerprint, self.device, self.precision, self.seed_)
                named = (*named, self.epochs, self._variable())
                folder = run_folder(self.checkpoint_dir, named, shown)
                # Estimators that differ in what follows, such as the readout, have the same run.
                stack.callback(locked_folder(folder, "fit.lock", wait=True).release)
                options = {"folder": folder, "resume": True, "checkpoint_every": _CHECKPOINT_EVERY}
            runnable = stack.enter_context(self._runnable())
            recording, self.state_ = runnable.fit(
                shown,
                self._begun,
                epochs=self.epochs,
                seed=self.seed_,
                callbacks=callbacks,
                progress=self.verbose,
                **options,
            )
        self._passes = self.epochs
        return recording

    def _observed(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """What is read at the end of each sample, with plasticity off."""
        state = self.state_
        if self.read_scale_:
            factors = self.read_scale_.items()
            state = state.updated({name: factor * state[name] for name, factor in factors})
        with self._runnable() as runnable:
            # Where joblib's context says how many, it means those who can.
            alone = not registry.devices()[runnable.device].compiled or runnable.interface.carried
            n_jobs = 1 if self.n_jobs is None and alone else processes(self.n_jobs)
            recording, _ = runnable.run(
                {self._port(): scaled_table(self, table, self.scaler_, self.norm)},
                state,
                seed=self.seed_,
                epoch=self._passes,
                first_sample=self._seen,
                n_jobs=n_jobs,
                progress=self.verbose,
            )
        return np.asarray(recording[self._variable()], dtype=np.float64)
