"""The rules of the house (CONTRIBUTING.md), read off the source and enforced.

Each rule takes the parsed modules and yields one sentence per breach. The second half of the file
shows every rule small sources that break it: a checker that cannot fail checks nothing.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Who may know whom: a room knows the rows above its own and, if no circle closes, its own row.
ROWS = (
    (
        "errors",
        "validation",
        "rng",
        "equations",
        "code_gate",
        "declaration",
        "state",
        "recording",
        "files",
    ),
    ("models", "plasticity", "encoding"),
    ("networks",),
    ("program",),
    ("devices", "gpu", "surrogate", "nir"),
    ("simulation",),
    ("readout", "plotting", "storage", "estimators", "datasets"),
    ("doctor", "experiments", "cli", "__main__"),
)
RANK = {room: rank for rank, row in enumerate(ROWS) for room in row}
# Rooms known to everybody that know nobody, or these only.
LONERS = {"errors": (), "equations": (), "validation": ("errors",)}
DEVICE_ROOMS = ("devices", "gpu")
CUDA_ROOM = "gpu"  # its face and the private folder behind it
TORCH = ("torch", "torchvision")


@dataclass(frozen=True)
class Import:
    """One imported module (dotted), where, and whether the import waits for a call."""

    target: str
    name: str  # what was taken out of `target`; "" for a plain import
    line: int
    lazy: bool


@dataclass(frozen=True)
class Module:
    path: str
    source: str

    @property
    def name(self) -> str:
        dotted = self.path.removesuffix(".py").replace("/", ".")
        return dotted.removesuffix(".__init__")

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def package(self) -> str:
        return self.name if self.path.endswith("__init__.py") else self.name.rpartition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(find_imports(self.tree, self.package))


def room_of(dotted: str) -> str:
    """'biosnn._plotting.raster' -> 'plotting'; the package itself -> ''."""
    parts = dotted.split(".")
    if len(parts) < 2:
        return ""
    return parts[1] if parts[1].startswith("__") else parts[1].removeprefix("_")


def find_imports(node: ast.AST, package: str, lazy: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        waits = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            waits = True
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, "", child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                start = package.split(".")[: len(package.split(".")) - child.level + 1]
                base = ".".join([*start, *filter(None, [base])])
            for alias in child.names:
                yield Import(base, alias.name, child.lineno, lazy)
        elif isinstance(child, ast.Call) and callee(child) in ("import_module", "__import__"):
            match child.args:
                case [ast.Constant(value=str(target)), *_]:
                    yield Import(target, "", child.lineno, lazy)
        yield from find_imports(child, package, waits)


def callee(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def known_rooms(module: Module) -> Iterator[tuple[str, Import]]:
    """The rooms of biosnn that a module imports; '' is the package's own face."""
    for found in module.imports:
        if found.target == "biosnn" and room_of(f"biosnn.{found.name}") in RANK:
            yield room_of(f"biosnn.{found.name}"), found
        elif found.target.split(".")[0] == "biosnn":
            yield room_of(found.target), found


# --- the rules


def every_room_has_a_rank(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.room and module.room not in RANK:
            yield f"{module.path}: enter the room {module.room!r} in ROWS and say who may know it"


def rooms_know_only_those_above(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.room not in RANK:
            continue
        for room, found in known_rooms(module):
            where = f"{module.path}:{found.line}"
            if room == "":
                if found.name != "__version__":
                    yield f"{where}: imports the face of the package; import from the room itself"
            elif RANK.get(room, len(ROWS)) > RANK[module.room]:
                yield f"{where}: {module.room} must not know {room}"
            elif room not in (module.room, *LONERS.get(module.room, (room,))):
                allowed = " and ".join(LONERS[module.room]) or "nothing of biosnn"
                yield f"{where}: {module.room} must know {allowed}, but imports {room}"


def rooms_do_not_go_in_circles(modules: list[Module]) -> Iterator[str]:
    knows: dict[str, set[str]] = {}
    for module in modules:
        rooms = {room for room, _ in known_rooms(module)}
        knows.setdefault(module.room, set()).update(rooms - {module.room, ""})
    for start in sorted(knows.keys() - {""}):
        seen: set[str] = set()
        todo = list(knows[start])
        while todo:
            room = todo.pop()
            if room not in seen:
                seen.add(room)
                todo.extend(knows.get(room, ()))
        if start in seen:
            others = sorted(room for room in seen if RANK.get(room) == RANK.get(start))
            yield f"{start} knows itself by way of others; among {', '.join(others)}"


def private_folders_have_one_owner(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        for room, found in known_rooms(module):
            dotted = f"{found.target}.{found.name}".split(".")
            if dotted[1].startswith("_") and not dotted[1].startswith("__") and room != module.room:
                yield f"{module.path}:{found.line}: {dotted[1]} is private to {room}; use its face"


def only_gpu_imports_brian2cuda(modules: list[Module]) -> Iterator[str]:
    """At once only in a program that runs in a process of its own, which nobody imports."""
    imported = {
        name
        for module in modules
        for found in module.imports
        for name in (found.target, f"{found.target}.{found.name}")
    }
    for module in modules:
        program = module.name not in imported and any(
            isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
            for node in module.tree.body
        )
        for found in module.imports:
            if found.target.split(".")[0] == "brian2cuda":
                where = f"{module.path}:{found.line}"
                if module.room != CUDA_ROOM:
                    yield f"{where}: only the room {CUDA_ROOM!r} imports brian2cuda"
                elif not found.lazy and not program:
                    yield f"{where}: brian2cuda is optional; import it inside a function"


def only_device_rooms_choose_devices(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.room in DEVICE_ROOMS:
            continue
        for found in module.imports:
            if found.name == "set_device" and found.target.split(".")[0] == "brian2":
                yield f"{module.path}:{found.line}: only {DEVICE_ROOMS} may have set_device"
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            whole = ast.unparse(node.func)
            owner = whole.rpartition(".")[0].split("(")[0].split(".")[-1]
            name = callee(node)
            if (name == "set_device" and not whole.startswith("torch.")) or (
                name == "build" and owner in ("device", "get_device")
            ):
                yield f"{module.path}:{node.lineno}: only {DEVICE_ROOMS} may call {whole}"


def torch_is_imported_lazily(modules: list[Module]) -> Iterator[str]:
    """A private module may need torch at once, if no public one needs that module at once."""
    names = {module.name for module in modules}
    bound: dict[str, str] = {}
    grown = True
    while grown:
        grown = False
        for module in modules:
            for found in module.imports:
                dotted = found.target.split(".")
                if f"{found.target}.{found.name}" in names:
                    dotted.append(found.name)
                loads = {".".join(dotted[: n + 1]) for n in range(len(dotted))}
                loads = {name for name in loads if module.name.find(f"{name}.") != 0}
                if module.name not in bound and not found.lazy and loads & {*TORCH, *bound}:
                    bound[module.name] = f"{module.path}:{found.line}"
                    grown = True
    for name, where in bound.items():
        if not any(part.startswith("_") for part in name.split(".")):
            yield f"{where}: torch is optional; {name} must import it inside a function"


def the_face_only_reexports(modules: list[Module]) -> Iterator[str]:
    """Lazy re-exports (a table, ``__getattr__`` and ``__dir__``) are re-exports, too."""
    for module in modules:
        if module.name != "biosnn":
            continue
        for node in module.tree.body:
            match node:
                case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                    continue
                case ast.FunctionDef(name="__getattr__" | "__dir__"):
                    continue
                case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
                    continue
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name))
                ) if name.startswith("_"):
                    continue
            yield f"{module.path}:{node.lineno}: the face re-exports and does nothing else"


Rule = Callable[[list[Module]], Iterator[str]]
RULES: tuple[Rule, ...] = (
    every_room_has_a_rank,
    rooms_know_only_those_above,
    rooms_do_not_go_in_circles,
    private_folders_have_one_owner,
    only_gpu_imports_brian2cuda,
    only_device_rooms_choose_devices,
    torch_is_imported_lazily,
    the_face_only_reexports,
)


# --- the package keeps the rules


@pytest.fixture(scope="module")
def package() -> list[Module]:
    paths = sorted((ROOT / "biosnn").rglob("*.py"))
    return [Module(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths]


def test_the_package_was_read(package):
    assert {"biosnn", "biosnn.errors", "biosnn.models"} <= {module.name for module in package}
    seen = [room for module in package for room, _ in known_rooms(module)]
    assert "errors" in seen, "no module imports biosnn.errors: the imports were not read"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule, package):
    breaches = list(rule(package))
    assert not breaches, "\n".join(["", *breaches])


# --- the rules can be broken


def report(rule: Rule, **sources: str) -> list[str]:
    """What the rule says of modules given as ``path__of__module="source"``."""
    files = {
        name if name == "__init__" else name.replace("__", "/"): text
        for name, text in sources.items()
    }
    return list(rule([Module(f"biosnn/{name}.py", text) for name, text in files.items()]))


def test_an_unknown_room_is_reported():
    assert report(every_room_has_a_rank, helpers="x = 1")
    assert not report(every_room_has_a_rank, _plotting__raster="x = 1", models="x = 1")


@pytest.mark.parametrize(
    "source",
    [
        "from biosnn.simulation import compile",
        "from biosnn import simulation",
        "import biosnn.simulation",
        "from .simulation import compile",
        "from . import simulation",
        "def f():\n    from biosnn.simulation import compile",
        "import importlib\nimportlib.import_module('biosnn.simulation')",
        "from biosnn.somewhere_else import f",
    ],
)
def test_knowing_a_room_below_is_reported(source):
    assert report(rooms_know_only_those_above, models=source)
    assert report(rooms_know_only_those_above, _models__parts=source.replace(" .", " .."))


def test_knowing_rooms_above_is_allowed():
    source = "from biosnn import errors, __version__\nfrom .models import LIF\nimport numpy"
    assert not report(rooms_know_only_those_above, networks=source)
    assert not report(rooms_know_only_those_above, cli="from biosnn import doctor, datasets")


def test_the_face_is_not_imported_from_inside():
    assert report(rooms_know_only_those_above, networks="from biosnn import LIF")
    assert report(rooms_know_only_those_above, networks="import biosnn")


def test_loners_know_nobody():
    assert report(rooms_know_only_those_above, validation="from biosnn.rng import philox4x32")
    assert not report(rooms_know_only_those_above, validation="from biosnn.errors import E")
    assert report(rooms_know_only_those_above, equations__lif="from biosnn.errors import E")
    assert not report(rooms_know_only_those_above, equations__lif="from .common import unit")


def test_a_circle_within_a_row_is_reported():
    there, back = "from biosnn.models import LIF", "from biosnn.plasticity import Rule"
    assert report(rooms_do_not_go_in_circles, plasticity=there, models=back)
    assert not report(rooms_do_not_go_in_circles, plasticity=there, models="import numpy")


def test_a_private_folder_is_entered_by_its_owner_only():
    source = "from biosnn.networks.network import NetworkModel"
    assert report(private_folders_have_one_owner, simulation=source)
    assert report(private_folders_have_one_owner, simulation="from biosnn import _networks")
    assert not report(private_folders_have_one_owner, networks=source)
    assert not report(private_folders_have_one_owner, cli="from biosnn import __version__")


def test_brian2cuda_elsewhere_or_at_once_is_reported():
    lazy = "def f():\n    import brian2cuda"
    assert not report(only_gpu_imports_brian2cuda, gpu=lazy)
    assert not report(only_gpu_imports_brian2cuda, _gpu__codegen=lazy)
    assert report(only_gpu_imports_brian2cuda, gpu="import brian2cuda")
    program = "import brian2cuda\nif __name__ == '__main__':\n    print(brian2cuda)"
    assert not report(only_gpu_imports_brian2cuda, _gpu__codegen=program)
    assert report(only_gpu_imports_brian2cuda, surrogate=program)
    for using in ("from biosnn.devices.cuda import codegen", "import biosnn.devices.cuda.codegen"):
        assert report(only_gpu_imports_brian2cuda, _gpu__codegen=program, gpu=using)
    assert report(only_gpu_imports_brian2cuda, devices__cuda=lazy)
    assert report(only_gpu_imports_brian2cuda, cli="import brian2cuda.device")
    dynamic = "import importlib\ndef f():\n    importlib.import_module('brian2cuda')"
    assert report(only_gpu_imports_brian2cuda, doctor=dynamic)


@pytest.mark.parametrize(
    "source",
    [
        "from brian2 import set_device",
        "import brian2\nbrian2.set_device('runtime')",
        "def f(device):\n    device.build(run=False)",
        "import brian2\nbrian2.get_device().build()",
    ],
)
def test_choosing_a_device_elsewhere_is_reported(source):
    assert report(only_device_rooms_choose_devices, simulation=source)
    assert not report(only_device_rooms_choose_devices, devices__cpp=source, gpu=source)


def test_other_builds_are_not_confused_with_brian2s():
    source = "def f(network):\n    network.build()\n    torch.cuda.set_device(0)"
    assert not report(only_device_rooms_choose_devices, surrogate=source)


def test_torch_at_module_level_is_reported():
    assert report(torch_is_imported_lazily, surrogate="import torch.nn as nn")
    assert report(torch_is_imported_lazily, datasets="try:\n    import torchvision\nfinally: 0")
    assert report(torch_is_imported_lazily, surrogate="class A:\n    from torch import nn")
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n"
    assert not report(torch_is_imported_lazily, surrogate=lazy + "def f():\n    import torch")


def test_torch_through_a_private_module_is_reported():
    cell = "import torch"
    near = "from biosnn.surrogate.cell import Cell"
    lazily = "def compile():\n    from biosnn.surrogate import cell"
    assert not report(torch_is_imported_lazily, _surrogate__cell=cell, surrogate=lazily)
    assert report(torch_is_imported_lazily, _surrogate__cell=cell, surrogate=near)
    assert report(
        torch_is_imported_lazily,
        _surrogate__cell=cell,
        _surrogate__a=near,
        surrogate="from ._surrogate import a",
    )


def test_more_than_reexports_in_the_face_is_reported():
    good = '"""Doc."""\nfrom .models import LIF\n__version__ = "1"\n__all__ = ["LIF"]\n'
    assert not report(the_face_only_reexports, __init__=good)
    assert not report(the_face_only_reexports, __init__="def __getattr__(name):\n    return 1")
    for bad in ("def helper(): ...", "class A: ...", "print(1)", "x = 1", "if True:\n    x = 1"):
        assert report(the_face_only_reexports, __init__=good + bad), bad
