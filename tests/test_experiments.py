"""The contract of experiments, and every script in ``experiments/`` held to it."""

import argparse
import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Mohm, ms, mV
from patience import HANG
from PIL import Image
from typer.testing import CliRunner

from biosnn import experiments, plotting
from biosnn.cli import app
from biosnn.errors import DataError, ParameterError, StorageError
from biosnn.experiments import registry as library

KEYS = {
    "experiment",
    "metrics",
    "controls",
    "timing",
    "parameters",
    "seed",
    "device",
    "environment",
}
SHARED = {"device", "precision", "seed", "out", "smoke", "json", "quiet"}
ROOT = Path(__file__).resolve().parents[1]
QUICK = {"lif_membrane"}  # the others compile, and are slow
FLAGS = {
    "firing_patterns": ("--device", "runtime"),  # it would build four networks
    "event_data": ("--dataset", "shd"),  # the other one takes as long
}


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# --- the scripts


@dataclass
class Outcome:
    status: int
    stdout: str
    stderr: str
    seconds: float
    out: Path

    @property
    def report(self) -> dict[str, Any]:
        return strict((self.out / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def run_script(python, tmp_path_factory):
    """Run a script with flags, once for all tests of this file.

    Those that compile nothing run as ``python SCRIPT``, the others in a process that has imported
    biosnn already.
    """
    outcomes: dict[tuple[str, ...], Outcome] = {}

    def run(name: str, *flags: str) -> Outcome:
        if (name, *flags) not in outcomes:
            folder = tmp_path_factory.mktemp(name)
            script, out = experiments.find_experiment(name), folder / "out"
            command = [str(script), "--out", str(out), *flags]
            started = time.perf_counter()
            if name in QUICK:
                done = subprocess.run(
                    [sys.executable, *command], cwd=folder, capture_output=True, text=True,
                    timeout=HANG, check=False,
                )  # fmt: skip
            else:
                done = python(*command, cwd=folder)
            seconds = time.perf_counter() - started
            outcomes[name, *flags] = Outcome(
                done.returncode, done.stdout, done.stderr, seconds, out
            )
        return outcomes[name, *flags]

    return run


def scripts() -> list[Any]:
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in experiments.experiment_names()
    ]


def test_the_scripts_are_found():
    assert {"lif_membrane", "mnist_currents"} <= set(experiments.experiment_names())


@pytest.mark.parametrize("name", scripts())
def test_a_script_keeps_the_contract_and_draws(name, run_script):
    done = run_script(name, "--smoke", "--json", *FLAGS.get(name, ()))
    assert done.status == 0, done.stderr
    report = done.report
    assert strict(done.stdout.splitlines()[-1]) == report
    assert len(done.stdout.splitlines()) == 1, "with --json, only the report goes to stdout"
    assert report.keys() == KEYS
    assert report["experiment"] == name
    assert report["seed"] == report["parameters"]["seed"] == 0
    assert report["device"] == report["parameters"]["device"]
    assert report["parameters"].keys() >= SHARED
    assert report["metrics"]
    assert report["environment"].keys() == {"python", "packages", "cpu", "commit"}
    assert all(seconds >= 0 for key, seconds in report["timing"].items() if key.endswith("_s"))
    assert report["timing"], "a result is stated with the time it took"
    pictures = sorted(done.out.glob("*.png"))
    assert pictures
    for path in pictures:
        pixels = np.asarray(Image.open(path).convert("L"), dtype=float)
        assert min(pixels.shape) > 200, path.name
        assert pixels.std() > 10, f"{path.name} is blank"
        assert len(np.unique(pixels)) > 10, path.name
    assert not list(done.out.glob(".*")), "unfinished files were left behind"


@pytest.mark.slow
def test_events_of_files_are_learned_by_stdp_and_by_gradients(run_script):
    done = run_script("event_data", "--smoke", "--json", *FLAGS["event_data"])
    assert done.status == 0, done.stderr
    report = done.report
    metrics, controls = report["metrics"]["shd"], report["controls"]["shd"]
    assert report["parameters"]["synthetic"] is True
    assert report["parameters"]["sizes"]["shd"]["events_per_sample"] > 1000
    assert metrics["stdp_weight_change"] > 0.1
    assert metrics["stdp_spikes_per_sample"] > 3
    assert metrics["stdp_linear"] > controls["random_linear"] + 0.05
    assert metrics["gradients"] > controls["shuffled_labels"] + 0.1
    assert metrics["brian2_spikes"] > 50
    assert metrics["brian2_equal_counts"] == 1


@pytest.mark.parametrize("device", ["runtime", pytest.param("cpp", marks=pytest.mark.slow)])
def test_membranes_fire_at_the_closed_form_intervals(device, run_script):
    done = run_script("lif_membrane", "--smoke", "--json", "--device", device)
    assert done.status == 0, done.stderr
    metrics = done.report["metrics"]
    table = metrics["intervals"]
    assert table["current_nA"] == [0, 5, 6, 6.5, 0]
    assert table["n_intervals"][0] == table["n_intervals"][-1] == 0
    assert min(table["n_intervals"][1:-1]) >= 10, "every neuron fires twice under every current"
    assert len(metrics["spikes_per_neuron"]) == 10
    assert metrics["spikes"] == sum(metrics["spikes_per_neuron"]) >= 70
    dt = 0.1
    for current, closed, measured, error in zip(
        *(table[key][1:-1] for key in ("current_nA", "closed_form_ms", "measured_ms")),
        table["largest_error_ms"][1:-1],
        strict=True,
    ):
        assert closed == pytest.approx(1 + 5 * math.log(current / (current - 3)), rel=1e-9)
        assert abs(measured - closed) < dt
        assert error < dt
    assert table["closed_form_ms"][0] is None


@pytest.mark.slow
def test_membranes_are_the_same_on_both_devices(run_script):
    reports = [
        run_script("lif_membrane", "--smoke", "--json", "--device", device).report
        for device in ("runtime", "cpp")
    ]
    first, second = (report["metrics"] for report in reports)
    assert [report["device"] for report in reports] == ["runtime", "cpp"]
    assert first["spikes_per_neuron"] == second["spikes_per_neuron"]
    assert first["intervals"]["n_intervals"] == second["intervals"]["n_intervals"]
    assert first["intervals"]["measured_ms"][1:-1] == pytest.approx(
        second["intervals"]["measured_ms"][1:-1]
    )


def test_another_seed_starts_elsewhere(run_script):
    pictures = [
        (run_script("lif_membrane", *flags).out / "membrane.png").read_bytes()
        for flags in (("--smoke", "--json"), ("--quiet", "--seed", "1"), ("--quiet", "--seed", "0"))
    ]
    assert pictures[0] == pictures[2] != pictures[1]


@pytest.mark.slow
def test_currents_carry_the_image(run_script):
    done = run_script("mnist_currents", "--smoke", "--json")
    assert done.status == 0, done.stderr
    metrics, controls = done.report["metrics"], done.report["controls"]
    assert metrics["count_max"] == 9
    assert metrics["counts_monotone_in_pixel"] is True
    assert metrics["levels_off_closed_form"] == 0
    assert 500 < metrics["spikes_per_image"] < 2000
    assert 0.9 < metrics["correlation_min"] <= metrics["correlation_median"] < 1
    assert metrics["linear"] > 0.6, "chance is 0.1"
    assert controls["pixels_linear"] > 0.6
    assert abs(metrics["linear"] - controls["pixels_linear"]) < 0.15
    assert {path.stem for path in done.out.glob("*.png")} == {
        "membrane_raster",
        "reconstructions",
        "count_vs_pixel",
        "confusion",
    }


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data-dir", "nowhere"], "error: The data folder nowhere does not exist"),
        (["--image", "70", "--test", "50"], "must be below --test (50), got 70"),
    ],
)
def test_a_mistake_ends_with_a_sentence(flags, said, run_script):
    done = run_script("mnist_currents", *flags)
    assert done.status == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not done.stdout


DIGITS = ("mnist_stdp", "diehl_cook_2015", "rstdp_mnist", "mnist_surrogate", "ann2snn_mnist")


def refused(name: str, *flags: str, out: Path) -> str:
    """The sentence with which an experiment refuses its flags, before it does anything."""
    result = CliRunner().invoke(app, ["run", name, *flags, "--out", str(out)])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert not list(out.iterdir())
    return result.stderr


@pytest.mark.parametrize("name", [*DIGITS, "mnist_currents"])
@pytest.mark.parametrize("flag", ["--train", "--test"])
def test_more_samples_than_there_are_are_refused(name, flag, tmp_path):
    """W16: it took the 10,000 images that there are, and recorded 20000."""
    said = refused(name, flag, "20000", out=tmp_path)
    assert f"{name}.{flag} must be at most 10000, as many as there are, got 20000" in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("diehl_cook_2015 --label 10001", "--label must be at most 10000"),
        ("diehl_cook_2015 --train 50 --label 60", "--label must be at most 50"),
        ("ann2snn_mnist --train 50 --scaled-on 60", "--scaled-on must be at most 50"),
        ("mnist_stdp --train 50 --loop-samples 50", "--loop-samples must be at most 49"),
        ("mnist_surrogate --test 5 --deploy 6", "--deploy must be at most 5"),
        ("mnist_stdp --train 50 --validation 20 --test 21", "--test must be at most 20"),
        ("mnist_stdp --network diehl_cook_2015 --encoding direct", "--encoding must be left out"),
        ("mnist_stdp --network diehl_cook_2015 --readout latency", "--readout must be vote"),
        ("mnist_stdp --load no.biosnn --epochs 2", "--epochs must be left out with --load"),
        ("mnist_stdp --overwrite", "--overwrite must be left out without --save"),
        ("mnist_surrogate --device cpp", "--device must be left out without --deploy"),
        ("mnist_surrogate --net conv --deploy 5", "--deploy must be left out with --net conv"),
        ("mnist_surrogate --loss mse --scale 2", "--scale must be left out with --loss mse"),
        ("ann2snn_mnist --device cpp", "--device must be left out"),
        ("stdp_plus_gradient --device runtime", "--device must be left out"),
        ("surrogate_gallery --device=cpp", "--device must be left out"),
        ("rstdp_mnist --controls --control-epochs 3", "--control-epochs must be left out"),
    ],
)
def test_what_has_no_effect_is_refused(command, said, tmp_path):
    """W15: flags that nothing looked at, and counts that were cut without a word."""
    assert said in refused(*command.split(), out=tmp_path)


def test_defaults_take_what_there_is(args):
    made = experiments.parser("coin", "Toss a coin.")
    made.add_argument("--train", type=experiments.whole(1), default=experiments.UpTo(60))
    for flags, n, taken in (((), 50, 50), ((), 70, 60), (("--train", "70"), 70, 70)):
        parsed = made.parse_args([*flags, "--out", str(args().out)])
        assert experiments.available(parsed, "train", n) == parsed.train == taken
        assert experiments.given(parsed, "--train") == bool(flags)
    with pytest.raises(ParameterError, match=r"coin\.--train must be at most 69"):
        experiments.available(parsed, "train", 69)


# --- the library


@pytest.fixture
def args(tmp_path):
    def parse(*flags: str) -> argparse.Namespace:
        made = experiments.parser("coin", "Toss a coin.")
        made.add_argument("--tosses", type=experiments.whole(1), default=10)
        return made.parse_args(["--out", str(tmp_path / "out"), *flags])

    return parse


def test_the_parser_has_the_shared_flags(args, tmp_path):
    found = vars(args())
    assert SHARED | {"experiment", "command", "tosses"} == found.keys()
    assert found["experiment"] == "coin"
    assert found["device"] == "cpp"
    assert found["out"] == tmp_path / "out"
    made = experiments.parser("coin", "Toss a coin.", device="runtime")
    assert made.get_default("device") == "runtime"
    assert Path(made.get_default("out")) == Path("runs/coin")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--seed", "one"), "whole number from 0 to 2147483647, got 'one'"),
        (("--seed", "2147483648"), "got '2147483648'"),
        (("--tosses", "0"), "whole number from 1"),
        (("--device", "abacus"), "invalid choice: 'abacus'"),
        (("--precision", "half"), "invalid choice: 'half'"),
        (("--smok",), "unrecognized arguments"),
    ],
)
def test_the_parser_refuses(flags, said, args, capsys):
    with pytest.raises(SystemExit) as stopped:
        args(*flags)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_is_refused_at_once(args, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        args("--out", str(tmp_path / "file" / "deeper"))
    assert "must be a folder that you may write to" in capsys.readouterr().err


def test_help_shows_defaults_that_there_are(capsys):
    with pytest.raises(SystemExit):
        experiments.parser("coin", "Toss a coin.\n\nTwice.").parse_args(["--help"])
    said = capsys.readouterr().out
    assert "Toss a coin.\n\nTwice.\n" in said
    assert "(default: double)" in said
    assert "(default: 0)" in said
    assert "None" not in said
    assert "False" not in said


def test_the_report_is_written_and_shown(args, capsys):
    given = args("--tosses", "3")
    report = experiments.write_report(
        given,
        metrics={"heads": np.float32(0.5), "runs": np.array([2, 1]), "per_coin": {"euro": 1 / 3}},
        controls={"fair": 0.5},
        timing={"run_s": 0.25},
        parameters={"tau": 5 * ms, "R": 1 * Mohm},
    )
    said = capsys.readouterr()
    assert strict((given.out / "results.json").read_text("utf-8")) == report
    assert report.keys() == KEYS
    assert report["metrics"] == {"heads": 0.5, "runs": [2, 1], "per_coin": {"euro": 1 / 3}}
    assert report["parameters"]["tau"] == "5 ms"
    assert report["parameters"]["R"] == "1 Mohm"
    assert report["parameters"]["tosses"] == 3
    assert report["parameters"]["out"] == str(given.out)
    assert "experiment" not in report["parameters"]
    for text in (
        "coin",
        "heads",
        "0.5",
        "2, 1",
        "per_coin.euro",
        "0.3333",
        "fair",
        "run_s",
        "0.25",
    ):
        assert text in said.out
    assert not said.err
    assert [path.name for path in given.out.iterdir()] == ["results.json"]


def test_json_has_stdout_for_itself(args, capsys):
    report = experiments.write_report(args("--json"), metrics={"heads": 0.5})
    said = capsys.readouterr()
    assert [strict(line) for line in said.out.splitlines()] == [report]
    assert "heads" in said.err
    experiments.write_report(args("--json", "--quiet"), metrics={"heads": 0.5})
    said = capsys.readouterr()
    assert strict(said.out)["metrics"] == {"heads": 0.5}
    assert not said.err


def test_quiet_says_nothing(args, capsys):
    experiments.write_report(args("--quiet"), metrics={"heads": 0.5})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float64("nan"), None),
        (np.array([1.0, np.inf]), [1.0, None]),
        (np.array(2), 2),
        (np.int8(3), 3),
        (np.bool_(True), True),
        ((1, "a", None), [1, "a", None]),
        ((), []),
        (np.zeros((0, 3)), []),
        (range(3), [0, 1, 2]),
        ({1: {2: Path("a")}}, {"1": {"2": "a"}}),
        (-65 * mV, "-65 mV"),
        (5 * ms / (10 * ms), 0.5),
        (np.array([1, 2]) * ms, ["1 ms", "2 ms"]),
    ],
)
def test_values_become_plain_data(value, plain):
    found = experiments.plain_data(value)
    assert found == plain
    assert type(found) is type(plain)
    assert strict(json.dumps(found, allow_nan=False)) == plain


def test_a_report_that_cannot_be_written_leaves_the_old_one(args, monkeypatch):
    given = args("--quiet")
    experiments.write_report(given, metrics={"heads": 1})
    before = (given.out / "results.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(
        StorageError, match=r"results\.json cannot be written: No space left on device"
    ):
        experiments.write_report(given, metrics={"heads": 2})
    assert (given.out / "results.json").read_bytes() == before
    assert [path.name for path in given.out.iterdir()] == ["results.json"]


def test_a_figure_is_saved_under_its_name(args):
    given = args()
    axes = plotting.raster([0, 1], [1, 2] * ms)
    assert experiments.save_figure(given, axes, "spikes") == given.out / "spikes.png"
    assert experiments.save_figure(given, axes, "again.png") == given.out / "again.png"
    assert {path.name for path in given.out.iterdir()} == {"spikes.png", "again.png"}


def test_the_environment_names_versions_and_cpu():
    found = experiments.environment()
    assert found["packages"].keys() == {"biosnn", "brian2", "numpy", "scipy", "scikit-learn"}
    assert found["packages"]["numpy"] == np.__version__
    assert found["python"] == sys.version.split()[0]
    assert found["cpu"]


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    done = subprocess.run(
        ["git", *identity, *command], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_of_no_other(tmp_path, monkeypatch):
    package = tmp_path / "site-packages"
    package.mkdir()
    monkeypatch.setattr("biosnn.experiments.harness._ROOT", package)
    assert experiments.environment()["commit"] == "unknown"
    (tmp_path / "code").write_text("1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "code")
    git(tmp_path, "commit", "--quiet", "-m", "First")
    assert experiments.environment()["commit"] == "unknown", "the checkout around the environment"
    monkeypatch.setattr("biosnn.experiments.harness._ROOT", tmp_path)
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert experiments.environment()["commit"] == commit
    (tmp_path / "code").write_text("2")
    assert experiments.environment()["commit"] == f"{commit}-dirty"
    monkeypatch.setenv("PATH", "")
    assert experiments.environment()["commit"] == "unknown", "without git"


def test_main_turns_errors_into_a_sentence(capsys):
    def fail():
        raise DataError("the data are not there; fetch them")

    with pytest.raises(SystemExit) as stopped:
        experiments.main(fail)
    assert stopped.value.code == 2
    assert capsys.readouterr() == ("", "error: the data are not there; fetch them\n")


def test_main_says_that_it_was_interrupted(capsys):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        experiments.main(interrupt)
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_main_hides_no_bug_and_does_nothing_else():
    calls = []
    experiments.main(lambda: calls.append(1))
    assert calls == [1]
    with pytest.raises(ZeroDivisionError):
        experiments.main(lambda: 1 / 0)


def test_experiments_are_those_that_come_with_biosnn(tmp_path, monkeypatch):
    """Of the checkout, or of the installed package; never those of the present folder (S2)."""
    checkout, here = tmp_path / "checkout", tmp_path / "here"
    for folder, names in ((checkout, ("both", "theirs", "_part")), (here, ("both", "mine"))):
        (folder / "experiments").mkdir(parents=True)
        for name in names:
            (folder / "experiments" / f"{name}.py").write_text('"""What it is.\n\nMore."""')
    (checkout / "experiments" / "notes.txt").write_text("")
    (checkout / "pyproject.toml").write_text("")
    monkeypatch.setattr(library, "_ROOT", checkout)
    monkeypatch.chdir(here)
    assert experiments.experiment_names() == ("both", "theirs")
    assert experiments.find_experiment("both") == checkout / "experiments" / "both.py"
    assert experiments.summary("both") == "What it is."
    for name in ("_part", "mine", "../here/experiments/mine", "both.py", ""):
        with pytest.raises(ParameterError, match="must be one of both, theirs"):
            experiments.find_experiment(name)
    (checkout / "pyproject.toml").unlink()  # as if installed
    monkeypatch.setattr(library.resources, "files", lambda package: checkout / package)
    assert experiments.experiment_names() == ()
    with pytest.raises(ParameterError, match=r"none: .*scripts is missing, install biosnn again"):
        experiments.find_experiment("both")
    (checkout / "experiments").rename(checkout / "scripts")
    (checkout / "biosnn.experiments").mkdir()
    (checkout / "scripts").rename(checkout / "biosnn.experiments" / "scripts")
    assert experiments.experiment_names() == ("both", "theirs")


# Interrupted experiments


def start_and_interrupt(out: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Start the MNIST experiment, and send a signal after its first checkpoint."""
    command = [sys.executable, str(ROOT / "experiments" / "mnist_stdp.py"), *LONG]
    with subprocess.Popen(
        [*command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        while child.poll() is None and not list(out.rglob("checkpoint-*.biosnn")):
            time.sleep(0.01)
        child.send_signal(number)
        said = child.communicate()
    return subprocess.CompletedProcess(command, child.returncode, *said)


LONG = (
    "--neurons", "50", "--train", "2000", "--test", "100", "--epochs", "4", "--encoding", "poisson",
    "--checkpoint-every", "500", "--no-controls", "--json",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(python, tmp_path_factory) -> Path:
    """The folder of the same experiment without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    script = ROOT / "experiments" / "mnist_stdp.py"
    assert python(script, *LONG, "--out", str(folder)).returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_experiment_goes_on(number, whole, python, tmp_path):
    out = tmp_path / "run"
    stopped = start_and_interrupt(out, number)
    assert stopped.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert f"biosnn resume {out}" in stopped.stderr
    assert not (out / "results.json").exists()

    again = python(*stopped.args[1:], "--out", str(out))
    assert again.returncode == 2
    assert "holds an interrupted run" in again.stderr
    assert "--restart" in again.stderr
    resumed = python("biosnn", "resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    weights = np.load(out / "arrays.npz")["weights"]
    assert np.ptp(weights) > 0.1
    np.testing.assert_array_equal(weights, np.load(whole / "arrays.npz")["weights"])
    ended = python("biosnn", "resume", str(out))
    assert ended.returncode == 2
    assert "has ended" in ended.stderr


def test_only_experiments_are_resumed(tmp_path):
    with pytest.raises(StorageError, match=r"no command\.json.*resume=True"):
        experiments.interrupted_command(tmp_path)
    (tmp_path / "command.json").write_text("{")
    with pytest.raises(StorageError, match=r"command\.json is damaged"):
        experiments.interrupted_command(tmp_path)
