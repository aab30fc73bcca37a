"""The command `fleetpulse`, as people run it: in a process of its own."""

import subprocess
import sys

COMMAND = (sys.executable, "-m", "fleetpulse")


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    """What a command did that ends by itself within a minute; whatever its exit status is."""
    return subprocess.run([*COMMAND, *words], check=False, capture_output=True, text=True, timeout=60)


def refusal(*words: str) -> str:
    """What a command printed that could not be done: it ended with exit status 1 and without a trace."""
    done = run_command(*words)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (1, False), done.stdout + done.stderr
    return done.stdout + done.stderr
