import stat
import sys
from pathlib import Path

import pytest

from biosnn import gpu
from biosnn.devices.cuda import toolchain
from biosnn.errors import DeviceError
from biosnn.gpu import Gpu, Toolchain

NVCC = "echo 'Cuda compilation tools, release 13.0, V13.0.88'"


def script(path: Path, body: str) -> Path:
    """Make an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture(autouse=True)
def default_home(tmp_path, monkeypatch):
    """An empty folder in place of the one in which this machine may have CUDA."""
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", tmp_path / "usual")
    return tmp_path / "usual" / "cuda"


@pytest.fixture
def brian2cuda(tmp_path, monkeypatch):
    """Install a brian2cuda of one's own, as its source; without one there is none."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [str(site)])
    monkeypatch.setenv("PYTHONPATH", str(site))

    def install(source: str) -> None:
        (site / "brian2cuda.py").write_text(source)
        touch(site / "brian2cuda-1.0b1.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: brian2cuda\nVersion: 1.0b1\n"
        )

    return install


# --- the CUDA toolkit


def test_nvcc_is_looked_for_in_order(tmp_path, default_home):
    env = {name: str(tmp_path / name) for name in ("CUDA_HOME", "CUDA_PATH", "PATH")}
    assert gpu.find_nvcc(env) is None
    last_first = [default_home / "bin", tmp_path / "PATH", *(tmp_path / n / "bin" for n in env)]
    for folder in (*last_first[:2], last_first[3], last_first[2]):
        nvcc = script(folder / "nvcc", NVCC)
        assert gpu.find_nvcc(env) == nvcc
    assert gpu.find_nvcc({}) == default_home / "bin" / "nvcc"


def test_a_file_that_cannot_be_executed_is_no_nvcc(tmp_path):
    touch(tmp_path / "bin" / "nvcc").chmod(0o644)
    assert gpu.find_nvcc({"CUDA_HOME": str(tmp_path)}) is None


@pytest.mark.parametrize(
    ("body", "release"),
    [
        (NVCC, "13.0"),
        ("echo 'Cuda compilation tools, release 12.10, V12.10.1'", "12.10"),
        (f"{NVCC}; exit 1", None),
        ("echo 'something else'", None),
    ],
)
def test_the_release_is_what_nvcc_says(tmp_path, body, release):
    assert gpu.cuda_release(script(tmp_path / "nvcc", body), {}) == release


def test_an_absent_nvcc_has_no_release(tmp_path):
    assert gpu.cuda_release(tmp_path / "nvcc") is None


@pytest.mark.parametrize("folder", ["nvidia/cu13/include", "nvidia/curand/include"])
def test_curand_is_found_in_wheels(tmp_path, folder):
    assert gpu.find_curand({}, [tmp_path]) is None
    header = touch(tmp_path / folder / "curand.h")
    assert gpu.find_curand({}, [tmp_path / "other", str(tmp_path)]) == header


def test_curand_of_the_toolkit_comes_before_that_of_wheels(tmp_path, default_home):
    touch(tmp_path / "nvidia/cu13/include/curand.h")
    header = touch(default_home / "include" / "curand.h")
    assert gpu.find_curand({}, [tmp_path]) == header
    header = touch(tmp_path / "home" / "include" / "curand.h")
    assert gpu.find_curand({"CUDA_HOME": str(tmp_path / "home")}, [tmp_path]) == header


# --- GPUs


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("NVIDIA H100, 9.0, 81559 MiB", ("NVIDIA H100", "9.0", 81559)),
        ("NVIDIA GB10, 12.1, [N/A]", ("NVIDIA GB10", "12.1", None)),
        ("A, B, [Not Supported], 8 MiB", ("A, B", None, 8)),
    ],
)
def test_gpus_are_those_of_nvidia_smi(tmp_path, line, found):
    script(tmp_path / "nvidia-smi", f"echo 'a warning'; echo '{line}'; echo 'Last, 1.0, 2 MiB'")
    first, last = gpu.list_gpus({"PATH": str(tmp_path)})
    assert (first.name, first.compute_capability, first.memory) == found
    assert last == Gpu(name="Last", compute_capability="1.0", memory=2)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'has failed, alas, to reach the driver'; exit 9", "has failed, alas, to reach"),
        ("echo 'No devices were found'", "No devices were found"),
        ("echo 'NVIDIA H100, 9.0, 81559 MiB'; exit 1", "NVIDIA H100"),
        ("exit 0", "lists none"),
    ],
)
def test_without_gpus_the_reason_is_given(tmp_path, body, reason):
    script(tmp_path / "nvidia-smi", body)
    with pytest.raises(DeviceError, match=reason):
        gpu.list_gpus({"PATH": str(tmp_path)})


def test_without_a_driver_there_are_no_gpus(tmp_path):
    with pytest.raises(DeviceError, match="no nvidia-smi on the PATH"):
        gpu.list_gpus({"PATH": str(tmp_path)})


def test_a_gpu_is_written_out():
    known = Gpu(name="NVIDIA H100", compute_capability="9.0", memory=81559)
    assert str(known) == "NVIDIA H100, 9.0, 81559 MiB"
    unknown = Gpu(name="GPU", compute_capability=None, memory=None)
    assert str(unknown) == "GPU, capability unknown, memory unknown"


# --- brian2cuda


def test_an_absent_brian2cuda_has_no_version(brian2cuda):
    assert gpu.brian2cuda_version() is None


def test_brian2cuda_is_imported_in_a_child(brian2cuda):
    brian2cuda("print('noise at import')")
    assert gpu.brian2cuda_version() == "1.0b1"
    assert gpu.brian2cuda_problem() == ""
    assert "brian2cuda" not in sys.modules


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise ImportError('needs another Brian2')", "ImportError: needs another Brian2"),
        ("import os\nos._exit(7)", "exit status 7"),
    ],
)
def test_a_broken_brian2cuda_is_a_finding(brian2cuda, source, problem):
    brian2cuda(source)
    assert gpu.brian2cuda_version() == "1.0b1"
    assert gpu.brian2cuda_problem() == problem


# --- all of it


def test_an_empty_machine_has_an_empty_toolchain(brian2cuda):
    assert gpu.toolchain({}) == Toolchain(
        nvcc=None, cuda_version=None, curand_header=None, gpus=(), brian2cuda_version=None
    )


def test_the_toolchain_is_all_that_was_found(tmp_path, brian2cuda):
    brian2cuda("")
    nvcc = script(tmp_path / "bin" / "nvcc", NVCC)
    script(tmp_path / "bin" / "nvidia-smi", "echo 'NVIDIA H100, 9.0, 81559 MiB'")
    header = touch(tmp_path / "site" / "nvidia/cu13/include/curand.h")
    assert gpu.toolchain({"PATH": str(tmp_path / "bin")}) == Toolchain(
        nvcc=nvcc,
        cuda_version="13.0",
        curand_header=header,
        gpus=(Gpu(name="NVIDIA H100", compute_capability="9.0", memory=81559),),
        brian2cuda_version="1.0b1",
    )


# --- child processes


def test_a_call_always_has_an_outcome(tmp_path):
    assert gpu.call([sys.executable, "-c", "print('said'); exit(3)"]) == (3, "said\n")
    assert gpu.call([str(tmp_path / "absent")])[0] == 127
    status, output = gpu.call([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
    assert (status, output) == (124, "no answer within 0.2 s")
