"""What works on this machine, and what to do about what does not.

Every check is a function that returns one :class:`Check` and leaves nothing behind. Packages are
imported in child processes: a broken one is a finding here, not a crash, and this process stays
free of Brian2's global state. Nothing is printed; ``biosnn doctor`` does that.
"""

from biosnn.doctor.checks import (
    BRIAN2_WANTED,
    BRIAN2CUDA_WANTED,
    PYTHON_WANTED,
    TORCH_WANTED,
    Check,
    as_json,
    check_brian2,
    check_brian2cuda,
    check_cache,
    check_compiler,
    check_cpu,
    check_curand,
    check_disk,
    check_gpu,
    check_make,
    check_native_flags,
    check_nvcc,
    check_openmp,
    check_python,
    check_python_headers,
    check_torch,
    check_writable,
    exit_status,
    import_in_child,
    run_checks,
)

__all__ = [
    "BRIAN2CUDA_WANTED",
    "BRIAN2_WANTED",
    "PYTHON_WANTED",
    "TORCH_WANTED",
    "Check",
    "as_json",
    "check_brian2",
    "check_brian2cuda",
    "check_cache",
    "check_compiler",
    "check_cpu",
    "check_curand",
    "check_disk",
    "check_gpu",
    "check_make",
    "check_native_flags",
    "check_nvcc",
    "check_openmp",
    "check_python",
    "check_python_headers",
    "check_torch",
    "check_writable",
    "exit_status",
    "import_in_child",
    "run_checks",
]
