"""Functions and operations of equations, as the code generation targets need them."""

from __future__ import annotations

from typing import Any

from brian2 import Function
from brian2.parsing.rendering import CPPNodeRenderer

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


def divide_in_double() -> None:
    """Have generated C++ divide whole numbers in double precision, as Python does.

    Brian2 writes ``1.0f*a/b``, whose result has single precision where both are whole. This
    changes Brian2 for the rest of the process, which should be one that writes one program.
    """
    render = CPPNodeRenderer.render_BinOp

    def render_in_double(renderer: CPPNodeRenderer, node: Any) -> str:
        text = render(renderer, node)
        divides = type(node.op).__name__ == "Div"
        return text.replace("1.0f*", "1.0*", 1) if divides else text

    CPPNodeRenderer.render_BinOp = render_in_double
