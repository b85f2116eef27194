"""Fixtures for all tests: a build cache that stays between runs, and a Brian2 without leftovers."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import code_server
import hypothesis
import pytest
from build_log import BuildLog

from biosnn.devices.base import cache

BUILD_CACHE = Path(__file__).parents[1] / ".test-cache"
BUILDS_KEPT = 1000

# SymPy forgets after 1,000 results by default, and then works out large neurons again and again.
os.environ.setdefault("SYMPY_CACHE_SIZE", "100000")

# Each test process has a core of its own: threads of PyTorch and BLAS would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test may depend on how fast the machine is: an example may take as long as it takes.
hypothesis.settings.register_profile("daily", deadline=None, max_examples=30)
hypothesis.settings.register_profile("all", deadline=None, max_examples=300)
hypothesis.settings.load_profile("daily")


_tests_begun = itertools.count()


def pytest_runtest_setup() -> None:
    """Every 20 tests, leave what is alive out of garbage collections to come.

    Brian2 collects garbage at every run, which took a second each beside SymPy's results.
    """
    if next(_tests_begun) % 20 == 0:
        gc.collect()
        gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--builds", metavar="FILE", type=Path, help="log CPU seconds and builds")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--builds")
    if path is not None:
        config.pluginmanager.register(BuildLog(path.absolute()))


@pytest.fixture(scope="session", autouse=True)
def build_cache() -> Iterator[Path]:
    """The build cache of all test runs: keys hash the sources, so what is in it fits.

    Programs are compiled at a low level of optimisation, because their speed is not tested;
    ``parity/test_100_ms.py`` holds it against the level that users get.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOSNN_CACHE_DIR", str(BUILD_CACHE))
        patch.setenv("BIOSNN_OPTIMISATION", os.environ.get("BIOSNN_OPTIMISATION", "1"))
        if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
            remove_old_builds()
        yield BUILD_CACHE


@pytest.fixture(scope="session", autouse=True)
def servers(pytestconfig: pytest.Config, build_cache: Path) -> Iterator[code_server.Servers | None]:
    """Code of networks is written by a server, unless CPU seconds are logged."""
    if pytestconfig.getoption("--builds") is not None:
        yield None
        return
    # Sockets have short paths, which those of tmp_path need not be.
    with tempfile.TemporaryDirectory() as folder, code_server.installed(Path(folder)) as found:
        yield found


@pytest.fixture(scope="session")
def python(servers: code_server.Servers | None) -> Callable[..., CompletedProcess[str]]:
    """Run a module or a script as Python would, in a process that has imported biosnn already."""
    if servers is not None:
        return servers.python

    def run(program: str | Path, *arguments: str, cwd: Path | None = None):
        words = [str(program)] if str(program).endswith(".py") else ["-m", str(program)]
        command = [sys.executable, *words, *arguments]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)

    return run


def remove_old_builds() -> None:
    """Keep the newest builds, enough for the tests of a few versions of the sources."""
    found = cache.entries()
    if len(found) > BUILDS_KEPT:
        age = datetime.now(UTC) - found[BUILDS_KEPT].modified
        cache.clear(older_than_days=age / timedelta(days=1))


@pytest.fixture(scope="session")
def numpy_target() -> Iterator[None]:
    """Plain Brian2 objects run as NumPy code: no compiler, no caches in the home folder."""
    from brian2 import prefs

    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    yield
    prefs.codegen.target = before


@pytest.fixture
def fresh_brian2(numpy_target: None) -> Iterator[None]:
    """Brian2 with an empty magic network and its default time step, before and after."""
    from brian2 import defaultclock, second, start_scope

    start_scope()
    defaultclock.dt = 1e-4 * second
    yield
    start_scope()
    defaultclock.dt = 1e-4 * second
