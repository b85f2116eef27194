"""Bundles: runs of an experiment as a folder that another machine works through.

A bundle holds networks (``networks/000``: sources, makefile, state), the settings of every chunk
(``runs/000/chunk-0000.settings``), inputs named by their SHA-256, and a shell script that leaves
one folder per finished chunk in ``results/``. While an experiment is recorded or replayed, its
calls of ``simulation.compile`` reach the bundle that is active.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from biosnn.devices.base.artifact import UNREADABLE, Artifact, digest_of, open_sources, sha256_of
from biosnn.devices.base.chunk_files import Places, settings_lines
from biosnn.devices.base.contract import Chunk, Device, Settings
from biosnn.errors import StorageError
from biosnn.files import inside, short
from biosnn.simulation.recorders import layout
from biosnn.version import __version__

if TYPE_CHECKING:
    from biosnn.networks import NetworkModel
    from biosnn.program.recorders import Record
    from biosnn.simulation.runnable import Runnable

FORMAT = 1
MANIFEST, RESULTS, WORK = "manifest.json", "results", "results/work"
_FROM_NETWORK = "../.."  # the bundle, as a binary sees it from its network's folder


class Active(Protocol):
    """Takes the networks that are compiled for its device while it is active."""

    device: str

    def compile(
        self,
        network: NetworkModel,
        record: Record,
        precision: str,
        math: str,
        made: Callable[[str], Device],
    ) -> Runnable:
        """What ``simulation.compile`` returns; ``made(device)`` builds the network here."""
        ...

    def beyond(self) -> str:
        """Something is compiled that bundles do not hold; the device that it shall be for."""
        ...

    def note(self) -> dict[str, Any]:
        """What a report says about it."""
        ...


_now: list[Active] = []


def active() -> Active | None:
    """The bundle that is being recorded or replayed, if there is one."""
    return _now[-1] if _now else None


@contextlib.contextmanager
def activated(bundle: Active) -> Iterator[None]:
    """Let a bundle take what is compiled meanwhile."""
    _now.append(bundle)
    try:
        yield
    finally:
        _now.remove(bundle)


def network_key(network: NetworkModel, record: Record, precision: str, math: str) -> str:
    """What tells networks of a bundle apart."""
    from biosnn.declaration import fingerprint, to_data  # imports Brian2

    return fingerprint(to_data(network), record.to_data(network.dt), precision, math)[:32]


def chunk_folder(run: int, chunk: int) -> str:
    """Where the results of a chunk are."""
    return f"{RESULTS}/{run:03d}/chunk-{chunk:04d}"


def settings_file(run: int, chunk: int) -> str:
    """Where the settings of a chunk are."""
    return f"runs/{run:03d}/chunk-{chunk:04d}.settings"


def chunk_settings(
    bundle: str,
    chunk: Chunk,
    settings: Settings,
    plastic: dict[str, list[str]],
    state_in: str,
    put: Callable[[str, Any], str],
) -> str:
    """The settings of a chunk, with paths inside the bundle.

    Parameters
    ----------
    bundle : str
        Its identifier, so that results tell where they belong.
    chunk, settings
        What is run.
    plastic : dict
        Of the network's manifest.
    state_in : str
        File of the state before the chunk.
    put : callable
        Keeps an input: ``put(name, array) -> file``.
    """
    places = Places(
        state_in=f"{_FROM_NETWORK}/{state_in}",
        state_out=f"{_FROM_NETWORK}/{WORK}/state",
        out=f"{_FROM_NETWORK}/{WORK}",
        parent=0,
        put=lambda name, array: f"{_FROM_NETWORK}/{put(name, array)}",
    )
    unlimited = attrs.evolve(settings, recorder_limit=2**62)
    lines = [f"bundle {bundle}", *settings_lines(chunk, unlimited, plastic, places)]
    return "\n".join(lines) + "\n"


@attrs.frozen(kw_only=True)
class Bundle:
    """A bundle on disk.

    Parameters
    ----------
    folder : Path
        Where it is.
    manifest : dict
        ``bundle`` (its identifier), ``about`` (what its maker wrote into it), ``device``,
        ``arch``, ``versions``, ``longest_chunk``, ``networks`` (``folder``, ``name``, ``key``)
        and ``runs`` (``network``, ``chunks`` with ``n``, ``position``, ``state_in`` and the
        ``sha256`` of the settings).
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def device(self) -> str:
        """The device that it is for."""
        return self.manifest["device"]

    @property
    def about(self) -> dict[str, Any]:
        """What its maker wrote into it."""
        return self.manifest["about"]

    def artifact(self, number: int) -> Artifact:
        """A network."""
        return open_sources(inside(self.folder, self.manifest["networks"][number]["folder"]))

    def machines(self) -> list[str]:
        """What is known of the machines that ran it."""
        path = inside(self.folder, f"{RESULTS}/machines")
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def check_results(self) -> None:
        """Check that all results are there and are what this bundle asked for.

        Raises
        ------
        StorageError
            Naming the chunks that are missing, or the file that is damaged or foreign.
        """
        missing = [
            f"{run:03d}/chunk-{chunk:04d}"
            for run, part in enumerate(self.manifest["runs"])
            for chunk in range(len(part["chunks"]))
            if not inside(self.folder, chunk_folder(run, chunk)).is_dir()
        ]
        total = sum(len(part["chunks"]) for part in self.manifest["runs"])
        if len(missing) == total:
            raise StorageError(
                f"{self.folder} has no results yet: run it (./run.sh, or sbatch job.slurm), and "
                "copy its folder results/ back"
            )
        if missing:
            raise StorageError(
                f"{self.folder} lacks the results of {len(missing)} of {total} chunks "
                f"({_listed(missing)}): submit the job again, it goes on after the last finished "
                "chunk; or copy the whole folder results/ back"
            )
        for run, part in enumerate(self.manifest["runs"]):
            artifact = self.artifact(part["network"])
            for chunk, known in enumerate(part["chunks"]):
                self._check_chunk(self.folder / chunk_folder(run, chunk), known, artifact)

    def _check_chunk(self, folder: Path, known: dict[str, Any], artifact: Artifact) -> None:
        damaged = f"{folder} is damaged: %s; copy it again, or remove it and run the bundle again"
        try:
            if sha256_of(inside(folder, "settings")) != known["sha256"]:
                raise StorageError(
                    f"{folder} belongs to another bundle, or its settings are damaged: copy the "
                    "results of this one, or remove it and run the bundle again"
                )
            sums = _sums(inside(folder, "checksums"))
            face = artifact.interface
            names = {*layout(face), "settings", "state", "finished"}
            for key in face.spikes:  # as the binary names what the layout calls t
                names = names - {f"spikes.{key}.t"} | {f"spikes.{key}.t_sample"}
            for name in sorted(names | set(sums)):
                path = inside(folder, name)
                if name not in sums or not path.is_file():
                    raise StorageError(damaged % f"{name} is missing")
                if sha256_of(path) != sums[name]:
                    raise StorageError(damaged % f"{name} does not match its SHA-256")
            if finished(folder)[0] != known["n"]:
                raise StorageError(damaged % f"it does not hold its {known['n']} samples")
        except (OSError, IndexError, ValueError) as error:
            raise StorageError(damaged % error) from error
        sizes = {"state": sum(variable.bytes for variable in face.variables)}
        sizes |= {name: known["n"] * column.bytes for name, column in face.per_sample.items()}
        for name, size in sizes.items():
            if (folder / name).stat().st_size != size:
                raise StorageError(damaged % f"{name} does not have {size} bytes")


def finished(folder: Path) -> tuple[int, float]:
    """Samples and seconds of a finished chunk, as its binary said."""
    word, samples, _, _, seconds = (folder / "finished").read_text().split()
    if word != "finished":
        raise ValueError("'finished' does not say so")
    return int(samples), float(seconds)


def open_bundle(folder: Path) -> Bundle:
    """Read and verify a bundle, without its results.

    Raises
    ------
    StorageError
        If it is none, is damaged, or was made by another version of biosnn.
    """
    folder = folder.absolute()
    again = "copy it again, or build it anew"
    try:
        manifest = json.loads(inside(folder, MANIFEST).read_bytes())
        version, digest = manifest["bundle_format"], manifest.pop("sha256")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StorageError(
            f"{folder} is not a bundle: it has no {MANIFEST}; give a folder that `biosnn build` "
            "wrote"
        ) from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}; {again}") from error
    except UNREADABLE as error:
        raise StorageError(
            f"{folder} is not a bundle, or its {MANIFEST} is damaged; give a folder that `biosnn "
            f"build` wrote, or {again}"
        ) from error
    if version != FORMAT:
        raise StorageError(
            f"{folder} has bundle format {version}, this biosnn reads {FORMAT}: build it anew, or "
            "collect it with the biosnn that built it"
        )
    if digest != digest_of(manifest):
        raise StorageError(f"{folder} is damaged: {MANIFEST} does not match its SHA-256; {again}")
    try:
        built = short(manifest["versions"]["biosnn"]).strip("'")
        if built != __version__:
            raise StorageError(
                f"{folder} was built by biosnn {built}, this is {__version__}: collect it "
                "with that version, or build it anew"
            )
        _check(manifest)
    except UNREADABLE as error:
        raise StorageError(
            f"{folder} is damaged: {MANIFEST} cannot be understood ({error}); {again}"
        ) from error
    return Bundle(folder=folder, manifest=manifest)


def _check(manifest: Mapping[str, Any]) -> None:
    """Check that a manifest says what a bundle writer can have said.

    Raises
    ------
    AttributeError, IndexError, KeyError, TypeError, ValueError
        If it does not.
    """
    about, longest = manifest["about"], manifest["longest_chunk"]
    texts = [manifest[name] for name in ("bundle", "device")] + [about["experiment"]]
    texts += about["flags"]
    for number, network in enumerate(manifest["networks"]):
        texts += [network["name"], network["key"]]
        if network["folder"] != f"networks/{number:03d}":
            raise ValueError(f"network {number} is in {short(network['folder'])}")
    numbers = [1 if longest is None else longest]
    states = re.compile(r"inputs/[0-9a-f]{32}|results/[0-9]{3,}/chunk-[0-9]{4,}/state")
    for run in manifest["runs"]:
        numbers += [run["network"] + 1, len(manifest["networks"]) - run["network"]]
        for chunk in run["chunks"]:
            numbers += [chunk["n"], chunk["position"] + 1]
            texts.append(chunk["sha256"])
            if not states.fullmatch(chunk["state_in"]):
                raise ValueError(f"a chunk begins with {short(chunk['state_in'])}")
    if any(type(number) is not int or number < 1 for number in numbers):
        raise ValueError("a number of samples or of a network is none")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")


def digest_name(data: bytes | memoryview) -> str:
    """File of an input, named by what is in it."""
    return f"inputs/{hashlib.sha256(data).hexdigest()[:32]}"


def _sums(path: Path) -> dict[str, str]:
    """Name -> SHA-256, from a file that ``sha256sum`` wrote."""
    found = {}
    for line in path.read_text().splitlines():
        digest, _, name = line.partition(" ")
        found[name.removeprefix(" ").removeprefix("*")] = digest
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f", and {len(names) - 6} more" if len(names) > 6 else "")
