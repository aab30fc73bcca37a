"""Faults of system calls of a running server, as strace makes them."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator

import pytest

from conftest import Server


@contextlib.contextmanager
def injected(server: Server, calls: str, fault: str) -> Iterator["subprocess.Popen[str]"]:
    """System calls of a server fail, or take long. The tracer: a process that has ended stays until it is killed."""
    command = ["strace", "-f", "-p", str(server.process.pid), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            tracer.kill()
            pytest.skip(f"strace may not attach here: {line.strip()}")
        threading.Thread(target=tracer.stderr.read, daemon=True).start()
        try:
            yield tracer
        finally:
            tracer.kill()
