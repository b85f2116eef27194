"""What biosnn.gpu makes sure of before it builds, and what it says where that fails."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import attrs
import pytest
from patience import HANG

from biosnn import gpu
from biosnn.devices.cuda import toolchain
from biosnn.errors import DeviceError, ParameterError

# What nvcc answers to the questions that it is asked; $refuse is what it says of headers.
NVCC = """case "$*" in
    --version) echo 'Cuda compilation tools, release {release}, V{release}.1';;
    --list-gpu-code) echo sm_75; echo sm_90; echo sm_100;;
    *sm_90f*) echo "nvcc fatal   : Unsupported gpu architecture 'sm_90f'"; exit 1;;
    *--dryrun*) echo '#$ TOP={home}/bin/..';;
    *) {work};;
esac"""


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def script(path: Path, body: str) -> Path:
    """Make an executable shell script."""
    put(path, f"#!/bin/sh\n{body}\n").chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def usual(tmp_path, monkeypatch):
    """An empty folder in place of the one in which this machine may have CUDA."""
    monkeypatch.setattr(toolchain, "USUAL_FOLDER", tmp_path / "usual")
    return tmp_path / "usual"


@pytest.fixture
def toolkit(tmp_path):
    """Make a CUDA toolkit, by default complete."""

    def make(name="cuda", release="13.0", work="exit 0", *, header=True, library=True) -> Path:
        home = tmp_path / name
        script(home / "bin" / "nvcc", NVCC.format(release=release, home=home, work=work))
        if header:
            put(home / "include" / "curand.h")
            version = int(float(release) * 1000)
            put(home / "include" / "cuda.h", f"#define CUDA_VERSION {version}\n")
        if library:
            put(home / "lib64" / "libcurand.so.10")
            put(home / "lib64" / "libcurand.so")
            put(home / "lib64" / "libcudart.so")
        return home

    return make


def wheel(site: Path, package: str = "cu13", dist: str = "") -> Path:
    """Lay out cuRAND's files as NVIDIA's wheels do."""
    header = put(site / "nvidia" / package / "include" / "curand.h")
    put(site / "nvidia" / package / "lib" / "libcurand.so.10")
    if dist:
        put(site / f"{dist}.dist-info" / "METADATA")
    return header


def env_of(home: Path) -> dict[str, str]:
    return {"CUDA_HOME": str(home), "PATH": ""}


# --- what is found


def test_a_toolkit_is_complete(toolkit, tmp_path):
    home = toolkit()
    script(tmp_path / "path" / "g++", "exit 0")
    env = {"CUDA_HOME": str(home), "PATH": str(tmp_path / "path")}
    found = gpu.tools(env, [])
    assert (found.nvcc, found.home, found.release) == (home / "bin" / "nvcc", home, "13.0")
    assert found.curand_header == home / "include" / "curand.h"
    assert found.curand_library == home / "lib64" / "libcurand.so"
    assert found.include_flags == ()  # nvcc looks there of its own accord
    library, rpath = (
        ("-Xlinker", f"{home}/lib64/libcurand.so"),
        ("-Xlinker", f"-rpath={home}/lib64"),
    )
    assert found.library_flags == (f"-L{home}/lib64", *library, *rpath)
    assert found.host_compiler == str(tmp_path / "path" / "g++")
    assert found.notes == ()
    assert gpu.tools({**env, "NVCC_CCBIN": "g++-13"}, []).host_compiler == "g++-13"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.release = "12.0"  # type: ignore[misc]


def test_a_toolkit_may_lack_curand_where_a_wheel_has_it(toolkit, tmp_path):
    home, header = toolkit(header=False), wheel(tmp_path)
    found = gpu.tools(env_of(home), [tmp_path])
    library = tmp_path / "nvidia/cu13/lib/libcurand.so.10"
    assert (found.curand_header, found.curand_library) == (header, library)
    # Behind nvcc's own headers: the wheel's folder may have those of another release.
    assert found.include_flags == ("-isystem", str(header.parent))
    assert str(library) in found.library_flags
    assert f"-rpath={library.parent}" in found.library_flags
    assert f"-rpath={home}/lib64" in found.library_flags  # where libcudart is


def test_wheels_alone_suffice(tmp_path):
    header = wheel(tmp_path)
    home = tmp_path / "nvidia" / "cu13"
    script(home / "bin" / "nvcc", NVCC.format(release="13.2", home=home, work="exit 0"))
    put(home / "lib" / "libcudart.so.13")
    found = gpu.tools({"PATH": ""}, [tmp_path])
    assert (found.nvcc, found.curand_header) == (home / "bin" / "nvcc", header)
    assert found.include_flags == ()
    assert f"-L{home}/lib" in found.library_flags  # nvcc itself looks in lib64


def test_the_newest_release_comes_first_behind_the_chosen_one(toolkit, usual, tmp_path):
    script(tmp_path / "nvidia" / "cu13" / "bin" / "nvcc", "")
    for name in ("usual/cuda-12.4", "usual/cuda-12.10", "usual/cuda-9.2"):
        toolkit(name)
    nvccs = list(gpu.every_nvcc({"PATH": ""}, [tmp_path]))
    names = ("cuda-12.10", "cuda-12.4", "cuda-9.2")
    wanted = [usual / name / "bin" / "nvcc" for name in names]
    assert nvccs == [*wanted, tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"]
    (usual / "cuda").symlink_to(usual / "cuda-12.4")
    found = list(gpu.every_nvcc({"PATH": ""}, []))
    assert found == [usual / "cuda" / "bin" / "nvcc", wanted[0], wanted[2]]


def test_a_program_that_calls_nvcc_leads_to_its_toolkit(toolkit, tmp_path):
    home = toolkit()
    script(tmp_path / "path" / "nvcc", f'exec {home}/bin/nvcc "$@"')
    found = gpu.tools({"PATH": str(tmp_path / "path")}, [])
    assert (found.nvcc, found.home) == (tmp_path / "path" / "nvcc", home)
    assert found.curand_library == home / "lib64" / "libcurand.so"


@pytest.mark.parametrize(
    ("release", "package", "dist", "serves"),
    [
        ("13.1", "cu13", "", "13"),
        ("12.8", "curand", "nvidia_curand_cu12-10.3.9.90", "12"),
        ("12.8", "curand", "", None),
    ],
)
def test_curand_of_wheels_fits_the_compiler(toolkit, tmp_path, release, package, dist, serves):
    wheel(tmp_path / "a", "cu99")
    header = wheel(tmp_path / "b", package, dist)
    home = toolkit(release=release, header=False)
    found = gpu.curand(env_of(home), [tmp_path / "a", tmp_path / "b"])
    assert found is not None
    assert (found.header, found.serves) == (header, serves)
    assert gpu.find_curand(env_of(home), [tmp_path / "a", tmp_path / "b"]) == header
    assert gpu.find_curand_library(header) == header.parents[1] / "lib" / "libcurand.so.10"
    assert gpu.tools(env_of(home), [tmp_path / "a", tmp_path / "b"]).curand_header == header


# --- what fails: every message names what was found and what to do


def refusal(home: Path | None, search_path: tuple[Path, ...] = ()) -> str:
    with pytest.raises(DeviceError) as caught:
        gpu.tools({"PATH": ""} if home is None else env_of(home), search_path)
    return str(caught.value)


def test_without_nvcc_its_remedies_are_given():
    said = refusal(None)
    assert said.startswith("no nvcc, CUDA's compiler, was found: install the CUDA toolkit 12.0")
    assert "pip install 'cuda-toolkit[nvcc,cudart,cccl,curand,profiler]==13.*'" in said


@pytest.mark.parametrize("work", ["echo 'no such instruction'; exit 132", "exit 132"])
def test_nvcc_must_run(tmp_path, work):
    nvcc = script(tmp_path / "bin" / "nvcc", work)
    reason = "no such instruction" if "echo" in work else "it says nothing"
    assert refusal(tmp_path).startswith(f"{nvcc} does not tell its release ({reason}): install")


def test_nvcc_must_not_be_too_old(toolkit, usual):
    home = toolkit(release="11.8")
    said = refusal(home)
    assert f"{home}/bin/nvcc is of CUDA 11.8, but 12.0 is needed at least: install" in said
    toolkit("usual/cuda-11.0", release="11.0")
    other = toolkit("usual/cuda-10.9", release="12.9")
    assert f"at least: set CUDA_HOME to {other}, which has a newer one" in refusal(home)


@pytest.mark.parametrize(("release", "noted"), [("12.0", 0), ("13.9", 0), ("14.0", 1)])
def test_a_newer_cuda_is_only_noted(toolkit, release, noted):
    found = gpu.tools(env_of(toolkit(release=release)), [])
    assert found.release == release
    assert len(found.notes) == noted
    assert all("CUDA 14.0 is newer than those" in note for note in found.notes)


@pytest.mark.parametrize(
    ("release", "wheel_name"), [("12.4", "nvidia-curand-cu12"), ("13.0", "nvidia-curand")]
)
def test_curand_must_be_there(toolkit, release, wheel_name):
    said = refusal(toolkit(release=release, header=False))
    assert said.startswith("cuRAND was not found (no curand.h): ")
    assert said.endswith(f"pip install {wheel_name}")
    home = toolkit("other", release=release, library=False)
    said = refusal(home)
    assert said.startswith(f"no libcurand.so was found beside {home}/include/curand.h: ")


def test_curand_must_serve_the_compiler(toolkit, tmp_path):
    header = wheel(tmp_path, "curand", "nvidia_curand_cu12-10.3.9.90")
    home = toolkit(header=False)
    assert f"{header} serves CUDA 12, but {home}/bin/nvcc is of CUDA 13.0" in refusal(
        home, (tmp_path,)
    )
    other = toolkit("other", release="12.4")
    missing = env_of(home) | {"CUDA_PATH": str(other)}
    with pytest.raises(DeviceError, match=r"other/include/curand\.h serves CUDA 12, but"):
        gpu.tools(missing, [])


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (
            "host_config.h:137:2: error: #error -- unsupported GNU version! gcc versions later "
            "than 15 are not supported! The nvcc flag '-allow-unsupported-compiler' can",
            "does not accept the C++ compiler (gcc versions later than 15 are not supported): "
            "install an older one and set NVCC_CCBIN",
        ),
        (
            "#error -- unsupported clang version! clang version must be less than 21 and greater "
            "than 3.2 . The nvcc flag '-allow",
            "(clang version must be less than 21 and greater than 3.2)",
        ),
        (
            "gcc: No such file or directory\n"
            "nvcc fatal   : Failed to preprocess host compiler properties.",
            "nvcc cannot run its C++ compiler: install g++",
        ),
        (
            'error: #error "CUDA compiler and CUDA toolkit headers are incompatible, please check',
            "nvcc and CUDA's headers are of different releases",
        ),
        ("p.cu:3:10: fatal error: thrust/version.h: No such file", "nvidia-cuda-cccl"),
        ("fatal error: crt/host_config.h: No such file or directory", "nvidia-cuda-crt"),
        ("cuda_profiler_api.h: No such file or directory", "nvidia-cuda-profiler-api"),
        ("sh: 1: cicc: not found", "nvcc lacks cicc"),
        ("something else entirely", "nvcc does not work. It said:\nsomething else entirely"),
    ],
)
def test_what_nvcc_refuses_is_put_into_words(toolkit, tmp_path, said, meaning):
    text = put(tmp_path / "said", said)
    found = refusal(toolkit(work=f"/bin/cat {text}; exit 1"))
    assert meaning in found


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (
            "ptxas p.ptx, line 9; fatal   : Unsupported .version 9.5; current version is '9.0'",
            "nvvm",
        ),
        ("nvcc fatal   : Unsupported gpu architecture 'sm_70'", "cannot build for sm_70"),
        ("/usr/bin/ld: cannot find -lcudart_static: No such file", "libcudart_static: install"),
        ("#error Thrust requires at least C++17. Define", "-std=c++17"),
        ("fatal error: error writing to x.o: No space left on device", "TMPDIR"),
        ("g++: fatal error: Killed signal terminated program cc1plus", "jobs=1"),
    ],
)
def test_a_failed_compilation_is_explained(said, meaning):
    explained = gpu.explain_build(f"make: entering\n{said}\nmake: *** [main.o] Error 1")
    assert explained is not None
    assert meaning in explained


# --- brian2cuda


@pytest.fixture
def versions(monkeypatch):
    """Say what is installed, as name -> version; a version that brian2cuda wants as "wants"."""

    def install(**there: str) -> None:
        def version(name: str) -> str:
            if name not in there:
                raise metadata.PackageNotFoundError(name)
            return there[name]

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setattr(metadata, "requires", lambda name: [f"brian2 ({there['wants']})"])

    return install


def test_brian2cuda_must_be_installed(versions):
    versions(brian2="2.10.1")
    with pytest.raises(DeviceError, match=r"brian2cuda is not installed.*'biosnn\[gpu\]'"):
        gpu.require_brian2cuda()


def test_brian2cuda_must_fit_brian2(versions):
    versions(brian2="2.10.1", brian2cuda="1.0b1", wants="==2.10.1")
    assert gpu.require_brian2cuda() == "1.0b1"
    versions(brian2="2.11.0", brian2cuda="1.0b1", wants="==2.10.1")
    said = r"brian2cuda 1.0b1 needs brian2==2.10.1, but 2.11.0 is installed: .*'brian2==2.10.1'"
    with pytest.raises(DeviceError, match=said):
        gpu.require_brian2cuda()


# --- architectures


@pytest.mark.parametrize(
    ("text", "name", "capability"),
    [
        ("sm_90", "sm_90", "9.0"),
        ("9.0", "sm_90", "9.0"),
        (" 90 ", "sm_90", "9.0"),
        ("compute_75", "sm_75", "7.5"),
        ("SM_90A", "sm_90a", "9.0"),
        ("10.0", "sm_100", "10.0"),
        ("100f", "sm_100f", "10.0"),
    ],
)
def test_architectures_have_many_names(toolkit, text, name, capability):
    assert gpu.architecture(text) == name
    assert gpu.architecture(text, toolkit() / "bin" / "nvcc", {}) == name
    assert gpu.compute_capability(name) == capability


@pytest.mark.parametrize("text", ["hopper", "9", "", "sm_9.0.1", "9.0x", "sm_1000"])
def test_other_words_are_no_architecture(text):
    with pytest.raises(ParameterError, match=r'such as "sm_90" or "9\.0"'):
        gpu.architecture(text)


@pytest.mark.parametrize("text", ["8.0", "sm_120", "sm_90f"])
def test_nvcc_must_know_the_architecture(toolkit, text):
    nvcc = toolkit() / "bin" / "nvcc"
    with pytest.raises(DeviceError, match=r"cannot build for sm_.*only for sm_75, sm_90, sm_100:"):
        gpu.architecture(text, nvcc, {})


def test_native_is_the_first_gpu(tmp_path):
    env = {"PATH": str(tmp_path)}
    with pytest.raises(DeviceError, match=r"no nvidia-smi on the PATH\): name one, e.g. sm_90"):
        gpu.architecture("native", env=env)
    script(tmp_path / "nvidia-smi", "echo 'A, 8.6, 8 MiB'; echo 'B, 9.0, 8 MiB'")
    assert gpu.architecture("native", env=env) == "sm_86"
    script(tmp_path / "nvidia-smi", "echo 'A, [Not Supported], 8 MiB'")
    with pytest.raises(DeviceError, match="does not tell the architecture of A: name one"):
        gpu.architecture("native", env=env)


# --- programs that fail


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("no CUDA-capable device is detected", "no GPU that the program may use"),
        ("cudaErrorNoDevice", "no GPU that the program may use"),
        ("CUDA driver version is insufficient for CUDA runtime version", "no NVIDIA driver, or"),
        (
            # thrust wraps one error in another
            "what():  std::bad_alloc: cudaErrorInsufficientDriver: CUDA driver version is",
            "no NVIDIA driver, or",
        ),
        ("CUDA driver is a stub library", "LD_LIBRARY_PATH"),
        ("no kernel image is available for execution on the device", "was built for sm_80, not"),
        ("cudaErrorInvalidDeviceFunction", "was built for sm_80, not"),
        ("the provided PTX was compiled with an unsupported toolchain.", "update the driver"),
        ("out of memory", "too little free memory"),
        ("what():  std::bad_alloc: cudaErrorMemoryAllocation", "too little free memory"),
        ("unspecified launch failure", "compute-sanitizer ./main"),
        ("an illegal memory access was encountered", "compute-sanitizer ./main"),
        ("misaligned address", "compute-sanitizer ./main"),
        ("the launch timed out and was terminated", "drives a display"),
        ("too many resources requested for launch", "single precision"),
        ("invalid device ordinal", "CUDA_VISIBLE_DEVICES"),
        ("CUDA-capable device(s) is/are busy or unavailable", "another program has the GPU"),
        ("uncorrectable ECC error encountered", "another one"),
        ("forward compatibility was attempted on non supported HW", "restart the machine"),
        ("CURAND_STATUS_INITIALIZATION_FAILED", "it needs a GPU"),
        (
            "./main: error while loading shared libraries: libcurand.so.10: cannot open shared "
            "object file: No such file or directory",
            "needs libcurand.so.10, which is not",
        ),
        (
            "./main: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required",
            "it needs GLIBC_2.38",
        ),
    ],
)
def test_a_failed_program_is_explained(said, meaning):
    explained = gpu.explain(f"ERROR: cudaMalloc failed at main.cu:3 : {said}\nbye", "sm_80")
    assert explained is not None
    assert meaning in explained
    assert ": " in explained  # the remedy


def test_what_is_unknown_is_not_explained():
    assert gpu.explain("all is well") is None
    assert gpu.explain_build("all is well") is None
    assert "was built for other GPUs" in str(gpu.explain("invalid device function"))


# --- for real

PROGRAM = """#include <cstdio>
#include <curand.h>
#include <thrust/version.h>
__global__ void add(double* x) { *x += 1; }
int main() {
    curandGenerator_t generator;
    printf("thrust %d, cuRAND %d\\n", THRUST_VERSION,
           curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT));
    double* x = nullptr;
    cudaError_t status = cudaMalloc(&x, sizeof(double));
    if (status == cudaSuccess) add<<<1, 1>>>(x);
    if (status == cudaSuccess) status = cudaDeviceSynchronize();
    if (status != cudaSuccess) fprintf(stderr, "%s\\n", cudaGetErrorString(status));
    return status != cudaSuccess;
}
"""


@pytest.fixture
def real(monkeypatch):
    """The tools of this machine."""
    monkeypatch.undo()
    if gpu.find_nvcc() is None:
        pytest.skip("no nvcc here: what compiles is not tried")
    return gpu.tools()


def test_this_machine_compiles(real, tmp_path):
    source, program = put(tmp_path / "program.cu", PROGRAM), tmp_path / "program"
    name = gpu.architecture("sm_90", real.nvcc)
    command = [real.nvcc, f"-arch={name}", "-std=c++17", source, "-o", program]
    status, said = gpu.call(
        [*map(str, command), *real.include_flags, *real.library_flags], timeout=HANG
    )
    assert status == 0, said
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = subprocess.run([program], capture_output=True, text=True, env=env, check=False)
    assert "thrust" in done.stdout, done.stderr  # it started, so it found its libraries
    if done.returncode != 0:
        assert gpu.explain(done.stderr, name), done.stderr
    with pytest.raises(DeviceError, match="cannot build for sm_20, only for sm_"):
        gpu.architecture("sm_20", real.nvcc)


def test_the_trial_compiles(real):
    gpu.try_tools(real)
    with pytest.raises(DeviceError, match="this nvcc cannot build for sm_20"):
        gpu.try_tools(real, "sm_20")


def test_a_host_compiler_that_is_too_new_is_refused(real, tmp_path):
    """g++ claims to be of a version that no nvcc knows."""
    if sys.platform != "linux" or not real.host_compiler:
        pytest.skip("needs g++")
    ccbin = script(tmp_path / "g++", f'exec {real.host_compiler} -U__GNUC__ -D__GNUC__=99 -w "$@"')
    with pytest.raises(DeviceError, match=r"does not accept the C.. compiler .gcc versions later"):
        gpu.tools({**os.environ, "NVCC_CCBIN": str(ccbin)})
    with pytest.raises(DeviceError, match=r"cannot run its C.. compiler: install g"):
        gpu.tools({**os.environ, "NVCC_CCBIN": str(tmp_path / "absent")})
