"""The device ``cuda`` beside ``cpp``: time per step and per image.

Where biosnn and the GPU are on one machine::

    python -m benchmarks.gpu NAME [--quick]

Else in three steps, of which the second needs the folder and Python's standard library::

    python -m benchmarks.gpu prepare FOLDER --arch sm_90
    python3 FOLDER/programs.py                  # on the machine with the GPU
    python -m benchmarks.gpu compare FOLDER NAME

Parts (``--only``):

- ``step``: one sample after the other, learning on: winner-take-all networks (784 inputs), a LIF
  population and COBA-HH networks;
- ``parallel``: the 400-neuron network with plasticity off and 1 to 1,024 copies;
- ``ensemble``: 1 to 64 of these networks that learn side by side;
- ``evaluate``: all 10,000 test images through a trained 400-neuron network.

Everything runs with strict arithmetic in turns, and medians are reported; counts of ``cuda`` are
held to those of ``cpp``. The record is ``benchmarks/records/NAME.json``; none is replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shutil
import statistics
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from brian2 import ms, nA

from benchmarks import programs
from biosnn import datasets, models, networks, simulation
from biosnn.devices.base.artifact import open_sources, write_states
from biosnn.devices.base.chunk_files import Places, settings_lines
from biosnn.devices.base.contract import Chunk, Settings
from biosnn.devices.cuda.project_folders import write_into
from biosnn.encoding import scale_norm
from biosnn.errors import ParameterError, StorageError
from biosnn.experiments import environment, main, plain_data, whole
from biosnn.program.lower import lower
from biosnn.program.recorders import Record
from biosnn.program.replicas import Replicas
from biosnn.state import State

RECORDS = Path(__file__).parent / "records"
SIZES = (100, 400, 1600, 6400, 25_600)
COPIES = (1, 4, 16, 64, 256, 1024)
MEMBERS = (1, 4, 16, 64)
PARTS = ("step", "parallel", "ensemble", "evaluate")
PRECISIONS = ("double", "single")
DEVICES = ("cpp", "cuda")
LARGEST_FOLDER = 64 * 2**20  # bytes; more is hard to send
SEED, NORM, N_INPUTS, NEURONS, TEST_IMAGES = 1, 9.2, 784, 400, 10_000
#: So many random weights are repeated to fill a matrix: it packs well, and is made in no time.
BLOCK = 2048


@attrs.frozen(kw_only=True)
class Choice:
    """What is measured.

    Parameters
    ----------
    parts, precisions, devices : sequence of str
        Of the tuples above.
    sizes, copies, members : sequence of int
        Numbers of neurons, of samples at once and of networks.
    images : int
        Number of test images.
    data_dir : Path or None
        MNIST; without it the bundled digits are shown again and again.
    arch : str
        Of the GPU.
    sources : bool
        Leave compiling CUDA programs to the machine with the GPU; ``arch`` has a name then.
    """

    parts: Sequence[str] = PARTS
    precisions: Sequence[str] = PRECISIONS
    devices: Sequence[str] = DEVICES
    sizes: Sequence[int] = SIZES
    copies: Sequence[int] = COPIES
    members: Sequence[int] = MEMBERS
    images: int = TEST_IMAGES
    data_dir: Path | None = None
    arch: str = "native"
    sources: bool = False


@attrs.frozen(kw_only=True, eq=False)
class Case:
    """One line of the table.

    Parameters
    ----------
    part, network : str
        Where it belongs, and the name of the network.
    model : NetworkModel
        What is simulated.
    samples : dict
        What is shown: ``image`` or ``current``, or nothing but ``n_samples``.
    n : int
        Number of samples.
    precision : str
        Of state variables.
    learn : bool
        Whether plasticity is on.
    copies, members : int
        Samples shown at once; networks side by side.
    state : State or None
        What it begins with.
    """

    part: str
    network: str
    model: Any
    samples: dict[str, np.ndarray]
    n: int
    precision: str
    learn: bool
    copies: int = 1
    members: int = 1
    state: State | None = None

    @property
    def name(self) -> str:
        several = self.copies if self.part != "ensemble" else self.members
        many = "" if self.part == "step" else f"-{several}"
        return f"{self.part}-{self.network}{many}-{self.precision}"


def images(choice: Choice, n: int, train: bool = False) -> np.ndarray:
    """Images with equal norms, again from the start when they are used up."""
    found = (
        datasets.load_digits() if choice.data_dir is None else datasets.load_mnist(choice.data_dir)
    )
    flat = (found.train if train else found.test).flat()
    return scale_norm(flat[np.arange(n) % len(flat)], NORM).astype(np.float32)


def population(n: int) -> networks.NetworkModel:
    """LIF neurons with a constant current each."""
    return networks.NetworkModel(
        name=f"lif_{n}",
        dt=0.1 * ms,
        inputs={"current": networks.Input(features=n)},
        populations={"lif": networks.Population(model=models.lif(), n=n, drives={"I": "current"})},
        presentation=networks.Presentation(duration=100 * ms),
        output="lif",
    )


def trained(model: networks.NetworkModel, precision: str, choice: Choice) -> State:
    """The state of the network after some images (``cpp``)."""
    runnable = simulation.compile(model, "cpp", precision=precision, math="strict", portable=True)
    shown = images(choice, 2000, train=True)
    return runnable.run(shown, learn=True, seed=SEED, progress=False)[1]


def cases(choice: Choice) -> Iterator[Case]:
    """All lines of the table."""
    for precision, part in itertools.product(choice.precisions, choice.parts):
        if part == "step":
            yield from steps(choice, precision)
            continue
        model = networks.winner_take_all(N_INPUTS, NEURONS)
        network = f"winner_take_all_{NEURONS}"
        if part == "ensemble":
            n = min(100, choice.images)
            for members in choice.members:
                yield Case(
                    part=part, network=network, model=model, samples={"image": images(choice, n)},
                    n=n, precision=precision, learn=True, members=members,
                )  # fmt: skip
            continue
        state = trained(model, precision, choice)
        many = (1, max(choice.copies)) if part == "evaluate" else choice.copies
        for copies in dict.fromkeys(many):
            n = choice.images if part == "evaluate" else min(max(4 * copies, 256), choice.images)
            yield Case(
                part=part, network=network, model=model, samples={"image": images(choice, n)},
                n=n, precision=precision, learn=False, copies=copies, state=state,
            )  # fmt: skip


def steps(choice: Choice, precision: str) -> Iterator[Case]:
    """Networks of growing size, one sample after the other."""
    for n in choice.sizes:
        shown = min(max(40_000 // n, 4), 200, choice.images)
        yield Case(
            part="step", network=f"winner_take_all_{n}", n=shown, precision=precision, learn=True,
            model=networks.winner_take_all(N_INPUTS, n), samples={"image": images(choice, shown)},
        )  # fmt: skip
        shown = max(min(20, 40_000 // n), 1)
        current = np.full((shown, n), float(40 * nA), dtype=np.float32)
        yield Case(
            part="step", network=f"lif_{n}", model=population(n), samples={"current": current},
            n=shown, precision=precision, learn=False,
        )  # fmt: skip
        yield Case(
            part="step", network=f"cobahh_{n}", precision=precision, learn=False, n=1, samples={},
            model=networks.balanced_network("COBAHH", n, duration=100 * ms),
        )  # fmt: skip


# --- prepare


class Folder:
    """A folder of programs, data and a plan, to be run by :mod:`benchmarks.programs`."""

    def __init__(self, path: Path, choice: Choice):
        if path.exists():
            raise StorageError(f"{path} exists; choose another folder")
        self.path, self._choice = path, choice
        for name in ("programs", "data"):
            (path / name).mkdir(parents=True)
        self._plan: dict[str, Any] = {"environment": environment(), "build_s": {}, "runs": []}

    def add(self, case: Case, device: str) -> None:
        """Compile a case for a device and plan a run of it."""
        replicas = case.members if case.part == "ensemble" else case.copies
        kind = "ensemble" if case.part == "ensemble" and replicas > 1 else "copies"
        program = f"{device}-{case.network}-{kind}-{replicas}-{case.precision}"
        written = device == "cuda" and self._choice.sources
        options: dict[str, Any] = {"precision": case.precision, "math": "strict"}
        if device == "cpp" or written:  # sources alone do not tell what a network begins with
            options |= {"device": "cpp", "portable": True}
        else:
            options |= {"device": "cuda", "architecture": self._choice.arch}
        if kind == "ensemble":
            made: Any = simulation.ensemble(case.model, replicas, **options)
            states = made.initial_states(range(SEED, SEED + replicas))
            seed: Any = tuple(range(SEED, SEED + replicas))
        else:
            made = simulation.compile(case.model, n_parallel=replicas, **options)
            states, seed = [case.state or made.initial_state(SEED)], SEED
        if case.state is None:
            states = [repeated(state) for state in states]
        target = self.path / "programs" / program
        with tempfile.TemporaryDirectory() as work:
            artifact = made._made.artifact
            if written:
                copies = Replicas(n=replicas, shared=kind == "copies")
                record = Record(per_sample=tuple(made.interface.per_sample))
                program = lower(case.model, record, copies)
                write_into(program, Path(work), case.precision, "strict", self._choice.arch)
                artifact = open_sources(Path(work))
            if not target.exists():
                if not written:
                    self._plan["build_s"][program] = made.build_seconds
                self._copy(artifact.folder, target)
        plastic = artifact.manifest["plastic"]
        settings = Settings(
            seed=seed, epoch=0, first_sample=0, position=0, learning=(),
            horizon=(case.n,) * replicas if kind == "ensemble" else case.n,
        )  # fmt: skip
        if case.learn:
            settings = attrs.evolve(settings, learning=tuple(made.interface.plastic))
        files: list[dict[str, str]] = []

        def put(name: str, data: np.ndarray) -> str:
            files.append({"name": f"input.{name}", "data": self._pack(data.tobytes())})
            return f"@WORK@/input.{name}"

        with tempfile.TemporaryDirectory() as work:
            begin = Path(work) / "state"
            write_states(begin, made.interface, states)
            files.append({"name": "state", "data": self._pack(begin.read_bytes())})
        inputs: dict[str, Any] = dict.fromkeys(made.interface.ports)
        inputs |= case.samples
        places = Places(
            state_in="@WORK@/state", state_out="@WORK@/after", out="@WORK@/out", parent=0, put=put
        )
        self._plan["runs"].append(
            {
                "name": f"{case.name}-{device}",
                "case": case.name,
                "part": case.part,
                "network": case.network,
                "device": device,
                "precision": case.precision,
                "neurons": sum(p.n for p in case.model.populations.values()),
                "copies": case.copies,
                "members": case.members,
                "program": program,
                "samples": case.n,
                "steps": case.model.steps_per_presentation,
                "settings": settings_lines(Chunk(case.n, inputs), settings, plastic, places),
                "files": files,
                "keep": list(made.interface.per_sample),
            }
        )

    def _copy(self, artifact: Path, target: Path) -> None:
        target.mkdir()
        shutil.copytree(artifact / "static_arrays", target / "static_arrays")
        if (artifact / "main").exists():
            shutil.copy2(artifact / "main", target / "main")
        else:
            shutil.copytree(artifact / "source", target / "source")

    def _pack(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()[:24]
        path = self.path / "data" / name
        if not path.exists():
            path.write_bytes(zlib.compress(data, 6))
        return name

    def close(self) -> None:
        """Write the plan and the script."""
        (self.path / "plan.json").write_text(json.dumps(self._plan, indent=1) + "\n")
        shutil.copy2(Path(programs.__file__), self.path / "programs.py")
        size = sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())
        print(f"{self.path}: {len(self._plan['runs'])} runs, {size / 2**20:.1f} MiB")
        if size > LARGEST_FOLDER:
            print(f"that is more than {LARGEST_FOLDER // 2**20} MiB: choose --only or --sizes")


def repeated(state: State) -> State:
    """A state whose large arrays repeat their first values."""
    short = {
        name: np.resize(values[:BLOCK], values.size).astype(values.dtype)
        for name, values in state.items()
        if values.size > BLOCK
    }
    return state.updated(short)


def prepare(path: Path, choice: Choice) -> None:
    """Compile everything and write it to a folder."""
    folder = Folder(path, choice)
    for case in cases(choice):
        for device in choice.devices:
            # Members and copies are held to one network on the CPU.
            if device == "cpp" and (case.copies > 1 or case.members > 1):
                continue
            print(f"preparing {case.name} on {device}", flush=True)
            folder.add(case, device)
    folder.close()


# --- compare


def compare(path: Path, name: str) -> dict[str, Any]:
    """Read what a run left, and write the record."""
    target = RECORDS / f"{name}.json"
    if target.exists():
        raise StorageError(f"{target} exists; records are only added, choose another name")
    if not (path / "facts.json").exists():
        raise StorageError(f"{path} has no facts.json: run python3 {path}/programs.py first")
    plan, facts = (json.loads((path / f"{k}.json").read_text()) for k in ("plan", "facts"))
    rows = {}
    planned = {run["name"]: run for run in plan["runs"]}
    for key, found in facts["runs"].items():
        run = planned[key]
        row = {k: run[k] for k in ("part", "network", "device", "precision", "neurons", "samples")}
        row |= {k: run[k] for k in ("copies", "members")} | found
        if "failed" not in found:
            row |= figures(run, found["rounds"])
            if run["device"] != "cpp":
                row["equal_to_cpp"] = equal(path, run, planned)
        rows[key] = row
    record = {
        "environment": plan["environment"], "machine": facts["machine"],
        "build_s": plan["build_s"], "compile_s": facts["compile_s"], "runs": rows,
    }  # fmt: skip
    RECORDS.mkdir(exist_ok=True)
    target.write_text(json.dumps(plain_data(record), indent=1) + "\n")
    return record


def figures(run: dict[str, Any], rounds: list[dict[str, float]]) -> dict[str, float]:
    """Medians: per step of the program, and per image of one network."""
    loop = statistics.median(found["loop_s"] for found in rounds)
    side_by_side = run["copies"]
    shown = rounds[0]["presentations"] / run["members"]
    return {
        "us_per_step": 1e6 * loop / (-(-shown // side_by_side) * run["steps"]),
        "us_per_image": 1e6 * loop / (shown * run["members"]),
        "run_s": loop,
        "fastest_run_s": min(found["loop_s"] for found in rounds),
        "whole_s": statistics.median(found["whole_s"] for found in rounds),
    }


def equal(path: Path, run: dict[str, Any], planned: dict[str, Any]) -> bool | str:
    """Whether counts are those of one network on ``cpp``; the first member, of an ensemble."""
    one = next(
        (
            other
            for other in planned.values()
            if other["device"] == "cpp"
            and all(other[k] == run[k] for k in ("part", "network", "precision"))
        ),
        None,
    )
    if one is None or not run["keep"]:
        return "not compared: no run on cpp"
    found = []
    for which in (run, one):
        # Ensembles write one network behind the other, so the first comes first.
        parts = [path / "results" / which["name"] / name for name in which["keep"]]
        if not all(part.exists() for part in parts):
            return "not compared: no counts"
        found.append([np.fromfile(part, dtype=np.uint8) for part in parts])
    same = []
    for ours, theirs in zip(*found, strict=True):
        rows = min(run["samples"], one["samples"])
        ours, theirs = (
            a[: rows * (a.size // (w["samples"] * w["members"]))]
            for a, w in ((ours, run), (theirs, one))
        )
        same.append(bool(theirs.any()) and np.array_equal(ours, theirs))
    return all(same)


# --- the command line


def _numbers(among: Sequence[int]) -> Callable[[str], tuple[int, ...]]:
    def read(text: str) -> tuple[int, ...]:
        found = tuple(map(whole(1), text.split(",")))
        if not set(found) <= set(among):
            raise argparse.ArgumentTypeError(f"of {', '.join(map(str, among))}")
        return found

    return read


def chosen(args: argparse.Namespace) -> Choice:
    """What the flags say; ``--quick`` takes about three minutes with a warm build cache."""
    few = args.quick
    return Choice(
        parts=args.only or PARTS,
        precisions=args.precision or (PRECISIONS[:1] if few else PRECISIONS),
        devices=args.device or DEVICES,
        sizes=args.sizes or ((400, 6400) if few else SIZES),
        copies=args.copies or ((1, 64) if few else COPIES),
        members=args.members or ((1, 16) if few else MEMBERS),
        images=min(args.images, 2000) if few else args.images,
        data_dir=args.data_dir,
        arch=args.arch,
        sources=args.sources,
    )


def run() -> None:
    """What the command line asks for."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "words", nargs="+", metavar="NAME | prepare DIR | run DIR | compare DIR NAME"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts")
    parser.add_argument("--device", nargs="+", choices=DEVICES, help="default: both")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, help="default: both")
    parser.add_argument("--sizes", type=_numbers(SIZES), help="such as 100,1600")
    parser.add_argument("--copies", type=_numbers(COPIES), help="such as 1,64")
    parser.add_argument("--members", type=_numbers(MEMBERS), help="such as 1,16")
    parser.add_argument("--images", type=whole(1), default=TEST_IMAGES, help="test images")
    parser.add_argument("--data-dir", type=Path, help="MNIST's IDX files; else bundled digits")
    parser.add_argument("--arch", default="native", help="of the GPU, such as sm_90")
    parser.add_argument("--sources", action="store_true", help="compile where the GPU is")
    parser.add_argument("--rounds", type=whole(1), default=5)
    parser.add_argument("--quick", action="store_true", help="a small part, about three minutes")
    args = parser.parse_args()
    match args.words:
        case ["prepare", folder]:
            prepare(Path(folder), chosen(args))
        case ["run", folder]:
            programs.measure(Path(folder), args.rounds)
        case ["compare", folder, name]:
            compare(Path(folder), name)
        case [name]:
            if (RECORDS / f"{name}.json").exists():
                raise StorageError(f"the record {name} exists; choose another name")
            with tempfile.TemporaryDirectory(prefix="benchmark-") as work:
                folder = Path(work) / "prepared"
                prepare(folder, chosen(args))
                programs.measure(folder, args.rounds)
                compare(folder, name)
        case _:
            got = " ".join(args.words)
            raise ParameterError("benchmarks.gpu", "words", repr(got), "see --help")


if __name__ == "__main__":
    main(run)
