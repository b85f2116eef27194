"""Jobs: a run that is written here, run by a shell script, and whose experiment goes on here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cuda_emulation import compile_on_cpu
from patience import HANG
from typer.testing import CliRunner

from biosnn import experiments, gpu, networks, simulation
from biosnn.cli import app, jobs
from biosnn.devices.base.artifact import digest_of
from biosnn.errors import DeviceError, ParameterError, StorageError
from biosnn.simulation import Checkpointing, RunOptions

ROOT = Path(__file__).resolve().parents[1]
#: What the other machine has: a shell, its tools and a compiler.
TOOLS = (
    *("sh", "awk", "cat", "cp", "cut", "date", "df", "dirname", "env", "flock", "grep", "head"),
    *("mkdir", "mv", "rm", "sed", "sha256sum", "tail", "tee", "tr", "uname", "wc"),
)
COMPILERS = ("g++", "make", "as", "ld")

SCRIPT = '''
"""Two runs that follow from each other, and one that depends on what came out."""
import numpy as np
from biosnn import experiments, networks, simulation

def run():
    parser = experiments.parser("tiny", __doc__)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--neurons", type=int, default=6)
    experiments.add_run_flags(parser)
    args = parser.parse_args()
    experiments.begin(args)
    images = np.random.default_rng(args.seed).random((args.samples, 20)).astype(np.float32)
    network = networks.winner_take_all(
        20, args.neurons, encoding="direct", theta=60.0, weight_norm=4.0, homeostasis=0.5
    )
    runnable = simulation.compile(
        network, args.device, math="strict", portable=True, spikes=("exc",),
        traces={"exc.v": [1, 4]},
    )
    learned, state = runnable.fit(
        images, epochs=2, seed=args.seed, chunk_size=10, **experiments.fit_settings(args)
    )
    quiet = {"seed": args.seed, "progress": False}
    shown, after = runnable.run(images[:9], state, epoch=7, n_jobs=args.jobs, **quiet)
    louder = after.updated({"exc.theta": after["exc.theta"] * 0.5})
    again, _ = runnable.run(images[:9], louder, epoch=8, n_jobs=args.jobs, **quiet)
    arrays = {"w": state["inp_exc.w"], "w0": runnable.initial_state(args.seed)["inp_exc.w"]}
    for name, part in (("learned", learned), ("shown", shown), ("again", again)):
        spikes, trace = part.spikes["exc"], part.traces["exc.v"]
        arrays |= {f"{name}_counts": part.counts("exc"), f"{name}_i": spikes.i,
                   f"{name}_t": spikes.t, f"{name}_sample": spikes.sample,
                   f"{name}_v": trace.values, f"{name}_trace_t": trace.t}
    np.savez(args.out / "arrays.npz", **arrays)
    experiments.write_report(args, metrics={"spikes": int(learned.counts("exc").sum())})

if __name__ == "__main__":
    experiments.main(run)
'''
NOTHING = """
from biosnn import experiments, networks, simulation
def run():
    args = experiments.parser("nothing", "Compiles and shows nothing.").parse_args()
    simulation.compile(networks.winner_take_all(20, 6, encoding="direct"), args.device)
experiments.main(run)
"""
SLOW = """
import numpy as np
from biosnn import experiments, networks, simulation
def run():
    parser = experiments.parser("slow", "One long run.")
    parser.add_argument("--samples", type=int)
    args = parser.parse_args()
    images = np.random.default_rng(0).random((args.samples, 20)).astype(np.float32)
    network = networks.winner_take_all(20, 100, encoding="poisson", theta=60.0, weight_norm=4.0)
    simulation.compile(network, args.device).run(images, progress=False)
experiments.main(run)
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with experiments of its own."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "experiments").mkdir()
    (folder / "experiments" / "tiny.py").write_text(SCRIPT)
    (folder / "experiments" / "nothing.py").write_text(NOTHING)
    (folder / "experiments" / "slow.py").write_text(SLOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "400")
        yield folder


def call(command: object, *arguments: object):
    """Call a command; the experiments of this file are scripts, which are named by their paths."""
    words = [str(part) for part in (command, *arguments)]
    if words[0] in ("run", "build") and Path(f"experiments/{words[1]}.py").exists():
        words[1] = f"experiments/{words[1]}.py"
    if words[0] == "collect" and "--script" not in words:
        words += ["--script", "experiments/tiny.py"]
    return CliRunner().invoke(app, words)


def done(*arguments: object) -> str:
    """What a command printed that went well."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def failed(*arguments: object) -> str:
    """The one sentence of a command that went wrong."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    return result.stderr


def machine(folder: Path, *tools: str) -> dict[str, str]:
    """Environment of a machine that has some tools, and no Python."""
    folder.mkdir(exist_ok=True)
    for name in tools:
        found = shutil.which(name)
        assert found, f"{name} is needed for this test"
        (folder / name).symlink_to(found)
    return {"PATH": str(folder)}


@pytest.fixture(scope="module")
def other(workplace: Path) -> dict[str, str]:
    return machine(workplace / "bin", *TOOLS, *COMPILERS)


def started(job: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(job / "run.sh")], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(workplace: Path) -> Path:
    said = done("build", "tiny", "--jobs", 2, "--out", "built", "--device", "cpp")
    assert "48 samples in 6 chunk(s)" in said
    return workplace / "built"


@pytest.fixture(scope="module")
def ran(workplace: Path, built: Path, other: dict[str, str]) -> Path:
    """The job, elsewhere, after its script."""
    folder = workplace / "else where"
    shutil.copytree(built, folder)
    assert not any("python" in path.name for path in Path(other["PATH"]).iterdir())
    result = started(folder, other)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "chunk 6 of 6: done" in result.stdout
    return folder


@pytest.fixture
def copied(ran: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "job"
    shutil.copytree(ran, folder)
    return folder


@pytest.fixture(scope="module")
def plain(workplace: Path) -> Path:
    """The same experiment without a job."""
    done("run", "tiny", "--jobs", 2, "--out", "plain")
    return workplace / "plain"


def test_collect_gives_the_results_of_a_plain_run(ran, plain, workplace):
    said = done("collect", ran, "--out", "collected")
    assert "Results and figures are in" in said
    with np.load(plain / "arrays.npz") as wanted, np.load("collected/arrays.npz") as found:
        assert wanted["learned_counts"].sum() > 20
        assert wanted["shown_counts"].sum() > 5
        assert np.abs(wanted["w"] - wanted["w0"]).max() > 0.01, "it has learned"
        assert (wanted["shown_counts"] != wanted["again_counts"]).any()
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].dtype == wanted[name].dtype, name
            assert found[name].tobytes() == wanted[name].tobytes(), name
    report = json.loads(Path("collected/results.json").read_text())
    assert report["metrics"] == json.loads((plain / "results.json").read_text())["metrics"]
    assert report["device"] == "cpp"
    assert report["jobs"]["device"] == report["jobs"]["rest_on"] == "cpp"
    assert len(report["jobs"]["ids"]) == 1
    assert "Linux" in report["jobs"]["machines"][0] or "Darwin" in report["jobs"]["machines"][0]
    assert list(Path("collected/checkpoints/training").glob("checkpoint-*.biosnn"))


@pytest.mark.slow
@pytest.mark.skipif(gpu.brian2cuda_version() is None, reason="brian2cuda is not installed")
def test_a_job_for_a_gpu_gives_the_same_results(plain, bare, workplace):
    done("build", "tiny", "--jobs", 2, "--out", "for_gpu", "--device", "cuda", "--arch", "sm_90")
    job = workplace / "for_gpu"
    assert "--gres=gpu:1" in (job / "job.slurm").read_text()
    assert "sm_90" in (job / "network/source/makefile").read_text()
    network = job / "network"
    binary = compile_on_cpu(network / "source")  # in place of nvcc
    shutil.copy(binary, network / "main")
    shutil.rmtree(binary.parent)
    result = started(job, bare | {"EMULATED_GUARD": "0", "EMULATED_THREADS_PER_BLOCK": "64"})
    assert result.returncode == 0, result.stdout + result.stderr
    done("collect", job, "--out", "from_gpu")
    with np.load(plain / "arrays.npz") as wanted, np.load("from_gpu/arrays.npz") as found:
        assert wanted["learned_counts"].sum() > 20
        for name in wanted:
            assert found[name].tobytes() == wanted[name].tobytes(), name
    report = json.loads(Path("from_gpu/results.json").read_text())
    assert (report["jobs"]["device"], report["jobs"]["rest_on"]) == ("cuda", "cpp")


def test_a_gpu_has_to_be_named(tmp_path, workplace):
    out = ("--out", tmp_path / "new")
    assert "an architecture such as sm_90" in failed("build", "tiny", "--device", "cuda", *out)
    assert "sm_90" in failed("build", "tiny", "--device", "cuda", "--arch", "x86-64-v3", *out)
    assert not list(tmp_path.iterdir())


def test_a_job_does_not_say_what_is_run(copied, workplace, monkeypatch):
    """S2: its experiment is a name of biosnn's, and the folder in it is nobody's."""
    (copied / "experiments").mkdir()
    (copied / "experiments" / "evil.py").write_text("open('marker', 'w').close()")
    evil = {"experiment": "evil", "flags": [], "folder": str(copied)}
    for about in (evil, evil | {"experiment": str(copied / "experiments" / "evil.py")}, [], None):
        edited(copied, about=about)
        result = CliRunner().invoke(app, ["collect", str(copied)])
        assert result.exit_code == 2
        assert re.search("none of biosnn's|damaged", result.stderr), result.stderr
    edited(copied, about=evil | {"flags": ["--seed", 3]})
    assert "damaged" in failed("collect", copied)
    assert not list(copied.rglob("marker"))


def test_collected_again_it_begins_anew(ran, plain, workplace):
    done("collect", ran, "--out", "twice")
    first = Path("twice/arrays.npz").read_bytes()
    done("collect", ran, "--out", "twice", "--restart", "--jobs", 1)
    assert hashlib.sha256(Path("twice/arrays.npz").read_bytes()).digest() == (
        hashlib.sha256(first).digest()
    )


def test_building_leaves_nothing_but_the_job(built, workplace):
    assert not (workplace / "runs").exists(), "the experiment's own folder is untouched"
    assert not list(workplace.glob(".built*"))
    lines = (built / "chunks" / "plan").read_text().splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["0000", "10"],
        ["0001", "10"],
        ["0002", "4"],
    ]
    text = "".join(path.read_text() for path in built.glob("chunks/*.settings"))
    inputs = set(re.findall(r"^input\.\w+ .*/(\w+)$", text, flags=re.MULTILINE))
    assert len(inputs) == 3, "both epochs share the chunks' samples"
    starts = set(re.findall(r"^state_in .*/inputs/(\w+)$", text, flags=re.MULTILINE))
    assert {path.name for path in (built / "inputs").iterdir()} == inputs | starts
    assert len(starts) == 1, "all later states come from the chunk before"
    second = (built / "chunks" / "0001.settings").read_text()
    assert "state_in ../results/chunk-0000/state" in second


def test_the_scripts_are_valid_and_the_texts_are_filled_in(built):
    for name in ("run.sh", "job.slurm"):
        subprocess.run(["bash", "-n", str(built / name)], check=True)
        assert not re.findall(r"@[A-Z]+@", (built / name).read_text())
    job = (built / "job.slurm").read_text()
    assert "#SBATCH --job-name=biosnn-tiny" in job
    assert "gres" not in job
    text = (built / "README.md").read_text()
    assert not re.findall(r"@[A-Z]+@", text)
    assert "48 samples in 6 chunk(s)" in text


def test_missing_chunks_are_named_and_made_up_for(copied, other):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("chunk-*/state")}
    shutil.rmtree(copied / "results" / "chunk-0004")
    (copied / "results" / "work").mkdir()  # what a killed job leaves
    (copied / "results" / "work" / "state").write_text("half")
    message = failed("collect", copied)
    assert "1 of 6 chunks (chunk-0004)" in message
    assert "submit the job again" in message
    result = started(copied, other)
    assert result.returncode == 0, result.stderr
    assert "chunk 5 of 6: done" in result.stdout
    assert result.stdout.count(": done") == 1
    after = {path: path.stat().st_mtime_ns for path in copied.rglob("chunk-*/state")}
    changed = [path.parent.name for path in before if before[path] != after[path]]
    assert changed == ["chunk-0004"]
    simulation.open_job(copied).check_results()


def test_without_results_it_says_how_to_run_it(built):
    assert "sbatch job.slurm" in failed("collect", built)


@pytest.fixture(scope="module")
def compiled(workplace: Path) -> Path:
    """A job with its binary, of two chunks."""
    done("build", "slow", "--samples", 3_000, "--longest-chunk", 1_800, "--compile",
         "--out", "compiled")  # fmt: skip
    return workplace / "compiled"


@pytest.fixture(scope="module")
def bare(workplace: Path) -> dict[str, str]:
    """A machine without a compiler."""
    return machine(workplace / "bare", *TOOLS)


#: A program that stops in the first chunk, or has its script told to end in the second.
GATE = """#!/bin/sh
case "$*" in
    */0000.settings) if [ -e ../hold ]; then echo $$ >../held; kill -STOP $$; fi ;;
    */0001.settings) if [ -e ../end ]; then kill -TERM $PPID; fi ;;
esac
exec ./main.real "$@"
"""


def gated(job: Path) -> None:
    """Put the gate before a job's program, so that no test depends on how long a chunk takes."""
    main = job / "network" / "main"
    main.rename(main.with_name("main.real"))
    main.write_text(GATE)
    main.chmod(0o755)


def begun(job: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """The script in a process of its own."""
    return subprocess.Popen(
        [str(job / "run.sh")], env=environment, stdout=subprocess.DEVNULL, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def test_an_interrupted_job_goes_on(compiled, bare, tmp_path):
    job = tmp_path / "job"
    shutil.copytree(compiled, job)
    gated(job)
    (job / "hold").touch()
    killed, held, ends = begun(job, bare), job / "held", time.monotonic() + HANG
    while not (held.exists() and held.read_text().endswith("\n")):
        assert killed.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.01)
    second = started(job, bare)
    assert second.returncode == 1
    assert "another run.sh is at work" in second.stderr
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    os.kill(int(held.read_text()), signal.SIGKILL)  # it holds the lock, too
    assert not (job / "results" / "chunk-0000").exists()
    (job / "hold").unlink()
    (job / "end").touch()
    told = begun(job, bare)
    assert told.wait() == 143
    assert (job / "results" / "chunk-0000").exists()
    (job / "end").unlink()
    assert "stopped in chunk 2 of 2" in (job / "results" / "log").read_text()
    assert "1 of 2 chunks (chunk-0001)" in failed("collect", job)
    last = started(job, bare)
    assert last.returncode == 0, last.stderr
    assert "chunk 1 of 2" not in last.stdout
    assert "chunk 2 of 2: done" in last.stdout
    written = simulation.open_job(job)
    written.check_results()
    counts = np.fromfile(job / "results" / "chunk-0001" / "exc.count", np.int32)
    assert counts.size == 1_200 * 100
    assert counts.sum() > 1000


def test_a_binary_for_another_machine_is_explained(compiled, bare, tmp_path):
    job = tmp_path / "job"
    shutil.copytree(compiled, job)
    binary = job / "network" / "main"
    data = bytearray(binary.read_bytes())
    data[18:20] = b"\xf7\x00"  # e_machine of an ELF file: BPF, which nobody executes
    binary.write_bytes(data)
    result = started(job, bare)
    assert result.returncode == 1
    assert "does not start on this machine" in result.stderr
    assert "remove it and start again" in result.stderr
    binary.unlink()
    result = started(job, bare)
    assert result.returncode == 1
    assert "there is no make" in result.stderr


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("no kernel image is available for execution on the device", "not for this GPU"),
        ("CUDA driver version is insufficient for CUDA runtime version", "no GPU here"),
        ("out of memory", "too little free memory"),
    ],
)
def test_errors_of_cuda_have_a_remedy(built, bare, tmp_path, error, remedy):
    job = tmp_path / "job"
    shutil.copytree(built, job)
    program = job / "network" / "main"
    program.write_text(
        '#!/bin/sh\n[ $# = 1 ] || { echo "usage: main SETTINGS" >&2; exit 2; }\n'
        f'echo "CUDA: {error}" >&2\nexit 2\n'
    )
    program.chmod(0o755)
    ended = started(job, bare)
    assert ended.returncode == 1
    assert error in ended.stderr
    assert remedy in ended.stderr
    assert not list((job / "results").glob("chunk-*"))


def test_a_damaged_job_is_not_run(copied, other):
    path = next((copied / "inputs").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    shutil.rmtree(copied / "results")
    result = started(copied, other)
    assert result.returncode == 1
    assert f"the job is damaged (inputs/{path.name}: FAILED)" in result.stderr
    assert not list((copied / "results").glob("chunk-*"))


def test_a_failing_compiler_is_shown(built, other, tmp_path):
    job = tmp_path / "job"
    shutil.copytree(built, job)
    result = started(job, other | {"CXX": "/nowhere/g++"})
    assert result.returncode == 1
    assert "/nowhere/g++" in result.stderr
    assert "the network did not compile" in result.stderr


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def from_another_job(path: Path) -> None:
    text = re.sub(r"^job \w+", f"job {'0' * 32}", path.read_text())
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("state", flip, "state does not match its SHA-256"),
        ("exc.count", lambda path: os.truncate(path, 8), "exc.count does not match its SHA-256"),
        ("spikes.exc.t_sample", Path.unlink, "spikes.exc.t_sample is missing"),
        ("checksums", Path.unlink, "No such file"),
        ("checksums", lambda path: path.write_text(""), "is missing"),
        ("settings", flip, "belongs to another job"),
        ("settings", from_another_job, "belongs to another job"),
    ],
)
def test_damaged_results_are_found(copied, name, damage, said):
    damage(copied / "results" / "chunk-0003" / name)
    message = failed("collect", copied, "--out", copied / "out")
    assert "chunk-0003" in message
    assert said in message
    assert not (copied / "out").exists()


def edited(job: Path, **changes: object) -> None:
    path = job / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    manifest.pop("sha256")
    path.write_text(json.dumps(manifest | {"sha256": digest_of(manifest)}))


def test_other_versions_and_damaged_manifests_are_refused(copied):
    path = copied / "manifest.json"
    whole = path.read_text()
    versions = json.loads(whole)["versions"]
    edited(copied, job_format=99)
    assert "job format version 99" in failed("collect", copied)
    path.write_text(whole)
    edited(copied, versions=versions | {"biosnn": "0.0.1"})
    assert "was written by biosnn 0.0.1" in failed("collect", copied)
    path.write_text(whole.replace('"arch": null', '"arch": "x"'))
    assert "does not match its SHA-256" in failed("collect", copied)
    path.write_text("[1]")
    assert "not a job" in failed("collect", copied)
    path.unlink()
    assert "not a job" in failed("collect", copied)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--seed", 5), "samples_crc32, seed, state_crc32"),
        (("--samples", 25), "samples, samples_crc32, horizon"),
        (("--neurons", 5), "declaration"),
    ],
)
def test_another_experiment_is_not_given_these_results(copied, flags, said):
    result = call("collect", copied, "--out", copied / "out", *flags)
    assert result.exit_code == 2
    message = result.stderr
    assert "is not the one that" in message
    assert re.search(said, message)
    assert not (copied / "out" / "results.json").exists()


def test_what_cannot_be_exported_is_said(workplace, built, tmp_path):
    out = ("--out", tmp_path / "new")
    assert "one of" in failed("build", "no_such_experiment", *out)
    assert "must be a device that compiles networks (cpp" in failed(
        "build", "tiny", "--device", "runtime", *out
    )
    assert "--arch must be" in failed("build", "tiny", "--arch", "two words", *out)
    assert "exists" in failed("build", "tiny", "--out", built)
    assert "nothing was run" in failed("build", "nothing", *out)
    assert "did not compile here" in failed(
        "build", "slow", "--samples", 4, "--arch", "commodore64", "--compile", *out
    )
    assert call("build", "tiny", "--no-such-flag", *out).exit_code == 2
    assert "must be one of 'runtime', 'cpp'" in failed("collect", built, "--device", "abacus")
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_an_ensemble_is_no_job(tmp_path):
    export = {"folder": tmp_path / "job", "arch": None, "about": {}}
    experiment = simulation.ExperimentJobs("cpp", (), export)
    with experiment.active(), pytest.raises(DeviceError, match="cannot become a job"):
        simulation.ensemble(networks.winner_take_all(20, 6, encoding="direct"), 2)
    assert simulation.active_jobs() is None
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def small():
    network = networks.winner_take_all(20, 6, encoding="direct", theta=60.0, weight_norm=4.0)
    return simulation.compile(network, math="strict", portable=True, spikes=("exc",))


def test_a_run_of_a_script_becomes_a_job(small, bare, tmp_path):
    images = np.random.default_rng(1).random((8, 20)).astype(np.float32)
    options = RunOptions(learn=True, seed=3, epochs=2)
    job = small.export_job(images, tmp_path / "job", options=options, longest_chunk=5)
    assert (job.n_samples, [chunk["n"] for chunk in job.chunks]) == (16, [5, 3, 5, 3])
    result = started(tmp_path / "job", bare)  # its binary goes along
    assert result.returncode == 0, result.stdout + result.stderr
    recording, state = simulation.collect_job(tmp_path / "job")
    here, end = small.execute(images, None, options, Checkpointing(), progress=False)
    assert here.counts("exc").sum() > 20
    assert recording.counts("exc").tobytes() == here.counts("exc").tobytes()
    assert recording.spikes["exc"].t.tobytes() == here.spikes["exc"].t.tobytes()
    assert state.checksum() == end.checksum() != small.initial_state(3).checksum()
    with pytest.raises(ParameterError, match="memory_limit"):
        simulation.collect_job(tmp_path / "job", memory_limit=10)


def test_what_cannot_become_a_job_is_said(small, tmp_path):
    images = np.zeros((2, 20), np.float32)
    with pytest.raises(ParameterError, match=r"samples must be arrays"):
        small.export_job(iter(images), tmp_path / "job")
    with pytest.raises(ParameterError, match=r"longest_chunk must be"):
        small.export_job(images, tmp_path / "job", longest_chunk=0)
    with pytest.raises(StorageError, match="exists"):
        small.export_job(images, tmp_path)
    network = networks.winner_take_all(20, 6, encoding="direct")
    with pytest.raises(DeviceError, match="cannot become a job"):
        simulation.compile(network, "runtime").export_job(images, tmp_path / "job")
    with pytest.raises(ParameterError, match=r'build must be True on the device "runtime"'):
        simulation.compile(network, "runtime", build=False)
    sources = simulation.compile(network, build=False)
    with pytest.raises(DeviceError, match="is not compiled"):
        sources.run(images, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_second_run_becomes_a_job_after_the_first(ran, plain, other, workplace):
    done("build", "tiny", "--jobs", 2, "--after", ran, "--out", "second")
    assert simulation.open_job("second").n_samples == 9
    result = started(Path("second"), other)
    assert result.returncode == 0, result.stdout + result.stderr
    done("collect", "second", "--after", ran, "--out", "both")
    with np.load(plain / "arrays.npz") as wanted, np.load("both/arrays.npz") as found:
        for name in wanted:
            assert found[name].tobytes() == wanted[name].tobytes(), name
    assert len(json.loads(Path("both/results.json").read_text())["jobs"]["ids"]) == 2


def test_the_commands_of_the_guide_exist(workplace, monkeypatch):
    text = (ROOT / "docs" / "jobs.md").read_text()
    commands = [
        line.split()[1:]
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("biosnn ")
    ]
    asked = []
    monkeypatch.setattr(jobs, "build", lambda *args, **named: asked.append((args, named)))
    monkeypatch.setattr(jobs, "collect", lambda *args, **named: asked.append((args, named)))
    for words in commands:
        done(*words)
    assert len(asked) == len(commands) >= 3
    (name, flags), named = asked[0]
    assert experiments.find_experiment(name) == ROOT / "experiments" / "mnist_stdp.py"
    script = (ROOT / "experiments" / "mnist_stdp.py").read_text()
    script += (ROOT / "experiments" / "_mnist.py").read_text()
    for flag in flags:
        assert not flag.startswith("--") or f'"{flag}"' in script, flag
    assert named["device"] == "cpp"
    for what in ("run.sh", "job.slurm", "results"):
        assert what in text
