"""The command `fleetpulse` on a machine whose clock is SECONDS ahead (or behind, where negative).

    python benchmarks/load/shifted_clock.py SECONDS serve --port 6733 …

So a benchmark need not wait for midnight.
"""

import sys
import time

from fleetpulse.__main__ import main
from fleetpulse.clock import SystemClock

if __name__ == "__main__":
    ahead_ns = int(sys.argv.pop(1)) * 1_000_000_000
    SystemClock.now_ns = lambda _: time.time_ns() + ahead_ns  # type: ignore[method-assign]  # the whole point
    sys.exit(main())
