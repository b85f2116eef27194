"""Fixtures for all tests: a build cache of their own, and a Brian2 without leftovers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# No test may depend on how fast the machine is: an example may take as long as it takes.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def build_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A build cache for this test run, shared by its xdist workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "biosnn-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIOSNN_CACHE_DIR", str(folder))
        yield folder


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
