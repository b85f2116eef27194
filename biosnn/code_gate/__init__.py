"""Check text that becomes code: equations, conditions, statements, units and names.

Brian2, sympy, PyTorch and compilers see a text only after it has passed here, wherever it
comes from: a file or a program. What passes is arithmetic: numbers, ASCII names, operators,
comparisons, and calls of known functions with plain arguments. There are no strings, no
attributes, no indices and no keywords, and every text is bounded in length, in depth and in the
size of what symbolic mathematics can make of it. ``docs/security.md`` describes the grammar.

Texts are parsed by Python's own parser into a tree of which nothing is evaluated. Constants
are bounded by arithmetic on floats, never on integers of any length.
"""

from biosnn.code_gate.gate import (
    Generated,
    check_bump,
    check_equations,
    check_expression,
    check_name,
    check_statements,
    check_target_name,
    check_title,
    parse_generator,
)
