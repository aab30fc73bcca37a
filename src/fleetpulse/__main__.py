"""The command `fleetpulse`, also as `python -m fleetpulse`. Ctrl-C ends it without a trace at any moment.

While the command's modules are imported, nothing could tidy up, so SIGINT ends the process at once; from then on it
raises KeyboardInterrupt, until there is nothing left to tidy up.
"""

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

RETRY_S = 0.01


def main() -> int:
    """Run the command that was typed; its exit status."""
    before = signal.getsignal(signal.SIGINT)  # a job in the background of a script ignores it, and goes on so
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from fleetpulse.cli.main import main as run  # noqa: PLC0415 - while Ctrl-C still ends the process at once

    if before is signal.SIG_IGN:
        return run()
    sys.unraisablehook = _interrupt_again
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt_again(unraisable: "UnraisableHookArgs") -> None:
    """Raise KeyboardInterrupt once more where Python swallowed it: in a finalizer, or a callback of an import."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, RETRY_S)


if __name__ == "__main__":
    sys.exit(main())
