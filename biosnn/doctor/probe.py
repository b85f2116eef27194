"""CPU features, and conflicts between the parts of the CUDA toolchain."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping

from biosnn import gpu
from biosnn.devices.cpp.compiler import cpu

# What a reader calls it -> the words that operating systems have for it.
_X86 = {"AVX2": r"avx2", "AVX-512": r"avx512\w*"}
_ARM = {"NEON": r"asimd|neon", "SVE": r"sve"}


def cpu_features(machine: str | None = None, words: str | None = None) -> dict[str, bool] | None:
    """Say which vector instructions this CPU has.

    Parameters
    ----------
    machine : str, optional
        The architecture, by default this machine's.
    words : str, optional
        The operating system's names of the CPU's features, by default asked for.

    Returns
    -------
    dict of str to bool, or None
        Name -> present; None where the operating system or the architecture is unknown.
    """
    machine = machine or platform.machine()
    names = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}.get(machine)
    if names is None:
        return None
    if words is None:
        words = _darwin_features(machine) if sys.platform == "darwin" else cpu()
    found = set(words.lower().split()) - {machine.lower()}
    if not found:
        return None
    return {name: any(re.fullmatch(form, k) for k in found) for name, form in names.items()}


def _darwin_features(machine: str) -> str:
    if machine == "arm64":
        return "neon"  # all of them have it, and none has SVE
    code, output = gpu.call(["sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features"])
    return output if code == 0 else ""


def curand_conflict(found: gpu.Curand, env: Mapping[str, str] | None = None) -> str:
    """Say for which CUDA this cuRAND is, if it is not the one whose compiler is here."""
    nvcc = gpu.find_nvcc(env)
    release = gpu.cuda_release(nvcc, env) if found.serves and nvcc else None
    if release is None or release.partition(".")[0] == found.serves:
        return ""
    return f"serves CUDA {found.serves}, but nvcc is of CUDA {release}"


def gpu_conflict(env: Mapping[str, str] | None = None) -> str:
    """Say for which of the GPUs the CUDA compiler that is here cannot build."""
    nvcc = gpu.find_nvcc(env)
    if nvcc is None:
        return ""
    code, output = gpu.call([str(nvcc), "--list-gpu-arch"], env=env)
    known = set(re.findall(r"compute_(\d+)", output))
    if code != 0 or not known:
        return ""
    wanted = {k.compute_capability for k in gpu.list_gpus(env) if k.compute_capability}
    missing = sorted(k for k in wanted if k.replace(".", "") not in known)
    return f"{nvcc} cannot build for compute capability {', '.join(missing)}" if missing else ""
