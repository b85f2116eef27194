"""Functions that equations may call, with an implementation for each code generation target."""

from __future__ import annotations

from brian2 import Function

from biosnn.rng import C_SOURCE, counter_uniform


def uniform_function() -> Function:
    """``counter_uniform`` as a Brian2 function for numpy, Cython, C++ and CUDA."""
    function = Function(
        counter_uniform,
        arg_units=[1] * 6,
        arg_types=["integer"] * 6,
        return_unit=1,
        return_type="float",
    )
    function.implementations.add_implementation("numpy", counter_uniform)
    function.implementations.add_implementation("cpp", C_SOURCE)
    # A generator of this name exists where brian2cuda was imported.
    function.implementations.add_implementation("cuda", f"__host__ __device__ {C_SOURCE.strip()}")
    function.implementations.add_implementation(
        "cython",
        f'cdef extern from *:\n    """\n{C_SOURCE}\n    """\n'
        "    double counter_uniform(int, int, int, int, int, int)\n",
    )
    return function
