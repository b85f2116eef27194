"""Independent networks of one script: a process of the same binary for each of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
from joblib import Parallel, cpu_count, delayed

from biosnn.devices.base.binary import BinarySession, CompiledNetwork
from biosnn.devices.base.contract import Chunk, NotFiniteError, Report, Settings, Stop
from biosnn.recording import Recording
from biosnn.state import State


@attrs.frozen(kw_only=True, eq=False)
class Member:
    """In what a network differs from the others.

    Parameters
    ----------
    first : State
        Before its first sample; also what begins anew with a sample.
    constants : mapping
        ``"object.constant"`` -> value in SI units, where it is not what was declared.
    """

    first: State
    constants: Mapping[str, float]


class MemberProcesses:
    """See :class:`biosnn.devices.base.contract.ReplicatingDevice`.

    Parameters
    ----------
    made : CompiledNetwork
        The binary of a script's network that is shown samples.
    members : sequence of Member
        The networks.
    """

    def __init__(self, made: CompiledNetwork, members: Sequence[Member]):
        self._made, self._members = made, tuple(members)
        self.interface, self.defaults = made.interface, made.defaults
        self.build_seconds, self.longest_chunk = made.build_seconds, made.longest_chunk
        self.session = made.session

    @contextlib.contextmanager
    def ensemble(self, states: Sequence[State], folder: Path) -> Iterator[MemberSessions]:
        """See :class:`biosnn.devices.base.contract.ReplicatingDevice`."""
        sessions = []
        for number, (member, state) in enumerate(zip(self._members, states, strict=True)):
            own = folder / f"member_{number}"
            own.mkdir()
            artifact = attrs.evolve(self._made.artifact, first=member.first)
            sessions.append(
                BinarySession(artifact, [state], own, self._made.explain, member.constants)
            )
        yield MemberSessions(sessions)


class MemberSessions:
    """See :class:`biosnn.devices.base.contract.EnsembleSession`."""

    def __init__(self, sessions: Sequence[BinarySession]):
        self._sessions = sessions

    def state(self) -> list[State]:
        """See :class:`biosnn.devices.base.contract.EnsembleSession`."""
        return [session.state() for session in self._sessions]

    def run_chunk(
        self, chunk: Chunk, settings: Settings, report: Report, stop: Stop
    ) -> tuple[int, list[Recording]]:
        """See :class:`biosnn.devices.base.contract.EnsembleSession`."""
        n, lock = len(self._sessions), threading.Lock()
        progress = [(0, 0, 0)] * n

        def job(number: int) -> tuple[int, Recording | None]:
            def own(done: int, presentations: int, spikes: int) -> None:
                with lock:
                    progress[number] = (done, presentations, spikes)
                    done = min(done for done, _, _ in progress)
                    report(done, *(sum(p[k] for p in progress) for k in (1, 2)))

            if stop.requested:  # another one has failed
                return 0, None
            chosen = attrs.evolve(
                settings,
                seed=_of(settings.seed, number),
                horizon=_of(settings.horizon, number),
                recorder_limit=settings.recorder_limit // n,
            )
            try:
                return self._sessions[number].run_chunk(chunk, chosen, own, stop)
            except NotFiniteError as error:
                raise NotFiniteError(error.name, error.index, error.sample, number) from None

        # Threads suffice: each waits for a binary of its own.
        found = Parallel(n_jobs=min(n, cpu_count()), backend="threading")(
            delayed(job)(number) for number in range(n)
        )
        recordings = [recording for _, recording in found if recording is not None]
        if any(done < chunk.n for done, _ in found):  # stopped, each at a sample of its own
            return 0, []
        return chunk.n, recordings


def _of(values: int | tuple[int, ...], number: int) -> int:
    return values if isinstance(values, int) else values[number]
