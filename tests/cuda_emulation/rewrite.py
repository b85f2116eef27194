"""CUDA source text as C++: what g++ cannot read is written in another way, line by line."""

from __future__ import annotations

import re

_SKIPPED = re.compile(
    r"""//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", flags=re.DOTALL
)
_KERNEL = re.compile(r"[\w:]+$")
_TEMPLATE = re.compile(
    r"\btemplate\s*<[^;{}]*>\s*(?:static\s+|inline\s+)*__global__\s+void\s+"
    r"(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\("
)
_SHARED = re.compile(r"\b(extern\s+)?__shared__\s+([^;]*);")
_DECLARED = re.compile(r"\s*(.*?)(\w+)\s*((?:\[[^\]]*\]\s*)*)$", flags=re.DOTALL)
_ARCHITECTURE = re.compile(r"^[ \t]*#[ \t]*(?:el)?if.*__CUDA_ARCH__", flags=re.MULTILINE)
_AFTER_PARAMETERS = re.compile(r"\)\s*(?:const|noexcept|override|final|\s)*$")


def masked(text: str) -> str:
    """The text with blanks in place of comments and of what quotes hold."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    return _SKIPPED.sub(blank, text)


def rewrite(text: str) -> str:
    """C++ for what a ``.cu`` file or one of its headers holds; lines keep their numbers.

    Parameters
    ----------
    text : str
        CUDA C++.

    Returns
    -------
    str
        Launches are calls, arrays in shared memory are static ones, and functions that ask for
        ``__CUDA_ARCH__`` hold their code twice: for kernels and for the host.
    """
    return _architecture(_shared(_launches(text)))


def _launches(text: str) -> str:
    code = masked(text)
    pieces, last, at = [], 0, code.find("<<<")
    templates = set(_TEMPLATE.findall(code)) if at >= 0 else set()
    while at >= 0:
        start, end = _kernel_start(code, at), _closing(code, at + 3)
        name, settings = code[start:at].strip(), text[at + 3 : end]
        if name.split("::")[-1] in templates:  # its arguments follow from those of the call
            called = f'deduced("{name}", [](auto... a) {{ {name}(a...); }})'
        else:
            called = f'of("{name}", {name})'
        pieces.append(f"{text[last:start]}::emulated::launch({settings}).{called}")
        last, at = end + 3, code.find("<<<", end)
    return "".join([*pieces, text[last:]])


def _kernel_start(code: str, at: int) -> int:
    """Where the name before ``<<<`` begins, with its template arguments."""
    end = len(code[:at].rstrip())
    if code[end - 1] == ">":
        depth, k = 0, end
        while True:
            k -= 1
            if k < 0:
                raise ValueError("a launch without a kernel")
            depth += {">": 1, "<": -1}.get(code[k], 0)
            if depth == 0:
                break
        end = len(code[:k].rstrip())
    found = _KERNEL.search(code[:end])
    if found is None:
        raise ValueError(f"a launch without a kernel: {code[max(0, at - 60) : at + 20]!r}")
    return found.start()


def _closing(code: str, start: int) -> int:
    """Where the ``>>>`` is that ends a launch's settings."""
    depth = 0
    for k in range(start, len(code)):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[k], 0)
        if depth == 0 and code.startswith(">>>", k):
            return k
    raise ValueError("a launch's settings do not end")


def _shared(text: str) -> str:
    """Static arrays for those in shared memory, which begin with nothing in every block."""
    pieces, last, code = [], 0, masked(text)
    for found in _SHARED.finditer(code):
        start, end = found.span(2)
        kind, *others = _split(text[start:end])
        matched = _DECLARED.match(kind)
        if matched is None:
            raise ValueError(f"shared memory without a name: {kind!r}")
        type_name, name, size = matched.groups()
        type_name = re.sub(r"__align__\s*\([^)]*\)", "", type_name).strip()
        pieces.append(text[last : found.start()])
        last = found.end()
        if found[1]:
            pieces.append(
                f"{type_name}* {name} = static_cast<{type_name}*>(::emulated::here.dynamic_shared);"
            )
            continue
        for declared in (f"{name}{size}", *others):
            matched = _DECLARED.match(declared)
            assert matched is not None, declared
            seen = f"emulated_seen_{matched[2]}"
            pieces.append(
                f"static {type_name} {declared.strip()}; static unsigned long {seen} = 0; "
                f"::emulated::enter_shared({matched[2]}, {seen}); "
            )
    return "".join([*pieces, text[last:]])


def _split(text: str) -> list[str]:
    """Parts between the commas that no bracket encloses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, "<": 1, ")": -1, "]": -1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _architecture(text: str) -> str:
    """Double the bodies of functions that differ between kernels and the host."""
    if not _ARCHITECTURE.search(text):
        return text
    code = masked(text)
    wanted = [found.start() for found in _ARCHITECTURE.finditer(code)]
    bodies = _bodies(code)
    pieces, last = [], 0
    for start, end in bodies:
        if not any(start < at < end for at in wanted):
            continue
        body = text[start:end]
        line = text.count("\n", 0, start) + 1
        pieces.append(
            f"{text[last:start]}{{ if (::emulated::here.in_kernel)\n#define __CUDA_ARCH__ 900\n"
            f"#line {line}\n{body}\n#undef __CUDA_ARCH__\nelse\n#line {line}\n{body}"
        )
        last = end
        pieces.append("}")
    return "".join([*pieces, text[last:]])


def _bodies(code: str) -> list[tuple[int, int]]:
    """Outermost pairs of braces that follow a list of parameters."""
    found, open_braces, inside = [], [], None
    for brace in re.finditer(r"[{}]", code):
        at = brace.start()
        if brace[0] == "{":
            if inside is None and _AFTER_PARAMETERS.search(code[max(0, at - 200) : at]):
                inside = len(open_braces)
            open_braces.append(at)
        elif open_braces:
            start = open_braces.pop()
            if inside == len(open_braces):
                found.append((start, at + 1))
                inside = None
    return found
