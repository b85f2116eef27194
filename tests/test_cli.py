"""The command line: what it prints, its exit status, and that errors are sentences."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from patience import HANG
from PIL import Image
from typer.testing import CliRunner

import biosnn
from biosnn import datasets, doctor, files, networks, plotting, storage, surrogate
from biosnn.cli import app, figures
from biosnn.cli.catalog import catalog
from biosnn.devices.base.cache import cached, entries
from biosnn.models import LIBRARY
from biosnn.readout import PopulationReadout, VoteReadout
from biosnn.state import State

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal so wide that no table breaks a line."""
    monkeypatch.setenv("COLUMNS", "400")


def call(*arguments: object):
    return CliRunner().invoke(app, [str(part) for part in arguments])


def done(*arguments: object) -> str:
    """What a command printed that went well."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def failed(*arguments: object) -> str:
    """The one sentence of a command that went wrong."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    return result.stderr


# --- the command itself


def test_version_and_help() -> None:
    assert done("--version") == f"biosnn {biosnn.__version__}\n"
    shown = done("--help")
    for command in ("run", "models", "doctor", "classify", "plot", "cache"):
        assert command in shown
        assert command in done(command, "--help")


def test_usage_errors_say_what_is_missing() -> None:
    for arguments, part in (((), "Usage"), (("classify",), "MODEL"), (("fly",), "fly")):
        result = call(*arguments)
        assert result.exit_code == 2
        assert part in result.output


def test_python_dash_m_is_light() -> None:
    """CPU time, because other processes do not lengthen it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "biosnn", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shown.stdout.startswith("Usage: biosnn ")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_importing_the_command_imports_nothing_heavy() -> None:
    heavy = ("brian2", "numpy", "scipy", "sklearn", "matplotlib", "rich.console", "safetensors")
    code = f"import sys, biosnn.cli; print(*set({heavy}) & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "\n"


# --- run


SCRIPT = """
import sys
from pathlib import Path
import _shared
if __name__ == "__main__":
    print("arguments:", *sys.argv[1:])
    assert Path(sys.argv[0]).stem == "hello"
    if "--fail" in sys.argv:
        from biosnn.errors import ParameterError
        raise ParameterError("hello", "x", -1, "> 0")
    if "--module" in sys.argv:
        name = sys.argv[-1]
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    if "--bug" in sys.argv:
        raise RuntimeError("a bug")
    sys.exit(_shared.STATUS if "--status" in sys.argv else 0)
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "hello.py").write_text(SCRIPT)
    (folder / "_shared.py").write_text("STATUS = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "_shared", raising=False)
    return folder


def test_run_passes_everything_on(scripts: Path) -> None:
    argv, path = list(sys.argv), list(sys.path)
    flags = ("--seed", "3", "--json", "--help", "--version", "--", "-x", "more")
    assert done("run", scripts / "hello.py", *flags) == f"arguments: {' '.join(flags)}\n"
    assert (sys.argv, sys.path) == (argv, path)
    assert call("run", scripts / "hello.py", "--status").exit_code == 7


def test_run_lists_the_experiments(scripts: Path) -> None:
    """C10: those that come with biosnn, a line for each; a script of one's own is a path."""
    lines = done("run").splitlines()
    names = [line.split()[0] for line in lines]
    assert {"mnist_stdp", "lif_membrane", "train_adex"} <= set(names)
    assert not {"hello", "_mnist", "_shared"} & set(names)
    for line in lines:
        assert re.fullmatch(r"\w+ +[A-Z\d].{20,}", line), line
    message = failed("run", "hello")
    for name in names:
        assert name in message
    assert "such as ./mine.py" in message
    assert "script that exists" in failed("run", "./hello.py")


def test_the_list_is_light() -> None:
    """No Brian2 for a list."""
    code = (
        "import sys, biosnn.cli.commands as c; c.run(None); "
        "print(*{'brian2', 'matplotlib', 'scipy', 'rich.console'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == ""


def test_errors_of_a_script(scripts: Path) -> None:
    path = scripts / "hello.py"
    assert failed("run", path, "--fail") == "error: hello.x must be > 0, got -1\n"
    assert isinstance(call("run", path, "--bug").exception, RuntimeError), "bugs stay visible"


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "torch"),
        ("torchvision.models", "torch"),
        ("nir", "nir"),
        ("dask_jobqueue", "sweeps"),
    ],
)
def test_a_missing_extra_is_named(module: str, extra: str, scripts: Path) -> None:
    package = module.partition(".")[0]
    assert failed("run", scripts / "hello.py", "--module", module) == (
        f'error: this needs {package}, which is not installed: pip install "biosnn[{extra}]"\n'
    )


def test_a_missing_module_of_no_extra_is_a_bug(scripts: Path) -> None:
    error = call("run", scripts / "hello.py", "--module", "numpyy").exception
    assert isinstance(error, ModuleNotFoundError)


# --- models


def test_models_lists_the_library() -> None:
    shown = done("models")
    for name in (*LIBRARY, "pair_stdp", "resume", "poisson", "direct", "address_events"):
        assert f"\n{name} " in shown
    for _, module in LIBRARY.values():
        assert module.REFERENCE in shown
    assert "doi:10.1038/78829" in shown
    assert "encoders" in shown
    assert "check_value" not in shown


@pytest.mark.parametrize("name", LIBRARY)
def test_a_model_is_shown_as_it_is_declared(name: str) -> None:
    module = LIBRARY[name][1]
    shown = done("models", name)
    for line in module.EQUATIONS.strip().splitlines():
        assert line in shown
    for part in (module.THRESHOLD, module.RESET, module.REFERENCE, "https://doi.org/10."):
        assert part is None or part in shown
    for parameter, (_, bound, meaning) in module.PARAMETERS.items():
        row = next(line for line in shown.splitlines() if line.startswith(f"{parameter} "))
        assert bound in row
        assert meaning in row
    for variable in module.INITIAL:
        assert f"{variable} = " in shown


def test_numbers_read_well() -> None:
    shown = done("models", "lif")
    assert "-65 mV" in shown
    assert "1 Mohm" in shown
    assert "theta_0  500 " in done("models", "competitive")


def test_rules_and_encoders_are_shown() -> None:
    shown = done("models", "pair_stdp")
    for part in (
        "on a presynaptic spike   w = clip(w - A_minus*y_post, w_min, w_max)",
        "on a postsynaptic spike  w = clip(w + A_plus*x_pre, w_min, w_max)",
        "x += 1 on a spike, tau = 20 ms",
        "https://doi.org/10.1038/78829",
    ):
        assert part in shown
    for name, default, meaning in (
        ("A_minus", "0.0105", "Amplitude of depression, >= 0"),
        ("pairing", "all", "All pairs, or each spike with the nearest"),
    ):
        assert re.search(rf"^{name} +{default} +{meaning}", shown, re.MULTILINE)
    shown = done("models", "poisson")
    assert "t_sample + dt >= t_next" in shown
    assert "128 Hz" in shown


ENTRIES = {kind: [entry.name for entry in entries] for kind, entries in catalog().items()}


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_entry_can_be_shown(kind: str) -> None:
    assert len(ENTRIES[kind]) > 10
    assert len(set(ENTRIES[kind])) == len(ENTRIES[kind])
    for entry in catalog()[kind]:
        shown = done("models", entry.name)
        assert f"{entry.name}: " in shown
        assert f"{entry.call}(...)" in shown
        assert entry.summary.endswith((".", ":")), entry
        for name, _, _, meaning in entry.parameters:
            assert meaning, f"{entry.name}.{name} is not documented"
        if kind != "encoders" and entry.name != "combined":
            assert "doi:10." in entry.reference, entry.name


def test_the_page_of_the_documentation_is_that_of_the_specs() -> None:
    written = (Path(__file__).parents[1] / "docs" / "library.md").read_text()
    assert written.count("\n### ") == sum(map(len, ENTRIES.values()))
    # In a process of its own, as somebody writes it who runs the command.
    command = [sys.executable, "-m", "biosnn", "models", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG)
    assert written == printed.stdout, "biosnn models --markdown > docs/library.md"


def test_an_unknown_model() -> None:
    message = failed("models", "hodgkin")
    assert "'hodgkin'" in message
    assert "lif, " in message
    assert "pair_stdp" in message


# --- doctor


def check(status: str) -> doctor.Check:
    remedy = "" if status == "ok" else "Mend [it]."
    return doctor.Check(name="a part", status=status, found="what", wanted="that", remedy=remedy)


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_doctor(status: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda: [check("ok"), check(status)])
    result = call("doctor")
    assert result.exit_code == code
    assert "a part" in result.stdout
    assert ("Mend [it]." in result.stdout) == (status != "ok")
    result = call("doctor", "--json")
    assert result.exit_code == code
    report = json.loads(result.stdout)
    assert report["exit_status"] == code
    assert [found["status"] for found in report["checks"]] == ["ok", status]


# --- cache


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an old build of a network and a young one without a manifest."""
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path / "cache"))
    manifest = {"device": "cpp", "interface": {"name": "wta", "precision": "single"}}

    def old(folder: Path) -> None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "main").write_bytes(bytes(5 * 2**20))

    for key, make, days in (("a" * 32, old, 3), ("b" * 32, lambda folder: None, 0)):
        folder, made = cached(key, make, lambda folder: None)
        assert made
        os.utime(folder, (then := time.time() - days * 86400, then))
    return tmp_path / "cache" / "builds"


def test_cache_lists_builds(builds: Path) -> None:
    shown = done("cache", "list")
    title, young, old, total = shown.splitlines()
    assert title.split() == ["network", "device", "precision", "size", "age", "key"]
    assert old.split() == ["wta", "cpp", "single", "5.0", "MiB", "3", "d", "a" * 32]
    assert young.split() == ["(damaged)", "?", "?", "0", "B", "now", "b" * 32]
    assert total == f"2 builds, 5.0 MiB in {builds.parent}"
    assert done("cache") == shown
    report = done("cache", "--json")
    assert report == done("cache", "list", "--json")
    assert report.count("\n") == 1
    found = json.loads(report)
    assert found["folder"] == done("cache", "path").strip() == str(builds.parent)
    assert [entry["key"] for entry in found["entries"]] == ["b" * 32, "a" * 32]
    assert found["bytes"] == found["entries"][1]["bytes"] > 5 * 2**20
    assert found["entries"][1]["network"] == "wta"
    assert "behind the command" in failed("cache", "--json", "path")


def test_an_empty_cache_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOSNN_CACHE_DIR", str(tmp_path / "none"))
    assert done("cache") == f"0 builds, 0 B in {tmp_path / 'none'}\n"
    assert json.loads(done("cache", "--json"))["entries"] == []
    (tmp_path / "none").write_text("a file")
    assert "BIOSNN_CACHE_DIR" in failed("cache")


def test_cache_clear(builds: Path) -> None:
    shown = done("cache", "clear", "--yes", "--older-than", "2.5")
    assert shown == f"removed 1 build, 5.0 MiB; 1 build left in {builds.parent}\n"
    assert [entry.key for entry in entries()] == ["b" * 32]
    assert done("cache", "clear", "--yes").startswith("removed 1 build, 0 B; 0 builds left")
    assert entries() == []


def test_cache_clear_does_not_guess(builds: Path) -> None:
    assert len(entries()) == 2
    assert "--yes must be given" in failed("cache", "clear")
    assert "older_than_days must be >= 0" in failed("cache", "clear", "--yes", "--older-than", "-1")
    assert len(entries()) == 2


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 2), ("", 1, 2), ("y", 0, 0)])
def test_cache_clear_asks_at_a_terminal(answer: str, code: int, left: int, builds: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        command = [sys.executable, "-m", "biosnn", "cache", "clear"]
        shown = subprocess.run(
            command, stdin=theirs, capture_output=True, text=True, check=False, timeout=HANG
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert f"Remove all builds in {builds.parent}?" in shown.stdout
    assert shown.returncode == code
    assert len(entries()) == left


# --- classify


def untrained(theta: float, **settings) -> storage.TrainedModel:
    """A network of four neurons that never learned, each voting for its own class."""
    network = networks.winner_take_all(784, 4, encoding="direct", theta=theta, **settings)
    return storage.TrainedModel(
        network=network,
        state=network.initial_state(1),
        readout=VoteReadout(n_classes=4).fit(np.eye(4), np.arange(4)),
        preprocessing={"scale_norm": 9.2},
        observed="exc.count",
        precision="single",
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{k}.png" for k in range(3)]
    images = datasets.load_digits().test.images
    for path, image in zip(paths, images, strict=False):
        Image.fromarray(image).save(path)
    return paths


def test_classify(pictures: list[Path], tmp_path: Path) -> None:
    model = untrained(theta=100.0)
    path = storage.save_model(model, tmp_path / "model.biosnn")
    images = datasets.load_digits().test.flat()[:3]
    labels = model.classify(images)
    assert (labels >= 0).all()
    shown = done("classify", path, *pictures)
    expected = [f"{picture}: {label}" for picture, label in zip(pictures, labels, strict=True)]
    assert shown.splitlines() == expected
    report = json.loads(done("classify", path, *pictures, "--json"))
    assert [found["label"] for found in report["predictions"]] == labels.tolist()
    assert [found["image"] for found in report["predictions"]] == [str(k) for k in pictures]
    assert "'abacus'" in failed("classify", path, pictures[0], "--device", "abacus")


def test_classify_says_when_a_network_is_silent(pictures: list[Path], tmp_path: Path) -> None:
    path = storage.save_model(untrained(theta=1e6), tmp_path / "silent.biosnn")
    assert done("classify", path, pictures[0]) == f"{pictures[0]}: -1 (silent)\n"
    report = json.loads(done("classify", path, pictures[0], "--json"))
    assert report["predictions"] == [{"image": str(pictures[0]), "label": -1}]


def test_classify_refuses_what_it_cannot_read(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = storage.save_model(untrained(theta=100.0), tmp_path / "model.biosnn")
    monkeypatch.setattr(storage.TrainedModel, "classify", None)  # nothing may be simulated
    assert "missing.png" in failed("classify", path, tmp_path / "missing.png")
    assert "does not exist" in failed("classify", tmp_path / "no.biosnn", pictures[0])
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in failed("classify", path, pictures[0])


def test_a_bad_picture_does_not_keep_the_others_back(pictures: list[Path], tmp_path: Path) -> None:
    """C9: a blank one ended the whole batch."""
    path = storage.save_model(untrained(theta=100.0), tmp_path / "model.biosnn")
    blank, broken = tmp_path / "blank.png", tmp_path / "broken.png"
    Image.new("L", (50, 50), "white").save(blank)
    broken.write_text("no picture")
    batch = (pictures[0], blank, pictures[1], broken)
    alone = [done("classify", path, picture) for picture in pictures[:2]]
    result = call("classify", path, *batch)
    assert result.exit_code == 1
    assert result.stdout == "".join(alone)
    # On a slow machine there is progress, too.
    first, second = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert "blank.png shows no ink" in first
    assert "broken.png cannot be read" in second
    result = call("classify", path, *batch, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["predictions"]
    assert ["label" in one for one in found] == [True, False, True, False]
    assert "shows no ink" in found[1]["error"]


def test_classify_takes_pictures_of_the_size_of_the_model(tmp_path: Path) -> None:
    """C11: 28 x 28 only. Colours and other sizes are what the model says."""
    network = networks.winner_take_all(5 * 4 * 3, 4, encoding="direct", theta=100.0)
    model = storage.TrainedModel(
        network=network,
        state=network.initial_state(1),
        readout=VoteReadout(n_classes=4).fit(np.eye(4), np.arange(4)),
        preprocessing={"scale_norm": 9.2},
        observed="exc.count",
        shape=(5, 4, 3),
    )
    path = storage.save_model(model, tmp_path / "model.biosnn")
    colours = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "colours.png")
    label = model.classify(colours[None])[0]
    assert label >= 0
    picture = tmp_path / "colours.png"
    assert done("classify", path, picture) == f"{picture}: {label}\n"


@pytest.mark.parametrize("command", ["classify", "plot"])
def test_a_checkpoint_of_surrogate_training_is_named(command: str, tmp_path: Path) -> None:
    """C9: a function was named that does not exist."""
    path = tmp_path / "checkpoint-best.biosnn"
    files.write(path, files.packed("training", {}, {}), overwrite=False)
    message = failed(command, path, *(["a.png"] if command == "classify" else []))
    assert "holds a training, not a model" in message
    assert "surrogate.load_module" in message
    assert hasattr(surrogate, "load_module")


# --- plot


ARRAYS = {
    "weights": RNG.random((784, 120)),
    "shape": np.array([28, 28]),
    "counts": RNG.poisson(1.0, (20, 120)),
    "labels": np.arange(30) % 3,
    "predictions": np.arange(30) % 4 - 1,
    "learning_n": np.array([100, 200]),
    "learning_vote": np.array([0.3, 0.5]),
    "spikes_i": np.array([0, 3, 2]),
    "spikes_t": np.array([0.001, 0.002, 0.004]),
    "v": RNG.normal(-0.06, 0.002, (7, 50)),
    "v_t": np.arange(50) * 1e-3,
}


def drawn(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.png")}


def test_plot_draws_all_that_is_there(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "arrays.npz", **ARRAYS)
    shown = done("plot", tmp_path).splitlines()
    assert shown == [str(tmp_path / "figures" / f"{name}.png") for name in figures.FIGURES]
    for path in shown:
        with Image.open(path) as image:
            assert min(image.size) > 100
    done("plot", tmp_path, "--out", tmp_path / "elsewhere")
    assert drawn(tmp_path / "elsewhere") == set(figures.FIGURES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("weights",), {"receptive_fields", "weights"}),
        (("counts",), {"activity"}),
        (("labels", "predictions"), {"confusion"}),
        (("learning_n", "learning_vote"), {"learning_curve"}),
        (("spikes_i", "spikes_t", "v"), {"raster"}),
        (("v", "v_t"), {"membrane"}),
    ],
)
def test_plot_leaves_out_what_is_missing(names, expected, tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **{name: ARRAYS[name] for name in names})
    done("plot", tmp_path)
    assert drawn(tmp_path / "figures") == expected


def test_the_most_active_neurons_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    monkeypatch.setattr(plotting, "receptive_fields", lambda *_, order, **__: orders.append(order))
    counts = np.zeros((5, 120))
    counts[:, 117] = 2
    for arrays in ({**ARRAYS, "counts": counts}, {**ARRAYS, "counts": counts[:, :9]}):
        figures._receptive_fields(arrays)
    assert orders[0][:2].tolist() == [117, 0]
    assert orders[1].tolist() == list(range(100))


def test_weights_without_a_layout_are_a_histogram_only(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", weights=RNG.random((7, 3)))
    done("plot", tmp_path)
    assert drawn(tmp_path / "figures") == {"weights"}


def test_nothing_to_draw_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    assert "holds nothing to draw" in failed("plot", tmp_path)
    np.savez(tmp_path / "arrays.npz", learning_n=np.empty(0), spikes_i=[], spikes_t=[])
    assert "holds nothing to draw" in failed("plot", tmp_path)
    assert "does not exist" in failed("plot", tmp_path / "nowhere")
    assert not (tmp_path / "figures").exists()


def test_broken_arrays_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, v=np.array([print], dtype=object))  # would have to be unpickled
    assert "cannot be read" in failed("plot", tmp_path)
    np.savez(path, **ARRAYS)
    path.write_bytes(path.read_bytes()[:5000])
    assert "cannot be read" in failed("plot", tmp_path)
    path.write_bytes(b"nothing")
    assert "cannot be read" in failed("plot", tmp_path)


def test_one_bad_array_does_not_keep_the_others_back(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **{**ARRAYS, "counts": np.full((20, 120), np.nan)})
    message = failed("plot", tmp_path)
    assert "activity_heatmap.counts" in message
    assert drawn(tmp_path / "figures") == set(figures.FIGURES) - {"activity"}


def test_one_bad_model_does_not_keep_the_others_back(tmp_path: Path) -> None:
    """C9: the first broken file ended the command."""
    for name in ("a", "c"):
        storage.save_model(untrained(theta=100.0), tmp_path / f"{name}.biosnn")
    (tmp_path / "b.biosnn").write_bytes(b"nothing")
    assert "b.biosnn is not a .biosnn file" in failed("plot", tmp_path)
    wanted = {f"{name}_{kind}" for name in "ac" for kind in ("receptive_fields", "weights")}
    assert drawn(tmp_path / "figures") == wanted


def test_plot_reads_no_bombs(tmp_path: Path) -> None:
    """S8: arrays of a gigabyte in a file of a megabyte."""
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, counts=np.zeros((1, 2**26)))
    assert path.stat().st_size < 10**6
    assert "more than the 268435456" in failed("plot", tmp_path)


def test_plot_draws_models(tmp_path: Path) -> None:
    path = storage.save_model(untrained(theta=100.0), tmp_path / "model.biosnn")
    assert len(done("plot", path).splitlines()) == 2
    assert drawn(tmp_path / "figures") == {"receptive_fields", "weights"}
    done("plot", tmp_path, "--out", tmp_path / "all")
    assert drawn(tmp_path / "all") == {"model_receptive_fields", "model_weights"}


def test_weights_between_neurons_are_no_images(tmp_path: Path) -> None:
    network = networks.winner_take_all(784, 9, encoding="direct", n_classes=3)
    model = storage.TrainedModel(
        network=network,
        state=network.initial_state(),
        readout=PopulationReadout(3).fit(np.ones((1, 3))),
        observed="readout.count",
    )
    path = storage.save_model(model, tmp_path / "model.biosnn")
    done("plot", path)
    expected = {"inp_exc_receptive_fields", "inp_exc_weights", "exc_readout_weights"}
    assert drawn(tmp_path / "figures") == expected


def test_a_model_without_weights_is_nothing_to_draw(tmp_path: Path) -> None:
    network = networks.winner_take_all(9, 4)
    bare = networks.NetworkModel(
        name="bare",
        dt=network.dt,
        inputs=network.inputs,
        populations={"inp": network.populations["inp"]},
        presentation=network.presentation,
        output="inp",
    )
    state = bare.initial_state()
    assert isinstance(state, State)
    model = storage.TrainedModel(network=bare, state=state, observed="inp.count")
    path = storage.save_model(model, tmp_path / "bare.biosnn")
    assert "nothing to draw" in failed("plot", path)
