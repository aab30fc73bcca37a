"""The command `fleetpulse`, as people run it: in a process of its own."""

import subprocess
import sys

from prepared_process import run_prepared

COMMAND = (sys.executable, "-m", "fleetpulse")


def run_command(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What a command did that ends by itself within two minutes; whatever its exit status is."""
    return run_prepared([*COMMAND, *words], environment=environment)


def refusal(*words: str) -> str:
    """What a command printed that could not be done: it ended with exit status 1 and without a trace."""
    done = run_command(*words)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (1, False), done.stdout + done.stderr
    return done.stdout + done.stderr
