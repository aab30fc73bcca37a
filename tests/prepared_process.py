"""Processes of the command `fleetpulse` that need not import its modules, since they are forked from one that has them.

A start takes a third of the processor time that `python -m fleetpulse` takes, and the tests start hundreds.

    process = start_prepared([*COMMAND, "serve", "--port", "0"], stdout=log, stderr=log)
    process.pid, process.poll(), process.send_signal(signal.SIGTERM), process.wait(60)

From its arguments on, such a process does what the command does: it runs the same `main`, ends as it does, and has a
process id of its own. It differs in what comes before: /proc shows another command line and the environment of the
process that prepares; the modules of all commands are loaded; its end is noticed at once, so that no zombie is seen;
file descriptors of the test cannot be handed over. A test for which that matters starts `COMMAND` by `subprocess`.
"""

import array
import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

REQUEST_BYTES_MAX = 1 << 20
PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h: which signal a process gets when its parent ends, as when the tests are ended by Ctrl-C."""


class PreparedProcess:
    """One process, with the part of `subprocess.Popen` that tests use."""

    def __init__(self, command: Sequence[str], replies: socket.socket) -> None:
        self.args = list(command)
        self.returncode: int | None = None
        self._replies = replies
        self.pid = self._reply()

    def _reply(self) -> int:
        text = self._replies.recv(32)
        assert text, "the process that prepares others has ended"
        return int(text)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Returns: the exit status."""
        if self.returncode is None:
            self._replies.settimeout(timeout)
            try:
                self.returncode = self._reply()
            except (TimeoutError, BlockingIOError):
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self._replies.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def can_be_prepared(command: Sequence[str]) -> bool:
    """Whether it is this Python with the module `fleetpulse`, or with a script of the tests."""
    return command[0] == sys.executable and (list(command[1:3]) == ["-m", "fleetpulse"] or command[1].endswith(".py"))


def start_prepared(
    command: Sequence[str], *, stdout: IO[Any], stderr: IO[Any], environment: dict[str, str] | None = None
) -> PreparedProcess:
    """Start a command that can be prepared, by default in this environment."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {
        "arguments": list(command[1:]),
        "environment": dict(os.environ) if environment is None else environment,
        "folder": str(Path.cwd()),
    }
    with theirs:
        _send(_preparing(), json.dumps(request).encode(), [theirs.fileno(), stdout.fileno(), stderr.fileno()])
    return PreparedProcess(command, ours)


def run_prepared(
    command: Sequence[str], *, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """What a command did that can be prepared and ends within two minutes; whatever its exit status is."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = start_prepared(command, stdout=stdout, stderr=stderr, environment=environment)
        try:
            process.wait(120)
        finally:
            process.kill()
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(process.args, process.wait(), *texts)


@functools.cache
def _preparing() -> socket.socket:
    """The process that prepares others, started at the first use; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__], pass_fds=[theirs.fileno()], env={**os.environ, "CONTROL": str(theirs.fileno())}
        )

    def end() -> None:
        ours.close()
        process.wait(60)

    atexit.register(end)
    return ours


def _send(control: socket.socket, request: bytes, files: list[int]) -> None:
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
    control.sendmsg([request], [rights])


def _import_all() -> None:
    """Import what the commands import."""
    commands = importlib.import_module("fleetpulse.cli.main").COMMANDS
    for name in commands:
        importlib.import_module(f"fleetpulse.cli.{name}")
    importlib.import_module("numpy.ma")
    importlib.import_module("litestar").Litestar([], logging_config=None)  # which imports what an application needs
    # Litestar loads pydantic where tests have installed it, after the command line was read: loaded earlier, it would
    # check the values of flags.
    for name in [name for name in sys.modules if name.partition(".")[0] == "pydantic"]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()  # what is shared with the processes is not copied when they collect garbage


def _prepare(control: socket.socket) -> None:
    """Fork a process for each request, and tell its end. Returns: only in such a process, or to end."""
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                process, replies = key.data
                selector.unregister(key.fileobj)
                os.close(key.fd)
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                with contextlib.suppress(OSError):  # the test has forgotten it
                    replies.send(str(status).encode())
                replies.close()
                continue
            request, files, _, _ = socket.recv_fds(control, REQUEST_BYTES_MAX, 3)
            if not request:
                sys.exit()
            process = os.fork()
            if process == 0:
                _become(json.loads(request), files[1:])
                for other in selector.get_map().values():
                    if other.data:
                        os.close(other.fd)
                        other.data[1].close()
                selector.close()
                control.close()
                os.close(files[0])
                return
            for file in files[1:]:
                os.close(file)
            replies = socket.socket(fileno=files[0])
            replies.send(str(process).encode())
            selector.register(os.pidfd_open(process), selectors.EVENT_READ, (process, replies))


def _become(request: dict[str, Any], outputs: list[int]) -> None:
    """Take the arguments, the environment, the folder and the outputs of the process that was requested."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for place, file in enumerate(outputs, start=1):
        os.dup2(file, place)
        os.close(file)
    sys.argv = request["arguments"]
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])


if __name__ == "__main__":
    _import_all()
    _prepare(socket.socket(fileno=int(os.environ.pop("CONTROL"))))
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module("fleetpulse", run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        runpy.run_path(sys.argv[0], run_name="__main__")
