"""Writes the code of networks in forks of a process that has imported Brian2 already.

The package starts a Python process for every build, and half of that process's time goes into
``import brian2``. Tests build some hundred networks: here one server per test process imports it
once. It reads a line of JSON per request, ``[module, arguments, environment, file for stderr]``,
runs the module as ``python -m`` would, and answers with a line that is the exit status.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PRELOADED = ("biosnn.devices.base.brian2_objects", "brian2.devices.cpp_standalone")


def serve() -> None:
    """Answer requests until stdin ends."""
    for name in PRELOADED:
        __import__(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


def _run(module: str, arguments: list[str], environment: dict[str, str], errors: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(errors, "w") as file:
        os.dup2(file.fileno(), 2)
    sys.argv = [module, *arguments]
    status: Any = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as exit_:
        status = exit_.code
    except BaseException:
        traceback.print_exc()
    if isinstance(status, str):
        print(status, file=sys.stderr)
    sys.stderr.flush()
    # Not sys.exit(): Brian2 would remove the server's log.
    os._exit(status if isinstance(status, int) else int(status is not None))


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Have :mod:`biosnn.devices.base.code_process` ask a server, which starts when it is needed.

    Parameters
    ----------
    folder : Path
        For what modules print.
    """
    from biosnn.devices.base import code_process

    lock, servers = threading.Lock(), []

    def server() -> subprocess.Popen[str]:
        if not servers:
            command = [sys.executable, "-P", __file__]
            servers.append(
                subprocess.Popen(
                    command,
                    env={**os.environ, "PYTHONPATH": str(Path(code_process.__file__).parents[3])},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        return servers[0]

    def run(command: list[str], *, env: dict[str, str], **options: Any) -> Any:
        # python -P -m MODULE ..., or python -P -c PROGRAM MODULE ...
        module = next((k for k, word in enumerate(command) if word.startswith("biosnn.")), None)
        if module is None or command[:2] != [sys.executable, "-P"]:
            return subprocess.run(command, env=env, **options)
        errors = folder / "errors"
        with lock:
            asked = server()
            request = [command[module], command[module + 1 :], env, str(errors)]
            print(json.dumps(request), file=asked.stdin, flush=True)
            status = int(asked.stdout.readline())
            return SimpleNamespace(returncode=status, stderr=errors.read_text(), stdout="")

    original = code_process.subprocess
    code_process.subprocess = SimpleNamespace(run=run)
    try:
        yield
    finally:
        code_process.subprocess = original
        for one in servers:
            one.stdin.close()
            one.wait()


if __name__ == "__main__":
    serve()
