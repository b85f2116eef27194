"""From a declaration to a program: one pass after the other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from biosnn.declaration import to_data
from biosnn.errors import ParameterError
from biosnn.networks import NetworkModel
from biosnn.program.carried import with_carried
from biosnn.program.interface import check_independent
from biosnn.program.layout import lay_out
from biosnn.program.passes.changeable import make_changeable
from biosnn.program.passes.counters import observe
from biosnn.program.passes.declaration import declare, draw_order
from biosnn.program.passes.delays import drop_late_events
from biosnn.program.passes.draws import count_draws
from biosnn.program.passes.event_clearing import clear_events
from biosnn.program.passes.event_driven import update_at_events
from biosnn.program.passes.learning import learn_at_ends, normalise
from biosnn.program.passes.numbering import number_synapses
from biosnn.program.passes.presentation import (
    count_from_onsets,
    follow_schedules,
    reset_at_onsets,
    show_samples,
)
from biosnn.program.passes.replication import replicate
from biosnn.program.program import Program
from biosnn.program.recorders import Record, check_record
from biosnn.program.replicas import Replicas
from biosnn.validation import check_whole


def lower(
    network: NetworkModel,
    record: Record | None = None,
    replicas: Replicas | None = None,
    changeable: Sequence[str] = (),
) -> Program:
    """Lower a network to a program.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    record : Record, optional
        What is observed; default: nothing.
    replicas : Replicas, optional
        Copies of the network that run side by side; default: one.
    changeable : sequence of str
        ``"owner.parameter"`` of constants that runs may change.

    Returns
    -------
    Program
        What devices translate; :meth:`Program.schedule` shows it.

    Raises
    ------
    ParameterError
        If something that shall be observed does not exist, copies cannot share what changes, or
        the names of two things in the network add up to one name.
    """
    record = record or Record()
    check_record(network, record)
    program = declared = make_changeable(declare(network), network, changeable)
    program = show_samples(program, network)
    program = count_from_onsets(program, network)
    program = follow_schedules(program, network)
    program = reset_at_onsets(program, network)
    program = learn_at_ends(program, network)
    program = normalise(program, network)
    program = _named_apart(observe(program, record))
    program = count_draws(program, draw_order(network))
    program = with_carried(program, declared)
    program = drop_late_events(program)
    program = update_at_events(program, network)
    program = number_synapses(program)
    program = replicate(program, network, replicas or Replicas())
    program = _named_apart(clear_events(program))
    program = lay_out(program, network)
    declaration = {"network": to_data(network), "record": record.to_data(network.dt)}
    return program.changed(declaration=json.dumps(declaration)).in_order()


def _named_apart(program: Program) -> Program:
    """The program, in which all kernels have names of their own.

    Their names begin with those of what they belong to: an event ``b_x`` of a population ``a`` and
    an event ``x`` of a population ``a_b`` would have one name.
    """
    ((name, n),) = Counter(kernel.name for kernel in program.kernels).most_common(1)
    if n > 1:
        owners = sorted({kernel.owner for kernel in program.kernels if kernel.name == name})
        got = f"{' and '.join(map(repr, owners))}, in which two things would be called {name!r}"
        remedy = "Give a population, a projection, an input or an event another name"
        raise ParameterError(program.name, "names", got, "names that do not add up to one", remedy)
    return program


def lower_parallel(
    network: NetworkModel, record: Record, n_parallel: int, changeable: Sequence[str] = ()
) -> Program:
    """Lower a network that shows several samples at once.

    Parameters
    ----------
    network, record, changeable
        As for :func:`lower`.
    n_parallel : int
        Number of samples at once.

    Raises
    ------
    ParameterError
        If that is no number, or excludes something that shall be observed, or if samples depend on
        those before them.
    """
    check_whole("compile", "n_parallel", n_parallel, 1)
    program = lower(network, record, changeable=changeable)
    if n_parallel == 1:
        return program
    if changeable:
        wanted = f"left out with n_parallel={n_parallel}"
        remedy = "Show samples one by one, or compare networks with simulation.ensemble"
        raise ParameterError("compile", "changeable", list(changeable), wanted, remedy)
    for name, refused in (("traces", record.traces), ("snapshots", record.snapshots)):
        if refused:
            wanted = f"left out with n_parallel={n_parallel}, where samples run side by side"
            remedy = "Record them with a network of its own"
            raise ParameterError("compile", name, sorted(refused), wanted, remedy)
    check_independent("compile", "n_parallel", n_parallel, program.carried)
    return lower(network, record, Replicas(n=int(n_parallel)))
