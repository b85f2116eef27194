"""The device ``auto``: what it estimates, what it chooses, and what it says."""

import json
import re
import stat
from pathlib import Path

import attrs
import numpy as np
import pytest
from brian2 import ms

from biosnn import experiments, gpu, models, networks, simulation
from biosnn.devices import registry
from biosnn.devices.cuda import device as standalone
from biosnn.devices.cuda import estimate as crossover
from biosnn.errors import DeviceError, ParameterError
from biosnn.program.lower import lower
from biosnn.program.recorders import Record, observed
from biosnn.program.replicas import Replicas
from biosnn.simulation import auto_device as choice

RECORDS = Path(__file__).parents[1] / "benchmarks" / "records"


def population() -> networks.NetworkModel:
    return networks.NetworkModel(
        name="one",
        dt=0.1 * ms,
        inputs={"current": networks.Input(features=10)},
        populations={"lif": networks.Population(model=models.lif(), n=10, drives={"I": "current"})},
        presentation=networks.Presentation(duration=2 * ms),
        output="lif",
    )


NETWORKS = {
    "population": population,
    "winner_take_all": lambda: networks.winner_take_all(784, 100),
    "diehl_cook": lambda: networks.diehl_cook_2015(20, 8),
    "cobahh": lambda: networks.balanced_network("COBAHH", 20, p=0.2),
    "coba": lambda: networks.balanced_network("COBA", 20, p=0.2),
    "readout": lambda: networks.winner_take_all(20, 8, encoding="direct", n_classes=3),
}


def in_a_program(network: networks.NetworkModel, folder: Path) -> int:
    """Pieces of code that run in every step of a generated program."""
    record = Record(per_sample=(f"{network.output}.count",))
    program = lower(network, record)
    standalone.write_program(program, "double", "strict", "sm_90", folder)
    text = (folder / "source" / "main.cu").read_text()
    return len(re.findall(r"network\.add\(&step_clock", text))


@pytest.mark.slow
@pytest.mark.skipif(gpu.brian2cuda_version() is None, reason="brian2cuda is not installed")
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("diehl_cook", "coba") else pytest.param(name, marks=pytest.mark.nightly)
        for name in NETWORKS
    ],
)
def test_pieces_are_those_of_the_program(name, tmp_path) -> None:
    network = NETWORKS[name]()
    found = in_a_program(network, tmp_path)
    assert found > 4
    program = lower(network, Record(per_sample=observed(network, None)))
    assert crossover.count_pieces(program) == pytest.approx(found, rel=0.15)


def test_small_networks_belong_on_the_cpu_and_large_ones_on_the_gpu() -> None:
    small, large = (gpu.estimate(networks.balanced_network("COBAHH", n)) for n in (100, 1600))
    assert (small.device, large.device) == ("cpp", "cuda")
    assert small.cuda_us == large.cuda_us
    assert large.cpp_us > crossover.MARGIN * large.cuda_us
    many = gpu.estimate(networks.winner_take_all(784, 100), n_parallel=256)
    assert many.device == "cuda"
    assert "pieces of code" in many.reason


def test_replicas_in_a_program_are_counted_as_samples_side_by_side() -> None:
    network = networks.winner_take_all(784, 100)
    one = lower(network)
    several = lower(network, replicas=Replicas(n=256))
    asked, found = crossover.estimate(one, 256), crossover.estimate(several)
    assert found.cpp_us == pytest.approx(asked.cpp_us, rel=1e-12)
    assert (found.device, found.reason) == (asked.device, asked.reason)
    assert found.cpp_us > 50 * crossover.estimate(one).cpp_us


def test_estimates_are_near_what_was_measured() -> None:
    record = json.loads((RECORDS / "2026-11-22-gpu-cpp.json").read_text())
    rows = [row for row in record["runs"].values() if row["part"] == "step"]
    assert len(rows) >= 15
    for row in rows:
        kind, _, n = row["network"].rpartition("_")
        if kind == "cobahh" and int(n) > 1600:
            continue  # drawing their connections takes seconds
        network = {
            "winner_take_all": lambda n: networks.winner_take_all(784, n),
            "lif": lambda n: attrs.evolve(
                population(),
                inputs={"current": networks.Input(features=n)},
                populations={"lif": attrs.evolve(population().populations["lif"], n=n)},
            ),
            "cobahh": lambda n: networks.balanced_network("COBAHH", n),
        }[kind](int(n))
        # The machine was busy, so the fastest round is nearest to what a step takes.
        measured = row["us_per_step"] * row["fastest_run_s"] / row["run_s"]
        ratio = gpu.estimate(network).cpp_us / measured
        assert 0.5 < ratio < 2, row["network"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A PATH with an nvidia-smi of one's own."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 9.0, 81559 MiB'\n")
    smi.chmod(smi.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(smi.parent))
    monkeypatch.setattr(choice, "_made", [])
    monkeypatch.setattr(gpu, "require_brian2cuda", lambda: "1.0b1")
    monkeypatch.setattr(gpu, "tools", lambda: None)
    return smi


def test_without_a_gpu_auto_is_cpp(machine) -> None:
    machine.unlink()
    made = choice.choose(lower(networks.balanced_network("COBAHH", 1600)))
    assert made.device == "cpp"
    assert "no GPU (no nvidia-smi" in made.reason


def test_a_gpu_that_wins_is_chosen(machine) -> None:
    made = choice.choose(lower(networks.balanced_network("COBAHH", 1600)))
    assert made.device == "cuda"
    assert "H100" in made.reason
    assert choice.choose(lower(networks.winner_take_all(784, 100))).device == "cpp"
    assert [found.device for found in simulation.choices()] == ["cuda", "cpp"]


def test_a_gpu_without_tools_is_not_chosen(machine, monkeypatch) -> None:
    def missing() -> None:
        raise DeviceError("no nvcc, CUDA's compiler, was found")

    monkeypatch.setattr(gpu, "tools", missing)
    made = choice.choose(lower(networks.balanced_network("COBAHH", 1600)))
    assert made.device == "cpp"
    assert "H100 80GB HBM3 would be faster, but nothing can be built for it: no nvcc" in made.reason


def test_compile_and_ensemble_say_which_device_and_why(monkeypatch) -> None:
    monkeypatch.setattr(choice, "_made", [])
    monkeypatch.setattr(
        gpu, "list_gpus", lambda: (gpu.Gpu(name="A", compute_capability="9.0", memory=1),)
    )
    asked = []
    real = registry.build
    monkeypatch.setattr(registry, "build", lambda d, *r: (asked.append(d), real("cpp", *r))[1])
    runnable = simulation.compile(population(), "auto", math="strict")
    assert runnable.device == "cpp"
    assert "us on cuda" in runnable.device_reason
    current = np.full((2, 10), 40e-9)
    recording, _ = runnable.run({"current": current}, progress=False)
    assert recording.counts("lif").shape == (2, 10)
    monkeypatch.setattr(crossover, "CUDA_PIECE", 1e-6)
    monkeypatch.setattr(gpu, "require_brian2cuda", lambda: "1.0b1")
    monkeypatch.setattr(gpu, "tools", lambda: None)
    assert simulation.compile(population(), "auto", math="strict").device == "cuda"
    assert asked == ["cpp", "cuda"]
    with pytest.raises(ParameterError, match=r"'runtime' or 'cpp' or 'cuda' or 'auto'"):
        simulation.compile(population(), "abacus")
    with pytest.raises(ParameterError, match=r'must be "cpp", "cuda" or "auto"'):
        simulation.ensemble(population(), 2, "runtime")


def test_a_report_names_the_device_that_was_chosen(tmp_path, machine, capsys) -> None:
    machine.unlink()
    flags = ["--device", "auto", "--out", str(tmp_path / "out")]
    args = experiments.parser("coin", "Toss a coin.").parse_args(flags)
    choice.choose(lower(population()))
    report = experiments.write_report(args, metrics={"heads": 0.5})
    assert report["device"] == "cpp"
    assert report["parameters"]["device"] == "auto"
    assert "one ran on cpp: there is no GPU" in capsys.readouterr().out
