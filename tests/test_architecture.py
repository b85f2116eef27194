"""The import layering of CONTRIBUTING.md, read off the source and enforced.

Each rule takes the parsed modules and yields one sentence per breach. The second half of the file
shows every rule small sources that break it. ``python tests/test_architecture.py --report`` prints
lines of code per package, the height of the import graph and its circles.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The layers, lowest first. A package may import those of lower layers and, if no circle closes,
# those of its own. "Package" is a file or folder of biosnn/ with the private folder behind it:
# `encoding` is encoding.py and _encoding/.
LAYERS = (
    (
        "version",
        "errors",
        "validation",
        "rng",
        "arithmetic",
        "equations",
        "code_gate",
        "declaration",
        "state",
        "initial_values",
        "recording",
        "files",
        "progress",
        "callbacks",
    ),
    ("models", "plasticity", "encoding"),
    ("networks",),
    ("program",),
    ("devices", "gpu", "surrogate", "nir"),
    ("simulation",),
    ("readout", "plotting", "storage", "estimators", "datasets", "sweeps"),
    ("doctor", "experiments", "cli", "__main__"),
)
LAYER = {package: height for height, row in enumerate(LAYERS) for package in row}
# Packages of the lowest layer that import nothing of biosnn, or these only.
INDEPENDENT = {"arithmetic": (), "errors": (), "equations": (), "validation": ("errors",)}
DEVICE_PACKAGES = ("devices", "gpu")
CUDA_MODULES = ("biosnn.gpu", "biosnn.devices.cuda")
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
    def is_init(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def package(self) -> str:
        return package_of(self.name)

    @property
    def folder(self) -> str:
        return self.name if self.is_init else self.name.rpartition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        computes = re.search("import_module|__import__", self.source) is not None
        return tuple(find_imports(self.tree, self.folder, computes))

    @cached_property
    def strings(self) -> tuple[str, ...]:
        """All strings of the module but docstrings, and where a made function says it lives."""
        prose = {
            node.value
            for node in self.nodes
            if isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "face")
        }
        return tuple(
            node.value
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose
        )


def package_of(dotted: str) -> str:
    """'biosnn._encoding.direct' -> 'encoding'; biosnn itself -> ''."""
    parts = dotted.split(".")
    if len(parts) < 2:
        return ""
    return parts[1] if parts[1].startswith("__") else parts[1].removeprefix("_")


def within(dotted: str, package: str) -> bool:
    return f"{dotted}.".startswith(f"{package}.")


def find_imports(
    node: ast.AST, folder: str, computes: bool, lazy: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and not computes:
            continue
        waits = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            waits = True
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, "", child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            base = absolute("." * child.level + (child.module or ""), folder)
            for alias in child.names:
                yield Import(base, alias.name, child.lineno, lazy)
        elif isinstance(child, ast.Call) and callee(child) in ("import_module", "__import__"):
            match child.args:
                case [ast.Constant(value=str(target)), *_]:
                    yield Import(absolute(target, folder), "", child.lineno, lazy)
        yield from find_imports(child, folder, computes, waits)


def absolute(target: str, folder: str) -> str:
    name = target.lstrip(".")
    level = len(target) - len(name)
    if not level:
        return name
    start = folder.split(".")[: len(folder.split(".")) - level + 1]
    return ".".join([*start, *filter(None, [name])])


def callee(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def imported_packages(module: Module) -> Iterator[tuple[str, Import]]:
    """The packages of biosnn that a module imports; '' is biosnn/__init__.py."""
    for found in module.imports:
        if found.target == "biosnn" and package_of(f"biosnn.{found.name}") in LAYER:
            yield package_of(f"biosnn.{found.name}"), found
        elif found.target.split(".")[0] == "biosnn":
            yield package_of(found.target), found


# --- the import graph

DOTTED = re.compile(r"biosnn(?:\.\w+)+")
COMMAND = re.compile(r"(?:-m|\bfrom|\bimport)\s+(biosnn(?:\.\w+)*)")


def files_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Which file knows which: by an import, whenever it runs, or by a dotted path in a string.

    In an ``__init__``, the tables of lazy re-exports count, too ("training.loop" for a module).
    """
    names = {module.name for module in modules}

    def resolve(dotted: str) -> str:
        while dotted and dotted not in names:
            dotted = dotted.rpartition(".")[0]
        return dotted

    graph = {}
    for module in modules:
        known = {resolve(f"{found.target}.{found.name}".rstrip(".")) for found in module.imports}
        for text in module.strings:
            paths = [text] if DOTTED.fullmatch(text) else COMMAND.findall(text)
            named = {resolve(path) for path in paths}
            # Its own package is loaded before a module is: naming it (for data files) adds nothing.
            known |= {name for name in named if not within(module.name, name)}
            if module.is_init and f"{module.name}.{text}" in names:
                known.add(f"{module.name}.{text}")
        graph[module.name] = known - {"", module.name}
    return graph


def packages_graph(modules: list[Module]) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for name, known in files_graph(modules).items():
        packages = {package_of(other) for other in known} - {package_of(name)}
        graph.setdefault(package_of(name), set()).update(packages)
    return graph


def circles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """The strongly connected parts with more than one member (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                found.append(tuple(sorted(stack[start:])))
            del stack[start:]

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def shortest_circle(graph: dict[str, set[str]], members: tuple[str, ...]) -> list[str]:
    best: list[str] = []
    for start in members:
        paths = [[start]]
        seen = {start}
        while paths:
            path = paths.pop(0)
            if start in graph[path[-1]]:
                if not best or len(path) < len(best):
                    best = path
                break
            for other in sorted((graph[path[-1]] & set(members)) - seen):
                seen.add(other)
                paths.append([*path, other])
    return [*best, best[0]]


def floors(graph: dict[str, set[str]]) -> int:
    """The longest chain of imports, a circle being one floor."""
    home = {name: name for name in graph}
    for members in circles(graph):
        home.update(dict.fromkeys(members, members[0]))
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            below = {
                home[other]
                for name in graph
                if home[name] == node
                for other in graph[name]
                if other in home
            }
            heights[node] = 1 + max((height(other) for other in below - {node}), default=0)
        return heights[node]

    return max(height(home[name]) for name in graph)


# --- the rules


def every_package_has_a_layer(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.package and module.package not in LAYER:
            yield f"{module.path}: enter {module.package!r} in LAYERS and say who may import it"


def packages_import_lower_layers(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.package not in LAYER:
            continue
        for package, found in imported_packages(module):
            where = f"{module.path}:{found.line}"
            if package == "":
                yield f"{where}: imports biosnn itself; import from the module that has the name"
            elif LAYER.get(package, len(LAYERS)) > LAYER[module.package]:
                yield f"{where}: {module.package} must not import {package}"
            elif package not in (module.package, *INDEPENDENT.get(module.package, (package,))):
                allowed = " and ".join(INDEPENDENT[module.package]) or "nothing of biosnn"
                yield f"{where}: {module.package} imports {allowed}, but here {package}"


def packages_do_not_go_in_circles(modules: list[Module]) -> Iterator[str]:
    graph = packages_graph(modules)
    for members in circles({name: known for name, known in graph.items() if name}):
        yield " -> ".join(shortest_circle(graph, members)) + f"; among {', '.join(members)}"


def files_do_not_go_in_circles(modules: list[Module]) -> Iterator[str]:
    """No circle of any kind: lazy imports, imports for types and paths in strings count."""
    graph = files_graph(modules)
    for members in circles(graph):
        yield " -> ".join(shortest_circle(graph, members)) + f"; among {', '.join(members)}"


def imported_names_are_readable(modules: list[Module]) -> Iterator[str]:
    """``import_module`` takes a literal, but for lazy re-exports and the published equations.

    Those are data and import nothing of biosnn.
    """
    for module in modules:
        if module.is_init or module.package == "equations":
            continue
        for node in module.nodes:
            if isinstance(node, ast.Call) and callee(node) in ("import_module", "__import__"):
                literal = node.args and isinstance(node.args[0], ast.Constant)
                if not literal:
                    yield f"{module.path}:{node.lineno}: imports a computed name; write it out"


def only_cuda_modules_import_brian2cuda(modules: list[Module]) -> Iterator[str]:
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
                if not any(within(module.name, owner) for owner in CUDA_MODULES):
                    yield f"{where}: only {' and '.join(CUDA_MODULES)} import brian2cuda"
                elif not found.lazy and not program:
                    yield f"{where}: brian2cuda is optional; import it inside a function"


def only_device_packages_choose_devices(modules: list[Module]) -> Iterator[str]:
    for module in modules:
        if module.package in DEVICE_PACKAGES:
            continue
        for found in module.imports:
            if found.name == "set_device" and found.target.split(".")[0] == "brian2":
                yield f"{module.path}:{found.line}: only {DEVICE_PACKAGES} may have set_device"
        for node in module.nodes:
            if not isinstance(node, ast.Call):
                continue
            name = callee(node)
            if name not in ("set_device", "build"):
                continue
            whole = ast.unparse(node.func)
            owner = whole.rpartition(".")[0].split("(")[0].split(".")[-1]
            if (name == "set_device" and not whole.startswith("torch.")) or (
                name == "build" and owner in ("device", "get_device")
            ):
                yield f"{module.path}:{node.lineno}: only {DEVICE_PACKAGES} may call {whole}"


def torch_stays_in_surrogate(modules: list[Module]) -> Iterator[str]:
    """Only modules below biosnn.surrogate need torch, and nobody else needs those to be imported.

    The datasets may ask torchvision to download files, inside a function.
    """
    names = {module.name for module in modules}
    needs: dict[str, str] = {}
    grown = True
    while grown:
        grown = False
        for module in modules:
            for found in module.imports:
                dotted = found.target.split(".")
                if f"{found.target}.{found.name}" in names:
                    dotted.append(found.name)
                loads = {".".join(dotted[: n + 1]) for n in range(len(dotted))}
                loads = {name for name in loads if not within(module.name, name)}
                if module.name not in needs and not found.lazy and loads & {*TORCH, *needs}:
                    needs[module.name] = f"{module.path}:{found.line}"
                    grown = True
    for name, where in needs.items():
        if not name.startswith("biosnn.surrogate."):
            yield f"{where}: torch is optional, but {name} cannot be imported without it"
    for module in modules:
        for found in module.imports:
            target = found.target.split(".")[0]
            allowed = ("surrogate", "datasets") if target == "torchvision" else ("surrogate",)
            if target in TORCH and module.package not in allowed:
                yield f"{module.path}:{found.line}: only biosnn.surrogate imports {target}"


def inits_only_reexport(modules: list[Module]) -> Iterator[str]:
    """Lazy re-exports (a table, ``__getattr__`` and ``__dir__``) are re-exports, too."""
    for module in modules:
        if not module.is_init:
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
            yield f"{module.path}:{node.lineno}: an __init__ re-exports and does nothing else"


Rule = Callable[[list[Module]], Iterator[str]]
RULES: tuple[Rule, ...] = (
    every_package_has_a_layer,
    packages_import_lower_layers,
    packages_do_not_go_in_circles,
    files_do_not_go_in_circles,
    imported_names_are_readable,
    only_cuda_modules_import_brian2cuda,
    only_device_packages_choose_devices,
    torch_stays_in_surrogate,
    inits_only_reexport,
)


# --- the package keeps the rules


def read_modules(root: Path) -> list[Module]:
    paths = sorted((root / "biosnn").rglob("*.py"))
    return [Module(str(path.relative_to(root)), path.read_text("utf-8")) for path in paths]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return read_modules(ROOT)


def test_the_package_was_read(modules):
    assert {"biosnn", "biosnn.errors", "biosnn.models"} <= {module.name for module in modules}
    seen = [package for module in modules for package, _ in imported_packages(module)]
    assert "errors" in seen, "no module imports biosnn.errors: the imports were not read"
    assert "biosnn.devices.cpp.code_generation" in set().union(*files_graph(modules).values())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule, modules):
    breaches = list(rule(modules))
    assert not breaches, "\n".join(["", *breaches])


# --- the rules can be broken


def sources(**texts: str) -> list[Module]:
    """Modules given as ``path__of__module="source"``; ``of__package__`` is an ``__init__``."""
    paths = {
        name: "__init__" if name == "__init__" else re.sub("__$", "/__init__", name)
        for name in texts
    }
    return [
        Module(f"biosnn/{re.sub('(?<=[a-z0-9])__(?=[a-z_])', '/', path)}.py", texts[name])
        for name, path in paths.items()
    ]


def breaches(rule: Rule, **texts: str) -> list[str]:
    return list(rule(sources(**texts)))


def test_sources_are_named_as_files():
    paths = {module.path for module in sources(__init__="", a__="", a__b="", _a__b="")}
    assert paths == {
        "biosnn/__init__.py",
        "biosnn/a/__init__.py",
        "biosnn/a/b.py",
        "biosnn/_a/b.py",
    }


def test_an_unknown_package_is_reported():
    assert breaches(every_package_has_a_layer, helpers="x = 1")
    assert not breaches(every_package_has_a_layer, _encoding__direct="x = 1", models="x = 1")


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
def test_importing_a_higher_layer_is_reported(source):
    assert breaches(packages_import_lower_layers, models=source)
    assert breaches(packages_import_lower_layers, _models__parts=source.replace(" .", " .."))


def test_importing_lower_layers_is_allowed():
    source = "from biosnn import errors\nfrom .models import LIF\nimport numpy"
    assert not breaches(packages_import_lower_layers, networks=source)
    assert not breaches(packages_import_lower_layers, cli="from biosnn import doctor, datasets")


def test_a_network_does_not_know_its_lowered_form():
    assert breaches(packages_import_lower_layers, networks="from biosnn.program import lower")
    assert not breaches(packages_import_lower_layers, devices="from biosnn.program import lower")


def test_biosnn_itself_is_not_imported_from_inside():
    assert breaches(packages_import_lower_layers, networks="from biosnn import LIF")
    assert breaches(packages_import_lower_layers, networks="import biosnn")


def test_independent_packages_import_nothing():
    assert breaches(packages_import_lower_layers, validation="from biosnn.rng import philox4x32")
    assert not breaches(packages_import_lower_layers, validation="from biosnn.errors import E")
    assert breaches(packages_import_lower_layers, equations__lif="from biosnn.errors import E")
    assert not breaches(packages_import_lower_layers, equations__lif="from .common import unit")


def test_a_circle_of_packages_is_reported():
    there, back = "from biosnn.models import LIF", "from biosnn.plasticity.b import Rule"
    texts = {"models": back, "plasticity__a": there, "plasticity__b": ""}
    assert not breaches(files_do_not_go_in_circles, **texts)
    assert breaches(packages_do_not_go_in_circles, **texts)
    assert not breaches(packages_do_not_go_in_circles, **{**texts, "models": "import numpy"})


@pytest.mark.parametrize(
    "back",
    [
        "from biosnn.networks.a import A",
        "from biosnn.networks import a",
        "from . import a",
        "def f():\n    from .a import A",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import A",
        "def f():\n    import_module('biosnn.networks.a')",
        "def f():\n    import_module('.a', __package__)",
        "def f():\n    run([python, '-m', 'biosnn.networks.a'])",
        "def f():\n    run('python -m biosnn.networks.a --help', shell=True)",
        "def f():\n    run([python, '-c', 'from biosnn.networks.a import A; A()'])",
        "PLACE = 'biosnn.networks.a.A'",
    ],
)
def test_a_circle_of_files_is_reported(back):
    there = "from biosnn.networks.b import B"
    found = breaches(files_do_not_go_in_circles, networks__a=there, networks__b=back)
    assert found == [
        "biosnn.networks.a -> biosnn.networks.b -> biosnn.networks.a; "
        "among biosnn.networks.a, biosnn.networks.b"
    ]


def test_a_circle_by_way_of_an_init_is_reported():
    within_package = {
        "networks__": "from biosnn.networks.a import A",
        "networks__a": "from biosnn.networks import B",
    }
    assert breaches(files_do_not_go_in_circles, **within_package)
    table = {"networks__": "_HOMES = {'A': 'a'}", "networks__a": "from biosnn.networks import A"}
    assert breaches(files_do_not_go_in_circles, **table)


def test_a_long_circle_is_reported_once():
    chain = {f"networks__{a}": f"from .{b} import x" for a, b in ("ab", "bc", "ca")}
    assert len(breaches(files_do_not_go_in_circles, **chain)) == 1
    chain["networks__c"] = "f = factory(make, face='biosnn.networks.a')"
    assert not breaches(files_do_not_go_in_circles, **chain)
    chain["networks__c"] = '"""As in biosnn.networks.a."""\nraise E("see biosnn.networks.a")'
    assert not breaches(files_do_not_go_in_circles, **chain)


def test_naming_the_own_package_is_no_circle():
    texts = {"networks__": "from .a import A", "networks__a": "FILES = 'biosnn.networks'"}
    assert not breaches(files_do_not_go_in_circles, **texts)


def test_computed_imports_are_reported():
    assert breaches(imported_names_are_readable, cli="def f(n):\n    import_module(f'biosnn.{n}')")
    assert not breaches(imported_names_are_readable, cli="def f(n):\n    import_module('numpy')")
    lazy = "def __getattr__(name):\n    return import_module(f'biosnn.{name}')"
    assert not breaches(imported_names_are_readable, __init__=lazy)


def test_brian2cuda_elsewhere_or_at_once_is_reported():
    lazy = "def f():\n    import brian2cuda"
    assert not breaches(only_cuda_modules_import_brian2cuda, gpu=lazy)
    assert not breaches(only_cuda_modules_import_brian2cuda, devices__cuda__codegen=lazy)
    assert breaches(only_cuda_modules_import_brian2cuda, gpu="import brian2cuda")
    program = "import brian2cuda\nif __name__ == '__main__':\n    print(brian2cuda)"
    assert not breaches(only_cuda_modules_import_brian2cuda, devices__cuda__codegen=program)
    assert breaches(only_cuda_modules_import_brian2cuda, surrogate=program)
    for using in ("from biosnn.devices.cuda import codegen", "import biosnn.devices.cuda.codegen"):
        texts = {"devices__cuda__codegen": program, "gpu": using}
        assert breaches(only_cuda_modules_import_brian2cuda, **texts)
    assert breaches(only_cuda_modules_import_brian2cuda, devices__cpp=lazy)
    assert breaches(only_cuda_modules_import_brian2cuda, cli="import brian2cuda.device")
    dynamic = "import importlib\ndef f():\n    importlib.import_module('brian2cuda')"
    assert breaches(only_cuda_modules_import_brian2cuda, doctor=dynamic)


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
    assert breaches(only_device_packages_choose_devices, simulation=source)
    assert not breaches(only_device_packages_choose_devices, devices__cpp=source, gpu=source)


def test_other_builds_are_not_confused_with_brian2s():
    source = "def f(network):\n    network.build()\n    torch.cuda.set_device(0)"
    assert not breaches(only_device_packages_choose_devices, surrogate=source)


def test_torch_outside_surrogate_is_reported():
    lazy = "def f():\n    import torch"
    assert not breaches(torch_stays_in_surrogate, surrogate__cell="import torch.nn as nn")
    assert not breaches(torch_stays_in_surrogate, surrogate__=lazy)
    assert breaches(torch_stays_in_surrogate, surrogate__="import torch")
    assert breaches(torch_stays_in_surrogate, storage=lazy)
    assert breaches(torch_stays_in_surrogate, storage="class A:\n    from torch import nn")
    assert breaches(torch_stays_in_surrogate, datasets="try:\n    import torchvision\nfinally: 0")
    assert not breaches(torch_stays_in_surrogate, datasets=lazy.replace("torch", "torchvision"))
    assert breaches(torch_stays_in_surrogate, datasets=lazy)


def test_torch_through_a_module_of_surrogate_is_reported():
    cell = {"surrogate__cell": "import torch"}
    near = "from biosnn.surrogate.cell import Cell"
    lazily = "def compile():\n    from biosnn.surrogate import cell"
    types = "if TYPE_CHECKING:\n    from biosnn.surrogate import cell"
    for source in (lazily, types):
        assert not breaches(torch_stays_in_surrogate, **cell, surrogate__=source)
        assert not breaches(torch_stays_in_surrogate, **cell, simulation=source)
    assert breaches(torch_stays_in_surrogate, **cell, surrogate__=near)
    assert breaches(torch_stays_in_surrogate, **cell, simulation=near)
    assert breaches(
        torch_stays_in_surrogate, **cell, surrogate__a=near, surrogate__="from . import a"
    )


@pytest.mark.parametrize("init", ["__init__", "networks__", "devices__cpp__"])
def test_more_than_reexports_in_an_init_is_reported(init):
    good = '"""Doc."""\nfrom .models import LIF\n__version__ = "1"\n__all__ = ["LIF"]\n'
    assert not breaches(inits_only_reexport, **{init: good})
    assert not breaches(inits_only_reexport, **{init: "def __getattr__(name):\n    return 1"})
    for bad in ("def helper(): ...", "class A: ...", "print(1)", "x = 1", "if True:\n    x = 1"):
        assert breaches(inits_only_reexport, **{init: good + bad}), bad


def test_floors_are_the_longest_chain():
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == 3
    assert floors({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == 2
    assert circles({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == [("a", "b")]


def test_code_lines_are_those_that_run():
    module = Module(
        "a.py", '"""Doc.\n\nMore."""\n\n# Why.\nx = """a\n\nb"""\n\ndef f():\n    "D."\n'
    )
    assert code_lines(module) == 4


# --- the report


def code_lines(module: Module) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    lines: set[int] = set()
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type not in (*silent, tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in module.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def print_report(root: Path) -> None:
    """Lines per package, floors and circles, for the biosnn/ below a folder."""
    modules = read_modules(root)
    files: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    code: Counter[str] = Counter()
    for module in modules:
        for package in (module.package or "biosnn", "total"):
            files[package] += 1
            whole[package] += module.source.count("\n")
            code[package] += code_lines(module)
    print(f"{'package':16}{'files':>7}{'lines':>8}{'code':>8}")
    for package in [*sorted(files.keys() - {"total"}), "total"]:
        print(f"{package:16}{files[package]:7}{whole[package]:8}{code[package]:8}")
    for kind, graph in (
        ("files", files_graph(modules)),
        ("packages", {name: known for name, known in packages_graph(modules).items() if name}),
    ):
        found = circles(graph)
        print(f"\n{kind}: {len(graph)}, floors: {floors(graph)}, circles: {len(found)}")
        for members in found:
            print(f"  {len(members)}: {' -> '.join(shortest_circle(graph, members))}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--report"]:
        sys.exit(f"usage: python {sys.argv[0]} --report [FOLDER]")
    print_report(Path(*sys.argv[2:]) if sys.argv[2:] else ROOT)
