"""A project of brian2cuda in few source files, which compile several times faster than its many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

#: Pieces of code per file: parsing CUDA's headers takes as long as some ten of them.
PER_FILE = 40
_FUNCTION = re.compile(r"^void (_\w+)\(\)$", flags=re.MULTILINE)
_KERNEL = re.compile(r"^(_reset_\w+)\(\n\s*int32_t\* eventspace", flags=re.MULTILINE)
_LOCAL = re.compile(r'^\s*#include "code_objects/.*$', flags=re.MULTILINE)
# In its kernels for events, what is read once and what is read per neuron share a scope.
_PER_EVENT = re.compile(r"(\n\s*_idx = neuron_id;\n)(.*?)(\n}\n)", flags=re.DOTALL)
# Pathways without lists of synapses know which neurons they are at.
_INDEX = re.compile(r"= _ptr_array_\w+__synaptic_(pre|post)\[_idx\];")
_AROUND = re.compile(r"^(before|after)_run_")
# In single precision Brian2CUDA shortens all literals, also where times, which are double, are
# computed with them: 0.1f is not 0.1.
_DOUBLE = re.compile(r"^[ \t]*(?:const )?double (\w+)\b", flags=re.MULTILINE)
_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:const )?(?:double )?(\w+) [-+*/]?= [^\n]*;$", flags=re.MULTILINE
)
_SHORT = re.compile(r"(?<![\w.])(\d+\.?\d*(?:e[-+]?\d+)?)f\b")
# All threads read what the first one then replaces, so they must have done so.
_OLD_QUEUES = re.compile(r"(bool initialize_semaphores = [^;]*;\n)(\s*if \(tid == 0\))")
# What a block has written into a queue must be seen by others before they see the lock open.
_RELEASE = re.compile(r"( *)(\*lock = 0;)\n\s*(__threadfence\(\);)")
# Lists of synapses are copied bit by bit, often one synapse at a time, from one end to the other.
_COPY = re.compile(
    r"cudaMemcpy\(\s*(d_this_bundle|h_ptr_d_ptr_synapse_ids_by_pre\[i\]"
    r"|d_ptr_unique_delays\s*\+ sum_num_unique_elements),(.*?),\s*cudaMemcpyHostToDevice\)",
    flags=re.DOTALL,
)
_COPIED = re.compile(r"(\}  // end (?:for loop through|second loop) connectivity matrix\n)")
# A sum of rounded numbers need not be the whole number that the mean is.
_ROUNDED = re.compile(r"^\s*assert\(std::floor\(mean_bundle_sizes\).*\n", flags=re.MULTILINE)
# brian2cuda rounds the time step where variables are stored in single precision, and with it times.
_STEP = re.compile(r"const float dt = (_ptr_array_\w+_dt\[0\];)")
# From 2048 MiB on, the product of three ints is none.
_LIMIT = re.compile(r"(size_t limit = \d+)( \* 1024 \* 1024;)")


#: What is one program, besides the pieces of code.
_PROGRAM = (
    "objects.cu", "network.cpp", "memory.cu", "recorders.cu", "biosnn.cpp", "generated.cu",
    "rand.cu", "run.cu", "main.cu",
)  # fmt: skip


def write_library(project: Path, names: Mapping[str, tuple[str, str]]) -> None:
    """Write our runtime library into a project: name there -> device and name here."""
    for name, (device, own) in names.items():
        folder = resources.files(f"biosnn.devices.{device}") / "runtime_library"
        (project / name).write_text((folder / own).read_text())


def write_units(
    project: Path, clock: str, before: Mapping[str, str], program: Sequence[str] = _PROGRAM
) -> list[str]:
    """Write ``program.cu`` and the files ``part_*.cu`` beside what brian2cuda has written.

    Parameters
    ----------
    project : Path
        What brian2cuda has written.
    clock : str
        The clock of the network's time steps. brian2cuda looks at the time of Brian2's default
        clock to find out whether a uniform delay has passed; a declared network has its own.
    before : mapping
        Name of a piece of code -> a statement to execute just before it.
    program : sequence of str
        What is one program, besides the pieces of code.

    Returns
    -------
    list of str
        Names of all files to compile. They need the project's headers beside them.
    """
    queues = project / "brianlib" / "spikequeue.h"
    text = _OLD_QUEUES.sub(r"\1        __syncthreads();\n\2", queues.read_text())
    queues.write_text(_RELEASE.sub(r"\1\3\n\1\2", text))
    main = project / "main.cu"
    main.write_text(_LIMIT.sub(r"\1ull\2", main.read_text()))
    (project / "program.cu").write_text("".join(f'#include "{name}"\n' for name in program))
    groups: dict[str, list[Path]] = {}
    for path in sorted((project / "code_objects").glob("*.cu")):
        groups.setdefault(_AROUND.sub("", path.name), []).append(path)
    pieces = [_piece(paths, clock, before) for paths in groups.values()]
    files = -(-len(pieces) // PER_FILE)
    parts: list[list[str]] = [[] for _ in range(files)]
    for piece in sorted(pieces, key=len, reverse=True):  # parts of about one size
        min(parts, key=lambda part: sum(map(len, part))).append(piece)
    written = ["program.cu"]
    for number, part in enumerate(parts):
        written.append(f"part_{number}.cu")
        (project / written[-1]).write_text("\n".join(part))
    return written


def _piece(paths: list[Path], clock: str, before: Mapping[str, str]) -> str:
    """What runs for one Brian2 object, and before and after the network for it.

    brian2cuda repeats helper functions in every file, so each gets a namespace of its own.
    """
    text = []
    for path in sorted(paths, key=lambda path: bool(_AROUND.match(path.name))):
        found = _LOCAL.sub("", path.read_text()).replace("defaultclock.", f"{clock}.")
        if "const unsigned char *_fired,\n    ///// KERNEL_PARAMETERS" in found:
            found = _INDEX.sub(lambda m: f"= {'_from' if m[1] == 'pre' else '_to'};", found)
        if path.stem.endswith("_push_spikes"):
            found = _COPY.sub(r"biosnn::put_behind(\1,\2)", _ROUNDED.sub("", found))
            found = _COPIED.sub(r"\1CUDA_SAFE_CALL(biosnn::put_rest());\n", found)
        found = _STEP.sub(r"const double dt = \1", found)
        found = _with_double_literals(_PER_EVENT.sub(r"\1    {\2\n    }\3", found))
        lines = found.splitlines()
        text += [line for line in lines if line.startswith("#include")]
        body = "\n".join(line for line in lines if not line.startswith("#include"))
        space = f"in_{path.stem}"
        text.append(f"namespace {space} {{\n{body}\n}}")
        text += [f"using {space}::{name};" for name in _KERNEL.findall(body)]
        first = {f"_run_{path.stem}": before.get(path.stem, "")}
        text += [
            f"void {name}() {{ {first.get(name, '')} {space}::{name}(); }}"
            for name in _FUNCTION.findall(body)
        ]
    return "\n".join(text)


def _with_double_literals(text: str) -> str:
    doubles = set(_DOUBLE.findall(text))
    return _ASSIGNMENT.sub(
        lambda found: _SHORT.sub(r"\1", found[0]) if found[1] in doubles else found[0], text
    )


def write_makefile(project: Path, files: list[str], architecture: str, flags: list[str]) -> None:
    """Write a makefile in place of brian2cuda's, which asks for C++11, and one beside it.

    Its variables say where nvcc is and, if the toolkit has no cuRAND, where that is.

    Parameters
    ----------
    project : Path
        Where the files are; the program goes beside that folder.
    files : list of str
        What :func:`write_units` wrote.
    architecture : str
        Of the GPU, e.g. ``"sm_90"``.
    flags : list of str
        For nvcc.
    """
    objects = " ".join(name.replace(".cu", ".o") for name in files)
    (project / "makefile").write_text(
        f"""NVCC ?= nvcc
ARCH ?= {architecture}
INCLUDES ?=
LIBRARIES ?= -lcurand
FLAGS = -std=c++17 {" ".join(flags)}

../main: {objects}
\t$(NVCC) -arch=$(ARCH) $^ -o $@ $(LIBRARIES)

%.o: %.cu
\t$(NVCC) $(FLAGS) -arch=$(ARCH) -I. $(INCLUDES) -dc $< -o $@
"""
    )
    (project.parent / "makefile").write_text(
        "# Compiles the network. Where nvcc or cuRAND is elsewhere:\n"
        "#     make NVCC=/usr/local/cuda/bin/nvcc LIBRARIES=-lcurand ARCH=sm_90\n"
        "main:\n\t$(MAKE) -j4 -C source\n"
    )
