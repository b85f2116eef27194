import json
import platform
import stat
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import attrs
import pytest

from biosnn import gpu
from biosnn.devices.base.cache import cache_folder, cached
from biosnn.devices.cuda import toolchain
from biosnn.doctor import Check, as_json, exit_status, run_checks
from biosnn.doctor import checks as doctor
from biosnn.doctor import probe as facts

ROOT = Path(__file__).resolve().parents[1]


def script(path: Path, body: str) -> Path:
    """Make an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Make a PATH on which there is nothing but the scripts given, as name="body"."""

    def make(**scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in scripts.items():
            script(folder / name.replace("__", "-"), body)
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.chdir(tmp_path)  # a script may write to a file named as its last option
        return folder

    return make


def check(status: str = "ok") -> Check:
    return Check(name="n", status=status, found="f", wanted="w", remedy="r")  # type: ignore[arg-type]


def test_a_status_is_one_of_three():
    with pytest.raises(ValueError, match="status"):
        check("fine")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        check().status = "fail"  # type: ignore[misc]


def test_only_a_failure_makes_the_exit_status_1():
    assert exit_status([]) == 0
    assert exit_status([check("ok"), check("warn")]) == 0
    assert exit_status([check("ok"), check("fail"), check("warn")]) == 1


def test_json_is_one_line_and_complete():
    text = as_json(iter([check("ok"), check("fail")]))
    assert "\n" not in text
    read = json.loads(text)
    assert read["exit_status"] == 1
    assert read["checks"][0] == dict(name="n", status="ok", found="f", wanted="w", remedy="r")


def test_this_machine_can_run_biosnn():
    checks = run_checks()
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    by_name = {check.name: check for check in checks}
    for name in ("Python", "Brian2", "C++ compiler"):
        assert by_name[name].status == "ok", by_name[name]
    for found in checks:
        assert found.found, found
        assert found.wanted, found
        assert bool(found.remedy) == (found.status != "ok"), found


# --- Python and its packages


def test_the_bounds_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == doctor.PYTHON_WANTED
    assert f"brian2{doctor.BRIAN2_WANTED}" in project["dependencies"]
    extras = project["optional-dependencies"]
    assert {f"{name}{bounds}" for name, bounds in doctor.TORCH_WANTED.items()} == set(
        extras["torch"]
    )
    assert f"brian2cuda{doctor.BRIAN2CUDA_WANTED}" in extras["gpu"]


@pytest.mark.parametrize(
    ("version", "status"), [((3, 11, 9), "fail"), ((3, 12, 0), "ok"), ((3, 13, 1), "ok")]
)
def test_an_old_python_fails(version, status):
    found = doctor.check_python(version)
    assert found.status == status
    assert found.found == ".".join(map(str, version))


@pytest.mark.parametrize(
    ("answer", "status", "found"),
    [
        (("brian2 2.10.1", ""), "ok", "2.10.1"),
        (("brian2 2.9.0", ""), "fail", "2.9.0"),
        (("brian2 2.12.0", ""), "fail", "2.12.0"),
        (("", "brian2 is not installed"), "fail", "brian2 is not installed"),
    ],
)
def test_brian2_must_import_and_have_the_right_version(answer, status, found):
    result = doctor.check_brian2(lambda *modules: answer)
    assert (result.status, result.found) == (status, found)
    assert ("pip install" in result.remedy) == (status == "fail")


def test_a_missing_torch_only_warns():
    missing = doctor.check_torch(lambda *modules: ("", f"{modules[0]} is not installed"))
    assert (missing.status, missing.found) == ("warn", "torch is not installed")
    assert "biosnn[torch]" in missing.remedy


@pytest.mark.parametrize(
    ("versions", "status", "found"),
    [
        ("torch 2.9.0+cpu, torchvision 0.24.0", "ok", ""),
        ("torch 2.5.1, torchvision 0.24.0", "warn", ": torch does not fit"),
        ("torch 2.9.0, torchvision 0.20.1", "warn", ": torchvision does not fit"),
    ],
)
def test_an_old_torch_only_warns(versions, status, found):
    there = doctor.check_torch(lambda *modules: (versions, ""))
    assert (there.status, there.found) == (status, versions + found)
    assert ("biosnn[torch]" in there.remedy) == (status == "warn")


def test_modules_are_imported_in_a_child(tmp_path, monkeypatch):
    for name, text in {
        "doctor_good": "__version__ = '1.2'\nprint('noise at import')",
        "doctor_broken": "raise RuntimeError('operator does not exist')",
        "doctor_deep": "import doctor_absent_dependency",
        "doctor_fatal": "import os\nos._exit(7)",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor.import_in_child("doctor_good") == ("doctor_good 1.2", "")
    assert "doctor_good" not in sys.modules
    version, error = doctor.import_in_child("doctor_good", "doctor_broken")
    assert version == ""
    assert error.endswith("operator does not exist")
    assert doctor.import_in_child("doctor_absent") == ("", "doctor_absent is not installed")
    assert doctor.import_in_child("doctor_deep")[1].startswith("import failed: ModuleNotFound")
    assert doctor.import_in_child("doctor_fatal") == ("", "import failed: exit status 7")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "doctor_good.py").write_text("raise RuntimeError('of this folder')")
    monkeypatch.chdir(tmp_path / "here")
    assert doctor.import_in_child("doctor_good") == ("doctor_good 1.2", "")


def test_missing_python_headers_warn(tmp_path):
    assert doctor.check_python_headers(str(tmp_path)).status == "warn"
    (tmp_path / "Python.h").touch()
    assert doctor.check_python_headers(str(tmp_path)).status == "ok"


# --- the C++ toolchain


def test_a_missing_compiler_fails(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    found = doctor.check_compiler()
    assert (found.status, found.found[:21]) == ("fail", "no C++ compiler found")
    assert "apt install g++" in found.remedy
    assert doctor.check_native_flags().status == "warn"
    assert doctor.check_openmp().status == "warn"
    assert doctor.check_make().status == "warn"


def test_a_broken_compiler_fails(only):
    only(**{"g++": "echo 'cannot find crt1.o' >&2; exit 1"})
    found = doctor.check_compiler()
    assert found.status == "fail"
    assert "exit status 1: cannot find crt1.o" in found.found
    assert doctor.check_native_flags().status == "warn"


def test_a_compiler_for_another_machine_fails(only):
    """It compiles happily, but what it makes cannot be run."""
    only(**{"g++": 'for last; do :; done; echo "exit 132" > "$last"; /bin/chmod +x "$last"'})
    found = doctor.check_compiler()
    assert found.status == "fail"
    assert "do not run here" in found.found
    assert "--portable" in doctor.check_native_flags().remedy


def test_the_compiler_is_that_of_CXX(only, monkeypatch, tmp_path):
    only(**{"g++": "exit 0"})
    monkeypatch.setenv("CXX", str(script(tmp_path / "mine", "echo 'mine is broken'; exit 3")))
    assert "mine cannot compile" in doctor.check_compiler().found
    monkeypatch.setenv("CXX", "/no/such/compiler")
    assert "/no/such/compiler" in doctor.check_compiler().found


@pytest.mark.parametrize("there", [True, False])
def test_openmp_is_only_a_note(there, only):
    """The compiler makes working programs, with OpenMP or only without."""
    refuse = 'case "$*" in *-fopenmp*) echo "no -fopenmp here" >&2; exit 1;; esac'
    text = r"#!/bin/sh\nprintf hello\n"
    make = f'for last; do :; done; printf "{text}" > "$last"; /bin/chmod +x "$last"'
    only(**{"g++": make if there else f"{refuse}\n{make}"})
    assert doctor.check_compiler().status == "ok"
    found = doctor.check_openmp()
    assert found.status == ("ok" if there else "warn")
    assert ("no -fopenmp here" in found.found) != there
    assert "runs are processes" in (found.found if there else found.remedy)
    assert exit_status([found]) == 0


# --- the CPU


@pytest.mark.parametrize(
    ("machine", "words", "features"),
    [
        ("x86_64", "x86_64 flags : fpu avx avx2 avx512f", {"AVX2": True, "AVX-512": True}),
        ("x86_64", "x86_64 fpu AVX2", {"AVX2": True, "AVX-512": False}),
        ("x86_64", "fpu sse2 avx", {"AVX2": False, "AVX-512": False}),
        ("aarch64", "fp asimd sve", {"NEON": True, "SVE": True}),
        ("arm64", "neon", {"NEON": True, "SVE": False}),
        ("arm64", "arm64", None),
        ("riscv64", "rv64imafdc", None),
    ],
)
def test_features_of_a_cpu(machine, words, features):
    assert facts.cpu_features(machine, words) == features


def test_the_features_of_this_cpu_are_those_of_the_system():
    info = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not info.exists():
        pytest.skip("reads what Linux says of an x86")
    words = info.read_text().split()
    assert "fpu" in words
    features = facts.cpu_features()
    assert features == {"AVX2": "avx2" in words, "AVX-512": "avx512f" in words}


def test_the_cpu_is_described():
    found = doctor.check_cpu(lambda: {"AVX2": True, "AVX-512": False})
    assert found.status == "ok"
    assert f"{platform.machine()}, AVX2, no AVX-512; builds without portable=True" in found.found
    unknown = doctor.check_cpu(lambda: None)
    assert unknown.status == "warn"
    assert "--portable" in unknown.remedy


# --- folders


def test_the_build_cache_is_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path))

    def make(folder: Path) -> None:
        (folder / "manifest.json").write_text("{}")
        (folder / "main").write_bytes(bytes(3 * 2**19))

    assert doctor.check_cache().found == f"0 builds, 0.0 MiB in {tmp_path}"
    folder, made = cached("a" * 32, make, lambda folder: None)
    assert made
    found = doctor.check_cache()
    assert (found.status, found.found) == ("ok", f"1 build, 1.5 MiB in {tmp_path}")
    (folder / "manifest.json").unlink()
    found = doctor.check_cache()
    assert (found.status, found.found) == (
        "warn",
        f"1 build, 1.5 MiB in {tmp_path}, 1 of them damaged",
    )
    assert "biosnn cache clear" in found.remedy


def test_a_build_cache_that_cannot_be_read_fails(tmp_path, monkeypatch):
    (tmp_path / "builds").write_text("a file")
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path))
    found = doctor.check_cache()
    assert found.status == "fail"
    assert "Not a directory" in found.found
    assert "BIOSNN_CACHE_DIR" in found.remedy


@pytest.mark.parametrize(("gib", "status"), [(0.1, "fail"), (1, "warn"), (50, "ok")])
def test_free_space_is_weighed(tmp_path, gib, status):
    measured = []

    def usage(folder: Path) -> tuple[int, int, int]:
        measured.append(folder)
        return 0, 0, int(gib * 2**30)

    found = doctor.check_disk("cache", tmp_path / "not" / "yet", usage)
    assert found.status == status
    assert measured == [tmp_path]


def test_a_folder_that_cannot_be_written_fails(tmp_path, monkeypatch):
    (tmp_path / "file").touch()  # even root cannot write a folder below a file
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = doctor.check_writable("cache", cache_folder(), "BIOSNN_CACHE_DIR")
    assert found.status == "fail"
    assert "Set BIOSNN_CACHE_DIR" in found.remedy


def test_writing_is_tried_without_leaving_anything(tmp_path):
    assert doctor.check_writable("cache", tmp_path / "not" / "yet", "X").status == "ok"
    assert list(tmp_path.iterdir()) == []


# --- the GPU toolchain: what is found is tested with biosnn.gpu, here what is said of it


@pytest.mark.parametrize(
    ("version", "problem", "status", "found"),
    [
        (None, "not asked", "warn", "brian2cuda is not installed"),
        ("1.0b1", "ImportError: no", "warn", "1.0b1, import failed: ImportError: no"),
        ("1.0b1", "", "ok", "brian2cuda 1.0b1"),
        ("0.9", "not asked", "warn", "0.9, another version than biosnn is made for"),
    ],
)
def test_brian2cuda_only_warns(monkeypatch, version, problem, status, found):
    monkeypatch.setattr(gpu, "brian2cuda_version", lambda: version)
    monkeypatch.setattr(gpu, "brian2cuda_problem", lambda: problem)
    monkeypatch.setattr(gpu, "brian2_conflict", lambda: "")
    result = doctor.check_brian2cuda()
    assert (result.status, result.found) == (status, found)
    assert ("biosnn[gpu]" in result.remedy) == (status == "warn")


@pytest.mark.parametrize(("wanted", "fits"), [("== 2.10.1", True), ("==2.9.0", False)])
def test_brian2cuda_must_fit_brian2(monkeypatch, wanted, fits):
    asked = []

    def requires(name: str) -> list[str]:
        asked.append(name)
        return ["numpy", f"Brian2 {wanted}"]

    monkeypatch.setattr(gpu, "brian2cuda_version", lambda: "1.0b1")
    monkeypatch.setattr(gpu, "brian2cuda_problem", lambda: "")
    monkeypatch.setattr(metadata, "requires", requires)
    monkeypatch.setattr(metadata, "version", lambda name: {"brian2": "2.10.1"}[name])
    found = doctor.check_brian2cuda()
    assert asked == ["brian2cuda"]
    assert found.status == ("ok" if fits else "warn")
    assert ("needs brian2==2.9.0, but 2.10.1 is installed" in found.found) != fits


def test_nvcc_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", Path("/no"))
    env = {"CUDA_HOME": str(tmp_path)}
    assert (doctor.check_nvcc(env).status, doctor.check_nvcc(env).found) == ("warn", "not found")
    nvcc = script(tmp_path / "bin" / "nvcc", "echo 'Cuda compilation tools, release 13.0, V13'")
    assert doctor.check_nvcc(env).status == "ok"
    assert doctor.check_nvcc(env).found == f"CUDA 13.0 ({nvcc})"
    script(nvcc, "echo 'Cuda compilation tools, release 11.8, V11'")
    assert doctor.check_nvcc(env).status == "warn"
    assert doctor.check_nvcc(env).found == f"CUDA 11.8 ({nvcc}) is too old"
    assert "12.0 or later" in doctor.check_nvcc(env).remedy
    script(nvcc, "exit 1")
    assert doctor.check_nvcc(env).status == "warn"
    assert doctor.check_nvcc(env).found == f"{nvcc} does not run"


def test_curand_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", tmp_path)
    assert doctor.check_curand({}, []).status == "warn"
    header, library = tmp_path / "cuda/include/curand.h", tmp_path / "cuda/lib64/libcurand.so"
    for path in (header, library):
        found = doctor.check_curand({}, [])
        assert found.status == "warn"
        path.parent.mkdir(parents=True)
        path.touch()
    assert found.found == f"{header} has no libcurand.so beside it"
    found = doctor.check_curand({}, [])
    assert (found.status, found.found) == ("ok", f"{header}, {library}")


@pytest.mark.parametrize(("release", "status"), [("13.1", "ok"), ("12.8", "warn")])
def test_curand_must_fit_nvcc(tmp_path, monkeypatch, release, status):
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", Path("/no"))
    header = tmp_path / "nvidia/cu13/include/curand.h"
    for path in (header, tmp_path / "nvidia/cu13/lib/libcurand.so.10"):
        path.parent.mkdir(parents=True)
        path.touch()
    script(tmp_path / "bin" / "nvcc", f"echo 'Cuda compilation tools, release {release}, V'")
    found = doctor.check_curand({"CUDA_HOME": str(tmp_path)}, [tmp_path])
    assert found.status == status
    assert found.found.startswith(str(header))
    assert ("serves CUDA 13, but nvcc is of CUDA 12.8" in found.found) == (status == "warn")


@pytest.mark.parametrize(("capability", "status"), [("9.0", "ok"), ("12.1", "warn")])
def test_nvcc_must_know_the_gpu(only, monkeypatch, capability, status):
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", Path("/no"))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    only(
        nvidia__smi=f"echo 'A GPU, {capability}, 1024 MiB'",
        nvcc="echo compute_80; echo compute_90; echo compute_120",
    )
    found = doctor.check_gpu()
    assert found.status == status
    assert f"A GPU, {capability}, 1024 MiB" in found.found
    assert ("cannot build for compute capability 12.1" in found.found) == (status == "warn")


def test_gpus_are_reported(only):
    only()
    found = doctor.check_gpu()
    assert (found.status, found.found) == ("warn", "no nvidia-smi on the PATH")
    only(nvidia__smi="echo 'NVIDIA H100, 9.0, 81559 MiB'; echo 'NVIDIA GB10, 12.1, [N/A]'")
    found = doctor.check_gpu()
    assert found.status == "ok"
    assert found.found == "NVIDIA H100, 9.0, 81559 MiB; NVIDIA GB10, 12.1, memory unknown"
