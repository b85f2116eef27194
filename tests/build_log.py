"""The option ``--builds=FILE``: which test compiled which network, and the CPU seconds of each.

It appends a line of JSON per test to the file: the test, its CPU seconds and those of the child
processes that it waited for (fixtures included), and the key and CPU seconds of every build that
was not in the cache. ``python tests/build_log.py FILE`` adds them up by file. Builds in processes
of their own, such as ``python -m biosnn ...``, count as CPU seconds of their test only.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children that have ended."""
    return sum(os.times()[:4])


class BuildLog:
    """Watches the build cache while tests run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.builds: list[tuple[str, float]] = []
        from biosnn.devices.cpp import device as cpp
        from biosnn.devices.cuda import device as cuda

        for device in (cpp, cuda):
            device.cached = self._watched(device.cached)

    def _watched(self, cached: Callable[..., Any]) -> Callable[..., Any]:
        def watched(key: str, make: Any, check: Any) -> Any:
            started = cpu_seconds()
            folder, built_now = cached(key, make, check)
            if built_now:
                self.builds.append((key, cpu_seconds() - started))
            return folder, built_now

        return watched

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        started = cpu_seconds()
        self.builds = []
        try:
            return (yield)
        finally:
            line = {"test": item.nodeid, "cpu": cpu_seconds() - started, "builds": self.builds}
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")


def report(path: Path) -> str:
    """CPU seconds, builds and their CPU seconds by file, and the tests that cost the most."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    files: dict[str, list[float]] = defaultdict(lambda: [0.0, 0, 0, 0.0])
    for line in lines:
        found = files[line["test"].partition("::")[0]]
        found[0] += line["cpu"]
        found[1] += 1
        found[2] += len(line["builds"])
        found[3] += sum(seconds for _, seconds in line["builds"])
    files["all"] = [sum(column) for column in zip(*files.values(), strict=True)]
    out = ["   CPU s  tests builds  CPU s of builds  file"]
    for name, (cpu, tests, builds, built) in sorted(files.items(), key=lambda f: -f[1][0]):
        out.append(f"{cpu:8.1f} {tests:6d} {builds:6d} {built:16.1f}  {name}")
    out += ["", "   CPU s builds  test"]
    for line in sorted(lines, key=lambda line: -line["cpu"])[:40]:
        out.append(f"{line['cpu']:8.1f} {len(line['builds']):6d}  {line['test']}")
    return "\n".join(out)


if __name__ == "__main__":
    print(report(Path(sys.argv[1])))
