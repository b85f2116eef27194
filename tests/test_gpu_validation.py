"""The checks that need a GPU, made without one: on the CPU in its place, and with emulated CUDA."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from cuda_emulation.nvcc import emulated_nvcc

from benchmarks import gpu as benchmark
from benchmarks import programs
from biosnn import gpu, networks, simulation
from biosnn.errors import StorageError
from biosnn.experiments import plain_data
from validation import __main__ as command
from validation import gpu as validation

NETWORK = networks.winner_take_all(16, 5)
IMAGES = validation.images(9, 16)
STEP = benchmark.Case(
    part="step",
    network="tiny",
    model=NETWORK,
    samples={"image": IMAGES},
    n=len(IMAGES),
    precision="double",
    learn=True,
)
CASES = [
    STEP,
    *(attrs.evolve(STEP, part="parallel", learn=False, copies=copies) for copies in (1, 3)),
    *(attrs.evolve(STEP, part="ensemble", members=members) for members in (1, 2)),
]
CLEAN = "========= ERROR SUMMARY: 0 errors\n"


def on_cpp(network, **options):
    return simulation.compile(network, "cpp", **options)


def test_without_a_gpu_every_check_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    figures = validation.validate(short=False)
    found = dict(command.checks(figures))
    assert len(found) >= 11
    for name, check in found.items():
        assert check == {"not_run": "no GPU (no nvidia-smi on the PATH)"}, name


def test_what_was_not_run_is_shown_and_does_not_hold(capsys) -> None:
    from rich.console import Console

    figures = {"one": {"not_run": "no GPU"}, "two": {"value": 1, "bound": 0, "ok": False}}
    assert command.show(Console(width=100), "gpu", figures, 0) == 1
    said = capsys.readouterr().out
    assert "not run: no GPU" in said
    assert "2 checks, 1 failed, 1 not run" in said
    assert "holds" not in said


@pytest.mark.parametrize(
    ("log", "errors"),
    [
        (CLEAN, 0),
        ("========= Invalid __global__ read\n========= ERROR SUMMARY: 3 errors\n", 3),
        ("========= RACECHECK SUMMARY: 2 hazards displayed (1 error, 1 warning)\n", 2),
        ("========= Error: no device\n", None),
    ],
)
def test_logs_of_the_sanitizer_are_read(log, errors) -> None:
    assert validation.summary(log) == errors


@pytest.mark.parametrize(("log", "ok"), [(CLEAN, True), (CLEAN.replace("0", "4"), False)])
def test_a_sanitizer_runs_the_program(tmp_path, log, ok) -> None:
    program = tmp_path / "compute-sanitizer"
    # --tool TOOL --log-file LOG PROGRAM SETTINGS
    program.write_text(f'#!/bin/sh\nprintf "{log}" > "$4"\nexec "$5" "$6"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    runnable = on_cpp(NETWORK, math="strict")
    found = validation.sanitized(runnable, {"image": IMAGES[:2]}, "memcheck", str(program))
    assert found["ok"] is ok
    program.write_text("#!/bin/sh\necho 'no device' >&2\nexit 1\n")
    found = validation.sanitized(runnable, {"image": IMAGES[:2]}, "memcheck", str(program))
    assert found["not_run"].endswith("it said: no device")


@pytest.mark.slow
def test_a_run_that_moves_between_programs_is_the_same() -> None:
    found = validation.moved(NETWORK, IMAGES, on_cpp)
    assert found["spikes"] > 0
    assert found["ok"], found
    other = networks.winner_take_all(16, 5, gain=0.5)
    found = validation.moved(NETWORK, IMAGES, lambda network, **o: on_cpp(other, **o))
    assert not found["ok"], "another network in place of this one was not noticed"


@pytest.mark.slow
def test_checks_hold_on_the_cpu() -> None:
    assert validation.parallel(NETWORK, IMAGES, on_cpp, 4)["ok"]
    assert validation.side_by_side(
        NETWORK, IMAGES, on_cpp, lambda network, n, **o: simulation.ensemble(network, n, **o), 2
    )["ok"]
    rates = validation.noisy_rates(on_cpp, 100)
    assert rates["rate"] > 5
    assert rates["ok"]


@pytest.fixture
def emulated(monkeypatch):
    """Compile for the device ``cuda``, with programs that run on the CPU."""
    monkeypatch.setenv("EMULATED_GUARD", "0")
    monkeypatch.setenv("EMULATED_THREADS_PER_BLOCK", "64")
    with emulated_nvcc():
        yield lambda network, **o: simulation.compile(network, "cuda", architecture="sm_90", **o)


@pytest.mark.slow
@pytest.mark.skipif(
    gpu.brian2cuda_version() is None or shutil.which("g++") is None,
    reason="no brian2cuda or no g++ to emulate CUDA with",
)
def test_checks_hold_with_emulated_programs(emulated) -> None:
    found = validation.moved(NETWORK, IMAGES, emulated)
    assert found["spikes"] > 0
    assert found["ok"], found
    figures = validation.same_spikes(NETWORK, {"image": IMAGES[:4]}, emulated)
    checks = dict(command.checks(figures))
    assert len(checks) > 3
    assert all(check["ok"] for check in checks.values()), checks


@pytest.mark.slow
def test_the_benchmark_prepares_runs_and_compares(tmp_path, monkeypatch, emulated) -> None:
    del emulated  # both devices run on the CPU
    monkeypatch.setattr(benchmark, "N_INPUTS", 16)
    monkeypatch.setattr(benchmark, "images", lambda choice, n, train=False: IMAGES[:n])
    monkeypatch.setattr(benchmark, "cases", lambda choice: iter(CASES))
    monkeypatch.setattr(benchmark, "RECORDS", tmp_path / "records")
    benchmark.prepare(tmp_path / "made", benchmark.Choice(arch="sm_90"))
    script = tmp_path / "made" / "programs.py"
    subprocess.run([sys.executable, "-I", "-S", script, "--rounds", "2"], check=True)
    record = benchmark.compare(tmp_path / "made", "one")
    cpp, cuda = (record["runs"][f"step-tiny-double-{device}"] for device in ("cpp", "cuda"))
    assert cpp["rounds"][0]["presentations"] >= len(IMAGES)
    assert cuda["rounds"][0]["spikes"] == cpp["rounds"][0]["spikes"] > 0
    assert len(record["runs"]) == 8  # copies and members are not run on cpp
    equal = {k: row["equal_to_cpp"] for k, row in record["runs"].items() if k.endswith("cuda")}
    assert len(equal) == 5
    assert all(found is True for found in equal.values()), equal
    together = record["runs"]["ensemble-tiny-2-double-cuda"]
    assert together["us_per_image"] * 2 * len(IMAGES) == pytest.approx(1e6 * together["run_s"], 0.5)
    assert 0 < cpp["us_per_step"] < cpp["us_per_image"]
    assert json.loads((tmp_path / "records" / "one.json").read_text()) == plain_data(record)
    with pytest.raises(StorageError, match="records are only added"):
        benchmark.compare(tmp_path / "made", "one")


def test_a_program_that_fails_is_noted(tmp_path) -> None:
    program = tmp_path / "programs" / "p"
    program.mkdir(parents=True)
    (program / "main").write_text("#!/bin/sh\necho 'no CUDA-capable device' >&2\nexit 1\n")
    (program / "main").chmod(0o755)
    run = {"name": "a", "program": "p", "samples": 1, "settings": [], "files": [], "keep": []}
    (tmp_path / "plan.json").write_text(json.dumps({"runs": [run]}))
    facts = programs.measure(tmp_path, rounds=3)
    assert facts["runs"]["a"] == {
        "rounds": [],
        "failed": "a: status 1, it said: no CUDA-capable device",
    }
    assert json.loads((tmp_path / "facts.json").read_text()) == facts


def test_the_sanitizer_is_found_beside_nvcc(tmp_path) -> None:
    for name in ("nvcc", "compute-sanitizer"):
        made = tmp_path / "cuda" / "bin" / name
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text("#!/bin/sh\n")
        made.chmod(made.stat().st_mode | stat.S_IXUSR)
    env = {"CUDA_HOME": str(tmp_path / "cuda"), "PATH": ""}
    found = validation.find_sanitizer(env)
    assert found is not None
    assert Path(found).parent == tmp_path / "cuda" / "bin"
