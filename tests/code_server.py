"""Runs Python programs in forks of a process that has imported Brian2 and biosnn already.

The package starts a Python process for every build, and half of that process's time goes into
``import brian2``; scripts of experiments import biosnn, matplotlib and PyTorch besides. Tests build
some hundred networks and run some dozens of scripts: here one server per test process imports all
this once. A server listens at a socket. A request is a line of JSON with the program (a module or a
script), its arguments, environment, folder and files for what it says; the answer is the exit
status.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

#: What writes the code of networks.
CODE = ("biosnn.devices.base.brian2_objects", "brian2.devices.cpp_standalone")
#: What scripts import, if it is installed.
SCRIPTS = (
    "biosnn.experiments",
    "biosnn.cli.commands",
    "biosnn.networks",
    "biosnn.plotting",
    "biosnn.readout",
    "biosnn.simulation",
    "biosnn.storage",
    "biosnn.surrogate",
    "matplotlib.pyplot",
)


def serve(address: str, *modules: str) -> None:
    """Answer requests until stdin ends."""
    for name in modules:
        with contextlib.suppress(ModuleNotFoundError):
            __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _answer(connection)


def _answer(connection: socket.socket) -> None:
    """Run what is asked for in a fork of its own, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked = json.loads(connection.makefile().readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        _run(**asked)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.sendall(f"{status}\n".encode())
    os._exit(0)


def _run(
    program: str, arguments: list[str], environment: dict[str, str], cwd: str,
    stdout: str, stderr: str, code: str | None,
) -> None:  # fmt: skip
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, path in ((0, os.devnull), (1, stdout), (2, stderr)):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.argv = [program, *arguments]
    status: Any = 1
    try:
        if code is not None:
            from biosnn.devices.base import code_process

            code_process.subprocess = _runner(code)
        if program.endswith(".py"):
            sys.path[0] = str(Path(program).parent)
            runpy.run_path(program, run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as exit_:
        status = exit_.code
    except BaseException:
        traceback.print_exc()
    if isinstance(status, str):
        print(status, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit(): Brian2 would remove the server's log.
    os._exit(status if isinstance(status, int) else int(status is not None))


def request(
    address: str, folder: Path, program: str, arguments: Sequence[str],
    env: Mapping[str, str], cwd: Path | str, code: str | None = None, timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Have a server run a program.

    Parameters
    ----------
    address : str
        The server's socket.
    folder : Path
        For files with what the program says.
    program : str
        A module's name, or the path of a script, which ends with ``.py``.
    arguments : sequence of str
        Its arguments.
    env : mapping
        All of its environment.
    cwd : path
        Where it runs.
    code : str, optional
        The server that writes the code of the networks that it builds.
    timeout : float, optional
        Seconds after which it has hung.
    """
    said = [folder / f"{os.urandom(8).hex()}-{name}" for name in ("stdout", "stderr")]
    asked = {
        "program": program,
        "arguments": list(arguments),
        "environment": dict(env),
        "cwd": str(cwd),
        "stdout": str(said[0]),
        "stderr": str(said[1]),
        "code": code,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(address)
        connection.sendall(f"{json.dumps(asked)}\n".encode())
        status = int(connection.makefile().readline())
    stdout, stderr = (path.read_text() if path.exists() else "" for path in said)
    return subprocess.CompletedProcess([program, *arguments], status, stdout, stderr)


def _runner(address: str) -> SimpleNamespace:
    """What :mod:`biosnn.devices.base.code_process` uses in place of ``subprocess``."""

    def run(command: list[str], *, env: dict[str, str], **options: Any) -> Any:
        # python -P -m MODULE ..., or python -P -c PROGRAM MODULE ...
        module = next((k for k, word in enumerate(command) if word.startswith("biosnn.")), None)
        if module is None or command[:2] != [sys.executable, "-P"]:
            return subprocess.run(command, env=env, **options)
        folder, arguments = Path(address).parent, command[module + 1 :]
        return request(address, folder, command[module], arguments, env, Path.cwd())

    return SimpleNamespace(run=run)


class Servers:
    """The servers of a test process, each of which starts when it is first needed.

    Parameters
    ----------
    folder : Path
        For sockets and what programs say. Its path may not be long.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}

    def address(self, name: str, modules: Sequence[str]) -> str:
        """The socket of a server that has imported some modules."""
        path = str(self.folder / name)
        if name not in self.running:
            from biosnn import version

            self.running[name] = subprocess.Popen(
                [sys.executable, "-P", __file__, path, *modules],
                env={**os.environ, "PYTHONPATH": str(Path(version.__file__).parents[1])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self.running[name].stdout.readline() == "ready\n"
        return path

    def python(
        self, program: str | Path, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a module or a script as ``python -m`` or ``python`` would, without its imports."""
        from patience import HANG  # servers know of no tests

        code = self.address("code", CODE)
        scripts = self.address("scripts", (*CODE, *SCRIPTS))
        cwd = Path.cwd() if cwd is None else cwd
        return request(scripts, self.folder, str(program), arguments, os.environ, cwd, code, HANG)

    def close(self) -> None:
        """End them."""
        for one in self.running.values():
            one.stdin.close()
            one.wait()
        self.running.clear()


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[Servers]:
    """Have the builds of this process ask a server for their code.

    Parameters
    ----------
    folder : Path
        For sockets and what programs say. Its path may not be long.
    """
    from biosnn.devices.base import code_process

    servers = Servers(folder)

    def run(command: list[str], **options: Any) -> Any:
        return _runner(servers.address("code", CODE)).run(command, **options)

    original = code_process.subprocess
    code_process.subprocess = SimpleNamespace(run=run)
    try:
        yield servers
    finally:
        code_process.subprocess = original
        servers.close()


if __name__ == "__main__":
    serve(*sys.argv[1:])
