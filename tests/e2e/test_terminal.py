"""Commands with standard output and words, whatever the machine gives us: each case in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command import COMMAND

COMMANDS = ["version", "--help", "devices list --help", "completion bash"]


def run(arguments: str, redirection: str = "", **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = f"exec {sys.executable} -m fleetpulse {arguments} {redirection}"
    return subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, check=False, timeout=60, env=os.environ | environment
    )


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(
    ("redirection", "text"),
    [(">/dev/full", "cannot be written: No space left on device"), (">&-", "standard output is closed")],
)
def test_what_cannot_be_printed_is_one_line_and_exit_status_1(arguments: str, redirection: str, text: str) -> None:
    done = run(arguments, redirection)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert text in done.stderr.decode()


@pytest.mark.parametrize("arguments", ["--help", "devices list --help", "version", "completion bash"])
def test_a_reader_that_has_gone_ends_a_command_as_sigpipe_does(arguments: str) -> None:
    reader, output = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fleetpulse", *arguments.split()]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(output)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_terminal_of_ascii_alone_gets_what_it_can_show() -> None:
    done = run("devices --help", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_standard_error_may_be_closed() -> None:
    done = run("version", "2>&-")
    assert (done.returncode, done.stdout) == (0, b"0.1.0\n")


def test_an_argument_that_is_not_utf8_is_named() -> None:
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"fleetpulse", b"devices", b"show", b"caf\xe9"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    assert rb"the argument `caf\xe9` is not UTF-8" in done.stderr


@pytest.mark.parametrize("after_s", [0.02, 0.06, 0.12, 0.3])
def test_ctrl_c_ends_a_command_without_a_trace(after_s: float, tmp_path: Path) -> None:
    # An interrupt while the interpreter itself starts is the interpreter's to report; the first line says it is past.
    program = "import sys; from fleetpulse.__main__ import main; print(flush=True); sys.exit(main())"
    command = [sys.executable, "-c", program, "simulate", "--url", "http://127.0.0.1:9"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(after_s)  # any moment of its start
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)
    assert b"fleetpulse/" not in text, text


def test_an_interrupt_that_a_finalizer_swallows_comes_again(tmp_path: Path) -> None:
    program = """if True:
        import signal, sys, time
        from fleetpulse import __main__ as command
        from fleetpulse.cli import main as cli
        class Swallows:
            def __del__(self):
                print(flush=True)
                time.sleep(30)
        def run():
            Swallows()
            time.sleep(30)
        cli.main = run
        sys.exit(command.main())
    """
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=30)
    assert (process.returncode, text) == (130, b"")


def test_an_interrupted_generate_says_what_it_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [*COMMAND, "generate", "--data", str(folder), "--devices", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (folder / "catalog.sqlite").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"broken off: {folder} holds devices without the whole of their history" in text.decode()
    assert b"Traceback" not in text
