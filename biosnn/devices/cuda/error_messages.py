"""What CUDA's compiler and CUDA programs say when they fail, in words and with a remedy."""

from __future__ import annotations

import re

#: One release of all that a build needs; there are no wheels with a compiler of CUDA 12.
WHEELS = "pip install 'cuda-toolkit[nvcc,cudart,cccl,curand,profiler]==13.*'"

# In this order: a program often reports a second error that only follows from the first.
_RUN = (
    (
        r"error while loading shared libraries: (?P<library>\S+?): (?P<reason>.*)",
        "the program needs {library}, which is not on this machine: install the CUDA toolkit or "
        "the wheels of the release that built it, and add the library's folder to LD_LIBRARY_PATH, "
        "or compile the program here",
    ),
    (
        r"version `(?P<library>GLIBC\w*_[\d.]+)' not found",
        "the program was built on a newer Linux (it needs {library}): compile it on this machine",
    ),
    (
        r"cudaErrorInsufficientDriver|driver version is insufficient",
        "this machine has no NVIDIA driver, or one too old for the program's CUDA: run the program "
        "where nvidia-smi lists a GPU and a CUDA version no older than the program's, update the "
        "driver, or build with an older CUDA",
    ),
    (
        r"cudaErrorStubLibrary|is a stub library",
        "the program loaded CUDA's stub library in place of the driver: take the folder stubs off "
        "LD_LIBRARY_PATH, and run where nvidia-smi lists a GPU",
    ),
    (
        r"cudaErrorNoDevice|no CUDA-capable device is detected",
        "there is no GPU that the program may use: run it where nvidia-smi lists one, see that "
        "CUDA_VISIBLE_DEVICES does not hide it, and on a cluster ask for one",
    ),
    (
        r"cudaErrorNoKernelImageForDevice|no kernel image is available"
        r"|cudaErrorInvalidDeviceFunction|invalid device function"
        r"|cudaErrorInvalidKernelImage|device kernel image is invalid",
        "the program was built for {architecture}, not for this machine's GPU: build it with the "
        "GPU's compute capability, which nvidia-smi --query-gpu=compute_cap --format=csv prints",
    ),
    (
        r"cudaErrorUnsupportedPtxVersion|PTX was compiled with an unsupported toolchain",
        "the driver is older than the CUDA that built the program for {architecture}, and would "
        "have to translate it for this GPU: build it for exactly this GPU, or update the driver",
    ),
    (
        r"cudaErrorSystemDriverMismatch|unsupported display driver / cuda driver combination"
        r"|cudaErrorCompatNotSupportedOnDevice|forward compatibility was attempted",
        "the CUDA driver's library does not fit the loaded driver: restart the machine after the "
        "driver's update, and take a compat folder of CUDA off LD_LIBRARY_PATH",
    ),
    (
        r"cudaErrorDevicesUnavailable|is/are busy or unavailable",
        "another program has the GPU for itself: wait for it, or choose another GPU with "
        "CUDA_VISIBLE_DEVICES",
    ),
    (
        r"cudaErrorInvalidDevice\b|invalid device ordinal",
        "there is no GPU of the number asked for: compare CUDA_VISIBLE_DEVICES with nvidia-smi",
    ),
    (
        r"cudaErrorECCUncorrectable|uncorrectable ECC error",
        "the GPU's memory has a fault: reset the GPU or use another one",
    ),
    (
        r"cudaErrorLaunchTimeout|launch timed out",
        "a kernel took longer than this GPU, which also drives a display, allows: use another GPU",
    ),
    (
        r"cudaErrorLaunchOutOfResources|too many resources requested",
        "a kernel needs more registers than a block of threads has: use single precision, or set "
        "brian2's preference devices.cuda_standalone.launch_bounds",
    ),
    (
        r"cudaErrorIllegalAddress|illegal memory access|cudaErrorLaunchFailure"
        r"|unspecified launch failure|cudaErrorMisalignedAddress|misaligned address",
        "the program used memory that it does not have, often as more was recorded than the GPU's "
        "heap holds: record less or shorten the run; compute-sanitizer ./main names the place",
    ),
    (
        r"cudaErrorMemoryAllocation|out of memory|std::bad_alloc"
        r"|ERROR (?:while )?allocating|CURAND_STATUS_ALLOCATION_FAILED",
        "the GPU has too little free memory: show fewer samples at a time, record less, use single "
        "precision, or end what else runs on the GPU (nvidia-smi lists it)",
    ),
    (
        r"CURAND_STATUS_INITIALIZATION_FAILED|CURAND_STATUS_VERSION_MISMATCH",
        "cuRAND could not start: it needs a GPU, and the library of the release that built the "
        "program",
    ),
)

_BUILD = (
    (
        r"unsupported (?:GNU|clang) version! (?P<limit>.+?)\s*[!.]? The nvcc flag",
        "this nvcc does not accept the C++ compiler ({limit}): install an older one and set "
        "NVCC_CCBIN to it, e.g. NVCC_CCBIN=g++-13, or use a newer CUDA",
    ),
    (
        r"Failed to preprocess host compiler properties|nvcc fatal\s*: .*host compiler"
        r"|cannot execute .?cc1plus",
        "nvcc cannot run its C++ compiler: install g++, e.g. 'sudo apt install g++', or set "
        "NVCC_CCBIN to one",
    ),
    (
        r"CUDA compiler and CUDA toolkit headers are incompatible",
        "nvcc and CUDA's headers are of different releases: install wheels of one release "
        f"({WHEELS}), or give nvcc other headers with -isystem, not with -I",
    ),
    (
        r"Unsupported \.version [\d.]+; current version is",
        "nvcc's parts are of different releases, nvidia-nvvm of a newer one: install wheels of one "
        f"release ({WHEELS})",
    ),
    (
        r"Unsupported gpu architecture '(?P<name>\w+)'",
        "this nvcc cannot build for {name}: nvcc --list-gpu-code says for what it can",
    ),
    (
        r"(?P<header>thrust|cub|cuda/std|nv)/\S+: No such file",
        "CUDA's C++ headers ({header}) are missing: install them with the CUDA toolkit, or "
        "pip install nvidia-cuda-cccl of nvcc's release",
    ),
    (
        r"(?P<header>cuda_runtime\.h|crt/\S+?\.h): No such file",
        "{header} of CUDA is missing: install it with the CUDA toolkit, or pip install "
        "nvidia-cuda-runtime and nvidia-cuda-crt of nvcc's release",
    ),
    (
        r"cuda_profiler_api\.h: No such file",
        "cuda_profiler_api.h of CUDA is missing: install it with the CUDA toolkit, or "
        "pip install nvidia-cuda-profiler-api of nvcc's release",
    ),
    (
        r"(?P<program>cicc|ptxas|cudafe\+\+|fatbinary|nvlink): (?:command )?not found",
        "nvcc lacks {program}: reinstall the CUDA toolkit, or "
        "pip install nvidia-nvvm of nvcc's release",
    ),
    (
        r"cannot find -l(?P<library>cudart\w*|cudadevrt|curand)",
        "the linker does not find lib{library}: install it with the CUDA toolkit, or pip install "
        "nvidia-cuda-runtime and nvidia-curand of nvcc's release",
    ),
    (
        r"requires (?:at least )?C\+\+(?:17|14)|C\+\+17 or later",
        "CUDA's headers need C++17: compile with -std=c++17",
    ),
    (r"No space left on device", "the disk is full: free some space, or set TMPDIR elsewhere"),
    (
        r"Killed signal|signal 9|died due to signal 9|out of memory allocating",
        "a compiler was ended for want of memory: compile fewer files at once (jobs=1)",
    ),
)


def explain(text: str, architecture: str | None = None) -> str | None:
    """Put the failure of a CUDA program into words.

    Parameters
    ----------
    text : str
        What it printed, or the name of a CUDA error.
    architecture : str, optional
        What it was built for, e.g. ``"sm_90"``.

    Returns
    -------
    str or None
        What is wrong and what to do about it; None if nothing in the text is known.
    """
    return _first(_RUN, text, {"architecture": architecture or "other GPUs"})


def explain_build(text: str) -> str | None:
    """Put the failure of a compilation by nvcc into words.

    Parameters
    ----------
    text : str
        All that nvcc and make printed.

    Returns
    -------
    str or None
        What is wrong and what to do about it; None if nothing in the text is known.
    """
    return _first(_BUILD, text, {})


def _first(rules: tuple[tuple[str, str], ...], text: str, words: dict[str, str]) -> str | None:
    for pattern, sentence in rules:
        if found := re.search(pattern, text):
            return sentence.format(**words, **found.groupdict())
    return None
