"""Functions and operations of equations, as the code generation targets need them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from brian2 import Function
from brian2.parsing.rendering import CPPNodeRenderer

from biosnn.program.scope import draw_function
from biosnn.rng import (
    C_NORMAL,
    C_POISSON,
    C_SOURCE,
    counter_normal,
    counter_poisson,
    counter_uniform,
)

# What the other draws are made of has a name of its own: Brian2 puts the functions that code calls
# into its alphabetical order, and what they depend on before the first that does.
_INNER = "counter_uniform_within"
_INNER_SOURCE = C_SOURCE.replace("counter_uniform", _INNER)


def draw_functions() -> dict[str, Function]:
    """Counter-based draws as Brian2 functions for numpy, Cython, C++ and CUDA, by their names."""
    inner = _function(counter_uniform, _INNER_SOURCE, name=_INNER)
    return {
        "counter_uniform": _function(counter_uniform, C_SOURCE),
        "counter_normal": _function(counter_normal, C_NORMAL, inner=inner),
        "counter_poisson": _function(counter_poisson, C_POISSON, inner=inner),
    }


def _function(
    python: Callable[..., Any],
    source: str,
    *,
    name: str = "",
    inner: Function | None = None,
) -> Function:
    """A draw with its code for every target."""
    name = name or python.__name__
    function = draw_function(python)
    source, dependencies = source.strip(), {}
    if inner is not None:
        source, dependencies = source.replace("counter_uniform(", f"{_INNER}("), {_INNER: inner}
    add = function.implementations.add_implementation
    add("cpp", source, dependencies=dependencies, name=name)
    # A generator of this name exists where brian2cuda was imported.
    add("cuda", f"__host__ __device__ {source}", dependencies=dependencies, name=name)
    once = f"#ifndef BIOSNN_WITHIN\n#define BIOSNN_WITHIN\n{_INNER_SOURCE.strip()}\n#endif\n"
    verbatim = f"#include <math.h>\n{once if inner is not None else ''}{source}"
    whole = function._return_type == "integer"
    arguments = ", ".join([*(["double"] if whole else []), *(["int"] * 6)])
    add(
        "cython",
        f'cdef extern from *:\n    """\n{verbatim}\n    """\n'
        f"    {'int' if whole else 'double'} {name}({arguments})\n",
        name=name,
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
