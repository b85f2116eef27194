"""Trained networks that run on devices."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from biosnn import simulation
from biosnn.errors import ParameterError
from biosnn.networks import NetworkModel
from biosnn.program.recorders import Record, check_record
from biosnn.readout import Readout
from biosnn.state import State
from biosnn.storage import preprocessing as shown
from biosnn.storage.compatibility import misfit
from biosnn.storage.model import Model, Progress
from biosnn.storage.preprocessing import Takes
from biosnn.validation import choice, instance


@attrs.frozen(eq=False, kw_only=True)
class TrainedModel(Model):
    """A network with what it has learned, and what is needed to classify samples with it.

    Networks of all kinds: trained by STDP, with a readout of spike counts; with values that are
    currents; trained by surrogate gradients (:meth:`biosnn.surrogate.SurrogateNetwork.state`) or by
    reward, where a :class:`biosnn.readout.PopulationReadout` reads the output.

    Parameters
    ----------
    network : NetworkModel
        The network that is shown the samples. For a readout of latencies it is the one with
        ``competition="none"``.
    state : State
        What it has learned; every variable of ``network.initial_state()`` at least.
    readout : Readout, optional
        A fitted readout.
    observed : str
        What the readout reads, e.g. ``"exc.count"`` or ``"exc.t_first"``.
    precision : {"double", "single"}
        Of the state variables.
    preprocessing, values, encoding, provenance, shape, picture, classes
        See :class:`Model`.

    Raises
    ------
    ParameterError
        If the parts do not fit together.
    DataError
        If the network needs another number of inputs than one.
    """

    network: NetworkModel = attrs.field(validator=instance(NetworkModel))
    state: State = attrs.field(validator=instance(State))
    readout: Readout | None = attrs.field(default=None, validator=instance(Readout, optional=True))
    observed: str = attrs.field(validator=instance(str))
    precision: str = attrs.field(default="double", validator=choice("double", "single"))

    def __attrs_post_init__(self) -> None:
        where = "TrainedModel"
        self._check()
        population, _, variable = self.observed.partition(".")
        if population not in self.network.populations or not variable:
            among = ", ".join(self.network.populations)
            raise ParameterError(
                where, "observed", repr(self.observed), f'"population.variable" of one of {among}'
            )
        problem = misfit(self.network, self.state, single=self.precision == "single")
        if problem:
            remedy = "Take over what another network has learned with initial_state().transferred()"
            raise ParameterError(where, "state", problem, f"one of {self.network.name}", remedy)
        try:
            check_record(self.network, Record(per_sample=(self.observed,)))
        except ParameterError as error:
            got = repr(self.observed)
            raise ParameterError(where, "observed", got, error.wanted) from error
        if self.readout is not None:
            n_neurons = getattr(self.readout, "n_features_in_", None)
            if n_neurons != self.network.populations[population].n:
                wanted = f"fitted to the {self.network.populations[population].n} of {population!r}"
                got = "one that is not fitted" if n_neurons is None else f"one of {n_neurons}"
                raise ParameterError(where, "readout", got, wanted)

    @property
    def takes(self) -> Takes:
        """What the network is shown: kind, size and unit."""
        return shown.takes_of(self.network)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The labels that the readout may give, -1 left out; None without a readout."""
        return getattr(self.readout, "classes_", None)

    def responses(
        self,
        samples: Any,
        device: str = "runtime",
        seed: int = 0,
        *,
        progress: Progress = True,
    ) -> NDArray[Any]:
        """Show samples with plasticity off; what the readout reads, shape (n, neurons).

        Parameters, and errors, are those of :meth:`classify`.
        """
        takes = self.takes
        if takes.kind == "events" and self.encoding is None:
            given = shown.given_events(takes, self.preprocessing, samples)
        else:
            steps = self.preprocessing
            given = shown.prepared(takes, steps, self.values, samples, self.shape)
            if self.encoding is not None:
                given = shown.drawn_events(takes, given, seed)
        runnable = simulation.compile(
            self.network,
            device,
            precision=self.precision,
            per_sample=(self.observed,),
            math="strict",
            progress=progress is not False,
        )
        state = runnable.initial_state(seed).transferred(self.state)
        recording, _ = runnable.run(given, state, seed=seed, progress=progress)
        return recording[self.observed]

    def classify(
        self,
        samples: Any,
        device: str = "runtime",
        seed: int = 0,
        *,
        progress: Progress = True,
    ) -> NDArray[np.int64]:
        """Classify samples with plasticity off; the same labels on every device.

        Parameters
        ----------
        samples : array_like or tuple
            Of shape (n, features), (n, height, width) or with channels behind: as ``values``
            says, in the range of the training. Of sequences (n, frames, features). Of address
            events, unless they are drawn (``encoding``), a :class:`biosnn.datasets.EventSplit`; a
            tuple of arrays (sample, unit, time); or a dict of the input's name -> this tuple and
            ``"n_samples"`` -> n.
        device : {"runtime", "cpp", "cuda", "auto"}
            Where to run. The first call on ``"cpp"`` builds with strict floating-point flags.
        seed : int
            Sample ``k`` is shown as the input spikes of ``(seed, k)``.
        progress : bool or callable
            As in :meth:`biosnn.simulation.Runnable.run`.

        Returns
        -------
        numpy.ndarray of int, shape (n,)
            Labels; -1 for samples on which no neuron fired that the readout listens to.

        Raises
        ------
        DataError
            If the samples have the wrong shape or values.
        ParameterError
            If there is no readout, the model's file does not say which current (or other quantity
            with a unit) an intensity of 1 is, or another argument is out of its range.
        DeviceError
            If the network cannot be built or run.
        """
        if self.readout is None:
            remedy = "Fit one to the recording of a run and make a new TrainedModel."
            raise ParameterError("TrainedModel", "readout", None, "a fitted readout", remedy)
        return self.readout.predict(self.responses(samples, device, seed, progress=progress))
